//! Response writer: the responses of one connection until they are sent (RFC 9051 section 7).

use std::cell::Cell;

use crate::numbers::{UidSet, put_decimal};

/// Smallest buffer that is kept for reuse: smaller ones cost no system call.
const ROOM_BYTES_MIN: usize = 64 * 1024;
/// Largest buffer that is kept, one for each thread: a step of FETCH fits.
const ROOM_BYTES_MAX: usize = 512 * 1024;

thread_local! {
    /// Buffer of the last long response. A new one costs the kernel's clearing of each page.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Encode a `string`: quoted if possible, else a literal; the bytes are unchanged.
///
/// ```abnf
/// string = quoted / literal
/// ```
/// With `utf8`, UTF-8 may be quoted (RFC 9051 section 4.3). CR, LF and NUL, and without `utf8`
/// bytes above 127, need a literal.
#[must_use]
pub fn string(bytes: &[u8], utf8: bool) -> Vec<u8> {
    let quotable = !bytes.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n'))
        && (bytes.is_ascii() || (utf8 && std::str::from_utf8(bytes).is_ok()));
    let mut text = Vec::with_capacity(bytes.len() + 16);
    if quotable {
        quote(&mut text, bytes);
    } else {
        text.extend_from_slice(format!("{{{}}}\r\n", bytes.len()).as_bytes());
        text.extend_from_slice(bytes);
    }
    text
}

/// Append a quoted string; the caller checks that the text can be quoted.
///
/// ```abnf
/// quoted = DQUOTE *QUOTED-CHAR DQUOTE
/// ```
pub(crate) fn quote(to: &mut Vec<u8>, bytes: &[u8]) {
    to.push(b'"');
    let mut rest = bytes;
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest)
        && let Some((plain, [special, following @ ..])) = rest.split_at_checked(at)
    {
        to.extend_from_slice(plain);
        to.extend_from_slice(&[b'\\', *special]);
        rest = following;
    }
    to.extend_from_slice(rest);
    to.push(b'"');
}

/// Response of which a part has been written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Unfinished {
    /// All responses are whole.
    #[default]
    Nothing,
    /// It starts at this offset of the buffer.
    From(usize),
    /// Its start was taken from the buffer.
    Taken,
}

/// Buffered response lines; each method adds CRLF.
///
/// A response that is written in several pieces is marked as unfinished until its end, so that an
/// error in between can remove it.
#[derive(Debug, Default)]
pub struct ResponseWriter {
    waiting: Vec<u8>,
    unfinished: Unfinished,
    /// Human-readable text is UTF-8, not ASCII (RFC 5255 section 3.5).
    has_utf8_texts: bool,
}

impl ResponseWriter {
    /// Write human-readable text in UTF-8 from now on, or in ASCII.
    pub fn set_utf8_texts(&mut self, on: bool) {
        self.has_utf8_texts = on;
    }

    /// Return the number of buffered bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Return true if the buffer is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Return and remove all bytes; the writer holds no memory afterwards.
    pub fn take(&mut self) -> Vec<u8> {
        if self.unfinished != Unfinished::Nothing {
            self.unfinished = Unfinished::Taken;
        }
        std::mem::take(&mut self.waiting)
    }

    /// Record that of the last `written` bytes the last `open` begin or continue a response whose
    /// end follows.
    pub fn mark_unfinished(&mut self, written: usize, open: usize) {
        if open == 0 {
            self.unfinished = Unfinished::Nothing;
        } else if open < written || self.unfinished == Unfinished::Nothing {
            self.unfinished = Unfinished::From(self.waiting.len().saturating_sub(open));
        }
    }

    /// Remove an unfinished response; return false if its start has been taken. The buffer is
    /// cleared then: the client would read everything else as a part of that response.
    pub fn discard_unfinished(&mut self) -> bool {
        match self.unfinished {
            Unfinished::Nothing => true,
            Unfinished::From(start) => {
                self.waiting.truncate(start);
                self.unfinished = Unfinished::Nothing;
                true
            }
            Unfinished::Taken => {
                self.waiting.clear();
                false
            }
        }
    }

    /// As `take`, for a caller that copies the bytes.
    pub fn take_with<T>(&mut self, copy: impl FnOnce(&[u8]) -> T) -> T {
        let taken = self.take();
        let copied = copy(&taken);
        if (ROOM_BYTES_MIN..=ROOM_BYTES_MAX).contains(&taken.capacity()) {
            ROOM.set(taken);
        }
        copied
    }

    /// Return the buffer, to append many bytes without copying them twice.
    pub fn waiting(&mut self) -> &mut Vec<u8> {
        let mut room = ROOM.take();
        if room.capacity() > self.waiting.capacity() {
            room.clear();
            room.extend_from_slice(&self.waiting);
            self.waiting = room;
        }
        &mut self.waiting
    }

