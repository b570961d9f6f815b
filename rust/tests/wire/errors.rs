//! Malformed commands: their responses, and that no other command is affected.

use imapvm_core::wire::command::{Event, Verb};
use imapvm_core::wire::limits::Limits;
use imapvm_core::wire::reader::Reader;

use super::{case, check_all, command, fatal, line, malformed, read};

#[test]
fn a_bad_line_loses_nothing_but_itself() {
    check_all(&[
        case(
            "9051 2.2.1",
            "a BOGUS\r\nb NOOP\r\n\r\n* NOOP\r\nc+ NOOP\r\nd\r\ne  NOOP\r\nf NOOP x\r\ng NOOP\r\n",
            vec![
                malformed(Some("a"), None, "expected a command at column 3"),
                command("b", Verb::Noop),
                malformed(None, None, "expected a tag at column 1"),
                malformed(None, None, "expected a tag at column 1"),
                malformed(None, None, "expected a tag at column 2"),
                malformed(Some("d"), None, "expected a space at column 2"),
                command("e", Verb::Noop),
                malformed(
                    Some("f"),
                    Some("NOOP"),
                    "expected the end of the line at column 7",
                ),
                command("g", Verb::Noop),
            ],
        ),
        case(
            "9051 9",
            b"\0\xFF\x80\r\n\r \r\na NO\0OP\r\nb NOOP\r\n",
            vec![
                malformed(None, None, "expected a tag at column 1"),
                malformed(None, None, "expected a tag at column 1"),
                malformed(Some("a"), None, "expected a command at column 3"),
                command("b", Verb::Noop),
            ],
        ),
        case(
            "9051 6.3.13",
            "a IDLE\r\nb NOOP\r\nc NOOP\r\n",
            vec![
                command("a", Verb::Idle),
                malformed(Some("a"), Some("IDLE"), "expected DONE at column 1"),
                command("b", Verb::Noop),
                command("c", Verb::Noop),
            ],
        ),
        case(
            "9051 6.3.13",
            "a IDLE\r\nb CREATE {6+}\r\na NOOP\r\nc NOOP\r\n",
            vec![
                command("a", Verb::Idle),
                malformed(Some("a"), Some("IDLE"), "expected DONE at column 1"),
                command(
                    "b",
                    Verb::Create {
                        mailbox: "a NOOP".into(),
                        special_use: Vec::new(),
                    },
                ),
                command("c", Verb::Noop),
            ],
        ),
    ]);
}

