//! Strings of SEARCH, decoded from the charset the client names (RFC 9051 section 6.4.4).

use encoding_rs::{Encoding, REPLACEMENT, UTF_8, X_USER_DEFINED};

/// Charset of the strings of one SEARCH.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Charset {
    /// No CHARSET was given, or UTF-8 was.
    Utf8,
    /// No CHARSET was given after ENABLE UTF8=ACCEPT: UTF-8. Lenient: a string that is not UTF-8 is
    /// ISO 8859-1, which Jakarta Mail (Angus Mail 2.0) sends.
    Utf8OrLatin1,
    /// US-ASCII: bytes above 127 are an error.
    Ascii,
    /// Another supported charset.
    Other(&'static Encoding),
    /// Response NO \[BADCHARSET\]; the strings are not decoded.
    Unknown,
}

impl Charset {
    pub fn named(name: &[u8]) -> Self {
        if name.eq_ignore_ascii_case(b"US-ASCII") || name.eq_ignore_ascii_case(b"ASCII") {
            return Self::Ascii; // encoding_rs would take it for windows-1252
        }
        match Encoding::for_label_no_replacement(name) {
            Some(encoding) if encoding == UTF_8 => Self::Utf8,
            Some(encoding) if encoding == REPLACEMENT || encoding == X_USER_DEFINED => {
                Self::Unknown
            }
            Some(encoding) => Self::Other(encoding),
            None => Self::Unknown,
        }
    }

    /// Decode a string; None if it is not valid in this charset.
    pub fn decode(self, bytes: &[u8]) -> Option<String> {
        match self {
            Self::Utf8 => std::str::from_utf8(bytes).ok().map(str::to_owned),
            Self::Utf8OrLatin1 => Some(match std::str::from_utf8(bytes) {
                Ok(text) => text.to_owned(),
                Err(_) => encoding_rs::mem::decode_latin1(bytes).into_owned(),
            }),
            Self::Ascii if bytes.is_ascii() => String::from_utf8(bytes.to_vec()).ok(),
            Self::Ascii => None,
            Self::Other(encoding) => encoding
                .decode_without_bom_handling_and_without_replacement(bytes)
                .map(std::borrow::Cow::into_owned),
            Self::Unknown => Some(String::new()),
        }
    }
}
