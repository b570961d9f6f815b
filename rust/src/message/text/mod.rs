//! Text: charsets, case folding, and the preview.
//!
//! Not here: encoded words of header fields ([`header`](super::header)).

pub(crate) mod charset;
pub mod fold;
pub(crate) mod preview;
