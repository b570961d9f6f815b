//! Sections of messages without parts, whole and partial.

use proptest::prelude::*;

use super::*;

const MESSAGE: &[u8] = b"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\n\
    From: Fred Foobar <foobar@blurdybloop.example>\r\n\
    Subject: afternoon\r\n meeting\r\n\
    To: mooch@owatagu.siam.edu.example\r\n\
    X-Odd: 1\r\n\
    X-Odd: 2\r\n\
    \r\n\
    Hello Joe\r\n";

fn simple() -> (TestSource, Record) {
    let mut one = record(1);
    one.size = u32::try_from(MESSAGE.len()).unwrap();
    (TestSource::of(&[(1, MESSAGE)]), one)
}

/// RFC 9051 sections 6.4.5.1 and 7.5.2.
#[test]
fn sections_of_a_simple_message() {
    let (kept, one) = simple();
    let whole = std::str::from_utf8(MESSAGE).unwrap();
    let (header, text) = whole.split_at(whole.find("Hello").unwrap());
    let literal = |text: &str| format!("{{{}}}\r\n{text}", text.len());
    let named = |names: &[&str]| SectionText::HeaderFields(fields(names));
    let not = |names: &[&str]| SectionText::HeaderFieldsNot(fields(names));
    let table = [
        (
            body(&[], SectionText::All),
            format!("BODY[] {}", literal(whole)),
        ),
        (FetchItem::Rfc822, format!("RFC822 {}", literal(whole))),
        (
            body(&[], SectionText::Header),
            format!("BODY[HEADER] {}", literal(header)),
        ),
        (
            FetchItem::Rfc822Header,
            format!("RFC822.HEADER {}", literal(header)),
        ),
        (
            body(&[], SectionText::Text),
            format!("BODY[TEXT] {}", literal(text)),
        ),
        (
            FetchItem::Rfc822Text,
            format!("RFC822.TEXT {}", literal(text)),
        ),
        (
            body(&[1], SectionText::All),
            format!("BODY[1] {}", literal(text)),
        ),
        (body(&[2], SectionText::All), "BODY[2] NIL".into()),
        (body(&[1], SectionText::Header), "BODY[1.HEADER] NIL".into()),
        // The origin of a partial may be past the end: an empty string, not an error.
        (
            body_partial(SectionText::Text, 4, 5),
            format!("BODY[TEXT]<4> {}", literal("o Joe")),
        ),
        (
            body_partial(SectionText::Text, 6, 99),
            format!("BODY[TEXT]<6> {}", literal("Joe\r\n")),
        ),
        (
            body_partial(SectionText::Text, 11, 5),
            r#"BODY[TEXT]<11> """#.into(),
        ),
        (
            body_partial(SectionText::All, u64::MAX, u64::MAX),
            r#"BODY[]<18446744073709551615> """#.into(),
        ),
        (
            body(&[], named(&["subject", "DATE"])),
            format!(
                "BODY[HEADER.FIELDS (subject DATE)] {}",
                literal(
                    "Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nSubject: afternoon\r\n meeting\r\n\r\n"
                )
            ),
        ),
        (
            body(&[], named(&["x-odd"])),
            format!(
                "BODY[HEADER.FIELDS (x-odd)] {}",
                literal("X-Odd: 1\r\nX-Odd: 2\r\n\r\n")
            ),
        ),
        (
            body(&[], named(&["Cc"])),
            format!("BODY[HEADER.FIELDS (Cc)] {}", literal("\r\n")),
        ),
        (
            body(&[], not(&["x-ODD", "from", "Subject", "to"])),
            format!(
                "BODY[HEADER.FIELDS.NOT (x-ODD from Subject to)] {}",
                literal("Date: Mon, 7 Feb 1994 21:52:25 -0800\r\n\r\n")
            ),
        ),
        // Names that are not atoms are written as strings.
        (
            body(&[], named(&["a b", "", "say\"\\", "Gr\u{fc}n"])),
            format!(
                "BODY[HEADER.FIELDS (\"a b\" \"\" \"say\\\"\\\\\" {{5}}\r\nGr\u{fc}n)] {}",
                literal("\r\n")
            ),
        ),
    ];
    for (item, expected) in table {
        let sent = answers(std::slice::from_ref(&item), &[one], &kept).unwrap();
        assert_eq!(sent, format!("* 1 FETCH ({expected})\r\n"), "{item:?}");
    }
}

