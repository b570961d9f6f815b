//! The IMAP language: framing, grammar, names, answers.

pub mod ast;
mod base64;
mod charset;
pub mod checks;
pub mod command;
mod cursor;
pub mod dates;
pub mod dots;
pub mod flags;
mod frame;
mod grammar;
mod greeting;
mod items;
pub mod limits;
pub mod names;
pub mod pattern;
pub mod reader;
mod sets;
pub mod writer;
