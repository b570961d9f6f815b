//! Decoder of encoded words in header fields (RFC 2047).
use crate::message::mime::transfer::Base64;
use crate::message::text::charset::{decode_named, decode_unnamed};

/// Maximum bytes of a charset name; the longest at IANA has 45.
const CHARSET_BYTES: usize = 64;

/// Encoded word, its transfer encoding decoded.
struct EncodedWord<'a> {
    charset: &'a [u8],
    bytes: Vec<u8>,
    /// Bytes of the word as received.
    length: usize,
}

/// Decode the `Q` encoding: `=5F` for a byte, `_` for a space.
fn quoted(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'_' { b' ' } else { *byte })
        .collect();
    unescape(&spaced, b'=')
}

/// Decode escapes of a mark and two hexadecimal digits (RFC 2047: `=`, RFC 2231: `%`). A mark
/// without two digits stays.
pub(crate) fn unescape(text: &[u8], mark: u8) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first == mark
            && let Some((digits, after)) = tail.split_first_chunk::<2>()
            && let Ok(digits) = str::from_utf8(digits)
            && let Ok(byte) = u8::from_str_radix(digits, 16)
        {
            bytes.push(byte);
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    bytes
}

/// ```abnf
/// encoded-word = "=?" charset "?" encoding "?" encoded-text "?="
/// ```
/// Words longer than the 75 bytes of RFC 2047 are accepted, white space inside is not.
fn word(text: &[u8]) -> Option<EncodedWord<'_>> {
    let inner = text.strip_prefix(b"=?")?;
    let scope = inner.get(..CHARSET_BYTES.min(inner.len()))?;
    let (charset, _) = scope.split_at_checked(memchr::memchr(b'?', scope)?)?;
    let tail = inner.get(charset.len() + 1..)?;
    let (encoding, encoded) = match tail {
        [encoding, b'?', encoded @ ..] => (encoding.to_ascii_uppercase(), encoded),
        _ => return None,
    };
    let end = encoded
        .iter()
        .position(|byte| *byte == b'?' || !byte.is_ascii_graphic())?;
    let (encoded, close) = encoded.split_at_checked(end)?;
    if charset.is_empty() || !close.starts_with(b"?=") {
        return None;
    }
    let bytes = match encoding {
        b'Q' => quoted(encoded),
        b'B' => {
            let mut bytes = Vec::new();
            let mut decoder = Base64::default();
            decoder.feed(encoded, &mut bytes);
            decoder.finish(&mut bytes);
            bytes
        }
        _ => return None,
    };
    // RFC 2231 section 5: a language may follow the charset.
    let charset = charset.split(|byte| *byte == b'*').next()?;
    Some(EncodedWord {
        charset,
        bytes,
        length: charset_end(text, close),
    })
}

/// Return the length of `text` through the `?=` at the start of `close`.
fn charset_end(text: &[u8], close: &[u8]) -> usize {
    text.len() - close.len() + 2
}

/// Adjacent words of one charset, decoded together: a character may be split between two words,
/// although RFC 2047 section 5 forbids it.
#[derive(Default)]
struct PendingWords {
    charset: Vec<u8>,
    bytes: Vec<u8>,
    /// As received.
    raw: Vec<u8>,
}

impl PendingWords {
    fn flush(&mut self, to: &mut String) {
        let pending = std::mem::take(self);
        if pending.raw.is_empty() {
            return;
        }
        match decode_named(&pending.charset, &pending.bytes) {
            Some(text) => to.push_str(&text),
            None => decode_unnamed(&pending.raw, to),
        }
    }
}

/// Decode an unfolded header value for display: encoded words at any place, raw bytes as UTF-8 or
/// else windows-1252. A word that is invalid or of unknown charset stays as received.
#[must_use]
pub fn decode_header(value: &[u8]) -> String {
    let mut decoded = String::with_capacity(value.len());
    let mut pending = PendingWords::default();
    let mut plain = value; // not yet decoded; no word starts before `at`
    let mut at = 0;
    while let Some(found) = plain
        .get(at..)
        .and_then(|rest| memchr::memmem::find(rest, b"=?"))
    {
        at += found;
        let (before, from) = plain.split_at_checked(at).unwrap_or((plain, b""));
        let Some(word) = word(from) else {
            at += 1;
            continue;
        };
        let adjacent = !pending.raw.is_empty() && before.trim_ascii().is_empty();
        if !adjacent || !pending.charset.eq_ignore_ascii_case(word.charset) {
            pending.flush(&mut decoded);
            pending.charset = word.charset.to_vec();
        } else {
            pending.raw.extend_from_slice(before);
        }
        if !adjacent {
            decode_unnamed(before, &mut decoded);
        }
        pending.bytes.extend_from_slice(&word.bytes);
        let (raw, tail) = from.split_at_checked(word.length).unwrap_or((from, b""));
        pending.raw.extend_from_slice(raw);
        plain = tail;
        at = 0;
    }
    pending.flush(&mut decoded);
    decode_unnamed(plain, &mut decoded);
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        for (value, text) in [
            // RFC 2047 section 8, unfolded
            ("(=?ISO-8859-1?Q?a?=)", "(a)"),
            ("(=?ISO-8859-1?Q?a?= b)", "(a b)"),
            ("(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
            ("(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)"),
            ("(=?ISO-8859-1?Q?a?= \t =?ISO-8859-1?Q?b?=)", "(ab)"),
            ("(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
            ("(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
            (
                "=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>",
                "Keith Moore <moore@cs.utk.edu>",
            ),
            (
                "=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <keld@dkuug.dk>",
                "Keld Jørn Simonsen <keld@dkuug.dk>",
            ),
            (
                "=?ISO-8859-1?Q?Andr=E9?= Pirard <PIRARD@vm1.ulg.ac.be>",
                "André Pirard <PIRARD@vm1.ulg.ac.be>",
            ),
            (
                "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?= =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
                "If you can read this you understand the example.",
            ),
            // RFC 2231 section 5
            ("=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),
            ("=?utf-8?b?4oKs?=", "€"),
            ("=?UTF-8?B?4oI=?= =?utf-8?B?rA==?=", "€"), // a character split between two words
            ("=?iso-2022-jp?B?GyRCOzNFRBsoQg==?=", "山田"),
            ("=?utf-8?q?a?= and =?utf-8?q?b?=", "a and b"),
            ("x=?utf-8?q?a?=y", "xay"),
            // Invalid, so unchanged
            ("=?utf-8?q?a b?=", "=?utf-8?q?a b?="),
            ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
            ("=??q?a?=", "=??q?a?="),
            ("=?utf-8?q?a", "=?utf-8?q?a"),
            (
                "=?x-unknown?q?=41?= =?x-unknown?q?=42?=",
                "=?x-unknown?q?=41?= =?x-unknown?q?=42?=",
            ),
            ("=?=?utf-8?q?a?=", "=?a"),
            ("=?utf-8?q?=4?=", "=4"),
            ("", ""),
            ("raw Grüße", "raw Grüße"),
        ] {
            assert_eq!(decode_header(value.as_bytes()), text, "{value}");
        }
        assert_eq!(decode_header(b"Gr\xfc\xdfe"), "Grüße");
    }

    #[test]
    fn many_incomplete_words_take_linear_time() {
        let hostile = b"=?".repeat(32 * 1024);
        assert_eq!(decode_header(&hostile).len(), hostile.len());
        let hostile = b"=?a?q?".repeat(10 * 1024);
        assert_eq!(decode_header(&hostile).len(), hostile.len());
    }
}
