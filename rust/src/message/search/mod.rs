//! SEARCH over the bytes of one message: BODY, TEXT and HEADER.
//!
//! Search keys and their logic are in `index::search`; reading the bytes is left to the caller.

pub(crate) mod matcher;

pub use matcher::{HeaderMatcher, Needle, TextMatcher, WANTED_BYTES, field_text, field_value_text};
