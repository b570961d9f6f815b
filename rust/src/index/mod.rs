//! Packed index segments and what is computed from them: STORE, FETCH, SEARCH.

mod change;
pub mod checks;
pub mod columns;
pub mod fetch;
mod record;
pub mod search;
mod segment;
mod writing;

#[cfg(test)]
mod segment_tests;

pub use change::{AppendError, StoreResult, append, remove, store};
pub use record::{PackedRecord, RECORD_BYTES, Record};
pub use segment::{HEADER_BYTES, SEGMENT_BYTES_MAX, SEGMENT_RECORDS, Segment, uid_map};
