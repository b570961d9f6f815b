//! GETQUOTA, GETQUOTAROOT, SETQUOTA.

use imapvm_core::wire::command::Verb;

use crate::{check_all, line};

fn set_quota(root: &str, limits: &[(&str, u64)]) -> Verb {
    Verb::SetQuota {
        root: root.into(),
        limits: limits
            .iter()
            .map(|(resource, limit)| ((*resource).to_owned(), *limit))
            .collect(),
    }
}

#[test]
fn quota_commands() {
    check_all(&[
        line(
            "9208 4.1.1",
            "GETQUOTA \"!partition/sda4\"",
            Verb::GetQuota {
                root: "!partition/sda4".into(),
            },
        ),
        line(
            "9208 4.1.1",
            "getquota \"\"",
            Verb::GetQuota {
                root: String::new(),
            },
        ),
        line(
            "9208 7",
            b"GETQUOTA {4+}\r\n#\xC3\xA9!",
            Verb::GetQuota {
                root: "#é!".into()
            },
        ),
        line(
            "9208 4.1.2",
            "GETQUOTAROOT inbox",
            Verb::GetQuotaRoot {
                mailbox: "INBOX".into(),
            },
        ),
        line(
            "9208 4.1.3",
            "SETQUOTA \"#user/alice\" (STORAGE 510)",
            set_quota("#user/alice", &[("STORAGE", 510)]),
        ),
        line(
            "9208 4.1.3",
            "setquota \"\" (storage 510 annotation-storage 0)",
            set_quota("", &[("STORAGE", 510), ("ANNOTATION-STORAGE", 0)]),
        ),
        line("9208 7", "SETQUOTA a ()", set_quota("a", &[])),
        line(
            "9208 3.1.2",
            "SETQUOTA a (MESSAGE 9223372036854775807)",
            set_quota("a", &[("MESSAGE", 9_223_372_036_854_775_807)]),
        ),
        line(
            "9208 3.1.2",
            "SETQUOTA a (MESSAGE 9223372036854775808)",
            Verb::Noop,
        )
        .malformed("SETQUOTA", "expected a limit below 2^63 at column 24"),
        line("9208 7", "SETQUOTA a (MESSAGE)", Verb::Noop)
            .malformed("SETQUOTA", "expected a space at column 23"),
        line("9208 7", "SETQUOTA a", Verb::Noop)
            .malformed("SETQUOTA", "expected a space at column 14"),
        line("9208 7", "GETQUOTA", Verb::Noop)
            .malformed("GETQUOTA", "expected a space at column 12"),
        line("9208 7", "GETQUOTAROOT a b", Verb::Noop)
            .malformed("GETQUOTAROOT", "expected the end of the line at column 18"),
    ]);
}
