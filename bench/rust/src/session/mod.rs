//! One connection's part of a load, without I/O: what it says, what it hears, what it measures.

mod command_writer;
mod entries;
mod imap;
mod lmtp;
mod opening;
mod scheduler;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

pub use command_writer::CommandWriter;
pub use scheduler::{Schedule, Scheduler};

use crate::errors::ErrorKind;
use crate::line_reader::LineReader;
use crate::output::Output;
use crate::plan::{Completion, Plan, Protocol, Purpose};
use crate::stats::SharedStats;
use crate::stats::{ReportSection, ThreadStats, UNCOUNTED};

/// What the sessions of a thread share.
#[derive(Debug)]
pub struct ThreadState {
    /// Counters.
    pub stats: ThreadStats,
    /// Entries.
    pub scheduler: Scheduler,
    /// Who wants to be woken when.
    pub timers: Timers,
    /// News that came to connections that idle: connection, nanoseconds, EXISTS.
    pub arrivals: Vec<(u32, u64, u32)>,
    /// What the threads share.
    pub shared: Arc<SharedStats>,
    /// What the connections are for.
    pub purpose: Purpose,
    /// Entries begun and not ended.
    pub entries_active: usize,
    /// Nothing new is to be said.
    pub is_draining: bool,
}

/// Who wants to be woken when.
#[derive(Debug, Default)]
pub struct Timers(BinaryHeap<Reverse<(u64, u32)>>);

impl Timers {
    /// Wake `session` at `at`.
    pub fn set(&mut self, at: u64, session: u32) {
        self.0.push(Reverse((at, session)));
    }

    /// When the next one is due.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// The next one, if it is due.
    pub fn take_due(&mut self, now: u64) -> Option<(u64, u32)> {
        if self.next()? > now {
            return None;
        }
        self.0.pop().map(|Reverse(timer)| timer)
    }
}

/// What a session needs whenever it has something to do.
pub struct Context<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// What the thread's sessions share.
    pub state: &'a mut ThreadState,
    /// What is to be written.
    pub out: &'a mut Output,
    /// The time.
    pub now: u64,
}

/// What a session asks of whoever moves its octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    #[default]
    Nothing,
    /// Connect.
    Connect,
    /// Start TLS on this connection, then call `encrypted`.
    StartTls,
    /// Close: all has been said.
    Close,
}

/// Why a connection is of no use any more.
#[derive(Debug)]
pub struct ConnectionError {
    /// The kind of error.
    pub kind: ErrorKind,
    /// What was seen.
    pub example: String,
    /// Trying again is of no use.
    pub is_final: bool,
}

impl ConnectionError {
    /// Something that may not happen again.
    pub fn new(kind: ErrorKind, example: impl Into<String>) -> Self {
        Self {
            kind,
            example: example.into(),
            is_final: false,
        }
    }
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the nouns of the protocol")]
pub enum Stage {
    Down,
    Connecting,
    Greeting,
    StartTls,
    Encrypting,
    /// The next command of the log-in.
    Login(u32),
    /// The next command of the set-up.
    Setup(u32),
    Running,
    LoggingOut,
    GivenUp,
}

/// What a command waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaits {
    /// The end of it.
    Response,
    /// `+` or 354, and then piece `next` is sent.
    Continuation { next: u16 },
    /// `+` of IDLE.
    IdleBegin,
    /// The time for DONE. IDLE is on.
    Hold,
    /// Replies for recipients.
    Replies { left: u32, is_refused: bool },
}

/// A command that has not been answered.
#[derive(Debug)]
struct SentCommand {
    tag: u32,
    /// Its place in the plan; `NO_COMMAND` for those of the engine.
    command: u32,
    label: u16,
    place: ReportSection,
    awaits: Awaits,
    completion: Completion,
    may_fail: bool,
    /// The entry it belongs to, by `Session::entry_number`.
    entry: Option<u32>,
    /// From when its latency counts; 0: from the write.
    began: u64,
    /// When the server was last told something about it; 0: not written yet.
    sent_at: u64,
    /// How long IDLE was held.
    held: u64,
}

impl SentCommand {
    /// What reports call it.
    fn name<'a>(&self, plan: &'a Plan, stage: Stage) -> &'a str {
        match self.completion {
            _ if self.label != UNCOUNTED => plan.labels.get(self.label),
            _ if stage == Stage::StartTls => "STARTTLS",
            Completion::Idle { .. } => "IDLE",
            _ => "RSET",
        }
    }
}

const NO_COMMAND: u32 = u32::MAX;

/// An entry that has begun.
#[derive(Debug)]
struct Progress {
    entry: u16,
    began: u64,
    /// The next command to be sent.
    next: u32,
    end: u32,
    in_flight: u32,
    has_failed: bool,
    /// Its first command counts from `began`, too.
    is_due: bool,
}

/// One connection's part of a load.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is about something else"
)]
pub struct Session {
    writer: CommandWriter,
    stage: Stage,
    line_reader: LineReader,
    sent_commands: VecDeque<SentCommand>,
    /// Of `sent_commands`, the last so many have not been written yet.
    unwritten: usize,
    entries: VecDeque<Progress>,
    /// Number of the first of `entries`.
    entry_number: u32,
    entries_begun: u64,
    next_tag: u32,
    /// Octets since the last answer.
    bytes: u64,
    /// Recipients of the LMTP transaction.
    recipients: u32,
    needs_reset: bool,
    connect_began: u64,
    connect_step_at: u64,
    paused_entry: Option<u16>,
    has_thought: bool,
    wake_at: u64,
    is_free: bool,
    is_open: bool,
    is_opening_finished: bool,
    attempts: u32,
    action: Action,
}

