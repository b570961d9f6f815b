//! Hostile messages: limits hold, time is linear, memory is bounded.
use super::*;
use crate::message::limits::*;
use crate::wire::ast::Field;
use std::time::{Duration, Instant};

fn nested(depth: usize, inner: impl Fn(usize) -> String, end: &str) -> Vec<u8> {
    let mut message = String::new();
    for level in 0..depth {
        message += &inner(level);
    }
    crlf(&(message + end))
}

fn depth_of(structure: &[u8]) -> usize {
    let mut depth: usize = 0;
    structure.iter().fold(0, |deepest, byte| {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        deepest.max(depth)
    })
}

#[test]
fn nesting_is_bounded() {
    for depth in [DEPTH - 1, DEPTH, DEPTH + 1, 10_000] {
        let multiparts = nested(
            depth,
            |level| format!("Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n"),
            "\nx\n",
        );
        checks::metadata_stays_inside_the_message(&multiparts);
        checks::metadata_does_not_depend_on_cuts(&multiparts, 7);
        let stored = checks::scan(&multiparts, 4096);
        let metadata = MessageMetadata::open(&stored).unwrap();
        let opaque = memchr::memmem::find(metadata.body(), b"OCTET-STREAM").is_some();
        assert_eq!(opaque, depth > DEPTH);
        assert!(depth_of(metadata.bodystructure()) <= DEPTH + 2);

        let messages = nested(
            depth,
            |_| "Content-Type: message/rfc822\n\n".into(),
            "\nx\n",
        );
        checks::metadata_stays_inside_the_message(&messages);
        let stored = checks::scan(&messages, 4096);
        let metadata = MessageMetadata::open(&stored).unwrap();
        let opaque = memchr::memmem::find(metadata.body(), b"OCTET-STREAM").is_some();
        assert_eq!(opaque, depth > DEPTH);
    }
}

#[test]
fn parts_are_bounded_and_the_rest_belongs_to_the_last_part() {
    for count in [PARTS - 2, PARTS - 1, PARTS, 200_000] {
        let message = crlf(&format!(
            "Content-Type: multipart/mixed; boundary=b\n\n{}--b--\n",
            "--b\n\nx\n".repeat(count)
        ));
        checks::metadata_stays_inside_the_message(&message);
        let stored = checks::scan(&message, 4096);
        let metadata = MessageMetadata::open(&stored).unwrap();
        assert_eq!(metadata.part_count(), count.min(PARTS - 1));
        let last = metadata.leaf_parts().last().unwrap();
        let end = if count < PARTS {
            0
        } else {
            message.len() as u64
        };
        assert_eq!(
            (last.offset + last.length).max(end),
            end.max(message.len() as u64 - 9)
        );
        assert!(stored.len() < 200_000);
    }
}

#[test]
fn a_million_delimiters_without_a_multipart() {
    let message = crlf(&format!(
        "Content-Type: multipart/mixed; boundary=b\n\n{}",
        "--c\n--b-\n".repeat(500_000)
    ));
    checks::metadata_stays_inside_the_message(&message);
}

#[test]
fn header_fields_are_bounded() {
    for (count, named) in [
        (FIELDS - 1, FIELDS - 1),
        (FIELDS, FIELDS),
        (FIELDS + 1, FIELDS),
        (50_000, FIELDS),
    ] {
        let message = crlf(&format!("{}Subject: s\n\nx", "A: b\n".repeat(count)));
        checks::metadata_stays_inside_the_message(&message);
        checks::metadata_does_not_depend_on_cuts(&message, 5);
        let stored = checks::scan(&message, 4096);
        let metadata = MessageMetadata::open(&stored).unwrap();
        let fields: Vec<_> = metadata.header_fields(&[]).unwrap().collect();
        assert_eq!(
            fields.iter().filter(|field| field.name == b"A").count(),
            named
        );
        assert!(fields.len() <= FIELDS + 1);
        assert_eq!(
            metadata.subject(),
            "s",
            "fields after the limit are still read"
        );
    }
    let inner = format!("--b\n\n{}\n", "A: b\n".repeat(FIELDS));
    let message = crlf(&format!(
        "Content-Type: multipart/digest; boundary=b\n\n{}--b--",
        inner.repeat(2 + ALL_FIELDS / FIELDS)
    ));
    checks::metadata_stays_inside_the_message(&message);
    let stored = checks::scan(&message, 4096);
    let metadata = MessageMetadata::open(&stored).unwrap();
    let named = |part: u32| {
        metadata
            .header_fields(&[part])
            .unwrap()
            .filter(|field| field.name == b"A")
            .count()
    };
    assert_eq!(
        [named(1), named(3), named(4), named(5)],
        [FIELDS, FIELDS, FIELDS - 1, 0]
    );
}

