//! Key columns: what SORT and THREAD compare, of many messages, by UID.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::OnceLock;

use super::slots::{NONE, number};
use crate::index::Record;
use crate::message::{AddressKey, AddressList, Collation, MessageMetadata};

/// Value that a key column has of each message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// Sent date (RFC 5256 section 2.2).
    Sent,
    /// Base subject.
    Subject,
    /// Mailbox of the first address of From.
    From,
    /// The same of To.
    To,
    /// The same of Cc.
    Cc,
    /// Display value of From (RFC 5957).
    DisplayFrom,
    /// Display value of To.
    DisplayTo,
    /// Message-ID and references.
    Links,
}

/// Date of a message without a Date field.
const NO_DATE: i64 = i64::MIN;

/// Hash function of Message-IDs: keyed, so that no sender can choose ids with equal hashes. Different
/// ids of one mailbox have different hashes for practical purposes.
pub type IdHasher = RandomState;

/// Values of one kind, by UID.
///
/// A UID names one body forever, so entries never become wrong; those of expunged messages do no
/// harm.
#[derive(Clone, Debug)]
pub struct KeyColumn {
    /// Ascending.
    uids: Vec<u32>,
    values: Values,
}

#[derive(Clone, Debug)]
enum Values {
    Sent(Vec<i64>),
    Texts(KeyKind, Collation, Texts),
    Links(Links),
}

/// Texts in one buffer.
#[derive(Clone, Debug, Default)]
struct Texts {
    /// End of each text.
    ends: Vec<u32>,
    bytes: Vec<u8>,
    /// Place of each text in the order of all; equal texts have equal ranks.
    ranks: OnceLock<Vec<u32>>,
}

/// Message-IDs and references, each id as a number.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    /// Number of each hash.
    numbers: HashMap<u64, u32, BuildHasherDefault<HashIsKey>>,
    /// Hash of each number.
    hashes: Vec<u64>,
    /// Message-ID of each message, or `NONE`.
    own: Vec<u32>,
    is_reply: Vec<bool>,
    /// End of the references of each message.
    ends: Vec<u32>,
    references: Vec<u32>,
}

/// Hash function of values that are hashes.
#[derive(Default)]
struct HashIsKey(u64);

impl Hasher for HashIsKey {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

impl KeyColumn {
    /// Create an empty column.
    #[must_use]
    pub fn new(kind: KeyKind, collation: Collation) -> Self {
        Self {
            uids: Vec::new(),
            values: match kind {
                KeyKind::Sent => Values::Sent(Vec::new()),
                KeyKind::Links => Values::Links(Links::default()),
                kind => Values::Texts(kind, collation, Texts::default()),
            },
        }
    }

    /// Number of messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.uids.len()
    }

