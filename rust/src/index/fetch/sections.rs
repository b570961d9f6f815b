//! `BODY[…]` and `BINARY[…]`: which octets of the stored message stand in the answer.

use super::super::record::Packed;
use super::super::writing::put_literal_head;
use super::plan::{Binary, FieldNames, Octets};
use super::{BinarySlice, BodySlice, Out};
use crate::message::{Digest, Range, VerbatimFields};
use crate::numbers::put_decimal;
use crate::wire::ast::{Partial, SectionText};

/// Octets that stand one behind the other in a section.
#[derive(Clone, Copy)]
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

/// `BODY[…]`: a string, or NIL where there is no such part.
pub(super) fn octets(
    out: &mut Out,
    asked: &Octets<'_>,
    record: Packed<'_>,
    digest: Option<&Digest<'_>>,
) {
    if find(out, asked, record, digest).is_none() {
        out.text.extend_from_slice(b"NIL");
    }
}

/// The string; None where there is no such part.
fn find(
    out: &mut Out,
    asked: &Octets<'_>,
    record: Packed<'_>,
    digest: Option<&Digest<'_>>,
) -> Option<()> {
    let (body, partial) = (record.body(), asked.partial);
    if asked.is_whole() {
        let whole = Range {
            offset: 0,
            length: record.size().into(),
        };
        put(out, body, [Stretch::Stored(whole)].into_iter(), partial);
        return Some(());
    }
    let digest = digest?;
    let Some((wanted, names)) = &asked.fields else {
        let range = digest.locate(asked.part, asked.text)?;
        put(out, body, [Stretch::Stored(range)].into_iter(), partial);
        return Some(());
    };
    let end = has_empty_line(digest, asked.part).then_some(Stretch::Known(b"\r\n"));
    let of_message = *wanted && asked.part.is_empty();
    if let Some(fields) = of_message.then(|| verbatim(digest, names)).flatten() {
        put(out, body, fields.map(Stretch::Known).chain(end), partial);
    } else {
        let fields = located(digest, asked.part, *wanted, names)?;
        put(out, body, fields.iter().copied().chain(end), partial);
    }
    Some(())
}

/// "The blank line is included in all header fetches, except in the case of a message that has no
/// body and no blank line" (RFC 9051 section 6.4.5.1).
fn has_empty_line(digest: &Digest<'_>, part: &[u32]) -> bool {
    if part.is_empty() && digest.has_preview() {
        return true; // there is a body, and the table of parts need not be looked for
    }
    let has_body = || {
        let text = digest.locate(part, &SectionText::Text);
        text.is_some_and(|text| text.length > 0)
    };
    digest.empty_line(part).is_some_and(|line| line.length > 0) || has_body()
}

/// The named fields of the message itself, where its digest has them all.
fn verbatim<'a>(digest: &Digest<'a>, names: &FieldNames) -> Option<VerbatimFields<'a>> {
    let fields = digest.verbatim(names.verbatim)?;
    if !names.are_all_kept() {
        let there = digest.header_fields(&[])?.map(|field| field.name);
        if !names.are_kept(there) {
            return None;
        }
    }
    Some(fields)
}

/// Where in the message the fields stand that are named (or, unless they are `wanted`, the others);
/// what touches is one stretch.
fn located<'a>(
    digest: &Digest<'a>,
    part: &[u32],
    wanted: bool,
    names: &FieldNames,
) -> Option<Vec<Stretch<'a>>> {
    let mut found = Vec::new();
    let mut room = Vec::new();
    for field in digest.header_fields(part)? {
        if names.contains(field.name, &mut room) != wanted {
            continue;
        }
        match found.last_mut() {
            Some(Stretch::Stored(tail)) if tail.offset + tail.length == field.offset => {
                tail.length += field.length;
            }
            _ => found.push(Stretch::Stored(Range {
                offset: field.offset,
                length: field.length,
            })),
        }
    }
    Some(found)
}

/// A literal of what a partial leaves; `""` where nothing is left.
fn put<'a>(
    out: &mut Out,
    body: u64,
    stretches: impl Iterator<Item = Stretch<'a>> + Clone,
    partial: Option<Partial>,
) {
    let length = stretches.clone().map(|stretch| stretch.length()).sum();
    let (mut skip, mut left) = cut(length, partial);
    if left == 0 {
        out.text.extend_from_slice(b"\"\"");
        return;
    }
    put_literal_head(&mut out.text, left);
    for stretch in stretches {
        let length = stretch.length().saturating_sub(skip).min(left);
        match stretch {
            Stretch::Stored(range) => out.body(BodySlice {
                body,
                offset: range.offset.saturating_add(skip),
                length,
            }),
            Stretch::Known(octets) => {
                let kept = usize::try_from(skip).ok();
                let kept = kept.and_then(|skip| octets.get(skip..)).unwrap_or_default();
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                out.text
                    .extend_from_slice(kept.get(..length).unwrap_or(kept));
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
