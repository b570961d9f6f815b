//! APPEND and REPLACE, up to the literal of each message or of each TEXT of CATENATE (RFC 9051
//! section 6.3.12, RFC 3502, 3516, 4469, 8508, 9755).

use super::mailbox::mailbox;
use super::url;
use super::{Head, head, one_of};
use crate::wire::ast::{End, SequenceSet};
use crate::wire::command::{AppendUrl, Verb};
use crate::wire::disabled::Dialect;
use crate::wire::limits::Limits;
use crate::wire::syntax::cursor::{Cursor, Literal, ParseError, Parsed};
use crate::wire::syntax::dates::date_time;
use crate::wire::syntax::flags::{FlagList, flag_list};

/// Entry of `DisabledSyntax` for a literal8 (RFC 3516).
const LITERAL8: &[u8] = b"~{";
/// Entry of `DisabledSyntax` for a second message (RFC 3502).
const MULTIPLE: &[u8] = b"{";
/// Entry of `DisabledSyntax` for a part of what a URL names (RFC 5550 section 5.7.1).
const PARTIAL: &[u8] = b";PARTIAL=";

/// Flags, date and kind of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AppendHead {
    /// As given; empty if absent.
    pub flags: FlagList,
    /// As given.
    pub date: Option<(i64, i32)>,
    /// The literal is `UTF8 (~{n}`: a `)` follows it.
    pub utf8: bool,
    /// `CATENATE (`: parts follow, not a literal.
    pub catenate: bool,
}

/// Element of the text of APPEND.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AppendItem {
    /// Head of a message; its literal is pending unless it is CATENATE.
    Message(AppendHead),
    /// URL of CATENATE.
    Url(AppendUrl),
    /// TEXT of CATENATE; its literal is pending.
    Text,
    /// End of CATENATE.
    End,
}

impl AppendItem {
    /// True if its literal follows.
    pub fn has_literal(&self) -> bool {
        match self {
            Self::Message(head) => !head.catenate,
            Self::Text => true,
            Self::Url(_) | Self::End => false,
        }
    }
}

/// Place in APPEND where a text starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// After the mailbox.
    First,
    /// After the literal of a message; after that of `UTF8 (~{n}`, a `)` closes it.
    AfterMessage {
        /// The `)` is due.
        closing: bool,
    },
    /// After the literal of a TEXT.
    AfterText,
}

/// True for the commands that [`append_first`] parses.
pub(crate) fn has_messages(name: Option<&'static str>) -> bool {
    matches!(name, Some("APPEND" | "REPLACE" | "UID REPLACE"))
}

