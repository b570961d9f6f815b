//! Flags as clients write them.

use std::borrow::Cow;

use super::cursor::{Cursor, Parsed, is_atom_char};
use crate::wire::ast::system;

/// System flags as bits of [`system`], and keywords.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlagList {
    /// Bits of [`system`].
    pub system: u8,
    /// Keywords as first written, without duplicates in any case.
    pub keywords: Vec<String>,
}

/// The names of the system flags (RFC 9051 section 2.3.2).
pub const SYSTEM_NAMES: [(&str, u8); 5] = [
    ("\\Seen", system::SEEN),
    ("\\Answered", system::ANSWERED),
    ("\\Flagged", system::FLAGGED),
    ("\\Deleted", system::DELETED),
    ("\\Draft", system::DRAFT),
];

/// ```abnf
/// flag-list = "(" [flag *(SP flag)] ")"
/// ```
pub(crate) fn flag_list(input: &mut Cursor<'_>) -> Parsed<FlagList> {
    input.open()?;
    if input.take(b')') {
        return Ok(FlagList::default());
    }
    let flags = bare_flags(input)?;
    input.close()?;
    Ok(flags)
}

/// ```abnf
/// flag *(SP flag)
/// ```
/// STORE may leave the parentheses out (RFC 9051 section 9, `store-att-flags`).
pub(crate) fn bare_flags(input: &mut Cursor<'_>) -> Parsed<FlagList> {
    let mut flags = FlagList::default();
    let mut folded = std::collections::HashSet::new();
    let mut count = 0;
    loop {
        input.room(count, "flags in a list")?;
        count += 1;
        match flag(input)? {
            Named::System(bit) => flags.system |= bit,
            Named::Keyword(name) => {
                if folded.insert(name.to_ascii_lowercase()) {
                    flags
                        .keywords
                        .push(String::from_utf8_lossy(&name).into_owned());
                }
            }
        }
        if input.at_end() || !input.take_space() || input.peek() == Some(b')') {
            return Ok(flags);
        }
    }
}

/// ```abnf
/// flag-keyword = "$MDNSent" / "$Forwarded" / "$Junk" / "$NotJunk" / "$Phishing" / atom
/// ```
/// Lenient: an atom in quotes.
pub(crate) fn keyword<'a>(input: &mut Cursor<'a>, what: &'static str) -> Parsed<Cow<'a, [u8]>> {
    if input.peek() != Some(b'"') {
        return input.atom(what).map(Cow::Borrowed);
    }
    let start = input.clone();
    let name = input.string(what)?;
    if name.is_empty() || !name.iter().all(|byte| is_atom_char(*byte)) {
        return start.expected(what);
    }
    Ok(name)
}

enum Named<'a> {
    System(u8),
    Keyword(Cow<'a, [u8]>),
}

/// ```abnf
/// flag = "\Answered" / "\Flagged" / "\Deleted" / "\Seen" / "\Draft" / flag-keyword
/// ```
/// `\Recent` cannot be set by a client (RFC 3501 section 2.3.2), and `flag-extension` names
/// nothing that exists.
fn flag<'a>(input: &mut Cursor<'a>) -> Parsed<Named<'a>> {
    let rest = input.rest();
    if rest.first() != Some(&b'\\') {
        return keyword(input, "a flag").map(Named::Keyword);
    }
    let name = rest
        .iter()
        .skip(1)
        .take_while(|byte| is_atom_char(**byte))
        .count()
        + 1;
    let written = rest.get(..name).unwrap_or_default();
    for (known, bit) in SYSTEM_NAMES {
        if written.eq_ignore_ascii_case(known.as_bytes()) {
            input.skip(name);
            return Ok(Named::System(bit));
        }
    }
    input.expected("a flag that can be set")
}
