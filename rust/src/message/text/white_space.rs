//! White space of header texts, which folding makes arbitrary.
use std::borrow::Cow;

/// Replace each run of white space by one space, and trim the ends.
#[must_use]
pub fn collapse(text: &str) -> Cow<'_, str> {
    if is_collapsed(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let mut collapsed = String::with_capacity(text.len());
    for word in text.split_ascii_whitespace() {
        if !collapsed.is_empty() {
            collapsed.push(' ');
        }
        collapsed.push_str(word);
    }
    Cow::Owned(collapsed)
}

/// True if `collapse` does not change a text.
fn is_collapsed(text: &[u8]) -> bool {
    text.trim_ascii() == text
        && memchr::memchr3(b'\t', b'\r', b'\n', text).is_none()
        && !text.windows(2).any(|pair| pair == b"  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_runs_become_one_space() {
        assert_eq!(collapse(" a \t b\r\n c "), "a b c");
        assert_eq!(collapse("a b"), "a b");
        assert_eq!(collapse(" \t"), "");
        assert_eq!(collapse("a\u{a0}b"), "a\u{a0}b");
    }
}
