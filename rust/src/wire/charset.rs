//! Strings of SEARCH, decoded from the charset the client names (RFC 9051 section 6.4.4).

use encoding_rs::{Encoding, REPLACEMENT, UTF_8, X_USER_DEFINED};

/// How the strings of one SEARCH are to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Charset {
    /// No CHARSET was given, or UTF-8 was.
    Utf8,
    /// US-ASCII: octets above 127 are an error.
    Ascii,
    /// Another one that we know.
    Other(&'static Encoding),
    /// The answer is NO \[BADCHARSET\]; the strings are not looked at.
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

    /// None where the octets are not of this charset.
    pub fn decode(self, octets: &[u8]) -> Option<String> {
        match self {
            Self::Utf8 => std::str::from_utf8(octets).ok().map(str::to_owned),
            Self::Ascii if octets.is_ascii() => String::from_utf8(octets.to_vec()).ok(),
            Self::Ascii => None,
            Self::Other(encoding) => encoding
                .decode_without_bom_handling_and_without_replacement(octets)
                .map(std::borrow::Cow::into_owned),
            Self::Unknown => Some(String::new()),
        }
    }
}
