//! Hot paths of the crate, one per argument, for counting instructions with
//! `bench/instructions.py`. Only code inside of [`measured`] is counted.

mod mailbox;

use std::collections::HashMap;
use std::hint::black_box;
use std::process::ExitCode;

use imapvm_core::index::fetch::{Request, render};
use imapvm_core::index::search::{Answers, BoundSearch, Decision, SearchContext, Tolerance};
use imapvm_core::index::{FlagChange, StoreResult, store, uid_map};
use imapvm_core::message::{Collation, MessageMetadata, Needle, Range, TextMatcher};
use imapvm_core::numbers::{UidMap, UidSet};
use imapvm_core::wire::ast::{FetchItem, SearchKey, system};
use imapvm_core::wire::command::{Event, StoreMode, Verb};
use imapvm_core::wire::limits::Limits;
use imapvm_core::wire::reader::Reader;

use mailbox::{Mailbox, WITH_METADATA, eight_bit, large, message, metadata};

type Outcome = Result<(), String>;
type Path = fn() -> Outcome;

/// Names and paths, in the order of the listing.
const PATHS: [(&str, Path); 13] = [
    ("commands", commands),
    ("scan-4kb", scan_small),
    ("scan-1mb", scan_large),
    ("fetch-flags", fetch_flags),
    ("fetch-envelope", fetch_envelope),
    ("fetch-bodystructure", fetch_bodystructure),
    ("fetch-header-fields", fetch_header_fields),
    ("search-unseen", search_unseen),
    ("search-subject", search_subject),
    ("search-body", search_body),
    ("store-flag", store_flag),
    ("uid-map-build", uid_map_build),
    ("uid-map-look-up", uid_map_look_up),
];

