//! Case folding, the normalisation under which texts are compared and searched.
//!
//! Similar to i;unicode-casemap (RFC 5051): upper and lower case, final sigma, ß and SS are equal.
//! Nothing is decomposed: letters with and without an accent differ.
use std::borrow::Cow;
use std::sync::LazyLock;

/// Fold a text: a needle before a search, a key before it is stored.
///
/// Each character is mapped by itself, so a text can be folded in pieces.
///
/// ```
/// use imapvm_core::message::fold;
///
/// assert_eq!(fold("STRASSE"), fold("Straße"));
/// ```
#[must_use]
pub fn fold(text: &str) -> String {
    if text.len() > PIECE_BYTES {
        let mut folded = Vec::new();
        fold_utf8(text.as_bytes(), &mut folded);
        return String::from_utf8(folded).unwrap_or_default();
    }
    let mut folded = String::with_capacity(text.len());
    fold_into(text, &mut folded);
    folded
}

/// Target of folded text.
pub(crate) trait FoldSink {
    /// Append ASCII in lower case.
    fn put_lower(&mut self, ascii: &str);
    /// Append a few folded characters.
    fn put(&mut self, folded: ShortText);
}

/// At most seven bytes of UTF-8 and their count, copied as one word without a length-dependent
/// loop.
#[derive(Clone, Copy)]
pub(crate) struct ShortText([u8; 8]);

impl ShortText {
    fn of(chars: impl Iterator<Item = char>) -> Self {
        let (mut bytes, mut used) = ([0; 8], 0_u8);
        for char in chars {
            let text = &mut [0; 4];
            let text = char.encode_utf8(text).bytes();
            // No character folds to more than three characters of two bytes each.
            for (place, byte) in bytes.iter_mut().take(7).skip(used.into()).zip(text) {
                *place = byte;
                used += 1;
            }
        }
        let [.., length] = &mut bytes;
        *length = used;
        Self(bytes)
    }

    fn length(self) -> usize {
        let [.., length] = self.0;
        length.into()
    }
}

impl FoldSink for String {
    fn put_lower(&mut self, ascii: &str) {
        let from = self.len();
        self.push_str(ascii);
        if let Some(appended) = self.get_mut(from..) {
            appended.make_ascii_lowercase();
        }
    }

    fn put(&mut self, folded: ShortText) {
        let bytes = folded.0.get(..folded.length()).unwrap_or_default();
        self.push_str(str::from_utf8(bytes).unwrap_or_default());
    }
}

impl FoldSink for Vec<u8> {
    fn put_lower(&mut self, ascii: &str) {
        let from = self.len();
        self.extend_from_slice(ascii.as_bytes());
        if let Some(appended) = self.get_mut(from..) {
            appended.make_ascii_lowercase();
        }
    }

    fn put(&mut self, folded: ShortText) {
        let length = self.len() + folded.length();
        self.extend_from_slice(&folded.0);
        self.truncate(length);
    }
}

/// Append the folded form of `text`.
pub(crate) fn fold_into(text: &str, to: &mut impl FoldSink) {
    let mut rest = text;
    while !rest.is_empty() {
        let (plain, other) = rest
            .split_at_checked(ascii_at_start(rest.as_bytes()))
            .unwrap_or((rest, ""));
        to.put_lower(plain);
        rest = other;
        if rest.is_empty() {
            return; // most texts need no table
        }
        let table = TABLE.as_slice();
        let mut chars = other.chars();
        while let Some(char) = chars.next().filter(|char| !char.is_ascii()) {
            fold_char(table, char, to);
            rest = chars.as_str();
        }
    }
}

/// Count the ASCII bytes at the start.
fn ascii_at_start(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks();
    let mut at = 0;
    for word in words {
        let others = u64::from_le_bytes(*word) & u64::from_le_bytes([0x80; 8]);
        if others != 0 {
            return at + others.trailing_zeros() as usize / 8;
        }
        at += word.len();
    }
    at + tail.iter().take_while(|byte| byte.is_ascii()).count()
}

