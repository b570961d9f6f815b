//! Connect, log-in and set-up of a connection, and the loss of a connection.

use super::{
    Action, Awaits, Completion, ConnectionError, Context, NO_COMMAND, SentCommand, Session, Stage,
    ThreadState,
};
use crate::limits::{BACKOFF_DOUBLINGS, BACKOFF_FIRST_NS, IDLE_RESTART_NS, OPENING_ATTEMPTS};
use crate::line_reader::{LineReader, Literals};
use crate::plan::{Plan, Protocol, Purpose, Tls};
use crate::stats::{ReportSection, UNCOUNTED};

impl Session {
    /// Request a connection.
    pub fn connect(&mut self, ctx: &mut Context<'_>) {
        self.connect_began = ctx.now;
        self.connect_step_at = ctx.now;
        self.line_reader = LineReader::new(match ctx.plan.protocol {
            Protocol::Imap => Literals::InResponses,
            Protocol::Lmtp => Literals::None,
        });
        self.bytes = 0;
        self.next_tag = 1;
        self.needs_reset = false;
        self.recipients = 0;
        self.stage = Stage::Connecting;
        self.action = Action::Connect;
    }

    /// Note that the connection is open (with `tls`, encrypted).
    pub fn connected(&mut self, now: u64) {
        self.stage = Stage::Greeting;
        self.connect_step_at = now;
    }

    /// Handle the greeting.
    pub(super) fn greeted(&mut self, is_logged_in: bool, ctx: &mut Context<'_>) {
        if ctx.plan.tls == Tls::StartTls {
            self.stage = Stage::StartTls;
            if ctx.plan.protocol == Protocol::Lmtp {
                self.send_internal(b"LHLO imapvm-bench", UNCOUNTED, Completion::Reply, ctx);
            } else {
                self.send_internal(b"STARTTLS", UNCOUNTED, Completion::Tagged, ctx);
            }
        } else {
            self.begin_login(is_logged_in, ctx);
        }
    }

    /// Handle the answer to STARTTLS, or to LHLO before it.
    pub(super) fn starttls_answered(&mut self, is_last: bool, ctx: &mut Context<'_>) {
        if is_last {
            self.stage = Stage::Encrypting;
            self.connect_step_at = ctx.now;
            self.action = Action::StartTls;
        } else {
            self.send_internal(b"STARTTLS", UNCOUNTED, Completion::Reply, ctx);
        }
    }

    /// Go on after the TLS handshake of STARTTLS.
    pub fn encrypted(&mut self, ctx: &mut Context<'_>) {
        self.begin_login(false, ctx);
    }

    fn begin_login(&mut self, is_logged_in: bool, ctx: &mut Context<'_>) {
        let latency = ctx.now.saturating_sub(self.connect_began);
        let bytes = std::mem::take(&mut self.bytes);
        let (place, label) = (opening_section(ctx.plan), ctx.plan.connect_label);
        ctx.state
            .stats
            .answered(place, label, latency, bytes, ctx.now);
        let login = if is_logged_in {
            ctx.plan.login.end
        } else {
            ctx.plan.login.start
        };
        self.stage = Stage::Login(login);
        self.proceed(ctx);
    }

    /// Send the next commands.
    pub fn proceed(&mut self, ctx: &mut Context<'_>) {
        if ctx.state.is_draining {
            return;
        }
        match self.stage {
            Stage::Login(next) if next < ctx.plan.login.end => {
                self.stage = Stage::Login(next + 1);
                self.send_planned(next, opening_section(ctx.plan), None, 0, ctx);
            }
            Stage::Login(_) => {
                self.stage = Stage::Setup(ctx.plan.setup.start);
                self.proceed(ctx);
            }
            Stage::Setup(next) if next < ctx.plan.setup.end => {
                self.stage = Stage::Setup(next + 1);
                self.send_planned(next, opening_section(ctx.plan), None, 0, ctx);
            }
            Stage::Setup(_) => {
                self.stage = Stage::Running;
                self.attempts = 0;
                match ctx.state.purpose {
                    Purpose::Load => {
                        self.mark_open(ctx);
                        self.send_commands(ctx);
                    }
                    Purpose::Idle => self.idle(ctx),
                }
            }
            Stage::Running if ctx.state.purpose == Purpose::Idle => self.idle(ctx),
            Stage::Running | Stage::Down => self.send_commands(ctx),
            // Wait for the server, or given up.
            Stage::Connecting
            | Stage::Greeting
            | Stage::StartTls
            | Stage::Encrypting
            | Stage::LoggingOut
            | Stage::GivenUp => {}
        }
    }

