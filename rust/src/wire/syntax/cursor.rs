//! Cursor over a framed command, and the tokens of all commands.
//!
//! The text is all lines and literals of one command as received, without its last line end; the
//! positions of literals are known. Outside literals it contains no LF.

use std::borrow::Cow;

use crate::wire::disabled::Dialect;
use crate::wire::limits::Limits;

/// A literal of a command; offsets count from the command's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Literal {
    /// Offset of its `{`, or of the `~` before it.
    pub head: usize,
    /// Its first byte.
    pub data: usize,
    /// After its last byte.
    pub end: usize,
    /// `~{n}`: may hold NUL (RFC 3516).
    pub binary: bool,
}

/// Syntax error, bound, or missing literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ParseError {
    /// Syntax that the grammar requires here.
    Expected(&'static str, usize),
    /// More than `usize` of these: well-formed, but over a bound.
    Over(&'static str, usize),
    /// A charset that cannot be used with a key of SEARCH.
    Charset,
    /// A mailbox name that is in no encoding, so that no mailbox can have it.
    BadName(&'static str),
    /// The next literal has not arrived; everything before it is valid.
    Pending,
}

pub(crate) type Parsed<T> = Result<T, ParseError>;

/// Reads tokens from left to right.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
    literals: &'a [Literal],
    used: usize,
    pending: bool,
    /// Bounds of lists and nesting.
    pub limits: &'a Limits,
    /// Mailbox names are UTF-8, not modified UTF-7.
    pub utf8: bool,
    /// Command whose keywords are read: without UID; SEARCH also for search keys in SORT, STATUS also
    /// for its items in LIST.
    pub command: &'static str,
    dialect: Dialect<'a>,
}

impl<'a> Cursor<'a> {
    /// Start at the first byte. With `pending`, the last literal's bytes are not there yet.
    pub fn new(
        text: &'a [u8],
        literals: &'a [Literal],
        pending: bool,
        limits: &'a Limits,
        dialect: Dialect<'a>,
    ) -> Self {
        Self {
            text,
            at: 0,
            literals,
            used: 0,
            pending,
            limits,
            utf8: dialect.utf8,
            command: "",
            dialect,
        }
    }

    /// True unless the command `name` is disabled.
    pub fn offers_command(&self, name: &str) -> bool {
        self.dialect
            .disabled
            .is_none_or(|disabled| !disabled.has_command(name))
    }

    /// True unless `word` is disabled in this command.
    #[inline]
    pub fn offers(&self, word: &[u8]) -> bool {
        self.dialect
            .disabled
            .is_none_or(|disabled| !disabled.has_word(self.command, word))
    }

    pub fn at(&self) -> usize {
        self.at
    }

    pub fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Return the remaining bytes.
    pub fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Skip bytes.
    pub fn skip(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes).min(self.text.len());
    }

    pub fn expected<T>(&self, what: &'static str) -> Parsed<T> {
        Err(ParseError::Expected(what, self.at))
    }

    /// Skip `byte` if it is next; return True then.
    pub fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub fn need(&mut self, byte: u8, what: &'static str) -> Parsed<()> {
        if self.take(byte) {
            Ok(())
        } else {
            self.expected(what)
        }
    }

    /// Skip a space (RFC 9051 section 9, note 2). Lenient: several of them.
    pub fn space(&mut self) -> Parsed<()> {
        if self.take_space() {
            Ok(())
        } else {
            self.expected("a space")
        }
    }

    /// As `space`, where there may be none; return True if there is one.
    pub fn take_space(&mut self) -> bool {
        !self.take_while(|byte| byte == b' ').is_empty()
    }

    /// Skip the start of a list. Lenient: spaces after it.
    pub fn open(&mut self) -> Parsed<()> {
        self.need(b'(', "\"(\"")?;
        if self.peek() == Some(b' ') {
            self.take_space();
        }
        Ok(())
    }

    /// Skip the end of a list. Lenient: spaces before it.
    pub fn close(&mut self) -> Parsed<()> {
        if self.take_close() {
            Ok(())
        } else {
            self.expected("\")\"")
        }
    }

    /// As `close`; return True if the list ends here, otherwise skip nothing.
    pub fn take_close(&mut self) -> bool {
        let start = self.at;
        self.take_space();
        let closes = self.take(b')');
        if !closes {
            self.at = start;
        }
        closes
    }

    /// True at the end, or before trailing spaces.
    pub fn at_end(&self) -> bool {
        self.rest().iter().all(|byte| *byte == b' ')
    }

    /// Require the end. Lenient: spaces before the line end, which several clients send.
    pub fn end(&mut self) -> Parsed<()> {
        if self.at_end() {
            Ok(())
        } else {
            self.expected("the end of the line")
        }
    }

    pub fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let len = rest
            .iter()
            .position(|byte| !wanted(*byte))
            .unwrap_or(rest.len());
        self.at += len;
        rest.get(..len).unwrap_or_default()
    }

    /// ```abnf
    /// atom = 1*ATOM-CHAR
    /// ```
    pub fn atom(&mut self, what: &'static str) -> Parsed<&'a [u8]> {
        let atom = self.take_while(is_atom_char);
        if atom.is_empty() {
            self.expected(what)
        } else {
            Ok(atom)
        }
    }

    /// Skip an atom if it is exactly `word`, in any case, and not disabled; return True then.
    pub fn take_word(&mut self, word: &[u8]) -> bool {
        let rest = self.rest();
        let found = rest
            .get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
            && !rest.get(word.len()).copied().is_some_and(is_atom_char)
            && self.offers(word);
        if found {
            self.at += word.len();
        }
        found
    }

    /// ```abnf
    /// number = 1*DIGIT          ; here up to 63 bits, as number64
    /// ```
    pub fn number64(&mut self, what: &'static str) -> Parsed<u64> {
        let at = self.at;
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        match decimal(digits) {
            Some(number) if i64::try_from(number).is_ok() => Ok(number),
            _ => Err(ParseError::Expected(what, at)),
        }
    }

    /// ```abnf
    /// nz-number = digit-nz *DIGIT          ; up to 32 bits
    /// ```
    pub fn nz_number(&mut self, what: &'static str) -> Parsed<u32> {
        let at = self.at;
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        match decimal(digits).and_then(|number| u32::try_from(number).ok()) {
            Some(number) if digits.first() != Some(&b'0') => Ok(number),
            _ => Err(ParseError::Expected(what, at)),
        }
    }

    /// ```abnf
    /// string = quoted / literal
    /// ```
    pub fn string(&mut self, what: &'static str) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal(what).map(Cow::Borrowed),
            _ => self.expected(what),
        }
    }

    /// ```abnf
    /// astring = 1*ASTRING-CHAR / string
    /// ```
    /// Lenient: bytes above 127 in an atom, as clients send mailbox names in UTF-8. The caller checks
    /// their meaning.
    pub fn astring(&mut self, what: &'static str) -> Parsed<Cow<'a, [u8]>> {
        let atom = self.take_while(|byte| is_astring_char(byte) || byte >= 0x80);
        if atom.is_empty() {
            self.string(what)
        } else {
            Ok(Cow::Borrowed(atom))
        }
    }

    /// ```abnf
    /// list-mailbox = 1*list-char / string
    /// ```
    pub fn list_mailbox(&mut self) -> Parsed<Cow<'a, [u8]>> {
        let atom = self.take_while(|byte| {
            is_astring_char(byte) || matches!(byte, b'%' | b'*') || byte >= 0x80
        });
        if atom.is_empty() {
            self.string("a mailbox pattern")
        } else {
            Ok(Cow::Borrowed(atom))
        }
    }

    /// ```abnf
    /// quoted = DQUOTE *QUOTED-CHAR DQUOTE
    /// ```
    /// Lenient: bytes above 127 in any charset; the caller checks them.
    pub fn quoted(&mut self) -> Parsed<Cow<'a, [u8]>> {
        self.need(b'"', "a quoted string")?;
        let inside = self.rest();
        let mut unescaped = Vec::new();
        let mut copied = 0; // `unescaped` has everything before it, if there was a backslash
        let mut at = 0;
        while let Some(byte) = inside.get(at) {
            match byte {
                b'"' => {
                    self.at += at + 1;
                    let tail = inside.get(copied..at).unwrap_or_default();
                    if copied == 0 {
                        return Ok(Cow::Borrowed(tail));
                    }
                    unescaped.extend_from_slice(tail);
                    return Ok(Cow::Owned(unescaped));
                }
                b'\\' => {
                    let Some(escaped @ (b'"' | b'\\')) = inside.get(at + 1) else {
                        self.at += at + 1;
                        return self.expected("\\\" or \\\\");
                    };
                    unescaped.extend_from_slice(inside.get(copied..at).unwrap_or_default());
                    unescaped.push(*escaped);
                    at += 2;
                    copied = at;
                }
                0 | b'\r' | b'\n' => break,
                _ => at += 1,
            }
        }
        self.at += at;
        self.expected("the closing quote")
    }

    /// ```abnf
    /// literal = "{" number64 ["+"] "}" CRLF *CHAR8
    /// ```
    fn literal(&mut self, what: &'static str) -> Parsed<&'a [u8]> {
        let start = self.clone();
        let data = self.literal8(what)?;
        if let Some(nul) = memchr::memchr(0, data) {
            let at = self.at - data.len() + nul;
            *self = start;
            return Err(ParseError::Expected("a string without NUL", at));
        }
        Ok(data)
    }

    /// ```abnf
    /// literal8 = "~{" number64 ["+"] "}" CRLF *OCTET
    /// ```
    /// A literal without `~` is accepted, too.
    fn literal8(&mut self, what: &'static str) -> Parsed<&'a [u8]> {
        let Some(literal) = self
            .literals
            .get(self.used)
            .filter(|lit| lit.head == self.at)
        else {
            return self.expected(what);
        };
        if self.pending && self.used + 1 == self.literals.len() {
            return Err(ParseError::Pending);
        }
        let data = self.text.get(literal.data..literal.end).unwrap_or_default();
        self.used += 1;
        self.at = literal.end;
        Ok(data)
    }

    /// Return the literal that is announced here and has not arrived.
    pub fn announced(&self) -> Option<Literal> {
        let last = self.used + 1 == self.literals.len();
        self.literals
            .get(self.used)
            .filter(|literal| self.pending && last && literal.head == self.at)
            .copied()
    }

    /// ```abnf
    /// nstring = string / nil
    /// ```
    /// Lenient: an atom, for clients that omit the quotes in ID.
    pub fn nstring(&mut self, what: &'static str) -> Parsed<Option<Cow<'a, [u8]>>> {
        if self.take_word(b"NIL") {
            return Ok(None);
        }
        self.astring(what).map(Some)
    }

    /// ```abnf
    /// value = nstring / literal8
    /// ```
    /// RFC 5464 section 5. An atom is not accepted: its quotes are missing.
    pub fn nstring8(&mut self, what: &'static str) -> Parsed<Option<Cow<'a, [u8]>>> {
        if self.take_word(b"NIL") {
            return Ok(None);
        }
        if self.peek() == Some(b'~') {
            return self.literal8(what).map(|data| Some(Cow::Borrowed(data)));
        }
        self.string(what).map(Some)
    }

    /// Fail if a list would grow past `Limits::items`.
    pub fn room(&self, len: usize, what: &'static str) -> Parsed<()> {
        if len < self.limits.items {
            Ok(())
        } else {
            Err(ParseError::Over(what, self.limits.items))
        }
    }
}

/// ```abnf
/// ATOM-CHAR     = <any CHAR except atom-specials>
/// atom-specials = "(" / ")" / "{" / SP / CTL / list-wildcards / quoted-specials / resp-specials
/// ```
pub(crate) fn is_atom_char(byte: u8) -> bool {
    is_astring_char(byte) && byte != b']'
}

/// ```abnf
/// ASTRING-CHAR = ATOM-CHAR / resp-specials
/// ```
pub(crate) fn is_astring_char(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\')
}

/// Parse digits; None for no digits, another byte, or more than 64 bits.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, digit| {
        let value = char::from(*digit).to_digit(10)?;
        sum.checked_mul(10)?.checked_add(u64::from(value))
    })
}