#[test]
fn each_fault_says_what_was_expected_and_where() {
    let cases: Vec<_> = [
        ("9051 9", "UID NOOP", None, "expected a command at column 4"),
        ("9051 9", "UID", None, "expected a command at column 4"),
        (
            "9051 9",
            "AUTHENTICATED PLAIN",
            None,
            "expected a command at column 4",
        ),
        (
            "9051 9",
            "SELECT",
            Some("SELECT"),
            "expected a space at column 10",
        ),
        (
            "9051 9",
            "SELECT ",
            Some("SELECT"),
            "expected a mailbox at column 11",
        ),
        (
            "9051 9",
            "SELECT (x)",
            Some("SELECT"),
            "expected a mailbox at column 11",
        ),
        (
            "9051 9",
            "SELECT \"x",
            Some("SELECT"),
            "expected the closing quote at column 13",
        ),
        (
            "9051 9",
            "SELECT \"x\\y\"",
            Some("SELECT"),
            "expected \\\" or \\\\ at column 14",
        ),
        (
            "9051 9",
            "SELECT \"x\0y\"",
            Some("SELECT"),
            "expected the closing quote at column 13",
        ),
        (
            "7162 7",
            "SELECT x (FOO)",
            Some("SELECT"),
            "expected CONDSTORE or QRESYNC at column 14",
        ),
        (
            "7162 7",
            "SELECT x (QRESYNC (0 1))",
            Some("SELECT"),
            "expected a UIDVALIDITY at column 23",
        ),
        (
            "7162 7",
            "SELECT x (QRESYNC (1 1 1:*))",
            Some("SELECT"),
            "expected a set of known UIDs at column 27",
        ),
        (
            "7162 7",
            "SELECT x (QRESYNC (1 1 $))",
            Some("SELECT"),
            "expected a set of known UIDs at column 27",
        ),
        (
            "6154 3",
            "CREATE x (ROLE ())",
            Some("CREATE"),
            "expected USE at column 14",
        ),
        (
            "6154 3",
            "CREATE x (USE (Sent))",
            Some("CREATE"),
            "expected a special use as \\Sent at column 19",
        ),
        (
            "9051 6.2.3",
            "LOGIN joe",
            Some("LOGIN"),
            "expected a space at column 13",
        ),
        (
            "9051 6.2.3",
            "LOGIN joe ",
            Some("LOGIN"),
            "expected a password at column 14",
        ),
        (
            "4959 3",
            "AUTHENTICATE PLAIN x",
            Some("AUTHENTICATE"),
            "expected base64 at column 23",
        ),
        (
            "2971 3.1",
            "ID (\"a\")",
            Some("ID"),
            "expected a space at column 11",
        ),
        (
            "5161 4",
            "ENABLE",
            Some("ENABLE"),
            "expected a space at column 10",
        ),
        (
            "9051 6.4.6",
            "STORE 1 +FLAG (x)",
            Some("STORE"),
            "expected FLAGS, +FLAGS or -FLAGS at column 12",
        ),
        (
            "3501 2.3.2",
            "STORE 1 +FLAGS (\\Seen \\Recent)",
            Some("STORE"),
            "expected a flag that can be set at column 26",
        ),
        (
            "9051 9",
            "STORE 1 +FLAGS (\\Seen, x)",
            Some("STORE"),
            "expected a flag that can be set at column 20",
        ),
        (
            "9051 9",
            "STORE 1 +FLAGS (\\*)",
            Some("STORE"),
            "expected a flag that can be set at column 20",
        ),
        (
            "9051 9",
            "STORE 1 +FLAGS (a] b)",
            Some("STORE"),
            "expected \")\" at column 21",
        ),
        (
            "7162 3.1.3",
            "STORE 1 (UNCHANGED 1) FLAGS x",
            Some("STORE"),
            "expected UNCHANGEDSINCE at column 13",
        ),
        (
            "9051 9",
            "COPY 1",
            Some("COPY"),
            "expected a space at column 10",
        ),
        (
            "9051 9",
            "COPY x y",
            Some("COPY"),
            "expected a number or \"*\" at column 9",
        ),
        (
            "9051 9",
            "FETCH 1",
            Some("FETCH"),
            "expected a space at column 11",
        ),
        (
            "9051 9",
            "FETCH 1 ()",
            Some("FETCH"),
            "expected a FETCH item in the list at column 14",
        ),
        (
            "9051 9",
            "FETCH 1 (ALL)",
            Some("FETCH"),
            "expected a FETCH item at column 13",
        ),
        (
            "9051 9",
            "FETCH 1 BOGUS",
            Some("FETCH"),
            "expected a FETCH item at column 12",
        ),
        (
            "9051 9",
            "FETCH 1 FLAGS UID",
            Some("FETCH"),
            "expected \"(\" at column 18",
        ),
        (
            "9051 9",
            "FETCH 1 (FLAGS,UID)",
            Some("FETCH"),
            "expected a space or \")\" at column 18",
        ),
        (
            "9051 9",
            "FETCH 1 BODY[1.]",
            Some("FETCH"),
            "expected a section at column 19",
        ),
        (
            "9051 9",
            "FETCH 1 BODY[0]",
            Some("FETCH"),
            "expected a part number at column 17",
        ),
        (
            "9051 9",
            "FETCH 1 BODY[MIME]",
            Some("FETCH"),
            "expected a section at column 17",
        ),
        (
            "9051 9",
            "FETCH 1 BODY[1",
            Some("FETCH"),
            "expected \".\" or \"]\" at column 18",
        ),
        (
            "9051 9",
            "FETCH 1 BODY[]<0>",
            Some("FETCH"),
            "expected \".\" at column 20",
        ),
        (
            "9051 9",
            "FETCH 1 BODY[]<0.0>",
            Some("FETCH"),
            "expected how many bytes at column 21",
        ),
        (
            "9051 9",
            "FETCH 1 BODY[HEADER.FIELDS ()]",
            Some("FETCH"),
            "expected a header field name in the list at column 33",
        ),
        (
            "3516 4.2",
            "FETCH 1 BINARY[HEADER]",
            Some("FETCH"),
            "expected a part number or \"]\" at column 19",
        ),
        (
            "3516 4.2",
            "FETCH 1 BINARY.SIZE[1]<1.2>",
            Some("FETCH"),
            "expected a space at column 26",
        ),
        (
            "8970 6",
            "FETCH 1 PREVIEW (LAZY FOO)",
            Some("FETCH"),
            "expected LAZY at column 26",
        ),
        (
            "7162 3.2.6",
            "FETCH 1 UID (CHANGEDSINCE 1 VANISHED)",
            Some("FETCH"),
            "expected VANISHED only in UID FETCH with CHANGEDSINCE at column 16",
        ),
        (
            "7162 3.2.6",
            "UID FETCH 1 UID (VANISHED)",
            Some("UID FETCH"),
            "expected VANISHED only in UID FETCH with CHANGEDSINCE at column 20",
        ),
        (
            "9394 3.3",
            "UID FETCH 1 UID (PARTIAL 1:2 PARTIAL 1:2)",
            Some("UID FETCH"),
            "expected CHANGEDSINCE, VANISHED or PARTIAL at column 33",
        ),
    ]
    .into_iter()
    .map(|(section, sent, name, message)| {
        let mut case = line(section, sent, Verb::Noop);
        case.events = vec![malformed(Some("a1"), name, message)];
        case
    })
    .collect();
    check_all(&cases);
}

