use serde_json::{Value, json};

use super::*;
use crate::bounds::{BACKOFF_FIRST_NS, IDLE_ANEW_NS, MS, SECOND};

/// A session with somebody who plays the server and the clock.
struct Play {
    plan: Plan,
    desk: Desk,
    out: Output,
    session: Session,
    now: u64,
}

impl Play {
    fn new(plan: &Value) -> Self {
        let purpose = if plan["mix"] == json!([]) {
            Purpose::Idle
        } else {
            Purpose::Load
        };
        let plan = Plan::from_json(&plan.to_string(), purpose).unwrap();
        let board = Arc::new(Board::new(&plan, 1));
        let mut tally = Tally::new(&plan, Arc::clone(&board), 1);
        tally.begin_measuring(1);
        let mut supply = Supply::new(&plan);
        supply.is_going = true;
        supply.is_limited = true;
        let desk = Desk {
            tally,
            supply,
            timers: Timers::default(),
            arrivals: Vec::new(),
            board,
            purpose,
            entries_active: 0,
            is_draining: false,
        };
        let session = Session::new(&plan, 0);
        Self {
            plan,
            desk,
            out: Output::default(),
            session,
            now: SECOND,
        }
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut Session, &mut Turn<'_>) -> T) -> T {
        let Self {
            plan,
            desk,
            out,
            session,
            now,
        } = self;
        act(
            session,
            &mut Turn {
                plan,
                desk,
                out,
                now: *now,
            },
        )
    }

    fn after(&mut self, milliseconds: u64) -> &mut Self {
        self.now += milliseconds * MS;
        self
    }

    /// Connect, if that is not what a timer does.
    fn connect(&mut self) -> &mut Self {
        self.act(Session::connect);
        assert_eq!(self.session.take_wish(), Wish::Connect);
        let now = self.now;
        self.session.connected(now);
        self
    }

    fn try_hear(&mut self, text: &str) -> Result<(), Break> {
        self.act(|session, turn| session.receive(text.as_bytes(), turn))
    }

    fn hear(&mut self, text: &str) -> &mut Self {
        self.try_hear(text).unwrap();
        self
    }

    /// What has been said since the last call. It is written now.
    fn said(&mut self) -> String {
        self.session.stamp(self.now);
        let mut said = Vec::new();
        while !self.out.is_empty() {
            said.extend_from_slice(self.out.first());
            self.out.advance(self.out.first().len());
        }
        String::from_utf8(said).unwrap()
    }

    /// What is said after hearing `text`.
    fn then(&mut self, text: &str) -> String {
        self.hear(text).said()
    }

    /// Hear what breaks the connection: its kind, and what is made of it.
    fn break_by(&mut self, text: &str) -> (ErrorKind, String, bool) {
        let why = self.try_hear(text).unwrap_err();
        self.act(|session, turn| session.broken(&why, turn));
        (why.kind, why.example, why.is_final)
    }

    /// Wake whoever is to be woken next, at that time.
    fn wake(&mut self) -> &mut Self {
        self.now = self.desk.timers.next().unwrap();
        let (at, _) = self.desk.timers.take_due(self.now).unwrap();
        self.act(|session, turn| session.wake(at, turn));
        self
    }

    /// (answers, errors, milliseconds of the slowest) of a row.
    fn row(&self, label: &str) -> (u64, u64, u64) {
        let number = self
            .plan
            .labels
            .all()
            .iter()
            .position(|name| name == label)
            .unwrap();
        let (measured, setup) = (
            &self.desk.tally.labels[number],
            &self.desk.tally.setup[number],
        );
        summary(if measured.is_empty() { setup } else { measured })
    }

    fn entry(&self) -> (u64, u64, u64) {
        summary(&self.desk.tally.entries[0])
    }

    fn errors(&mut self) -> Vec<(&'static str, u64, String)> {
        self.desk.tally.publish();
        let counts = self.desk.board.counts();
        let errors = counts.errors.seen();
        errors
            .map(|(kind, seen)| (kind.name(), seen.count, seen.example.clone().unwrap()))
            .collect()
    }
}

fn summary(row: &crate::tally::Row) -> (u64, u64, u64) {
    let histogram = row.histogram.as_ref();
    let slowest = histogram.map_or(0, |histogram| (histogram.max() + 500) / 1_000);
    (
        histogram.map_or(0, |histogram| histogram.len()),
        row.errors,
        slowest,
    )
}

