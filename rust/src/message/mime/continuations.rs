//! Parameters in pieces (RFC 2231 sections 3 and 4).
//!
//! `baz*0` and `baz*1` are joined to `baz`. If a piece has the form with percent signs, as in
//! `foo*0*`, the result is `foo*`, with charset and language in front and all bytes of other pieces
//! escaped: the form that the parameter would have in one piece.
use crate::message::limits::ESCAPED_PARAMETER_BYTES;

/// Name and value of a parameter. A quoted value is unquoted, pieces are joined, and the value of a
/// name that ends in `*` has escapes, with charset and language in front (RFC 2231).
pub(crate) type Parameter = (Vec<u8>, Vec<u8>);

/// Name of a piece: `foo*1*` is the piece 1 of `foo`, extended.
struct PieceName<'a> {
    parameter: &'a [u8],
    number: usize,
    /// The value has escapes; that of piece 0 starts with charset and language.
    is_extended: bool,
}

/// ```abnf
/// attribute "*" ("0" / %x31-39 *DIGIT) ["*"]
/// ```
fn piece_name(name: &[u8]) -> Option<PieceName<'_>> {
    let star = memchr::memchr(b'*', name)?;
    let (parameter, section) = name.split_at_checked(star)?;
    let section = section.strip_prefix(b"*")?;
    let digits = section.strip_suffix(b"*").unwrap_or(section);
    let is_number = match digits {
        [b'0'] => true,
        [b'1'..=b'9', tail @ ..] => tail.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if parameter.is_empty() || !is_number {
        return None;
    }
    Some(PieceName {
        parameter,
        number: str::from_utf8(digits).ok()?.parse().ok()?,
        is_extended: digits.len() < section.len(),
    })
}

/// Join the pieces of each parameter, at the place of the first one received.
///
/// Pieces may be in any order; of several with one number the first counts. Left as received: pieces
/// after a missing number, those of a parameter that is there in one piece as well, and those of a
/// long value with escapes. Cost is quadratic in the number of parameters, which is bounded.
pub(super) fn join(received: Vec<Parameter>) -> Vec<Parameter> {
    if !received.iter().any(|(name, _)| name.contains(&b'*')) {
        return received; // as nearly all are
    }
    let names: Vec<_> = received.iter().map(|(name, _)| piece_name(name)).collect();
    let is_present = |name: &[u8]| {
        received
            .iter()
            .any(|(other, _)| other.eq_ignore_ascii_case(name))
    };
    let mut joined: Vec<Parameter> = Vec::with_capacity(received.len());
    let mut done: Vec<(&[u8], usize)> = Vec::new(); // names, and the number of pieces joined
    for (parameter, name) in received.iter().zip(&names) {
        let is_done = |piece: &PieceName<'_>| {
            done.iter().any(|(name, count)| {
                piece.number < *count && piece.parameter.eq_ignore_ascii_case(name)
            })
        };
        match name {
            Some(piece) if is_done(piece) => continue,
            Some(piece) => {
                let pieces = sequence(&received, &names, piece.parameter);
                let name = whole_name(piece.parameter, &pieces);
                if piece.number < pieces.len()
                    && !is_present(&name)
                    && let Some(value) = whole_value(&pieces)
                {
                    done.push((piece.parameter, pieces.len()));
                    joined.push((name, value));
                    continue;
                }
            }
            None => {}
        }
        joined.push(parameter.clone());
    }
    joined
}

/// Return the pieces 0, 1, 2… of a parameter, up to the first missing number: each with whether it
/// is extended.
fn sequence<'a>(
    received: &'a [Parameter],
    names: &[Option<PieceName<'_>>],
    parameter: &[u8],
) -> Vec<(bool, &'a [u8])> {
    let mut pieces = vec![None; received.len()];
    for (name, (_, value)) in names.iter().zip(received) {
        if let Some(name) = name
            && name.parameter.eq_ignore_ascii_case(parameter)
            && let Some(place) = pieces.get_mut(name.number)
        {
            place.get_or_insert((name.is_extended, value.as_slice()));
        }
    }
    pieces.into_iter().map_while(|piece| piece).collect()
}

fn is_any_extended(pieces: &[(bool, &[u8])]) -> bool {
    pieces.iter().any(|(is_extended, _)| *is_extended)
}

fn whole_name(parameter: &[u8], pieces: &[(bool, &[u8])]) -> Vec<u8> {
    let suffix: &[u8] = if is_any_extended(pieces) { b"*" } else { b"" };
    [parameter, suffix].concat()
}

/// Return the joined value; None if it would be over [`ESCAPED_PARAMETER_BYTES`].
fn whole_value(pieces: &[(bool, &[u8])]) -> Option<Vec<u8>> {
    if !is_any_extended(pieces) {
        let values: Vec<&[u8]> = pieces.iter().map(|(_, value)| *value).collect();
        return Some(values.concat());
    }
    let mut whole = Vec::new();
    let has_charset = pieces.first().is_some_and(|(is_extended, value)| {
        *is_extended && memchr::memchr_iter(b'\'', value).count() >= 2
    });
    if !has_charset {
        whole.extend_from_slice(b"''"); // both may be empty
    }
    for (is_extended, value) in pieces {
        if *is_extended {
            whole.extend_from_slice(value);
        } else {
            escape(value, &mut whole);
        }
        if whole.len() > ESCAPED_PARAMETER_BYTES {
            return None;
        }
    }
    Some(whole)
}

