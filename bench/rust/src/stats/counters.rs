//! Counters: of one label, of an interval, of errors by kind.

use hdrhistogram::Histogram;

use crate::errors::ErrorKind;
use crate::limits::{EXAMPLE_LENGTH, LATENCY_MAX_US};

/// Counts of one label or entry: one row of the report.
#[derive(Clone, Debug, Default)]
pub struct LabelStats {
    /// Latencies in microseconds; 100 KB, so allocated at the first answer.
    pub histogram: Option<Box<Histogram<u64>>>,
    /// Commands or entries that failed.
    pub errors: u64,
    /// Bytes received.
    pub bytes_in: u64,
}

impl LabelStats {
    pub(super) fn record(&mut self, microseconds: u64) {
        if self.histogram.is_none() {
            self.histogram = Histogram::new_with_bounds(1, LATENCY_MAX_US, 3)
                .ok()
                .map(Box::new);
        }
        if let Some(histogram) = &mut self.histogram {
            histogram.saturating_record(microseconds);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.errors += other.errors;
        self.bytes_in += other.bytes_in;
        match (&mut self.histogram, &other.histogram) {
            (Some(mine), Some(theirs)) => mine.add(&**theirs).unwrap_or_default(),
            (mine @ None, Some(theirs)) => *mine = Some(theirs.clone()),
            (_, None) => {}
        }
    }

    /// Return whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.errors == 0 && self.histogram.is_none()
    }
}

/// Sums of the measured time, or of one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in _engine.pyi")]
pub struct Totals {
    pub commands: u64,
    pub entries: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub errors: u64,
}

impl Totals {
    /// Add other sums.
    pub fn add(&mut self, other: &Self) {
        self.commands += other.commands;
        self.entries += other.entries;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.errors += other.errors;
    }
}

/// Number of errors of one kind, and an example.
#[derive(Clone, Debug, Default)]
pub struct ErrorCount {
    /// Number.
    pub count: u64,
    /// Text of the first one.
    pub example: Option<String>,
}

/// Errors by kind, indexed by `ErrorKind::index`.
#[derive(Clone, Debug)]
pub struct ErrorCounts(Vec<ErrorCount>);

impl Default for ErrorCounts {
    fn default() -> Self {
        Self(vec![ErrorCount::default(); ErrorKind::ALL.len()])
    }
}

impl ErrorCounts {
    /// Count errors of one kind.
    pub fn add(&mut self, kind: ErrorKind, count: u64, example: impl FnOnce() -> String) {
        if let Some(seen) = self.0.get_mut(kind.index()) {
            seen.count += count;
            if seen.example.is_none() {
                seen.example = Some(example().chars().take(EXAMPLE_LENGTH).collect());
            }
        }
    }

    /// Move the counts of another one into this one.
    pub fn take(&mut self, other: &mut Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&mut other.0) {
            let theirs = std::mem::take(theirs);
            mine.count += theirs.count;
            mine.example = mine.example.take().or(theirs.example);
        }
    }

    /// Iterate over the kinds with at least one error.
    pub fn seen(&self) -> impl Iterator<Item = (ErrorKind, &ErrorCount)> {
        ErrorKind::ALL
            .iter()
            .copied()
            .zip(&self.0)
            .filter(|(_, seen)| seen.count > 0)
    }
}

/// Counts of one thread since the last interval ended.
#[derive(Debug)]
pub struct IntervalStats {
    /// Sums.
    pub totals: Totals,
    /// Latencies of commands, to two digits: 12 KB.
    pub latencies: Option<Histogram<u32>>,
    /// Errors, also before the measured time.
    pub errors: ErrorCounts,
}

impl IntervalStats {
    pub(super) fn new() -> Self {
        let latencies = Histogram::new_with_bounds(1, LATENCY_MAX_US, 2).ok();
        Self {
            totals: Totals::default(),
            latencies,
            errors: ErrorCounts::default(),
        }
    }

    /// Reset all counts.
    pub fn clear(&mut self) {
        self.totals = Totals::default();
        if self
            .latencies
            .as_ref()
            .is_some_and(|histogram| !histogram.is_empty())
        {
            self.latencies.iter_mut().for_each(Histogram::reset);
        }
    }
}
