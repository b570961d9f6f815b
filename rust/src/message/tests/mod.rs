//! Known answers by RFC section, each also with the message cut at every byte.
mod first_lines;
mod hostile;
mod matching;
mod numbering;
mod oracle;
mod properties;
mod structures;

use super::checks;
use super::{Collation, MessageMetadata, Range};
use crate::wire::ast::{Field, SectionText};

/// Replace LF by CRLF, so that messages are readable in the source.
fn crlf(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

/// Scan a message, check the properties of all messages, and cut it at every byte.
fn scan(message: &[u8]) -> Vec<u8> {
    checks::metadata_stays_inside_the_message(message);
    let stored = checks::scan(message, message.len());
    for at in 0..message.len() {
        let mut scanner = super::Scanner::new();
        scanner.feed(&message[..at]);
        scanner.feed(&message[at..]);
        assert_eq!(scanner.finish(), stored, "cut at {at}");
    }
    checks::metadata_does_not_depend_on_cuts(message, 1);
    stored
}

/// Return the text of a field as SEARCH compares it by i;octet, and whether it is complete.
fn search_text(metadata: &MessageMetadata<'_>, field: Field) -> (String, bool) {
    let mut text = Vec::new();
    let is_complete = metadata.search_text(field, Collation::Bytes, &mut text);
    (String::from_utf8(text).unwrap(), is_complete)
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

/// Locate a section such as `""`, `"HEADER"`, `"1.2"` or `"1.2.MIME"`.
fn locate(metadata: &MessageMetadata<'_>, section: &str) -> Option<Range> {
    let mut part = Vec::new();
    let mut what = SectionText::All;
    for piece in section.split('.').filter(|piece| !piece.is_empty()) {
        match piece {
            "HEADER" => what = SectionText::Header,
            "TEXT" => what = SectionText::Text,
            "MIME" => what = SectionText::Mime,
            number => part.push(number.parse().unwrap()),
        }
    }
    metadata.locate(&part, &what)
}

fn section<'a>(
    metadata: &MessageMetadata<'_>,
    message: &'a [u8],
    section: &str,
) -> Option<&'a str> {
    let range = locate(metadata, section)?;
    Some(text(checks::slice(message, range)))
}
