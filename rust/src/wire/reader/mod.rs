//! Input of one connection: bytes in, events out, in the order received.

mod append;
mod commands;
mod foreign_protocol;
mod frame;
mod lines;

use std::collections::VecDeque;
use std::sync::Arc;

use self::frame::Frame;
use super::command::{Event, Malformed};
use super::disabled::{Dialect, DisabledSyntax};
use super::grammar::Head;
use super::limits::{Limits, METADATA_TOO_LARGE};

/// Error for a non-synchronising literal with an impossible size.
const NO_SIZE: &str = "expected a literal that can end";
const NO_LITERAL: &str = "no literal of APPEND is pending";

/// See `CommandReader` in `_core.pyi`.
#[derive(Debug, Default)]
pub struct Reader {
    /// Bounds; may be replaced between commands.
    pub limits: Limits,
    /// Mailbox names are UTF-8, not modified UTF-7.
    pub utf8: bool,
    /// Syntax that is treated as unknown; may be replaced between commands.
    pub disabled: Option<Arc<DisabledSyntax>>,
    frame: Frame,
    mode: Mode,
    /// Events of an APPEND that come before those of `mode`.
    queue: VecDeque<Event>,
    /// Length of the command when its grammar was last checked.
    checked: usize,
    /// Tag of AUTHENTICATE, for errors in its exchange.
    exchange: Option<Vec<u8>>,
}

#[derive(Debug, Default)]
enum Mode {
    /// A command, or the middle of one.
    #[default]
    Command,
    /// After IDLE: DONE.
    Idle(Vec<u8>),
    /// IDLE was refused: a DONE that follows is skipped.
    NotIdle,
    /// A SASL response.
    Exchange,
    /// A literal is announced: after the queue, the caller accepts or refuses it.
    Undecided(Append, Pending),
    /// Bytes of a message or TEXT.
    Message {
        append: Append,
        pending: Pending,
        left: u64,
    },
    /// After a message or TEXT: the end of the line, or another one.
    AfterMessage(Append, Pending),
    /// Skip bytes of a literal, then what remains of the command; then return the error.
    Skip(u64, Option<Malformed>),
    /// Skip a line over the bound, then what remains of the command; then return the error.
    LongLine(Option<Malformed>),
    /// Framing is lost: input is discarded.
    Closed,
}

/// An APPEND or REPLACE being read.
#[derive(Debug, Default)]
struct Append {
    tag: Vec<u8>,
    name: &'static str,
    /// Bytes of its lines so far.
    text: usize,
}

/// A message or TEXT whose literal was announced.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools)] // each is a thing of its own
struct Pending {
    size: u64,
    waits: bool,
    /// `UTF8 (~{n}`
    utf8: bool,
    /// A TEXT of CATENATE.
    text: bool,
    too_big: bool,
}