/// "Except in the case of a message that has no body and no blank line" (section 6.4.5.1).
#[test]
fn the_blank_line_is_left_out_only_without_line_and_body() {
    for (message, expected) in [
        (&b"Subject: x\r\n\r\n"[..], "{14}\r\nSubject: x\r\n\r\n"),
        (b"Subject: x\r\n", "{12}\r\nSubject: x\r\n"),
        (b"Subject: x", "{10}\r\nSubject: x"),
        (b"", "\"\""),
    ] {
        let kept = TestSource::of(&[(1, message)]);
        let item = body(&[], SectionText::HeaderFields(fields(&["Subject"])));
        let sent = answers(&[item], &[record(1)], &kept).unwrap();
        assert_eq!(
            sent,
            format!("* 1 FETCH (BODY[HEADER.FIELDS (Subject)] {expected})\r\n")
        );
    }
}

#[test]
fn an_empty_message_is_an_empty_string() {
    let kept = TestSource::of(&[(1, b"")]);
    let mut one = record(1);
    one.size = 0;
    let items = [body(&[], SectionText::All), body(&[], SectionText::Text)];
    assert_eq!(
        answers(&items, &[one], &kept).unwrap(),
        "* 1 FETCH (BODY[] \"\" BODY[TEXT] \"\")\r\n"
    );
}

#[test]
fn binary_without_an_encoding_is_a_slice_to_read() {
    let (kept, one) = simple();
    let partial = Some(Partial { start: 6, count: 3 });
    let slice = |start, count| {
        let slice = BinarySlice {
            body: 1,
            offset: MESSAGE.len() as u64 - 11,
            length: 11,
            encoding: 0,
            start,
            count,
            size_only: false,
        };
        format!("<{slice:?}>")
    };
    for (item, expected) in [
        (
            FetchItem::Binary {
                peek: true,
                part: vec![1],
                partial: None,
            },
            format!("BINARY[1] {}", slice(0, None)),
        ),
        (
            FetchItem::Binary {
                peek: true,
                part: vec![1],
                partial,
            },
            format!("BINARY[1]<6> {}", slice(6, Some(3))),
        ),
        (
            FetchItem::Binary {
                peek: true,
                part: vec![1, 2],
                partial: None,
            },
            "BINARY[1.2] NIL".into(),
        ),
        (
            FetchItem::BinarySize { part: vec![1] },
            "BINARY.SIZE[1] 11".into(),
        ),
        (
            FetchItem::BinarySize { part: vec![] },
            format!("BINARY.SIZE[] {}", MESSAGE.len()),
        ),
        (
            FetchItem::BinarySize { part: vec![3] },
            "BINARY.SIZE[3] 0".into(),
        ),
    ] {
        let sent = answers(&[item], &[one], &kept).unwrap();
        assert_eq!(sent, format!("* 1 FETCH ({expected})\r\n"));
    }
}

/// The fields of a message list are in the header cache: no message is read.
#[test]
fn cached_fields_are_sent_from_the_metadata() {
    let long = format!(
        "References: {}\r\nX-Odd: 1\r\nTo: a@b\r\n\r\n",
        "<a@b>".repeat(crate::message::limits::CACHED_FIELD_BYTES / 5)
    );
    let part = b"Content-Type: message/rfc822\r\n\r\nTo: c@d\r\n\r\n";
    for (message, path, names, is_read) in [
        (
            MESSAGE,
            &[][..],
            &["To", "DATE", "subject", "From"][..],
            false,
        ),
        (MESSAGE, &[], &["Cc"], false),
        (MESSAGE, &[], &["X-TUID", "To"], false),
        (MESSAGE, &[], &["X-Odd", "To"], true),
        (MESSAGE, &[], &[""], false),
        (long.as_bytes(), &[], &["To", "Cc", "X-None"], false),
        (long.as_bytes(), &[], &["To", "References"], true),
        (part, &[], &["To"], false),
        (part, &[1], &["To"], true),
    ] {
        let kept = TestSource::of(&[(1, message)]);
        let item = body(path, SectionText::HeaderFields(fields(names)));
        let segment = append(b"", &[record(1)]).unwrap();
        let numbers = UidMap::new(UidSet::run(1, 1));
        let request = Request {
            items: &[item],
            numbers: &numbers,
            wanted: numbers.uids(),
            recent: None,
            seen: None,
            id_bits: 0,
            flags_too: None,
            uid_fetch: false,
        };
        let pieces = render(&request, [&*segment], &kept).unwrap();
        let reads = pieces.iter().any(|piece| matches!(piece, Piece::Body(_)));
        assert_eq!(reads, is_read, "{names:?}");
    }
}

