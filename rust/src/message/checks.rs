//! What must hold for every message: bodies of fuzz targets and property tests.
//!
//! Each function panics where something does not hold.
use super::limits::{
    DEPTH, PARTS, PREVIEW_CHARS, REFERENCES, VERBATIM_FIELD_OCTETS, VERBATIM_OCTETS,
};
use super::{Needle, Scanner, TextMatcher, TransferDecoder, VerbatimNames};
use crate::message::metadata::stored::{Digest, Range};
use crate::message::metadata::strict::{Value, body_sizes, is_envelope};
use crate::wire::ast::{Field, SectionText};

/// Scan a message fed in portions of a size.
#[must_use]
pub fn scan(message: &[u8], portion: usize) -> Vec<u8> {
    let mut scanner = Scanner::new();
    for octets in message.chunks(portion.max(1)) {
        scanner.feed(octets);
    }
    scanner.finish()
}

fn inside(outer: Range, inner: Range) -> bool {
    inner.offset >= outer.offset
        && inner.offset.saturating_add(inner.length) <= outer.offset.saturating_add(outer.length)
}

/// Octets of a message.
///
/// # Panics
/// Where they are outside.
#[must_use]
pub fn slice(message: &[u8], range: Range) -> &[u8] {
    let bounds = usize::try_from(range.offset)
        .ok()
        .zip(usize::try_from(range.length).ok());
    let slice = bounds.and_then(|(offset, length)| message.get(offset..)?.get(..length));
    assert!(slice.is_some(), "{range:?} is outside");
    slice.unwrap_or_default()
}

