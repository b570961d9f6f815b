//! `BODY[…]` and `BINARY[…]`: which octets of the stored message stand in the answer.

use super::super::record::Packed;
use super::super::writing::put_literal_head;
use super::plan::{Binary, FieldNames, Octets};
use super::{BinarySlice, BodySlice, Out};
use crate::message::{Digest, Range};
use crate::numbers::put_decimal;
use crate::wire::ast::{Partial, SectionText};

/// Octets of a section before a partial cuts them.
struct Found {
    /// In the order of the message, none of them empty, none touching the next.
    ranges: Vec<Range>,
    /// Behind them: the empty line of HEADER.FIELDS.
    closing: &'static [u8],
}

impl Found {
    fn one(range: Range) -> Self {
        let mut found = Self {
            ranges: Vec::with_capacity(1),
            closing: b"",
        };
        found.push(range);
        found
    }

    fn push(&mut self, range: Range) {
        match self.ranges.last_mut() {
            Some(tail) if tail.offset + tail.length == range.offset => tail.length += range.length,
            _ if range.length == 0 => {}
            _ => self.ranges.push(range),
        }
    }

    fn length(&self) -> u64 {
        self.ranges.iter().map(|range| range.length).sum::<u64>() + self.closing.len() as u64
    }
}

/// `BODY[…]`: a string, or NIL where there is no such part.
pub(super) fn octets(
    out: &mut Out,
    asked: &Octets<'_>,
    record: Packed<'_>,
    digest: Option<&Digest<'_>>,
) {
    let found = match (digest, &asked.fields) {
        _ if asked.is_whole() => Some(Found::one(Range {
            offset: 0,
            length: record.size().into(),
        })),
        (Some(digest), Some((wanted, names))) => fields(digest, asked.part, *wanted, names),
        (Some(digest), None) => digest.locate(asked.part, asked.text).map(Found::one),
        (None, _) => None,
    };
    match found {
        Some(found) => put(out, record.body(), &found, asked.partial),
        None => out.text.extend_from_slice(b"NIL"),
    }
}

/// The fields that are named (or, unless they are `wanted`, the others), and the empty line.
fn fields(digest: &Digest<'_>, part: &[u32], wanted: bool, names: &FieldNames) -> Option<Found> {
    let mut found = Found {
        ranges: Vec::new(),
        closing: b"\r\n",
    };
    let mut lower = Vec::new();
    for field in digest.header_fields(part)? {
        if names.contains(field.name, &mut lower) == wanted {
            found.push(Range {
                offset: field.offset,
                length: field.length,
            });
        }
    }
    // "The blank line is included in all header fetches, except in the case of a message that has
    // no body and no blank line" (RFC 9051 section 6.4.5.1).
    let has_line = digest.empty_line(part).is_some_and(|line| line.length > 0);
    let has_body = digest
        .locate(part, &SectionText::Text)
        .is_some_and(|text| text.length > 0);
    if !has_line && !has_body {
        found.closing = b"";
    }
    Some(found)
}

/// A literal of what a partial leaves; `""` where nothing is left.
fn put(out: &mut Out, body: u64, found: &Found, partial: Option<Partial>) {
    let (mut skip, mut left) = cut(found.length(), partial);
    if left == 0 {
        out.text.extend_from_slice(b"\"\"");
        return;
    }
    put_literal_head(&mut out.text, left);
    for range in &found.ranges {
        let length = range.length.saturating_sub(skip).min(left);
        out.body(BodySlice {
            body,
            offset: range.offset.saturating_add(skip),
            length,
        });
        skip = skip.saturating_sub(range.length);
        left -= length;
    }
    // What is left is at most the closing line, for the head was counted from both.
    let closing = found
        .closing
        .iter()
        .skip(usize::try_from(skip).unwrap_or(usize::MAX));
    out.text
        .extend(closing.take(usize::try_from(left).unwrap_or(usize::MAX)));
}

/// First octet and how many, of so many.
fn cut(length: u64, partial: Option<Partial>) -> (u64, u64) {
    match partial {
        None => (0, length),
        Some(partial) => {
            let start = partial.start.min(length);
            (start, partial.count.min(length - start))
        }
    }
}

/// `BINARY[…]`: a string or literal8, or NIL where there is no such part; `BINARY.SIZE[…]`: a number, 0 where
/// there is no such part, for its grammar has no NIL.
pub(super) fn binary(
    out: &mut Out,
    asked: &Binary<'_>,
    record: Packed<'_>,
    digest: Option<&Digest<'_>>,
) {
    let Some(part) = digest.and_then(|digest| digest.part(asked.part)) else {
        out.text
            .extend_from_slice(if asked.size_only { b"0" } else { b"NIL" });
        return;
    };
    // Only the octets tell whether there is a NUL among them, which makes it a literal8.
    if part.encoding != 0 || !asked.size_only {
        out.binary(BinarySlice {
            body: record.body(),
            offset: part.offset,
            length: part.length,
            encoding: part.encoding,
            start: asked.partial.map_or(0, |partial| partial.start),
            count: asked.partial.map(|partial| partial.count),
            size_only: asked.size_only,
        });
        return;
    }
    put_decimal(&mut out.text, part.length);
}
