//! Messages whose octets decide: first header fields that are named, then the text.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::program::{Leaf, Program};
use super::{kept_name, verdict};
use crate::message::fold::collapse;
use crate::message::{Digest, Range, decode_header, fold, limits};

/// One message whose octets decide; they are given in order, in any portions. It holds at most one
/// header field of [`limits::FIELD_OCTETS`] and what the text needs across a border.
pub struct TextSearch {
    program: Arc<Program>,
    answers: Vec<Option<bool>>,
    /// Header fields to read, by offset: octets of each, and the leaves that ask for it.
    fields: BTreeMap<u64, (u64, Vec<usize>)>,
    /// How many of them each leaf has yet to see.
    unread: Vec<usize>,
    /// What has been fed of the first of them.
    field: Vec<u8>,
    text: Text,
    matched: Option<bool>,
}

/// What is left of the message to look through.
struct Text {
    wanted: Range,
    header_size: u64,
    /// The end of what was fed last, for what lies across the border.
    tail: Vec<u8>,
}

impl TextSearch {
    pub(super) fn new(
        program: Arc<Program>,
        answers: Vec<Option<bool>>,
        digest: &Digest<'_>,
    ) -> Self {
        let mut fields: BTreeMap<u64, (u64, Vec<usize>)> = BTreeMap::new();
        let mut unread = vec![0; answers.len()];
        for (leaf, asked) in program.leaves.iter().enumerate() {
            if answers.get(leaf).is_none_or(Option::is_some) {
                continue;
            }
            let name = match asked {
                Leaf::Header(name, _) => name.as_slice(),
                Leaf::Field(field, _) => kept_name(*field),
                _ => continue,
            };
            for field in digest.header_fields(&[]).into_iter().flatten() {
                if field.name.eq_ignore_ascii_case(name) {
                    let length = field.length.min(limits::FIELD_OCTETS as u64);
                    fields
                        .entry(field.offset)
                        .or_insert((length, Vec::new()))
                        .1
                        .push(leaf);
                    if let Some(unread) = unread.get_mut(leaf) {
                        *unread += 1;
                    }
                }
            }
        }
        let wanted = Range {
            offset: 0,
            length: digest.size(),
        };
        let text = Text {
            wanted,
            header_size: digest.header_size(),
            tail: Vec::new(),
        };
        let mut search = Self {
            program,
            answers,
            fields,
            unread,
            field: Vec::new(),
            text,
            matched: None,
        };
        search.settle();
        search
    }

    /// The next stretch of the message to feed, or None when it is decided.
    #[must_use]
    pub fn wanted(&self) -> Option<Range> {
        if self.matched.is_some() {
            return None;
        }
        let Some((offset, (length, _))) = self.fields.first_key_value() else {
            return Some(self.text.wanted);
        };
        let read = self.field.len() as u64;
        Some(Range {
            offset: offset + read,
            length: length.saturating_sub(read),
        })
    }

    /// Octets of that stretch, as many as are at hand.
    pub fn feed(&mut self, octets: &[u8]) {
        let Some(wanted) = self.wanted() else { return };
        let octets = octets
            .get(..usize::try_from(wanted.length).unwrap_or(usize::MAX))
            .unwrap_or(octets);
        if self.fields.is_empty() {
            self.feed_text(octets);
        } else {
            self.field.extend_from_slice(octets);
            if octets.len() as u64 == wanted.length {
                self.read_field();
            }
        }
        self.settle();
    }

    /// A whole header field is here: look into it.
    fn read_field(&mut self) {
        let Some((_, (_, leaves))) = self.fields.pop_first() else {
            return;
        };
        let octets = std::mem::take(&mut self.field);
        let colon = memchr::memchr(b':', &octets).map_or(0, |at| at + 1);
        let value = decode_header(octets.get(colon..).unwrap_or_default());
        let text = fold(&collapse(&value));
        for at in leaves {
            let Some(Leaf::Header(_, needle) | Leaf::Field(_, needle)) =
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
    }

    fn feed_text(&mut self, octets: &[u8]) {
        let text = &mut self.text;
        let from = text.wanted.offset - text.tail.len() as u64;
        text.tail.extend(octets.iter().map(u8::to_ascii_lowercase));
        let mut longest = 0;
        for (leaf, answer) in self.program.leaves.iter().zip(&mut self.answers) {
            let Leaf::Text(needle, in_headers) = leaf else {
                continue;
            };
            let start = if *in_headers { 0 } else { text.header_size };
            longest = longest.max(needle.text.len());
            let mut found = needle.in_fields.find_iter(&text.tail);
            if answer.is_none() && found.any(|at| from + at as u64 >= start) {
                *answer = Some(true);
            }
        }
        let read = octets.len() as u64;
        text.wanted = Range {
            offset: text.wanted.offset + read,
            length: text.wanted.length - read,
        };
        let keep = text.tail.len().min(longest.saturating_sub(1));
        text.tail.drain(..text.tail.len() - keep);
    }

    /// See whether it is decided: what was looked for to its end and not found is not there.
    fn settle(&mut self) {
        for (at, (leaf, answer)) in self
            .program
            .leaves
            .iter()
            .zip(&mut self.answers)
            .enumerate()
        {
            let ended = match leaf {
                Leaf::Text(..) => self.text.wanted.length == 0,
                _ => self.unread.get(at).is_none_or(|unread| *unread == 0),
            };
            if ended {
                answer.get_or_insert(false);
            }
        }
        self.matched = verdict(&self.program, &self.answers);
    }

    /// Does the message match? False until it is decided.
    #[must_use]
    pub fn matched(&self) -> bool {
        self.matched.unwrap_or(false)
    }
}
