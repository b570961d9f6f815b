//! State and counts that the threads of a load share.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use hdrhistogram::Histogram;

use super::counters::{ErrorCounts, IntervalStats, Totals};
use crate::limits::{INTERVAL_NS, TICK_NS};
use crate::plan::Plan;

/// Intervals whose latencies are kept in full: the last two seconds. Counts that arrive later are
/// added, but not to the percentiles.
const INTERVALS_IN_FULL: usize = 20;

/// Times at which the phases of a load start and end.
#[derive(Clone, Copy, Debug)]
pub struct Timetable {
    /// All connections start the mix.
    pub go: u64,
    /// The measured time starts.
    pub measure: u64,
    /// The measured time ends; `u64::MAX` where only a limit ends it.
    pub end: u64,
}

/// Counts of all threads in one interval of the series.
#[derive(Clone, Debug, Default)]
pub struct IntervalSum {
    /// Sums.
    pub totals: Totals,
    /// 99th percentile, after `latencies` has been dropped.
    p99_us: u64,
    latencies: Option<Box<Histogram<u32>>>,
}

impl IntervalSum {
    /// Return the 99th percentile of the latencies in microseconds; 0 where there are none.
    #[must_use]
    pub fn p99_us(&self) -> u64 {
        self.latencies
            .as_ref()
            .map_or(self.p99_us, |latencies| quantile(latencies, 0.99))
    }
}

/// Counts so far.
#[derive(Debug, Default)]
pub struct Counts {
    /// The last intervals before the measured time.
    before: VecDeque<IntervalSum>,
    /// Number of the first one in `before`.
    before_first: u64,
    /// Intervals of the measured time.
    pub intervals: Vec<IntervalSum>,
    /// Sums of the measured time.
    pub totals: Totals,
    /// Errors at any time, also before the measured time.
    pub errors: ErrorCounts,
}

/// Rates and latencies of the last second.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "as in _engine.pyi")]
pub struct Recent {
    pub commands_per_second: f64,
    pub bytes_in_per_second: f64,
    pub p50_us: u64,
    pub p99_us: u64,
}

/// State and counts that the threads of a load share.
#[derive(Debug)]
pub struct SharedStats {
    connections: u32,
    warmup: u64,
    duration: Option<u64>,
    /// Time at which the threads were started.
    pub started: u64,
    /// Connections that are logged in and set up.
    pub open: AtomicU32,
    /// Connections that have been set up once, or given up, while all were being opened.
    opening_finished: AtomicU32,
    /// Connections that were given up.
    given_up: AtomicU32,
    /// Time at which a thread last read from the server.
    last_received_at: AtomicU64,
    /// Entries started that count for the limit.
    begun: AtomicU64,
    timetable: OnceLock<(Timetable, u32)>,
    stop: AtomicBool,
    /// Time at which the load was ended; 0 while it runs.
    ended_at: AtomicU64,
    ended: Mutex<Option<String>>,
    threads: u32,
    threads_left: AtomicU32,
    /// Threads that may start nothing more because of a limit.
    threads_finished: AtomicU32,
    counts: Mutex<Counts>,
}

impl SharedStats {
    /// Make the state of a load that has not started.
    #[must_use]
    pub fn new(plan: &Plan, now: u64) -> Self {
        Self {
            connections: plan.connections,
            warmup: plan.warmup,
            duration: plan.duration,
            started: now,
            open: AtomicU32::new(0),
            opening_finished: AtomicU32::new(0),
            given_up: AtomicU32::new(0),
            last_received_at: AtomicU64::new(now),
            begun: AtomicU64::new(0),
            timetable: OnceLock::new(),
            stop: AtomicBool::new(false),
            ended_at: AtomicU64::new(0),
            ended: Mutex::new(None),
            threads: plan.threads,
            threads_left: AtomicU32::new(plan.threads),
            threads_finished: AtomicU32::new(0),
            counts: Mutex::new(Counts::default()),
        }
    }

    /// Count a connection that is set up or given up for the first time. The last one makes the
    /// timetable.
    pub fn finish_opening(&self, now: u64) {
        if self.opening_finished.fetch_add(1, Relaxed) + 1 == self.connections {
            let go = now + 2 * TICK_NS; // all threads have seen the timetable by then
            let measure = go + self.warmup;
            let end = self
                .duration
                .map_or(u64::MAX, |duration| measure + duration);
            let open = self.open.load(Relaxed);
            let _never_twice = self.timetable.set((Timetable { go, measure, end }, open));
        }
    }

