//! GETMETADATA, SETMETADATA, LIST RETURN (METADATA).

use imapvm_core::wire::command::{Event, GetMetadata, List, Verb};
use imapvm_core::wire::limits::Limits;

use crate::{Case, case, check_all, command, line, malformed, over, read_with};

fn get(mailbox: &str, entries: &[&str], max_size: Option<u64>, depth: &'static str) -> Verb {
    Verb::GetMetadata(GetMetadata {
        mailbox: mailbox.to_owned(),
        entries: entries.iter().map(|entry| (*entry).to_owned()).collect(),
        max_size,
        depth,
    })
}

fn set(mailbox: &str, values: &[(&str, Option<&[u8]>)]) -> Verb {
    Verb::SetMetadata {
        mailbox: mailbox.to_owned(),
        values: values
            .iter()
            .map(|(entry, value)| ((*entry).to_owned(), value.map(<[u8]>::to_vec)))
            .collect(),
    }
}

#[test]
fn getmetadata() {
    let comments = ["/shared/comment", "/private/comment"];
    check_all(&[
        line(
            "5464 4.2",
            "GETMETADATA \"\" /shared/comment",
            get("", &["/shared/comment"], None, "0"),
        ),
        line(
            "5464 4.2",
            "getmetadata \"INBOX\" (/shared/comment /private/comment)",
            get("INBOX", &comments, None, "0"),
        ),
        line(
            "5464 5",
            "GETMETADATA (MAXSIZE 1024 DEPTH 1) INBOX (/shared/comment /private/comment)",
            get("INBOX", &comments, Some(1024), "1"),
        ),
        line(
            "5464 5",
            "GETMETADATA (depth Infinity) INBOX /Private/Vendor",
            get("INBOX", &["/Private/Vendor"], None, "infinity"),
        ),
        line(
            "5464 4.2.1, options after the mailbox",
            "GETMETADATA \"INBOX\" (MAXSIZE 0) ( /shared/comment /private/comment )",
            get("INBOX", &comments, Some(0), "0"),
        ),
        line(
            "5464 4.2.2, options after the mailbox",
            "GETMETADATA INBOX (DEPTH 1) (/private/filters/values)",
            get("INBOX", &["/private/filters/values"], None, "1"),
        ),
        line(
            "5464 4.4.1, without parentheses",
            "GETMETADATA INBOX /private/comment \"/shared/a b\" ",
            get("INBOX", &["/private/comment", "/shared/a b"], None, "0"),
        ),
        line(
            "5464 5, entry = astring",
            "GETMETADATA INBOX (\"/shared/x\" {9+}\r\n/shared/y)",
            get("INBOX", &["/shared/x", "/shared/y"], None, "0"),
        ),
    ]);
}

#[test]
fn getmetadata_that_is_bad() {
    let cases: Vec<Case> = [
        ("GETMETADATA INBOX", "expected a space at column 21"),
        (
            "GETMETADATA INBOX ()",
            "expected an entry in the list at column 24",
        ),
        (
            "GETMETADATA () INBOX /shared/x",
            "expected an option in the list at column 18",
        ),
        (
            "GETMETADATA (DEPTH 2) INBOX /shared/x",
            "expected 0, 1 or infinity at column 23",
        ),
        (
            "GETMETADATA (MAXSIZE x) INBOX /shared/x",
            "expected a number at column 25",
        ),
        (
            "GETMETADATA (DEPTH 0 DEPTH 1) INBOX /shared/x",
            "expected MAXSIZE or DEPTH, each once at column 25",
        ),
        (
            "GETMETADATA (SIZE 5) INBOX /shared/x",
            "expected MAXSIZE or DEPTH, each once at column 17",
        ),
        (
            "GETMETADATA (DEPTH 0) INBOX (DEPTH 1) /shared/x",
            "expected an entry name as /private/comment at column 33",
        ),
    ]
    .into_iter()
    .map(|(sent, message)| line("5464 5", sent, Verb::Noop).malformed("GETMETADATA", message))
    .collect();
    check_all(&cases);
}

#[test]
fn entry_names() {
    for name in [
        "\"\"",
        "comment",
        "/",
        "/comment",
        "//shared/x",
        "/shared//x",
        "/shared/x/",
        "/shared/",
        "\"/shared/*\"",
        "\"/shared/%\"",
        "\"/shared/\u{e9}\"",
        "/sharedx/y",
        "\"/shared/a\tb\"",
        "/shared/x\u{e9}",
    ] {
        let sent = format!("GETMETADATA INBOX ({name})");
        let message = "expected an entry name as /private/comment at column 23";
        check_all(&[line("5464 3.2", sent, Verb::Noop).malformed("GETMETADATA", message)]);
    }
    for name in [
        "/shared",
        "/PRIVATE",
        "/shared/x",
        "/private/vendor",
        "/private/a.b-c/d",
    ] {
        let sent = format!("GETMETADATA INBOX ({name})");
        check_all(&[line("5464 3.2", sent, get("INBOX", &[name], None, "0"))]);
    }
}

