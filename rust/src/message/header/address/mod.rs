//! Lenient parser of address lists (RFC 5322 section 3.4, with the obsolete forms of section 4.4).
//!
//! Every input gives addresses: an error in the list never hides the rest of it.

mod draft;
mod parser;
#[cfg(test)]
mod tests;

use self::parser::parse;

/// Address structure of ENVELOPE (RFC 9051 section 7.5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// One mailbox.
    Mailbox {
        /// Display name, otherwise a comment after the address. Encoded words are not decoded.
        name: Option<Vec<u8>>,
        /// obs-route: `@a,@b`.
        route: Option<Vec<u8>>,
        /// Unquoted; empty if missing.
        local: Vec<u8>,
        /// Empty if missing.
        host: Vec<u8>,
    },
    /// Start of a group, with its name.
    Group(Vec<u8>),
    /// End of a group; follows each `Group`.
    EndOfGroup,
}

/// Return the first addresses of an unfolded field value, with groups as markers, at most `limit`.
pub(crate) fn addresses(value: &[u8], limit: usize) -> Vec<Address> {
    parse(value, limit, limit)
}
