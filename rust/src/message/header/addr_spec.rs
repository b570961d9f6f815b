//! Addresses as ENVELOPE shows them, for SEARCH.
//!
//! SEARCH compares the decoded text of a field. That is not enough for `<user (c)@ (c) host>`, which
//! ENVELOPE shows as `user` and `host`: such an address is appended to the text as `user@host`.
use super::address::{Address, addresses};
use super::lexer::is_blank;
use crate::message::limits::ADDRESSES;
use crate::message::text::charset::decode_unnamed;
use crate::message::text::white_space::collapse;

/// Bytes that are compared to leave out addresses which the text contains: some 100 µs. Past it,
/// all addresses of a field are appended.
const COMPARED_BYTES: usize = 1024 * 1024;

/// Append to the decoded text of a field, each after a line feed, the addresses of its value that the
/// text does not contain: at most those that ENVELOPE shows. No needle contains a line feed.
///
/// Cost: linear in the value.
pub(crate) fn append_addresses(text: &mut String, value: &[u8]) {
    if shows_all_addresses(value) {
        return;
    }
    let list = addresses(value, ADDRESSES);
    let specs: Vec<String> = list.iter().filter_map(decoded_spec).collect();
    let end = text.len();
    let is_cheap = end.saturating_mul(specs.len()) <= COMPARED_BYTES;
    for spec in specs {
        if !is_cheap || !text.get(..end).unwrap_or_default().contains(&spec) {
            text.push('\n');
            text.push_str(&spec);
        }
    }
}

/// Return `local@host` of a mailbox; None without a host.
fn decoded_spec(address: &Address) -> Option<String> {
    let Address::Mailbox { local, host, .. } = address else {
        return None;
    };
    let mut text = String::with_capacity(local.len() + host.len() + 1);
    decode_unnamed(local, &mut text);
    text.push('@');
    decode_unnamed(host, &mut text);
    (!host.is_empty()).then(|| collapse(&text).into_owned())
}

/// True if the text of a value contains each of its addresses, as nearly all do; false where only
/// the parser of addresses can tell.
pub(crate) fn shows_all_addresses(value: &[u8]) -> bool {
    memchr::memchr_iter(b'@', value).all(|at| {
        let (before, after) = value.split_at_checked(at).unwrap_or_default();
        shows_local(before) && shows_host(after.get(1..).unwrap_or_default())
    })
}

/// True for the bytes of a dot-atom that mean themselves everywhere. Not `=` and `?`, which can be of
/// an encoded word.
fn is_plain(byte: u8) -> bool {
    matches!(
        byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-'..=b'/'
            | b'^'..=b'`' | b'{'..=b'~'
    )
}

/// True if the text before an `@` ends with a local part as ENVELOPE shows it.
fn shows_local(before: &[u8]) -> bool {
    let (mut rest, mut run) = split_last_run(before);
    if run.is_empty() {
        return false;
    }
    loop {
        match rest.split_last() {
            None | Some((b'<' | b',' | b':' | b';', _)) => return true,
            Some((blank, _)) if is_blank(*blank) => {}
            Some(_) => return false,
        }
        let end = rest.iter().rposition(|byte| !is_blank(*byte));
        rest = rest.get(..end.map_or(0, |end| end + 1)).unwrap_or_default();
        let starts_with_dot = run.starts_with(b".");
        (rest, run) = split_last_run(rest);
        if starts_with_dot || run.ends_with(b".") {
            return false; // white space beside a dot is not part of a local part
        }
    }
}

/// Split off the plain bytes at the end.
fn split_last_run(text: &[u8]) -> (&[u8], &[u8]) {
    let before = text.iter().rposition(|byte| !is_plain(*byte));
    text.split_at_checked(before.map_or(0, |before| before + 1))
        .unwrap_or_default()
}