fn say(text: &str) -> Value {
    json!({"label": text.split(' ').next().unwrap(), "parts": [{"text": text}]})
}

fn plan(commands: &[Value]) -> Value {
    json!({
        "protocol": "imap", "host": "127.0.0.1", "port": 1, "connections": 1, "seconds": 10,
        "users": [["anna", "secret"]], "messages": ["SGVsbG8NCg=="],
        "login": [{"label": "LOGIN", "parts": [{"text": "LOGIN "}, {"user": true}, {"text": " "}, {"password": true}]}],
        "setup": [say("SELECT INBOX")],
        "mix": [{"name": "entry", "commands": commands}],
    })
}

fn lmtp(commands: &[Value]) -> Value {
    let mut plan = plan(commands);
    plan["protocol"] = json!("lmtp");
    plan["login"] = json!([say("LHLO me")]);
    plan["setup"] = json!([]);
    plan
}

fn running(plan: &Value) -> Play {
    let mut play = Play::new(plan);
    play.connect();
    assert_eq!(play.then("* OK hello\r\n"), "T1 LOGIN anna secret\r\n");
    assert_eq!(play.then("T1 OK\r\n"), "T2 SELECT INBOX\r\n");
    play
}

const SELECTED: &str = "* 23 EXISTS\r\nT2 OK\r\n";

#[test]
fn a_connection_logs_in_is_set_up_and_works_through_its_entries() {
    let mut play = running(&plan(&[say("NOOP"), say("CHECK")]));
    assert_eq!(play.after(5).then(SELECTED), "T3 NOOP\r\n");
    assert_eq!(
        play.desk
            .board
            .open
            .load(std::sync::atomic::Ordering::Relaxed),
        1
    );
    assert_eq!(play.after(2).then("T3 OK\r\n"), "T4 CHECK\r\n");
    assert_eq!(play.after(3).then("T4 OK\r\n"), "T5 NOOP\r\n");
    assert_eq!(play.row("SELECT"), (1, 0, 5));
    assert_eq!(play.row("CONNECT"), (1, 0, 0));
    assert_eq!(
        (play.row("NOOP"), play.row("CHECK")),
        ((1, 0, 2), (1, 0, 3))
    );
    assert_eq!(play.entry(), (1, 0, 5));
}

#[test]
fn what_is_said_does_not_depend_on_where_answers_are_cut() {
    let fetch = json!({"label": "FETCH", "parts": [{"text": "FETCH "}, {"exists": true}, {"text": " BODY[]"}]});
    let answers = [
        "* OK hello\r\n",
        "T1 OK\r\n",
        SELECTED,
        "* 23 FETCH (BODY[] {9}\r\nT3 OK x\r\n)\r\nT3 OK done {3}\r\n",
        "* 24 EXISTS\r\nT4 OK\r\n",
    ];
    let expected = "T1 LOGIN anna secret\r\nT2 SELECT INBOX\r\nT3 FETCH 23 BODY[]\r\nT4 FETCH 23 BODY[]\r\nT5 FETCH 24 BODY[]\r\n";
    let octets = (answers[3].len() + answers[4].len()) as u64;
    for step in 1..30 {
        let mut play = Play::new(&plan(std::slice::from_ref(&fetch)));
        play.connect();
        let mut said = String::new();
        for answer in answers {
            for piece in answer.as_bytes().chunks(step) {
                said += &play.then(std::str::from_utf8(piece).unwrap());
            }
        }
        assert_eq!(said, expected, "{step}");
        assert_eq!(play.desk.tally.labels[2].octets_in, octets, "{step}");
    }
}

#[test]
fn a_pipeline_is_kept_full_and_answers_may_come_in_any_order() {
    let mut plan = plan(&[say("A"), say("B")]);
    plan["pipeline"] = json!(3);
    let mut play = running(&plan);
    assert_eq!(play.then(SELECTED), "T3 A\r\nT4 B\r\nT5 A\r\n");
    assert_eq!(play.after(1).then("T4 OK\r\n"), "T6 B\r\n");
    assert_eq!(play.entry(), (0, 0, 0), "its first command is not answered");
    assert_eq!(
        play.after(1).then("T5 OK\r\nT3 OK\r\nT6 OK\r\n"),
        "T7 A\r\nT8 B\r\nT9 A\r\n"
    );
    assert_eq!(play.entry(), (2, 0, 2));
    assert_eq!((play.row("A"), play.row("B")), ((2, 0, 2), (2, 0, 1)));
}

