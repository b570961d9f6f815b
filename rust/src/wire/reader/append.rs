//! APPEND: its messages and their literals.

use super::frame::{Line, LiteralHead};
use super::{Append, Mode, NO_SIZE, Pending, Reader, Step};
use crate::wire::command::{AppendMessage, Command, Event, Verb};
use crate::wire::grammar::{self, AppendHead, Head};
use crate::wire::syntax::cursor::{Literal, ParseError};

impl Append {
    fn head(&self) -> Head {
        Head {
            tag: Some(self.tag.clone()),
            name: Some("APPEND"),
        }
    }
}

impl Reader {
    /// A line of APPEND ends with a literal: its mailbox, or its first message.
    pub(super) fn append_head(&mut self, head: LiteralHead) -> Step {
        let mut literals = std::mem::take(&mut self.frame.literals);
        literals.push(head.literal);
        let text = self.frame.text(head.literal.data);
        let outcome = grammar::append_first(text, &literals, &self.limits, self.dialect());
        let tag = grammar::head_of(text, &self.limits, self.dialect())
            .tag
            .unwrap_or_default();
        let text_len = text.len();
        let faulty = outcome
            .as_ref()
            .err()
            .map(|(known, error)| grammar::malformed(known.clone(), error, &literals));
        literals.pop();
        self.frame.literals = literals;
        match outcome {
            Err((_, ParseError::Pending)) => match self.ordinary_literal(&head) {
                Err(malformed) => self.refuse(&head, malformed),
                Ok(()) => self.keep(&head),
            },
            Err(_) => match faulty {
                Some(malformed) => self.refuse(&head, malformed),
                None => Step::Continue,
            },
            Ok((mailbox, message)) => {
                let Some(message) = self.append_message(message, &head) else {
                    let known = Head {
                        tag: Some(tag),
                        name: Some("APPEND"),
                    };
                    return self.close(known, NO_SIZE);
                };
                self.drop_command(head.literal.data);
                let append = Append {
                    tag: tag.clone(),
                    text: text_len,
                };
                self.mode = Mode::Announced(append, message);
                Step::Event(Event::Command(Command {
                    tag,
                    verb: Verb::Append { mailbox },
                }))
            }
        }
    }

    /// None for an invalid size.
    fn append_message(&self, message: AppendHead, head: &LiteralHead) -> Option<AppendMessage> {
        let size = head
            .size
            .or(head.waits.then_some(i64::MAX.unsigned_abs()))?;
        Some(AppendMessage {
            flags: message.flags,
            date: message.date,
            size,
            waits: head.waits,
            binary: head.literal.binary,
            utf8: message.utf8,
            too_big: size > self.limits.append,
        })
    }

    pub(super) fn message(&mut self, append: Append, pending: Pending, left: u64) -> Step {
        if left == 0 {
            self.mode = Mode::AfterMessage(append, pending);
            return Step::Event(Event::AppendMessageEnd);
        }
        let bytes = self.frame.take(left);
        let left = left.saturating_sub(bytes.len() as u64);
        self.mode = Mode::Message {
            append,
            pending,
            left,
        };
        if bytes.is_empty() {
            Step::NeedBytes
        } else {
            Step::Event(Event::AppendData(bytes))
        }
    }

    pub(super) fn after_message(&mut self, mut append: Append, pending: Pending) -> Step {
        let line = self.frame.line(self.limits.line);
        let (end, next, head) = match line {
            Line::More => {
                self.mode = Mode::AfterMessage(append, pending);
                return Step::NeedBytes;
            }
            Line::TooLong => {
                return self.too_long(append.head());
            }
            Line::Last { end, next } => (end, next, None),
            Line::Literal(head) => (head.literal.data, head.literal.data, Some(head)),
        };
        append.text = append.text.saturating_add(next);
        let literals: Vec<Literal> = head.iter().map(|head| head.literal).collect();
        let text = self.frame.text(end);
        let outcome =
            grammar::append_next(text, &literals, pending.utf8, &self.limits, self.dialect())
                .map_err(|error| grammar::malformed(append.head(), &error, &literals))
                .and_then(|message| {
                    if append.text > self.limits.command {
                        Err(self.over_command(append.head()))
                    } else {
                        Ok(message)
                    }
                });
        match (outcome, head) {
            (Err(malformed), Some(head)) => self.refuse(&head, malformed),
            (Err(malformed), None) => {
                self.drop_command(next);
                Step::Event(Event::Malformed(malformed))
            }
            (Ok(Some(message)), Some(head)) => {
                let Some(message) = self.append_message(message, &head) else {
                    return self.close(append.head(), NO_SIZE);
                };
                self.drop_command(next);
                self.mode = Mode::Announced(append, message);
                Step::Continue
            }
            (Ok(_), _) => {
                self.drop_command(next);
                Step::Event(Event::AppendEnd)
            }
        }
    }
}
