//! CATENATE (RFC 4469) and REPLACE (RFC 8508), with URLs (RFC 5092).

use imapvm_core::wire::ast::{MessageUrl, Partial, Section, SectionText, system};
use imapvm_core::wire::command::{AppendMessage, AppendText, AppendUrl, Event, Verb};
use imapvm_core::wire::limits::Limits;
use imapvm_core::wire::reader::Reader;
use imapvm_core::wire::syntax::flags::FlagList;

use crate::{case, check_all, command, malformed, over, read, read_with, set};

const END: Event = Event::AppendMessageEnd;

fn append(mailbox: &str) -> Event {
    let mailbox = mailbox.to_owned();
    command("a", Verb::Append { mailbox })
}

fn message() -> AppendMessage {
    AppendMessage {
        flags: FlagList::default(),
        date: None,
        size: 0,
        waits: false,
        binary: false,
        utf8: false,
        catenate: true,
        too_big: false,
    }
}

fn plain(size: u64, waits: bool) -> Event {
    Event::AppendMessage(AppendMessage {
        size,
        waits,
        catenate: false,
        ..message()
    })
}

fn text(size: u64, waits: bool) -> Event {
    Event::AppendText(AppendText {
        size,
        waits,
        too_big: false,
    })
}

fn data(bytes: &[u8]) -> Event {
    Event::AppendData(bytes.to_vec())
}

fn whole(mailbox: &str, uid: u32) -> MessageUrl {
    MessageUrl {
        mailbox: Some(mailbox.to_owned()),
        uid_validity: None,
        uid,
        section: section(&[], SectionText::All),
        partial: None,
    }
}

fn section(part: &[u32], text: SectionText) -> Section {
    Section {
        part: part.to_vec(),
        text,
    }
}

fn url(received: &str, target: MessageUrl) -> Event {
    Event::AppendUrl(AppendUrl {
        received: received.into(),
        target: Some(target),
    })
}

#[test]
fn parts_in_the_order_sent() {
    let drafts = |uid, part: &[u32], text| MessageUrl {
        uid_validity: Some(385_759_045),
        section: section(part, text),
        ..whole("Drafts", uid)
    };
    let start = "/Drafts;UIDVALIDITY=385759045/;UID=20/;section=";
    let flags = FlagList {
        system: system::SEEN | system::DRAFT,
        keywords: vec!["$MDNSent".into()],
    };
    check_all(&[
        case(
            "4469 A, example 1",
            format!(
                "a APPEND Drafts (\\Seen \\Draft $MDNSent) CATENATE (URL \"{start}HEADER\" TEXT {{3}}\r\n\
                 \r\n- URL \"{start}1.MIME\" URL \"{start}1\" TEXT {{2}}\r\n--\
                \x20URL \"/Drafts;UIDVALIDITY=385759045/;UID=30\" TEXT {{4}}\r\n----)\r\nb NOOP\r\n"
            ),
            vec![
                append("Drafts"),
                Event::AppendMessage(AppendMessage { flags, ..message() }),
                url(
                    &format!("{start}HEADER"),
                    drafts(20, &[], SectionText::Header),
                ),
                text(3, true),
                data(b"\r\n-"),
                url(
                    &format!("{start}1.MIME"),
                    drafts(20, &[1], SectionText::Mime),
                ),
                url(&format!("{start}1"), drafts(20, &[1], SectionText::All)),
                text(2, true),
                data(b"--"),
                url(
                    "/Drafts;UIDVALIDITY=385759045/;UID=30",
                    drafts(30, &[], SectionText::All),
                ),
                text(4, true),
                data(b"----"),
                END,
                Event::AppendEnd,
                command("b", Verb::Noop),
            ],
        ),
        case(
            "4469 3, no literal",
            "a append x catenate (url /x/;UID=1 URL /x/;UID=2)\r\nb NOOP\r\n",
            vec![
                append("x"),
                Event::AppendMessage(message()),
                url("/x/;UID=1", whole("x", 1)),
                url("/x/;UID=2", whole("x", 2)),
                END,
                Event::AppendEnd,
                command("b", Verb::Noop),
            ],
        ),
        case(
            "4469 5, URLs as literals, with and without waiting",
            "a APPEND {1}\r\nx CATENATE (URL {9}\r\n/x/;UID=1 TEXT {1+}\r\na URL {9}\r\n/x/;UID=2 URL {9+}\r\n/x/;UID=3)\r\n",
            vec![
                Event::LiteralWanted(1),
                Event::LiteralWanted(9),
                append("x"),
                Event::AppendMessage(message()),
                url("/x/;UID=1", whole("x", 1)),
                text(1, false),
                data(b"a"),
                Event::LiteralWanted(9),
                url("/x/;UID=2", whole("x", 2)),
                url("/x/;UID=3", whole("x", 3)),
                END,
                Event::AppendEnd,
            ],
        ),
        case(
            "4469 1, with MULTIAPPEND",
            "a APPEND x CATENATE (URL /x/;UID=1) {1}\r\nm CATENATE (TEXT {1}\r\nt) () CATENATE ( TEXT ~{1+}\r\n8 )\r\n",
            vec![
                append("x"),
                Event::AppendMessage(message()),
                url("/x/;UID=1", whole("x", 1)),
                END,
                plain(1, true),
                data(b"m"),
                END,
                Event::AppendMessage(message()),
                text(1, true),
                data(b"t"),
                END,
                Event::AppendMessage(message()),
                text(1, false),
                data(b"8"),
                END,
                Event::AppendEnd,
            ],
        ),
    ]);
}

