//! Header lines, and the fields that they form.
use super::{MessageLine, Scanner};
use crate::message::header::names::FieldName;
use crate::message::header::values::Headers;
use crate::message::limits::{ALL_FIELDS, CACHED_FIELD_BYTES, FIELD_BYTES, FIELDS, PREVIEW_BYTES};
use crate::message::metadata::field_table::FieldTable;
use crate::message::metadata::header_cache::CachedNames;

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Rest of a header past the limits: one field without a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// The limits are not reached.
    None,
    /// The current field is the first one past them.
    Starts,
    /// The table has that field.
    Started,
}

/// Header being read.
pub(super) struct OpenHeader {
    pub(super) index: usize,
    pub(super) start: u64,
    /// Line ends before `start`.
    pub(super) lines_before: u64,
    pub(super) values: Box<Headers>,
    /// Only for messages, not for parts.
    pub(super) table: Option<FieldTable>,
    pub(super) is_first_line: bool,
    /// There is a field. Until then, the lines may turn out to be body.
    pub(super) is_certain: bool,
    /// The first of these lines, for the preview.
    pub(super) skipped: Vec<u8>,
    pub(super) rest: Rest,
    pub(super) fields: usize,
    pub(super) field: OpenField,
}

/// Field being read.
#[derive(Default)]
pub(super) struct OpenField {
    /// Name, if it is well-known.
    pub(super) known: Option<FieldName>,
    /// Name, if it is not.
    pub(super) name: Vec<u8>,
    /// Name, if the value is kept.
    pub(super) wanted: Option<FieldName>,
    /// Text after the colon, without line ends.
    pub(super) value: Vec<u8>,
    /// Name, if the header cache stores fields of that name.
    pub(super) cached: Option<CachedNames>,
    /// Field as received, without lines that are too long.
    pub(super) bytes: Vec<u8>,
    pub(super) length: u64,
}

impl Scanner {
    pub(super) fn header_line(&mut self, line: &MessageLine<'_>) {
        let Some(header) = &mut self.header else {
            return;
        };
        let is_first_line = std::mem::take(&mut header.is_first_line);
        if line.head.is_empty() && line.end > 0 {
            if !is_first_line && !header.is_certain {
                self.return_skipped_lines();
                self.capture(line_end(line));
                return;
            }
            let body = self.offset + line.length;
            return self.end_header(body, self.lines + 1, line.end);
        }
        let is_folded = line.head.starts_with(b" ") || line.head.starts_with(b"\t");
        let mark = match line.head.strip_prefix(BYTE_ORDER_MARK) {
            Some(_) if is_first_line => BYTE_ORDER_MARK.len(),
            _ => 0,
        };
        let (_, text) = line.head.split_at_checked(mark).unwrap_or_default();
        let name = if is_folded { None } else { field_name(text) };
        if !header.is_certain {
            let is_field = name.is_some_and(|(_, value)| !value.starts_with(b"//")); // not a URL
            let is_mbox = text.starts_with(b"From ") || text.starts_with(b">From ");
            header.is_certain = is_field || (is_first_line && is_mbox);
            if !header.is_certain {
                header.skip(line);
                return;
            }
            header.skipped = Vec::new();
        }
        if is_folded && header.field.length > 0 {
            header
                .field
                .keep(line.head, header.field.length, self.budget.left());
            header.field.length += line.length;
            header.field.cache(line);
            return;
        }
        if mark > 0 {
            header.field.length = mark as u64;
        }
        self.end_field();
        let Some(header) = &mut self.header else {
            return;
        };
        let line = &MessageLine {
            head: text,
            length: line.length - mark as u64,
            ..*line
        };
        let is_message = header.table.is_some();
        if header.fields >= FIELDS || self.all_fields >= ALL_FIELDS {
            header.start_rest();
        }
        header.field.length = line.length;
        if let Some((name, value)) = name {
            let known = FieldName::of(name);
            // What no field without a name has in HEADER.FIELDS and SEARCH, ENVELOPE has not either.
            let is_listed = is_message && header.rest == Rest::None;
            header.field.wanted = known.filter(|known| Headers::keeps(*known, is_listed));
            if is_listed {
                header.field.known = known;
                if known.is_none() {
                    header.field.name = name.to_vec();
                }
                if header.index == 0 {
                    header.field.cached = known.and_then(CachedNames::of_known);
                    header.field.cache(line);
                }
            }
            let before = (text.len() - value.len()) as u64;
            header.field.keep(value, before, self.budget.left());
        }
    }

    /// Finish the current field.
    pub(super) fn end_field(&mut self) {
        let Some(header) = &mut self.header else {
            return;
        };
        let OpenField {
            known,
            name,
            wanted,
            value,
            cached,
            bytes,
            length,
        } = std::mem::take(&mut header.field);
        if let Some(wanted) = wanted {
            let is_kept = header.values.put(wanted, &value, &mut self.budget);
            if !is_kept {
                header.start_rest();
            }
        }
        if length == 0 {
            return;
        }
        let Some(table) = &mut header.table else {
            return;
        };
        match header.rest {
            Rest::None => {
                header.fields += 1;
                self.all_fields += 1;
                table.push(known, &name, length);
                if let Some(name) = cached {
                    let is_whole = bytes.len() as u64 == length;
                    self.header_cache.push(name, is_whole.then_some(&bytes));
                }
            }
            Rest::Starts => {
                table.push(None, b"", length);
                header.rest = Rest::Started;
            }
            Rest::Started => table.extend_last(length),
        }
    }
}

impl OpenHeader {
    fn start_rest(&mut self) {
        if self.rest == Rest::None {
            self.rest = Rest::Starts;
        }
    }

    /// Capacity of the buffers for values.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.values.held_bytes() + self.field.value.capacity()
    }

    /// Read a line before the first field: a part of one field without a name.
    fn skip(&mut self, line: &MessageLine<'_>) {
        self.field.length += line.length;
        for piece in [line.head, line_end(line)] {
            let room = PREVIEW_BYTES.saturating_sub(self.skipped.len());
            self.skipped
                .extend_from_slice(piece.get(..room).unwrap_or(piece));
        }
    }
}

/// Return the bytes of a line end.
fn line_end(line: &MessageLine<'_>) -> &'static [u8] {
    match line.end {
        0 => b"",
        1 => b"\n",
        _ => b"\r\n",
    }
}

impl OpenField {
    /// Keep text that begins after `before` bytes of the field, up to the limit of a field, and one
    /// byte more than `left`: that is too long.
    fn keep(&mut self, text: &[u8], before: u64, left: usize) {
        if self.wanted.is_some() {
            let before = usize::try_from(before).unwrap_or(usize::MAX);
            let room = FIELD_BYTES
                .saturating_sub(before)
                .min((left + 1).saturating_sub(self.value.len()));
            self.value
                .extend_from_slice(text.get(..room).unwrap_or(text));
        }
    }

    fn cache(&mut self, line: &MessageLine<'_>) {
        let end = line_end(line);
        let is_whole = (line.head.len() + end.len()) as u64 == line.length;
        let has_room = self.length <= CACHED_FIELD_BYTES as u64;
        if self.cached.is_some() && is_whole && has_room {
            self.bytes.reserve(line.head.len() + end.len());
            self.bytes.extend_from_slice(line.head);
            self.bytes.extend_from_slice(end);
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
