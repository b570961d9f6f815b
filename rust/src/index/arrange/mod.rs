//! SORT and THREAD: the messages that a search found, in another order.
//!
//! Keys of messages are in columns ([`column`]), which a cache keeps ([`cache`]): messages are not
//! opened, and their metadata is read once. [`Arranger`] finds out what is missing.

mod cache;
mod column;
mod columns;
mod forest;
mod order;
mod slots;
mod sort;
mod threads;
mod write;

use std::sync::Arc;

use self::cache::CoveredColumn;
pub use self::cache::KeyColumns;
pub use self::column::{IdHasher, KeyColumn, KeyKind};
use self::columns::Columns;
pub use self::order::{CriteriaKeys, OrderKeys, Placed, SortedMessages, placed_text};
pub use self::write::{Esearch, in_window};
use super::record::Record;
use super::search::MailboxKey;
use super::segment::Segment;
use crate::Corrupt;
use crate::message::Collation;
use crate::numbers::{UidMap, UidSet};
use crate::wire::ast::{SortBy, SortCriterion, ThreadAlgorithm};

/// Order of messages that a command asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrangement {
    /// SORT; not empty.
    Sort(Vec<SortCriterion>),
    /// THREAD
    Thread(ThreadAlgorithm),
}

impl SortBy {
    /// Return the column of the key; None if the index has it.
    fn column(self) -> Option<KeyKind> {
        match self {
            Self::Arrival | Self::Relevancy | Self::Size => None,
            Self::Date => Some(KeyKind::Sent),
            Self::Subject => Some(KeyKind::Subject),
            Self::From => Some(KeyKind::From),
            Self::To => Some(KeyKind::To),
            Self::Cc => Some(KeyKind::Cc),
            Self::DisplayFrom => Some(KeyKind::DisplayFrom),
            Self::DisplayTo => Some(KeyKind::DisplayTo),
        }
    }
}

impl KeyKind {
    /// Return the collation of a column: the same for all where nothing depends on it.
    fn collation(self, collation: Collation) -> Collation {
        match self {
            Self::Sent | Self::Links => Collation::default(),
            _ => collation,
        }
    }
}

impl Arrangement {
    /// Invert the order of texts, as a collation with the prefix `-` does (RFC 4790 section 3.3).
    pub fn invert_texts(&mut self) {
        if let Self::Sort(criteria) = self {
            for criterion in criteria {
                let column = criterion.by.column();
                criterion.reverse ^= !matches!(column, None | Some(KeyKind::Sent));
            }
        }
    }

    fn columns(&self) -> Vec<KeyKind> {
        use KeyKind::{Links, Sent, Subject};
        match self {
            Self::Sort(criteria) => {
                let criteria = criteria.iter();
                criteria.filter_map(|by| by.by.column()).collect()
            }
            Self::Thread(ThreadAlgorithm::OrderedSubject) => vec![Sent, Subject],
            Self::Thread(ThreadAlgorithm::References) => vec![Sent, Subject, Links],
            Self::Thread(ThreadAlgorithm::Refs) => vec![Sent, Links],
        }
    }
}

/// Bring columns up to date for a whole mailbox only if that reads at most so many times the
/// metadata of the messages that were found.
const WORTHWHILE: u64 = 4;
/// Expunged messages that a column may have, however few others it has.
const EXPUNGED: usize = 1024;

/// Message whose metadata is missing in a column.
#[derive(Clone, Copy, Debug)]
pub struct MissingKeys {
    /// UID.
    pub uid: u32,
    /// Body id.
    pub body: u64,
}

/// One SORT or THREAD while its columns are brought up to date.
pub struct Arranger {
    arrangement: Arrangement,
    collation: Collation,
    columns: Vec<(KeyKind, CoveredColumn)>,
    /// Cache to store columns in; None if they are built for this command only.
    cache: Option<(Arc<KeyColumns>, MailboxKey)>,
    hasher: IdHasher,
    found: UidSet,
    /// Messages to read from the index: those found, and those missing in columns.
    wanted: UidSet,
    /// Messages up to this UID are in all columns.
    covered: u32,
    records: Vec<Record>,
    missing: Vec<MissingKeys>,
    /// Relevancy of messages, see [`Arranger::score`].
    scores: Vec<(UidSet, u8)>,
}

