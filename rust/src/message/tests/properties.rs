//! Properties of messages of every shape.
use super::*;
use crate::message::{CachedNames, Collation, Needle, TextMatcher};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Pieces from which message-like input is built.
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
    "=?\"utf-8\"?b?",
    "?=",
    "mailto:",
    "; x*0*=utf-8''%41",
    "; x*1=\"b%\"",
    "; x*0=",
    "\0",
    "\u{fc}",
    "Date: 1 Jan 2024 10:00 +0000\r\n",
    "References: <a@b> <c@d>\r\n",
    "From x\n",
    "Content-Type: multipart/mixed; boundary=a\r\n",
    "Content-Type: multipart/digest; boundary=b\r\n",
    "Content-Type: multipart/alternative; boundary=\"a",
    "Content-Type: message/rfc822\r\n",
    "Content-Type: message/global; name=x\r\n",
    "Content-Transfer-Encoding: x\r\n",
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

/// Well-formed message with its parts: type, encoding, and body of each leaf.
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
        encoding: &'static str,
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
            (
                "[a-z ]{0,20}",
                select(&["7bit", "binary", "base64", "x-y"][..]),
                inner
            )
                .prop_map(|(subject, encoding, inner)| Tree::Message {
                    subject,
                    encoding,
                    inner: Box::new(inner)
                }),
        ]
    })
}

impl Tree {
    /// Render the entity, header and body; `fields` precede the fields of MIME.
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
            Self::Message {
                subject,
                encoding,
                inner,
            } => {
                let inner = inner.write(&format!("Subject: {subject}\r\n"), unique);
                format!(
                    "{fields}Content-Type: message/rfc822\r\n\
                     Content-Transfer-Encoding: {encoding}\r\n\r\n{inner}"
                )
            }
        }
    }

    /// Return the part specifiers of the leaves, numbered independently.
    fn leaves(
        &self,
        path: &[u32],
        is_body: bool,
        unique: &mut u32,
        found: &mut Vec<(Vec<u32>, String)>,
    ) {
        *unique += 1;
        let own = if is_body {
            [path, &[1]].concat()
        } else {
            path.to_vec()
        };
        match self {
            Self::Leaf { body, .. } => found.push((own, body.clone())),
            Self::Multipart { children, .. } => {
                for (number, child) in (1..).zip(children) {
                    child.leaves(&[path, &[number]].concat(), false, unique, found);
                }
            }
            Self::Message {
                encoding: "7bit" | "binary",
                inner,
                ..
            } => inner.leaves(&own, true, unique, found),
            // An encoded message is a leaf.
            Self::Message { subject, inner, .. } => {
                found.push((own, inner.write(&format!("Subject: {subject}\r\n"), unique)));
            }
        }
    }
}

proptest! {
    #[test]
    fn metadata_stays_inside_any_message(message in soup(), piece in 1_usize..50) {
        checks::metadata_stays_inside_the_message(&message);
        checks::metadata_does_not_depend_on_cuts(&message, piece);
        checks::decoding_does_not_depend_on_cuts(&message, piece);
    }

    #[test]
    fn matching_does_not_depend_on_cuts(
        message in soup(),
        needle in select(&["text", "a", "ü", "subject: s", "x", "=", "grüße"][..]),
        piece in 1_usize..50,
    ) {
        checks::matching_does_not_depend_on_cuts(&message, needle, piece);
    }

    #[test]
    fn any_bytes_are_scanned(message in vec(any::<u8>(), 0..300), piece in 1_usize..50) {
        checks::metadata_stays_inside_the_message(&message);
        checks::metadata_does_not_depend_on_cuts(&message, piece);
        checks::decoding_does_not_depend_on_cuts(&message, piece);
    }

    #[test]
    fn corruption_is_detected(message in soup(), at in any::<usize>(), with in any::<u8>()) {
        checks::corrupt_metadata_is_refused(&message, at, with);
    }

    #[test]
    fn foreign_bytes_are_refused(bytes in vec(any::<u8>(), 0..200)) {
        // Also with a valid checksum.
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
    fn well_formed_messages_have_the_expected_parts(tree in tree(), piece in 1_usize..100) {
        let message = tree.write("Subject: s\r\n", &mut 0).into_bytes();
        checks::metadata_stays_inside_the_message(&message);
        checks::metadata_does_not_depend_on_cuts(&message, piece);
        let stored = checks::scan(&message, piece);
        let metadata = MessageMetadata::open(&stored).unwrap();
        let mut expected = Vec::new();
        tree.leaves(&[], true, &mut 0, &mut expected);
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
    fn a_matcher_agrees_with_the_decoded_text(
        body in "[abü ]{0,40}",
        needle in "[aAbÜ]{1,4}",
        piece in 1_usize..20,
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
        let collation = Collation::UnicodeCasemap;
        let needles = [Needle::new(&needle, collation, false)];
        let mut matcher = TextMatcher::new(&metadata, &needles, collation);
        while let Some(wanted) = matcher.wanted() {
            let bytes = checks::slice(message.as_bytes(), wanted);
            matcher.feed(&bytes[..piece.min(bytes.len())]);
        }
        prop_assert_eq!(matcher.found(0), body.to_uppercase().contains(&needle.to_uppercase()));
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
