//! Decoders of Content-Transfer-Encoding (RFC 2045 section 6): incremental, and without errors.

/// Maximum bytes of white space held back until it is known whether a line ends after it. RFC 2045
/// section 6.7 allows lines of 76.
const HELD_BYTES: usize = 998;

/// Incremental decoder of a transfer encoding.
pub enum TransferDecoder {
    /// 7bit, 8bit, binary and unknown encodings: bytes are unchanged.
    Identity,
    /// base64: bytes outside of the alphabet are skipped.
    Base64(Base64),
    /// quoted-printable: invalid escapes are unchanged.
    QuotedPrintable(QuotedPrintable),
}

impl TransferDecoder {
    /// Create the decoder for a [`Part::encoding`](crate::message::Part::encoding).
    #[must_use]
    pub fn new(encoding: i8) -> Self {
        match encoding {
            1 => Self::Base64(Base64::default()),
            2 => Self::QuotedPrintable(QuotedPrintable::default()),
            _ => Self::Identity,
        }
    }

    /// Append the decoded form of the next bytes.
    pub fn feed(&mut self, bytes: &[u8], to: &mut Vec<u8>) {
        match self {
            Self::Identity => to.extend_from_slice(bytes),
            Self::Base64(decoder) => decoder.feed(bytes, to),
            Self::QuotedPrintable(decoder) => decoder.feed(bytes, to),
        }
    }

    /// Append what is held back, and reset the decoder.
    pub fn finish(&mut self, to: &mut Vec<u8>) {
        match self {
            Self::Identity => {}
            Self::Base64(decoder) => decoder.finish(to),
            Self::QuotedPrintable(decoder) => decoder.finish(to),
        }
    }
}

/// Incremental decoder of base64.
#[derive(Default)]
pub struct Base64 {
    /// Digits of an incomplete group, six bits each.
    bits: u32,
    digits: u8,
}

/// Bytes decoded per step. A line has 76 digits (RFC 2045 section 6.8); some programs write more.
const LINE_BYTES: usize = 128;

/// Value of a byte that is not a base64 digit.
const NONE: u8 = 64;

const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut value = 0_u8;
    while value < NONE {
        #[allow(clippy::indexing_slicing)] // evaluated by the compiler
        {
            values[alphabet[value as usize] as usize] = value;
        }
        value += 1;
    }
    values
};

fn value(byte: u8) -> u8 {
    VALUES.get(usize::from(byte)).copied().unwrap_or(NONE)
}

impl Base64 {
    /// Append the decoded form of the next bytes.
    pub fn feed(&mut self, bytes: &[u8], to: &mut Vec<u8>) {
        to.reserve(bytes.len() / 4 * 3 + 3);
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.digits == 0 {
                rest = whole_groups(rest, to);
            }
            let Some((first, tail)) = rest.split_first() else {
                break;
            };
            rest = tail;
            match value(*first) {
                NONE if *first == b'=' => self.finish(to),
                NONE => {}
                digit => {
                    self.bits = self.bits << 6 | u32::from(digit);
                    self.digits += 1;
                    if self.digits == 4 {
                        let [_, bytes @ ..] = self.bits.to_be_bytes();
                        to.extend_from_slice(&bytes);
                        *self = Self::default();
                    }
                }
            }
        }
    }

    /// Append the bytes of an incomplete group, and reset the decoder.
    pub fn finish(&mut self, to: &mut Vec<u8>) {
        let [_, _, high, low] = (self.bits >> if self.digits == 3 { 2 } else { 4 }).to_be_bytes();
        match self.digits {
            2 => to.push(low),
            3 => to.extend_from_slice(&[high, low]),
            _ => {} // a single digit is less than a byte
        }
        *self = Self::default();
    }
}

