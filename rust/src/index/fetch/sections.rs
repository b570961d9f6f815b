//! `BODY[…]` and `BINARY[…]`: which octets of the stored message stand in the answer.

use super::super::record::Packed;
use super::super::writing::put_literal_head;
use super::plan::{Binary, FieldNames, Octets};
use super::{BinarySlice, BodySlice, Out};
use crate::message::{Digest, Range};
use crate::numbers::put_decimal;
use crate::wire::ast::{Partial, SectionText};

/// Octets that stand one behind the other in a section.
enum Stretch<'a> {
    /// In the stored message.
    Stored(Range),
    /// Here.
    Known(&'a [u8]),
}

impl Stretch<'_> {
    fn length(&self) -> u64 {
        match self {
            Self::Stored(range) => range.length,
            Self::Known(octets) => octets.len() as u64,
        }
    }
}

/// A section before a partial cuts it.
#[derive(Default)]
struct Found<'a>(Vec<Stretch<'a>>);

impl Found<'_> {
    fn one(range: Range) -> Self {
        Self(vec![Stretch::Stored(range)])
    }

    /// Add a range; one that touches the last one joins it.
    fn push(&mut self, range: Range) {
        match self.0.last_mut() {
            Some(Stretch::Stored(tail)) if tail.offset + tail.length == range.offset => {
                tail.length += range.length;
            }
            _ => self.0.push(Stretch::Stored(range)),
        }
    }

    fn length(&self) -> u64 {
        self.0.iter().map(Stretch::length).sum()
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
fn fields<'a>(
    digest: &Digest<'a>,
    part: &[u32],
    wanted: bool,
    names: &FieldNames,
) -> Option<Found<'a>> {
    let of_message = wanted && part.is_empty();
    let mut found = match verbatim(digest, names) {
        Some(found) if of_message => found,
        _ => located(digest, part, wanted, names)?,
    };
    // "The blank line is included in all header fetches, except in the case of a message that has
    // no body and no blank line" (RFC 9051 section 6.4.5.1).
    let has_line = digest.empty_line(part).is_some_and(|line| line.length > 0);
    let has_body = || {
        let text = digest.locate(part, &SectionText::Text);
        text.is_some_and(|text| text.length > 0)
    };
    if has_line || has_body() {
        found.0.push(Stretch::Known(b"\r\n"));
    }
    Some(found)
}

/// The named fields of the message itself, where its digest has them all.
fn verbatim<'a>(digest: &Digest<'a>, names: &FieldNames) -> Option<Found<'a>> {
    let fields = digest.verbatim(names.verbatim)?;
    if !names.are_all_kept() {
        let there = digest.header_fields(&[])?.map(|field| field.name);
        if !names.are_kept(there) {
            return None;
        }
    }
    Some(Found(fields.map(Stretch::Known).collect()))
}

/// Where in the message the fields stand.
fn located<'a>(
    digest: &Digest<'a>,
    part: &[u32],
    wanted: bool,
    names: &FieldNames,
) -> Option<Found<'a>> {
    let mut found = Found::default();
    let mut room = Vec::new();
    for field in digest.header_fields(part)? {
        if names.contains(field.name, &mut room) == wanted {
            found.push(Range {
                offset: field.offset,
                length: field.length,
            });
        }
    }
    Some(found)
}

/// A literal of what a partial leaves; `""` where nothing is left.
fn put(out: &mut Out, body: u64, found: &Found<'_>, partial: Option<Partial>) {
    let (mut skip, mut left) = cut(found.length(), partial);
    if left == 0 {
        out.text.extend_from_slice(b"\"\"");
        return;
    }
    put_literal_head(&mut out.text, left);
    for stretch in &found.0 {
        let length = stretch.length().saturating_sub(skip).min(left);
        match stretch {
            Stretch::Stored(range) => out.body(BodySlice {
                body,
                offset: range.offset.saturating_add(skip),
                length,
            }),
            Stretch::Known(octets) => {
                let from = octets
                    .iter()
                    .skip(usize::try_from(skip).unwrap_or(usize::MAX));
                out.text
                    .extend(from.take(usize::try_from(length).unwrap_or(usize::MAX)));
            }
        }
        skip = skip.saturating_sub(stretch.length());
        left -= length;
    }
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
