//! Bounds of what a client may send.

/// Bounds of a [`Reader`](super::reader::Reader), in bytes unless named otherwise.
///
/// The numbers are the caller's: they are narrower before login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// One line without its literals and its line end, and so the text kept to look for one.
    pub line: usize,
    /// One literal that is not a message.
    pub literal: usize,
    /// All lines and literals of one command together, messages excepted.
    pub command: usize,
    /// One message of APPEND.
    pub append: u64,
    /// Parentheses, NOT and OR, in each other.
    pub nesting: usize,
    /// Elements of one list: search keys, fetch items, flags, ranges, literals of a command.
    pub items: usize,
}

/// Bytes of the items of `MessageNew` in NOTIFY and of those of UPDATE, which a session keeps (RFC
/// 5465 sections 5.2 and 7).
pub const NOTIFY_ITEMS: usize = 2048;

/// Response code of SETMETADATA with a value that is too long (RFC 5464 section 4.3), with
/// `ANNOTATION_MAX` of `model/limits.py`, which is less than `Limits::literal`.
pub(crate) const METADATA_TOO_LARGE: &str = "METADATA MAXSIZE 32768";

/// Largest non-synchronizing literal with LITERAL- (RFC 7888 section 5).
pub(crate) const LITERAL_MINUS_MAX: u64 = 4096;

impl Default for Limits {
    fn default() -> Self {
        Self {
            line: 65_536,
            literal: 65_536,
            command: 262_144,
            append: 67_108_864,
            nesting: 64,
            items: 8_192,
        }
    }
}
