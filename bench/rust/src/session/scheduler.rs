//! Start of entries: at once in a closed loop, by a schedule in an open loop, up to the limits.

use std::collections::VecDeque;

use crate::limits::{BACKLOG_ENTRIES_MAX, SECOND};
use crate::plan::{Arrivals, Plan};
use crate::random::Random;
use crate::stats::SharedStats;

/// Times at which the entries of one thread are due.
///
/// Constant by default: evenly spread arrivals add no bursts of the tool, so entries wait because of the
/// server only, and two runs can be compared. A Poisson process models independent users, with bursts.
#[derive(Debug)]
pub enum Schedule {
    /// Entry `number` is due at `start + number / rate`; a thread takes every `stride`-th entry.
    #[expect(missing_docs, reason = "documented above")]
    Constant {
        start: u64,
        number: u64,
        stride: u64,
        rate: f64,
    },
    /// The next entry is due `next` nanoseconds after `start`.
    #[expect(missing_docs, reason = "documented above")]
    Poisson {
        start: u64,
        next: f64,
        rate: f64,
        random: Random,
    },
}

impl Schedule {
    /// Make the schedule of thread number `thread`, from `start` on.
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
                // Streams of connections count up from 0; these count down from the maximum.
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

    /// Return the time at which the next entry is due.
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

    /// Advance to the entry after it.
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

/// Scheduler of the entries of one thread.
#[derive(Debug, Default)]
pub struct Scheduler {
    /// Entries may start.
    pub is_running: bool,
    /// Entries count for the limits: the measured time has started.
    pub is_limited: bool,
    limit: Option<u64>,
    limit_each: Option<u64>,
    /// Open loop: the schedule.
    pub schedule: Option<Schedule>,
    is_open_loop: bool,
    /// Open loop: due times of the entries that wait for a connection.
    pub backlog: VecDeque<u64>,
    /// Open loop: free connections, the one that has been free for longest first.
    pub free: VecDeque<u32>,
    /// Connections that have started `limit_each` entries.
    pub finished: usize,
}

impl Scheduler {
    /// Make the scheduler of a plan. Entries start after `is_running` is set.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Self {
            limit: plan.limit,
            limit_each: plan.limit_each,
            is_open_loop: plan.rate.is_some(),
            ..Self::default()
        }
    }

    /// Return whether entries follow a schedule.
    #[must_use]
    pub fn is_open_loop(&self) -> bool {
        self.is_open_loop
    }

    /// Count one more entry for the limit; false where it may not start.
    pub fn try_begin(&self, shared: &SharedStats) -> bool {
        self.is_running && (!self.is_limited || self.limit.is_none_or(|limit| shared.begin(limit)))
    }

    /// Return whether a connection may start another entry after `begun` ones.
    #[must_use]
    pub fn allows(&self, begun: u64) -> bool {
        !self.is_limited || self.limit_each.is_none_or(|limit| begun < limit)
    }

    /// Note that a connection has started `begun` entries.
    pub fn count_finished(&mut self, begun: u64) {
        if self.limit_each == Some(begun) {
            self.finished += 1;
        }
    }

    /// Return whether the limits allow no more entries to any of `connections`.
    #[must_use]
    pub fn is_exhausted(&self, shared: &SharedStats, connections: usize) -> bool {
        let by_limit = self.limit.is_some_and(|limit| shared.is_exhausted(limit));
        self.is_limited && (by_limit || self.limit_each.is_some() && self.finished >= connections)
    }

    /// Add an entry that was due at `due` to the backlog; false where the backlog is full.
    pub fn enqueue(&mut self, due: u64) -> bool {
        let has_room = self.backlog.len() < BACKLOG_ENTRIES_MAX;
        if has_room {
            self.backlog.push_back(due);
        }
        has_room
    }
}
