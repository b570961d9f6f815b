//! Core of imapvm: the grammar of IMAP, messages, the index, and reading of the data file.
//!
//! Code that an RFC specifies in ABNF, and code that loops over messages, is here; decisions are
//! made in Python. This crate has no policy, opens no files, reads no clock and starts no threads.

pub mod checks;
mod corrupt;
pub mod filepool;
pub mod index;
pub mod message;
pub mod numbers;
pub mod pages;
#[cfg(feature = "python")]
mod py;
pub mod wire;

pub use corrupt::Corrupt;
