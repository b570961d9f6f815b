//! LIST, LSUB, STATUS.

use imapvm_core::wire::command::{List, Verb};

use crate::{check_all, line};

fn list(reference: &str, patterns: &[&str]) -> List {
    List {
        reference: reference.to_owned(),
        patterns: patterns
            .iter()
            .map(|pattern| (*pattern).to_owned())
            .collect(),
        ..List::default()
    }
}

fn extended(patterns: &[&str], selection: &[&'static str], returns: &[&'static str]) -> Verb {
    Verb::List(List {
        extended: true,
        selection: selection.to_vec(),
        returns: returns.to_vec(),
        ..list("", patterns)
    })
}

#[test]
fn basic_list() {
    check_all(&[
        line("9051 6.3.9", "LIST \"\" \"\"", Verb::List(list("", &[""]))),
        line("9051 6.3.9", "LIST \"\" *", Verb::List(list("", &["*"]))),
        line(
            "9051 6.3.9",
            "list #news.comp.mail.misc \"\"",
            Verb::List(list("#news.comp.mail.misc", &[""])),
        ),
        line(
            "9051 6.3.9",
            "LIST inbox/ %/\"a\"",
            Verb::List(list("INBOX/", &["%/"])),
        )
        .malformed("LIST", "expected a space at column 18"),
        line(
            "9051 6.3.9",
            "LIST /usr/staff/jones/ b%r]*",
            Verb::List(list("/usr/staff/jones/", &["b%r]*"])),
        ),
        line(
            "3501 5.1.3",
            "LIST \"\" \"&AOk-%\" ",
            Verb::List(list("", &["é%"])),
        ),
        line(
            "3501 6.3.9",
            "LSUB \"\" *",
            Verb::Lsub {
                reference: String::new(),
                pattern: "*".into(),
            },
        ),
    ]);
}

#[test]
fn extended_list() {
    check_all(&[
        line(
            "5258 5",
            "LIST (SUBSCRIBED) \"\" \"*\"",
            extended(&["*"], &["SUBSCRIBED"], &[]),
        ),
        line(
            "5258 5",
            "LIST () \"\" \"%\" RETURN (CHILDREN)",
            extended(&["%"], &[], &["CHILDREN"]),
        ),
        line(
            "5258 5",
            "LIST (REMOTE) \"\" \"%\" RETURN (children Subscribed CHILDREN)",
            extended(&["%"], &["REMOTE"], &["CHILDREN", "SUBSCRIBED"]),
        ),
        line(
            "5258 5",
            "LIST (RECURSIVEMATCH SUBSCRIBED) \"\" \"*2\"",
            extended(&["*2"], &["RECURSIVEMATCH", "SUBSCRIBED"], &[]),
        ),
        line(
            "5258 5",
            "LIST \"\" (\"INBOX\" Drafts \"Sent/%\")",
            extended(&["INBOX", "Drafts", "Sent/%"], &[], &[]),
        ),
        line(
            "6154 5.1",
            "LIST (SPECIAL-USE) \"\" \"*\" RETURN (SPECIAL-USE)",
            extended(&["*"], &["SPECIAL-USE"], &["SPECIAL-USE"]),
        ),
        line(
            "8440 4",
            "LIST \"\" \"%\" RETURN (MYRIGHTS)",
            extended(&["%"], &[], &["MYRIGHTS"]),
        ),
        line(
            "5258 6",
            "LIST \"\" \"%\" RETURN () ",
            extended(&["%"], &[], &[]),
        ),
        line(
            "5819 2",
            "LIST \"\" % RETURN (STATUS (MESSAGES unseen) CHILDREN)",
            Verb::List(List {
                extended: true,
                returns: vec!["CHILDREN"],
                status: Some(vec!["MESSAGES", "UNSEEN"]),
                ..list("", &["%"])
            }),
        ),
    ]);
}

#[test]
fn list_that_is_bad() {
    let cases: Vec<_> = [
        (
            "5258 3",
            "LIST (RECURSIVEMATCH) \"\" *",
            "expected an option that RECURSIVEMATCH goes with at column 25",
        ),
        (
            "5258 3",
            "LIST (RECURSIVEMATCH REMOTE) \"\" *",
            "expected an option that RECURSIVEMATCH goes with at column 32",
        ),
        (
            "5258 3",
            "LIST (NEW) \"\" *",
            "expected a LIST selection option at column 10",
        ),
        (
            "5258 6",
            "LIST \"\" ()",
            "expected a mailbox pattern in the list at column 14",
        ),
        (
            "5258 6",
            "LIST \"\" * RETURN (NEW)",
            "expected a LIST return option at column 22",
        ),
        (
            "5258 6",
            "LIST \"\" * SUBSCRIBED",
            "expected RETURN at column 14",
        ),
        (
            "5819 5",
            "LIST \"\" * RETURN (STATUS ())",
            "expected a STATUS item in the list at column 31",
        ),
        ("9051 9", "LIST \"\"", "expected a space at column 11"),
    ]
    .into_iter()
    .map(|(section, sent, message)| line(section, sent, Verb::Noop).malformed("LIST", message))
    .collect();
    check_all(&cases);
}

#[test]
fn status() {
    let status = |items: &[&'static str]| Verb::Status {
        mailbox: "blurdybloop".into(),
        items: items.to_vec(),
    };
    check_all(&[
        line(
            "9051 6.3.11",
            "STATUS blurdybloop (UIDNEXT MESSAGES)",
            status(&["UIDNEXT", "MESSAGES"]),
        ),
        line(
            "9051 6.3.11",
            "STATUS blurdybloop (messages UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE RECENT HIGHESTMODSEQ \
             MAILBOXID APPENDLIMIT DELETED-STORAGE MESSAGES)",
            status(&[
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
            ]),
        ),
        line("9051 6.3.11", "STATUS x ()", status(&[]))
            .malformed("STATUS", "expected a STATUS item in the list at column 15"),
        line("9051 6.3.11", "STATUS x MESSAGES", status(&[]))
            .malformed("STATUS", "expected \"(\" at column 13"),
    ]);
}
