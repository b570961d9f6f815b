//! The load engine of imapvm-bench: many connections on few threads, and what they measure.
//!
//! `answer` and `session` know the protocols and do no I/O; `worker` moves octets; `load` and `idle`
//! start workers and gather what they have found.

pub mod answer;
pub mod board;
pub mod bounds;
pub mod clock;
pub mod errors;
pub mod load;
pub mod output;
pub mod plan;
#[cfg(feature = "python")]
mod py;
pub mod random;
pub mod report;
pub mod responder;
pub mod session;
pub mod tally;
pub mod transport;
pub mod worker;
