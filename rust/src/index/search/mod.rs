//! SEARCH: keys are compiled once, and answered from the index, from metadata, and from message
//! bytes.

mod column;
mod header_columns;
mod logic;
mod program;
mod repeated;
mod text;

#[cfg(test)]
mod tests;

use std::cell::{Cell, OnceCell};
use std::collections::HashSet;
use std::sync::Arc;

pub use self::column::Column;
pub use self::header_columns::{HeaderColumns, MailboxKey, StaleColumns};
use self::logic::{Verdicts, run};
use self::program::{Leaf, Program};
pub use self::program::{
    SearchContext, fuzzy_texts, has_extensions, has_numbers, keywords, needs_metadata, needs_modseq,
};
pub use self::repeated::{aged, ranges, with_uids};
pub use self::text::TextSearch;
use super::record::{PackedRecord, RECORD_BYTES, Record};
use super::segment::{OUT_OF_ORDER, Segment};
use crate::Corrupt;
pub use crate::message::Collation;
pub use crate::message::search::Tolerance;
use crate::message::{MessageMetadata, SEARCH_FIELDS, append_field_value};
use crate::numbers::{Runs, UidSet};
use crate::wire::ast::{Field, SearchKey};

/// Search in one mailbox as one client has counted it.
pub struct BoundSearch {
    program: Arc<Program>,
    /// UIDs in the client's view; others do not match.
    known: UidSet,
    candidates: UidSet,
}

/// Result of a search in the metadata of a message.
pub enum Decision {
    /// Match, or no match.
    Known(bool),
    /// The bytes of the message are needed.
    Text(Box<TextSearch>),
}

/// Results of header columns for the leaves of a search; the default has none.
#[derive(Debug, Default)]
pub struct Answers(Vec<Option<Answer>>);

/// Result of a header column for one leaf.
#[derive(Debug)]
struct Answer {
    found: UidSet,
    /// UIDs with a complete text: not found is no match.
    known: UidSet,
}

/// Result of a search in segments.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Matching UIDs.
    pub found: UidSet,
    /// Messages that the index does not decide, ascending.
    pub undecided: Vec<Record>,
}

impl BoundSearch {
    /// Resolve sets, keywords and relative dates.
    #[must_use]
    pub fn new(key: &SearchKey, context: &SearchContext<'_>) -> Self {
        let program = Program::compile(key, context);
        let known = context.numbers.uids().clone();
        let candidates = program.candidates(&known);
        Self {
            program: Arc::new(program),
            known,
            candidates,
        }
    }

    /// UIDs that can match.
    #[must_use]
    pub fn candidates(&self) -> &UidSet {
        &self.candidates
    }

    /// Header fields that the search reads, each once.
    #[must_use]
    pub fn fields(&self) -> Vec<Field> {
        let reads = |field: &Field| {
            let mut leaves = self.program.leaves.iter();
            leaves.any(|leaf| leaf.in_column().is_some_and(|(read, _)| read == *field))
        };
        SEARCH_FIELDS.into_iter().filter(reads).collect()
    }

    /// By which texts are compared.
    #[must_use]
    pub fn collation(&self) -> Collation {
        self.program.collation
    }

    /// Number of lookups in header columns; the cost of `look_up` is proportional to it.
    #[must_use]
    pub fn lookups(&self) -> usize {
        self.program.leaves.iter().map(Leaf::lookups).sum()
    }

