//! SEARCH BODY, TEXT and HEADER over the bytes of a message, range by range.
//!
//! A matcher says which bytes of the message it wants next and is fed them; it remembers no more
//! than one header field and what of a text may begin a match. Needles are folded
//! (see [`fold`](crate::message::text::fold::fold)), as is the text they are looked for in.
use crate::message::header::encoded_words::decode_header;
use crate::message::limits::FIELD_BYTES;
use crate::message::metadata::part_table::Kind;
use crate::message::metadata::stored::{MessageMetadata, Range};
use crate::message::mime::transfer::TransferDecoder;
use crate::message::text::charset::CharsetDecoder;
use crate::message::text::fold::{collapse, fold, fold_into, fold_utf8};
use memchr::memmem::Finder;
use std::collections::VecDeque;
use std::sync::Arc;

/// The most bytes that are wanted at once, so that nobody has to hold a whole attachment.
pub const WANTED_BYTES: u64 = 256 * 1024;

/// Bytes that are decoded at once: they and what they become stay in the processor's cache.
const PIECE_BYTES: usize = 32 * 1024;

/// A whole header field as it stands in a message, as SEARCH sees it: name and value, encoded
/// words decoded, white space runs as one space, folded.
#[must_use]
pub fn field_text(field: &[u8]) -> String {
    fold(&collapse(&decode_header(field)))
}

/// The same without the name.
#[must_use]
pub fn field_value_text(field: &[u8]) -> String {
    let colon = memchr::memchr(b':', field).map_or(0, |at| at + 1);
    field_text(field.get(colon..).unwrap_or_default())
}

/// What is looked for, in any number of messages.
#[derive(Clone, Debug)]
pub struct Needle {
    /// For a folded text. An empty one is in every message.
    pub finder: Arc<Finder<'static>>,
    /// TEXT rather than BODY: the message's header counts, and the MIME headers of its parts.
    pub in_headers: bool,
}

impl Needle {
    /// Prepare to look for a folded text.
    #[must_use]
    pub fn new(text: &str, in_headers: bool) -> Self {
        Self {
            finder: Arc::new(Finder::new(text).into_owned()),
            in_headers,
        }
    }
}

struct NeedleState {
    finder: Arc<Finder<'static>>,
    in_headers: bool,
    found: bool,
}

/// A range of the message and how to read it.
struct SearchRange {
    range: Range,
    /// Only for needles that look in headers.
    is_header_only: bool,
    reader: RangeReader,
}

enum RangeReader {
    Header(FieldReader),
    Text(Box<TextReader>),
}

/// Cuts a header into fields.
#[derive(Default)]
struct FieldReader {
    /// The beginning of a field; at most [`FIELD_BYTES`].
    field: Vec<u8>,
    at_line_start: bool,
}

impl FieldReader {
    fn keep(&mut self, bytes: &[u8]) {
        let room = FIELD_BYTES
            .saturating_sub(self.field.len())
            .min(bytes.len());
        self.field
            .extend_from_slice(bytes.get(..room).unwrap_or_default());
    }

    /// Calls `see` with each field that ended.
    fn feed(&mut self, bytes: &[u8], mut see: impl FnMut(&[u8])) {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let is_folded = line.starts_with(b" ") || line.starts_with(b"\t");
            if self.at_line_start && !is_folded && !self.field.is_empty() {
                see(&self.field);
                self.field.clear();
            }
            self.keep(line);
            self.at_line_start = line.ends_with(b"\n");
        }
    }
}

/// Decodes the text of a part and keeps what may begin a match.
struct TextReader {
    is_identity: bool,
    transfer: TransferDecoder,
    charset: CharsetDecoder,
    /// Scratch: bytes without transfer encoding, and characters.
    bytes: Vec<u8>,
    text: String,
    /// Folded; begins with the end of what was already looked through.
    hay: Vec<u8>,
}

