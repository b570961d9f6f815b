//! Search keys compiled to a flat program: sets, keywords and dates resolved, needles prepared.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use memchr::memmem::Finder;

use super::super::writing::DAY;
use super::logic::Op;
use crate::message::search::{FuzzyNeedle, Tolerance};
use crate::message::{CachedNames, Collation, SEARCH_FIELDS, field_name};
use crate::numbers::{UidMap, UidSet};
use crate::wire::ast::{Field, Flag, SearchKey, SequenceSet, When, system};

/// State that a search is bound to: one mailbox as one client has counted it, at one time.
#[derive(Clone, Copy)]
pub struct SearchContext<'a> {
    /// Message numbers of the client.
    pub numbers: &'a UidMap,
    /// Value of `$`.
    pub saved: &'a UidSet,
    /// UIDs with `\Recent`.
    pub recent: &'a UidSet,
    /// UIDs with `\Seen`, for a reader with flags of its own; None for that of the records.
    pub seen: Option<&'a UidSet>,
    /// Bits that the ids of EMAILID and THREADID have in responses, beside those that are stored.
    pub id_bits: u64,
    /// Keyword in lower case → ids of the keyword sets that have it, ascending; at least for each of
    /// [`keywords`] that a set has.
    pub keyword_sets: &'a HashMap<Vec<u8>, Arc<[u32]>>,
    /// Seconds since 1970 UTC.
    pub now: i64,
    /// Of texts after FUZZY.
    pub tolerance: Tolerance,
    /// By which texts are compared.
    pub collation: Collation,
}

/// Runs that are joined to bound the candidates of a search: some milliseconds. A search without
/// thousands of sets needs a few.
const BOUND_RUNS: usize = 1 << 20;

/// Prepared text to search for.
pub(super) struct SearchNeedle {
    /// As the texts of header fields are: white space collapsed to single spaces.
    pub in_fields: Finder<'static>,
    /// White space as the client wrote it.
    pub text: Arc<Finder<'static>>,
    /// Its words, after FUZZY.
    pub fuzzy: Option<Arc<FuzzyNeedle>>,
}

impl SearchNeedle {
    /// True if a prepared text of a field matches.
    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        let mut words = self.fuzzy.iter();
        self.in_fields.find(text).is_some() || words.any(|words| words.is_in(text))
    }

    fn new(text: &str, context: &SearchContext<'_>, tolerance: Tolerance) -> Self {
        let collation = context.collation;
        let mut spaced = String::with_capacity(text.len());
        for char in text.chars() {
            match char {
                ' ' | '\t' | '\r' | '\n' if spaced.ends_with(' ') => {}
                ' ' | '\t' | '\r' | '\n' => spaced.push(' '),
                other => spaced.push(other),
            }
        }
        Self {
            in_fields: Finder::new(&collation.prepare(&spaced)).into_owned(),
            text: Arc::new(Finder::new(&collation.prepare(text)).into_owned()),
            fuzzy: (tolerance > Tolerance::None)
                .then(|| FuzzyNeedle::new(text, tolerance))
                .flatten()
                .map(Arc::new),
        }
    }
}

/// Condition on one message.
pub(super) enum Leaf {
    /// Always, or never.
    Constant(bool),
    /// `flags & mask != 0`
    Flag(u8),
    /// Keyword sets, ascending.
    Keywords(Arc<[u32]>),
    /// UIDs.
    Uids(UidSet),
    /// INTERNALDATE, seconds since 1970 UTC.
    Received(Range<i64>),
    /// INTERNALDATE in local time of its zone.
    ReceivedLocal(Range<i64>),
    /// SAVEDATE in UTC.
    Saved(Range<i64>),
    /// RFC822.SIZE
    Size(Range<u64>),
    /// Lowest MODSEQ.
    ModSeq(u64),
    /// Body id.
    Body(u64),
    /// Thread id, not 0.
    Thread(u64),
    /// Date field in local time of its zone.
    Sent(Range<i64>),
    /// Text in a field that has a key of its own.
    Field(Field, SearchNeedle),
    /// Existence of a header field.
    HasHeader(Vec<u8>),
    /// Text in header fields of a name; and the name, if the header cache stores them.
    Header(Vec<u8>, Option<CachedNames>, SearchNeedle),
    /// Text in the body, or (true) in body and headers.
    Text(SearchNeedle, bool),
}

