mod lmtp;
mod opening;

use serde_json::{Value, json};

use super::*;
use crate::limits::{BACKOFF_FIRST_NS, IDLE_RESTART_NS, MS, SECOND};

/// A session with a scripted server and clock.
struct Harness {
    plan: Plan,
    state: ThreadState,
    out: Output,
    session: Session,
    now: u64,
}

impl Harness {
    fn is_exhausted(&self, connections: usize) -> bool {
        let state = &self.state;
        state.scheduler.is_exhausted(&state.shared, connections)
    }

    fn new(plan: &Value) -> Self {
        let purpose = if plan["mix"] == json!([]) {
            Purpose::Idle
        } else {
            Purpose::Load
        };
        let plan = Plan::from_json(&plan.to_string(), purpose).unwrap();
        let shared = Arc::new(SharedStats::new(&plan, 1));
        let mut counts = ThreadStats::new(&plan, Arc::clone(&shared), 1);
        counts.begin_measuring(1);
        let mut scheduler = Scheduler::new(&plan);
        scheduler.is_running = true;
        scheduler.is_limited = true;
        let state = ThreadState {
            stats: counts,
            scheduler,
            timers: Timers::default(),
            arrivals: Vec::new(),
            shared,
            purpose,
            entries_active: 0,
            is_draining: false,
        };
        let session = Session::new(&plan, 0);
        Self {
            plan,
            state,
            out: Output::default(),
            session,
            now: SECOND,
        }
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut Session, &mut Context<'_>) -> T) -> T {
        let Self {
            plan,
            state,
            out,
            session,
            now,
        } = self;
        act(
            session,
            &mut Context {
                plan,
                state,
                out,
                now: *now,
            },
        )
    }

    fn after(&mut self, milliseconds: u64) -> &mut Self {
        self.now += milliseconds * MS;
        self
    }

    /// Connect.
    fn connect(&mut self) -> &mut Self {
        self.act(Session::connect);
        assert_eq!(self.session.take_action(), Action::Connect);
        let now = self.now;
        self.session.connected(now);
        self
    }

    fn try_receive(&mut self, text: &str) -> Result<(), ConnectionError> {
        self.act(|session, ctx| session.receive(text.as_bytes(), ctx))
    }

    fn receive(&mut self, text: &str) -> &mut Self {
        self.try_receive(text).unwrap();
        self
    }

    /// Write and return the output since the last call.
    fn output(&mut self) -> String {
        self.session.stamp(self.now);
        let mut output = Vec::new();
        while !self.out.is_empty() {
            output.extend_from_slice(self.out.first());
            self.out.advance(self.out.first().len());
        }
        String::from_utf8(output).unwrap()
    }

    /// Receive `text` and return the output.
    fn exchange(&mut self, text: &str) -> String {
        self.receive(text).output()
    }

    /// Receive `text` that breaks the connection; return kind, example and `is_final`.
    fn fail_on(&mut self, text: &str) -> (ErrorKind, String, bool) {
        let why = self.try_receive(text).unwrap_err();
        self.act(|session, ctx| session.connection_lost(&why, ctx));
        (why.kind, why.example, why.is_final)
    }

    /// Jump to the next timer and run it.
    fn wake(&mut self) -> &mut Self {
        self.now = self.state.timers.next().unwrap();
        let (at, _) = self.state.timers.take_due(self.now).unwrap();
        self.act(|session, ctx| session.wake(at, ctx));
        self
    }

    /// Return (answers, errors, milliseconds of the slowest) of a label.
    fn row(&self, label: &str) -> (u64, u64, u64) {
        let number = self
            .plan
            .labels
            .all()
            .iter()
            .position(|name| name == label)
            .unwrap();
        let (measured, setup) = (
            &self.state.stats.labels[number],
            &self.state.stats.setup[number],
        );
        summary(if measured.is_empty() { setup } else { measured })
    }

    fn entry(&self) -> (u64, u64, u64) {
        summary(&self.state.stats.entries[0])
    }

    fn errors(&mut self) -> Vec<(&'static str, u64, String)> {
        self.state.stats.publish();
        let counts = self.state.shared.counts();
        let errors = counts.errors.seen();
        errors
            .map(|(kind, seen)| (kind.name(), seen.count, seen.example.clone().unwrap()))
            .collect()
    }
}

