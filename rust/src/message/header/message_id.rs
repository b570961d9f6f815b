//! Lenient parser of Message-IDs (RFC 5322 section 3.6.4).
use super::lexer::is_blank;
use crate::message::limits::{MESSAGE_ID_BYTES, REFERENCES};

/// Return the FNV-1a hash of a Message-ID without its angle brackets. Stored in tables, so it never
/// changes.
#[must_use]
pub fn thread_hash(message_id: &[u8]) -> u64 {
    message_id.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Normalize the id between `<` and `>` (RFC 5256 section 3): remove white space and quoting, so
/// that equal ids have equal bytes.
fn normalized(inner: &[u8]) -> Option<Vec<u8>> {
    let mut id = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied().filter(|byte| !is_blank(*byte));
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {}
            b'\\' => id.extend(bytes.next()),
            _ => id.push(byte),
        }
    }
    (1..=MESSAGE_ID_BYTES).contains(&id.len()).then_some(id)
}

/// Return the next id in angle brackets, and advance `rest` past it.
fn next(rest: &mut &[u8]) -> Option<Vec<u8>> {
    loop {
        let open = memchr::memchr(b'<', rest)?;
        let inner = rest.get(open + 1..)?;
        let close = memchr::memchr2(b'<', b'>', inner)?;
        let (id, tail) = inner.split_at_checked(close)?;
        *rest = tail;
        if tail.starts_with(b">")
            && let Some(id) = normalized(id)
        {
            return Some(id);
        }
    }
}

/// Return the id of a Message-ID field, also without angle brackets.
pub(crate) fn message_id(value: &[u8]) -> Option<Vec<u8>> {
    let mut rest = value;
    next(&mut rest).or_else(|| {
        let bare = value.trim_ascii();
        let is_id =
            bare.contains(&b'@') && !bare.iter().any(|byte| is_blank(*byte) || *byte == b'<');
        if is_id { normalized(bare) } else { None }
    })
}

/// Return the ids of References, oldest first. Of more than [`REFERENCES`], the first, which names
/// the thread, and the last ones, which are nearest to the message.
pub(crate) fn references(value: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = value;
    let mut ids = Vec::new();
    while let Some(id) = next(&mut rest) {
        if ids.len() == 2 * REFERENCES {
            ids.drain(1..=REFERENCES);
        }
        ids.push(id);
    }
    if ids.len() > REFERENCES {
        ids.drain(1..=ids.len() - REFERENCES);
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        // From the test vectors of the authors of the algorithm.
        for (text, hash) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            assert_eq!(thread_hash(text.as_bytes()), hash);
        }
    }

    #[test]
    fn ids() {
        for (value, id) in [
            (
                "<1234@local.machine.example>",
                Some("1234@local.machine.example"),
            ),
            (" (c) <a@b> <c@d>", Some("a@b")),
            ("<a @\t b>", Some("a@b")),
            (r#"<"a\"b"@c>"#, Some(r#"a"b@c"#)),
            ("a@b", Some("a@b")),
            ("no id", None),
            ("", None),
            ("<>", None),
            ("<a@b", None),
            ("<<a@b>", Some("a@b")),
        ] {
            assert_eq!(
                message_id(value.as_bytes()).as_deref(),
                id.map(str::as_bytes),
                "{value}"
            );
        }
        assert_eq!(
            references(b"<a@b>\t<c@d>,garbage <e@f>"),
            [b"a@b", b"c@d", b"e@f"]
        );
    }

    #[test]
    fn the_first_and_the_last_references_are_kept() {
        for count in [
            REFERENCES,
            REFERENCES + 1,
            2 * REFERENCES,
            2 * REFERENCES + 1,
            7 * REFERENCES,
        ] {
            let ids: Vec<String> = (0..count).map(|number| format!("<{number}@x>")).collect();
            let value = ids.join(" ");
            let ids = references(value.as_bytes());
            assert_eq!(ids.len(), REFERENCES);
            assert_eq!(ids[0], b"0@x");
            assert_eq!(ids[1], format!("{}@x", count - REFERENCES + 1).as_bytes());
            assert_eq!(ids[REFERENCES - 1], format!("{}@x", count - 1).as_bytes());
        }
        for (count, kept) in [(MESSAGE_ID_BYTES, true), (MESSAGE_ID_BYTES + 1, false)] {
            assert_eq!(
                message_id(format!("<{}>", "x".repeat(count)).as_bytes()).is_some(),
                kept
            );
        }
        references(&b"<".repeat(64 * 1024));
    }
}
