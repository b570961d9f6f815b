//! Strict reader of ENVELOPE and BODYSTRUCTURE, for tests: it refuses what some client would not
//! understand.

/// Value of IMAP's data formats (RFC 9051 section 4).
#[derive(Debug, PartialEq, Eq)]
pub enum Value {
    /// `NIL`
    Nil,
    /// Quoted or literal.
    String(Vec<u8>),
    /// Digits.
    Number(u64),
    /// Parenthesized list; each element with whether a space precedes it.
    List(Vec<(bool, Value)>),
}

impl Value {
    /// Read one value; None if `text` is anything else.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Value> {
        let mut open: Vec<(bool, Vec<(bool, Value)>)> = Vec::new();
        let mut rest = text;
        loop {
            let spaced = match rest.strip_prefix(b" ") {
                Some(after) if open.last().is_some_and(|(_, list)| !list.is_empty()) => {
                    rest = after;
                    true
                }
                _ => false,
            };
            let (spaced, value) = match rest {
                [b'(', after @ ..] => {
                    rest = after;
                    open.push((spaced, Vec::new()));
                    continue;
                }
                [b')', after @ ..] if !spaced => {
                    rest = after;
                    let (spaced, list) = open.pop()?;
                    (spaced, Value::List(list))
                }
                _ => (spaced, Self::read_simple(&mut rest)?),
            };
            match open.last_mut() {
                Some((_, list)) => list.push((spaced, value)),
                None => return rest.is_empty().then_some(value),
            }
        }
    }

    fn read_simple(rest: &mut &[u8]) -> Option<Value> {
        if let Some(after) = rest.strip_prefix(b"NIL") {
            *rest = after;
            return Some(Value::Nil);
        }
        if let Some(mut after) = rest.strip_prefix(b"\"") {
            let mut text = Vec::new();
            loop {
                let (first, tail) = after.split_first()?;
                after = tail;
                match first {
                    b'"' => break,
                    b'\\' => {
                        let (escaped, tail) = after.split_first()?;
                        text.push(*[b'"', b'\\'].iter().find(|special| *special == escaped)?);
                        after = tail;
                    }
                    // QUOTED-CHAR of RFC 3501: 7 bits, no NUL, CR or LF
                    0 | b'\r' | b'\n' | 0x80.. => return None,
                    other => text.push(*other),
                }
            }
            *rest = after;
            return Some(Value::String(text));
        }
        let is_literal = rest.strip_prefix(b"{");
        let after = is_literal.unwrap_or(rest);
        let end = after.iter().position(|byte| !byte.is_ascii_digit())?;
        let (digits, after) = after.split_at_checked(end)?;
        let number: u64 = str::from_utf8(digits).ok()?.parse().ok()?;
        if number > 0 && digits.starts_with(b"0") {
            return None;
        }
        *rest = after;
        if is_literal.is_none() {
            return Some(Value::Number(number));
        }
        let after = after.strip_prefix(b"}\r\n")?;
        let (text, after) = after.split_at_checked(usize::try_from(number).ok()?)?;
        *rest = after;
        (!text.contains(&0)).then(|| Value::String(text.to_vec()))
    }

    fn list(&self) -> Option<&[(bool, Value)]> {
        match self {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    fn is_string(&self) -> bool {
        matches!(self, Value::String(_))
    }

    fn is_nstring(&self) -> bool {
        self.is_string() || *self == Value::Nil
    }

    fn is_text(&self, text: &str) -> bool {
        matches!(self, Value::String(is) if is.eq_ignore_ascii_case(text.as_bytes()))
    }
}

/// Return the elements if exactly one space separates them.
fn spaced(list: &[(bool, Value)]) -> Option<Vec<&Value>> {
    let is_spaced = list
        .iter()
        .enumerate()
        .all(|(index, (spaced, _))| *spaced == (index > 0));
    is_spaced.then(|| list.iter().map(|(_, value)| value).collect())
}

/// True if no space separates the elements.
fn unspaced(list: &[(bool, Value)]) -> bool {
    list.iter().all(|(spaced, _)| !spaced)
}

fn is_address(value: &Value) -> bool {
    let fields = value.list().and_then(spaced);
    matches!(fields.as_deref(), Some([name, route, mailbox, host])
        if [name, route, mailbox, host].iter().all(|field| field.is_nstring())
        // NIL as host starts a group; NIL as mailbox ends it.
        && (!matches!(host, Value::Nil) || (**name == Value::Nil && **route == Value::Nil))
        && (!matches!(mailbox, Value::Nil) || **host == Value::Nil))
}

/// True if groups open and close in turn.
fn is_address_list(value: &Value) -> bool {
    let Value::List(list) = value else {
        return *value == Value::Nil;
    };
    let mut in_group = false;
    let mut is_right = !list.is_empty() && unspaced(list);
    for (_, address) in list {
        is_right &= is_address(address);
        match address.list() {
            Some([_, _, (_, Value::Nil), (_, Value::Nil)]) => {
                is_right &= std::mem::take(&mut in_group);
            }
            Some([_, _, _, (_, Value::Nil)]) => is_right &= !std::mem::replace(&mut in_group, true),
            _ => {}
        }
    }
    is_right && !in_group
}

/// True for `envelope` of RFC 9051 section 9.
#[must_use]
pub fn is_envelope(value: &Value) -> bool {
    let fields = value.list().and_then(spaced);
    matches!(fields.as_deref(), Some([date, subject, lists @ .., in_reply_to, message_id])
        if lists.len() == 6
        && [date, subject, in_reply_to, message_id].iter().all(|field| field.is_nstring())
        && lists.iter().all(|list| is_address_list(list)))
}

fn is_parameters(value: &Value) -> bool {
    let Value::List(list) = value else {
        return *value == Value::Nil;
    };
    !list.is_empty()
        && list.len().is_multiple_of(2)
        && spaced(list).is_some_and(|list| list.iter().all(|value| value.is_string()))
}

fn is_disposition(value: &Value) -> bool {
    let Value::List(list) = value else {
        return *value == Value::Nil;
    };
    matches!(spaced(list).as_deref(), Some([kind, list]) if kind.is_string() && is_parameters(list))
}

fn is_language(value: &Value) -> bool {
    let Value::List(list) = value else {
        return value.is_nstring();
    };
    !list.is_empty() && spaced(list).is_some_and(|list| list.iter().all(|value| value.is_string()))
}

/// True for extension data after an element of the given kind.
fn is_extension(first: impl Fn(&Value) -> bool, values: &[&Value], extended: bool) -> bool {
    match values {
        [] => !extended,
        [one, disposition, language, location] => {
            extended
                && first(one)
                && is_disposition(disposition)
                && is_language(language)
                && location.is_nstring()
        }
        _ => false,
    }
}

/// Part that BODY or BODYSTRUCTURE announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnouncedPart {
    /// Part specifier (RFC 9051 section 6.4.5.1).
    pub path: Vec<u32>,
    /// Bytes; None for a multipart.
    pub size: Option<u64>,
    /// Lines, of text and of embedded messages.
    pub lines: Option<u64>,
    /// True for an embedded message, which has HEADER and TEXT.
    pub is_message: bool,
}

