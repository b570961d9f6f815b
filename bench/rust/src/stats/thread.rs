//! Counts of one thread.

use std::sync::Arc;

use super::counters::{IntervalStats, LabelStats};
use super::shared::SharedStats;
use crate::errors::ErrorKind;
use crate::limits::INTERVAL_NS;
use crate::plan::Plan;

/// Label of internal commands, which are not counted.
pub const UNCOUNTED: u16 = u16::MAX;

/// Section of the report that counts a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportSection {
    /// Log-in and set-up, at any time.
    Setup,
    /// The measured time.
    Measured,
}

/// Counts of one thread, added to `SharedStats` ten times a second.
#[derive(Debug)]
#[expect(missing_docs, reason = "as in _engine.pyi")]
pub struct ThreadStats {
    pub labels: Vec<LabelStats>,
    pub setup: Vec<LabelStats>,
    pub entries: Vec<LabelStats>,
    /// Time of the last answer in the measured time.
    pub last_answer: u64,
    interval: IntervalStats,
    interval_number: u64,
    interval_end: u64,
    is_measuring: bool,
    shared: Arc<SharedStats>,
}

impl ThreadStats {
    /// Make empty counts; the first interval starts now.
    #[must_use]
    pub fn new(plan: &Plan, shared: Arc<SharedStats>, now: u64) -> Self {
        let labels = vec![LabelStats::default(); plan.labels.all().len()];
        Self {
            setup: labels.clone(),
            labels,
            entries: vec![LabelStats::default(); plan.entries.len()],
            last_answer: 0,
            interval: IntervalStats::new(),
            interval_number: 0,
            interval_end: now + INTERVAL_NS,
            is_measuring: false,
            shared,
        }
    }

    /// Count a command that was answered without an error.
    pub fn answered(
        &mut self,
        place: ReportSection,
        label: u16,
        nanoseconds: u64,
        bytes: u64,
        now: u64,
    ) {
        if label == UNCOUNTED {
            return;
        }
        let microseconds = nanoseconds / 1_000;
        if place == ReportSection::Measured {
            self.interval.totals.commands += 1;
            if let Some(latencies) = &mut self.interval.latencies {
                latencies.saturating_record(microseconds);
            }
            self.last_answer = now;
        }
        if let Some(row) = self.row(place, label) {
            row.record(microseconds);
            row.bytes_in += bytes;
        }
    }

    /// Count a command that failed. `error` counts the error itself.
    pub fn failed(&mut self, place: ReportSection, label: u16) {
        if label != UNCOUNTED
            && let Some(row) = self.row(place, label)
        {
            row.errors += 1;
        }
    }

    fn row(&mut self, place: ReportSection, label: u16) -> Option<&mut LabelStats> {
        match place {
            ReportSection::Setup => self.setup.get_mut(usize::from(label)),
            ReportSection::Measured if self.is_measuring => self.labels.get_mut(usize::from(label)),
            ReportSection::Measured => None,
        }
    }

    /// Count an entry that has ended; None where it failed.
    pub fn entry(&mut self, entry: u16, nanoseconds: Option<u64>) {
        self.interval.totals.entries += u64::from(nanoseconds.is_some());
        if self.is_measuring
            && let Some(row) = self.entries.get_mut(usize::from(entry))
        {
            match nanoseconds {
                Some(nanoseconds) => row.record(nanoseconds / 1_000),
                None => row.errors += 1,
            }
        }
    }

    /// Count an error, or several of one cause.
    pub fn error(&mut self, kind: ErrorKind, count: u64, example: impl FnOnce() -> String) {
        self.interval.errors.add(kind, count, example);
        self.interval.totals.errors += count;
    }

    /// Count bytes that were read.
    pub fn bytes_in(&mut self, count: usize) {
        self.interval.totals.bytes_in += count as u64;
    }

    /// Count bytes that were written.
    pub fn bytes_out(&mut self, count: usize) {
        self.interval.totals.bytes_out += count as u64;
    }

    /// Publish the intervals that have ended at `now`.
    pub fn at(&mut self, now: u64) {
        if now >= self.interval_end {
            self.publish();
            let intervals = (now - self.interval_end) / INTERVAL_NS + 1;
            self.interval_number += intervals;
            self.interval_end += intervals * INTERVAL_NS;
        }
    }

    /// Start the measured time at `start`.
    pub fn begin_measuring(&mut self, start: u64) {
        self.publish();
        self.is_measuring = true;
        self.interval_number = 0;
        self.interval_end = start + INTERVAL_NS;
    }

    /// End the measured time.
    pub fn end_measuring(&mut self) {
        self.publish();
        self.is_measuring = false;
    }

    /// Add the counts of the current interval to the shared ones.
    pub fn publish(&mut self) {
        self.shared
            .add(self.is_measuring, self.interval_number, &mut self.interval);
    }

    /// Add the rows of another thread.
    pub fn merge(&mut self, other: &Self) {
        let pairs = [
            (&mut self.labels, &other.labels),
            (&mut self.setup, &other.setup),
            (&mut self.entries, &other.entries),
        ];
        for (mine, theirs) in pairs {
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                mine.merge(theirs);
            }
        }
        self.last_answer = self.last_answer.max(other.last_answer);
    }
}
