//! Part specifiers (RFC 9051 section 6.4.5.1).
use super::*;

/// Message with the structure of the RFC's example; the body of each leaf is its part specifier.
const EXAMPLE: &str = "\
Subject: outer
Content-Type: multipart/mixed; boundary=a

preamble
--a

1
--a
Content-Type: application/octet-stream

2
--a
Content-Type: message/rfc822

Subject: three
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

3.1
--b
Content-Type: application/octet-stream

3.2
--b--
--a
Content-Type: multipart/mixed; boundary=c

--c
Content-Type: image/gif

4.1
--c
Content-Type: message/rfc822

Subject: four two
Content-Type: multipart/mixed; boundary=d

--d
Content-Type: text/plain

4.2.1
--d
Content-Type: multipart/alternative; boundary=e

--e
Content-Type: text/plain

4.2.2.1
--e
Content-Type: text/richtext

4.2.2.2
--e--
--d--
--c--
--a--
epilogue
";

#[test]
fn the_example_of_rfc_9051() {
    let message = crlf(EXAMPLE);
    let stored = scan(&message);
    let metadata = MessageMetadata::open(&stored).unwrap();
    let get = |name: &str| section(&metadata, &message, name);
    for leaf in ["1", "2", "3.1", "3.2", "4.1", "4.2.1", "4.2.2.1", "4.2.2.2"] {
        assert_eq!(get(leaf), Some(leaf));
    }
    let paths: Vec<String> = metadata
        .leaf_parts()
        .map(|part| {
            part.path
                .iter()
                .map(u32::to_string)
                .collect::<Vec<_>>()
                .join(".")
        })
        .collect();
    assert_eq!(
        paths,
        ["1", "2", "3.1", "3.2", "4.1", "4.2.1", "4.2.2.1", "4.2.2.2"]
    );
    assert_eq!(get(""), Some(text(&message)));
    assert_eq!(
        get("HEADER"),
        Some("Subject: outer\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n")
    );
    assert_eq!(metadata.header_size(), get("HEADER").unwrap().len() as u64);
    assert!(get("TEXT").unwrap().starts_with("preamble\r\n--a\r\n"));
    assert!(get("TEXT").unwrap().ends_with("--a--\r\nepilogue\r\n"));
    assert_eq!(get("1.MIME"), Some("\r\n"));
    assert_eq!(
        get("2.MIME"),
        Some("Content-Type: application/octet-stream\r\n\r\n")
    );
    assert_eq!(get("3.MIME"), Some("Content-Type: message/rfc822\r\n\r\n"));
    assert_eq!(
        get("3.HEADER"),
        Some("Subject: three\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n")
    );
    assert!(get("3.TEXT").unwrap().starts_with("--b\r\n"));
    assert!(get("3").unwrap().ends_with("3.2\r\n--b--"));
    assert_eq!(
        get("4.MIME"),
        Some("Content-Type: multipart/mixed; boundary=c\r\n\r\n")
    );
    assert!(get("4").unwrap().starts_with("--c\r\n"));
    assert_eq!(get("4.1.MIME"), Some("Content-Type: image/gif\r\n\r\n"));
    assert!(
        get("4.2.HEADER")
            .unwrap()
            .starts_with("Subject: four two\r\n")
    );
    assert!(get("4.2.2").unwrap().starts_with("--e\r\n"));
    for missing in [
        "MIME",
        "5",
        "0",
        "1.1",
        "1.HEADER",
        "1.TEXT",
        "2.1",
        "3.3",
        "4.HEADER",
        "4.TEXT",
        "4.2.3",
        "4.2.2.HEADER",
        "4.2.2.3",
        "4.2.2.1.1",
        "4294967295",
    ] {
        assert_eq!(get(missing), None, "{missing}");
    }
    let names = |part: &[u32]| {
        let fields = metadata.header_fields(part)?;
        Some(fields.map(|field| text(field.name)).collect::<Vec<_>>())
    };
    assert_eq!(names(&[]), Some(vec!["Subject", "Content-Type"]));
    assert_eq!(names(&[4, 2]), Some(vec!["Subject", "Content-Type"]));
    assert_eq!(names(&[4]), None);
    let fields: Vec<_> = metadata.header_fields(&[4, 2]).unwrap().collect();
    let first = Range {
        offset: fields[0].offset,
        length: fields[0].length,
    };
    assert_eq!(checks::slice(&message, first), b"Subject: four two\r\n");
}

