//! Reader of a stored ENVELOPE, for the sort keys of addresses (RFC 5957 section 4).
use std::borrow::Cow;

use crate::message::header::encoded_words::{decoded, unconvertible};
use crate::message::header::subject::base_subject_of_bytes;
use crate::message::limits::SORT_KEY_BYTES;
use crate::message::text::collation::Collation;

/// Address list of ENVELOPE that SORT reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressList {
    /// `env-from`
    From,
    /// `env-to`
    To,
    /// `env-cc`
    Cc,
}

/// Part of an address that SORT compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressKey {
    /// `addr-mailbox` (RFC 5256 section 3).
    Mailbox,
    /// Name, else the address (RFC 5957 section 3).
    Display,
}

type Nstring<'a> = Option<Cow<'a, [u8]>>;

/// First byte of the sort keys of texts that cannot be converted to UTF-8: they follow all others, in
/// the order of i;octet (RFC 5255 section 4.6, item c). UTF-8 does not have it.
const UNCONVERTIBLE: u8 = 0xff;

/// Text to sort by.
enum SortText {
    Text(String),
    /// Bytes of a text that cannot be converted, without MIME encoding.
    Unconvertible(Vec<u8>),
}

impl SortText {
    fn of(value: &[u8]) -> Self {
        match unconvertible(value) {
            None => Self::Text(decoded(Some(value))),
            Some(bytes) => Self::Unconvertible(bytes),
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Text(text) if text.is_empty())
    }

    /// Append the sort key, at most [`SORT_KEY_BYTES`].
    fn key(&self, collation: Collation, to: &mut Vec<u8>) {
        match self {
            Self::Text(text) => collation.prepare_start(text, SORT_KEY_BYTES, to),
            Self::Unconvertible(bytes) => {
                to.push(UNCONVERTIBLE);
                to.extend(bytes.iter().take(SORT_KEY_BYTES - 1));
            }
        }
    }
}

/// Append the sort key of the base subject.
pub(crate) fn subject_key(envelope: &[u8], base: &str, collation: Collation, to: &mut Vec<u8>) {
    match subject(envelope).and_then(|subject| unconvertible(&subject)) {
        None => collation.prepare_start(base, SORT_KEY_BYTES, to),
        Some(bytes) => SortText::Unconvertible(base_subject_of_bytes(&bytes)).key(collation, to),
    }
}

/// Append the sort key of the first address in a list; nothing without an address.
pub(crate) fn address_key(
    envelope: &[u8],
    list: AddressList,
    key: AddressKey,
    collation: Collation,
    to: &mut Vec<u8>,
) {
    if let Some(address) = first_address(envelope, list) {
        address.text(key).key(collation, to);
    }
}

fn subject(envelope: &[u8]) -> Nstring<'_> {
    let mut rest = envelope.strip_prefix(b"(")?;
    nstring(&mut rest)?; // env-date
    space(&mut rest)?;
    nstring(&mut rest)?
}

/// First address of a list, or the start of a group, which has its name as `addr-mailbox`.
struct FirstAddress<'a> {
    name: Nstring<'a>,
    mailbox: Nstring<'a>,
    host: Nstring<'a>,
}

impl FirstAddress<'_> {
    /// Return the compared part, encoded words decoded (RFC 5255 section 4.6).
    fn text(self, key: AddressKey) -> SortText {
        if key == AddressKey::Display {
            let name = SortText::of(&self.name.unwrap_or_default());
            if !name.is_empty() {
                return name;
            }
        }
        let mailbox = SortText::of(&self.mailbox.unwrap_or_default());
        match (self.host, mailbox) {
            // ENVELOPE has an empty host for an address without one.
            (Some(host), SortText::Text(mailbox))
                if key == AddressKey::Display && !host.is_empty() =>
            {
                SortText::Text(format!("{mailbox}@{}", decoded(Some(&host))))
            }
            (_, mailbox) => mailbox,
        }
    }
}