/// Bytes folded in place per step. A character whose length changes costs at most another copy of
/// this size.
const PIECE_BYTES: usize = 512;

/// Append the folded form of valid UTF-8; return the rest from the first invalid or incomplete
/// character.
pub(crate) fn fold_utf8<'a>(bytes: &'a [u8], to: &mut Vec<u8>) -> &'a [u8] {
    to.reserve(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        let piece = rest.get(..PIECE_BYTES).unwrap_or(rest);
        let from = to.len();
        to.extend_from_slice(piece);
        let appended = to.get_mut(from..).unwrap_or_default();
        appended.make_ascii_lowercase();
        let done = fold_in_place(appended);
        to.truncate(from + done);
        rest = rest.get(done..).unwrap_or_default();
        if done < piece.len() {
            let next = rest.get(..4).unwrap_or(rest).utf8_chunks().next();
            let Some(char) = next.and_then(|chunk| chunk.valid().chars().next()) else {
                return rest;
            };
            fold_char(&TABLE, char, to);
            rest = rest.get(char.len_utf8()..).unwrap_or_default();
        }
    }
    rest
}

/// Fold characters that keep their length, as nearly all do; ASCII is in lower case already. Return
/// the number of bytes done: a character of another kind, incomplete or invalid UTF-8 follows.
fn fold_in_place(bytes: &mut [u8]) -> usize {
    let all = bytes.len();
    if bytes.is_ascii() {
        return all; // most texts need no table
    }
    let table = TABLE.as_slice();
    let mut rest = bytes;
    loop {
        let done = all - rest.len();
        rest = match rest {
            [] => return all,
            [0..0x80, ..] => {
                let plain = ascii_at_start(rest);
                rest.get_mut(plain..).unwrap_or_default()
            }
            [a @ 0xc2..0xe0, b @ 0x80..0xc0, tail @ ..] => {
                let row = usize::from(*a & 0x1f) << 6 | usize::from(*b & 0x3f);
                let Some(ShortText([first, second, .., 2])) = table.get(row) else {
                    return done;
                };
                (*a, *b) = (*first, *second);
                tail
            }
            [a @ 0xe0..0xf0, b @ 0x80..0xc0, c @ 0x80..0xc0, tail @ ..] => {
                let [a, b, c] = [*a & 0x0f, *b & 0x3f, *c & 0x3f].map(u32::from);
                let char = char::from_u32(a << 12 | b << 6 | c);
                if !char.is_some_and(has_no_case) {
                    return done; // also for overlong forms
                }
                tail
            }
            [0xf0, 0x9f, 0x80..0xac, 0x80..0xc0, tail @ ..] => tail, // U+1F000 to U+1FAFF
            _ => return done,
        };
    }
}

/// Lower case of upper case: upper case joins what lower case keeps apart (σ ς, ß ss); ẞ reaches it
/// through ß.
fn folded(char: char) -> impl Iterator<Item = char> {
    let upper = char.to_lowercase().flat_map(char::to_uppercase);
    upper.flat_map(char::to_lowercase)
}

/// Characters below this are folded with a table: Latin, Greek, Cyrillic, Hebrew, Arabic.
const TABLE_CHARS: u32 = 0x800;

static TABLE: LazyLock<Vec<ShortText>> = LazyLock::new(|| {
    let chars = (0..TABLE_CHARS).filter_map(char::from_u32);
    chars.map(|char| ShortText::of(folded(char))).collect()
});

/// True for scripts without case and for symbols: Indic to Myanmar, punctuation, arrows to
/// mathematics, CJK to Yi, Hangul to the compatibility ideographs, pictographs.
fn has_no_case(char: char) -> bool {
    matches!(
        char,
        '\u{900}'..='\u{109f}'
            | '\u{2000}'..='\u{2125}'
            | '\u{2190}'..='\u{24b5}'
            | '\u{2500}'..='\u{2bff}'
            | '\u{2e80}'..='\u{a63f}'
            | '\u{ac00}'..='\u{faff}'
            | '\u{1f000}'..='\u{1faff}'
    )
}

