//! Message text after DATA (RFC 5321 section 4.5.2).

use memchr::memmem;

/// Undoes dot-stuffing and finds the end, wherever the bytes are cut.
///
/// Only CRLF ends a line. A dot between bare LFs is text: it cannot smuggle a
/// second message past an end that another mail system does not see.
#[derive(Debug, Default)]
pub struct DotReader {
    place: State,
    rest: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// At the start, or after CRLF.
    #[default]
    LineStart,
    /// Inside a line.
    Line,
    /// After a CR inside a line.
    Cr,
    /// After the dot at the start of a line; the dot was removed.
    Dot,
    /// After that dot and a CR; the CR was held back.
    DotCr,
    /// After `CRLF . CRLF`.
    Done,
}

impl DotReader {
    /// Bytes of the message found in `data`.
    pub fn feed(&mut self, data: &[u8]) -> Vec<u8> {
        let mut message = Vec::with_capacity(data.len());
        let mut rest = data;
        while let Some((byte, tail)) = rest.split_first() {
            match (self.place, byte) {
                (State::Done, _) => {
                    self.rest.extend_from_slice(rest);
                    break;
                }
                (State::LineStart, b'.') => {
                    self.place = State::Dot;
                    rest = tail;
                }
                (State::Dot, b'\r') => {
                    self.place = State::DotCr;
                    rest = tail;
                }
                (State::DotCr, b'\n') => {
                    self.place = State::Done;
                    rest = tail;
                }
                (State::DotCr, _) => {
                    message.push(b'\r'); // it was text; what follows is scanned again
                    self.place = State::Cr;
                }
                (State::Cr, b'\n') => {
                    message.push(b'\n');
                    self.place = State::LineStart;
                    rest = tail;
                }
                _ => rest = self.lines(rest, &mut message),
            }
        }
        message
    }

    /// Copy up to a line that begins with a dot, or all there is.
    fn lines<'a>(&mut self, data: &'a [u8], message: &mut Vec<u8>) -> &'a [u8] {
        if let Some(at) = memmem::find(data, b"\r\n.") {
            let (lines, rest) = data.split_at(at + 2);
            message.extend_from_slice(lines);
            self.place = State::LineStart;
            return rest;
        }
        message.extend_from_slice(data);
        self.place = match data {
            [.., b'\r', b'\n'] => State::LineStart,
            [.., b'\r'] => State::Cr,
            _ => State::Line,
        };
        &[]
    }

    /// `CRLF . CRLF` was seen.
    #[must_use]
    pub fn done(&self) -> bool {
        self.place == State::Done
    }

    /// Return the bytes after the end.
    #[must_use]
    pub fn tail(&self) -> &[u8] {
        &self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sent bytes, the message, and the bytes after its end if it has one.
    type Case = (&'static [u8], &'static [u8], Option<&'static [u8]>);

    const CASES: [Case; 14] = [
        (b".\r\n", b"", Some(b"")),
        (b"a\r\n.\r\n", b"a\r\n", Some(b"")),
        (b"a\r\n.\r\nMAIL", b"a\r\n", Some(b"MAIL")),
        (b"..\r\n...a\r\n.\r\n", b".\r\n..a\r\n", Some(b"")),
        (b".a\r\n.\r\n", b"a\r\n", Some(b"")),
        (b"a\n.\n.\r\n\r\n.\r\n", b"a\n.\n.\r\n\r\n", Some(b"")),
        (b"a\n.\r\nb", b"a\n.\r\nb", None),
        (b"a\r.\r\nb", b"a\r.\r\nb", None),
        (b"a\r\n.\rb\r\n.\r\n", b"a\r\n\rb\r\n", Some(b"")),
        (b"a\r\n.\r\r\n.\r\nx", b"a\r\n\r\r\n", Some(b"x")),
        (b"a\r\r\n.\r\n", b"a\r\r\n", Some(b"")),
        (b"a\r\n.\n.\r\n", b"a\r\n\n.\r\n", None),
        (b"\r\n.\r\n.\r\n", b"\r\n", Some(b".\r\n")),
        (b"abc", b"abc", None),
    ];

    #[test]
    fn a_message_does_not_depend_on_where_it_is_cut() {
        for (sent, message, rest) in CASES {
            for at in 0..=sent.len() {
                let mut reader = DotReader::default();
                let mut got = reader.feed(&sent[..at]);
                got.extend(reader.feed(&sent[at..]));
                assert_eq!(got, message, "{sent:?} cut at {at}");
                assert_eq!(reader.done(), rest.is_some(), "{sent:?} cut at {at}");
                assert_eq!(
                    reader.tail(),
                    rest.unwrap_or_default(),
                    "{sent:?} cut at {at}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn stuffed_messages_come_back(lines in prop::collection::vec("[.a\r]{0,4}", 0..6)) {
            let mut sent = Vec::new();
            let mut message = Vec::new();
            for line in &lines {
                message.extend_from_slice(line.as_bytes());
                message.extend_from_slice(b"\r\n");
            }
            // A CR in a line may make a CRLF of its own with what follows: stuff as a sender does.
            let mut at_start = true;
            for (at, byte) in message.iter().enumerate() {
                if at_start && *byte == b'.' {
                    sent.push(b'.');
                }
                sent.push(*byte);
                at_start = *byte == b'\n' && at > 0 && message[at - 1] == b'\r';
            }
            sent.extend_from_slice(b".\r\nrest");
            let mut reader = DotReader::default();
            let got: Vec<u8> = sent.chunks(3).flat_map(|chunk| reader.feed(chunk)).collect();
            prop_assert_eq!(got, message);
            prop_assert!(reader.done());
            prop_assert_eq!(reader.tail(), b"rest");
        }
    }
}
