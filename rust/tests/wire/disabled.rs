//! Syntax that is disabled is unknown, wherever the input is cut.

use std::sync::Arc;

use imapvm_core::wire::disabled::DisabledSyntax;
use imapvm_core::wire::limits::Limits;
use imapvm_core::wire::reader::Reader;

use super::{malformed, read};

fn check(disabled: &[&str], cases: &[(&str, Option<&'static str>, &str)]) {
    let disabled = DisabledSyntax::new(disabled.iter().copied()).map(Arc::new);
    let disabled = disabled.expect("entries start with a command");
    for (sent, name, message) in cases {
        let again = |pieces: &[&[u8]]| {
            let mut reader = Reader::new(Limits::default());
            reader.disabled = Some(Arc::clone(&disabled));
            read(&mut reader, pieces)
        };
        let sent = format!("a1 {sent}\r\n");
        let expected = vec![malformed(Some("a1"), *name, message)];
        assert_eq!(again(&[sent.as_bytes()]), expected, "{sent}");
        for at in 1..sent.len() {
            let (before, after) = sent.as_bytes().split_at(at);
            assert_eq!(again(&[before, after]), expected, "{sent} cut at {at}");
        }
    }
}

#[test]
fn a_disabled_command_is_unknown() {
    check(
        &["MOVE", "UID EXPUNGE", "IDLE"],
        &[
            ("MOVE 1 x", None, "expected a command at column 4"),
            ("uid move 1 x", None, "expected a command at column 4"),
            ("UID EXPUNGE 1", None, "expected a command at column 4"),
            ("MOVE 1 {1+}\r\nx", None, "expected a command at column 4"),
            ("MOVE 1 {1}", None, "expected a command at column 4"),
            ("idle", None, "expected a command at column 4"),
        ],
    );
}

#[test]
fn a_disabled_keyword_is_unknown_in_its_command() {
    check(
        &[
            "FETCH MODSEQ",
            "SELECT QRESYNC",
            "SEARCH OLDER",
            "STATUS SIZE",
            "$",
        ],
        &[
            (
                "FETCH 1 modseq",
                Some("FETCH"),
                "expected a FETCH item at column 12",
            ),
            (
                "UID FETCH 1 (UID MODSEQ)",
                Some("UID FETCH"),
                "expected a FETCH item at column 21",
            ),
            (
                "EXAMINE x (QRESYNC (1 2))",
                Some("EXAMINE"),
                "expected CONDSTORE or QRESYNC at column 15",
            ),
            (
                "SORT (DATE) UTF-8 OLDER 1",
                Some("SORT"),
                "expected a search key at column 22",
            ),
            (
                "LIST \"\" x RETURN (STATUS (SIZE))",
                Some("LIST"),
                "expected a STATUS item at column 30",
            ),
            (
                "UID COPY $ x",
                Some("UID COPY"),
                "expected a number or \"*\" at column 13",
            ),
        ],
    );
}
