//! Each bound at its limit and one past it, and input made to be expensive.

use std::time::{Duration, Instant};

use imapvm_core::wire::command::{Command, Event, Malformed, Verb};
use imapvm_core::wire::limits::Limits;
use imapvm_core::wire::reader::Reader;

use super::{command, fatal, malformed, over, read, read_with};

fn login(tag: &str, user: &str) -> Event {
    command(
        tag,
        Verb::Login {
            user: user.into(),
            password: "y".into(),
        },
    )
}

#[test]
fn line() {
    let limits = Limits {
        line: 20,
        ..Limits::default()
    };
    for end in ["\r\n", "\n"] {
        let sent = format!("a LOGIN 12345678901 y{end}");
        assert_eq!(sent.len() - end.len(), 21);
        for at in 1..sent.len() {
            let (a, b) = sent.as_bytes().split_at(at);
            let expected = over("a", "LOGIN", "TOOBIG", "line over 20 bytes");
            let events = read_with(limits, &[a, b, b"b NOOP\r\n"]);
            assert_eq!(events, vec![expected, command("b", Verb::Noop)]);
        }
        let sent = format!("a LOGIN 1234567890 y{end}");
        for at in 1..sent.len() {
            let (a, b) = sent.as_bytes().split_at(at);
            assert_eq!(read_with(limits, &[a, b]), vec![login("a", "1234567890")]);
        }
    }
    // Each line of a command by itself, and SASL responses, and what follows IDLE.
    let sent = b"a LOGIN {1+}\r\nx yyyyyyyyyyyyyyyyyyyyy\r\n";
    assert_eq!(
        read_with(limits, &[sent]),
        vec![over("a", "LOGIN", "TOOBIG", "line over 20 bytes")]
    );
    let long = "x".repeat(21);
    for (sent, name) in [("a AUTHENTICATE X", "AUTHENTICATE"), ("a IDLE", "IDLE")] {
        let sent = format!("{sent}\r\n{long}\r\nb NOOP\r\n");
        let events = read_with(limits, &[sent.as_bytes()]);
        let expected = over("a", name, "TOOBIG", "line over 20 bytes");
        assert_eq!(events[1..], [expected, command("b", Verb::Noop)]);
    }
}

/// A line over the bound is skipped with its literals, which are not read as commands.
#[test]
fn literals_after_a_long_line_are_skipped() {
    let limits = Limits {
        line: 20,
        ..Limits::default()
    };
    let long = "x".repeat(200);
    let zeros = "0".repeat(80);
    let over = || over("a", "LOGIN", "TOOBIG", "line over 20 bytes");
    let next = || command("b", Verb::Noop);
    for (sent, events) in [
        (
            format!("a LOGIN {long}\r\nb NOOP\r\n"),
            vec![over(), next()],
        ),
        (format!("a LOGIN {long}\nb NOOP\n"), vec![over(), next()]),
        (
            format!("a LOGIN {long} {{10+}}\r\nc LOGOUT\r\n y\r\nb NOOP\r\n"),
            vec![over(), next()],
        ),
        (
            format!("a LOGIN {long} {{10}}\r\nb NOOP\r\n"),
            vec![over(), next()],
        ),
        (
            format!("a LOGIN {{1+}}\r\nx {long} ~{{10+}}\r\nc LOGOUT\r\n {long}\r\nb NOOP\r\n"),
            vec![over(), next()],
        ),
    ] {
        for at in 1..sent.len() {
            let (a, b) = sent.as_bytes().split_at(at);
            assert_eq!(read_with(limits, &[a, b]), events, "{sent} cut at {at}");
        }
    }
    // The bytes that are kept do not have its size.
    let head = format!("a LOGIN {long} {{{zeros}");
    assert_eq!(
        read_with(
            limits,
            &[head.as_bytes(), b"10+}\r\nc LOGOUT\r\n y\r\nb NOOP\r\n"]
        ),
        vec![fatal(
            Some("a"),
            Some("LOGIN"),
            "expected a literal that can end"
        )]
    );
}

#[test]
fn nothing_is_read_after_a_fatal_error() {
    let mut reader = Reader::new(Limits {
        line: 20,
        ..Limits::default()
    });
    let events = read(
        &mut reader,
        &[&[b'x'; 30], b"\r\na NOOP\r\n", b"b NOOP\r\n"],
    );
    assert!(matches!(
        &events[..],
        [Event::Malformed(Malformed { fatal: true, .. })]
    ));
    assert_eq!((reader.buffered(), reader.partial()), (0, false));
}

