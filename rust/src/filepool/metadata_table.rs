//! Table `digests`: stored message metadata.

use std::borrow::Cow;

use super::Group;
use super::body_layout::{VALUE_BYTES, chunk_key};
use crate::Corrupt;
use crate::pages::TableCursor;

/// Reader of the table; lookups of neighbouring bodies are cheap.
pub struct MetadataTable<'a> {
    cursor: TableCursor<'a>,
}

impl<'a> MetadataTable<'a> {
    /// Create a reader for a group.
    ///
    /// # Errors
    /// The file is corrupt.
    pub fn new(group: Group<'a>) -> Result<Self, Corrupt> {
        let cursor = group.table("digests")?.cursor();
        Ok(Self { cursor })
    }

    /// Return the metadata of a body as stored; None if it has none.
    ///
    /// # Errors
    /// The file is corrupt.
    pub fn get(&mut self, body: u64) -> Result<Option<Cow<'a, [u8]>>, Corrupt> {
        let Some(first) = self.cursor.get(&chunk_key(body, 0))? else {
            return Ok(None);
        };
        if first.len() < VALUE_BYTES {
            return Ok(Some(Cow::Borrowed(first)));
        }
        let mut whole = first.to_vec();
        let mut piece = first;
        for chunk in 1.. {
            if piece.len() < VALUE_BYTES {
                break;
            }
            let Some(more) = self.cursor.get(&chunk_key(body, chunk))? else {
                break;
            };
            whole.extend_from_slice(more);
            piece = more;
        }
        Ok(Some(Cow::Owned(whole)))
    }
}
