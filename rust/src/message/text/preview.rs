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

impl Excerpt<'_> {
    /// Return at most [`PREVIEW_CHARS`] characters of text; empty if there are none.
    pub(crate) fn preview(&self) -> String {
        let mut bytes = Vec::new();
        let mut transfer = TransferDecoder::new(self.encoding);
        transfer.feed(self.bytes, &mut bytes);
        transfer.finish(&mut bytes);
        let mut text = String::new();
        CharsetDecoder::new(self.charset).decode(&bytes, false, &mut text);
        if self.is_html {
            return clip(without_tags(&text).chars());
        }
        // Skip quoted lines: the author's own text comes first.
        let own = text.lines().filter(|line| !line.starts_with('>'));
        let preview = clip(own.flat_map(|line| line.chars().chain(['\n'])));
        if preview.is_empty() {
            clip(text.chars())
        } else {
            preview
        }
    }
}

/// True for characters without width; newsletters pad their start with them.
fn is_invisible(char: char) -> bool {
    matches!(
        char,
        '\u{ad}' | '\u{34f}' | '\u{200b}' | '\u{2060}' | '\u{feff}'
    )
}

/// Replace white space and controls by single spaces, trim the ends, and cut.
fn clip(chars: impl Iterator<Item = char>) -> String {
    let mut clipped = String::new();
    let mut count = 0;
    let mut space = false;
    for char in chars {
        if char.is_whitespace() || char.is_control() {
            space = count > 0;
        } else if !is_invisible(char) {
            if count + usize::from(space) >= PREVIEW_CHARS {
                break;
            }
            if std::mem::take(&mut space) {
                clipped.push(' ');
                count += 1;
            }
            clipped.push(char);
            count += 1;
        }
    }
    clipped
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