#[test]
fn a_message_without_multipart_is_its_part_1() {
    let message = crlf("Subject: s\n\nbody\n");
    let stored = scan(&message);
    let metadata = MessageMetadata::open(&stored).unwrap();
    let get = |name: &str| section(&metadata, &message, name);
    assert_eq!(get("1"), Some("body\r\n"));
    assert_eq!(get("TEXT"), Some("body\r\n"));
    assert_eq!(get("1.MIME"), Some("Subject: s\r\n\r\n"));
    for missing in ["2", "1.1", "1.HEADER", "1.TEXT", "MIME"] {
        assert_eq!(get(missing), None, "{missing}");
    }
}

#[test]
fn a_message_whose_body_is_a_message() {
    let message = crlf("Content-Type: message/rfc822\n\nSubject: in\n\nbody\n");
    let stored = scan(&message);
    let metadata = MessageMetadata::open(&stored).unwrap();
    let get = |name: &str| section(&metadata, &message, name);
    assert_eq!(get("1"), Some("Subject: in\r\n\r\nbody\r\n"));
    assert_eq!(get("1.HEADER"), Some("Subject: in\r\n\r\n"));
    assert_eq!(get("1.TEXT"), Some("body\r\n"));
    assert_eq!(get("1.1"), Some("body\r\n"));
    assert_eq!(get("1.1.MIME"), Some("Subject: in\r\n\r\n"));
    assert_eq!(get("1.1.1"), None);
    let part = metadata.part(&[1, 1]).unwrap();
    assert_eq!(
        (part.media, part.subtype, part.encoding, part.lines),
        ("text", "plain", 0, 1)
    );
    assert_eq!(metadata.part(&[]).unwrap().length, message.len() as u64);
}

#[test]
fn bare_line_feeds_are_line_ends() {
    let message = EXAMPLE.as_bytes();
    let stored = scan(message);
    let metadata = MessageMetadata::open(&stored).unwrap();
    for leaf in ["1", "2", "3.1", "3.2", "4.1", "4.2.1", "4.2.2.1", "4.2.2.2"] {
        assert_eq!(section(&metadata, message, leaf), Some(leaf));
    }
    assert_eq!(metadata.empty_line(&[]).unwrap().length, 1);
}

#[test]
fn lines_that_are_delimiters_and_lines_that_are_not() {
    let parts = |boundary: &str, body: &str| {
        let message = crlf(&format!(
            "Content-Type: multipart/mixed; boundary=\"{boundary}\"\n\n{body}"
        ));
        let stored = scan(&message);
        let metadata = MessageMetadata::open(&stored).unwrap();
        metadata
            .leaf_parts()
            .map(|part| {
                text(checks::slice(
                    &message,
                    Range {
                        offset: part.offset,
                        length: part.length,
                    },
                ))
                .to_owned()
            })
            .collect::<Vec<_>>()
    };
    // White space at the end is padding; anything else makes the line text.
    assert_eq!(parts("b", "--b \t\n\n1\n--b--  \nepilogue"), ["1"]);
    assert_eq!(
        parts("b", "--b\n\n1\n--bb\n--b-\n--b--x\n-- b\n --b\n--B\n--b--"),
        ["1\r\n--bb\r\n--b-\r\n--b--x\r\n-- b\r\n --b\r\n--B"]
    );
    // After the close delimiter, no line is a delimiter.
    assert_eq!(parts("b", "--b\n\n1\n--b--\n--b\n\n2\n"), ["1"]);
    // An empty body, and a missing one.
    assert_eq!(parts("b", "--b\n\n--b\n--b\n\n\n--b--"), ["", "", ""]);
    assert_eq!(parts("b--", "--b--\n\n1\n--b----"), ["1"]);
    // The outer delimiter closes the entities inside; of equal boundaries the innermost counts.
    let inner = "--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\n1\n--b\n\n2\n--c\n--b--";
    assert_eq!(parts("b", inner), ["1", "2\r\n--c"]);
    let same = "--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n1\n--b--\n--b\n\n2\n--b--";
    assert_eq!(parts("b", same), ["1", "2"]);
    // One boundary is a prefix of another.
    let prefix =
        "--b\nContent-Type: multipart/mixed; boundary=b2\n\n--b2\n\n1\n--b2--\n--b\n\n2\n--b--";
    assert_eq!(parts("b", prefix), ["1", "2"]);
}
