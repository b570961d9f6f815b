use serde_json::{Value, json};

use super::*;

fn good() -> Value {
    json!({
        "protocol": "imap", "host": "127.0.0.1", "port": 143, "connections": 2, "seconds": 1.0,
        "users": [["anna", "secret"], ["berta", "pass"]],
        "login": [{"label": "LOGIN", "parts": [
            {"text": "LOGIN "}, {"user": true}, {"text": " "}, {"password": true}]}],
        "mix": [{"name": "noop", "commands": [{"label": "NOOP", "parts": [{"text": "NOOP"}]}]}],
    })
}

fn read(plan: &Value) -> Result<Plan, PlanError> {
    Plan::from_json(&plan.to_string(), Purpose::Load)
}

/// Return the good plan with one field (a JSON pointer) set or added.
fn with(place: &str, value: Value) -> Value {
    let mut plan = good();
    let (parent, key) = place.rsplit_once('/').unwrap();
    match plan.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        other => other[key] = value,
    }
    plan
}

#[test]
fn a_plan_is_read_with_its_defaults() {
    let plan = read(&good()).unwrap();
    assert_eq!(
        (plan.threads, plan.pipeline, plan.connects_at_once),
        (1, 1, 64)
    );
    assert_eq!((plan.answer, plan.warmup), (30 * SECOND, 0));
    assert_eq!(plan.server_name, "127.0.0.1");
    assert_eq!(plan.user(3).unwrap().name, "berta");
    assert_eq!(plan.user(0).unwrap().plain, "AGFubmEAc2VjcmV0");
    assert_eq!(plan.labels.all(), ["LOGIN", "NOOP", "CONNECT", "LOGOUT"]);
    let login = &plan.command(plan.login.start).unwrap().pieces;
    let text = |bytes: &[u8]| CommandPiece::Text(bytes.into());
    assert_eq!(
        **login,
        [
            text(b"LOGIN "),
            CommandPiece::User,
            text(b" "),
            CommandPiece::Password,
            text(b"\r\n")
        ]
    );
    let noop = plan.command(plan.mix[0].commands.start).unwrap();
    assert_eq!(*noop.pieces, [text(b"NOOP\r\n")]);
}

#[test]
fn an_error_names_the_field() {
    let command = json!([{"label": "X", "parts": [{"text": "X"}]}]);
    let cases = [
        ("/connections", json!(0), "connections: "),
        ("/connections", json!("many"), "connections: "),
        ("/threads", json!(257), "threads: "),
        ("/pipeline", json!(0), "pipeline: "),
        ("/seconds", json!(null), "seconds: "),
        ("/seconds", json!(-1.0), "seconds: "),
        ("/warmup_seconds", json!(-0.5), "warmup_seconds: "),
        ("/answer_seconds", json!(0), "answer_seconds: "),
        ("/rate", json!(0.0), "rate: "),
        ("/limit", json!(0), "limit: "),
        ("/tls", json!("ssl"), "tls: "),
        ("/ca", json!("/nowhere"), "ca: "),
        ("/sources", json!(["127.0.0.2", "here"]), "sources[1]: "),
        ("/messages", json!(["SGk=", "?"]), "messages[1]: "),
        ("/users/1", json!(["berta", "pa\r\nss"]), "users[1]: "),
        ("/users/1", json!(["berta"]), "users[1]"),
        ("/unheard_of", json!(1), "unheard_of: "),
        ("/mix", json!([]), "mix: "),
        ("/mix/0/weight", json!(0), "mix[0].weight: "),
        ("/mix/0/think_ms", json!([5, 1]), "mix[0].think_ms: "),
        ("/mix/0/commands", json!([]), "mix[0].commands: "),
        (
            "/mix/0/commands/0/label",
            json!(""),
            "mix[0].commands[0].label: ",
        ),
        (
            "/mix/0/commands/0/answer",
            json!("lmtp"),
            "mix[0].commands[0].answer: ",
        ),
        (
            "/mix/0/commands/0/hold_ms",
            json!("x"),
            "mix[0].commands[0].hold_ms: ",
        ),
        (
            "/mix/0/commands/0/parts",
            json!([]),
            "mix[0].commands[0].parts: ",
        ),
        (
            "/mix/0/commands/0/parts/0",
            json!({"text": "A\nB"}),
            "mix[0].commands[0].parts[0]: ",
        ),
        (
            "/mix/0/commands/0/parts/0",
            json!({"random": [2, 1]}),
            "mix[0].commands[0].parts[0]: ",
        ),
        (
            "/mix/0/commands/0/parts/0",
            json!({"random_range": 0}),
            "mix[0].commands[0].parts[0]: a range of no messages",
        ),
        (
            "/mix/0/commands/0/parts/0",
            json!({"user": false}),
            "mix[0].commands[0].parts[0]",
        ),
        (
            "/mix/0/commands/0/parts/0",
            json!({"nonsense": 1}),
            "mix[0].commands[0].parts[0]",
        ),
        (
            "/mix/0/commands/0/parts/0",
            json!({"message": "literal"}),
            "mix[0].commands[0].parts[0]: there are no messages",
        ),
        (
            "/mix/0/commands/0/parts/0",
            json!({"data": true}),
            "mix[0].commands[0].parts[0]: belongs",
        ),
        ("/users", json!([]), "login[0].parts[1]: there are no users"),
    ];
    for (place, value, expected) in cases {
        let error = read(&with(place, value.clone())).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{place} = {value}: {error}");
    }
    let mut plan = good();
    plan.as_object_mut().unwrap().remove("host");
    assert!(
        read(&plan)
            .unwrap_err()
            .to_string()
            .starts_with("missing field `host`")
    );
    assert!(Plan::from_json("{} x", Purpose::Load).is_err());
    let idle = |plan: &Value| Plan::from_json(&plan.to_string(), Purpose::Idle);
    assert!(idle(&good()).unwrap_err().to_string().starts_with("mix: "));
    assert!(idle(&with("/mix", json!([]))).is_ok());
    assert!(read(&with("/setup", command)).is_ok());
}