#[test]
fn long_fields_are_cut_and_counted() {
    for length in [FIELD_BYTES - 1, FIELD_BYTES, FIELD_BYTES + 1, 1 << 20] {
        // In one line, and folded into many lines.
        for line in [length, 70] {
            let mut message = b"Subject:".to_vec();
            let value = vec![b'x'; length];
            for (number, piece) in value.chunks(line).enumerate() {
                message.extend_from_slice(if number == 0 { b"" } else { b"\r\n " });
                message.extend_from_slice(piece);
            }
            message.extend_from_slice(b"\r\nDate: Fri, 21 Nov 1997 09:55:06 -0600\r\n\r\nx");
            checks::metadata_stays_inside_the_message(&message);
            checks::metadata_does_not_depend_on_cuts(&message, 1021);
            let stored = checks::scan(&message, 4096);
            let metadata = MessageMetadata::open(&stored).unwrap();
            assert!(metadata.subject().len() <= FIELD_BYTES);
            assert!(metadata.subject().len() >= length.min(FIELD_BYTES) * 9 / 10);
            assert!(metadata.sent().is_some());
            assert!(!metadata.folded_is_whole(Field::Subject));
            assert_eq!(metadata.folded(Field::Subject).len(), FOLDED_BYTES);
        }
    }
    let ids = "<0123456789@example.org>\r\n ".repeat(40_000);
    let message = format!("References: {ids}\r\n\r\n");
    let stored = checks::scan(message.as_bytes(), 1000);
    assert_eq!(
        MessageMetadata::open(&stored).unwrap().references().count(),
        REFERENCES
    );
    assert!(stored.len() < 5_000);
}

/// Quadratic time would be minutes.
#[test]
fn repeated_openings_take_linear_time() {
    let started = Instant::now();
    for piece in [
        "=?",
        "=?a?q?",
        "=?utf-8?q?a?= ",
        "<",
        "(",
        "\"",
        "\"@\"a",
        "\\\"",
        "*0=",
        ";a*0=",
        ";a*0*=",
        ";",
        ",",
        "a@",
        "<a:",
        "a:",
        "[",
        "'",
        "%",
    ] {
        let value = piece.repeat(FIELD_BYTES / piece.len());
        for name in [
            "Subject:",
            "From:",
            "Message-ID:",
            "References:",
            "Date:",
            "Content-Type: a/b;",
            "Content-Disposition: a;",
            "Content-Transfer-Encoding:",
            "Content-Language:",
        ] {
            let stored = checks::scan(&crlf(&format!("{name}{value}\n\nx")), 4096);
            assert!(MessageMetadata::open(&stored).is_ok(), "{name} {piece}");
        }
    }
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn folded_text_is_whole_up_to_the_limit() {
    for (length, whole) in [(FOLDED_BYTES, true), (FOLDED_BYTES + 1, false)] {
        let stored = checks::scan(
            format!("Subject: {}\r\n\r\n", "x".repeat(length)).as_bytes(),
            99,
        );
        let metadata = MessageMetadata::open(&stored).unwrap();
        assert_eq!(metadata.folded_is_whole(Field::Subject), whole);
    }
}

#[test]
fn kept_headers_are_bounded() {
    let inner = format!("--b\n\nSubject: {}\n\n", "x".repeat(FIELD_BYTES - 100));
    let message = crlf(&format!(
        "Content-Type: multipart/digest; boundary=b\n\n{}--b--",
        inner.repeat(PARTS)
    ));
    checks::metadata_stays_inside_the_message(&message);
    let stored = checks::scan(&message, 4096);
    let metadata = MessageMetadata::open(&stored).unwrap();
    assert!(metadata.part_count() > HEADER_VALUES_BYTES / FIELD_BYTES);
    assert!(metadata.part_count() < 2 * HEADER_VALUES_BYTES / FIELD_BYTES);
    assert!(stored.len() < 3 * HEADER_VALUES_BYTES);
}

#[test]
fn odd_bytes() {
    for message in [
        &b"\0\0\0"[..],
        b"\r\r\r",
        b"\n\n\n",
        b"\r\n\r\n\r\n",
        b"A: b\r\rc\r\n\r\r\n\r\n",
        b"Subject: \0\xff\xfe\r\n\t\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=\"\0\"\r\n\r\n--\0\r\n\r\n--\0--",
        b"Content-Type: \"\"/\"\"; \"\"=\"\"\r\n\r\n",
        b"Content-Type: a/b; c=\"\xff\0\"\r\nContent-Disposition: \xff; x=\r\nContent-ID: \r\n\r\n",
        b"From: (((((\r\nTo: <<<<,,,,>>>>\r\nCc: \"\\\r\nBcc: :;:;:;\r\n\r\n",
        b"Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n--x\r\n",
        b"Content-Type: multipart/digest; boundary=x\r\n\r\n--x\r\n--x\r\nfoo\r\n--x\r\n\r\n--x--",
    ] {
        scan(message);
    }
}

#[test]
fn a_long_line_is_not_held() {
    let mut scanner = crate::message::Scanner::new();
    scanner.feed(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n");
    for _ in 0..1000 {
        scanner.feed(&[b'-'; 16 * 1024]);
        assert!(scanner.held_bytes() <= 1024);
    }
    let stored = scanner.finish();
    let metadata = MessageMetadata::open(&stored).unwrap();
    assert_eq!(
        metadata.leaf_parts().next().unwrap().length,
        1000 * 16 * 1024
    );
}
