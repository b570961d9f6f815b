//! Matcher for SEARCH BODY and TEXT, fed with the bytes of a message.
//!
//! A matcher names the next range of the message that it needs. It holds at most one header field
//! and the end of a text that may start a match. Needles and text are prepared by a [`Collation`].
use super::fuzzy::{FuzzyMatcher, FuzzyNeedle};
use crate::message::header::search_text::append_field;
use crate::message::limits::FIELD_BYTES;
use crate::message::metadata::part_table::Kind;
use crate::message::metadata::stored::{MessageMetadata, Range};
use crate::message::mime::transfer::TransferDecoder;
use crate::message::text::charset::CharsetDecoder;
use crate::message::text::collation::Collation;
use memchr::memmem::Finder;
use std::collections::VecDeque;
use std::sync::Arc;

/// Maximum bytes requested at once, so that no caller has to hold a whole attachment.
pub const WANTED_BYTES: u64 = 256 * 1024;

/// Bytes decoded at once: they and their decoded form fit into the processor's cache.
const PIECE_BYTES: usize = 32 * 1024;

/// Prepared text to search for, in any number of messages.
#[derive(Clone, Debug)]
pub struct Needle {
    /// Finder of the prepared text. An empty text matches every message.
    pub finder: Arc<Finder<'static>>,
    /// Words that are searched for as well: FUZZY.
    pub fuzzy: Option<Arc<FuzzyNeedle>>,
    /// TEXT rather than BODY: search headers as well.
    pub in_headers: bool,
}

impl Needle {
    /// Prepare a text for searching, by the collation of the matcher.
    #[must_use]
    pub fn new(text: &str, collation: Collation, in_headers: bool) -> Self {
        Self {
            finder: Arc::new(Finder::new(&collation.prepare(text)).into_owned()),
            fuzzy: None,
            in_headers,
        }
    }
}

struct NeedleState {
    finder: Arc<Finder<'static>>,
    fuzzy: Option<FuzzyMatcher>,
    in_headers: bool,
    found: bool,
}

/// Range of the message, and how to read it.
struct SearchRange {
    range: Range,
    /// Search only for needles with `in_headers`.
    is_header_only: bool,
    reader: RangeReader,
}

enum RangeReader {
    Header(FieldReader),
    Text(Box<TextReader>),
}

/// Splits a header into fields.
#[derive(Default)]
struct FieldReader {
    /// Start of a field; at most [`FIELD_BYTES`].
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

    /// Call `see` with each complete field.
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

/// Decodes the text of a part, and keeps what may start a match.
struct TextReader {
    is_identity: bool,
    transfer: TransferDecoder,
    charset: CharsetDecoder,
    /// Buffers for the bytes without transfer encoding, and for characters.
    bytes: Vec<u8>,
    text: String,
    collation: Collation,
    /// Prepared text; starts with the end of the text already searched.
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
                self.collation.prepare_into(&self.text, &mut self.hay);
                left = tail;
            }
            if self.charset.passes_utf8() || (self.charset.passes_ascii() && left.is_ascii()) {
                left = self.collation.prepare_utf8(left, &mut self.hay);
            }
            if left.is_empty() {
                return;
            }
        }
        self.text.clear();
        self.charset.decode(left, last, &mut self.text);
        self.collation.prepare_into(&self.text, &mut self.hay);
    }

    /// Drop searched text, except the last bytes, which may start a match.
    fn keep(&mut self, bytes: usize) {
        let done = self.hay.len().saturating_sub(bytes);
        self.hay.drain(..done);
    }
}

/// Searches one message for several needles.
pub struct TextMatcher {
    needles: Vec<NeedleState>,
    collation: Collation,
    /// Prepared text of a header field.
    field: Vec<u8>,
    /// Bytes of the longest needle.
    longest: usize,
    left: VecDeque<SearchRange>,
    /// Bytes of the first range fed so far.
    fed: u64,
}

