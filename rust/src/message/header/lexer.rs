//! Lenient lexer of header fields (RFC 5322 section 3.2, RFC 2045 section 5.1).

/// Position in an unfolded field value.
#[derive(Clone, Copy)]
pub(crate) struct Lexer<'a> {
    pub(crate) rest: &'a [u8],
    /// An unclosed comment was found: from there on, a parenthesis starts none. This keeps the cost
    /// linear, as does the next.
    has_unclosed_comment: bool,
    has_unclosed_string: bool,
}

pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// True for the characters that are both in `specials` (RFC 5322 section 3.2.3) and in `tspecials`
/// (RFC 2045 section 5.1).
pub(crate) fn is_special(byte: u8) -> bool {
    matches!(
        byte,
        b'(' | b')' | b'<' | b'>' | b'@' | b',' | b';' | b':' | b'\\' | b'"' | b'[' | b']'
    )
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(value: &'a [u8]) -> Self {
        Self {
            rest: value,
            has_unclosed_comment: false,
            has_unclosed_string: false,
        }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Consume the next byte if it is `byte`.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    pub(crate) fn advance(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    /// Consume and return the longest prefix of accepted bytes.
    pub(crate) fn take_while(&mut self, accepts: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| !accepts(*byte));
        let (taken, rest) = self
            .rest
            .split_at_checked(end.unwrap_or(self.rest.len()))
            .unwrap_or((self.rest, b""));
        self.rest = rest;
        taken
    }

    /// Consume and return `count` bytes, or all if there are fewer.
    pub(crate) fn take_bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .unwrap_or((self.rest, b""));
        self.rest = rest;
        taken
    }

    pub(crate) fn skip_blanks(&mut self) {
        self.take_while(is_blank);
    }

    /// ```abnf
    /// CFWS = (1*([FWS] comment) [FWS]) / FWS
    /// ```
    pub(crate) fn skip_cfws(&mut self) {
        self.skip_blanks();
        while self.comment().is_some() {
            self.skip_blanks();
        }
    }

    /// Consume a comment; return its text, with the parentheses of nested comments. None, and
    /// nothing is consumed, if there is no comment or if it is unclosed.
    pub(crate) fn comment(&mut self) -> Option<Vec<u8>> {
        if self.peek() != Some(b'(') || self.has_unclosed_comment {
            return None;
        }
        let start = self.rest;
        let mut text = Vec::new();
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            self.advance();
            match byte {
                b'(' => depth += 1,
                b')' => depth -= 1, // cannot underflow: the first byte is a parenthesis
                b'\\' => {
                    text.extend(self.peek());
                    self.advance();
                    continue;
                }
                _ => {}
            }
            if depth == 0 {
                return Some(text);
            }
            if byte != b'(' || depth > 1 {
                text.push(byte);
            }
        }
        self.rest = start;
        self.has_unclosed_comment = true;
        None
    }

    /// Consume a quoted string; return its content, unquoted. None, and nothing is consumed, if
    /// there is no quoted string or if it is unclosed.
    pub(crate) fn quoted_string(&mut self) -> Option<Vec<u8>> {
        if self.peek() != Some(b'"') || self.has_unclosed_string {
            return None;
        }
        let start = self.rest;
        self.advance();
        let mut text = Vec::new();
        loop {
            text.extend_from_slice(self.take_while(|byte| !matches!(byte, b'"' | b'\\')));
            match self.peek() {
                Some(b'\\') => {
                    self.advance();
                    text.extend(self.peek());
                    self.advance();
                }
                Some(_) => {
                    self.advance();
                    return Some(text);
                }
                None => {
                    self.rest = start;
                    self.has_unclosed_string = true;
                    return None;
                }
            }
        }
    }

    /// Consume up to a byte that is not inside of a comment or quoted string.
    pub(crate) fn skip_to(&mut self, stop: u8) {
        loop {
            let end = memchr::memchr3(stop, b'(', b'"', self.rest);
            self.rest = end.and_then(|end| self.rest.get(end..)).unwrap_or_default();
            match self.peek() {
                Some(b'(' | b'"') => {
                    if self.comment().is_none() && self.quoted_string().is_none() {
                        self.advance();
                    }
                }
                _ => return,
            }
        }
    }

    /// ```abnf
    /// token = 1*<any (US-ASCII) CHAR except SPACE, CTLs, or tspecials>
    /// ```
    /// Bytes above 127 are accepted, `=` and `/` are not.
    pub(crate) fn token(&mut self) -> &'a [u8] {
        self.take_while(|byte| {
            !is_special(byte) && !matches!(byte, 0..=b' ' | 0x7f | b'/' | b'?' | b'=')
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_nest() {
        for (value, text, rest) in [
            ("(a)b", Some("a"), "b"),
            ("(a (b) c)d", Some("a (b) c"), "d"),
            (r"(a \) b)", Some("a ) b"), ""),
            ("(a (b", None, "(a (b"),
            (r"(a\", None, r"(a\"),
            ("a", None, "a"),
            ("", None, ""),
        ] {
            let mut lexer = Lexer::new(value.as_bytes());
            assert_eq!(lexer.comment().as_deref(), text.map(str::as_bytes));
            assert_eq!(lexer.rest, rest.as_bytes());
        }
        let mut lexer = Lexer::new(b" \t(a) (b(c))\r\n x");
        lexer.skip_cfws();
        assert_eq!(lexer.rest, b"x");
        let deep = [b"(".repeat(60_000), b")".repeat(60_000)].concat();
        let text = Lexer::new(&deep).comment().unwrap();
        assert_eq!(text.len(), deep.len() - 2);
    }

    #[test]
    fn quoted_strings_are_unquoted() {
        for (value, text, rest) in [
            (r#""a b"c"#, Some("a b"), "c"),
            (r#""a\"\\b""#, Some(r#"a"\b"#), ""),
            (r#""open"#, None, r#""open"#),
            (r#""open\"#, None, r#""open\"#),
            ("a", None, "a"),
        ] {
            let mut lexer = Lexer::new(value.as_bytes());
            assert_eq!(lexer.quoted_string().as_deref(), text.map(str::as_bytes));
            assert_eq!(lexer.rest, rest.as_bytes());
        }
    }

    #[test]
    fn comments_and_strings_are_skipped() {
        for (value, rest) in [
            ("a;b", ";b"),
            ("a (;) \";\" x;b", ";b"),
            (r#"(\);) ("; x) "(;" ;b"#, ";b"),
            ("(a;b", ";b"),
            ("\"a;b", ";b"),
            ("(a \"b (c;d", ";d"),
            ("a", ""),
        ] {
            let mut lexer = Lexer::new(value.as_bytes());
            lexer.skip_to(b';');
            assert_eq!(lexer.rest, rest.as_bytes(), "{value}");
        }
    }

    #[test]
    fn many_unclosed_comments_and_strings_take_linear_time() {
        for byte in [&b"("[..], br#"\""#, b"(\"", b"\"\\\"("] {
            let hostile = byte.repeat(1 << 20);
            let mut lexer = Lexer::new(&hostile);
            lexer.skip_to(b';');
            assert!(lexer.rest.is_empty());
        }
    }
}
