//! From connect to the first command of an entry, and what a break leaves behind.

use super::{Answers, Awaits, Break, Desk, Flight, NO_COMMAND, Session, Stage, Turn, Wish};
use crate::answer::Lines;
use crate::bounds::{BACKOFF_DOUBLINGS, BACKOFF_FIRST_NS, IDLE_ANEW_NS, OPENING_ATTEMPTS};
use crate::plan::{Plan, Protocol, Purpose, Tls};
use crate::tally::{Place, UNCOUNTED};

impl Session {
    /// Ask for a connection.
    pub fn connect(&mut self, turn: &mut Turn<'_>) {
        self.connect_began = turn.now;
        self.connect_told = turn.now;
        self.lines = match turn.plan.protocol {
            Protocol::Imap => Lines::default(),
            Protocol::Lmtp => Lines::without_literals(),
        };
        self.octets = 0;
        self.next_tag = 1;
        self.needs_reset = false;
        self.recipients = 0;
        self.stage = Stage::Connecting;
        self.wish = Wish::Connect;
    }

    /// The connection is up, and encrypted where it is from the start.
    pub fn connected(&mut self, now: u64) {
        self.stage = Stage::Greeting;
        self.connect_told = now;
    }

    /// The server has greeted.
    pub(super) fn greeted(&mut self, is_logged_in: bool, turn: &mut Turn<'_>) {
        if turn.plan.tls == Tls::StartTls {
            self.stage = Stage::StartTls;
            if turn.plan.protocol == Protocol::Lmtp {
                self.say_own(b"LHLO imapvm-bench", UNCOUNTED, Answers::Reply, turn);
            } else {
                self.say_own(b"STARTTLS", UNCOUNTED, Answers::Tagged, turn);
            }
        } else {
            self.begin_login(is_logged_in, turn);
        }
    }

    /// STARTTLS was answered with OK, or LHLO before it.
    pub(super) fn starttls_answered(&mut self, is_last: bool, turn: &mut Turn<'_>) {
        if is_last {
            self.stage = Stage::Encrypting;
            self.connect_told = turn.now;
            self.wish = Wish::StartTls;
        } else {
            self.say_own(b"STARTTLS", UNCOUNTED, Answers::Reply, turn);
        }
    }

    /// TLS is up after STARTTLS.
    pub fn encrypted(&mut self, turn: &mut Turn<'_>) {
        self.begin_login(false, turn);
    }

    fn begin_login(&mut self, is_logged_in: bool, turn: &mut Turn<'_>) {
        let latency = turn.now.saturating_sub(self.connect_began);
        let octets = std::mem::take(&mut self.octets);
        let (place, label) = (opening_place(turn.plan), turn.plan.connect_label);
        turn.desk
            .tally
            .answered(place, label, latency, octets, turn.now);
        let login = if is_logged_in {
            turn.plan.login.end
        } else {
            turn.plan.login.start
        };
        self.stage = Stage::Login(login);
        self.proceed(turn);
    }

    /// Say what is next.
    pub fn proceed(&mut self, turn: &mut Turn<'_>) {
        if turn.desk.is_draining {
            return;
        }
        match self.stage {
            Stage::Login(next) if next < turn.plan.login.end => {
                self.stage = Stage::Login(next + 1);
                self.say_planned(next, opening_place(turn.plan), None, 0, turn);
            }
            Stage::Login(_) => {
                self.stage = Stage::Setup(turn.plan.setup.start);
                self.proceed(turn);
            }
            Stage::Setup(next) if next < turn.plan.setup.end => {
                self.stage = Stage::Setup(next + 1);
                self.say_planned(next, opening_place(turn.plan), None, 0, turn);
            }
            Stage::Setup(_) => {
                self.stage = Stage::Running;
                self.attempts = 0;
                match turn.desk.purpose {
                    Purpose::Load => {
                        self.mark_open(turn);
                        self.pump(turn);
                    }
                    Purpose::Idle => self.idle(turn),
                }
            }
            Stage::Running if turn.desk.purpose == Purpose::Idle => self.idle(turn),
            Stage::Running | Stage::Down => self.pump(turn),
            // These wait for the server, or for nothing any more.
            Stage::Connecting
            | Stage::Greeting
            | Stage::StartTls
            | Stage::Encrypting
            | Stage::Leaving
            | Stage::GivenUp => {}
        }
    }

