//! FETCH (RFC 9051 section 6.4.5, RFC 3501, 3516, 7162, 8474, 8514, 8970, 9394).

use std::mem::{Discriminant, discriminant};

use super::parenthesised;
use super::search::partial_range;
use crate::wire::ast::{FetchItem, Partial, Section, SectionText};
use crate::wire::command::{Fetch, Verb};
use crate::wire::syntax::cursor::{Cursor, Parsed};
use crate::wire::syntax::sets::sequence_set;

/// Sections are kept without duplicates up to this number of items; further ones as the client wrote
/// them. Other items, as large as BODYSTRUCTURE, never have duplicates.
const SMALL_LIST: usize = 64;

/// ```abnf
/// fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att /
///         "(" fetch-att *(SP fetch-att) ")") [SP "(" fetch-modifier *(SP fetch-modifier) ")"]
/// ```
/// # Errors
/// VANISHED outside UID FETCH, or without CHANGEDSINCE, is BAD (RFC 7162 section 3.2.6); PARTIAL
/// twice, too.
pub(super) fn fetch(input: &mut Cursor<'_>, uid: bool) -> Parsed<Verb> {
    let set = sequence_set(input)?;
    input.space()?;
    let mut items = Vec::with_capacity(4);
    if uid {
        items.push(FetchItem::Uid);
    }
    let mut kinds = items.iter().map(discriminant).collect();
    let mut uid_asked = false;
    if input.peek() == Some(b'(') {
        let before = items.len();
        parenthesised(input, |input| {
            uid_asked |= add(&mut items, &mut kinds, input)?;
            Ok(())
        })?;
        if items.len() == before && !uid {
            return input.expected("a FETCH item in the list");
        }
    } else if !take_macro(input, &mut items) {
        uid_asked = add(&mut items, &mut kinds, input)?;
    }
    let (mut changed_since, mut vanished, mut window) = (None, false, None);
    if !input.at_end() {
        input.space()?;
        let start = input.clone();
        parenthesised(input, |input| {
            if input.take_word(b"CHANGEDSINCE") {
                input.space()?;
                changed_since = Some(input.number64("a MODSEQ")?);
                Ok(())
            } else if input.take_word(b"VANISHED") {
                vanished = true;
                Ok(())
            } else if window.is_none() && input.take_word(b"PARTIAL") {
                input.space()?;
                window = Some(partial_range(input)?);
                Ok(())
            } else {
                input.expected("CHANGEDSINCE, VANISHED or PARTIAL")
            }
        })?;
        if vanished && (!uid || changed_since.is_none()) {
            return start.expected("VANISHED only in UID FETCH with CHANGEDSINCE");
        }
    }
    Ok(Verb::Fetch(Fetch {
        uid,
        set,
        items,
        uid_asked,
        changed_since,
        vanished,
        window,
    }))
}

/// ```abnf
/// "(" fetch-att *(SP fetch-att) ")"
/// ```
/// Return the items, and true if UID is one of them. For other commands than FETCH; what is unknown
/// in FETCH is unknown here.
pub(super) fn item_list(input: &mut Cursor<'_>) -> Parsed<(Vec<FetchItem>, bool)> {
    let command = std::mem::replace(&mut input.command, "FETCH");
    let start = input.clone();
    let (mut items, mut kinds, mut uid_asked) = (Vec::new(), Vec::new(), false);
    parenthesised(input, |input| {
        uid_asked |= add(&mut items, &mut kinds, input)?;
        Ok(())
    })?;
    input.command = command;
    if items.is_empty() {
        return start.expected("a FETCH item in the list");
    }
    Ok((items, uid_asked))
}

