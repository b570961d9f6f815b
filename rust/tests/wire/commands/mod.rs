//! Commands that are one line, by section.

mod appending;
mod catenate;
mod fetching;
mod listing;
mod metadata;
mod notifying;
mod quotas;
mod searching;
mod sorting;

use imapvm_core::wire::ast::system;
use imapvm_core::wire::command::{Event, Qresync, Store, StoreMode, Verb};
use imapvm_core::wire::limits::Limits;
use imapvm_core::wire::syntax::flags::FlagList;

use crate::{Case, case, check, check_all, command, line, set};

fn text(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn commands_without_arguments() {
    let table = [
        ("9051 6.1.1", "CAPABILITY", Verb::Capability),
        ("9051 6.1.2", "NOOP", Verb::Noop),
        ("9051 6.1.3", "LOGOUT", Verb::Logout),
        ("9051 6.2.1", "STARTTLS", Verb::StartTls),
        ("9051 6.3.10", "NAMESPACE", Verb::Namespace),
        ("3501 6.4.1", "CHECK", Verb::Check),
        ("9051 6.4.1", "CLOSE", Verb::Close),
        ("9051 6.4.2", "UNSELECT", Verb::Unselect),
        ("4978 5", "COMPRESS DEFLATE", Verb::Compress),
        ("8437 6", "UNAUTHENTICATE", Verb::Unauthenticate),
        ("9051 6.4.3", "EXPUNGE", Verb::Expunge { uids: None }),
    ];
    let cases: Vec<Case> = table
        .iter()
        .flat_map(|(section, name, verb)| {
            let events = || vec![command("a.1]", verb.clone())];
            [
                case(section, format!("a.1] {name}\r\n"), events()),
                case(
                    section,
                    format!("a.1] {}\r\n", name.to_lowercase()),
                    events(),
                ),
                // Lenient: a bare LF, and a space before the line end.
                case(section, format!("a.1] {name}\n"), events()),
                case(section, format!("a.1] {name} \r\n"), events()),
            ]
        })
        .collect();
    check_all(&cases);
}

#[test]
fn uid_batches() {
    let batches = |size, batches| Verb::UidBatches { size, batches };
    check_all(&[
        line("10022 5", "UIDBATCHES 2000", batches(2000, None)),
        line("10022 5", "uidbatches 500 1:1", batches(500, Some((1, 1)))),
        // The handler refuses the order (RFC 10022 section 3.1).
        line(
            "10022 3.1",
            "UIDBATCHES 4294967295 4294967295:1",
            batches(u32::MAX, Some((u32::MAX, 1))),
        ),
        line("10022 5", "UIDBATCHES 0", Verb::Noop)
            .malformed("UIDBATCHES", "expected a number of messages at column 15"),
        line("10022 5", "UIDBATCHES 500 3", Verb::Noop)
            .malformed("UIDBATCHES", "expected \":\" at column 20"),
        line("10022 5", "UIDBATCHES 500 0:2", Verb::Noop)
            .malformed("UIDBATCHES", "expected a batch number at column 19"),
        line("10022 5", "UIDBATCHES 500 1:*", Verb::Noop)
            .malformed("UIDBATCHES", "expected a batch number at column 21"),
        line("10022 5", "UIDBATCHES 500 1:2 3", Verb::Noop)
            .malformed("UIDBATCHES", "expected the end of the line at column 22"),
        line("10022 5", "UIDBATCHES", Verb::Noop)
            .malformed("UIDBATCHES", "expected a space at column 14"),
    ]);
}

#[test]
fn signing_in() {
    let login = |user: &str, password: &str| Verb::Login {
        user: user.into(),
        password: password.into(),
    };
    let authenticate = |mechanism: &str, initial: Option<&[u8]>| Verb::Authenticate {
        mechanism: mechanism.to_owned(),
        initial: initial.map(<[u8]>::to_vec),
    };
    check_all(&[
        line("9051 6.2.3", "LOGIN SMITH SESAME", login("SMITH", "SESAME")),
        line(
            "9051 6.2.3",
            "login \"a b\" \"\\\"\\\\]\"",
            login("a b", "\"\\]"),
        ),
        line("9051 6.2.3", "LOGIN \"\" x]y", login("", "x]y")),
        line(
            "9051 6.2.3",
            "LOGIN jürgen \"pässword\"",
            login("jürgen", "pässword"),
        ),
        line(
            "9051 6.2.2",
            "AUTHENTICATE GSSAPI",
            authenticate("GSSAPI", None),
        ),
        line(
            "4959 3",
            "AUTHENTICATE plain AGZvbwBiYXI=",
            authenticate("PLAIN", Some(b"\0foo\0bar")),
        ),
        line(
            "4959 3",
            "AUTHENTICATE EXTERNAL =",
            authenticate("EXTERNAL", Some(b"")),
        ),
        line(
            "4959 3",
            "AUTHENTICATE EXTERNAL = ",
            authenticate("EXTERNAL", Some(b"")),
        ),
    ]);
}

#[test]
fn id_and_enable() {
    let id = |pairs: &[(&str, Option<&str>)]| Verb::Id {
        params: pairs
            .iter()
            .map(|(name, value)| ((*name).into(), value.map(Into::into)))
            .collect(),
    };
    check_all(&[
        line("2971 3.1", "ID NIL", id(&[])),
        line("2971 3.1", "ID ()", id(&[])),
        line(
            "2971 3.1",
            "ID (\"name\" \"sodr\" \"version\" NIL)",
            id(&[("name", Some("sodr")), ("version", None)]),
        ),
        line(
            "2971 3.1",
            "id (name nilly)",
            id(&[("name", Some("nilly"))]),
        ),
        line(
            "5161 3.1",
            "ENABLE CONDSTORE",
            Verb::Enable {
                names: text(&["CONDSTORE"]),
            },
        ),
        line(
            "5161 3.1",
            "enable utf8=accept X-Good-Idea",
            Verb::Enable {
                names: text(&["UTF8=ACCEPT", "X-GOOD-IDEA"]),
            },
        ),
    ]);
}

#[test]
fn selecting() {
    let select = |mailbox: &str, read_only, condstore, qresync| Verb::Select {
        mailbox: mailbox.to_owned(),
        read_only,
        condstore,
        qresync,
    };
    let known = Qresync {
        uid_validity: 67_890_007,
        modseq: 20_050_715_194_045_000,
        known: None,
        matches: None,
    };
    check_all(&[
        line(
            "9051 6.3.2",
            "SELECT inbox",
            select("INBOX", false, false, None),
        ),
        line(
            "9051 6.3.3",
            "EXAMINE \"blur dy bloop\"",
            select("blur dy bloop", true, false, None),
        ),
        line(
            "7162 3.1.8",
            "SELECT INBOX (CONDSTORE)",
            select("INBOX", false, true, None),
        ),
        line(
            "7162 3.2.5",
            "SELECT INBOX (QRESYNC (67890007 20050715194045000))",
            select("INBOX", false, false, Some(known.clone())),
        ),
        line(
            "7162 3.2.5",
            "SELECT INBOX (CONDSTORE QRESYNC (67890007 20050715194045000 41,43:211,214:541))",
            select(
                "INBOX",
                false,
                true,
                Some(Qresync {
                    known: Some(set("41,43:211,214:541")),
                    ..known.clone()
                }),
            ),
        ),
        line(
            "7162 3.2.5.2",
            "SELECT INBOX (QRESYNC (67890007 20050715194045000 1:9 (1,5 3,9)))",
            select(
                "INBOX",
                false,
                false,
                Some(Qresync {
                    known: Some(set("1:9")),
                    matches: Some((set("1,5"), set("3,9"))),
                    ..known.clone()
                }),
            ),
        ),
        line(
            "7162 7",
            "SELECT INBOX (QRESYNC (67890007 20050715194045000 (1,5 3,9)))",
            select(
                "INBOX",
                false,
                false,
                Some(Qresync {
                    matches: Some((set("1,5"), set("3,9"))),
                    ..known.clone()
                }),
            ),
        ),
    ]);
}

#[test]
fn mailboxes() {
    let create = |mailbox: &str, special_use: &[&str]| Verb::Create {
        mailbox: mailbox.to_owned(),
        special_use: text(special_use),
    };
    check_all(&[
        line(
            "9051 6.3.4",
            "CREATE owatagusiam/",
            create("owatagusiam/", &[]),
        ),
        line(
            "3501 5.1.3",
            "CREATE ~peter/mail/&U,BTFw-/&ZeVnLIqe-",
            create("~peter/mail/台北/日本語", &[]),
        ),
        line(
            "6154 3",
            "CREATE Everything (USE (\\All))",
            create("Everything", &["\\All"]),
        ),
        line(
            "6154 3",
            "CREATE x (use (\\sent \\DRAFTS \\sent \\New))",
            create("x", &["\\Sent", "\\Drafts", "\\New"]),
        ),
        line("6154 5.2", "CREATE x (USE ())", create("x", &[])),
        line(
            "9051 6.3.5",
            "DELETE foo/bar",
            Verb::Delete {
                mailbox: "foo/bar".into(),
            },
        ),
        line(
            "9051 6.3.6",
            "RENAME inbox \"old mail\"",
            Verb::Rename {
                mailbox: "INBOX".into(),
                to: "old mail".into(),
            },
        ),
        line(
            "4314 3.1",
            "SetAcl INBOX/Drafts David lrswida",
            Verb::SetAcl {
                mailbox: "INBOX/Drafts".into(),
                identifier: b"David".to_vec(),
                rights: b"lrswida".to_vec(),
            },
        ),
        line(
            "4314 3.1",
            "SETACL INBOX/Drafts \"-Chris\" +cda",
            Verb::SetAcl {
                mailbox: "INBOX/Drafts".into(),
                identifier: b"-Chris".to_vec(),
                rights: b"+cda".to_vec(),
            },
        ),
        line(
            "4314 3.1",
            "SETACL x y \"\"",
            Verb::SetAcl {
                mailbox: "x".into(),
                identifier: b"y".to_vec(),
                rights: Vec::new(),
            },
        ),
        line(
            "4314 3.2",
            "DeleteAcl INBOX Fred",
            Verb::DeleteAcl {
                mailbox: "INBOX".into(),
                identifier: b"Fred".to_vec(),
            },
        ),
        line(
            "4314 3.3",
            "GETACL INBOX",
            Verb::GetAcl {
                mailbox: "INBOX".into(),
            },
        ),
        line(
            "4314 3.4",
            "LISTRIGHTS ~/Mail/saved smith",
            Verb::ListRights {
                mailbox: "~/Mail/saved".into(),
                identifier: b"smith".to_vec(),
            },
        ),
        line(
            "4314 3.5",
            "MYRIGHTS INBOX",
            Verb::MyRights {
                mailbox: "INBOX".into(),
            },
        ),
        line(
            "9051 6.3.7",
            "SUBSCRIBE #news.comp.mail.mime",
            Verb::Subscribe {
                mailbox: "#news.comp.mail.mime".into(),
            },
        ),
        line(
            "9051 6.3.8",
            "UNSUBSCRIBE Inbox/x",
            Verb::Unsubscribe {
                mailbox: "INBOX/x".into(),
            },
        ),
        line(
            "9051 6.4.7",
            "COPY 2:4 MEETING",
            Verb::Copy {
                uid: false,
                set: set("2:4"),
                mailbox: "MEETING".into(),
            },
        ),
        line(
            "9051 6.4.9",
            "UID COPY $ a&-b",
            Verb::Copy {
                uid: true,
                set: set("$"),
                mailbox: "a&b".into(),
            },
        ),
        line(
            "6851 3.1",
            "MOVE 42:69 foo",
            Verb::Move {
                uid: false,
                set: set("42:69"),
                mailbox: "foo".into(),
            },
        ),
        line(
            "6851 3.2",
            "uid move *:4,5:7 foo",
            Verb::Move {
                uid: true,
                set: set("*:4,5:7"),
                mailbox: "foo".into(),
            },
        ),
        line(
            "4315 2.1",
            "UID EXPUNGE 3000:3002",
            Verb::Expunge {
                uids: Some(set("3000:3002")),
            },
        ),
    ]);
}

#[test]
fn names_in_utf8_mode_are_utf8() {
    check(
        &[
            line(
                "9755 3",
                "DELETE \"Entwürfe & Co\"",
                Verb::Delete {
                    mailbox: "Entwürfe & Co".into(),
                },
            ),
            line(
                "9051 5.1",
                "DELETE &AOk-",
                Verb::Delete {
                    mailbox: "&AOk-".into(),
                },
            ),
        ],
        Limits::default(),
        true,
    );
}

#[test]
fn storing() {
    let store = |uid, numbers: &str, mode, silent, system, keywords: &[&str], since| {
        Verb::Store(Store {
            uid,
            set: set(numbers),
            mode,
            silent,
            flags: FlagList {
                system,
                keywords: text(keywords),
            },
            unchanged_since: since,
        })
    };
    let (add, remove, replace) = (StoreMode::Add, StoreMode::Remove, StoreMode::Replace);
    let all = system::SEEN | system::ANSWERED | system::FLAGGED | system::DELETED | system::DRAFT;
    check_all(&[
        line(
            "9051 6.4.6",
            "STORE 2:4 +FLAGS (\\Deleted)",
            store(false, "2:4", add, false, system::DELETED, &[], None),
        ),
        line(
            "9051 6.4.6",
            "UID STORE * -flags.silent \\SEEN",
            store(true, "*", remove, true, system::SEEN, &[], None),
        ),
        line(
            "9051 6.4.6",
            "STORE 1 FLAGS ()",
            store(false, "1", replace, false, 0, &[], None),
        ),
        line(
            "9051 2.3.2",
            "STORE 1 FLAGS.SILENT (\\seen \\ANSWERED \\Flagged \\Deleted \\draft $Junk $junk a+b! Work)",
            store(
                false,
                "1",
                replace,
                true,
                all,
                &["$Junk", "a+b!", "Work"],
                None,
            ),
        ),
        line(
            "9051 9",
            "STORE 1 +FLAGS \\Seen $Forwarded ",
            store(false, "1", add, false, system::SEEN, &["$Forwarded"], None),
        ),
        line(
            "7162 3.1.3",
            "STORE 7,5,9 (UNCHANGEDSINCE 320162338) +FLAGS.SILENT (\\Deleted)",
            store(
                false,
                "7,5,9",
                add,
                true,
                system::DELETED,
                &[],
                Some(320_162_338),
            ),
        ),
        line(
            "7162 3.1.3",
            "STORE 12 (UNCHANGEDSINCE 0) +FLAGS ($MDNSent)",
            store(false, "12", add, false, 0, &["$MDNSent"], Some(0)),
        ),
    ]);
}

#[test]
fn pipelined_commands_come_in_the_order_sent() {
    check_all(&[case(
        "9051 5.5",
        "a NOOP\r\nb CAPABILITY\nc IDLE\r\ndone\r\nd IDLE\r\nDONE \r\ne LOGOUT\r\n",
        vec![
            command("a", Verb::Noop),
            command("b", Verb::Capability),
            command("c", Verb::Idle),
            Event::IdleDone,
            command("d", Verb::Idle),
            Event::IdleDone,
            command("e", Verb::Logout),
        ],
    )]);
}

#[test]
fn a_sasl_exchange_is_lines_of_base64() {
    let authenticate = |mechanism: &str| {
        command(
            "a",
            Verb::Authenticate {
                mechanism: mechanism.to_owned(),
                initial: None,
            },
        )
    };
    check_all(&[
        case(
            "9051 6.2.2",
            "a AUTHENTICATE PLAIN\r\nAGZvbwBiYXI=\r\nb NOOP\r\n",
            vec![
                authenticate("PLAIN"),
                Event::SaslResponse(Some(b"\0foo\0bar".to_vec())),
                command("b", Verb::Noop),
            ],
        ),
        case(
            "9051 6.2.2",
            "a AUTHENTICATE PLAIN\r\n*\r\n",
            vec![authenticate("PLAIN"), Event::SaslResponse(None)],
        ),
        case(
            "9051 6.2.2",
            "a AUTHENTICATE EXTERNAL\r\n\r\n",
            vec![
                authenticate("EXTERNAL"),
                Event::SaslResponse(Some(Vec::new())),
            ],
        ),
        case(
            "9051 6.2.2",
            "a AUTHENTICATE PLAIN\r\nb NOOP\r\nb NOOP\r\n",
            vec![
                authenticate("PLAIN"),
                super::malformed(
                    Some("a"),
                    Some("AUTHENTICATE"),
                    "expected base64 at column 1",
                ),
                command("b", Verb::Noop),
            ],
        ),
    ]);
}
