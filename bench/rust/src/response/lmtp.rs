//! Replies of an LMTP server (RFC 5321 section 4.2).

/// ```abnf
/// Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// 200..=599.
    pub code: u16,
    /// The last line of its reply.
    pub is_last: bool,
}

/// Parse a line of a reply; None where it is something else.
#[must_use]
pub fn reply(line: &[u8]) -> Option<Reply> {
    let (code, rest) = line.split_at_checked(3)?;
    let code = code.iter().try_fold(0_u16, |code, &byte| {
        byte.is_ascii_digit()
            .then(|| code * 10 + u16::from(byte - b'0'))
    })?;
    let is_last = match rest.first() {
        None | Some(b' ') => true,
        Some(b'-') => false,
        Some(_) => return None,
    };
    (200..600)
        .contains(&code)
        .then_some(Reply { code, is_last })
}
