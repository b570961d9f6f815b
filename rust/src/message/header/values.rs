//! Values of the header fields that the metadata is built from.
use std::borrow::Cow;

use super::names::FieldName;
use crate::message::limits::HEADER_VALUES_BYTES;

/// Number of fields whose values are kept.
const SLOTS: usize = 19;

/// First slot of the fields that MIME adds, which parts have as well as messages.
const MIME_SLOT: usize = 11;

/// Return the place of a field among the values; None if its value is not kept.
fn slot(name: FieldName) -> Option<usize> {
    Some(match name {
        FieldName::Date => 0,
        FieldName::Subject => 1,
        FieldName::From => 2,
        FieldName::Sender => 3,
        FieldName::ReplyTo => 4,
        FieldName::To => 5,
        FieldName::Cc => 6,
        FieldName::Bcc => 7,
        FieldName::InReplyTo => 8,
        FieldName::MessageId => 9,
        FieldName::References => 10,
        FieldName::ContentType => MIME_SLOT,
        FieldName::ContentTransferEncoding => 12,
        FieldName::ContentId => 13,
        FieldName::ContentDescription => 14,
        FieldName::ContentDisposition => 15,
        FieldName::ContentLanguage => 16,
        FieldName::ContentLocation => 17,
        FieldName::ContentMd5 => 18,
        _ => return None,
    })
}

/// Remaining bytes of field values for one message.
pub(crate) struct Budget {
    left: usize,
    /// A value did not fit.
    is_exceeded: bool,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            left: HEADER_VALUES_BYTES,
            is_exceeded: false,
        }
    }
}

impl Budget {
    pub(crate) fn left(&self) -> usize {
        self.left
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.is_exceeded || self.left == 0
    }

    /// Take bytes; return false if there are not so many.
    fn take(&mut self, bytes: usize) -> bool {
        let left = self.left.checked_sub(bytes);
        self.is_exceeded |= left.is_none();
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}

/// Values of one header: unfolded, without white space at the ends, encoded words not decoded.
#[derive(Default)]
pub(crate) struct Headers {
    values: [Option<Vec<u8>>; SLOTS],
    /// Bit for each slot of which there are several fields.
    repeated: u32,
}

impl Headers {
    /// True if the value of a field is kept: in the MIME header of a part, only the fields of MIME.
    pub(crate) fn keeps(name: FieldName, is_message: bool) -> bool {
        slot(name).is_some_and(|slot| is_message || slot >= MIME_SLOT)
    }

    #[cfg(test)]
    pub(crate) fn held_bytes(&self) -> usize {
        self.values.iter().flatten().map(Vec::capacity).sum()
    }

    pub(crate) fn get(&self, name: FieldName) -> Option<&[u8]> {
        self.values.get(slot(name)?)?.as_deref()
    }

    /// True if there are several fields of a name, of which `get` has one, or all joined.
    pub(crate) fn is_repeated(&self, name: FieldName) -> bool {
        slot(name).is_some_and(|slot| self.repeated >> slot & 1 != 0)
    }

    /// Store the lines of a field, joined without their line ends; return false if the budget does
    /// not allow it.
    ///
    /// The first of several fields counts; To, Cc and Bcc are joined to one list (RFC 5322 section
    /// 4.5.3). SEARCH looks into each field: it reads the header cache.
    #[must_use]
    pub(crate) fn put(&mut self, name: FieldName, value: &[u8], budget: &mut Budget) -> bool {
        let Some(at) = slot(name) else { return true };
        let Some(slot) = self.values.get_mut(at) else {
            return true;
        };
        self.repeated |= u32::from(slot.is_some()) << at;
        let is_list = matches!(name, FieldName::To | FieldName::Cc | FieldName::Bcc);
        if slot.is_some() && !is_list {
            return true;
        }
        if !budget.take(value.len()) {
            return false;
        }
        let value = clean(value);
        let value = value.trim_ascii();
        match slot {
            Some(list) => {
                list.extend_from_slice(b", ");
                list.extend_from_slice(value);
            }
            None => *slot = Some(value.to_vec()),
        }
        true
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
    fn every_kept_field_has_its_own_slot() {
        let names = (1..=u8::MAX).filter_map(FieldName::from_code);
        let mut slots: Vec<usize> = names.filter_map(slot).collect();
        slots.sort_unstable();
        assert!(slots.into_iter().eq(0..SLOTS));
        assert!(Headers::keeps(FieldName::Subject, true));
        assert!(!Headers::keeps(FieldName::Subject, false));
        assert!(Headers::keeps(FieldName::ContentType, false));
        assert!(!Headers::keeps(FieldName::Received, true));
    }

    #[test]
    fn the_first_field_counts_and_destinations_are_joined() {
        let mut headers = Headers::default();
        let mut budget = Budget::default();
        for value in [&b" one\r\0 "[..], b" two"] {
            assert!(headers.put(FieldName::Subject, value, &mut budget));
            assert!(headers.put(FieldName::To, value, &mut budget));
        }
        assert_eq!(headers.get(FieldName::Subject), Some(&b"one"[..]));
        assert_eq!(headers.get(FieldName::To), Some(&b"one, two"[..]));
        assert_eq!(headers.get(FieldName::Cc), None);
        assert!(headers.put(FieldName::From, b"x", &mut budget));
        let repeated = [
            FieldName::Subject,
            FieldName::To,
            FieldName::From,
            FieldName::Cc,
        ]
        .map(|name| headers.is_repeated(name));
        assert_eq!(repeated, [true, true, false, false]);
    }

    #[test]
    fn values_over_the_budget_are_absent() {
        let mut budget = Budget::default();
        let mut headers = Headers::default();
        let long = vec![b'x'; HEADER_VALUES_BYTES - 1];
        assert!(headers.put(FieldName::Subject, &long, &mut budget));
        assert!(!budget.is_spent());
        assert!(!headers.put(FieldName::From, b"zz", &mut budget));
        assert_eq!(headers.get(FieldName::From), None);
        assert!(budget.is_spent());
        assert!(headers.put(FieldName::Date, b"y", &mut budget), "fits");
        assert_eq!(headers.get(FieldName::Date), Some(&b"y"[..]));
        assert!(!headers.put(FieldName::To, b"z", &mut budget));
    }
}
