//! Lines before the first field of a header (RFC 5322 section 2.2 has none).
use super::*;

/// Line that Microsoft Outlook writes above a header.
const JUNK: &str = "Microsoft Mail Internet Headers Version 2.0\n";
const MARK: &str = "\u{feff}";

fn names(metadata: &MessageMetadata<'_>, part: &[u32]) -> Vec<(String, u64)> {
    let fields = metadata.header_fields(part).unwrap();
    fields
        .map(|field| (text(field.name).to_owned(), field.length))
        .collect()
}

fn field(name: &str, length: u64) -> (String, u64) {
    (name.to_owned(), length)
}

#[test]
fn lines_before_the_first_field_of_a_message_are_one_field_without_a_name() {
    for (first, length) in [
        (JUNK.to_owned(), 45),
        (JUNK.repeat(2), 90),
        ("garbage\n".into(), 9),
        ("://\n".into(), 5),
        ("http://example.org/\n".into(), 21),
        (" folded\n".into(), 9),
        (format!("{MARK}\n"), 5),
        (MARK.into(), 3),
        (format!("{MARK}From joe Mon Jan 1\n"), 23),
        ("From joe Mon Jan 1\n".into(), 20),
        (">From joe\n".into(), 11),
    ] {
        let message = crlf(&format!("{first}Subject: s\nTo: a@b\n\nbody\n"));
        let stored = scan(&message);
        let metadata = MessageMetadata::open(&stored).unwrap();
        assert_eq!(metadata.subject(), "s", "{first:?}");
        assert_eq!(metadata.preview(), "body");
        assert_eq!(section(&metadata, &message, "TEXT"), Some("body\r\n"));
        let found = names(&metadata, &[]);
        let first_length: u64 = found
            .iter()
            .take_while(|(name, _)| name.is_empty())
            .map(|(_, length)| length)
            .sum();
        assert_eq!(first_length, length, "{first:?}");
        assert_eq!(
            found[found.len() - 2..],
            [field("Subject", 12), field("To", 9)]
        );
    }
}

#[test]
fn lines_without_any_field_are_body() {
    for body in [
        "no header at all\n",
        "no header at all",
        "two\nlines\n",
        "two\nlines\n\nand: a field\n",
        " indented\n\ntext\n",
        "http://example.org/\n\ntext\n",
        "://\n",
        "\u{feff}text\n",
        "\u{feff}",
    ] {
        let message = crlf(body);
        let stored = scan(&message);
        let metadata = MessageMetadata::open(&stored).unwrap();
        assert_eq!(names(&metadata, &[]), [], "{body:?}");
        assert_eq!(metadata.header_size(), 0);
        assert_eq!(section(&metadata, &message, "1"), Some(text(&message)));
        let lines = body.matches('\n').count();
        assert_eq!(metadata.part(&[1]).unwrap().lines, lines as u64);
        let words: Vec<_> = body
            .split_ascii_whitespace()
            .map(|word| word.trim_start_matches(MARK))
            .collect();
        assert_eq!(metadata.preview().trim_start_matches(MARK), words.join(" "));
    }
    // A header ends with the first empty line.
    let stored = scan(b"\r\nA: b");
    let metadata = MessageMetadata::open(&stored).unwrap();
    assert_eq!((names(&metadata, &[]), metadata.header_size()), (vec![], 2));
}

/// A byte order mark is not part of the field that follows it.
#[test]
fn a_byte_order_mark_is_stripped() {
    let message = crlf(&format!("{MARK}Subject: s\n\nbody"));
    let stored = scan(&message);
    let metadata = MessageMetadata::open(&stored).unwrap();
    assert_eq!(names(&metadata, &[]), [field("", 3), field("Subject", 12)]);
    let second = metadata.header_fields(&[]).unwrap().nth(1).unwrap();
    let range = Range {
        offset: second.offset,
        length: second.length,
    };
    assert_eq!(checks::slice(&message, range), b"Subject: s\r\n");
    let name = crate::message::CachedNames::of(b"subject").unwrap();
    let mut cached = metadata.cached_fields(name).unwrap();
    assert_eq!(cached.next(), Some(&b"Subject: s\r\n"[..]));
    // Only at the start.
    let stored = scan(&crlf(&format!("A: b\n{MARK}Subject: s\n\nbody")));
    let metadata = MessageMetadata::open(&stored).unwrap();
    assert_eq!(names(&metadata, &[]), [field("A", 6), field("", 15)]);
}

