//! One pass over a message, in any portions, with bounded memory.
//!
//! The message is read line by line; a line ends with LF, a CR before it belongs to the end. A CR
//! alone is a byte like others. Of a line no more is kept than tells whether it is a
//! delimiter, and of a header field no more than [`FIELD_BYTES`].
//!
//! Where MIME does not say, or a message does not keep to it:
//!
//! * A line in a header that is no field is a field without a name, and the header goes on. Where
//!   the very first line is none, there is no header (a `From ` line of mbox excepted).
//! * Without a Content-Type, or with one that cannot be read, a part is text/plain in US-ASCII; in
//!   multipart/digest without one it is message/rfc822.
//! * A multipart without a usable boundary is text/plain.
//! * A multipart in which no delimiter stands has one part, which is text/plain and all of it.
//! * A delimiter belongs to the innermost multipart of that boundary. It closes all that is open
//!   inside; what is still open in the end ends there.
//! * A message inside is looked into unless it is encoded.
mod capture;
mod delimiters;
mod entities;
mod fields;

use super::limits::{BOUNDARY_BYTES, FIELD_BYTES};
use crate::message::header::values::{Budget, Headers};
use crate::message::metadata::build::{Capture, ScanResult, ScannedEntity, build};
use crate::message::metadata::field_table::FieldTable;
use crate::message::metadata::header_cache::HeaderCache;
use entities::OpenEntity;
use fields::OpenHeader;
use std::collections::HashMap;

/// Bytes of a line that tell whether it is a delimiter: `--`, boundary, `--`.
const DELIMITER_BYTES: usize = BOUNDARY_BYTES + 4;

/// A line that is whole.
struct MessageLine<'a> {
    /// Its beginning, without the line end.
    head: &'a [u8],
    /// Bytes, with the line end.
    length: u64,
    /// Bytes of the line end: 2, 1, or 0 where the message ends without one.
    end: u8,
    /// There is nothing but white space behind `head`.
    rest_is_blank: bool,
}

/// A line of which only a part was fed.
#[derive(Default)]
struct PartialLine {
    head: Vec<u8>,
    length: u64,
    rest_is_blank: bool,
    last: u8,
}

/// Scans a message as it arrives and keeps what [`MessageMetadata`](crate::message::MessageMetadata) can be asked.
pub struct Scanner {
    /// Where the current line begins.
    offset: u64,
    /// Line ends before it.
    lines: u64,
    /// Bytes of the line end directly before it.
    previous_end: u8,
    partial: PartialLine,
    header: Option<OpenHeader>,
    entities: Vec<ScannedEntity>,
    /// Outermost first.
    open: Vec<OpenEntity>,
    /// Boundary → which open multipart.
    boundaries: HashMap<Vec<u8>, usize>,
    budget: Budget,
    all_fields: usize,
    tables: Vec<FieldTable>,
    header_cache: HeaderCache,
    root: Option<Box<Headers>>,
    plain: Option<Capture>,
    html: Option<Capture>,
    /// Entity whose body is being captured, and whether as HTML.
    capturing: Option<bool>,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Scanner {
    /// A scanner before the first byte.
    #[must_use]
    pub fn new() -> Self {
        let mut scanner = Self {
            offset: 0,
            lines: 0,
            previous_end: 0,
            partial: PartialLine::default(),
            header: None,
            entities: Vec::new(),
            open: Vec::new(),
            boundaries: HashMap::new(),
            budget: Budget::default(),
            all_fields: 0,
            tables: Vec::new(),
            header_cache: HeaderCache::default(),
            root: None,
            plain: None,
            html: None,
            capturing: None,
        };
        scanner.begin_entity(0, true);
        scanner
    }

    /// The next bytes of the message, in any portions.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let line = memchr::memchr(b'\n', rest).map(|at| at + 1);
            let (piece, after) = rest
                .split_at_checked(line.unwrap_or(rest.len()))
                .unwrap_or((rest, b""));
            rest = after;
            self.capture(piece);
            if line.is_none() || self.partial.length > 0 {
                self.hold(piece);
                if line.is_some() {
                    self.end_partial(true);
                }
                continue;
            }
            let end = if piece.ends_with(b"\r\n") { 2 } else { 1 };
            let text = piece.len() - usize::from(end);
            let head = piece.get(..text.min(FIELD_BYTES)).unwrap_or_default();
            let length = piece.len() as u64;
            self.line(&MessageLine {
                head,
                length,
                end,
                rest_is_blank: true,
            });
        }
    }

    /// The message has ended: its metadata, as stored.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        if self.partial.length > 0 {
            self.end_partial(false);
        }
        self.end_open_headers();
        self.close_down_to(0, self.offset, self.lines);
        let root = self.root.take().unwrap_or_default();
        let captures = [self.plain.take(), self.html.take()]
            .into_iter()
            .flatten()
            .collect();
        let message = ScanResult {
            size: self.offset,
            root: &root,
            entities: &self.entities,
            tables: self.tables,
            header_cache: &self.header_cache,
        };
        build(message, captures).store()
    }

    /// Keep a part of a line that is not whole.
    fn hold(&mut self, piece: &[u8]) {
        let partial = &mut self.partial;
        if partial.length == 0 {
            partial.rest_is_blank = true;
        }
        // Two bytes more: the line end is cut off later.
        let bound = 2 + if self.header.is_some() {
            FIELD_BYTES
        } else {
            DELIMITER_BYTES
        };
        let room = bound.saturating_sub(partial.head.len()).min(piece.len());
        let (kept, left) = piece.split_at_checked(room).unwrap_or((piece, b""));
        partial.head.extend_from_slice(kept);
        partial.rest_is_blank &= left.iter().all(u8::is_ascii_whitespace);
        partial.length += piece.len() as u64;
        if let [.., last, b'\n'] | [.., last] = piece
            && *last != b'\n'
        {
            partial.last = *last;
        }
    }

    /// The held line is whole.
    fn end_partial(&mut self, has_end: bool) {
        let partial = std::mem::take(&mut self.partial);
        let end = match (has_end, partial.last) {
            (false, _) => 0,
            (true, b'\r') => 2,
            (true, _) => 1,
        };
        let text = partial.length - u64::from(end);
        let kept = usize::try_from(text).unwrap_or(usize::MAX).min(FIELD_BYTES);
        let head = partial.head.get(..kept).unwrap_or(&partial.head);
        self.line(&MessageLine {
            head,
            length: partial.length,
            end,
            rest_is_blank: partial.rest_is_blank,
        });
    }

    fn line(&mut self, line: &MessageLine<'_>) {
        let is_delimiter = line.head.starts_with(b"--") && self.delimiter(line);
        if !is_delimiter && self.header.is_some() {
            self.header_line(line);
        }
        self.offset += line.length;
        self.lines += u64::from(line.end > 0);
        self.previous_end = line.end;
    }

    /// How much of the current line is kept.
    #[cfg(test)]
    pub(crate) fn held_bytes(&self) -> usize {
        self.partial.head.capacity()
    }
}
