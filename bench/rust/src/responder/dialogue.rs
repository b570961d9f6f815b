//! What the responder says to one client, without I/O.

use std::sync::Arc;

use memchr::memchr;

use crate::output::Output;

/// A line that is longer is no command.
const LINE_MAX: usize = 64 * 1024;

/// One client's conversation.
#[derive(Debug, Default)]
pub struct Dialogue {
    /// A line that was cut.
    cut: Vec<u8>,
    /// Octets of a literal still to come.
    skip: u64,
    /// Tag and rest of a command that goes on behind a literal, or of IDLE.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    tag: Vec<u8>,
    is_idle: bool,
}

/// Whether the client stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It does.
    Continue,
    /// It has said LOGOUT, or what is no command.
    Close,
}

impl Dialogue {
    /// Take what the client says, and answer it.
    pub fn receive(&mut self, mut input: &[u8], literal: &Arc<[u8]>, out: &mut Output) -> Next {
        loop {
            let skipped = usize::try_from(self.skip)
                .unwrap_or(usize::MAX)
                .min(input.len());
            self.skip -= skipped as u64;
            input = input.get(skipped..).unwrap_or_default();
            let Some(end) = memchr(b'\n', input) else {
                self.cut.extend_from_slice(input);
                return if self.cut.len() > LINE_MAX {
                    Next::Close
                } else {
                    Next::Continue
                };
            };
            let (line, rest) = input.split_at_checked(end + 1).unwrap_or_default();
            input = rest;
            let next = if self.cut.is_empty() {
                self.line(line, literal, out)
            } else {
                let mut whole = std::mem::take(&mut self.cut);
                whole.extend_from_slice(line);
                self.line(&whole, literal, out)
            };
            if next == Next::Close {
                return next;
            }
        }
    }

    fn line(&mut self, line: &[u8], literal: &Arc<[u8]>, out: &mut Output) -> Next {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(open) = self.open.take() {
            if self.begins_literal(line, open.is_idle, out) {
                self.open = Some(open);
            } else {
                answer(&open.tag, b"OK done", out);
            }
            return Next::Continue;
        }
        let Some(space) = memchr(b' ', line) else {
            return Next::Close;
        };
        let (tag, rest) = line.split_at_checked(space).unwrap_or_default();
        let rest = rest.get(1..).unwrap_or_default();
        if self.begins_literal(line, false, out) {
            self.open = Some(Open {
                tag: tag.to_vec(),
                is_idle: false,
            });
            return Next::Continue;
        }
        let begins = |verb: &[u8]| {
            let said = rest.get(..verb.len()).unwrap_or_default();
            said.eq_ignore_ascii_case(verb)
        };
        if begins(b"FETCH") || begins(b"UID FETCH") {
            if !literal.is_empty() {
                out.push(b"* 1 FETCH (BODY[] {");
                out.push_number(literal.len() as u64);
                out.push(b"}\r\n");
                out.push_message(literal);
                out.push(b")\r\n");
            }
        } else if begins(b"IDLE") {
            out.push(b"+ idling\r\n");
            self.open = Some(Open {
                tag: tag.to_vec(),
                is_idle: true,
            });
            return Next::Continue;
        } else if begins(b"SELECT") {
            out.push(b"* 1 EXISTS\r\n");
        } else if begins(b"LOGOUT") {
            out.push(b"* BYE\r\n");
            answer(tag, b"OK done", out);
            return Next::Close;
        }
        answer(tag, b"OK done", out);
        Next::Continue
    }

    /// Does a literal follow this line? It is asked for where it has to be.
    fn begins_literal(&mut self, line: &[u8], is_idle: bool, out: &mut Output) -> bool {
        if is_idle || line.last() != Some(&b'}') {
            return false;
        }
        let Some(open) = line.iter().rposition(|&byte| byte == b'{') else {
            return false;
        };
        let inside = line
            .get(open + 1..line.len().saturating_sub(1))
            .unwrap_or_default();
        let (digits, is_asking) = match inside.strip_suffix(b"+") {
            Some(digits) => (digits, false),
            None => (inside, true),
        };
        let size = std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse().ok());
        if let Some(size) = size {
            self.skip = size;
            if is_asking {
                out.push(b"+ go on\r\n");
            }
        }
        size.is_some()
    }
}

fn answer(tag: &[u8], text: &[u8], out: &mut Output) {
    out.push(tag);
    out.push(b" ");
    out.push(text);
    out.push(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(sent: &[&[u8]], literal: &[u8]) -> (String, Next) {
        let (mut dialogue, mut out, literal) =
            (Dialogue::default(), Output::default(), Arc::from(literal));
        let mut next = Next::Continue;
        let mut said = Vec::new();
        for piece in sent {
            if next == Next::Continue {
                next = dialogue.receive(piece, &literal, &mut out);
            }
            while !out.is_empty() {
                said.extend_from_slice(out.first());
                out.advance(out.first().len());
            }
        }
        (String::from_utf8(said).unwrap(), next)
    }

    #[test]
    fn commands_are_answered_wherever_they_are_cut() {
        let cases: &[(&[u8], &str, Next)] = &[
            (
                b"a NOOP\r\nb NOOP\r\n",
                "a OK done\r\nb OK done\r\n",
                Next::Continue,
            ),
            (
                b"a FETCH 1 BODY[]\r\n",
                "* 1 FETCH (BODY[] {3}\r\nxyz)\r\na OK done\r\n",
                Next::Continue,
            ),
            (
                b"a APPEND x {4}\r\n\r\n\r\n UTF8\r\nb X\r\n",
                "+ go on\r\na OK done\r\nb OK done\r\n",
                Next::Continue,
            ),
            (
                b"a APPEND x {2+}\r\n\r\n {3+}\r\nabc\r\nb X\r\n",
                "a OK done\r\nb OK done\r\n",
                Next::Continue,
            ),
            (
                b"a IDLE\r\nDONE\r\nb SELECT x\r\n",
                "+ idling\r\na OK done\r\n* 1 EXISTS\r\nb OK done\r\n",
                Next::Continue,
            ),
            (
                b"a LOGOUT\r\nb NOOP\r\n",
                "* BYE\r\na OK done\r\n",
                Next::Close,
            ),
            (b"nonsense\r\n", "", Next::Close),
        ];
        for (sent, expected, next) in cases {
            let expected = ((*expected).to_owned(), *next);
            assert_eq!(said(&[sent], b"xyz"), expected);
            for at in 1..sent.len() {
                let (before, after) = sent.split_at(at);
                assert_eq!(
                    said(&[before, after], b"xyz"),
                    expected,
                    "{} at {at}",
                    sent.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn an_endless_line_is_no_command() {
        let piece = [b'x'; 1024];
        assert_eq!(said(&[piece.as_slice(); 65], b"").1, Next::Close);
    }
}
