//! Sections of messages with nested parts.

use super::*;

/// The example of RFC 9051 section 6.4.5.1, with a text that identifies each part.
const NESTED: &[u8] = b"Subject: outermost\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=A\r\n\
    \r\n\
    --A\r\n\
    \r\n\
    one\r\n\
    --A\r\n\
    Content-Type: application/octet-stream\r\n\
    Content-Transfer-Encoding: base64\r\n\
    \r\n\
    dHdv\r\n\
    --A\r\n\
    Content-Type: message/rfc822\r\n\
    \r\n\
    Subject: three\r\n\
    To: no-one\r\n\
    Content-Type: multipart/mixed; boundary=B\r\n\
    \r\n\
    --B\r\n\
    \r\n\
    three one\r\n\
    --B\r\n\
    Content-Type: application/octet-stream\r\n\
    \r\n\
    three two\r\n\
    --B--\r\n\
    --A\r\n\
    Content-Type: multipart/mixed; boundary=C\r\n\
    \r\n\
    --C\r\n\
    Content-Type: image/gif\r\n\
    Content-Transfer-Encoding: x-unheard-of\r\n\
    \r\n\
    GIF\r\n\
    --C\r\n\
    Content-Type: message/rfc822\r\n\
    \r\n\
    Subject: four two\r\n\
    Content-Type: multipart/mixed; boundary=D\r\n\
    \r\n\
    --D\r\n\
    \r\n\
    four two one\r\n\
    --D\r\n\
    Content-Type: multipart/alternative; boundary=E\r\n\
    \r\n\
    --E\r\n\
    \r\n\
    plain\r\n\
    --E\r\n\
    Content-Type: text/richtext\r\n\
    \r\n\
    rich\r\n\
    --E--\r\n\
    --D--\r\n\
    --C--\r\n\
    --A--\r\n";

fn sent(item: FetchItem) -> String {
    let kept = TestSource::of(&[(1, NESTED)]);
    let mut one = record(1);
    one.size = u32::try_from(NESTED.len()).unwrap();
    let sent = answers(&[item], &[one], &kept).unwrap();
    let inner = sent
        .strip_prefix("* 1 FETCH (")
        .and_then(|sent| sent.strip_suffix(")\r\n"));
    inner.unwrap().to_string()
}

#[test]
fn parts_are_numbered_as_in_the_example() {
    use SectionText::{All, Header, Mime, Text};
    let three = "Subject: three\r\nTo: no-one\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n";
    let three_text = "--B\r\n\r\nthree one\r\n--B\r\nContent-Type: application/octet-stream\r\n\r\n\
        three two\r\n--B--";
    let four_two = "Subject: four two\r\nContent-Type: multipart/mixed; boundary=D\r\n\r\n";
    let table: [(&[u32], SectionText, &str, Option<&str>); 21] = [
        (&[1], All, "1", Some("one")),
        (&[1], Mime, "1.MIME", Some("\r\n")),
        (&[2], All, "2", Some("dHdv")),
        (
            &[3],
            Mime,
            "3.MIME",
            Some("Content-Type: message/rfc822\r\n\r\n"),
        ),
        (&[3], Header, "3.HEADER", Some(three)),
        (&[3], Text, "3.TEXT", Some(three_text)),
        (&[3, 1], All, "3.1", Some("three one")),
        (&[3, 2], All, "3.2", Some("three two")),
        (&[4, 1], All, "4.1", Some("GIF")),
        (
            &[4, 1],
            Mime,
            "4.1.MIME",
            Some("Content-Type: image/gif\r\nContent-Transfer-Encoding: x-unheard-of\r\n\r\n"),
        ),
        (&[4, 2], Header, "4.2.HEADER", Some(four_two)),
        (&[4, 2, 1], All, "4.2.1", Some("four two one")),
        (&[4, 2, 2, 1], All, "4.2.2.1", Some("plain")),
        (&[4, 2, 2, 2], All, "4.2.2.2", Some("rich")),
        (
            &[4, 2, 2, 2],
            Mime,
            "4.2.2.2.MIME",
            Some("Content-Type: text/richtext\r\n\r\n"),
        ),
        // Only messages have HEADER and TEXT; other sections do not exist.
        (&[1], Header, "1.HEADER", None),
        (&[4], Text, "4.TEXT", None),
        (&[5], All, "5", None),
        (&[1, 1], All, "1.1", None),
        (&[3, 3], All, "3.3", None),
        (&[4, 2, 2, 3], Mime, "4.2.2.3.MIME", None),
    ];
    for (part, text, name, expected) in table {
        let value = match expected {
            Some(bytes) => format!("{{{}}}\r\n{bytes}", bytes.len()),
            None => "NIL".into(),
        };
        assert_eq!(sent(body(part, text)), format!("BODY[{name}] {value}"));
    }
}

