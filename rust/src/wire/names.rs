//! Mailbox names: from the wire to `str` and back.
//!
//! Modified UTF-7 (RFC 3501 section 5.1.3) is decoded strictly, so that each name has one encoding:
//! the decoded name encodes to the same bytes. Lenient: `&` that nothing of an encoded character
//! follows is itself (`/` is in ordinary base64), as in `Terms & Conditions`.

use super::syntax::cursor::is_astring_char;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// The one mailbox whose name is compared without regard to case (RFC 9051 section 5.1).
pub const INBOX: &str = "INBOX";

/// Decode a name; None if it is neither modified UTF-7 nor UTF-8.
///
/// With `utf8` the name is UTF-8. Without it, it is modified UTF-7; a name with bytes above 127
/// is taken as UTF-8, because clients send that. INBOX, alone or as the first
/// component of a name, becomes `INBOX`.
#[must_use]
pub fn decode(received: &[u8], utf8: bool) -> Option<String> {
    let name = if utf8 || !received.is_ascii() {
        String::from_utf8(received.to_vec()).ok()?
    } else {
        decode_utf7(received)?
    };
    Some(canonical_inbox(name))
}

/// Decode a LIST pattern. One that is not modified UTF-7 (it may split a coded character)
/// is taken literally; bytes that are not UTF-8 become U+FFFD, which is in no name.
#[must_use]
pub fn decode_pattern(received: &[u8], utf8: bool) -> String {
    let decoded = if utf8 || !received.is_ascii() {
        None
    } else {
        decode_utf7(received)
    };
    decoded.unwrap_or_else(|| String::from_utf8_lossy(received).into_owned())
}

fn canonical_inbox(mut name: String) -> String {
    let first = name.split('/').next().unwrap_or_default();
    if first.eq_ignore_ascii_case(INBOX) {
        name.replace_range(..INBOX.len(), INBOX);
    }
    name
}

/// ```text
/// "&" base64 of UTF-16BE, "," for "/", no padding, "-"; "&-" is "&"
/// ```
/// Decode modified UTF-7 strictly; None if it is not, as for a name with characters above 127.
#[must_use]
pub fn decode_utf7(coded: &[u8]) -> Option<String> {
    let mut name = String::with_capacity(coded.len());
    let mut rest = coded;
    let mut shifted_before = false; // two adjacent shifts should have been one
    while let Some((byte, tail)) = rest.split_first() {
        if !(b' '..=b'~').contains(byte) {
            return None; // other characters must be encoded (RFC 3501 section 5.1.3)
        }
        if *byte != b'&' {
            name.push(char::from(*byte));
            rest = tail;
            shifted_before = false;
            continue;
        }
        if tail
            .first()
            .is_none_or(|next| !b"-/".contains(next) && base64_value(*next).is_none())
        {
            name.push('&');
            rest = tail;
            shifted_before = false;
            continue;
        }
        let len = memchr::memchr(b'-', tail)?;
        let (inside, following) = (tail.get(..len)?, tail.get(len + 1..)?);
        if inside.is_empty() {
            name.push('&');
            shifted_before = false;
        } else {
            if shifted_before {
                return None;
            }
            decode_shifted(inside, &mut name)?;
            shifted_before = true;
        }
        rest = following;
    }
    Some(name)
}

fn decode_shifted(base64: &[u8], name: &mut String) -> Option<()> {
    let mut units = Vec::with_capacity(base64.len() * 6 / 16);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in base64 {
        bits = (bits << 6 | u32::from(base64_value(*byte)?)) & 0x3F_FFFF;
        count += 6;
        if count >= 16 {
            count -= 16;
            units.push(u16::try_from(bits >> count & 0xFFFF).ok()?);
        }
    }
    // The remaining bits are zeros and fewer than six.
    if count >= 6 || bits & ((1 << count) - 1) != 0 {
        return None;
    }
    for unit in char::decode_utf16(units) {
        let character = unit.ok()?;
        if (' '..='~').contains(&character) {
            return None; // it represents itself
        }
        name.push(character);
    }
    Some(())
}

