//! Lines of a byte stream, however reads cut it. Literals are skipped, not kept.
//!
//! Used for all three protocols: responses of an IMAP server, replies of an LMTP server, and commands
//! of an IMAP client (the responder).

use memchr::memchr;

use crate::limits::LINE_BYTES_MAX;
use crate::response::may_have_literals;

/// Bytes at the end of a line that tell whether a literal follows: `~{18446744073709551615+}` CRLF.
const TAIL_BYTES: usize = 26;

/// Literals of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Literals {
    /// In data responses of an IMAP server. A response is one line, given up to its first literal.
    #[default]
    InResponses,
    /// In commands of an IMAP client. A literal ends the line; the rest of the command is the next
    /// line.
    InCommands,
    /// Nowhere: braces at the end of a line mean nothing (LMTP).
    None,
}

/// Announcement of a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiteralStart {
    /// Bytes.
    pub size: u64,
    /// The sender waits for `+` before it sends the bytes (RFC 9051 section 4.3).
    pub is_synchronizing: bool,
}

/// One line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub struct ReceivedLine<'a> {
    /// At most `LINE_BYTES_MAX` bytes where reads cut the line.
    pub text: &'a [u8],
    /// The literal that follows; only with `Literals::InCommands`.
    pub literal: Option<LiteralStart>,
}

/// Splits a stream into lines.
///
/// Keeps at most `LINE_BYTES_MAX` bytes, and only of a line that reads have cut. CR may be missing
/// before LF.
#[derive(Debug, Default)]
pub struct LineReader {
    literals: Literals,
    /// The start of an incomplete line.
    head: Vec<u8>,
    /// The end of it so far.
    tail: LineTail,
    /// Bytes of a literal still to be skipped.
    skip: u64,
    /// `head` is what precedes a literal: the rest of the line is not kept.
    after_literal: bool,
    /// The line in `head` has been returned.
    is_returned: bool,
}

#[derive(Debug, Default)]
struct LineTail {
    bytes: [u8; TAIL_BYTES],
    length: usize,
}

impl LineTail {
    fn extend(&mut self, piece: &[u8]) {
        let keep = piece.len().min(TAIL_BYTES);
        let stay = self.length.min(TAIL_BYTES - keep);
        let from = self.length - stay;
        self.bytes.copy_within(from..from + stay, 0);
        let new = piece.get(piece.len() - keep..).unwrap_or_default();
        if let Some(place) = self.bytes.get_mut(stay..stay + keep) {
            place.copy_from_slice(new);
        }
        self.length = stay + keep;
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl LineReader {
    /// Make a reader for the start of a stream.
    #[must_use]
    pub fn new(literals: Literals) -> Self {
        Self {
            literals,
            ..Self::default()
        }
    }

    /// Return the next line, or None when `input` is used up.
    pub fn next_line<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Option<ReceivedLine<'a>> {
        if self.is_returned {
            self.is_returned = false;
            self.after_literal = false;
            self.head.clear();
            self.tail.length = 0;
        }
        let ends_at_literal = self.literals == Literals::InCommands;
        loop {
            if self.skip > 0 {
                let here = usize::try_from(self.skip)
                    .unwrap_or(usize::MAX)
                    .min(input.len());
                *input = input.get(here..).unwrap_or_default();
                self.skip -= here as u64;
                if self.skip > 0 {
                    return None;
                }
            }
            let Some(end) = memchr(b'\n', input) else {
                let piece = std::mem::take(input);
                self.keep(piece);
                return None;
            };
            let (piece, rest) = input.split_at_checked(end + 1)?;
            *input = rest;
            if self.tail.length == 0 && !self.after_literal {
                // The usual case: the whole line is in `input`, and nothing is copied.
                match self.literal(piece, piece) {
                    Some(literal) if !ends_at_literal => {
                        self.keep(piece);
                        self.skip_literal(literal);
                    }
                    literal => {
                        self.skip = literal.map_or(0, |literal| literal.size);
                        let text = without_end(piece);
                        return Some(ReceivedLine { text, literal });
                    }
                }
            } else {
                self.keep(piece);
                match self.literal(&self.head, self.tail.bytes()) {
                    Some(literal) if !ends_at_literal => self.skip_literal(literal),
                    literal => {
                        self.skip = literal.map_or(0, |literal| literal.size);
                        self.is_returned = true;
                        let text = without_end(&self.head);
                        return Some(ReceivedLine { text, literal });
                    }
                }
            }
        }
    }

    fn skip_literal(&mut self, literal: LiteralStart) {
        self.skip = literal.size;
        self.after_literal = true;
        self.tail.length = 0;
    }

    fn keep(&mut self, piece: &[u8]) {
        self.tail.extend(piece);
        if !self.after_literal {
            let room = LINE_BYTES_MAX
                .saturating_sub(self.head.len())
                .min(piece.len());
            self.head
                .extend_from_slice(piece.get(..room).unwrap_or_default());
        }
    }

    /// Return the literal that follows a line with this start and this end.
    fn literal(&self, head: &[u8], end: &[u8]) -> Option<LiteralStart> {
        match self.literals {
            Literals::InResponses => literal_at_end(end).filter(|_| may_have_literals(head)),
            Literals::InCommands => literal_at_end(end),
            Literals::None => None,
        }
    }
}

/// ```abnf
/// literal  = "{" number64 ["+"] "}" CRLF *CHAR8
/// literal8 = "~{" number64 "}" CRLF *OCTET
/// ```
fn literal_at_end(line: &[u8]) -> Option<LiteralStart> {
    let line = without_end(line).strip_suffix(b"}")?;
    let (line, is_synchronizing) = match line.strip_suffix(b"+") {
        Some(line) => (line, false),
        None => (line, true),
    };
    let open = line.iter().rposition(|&byte| byte == b'{')?;
    let digits = line.get(open + 1..)?;
    if digits.is_empty() {
        return None;
    }
    let size = digits.iter().try_fold(0_u64, |size, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        size.checked_mul(10)?.checked_add(digit)
    })?;
    Some(LiteralStart {
        size,
        is_synchronizing,
    })
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests;
