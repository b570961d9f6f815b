//! Messages: one pass over the octets gives a [`Digest`], and later questions ask that.

pub mod digest;
mod fields;
pub mod fold;
pub mod limits;
mod names;
mod parts;
pub mod scanner;
mod stored;

pub use digest::{Corrupt, Digest, Range, SortKey};
pub use fields::{HeaderField, HeaderFields};
pub use fold::fold;
pub use parts::{LeafParts, Part};
pub use scanner::Scanner;
