//! Lines that are no commands: DONE, SASL responses, and what is skipped.

use super::{Mode, Reader, Step};
use crate::wire::base64;
use crate::wire::command::{Event, Malformed};
use crate::wire::cursor::Fault;
use crate::wire::frame::Line;
use crate::wire::grammar::{self, Head};

impl Reader {
    pub(super) fn idle(&mut self, tag: Vec<u8>) -> Step {
        match self.frame.line(self.limits.line) {
            Line::More => {
                self.mode = Mode::Idle(tag);
                return Step::Wait;
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
                return Step::Say(Event::IdleDone);
            }
            // Nobody waits for an answer in vain: the line is the next command.
            Line::Last { .. } | Line::Literal(_) => {}
        }
        let known = Head {
            tag: Some(tag),
            name: Some("IDLE"),
        };
        let fault = Fault::Expected("DONE", 0);
        Step::Say(Event::Malformed(grammar::malformed(known, &fault, &[])))
    }

    pub(super) fn not_idle(&mut self) -> Step {
        match self.frame.line(self.limits.line) {
            Line::More => {
                self.mode = Mode::NotIdle;
                return Step::Wait;
            }
            Line::Last { end, next } if is_done(self.frame.text(end)) => self.drop_command(next),
            _ => {} // a command, after all
        }
        Step::Go
    }

    /// ```abnf
    /// *(CRLF base64)          ; of authenticate; or "*", which cancels
    /// ```
    pub(super) fn response(&mut self) -> Step {
        let (end, next) = match self.frame.line(self.limits.line) {
            Line::More => {
                self.mode = Mode::Exchange;
                return Step::Wait;
            }
            Line::TooLong => {
                let known = Head {
                    tag: self.exchange.take(),
                    name: Some("AUTHENTICATE"),
                };
                return self.too_long(known);
            }
            Line::Last { end, next } => (end, next),
            Line::Literal(head) => (head.literal.data, head.literal.data), // no base64 either
        };
        let text = self.frame.text(end);
        let event = if text == b"*" {
            Event::SaslResponse(None)
        } else if let Some(octets) = base64::decode(text) {
            Event::SaslResponse(Some(octets))
        } else {
            let known = Head {
                tag: self.exchange.clone(),
                name: Some("AUTHENTICATE"),
            };
            Event::Malformed(grammar::malformed(
                known,
                &Fault::Expected("base64", 0),
                &[],
            ))
        };
        self.drop_command(next);
        Step::Say(event)
    }

    /// Count off octets, then lines with their literals, up to the end of the command.
    pub(super) fn skip(&mut self, left: u64, malformed: Option<Malformed>) -> Step {
        if left > 0 {
            let octets = left.min(self.frame.held().len() as u64);
            self.drop_command(usize::try_from(octets).unwrap_or(usize::MAX));
            self.mode = Mode::Skip(left - octets, malformed);
            return if octets < left { Step::Wait } else { Step::Go };
        }
        let next = match self.frame.line(self.limits.line) {
            Line::More => {
                self.mode = Mode::Skip(0, malformed);
                return Step::Wait;
            }
            Line::TooLong => return self.too_long(known_of(malformed)),
            Line::Last { next, .. } => next,
            Line::Literal(head) if head.waits => head.literal.data,
            Line::Literal(head) => {
                let Some(size) = head.size else {
                    return self.die(known_of(malformed), super::ENDLESS);
                };
                self.drop_command(head.literal.data);
                self.mode = Mode::Skip(size, malformed);
                return Step::Go;
            }
        };
        self.drop_command(next);
        malformed.map_or(Step::Go, |said| Step::Say(Event::Malformed(said)))
    }
}

fn known_of(malformed: Option<Malformed>) -> Head {
    malformed.map_or_else(Head::default, |said| Head {
        tag: said.tag,
        name: said.name,
    })
}

/// Lenient as everywhere: spaces before the line end.
fn is_done(text: &[u8]) -> bool {
    text.trim_ascii_end().eq_ignore_ascii_case(b"DONE")
}
