//! `BODY[…]` and `BINARY[…]`: ranges of the stored message in the response.

use super::super::record::PackedRecord;
use super::super::writing::put_literal_head;
use super::plan::{BinarySection, BodySection, FieldNames};
use super::{BinarySlice, BodySlice, FIELD_COST, Piece, PieceBuffer};
use crate::message::{CachedFields, MessageMetadata, Range};
use crate::numbers::put_decimal;
use crate::wire::ast::{Partial, SectionText};

/// Part of a section.
#[derive(Clone, Copy)]
enum Span<'a> {
    /// Bytes of the stored message.
    Stored(Range),
    /// Bytes in memory.
    Inline(&'a [u8]),
}

impl Span<'_> {
    fn length(&self) -> u64 {
        match self {
            Self::Stored(range) => range.length,
            Self::Inline(bytes) => bytes.len() as u64,
        }
    }
}

/// Form of the bytes of a section.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A string of a response.
    Literal,
    /// The bytes alone.
    Bytes,
}

/// Write `BODY[…]`: a string, or NIL if there is no such part.
pub(super) fn body(
    out: &mut PieceBuffer,
    item: &BodySection<'_>,
    record: PackedRecord<'_>,
    metadata: Option<&MessageMetadata<'_>>,
) {
    if find(out, item, record, metadata, Form::Literal).is_none() {
        out.text.extend_from_slice(b"NIL");
    }
}

/// Return the bytes of `BODY[…]` without their string, and their number; None if there is no such
/// part.
pub(super) fn content(
    item: &BodySection<'_>,
    record: PackedRecord<'_>,
    metadata: Option<&MessageMetadata<'_>>,
) -> Option<(Vec<Piece>, u64)> {
    let mut out = PieceBuffer::default();
    find(&mut out, item, record, metadata, Form::Bytes)?;
    out.flush();
    let length = out.before as u64;
    Some((out.pieces, length))
}

/// Write the string or its bytes; return None if there is no such part.
fn find(
    out: &mut PieceBuffer,
    item: &BodySection<'_>,
    record: PackedRecord<'_>,
    metadata: Option<&MessageMetadata<'_>>,
    form: Form,
) -> Option<()> {
    let (body, partial) = (record.body(), (item.partial, form));
    if item.is_whole() {
        let whole = Range {
            offset: 0,
            length: record.size().into(),
        };
        put(out, body, [Span::Stored(whole)].into_iter(), partial);
        return Some(());
    }
    let metadata = metadata?;
    let Some((wanted, names)) = &item.fields else {
        let range = metadata.locate(item.part, item.text)?;
        put(out, body, [Span::Stored(range)].into_iter(), partial);
        return Some(());
    };
    let end = has_empty_line(metadata, item.part).then_some(Span::Inline(b"\r\n"));
    let of_message = *wanted && item.part.is_empty();
    if let Some(fields) = of_message
        .then(|| cached_fields(metadata, names, &mut out.cost))
        .flatten()
    {
        put(out, body, fields.map(Span::Inline).chain(end), partial);
    } else {
        let fields = located(metadata, item.part, *wanted, names, &mut out.cost)?;
        put(out, body, fields.iter().copied().chain(end), partial);
    }
    Some(())
}

/// "The blank line is included in all header fetches, except in the case of a message that has no
/// body and no blank line" (RFC 9051 section 6.4.5.1).
fn has_empty_line(metadata: &MessageMetadata<'_>, part: &[u32]) -> bool {
    if part.is_empty() && metadata.has_preview() {
        return true; // the message has a body; the part table is not needed
    }
    let has_body = || {
        let text = metadata.locate(part, &SectionText::Text);
        text.is_some_and(|text| text.length > 0)
    };
    metadata
        .empty_line(part)
        .is_some_and(|line| line.length > 0)
        || has_body()
}

