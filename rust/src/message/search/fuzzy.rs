//! Inexact text for SEARCH FUZZY (RFC 6203): words in any order, diacritics ignored, one edit each.
//!
//! A word of the text matches a word of the needle if it starts with it, or with a word of edit
//! distance 1: one character added, left out, or another one. Texts are decomposed, combining marks
//! are left out, and letters are mapped to upper case, so that `é` equals `e` in both Unicode
//! normalization forms, and `ß` equals `ss`. That does not depend on the collation: a text may be
//! prepared by any, or by none.
use std::sync::Arc;

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

use crate::message::limits::{FUZZY_WORD_CHARS, FUZZY_WORDS};

/// Characters of a word that may differ in one of them: shorter words would match almost any.
const EDITED_CHARS: usize = 4;

/// Differences that FUZZY accepts; a message that matches with fewer is more relevant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tolerance {
    /// None, as without FUZZY.
    None,
    /// Order of words, and diacritics.
    Words,
    /// One edit of each word as well.
    #[default]
    Edits,
}

/// Word of a needle: for each character, a bit for each of its places, from bit 1.
#[derive(Debug)]
struct Word {
    ascii: [u64; 128],
    others: Vec<(char, u64)>,
    /// Bit of the last place.
    last: u64,
    may_differ: bool,
}

impl Word {
    fn new(chars: &[char], tolerance: Tolerance) -> Self {
        let mut word = Self {
            ascii: [0; 128],
            others: Vec::new(),
            last: 1 << chars.len(),
            may_differ: tolerance == Tolerance::Edits && chars.len() >= EDITED_CHARS,
        };
        for (place, char) in (1_u32..).zip(chars) {
            let bit = 1 << place;
            if let Some(places) = word.ascii.get_mut(*char as usize) {
                *places |= bit;
            } else if let Some((_, places)) = word.others.iter_mut().find(|(of, _)| of == char) {
                *places |= bit;
            } else {
                word.others.push((*char, bit));
            }
        }
        word
    }

    fn places(&self, char: char) -> u64 {
        if let Some(places) = self.ascii.get(char as usize) {
            return *places;
        }
        let mut others = self.others.iter();
        let found = others.find(|(of, _)| *of == char);
        found.map_or(0, |(_, places)| *places)
    }
}

/// Words to search for, in any number of messages.
#[derive(Debug)]
pub struct FuzzyNeedle {
    words: Vec<Word>,
}

impl FuzzyNeedle {
    /// Prepare a text. The first [`FUZZY_WORDS`] words count, and the first
    /// [`FUZZY_WORD_CHARS`] characters of each. None if there are no words.
    #[must_use]
    pub fn new(text: &str, tolerance: Tolerance) -> Option<Self> {
        let mut words: Vec<Vec<char>> = Vec::new();
        let mut is_open = false;
        for char in text.chars() {
            bare(char, |char| {
                if !char.is_alphanumeric() {
                    is_open = false;
                    return;
                }
                if !is_open {
                    words.push(Vec::new());
                    is_open = true;
                }
                if let Some(word) = words
                    .last_mut()
                    .filter(|word| word.len() < FUZZY_WORD_CHARS)
                {
                    word.push(char);
                }
            });
            if words.len() > FUZZY_WORDS {
                break;
            }
        }
        words.truncate(FUZZY_WORDS);
        let words: Vec<Word> = words
            .iter()
            .map(|word| Word::new(word, tolerance))
            .collect();
        (!words.is_empty()).then_some(Self { words })
    }

    /// Number of words; the cost of a comparison is proportional to it.
    #[must_use]
    pub fn words(&self) -> usize {
        self.words.len()
    }

    /// True if a text has all words.
    #[must_use]
    pub fn is_in(self: &Arc<Self>, text: &[u8]) -> bool {
        FuzzyMatcher::new(Arc::clone(self)).is_in(text)
    }
}