    /// Number of keys; the cost of `scan` is proportional to it.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.program.ops.len()
    }

    /// Number of keys that read metadata or bytes of messages; the cost of searching a message is
    /// proportional to it.
    #[must_use]
    pub fn texts(&self) -> usize {
        self.program.texts()
    }

    /// Search the header columns for some UIDs.
    #[must_use]
    pub fn look_up(&self, columns: &HeaderColumns, mailbox: MailboxKey, uids: &UidSet) -> Answers {
        let uids = uids.intersection(&self.candidates);
        let mut answers = Answers(Vec::new());
        answers.0.resize_with(self.program.leaves.len(), || None);
        for field in self.fields() {
            let leaves = self.program.leaves.iter().enumerate();
            let asking = leaves.filter_map(|(at, leaf)| match leaf.in_column() {
                Some((read, needle)) if read == field => Some((at, needle)),
                _ => None,
            });
            let (places, needles): (Vec<_>, Vec<_>) = asking.unzip();
            let key = (mailbox, field, self.collation());
            let Some(matches) = columns.find(key, &needles, &uids) else {
                continue;
            };
            for (at, found) in places.into_iter().zip(matches.found) {
                if let Some(answer) = answers.0.get_mut(at) {
                    let known = matches.known.clone();
                    *answer = Some(Answer { found, known });
                }
            }
        }
        answers
    }

    /// Decide some UIDs with the index and `answers`; segments ascending.
    ///
    /// # Errors
    /// A corrupt segment, or segments out of order.
    pub fn scan<'a>(
        &self,
        segments: impl IntoIterator<Item = Result<&'a [u8], Corrupt>>,
        uids: &UidSet,
        answers: &Answers,
    ) -> Result<Scanned, Corrupt> {
        let mut found = Runs::new();
        let mut undecided = Vec::new();
        let mut stack = Vec::new();
        let mut before = 0;
        for stored in segments {
            let segment = Segment::open(stored?)?;
            let (Some(first), Some(last)) = (segment.first(), segment.last()) else {
                continue;
            };
            if first <= before {
                return Err(OUT_OF_ORDER);
            }
            before = last;
            let records = segment.packed();
            let known = mask_of(&self.candidates, records) & mask_of(uids, records);
            if known == 0 {
                continue;
            }
            let verdicts = run(&self.program.ops, &mut stack, |at| {
                if let Some(Some(answer)) = answers.0.get(at) {
                    return answer.over(records);
                }
                let leaf = self.program.leaves.get(at);
                leaf.and_then(|leaf| leaf.over(records))
                    .map_or(Verdicts::UNKNOWN, Verdicts::known)
            });
            let mut rest = known & !verdicts.no;
            while rest != 0 {
                let at = rest.trailing_zeros();
                rest &= rest - 1;
                let Some(record) = records.get(at as usize).map(PackedRecord) else {
                    break;
                };
                if verdicts.yes >> at & 1 != 0 {
                    found.push(record.uid(), record.uid());
                } else {
                    undecided.push(record.unpack());
                }
            }
        }
        Ok(Scanned {
            found: found.finish(),
            undecided,
        })
    }

    /// Decide one message with its metadata.
    #[must_use]
    pub fn decide(&self, record: &Record, metadata: &MessageMetadata<'_>) -> Decision {
        if !self.known.contains(record.uid) {
            return Decision::Known(false);
        }
        let header = HeaderTexts::new(metadata, self.collation());
        let answers: Vec<Option<bool>> = self
            .program
            .leaves
            .iter()
            .map(|leaf| leaf.of(record, &header))
            .collect();
        match verdict(&self.program, &answers) {
            Some(known) => Decision::Known(known),
            None => Decision::Text(Box::new(TextSearch::new(
                Arc::clone(&self.program),
                answers,
                metadata,
            ))),
        }
    }
}

/// Return the verdict on one message, given the known answers of leaves.
fn verdict(program: &Program, answers: &[Option<bool>]) -> Option<bool> {
    let verdicts = run(&program.ops, &mut Vec::new(), |at| {
        Verdicts::one(answers.get(at).copied().flatten())
    });
    match (verdicts.yes & 1, verdicts.no & 1) {
        (1, _) => Some(true),
        (_, 1) => Some(false),
        _ => None,
    }
}

