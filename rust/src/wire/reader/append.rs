//! APPEND and REPLACE: their messages, and the literals of these.

use super::frame::{Line, LiteralHead};
use super::{Append, Mode, NO_SIZE, Pending, Reader, Step};
use crate::wire::command::{AppendMessage, AppendText, Command, Event, Malformed, Verb};
use crate::wire::grammar::{self, AppendItem, Head, Place};
use crate::wire::syntax::cursor::{Literal, ParseError};

impl Append {
    /// Start with a command whose lines so far have `text` bytes.
    pub(super) fn new(command: &Command, text: usize) -> Self {
        let name = match command.verb {
            Verb::Replace { uid: false, .. } => "REPLACE",
            Verb::Replace { uid: true, .. } => "UID REPLACE",
            _ => "APPEND",
        };
        Self {
            tag: command.tag.clone(),
            name,
            text,
        }
    }

    fn head(&self) -> Head {
        Head {
            tag: Some(self.tag.clone()),
            name: Some(self.name),
        }
    }

    /// True if it has one message only.
    fn is_single(&self) -> bool {
        self.name != "APPEND"
    }
}

impl Reader {
    /// The first line of APPEND ends with a literal: its mailbox, a URL, a message or a TEXT.
    pub(super) fn append_head(&mut self, head: LiteralHead) -> Step {
        let mut literals = std::mem::take(&mut self.frame.literals);
        literals.push(head.literal);
        let text = self.frame.text(head.literal.data);
        let outcome = grammar::append_first(text, &literals, true, &self.limits, self.dialect());
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
            Ok((verb, items)) => {
                let command = Command { tag, verb };
                let append = Append::new(&command, text_len);
                self.drop_command(head.literal.data);
                match self.announce(append, items, Some(&head)) {
                    Some(closed) => closed,
                    None => Step::Event(Event::Command(command)),
                }
            }
        }
    }

    /// Queue the events of parsed items, and enter the mode that follows them.
    ///
    /// Return a step that closes the connection if the literal has an invalid size.
    pub(super) fn announce(
        &mut self,
        append: Append,
        items: Vec<AppendItem>,
        literal: Option<&LiteralHead>,
    ) -> Option<Step> {
        let mut pending = None;
        for item in items {
            if item.has_literal() {
                let size = literal.and_then(literal_size);
                let (Some(literal), Some(size)) = (literal, size) else {
                    return Some(self.close(append.head(), NO_SIZE));
                };
                pending = Some(Pending {
                    size,
                    waits: literal.waits,
                    utf8: false,
                    text: matches!(item, AppendItem::Text),
                    too_big: size > self.limits.append,
                });
            }
            let event = match item {
                AppendItem::Message(head) => {
                    if let Some(pending) = &mut pending {
                        pending.utf8 = head.utf8;
                    }
                    Event::AppendMessage(AppendMessage {
                        flags: head.flags,
                        date: head.date,
                        size: pending.map_or(0, |pending| pending.size),
                        waits: pending.is_some_and(|pending| pending.waits),
                        binary: pending.is_some()
                            && literal.is_some_and(|literal| literal.literal.binary),
                        utf8: head.utf8,
                        catenate: head.catenate,
                        too_big: pending.is_some_and(|pending| pending.too_big),
                    })
                }
                AppendItem::Url(url) => Event::AppendUrl(url),
                AppendItem::Text => Event::AppendText(AppendText {
                    size: pending.map_or(0, |pending| pending.size),
                    waits: pending.is_some_and(|pending| pending.waits),
                    too_big: pending.is_some_and(|pending| pending.too_big),
                }),
                AppendItem::End => Event::AppendMessageEnd,
            };
            self.queue.push_back(event);
        }
        match pending {
            Some(pending) => self.mode = Mode::Undecided(append, pending),
            None => self.queue.push_back(Event::AppendEnd),
        }
        None
    }

    pub(super) fn message(&mut self, append: Append, pending: Pending, left: u64) -> Step {
        if left == 0 {
            self.mode = Mode::AfterMessage(append, pending);
            return if pending.text {
                Step::Continue
            } else {
                Step::Event(Event::AppendMessageEnd)
            };
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

    /// After the literal of a message or of a TEXT.
    pub(super) fn after_message(&mut self, mut append: Append, pending: Pending) -> Step {
        if !self.frame.literal_is_here() {
            self.mode = Mode::AfterMessage(append, pending);
            return Step::NeedBytes;
        }
        let (end, next, head) = match self.frame.line(self.limits.line) {
            Line::More => {
                self.mode = Mode::AfterMessage(append, pending);
                return Step::NeedBytes;
            }
            Line::TooLong => {
                return self.too_long(append.head());
            }
            Line::Last { end, next } => (end, next, None),
            Line::Literal(head) => {
                if let Some(malformed) = self.disabled_literal(&head, || append.head()) {
                    return self.refuse(&head, malformed);
                }
                (head.literal.data, head.literal.data, Some(head))
            }
        };
        let (outcome, is_url) = self.parse_next(&append, pending, end, head.as_ref());
        match (outcome, head) {
            (Ok(_), Some(head)) if is_url => {
                self.frame.keep_literal(head.literal);
                self.mode = Mode::AfterMessage(append, pending);
                if head.waits {
                    Step::Event(Event::LiteralWanted(head.size.unwrap_or(0)))
                } else {
                    Step::Continue
                }
            }
            (Err(malformed), Some(head)) => self.refuse(&head, malformed),
            (Err(malformed), None) => {
                self.drop_command(next);
                Step::Event(Event::Malformed(malformed))
            }
            (Ok(items), head) => {
                append.text = append.text.saturating_add(next);
                self.drop_command(next);
                self.announce(append, items, head.as_ref())
                    .unwrap_or(Step::Continue)
            }
        }
    }

    /// Parse the text after a literal, up to `end`. Return the items, and True if the literal at its
    /// end is a URL, so that there are none yet.
    fn parse_next(
        &self,
        append: &Append,
        pending: Pending,
        end: usize,
        head: Option<&LiteralHead>,
    ) -> (Result<Vec<AppendItem>, Malformed>, bool) {
        let mut literals: Vec<Literal> = self.frame.literals.clone();
        literals.extend(head.map(|head| head.literal));
        let place = if pending.text {
            Place::AfterText
        } else {
            Place::AfterMessage {
                closing: pending.utf8,
            }
        };
        let parsed = grammar::append_next(
            self.frame.text(end),
            &literals,
            head.is_some(),
            (place, append.is_single()),
            &self.limits,
            self.dialect(),
        );
        match (parsed, head) {
            (Err(ParseError::Pending), Some(head)) => {
                let checked = self.literal_in_bounds(head, append.text, || append.head());
                (checked.map(|()| Vec::new()), true)
            }
            (Err(error), _) => {
                let malformed = grammar::malformed(append.head(), &error, &literals);
                (Err(malformed), false)
            }
            (Ok(_), _) if append.text.saturating_add(end) > self.limits.command => {
                (Err(self.over_command(append.head())), false)
            }
            (Ok(items), _) => (Ok(items), false),
        }
    }
}

/// None for an invalid size.
fn literal_size(literal: &LiteralHead) -> Option<u64> {
    literal
        .size
        .or(literal.waits.then_some(i64::MAX.unsigned_abs()))
}
