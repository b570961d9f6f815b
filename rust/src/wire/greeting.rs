//! Other protocols at our door: nothing they say can be followed.

/// What a stream's or command's first octets say that no IMAP client says.
pub(crate) fn not_imap(held: &[u8]) -> Option<&'static str> {
    if held.starts_with(b"\x16\x03") {
        return Some("this is IMAP without TLS; expected a command, not a TLS handshake");
    }
    held.starts_with(b"SSH-").then_some("this is IMAP, not SSH")
}

/// A line that is no command and begins as lines of HTTP and SMTP do.
///
/// The names could be tags, so it is asked only about what has no command behind its tag.
pub(crate) fn other_protocol(line: &[u8]) -> Option<&'static str> {
    let word = line
        .split(|octet| *octet == b' ')
        .next()
        .unwrap_or_default();
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
