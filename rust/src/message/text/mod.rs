//! Text: charsets, case folding, collation, and the preview.
//!
//! Not here: encoded words of header fields ([`header`](super::header)).

pub mod casemap;
pub(crate) mod charset;
pub mod fold;
pub(crate) mod preview;
