//! Scanner: one pass over a message, in pieces of any size, with bounded memory.
//!
//! The message is read line by line. A line ends with LF; a CR before it belongs to the line end,
//! any other CR is ordinary. Of a line the scanner keeps as much as is needed to recognise a
//! delimiter, and of a header field at most [`FIELD_BYTES`]. Cost is linear in the size of the
//! message.
//!
//! Where MIME is silent or a message breaks its rules:
//!
//! * A header line that is not a field counts as a field without a name: also at the start, where
//!   some programs write a line of their own. A byte order mark at the start is such a field.
//! * A header without any field is no header: all of its lines are body. The `From ` line of mbox
//!   counts as a field here.
//! * A part without a valid Content-Type is text/plain in US-ASCII; in multipart/digest, a part
//!   without Content-Type is message/rfc822.
//! * A multipart without a usable boundary is text/plain.
//! * A multipart without any delimiter has one part, which is text/plain and all of its body.
//! * A delimiter belongs to the innermost multipart of that boundary, and closes all entities
//!   inside it. Entities still open at the end of the message end there.
//! * An embedded message is scanned as well, unless it is encoded. An encoded one is shown as
//!   application/octet-stream; SEARCH decodes it.
mod capture;
mod delimiters;
mod entities;
mod fields;

use super::limits::{BOUNDARY_BYTES, FIELD_BYTES};
use crate::message::header::values::{Budget, Headers};
use crate::message::metadata::build::{Capture, ScanResult, ScannedEntity, build};
use crate::message::metadata::field_table::FieldTable;
use crate::message::metadata::header_cache::HeaderCache;
use crate::message::metadata::render::EnvelopeBudget;
use entities::OpenEntity;
use fields::OpenHeader;
use std::collections::HashMap;

/// Bytes of a line that can be a delimiter: `--`, boundary, `--`.
const DELIMITER_BYTES: usize = BOUNDARY_BYTES + 4;

/// Complete line.
struct MessageLine<'a> {
    /// First bytes, without the line end.
    head: &'a [u8],
    /// Bytes, line end included.
    length: u64,
    /// Bytes of the line end: 2, 1, or 0 at the end of the message.
    end: u8,
    /// Only white space follows `head`.
    rest_is_blank: bool,
}

/// Line of which a part was fed.
#[derive(Default)]
struct PartialLine {
    head: Vec<u8>,
    length: u64,
    rest_is_blank: bool,
    last: u8,
}

/// Scans a message as it arrives; the result is its
/// [`MessageMetadata`](crate::message::MessageMetadata).
///
/// ```
/// use imapvm_core::message::{MessageMetadata, Scanner};
///
/// let mut scanner = Scanner::new();
/// scanner.feed(b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n");
/// scanner.feed(b"\r\nHello\r\n");
/// let stored = scanner.finish();
/// let metadata = MessageMetadata::open(&stored)?;
/// assert_eq!(metadata.subject(), "Grüße");
/// assert_eq!(metadata.preview(), "Hello");
/// # Ok::<(), imapvm_core::Corrupt>(())
/// ```
pub struct Scanner {
    /// Offset of the current line.
    offset: u64,
    /// Line ends before it.
    lines: u64,
    /// Bytes of the line end before it.
    previous_end: u8,
    partial: PartialLine,
    header: Option<OpenHeader>,
    entities: Vec<ScannedEntity>,
    /// Outermost first.
    open: Vec<OpenEntity>,
    /// Boundary → level of the open multipart.
    boundaries: HashMap<Vec<u8>, usize>,
    budget: Budget,
    all_fields: usize,
    envelopes: EnvelopeBudget,
    tables: Vec<FieldTable>,
    header_cache: HeaderCache,
    root: Option<Box<Headers>>,
    plain: Option<Capture>,
    html: Option<Capture>,
    /// Some while a body is captured; true for HTML.
    capturing: Option<bool>,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Scanner {
    /// Create a scanner.
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
            envelopes: EnvelopeBudget::default(),
            tables: Vec::new(),
            header_cache: HeaderCache::default(),
            root: None,
            plain: None,
            html: None,
            capturing: None,
        };
        scanner.begin_entity(0, 0, true);
        scanner
    }

    /// Feed the next bytes of the message.
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

    /// Finish the message; return its metadata as stored.
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

    /// Keep a part of an incomplete line.
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

    /// Process the held line, which is complete.
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

    /// Capacity of the buffers for the current line and header.
    #[cfg(test)]
    pub(crate) fn held_bytes(&self) -> usize {
        let header = self.header.as_ref();
        self.partial.head.capacity() + header.map_or(0, OpenHeader::held_bytes)
    }
}
