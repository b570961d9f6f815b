//! Preview: the first characters of the message text (RFC 8970).
use super::charset::CharsetDecoder;
use crate::message::limits::PREVIEW_CHARS;
use crate::message::mime::transfer::TransferDecoder;

/// First bytes of a text part, as the scanner captured them.
pub(crate) struct Excerpt<'a> {
    pub bytes: &'a [u8],
    pub encoding: i8,
    pub charset: &'a str,
    pub is_html: bool,
}

/// Bytes of plain text that mostly contain a whole preview: the rest is decoded only if it is needed.
const START_BYTES: usize = 1024;

impl Excerpt<'_> {
    /// Return at most [`PREVIEW_CHARS`] characters of text; empty if there are none.
    pub(crate) fn preview(&self) -> String {
        if self.is_html {
            let mut clip = Clip::new();
            clip.add(&without_tags(&self.decoded(self.bytes, true)));
            return clip.text;
        }
        if let Some(start) = self.bytes.get(..START_BYTES) {
            let clip = own_text(&self.decoded(start, false));
            if clip.is_full() {
                return clip.text;
            }
        }
        let text = self.decoded(self.bytes, true);
        let mut clip = own_text(&text);
        if clip.text.is_empty() {
            clip.add(&text);
        }
        clip.text
    }

    /// Decode some bytes from the start: all of them, or as many as make whole characters.
    fn decoded(&self, bytes: &[u8], all: bool) -> String {
        let mut text = String::new();
        let mut charset = CharsetDecoder::new(self.charset);
        match TransferDecoder::new(self.encoding) {
            TransferDecoder::Identity => charset.decode(bytes, false, &mut text),
            mut transfer => {
                let mut plain = Vec::new();
                transfer.feed(bytes, &mut plain);
                if all {
                    transfer.finish(&mut plain);
                }
                charset.decode(&plain, false, &mut text);
            }
        }
        text
    }
}

/// Clip a text without its quoted lines: the author's own text comes first.
fn own_text(text: &str) -> Clip {
    let mut clip = Clip::new();
    for line in text.lines().filter(|line| !line.starts_with('>')) {
        clip.add(line);
        clip.add("\n");
        if clip.is_full() {
            break;
        }
    }
    clip
}

/// True for characters without width; newsletters pad their start with them.
fn is_invisible(char: char) -> bool {
    matches!(
        char,
        '\u{ad}' | '\u{34f}' | '\u{200b}' | '\u{2060}' | '\u{feff}'
    )
}

/// Start of a text: white space and controls are replaced by single spaces, and none is at the ends.
struct Clip {
    text: String,
    chars: usize,
    /// True if a space is due before the next character.
    space: bool,
}

impl Clip {
    fn new() -> Self {
        Self {
            text: String::with_capacity(PREVIEW_CHARS),
            chars: 0,
            space: false,
        }
    }

    /// True if no further character has room.
    fn is_full(&self) -> bool {
        self.chars + usize::from(self.space) >= PREVIEW_CHARS
    }

    fn add(&mut self, text: &str) {
        let mut rest = text;
        while let Some(char) = rest.chars().next() {
            let (word, tail) = split_word(rest);
            rest = tail;
            if char.is_whitespace() || char.is_control() {
                self.space = self.chars > 0;
            } else if !is_invisible(char) {
                if self.is_full() {
                    return;
                }
                if std::mem::take(&mut self.space) {
                    self.text.push(' ');
                    self.chars += 1;
                }
                // `word` is one character, or ASCII.
                let room = PREVIEW_CHARS - self.chars;
                let word = word.get(..room).filter(|_| word.is_ascii()).unwrap_or(word);
                self.text.push_str(word);
                self.chars += if word.is_ascii() { word.len() } else { 1 };
            }
        }
    }
}