    /// Return the number of connections that have been neither set up nor given up.
    pub fn opening(&self) -> u32 {
        self.connections
            .saturating_sub(self.opening_finished.load(Relaxed))
    }

    /// Count a connection that is given up; return the number of those that are left.
    pub fn give_up(&self) -> u32 {
        self.connections
            .saturating_sub(self.given_up.fetch_add(1, Relaxed) + 1)
    }

    /// Return the timetable; None while connections are being opened.
    pub fn timetable(&self) -> Option<Timetable> {
        self.timetable.get().map(|(timetable, _)| *timetable)
    }

    /// Return the number of connections that were open when the timetable was made.
    pub fn opened(&self) -> u32 {
        self.timetable
            .get()
            .map_or_else(|| self.open.load(Relaxed), |(_, open)| *open)
    }

    /// Note that something was read from the server.
    pub fn note_received(&self, now: u64) {
        self.last_received_at.store(now, Relaxed);
    }

    /// Return the nanoseconds since something was last read.
    pub fn silent_for(&self, now: u64) -> u64 {
        now.saturating_sub(self.last_received_at.load(Relaxed))
    }

    /// Count another entry; false, and not counted, where the limit is reached.
    pub fn begin(&self, limit: u64) -> bool {
        self.begun.load(Relaxed) < limit && self.begun.fetch_add(1, Relaxed) < limit
    }

    /// Return whether the limit is reached.
    pub fn is_exhausted(&self, limit: u64) -> bool {
        self.begun.load(Relaxed) >= limit
    }

    /// Tell all threads to end.
    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    /// Return whether `stop` was called.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// End the load now, for a reason; the first reason is kept.
    pub fn end(&self, now: u64, why: impl Into<String>) {
        let mut ended = lock(&self.ended);
        if ended.is_none() {
            *ended = Some(why.into());
            self.ended_at.store(now, Relaxed);
        }
    }

    /// Note that a thread may start nothing more because of a limit. The last one ends the load.
    pub fn finish_limit(&self, now: u64) {
        if self.threads_finished.fetch_add(1, Relaxed) + 1 == self.threads {
            self.end(now, "limit");
        }
    }

    /// Return the time at which the load was ended.
    pub fn ended_at(&self) -> Option<u64> {
        Some(self.ended_at.load(Relaxed)).filter(|&at| at > 0)
    }

    /// Return the reason for the end.
    pub fn why_ended(&self) -> String {
        lock(&self.ended)
            .clone()
            .unwrap_or_else(|| "stopped".to_owned())
    }

    /// Note that a thread has ended.
    pub fn thread_done(&self) {
        self.threads_left.fetch_sub(1, Relaxed);
    }

    /// Return whether all threads have ended.
    pub fn is_done(&self) -> bool {
        self.threads_left.load(Relaxed) == 0
    }

    /// Add an interval of one thread, and clear it.
    pub fn add(&self, is_measured: bool, number: u64, interval: &mut IntervalStats) {
        let mut counts = lock(&self.counts);
        counts.errors.take(&mut interval.errors);
        if is_measured {
            counts.totals.add(&interval.totals);
        }
        let sum = if is_measured {
            counts.measured(number)
        } else {
            counts.before(number)
        };
        if let Some(sum) = sum {
            sum.totals.add(&interval.totals);
            if let Some(new) = interval.latencies.as_ref().filter(|new| !new.is_empty()) {
                match &mut sum.latencies {
                    Some(latencies) => latencies.add(new).unwrap_or_default(),
                    None => sum.latencies = Some(Box::new(new.clone())),
                }
            }
        }
        drop(counts);
        interval.clear();
    }

    /// Lock the counts.
    pub fn counts(&self) -> MutexGuard<'_, Counts> {
        lock(&self.counts)
    }
}

impl Counts {
    fn before(&mut self, number: u64) -> Option<&mut IntervalSum> {
        let place = usize::try_from(number.checked_sub(self.before_first)?).ok()?;
        for _ in self.before.len()..=place.min(INTERVALS_IN_FULL) {
            self.before.push_back(IntervalSum::default());
        }
        let surplus = place.saturating_sub(INTERVALS_IN_FULL);
        for _ in 0..surplus.min(INTERVALS_IN_FULL + 1) {
            self.before.pop_front();
            self.before.push_back(IntervalSum::default());
        }
        self.before_first += surplus as u64;
        self.before.get_mut(place - surplus)
    }