fn summary(row: &crate::stats::LabelStats) -> (u64, u64, u64) {
    let histogram = row.histogram.as_ref();
    let slowest = histogram.map_or(0, |histogram| (histogram.max() + 500) / 1_000);
    (
        histogram.map_or(0, |histogram| histogram.len()),
        row.errors,
        slowest,
    )
}

fn cmd(text: &str) -> Value {
    json!({"label": text.split(' ').next().unwrap(), "parts": [{"text": text}]})
}

fn plan(commands: &[Value]) -> Value {
    json!({
        "protocol": "imap", "host": "127.0.0.1", "port": 1, "connections": 1, "seconds": 10,
        "users": [["anna", "secret"]], "messages": ["SGVsbG8NCg=="],
        "login": [{"label": "LOGIN", "parts": [{"text": "LOGIN "}, {"user": true}, {"text": " "}, {"password": true}]}],
        "setup": [cmd("SELECT INBOX")],
        "mix": [{"name": "entry", "commands": commands}],
    })
}

fn lmtp(commands: &[Value]) -> Value {
    let mut plan = plan(commands);
    plan["protocol"] = json!("lmtp");
    plan["login"] = json!([cmd("LHLO me")]);
    plan["setup"] = json!([]);
    plan
}

fn running(plan: &Value) -> Harness {
    let mut harness = Harness::new(plan);
    harness.connect();
    assert_eq!(
        harness.exchange("* OK hello\r\n"),
        "T1 LOGIN anna secret\r\n"
    );
    assert_eq!(harness.exchange("T1 OK\r\n"), "T2 SELECT INBOX\r\n");
    harness
}

const SELECTED: &str = "* 23 EXISTS\r\nT2 OK\r\n";

#[test]
fn a_connection_logs_in_is_set_up_and_works_through_its_entries() {
    let mut harness = running(&plan(&[cmd("NOOP"), cmd("CHECK")]));
    assert_eq!(harness.after(5).exchange(SELECTED), "T3 NOOP\r\n");
    assert_eq!(
        harness
            .state
            .shared
            .open
            .load(std::sync::atomic::Ordering::Relaxed),
        1
    );
    assert_eq!(harness.after(2).exchange("T3 OK\r\n"), "T4 CHECK\r\n");
    assert_eq!(harness.after(3).exchange("T4 OK\r\n"), "T5 NOOP\r\n");
    assert_eq!(harness.row("SELECT"), (1, 0, 5));
    assert_eq!(harness.row("CONNECT"), (1, 0, 0));
    assert_eq!(
        (harness.row("NOOP"), harness.row("CHECK")),
        ((1, 0, 2), (1, 0, 3))
    );
    assert_eq!(harness.entry(), (1, 0, 5));
}

#[test]
fn output_does_not_depend_on_how_responses_are_cut() {
    let fetch = json!({"label": "FETCH", "parts": [{"text": "FETCH "}, {"exists": true}, {"text": " BODY[]"}]});
    let completion = [
        "* OK hello\r\n",
        "T1 OK\r\n",
        SELECTED,
        "* 23 FETCH (BODY[] {9}\r\nT3 OK x\r\n)\r\nT3 OK done {3}\r\n",
        "* 24 EXISTS\r\nT4 OK\r\n",
    ];
    let expected = "T1 LOGIN anna secret\r\nT2 SELECT INBOX\r\nT3 FETCH 23 BODY[]\r\nT4 FETCH 23 BODY[]\r\nT5 FETCH 24 BODY[]\r\n";
    let bytes = (completion[3].len() + completion[4].len()) as u64;
    for step in 1..30 {
        let mut harness = Harness::new(&plan(std::slice::from_ref(&fetch)));
        harness.connect();
        let mut output = String::new();
        for answer in completion {
            for piece in answer.as_bytes().chunks(step) {
                output += &harness.exchange(std::str::from_utf8(piece).unwrap());
            }
        }
        assert_eq!(output, expected, "{step}");
        assert_eq!(harness.state.stats.labels[2].bytes_in, bytes, "{step}");
    }
}

#[test]
fn a_pipeline_is_kept_full_and_answers_may_come_in_any_order() {
    let mut plan = plan(&[cmd("A"), cmd("B")]);
    plan["pipeline"] = json!(3);
    let mut harness = running(&plan);
    assert_eq!(harness.exchange(SELECTED), "T3 A\r\nT4 B\r\nT5 A\r\n");
    assert_eq!(harness.after(1).exchange("T4 OK\r\n"), "T6 B\r\n");
    assert_eq!(
        harness.entry(),
        (0, 0, 0),
        "its first command is not answered"
    );
    assert_eq!(
        harness.after(1).exchange("T5 OK\r\nT3 OK\r\nT6 OK\r\n"),
        "T7 A\r\nT8 B\r\nT9 A\r\n"
    );
    assert_eq!(harness.entry(), (2, 0, 2));
    assert_eq!((harness.row("A"), harness.row("B")), ((2, 0, 2), (2, 0, 1)));
}