/// Result of a SORT or THREAD.
pub struct Arranged {
    /// Lines of the response.
    pub response: Vec<u8>,
    /// UIDs in the order of SORT; ascending after THREAD.
    pub uids: Vec<u32>,
}

impl Arranger {
    /// Start to arrange messages of a mailbox, and compare texts by a collation.
    ///
    /// `numbers` is the mailbox as the client has counted it.
    #[must_use]
    pub fn new(
        (arrangement, collation): (Arrangement, Collation),
        found: &UidSet,
        numbers: &UidMap,
        cache: &Arc<KeyColumns>,
        mailbox: MailboxKey,
    ) -> Self {
        let upto = found.last().unwrap_or(0);
        let kinds = arrangement.columns();
        let mut columns: Vec<(KeyKind, CoveredColumn)> = Vec::with_capacity(kinds.len());
        for kind in kinds {
            let key = (mailbox, kind, kind.collation(collation));
            let mut keys = cache.get(key);
            // Mostly expunged: build it again.
            let known = numbers.rank(keys.covered) as usize;
            if keys.column.len() > known * 2 + EXPUNGED {
                cache.take(key, &keys.column);
                keys = cache.get(key);
            }
            columns.push((kind, keys));
        }
        let covered = columns.iter().map(|(_, keys)| keys.covered).min();
        let mut arranger = Self {
            covered: covered.unwrap_or(u32::MAX),
            arrangement,
            collation,
            columns,
            cache: Some((Arc::clone(cache), mailbox)),
            hasher: cache.hasher(),
            found: found.clone(),
            wanted: found.clone(),
            records: Vec::new(),
            missing: Vec::new(),
            scores: Vec::new(),
        };
        if arranger.covered < upto {
            let missing = numbers.rank(upto) - numbers.rank(arranger.covered);
            if u64::from(missing) <= u64::from(found.len()) * WORTHWHILE {
                let new = UidSet::run(arranger.covered + 1, upto);
                let new = numbers.uids().intersection(&new);
                arranger.wanted = found.union(&new);
            } else {
                arranger.cache = None;
                arranger.covered = 0;
                for (kind, keys) in &mut arranger.columns {
                    keys.column = Arc::new(KeyColumn::new(*kind, collation));
                    keys.covered = 0;
                }
            }
        }
        arranger
    }

    /// UIDs for `read_index`.
    #[must_use]
    pub fn wanted(&self) -> &UidSet {
        &self.wanted
    }

