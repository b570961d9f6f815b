//! Preparation of texts for i;unicode-casemap (RFC 5051 section 2): titlecase, then decompose.
//!
//! Each character is mapped by itself, so a text can be prepared in pieces.
use std::ops::Range;
use std::sync::LazyLock;

use unicode_normalization::char::decompose_compatible;

/// Bytes prepared in one step.
const PIECE_BYTES: usize = 512;
/// Bytes that a character of two bytes becomes at most, by the table.
const ROW_BYTES: usize = 8;
/// ASCII bytes that are mapped at once.
const CHUNK: usize = 32;
/// Room for a piece: two bytes become at most a row, and a row is written as a whole.
const ROOM_BYTES: usize = PIECE_BYTES / 2 * ROW_BYTES + ROW_BYTES;

/// Append the prepared form of valid UTF-8; return the rest from the first invalid or incomplete
/// character.
pub(super) fn casemap_utf8<'a>(bytes: &'a [u8], to: &mut Vec<u8>) -> &'a [u8] {
    to.reserve(bytes.len());
    let (mut rest, mut room) = (bytes, None);
    while !rest.is_empty() {
        let piece = rest.get(..PIECE_BYTES).unwrap_or(rest);
        if piece.is_ascii() {
            let from = to.len();
            to.extend_from_slice(piece);
            to.get_mut(from..)
                .unwrap_or_default()
                .make_ascii_uppercase();
            rest = rest.get(piece.len()..).unwrap_or_default();
            continue;
        }
        let room = room.get_or_insert([0; ROOM_BYTES]);
        let (read, written) = map_piece(piece, room);
        to.extend_from_slice(room.get(..written).unwrap_or_default());
        rest = rest.get(read..).unwrap_or_default();
        if read < piece.len() {
            // A character that has no row, is cut by the end of the piece, or is invalid.
            let next = rest.get(..4).unwrap_or(rest).utf8_chunks().next();
            let Some(char) = next.and_then(|chunk| chunk.valid().chars().next()) else {
                return rest;
            };
            push_slowly(to, char);
            rest = rest.get(char.len_utf8()..).unwrap_or_default();
        }
    }
    rest
}

/// Map characters that are ASCII, have a row, or map to themselves; return how many bytes were read
/// and written. Another character follows.
fn map_piece(piece: &[u8], to: &mut [u8]) -> (usize, usize) {
    let tables = &*TABLES;
    let (mut rest, mut written) = (piece, 0);
    loop {
        let read = piece.len() - rest.len();
        let (row, tail) = match rest {
            [0..0x80, ..] => {
                let Some((word, _)) = rest.split_first_chunk() else {
                    let (first, tail) = rest.split_first().unwrap_or((&0, b""));
                    let mut row = [0; ROW_BYTES];
                    row[0] = first.to_ascii_uppercase();
                    row[7] = 1;
                    write(to, &mut written, row);
                    rest = tail;
                    continue;
                };
                let word = u64::from_le_bytes(*word);
                let count = (word & HIGH_BITS).trailing_zeros() as usize / 8;
                if let Some(room) = to.get_mut(written..written + ROW_BYTES) {
                    room.copy_from_slice(&upper(word).to_le_bytes());
                }
                written += count;
                rest = rest.get(count..).unwrap_or_default();
                if count < ROW_BYTES {
                    continue;
                }
                // Probably more of them.
                while let Some((chunk, tail)) = rest.split_first_chunk::<CHUNK>()
                    && chunk.is_ascii()
                    && let Some(room) = to.get_mut(written..written + CHUNK)
                {
                    room.copy_from_slice(chunk);
                    room.make_ascii_uppercase();
                    written += CHUNK;
                    rest = tail;
                }
                continue;
            }
            [a @ 0xc2..0xe0, b @ 0x80..0xc0, tail @ ..] => {
                let row = usize::from(*a & 0x1f) << 6 | usize::from(*b & 0x3f);
                (tables.low.get(row), tail)
            }
            // U+2000 to U+203F
            [0xe2, 0x80, c @ 0x80..0xc0, tail @ ..] => {
                (tables.punctuation.get(usize::from(*c & 0x3f)), tail)
            }
            // U+3040 to U+30FF
            [0xe3, b @ 0x81..0x84, c @ 0x80..0xc0, tail @ ..] => {
                let row = usize::from(*b - 0x81) << 6 | usize::from(*c & 0x3f);
                (tables.kana.get(row), tail)
            }
            // Map to themselves: ideographs and Yi, U+3400 to U+A3FF.
            [a @ 0xe3, b @ 0x90..0xc0, c @ 0x80..0xc0, tail @ ..]
            | [a @ 0xe4..0xea, b @ 0x80..0xc0, c @ 0x80..0xc0, tail @ ..]
            | [a @ 0xea, b @ 0x80..0x90, c @ 0x80..0xc0, tail @ ..] => {
                write(to, &mut written, [*a, *b, *c, 0, 0, 0, 0, 3]);
                rest = tail;
                continue;
            }
            // Pictographs, U+1F300 to U+1FAFF.
            [
                a @ 0xf0,
                b @ 0x9f,
                c @ 0x8c..0xac,
                d @ 0x80..0xc0,
                tail @ ..,
            ] => {
                write(to, &mut written, [*a, *b, *c, *d, 0, 0, 0, 4]);
                rest = tail;
                continue;
            }
            _ => return (read, written), // also at the end
        };
        match row {
            Some(row @ [.., 1..ROW_END]) => write(to, &mut written, *row),
            _ => return (read, written),
        }
        rest = tail;
    }
}

