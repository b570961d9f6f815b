//! What must hold for every message: bodies of fuzz targets and property tests.
//!
//! Each function panics where something does not hold.
use super::digest::{Digest, Range};
use super::limits::{DEPTH, PARTS, PREVIEW_CHARS, REFERENCES};
use super::{Scanner, TransferDecoder};
use crate::wire::ast::{Field, SectionText};

/// A value of IMAP's data formats (RFC 9051 section 4), read strictly.
#[derive(Debug, PartialEq, Eq)]
pub enum Value {
    /// `NIL`
    Nil,
    /// Quoted or literal.
    String(Vec<u8>),
    /// Digits.
    Number(u64),
    /// In parentheses; with each element, whether a space stands before it.
    List(Vec<(bool, Value)>),
}

impl Value {
    /// Read one value; None where `text` is not exactly one.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Value> {
        let mut open: Vec<(bool, Vec<(bool, Value)>)> = Vec::new();
        let mut rest = text;
        loop {
            let spaced = match rest.strip_prefix(b" ") {
                Some(behind) if open.last().is_some_and(|(_, list)| !list.is_empty()) => {
                    rest = behind;
                    true
                }
                _ => false,
            };
            let (spaced, value) = match rest {
                [b'(', behind @ ..] => {
                    rest = behind;
                    open.push((spaced, Vec::new()));
                    continue;
                }
                [b')', behind @ ..] if !spaced => {
                    rest = behind;
                    let (spaced, list) = open.pop()?;
                    (spaced, Value::List(list))
                }
                _ => (spaced, Self::read_simple(&mut rest)?),
            };
            match open.last_mut() {
                Some((_, list)) => list.push((spaced, value)),
                None => return rest.is_empty().then_some(value),
            }
        }
    }

    fn read_simple(rest: &mut &[u8]) -> Option<Value> {
        if let Some(behind) = rest.strip_prefix(b"NIL") {
            *rest = behind;
            return Some(Value::Nil);
        }
        if let Some(mut behind) = rest.strip_prefix(b"\"") {
            let mut text = Vec::new();
            loop {
                let (first, tail) = behind.split_first()?;
                behind = tail;
                match first {
                    b'"' => break,
                    b'\\' => {
                        let (escaped, tail) = behind.split_first()?;
                        text.push(*[b'"', b'\\'].iter().find(|special| *special == escaped)?);
                        behind = tail;
                    }
                    // QUOTED-CHAR of RFC 3501: 7 bits, no NUL, CR or LF
                    0 | b'\r' | b'\n' | 0x80.. => return None,
                    other => text.push(*other),
                }
            }
            *rest = behind;
            return Some(Value::String(text));
        }
        let is_literal = rest.strip_prefix(b"{");
        let behind = is_literal.unwrap_or(rest);
        let end = behind.iter().position(|octet| !octet.is_ascii_digit())?;
        let (digits, behind) = behind.split_at_checked(end)?;
        let number: u64 = str::from_utf8(digits).ok()?.parse().ok()?;
        if number > 0 && digits.starts_with(b"0") {
            return None;
        }
        *rest = behind;
        if is_literal.is_none() {
            return Some(Value::Number(number));
        }
        let behind = behind.strip_prefix(b"}\r\n")?;
        let (text, behind) = behind.split_at_checked(usize::try_from(number).ok()?)?;
        *rest = behind;
        (!text.contains(&0)).then(|| Value::String(text.to_vec()))
    }

    fn list(&self) -> Option<&[(bool, Value)]> {
        match self {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    fn is_string(&self) -> bool {
        matches!(self, Value::String(_))
    }

    fn is_nstring(&self) -> bool {
        self.is_string() || *self == Value::Nil
    }

    fn is_text(&self, text: &str) -> bool {
        matches!(self, Value::String(is) if is.eq_ignore_ascii_case(text.as_bytes()))
    }
}

/// Elements, all but the first with a space in front.
fn spaced(list: &[(bool, Value)]) -> Option<Vec<&Value>> {
    let is_spaced = list
        .iter()
        .enumerate()
        .all(|(index, (spaced, _))| *spaced == (index > 0));
    is_spaced.then(|| list.iter().map(|(_, value)| value).collect())
}

/// Elements directly one behind the other.
fn unspaced(list: &[(bool, Value)]) -> bool {
    list.iter().all(|(spaced, _)| !spaced)
}

fn is_address(value: &Value) -> bool {
    let fields = value.list().and_then(spaced);
    matches!(fields.as_deref(), Some([name, route, mailbox, host])
        if [name, route, mailbox, host].iter().all(|field| field.is_nstring())
        // NIL as a host marks a group, NIL as a mailbox its end.
        && (!matches!(host, Value::Nil) || (**name == Value::Nil && **route == Value::Nil))
        && (!matches!(mailbox, Value::Nil) || **host == Value::Nil))
}

/// The groups of a list are opened and closed in turn.
fn is_address_list(value: &Value) -> bool {
    let Value::List(list) = value else {
        return *value == Value::Nil;
    };
    let mut in_group = false;
    let mut is_right = !list.is_empty() && unspaced(list);
    for (_, address) in list {
        is_right &= is_address(address);
        match address.list() {
            Some([_, _, (_, Value::Nil), (_, Value::Nil)]) => {
                is_right &= std::mem::take(&mut in_group);
            }
            Some([_, _, _, (_, Value::Nil)]) => is_right &= !std::mem::replace(&mut in_group, true),
            _ => {}
        }
    }
    is_right && !in_group
}

/// `envelope` of RFC 9051 section 9.
#[must_use]
pub fn is_envelope(value: &Value) -> bool {
    let fields = value.list().and_then(spaced);
    matches!(fields.as_deref(), Some([date, subject, lists @ .., in_reply_to, message_id])
        if lists.len() == 6
        && [date, subject, in_reply_to, message_id].iter().all(|field| field.is_nstring())
        && lists.iter().all(|list| is_address_list(list)))
}

fn is_parameters(value: &Value) -> bool {
    let Value::List(list) = value else {
        return *value == Value::Nil;
    };
    !list.is_empty()
        && list.len().is_multiple_of(2)
        && spaced(list).is_some_and(|list| list.iter().all(|value| value.is_string()))
}

fn is_disposition(value: &Value) -> bool {
    let Value::List(list) = value else {
        return *value == Value::Nil;
    };
    matches!(spaced(list).as_deref(), Some([kind, list]) if kind.is_string() && is_parameters(list))
}

fn is_language(value: &Value) -> bool {
    let Value::List(list) = value else {
        return value.is_nstring();
    };
    !list.is_empty() && spaced(list).is_some_and(|list| list.iter().all(|value| value.is_string()))
}

/// Extension data behind an element of the given kind.
fn is_extension(first: impl Fn(&Value) -> bool, values: &[&Value], extended: bool) -> bool {
    match values {
        [] => !extended,
        [one, disposition, language, location] => {
            extended
                && first(one)
                && is_disposition(disposition)
                && is_language(language)
                && location.is_nstring()
        }
        _ => false,
    }
}

/// Read `body` of RFC 9051 section 9: the octets of each leaf, and of each message with its
/// envelope; or None where it is none. A leaf that is an encoded message counts once.
#[must_use]
pub fn body_sizes(value: &Value, extended: bool) -> Option<Vec<u64>> {
    let mut sizes = Vec::new();
    let mut left = vec![value];
    while let Some(body) = left.pop() {
        let list = body.list()?;
        let parts = list
            .iter()
            .take_while(|(spaced, value)| !spaced && value.list().is_some());
        let parts: Vec<&Value> = parts.map(|(_, value)| value).collect();
        if !parts.is_empty() {
            let behind = list.get(parts.len()..)?;
            let is_spaced = behind.iter().all(|(spaced, _)| *spaced);
            let behind: Vec<&Value> = behind.iter().map(|(_, value)| value).collect();
            let (subtype, extension) = behind.split_first()?;
            if !is_spaced
                || !subtype.is_string()
                || !is_extension(is_parameters, extension, extended)
            {
                return None;
            }
            left.extend(parts.into_iter().rev());
            continue;
        }
        let fields = spaced(list)?;
        let [
            media,
            subtype,
            parameters,
            id,
            description,
            encoding,
            Value::Number(size),
            behind @ ..,
        ] = fields.as_slice()
        else {
            return None;
        };
        let is_right = media.is_string()
            && subtype.is_string()
            && is_parameters(parameters)
            && id.is_nstring()
            && description.is_nstring()
            && encoding.is_string();
        sizes.push(*size);
        let is_message =
            media.is_text("message") && (subtype.is_text("rfc822") || subtype.is_text("global"));
        let extension = if is_message {
            let [envelope, inner, Value::Number(_), extension @ ..] = behind else {
                return None;
            };
            if !is_envelope(envelope) {
                return None;
            }
            let identity = ["7BIT", "8BIT", "BINARY"]
                .iter()
                .any(|name| encoding.is_text(name));
            if identity {
                left.push(inner);
            } else {
                body_sizes(inner, false).or_else(|| body_sizes(inner, true))?;
            }
            extension
        } else if media.is_text("text") {
            let [Value::Number(_), extension @ ..] = behind else {
                return None;
            };
            extension
        } else {
            behind
        };
        if !is_right || !is_extension(Value::is_nstring, extension, extended) {
            return None;
        }
    }
    Some(sizes)
}

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
