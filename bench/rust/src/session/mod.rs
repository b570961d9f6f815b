//! Session of one connection, without I/O: commands, responses, measurements.

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

/// State that the sessions of a thread share.
#[derive(Debug)]
pub struct ThreadState {
    /// Counts.
    pub stats: ThreadStats,
    /// Scheduler of entries.
    pub scheduler: Scheduler,
    /// Timers of the sessions.
    pub timers: Timers,
    /// EXISTS on idle connections: connection, nanoseconds, number of messages.
    pub arrivals: Vec<(u32, u64, u32)>,
    /// State that the threads share.
    pub shared: Arc<SharedStats>,
    /// Purpose of the connections.
    pub purpose: Purpose,
    /// Entries started and not ended.
    pub entries_active: usize,
    /// No new commands are sent.
    pub is_draining: bool,
}

/// Timers of the sessions, by time.
#[derive(Debug, Default)]
pub struct Timers(BinaryHeap<Reverse<(u64, u32)>>);

impl Timers {
    /// Wake `session` at `at`.
    pub fn set(&mut self, at: u64, session: u32) {
        self.0.push(Reverse((at, session)));
    }

    /// Return the time of the next timer.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// Remove and return the next timer, if it is due.
    pub fn take_due(&mut self, now: u64) -> Option<(u64, u32)> {
        if self.next()? > now {
            return None;
        }
        self.0.pop().map(|Reverse(timer)| timer)
    }
}

/// Arguments of every call of a session.
pub struct Context<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// State of the thread.
    pub state: &'a mut ThreadState,
    /// Output of the connection.
    pub out: &'a mut Output,
    /// Current time.
    pub now: u64,
}

/// Action that a session requests from its worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    #[default]
    Nothing,
    /// Connect.
    Connect,
    /// Start TLS on this connection, then call `encrypted`.
    StartTls,
    /// Close the connection.
    Close,
}

/// Error that ends a connection.
#[derive(Debug)]
pub struct ConnectionError {
    /// Kind of the error.
    pub kind: ErrorKind,
    /// Text for the report.
    pub example: String,
    /// Another attempt would fail, too.
    pub is_final: bool,
}

impl ConnectionError {
    /// Make an error after which the connection is opened again.
    pub fn new(kind: ErrorKind, example: impl Into<String>) -> Self {
        Self {
            kind,
            example: example.into(),
            is_final: false,
        }
    }
}

/// Stage of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "states of the protocol")]
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

/// Response that a command waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaits {
    /// Tagged response or reply.
    Response,
    /// `+` or 354; then piece `next` is sent.
    Continuation { next: u16 },
    /// `+` of IDLE.
    IdleBegin,
    /// IDLE runs until DONE is sent.
    Hold,
    /// One reply for each recipient.
    Replies { left: u32, is_refused: bool },
}

/// Command without a final response.
#[derive(Debug)]
struct SentCommand {
    tag: u32,
    /// Index in the plan; `NO_COMMAND` for internal commands.
    command: u32,
    label: u16,
    place: ReportSection,
    awaits: Awaits,
    completion: Completion,
    may_fail: bool,
    /// Entry of the command, counted as `Session::entry_number`.
    entry: Option<u32>,
    /// Time from which latency counts; 0: from the write.
    began: u64,
    /// Time of the last write for it; 0: not written yet.
    sent_at: u64,
    /// Duration of the hold of IDLE.
    held: u64,
}

impl SentCommand {
    /// Return the name in reports.
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

/// Entry that has started.
#[derive(Debug)]
struct Progress {
    entry: u16,
    began: u64,
    /// Next command to send.
    next: u32,
    end: u32,
    in_flight: u32,
    has_failed: bool,
    /// Latency of its first command also counts from `began`.
    is_due: bool,
}

/// Session of one connection.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent flags")]
pub struct Session {
    writer: CommandWriter,
    stage: Stage,
    line_reader: LineReader,
    sent_commands: VecDeque<SentCommand>,
    /// Number of commands at the end of `sent_commands` that are not written yet.
    unwritten: usize,
    entries: VecDeque<Progress>,
    /// Number of the first one in `entries`.
    entry_number: u32,
    entries_begun: u64,
    next_tag: u32,
    /// Bytes received since the last answer.
    bytes: u64,
    /// Recipients accepted in the LMTP transaction.
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
    /// Make the session of a connection that is not open.
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

    /// Return the number of the connection.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.writer.number
    }

    /// Return the stage.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Return the requested action; called once after each call.
    pub fn take_action(&mut self) -> Action {
        std::mem::take(&mut self.action)
    }

    /// Return whether no command is in flight.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.sent_commands.is_empty()
    }

    /// Return the time since which the server has not answered, if an answer is due.
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

    /// Return the number of commands without an answer, and the start of the oldest one.
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

    /// Return the name of the current command, for an example.
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

    /// Read input.
    ///
    /// # Errors
    /// The connection is unusable: close it and call `connection_lost`.
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
                // RFC 9051 section 6.2.1: cleartext input after STARTTLS must not be used.
                return Err(ConnectionError::new(
                    ErrorKind::Unexpected,
                    "input after the answer to STARTTLS",
                ));
            }
            if self.action == Action::Close {
                break;
            }
        }
        self.line_reader = lines;
        Ok(())
    }

    /// Set the start time of commands that are about to be written.
    pub fn stamp(&mut self, now: u64) {
        for sent in self.sent_commands.iter_mut().rev().take(self.unwritten) {
            sent.sent_at = now;
            if sent.began == 0 {
                sent.began = now;
            }
        }
        self.unwritten = 0;
    }

    /// Return whether commands wait for `stamp`.
    #[must_use]
    pub fn is_unwritten(&self) -> bool {
        self.unwritten > 0
    }

    /// Handle a timer.
    pub fn wake(&mut self, at: u64, ctx: &mut Context<'_>) {
        if at != self.wake_at {
            return; // superseded by a later timer
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

    /// End IDLE, and send nothing new. Commands in flight may complete.
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
