//! Lines out of a stream that is cut anywhere; literals are skipped, not kept.

use memchr::memchr;

use crate::limits::LINE_BYTES_MAX;
use crate::response::may_have_literals;

/// Octets of the end of a line that tell whether a literal follows: `~{18446744073709551615+}` CRLF.
const TAIL: usize = 26;

/// Takes a stream apart into lines. A line with literals is one line, given by its beginning.
///
/// Keeps at most `LINE_BYTES_MAX` octets, and those only of a line that was cut.
#[derive(Debug, Default)]
pub struct LineReader {
    /// The beginning of a line that is not complete.
    head: Vec<u8>,
    /// The end of it so far.
    tail: Tail,
    /// Octets of a literal still to come.
    skip: u64,
    /// What `head` holds goes before a literal: the rest of the line is not kept.
    after_literal: bool,
    /// The line in `head` has been given out.
    done: bool,
    /// Braces at the end of a line mean nothing (LMTP).
    no_literals: bool,
}

#[derive(Debug, Default)]
struct Tail {
    bytes: [u8; TAIL],
    length: usize,
}

impl Tail {
    fn extend(&mut self, piece: &[u8]) {
        let keep = piece.len().min(TAIL);
        let stay = self.length.min(TAIL - keep);
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
    /// Lines of a protocol without literals.
    #[must_use]
    pub fn without_literals() -> Self {
        Self {
            no_literals: true,
            ..Self::default()
        }
    }

    /// The next line without its end, or None when `input` is used up.
    ///
    /// A line is given as far as its first literal, and no more of it than `LINE_BYTES_MAX` where it
    /// was cut. CR may be missing before LF.
    pub fn next_line<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Option<&'a [u8]> {
        if self.done {
            self.done = false;
            self.after_literal = false;
            self.head.clear();
            self.tail.length = 0;
        }
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
                // The usual case: the whole line is here, and nothing is copied.
                match self.literal(piece, piece) {
                    None => return Some(without_end(piece)),
                    Some(bytes) => {
                        self.keep(piece);
                        self.begin_literal(bytes);
                    }
                }
            } else {
                self.keep(piece);
                match self.literal(&self.head, self.tail.bytes()) {
                    None => {
                        self.done = true;
                        return Some(without_end(&self.head));
                    }
                    Some(bytes) => self.begin_literal(bytes),
                }
            }
        }
    }

    /// True between lines: nothing has begun that has not ended.
    #[must_use]
    pub fn is_between(&self) -> bool {
        self.done || (self.tail.length == 0 && !self.after_literal)
    }

    fn begin_literal(&mut self, bytes: u64) {
        self.skip = bytes;
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

    /// The size of the literal that follows this line, if one does.
    fn literal(&self, head: &[u8], end: &[u8]) -> Option<u64> {
        if self.no_literals {
            return None;
        }
        literal_size(end).filter(|_| may_have_literals(head))
    }
}

/// ```abnf
/// literal  = "{" number64 ["+"] "}" CRLF *CHAR8
/// literal8 = "~{" number64 "}" CRLF *OCTET
/// ```
fn literal_size(line: &[u8]) -> Option<u64> {
    let line = without_end(line).strip_suffix(b"}")?;
    let line = line.strip_suffix(b"+").unwrap_or(line);
    let open = line.iter().rposition(|&byte| byte == b'{')?;
    let digits = line.get(open + 1..)?;
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |size, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        size.checked_mul(10)?.checked_add(digit)
    })
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
