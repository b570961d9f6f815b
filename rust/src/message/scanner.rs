//! One pass over a message.
use super::digest::Learnt;
use super::fields::FieldTable;
use super::fold::fold;
use super::parts::{Entity, Kind};

/// Scans a message as it arrives.
#[derive(Default)]
pub struct Scanner {
    octets: Vec<u8>,
}

impl Scanner {
    /// A scanner before the first octet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next octets of the message, in any portions.
    pub fn feed(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    /// The message has ended: its digest, as stored.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let mut fields = FieldTable::default();
        let (mut header_length, mut empty_line) = (0, 0);
        let mut subject = String::new();
        let mut field: Vec<u8> = Vec::new();
        let mut flush = |field: &mut Vec<u8>| {
            if !field.is_empty() {
                let name = field
                    .split(|octet| *octet == b':')
                    .next()
                    .unwrap_or_default();
                if name.eq_ignore_ascii_case(b"subject") {
                    let value = field.get(8..).unwrap_or_default();
                    subject = String::from_utf8_lossy(value).trim().to_string();
                }
                fields.push(name, field.len() as u64);
                field.clear();
            }
        };
        for line in self.octets.split_inclusive(|octet| *octet == b'\n') {
            header_length += line.len();
            if matches!(line, b"\r\n" | b"\n") {
                empty_line = if line.len() == 2 { 2 } else { 1 };
                break;
            }
            if !line.starts_with(b" ") && !line.starts_with(b"\t") {
                flush(&mut field);
            }
            field.extend_from_slice(line);
        }
        flush(&mut field);
        let body = self.octets.get(header_length..).unwrap_or_default();
        let lines = memchr::memchr_iter(b'\n', body).count();
        let size = body.len();
        let structure = |end: &str| {
            format!(r#"("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" {size} {lines}{end})"#)
                .into_bytes()
        };
        let learnt = Learnt {
            size: self.octets.len() as u64,
            envelope: b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)".to_vec(),
            body: structure(""),
            bodystructure: structure(" NIL NIL NIL NIL"),
            folded: ["", "", "", "", &subject].map(|text| (fold(text), true)),
            subject,
            entities: vec![Entity {
                kind: Kind::Leaf,
                depth: 0,
                header: 0,
                header_length: header_length as u64,
                empty_line,
                body_length: size as u64,
                lines: lines as u64,
                media: "text",
                subtype: "plain",
                charset: "us-ascii",
                encoding: 0,
            }],
            fields: vec![fields],
            ..Learnt::default()
        };
        learnt.store()
    }
}
