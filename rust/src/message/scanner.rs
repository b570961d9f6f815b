//! One pass over a message, in any portions, with bounded memory.
//!
//! The message is read line by line; a line ends with LF, a CR before it belongs to the end. A CR
//! alone is an octet like others. Of a line no more is kept than tells whether it is a
//! delimiter, and of a header field no more than [`FIELD_OCTETS`].
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
use super::fields::FieldTable;
use super::headers::{Budget, Headers, Name};
use super::learn::learn;
use super::limits::{
    ALL_FIELDS, BOUNDARY_OCTETS, DEPTH, FIELD_OCTETS, FIELDS, PARTS, PREVIEW_OCTETS,
};
use super::mime::{self, ContentType};
use super::parts::Kind;
use super::render::{self, Description};
use std::collections::HashMap;

/// Octets of a line that tell whether it is a delimiter: `--`, boundary, `--`.
const DELIMITER_OCTETS: usize = BOUNDARY_OCTETS + 4;

/// An entity as far as it was read.
pub(crate) struct Entity {
    pub kind: Kind,
    pub depth: usize,
    pub header: u64,
    pub header_length: u64,
    pub empty_line: u8,
    pub body_length: u64,
    pub lines: u64,
    pub content: ContentType,
    pub charset: String,
    pub encoding: i8,
    pub description: Description,
    /// Of the message whose body this is.
    pub envelope: Vec<u8>,
}

/// An entity whose end was not yet seen.
struct Open {
    index: usize,
    kind: Kind,
    /// In `Scanner::boundaries`, while delimiters are looked for.
    boundary: Option<Vec<u8>>,
    /// Which open entity had the same boundary.
    shadowed: Option<usize>,
    is_digest: bool,
    has_children: bool,
    body: u64,
    lines_before: u64,
}

/// A header being read.
struct Header {
    index: usize,
    start: u64,
    values: Box<Headers>,
    /// Of a message, not of a part.
    table: Option<FieldTable>,
    is_first_line: bool,
    /// Past the bounds: the rest is one field without a name.
    is_full: bool,
    fields: usize,
    field: Field,
}

/// A field being read.
#[derive(Default)]
struct Field {
    name: Vec<u8>,
    wanted: Option<Name>,
    /// Behind the colon, without line ends.
    value: Vec<u8>,
    length: u64,
}

/// A line that is whole.
struct Line<'a> {
    /// Its beginning, without the line end.
    head: &'a [u8],
    /// Octets, with the line end.
    length: u64,
    /// Octets of the line end: 2, 1, or 0 where the message ends without one.
    end: u8,
    /// There is nothing but white space behind `head`.
    rest_is_blank: bool,
}

/// A line of which only a part was fed.
#[derive(Default)]
struct Partial {
    head: Vec<u8>,
    length: u64,
    rest_is_blank: bool,
    last: u8,
}

/// The beginning of the text part a preview can be made of.
pub(crate) struct Capture {
    pub index: usize,
    pub octets: Vec<u8>,
}

/// Scans a message as it arrives and keeps what [`Digest`](super::Digest) can be asked.
pub struct Scanner {
    /// Where the current line begins.
    offset: u64,
    /// Line ends before it.
    lines: u64,
    /// Octets of the line end directly before it.
    previous_end: u8,
    partial: Partial,
    header: Option<Header>,
    entities: Vec<Entity>,
    /// Outermost first.
    open: Vec<Open>,
    /// Boundary → which open multipart.
    boundaries: HashMap<Vec<u8>, usize>,
    budget: Budget,
    all_fields: usize,
    tables: Vec<FieldTable>,
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
    /// A scanner before the first octet.
    #[must_use]
    pub fn new() -> Self {
        let mut scanner = Self {
            offset: 0,
            lines: 0,
            previous_end: 0,
            partial: Partial::default(),
            header: None,
            entities: Vec::new(),
            open: Vec::new(),
            boundaries: HashMap::new(),
            budget: Budget::default(),
            all_fields: 0,
            tables: Vec::new(),
            root: None,
            plain: None,
            html: None,
            capturing: None,
        };
        scanner.begin_entity(0, true);
        scanner
    }