#[test]
fn replace_has_one_message() {
    let replace = |uid: bool, numbers: &str| {
        let verb = Verb::Replace {
            uid,
            set: set(numbers),
            mailbox: "Drafts".to_owned(),
        };
        command("a", verb)
    };
    let bad = |uid: bool, message: &str| {
        let name = if uid { "UID REPLACE" } else { "REPLACE" };
        malformed(Some("a"), Some(name), message)
    };
    check_all(&[
        case(
            "8508 3.2",
            "a REPLACE 4 Drafts {1}\r\nx\r\n",
            vec![
                replace(false, "4"),
                plain(1, true),
                data(b"x"),
                END,
                Event::AppendEnd,
            ],
        ),
        case(
            "8508 3.3",
            "a uid replace 2000 Drafts {1+}\r\nx\r\n",
            vec![
                replace(true, "2000"),
                plain(1, false),
                data(b"x"),
                END,
                Event::AppendEnd,
            ],
        ),
        case(
            "8508 4.2",
            "a REPLACE * Drafts CATENATE (TEXT {1}\r\nx URL /Drafts/;UID=3002)\r\n",
            vec![
                replace(false, "*"),
                Event::AppendMessage(message()),
                text(1, true),
                data(b"x"),
                url("/Drafts/;UID=3002", whole("Drafts", 3002)),
                END,
                Event::AppendEnd,
            ],
        ),
        case(
            "8508 4.7",
            "a REPLACE 4 Drafts {1+}\r\nx {1+}\r\ny\r\nb NOOP\r\n",
            vec![
                replace(false, "4"),
                plain(1, false),
                data(b"x"),
                END,
                bad(false, "expected the end of the line at column 1"),
                command("b", Verb::Noop),
            ],
        ),
        case(
            "8508 4.7",
            "a UID REPLACE 4 Drafts CATENATE (URL /x/;UID=1) CATENATE (URL /x/;UID=1)\r\n",
            vec![bad(true, "expected the end of the line at column 48")],
        ),
        case(
            "8508 5",
            "a REPLACE 1:2 Drafts {1}\r\n",
            vec![bad(false, "expected a space at column 12")],
        ),
        case(
            "8508 5",
            "a UID REPLACE * Drafts {1}\r\n",
            vec![bad(true, "expected a UID at column 15")],
        ),
        case(
            "8508 5",
            "a REPLACE 4 Drafts\r\n",
            vec![bad(false, "expected a space at column 19")],
        ),
    ]);
}

