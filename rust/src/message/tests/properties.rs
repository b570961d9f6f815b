//! What must hold for messages of every shape.
use super::*;
use crate::message::{CachedNames, Needle, TextMatcher, fold};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Pieces of which anything can be made that looks a little like a message.
const PIECES: &[&str] = &[
    "\r\n",
    "\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    "--a",
    "--b",
    "--a--",
    "--b--",
    "--",
    "\r\n--a\r\n",
    "\r\n--b\r\n",
    "\r\n--a--\r\n",
    "\r\n\r\n",
    "\n\n",
    "text",
    "Subject: s\r\n",
    "From: a@b\r\n",
    "To: g: x@y, \"z",
    "(",
    ")",
    "<",
    ">",
    ":",
    ";",
    ",",
    "\"",
    "\\",
    "@",
    "=?utf-8?q?",
    "?=",
    "\0",
    "\u{fc}",
    "Date: 1 Jan 2024 10:00 +0000\r\n",
    "References: <a@b> <c@d>\r\n",
    "From x\n",
    "Content-Type: multipart/mixed; boundary=a\r\n",
    "Content-Type: multipart/digest; boundary=b\r\n",
    "Content-Type: multipart/alternative; boundary=\"a",
    "Content-Type: message/rfc822\r\n",
    "Content-Type: text/html; charset=utf-8\r\n",
    "Content-Type: ",
    "content-transfer-encoding: base64\r\n",
    "Content-Transfer-Encoding: quoted-printable\r\n",
    "Content-Disposition: attachment; filename=x\r\n",
    "Content-Language: en, de\r\n",
    "Content-ID:",
    "R3LDvMOfZQ==",
    "=C3=BC=",
    "<p>x</p>",
    "&amp;",
];

fn soup() -> impl Strategy<Value = Vec<u8>> {
    vec(select(PIECES), 0..60).prop_map(|pieces| pieces.concat().into_bytes())
}

/// A well-formed message and its parts: type, encoding, and body of each leaf.
#[derive(Clone, Debug)]
enum Tree {
    Leaf {
        media: &'static str,
        encoding: &'static str,
        body: String,
    },
    Multipart {
        subtype: &'static str,
        boundary: u32,
        children: Vec<Tree>,
    },
    Message {
        subject: String,
        inner: Box<Tree>,
    },
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = (
        select(
            &[
                "text/plain; charset=utf-8",
                "text/html",
                "image/png",
                "application/octet-stream",
            ][..],
        ),
        select(&["7bit", "8bit", "base64", "quoted-printable"][..]),
        "[a-zA-Z0-9 ]{0,30}(\r\n[a-zA-Z0-9 .-]{0,30}){0,4}",
    )
        .prop_map(|(media, encoding, body)| Tree::Leaf {
            media,
            encoding,
            body,
        });
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            (
                select(&["mixed", "alternative", "related"][..]),
                any::<u32>(),
                vec(inner.clone(), 1..5)
            )
                .prop_map(|(subtype, boundary, children)| Tree::Multipart {
                    subtype,
                    boundary,
                    children
                }),
            ("[a-z ]{0,20}", inner).prop_map(|(subject, inner)| Tree::Message {
                subject,
                inner: Box::new(inner)
            }),
        ]
    })
}

impl Tree {
    /// The entity, header and body; `fields` come before the fields of MIME.
    fn write(&self, fields: &str, unique: &mut u32) -> String {
        *unique += 1;
        match self {
            Self::Leaf {
                media,
                encoding,
                body,
            } => format!(
                "{fields}Content-Type: {media}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}"
            ),
            Self::Multipart {
                subtype,
                boundary,
                children,
            } => {
                let boundary = format!("b{unique}_{boundary}");
                let mut pieces = vec![format!(
                    "{fields}Content-Type: multipart/{subtype}; boundary=\"{boundary}\"\r\n\r\npreamble"
                )];
                pieces.extend(
                    children
                        .iter()
                        .map(|child| format!("\r\n{}", child.write("", unique))),
                );
                pieces.join(&format!("\r\n--{boundary}")) + &format!("\r\n--{boundary}--")
            }
            Self::Message { subject, inner } => {
                let inner = inner.write(&format!("Subject: {subject}\r\n"), unique);
                format!("{fields}Content-Type: message/rfc822\r\n\r\n{inner}")
            }
        }
    }

