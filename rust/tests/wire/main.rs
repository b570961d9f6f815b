//! The command language from outside: bytes in, events out.
//!
//! Known answers stand in tables by RFC section; each is read whole, and cut at every byte.
#![allow(clippy::expect_used, clippy::indexing_slicing)] // a test may stop at once, its helpers too
#![allow(clippy::too_many_lines)] // a table is as long as what it covers

mod bounds;
mod commands;
mod disabled;
mod errors;
mod lenient;
mod literals;

use imapvm_core::wire::ast::SequenceSet;
use imapvm_core::wire::command::{Command, Event, Malformed, Verb};
use imapvm_core::wire::limits::Limits;
use imapvm_core::wire::reader::Reader;

/// Input of one client, and the events expected from it.
struct Case {
    /// RFC and section.
    section: &'static str,
    sent: Vec<u8>,
    events: Vec<Event>,
}

fn case(section: &'static str, sent: impl AsRef<[u8]>, events: Vec<Event>) -> Case {
    Case {
        section,
        sent: sent.as_ref().to_vec(),
        events,
    }
}

/// A line that is one command, and what it is.
fn line(section: &'static str, sent: impl AsRef<[u8]>, verb: Verb) -> Case {
    let mut bytes = b"a1 ".to_vec();
    bytes.extend_from_slice(sent.as_ref());
    bytes.extend_from_slice(b"\r\n");
    Case {
        section,
        sent: bytes,
        events: vec![command("a1", verb)],
    }
}

fn command(tag: &str, verb: Verb) -> Event {
    Event::Command(Command {
        tag: tag.into(),
        verb,
    })
}

fn malformed(tag: Option<&str>, name: Option<&'static str>, message: &str) -> Event {
    Event::Malformed(Malformed {
        tag: tag.map(|tag| tag.as_bytes().to_vec()),
        message: message.to_owned(),
        name,
        code: None,
        is_no: false,
        fatal: false,
    })
}

fn over(tag: &str, name: &'static str, code: &'static str, message: &str) -> Event {
    let Event::Malformed(base) = malformed(Some(tag), Some(name), message) else {
        unreachable!()
    };
    Event::Malformed(Malformed {
        code: Some(code),
        is_no: true,
        ..base
    })
}

fn fatal(tag: Option<&str>, name: Option<&'static str>, message: &str) -> Event {
    let Event::Malformed(base) = malformed(tag, name, message) else {
        unreachable!()
    };
    Event::Malformed(Malformed {
        fatal: true,
        ..base
    })
}

fn set(text: &str) -> SequenceSet {
    SequenceSet::parse(text.as_bytes()).expect("a set")
}

/// Feed the pieces and return the events. Messages of APPEND are accepted where possible, and
/// consecutive `AppendData` events are joined.
fn read(reader: &mut Reader, pieces: &[&[u8]]) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for piece in pieces {
        reader.feed(piece);
        while let Some(event) = reader.next() {
            match (event, events.last_mut()) {
                (Event::AppendData(data), Some(Event::AppendData(before))) => before.extend(data),
                (event, _) => {
                    let authenticate = matches!(
                        &event,
                        Event::Command(Command {
                            verb: Verb::Authenticate { .. },
                            ..
                        })
                    );
                    let too_big = match &event {
                        Event::AppendMessage(message) if message.catenate => None,
                        Event::AppendMessage(message) => Some(message.too_big),
                        Event::AppendText(text) => Some(text.too_big),
                        _ => None,
                    };
                    match too_big {
                        Some(true) => reader.refuse_literal(),
                        Some(false) => reader.accept_literal().expect("a literal waits"),
                        None => {}
                    }
                    events.push(event);
                    if authenticate {
                        reader.expect_sasl();
                    }
                }
            }
        }
    }
    events
}

fn read_with(limits: Limits, pieces: &[&[u8]]) -> Vec<Event> {
    read(&mut Reader::new(limits), pieces)
}

/// Each case whole, cut once at every byte, and byte by byte.
fn check(cases: &[Case], limits: Limits, utf8: bool) {
    for Case {
        section,
        sent,
        events,
    } in cases
    {
        let shown = String::from_utf8_lossy(sent);
        let again = |pieces: &[&[u8]]| {
            let mut reader = Reader::new(limits);
            reader.utf8 = utf8;
            read(&mut reader, pieces)
        };
        assert_eq!(&again(&[sent]), events, "{section}: {shown}");
        for at in 1..sent.len() {
            let cut = again(&[&sent[..at], &sent[at..]]);
            assert_eq!(&cut, events, "{section}: {shown} cut at {at}");
        }
        let bytes: Vec<&[u8]> = sent.chunks(1).collect();
        assert_eq!(&again(&bytes), events, "{section}: {shown} byte by byte");
    }
}

fn check_all(cases: &[Case]) {
    check(cases, Limits::default(), false);
}

impl Case {
    /// The line is no command after all.
    fn malformed(mut self, name: &'static str, message: &str) -> Self {
        self.events = vec![malformed(Some("a1"), Some(name), message)];
        self
    }
}
