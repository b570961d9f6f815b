//! Items answered from the index alone, and errors.

use super::*;

/// RFC 3501 section 7.4.2: `* 23 FETCH (FLAGS (\Seen) RFC822.SIZE 44827)`, and similar items.
#[test]
fn items_answered_by_the_index_alone() {
    let mut kept = TestSource::default();
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

/// A step ends after the message that reaches the cost, also if the response is small.
#[test]
fn rendering_and_decoding_stop_at_their_cost() {
    let message = format!("{}Subject: s\r\n\r\nx", "A: b\r\n".repeat(1_000));
    let messages = [1, 2, 3].map(|body| (body, message.as_bytes()));
    let kept = TestSource::of(&messages);
    let segment = append(b"", &[record(1), record(2), record(3)]).unwrap();
    let uids = UidSet::run(1, 3);
    let numbers = UidMap::new(uids.clone());
    let size = kept.metadata[&1].len();
    let names = SectionText::HeaderFields(fields(&["x"]));
    let parts = FetchItem::BinarySize { part: vec![1] };
    for (item, of_one) in [
        (FetchItem::Preview, size),
        (body(&[], names), size + 1_001 * FIELD_COST),
        (parts.clone(), size),
    ] {
        for (max_cost, left) in [
            (1, 2),
            (of_one, 2),
            (of_one + 1, 1),
            (2 * of_one + 1, 0),
            (STEP_COST, 0),
        ] {
            let request = Request {
                items: std::slice::from_ref(&item),
                numbers: &numbers,
                wanted: &uids,
                recent: None,
                seen: None,
                id_bits: 0,
                flags_too: None,
                uid_fetch: false,
            };
            let segments = [Ok(&*segment)];
            let limits = (usize::MAX, max_cost);
            let rendered = render_some(&request, segments, &kept, limits, &mut Vec::new());
            let remaining = rendered.unwrap().remaining;
            assert_eq!(remaining, UidSet::run(4 - left, 3), "{item:?} {max_cost}");
            if item == parts {
                let metadata = |body| kept.metadata(body);
                let items = std::slice::from_ref(&item);
                let (_, rest) =
                    undecodable(items, &uids, [Ok(&*segment)], metadata, max_cost).unwrap();
                assert_eq!(rest, remaining);
            }
        }
    }
}

#[test]
fn every_system_flag_has_its_name() {
    let mut one = record(1);
    one.flags = 0xFF;
    assert_eq!(
        answers(&[FetchItem::Flags], &[one], &TestSource::default()).unwrap(),
        "* 1 FETCH (FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft))\r\n"
    );
    one.flags = 0;
    assert_eq!(
        answers(&[FetchItem::Flags], &[one], &TestSource::default()).unwrap(),
        "* 1 FETCH (FLAGS ())\r\n"
    );
}

#[test]
fn recent_and_flags_too_apply_to_their_uids_only() {
    let segment = append(b"", &[record(4), record(6), record(9)]).unwrap();
    let set = |uids: &[u32]| UidSet::of(uids.to_vec()).unwrap();
    let (numbers, wanted) = (UidMap::new(set(&[4, 6, 9])), set(&[4, 9, 12]));
    let (recent, flags_too) = (set(&[9]), set(&[6, 9]));
    let mut request = Request {
        items: &[FetchItem::Uid],
        numbers: &numbers,
        wanted: &wanted,
        recent: Some(&recent),
        seen: None,
        id_bits: 0,
        flags_too: Some(&flags_too),
        uid_fetch: false,
    };
    let kept = TestSource::default();
    let answer = |request: &Request<'_>| kept.sent(&render(request, [&*segment], &kept).unwrap());
    assert_eq!(
        answer(&request),
        "* 1 FETCH (UID 4)\r\n* 3 FETCH (UID 9 FLAGS (\\Recent \\Seen))\r\n"
    );
    // FLAGS appear once even if they are requested as well.
    request.items = &[FetchItem::Flags];
    request.recent = None;
    assert_eq!(
        answer(&request),
        "* 1 FETCH (FLAGS (\\Seen))\r\n* 3 FETCH (FLAGS (\\Seen))\r\n"
    );
    // RFC 9586 section 3.3.
    request.uid_fetch = true;
    assert_eq!(
        answer(&request),
        "* 4 UIDFETCH (FLAGS (\\Seen))\r\n* 9 UIDFETCH (FLAGS (\\Seen))\r\n"
    );
}

#[test]
fn messages_unknown_to_the_client_are_skipped() {
    let segment = append(b"", &[record(4), record(6)]).unwrap();
    let wanted = UidSet::run(1, 10);
    let numbers = UidMap::new(UidSet::run(6, 6));
    let request = Request {
        items: &[FetchItem::Uid],
        numbers: &numbers,
        wanted: &wanted,
        recent: None,
        seen: None,
        id_bits: 0,
        flags_too: None,
        uid_fetch: false,
    };
    let kept = TestSource::default();
    let pieces = render(&request, [&*segment], &kept).unwrap();
    assert_eq!(kept.sent(&pieces), "* 1 FETCH (UID 6)\r\n");
    assert_eq!(
        render(&request, [&*segment, &*segment], &kept),
        Err(SourceError::Corrupt(OUT_OF_ORDER))
    );
}

#[test]
fn missing_and_corrupt_data_is_an_error() {
    let mut one = record(1);
    one.keyword_set = 7;
    let kept = TestSource::default();
    assert_eq!(
        answers(&[FetchItem::Flags], &[one], &kept),
        Err(SourceError::Missing)
    );
    assert_eq!(
        answers(&[FetchItem::Envelope], &[one], &kept),
        Err(SourceError::Missing)
    );
    let mut kept = TestSource::of(&[(1, b"Subject: x\r\n\r\n")]);
    kept.metadata.get_mut(&1).unwrap()[9] ^= 1;
    assert!(matches!(
        answers(&[FetchItem::Envelope], &[one], &kept),
        Err(SourceError::Corrupt(_))
    ));
}

/// INTERNALDATE keeps its zone, also before 1970 and after 2038.
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
