//! APPEND and its messages.

use imapvm_core::wire::ast::system;
use imapvm_core::wire::command::{AppendMessage, Event, Verb};
use imapvm_core::wire::limits::Limits;
use imapvm_core::wire::reader::Reader;
use imapvm_core::wire::syntax::flags::FlagList;

use crate::{case, check_all, command, malformed, over, read};

fn message(size: u64, waits: bool) -> AppendMessage {
    AppendMessage {
        flags: FlagList::default(),
        date: None,
        size,
        waits,
        binary: false,
        utf8: false,
        catenate: false,
        too_big: false,
    }
}

fn append(mailbox: &str) -> Event {
    command(
        "a",
        Verb::Append {
            mailbox: mailbox.to_owned(),
        },
    )
}

fn data(bytes: &[u8]) -> Event {
    Event::AppendData(bytes.to_vec())
}

const END: Event = Event::AppendMessageEnd;

#[test]
fn append_is_a_head_bytes_and_an_end() {
    let flagged = FlagList {
        system: system::SEEN | system::FLAGGED,
        keywords: vec!["$Junk".into()],
    };
    check_all(&[
        case(
            "9051 6.3.12",
            "a APPEND saved-messages (\\Seen \\flagged $Junk) {5}\r\nabcde\r\nb NOOP\r\n",
            vec![
                append("saved-messages"),
                Event::AppendMessage(AppendMessage {
                    flags: flagged.clone(),
                    ..message(5, true)
                }),
                data(b"abcde"),
                END,
                Event::AppendEnd,
                command("b", Verb::Noop),
            ],
        ),
        case(
            "7888 3",
            "a append inbox () \" 7-Feb-1994 21:52:25 -0800\" {3+}\nx\r\n \nb NOOP\n",
            vec![
                append("INBOX"),
                Event::AppendMessage(AppendMessage {
                    date: Some((760_686_745, -480)),
                    ..message(3, false)
                }),
                data(b"x\r\n"),
                END,
                Event::AppendEnd,
                command("b", Verb::Noop),
            ],
        ),
        case(
            "9051 6.3.12",
            "a APPEND {5}\r\ninbox {0}\r\n\r\n",
            vec![
                Event::LiteralWanted(5),
                append("INBOX"),
                Event::AppendMessage(message(0, true)),
                END,
                Event::AppendEnd,
            ],
        ),
        case(
            "3502 6.3.11",
            "a APPEND x (\\Flagged \\Seen $junk) {2}\r\nab {1+}\r\nc \"01-Jan-1970 00:00:00 +0000\" {1+}\r\nd\r\n",
            vec![
                append("x"),
                Event::AppendMessage(AppendMessage {
                    flags: FlagList {
                        keywords: vec!["$junk".into()],
                        ..flagged
                    },
                    ..message(2, true)
                }),
                data(b"ab"),
                END,
                Event::AppendMessage(message(1, false)),
                data(b"c"),
                END,
                Event::AppendMessage(AppendMessage {
                    date: Some((0, 0)),
                    ..message(1, false)
                }),
                data(b"d"),
                END,
                Event::AppendEnd,
            ],
        ),
        case(
            "3516 4.4",
            "a APPEND x ~{3}\r\na\0b {3}\r\na\0b\r\n",
            vec![
                append("x"),
                Event::AppendMessage(AppendMessage {
                    binary: true,
                    ..message(3, true)
                }),
                data(b"a\0b"),
                END,
                Event::AppendMessage(message(3, true)),
                data(b"a\0b"),
                END,
                Event::AppendEnd,
            ],
        ),
        case(
            "9755 4",
            "a APPEND x UTF8 (~{2+}\r\nab) (\\Seen) utf8 (~{1+}\r\nc)\r\n",
            vec![
                append("x"),
                Event::AppendMessage(AppendMessage {
                    binary: true,
                    utf8: true,
                    ..message(2, false)
                }),
                data(b"ab"),
                END,
                Event::AppendMessage(AppendMessage {
                    binary: true,
                    utf8: true,
                    flags: FlagList {
                        system: system::SEEN,
                        keywords: vec![],
                    },
                    ..message(1, false)
                }),
                data(b"c"),
                END,
                Event::AppendEnd,
            ],
        ),
    ]);
}

