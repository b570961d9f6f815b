//! Known answers by RFC section, and a comparison with a simple implementation of partial sections.
#![allow(clippy::cast_possible_truncation)] // these messages are short

mod announced;
mod items;
mod parts;
mod sections;

use std::collections::HashMap;

use super::*;
use crate::index::{Record, append};
use crate::message::Scanner;
use crate::wire::ast::{Partial, Section, SectionText};

/// Keyword sets and metadata for a test; a missing entry is an error, as in Python.
#[derive(Default)]
struct TestSource {
    keywords: HashMap<u32, Vec<u8>>,
    metadata: HashMap<u64, Vec<u8>>,
    messages: HashMap<u64, Vec<u8>>,
}

#[derive(Debug, PartialEq)]
enum SourceError {
    Corrupt(Corrupt),
    Missing,
}

impl From<Corrupt> for SourceError {
    fn from(corrupt: Corrupt) -> Self {
        Self::Corrupt(corrupt)
    }
}

impl Source for TestSource {
    type Error = SourceError;
    type Bytes = Vec<u8>;

    fn keywords(&self, set: u32) -> Result<Vec<u8>, SourceError> {
        self.keywords.get(&set).cloned().ok_or(SourceError::Missing)
    }

    fn metadata(&self, body: u64) -> Result<Vec<u8>, SourceError> {
        self.metadata
            .get(&body)
            .cloned()
            .ok_or(SourceError::Missing)
    }
}

impl TestSource {
    fn of(messages: &[(u64, &[u8])]) -> Self {
        let mut kept = Self::default();
        for (body, message) in messages {
            let mut scanner = Scanner::new();
            scanner.feed(message);
            kept.metadata.insert(*body, scanner.finish());
            kept.messages.insert(*body, message.to_vec());
        }
        kept
    }

    /// Return the response as the client receives it, with the bytes of bodies inserted.
    fn sent(&self, pieces: &[Piece]) -> String {
        let mut out = Vec::new();
        let mut was_text = false;
        for piece in pieces {
            match piece {
                Piece::Text { bytes: text, .. } => {
                    assert!(
                        !was_text && !text.is_empty(),
                        "adjacent texts are not joined"
                    );
                    out.extend_from_slice(text);
                }
                Piece::Body(slice) => {
                    assert!(slice.length > 0);
                    let from = slice.offset as usize;
                    out.extend_from_slice(
                        &self.messages[&slice.body][from..from + slice.length as usize],
                    );
                }
                Piece::Binary(slice) => out.extend_from_slice(format!("<{slice:?}>").as_bytes()),
            }
            was_text = matches!(piece, Piece::Text { .. });
        }
        String::from_utf8(out).unwrap()
    }
}

fn record(uid: u32) -> Record {
    Record {
        uid,
        size: 44_827,
        flags: system::SEEN,
        zone: -7 * 60,
        keyword_set: 0,
        modseq: 624_140_003,
        date: 837_596_665,
        saved: 0,
        body: u64::from(uid),
        thread: 0,
    }
}

/// Return the responses about all messages of a mailbox of which the client has counted all messages.
fn answers(
    items: &[FetchItem],
    records: &[Record],
    kept: &TestSource,
) -> Result<String, SourceError> {
    let segment = append(b"", records).unwrap();
    let uids = UidSet::of(records.iter().map(|record| record.uid).collect()).unwrap();
    let numbers = UidMap::new(uids.clone());
    let request = Request {
        items,
        numbers: &numbers,
        wanted: &uids,
        recent: None,
        seen: None,
        id_bits: 0,
        flags_too: None,
        uid_fetch: false,
    };
    Ok(kept.sent(&render(&request, [&*segment], kept)?))
}

fn body(part: &[u32], text: SectionText) -> FetchItem {
    FetchItem::Section {
        peek: true,
        section: Section {
            part: part.to_vec(),
            text,
        },
        partial: None,
    }
}

fn body_partial(text: SectionText, start: u64, count: u64) -> FetchItem {
    let section = Section { part: vec![], text };
    FetchItem::Section {
        peek: false,
        section,
        partial: Some(Partial { start, count }),
    }
}

fn fields(names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}