/// Return the named fields of the message if all are in the header cache. The cost of comparing is
/// added to `cost`.
fn cached_fields<'a>(
    metadata: &MessageMetadata<'a>,
    names: &FieldNames,
    cost: &mut usize,
) -> Option<CachedFields<'a>> {
    let fields = metadata.cached_fields(names.cached)?;
    if !names.are_all_cached() {
        let there = metadata.header_fields(&[])?.map(|field| {
            *cost = cost.saturating_add(FIELD_COST);
            field.name
        });
        if !names.are_cached(there) {
            return None;
        }
    }
    Some(fields)
}

/// Return the ranges of the named fields (or, unless `wanted`, of the others); adjacent ranges are
/// joined. The cost of comparing is added to `cost`.
fn located<'a>(
    metadata: &MessageMetadata<'a>,
    part: &[u32],
    wanted: bool,
    names: &FieldNames,
    cost: &mut usize,
) -> Option<Vec<Span<'a>>> {
    let mut found = Vec::new();
    let mut room = Vec::new();
    for field in metadata.header_fields(part)? {
        *cost = cost.saturating_add(FIELD_COST);
        if names.contains(field.name, &mut room) != wanted {
            continue;
        }
        match found.last_mut() {
            Some(Span::Stored(tail)) if tail.offset + tail.length == field.offset => {
                tail.length += field.length;
            }
            _ => found.push(Span::Stored(Range {
                offset: field.offset,
                length: field.length,
            })),
        }
    }
    Some(found)
}

/// Write the requested part of the bytes; in a string `""` if it is empty.
fn put<'a>(
    out: &mut PieceBuffer,
    body: u64,
    spans: impl Iterator<Item = Span<'a>> + Clone,
    (partial, form): (Option<Partial>, Form),
) {
    let length = spans.clone().map(|span| span.length()).sum();
    let (mut skip, mut left) = cut(length, partial);
    if form == Form::Literal {
        if left == 0 {
            out.text.extend_from_slice(b"\"\"");
            return;
        }
        put_literal_head(&mut out.text, left);
    }
    for span in spans {
        let length = span.length().saturating_sub(skip).min(left);
        match span {
            Span::Stored(range) => out.body(BodySlice {
                body,
                offset: range.offset.saturating_add(skip),
                length,
            }),
            Span::Inline(bytes) => {
                let kept = usize::try_from(skip).ok();
                let kept = kept.and_then(|skip| bytes.get(skip..)).unwrap_or_default();
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                out.text
                    .extend_from_slice(kept.get(..length).unwrap_or(kept));
            }
        }
        skip = skip.saturating_sub(span.length());
        left -= length;
    }
}

/// Return offset and length of a partial, cut to `length`.
fn cut(length: u64, partial: Option<Partial>) -> (u64, u64) {
    match partial {
        None => (0, length),
        Some(partial) => {
            let start = partial.start.min(length);
            (start, partial.count.min(length - start))
        }
    }
}

/// Write `BINARY[…]`: a string or literal8, or NIL if there is no such part; or `BINARY.SIZE[…]`: a
/// number, 0 if there is no such part, since its grammar has no NIL.
pub(super) fn binary(
    out: &mut PieceBuffer,
    item: &BinarySection<'_>,
    record: PackedRecord<'_>,
    metadata: Option<&MessageMetadata<'_>>,
) {
    let Some(part) = metadata.and_then(|metadata| metadata.part(item.part)) else {
        out.text
            .extend_from_slice(if item.size_only { b"0" } else { b"NIL" });
        return;
    };
    // A part with NUL becomes a literal8, which only its bytes decide.
    if part.encoding != 0 || !item.size_only {
        out.binary(BinarySlice {
            body: record.body(),
            offset: part.offset,
            length: part.length,
            encoding: part.encoding,
            start: item.partial.map_or(0, |partial| partial.start),
            count: item.partial.map(|partial| partial.count),
            size_only: item.size_only,
        });
        return;
    }
    put_decimal(&mut out.text, part.length);
}
