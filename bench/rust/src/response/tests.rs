use super::*;
use crate::limits::LINE_BYTES_MAX;
use crate::line_reader::LineReader;

/// Streams, and what is in them. A line is given up to its first literal.
const CASES: &[(&[u8], &[&[u8]])] = &[
    (b"* OK hello\r\n", &[b"* OK hello"]),
    (
        b"T1 OK done\r\nT2 NO why\r\n",
        &[b"T1 OK done", b"T2 NO why"],
    ),
    (
        b"* 1 FETCH (BODY[] {5}\r\nab\r\nc)\r\nT1 OK\r\n",
        &[b"* 1 FETCH (BODY[] {5}", b"T1 OK"],
    ),
    (
        b"* 1 FETCH (BINARY[1] ~{4}\r\n\0\n\r\x80 UID 7)\r\nT1 OK\r\n",
        &[b"* 1 FETCH (BINARY[1] ~{4}", b"T1 OK"],
    ),
    (
        b"* 1 FETCH (A {3}\r\n}\r\n B {0}\r\n C {2}\r\n{9)\r\n+ go\r\n",
        &[b"* 1 FETCH (A {3}", b"+ go"],
    ),
    (
        b"* LIST () \"/\" {3+}\r\na{b\r\nT1 OK\r\n",
        &[b"* LIST () \"/\" {3+}", b"T1 OK"],
    ),
    // No literal follows the text of a status, whatever it ends with.
    (
        b"* OK look {3}\r\nT1 OK {12}\r\n+ {5}\r\n* BYE {1}\r\n",
        &[b"* OK look {3}", b"T1 OK {12}", b"+ {5}", b"* BYE {1}"],
    ),
    // Nor what only looks like one.
    (
        b"* X {}\r\n* X {a}\r\n* X 5}\r\n* X {99999999999999999999}\r\n",
        &[
            b"* X {}",
            b"* X {a}",
            b"* X 5}",
            b"* X {99999999999999999999}",
        ],
    ),
    (
        b"* 1 EXISTS\n\r\n\nT1 OK\n",
        &[b"* 1 EXISTS", b"", b"", b"T1 OK"],
    ),
    (
        b"* SEARCH 1 2 3 {10}\r\n1234567890\r\n",
        &[b"* SEARCH 1 2 3 {10}"],
    ),
    (b"T1 OK half", &[]),
    (b"* 1 FETCH (BODY[] {50}\r\nab", &[]),
];

fn lines_of(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut lines = LineReader::default();
    let mut found = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        while let Some(line) = lines.next_line(&mut input) {
            found.push(line.to_vec());
        }
        assert!(input.is_empty());
    }
    found
}

#[test]
fn lines_do_not_depend_on_where_the_stream_is_cut() {
    for (stream, expected) in CASES {
        assert_eq!(lines_of(&[stream]), *expected, "{}", stream.escape_ascii());
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
                assert_eq!(
                    lines_of(&pieces),
                    *expected,
                    "{} cut at {first}, {second}",
                    stream.escape_ascii()
                );
            }
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(lines_of(&bytes), *expected);
    }
}

#[test]
fn a_cut_line_is_kept_up_to_its_bound_and_its_literal_is_still_seen() {
    let mut stream = b"* 1 FETCH (".to_vec();
    stream.resize(LINE_BYTES_MAX * 20, b'x');
    stream.extend_from_slice(b" {4}\r\nT\r\n1)\r\nT9 OK\r\n");
    for piece in [1, 7, LINE_BYTES_MAX, LINE_BYTES_MAX + 1, 100_000] {
        let pieces: Vec<&[u8]> = stream.chunks(piece).collect();
        let found = lines_of(&pieces);
        assert_eq!(found.len(), 2, "{piece}");
        assert!(found[0].starts_with(b"* 1 FETCH (xxx") && found[0].len() <= LINE_BYTES_MAX);
        assert_eq!(found[1], b"T9 OK");
    }
    let mut lines = LineReader::default();
    for _ in 0..1_000 {
        assert_eq!(lines.next_line(&mut [b'x'; 1_000].as_slice()), None);
    }
    assert!(
        format!("{lines:?}").len() < 100 * LINE_BYTES_MAX,
        "an endless line is not kept"
    );
}

