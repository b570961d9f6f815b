//! Responses of an IMAP server (RFC 9051 section 7).

/// Status of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of RFC 9051")]
pub enum Status {
    Ok,
    No,
    Bad,
    PreAuth,
    Bye,
}

/// Kind of a response.
#[derive(Debug, PartialEq, Eq)]
pub enum Response<'a> {
    /// `T7 OK ...`: completes command 7.
    Tagged(u32, Status, &'a [u8]),
    /// `+ ...`
    Continue,
    /// `* 23 EXISTS`
    Exists(u32),
    /// `* OK ...`, `* NO ...`, `* BAD ...`, `* PREAUTH ...`, `* BYE ...`
    Untagged(Status, &'a [u8]),
    /// Any other data response.
    Data,
    /// Not a response.
    Garbage(&'a [u8]),
}

/// Classify a line, given without its end.
#[must_use]
pub fn classify(line: &[u8]) -> Response<'_> {
    match line {
        [b'*', b' ', rest @ ..] => untagged(rest, line),
        [b'T', rest @ ..] => tagged(rest, line),
        [b'+'] | [b'+', b' ', ..] => Response::Continue,
        _ => Response::Garbage(line),
    }
}

/// Return whether literals may follow: only in data. The text of a status response may end in braces.
pub(crate) fn may_have_literals(line: &[u8]) -> bool {
    match line {
        [b'*', b' ', rest @ ..] => status(rest).is_none(),
        _ => false,
    }
}

fn tagged<'a>(rest: &'a [u8], line: &'a [u8]) -> Response<'a> {
    let (tag, rest) = number(rest);
    match (tag, rest) {
        (Some(tag), [b' ', rest @ ..]) => match status(rest) {
            Some(status @ (Status::Ok | Status::No | Status::Bad)) => {
                Response::Tagged(tag, status, rest)
            }
            _ => Response::Garbage(line),
        },
        _ => Response::Garbage(line),
    }
}

fn untagged<'a>(rest: &'a [u8], line: &'a [u8]) -> Response<'a> {
    if rest.first().is_some_and(u8::is_ascii_digit) {
        let (count, after) = number(rest);
        return match (count, after) {
            (Some(count), [b' ', word @ ..]) if word.eq_ignore_ascii_case(b"EXISTS") => {
                Response::Exists(count)
            }
            (Some(_), [b' ', ..]) => Response::Data,
            _ => Response::Garbage(line),
        };
    }
    match status(rest) {
        Some(status) => Response::Untagged(status, rest),
        None if rest.first().is_some_and(u8::is_ascii_alphabetic) => Response::Data,
        None => Response::Garbage(line),
    }
}

fn status(rest: &[u8]) -> Option<Status> {
    // The first byte rules out nearly all data without comparing words.
    let (word, status): (&[u8], _) = match rest.first()?.to_ascii_uppercase() {
        b'O' => (b"OK", Status::Ok),
        b'N' => (b"NO", Status::No),
        b'P' => (b"PREAUTH", Status::PreAuth),
        b'B' if rest.get(1)?.eq_ignore_ascii_case(&b'A') => (b"BAD", Status::Bad),
        b'B' => (b"BYE", Status::Bye),
        _ => return None,
    };
    let (start, after) = rest.split_at_checked(word.len())?;
    let ends = after.first().is_none_or(|&byte| byte == b' ');
    (ends && start.eq_ignore_ascii_case(word)).then_some(status)
}

fn number(bytes: &[u8]) -> (Option<u32>, &[u8]) {
    let length = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (digits, rest) = bytes.split_at_checked(length).unwrap_or_default();
    if digits.is_empty() {
        return (None, rest);
    }
    let value = digits.iter().try_fold(0_u32, |value, &byte| {
        value
            .checked_mul(10)?
            .checked_add(u32::from(byte.wrapping_sub(b'0')))
    });
    (value, rest)
}