    /// True if there are no messages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.uids.is_empty()
    }

    /// Bytes of memory, except those that do not depend on the contents.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let words = |vector: &Vec<u32>| vector.capacity() * size_of::<u32>();
        words(&self.uids)
            + match &self.values {
                Values::Sent(dates) => dates.capacity() * size_of::<i64>(),
                // Ranks are made when they are first needed, and counted before.
                Values::Texts(.., texts) => 2 * words(&texts.ends) + texts.bytes.capacity(),
                Values::Links(links) => {
                    // A hash table of `std` has a control byte for each slot, and at least an
                    // eighth of the slots empty.
                    links.numbers.capacity() * (size_of::<(u64, u32)>() + 1) * 8 / 7
                        + links.hashes.capacity() * size_of::<u64>()
                        + words(&links.own)
                        + links.is_reply.capacity()
                        + words(&links.ends)
                        + words(&links.references)
                }
            }
    }

    fn last(&self) -> u32 {
        self.uids.last().copied().unwrap_or(0)
    }

    /// Add the value of a message. A UID that is not above the last is ignored.
    pub fn append(&mut self, uid: u32, metadata: &MessageMetadata<'_>, hasher: &IdHasher) {
        if uid <= self.last() {
            return;
        }
        match &mut self.values {
            Values::Sent(dates) => {
                dates.push(metadata.sent().map_or(NO_DATE, |(seconds, _)| seconds));
            }
            Values::Texts(kind, collation, texts) => {
                texts.push(|to| append_text(*kind, *collation, metadata, to));
            }
            Values::Links(links) => links.push(
                metadata.message_id().map(|id| hasher.hash_one(id)),
                metadata.references().map(|id| hasher.hash_one(id)),
                metadata.is_reply_or_forward(),
            ),
        }
        self.uids.push(uid);
    }

    /// Add the entries of another column of the same kind above the last UID.
    pub fn extend(&mut self, other: &Self) {
        let last = self.last();
        let from = other.uids.partition_point(|uid| *uid <= last);
        match (&mut self.values, &other.values) {
            (Values::Sent(dates), Values::Sent(more)) => {
                dates.extend_from_slice(more.get(from..).unwrap_or_default());
            }
            (Values::Texts(.., texts), Values::Texts(.., more)) => texts.extend(more, from),
            (Values::Links(links), Values::Links(more)) => links.extend(more, from),
            _ => return, // another kind
        }
        let more = other.uids.get(from..).unwrap_or_default();
        self.uids.extend_from_slice(more);
    }

    /// Return the index of the entry of a message.
    pub(super) fn place(&self, uid: u32) -> Option<usize> {
        self.uids.binary_search(&uid).ok()
    }

    /// Return the Date field of an entry, if it has one.
    pub(super) fn sent_at(&self, at: usize) -> Option<i64> {
        match &self.values {
            Values::Sent(dates) => dates.get(at).copied().filter(|date| *date != NO_DATE),
            _ => None,
        }
    }

    /// Return the text of an entry; None if the column has no texts.
    pub(super) fn text(&self, at: usize) -> Option<&[u8]> {
        match &self.values {
            Values::Texts(.., texts) => Some(texts.get(at)),
            _ => None,
        }
    }

    /// Return the index of the entry of each record; None if one has no entry. Records ascend.
    #[must_use]
    pub(super) fn places(&self, records: &[Record]) -> Option<Vec<u32>> {
        let mut at = 0;
        let mut places = Vec::with_capacity(records.len());
        for record in records {
            let rest = self.uids.get(at..).unwrap_or_default();
            // The next entry, mostly.
            let ahead = match rest.first() {
                Some(uid) if *uid == record.uid => 0,
                _ => rest.partition_point(|uid| *uid < record.uid),
            };
            at += ahead;
            if self.uids.get(at) != Some(&record.uid) {
                return None;
            }
            places.push(number(at));
            at += 1;
        }
        Some(places)
    }

    /// Return the sent dates of records at some places: the Date field, else INTERNALDATE.
    pub(super) fn sent(&self, places: &[u32], records: &[Record]) -> Vec<i64> {
        let Values::Sent(dates) = &self.values else {
            return Vec::new();
        };
        let dates = places.iter().map(|at| dates.get(*at as usize));
        dates
            .zip(records)
            .map(|(date, record)| match date {
                Some(date) if *date != NO_DATE => *date,
                _ => record.date,
            })
            .collect()
    }

    /// Return the rank of each text among all texts of the column. The first call sorts them.
    pub(super) fn ranks(&self) -> &[u32] {
        match &self.values {
            Values::Texts(.., texts) => texts.ranks.get_or_init(|| texts.rank()),
            _ => &[],
        }
    }

    /// Return the rank of the empty text; `NONE` if no text is empty.
    pub(super) fn empty_rank(&self) -> u32 {
        match &self.values {
            // The empty text is the first of all.
            Values::Texts(.., texts) if texts.has_empty() => 0,
            _ => NONE,
        }
    }

    /// Return the links, if the column has them.
    pub(super) fn links(&self) -> Option<&Links> {
        match &self.values {
            Values::Links(links) => Some(links),
            _ => None,
        }
    }
}

/// Append the sort key of a message in a column of texts.
pub(super) fn append_text(
    kind: KeyKind,
    collation: Collation,
    metadata: &MessageMetadata<'_>,
    to: &mut Vec<u8>,
) {
    use AddressKey::{Display, Mailbox};
    use AddressList::{Cc, From, To};
    let (list, key) = match kind {
        KeyKind::From => (From, Mailbox),
        KeyKind::To => (To, Mailbox),
        KeyKind::Cc => (Cc, Mailbox),
        KeyKind::DisplayFrom => (From, Display),
        KeyKind::DisplayTo => (To, Display),
        KeyKind::Sent | KeyKind::Subject | KeyKind::Links => {
            return metadata.subject_sort_key(collation, to);
        }
    };
    metadata.address_sort_key(list, key, collation, to);
}

impl Texts {
    fn push(&mut self, append: impl FnOnce(&mut Vec<u8>)) {
        append(&mut self.bytes);
        // Texts of one command are limited to far less than 4 GiB.
        self.ends.push(number(self.bytes.len()));
    }

