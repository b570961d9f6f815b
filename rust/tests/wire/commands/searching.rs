//! SEARCH.

use imapvm_core::wire::ast::{
    FetchItem, Field, Flag, MailboxFilter, SearchKey, When, Window, system,
};
use imapvm_core::wire::command::{Event, Update, Verb};
use imapvm_core::wire::limits::Limits;
use imapvm_core::wire::syntax::dates::{civil_from_days, days_from_civil};
use proptest::prelude::*;

use crate::{Case, check, check_all, line, set};

fn search(program: SearchKey) -> Verb {
    Verb::Search {
        uid: false,
        returns: None,
        window: None,
        update: None,
        program: Some(program),
    }
}

fn flag(bit: u8) -> SearchKey {
    SearchKey::Flag(Flag::System(bit))
}

fn not(key: SearchKey) -> SearchKey {
    SearchKey::Not(Box::new(key))
}

fn or(a: SearchKey, b: SearchKey) -> SearchKey {
    SearchKey::Or(Box::new((a, b)))
}

fn keyword(name: &str) -> SearchKey {
    SearchKey::Flag(Flag::Keyword(name.to_owned()))
}

fn from(text: &str) -> SearchKey {
    SearchKey::Field(Field::From, text.to_owned())
}

/// 1-Feb-1994
const DAY: i64 = 8_797;