/// Split the printable ASCII characters from the start of a text; if there are none, one character.
fn split_word(text: &str) -> (&str, &str) {
    let ascii = text.bytes().take_while(u8::is_ascii_graphic).count();
    let first = || text.chars().next().map_or(0, char::len_utf8);
    let bytes = if ascii == 0 { first() } else { ascii };
    text.split_at_checked(bytes).unwrap_or((text, ""))
}

/// Elements that do not separate words.
const INLINE: &[&str] = &[
    "a", "abbr", "b", "big", "bdi", "bdo", "code", "em", "font", "i", "ins", "mark", "q", "s",
    "small", "span", "strike", "strong", "sub", "sup", "tt", "u", "wbr",
];

/// Elements whose content is not displayed.
const HIDDEN: &[&str] = &["script", "style", "title", "template", "noscript"];

/// Return the text of an HTML document, with spaces for tags that separate words.
fn without_tags(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        without_entities(before, &mut text);
        rest = after;
        if let Some(comment) = after.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, rest)| rest);
            continue;
        }
        let name_from = after.strip_prefix('/').unwrap_or(after);
        let name = name_from
            .split_once(|char: char| !char.is_ascii_alphanumeric())
            .map_or(name_from, |(name, _)| name);
        if name.is_empty() && !after.starts_with(['!', '?', '/']) {
            text.push('<');
            continue;
        }
        rest = after.split_once('>').map_or("", |(_, rest)| rest);
        let is = |known: &&str| name.eq_ignore_ascii_case(known);
        if !after.starts_with('/')
            && let Some(hidden) = HIDDEN.iter().find(|known| is(known))
        {
            rest = after_end_tag(rest, hidden);
        }
        if !INLINE.iter().any(is) {
            text.push(' ');
        }
    }
    without_entities(rest, &mut text);
    text
}

/// Return the text after `</name>`; empty if the element is not closed.
fn after_end_tag<'a>(html: &'a str, name: &str) -> &'a str {
    let mut rest = html;
    while let Some((_, after)) = rest.split_once("</") {
        if let Some((head, tail)) = after.split_at_checked(name.len())
            && head.eq_ignore_ascii_case(name)
        {
            return tail.split_once('>').map_or("", |(_, rest)| rest);
        }
        rest = after;
    }
    ""
}

const ENTITIES: &[(&str, char)] = &[
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("shy", '\u{ad}'),
    ("zwnj", '\u{200b}'), // used as padding
    ("ndash", '–'),
    ("mdash", '—'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("laquo", '«'),
    ("raquo", '»'),
    ("hellip", '…'),
    ("bull", '•'),
    ("middot", '·'),
    ("copy", '©'),
    ("reg", '®'),
    ("trade", '™'),
    ("euro", '€'),
    ("pound", '£'),
    ("auml", 'ä'),
    ("ouml", 'ö'),
    ("uuml", 'ü'),
    ("Auml", 'Ä'),
    ("Ouml", 'Ö'),
    ("Uuml", 'Ü'),
    ("szlig", 'ß'),
    ("eacute", 'é'),
    ("egrave", 'è'),
    ("agrave", 'à'),
    ("ccedil", 'ç'),
    ("ntilde", 'ñ'),
];

fn entity(name: &str) -> Option<char> {
    let Some(number) = name.strip_prefix('#') else {
        return ENTITIES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, char)| *char);
    };
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => number.parse(),
    };
    char::from_u32(code.ok()?)
}