/// Leaves, and the operations that join them.
pub(super) struct Program {
    pub ops: Vec<Op>,
    pub leaves: Vec<Leaf>,
    /// By which texts are compared.
    pub collation: Collation,
}

impl Program {
    /// Compile the keys, without recursion.
    pub(super) fn compile(key: &SearchKey, context: &SearchContext<'_>) -> Self {
        let mut program = Self {
            ops: Vec::new(),
            leaves: Vec::new(),
            collation: context.collation,
        };
        let mut open = vec![CompileStep::Key(key, Tolerance::None)];
        while let Some(step) = open.pop() {
            let (key, tolerance) = match step {
                CompileStep::Op(op) => {
                    program.ops.push(op);
                    continue;
                }
                CompileStep::Key(key, tolerance) => (key, tolerance),
            };
            let inner = |key| CompileStep::Key(key, tolerance);
            match key {
                SearchKey::And(keys) => {
                    open.push(CompileStep::Op(Op::And(keys.len())));
                    open.extend(keys.iter().map(inner));
                }
                SearchKey::Or(pair) => {
                    open.push(CompileStep::Op(Op::Or));
                    open.extend([inner(&pair.0), inner(&pair.1)]);
                }
                SearchKey::Not(key) => {
                    open.extend([CompileStep::Op(Op::Not), inner(key)]);
                }
                SearchKey::Fuzzy(key) => open.push(CompileStep::Key(key, context.tolerance)),
                other => {
                    program.ops.push(Op::Leaf(program.leaves.len()));
                    program.leaves.push(leaf(other, context, tolerance));
                }
            }
        }
        program
    }

    /// Return an upper bound of the UIDs that can match.
    ///
    /// Joins at most `BOUND_RUNS` runs; the bound is wider if that is not enough.
    pub(super) fn candidates(&self, all: &UidSet) -> UidSet {
        // Upper bound of each operand; None is all.
        let mut stack: Vec<Option<UidSet>> = Vec::new();
        let mut left = BOUND_RUNS;
        let mut affordable = |one: &UidSet, other: &UidSet| {
            let runs = one.runs().len() + other.runs().len();
            left = left.saturating_sub(runs);
            left > 0
        };
        for op in &self.ops {
            let bound = match *op {
                Op::Leaf(at) => match self.leaves.get(at) {
                    Some(Leaf::Uids(uids)) => Some(uids.clone()),
                    Some(Leaf::Constant(false)) => Some(UidSet::empty()),
                    _ => None,
                },
                Op::And(count) => {
                    let from = stack.len().saturating_sub(count);
                    let bounds = stack.drain(from..).flatten();
                    bounds.reduce(|both, one| {
                        if affordable(&both, &one) {
                            both.intersection(&one)
                        } else {
                            both
                        }
                    })
                }
                Op::Or => match (stack.pop().flatten(), stack.pop().flatten()) {
                    (Some(one), Some(other)) if affordable(&one, &other) => Some(one.union(&other)),
                    _ => None,
                },
                Op::Not => {
                    stack.pop(); // an upper bound gives no lower bound
                    None
                }
            };
            stack.push(bound);
        }
        match stack.pop().flatten() {
            Some(bound) => all.intersection(&bound),
            None => all.clone(),
        }
    }

    /// Number of leaves that read metadata or bytes of messages; a leaf with words counts for each.
    pub(super) fn texts(&self) -> usize {
        let leaves = self.leaves.iter();
        let reads = |leaf: &&Leaf| {
            matches!(
                leaf,
                Leaf::Sent(_)
                    | Leaf::Field(..)
                    | Leaf::HasHeader(_)
                    | Leaf::Header(..)
                    | Leaf::Text(..)
            )
        };
        leaves.filter(reads).map(Leaf::comparisons).sum()
    }
}

enum CompileStep<'a> {
    /// A key, and the tolerance of its texts.
    Key(&'a SearchKey, Tolerance),
    Op(Op),
}

/// Return the stored id for an id of a response; None if it has not the bits of this group.
fn stored_id(id: Option<u64>, bits: u64) -> Option<u64> {
    id.filter(|id| id & bits == bits).map(|id| id & !bits)
}

/// Comparisons with one text that cost as much as one of all words of a needle with it.
const WORD_COST: usize = 4;
/// Lookups of a text in a column that take as long as one of a word of FUZZY: the column is not
/// searched as a whole, but text by text.
const WORD_LOOKUPS: usize = 8;

