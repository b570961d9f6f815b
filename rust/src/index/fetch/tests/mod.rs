//! Known answers by RFC section, and a naive cut beside the one that sends slices.
#![allow(clippy::cast_possible_truncation)] // messages here are short

mod parts;

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::index::{Record, append};
use crate::message::Scanner;
use crate::wire::ast::{Partial, Section, SectionText};

/// Keyword sets and digests of a test; a missing one is an error, as it is in Python.
#[derive(Default)]
struct Kept {
    keywords: HashMap<u32, Vec<u8>>,
    digests: HashMap<u64, Vec<u8>>,
    messages: HashMap<u64, Vec<u8>>,
}

#[derive(Debug, PartialEq)]
enum Trouble {
    Corrupt(Corrupt),
    Missing,
}

impl From<Corrupt> for Trouble {
    fn from(corrupt: Corrupt) -> Self {
        Self::Corrupt(corrupt)
    }
}

impl Source for Kept {
    type Error = Trouble;
    type Octets = Vec<u8>;

    fn keywords(&self, set: u32) -> Result<Vec<u8>, Trouble> {
        self.keywords.get(&set).cloned().ok_or(Trouble::Missing)
    }

    fn digest(&self, body: u64) -> Result<Vec<u8>, Trouble> {
        self.digests.get(&body).cloned().ok_or(Trouble::Missing)
    }
}

impl Kept {
    fn of(messages: &[(u64, &[u8])]) -> Self {
        let mut kept = Self::default();
        for (body, message) in messages {
            let mut scanner = Scanner::new();
            scanner.feed(message);
            kept.digests.insert(*body, scanner.finish());
            kept.messages.insert(*body, message.to_vec());
        }
        kept
    }

    /// What a client gets: pieces with the octets of bodies in their places.
    fn sent(&self, pieces: &[Piece]) -> String {
        let mut out = Vec::new();
        let mut was_text = false;
        for piece in pieces {
            match piece {
                Piece::Text(text) => {
                    assert!(
                        !was_text && !text.is_empty(),
                        "text beside text was not joined"
                    );
                    out.extend_from_slice(text);
                }
                Piece::Body(slice) => {
                    assert!(slice.length > 0);
                    let from = slice.offset as usize;
                    out.extend_from_slice(
                        &self.messages[&slice.body][from..from + slice.length as usize],
                    );
                }
                Piece::Binary(slice) => out.extend_from_slice(format!("<{slice:?}>").as_bytes()),
            }
            was_text = matches!(piece, Piece::Text(_));
        }
        String::from_utf8(out).unwrap()
    }
}

fn record(uid: u32) -> Record {
    Record {
        uid,
        size: 44_827,
        flags: system::SEEN,
        zone: -7 * 60,
        keyword_set: 0,
        modseq: 624_140_003,
        date: 837_596_665,
        saved: 0,
        body: u64::from(uid),
        thread: 0,
    }
}

/// The answers about all messages of a mailbox that a client knows whole.
fn answers(items: &[FetchItem], records: &[Record], kept: &Kept) -> Result<String, Trouble> {
    let segment = append(b"", records).unwrap();
    let uids = UidSet::of(records.iter().map(|record| record.uid).collect()).unwrap();
    let numbers = UidMap::new(uids.clone());
    let request = Request {
        items,
        numbers: &numbers,
        wanted: &uids,
        recent: None,
        flags_too: None,
    };
    Ok(kept.sent(&render(&request, [&*segment], kept)?))
}

fn body(part: &[u32], text: SectionText) -> FetchItem {
    FetchItem::Section {
        peek: true,
        section: Section {
            part: part.to_vec(),
            text,
        },
        partial: None,
    }
}

fn body_partial(text: SectionText, start: u64, count: u64) -> FetchItem {
    let section = Section { part: vec![], text };
    FetchItem::Section {
        peek: false,
        section,
        partial: Some(Partial { start, count }),
    }
}

fn fields(names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}