fn fold_char(table: &[ShortText], char: char, to: &mut impl FoldSink) {
    let row = usize::try_from(u32::from(char)).ok();
    to.put(match row.and_then(|at| table.get(at)) {
        Some(row) => *row,
        None if has_no_case(char) => ShortText::of(std::iter::once(char)),
        None => return folded(char).for_each(|char| to.put(ShortText::of(std::iter::once(char)))),
    });
}

/// Replace each run of white space by one space, and trim the ends. For header texts, where folding
/// makes white space arbitrary.
#[must_use]
pub fn collapse(text: &str) -> Cow<'_, str> {
    let plain = text.trim_ascii() == text
        && !text
            .bytes()
            .any(|byte| matches!(byte, b'\t' | b'\r' | b'\n'))
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
    fn case_is_ignored() {
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
    fn fast_paths_agree_with_the_definition() {
        for char in '\0'..=char::MAX {
            let expected: String = folded(char).collect();
            assert_eq!(fold(&char.to_string()), expected, "{char:?}");
            let mut bytes = Vec::new();
            fold_into(char.encode_utf8(&mut [0; 4]), &mut bytes);
            assert_eq!(bytes, expected.as_bytes(), "{char:?}");
        }
        for ascii in 0..70 {
            let text = "A".repeat(ascii) + "Ä" + &"B".repeat(ascii) + "日C";
            let folded = "a".repeat(ascii) + "ä" + &"b".repeat(ascii) + "日c";
            assert_eq!(fold(&text), folded);
        }
    }

    fn folded_bytes(bytes: &[u8]) -> (Vec<u8>, &[u8]) {
        let mut folded = Vec::new();
        let rest = fold_utf8(bytes, &mut folded);
        (folded, rest)
    }

    #[test]
    fn bytes_are_folded_like_text() {
        for char in '\0'..=char::MAX {
            let text = format!("A{char}B");
            let (folded, rest) = folded_bytes(text.as_bytes());
            assert_eq!(folded, fold(&text).as_bytes(), "{char:?}");
            assert!(rest.is_empty());
        }
        let all = "Grüße, ΣΊΣΥΦΟΣ! İstanbul ŉ 日本語 \u{1e9e} 😀 ".repeat(40);
        for from in (0..PIECE_BYTES).filter(|from| all.is_char_boundary(*from)) {
            let text = &all[from..];
            assert_eq!(folded_bytes(text.as_bytes()).0, fold(text).as_bytes());
        }
    }

    #[test]
    fn folding_stops_at_invalid_utf8() {
        for wrong in [
            &b"\x80"[..],
            b"\xc1\x81", // overlong A
            b"\xc3",
            b"\xc3A",
            b"\xe0\x84\x80", // overlong Ā
            b"\xe6\x97",
            b"\xe6\x97A",
            b"\xed\xa0\x80", // a surrogate
            b"\xf0\x9f\x98",
            b"\xf0\x8f\xbf\xbf",
            b"\xf4\x90\x80\x80",
            b"\xff",
        ] {
            for before in ["", "É", "日", "😀", "ŉ"] {
                let bytes = [before.as_bytes(), wrong].concat();
                let (folded, rest) = folded_bytes(&bytes);
                assert_eq!(folded, fold(before).as_bytes());
                assert_eq!(rest, wrong);
            }
        }
    }

    #[test]
    fn folding_is_incremental_and_idempotent() {
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
    fn white_space_runs_become_one_space() {
        assert_eq!(collapse(" a \t b\r\n c "), "a b c");
        assert_eq!(collapse("a b"), "a b");
        assert_eq!(collapse(" \t"), "");
        assert_eq!(collapse("a\u{a0}b"), "a\u{a0}b");
    }
}