/// Read `body` of RFC 9051 section 9; return the parts that it announces. None if the value is not
/// grammatical.
#[must_use]
pub fn announced_parts(value: &Value, extended: bool) -> Option<Vec<AnnouncedPart>> {
    let mut found = Vec::new();
    // Bodies, with their part specifiers; a body of a message continues that of the message.
    let mut left = vec![(value, Vec::new(), true)];
    while let Some((body, mut path, of_message)) = left.pop() {
        let list = body.list()?;
        let parts = list
            .iter()
            .take_while(|(spaced, value)| !spaced && value.list().is_some());
        let parts: Vec<&Value> = parts.map(|(_, value)| value).collect();
        if !parts.is_empty() {
            let after = list.get(parts.len()..)?;
            let is_spaced = after.iter().all(|(spaced, _)| *spaced);
            let after: Vec<&Value> = after.iter().map(|(_, value)| value).collect();
            let (subtype, extension) = after.split_first()?;
            if !is_spaced
                || !subtype.is_string()
                || !is_extension(is_parameters, extension, extended)
            {
                return None;
            }
            let numbered = (1..).zip(parts).map(|(number, part)| {
                let path = [path.as_slice(), &[number]].concat();
                (part, path, false)
            });
            let numbered: Vec<_> = numbered.collect();
            left.extend(numbered.into_iter().rev());
            if !of_message {
                found.push(AnnouncedPart {
                    path,
                    size: None,
                    lines: None,
                    is_message: false,
                });
            }
            continue;
        }
        let fields = spaced(list)?;
        let [
            media,
            subtype,
            parameters,
            id,
            description,
            encoding,
            Value::Number(size),
            after @ ..,
        ] = fields.as_slice()
        else {
            return None;
        };
        let is_right = media.is_string()
            && subtype.is_string()
            && is_parameters(parameters)
            && id.is_nstring()
            && description.is_nstring()
            && encoding.is_string();
        if of_message {
            path.push(1);
        }
        let is_message =
            media.is_text("message") && (subtype.is_text("rfc822") || subtype.is_text("global"));
        let (lines, extension) = match after {
            [envelope, inner, Value::Number(lines), extension @ ..] if is_message => {
                if !is_envelope(envelope) {
                    return None;
                }
                left.push((inner, path.clone(), true));
                (Some(*lines), extension)
            }
            [Value::Number(lines), extension @ ..] if media.is_text("text") => {
                (Some(*lines), extension)
            }
            _ if is_message || media.is_text("text") => return None,
            extension => (None, extension),
        };
        found.push(AnnouncedPart {
            path,
            size: Some(*size),
            lines,
            is_message,
        });
        if !is_right || !is_extension(Value::is_nstring, extension, extended) {
            return None;
        }
    }
    Some(found)
}
