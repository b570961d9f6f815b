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
        // ENVELOPE, HEADER.FIELDS and SEARCH agree: after the limit, no field has a name.
        let is_named = count < FIELDS;
        assert_eq!(
            fields.iter().any(|field| field.name == b"Subject"),
            is_named
        );
        assert_eq!(metadata.subject(), if is_named { "s" } else { "" });
        assert_eq!(search_text(&metadata, Field::Subject).0, metadata.subject());
        let envelope: &[u8] = if is_named {
            b"(NIL \"s\" "
        } else {
            b"(NIL NIL "
        };
        assert!(metadata.envelope().starts_with(envelope));
    }
    let mime = format!(
        "{}Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n",
        "A: b\n".repeat(FIELDS)
    );
    let stored = checks::scan(&crlf(&mime), 4096);
    let metadata = MessageMetadata::open(&stored).unwrap();
    assert_eq!(
        metadata.part_count(),
        1,
        "the structure is read also after the limit"
    );
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
    assert_eq!([named(1), named(2), named(3)], [FIELDS, FIELDS - 1, 0]);
}

#[test]
fn long_fields_are_cut_and_counted() {
    for length in [70 * 1024, FIELD_BYTES - 10, FIELD_BYTES, FIELD_BYTES + 10] {
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
            if line == length {
                let is_cut = length + "Subject:".len() > FIELD_BYTES;
                let kept = if is_cut {
                    FIELD_BYTES - "Subject:".len()
                } else {
                    length
                };
                assert_eq!(metadata.subject().len(), kept);
            }
            assert!(metadata.sent().is_some());
            let (text, is_complete) = search_text(&metadata, Field::Subject);
            assert_eq!((text.len(), is_complete), (SEARCH_TEXT_BYTES, false));
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
fn search_text_is_complete_up_to_the_limit() {
    for (length, expected) in [(SEARCH_TEXT_BYTES, true), (SEARCH_TEXT_BYTES + 1, false)] {
        let stored = checks::scan(
            format!("Subject: {}\r\n\r\n", "x".repeat(length)).as_bytes(),
            99,
        );
        let metadata = MessageMetadata::open(&stored).unwrap();
        let (text, is_complete) = search_text(&metadata, Field::Subject);
        assert_eq!((text.len(), is_complete), (SEARCH_TEXT_BYTES, expected));
    }
}

#[test]
fn kept_headers_are_bounded() {
    const SUBJECT: usize = HEADER_VALUES_BYTES / 16;
    let inner = format!("--b\n\nSubject: {}\n\n", "x".repeat(SUBJECT - 100));
    let message = crlf(&format!(
        "Content-Type: multipart/digest; boundary=b\n\n{}--b--",
        inner.repeat(PARTS)
    ));
    checks::metadata_stays_inside_the_message(&message);
    let stored = checks::scan(&message, 4096);
    let metadata = MessageMetadata::open(&stored).unwrap();
    assert!(metadata.part_count() > HEADER_VALUES_BYTES / SUBJECT);
    assert!(metadata.part_count() < 2 * HEADER_VALUES_BYTES / SUBJECT);
    assert!(stored.len() < 3 * HEADER_VALUES_BYTES);
}

#[test]
fn a_field_that_is_not_kept_and_those_after_it_have_no_name() {
    let long = HEADER_VALUES_BYTES / 2 - 100;
    for (extra, fits) in [(0, true), (200, false)] {
        let message = crlf(&format!(
            "From: a@b\nSubject: {}\nTo: {}\nCc: c@d\n\nx",
            "s".repeat(long),
            "t".repeat(long + extra)
        ));
        checks::metadata_does_not_depend_on_cuts(&message, 1021);
        let stored = checks::scan(&message, 4096);
        let metadata = MessageMetadata::open(&stored).unwrap();
        let fields = metadata.header_fields(&[]).unwrap();
        let found: Vec<&[u8]> = fields.map(|field| field.name).collect();
        assert_eq!(search_text(&metadata, Field::From).0, "a@b");
        let cc = search_text(&metadata, Field::Cc).0;
        assert_eq!(cc, if fits { "c@d" } else { "" });
        let all: [&[u8]; 4] = [b"From", b"Subject", b"To", b"Cc"];
        let first: [&[u8]; 3] = [b"From", b"Subject", b""];
        assert_eq!(found, if fits { &all[..] } else { &first });
    }
}

fn addresses_in(text: &[u8]) -> usize {
    memchr::memmem::find_iter(text, b"(NIL NIL \"a\" \"b\")").count()
}

#[test]
fn addresses_are_bounded() {
    for count in [1_500, ADDRESSES, ADDRESSES + 1, 5 * ADDRESSES] {
        let message = crlf(&format!("To: {}\n\nx", "a@b,".repeat(count)));
        let stored = checks::scan(&message, 4096);
        let metadata = MessageMetadata::open(&stored).unwrap();
        assert_eq!(addresses_in(metadata.envelope()), count.min(ADDRESSES));
    }
    let inner = format!("--b\n\nTo: {}\n\n", "a@b,".repeat(ADDRESSES / 10));
    let message = crlf(&format!(
        "Content-Type: multipart/digest; boundary=b\n\n{}--b--",
        inner.repeat(30)
    ));
    checks::metadata_stays_inside_the_message(&message);
    let stored = checks::scan(&message, 4096);
    let metadata = MessageMetadata::open(&stored).unwrap();
    assert_eq!(addresses_in(metadata.body()), ALL_ADDRESSES);
}

#[test]
fn copies_of_from_are_bounded() {
    let from = |bytes: usize| format!("From: {}@b\n", "x".repeat(bytes));
    let overhead = "((NIL NIL {131000}\r\n \"b\"))".len();
    let half = COPIED_BYTES / 2 - overhead;
    for (bytes, copies) in [(half, 2), (half + 1, 1), (2 * half + overhead + 1, 0)] {
        let stored = checks::scan(&crlf(&(from(bytes) + "\nx")), 4096);
        let metadata = MessageMetadata::open(&stored).unwrap();
        let long = "x".repeat(bytes);
        let found = memchr::memmem::find_iter(metadata.envelope(), &long).count();
        assert_eq!(found, 1 + copies, "{bytes}");
    }
}

#[test]
fn metadata_of_the_worst_messages_is_bounded() {
    // Sender and Reply-To are copies of From, and BODY and BODYSTRUCTURE have inner ENVELOPEs.
    let long = format!("From: \"{}\" <a@b>", "x".repeat(FIELD_BYTES));
    let short = format!("From: {}", "a,".repeat(FIELD_BYTES / 2));
    let names = (0..FIELDS).fold(String::new(), |names, number| {
        names + &format!("{number:0127}:\n")
    });
    for header in [long, short, names] {
        for outer in ["", "Content-Type: message/rfc822\n\n"] {
            let message = crlf(&format!("{outer}{header}\n\nx"));
            let stored = checks::scan(&message, 65_536);
            assert!(stored.len() < 3 * HEADER_VALUES_BYTES, "{}", stored.len());
        }
    }
}

#[test]
fn memory_of_a_header_is_bounded() {
    for line in [70, 2 * FIELD_BYTES] {
        let mut scanner = crate::message::Scanner::new();
        for name in ["Subject", "To", "Cc", "From"] {
            scanner.feed(format!("{name}:").as_bytes());
            for _ in 0..=FIELD_BYTES / line {
                scanner.feed(b"\n ");
                scanner.feed(&vec![b'x'; line]);
                assert!(scanner.held_bytes() <= 3 * HEADER_VALUES_BYTES);
            }
            scanner.feed(b"\n");
        }
    }
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
