//! Header cache: header fields stored as received in the metadata, so that a message list
//! (`HEADER.FIELDS`) is rendered without reading any message.
use super::codec::{Decoder, Encoder};
use crate::message::header::names::FieldName;
use crate::message::limits::{CACHED_FIELD_BYTES, HEADER_CACHE_BYTES};

/// Names of the cached fields of a message's own header. These are the fields that Thunderbird,
/// Apple Mail, mutt, K-9 Mail, Evolution and Roundcube request for message lists, if many messages
/// have them. A field that is missing here costs nothing where the message does not have it either,
/// since the field table proves that: X-TUID, Newsgroups, Lines, X-Label. Authentication-Results
/// and DKIM-Signature (Apple Mail) are not cached: they are longer than all the others together.
///
/// The table is part of the stored format: rows never move, new rows are appended.
const ROWS: &[FieldName] = &[
    FieldName::Date,
    FieldName::From,
    FieldName::Sender,
    FieldName::ReplyTo,
    FieldName::To,
    FieldName::Cc,
    FieldName::Bcc,
    FieldName::Subject,
    FieldName::MessageId,
    FieldName::InReplyTo,
    FieldName::References,
    FieldName::MimeVersion,
    FieldName::ContentType,
    FieldName::ContentTransferEncoding,
    FieldName::ContentDisposition,
    FieldName::Importance,
    FieldName::Priority,
    FieldName::XPriority,
    FieldName::AutoSubmitted,
    FieldName::Precedence,
    FieldName::ListId,
    FieldName::ListPost,
    FieldName::ListSubscribe,
    FieldName::ListUnsubscribe,
    FieldName::ListUnsubscribePost,
    FieldName::DispositionNotificationTo,
    FieldName::ReturnPath,
    FieldName::DeliveredTo,
    FieldName::XOriginalTo,
    FieldName::XMailer,
    FieldName::UserAgent,
];

/// Set of names of cached fields; bit n is row n of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CachedNames(u64);

impl CachedNames {
    /// Return the set of one name, in any case; None if fields of that name are not cached.
    #[must_use]
    pub fn of(name: &[u8]) -> Option<Self> {
        Self::of_known(FieldName::of(name)?)
    }

    /// Return the set of one name; None if fields of that name are not cached.
    pub(crate) fn of_known(name: FieldName) -> Option<Self> {
        let row = ROWS.iter().position(|cached| *cached == name)?;
        Some(Self(1 << row))
    }

    /// Return all names.
    #[cfg(test)]
    pub(crate) fn all() -> Self {
        Self((1 << ROWS.len()) - 1)
    }

    /// Return the union.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True for the empty set.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Return the row of a single name.
    fn row(self) -> u8 {
        self.0.trailing_zeros().to_le_bytes()[0]
    }
}

/// Builder of the header cache.
#[derive(Default)]
pub(crate) struct HeaderCache {
    fields: Encoder,
    /// Bytes of the fields so far.
    bytes: usize,
    /// Names with at least one field that is not cached.
    incomplete: CachedNames,
}

impl HeaderCache {
    /// Add a field; `field` is None if its bytes are incomplete. A field with NUL is not cached,
    /// since a literal cannot contain it (RFC 9051 section 4.3.1).
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
            _ => self.incomplete = self.incomplete.and(name),
        }
    }

    /// True if all fields of a name are cached.
    pub(crate) fn has_all(&self, name: FieldName) -> bool {
        CachedNames::of_known(name).is_some_and(|name| !self.incomplete.has_any(name))
    }

    /// Return the stored form: the names with missing fields, then row and bytes of each field.
    pub(crate) fn stored(&self) -> Vec<u8> {
        let mut out = Encoder::default();
        out.number(self.incomplete.0);
        out.0.extend_from_slice(&self.fields.0);
        out.0
    }
}

/// Cached fields; see
/// [`MessageMetadata::cached_fields`](crate::message::MessageMetadata::cached_fields).
#[derive(Clone)]
pub struct CachedFields<'a> {
    fields: Decoder<'a>,
    names: CachedNames,
}

impl<'a> CachedFields<'a> {
    /// Read the fields of some names from the stored form; None if one of them is missing.
    pub(crate) fn new(stored: &'a [u8], names: CachedNames) -> Option<Self> {
        let mut fields = Decoder(stored);
        let incomplete = CachedNames(fields.number()?);
        (!incomplete.has_any(names)).then_some(Self { fields, names })
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
    fn rows_of_names_never_change() {
        for (row, name) in ROWS.iter().enumerate() {
            let names = CachedNames::of(name.text()).unwrap();
            assert_eq!(usize::from(names.row()), row, "names are unique");
        }
        assert!(ROWS.len() <= 63, "a row is a bit");
        assert_eq!(CachedNames::of(b"Subject"), Some(CachedNames(1 << 7)));
        assert_eq!(CachedNames::of(b"User-Agent"), Some(CachedNames(1 << 30)));
        assert_eq!(CachedNames::of(b"Received"), None);
        assert_eq!(CachedNames::of(b""), None);
    }

    fn fields<'a>(stored: &'a [u8], name: &[u8]) -> Option<Vec<&'a [u8]>> {
        Some(CachedFields::new(stored, CachedNames::of(name)?)?.collect())
    }

    #[test]
    fn a_field_is_cached_up_to_its_limit() {
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
    fn fields_are_cached_up_to_their_total_limit() {
        let [to, cc, bcc] = [&b"To"[..], b"Cc", b"Bcc"].map(|name| CachedNames::of(name).unwrap());
        let field = [b'x'; CACHED_FIELD_BYTES];
        let mut kept = HeaderCache::default();
        for _ in 1..HEADER_CACHE_BYTES / CACHED_FIELD_BYTES {
            kept.push(to, Some(&field));
        }
        kept.push(cc, Some(&field[1..]));
        kept.push(bcc, Some(b"xy")); // exceeds the limit
        kept.push(cc, Some(b"x")); // still fits
        let stored = kept.stored();
        assert_eq!(fields(&stored, b"bcc"), None);
        assert_eq!(fields(&stored, b"cc"), Some(vec![&field[1..], b"x"]));
        assert_eq!(fields(&stored, b"to").map(|to| to.len()), Some(3));
    }

    #[test]
    fn a_missing_field_hides_all_fields_of_its_name() {
        let name = CachedNames::of(b"References").unwrap();
        let mut kept = HeaderCache::default();
        kept.push(name, Some(b"References: <a@b>\r\n"));
        kept.push(name, None);
        assert_eq!(fields(&kept.stored(), b"references"), None);
    }

    #[test]
    fn a_field_with_nul_is_not_cached() {
        let name = CachedNames::of(b"Subject").unwrap();
        let mut kept = HeaderCache::default();
        kept.push(name, Some(b"Subject: a\0b\r\n"));
        assert_eq!(fields(&kept.stored(), b"subject"), None);
    }
}
