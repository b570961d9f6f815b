//! Index: packed segments, and STORE, FETCH, SEARCH, SORT and THREAD over them.
//!
//! Segments are read from a table by [`filepool`](crate::filepool); this module takes them as
//! bytes. Message metadata is in [`message`](crate::message).

pub mod arrange;
mod change;
pub mod checks;
pub mod columns;
pub mod fetch;
mod lru;
mod record;
pub mod search;
mod segment;
mod writing;

#[cfg(test)]
mod segment_tests;

pub use change::{
    AppendError, FlagChange, StoreResult, append, remove, renumber, seen_by_reader, store,
};
pub use record::{PackedRecord, RECORD_BYTES, Record};
pub use segment::{HEADER_BYTES, SEGMENT_BYTES_MAX, SEGMENT_RECORDS, Segment, uid_map};
