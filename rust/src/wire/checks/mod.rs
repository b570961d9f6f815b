//! Invariants for any input of a client: bodies of fuzz targets and property tests.
#![allow(clippy::panic, clippy::expect_used, clippy::missing_panics_doc)] // a check panics

mod serialize;

use super::ast::SequenceSet;
use super::command::{Command, Event, Verb};
use super::dots::DotReader;
use super::limits::Limits;
use super::names;
use super::reader::Reader;
use super::writer::{self, ResponseWriter};

pub use serialize::written;

/// Bounds small enough to be met by what a fuzzer sends; the first byte chooses.
fn limits(choice: u8) -> Limits {
    let small = |bit: u8, small: usize, large: usize| if choice & bit == 0 { large } else { small };
    Limits {
        line: small(1, 30, 65_536),
        literal: small(2, 4, 65_536),
        command: small(4, 50, 262_144),
        append: small(8, 6, 65_536) as u64,
        nesting: small(16, 3, 64),
        items: small(32, 3, 8_192),
    }
}

/// Return the events of a reader that is fed in pieces. `choice` selects refusals.
fn events(limits: Limits, choice: u8, pieces: &[&[u8]]) -> Vec<Event> {
    let mut reader = Reader::new(limits);
    let mut events: Vec<Event> = Vec::new();
    let mut fed = 0;
    for piece in pieces {
        reader.feed(piece);
        fed += piece.len();
        while let Some(event) = reader.next() {
            answer(&mut reader, choice, &event);
            match (event, events.last_mut()) {
                (Event::AppendData(data), Some(Event::AppendData(before))) => before.extend(data),
                (event, _) => events.push(event),
            }
            assert!(
                reader.buffered() <= fed,
                "the reader holds more than it was given"
            );
        }
        assert!(!reader.is_undecided(), "each message was decided on");
    }
    events
}

/// Do what a server does on an event, so that every mode of the reader is reached.
fn answer(reader: &mut Reader, choice: u8, event: &Event) {
    match event {
        Event::AppendMessage(message) if message.too_big || choice & 64 != 0 => {
            reader.refuse_literal();
        }
        Event::AppendText(text) if text.too_big => reader.refuse_literal(),
        Event::AppendMessage(message) if message.catenate => {}
        Event::AppendMessage(_) | Event::AppendText(_) => {
            let accepted = reader.accept_literal();
            assert_eq!(
                accepted,
                Ok(()),
                "a message that is not too big may be accepted"
            );
        }
        Event::Command(Command { verb, .. }) => match verb {
            Verb::Authenticate { .. } => reader.expect_sasl(),
            Verb::Idle if choice & 128 != 0 => reader.refuse_idle(),
            _ => {}
        },
        _ => {}
    }
}

/// Events do not depend on where the bytes are cut.
///
/// The first byte chooses bounds and refusals, the second where to cut.
pub fn frames_rejoin(bytes: &[u8]) {
    let [choice, at, sent @ ..] = bytes else {
        return;
    };
    let (limits, choice) = (limits(*choice), *choice);
    let whole = events(limits, choice, &[sent]);
    let (head, tail) = sent.split_at(usize::from(*at).min(sent.len()));
    assert_eq!(events(limits, choice, &[head, tail]), whole, "cut at {at}");
    let single: Vec<&[u8]> = sent.chunks(1).collect();
    assert_eq!(events(limits, choice, &single), whole, "byte by byte");
    let bytes: usize = whole
        .iter()
        .map(|event| match event {
            Event::AppendData(data) => data.len(),
            _ => 0,
        })
        .sum();
    assert!(
        bytes <= sent.len(),
        "a message has bytes that were not sent"
    );
    for event in &whole {
        if let Event::Malformed(malformed) = event {
            let printable = malformed
                .message
                .bytes()
                .all(|byte| (b' '..=b'~').contains(&byte));
            assert!(printable, "{}", malformed.message);
        }
    }
}