/// The header of a message is its fields and an empty line, nothing else.
fn header_is_its_fields(digest: &Digest<'_>, message: &[u8], part: &[u32]) {
    let Some(fields) = digest.header_fields(part) else {
        return;
    };
    let header = digest
        .locate(part, &SectionText::Header)
        .unwrap_or_default();
    let empty_line = digest.empty_line(part).unwrap_or_default();
    let mut at = header.offset;
    for field in fields {
        assert_eq!(field.offset, at, "fields leave no gap");
        assert!(field.length > 0);
        let octets = slice(
            message,
            Range {
                offset: at,
                length: field.length,
            },
        );
        let name = octets.get(..field.name.len()).unwrap_or_default();
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

/// What is kept word for word is what stands in the header, and is only lacking where it is long or
/// has NUL.
fn verbatim_is_what_the_header_has(digest: &Digest<'_>, message: &[u8]) {
    let mut all = 0;
    let mut kept: Vec<(VerbatimNames, Vec<&[u8]>)> = Vec::new();
    for field in digest.header_fields(&[]).into_iter().flatten() {
        let Some(name) = VerbatimNames::of(field.name) else {
            continue;
        };
        let range = Range {
            offset: field.offset,
            length: field.length,
        };
        let octets = slice(message, range);
        all += octets.len();
        match kept.iter_mut().find(|(other, _)| *other == name) {
            Some((_, fields)) => fields.push(octets),
            None => kept.push((name, vec![octets])),
        }
    }
    for (name, expected) in kept {
        match digest.verbatim(name) {
            Some(fields) => assert!(fields.eq(expected)),
            None => assert!(
                all > VERBATIM_OCTETS
                    || expected
                        .iter()
                        .any(|field| field.len() > VERBATIM_FIELD_OCTETS || field.contains(&0))
            ),
        }
    }
}

/// Whatever the octets: what the digest says is grammatical and lies inside the message.
///
/// # Panics
/// Where it does not.
pub fn index_stays_inside(message: &[u8]) {
    let stored = scan(message, message.len());
    let digest = Digest::open(&stored);
    assert!(digest.is_ok());
    let Ok(digest) = digest else { return };
    assert_eq!(digest.size(), message.len() as u64);
    let whole = Range {
        offset: 0,
        length: digest.size(),
    };

    assert!(Value::read(digest.envelope()).is_some_and(|value| is_envelope(&value)));
    let body = Value::read(digest.body()).and_then(|value| body_sizes(&value, false));
    let sizes = Value::read(digest.bodystructure()).and_then(|value| body_sizes(&value, true));
    assert!(
        body.is_some() && sizes.is_some(),
        "{}",
        digest.bodystructure().escape_ascii()
    );
    assert_eq!(body, sizes);

    let leaves: Vec<_> = digest.leaf_parts().collect();
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
        assert_eq!(digest.locate(&leaf.path, &SectionText::All), Some(range));
        assert_eq!(digest.part(&leaf.path).as_ref(), Some(leaf));
        let lines = memchr::memchr_iter(b'\n', slice(message, range)).count();
        assert_eq!(leaf.lines, lines as u64);
        for depth in 0..leaf.path.len() {
            let Some(part) = leaf.path.get(..depth) else {
                continue;
            };
            let all = digest
                .locate(part, &SectionText::All)
                .unwrap_or(Range { length: 0, ..whole });
            assert!(
                inside(whole, all) && inside(all, range),
                "{part:?} holds {:?}",
                leaf.path
            );
            if let Some(header) = digest.locate(part, &SectionText::Header) {
                let text = digest.locate(part, &SectionText::Text).unwrap_or_default();
                assert!(inside(all, header) && inside(all, text));
                assert_eq!(header.offset, all.offset);
                assert_eq!(header.offset + header.length, text.offset);
                assert_eq!(text.offset + text.length, all.offset + all.length);
            }
            if !part.is_empty() {
                let mime = digest.locate(part, &SectionText::Mime).unwrap_or_default();
                assert!(inside(whole, mime) && mime.offset + mime.length == all.offset);
            }
            header_is_its_fields(&digest, message, part);
        }
        assert_eq!(
            digest.locate(&[leaf.path.as_slice(), &[2]].concat(), &SectionText::All),
            None
        );
    }
    // Each leaf is in the structure; messages are there as well.
    let sizes = sizes.unwrap_or_default();
    let mut left = sizes.iter();
    assert!(
        leaves
            .iter()
            .all(|leaf| left.any(|size| *size == leaf.length))
    );

    verbatim_is_what_the_header_has(&digest, message);
    assert!(digest.preview().chars().count() <= PREVIEW_CHARS);
    assert!(digest.references().count() <= REFERENCES);
    for field in [
        Field::From,
        Field::To,
        Field::Cc,
        Field::Bcc,
        Field::Subject,
    ] {
        assert!(digest.folded(field).len() <= super::limits::FOLDED_OCTETS);
    }
}

/// The digest does not depend on how the message was cut.
///
/// # Panics
/// Where it does.
pub fn digest_does_not_depend_on_cuts(message: &[u8], portion: usize) {
    let is_same = scan(message, message.len()) == scan(message, portion);
    assert!(is_same, "in portions of {portion}");
}

/// Decoding neither fails nor depends on how the octets were cut, and does not grow.
///
/// # Panics
/// Where it does.
pub fn decoding_does_not_depend_on_cuts(encoded: &[u8], portion: usize) {
    for encoding in [0, 1, 2] {
        let decode = |portion: usize| {
            let mut decoder = TransferDecoder::new(encoding);
            let mut octets = Vec::new();
            for piece in encoded.chunks(portion.max(1)) {
                decoder.feed(piece, &mut octets);
            }
            decoder.finish(&mut octets);
            octets
        };
        let whole = decode(encoded.len());
        assert_eq!(whole, decode(portion));
        assert!(whole.len() <= encoded.len());
    }
}

/// A matcher wants octets of the message only, comes to an end, and finds the same however the
/// octets are cut.
///
/// # Panics
/// Where it does not.
pub fn matching_does_not_depend_on_cuts(message: &[u8], needle: &str, portion: usize) {
    let stored = scan(message, message.len());
    let Ok(digest) = Digest::open(&stored) else {
        return;
    };
    let needle = super::fold(needle);
    let needles = [false, true].map(|in_headers| Needle::new(&needle, in_headers));
    let search = |portion: usize| {
        let mut matcher = TextMatcher::new(&digest, &needles);
        let mut fed = 0;
        while let Some(wanted) = matcher.wanted() {
            let octets = slice(message, wanted);
            let octets = octets.get(..portion.max(1)).unwrap_or(octets);
            assert!(!octets.is_empty());
            fed += octets.len();
            assert!(fed <= message.len(), "no octet is wanted twice");
            matcher.feed(octets);
        }
        [matcher.found(0), matcher.found(1)]
    };
    let found = search(message.len());
    assert_eq!(found, search(portion));
    assert!(
        !found.starts_with(&[true]) || found.ends_with(&[true]),
        "TEXT is more than BODY"
    );
}

/// A digest that was damaged is refused, or at least read without harm.
///
/// # Panics
/// Where it is not.
pub fn damaged_digest_is_refused(message: &[u8], at: usize, with: u8) {
    let mut stored = scan(message, message.len());
    let length = stored.len();
    if let Some(octet) = stored.get_mut(at % length)
        && with != 0
    {
        *octet ^= with;
        assert!(Digest::open(&stored).is_err());
    }
}
