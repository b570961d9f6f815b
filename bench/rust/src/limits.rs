//! Limits of sizes and times, each with its reason.

/// Bytes kept of a line that reads have cut: enough to classify it and for an example.
pub const LINE_BYTES_MAX: usize = 8 * 1024;

/// Characters of an example in a report.
pub const EXAMPLE_LENGTH: usize = 300;

/// Bytes of one read. They fit into the second-level cache; larger reads were not faster.
pub const READ_BYTES: usize = 128 * 1024;

/// Reads of one connection before the other connections are served.
pub const READS_IN_A_ROW: usize = 8;

/// Events taken from epoll at a time.
pub const EVENTS_AT_ONCE: usize = 256;

/// Pieces of output in one system call.
pub const SLICES_AT_ONCE: usize = 8;

/// A larger output buffer is freed when it is empty.
pub const OUTPUT_BYTES_KEPT: usize = 16 * 1024;

/// Open-loop entries that wait for a connection: at most 8 MB for each thread.
pub const BACKLOG_ENTRIES_MAX: usize = 1_000_000;

/// Arrivals kept until `IdleLoad.arrivals` returns them: 96 MB.
pub const ARRIVALS_MAX: usize = 4_000_000;

/// Attempts to set up a connection, while all are being opened.
pub const OPENING_ATTEMPTS: u32 = 3;

/// The largest literal of the responder.
pub const RESPONDER_LITERAL: u64 = 1 << 30;

/// Nanoseconds in a millisecond.
pub const MS: u64 = 1_000_000;

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000 * MS;

/// Interval of the series.
pub const INTERVAL_NS: u64 = 100 * MS;

/// Interval at which an idle thread reads the clock and the stop flag.
pub const TICK_NS: u64 = 10 * MS;

/// Interval at which connections are checked for overdue answers.
pub const SWEEP_NS: u64 = 100 * MS;

/// Time for the commands in flight at the end.
pub const DRAIN_NS: u64 = 2 * SECOND;

/// First wait before a broken connection is opened again; it doubles.
pub const BACKOFF_FIRST_NS: u64 = 100 * MS;

/// Number of times the wait doubles: up to 1.6 seconds.
pub const BACKOFF_DOUBLINGS: u32 = 4;

/// With no connection open and connects failing for this long, the server counts as stopped.
pub const GONE_NS: u64 = 5 * SECOND;

/// IDLE is sent again before the server may log the client out (RFC 9051 section 6.3.13).
pub const IDLE_RESTART_NS: u64 = 25 * 60 * SECOND;

/// Largest latency of a histogram, in microseconds.
pub const LATENCY_MAX_US: u64 = 600_000_000;
