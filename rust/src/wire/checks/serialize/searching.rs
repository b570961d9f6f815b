//! SEARCH, SORT and THREAD.

use super::fetching::item_list;
use super::{CommandText, date};
use crate::wire::ast::{
    Field, Flag, MailboxFilter, SearchKey, SortCriterion, ThreadAlgorithm, When, Window, system,
};
use crate::wire::command::Update;
use crate::wire::grammar::{ALGORITHMS, SORT_KEYS};

/// Recursive, over a tree whose depth the reader bounded.
pub(super) fn search_key(out: &mut CommandText, key: &SearchKey) {
    match key {
        SearchKey::All => out.put("ALL"),
        SearchKey::And(keys) => {
            out.put("(");
            for (place, key) in keys.iter().enumerate() {
                out.put(if place > 0 { " " } else { "" });
                search_key(out, key);
            }
            out.put(")");
        }
        SearchKey::Or(keys) => {
            out.put("OR ");
            search_key(out, &keys.0);
            out.put(" ");
            search_key(out, &keys.1);
        }
        SearchKey::Not(key) => {
            out.put("NOT ");
            search_key(out, key);
        }
        SearchKey::Fuzzy(key) => {
            out.put("FUZZY ");
            search_key(out, key);
        }
        SearchKey::Flag(flag) => out.put(&match flag {
            Flag::System(system::SEEN) => "SEEN".to_owned(),
            Flag::System(system::ANSWERED) => "ANSWERED".to_owned(),
            Flag::System(system::FLAGGED) => "FLAGGED".to_owned(),
            Flag::System(system::DELETED) => "DELETED".to_owned(),
            Flag::System(_) => "DRAFT".to_owned(),
            Flag::Recent => "RECENT".to_owned(),
            Flag::Keyword(name) => format!("KEYWORD {name}"),
        }),
        SearchKey::Numbers(set) => out.set(set),
        SearchKey::Uids(set) => {
            out.put("UID ");
            out.set(set);
        }
        SearchKey::InternalDate(when, days) => dated(out, "", *when, *days),
        SearchKey::SentDate(when, days) => dated(out, "SENT", *when, *days),
        SearchKey::SavedDate(when, days) => dated(out, "SAVED", *when, *days),
        SearchKey::SaveDateSupported => out.put("SAVEDATESUPPORTED"),
        SearchKey::Larger(bytes) => out.put(&format!("LARGER {bytes}")),
        SearchKey::Smaller(bytes) => out.put(&format!("SMALLER {bytes}")),
        SearchKey::Older(seconds) => out.put(&format!("OLDER {seconds}")),
        SearchKey::Younger(seconds) => out.put(&format!("YOUNGER {seconds}")),
        SearchKey::Filter(name) => out.put(&format!("FILTER {name}")),
        SearchKey::ModSeq(modseq) => out.put(&format!("MODSEQ {modseq}")),
        SearchKey::EmailId(Some(id)) => out.put(&format!("EMAILID M{id:016x}")),
        SearchKey::EmailId(None) => out.put("EMAILID none"),
        SearchKey::ThreadId(Some(id)) => out.put(&format!("THREADID T{id:016x}")),
        SearchKey::ThreadId(None) => out.put("THREADID none"),
        SearchKey::Field(field, text) => {
            out.put(match field {
                Field::From => "FROM ",
                Field::To => "TO ",
                Field::Cc => "CC ",
                Field::Bcc => "BCC ",
                Field::Subject => "SUBJECT ",
            });
            out.string(text.as_bytes());
        }
        SearchKey::Header(name, text) => {
            out.put("HEADER ");
            out.string(name);
            out.put(" ");
            out.string(text.as_bytes());
        }
        SearchKey::Body(text) => {
            out.put("BODY ");
            out.string(text.as_bytes());
        }
        SearchKey::Text(text) => {
            out.put("TEXT ");
            out.string(text.as_bytes());
        }
    }
}

fn dated(out: &mut CommandText, kind: &str, when: When, days: i64) {
    let when = match when {
        When::Before => "BEFORE",
        When::On => "ON",
        When::Since => "SINCE",
    };
    out.put(&format!("{kind}{when} {}", date(days)));
}

/// RETURN and its options.
pub(super) fn search_returns(
    out: &mut CommandText,
    returns: Option<&[&'static str]>,
    window: Option<Window>,
    update: Option<&Update>,
) {
    if let Some(returns) = returns {
        let options = returns.iter().map(|option| match window {
            Some(window) if *option == "PARTIAL" => partial_range(window),
            _ => (*option).to_owned(),
        });
        let word = update.map(|_| "UPDATE".to_owned());
        out.put("RETURN (");
        out.words(&options.chain(word).collect::<Vec<_>>());
        if let Some(update) = update.filter(|update| !update.items.is_empty()) {
            out.put(" ");
            item_list(out, &update.items);
        }
        out.put(") ");
    }
}

/// IN and the mailboxes that ESEARCH searches.
pub(super) fn mailbox_filters(out: &mut CommandText, filters: &[MailboxFilter]) {
    out.put("IN (");
    for (place, filter) in filters.iter().enumerate() {
        out.put(if place > 0 { " " } else { "" });
        let (word, names) = match filter {
            MailboxFilter::Selected => ("selected", None),
            MailboxFilter::Inboxes => ("inboxes", None),
            MailboxFilter::Personal => ("personal", None),
            MailboxFilter::Subscribed => ("subscribed", None),
            MailboxFilter::Subtree(names) => ("subtree", Some(names)),
            MailboxFilter::SubtreeOne(names) => ("subtree-one", Some(names)),
            MailboxFilter::Mailboxes(names) => ("mailboxes", Some(names)),
        };
        out.put(word);
        if let Some(names) = names {
            out.put(" (");
            for (place, name) in names.iter().enumerate() {
                out.put(if place > 0 { " " } else { "" });
                out.mailbox(name);
            }
            out.put(")");
        }
    }
    out.put(") ");
}

/// PARTIAL with its range.
pub(super) fn partial_range(window: Window) -> String {
    format!("PARTIAL {}:{}", window.one, window.other)
}

pub(super) fn sort_criteria(out: &mut CommandText, criteria: &[SortCriterion]) {
    for (place, criterion) in criteria.iter().enumerate() {
        out.put(if place > 0 { " " } else { "(" });
        out.put(if criterion.reverse { "REVERSE " } else { "" });
        let name = SORT_KEYS.iter().find(|(_, by)| *by == criterion.by);
        out.put(name.map_or("", |(name, _)| name));
    }
    out.put(")");
}

pub(super) fn thread_algorithm(out: &mut CommandText, algorithm: ThreadAlgorithm) {
    let name = ALGORITHMS.iter().find(|(_, known)| *known == algorithm);
    out.put(name.map_or("", |(name, _)| name));
}

/// Charset and keys of SORT and THREAD.
pub(super) fn search_criteria(out: &mut CommandText, program: Option<&SearchKey>) {
    match program {
        Some(key) => {
            out.put(" UTF-8 ");
            search_key(out, key);
        }
        None => out.put(" X-UNKNOWN ALL"),
    }
}
