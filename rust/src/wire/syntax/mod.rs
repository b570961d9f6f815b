//! Elements that several commands have: the cursor over a command, and its dates, flags, sets,
//! charsets and base64.
//!
//! Not here: commands ([`grammar`](super::grammar)) and mailbox names ([`names`](crate::wire::names)).

pub(crate) mod base64;
pub(crate) mod charset;
pub(crate) mod cursor;
pub mod dates;
pub mod flags;
pub(crate) mod sets;
