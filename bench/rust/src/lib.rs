//! The load engine of imapvm-bench: many connections on few threads, and what they measure.
//!
//! `answer` and `talk` know the protocols and do no I/O; `worker` moves octets; `load` and `idle`
//! start workers and gather what they have found.

pub mod errors;
#[cfg(feature = "python")]
mod py;