#[test]
fn after_a_no_the_rest_of_the_entry_is_not_said() {
    let mut create = say("CREATE x");
    create["may_fail"] = json!(true);
    let mut play = running(&plan(&[create, say("A"), say("B")]));
    assert_eq!(play.then(SELECTED), "T3 CREATE x\r\n");
    assert_eq!(play.then("T3 NO [ALREADYEXISTS] it is\r\n"), "T4 A\r\n");
    assert_eq!(play.then("T4 NO [LIMIT] why\r\n"), "T5 CREATE x\r\n");
    assert_eq!(
        play.then("* BAD line\r\nT5 BAD what\r\n"),
        "T6 CREATE x\r\n"
    );
    assert_eq!(play.entry(), (0, 2, 0));
    assert_eq!((play.row("CREATE"), play.row("A")), ((1, 1, 0), (0, 1, 0)));
    let said = play.errors();
    assert_eq!(
        said,
        [
            ("NO", 1, "A → NO [LIMIT] why".into()),
            ("BAD", 2, "CREATE → * BAD line".into())
        ]
    );
}

#[test]
fn a_literal_waits_for_the_server_where_it_has_to() {
    let append = |form: &str| json!({"label": form, "parts": [{"text": "APPEND x "}, {"message": form}, {"text": " Y"}]});
    let mut plan = plan(&[append("literal"), append("literal+")]);
    plan["pipeline"] = json!(2);
    let mut play = running(&plan);
    assert_eq!(
        play.then(SELECTED),
        "T3 APPEND x {7}\r\n",
        "nothing may be said meanwhile"
    );
    assert_eq!(
        play.after(4).then("+ go\r\n"),
        "Hello\r\n Y\r\nT4 APPEND x {7+}\r\nHello\r\n Y\r\n"
    );
    assert_eq!(
        play.after(4).then("T3 OK\r\nT4 OK\r\n"),
        "T5 APPEND x {7}\r\n"
    );
    assert_eq!(play.row("literal"), (1, 0, 8));
    // Refused before the literal: it is not sent.
    assert_eq!(play.then("T5 NO [OVERQUOTA]\r\n"), "T6 APPEND x {7}\r\n");
    let broken = play.break_by("T6 OK what?\r\n");
    assert_eq!(
        broken,
        (ErrorKind::Unexpected, "OK what? before +".into(), false)
    );
}

#[test]
fn idle_is_held_and_the_hold_is_not_latency() {
    let idle =
        json!({"label": "IDLE", "answer": "idle", "hold_ms": 500, "parts": [{"text": "IDLE"}]});
    let mut play = running(&plan(&[idle]));
    assert_eq!(play.then(SELECTED), "T3 IDLE\r\n");
    assert_eq!(play.after(2).then("+ idling\r\n"), "");
    assert_eq!(
        play.session.waits_since(),
        None,
        "an idle connection owes nothing"
    );
    let before = play.now;
    assert_eq!(play.after(100).then("* 24 EXISTS\r\n"), "");
    assert_eq!(play.wake().said(), "DONE\r\n");
    assert_eq!(play.now - before, 500 * MS);
    assert_eq!(play.session.waits_since(), Some(play.now));
    assert_eq!(play.after(3).then("T3 OK\r\n"), "T4 IDLE\r\n");
    assert_eq!(play.row("IDLE"), (1, 0, 5));
    // At the end it is ended at once.
    play.hear("+ idling\r\n");
    play.desk.is_draining = true;
    play.act(Session::drain);
    assert_eq!(play.said(), "DONE\r\n");
    assert_eq!(play.then("T4 OK\r\n"), "", "nothing new");
    assert!(play.session.is_quiet());
}

#[test]
fn think_time_is_waited_before_an_entry() {
    let mut plan = plan(&[say("NOOP")]);
    plan["mix"][0]["think_ms"] = json!([100, 200]);
    let mut play = running(&plan);
    let start = play.now;
    assert_eq!(play.then(SELECTED), "");
    assert_eq!(play.wake().said(), "T3 NOOP\r\n");
    assert!(play.now - start <= 200 * MS, "the first one may be short");
    for tag in 3..20 {
        let start = play.now;
        assert_eq!(play.then(&format!("T{tag} OK\r\n")), "");
        assert_eq!(play.wake().said(), format!("T{} NOOP\r\n", tag + 1));
        assert!((100 * MS..=200 * MS).contains(&(play.now - start)));
    }
    assert_eq!(play.entry(), (17, 0, 0));
}

