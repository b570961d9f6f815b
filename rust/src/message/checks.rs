//! Properties that hold for every message: bodies of fuzz targets and of property tests.
//!
//! Each function panics if its property does not hold.
use super::limits::{
    CACHED_FIELD_BYTES, DEPTH, HEADER_CACHE_BYTES, PARTS, PREVIEW_CHARS, REFERENCES,
};
use super::{CachedNames, Collation, Needle, Scanner, TextMatcher, TransferDecoder};
use crate::message::metadata::stored::{MessageMetadata, Range};
use crate::message::metadata::strict::{AnnouncedPart, Value, announced_parts, is_envelope};
use crate::wire::ast::SectionText;

/// Scan a message fed in pieces of `piece` bytes; return its metadata as stored.
#[must_use]
pub fn scan(message: &[u8], piece: usize) -> Vec<u8> {
    let mut scanner = Scanner::new();
    for bytes in message.chunks(piece.max(1)) {
        scanner.feed(bytes);
    }
    scanner.finish()
}

fn inside(outer: Range, inner: Range) -> bool {
    inner.offset >= outer.offset
        && inner.offset.saturating_add(inner.length) <= outer.offset.saturating_add(outer.length)
}

/// Return the bytes of a message in a range.
///
/// # Panics
/// If the range is outside the message.
#[must_use]
pub fn slice(message: &[u8], range: Range) -> &[u8] {
    let bounds = usize::try_from(range.offset)
        .ok()
        .zip(usize::try_from(range.length).ok());
    let slice = bounds.and_then(|(offset, length)| message.get(offset..)?.get(..length));
    assert!(slice.is_some(), "{range:?} is outside");
    slice.unwrap_or_default()
}

/// Assert that the fields of a header and its empty line are adjacent and cover the header.
fn header_is_its_fields(metadata: &MessageMetadata<'_>, message: &[u8], part: &[u32]) {
    let Some(fields) = metadata.header_fields(part) else {
        return;
    };
    let header = metadata
        .locate(part, &SectionText::Header)
        .unwrap_or_default();
    let empty_line = metadata.empty_line(part).unwrap_or_default();
    let mut at = header.offset;
    for field in fields {
        assert_eq!(field.offset, at, "fields are adjacent");
        assert!(field.length > 0);
        let bytes = slice(
            message,
            Range {
                offset: at,
                length: field.length,
            },
        );
        let name = bytes.get(..field.name.len()).unwrap_or_default();
        assert!(
            name.eq_ignore_ascii_case(field.name),
            "the field of that name"
        );
        at += field.length;
    }
    assert_eq!(at, empty_line.offset, "the empty line follows the fields");
    assert_eq!(at + empty_line.length, header.offset + header.length);
    assert!(matches!(slice(message, empty_line), b"" | b"\n" | b"\r\n"));
}

/// Assert that cached fields equal those of the header, and that only long fields and fields with
/// NUL are missing.
fn header_cache_equals_the_header(metadata: &MessageMetadata<'_>, message: &[u8]) {
    let mut all = 0;
    let mut kept: Vec<(CachedNames, Vec<&[u8]>)> = Vec::new();
    for field in metadata.header_fields(&[]).into_iter().flatten() {
        let Some(name) = CachedNames::of(field.name) else {
            continue;
        };
        let range = Range {
            offset: field.offset,
            length: field.length,
        };
        let bytes = slice(message, range);
        all += bytes.len();
        match kept.iter_mut().find(|(other, _)| *other == name) {
            Some((_, fields)) => fields.push(bytes),
            None => kept.push((name, vec![bytes])),
        }
    }
    for (name, expected) in kept {
        match metadata.cached_fields(name) {
            Some(fields) => assert!(fields.eq(expected)),
            None => assert!(
                all > HEADER_CACHE_BYTES
                    || expected
                        .iter()
                        .any(|field| field.len() > CACHED_FIELD_BYTES || field.contains(&0))
            ),
        }
    }
}

