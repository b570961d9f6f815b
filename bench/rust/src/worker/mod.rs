//! One thread of the engine: its connections, its epoll, its clock.

mod links;
mod phases;

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use rustix::event::epoll::{self, CreateFlags, Event};
use rustix::time::Timespec;

use crate::board::Board;
use crate::bounds::{EVENTS_AT_ONCE, SECOND, SWEEP_NS, TICK_NS};
use crate::clock;
use crate::plan::{Plan, Purpose};
use crate::session::{Desk, Session, Supply, Timers};
use crate::tally::Tally;
use crate::transport::{Buffers, Encryption};

use links::Link;
use phases::Phase;

/// News for connections that idle, until somebody takes them.
#[derive(Debug, Default)]
pub struct News {
    /// Connection, nanoseconds, EXISTS.
    pub arrivals: Vec<(u32, u64, u32)>,
    /// There was no room for so many.
    pub dropped: u64,
}

/// What was not finished when the measured time ended.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "as in _engine.pyi")]
pub struct Unfinished {
    pub in_flight: u64,
    pub oldest: u64,
    pub backlog: u64,
}

/// What a thread leaves behind.
#[derive(Debug)]
pub struct Harvest {
    /// Its counters.
    pub tally: Tally,
    /// What it had not finished.
    pub unfinished: Unfinished,
}

/// What all threads of a load are given.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "they are what their types say")]
pub struct Common {
    pub plan: Arc<Plan>,
    pub encryption: Option<Encryption>,
    pub board: Arc<Board>,
    pub purpose: Purpose,
    pub news: Arc<Mutex<News>>,
}

/// One thread's connections.
#[derive(Debug)]
pub struct Worker {
    common: Common,
    thread: u32,
    epoll: OwnedFd,
    links: Vec<Link>,
    desk: Desk,
    buffers: Buffers,
    phase: Phase,
    /// Connections that had more to read than their turn took.
    again: Vec<u32>,
    /// The next connection to be opened for the first time.
    next_opening: usize,
    /// Connections being opened for the first time.
    opening: usize,
    /// When something was last heard.
    heard: u64,
    next_sweep: u64,
    unfinished: Unfinished,
}

impl Worker {
    /// The worker number `thread`, with every `threads`-th connection.
    ///
    /// # Errors
    /// No descriptor for epoll.
    pub fn new(common: Common, thread: u32) -> io::Result<Self> {
        let plan = &common.plan;
        let now = clock::now();
        let numbers = (thread..plan.connections).step_by(plan.threads as usize);
        let links = numbers
            .map(|number| Link::new(Session::new(plan, number)))
            .collect();
        let desk = Desk {
            tally: Tally::new(plan, Arc::clone(&common.board), now),
            supply: Supply::new(plan),
            timers: Timers::default(),
            arrivals: Vec::new(),
            board: Arc::clone(&common.board),
            purpose: common.purpose,
            entries_active: 0,
            is_draining: false,
        };
        Ok(Self {
            thread,
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            links,
            desk,
            buffers: Buffers::default(),
            phase: Phase::Opening,
            again: Vec::new(),
            next_opening: 0,
            opening: 0,
            heard: 0,
            next_sweep: now + SWEEP_NS,
            unfinished: Unfinished::default(),
            common,
        })
    }

    /// Work until the load has ended.
    ///
    /// # Errors
    /// Epoll does not work.
    pub fn run(mut self) -> io::Result<Harvest> {
        let _done = Done(Arc::clone(&self.common.board));
        let mut events = [MaybeUninit::<Event>::uninit(); EVENTS_AT_ONCE];
        self.settle_unopened();
        loop {
            let now = clock::now();
            self.desk.tally.at(now);
            self.hand_in();
            if self.turn_phase(now) {
                break;
            }
            self.open_more(now);
            self.fire_timers(now);
            self.begin_due(now);
            let timeout = self.timeout(now);
            let (ready, _) = match epoll::wait(&self.epoll, &mut events[..], Some(&timeout)) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };
            for event in ready {
                self.event(event.data.u64(), event.flags);
            }
            for place in std::mem::take(&mut self.again) {
                self.event(u64::from(place), epoll::EventFlags::IN);
            }
        }
        self.desk.tally.publish();
        Ok(Harvest {
            tally: self.desk.tally,
            unfinished: self.unfinished,
        })
    }

    /// How long nothing has to be done unless something comes.
    fn timeout(&self, now: u64) -> Timespec {
        let mut at = now + TICK_NS;
        if !self.again.is_empty() {
            at = now;
        }
        if let Some(timer) = self.desk.timers.next() {
            at = at.min(timer);
        }
        if let Some(schedule) = self
            .desk
            .supply
            .schedule
            .as_ref()
            .filter(|_| self.desk.supply.is_going)
        {
            at = at.min(schedule.due());
        }
        if let Some(boundary) = self.next_boundary() {
            at = at.min(boundary);
        }
        let wait = i64::try_from(at.saturating_sub(now)).unwrap_or(0);
        let second = i64::try_from(SECOND).unwrap_or(1);
        Timespec {
            tv_sec: wait / second,
            tv_nsec: wait % second,
        }
    }

    /// Give what other threads want to know to them.
    fn hand_in(&mut self) {
        if self.heard > 0 {
            self.common.board.heard(std::mem::take(&mut self.heard));
        }
        if !self.desk.arrivals.is_empty() {
            let mut news = self
                .common
                .news
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let room = crate::bounds::ARRIVALS_KEPT.saturating_sub(news.arrivals.len());
            let taken = self.desk.arrivals.len().min(room);
            news.dropped += (self.desk.arrivals.len() - taken) as u64;
            news.arrivals
                .extend(self.desk.arrivals.drain(..).take(taken));
        }
    }
}

/// Tells the board that a thread is done, however it ends.
struct Done(Arc<Board>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.thread_done();
    }
}
