//! The grammar over one complete command (RFC 9051 section 9, RFC 3501 section 9, extensions).

mod access;
mod append;
mod fetch;
mod listing;
mod mailbox;
mod search;

use super::command::{Command, Malformed, Verb};
use super::cursor::{Cursor, Fault, Literal, Parsed, is_astring_char};
use super::limits::Limits;
use super::sets::sequence_set;

pub(crate) use append::{AppendHead, append_first, append_next};

/// The names of all commands: `Malformed::name` is one of these.
const NAMES: [&str; 36] = [
    "APPEND",
    "AUTHENTICATE",
    "CAPABILITY",
    "CHECK",
    "CLOSE",
    "COPY",
    "CREATE",
    "DELETE",
    "ENABLE",
    "EXAMINE",
    "EXPUNGE",
    "FETCH",
    "ID",
    "IDLE",
    "LIST",
    "LOGIN",
    "LOGOUT",
    "LSUB",
    "MOVE",
    "NAMESPACE",
    "NOOP",
    "RENAME",
    "SEARCH",
    "SELECT",
    "STARTTLS",
    "STATUS",
    "STORE",
    "SUBSCRIBE",
    "UID COPY",
    "UID EXPUNGE",
    "UID FETCH",
    "UID MOVE",
    "UID SEARCH",
    "UID STORE",
    "UNSELECT",
    "UNSUBSCRIBE",
];

/// The longest word of a command's name.
const LONGEST: usize = "AUTHENTICATE".len();

/// What can be said of a command before its arguments are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// None where the line does not begin with a tag.
    pub tag: Option<Vec<u8>>,
    /// None where there is no such command.
    pub name: Option<&'static str>,
}

/// ```abnf
/// tag = 1*<any ASTRING-CHAR except "+">
/// ```
fn tag<'a>(input: &mut Cursor<'a>) -> Parsed<&'a [u8]> {
    let tag = input.take_while(|octet| is_astring_char(octet) && octet != b'+');
    match input.peek() {
        None | Some(b' ') if !tag.is_empty() => Ok(tag),
        _ => input.expected("a tag"),
    }
}

/// Tag, space and name; the cursor stands behind the name.
fn head<'a>(input: &mut Cursor<'a>) -> (Option<&'a [u8]>, Parsed<&'static str>) {
    let tag = match tag(input) {
        Ok(tag) => tag,
        Err(fault) => return (None, Err(fault)),
    };
    let name = input.space().and_then(|()| name(input));
    (Some(tag), name)
}

