//! The grammar over one complete command (RFC 9051 section 9, RFC 3501 section 9, extensions).

mod access;
mod acl;
mod append;
mod fetch;
mod listing;
mod mailbox;
mod metadata;
mod notify;
mod quota;
mod search;
mod url;

use super::command::{Command, Malformed, Verb};
use super::disabled::{Dialect, DisabledSyntax, base_name};
use super::limits::Limits;
use super::syntax::cursor::{Cursor, Literal, ParseError, Parsed, is_astring_char};
use super::syntax::sets::sequence_set;

pub(crate) use append::{AppendItem, Place, append_first, append_next, has_messages};
pub(crate) use search::{ALGORITHMS, SORT_KEYS};

/// The names of all commands: `Malformed::name` is one of these.
const NAMES: &[&str] = &[
    "APPEND",
    "AUTHENTICATE",
    "CANCELUPDATE",
    "CAPABILITY",
    "CHECK",
    "CLOSE",
    "COMPARATOR",
    "COMPRESS",
    "COPY",
    "CREATE",
    "DELETE",
    "DELETEACL",
    "ENABLE",
    "ESEARCH",
    "EXAMINE",
    "EXPUNGE",
    "FETCH",
    "GETACL",
    "GETMETADATA",
    "GETQUOTA",
    "GETQUOTAROOT",
    "ID",
    "IDLE",
    "LANGUAGE",
    "LIST",
    "LISTRIGHTS",
    "LOGIN",
    "LOGOUT",
    "LSUB",
    "MOVE",
    "MYRIGHTS",
    "NAMESPACE",
    "NOOP",
    "NOTIFY",
    "RENAME",
    "REPLACE",
    "SEARCH",
    "SELECT",
    "SETACL",
    "SETMETADATA",
    "SETQUOTA",
    "SORT",
    "STARTTLS",
    "STATUS",
    "STORE",
    "SUBSCRIBE",
    "THREAD",
    "UID COPY",
    "UID EXPUNGE",
    "UID FETCH",
    "UID MOVE",
    "UID REPLACE",
    "UID SEARCH",
    "UID SORT",
    "UID STORE",
    "UID THREAD",
    "UIDBATCHES",
    "UNAUTHENTICATE",
    "UNSELECT",
    "UNSUBSCRIBE",
];

/// The longest word of a command's name.
const LONGEST: usize = "UNAUTHENTICATE".len();

/// Tag and name of a command, for errors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// None if the line does not start with a tag.
    pub tag: Option<Vec<u8>>,
    /// None for an unknown command.
    pub name: Option<&'static str>,
}

/// ```abnf
/// tag = 1*<any ASTRING-CHAR except "+">
/// ```
fn tag<'a>(input: &mut Cursor<'a>) -> Parsed<&'a [u8]> {
    let tag = input.take_while(|byte| is_astring_char(byte) && byte != b'+');
    match input.peek() {
        None | Some(b' ') if !tag.is_empty() => Ok(tag),
        _ => input.expected("a tag"),
    }
}

/// Parse tag, space and name.
fn head<'a>(input: &mut Cursor<'a>) -> (Option<&'a [u8]>, Parsed<&'static str>) {
    let tag = match tag(input) {
        Ok(tag) => tag,
        Err(error) => return (None, Err(error)),
    };
    let name = input.space().and_then(|()| name(input));
    (Some(tag), name)
}

/// ```abnf
/// name = ["UID" SP] atom
/// ```
/// Return the name of a command as in [`NAMES`].
fn name(input: &mut Cursor<'_>) -> Parsed<&'static str> {
    let at = input.at();
    let unknown = Err(ParseError::Expected("a command", at));
    let word = input.take_while(super::syntax::cursor::is_atom_char);
    let mut upper = [0; LONGEST + 4]; // "UID " in front
    let len = if word.eq_ignore_ascii_case(b"UID") && input.take_space() {
        let word = input.take_while(super::syntax::cursor::is_atom_char);
        copy_upper(&mut upper, &[b"UID ", word])
    } else {
        copy_upper(&mut upper, &[word])
    };
    let Some(upper) = upper.get(..len) else {
        return unknown;
    };
    match NAMES.binary_search_by(|name| name.as_bytes().cmp(upper)) {
        Ok(found) => match NAMES.get(found) {
            Some(name) if input.offers_command(name) => {
                input.command = base_name(name);
                Ok(name)
            }
            _ => unknown,
        },
        Err(_) => unknown,
    }
}

/// True for the name of a command in upper case.
fn is_command(name: &str) -> bool {
    NAMES.binary_search(&name).is_ok()
}

impl DisabledSyntax {
    /// Collect entries: `MOVE` and `UID EXPUNGE` for commands, `FETCH MODSEQ` for a keyword, `$` for
    /// a symbol of any command.
    ///
    /// # Errors
    /// The entry that does not start with a command.
    pub fn new<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        Self::collect(entries, is_command)
    }
}