#[test]
fn each_key_has_its_name() {
    let recent = || SearchKey::Flag(Flag::Recent);
    let table = [
        ("9051 6.4.4", "ALL", SearchKey::All),
        ("9051 6.4.4", "ANSWERED", flag(system::ANSWERED)),
        ("9051 6.4.4", "DELETED", flag(system::DELETED)),
        ("9051 6.4.4", "DRAFT", flag(system::DRAFT)),
        ("9051 6.4.4", "FLAGGED", flag(system::FLAGGED)),
        ("9051 6.4.4", "SEEN", flag(system::SEEN)),
        ("9051 6.4.4", "UNANSWERED", not(flag(system::ANSWERED))),
        ("9051 6.4.4", "UNDELETED", not(flag(system::DELETED))),
        ("9051 6.4.4", "UNDRAFT", not(flag(system::DRAFT))),
        ("9051 6.4.4", "UNFLAGGED", not(flag(system::FLAGGED))),
        ("9051 6.4.4", "UNSEEN", not(flag(system::SEEN))),
        ("3501 6.4.4", "RECENT", recent()),
        ("3501 6.4.4", "OLD", not(recent())),
        (
            "3501 6.4.4",
            "NEW",
            SearchKey::And(vec![recent(), not(flag(system::SEEN))]),
        ),
        ("9051 6.4.4", "KEYWORD $Junk", keyword("$Junk")),
        ("9051 6.4.4", "UNKEYWORD work", not(keyword("work"))),
        (
            "9051 6.4.4",
            "BEFORE 1-Feb-1994",
            SearchKey::InternalDate(When::Before, DAY),
        ),
        (
            "9051 6.4.4",
            "ON 01-FEB-1994",
            SearchKey::InternalDate(When::On, DAY),
        ),
        (
            "9051 6.4.4",
            "SINCE \"1-feb-1994\"",
            SearchKey::InternalDate(When::Since, DAY),
        ),
        (
            "9051 6.4.4",
            "SENTBEFORE 31-Dec-1969",
            SearchKey::SentDate(When::Before, -1),
        ),
        (
            "9051 6.4.4",
            "SENTON 1-Jan-1970",
            SearchKey::SentDate(When::On, 0),
        ),
        (
            "9051 6.4.4",
            "SENTSINCE 29-Feb-2000",
            SearchKey::SentDate(When::Since, 11_016),
        ),
        (
            "8514 4.3",
            "SAVEDBEFORE 1-Jan-0001",
            SearchKey::SavedDate(When::Before, -719_162),
        ),
        (
            "8514 4.3",
            "SAVEDON 31-Dec-9999",
            SearchKey::SavedDate(When::On, 2_932_896),
        ),
        (
            "8514 4.3",
            "SAVEDSINCE 1-Feb-1994",
            SearchKey::SavedDate(When::Since, DAY),
        ),
        (
            "8514 4.3",
            "SAVEDATESUPPORTED",
            SearchKey::SaveDateSupported,
        ),
        (
            "9051 6.4.4",
            "LARGER 4294967296",
            SearchKey::Larger(4_294_967_296),
        ),
        ("9051 6.4.4", "SMALLER 0", SearchKey::Smaller(0)),
        ("5032 2", "OLDER 3600", SearchKey::Older(3600)),
        ("5032 2", "YOUNGER 1", SearchKey::Younger(1)),
        (
            "7162 3.1.5",
            "MODSEQ 620162338",
            SearchKey::ModSeq(620_162_338),
        ),
        (
            "7162 3.1.5",
            "MODSEQ \"/flags/\\\\draft\" all 620162338",
            SearchKey::ModSeq(620_162_338),
        ),
        (
            "5466 3.1",
            "FILTER on-The-road",
            SearchKey::Filter("on-the-road".into()),
        ),
        (
            "8474 6",
            "EMAILID M00000000deadbeef",
            SearchKey::EmailId(Some(0xDEAD_BEEF)),
        ),
        (
            "8474 6",
            "EMAILID M00000000DEADBEEF",
            SearchKey::EmailId(None),
        ),
        (
            "8474 6",
            "EMAILID T00000000deadbeef",
            SearchKey::EmailId(None),
        ),
        (
            "8474 6",
            "THREADID Tffffffffffffffff",
            SearchKey::ThreadId(Some(u64::MAX)),
        ),
        (
            "8474 6",
            "THREADID T+fffffffffffffff",
            SearchKey::ThreadId(None),
        ),
        ("9051 6.4.4", "FROM Smith", from("Smith")),
        (
            "9051 6.4.4",
            "TO \"a b\"",
            SearchKey::Field(Field::To, "a b".into()),
        ),
        (
            "9051 6.4.4",
            "CC x",
            SearchKey::Field(Field::Cc, "x".into()),
        ),
        (
            "9051 6.4.4",
            "BCC x",
            SearchKey::Field(Field::Bcc, "x".into()),
        ),
        (
            "9051 6.4.4",
            "SUBJECT \"naïve\"",
            SearchKey::Field(Field::Subject, "naïve".into()),
        ),
        ("9051 6.4.4", "BODY x", SearchKey::Body("x".into())),
        ("9051 6.4.4", "TEXT \"\"", SearchKey::Text(String::new())),
        (
            "9051 6.4.4",
            "HEADER Message-ID \"\"",
            SearchKey::Header(b"Message-ID".to_vec(), String::new()),
        ),
        ("9051 6.4.4", "UID 1:*", SearchKey::Uids(set("1:*"))),
        ("9051 6.4.4", "4:2,*", SearchKey::Numbers(set("4:2,*"))),
        ("9051 6.4.4.1", "$", SearchKey::Numbers(set("$"))),
    ];
    let cases: Vec<Case> = table
        .iter()
        .flat_map(|(section, text, key)| {
            [
                line(section, format!("SEARCH {text}"), search(key.clone())),
                line(
                    section,
                    format!("search NOT ({text}) "),
                    search(not(key.clone())),
                ),
            ]
        })
        .collect();
    check_all(&cases);
}

