//! SEARCH in message metadata and message bytes, where the index is not enough.

use std::sync::Arc;

use crate::Corrupt;
use crate::filepool::{Bodies, BodyError, Group, MetadataTable};
use crate::index::Record;
use crate::index::search::{BoundSearch, Decision, TextSearch};
use crate::message::MessageMetadata;
use crate::numbers::{Runs, UidSet};

/// Bytes that count for each range read, in addition to its own: reading a short one and comparing
/// it costs as much as some hundred bytes.
const RANGE_COST: u64 = 256;

/// Part of a search, executed in steps.
pub struct SearchTask {
    bound: Arc<BoundSearch>,
    records: Vec<Record>,
    /// Index of the first message without a result.
    at: usize,
    /// Search in the bytes of that message, if its metadata was not enough.
    open: Option<Box<TextSearch>>,
    found: Runs,
    /// Buffer for message bytes.
    bytes: Vec<u8>,
}

impl SearchTask {
    /// Search some messages, in ascending order of UIDs.
    #[must_use]
    pub fn new(bound: Arc<BoundSearch>, records: Vec<Record>) -> Self {
        Self {
            bound,
            records,
            at: 0,
            open: None,
            found: Runs::new(),
            bytes: Vec::new(),
        }
    }

    /// Read metadata and messages until `max_bytes` are reached; return true when all results are
    /// known.
    ///
    /// A removed body does not match: its message was expunged at least an hour ago.
    ///
    /// # Errors
    /// Metadata or a message is corrupt.
    pub fn step(&mut self, group: Group<'_>, max_bytes: u64) -> Result<bool, Corrupt> {
        let mut metadata = MetadataTable::new(group)?;
        let mut bodies = Bodies::new(group)?;
        let mut read = 0;
        while let Some(record) = self.records.get(self.at).copied() {
            if read >= max_bytes {
                return Ok(false);
            }
            let Some(mut search) = (match self.open.take() {
                Some(search) => Some(search),
                None => self.decide(&mut metadata, record, &mut read)?,
            }) else {
                self.at += 1;
                continue;
            };
            let mut gone = false;
            while let Some(range) = search.wanted() {
                if read >= max_bytes {
                    self.open = Some(search);
                    return Ok(false);
                }
                self.bytes.clear();
                match bodies.read(record.body, range.offset, range.length, &mut self.bytes) {
                    Ok(()) if self.bytes.is_empty() => {
                        return Err(Corrupt("a message is shorter than its metadata states"));
                    }
                    Ok(()) => {}
                    Err(BodyError::Gone) => {
                        gone = true;
                        break;
                    }
                    Err(BodyError::Corrupt(corrupt)) => return Err(corrupt),
                }
                read += self.bytes.len() as u64 + RANGE_COST;
                search.feed(&self.bytes);
            }
            if !gone && search.matched() {
                self.found.push(record.uid, record.uid);
            }
            self.at += 1;
        }
        Ok(true)
    }

    /// Decide by the metadata of a message; return a search of its bytes if that is not enough.
    fn decide(
        &mut self,
        metadata: &mut MetadataTable<'_>,
        record: Record,
        read: &mut u64,
    ) -> Result<Option<Box<TextSearch>>, Corrupt> {
        let Some(stored) = metadata.get(record.body)? else {
            return Ok(None);
        };
        *read += stored.len() as u64;
        let metadata = MessageMetadata::open_lazily(&stored)?;
        match self.bound.decide(&record, &metadata) {
            Decision::Known(matches) => {
                if matches {
                    self.found.push(record.uid, record.uid);
                }
                Ok(None)
            }
            Decision::Text(search) => Ok(Some(search)),
        }
    }

    /// Return the matches so far.
    #[must_use]
    pub fn found(&self) -> UidSet {
        self.found.clone().finish()
    }
}
