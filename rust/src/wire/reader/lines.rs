//! Lines that are not commands: DONE, SASL responses, and skipped input.

use super::frame::{Line, LiteralHead};
use super::{Mode, Reader, Step};
use crate::wire::command::{Event, Malformed};
use crate::wire::grammar::{self, Head};
use crate::wire::syntax::base64;
use crate::wire::syntax::cursor::ParseError;

impl Reader {
    pub(super) fn idle(&mut self, tag: Vec<u8>) -> Step {
        match self.frame.line(self.limits.line) {
            Line::More => {
                self.mode = Mode::Idle(tag);
                return Step::NeedBytes;
            }
            Line::TooLong => {
                let known = Head {
                    tag: Some(tag),
                    name: Some("IDLE"),
                };
                return self.too_long(known);
            }
            Line::Last { end, next } if is_done(self.frame.text(end)) => {
                self.drop_command(next);
                return Step::Event(Event::IdleDone);
            }
            // The line is the next command, so that it gets its response.
            Line::Last { .. } | Line::Literal(_) => {}
        }
        let known = Head {
            tag: Some(tag),
            name: Some("IDLE"),
        };
        let error = ParseError::Expected("DONE", 0);
        Step::Event(Event::Malformed(grammar::malformed(known, &error, &[])))
    }

    pub(super) fn not_idle(&mut self) -> Step {
        match self.frame.line(self.limits.line) {
            Line::More => {
                self.mode = Mode::NotIdle;
                return Step::NeedBytes;
            }
            Line::Last { end, next } if is_done(self.frame.text(end)) => self.drop_command(next),
            _ => {} // a command
        }
        Step::Continue
    }

    /// ```abnf
    /// *(CRLF base64)          ; of authenticate; or "*", which cancels
    /// ```
    pub(super) fn response(&mut self) -> Step {
        let (end, next) = match self.frame.line(self.limits.line) {
            Line::More => {
                self.mode = Mode::Exchange;
                return Step::NeedBytes;
            }
            Line::TooLong => {
                let known = Head {
                    tag: self.exchange.take(),
                    name: Some("AUTHENTICATE"),
                };
                return self.too_long(known);
            }
            Line::Last { end, next } => (end, next),
            Line::Literal(head) => (head.literal.data, head.literal.data), // not base64
        };
        let text = self.frame.text(end);
        let event = if text == b"*" {
            Event::SaslResponse(None)
        } else if let Some(bytes) = base64::decode(text) {
            Event::SaslResponse(Some(bytes))
        } else {
            let known = Head {
                tag: self.exchange.clone(),
                name: Some("AUTHENTICATE"),
            };
            Event::Malformed(grammar::malformed(
                known,
                &ParseError::Expected("base64", 0),
                &[],
            ))
        };
        self.drop_command(next);
        Step::Event(event)
    }

    /// Skip bytes, then lines with their literals, up to the end of the command.
    pub(super) fn skip(&mut self, left: u64, malformed: Option<Malformed>) -> Step {
        if left > 0 {
            let bytes = left.min(self.frame.held().len() as u64);
            self.drop_command(usize::try_from(bytes).unwrap_or(usize::MAX));
            self.mode = Mode::Skip(left - bytes, malformed);
            return if bytes < left {
                Step::NeedBytes
            } else {
                Step::Continue
            };
        }
        let line = match self.frame.line(self.limits.line) {
            Line::More => {
                self.mode = Mode::Skip(0, malformed);
                return Step::NeedBytes;
            }
            Line::TooLong => return self.long_line(malformed),
            line => line,
        };
        self.skipped(line, malformed)
    }

    /// Skip a line over the bound, then what remains of the command.
    pub(super) fn long_line(&mut self, malformed: Option<Malformed>) -> Step {
        match self.frame.skip_line() {
            Line::More => {
                self.mode = Mode::LongLine(malformed);
                Step::NeedBytes
            }
            line => self.skipped(line, malformed),
        }
    }

    /// Continue after a skipped line.
    fn skipped(&mut self, line: Line, malformed: Option<Malformed>) -> Step {
        let next = match line {
            Line::Last { next, .. } => next,
            Line::Literal(head) if head.waits => head.literal.data,
            Line::Literal(LiteralHead {
                size: Some(size),
                literal,
                ..
            }) => {
                self.drop_command(literal.data);
                self.mode = Mode::Skip(size, malformed);
                return Step::Continue;
            }
            Line::Literal(_) | Line::TooLong | Line::More => {
                return self.close(known_of(malformed), super::NO_SIZE);
            }
        };
        self.drop_command(next);
        malformed.map_or(Step::Continue, |error| Step::Event(Event::Malformed(error)))
    }
}

fn known_of(malformed: Option<Malformed>) -> Head {
    malformed.map_or_else(Head::default, |error| Head {
        tag: error.tag,
        name: error.name,
    })
}

/// Lenient: spaces before the line end.
fn is_done(text: &[u8]) -> bool {
    text.trim_ascii_end().eq_ignore_ascii_case(b"DONE")
}
