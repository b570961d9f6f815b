//! Delimiter lines, and the entities that they end.
use super::{MessageLine, Scanner};
use crate::message::header::values::Headers;
use crate::message::limits::{FIELD_BYTES, PARTS};
use crate::message::metadata::build::ScannedEntity;
use crate::message::metadata::part_table::Kind;
use crate::message::metadata::render::Description;
use crate::message::mime::ContentType;

impl Scanner {
    /// ```abnf
    /// delimiter       = CRLF dash-boundary
    /// close-delimiter = delimiter "--"          ; either followed by white space
    /// ```
    /// Process the line if it is a delimiter (RFC 2046 section 5.1.1); return whether it is.
    pub(super) fn delimiter(&mut self, line: &MessageLine<'_>) -> bool {
        let is_short = line.length <= FIELD_BYTES as u64;
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
            self.boundaries.clear(); // the rest belongs to the last part
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
            let lines = self.lines + u64::from(line.end > 0);
            self.begin_entity(self.offset + line.length, lines, false);
        }
        true
    }

    /// Close all entities except the first `keep` levels.
    pub(super) fn close_down_to(&mut self, keep: usize, end: u64, lines: u64) {
        while self.open.len() > keep {
            let level = self.open.len() - 1;
            self.stop_looking(level);
            let Some(open) = self.open.pop() else { break };
            let body_length = end - open.body;
            let body_lines = lines - open.lines_before;
            if open.kind == Kind::Multipart && !open.has_children {
                // The grammar requires a part, and clients should display the content.
                self.entities.push(ScannedEntity {
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

    /// Stop looking for delimiters of that multipart.
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
}
