//! FETCH.

use imapvm_core::wire::ast::{FetchItem, Partial, Section, SectionText, Window};
use imapvm_core::wire::command::{Fetch, Verb};

use crate::{Case, check_all, line, set};

fn fetch(items: Vec<FetchItem>) -> Verb {
    Verb::Fetch(Fetch {
        uid_asked: items.contains(&FetchItem::Uid),
        uid: false,
        set: set("1"),
        items,
        changed_since: None,
        vanished: false,
        window: None,
    })
}

fn bytes(peek: bool, part: &[u32], text: SectionText, partial: Option<(u64, u64)>) -> FetchItem {
    FetchItem::Section {
        peek,
        section: Section {
            part: part.to_vec(),
            text,
        },
        partial: partial.map(|(start, count)| Partial { start, count }),
    }
}

fn names(names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}

#[test]
fn macros_stand_for_their_items() {
    use FetchItem::{Body, Envelope, Flags, InternalDate, Rfc822Size};
    check_all(&[
        line(
            "9051 6.4.5",
            "FETCH 1 ALL",
            fetch(vec![Flags, InternalDate, Rfc822Size, Envelope]),
        ),
        line(
            "9051 6.4.5",
            "FETCH 1 fast",
            fetch(vec![Flags, InternalDate, Rfc822Size]),
        ),
        line(
            "9051 6.4.5",
            "FETCH 1 FULL ",
            fetch(vec![Flags, InternalDate, Rfc822Size, Envelope, Body]),
        ),
    ]);
}

#[test]
fn each_item_has_its_name() {
    let table = [
        ("9051 6.4.5", "UID", FetchItem::Uid),
        ("9051 6.4.5", "FLAGS", FetchItem::Flags),
        ("9051 6.4.5", "INTERNALDATE", FetchItem::InternalDate),
        ("9051 6.4.5", "RFC822.SIZE", FetchItem::Rfc822Size),
        ("9051 6.4.5", "ENVELOPE", FetchItem::Envelope),
        ("9051 6.4.5", "BODY", FetchItem::Body),
        ("9051 6.4.5", "BODYSTRUCTURE", FetchItem::BodyStructure),
        ("7162 3.1.5", "MODSEQ", FetchItem::ModSeq),
        ("8514 4.2", "SAVEDATE", FetchItem::SaveDate),
        ("8474 5.1", "EMAILID", FetchItem::EmailId),
        ("8474 5.2", "THREADID", FetchItem::ThreadId),
        ("8970 3.1", "PREVIEW", FetchItem::Preview),
        ("8970 3.1", "PREVIEW (LAZY)", FetchItem::Preview),
        ("3501 6.4.5", "RFC822", FetchItem::Rfc822),
        ("3501 6.4.5", "RFC822.HEADER", FetchItem::Rfc822Header),
        ("3501 6.4.5", "RFC822.TEXT", FetchItem::Rfc822Text),
        (
            "9051 6.4.5",
            "BODY[]",
            bytes(false, &[], SectionText::All, None),
        ),
        (
            "9051 6.4.5",
            "BODY.PEEK[]",
            bytes(true, &[], SectionText::All, None),
        ),
        (
            "9051 6.4.5",
            "BODY[1.2]<0.1024>",
            bytes(false, &[1, 2], SectionText::All, Some((0, 1024))),
        ),
        (
            "9051 6.4.5",
            "BODY[HEADER]",
            bytes(false, &[], SectionText::Header, None),
        ),
        (
            "9051 6.4.5",
            "BODY.PEEK[4.1.MIME]",
            bytes(true, &[4, 1], SectionText::Mime, None),
        ),
        (
            "9051 6.4.5",
            "BODY[TEXT]<18446744.1>",
            bytes(false, &[], SectionText::Text, Some((18_446_744, 1))),
        ),
        (
            "9051 6.4.5",
            "BODY.PEEK[HEADER.FIELDS (Date \"From\" x])]",
            bytes(
                true,
                &[],
                SectionText::HeaderFields(names(&["Date", "From", "x]"])),
                None,
            ),
        ),
        (
            "9051 6.4.5",
            "BODY[3.HEADER.FIELDS.NOT (To)]<5.6>",
            bytes(
                false,
                &[3],
                SectionText::HeaderFieldsNot(names(&["To"])),
                Some((5, 6)),
            ),
        ),
        (
            "3516 4.2",
            "BINARY[1]",
            FetchItem::Binary {
                peek: false,
                part: vec![1],
                partial: None,
            },
        ),
        (
            "3516 4.2",
            "BINARY.PEEK[]<1.2>",
            FetchItem::Binary {
                peek: true,
                part: vec![],
                partial: Some(Partial { start: 1, count: 2 }),
            },
        ),
        (
            "3516 4.2",
            "BINARY.SIZE[5.1]",
            FetchItem::BinarySize { part: vec![5, 1] },
        ),
    ];
    let cases: Vec<Case> = table
        .iter()
        .flat_map(|(section, name, item)| {
            // The case of field names is kept, so only what has none is tried in lower case.
            let lower = if name.contains("FIELDS") {
                (*name).to_owned()
            } else {
                name.to_lowercase()
            };
            [
                line(
                    section,
                    format!("FETCH 1 {name}"),
                    fetch(vec![item.clone()]),
                ),
                line(
                    section,
                    format!("FETCH 1 ({lower} {name})"),
                    fetch(vec![item.clone()]),
                ),
            ]
        })
        .collect();
    check_all(&cases);
}