#[test]
fn lmtp_commands_are_recognised_by_their_verb() {
    let mut plan = good();
    plan["protocol"] = json!("lmtp");
    plan["login"] = json!([{"label": "LHLO", "parts": [{"text": "LHLO x"}]}]);
    plan["messages"] = json!(["LmEKLmI="]);
    let say = |text: &str| json!({"label": text, "parts": [{"text": text}]});
    let data = json!({"label": "DATA", "parts": [{"text": "data"}, {"data": true}]});
    plan["mix"] =
        json!([{"name": "m", "commands": [say("MAIL FROM:<>"), say("rcpt TO:<a>"), data]}]);
    let read = read(&plan).unwrap();
    let kinds: Vec<_> = read
        .commands
        .iter()
        .map(|command| command.completion)
        .collect();
    assert_eq!(
        kinds,
        [
            Completion::Reply,
            Completion::Mail,
            Completion::Rcpt,
            Completion::Data
        ]
    );
    assert_eq!(
        *read.commands[3].pieces,
        [
            CommandPiece::Text((*b"data\r\n").into()),
            CommandPiece::Data
        ]
    );
    assert_eq!(&*read.data[0], b"..a\n..b\r\n.\r\n");
    plan["mix"][0]["commands"][2] = say("DATA");
    let error = Plan::from_json(&plan.to_string(), Purpose::Load)
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("mix[0].commands[2].parts: "), "{error}");
}

#[test]
fn data_ends_with_a_dot_on_its_own_line() {
    assert_eq!(dot_stuffed(b""), b".\r\n");
    assert_eq!(dot_stuffed(b"a\r\n"), b"a\r\n.\r\n");
    assert_eq!(dot_stuffed(b"a\r\n.\r\n..b"), b"a\r\n..\r\n...b\r\n.\r\n");
}

#[test]
fn entries_are_picked_by_weight() {
    let mut plan = good();
    let entry = plan["mix"][0].clone();
    plan["mix"] = json!([entry, entry, entry]);
    plan["mix"][1]["weight"] = json!(2);
    let plan = read(&plan).unwrap();
    let picked: Vec<_> = [0.0, 0.2, 0.25, 0.74, 0.75, 0.999]
        .map(|unit| plan.pick(unit))
        .into();
    assert_eq!(picked, [0, 0, 1, 1, 2, 2]);
}