/// Assert that FETCH returns every part that BODYSTRUCTURE announces, with the announced size.
fn announced_parts_exist(metadata: &MessageMetadata<'_>, message: &[u8], parts: &[AnnouncedPart]) {
    for announced in parts {
        let path = announced.path.as_slice();
        let locate = |text| metadata.locate(path, &text);
        let (range, part) = (locate(SectionText::All), metadata.part(path));
        assert!(range.is_some() && part.is_some(), "BODY[{path:?}] is NIL");
        assert!(locate(SectionText::Mime).is_some(), "no MIME of {path:?}");
        let range = range.unwrap_or_default();
        if let Some(size) = announced.size {
            assert_eq!(range.length, size);
        }
        if let Some(announced) = announced.lines {
            let lines = memchr::memchr_iter(b'\n', slice(message, range)).count();
            assert_eq!(announced, lines as u64);
        }
        let of_message = [
            locate(SectionText::Header).is_some(),
            locate(SectionText::Text).is_some(),
            metadata.header_fields(path).is_some(),
        ];
        assert_eq!(of_message, [announced.is_message; 3], "header of {path:?}");
    }
}

/// Metadata of any bytes is grammatical, and all of its ranges lie inside the message.
///
/// # Panics
/// If the property does not hold.
pub fn metadata_stays_inside_the_message(message: &[u8]) {
    let stored = scan(message, message.len());
    let metadata = MessageMetadata::open(&stored);
    assert!(metadata.is_ok());
    let Ok(metadata) = metadata else { return };
    assert_eq!(metadata.size(), message.len() as u64);
    let whole = Range {
        offset: 0,
        length: metadata.size(),
    };

    assert!(Value::read(metadata.envelope()).is_some_and(|value| is_envelope(&value)));
    let body = Value::read(metadata.body()).and_then(|value| announced_parts(&value, false));
    let parts =
        Value::read(metadata.bodystructure()).and_then(|value| announced_parts(&value, true));
    assert!(
        body.is_some() && parts.is_some(),
        "{}",
        metadata.bodystructure().escape_ascii()
    );
    assert_eq!(body, parts);
    let parts = parts.unwrap_or_default();
    announced_parts_exist(&metadata, message, &parts);

    let leaves: Vec<_> = metadata.leaf_parts().collect();
    assert!(!leaves.is_empty() && leaves.len() <= PARTS);
    let mut at = 0;
    for leaf in &leaves {
        let range = Range {
            offset: leaf.offset,
            length: leaf.length,
        };
        assert!(leaf.offset >= at, "leaves do not overlap");
        at = leaf.offset + leaf.length;
        assert!(inside(whole, range));
        assert!(leaf.path.len() <= 2 * DEPTH + 1);
        assert_eq!(metadata.locate(&leaf.path, &SectionText::All), Some(range));
        assert_eq!(metadata.part(&leaf.path).as_ref(), Some(leaf));
        let lines = memchr::memchr_iter(b'\n', slice(message, range)).count();
        assert_eq!(leaf.lines, lines as u64);
        for depth in 0..leaf.path.len() {
            let Some(part) = leaf.path.get(..depth) else {
                continue;
            };
            let all = metadata
                .locate(part, &SectionText::All)
                .unwrap_or(Range { length: 0, ..whole });
            assert!(
                inside(whole, all) && inside(all, range),
                "{part:?} holds {:?}",
                leaf.path
            );
            if let Some(header) = metadata.locate(part, &SectionText::Header) {
                let text = metadata
                    .locate(part, &SectionText::Text)
                    .unwrap_or_default();
                assert!(inside(all, header) && inside(all, text));
                assert_eq!(header.offset, all.offset);
                assert_eq!(header.offset + header.length, text.offset);
                assert_eq!(text.offset + text.length, all.offset + all.length);
            }
            if !part.is_empty() {
                let mime = metadata
                    .locate(part, &SectionText::Mime)
                    .unwrap_or_default();
                assert!(inside(whole, mime) && mime.offset + mime.length == all.offset);
            }
            header_is_its_fields(&metadata, message, part);
        }
        assert_eq!(
            metadata.locate(&[leaf.path.as_slice(), &[2]].concat(), &SectionText::All),
            None
        );
    }
    // The structure has every leaf, and embedded messages as well.
    let announced = parts
        .iter()
        .filter(|part| part.size.is_some() && !part.is_message);
    assert!(
        announced
            .map(|part| &part.path)
            .eq(leaves.iter().map(|leaf| &leaf.path))
    );

    header_cache_equals_the_header(&metadata, message);
    assert!(metadata.preview().chars().count() <= PREVIEW_CHARS);
    assert!(metadata.references().count() <= REFERENCES);
    for field in super::SEARCH_FIELDS {
        let mut text = Vec::new();
        let _ = metadata.search_text(field, Collation::Bytes, &mut text);
        assert!(text.len() <= super::limits::SEARCH_TEXT_BYTES);
        assert!(str::from_utf8(&text).is_ok());
    }
}