#[test]
fn what_a_fetch_needs_follows_from_its_items() {
    let flags = |item: FetchItem| (item.needs_metadata(), item.reads_body(), item.sets_seen());
    for (item, expected) in [
        (FetchItem::Flags, (false, false, false)),
        (FetchItem::Envelope, (true, false, false)),
        (FetchItem::Preview, (true, false, false)),
        (FetchItem::Rfc822, (false, true, true)),
        (FetchItem::Rfc822Header, (true, true, false)),
        (FetchItem::Rfc822Text, (true, true, true)),
        (
            bytes(false, &[], SectionText::All, None),
            (false, true, true),
        ),
        (
            bytes(true, &[], SectionText::All, Some((0, 1))),
            (false, true, false),
        ),
        (
            bytes(false, &[1], SectionText::All, None),
            (true, true, true),
        ),
        (
            bytes(true, &[], SectionText::Header, None),
            (true, true, false),
        ),
        (
            FetchItem::Binary {
                peek: true,
                part: vec![1],
                partial: None,
            },
            (true, true, false),
        ),
        (
            FetchItem::Binary {
                peek: false,
                part: vec![1],
                partial: None,
            },
            (true, true, true),
        ),
        (FetchItem::BinarySize { part: vec![1] }, (true, true, false)),
    ] {
        assert_eq!(flags(item.clone()), expected, "{item:?}");
    }
}

#[test]
fn uid_fetch_includes_uid_once() {
    use FetchItem::{Flags, Uid};
    let uid_fetch = |items: Vec<FetchItem>, uid_asked, changed_since, vanished| {
        Verb::Fetch(Fetch {
            uid: true,
            set: set("1:*"),
            items,
            uid_asked,
            changed_since,
            vanished,
            window: None,
        })
    };
    let uid = |items, since, vanished| uid_fetch(items, false, since, vanished);
    check_all(&[
        line(
            "9051 6.4.9",
            "UID FETCH 1:* FLAGS",
            uid(vec![Uid, Flags], None, false),
        ),
        line(
            "9051 6.4.9",
            "UID FETCH 1:* (FLAGS UID)",
            uid_fetch(vec![Uid, Flags], true, None, false),
        ),
        line(
            "9051 6.4.9",
            "UID FETCH 1:* UID",
            uid_fetch(vec![Uid], true, None, false),
        ),
        line(
            "7162 3.1.4.1",
            "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 12345)",
            uid(vec![Uid, Flags], Some(12_345), false),
        ),
        line(
            "7162 3.2.6",
            "UID FETCH 1:* FLAGS (CHANGEDSINCE 12345 VANISHED)",
            uid(vec![Uid, Flags], Some(12_345), true),
        ),
        line(
            "7162 3.2.6",
            "UID FETCH 1:* PREVIEW (vanished changedsince 9223372036854775807)",
            uid(vec![Uid, FetchItem::Preview], Some(i64::MAX as u64), true),
        ),
    ]);
}

/// RFC 9394 section 3.3.
#[test]
fn fetch_has_a_window() {
    let windowed = |uid, uid_asked, items: Vec<FetchItem>, changed_since| {
        Verb::Fetch(Fetch {
            uid,
            set: set("1:*"),
            items,
            uid_asked,
            changed_since,
            vanished: false,
            window: Some(Window { one: -1, other: -3 }),
        })
    };
    let (uid, flags) = (FetchItem::Uid, FetchItem::Flags);
    check_all(&[
        line(
            "9394 3.3",
            "UID FETCH 1:* (UID FLAGS) (PARTIAL -1:-3)",
            windowed(true, true, vec![uid.clone(), flags.clone()], None),
        ),
        line(
            "9394 3.4",
            "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 98305 partial -1:-3)",
            windowed(true, false, vec![uid.clone(), flags.clone()], Some(98_305)),
        ),
        line(
            "9394 3.4",
            "UID FETCH 1:* FLAGS (PARTIAL -1:-3 CHANGEDSINCE 98305)",
            windowed(true, false, vec![uid, flags.clone()], Some(98_305)),
        ),
        line(
            "9394 4",
            "FETCH 1:* FLAGS (PARTIAL -1:-3)",
            windowed(false, false, vec![flags], None),
        ),
    ]);
}
