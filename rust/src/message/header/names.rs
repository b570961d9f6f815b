//! Well-known names of header fields: the only list of them.

macro_rules! field_names {
    ($($name:ident = $text:literal,)*) => {
        /// Name of a well-known header field.
        ///
        /// Metadata stores the position of the name in this list, plus one: names never move, new
        /// ones are appended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum FieldName {
            $($name,)*
        }

        const TABLE: &[(FieldName, &[u8])] = &[$((FieldName::$name, $text),)*];
    };
}

field_names! {
    ReturnPath = b"Return-Path",
    DeliveredTo = b"Delivered-To",
    Received = b"Received",
    Date = b"Date",
    From = b"From",
    Sender = b"Sender",
    ReplyTo = b"Reply-To",
    To = b"To",
    Cc = b"Cc",
    Bcc = b"Bcc",
    Subject = b"Subject",
    MessageId = b"Message-ID",
    InReplyTo = b"In-Reply-To",
    References = b"References",
    MimeVersion = b"MIME-Version",
    ContentType = b"Content-Type",
    ContentTransferEncoding = b"Content-Transfer-Encoding",
    ContentDisposition = b"Content-Disposition",
    ContentDescription = b"Content-Description",
    ContentId = b"Content-ID",
    ContentLanguage = b"Content-Language",
    ContentLocation = b"Content-Location",
    ContentMd5 = b"Content-MD5",
    Comments = b"Comments",
    Keywords = b"Keywords",
    ResentDate = b"Resent-Date",
    ResentFrom = b"Resent-From",
    ResentSender = b"Resent-Sender",
    ResentTo = b"Resent-To",
    ResentCc = b"Resent-Cc",
    ResentBcc = b"Resent-Bcc",
    ResentMessageId = b"Resent-Message-ID",
    DkimSignature = b"DKIM-Signature",
    ReceivedSpf = b"Received-SPF",
    AuthenticationResults = b"Authentication-Results",
    ArcSeal = b"ARC-Seal",
    ArcMessageSignature = b"ARC-Message-Signature",
    ArcAuthenticationResults = b"ARC-Authentication-Results",
    ListId = b"List-Id",
    ListPost = b"List-Post",
    ListHelp = b"List-Help",
    ListArchive = b"List-Archive",
    ListSubscribe = b"List-Subscribe",
    ListUnsubscribe = b"List-Unsubscribe",
    ListUnsubscribePost = b"List-Unsubscribe-Post",
    ListOwner = b"List-Owner",
    Precedence = b"Precedence",
    AutoSubmitted = b"Auto-Submitted",
    ErrorsTo = b"Errors-To",
    Organization = b"Organization",
    UserAgent = b"User-Agent",
    XMailer = b"X-Mailer",
    XPriority = b"X-Priority",
    Importance = b"Importance",
    Priority = b"Priority",
    ThreadTopic = b"Thread-Topic",
    ThreadIndex = b"Thread-Index",
    AcceptLanguage = b"Accept-Language",
    FeedbackId = b"Feedback-ID",
    XSpamStatus = b"X-Spam-Status",
    XSpamScore = b"X-Spam-Score",
    XSpamLevel = b"X-Spam-Level",
    XSpamFlag = b"X-Spam-Flag",
    XSpamCheckerVersion = b"X-Spam-Checker-Version",
    XVirusScanned = b"X-Virus-Scanned",
    XOriginatingIp = b"X-Originating-IP",
    XGoogleDkimSignature = b"X-Google-DKIM-Signature",
    XGoogleSmtpSource = b"X-Google-Smtp-Source",
    XGmMessageState = b"X-Gm-Message-State",
    XReceived = b"X-Received",
    XMsHasAttach = b"X-MS-Has-Attach",
    XOriginalTo = b"X-Original-To",
    XMailmanVersion = b"X-Mailman-Version",
    XBeenthere = b"X-BeenThere",
    DispositionNotificationTo = b"Disposition-Notification-To",
    EnvelopeTo = b"Envelope-To",
    DeliveryDate = b"Delivery-Date",
    DomainkeySignature = b"DomainKey-Signature",
    Status = b"Status",
    XStatus = b"X-Status",
}

impl FieldName {
    /// Return the well-known name that equals `name`; case is ignored.
    pub(crate) fn of(name: &[u8]) -> Option<Self> {
        let mut known = TABLE.iter();
        let found = known.find(|(_, text)| text.eq_ignore_ascii_case(name));
        found.map(|(known, _)| *known)
    }

    /// Return the name in its usual spelling.
    pub(crate) fn text(self) -> &'static [u8] {
        TABLE.get(self as usize).map_or(b"", |(_, text)| text)
    }

    /// Return the stored code; never 0.
    pub(crate) fn code(self) -> u8 {
        self as u8 + 1
    }

    /// Return the name of a stored code.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        let (name, _) = TABLE.get(usize::from(code.checked_sub(1)?))?;
        Some(*name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_never_change() {
        assert_eq!(FieldName::of(b"subject"), Some(FieldName::Subject));
        assert_eq!(FieldName::Subject.code(), 11);
        assert_eq!(FieldName::XStatus.code(), 80);
        assert_eq!(FieldName::from_code(0), None);
        assert_eq!(FieldName::from_code(81), None);
        assert_eq!(FieldName::from_code(255), None);
    }

    #[test]
    fn names_are_unique_and_codes_round_trip() {
        for (name, text) in TABLE {
            assert_eq!(FieldName::of(&text.to_ascii_lowercase()), Some(*name));
            assert_eq!(FieldName::from_code(name.code()), Some(*name));
            assert_eq!(name.text(), *text);
        }
    }
}
