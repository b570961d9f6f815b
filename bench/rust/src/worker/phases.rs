//! Phases of a thread: opening, warm-up, measured time, draining.

use super::{UnfinishedWork, Worker};
use crate::errors::ErrorKind;
use crate::limits::{DRAIN_NS, SECOND, SWEEP_NS};
use crate::plan::Purpose;
use crate::session::{ConnectionError, Schedule, Session};

/// Phase of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Opening,
    WarmingUp,
    Measuring,
    /// The limit is reached, and the last entry has ended.
    Finished,
    /// The load has ended. Commands in flight may complete until this time.
    Draining(u64),
}

impl Worker {
    /// Enter the next phase if it is time; true where the thread is done.
    pub(super) fn update_phase(&mut self, now: u64) -> bool {
        let shared = std::sync::Arc::clone(&self.config.shared);
        if shared.is_stopped() {
            shared.end(now, "stopped");
        }
        if let Phase::Draining(until) = self.phase {
            return now >= until
                || self
                    .connections
                    .iter()
                    .all(|connection| connection.session.is_quiet());
        }
        if shared.ended_at().is_some() {
            self.drain(now);
            return false;
        }
        if let (Phase::Opening, Some(timetable), Purpose::Load) =
            (self.phase, shared.timetable(), self.config.purpose)
            && now >= timetable.go
        {
            self.phase = Phase::WarmingUp;
            if now >= timetable.measure {
                self.measure(timetable.measure); // without a warm-up the first byte counts
            }
            self.go(timetable.go, now);
        }
        match (self.phase, shared.timetable()) {
            (Phase::WarmingUp, Some(timetable)) if now >= timetable.measure => {
                self.measure(timetable.measure);
            }
            (Phase::Measuring | Phase::Finished, Some(timetable)) if now >= timetable.end => {
                shared.end(timetable.end, "time");
                self.drain(now);
            }
            (Phase::Measuring, _) if self.is_finished() => {
                self.phase = Phase::Finished;
                shared.finish_limit(now);
            }
            _ => {}
        }
        if now >= self.next_sweep {
            self.next_sweep = now + SWEEP_NS;
            self.sweep(now);
        }
        false
    }

    /// Return the time at which the phase ends.
    pub(super) fn next_boundary(&self) -> Option<u64> {
        if let Phase::Draining(until) = self.phase {
            return Some(until);
        }
        let timetable = self.config.shared.timetable()?;
        if self.config.purpose == Purpose::Idle {
            return None; // ended by `stop` only
        }
        match self.phase {
            Phase::Opening => Some(timetable.go),
            Phase::WarmingUp => Some(timetable.measure),
            Phase::Measuring | Phase::Finished => Some(timetable.end),
            Phase::Draining(until) => Some(until),
        }
    }

    /// Start the mix on all connections.
    fn go(&mut self, start: u64, now: u64) {
        let plan = &self.config.plan;
        if let Some(rate) = plan.rate {
            self.state.scheduler.schedule = Some(Schedule::new(plan, rate, self.thread, start));
        }
        self.state.scheduler.is_running = true;
        for place in 0..self.connections.len() {
            self.with(place, now, Session::proceed);
        }
    }

    /// Start the measured time.
    fn measure(&mut self, start: u64) {
        self.phase = Phase::Measuring;
        self.state.stats.begin_measuring(start);
        self.state.scheduler.is_limited = true;
    }

    fn is_finished(&self) -> bool {
        let scheduler = &self.state.scheduler;
        self.state.entries_active == 0
            && scheduler.backlog.is_empty()
            && scheduler.is_exhausted(&self.config.shared, self.connections.len())
    }

    /// End the load: send nothing new.
    fn drain(&mut self, now: u64) {
        self.phase = Phase::Draining(now + DRAIN_NS);
        self.state.stats.end_measuring();
        self.state.scheduler.is_running = false;
        self.state.is_draining = true;
        let mut unfinished = UnfinishedWork {
            backlog: self.state.scheduler.backlog.len() as u64,
            ..UnfinishedWork::default()
        };
        for connection in &self.connections {
            let (count, oldest) = connection.session.unanswered();
            unfinished.in_flight += count as u64;
            let age = oldest.map_or(0, |began| now.saturating_sub(began));
            unfinished.oldest = unfinished.oldest.max(age);
        }
        self.unfinished = unfinished;
        for place in 0..self.connections.len() {
            self.with(place, now, Session::drain);
        }
    }

    pub(super) fn fire_timers(&mut self, now: u64) {
        while let Some((at, number)) = self.state.timers.take_due(now) {
            let place = (number / self.config.plan.threads) as usize;
            self.with(place, now, |session, ctx| session.wake(at, ctx));
        }
    }

    /// Open loop: start the entries that are due.
    pub(super) fn begin_due(&mut self, now: u64) {
        while self.state.scheduler.is_running {
            let Some(schedule) = &mut self.state.scheduler.schedule else {
                return;
            };
            let due = schedule.due();
            if due > now {
                return;
            }
            schedule.advance();
            if !self.state.scheduler.try_begin(&self.config.shared) {
                return;
            }
            if !self.begin_on_free(due, now) && !self.state.scheduler.enqueue(due) {
                let why = "backlog full";
                self.state
                    .stats
                    .error(ErrorKind::Backlog, 1, || why.to_owned());
            }
        }
    }

    fn begin_on_free(&mut self, due: u64, now: u64) -> bool {
        while let Some(number) = self.state.scheduler.free.pop_front() {
            let place = (number / self.config.plan.threads) as usize;
            let mut has_begun = false;
            self.with(place, now, |session, ctx| {
                has_begun = session.begin_due(due, ctx);
            });
            if has_begun {
                return true;
            }
        }
        false
    }

    /// Fail connections with overdue answers.
    fn sweep(&mut self, now: u64) {
        let answer = self.config.plan.answer;
        let is_silent = self.config.shared.silent_for(now) >= answer;
        for place in 0..self.connections.len() {
            let Some(connection) = self.connections.get(place) else {
                return;
            };
            let Some(since) = connection.session.waits_since() else {
                continue;
            };
            let waited = now.saturating_sub(since);
            if waited < answer {
                continue;
            }
            #[expect(clippy::cast_precision_loss, reason = "for display")]
            let seconds = waited as f64 / SECOND as f64;
            let kind = if connection.session.stage() == crate::session::Stage::Connecting {
                ErrorKind::ConnectTimeout
            } else {
                ErrorKind::Timeout
            };
            let current_command = connection.session.current_command(&self.config.plan);
            if is_silent && self.config.purpose == Purpose::Load {
                let sentence = format!(
                    "server stopped answering: {current_command} has had no answer for {seconds:.1} s, \
                     and nothing else came in that time"
                );
                self.config.shared.end(now, sentence);
            }
            self.fail(
                place,
                &ConnectionError::new(kind, format!("no answer for {seconds:.1} s")),
            );
        }
    }
}
