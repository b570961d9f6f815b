//! Sequence-sets as clients write them.

use super::cursor::{Cursor, Parsed};
use crate::wire::ast::{End, SequenceSet};
use crate::wire::disabled::Dialect;
use crate::wire::limits::Limits;

/// ```abnf
/// seq-number = nz-number / "*"
/// ```
/// # Errors
/// No number, a zero (`nz-number` has none), a leading zero, or more than `u32::MAX`.
fn seq_number(input: &mut Cursor<'_>) -> Parsed<End> {
    if input.take(b'*') {
        return Ok(End::Last);
    }
    input.nz_number("a number or \"*\"").map(End::Number)
}

/// ```abnf
/// sequence-set = (seq-number / seq-range) *("," (seq-number / seq-range)) / "$"
/// seq-range    = seq-number ":" seq-number
/// ```
pub(crate) fn sequence_set(input: &mut Cursor<'_>) -> Parsed<SequenceSet> {
    if input.offers(b"$") && input.take(b'$') {
        return Ok(SequenceSet::Saved);
    }
    let mut ranges = Vec::with_capacity(1);
    loop {
        input.room(ranges.len(), "ranges in a set")?;
        let first = seq_number(input)?;
        let last = if input.take(b':') {
            seq_number(input)?
        } else {
            first
        };
        ranges.push((first, last));
        if !input.take(b',') {
            return Ok(SequenceSet::Ranges(ranges));
        }
    }
}

/// Parse a set without `*` and `$`, for QRESYNC (RFC 7162 section 7).
pub(crate) fn known_set(input: &mut Cursor<'_>, what: &'static str) -> Parsed<SequenceSet> {
    let start = input.clone();
    let set = sequence_set(input)?;
    match &set {
        SequenceSet::Ranges(ranges)
            if ranges
                .iter()
                .all(|(a, b)| *a != End::Last && *b != End::Last) =>
        {
            Ok(set)
        }
        _ => start.expected(what),
    }
}

impl SequenceSet {
    /// Parse a whole text; None if it is not a sequence-set.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let limits = Limits {
            items: usize::MAX,
            ..Limits::default()
        };
        let mut input = Cursor::new(text, &[], false, &limits, Dialect::default());
        let set = sequence_set(&mut input).ok()?;
        input.rest().is_empty().then_some(set)
    }

    /// Return the text; `n:n` is written as `n`.
    #[must_use]
    pub fn to_imap(&self) -> Vec<u8> {
        let Self::Ranges(ranges) = self else {
            return b"$".to_vec();
        };
        let mut text = Vec::with_capacity(ranges.len() * 8);
        for (first, last) in ranges {
            if !text.is_empty() {
                text.push(b',');
            }
            write_end(&mut text, *first);
            if first != last {
                text.push(b':');
                write_end(&mut text, *last);
            }
        }
        text
    }
}

fn write_end(text: &mut Vec<u8>, end: End) {
    match end {
        End::Last => text.push(b'*'),
        End::Number(number) => text.extend_from_slice(number.to_string().as_bytes()),
    }
}
