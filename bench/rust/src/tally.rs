//! What one thread has counted.

use std::sync::Arc;

use hdrhistogram::Histogram;

use crate::board::Board;
use crate::bounds::{EXAMPLE_LENGTH, LATENCY_MAX_US, STEP_NS};
use crate::errors::ErrorKind;
use crate::plan::Plan;

/// The label of what the engine does for itself and nobody counts.
pub const UNCOUNTED: u16 = u16::MAX;

/// Where a command's row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Log-in and set-up, at any time.
    Setup,
    /// The measured time.
    Measured,
}

/// One row of the report.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// Latencies in microseconds; a hundred kilobytes, so not before it is needed.
    pub histogram: Option<Box<Histogram<u64>>>,
    /// What failed.
    pub errors: u64,
    /// Octets that came in for it.
    pub octets_in: u64,
}

impl Row {
    fn record(&mut self, microseconds: u64) {
        if self.histogram.is_none() {
            self.histogram = Histogram::new_with_bounds(1, LATENCY_MAX_US, 3)
                .ok()
                .map(Box::new);
        }
        if let Some(histogram) = &mut self.histogram {
            histogram.saturating_record(microseconds);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.errors += other.errors;
        self.octets_in += other.octets_in;
        match (&mut self.histogram, &other.histogram) {
            (Some(mine), Some(theirs)) => mine.add(&**theirs).unwrap_or_default(),
            (mine @ None, Some(theirs)) => *mine = Some(theirs.clone()),
            (_, None) => {}
        }
    }

    /// True where nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.errors == 0 && self.histogram.is_none()
    }
}

/// Sums of the measured time, or of a step of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in _engine.pyi")]
pub struct Totals {
    pub commands: u64,
    pub entries: u64,
    pub octets_in: u64,
    pub octets_out: u64,
    pub errors: u64,
}

impl Totals {
    /// Add others.
    pub fn add(&mut self, other: &Self) {
        self.commands += other.commands;
        self.entries += other.entries;
        self.octets_in += other.octets_in;
        self.octets_out += other.octets_out;
        self.errors += other.errors;
    }
}

/// How often an error was seen, and the first of them.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// How often.
    pub count: u64,
    /// What the first one was.
    pub example: Option<String>,
}

/// Errors by kind; the place is `ErrorKind::index`.
#[derive(Clone, Debug)]
pub struct Errors(Vec<Seen>);

impl Default for Errors {
    fn default() -> Self {
        Self(vec![Seen::default(); ErrorKind::ALL.len()])
    }
}

impl Errors {
    /// Count one or more.
    pub fn add(&mut self, kind: ErrorKind, count: u64, example: impl FnOnce() -> String) {
        if let Some(seen) = self.0.get_mut(kind.index()) {
            seen.count += count;
            if seen.example.is_none() {
                seen.example = Some(example().chars().take(EXAMPLE_LENGTH).collect());
            }
        }
    }

    /// Take over what another has counted, and leave it empty.
    pub fn take(&mut self, other: &mut Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&mut other.0) {
            let theirs = std::mem::take(theirs);
            mine.count += theirs.count;
            mine.example = mine.example.take().or(theirs.example);
        }
    }

    /// The kinds that were seen.
    pub fn seen(&self) -> impl Iterator<Item = (ErrorKind, &Seen)> {
        ErrorKind::ALL
            .iter()
            .copied()
            .zip(&self.0)
            .filter(|(_, seen)| seen.count > 0)
    }
}

/// What has been counted since the last step ended.
#[derive(Debug)]
pub struct Step {
    /// Sums.
    pub totals: Totals,
    /// Latencies of commands, to two digits: 12 KB.
    pub latencies: Option<Histogram<u32>>,
    /// Errors, in or out of the measured time.
    pub errors: Errors,
}

impl Step {
    fn new() -> Self {
        let latencies = Histogram::new_with_bounds(1, LATENCY_MAX_US, 2).ok();
        Self {
            totals: Totals::default(),
            latencies,
            errors: Errors::default(),
        }
    }

    /// Make it empty.
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

/// The counters of one thread. Every tenth of a second they are added to those of the board.
#[derive(Debug)]
#[expect(missing_docs, reason = "as in _engine.pyi")]
pub struct Tally {
    pub labels: Vec<Row>,
    pub setup: Vec<Row>,
    pub entries: Vec<Row>,
    /// When the last answer of the measured time came.
    pub last_answer: u64,
    step: Step,
    step_number: u64,
    step_end: u64,
    is_measuring: bool,
    board: Arc<Board>,
}

impl Tally {
    /// Empty; the first step begins now.
    #[must_use]
    pub fn new(plan: &Plan, board: Arc<Board>, now: u64) -> Self {
        let labels = vec![Row::default(); plan.labels.all().len()];
        Self {
            setup: labels.clone(),
            labels,
            entries: vec![Row::default(); plan.entries.len()],
            last_answer: 0,
            step: Step::new(),
            step_number: 0,
            step_end: now + STEP_NS,
            is_measuring: false,
            board,
        }
    }

    /// A command was answered, and it was no error.
    pub fn answered(&mut self, place: Place, label: u16, nanoseconds: u64, octets: u64, now: u64) {
        if label == UNCOUNTED {
            return;
        }
        let microseconds = nanoseconds / 1_000;
        if place == Place::Measured {
            self.step.totals.commands += 1;
            if let Some(latencies) = &mut self.step.latencies {
                latencies.saturating_record(microseconds);
            }
            self.last_answer = now;
        }
        if let Some(row) = self.row(place, label) {
            row.record(microseconds);
            row.octets_in += octets;
        }
    }

    /// A command failed. The error itself is counted by `error`.
    pub fn failed(&mut self, place: Place, label: u16) {
        if label != UNCOUNTED
            && let Some(row) = self.row(place, label)
        {
            row.errors += 1;
        }
    }

    fn row(&mut self, place: Place, label: u16) -> Option<&mut Row> {
        match place {
            Place::Setup => self.setup.get_mut(usize::from(label)),
            Place::Measured if self.is_measuring => self.labels.get_mut(usize::from(label)),
            Place::Measured => None,
        }
    }

    /// An entry has ended; None: it failed.
    pub fn entry(&mut self, entry: u16, nanoseconds: Option<u64>) {
        self.step.totals.entries += u64::from(nanoseconds.is_some());
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
        self.step.errors.add(kind, count, example);
        self.step.totals.errors += count;
    }

    /// Octets have been read.
    pub fn octets_in(&mut self, count: usize) {
        self.step.totals.octets_in += count as u64;
    }

    /// Octets have been written.
    pub fn octets_out(&mut self, count: usize) {
        self.step.totals.octets_out += count as u64;
    }

    /// It is now so late: steps that have ended are published.
    pub fn at(&mut self, now: u64) {
        if now >= self.step_end {
            self.publish();
            let steps = (now - self.step_end) / STEP_NS + 1;
            self.step_number += steps;
            self.step_end += steps * STEP_NS;
        }
    }

    /// The measured time began at `start`: what was counted before is forgotten.
    pub fn begin_measuring(&mut self, start: u64) {
        self.publish();
        self.is_measuring = true;
        self.step_number = 0;
        self.step_end = start + STEP_NS;
    }

    /// The measured time is over.
    pub fn end_measuring(&mut self) {
        self.publish();
        self.is_measuring = false;
    }

    /// Give what has been counted to the board.
    pub fn publish(&mut self) {
        self.board
            .add(self.is_measuring, self.step_number, &mut self.step);
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
