//! SEARCH (RFC 9051 section 6.4.4, RFC 3501, 4731, 5032, 5182, 7162, 8474, 8514, 6203, 9394).
//!
//! The tree is built on an explicit stack: the client chooses its depth.

mod multi_search;
mod sort;

pub(super) use self::multi_search::{esearch, one_or_more_mailbox};
pub(crate) use self::sort::{ALGORITHMS, SORT_KEYS};
pub(super) use self::sort::{sort, thread};
use super::notify::kept_items;
use super::{lossy, one_of, parenthesised};
use crate::wire::ast::{End, Field, Flag, SearchKey, SequenceSet, When, Window, system};
use crate::wire::command::{Update, Verb};
use crate::wire::syntax::charset::Charset;
use crate::wire::syntax::cursor::{Cursor, ParseError, Parsed, is_atom_char};
use crate::wire::syntax::dates::date;
use crate::wire::syntax::flags::keyword;
use crate::wire::syntax::sets::sequence_set;

const RETURNS: [&str; 9] = [
    "MIN",
    "MAX",
    "ALL",
    "COUNT",
    "SAVE",
    "PARTIAL",
    "RELEVANCY",
    "CONTEXT",
    "UPDATE",
];

/// Options of RETURN. CONTEXT, a hint of the client, is left out.
#[derive(Default)]
pub(super) struct Returns {
    /// Options that ask for data, and SAVE, each once; None without RETURN.
    pub options: Option<Vec<&'static str>>,
    /// Window of PARTIAL.
    pub window: Option<Window>,
    /// UPDATE
    pub update: Option<Update>,
}

/// ```abnf
/// search         = "SEARCH" [SP search-return-opts] SP search-program
/// search-program = ["CHARSET" SP charset SP] search-key *(SP search-key)
/// ```
pub(super) fn search(input: &mut Cursor<'_>, uid: bool) -> Parsed<Verb> {
    let (returns, program) = search_program(input, "a SEARCH return option")?;
    Ok(Verb::Search {
        uid,
        returns: returns.options,
        window: returns.window,
        update: returns.update,
        program,
    })
}

/// Parse what follows SEARCH, and the source options of ESEARCH.
pub(super) fn search_program(
    input: &mut Cursor<'_>,
    what: &'static str,
) -> Parsed<(Returns, Option<SearchKey>)> {
    let returns = returns(input, what)?;
    let mut charset = if input.utf8 {
        Charset::Utf8OrLatin1
    } else {
        Charset::Utf8
    };
    if input.take_word(b"CHARSET") {
        input.space()?;
        charset = Charset::named(&input.astring("a charset")?);
        input.space()?;
    }
    Ok((returns, program(input, charset)?))
}

/// ```abnf
/// search-return-opts = "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")" SP
/// ```
/// # Errors
/// PARTIAL twice, or beside ALL (RFC 9394 section 3.1).
pub(super) fn returns(input: &mut Cursor<'_>, what: &'static str) -> Parsed<Returns> {
    if !input.take_word(b"RETURN") {
        return Ok(Returns::default());
    }
    input.space()?;
    let mut options = Vec::new();
    let mut window = None;
    let mut update = None;
    parenthesised(input, |input| {
        let start = input.clone();
        let option = one_of(input, &RETURNS, what)?;
        let is_new = !options.contains(&option);
        if option == "PARTIAL" {
            input.space()?;
            window = Some(partial_range(input)?);
            if !is_new {
                return start.expected("PARTIAL once");
            }
        }
        match option {
            "CONTEXT" => {}
            "UPDATE" => update = Some(modifier_update(input)?),
            option if is_new => options.push(option),
            _ => {}
        }
        if window.is_some() && options.contains(&"ALL") {
            return start.expected("ALL or PARTIAL, not both");
        }
        Ok(())
    })?;
    input.space()?;
    Ok(Returns {
        options: Some(options),
        window,
        update,
    })
}

/// ```abnf
/// modifier-update = "UPDATE" [ "(" fetch-att *(SP fetch-att) ")" ]
/// ```
/// RFC 5465 section 8. Lenient: a space before the items, as in the example of section 7.
fn modifier_update(input: &mut Cursor<'_>) -> Parsed<Update> {
    let mut ahead = input.clone();
    ahead.take_space();
    if ahead.peek() != Some(b'(') {
        return Ok(Update::default());
    }
    input.take_space();
    let (items, uid_asked) = kept_items(input)?;
    Ok(Update { items, uid_asked })
}