#[test]
fn a_refused_login_is_final_and_other_breaks_are_tried_again() {
    let mut play = Play::new(&plan(&[say("NOOP")]));
    play.connect().then("* OK\r\n");
    let broken = play.break_by("T1 NO [AUTHENTICATIONFAILED] go\r\n");
    assert_eq!(
        broken,
        (ErrorKind::No, "NO [AUTHENTICATIONFAILED] go".into(), true)
    );
    assert_eq!(play.session.stage(), Stage::GivenUp);
    assert_eq!(play.row("LOGIN"), (0, 1, 0));
    let sentence = "no connection could be set up: NO [AUTHENTICATIONFAILED] go";
    assert_eq!(play.desk.board.why_ended(), sentence);
    assert_eq!(
        play.errors(),
        [("NO", 1, "LOGIN → NO [AUTHENTICATIONFAILED] go".into())]
    );

    let mut play = running(&plan(&[say("NOOP")]));
    play.then(SELECTED);
    assert_eq!(play.break_by("* BYE down\r\n").0, ErrorKind::Bye);
    let start = play.now;
    play.wake();
    assert_eq!(
        (play.now - start, play.session.take_wish()),
        (BACKOFF_FIRST_NS, Wish::Connect)
    );
    assert_eq!(play.row("NOOP"), (0, 1, 0));
    assert_eq!(play.entry(), (0, 1, 0));
    assert_eq!(play.errors(), [("BYE", 1, "NOOP → * BYE down".into())]);
}

#[test]
fn what_cannot_be_opened_is_given_up_after_three_attempts() {
    let mut play = Play::new(&plan(&[say("NOOP")]));
    for attempt in 1..=3 {
        if attempt == 1 {
            play.act(Session::connect);
        } else {
            play.wake();
        }
        assert_eq!(play.session.take_wish(), Wish::Connect);
        let why = Break::new(ErrorKind::Refused, "refused");
        play.act(|session, turn| session.broken(&why, turn));
    }
    assert_eq!(play.session.stage(), Stage::GivenUp);
    assert!(play.session.is_settled());
    assert_eq!(play.row("CONNECT"), (0, 3, 0));
    assert_eq!(
        play.errors(),
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
        let mut play = running(&plan(&[say("NOOP")]));
        play.then(SELECTED);
        assert_eq!(play.break_by(text).0, kind, "{text}");
        assert_eq!(play.desk.entries_active, 0, "{text}");
    }
    for (text, kind) in [
        ("* NO\r\n", ErrorKind::Unexpected),
        ("* BYE too many\r\n", ErrorKind::Bye),
        ("220 smtp\r\n", ErrorKind::Garbage),
        ("T1 OK\r\n", ErrorKind::Unexpected),
    ] {
        let mut play = Play::new(&plan(&[say("NOOP")]));
        assert_eq!(play.connect().break_by(text).0, kind, "{text}");
    }
}

#[test]
fn starttls_comes_before_the_login_and_nothing_unencrypted_comes_after_it() {
    let mut tls = plan(&[say("NOOP")]);
    tls["tls"] = json!("starttls");
    let mut play = Play::new(&tls);
    assert_eq!(play.connect().then("* OK hello\r\n"), "T1 STARTTLS\r\n");
    play.hear("T1 OK\r\n");
    assert_eq!(play.session.take_wish(), Wish::StartTls);
    play.act(Session::encrypted);
    assert_eq!(play.said(), "T2 LOGIN anna secret\r\n");
    let mut play = Play::new(&tls);
    play.connect().then("* OK hello\r\n");
    assert_eq!(play.break_by("T1 OK\r\nT2 OK\r\n").0, ErrorKind::Unexpected);
    let mut play = Play::new(&tls);
    play.connect().then("* OK hello\r\n");
    assert_eq!(
        play.break_by("T1 BAD no\r\n"),
        (ErrorKind::Bad, "BAD no".into(), true)
    );
    let mut tls = lmtp(&[say("NOOP")]);
    tls["tls"] = json!("starttls");
    let mut play = Play::new(&tls);
    assert_eq!(play.connect().then("220 hi\r\n"), "LHLO imapvm-bench\r\n");
    assert_eq!(play.then("250-STARTTLS\r\n250 X\r\n"), "STARTTLS\r\n");
    play.hear("220 go\r\n");
    assert_eq!(play.session.take_wish(), Wish::StartTls);
}

