use serde_json::json;

use super::*;

#[test]
fn a_refused_login_is_final_and_other_breaks_are_tried_again() {
    let mut scene = Scene::new(&plan(&[cmd("NOOP")]));
    scene.connect().then("* OK\r\n");
    let broken = scene.fail_on("T1 NO [AUTHENTICATIONFAILED] go\r\n");
    assert_eq!(
        broken,
        (ErrorKind::No, "NO [AUTHENTICATIONFAILED] go".into(), true)
    );
    assert_eq!(scene.session.stage(), Stage::GivenUp);
    assert_eq!(scene.row("LOGIN"), (0, 1, 0));
    let sentence = "no connection could be set up: NO [AUTHENTICATIONFAILED] go";
    assert_eq!(scene.state.shared.why_ended(), sentence);
    assert_eq!(
        scene.errors(),
        [("NO", 1, "LOGIN → NO [AUTHENTICATIONFAILED] go".into())]
    );

    let mut scene = running(&plan(&[cmd("NOOP")]));
    scene.then(SELECTED);
    assert_eq!(scene.fail_on("* BYE down\r\n").0, ErrorKind::Bye);
    let start = scene.now;
    scene.wake();
    assert_eq!(
        (scene.now - start, scene.session.take_action()),
        (BACKOFF_FIRST_NS, Action::Connect)
    );
    assert_eq!(scene.row("NOOP"), (0, 1, 0));
    assert_eq!(scene.entry(), (0, 1, 0));
    assert_eq!(scene.errors(), [("BYE", 1, "NOOP → * BYE down".into())]);
}

#[test]
fn what_cannot_be_opened_is_given_up_after_three_attempts() {
    let mut scene = Scene::new(&plan(&[cmd("NOOP")]));
    for attempt in 1..=3 {
        if attempt == 1 {
            scene.act(Session::connect);
        } else {
            scene.wake();
        }
        assert_eq!(scene.session.take_action(), Action::Connect);
        let why = ConnectionError::new(ErrorKind::Refused, "refused");
        scene.act(|session, ctx| session.connection_lost(&why, ctx));
    }
    assert_eq!(scene.session.stage(), Stage::GivenUp);
    assert!(scene.session.is_opening_finished());
    assert_eq!(scene.row("CONNECT"), (0, 3, 0));
    assert_eq!(
        scene.errors(),
        [("connection refused", 3, "CONNECT → refused".into())]
    );
}

#[test]
fn what_the_protocol_does_not_allow_breaks_the_connection() {
    let cases = [
        ("hello\r\n", ErrorKind::Garbage),
        ("T99 OK\r\n", ErrorKind::Unexpected),
        ("T4 OK\r\n", ErrorKind::Unexpected),
        ("+ go\r\n", ErrorKind::Unexpected),
        ("* BYE\r\n", ErrorKind::Bye),
        ("T3 OK\r\nT4 OK\r\n", ErrorKind::Unexpected), // answered before it can have been heard
        ("\u{1}\u{2}\n", ErrorKind::Garbage),
    ];
    for (text, kind) in cases {
        let mut scene = running(&plan(&[cmd("NOOP")]));
        scene.then(SELECTED);
        assert_eq!(scene.fail_on(text).0, kind, "{text}");
        assert_eq!(scene.state.entries_active, 0, "{text}");
    }
    for (text, kind) in [
        ("* NO\r\n", ErrorKind::Unexpected),
        ("* BYE too many\r\n", ErrorKind::Bye),
        ("220 smtp\r\n", ErrorKind::Garbage),
        ("T1 OK\r\n", ErrorKind::Unexpected),
    ] {
        let mut scene = Scene::new(&plan(&[cmd("NOOP")]));
        assert_eq!(scene.connect().fail_on(text).0, kind, "{text}");
    }
}