/// ```abnf
/// partial-range = nz-number ":" nz-number / "-" nz-number ":" "-" nz-number
/// ```
pub(super) fn partial_range(input: &mut Cursor<'_>) -> Parsed<Window> {
    let from_end = input.take(b'-');
    let one = input.nz_number("a position")?;
    input.need(b':', "\":\"")?;
    if from_end {
        input.need(b'-', "\"-\"")?;
    }
    let other = input.nz_number("a position")?;
    let signed = |position: u32| i64::from(position) * if from_end { -1 } else { 1 };
    Ok(Window {
        one: signed(one),
        other: signed(other),
    })
}

/// ```abnf
/// search-key *(SP search-key)
/// ```
/// Return None if the strings of the keys cannot be decoded.
pub(super) fn program(input: &mut Cursor<'_>, charset: Charset) -> Parsed<Option<SearchKey>> {
    input.command = "SEARCH";
    let key = keys(input, charset)?;
    Ok((!matches!(charset, Charset::Unknown)).then_some(key))
}

/// Length of the longest key name.
const LONGEST: usize = "SAVEDATESUPPORTED".len();

/// Operator that waits for its next key.
enum Open {
    /// `(`: the keys so far.
    List(Vec<SearchKey>),
    /// `NOT`
    Not,
    /// `FUZZY`
    Fuzzy,
    /// `OR`: its first key, once read.
    Or(Option<SearchKey>),
}

/// Parse keys up to the end of the command.
fn keys(input: &mut Cursor<'_>, charset: Charset) -> Parsed<SearchKey> {
    let mut top = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut count = 0;
    loop {
        input.room(count, "search keys")?;
        let opened = if input.peek() == Some(b'(') {
            input.open()?;
            Some(Open::List(Vec::new()))
        } else if input.take_word(b"NOT") {
            input.space()?;
            Some(Open::Not)
        } else if input.take_word(b"FUZZY") {
            input.space()?;
            Some(Open::Fuzzy)
        } else if input.take_word(b"OR") {
            input.space()?;
            Some(Open::Or(None))
        } else {
            None
        };
        if let Some(opened) = opened {
            if open.len() >= input.limits.nesting {
                return Err(ParseError::Over(
                    "search keys in each other",
                    input.limits.nesting,
                ));
            }
            open.push(opened);
            continue;
        }
        count += 1;
        let mut key = search_key(input, charset)?;
        // Pass the key to the operator that waits for it, and each completed key on.
        loop {
            match open.pop() {
                None => {
                    top.push(key);
                    if input.at_end() {
                        return Ok(all_of(top));
                    }
                    break;
                }
                Some(Open::Not) => key = SearchKey::Not(Box::new(key)),
                Some(Open::Fuzzy) => key = SearchKey::Fuzzy(Box::new(key)),
                Some(Open::Or(None)) => {
                    open.push(Open::Or(Some(key)));
                    break;
                }
                Some(Open::Or(Some(first))) => key = SearchKey::Or(Box::new((first, key))),
                Some(Open::List(mut keys)) => {
                    keys.push(key);
                    if !input.take_close() {
                        open.push(Open::List(keys));
                        break;
                    }
                    key = all_of(keys);
                }
            }
        }
        input.space()?;
    }
}

/// Return `And` of several keys, or the only one.
fn all_of(mut keys: Vec<SearchKey>) -> SearchKey {
    match keys.pop() {
        Some(only) if keys.is_empty() => only,
        Some(last) => {
            keys.push(last);
            SearchKey::And(keys)
        }
        None => SearchKey::All,
    }
}

/// ```abnf
/// search-key = "ALL" / "ANSWERED" / … / sequence-set
/// ```
/// RFC 9051 section 9. Parse a key that contains no other; `keys` parses `NOT`, `OR` and lists.
fn search_key(input: &mut Cursor<'_>, charset: Charset) -> Parsed<SearchKey> {
    if matches!(input.peek(), Some(b'0'..=b'9' | b'*' | b'$')) {
        return sequence_set(input).map(SearchKey::Numbers);
    }
    let start = input.clone();
    let word = input.take_while(is_atom_char);
    let mut upper = [0; LONGEST];
    let len = super::copy_upper(&mut upper, &[word]);
    let Some(name) = upper.get(..len).filter(|name| input.offers(name)) else {
        return start.expected("a search key");
    };
    if let Some(key) = bare_key(name) {
        return Ok(key);
    }
    let argument = argument(name).ok_or(ParseError::Expected("a search key", start.at()))?;
    input.space()?;
    argument_of(argument, input, charset)
}