    /// Part specifiers of the leaves, numbered by hand.
    fn leaves(&self, path: &[u32], is_body: bool, found: &mut Vec<(Vec<u32>, String)>) {
        let own = if is_body {
            [path, &[1]].concat()
        } else {
            path.to_vec()
        };
        match self {
            Self::Leaf { body, .. } => found.push((own, body.clone())),
            Self::Multipart { children, .. } => {
                for (number, child) in (1..).zip(children) {
                    child.leaves(&[path, &[number]].concat(), false, found);
                }
            }
            Self::Message { inner, .. } => inner.leaves(&own, true, found),
        }
    }
}

proptest! {
    #[test]
    fn the_index_stays_inside_whatever_comes(message in soup(), portion in 1_usize..50) {
        checks::metadata_stays_inside_the_message(&message);
        checks::metadata_does_not_depend_on_cuts(&message, portion);
        checks::decoding_does_not_depend_on_cuts(&message, portion);
    }

    #[test]
    fn matching_does_not_depend_on_cuts(
        message in soup(),
        needle in select(&["text", "a", "ü", "subject: s", "x", "=", "grüße"][..]),
        portion in 1_usize..50,
    ) {
        checks::matching_does_not_depend_on_cuts(&message, needle, portion);
    }

    #[test]
    fn bytes_that_are_no_message(message in vec(any::<u8>(), 0..300), portion in 1_usize..50) {
        checks::metadata_stays_inside_the_message(&message);
        checks::metadata_does_not_depend_on_cuts(&message, portion);
        checks::decoding_does_not_depend_on_cuts(&message, portion);
    }

    #[test]
    fn damage_is_seen(message in soup(), at in any::<usize>(), with in any::<u8>()) {
        checks::corrupt_metadata_is_refused(&message, at, with);
    }

    #[test]
    fn foreign_bytes_are_no_metadata(bytes in vec(any::<u8>(), 0..200)) {
        // Even behind a checksum that is right nothing goes wrong.
        prop_assert!(MessageMetadata::open(&bytes).is_err());
        if let Ok(metadata) = MessageMetadata::reopen(&bytes) {
            metadata.leaf_parts().for_each(drop);
            metadata.references().for_each(drop);
            metadata.cached_fields(CachedNames::all()).into_iter().flatten().for_each(drop);
            metadata.header_fields(&[]).into_iter().flatten().for_each(drop);
            let _ = metadata.locate(&[1, 2, 3], &SectionText::Header);
        }
    }

    #[test]
    fn well_formed_messages_have_the_parts_they_were_made_of(tree in tree(), portion in 1_usize..100) {
        let message = tree.write("Subject: s\r\n", &mut 0).into_bytes();
        checks::metadata_stays_inside_the_message(&message);
        checks::metadata_does_not_depend_on_cuts(&message, portion);
        let stored = checks::scan(&message, portion);
        let metadata = MessageMetadata::open(&stored).unwrap();
        let mut expected = Vec::new();
        tree.leaves(&[], true, &mut expected);
        let found: Vec<(Vec<u32>, String)> = metadata
            .leaf_parts()
            .map(|part| {
                let body = checks::slice(&message, Range { offset: part.offset, length: part.length });
                (part.path.clone(), text(body).to_owned())
            })
            .collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_matcher_finds_what_the_decoded_text_holds(
        body in "[abü ]{0,40}",
        needle in "[aAbÜ]{1,4}",
        portion in 1_usize..20,
        encoding in 0_usize..3,
    ) {
        let (name, encoded) = match encoding {
            0 => ("8bit", body.clone()),
            1 => ("base64", base64(body.as_bytes())),
            _ => ("quoted-printable", quoted(body.as_bytes())),
        };
        let message = format!(
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {name}\r\n\r\n{encoded}"
        );
        let stored = checks::scan(message.as_bytes(), 1000);
        let metadata = MessageMetadata::open(&stored).unwrap();
        let needles = [Needle::new(&fold(&needle), false)];
        let mut matcher = TextMatcher::new(&metadata, &needles);
        while let Some(wanted) = matcher.wanted() {
            let bytes = checks::slice(message.as_bytes(), wanted);
            matcher.feed(&bytes[..portion.min(bytes.len())]);
        }
        prop_assert_eq!(matcher.found(0), fold(&body).contains(&fold(&needle)));
    }
}

fn quoted(bytes: &[u8]) -> String {
    let escapes: Vec<String> = bytes.iter().map(|byte| format!("={byte:02X}")).collect();
    escapes.concat()
}

fn base64(bytes: &[u8]) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| {
            bits << 8 | u32::from(*group.get(at).unwrap_or(&0))
        });
        for digit in 0..4 {
            let value = bits >> (18 - 6 * digit) & 63;
            text.push(if digit > group.len() {
                '='
            } else {
                char::from(alphabet[value as usize])
            });
        }
    }
    text
}
