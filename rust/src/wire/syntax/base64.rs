//! Base64 of SASL exchanges (RFC 4648 section 4): strict.

/// Decode base64; None if a byte is not in the alphabet or the padding is wrong.
#[must_use]
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let mut quads = text.chunks_exact(4).peekable();
    while let Some(quad) = quads.next() {
        let last = quads.peek().is_none();
        let padding = quad.iter().rev().take_while(|byte| **byte == b'=').count();
        if padding > 2 || (padding > 0 && !last) {
            return None;
        }
        let mut bits = 0_u32;
        for (place, byte) in quad.iter().enumerate() {
            let value = if place >= 4 - padding {
                0
            } else {
                value(*byte)?
            };
            bits = bits << 6 | u32::from(value);
        }
        let [_, a, b, c] = bits.to_be_bytes();
        bytes.extend([a, b, c].iter().take(3 - padding));
    }
    Some(bytes)
}

fn value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn rfc_4648_section_10_examples_decode() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
            ("+/+/", "\u{0}"),
        ] {
            let decoded = decode(text.as_bytes());
            if text == "+/+/" {
                assert_eq!(decoded, Some(vec![0xFB, 0xFF, 0xBF]));
            } else {
                assert_eq!(decoded.as_deref(), Some(bytes.as_bytes()), "{text}");
            }
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "Z",
            "Zg",
            "Zg=",
            "Z===",
            "====",
            "Zg==Zg==",
            "Zm9v Zm9v",
            "Zm 9",
            "Zm9-",
            "=Zg=",
        ] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
    }
}
