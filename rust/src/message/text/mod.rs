//! Text: charsets, case folding, and the preview.
//!
//! Encoded words of header fields are in [`header`](super::header).

pub(crate) mod charset;
pub mod fold;
pub(crate) mod preview;
