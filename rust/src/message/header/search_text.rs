//! Text of a header field, as SEARCH compares it.
use super::addr_spec::{append_addresses, shows_all_addresses};
use super::encoded_words::decode_for_search;
use crate::message::text::collation::Collation;
use crate::message::text::white_space::collapse;

/// Append the text of a whole header field: name and value, encoded words decoded, white space
/// collapsed; then, for the fields that have addresses in ENVELOPE, those that the text does not
/// contain, each after a line feed; all prepared for comparison.
pub(crate) fn append_field(field: &[u8], collation: Collation, to: &mut Vec<u8>) {
    append(field, field, collation, to);
}

/// Append the same without the name.
pub(crate) fn append_field_value(field: &[u8], collation: Collation, to: &mut Vec<u8>) {
    append(field, value_of(field), collation, to);
}

/// Return the text of a value before it is prepared.
pub(crate) fn value_text(value: &[u8], has_addresses: bool) -> String {
    text_of(value, value, has_addresses)
}

fn text_of(part: &[u8], value: &[u8], has_addresses: bool) -> String {
    let mut text = collapse(&decode_for_search(part)).into_owned();
    if has_addresses {
        append_addresses(&mut text, value);
    }
    text
}

/// Append the text of `part`, all of the field or its value.
fn append(field: &[u8], part: &[u8], collation: Collation, to: &mut Vec<u8>) {
    let has_addresses = has_addresses(field);
    let trimmed = part.trim_ascii();
    if is_plain(trimmed) && (!has_addresses || shows_all_addresses(trimmed)) {
        collation.prepare_utf8(trimmed, to);
    } else {
        collation.prepare_into(&text_of(part, value_of(field), has_addresses), to);
    }
}

/// True for ASCII without encoded words and with single spaces only: it is as `text_of` makes it.
fn is_plain(text: &[u8]) -> bool {
    // Sums rather than branches, so that several bytes are compared at once.
    let is_space = |byte: u8| u8::from(byte == b' ');
    let odd = text.iter().fold(0, |odd, byte| {
        odd | u8::from(!(b' '..=b'~').contains(byte)) | u8::from(*byte == b'=')
    });
    let pairs = text.iter().zip(text.get(1..).unwrap_or_default());
    pairs.fold(odd, |odd, (one, next)| {
        odd | (is_space(*one) & is_space(*next))
    }) == 0
}

fn value_of(field: &[u8]) -> &[u8] {
    let colon = memchr::memchr(b':', field).map_or(0, |at| at + 1);
    field.get(colon..).unwrap_or_default()
}

/// True for the address fields of ENVELOPE.
fn has_addresses(field: &[u8]) -> bool {
    const NAMES: [&[u8]; 6] = [b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"];
    let end = memchr::memchr(b':', field.get(..16).unwrap_or(field));
    let name = end.and_then(|end| field.get(..end)).unwrap_or_default();
    let name = name.trim_ascii_end();
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(field: &str, collation: Collation) -> [String; 2] {
        let (mut text, mut value) = (Vec::new(), Vec::new());
        append_field(field.as_bytes(), collation, &mut text);
        append_field_value(field.as_bytes(), collation, &mut value);
        [text, value].map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn field_texts() {
        for (field, text, value) in [
            ("X-Note: one\r\n", "X-Note: one", "one"),
            (
                "X-note: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?q?_aus?=  Bonn\r\n",
                "X-note: Grüße aus Bonn",
                "Grüße aus Bonn",
            ),
            ("X-Note: a  b\r\n", "X-Note: a b", "a b"),
            ("X: =?x-unknown?q?a?=\r\n", "X: a", "a"),
            ("no colon\r\n", "no colon", "no colon"),
            ("Empty:\r\n", "Empty:", ""),
            ("To : A (b)@ c\r\n", "To : A (b)@ c\nA@c", "A (b)@ c\nA@c"),
            (
                "reply-to: \"a\"@\r\n b\r\n",
                "reply-to: \"a\"@ b\na@b",
                "\"a\"@ b\na@b",
            ),
            ("X-To: a (b)@ c\r\n", "X-To: a (b)@ c", "a (b)@ c"),
        ] {
            assert_eq!(texts(field, Collation::Bytes), [text, value]);
            for collation in Collation::ALL {
                let expected =
                    [text, value].map(|text| String::from_utf8(collation.prepare(text)).unwrap());
                assert_eq!(texts(field, collation), expected);
            }
        }
    }
}