#[test]
fn after_a_no_the_rest_of_the_entry_is_not_sent() {
    let mut create = cmd("CREATE x");
    create["may_fail"] = json!(true);
    let mut harness = running(&plan(&[create, cmd("A"), cmd("B")]));
    assert_eq!(harness.exchange(SELECTED), "T3 CREATE x\r\n");
    assert_eq!(
        harness.exchange("T3 NO [ALREADYEXISTS] it is\r\n"),
        "T4 A\r\n"
    );
    assert_eq!(harness.exchange("T4 NO [LIMIT] why\r\n"), "T5 CREATE x\r\n");
    assert_eq!(
        harness.exchange("* BAD line\r\nT5 BAD what\r\n"),
        "T6 CREATE x\r\n"
    );
    assert_eq!(harness.entry(), (0, 2, 0));
    assert_eq!(
        (harness.row("CREATE"), harness.row("A")),
        ((1, 1, 0), (0, 1, 0))
    );
    let output = harness.errors();
    assert_eq!(
        output,
        [
            ("NO", 1, "A → NO [LIMIT] why".into()),
            ("BAD", 2, "CREATE → * BAD line".into())
        ]
    );
}

#[test]
fn a_synchronizing_literal_waits_for_the_server() {
    let append = |form: &str| json!({"label": form, "parts": [{"text": "APPEND x "}, {"message": form}, {"text": " Y"}]});
    let mut plan = plan(&[append("literal"), append("literal+")]);
    plan["pipeline"] = json!(2);
    let mut harness = running(&plan);
    assert_eq!(
        harness.exchange(SELECTED),
        "T3 APPEND x {7}\r\n",
        "nothing may be sent meanwhile"
    );
    assert_eq!(
        harness.after(4).exchange("+ go\r\n"),
        "Hello\r\n Y\r\nT4 APPEND x {7+}\r\nHello\r\n Y\r\n"
    );
    assert_eq!(
        harness.after(4).exchange("T3 OK\r\nT4 OK\r\n"),
        "T5 APPEND x {7}\r\n"
    );
    assert_eq!(harness.row("literal"), (1, 0, 8));
    // Refused before the literal: it is not sent.
    assert_eq!(
        harness.exchange("T5 NO [OVERQUOTA]\r\n"),
        "T6 APPEND x {7}\r\n"
    );
    let broken = harness.fail_on("T6 OK what?\r\n");
    assert_eq!(
        broken,
        (ErrorKind::Unexpected, "OK what? before +".into(), false)
    );
}

#[test]
fn idle_is_held_and_the_hold_is_not_latency() {
    let idle =
        json!({"label": "IDLE", "answer": "idle", "hold_ms": 500, "parts": [{"text": "IDLE"}]});
    let mut harness = running(&plan(&[idle]));
    assert_eq!(harness.exchange(SELECTED), "T3 IDLE\r\n");
    assert_eq!(harness.after(2).exchange("+ idling\r\n"), "");
    assert_eq!(
        harness.session.waits_since(),
        None,
        "an idle connection owes nothing"
    );
    let before = harness.now;
    assert_eq!(harness.after(100).exchange("* 24 EXISTS\r\n"), "");
    assert_eq!(harness.wake().output(), "DONE\r\n");
    assert_eq!(harness.now - before, 500 * MS);
    assert_eq!(harness.session.waits_since(), Some(harness.now));
    assert_eq!(harness.after(3).exchange("T3 OK\r\n"), "T4 IDLE\r\n");
    assert_eq!(harness.row("IDLE"), (1, 0, 5));
    // Draining ends IDLE at once.
    harness.receive("+ idling\r\n");
    harness.state.is_draining = true;
    harness.act(Session::drain);
    assert_eq!(harness.output(), "DONE\r\n");
    assert_eq!(harness.exchange("T4 OK\r\n"), "", "nothing new");
    assert!(harness.session.is_quiet());
}

