//! SEARCH over the bytes of one message: BODY and TEXT, and the text of header fields.
//!
//! Not here: search keys and their logic (`index::search`), and reading the bytes, which the caller
//! does.

mod field;
mod fuzzy;
mod text_matcher;

pub use field::{field_text, field_value_text};
pub(crate) use fuzzy::is_in;
pub use fuzzy::{FuzzyMatcher, FuzzyNeedle, Tolerance};
pub use text_matcher::{Needle, TextMatcher, WANTED_BYTES};
