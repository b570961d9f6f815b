//! Sets of UIDs as runs, and the map between message numbers and UIDs.

mod uid_map;
mod uid_set;

#[cfg(test)]
mod tests;

pub use uid_map::UidMap;
pub use uid_set::{BadRun, Run, Runs, UidSet};

/// Append a number in decimal. Faster than `write!`: most of a server's output is numbers.
pub(crate) fn put_decimal(out: &mut Vec<u8>, mut value: u64) {
    const DIGITS_OF_U64: usize = 20;
    let mut digits = [0; DIGITS_OF_U64];
    let mut used = 0;
    for place in digits.iter_mut().rev() {
        *place = b'0' + (value % 10) as u8;
        value /= 10;
        used += 1;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(DIGITS_OF_U64 - used..).unwrap_or_default());
}
