//! Ordinary commands and their literals.

use super::foreign_protocol;
use super::frame::{Line, LiteralHead};
use super::{Append, Mode, Reader, Step};
use crate::wire::command::{Event, Malformed, Verb};
use crate::wire::grammar::{self, Head};
use crate::wire::limits::LITERAL_MINUS_MAX;
use crate::wire::syntax::cursor::ParseError;

/// Number of synchronising literals of a command after which the grammar is checked; after that
/// only when the command has doubled, so that all checks cost a few passes over the whole.
const CHECKED_SINGLY: usize = 8;

impl Reader {
    pub(super) fn command(&mut self) -> Step {
        if !self.frame.literal_is_here() {
            return Step::NeedBytes;
        }
        if self.frame.before_line() == 0
            && let Some(message) = foreign_protocol::not_imap(self.frame.held())
        {
            return self.close(Head::default(), message);
        }
        match self.frame.line(self.limits.line) {
            Line::More => Step::NeedBytes,
            Line::TooLong => {
                // Only words that end within the bound, wherever the bytes were cut.
                let text = self.frame.text(self.limits.line);
                let end = memchr::memrchr(b' ', text).unwrap_or(0);
                let known = grammar::head_of(self.frame.text(end), &self.limits, self.dialect());
                self.too_long(known)
            }
            Line::Last { end, next } => self.complete(end, next),
            Line::Literal(head) => self.literal(head),
        }
    }

    /// Parse a complete command.
    fn complete(&mut self, end: usize, next: usize) -> Step {
        let text = self.frame.text(end);
        // Of an APPEND without a literal: all its parts are URLs.
        let mut items = None;
        let parsed = if end > self.limits.command {
            Err(self.over_command(grammar::head_of(text, &self.limits, self.dialect())))
        } else {
            let literals = &self.frame.literals;
            match grammar::command(text, literals, false, &self.limits, self.dialect()) {
                Ok(command) => {
                    if let Verb::Append { .. } | Verb::Replace { .. } = command.verb {
                        let parsed = grammar::append_first(
                            text,
                            literals,
                            false,
                            &self.limits,
                            self.dialect(),
                        );
                        items = parsed.ok().map(|(_, items)| items);
                    }
                    Ok(command)
                }
                Err((head, error)) => {
                    if head.name.is_none()
                        && let Some(message) = foreign_protocol::other_protocol(text)
                    {
                        return self.close(Head::default(), message);
                    }
                    Err(grammar::malformed(head, &error, literals))
                }
            }
        };
        self.drop_command(next);
        match parsed {
            Ok(command) if items.is_some() => {
                let append = Append::new(&command, 0);
                self.announce(append, items.unwrap_or_default(), None);
                Step::Event(Event::Command(command))
            }
            Ok(command) => {
                match &command.verb {
                    Verb::Idle => self.mode = Mode::Idle(command.tag.clone()),
                    Verb::Authenticate { .. } => self.exchange = Some(command.tag.clone()),
                    _ => {}
                }
                Step::Event(Event::Command(command))
            }
            Err(malformed) => Step::Event(Event::Malformed(malformed)),
        }
    }

    /// A line of a command ends with the head of a literal.
    fn literal(&mut self, head: LiteralHead) -> Step {
        let first = self.frame.text(head.literal.head);
        let known = grammar::head_of(first, &self.limits, self.dialect());
        let has_messages = grammar::has_messages(known.name);
        if let Some(malformed) = self.disabled_literal(&head, || known) {
            return self.refuse(&head, malformed);
        }
        if has_messages {
            return self.append_head(head);
        }
        match self.ordinary_literal(&head) {
            Err(malformed) => self.refuse(&head, malformed),
            Ok(()) => self.keep(&head),
        }
    }

    /// Return the error of a non-synchronizing literal that the server does not offer (RFC 7888).
    pub(super) fn disabled_literal(
        &self,
        head: &LiteralHead,
        known: impl FnOnce() -> Head,
    ) -> Option<Malformed> {
        let disabled = self.disabled.as_ref().filter(|_| !head.waits)?;
        let size = head.size?;
        if !disabled.has_literal(size) {
            return None;
        }
        let known = known();
        // Section 5 asks for TOOBIG in the BAD of APPEND.
        let too_big = size > LITERAL_MINUS_MAX && grammar::has_messages(known.name);
        let code = too_big.then_some("TOOBIG");
        Some(Malformed {
            tag: known.tag,
            message: "expected a synchronizing literal".to_owned(),
            name: known.name,
            code,
            is_no: false,
            fatal: false,
        })
    }

    /// Accept or refuse a literal by what has arrived before it.
    pub(super) fn ordinary_literal(&mut self, head: &LiteralHead) -> Result<(), Malformed> {
        let text = self.frame.text(head.literal.data);
        self.literal_in_bounds(head, 0, || {
            grammar::head_of(text, &self.limits, self.dialect())
        })?;
        let count = self.frame.literals.len();
        if head.waits && (count < CHECKED_SINGLY || text.len() >= self.checked * 2) {
            self.check(head)?;
        }
        Ok(())
    }

    /// Check the bounds of a literal that is no message. `before` is the length of the command that is
    /// not in the frame any more.
    pub(super) fn literal_in_bounds(
        &self,
        head: &LiteralHead,
        before: usize,
        known: impl Fn() -> Head,
    ) -> Result<(), Malformed> {
        let size = head.size.and_then(|size| usize::try_from(size).ok());
        let Some(size) = size.filter(|size| *size <= self.limits.literal) else {
            let message = format!("literal over {} bytes", self.limits.literal);
            return Err(Self::value_too_big(known(), message));
        };
        let end = head.literal.data.saturating_add(size);
        if end.saturating_add(before) > self.limits.command {
            return Err(self.over_command(known()));
        }
        if self.frame.literals.len() >= self.limits.items {
            let error = ParseError::Over("literals in a command", self.limits.items);
            return Err(grammar::malformed(known(), &error, &[]));
        }
        Ok(())
    }

    /// Parse up to a literal, so that an error before it is reported without asking for it.
    fn check(&mut self, head: &LiteralHead) -> Result<(), Malformed> {
        let mut literals = std::mem::take(&mut self.frame.literals);
        literals.push(head.literal);
        let text = self.frame.text(head.literal.data);
        let outcome = match grammar::command(text, &literals, true, &self.limits, self.dialect()) {
            Err((_, ParseError::Pending)) | Ok(_) => Ok(()),
            Err((known, error)) => Err(grammar::malformed(known, &error, &literals)),
        };
        literals.pop();
        self.checked = text.len();
        self.frame.literals = literals;
        outcome
    }

    pub(super) fn keep(&mut self, head: &LiteralHead) -> Step {
        self.frame.keep_literal(head.literal);
        self.mode = Mode::Command;
        if head.waits {
            Step::Event(Event::LiteralWanted(head.size.unwrap_or(0)))
        } else {
            Step::Continue
        }
    }

    /// Refuse a literal. A client that waits gets the response at once, which ends the command; a
    /// client that does not wait sends the remainder, which is skipped first.
    pub(super) fn refuse(&mut self, head: &LiteralHead, malformed: Malformed) -> Step {
        let Some(size) = head.size.or(head.waits.then_some(0)) else {
            let known = Head {
                tag: malformed.tag,
                name: malformed.name,
            };
            return self.close(known, super::NO_SIZE);
        };
        self.drop_command(head.literal.data);
        if head.waits {
            return Step::Event(Event::Malformed(malformed));
        }
        self.mode = Mode::Skip(size, Some(malformed));
        Step::Continue
    }
}
