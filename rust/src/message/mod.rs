//! Messages: one pass over the bytes gives the metadata, which answers later requests.
//!
//! [`scanner`] reads a message as it arrives, [`metadata`] is what is stored of it, and [`search`]
//! looks into the message itself. [`header`], [`mime`] and [`text`] hold the grammar that all three
//! use. Dependencies: `scanner` → `metadata` → `header`, `mime`, `text`; `search` → `metadata`,
//! `header`, `mime`, `text`.

pub mod checks;
mod header;
pub mod limits;
mod metadata;
mod mime;
pub mod scanner;
pub mod search;
pub mod text;

pub(crate) use self::metadata::checksum;
pub use header::encoded_words::decode_header;
pub use header::message_id::thread_hash;
pub(crate) use header::search_text::append_field_value;
pub use metadata::envelope::{AddressKey, AddressList};
pub use metadata::field_table::{HeaderField, HeaderFields};
pub use metadata::header_cache::{CachedFields, CachedNames};
pub use metadata::part_table::{LeafParts, Part};
pub use metadata::stored::{MessageMetadata, Range, VERSION as METADATA_VERSION};
pub(crate) use metadata::stored::{SEARCH_FIELDS, field_name};
pub use metadata::strict;
pub use mime::transfer::TransferDecoder;
pub use scanner::Scanner;
pub use search::{Needle, TextMatcher};
pub use text::charset::CharsetDecoder;
pub use text::collation::Collation;

#[cfg(test)]
mod tests;
