//! The IMAP language: framing, grammar, names, answers.

pub mod ast;
