//! The load engine of imapvm-bench: many connections on few threads, and what they measure.
//!
//! `answer` and `session` know the protocols and do no I/O; `worker` moves octets; `load` and `idle`
//! start workers and gather what they have found.

pub mod clock;
pub mod errors;
pub mod limits;
mod line_reader;
pub mod load;
pub mod output;
pub mod plan;
#[cfg(feature = "python")]
mod py;
pub mod random;
pub mod report;
pub mod responder;
pub mod response;
pub mod session;
pub mod stats;
pub mod transport;
pub mod worker;
