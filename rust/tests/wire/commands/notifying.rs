//! NOTIFY (RFC 5465 section 8).

use imapvm_core::wire::ast::{FetchItem, Section, SectionText};
use imapvm_core::wire::command::{EventGroup, Notify, Verb};
use imapvm_core::wire::limits::NOTIFY_ITEMS;

use crate::{Case, case, check_all, line, over};

fn set(status: bool, groups: Vec<EventGroup>) -> Verb {
    Verb::Notify(Some(Notify { status, groups }))
}

fn group(filter: &'static str, mailboxes: &[&str], events: &[&str]) -> EventGroup {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    EventGroup {
        filter,
        mailboxes: owned(mailboxes),
        events: owned(events),
        ..EventGroup::default()
    }
}

const NEW: [&str; 2] = ["MESSAGENEW", "MESSAGEEXPUNGE"];

#[test]
fn notify() {
    check_all(&[
        line("5465 8", "NOTIFY NONE", Verb::Notify(None)),
        line(
            "5465 8",
            "notify set (personal none)",
            set(false, vec![group("PERSONAL", &[], &[])]),
        ),
        line(
            "5465 6",
            "NOTIFY SET (mailboxes INBOX (Messagenew messageExpunge)) (personal (SubscriptionChange))",
            set(
                false,
                vec![
                    group("MAILBOXES", &["INBOX"], &NEW),
                    group("PERSONAL", &[], &["SUBSCRIPTIONCHANGE"]),
                ],
            ),
        ),
        line(
            "5465 8, event-ext",
            "NOTIFY SET STATUS (subtree (a \"b c\" &BB8-) (Vendor.Event)) (inboxes NONE) (subscribed (x))",
            set(
                true,
                vec![
                    group("SUBTREE", &["a", "b c", "\u{41f}"], &["VENDOR.EVENT"]),
                    group("INBOXES", &[], &[]),
                    group("SUBSCRIBED", &[], &["X"]),
                ],
            ),
        ),
        line(
            "5465 3.1, without parentheses",
            "notify set (selected-delayed MessageNew MessageExpunge)",
            set(false, vec![group("SELECTED-DELAYED", &[], &NEW)]),
        ),
        line(
            "5465 8, fetch-att",
            "NOTIFY SET (selected (MessageNew (uid uid body.peek[header.fields (from)]) MessageExpunge))",
            set(
                false,
                vec![EventGroup {
                    items: vec![
                        FetchItem::Uid,
                        FetchItem::Section {
                            peek: true,
                            section: Section {
                                part: Vec::new(),
                                text: SectionText::HeaderFields(vec![b"from".to_vec()]),
                            },
                            partial: None,
                        },
                    ],
                    uid_asked: true,
                    ..group("SELECTED", &[], &NEW)
                }],
            ),
        ),
    ]);
}

#[test]
fn items_of_notify_are_bounded() {
    let sent = |size: usize| {
        let items = format!("(UID{}UID)", " ".repeat(size - 8));
        format!("NOTIFY SET (selected (MessageNew {items} MessageExpunge))")
    };
    let verb = set(
        false,
        vec![EventGroup {
            items: vec![FetchItem::Uid],
            uid_asked: true,
            ..group("SELECTED", &[], &NEW)
        }],
    );
    check_all(&[line("a limit", sent(NOTIFY_ITEMS), verb)]);
    let message = "more than 2048 bytes of FETCH items in NOTIFY or UPDATE";
    check_all(&[case(
        "past it",
        format!("a1 {}\r\n", sent(NOTIFY_ITEMS + 1)),
        vec![over("a1", "NOTIFY", "LIMIT", message)],
    )]);
}

#[test]
fn notify_that_is_bad() {
    let cases: Vec<Case> = [
        ("NOTIFY", "expected a space at column 10"),
        ("NOTIFY SET", "expected a space at column 14"),
        ("NOTIFY SET STATUS", "expected a space at column 21"),
        ("NOTIFY GET", "expected SET or NONE at column 11"),
        (
            "NOTIFY SET (all (x))",
            "expected mailboxes to watch at column 16",
        ),
        (
            "NOTIFY SET (personal ())",
            "expected an event in the list at column 25",
        ),
        (
            "NOTIFY SET (subtree () (x))",
            "expected a mailbox in the list at column 24",
        ),
        (
            "NOTIFY SET (selected (MessageNew ()))",
            "expected a FETCH item in the list at column 37",
        ),
        (
            "NOTIFY SET (selected (FlagChange (UID)))",
            "expected an event at column 37",
        ),
    ]
    .into_iter()
    .map(|(sent, message)| line("5465 8", sent, Verb::Noop).malformed("NOTIFY", message))
    .collect();
    check_all(&cases);
}
