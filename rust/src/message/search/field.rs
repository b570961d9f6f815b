//! Text of a header field, as SEARCH compares it.
use crate::message::header::encoded_words::decode_header;
use crate::message::text::fold::{collapse, fold};

/// Return a whole header field as SEARCH compares it: name and value, encoded words decoded, white
/// space collapsed, folded.
#[must_use]
pub fn field_text(field: &[u8]) -> String {
    fold(&collapse(&decode_header(field)))
}

/// Return the same without the name.
#[must_use]
pub fn field_value_text(field: &[u8]) -> String {
    let colon = memchr::memchr(b':', field).map_or(0, |at| at + 1);
    field_text(field.get(colon..).unwrap_or_default())
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
        ] {
            assert_eq!(field_text(field.as_bytes()), text);
            assert_eq!(field_value_text(field.as_bytes()), value.trim());
        }
    }
}
