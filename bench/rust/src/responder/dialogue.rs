//! Protocol of the responder for one client, without I/O.

use std::sync::Arc;

use memchr::memchr;

use crate::line_reader::{LineReader, Literals, ReceivedLine};
use crate::output::Output;

/// State of one client.
#[derive(Debug)]
pub struct Dialogue {
    line_reader: LineReader,
    /// Tag of a command that goes on in the next line: after a literal, or until DONE.
    open_tag: Option<Vec<u8>>,
}

/// Effect of input on the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Read on.
    Continue,
    /// LOGOUT, or a line that is not a command: close the connection.
    Close,
}

impl Default for Dialogue {
    fn default() -> Self {
        Self {
            line_reader: LineReader::new(Literals::InCommands),
            open_tag: None,
        }
    }
}

impl Dialogue {
    /// Read input of the client, and write the answers.
    pub fn receive(&mut self, mut input: &[u8], literal: &Arc<[u8]>, out: &mut Output) -> Next {
        let mut line_reader = std::mem::take(&mut self.line_reader);
        while let Some(line) = line_reader.next_line(&mut input) {
            if self.line(&line, literal, out) == Next::Close {
                return Next::Close;
            }
        }
        self.line_reader = line_reader;
        Next::Continue
    }

    fn line(&mut self, line: &ReceivedLine<'_>, literal: &Arc<[u8]>, out: &mut Output) -> Next {
        let tag = match (self.open_tag.take(), memchr(b' ', line.text)) {
            (Some(tag), _) => tag,
            (None, Some(space)) => {
                let (tag, rest) = line.text.split_at_checked(space).unwrap_or_default();
                if line.literal.is_none() {
                    return self.command(tag, rest.get(1..).unwrap_or_default(), literal, out);
                }
                tag.to_vec()
            }
            (None, None) => return Next::Close,
        };
        match line.literal {
            Some(announced) => {
                if announced.is_synchronizing {
                    out.push(b"+ go on\r\n");
                }
                self.open_tag = Some(tag);
            }
            None => answer(&tag, b"OK done", out),
        }
        Next::Continue
    }

    fn command(&mut self, tag: &[u8], text: &[u8], literal: &Arc<[u8]>, out: &mut Output) -> Next {
        let is = |verb: &[u8]| {
            let start = text.get(..verb.len()).unwrap_or_default();
            start.eq_ignore_ascii_case(verb)
        };
        if is(b"FETCH") || is(b"UID FETCH") {
            if !literal.is_empty() {
                out.push(b"* 1 FETCH (BODY[] {");
                out.push_number(literal.len() as u64);
                out.push(b"}\r\n");
                out.push_message(literal);
                out.push(b")\r\n");
            }
        } else if is(b"IDLE") {
            out.push(b"+ idling\r\n");
            self.open_tag = Some(tag.to_vec());
            return Next::Continue;
        } else if is(b"SELECT") {
            out.push(b"* 1 EXISTS\r\n");
        } else if is(b"LOGOUT") {
            out.push(b"* BYE\r\n");
            answer(tag, b"OK done", out);
            return Next::Close;
        }
        answer(tag, b"OK done", out);
        Next::Continue
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

    fn output_of(sent: &[&[u8]], literal: &[u8]) -> (String, Next) {
        let (mut dialogue, mut out, literal) =
            (Dialogue::default(), Output::default(), Arc::from(literal));
        let mut next = Next::Continue;
        let mut output = Vec::new();
        for piece in sent {
            if next == Next::Continue {
                next = dialogue.receive(piece, &literal, &mut out);
            }
            while !out.is_empty() {
                output.extend_from_slice(out.first());
                out.advance(out.first().len());
            }
        }
        (String::from_utf8(output).unwrap(), next)
    }

    #[test]
    fn answers_do_not_depend_on_how_commands_are_cut() {
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
            assert_eq!(output_of(&[sent], b"xyz"), expected);
            for at in 1..sent.len() {
                let (before, after) = sent.split_at(at);
                assert_eq!(
                    output_of(&[before, after], b"xyz"),
                    expected,
                    "{} at {at}",
                    sent.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn an_endless_line_is_not_kept() {
        let (mut dialogue, mut out) = (Dialogue::default(), Output::default());
        for _ in 0..1_000 {
            let next = dialogue.receive(&[b'x'; 1024], &Arc::from([]), &mut out);
            assert_eq!(next, Next::Continue);
        }
        assert!(format!("{dialogue:?}").len() < 100 * crate::limits::LINE_BYTES_MAX);
    }
}
