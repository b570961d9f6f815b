//! Insertion of messages into the order of a SORT, by binary search.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::Corrupt;
use crate::filepool::{Group, MetadataTable, Segments};
use crate::index::arrange::{CriteriaKeys, OrderKeys, Placed, SortedMessages};
use crate::index::{Record, Segment};
use crate::message::MessageMetadata;
use crate::numbers::UidSet;
use crate::pages::Table;

/// Bytes that count for each look-up of keys in memory, and of a record, in addition to metadata.
const KEYS_COST: u64 = 32;
const RECORD_COST: u64 = 256;

/// Insert messages into an order until `max_bytes` are read, at least one message.
///
/// Return the messages that were inserted, and those that remain. A message without a record was
/// expunged, and is left out. All messages of the order must have a record.
///
/// # Errors
/// Metadata of a message is missing or corrupt.
pub fn insert_in_order(
    order: &mut SortedMessages,
    group: Group<'_>,
    mailbox: u64,
    uids: &UidSet,
    cached: &CriteriaKeys,
    max_bytes: u64,
) -> Result<(Vec<Placed>, UidSet), Corrupt> {
    let mut keys = KeyReader {
        index: group.table("index")?,
        mailbox,
        cached,
        metadata: MetadataTable::new(group)?,
        known: HashMap::new(),
        read: 0,
    };
    let mut new = Vec::new();
    let mut done = 0;
    for uid in uids.iter() {
        if keys.read >= max_bytes {
            break;
        }
        done += 1;
        let Some(record) = keys.record(uid)? else {
            continue;
        };
        let own = keys.of_record(order, &record)?;
        let (mut low, mut high) = (0, order.len());
        while low < high {
            let middle = low.midpoint(high);
            let other = order.get(middle).unwrap_or_default();
            if keys.is_before(order, other, &own)? {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        new.push((low, own));
    }
    Ok((order.insert(new), uids.split(done).1))
}

/// Reader of the keys of single messages.
struct KeyReader<'a> {
    index: Table<'a>,
    mailbox: u64,
    cached: &'a CriteriaKeys,
    metadata: MetadataTable<'a>,
    /// Keys of messages in the order that were compared.
    known: HashMap<u32, OrderKeys>,
    /// Bytes read.
    read: u64,
}

impl KeyReader<'_> {
    /// True if a message of the order is before another one.
    fn is_before(
        &mut self,
        order: &SortedMessages,
        uid: u32,
        other: &OrderKeys,
    ) -> Result<bool, Corrupt> {
        if let Some(keys) = self.known.get(&uid) {
            return Ok(order.compare(keys, other) == Ordering::Less);
        }
        self.read += KEYS_COST;
        let keys = if let Some(keys) = order.keys_in_memory(uid, None, self.cached) {
            keys
        } else {
            let record = self.record(uid)?;
            let record = record.ok_or(Corrupt("the index has no record of a message"))?;
            self.of_record(order, &record)?
        };
        let is_before = order.compare(&keys, other) == Ordering::Less;
        self.known.insert(uid, keys);
        Ok(is_before)
    }

    fn of_record(&mut self, order: &SortedMessages, record: &Record) -> Result<OrderKeys, Corrupt> {
        if let Some(keys) = order.keys_in_memory(record.uid, Some(record), self.cached) {
            return Ok(keys);
        }
        let stored = self.metadata.get(record.body)?;
        let stored = stored.ok_or(Corrupt("message metadata is missing or corrupt"))?;
        self.read += stored.len() as u64;
        let metadata = MessageMetadata::open(&stored)?;
        Ok(order.keys(record, &metadata))
    }

    fn record(&mut self, uid: u32) -> Result<Option<Record>, Corrupt> {
        self.read += RECORD_COST;
        let wanted = UidSet::run(uid, uid);
        for stored in Segments::of_table(self.index, self.mailbox, Some(&wanted)) {
            let mut records = Segment::open(stored?)?.iter();
            if let Some(record) = records.find(|record| record.uid() == uid) {
                return Ok(Some(record.unpack()));
            }
        }
        Ok(None)
    }
}
