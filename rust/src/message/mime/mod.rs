//! MIME: values of the Content-* header fields, and the transfer encodings.
//!
//! Not here: splitting a message into parts ([`scanner`](super::scanner)) and charsets
//! ([`text`](super::text)).

mod continuations;
mod fields;
pub(crate) mod transfer;

pub(crate) use continuations::Parameter;
pub(crate) use fields::{ContentType, disposition, languages, transfer_encoding};
