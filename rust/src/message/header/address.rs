//! Lenient parser of address lists (RFC 5322 section 3.4, with the obsolete forms of section 4.4).
//!
//! Every input gives addresses: an error in the list never hides the rest of it.
use super::encoded_words::encoded_word;
use super::lexer::{Lexer, is_blank, is_special};

/// Address structure of ENVELOPE (RFC 9051 section 7.5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// One mailbox.
    Mailbox {
        /// Display name, otherwise a comment after the address. Encoded words are not decoded.
        name: Option<Vec<u8>>,
        /// obs-route: `@a,@b`.
        route: Option<Vec<u8>>,
        /// Unquoted; empty if missing.
        local: Vec<u8>,
        /// Empty if missing.
        host: Vec<u8>,
    },
    /// Start of a group, with its name.
    Group(Vec<u8>),
    /// End of a group; follows each `Group`.
    EndOfGroup,
}

/// Words of a phrase or local part read so far.
#[derive(Default)]
struct Words {
    /// All words, with single spaces where there was white space.
    text: Vec<u8>,
    /// The last words joined by dots, without white space.
    run: Vec<u8>,
    /// Start of `run` in `text`.
    run_start: usize,
    /// The next word joins `run`: a dot was read.
    joins: bool,
}

impl Words {
    fn push(&mut self, word: &[u8], spaced: bool) {
        if !self.joins {
            self.run.clear();
            self.run_start = self.text.len();
        }
        self.dot_or_word(word, spaced);
        self.joins = false;
    }

    fn push_dot(&mut self, spaced: bool) {
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

    fn is_one_run(&self) -> bool {
        self.run_start == 0
    }

    /// Return all words as one local part.
    fn local(self) -> Vec<u8> {
        if self.is_one_run() {
            self.run
        } else {
            self.text
        }
    }

    /// Take the last run as a local part; keep the words before it as a phrase.
    fn split_local(&mut self) -> Vec<u8> {
        let local = std::mem::take(&mut self.run);
        self.text.truncate(self.run_start);
        self.joins = false;
        local
    }
}

/// Address being read.
#[derive(Default)]
struct Draft {
    /// Words before an address in angle brackets.
    phrase: Words,
    /// Words since then, or all words if there is no such address.
    words: Words,
    comment: Option<Vec<u8>>,
    route: Option<Vec<u8>>,
    /// Local part and host.
    spec: Option<(Vec<u8>, Vec<u8>)>,
    angle: bool,
}

impl Draft {
    fn finish(self) -> Option<Address> {
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

/// Return the first addresses of an unfolded field value, with groups as markers, at most `limit`.
pub(crate) fn addresses(value: &[u8], limit: usize) -> Vec<Address> {
    parse(value, limit, limit)
}

/// Return the first of [`addresses`] without reading further.
pub(crate) fn first_address(value: &[u8]) -> Option<Address> {
    parse(value, 2, 1).into_iter().next() // a group has a start and an end
}

fn parse(value: &[u8], limit: usize, enough: usize) -> Vec<Address> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Format each address as `name|route|local|host`, and groups as `name{` and `}`.
    fn show(value: &str) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let or_nil = |bytes: &Option<Vec<u8>>| bytes.as_deref().map_or("NIL".into(), text);
        addresses(value.as_bytes(), usize::MAX)
            .iter()
            .map(|address| match address {
                Address::Mailbox {
                    name,
                    route,
                    local,
                    host,
                } => {
                    format!(
                        "{}|{}|{}|{}",
                        or_nil(name),
                        or_nil(route),
                        text(local),
                        text(host)
                    )
                }
                Address::Group(name) => format!("{}{{", text(name)),
                Address::EndOfGroup => "}".into(),
            })
            .collect()
    }