impl Reader {
    /// Create a reader for a new connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    fn dialect(&self) -> Dialect<'_> {
        Dialect {
            utf8: self.utf8,
            disabled: self.disabled.as_deref(),
        }
    }

    /// Add received bytes.
    pub fn feed(&mut self, data: &[u8]) {
        if !matches!(self.mode, Mode::Closed) {
            self.frame.feed(data);
        }
    }

    /// Return the next event; None if more bytes, or a decision on a literal of APPEND, are
    /// required.
    #[allow(clippy::should_implement_trait)] // an iterator would not continue after None
    pub fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            let step = match std::mem::take(&mut self.mode) {
                Mode::Command => self.command(),
                Mode::Idle(tag) => self.idle(tag),
                Mode::NotIdle => self.not_idle(),
                Mode::Exchange => self.response(),
                Mode::Message {
                    append,
                    pending,
                    left,
                } => self.message(append, pending, left),
                Mode::AfterMessage(append, pending) => self.after_message(append, pending),
                Mode::Skip(left, malformed) => self.skip(left, malformed),
                Mode::LongLine(malformed) => self.long_line(malformed),
                waiting @ (Mode::Undecided(..) | Mode::Closed) => {
                    self.mode = waiting;
                    Step::NeedBytes
                }
            };
            match step {
                Step::Event(event) => return Some(event),
                Step::NeedBytes => return None,
                Step::Continue => {}
            }
        }
    }

    /// Read the next line as a SASL response.
    pub fn expect_sasl(&mut self) {
        self.mode = Mode::Exchange;
    }

    /// Accept the message or TEXT whose head was returned.
    ///
    /// # Errors
    /// No literal is pending, or it is too big.
    pub fn accept_literal(&mut self) -> Result<(), &'static str> {
        match std::mem::take(&mut self.mode) {
            Mode::Undecided(append, pending) if !pending.too_big && self.queue.is_empty() => {
                self.mode = Mode::Message {
                    append,
                    pending,
                    left: pending.size,
                };
                Ok(())
            }
            other => {
                let too_big = matches!(other, Mode::Undecided(..)) && self.queue.is_empty();
                self.mode = other;
                Err(if too_big {
                    "the message is too big"
                } else {
                    NO_LITERAL
                })
            }
        }
    }

    /// Skip what remains of this APPEND; do nothing if it has ended.
    pub fn refuse_literal(&mut self) {
        self.queue.clear();
        let (size, waits) = match &self.mode {
            Mode::Undecided(_, pending) => (pending.size, pending.waits),
            Mode::Message { left, .. } => (*left, false),
            Mode::AfterMessage(..) => (0, false),
            _ => return,
        };
        // A client that waits for "+" gets NO and sends nothing more (RFC 9051 section 2.2.1).
        self.mode = if waits {
            Mode::Command
        } else {
            Mode::Skip(size, None)
        };
    }

    /// True between `AppendMessage`, or `AppendText`, and the decision.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        matches!(self.mode, Mode::Undecided(..)) && self.queue.is_empty()
    }

    /// Refuse IDLE: commands follow. A pipelined DONE is skipped.
    pub fn refuse_idle(&mut self) {
        if matches!(self.mode, Mode::Idle(_)) {
            self.mode = Mode::NotIdle;
        }
    }

    /// Bytes received and not yet parsed.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.frame.held().len()
    }

    /// Discard unparsed bytes and return their number. Commands follow.
    pub fn clear(&mut self) -> usize {
        self.mode = Mode::Command;
        self.queue.clear();
        self.checked = 0;
        self.frame.clear()
    }

    /// True in the middle of a command.
    #[must_use]
    pub fn partial(&self) -> bool {
        let between = matches!(
            self.mode,
            Mode::Command | Mode::Idle(_) | Mode::NotIdle | Mode::Exchange | Mode::Closed
        );
        !between || self.buffered() > 0 || !self.queue.is_empty()
    }

    /// Drop the command that ends before `next`.
    fn drop_command(&mut self, next: usize) {
        self.frame.drop_to(next);
        self.checked = 0;
    }

    /// Return a fatal error and discard all further input.
    fn close(&mut self, known: Head, message: &str) -> Step {
        self.frame.clear();
        self.queue.clear();
        self.mode = Mode::Closed;
        Step::Event(Event::Malformed(Malformed {
            tag: known.tag,
            message: message.to_owned(),
            name: known.name,
            code: None,
            is_no: false,
            fatal: true,
        }))
    }

    /// Refuse a line over the bound. The connection continues if the tag is known; else the client
    /// would wait for a response for ever, or does not send commands.
    fn too_long(&mut self, known: Head) -> Step {
        let message = format!("line over {} bytes", self.limits.line);
        if known.tag.is_none() {
            return self.close(known, &message);
        }
        self.long_line(Some(Self::value_too_big(known, message)))
    }

    /// Build the error for input over the bound that `message` names.
    fn too_big(known: Head, message: String) -> Malformed {
        Malformed {
            tag: known.tag,
            message,
            name: known.name,
            code: Some("TOOBIG"),
            is_no: true,
            fatal: false,
        }
    }

    /// As `too_big`, for a line or a literal, which in SETMETADATA has an annotation's value.
    fn value_too_big(known: Head, message: String) -> Malformed {
        let mut malformed = Self::too_big(known, message);
        if malformed.name == Some("SETMETADATA") {
            malformed.code = Some(METADATA_TOO_LARGE);
        }
        malformed
    }

    fn over_command(&self, known: Head) -> Malformed {
        Self::too_big(known, format!("command over {} bytes", self.limits.command))
    }
}

/// Result of one step of the reader.
enum Step {
    /// An event for the caller.
    Event(Event),
    /// More bytes, or a decision of the caller, are required.
    NeedBytes,
    /// Repeat: the mode has changed.
    Continue,
}