/// Write a row, and count its bytes.
fn write(to: &mut [u8], written: &mut usize, row: [u8; ROW_BYTES]) {
    if let Some(room) = to.get_mut(*written..*written + ROW_BYTES) {
        room.copy_from_slice(&row);
    }
    *written += usize::from(row[7]);
}

const HIGH_BITS: u64 = u64::from_le_bytes([0x80; 8]);

/// Map the ASCII letters among eight bytes to upper case, up to the first that is not ASCII.
fn upper(word: u64) -> u64 {
    let low = word & !HIGH_BITS;
    // The high bit of a byte is set from `a` on, and after `z`.
    let from_a = low + u64::from_le_bytes([0x80 - b'a'; 8]);
    let after_z = low + u64::from_le_bytes([0x80 - b'z' - 1; 8]);
    let letters = from_a & !after_z & HIGH_BITS;
    word ^ letters >> 2
}

/// At most seven bytes of UTF-8, and their count, copied as one word; the count is `ROW_END` if
/// they are more.
type Row = [u8; ROW_BYTES];

const ROW_END: u8 = 8;

/// Return the row of a character; `all` is a buffer.
fn row(char: char, all: &mut Vec<u8>) -> Row {
    all.clear();
    push_slowly(all, char);
    let mut row = [0; ROW_BYTES];
    for (place, byte) in row.iter_mut().take(7).zip(&*all) {
        *place = *byte;
    }
    row[7] = u8::try_from(all.len()).map_or(ROW_END, |count| count.min(ROW_END));
    row
}

/// Mappings of the characters that most texts with a mapping consist of.
struct Tables {
    /// Latin, Greek, Cyrillic, Hebrew, Arabic.
    low: Vec<Row>,
    /// From U+2000.
    punctuation: Vec<Row>,
    /// Hiragana and Katakana.
    kana: Vec<Row>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let mut all = Vec::with_capacity(64);
    let mut rows = |chars: Range<u32>| {
        let chars = chars.filter_map(char::from_u32);
        chars.map(|char| row(char, &mut all)).collect()
    };
    Tables {
        low: rows(0..0x700),
        punctuation: rows(0x2000..0x2040),
        kana: rows(0x3040..0x3100),
    }
});

/// Do step 2 of RFC 5051 section 2.
fn push_slowly(to: &mut Vec<u8>, char: char) {
    decompose_compatible(titlecase(char), |char| {
        to.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
    });
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
    use proptest::prelude::*;

    use super::*;

    fn casemap(text: &str) -> String {
        let mut prepared = Vec::new();
        assert!(casemap_utf8(text.as_bytes(), &mut prepared).is_empty());
        String::from_utf8(prepared).unwrap()
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
            ("ẞ", "ẞ"),
            ("ﬁ", "fi"),
            ("σς", "ΣΣ"),
            ("ᾳ", "Α\u{345}"),
            ("ა", "ა"),
            ("\u{212a}", "K"),
            ("İ ı", "I\u{307} I"),
            ("한", "\u{1112}\u{1161}\u{11ab}"),
            ("①", "1"),
            ("ガ", "カ\u{3099}"),
            ("日本 x", "日本 X"),
            ("a…b", "A...B"),
            ("a\u{a0}b", "A B"),
            ("⁗", "′′′′"),
            ("x😀é", "X😀E\u{301}"),
        ] {
            assert_eq!(casemap(text), prepared, "{text}");
        }
    }

    #[test]
    fn fast_paths_agree_with_the_definition() {
        for char in '\0'..=char::MAX {
            let mut prepared = Vec::new();
            push_slowly(&mut prepared, char);
            assert_eq!(casemap(&char.to_string()).as_bytes(), prepared, "{char:?}");
            assert!(prepared.len() <= 64, "a character stays short");
            let among = casemap(&format!("a{char}é日{char}b"));
            let char = String::from_utf8(prepared).unwrap();
            assert_eq!(among, format!("A{char}E\u{301}日{char}B"));
        }
    }

    #[test]
    fn preparation_stops_at_invalid_utf8() {
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
            for before in ["", "A", "É", "日", "😀", "ŉ"] {
                let bytes = [before.as_bytes(), wrong].concat();
                let mut prepared = Vec::new();
                let rest = casemap_utf8(&bytes, &mut prepared);
                assert_eq!(prepared, casemap(before).as_bytes());
                assert_eq!(rest, wrong);
            }
        }
    }

    proptest! {
        #[test]
        fn texts_are_prepared_in_pieces(one in ".*", other in ".*") {
            let joined = casemap(&format!("{one}{other}"));
            prop_assert_eq!(casemap(&one) + &casemap(&other), joined);
        }

        /// A letter that decomposes has been titlecased before, so only what decomposition makes of
        /// it changes when it is prepared again: `Dž` of RFC 5051 section 2.
        #[test]
        fn preparation_is_idempotent_without_titlecase_letters(text in "[a-zÀ-ÞΑ-Ωа-я0-9 \u{300}-\u{30f}]*") {
            let once = casemap(&text);
            prop_assert_eq!(casemap(&once), once);
        }

        #[test]
        fn case_of_letters_with_a_simple_mapping_is_ignored(text in "[a-zà-öø-þа-яα-ρσ-ω]*") {
            prop_assert_eq!(casemap(&text.to_uppercase()), casemap(&text));
        }
    }
}
