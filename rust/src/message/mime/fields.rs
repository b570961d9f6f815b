//! Lenient parsers of the MIME header fields (RFC 2045 section 5, RFC 2183, RFC 2231).
use super::continuations::{self, Parameter};
use crate::message::header::encoded_words::unescape;
use crate::message::header::lexer::{Lexer, is_blank};
use crate::message::limits::{BOUNDARY_BYTES, PARAMETERS};

/// Value of Content-Type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContentType {
    /// Lower case.
    pub media: String,
    /// Lower case.
    pub subtype: String,
    pub parameters: Vec<Parameter>,
}

fn lower(token: &[u8]) -> String {
    String::from_utf8_lossy(token).to_ascii_lowercase()
}

impl ContentType {
    pub(crate) fn new(media: &str, subtype: &str) -> Self {
        Self {
            media: media.into(),
            subtype: subtype.into(),
            parameters: Vec::new(),
        }
    }

    /// Return the default of RFC 2045 section 5.2.
    pub(crate) fn plain() -> Self {
        Self {
            parameters: vec![(b"CHARSET".into(), b"US-ASCII".into())],
            ..Self::new("text", "plain")
        }
    }

    /// Parse a value; None without type or subtype. `text` alone is text/plain. Quotes around the
    /// type are ignored.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let mut lexer = Lexer::new(value);
        lexer.skip_cfws();
        lexer.take(b'"');
        let media = lower(lexer.token());
        lexer.skip_cfws();
        let slash = lexer.take(b'/');
        lexer.skip_cfws();
        let mut subtype = if slash {
            lower(lexer.token())
        } else {
            String::new()
        };
        lexer.take(b'"');
        if media == "text" && subtype.is_empty() {
            subtype = "plain".into();
        }
        if media.is_empty() || subtype.is_empty() {
            return None;
        }
        Some(Self {
            media,
            subtype,
            parameters: parameters(&mut lexer),
        })
    }

    pub(crate) fn is(&self, media: &str, subtype: &str) -> bool {
        self.media == media && self.subtype == subtype
    }

    /// True for a message with a header and a body (RFC 2046 section 5.2.1, RFC 6532 section 3.7).
    pub(crate) fn is_message(&self) -> bool {
        self.is("message", "rfc822") || self.is("message", "global")
    }

    /// Return the type of bytes of unknown structure, with the parameters of this type: they have
    /// the name of a file.
    pub(crate) fn opaque(self) -> Self {
        Self {
            media: "application".into(),
            subtype: "octet-stream".into(),
            ..self
        }
    }

    /// Return the boundary; None if it is missing, empty or too long.
    pub(crate) fn boundary(&self) -> Option<Vec<u8>> {
        let boundary = parameter(&self.parameters, b"boundary")?;
        let boundary = boundary.trim_ascii_end();
        (1..=BOUNDARY_BYTES)
            .contains(&boundary.len())
            .then(|| boundary.to_vec())
    }

    /// Return the charset in lower case, without quotes; empty if not given.
    pub(crate) fn charset(&self) -> String {
        let charset = parameter(&self.parameters, b"charset").unwrap_or_default();
        let is_name = |byte: &u8| !is_blank(*byte) && !matches!(byte, b'"' | b'\'');
        let from = charset.iter().position(is_name).unwrap_or(0);
        let upto = charset.iter().rposition(is_name).map_or(0, |at| at + 1);
        lower(charset.get(from..upto).unwrap_or_default())
    }
}

/// ```abnf
/// *(";" parameter)        parameter = attribute "=" value
/// ```
/// A value that is not a token extends to the next `;`, and so does an unclosed quoted string.
/// Comments are skipped (RFC 2045 section 5.1).
fn parameters(lexer: &mut Lexer<'_>) -> Vec<Parameter> {
    let mut found = Vec::new();
    while found.len() < PARAMETERS {
        lexer.skip_to(b';');
        if !lexer.take(b';') {
            break;
        }
        lexer.skip_cfws();
        let name = lexer.token().to_vec();
        lexer.skip_cfws();
        if name.is_empty() || !lexer.take(b'=') {
            continue;
        }
        lexer.skip_cfws();
        let value = lexer.quoted_string().unwrap_or_else(|| {
            lexer.take(b'"');
            unquoted(lexer)
        });
        found.push((name, value));
    }
    continuations::join(found)
}