impl TextReader {
    fn read(&mut self, bytes: &[u8], last: bool) {
        let mut left = bytes;
        if !self.is_identity {
            self.bytes.clear();
            self.transfer.feed(bytes, &mut self.bytes);
            if last {
                self.transfer.finish(&mut self.bytes);
            }
            left = &self.bytes;
        }
        if !last {
            if self.charset.holds_some() {
                let is_middle = |byte: &&u8| matches!(byte, 0x80..=0xbf);
                let end = left.iter().take(3).take_while(is_middle).count();
                let (end, tail) = left.split_at_checked(end).unwrap_or((b"", left));
                self.text.clear();
                self.charset.decode(end, false, &mut self.text);
                fold_into(&self.text, &mut self.hay);
                left = tail;
            }
            if self.charset.passes_utf8() {
                left = fold_utf8(left, &mut self.hay);
            } else if self.charset.passes_ascii() && left.is_ascii() {
                let from = self.hay.len();
                self.hay.extend_from_slice(left);
                let appended = self.hay.get_mut(from..).unwrap_or_default();
                appended.make_ascii_lowercase();
                left = b"";
            }
            if left.is_empty() {
                return;
            }
        }
        self.text.clear();
        self.charset.decode(left, last, &mut self.text);
        fold_into(&self.text, &mut self.hay);
    }

    /// Forget what was looked through, all but what may go on.
    fn keep(&mut self, bytes: usize) {
        let done = self.hay.len().saturating_sub(bytes);
        self.hay.drain(..done);
    }
}

/// Looks for several needles in one message.
pub struct TextMatcher {
    needles: Vec<NeedleState>,
    /// Bytes of the longest needle.
    longest: usize,
    left: VecDeque<SearchRange>,
    /// Bytes of the first range that were fed.
    fed: u64,
}

impl TextMatcher {
    /// Look for needles, each to be answered by itself.
    ///
    /// BODY is the text of text and message parts, transfer encoding and charset undone, and
    /// the headers of messages inside the message; TEXT is all headers besides.
    #[must_use]
    pub fn new(metadata: &MessageMetadata<'_>, needles: &[Needle]) -> Self {
        let mut left = VecDeque::new();
        let mut above = None;
        for entity in metadata.entities() {
            left.push_back(SearchRange {
                range: Range {
                    offset: entity.header,
                    length: entity.header_length,
                },
                is_header_only: above != Some(Kind::Message),
                reader: RangeReader::Header(FieldReader {
                    at_line_start: true,
                    ..Default::default()
                }),
            });
            if entity.kind == Kind::Leaf && matches!(entity.media, "text" | "message") {
                left.push_back(SearchRange {
                    range: Range {
                        offset: entity.body(),
                        length: entity.body_length,
                    },
                    is_header_only: false,
                    reader: RangeReader::Text(Box::new(TextReader {
                        is_identity: entity.encoding <= 0,
                        transfer: TransferDecoder::new(entity.encoding),
                        charset: CharsetDecoder::new(entity.charset),
                        bytes: Vec::new(),
                        text: String::new(),
                        hay: Vec::new(),
                    })),
                });
            }
            above = Some(entity.kind);
        }
        let wanted = needles.iter().map(|needle| NeedleState {
            finder: Arc::clone(&needle.finder),
            in_headers: needle.in_headers,
            found: needle.finder.needle().is_empty(),
        });
        let mut matcher = Self {
            needles: wanted.collect(),
            longest: needles
                .iter()
                .map(|needle| needle.finder.needle().len())
                .max()
                .unwrap_or(0),
            left,
            fed: 0,
        };
        matcher.skip();
        matcher
    }

    /// The next range of the message to feed; None when everything was found or looked through.
    #[must_use]
    pub fn wanted(&self) -> Option<Range> {
        let Range { offset, length } = self.left.front()?.range;
        Some(Range {
            offset: offset + self.fed,
            length: (length - self.fed).min(WANTED_BYTES),
        })
    }