/// RFC 3501 section 7.4.2: `* 23 FETCH (FLAGS (\Seen) RFC822.SIZE 44827)`, and its kin.
#[test]
fn the_index_alone_answers() {
    let mut kept = Kept::default();
    kept.keywords.insert(3, b"$Forwarded Junk".to_vec());
    let mut one = record(5);
    one.keyword_set = 3;
    one.thread = 0xAB;
    one.saved = 1;
    let table: [(&[FetchItem], &str); 8] = [
        (
            &[FetchItem::Flags, FetchItem::Rfc822Size],
            r"FLAGS (\Seen $Forwarded Junk) RFC822.SIZE 44827",
        ),
        (&[FetchItem::Uid], "UID 5"),
        (
            &[FetchItem::InternalDate],
            r#"INTERNALDATE "17-Jul-1996 02:44:25 -0700""#,
        ),
        (&[FetchItem::ModSeq], "MODSEQ (624140003)"),
        (
            &[FetchItem::SaveDate],
            r#"SAVEDATE " 1-Jan-1970 00:00:01 +0000""#,
        ),
        (&[FetchItem::EmailId], "EMAILID (M0000000000000005)"),
        (&[FetchItem::ThreadId], "THREADID (T00000000000000ab)"),
        (&[FetchItem::Uid, FetchItem::Uid], "UID 5 UID 5"),
    ];
    for (items, expected) in table {
        let sent = answers(items, &[one], &kept).unwrap();
        assert_eq!(sent, format!("* 1 FETCH ({expected})\r\n"));
    }
    let no_thread = answers(&[FetchItem::ThreadId], &[record(5)], &kept).unwrap();
    assert_eq!(no_thread, "* 1 FETCH (THREADID NIL)\r\n");
}

#[test]
fn every_system_flag_has_its_name() {
    let mut one = record(1);
    one.flags = 0xFF;
    assert_eq!(
        answers(&[FetchItem::Flags], &[one], &Kept::default()).unwrap(),
        "* 1 FETCH (FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft))\r\n"
    );
    one.flags = 0;
    assert_eq!(
        answers(&[FetchItem::Flags], &[one], &Kept::default()).unwrap(),
        "* 1 FETCH (FLAGS ())\r\n"
    );
}

#[test]
fn recent_and_flags_too_belong_to_the_messages_named() {
    let segment = append(b"", &[record(4), record(6), record(9)]).unwrap();
    let set = |uids: &[u32]| UidSet::of(uids.to_vec()).unwrap();
    let (numbers, wanted) = (UidMap::new(set(&[4, 6, 9])), set(&[4, 9, 12]));
    let (recent, flags_too) = (set(&[9]), set(&[6, 9]));
    let mut request = Request {
        items: &[FetchItem::Uid],
        numbers: &numbers,
        wanted: &wanted,
        recent: Some(&recent),
        flags_too: Some(&flags_too),
    };
    let kept = Kept::default();
    let answer = |request: &Request<'_>| kept.sent(&render(request, [&*segment], &kept).unwrap());
    assert_eq!(
        answer(&request),
        "* 1 FETCH (UID 4)\r\n* 3 FETCH (UID 9 FLAGS (\\Recent \\Seen))\r\n"
    );
    // FLAGS are said once where they are asked for as well.
    request.items = &[FetchItem::Flags];
    request.recent = None;
    assert_eq!(
        answer(&request),
        "* 1 FETCH (FLAGS (\\Seen))\r\n* 3 FETCH (FLAGS (\\Seen))\r\n"
    );
}

#[test]
fn what_the_client_does_not_know_is_passed_over() {
    let segment = append(b"", &[record(4), record(6)]).unwrap();
    let wanted = UidSet::run(1, 10);
    let numbers = UidMap::new(UidSet::run(6, 6));
    let request = Request {
        items: &[FetchItem::Uid],
        numbers: &numbers,
        wanted: &wanted,
        recent: None,
        flags_too: None,
    };
    let kept = Kept::default();
    let pieces = render(&request, [&*segment], &kept).unwrap();
    assert_eq!(kept.sent(&pieces), "* 1 FETCH (UID 6)\r\n");
    assert_eq!(
        render(&request, [&*segment, &*segment], &kept),
        Err(Trouble::Corrupt(OUT_OF_ORDER))
    );
}

#[test]
fn what_is_missing_or_damaged_is_an_error() {
    let mut one = record(1);
    one.keyword_set = 7;
    let kept = Kept::default();
    assert_eq!(
        answers(&[FetchItem::Flags], &[one], &kept),
        Err(Trouble::Missing)
    );
    assert_eq!(
        answers(&[FetchItem::Envelope], &[one], &kept),
        Err(Trouble::Missing)
    );
    let mut kept = Kept::of(&[(1, b"Subject: x\r\n\r\n")]);
    kept.digests.get_mut(&1).unwrap()[9] ^= 1;
    assert!(matches!(
        answers(&[FetchItem::Envelope], &[one], &kept),
        Err(Trouble::Corrupt(_))
    ));
}

