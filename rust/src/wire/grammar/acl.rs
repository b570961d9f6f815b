//! SETACL, DELETEACL, LISTRIGHTS (RFC 4314 section 7).

use super::mailbox::mailbox;
use crate::wire::command::Verb;
use crate::wire::syntax::cursor::{Cursor, Parsed};

/// ```abnf
/// mailbox SP identifier
/// identifier = astring
/// ```
/// Arguments of DELETEACL and LISTRIGHTS. The server prepares and checks the identifier.
pub(super) fn mailbox_and_identifier(input: &mut Cursor<'_>) -> Parsed<(String, Vec<u8>)> {
    let mailbox = mailbox(input)?;
    input.space()?;
    Ok((mailbox, input.astring("an identifier")?.into_owned()))
}

/// ```abnf
/// setacl     = "SETACL" SP mailbox SP identifier SP mod-rights
/// mod-rights = astring
/// ```
pub(super) fn set_acl(input: &mut Cursor<'_>) -> Parsed<Verb> {
    let (mailbox, identifier) = mailbox_and_identifier(input)?;
    input.space()?;
    let rights = input.astring("rights")?.into_owned();
    Ok(Verb::SetAcl {
        mailbox,
        identifier,
        rights,
    })
}