fn base64_value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b',' => Some(63),
        _ => None,
    }
}

/// Encode a name in modified UTF-7: printable ASCII for any name.
#[must_use]
pub fn encode_utf7(name: &str) -> Vec<u8> {
    let mut coded = Vec::with_capacity(name.len());
    let (mut bits, mut count) = (0_u32, 0_u32);
    let mut shifted = false;
    for character in name.chars() {
        if (' '..='~').contains(&character) {
            if shifted {
                unshift(&mut coded, bits, count);
                (bits, count, shifted) = (0, 0, false);
            }
            match character {
                '&' => coded.extend_from_slice(b"&-"),
                _ => coded.extend(u8::try_from(character)), // ASCII: it always fits
            }
            continue;
        }
        if !shifted {
            coded.push(b'&');
            shifted = true;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            bits = bits << 16 | u32::from(*unit);
            count += 16;
            while count >= 6 {
                count -= 6;
                coded.push(base64_digit(bits >> count));
            }
            bits &= (1 << count) - 1;
        }
    }
    if shifted {
        unshift(&mut coded, bits, count);
    }
    coded
}

fn unshift(coded: &mut Vec<u8>, bits: u32, count: u32) {
    if count > 0 {
        coded.push(base64_digit(bits << (6 - count)));
    }
    coded.push(b'-');
}

fn base64_digit(bits: u32) -> u8 {
    ALPHABET.get(bits as usize & 63).copied().unwrap_or(b'A')
}

