//! Parser of an address list.

use super::Address;
use super::draft::{Draft, Words};
use crate::message::header::encoded_words::encoded_word;
use crate::message::header::lexer::{Lexer, is_blank, is_special};

/// Return at most `limit` addresses, group markers included; stop after `enough`.
pub(super) fn parse(value: &[u8], limit: usize, enough: usize) -> Vec<Address> {
    let parser = Parser {
        lexer: Lexer::new(value),
        found: Vec::new(),
        limit,
        enough,
        in_group: false,
        draft: Draft::default(),
        was_spaced: false,
        quotes_from: value.len(),
    };
    parser.parse()
}

fn is_atom(byte: u8) -> bool {
    !is_blank(byte) && !is_special(byte) && byte != b'.'
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    found: Vec<Address>,
    /// Maximum number of addresses, group markers included.
    limit: usize,
    /// Number of addresses after which the rest is not read.
    enough: usize,
    in_group: bool,
    draft: Draft,
    /// White space precedes a quote that was ignored.
    was_spaced: bool,
    /// Remaining bytes from which on a quote starts a quoted string again.
    quotes_from: usize,
}

impl Parser<'_> {
    fn end_address(&mut self) {
        if let Some(address) = std::mem::take(&mut self.draft).finish()
            && self.has_room()
        {
            self.found.push(address);
        }
    }

    /// True if one more address fits, with the end of its group.
    fn has_room(&self) -> bool {
        self.found.len() < self.enough && self.found.len() + usize::from(self.in_group) < self.limit
    }

    fn start_group(&mut self) {
        self.end_group();
        let name = std::mem::take(&mut self.draft).words.text;
        if self.found.len() + 2 > self.limit {
            self.enough = 0;
            return;
        }
        self.found.push(Address::Group(name));
        self.in_group = true;
    }

    fn end_group(&mut self) {
        if std::mem::take(&mut self.in_group) {
            self.found.push(Address::EndOfGroup);
        }
    }

    /// ```abnf
    /// domain = dot-atom / domain-literal / obs-domain
    /// ```
    fn domain(&mut self) -> Vec<u8> {
        let mut domain = Vec::new();
        let mut after_dot = true;
        loop {
            self.blanks_and_comments();
            match self.lexer.peek() {
                Some(b'.') => {
                    self.lexer.advance();
                    domain.push(b'.');
                    after_dot = true;
                }
                Some(b'[') if after_dot => {
                    domain.extend_from_slice(self.lexer.take_while(|byte| byte != b']'));
                    if self.lexer.take(b']') {
                        domain.push(b']');
                    }
                    after_dot = false;
                }
                Some(byte) if after_dot && is_atom(byte) => {
                    domain.extend_from_slice(self.lexer.take_while(is_atom));
                    after_dot = false;
                }
                _ => return domain,
            }
        }
    }

    /// Skip CFWS; return whether there was any. The last comment is kept for the name.
    fn blanks_and_comments(&mut self) -> bool {
        let before = self.lexer.rest.len();
        self.lexer.skip_blanks();
        while self.lexer.peek() == Some(b'(') {
            match self.lexer.comment() {
                Some(text) => self.draft.comment = Some(text),
                None => self.lexer.advance(), // unclosed: what follows may be the address
            }
            self.lexer.skip_blanks();
        }
        std::mem::take(&mut self.was_spaced) || self.lexer.rest.len() < before
    }

    /// Consume a quoted string; None, and nothing is consumed, if it is unclosed.
    ///
    /// In `"Ada <a@x>, "Bob" <b@y>` the first quote is unclosed: an address precedes the second one,
    /// and an atom follows it directly. All quotes before the second one are ignored, so that none
    /// is tried again with the same end.
    fn quoted_string(&mut self) -> Option<Vec<u8>> {
        let start = self.lexer.rest;
        if start.len() > self.quotes_from {
            return None;
        }
        let text = self.lexer.quoted_string()?;
        if self.lexer.peek().is_some_and(is_atom) && text.contains(&b'@') {
            self.quotes_from = self.lexer.rest.len() + 1;
            self.lexer.rest = start;
            return None;
        }
        Some(text)
    }

    /// Add a word or dot to `words`; return whether there was one.
    fn word(&mut self, words: &mut Words, spaced: bool) -> bool {
        match self.lexer.peek() {
            Some(b'"') => {
                if let Some(text) = self.quoted_string() {
                    words.push(&text, spaced);
                } else {
                    self.lexer.advance(); // unclosed: what follows may be the address
                    self.was_spaced = spaced;
                }
            }
            Some(b'.') => {
                self.lexer.advance();
                words.push_dot(spaced);
            }
            Some(byte) if is_atom(byte) => {
                let encoded = (byte == b'=')
                    .then(|| encoded_word(self.lexer.rest))
                    .flatten();
                let word = match encoded {
                    Some(length) => self.lexer.take_bytes(length),
                    None => self.lexer.take_while(is_atom),
                };
                words.push(word, spaced);
            }
            _ => return false,
        }
        true
    }

    /// ```abnf
    /// angle-addr = [CFWS] "<" [obs-route] addr-spec ">" [CFWS]
    /// obs-route  = obs-domain-list ":"
    /// ```
    /// The `<` is already consumed. Lenient: more than one `<`, and a scheme before the address,
    /// such as `mailto:`, which is left out.
    fn angle(&mut self) {
        self.blanks_and_comments();
        while self.lexer.take(b'<') {
            self.blanks_and_comments();
        }
        if self.lexer.peek() == Some(b'@') {
            let mut route = Vec::new();
            loop {
                self.blanks_and_comments();
                match self.lexer.peek() {
                    Some(byte @ (b'@' | b',')) => {
                        self.lexer.advance();
                        route.push(byte);
                    }
                    Some(byte) if is_atom(byte) || matches!(byte, b'.' | b'[') => {
                        let mut domain = self.domain();
                        route.append(&mut domain);
                    }
                    _ => break,
                }
            }
            self.lexer.take(b':');
            self.draft.route = Some(route);
        }
        let mut local = Words::default();
        loop {
            let spaced = self.blanks_and_comments();
            if self.word(&mut local, spaced) {
                continue;
            }
            if !self.lexer.take(b':') {
                break;
            }
            local = Words::default();
        }
        let mut local = local.local();
        let mut host = Vec::new();
        while self.lexer.take(b'@') {
            if !host.is_empty() {
                local.push(b'@');
                local.append(&mut host);
            }
            host = self.domain();
        }
        self.lexer.take(b'>');
        self.draft.spec = Some((local, host));
        self.draft.angle = true;
        self.draft.phrase = std::mem::take(&mut self.draft.words);
    }

    /// End an address in angle brackets that another one follows without a comma. The words between
    /// them belong to the second.
    fn end_angle(&mut self) {
        let words = std::mem::take(&mut self.draft.words);
        self.end_address();
        self.draft.words = words;
    }

    fn parse(mut self) -> Vec<Address> {
        while self.has_room() {
            let spaced = self.blanks_and_comments();
            let mut words = std::mem::take(&mut self.draft.words);
            let is_word = self.word(&mut words, spaced);
            self.draft.words = words;
            if is_word {
                continue;
            }
            let Some(special) = self.lexer.peek() else {
                break;
            };
            self.lexer.advance();
            match special {
                b',' => self.end_address(),
                b';' => {
                    self.end_address();
                    self.end_group();
                }
                // Lenient: the scheme of a URL is no group.
                b':' if self.draft.words.text.eq_ignore_ascii_case(b"mailto") => {
                    self.draft.words = Words::default();
                }
                b':' if self.draft.spec.is_none() => self.start_group(),
                b'@' => {
                    if self.draft.angle {
                        self.end_angle();
                    }
                    self.at();
                }
                b'<' => {
                    if self.draft.angle {
                        self.end_angle();
                    }
                    // An unquoted address was meant as the display name.
                    if let Some((mut local, host)) = self.draft.spec.take() {
                        local.push(b'@');
                        local.extend_from_slice(&host);
                        let after = std::mem::take(&mut self.draft.words).text;
                        self.draft.words.push(&local, false);
                        if !after.is_empty() {
                            self.draft.words.push(&after, true);
                        }
                    }
                    self.angle();
                }
                _ => {} // ignored
            }
        }
        self.end_address();
        self.end_group();
        self.found
    }

    /// Read the rest of an address without angle brackets, after its `@`.
    fn at(&mut self) {
        let mut local = self.draft.words.split_local();
        if let Some((mut before, host)) = self.draft.spec.take() {
            before.push(b'@');
            before.extend_from_slice(&host);
            before.append(&mut local);
            local = before;
        }
        let host = self.domain();
        self.draft.spec = Some((local, host));
    }
}
