//! What servers say, read without I/O: lines first, then what they are.

mod imap;
mod lines;
mod lmtp;

pub use imap::{Answer, Status, classify};
pub use lines::Lines;
pub use lmtp::{Reply, reply};

#[cfg(test)]
mod tests;