/// Read a value up to `;`, without white space and comments at its end. White space, and text in
/// parentheses, that something follows is part of the value: many programs do not quote
/// `report (1).pdf`.
fn unquoted(lexer: &mut Lexer<'_>) -> Vec<u8> {
    let mut value = Vec::new();
    loop {
        let is_text = |byte| !matches!(byte, b';' | b'(') && !is_blank(byte);
        value.extend_from_slice(lexer.take_while(is_text));
        let before = lexer.rest;
        lexer.skip_cfws();
        if matches!(lexer.peek(), None | Some(b';')) {
            return value;
        }
        if lexer.rest.len() == before.len() {
            lexer.advance(); // a parenthesis that starts no comment
        }
        let skipped = before.len() - lexer.rest.len();
        value.extend_from_slice(before.get(..skipped).unwrap_or_default());
    }
}

/// Return the value of a parameter: the first of that name, otherwise of that name with `*`,
/// decoded.
pub(crate) fn parameter(parameters: &[Parameter], name: &[u8]) -> Option<Vec<u8>> {
    let find = |suffix: &[u8]| {
        parameters.iter().find(|(is, _)| {
            is.split_at_checked(name.len())
                .is_some_and(|(head, tail)| head.eq_ignore_ascii_case(name) && tail == suffix)
        })
    };
    if let Some((_, value)) = find(b"") {
        return Some(value.clone());
    }
    find(b"*").map(|(_, value)| unescape(after_language(value), b'%'))
}

/// Return the text after `charset'language'`.
fn after_language(value: &[u8]) -> &[u8] {
    value
        .splitn(3, |byte| *byte == b'\'')
        .nth(2)
        .unwrap_or(value)
}

/// Parse Content-Disposition: type and parameters. None without a type.
pub(crate) fn disposition(value: &[u8]) -> Option<(Vec<u8>, Vec<Parameter>)> {
    let mut lexer = Lexer::new(value);
    lexer.skip_cfws();
    lexer.take(b'"');
    let kind = lexer.token().to_vec();
    lexer.take(b'"');
    (!kind.is_empty()).then(|| (kind, parameters(&mut lexer)))
}

/// Parse Content-Transfer-Encoding: its name in upper case, and its number as in
/// [`Part::encoding`](crate::message::Part). Quotes around the name are ignored.
pub(crate) fn transfer_encoding(value: &[u8]) -> (Vec<u8>, i8) {
    let mut lexer = Lexer::new(value);
    lexer.skip_cfws();
    if lexer.take(b'"') {
        lexer.skip_blanks();
    }
    let token = lexer.token().to_ascii_uppercase();
    let number = match token.as_slice() {
        b"" | b"7BIT" | b"8BIT" | b"BINARY" => 0,
        b"BASE64" => 1,
        b"QUOTED-PRINTABLE" => 2,
        _ => -1,
    };
    (
        if token.is_empty() {
            b"7BIT".to_vec()
        } else {
            token
        },
        number,
    )
}