    /// Read records of some wanted UIDs; batches and segments ascend. Messages without a record
    /// were expunged since the search, and are left out.
    ///
    /// # Errors
    /// A corrupt segment.
    pub fn read_index<'a>(
        &mut self,
        segments: impl IntoIterator<Item = Result<&'a [u8], Corrupt>>,
        uids: &UidSet,
    ) -> Result<(), Corrupt> {
        for stored in segments {
            for record in Segment::open(stored?)?.iter() {
                let uid = record.uid();
                if !uids.contains(uid) {
                    continue;
                }
                if uid > self.covered {
                    let body = record.body();
                    self.missing.push(MissingKeys { uid, body });
                }
                if self.found.contains(uid) {
                    self.records.push(record.unpack());
                }
            }
        }
        Ok(())
    }

    /// Set the relevancy of messages that have none yet (RFC 6203 section 4).
    pub fn score(&mut self, uids: UidSet, score: u8) {
        self.scores.push((uids, score));
    }

    /// Return the relevancy of each record.
    fn record_scores(&self) -> Vec<u8> {
        let score = |record: &Record| {
            let mut scores = self.scores.iter();
            let found = scores.find(|(uids, _)| uids.contains(record.uid));
            found.map_or(0, |(_, score)| *score)
        };
        self.records.iter().map(score).collect()
    }

    /// Return the messages that are missing in columns, ascending, and leave none.
    #[must_use]
    pub fn take_missing(&mut self) -> Vec<MissingKeys> {
        std::mem::take(&mut self.missing)
    }

    /// Return empty columns of the kinds that are missing, for a builder.
    #[must_use]
    pub fn new_columns(&self) -> (Vec<KeyColumn>, IdHasher) {
        let kinds = self.columns.iter();
        let columns = kinds.map(|(kind, _)| KeyColumn::new(*kind, self.collation));
        let columns = columns.collect();
        (columns, self.hasher.clone())
    }

    /// Add what builders have built, in ascending order; each has the columns of `new_columns`.
    pub fn add(&mut self, built: &[Vec<KeyColumn>]) {
        let upto = self.found.last().unwrap_or(0);
        for (at, (kind, keys)) in self.columns.iter_mut().enumerate() {
            if keys.covered >= upto {
                continue;
            }
            let collation = kind.collation(self.collation);
            if let Some((cache, mailbox)) = &self.cache {
                cache.take((*mailbox, *kind, collation), &keys.column);
            }
            let column = Arc::make_mut(&mut keys.column);
            for part in built.iter().filter_map(|part| part.get(at)) {
                column.extend(part);
            }
            keys.covered = upto;
            if let Some((cache, mailbox)) = &self.cache {
                column.ranks();
                cache.store((*mailbox, *kind, collation), keys.clone());
            }
        }
    }

    /// Arrange the messages and write the response: SORT, or ESEARCH if `esearch` is given, or
    /// THREAD. With `numbers`, the response has message numbers, else UIDs. With `modseq`, SORT and
    /// ESEARCH have the highest MODSEQ of the messages, or `modseq` if that is less.
    ///
    /// # Errors
    /// The metadata of a message could not be read.
    pub fn arrange(
        self,
        numbers: Option<&UidMap>,
        esearch: Option<&Esearch>,
        modseq: Option<u64>,
    ) -> Result<Arranged, Corrupt> {
        let scores = self.record_scores();
        let records = self.records;
        let columns = self.columns.into_iter();
        let columns = columns.map(|(kind, keys)| (kind, keys.column)).collect();
        let columns = Columns::new(columns, &records)?;
        let shown = |record: &Record| match numbers {
            Some(numbers) => numbers.number(record.uid).unwrap_or(0),
            None => record.uid,
        };
        let mut response = Vec::new();
        let uids = match &self.arrangement {
            Arrangement::Sort(criteria) => {
                let order = sort::sort(&records, criteria, &columns, &scores);
                let by_order = order.iter().filter_map(|at| scores.get(*at as usize));
                let scores: Vec<u8> = by_order.copied().collect();
                let sorted = order.iter().filter_map(|at| records.get(*at as usize));
                let numbers: Vec<u32> = sorted.clone().map(shown).collect();
                let modseq = modseq.and_then(|limit| {
                    let modseqs: Vec<u64> = sorted.clone().map(|record| record.modseq).collect();
                    let highest = match esearch {
                        Some(reply) => reply.modseq(&modseqs),
                        None => modseqs.iter().max().copied(),
                    };
                    highest.map(|highest| highest.min(limit))
                });
                match esearch {
                    Some(reply) => write::esearch(&mut response, &numbers, &scores, reply, modseq),
                    None => write::sort(&mut response, &numbers, modseq),
                }
                sorted.map(|record| record.uid).collect()
            }
            Arrangement::Thread(algorithm) => {
                let threads = threads::thread(&records, *algorithm, &columns);
                let numbers: Vec<u32> = records.iter().map(shown).collect();
                write::threads(&mut response, &threads, &numbers);
                records.iter().map(|record| record.uid).collect()
            }
        };
        Ok(Arranged { response, uids })
    }
}