    #[test]
    fn examples_of_rfc_5322_appendix_a() {
        for (value, expected) in [
            (
                "John Doe <jdoe@machine.example>",
                &["John Doe|NIL|jdoe|machine.example"][..],
            ),
            (
                r#""Joe Q. Public" <john.q.public@example.com>"#,
                &["Joe Q. Public|NIL|john.q.public|example.com"],
            ),
            (
                "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
                &[
                    "Mary Smith|NIL|mary|x.test",
                    "NIL|NIL|jdoe|example.org",
                    "Who?|NIL|one|y.test",
                ],
            ),
            (
                r#"<boss@nil.test>, "Giant; \"Big\" Box" <sysservices@example.net>"#,
                &[
                    "NIL|NIL|boss|nil.test",
                    r#"Giant; "Big" Box|NIL|sysservices|example.net"#,
                ],
            ),
            (
                "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
                &[
                    "A Group{",
                    "Ed Jones|NIL|c|a.test",
                    "NIL|NIL|joe|where.test",
                    "John|NIL|jdoe|one.test",
                    "}",
                ],
            ),
            (
                "Undisclosed recipients:;",
                &["Undisclosed recipients{", "}"],
            ),
            (
                r"Pete(A nice \) chap) <pete(his account)@silly.test(his host)>",
                &["Pete|NIL|pete|silly.test"],
            ),
            (
                "A Group(Some people)\t :Chris Jones <c@(Chris's host.)public.example>,\t joe@example.org,\t John <jdoe@one.test> (my dear friend); (the end of the group)",
                &[
                    "A Group{",
                    "Chris Jones|NIL|c|public.example",
                    "NIL|NIL|joe|example.org",
                    "John|NIL|jdoe|one.test",
                    "}",
                ],
            ),
            (
                "(Empty list)(start)Hidden recipients  :(no one(that I know))  ;",
                &["Hidden recipients{", "}"],
            ),
            (
                "Joe Q. Public <john.q.public@example.com>",
                &["Joe Q. Public|NIL|john.q.public|example.com"],
            ),
            (
                "Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
                &[
                    "Mary Smith|@node.test|mary|example.net",
                    "NIL|NIL|jdoe|test.example",
                ],
            ),
            (
                "John Doe <jdoe@machine(comment).  example>",
                &["John Doe|NIL|jdoe|machine.example"],
            ),
        ] {
            assert_eq!(show(value), expected, "{value}");
        }
    }

    #[test]
    fn invalid_lists_give_addresses() {
        for (value, expected) in [
            ("", &[][..]),
            (" , ,;>)", &[]),
            ("root", &["NIL|NIL|root|"]),
            ("joe.doe", &["NIL|NIL|joe.doe|"]),
            ("Joe Doe", &["Joe Doe|NIL||"]),
            ("<>", &["NIL|NIL||"]),
            ("Joe <joe>", &["Joe|NIL|joe|"]),
            (
                "joe@example.org (Joe Doe)",
                &["Joe Doe|NIL|joe|example.org"],
            ),
            (
                "joe@example.org <joe@example.org>",
                &["joe@example.org|NIL|joe|example.org"],
            ),
            ("Joe Doe joe@example.org", &["Joe Doe|NIL|joe|example.org"]),
            (
                r#""joe doe" . "x"@example.org"#,
                &["NIL|NIL|joe doe.x|example.org"],
            ),
            (
                r#"<"joe doe"@example.org>"#,
                &["NIL|NIL|joe doe|example.org"],
            ),
            ("joe@[192.0.2.1]", &["NIL|NIL|joe|[192.0.2.1]"]),
            ("<joe@a@b>", &["NIL|NIL|joe@a|b"]),
            ("joe@a@b", &["NIL|NIL|joe@a|b"]),
            (
                "<joe@example.org, jane@example.org",
                &["NIL|NIL|joe|example.org", "NIL|NIL|jane|example.org"],
            ),
            ("<@a,@b:joe@c>", &["NIL|@a,@b|joe|c"]),
            (
                "a: joe@x, b: jane@y; c: d@z",
                &[
                    "a{",
                    "NIL|NIL|joe|x",
                    "}",
                    "b{",
                    "NIL|NIL|jane|y",
                    "}",
                    "c{",
                    "NIL|NIL|d|z",
                    "}",
                ],
            ),
            (": joe@x;", &["{", "NIL|NIL|joe|x", "}"]),
            ("\"Joe, joe@x", &["NIL|NIL|Joe|", "NIL|NIL|joe|x"]),
            ("\"Ada <ada@shop.example>", &["Ada|NIL|ada|shop.example"]),
            ("Ada \"Al <ada@x>", &["Ada Al|NIL|ada|x"]),
            ("<\"ada@x>, b@y", &["NIL|NIL|ada|x", "NIL|NIL|b|y"]),
            ("Joe (a <b@c>", &["Joe a|NIL|b|c"]),
            ("joe@x (Joe, b@y", &["Joe|NIL|joe|x", "NIL|NIL|b|y"]),
            (
                "=?utf-8?q?J=C3=B6?= <j@x>",
                &["=?utf-8?q?J=C3=B6?=|NIL|j|x"],
            ),
            ("Jörg <jörg@exämple.org>", &["Jörg|NIL|jörg|exämple.org"]),
            ("@x", &["NIL|NIL||x"]),
            ("joe@", &["NIL|NIL|joe|"]),
        ] {
            assert_eq!(show(value), expected, "{value}");
        }
    }

