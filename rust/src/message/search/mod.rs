//! SEARCH over the bytes of one message: BODY, TEXT and HEADER.
//!
//! Not here: search keys and their logic (`index::search`), and reading the bytes, which the caller
//! does.

pub(crate) mod matcher;

pub use matcher::{HeaderMatcher, Needle, TextMatcher, WANTED_BYTES, field_text, field_value_text};
