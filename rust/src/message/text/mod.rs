//! Text: charsets, collations, white space, and the preview.
//!
//! Not here: encoded words of header fields ([`header`](super::header)).

mod casemap;
pub(crate) mod charset;
pub mod collation;
pub(crate) mod preview;
pub(crate) mod white_space;