#[test]
fn keys_combine() {
    check_all(&[
        line(
            "9051 6.4.4",
            "SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"",
            search(SearchKey::And(vec![
                flag(system::FLAGGED),
                SearchKey::InternalDate(When::Since, DAY),
                not(from("Smith")),
            ])),
        ),
        line(
            "9051 6.4.4",
            "SEARCH OR OR FROM a FROM b (NOT NOT FROM c (FROM d)) ALL",
            search(SearchKey::And(vec![
                or(
                    or(from("a"), from("b")),
                    SearchKey::And(vec![not(not(from("c"))), from("d")]),
                ),
                SearchKey::All,
            ])),
        ),
        line(
            "9051 6.4.4",
            "SEARCH ((((1))))",
            search(SearchKey::Numbers(set("1"))),
        ),
        line(
            "9051 6.4.4",
            "SEARCH NOT OR 1 NOT 2",
            search(not(or(
                SearchKey::Numbers(set("1")),
                not(SearchKey::Numbers(set("2"))),
            ))),
        ),
    ]);
}

/// RFC 6203 section 7.
#[test]
fn fuzzy_keys() {
    let fuzzy = |key| SearchKey::Fuzzy(Box::new(key));
    check_all(&[
        line(
            "6203 3",
            "SEARCH FUZZY FROM a FROM b",
            search(SearchKey::And(vec![fuzzy(from("a")), from("b")])),
        ),
        line(
            "6203 5",
            "SEARCH fuzzy (FROM a FROM b)",
            search(fuzzy(SearchKey::And(vec![from("a"), from("b")]))),
        ),
        line(
            "6203 7",
            "SEARCH OR FUZZY NOT FROM a NOT FUZZY FUZZY FROM b",
            search(or(fuzzy(not(from("a"))), not(fuzzy(fuzzy(from("b")))))),
        ),
        line("6203 7", "SEARCH FUZZY", Verb::Noop)
            .malformed("SEARCH", "expected a space at column 16"),
        line("6203 7", "SEARCH FUZZY ", Verb::Noop)
            .malformed("SEARCH", "expected a search key at column 17"),
    ]);
}

