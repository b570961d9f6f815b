//! Header fields that message metadata keeps word for word, so that a list of messages can be shown
//! without reading any message: `HEADER.FIELDS` is what mail programs fill such lists from.
use super::codec::{Decoder, Encoder};
use crate::message::limits::{CACHED_FIELD_BYTES, HEADER_CACHE_BYTES};

/// Fields of the message's own header that are kept: what Thunderbird, Apple Mail, mutt, K-9 Mail,
/// Evolution and Roundcube ask for of each message of a list, as far as it is found in many
/// messages. A field that is not here costs nothing where the message does not have it, for the
/// metadata's table of fields says so; that is the case of X-TUID, Newsgroups, Lines, X-Label.
/// Authentication-Results and DKIM-Signature (Apple Mail) are left to the message: they would be
/// longer than all the others together.
///
/// The table is part of the metadata's format: a row keeps its place for ever, new ones go behind.
const NAMES: &[&[u8]] = &[
    b"Date",
    b"From",
    b"Sender",
    b"Reply-To",
    b"To",
    b"Cc",
    b"Bcc",
    b"Subject",
    b"Message-ID",
    b"In-Reply-To",
    b"References",
    b"MIME-Version",
    b"Content-Type",
    b"Content-Transfer-Encoding",
    b"Content-Disposition",
    b"Importance",
    b"Priority",
    b"X-Priority",
    b"Auto-Submitted",
    b"Precedence",
    b"List-Id",
    b"List-Post",
    b"List-Subscribe",
    b"List-Unsubscribe",
    b"List-Unsubscribe-Post",
    b"Disposition-Notification-To",
    b"Return-Path",
    b"Delivered-To",
    b"X-Original-To",
    b"X-Mailer",
    b"User-Agent",
];

/// Some of the names whose fields message metadata keeps; a bit for each row of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CachedNames(u64);

impl CachedNames {
    /// The one name, in any case; None where fields of that name are not kept.
    #[must_use]
    pub fn of(name: &[u8]) -> Option<Self> {
        let row = NAMES
            .iter()
            .position(|kept| kept.eq_ignore_ascii_case(name))?;
        Some(Self(1 << row))
    }

    /// All of them.
    #[cfg(test)]
    pub(crate) fn all() -> Self {
        Self((1 << NAMES.len()) - 1)
    }

    /// The names of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// No names.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Of a single name.
    fn row(self) -> u8 {
        self.0.trailing_zeros().to_le_bytes()[0]
    }
}

/// The fields that are kept, on the way into message metadata.
#[derive(Default)]
pub(crate) struct HeaderCache {
    fields: Encoder,
    /// Bytes of fields in it.
    bytes: usize,
    /// Names of which a field is not in it.
    lacking: CachedNames,
}

impl HeaderCache {
    /// Keep a field of one name; None where not all of its bytes are there. One with NUL is not
    /// kept, for a literal cannot have it as it stands (RFC 9051 section 4.3.1).
    pub(crate) fn push(&mut self, name: CachedNames, field: Option<&[u8]>) {
        match field {
            Some(field)
                if field.len() <= CACHED_FIELD_BYTES
                    && !field.contains(&0)
                    && self.bytes + field.len() <= HEADER_CACHE_BYTES =>
            {
                self.bytes += field.len();
                self.fields.0.push(name.row());
                self.fields.chunk(field);
            }
            _ => self.lacking = self.lacking.and(name),
        }
    }

    /// What the metadata holds: the names of which a field is lacking; then row and bytes of each
    /// field.
    pub(crate) fn stored(&self) -> Vec<u8> {
        let mut out = Encoder::default();
        out.number(self.lacking.0);
        out.0.extend_from_slice(&self.fields.0);
        out.0
    }
}

/// See [`MessageMetadata::cached_fields`](crate::message::MessageMetadata::cached_fields).
#[derive(Clone)]
pub struct CachedFields<'a> {
    fields: Decoder<'a>,
    names: CachedNames,
}