    /// Write bytes unchanged, line ends included.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// Write `* text`; the text may contain literals and is not checked.
    pub fn untagged(&mut self, text: &[u8]) {
        self.line(&[b"* ", text]);
    }

    /// Write `* SEARCH 2 3 6` (RFC 3501 section 7.2.5).
    pub fn search(&mut self, numbers: &UidSet) {
        self.raw(b"* SEARCH");
        for number in numbers.iter() {
            self.waiting.push(b' ');
            put_decimal(&mut self.waiting, number.into());
        }
        self.raw(b"\r\n");
    }

    /// Write `tag OK [code] text`.
    pub fn tagged(&mut self, tag: &[u8], status: &str, text: &str, code: Option<&str>) {
        self.waiting.extend_from_slice(tag);
        self.status(status, text, code);
    }

    /// Write `* OK [code] text`.
    pub fn condition(&mut self, status: &str, text: &str, code: Option<&str>) {
        self.waiting.push(b'*');
        self.status(status, text, code);
    }

    /// Write `+ text`.
    pub fn continuation(&mut self, text: &[u8]) {
        self.line(&[b"+ ", text]);
    }

    /// Write `* n EXISTS`.
    pub fn exists(&mut self, count: u32) {
        self.numbered(count, b" EXISTS");
    }

    /// Write `* n RECENT`.
    pub fn recent(&mut self, count: u32) {
        self.numbered(count, b" RECENT");
    }

    /// Write `* n EXPUNGE`.
    pub fn expunged(&mut self, number: u32) {
        self.numbered(number, b" EXPUNGE");
    }

    /// Write `* VANISHED [(EARLIER)] uids`, the UIDs as `to_imap` writes them; nothing for an empty
    /// set, which `known-uids` cannot express (RFC 7162 section 7).
    pub fn vanished(&mut self, uids: &[u8], earlier: bool) {
        if !uids.is_empty() {
            let word: &[u8] = if earlier {
                b"* VANISHED (EARLIER) "
            } else {
                b"* VANISHED "
            };
            self.line(&[word, uids]);
        }
    }

    fn status(&mut self, status: &str, text: &str, code: Option<&str>) {
        self.waiting.push(b' ');
        self.printable(status);
        self.waiting.push(b' ');
        if let Some(code) = code {
            self.waiting.push(b'[');
            self.printable(code);
            self.waiting.extend_from_slice(b"] ");
        }
        self.text(text);
        self.waiting.extend_from_slice(b"\r\n");
    }

    /// ```abnf
    /// resp-text      = ["[" resp-text-code "]" SP] UTF8-TEXT-CHAR *(UTF8-TEXT-CHAR / "[")
    /// UTF8-TEXT-CHAR = %x20-5A / %x5C-7E / UTF8-2 / UTF8-3 / UTF8-4
    /// ```
    /// RFC 5255 section 3.5.
    fn text(&mut self, text: &str) {
        if !self.has_utf8_texts {
            return self.printable(text);
        }
        let bytes = &mut [0; 4];
        for char in text.chars() {
            let char = if char.is_ascii_control() { '?' } else { char };
            self.waiting
                .extend_from_slice(char.encode_utf8(bytes).as_bytes());
        }
    }

    /// Check text before it is written: it cannot end its line early.
    fn printable(&mut self, text: &str) {
        self.waiting
            .extend(text.chars().map(|character| match character {
                ' '..='~' => u8::try_from(character).unwrap_or(b'?'),
                _ => b'?',
            }));
    }

    fn numbered(&mut self, number: u32, word: &[u8]) {
        self.line(&[b"* ", number.to_string().as_bytes(), word]);
    }