fn main() -> ExitCode {
    let Some(name) = std::env::args().nth(1) else {
        for (name, _) in PATHS {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    };
    let Some((_, path)) = PATHS.iter().find(|(known, _)| *known == name) else {
        eprintln!("there is no path {name}");
        return ExitCode::FAILURE;
    };
    match path() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Run the code that is counted. The function is found by its name, so it must not be inlined.
#[inline(never)]
fn measured<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

/// Common commands.
fn commands() -> Outcome {
    let lines = concat!(
        "a1 NOOP\r\n",
        "a2 LOGIN ada \"secret word\"\r\n",
        "a3 SELECT INBOX\r\n",
        "a4 UID FETCH 1:* (FLAGS)\r\n",
        "a5 UID FETCH 4711,4713:4720 (UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE FROM SUBJECT)])\r\n",
        "a6 UID STORE 4711 +FLAGS.SILENT (\\Seen $Forwarded)\r\n",
        "a7 UID SEARCH RETURN (MIN COUNT) UNSEEN SINCE 1-Jun-2026 NOT FROM \"list\"\r\n",
        "a8 LIST \"\" \"*\" RETURN (STATUS (MESSAGES UNSEEN) SPECIAL-USE)\r\n",
        "a9 STATUS \"Sent &AOQ- items\" (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)\r\n",
        "a10 UID COPY 1:10 Archive\r\n",
        "a11 FETCH 12 BODY.PEEK[1.2]<0.16384>\r\n",
        "a12 LOGIN {3+}\r\nada {6+}\r\nsecret\r\n",
    )
    .repeat(100);
    let mut reader = Reader::new(Limits::default());
    let understood = measured(|| {
        let mut understood = 0;
        for part in lines.as_bytes().chunks(1400) {
            reader.feed(part);
            while let Some(event) = reader.next() {
                understood += usize::from(matches!(event, Event::Command(_)));
                black_box(event);
            }
        }
        understood
    });
    expect(understood, 1200)
}

fn scan_small() -> Outcome {
    let messages: Vec<Vec<u8>> = (1..=50).map(message).collect();
    let metadata = measured(|| messages.iter().map(|one| metadata(one)).collect::<Vec<_>>());
    expect(metadata.len(), 50)
}

fn scan_large() -> Outcome {
    let message = large();
    let stored = measured(|| metadata(&message));
    let metadata = MessageMetadata::open(&stored).map_err(|error| error.to_string())?;
    expect(metadata.part_count(), 2)
}

fn fetch_flags() -> Outcome {
    fetch("UID FETCH 1:* (FLAGS)", None)
}

fn fetch_envelope() -> Outcome {
    fetch("FETCH 1:1000 (ENVELOPE)", Some(WITH_METADATA))
}

fn fetch_bodystructure() -> Outcome {
    fetch("FETCH 1:1000 (BODYSTRUCTURE)", Some(WITH_METADATA))
}

fn fetch_header_fields() -> Outcome {
    let fields = "BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)]";
    fetch(&format!("FETCH 1:1000 ({fields})"), Some(WITH_METADATA))
}

/// Render the responses to a FETCH of the first messages, or of all.
fn fetch(line: &str, first: Option<u32>) -> Outcome {
    let Verb::Fetch(fetch) = parsed(line)? else {
        return Err("it is not a FETCH".into());
    };
    let mailbox = Mailbox::new(first.unwrap_or(0))?;
    let wanted = match first {
        Some(count) => mailbox.numbers.at(&UidSet::run(1, count)),
        None => mailbox.numbers.uids().clone(),
    };
    let items: &[FetchItem] = &fetch.items;
    let request = Request {
        items,
        numbers: &mailbox.numbers,
        wanted: &wanted,
        recent: None,
        seen: None,
        id_bits: 0,
        flags_too: None,
        uid_fetch: false,
    };
    let pieces = measured(|| render(&request, mailbox.borrowed(), &&mailbox));
    let pieces = pieces.map_err(|error| format!("{error:?}"))?;
    expect(usize::from(!pieces.is_empty()), 1)
}

fn search_unseen() -> Outcome {
    search("SEARCH UNSEEN SINCE 1-Jan-2020", 0, 2000)
}

fn search_subject() -> Outcome {
    search("SEARCH 1:1000 SUBJECT \"zebra\"", WITH_METADATA, 0)
}

/// Search texts, half of them in ASCII.
fn search_body() -> Outcome {
    let messages = (1..=50).flat_map(|number| [message(number), eight_bit(number)]);
    let messages: Vec<_> = messages.map(|one| (metadata(&one), one)).collect();
    let collation = Collation::default();
    let needles = [Needle::new("zebra", collation, false)];
    let found = measured(|| {
        let found = messages.iter().map(|(stored, bytes)| {
            let metadata =
                MessageMetadata::open_lazily(stored).map_err(|error| error.to_string())?;
            let mut matcher = TextMatcher::new(&metadata, &needles, collation);
            while let Some(wanted) = matcher.wanted() {
                matcher.feed(slice(bytes, wanted).ok_or("it is too short")?);
            }
            Ok(usize::from(matcher.found(0)))
        });
        found.sum::<Result<usize, String>>()
    })?;
    expect(found, 0)
}

fn slice(bytes: &[u8], range: Range) -> Option<&[u8]> {
    let tail = bytes.get(usize::try_from(range.offset).ok()?..)?;
    tail.get(..usize::try_from(range.length).ok()?)
}

/// Search the index, and metadata where the index does not decide.
fn search(line: &str, metadata: u32, found: u32) -> Outcome {
    let Verb::Search {
        program: Some(key), ..
    } = parsed(line)?
    else {
        return Err("it is not a SEARCH".into());
    };
    let mailbox = Mailbox::new(metadata)?;
    let counted = measured(|| matching(&mailbox, &key))?;
    expect(counted as usize, found as usize)
}

fn matching(mailbox: &Mailbox, key: &SearchKey) -> Result<u32, String> {
    let none = UidSet::empty();
    let context = SearchContext {
        numbers: &mailbox.numbers,
        saved: &none,
        recent: &none,
        seen: None,
        id_bits: 0,
        keyword_sets: &HashMap::new(),
        now: 1_780_000_000,
        tolerance: Tolerance::Edits,
        collation: Collation::default(),
    };
    let bound = BoundSearch::new(key, &context);
    let scanned = bound
        .scan(
            mailbox.borrowed().map(Ok),
            bound.candidates(),
            &Answers::default(),
        )
        .map_err(|error| error.to_string())?;
    let mut found = scanned.found.len();
    for record in &scanned.undecided {
        let stored = mailbox.metadata.get(&record.body).ok_or("no metadata")?;
        let metadata = MessageMetadata::open_lazily(stored).map_err(|error| error.to_string())?;
        match bound.decide(record, &metadata) {
            Decision::Known(known) => found += u32::from(known),
            Decision::Text(_) => return Err("the metadata should decide".into()),
        }
    }
    Ok(found)
}

/// Set a flag on every third message, segment by segment.
fn store_flag() -> Outcome {
    let mailbox = Mailbox::new(0)?;
    let third: Vec<u32> = mailbox.numbers.uids().iter().step_by(3).collect();
    let uids = UidSet::of(third).map_err(|error| format!("{error:?}"))?;
    let changed = measured(|| {
        let change = FlagChange {
            mode: StoreMode::Add,
            flags: system::FLAGGED,
            modseq: 20_000,
        };
        let mut result = StoreResult::default();
        for segment in mailbox.borrowed() {
            black_box(store(segment, &uids, change, |_| None, &mut result))
                .map_err(|error| error.to_string())?;
        }
        Ok::<_, String>(result.changed.finish().len())
    })?;
    expect(usize::from(changed > 2500), 1)
}

fn uid_map_build() -> Outcome {
    let mailbox = Mailbox::new(0)?;
    let built =
        measured(|| uid_map(mailbox.borrowed().map(Ok))).map_err(|error| error.to_string())?;
    expect(built.len() as usize, mailbox::MESSAGES as usize)
}

/// Map numbers to UIDs and back, one at a time and in sets, and expunge some.
fn uid_map_look_up() -> Outcome {
    let mailbox = Mailbox::new(0)?;
    let map: &UidMap = &mailbox.numbers;
    let gone = map.at(&UidSet::run(100, 200));
    let agreed = measured(|| {
        let agreed = (1..=map.len())
            .filter(|number| map.uid(*number).and_then(|uid| map.number(uid)) == Some(*number))
            .count();
        let (fewer, expunged) = map.without(&gone);
        black_box((fewer.numbers(fewer.uids()), expunged));
        agreed
    });
    expect(agreed, mailbox::MESSAGES as usize)
}

/// Parse a command.
fn parsed(line: &str) -> Result<Verb, String> {
    let mut reader = Reader::new(Limits::default());
    reader.feed(format!("a {line}\r\n").as_bytes());
    match reader.next() {
        Some(Event::Command(command)) => Ok(command.verb),
        other => Err(format!("{line} is understood as {other:?}")),
    }
}

/// Compare a result with the expected one, so that a broken path is not counted.
fn expect(is: usize, should_be: usize) -> Outcome {
    if is == should_be {
        return Ok(());
    }
    Err(format!("{is} instead of {should_be}"))
}