/// Metadata does not depend on how the message was cut.
///
/// # Panics
/// If the property does not hold.
pub fn metadata_does_not_depend_on_cuts(message: &[u8], piece: usize) {
    let is_same = scan(message, message.len()) == scan(message, piece);
    assert!(is_same, "in pieces of {piece} bytes");
}

/// Decoding does not depend on how the bytes were cut, and the result is not longer than the input.
///
/// # Panics
/// If the property does not hold.
pub fn decoding_does_not_depend_on_cuts(encoded: &[u8], piece: usize) {
    for encoding in [0, 1, 2] {
        let decode = |piece: usize| {
            let mut decoder = TransferDecoder::new(encoding);
            let mut bytes = Vec::new();
            for piece in encoded.chunks(piece.max(1)) {
                decoder.feed(piece, &mut bytes);
            }
            decoder.finish(&mut bytes);
            bytes
        };
        let whole = decode(encoded.len());
        assert_eq!(whole, decode(piece));
        assert!(whole.len() <= encoded.len());
    }
}

/// A matcher requests only bytes of the message, none twice, and finds the same however they are
/// cut.
///
/// # Panics
/// If the property does not hold.
pub fn matching_does_not_depend_on_cuts(message: &[u8], needle: &str, piece: usize) {
    let stored = scan(message, message.len());
    let Ok(metadata) = MessageMetadata::open(&stored) else {
        return;
    };
    let collation = Collation::UnicodeCasemap;
    let needles = [false, true].map(|in_headers| Needle::new(needle, collation, in_headers));
    let search = |piece: usize| {
        let mut matcher = TextMatcher::new(&metadata, &needles, collation);
        let mut fed = 0;
        while let Some(wanted) = matcher.wanted() {
            let bytes = slice(message, wanted);
            let bytes = bytes.get(..piece.max(1)).unwrap_or(bytes);
            assert!(!bytes.is_empty());
            fed += bytes.len();
            assert!(fed <= message.len(), "a byte is requested twice");
            matcher.feed(bytes);
        }
        [matcher.found(0), matcher.found(1)]
    };
    let found = search(message.len());
    assert_eq!(found, search(piece));
    assert!(
        !found.starts_with(&[true]) || found.ends_with(&[true]),
        "BODY matches and TEXT does not"
    );
}

/// Metadata with one changed byte is refused.
///
/// # Panics
/// If the property does not hold.
pub fn corrupt_metadata_is_refused(message: &[u8], at: usize, with: u8) {
    let mut stored = scan(message, message.len());
    let length = stored.len();
    if let Some(byte) = stored.get_mut(at % length)
        && with != 0
    {
        *byte ^= with;
        assert!(MessageMetadata::open(&stored).is_err());
    }
}
