//! One connection's input: octets in, what the client said out, in the order received.

mod append;
mod commands;
mod lines;

use super::command::{AppendMessage, Event, Malformed};
use super::frame::Frame;
use super::grammar::Head;
use super::limits::Limits;

/// Said of a literal that does not wait and is announced with no possible size.
const ENDLESS: &str = "expected a literal that can end";
const NO_LITERAL: &str = "no message of APPEND waits to be accepted";

/// See `CommandReader` in `_core.pyi`.
#[derive(Debug, Default)]
pub struct Reader {
    /// Bounds; may be exchanged between commands.
    pub limits: Limits,
    /// Mailbox names are UTF-8, not modified UTF-7.
    pub utf8: bool,
    frame: Frame,
    mode: Mode,
    /// Length of the command when its grammar was last checked.
    checked: usize,
    /// The tag of AUTHENTICATE, for what goes wrong in its exchange.
    exchange: Option<Vec<u8>>,
}

#[derive(Debug, Default)]
enum Mode {
    /// A command, or the middle of one.
    #[default]
    Command,
    /// Behind IDLE: DONE.
    Idle(Vec<u8>),
    /// IDLE was refused: DONE is passed over if it comes next.
    NotIdle,
    /// A SASL response.
    Exchange,
    /// `Append` was given, the head of its first message is next.
    Announced(Append, AppendMessage),
    /// `AppendMessage` was given: accept or refuse.
    Undecided(Append, Pending),
    /// Octets of a message.
    Message {
        append: Append,
        pending: Pending,
        left: u64,
        has_nul: bool,
    },
    /// Behind a message: the end of the line, or another message.
    Behind(Append, Pending),
    /// Octets of a literal, then the rest of a command, are not wanted; what to say at its end.
    Skip(u64, Option<Malformed>),
    /// Nothing is understood any more.
    Dead,
}

/// An APPEND that has begun.
#[derive(Debug, Default)]
struct Append {
    tag: Vec<u8>,
    /// Octets of its lines so far.
    text: usize,
}

/// A message whose head was read.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools)] // as in `AppendMessage`
struct Pending {
    size: u64,
    waits: bool,
    binary: bool,
    utf8: bool,
    too_big: bool,
}

impl Pending {
    fn of(message: &AppendMessage) -> Self {
        let AppendMessage {
            size,
            waits,
            binary,
            utf8,
            too_big,
            ..
        } = *message;
        Self {
            size,
            waits,
            binary,
            utf8,
            too_big,
        }
    }
}

impl Reader {
    /// A reader at the beginning of a connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Take octets as they came.
    pub fn feed(&mut self, data: &[u8]) {
        if !matches!(self.mode, Mode::Dead) {
            self.frame.feed(data);
        }
    }

    /// The next thing the client said; None until there are more octets, or a literal of APPEND
    /// has been decided on.
    #[allow(clippy::should_implement_trait)] // an iterator that ends does not go on again
    pub fn next(&mut self) -> Option<Event> {
        loop {
            let step = match std::mem::take(&mut self.mode) {
                Mode::Command => self.command(),
                Mode::Idle(tag) => self.idle(tag),
                Mode::NotIdle => self.not_idle(),
                Mode::Exchange => self.response(),
                Mode::Announced(append, message) => {
                    self.mode = Mode::Undecided(append, Pending::of(&message));
                    Step::Say(Event::AppendMessage(message))
                }
                Mode::Message {
                    append,
                    pending,
                    left,
                    has_nul,
                } => self.message(append, pending, left, has_nul),
                Mode::Behind(append, pending) => self.behind(append, pending),
                Mode::Skip(left, malformed) => self.skip(left, malformed),
                waiting @ (Mode::Undecided(..) | Mode::Dead) => {
                    self.mode = waiting;
                    Step::Wait
                }
            };
            match step {
                Step::Say(event) => return Some(event),
                Step::Wait => return None,
                Step::Go => {}
            }
        }
    }

    /// The next line is a SASL response.
    pub fn expect_sasl(&mut self) {
        self.mode = Mode::Exchange;
    }

    /// Take the message whose head was given.
    ///
    /// # Errors
    /// There is none, or it is too big.
    pub fn accept_literal(&mut self) -> Result<(), &'static str> {
        match std::mem::take(&mut self.mode) {
            Mode::Undecided(append, pending) if !pending.too_big => {
                self.mode = Mode::Message {
                    append,
                    pending,
                    left: pending.size,
                    has_nul: false,
                };
                Ok(())
            }
            other => {
                let too_big = matches!(other, Mode::Undecided(..));
                self.mode = other;
                Err(if too_big {
                    "the message is too big to be accepted"
                } else {
                    NO_LITERAL
                })
            }
        }
    }

    /// Skip the rest of this APPEND from wherever it stands; nothing where it has ended.
    pub fn refuse_literal(&mut self) {
        let (size, waits) = match &self.mode {
            Mode::Announced(_, message) => (message.size, message.waits),
            Mode::Undecided(_, pending) => (pending.size, pending.waits),
            Mode::Message { left, .. } => (*left, false),
            Mode::Behind(..) => (0, false),
            _ => return,
        };
        // Who waits for "+" gets NO instead and sends nothing more (RFC 9051 section 2.2.1).
        self.mode = if waits {
            Mode::Command
        } else {
            Mode::Skip(size, None)
        };
    }

    /// True between `AppendMessage` and the decision.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        matches!(self.mode, Mode::Undecided(..))
    }

    /// IDLE is not carried out: commands follow. A DONE pipelined behind it is passed over.
    pub fn refuse_idle(&mut self) {
        if matches!(self.mode, Mode::Idle(_)) {
            self.mode = Mode::NotIdle;
        }
    }

    /// Octets held and not yet understood.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.frame.held().len()
    }

    /// Forget what is held, and return how much it was. Commands follow.
    pub fn clear(&mut self) -> usize {
        self.mode = Mode::Command;
        self.checked = 0;
        self.frame.clear()
    }

    /// True in the middle of a command: the client owes us octets.
    #[must_use]
    pub fn partial(&self) -> bool {
        let between = matches!(
            self.mode,
            Mode::Command | Mode::Idle(_) | Mode::NotIdle | Mode::Exchange | Mode::Dead
        );
        !between || self.buffered() > 0
    }

    /// Give up the command that ends before `next`.
    fn drop_command(&mut self, next: usize) {
        self.frame.drop_to(next);
        self.checked = 0;
    }

    /// Say what is wrong and understand nothing from now on.
    fn die(&mut self, known: Head, message: &str) -> Step {
        self.frame.clear();
        self.mode = Mode::Dead;
        Step::Say(Event::Malformed(Malformed {
            tag: known.tag,
            message: message.to_owned(),
            name: known.name,
            code: None,
            is_no: false,
            fatal: true,
        }))
    }

    /// No line end where there has to be one.
    fn too_long(&mut self, known: Head) -> Step {
        let message = format!("line over {} octets", self.limits.line);
        self.die(known, &message)
    }

    /// Well-formed so far, and larger than the bound that `message` names.
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

    fn over_command(&self, known: Head) -> Malformed {
        Self::too_big(
            known,
            format!("command over {} octets", self.limits.command),
        )
    }
}

/// What one look at the input came to.
enum Step {
    /// Something was said.
    Say(Event),
    /// More octets, or a decision, are needed.
    Wait,
    /// Look again: another mode reads on.
    Go,
}
