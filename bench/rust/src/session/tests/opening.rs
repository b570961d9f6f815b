use serde_json::json;

use super::*;

#[test]
fn a_refused_login_is_final_and_other_breaks_are_tried_again() {
    let mut harness = Harness::new(&plan(&[cmd("NOOP")]));
    harness.connect().exchange("* OK\r\n");
    let broken = harness.fail_on("T1 NO [AUTHENTICATIONFAILED] go\r\n");
    assert_eq!(
        broken,
        (ErrorKind::No, "NO [AUTHENTICATIONFAILED] go".into(), true)
    );
    assert_eq!(harness.session.stage(), Stage::GivenUp);
    assert_eq!(harness.row("LOGIN"), (0, 1, 0));
    let sentence = "no connection could be set up: NO [AUTHENTICATIONFAILED] go";
    assert_eq!(harness.state.shared.why_ended(), sentence);
    assert_eq!(
        harness.errors(),
        [("NO", 1, "LOGIN → NO [AUTHENTICATIONFAILED] go".into())]
    );

    let mut harness = running(&plan(&[cmd("NOOP")]));
    harness.exchange(SELECTED);
    assert_eq!(harness.fail_on("* BYE down\r\n").0, ErrorKind::Bye);
    let start = harness.now;
    harness.wake();
    assert_eq!(
        (harness.now - start, harness.session.take_action()),
        (BACKOFF_FIRST_NS, Action::Connect)
    );
    assert_eq!(harness.row("NOOP"), (0, 1, 0));
    assert_eq!(harness.entry(), (0, 1, 0));
    assert_eq!(harness.errors(), [("BYE", 1, "NOOP → * BYE down".into())]);
}

#[test]
fn a_connection_is_given_up_after_three_attempts() {
    let mut harness = Harness::new(&plan(&[cmd("NOOP")]));
    for attempt in 1..=3 {
        if attempt == 1 {
            harness.act(Session::connect);
        } else {
            harness.wake();
        }
        assert_eq!(harness.session.take_action(), Action::Connect);
        let why = ConnectionError::new(ErrorKind::Refused, "refused");
        harness.act(|session, ctx| session.connection_lost(&why, ctx));
    }
    assert_eq!(harness.session.stage(), Stage::GivenUp);
    assert!(harness.session.is_opening_finished());
    assert_eq!(harness.row("CONNECT"), (0, 3, 0));
    assert_eq!(
        harness.errors(),
        [("connection refused", 3, "CONNECT → refused".into())]
    );
}

#[test]
fn a_protocol_violation_breaks_the_connection() {
    let cases = [
        ("hello\r\n", ErrorKind::Garbage),
        ("T99 OK\r\n", ErrorKind::Unexpected),
        ("T4 OK\r\n", ErrorKind::Unexpected),
        ("+ go\r\n", ErrorKind::Unexpected),
        ("* BYE\r\n", ErrorKind::Bye),
        ("T3 OK\r\nT4 OK\r\n", ErrorKind::Unexpected), // answered before it was sent
        ("\u{1}\u{2}\n", ErrorKind::Garbage),
    ];
    for (text, kind) in cases {
        let mut harness = running(&plan(&[cmd("NOOP")]));
        harness.exchange(SELECTED);
        assert_eq!(harness.fail_on(text).0, kind, "{text}");
        assert_eq!(harness.state.entries_active, 0, "{text}");
    }
    for (text, kind) in [
        ("* NO\r\n", ErrorKind::Unexpected),
        ("* BYE too many\r\n", ErrorKind::Bye),
        ("220 smtp\r\n", ErrorKind::Garbage),
        ("T1 OK\r\n", ErrorKind::Unexpected),
    ] {
        let mut harness = Harness::new(&plan(&[cmd("NOOP")]));
        assert_eq!(harness.connect().fail_on(text).0, kind, "{text}");
    }
}

