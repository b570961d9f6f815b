//! FETCH returns every part that BODYSTRUCTURE announces.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::message::strict::{Value, announced_parts};

const PIECES: &[&str] = &[
    "Content-Type: multipart/mixed; boundary=a\r\n",
    "Content-Type: multipart/digest; boundary=b\r\n",
    "Content-Type: message/rfc822\r\n",
    "Content-Type: message/global\r\n",
    "Content-Type: message/delivery-status\r\n",
    "Content-Type: image/png\r\n",
    "Content-Transfer-Encoding: base64\r\n",
    "Content-Transfer-Encoding: quoted-printable\r\n",
    "Content-Transfer-Encoding: x-y\r\n",
    "Content-Disposition: attachment; filename=x\r\n",
    "Subject: s\r\n",
    "\r\n",
    "\r\n",
    "\r\n--a\r\n",
    "\r\n--a\r\n",
    "\r\n--b\r\n",
    "\r\n--a--\r\n",
    "\r\n--b--\r\n",
    "text\r\n",
    "Zm9v",
];

/// Fetch an item of a message; return its value.
fn value(message: &[u8], item: FetchItem) -> String {
    let kept = TestSource::of(&[(1, message)]);
    let mut one = record(1);
    one.size = u32::try_from(message.len()).unwrap();
    let sent = answers(&[item], &[one], &kept).unwrap();
    let value = sent
        .strip_prefix("* 1 FETCH (")
        .and_then(|sent| sent.strip_suffix(")\r\n"))
        .and_then(|sent| sent.split_once("] "));
    value.unwrap().1.to_owned()
}

fn all_announced_parts_are_returned(message: &[u8]) {
    let stored = TestSource::of(&[(1, message)]).metadata.remove(&1).unwrap();
    let metadata = MessageMetadata::open(&stored).unwrap();
    let structure = Value::read(metadata.bodystructure()).unwrap();
    for part in announced_parts(&structure, true).unwrap() {
        let get = |text| value(message, body(&part.path, text));
        let whole = get(SectionText::All);
        if let Some(size) = part.size {
            let head = if size == 0 {
                "\"\"".to_owned()
            } else {
                format!("{{{size}}}\r\n")
            };
            assert!(whole.starts_with(&head), "{whole:?} has {size} bytes");
        }
        assert_ne!(whole, "NIL");
        assert_ne!(get(SectionText::Mime), "NIL");
        if part.is_message {
            assert_ne!(get(SectionText::Header), "NIL");
            assert_ne!(get(SectionText::Text), "NIL");
            let named = SectionText::HeaderFields(fields(&["Subject"]));
            assert_ne!(get(named), "NIL");
            let others = SectionText::HeaderFieldsNot(fields(&["Subject"]));
            assert_ne!(get(others), "NIL");
        }
        let binary = FetchItem::Binary {
            peek: true,
            part: part.path.clone(),
            partial: None,
        };
        assert_ne!(value(message, binary), "NIL");
        let size = FetchItem::BinarySize {
            part: part.path.clone(),
        };
        assert_ne!(value(message, size), "NIL");
    }
}

proptest! {
    #[test]
    fn parts_of_any_structure_are_returned(pieces in vec(select(PIECES), 0..40)) {
        all_announced_parts_are_returned(pieces.concat().as_bytes());
    }
}

/// RFC 2046 section 5.2.1 forbids an encoded message/rfc822. It has no parts.
#[test]
fn an_encoded_message_is_a_part_without_parts() {
    let message = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\
        Content-Type: message/rfc822; name=\"old.eml\"\r\n\
        Content-Transfer-Encoding: base64\r\n\
        Content-Disposition: attachment; filename=\"old.eml\"\r\n\r\n\
        U3ViamVjdDogcwoKeA==\r\n--a--\r\n";
    all_announced_parts_are_returned(message);
    let stored = TestSource::of(&[(1, message)]).metadata.remove(&1).unwrap();
    assert_eq!(
        std::str::from_utf8(MessageMetadata::open(&stored).unwrap().bodystructure()).unwrap(),
        "((\"APPLICATION\" \"OCTET-STREAM\" (\"NAME\" \"old.eml\") NIL NIL \"BASE64\" 20 NIL \
         (\"ATTACHMENT\" (\"FILENAME\" \"old.eml\")) NIL NIL) \"MIXED\" (\"BOUNDARY\" \"a\") \
         NIL NIL NIL)"
    );
    assert_eq!(
        value(message, body(&[1], SectionText::All)),
        "{20}\r\nU3ViamVjdDogcwoKeA=="
    );
    assert_eq!(value(message, body(&[1, 1], SectionText::All)), "NIL");
}