#[test]
fn literal() {
    let limits = Limits {
        literal: 3,
        ..Limits::default()
    };
    let too_big = || over("a", "LOGIN", "TOOBIG", "literal over 3 bytes");
    let next = || command("b", Verb::Noop);
    for (sent, events) in [
        (
            "a LOGIN {3}\r\nxyz y\r\nb NOOP\r\n",
            vec![Event::LiteralWanted(3), login("a", "xyz"), next()],
        ),
        ("a LOGIN {4}\r\nb NOOP\r\n", vec![too_big(), next()]),
        (
            "a LOGIN {3+}\r\nxyz y\r\nb NOOP\r\n",
            vec![login("a", "xyz"), next()],
        ),
        ("a LOGIN {4+}\r\nx\r\nz {99+}\r\nb NOOP\r\n", vec![]), // the client owes 99 bytes
        (
            "a LOGIN {10+}\r\nc LOGOUT\r\n {3+}\r\nxyz\r\nb NOOP\r\n",
            vec![too_big(), next()],
        ),
        (
            "a LOGIN {10+}\r\nc LOGOUT\r\n {3}\r\nb NOOP\r\n",
            vec![too_big(), next()],
        ),
        (
            "a LOGIN {99999999999999999999}\r\nb NOOP\r\n",
            vec![too_big(), next()],
        ),
        (
            "a LOGIN {99999999999999999999+}\r\nb NOOP\r\n",
            vec![fatal(
                Some("a"),
                Some("LOGIN"),
                "expected a literal that can end",
            )],
        ),
    ] {
        for at in 1..sent.len() {
            let (a, b) = sent.as_bytes().split_at(at);
            assert_eq!(read_with(limits, &[a, b]), events, "{sent} cut at {at}");
        }
    }
}

#[test]
fn whole_command() {
    let limits = Limits {
        command: 24,
        ..Limits::default()
    };
    let too_big = || over("a", "LOGIN", "TOOBIG", "command over 24 bytes");
    for (sent, events) in [
        (
            "a LOGIN {8+}\r\n12345678 y\r\nb NOOP\r\n",
            vec![login("a", "12345678"), command("b", Verb::Noop)],
        ),
        (
            "a LOGIN {8+}\r\n12345678 yy\r\nb NOOP\r\n",
            vec![too_big(), command("b", Verb::Noop)],
        ),
        (
            "a LOGIN {11+}\r\n12345678901\r\nb NOOP\r\n",
            vec![too_big(), command("b", Verb::Noop)],
        ),
        (
            "a LOGIN {11}\r\nb NOOP\r\n",
            vec![too_big(), command("b", Verb::Noop)],
        ),
    ] {
        assert_eq!(read_with(limits, &[sent.as_bytes()]), events, "{sent}");
    }
}

/// One line that has `count` of something, by how it is written.
fn lists(count: usize) -> Vec<(&'static str, &'static str, String)> {
    let join = |word: &str, by: &str| vec![word; count].join(by);
    vec![
        (
            "SEARCH",
            "search keys",
            format!("a SEARCH {}", join("ALL", " ")),
        ),
        (
            "SEARCH",
            "search keys",
            format!("a SEARCH ({})", join("1", " ")),
        ),
        (
            "SEARCH",
            "ranges in a set",
            format!("a SEARCH {}", join("1:2", ",")),
        ),
        (
            "UID FETCH",
            "elements in a list",
            format!("a UID FETCH 1 ({})", join("FLAGS", " ")),
        ),
        (
            "FETCH",
            "elements in a list",
            format!("a FETCH 1 BODY[HEADER.FIELDS ({})]", join("x", " ")),
        ),
        (
            "FETCH",
            "numbers in a part",
            format!("a FETCH 1 BODY[{}]", join("1", ".")),
        ),
        (
            "STORE",
            "flags in a list",
            format!("a STORE 1 FLAGS ({})", join("\\Seen", " ")),
        ),
        (
            "STORE",
            "flags in a list",
            format!("a STORE 1 FLAGS {}", join("x", " ")),
        ),
        (
            "STATUS",
            "elements in a list",
            format!("a STATUS x ({})", join("SIZE", " ")),
        ),
        (
            "LIST",
            "elements in a list",
            format!("a LIST \"\" ({})", join("*", " ")),
        ),
        (
            "ID",
            "elements in a list",
            format!("a ID ({})", join("x y", " ")),
        ),
        (
            "ENABLE",
            "capabilities",
            format!("a ENABLE {}", join("X", " ")),
        ),
    ]
}

#[test]
fn items() {
    let limits = Limits {
        items: 5,
        ..Limits::default()
    };
    for (name, _, sent) in lists(5) {
        let events = read_with(limits, &[sent.as_bytes(), b"\r\n"]);
        assert!(
            matches!(events[..], [Event::Command(_)]),
            "{name}: {events:?}"
        );
    }
    for (name, what, sent) in lists(6) {
        let events = read_with(limits, &[sent.as_bytes(), b"\r\nb NOOP\r\n"]);
        let expected = over("a", name, "LIMIT", &format!("more than 5 {what}"));
        assert_eq!(events, vec![expected, command("b", Verb::Noop)], "{sent}");
    }
    let sent = |count: usize| format!("a SEARCH{}", " TEXT {0+}\r\n".repeat(count));
    let events = read_with(limits, &[sent(5).as_bytes(), b"\r\n"]);
    assert!(matches!(events[..], [Event::Command(_)]), "{events:?}");
    assert_eq!(
        read_with(limits, &[sent(6).as_bytes(), b"\r\n"]),
        vec![over(
            "a",
            "SEARCH",
            "LIMIT",
            "more than 5 literals in a command"
        )]
    );
}

