use super::*;

/// Format each address as `name|route|local|host`, and groups as `name{` and `}`.
fn show(value: &str) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let or_nil = |bytes: &Option<Vec<u8>>| bytes.as_deref().map_or("NIL".into(), text);
    addresses(value.as_bytes(), usize::MAX)
        .iter()
        .map(|address| match address {
            Address::Mailbox {
                name,
                route,
                local,
                host,
            } => {
                format!(
                    "{}|{}|{}|{}",
                    or_nil(name),
                    or_nil(route),
                    text(local),
                    text(host)
                )
            }
            Address::Group(name) => format!("{}{{", text(name)),
            Address::EndOfGroup => "}".into(),
        })
        .collect()
}

#[test]
fn examples_of_rfc_5322_appendix_a() {
    for (value, expected) in [
        (
            "John Doe <jdoe@machine.example>",
            &["John Doe|NIL|jdoe|machine.example"][..],
        ),
        (
            r#""Joe Q. Public" <john.q.public@example.com>"#,
            &["Joe Q. Public|NIL|john.q.public|example.com"],
        ),
        (
            "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
            &[
                "Mary Smith|NIL|mary|x.test",
                "NIL|NIL|jdoe|example.org",
                "Who?|NIL|one|y.test",
            ],
        ),
        (
            r#"<boss@nil.test>, "Giant; \"Big\" Box" <sysservices@example.net>"#,
            &[
                "NIL|NIL|boss|nil.test",
                r#"Giant; "Big" Box|NIL|sysservices|example.net"#,
            ],
        ),
        (
            "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
            &[
                "A Group{",
                "Ed Jones|NIL|c|a.test",
                "NIL|NIL|joe|where.test",
                "John|NIL|jdoe|one.test",
                "}",
            ],
        ),
        (
            "Undisclosed recipients:;",
            &["Undisclosed recipients{", "}"],
        ),
        (
            r"Pete(A nice \) chap) <pete(his account)@silly.test(his host)>",
            &["Pete|NIL|pete|silly.test"],
        ),
        (
            "A Group(Some people)\t :Chris Jones <c@(Chris's host.)public.example>,\t joe@example.org,\t John <jdoe@one.test> (my dear friend); (the end of the group)",
            &[
                "A Group{",
                "Chris Jones|NIL|c|public.example",
                "NIL|NIL|joe|example.org",
                "John|NIL|jdoe|one.test",
                "}",
            ],
        ),
        (
            "(Empty list)(start)Hidden recipients  :(no one(that I know))  ;",
            &["Hidden recipients{", "}"],
        ),
        (
            "Joe Q. Public <john.q.public@example.com>",
            &["Joe Q. Public|NIL|john.q.public|example.com"],
        ),
        (
            "Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
            &[
                "Mary Smith|@node.test|mary|example.net",
                "NIL|NIL|jdoe|test.example",
            ],
        ),
        (
            "John Doe <jdoe@machine(comment).  example>",
            &["John Doe|NIL|jdoe|machine.example"],
        ),
    ] {
        assert_eq!(show(value), expected, "{value}");
    }
}

