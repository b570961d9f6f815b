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

pub use change::{Refused, Stored, append, remove, store};
pub use record::{Packed, RECORD_OCTETS, Record};
pub use segment::{HEADER_OCTETS, SEGMENT_OCTETS_MAX, SEGMENT_RECORDS, Segment, uid_map};