#[test]
fn starttls_comes_before_the_login_and_nothing_unencrypted_comes_after_it() {
    let mut tls = plan(&[cmd("NOOP")]);
    tls["tls"] = json!("starttls");
    let mut scene = Scene::new(&tls);
    assert_eq!(scene.connect().then("* OK hello\r\n"), "T1 STARTTLS\r\n");
    scene.receive("T1 OK\r\n");
    assert_eq!(scene.session.take_action(), Action::StartTls);
    scene.act(Session::encrypted);
    assert_eq!(scene.said(), "T2 LOGIN anna secret\r\n");
    let mut scene = Scene::new(&tls);
    scene.connect().then("* OK hello\r\n");
    assert_eq!(scene.fail_on("T1 OK\r\nT2 OK\r\n").0, ErrorKind::Unexpected);
    let mut scene = Scene::new(&tls);
    scene.connect().then("* OK hello\r\n");
    assert_eq!(
        scene.fail_on("T1 BAD no\r\n"),
        (ErrorKind::Bad, "BAD no".into(), true)
    );
    let mut tls = lmtp(&[cmd("NOOP")]);
    tls["tls"] = json!("starttls");
    let mut scene = Scene::new(&tls);
    assert_eq!(scene.connect().then("220 hi\r\n"), "LHLO imapvm-bench\r\n");
    assert_eq!(scene.then("250-STARTTLS\r\n250 X\r\n"), "STARTTLS\r\n");
    scene.receive("220 go\r\n");
    assert_eq!(scene.session.take_action(), Action::StartTls);
}

#[test]
fn preauth_needs_no_login() {
    let mut scene = Scene::new(&plan(&[cmd("NOOP")]));
    assert_eq!(
        scene.connect().then("* PREAUTH hello\r\n"),
        "T1 SELECT INBOX\r\n"
    );
}

#[test]
fn with_reconnect_every_entry_is_a_connection() {
    let mut plan = plan(&[cmd("NOOP")]);
    plan["reconnect"] = json!(true);
    let mut scene = Scene::new(&plan);
    scene.act(Session::proceed);
    assert_eq!(scene.session.take_action(), Action::Connect);
    let now = scene.now;
    scene.session.connected(now);
    scene.after(1).then("* OK\r\n");
    scene.after(1).then("T1 OK\r\n");
    assert_eq!(scene.after(1).then(SELECTED), "T3 NOOP\r\n");
    assert_eq!(scene.after(1).then("T3 OK\r\n"), "T4 LOGOUT\r\n");
    assert_eq!(scene.entry(), (0, 0, 0));
    scene.after(1).receive("* BYE bye\r\nT4 OK\r\n");
    assert_eq!(scene.session.take_action(), Action::Close);
    assert_eq!(scene.entry(), (1, 0, 5));
    assert_eq!(
        (scene.row("CONNECT"), scene.row("LOGOUT")),
        ((1, 0, 1), (1, 0, 1))
    );
    assert!(
        scene
            .state
            .stats
            .setup
            .iter()
            .all(crate::stats::LabelStats::is_empty),
        "all of it is measured"
    );
    scene.act(Session::closed);
    assert_eq!(scene.session.take_action(), Action::Connect, "the next one");
    // A refused log-in is one failed entry, and no reason to stop.
    let now = scene.now;
    scene.session.connected(now);
    scene.then("* OK\r\n");
    assert_eq!(scene.then("T1 NO full\r\n"), "T2 LOGOUT\r\n");
    scene.receive("T2 OK\r\n");
    assert_eq!(scene.entry(), (1, 1, 5));
    // One that cannot be made waits before the next.
    scene.act(Session::closed);
    let why = ConnectionError::new(ErrorKind::Refused, "refused");
    scene.act(|session, ctx| session.connection_lost(&why, ctx));
    assert_eq!(scene.session.take_action(), Action::Nothing);
    scene.wake();
    assert_eq!(scene.session.take_action(), Action::Connect);
    assert_eq!(scene.entry(), (1, 2, 5));
}
