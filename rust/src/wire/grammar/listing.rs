//! LIST, LSUB, STATUS (RFC 9051 sections 6.3.9 and 6.3.11, RFC 5258, 5819, 6154, 8440,
//! 9590).

use super::mailbox::mailbox;
use super::metadata::entry_list;
use super::{one_of, parenthesised};
use crate::wire::command::{List, Verb};
use crate::wire::names;
use crate::wire::syntax::cursor::{Cursor, Parsed};

/// Items of STATUS (RFC 9051, 3501, 7162, 8474, 7889, 9208).
const STATUS_ITEMS: [&str; 11] = [
    "MESSAGES",
    "UIDNEXT",
    "UIDVALIDITY",
    "UNSEEN",
    "DELETED",
    "SIZE",
    "RECENT",
    "HIGHESTMODSEQ",
    "MAILBOXID",
    "APPENDLIMIT",
    "DELETED-STORAGE",
];

/// Entry of `DisabledSyntax` for lists of options and of patterns (RFC 5258).
const EXTENDED: &[u8] = b"(";

const SELECTION: [&str; 4] = ["SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"];
const RETURNS: [&str; 4] = ["SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "MYRIGHTS"];

/// ```abnf
/// list             = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat
///                    [SP list-return-opts]
/// mbox-or-pat      = list-mailbox / "(" list-mailbox *(SP list-mailbox) ")"
/// list-return-opts = "RETURN" SP "(" [return-option *(SP return-option)] ")"
/// ```
/// # Errors
/// RECURSIVEMATCH alone, or with REMOTE alone, is BAD (RFC 5258 section 3).
pub(super) fn list(input: &mut Cursor<'_>) -> Parsed<Verb> {
    let mut list = List::default();
    if input.offers(EXTENDED) && input.peek() == Some(b'(') {
        list.extended = true;
        parenthesised(input, |input| {
            add(
                &mut list.selection,
                one_of(input, &SELECTION, "a LIST selection option")?,
            );
            Ok(())
        })?;
        let has = |option| list.selection.contains(&option);
        if has("RECURSIVEMATCH") && !has("SUBSCRIBED") && !has("SPECIAL-USE") {
            return input.expected("an option that RECURSIVEMATCH goes with");
        }
        input.space()?;
    }
    list.reference = reference(input)?;
    input.space()?;
    if input.offers(EXTENDED) && input.peek() == Some(b'(') {
        list.extended = true;
        parenthesised(input, |input| {
            list.patterns.push(pattern(input)?);
            Ok(())
        })?;
        if list.patterns.is_empty() {
            return input.expected("a mailbox pattern in the list");
        }
    } else {
        list.patterns.push(pattern(input)?);
    }
    if !input.at_end() {
        input.space()?;
        if !input.take_word(b"RETURN") {
            return input.expected("RETURN");
        }
        list.extended = true;
        input.space()?;
        parenthesised(input, |input| {
            if input.take_word(b"STATUS") {
                input.space()?;
                list.status = Some(status_items(input)?);
            } else if input.take_word(b"METADATA") {
                input.space()?;
                list.metadata = Some(entry_list(input)?);
            } else {
                add(
                    &mut list.returns,
                    one_of(input, &RETURNS, "a LIST return option")?,
                );
            }
            Ok(())
        })?;
    }
    Ok(Verb::List(list))
}

/// The reference is decoded as a pattern: one that is in no encoding is in no name.
fn reference(input: &mut Cursor<'_>) -> Parsed<String> {
    let received = input.astring("a mailbox")?;
    Ok(names::decode_pattern(&received, input.utf8))
}

/// ```abnf
/// list-mailbox = 1*list-char / string
/// ```
/// Return the decoded pattern.
fn pattern(input: &mut Cursor<'_>) -> Parsed<String> {
    let received = input.list_mailbox()?;
    Ok(names::decode_pattern(&received, input.utf8))
}

/// ```abnf
/// lsub = "LSUB" SP mailbox SP list-mailbox
/// ```
/// RFC 3501 section 9.
pub(super) fn lsub(input: &mut Cursor<'_>) -> Parsed<Verb> {
    let reference = reference(input)?;
    input.space()?;
    Ok(Verb::Lsub {
        reference,
        pattern: pattern(input)?,
    })
}

/// ```abnf
/// status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"
/// ```
pub(super) fn status(input: &mut Cursor<'_>) -> Parsed<Verb> {
    let mailbox = mailbox(input)?;
    input.space()?;
    Ok(Verb::Status {
        mailbox,
        items: status_items(input)?,
    })
}

/// ```abnf
/// "(" status-att *(SP status-att) ")"
/// ```
/// Return each item once, in the order of the client.
fn status_items(input: &mut Cursor<'_>) -> Parsed<Vec<&'static str>> {
    let command = std::mem::replace(&mut input.command, "STATUS");
    let mut items = Vec::with_capacity(4);
    parenthesised(input, |input| {
        add(&mut items, one_of(input, &STATUS_ITEMS, "a STATUS item")?);
        Ok(())
    })?;
    input.command = command;
    if items.is_empty() {
        input.expected("a STATUS item in the list")
    } else {
        Ok(items)
    }
}

/// Add a word unless it is there; the lists are short.
fn add(list: &mut Vec<&'static str>, word: &'static str) {
    if !list.contains(&word) {
        list.push(word);
    }
}