/// RFC 7377 section 4, RFC 5465 section 8.
#[test]
fn mailboxes_to_search() {
    use MailboxFilter::{Inboxes, Mailboxes, Personal, Selected, Subscribed, Subtree, SubtreeOne};
    let esearch = |sources: Option<&[MailboxFilter]>, program| Verb::MultiSearch {
        sources: sources.map(<[MailboxFilter]>::to_vec),
        returns: None,
        window: None,
        update: None,
        program: Some(program),
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let unseen = || not(flag(system::SEEN));
    let wrong =
        |sent: &str, message: &str| line("7377 4", sent, Verb::Noop).malformed("ESEARCH", message);
    check_all(&[
        line("7377 2", "ESEARCH UNSEEN", esearch(None, unseen())),
        line(
            "7377 3",
            "ESEARCH IN (mailboxes \"folder1\" subtree \"folder2\") unseen",
            esearch(
                Some(&[Mailboxes(names(&["folder1"])), Subtree(names(&["folder2"]))]),
                unseen(),
            ),
        ),
        line(
            "7377 3",
            "ESEARCH IN (mailboxes (a \"b c\") subtree-one &AOk-) UNSEEN",
            esearch(
                Some(&[
                    Mailboxes(names(&["a", "b c"])),
                    SubtreeOne(names(&["\u{e9}"])),
                ]),
                unseen(),
            ),
        ),
        line(
            "5465 8",
            "esearch in (SELECTED inboxes Personal subscribed) UNSEEN",
            esearch(Some(&[Selected, Inboxes, Personal, Subscribed]), unseen()),
        ),
        line(
            "7377 4",
            "ESEARCH IN (personal) RETURN (COUNT PARTIAL 1:5) CHARSET UTF-8 UNSEEN",
            Verb::MultiSearch {
                sources: Some(vec![Personal]),
                returns: Some(vec!["COUNT", "PARTIAL"]),
                window: Some(Window { one: 1, other: 5 }),
                update: None,
                program: Some(unseen()),
            },
        ),
        wrong(
            "ESEARCH IN () ALL",
            "expected mailboxes to search at column 15",
        ),
        wrong(
            "ESEARCH IN (selected-delayed) ALL",
            "expected mailboxes to search at column 16",
        ),
        wrong(
            "ESEARCH IN (mailboxes ()) ALL",
            "expected a mailbox in the list at column 26",
        ),
        wrong(
            "ESEARCH IN (personal (option)) ALL",
            "expected mailboxes to search at column 25",
        ),
        wrong("ESEARCH IN (personal)", "expected a space at column 25"),
        wrong("ESEARCH", "expected a space at column 11"),
    ]);
}

/// RFC 9394 section 4: both ends are mandatory, and have the same sign.
#[test]
fn windows_count_from_either_end() {
    let windowed = |returns: &[&'static str], one, other| Verb::Search {
        uid: true,
        returns: Some(returns.to_vec()),
        window: Some(Window { one, other }),
        update: None,
        program: Some(SearchKey::All),
    };
    let highest = i64::from(u32::MAX);
    let cases: Vec<Case> = [
        (
            "(PARTIAL 23500:24000)",
            windowed(&["PARTIAL"], 23_500, 24_000),
        ),
        ("(partial 3:1)", windowed(&["PARTIAL"], 3, 1)),
        ("(PARTIAL 1:4294967295)", windowed(&["PARTIAL"], 1, highest)),
        (
            "(PARTIAL -1:-4294967295)",
            windowed(&["PARTIAL"], -1, -highest),
        ),
        (
            "(SAVE PARTIAL -100:-1 COUNT)",
            windowed(&["SAVE", "PARTIAL", "COUNT"], -100, -1),
        ),
    ]
    .into_iter()
    .map(|(options, verb)| line("9394 4", format!("UID SEARCH RETURN {options} ALL"), verb))
    .collect();
    check_all(&cases);
}

#[test]
fn results_and_charsets_are_named_first() {
    let returning = |uid, returns: &[&'static str], program| Verb::Search {
        uid,
        returns: Some(returns.to_vec()),
        window: None,
        update: None,
        program,
    };
    let koi8 = b"SEARCH CHARSET KOI8-R SUBJECT \"\xD0\xD2\xC9\"";
    check_all(&[
        line(
            "4731 3.1",
            "SEARCH RETURN (MIN count MIN) ALL",
            returning(false, &["MIN", "COUNT"], Some(SearchKey::All)),
        ),
        line(
            "4731 3.1",
            "UID SEARCH RETURN () ALL",
            returning(true, &[], Some(SearchKey::All)),
        ),
        line(
            "5182 2",
            "UID SEARCH RETURN (SAVE MAX ALL) 1",
            returning(
                true,
                &["SAVE", "MAX", "ALL"],
                Some(SearchKey::Numbers(set("1"))),
            ),
        ),
        line(
            "9051 6.4.4",
            "SEARCH RETURN (ALL) CHARSET X-NONE TEXT x",
            returning(false, &["ALL"], None),
        ),
        line(
            "9051 6.4.4",
            "SEARCH CHARSET UTF-8 FROM \"é\"",
            search(from("é")),
        ),
        line(
            "9051 6.4.4",
            "SEARCH CHARSET \"us-ascii\" FROM e",
            search(from("e")),
        ),
        line(
            "9051 6.4.4",
            b"SEARCH CHARSET ISO-8859-1 FROM \"\xE9\"",
            search(from("é")),
        ),
        line(
            "9051 6.4.4",
            koi8,
            search(SearchKey::Field(Field::Subject, "при".into())),
        ),
        line(
            "9051 6.4.4",
            b"SEARCH CHARSET Shift_JIS FROM \"\x93\xFA\"",
            search(from("日")),
        ),
        line(
            "9051 6.4.4",
            b"SEARCH CHARSET ISO-2022-JP FROM \"\x1B$BF|\x1B(B\"",
            search(from("日")),
        ),
        line(
            "9051 6.4.4",
            b"SEARCH CHARSET US-ASCII FROM \"\xE9\"",
            Verb::Noop,
        )
        .malformed("SEARCH", "expected a string in the charset at column 33"),
        line("9051 6.4.4", b"SEARCH FROM \"\xE9\"", Verb::Noop)
            .malformed("SEARCH", "expected a string in the charset at column 16"),
        line(
            "9051 6.4.4",
            b"SEARCH CHARSET EUC-JP FROM \"\xFF\"",
            Verb::Noop,
        )
        .malformed("SEARCH", "expected a string in the charset at column 31"),
    ]);
}

#[test]
fn each_charset_that_clients_use_is_known() {
    for name in [
        "US-ASCII",
        "UTF-8",
        "ISO-8859-1",
        "ISO-8859-2",
        "ISO-8859-5",
        "ISO-8859-7",
        "ISO-8859-9",
        "ISO-8859-15",
        "windows-1250",
        "windows-1251",
        "windows-1252",
        "windows-1256",
        "KOI8-R",
        "KOI8-U",
        "ISO-2022-JP",
        "Shift_JIS",
        "EUC-JP",
        "EUC-KR",
        "GB18030",
        "GBK",
        "GB2312",
        "Big5",
    ] {
        check_all(&[line(
            "9051 6.4.4",
            format!("SEARCH CHARSET {name} FROM abc"),
            search(from("abc")),
        )]);
    }
}

#[test]
fn search_that_is_bad() {
    let cases: Vec<Case> = [
        ("9051 9", "SEARCH", "expected a space at column 10"),
        ("9051 9", "SEARCH ", "expected a search key at column 11"),
        ("9051 9", "SEARCH ()", "expected a search key at column 12"),
        ("9051 9", "SEARCH (ALL", "expected a space at column 15"),
        ("9051 9", "SEARCH ALL)", "expected a space at column 14"),
        ("9051 9", "SEARCH NOT", "expected a space at column 14"),
        ("9051 9", "SEARCH OR ALL", "expected a space at column 17"),
        (
            "9051 9",
            "SEARCH BOGUS",
            "expected a search key at column 11",
        ),
        (
            "9051 9",
            "SEARCH SINCE 30-Feb-2024",
            "expected a day that exists at column 17",
        ),
        (
            "9051 9",
            "SEARCH SINCE 29-Feb-1900",
            "expected a day that exists at column 17",
        ),
        (
            "9051 9",
            "SEARCH SINCE 0-Jan-2024",
            "expected a day that exists at column 17",
        ),
        (
            "9051 9",
            "SEARCH SINCE 1-Jan-0000",
            "expected a day that exists at column 17",
        ),
        (
            "9051 9",
            "SEARCH SINCE 1-Foo-2024",
            "expected a month as Feb at column 19",
        ),
        (
            "9051 9",
            "SEARCH SINCE 1-Jan-24",
            "expected a year of four digits at column 23",
        ),
        (
            "9051 9",
            "SEARCH SINCE 001-Jan-2024",
            "expected a date as 1-Feb-1994 at column 17",
        ),
        (
            "9051 9",
            "SEARCH 0",
            "expected a number or \"*\" at column 11",
        ),
        (
            "9051 9",
            "SEARCH 1, 2",
            "expected a number or \"*\" at column 13",
        ),
        (
            "9051 9",
            "SEARCH 01",
            "expected a number or \"*\" at column 11",
        ),
        (
            "9051 9",
            "SEARCH 4294967296",
            "expected a number or \"*\" at column 11",
        ),
        (
            "9051 9",
            "SEARCH LARGER 9223372036854775808",
            "expected a number of bytes at column 18",
        ),
        (
            "5032 3",
            "SEARCH OLDER 0",
            "expected a number of seconds at column 17",
        ),
        (
            "4731 5",
            "SEARCH RETURN (NONE) ALL",
            "expected a SEARCH return option at column 19",
        ),
        (
            "9394 4",
            "SEARCH RETURN (PARTIAL) ALL",
            "expected a space at column 26",
        ),
        (
            "9394 4",
            "SEARCH RETURN (PARTIAL 7) ALL",
            "expected \":\" at column 28",
        ),
        (
            "9394 4",
            "SEARCH RETURN (PARTIAL 0:7) ALL",
            "expected a position at column 27",
        ),
        (
            "9394 4",
            "SEARCH RETURN (PARTIAL -1:7) ALL",
            "expected \"-\" at column 30",
        ),
        (
            "9394 4",
            "SEARCH RETURN (PARTIAL 1:-7) ALL",
            "expected a position at column 29",
        ),
        (
            "9394 4",
            "SEARCH RETURN (PARTIAL 1:*) ALL",
            "expected a position at column 29",
        ),
        (
            "9394 4",
            "SEARCH RETURN (PARTIAL $) ALL",
            "expected a position at column 27",
        ),
        (
            "9394 4",
            "SEARCH RETURN (PARTIAL 1:4294967296) ALL",
            "expected a position at column 29",
        ),
        (
            "9394 3.1",
            "SEARCH RETURN (PARTIAL 1:2 PARTIAL 3:4) ALL",
            "expected PARTIAL once at column 31",
        ),
        (
            "9394 3.1",
            "SEARCH RETURN (ALL PARTIAL 1:2) ALL",
            "expected ALL or PARTIAL, not both at column 23",
        ),
        (
            "9394 3.1",
            "SEARCH RETURN (PARTIAL 1:2 ALL) ALL",
            "expected ALL or PARTIAL, not both at column 31",
        ),
        (
            "9051 9",
            "SEARCH KEYWORD \\Seen",
            "expected a keyword at column 19",
        ),
    ]
    .into_iter()
    .map(|(section, sent, message)| line(section, sent, Verb::Noop).malformed("SEARCH", message))
    .collect();
    check_all(&cases);
}

#[test]
fn after_enable_a_string_that_is_not_utf8_is_latin1() {
    let subject = |text: &str| search(SearchKey::Field(Field::Subject, text.to_owned()));
    let cases = [
        line(
            "9755 3",
            b"SEARCH SUBJECT \"\xE9t\xE9\"",
            subject("\u{e9}t\u{e9}"),
        ),
        line(
            "9755 3",
            b"SEARCH SUBJECT {3+}\r\n\xE9t\xE9",
            subject("\u{e9}t\u{e9}"),
        ),
        line(
            "9755 3",
            "SEARCH SUBJECT \u{e9}t\u{e9}",
            subject("\u{e9}t\u{e9}"),
        ),
        line("9755 3", b"SEARCH SUBJECT \"\x80\"", subject("\u{80}")),
        line(
            "9755 3",
            b"SEARCH CHARSET UTF-8 SUBJECT \"\xE9t\"",
            Verb::Noop,
        )
        .malformed("SEARCH", "expected a string in the charset at column 33"),
    ];
    check(&cases, Limits::default(), true);
    let before_enable = [line("9051 6.4.4", b"SEARCH SUBJECT \"\xE9t\"", Verb::Noop)
        .malformed("SEARCH", "expected a string in the charset at column 19")];
    check_all(&before_enable);
}

proptest! {
    #[test]
    fn days_count_one_by_one(days in -719_162_i64..=2_932_896) {
        let (year, month, day) = civil_from_days(days);
        prop_assert_eq!(days_from_civil(year, month, day), Some(days));
        let (y, m, d) = civil_from_days(days + 1);
        let next = match (y - year, i64::from(m) - i64::from(month)) {
            (0, 0) => d == day + 1,
            (0, 1) => d == 1 && (28..=31).contains(&day),
            (1, -11) => (d, day) == (1, 31),
            _ => false,
        };
        prop_assert!(next, "{}-{}-{} then {}-{}-{}", year, month, day, y, m, d);
    }
}

/// RFC 5466 section 3.1: BAD with BADCHARSET.
#[test]
fn filter_needs_utf8() {
    let badcharset = |sent: &str, name: &'static str| {
        let mut case =
            line("5466 3.1", sent, Verb::Noop).malformed(name, "FILTER needs the charset UTF-8");
        if let Some(Event::Malformed(malformed)) = case.events.first_mut() {
            malformed.code = Some("BADCHARSET");
        }
        case
    };
    check_all(&[
        badcharset("SEARCH CHARSET ISO-8859-1 FILTER a", "SEARCH"),
        badcharset("SORT (DATE) X-NONE NOT FILTER a", "SORT"),
        line("5466 4", "SEARCH FILTER a/b", Verb::Noop).malformed(
            "SEARCH",
            "expected a filter name without \"/\" at column 18",
        ),
        line("5466 4", "SEARCH FILTER (a)", Verb::Noop)
            .malformed("SEARCH", "expected a filter name at column 18"),
    ]);
}

