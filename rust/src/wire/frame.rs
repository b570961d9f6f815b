//! Lines and literals, whatever they say: the first stage of reading.
//!
//! Octets are looked at once, wherever they are cut. What is kept is one contiguous text a
//! command, literal heads and all, so that nothing is copied to be parsed.

use super::cursor::{Literal, decimal};

/// Octets received and not yet given up.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    octets: Vec<u8>,
    /// Where the current command starts in `octets`; the offsets below count from there.
    start: usize,
    /// Where the current line starts.
    line: usize,
    /// No LF lies between `line` and here.
    looked: usize,
    /// The literals of the current command.
    pub literals: Vec<Literal>,
}

/// The head of a literal at the end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LiteralHead {
    /// Where it is; its `end` is known where `size` is.
    pub literal: Literal,
    /// None for a number that no literal can have (RFC 9051 section 9, `number64`).
    pub size: Option<u64>,
    /// The client waits for "+".
    pub waits: bool,
}

/// What the current line turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Its end is not here yet.
    More,
    /// It is longer than the bound.
    TooLong,
    /// It ends without a literal: the text ends here, the next line starts there.
    Last {
        /// Behind the text.
        end: usize,
        /// Behind the line end.
        next: usize,
    },
    /// It ends with the head of a literal.
    Literal(LiteralHead),
}

/// Above this an empty buffer gives its memory back: what an idle connection may cost.
const KEEP: usize = 4 * 1024;

impl Frame {
    pub fn feed(&mut self, data: &[u8]) {
        self.octets.extend_from_slice(data);
    }

    /// Octets from the start of the current command on.
    pub fn held(&self) -> &[u8] {
        self.octets.get(self.start..).unwrap_or_default()
    }

    /// The first octets of the current command.
    pub fn text(&self, end: usize) -> &[u8] {
        self.held().get(..end).unwrap_or_default()
    }

    /// Octets of the current command's lines and literals before the current line.
    pub fn before_line(&self) -> usize {
        self.line
    }

    /// Look at the current line, which is bounded without its line end (CRLF, or a bare LF).
    pub fn line(&mut self, bound: usize) -> Line {
        let held = self.octets.get(self.start..).unwrap_or_default();
        let fresh = held.get(self.looked..).unwrap_or_default();
        let Some(at) = memchr::memchr(b'\n', fresh) else {
            self.looked = held.len().max(self.looked);
            let text = held.get(self.line..).unwrap_or_default();
            let text = text.strip_suffix(b"\r").unwrap_or(text); // it may be the line end's
            return if text.len() > bound {
                Line::TooLong
            } else {
                Line::More
            };
        };
        let next = self.looked + at + 1;
        self.looked = next - 1; // asked again, it finds the same
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

    /// The literal belongs to the command: its octets come next, and then a line.
    pub fn keep_literal(&mut self, literal: Literal) {
        self.literals.push(literal);
        self.line = literal.end;
        self.looked = literal.end;
    }

    /// True once all octets of the last literal kept are here.
    pub fn literal_is_here(&self) -> bool {
        self.held().len() >= self.line
    }

    /// Give up the first octets of what is held; a new command starts behind them.
    pub fn drop_to(&mut self, next: usize) {
        self.start = self.start.saturating_add(next).min(self.octets.len());
        self.line = 0;
        self.looked = 0;
        self.literals.clear();
        if self.start == self.octets.len() {
            self.octets.clear();
            self.octets.shrink_to(KEEP);
            self.start = 0;
        } else if self.start >= KEEP && self.start >= self.octets.len() / 2 {
            // Each octet moved was paid for by one that was dropped.
            self.octets.drain(..self.start);
            self.start = 0;
        }
    }

    /// Give up all that is held, and return how much it was.
    pub fn clear(&mut self) -> usize {
        let held = self.held().len();
        *self = Self::default();
        held
    }

    /// Take at most `wanted` octets from the start of what is held.
    pub fn take(&mut self, wanted: u64) -> Vec<u8> {
        let held = self.held().len();
        let len = usize::try_from(wanted).unwrap_or(usize::MAX).min(held);
        if self.start == 0 && len == self.octets.len() {
            let taken = std::mem::take(&mut self.octets);
            self.drop_to(0);
            return taken; // a big message: its octets are not copied again
        }
        let taken = self.text(len).to_vec();
        self.drop_to(len);
        taken
    }
}

/// ```abnf
/// literal  = "{" number64 ["+"] "}" CRLF *CHAR8
/// literal8 = "~{" number64 ["+"] "}" CRLF *OCTET
/// ```
/// Offset in the line, size, and whether the client waits; None where the line does not end so.
fn literal_head(line: &[u8]) -> Option<(usize, Option<u64>, bool)> {
    let inside = line.strip_suffix(b"}")?;
    let (inside, waits) = match inside.strip_suffix(b"+") {
        Some(inside) => (inside, false),
        None => (inside, true),
    };
    let digits = inside
        .iter()
        .rev()
        .take_while(|octet| octet.is_ascii_digit())
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
