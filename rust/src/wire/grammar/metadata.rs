//! GETMETADATA and SETMETADATA (RFC 5464), and the entries of LIST RETURN (METADATA) (RFC 9590).

use super::mailbox::mailbox;
use super::{one_of, parenthesised};
use crate::wire::command::{GetMetadata, Verb};
use crate::wire::syntax::cursor::{Cursor, ParseError, Parsed};

/// Values of DEPTH (RFC 5464 section 5, `scope-opt`).
const DEPTHS: [&str; 3] = ["0", "1", "infinity"];

/// ```abnf
/// getmetadata = "GETMETADATA" [SP getmetadata-options] SP mailbox SP entries
/// entries     = entry / "(" entry *(SP entry) ")"
/// ```
/// RFC 5464 section 5. An empty mailbox name is the server. Lenient: options after the mailbox, and
/// entries without parentheses, as in the examples of sections 4.2.1, 4.2.2 and 4.4.1.
pub(super) fn getmetadata(input: &mut Cursor<'_>) -> Parsed<Verb> {
    let mut command = GetMetadata {
        depth: DEPTHS[0],
        ..GetMetadata::default()
    };
    let options_first = input.peek() == Some(b'(');
    if options_first {
        options(input, &mut command)?;
        input.space()?;
    }
    command.mailbox = mailbox(input)?;
    input.space()?;
    if !options_first && starts_options(input) {
        options(input, &mut command)?;
        input.space()?;
    }
    if input.peek() == Some(b'(') {
        command.entries = entry_list(input)?;
    } else {
        loop {
            input.room(command.entries.len(), "entries")?;
            command.entries.push(entry(input)?);
            if input.at_end() {
                break;
            }
            input.space()?;
        }
    }
    Ok(Verb::GetMetadata(command))
}

/// True before a list of options, not of entries.
fn starts_options(input: &Cursor<'_>) -> bool {
    let mut ahead = input.clone();
    ahead.open().is_ok() && (ahead.take_word(b"MAXSIZE") || ahead.take_word(b"DEPTH"))
}

/// ```abnf
/// getmetadata-options = "(" getmetadata-option *(SP getmetadata-option) ")"
/// maxsize-opt         = "MAXSIZE" SP number
/// scope-opt           = "DEPTH" SP ("0" / "1" / "infinity")
/// ```
/// Each option may be given once.
fn options(input: &mut Cursor<'_>, command: &mut GetMetadata) -> Parsed<()> {
    let mut depth = None;
    parenthesised(input, |input| {
        if command.max_size.is_none() && input.take_word(b"MAXSIZE") {
            input.space()?;
            command.max_size = Some(input.number64("a number")?);
        } else if depth.is_none() && input.take_word(b"DEPTH") {
            input.space()?;
            depth = Some(one_of(input, &DEPTHS, "0, 1 or infinity")?);
        } else {
            return input.expected("MAXSIZE or DEPTH, each once");
        }
        Ok(())
    })?;
    if command.max_size.is_none() && depth.is_none() {
        return input.expected("an option in the list");
    }
    command.depth = depth.unwrap_or(DEPTHS[0]);
    Ok(())
}

/// ```abnf
/// "(" entry *(SP entry) ")"
/// ```
pub(super) fn entry_list(input: &mut Cursor<'_>) -> Parsed<Vec<String>> {
    let mut entries = Vec::new();
    parenthesised(input, |input| {
        entries.push(entry(input)?);
        Ok(())
    })?;
    if entries.is_empty() {
        return input.expected("an entry in the list");
    }
    Ok(entries)
}

/// ```abnf
/// setmetadata  = "SETMETADATA" SP mailbox SP entry-values
/// entry-values = "(" entry-value *(SP entry-value) ")"
/// entry-value  = entry SP value
/// value        = nstring / literal8
/// ```
/// RFC 5464 section 5.
pub(super) fn setmetadata(input: &mut Cursor<'_>) -> Parsed<Verb> {
    let mailbox = mailbox(input)?;
    input.space()?;
    let mut values = Vec::new();
    parenthesised(input, |input| {
        let at = input.at();
        let name = entry(input)?;
        if !can_have_value(&name) {
            return Err(ParseError::Expected("more components in an entry name", at));
        }
        input.space()?;
        let value = input.nstring8("a string, a literal or NIL")?;
        values.push((name, value.map(std::borrow::Cow::into_owned)));
        Ok(())
    })?;
    if values.is_empty() {
        return input.expected("an entry in the list");
    }
    Ok(Verb::SetMetadata { mailbox, values })
}

/// ```abnf
/// entry = astring          ; slash-separated path to entry, MUST NOT contain "*" or "%"
/// ```
/// Return the name as received.
///
/// # Errors
/// A name that RFC 5464 section 3.2 forbids is BAD. Lenient: `/private` or a vendor's part of the
/// tree, which have no value of their own but with DEPTH entries below them.
fn entry(input: &mut Cursor<'_>) -> Parsed<String> {
    let at = input.at();
    let name = input.astring("an entry name")?;
    match std::str::from_utf8(&name) {
        Ok(name) if is_entry(name) => Ok(name.to_owned()),
        _ => Err(ParseError::Expected(
            "an entry name as /private/comment",
            at,
        )),
    }
}

/// True for a name without forbidden characters, below `/private` or `/shared` (section 3.2).
fn is_entry(name: &str) -> bool {
    let forbidden = |byte: u8| byte <= 0x19 || byte >= 0x80 || matches!(byte, b'*' | b'%');
    let mut components = name.split('/');
    !name.bytes().any(forbidden)
        && components.next() == Some("")
        && components.next().is_some_and(|scope| {
            scope.eq_ignore_ascii_case("private") || scope.eq_ignore_ascii_case("shared")
        })
        && components.all(|component| !component.is_empty())
}

/// True for a name with at least two components, four below `vendor` (section 3.2).
fn can_have_value(name: &str) -> bool {
    let mut below = name.split('/').skip(2);
    match below.next() {
        None => false,
        Some(first) if first.eq_ignore_ascii_case("vendor") => below.count() >= 2,
        Some(_) => true,
    }
}