/// Return None without an address, and for bytes that are not an ENVELOPE.
fn first_address(envelope: &[u8], list: AddressList) -> Option<FirstAddress<'_>> {
    let mut rest = envelope.strip_prefix(b"(")?;
    nstring(&mut rest)?; // env-date
    space(&mut rest)?;
    nstring(&mut rest)?; // env-subject
    let lists_before = match list {
        AddressList::From => 0,
        AddressList::To => 3, // From, Sender, Reply-To
        AddressList::Cc => 4,
    };
    for _ in 0..lists_before {
        space(&mut rest)?;
        skip_list(&mut rest)?;
    }
    space(&mut rest)?;
    rest = rest.strip_prefix(b"((")?;
    let name = nstring(&mut rest)?;
    space(&mut rest)?;
    nstring(&mut rest)?; // addr-adl
    space(&mut rest)?;
    let mailbox = nstring(&mut rest)?;
    space(&mut rest)?;
    let host = nstring(&mut rest)?;
    Some(FirstAddress {
        name,
        mailbox,
        host,
    })
}

fn space(rest: &mut &[u8]) -> Option<()> {
    *rest = rest.strip_prefix(b" ")?;
    Some(())
}

/// Skip `"(" 1*address ")" / nil`.
fn skip_list(rest: &mut &[u8]) -> Option<()> {
    if let Some(after) = rest.strip_prefix(b"NIL") {
        *rest = after;
        return Some(());
    }
    *rest = rest.strip_prefix(b"(")?;
    while let Some(after) = rest.strip_prefix(b"(") {
        *rest = after;
        for at in 0..4 {
            if at > 0 {
                space(rest)?;
            }
            nstring(rest)?;
        }
        *rest = rest.strip_prefix(b")")?;
    }
    *rest = rest.strip_prefix(b")")?;
    Some(())
}

