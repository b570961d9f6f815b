//! Base subject (RFC 5256 section 2.1).
use crate::message::text::white_space::collapse;

/// Base subject, by which messages are threaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BaseSubject {
    pub text: String,
    /// True if a marker of a reply or of a forwarded message was removed.
    pub is_reply_or_forward: bool,
}

fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn strip_suffix<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let (rest, tail) = text.split_at_checked(text.len().checked_sub(suffix.len())?)?;
    tail.eq_ignore_ascii_case(suffix).then_some(rest)
}

/// ```abnf
/// subj-blob = "[" *BLOBCHAR "]" *WSP
/// ```
fn blob(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let end = inner.find(['[', ']'])?;
    Some(
        inner
            .get(end..)?
            .strip_prefix(']')?
            .trim_start_matches([' ', '\t']),
    )
}

/// ```abnf
/// subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"
/// ```
fn refwd(text: &str) -> Option<&str> {
    let rest = ["re", "fwd", "fw"]
        .iter()
        .find_map(|word| strip_prefix(text, word))?;
    let rest = rest.trim_start_matches([' ', '\t']);
    blob(rest).unwrap_or(rest).strip_prefix(':')
}

/// Do step 2; return the text and whether `(fwd)` was removed.
fn without_trailers(mut text: &str) -> (&str, bool) {
    let mut forwarded = false;
    loop {
        text = text.trim_end_matches([' ', '\t']);
        let Some(rest) = strip_suffix(text, "(fwd)") else {
            return (text, forwarded);
        };
        text = rest;
        forwarded = true;
    }
}

/// Do steps 3 to 5 in linear time: all blobs are skipped at once, and removed one by one only if no
/// `re:` follows them.
fn without_leaders(mut text: &str) -> (&str, bool) {
    let mut replied = false;
    loop {
        text = text.trim_start_matches([' ', '\t']);
        let mut tail = text;
        let mut last_but_empty = text;
        while let Some(rest) = blob(tail) {
            tail = rest;
            if !rest.is_empty() {
                last_but_empty = rest;
            }
        }
        if let Some(rest) = refwd(tail) {
            text = rest;
            replied = true;
        } else {
            return (last_but_empty, replied);
        }
    }
}

/// Extract the base subject from a decoded Subject.
pub(crate) fn base_subject(subject: &str) -> BaseSubject {
    let collapsed = collapse(subject);
    let mut text: &str = &collapsed;
    let mut is_reply_or_forward = false;
    loop {
        let forwarded;
        (text, forwarded) = without_trailers(text);
        let replied;
        (text, replied) = without_leaders(text);
        is_reply_or_forward |= forwarded || replied;
        // Step 6
        match strip_prefix(text, "[fwd:").and_then(|inner| inner.strip_suffix(']')) {
            Some(inner) => {
                text = inner;
                is_reply_or_forward = true;
            }
            None => {
                return BaseSubject {
                    text: text.to_owned(),
                    is_reply_or_forward,
                };
            }
        }
    }
}

/// Extract the base subject from bytes that cannot be converted to text.
pub(crate) fn base_subject_of_bytes(subject: &[u8]) -> Vec<u8> {
    // A character for each byte; the rules look at ASCII only.
    let text: String = subject.iter().map(|byte| char::from(*byte)).collect();
    let base = base_subject(&text).text;
    base.chars()
        .filter_map(|char| u8::try_from(u32::from(char)).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        for (subject, base, is_reply_or_forward) in [
            ("Hello", "Hello", false),
            ("Re: Hello", "Hello", true),
            ("RE: FW: fwd: re : Hello", "Hello", true),
            ("Hello (fwd)", "Hello", true),
            ("Hello (fwd) (FWD)\t", "Hello", true),
            ("[list] Hello", "Hello", false),
            ("[list] [x] Re: [list] Hello", "Hello", true),
            ("Re[2]: Hello", "Hello", true),
            ("Re [2] : Hello", "Hello", true),
            ("[list]", "[list]", false),
            ("[a] [b]", "[b]", false),
            ("Re: [list]", "[list]", true),
            ("[Fwd: Hello]", "Hello", true),
            ("[fwd: Re: [list] Hello (fwd)] (fwd)", "Hello", true),
            ("[fwd: [fwd: a]]", "a", true),
            ("[fwd: a", "[fwd: a", false),
            ("a  \t b", "a b", false),
            ("Reply: x", "Reply: x", false),
            ("Hello [x] Re:", "Hello [x] Re:", false),
            ("Re:", "", true),
            ("", "", false),
            ("[a[b] c", "[a[b] c", false),
            ("Re: Grüße", "Grüße", true),
        ] {
            let expected = BaseSubject {
                text: base.into(),
                is_reply_or_forward,
            };
            assert_eq!(base_subject(subject), expected, "{subject}");
        }
    }

    #[test]
    fn hostile_subjects_take_linear_time() {
        for piece in ["[a]", "[fwd:", "re:", "(fwd)", "[", "]", "[a]re", "[fwd:]"] {
            base_subject(&piece.repeat(64 * 1024 / piece.len()));
        }
        let nested = format!("{}{}", "[fwd:".repeat(10_000), "]".repeat(10_000));
        assert_eq!(base_subject(&nested).text, "");
    }
}
