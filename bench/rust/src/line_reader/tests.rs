use super::*;

/// Streams of a server, and their lines. A line is given up to its first literal.
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
    // No literal follows the text of a status response.
    (
        b"* OK look {3}\r\nT1 OK {12}\r\n+ {5}\r\n* BYE {1}\r\n",
        &[b"* OK look {3}", b"T1 OK {12}", b"+ {5}", b"* BYE {1}"],
    ),
    // Not announcements of literals.
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
            found.push(line.text.to_vec());
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
fn a_cut_line_is_kept_up_to_its_limit_and_its_literal_is_still_found() {
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
}

#[test]
fn without_literals_braces_mean_nothing() {
    let mut lines = LineReader::new(Literals::None);
    let mut input = b"* 250 {10}\r\n250 ok\r\n".as_slice();
    assert_eq!(
        lines.next_line(&mut input).unwrap().text,
        b"* 250 {10}".as_slice()
    );
    assert_eq!(
        lines.next_line(&mut input).unwrap().text,
        b"250 ok".as_slice()
    );
}

#[test]
fn a_literal_ends_a_line_of_a_client() {
    let stream = b"a APPEND x {3}\r\n\r\n1 {2+}\r\nab\r\nb NOOP\r\n";
    let literal = |size, is_synchronizing| {
        Some(LiteralStart {
            size,
            is_synchronizing,
        })
    };
    let expected = [
        (b"a APPEND x {3}".to_vec(), literal(3, true)),
        (b" {2+}".to_vec(), literal(2, false)),
        (b"".to_vec(), None),
        (b"b NOOP".to_vec(), None),
    ];
    for size in 1..stream.len() {
        let mut lines = LineReader::new(Literals::InCommands);
        let mut found = Vec::new();
        for mut input in stream.chunks(size) {
            while let Some(line) = lines.next_line(&mut input) {
                found.push((line.text.to_vec(), line.literal));
            }
        }
        assert_eq!(found, expected, "{size}");
    }
}