#[test]
fn nesting() {
    let limits = Limits {
        nesting: 4,
        ..Limits::default()
    };
    let kinds = [("(", ")"), ("NOT ", ""), ("OR ", " 1")];
    for (open, close) in kinds {
        for (depth, fits) in [(4, true), (5, false)] {
            let sent = format!(
                "a SEARCH {}1{}\r\n",
                open.repeat(depth),
                close.repeat(depth)
            );
            let events = read_with(limits, &[sent.as_bytes()]);
            if fits {
                assert!(
                    matches!(events[..], [Event::Command(_)]),
                    "{sent}: {events:?}"
                );
            } else {
                let what = "more than 4 search keys in each other";
                assert_eq!(events, vec![over("a", "SEARCH", "LIMIT", what)], "{sent}");
            }
        }
    }
}

/// Feed bytes in network-sized pieces and return the events; the reader may never hold much.
fn pour(limits: Limits, bytes: &[u8]) -> (Vec<Event>, Duration) {
    let mut reader = Reader::new(limits);
    let start = Instant::now();
    let mut events = Vec::new();
    for piece in bytes.chunks(16_384) {
        events.extend(read(&mut reader, &[piece]));
        let bound = limits.command + limits.line + 16_384;
        assert!(
            reader.buffered() <= bound,
            "{} bytes held",
            reader.buffered()
        );
    }
    (events, start.elapsed())
}

#[test]
fn hostile_input_costs_little() {
    const MEGABYTES: usize = 10 * 1024 * 1024;
    let limits = Limits::default();
    let noise: Vec<u8> = (0..MEGABYTES)
        .map(|place| place.wrapping_mul(2_654_435_761).to_le_bytes()[3])
        .collect();
    let parentheses = [b"a SEARCH ".as_slice(), &vec![b'('; 60_000], b"\r\n"].concat();
    let literals = [
        b"a SEARCH".as_slice(),
        &b" TEXT {0}\r\n".repeat(8_000),
        b"\r\n",
    ]
    .concat();
    let skipped = [
        b"a BOGUS {9000000+}\r\n".as_slice(),
        &vec![b'\n'; 9_000_000],
        b"\r\nb NOOP\r\n",
    ]
    .concat();
    let cases: [(&str, Vec<u8>); 8] = [
        ("no line end", vec![b'x'; MEGABYTES]),
        (
            "a million parentheses",
            [b"a SEARCH ".as_slice(), &vec![b'('; 1_000_000]].concat(),
        ),
        ("a line of parentheses", parentheses),
        ("noise", noise),
        ("empty lines", vec![b'\n'; 1_000_000]),
        ("literals that wait", literals),
        ("a literal to skip", skipped),
        ("small commands", b"a NOOP\r\n".repeat(200_000)),
    ];
    for (name, bytes) in cases {
        let (events, took) = pour(limits, &bytes);
        // Generous, for a busy machine and an unoptimised build: what is quadratic takes minutes.
        assert!(took < Duration::from_secs(20), "{name}: {took:?}");
        match name {
            "a million parentheses" => assert_eq!(events, vec![]), // its line has not ended
            "no line end" => {
                assert!(matches!(
                    &events[..],
                    [Event::Malformed(Malformed { fatal: true, .. })]
                ));
            }
            "a line of parentheses" => {
                let what = "more than 64 search keys in each other";
                assert_eq!(events, vec![over("a", "SEARCH", "LIMIT", what)]);
            }
            "literals that wait" => {
                assert_eq!(events.len(), 8_001);
                assert!(matches!(events.last(), Some(Event::Command(_))));
            }
            "a literal to skip" => assert_eq!(
                events,
                vec![
                    over("a", "", "TOOBIG", "literal over 65536 bytes").without_name(),
                    command("b", Verb::Noop)
                ]
            ),
            "small commands" => assert_eq!(events.len(), 200_000),
            _ => assert!(
                events
                    .iter()
                    .all(|event| !matches!(event, Event::Command(_)))
            ),
        }
    }
}

trait WithoutName {
    fn without_name(self) -> Self;
}

impl WithoutName for Event {
    fn without_name(self) -> Self {
        match self {
            Self::Malformed(base) => Self::Malformed(Malformed { name: None, ..base }),
            other => other,
        }
    }
}

#[test]
fn limits_may_widen_between_commands() {
    let mut reader = Reader::new(Limits {
        line: 12,
        ..Limits::default()
    });
    assert_eq!(read(&mut reader, &[b"a LOGIN x y\r\n"]).len(), 1);
    reader.limits = Limits::default();
    assert_eq!(
        read(&mut reader, &[b"b SELECT a-long-mailbox-name\r\n"]),
        vec![Event::Command(Command {
            tag: b"b".to_vec(),
            verb: Verb::Select {
                mailbox: "a-long-mailbox-name".into(),
                read_only: false,
                condstore: false,
                qresync: None
            }
        })]
    );
    assert_eq!(
        read(&mut reader, &[b"c\r\n"]),
        vec![malformed(Some("c"), None, "expected a space at column 2")]
    );
}