fn name(input: &mut Cursor<'_>) -> Parsed<&'static str> {
    let at = input.at();
    let unknown = Err(Fault::Expected("a command", at));
    let word = input.take_while(super::cursor::is_atom_char);
    let mut upper = [0; LONGEST + 4]; // "UID " in front
    let len = if word.eq_ignore_ascii_case(b"UID") && input.take(b' ') {
        let word = input.take_while(super::cursor::is_atom_char);
        copy_upper(&mut upper, &[b"UID ", word])
    } else {
        copy_upper(&mut upper, &[word])
    };
    let Some(upper) = upper.get(..len) else {
        return unknown;
    };
    match NAMES.binary_search_by(|name| name.as_bytes().cmp(upper)) {
        Ok(found) => NAMES.get(found).copied().map_or(unknown, Ok),
        Err(_) => unknown,
    }
}

/// Upper-case `pieces` into `place` and return their length, which is past its end if they do
/// not fit.
fn copy_upper(place: &mut [u8], pieces: &[&[u8]]) -> usize {
    let len = pieces.iter().map(|piece| piece.len()).sum();
    if len <= place.len() {
        for (to, from) in place.iter_mut().zip(pieces.iter().copied().flatten()) {
            *to = from.to_ascii_uppercase();
        }
    }
    len
}

/// Tag and name of a command that cannot be read further.
pub(crate) fn head_of(text: &[u8], limits: &Limits) -> Head {
    let (tag, name) = head(&mut Cursor::new(text, &[], false, limits, false));
    Head {
        tag: tag.map(<[u8]>::to_vec),
        name: name.ok(),
    }
}

/// Read a command. Of APPEND only what stands before its first message; [`append_first`] reads
/// on from there.
///
/// With `pending`, the last literal is announced and its octets are not there: the only good
/// outcome is then `Fault::Pending`.
pub(crate) fn command(
    text: &[u8],
    literals: &[Literal],
    pending: bool,
    limits: &Limits,
    utf8: bool,
) -> Result<Command, (Head, Fault)> {
    let mut input = Cursor::new(text, literals, pending, limits, utf8);
    let (tag, name) = head(&mut input);
    let verb = match name {
        Ok(name) => verb(name, &mut input)
            .and_then(|verb| input.end().map(|()| verb))
            .map_err(|fault| (Some(name), fault)),
        Err(fault) => Err((None, fault)),
    };
    let tag = tag.map(<[u8]>::to_vec);
    match verb {
        Ok(verb) => Ok(Command {
            tag: tag.unwrap_or_default(),
            verb,
        }),
        Err((name, fault)) => Err((Head { tag, name }, fault)),
    }
}

fn verb(name: &'static str, input: &mut Cursor<'_>) -> Parsed<Verb> {
    match name {
        "CAPABILITY" => Ok(Verb::Capability),
        "NOOP" => Ok(Verb::Noop),
        "LOGOUT" => Ok(Verb::Logout),
        "STARTTLS" => Ok(Verb::StartTls),
        "NAMESPACE" => Ok(Verb::Namespace),
        "IDLE" => Ok(Verb::Idle),
        "CHECK" => Ok(Verb::Check),
        "CLOSE" => Ok(Verb::Close),
        "UNSELECT" => Ok(Verb::Unselect),
        "EXPUNGE" => Ok(Verb::Expunge { uids: None }),
        "UID EXPUNGE" => {
            input.space()?;
            Ok(Verb::Expunge {
                uids: Some(sequence_set(input)?),
            })
        }
        _ => {
            input.space()?;
            with_arguments(name, input)
        }
    }
}

fn with_arguments(name: &'static str, input: &mut Cursor<'_>) -> Parsed<Verb> {
    match name {
        "APPEND" => append::append_mailbox(input),
        "ID" => access::id(input),
        "AUTHENTICATE" => access::authenticate(input),
        "LOGIN" => access::login(input),
        "ENABLE" => access::enable(input),
        "SELECT" => mailbox::select(input, false),
        "EXAMINE" => mailbox::select(input, true),
        "CREATE" => mailbox::create(input),
        "DELETE" => Ok(Verb::Delete {
            mailbox: mailbox::mailbox(input)?,
        }),
        "RENAME" => mailbox::rename(input),
        "SUBSCRIBE" => Ok(Verb::Subscribe {
            mailbox: mailbox::mailbox(input)?,
        }),
        "UNSUBSCRIBE" => Ok(Verb::Unsubscribe {
            mailbox: mailbox::mailbox(input)?,
        }),
        "LIST" => listing::list(input),
        "LSUB" => listing::lsub(input),
        "STATUS" => listing::status(input),
        "SEARCH" => search::search(input, false),
        "UID SEARCH" => search::search(input, true),
        "FETCH" => fetch::fetch(input, false),
        "UID FETCH" => fetch::fetch(input, true),
        "STORE" => mailbox::store(input, false),
        "UID STORE" => mailbox::store(input, true),
        "COPY" => mailbox::copy(input).map(|(set, to)| copied(false, set, to)),
        "UID COPY" => mailbox::copy(input).map(|(set, to)| copied(true, set, to)),
        "MOVE" => mailbox::copy(input).map(|(set, to)| moved(false, set, to)),
        "UID MOVE" => mailbox::copy(input).map(|(set, to)| moved(true, set, to)),
        _ => input.expected("a command"),
    }
}

fn copied(uid: bool, set: super::ast::SequenceSet, mailbox: String) -> Verb {
    Verb::Copy { uid, set, mailbox }
}

fn moved(uid: bool, set: super::ast::SequenceSet, mailbox: String) -> Verb {
    Verb::Move { uid, set, mailbox }
}

/// One of some words, as the table spells it; `what` was expected where it is none of them.
fn one_of(
    input: &mut Cursor<'_>,
    table: &[&'static str],
    what: &'static str,
) -> Parsed<&'static str> {
    match table.iter().find(|word| input.take_word(word.as_bytes())) {
        Some(word) => Ok(word),
        None => input.expected(what),
    }
}

/// `"(" [item *(SP item)] ")"`, where `item` reads one and knows what to do with it.
fn parenthesised(
    input: &mut Cursor<'_>,
    mut item: impl FnMut(&mut Cursor<'_>) -> Parsed<()>,
) -> Parsed<()> {
    input.open()?;
    if input.take(b')') {
        return Ok(());
    }
    let mut count = 0;
    loop {
        input.room(count, "elements in a list")?;
        count += 1;
        item(input)?;
        if input.take(b')') {
            return Ok(());
        }
        input.need(b' ', "a space or \")\"")?;
    }
}

/// Octets as text; what is not UTF-8 becomes U+FFFD.
fn lossy(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// An atom in upper case; it is ASCII.
fn upper_atom(input: &mut Cursor<'_>, what: &'static str) -> Parsed<String> {
    input
        .atom(what)
        .map(|atom| lossy(atom).to_ascii_uppercase())
}

/// The answer to a fault. Columns count from 1 in the line, or behind the literal, it lies in.
pub(crate) fn malformed(head: Head, fault: &Fault, literals: &[Literal]) -> Malformed {
    let (message, code, is_no) = match fault {
        Fault::Expected(what, at) => {
            let before = literals
                .iter()
                .take_while(|literal| literal.end <= *at)
                .count();
            let line = literals
                .iter()
                .take(before)
                .next_back()
                .map_or(0, |literal| literal.end);
            let column = at - line + 1;
            let message = match before {
                0 => format!("expected {what} at column {column}"),
                _ => format!("expected {what} at column {column} behind literal {before}"),
            };
            (message, None, false)
        }
        Fault::Over(what, bound) => (format!("more than {bound} {what}"), Some("LIMIT"), true),
        Fault::Pending => ("expected a literal".to_owned(), None, false),
    };
    Malformed {
        tag: head.tag,
        message,
        name: head.name,
        code,
        is_no,
        fatal: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_so_that_they_are_found() {
        assert!(NAMES.is_sorted());
        for command in NAMES {
            let text = format!("a {command}");
            assert_eq!(
                head_of(text.as_bytes(), &Limits::default()).name,
                Some(command)
            );
        }
    }
}
