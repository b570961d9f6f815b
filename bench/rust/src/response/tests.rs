use super::*;

#[test]
fn every_kind_of_response_is_classified() {
    let cases: &[(&[u8], Response)] = &[
        (b"T1 OK done", Response::Tagged(1, Status::Ok, b"OK done")),
        (
            b"T4294967295 no [X] y",
            Response::Tagged(u32::MAX, Status::No, b"no [X] y"),
        ),
        (b"T12 BAD", Response::Tagged(12, Status::Bad, b"BAD")),
        (b"T4294967296 OK", Response::Garbage(b"T4294967296 OK")),
        (b"T1 OKAY", Response::Garbage(b"T1 OKAY")),
        (b"T1 BYE", Response::Garbage(b"T1 BYE")),
        (b"T OK", Response::Garbage(b"T OK")),
        (b"T1", Response::Garbage(b"T1")),
        (b"+", Response::Continue),
        (b"+ idling", Response::Continue),
        (b"+OK POP3", Response::Garbage(b"+OK POP3")),
        (b"* 23 EXISTS", Response::Exists(23)),
        (b"* 0 exists", Response::Exists(0)),
        (b"* 23 EXISTSX", Response::Data),
        (b"* 23 EXPUNGE", Response::Data),
        (
            b"* 99999999999 EXISTS",
            Response::Garbage(b"* 99999999999 EXISTS"),
        ),
        (
            b"* OK [CAPABILITY X] hi",
            Response::Untagged(Status::Ok, b"OK [CAPABILITY X] hi"),
        ),
        (
            b"* PREAUTH hi",
            Response::Untagged(Status::PreAuth, b"PREAUTH hi"),
        ),
        (b"* BYE", Response::Untagged(Status::Bye, b"BYE")),
        (b"* BAD what", Response::Untagged(Status::Bad, b"BAD what")),
        (b"* NO disk", Response::Untagged(Status::No, b"NO disk")),
        (b"* NAMESPACE NIL", Response::Data),
        (b"* FLAGS (X)", Response::Data),
        (b"* OKAY", Response::Data),
        (b"* ", Response::Garbage(b"* ")),
        (b"* (", Response::Garbage(b"* (")),
        (b"", Response::Garbage(b"")),
        (b"220 lmtp", Response::Garbage(b"220 lmtp")),
        (b"\x16\x03\x01", Response::Garbage(b"\x16\x03\x01")),
    ];
    for (line, expected) in cases {
        assert_eq!(classify(line), *expected, "{}", line.escape_ascii());
    }
}

#[test]
fn a_reply_has_a_code_and_may_be_the_last_line() {
    assert_eq!(
        reply(b"250 2.1.0 ok"),
        Some(Reply {
            code: 250,
            is_last: true
        })
    );
    assert_eq!(
        reply(b"250-PIPELINING"),
        Some(Reply {
            code: 250,
            is_last: false
        })
    );
    assert_eq!(
        reply(b"354"),
        Some(Reply {
            code: 354,
            is_last: true
        })
    );
    for line in [
        b"".as_slice(),
        b"25",
        b"25x ok",
        b"250x",
        b"199 x",
        b"600 x",
        b"* OK",
    ] {
        assert_eq!(reply(line), None, "{}", line.escape_ascii());
    }
}