/// Append the decoded form of the groups of four digits at the start; return the rest. Reads at
/// most one line.
fn whole_groups<'a>(bytes: &'a [u8], to: &mut Vec<u8>) -> &'a [u8] {
    let line = bytes.get(..LINE_BYTES).unwrap_or(bytes);
    let length = memchr::memchr(b'\r', line).unwrap_or(line.len());
    let (groups, _) = line.get(..length).unwrap_or_default().as_chunks::<4>();
    let from = to.len();
    to.resize(from + 3 * groups.len(), 0);
    let room = to
        .get_mut(from..)
        .unwrap_or_default()
        .as_chunks_mut::<3>()
        .0;
    let mut done = 0;
    for (group, place) in groups.iter().zip(room) {
        let digits = group.map(value);
        // Only `NONE` has this bit.
        if digits.iter().fold(0, |all, digit| all | digit) & NONE != 0 {
            break;
        }
        let [a, b, c, d] = digits.map(u32::from);
        let [_, decoded @ ..] = (a << 18 | b << 12 | c << 6 | d).to_be_bytes();
        *place = decoded;
        done += 1;
    }
    to.truncate(from + 3 * done);
    bytes.get(4 * done..).unwrap_or_default()
}

/// Incremental decoder of quoted-printable.
#[derive(Default)]
pub struct QuotedPrintable {
    /// White space and incomplete escapes.
    held: Vec<u8>,
}

/// Meaning of the bytes after a `=`.
enum Escape {
    /// Two digits.
    Byte(u8),
    /// Soft line break of this length.
    Soft(usize),
    /// Not an escape.
    Nothing,
    /// Incomplete.
    Open,
}

fn hex(byte: u8) -> Option<u8> {
    u8::try_from(char::from(byte).to_digit(16)?).ok()
}

fn escape(tail: &[u8]) -> Escape {
    let blanks = tail
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count();
    if blanks > HELD_BYTES {
        return Escape::Nothing;
    }
    match tail.get(blanks..).unwrap_or_default() {
        [b'\n', ..] => Escape::Soft(blanks + 1),
        [b'\r', b'\n', ..] => Escape::Soft(blanks + 2),
        [] | [b'\r'] => Escape::Open,
        [high, rest @ ..] if blanks == 0 => match (hex(*high), rest.first()) {
            (None, _) => Escape::Nothing,
            (Some(_), None) => Escape::Open,
            (Some(high), Some(low)) => match hex(*low) {
                Some(low) => Escape::Byte(high << 4 | low),
                None => Escape::Nothing,
            },
        },
        _ => Escape::Nothing,
    }
}

/// Count the bytes of white space at the end, up to `at_most`.
fn blanks_at_end(bytes: &[u8], at_most: usize) -> usize {
    let blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
    bytes.iter().rev().take(at_most).take_while(blank).count()
}

impl QuotedPrintable {
    /// Append the decoded form of the next bytes.
    pub fn feed(&mut self, bytes: &[u8], to: &mut Vec<u8>) {
        if self.held.is_empty() {
            self.held = decode_quoted(bytes, to).to_vec();
        } else {
            let mut joined = std::mem::take(&mut self.held);
            joined.extend_from_slice(bytes);
            self.held = decode_quoted(&joined, to).to_vec();
        }
    }

    /// Append what is held back. White space at the end of a line is not part of the text (RFC 2045
    /// section 6.7, rule 3), and neither is a final `=`.
    pub fn finish(&mut self, to: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        match held.split_first() {
            Some((b'=', rest)) if rest.iter().any(|byte| !byte.is_ascii_whitespace()) => {
                to.extend_from_slice(&held);
            }
            Some((b'=', _)) | None => {}
            Some(_) if held.ends_with(b"\r") => to.extend_from_slice(&held), // not a line end
            Some(_) => {}
        }
    }
}