/// ```abnf
/// attribute-char = <any (US-ASCII) CHAR except SPACE, CTLs, "*", "'", "%", or tspecials>
/// ```
/// Append a value with all other bytes as `%` and two digits.
fn escape(value: &[u8], to: &mut Vec<u8>) {
    for byte in value {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`{|}~".contains(byte) {
            to.push(*byte);
        } else {
            to.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::limits::PARAMETERS;

    fn show(parameters: &[(&str, &str)]) -> String {
        let received = parameters
            .iter()
            .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        let joined = join(received.collect());
        let shown = joined
            .iter()
            .map(|(name, value)| format!("{}={};", name.escape_ascii(), value.escape_ascii()));
        shown.collect::<Vec<_>>().concat()
    }

    #[test]
    fn known_answers() {
        for (parameters, joined) in [
            (&[][..], ""),
            (&[("a", "b"), ("c", "d")], "a=b;c=d;"),
            // RFC 2231 section 3
            (
                &[
                    ("access-type", "URL"),
                    ("URL*0", "ftp://"),
                    ("URL*1", "cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"),
                ],
                "access-type=URL;URL=ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar;",
            ),
            // Section 4.1
            (
                &[
                    ("title*0*", "us-ascii'en'This%20is%20even%20more%20"),
                    ("title*1*", "%2A%2A%2Afun%2A%2A%2A%20"),
                    ("title*2", "isn't it!"),
                ],
                "title*=us-ascii\\'en\\'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn%27t%20it!;",
            ),
            // In one piece: as received
            (&[("x*", "utf-8'en'a%20b")], "x*=utf-8\\'en\\'a%20b;"),
            // One piece, and names in any case
            (&[("x*0", "a")], "x=a;"),
            (&[("x*0*", "utf-8''%41")], "x*=utf-8\\'\\'%41;"),
            (&[("X*0", "a"), ("x*1", "b")], "X=ab;"),
            // Out of order, at the place of the first received
            (
                &[("x*1", "b"), ("y", "z"), ("x*0", "a"), ("x*2", "c")],
                "x=abc;y=z;",
            ),
            (
                &[("x*1", "a'b"), ("x*0*", "utf-8'en'%41")],
                "x*=utf-8\\'en\\'%41a%27b;",
            ),
            // Missing pieces
            (&[("x*1", "b"), ("x*2", "c")], "x*1=b;x*2=c;"),
            (&[("x*0", "a"), ("x*2", "c")], "x=a;x*2=c;"),
            (&[("x*2", "c"), ("x*0", "a")], "x*2=c;x=a;"),
            // Duplicates
            (&[("x*0", "a"), ("x*0", "b"), ("x*1", "c")], "x=ac;"),
            (
                &[("x*0*", "utf-8''a"), ("x*0", "b"), ("x*1", "c")],
                "x*=utf-8\\'\\'ac;",
            ),
            // The first piece has no charset
            (&[("x*0", "a b"), ("x*1*", "%20c")], "x*=\\'\\'a%20b%20c;"),
            (&[("x*0*", "a%20"), ("x*1", "b%")], "x*=\\'\\'a%20b%25;"),
            (&[("x*0*", "''a"), ("x*1*", "b'")], "x*=\\'\\'ab\\';"),
            // There in one piece as well
            (
                &[("x", "plain"), ("x*0*", "utf-8''a"), ("x*1*", "b")],
                "x=plain;x*=utf-8\\'\\'ab;",
            ),
            (
                &[("x*0", "a"), ("x*1", "b"), ("X", "ab")],
                "x*0=a;x*1=b;X=ab;",
            ),
            (
                &[("x*", "utf-8''c"), ("x*0*", "utf-8''a")],
                "x*=utf-8\\'\\'c;x*0*=utf-8\\'\\'a;",
            ),
            (&[("x*", "utf-8''c"), ("x*0", "a")], "x*=utf-8\\'\\'c;x=a;"),
            // No pieces
            (
                &[
                    ("x*00", "a"),
                    ("x*01", "b"),
                    ("x**", "c"),
                    ("*0", "d"),
                    ("x*0*0", "e"),
                    ("x*+1", "f"),
                ],
                "x*00=a;x*01=b;x**=c;*0=d;x*0*0=e;x*+1=f;",
            ),
            (
                &[("x*99999999999999999999", "a")],
                "x*99999999999999999999=a;",
            ),
        ] {
            assert_eq!(show(parameters), joined, "{parameters:?}");
        }
    }

    #[test]
    fn long_values_with_escapes_stay_in_pieces() {
        let prefix = "utf-8''";
        for (bytes, parameters) in [
            (ESCAPED_PARAMETER_BYTES - prefix.len(), 1),
            (ESCAPED_PARAMETER_BYTES - prefix.len() + 1, 2),
        ] {
            let received = vec![
                (b"x*0*".to_vec(), prefix.into()),
                (b"x*1".to_vec(), vec![b'a'; bytes]),
            ];
            assert_eq!(join(received).len(), parameters);
        }
        // Without escapes the value does not grow.
        let received = vec![
            (b"x*0".to_vec(), vec![b'a'; ESCAPED_PARAMETER_BYTES]),
            (b"x*1".to_vec(), b"b".to_vec()),
        ];
        assert_eq!(join(received).len(), 1);
    }

    #[test]
    fn many_pieces_are_joined() {
        let all: Vec<Parameter> = (0..PARAMETERS)
            .rev()
            .map(|number| (format!("x*{number}").into_bytes(), b"ab".to_vec()))
            .collect();
        assert_eq!(join(all), [(b"x".to_vec(), b"ab".repeat(PARAMETERS))]);
    }
}
