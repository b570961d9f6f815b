//! URLs of messages on this server (RFC 5092), for CATENATE (RFC 4469).

use super::fetch::section;
use crate::wire::ast::{MessageUrl, Partial, Section, SectionText};
use crate::wire::disabled::Dialect;
use crate::wire::limits::Limits;
use crate::wire::syntax::cursor::{Cursor, decimal};

/// ```abnf
/// iabsolute-path = "/" [ icommand ]
/// icommand       = imessagelist / imessagepart [iurlauth]
/// imessagepart   = imailbox-ref iuid [isection] [ipartial]
/// imailbox-ref   = enc-mailbox [uidvalidity]
/// irelative-path = … / ( iuid-only ["/" isection-only] ["/" ipartial-only] ) / …
/// ```
/// RFC 5092 section 11. Parse the URL of a message or of a part of one. None for another URL, also
/// for one with a server, which RFC 4469 section 3 excludes, and for one with URLAUTH.
///
/// Of relative paths, only those without a mailbox are accepted, as in section 9.1: `;UID=20`.
pub(super) fn message_url(url: &[u8], limits: &Limits) -> Option<MessageUrl> {
    let is_valid =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$'()*+,%&=:@/;".contains(byte);
    if !url.iter().all(is_valid) {
        return None;
    }
    let at = memchr::memchr(b';', url)?;
    let (path, mut rest) = url.split_at_checked(at)?;
    let mut mailbox = None;
    let mut uid_validity = None;
    if !path.is_empty() {
        let path = path.strip_prefix(b"/")?;
        if let Some(path) = path.strip_suffix(b"/") {
            mailbox = Some(mailbox_name(path)?);
        } else {
            uid_validity = Some(number(&mut rest, b";UIDVALIDITY=")?);
            rest = rest.strip_prefix(b"/")?;
            mailbox = Some(mailbox_name(path)?);
        }
    }
    let uid = number(&mut rest, b";UID=")?;
    let section = match parameter(&mut rest, b"/;SECTION=") {
        Some(spec) => section_of(&unescaped(spec)?, limits)?,
        None => Section {
            part: Vec::new(),
            text: SectionText::All,
        },
    };
    let partial = match parameter(&mut rest, b"/;PARTIAL=") {
        Some(range) => Some(partial_range(range)?),
        None => None,
    };
    rest.is_empty().then_some(MessageUrl {
        mailbox,
        uid_validity,
        uid,
        section,
        partial,
    })
}

/// Decode the path of a mailbox; dot segments are removed first (RFC 3986 section 5.2.4).
fn mailbox_name(path: &[u8]) -> Option<String> {
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in path.split(|byte| *byte == b'/') {
        match segment {
            b"." => {}
            b".." => {
                segments.pop();
            }
            b"" => return None, // a network path, or an empty level
            _ => segments.push(segment),
        }
    }
    let name = String::from_utf8(unescaped(&segments.join(&b'/'))?).ok()?;
    let is_valid = !name.is_empty() && !name.contains('\0');
    is_valid.then_some(name)
}

/// Skip `name` and its `nz-number`.
fn number(rest: &mut &[u8], name: &[u8]) -> Option<u32> {
    let after = without_prefix(rest, name)?;
    let digits = after
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(after.len());
    let (digits, after) = after.split_at_checked(digits)?;
    *rest = after;
    nz_number(digits).and_then(|number| u32::try_from(number).ok())
}

/// Skip `name`, if it is next, and its value, which ends before the next parameter.
fn parameter<'a>(rest: &mut &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let after = without_prefix(rest, name)?;
    let end = memchr::memmem::find(after, b"/;").unwrap_or(after.len());
    let (value, after) = after.split_at_checked(end)?;
    *rest = after;
    Some(value)
}

fn without_prefix<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// ```abnf
/// partial-range = number ["." nz-number]
/// ```
fn partial_range(range: &[u8]) -> Option<Partial> {
    let dot = memchr::memchr(b'.', range);
    let (start, count) = match dot {
        Some(at) => (range.get(..at)?, nz_number(range.get(at + 1..)?)?),
        None => (range, u64::MAX),
    };
    Some(Partial {
        start: decimal(start)?,
        count,
    })
}

fn nz_number(digits: &[u8]) -> Option<u64> {
    decimal(digits).filter(|_| digits.first() != Some(&b'0'))
}

/// Parse a section-spec.
fn section_of(spec: &[u8], limits: &Limits) -> Option<Section> {
    if memchr::memchr2(b'\r', b'\n', spec).is_some() {
        return None;
    }
    let bracketed = [b"[", spec, b"]"].concat();
    let mut input = Cursor::new(&bracketed, &[], false, limits, Dialect::default());
    let section = section(&mut input).ok()?;
    input.rest().is_empty().then_some(section)
}

/// Decode percent-encoded bytes; None if an escape is invalid.
fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(if *byte == b'%' {
            let mut digit = || char::from(*rest.next()?).to_digit(16);
            let value = digit()? * 16 + digit()?;
            u8::try_from(value).ok()?
        } else {
            *byte
        });
    }
    Some(bytes)
}
