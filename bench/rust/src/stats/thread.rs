//! What one thread has counted.

use std::sync::Arc;

use super::counters::{IntervalStats, LabelStats};
use super::shared::SharedStats;
use crate::errors::ErrorKind;
use crate::limits::INTERVAL_NS;
use crate::plan::Plan;

/// The label of what the engine does for itself and nobody counts.
pub const UNCOUNTED: u16 = u16::MAX;

/// Where a command's row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportSection {
    /// Log-in and set-up, at any time.
    Setup,
    /// The measured time.
    Measured,
}

/// The counters of one thread. Every tenth of a second they are added to those of the board.
#[derive(Debug)]
#[expect(missing_docs, reason = "as in _engine.pyi")]
pub struct ThreadStats {
    pub labels: Vec<LabelStats>,
    pub setup: Vec<LabelStats>,
    pub entries: Vec<LabelStats>,
    /// When the last answer of the measured time came.
    pub last_answer: u64,
    interval: IntervalStats,
    interval_number: u64,
    interval_end: u64,
    is_measuring: bool,
    shared: Arc<SharedStats>,
}

impl ThreadStats {
    /// Empty; the first step begins now.
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

    /// A command was answered, and it was no error.
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

    /// A command failed. The error itself is counted by `error`.
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

    /// An entry has ended; None: it failed.
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

    /// Count an error, or several of the same cause.
    pub fn error(&mut self, kind: ErrorKind, count: u64, example: impl FnOnce() -> String) {
        self.interval.errors.add(kind, count, example);
        self.interval.totals.errors += count;
    }

    /// Octets have been read.
    pub fn bytes_in(&mut self, count: usize) {
        self.interval.totals.bytes_in += count as u64;
    }

    /// Octets have been written.
    pub fn bytes_out(&mut self, count: usize) {
        self.interval.totals.bytes_out += count as u64;
    }

    /// It is now so late: steps that have ended are published.
    pub fn at(&mut self, now: u64) {
        if now >= self.interval_end {
            self.publish();
            let intervals = (now - self.interval_end) / INTERVAL_NS + 1;
            self.interval_number += intervals;
            self.interval_end += intervals * INTERVAL_NS;
        }
    }

    /// The measured time began at `start`: what was counted before is forgotten.
    pub fn begin_measuring(&mut self, start: u64) {
        self.publish();
        self.is_measuring = true;
        self.interval_number = 0;
        self.interval_end = start + INTERVAL_NS;
    }

    /// The measured time is over.
    pub fn end_measuring(&mut self) {
        self.publish();
        self.is_measuring = false;
    }

    /// Give what has been counted to the board.
    pub fn publish(&mut self) {
        self.shared
            .add(self.is_measuring, self.interval_number, &mut self.interval);
    }

    /// Take another thread's rows in.
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
