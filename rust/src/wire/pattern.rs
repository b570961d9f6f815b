//! LIST patterns (RFC 9051 section 6.3.9).

use super::names::INBOX;

/// One element of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    /// This character.
    Is(char),
    /// `%`: any number of characters that are not the delimiter.
    Level,
    /// `*`: any number of characters.
    Any,
}

/// One pattern over decoded names.
///
/// Runs as an automaton whose states are positions in the pattern. Each character of the name is
/// read once, without backtracking.
#[derive(Clone, Debug)]
pub struct Pattern {
    elements: Vec<Element>,
    characters: usize,
    delimiter: Option<char>,
}

impl Pattern {
    /// Parse a pattern. Without a delimiter, `%` is `*`.
    #[must_use]
    pub fn new(pattern: &str, delimiter: Option<char>) -> Self {
        let mut elements: Vec<Element> = Vec::with_capacity(pattern.len());
        let mut characters = 0;
        for character in pattern.chars() {
            let element = match character {
                '*' => Element::Any,
                '%' => Element::Level,
                _ => Element::Is(character),
            };
            // Adjacent wildcards are merged: none follows another in `elements`.
            match (elements.last_mut(), element) {
                (Some(Element::Any), Element::Any | Element::Level)
                | (Some(Element::Level), Element::Level) => {}
                (Some(before @ Element::Level), Element::Any) => *before = Element::Any,
                _ => elements.push(element),
            }
            characters += usize::from(matches!(element, Element::Is(_)));
        }
        Self {
            elements,
            characters,
            delimiter,
        }
    }

    /// Return True if the whole name matches. INBOX, alone or as the first component, in any case.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        if self.characters > name.len() {
            return false; // bounds the cost by the length of the name
        }
        let first = match self.delimiter {
            Some(delimiter) => name.split(delimiter).next().unwrap_or_default(),
            None => name,
        };
        let folded = if first.eq_ignore_ascii_case(INBOX) {
            INBOX.len()
        } else {
            0
        };
        let mut states = Vec::with_capacity(4);
        let mut next = Vec::with_capacity(4);
        self.enter(&mut states, 0);
        for (place, character) in name.chars().enumerate() {
            for state in states.drain(..) {
                match self.elements.get(state) {
                    Some(Element::Any) => self.enter(&mut next, state),
                    Some(Element::Level) if Some(character) != self.delimiter => {
                        self.enter(&mut next, state);
                    }
                    Some(Element::Is(wanted))
                        if *wanted == character
                            || (place < folded && wanted.eq_ignore_ascii_case(&character)) =>
                    {
                        self.enter(&mut next, state + 1);
                    }
                    _ => {}
                }
            }
            if next.is_empty() {
                return false;
            }
            std::mem::swap(&mut states, &mut next);
        }
        states.last() == Some(&self.elements.len())
    }

    /// Add a state, and the next one if it needs no character. States are added ascending.
    fn enter(&self, states: &mut Vec<usize>, state: usize) {
        let wildcard = matches!(
            self.elements.get(state),
            Some(Element::Any | Element::Level)
        );
        for state in state..=state + usize::from(wildcard) {
            if states.last().is_none_or(|last| *last < state) {
                states.push(state);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::new(pattern, Some('/')).matches(name)
    }

    #[test]
    fn star_crosses_the_delimiter_and_percent_does_not() {
        for (pattern, name, expected) in [
            ("*", "a/b", true),
            ("*", "", true),
            ("%", "a/b", false),
            ("%", "ab", true),
            ("%/%", "a/b", true),
            ("%/%", "a/b/c", false),
            ("a/%", "a/", true),
            ("a*c", "a/b/c", true),
            ("a%c", "a/c", false),
            ("*b%", "a/b/c", false),
            ("*b%", "a/b/bc", true),
            ("%*", "a/b", true),
            ("*%", "a/b", true),
            ("", "", true),
            ("", "a", false),
            ("ab", "a", false),
            ("a", "ab", false),
            ("é%", "éa", true),
            ("*/c", "a/b/c", true),
            ("%%", "a/b", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
        assert!(Pattern::new("%", None).matches("a/b"));
    }

    #[test]
    fn inbox_matches_in_any_case_and_nothing_else_does() {
        for (pattern, name, expected) in [
            ("inbox", "INBOX", true),
            ("Inbox/Sent", "INBOX/Sent", true),
            ("Inbox/sent", "INBOX/Sent", false),
            ("i%", "INBOX", true),
            ("archive", "Archive", false),
            ("inboxes", "INBOXes", false),
            ("old/inbox", "old/INBOX", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_of_many_wildcards_is_fast() {
        let pattern = "*a%".repeat(20_000);
        assert!(!matches(&pattern, &"a".repeat(500)));
        assert!(!matches(
            &"*a".repeat(250),
            &format!("{}b", "a".repeat(500))
        ));
    }

    /// Definition of the RFC, by trying all matches.
    fn tried(pattern: &[char], name: &[char]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some(('*', rest)) => (0..=name.len()).any(|skip| tried(rest, &name[skip..])),
            Some(('%', rest)) => (0..=name.len())
                .take_while(|skip| !name[..*skip].contains(&'/'))
                .any(|skip| tried(rest, &name[skip..])),
            Some((wanted, rest)) => name.first() == Some(wanted) && tried(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_trying_everything(pattern in "[ab/%*]{0,8}", name in "[ab/]{0,10}") {
            let (p, n): (Vec<_>, Vec<_>) = (pattern.chars().collect(), name.chars().collect());
            prop_assert_eq!(matches(&pattern, &name), tried(&p, &n));
        }
    }
}
