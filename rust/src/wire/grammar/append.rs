//! APPEND, up to the literal of each message (RFC 9051 section 6.3.12, RFC 3502, 3516, 9755).

use super::mailbox::mailbox;
use super::{Head, head};
use crate::wire::command::Verb;
use crate::wire::disabled::Dialect;
use crate::wire::limits::Limits;
use crate::wire::syntax::cursor::{Cursor, Literal, ParseError, Parsed};
use crate::wire::syntax::dates::date_time;
use crate::wire::syntax::flags::{FlagList, flag_list};

/// Entry of `DisabledSyntax` for a literal8 (RFC 3516).
const LITERAL8: &[u8] = b"~{";
/// Entry of `DisabledSyntax` for a second message (RFC 3502).
const MULTIPLE: &[u8] = b"{";

/// Flags, date and kind of a message; its literal follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AppendHead {
    /// As given; empty if absent.
    pub flags: FlagList,
    /// As given.
    pub date: Option<(i64, i32)>,
    /// The literal is `UTF8 (~{n}`: a `)` follows it.
    pub utf8: bool,
}

/// ```abnf
/// append     = "APPEND" SP mailbox 1*append-message
/// ```
/// Parse up to the pending literal. If it is a message, return the mailbox and the message's head;
/// if it is the mailbox's name, the error is `ParseError::Pending`.
pub(crate) fn append_first(
    text: &[u8],
    literals: &[Literal],
    limits: &Limits,
    dialect: Dialect<'_>,
) -> Result<(String, AppendHead), (Head, ParseError)> {
    let mut input = Cursor::new(text, literals, true, limits, dialect);
    let (tag, name) = head(&mut input);
    let name = name.ok();
    input
        .space()
        .and_then(|()| mailbox(&mut input))
        .and_then(|mailbox| Ok((mailbox, append_message(&mut input)?)))
        .map_err(|error| {
            (
                Head {
                    tag: tag.map(<[u8]>::to_vec),
                    name,
                },
                error,
            )
        })
}

/// ```abnf
/// append = "APPEND" SP mailbox 1*append-message
/// ```
/// Parse an APPEND that [`append_first`] did not take: one without a literal, which is malformed, or
/// one whose pending literal is the mailbox's name.
pub(super) fn append_mailbox(input: &mut Cursor<'_>) -> Parsed<Verb> {
    let mailbox = mailbox(input)?;
    append_message(input)?;
    Ok(Verb::Append { mailbox })
}

/// ```abnf
/// [")"] [append-message]
/// ```
/// Parse the text after a message: return the head of the next one, or None at the end of the
/// command (RFC 3502).
///
/// With `closing`, the message was `UTF8 (~{n}`, so the text starts with its `)`.
pub(crate) fn append_next(
    text: &[u8],
    literals: &[Literal],
    closing: bool,
    limits: &Limits,
    dialect: Dialect<'_>,
) -> Parsed<Option<AppendHead>> {
    let mut input = Cursor::new(text, literals, !literals.is_empty(), limits, dialect);
    input.command = "APPEND";
    if closing {
        input.close()?;
    }
    if input.at_end() {
        Ok(None)
    } else if !input.offers(MULTIPLE) {
        input.expected("the end of the line")
    } else {
        append_message(&mut input).map(Some)
    }
}

/// ```abnf
/// append-message = [SP flag-list] [SP date-time] SP append-data
/// append-data    = literal / literal8 / "UTF8" SP "(" literal8 ")"
/// ```
fn append_message(input: &mut Cursor<'_>) -> Parsed<AppendHead> {
    let mut message = AppendHead::default();
    input.space()?;
    if input.peek() == Some(b'(') {
        message.flags = flag_list(input)?;
        input.space()?;
    }
    if input.peek() == Some(b'"') {
        message.date = Some(date_time(input)?);
        input.space()?;
    }
    if input.take_word(b"UTF8") {
        input.space()?;
        input.open()?;
        message.utf8 = true;
    }
    match input.announced() {
        Some(literal) if message.utf8 && !literal.binary => input.expected("a literal as ~{n}"),
        Some(literal) if literal.binary && !message.utf8 && !input.offers(LITERAL8) => {
            input.expected("a literal as {n}")
        }
        Some(_) => Ok(message),
        None => input.expected("a literal"),
    }
}
