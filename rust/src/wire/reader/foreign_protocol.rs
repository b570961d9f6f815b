//! Other protocols on an IMAP port, recognised by their first bytes.

/// Recognise a TLS handshake or SSH by the first bytes.
pub(crate) fn not_imap(held: &[u8]) -> Option<&'static str> {
    if held.starts_with(b"\x16\x03") {
        return Some("this is IMAP without TLS; expected a command, not a TLS handshake");
    }
    held.starts_with(b"SSH-").then_some("this is IMAP, not SSH")
}

/// Recognise a line of HTTP or SMTP.
///
/// The names could be tags: use it only for lines without a command after the tag.
pub(crate) fn other_protocol(line: &[u8]) -> Option<&'static str> {
    let word = line.split(|byte| *byte == b' ').next().unwrap_or_default();
    let is = |names: &[&[u8]]| names.iter().any(|name| word.eq_ignore_ascii_case(name));
    let alone = word.len() == line.len();
    if !alone
        && is(&[
            b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE",
            b"PATCH", b"PRI",
        ])
    {
        return Some("this is IMAP, not HTTP");
    }
    is(&[b"EHLO", b"HELO", b"LHLO"]).then_some("this is IMAP, not SMTP")
}
