//! Entries of the mix: start, next command, end.

use super::opening::opening_section;
use super::{Awaits, Completion, Context, Progress, SentCommand, Session, Stage};
use crate::plan::Protocol;
use crate::stats::{ReportSection, UNCOUNTED};

impl Session {
    /// Send as many commands as the pipeline allows.
    pub(super) fn send_commands(&mut self, ctx: &mut Context<'_>) {
        while !ctx.state.is_draining && self.has_room(ctx) {
            if self.needs_reset {
                if self.sent_commands.is_empty() {
                    self.needs_reset = false;
                    self.send_internal(b"RSET", UNCOUNTED, Completion::Reply, ctx);
                }
                return;
            }
            if self.send_next(ctx) {
                continue;
            }
            if ctx.plan.reconnect && !self.entries.is_empty() {
                if self.stage == Stage::Running && self.sent_commands.is_empty() {
                    self.log_out(ctx);
                }
                return;
            }
            let Some((entry, began, is_due)) = self.next_entry(ctx) else {
                return;
            };
            self.begin(entry, began, is_due, ctx);
        }
    }

    fn has_room(&self, ctx: &Context<'_>) -> bool {
        match self.stage {
            Stage::Running => match self.sent_commands.back() {
                Some(last) => {
                    last.awaits == Awaits::Response && self.sent_commands.len() < ctx.plan.pipeline
                }
                None => true,
            },
            Stage::Down => ctx.plan.reconnect && self.entries.is_empty(),
            _ => false,
        }
    }

    /// Send the next command of the newest entry, if it has one.
    fn send_next(&mut self, ctx: &mut Context<'_>) -> bool {
        let number = self
            .entry_number
            .wrapping_add(u32::try_from(self.entries.len()).unwrap_or(0));
        let number = number.wrapping_sub(1);
        let Some(progress) = self.entries.back_mut() else {
            return false;
        };
        if progress.has_failed || progress.next >= progress.end {
            return false;
        }
        let place = progress.next;
        progress.next += 1;
        progress.in_flight += 1;
        let began = if std::mem::take(&mut progress.is_due) {
            progress.began
        } else {
            0
        };
        self.send_planned(place, ReportSection::Measured, Some(number), began, ctx);
        true
    }

    /// Return the entry to start now, if there is one: its number, the time from which its latency
    /// counts, and whether that also holds for its first command.
    fn next_entry(&mut self, ctx: &mut Context<'_>) -> Option<(u16, u64, bool)> {
        if self.wake_at > 0 {
            return None; // a pause before an entry, or before the next connect
        }
        if let Some(entry) = self.paused_entry.take() {
            ctx.state.entries_active = ctx.state.entries_active.saturating_sub(1);
            return ctx
                .state
                .scheduler
                .is_running
                .then_some((entry, ctx.now, false));
        }
        if !ctx.state.scheduler.is_running || !ctx.state.scheduler.allows(self.entries_begun) {
            return None;
        }
        if ctx.state.scheduler.is_open_loop() {
            let Some(due) = ctx.state.scheduler.backlog.pop_front() else {
                if !self.is_free {
                    self.is_free = true;
                    ctx.state.scheduler.free.push_back(self.number());
                }
                return None;
            };
            return Some((self.pick(ctx), due, true));
        }
        if !ctx.state.scheduler.try_begin(&ctx.state.shared) {
            return None;
        }
        let entry = self.pick(ctx);
        let (first, last) = ctx
            .plan
            .mix
            .get(usize::from(entry))
            .map_or((0, 0), |e| e.think);
        let first = if std::mem::replace(&mut self.has_thought, true) {
            first
        } else {
            0
        };
        let pause = if last > 0 {
            self.writer.random.between(first, last)
        } else {
            0
        };
        if pause == 0 {
            return Some((entry, ctx.now, false));
        }
        self.paused_entry = Some(entry);
        ctx.state.entries_active += 1; // the load ends after this entry, too
        self.set_wake(ctx.now + pause, ctx);
        None
    }

    fn pick(&mut self, ctx: &Context<'_>) -> u16 {
        if ctx.plan.mix.len() > 1 {
            ctx.plan.pick(self.writer.random.unit())
        } else {
            0
        }
    }

    /// Open loop: start the entry that was due at `due`; false where the connection is busy.
    pub fn begin_due(&mut self, due: u64, ctx: &mut Context<'_>) -> bool {
        self.is_free = false;
        let is_idle = self.wake_at == 0 && !self.needs_reset && self.has_room(ctx);
        let has_sent_all = self
            .entries
            .back()
            .is_none_or(|last| last.has_failed || last.next >= last.end);
        if ctx.state.is_draining || !is_idle || !has_sent_all {
            return false;
        }
        let entry = self.pick(ctx);
        self.begin(entry, due, true, ctx);
        self.send_commands(ctx);
        true
    }