/// ```abnf
/// append  = "APPEND" SP mailbox 1*append-message
/// replace = "REPLACE" SP seq-number SP mailbox append-message
/// ```
/// Parse up to the pending literal, or up to the end of the line without one. If the pending literal
/// is not a message or a TEXT, the error is `ParseError::Pending`.
pub(crate) fn append_first(
    text: &[u8],
    literals: &[Literal],
    pending: bool,
    limits: &Limits,
    dialect: Dialect<'_>,
) -> Result<(Verb, Vec<AppendItem>), (Head, ParseError)> {
    let mut input = Cursor::new(text, literals, pending, limits, dialect);
    let (tag, name) = head(&mut input);
    let name = name.ok();
    input
        .space()
        .and_then(|()| match name {
            Some("REPLACE") => replace_items(&mut input, false),
            Some("UID REPLACE") => replace_items(&mut input, true),
            _ => append_items(&mut input),
        })
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

fn append_items(input: &mut Cursor<'_>) -> Parsed<(Verb, Vec<AppendItem>)> {
    let mailbox = mailbox(input)?;
    let items = messages(input, Place::First, false)?;
    Ok((Verb::Append { mailbox }, items))
}

fn replace_items(input: &mut Cursor<'_>, uid: bool) -> Parsed<(Verb, Vec<AppendItem>)> {
    let end = if !uid && input.take(b'*') {
        End::Last
    } else {
        End::Number(input.nz_number(if uid { "a UID" } else { "a message number" })?)
    };
    let set = SequenceSet::Ranges(vec![(end, end)]);
    input.space()?;
    let mailbox = mailbox(input)?;
    let items = messages(input, Place::First, true)?;
    Ok((Verb::Replace { uid, set, mailbox }, items))
}

/// Parse an APPEND without its messages, for commands whose pending literal is not one.
pub(super) fn append(input: &mut Cursor<'_>) -> Parsed<Verb> {
    append_items(input).map(|(verb, _)| verb)
}

/// As [`append`], of REPLACE.
pub(super) fn replace(input: &mut Cursor<'_>, uid: bool) -> Parsed<Verb> {
    replace_items(input, uid).map(|(verb, _)| verb)
}

/// Parse the text after a literal of APPEND, up to the next literal of a message or TEXT, or to the
/// end of the command (RFC 3502, RFC 4469).
///
/// With `single`, no other message may follow (RFC 8508 section 4.7).
pub(crate) fn append_next(
    text: &[u8],
    literals: &[Literal],
    pending: bool,
    (place, single): (Place, bool),
    limits: &Limits,
    dialect: Dialect<'_>,
) -> Parsed<Vec<AppendItem>> {
    let mut input = Cursor::new(text, literals, pending, limits, dialect);
    messages(&mut input, place, single)
}

/// ```abnf
/// 1*append-message
/// ```
fn messages(input: &mut Cursor<'_>, place: Place, single: bool) -> Parsed<Vec<AppendItem>> {
    input.command = "APPEND"; // also in REPLACE
    let mut items = Vec::new();
    match place {
        Place::AfterMessage { closing: true } => input.close()?,
        Place::AfterText if !parts(input, &mut items, true)? => return Ok(items),
        _ => {}
    }
    let mut first = place == Place::First;
    while first || !input.at_end() {
        if !first && (single || !input.offers(MULTIPLE)) {
            return input.expected("the end of the line");
        }
        first = false;
        input.room(items.len(), "messages and parts")?;
        let head = append_message(input)?;
        let catenate = head.catenate;
        items.push(AppendItem::Message(head));
        if !catenate || !parts(input, &mut items, false)? {
            return Ok(items);
        }
    }
    Ok(items)
}

/// ```abnf
/// append-message = [SP flag-list] [SP date-time] SP append-data
/// append-data    = literal / literal8 / "UTF8" SP "(" literal8 ")" /
///                  "CATENATE" SP "(" cat-part *(SP cat-part) ")"
/// ```
/// Parse up to the literal, or after the parenthesis of CATENATE.
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
    if input.take_word(b"CATENATE") {
        input.space()?;
        input.open()?;
        message.catenate = true;
        return Ok(message);
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

/// ```abnf
/// cat-part *(SP cat-part) ")"
/// cat-part     = text-literal / url
/// text-literal = "TEXT" SP literal
/// url          = "URL" SP astring
/// ```
/// RFC 4469 section 5. Lenient: a literal8 as TEXT. With `later`, a part has been parsed before.
///
/// Return False before the literal of a TEXT, True after the list.
fn parts(input: &mut Cursor<'_>, items: &mut Vec<AppendItem>, later: bool) -> Parsed<bool> {
    let mut later = later;
    loop {
        if later {
            if input.take_close() {
                items.push(AppendItem::End);
                return Ok(true);
            }
            input.space()?;
        }
        later = true;
        input.room(items.len(), "messages and parts")?;
        let kind = one_of(input, &["TEXT", "URL"], "TEXT or URL")?;
        input.space()?;
        if kind == "TEXT" {
            items.push(AppendItem::Text);
            return match input.announced() {
                Some(literal) if !literal.binary || input.offers(LITERAL8) => Ok(false),
                Some(_) => input.expected("a literal as {n}"),
                None => input.expected("a literal"),
            };
        }
        let start = input.clone();
        let received = input.astring("a URL")?.into_owned();
        let target = url::message_url(&received, input.limits);
        let is_partial = target.as_ref().is_some_and(|url| url.partial.is_some());
        if is_partial && !input.offers(PARTIAL) {
            return start.expected("a URL without PARTIAL");
        }
        items.push(AppendItem::Url(AppendUrl { received, target }));
    }
}