    fn start(&self, at: usize) -> usize {
        let before = at.checked_sub(1).and_then(|before| self.ends.get(before));
        before.map_or(0, |end| *end as usize)
    }

    fn get(&self, at: usize) -> &[u8] {
        let end = self.ends.get(at).map_or(0, |end| *end as usize);
        self.bytes.get(self.start(at)..end).unwrap_or_default()
    }

    fn has_empty(&self) -> bool {
        let mut before = 0;
        self.ends
            .iter()
            .any(|end| std::mem::replace(&mut before, *end) == *end)
    }

    fn extend(&mut self, other: &Self, from: usize) {
        let (base, start) = (self.bytes.len(), other.start(from));
        self.bytes
            .extend_from_slice(other.bytes.get(start..).unwrap_or_default());
        let ends = other.ends.get(from..).unwrap_or_default();
        let moved = ends.iter().map(|end| number(base + *end as usize - start));
        self.ends.extend(moved);
        self.ranks = OnceLock::new();
    }

    fn rank(&self) -> Vec<u32> {
        // The first bytes decide most comparisons, without a look at the texts.
        let mut order: Vec<(u64, u32)> = (0..self.ends.len())
            .map(|at| (first_bytes(self.get(at)), number(at)))
            .collect();
        let text = |at: u32| self.get(at as usize);
        order.sort_unstable_by(|one, other| {
            one.0
                .cmp(&other.0)
                .then_with(|| text(one.1).cmp(text(other.1)))
        });
        let mut ranks = vec![0; order.len()];
        let mut rank = 0;
        let mut before: Option<(u64, u32)> = None;
        for (bytes, at) in order {
            if let Some((bytes_before, before)) = before
                && (bytes != bytes_before || text(at) != text(before))
            {
                rank += 1;
            }
            before = Some((bytes, at));
            if let Some(slot) = ranks.get_mut(at as usize) {
                *slot = rank;
            }
        }
        ranks
    }
}

/// Return the first eight bytes of a text as a number that compares like them.
fn first_bytes(text: &[u8]) -> u64 {
    match text.first_chunk() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => text
            .iter()
            .chain(std::iter::repeat(&0))
            .take(8)
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    }
}

impl Links {
    fn number_of(&mut self, hash: u64) -> u32 {
        let next = number(self.hashes.len());
        let found = *self.numbers.entry(hash).or_insert(next);
        if found == next {
            self.hashes.push(hash);
        }
        found
    }

    fn push(&mut self, own: Option<u64>, references: impl Iterator<Item = u64>, is_reply: bool) {
        let own = own.map_or(NONE, |hash| self.number_of(hash));
        self.own.push(own);
        for hash in references {
            let reference = self.number_of(hash);
            self.references.push(reference);
        }
        self.ends.push(number(self.references.len()));
        self.is_reply.push(is_reply);
    }

    fn extend(&mut self, other: &Self, from: usize) {
        let mut renumbered = vec![NONE; other.hashes.len()];
        let mut renumber = |links: &mut Self, old: u32| {
            let Some(slot) = renumbered.get_mut(old as usize) else {
                return NONE;
            };
            if *slot == NONE {
                let hash = other.hashes.get(old as usize).copied();
                *slot = links.number_of(hash.unwrap_or_default());
            }
            *slot
        };
        for at in from..other.own.len() {
            let own = renumber(self, other.own(at));
            self.own.push(own);
            for reference in other.references(at) {
                let reference = renumber(self, *reference);
                self.references.push(reference);
            }
            self.ends.push(number(self.references.len()));
            self.is_reply.push(other.is_reply(at));
        }
    }

    /// Number of ids; each is below.
    pub(super) fn ids(&self) -> usize {
        self.hashes.len()
    }

    /// Return the Message-ID of an entry, or `NONE`.
    pub(super) fn own(&self, at: usize) -> u32 {
        self.own.get(at).copied().unwrap_or(NONE)
    }

    /// Return the references of an entry, oldest first.
    pub(super) fn references(&self, at: usize) -> &[u32] {
        let before = at.checked_sub(1).and_then(|before| self.ends.get(before));
        let start = before.map_or(0, |end| *end as usize);
        let end = self.ends.get(at).map_or(0, |end| *end as usize);
        self.references.get(start..end).unwrap_or_default()
    }

    /// True if the subject of an entry marks a reply or a forwarded message.
    pub(super) fn is_reply(&self, at: usize) -> bool {
        self.is_reply.get(at).is_some_and(|is_reply| *is_reply)
    }
}