/// Write `pieces` in upper case to `place` and return their length, past its end if they do not
/// fit.
fn copy_upper(place: &mut [u8], pieces: &[&[u8]]) -> usize {
    let len = pieces.iter().map(|piece| piece.len()).sum();
    if len <= place.len() {
        for (to, from) in place.iter_mut().zip(pieces.iter().copied().flatten()) {
            *to = from.to_ascii_uppercase();
        }
    }
    len
}

/// Return tag and name of a command that cannot be parsed further.
pub(crate) fn head_of(text: &[u8], limits: &Limits, dialect: Dialect<'_>) -> Head {
    let (tag, name) = head(&mut Cursor::new(text, &[], false, limits, dialect));
    Head {
        tag: tag.map(<[u8]>::to_vec),
        name: name.ok(),
    }
}

/// Parse a command; of APPEND only the part before its first message, where [`append_first`]
/// continues.
///
/// With `pending`, the last literal is announced and its bytes have not arrived: a valid command
/// then gives `ParseError::Pending`.
pub(crate) fn command(
    text: &[u8],
    literals: &[Literal],
    pending: bool,
    limits: &Limits,
    dialect: Dialect<'_>,
) -> Result<Command, (Head, ParseError)> {
    let mut input = Cursor::new(text, literals, pending, limits, dialect);
    let (tag, name) = head(&mut input);
    let verb = match name {
        Ok(name) => verb(name, &mut input)
            .and_then(|verb| input.end().map(|()| verb))
            .map_err(|error| (Some(name), error)),
        Err(error) => Err((None, error)),
    };
    let tag = tag.map(<[u8]>::to_vec);
    match verb {
        Ok(verb) => Ok(Command {
            tag: tag.unwrap_or_default(),
            verb,
        }),
        Err((name, error)) => Err((Head { tag, name }, error)),
    }
}

/// Parse what follows the name of a command.
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
        "UNAUTHENTICATE" => Ok(Verb::Unauthenticate),
        "LANGUAGE" => {
            access::strings(input, "language ranges").map(|ranges| Verb::Language { ranges })
        }
        "COMPARATOR" => {
            access::strings(input, "comparators").map(|orders| Verb::Comparator { orders })
        }
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

/// Parse the arguments of a command; the space after its name has been read.
fn with_arguments(name: &'static str, input: &mut Cursor<'_>) -> Parsed<Verb> {
    match name {
        "APPEND" => append::append(input),
        "REPLACE" => append::replace(input, false),
        "UID REPLACE" => append::replace(input, true),
        "ID" => access::id(input),
        "AUTHENTICATE" => access::authenticate(input),
        "LOGIN" => access::login(input),
        "ENABLE" => access::enable(input),
        "COMPRESS" => access::compress(input),
        "SELECT" => mailbox::select(input, false),
        "EXAMINE" => mailbox::select(input, true),
        "CREATE" => mailbox::create(input),
        "DELETE" => Ok(Verb::Delete {
            mailbox: mailbox::mailbox(input)?,
        }),
        "RENAME" => mailbox::rename(input),
        "SETACL" => acl::set_acl(input),
        "DELETEACL" => {
            acl::mailbox_and_identifier(input).map(|(mailbox, identifier)| Verb::DeleteAcl {
                mailbox,
                identifier,
            })
        }
        "GETACL" => Ok(Verb::GetAcl {
            mailbox: mailbox::mailbox(input)?,
        }),
        "LISTRIGHTS" => {
            acl::mailbox_and_identifier(input).map(|(mailbox, identifier)| Verb::ListRights {
                mailbox,
                identifier,
            })
        }
        "MYRIGHTS" => Ok(Verb::MyRights {
            mailbox: mailbox::mailbox(input)?,
        }),
        "SUBSCRIBE" => Ok(Verb::Subscribe {
            mailbox: mailbox::mailbox(input)?,
        }),
        "UNSUBSCRIBE" => Ok(Verb::Unsubscribe {
            mailbox: mailbox::mailbox(input)?,
        }),
        "LIST" => listing::list(input),
        "LSUB" => listing::lsub(input),
        "STATUS" => listing::status(input),
        "GETMETADATA" => metadata::getmetadata(input),
        "SETMETADATA" => metadata::setmetadata(input),
        "NOTIFY" => notify::notify(input),
        "SEARCH" => search::search(input, false),
        "UID SEARCH" => search::search(input, true),
        "ESEARCH" => search::esearch(input),
        "CANCELUPDATE" => cancel_update(input),
        "UIDBATCHES" => uid_batches(input),
        "SORT" => search::sort(input, false),
        "UID SORT" => search::sort(input, true),
        "THREAD" => search::thread(input, false),
        "UID THREAD" => search::thread(input, true),
        "FETCH" => fetch::fetch(input, false),
        "UID FETCH" => fetch::fetch(input, true),
        "GETQUOTA" => quota::get_quota(input),
        "GETQUOTAROOT" => quota::get_quota_root(input),
        "SETQUOTA" => quota::set_quota(input),
        "STORE" => mailbox::store(input, false),
        "UID STORE" => mailbox::store(input, true),
        "COPY" => mailbox::copy(input).map(|(set, to)| copied(false, set, to)),
        "UID COPY" => mailbox::copy(input).map(|(set, to)| copied(true, set, to)),
        "MOVE" => mailbox::copy(input).map(|(set, to)| moved(false, set, to)),
        "UID MOVE" => mailbox::copy(input).map(|(set, to)| moved(true, set, to)),
        _ => input.expected("a command"),
    }
}