/// Return a bit for each record with a property.
fn column(records: &[[u8; RECORD_BYTES]], is: impl Fn(PackedRecord<'_>) -> bool) -> u64 {
    let bits = records.iter().enumerate();
    bits.fold(0, |mask, (at, record)| {
        mask | u64::from(is(PackedRecord(record))) << (at & 63)
    })
}

/// Return a bit for each record whose UID is in a set.
fn mask_of(uids: &UidSet, records: &[[u8; RECORD_BYTES]]) -> u64 {
    let (Some(first), Some(last)) = (records.first(), records.last()) else {
        return 0;
    };
    let ends = (PackedRecord(first).uid(), PackedRecord(last).uid());
    let mut mask = 0;
    let mut from = 0;
    for run in uids.within(ends.0, ends.1) {
        if run == ends {
            return u64::MAX >> (64 - records.len().clamp(1, 64));
        }
        let rest = |from| records.get(from..).unwrap_or_default();
        let first = from + rest(from).partition_point(|record| PackedRecord(record).uid() < run.0);
        from = if run.0 == run.1 {
            // A run of one number, as most matches are.
            let is_here = |record| PackedRecord(record).uid() == run.0;
            first + usize::from(rest(first).first().is_some_and(is_here))
        } else {
            first + rest(first).partition_point(|record| PackedRecord(record).uid() <= run.1)
        };
        if from > first {
            mask |= u64::MAX >> (64 - (from - first).clamp(1, 64)) << (first & 63);
        }
    }
    mask
}

/// Return the local time of a zone in seconds.
fn local(seconds: i64, zone: i16) -> i64 {
    seconds.saturating_add(i64::from(zone) * 60)
}

impl Answer {
    /// Return the verdicts on at most 64 records.
    fn over(&self, records: &[[u8; RECORD_BYTES]]) -> Verdicts {
        let yes = mask_of(&self.found, records);
        let no = mask_of(&self.known, records) & !yes;
        Verdicts { yes, no }
    }
}

impl Leaf {
    /// Return a bit for each of at most 64 records; None if the index does not decide.
    fn over(&self, records: &[[u8; RECORD_BYTES]]) -> Option<u64> {
        Some(match self {
            Self::Constant(is) => {
                if *is {
                    u64::MAX
                } else {
                    0
                }
            }
            Self::Flag(bit) => column(records, |record| record.flags() & bit != 0),
            Self::Keywords(sets) => column(records, |record| {
                sets.binary_search(&record.keyword_set()).is_ok()
            }),
            Self::Uids(uids) => mask_of(uids, records),
            Self::Received(range) => column(records, |record| range.contains(&record.date())),
            Self::ReceivedLocal(range) => column(records, |record| {
                range.contains(&local(record.date(), record.zone()))
            }),
            Self::Saved(range) => column(records, |record| range.contains(&record.saved())),
            Self::Size(range) => column(records, |record| range.contains(&record.size().into())),
            Self::ModSeq(least) => column(records, |record| record.modseq() >= *least),
            Self::Body(id) => column(records, |record| record.body() == *id),
            Self::Thread(id) => column(records, |record| record.thread() == *id),
            Self::Sent(_)
            | Self::Field(..)
            | Self::HasHeader(_)
            | Self::Header(..)
            | Self::Text(..) => return None,
        })
    }

    /// Return the answer for one message; None if index and metadata do not decide.
    fn of(&self, record: &Record, header: &HeaderTexts<'_, '_>) -> Option<bool> {
        let metadata = header.metadata;
        match self {
            Self::Sent(range) => {
                // A message without a Date counts as sent when it was received.
                let (seconds, zone) = metadata.sent().unwrap_or((record.date, record.zone));
                Some(range.contains(&local(seconds, zone)))
            }
            Self::Field(field, needle) => {
                let (text, is_complete) = header.text(*field);
                let here = needle.is_in(text);
                (here || *is_complete).then_some(here)
            }
            Self::HasHeader(name) => Some(header.contains(name)),
            Self::Header(name, kept, needle) => {
                match kept.and_then(|kept| metadata.cached_fields(kept)) {
                    Some(mut fields) => Some(fields.any(|field| {
                        let mut text = Vec::new();
                        append_field_value(field, header.collation, &mut text);
                        needle.is_in(&text)
                    })),
                    None => (!header.contains(name)).then_some(false),
                }
            }
            Self::Text(needle, true) => {
                let here = |field| needle.is_in(&header.text(field).0);
                SEARCH_FIELDS.into_iter().any(here).then_some(true)
            }
            Self::Text(_, false) => None,
            _ => self.over(&[record.pack()]).map(|mask| mask & 1 != 0),
        }
    }
}

/// Lookups in the field table of a message that read it from its start; further ones use a set.
const SLOW_LOOKUPS: usize = 4;

/// Names of the header fields of a message, and prepared texts.
struct HeaderTexts<'a, 'm> {
    metadata: &'a MessageMetadata<'m>,
    collation: Collation,
    /// Of `SEARCH_FIELDS`, each with whether it is complete.
    texts: [OnceCell<(Vec<u8>, bool)>; SEARCH_FIELDS.len()],
    lookups: Cell<usize>,
    /// In lower case.
    names: OnceCell<HashSet<Vec<u8>>>,
}

/// Text of a field that SEARCH has no key for.
static NO_TEXT: (Vec<u8>, bool) = (Vec::new(), true);

impl<'a, 'm> HeaderTexts<'a, 'm> {
    fn new(metadata: &'a MessageMetadata<'m>, collation: Collation) -> Self {
        Self {
            metadata,
            collation,
            texts: Default::default(),
            lookups: Cell::new(0),
            names: OnceCell::new(),
        }
    }

    /// Return the text of a field, and whether it is complete. It is prepared once, for any number of
    /// keys.
    fn text(&self, field: Field) -> &(Vec<u8>, bool) {
        let texts = SEARCH_FIELDS.iter().zip(&self.texts);
        let mut found = texts.filter(|(of, _)| **of == field);
        found.next().map_or(&NO_TEXT, |(_, text)| {
            text.get_or_init(|| {
                let mut text = Vec::new();
                let is_complete = self.metadata.search_text(field, self.collation, &mut text);
                (text, is_complete)
            })
        })
    }

    /// True if there is a field of that name, in any case.
    fn contains(&self, name: &[u8]) -> bool {
        let mut fields = self.metadata.header_fields(&[]).into_iter().flatten();
        let before = self.lookups.replace(self.lookups.get() + 1);
        if before < SLOW_LOOKUPS {
            return fields.any(|field| field.name.eq_ignore_ascii_case(name));
        }
        let names = || {
            fields
                .map(|field| field.name.to_ascii_lowercase())
                .collect()
        };
        let names = self.names.get_or_init(names);
        names.contains(&name.to_ascii_lowercase())
    }
}
