//! Commands that name a mailbox, and STORE.

use super::{lossy, parenthesised};
use crate::wire::ast::SequenceSet;
use crate::wire::command::{Qresync, Store, StoreMode, Verb};
use crate::wire::names;
use crate::wire::syntax::cursor::{Cursor, ParseError, Parsed};
use crate::wire::syntax::flags::{bare_flags, flag_list};
use crate::wire::syntax::sets::{known_set, sequence_set};

/// ```abnf
/// mailbox = "INBOX" / astring
/// ```
pub(super) fn mailbox(input: &mut Cursor<'_>) -> Parsed<String> {
    let received = input.astring("a mailbox")?;
    let error = if input.utf8 {
        "mailbox name is not UTF-8"
    } else {
        "mailbox name is not modified UTF-7"
    };
    names::decode(&received, input.utf8).ok_or(ParseError::BadName(error))
}

/// ```abnf
/// select       = ("SELECT" / "EXAMINE") SP mailbox [SP "(" select-param *(SP select-param) ")"]
/// select-param = "CONDSTORE" / "QRESYNC" SP "(" uidvalidity SP mod-sequence-value
///                [SP known-uids] [SP seq-match-data] ")"
/// ```
/// RFC 7162 section 7.
pub(super) fn select(input: &mut Cursor<'_>, read_only: bool) -> Parsed<Verb> {
    let mailbox = mailbox(input)?;
    let mut condstore = false;
    let mut qresync = None;
    if !input.at_end() {
        input.space()?;
        parenthesised(input, |input| {
            if input.take_word(b"CONDSTORE") {
                condstore = true;
                Ok(())
            } else if input.take_word(b"QRESYNC") {
                input.space()?;
                qresync = Some(qresync_param(input)?);
                Ok(())
            } else {
                input.expected("CONDSTORE or QRESYNC")
            }
        })?;
    }
    Ok(Verb::Select {
        mailbox,
        read_only,
        condstore,
        qresync,
    })
}

/// ```abnf
/// "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"
/// known-uids     = sequence-set
/// seq-match-data = "(" known-sequence-set SP known-uid-set ")"
/// ```
/// RFC 7162 section 7. Lenient: accept a MODSEQ of 0, from clients without a state.
fn qresync_param(input: &mut Cursor<'_>) -> Parsed<Qresync> {
    input.open()?;
    let uid_validity = input.nz_number("a UIDVALIDITY")?;
    input.space()?;
    let modseq = input.number64("a MODSEQ")?;
    let (mut known, mut matches) = (None, None);
    if input.take_space() {
        if input.peek() != Some(b'(') {
            known = Some(known_set(input, "a set of known UIDs")?);
        }
        if known.is_none() || input.take_space() {
            input.open()?;
            let numbers = known_set(input, "a set of known message numbers")?;
            input.space()?;
            matches = Some((numbers, known_set(input, "a set of known UIDs")?));
            input.close()?;
        }
    }
    input.close()?;
    Ok(Qresync {
        uid_validity,
        modseq,
        known,
        matches,
    })
}

/// Names of the special uses (RFC 6154 section 2, RFC 8457 section 4).
const SPECIAL_USES: [&str; 8] = [
    "\\All",
    "\\Archive",
    "\\Drafts",
    "\\Flagged",
    "\\Important",
    "\\Junk",
    "\\Sent",
    "\\Trash",
];

/// ```abnf
/// create       = "CREATE" SP mailbox [SP "(" create-param *(SP create-param) ")"]
/// create-param = "USE" SP "(" [use-attr *(SP use-attr)] ")"
/// use-attr     = "\" atom
/// ```
/// RFC 6154 section 6. A use that does not exist is accepted here; the server refuses it with
/// NO \[USEATTR\].
pub(super) fn create(input: &mut Cursor<'_>) -> Parsed<Verb> {
    let mailbox = mailbox(input)?;
    let mut special_use: Vec<String> = Vec::new();
    if !input.at_end() {
        input.space()?;
        parenthesised(input, |input| {
            if !input.take_word(b"USE") {
                return input.expected("USE");
            }
            input.space()?;
            parenthesised(input, |input| {
                input.need(b'\\', "a special use as \\Sent")?;
                let name = format!("\\{}", lossy(input.atom("a special use as \\Sent")?));
                let known = SPECIAL_USES
                    .iter()
                    .find(|known| known.eq_ignore_ascii_case(&name));
                let name = known.map_or(name, |known| (*known).to_owned());
                if special_use.len() > SPECIAL_USES.len() || !special_use.contains(&name) {
                    special_use.push(name); // one too many is enough for the server to refuse
                }
                Ok(())
            })
        })?;
    }
    Ok(Verb::Create {
        mailbox,
        special_use,
    })
}

/// ```abnf
/// rename = "RENAME" SP mailbox SP mailbox
/// ```
pub(super) fn rename(input: &mut Cursor<'_>) -> Parsed<Verb> {
    let from = mailbox(input)?;
    input.space()?;
    Ok(Verb::Rename {
        mailbox: from,
        to: mailbox(input)?,
    })
}

/// ```abnf
/// copy = ("COPY" / "MOVE") SP sequence-set SP mailbox
/// ```
pub(super) fn copy(input: &mut Cursor<'_>) -> Parsed<(SequenceSet, String)> {
    let set = sequence_set(input)?;
    input.space()?;
    Ok((set, mailbox(input)?))
}

/// ```abnf
/// store           = "STORE" SP sequence-set [SP "(" "UNCHANGEDSINCE" SP number64 ")"]
///                   SP store-att-flags
/// store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))
/// ```
/// RFC 9051 section 9, RFC 7162 section 7.
pub(super) fn store(input: &mut Cursor<'_>, uid: bool) -> Parsed<Verb> {
    let set = sequence_set(input)?;
    input.space()?;
    let mut unchanged_since = None;
    if input.take(b'(') {
        if !input.take_word(b"UNCHANGEDSINCE") {
            return input.expected("UNCHANGEDSINCE");
        }
        input.space()?;
        unchanged_since = Some(input.number64("a MODSEQ")?);
        input.close()?;
        input.space()?;
    }
    let start = input.clone();
    let mode = if input.take(b'+') {
        StoreMode::Add
    } else if input.take(b'-') {
        StoreMode::Remove
    } else {
        StoreMode::Replace
    };
    let silent = input.take_word(b"FLAGS.SILENT");
    if !silent && !input.take_word(b"FLAGS") {
        return start.expected("FLAGS, +FLAGS or -FLAGS");
    }
    input.space()?;
    let flags = if input.peek() == Some(b'(') {
        flag_list(input)?
    } else {
        bare_flags(input)?
    };
    Ok(Verb::Store(Store {
        uid,
        set,
        mode,
        silent,
        flags,
        unchanged_since,
    }))
}