    /// Bytes from the beginning of what is wanted, as many as are at hand.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Some(range) = self.left.front_mut() else {
            return;
        };
        let left = usize::try_from(range.range.length - self.fed).unwrap_or(usize::MAX);
        let bytes = bytes.get(..left).unwrap_or(bytes);
        self.fed += bytes.len() as u64;
        let is_end = self.fed == range.range.length;
        let needles = &mut self.needles;
        let header_only = range.is_header_only;
        match &mut range.reader {
            RangeReader::Header(reader) => {
                reader.feed(bytes, |field| {
                    find(needles, header_only, field_text(field).as_bytes());
                });
                if is_end {
                    find(needles, header_only, field_text(&reader.field).as_bytes());
                }
            }
            RangeReader::Text(reader) => {
                for piece in bytes.chunks(PIECE_BYTES) {
                    reader.read(piece, false);
                    find(needles, header_only, &reader.hay);
                    reader.keep(self.longest.saturating_sub(1));
                }
                if is_end {
                    reader.read(b"", true);
                    find(needles, header_only, &reader.hay);
                }
            }
        }
        if is_end {
            self.left.pop_front();
            self.fed = 0;
        }
        self.skip();
    }

    /// Pass over stretches in which nothing is looked for any more.
    fn skip(&mut self) {
        while let Some(range) = self.left.front() {
            let is_open = |needle: &NeedleState| {
                !needle.found && (needle.in_headers || !range.is_header_only)
            };
            if range.range.length > 0 && self.needles.iter().any(is_open) {
                return;
            }
            self.left.pop_front();
            self.fed = 0;
        }
    }

    /// Was that needle found? False means nothing until `wanted` says None.
    #[must_use]
    pub fn found(&self, needle: usize) -> bool {
        self.needles.get(needle).is_some_and(|needle| needle.found)
    }
}

fn find(needles: &mut [NeedleState], header_only: bool, hay: &[u8]) {
    for needle in needles {
        if !needle.found && (needle.in_headers || !header_only) {
            needle.found = needle.finder.find(hay).is_some();
        }
    }
}

/// SEARCH HEADER: looks for one needle in the fields of one name.
pub struct HeaderMatcher {
    finder: Finder<'static>,
    left: VecDeque<Range>,
    /// What of the first field was fed.
    field: Vec<u8>,
    found: bool,
}

impl HeaderMatcher {
    /// Look for a folded needle in the fields of a name in any case; an empty one asks whether
    /// there is such a field. Of a field [`FIELD_BYTES`] are read.
    #[must_use]
    pub fn new(metadata: &MessageMetadata<'_>, name: &[u8], needle: &str) -> Self {
        let fields = metadata.header_fields(&[]).into_iter().flatten();
        let mut left: VecDeque<Range> = fields
            .filter(|field| !field.name.is_empty() && field.name.eq_ignore_ascii_case(name))
            .map(|field| Range {
                offset: field.offset,
                length: field.length.min(FIELD_BYTES as u64),
            })
            .collect();
        let found = needle.is_empty() && !left.is_empty();
        if needle.is_empty() {
            left.clear();
        }
        Self {
            finder: Finder::new(needle).into_owned(),
            left,
            field: Vec::new(),
            found,
        }
    }

    /// The next range of the message to feed; None when it is decided.
    #[must_use]
    pub fn wanted(&self) -> Option<Range> {
        let Range { offset, length } = *self.left.front()?;
        let fed = self.field.len() as u64;
        Some(Range {
            offset: offset + fed,
            length: length - fed,
        })
    }

    /// Bytes from the beginning of what is wanted, as many as are at hand.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Some(Range { length, .. }) = self.wanted() else {
            return;
        };
        let left = usize::try_from(length).unwrap_or(usize::MAX);
        let bytes = bytes.get(..left).unwrap_or(bytes);
        self.field.extend_from_slice(bytes);
        if bytes.len() == left {
            self.found = self
                .finder
                .find(field_value_text(&self.field).as_bytes())
                .is_some();
            self.field.clear();
            self.left.pop_front();
            if self.found {
                self.left.clear();
            }
        }
    }

    /// Was it found? False means nothing until `wanted` says None.
    #[must_use]
    pub fn found(&self) -> bool {
        self.found
    }
}
