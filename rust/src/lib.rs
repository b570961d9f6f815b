//! The language and the arithmetic of imapvm.
//!
//! What an RFC writes in ABNF and what loops over messages is here; what somebody has to decide
//! is Python. This crate holds no policy, opens nothing, reads no clock and starts no thread.

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
