//! SORT and THREAD.

use imapvm_core::wire::ast::{Field, SearchKey, SortBy, SortCriterion, ThreadAlgorithm, Window};
use imapvm_core::wire::command::{Update, Verb};
use imapvm_core::wire::limits::Limits;

use crate::{Case, check, check_all, line, over, read_with};

fn ascending(by: SortBy) -> SortCriterion {
    SortCriterion { by, reverse: false }
}

fn descending(by: SortBy) -> SortCriterion {
    SortCriterion { by, reverse: true }
}

fn sort(criteria: Vec<SortCriterion>) -> Verb {
    Verb::Sort {
        uid: false,
        returns: None,
        window: None,
        update: None,
        criteria,
        program: Some(SearchKey::All),
    }
}

fn thread(uid: bool, algorithm: ThreadAlgorithm, program: Option<SearchKey>) -> Verb {
    Verb::Thread {
        uid,
        algorithm,
        program,
    }
}

fn subject(text: &str) -> SearchKey {
    SearchKey::Field(Field::Subject, text.to_owned())
}

#[test]
fn each_criterion_has_its_name() {
    let cases: Vec<Case> = [
        ("5256 3", "ARRIVAL", SortBy::Arrival),
        ("5256 3", "CC", SortBy::Cc),
        ("5256 3", "DATE", SortBy::Date),
        ("5256 3", "FROM", SortBy::From),
        ("5256 3", "SIZE", SortBy::Size),
        ("5256 3", "SUBJECT", SortBy::Subject),
        ("5256 3", "TO", SortBy::To),
        ("5957 4", "DISPLAYFROM", SortBy::DisplayFrom),
        ("5957 4", "displayto", SortBy::DisplayTo),
    ]
    .into_iter()
    .flat_map(|(section, name, by)| {
        let sent = format!("SORT ({name}) UTF-8 ALL");
        let reverse = format!("sort (reverse {name}) us-ascii all");
        [
            line(section, sent, sort(vec![ascending(by)])),
            line(section, reverse, sort(vec![descending(by)])),
        ]
    })
    .collect();
    check_all(&cases);
}

#[test]
fn a_criterion_is_used_once() {
    let criteria = vec![descending(SortBy::Subject), ascending(SortBy::Date)];
    check_all(&[line(
        "5256 3",
        "SORT (REVERSE SUBJECT DATE SUBJECT REVERSE DATE) UTF-8 ALL",
        sort(criteria),
    )]);
}

#[test]
fn return_options_and_charsets() {
    let by_date = || vec![descending(SortBy::Date)];
    let extended = |uid, returns: &[&'static str], program| Verb::Sort {
        uid,
        returns: Some(returns.to_vec()),
        window: None,
        update: None,
        criteria: by_date(),
        program,
    };
    check_all(&[
        line(
            "5267 3.3",
            "UID SORT RETURN () (REVERSE DATE) UTF-8 ALL",
            extended(true, &[], Some(SearchKey::All)),
        ),
        line(
            "5267 3.1",
            "SORT RETURN (MIN MAX all COUNT SAVE MIN) (REVERSE DATE) \"utf-8\" SUBJECT \"\u{fc}\"",
            extended(
                false,
                &["MIN", "MAX", "ALL", "COUNT", "SAVE"],
                Some(subject("\u{fc}")),
            ),
        ),
        line(
            "5256 3",
            b"SORT RETURN () (REVERSE DATE) ISO-8859-1 SUBJECT {1+}\r\n\xfc",
            extended(false, &[], Some(subject("\u{fc}"))),
        ),
        line(
            "5256 3",
            "SORT RETURN () (REVERSE DATE) X-NONE SUBJECT x",
            extended(false, &[], None),
        ),
        line(
            "5267 4.4",
            "UID SORT RETURN (COUNT PARTIAL 1:500) (REVERSE DATE) UTF-8 ALL",
            Verb::Sort {
                uid: true,
                returns: Some(vec!["COUNT", "PARTIAL"]),
                window: Some(Window { one: 1, other: 500 }),
                update: None,
                criteria: by_date(),
                program: Some(SearchKey::All),
            },
        ),
        line(
            "5267 4.3",
            "UID SORT RETURN (UPDATE COUNT CONTEXT) (REVERSE DATE) UTF-8 ALL",
            Verb::Sort {
                uid: true,
                returns: Some(vec!["COUNT"]),
                window: None,
                update: Some(Update::default()),
                criteria: by_date(),
                program: Some(SearchKey::All),
            },
        ),
    ]);
}

