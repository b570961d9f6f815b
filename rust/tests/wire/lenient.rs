//! Input that deviates from the grammar in a way that is unambiguous, and names in no encoding.
//! docs/protocol.md lists what is accepted.

use imapvm_core::wire::command::{Event, Verb};
use imapvm_core::wire::limits::Limits;

use super::{command, over, read_with};

fn parsed(sent: &str) -> Vec<Event> {
    read_with(Limits::default(), &[sent.as_bytes()])
}

#[test]
fn lenient_input_is_parsed_as_the_strict_form() {
    for (lenient, strict) in [
        ("a  NOOP  \r\n", "a NOOP\r\n"),
        (
            "a UID  FETCH  1  (FLAGS  UID)\r\n",
            "a UID FETCH 1 (FLAGS UID)\r\n",
        ),
        (
            "a FETCH 1 PREVIEW  (LAZY)\r\n",
            "a FETCH 1 PREVIEW (LAZY)\r\n",
        ),
        ("a LOGIN  x  y\r\n", "a LOGIN x y\r\n"),
        ("a LIST  \"\"   *\r\n", "a LIST \"\" *\r\n"),
        (
            "a STORE 1  +FLAGS  (a  \\Seen)\r\n",
            "a STORE 1 +FLAGS (a \\Seen)\r\n",
        ),
        (
            "a STORE 1 FLAGS (\"Junk\" b)\r\n",
            "a STORE 1 FLAGS (Junk b)\r\n",
        ),
        ("a STORE 1 FLAGS \"Junk\"\r\n", "a STORE 1 FLAGS Junk\r\n"),
        ("a SEARCH KEYWORD \"Junk\"\r\n", "a SEARCH KEYWORD Junk\r\n"),
        (
            "a SEARCH SINCE  1-Feb-2026\r\n",
            "a SEARCH SINCE 1-Feb-2026\r\n",
        ),
        (
            "a SEARCH SINCE \" 1-Feb-2026\"\r\n",
            "a SEARCH SINCE 1-Feb-2026\r\n",
        ),
        (
            "a SEARCH (SEEN  1)  NOT  ALL\r\n",
            "a SEARCH (SEEN 1) NOT ALL\r\n",
        ),
        // Inside the parentheses of a list
        (
            "a FETCH 1 ( FLAGS  BODY.PEEK[HEADER.FIELDS ( TO  CC )] )\r\n",
            "a FETCH 1 (FLAGS BODY.PEEK[HEADER.FIELDS (TO CC)])\r\n",
        ),
        (
            "a STORE 1 FLAGS (  \\Seen \"b\"  )\r\n",
            "a STORE 1 FLAGS (\\Seen b)\r\n",
        ),
        ("a STORE 1 FLAGS ( )\r\n", "a STORE 1 FLAGS ()\r\n"),
        (
            "a SEARCH RETURN ( ) ( SEEN ( NOT ( 1 ) ) )\r\n",
            "a SEARCH RETURN () (SEEN (NOT (1)))\r\n",
        ),
        (
            "a LIST ( SUBSCRIBED ) \"\" ( * % ) RETURN ( STATUS ( MESSAGES ) )\r\n",
            "a LIST (SUBSCRIBED) \"\" (* %) RETURN (STATUS (MESSAGES))\r\n",
        ),
        (
            "a STATUS x ( MESSAGES UIDNEXT )\r\n",
            "a STATUS x (MESSAGES UIDNEXT)\r\n",
        ),
        ("a ID ( \"a\" \"b\" )\r\n", "a ID (\"a\" \"b\")\r\n"),
        ("a CREATE \"x & y\"\r\n", "a CREATE \"x &- y\"\r\n"),
        ("a CREATE x&\r\n", "a CREATE x&-\r\n"),
    ] {
        let events = parsed(lenient);
        assert!(
            matches!(events[..], [Event::Command(_)]),
            "{lenient}: {events:?}"
        );
        assert_eq!(events, parsed(strict), "{lenient}");
    }
}

#[test]
fn leniency_ends_where_the_meaning_is_not_clear() {
    for sent in [
        "a STORE 1 FLAGS (\"a b\")\r\n",
        "a STORE 1 FLAGS (\"\")\r\n",
        "a STORE 1 FLAGS (\"\\\\Seen\")\r\n",
        "a SEARCH KEYWORD \"a)\"\r\n",
        "a SEARCH SINCE \"  1-Feb-2026\"\r\n",
        "a LOGIN x  \r\n",
        "a FETCH 1 ( )\r\n",
        "a FETCH 1 (FLAGS \r\n",
        "a FETCH 1 FLAGS )\r\n",
        "a SEARCH ( )\r\n",
    ] {
        let events = parsed(sent);
        assert!(
            matches!(events[..], [Event::Malformed(_)]),
            "{sent}: {events:?}"
        );
    }
}

#[test]
fn a_name_in_no_encoding_cannot_be_a_mailbox() {
    let error = "mailbox name is not modified UTF-7";
    let next = || command("b", Verb::Noop);
    for (sent, name) in [
        ("SELECT a&b\r\n", "SELECT"),
        ("CREATE &AGE-\r\n", "CREATE"),
        ("DELETE \"AT&T\"\r\n", "DELETE"),
        ("RENAME x R&D-x\r\n", "RENAME"),
        ("STATUS &Jjo! (MESSAGES)\r\n", "STATUS"),
        ("COPY 1 \"\u{7f}\"\r\n", "COPY"),
        ("APPEND &x {8+}\r\nc NOOP\r\n\r\n", "APPEND"),
        ("APPEND &x {8}\r\n", "APPEND"),
        ("SUBSCRIBE {3+}\r\n&AG\r\n", "SUBSCRIBE"),
    ] {
        let events = parsed(&format!("a {sent}b NOOP\r\n"));
        assert_eq!(
            events,
            vec![over("a", name, "CANNOT", error), next()],
            "{sent}"
        );
    }
    for sent in ["a LIST &AGE- *\r\n", "a LSUB &AGE- &x\r\n"] {
        let events = parsed(sent);
        assert!(
            matches!(events[..], [Event::Command(_)]),
            "{sent}: {events:?}"
        );
    }
}
