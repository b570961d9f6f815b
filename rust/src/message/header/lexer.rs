//! Lenient lexer of header fields (RFC 5322 section 3.2, RFC 2045 section 5.1).

/// Position in an unfolded field value.
#[derive(Clone, Copy)]
pub(crate) struct Lexer<'a> {
    pub(crate) rest: &'a [u8],
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
        Self { rest: value }
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

    pub(crate) fn skip_blanks(&mut self) {
        self.take_while(is_blank);
    }

    /// ```abnf
    /// CFWS = (1*([FWS] comment) [FWS]) / FWS
    /// ```
    pub(crate) fn skip_cfws(&mut self) {
        self.skip_blanks();
        while self.peek() == Some(b'(') {
            self.comment();
            self.skip_blanks();
        }
    }

    /// Consume a comment; return its text, with the parentheses of nested comments. An unclosed
    /// comment extends to the end.
    pub(crate) fn comment(&mut self) -> Vec<u8> {
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
                break;
            }
            if byte != b'(' || depth > 1 {
                text.push(byte);
            }
        }
        text
    }

    /// Consume a quoted string; return its content, unquoted. An unclosed string extends to the
    /// end.
    pub(crate) fn quoted_string(&mut self) -> Vec<u8> {
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
                    return text;
                }
                None => return text,
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
    fn comments_nest_and_may_be_unclosed() {
        for (value, text, rest) in [
            ("(a)b", "a", "b"),
            ("(a (b) c)d", "a (b) c", "d"),
            (r"(a \) b)", "a ) b", ""),
            ("(a (b", "a (b", ""),
            (r"(a\", "a", ""),
        ] {
            let mut lexer = Lexer::new(value.as_bytes());
            assert_eq!(lexer.comment(), text.as_bytes());
            assert_eq!(lexer.rest, rest.as_bytes());
        }
        let mut lexer = Lexer::new(b" \t(a) (b(c))\r\n x");
        lexer.skip_cfws();
        assert_eq!(lexer.rest, b"x");
        let deep = b"(".repeat(60_000);
        assert_eq!(Lexer::new(&deep).comment().len(), deep.len() - 1);
    }

    #[test]
    fn quoted_strings_are_unquoted() {
        for (value, text, rest) in [
            (r#""a b"c"#, "a b", "c"),
            (r#""a\"\\b""#, r#"a"\b"#, ""),
            (r#""open"#, "open", ""),
            (r#""open\"#, "open", ""),
        ] {
            let mut lexer = Lexer::new(value.as_bytes());
            assert_eq!(lexer.quoted_string(), text.as_bytes());
            assert_eq!(lexer.rest, rest.as_bytes());
        }
    }
}
