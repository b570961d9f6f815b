//! Search in the bytes of a message: first named header fields, then the text.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::program::{Leaf, Program};
use super::{folded_field_name, verdict};
use crate::message::search::field_value_text;
use crate::message::{MessageMetadata, Needle, Range, TextMatcher, limits};

/// Search in the bytes of one message, fed in order in pieces of any size. Holds at most one header
/// field of [`limits::FIELD_BYTES`] and the end of a text that may start a match.
pub struct TextSearch {
    program: Arc<Program>,
    answers: Vec<Option<bool>>,
    /// Header fields to read, by offset: length, and the leaves that need it.
    fields: BTreeMap<u64, (u64, Vec<usize>)>,
    /// Number of unread fields for each leaf.
    unread: Vec<usize>,
    /// Bytes of the first of these fields fed so far.
    field: Vec<u8>,
    text: TextMatcher,
    /// Leaf of each needle of `text`.
    asking: Vec<usize>,
    matched: Option<bool>,
}

impl TextSearch {
    pub(super) fn new(
        program: Arc<Program>,
        answers: Vec<Option<bool>>,
        metadata: &MessageMetadata<'_>,
    ) -> Self {
        let mut fields: BTreeMap<u64, (u64, Vec<usize>)> = BTreeMap::new();
        let mut unread = vec![0; answers.len()];
        let (mut needles, mut asking) = (Vec::new(), Vec::new());
        for (at, (leaf, answer)) in program.leaves.iter().zip(&answers).enumerate() {
            if answer.is_some() {
                continue;
            }
            let name = match leaf {
                Leaf::Header(name, ..) => name.as_slice(),
                Leaf::Field(field, _) => folded_field_name(*field),
                Leaf::Text(needle, in_headers) => {
                    needles.push(Needle {
                        finder: Arc::clone(&needle.text),
                        in_headers: *in_headers,
                    });
                    asking.push(at);
                    continue;
                }
                _ => continue,
            };
            for field in metadata.header_fields(&[]).into_iter().flatten() {
                if field.name.eq_ignore_ascii_case(name) {
                    let length = field.length.min(limits::FIELD_BYTES as u64);
                    fields
                        .entry(field.offset)
                        .or_insert((length, Vec::new()))
                        .1
                        .push(at);
                    if let Some(unread) = unread.get_mut(at) {
                        *unread += 1;
                    }
                }
            }
        }
        let text = TextMatcher::new(metadata, &needles);
        let field = Vec::new();
        let mut search = Self {
            program,
            answers,
            fields,
            unread,
            field,
            text,
            asking,
            matched: None,
        };
        search.settle();
        search
    }

    /// Return the next range of the message to feed; None when the result is final.
    #[must_use]
    pub fn wanted(&self) -> Option<Range> {
        if self.matched.is_some() {
            return None;
        }
        let Some((offset, (length, _))) = self.fields.first_key_value() else {
            return self.text.wanted();
        };
        let read = self.field.len() as u64;
        Some(Range {
            offset: offset + read,
            length: length.saturating_sub(read),
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
            if bytes.len() < limit {
                return;
            }
            self.read_field();
        }
        self.settle();
    }

    /// Search a complete header field.
    fn read_field(&mut self) {
        let Some((_, (_, leaves))) = self.fields.pop_first() else {
            return;
        };
        let text = field_value_text(&self.field);
        self.field = Vec::new();
        for at in leaves {
            let Some(Leaf::Header(.., needle) | Leaf::Field(_, needle)) =
                self.program.leaves.get(at)
            else {
                continue;
            };
            if let (Some(answer), Some(unread)) =
                (self.answers.get_mut(at), self.unread.get_mut(at))
            {
                *unread -= 1;
                if answer.is_none() && needle.in_fields.find(text.as_bytes()).is_some() {
                    *answer = Some(true);
                }
            }
        }
        // Skip fields that only answered leaves need.
        let answers = &self.answers;
        let open = |leaf: &usize| answers.get(*leaf).is_some_and(Option::is_none);
        self.fields.retain(|_, (_, leaves)| leaves.iter().any(open));
    }

    /// Update the answers: a leaf without unread fields and without a match is false.
    fn settle(&mut self) {
        for (leaf, (answer, unread)) in self
            .program
            .leaves
            .iter()
            .zip(self.answers.iter_mut().zip(&self.unread))
        {
            if *unread == 0 && !matches!(leaf, Leaf::Text(..)) {
                answer.get_or_insert(false);
            }
        }
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
