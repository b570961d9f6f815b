//! Literals of ordinary commands.

use imapvm_core::wire::ast::{Field, SearchKey};
use imapvm_core::wire::command::{Event, Verb};

use super::{case, check_all, command, malformed};

fn login(tag: &str, user: &str, password: &str) -> Event {
    command(
        tag,
        Verb::Login {
            user: user.into(),
            password: password.into(),
        },
    )
}

#[test]
fn literals_stand_for_strings() {
    check_all(&[
        case(
            "9051 4.3",
            "a LOGIN {11}\r\nFRED FOOBAR {7}\r\nfat man\r\n",
            vec![
                Event::LiteralWanted(11),
                Event::LiteralWanted(7),
                login("a", "FRED FOOBAR", "fat man"),
            ],
        ),
        case(
            "7888 3",
            "a LOGIN {11+}\r\nFRED FOOBAR {7+}\r\nfat man\r\nb NOOP\r\n",
            vec![
                login("a", "FRED FOOBAR", "fat man"),
                command("b", Verb::Noop),
            ],
        ),
        case(
            "9051 4.3",
            "a LOGIN {0+}\r\n {2+}\n\r\n\n",
            vec![login("a", "", "\r\n")],
        ),
        // A literal may hold what looks like commands and literals.
        case(
            "9051 4.3",
            "a LOGIN {9+}\r\nb NOOP\r\n{ {4+}\r\n{5}\r\r\n",
            vec![login("a", "b NOOP\r\n{", "{5}\r")],
        ),
        case(
            "9051 6.4.4",
            "a SEARCH OR FROM {5}\r\nSmith SUBJECT {3}\r\né?\r\n",
            vec![
                Event::LiteralWanted(5),
                Event::LiteralWanted(3),
                command(
                    "a",
                    Verb::Search {
                        uid: false,
                        returns: None,
                        window: None,
                        update: None,
                        program: Some(SearchKey::Or(Box::new((
                            SearchKey::Field(Field::From, "Smith".into()),
                            SearchKey::Field(Field::Subject, "é?".into()),
                        )))),
                    },
                ),
            ],
        ),
    ]);
}

#[test]
fn a_bad_command_ends_before_a_literal_that_waits() {
    check_all(&[
        case(
            "9051 4.3",
            "a LOGIN joe x {5}\r\nb NOOP\r\n",
            vec![
                malformed(
                    Some("a"),
                    Some("LOGIN"),
                    "expected the end of the line at column 14",
                ),
                command("b", Verb::Noop),
            ],
        ),
        case(
            "9051 4.3",
            "a BOGUS {5}\r\nb NOOP\r\n",
            vec![
                malformed(Some("a"), None, "expected a command at column 3"),
                command("b", Verb::Noop),
            ],
        ),
        case(
            "3516 4",
            "a LOGIN ~{3}\r\nb NOOP\r\n",
            vec![
                malformed(Some("a"), Some("LOGIN"), "expected a space at column 10"),
                command("b", Verb::Noop),
            ],
        ),
    ]);
}

#[test]
fn a_bad_command_takes_its_literals_with_it() {
    check_all(&[
        case(
            "7888 3",
            "a BOGUS {8+}\r\nb NOOP\r\n {10+}\r\nc LOGOUT\r\n\r\nd NOOP\r\n",
            vec![
                malformed(Some("a"), None, "expected a command at column 3"),
                command("d", Verb::Noop),
            ],
        ),
        case(
            "7888 3",
            "a LOGIN {1+}\r\nx {1+}\r\ny z\r\nb NOOP\r\n",
            vec![
                malformed(
                    Some("a"),
                    Some("LOGIN"),
                    "expected the end of the line at column 1 after literal 2",
                ),
                command("b", Verb::Noop),
            ],
        ),
        case(
            "9051 9",
            "a LOGIN joe {3+}\r\nx\0y\r\nb NOOP\r\n",
            vec![
                malformed(
                    Some("a"),
                    Some("LOGIN"),
                    "expected a string without NUL at column 20",
                ),
                command("b", Verb::Noop),
            ],
        ),
    ]);
}