    /// The next octets of the message, in any portions.
    pub fn feed(&mut self, octets: &[u8]) {
        let mut rest = octets;
        while !rest.is_empty() {
            let line = memchr::memchr(b'\n', rest).map(|at| at + 1);
            let (piece, behind) = rest
                .split_at_checked(line.unwrap_or(rest.len()))
                .unwrap_or((rest, b""));
            rest = behind;
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
            let head = piece.get(..text.min(FIELD_OCTETS)).unwrap_or_default();
            let length = piece.len() as u64;
            self.line(&Line {
                head,
                length,
                end,
                rest_is_blank: true,
            });
        }
    }

    /// The message has ended: its digest, as stored.
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
        learn(self.offset, &root, &self.entities, self.tables, captures).store()
    }

    /// Keep a part of a line that is not whole.
    fn hold(&mut self, piece: &[u8]) {
        let partial = &mut self.partial;
        if partial.length == 0 {
            partial.rest_is_blank = true;
        }
        // Two octets more: the line end is cut off later.
        let bound = 2 + if self.header.is_some() {
            FIELD_OCTETS
        } else {
            DELIMITER_OCTETS
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
        let kept = usize::try_from(text)
            .unwrap_or(usize::MAX)
            .min(FIELD_OCTETS);
        let head = partial.head.get(..kept).unwrap_or(&partial.head);
        self.line(&Line {
            head,
            length: partial.length,
            end,
            rest_is_blank: partial.rest_is_blank,
        });
    }

    fn line(&mut self, line: &Line<'_>) {
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
    pub(crate) fn held_octets(&self) -> usize {
        self.partial.head.capacity()
    }

    // --- delimiters

    /// ```abnf
    /// delimiter       = CRLF dash-boundary
    /// close-delimiter = delimiter "--"          ; and white space behind either
    /// ```
    /// True if the line is one (RFC 2046 section 5.1.1).
    fn delimiter(&mut self, line: &Line<'_>) -> bool {
        let is_short = line.length <= FIELD_OCTETS as u64;
        if self.boundaries.is_empty() || !is_short || !line.rest_is_blank {
            return false;
        }
        let text = line.head.trim_ascii_end();
        let Some(name) = text.get(2..) else {
            return false;
        };
        let (level, closes) = if let Some(level) = self.boundaries.get(name) {
            (*level, false)
        } else if let Some(level) = name
            .strip_suffix(b"--")
            .and_then(|name| self.boundaries.get(name))
        {
            (*level, true)
        } else {
            return false;
        };
        if !closes && (self.entities.len() >= PARTS || self.budget.is_spent()) {
            self.boundaries.clear(); // the rest is the last part's
            return false;
        }
        self.end_open_headers();
        // The line end before a delimiter belongs to it, unless it ends a header.
        let in_body = self.open.last().is_some_and(|open| open.body < self.offset);
        let cut = if in_body { self.previous_end } else { 0 };
        let end = self.offset - u64::from(cut);
        let lines = self.lines - u64::from(cut > 0);
        self.close_down_to(level + 1, end, lines);
        if closes {
            self.stop_looking(level);
        } else {
            self.begin_entity(self.offset + line.length, false);
        }
        true
    }

    /// End all that is open deeper than the first `keep` levels.
    fn close_down_to(&mut self, keep: usize, end: u64, lines: u64) {
        while self.open.len() > keep {
            let level = self.open.len() - 1;
            self.stop_looking(level);
            let Some(open) = self.open.pop() else { break };
            let body_length = end - open.body;
            let body_lines = lines - open.lines_before;
            if open.kind == Kind::Multipart && !open.has_children {
                // The grammar wants a part, and people want to see what is there.
                self.entities.push(Entity {
                    kind: Kind::Leaf,
                    depth: level + 1,
                    header: open.body,
                    header_length: 0,
                    empty_line: 0,
                    body_length,
                    lines: body_lines,
                    charset: ContentType::plain().charset(),
                    description: Description::new(
                        Kind::Leaf,
                        &ContentType::plain(),
                        b"7BIT",
                        &Headers::default(),
                    ),
                    content: ContentType::plain(),
                    encoding: 0,
                    envelope: Vec::new(),
                });
            }
            if let Some(entity) = self.entities.get_mut(open.index) {
                entity.body_length = body_length;
                entity.lines = body_lines;
            }
            self.end_capture(open.index, body_length);
        }
    }

    /// No line delimits the parts of that multipart any more.
    fn stop_looking(&mut self, level: usize) {
        let Some(open) = self.open.get_mut(level) else {
            return;
        };
        if let Some(boundary) = open.boundary.take() {
            match open.shadowed {
                Some(outer) if self.boundaries.contains_key(&boundary) => {
                    self.boundaries.insert(boundary, outer);
                }
                _ => {
                    self.boundaries.remove(&boundary);
                }
            }
        }
    }

    // --- entities

    fn begin_entity(&mut self, start: u64, is_message: bool) {
        if let Some(parent) = self.open.last_mut() {
            parent.has_children = true;
        }
        let index = self.entities.len();
        self.entities.push(Entity {
            kind: Kind::Leaf,
            depth: self.open.len(),
            header: start,
            header_length: 0,
            empty_line: 0,
            body_length: 0,
            lines: 0,
            content: ContentType::new("", ""),
            charset: String::new(),
            encoding: 0,
            description: Description::default(),
            envelope: Vec::new(),
        });
        self.header = Some(Header {
            index,
            start,
            values: Box::default(),
            table: is_message.then(FieldTable::default),
            is_first_line: true,
            is_full: false,
            fields: 0,
            field: Field::default(),
        });
    }

    /// The header ends; its entity's body begins at `body`.
    fn end_header(&mut self, body: u64, empty_line: u8) {
        self.end_field();
        let Some(header) = self.header.take() else {
            return;
        };
        let Header {
            index,
            start,
            values,
            table,
            ..
        } = header;
        let (content, encoding_name, encoding) = self.content(&values);
        let room =
            self.open.len() < DEPTH && self.entities.len() < PARTS && !self.budget.is_spent();
        let (kind, content, boundary) = classify(content, encoding, room);
        let encoding = if kind == Kind::Multipart { 0 } else { encoding };
        let description = Description::new(kind, &content, &encoding_name, &values);
        let lines_before = self.lines + u64::from(body > self.offset);
        let is_digest = content.is("multipart", "digest");
        if let Some(entity) = self.entities.get_mut(index) {
            entity.kind = kind;
            entity.header_length = body - start;
            entity.empty_line = empty_line;
            entity.charset = if content.media == "text" {
                content.charset()
            } else {
                String::new()
            };
            entity.encoding = encoding;
            entity.description = description;
            if table.is_some() {
                entity.envelope = render::envelope(&values);
            }
            entity.content = content;
        }
        let level = self.open.len();
        let shadowed = boundary
            .as_ref()
            .and_then(|boundary| self.boundaries.insert(boundary.clone(), level));
        self.open.push(Open {
            index,
            kind,
            boundary,
            shadowed,
            is_digest,
            has_children: false,
            body,
            lines_before,
        });
        if kind == Kind::Leaf {
            self.begin_capture(index, &values);
        }
        if let Some(table) = table {
            self.tables.push(table);
        }
        if index == 0 {
            self.root = Some(values);
        }
        if kind == Kind::Message {
            self.begin_entity(body, true);
        }
    }

    /// A message's header may end at once, and that of the message inside it.
    fn end_open_headers(&mut self) {
        while self.header.is_some() {
            self.end_header(self.offset, 0);
        }
    }

    /// Content-Type, and the transfer encoding by name and number.
    fn content(&self, values: &Headers) -> (ContentType, Vec<u8>, i8) {
        let in_digest = self.open.last().is_some_and(|parent| parent.is_digest);
        let content = match values.get(Name::ContentType) {
            None if in_digest => ContentType::new("message", "rfc822"),
            None => ContentType::plain(),
            Some(value) => ContentType::parse(value).unwrap_or_else(ContentType::plain),
        };
        let encoding = values
            .get(Name::ContentTransferEncoding)
            .unwrap_or_default();
        let (name, number) = mime::transfer_encoding(encoding);
        (content, name, number)
    }

    // --- header fields

    fn header_line(&mut self, line: &Line<'_>) {
        let Some(header) = &mut self.header else {
            return;
        };
        let is_first_line = std::mem::take(&mut header.is_first_line);
        if line.head.is_empty() && line.end > 0 {
            return self.end_header(self.offset + line.length, line.end);
        }
        let is_folded = line.head.starts_with(b" ") || line.head.starts_with(b"\t");
        let name = if is_folded {
            None
        } else {
            field_name(line.head)
        };
        let is_mbox = line.head.starts_with(b"From ") || line.head.starts_with(b">From ");
        if is_first_line && !is_folded && name.is_none() && !is_mbox {
            self.end_open_headers();
            self.capture(line.head);
            self.capture(if line.end == 2 { b"\r\n" } else { b"\n" });
            return;
        }
        if is_folded && header.field.length > 0 {
            header.field.length += line.length;
            header.field.keep(line.head);
            return;
        }
        self.end_field();
        let Some(header) = &mut self.header else {
            return;
        };
        let is_message = header.table.is_some();
        header.field.length = line.length;
        if let Some((name, value)) = name {
            header.field.wanted = Name::of(name, is_message);
            if is_message && !header.is_full {
                header.field.name = name.to_vec();
            }
            header.field.keep(value);
        }
    }

    /// The field being read ended.
    fn end_field(&mut self) {
        let Some(header) = &mut self.header else {
            return;
        };
        let Field {
            name,
            wanted,
            value,
            length,
        } = std::mem::take(&mut header.field);
        if let Some(wanted) = wanted {
            header.values.put(wanted, &value, &mut self.budget);
        }
        if length == 0 {
            return;
        }
        let Some(table) = &mut header.table else {
            return;
        };
        if header.is_full {
            table.extend_last(length);
        } else {
            header.fields += 1;
            self.all_fields += 1;
            // One more, without a name, takes all that follows.
            header.is_full = header.fields > FIELDS || self.all_fields > ALL_FIELDS;
            table.push(if header.is_full { b"" } else { &name }, length);
        }
    }

    // --- the beginning of the text

    fn begin_capture(&mut self, index: usize, values: &Headers) {
        let Some(Entity { content, .. }) = self.entities.get(index) else {
            return;
        };
        let is_html = content.is("text", "html");
        if !is_html && !content.is("text", "plain") {
            return;
        }
        let disposition = values
            .get(Name::ContentDisposition)
            .and_then(mime::disposition);
        if disposition.is_some_and(|(kind, _)| kind.eq_ignore_ascii_case(b"attachment")) {
            return;
        }
        let slot = if is_html {
            &mut self.html
        } else {
            &mut self.plain
        };
        if slot.is_none() {
            *slot = Some(Capture {
                index,
                octets: Vec::new(),
            });
            self.capturing = Some(is_html);
        }
    }

    fn capture(&mut self, octets: &[u8]) {
        let capture = match self.capturing {
            None => return,
            Some(true) => &mut self.html,
            Some(false) => &mut self.plain,
        };
        if let Some(capture) = capture {
            let room = PREVIEW_OCTETS
                .saturating_sub(capture.octets.len())
                .min(octets.len());
            capture
                .octets
                .extend_from_slice(octets.get(..room).unwrap_or_default());
            if capture.octets.len() >= PREVIEW_OCTETS {
                self.capturing = None;
            }
        }
    }

    /// The captured part may have ended; the delimiter that ended it was captured too.
    fn end_capture(&mut self, index: usize, length: u64) {
        for capture in [&mut self.plain, &mut self.html].into_iter().flatten() {
            if capture.index == index {
                capture
                    .octets
                    .truncate(usize::try_from(length).unwrap_or(usize::MAX));
                self.capturing = None;
            }
        }
    }
}

impl Field {
    fn keep(&mut self, text: &[u8]) {
        if self.wanted.is_some() {
            let room = FIELD_OCTETS
                .saturating_sub(self.value.len())
                .min(text.len());
            self.value
                .extend_from_slice(text.get(..room).unwrap_or_default());
        }
    }
}

/// ```abnf
/// optional-field = field-name ":" unstructured CRLF      field-name = 1*ftext
/// ```
/// White space before the colon is allowed (RFC 5322 section 4.5.8).
fn field_name(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
    let name = name.trim_ascii_end();
    let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    Some((is_name.then_some(name)?, value.get(1..)?))
}

/// What an entity of that type is here, what it is called then, and its boundary.
fn classify(
    content: ContentType,
    encoding: i8,
    room: bool,
) -> (Kind, ContentType, Option<Vec<u8>>) {
    let opaque = || ContentType::new("application", "octet-stream");
    if content.media == "multipart" {
        return match content.boundary() {
            None => (Kind::Leaf, ContentType::plain(), None),
            Some(_) if !room => (Kind::Leaf, opaque(), None),
            boundary => (Kind::Multipart, content, boundary),
        };
    }
    let is_message = content.is("message", "rfc822") || content.is("message", "global");
    match (is_message && encoding == 0, room) {
        (false, _) => (Kind::Leaf, content, None),
        (true, true) => (Kind::Message, content, None),
        (true, false) => (Kind::Leaf, opaque(), None),
    }
}