/// Headers of every shape: cached and other names, folded fields, long fields, lines that are not
/// fields, both line ends, with and without an empty line.
fn header() -> impl Strategy<Value = Vec<u8>> {
    let line = (
        proptest::sample::select(
            &[
                "To",
                "to",
                "TO ",
                "Cc",
                "Date",
                "References",
                "X-Odd",
                "Received",
                "no field",
                "",
            ][..],
        ),
        proptest::sample::select(&[":", ": ", ":\r\n ", ":\n\t", ""][..]),
        prop_oneof![0..30_usize, 1000..1030_usize],
        proptest::sample::select(&["\r\n", "\n", "\r\n\tmore\r\n", "\r"][..]),
    )
        .prop_map(|(name, colon, length, end)| format!("{name}{colon}{}{end}", "x".repeat(length)));
    let end = proptest::sample::select(&["\r\n", "\n", "", "\r\nbody", "\nbody"][..]);
    (proptest::collection::vec(line, 0..9), end)
        .prop_map(|(lines, end)| (lines.concat() + end).into_bytes())
}

proptest! {
    /// The bytes equal those of the message, from the header cache or not.
    #[test]
    fn named_fields_equal_those_of_the_message(
        message in header(),
        picked in proptest::sample::subsequence(
            vec!["to", "CC", "Date", "references", "x-odd", "", "Bcc", "x-none"], 1..=8,
        ),
        start in 0..60_u64,
        count in prop_oneof![1..60_u64, Just(u64::MAX)],
    ) {
        let kept = TestSource::of(&[(1, &message)]);
        let metadata = crate::message::MessageMetadata::open(&kept.metadata[&1]).unwrap();
        let mut expected = Vec::new();
        for field in metadata.header_fields(&[]).unwrap() {
            let name = std::str::from_utf8(field.name).unwrap();
            if picked.iter().any(|one| one.eq_ignore_ascii_case(name)) {
                let from = field.offset as usize;
                expected.extend_from_slice(&message[from..from + field.length as usize]);
            }
        }
        let header = metadata.header_size() as usize;
        if metadata.empty_line(&[]).unwrap().length > 0 || header < message.len() {
            expected.extend_from_slice(b"\r\n");
        }
        let from = expected.len().min(start as usize);
        let upto = expected.len().min(start.saturating_add(count) as usize);
        let cut = std::str::from_utf8(&expected[from..upto]).unwrap();
        let item = body_partial(SectionText::HeaderFields(fields(&picked)), start, count);
        let sent = answers(&[item], &[record(1)], &kept).unwrap();
        let (_, value) = sent.split_once("> ").unwrap();
        let value = value.strip_suffix(")\r\n").unwrap();
        if cut.is_empty() {
            prop_assert_eq!(value, "\"\"");
        } else {
            prop_assert_eq!(value, format!("{{{}}}\r\n{cut}", cut.len()));
        }
    }

    /// The literal contains exactly the requested part of the whole, and its header states the
    /// size.
    #[test]
    fn a_partial_is_a_slice_of_the_whole(
        start in 0..400_u64,
        count in 1..400_u64,
        picked in proptest::sample::subsequence(vec!["Date", "from", "SUBJECT", "x-odd"], 0..=4),
        not in any::<bool>(),
    ) {
        let (kept, one) = simple();
        let names = fields(&picked);
        let text = if not { SectionText::HeaderFieldsNot(names) } else { SectionText::HeaderFields(names) };
        let bytes = |item: FetchItem| {
            let sent = answers(&[item], &[one], &kept).unwrap();
            let value = sent.split_once("] ").or(sent.split_once("> ")).unwrap().1;
            match value.strip_suffix(")\r\n").unwrap() {
                "\"\"" => String::new(),
                literal => {
                    let (head, bytes) = literal.split_once("\r\n").unwrap();
                    assert_eq!(head, format!("{{{}}}", bytes.len()));
                    bytes.to_string()
                }
            }
        };
        let whole = bytes(body(&[], text.clone()));
        let partial = body_partial(text, start, count);
        let from = whole.len().min(start as usize);
        let upto = whole.len().min((start + count) as usize);
        let sent = answers(&[partial], &[one], &kept).unwrap();
        let value = sent.split_once(&format!("]<{start}> ")).unwrap().1;
        let expected = &whole[from..upto];
        let expected = if expected.is_empty() { "\"\"".into() } else { format!("{{{}}}\r\n{expected}", expected.len()) };
        prop_assert_eq!(value, format!("{expected})\r\n"));
    }
}
