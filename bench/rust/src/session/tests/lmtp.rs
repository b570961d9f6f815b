use serde_json::json;

use super::*;

fn delivery(recipients: usize) -> Value {
    let data = json!({"label": "DATA", "parts": [{"text": "DATA"}, {"data": true}]});
    let mut commands = vec![cmd("MAIL FROM:<>")];
    commands.extend((0..recipients).map(|_| cmd("RCPT TO:<a>")));
    commands.push(data);
    lmtp(&commands)
}

#[test]
fn lmtp_data_is_answered_once_for_each_recipient() {
    let mut harness = Harness::new(&delivery(2));
    assert_eq!(harness.connect().exchange("220 hello\r\n"), "LHLO me\r\n");
    assert_eq!(
        harness.exchange("250-SIZE\r\n250 OK\r\n"),
        "MAIL FROM:<>\r\n"
    );
    assert_eq!(harness.exchange("250 ok\r\n"), "RCPT TO:<a>\r\n");
    assert_eq!(harness.exchange("250 ok\r\n"), "RCPT TO:<a>\r\n");
    assert_eq!(harness.exchange("250 ok\r\n"), "DATA\r\n");
    assert_eq!(harness.after(3).exchange("354 go\r\n"), "Hello\r\n.\r\n");
    assert_eq!(harness.after(3).exchange("250 one\r\n"), "", "one of two");
    assert_eq!(harness.after(3).exchange("250 two\r\n"), "MAIL FROM:<>\r\n");
    assert_eq!(harness.row("DATA"), (1, 0, 9));
    assert_eq!(harness.entry(), (1, 0, 9));
}

#[test]
fn a_failed_lmtp_transaction_is_reset() {
    let mut harness = Harness::new(&delivery(1));
    harness.connect().exchange("220 hello\r\n");
    harness.exchange("250 OK\r\n");
    harness.exchange("250 ok\r\n");
    assert_eq!(harness.exchange("550 5.1.1 who\r\n"), "RSET\r\n");
    assert_eq!(harness.exchange("250 ok\r\n"), "MAIL FROM:<>\r\n");
    harness.exchange("250 ok\r\n");
    harness.exchange("250 ok\r\n");
    harness.exchange("354 go\r\n");
    assert_eq!(harness.exchange("452 full\r\n"), "RSET\r\n");
    assert_eq!(harness.entry(), (0, 2, 0));
    let errors = harness.errors();
    assert_eq!(
        errors,
        [
            ("4xx", 1, "DATA → 452 full".into()),
            ("5xx", 1, "RCPT → 550 5.1.1 who".into())
        ]
    );
    harness.exchange("250 ok\r\n");
    harness.exchange("250 ok\r\n");
    assert_eq!(harness.exchange("250 ok\r\n"), "DATA\r\n");
    assert_eq!(harness.fail_on("250 what\r\n").0, ErrorKind::Unexpected);
}
