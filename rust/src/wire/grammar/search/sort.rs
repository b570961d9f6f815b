//! SORT and THREAD (RFC 5256 section 5, RFC 5267 section 5, RFC 5957 section 5, RFC 9394).

use super::super::parenthesised;
use super::{program, returns};
use crate::wire::ast::{SearchKey, SortBy, SortCriterion, ThreadAlgorithm};
use crate::wire::command::Verb;
use crate::wire::syntax::charset::Charset;
use crate::wire::syntax::cursor::{Cursor, Parsed};

/// Names of sort keys.
pub(crate) const SORT_KEYS: [(&str, SortBy); 10] = [
    ("ARRIVAL", SortBy::Arrival),
    ("CC", SortBy::Cc),
    ("DATE", SortBy::Date),
    ("DISPLAYFROM", SortBy::DisplayFrom),
    ("DISPLAYTO", SortBy::DisplayTo),
    ("FROM", SortBy::From),
    ("RELEVANCY", SortBy::Relevancy),
    ("SIZE", SortBy::Size),
    ("SUBJECT", SortBy::Subject),
    ("TO", SortBy::To),
];

/// Names of threading algorithms.
pub(crate) const ALGORITHMS: [(&str, ThreadAlgorithm); 3] = [
    ("ORDEREDSUBJECT", ThreadAlgorithm::OrderedSubject),
    ("REFERENCES", ThreadAlgorithm::References),
    ("REFS", ThreadAlgorithm::Refs),
];

/// ```abnf
/// sort          = ["UID" SP] "SORT" [SP search-return-opts] SP sort-criteria SP search-criteria
/// sort-criteria = "(" sort-criterion *(SP sort-criterion) ")"
/// ```
pub(in super::super) fn sort(input: &mut Cursor<'_>, uid: bool) -> Parsed<Verb> {
    let returns = returns(input, "a SORT return option")?;
    let start = input.clone();
    let mut criteria: Vec<SortCriterion> = Vec::new();
    parenthesised(input, |input| {
        let criterion = criterion(input)?;
        // A second criterion of the same key compares messages that are equal in this key.
        if criteria.iter().all(|before| before.by != criterion.by) {
            criteria.push(criterion);
        }
        Ok(())
    })?;
    if criteria.is_empty() {
        return start.expected("a list of sort criteria");
    }
    input.space()?;
    Ok(Verb::Sort {
        uid,
        returns: returns.options,
        window: returns.window,
        update: returns.update,
        criteria,
        program: search_criteria(input)?,
    })
}

/// ```abnf
/// sort-criterion = ["REVERSE" SP] sort-key
/// ```
fn criterion(input: &mut Cursor<'_>) -> Parsed<SortCriterion> {
    let reverse = input.take_word(b"REVERSE");
    if reverse {
        input.space()?;
    }
    let by = word_of(input, &SORT_KEYS, "a sort criterion")?;
    Ok(SortCriterion { by, reverse })
}

/// ```abnf
/// thread = ["UID" SP] "THREAD" SP thread-alg SP search-criteria
/// ```
pub(in super::super) fn thread(input: &mut Cursor<'_>, uid: bool) -> Parsed<Verb> {
    let algorithm = word_of(input, &ALGORITHMS, "a threading algorithm")?;
    input.space()?;
    Ok(Verb::Thread {
        uid,
        algorithm,
        program: search_criteria(input)?,
    })
}

/// ```abnf
/// search-criteria = charset 1*(SP search-key)
/// ```
/// Return None if the charset cannot be used. After ENABLE UTF8=ACCEPT or `IMAP4rev2`, only UTF-8
/// and US-ASCII can (RFC 9755 section 3). US-ASCII is a part of UTF-8, and Roundcube always sends it.
fn search_criteria(input: &mut Cursor<'_>) -> Parsed<Option<SearchKey>> {
    let mut charset = Charset::named(&input.astring("a charset")?);
    if input.utf8 && matches!(charset, Charset::Other(_)) {
        charset = Charset::Unknown;
    }
    input.space()?;
    program(input, charset)
}

/// Parse one word of a table; else the error names `what`.
fn word_of<T: Copy>(input: &mut Cursor<'_>, table: &[(&str, T)], what: &'static str) -> Parsed<T> {
    let found = table
        .iter()
        .find(|(word, _)| input.take_word(word.as_bytes()));
    match found {
        Some((_, value)) => Ok(*value),
        None => input.expected(what),
    }
}
