//! i;unicode-casemap (RFC 5051): the collation of SORT and THREAD (RFC 5256 section 7).
//!
//! Compare the bytes of two prepared texts. [`fold`](super::fold) is another mapping: it joins ß and
//! SS, keeps accents apart, and is stored.
use std::sync::LazyLock;

use unicode_normalization::char::decompose_compatible;

/// Prepare a text for comparison, up to the first character at which it has `max_bytes`.
///
/// ```
/// use imapvm_core::message::casemap;
///
/// assert_eq!(casemap("Café", 100), casemap("CAFE\u{301}", 100));
/// assert!(casemap("éa", 100) < casemap("Fa", 100));
/// ```
#[must_use]
pub fn casemap(text: &str, max_bytes: usize) -> String {
    let mut prepared = String::with_capacity(text.len().min(max_bytes));
    let mut rest = text;
    while prepared.len() < max_bytes {
        let plain = rest.bytes().take_while(u8::is_ascii).count();
        let plain = plain.min(max_bytes - prepared.len());
        let (ascii, other) = rest.split_at_checked(plain).unwrap_or((rest, ""));
        let from = prepared.len();
        prepared.push_str(ascii);
        if let Some(appended) = prepared.get_mut(from..) {
            appended.make_ascii_uppercase();
        }
        let mut chars = other.chars();
        let Some(char) = chars.next() else { break };
        if char.is_ascii() {
            break; // full
        }
        push(&mut prepared, char);
        rest = chars.as_str();
    }
    while prepared.len() > max_bytes {
        prepared.pop();
    }
    prepared
}

/// Characters below this have a row in the table: Latin, Greek, Cyrillic, Hebrew, Arabic.
const TABLE_CHARS: u32 = 0x800;

static TABLE: LazyLock<Vec<String>> = LazyLock::new(|| {
    let chars = (0..TABLE_CHARS).filter_map(char::from_u32);
    chars
        .map(|char| {
            let mut prepared = String::new();
            push_slowly(&mut prepared, char);
            prepared
        })
        .collect()
});

fn push(to: &mut String, char: char) {
    let row = usize::try_from(u32::from(char)).ok();
    match row.and_then(|row| TABLE.get(row)) {
        Some(prepared) => to.push_str(prepared),
        None => push_slowly(to, char),
    }
}

/// Do step 2 of RFC 5051 section 2: titlecase, then decompose.
fn push_slowly(to: &mut String, char: char) {
    decompose_compatible(titlecase(char), |char| to.push(char));
}

/// Return the simple titlecase mapping of `UnicodeData.txt`, which the standard library does not
/// have. It is the uppercase mapping, with these exceptions.
fn titlecase(char: char) -> char {
    match char {
        // Letters that are two letters in one.
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        // Georgian: titlecase is lowercase.
        '\u{10d0}'..='\u{10fa}' | '\u{10fd}'..='\u{10ff}' => char,
        // Greek with iota subscript: the full mapping has two letters, the simple one has one.
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => {
            char::from_u32(u32::from(char) + 8).unwrap_or(char)
        }
        '\u{1fb3}' => '\u{1fbc}',
        '\u{1fc3}' => '\u{1fcc}',
        '\u{1ff3}' => '\u{1ffc}',
        _ => {
            let mut upper = char.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(upper), None) => upper,
                _ => char, // ß and ligatures have no simple mapping
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> String {
        casemap(text, usize::MAX)
    }

    #[test]
    fn known_answers() {
        for (text, prepared) in [
            ("", ""),
            ("Hello_World", "HELLO_WORLD"),
            // RFC 5051 section 2
            ("\u{1c4}", "Dz\u{30c}"),
            ("é", "E\u{301}"),
            ("ß", "ß"),
            ("ﬁ", "fi"),
            ("σς", "ΣΣ"),
            ("ᾳ", "Α\u{345}"),
            ("ა", "ა"),
            ("\u{212a}", "K"),
            ("한", "\u{1112}\u{1161}\u{11ab}"),
            ("①", "1"),
            ("日本 x", "日本 X"),
        ] {
            assert_eq!(all(text), prepared, "{text}");
        }
    }

    /// RFC 5255 section 4.6: of the example, string 4 sorts before string 2.
    #[test]
    fn the_example_of_rfc_5255() {
        assert!(all("Алексей") < all("сЕРГЕЙ"));
    }

    #[test]
    fn the_table_agrees_with_the_definition() {
        for char in '\0'..=char::MAX {
            let mut prepared = String::new();
            push_slowly(&mut prepared, char);
            assert_eq!(all(&char.to_string()), prepared, "{char:?}");
            assert!(prepared.len() <= 64, "a character stays short");
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let text = "ab日é".repeat(3);
        let whole = all(&text);
        for max_bytes in 0..=whole.len() {
            let cut = casemap(&text, max_bytes);
            assert!(whole.starts_with(&cut) && cut.len() <= max_bytes);
            assert!(cut.len() + 4 > max_bytes);
        }
    }
}