#[test]
fn lines_before_the_first_field_of_a_part_are_skipped() {
    for first in [JUNK.into(), "x\n".into(), MARK.to_owned()] {
        let message = crlf(&format!(
            "Content-Type: multipart/mixed; boundary=b\n\n--b\n{first}\
             Content-Type: application/pdf; name=\"a.pdf\"\n\
             Content-Transfer-Encoding: base64\n\nJVBERg==\n--b--\n"
        ));
        let stored = scan(&message);
        let metadata = MessageMetadata::open(&stored).unwrap();
        assert_eq!(
            text(metadata.body()),
            r#"(("APPLICATION" "PDF" ("NAME" "a.pdf") NIL NIL "BASE64" 8) "MIXED")"#
        );
        assert_eq!(section(&metadata, &message, "1"), Some("JVBERg=="));
    }
}

#[test]
fn a_part_without_fields_is_text() {
    for (part, lines) in [
        ("only\ntext", 1),
        ("only\ntext\n\nand: more", 3),
        (" only text", 0),
    ] {
        let message = crlf(&format!(
            "Content-Type: multipart/mixed; boundary=b\n\n--b\n{part}\n--b--\n"
        ));
        let stored = scan(&message);
        let metadata = MessageMetadata::open(&stored).unwrap();
        let body = part.replace('\n', "\r\n");
        assert_eq!(section(&metadata, &message, "1"), Some(body.as_str()));
        assert_eq!(section(&metadata, &message, "1.MIME"), Some(""));
        let found = metadata.part(&[1]).unwrap();
        assert_eq!((found.media, found.lines), ("text", lines));
        assert_eq!(
            metadata.preview(),
            part.split_whitespace().collect::<Vec<_>>().join(" ")
        );
    }
}

#[test]
fn lines_before_the_first_field_of_an_embedded_message_are_skipped() {
    for first in [JUNK.into(), "x\n".into(), MARK.to_owned()] {
        let message = crlf(&format!(
            "Content-Type: message/rfc822\n\n{first}Subject: in\nContent-Type: text/html\n\nx\n"
        ));
        let stored = scan(&message);
        let metadata = MessageMetadata::open(&stored).unwrap();
        let names = names(&metadata, &[1]);
        assert_eq!(
            names[1..],
            [field("Subject", 13), field("Content-Type", 25)]
        );
        assert!(text(metadata.body()).contains("(NIL \"in\" NIL"));
        assert_eq!(section(&metadata, &message, "1.TEXT"), Some("x\r\n"));
        assert_eq!(metadata.part(&[1, 1]).unwrap().subtype, "html");
    }
    let message = crlf("Content-Type: message/rfc822\n\nno\nheader\n\nx: y\n");
    let stored = scan(&message);
    let metadata = MessageMetadata::open(&stored).unwrap();
    assert_eq!(section(&metadata, &message, "1.HEADER"), Some(""));
    assert_eq!(
        section(&metadata, &message, "1.1"),
        Some("no\r\nheader\r\n\r\nx: y\r\n")
    );
    assert_eq!(metadata.part(&[1, 1]).unwrap().lines, 4);
}

/// In multipart/digest a part without fields is a message without fields.
#[test]
fn a_part_of_a_digest_without_fields_is_a_message() {
    let message =
        crlf("Content-Type: multipart/digest; boundary=b\n\n--b\nno\nheader\n--b\n\nA: b\n--b--");
    let stored = scan(&message);
    let metadata = MessageMetadata::open(&stored).unwrap();
    assert_eq!(section(&metadata, &message, "1.1"), Some("no\r\nheader"));
    assert_eq!(metadata.part(&[1, 1]).unwrap().lines, 1);
    assert_eq!(names(&metadata, &[2]), [field("A", 6)]);
}

/// A text without an end of its header is held up to the limit of the preview.
#[test]
fn many_lines_without_a_field_take_bounded_memory() {
    let message = "word\r\n".repeat(500_000);
    let stored = checks::scan(message.as_bytes(), 4096);
    let metadata = MessageMetadata::open(&stored).unwrap();
    assert_eq!(metadata.header_size(), 0);
    assert!(metadata.preview().starts_with("word word"));
    assert!(stored.len() < 1000);
}