    fn measured(&mut self, number: u64) -> Option<&mut IntervalSum> {
        let number = usize::try_from(number).ok()?;
        if self.intervals.len() <= number {
            let from = self.intervals.len().saturating_sub(INTERVALS_IN_FULL);
            self.intervals.resize(number + 1, IntervalSum::default());
            let full = self.intervals.len().saturating_sub(INTERVALS_IN_FULL);
            for old in self
                .intervals
                .get_mut(from.min(full)..full)
                .unwrap_or_default()
            {
                old.p99_us = old.p99_us();
                old.latencies = None;
            }
        }
        self.intervals.get_mut(number)
    }

    /// Return rates and latencies of the last second of a phase that has lasted `elapsed` nanoseconds.
    #[must_use]
    pub fn recent(&self, is_measured: bool, elapsed: u64) -> Recent {
        // Threads may still add to the newest interval.
        let complete = usize::try_from(elapsed / INTERVAL_NS)
            .unwrap_or(0)
            .saturating_sub(1);
        let last: Vec<&IntervalSum> = if is_measured {
            let complete = complete.min(self.intervals.len());
            let last = self.intervals.get(complete.saturating_sub(10)..complete);
            last.unwrap_or_default().iter().collect()
        } else {
            self.before.iter().rev().skip(1).take(10).collect()
        };
        let mut totals = Totals::default();
        let mut latencies: Option<Box<Histogram<u32>>> = None;
        for interval in &last {
            totals.add(&interval.totals);
            match (&mut latencies, &interval.latencies) {
                (Some(sum), Some(more)) => sum.add(&**more).unwrap_or_default(),
                (sum @ None, Some(more)) => *sum = Some(more.clone()),
                (_, None) => {}
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let per_second = |count: u64| count as f64 * 10.0 / last.len().max(1) as f64;
        let quantile_of = |q| {
            latencies
                .as_ref()
                .map_or(0, |latencies| quantile(latencies, q))
        };
        Recent {
            commands_per_second: per_second(totals.commands),
            bytes_in_per_second: per_second(totals.bytes_in),
            p50_us: quantile_of(0.5),
            p99_us: quantile_of(0.99),
        }
    }
}

fn quantile(latencies: &Histogram<u32>, q: f64) -> u64 {
    if latencies.is_empty() {
        0
    } else {
        latencies.value_at_quantile(q)
    }
}

/// Lock, also after a panic: sums and strings are never half-written.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(counts: &mut Counts, number: u64) -> Option<&mut u64> {
        counts.before(number).map(|sum| &mut sum.totals.commands)
    }

    #[test]
    fn only_the_last_intervals_before_the_measured_time_are_kept() {
        let mut counts = Counts::default();
        for number in 0..100 {
            *sum(&mut counts, number).unwrap() = number;
        }
        assert_eq!(counts.before.len(), INTERVALS_IN_FULL + 1);
        assert_eq!(sum(&mut counts, 99).copied(), Some(99));
        assert_eq!(sum(&mut counts, 79).copied(), Some(79));
        assert_eq!(sum(&mut counts, 78), None, "too old");
        assert_eq!(
            sum(&mut counts, 1_000_000).copied(),
            Some(0),
            "a long pause costs nothing"
        );
        assert_eq!(counts.before.len(), INTERVALS_IN_FULL + 1);
    }

    #[test]
    fn old_intervals_keep_their_percentile_and_drop_their_latencies() {
        let mut counts = Counts::default();
        let mut latencies = Histogram::new_with_bounds(1, 1_000, 2).unwrap();
        latencies.record(500).unwrap();
        counts.measured(0).unwrap().latencies = Some(Box::new(latencies));
        counts.measured(INTERVALS_IN_FULL as u64 - 1).unwrap();
        assert!(counts.intervals[0].latencies.is_some());
        let before = counts.intervals[0].p99_us();
        counts.measured(INTERVALS_IN_FULL as u64).unwrap();
        assert!(counts.intervals[0].latencies.is_none());
        assert_eq!(counts.intervals[0].p99_us(), before);
        assert!((498..=503).contains(&before), "{before}");
    }
}