/// Parse ALL, FAST or FULL, which are not allowed in a list.
fn take_macro(input: &mut Cursor<'_>, items: &mut Vec<FetchItem>) -> bool {
    let (envelope, body) = if input.take_word(b"ALL") {
        (true, false)
    } else if input.take_word(b"FAST") {
        (false, false)
    } else if input.take_word(b"FULL") {
        (true, true)
    } else {
        return false;
    };
    items.extend([
        FetchItem::Flags,
        FetchItem::InternalDate,
        FetchItem::Rfc822Size,
    ]);
    if envelope {
        items.push(FetchItem::Envelope);
    }
    if body {
        items.push(FetchItem::Body);
    }
    true
}

/// Parse an item of a list; `kinds` are those of the items so far. Return true for UID.
fn add(
    items: &mut Vec<FetchItem>,
    kinds: &mut Vec<Discriminant<FetchItem>>,
    input: &mut Cursor<'_>,
) -> Parsed<bool> {
    let item = fetch_att(input)?;
    let is_uid = item == FetchItem::Uid;
    let kind = discriminant(&item);
    let is_new = !kinds.contains(&kind);
    if is_new {
        kinds.push(kind);
    }
    let is_section = matches!(
        item,
        FetchItem::Section { .. } | FetchItem::Binary { .. } | FetchItem::BinarySize { .. }
    );
    if is_new || (is_section && (items.len() > SMALL_LIST || !items.contains(&item))) {
        items.push(item);
    }
    Ok(is_uid)
}

/// ```abnf
/// fetch-att = "ENVELOPE" / "FLAGS" / "INTERNALDATE" / "RFC822" [".HEADER" / ".SIZE" / ".TEXT"] /
///             "BODY" ["STRUCTURE"] / "UID" / "BODY" [".PEEK"] section [partial] /
///             "BINARY" [".PEEK"] section-binary [partial] / "BINARY.SIZE" section-binary /
///             "MODSEQ" / "SAVEDATE" / "EMAILID" / "THREADID" / "PREVIEW" [SP "(" "LAZY" ")"]
/// ```
fn fetch_att(input: &mut Cursor<'_>) -> Parsed<FetchItem> {
    let start = input.clone();
    let word = input.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    if !input.offers(word) {
        return start.expected("a FETCH item");
    }
    let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
    if input.peek() == Some(b'[') {
        return if is(b"BODY") || is(b"BODY.PEEK") {
            let section = section(input)?;
            let peek = is(b"BODY.PEEK");
            Ok(FetchItem::Section {
                peek,
                section,
                partial: partial(input)?,
            })
        } else if is(b"BINARY") || is(b"BINARY.PEEK") {
            let part = section_binary(input)?;
            let peek = is(b"BINARY.PEEK");
            Ok(FetchItem::Binary {
                peek,
                part,
                partial: partial(input)?,
            })
        } else if is(b"BINARY.SIZE") {
            Ok(FetchItem::BinarySize {
                part: section_binary(input)?,
            })
        } else {
            start.expected("a FETCH item")
        };
    }
    let item = match word.len() {
        3 if is(b"UID") => FetchItem::Uid,
        4 if is(b"BODY") => FetchItem::Body,
        5 if is(b"FLAGS") => FetchItem::Flags,
        6 if is(b"MODSEQ") => FetchItem::ModSeq,
        6 if is(b"RFC822") => FetchItem::Rfc822,
        7 if is(b"EMAILID") => FetchItem::EmailId,
        7 if is(b"PREVIEW") => {
            take_lazy(input)?;
            FetchItem::Preview
        }
        8 if is(b"ENVELOPE") => FetchItem::Envelope,
        8 if is(b"SAVEDATE") => FetchItem::SaveDate,
        8 if is(b"THREADID") => FetchItem::ThreadId,
        11 if is(b"RFC822.SIZE") => FetchItem::Rfc822Size,
        11 if is(b"RFC822.TEXT") => FetchItem::Rfc822Text,
        12 if is(b"INTERNALDATE") => FetchItem::InternalDate,
        13 if is(b"BODYSTRUCTURE") => FetchItem::BodyStructure,
        13 if is(b"RFC822.HEADER") => FetchItem::Rfc822Header,
        _ => return start.expected("a FETCH item"),
    };
    Ok(item)
}