/// ```abnf
/// Language-List = Language-Tag [CFWS] *("," [CFWS] Language-Tag [CFWS])   ; RFC 3282
/// ```
pub(crate) fn languages(value: &[u8]) -> Vec<Vec<u8>> {
    let mut lexer = Lexer::new(value);
    let mut tags = Vec::new();
    while tags.len() < PARAMETERS && !lexer.rest.is_empty() {
        lexer.skip_cfws();
        let tag = lexer.token();
        if !tag.is_empty() {
            tags.push(tag.to_vec());
        }
        lexer.skip_to(b',');
        lexer.take(b',');
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    fn show(value: &str) -> String {
        let Some(parsed) = ContentType::parse(value.as_bytes()) else {
            return "none".into();
        };
        let mut shown = format!("{}/{}", parsed.media, parsed.subtype);
        for (name, value) in &parsed.parameters {
            let _ = write!(shown, ";{}={}", name.escape_ascii(), value.escape_ascii());
        }
        shown
    }

    #[test]
    fn content_types() {
        for (value, expected) in [
            // RFC 2045 section 5.1
            (
                "text/plain; charset=us-ascii (Plain text)",
                "text/plain;charset=us-ascii",
            ),
            (
                "text/plain; charset=\"us-ascii\"",
                "text/plain;charset=us-ascii",
            ),
            // RFC 2046 section 5.1.1
            (
                "multipart/mixed; boundary=gc0pJq0M:08jU534c0p",
                "multipart/mixed;boundary=gc0pJq0M:08jU534c0p",
            ),
            (
                "multipart/mixed; boundary=\"gc0pJq0M:08jU534c0p\"",
                "multipart/mixed;boundary=gc0pJq0M:08jU534c0p",
            ),
            // RFC 2231 sections 3 and 4
            (
                "message/external-body; access-type=URL; URL*0=\"ftp://\"; URL*1=\"cs.utk.edu/pub\"",
                "message/external-body;access-type=URL;URL=ftp://cs.utk.edu/pub",
            ),
            (
                "application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
                "application/x-stuff;title*=us-ascii\\'en-us\\'This%20is%20%2A%2A%2Afun%2A%2A%2A",
            ),
            ("TEXT/Html;Charset=UTF-8", "text/html;Charset=UTF-8"),
            (
                "(a) text (b) / (c) plain (d) ; (e) a (f) = (g) b (h) ; c=d",
                "text/plain;a=b;c=d",
            ),
            (
                "text/plain; name=my file.txt; x=y",
                "text/plain;name=my file.txt;x=y",
            ),
            ("text/plain; name=\"a;b\"; x=\"", "text/plain;name=a;b;x="),
            ("text/plain charset=utf-8; a=b", "text/plain;a=b"),
            ("text/plain;;; =x; a; b=; c=d;", "text/plain;b=;c=d"),
            // RFC 2045 section 5.1: comments may contain `;` and `=`
            (
                "multipart/mixed (made by x; boundary=bad); boundary=good",
                "multipart/mixed;boundary=good",
            ),
            (
                "a/b; x=y (c; z=bad); d=e (f; (g; h=i) \\); j=k)",
                "a/b;x=y;d=e",
            ),
            ("a/b (c; x=\"bad); x=good", "a/b;x=good"),
            ("a/b; x=\"y\" (c; z=bad) ; d=e", "a/b;x=y;d=e"),
            ("a/b \"; x=bad\" ; x=good", "a/b;x=good"),
            ("a/b; (c; d=bad) x (e;) = (f;) y(g;)(h); z=1", "a/b;x=y;z=1"),
            // Unclosed comments and strings end at `;`
            ("a/b (c; x=y", "a/b;x=y"),
            ("a/b; x=y (c; d=e", "a/b;x=y (c;d=e"),
            ("a/b; x=\"y; d=e", "a/b;x=y;d=e"),
            // Unquoted file names
            (
                "a/b; name=report (1).pdf; x=y",
                "a/b;name=report (1).pdf;x=y",
            ),
            ("a/b; name=photo(1).jpg", "a/b;name=photo(1).jpg"),
            (
                "a/b; name=a (b; c) d (e).f (comment)",
                "a/b;name=a (b; c) d (e).f",
            ),
            ("a/b; name=a :).txt", "a/b;name=a :).txt"),
            (
                "\"text/html\"; charset=\"utf-8\"",
                "text/html;charset=utf-8",
            ),
            ("text", "text/plain"),
            ("text; charset=utf-8", "text/plain;charset=utf-8"),
            ("", "none"),
            ("plain", "none"),
            ("image/", "none"),
            ("/plain", "none"),
            ("@@@", "none"),
        ] {
            assert_eq!(show(value), expected, "{value}");
        }
    }

    #[test]
    fn parameters_are_bounded() {
        for (count, kept) in [(PARAMETERS, PARAMETERS), (PARAMETERS + 1, PARAMETERS)] {
            let parsed = ContentType::parse(format!("a/b{}", ";x=y".repeat(count)).as_bytes());
            assert_eq!(parsed.unwrap().parameters.len(), kept);
        }
        // Cost is linear.
        for hostile in ["(a)", "(", "( ", "x(a) "] {
            let value = format!("a/b;x=y{}z", hostile.repeat(100_000));
            let parsed = ContentType::parse(value.as_bytes()).unwrap();
            assert_eq!(parsed.parameters[0].1.len(), 2 + hostile.len() * 100_000);
        }
        let many = "a, ".repeat(PARAMETERS + 1);
        assert_eq!(languages(many.as_bytes()).len(), PARAMETERS);
    }

    #[test]
    fn a_boundary_is_not_empty_and_not_too_long() {
        let boundary = |value: &str| {
            let value = format!("multipart/mixed; boundary=\"{value}\"");
            ContentType::parse(value.as_bytes()).unwrap().boundary()
        };
        assert_eq!(boundary("a b "), Some(b"a b".to_vec()));
        assert_eq!(boundary(" "), None);
        assert_eq!(
            boundary(&"x".repeat(BOUNDARY_BYTES)).map(|found| found.len()),
            Some(BOUNDARY_BYTES)
        );
        assert_eq!(boundary(&"x".repeat(BOUNDARY_BYTES + 1)), None);
    }

    #[test]
    fn parameters_of_rfc_2231_are_joined() {
        for (value, joined) in [
            ("a/b; x*0=one; x*1=\"two\"", Some("onetwo")),
            ("a/b; x*1=two; x*0=one", Some("onetwo")),
            ("a/b; x*=utf-8'en'a%20b%2", Some("a b%2")),
            (
                "a/b; X*0*=us-ascii'en'a%20; x*1*=b%20; x*2=c%20",
                Some("a b c%20"),
            ),
            ("a/b; x=plain; x*=utf-8''other", Some("plain")),
            ("a/b; x*1=two", None),
            ("a/b; xx=two", None),
        ] {
            let parsed = ContentType::parse(value.as_bytes()).unwrap();
            let found = parameter(&parsed.parameters, b"x");
            assert_eq!(found.as_deref(), joined.map(str::as_bytes), "{value}");
        }
    }

    #[test]
    fn other_fields() {
        let (kind, parameters) = disposition(b"attachment; filename=genome.jpeg;\n modification-date=\"Wed, 12 Feb 1997 16:29:51 -0500\"").unwrap();
        assert_eq!(kind, b"attachment");
        assert_eq!(
            parameters[0],
            (b"filename".to_vec(), b"genome.jpeg".to_vec())
        );
        assert_eq!(parameters[1].1, b"Wed, 12 Feb 1997 16:29:51 -0500");
        assert_eq!(disposition(b" ; filename=x"), None);
        for (value, name, number) in [
            ("base64", "BASE64", 1),
            (" Quoted-Printable (really)", "QUOTED-PRINTABLE", 2),
            ("8bit;", "8BIT", 0),
            ("", "7BIT", 0),
            ("x-uuencode", "X-UUENCODE", -1),
            ("\"base64\"", "BASE64", 1),
            ("\" base64", "BASE64", 1),
            ("(a; b) base64", "BASE64", 1),
        ] {
            assert_eq!(
                transfer_encoding(value.as_bytes()),
                (name.as_bytes().to_vec(), number)
            );
        }
        assert_eq!(languages(b"en, fr (French),, de"), [b"en", b"fr", b"de"]);
        assert_eq!(languages(b"en (a, b), de"), [b"en", b"de"]);
        assert_eq!(languages(b" "), Vec::<Vec<u8>>::new());
        let (kind, parameters) =
            disposition(b"\"attachment\" (a; filename=bad); filename=my file (2).txt").unwrap();
        assert_eq!(kind, b"attachment");
        assert_eq!(
            parameters,
            [(b"filename".to_vec(), b"my file (2).txt".to_vec())]
        );
        for (charset, found) in [("utf-8", "utf-8"), ("\"'UTF-8' \"", "utf-8"), ("''", "")] {
            let content = ContentType::parse(format!("text/plain; charset={charset}").as_bytes());
            assert_eq!(content.unwrap().charset(), found);
        }
    }
}
