//! Search in the bytes of a message: first named header fields, then the text.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::program::{Leaf, Program};
use super::verdict;
use crate::message::{
    MessageMetadata, Needle, Range, TextMatcher, append_field_value, field_name, limits,
};

/// Search in the bytes of one message, fed in order in pieces of any size. Holds at most one header
/// field of [`limits::FIELD_BYTES`] and the end of a text that may start a match.
pub struct TextSearch {
    program: Arc<Program>,
    answers: Vec<Option<bool>>,
    /// Leaves without an answer that read header fields, by name.
    readers: Vec<FieldReaders>,
    /// Header fields to read, in the order of the header.
    fields: VecDeque<WantedField>,
    /// Bytes of the first of these fields fed so far.
    field: Vec<u8>,
    text: TextMatcher,
    /// Leaf of each needle of `text`.
    asking: Vec<usize>,
    matched: Option<bool>,
}

/// Header field to read.
struct WantedField {
    offset: u64,
    length: u64,
    /// Index in `TextSearch::readers`.
    readers: usize,
}

/// Leaves that read the fields of one name.
struct FieldReaders {
    /// Without an answer.
    leaves: Vec<usize>,
    /// Number of fields not yet read.
    unread: usize,
}

impl TextSearch {
    /// Cost: linear in leaves and header fields.
    pub(super) fn new(
        program: Arc<Program>,
        answers: Vec<Option<bool>>,
        metadata: &MessageMetadata<'_>,
    ) -> Self {
        let mut readers: Vec<FieldReaders> = Vec::new();
        let mut by_name: HashMap<Vec<u8>, usize> = HashMap::new();
        let (mut needles, mut asking) = (Vec::new(), Vec::new());
        for (at, (leaf, answer)) in program.leaves.iter().zip(&answers).enumerate() {
            if answer.is_some() {
                continue;
            }
            let name = match leaf {
                Leaf::Header(name, ..) => name.as_slice(),
                Leaf::Field(field, _) => field_name(*field).text(),
                Leaf::Text(needle, in_headers) => {
                    needles.push(Needle {
                        finder: Arc::clone(&needle.text),
                        fuzzy: needle.fuzzy.clone(),
                        in_headers: *in_headers,
                    });
                    asking.push(at);
                    continue;
                }
                _ => continue,
            };
            let index = *by_name.entry(name.to_ascii_lowercase()).or_insert_with(|| {
                readers.push(FieldReaders {
                    leaves: Vec::new(),
                    unread: 0,
                });
                readers.len() - 1
            });
            if let Some(readers) = readers.get_mut(index) {
                readers.leaves.push(at);
            }
        }
        let mut fields = VecDeque::new();
        if !readers.is_empty() {
            let mut name = Vec::new();
            for field in metadata.header_fields(&[]).into_iter().flatten() {
                name.clear();
                name.extend(field.name.iter().map(u8::to_ascii_lowercase));
                let Some(index) = by_name.get(&name) else {
                    continue;
                };
                if let Some(readers) = readers.get_mut(*index) {
                    readers.unread += 1;
                }
                fields.push_back(WantedField {
                    offset: field.offset,
                    length: field.length.min(limits::FIELD_BYTES as u64),
                    readers: *index,
                });
            }
        }
        let text = TextMatcher::new(metadata, &needles, program.collation);
        let mut search = Self {
            program,
            answers,
            readers,
            fields,
            field: Vec::new(),
            text,
            asking,
            matched: None,
        };
        for index in 0..search.readers.len() {
            search.answer_without_fields(index);
        }
        search.settle();
        search
    }

    /// Return the next range of the message to feed; None when the result is final.
    #[must_use]
    pub fn wanted(&self) -> Option<Range> {
        if self.matched.is_some() {
            return None;
        }
        let Some(field) = self.fields.front() else {
            return self.text.wanted();
        };
        let read = self.field.len() as u64;
        Some(Range {
            offset: field.offset + read,
            length: field.length.saturating_sub(read),
        })
    }

    /// Feed bytes from the start of that range, as many as available.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Some(wanted) = self.wanted() else { return };
        let limit = usize::try_from(wanted.length).unwrap_or(usize::MAX);
        let bytes = bytes.get(..limit).unwrap_or(bytes);
        if self.fields.is_empty() {
            self.text.feed(bytes);
        } else {
            self.field.extend_from_slice(bytes);
            if bytes.len() < limit || !self.read_field() {
                return;
            }
        }
        self.settle();
    }

    /// Search a complete header field; return true if there are new answers.
    fn read_field(&mut self) -> bool {
        let Some(index) = self.fields.pop_front().map(|field| field.readers) else {
            return false;
        };
        let mut text = Vec::new();
        append_field_value(&self.field, self.program.collation, &mut text);
        self.field.clear();
        let Some(readers) = self.readers.get_mut(index) else {
            return false;
        };
        readers.unread -= 1;
        let before = readers.leaves.len();
        readers.leaves.retain(|at| {
            let (Some(Leaf::Header(.., needle) | Leaf::Field(_, needle)), Some(answer)) =
                (self.program.leaves.get(*at), self.answers.get_mut(*at))
            else {
                return false;
            };
            let is_found = needle.is_in(&text);
            if is_found {
                *answer = Some(true);
            }
            !is_found
        });
        let is_new = readers.leaves.len() < before;
        if self.answer_without_fields(index) || is_new {
            return true;
        }
        self.skip_fields();
        false
    }

    /// Answer the leaves that have no more fields to read: false. Return true if there are any.
    fn answer_without_fields(&mut self, index: usize) -> bool {
        let Some(readers) = self.readers.get_mut(index) else {
            return false;
        };
        if readers.unread > 0 || readers.leaves.is_empty() {
            return false;
        }
        for at in readers.leaves.drain(..) {
            if let Some(answer) = self.answers.get_mut(at) {
                *answer = Some(false);
            }
        }
        true
    }

    /// Skip fields that only answered leaves read.
    fn skip_fields(&mut self) {
        while let Some(field) = self.fields.front()
            && let Some(readers) = self.readers.get(field.readers)
            && readers.leaves.is_empty()
        {
            self.fields.pop_front();
        }
    }

    /// Update what follows from the answers of leaves.
    fn settle(&mut self) {
        self.skip_fields();
        let ended = self.text.wanted().is_none();
        for (needle, leaf) in self.asking.iter().enumerate() {
            if let Some(answer) = self.answers.get_mut(*leaf)
                && (ended || self.text.found(needle))
            {
                *answer = Some(self.text.found(needle));
            }
        }
        self.matched = verdict(&self.program, &self.answers);
    }

    /// True if the message matches; false until the result is final.
    #[must_use]
    pub fn matched(&self) -> bool {
        self.matched.unwrap_or(false)
    }
}