/// ```abnf
/// mailbox = "INBOX" / astring
/// ```
/// With `utf8`, a quoted string of UTF-8 or, for CR and LF, a literal. NUL, which no mailbox name
/// may hold, becomes U+FFFD there.
#[must_use]
pub fn encode(name: &str, utf8: bool) -> Vec<u8> {
    let coded = if utf8 {
        name.replace('\0', "\u{FFFD}").into_bytes()
    } else {
        encode_utf7(name)
    };
    // NIL is an astring, too, but clients read it as absent.
    let is_atom = !coded.is_empty()
        && coded.iter().all(|byte| is_astring_char(*byte))
        && !coded.eq_ignore_ascii_case(b"NIL");
    if is_atom {
        coded
    } else {
        super::writer::string(&coded, utf8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// From RFC 3501 section 5.1.3, RFC 2152 and by hand.
    const NAMES: [(&str, &str); 12] = [
        ("INBOX", "INBOX"),
        ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
        ("Entw&APw-rfe", "Entwürfe"),
        ("&-", "&"),
        ("A&-B&-", "A&B&"),
        ("&AOk-", "é"),
        ("&2D3eAA-", "😀"),
        ("&AAoADQ-x", "\n\rx"),
        ("&AOkA6Q-&-&AOk-", "éé&é"),
        ("", ""),
        ("a b\"c\\", "a b\"c\\"),
        ("&AAA-", "\0"),
    ];

    #[test]
    fn names_have_one_coding() {
        for (coded, name) in NAMES {
            assert_eq!(
                decode(coded.as_bytes(), false).as_deref(),
                Some(name),
                "{coded}"
            );
            assert_eq!(encode_utf7(name), coded.as_bytes(), "{name}");
        }
    }

    #[test]
    fn other_text_is_not_modified_utf_7() {
        for coded in [
            "AT&T",
            "&AOk",
            "R&D-x",
            "&Jjo!",
            "&AGE-",
            "&U,BTFw-&ZeVnLIqe-",
            "&AOl-",
            "&A-",
            "&AO-",
            "&AOkA-",
            "&2D0-",
            "&3gA-",
            "&AOk=-",
            "&/BT-",
            "&ACY-",
            "a\rb",
            "\0",
            "\x7F",
        ] {
            assert_eq!(decode(coded.as_bytes(), false), None, "{coded}");
        }
    }

    #[test]
    fn an_ampersand_that_encodes_nothing_is_itself() {
        for (coded, name) in [
            ("Terms & Conditions", "Terms & Conditions"),
            ("&", "&"),
            ("a&", "a&"),
            ("&&-", "&&"),
            ("&AOk-&", "é&"),
            ("&AOk-& &AOk-", "é& é"),
            ("&_", "&_"),
        ] {
            assert_eq!(
                decode(coded.as_bytes(), false).as_deref(),
                Some(name),
                "{coded}"
            );
        }
    }

    #[test]
    fn inbox_is_one_mailbox_in_any_case() {
        for (received, name) in [
            ("inbox", "INBOX"),
            ("InBoX", "INBOX"),
            ("inbox/Sent", "INBOX/Sent"),
            ("inboxes", "inboxes"),
            ("Old/inbox", "Old/inbox"),
            ("inbox ", "inbox "),
        ] {
            assert_eq!(decode(received.as_bytes(), false).as_deref(), Some(name));
            assert_eq!(decode(received.as_bytes(), true).as_deref(), Some(name));
        }
    }

    #[test]
    fn utf8_names_are_read_in_both_modes_and_nothing_else_above_127_is() {
        assert_eq!(
            decode("Entwürfe".as_bytes(), false).as_deref(),
            Some("Entwürfe")
        );
        assert_eq!(
            decode("Entwürfe & x".as_bytes(), false).as_deref(),
            Some("Entwürfe & x")
        );
        assert_eq!(
            decode("Entwürfe".as_bytes(), true).as_deref(),
            Some("Entwürfe")
        );
        assert_eq!(
            decode(b"Entw&APw-rfe", true).as_deref(),
            Some("Entw&APw-rfe")
        );
        assert_eq!(decode(b"Entw\xFCrfe", false), None);
        assert_eq!(decode(b"Entw\xFCrfe", true), None);
    }

    #[test]
    fn a_name_is_an_atom_a_quoted_string_or_a_literal() {
        for (name, utf8, written) in [
            ("INBOX", false, &b"INBOX"[..]),
            ("a/b&c", false, b"a/b&-c"),
            ("", false, b"\"\""),
            ("nil", false, b"\"nil\""),
            ("a b", false, b"\"a b\""),
            ("a\"\\", false, b"\"a\\\"\\\\\""),
            ("é", false, b"&AOk-"),
            ("é", true, b"\"\xC3\xA9\""),
            ("a\r\nb", false, b"a&AA0ACg-b"),
            ("a\r\nb", true, b"{4}\r\na\r\nb"),
            ("100%", false, b"\"100%\""),
            ("a]", true, b"a]"),
        ] {
            assert_eq!(encode(name, utf8), written, "{name}");
        }
    }

    #[test]
    fn a_pattern_that_splits_a_character_is_literal() {
        assert_eq!(decode_pattern(b"&AOk-%", false), "é%");
        assert_eq!(decode_pattern(b"&AO*", false), "&AO*");
        assert_eq!(decode_pattern("é*".as_bytes(), false), "é*");
        assert_eq!(decode_pattern(b"&AOk-", true), "&AOk-");
        assert_eq!(decode_pattern(b"\xFF", true), "\u{FFFD}");
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in any::<String>()) {
            let coded = encode_utf7(&name);
            prop_assert!(coded.iter().all(|byte| (b' '..=b'~').contains(byte)));
            prop_assert_eq!(decode_utf7(&coded), Some(name));
        }

        #[test]
        fn what_decodes_encodes_to_the_same(coded in "[&A-Ca-c0-9,+ -]{0,12}") {
            if let Some(name) = decode_utf7(coded.as_bytes()) {
                let encoded = encode_utf7(&name);
                prop_assert_eq!(decode_utf7(&encoded), Some(name));
                if !coded.contains("& ") && !coded.contains("&&") && !coded.ends_with('&') {
                    prop_assert_eq!(encoded, coded.as_bytes());
                }
            }
        }
    }
}
