//! Mailbox of ten thousand messages in memory; the same in every run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use imapvm_core::Corrupt;
use imapvm_core::index::fetch::Source;
use imapvm_core::index::{Record, SEGMENT_RECORDS, append, uid_map};
use imapvm_core::message::Scanner;
use imapvm_core::numbers::UidMap;
use imapvm_core::wire::ast::system;

/// Number of messages in the index.
pub const MESSAGES: u32 = 10_000;
/// Number of messages with metadata, from the first, where metadata is read.
pub const WITH_METADATA: u32 = 1000;
/// Approximate size of a message.
const SIZE: usize = 4096;

const WORDS: [&str; 12] = [
    "archive", "boundary", "delivery", "envelope", "gateway", "header", "journal", "letter",
    "mailbox", "quota", "receipt", "segment",
];

/// Segments of the index, metadata of bodies, and the client's message numbers.
pub struct Mailbox {
    /// Segments, ascending.
    pub segments: Vec<Vec<u8>>,
    /// Metadata by body id.
    pub metadata: BTreeMap<u64, Vec<u8>>,
    /// Message numbers of the client.
    pub numbers: UidMap,
}

impl Mailbox {
    /// Create a mailbox with gaps in its UIDs; the first `messages` messages have metadata.
    pub fn new(messages: u32) -> Result<Self, String> {
        let records: Vec<Record> = (1..=MESSAGES).map(record).collect();
        let segments = records
            .chunks(SEGMENT_RECORDS)
            .map(|part| append(b"", part).map_err(|refused| format!("{refused:?}")))
            .collect::<Result<Vec<_>, _>>()?;
        let borrowed = segments.iter().map(|segment| Ok(segment.as_slice()));
        let numbers = uid_map(borrowed).map_err(|error| error.to_string())?;
        let metadata = (1..=messages).map(|n| (u64::from(n), metadata(&message(n))));
        Ok(Self {
            metadata: metadata.collect(),
            segments,
            numbers,
        })
    }

    /// Borrow the segments.
    pub fn borrowed(&self) -> impl Iterator<Item = &[u8]> {
        self.segments.iter().map(Vec::as_slice)
    }
}

/// Missing metadata: a bug of this program.
#[derive(Debug)]
pub struct Missing;

impl From<Corrupt> for Missing {
    fn from(_: Corrupt) -> Self {
        Self
    }
}

impl<'a> Source for &'a Mailbox {
    type Error = Missing;
    type Bytes = &'a [u8];

    fn keywords(&self, _: u32) -> Result<&'a [u8], Missing> {
        Ok(b"$Forwarded")
    }

    fn metadata(&self, body: u64) -> Result<&'a [u8], Missing> {
        self.metadata.get(&body).map(Vec::as_slice).ok_or(Missing)
    }
}

fn record(number: u32) -> Record {
    let flags = match number % 10 {
        0 | 1 => 0,
        2 => system::SEEN | system::ANSWERED,
        3 => system::SEEN | system::FLAGGED,
        _ => system::SEEN,
    };
    Record {
        uid: number + number / 50,
        size: 4096,
        flags,
        zone: 120,
        keyword_set: u32::from(number.is_multiple_of(20)),
        modseq: u64::from(number),
        date: 1_700_000_000 + i64::from(number) * 2460,
        saved: 1_700_000_000,
        body: u64::from(number),
        thread: u64::from(number / 3),
    }
}

/// Scan a message as on arrival; return its metadata.
pub fn metadata(message: &[u8]) -> Vec<u8> {
    let mut scanner = Scanner::new();
    for part in message.chunks(16_384) {
        scanner.feed(part);
    }
    scanner.finish()
}

/// Return a message with two alternatives.
pub fn message(number: u32) -> Vec<u8> {
    let subject: Vec<&str> = (0..5).map(|place| word(number, place)).collect();
    let mut text = format!(
        "Return-Path: <sender{sender}@example.org>\r\n\
         Received: from relay.example.org ([192.0.2.7])\r\n\tby mx.example.net with ESMTPS;\r\n\
         \tMon, 1 Jun 2026 10:00:00 +0200\r\n\
         From: \"Sender, {sender}\" <sender{sender}@example.org>\r\n\
         To: Reader <reader@example.net>, other@example.com\r\n\
         Cc: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= <copies@example.net>\r\n\
         Subject: Re: {subject} {number}\r\n\
         Date: Mon, 1 Jun 2026 10:{minute:02}:00 +0200\r\n\
         Message-ID: <{number}.hot@example.org>\r\nIn-Reply-To: <{before}.hot@example.org>\r\n\
         References: <1.hot@example.org> <{before}.hot@example.org>\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"b{number}\"\r\n\r\n",
        sender = number % 97,
        subject = subject.join(" "),
        minute = number % 60,
        before = number - 1,
    );
    for kind in ["plain", "html"] {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "--b{number}\r\nContent-Type: text/{kind}; charset=utf-8\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\r\n"
        );
        fill(&mut text, number, SIZE / 2);
    }
    let _ = write!(text, "--b{number}--\r\n");
    text.into_bytes()
}

/// Return a message in UTF-8 with many letters outside of ASCII.
pub fn eight_bit(number: u32) -> Vec<u8> {
    let mut text = String::from(
        "From: sender@example.org\r\nSubject: several scripts\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
    );
    while text.len() < SIZE - 700 {
        fill(&mut text, number, 1000);
        text.push_str("Schöne Grüße aus Zürich und auf die Äpfel vom Öhringer Hügel!\r\n");
        text.push_str("Добрый день, отправляю документ, который мы обсуждали вчера вечером.\r\n");
        text.push_str("昨日お話しした書類を送ります。よろしくお願いします。\r\n");
    }
    text.into_bytes()
}

/// Return a message with an attachment of one megabyte.
pub fn large() -> Vec<u8> {
    let line = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0\r\n";
    let mut text = String::from(
        "From: sender@example.org\r\nSubject: attached\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nIt is attached.\r\n--b\r\n\
         Content-Type: application/octet-stream; name=data\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n",
    );
    text.push_str(&line.repeat(1_000_000 / line.len()));
    text.push_str("--b--\r\n");
    text.into_bytes()
}

fn fill(text: &mut String, number: u32, bytes: usize) {
    let upto = text.len() + bytes - 700;
    let mut place = 0;
    while text.len() < upto {
        for _ in 0..8 {
            text.push_str(word(number, place));
            text.push(' ');
            place += 1;
        }
        text.push_str("\r\n");
    }
}

fn word(number: u32, place: u32) -> &'static str {
    let at = (number.wrapping_mul(2_654_435_761) >> 8).wrapping_add(place * 7) % 12;
    WORDS.get(at as usize).copied().unwrap_or("word")
}
