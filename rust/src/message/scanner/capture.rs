//! Capture of the first bytes of text, for the preview.
use super::Scanner;
use crate::message::header::names::FieldName;
use crate::message::header::values::Headers;
use crate::message::limits::PREVIEW_BYTES;
use crate::message::metadata::build::{Capture, ScannedEntity};
use crate::message::mime;

impl Scanner {
    pub(super) fn begin_capture(&mut self, index: usize, values: &Headers) {
        let Some(ScannedEntity { content, .. }) = self.entities.get(index) else {
            return;
        };
        let is_html = content.is("text", "html");
        if !is_html && !content.is("text", "plain") {
            return;
        }
        let disposition = values
            .get(FieldName::ContentDisposition)
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
                bytes: Vec::new(),
            });
            self.capturing = Some(is_html);
        }
    }

    pub(super) fn capture(&mut self, bytes: &[u8]) {
        let capture = match self.capturing {
            None => return,
            Some(true) => &mut self.html,
            Some(false) => &mut self.plain,
        };
        if let Some(capture) = capture {
            let room = PREVIEW_BYTES
                .saturating_sub(capture.bytes.len())
                .min(bytes.len());
            capture
                .bytes
                .extend_from_slice(bytes.get(..room).unwrap_or_default());
            if capture.bytes.len() >= PREVIEW_BYTES {
                self.capturing = None;
            }
        }
    }

    /// End the capture if it is of this entity; the captured delimiter is cut off.
    pub(super) fn end_capture(&mut self, index: usize, length: u64) {
        for capture in [&mut self.plain, &mut self.html].into_iter().flatten() {
            if capture.index == index {
                capture
                    .bytes
                    .truncate(usize::try_from(length).unwrap_or(usize::MAX));
                self.capturing = None;
            }
        }
    }
}