#[test]
fn malformed_parts() {
    let bad = |message: &str| malformed(Some("a"), Some("APPEND"), message);
    for (sent, message) in [
        ("CATENATE ()", "expected TEXT or URL at column 22"),
        ("CATENATE", "expected a space at column 20"),
        ("CATENATE (URL)", "expected a space at column 25"),
        (
            "CATENATE (FILE /x/;UID=1)",
            "expected TEXT or URL at column 22",
        ),
        ("CATENATE (TEXT \"x\")", "expected a literal at column 27"),
        ("CATENATE (URL /x/;UID=1", "expected a space at column 35"),
        (
            "CATENATE (URL /x/;UID=1 )x",
            "expected a space at column 37",
        ),
    ] {
        check_all(&[case(
            "4469 5",
            format!("a APPEND x {sent}\r\nb NOOP\r\n"),
            vec![bad(message), command("b", Verb::Noop)],
        )]);
    }
    check_all(&[case(
        "4469 5",
        "a APPEND x CATENATE (TEXT {1}\r\ny\r\nb NOOP\r\n",
        vec![
            append("x"),
            Event::AppendMessage(message()),
            text(1, true),
            data(b"y"),
            bad("expected a space at column 1"),
            command("b", Verb::Noop),
        ],
    )]);
}

#[test]
fn urls_of_messages() {
    let targets = [
        ("/INBOX/;UID=20", Some(whole("INBOX", 20))),
        ("/a/b%2Fc%20%C3%BC/;uid=1", Some(whole("a/b/c \u{fc}", 1))),
        ("/./a/../b/;UID=1", Some(whole("b", 1))),
        ("/../b/;UID=1", Some(whole("b", 1))),
        ("/%2e%2E/;UID=1", Some(whole("..", 1))),
        (
            ";UID=7/;PARTIAL=5",
            Some(MessageUrl {
                mailbox: None,
                partial: Some(Partial {
                    start: 5,
                    count: u64::MAX,
                }),
                ..whole("", 7)
            }),
        ),
        (
            "/gray-council;UIDVALIDITY=385759045/;UID=20/;PARTIAL=0.1024",
            Some(MessageUrl {
                uid_validity: Some(385_759_045),
                partial: Some(Partial {
                    start: 0,
                    count: 1024,
                }),
                ..whole("gray-council", 20)
            }),
        ),
        (
            "/x/;uid=20/;section=1.2;partial=1",
            None, // a slash precedes each parameter
        ),
        (
            "/x/;uid=20/;section=1.2.HEADER.FIELDS%20(Subject%20X-%3B)/;partial=2.3",
            Some(MessageUrl {
                section: section(
                    &[1, 2],
                    SectionText::HeaderFields(vec![b"Subject".to_vec(), b"X-;".to_vec()]),
                ),
                partial: Some(Partial { start: 2, count: 3 }),
                ..whole("x", 20)
            }),
        ),
        ("/x/;UID=20/;SECTION=TEXT", {
            Some(MessageUrl {
                section: section(&[], SectionText::Text),
                ..whole("x", 20)
            })
        }),
        ("", None),
        ("/", None),
        ("/x", None),
        ("/x?ALL", None),
        ("x/;UID=1", None),                    // section 7.2
        ("//server/x/;UID=1", None),           // RFC 4469 section 3
        ("imap://server/x/;UID=1", None),      // RFC 4469 section 3
        ("/x/;UID=1;URLAUTH=anonymous", None), // RFC 4467
        ("/x/;UID=1/;URLAUTH=anonymous", None),
        ("/foo/;UID=20/..", None), // section 9.1: the same as /foo
        ("/x/;UID=0", None),
        ("/x/;UID=01", None),
        ("/x/;UID=4294967296", None),
        ("/x/;UID=*", None),
        ("/x/;UID=", None),
        ("/x;UIDVALIDITY=0/;UID=1", None),
        ("/x;UIDVALIDITY=1;UID=1", None),
        ("/x/;UIDVALIDITY=1/;UID=1", None),
        ("/x//y/;UID=1", None),
        ("/../;UID=1", None),
        ("/x%/;UID=1", None),
        ("/x%2/;UID=1", None),
        ("/x%zz/;UID=1", None),
        ("/x%ff/;UID=1", None),
        ("/x%00/;UID=1", None),
        ("/x/;UID=1/;SECTION=", {
            Some(whole("x", 1)) // nothing is the whole message, as in BODY[]
        }),
        ("/x/;UID=1/;SECTION=MIME", None),
        ("/x/;UID=1/;SECTION=1.", None),
        ("/x/;UID=1/;SECTION=1%5D", None),
        ("/x/;UID=1/;PARTIAL=1.0", None),
        ("/x/;UID=1/;PARTIAL=", None),
        ("/x/;UID=1/;PARTIAL=1/;SECTION=1", None),
        ("/x y/;UID=1", None),
        ("/x/;UID=1#a", None),
    ];
    for (received, target) in targets {
        let sent = format!("a APPEND x CATENATE (URL \"{received}\")\r\n");
        let events = read_with(Limits::default(), &[sent.as_bytes()]);
        let expected = Event::AppendUrl(AppendUrl {
            received: received.into(),
            target,
        });
        assert_eq!(events[2], expected, "{received}");
    }
}

