//! Header fields of RFC 5322: lexical tokens, and the values of structured and unstructured fields.
//!
//! All parsers are lenient and take the unfolded value of one field. Not here: the fields of MIME
//! ([`mime`](super::mime)), finding fields in a message ([`scanner`](super::scanner)), and storing
//! them ([`metadata`](super::metadata)).

pub(crate) mod addr_spec;
pub(crate) mod address;
pub(crate) mod date;
pub(crate) mod encoded_words;
pub(crate) mod lexer;
pub(crate) mod message_id;
pub(crate) mod names;
pub(crate) mod search_text;
pub(crate) mod subject;
pub(crate) mod values;