fn without_entities(text: &str, to: &mut String) {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        to.push_str(before);
        let end = after.bytes().take(10).position(|byte| byte == b';');
        let named = end.and_then(|end| after.split_at_checked(end));
        let meant = named.and_then(|(name, tail)| Some((entity(name)?, tail.get(1..)?)));
        let char;
        (char, rest) = meant.unwrap_or(('&', after));
        to.push(char);
    }
    to.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview(bytes: &[u8], encoding: i8, charset: &str, is_html: bool) -> String {
        Excerpt {
            bytes,
            encoding,
            charset,
            is_html,
        }
        .preview()
    }

    #[test]
    fn plain_texts() {
        for (text, expected) in [
            ("", ""),
            (" \r\n\t", ""),
            ("Hello,\r\n\r\n  world\0!\r\n", "Hello, world !"),
            ("> quoted\r\nanswer\r\n> more", "answer"),
            ("> only\r\n> quoted", "> only > quoted"),
            ("a\u{a0}\u{200b}b\u{feff}", "a b"),
        ] {
            assert_eq!(
                preview(text.as_bytes(), 0, "utf-8", false),
                expected,
                "{text}"
            );
        }
        assert_eq!(preview(b"R3LDvMOfZQ==", 1, "utf-8", false), "Grüße");
        assert_eq!(
            preview(b"Gr=FC=DFe=\r\n!", 2, "iso-8859-1", false),
            "Grüße!"
        );
        assert_eq!(
            preview("Grüß".as_bytes().split_last().unwrap().1, 0, "utf-8", false),
            "Grü"
        );
    }

    #[test]
    fn html_texts() {
        for (html, expected) in [
            ("<p>Hello <b>wor</b>ld</p><p>again", "Hello world again"),
            (
                "<html><head><title>x</title><style>p { a: b > c }</STYLE></head><body>y",
                "y",
            ),
            ("<!-- <p>no</p> -->yes<!-- open", "yes"),
            (
                "a &lt; b &amp;&amp; c &#62; d &#x1F600; &nope; &",
                "a < b && c > d 😀 &nope; &",
            ),
            ("1 < 2<br/>x<", "1 < 2 x<"),
            ("a<br>b<td>c</td>d", "a b c d"),
            ("<script>if (a</script2) {}</script >b", "b"),
            ("<style>never closed", ""),
            ("a<b", "a"),
            ("x&zwnj;&nbsp;&zwnj;&nbsp;y", "x y"),
        ] {
            assert_eq!(
                preview(html.as_bytes(), 0, "utf-8", true),
                expected,
                "{html}"
            );
        }
    }

    #[test]
    fn a_preview_has_at_most_200_characters() {
        for (count, kept) in [(199, 199), (200, 200), (201, 200)] {
            assert_eq!(
                preview("ü".repeat(count).as_bytes(), 0, "", false)
                    .chars()
                    .count(),
                kept
            );
        }
        assert_eq!(
            preview("a ".repeat(300).as_bytes(), 0, "", false)
                .chars()
                .count(),
            199
        );
    }

    #[test]
    fn the_start_of_a_long_text_is_decoded_as_the_whole_text_is() {
        for (start, length) in [
            ("> q\r\n", 5),
            ("a  b\u{200b}\n", 8),
            ("ü x", 4),
            ("\u{feff}", 3),
        ] {
            for copies in [
                START_BYTES / length - 1,
                START_BYTES / length,
                START_BYTES / length + 1,
                START_BYTES,
            ] {
                for end in ["", "end", &"ende ".repeat(80), &"ß".repeat(START_BYTES)] {
                    let text = start.repeat(copies) + end;
                    let own: Vec<&str> =
                        text.lines().filter(|line| !line.starts_with('>')).collect();
                    let mut expected = slow_clip(&own.join("\n"));
                    if expected.is_empty() {
                        expected = slow_clip(&text);
                    }
                    assert_eq!(
                        preview(text.as_bytes(), 0, "utf-8", false),
                        expected,
                        "{text}"
                    );
                }
            }
        }
    }

    /// Clip a text character by character.
    fn slow_clip(text: &str) -> String {
        let visible: String = text.chars().filter(|char| !is_invisible(*char)).collect();
        let words: Vec<&str> = visible.split_whitespace().collect();
        let clipped: String = words.join(" ").chars().take(PREVIEW_CHARS).collect();
        clipped.trim_end().to_string()
    }

    #[test]
    fn hostile_html_takes_linear_time() {
        for piece in ["<", "<!--", "<style", "</", "<a", "&", "<script>", "&#"] {
            preview(
                piece.repeat(64 * 1024 / piece.len()).as_bytes(),
                0,
                "",
                true,
            );
        }
    }
}
