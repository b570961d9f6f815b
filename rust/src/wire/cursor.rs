//! A place in a framed command, and the tokens every command is made of.
//!
//! The text is all lines and literals of one command as received, without its last line end;
//! where its literals lie is known already. Outside literals it holds no LF.

use std::borrow::Cow;

use super::limits::Limits;

/// A literal of a command; offsets count from the command's first octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Literal {
    /// Where its `{` is, or the `~` before it.
    pub head: usize,
    /// Its first octet.
    pub data: usize,
    /// Behind its last octet.
    pub end: usize,
    /// `~{n}`: may hold NUL (RFC 3516).
    pub binary: bool,
}

/// Why a command could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// What the grammar wants here.
    Expected(&'static str, usize),
    /// More than `usize` of these: well-formed so far, and over a bound.
    Over(&'static str, usize),
    /// The literal that comes next was announced and is not here yet; all before it is right.
    Pending,
}

pub(crate) type Parsed<T> = Result<T, Fault>;

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
}

impl<'a> Cursor<'a> {
    /// Start at the first octet. With `pending`, the last literal's octets are not there yet.
    pub fn new(
        text: &'a [u8],
        literals: &'a [Literal],
        pending: bool,
        limits: &'a Limits,
        utf8: bool,
    ) -> Self {
        Self {
            text,
            at: 0,
            literals,
            used: 0,
            pending,
            limits,
            utf8,
        }
    }

    pub fn at(&self) -> usize {
        self.at
    }

    pub fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// The octets from here on.
    pub fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Go on by some octets that `rest` has shown.
    pub fn skip(&mut self, octets: usize) {
        self.at = self.at.saturating_add(octets).min(self.text.len());
    }

    pub fn expected<T>(&self, what: &'static str) -> Parsed<T> {
        Err(Fault::Expected(what, self.at))
    }

    /// Go past `octet` if it is the next one.
    pub fn take(&mut self, octet: u8) -> bool {
        let found = self.peek() == Some(octet);
        self.at += usize::from(found);
        found
    }

    pub fn need(&mut self, octet: u8, what: &'static str) -> Parsed<()> {
        if self.take(octet) {
            Ok(())
        } else {
            self.expected(what)
        }
    }

    /// Exactly one space (RFC 9051 section 9, note 2).
    pub fn space(&mut self) -> Parsed<()> {
        self.need(b' ', "a space")
    }

    pub fn open(&mut self) -> Parsed<()> {
        self.need(b'(', "\"(\"")
    }

    pub fn close(&mut self) -> Parsed<()> {
        self.need(b')', "\")\"")
    }

    /// True at the end, or before spaces that stand at the end.
    pub fn at_end(&self) -> bool {
        self.rest().iter().all(|octet| *octet == b' ')
    }

    /// Nothing more. Lenient on purpose: spaces before the line end, which several clients send.
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
            .position(|octet| !wanted(*octet))
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

    /// Go past an atom if it is `word`, in any case, and nothing longer.
    pub fn take_word(&mut self, word: &[u8]) -> bool {
        let rest = self.rest();
        let found = rest
            .get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
            && !rest.get(word.len()).copied().is_some_and(is_atom_char);
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
        let digits = self.take_while(|octet| octet.is_ascii_digit());
        match decimal(digits) {
            Some(number) if i64::try_from(number).is_ok() => Ok(number),
            _ => Err(Fault::Expected(what, at)),
        }
    }

    /// ```abnf
    /// nz-number = digit-nz *DIGIT          ; up to 32 bits
    /// ```
    pub fn nz_number(&mut self, what: &'static str) -> Parsed<u32> {
        let at = self.at;
        let digits = self.take_while(|octet| octet.is_ascii_digit());
        match decimal(digits).and_then(|number| u32::try_from(number).ok()) {
            Some(number) if digits.first() != Some(&b'0') => Ok(number),
            _ => Err(Fault::Expected(what, at)),
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
    /// Lenient on purpose: octets above 127 in an atom. Clients send mailbox names in UTF-8 so;
    /// what the octets mean is checked by who reads them.
    pub fn astring(&mut self, what: &'static str) -> Parsed<Cow<'a, [u8]>> {
        let atom = self.take_while(|octet| is_astring_char(octet) || octet >= 0x80);
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
        let atom = self.take_while(|octet| {
            is_astring_char(octet) || matches!(octet, b'%' | b'*') || octet >= 0x80
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
    /// Lenient on purpose: octets above 127 whatever the charset, checked by who reads them.
    fn quoted(&mut self) -> Parsed<Cow<'a, [u8]>> {
        self.need(b'"', "a quoted string")?;
        let inside = self.rest();
        let mut unescaped = Vec::new();
        let mut copied = 0; // all before it is in `unescaped`, if there was any backslash
        let mut at = 0;
        while let Some(octet) = inside.get(at) {
            match octet {
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
        let Some(literal) = self
            .literals
            .get(self.used)
            .filter(|lit| lit.head == self.at)
        else {
            return self.expected(what);
        };
        if self.pending && self.used + 1 == self.literals.len() {
            return Err(Fault::Pending);
        }
        let data = self.text.get(literal.data..literal.end).unwrap_or_default();
        if let Some(nul) = memchr::memchr(0, data) {
            return Err(Fault::Expected("a string without NUL", literal.data + nul));
        }
        self.used += 1;
        self.at = literal.end;
        Ok(data)
    }

    /// The literal that is announced here and not there yet; None where there is another thing.
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
    /// Lenient on purpose: an atom, for clients that leave the quotes out of ID.
    pub fn nstring(&mut self, what: &'static str) -> Parsed<Option<Cow<'a, [u8]>>> {
        if self.take_word(b"NIL") {
            return Ok(None);
        }
        self.astring(what).map(Some)
    }

    /// Fail if a list would grow past `Limits::items`.
    pub fn room(&self, len: usize, what: &'static str) -> Parsed<()> {
        if len < self.limits.items {
            Ok(())
        } else {
            Err(Fault::Over(what, self.limits.items))
        }
    }
}

/// ```abnf
/// ATOM-CHAR     = <any CHAR except atom-specials>
/// atom-specials = "(" / ")" / "{" / SP / CTL / list-wildcards / quoted-specials / resp-specials
/// ```
pub(crate) fn is_atom_char(octet: u8) -> bool {
    is_astring_char(octet) && octet != b']'
}

/// ```abnf
/// ASTRING-CHAR = ATOM-CHAR / resp-specials
/// ```
pub(crate) fn is_astring_char(octet: u8) -> bool {
    octet.is_ascii_graphic() && !matches!(octet, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\')
}

/// A number of digits; None for no digits, another octet, or more than 64 bits.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, digit| {
        let value = char::from(*digit).to_digit(10)?;
        sum.checked_mul(10)?.checked_add(u64::from(value))
    })
}
