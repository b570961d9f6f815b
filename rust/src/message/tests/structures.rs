//! ENVELOPE, BODY and BODYSTRUCTURE.
use super::*;
use crate::message::limits::CACHED_FIELD_BYTES;
use std::fmt::Write;

fn envelope(header: &str) -> String {
    let stored = scan(&crlf(&format!("{header}\n\n")));
    String::from_utf8(MessageMetadata::open(&stored).unwrap().envelope().to_vec()).unwrap()
}

fn structure(message: &str) -> (String, String) {
    let stored = scan(&crlf(message));
    let metadata = MessageMetadata::open(&stored).unwrap();
    (
        text(metadata.body()).to_owned(),
        text(metadata.bodystructure()).to_owned(),
    )
}

/// Message of RFC 3501 section 8; the example of RFC 9051 section 7.5.2.
#[test]
fn the_example_of_rfc_9051() {
    let header = "\
Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)
From: Terry Gray <gray@cac.washington.edu>
Subject: IMAP4rev2 WG mtg summary and minutes
To: imap@cac.washington.edu
cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>
Message-Id: <B27397-0100000@cac.washington.edu>
MIME-Version: 1.0
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII";
    let expected = "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \
\"IMAP4rev2 WG mtg summary and minutes\" \
((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
((NIL NIL \"imap\" \"cac.washington.edu\")) \
((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")\
(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL \
\"<B27397-0100000@cac.washington.edu>\")";
    assert_eq!(envelope(header), expected);

    let body = "x".repeat(30) + "\n";
    let message = format!(
        "{header}\n\n{}{}",
        body.repeat(91),
        "y".repeat(3028 - 91 * 32 - 2) + "\n"
    );
    let stored = checks::scan(&crlf(&message), 1000);
    let metadata = MessageMetadata::open(&stored).unwrap();
    assert_eq!(
        text(metadata.body()),
        r#"("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 3028 92)"#
    );
    assert_eq!(metadata.sent(), Some((837_595_405, -420)));
}

#[test]
fn envelopes_of_odd_headers() {
    let nil = "NIL NIL NIL NIL NIL NIL NIL NIL";
    for (header, expected) in [
        ("X: y", format!("(NIL NIL {nil})")),
        ("Subject:\nDate: ", format!("(\"\" \"\" {nil})")),
        ("Subject: a\n  b\n\tc", format!("(NIL \"a  b\tc\" {nil})")),
        ("Subject : old", format!("(NIL \"old\" {nil})")),
        ("Subject: one\nSubject: two", format!("(NIL \"one\" {nil})")),
        ("Subject: \"q\" \\ =?utf-8?q?x?=", format!("(NIL \"\\\"q\\\" \\\\ =?utf-8?q?x?=\" {nil})")),
        ("Subject: Grüße", format!("(NIL {{7}}\r\nGrüße {nil})")),
        ("From: <>", "(NIL NIL ((NIL NIL \"\" \"\")) ((NIL NIL \"\" \"\")) ((NIL NIL \"\" \"\")) NIL NIL NIL NIL NIL)".into()),
        ("From: \nTo:", format!("(NIL NIL {nil})")),
        (
            "From: a@b\nSender:\nReply-To: c@d",
            "(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) ((NIL NIL \"c\" \"d\")) NIL NIL NIL NIL NIL)".into(),
        ),
        (
            "To: a@b\nCc: g: c@d;\nTo: e@f",
            "(NIL NIL NIL NIL NIL ((NIL NIL \"a\" \"b\")(NIL NIL \"e\" \"f\")) \
             ((NIL NIL \"g\" NIL)(NIL NIL \"c\" \"d\")(NIL NIL NIL NIL)) NIL NIL NIL)".into(),
        ),
        (
            "Bcc: root\nIn-Reply-To: <a@b>\n <c@d>\nMessage-ID:",
            "(NIL NIL NIL NIL NIL NIL NIL ((NIL NIL \"root\" \"\")) \"<a@b> <c@d>\" \"\")".into(),
        ),
    ] {
        assert_eq!(envelope(header), expected, "{header}");
    }
    let stored = scan(b"Subject: a\rb\0c\r\nTo: \xfc <x@y>\r\n\r\n");
    assert_eq!(
        MessageMetadata::open(&stored).unwrap().envelope(),
        b"(NIL \"a bc\" NIL NIL NIL (({1}\r\n\xfc NIL \"x\" \"y\")) NIL NIL NIL NIL)"
    );
    let long = "x".repeat(1001);
    assert!(envelope(&format!("Subject: {long}")).contains("{1001}\r\nxxx"));
}

/// RFC 2046 section 5.1.1.
#[test]
fn a_simple_multipart() {
    let (body, extended) = structure(
        "\
From: Nathaniel Borenstein <nsb@bellcore.com>
To: Ned Freed <ned@innosoft.com>
Date: Sun, 21 Mar 1993 23:56:48 -0800 (PST)
Subject: Sample message
MIME-Version: 1.0
Content-type: multipart/mixed; boundary=\"simple boundary\"

This is the preamble.  It is ignored, though it
is a handy place for composition agents to include an
explanatory note to non-MIME conformant readers.

--simple boundary

This is implicitly typed plain US-ASCII text.
It does NOT end with a linebreak.
--simple boundary
Content-type: text/plain; charset=us-ascii

This is explicitly typed plain US-ASCII text.
It DOES end with a linebreak.

--simple boundary--

This is the epilogue.  It is also to be ignored.
",
    );
    assert_eq!(
        body,
        "((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 80 1)\
         (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"us-ascii\") NIL NIL \"7BIT\" 78 2) \"MIXED\")"
    );
    assert_eq!(
        extended,
        "((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 80 1 NIL NIL NIL NIL)\
         (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"us-ascii\") NIL NIL \"7BIT\" 78 2 NIL NIL NIL NIL) \
         \"MIXED\" (\"BOUNDARY\" \"simple boundary\") NIL NIL NIL)"
    );
}

/// RFC 2049 appendix A.
#[test]
fn a_complex_multipart() {
    let (body, _) = structure(
        "\
MIME-Version: 1.0
From: Nathaniel Borenstein <nsb@nsb.fv.com>
To: Ned Freed <ned@innosoft.com>
Date: Fri, 07 Oct 1994 16:15:05 -0700 (PDT)
Subject: A multipart example
Content-Type: multipart/mixed;
              boundary=unique-boundary-1

This is the preamble area of a multipart message.

--unique-boundary-1

  ... Some text appears here ...

--unique-boundary-1
Content-type: text/plain; charset=US-ASCII

This could have been part of the previous part, but
illustrates explicit versus implicit typing of body
parts.

--unique-boundary-1
Content-Type: multipart/parallel; boundary=unique-boundary-2

--unique-boundary-2
Content-Type: audio/basic
Content-Transfer-Encoding: base64

  ... base64-encoded 8000 Hz single-channel

--unique-boundary-2
Content-Type: image/jpeg
Content-Transfer-Encoding: base64

  ... base64-encoded image data goes here ...

--unique-boundary-2--

--unique-boundary-1
Content-type: text/enriched

This is <bold><italic>enriched.</italic></bold>

--unique-boundary-1
Content-Type: message/rfc822

From: (mailbox in US-ASCII)
To: (address in US-ASCII)
Subject: (subject in US-ASCII)
Content-Type: Text/plain; charset=ISO-8859-1
Content-Transfer-Encoding: Quoted-printable

  ... Additional text in ISO-8859-1 goes here ...

--unique-boundary-1--
",
    );
    assert_eq!(
        body,
        "((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 34 1)\
         (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 114 3)\
         ((\"AUDIO\" \"BASIC\" NIL NIL NIL \"BASE64\" 45)\
         (\"IMAGE\" \"JPEG\" NIL NIL NIL \"BASE64\" 47) \"PARALLEL\")\
         (\"TEXT\" \"ENRICHED\" NIL NIL NIL \"7BIT\" 49 1)\
         (\"MESSAGE\" \"RFC822\" NIL NIL NIL \"7BIT\" 232 \
         (NIL \"(subject in US-ASCII)\" NIL NIL NIL NIL NIL NIL NIL NIL) \
         (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"ISO-8859-1\") NIL NIL \"QUOTED-PRINTABLE\" 51 1) 7) \
         \"MIXED\")"
    );
}

#[test]
fn all_extension_data() {
    let (_, extended) = structure(
        "\
Content-Type: multipart/mixed; boundary=b
Content-Disposition: inline
Content-Language: en, de
Content-Location: http://x/ y

--b
Content-Type: Application/PDF; Name=\"a b\"; x*0=c
Content-Transfer-Encoding: Base64
Content-ID: <1@x>
Content-Description: a
 thing
Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==
Content-Disposition: attachment; filename*=utf-8''%c3%bc; size=1
Content-Language: en
Content-Location: rel

eA==
--b--
",
    );
    assert_eq!(
        extended,
        "((\"APPLICATION\" \"PDF\" (\"NAME\" \"a b\" \"X\" \"c\") \"<1@x>\" \"a thing\" \"BASE64\" 4 \
         \"Q2hlY2sgSW50ZWdyaXR5IQ==\" \
         (\"ATTACHMENT\" (\"FILENAME*\" \"utf-8''%c3%bc\" \"SIZE\" \"1\")) \"en\" \"rel\") \
         \"MIXED\" (\"BOUNDARY\" \"b\") (\"INLINE\" NIL) (\"en\" \"de\") \"http://x/ y\")"
    );
}

#[test]
fn missing_and_invalid_content_types() {
    let plain = |bytes: u32, lines: u32| {
        format!(r#"("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" {bytes} {lines})"#)
    };
    for (message, expected) in [
        ("", plain(0, 0)),
        ("\n", plain(0, 0)),
        ("no header at all\n", plain(18, 1)),
        ("no header: at all\n", plain(19, 1)),
        ("A: b", plain(0, 0)),
        ("Content-Type: nonsense\n\nx", plain(1, 0)),
        ("Content-Type:\n\nx", plain(1, 0)),
        ("Content-Type: multipart/mixed\n\nx\n", plain(3, 1)),
        (
            "Content-Type: multipart/mixed; boundary=\"\"\n\nx\n",
            plain(3, 1),
        ),
        (
            "Content-Type: multipart/mixed; boundary=b\n\nx\ny",
            format!("({} \"MIXED\")", plain(4, 1)),
        ),
        (
            "Content-Type: multipart/mixed; boundary=b\n\nx\n--b--\n",
            format!("({} \"MIXED\")", plain(10, 2)),
        ),
        (
            "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n",
            format!("({} \"MIXED\")", plain(3, 1)),
        ),
        (
            "Content-Type: multipart/mixed; boundary=b\n\n--b\n",
            format!("({} \"MIXED\")", plain(0, 0)),
        ),
        (
            "Content-Type: multipart/mixed; boundary=b\n\n--b",
            format!("({} \"MIXED\")", plain(0, 0)),
        ),
        (
            "Content-Type: multipart/x; boundary=b\n\n--b\nContent-Type: image/png\n--b--\n",
            "((\"IMAGE\" \"PNG\" NIL NIL NIL \"7BIT\" 0) \"X\")".into(),
        ),
        (
            "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: s\n\nx\n--b\nContent-Type: text/plain\n\ny\n--b--",
            format!(
                "((\"MESSAGE\" \"RFC822\" NIL NIL NIL \"7BIT\" 15 \
                 (NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL) {} 2)\
                 (\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 1 0) \"DIGEST\")",
                plain(1, 0)
            ),
        ),
        (
            "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\neA==\n",
            "(\"APPLICATION\" \"OCTET-STREAM\" NIL NIL NIL \"BASE64\" 6)".into(),
        ),
        (
            "Content-Type: message/global; name=\"a.eml\"\n\
             Content-Transfer-Encoding: quoted-printable\n\nx\n",
            "(\"APPLICATION\" \"OCTET-STREAM\" (\"NAME\" \"a.eml\") NIL NIL \"QUOTED-PRINTABLE\" 3)"
                .into(),
        ),
    ] {
        assert_eq!(structure(message).0, expected, "{message}");
    }
}

#[test]
fn header_lines_that_are_not_fields() {
    let names = |message: &[u8]| {
        let stored = scan(message);
        let metadata = MessageMetadata::open(&stored).unwrap();
        let fields = metadata.header_fields(&[]).unwrap();
        fields
            .map(|field| (text(field.name).to_owned(), field.length))
            .collect::<Vec<_>>()
    };
    let field = |name: &str, length| (name.to_owned(), length);
    assert_eq!(
        names(b"From me Mon\r\nX-A: b\r\n c\r\njunk\r\nsubject : d\n\nbody"),
        [
            field("", 13),
            field("X-A", 12),
            field("", 6),
            field("Subject", 12)
        ]
    );
    assert_eq!(names(b" folded\r\nA: b"), [field("", 9), field("A", 4)]);
    assert_eq!(names(b"no header\r\n\r\n"), []);
    assert_eq!(names(b"\r\nA: b"), []);
    assert_eq!(names(b"A: b\r\n \r\n\r\n"), [field("A", 9)]);
    assert_eq!(names(": no name\r\nÜ: no ascii".as_bytes()), []);
    assert_eq!(
        names("A: b\r\nÜ: no ascii".as_bytes()),
        [field("A", 6), field("", 12)]
    );
}

#[test]
fn other_values_of_the_metadata() {
    let stored = scan(&crlf(
        "\
Date: Fri, 21 Nov 1997 09:55:06 -0600
From: =?utf-8?q?J=C3=B6rg?= M <Joe@Example.ORG>
To: Team: a@x, B <b@x>;
Cc: C@x, d@x
Subject: Re: [list] =?iso-8859-1?q?Gr=FC=DFe?=
 aus   Bonn
Message-ID: <1@x>
References: <2@x>
 <3@x>
In-Reply-To: <4@x>
Content-Type: text/html; charset=utf-8

<p>Hello,</p><p>Wörld</p>
",
    ));
    let metadata = MessageMetadata::open(&stored).unwrap();
    assert_eq!(metadata.sent(), Some((880_127_706, -360)));
    assert_eq!(metadata.subject(), "Re: [list] Grüße aus Bonn");
    assert_eq!(metadata.base_subject(), "Grüße aus Bonn");
    assert!(metadata.is_reply_or_forward());
    assert_eq!(metadata.message_id(), Some(&b"1@x"[..]));
    assert_eq!(metadata.references().collect::<Vec<_>>(), [b"2@x", b"3@x"]);
    assert_eq!(metadata.preview(), "Hello, Wörld");
    assert_eq!(metadata.part_count(), 1);
    let texts = [
        Field::From,
        Field::To,
        Field::Cc,
        Field::Bcc,
        Field::Subject,
    ]
    .map(|field| search_text(&metadata, field));
    let expected = [
        "Jörg M <Joe@Example.ORG>",
        "Team: a@x, B <b@x>;",
        "C@x, d@x",
        "",
        "Re: [list] Grüße aus Bonn",
    ];
    assert_eq!(texts, expected.map(|text| (text.into(), true)));
    let mut key = Vec::new();
    metadata.subject_sort_key(Collation::UnicodeCasemap, &mut key);
    assert_eq!(text(&key), "GRU\u{308}ßE AUS BONN");

    let stored = scan(b"In-Reply-To: joe's <5@x> of today <6@x>\r\nDate: x\r\n\r\n");
    let metadata = MessageMetadata::open(&stored).unwrap();
    assert_eq!(metadata.references().collect::<Vec<_>>(), [b"5@x"]);
    assert_eq!((metadata.sent(), metadata.message_id()), (None, None));
}

#[test]
fn metadata_of_a_plain_message_is_small() {
    let mut message = String::new();
    for number in 0..8 {
        let _ = write!(
            message,
            "Received: from mail{number}.example.org (mail{number}.example.org [192.0.2.{number}])\n\
             \tby mx.example.net (Postfix) with ESMTPS id 4ABCD{number}\n\
             \tfor <receiver@example.net>; Mon, 1 Jan 2024 10:00:0{number} +0000 (UTC)\n"
        );
    }
    message += "\
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=x; b=AAAA
Date: Mon, 1 Jan 2024 10:00:00 +0000
From: Margaret Special <margaret.special@example.org>
To: Another Person <another@example.net>
Cc: A List of People <people@lists.example.net>
Subject: Re: [people] The minutes of our last meeting
Message-ID: <20240101100000.ABCDEF@mail.example.org>
In-Reply-To: <20231231100000.ABCDEF@mail.example.net>
References: <20231230100000.ABCDEF@mail.example.net> <20231231100000.ABCDEF@mail.example.net>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable
X-Spam-Status: No, score=-1.9

";
    message += &"Thank you for the minutes, I have read them all.\n".repeat(20);
    let stored = scan(&crlf(&message));
    assert!(message.len() > 3000);
    assert_eq!(stored.len(), 1495);
}

/// SEARCH finds a text in any of several equal fields.
#[test]
fn all_fields_of_a_name_are_searched() {
    let stored = scan(&crlf(
        "\
Subject: one
From: a@x
subject: =?utf-8?q?tw=C3=B6?=
From: b (c)@ (c) x
To: c@x
To: d@x

",
    ));
    let metadata = MessageMetadata::open(&stored).unwrap();
    assert_eq!(metadata.subject(), "one");
    assert_eq!(
        search_text(&metadata, Field::Subject),
        ("one\ntwö".into(), true)
    );
    assert_eq!(
        search_text(&metadata, Field::From),
        ("a@x\nb (c)@ (c) x\nb@x".into(), true)
    );
    assert_eq!(search_text(&metadata, Field::To), ("c@x\nd@x".into(), true));
}

/// A field that the header cache does not have, alone and beside another.
#[test]
fn fields_that_are_not_cached_have_a_text_if_they_are_alone() {
    let long = "x".repeat(CACHED_FIELD_BYTES);
    for (header, expected) in [
        (
            format!("Subject: Re: {long}\r\n"),
            (format!("Re: {long}"), true),
        ),
        (
            format!("Subject: {long}\r\nSubject: y\r\n"),
            (String::new(), false),
        ),
        (
            format!("Subject: y\r\nSubject: {long}\r\n"),
            (String::new(), false),
        ),
        ("Subject: a\0b\r\n".into(), ("ab".into(), true)),
    ] {
        let stored = checks::scan(format!("{header}\r\n").as_bytes(), 999);
        let metadata = MessageMetadata::open(&stored).unwrap();
        assert_eq!(search_text(&metadata, Field::Subject), expected);
    }
}

/// Metadata of version 3, which has folded texts: `grüsse` cannot be told from `grüße`.
#[test]
fn metadata_of_version_3_is_searched_by_its_header_cache() {
    // Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=, From: A <a@b>, Subject: second, To: b (c)@ (c) x,
    // Cc: c@x with a NUL
    let stored = b"\x03\xfd\xa6\x80:\x91\x01\x01\xb4\xbb\xad\xc7\x06\xcf\x05\x8a\x01 \x07\
        &Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\x01\x0fFrom: A <a@b>\r\n\x07\x11Subject: second\r\n\
        \x04\x12To: b (c)@ (c) x\r\n\x00\'Date: Fri, 21 Nov 1997 09:55:06 -0600\r\n\x0eGr\xc3\xbc\
        \xc3\x9fe\xb1\x01(\"Fri, 21 Nov 1997 09:55:06 -0600\" \"=?utf-8?q?Gr=C3=BC=C3=9Fe?=\" \
        ((\"A\" NIL \"a\" \"b\")) ((\"A\" NIL \"a\" \"b\")) ((\"A\" NIL \"a\" \"b\")) \
        ((\"c\" NIL \"b\" \"x\")) ((NIL NIL \"c\" \"x\")) NIL NIL NIL):(\"TEXT\" \"PLAIN\" \
        (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 6 1)J(\"TEXT\" \"PLAIN\" (\"CHARSET\" \
        \"US-ASCII\") NIL NIL \"7BIT\" 6 1 NIL NIL NIL NIL)\x04body\x07a <a@b>\x10b (c)@ (c) x\n\
        b@x\x03c@x\x00\x07gr\xc3\xbcsse\x0f\x00\x0f\x00\x03\x00\x03\x00\x03\x00\x03\x00\x03\
        \x03\x00\x00\x11 \x00\x00\x8b\x01\x06\x01\x01\x08us-ascii\r\x0c\x0b&\x05\x0f\x0b\x11\
        \x08\x12\t\n\x04\'";
    let metadata = MessageMetadata::open(stored).unwrap();
    assert_eq!(metadata.subject(), "Grüße");
    assert_eq!(metadata.base_subject(), "Grüße");
    assert_eq!(metadata.leaf_parts().count(), 1);
    assert_eq!(metadata.header_fields(&[]).unwrap().count(), 6);
    assert_eq!(
        search_text(&metadata, Field::Subject),
        ("Grüße\nsecond".into(), true)
    );
    assert_eq!(
        search_text(&metadata, Field::From),
        ("A <a@b>".into(), true)
    );
    assert_eq!(
        search_text(&metadata, Field::To),
        ("b (c)@ (c) x\nb@x".into(), true)
    );
    assert_eq!(search_text(&metadata, Field::Bcc), (String::new(), true));
    let unknown = (String::new(), false); // read from the message
    assert_eq!(search_text(&metadata, Field::Cc), unknown);
}