/// Return a bit for each word.
fn all_words(needle: &FuzzyNeedle) -> u32 {
    u32::MAX >> (32 - needle.words.len().clamp(1, 32))
}

/// Comparison of a text with a needle; the text is fed in pieces.
pub struct FuzzyMatcher {
    needle: Arc<FuzzyNeedle>,
    /// For each word, how many of its characters the current word of the text has matched: a bit for
    /// each possible number; without a difference, and with one.
    states: Vec<(u64, u64)>,
    /// Bit for each word that was not found yet.
    missing: u32,
    in_word: bool,
}

impl FuzzyMatcher {
    /// Start before the first character of a text.
    #[must_use]
    pub fn new(needle: Arc<FuzzyNeedle>) -> Self {
        Self {
            states: vec![(0, 0); needle.words.len()],
            missing: all_words(&needle),
            needle,
            in_word: false,
        }
    }

    /// True if a whole text has all words; the matcher starts again.
    #[must_use]
    pub fn is_in(&mut self, text: &[u8]) -> bool {
        self.missing = all_words(&self.needle);
        self.in_word = false;
        self.feed(text);
        self.found()
    }

    /// True if all words were found.
    #[must_use]
    pub fn found(&self) -> bool {
        self.missing == 0
    }

    /// Continue with more text. Bytes that are not UTF-8 separate words.
    pub fn feed(&mut self, text: &[u8]) {
        for chunk in text.utf8_chunks() {
            for char in chunk.valid().chars() {
                if self.found() {
                    return;
                }
                bare(char, |char| self.step(char));
            }
            if !chunk.invalid().is_empty() {
                self.end_word();
            }
        }
    }

    /// End the text: what follows is another one.
    pub fn end_word(&mut self) {
        self.in_word = false;
    }

    fn step(&mut self, char: char) {
        if !char.is_alphanumeric() {
            self.in_word = false;
            return;
        }
        if !self.in_word {
            self.in_word = true;
            self.states.fill((1, 0b11)); // with a difference, the first character may be left out
        }
        let words = self.needle.words.iter().zip(&mut self.states);
        for (at, (word, (exact, near))) in words.enumerate() {
            if *exact | *near == 0 {
                continue;
            }
            let places = word.places(char);
            let next = (*exact << 1) & places;
            *near = if word.may_differ {
                // The same character; or another one; one more in the text; one less.
                ((*near << 1) & places) | (*exact << 1) | *exact | (next << 1)
            } else {
                0
            };
            *exact = next;
            if (*exact | *near) & word.last != 0 {
                self.missing &= !(1 << (at & 31));
            }
        }
    }
}

