//! MIME: values of the Content-* header fields, and the transfer encodings.
//!
//! Splitting a message into parts is done by [`scanner`](super::scanner); charsets are in
//! [`text`](super::text).

mod fields;
pub(crate) mod transfer;

pub(crate) use fields::{ContentType, Parameter, disposition, languages, transfer_encoding};