#[test]
fn preauth_needs_no_login() {
    let mut play = Play::new(&plan(&[say("NOOP")]));
    assert_eq!(
        play.connect().then("* PREAUTH hello\r\n"),
        "T1 SELECT INBOX\r\n"
    );
}

#[test]
fn with_reconnect_every_entry_is_a_connection() {
    let mut plan = plan(&[say("NOOP")]);
    plan["reconnect"] = json!(true);
    let mut play = Play::new(&plan);
    play.act(Session::proceed);
    assert_eq!(play.session.take_wish(), Wish::Connect);
    let now = play.now;
    play.session.connected(now);
    play.after(1).then("* OK\r\n");
    play.after(1).then("T1 OK\r\n");
    assert_eq!(play.after(1).then(SELECTED), "T3 NOOP\r\n");
    assert_eq!(play.after(1).then("T3 OK\r\n"), "T4 LOGOUT\r\n");
    assert_eq!(play.entry(), (0, 0, 0));
    play.after(1).hear("* BYE bye\r\nT4 OK\r\n");
    assert_eq!(play.session.take_wish(), Wish::Close);
    assert_eq!(play.entry(), (1, 0, 5));
    assert_eq!(
        (play.row("CONNECT"), play.row("LOGOUT")),
        ((1, 0, 1), (1, 0, 1))
    );
    assert!(
        play.desk
            .tally
            .setup
            .iter()
            .all(crate::tally::Row::is_empty),
        "all of it is measured"
    );
    play.act(Session::closed);
    assert_eq!(play.session.take_wish(), Wish::Connect, "the next one");
    // A refused log-in is one failed entry, and no reason to stop.
    let now = play.now;
    play.session.connected(now);
    play.then("* OK\r\n");
    assert_eq!(play.then("T1 NO full\r\n"), "T2 LOGOUT\r\n");
    play.hear("T2 OK\r\n");
    assert_eq!(play.entry(), (1, 1, 5));
    // One that cannot be made waits before the next.
    play.act(Session::closed);
    let why = Break::new(ErrorKind::Refused, "refused");
    play.act(|session, turn| session.broken(&why, turn));
    assert_eq!(play.session.take_wish(), Wish::Nothing);
    play.wake();
    assert_eq!(play.session.take_wish(), Wish::Connect);
    assert_eq!(play.entry(), (1, 2, 5));
}

#[test]
fn in_an_open_loop_latency_counts_from_when_an_entry_was_due() {
    let mut plan = plan(&[say("A"), say("B")]);
    plan["rate"] = json!(10);
    let mut play = running(&plan);
    assert_eq!(play.then(SELECTED), "", "nothing is due yet");
    assert_eq!(play.desk.supply.free, [0]);
    play.desk.supply.free.clear();
    let due = play.now;
    play.after(30);
    assert!(play.act(|session, turn| session.begin_due(due, turn)));
    assert_eq!(play.said(), "T3 A\r\n");
    assert!(
        !play.act(|session, turn| session.begin_due(due, turn)),
        "it is busy"
    );
    assert!(play.desk.supply.wait(due + 10 * MS));
    assert_eq!(play.after(10).then("T3 OK\r\n"), "T4 B\r\n");
    assert_eq!(
        play.after(10).then("T4 OK\r\n"),
        "T5 A\r\n",
        "the one that waited"
    );
    assert_eq!((play.row("A"), play.row("B")), ((1, 0, 40), (1, 0, 10)));
    assert_eq!(play.entry(), (1, 0, 50));
    play.after(10).then("T5 OK\r\n");
    assert_eq!(play.row("A"), (2, 0, 50));
}

