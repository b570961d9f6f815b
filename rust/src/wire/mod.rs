//! IMAP syntax: framing, grammar, names, responses.

pub mod ast;
mod base64;
mod charset;
pub mod checks;
pub mod command;
mod cursor;
pub mod dates;
pub mod dots;
pub mod flags;
mod foreign_protocol;
mod frame;
mod grammar;
mod items;
pub mod limits;
pub mod names;
pub mod pattern;
pub mod reader;
mod sets;
pub mod writer;