/// ```abnf
/// message-batches = "UIDBATCHES" SP nz-number [SP nz-number ":" nz-number]
/// ```
/// RFC 10022 section 5.
fn uid_batches(input: &mut Cursor<'_>) -> Parsed<Verb> {
    let size = input.nz_number("a number of messages")?;
    let mut batches = None;
    if !input.at_end() {
        input.space()?;
        let first = input.nz_number("a batch number")?;
        input.need(b':', "\":\"")?;
        batches = Some((first, input.nz_number("a batch number")?));
    }
    Ok(Verb::UidBatches { size, batches })
}

/// ```abnf
/// "CANCELUPDATE" 1*(SP quoted)
/// ```
/// RFC 5267 section 5. Parse the tags; the space before the first has been read.
fn cancel_update(input: &mut Cursor<'_>) -> Parsed<Verb> {
    let mut tags = Vec::new();
    loop {
        input.room(tags.len(), "tags")?;
        let start = input.clone();
        let tag = input.quoted()?.into_owned();
        if !tag.iter().all(|byte| (b' '..=b'~').contains(byte)) {
            return start.expected("a tag");
        }
        tags.push(tag);
        if input.at_end() {
            return Ok(Verb::CancelUpdate { tags });
        }
        input.space()?;
    }
}

fn copied(uid: bool, set: super::ast::SequenceSet, mailbox: String) -> Verb {
    Verb::Copy { uid, set, mailbox }
}

fn moved(uid: bool, set: super::ast::SequenceSet, mailbox: String) -> Verb {
    Verb::Move { uid, set, mailbox }
}

/// Parse one word of a table; else the error names `what`.
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

/// Parse `"(" [item *(SP item)] ")"`; `item` parses one element.
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
        let spaced = input.take_space();
        if input.take(b')') {
            return Ok(());
        }
        if !spaced {
            return input.expected("a space or \")\"");
        }
    }
}

/// Convert bytes to text; invalid UTF-8 becomes U+FFFD.
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Parse an atom and convert it to upper case.
fn upper_atom(input: &mut Cursor<'_>, what: &'static str) -> Parsed<String> {
    input
        .atom(what)
        .map(|atom| lossy(atom).to_ascii_uppercase())
}

/// Build the response to an error. Columns count from 1 in its line, or after its literal.
pub(crate) fn malformed(head: Head, error: &ParseError, literals: &[Literal]) -> Malformed {
    let (message, code, is_no) = match error {
        ParseError::Expected(what, at) => {
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
                _ => format!("expected {what} at column {column} after literal {before}"),
            };
            (message, None, false)
        }
        ParseError::Over(what, bound) => (format!("more than {bound} {what}"), Some("LIMIT"), true),
        ParseError::BadName(error) => ((*error).to_owned(), Some("CANNOT"), true),
        ParseError::Charset => (
            "FILTER needs the charset UTF-8".to_owned(),
            Some("BADCHARSET"),
            false,
        ),
        ParseError::Pending => ("expected a literal".to_owned(), None, false),
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
    fn names_are_sorted_for_the_binary_search() {
        assert!(NAMES.is_sorted());
        for command in NAMES {
            let text = format!("a {command}");
            assert_eq!(
                head_of(text.as_bytes(), &Limits::default(), Dialect::default()).name,
                Some(*command)
            );
        }
    }
}