/// A parsed command can be written, and parses to the same value.
pub fn commands_round_trip(bytes: &[u8]) {
    // Written out, a command may be longer, deeper and have more elements than as received.
    let roomy = Limits {
        line: usize::MAX,
        literal: usize::MAX,
        command: usize::MAX,
        append: Limits::default().append,
        nesting: 1_000,
        items: 1_000_000,
    };
    let first = events(Limits::default(), 0, &[bytes]);
    let mut append = None;
    for event in first {
        let (sent, expected) = match event {
            Event::Command(command)
                if matches!(command.verb, Verb::Append { .. } | Verb::Replace { .. }) =>
            {
                append = Some(command);
                continue;
            }
            Event::Command(command) => (written(&command, None), vec![Event::Command(command)]),
            Event::AppendMessage(message) => {
                let Some(append) = &append else {
                    panic!("a message without APPEND");
                };
                let sent = written(append, Some(&message));
                (
                    sent,
                    vec![
                        Event::Command(append.clone()),
                        Event::AppendMessage(message),
                    ],
                )
            }
            _ => continue,
        };
        let mut again = events(roomy, 0, &[&sent]);
        again.truncate(expected.len());
        assert_eq!(again, expected, "{}", String::from_utf8_lossy(&sent));
    }
}

/// A name that was read is written so that it is read the same, in both codings.
pub fn names_round_trip(bytes: &[u8]) {
    if let Some(name) = names::decode(bytes, false) {
        let coded = names::encode_utf7(&name);
        assert!(
            coded.iter().all(|byte| (b' '..=b'~').contains(byte)),
            "{name:?}"
        );
        // Lenient: `&` that nothing of an encoded character follows.
        let bare = |pair: &[u8]| matches!(pair, [b'&', next] if !next.is_ascii_alphanumeric() && !b"+,-".contains(next));
        if bytes.is_ascii() && !bytes.windows(2).any(bare) && !bytes.ends_with(b"&") {
            let inbox = name == names::INBOX || name.starts_with("INBOX/");
            let from = if inbox { names::INBOX.len() } else { 0 };
            assert_eq!(
                coded.get(from..),
                bytes.get(from..),
                "two codings of {name:?}"
            );
        }
    }
    for utf8 in [false, true] {
        let Some(name) = names::decode(bytes, utf8) else {
            continue;
        };
        let mut sent = b"a DELETE ".to_vec();
        sent.extend(names::encode(&name, utf8));
        sent.extend_from_slice(b"\r\n");
        let mut reader = Reader::new(Limits {
            line: usize::MAX,
            ..Limits::default()
        });
        reader.utf8 = utf8;
        reader.feed(&sent);
        let mut last = None;
        while let Some(event) = reader.next() {
            last = Some(event);
        }
        let mailbox = if utf8 {
            name.replace('\0', "\u{FFFD}")
        } else {
            name
        };
        if sent.len() <= reader.limits.literal {
            let command = Command {
                tag: b"a".to_vec(),
                verb: Verb::Delete { mailbox },
            };
            assert_eq!(last, Some(Event::Command(command)));
        }
    }
}

/// A set that was read is written so that it is read the same.
pub fn sets_round_trip(bytes: &[u8]) {
    if let Some(set) = SequenceSet::parse(bytes) {
        assert_eq!(SequenceSet::parse(&set.to_imap()), Some(set));
    }
}

/// Any text gives one response line, and any string one IMAP string.
pub fn answers_stay_lines(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut out = ResponseWriter::default();
    out.tagged(b"a", "NO", &text, Some(&text));
    out.condition(&text, &text, None);
    let answers = out.take();
    assert!(answers.ends_with(b"\r\n"));
    let ends = answers
        .iter()
        .filter(|byte| matches!(byte, b'\r' | b'\n'))
        .count();
    assert_eq!(ends, 4, "two answers are two lines");

    for utf8 in [false, true] {
        if bytes.contains(&0) || bytes.len() > Limits::default().literal {
            continue; // a client may not send it back
        }
        let mut sent = b"a LOGIN x ".to_vec();
        sent.extend(writer::string(bytes, utf8));
        sent.extend_from_slice(b"\r\n");
        let again = events(
            Limits {
                line: usize::MAX,
                ..Limits::default()
            },
            0,
            &[&sent],
        );
        let password = bytes.to_vec();
        let verb = Verb::Login {
            user: b"x".to_vec(),
            password,
        };
        assert_eq!(
            again.last(),
            Some(&Event::Command(Command {
                tag: b"a".to_vec(),
                verb
            }))
        );
    }
}

/// A message is found whole wherever it is cut, and never has more bytes than were sent.
pub fn dots_rejoin(bytes: &[u8]) {
    let mut whole = DotReader::default();
    let message = whole.feed(bytes);
    let mut cut = DotReader::default();
    let again: Vec<u8> = bytes.chunks(1).flat_map(|byte| cut.feed(byte)).collect();
    assert_eq!(
        (again, cut.done(), cut.tail()),
        (message.clone(), whole.done(), whole.tail())
    );
    assert!(message.len() + whole.tail().len() <= bytes.len());
}
