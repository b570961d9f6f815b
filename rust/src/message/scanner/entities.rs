//! Start and classification of entities.
use super::Scanner;
use super::fields::{OpenField, OpenHeader, Rest};
use crate::message::header::names::FieldName;
use crate::message::header::values::Headers;
use crate::message::limits::{DEPTH, PARTS};
use crate::message::metadata::build::ScannedEntity;
use crate::message::metadata::field_table::FieldTable;
use crate::message::metadata::part_table::Kind;
use crate::message::metadata::render::{self, Description};
use crate::message::mime::{self, ContentType};

/// Entity whose end is not yet known.
pub(super) struct OpenEntity {
    pub(super) index: usize,
    pub(super) kind: Kind,
    /// Key in `Scanner::boundaries`, while delimiters are looked for.
    pub(super) boundary: Option<Vec<u8>>,
    /// Open entity of the same boundary, which this one hides.
    pub(super) shadowed: Option<usize>,
    pub(super) is_digest: bool,
    pub(super) has_children: bool,
    pub(super) body: u64,
    pub(super) lines_before: u64,
}

impl Scanner {
    /// Begin an entity whose header starts at `start`, after `lines` line ends.
    pub(super) fn begin_entity(&mut self, start: u64, lines: u64, is_message: bool) {
        if let Some(parent) = self.open.last_mut() {
            parent.has_children = true;
        }
        let index = self.entities.len();
        self.entities.push(ScannedEntity {
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
        self.header = Some(OpenHeader {
            index,
            start,
            lines_before: lines,
            values: Box::default(),
            table: is_message.then(FieldTable::default),
            is_first_line: true,
            is_certain: false,
            skipped: Vec::new(),
            rest: Rest::None,
            fields: 0,
            field: OpenField::default(),
        });
    }

    /// End the header; the body of its entity starts at `body`, after `lines_before` line ends.
    pub(super) fn end_header(&mut self, body: u64, lines_before: u64, empty_line: u8) {
        self.end_field();
        let Some(header) = self.header.take() else {
            return;
        };
        let OpenHeader {
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
                entity.envelope = render::envelope(&values, &mut self.envelopes);
            }
            entity.content = content;
        }
        let level = self.open.len();
        let shadowed = boundary
            .as_ref()
            .and_then(|boundary| self.boundaries.insert(boundary.clone(), level));
        self.open.push(OpenEntity {
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
            self.begin_entity(body, lines_before, true);
        }
    }

    /// End the header of a message, and then that of the message inside it.
    pub(super) fn end_open_headers(&mut self) {
        self.return_skipped_lines();
        while self.header.is_some() {
            self.end_header(self.offset, self.lines, 0);
        }
    }

    /// End a header that has lines but no field: it is no header, and its lines belong to the body.
    ///
    /// In multipart/digest they may belong to the body of a message without a header.
    pub(super) fn return_skipped_lines(&mut self) {
        let mut skipped = Vec::new();
        while let Some(header) = &mut self.header
            && !header.is_certain
            && header.start < self.offset
        {
            header.field = OpenField::default();
            skipped.append(&mut header.skipped);
            let (start, lines) = (header.start, header.lines_before);
            self.end_header(start, lines, 0);
        }
        self.capture(&skipped);
    }

    /// Return Content-Type, and the transfer encoding by name and number.
    fn content(&self, values: &Headers) -> (ContentType, Vec<u8>, i8) {
        let in_digest = self.open.last().is_some_and(|parent| parent.is_digest);
        let content = match values.get(FieldName::ContentType) {
            None if in_digest => ContentType::new("message", "rfc822"),
            None => ContentType::plain(),
            Some(value) => ContentType::parse(value).unwrap_or_else(ContentType::plain),
        };
        let encoding = values
            .get(FieldName::ContentTransferEncoding)
            .unwrap_or_default();
        let (name, number) = mime::transfer_encoding(encoding);
        (content, name, number)
    }
}

/// Return the kind of an entity, its effective type, and its boundary.
fn classify(
    content: ContentType,
    encoding: i8,
    room: bool,
) -> (Kind, ContentType, Option<Vec<u8>>) {
    if content.media == "multipart" {
        return match content.boundary() {
            None => (Kind::Leaf, ContentType::plain(), None),
            Some(_) if !room => (Kind::Leaf, content.opaque(), None),
            boundary => (Kind::Multipart, content, boundary),
        };
    }
    match (content.is_message() && encoding == 0, room) {
        (false, _) => (Kind::Leaf, content, None),
        (true, true) => (Kind::Message, content, None),
        (true, false) => (Kind::Leaf, content.opaque(), None),
    }
}