#[test]
fn fields_of_a_message_inside_a_message() {
    let named = SectionText::HeaderFields(fields(&["to", "SUBJECT"]));
    assert_eq!(
        sent(body(&[3], named)),
        "BODY[3.HEADER.FIELDS (to SUBJECT)] {30}\r\nSubject: three\r\nTo: no-one\r\n\r\n"
    );
    let not = SectionText::HeaderFieldsNot(fields(&["Content-Type"]));
    assert_eq!(
        sent(body(&[4, 2], not)),
        "BODY[4.2.HEADER.FIELDS.NOT (Content-Type)] {21}\r\nSubject: four two\r\n\r\n"
    );
    let none = SectionText::HeaderFields(fields(&["to"]));
    assert_eq!(sent(body(&[1], none)), "BODY[1.HEADER.FIELDS (to)] NIL");
}

/// Adjacent fields are one slice.
#[test]
fn adjacent_fields_are_read_together() {
    let kept = TestSource::of(&[(1, NESTED)]);
    let segment = append(b"", &[record(1)]).unwrap();
    let uids = UidSet::run(1, 1);
    let numbers = UidMap::new(uids.clone());
    let items = [body(
        &[3],
        SectionText::HeaderFields(fields(&["to", "subject"])),
    )];
    let request = Request {
        items: &items,
        numbers: &numbers,
        wanted: &uids,
        recent: None,
        seen: None,
        id_bits: 0,
        flags_too: None,
        uid_fetch: false,
    };
    let pieces = render(&request, [&*segment], &kept).unwrap();
    let slices = pieces
        .iter()
        .filter(|piece| matches!(piece, Piece::Body(_)));
    assert_eq!((slices.count(), pieces.len()), (1, 3));
}

/// RFC 3516: the caller decodes the bytes.
#[test]
fn binary_with_an_encoding_is_a_slice_to_decode() {
    let offset = NESTED
        .windows(4)
        .position(|bytes| bytes == b"dHdv")
        .unwrap() as u64;
    let mut slice = BinarySlice {
        body: 1,
        offset,
        length: 4,
        encoding: 1,
        start: 1,
        count: Some(9),
        size_only: false,
    };
    let partial = Some(Partial { start: 1, count: 9 });
    let item = FetchItem::Binary {
        peek: false,
        part: vec![2],
        partial,
    };
    assert_eq!(sent(item), format!("BINARY[2]<1> <{slice:?}>"));

    (slice.start, slice.count, slice.size_only) = (0, None, true);
    assert_eq!(
        sent(FetchItem::BinarySize { part: vec![2] }),
        format!("BINARY.SIZE[2] <{slice:?}>")
    );
    let unknown = sent(FetchItem::Binary {
        peek: true,
        part: vec![4, 1],
        partial: None,
    });
    assert!(unknown.contains("encoding: -1"), "{unknown}");
}

#[test]
fn rendered_metadata_is_written_unchanged() {
    let kept = TestSource::of(&[(1, NESTED)]);
    let metadata = MessageMetadata::open(&kept.metadata[&1]).unwrap();
    for (item, name, rendered) in [
        (FetchItem::Envelope, "ENVELOPE", metadata.envelope()),
        (FetchItem::Body, "BODY", metadata.body()),
        (
            FetchItem::BodyStructure,
            "BODYSTRUCTURE",
            metadata.bodystructure(),
        ),
        (
            FetchItem::Preview,
            "PREVIEW",
            &format!("\"{}\"", metadata.preview()).into_bytes(),
        ),
    ] {
        let rendered = std::str::from_utf8(rendered).unwrap();
        assert_eq!(sent(item), format!("{name} {rendered}"));
    }
}
