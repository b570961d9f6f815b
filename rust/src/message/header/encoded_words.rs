//! Decoder of encoded words in header fields (RFC 2047).
use crate::message::mime::transfer::Base64;
use crate::message::text::charset::{converts, decode_named, decode_unnamed};
use crate::message::text::white_space::collapse;

/// Maximum bytes of a charset name; the longest at IANA has 45.
const CHARSET_BYTES: usize = 64;

/// Encoded word.
struct EncodedWord<'a> {
    charset: &'a [u8],
    /// `B` or `Q`.
    encoding: u8,
    encoded: &'a [u8],
    /// Bytes of the word as received.
    length: usize,
}

impl EncodedWord<'_> {
    /// Append the bytes of the text, in its charset.
    fn decode(&self, to: &mut Vec<u8>) {
        if self.encoding == b'Q' {
            to.append(&mut quoted(self.encoded));
        } else {
            let mut decoder = Base64::default();
            decoder.feed(self.encoded, to);
            decoder.finish(to);
        }
    }
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
/// Lenient: words longer than the 75 bytes of RFC 2047, quotes around the charset, and white space,
/// `?` and bytes above 127 in the text. The text ends at the first `?=`; another `=?` before it
/// starts a word of its own, so this one is invalid. The search ends there: many words without an
/// end cost linear time.
fn word(text: &[u8]) -> Option<EncodedWord<'_>> {
    let inner = text.strip_prefix(b"=?")?;
    let scope = inner.get(..CHARSET_BYTES.min(inner.len()))?;
    let (charset, _) = scope.split_at_checked(memchr::memchr(b'?', scope)?)?;
    let tail = inner.get(charset.len() + 1..)?;
    let (encoding, encoded) = match tail {
        [encoding, b'?', encoded @ ..] => (encoding.to_ascii_uppercase(), encoded),
        _ => return None,
    };
    let charset = unquoted(charset);
    if charset.is_empty() || !matches!(encoding, b'Q' | b'B') {
        return None;
    }
    let (encoded, close) = encoded.split_at_checked(end_of_text(encoded)?)?;
    Some(EncodedWord {
        // RFC 2231 section 5: a language may follow the charset.
        charset: charset.split(|byte| *byte == b'*').next()?,
        encoding,
        encoded,
        length: text.len() - close.len() + 2,
    })
}

/// Return the length of the encoded word at the start of `text`; None if there is no valid one.
pub(crate) fn encoded_word(text: &[u8]) -> Option<usize> {
    word(text).map(|word| word.length)
}

/// Remove quotes and white space around a charset.
fn unquoted(charset: &[u8]) -> &[u8] {
    let is_name = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'');
    let from = charset.iter().position(is_name).unwrap_or(charset.len());
    let upto = charset.iter().rposition(is_name).map_or(from, |at| at + 1);
    charset.get(from..upto).unwrap_or_default()
}

/// Return the place of the first `?=`; None without one, and if `=?` comes before it.
fn end_of_text(encoded: &[u8]) -> Option<usize> {
    for at in memchr::memchr_iter(b'?', encoded) {
        if encoded.get(at + 1) == Some(&b'=') {
            return Some(at);
        }
        if at.checked_sub(1).and_then(|before| encoded.get(before)) == Some(&b'=') {
            return None;
        }
    }
    None
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

/// Part of a header value.
enum ValuePiece<'a> {
    /// Bytes outside of encoded words.
    Plain(&'a [u8]),
    /// Encoded words.
    Words(PendingWords),
}

/// Split an unfolded header value into plain bytes and encoded words, which may be at any place.
/// White space between two words is left out.
fn split<'a>(value: &'a [u8], mut take: impl FnMut(ValuePiece<'a>)) {
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
            take(ValuePiece::Words(std::mem::take(&mut pending)));
            pending.charset = word.charset.to_vec();
        } else {
            pending.raw.extend_from_slice(before);
        }
        if !adjacent {
            take(ValuePiece::Plain(before));
        }
        word.decode(&mut pending.bytes);
        let (raw, tail) = from.split_at_checked(word.length).unwrap_or((from, b""));
        pending.raw.extend_from_slice(raw);
        plain = tail;
        at = 0;
    }
    take(ValuePiece::Words(pending));
    take(ValuePiece::Plain(plain));
}

/// Decode an unfolded header value for display: raw bytes as UTF-8 or else windows-1252. A word that
/// is invalid or of unknown charset stays as received.
#[must_use]
pub fn decode_header(value: &[u8]) -> String {
    decode(value, |words, to| decode_unnamed(&words.raw, to))
}

/// Decode an unfolded header value for SEARCH: as `decode_header`, but the bytes of words of unknown
/// charset are decoded as those outside of words. So all that i;octet finds in them is found (RFC
/// 5255 section 4.6, item c).
pub(crate) fn decode_for_search(value: &[u8]) -> String {
    decode(value, |words, to| decode_unnamed(&words.bytes, to))
}

