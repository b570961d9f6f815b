//! One thread of the engine: connections, epoll, timers.

mod connections;
mod phases;

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use rustix::event::epoll::{self, CreateFlags, Event};
use rustix::time::Timespec;

use crate::clock;
use crate::limits::{EVENTS_AT_ONCE, SECOND, SWEEP_NS, TICK_NS};
use crate::plan::{Plan, Purpose};
use crate::session::{Scheduler, Session, ThreadState, Timers};
use crate::stats::SharedStats;
use crate::stats::ThreadStats;
use crate::transport::{Buffers, Encryption};

use connections::Connection;
use phases::Phase;

/// EXISTS on idle connections, until `IdleLoad.arrivals` returns them.
#[derive(Debug, Default)]
pub struct ArrivalQueue {
    /// Connection, nanoseconds, EXISTS.
    pub arrivals: Vec<(u32, u64, u32)>,
    /// Number of arrivals that did not fit.
    pub dropped: u64,
}

/// Work that was not finished when the measured time ended.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "as in _engine.pyi")]
pub struct UnfinishedWork {
    pub in_flight: u64,
    pub oldest: u64,
    pub backlog: u64,
}

/// Result of a worker.
#[derive(Debug)]
pub struct WorkerResult {
    /// Counts.
    pub stats: ThreadStats,
    /// Unfinished work.
    pub unfinished: UnfinishedWork,
}

/// Arguments of all workers of a load.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "documented by their types")]
pub struct WorkerConfig {
    pub plan: Arc<Plan>,
    pub encryption: Option<Encryption>,
    pub shared: Arc<SharedStats>,
    pub purpose: Purpose,
    pub queue: Arc<Mutex<ArrivalQueue>>,
}

/// One thread of a load.
#[derive(Debug)]
pub struct Worker {
    config: WorkerConfig,
    thread: u32,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    state: ThreadState,
    buffers: Buffers,
    phase: Phase,
    /// Connections with more input than one event reads.
    unread: Vec<u32>,
    /// Next connection to open for the first time.
    next_opening: usize,
    /// Connections being opened for the first time.
    opening: usize,
    /// Time of the last read; 0: none since `publish`.
    received_at: u64,
    next_sweep: u64,
    unfinished: UnfinishedWork,
}

impl Worker {
    /// Make worker number `thread`, with every `threads`-th connection.
    ///
    /// # Errors
    /// There is no descriptor for epoll.
    pub fn new(config: WorkerConfig, thread: u32) -> io::Result<Self> {
        let plan = &config.plan;
        let now = clock::now();
        let numbers = (thread..plan.connections).step_by(plan.threads as usize);
        let connections = numbers
            .map(|number| Connection::new(Session::new(plan, number)))
            .collect();
        let state = ThreadState {
            stats: ThreadStats::new(plan, Arc::clone(&config.shared), now),
            scheduler: Scheduler::new(plan),
            timers: Timers::default(),
            arrivals: Vec::new(),
            shared: Arc::clone(&config.shared),
            purpose: config.purpose,
            entries_active: 0,
            is_draining: false,
        };
        Ok(Self {
            thread,
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            connections,
            state,
            buffers: Buffers::default(),
            phase: Phase::Opening,
            unread: Vec::new(),
            next_opening: 0,
            opening: 0,
            received_at: 0,
            next_sweep: now + SWEEP_NS,
            unfinished: UnfinishedWork::default(),
            config,
        })
    }

    /// Run until the load has ended.
    ///
    /// # Errors
    /// Epoll failed.
    pub fn run(mut self) -> io::Result<WorkerResult> {
        let _done = Done(Arc::clone(&self.config.shared));
        let mut events = [MaybeUninit::<Event>::uninit(); EVENTS_AT_ONCE];
        self.skip_opening();
        loop {
            let now = clock::now();
            self.state.stats.at(now);
            self.publish();
            if self.update_phase(now) {
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
            for place in std::mem::take(&mut self.unread) {
                self.event(u64::from(place), epoll::EventFlags::IN);
            }
        }
        self.state.stats.publish();
        Ok(WorkerResult {
            stats: self.state.stats,
            unfinished: self.unfinished,
        })
    }

    /// Return the time until the next timer, due entry or phase.
    fn timeout(&self, now: u64) -> Timespec {
        let mut at = now + TICK_NS;
        if !self.unread.is_empty() {
            at = now;
        }
        if let Some(timer) = self.state.timers.next() {
            at = at.min(timer);
        }
        if let Some(schedule) = self
            .state
            .scheduler
            .schedule
            .as_ref()
            .filter(|_| self.state.scheduler.is_running)
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

    /// Pass the time of the last read and the arrivals to the other threads.
    fn publish(&mut self) {
        if self.received_at > 0 {
            self.config
                .shared
                .note_received(std::mem::take(&mut self.received_at));
        }
        if !self.state.arrivals.is_empty() {
            let mut queue = self
                .config
                .queue
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let room = crate::limits::ARRIVALS_MAX.saturating_sub(queue.arrivals.len());
            let taken = self.state.arrivals.len().min(room);
            queue.dropped += (self.state.arrivals.len() - taken) as u64;
            queue
                .arrivals
                .extend(self.state.arrivals.drain(..).take(taken));
        }
    }
}

/// Notes the end of a thread, also after a panic.
struct Done(Arc<SharedStats>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.thread_done();
    }
}