#[test]
fn other_protocols_are_told_apart_and_end_the_stream() {
    for (sent, message) in [
        (
            &b"GET / HTTP/1.1\r\nHost: x\r\n"[..],
            "this is IMAP, not HTTP",
        ),
        (b"POST /x HTTP/1.0\n", "this is IMAP, not HTTP"),
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "this is IMAP, not HTTP",
        ),
        (b"EHLO example.org\r\n", "this is IMAP, not SMTP"),
        (b"helo\r\n", "this is IMAP, not SMTP"),
        (b"SSH-2.0-x\r\n", "this is IMAP, not SSH"),
        (
            b"\x16\x03\x01\x02\0\x01",
            "this is IMAP without TLS; expected a command, not a TLS handshake",
        ),
    ] {
        check_all(&[case("9051 2.2.1", sent, vec![fatal(None, None, message)])]);
    }
    // As tags they are as good as any.
    check_all(&[
        case("9051 9", "GET NOOP\r\n", vec![command("GET", Verb::Noop)]),
        case("9051 9", "EHLO NOOP\r\n", vec![command("EHLO", Verb::Noop)]),
    ]);
}

#[test]
fn commands_after_a_refused_idle_are_read() {
    for (sent, expected) in [
        (&b"DONE\r\nb NOOP\r\n"[..], vec![command("b", Verb::Noop)]),
        (
            b"b NOOP\r\nc NOOP\r\n",
            vec![command("b", Verb::Noop), command("c", Verb::Noop)],
        ),
        (
            b"DONE\r\nDONE\r\n",
            vec![malformed(
                Some("DONE"),
                None,
                "expected a space at column 5",
            )],
        ),
    ] {
        for at in 0..sent.len() {
            let mut reader = Reader::new(Limits::default());
            reader.feed(b"a IDLE\r\n");
            assert_eq!(reader.next(), Some(command("a", Verb::Idle)));
            reader.refuse_idle();
            assert_eq!(read(&mut reader, &[&sent[..at], &sent[at..]]), expected);
        }
    }
}

#[test]
fn nothing_sent_after_starttls_is_read() {
    let mut reader = Reader::new(Limits::default());
    reader.feed(b"a STARTTLS\r\nb LOGIN joe x\r\nc NO");
    assert_eq!(reader.next(), Some(command("a", Verb::StartTls)));
    assert_eq!(reader.clear(), b"b LOGIN joe x\r\nc NO".len());
    assert_eq!(
        (reader.buffered(), reader.next(), reader.partial()),
        (0, None, false)
    );
    assert_eq!(
        read(&mut reader, &[b"d NOOP\r\n"]),
        vec![command("d", Verb::Noop)]
    );
}

#[test]
fn the_middle_of_a_command_is_told_from_between_commands() {
    let mut reader = Reader::new(Limits::default());
    for (bytes, partial, buffered) in [
        (&b""[..], false, 0),
        (b"a LOGIN", true, 7),
        (b" x {1}\r\n", true, 15),
        (b"y", true, 16),
        (b"\r\n", false, 0),
        (b"b IDLE\r\n", false, 0),
        (b"DON", true, 3),
        (b"E\r\n", false, 0),
        (b"c APPEND x {1}\r\n", true, 0),
        (b"y", true, 0),
        (b"\r\n", false, 0),
        (b"d BOGUS {5+}\r\n12", true, 16),
        (b"345\r\n", false, 0),
    ] {
        read(&mut reader, &[bytes]);
        let shown = String::from_utf8_lossy(bytes);
        assert_eq!(
            (reader.partial(), reader.buffered()),
            (partial, buffered),
            "after {shown:?}"
        );
    }
}

#[test]
fn a_message_can_only_be_accepted_where_one_waits() {
    let mut reader = Reader::new(Limits::default());
    assert!(reader.accept_literal().is_err());
    reader.feed(b"a APPEND x {99999999999}\r\n");
    assert_eq!(
        reader.next(),
        Some(command(
            "a",
            Verb::Append {
                mailbox: "x".into()
            }
        ))
    );
    assert!(reader.accept_literal().is_err());
    assert!(matches!(reader.next(), Some(Event::AppendMessage(message)) if message.too_big));
    assert!(reader.is_undecided() && reader.next().is_none());
    assert!(reader.accept_literal().is_err());
    reader.refuse_literal();
    reader.refuse_literal(); // nothing where it has ended
    assert_eq!(
        read(&mut reader, &[b"b NOOP\r\n"]),
        vec![command("b", Verb::Noop)]
    );
}