#[test]
fn threading_algorithms() {
    use ThreadAlgorithm::{OrderedSubject, References, Refs};
    check_all(&[
        line(
            "5256 3",
            "THREAD ORDEREDSUBJECT UTF-8 SUBJECT x",
            thread(false, OrderedSubject, Some(subject("x"))),
        ),
        line(
            "5256 3",
            "UID THREAD references US-ASCII ALL",
            thread(true, References, Some(SearchKey::All)),
        ),
        line(
            "inthread",
            "UID THREAD REFS X-NONE ALL",
            thread(true, Refs, None),
        ),
    ]);
}

#[test]
fn charset_in_a_session_of_utf_8() {
    use ThreadAlgorithm::Refs;
    let all = || Some(SearchKey::All);
    let cases = [
        line(
            "9755 3",
            "THREAD REFS UTF-8 ALL",
            thread(false, Refs, all()),
        ),
        line(
            "9755 3",
            "THREAD REFS US-ASCII ALL",
            thread(false, Refs, all()),
        ),
        line(
            "9755 3",
            "THREAD REFS ISO-8859-1 ALL",
            thread(false, Refs, None),
        ),
    ];
    check(&cases, Limits::default(), true);
}

#[test]
fn syntax_errors() {
    let wrong = |sent: &str, name: &'static str, message: &str| {
        line("5256 5", sent, Verb::Noop).malformed(name, message)
    };
    check_all(&[
        wrong("SORT", "SORT", "expected a space at column 8"),
        wrong("SORT ALL", "SORT", "expected \"(\" at column 9"),
        wrong(
            "SORT () UTF-8 ALL",
            "SORT",
            "expected a list of sort criteria at column 9",
        ),
        wrong(
            "SORT (REVERSE) UTF-8 ALL",
            "SORT",
            "expected a space at column 17",
        ),
        wrong(
            "SORT (REVERSE SENDER) UTF-8 ALL",
            "SORT",
            "expected a sort criterion at column 18",
        ),
        wrong(
            "UID SORT (DATE)",
            "UID SORT",
            "expected a space at column 19",
        ),
        wrong(
            "SORT RETURN (PARTIAL) (DATE) UTF-8 ALL",
            "SORT",
            "expected a space at column 24",
        ),
        wrong(
            "THREAD JWZ UTF-8 ALL",
            "THREAD",
            "expected a threading algorithm at column 11",
        ),
        wrong(
            "THREAD REFS UTF-8",
            "THREAD",
            "expected a space at column 21",
        ),
    ]);
}

#[test]
fn elements_of_the_criteria_are_bounded() {
    let limits = Limits {
        items: 3,
        ..Limits::default()
    };
    let sent = |count: usize| format!("a1 SORT ({}) UTF-8 ALL\r\n", vec!["DATE"; count].join(" "));
    let by_date = sort(vec![ascending(SortBy::Date)]);
    assert_eq!(
        read_with(limits, &[sent(3).as_bytes()]),
        [crate::command("a1", by_date)]
    );
    assert_eq!(
        read_with(limits, &[sent(4).as_bytes()]),
        [over(
            "a1",
            "SORT",
            "LIMIT",
            "more than 3 elements in a list"
        )]
    );
}
