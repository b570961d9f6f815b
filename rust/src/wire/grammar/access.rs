//! ID, LOGIN, AUTHENTICATE, ENABLE, COMPRESS, LANGUAGE, COMPARATOR.

use super::{lossy, one_of, parenthesised, upper_atom};
use crate::wire::command::Verb;
use crate::wire::syntax::base64;
use crate::wire::syntax::cursor::{Cursor, ParseError, Parsed};

/// ```abnf
/// id             = "ID" SP id-params-list
/// id-params-list = "(" [string SP nstring *(SP string SP nstring)] ")" / nil
/// ```
/// RFC 2971 section 4. Its bounds (30 pairs, 1,024 bytes) are for senders; ours are `Limits`.
pub(super) fn id(input: &mut Cursor<'_>) -> Parsed<Verb> {
    let mut params = Vec::new();
    if !input.take_word(b"NIL") {
        parenthesised(input, |input| {
            let name = lossy(&input.astring("a field name")?);
            input.space()?;
            let value = input.nstring("a field value or NIL")?;
            params.push((name, value.map(|value| lossy(&value))));
            Ok(())
        })?;
    }
    Ok(Verb::Id { params })
}

/// ```abnf
/// login = "LOGIN" SP userid SP password
/// ```
pub(super) fn login(input: &mut Cursor<'_>) -> Parsed<Verb> {
    let user = input.astring("a user name")?.into_owned();
    input.space()?;
    let password = input.astring("a password")?.into_owned();
    Ok(Verb::Login { user, password })
}

/// Entry of `DisabledSyntax` for an initial response (RFC 4959).
const INITIAL: &[u8] = b"=";

/// ```abnf
/// authenticate = "AUTHENTICATE" SP auth-type [SP (base64 / "=")]
/// ```
/// RFC 4959: `=` is an empty initial response.
pub(super) fn authenticate(input: &mut Cursor<'_>) -> Parsed<Verb> {
    let start = input.clone();
    let mechanism = upper_atom(input, "a mechanism")?;
    if !input.offers(mechanism.as_bytes()) {
        return start.expected("an offered mechanism");
    }
    let mut initial = None;
    if input.offers(INITIAL) && !input.at_end() {
        input.space()?;
        let at = input.at();
        let text = input.take_while(|byte| byte != b' ');
        let bytes = if text == b"=" {
            Some(Vec::new())
        } else {
            base64::decode(text)
        };
        initial = Some(bytes.ok_or(ParseError::Expected("base64", at))?);
    }
    Ok(Verb::Authenticate { mechanism, initial })
}

/// ```abnf
/// enable = "ENABLE" 1*(SP capability)
/// ```
pub(super) fn enable(input: &mut Cursor<'_>) -> Parsed<Verb> {
    let mut names = Vec::new();
    loop {
        input.room(names.len(), "capabilities")?;
        names.push(upper_atom(input, "a capability")?);
        if input.at_end() {
            return Ok(Verb::Enable { names });
        }
        input.space()?;
    }
}

/// ```abnf
/// language-cmd      = "LANGUAGE" *(SP lang-range-quoted)
/// lang-range-quoted = astring
/// comparator-cmd    = "COMPARATOR" *(SP comp-order-quoted)
/// comp-order-quoted = astring
/// ```
/// RFC 5255 sections 3.5 and 4.10. The command's own rules for the strings are not checked here.
pub(super) fn strings(input: &mut Cursor<'_>, what: &'static str) -> Parsed<Vec<String>> {
    let mut strings = Vec::new();
    while !input.at_end() {
        input.space()?;
        input.room(strings.len(), what)?;
        strings.push(lossy(&input.astring("a string")?));
    }
    Ok(strings)
}

/// ```abnf
/// compress  = "COMPRESS" SP algorithm
/// algorithm = "DEFLATE"
/// ```
/// RFC 4978 section 5.
pub(super) fn compress(input: &mut Cursor<'_>) -> Parsed<Verb> {
    one_of(input, &["DEFLATE"], "DEFLATE").map(|_| Verb::Compress)
}