/// ```abnf
/// preview-mod = "LAZY"          ; RFC 8970 section 6
/// ```
/// After a lone PREVIEW a parenthesis may also start the modifiers of FETCH.
fn take_lazy(input: &mut Cursor<'_>) -> Parsed<()> {
    let mut ahead = input.clone();
    let rest = if ahead.take_space() {
        ahead.rest()
    } else {
        b""
    };
    if rest
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"(LAZY"))
    {
        input.space()?;
        parenthesised(input, |input| {
            if input.take_word(b"LAZY") {
                Ok(())
            } else {
                input.expected("LAZY")
            }
        })?;
    }
    Ok(())
}

/// ```abnf
/// section      = "[" [section-spec] "]"
/// section-spec = section-msgtext / (section-part ["." (section-msgtext / "MIME")])
/// ```
pub(super) fn section(input: &mut Cursor<'_>) -> Parsed<Section> {
    input.need(b'[', "\"[\"")?;
    let (part, more) = section_part(input)?;
    let text = if input.peek() == Some(b']') && !more {
        SectionText::All
    } else if more || part.is_empty() {
        section_text(input, !part.is_empty())?
    } else {
        return input.expected("\".\" or \"]\"");
    };
    input.need(b']', "\"]\"")?;
    Ok(Section { part, text })
}

/// ```abnf
/// section-part = nz-number *("." nz-number)
/// ```
/// Return the numbers, and whether a `.` follows them.
fn section_part(input: &mut Cursor<'_>) -> Parsed<(Vec<u32>, bool)> {
    let mut part = Vec::new();
    while input.peek().is_some_and(|byte| byte.is_ascii_digit()) {
        input.room(part.len(), "numbers in a part")?;
        part.push(input.nz_number("a part number")?);
        if !input.take(b'.') {
            return Ok((part, false));
        }
    }
    let more = !part.is_empty();
    Ok((part, more))
}

/// ```abnf
/// section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT"
/// header-list     = "(" header-fld-name *(SP header-fld-name) ")"
/// ```
fn section_text(input: &mut Cursor<'_>, in_part: bool) -> Parsed<SectionText> {
    if input.take_word(b"HEADER") {
        return Ok(SectionText::Header);
    }
    if input.take_word(b"TEXT") {
        return Ok(SectionText::Text);
    }
    if in_part && input.take_word(b"MIME") {
        return Ok(SectionText::Mime);
    }
    let not = input.take_word(b"HEADER.FIELDS.NOT");
    if !not && !input.take_word(b"HEADER.FIELDS") {
        return input.expected("a section");
    }
    input.space()?;
    let mut names = Vec::with_capacity(4);
    parenthesised(input, |input| {
        names.push(input.astring("a header field name")?.into_owned());
        Ok(())
    })?;
    if names.is_empty() {
        return input.expected("a header field name in the list");
    }
    Ok(if not {
        SectionText::HeaderFieldsNot(names)
    } else {
        SectionText::HeaderFields(names)
    })
}

/// ```abnf
/// section-binary = "[" [section-part] "]"
/// ```
fn section_binary(input: &mut Cursor<'_>) -> Parsed<Vec<u32>> {
    input.need(b'[', "\"[\"")?;
    let (part, more) = section_part(input)?;
    if more {
        return input.expected("a part number");
    }
    input.need(b']', "a part number or \"]\"")?;
    Ok(part)
}

/// ```abnf
/// partial = "<" number64 "." nz-number64 ">"
/// ```
fn partial(input: &mut Cursor<'_>) -> Parsed<Option<Partial>> {
    if !input.take(b'<') {
        return Ok(None);
    }
    let start = input.number64("the first byte")?;
    input.need(b'.', "\".\"")?;
    let at = input.clone();
    let count = input.number64("how many bytes")?;
    if count == 0 {
        return at.expected("how many bytes");
    }
    input.need(b'>', "\">\"")?;
    Ok(Some(Partial { start, count }))
}