#[test]
fn setmetadata() {
    let text = &b"My new comment across\r\ntwo lines.\r\n"[..];
    let mut sent = b"a1 SETMETADATA INBOX (/private/comment {35}\r\n".to_vec();
    sent.extend_from_slice(text);
    sent.extend_from_slice(b")\r\n");
    check_all(&[
        case(
            "5464 4.3",
            sent,
            vec![
                Event::LiteralWanted(35),
                command("a1", set("INBOX", &[("/private/comment", Some(text))])),
            ],
        ),
        line(
            "5464 4.3",
            "SETMETADATA INBOX (/private/comment NIL)",
            set("INBOX", &[("/private/comment", None)]),
        ),
        line(
            "5464 4.3",
            "SETMETADATA INBOX (/private/comment \"My new comment\" /shared/comment \"\")",
            set(
                "INBOX",
                &[
                    ("/private/comment", Some(b"My new comment")),
                    ("/shared/comment", Some(b"")),
                ],
            ),
        ),
        line(
            "5464 5, literal8",
            b"SETMETADATA \"\" (/shared/vendor/a/b ~{3+}\r\n\x00\xff\n \"/private/x\" nil)",
            set(
                "",
                &[
                    ("/shared/vendor/a/b", Some(b"\x00\xff\n")),
                    ("/private/x", None),
                ],
            ),
        ),
        line(
            "5464 5, literal8",
            b"SETMETADATA \"\" (/private/x ~{0+}\r\n)",
            set("", &[("/private/x", Some(b""))]),
        ),
    ]);
}

#[test]
fn setmetadata_that_is_bad() {
    let cases: Vec<Case> = [
        (
            "SETMETADATA INBOX ()",
            "expected an entry in the list at column 24",
        ),
        (
            "SETMETADATA INBOX /private/comment NIL",
            "expected \"(\" at column 22",
        ),
        (
            "SETMETADATA INBOX (/private/comment x)",
            "expected a string, a literal or NIL at column 40",
        ),
        (
            "SETMETADATA INBOX (/private/comment)",
            "expected a space at column 39",
        ),
        (
            "SETMETADATA INBOX (/private NIL)",
            "expected more components in an entry name at column 23",
        ),
        (
            "SETMETADATA INBOX (/shared/Vendor/a NIL)",
            "expected more components in an entry name at column 23",
        ),
        (
            "SETMETADATA INBOX (/private/* NIL)",
            "expected an entry name as /private/comment at column 23",
        ),
    ]
    .into_iter()
    .map(|(sent, message)| line("5464 5", sent, Verb::Noop).malformed("SETMETADATA", message))
    .collect();
    check_all(&cases);
    check_all(&[case(
        "5464 5, NUL needs literal8",
        b"a1 SETMETADATA INBOX (/private/x {3+}\r\na\0b)\r\n",
        vec![malformed(
            Some("a1"),
            Some("SETMETADATA"),
            "expected a string without NUL at column 41",
        )],
    )]);
}

#[test]
fn a_value_over_the_bounds_of_the_reader_is_too_large() {
    let limits = Limits {
        line: 60,
        literal: 10,
        ..Limits::default()
    };
    let code = "METADATA MAXSIZE 32768";
    assert_eq!(
        read_with(limits, &[b"a1 SETMETADATA INBOX (/private/x {11}\r\n"]),
        [over("a1", "SETMETADATA", code, "literal over 10 bytes")]
    );
    let long = format!(
        "a1 SETMETADATA INBOX (/private/x \"{}\")\r\n",
        "x".repeat(60)
    );
    assert_eq!(
        read_with(limits, &[long.as_bytes()]),
        [over("a1", "SETMETADATA", code, "line over 60 bytes")]
    );
    assert_eq!(
        read_with(limits, &[b"a1 GETMETADATA INBOX ({11}\r\n"]),
        [over("a1", "GETMETADATA", "TOOBIG", "literal over 10 bytes")]
    );
}

#[test]
fn list_with_metadata() {
    let list = |status, returns: &[&'static str]| {
        Verb::List(List {
            patterns: vec!["%".to_owned()],
            extended: true,
            returns: returns.to_vec(),
            status,
            metadata: Some(vec![
                "/private/comment".to_owned(),
                "/shared/vendor/acme/tint".to_owned(),
            ]),
            ..List::default()
        })
    };
    check_all(&[
        line(
            "9590 4",
            "LIST \"\" % RETURN (METADATA (/private/comment \"/shared/vendor/acme/tint\"))",
            list(None, &[]),
        ),
        line(
            "9590 4",
            "LIST \"\" % RETURN (CHILDREN metadata (/private/comment /shared/vendor/acme/tint) \
             STATUS (UNSEEN))",
            list(Some(vec!["UNSEEN"]), &["CHILDREN"]),
        ),
        line("9590 4", "LIST \"\" % RETURN (METADATA ())", Verb::Noop)
            .malformed("LIST", "expected an entry in the list at column 33"),
        line(
            "9590 4",
            "LIST \"\" % RETURN (METADATA (comment))",
            Verb::Noop,
        )
        .malformed(
            "LIST",
            "expected an entry name as /private/comment at column 32",
        ),
    ]);
}
