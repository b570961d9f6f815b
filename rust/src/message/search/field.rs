//! Text of a header field, as SEARCH compares it.
use crate::message::header::addr_spec::append_addresses;
use crate::message::header::encoded_words::decode_header;
use crate::message::text::fold::{collapse, fold};

/// Return a whole header field as SEARCH compares it: name and value, encoded words decoded, white
/// space collapsed, folded; then, for the fields that have addresses in ENVELOPE, those that the text
/// does not contain.
#[must_use]
pub fn field_text(field: &[u8]) -> String {
    text_of(field, field)
}

/// Return the same without the name.
#[must_use]
pub fn field_value_text(field: &[u8]) -> String {
    text_of(field, value_of(field))
}

/// Return the text of `part`, all of the field or its value.
fn text_of(field: &[u8], part: &[u8]) -> String {
    let mut text = fold(&collapse(&decode_header(part)));
    if has_addresses(field) {
        append_addresses(&mut text, value_of(field));
    }
    text
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

    #[test]
    fn field_texts() {
        for (field, text, value) in [
            ("X-Note: one\r\n", "x-note: one", " one"),
            (
                "X-note: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?q?_aus?=  Bonn\r\n",
                "x-note: grüsse aus bonn",
                "grüsse aus bonn",
            ),
            ("no colon\r\n", "no colon", "no colon"),
            ("Empty:\r\n", "empty:", ""),
            ("To : A (b)@ c\r\n", "to : a (b)@ c\na@c", "a (b)@ c\na@c"),
            (
                "reply-to: \"a\"@\r\n b\r\n",
                "reply-to: \"a\"@ b\na@b",
                "\"a\"@ b\na@b",
            ),
            ("X-To: a (b)@ c\r\n", "x-to: a (b)@ c", "a (b)@ c"),
        ] {
            assert_eq!(field_text(field.as_bytes()), text);
            assert_eq!(field_value_text(field.as_bytes()), value.trim());
        }
    }
}
