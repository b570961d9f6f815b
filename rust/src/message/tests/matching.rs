//! SEARCH BODY and TEXT over the bytes of a message.
use super::*;
use crate::message::search::WANTED_BYTES;
use crate::message::{Collation, Needle, TextMatcher};

/// Feed the wanted ranges in pieces; return what was found, and the number of bytes requested.
fn search(message: &[u8], needles: &[(&str, bool)], piece: usize) -> (Vec<bool>, u64) {
    let stored = checks::scan(message, message.len());
    let metadata = MessageMetadata::open(&stored).unwrap();
    let collation = Collation::UnicodeCasemap;
    let needles: Vec<Needle> = needles
        .iter()
        .map(|(text, in_headers)| Needle::new(text, collation, *in_headers))
        .collect();
    let mut matcher = TextMatcher::new(&metadata, &needles, collation);
    let mut read = 0;
    while let Some(wanted) = matcher.wanted() {
        assert!(wanted.length > 0 && wanted.length <= WANTED_BYTES);
        let bytes = checks::slice(message, wanted);
        let bytes = &bytes[..piece.min(bytes.len())];
        matcher.feed(bytes);
        read += bytes.len() as u64;
    }
    (
        (0..needles.len())
            .map(|needle| matcher.found(needle))
            .collect(),
        read,
    )
}

const MESSAGE: &str = "\
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=
\tfrom  Outer
Content-Type: multipart/mixed; boundary=a

preamble
--a
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Sch=F6ne Gr=FC=DFe vom Stra=
=DFenfest
--a
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename=\"Rechnung.html\"

PHA+R3LDvMOfZSBhdXMgQmVybGluPC9wPg==
--a
Content-Type: application/octet-stream
Content-Transfer-Encoding: base64

bm90IHRleHQ=
--a
Content-Type: message/rfc822

Subject: =?utf-8?b?SW5uZXI=?= subject

inner text
--a--
epilogue
";

#[test]
fn needles_are_found_in_the_right_sections() {
    let message = crlf(MESSAGE);
    for (needle, in_body, in_text) in [
        ("schöne grüße vom straßenfest", true, true),
        ("scho\u{308}ne GRU\u{308}ße", true, true), // decomposed
        ("grüsse", false, false),                   // ß has no simple mapping
        ("<P>GRÜßE AUS BERLIN</p>", true, true),
        ("Inner subject", false, true),
        ("subject: inner", false, true),
        ("inner text", true, true),
        ("Grüße from Outer", false, true),
        ("subject: grüße", false, true),
        ("rechnung.html", false, true),
        ("Content-Transfer-Encoding: base64", false, true),
        ("preamble", false, false),
        ("epilogue", false, false),
        ("not text", false, false),
        ("bm90IHRleHQ", false, false),
        ("festPHA", false, false),            // no match across parts
        ("outer content-type", false, false), // or across fields
        ("", true, true),
    ] {
        for piece in [1, 2, 3, 7, 50, 10_000] {
            let (found, _) = search(&message, &[(needle, false), (needle, true)], piece);
            assert_eq!(found, [in_body, in_text], "{needle} in pieces of {piece}");
        }
    }
}

#[test]
fn needles_have_separate_results_and_no_byte_is_read_in_vain() {
    let message = crlf(MESSAGE);
    let (found, read) = search(
        &message,
        &[("straße", false), ("nowhere", false), ("berlin", true)],
        9,
    );
    assert_eq!(found, [true, false, true]);
    assert!(read < message.len() as u64);
    let (found, read) = search(&message, &[("grüße", true)], 10_000);
    assert_eq!((found, read), (vec![true], locate_header(&message)));
    assert_eq!(search(&message, &[], 100), (vec![], 0));
    assert_eq!(search(&message, &[("", false)], 100), (vec![true], 0));
    assert_eq!(search(b"", &[("x", true)], 100), (vec![false], 0));
}

fn locate_header(message: &[u8]) -> u64 {
    let stored = checks::scan(message, 100);
    MessageMetadata::open(&stored).unwrap().header_size()
}

#[test]
fn a_match_may_cross_any_boundary_of_pieces() {
    let body = "x".repeat(100_000) + "needle with ümlaut" + &"y".repeat(100_000);
    let message = crlf(&format!(
        "Content-Type: text/plain; charset=utf-8\n\n{body}"
    ));
    for piece in [1, 13, 32 * 1024, 99_999, 100_003, 1 << 20] {
        assert_eq!(
            search(&message, &[("NEEDLE with Ümlaut", false)], piece).0,
            [true]
        );
        assert_eq!(
            search(&message, &[("needle with umlaut", false)], piece).0,
            [false]
        );
    }
}

#[test]
fn header_fields_are_searched_up_to_the_limit() {
    let message = format!("Subject: {}needle\r\n\r\nx", "y".repeat(1 << 20));
    assert_eq!(
        search(
            message.as_bytes(),
            &[("needle", true), ("yyy", true)],
            1 << 20
        )
        .0,
        [false, true]
    );
}

#[test]
fn eight_bit_text_is_searched_with_any_cut() {
    let head = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n";
    let text = "Добрый ДЕНЬ, İstanbul 日本語 😀 aus der Straße ";
    let message = [head.as_bytes(), text.as_bytes(), b"Gr\xfc\xdfe\xe6\x97 END"].concat();
    let needles = [
        "добрый день, i\u{307}STANBUL",
        "本語 😀 AUS",
        "STRAßE grüße",
        "— end",
        "день istanbul",
    ]
    .map(|needle| (needle, false));
    for piece in 1..message.len() {
        let (found, _) = search(&message, &needles, piece);
        assert_eq!(found, [true, true, true, true, false], "by {piece}");
    }
}
