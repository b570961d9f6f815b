//! One-byte codes of media types that occur in many messages.
//!
//! The table is part of the stored format: rows never move, new rows are appended.

/// Media types. Row n is stored as n + 1.
const MEDIA_TYPES: &[(&str, &str)] = &[
    ("text", "plain"),
    ("text", "html"),
    ("multipart", "mixed"),
    ("multipart", "alternative"),
    ("multipart", "related"),
    ("multipart", "signed"),
    ("multipart", "report"),
    ("multipart", "digest"),
    ("multipart", "parallel"),
    ("multipart", "encrypted"),
    ("message", "rfc822"),
    ("message", "delivery-status"),
    ("message", "global"),
    ("text", "calendar"),
    ("text", "rfc822-headers"),
    ("text", "csv"),
    ("application", "octet-stream"),
    ("application", "pdf"),
    ("application", "zip"),
    ("application", "pgp-signature"),
    ("application", "pkcs7-signature"),
    ("application", "ics"),
    ("application", "msword"),
    ("application", "json"),
    ("application", "ms-tnef"),
    ("image", "png"),
    ("image", "jpeg"),
    ("image", "gif"),
    ("image", "svg+xml"),
    ("audio", "mpeg"),
    ("video", "mp4"),
];

/// Return the code of a media type in lower case.
pub(crate) fn media_code(media: &str, subtype: &str) -> Option<u8> {
    let row = MEDIA_TYPES
        .iter()
        .position(|known| *known == (media, subtype))?;
    u8::try_from(row + 1).ok()
}

pub(crate) fn media_type(code: u8) -> Option<(&'static str, &'static str)> {
    MEDIA_TYPES.get(usize::from(code.checked_sub(1)?)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_never_change() {
        assert_eq!(media_code("text", "plain"), Some(1));
        assert_eq!(media_type(31), Some(("video", "mp4")));
        assert_eq!(media_type(32), None);
    }
}
