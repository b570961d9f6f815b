//! Where entries come from: at once in a closed loop, by a schedule in an open one, up to a limit.

use std::collections::VecDeque;

use crate::limits::{BACKLOG_ENTRIES_MAX, SECOND};
use crate::plan::{Arrivals, Plan};
use crate::random::Random;
use crate::stats::SharedStats;

/// When the entries of one thread are due.
///
/// Constant by default: evenly spread arrivals add no bursts of the tool's own, so what waits does so
/// because of the server, and two runs differ by the servers only. A Poisson process is what
/// independent users look like, bursts included.
#[derive(Debug)]
pub enum Schedule {
    /// Entry `number` at `start + number / rate`; a thread takes each `stride`-th.
    #[expect(missing_docs, reason = "said above")]
    Constant {
        start: u64,
        number: u64,
        stride: u64,
        rate: f64,
    },
    /// The next at `next` nanoseconds after `start`.
    #[expect(missing_docs, reason = "said above")]
    Poisson {
        start: u64,
        next: f64,
        rate: f64,
        random: Random,
    },
}

impl Schedule {
    /// The share of thread number `thread`, beginning at `start`.
    #[must_use]
    pub fn new(plan: &Plan, rate: f64, thread: u32, start: u64) -> Self {
        match plan.arrivals {
            Arrivals::Constant => Self::Constant {
                start,
                number: u64::from(thread),
                stride: u64::from(plan.threads),
                rate,
            },
            Arrivals::Poisson => {
                // Below the streams of connections, which count from 0.
                let random = Random::new(plan.seed, u64::MAX - u64::from(thread));
                let rate = rate / f64::from(plan.threads);
                let mut schedule = Self::Poisson {
                    start,
                    next: 0.0,
                    rate,
                    random,
                };
                schedule.advance();
                schedule
            }
        }
    }

    /// When the next entry is due.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact up to 2^53 nanoseconds: 104 days"
    )]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative"
    )]
    pub fn due(&self) -> u64 {
        match self {
            Self::Constant {
                start,
                number,
                rate,
                ..
            } => start.saturating_add((*number as f64 * SECOND as f64 / rate) as u64),
            Self::Poisson { start, next, .. } => start.saturating_add(*next as u64),
        }
    }

    /// Go to the one after it.
    #[expect(clippy::cast_precision_loss, reason = "SECOND is exact")]
    pub fn advance(&mut self) {
        match self {
            Self::Constant { number, stride, .. } => *number = number.wrapping_add(*stride),
            Self::Poisson {
                next, rate, random, ..
            } => {
                *next += random.exponential() * SECOND as f64 / *rate;
            }
        }
    }
}

/// Where the connections of one thread get their entries.
#[derive(Debug, Default)]
pub struct Scheduler {
    /// Work has begun, and the end has not.
    pub is_running: bool,
    /// Entries count for the limits: the measured time has begun.
    pub is_limited: bool,
    limit: Option<u64>,
    limit_each: Option<u64>,
    /// Open loop: when entries are due.
    pub schedule: Option<Schedule>,
    is_open_loop: bool,
    /// Open loop: when those that wait were due.
    pub backlog: VecDeque<u64>,
    /// Open loop: connections that have nothing to do, the longest first.
    pub free: VecDeque<u32>,
    /// Connections that have begun `limit_each` entries.
    pub finished: usize,
}

impl Scheduler {
    /// Of a plan; nothing before `is_running`.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Self {
            limit: plan.limit,
            limit_each: plan.limit_each,
            is_open_loop: plan.rate.is_some(),
            ..Self::default()
        }
    }

    /// Do entries come by a schedule?
    #[must_use]
    pub fn is_open_loop(&self) -> bool {
        self.is_open_loop
    }

    /// May one more entry be begun? It is counted for the limit if so.
    pub fn try_begin(&self, shared: &SharedStats) -> bool {
        self.is_running && (!self.is_limited || self.limit.is_none_or(|limit| shared.begin(limit)))
    }

    /// May a connection begin another entry after so many?
    #[must_use]
    pub fn allows(&self, begun: u64) -> bool {
        !self.is_limited || self.limit_each.is_none_or(|limit| begun < limit)
    }

    /// A connection has begun so many entries.
    pub fn count_finished(&mut self, begun: u64) {
        if self.limit_each == Some(begun) {
            self.finished += 1;
        }
    }

    /// True where the limits allow no more entries to any of `connections`.
    #[must_use]
    pub fn is_exhausted(&self, shared: &SharedStats, connections: usize) -> bool {
        let by_limit = self.limit.is_some_and(|limit| shared.is_exhausted(limit));
        self.is_limited && (by_limit || self.limit_each.is_some() && self.finished >= connections)
    }

    /// Let an entry wait that was due at `due`; false where too many wait.
    pub fn enqueue(&mut self, due: u64) -> bool {
        let has_room = self.backlog.len() < BACKLOG_ENTRIES_MAX;
        if has_room {
            self.backlog.push_back(due);
        }
        has_room
    }
}
