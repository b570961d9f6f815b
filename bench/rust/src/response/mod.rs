//! Responses of servers: classification of lines, without I/O.

mod imap;
mod lmtp;

pub(crate) use imap::may_have_literals;
pub use imap::{Response, Status, classify};
pub use lmtp::{Reply, reply};

#[cfg(test)]
mod tests;
