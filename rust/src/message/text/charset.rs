//! Decoder of charsets.
//!
//! A missing or unknown charset, US-ASCII and UTF-8 are decoded as UTF-8, and invalid bytes of it
//! as windows-1252, which such text most often is. No byte is an error: partially decoded text can
//! still be searched.
use std::sync::LazyLock;

use encoding_rs::{CoderResult, Decoder, Encoding, REPLACEMENT, UTF_8, WINDOWS_1252};

/// Return the encoding of a charset; None if it is unknown or has no decoder.
fn named(label: &[u8]) -> Option<&'static Encoding> {
    Encoding::for_label(label).filter(|encoding| *encoding != REPLACEMENT)
}

/// True for the names of US-ASCII, and for no name.
fn is_ascii(label: &[u8]) -> bool {
    [&b"us-ascii"[..], b"ascii", b"ansi_x3.4-1968", b""]
        .iter()
        .any(|name| label.eq_ignore_ascii_case(name))
}

/// Incremental decoder of one text.
pub struct CharsetDecoder {
    named: Option<Decoder>,
    /// Incomplete UTF-8 character, at most three bytes.
    held: Vec<u8>,
}

impl CharsetDecoder {
    /// Create the decoder of a charset as named in Content-Type, `""` if it is not.
    #[must_use]
    pub fn new(charset: &str) -> Self {
        let label = charset.as_bytes();
        let encoding = if is_ascii(label) { None } else { named(label) };
        Self {
            named: encoding
                .filter(|encoding| *encoding != UTF_8)
                .map(Encoding::new_decoder_without_bom_handling),
            held: Vec::new(),
        }
    }

    /// True if ASCII bytes always decode to themselves.
    pub(crate) fn passes_ascii(&self) -> bool {
        let named = self.named.as_ref();
        named.is_some_and(|decoder| decoder.encoding().is_single_byte())
    }

    /// True if the next bytes decode as UTF-8 independently of those before.
    pub(crate) fn passes_utf8(&self) -> bool {
        self.named.is_none() && self.held.is_empty()
    }

    /// True if an incomplete UTF-8 character is held.
    pub(crate) fn holds_some(&self) -> bool {
        !self.held.is_empty()
    }

    /// Append the decoded form of the next bytes; `last` flushes the decoder.
    pub fn decode(&mut self, bytes: &[u8], last: bool, to: &mut String) {
        if let Some(decoder) = &mut self.named {
            let mut rest = bytes;
            loop {
                to.reserve(rest.len() + 16);
                let (result, read, _) = decoder.decode_to_string(rest, to, last);
                rest = rest.get(read..).unwrap_or_default();
                if result == CoderResult::InputEmpty {
                    return;
                }
            }
        }
        if self.held.is_empty() {
            self.held = guess(bytes, last, to);
        } else {
            let mut joined = std::mem::take(&mut self.held);
            joined.extend_from_slice(bytes);
            self.held = guess(&joined, last, to);
        }
    }
}

/// Append bytes as UTF-8 if valid, otherwise as windows-1252. Return an incomplete character at the
/// end, unless `last`.
fn guess(bytes: &[u8], last: bool, to: &mut String) -> Vec<u8> {
    let mut rest = bytes;
    loop {
        let error = match str::from_utf8(rest) {
            Ok(text) => {
                to.push_str(text);
                return Vec::new();
            }
            Err(error) => error,
        };
        let (valid, tail) = rest
            .split_at_checked(error.valid_up_to())
            .unwrap_or((b"", rest));
        to.push_str(str::from_utf8(valid).unwrap_or_default());
        if error.error_len().is_none() && !last {
            return tail.to_vec();
        }
        let (invalid, after) = tail
            .split_at_checked(error.error_len().unwrap_or(tail.len()))
            .unwrap_or((tail, b""));
        let chars = invalid.iter();
        to.extend(chars.filter_map(|byte| WINDOWS_CHARS.get(usize::from(*byte))));
        rest = after;
    }
}

/// Characters of windows-1252 by byte. A call of its decoder for each byte costs 30 ns.
static WINDOWS_CHARS: LazyLock<Vec<char>> = LazyLock::new(|| {
    let all: Vec<u8> = (0..=u8::MAX).collect();
    let text = WINDOWS_1252.decode_without_bom_handling(&all).0;
    text.chars().collect()
});

/// Decode bytes without a charset.
pub(crate) fn decode_unnamed(bytes: &[u8], to: &mut String) {
    guess(bytes, true, to);
}

/// Decode bytes in a charset; None if it is unknown.
pub(crate) fn decode_named(label: &[u8], bytes: &[u8]) -> Option<String> {
    let mut text = String::new();
    if is_ascii(label) {
        decode_unnamed(bytes, &mut text);
        return Some(text);
    }
    let label = str::from_utf8(label).ok()?;
    named(label.as_bytes())?;
    CharsetDecoder::new(label).decode(bytes, true, &mut text);
    Some(text)
}

/// True if bytes are valid in a charset that is known.
pub(crate) fn converts(label: &[u8], bytes: &[u8]) -> bool {
    if is_ascii(label) {
        return str::from_utf8(bytes).is_ok();
    }
    named(label).is_some_and(|encoding| {
        encoding
            .decode_without_bom_handling_and_without_replacement(bytes)
            .is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: &[(&str, &[u8], &str)] = &[
        ("", b"plain", "plain"),
        ("utf-8", "Grüße €".as_bytes(), "Grüße €"),
        ("", b"Gr\xfc\xdfe", "Grüße"),
        ("us-ascii", "Grüße".as_bytes(), "Grüße"),
        ("utf-8", b"cut \xe2\x82", "cut â‚"),
        ("iso-8859-1", b"Gr\xfc\xdfe", "Grüße"),
        ("ISO-8859-15", b"\xa4", "€"),
        ("koi8-r", b"\xf0\xf2\xe9\xf7\xe5\xf4", "ПРИВЕТ"),
        ("iso-2022-jp", b"\x1b$B;3ED\x1b(B!", "山田!"),
        ("shift_jis", b"\x8eR\x93c", "山田"),
        ("gb2312", b"\xc4\xe3\xba\xc3", "你好"),
        ("utf-16le", b"h\0i\0", "hi"),
        ("x-unknown", "ü".as_bytes(), "ü"),
        ("iso-2022-kr", b"kept", "kept"),
    ];

    #[test]
    fn texts_are_decoded_whole_and_cut_at_every_byte() {
        for (charset, bytes, text) in CASES {
            for at in 0..=bytes.len() {
                let mut decoder = CharsetDecoder::new(charset);
                let mut characters = String::new();
                decoder.decode(&bytes[..at], false, &mut characters);
                decoder.decode(&bytes[at..], true, &mut characters);
                assert_eq!(characters, *text, "{charset} cut at {at}");
            }
        }
    }

    #[test]
    fn an_unknown_charset_is_reported() {
        assert_eq!(decode_named(b"utf-8", "ü".as_bytes()).as_deref(), Some("ü"));
        assert_eq!(decode_named(b"us-ascii", b"x").as_deref(), Some("x"));
        assert_eq!(decode_named(b"x-unknown", b"x"), None);
        assert_eq!(
            decode_named(b"iso-2022-kr", b"x"),
            None,
            "WHATWG has no decoder for it"
        );
    }
}
