//! IMAP syntax: framing, grammar, names, responses.

pub mod ast;
pub mod checks;
pub mod command;
pub mod disabled;
pub mod dots;
pub mod filters;
mod grammar;
mod items;
pub mod limits;
pub mod names;
pub mod pattern;
pub mod reader;
pub mod syntax;
pub mod writer;
