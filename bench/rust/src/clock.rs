//! `CLOCK_MONOTONIC`, which Python's `time.monotonic_ns()` also reads.

use rustix::time::{ClockId, clock_gettime};

use crate::limits::SECOND;

/// Return the time in nanoseconds. Costs 25 ns (vDSO).
#[must_use]
pub fn now() -> u64 {
    let at = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(at.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(at.tv_nsec).unwrap_or(0);
    seconds.wrapping_mul(SECOND).wrapping_add(nanoseconds)
}