    pub(super) fn mark_open(&mut self, ctx: &mut Context<'_>) {
        if !self.is_open {
            self.is_open = true;
            ctx.state
                .shared
                .open
                .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        self.finish_opening(ctx.state, ctx.now);
    }

    fn mark_closed(&mut self, state: &ThreadState) {
        if std::mem::take(&mut self.is_open) {
            state
                .shared
                .open
                .fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    fn finish_opening(&mut self, state: &ThreadState, now: u64) {
        if !self.is_opening_finished {
            self.is_opening_finished = true;
            state.shared.finish_opening(now);
        }
    }

    /// Return whether the connection has been set up or given up once.
    #[must_use]
    pub fn is_opening_finished(&self) -> bool {
        self.is_opening_finished
    }

    /// Count the connection as opened: with `reconnect`, entries open it.
    pub fn skip_opening(&mut self, ctx: &mut Context<'_>) {
        self.finish_opening(ctx.state, ctx.now);
    }

    fn idle(&mut self, ctx: &mut Context<'_>) {
        self.send_internal(
            b"IDLE",
            UNCOUNTED,
            Completion::Idle {
                hold: IDLE_RESTART_NS,
            },
            ctx,
        );
    }

    /// Send a command that is not in the plan.
    pub(super) fn send_internal(
        &mut self,
        text: &[u8],
        label: u16,
        completion: Completion,
        ctx: &mut Context<'_>,
    ) {
        let tag = self.tag(ctx);
        ctx.out.push(text);
        ctx.out.push(b"\r\n");
        let is_idle = matches!(completion, Completion::Idle { .. });
        self.sent_commands.push_back(SentCommand {
            tag,
            command: NO_COMMAND,
            label,
            place: ReportSection::Measured,
            awaits: if is_idle {
                Awaits::IdleBegin
            } else {
                Awaits::Response
            },
            completion,
            may_fail: false,
            entry: None,
            began: 0,
            sent_at: 0,
            held: 0,
        });
        self.unwritten += 1;
    }

    pub(super) fn tag(&mut self, ctx: &mut Context<'_>) -> u32 {
        let tag = self.next_tag;
        self.next_tag = tag.wrapping_add(1);
        if ctx.plan.protocol == Protocol::Imap {
            ctx.out.push(b"T");
            ctx.out.push_number(u64::from(tag));
            ctx.out.push(b" ");
        }
        tag
    }

    /// Go on after the close that followed LOGOUT.
    pub fn closed(&mut self, ctx: &mut Context<'_>) {
        self.mark_closed(ctx.state);
        self.stage = Stage::Down;
        self.proceed(ctx);
    }

    /// Count a connection that was lost or could not be opened, and schedule the next attempt.
    pub fn connection_lost(&mut self, error: &ConnectionError, ctx: &mut Context<'_>) {
        let plan = ctx.plan;
        let stats = &mut ctx.state.stats;
        let lost = self.sent_commands.len().max(1) as u64;
        let current_command = self.current_command(plan);
        stats.error(error.kind, lost, || {
            format!("{current_command} → {}", error.example)
        });
        let is_connecting = matches!(
            self.stage,
            Stage::Connecting | Stage::Greeting | Stage::StartTls | Stage::Encrypting
        );
        if is_connecting {
            stats.failed(opening_section(plan), plan.connect_label);
        }
        for sent in self.sent_commands.drain(..) {
            stats.failed(sent.place, sent.label);
        }
        for progress in self.entries.drain(..) {
            stats.entry(progress.entry, None);
            ctx.state.entries_active = ctx.state.entries_active.saturating_sub(1);
            self.entry_number = self.entry_number.wrapping_add(1);
        }
        ctx.out.clear();
        self.unwritten = 0;
        self.action = Action::Nothing;
        let was_open = self.is_open;
        self.mark_closed(ctx.state);
        self.stage = Stage::Down;
        self.attempts += 1;
        let is_idler = ctx.state.purpose == Purpose::Idle;
        let is_opening = !self.is_opening_finished && self.attempts >= OPENING_ATTEMPTS;
        if error.is_final || is_opening || (is_idler && was_open) {
            self.give_up(error, ctx);
        } else if !ctx.state.is_draining {
            let doublings = (self.attempts - 1).min(BACKOFF_DOUBLINGS);
            self.set_wake(ctx.now + (BACKOFF_FIRST_NS << doublings), ctx);
        }
    }

    fn give_up(&mut self, error: &ConnectionError, ctx: &mut Context<'_>) {
        self.stage = Stage::GivenUp;
        if self.paused_entry.take().is_some() {
            ctx.state.entries_active = ctx.state.entries_active.saturating_sub(1);
        }
        let left = ctx.state.shared.give_up();
        if left == 0 && ctx.state.purpose == Purpose::Load {
            let sentence = format!("no connection could be set up: {}", error.example);
            ctx.state.shared.end(ctx.now, sentence);
        }
        self.finish_opening(ctx.state, ctx.now);
    }
}

/// Return the section for log-in and set-up: with `reconnect` they belong to the measured entries.
pub(super) fn opening_section(plan: &Plan) -> ReportSection {
    if plan.reconnect {
        ReportSection::Measured
    } else {
        ReportSection::Setup
    }
}
