//! Known answers by RFC section, every one of them also cut at every octet.
mod hostile;
mod matching;
mod numbering;
mod oracle;
mod properties;
mod structures;

use super::checks;
use super::{Digest, Range};
use crate::wire::ast::SectionText;

/// CRLF for LF, so that messages can be written here as they look.
fn crlf(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

/// Scan, check what holds for every message, and cut at every octet.
fn scan(message: &[u8]) -> Vec<u8> {
    checks::index_stays_inside(message);
    let stored = checks::scan(message, message.len());
    for at in 0..message.len() {
        let mut scanner = super::Scanner::new();
        scanner.feed(&message[..at]);
        scanner.feed(&message[at..]);
        assert_eq!(scanner.finish(), stored, "cut at {at}");
    }
    checks::digest_does_not_depend_on_cuts(message, 1);
    stored
}

fn text(octets: &[u8]) -> &str {
    str::from_utf8(octets).unwrap()
}

/// `""`, `"HEADER"`, `"1.2"`, `"1.2.MIME"` …
fn locate(digest: &Digest<'_>, section: &str) -> Option<Range> {
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
    digest.locate(&part, &what)
}

fn section<'a>(digest: &Digest<'_>, message: &'a [u8], section: &str) -> Option<&'a str> {
    let range = locate(digest, section)?;
    Some(text(checks::slice(message, range)))
}