    #[test]
    fn common_errors_hide_no_address() {
        for (value, expected) in [
            // Encoded words are one atom, with any bytes inside
            (
                "=?utf-8?q?Doe,_J. <x@y>?= <j@x>, b@y",
                &["=?utf-8?q?Doe,_J. <x@y>?=|NIL|j|x", "NIL|NIL|b|y"][..],
            ),
            (
                "=?\"utf-8\"?q?a;(b?= =?utf-8?b?YQ==?= <j@x>",
                &["=?\"utf-8\"?q?a;(b?= =?utf-8?b?YQ==?=|NIL|j|x"],
            ),
            (
                "=?utf-8?q?Ada <a@x>, =?utf-8?q?Bob?= <b@y>",
                &["=?utf-8?q?Ada|NIL|a|x", "=?utf-8?q?Bob?=|NIL|b|y"],
            ),
            ("=?utf-8?q?Ada <a@x>", &["=?utf-8?q?Ada|NIL|a|x"]),
            ("=?utf-8?q?a@b?=@x", &["NIL|NIL|=?utf-8?q?a@b?=|x"]),
            // Unclosed quotes that a later quote closes
            (
                "\"Ada <a@x>, \"Bob\" <b@y>",
                &["Ada|NIL|a|x", "Bob|NIL|b|y"],
            ),
            (
                "Ada\" <a@x>, \"Bob, C.\" <b@y>",
                &["Ada|NIL|a|x", "Bob, C.|NIL|b|y"],
            ),
            (
                "\"Ada, a@x, \"Bob\" <b@y>, c@z",
                &["NIL|NIL|Ada|", "NIL|NIL|a|x", "Bob|NIL|b|y", "NIL|NIL|c|z"],
            ),
            ("<\"a@x>, \"Bob\" <b@y>", &["NIL|NIL|a|x", "Bob|NIL|b|y"]),
            ("\"a@x\" <a@x>", &["a@x|NIL|a|x"]),
            ("\"a@x\"<a@x>", &["a@x|NIL|a|x"]),
            ("\"Doe, A <a@x>\" <a@x>", &["Doe, A <a@x>|NIL|a|x"]),
            ("\"a@b\"@x", &["NIL|NIL|a@b|x"]),
            ("\"a b\"c <d@x>", &["a bc|NIL|d|x"]),
            // Several angle brackets, and schemes
            ("<<g@h.example>>", &["NIL|NIL|g|h.example"]),
            (
                "G < <g@h.example> >, b@y",
                &["G|NIL|g|h.example", "NIL|NIL|b|y"],
            ),
            ("<<<g@h", &["NIL|NIL|g|h"]),
            ("<<>>", &["NIL|NIL||"]),
            ("<mailto:g@h.example>", &["NIL|NIL|g|h.example"]),
            ("G <MAILTO: g@h.example>", &["G|NIL|g|h.example"]),
            ("<smtp:g.i@h>", &["NIL|NIL|g.i|h"]),
            (
                "mailto:g@h.example, b@y",
                &["NIL|NIL|g|h.example", "NIL|NIL|b|y"],
            ),
            ("G mailto: g@h;", &["G mailto{", "NIL|NIL|g|h", "}"]),
            // A missing comma
            ("Ada <a@x> Bob <b@y>", &["Ada|NIL|a|x", "Bob|NIL|b|y"]),
            ("<a@x><b@y>", &["NIL|NIL|a|x", "NIL|NIL|b|y"]),
            ("<a@x> b@y", &["NIL|NIL|a|x", "NIL|NIL|b|y"]),
            ("<a@x> Ada", &["Ada|NIL|a|x"]),
            ("A <a@x> B (c)", &["A B|NIL|a|x"]),
        ] {
            assert_eq!(show(value), expected, "{value}");
        }
    }

