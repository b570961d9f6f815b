//! From opening to the end: what a thread does when its time has come.

use super::{Unfinished, Worker};
use crate::bounds::{DRAIN_NS, SECOND, SWEEP_NS};
use crate::errors::ErrorKind;
use crate::plan::Purpose;
use crate::session::{Break, Schedule, Session};

/// How far a thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Opening,
    WarmingUp,
    Measuring,
    /// The limit lets no new entry begin, and the last one has ended.
    Finished,
    /// The load has ended; what is in flight may end until then.
    Draining(u64),
}

impl Worker {
    /// Go to the next phase if it is time; true where all is over.
    pub(super) fn turn_phase(&mut self, now: u64) -> bool {
        let board = std::sync::Arc::clone(&self.common.board);
        if board.is_stopped() {
            board.end(now, "stopped");
        }
        if let Phase::Draining(until) = self.phase {
            return now >= until || self.links.iter().all(|link| link.session.is_quiet());
        }
        if board.ended_at().is_some() {
            self.drain(now);
            return false;
        }
        if let (Phase::Opening, Some(timetable), Purpose::Load) =
            (self.phase, board.timetable(), self.common.purpose)
            && now >= timetable.go
        {
            self.phase = Phase::WarmingUp;
            if now >= timetable.measure {
                self.measure(timetable.measure); // without a warm-up the first octet counts
            }
            self.go(timetable.go, now);
        }
        match (self.phase, board.timetable()) {
            (Phase::WarmingUp, Some(timetable)) if now >= timetable.measure => {
                self.measure(timetable.measure);
            }
            (Phase::Measuring | Phase::Finished, Some(timetable)) if now >= timetable.end => {
                board.end(timetable.end, "time");
                self.drain(now);
            }
            (Phase::Measuring, _) if self.is_finished() => {
                self.phase = Phase::Finished;
                board.finish_limit(now);
            }
            _ => {}
        }
        if now >= self.next_sweep {
            self.next_sweep = now + SWEEP_NS;
            self.sweep(now);
        }
        false
    }

    /// When a phase ends by the clock.
    pub(super) fn next_boundary(&self) -> Option<u64> {
        if let Phase::Draining(until) = self.phase {
            return Some(until);
        }
        let timetable = self.common.board.timetable()?;
        if self.common.purpose == Purpose::Idle {
            return None; // only `stop` ends it
        }
        match self.phase {
            Phase::Opening => Some(timetable.go),
            Phase::WarmingUp => Some(timetable.measure),
            Phase::Measuring | Phase::Finished => Some(timetable.end),
            Phase::Draining(until) => Some(until),
        }
    }

    /// All connections begin to work.
    fn go(&mut self, start: u64, now: u64) {
        let plan = &self.common.plan;
        if let Some(rate) = plan.rate {
            self.desk.supply.schedule = Some(Schedule::new(plan, rate, self.thread, start));
        }
        self.desk.supply.is_going = true;
        for place in 0..self.links.len() {
            self.with(place, now, Session::proceed);
        }
    }

    /// The measured time has begun.
    fn measure(&mut self, start: u64) {
        self.phase = Phase::Measuring;
        self.desk.tally.begin_measuring(start);
        self.desk.supply.is_limited = true;
    }

    fn is_finished(&self) -> bool {
        let supply = &self.desk.supply;
        self.desk.entries_active == 0
            && supply.backlog.is_empty()
            && supply.is_exhausted(&self.common.board, self.links.len())
    }

    /// The load has ended: say nothing new.
    fn drain(&mut self, now: u64) {
        self.phase = Phase::Draining(now + DRAIN_NS);
        self.desk.tally.end_measuring();
        self.desk.supply.is_going = false;
        self.desk.is_draining = true;
        let mut unfinished = Unfinished {
            backlog: self.desk.supply.backlog.len() as u64,
            ..Unfinished::default()
        };
        for link in &self.links {
            let (count, oldest) = link.session.unanswered();
            unfinished.in_flight += count as u64;
            let age = oldest.map_or(0, |began| now.saturating_sub(began));
            unfinished.oldest = unfinished.oldest.max(age);
        }
        self.unfinished = unfinished;
        for place in 0..self.links.len() {
            self.with(place, now, Session::drain);
        }
    }

    pub(super) fn fire_timers(&mut self, now: u64) {
        while let Some((at, number)) = self.desk.timers.take_due(now) {
            let place = (number / self.common.plan.threads) as usize;
            self.with(place, now, |session, turn| session.wake(at, turn));
        }
    }

    /// Open loop: begin what is due.
    pub(super) fn begin_due(&mut self, now: u64) {
        while self.desk.supply.is_going {
            let Some(schedule) = &mut self.desk.supply.schedule else {
                return;
            };
            let due = schedule.due();
            if due > now {
                return;
            }
            schedule.advance();
            if !self.desk.supply.ticket(&self.common.board) {
                return;
            }
            if !self.give_to_free(due, now) && !self.desk.supply.wait(due) {
                let why = "more entries were due than could be kept waiting";
                self.desk
                    .tally
                    .error(ErrorKind::Backlog, 1, || why.to_owned());
            }
        }
    }

    fn give_to_free(&mut self, due: u64, now: u64) -> bool {
        while let Some(number) = self.desk.supply.free.pop_front() {
            let place = (number / self.common.plan.threads) as usize;
            let mut has_begun = false;
            self.with(place, now, |session, turn| {
                has_begun = session.begin_due(due, turn);
            });
            if has_begun {
                return true;
            }
        }
        false
    }

    /// Look for answers that are overdue.
    fn sweep(&mut self, now: u64) {
        let answer = self.common.plan.answer;
        let is_silent = self.common.board.silent_for(now) >= answer;
        for place in 0..self.links.len() {
            let Some(link) = self.links.get(place) else {
                return;
            };
            let Some(since) = link.session.waits_since() else {
                continue;
            };
            let waited = now.saturating_sub(since);
            if waited < answer {
                continue;
            }
            #[expect(clippy::cast_precision_loss, reason = "for people")]
            let seconds = waited as f64 / SECOND as f64;
            let kind = if link.session.stage() == crate::session::Stage::Connecting {
                ErrorKind::ConnectTimeout
            } else {
                ErrorKind::Timeout
            };
            let doing = link.session.doing(&self.common.plan);
            if is_silent && self.common.purpose == Purpose::Load {
                let sentence = format!(
                    "server stopped answering: {doing} has had no answer for {seconds:.1} s, \
                     and nothing else came in that time"
                );
                self.common.board.end(now, sentence);
            }
            self.fail(
                place,
                &Break::new(kind, format!("no answer for {seconds:.1} s")),
            );
        }
    }
}