/// ```abnf
/// nstring = quoted / literal / nil
/// ```
/// The outer None is for other bytes.
fn nstring<'a>(rest: &mut &'a [u8]) -> Option<Nstring<'a>> {
    if let Some(after) = rest.strip_prefix(b"NIL") {
        *rest = after;
        return Some(None);
    }
    if let Some(after) = rest.strip_prefix(b"{") {
        let end = memchr::memchr(b'}', after)?;
        let (digits, data) = after.split_at_checked(end)?;
        let size: usize = str::from_utf8(digits).ok()?.parse().ok()?;
        let (data, after) = data.strip_prefix(b"}\r\n")?.split_at_checked(size)?;
        *rest = after;
        return Some(Some(Cow::Borrowed(data)));
    }
    let text = rest.strip_prefix(b"\"")?;
    let mut unescaped: Option<Vec<u8>> = None;
    let mut copied = 0;
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        let plain = text.get(copied..at)?;
        if text.get(at) == Some(&b'"') {
            *rest = text.get(at + 1..)?;
            return Some(Some(match unescaped {
                None => Cow::Borrowed(plain),
                Some(mut all) => {
                    all.extend_from_slice(plain);
                    Cow::Owned(all)
                }
            }));
        }
        unescaped.get_or_insert_default().extend_from_slice(plain);
        copied = at + 1; // the escaped byte is copied with what follows it
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(envelope: &str) -> [String; 5] {
        use AddressKey::{Display, Mailbox};
        use AddressList::{Cc, From, To};
        [
            (From, Mailbox),
            (To, Mailbox),
            (Cc, Mailbox),
            (From, Display),
            (To, Display),
        ]
        .map(|(list, key)| {
            let mut text = Vec::new();
            address_key(
                envelope.as_bytes(),
                list,
                key,
                Collation::UnicodeCasemap,
                &mut text,
            );
            String::from_utf8(text).unwrap()
        })
    }

    #[test]
    fn keys_of_the_first_address() {
        let from = r#"(("Terry Gray" NIL "gray" "cac.example")("b" NIL "c" "d"))"#;
        let to = r#"((NIL NIL "imap" "cac.example"))"#;
        let cc = r#"((NIL NIL "minutes" "cnri.example")("John" NIL "KLENSIN" "mit.example"))"#;
        let envelope =
            format!(r#"("Wed, 17 Jul 1996" "a \"b\\" {from} {from} NIL {to} {cc} NIL NIL "<x>")"#);
        assert_eq!(
            keys(&envelope),
            ["GRAY", "IMAP", "MINUTES", "TERRY GRAY", "IMAP@CAC.EXAMPLE"]
        );
    }

    #[test]
    fn names_are_decoded_and_literals_read() {
        let from = "((\"=?utf-8?q?J=C3=BCrgen?=\" NIL {3}\r\n\")( \"x\"))";
        let to = r#"(("" NIL "a\"b" "")(NIL NIL NIL NIL))"#;
        let envelope =
            format!("(NIL NIL {from} NIL NIL {to} ((NIL NIL \"team\" NIL)) NIL NIL NIL)");
        assert_eq!(
            keys(&envelope),
            ["\")(", "A\"B", "TEAM", "JU\u{308}RGEN", "A\"B"]
        );
    }

    #[test]
    fn without_an_address_the_key_is_empty() {
        for envelope in ["(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)", "(", "", "(NIL"] {
            assert_eq!(keys(envelope), [""; 5]);
        }
    }

    /// RFC 5255 section 4.6: the order of the example is (4) (2) (3) (1).
    #[test]
    fn unconvertible_texts_follow_the_others() {
        let encoded = [
            "=?utf-8?q?=D0=C0=D0=BD=D0=B4=D1=80=D0=B5=D0=B9?=",
            "=?utf-8?q?=D1=81=D0=95=D0=A0=D0=93=D0=95=D0=99?=",
            "=?utf-8?q?=D0=92=D0=B0=D1=81=D0=B8=D0=BB=D0=B8=FF=B9?=",
            "=?koi8-r?q?=E1=CC=C5=CB=D3=C5=CA?=",
        ];
        let sorted = |key: &dyn Fn(&str, &mut Vec<u8>)| {
            let mut keys: Vec<(Vec<u8>, usize)> = (1..)
                .zip(encoded)
                .map(|(number, text)| {
                    let mut all = Vec::new();
                    key(text, &mut all);
                    (all, number)
                })
                .collect();
            keys.sort();
            keys.into_iter()
                .map(|(_, number)| number)
                .collect::<Vec<_>>()
        };
        let subjects = sorted(&|text, to| {
            let envelope = format!("(NIL \"Re: {text}\" NIL)");
            let base =
                crate::message::header::subject::base_subject(&decoded(Some(text.as_bytes())));
            subject_key(envelope.as_bytes(), &base.text, Collation::default(), to);
        });
        assert_eq!(subjects, [4, 2, 3, 1]);
        let names = sorted(&|text, to| {
            let envelope = format!("(NIL NIL ((\"{text}\" NIL \"a\" \"b\")) NIL)");
            let from = (AddressList::From, AddressKey::Display);
            address_key(
                envelope.as_bytes(),
                from.0,
                from.1,
                Collation::default(),
                to,
            );
        });
        assert_eq!(names, [4, 2, 3, 1]);
    }

    #[test]
    fn a_key_is_cut() {
        for (bytes, kept) in [
            (SORT_KEY_BYTES, SORT_KEY_BYTES),
            (SORT_KEY_BYTES + 1, SORT_KEY_BYTES),
        ] {
            let name = "a".repeat(bytes);
            let envelope = format!("(NIL NIL ((\"{name}\" NIL \"x\" \"y\")) NIL)");
            assert_eq!(keys(&envelope)[3], "A".repeat(kept));
        }
    }
}
