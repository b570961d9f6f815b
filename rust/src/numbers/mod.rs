//! Sets of numbers as runs, and the map between message numbers and UIDs.

mod uid_map;
mod uid_set;

#[cfg(test)]
mod tests;

pub use uid_map::UidMap;
pub use uid_set::{BadRun, Run, Runs, UidSet};

/// Stored bytes are not what this crate wrote: damage, or another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt(pub &'static str);

impl std::fmt::Display for Corrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Corrupt {}
