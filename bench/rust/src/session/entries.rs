//! Entries of the mix: when one begins, which command is next, and when it has ended.

use super::opening::opening_place;
use super::{Answers, Awaits, Flight, Progress, Session, Stage, Turn};
use crate::plan::Protocol;
use crate::tally::{Place, UNCOUNTED};

impl Session {
    /// Say as much as the pipeline takes.
    pub(super) fn pump(&mut self, turn: &mut Turn<'_>) {
        while !turn.desk.is_draining && self.has_room(turn) {
            if self.needs_reset {
                if self.flights.is_empty() {
                    self.needs_reset = false;
                    self.say_own(b"RSET", UNCOUNTED, Answers::Reply, turn);
                }
                return;
            }
            if self.say_next(turn) {
                continue;
            }
            if turn.plan.reconnect && !self.entries.is_empty() {
                if self.stage == Stage::Running && self.flights.is_empty() {
                    self.leave(turn);
                }
                return;
            }
            let Some((entry, began, is_due)) = self.next_entry(turn) else {
                return;
            };
            self.begin(entry, began, is_due, turn);
        }
    }

    fn has_room(&self, turn: &Turn<'_>) -> bool {
        match self.stage {
            Stage::Running => match self.flights.back() {
                Some(last) => {
                    last.awaits == Awaits::Answer && self.flights.len() < turn.plan.pipeline
                }
                None => true,
            },
            Stage::Down => turn.plan.reconnect && self.entries.is_empty(),
            _ => false,
        }
    }

    /// Send the next command of the newest entry, if it has one.
    fn say_next(&mut self, turn: &mut Turn<'_>) -> bool {
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
        self.say_planned(place, Place::Measured, Some(number), began, turn);
        true
    }