impl TextMatcher {
    /// Search for needles; each has its own result.
    ///
    /// BODY covers the text of text and message parts, decoded; it "doesn't match any header
    /// fields" (RFC 9051 section 6.4.4). TEXT covers all headers as well: of the message, of its
    /// parts, and of embedded messages.
    #[must_use]
    pub fn new(metadata: &MessageMetadata<'_>, needles: &[Needle], collation: Collation) -> Self {
        let mut left = VecDeque::new();
        for entity in metadata.entities() {
            left.push_back(SearchRange {
                range: Range {
                    offset: entity.header,
                    length: entity.header_length,
                },
                is_header_only: true,
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
                        collation,
                        hay: Vec::new(),
                    })),
                });
            }
        }
        let wanted = needles.iter().map(|needle| NeedleState {
            finder: Arc::clone(&needle.finder),
            fuzzy: needle.fuzzy.clone().map(FuzzyMatcher::new),
            in_headers: needle.in_headers,
            found: needle.finder.needle().is_empty(),
        });
        let mut matcher = Self {
            needles: wanted.collect(),
            collation,
            field: Vec::new(),
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

    /// Return the next range of the message to feed; None when all is found or searched.
    #[must_use]
    pub fn wanted(&self) -> Option<Range> {
        let Range { offset, length } = self.left.front()?.range;
        Some(Range {
            offset: offset + self.fed,
            length: (length - self.fed).min(WANTED_BYTES),
        })
    }

    /// Feed bytes from the start of the wanted range, as many as available.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Some(range) = self.left.front_mut() else {
            return;
        };
        let left = usize::try_from(range.range.length - self.fed).unwrap_or(usize::MAX);
        let bytes = bytes.get(..left).unwrap_or(bytes);
        self.fed += bytes.len() as u64;
        let is_end = self.fed == range.range.length;
        let (needles, collation) = (&mut self.needles, self.collation);
        let header_only = range.is_header_only;
        match &mut range.reader {
            RangeReader::Header(reader) => {
                let text = &mut self.field;
                let mut see = |field: &[u8]| {
                    text.clear();
                    append_field(field, collation, text);
                    find(needles, header_only, text, 0);
                    end_words(needles);
                };
                reader.feed(bytes, &mut see);
                if is_end {
                    see(&reader.field);
                }
            }
            RangeReader::Text(reader) => {
                for piece in bytes.chunks(PIECE_BYTES) {
                    let searched = reader.hay.len();
                    reader.read(piece, false);
                    find(needles, header_only, &reader.hay, searched);
                    reader.keep(self.longest.saturating_sub(1));
                }
                if is_end {
                    let searched = reader.hay.len();
                    reader.read(b"", true);
                    find(needles, header_only, &reader.hay, searched);
                    end_words(needles);
                }
            }
        }
        if is_end {
            self.left.pop_front();
            self.fed = 0;
        }
        self.skip();
    }

    /// Skip ranges that no open needle searches.
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

    /// True if the needle was found. False is final once `wanted` returns None.
    #[must_use]
    pub fn found(&self, needle: usize) -> bool {
        self.needles.get(needle).is_some_and(|needle| needle.found)
    }
}

/// Search `hay`, of which the first `searched` bytes have been searched before.
fn find(needles: &mut [NeedleState], header_only: bool, hay: &[u8], searched: usize) {
    for needle in needles {
        if !needle.found && (needle.in_headers || !header_only) {
            needle.found = needle.finder.find(hay).is_some();
            if let Some(fuzzy) = &mut needle.fuzzy {
                fuzzy.feed(hay.get(searched..).unwrap_or_default());
                needle.found |= fuzzy.found();
            }
        }
    }
}

fn end_words(needles: &mut [NeedleState]) {
    for needle in needles {
        if let Some(fuzzy) = &mut needle.fuzzy {
            fuzzy.end_word();
        }
    }
}