    #[test]
    fn hostile_lists_take_linear_time() {
        let escapes = format!("\"{}@\"a", "\\\"".repeat(32 * 1024));
        for (piece, count) in [
            (escapes.as_str(), 1),
            ("\"@\"a", 16 * 1024),
            ("=?", 32 * 1024),
            ("=?a?q?", 10 * 1024),
            ("<", 64 * 1024),
            ("(", 64 * 1024),
            ("\"", 64 * 1024),
            ("<a@", 20 * 1024),
            ("a@", 32 * 1024),
            ("<a:", 20 * 1024),
            ("<a>b", 16 * 1024),
        ] {
            // Quadratic time would be minutes.
            let list = addresses(piece.repeat(count).as_bytes(), usize::MAX);
            assert!(list.len() <= 2 * count);
        }
    }

    #[test]
    fn a_list_is_bounded_and_its_groups_are_closed() {
        const LIMIT: usize = 100;
        for count in [LIMIT - 2, LIMIT - 1, LIMIT, LIMIT + 1, 4 * LIMIT] {
            let list = addresses("a@b,".repeat(count).as_bytes(), LIMIT);
            assert_eq!(list.len(), count.min(LIMIT));
            for separator in [",", " <a@b> "] {
                let list = addresses(vec!["<a@b>"; count].join(separator).as_bytes(), LIMIT);
                assert_eq!(
                    list.len(),
                    LIMIT.min(if separator == "," {
                        count
                    } else {
                        2 * count - 1
                    })
                );
            }
            let group = addresses(format!("g:{}", "a@b,".repeat(count)).as_bytes(), LIMIT);
            assert_eq!(group.len(), (count + 2).min(LIMIT));
            assert_eq!(group.last(), Some(&Address::EndOfGroup));
            for before in 0..=3 {
                let value = "a@b,".repeat(before) + &"g:x@y;".repeat(count);
                let groups = addresses(value.as_bytes(), LIMIT);
                assert!((LIMIT - 2..=LIMIT).contains(&groups.len()));
                assert_eq!(groups.last(), Some(&Address::EndOfGroup));
                let opened = groups
                    .iter()
                    .filter(|address| matches!(address, Address::Group(_)));
                let closed = groups
                    .iter()
                    .filter(|address| matches!(address, Address::EndOfGroup));
                assert_eq!(opened.count(), closed.count());
            }
        }
        assert_eq!(addresses(b"a@b", 0), []);
        assert_eq!(addresses(b"g:a@b;", 1), []);
        assert_eq!(first_address(b"g:a@b;"), Some(Address::Group(b"g".into())));
    }
}
