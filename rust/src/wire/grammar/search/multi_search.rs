//! ESEARCH (RFC 7377 section 4, RFC 5465 section 8).

use super::super::mailbox::mailbox;
use super::super::parenthesised;
use super::search_program;
use crate::wire::ast::MailboxFilter;
use crate::wire::command::Verb;
use crate::wire::syntax::cursor::{Cursor, Parsed};

/// ```abnf
/// esearch             = "ESEARCH" [SP esearch-source-opts] [SP search-return-opts] SP search-program
/// esearch-source-opts = "IN" SP "(" source-mbox [SP "(" scope-options ")"] ")"
/// source-mbox         = filter-mailboxes *(SP filter-mailboxes)
/// ```
/// No scope options are defined.
pub(in super::super) fn esearch(input: &mut Cursor<'_>) -> Parsed<Verb> {
    let mut sources = None;
    if input.take_word(b"IN") {
        input.space()?;
        let mut filters = Vec::new();
        let start = input.clone();
        parenthesised(input, |input| {
            filters.push(filter_mailboxes(input)?);
            Ok(())
        })?;
        if filters.is_empty() {
            return start.expected("mailboxes to search");
        }
        input.space()?;
        sources = Some(filters);
    }
    let (returns, program) = search_program(input, "an ESEARCH return option")?;
    Ok(Verb::MultiSearch {
        sources,
        returns: returns.options,
        window: returns.window,
        update: returns.update,
        program,
    })
}

/// ```abnf
/// filter-mailboxes = "selected" / "inboxes" / "personal" / "subscribed" /
///                    ("subtree" / "subtree-one" / "mailboxes") SP one-or-more-mailbox
/// ```
fn filter_mailboxes(input: &mut Cursor<'_>) -> Parsed<MailboxFilter> {
    let bare = [
        ("SELECTED", MailboxFilter::Selected),
        ("INBOXES", MailboxFilter::Inboxes),
        ("PERSONAL", MailboxFilter::Personal),
        ("SUBSCRIBED", MailboxFilter::Subscribed),
    ];
    for (word, filter) in bare {
        if input.take_word(word.as_bytes()) {
            return Ok(filter);
        }
    }
    let filter: fn(Vec<String>) -> MailboxFilter = if input.take_word(b"SUBTREE") {
        MailboxFilter::Subtree
    } else if input.take_word(b"SUBTREE-ONE") {
        MailboxFilter::SubtreeOne
    } else if input.take_word(b"MAILBOXES") {
        MailboxFilter::Mailboxes
    } else {
        return input.expected("mailboxes to search");
    };
    input.space()?;
    one_or_more_mailbox(input).map(filter)
}

/// ```abnf
/// one-or-more-mailbox = mailbox / "(" mailbox *(SP mailbox) ")"
/// ```
pub(in super::super) fn one_or_more_mailbox(input: &mut Cursor<'_>) -> Parsed<Vec<String>> {
    if input.peek() != Some(b'(') {
        return Ok(vec![mailbox(input)?]);
    }
    let start = input.clone();
    let mut names = Vec::new();
    parenthesised(input, |input| {
        names.push(mailbox(input)?);
        Ok(())
    })?;
    if names.is_empty() {
        return start.expected("a mailbox in the list");
    }
    Ok(names)
}