    fn begin(&mut self, entry: u16, began: u64, is_due: bool, ctx: &mut Context<'_>) {
        let commands = ctx
            .plan
            .mix
            .get(usize::from(entry))
            .map_or(0..0, |e| e.commands.clone());
        self.entries.push_back(Progress {
            entry,
            began,
            next: commands.start,
            end: commands.end,
            in_flight: 0,
            has_failed: false,
            is_due: is_due && !ctx.plan.reconnect,
        });
        ctx.state.entries_active += 1;
        if ctx.state.scheduler.is_limited {
            self.entries_begun += 1;
            ctx.state.scheduler.count_finished(self.entries_begun);
        }
        if ctx.plan.reconnect {
            self.connect(ctx);
            self.connect_began = began;
        }
    }

    /// Send a command of the plan.
    pub(super) fn send_planned(
        &mut self,
        place: u32,
        row: ReportSection,
        entry: Option<u32>,
        began: u64,
        ctx: &mut Context<'_>,
    ) {
        let plan = ctx.plan;
        let Some(command) = plan.command(place) else {
            return;
        };
        let tag = self.tag(ctx);
        let awaits = match self.writer.write(plan, &command.pieces, 0, ctx.out) {
            Some(next) => Awaits::Continuation { next },
            None if matches!(command.completion, Completion::Idle { .. }) => Awaits::IdleBegin,
            None => Awaits::Response,
        };
        self.sent_commands.push_back(SentCommand {
            tag,
            command: place,
            label: command.label,
            place: row,
            awaits,
            completion: command.completion,
            may_fail: command.may_fail,
            entry,
            began,
            sent_at: 0,
            held: 0,
        });
        self.unwritten += 1;
    }

    /// Send LOGOUT or QUIT, with `reconnect`.
    fn log_out(&mut self, ctx: &mut Context<'_>) {
        self.stage = Stage::LoggingOut;
        let label = ctx.plan.logout_label;
        match ctx.plan.protocol {
            Protocol::Imap => self.send_internal(b"LOGOUT", label, Completion::Tagged, ctx),
            Protocol::Lmtp => self.send_internal(b"QUIT", label, Completion::Reply, ctx),
        }
    }

    /// Count a command that was answered, with or without an error, and update its entry.
    pub(super) fn command_finished(
        &mut self,
        sent: &SentCommand,
        is_good: bool,
        ctx: &mut Context<'_>,
    ) {
        let bytes = std::mem::take(&mut self.bytes);
        let stats = &mut ctx.state.stats;
        if is_good {
            let latency = ctx.now.saturating_sub(sent.began).saturating_sub(sent.held);
            stats.answered(sent.place, sent.label, latency, bytes, ctx.now);
        } else {
            stats.failed(sent.place, sent.label);
        }
        let place = sent
            .entry
            .map(|number| number.wrapping_sub(self.entry_number) as usize);
        if let Some(progress) = place.and_then(|place| self.entries.get_mut(place)) {
            progress.in_flight = progress.in_flight.saturating_sub(1);
            progress.has_failed |= !is_good;
            if !is_good && ctx.plan.protocol == Protocol::Lmtp {
                self.needs_reset = true;
            }
        }
        if !ctx.plan.reconnect {
            self.end_entries(ctx);
        }
    }

    /// Count the entries that are complete.
    pub(super) fn end_entries(&mut self, ctx: &mut Context<'_>) {
        while let Some(first) = self.entries.front() {
            let has_sent_all = first.next >= first.end || first.has_failed;
            if first.in_flight > 0 || !has_sent_all {
                return;
            }
            let latency = ctx.now.saturating_sub(first.began);
            ctx.state
                .stats
                .entry(first.entry, (!first.has_failed).then_some(latency));
            ctx.state.entries_active = ctx.state.entries_active.saturating_sub(1);
            self.entries.pop_front();
            self.entry_number = self.entry_number.wrapping_add(1);
        }
    }

    /// Return whether a refused command of the log-in ends the connection: not with `reconnect`,
    /// where it is an error of the entry.
    pub(super) fn opening_failed(&self, ctx: &Context<'_>) -> bool {
        matches!(self.stage, Stage::Login(_)) && opening_section(ctx.plan) == ReportSection::Setup
    }
}
