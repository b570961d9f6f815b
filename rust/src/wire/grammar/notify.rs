//! NOTIFY (RFC 5465 section 8).

use super::fetch::item_list;
use super::search::one_or_more_mailbox;
use super::{one_of, parenthesised, upper_atom};
use crate::wire::ast::FetchItem;
use crate::wire::command::{EventGroup, Notify, Verb};
use crate::wire::limits::NOTIFY_ITEMS;
use crate::wire::syntax::cursor::{Cursor, ParseError, Parsed};

/// Filters without mailbox names, longest first where one starts with another.
const FILTERS: [&str; 5] = [
    "SELECTED-DELAYED",
    "SELECTED",
    "INBOXES",
    "PERSONAL",
    "SUBSCRIBED",
];
/// Filters with mailbox names.
const NAMED_FILTERS: [&str; 2] = ["SUBTREE", "MAILBOXES"];

/// ```abnf
/// notify       = "NOTIFY" SP (notify-set / notify-none)
/// notify-set   = "SET" [SP "STATUS"] SP event-groups
/// notify-none  = "NONE"
/// event-groups = event-group *(SP event-group)
/// ```
pub(super) fn notify(input: &mut Cursor<'_>) -> Parsed<Verb> {
    if input.take_word(b"NONE") {
        return Ok(Verb::Notify(None));
    }
    if !input.take_word(b"SET") {
        return input.expected("SET or NONE");
    }
    input.space()?;
    let mut command = Notify::default();
    if input.take_word(b"STATUS") {
        command.status = true;
        input.space()?;
    }
    loop {
        input.room(command.groups.len(), "event groups")?;
        command.groups.push(event_group(input)?);
        if input.at_end() {
            return Ok(Verb::Notify(Some(command)));
        }
        input.space()?;
    }
}

/// ```abnf
/// event-group      = "(" filter-mailboxes SP events ")"
/// filter-mailboxes = "selected" / "selected-delayed" / "inboxes" / "personal" / "subscribed" /
///                    ("subtree" / "mailboxes") SP one-or-more-mailbox
/// events           = "(" event *(SP event) ")" / "NONE"
/// ```
/// Lenient: events without parentheses, as in the examples of RFC 5465 section 3.1.
fn event_group(input: &mut Cursor<'_>) -> Parsed<EventGroup> {
    input.open()?;
    let mut group = EventGroup::default();
    if let Some(filter) = FILTERS
        .iter()
        .find(|filter| input.take_word(filter.as_bytes()))
    {
        group.filter = filter;
    } else {
        group.filter = one_of(input, &NAMED_FILTERS, "mailboxes to watch")?;
        input.space()?;
        group.mailboxes = one_or_more_mailbox(input)?;
    }
    input.space()?;
    if input.peek() == Some(b'(') {
        let start = input.clone();
        parenthesised(input, |input| event(input, &mut group))?;
        if group.events.is_empty() {
            return start.expected("an event in the list");
        }
    } else if !input.take_word(b"NONE") {
        loop {
            input.room(group.events.len(), "events")?;
            event(input, &mut group)?;
            if !input.take_space() {
                break;
            }
        }
    }
    input.close()?;
    Ok(group)
}

/// ```abnf
/// event         = message-event / mailbox-event / user-event / event-ext
/// message-event = ("MessageNew" [SP "(" fetch-att *(SP fetch-att) ")"]) / ...
/// event-ext     = atom
/// ```
fn event(input: &mut Cursor<'_>, group: &mut EventGroup) -> Parsed<()> {
    let event = upper_atom(input, "an event")?;
    let mut ahead = input.clone();
    if event == "MESSAGENEW" && ahead.take_space() && ahead.peek() == Some(b'(') {
        input.space()?;
        (group.items, group.uid_asked) = kept_items(input)?;
    }
    group.events.push(event);
    Ok(())
}

/// ```abnf
/// "(" fetch-att *(SP fetch-att) ")"
/// ```
/// Of NOTIFY and UPDATE. Return the items, which a session keeps, and true if UID is one of them.
pub(super) fn kept_items(input: &mut Cursor<'_>) -> Parsed<(Vec<FetchItem>, bool)> {
    let start = input.at();
    let items = item_list(input)?;
    if input.at() - start > NOTIFY_ITEMS {
        let what = "bytes of FETCH items in NOTIFY or UPDATE";
        return Err(ParseError::Over(what, NOTIFY_ITEMS));
    }
    Ok(items)
}
