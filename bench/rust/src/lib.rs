//! The load engine of imapvm-bench: many connections on few threads, with measurements.
//!
//! `response` and `session` implement the protocols without I/O; `worker` does the I/O of one thread;
//! `load` starts the workers and merges their results.

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