    /// Which entry is to begin now, if one is: its number, from when it counts, and whether its
    /// first command does so, too.
    fn next_entry(&mut self, turn: &mut Turn<'_>) -> Option<(u16, u64, bool)> {
        if self.wake_at > 0 {
            return None; // it thinks, or waits to connect again
        }
        if let Some(entry) = self.thinks.take() {
            turn.desk.entries_active = turn.desk.entries_active.saturating_sub(1);
            return turn
                .desk
                .supply
                .is_going
                .then_some((entry, turn.now, false));
        }
        if !turn.desk.supply.is_going || !turn.desk.supply.allows(self.entries_begun) {
            return None;
        }
        if turn.desk.supply.is_open_loop() {
            let Some(due) = turn.desk.supply.backlog.pop_front() else {
                if !self.is_free {
                    self.is_free = true;
                    turn.desk.supply.free.push_back(self.number());
                }
                return None;
            };
            return Some((self.pick(turn), due, true));
        }
        if !turn.desk.supply.ticket(&turn.desk.board) {
            return None;
        }
        let entry = self.pick(turn);
        let (first, last) = turn
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
            self.speaker.random.between(first, last)
        } else {
            0
        };
        if pause == 0 {
            return Some((entry, turn.now, false));
        }
        self.thinks = Some(entry);
        turn.desk.entries_active += 1; // whoever waits for all to end waits for this one, too
        self.set_wake(turn.now + pause, turn);
        None
    }

    fn pick(&mut self, turn: &Turn<'_>) -> u16 {
        if turn.plan.mix.len() > 1 {
            turn.plan.pick(self.speaker.random.unit())
        } else {
            0
        }
    }

    /// Open loop: begin the entry that was due at `due`; false where it cannot after all.
    pub fn begin_due(&mut self, due: u64, turn: &mut Turn<'_>) -> bool {
        self.is_free = false;
        let is_idle = self.wake_at == 0 && !self.needs_reset && self.has_room(turn);
        let has_said_all = self
            .entries
            .back()
            .is_none_or(|last| last.has_failed || last.next >= last.end);
        if turn.desk.is_draining || !is_idle || !has_said_all {
            return false;
        }
        let entry = self.pick(turn);
        self.begin(entry, due, true, turn);
        self.pump(turn);
        true
    }

    fn begin(&mut self, entry: u16, began: u64, is_due: bool, turn: &mut Turn<'_>) {
        let commands = turn
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
            is_due: is_due && !turn.plan.reconnect,
        });
        turn.desk.entries_active += 1;
        if turn.desk.supply.is_limited {
            self.entries_begun += 1;
            turn.desk.supply.count_finished(self.entries_begun);
        }
        if turn.plan.reconnect {
            self.connect(turn);
            self.connect_began = began;
        }
    }

    /// Say a command of the plan.
    pub(super) fn say_planned(
        &mut self,
        place: u32,
        row: Place,
        entry: Option<u32>,
        began: u64,
        turn: &mut Turn<'_>,
    ) {
        let plan = turn.plan;
        let Some(command) = plan.command(place) else {
            return;
        };
        let tag = self.tag(turn);
        let awaits = match self.speaker.say(plan, &command.pieces, 0, turn.out) {
            Some(next) => Awaits::GoAhead { next },
            None if matches!(command.answers, Answers::Idle { .. }) => Awaits::IdleBegin,
            None => Awaits::Answer,
        };
        self.flights.push_back(Flight {
            tag,
            command: place,
            label: command.label,
            place: row,
            awaits,
            answers: command.answers,
            may_fail: command.may_fail,
            entry,
            began,
            told: 0,
            held: 0,
        });
        self.unwritten += 1;
    }

    /// With `reconnect`: all has been said.
    fn leave(&mut self, turn: &mut Turn<'_>) {
        self.stage = Stage::Leaving;
        let label = turn.plan.logout_label;
        match turn.plan.protocol {
            Protocol::Imap => self.say_own(b"LOGOUT", label, Answers::Tagged, turn),
            Protocol::Lmtp => self.say_own(b"QUIT", label, Answers::Reply, turn),
        }
    }

    /// A command was answered, well or not: count it, and let its entry go on.
    pub(super) fn landed(&mut self, flight: &Flight, is_good: bool, turn: &mut Turn<'_>) {
        let octets = std::mem::take(&mut self.octets);
        let tally = &mut turn.desk.tally;
        if is_good {
            let latency = turn
                .now
                .saturating_sub(flight.began)
                .saturating_sub(flight.held);
            tally.answered(flight.place, flight.label, latency, octets, turn.now);
        } else {
            tally.failed(flight.place, flight.label);
        }
        let place = flight
            .entry
            .map(|number| number.wrapping_sub(self.entry_number) as usize);
        if let Some(progress) = place.and_then(|place| self.entries.get_mut(place)) {
            progress.in_flight = progress.in_flight.saturating_sub(1);
            progress.has_failed |= !is_good;
            if !is_good && turn.plan.protocol == Protocol::Lmtp {
                self.needs_reset = true;
            }
        }
        if !turn.plan.reconnect {
            self.end_entries(turn);
        }
    }

    /// Count the entries that are complete.
    pub(super) fn end_entries(&mut self, turn: &mut Turn<'_>) {
        while let Some(first) = self.entries.front() {
            let has_said_all = first.next >= first.end || first.has_failed;
            if first.in_flight > 0 || !has_said_all {
                return;
            }
            let latency = turn.now.saturating_sub(first.began);
            turn.desk
                .tally
                .entry(first.entry, (!first.has_failed).then_some(latency));
            turn.desk.entries_active = turn.desk.entries_active.saturating_sub(1);
            self.entries.pop_front();
            self.entry_number = self.entry_number.wrapping_add(1);
        }
    }

    /// The log-in of an entry was refused with `reconnect`: the row it belongs to.
    pub(super) fn opening_failed(&self, turn: &Turn<'_>) -> bool {
        matches!(self.stage, Stage::Login(_)) && opening_place(turn.plan) == Place::Setup
    }
}