/// True if the text after an `@` starts with a host as ENVELOPE shows it.
fn shows_host(after: &[u8]) -> bool {
    let end = after.iter().position(|byte| !is_plain(*byte));
    let (host, rest) = after
        .split_at_checked(end.unwrap_or(after.len()))
        .unwrap_or_default();
    if host.is_empty() {
        return false;
    }
    match rest.first() {
        None | Some(b'>' | b',' | b';') => true,
        Some(blank) if is_blank(*blank) => {
            let next = rest.iter().find(|byte| !is_blank(**byte));
            !host.ends_with(b".") && !matches!(next, Some(b'.' | b'('))
        }
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::header::encoded_words::decode_header;

    fn text_of(value: &[u8]) -> String {
        collapse(&decode_header(value)).into_owned()
    }

    /// Return the addresses that are appended to the text of a value.
    fn appended(value: &str) -> Vec<String> {
        let before = text_of(value.as_bytes());
        let mut text = before.clone();
        append_addresses(&mut text, value.as_bytes());
        let added = text.strip_prefix(&before).unwrap();
        added.split('\n').skip(1).map(str::to_owned).collect()
    }

    #[test]
    fn addresses_that_the_text_does_not_contain_are_appended() {
        for (value, expected) in [
            ("<user (c)@ (c) example.org>", &["user@example.org"][..]),
            ("User (c)@ (c) Example.ORG", &["User@Example.ORG"]),
            ("user(c)@example.org", &["user@example.org"]),
            ("user@(c)example.org", &["user@example.org"]),
            ("user@example(c).org", &["user@example.org"]),
            ("user . name@example . org", &["user.name@example.org"]),
            ("<user\r\n @example.org>", &["user@example.org"]),
            ("<user@\r\n\texample.org>", &["user@example.org"]),
            (r#""user"@example.org"#, &["user@example.org"]),
            (r#""user".name@example.org"#, &["user.name@example.org"]),
            (r#""a \"b\" c"@example.org"#, &[r#"a "b" c@example.org"#]),
            (r#""user  name"@x"#, &["user name@x"]),
            ("=?utf-8?q?user?=@x", &["=?utf-8?q?user?=@x"]),
            ("A (c) <a (c)@x>, b@y, c(d)@z", &["a@x", "c@z"]),
            ("user@example.org", &[]),
            ("Joe Q. Public <user@example.org>", &[]),
            (r#""user@example.org" <user@example.org>"#, &[]),
            (r#""Doe, J." <user@example.org>"#, &[]),
            ("user@example.org (Joe)", &[]),
            ("J\u{fc}rgen <j\u{fc}rgen@ex\u{e4}mple.org>", &[]),
            ("joe@[192.0.2.1]", &[]),
            ("g: a@x, b@y;", &[]),
            ("\"user\" (x)", &[]),
            ("@", &[]),
            ("", &[]),
        ] {
            assert_eq!(appended(value), expected, "{value}");
        }
    }

    #[test]
    fn usual_addresses_need_no_parser() {
        for value in [
            "user@example.org",
            "Joe Q. Public <user@example.org>, J. Doe <j.doe+tag@mail.example.org>",
            "\"Doe, J.\" <user@example.org>",
            "=?utf-8?q?J=C3=B6?= <user@example.org>",
            "g: a@x, b@y;",
            "a@x\r\n ,b@y",
            "carol",
        ] {
            assert!(shows_all_addresses(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn large_lists_take_linear_time() {
        for piece in [
            "a (c)@ (c) b,",
            "\"a\"@b,",
            "a@b c@d,",
            "a ",
            "@",
            "a . ",
            "a@b ",
        ] {
            let value = piece.repeat((1 << 20) / piece.len());
            let mut text = text_of(value.as_bytes());
            append_addresses(&mut text, value.as_bytes());
            assert!(text.len() <= 2 * value.len());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn the_text_contains_all_addresses(value in "[ab.@<>,:;\"\\\\() \t\r\n=?\u{e9}\\[\\]]{0,16}") {
            let value = value.replace("=?", "=");
            let mut text = text_of(value.as_bytes());
            append_addresses(&mut text, value.as_bytes());
            for address in addresses(value.as_bytes(), ADDRESSES) {
                if let Some(spec) = decoded_spec(&address) {
                    prop_assert!(text.contains(&spec), "{spec} {text}");
                }
            }
        }
    }
}