#[test]
fn think_time_is_waited_before_an_entry() {
    let mut plan = plan(&[cmd("NOOP")]);
    plan["mix"][0]["think_ms"] = json!([100, 200]);
    let mut harness = running(&plan);
    let start = harness.now;
    assert_eq!(harness.exchange(SELECTED), "");
    assert_eq!(harness.wake().output(), "T3 NOOP\r\n");
    assert!(
        harness.now - start <= 200 * MS,
        "the first one may be short"
    );
    for tag in 3..20 {
        let start = harness.now;
        assert_eq!(harness.exchange(&format!("T{tag} OK\r\n")), "");
        assert_eq!(harness.wake().output(), format!("T{} NOOP\r\n", tag + 1));
        assert!((100 * MS..=200 * MS).contains(&(harness.now - start)));
    }
    assert_eq!(harness.entry(), (17, 0, 0));
}

#[test]
fn in_an_open_loop_latency_counts_from_when_an_entry_was_due() {
    let mut plan = plan(&[cmd("A"), cmd("B")]);
    plan["rate"] = json!(10);
    let mut harness = running(&plan);
    assert_eq!(harness.exchange(SELECTED), "", "nothing is due yet");
    assert_eq!(harness.state.scheduler.free, [0]);
    harness.state.scheduler.free.clear();
    let due = harness.now;
    harness.after(30);
    assert!(harness.act(|session, ctx| session.begin_due(due, ctx)));
    assert_eq!(harness.output(), "T3 A\r\n");
    assert!(
        !harness.act(|session, ctx| session.begin_due(due, ctx)),
        "it is busy"
    );
    assert!(harness.state.scheduler.enqueue(due + 10 * MS));
    assert_eq!(harness.after(10).exchange("T3 OK\r\n"), "T4 B\r\n");
    assert_eq!(
        harness.after(10).exchange("T4 OK\r\n"),
        "T5 A\r\n",
        "the entry from the backlog"
    );
    assert_eq!(
        (harness.row("A"), harness.row("B")),
        ((1, 0, 40), (1, 0, 10))
    );
    assert_eq!(harness.entry(), (1, 0, 50));
    harness.after(10).exchange("T5 OK\r\n");
    assert_eq!(harness.row("A"), (2, 0, 50));
}

#[test]
fn limits_stop_the_scheduler() {
    let mut plan = plan(&[cmd("NOOP")]);
    plan["limit"] = json!(2);
    let mut harness = running(&plan);
    assert_eq!(harness.exchange(SELECTED), "T3 NOOP\r\n");
    assert_eq!(harness.exchange("T3 OK\r\n"), "T4 NOOP\r\n");
    assert!(harness.is_exhausted(1));
    assert_eq!(
        (harness.exchange("T4 OK\r\n"), harness.state.entries_active),
        (String::new(), 0)
    );
    plan["limit"] = json!(null);
    plan["limit_each"] = json!(1);
    let mut harness = running(&plan);
    assert_eq!(harness.exchange(SELECTED), "T3 NOOP\r\n");
    assert_eq!(harness.exchange("T3 OK\r\n"), "");
    assert!(harness.is_exhausted(1));
    assert!(!harness.is_exhausted(2), "another connection may go on");
}

#[test]
fn an_idle_connection_records_exists_and_restarts_idle() {
    let mut plan = plan(&[]);
    plan["mix"] = json!([]);
    let mut harness = running(&plan);
    assert_eq!(harness.exchange(SELECTED), "T3 IDLE\r\n");
    harness.receive("* 24 EXISTS\r\n");
    assert_eq!(harness.state.arrivals, [], "not idle yet");
    harness
        .receive("+ idling\r\n")
        .after(1)
        .receive("* 25 EXISTS\r\n* 1 EXPUNGE\r\n* 24 EXISTS\r\n");
    assert_eq!(
        harness.state.arrivals,
        [(0, harness.now, 25), (0, harness.now, 24)]
    );
    let start = harness.now;
    assert_eq!(harness.wake().output(), "DONE\r\n");
    assert_eq!(harness.now - start, IDLE_RESTART_NS - MS);
    assert_eq!(harness.exchange("T3 OK\r\n"), "T4 IDLE\r\n");
    assert_eq!(
        harness
            .state
            .shared
            .open
            .load(std::sync::atomic::Ordering::Relaxed),
        1
    );
    harness.receive("+ idling\r\n");
    harness.fail_on("* BYE\r\n");
    assert_eq!(harness.session.stage(), Stage::GivenUp);
}
