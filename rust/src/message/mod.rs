//! Messages: one pass over the octets gives a [`Digest`], and later questions ask that.

mod address;
mod charset;
pub mod checks;
mod compress;
mod date;
pub mod digest;
mod fields;
pub mod fold;
mod headers;
mod ids;
mod learn;
mod lexer;
pub mod limits;
pub mod matcher;
mod mime;
mod names;
mod parts;
mod preview;
mod render;
pub mod scanner;
mod stored;
pub mod strict;
mod subject;
mod transfer;
mod verbatim;
mod words;

pub use charset::CharsetDecoder;
pub use compress::{compress, decompress, decompress_into};
pub use digest::{Corrupt, Digest, Range, SortKey};
pub use fields::{HeaderField, HeaderFields};
pub use fold::fold;
pub use ids::thread_hash;
pub use matcher::{HeaderMatcher, Needle, TextMatcher};
pub use parts::{LeafParts, Part};
pub use scanner::Scanner;
pub use transfer::TransferDecoder;
pub use verbatim::{VerbatimFields, VerbatimNames};
pub use words::decode_header;

#[cfg(test)]
mod tests;