/// RFC 5267 section 5, RFC 7377 section 6: CONTEXT is a hint.
#[test]
fn updates_of_results() {
    let updated = |uid, returns: &[&'static str], window| Verb::Search {
        uid,
        returns: Some(returns.to_vec()),
        window,
        update: Some(Update::default()),
        program: Some(flag(system::FLAGGED)),
    };
    let hinted = Verb::Search {
        uid: false,
        returns: Some(vec!["COUNT"]),
        window: None,
        update: None,
        program: Some(SearchKey::All),
    };
    let with_items = |items| Verb::Search {
        uid: false,
        returns: Some(vec!["COUNT"]),
        window: None,
        update: Some(Update {
            items,
            uid_asked: true,
        }),
        program: Some(SearchKey::All),
    };
    let cancel = |tags: &[&str]| Verb::CancelUpdate {
        tags: tags.iter().map(|tag| tag.as_bytes().to_vec()).collect(),
    };
    let wrong = |sent: &str, message: &str| {
        line("5267 5", sent, Verb::Noop).malformed("CANCELUPDATE", message)
    };
    check_all(&[
        line("5267 4.2", "SEARCH RETURN (CONTEXT count) ALL", hinted),
        line(
            "5267 4.3",
            "UID SEARCH RETURN (UPDATE COUNT) FLAGGED",
            updated(true, &["COUNT"], None),
        ),
        line(
            "5267 4.3",
            "SEARCH RETURN (context update update) FLAGGED",
            updated(false, &[], None),
        ),
        line(
            "5267 4.4",
            "SEARCH RETURN (UPDATE PARTIAL 1:5) FLAGGED",
            updated(false, &["PARTIAL"], Some(Window { one: 1, other: 5 })),
        ),
        line(
            "7377 6",
            "ESEARCH RETURN (UPDATE) ALL",
            Verb::MultiSearch {
                sources: None,
                returns: Some(vec![]),
                window: None,
                update: Some(Update::default()),
                program: Some(SearchKey::All),
            },
        ),
        line("5267 4.3.5", "CANCELUPDATE \"B01\"", cancel(&["B01"])),
        line(
            "5267 4.3.5",
            "cancelupdate \"B01\" \"\" \"]\"",
            cancel(&["B01", "", "]"]),
        ),
        wrong("CANCELUPDATE", "expected a space at column 16"),
        wrong("CANCELUPDATE B01", "expected a quoted string at column 17"),
        wrong(
            "CANCELUPDATE \"B01\" B02",
            "expected a quoted string at column 23",
        ),
        line(
            "5465 7",
            "SEARCH RETURN (COUNT UPDATE (UID)) ALL",
            with_items(vec![FetchItem::Uid]),
        ),
        line(
            "5465 8",
            "SEARCH RETURN (update(uid) COUNT) ALL",
            with_items(vec![FetchItem::Uid]),
        ),
        line("5465 8", "SEARCH RETURN (UPDATE ()) ALL", Verb::Noop)
            .malformed("SEARCH", "expected a FETCH item in the list at column 26"),
    ]);
}