#[test]
fn starttls_comes_before_the_login_and_nothing_unencrypted_comes_after_it() {
    let mut tls = plan(&[cmd("NOOP")]);
    tls["tls"] = json!("starttls");
    let mut harness = Harness::new(&tls);
    assert_eq!(
        harness.connect().exchange("* OK hello\r\n"),
        "T1 STARTTLS\r\n"
    );
    harness.receive("T1 OK\r\n");
    assert_eq!(harness.session.take_action(), Action::StartTls);
    harness.act(Session::encrypted);
    assert_eq!(harness.output(), "T2 LOGIN anna secret\r\n");
    let mut harness = Harness::new(&tls);
    harness.connect().exchange("* OK hello\r\n");
    assert_eq!(
        harness.fail_on("T1 OK\r\nT2 OK\r\n").0,
        ErrorKind::Unexpected
    );
    let mut harness = Harness::new(&tls);
    harness.connect().exchange("* OK hello\r\n");
    assert_eq!(
        harness.fail_on("T1 BAD no\r\n"),
        (ErrorKind::Bad, "BAD no".into(), true)
    );
    let mut tls = lmtp(&[cmd("NOOP")]);
    tls["tls"] = json!("starttls");
    let mut harness = Harness::new(&tls);
    assert_eq!(
        harness.connect().exchange("220 hi\r\n"),
        "LHLO imapvm-bench\r\n"
    );
    assert_eq!(
        harness.exchange("250-STARTTLS\r\n250 X\r\n"),
        "STARTTLS\r\n"
    );
    harness.receive("220 go\r\n");
    assert_eq!(harness.session.take_action(), Action::StartTls);
}

#[test]
fn preauth_needs_no_login() {
    let mut harness = Harness::new(&plan(&[cmd("NOOP")]));
    assert_eq!(
        harness.connect().exchange("* PREAUTH hello\r\n"),
        "T1 SELECT INBOX\r\n"
    );
}

#[test]
fn with_reconnect_every_entry_is_a_connection() {
    let mut plan = plan(&[cmd("NOOP")]);
    plan["reconnect"] = json!(true);
    let mut harness = Harness::new(&plan);
    harness.act(Session::proceed);
    assert_eq!(harness.session.take_action(), Action::Connect);
    let now = harness.now;
    harness.session.connected(now);
    harness.after(1).exchange("* OK\r\n");
    harness.after(1).exchange("T1 OK\r\n");
    assert_eq!(harness.after(1).exchange(SELECTED), "T3 NOOP\r\n");
    assert_eq!(harness.after(1).exchange("T3 OK\r\n"), "T4 LOGOUT\r\n");
    assert_eq!(harness.entry(), (0, 0, 0));
    harness.after(1).receive("* BYE bye\r\nT4 OK\r\n");
    assert_eq!(harness.session.take_action(), Action::Close);
    assert_eq!(harness.entry(), (1, 0, 5));
    assert_eq!(
        (harness.row("CONNECT"), harness.row("LOGOUT")),
        ((1, 0, 1), (1, 0, 1))
    );
    assert!(
        harness
            .state
            .stats
            .setup
            .iter()
            .all(crate::stats::LabelStats::is_empty),
        "all of it is measured"
    );
    harness.act(Session::closed);
    assert_eq!(
        harness.session.take_action(),
        Action::Connect,
        "the next one"
    );
    // A refused log-in is one failed entry; the load goes on.
    let now = harness.now;
    harness.session.connected(now);
    harness.exchange("* OK\r\n");
    assert_eq!(harness.exchange("T1 NO full\r\n"), "T2 LOGOUT\r\n");
    harness.receive("T2 OK\r\n");
    assert_eq!(harness.entry(), (1, 1, 5));
    // A failed connect waits before the next one.
    harness.act(Session::closed);
    let why = ConnectionError::new(ErrorKind::Refused, "refused");
    harness.act(|session, ctx| session.connection_lost(&why, ctx));
    assert_eq!(harness.session.take_action(), Action::Nothing);
    harness.wake();
    assert_eq!(harness.session.take_action(), Action::Connect);
    assert_eq!(harness.entry(), (1, 2, 5));
}
