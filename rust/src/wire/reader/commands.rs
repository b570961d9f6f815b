//! Ordinary commands and their literals.

use super::{Mode, Reader, Step};
use crate::wire::command::{Event, Malformed, Verb};
use crate::wire::cursor::Fault;
use crate::wire::frame::{Line, LiteralHead};
use crate::wire::grammar::{self, Head};
use crate::wire::greeting;

/// So many waiting literals of a command are checked one by one; then only when the command has
/// doubled, so that all checks together cost no more than some readings of the whole.
const CHECKED_SINGLY: usize = 8;

impl Reader {
    pub(super) fn command(&mut self) -> Step {
        if !self.frame.literal_is_here() {
            return Step::Wait;
        }
        if self.frame.before_line() == 0
            && let Some(message) = greeting::not_imap(self.frame.held())
        {
            return self.die(Head::default(), message);
        }
        match self.frame.line(self.limits.line) {
            Line::More => Step::Wait,
            Line::TooLong => {
                // Only words that end within the bound, wherever the octets were cut.
                let text = self.frame.text(self.limits.line);
                let end = memchr::memrchr(b' ', text).unwrap_or(0);
                let known = grammar::head_of(self.frame.text(end), &self.limits);
                self.too_long(known)
            }
            Line::Last { end, next } => self.complete(end, next),
            Line::Literal(head) => self.literal(head),
        }
    }

    /// A command is here to its last line.
    fn complete(&mut self, end: usize, next: usize) -> Step {
        let text = self.frame.text(end);
        let parsed = if end > self.limits.command {
            Err(self.over_command(grammar::head_of(text, &self.limits)))
        } else {
            let literals = &self.frame.literals;
            match grammar::command(text, literals, false, &self.limits, self.utf8) {
                Ok(command) => Ok(command),
                Err((head, fault)) => {
                    if head.name.is_none()
                        && let Some(message) = greeting::other_protocol(text)
                    {
                        return self.die(Head::default(), message);
                    }
                    Err(grammar::malformed(head, &fault, literals))
                }
            }
        };
        self.drop_command(next);
        match parsed {
            Ok(command) => {
                match &command.verb {
                    Verb::Idle => self.mode = Mode::Idle(command.tag.clone()),
                    Verb::Authenticate { .. } => self.exchange = Some(command.tag.clone()),
                    _ => {}
                }
                Step::Say(Event::Command(command))
            }
            Err(malformed) => Step::Say(Event::Malformed(malformed)),
        }
    }

    /// A line of a command ends with the head of a literal.
    fn literal(&mut self, head: LiteralHead) -> Step {
        let first = self.frame.text(head.literal.head);
        if grammar::head_of(first, &self.limits).name == Some("APPEND") {
            return self.append_head(head);
        }
        match self.ordinary_literal(&head) {
            Err(malformed) => self.refuse(&head, malformed),
            Ok(()) => self.keep(&head),
        }
    }

    /// An ordinary literal is welcome, so far as can be seen before it is here.
    pub(super) fn ordinary_literal(&mut self, head: &LiteralHead) -> Result<(), Malformed> {
        let text = self.frame.text(head.literal.data);
        let size = head.size.and_then(|size| usize::try_from(size).ok());
        let Some(size) = size.filter(|size| *size <= self.limits.literal) else {
            let message = format!("literal over {} octets", self.limits.literal);
            return Err(Self::too_big(grammar::head_of(text, &self.limits), message));
        };
        if head.literal.data.saturating_add(size) > self.limits.command {
            return Err(self.over_command(grammar::head_of(text, &self.limits)));
        }
        let count = self.frame.literals.len();
        if count >= self.limits.items {
            let fault = Fault::Over("literals in a command", self.limits.items);
            let known = grammar::head_of(text, &self.limits);
            return Err(grammar::malformed(known, &fault, &[]));
        }
        if head.waits && (count < CHECKED_SINGLY || text.len() >= self.checked * 2) {
            self.check(head)?;
        }
        Ok(())
    }

    /// Read what is here up to a literal: what is wrong before it is said without asking for it.
    fn check(&mut self, head: &LiteralHead) -> Result<(), Malformed> {
        let mut literals = std::mem::take(&mut self.frame.literals);
        literals.push(head.literal);
        let text = self.frame.text(head.literal.data);
        let outcome = match grammar::command(text, &literals, true, &self.limits, self.utf8) {
            Err((_, Fault::Pending)) | Ok(_) => Ok(()),
            Err((known, fault)) => Err(grammar::malformed(known, &fault, &literals)),
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
            Step::Say(Event::LiteralWanted(head.size.unwrap_or(0)))
        } else {
            Step::Go
        }
    }

    /// A literal is not taken. Who waits hears so at once, and that is the end of the command;
    /// who does not wait sends the rest, which is skipped first.
    pub(super) fn refuse(&mut self, head: &LiteralHead, malformed: Malformed) -> Step {
        let Some(size) = head.size.or(head.waits.then_some(0)) else {
            let known = Head {
                tag: malformed.tag,
                name: malformed.name,
            };
            return self.die(known, super::ENDLESS);
        };
        self.drop_command(head.literal.data);
        if head.waits {
            return Step::Say(Event::Malformed(malformed));
        }
        self.mode = Mode::Skip(size, Some(malformed));
        Step::Go
    }
}
