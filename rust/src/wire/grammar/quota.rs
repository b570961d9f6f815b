//! GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208).

use super::mailbox::mailbox;
use super::{lossy, parenthesised, upper_atom};
use crate::wire::command::Verb;
use crate::wire::syntax::cursor::{Cursor, Parsed};

/// ```abnf
/// getquota        = "GETQUOTA" SP quota-root-name
/// quota-root-name = astring
/// ```
pub(super) fn get_quota(input: &mut Cursor<'_>) -> Parsed<Verb> {
    let root = root_name(input)?;
    Ok(Verb::GetQuota { root })
}

/// ```abnf
/// getquotaroot = "GETQUOTAROOT" SP mailbox
/// ```
pub(super) fn get_quota_root(input: &mut Cursor<'_>) -> Parsed<Verb> {
    let mailbox = mailbox(input)?;
    Ok(Verb::GetQuotaRoot { mailbox })
}

/// ```abnf
/// setquota          = "SETQUOTA" SP quota-root-name SP setquota-list
/// setquota-list     = "(" [setquota-resource *(SP setquota-resource)] ")"
/// setquota-resource = resource-name SP resource-limit
/// resource-name     = atom
/// resource-limit    = number64
/// ```
/// The server refuses names of resources that it does not have.
pub(super) fn set_quota(input: &mut Cursor<'_>) -> Parsed<Verb> {
    let root = root_name(input)?;
    input.space()?;
    let mut limits = Vec::new();
    parenthesised(input, |input| {
        let resource = upper_atom(input, "a resource")?;
        input.space()?;
        limits.push((resource, input.number64("a limit below 2^63")?));
        Ok(())
    })?;
    Ok(Verb::SetQuota { root, limits })
}

fn root_name(input: &mut Cursor<'_>) -> Parsed<String> {
    Ok(lossy(&input.astring("a quota root")?))
}