#[test]
fn limits_end_the_supply() {
    let mut plan = plan(&[say("NOOP")]);
    plan["limit"] = json!(2);
    let mut play = running(&plan);
    assert_eq!(play.then(SELECTED), "T3 NOOP\r\n");
    assert_eq!(play.then("T3 OK\r\n"), "T4 NOOP\r\n");
    assert!(play.desk.supply.is_exhausted(&play.desk.board, 1));
    assert_eq!(
        (play.then("T4 OK\r\n"), play.desk.entries_active),
        (String::new(), 0)
    );
    plan["limit"] = json!(null);
    plan["limit_each"] = json!(1);
    let mut play = running(&plan);
    assert_eq!(play.then(SELECTED), "T3 NOOP\r\n");
    assert_eq!(play.then("T3 OK\r\n"), "");
    assert!(play.desk.supply.is_exhausted(&play.desk.board, 1));
    assert!(
        !play.desk.supply.is_exhausted(&play.desk.board, 2),
        "another one may go on"
    );
}

#[test]
fn an_idle_connection_notes_news_and_idles_anew() {
    let mut plan = plan(&[]);
    plan["mix"] = json!([]);
    let mut play = running(&plan);
    assert_eq!(play.then(SELECTED), "T3 IDLE\r\n");
    play.hear("* 24 EXISTS\r\n");
    assert_eq!(play.desk.arrivals, [], "it does not idle yet");
    play.hear("+ idling\r\n")
        .after(1)
        .hear("* 25 EXISTS\r\n* 1 EXPUNGE\r\n* 24 EXISTS\r\n");
    assert_eq!(play.desk.arrivals, [(0, play.now, 25), (0, play.now, 24)]);
    let start = play.now;
    assert_eq!(play.wake().said(), "DONE\r\n");
    assert_eq!(play.now - start, IDLE_ANEW_NS - MS);
    assert_eq!(play.then("T3 OK\r\n"), "T4 IDLE\r\n");
    assert_eq!(
        play.desk
            .board
            .open
            .load(std::sync::atomic::Ordering::Relaxed),
        1
    );
    play.hear("+ idling\r\n");
    play.break_by("* BYE\r\n");
    assert_eq!(play.session.stage(), Stage::GivenUp);
}

fn delivery(recipients: usize) -> Value {
    let data = json!({"label": "DATA", "parts": [{"text": "DATA"}, {"data": true}]});
    let mut commands = vec![say("MAIL FROM:<>")];
    commands.extend((0..recipients).map(|_| say("RCPT TO:<a>")));
    commands.push(data);
    lmtp(&commands)
}

#[test]
fn lmtp_data_is_answered_once_for_each_recipient() {
    let mut play = Play::new(&delivery(2));
    assert_eq!(play.connect().then("220 hello\r\n"), "LHLO me\r\n");
    assert_eq!(play.then("250-SIZE\r\n250 OK\r\n"), "MAIL FROM:<>\r\n");
    assert_eq!(play.then("250 ok\r\n"), "RCPT TO:<a>\r\n");
    assert_eq!(play.then("250 ok\r\n"), "RCPT TO:<a>\r\n");
    assert_eq!(play.then("250 ok\r\n"), "DATA\r\n");
    assert_eq!(play.after(3).then("354 go\r\n"), "Hello\r\n.\r\n");
    assert_eq!(play.after(3).then("250 one\r\n"), "", "one of two");
    assert_eq!(play.after(3).then("250 two\r\n"), "MAIL FROM:<>\r\n");
    assert_eq!(play.row("DATA"), (1, 0, 9));
    assert_eq!(play.entry(), (1, 0, 9));
}

#[test]
fn a_failed_lmtp_transaction_is_reset() {
    let mut play = Play::new(&delivery(1));
    play.connect().then("220 hello\r\n");
    play.then("250 OK\r\n");
    play.then("250 ok\r\n");
    assert_eq!(play.then("550 5.1.1 who\r\n"), "RSET\r\n");
    assert_eq!(play.then("250 ok\r\n"), "MAIL FROM:<>\r\n");
    play.then("250 ok\r\n");
    play.then("250 ok\r\n");
    play.then("354 go\r\n");
    assert_eq!(play.then("452 full\r\n"), "RSET\r\n");
    assert_eq!(play.entry(), (0, 2, 0));
    let errors = play.errors();
    assert_eq!(
        errors,
        [
            ("4xx", 1, "DATA → 452 full".into()),
            ("5xx", 1, "RCPT → 550 5.1.1 who".into())
        ]
    );
    play.then("250 ok\r\n");
    play.then("250 ok\r\n");
    assert_eq!(play.then("250 ok\r\n"), "DATA\r\n");
    assert_eq!(play.break_by("250 what\r\n").0, ErrorKind::Unexpected);
}