impl Leaf {
    /// Number of comparisons of each text that the leaf reads, about.
    fn comparisons(&self) -> usize {
        match self.needle().and_then(|needle| needle.fuzzy.as_ref()) {
            Some(fuzzy) => 1 + fuzzy.words() * WORD_COST,
            None => 1,
        }
    }

    fn needle(&self) -> Option<&SearchNeedle> {
        match self {
            Self::Field(_, needle) | Self::Header(_, _, needle) | Self::Text(needle, _) => {
                Some(needle)
            }
            _ => None,
        }
    }

    /// Return the field and the needle of a leaf that header columns answer.
    pub(super) fn in_column(&self) -> Option<(Field, &SearchNeedle)> {
        match self {
            Self::Field(field, needle) => Some((*field, needle)),
            _ => None,
        }
    }

    /// Number of lookups of texts without FUZZY that cost as much as one of this leaf; 0 if header
    /// columns do not answer it.
    pub(super) fn lookups(&self) -> usize {
        let needle = self.in_column().map(|(_, needle)| needle.fuzzy.as_ref());
        needle.map_or(0, |fuzzy| {
            1 + fuzzy.map_or(0, |fuzzy| WORD_LOOKUPS + fuzzy.words() * WORD_LOOKUPS)
        })
    }
}

fn leaf(key: &SearchKey, context: &SearchContext<'_>, tolerance: Tolerance) -> Leaf {
    match key {
        // The four that contain others are compiled elsewhere.
        // A filter that was not replaced matches nothing.
        SearchKey::Filter(_) => Leaf::Constant(false),
        SearchKey::All
        | SearchKey::SaveDateSupported
        | SearchKey::And(_)
        | SearchKey::Or(_)
        | SearchKey::Not(_)
        | SearchKey::Fuzzy(_) => Leaf::Constant(true),
        SearchKey::Flag(Flag::System(bit)) => match context.seen {
            Some(seen) if *bit == system::SEEN => Leaf::Uids(seen.clone()),
            _ => Leaf::Flag(*bit),
        },
        SearchKey::Flag(Flag::Recent) => Leaf::Uids(context.recent.clone()),
        SearchKey::Flag(Flag::Keyword(name)) => {
            let sets = context.keyword_sets.get(&folded(name));
            Leaf::Keywords(sets.cloned().unwrap_or_default())
        }
        SearchKey::Numbers(set) => Leaf::Uids(context.numbers.cover(set, false, context.saved)),
        SearchKey::Uids(set) => Leaf::Uids(context.numbers.cover(set, true, context.saved)),
        SearchKey::InternalDate(when, day) => Leaf::ReceivedLocal(seconds(*when, *day)),
        SearchKey::SentDate(when, day) => Leaf::Sent(seconds(*when, *day)),
        SearchKey::SavedDate(when, day) => Leaf::Saved(seconds(*when, *day)),
        SearchKey::Larger(size) => Leaf::Size(size.saturating_add(1)..u64::MAX),
        SearchKey::Smaller(size) => Leaf::Size(0..*size),
        // "Less recent than or equal to the target time", "more recent than or equal to" it
        // (RFC 5032 section 3).
        SearchKey::Older(age) => Leaf::Received(
            i64::MIN
                ..context
                    .now
                    .saturating_sub(i64::from(*age))
                    .saturating_add(1),
        ),
        SearchKey::Younger(age) => {
            Leaf::Received(context.now.saturating_sub(i64::from(*age))..i64::MAX)
        }
        SearchKey::ModSeq(least) => Leaf::ModSeq(*least),
        SearchKey::EmailId(id) => {
            stored_id(*id, context.id_bits).map_or(Leaf::Constant(false), Leaf::Body)
        }
        SearchKey::ThreadId(id) => match stored_id(*id, context.id_bits) {
            None | Some(0) => Leaf::Constant(false), // 0: no thread
            Some(id) => Leaf::Thread(id),
        },
        // Every text contains the empty string.
        SearchKey::Field(_, text) | SearchKey::Body(text) | SearchKey::Text(text)
            if text.is_empty() =>
        {
            Leaf::Constant(true)
        }
        SearchKey::Field(field, text) => {
            Leaf::Field(*field, SearchNeedle::new(text, context, tolerance))
        }
        SearchKey::Header(name, text) if text.is_empty() => Leaf::HasHeader(name.clone()),
        SearchKey::Header(name, text) => match search_field(name) {
            Some(field) => Leaf::Field(field, SearchNeedle::new(text, context, tolerance)),
            None => Leaf::Header(
                name.clone(),
                CachedNames::of(name),
                SearchNeedle::new(text, context, tolerance),
            ),
        },
        SearchKey::Body(text) => Leaf::Text(SearchNeedle::new(text, context, tolerance), false),
        SearchKey::Text(text) => Leaf::Text(SearchNeedle::new(text, context, tolerance), true),
    }
}