impl<'a> CachedFields<'a> {
    /// Fields of some names in what `HeaderCache::stored` made; None where not all of them are there.
    pub(crate) fn new(stored: &'a [u8], names: CachedNames) -> Option<Self> {
        let mut fields = Decoder(stored);
        let lacking = CachedNames(fields.number()?);
        (!lacking.has_any(names)).then_some(Self { fields, names })
    }
}

impl<'a> Iterator for CachedFields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let row = self.fields.byte()?;
            let field = self.fields.chunk()?;
            if self.names.0.checked_shr(row.into()).unwrap_or(0) & 1 != 0 {
                return Some(field);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_place() {
        for (row, name) in NAMES.iter().enumerate() {
            let names = CachedNames::of(&name.to_ascii_lowercase()).unwrap();
            assert_eq!(usize::from(names.row()), row, "it stands there once");
        }
        assert!(NAMES.len() <= 63, "a row is a bit");
        assert_eq!(CachedNames::of(b"Subject"), Some(CachedNames(1 << 7)));
        assert_eq!(CachedNames::of(b"User-Agent"), Some(CachedNames(1 << 30)));
        assert_eq!(CachedNames::of(b"Received"), None);
        assert_eq!(CachedNames::of(b""), None);
    }

    fn fields<'a>(stored: &'a [u8], name: &[u8]) -> Option<Vec<&'a [u8]>> {
        Some(CachedFields::new(stored, CachedNames::of(name)?)?.collect())
    }

    #[test]
    fn a_field_may_be_so_long_and_no_longer() {
        let [to, cc] = [b"To", b"Cc"].map(|name| CachedNames::of(name).unwrap());
        let long = vec![b'x'; CACHED_FIELD_BYTES + 1];
        let mut kept = HeaderCache::default();
        kept.push(to, Some(&long[1..]));
        kept.push(cc, Some(&long));
        let stored = kept.stored();
        assert_eq!(fields(&stored, b"to"), Some(vec![&long[1..]]));
        assert_eq!(fields(&stored, b"cc"), None);
        assert_eq!(fields(&stored, b"bcc"), Some(vec![]));
        assert!(CachedFields::new(&stored, to.and(cc)).is_none());
    }

    #[test]
    fn all_fields_may_be_so_long_and_no_longer() {
        let [to, cc, bcc] = [&b"To"[..], b"Cc", b"Bcc"].map(|name| CachedNames::of(name).unwrap());
        let field = [b'x'; CACHED_FIELD_BYTES];
        let mut kept = HeaderCache::default();
        for _ in 1..HEADER_CACHE_BYTES / CACHED_FIELD_BYTES {
            kept.push(to, Some(&field));
        }
        kept.push(cc, Some(&field[1..]));
        kept.push(bcc, Some(b"xy")); // one too many
        kept.push(cc, Some(b"x")); // there was room for this one
        let stored = kept.stored();
        assert_eq!(fields(&stored, b"bcc"), None);
        assert_eq!(fields(&stored, b"cc"), Some(vec![&field[1..], b"x"]));
        assert_eq!(fields(&stored, b"to").map(|to| to.len()), Some(3));
    }

    #[test]
    fn one_that_is_lacking_leaves_none_of_its_name() {
        let name = CachedNames::of(b"References").unwrap();
        let mut kept = HeaderCache::default();
        kept.push(name, Some(b"References: <a@b>\r\n"));
        kept.push(name, None);
        assert_eq!(fields(&kept.stored(), b"references"), None);
    }

    #[test]
    fn a_field_with_nul_is_not_kept() {
        let name = CachedNames::of(b"Subject").unwrap();
        let mut kept = HeaderCache::default();
        kept.push(name, Some(b"Subject: a\0b\r\n"));
        assert_eq!(fields(&kept.stored(), b"subject"), None);
    }
}
