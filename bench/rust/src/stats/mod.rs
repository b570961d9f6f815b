//! Measurements of a load. Each thread counts by itself and adds its counts to the shared ones ten
//! times a second.

mod counters;
mod shared;
mod thread;

pub use counters::{ErrorCount, ErrorCounts, IntervalStats, LabelStats, Totals};
pub use shared::{Counts, IntervalSum, Recent, SharedStats, Timetable};
pub use thread::{ReportSection, ThreadStats, UNCOUNTED};