/// Return the field of a name, if it has a search key of its own.
fn search_field(name: &[u8]) -> Option<Field> {
    SEARCH_FIELDS
        .into_iter()
        .find(|field| name.eq_ignore_ascii_case(field_name(*field).text()))
}

/// Return the seconds that match a comparison with a day.
fn seconds(when: When, day: i64) -> Range<i64> {
    let (from, upto) = (
        day.saturating_mul(DAY),
        day.saturating_add(1).saturating_mul(DAY),
    );
    match when {
        When::Before => i64::MIN..from,
        When::On => from..upto,
        When::Since => from..i64::MAX,
    }
}

/// True if any key matches a condition, at any depth.
pub(super) fn any(key: &SearchKey, mut wanted: impl FnMut(&SearchKey) -> bool) -> bool {
    let mut open = vec![key];
    while let Some(key) = open.pop() {
        if wanted(key) {
            return true;
        }
        match key {
            SearchKey::And(keys) => open.extend(keys),
            SearchKey::Or(pair) => open.extend([&pair.0, &pair.1]),
            SearchKey::Not(key) | SearchKey::Fuzzy(key) => open.push(key),
            _ => {}
        }
    }
    false
}

/// True if the index alone cannot answer the key.
#[must_use]
pub fn needs_metadata(key: &SearchKey) -> bool {
    any(key, |key| match key {
        SearchKey::SentDate(..) | SearchKey::Header(..) => true,
        SearchKey::Field(_, text) | SearchKey::Body(text) | SearchKey::Text(text) => {
            !text.is_empty()
        }
        _ => false,
    })
}

/// True if there are message numbers among the keys: other than `$`, which is a set of messages.
#[must_use]
pub fn has_numbers(key: &SearchKey) -> bool {
    any(
        key,
        |key| matches!(key, SearchKey::Numbers(set) if *set != SequenceSet::Saved),
    )
}

/// True if there is a key FILTER, FUZZY or MODSEQ.
#[must_use]
pub fn has_extensions(key: &SearchKey) -> bool {
    any(key, |key| {
        matches!(
            key,
            SearchKey::Filter(_) | SearchKey::Fuzzy(_) | SearchKey::ModSeq(_)
        )
    })
}

/// True if there is a MODSEQ key, which enables CONDSTORE (RFC 7162 section 3.1.5).
#[must_use]
pub fn needs_modseq(key: &SearchKey) -> bool {
    any(key, |key| matches!(key, SearchKey::ModSeq(_)))
}

/// Return the number of texts after FUZZY, at any depth; None without FUZZY.
#[must_use]
pub fn fuzzy_texts(key: &SearchKey) -> Option<usize> {
    let mut found = None;
    let mut open = vec![(key, false)];
    while let Some((key, fuzzy)) = open.pop() {
        match key {
            SearchKey::And(keys) => open.extend(keys.iter().map(|key| (key, fuzzy))),
            SearchKey::Or(pair) => open.extend([(&pair.0, fuzzy), (&pair.1, fuzzy)]),
            SearchKey::Not(key) => open.push((key, fuzzy)),
            SearchKey::Fuzzy(key) => {
                found.get_or_insert(0);
                open.push((key, true));
            }
            SearchKey::Field(..)
            | SearchKey::Header(..)
            | SearchKey::Body(_)
            | SearchKey::Text(_)
                if fuzzy =>
            {
                found = found.map(|count| count + 1);
            }
            _ => {}
        }
    }
    found
}

fn folded(keyword: &str) -> Vec<u8> {
    keyword.to_ascii_lowercase().into_bytes()
}

/// Return the keywords of all KEYWORD keys, in lower case.
#[must_use]
pub fn keywords(key: &SearchKey) -> HashSet<Vec<u8>> {
    let mut found = HashSet::new();
    any(key, |key| {
        if let SearchKey::Flag(Flag::Keyword(name)) = key {
            found.insert(folded(name));
        }
        false
    });
    found
}
