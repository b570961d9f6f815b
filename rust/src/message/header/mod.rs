//! Header fields of RFC 5322: lexical tokens, and the values of structured and unstructured fields.
//!
//! Every parser takes the unfolded value of one field and is lenient. The fields that MIME adds are
//! in [`mime`](super::mime); where fields are found in a message is the business of
//! [`scanner`](super::scanner), and how they are stored that of [`metadata`](super::metadata).

pub(crate) mod address;
pub(crate) mod date;
pub(crate) mod encoded_words;
pub(crate) mod lexer;
pub(crate) mod message_id;
pub(crate) mod subject;
pub(crate) mod values;
