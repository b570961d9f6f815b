//! Values of the header fields that the metadata is built from.
use std::borrow::Cow;

use crate::message::limits::KEPT_BYTES;

/// Name of such a field. Fields of messages come first, then those of all entities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Date,
    Subject,
    From,
    Sender,
    ReplyTo,
    To,
    Cc,
    Bcc,
    InReplyTo,
    MessageId,
    References,
    ContentType,
    ContentTransferEncoding,
    ContentId,
    ContentDescription,
    ContentDisposition,
    ContentLanguage,
    ContentLocation,
    ContentMd5,
}

const NAMES: [(Name, &[u8]); 19] = [
    (Name::Date, b"date"),
    (Name::Subject, b"subject"),
    (Name::From, b"from"),
    (Name::Sender, b"sender"),
    (Name::ReplyTo, b"reply-to"),
    (Name::To, b"to"),
    (Name::Cc, b"cc"),
    (Name::Bcc, b"bcc"),
    (Name::InReplyTo, b"in-reply-to"),
    (Name::MessageId, b"message-id"),
    (Name::References, b"references"),
    (Name::ContentType, b"content-type"),
    (Name::ContentTransferEncoding, b"content-transfer-encoding"),
    (Name::ContentId, b"content-id"),
    (Name::ContentDescription, b"content-description"),
    (Name::ContentDisposition, b"content-disposition"),
    (Name::ContentLanguage, b"content-language"),
    (Name::ContentLocation, b"content-location"),
    (Name::ContentMd5, b"content-md5"),
];

impl Name {
    /// Return the field of that name, in any case; in the MIME header of a part only the fields of
    /// MIME.
    pub(crate) fn of(name: &[u8], is_message: bool) -> Option<Self> {
        let (known, _) = NAMES
            .iter()
            .find(|(_, text)| text.eq_ignore_ascii_case(name))?;
        (is_message || *known as usize >= Self::ContentType as usize).then_some(*known)
    }
}

/// Remaining bytes of field values for one message.
pub(crate) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(KEPT_BYTES)
    }
}

impl Budget {
    pub(crate) fn is_spent(&self) -> bool {
        self.0 == 0
    }
}

/// Values of one header: unfolded, without white space at the ends, encoded words not decoded.
#[derive(Default)]
pub(crate) struct Headers {
    values: [Option<Vec<u8>>; NAMES.len()],
}

impl Headers {
    pub(crate) fn get(&self, name: Name) -> Option<&[u8]> {
        self.values.get(name as usize)?.as_deref()
    }

    /// Store the lines of a field, joined without their line ends.
    ///
    /// The first of several fields counts; To, Cc and Bcc are joined to one list (RFC 5322 section
    /// 4.5.3).
    pub(crate) fn put(&mut self, name: Name, value: &[u8], budget: &mut Budget) {
        let Some(slot) = self.values.get_mut(name as usize) else {
            return;
        };
        let is_list = matches!(name, Name::To | Name::Cc | Name::Bcc);
        if slot.is_some() && !is_list {
            return;
        }
        let Some(left) = budget.0.checked_sub(value.len()) else {
            budget.0 = 0;
            return;
        };
        budget.0 = left;
        let value = clean(value);
        let value = value.trim_ascii();
        match slot {
            Some(list) => {
                list.extend_from_slice(b", ");
                list.extend_from_slice(value);
            }
            None => *slot = Some(value.to_vec()),
        }
    }
}

/// Remove NUL, which an IMAP string cannot contain, and replace bare CR by a space.
fn clean(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(0, b'\r', value).is_none() {
        return Cow::Borrowed(value);
    }
    let bytes = value.iter().filter(|byte| **byte != 0);
    let bytes = bytes.map(|byte| if *byte == b'\r' { b' ' } else { *byte });
    Cow::Owned(bytes.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_rows_match_the_names() {
        for (row, (name, text)) in NAMES.iter().enumerate() {
            assert_eq!(*name as usize, row);
            assert_eq!(Name::of(&text.to_ascii_uppercase(), true), Some(*name));
        }
        assert_eq!(Name::of(b"subject", false), None);
        assert_eq!(Name::of(b"content-type", false), Some(Name::ContentType));
        assert_eq!(Name::of(b"x-other", true), None);
    }

    #[test]
    fn the_first_field_counts_and_destinations_are_joined() {
        let mut headers = Headers::default();
        let mut budget = Budget::default();
        for value in [&b" one\r\0 "[..], b" two"] {
            headers.put(Name::Subject, value, &mut budget);
            headers.put(Name::To, value, &mut budget);
        }
        assert_eq!(headers.get(Name::Subject), Some(&b"one"[..]));
        assert_eq!(headers.get(Name::To), Some(&b"one, two"[..]));
        assert_eq!(headers.get(Name::Cc), None);
    }

    #[test]
    fn values_over_the_budget_are_absent() {
        let mut budget = Budget::default();
        let mut headers = Headers::default();
        headers.put(Name::Subject, &vec![b'x'; KEPT_BYTES - 1], &mut budget);
        assert!(!budget.is_spent());
        headers.put(Name::Date, b"y", &mut budget);
        assert_eq!(headers.get(Name::Date), Some(&b"y"[..]));
        assert!(budget.is_spent());
        headers.put(Name::From, b"z", &mut budget);
        assert_eq!(headers.get(Name::From), None);
    }
}