impl Session {
    /// A connection that is down.
    #[must_use]
    pub fn new(plan: &Plan, number: u32) -> Self {
        Self {
            writer: CommandWriter::new(plan, number),
            stage: Stage::Down,
            line_reader: LineReader::default(),
            sent_commands: VecDeque::new(),
            unwritten: 0,
            entries: VecDeque::new(),
            entry_number: 0,
            entries_begun: 0,
            next_tag: 1,
            bytes: 0,
            recipients: 0,
            needs_reset: false,
            connect_began: 0,
            connect_step_at: 0,
            paused_entry: None,
            has_thought: false,
            wake_at: 0,
            is_free: false,
            is_open: false,
            is_opening_finished: false,
            attempts: 0,
            action: Action::Nothing,
        }
    }

    /// Number of the connection.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.writer.number
    }

    /// How far it is.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// What it wants; asked once after each call.
    pub fn take_action(&mut self) -> Action {
        std::mem::take(&mut self.action)
    }

    /// True where no command is in flight.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.sent_commands.is_empty()
    }

    /// Since when the server owes something, if it does.
    #[must_use]
    pub fn waits_since(&self) -> Option<u64> {
        match self.stage {
            Stage::Down | Stage::GivenUp => None,
            Stage::Connecting | Stage::Greeting | Stage::Encrypting => Some(self.connect_step_at),
            _ => {
                let sent = self.sent_commands.front()?;
                (sent.sent_at > 0 && sent.awaits != Awaits::Hold).then_some(sent.sent_at)
            }
        }
    }

    /// Commands without an answer, and from when the oldest counts.
    #[must_use]
    pub fn unanswered(&self) -> (usize, Option<u64>) {
        let waiting = self
            .sent_commands
            .iter()
            .filter(|sent| sent.awaits != Awaits::Hold);
        let oldest = waiting
            .clone()
            .map(|sent| sent.began)
            .filter(|&at| at > 0)
            .min();
        (waiting.count(), oldest)
    }

    /// What it is doing, for an example.
    #[must_use]
    pub fn current_command(&self, plan: &Plan) -> String {
        let name = match self.sent_commands.front() {
            Some(sent) => sent.name(plan, self.stage),
            None => match self.stage {
                Stage::Connecting | Stage::Greeting | Stage::Encrypting => "CONNECT",
                _ => "nothing",
            },
        };
        name.to_owned()
    }

    /// Octets have come.
    ///
    /// # Errors
    /// The connection is of no use any more: close it and call `connection_lost`.
    pub fn receive(
        &mut self,
        mut input: &[u8],
        ctx: &mut Context<'_>,
    ) -> Result<(), ConnectionError> {
        let mut lines = std::mem::take(&mut self.line_reader);
        loop {
            let before = input.len();
            let line = lines.next_line(&mut input);
            self.bytes += (before - input.len()) as u64;
            let Some(line) = line else { break };
            match ctx.plan.protocol {
                Protocol::Imap => self.imap_line(line.text, ctx)?,
                Protocol::Lmtp => self.lmtp_line(line.text, ctx)?,
            }
            if self.action == Action::StartTls && !input.is_empty() {
                // RFC 9051 section 6.2.1: what is not encrypted must not reach beyond STARTTLS.
                return Err(ConnectionError::new(
                    ErrorKind::Unexpected,
                    "bytes after the answer to STARTTLS",
                ));
            }
            if self.action == Action::Close {
                break;
            }
        }
        self.line_reader = lines;
        Ok(())
    }

    /// What has been put into the output is about to be written.
    pub fn stamp(&mut self, now: u64) {
        for sent in self.sent_commands.iter_mut().rev().take(self.unwritten) {
            sent.sent_at = now;
            if sent.began == 0 {
                sent.began = now;
            }
        }
        self.unwritten = 0;
    }

    /// True where `stamp` has something to do.
    #[must_use]
    pub fn is_unwritten(&self) -> bool {
        self.unwritten > 0
    }

    /// The time set for this session has come.
    pub fn wake(&mut self, at: u64, ctx: &mut Context<'_>) {
        if at != self.wake_at {
            return; // it was set for something that is over
        }
        self.wake_at = 0;
        if ctx.state.is_draining {
            return;
        }
        if self.stage == Stage::Down && !ctx.plan.reconnect {
            self.connect(ctx);
        } else if !self.end_idle(ctx) {
            self.proceed(ctx);
        }
    }

    fn set_wake(&mut self, at: u64, ctx: &mut Context<'_>) {
        self.wake_at = at;
        ctx.state.timers.set(at, self.number());
    }

    /// Nothing new is to be said; what is in flight may end.
    pub fn drain(&mut self, ctx: &mut Context<'_>) {
        self.end_idle(ctx);
    }

    fn end_idle(&mut self, ctx: &mut Context<'_>) -> bool {
        let Some(sent) = self
            .sent_commands
            .back_mut()
            .filter(|last| last.awaits == Awaits::Hold)
        else {
            return false;
        };
        ctx.out.push(b"DONE\r\n");
        sent.awaits = Awaits::Response;
        sent.held = ctx.now.saturating_sub(sent.sent_at);
        sent.sent_at = ctx.now;
        true
    }
}

#[cfg(test)]
mod tests;