/// Call `take` with the base characters of one in upper case, without combining marks.
#[inline]
fn bare(char: char, mut take: impl FnMut(char)) {
    if char.is_ascii() {
        take(char.to_ascii_uppercase());
    } else {
        decompose_compatible(char, |char| {
            if !is_combining_mark(char) {
                char.to_uppercase().for_each(&mut take);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::Collation;

    /// The same for texts that are prepared by any collation.
    fn is_found(needle: &str, text: &str, tolerance: Tolerance) -> bool {
        let needle = FuzzyNeedle::new(needle, tolerance).map(Arc::new);
        let found = Collation::ALL.map(|collation| {
            let text = collation.prepare(text);
            needle.as_ref().is_some_and(|needle| needle.is_in(&text))
        });
        assert!(found.iter().all(|one| *one == found[0]), "{text}");
        found[0]
    }

    #[test]
    fn words_match_with_one_edit() {
        for (needle, text, found) in [
            ("Helo", "say Hello", true), // RFC 6203 section 4
            ("Helo", "some help", true),
            ("Helo", "a shelf", false),
            ("Helo", "Hxxo", false),
            ("Helo", "elo", true),
            ("Helo", "helping", true), // the start of a word
            ("IMAP break", "IMAP breaks", true),
            ("IMAP break", "break of IMAP", true),
            ("IMAP break", "break", false),
            ("cat", "cut", false), // too short to differ
            ("cat", "category", true),
            ("cafe", "Café", true),
            ("café", "CAFE\u{301}s", true),
            ("naïve", "nai\u{308}ve", true),
            ("Müler", "Muller", true),
            ("straße", "STRASSE 7", true),
            ("strasse", "Straße", true),
            ("Привет", "привед", true),
            ("user@example.org", "<USER@example.org>", true),
            ("user@example.org", "example user", false),
        ] {
            assert_eq!(
                is_found(needle, text, Tolerance::Edits),
                found,
                "{needle} in {text}"
            );
        }
        assert!(is_found("break IMAP", "Imap breák", Tolerance::Words));
        assert!(!is_found("Helo", "Hello", Tolerance::Words));
        assert!(FuzzyNeedle::new(" ?! \u{301}", Tolerance::Edits).is_none());
    }

    #[test]
    fn words_and_their_characters_are_bounded() {
        let many = |count: usize| "wide ".repeat(count) + "last";
        let words = |text: &str| FuzzyNeedle::new(text, Tolerance::Edits).map(|one| one.words());
        assert_eq!(words(&many(FUZZY_WORDS - 1)), Some(FUZZY_WORDS));
        assert_eq!(words(&many(FUZZY_WORDS)), Some(FUZZY_WORDS));
        assert!(is_found(&many(FUZZY_WORDS), "wide", Tolerance::Edits));
        assert!(!is_found(&many(FUZZY_WORDS - 1), "wide", Tolerance::Edits));
        let long = "a".repeat(FUZZY_WORD_CHARS);
        assert!(is_found(
            &(long.clone() + "b"),
            &(long.clone() + "c"),
            Tolerance::Words
        ));
        assert!(!is_found(
            &(long.clone() + "b"),
            &long[2..],
            Tolerance::Edits
        ));
        assert!(is_found(
            &(long.clone() + "b"),
            &long[1..],
            Tolerance::Edits
        ));
    }

    /// Edit distance between a needle and the nearest start of a word.
    fn distance_to_start(needle: &[char], word: &[char]) -> usize {
        let mut row: Vec<usize> = (0..=needle.len()).collect();
        let mut least = row[needle.len()];
        for (place, char) in word.iter().enumerate() {
            let mut next = vec![place + 1];
            for (at, wanted) in needle.iter().enumerate() {
                let same = row[at] + usize::from(wanted != char);
                next.push(same.min(row[at + 1] + 1).min(next[at] + 1));
            }
            least = least.min(next[needle.len()]);
            row = next;
        }
        least
    }

    proptest! {
        #[test]
        fn matches_agree_with_edit_distances(
            needle in "[abé]{1,7}",
            text in proptest::collection::vec("[abé]{1,9}", 0..4),
            cut in 0..20_usize,
        ) {
            let plain = |text: &str| -> Vec<char> {
                text.chars().map(|char| if char == 'é' { 'e' } else { char }).collect()
            };
            let wanted = plain(&needle);
            let limit = usize::from(wanted.len() >= EDITED_CHARS);
            let expected = text.iter().any(|word| distance_to_start(&wanted, &plain(word)) <= limit);
            let joined = text.join("-");
            prop_assert_eq!(is_found(&needle, &joined, Tolerance::Edits), expected);
            // The same in two pieces.
            let cut = (0..=cut.min(joined.len())).rev().find(|at| joined.is_char_boundary(*at));
            let (one, other) = joined.split_at(cut.unwrap_or(0));
            let found = FuzzyNeedle::new(&needle, Tolerance::Edits).map(|needle| {
                let mut matcher = FuzzyMatcher::new(Arc::new(needle));
                matcher.feed(one.as_bytes());
                matcher.feed(other.as_bytes());
                matcher.found()
            });
            prop_assert_eq!(found, Some(expected));
        }
    }
}