/// INTERNALDATE keeps the zone it was given in, before 1970 and after 2038.
#[test]
fn dates_are_written_in_their_zone() {
    for (seconds, zone, expected) in [
        (0, 0, " 1-Jan-1970 00:00:00 +0000"),
        (0, -1, "31-Dec-1969 23:59:00 -0001"),
        (951_782_400, 60, "29-Feb-2000 01:00:00 +0100"),
        (-2_203_891_200, 0, " 1-Mar-1900 00:00:00 +0000"),
        (4_107_542_399, 0, "28-Feb-2100 23:59:59 +0000"),
        (4_107_542_400, 0, " 1-Mar-2100 00:00:00 +0000"),
        (2_147_483_648, 330, "19-Jan-2038 08:44:08 +0530"),
        (-62_135_596_800, 0, " 1-Jan-0001 00:00:00 +0000"),
        (253_402_300_799, 0, "31-Dec-9999 23:59:59 +0000"),
        (i64::MAX, i16::MAX, "31-Dec-9999 23:59:59 +9959"),
        (i64::MIN, i16::MIN, " 1-Jan-0001 00:00:00 -9959"),
    ] {
        let mut out = Vec::new();
        put_date_time(&mut out, seconds, zone);
        assert_eq!(String::from_utf8(out).unwrap(), format!("\"{expected}\""));
    }
}

const MESSAGE: &[u8] = b"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\n\
    From: Fred Foobar <foobar@blurdybloop.example>\r\n\
    Subject: afternoon\r\n meeting\r\n\
    To: mooch@owatagu.siam.edu.example\r\n\
    X-Odd: 1\r\n\
    X-Odd: 2\r\n\
    \r\n\
    Hello Joe\r\n";

fn simple() -> (Kept, Record) {
    let mut one = record(1);
    one.size = u32::try_from(MESSAGE.len()).unwrap();
    (Kept::of(&[(1, MESSAGE)]), one)
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
        // The empty string ends at octet 0 of nothing: a partial past the end is not an error.
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
        // Names that are no atoms come back as strings.
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
fn the_blank_line_is_there_unless_there_is_neither_line_nor_body() {
    for (message, expected) in [
        (&b"Subject: x\r\n\r\n"[..], "{14}\r\nSubject: x\r\n\r\n"),
        (b"Subject: x\r\n", "{12}\r\nSubject: x\r\n"),
        (b"Subject: x", "{10}\r\nSubject: x"),
        (b"", "\"\""),
    ] {
        let kept = Kept::of(&[(1, message)]);
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
    let kept = Kept::of(&[(1, b"")]);
    let mut one = record(1);
    one.size = 0;
    let items = [body(&[], SectionText::All), body(&[], SectionText::Text)];
    assert_eq!(
        answers(&items, &[one], &kept).unwrap(),
        "* 1 FETCH (BODY[] \"\" BODY[TEXT] \"\")\r\n"
    );
}

#[test]
fn binary_without_an_encoding_is_sent_as_stored() {
    let (kept, one) = simple();
    let partial = Some(Partial { start: 6, count: 3 });
    for (item, expected) in [
        (
            FetchItem::Binary {
                peek: true,
                part: vec![1],
                partial: None,
            },
            "BINARY[1] ~{11}\r\nHello Joe\r\n".to_string(),
        ),
        (
            FetchItem::Binary {
                peek: true,
                part: vec![1],
                partial,
            },
            "BINARY[1]<6> ~{3}\r\nJoe".into(),
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

#[test]
fn decimals_are_those_of_std() {
    for value in [0, 1, 9, 10, 99, 100, 4_294_967_295, u64::MAX - 1, u64::MAX] {
        let mut out = Vec::new();
        put_decimal(&mut out, value);
        assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
    }
}

proptest! {
    /// The octets of a literal are the cut of the whole, wherever the cut falls, and its head
    /// counts them.
    #[test]
    fn a_partial_is_a_cut_of_the_whole(
        start in 0..400_u64,
        count in 1..400_u64,
        picked in proptest::sample::subsequence(vec!["Date", "from", "SUBJECT", "x-odd"], 0..=4),
        not in any::<bool>(),
    ) {
        let (kept, one) = simple();
        let names = fields(&picked);
        let text = if not { SectionText::HeaderFieldsNot(names) } else { SectionText::HeaderFields(names) };
        let octets = |item: FetchItem| {
            let sent = answers(&[item], &[one], &kept).unwrap();
            let value = sent.split_once("] ").or(sent.split_once("> ")).unwrap().1;
            match value.strip_suffix(")\r\n").unwrap() {
                "\"\"" => String::new(),
                literal => {
                    let (head, octets) = literal.split_once("\r\n").unwrap();
                    assert_eq!(head, format!("{{{}}}", octets.len()));
                    octets.to_string()
                }
            }
        };
        let whole = octets(body(&[], text.clone()));
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