fn decode(value: &[u8], of_unknown_charset: impl Fn(&PendingWords, &mut String)) -> String {
    let mut decoded = String::with_capacity(value.len());
    split(value, |piece| match piece {
        ValuePiece::Plain(bytes) => decode_unnamed(bytes, &mut decoded),
        ValuePiece::Words(words) if words.raw.is_empty() => {}
        ValuePiece::Words(words) => match decode_named(&words.charset, &words.bytes) {
            Some(text) => decoded.push_str(&text),
            None => of_unknown_charset(&words, &mut decoded),
        },
    });
    decoded
}

/// Return the bytes of an unfolded header value without the encoding of words, if one of the words
/// is of unknown charset, or not valid in its charset.
pub(crate) fn unconvertible(value: &[u8]) -> Option<Vec<u8>> {
    memchr::memmem::find(value, b"=?")?;
    let mut bytes = Vec::new();
    let mut fails = false;
    split(value, |piece| match piece {
        ValuePiece::Plain(plain) => bytes.extend_from_slice(plain),
        ValuePiece::Words(words) => {
            fails |= !words.raw.is_empty() && !converts(&words.charset, &words.bytes);
            bytes.extend_from_slice(&words.bytes);
        }
    });
    fails.then_some(bytes)
}

/// Decode a header field for display, with white space collapsed.
pub(crate) fn decoded(value: Option<&[u8]>) -> String {
    collapse(&decode_header(value.unwrap_or_default())).into_owned()
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
            // Lenient: white space, `?` and other bytes in the text, quotes around the charset
            ("=?utf-8?q?a b?=", "a b"),
            ("=?utf-8?q?a  b\t?= =?utf-8?q?_c?=", "a  b\t c"),
            ("=?utf-8?q?What? Who??= x", "What? Who? x"),
            ("=?utf-8?q?Gr=C3=BC\u{df}e?=", "Grüße"),
            ("=?utf-8?b?R3LD vMOf ZQ==?=", "Grüße"),
            ("=?utf-8?b?R3LDvMOfZQ==?", "=?utf-8?b?R3LDvMOfZQ==?"),
            ("=?\"utf-8\"?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
            ("=?'UTF-8'?b?R3LDvMOfZQ==?=", "Grüße"),
            ("=?\"iso-8859-1*de\"?q?Gr=FC=DFe?=", "Grüße"),
            ("=? utf-8 ?q?a?=", "a"),
            ("=?utf-8?q??=", ""),
            // The first `?=` ends a word, also where more text follows
            ("=?utf-8?q?a?=3Db?=", "a3Db?="),
            ("=?utf-8?b?YQ==?==?utf-8?b?Yg==?=", "ab"),
            // A word without an end does not hide the next
            ("=?utf-8?q?a =?utf-8?q?b?=", "=?utf-8?q?a b"),
            ("=?utf-8?q?a=?utf-8?q?b?=", "=?utf-8?q?ab"),
            ("=?utf-8?q?a? b <c@d>", "=?utf-8?q?a? b <c@d>"),
            // Invalid, so unchanged
            ("=?\"\"?q?a?=", "=?\"\"?q?a?="),
            ("=?utf-8?q ?a?=", "=?utf-8?q ?a?="),
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
    fn words_of_unknown_charset_are_decoded_for_search() {
        for (value, text) in [
            ("=?x-unknown?q?=41?= =?x-unknown?q?=42?=", "AB"),
            ("a =?x-unknown?b?R3LDvMOfZQ==?= b", "a Grüße b"),
            ("=?utf-8?q?a?= =?x-unknown?q?b?=", "ab"),
            ("=?utf-8?q?a?=", "a"),
        ] {
            assert_eq!(decode_for_search(value.as_bytes()), text);
        }
    }

    #[test]
    fn values_that_cannot_be_converted() {
        for (value, bytes) in [
            ("plain", None),
            ("raw Grüße =?", None),
            ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", None),
            ("=?utf-8?q?Gr=C3?= =?utf-8?q?=BC=C3=9Fe?=", None),
            ("=?us-ascii?q?x?=", None),
            ("=?koi8-r?q?=E1=CC=C5=CB=D3=C5=CA?=", None),
            ("x =?utf-8?q?=FF=B9?=", Some(&b"x \xff\xb9"[..])),
            ("=?us-ascii?q?=FF?=", Some(b"\xff")),
            ("=?x-unknown?q?=41?= b", Some(b"A b")),
            ("=?iso-2022-jp?q?=1B$B=FF?=", Some(b"\x1b$B\xff")),
        ] {
            assert_eq!(unconvertible(value.as_bytes()).as_deref(), bytes, "{value}");
        }
    }

    #[test]
    fn many_incomplete_words_take_linear_time() {
        let hostile = b"=?".repeat(32 * 1024);
        assert_eq!(decode_header(&hostile).len(), hostile.len());
        for piece in ["=?a?q?", "=?a?q? ", "=?a?q??", "=?\"a\"?b?="] {
            let hostile = piece.repeat(64 * 1024 / piece.len());
            assert_eq!(decode_header(hostile.as_bytes()).len(), hostile.len());
        }
    }
}
