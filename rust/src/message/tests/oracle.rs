//! Comparison with another parser, the crate mail-parser, where both should agree.
use super::*;
use mail_parser::{Message, MessageParser, PartType};

const MESSAGES: &[&str] = &[
    "\
Date: Sat, 20 Nov 2021 14:22:01 -0800
From: Art Vandelay <art@vandelay.com> (Vandelay Industries)
To: \"Colleagues\": \"James Smythe\" <james@vandelay.com>; Friends:
    jane@example.com, =?UTF-8?Q?John_Sm=C3=AEth?= <john@example.com>;
Subject: Why not both importing AND exporting? =?utf-8?b?4pi6?=
Message-ID: <1234@vandelay.com>
References: <1@vandelay.com> <2@vandelay.com>
Content-Type: multipart/mixed; boundary=\"festivus\";

--festivus
Content-Type: text/html; charset=\"us-ascii\"
Content-Transfer-Encoding: base64

PGh0bWw+PHA+SSB3YXMgdGhpbmtpbmcgYWJvdXQgcXVpdHRpbmcgdGhlPC9wPjwvaHRtbD4=
--festivus
Content-Type: message/rfc822

From: \"Cosmo Kramer\" <kramer@kramerica.com>
Subject: Exporting my book about coffee tables
Content-Type: multipart/mixed; boundary=\"giddyup\";

--giddyup
Content-Type: text/plain; charset=\"utf-8\"
Content-Transfer-Encoding: quoted-printable

=E2=80=9Ca book about coffee tables=E2=80=9D
--giddyup
Content-Type: image/gif; name*1=\"about \"; name*0=\"Book \";
              name*2*=utf-8''%e2%98%95 tables.gif
Content-Transfer-Encoding: Base64
Content-Disposition: attachment

R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7
--giddyup--
--festivus--
",
    "\
From: a@example.org
To: b@example.org, \"C, D\" <c@example.org>
Cc: d@example.org
Subject: =?iso-8859-1?q?Gr=FC=DFe?= aus
 dem  Norden
Date: 1 Jan 1999 00:00:00 +0100
Message-ID: <x@example.org>

Hello
",
    "\
From: list@example.org
Subject: digest
Content-Type: multipart/digest; boundary=d

--d

From: one@example.org
Subject: one

first
--d

From: two@example.org
Subject: two
Content-Type: multipart/alternative; boundary=e

--e

plain
--e
Content-Type: text/html

<p>html
--e--
--d--
",
];

/// Return offset and length of every leaf, those of embedded messages included.
fn leaves(message: &Message<'_>, found: &mut Vec<(u64, u64)>) {
    for part in &message.parts {
        match &part.body {
            PartType::Multipart(_) => {}
            PartType::Message(inner) => leaves(inner, found),
            _ => found.push((
                part.offset_body.into(),
                (part.offset_end - part.offset_body).into(),
            )),
        }
    }
}

#[test]
fn parts_and_headers_agree_with_mail_parser() {
    for message in MESSAGES {
        let message = crlf(message);
        let stored = scan(&message);
        let metadata = MessageMetadata::open(&stored).unwrap();
        let theirs = MessageParser::default().parse(&message).unwrap();

        let mut expected = Vec::new();
        leaves(&theirs, &mut expected);
        let found: Vec<(u64, u64)> = metadata
            .leaf_parts()
            .map(|part| (part.offset, part.length))
            .collect();
        assert_eq!(found, expected);

        let collapsed =
            crate::message::text::white_space::collapse(theirs.subject().unwrap()).into_owned();
        assert_eq!(metadata.subject(), collapsed);
        assert_eq!(metadata.message_id().map(text), theirs.message_id());
        assert_eq!(
            metadata.sent().map(|(seconds, _)| seconds),
            theirs.date().map(mail_parser::DateTime::to_timestamp)
        );
        let references = theirs
            .references()
            .as_text_list()
            .map(<[_]>::to_vec)
            .unwrap_or_default();
        assert_eq!(
            metadata.references().map(text).collect::<Vec<_>>(),
            references
        );

        let addresses = |address: Option<&mail_parser::Address<'_>>| {
            address
                .into_iter()
                .flat_map(|address| address.iter())
                .filter_map(|address| address.address().map(str::to_owned))
                .collect::<Vec<_>>()
        };
        for (field, address) in [
            (crate::wire::ast::Field::From, addresses(theirs.from())),
            (crate::wire::ast::Field::To, addresses(theirs.to())),
            (crate::wire::ast::Field::Cc, addresses(theirs.cc())),
        ] {
            for address in address {
                assert!(search_text(&metadata, field).0.contains(&address));
                let (local, host) = address.split_once('@').unwrap();
                let pair = format!("\"{local}\" \"{host}\")");
                assert!(text(metadata.envelope()).contains(&pair), "{pair}");
            }
        }
    }
}
