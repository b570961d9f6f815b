//! One-byte codes for names that occur in nearly every message.
//!
//! Both tables are part of the stored format: rows never move, new rows are appended.

/// Names of header fields. Row n is stored as n + 1.
const FIELD_NAMES: &[&[u8]] = &[
    b"Return-Path",
    b"Delivered-To",
    b"Received",
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
    b"Content-Description",
    b"Content-ID",
    b"Content-Language",
    b"Content-Location",
    b"Content-MD5",
    b"Comments",
    b"Keywords",
    b"Resent-Date",
    b"Resent-From",
    b"Resent-Sender",
    b"Resent-To",
    b"Resent-Cc",
    b"Resent-Bcc",
    b"Resent-Message-ID",
    b"DKIM-Signature",
    b"Received-SPF",
    b"Authentication-Results",
    b"ARC-Seal",
    b"ARC-Message-Signature",
    b"ARC-Authentication-Results",
    b"List-Id",
    b"List-Post",
    b"List-Help",
    b"List-Archive",
    b"List-Subscribe",
    b"List-Unsubscribe",
    b"List-Unsubscribe-Post",
    b"List-Owner",
    b"Precedence",
    b"Auto-Submitted",
    b"Errors-To",
    b"Organization",
    b"User-Agent",
    b"X-Mailer",
    b"X-Priority",
    b"Importance",
    b"Priority",
    b"Thread-Topic",
    b"Thread-Index",
    b"Accept-Language",
    b"Feedback-ID",
    b"X-Spam-Status",
    b"X-Spam-Score",
    b"X-Spam-Level",
    b"X-Spam-Flag",
    b"X-Spam-Checker-Version",
    b"X-Virus-Scanned",
    b"X-Originating-IP",
    b"X-Google-DKIM-Signature",
    b"X-Google-Smtp-Source",
    b"X-Gm-Message-State",
    b"X-Received",
    b"X-MS-Has-Attach",
    b"X-Original-To",
    b"X-Mailman-Version",
    b"X-BeenThere",
    b"Disposition-Notification-To",
    b"Envelope-To",
    b"Delivery-Date",
    b"DomainKey-Signature",
    b"Status",
    b"X-Status",
];

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

/// Return the code of a field name; case is ignored.
pub(crate) fn field_code(name: &[u8]) -> Option<u8> {
    let row = FIELD_NAMES
        .iter()
        .position(|known| known.eq_ignore_ascii_case(name))?;
    u8::try_from(row + 1).ok()
}

pub(crate) fn field_name(code: u8) -> Option<&'static [u8]> {
    FIELD_NAMES.get(usize::from(code.checked_sub(1)?)).copied()
}

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
        assert_eq!(field_code(b"subject"), Some(11));
        assert_eq!(field_name(11), Some(&b"Subject"[..]));
        assert_eq!(field_code(b"X-Status"), Some(80));
        assert_eq!(field_name(0), None);
        assert_eq!(field_name(255), None);
        assert_eq!(media_code("text", "plain"), Some(1));
        assert_eq!(media_type(31), Some(("video", "mp4")));
        assert_eq!(media_type(32), None);
    }

    #[test]
    fn field_names_are_unique() {
        for (row, name) in FIELD_NAMES.iter().enumerate() {
            assert_eq!(field_code(name).map(usize::from), Some(row + 1));
        }
    }
}
