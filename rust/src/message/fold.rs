//! The normalisation under which texts are compared and searched.
//!
//! In the spirit of i;unicode-casemap (RFC 5051): upper and lower case, final sigma, ß and SS are
//! the same. Nothing is decomposed: a letter with its accent is another letter.
use std::borrow::Cow;

/// Fold a text for comparison: a needle before it is looked for, a key before it is stored.
///
/// Each character is mapped by itself, so a text may be folded in portions.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    fold_into(text, &mut folded);
    folded
}

/// Append the folded form of `text`.
pub(crate) fn fold_into(text: &str, to: &mut String) {
    let mut rest = text;
    while !rest.is_empty() {
        let ascii = rest.bytes().take_while(u8::is_ascii).count();
        let (plain, other) = rest.split_at_checked(ascii).unwrap_or((rest, ""));
        let from = to.len();
        to.push_str(plain);
        if let Some(appended) = to.get_mut(from..) {
            appended.make_ascii_lowercase();
        }
        let mut chars = other.chars();
        for char in chars.by_ref().take(1) {
            // Upper case joins what lower case keeps apart (σ ς, ß ss); ẞ only gets there by ß.
            let upper = char.to_lowercase().flat_map(char::to_uppercase);
            to.extend(upper.flat_map(char::to_lowercase));
        }
        rest = chars.as_str();
    }
}

/// Each run of white space becomes one space; none at the ends. For header texts, where
/// folding makes white space accidental.
#[must_use]
pub fn collapse(text: &str) -> Cow<'_, str> {
    let plain = text.trim_ascii() == text
        && !text
            .bytes()
            .any(|octet| matches!(octet, b'\t' | b'\r' | b'\n'))
        && memchr::memmem::find(text.as_bytes(), b"  ").is_none();
    if plain {
        return Cow::Borrowed(text);
    }
    let mut collapsed = String::with_capacity(text.len());
    for word in text.split_ascii_whitespace() {
        if !collapsed.is_empty() {
            collapsed.push(' ');
        }
        collapsed.push_str(word);
    }
    Cow::Owned(collapsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_does_not_matter() {
        for (one, other) in [
            ("Hello World", "HELLO wORLD"),
            ("ÄRGER im Büro", "ärger IM BÜRO"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
            ("Straße", "STRASSE"),
            ("ПРИВЕТ", "привет"),
            ("\u{212a}elvin", "kelvin"),
            ("", ""),
        ] {
            assert_eq!(fold(one), fold(other));
        }
        assert_ne!(fold("é"), fold("e"));
    }

    #[test]
    fn folding_is_done_in_any_portions_and_once_for_all() {
        let text = "Grüße, ΣΊΣΥΦΟΣ! İstanbul ŉ 日本語 \u{1e9e}";
        let whole = fold(text);
        for (at, _) in text.char_indices() {
            let mut parts = fold(&text[..at]);
            fold_into(&text[at..], &mut parts);
            assert_eq!(parts, whole);
        }
        assert_eq!(fold(&whole), whole);
    }

    #[test]
    fn white_space_runs_are_one_space() {
        assert_eq!(collapse(" a \t b\r\n c "), "a b c");
        assert_eq!(collapse("a b"), "a b");
        assert_eq!(collapse(" \t"), "");
        assert_eq!(collapse("a\u{a0}b"), "a\u{a0}b");
    }
}
