//! Address being read: its words, route, local part and host.

use super::Address;

/// Words of a phrase or local part read so far.
#[derive(Default)]
pub(super) struct Words {
    /// All words, with single spaces where there was white space.
    pub text: Vec<u8>,
    /// The last words joined by dots, without white space.
    run: Vec<u8>,
    /// Start of `run` in `text`.
    run_start: usize,
    /// The next word joins `run`: a dot was read.
    joins: bool,
}

impl Words {
    pub fn push(&mut self, word: &[u8], spaced: bool) {
        if !self.joins {
            self.run.clear();
            self.run_start = self.text.len();
        }
        self.dot_or_word(word, spaced);
        self.joins = false;
    }

    pub fn push_dot(&mut self, spaced: bool) {
        self.dot_or_word(b".", spaced);
        self.joins = true;
    }

    fn dot_or_word(&mut self, word: &[u8], spaced: bool) {
        if spaced && !self.text.is_empty() {
            self.text.push(b' ');
        }
        self.text.extend_from_slice(word);
        self.run.extend_from_slice(word);
    }

    /// True if dots join all words.
    pub fn is_one_run(&self) -> bool {
        self.run_start == 0
    }

    /// Return all words as one local part.
    pub fn local(self) -> Vec<u8> {
        if self.is_one_run() {
            self.run
        } else {
            self.text
        }
    }

    /// Take the last run as a local part; keep the words before it as a phrase.
    pub fn split_local(&mut self) -> Vec<u8> {
        let local = std::mem::take(&mut self.run);
        self.text.truncate(self.run_start);
        self.joins = false;
        local
    }
}

/// Address being read.
#[derive(Default)]
pub(super) struct Draft {
    /// Words before an address in angle brackets.
    pub phrase: Words,
    /// Words since then, or all words if there is no such address.
    pub words: Words,
    pub comment: Option<Vec<u8>>,
    pub route: Option<Vec<u8>>,
    /// Local part and host.
    pub spec: Option<(Vec<u8>, Vec<u8>)>,
    /// True after an address in angle brackets.
    pub angle: bool,
}

impl Draft {
    /// Return the address; None if nothing was read.
    pub fn finish(self) -> Option<Address> {
        let Self {
            phrase: mut words,
            words: after,
            comment,
            route,
            spec,
            angle,
        } = self;
        if !angle {
            words = after;
        } else if !after.text.is_empty() {
            words.push(&after.text, true);
        }
        let comment = comment.filter(|text| !text.is_empty());
        let has_words = !words.text.is_empty();
        let (name, (local, host)) = match spec {
            Some(spec) => (has_words.then_some(words.text).or(comment), spec),
            None if !has_words => return None,
            // A single word is a local mailbox; several are a display name.
            None if words.is_one_run() => (comment, (words.local(), Vec::new())),
            None => (Some(words.text), Default::default()),
        };
        Some(Address::Mailbox {
            name,
            route,
            local,
            host,
        })
    }
}
