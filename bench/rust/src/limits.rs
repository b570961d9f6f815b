//! What nobody can make grow, and how long things may take: each bound with its reason.

/// Octets kept of a line, to know what it is and for an example. More is read and let go.
pub const LINE_BYTES_MAX: usize = 8 * 1024;

/// Characters of an example in a report.
pub const EXAMPLE_LENGTH: usize = 300;

/// One read of a socket. It stays in the second-level cache, and the kernel copies it in one go;
/// larger ones were not faster.
pub const READ_BYTES: usize = 128 * 1024;

/// Reads of one connection before the others get their turn.
pub const READS_IN_A_ROW: usize = 8;

/// Events taken from epoll at a time.
pub const EVENTS_AT_ONCE: usize = 256;

/// Pieces of output in one system call.
pub const SLICES_AT_ONCE: usize = 8;

/// A larger output buffer is given back when it is empty.
pub const OUTPUT_BYTES_KEPT: usize = 16 * 1024;

/// Open-loop entries that wait for a connection: 8 MB for each thread at most.
pub const BACKLOG_ENTRIES_MAX: usize = 1_000_000;

/// Arrivals that nobody has taken yet: 96 MB.
pub const ARRIVALS_MAX: usize = 4_000_000;

/// Attempts to set a connection up, while all are being opened.
pub const OPENING_ATTEMPTS: u32 = 3;

/// The largest literal of the responder.
pub const RESPONDER_LITERAL: u64 = 1 << 30;

/// Nanoseconds in a millisecond.
pub const MS: u64 = 1_000_000;

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000 * MS;

/// One step of the series.
pub const INTERVAL_NS: u64 = 100 * MS;

/// How often a thread looks at the clock and the stop flag when nothing happens.
pub const TICK_NS: u64 = 10 * MS;

/// How often connections are looked through for answers that are overdue.
pub const SWEEP_NS: u64 = 100 * MS;

/// What is in flight at the end may take so long to end.
pub const DRAIN_NS: u64 = 2 * SECOND;

/// The first wait before a broken connection is opened again; it doubles.
pub const BACKOFF_FIRST_NS: u64 = 100 * MS;

/// How often it doubles: up to 1.6 seconds.
pub const BACKOFF_DOUBLINGS: u32 = 4;

/// With no connection open and connects failing for so long, the server is taken for gone.
pub const GONE_NS: u64 = 5 * SECOND;

/// IDLE is begun anew before the server logs one out (RFC 9051 section 6.3.13: 29 minutes).
pub const IDLE_RESTART_NS: u64 = 25 * 60 * SECOND;

/// The longest latency that is told apart, in microseconds.
pub const LATENCY_MAX_US: u64 = 600_000_000;