/// Append what is decided; return the rest, about [`HELD_BYTES`] at most.
fn decode_quoted<'a>(bytes: &'a [u8], to: &mut Vec<u8>) -> &'a [u8] {
    let mut rest = bytes;
    while let Some(at) = memchr::memchr2(b'=', b'\n', rest) {
        let (run, tail) = rest.split_at_checked(at).unwrap_or((rest, b""));
        if tail.starts_with(b"\n") {
            let cr = run.ends_with(b"\r");
            let text = run.get(..run.len() - usize::from(cr)).unwrap_or_default();
            let blanks = blanks_at_end(text, HELD_BYTES);
            to.extend_from_slice(text.get(..text.len() - blanks).unwrap_or_default());
            to.extend_from_slice(if cr { b"\r\n" } else { b"\n" });
            rest = tail.get(1..).unwrap_or_default();
            continue;
        }
        to.extend_from_slice(run);
        rest = tail.get(1..).unwrap_or_default();
        match escape(rest) {
            Escape::Byte(byte) => {
                to.push(byte);
                rest = rest.get(2..).unwrap_or_default();
            }
            Escape::Soft(length) => rest = rest.get(length..).unwrap_or_default(),
            Escape::Nothing => to.push(b'='),
            Escape::Open => return tail,
        }
    }
    let cr = rest.ends_with(b"\r");
    let text = rest.get(..rest.len() - usize::from(cr)).unwrap_or_default();
    let open = blanks_at_end(text, HELD_BYTES) + usize::from(cr);
    let (decided, open) = rest
        .split_at_checked(rest.len() - open)
        .unwrap_or((rest, b""));
    to.extend_from_slice(decided);
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(encoding: i8, parts: &[&[u8]]) -> Vec<u8> {
        let mut decoder = TransferDecoder::new(encoding);
        let mut bytes = Vec::new();
        for part in parts {
            decoder.feed(part, &mut bytes);
        }
        decoder.finish(&mut bytes);
        bytes
    }

    const CASES: &[(i8, &[u8], &[u8])] = &[
        (0, b"as =41 it is\r\n", b"as =41 it is\r\n"),
        (-1, b"as =41 it is\r\n", b"as =41 it is\r\n"),
        // RFC 4648 section 10
        (1, b"", b""),
        (1, b"Zg==", b"f"),
        (1, b"Zm8=", b"fo"),
        (1, b"Zm9v", b"foo"),
        (1, b"Zm9vYg==", b"foob"),
        (1, b"Zm9vYmE=", b"fooba"),
        (1, b"Zm9vYmFy", b"foobar"),
        (1, b"Zm9v\r\nYmFy\r\n", b"foobar"),
        (1, b"Zm9v\0 *Y\xffm-Fy", b"foobar"),
        (1, b"Zm9vYg", b"foob"),
        (1, b"Zm9vYmE", b"fooba"),
        (1, b"Zm9vY", b"foo"),
        (1, b"Zg==Zm8=Zm9v", b"ffofoo"),
        (1, b"====", b""),
        (1, b"/+8=", b"\xff\xef"),
        // RFC 2045 section 6.7
        (
            2,
            b"Now's the time =\r\nfor all folk to come=\r\n to the aid of their country.",
            b"Now's the time for all folk to come to the aid of their country.",
        ),
        (2, b"a=3Db=3db", b"a=b=b"),
        (
            2,
            b"trailing \t \r\nkept=20\r\n=09\r\nend  ",
            b"trailing\r\nkept \r\n\t\r\nend",
        ),
        (2, b"soft= \t\r\nbreak=\nbare", b"softbreakbare"),
        (
            2,
            b"not = an escape =4 =ZZ =4Z ==41",
            b"not = an escape =4 =ZZ =4Z =A",
        ),
        (2, b"in the end=", b"in the end"),
        (2, b"in the end=\r", b"in the end"),
        (2, b"in the end=4", b"in the end=4"),
        (2, b"in the end \r", b"in the end \r"),
        (2, b"bare\rcr \r \r\n", b"bare\rcr \r\r\n"),
        (2, b"8 bit \xfc\0", b"8 bit \xfc\0"),
    ];

    #[test]
    fn known_answers_whole_and_cut_at_every_byte() {
        for (encoding, bytes, decoded) in CASES {
            for at in 0..=bytes.len() {
                assert_eq!(
                    decode(*encoding, &[&bytes[..at], &bytes[at..]])
                        .escape_ascii()
                        .to_string(),
                    decoded.escape_ascii().to_string(),
                    "{} cut at {at}",
                    bytes.escape_ascii()
                );
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(decode(*encoding, &single), *decoded, "byte by byte");
        }
    }

    #[test]
    fn held_white_space_is_bounded_with_any_cut() {
        for count in [HELD_BYTES - 1, HELD_BYTES, HELD_BYTES + 1, 5000] {
            for (before, after) in [("a", "\r\n"), ("a", "b"), ("a=", "\n"), ("a=", "b")] {
                let text = format!("{before}{}{after}", " ".repeat(count));
                let whole = decode(2, &[text.as_bytes()]);
                let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
                assert_eq!(decode(2, &single), whole);
                let mut decoder = QuotedPrintable::default();
                decoder.feed(&text.as_bytes()[..text.len() - 2], &mut Vec::new());
                assert!(decoder.held.len() <= HELD_BYTES + 3);
            }
        }
    }
}
