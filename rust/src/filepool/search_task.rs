//! SEARCH where the index does not decide: metadata, and then bytes, message by message.

use std::sync::Arc;

use super::{Bodies, BodyError, Group, MetadataTable};
use crate::Corrupt;
use crate::index::Record;
use crate::index::search::{BoundSearch, Decision, TextSearch};
use crate::message::MessageMetadata;
use crate::numbers::{Runs, UidSet};

/// A part of a search, carried out step by step.
pub struct SearchTask {
    bound: Arc<BoundSearch>,
    records: Vec<Record>,
    /// The first of which nothing is known.
    at: usize,
    /// Of that one, what its metadata left open.
    open: Option<Box<TextSearch>>,
    found: Runs,
    /// Bytes that were read last.
    bytes: Vec<u8>,
}

impl SearchTask {
    /// Search some messages; UIDs ascending.
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

    /// Look at metadata and messages until so many bytes were read; true when all is decided.
    ///
    /// What has been removed does not match: it was expunged an hour ago.
    ///
    /// # Errors
    /// A metadata or message is damaged.
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
                        return Err(Corrupt("a message is shorter than its metadata says"));
                    }
                    Ok(()) => {}
                    Err(BodyError::Gone) => {
                        gone = true;
                        break;
                    }
                    Err(BodyError::Corrupt(corrupt)) => return Err(corrupt),
                }
                read += self.bytes.len() as u64;
                search.feed(&self.bytes);
            }
            if !gone && search.matched() {
                self.found.push(record.uid, record.uid);
            }
            self.at += 1;
        }
        Ok(true)
    }

    /// Look at a message's metadata; return what is to be read where that does not decide.
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

    /// What has been found so far.
    #[must_use]
    pub fn found(&self) -> UidSet {
        self.found.clone().finish()
    }
}