#[test]
fn invalid_lists_give_addresses() {
    for (value, expected) in [
        ("", &[][..]),
        (" , ,;>)", &[]),
        ("root", &["NIL|NIL|root|"]),
        ("joe.doe", &["NIL|NIL|joe.doe|"]),
        ("Joe Doe", &["Joe Doe|NIL||"]),
        ("<>", &["NIL|NIL||"]),
        ("Joe <joe>", &["Joe|NIL|joe|"]),
        (
            "joe@example.org (Joe Doe)",
            &["Joe Doe|NIL|joe|example.org"],
        ),
        (
            "joe@example.org <joe@example.org>",
            &["joe@example.org|NIL|joe|example.org"],
        ),
        ("Joe Doe joe@example.org", &["Joe Doe|NIL|joe|example.org"]),
        (
            r#""joe doe" . "x"@example.org"#,
            &["NIL|NIL|joe doe.x|example.org"],
        ),
        (
            r#"<"joe doe"@example.org>"#,
            &["NIL|NIL|joe doe|example.org"],
        ),
        ("joe@[192.0.2.1]", &["NIL|NIL|joe|[192.0.2.1]"]),
        ("<joe@a@b>", &["NIL|NIL|joe@a|b"]),
        ("joe@a@b", &["NIL|NIL|joe@a|b"]),
        (
            "<joe@example.org, jane@example.org",
            &["NIL|NIL|joe|example.org", "NIL|NIL|jane|example.org"],
        ),
        ("<@a,@b:joe@c>", &["NIL|@a,@b|joe|c"]),
        (
            "a: joe@x, b: jane@y; c: d@z",
            &[
                "a{",
                "NIL|NIL|joe|x",
                "}",
                "b{",
                "NIL|NIL|jane|y",
                "}",
                "c{",
                "NIL|NIL|d|z",
                "}",
            ],
        ),
        (": joe@x;", &["{", "NIL|NIL|joe|x", "}"]),
        ("\"Joe, joe@x", &["NIL|NIL|Joe|", "NIL|NIL|joe|x"]),
        ("\"Ada <ada@shop.example>", &["Ada|NIL|ada|shop.example"]),
        ("Ada \"Al <ada@x>", &["Ada Al|NIL|ada|x"]),
        ("<\"ada@x>, b@y", &["NIL|NIL|ada|x", "NIL|NIL|b|y"]),
        ("Joe (a <b@c>", &["Joe a|NIL|b|c"]),
        ("joe@x (Joe, b@y", &["Joe|NIL|joe|x", "NIL|NIL|b|y"]),
        (
            "=?utf-8?q?J=C3=B6?= <j@x>",
            &["=?utf-8?q?J=C3=B6?=|NIL|j|x"],
        ),
        ("Jörg <jörg@exämple.org>", &["Jörg|NIL|jörg|exämple.org"]),
        ("@x", &["NIL|NIL||x"]),
        ("joe@", &["NIL|NIL|joe|"]),
    ] {
        assert_eq!(show(value), expected, "{value}");
    }
}

#[test]
fn common_errors_hide_no_address() {
    for (value, expected) in [
        // Encoded words are one atom, with any bytes inside
        (
            "=?utf-8?q?Doe,_J. <x@y>?= <j@x>, b@y",
            &["=?utf-8?q?Doe,_J. <x@y>?=|NIL|j|x", "NIL|NIL|b|y"][..],
        ),
        (
            "=?\"utf-8\"?q?a;(b?= =?utf-8?b?YQ==?= <j@x>",
            &["=?\"utf-8\"?q?a;(b?= =?utf-8?b?YQ==?=|NIL|j|x"],
        ),
        (
            "=?utf-8?q?Ada <a@x>, =?utf-8?q?Bob?= <b@y>",
            &["=?utf-8?q?Ada|NIL|a|x", "=?utf-8?q?Bob?=|NIL|b|y"],
        ),
        ("=?utf-8?q?Ada <a@x>", &["=?utf-8?q?Ada|NIL|a|x"]),
        ("=?utf-8?q?a@b?=@x", &["NIL|NIL|=?utf-8?q?a@b?=|x"]),
        // Unclosed quotes that a later quote closes
        (
            "\"Ada <a@x>, \"Bob\" <b@y>",
            &["Ada|NIL|a|x", "Bob|NIL|b|y"],
        ),
        (
            "Ada\" <a@x>, \"Bob, C.\" <b@y>",
            &["Ada|NIL|a|x", "Bob, C.|NIL|b|y"],
        ),
        (
            "\"Ada, a@x, \"Bob\" <b@y>, c@z",
            &["NIL|NIL|Ada|", "NIL|NIL|a|x", "Bob|NIL|b|y", "NIL|NIL|c|z"],
        ),
        ("<\"a@x>, \"Bob\" <b@y>", &["NIL|NIL|a|x", "Bob|NIL|b|y"]),
        ("\"a@x\" <a@x>", &["a@x|NIL|a|x"]),
        ("\"a@x\"<a@x>", &["a@x|NIL|a|x"]),
        ("\"Doe, A <a@x>\" <a@x>", &["Doe, A <a@x>|NIL|a|x"]),
        ("\"a@b\"@x", &["NIL|NIL|a@b|x"]),
        ("\"a b\"c <d@x>", &["a bc|NIL|d|x"]),
        // Several angle brackets, and schemes
        ("<<g@h.example>>", &["NIL|NIL|g|h.example"]),
        (
            "G < <g@h.example> >, b@y",
            &["G|NIL|g|h.example", "NIL|NIL|b|y"],
        ),
        ("<<<g@h", &["NIL|NIL|g|h"]),
        ("<<>>", &["NIL|NIL||"]),
        ("<mailto:g@h.example>", &["NIL|NIL|g|h.example"]),
        ("G <MAILTO: g@h.example>", &["G|NIL|g|h.example"]),
        ("<smtp:g.i@h>", &["NIL|NIL|g.i|h"]),
        (
            "mailto:g@h.example, b@y",
            &["NIL|NIL|g|h.example", "NIL|NIL|b|y"],
        ),
        ("G mailto: g@h;", &["G mailto{", "NIL|NIL|g|h", "}"]),
        // A missing comma
        ("Ada <a@x> Bob <b@y>", &["Ada|NIL|a|x", "Bob|NIL|b|y"]),
        ("<a@x><b@y>", &["NIL|NIL|a|x", "NIL|NIL|b|y"]),
        ("<a@x> b@y", &["NIL|NIL|a|x", "NIL|NIL|b|y"]),
        ("<a@x> Ada", &["Ada|NIL|a|x"]),
        ("A <a@x> B (c)", &["A B|NIL|a|x"]),
    ] {
        assert_eq!(show(value), expected, "{value}");
    }
}

