//! Collations of RFC 4790 and RFC 5051, by which SEARCH, SORT and THREAD compare texts (RFC 5255
//! section 4).
//!
//! Texts are prepared, then their bytes are compared: equality, order and substring are those of
//! i;octet in all of them.
use super::casemap::casemap_utf8;

/// Way to compare texts, which are UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Collation {
    /// i;unicode-casemap (RFC 5051): case and the form of letters with diacritics do not matter.
    #[default]
    UnicodeCasemap,
    /// i;ascii-casemap (RFC 4790 section 9.2): case of ASCII letters does not matter.
    AsciiCasemap,
    /// i;octet (RFC 4790 section 9.3): bytes as they are.
    Bytes,
}

impl Collation {
    /// All collations.
    pub const ALL: [Self; 3] = [Self::UnicodeCasemap, Self::AsciiCasemap, Self::Bytes];

    /// Return the name in the registry.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UnicodeCasemap => "i;unicode-casemap",
            Self::AsciiCasemap => "i;ascii-casemap",
            Self::Bytes => "i;octet",
        }
    }

    /// Append the prepared form of valid UTF-8; return the rest from the first invalid or incomplete
    /// character.
    ///
    /// Characters are prepared one by one, so a text can be prepared in pieces.
    pub fn prepare_utf8<'a>(self, bytes: &'a [u8], to: &mut Vec<u8>) -> &'a [u8] {
        if self == Self::UnicodeCasemap {
            return casemap_utf8(bytes, to);
        }
        let valid = match str::from_utf8(bytes) {
            Ok(_) => bytes.len(),
            Err(error) => error.valid_up_to(),
        };
        let (valid, rest) = bytes.split_at_checked(valid).unwrap_or((bytes, b""));
        let from = to.len();
        to.extend_from_slice(valid);
        if self == Self::AsciiCasemap {
            let appended = to.get_mut(from..).unwrap_or_default();
            appended.make_ascii_uppercase();
        }
        rest
    }

    /// Append the prepared form of a text.
    pub fn prepare_into(self, text: &str, to: &mut Vec<u8>) {
        self.prepare_utf8(text.as_bytes(), to);
    }

    /// Return the prepared form of a text.
    ///
    /// ```
    /// use imapvm_core::message::Collation::{AsciiCasemap, UnicodeCasemap};
    ///
    /// assert_eq!(UnicodeCasemap.prepare("Café"), UnicodeCasemap.prepare("CAFE\u{301}"));
    /// assert!(UnicodeCasemap.prepare("éa") < UnicodeCasemap.prepare("Fa"));
    /// assert!(AsciiCasemap.prepare("éa") > AsciiCasemap.prepare("Fa"));
    /// ```
    #[must_use]
    pub fn prepare(self, text: &str) -> Vec<u8> {
        let mut prepared = Vec::new();
        self.prepare_into(text, &mut prepared);
        prepared
    }

    /// Append the prepared form of a text, up to the first character at which it has `max_bytes`.
    pub fn prepare_start(self, text: &str, max_bytes: usize, to: &mut Vec<u8>) {
        let start = to.len();
        // No character shrinks to less than a quarter.
        let most = max_bytes.saturating_mul(4).min(text.len());
        let mut starts = (0..=most).rev().filter(|at| text.is_char_boundary(*at));
        let head = starts.next().and_then(|at| text.get(..at));
        self.prepare_into(head.unwrap_or_default(), to);
        let end = start + max_bytes;
        if to.len() > end {
            let is_inside = |at: &usize| to.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
            let cut = (start..=end).rev().find(|at| !is_inside(at));
            to.truncate(cut.unwrap_or(start));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Collation::{AsciiCasemap, Bytes, UnicodeCasemap};
    use super::*;

    /// RFC 4790 section 9.2.1, and section 9.3.1.
    #[test]
    fn equality_and_order() {
        use std::cmp::Ordering::{Equal, Greater, Less};
        for (collation, one, other, order) in [
            (Bytes, "", "", Equal),
            (Bytes, "", "a", Less),
            (Bytes, "a", "", Greater),
            (Bytes, "ab", "ab", Equal),
            (Bytes, "ab", "abc", Less),
            (Bytes, "B", "a", Less),
            (Bytes, "a", "A", Greater),
            (AsciiCasemap, "hello", "HELLO", Equal),
            (AsciiCasemap, "B", "a", Greater),
            (AsciiCasemap, "_", "a", Greater), // lower case is mapped to upper
            (AsciiCasemap, "é", "É", Greater),
            (UnicodeCasemap, "é", "É", Equal),
            (UnicodeCasemap, "é", "E\u{301}", Equal),
            (UnicodeCasemap, "Lloyd", "Lyon", Less),
            (UnicodeCasemap, "ß", "ss", Greater),
            // RFC 5255 section 4.6: string 4 of the example before string 2
            (UnicodeCasemap, "Алексей", "сЕРГЕЙ", Less),
        ] {
            let [a, b] = [one, other].map(|text| collation.prepare(text));
            assert_eq!(a.cmp(&b), order, "{} {one} {other}", collation.name());
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let text = "ab日é".repeat(3);
        for collation in Collation::ALL {
            let whole = collation.prepare(&text);
            for max_bytes in 0..=whole.len() {
                let mut cut = b"x".to_vec();
                collation.prepare_start(&text, max_bytes, &mut cut);
                let cut = &cut[1..];
                assert!(whole.starts_with(cut) && cut.len() <= max_bytes);
                assert!(cut.len() + 4 > max_bytes);
                assert!(str::from_utf8(cut).is_ok());
            }
        }
    }

    proptest! {
        #[test]
        fn prepared_texts_are_utf8(text in ".*") {
            for collation in Collation::ALL {
                let prepared = collation.prepare(&text);
                prop_assert!(str::from_utf8(&prepared).is_ok());
                prop_assert!(prepared.len() * 4 >= text.len());
            }
            prop_assert_eq!(AsciiCasemap.prepare(&text), text.to_ascii_uppercase().into_bytes());
            prop_assert_eq!(Bytes.prepare(&text), text.into_bytes());
        }
    }
}
