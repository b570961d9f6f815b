//! SEARCH where the index does not decide: digests, and then octets, message by message.

use std::sync::Arc;

use super::{Bodies, Digests, Fault, Group};
use crate::index::Record;
use crate::index::search::{Bound, Decision, TextSearch};
use crate::message::Digest;
use crate::numbers::{Corrupt, Runs, UidSet};

/// A part of a search, carried out step by step.
pub struct Searching {
    bound: Arc<Bound>,
    records: Vec<Record>,
    /// The first of which nothing is known.
    at: usize,
    /// Of that one, what its digest left open.
    open: Option<Box<TextSearch>>,
    found: Runs,
    /// Octets that were read last.
    octets: Vec<u8>,
}

impl Searching {
    /// Search some messages; UIDs ascending.
    #[must_use]
    pub fn new(bound: Arc<Bound>, records: Vec<Record>) -> Self {
        Self {
            bound,
            records,
            at: 0,
            open: None,
            found: Runs::new(),
            octets: Vec::new(),
        }
    }

    /// Look at digests and messages until so many octets were read; true when all is decided.
    ///
    /// What has been removed does not match: it was expunged an hour ago.
    ///
    /// # Errors
    /// A digest or message is damaged.
    pub fn step(&mut self, group: Group<'_>, most: u64) -> Result<bool, Corrupt> {
        let mut digests = Digests::new(group)?;
        let mut bodies = Bodies::new(group)?;
        let mut read = 0;
        while let Some(record) = self.records.get(self.at).copied() {
            if read >= most {
                return Ok(false);
            }
            let Some(mut search) = (match self.open.take() {
                Some(search) => Some(search),
                None => self.decide(&mut digests, record, &mut read)?,
            }) else {
                self.at += 1;
                continue;
            };
            let mut gone = false;
            while let Some(range) = search.wanted() {
                if read >= most {
                    self.open = Some(search);
                    return Ok(false);
                }
                self.octets.clear();
                match bodies.read(record.body, range.offset, range.length, &mut self.octets) {
                    Ok(()) if self.octets.is_empty() => {
                        return Err(Corrupt("a message is shorter than its digest says"));
                    }
                    Ok(()) => {}
                    Err(Fault::Gone) => {
                        gone = true;
                        break;
                    }
                    Err(Fault::Corrupt(corrupt)) => return Err(corrupt),
                }
                read += self.octets.len() as u64;
                search.feed(&self.octets);
            }
            if !gone && search.matched() {
                self.found.push(record.uid, record.uid);
            }
            self.at += 1;
        }
        Ok(true)
    }

    /// Look at a message's digest; return what is to be read where that does not decide.
    fn decide(
        &mut self,
        digests: &mut Digests<'_>,
        record: Record,
        read: &mut u64,
    ) -> Result<Option<Box<TextSearch>>, Corrupt> {
        let Some(stored) = digests.get(record.body)? else {
            return Ok(None);
        };
        *read += stored.len() as u64;
        let digest = Digest::open_front(&stored).map_err(|_| Corrupt("a digest is damaged"))?;
        match self.bound.decide(&record, &digest) {
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