#[test]
fn hostile_lists_take_linear_time() {
    let escapes = format!("\"{}@\"a", "\\\"".repeat(32 * 1024));
    for (piece, count) in [
        (escapes.as_str(), 1),
        ("\"@\"a", 16 * 1024),
        ("=?", 32 * 1024),
        ("=?a?q?", 10 * 1024),
        ("<", 64 * 1024),
        ("(", 64 * 1024),
        ("\"", 64 * 1024),
        ("<a@", 20 * 1024),
        ("a@", 32 * 1024),
        ("<a:", 20 * 1024),
        ("<a>b", 16 * 1024),
    ] {
        // Quadratic time would be minutes.
        let list = addresses(piece.repeat(count).as_bytes(), usize::MAX);
        assert!(list.len() <= 2 * count);
    }
}

#[test]
fn a_list_is_bounded_and_its_groups_are_closed() {
    const LIMIT: usize = 100;
    for count in [LIMIT - 2, LIMIT - 1, LIMIT, LIMIT + 1, 4 * LIMIT] {
        let list = addresses("a@b,".repeat(count).as_bytes(), LIMIT);
        assert_eq!(list.len(), count.min(LIMIT));
        for separator in [",", " <a@b> "] {
            let list = addresses(vec!["<a@b>"; count].join(separator).as_bytes(), LIMIT);
            assert_eq!(
                list.len(),
                LIMIT.min(if separator == "," {
                    count
                } else {
                    2 * count - 1
                })
            );
        }
        let group = addresses(format!("g:{}", "a@b,".repeat(count)).as_bytes(), LIMIT);
        assert_eq!(group.len(), (count + 2).min(LIMIT));
        assert_eq!(group.last(), Some(&Address::EndOfGroup));
        for before in 0..=3 {
            let value = "a@b,".repeat(before) + &"g:x@y;".repeat(count);
            let groups = addresses(value.as_bytes(), LIMIT);
            assert!((LIMIT - 2..=LIMIT).contains(&groups.len()));
            assert_eq!(groups.last(), Some(&Address::EndOfGroup));
            let opened = groups
                .iter()
                .filter(|address| matches!(address, Address::Group(_)));
            let closed = groups
                .iter()
                .filter(|address| matches!(address, Address::EndOfGroup));
            assert_eq!(opened.count(), closed.count());
        }
    }
    assert_eq!(addresses(b"a@b", 0), []);
    assert_eq!(addresses(b"g:a@b;", 1), []);
}