    fn line(&mut self, pieces: &[&[u8]]) {
        for piece in pieces {
            self.waiting.extend_from_slice(piece);
        }
        self.waiting.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_ascii_unless_they_may_be_utf8() {
        let mut out = ResponseWriter::default();
        out.condition("OK", "Größe\r\n\u{85}", None);
        out.set_utf8_texts(true);
        out.condition("OK", "Größe\r\n", Some("X ü"));
        out.set_utf8_texts(false);
        out.tagged(b"a", "NO", "ü", None);
        let expected = "* OK Gr??e???\r\n* OK [X ?] Größe??\r\na NO ?\r\n";
        assert_eq!(out.take(), expected.as_bytes());
    }

    #[test]
    fn unfinished_responses_are_removed_unless_their_start_was_taken() {
        let mut out = ResponseWriter::default();
        assert!(out.discard_unfinished());
        out.exists(1);
        let piece = b"* 1 FETCH (UID 1)\r\n* 2 FETCH (BODY[] {3}\r\n";
        out.raw(piece);
        out.mark_unfinished(piece.len(), 23);
        out.raw(b"ab");
        out.raw(b"c BODY[] {3}\r\n");
        out.mark_unfinished(14, 14);
        assert!(out.discard_unfinished());
        assert_eq!(out.take(), b"* 1 EXISTS\r\n* 1 FETCH (UID 1)\r\n");
        out.raw(b"* 2 FETCH (BODY[] {3}\r\n");
        out.mark_unfinished(23, 23);
        out.take();
        out.raw(b"ab");
        assert!(!out.discard_unfinished());
        assert!(out.is_empty());
        out.raw(b"c)\r\n* 3 FETCH (");
        out.mark_unfinished(15, 11);
        assert!(out.discard_unfinished());
        assert_eq!(out.take(), b"c)\r\n");
        assert!(out.discard_unfinished());
    }

    #[test]
    fn each_answer_is_a_line() {
        let mut out = ResponseWriter::default();
        out.untagged(b"FLAGS (\\Seen)");
        out.tagged(b"a1", "OK", "done", None);
        out.tagged(b"a2", "NO", "no such mailbox", Some("NONEXISTENT"));
        out.condition("OK", "hello", Some("CAPABILITY IMAP4rev2"));
        out.condition("BYE", "so long", None);
        out.continuation(b"");
        out.continuation(b"idling");
        out.exists(3);
        out.recent(0);
        out.expunged(7);
        out.vanished(b"1:3,9", false);
        out.vanished(b"4", true);
        out.vanished(b"", true);
        out.raw(b"* raw\r\n");
        assert_eq!(
            String::from_utf8(out.take()).unwrap(),
            "* FLAGS (\\Seen)\r\n\
             a1 OK done\r\n\
             a2 NO [NONEXISTENT] no such mailbox\r\n\
             * OK [CAPABILITY IMAP4rev2] hello\r\n\
             * BYE so long\r\n\
             + \r\n\
             + idling\r\n\
             * 3 EXISTS\r\n\
             * 0 RECENT\r\n\
             * 7 EXPUNGE\r\n\
             * VANISHED 1:3,9\r\n\
             * VANISHED (EARLIER) 4\r\n\
             * raw\r\n"
        );
        assert!(out.is_empty());
    }

    #[test]
    fn room_is_kept_for_the_next_long_answer() {
        for (bytes, kept) in [
            (ROOM_BYTES_MIN - 1, 0),
            (ROOM_BYTES_MIN, ROOM_BYTES_MIN),
            (ROOM_BYTES_MAX, ROOM_BYTES_MAX),
            (ROOM_BYTES_MAX + 1, 0),
        ] {
            ROOM.take();
            let mut out = ResponseWriter {
                waiting: Vec::with_capacity(bytes),
                ..ResponseWriter::default()
            };
            out.raw(b"long");
            assert_eq!(out.take_with(<[u8]>::to_vec), b"long");
            assert_eq!((out.len(), out.waiting.capacity()), (0, 0));
            let mut next = ResponseWriter::default();
            next.raw(b"* ");
            next.waiting().extend_from_slice(b"2");
            assert!(next.waiting.capacity() >= kept && ROOM.take().capacity() == 0);
            assert_eq!(next.waiting.capacity() >= ROOM_BYTES_MIN, kept > 0);
            assert_eq!(next.take(), b"* 2", "nothing is left of the last one");
        }
    }

    #[test]
    fn a_search_answer_has_all_numbers() {
        for runs in [
            vec![],
            vec![(1, 1)],
            vec![(1, 12), (97, 102), (1000, 1000)],
            vec![(999_998, 1_000_002), (u32::MAX - 1, u32::MAX)],
        ] {
            let numbers = UidSet::from_runs(runs).unwrap();
            let mut out = ResponseWriter::default();
            out.search(&numbers);
            let mut words = vec!["* SEARCH".to_string()];
            words.extend(numbers.iter().map(|number| number.to_string()));
            assert_eq!(out.take(), (words.join(" ") + "\r\n").as_bytes());
        }
    }

    #[test]
    fn no_text_ends_its_line_early() {
        let mut out = ResponseWriter::default();
        out.tagged(b"a", "NO", "x\r\n* BYE é\0", Some("A\nB"));
        assert_eq!(out.len(), b"a NO [A?B] x??* BYE ??\r\n".len());
        assert_eq!(out.take(), b"a NO [A?B] x??* BYE ??\r\n");
    }

    #[test]
    fn a_string_is_quoted_where_it_may_be() {
        for (bytes, utf8, written) in [
            (&b""[..], false, &b"\"\""[..]),
            (b"a\"b\\", false, b"\"a\\\"b\\\\\""),
            (b"a\r\n", false, b"{3}\r\na\r\n"),
            (b"a\0", false, b"{2}\r\na\0"),
            (b"\xC3\xA9", false, b"{2}\r\n\xC3\xA9"),
            (b"\xC3\xA9", true, b"\"\xC3\xA9\""),
            (b"\xC3", true, b"{1}\r\n\xC3"),
        ] {
            assert_eq!(string(bytes, utf8), written);
        }
    }
}