    pub(super) fn mark_open(&mut self, turn: &mut Turn<'_>) {
        if !self.is_open {
            self.is_open = true;
            turn.desk
                .board
                .open
                .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        self.settle(turn.desk, turn.now);
    }

    fn mark_closed(&mut self, desk: &Desk) {
        if std::mem::take(&mut self.is_open) {
            desk.board
                .open
                .fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    fn settle(&mut self, desk: &Desk, now: u64) {
        if !self.is_settled {
            self.is_settled = true;
            desk.board.settle(now);
        }
    }

    /// Has it been set up, or given up, since the load began?
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// With `reconnect` there is nothing to open beforehand.
    pub fn settle_unopened(&mut self, turn: &mut Turn<'_>) {
        self.settle(turn.desk, turn.now);
    }

    fn idle(&mut self, turn: &mut Turn<'_>) {
        self.say_own(
            b"IDLE",
            UNCOUNTED,
            Answers::Idle { hold: IDLE_ANEW_NS },
            turn,
        );
    }

    /// Say something that is not in the plan.
    pub(super) fn say_own(
        &mut self,
        text: &[u8],
        label: u16,
        answers: Answers,
        turn: &mut Turn<'_>,
    ) {
        let tag = self.tag(turn);
        turn.out.push(text);
        turn.out.push(b"\r\n");
        let is_idle = matches!(answers, Answers::Idle { .. });
        self.flights.push_back(Flight {
            tag,
            command: NO_COMMAND,
            label,
            place: Place::Measured,
            awaits: if is_idle {
                Awaits::IdleBegin
            } else {
                Awaits::Answer
            },
            answers,
            may_fail: false,
            entry: None,
            began: 0,
            told: 0,
            held: 0,
        });
        self.unwritten += 1;
    }

    pub(super) fn tag(&mut self, turn: &mut Turn<'_>) -> u32 {
        let tag = self.next_tag;
        self.next_tag = tag.wrapping_add(1);
        if turn.plan.protocol == Protocol::Imap {
            turn.out.push(b"T");
            turn.out.push_number(u64::from(tag));
            turn.out.push(b" ");
        }
        tag
    }

    /// It has been closed, as it wished, after LOGOUT.
    pub fn closed(&mut self, turn: &mut Turn<'_>) {
        self.mark_closed(turn.desk);
        self.stage = Stage::Down;
        self.proceed(turn);
    }

    /// The connection broke, or could not be made: count that, and see what next.
    pub fn broken(&mut self, why: &Break, turn: &mut Turn<'_>) {
        let plan = turn.plan;
        let tally = &mut turn.desk.tally;
        let lost = self.flights.len().max(1) as u64;
        let doing = self.doing(plan);
        tally.error(why.kind, lost, || format!("{doing} → {}", why.example));
        let is_connecting = matches!(
            self.stage,
            Stage::Connecting | Stage::Greeting | Stage::StartTls | Stage::Encrypting
        );
        if is_connecting {
            tally.failed(opening_place(plan), plan.connect_label);
        }
        for flight in self.flights.drain(..) {
            tally.failed(flight.place, flight.label);
        }
        for progress in self.entries.drain(..) {
            tally.entry(progress.entry, None);
            turn.desk.entries_active = turn.desk.entries_active.saturating_sub(1);
            self.entry_number = self.entry_number.wrapping_add(1);
        }
        turn.out.clear();
        self.unwritten = 0;
        self.wish = Wish::Nothing;
        let was_open = self.is_open;
        self.mark_closed(turn.desk);
        self.stage = Stage::Down;
        self.attempts += 1;
        let is_idler = turn.desk.purpose == Purpose::Idle;
        let is_opening = !self.is_settled && self.attempts >= OPENING_ATTEMPTS;
        if why.is_final || is_opening || (is_idler && was_open) {
            self.give_up(why, turn);
        } else if !turn.desk.is_draining {
            let doublings = (self.attempts - 1).min(BACKOFF_DOUBLINGS);
            self.set_wake(turn.now + (BACKOFF_FIRST_NS << doublings), turn);
        }
    }

    fn give_up(&mut self, why: &Break, turn: &mut Turn<'_>) {
        self.stage = Stage::GivenUp;
        if self.thinks.take().is_some() {
            turn.desk.entries_active = turn.desk.entries_active.saturating_sub(1);
        }
        let left = turn.desk.board.give_up();
        if left == 0 && turn.desk.purpose == Purpose::Load {
            let sentence = format!("no connection could be set up: {}", why.example);
            turn.desk.board.end(turn.now, sentence);
        }
        self.settle(turn.desk, turn.now);
    }
}

/// Log-in and set-up are part of the load where every entry has them.
pub(super) fn opening_place(plan: &Plan) -> Place {
    if plan.reconnect {
        Place::Measured
    } else {
        Place::Setup
    }
}
