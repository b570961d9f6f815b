//! SEARCH over the bytes of one message: BODY and TEXT.
//!
//! Not here: search keys and their logic (`index::search`), and reading the bytes, which the caller
//! does.

mod fuzzy;
mod text_matcher;

pub use fuzzy::{FuzzyMatcher, FuzzyNeedle, Tolerance};
pub use text_matcher::{Needle, TextMatcher, WANTED_BYTES};