#[test]
fn a_refused_catenate_is_skipped_in_every_state() {
    let waits = b"a APPEND x CATENATE (URL /x/;UID=1 URL /x/;UID=2 TEXT {9}\r\n".as_slice();
    let sends =
        b"a APPEND x CATENATE (URL /x/;UID=1 TEXT {8+}\r\nc NOOP\r\n URL {8+}\r\nd NOOP\r\n TEXT {1+}\r\nx)\r\n"
            .as_slice();
    let urls = b"a APPEND x CATENATE (URL /x/;UID=1 URL /x/;UID=2)\r\n".as_slice();
    for (bytes, most) in [(waits, 5), (sends, 8), (urls, 5)] {
        let whole = [bytes, b"b NOOP\r\n"].concat();
        for events in 1..=most {
            let mut reader = Reader::new(Limits::default());
            reader.feed(&whole);
            for _ in 0..events {
                let event = reader.next().expect("an event");
                if matches!(event, Event::AppendText(text) if !text.waits) && events > 4 {
                    let _ = reader.accept_literal();
                }
            }
            reader.refuse_literal();
            let after: Vec<Event> = std::iter::from_fn(|| reader.next()).collect();
            assert_eq!(after, vec![command("b", Verb::Noop)], "{events} events");
        }
    }
    let mut reader = Reader::new(Limits::default());
    read(
        &mut reader,
        &[b"a APPEND x CATENATE (TEXT {1+}\r\nx URL {8+}\r\nd NO"],
    );
    reader.refuse_literal();
    assert_eq!(
        read(&mut reader, &[b"OP\r\n URL /x/;UID=1)\r\nb NOOP\r\n"]),
        vec![command("b", Verb::Noop)]
    );
}

#[test]
fn bounds_of_parts() {
    let limits = Limits {
        append: 3,
        literal: 9,
        command: 84,
        items: 4,
        ..Limits::default()
    };
    let last = |sent: &[u8]| {
        let mut events = read_with(limits, &[sent, b"b NOOP\r\n"]);
        assert_eq!(events.pop(), Some(command("b", Verb::Noop)));
        events.pop()
    };
    assert_eq!(
        last(b"a APPEND x CATENATE (TEXT {4+}\r\nabcd)\r\n"),
        Some(Event::AppendText(AppendText {
            size: 4,
            waits: false,
            too_big: true
        }))
    );
    let too_big = |message| Some(over("a", "APPEND", "TOOBIG", message));
    for head in ["{1+}\r\nx URL", "{1+}\r\nx URL {9+}\r\n/x/;UID=1 URL"] {
        let sent = format!("a APPEND x CATENATE (TEXT {head} {{10+}}\r\n/xx/;UID=1)\r\n");
        assert_eq!(last(sent.as_bytes()), too_big("literal over 9 bytes"));
    }
    assert_eq!(
        last(b"a APPEND x CATENATE (TEXT {1+}\r\nx URL {9+}\r\n/x/;UID=1)\r\n"),
        Some(Event::AppendEnd)
    );
    assert_eq!(
        last(b"a APPEND x CATENATE (TEXT {1+}\r\nx TEXT {1+}\r\ny TEXT {1+}\r\ny TEXT {1+}\r\nx TEXT {1+}\r\nw TEXT {1+}\r\nz)\r\n"),
        too_big("command over 84 bytes")
    );
    assert_eq!(
        last(b"a APPEND x CATENATE (TEXT {1+}\r\nx URL {9+}\r\n/x/;UID=1 URL {9+}\r\n/x/;UID=1 URL {9+}\r\n/x/;UID=1)\r\n"),
        too_big("command over 84 bytes")
    );
    let many = "URL /;UID=1 ".repeat(5);
    let sent = format!("a APPEND x CATENATE ({})\r\n", many.trim_end());
    assert_eq!(
        last(sent.as_bytes()),
        Some(over(
            "a",
            "APPEND",
            "LIMIT",
            "more than 4 messages and parts"
        ))
    );
}
