//! Rows of a storage group, read from a snapshot of its data file; `docs/storage.md` describes
//! them.
//!
//! Here is what is read or encoded in bulk. Everything else about the filepool, and all writing, is
//! in `python/imapvm/filepool`.

mod bodies;
mod body_layout;
mod change_log;
pub mod checks;
mod compress;
mod frame_checksum;
mod keyword_table;
mod message_encoder;
mod metadata_table;
mod segments;
mod tasks;

pub use self::bodies::{Bodies, BodyError, BodyLayout, body_rows};
pub use self::body_layout::{BODY_MAX, VALUE_BYTES};
pub use self::change_log::{Changes, changes};
pub use self::compress::{compress, decompress, decompress_into};
pub use self::frame_checksum::frame_checksum;
pub use self::keyword_table::KeywordTable;
pub use self::message_encoder::{EncodedMessage, MessageEncoder};
pub use self::metadata_table::MetadataTable;
pub use self::segments::Segments;
pub use self::tasks::{
    ColumnBuilder, KeyBuilder, KeyError, PendingMessage, SearchTask, insert_in_order,
    pending_messages,
};

use crate::Corrupt;
use crate::pages::{Snapshot, Table};

/// Storage group in one snapshot.
#[derive(Clone, Copy)]
pub struct Group<'a> {
    file: &'a [u8],
    snapshot: Snapshot,
}

impl<'a> Group<'a> {
    /// Create a group from its data file and a snapshot of it.
    #[must_use]
    pub fn new(file: &'a [u8], snapshot: Snapshot) -> Self {
        Self { file, snapshot }
    }

    /// Return a table by its name.
    ///
    /// # Errors
    /// The file is corrupt, or not a storage group.
    pub fn table(self, name: &str) -> Result<Table<'a>, Corrupt> {
        let found = self.snapshot.table(self.file, name)?;
        found.ok_or(Corrupt("a table of the filepool is missing"))
    }
}