#[test]
fn append_that_is_bad() {
    let bad = |message: &str| malformed(Some("a"), Some("APPEND"), message);
    let next = || command("b", Verb::Noop);
    for (sent, message) in [
        ("a APPEND x\r\n", "expected a command with a literal"),
        (
            "a APPEND x (\\Recent) {3}\r\n",
            "expected a flag that can be set at column 13",
        ),
        (
            "a APPEND x (\\Seen){3}\r\n",
            "expected a space at column 19",
        ),
        (
            "a APPEND x \"1-Feb-1994\" {3}\r\n",
            "expected a space at column 23",
        ),
        (
            "a APPEND x \"31-Feb-1994 00:00:00 +0000\" {3}\r\n",
            "expected a day that exists at column 13",
        ),
        (
            "a APPEND x \"01-Feb-1994 24:00:00 +0000\" {3}\r\n",
            "expected a time that exists at column 25",
        ),
        (
            "a APPEND x \"01-Feb-1994 23:60:00 +0000\" {3}\r\n",
            "expected a time that exists at column 25",
        ),
        (
            "a APPEND x \"01-Feb-1994 23:00:61 +0000\" {3}\r\n",
            "expected a time that exists at column 25",
        ),
        (
            "a APPEND x \"01-Feb-1994 23:00:00 +2400\" {3}\r\n",
            "expected a zone that exists at column 34",
        ),
        (
            "a APPEND x \"01-Feb-1994 23:00:00 0000\" {3}\r\n",
            "expected a zone as -0700 at column 34",
        ),
        (
            "a APPEND x UTF8 ({3}\r\n",
            "expected a literal as ~{n} at column 18",
        ),
        ("a APPEND x foo {3}\r\n", "expected a literal at column 12"),
        // Who does not wait sends what it announced; nothing of it is a command.
        (
            "a APPEND x foo {8+}\r\nc NOOP\r\n {8+}\r\nd NOOP\r\n\r\n",
            "expected a literal at column 12",
        ),
    ] {
        let message = if message.contains("command with") {
            "expected a space at column 11"
        } else {
            message
        };
        check_all(&[case(
            "9051 6.3.12",
            format!("{sent}b NOOP\r\n"),
            vec![bad(message), next()],
        )]);
    }
    check_all(&[
        case(
            "3502 6.3.11",
            "a APPEND x {1}\r\ny (\\Seen)\r\nb NOOP\r\n",
            vec![
                append("x"),
                Event::AppendMessage(message(1, true)),
                data(b"y"),
                END,
                bad("expected a space at column 9"),
                next(),
            ],
        ),
        case(
            "9755 4",
            "a APPEND x UTF8 (~{1}\r\ny\r\nb NOOP\r\n",
            vec![
                append("x"),
                Event::AppendMessage(AppendMessage {
                    binary: true,
                    utf8: true,
                    ..message(1, true)
                }),
                data(b"y"),
                END,
                bad("expected \")\" at column 1"),
                next(),
            ],
        ),
        case(
            "3502 6.3.11",
            "a APPEND x {1+}\r\ny z {8+}\r\nc NOOP\r\n {1}\r\nb NOOP\r\n",
            vec![
                append("x"),
                Event::AppendMessage(message(1, false)),
                data(b"y"),
                END,
                bad("expected a literal at column 2"),
                next(),
            ],
        ),
    ]);
}

#[test]
fn a_refused_append_is_skipped_in_every_state() {
    // Number of events before the refusal, and the bytes after it.
    let waiting = b"a APPEND x {8}\r\n".as_slice();
    let sent = b"a APPEND x {8+}\r\nc NOOP\r\n {8+}\r\nd NOOP\r\n (\\Seen) {2}\r\n".as_slice();
    for (bytes, events) in [(waiting, 1), (waiting, 2), (sent, 1), (sent, 2)] {
        let whole = [bytes, b"b NOOP\r\n"].concat();
        for at in 1..whole.len() {
            let mut reader = Reader::new(Limits::default());
            let mut taken = 0;
            let mut after = Vec::new();
            for piece in [&whole[..at], &whole[at..]] {
                reader.feed(piece);
                while taken < events && reader.next().is_some() {
                    taken += 1;
                    if taken == events {
                        reader.refuse_literal();
                    }
                }
                if taken == events {
                    after.extend(read(&mut reader, &[]));
                    after.extend(std::iter::from_fn(|| reader.next()));
                }
            }
            assert_eq!(after, vec![command("b", Verb::Noop)], "cut at {at}");
        }
    }
    // In the middle of a message, and after it.
    for (before, after) in [
        (
            &b"a APPEND x {8+}\r\nc NO"[..],
            &b"OP\r\n {1+}\r\nz\r\nb NOOP\r\n"[..],
        ),
        (
            b"a APPEND x {8+}\r\nc NOOP\r\n",
            b" {1+}\r\nz\r\nb NOOP\r\n",
        ),
        (
            b"a APPEND x {8+}\r\nc NOOP\r\n (",
            b") {1+}\r\nz\r\nb NOOP\r\n",
        ),
        (b"a APPEND x {8+}\r\nc NOOP\r\n", b"\r\nb NOOP\r\n"),
    ] {
        let mut reader = Reader::new(Limits::default());
        read(&mut reader, &[before]);
        reader.refuse_literal();
        assert_eq!(read(&mut reader, &[after]), vec![command("b", Verb::Noop)]);
    }
}

#[test]
fn a_message_over_its_bound_is_announced_so_that_it_is_refused_by_name() {
    let limits = Limits {
        append: 3,
        ..Limits::default()
    };
    let sent = b"a APPEND x {3+}\r\nabc {4+}\r\nabcd\r\nb NOOP\r\n";
    let events = crate::read_with(limits, &[sent]);
    let big = AppendMessage {
        too_big: true,
        ..message(4, false)
    };
    assert_eq!(
        events,
        vec![
            append("x"),
            Event::AppendMessage(message(3, false)),
            data(b"abc"),
            END,
            Event::AppendMessage(big),
            command("b", Verb::Noop),
        ]
    );
    let over_command = Limits {
        command: 31,
        ..Limits::default()
    };
    let sent = format!(
        "a APPEND x {{1+}}\r\ny{}\r\nb NOOP\r\n",
        " {1+}\r\ny".repeat(3)
    );
    assert_eq!(
        crate::read_with(over_command, &[sent.as_bytes()]).split_off(10),
        vec![
            over("a", "APPEND", "TOOBIG", "command over 31 bytes"),
            command("b", Verb::Noop)
        ]
    );
}