/// Keys without an argument.
fn bare_key(name: &[u8]) -> Option<SearchKey> {
    let is = |bit| SearchKey::Flag(Flag::System(bit));
    let not = |key| SearchKey::Not(Box::new(key));
    let recent = || SearchKey::Flag(Flag::Recent);
    Some(match name {
        b"ALL" => SearchKey::All,
        b"ANSWERED" => is(system::ANSWERED),
        b"DELETED" => is(system::DELETED),
        b"DRAFT" => is(system::DRAFT),
        b"FLAGGED" => is(system::FLAGGED),
        b"SEEN" => is(system::SEEN),
        b"UNANSWERED" => not(is(system::ANSWERED)),
        b"UNDELETED" => not(is(system::DELETED)),
        b"UNDRAFT" => not(is(system::DRAFT)),
        b"UNFLAGGED" => not(is(system::FLAGGED)),
        b"UNSEEN" => not(is(system::SEEN)),
        b"RECENT" => recent(),
        b"OLD" => not(recent()),
        b"NEW" => SearchKey::And(vec![recent(), not(is(system::SEEN))]),
        b"SAVEDATESUPPORTED" => SearchKey::SaveDateSupported,
        _ => return None,
    })
}

/// Kind of a key's argument.
#[derive(Clone, Copy)]
enum Argument {
    Keyword { set: bool },
    Date(fn(When, i64) -> SearchKey, When),
    Size(fn(u64) -> SearchKey),
    Seconds(fn(u32) -> SearchKey),
    Text(fn(String) -> SearchKey),
    Field(Field),
    ObjectId(fn(Option<u64>) -> SearchKey, u8),
    Header,
    Uids,
    UidAfter,
    UidBefore,
    ModSeq,
    Filter,
}

fn argument(name: &[u8]) -> Option<Argument> {
    use Argument::{
        Date, Header, Keyword, ModSeq, ObjectId, Seconds, Size, Text, UidAfter, UidBefore, Uids,
    };
    Some(match name {
        b"KEYWORD" => Keyword { set: true },
        b"UNKEYWORD" => Keyword { set: false },
        b"BEFORE" => Date(SearchKey::InternalDate, When::Before),
        b"ON" => Date(SearchKey::InternalDate, When::On),
        b"SINCE" => Date(SearchKey::InternalDate, When::Since),
        b"SENTBEFORE" => Date(SearchKey::SentDate, When::Before),
        b"SENTON" => Date(SearchKey::SentDate, When::On),
        b"SENTSINCE" => Date(SearchKey::SentDate, When::Since),
        b"SAVEDBEFORE" => Date(SearchKey::SavedDate, When::Before),
        b"SAVEDON" => Date(SearchKey::SavedDate, When::On),
        b"SAVEDSINCE" => Date(SearchKey::SavedDate, When::Since),
        b"LARGER" => Size(SearchKey::Larger),
        b"SMALLER" => Size(SearchKey::Smaller),
        b"OLDER" => Seconds(SearchKey::Older),
        b"YOUNGER" => Seconds(SearchKey::Younger),
        b"BODY" => Text(SearchKey::Body),
        b"TEXT" => Text(SearchKey::Text),
        b"FROM" => Argument::Field(Field::From),
        b"TO" => Argument::Field(Field::To),
        b"CC" => Argument::Field(Field::Cc),
        b"BCC" => Argument::Field(Field::Bcc),
        b"SUBJECT" => Argument::Field(Field::Subject),
        b"EMAILID" => ObjectId(SearchKey::EmailId, b'M'),
        b"THREADID" => ObjectId(SearchKey::ThreadId, b'T'),
        b"HEADER" => Header,
        b"UID" => Uids,
        b"UIDAFTER" => UidAfter,
        b"UIDBEFORE" => UidBefore,
        b"MODSEQ" => ModSeq,
        b"FILTER" => Argument::Filter,
        _ => return None,
    })
}

