//! Framing: lines and literals, the first stage of reading.
//!
//! Each byte is scanned once, wherever the input is cut. A command is kept as one contiguous text
//! with its literal heads, so parsing copies nothing.

use crate::wire::syntax::cursor::{Literal, decimal};

/// Bytes received and not yet dropped.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    bytes: Vec<u8>,
    /// Start of the current command in `bytes`; the offsets below count from it.
    start: usize,
    /// Start of the current line.
    line: usize,
    /// No LF lies between `line` and here.
    scanned: usize,
    /// The literals of the current command.
    pub literals: Vec<Literal>,
}

/// The head of a literal at the end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LiteralHead {
    /// Position; `end` is valid if `size` is given.
    pub literal: Literal,
    /// None if no literal can have the number (RFC 9051 section 9, `number64`).
    pub size: Option<u64>,
    /// The client waits for "+".
    pub waits: bool,
}

/// Kind of the current line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Its end has not arrived.
    More,
    /// Longer than the bound.
    TooLong,
    /// It ends without a literal.
    Last {
        /// End of the text.
        end: usize,
        /// After the line end.
        next: usize,
    },
    /// It ends with the head of a literal.
    Literal(LiteralHead),
}

/// Bytes of a skipped line that are kept: the head of a literal at its end fits.
const HEAD_BYTES: usize = 64;

/// Capacity above which an empty buffer releases its memory: bound for an idle connection.
const KEEP: usize = 4 * 1024;

impl Frame {
    pub fn feed(&mut self, data: &[u8]) {
        self.bytes.extend_from_slice(data);
    }

    /// Return the bytes from the start of the current command.
    pub fn held(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Return the first bytes of the current command.
    pub fn text(&self, end: usize) -> &[u8] {
        self.held().get(..end).unwrap_or_default()
    }

    /// Return the length of the current command before the current line.
    pub fn before_line(&self) -> usize {
        self.line
    }

    /// Scan the current line. The bound excludes its line end (CRLF, or a bare LF).
    pub fn line(&mut self, bound: usize) -> Line {
        let held = self.bytes.get(self.start..).unwrap_or_default();
        let fresh = held.get(self.scanned..).unwrap_or_default();
        let Some(at) = memchr::memchr(b'\n', fresh) else {
            self.scanned = held.len().max(self.scanned);
            let text = held.get(self.line..).unwrap_or_default();
            let text = text.strip_suffix(b"\r").unwrap_or(text); // it may be the line end's
            return if text.len() > bound {
                Line::TooLong
            } else {
                Line::More
            };
        };
        let next = self.scanned + at + 1;
        self.scanned = next - 1; // a second call finds the same
        let text = held.get(self.line..next - 1).unwrap_or_default();
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.len() > bound {
            return Line::TooLong;
        }
        match literal_head(text) {
            None => Line::Last {
                end: self.line + text.len(),
                next,
            },
            Some((brace, size, waits)) => {
                let end = size.and_then(|size| usize::try_from(size).ok());
                let literal = Literal {
                    head: self.line + brace,
                    data: next,
                    end: next.saturating_add(end.unwrap_or(0)),
                    binary: text.get(brace) == Some(&b'~'),
                };
                Line::Literal(LiteralHead {
                    literal,
                    size,
                    waits,
                })
            }
        }
    }

    /// Skip the current line, which is over the bound. `Line::More` until its end has arrived;
    /// `Line::TooLong` if it ends with a number too long for a literal, so that framing is lost.
    pub fn skip_line(&mut self) -> Line {
        if self.line > 0 {
            self.drop_to(self.line);
        }
        let line = self.line(usize::MAX);
        match line {
            Line::More => {
                let held = self.held().len();
                let kept = held.min(HEAD_BYTES);
                self.drop_to(held - kept);
                self.scanned = kept;
                Line::More
            }
            Line::Last { end, .. } if is_cut_head(self.text(end)) => Line::TooLong,
            found => found,
        }
    }

    /// Add a literal to the command: its bytes follow, then a line.
    pub fn keep_literal(&mut self, literal: Literal) {
        self.literals.push(literal);
        self.line = literal.end;
        self.scanned = literal.end;
    }

    /// True if all bytes of the last literal have arrived.
    pub fn literal_is_here(&self) -> bool {
        self.held().len() >= self.line
    }

    /// Drop the first bytes; a new command starts after them.
    pub fn drop_to(&mut self, next: usize) {
        self.start = self.start.saturating_add(next).min(self.bytes.len());
        self.line = 0;
        self.scanned = 0;
        self.literals.clear();
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(KEEP);
            self.start = 0;
        } else if self.start >= KEEP && self.start >= self.bytes.len() / 2 {
            // Amortised: one dropped byte pays for each moved byte.
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }

    /// Drop all bytes and return their number.
    pub fn clear(&mut self) -> usize {
        let held = self.held().len();
        *self = Self::default();
        held
    }

    /// Remove and return at most `wanted` bytes from the start.
    pub fn take(&mut self, wanted: u64) -> Vec<u8> {
        let held = self.held().len();
        let len = usize::try_from(wanted).unwrap_or(usize::MAX).min(held);
        if self.start == 0 && len == self.bytes.len() {
            let taken = std::mem::take(&mut self.bytes);
            self.drop_to(0);
            return taken; // a large message is not copied again
        }
        let taken = self.text(len).to_vec();
        self.drop_to(len);
        taken
    }
}

/// True for the end of a literal's head that has more digits than are kept.
fn is_cut_head(text: &[u8]) -> bool {
    let inside = text.strip_suffix(b"}").unwrap_or_default();
    let digits = inside.strip_suffix(b"+").unwrap_or(inside);
    digits.len() + 2 >= HEAD_BYTES && digits.iter().all(u8::is_ascii_digit)
}

/// ```abnf
/// literal  = "{" number64 ["+"] "}" CRLF *CHAR8
/// literal8 = "~{" number64 ["+"] "}" CRLF *OCTET
/// ```
/// Return offset in the line, size, and whether the client waits; None without a literal.
fn literal_head(line: &[u8]) -> Option<(usize, Option<u64>, bool)> {
    let inside = line.strip_suffix(b"}")?;
    let (inside, waits) = match inside.strip_suffix(b"+") {
        Some(inside) => (inside, false),
        None => (inside, true),
    };
    let digits = inside
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let brace = inside.len().checked_sub(digits + 1)?;
    if digits == 0 || inside.get(brace) != Some(&b'{') {
        return None;
    }
    let size = decimal(inside.get(brace + 1..).unwrap_or_default());
    let size = size.filter(|size| i64::try_from(*size).is_ok());
    let tilde = brace > 0 && inside.get(brace - 1) == Some(&b'~');
    Some((brace - usize::from(tilde), size, waits))
}