#[test]
fn a_literal_of_many_gigabytes_costs_nothing() {
    let mut lines = LineReader::default();
    assert_eq!(
        lines.next_line(&mut b"* 1 FETCH (BODY[] {18446744073709551615}\r\n".as_slice()),
        None
    );
    let block = vec![b'\n'; 1 << 20];
    for _ in 0..100 {
        assert_eq!(lines.next_line(&mut block.as_slice()), None);
    }
    assert!(!lines.is_between());
}

#[test]
fn lines_say_whether_one_has_begun() {
    let mut lines = LineReader::default();
    assert!(lines.is_between());
    assert_eq!(lines.next_line(&mut b"T1 ".as_slice()), None);
    assert!(!lines.is_between());
    assert_eq!(
        lines.next_line(&mut b"OK\r\n".as_slice()),
        Some(b"T1 OK".as_slice())
    );
    assert!(lines.is_between());
}

#[test]
fn lines_without_literals_do_not_know_braces() {
    let mut lines = LineReader::without_literals();
    let mut input = b"* 250 {10}\r\n250 ok\r\n".as_slice();
    assert_eq!(lines.next_line(&mut input), Some(b"* 250 {10}".as_slice()));
    assert_eq!(lines.next_line(&mut input), Some(b"250 ok".as_slice()));
}

#[test]
fn a_line_is_known_for_what_it_is() {
    let cases: &[(&[u8], Response)] = &[
        (b"T1 OK done", Response::Tagged(1, Status::Ok, b"OK done")),
        (
            b"T4294967295 no [X] y",
            Response::Tagged(u32::MAX, Status::No, b"no [X] y"),
        ),
        (b"T12 BAD", Response::Tagged(12, Status::Bad, b"BAD")),
        (b"T4294967296 OK", Response::Garbage(b"T4294967296 OK")),
        (b"T1 OKAY", Response::Garbage(b"T1 OKAY")),
        (b"T1 BYE", Response::Garbage(b"T1 BYE")),
        (b"T OK", Response::Garbage(b"T OK")),
        (b"T1", Response::Garbage(b"T1")),
        (b"+", Response::Continue),
        (b"+ idling", Response::Continue),
        (b"+OK POP3", Response::Garbage(b"+OK POP3")),
        (b"* 23 EXISTS", Response::Exists(23)),
        (b"* 0 exists", Response::Exists(0)),
        (b"* 23 EXISTSX", Response::Data),
        (b"* 23 EXPUNGE", Response::Data),
        (
            b"* 99999999999 EXISTS",
            Response::Garbage(b"* 99999999999 EXISTS"),
        ),
        (
            b"* OK [CAPABILITY X] hi",
            Response::Untagged(Status::Ok, b"OK [CAPABILITY X] hi"),
        ),
        (
            b"* PREAUTH hi",
            Response::Untagged(Status::PreAuth, b"PREAUTH hi"),
        ),
        (b"* BYE", Response::Untagged(Status::Bye, b"BYE")),
        (b"* BAD what", Response::Untagged(Status::Bad, b"BAD what")),
        (b"* NO disk", Response::Untagged(Status::No, b"NO disk")),
        (b"* NAMESPACE NIL", Response::Data),
        (b"* FLAGS (X)", Response::Data),
        (b"* OKAY", Response::Data),
        (b"* ", Response::Garbage(b"* ")),
        (b"* (", Response::Garbage(b"* (")),
        (b"", Response::Garbage(b"")),
        (b"220 lmtp", Response::Garbage(b"220 lmtp")),
        (b"\x16\x03\x01", Response::Garbage(b"\x16\x03\x01")),
    ];
    for (line, expected) in cases {
        assert_eq!(classify(line), *expected, "{}", line.escape_ascii());
    }
}

#[test]
fn a_reply_has_a_code_and_says_whether_it_is_the_last_line() {
    assert_eq!(
        reply(b"250 2.1.0 ok"),
        Some(Reply {
            code: 250,
            is_last: true
        })
    );
    assert_eq!(
        reply(b"250-PIPELINING"),
        Some(Reply {
            code: 250,
            is_last: false
        })
    );
    assert_eq!(
        reply(b"354"),
        Some(Reply {
            code: 354,
            is_last: true
        })
    );
    for line in [
        b"".as_slice(),
        b"25",
        b"25x ok",
        b"250x",
        b"199 x",
        b"600 x",
        b"* OK",
    ] {
        assert_eq!(reply(line), None, "{}", line.escape_ascii());
    }
}