/// Parse the argument of a key; the space before it has been read.
fn argument_of(argument: Argument, input: &mut Cursor<'_>, charset: Charset) -> Parsed<SearchKey> {
    Ok(match argument {
        Argument::Keyword { set } => {
            let name = lossy(&keyword(input, "a keyword")?);
            let key = SearchKey::Flag(Flag::Keyword(name));
            if set {
                key
            } else {
                SearchKey::Not(Box::new(key))
            }
        }
        Argument::Date(key, when) => key(when, date(input)?),
        Argument::Size(key) => key(input.number64("a number of bytes")?),
        Argument::Seconds(key) => key(input.nz_number("a number of seconds")?),
        Argument::Text(key) => key(string(input, charset)?),
        Argument::Field(field) => SearchKey::Field(field, string(input, charset)?),
        Argument::ObjectId(key, letter) => key(object_id(input.atom("an object id")?, letter)),
        Argument::Header => {
            let name = input.astring("a header field name")?.into_owned();
            input.space()?;
            SearchKey::Header(name, string(input, charset)?)
        }
        Argument::Uids => SearchKey::Uids(sequence_set(input)?),
        Argument::UidAfter => {
            let uid = input.nz_number("a UID")?;
            uids(uid.checked_add(1), Some(u32::MAX))
        }
        Argument::UidBefore => uids(Some(1), input.nz_number("a UID")?.checked_sub(1)),
        Argument::ModSeq => SearchKey::ModSeq(modseq(input)?),
        Argument::Filter => SearchKey::Filter(filter_name(input, charset)?),
    })
}

/// Build the key for the UIDs in a range, which may be empty: UIDAFTER and UIDBEFORE (RFC 9738). There
/// is no `*`, which would match the last message in any case.
fn uids(first: Option<u32>, last: Option<u32>) -> SearchKey {
    match first.zip(last) {
        Some((first, last)) if first <= last => {
            let range = (End::Number(first), End::Number(last));
            SearchKey::Uids(SequenceSet::Ranges(vec![range]))
        }
        _ => SearchKey::Not(Box::new(SearchKey::All)),
    }
}

/// ```abnf
/// filter-name = 1*<any ATOM-CHAR except "/">
/// ```
/// RFC 5466 section 4. Names of annotations, which filters are, are equal in any case.
///
/// # Errors
/// BAD with BADCHARSET if the command has another charset than UTF-8 and US-ASCII (section 3.1).
fn filter_name(input: &mut Cursor<'_>, charset: Charset) -> Parsed<String> {
    let at = input.at();
    if matches!(charset, Charset::Other(_) | Charset::Unknown) {
        return Err(ParseError::Charset);
    }
    let name = input.atom("a filter name")?;
    if name.contains(&b'/') {
        return Err(ParseError::Expected("a filter name without \"/\"", at));
    }
    Ok(lossy(name).to_ascii_lowercase())
}

/// ```abnf
/// astring
/// ```
/// Return the text, decoded from the charset of the command.
fn string(input: &mut Cursor<'_>, charset: Charset) -> Parsed<String> {
    let at = input.at();
    let bytes = input.astring("a string")?;
    charset
        .decode(&bytes)
        .ok_or(ParseError::Expected("a string in the charset", at))
}

/// ```abnf
/// search-modseq  = "MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer
/// entry-type-req = "priv" / "shared" / "all"
/// ```
/// RFC 7162 section 7. There is one MODSEQ for each message, so the entry is ignored.
fn modseq(input: &mut Cursor<'_>) -> Parsed<u64> {
    if input.peek() == Some(b'"') {
        input.string("an entry name")?;
        input.space()?;
        one_of(input, &["PRIV", "SHARED", "ALL"], "priv, shared or all")?;
        input.space()?;
    }
    input.number64("a MODSEQ")
}

/// The number in an EMAILID (`M`) or THREADID (`T`): 16 lower-case hexadecimal digits.
///
/// None for an id that the server never assigned; it matches nothing (RFC 8474 section 6).
fn object_id(id: &[u8], letter: u8) -> Option<u64> {
    let (first, digits) = id.split_first()?;
    let ours = *first == letter
        && digits.len() == 16
        && digits
            .iter()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if !ours {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
