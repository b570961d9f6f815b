//! Properties of FETCH items.

use super::ast::{FetchItem, SectionText};

impl FetchItem {
    /// True if the response needs message metadata. The index has the whole message's size.
    #[must_use]
    pub fn needs_metadata(&self) -> bool {
        match self {
            Self::Envelope
            | Self::Body
            | Self::BodyStructure
            | Self::Preview
            | Self::Rfc822Header
            | Self::Rfc822Text
            | Self::Binary { .. }
            | Self::BinarySize { .. } => true,
            Self::Section { section, .. } => {
                !section.part.is_empty() || section.text != SectionText::All
            }
            Self::Uid
            | Self::Flags
            | Self::InternalDate
            | Self::Rfc822Size
            | Self::ModSeq
            | Self::SaveDate
            | Self::EmailId
            | Self::ThreadId
            | Self::Rfc822 => false,
        }
    }

    /// True if the response contains message text, or needs it.
    #[must_use]
    pub fn reads_body(&self) -> bool {
        matches!(
            self,
            Self::Rfc822
                | Self::Rfc822Header
                | Self::Rfc822Text
                | Self::Section { .. }
                | Self::Binary { .. }
                | Self::BinarySize { .. }
        )
    }

    /// Return the part whose transfer encoding is decoded: BINARY and BINARY.SIZE.
    #[must_use]
    pub fn decoded_part(&self) -> Option<&[u32]> {
        match self {
            Self::Binary { part, .. } | Self::BinarySize { part } => Some(part),
            _ => None,
        }
    }

    /// True for a section that selects header fields by name.
    #[must_use]
    pub fn selects_fields(&self) -> bool {
        let Self::Section { section, .. } = self else {
            return false;
        };
        matches!(
            section.text,
            SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_)
        )
    }

    /// True if \Seen is set: text is requested without PEEK. RFC822.HEADER is a peek
    /// (RFC 3501 section 6.4.5).
    #[must_use]
    pub fn sets_seen(&self) -> bool {
        matches!(
            self,
            Self::Rfc822
                | Self::Rfc822Text
                | Self::Section { peek: false, .. }
                | Self::Binary { peek: false, .. }
        )
    }
}
