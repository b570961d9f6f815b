//! Arguments of commands as parsed values, not yet resolved.
//!
//! Produced by the grammar (`wire`), used by the index (`index`).

/// One end of a range in a sequence-set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A number, never 0.
    Number(u32),
    /// `*`
    Last,
}

/// ```abnf
/// sequence-set = (seq-number / seq-range) *("," (seq-number / seq-range)) / seq-last-command
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SequenceSet {
    /// `$`: the saved result (RFC 9051 section 6.4.4.1).
    Saved,
    /// Ranges as written, in any order; a single number is a range with equal ends.
    Ranges(Vec<(End, End)>),
}

/// ```abnf
/// partial-range       = partial-range-first / partial-range-last
/// partial-range-first = nz-number ":" nz-number
/// partial-range-last  = "-" nz-number ":" "-" nz-number
/// ```
/// Window of a result (RFC 9394 section 3.1), its ends in the client's order. Position 1 is the first
/// element, -1 the last; both ends have the same sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The end that the client wrote first; never 0.
    pub one: i64,
    /// The other end.
    pub other: i64,
}

impl Window {
    /// Return the number of elements before the window, and of those in it, in a result of `len`.
    #[must_use]
    pub fn within(self, len: u32) -> (u32, u32) {
        let len = i64::from(len);
        let (low, high) = (self.one.min(self.other), self.one.max(self.other));
        let (before, upto) = if high < 0 {
            (len.saturating_add(low), len.saturating_add(high) + 1)
        } else {
            (low.saturating_sub(1), high)
        };
        let (before, upto) = (before.clamp(0, len), upto.clamp(0, len));
        let count = (upto - before).max(0);
        (
            u32::try_from(before).unwrap_or(0),
            u32::try_from(count).unwrap_or(0),
        )
    }
}

/// Part of a message named by `BODY[…]` (RFC 9051 section 6.4.5.1, `section-text`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionText {
    /// The part itself: `BODY[1.2]`, or the whole message with an empty part path.
    All,
    /// `HEADER` of a message.
    Header,
    /// `HEADER.FIELDS (…)`, names as the client wrote them.
    HeaderFields(Vec<Vec<u8>>),
    /// `HEADER.FIELDS.NOT (…)`.
    HeaderFieldsNot(Vec<Vec<u8>>),
    /// `TEXT` of a message.
    Text,
    /// `MIME` header of a part.
    Mime,
}

/// `section-spec`: a part path, and a part of its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// `1.2.3`; empty for the message itself. Numbers are never 0.
    pub part: Vec<u32>,
    /// Text of that part.
    pub text: SectionText,
}

/// `partial`: first byte and maximum count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partial {
    /// First byte, from 0.
    pub start: u64,
    /// Maximum number of bytes; never 0.
    pub count: u64,
}

/// URL of a message of this server, or of a part of it (RFC 5092 section 11, `imessagepart`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageUrl {
    /// Name of the mailbox; None for the selected one.
    pub mailbox: Option<String>,
    /// UIDVALIDITY that the mailbox must have.
    pub uid_validity: Option<u32>,
    /// Message.
    pub uid: u32,
    /// Part of it; the whole message without `;SECTION=`.
    pub section: Section,
    /// `;PARTIAL=`; without a length, `count` is `u64::MAX`.
    pub partial: Option<Partial>,
}

/// One `fetch-att`. Macros (ALL, FAST, FULL) are expanded by the grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchItem {
    /// `UID`
    Uid,
    /// `FLAGS`
    Flags,
    /// `INTERNALDATE`
    InternalDate,
    /// `RFC822.SIZE`
    Rfc822Size,
    /// `ENVELOPE`
    Envelope,
    /// `BODY` without a section
    Body,
    /// `BODYSTRUCTURE`
    BodyStructure,
    /// `MODSEQ` (RFC 7162)
    ModSeq,
    /// `SAVEDATE` (RFC 8514)
    SaveDate,
    /// `EMAILID` (RFC 8474)
    EmailId,
    /// `THREADID` (RFC 8474)
    ThreadId,
    /// `PREVIEW` (RFC 8970); LAZY is ignored: previews are made when a message is stored.
    Preview,
    /// `RFC822`: `BODY[]` under its old name (RFC 3501)
    Rfc822,
    /// `RFC822.HEADER`: `BODY.PEEK[HEADER]` under its old name
    Rfc822Header,
    /// `RFC822.TEXT`: `BODY[TEXT]` under its old name
    Rfc822Text,
    /// `BODY[section]<partial>`, `BODY.PEEK[…]`
    Section {
        /// PEEK: does not set \Seen.
        peek: bool,
        /// Section.
        section: Section,
        /// Range of its bytes.
        partial: Option<Partial>,
    },
    /// `BINARY[part]<partial>`, `BINARY.PEEK[…]`
    Binary {
        /// PEEK: does not set \Seen.
        peek: bool,
        /// Part path; empty for the whole message.
        part: Vec<u32>,
        /// Range of the decoded bytes.
        partial: Option<Partial>,
    },
    /// `BINARY.SIZE[part]`
    BinarySize {
        /// Part path.
        part: Vec<u32>,
    },
}

/// Flag in SEARCH; except `\Recent`, a bit of the index record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flag {
    /// A system flag: one bit of [`system`].
    System(u8),
    /// `\Recent`: state of a session, not of a message.
    Recent,
    /// Keyword as the client wrote it; compared case-insensitively (ASCII).
    Keyword(String),
}

/// Bits of the system flags in an index record; the same as `imapvm.model.flags`.
pub mod system {
    /// `\Seen`
    pub const SEEN: u8 = 1;
    /// `\Answered`
    pub const ANSWERED: u8 = 2;
    /// `\Flagged`
    pub const FLAGGED: u8 = 4;
    /// `\Deleted`
    pub const DELETED: u8 = 8;
    /// `\Draft`
    pub const DRAFT: u8 = 16;
}

/// Header fields that message metadata has decoded: SEARCH does not need the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// `FROM`
    From,
    /// `TO`
    To,
    /// `CC`
    Cc,
    /// `BCC`
    Bcc,
    /// `SUBJECT`
    Subject,
}

/// Comparison of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Earlier than the day.
    Before,
    /// On the day.
    On,
    /// On the day or later.
    Since,
}

/// One `search-key` (RFC 9051 section 6.4.4). Strings are UTF-8, decoded from the charset.
///
/// OLD, NEW, SEEN, UNSEEN … are written with `Flag` and `Not`. The tree's depth is bounded by
/// the reader; traverse it with an explicit stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchKey {
    /// `ALL`
    All,
    /// `FILTER name`: stored keys (RFC 5466); the name is in lower case.
    Filter(String),
    /// All of these; never empty.
    And(Vec<SearchKey>),
    /// `OR a b`
    Or(Box<(SearchKey, SearchKey)>),
    /// `NOT a`
    Not(Box<SearchKey>),
    /// `FUZZY a`: texts in it match inexactly (RFC 6203).
    Fuzzy(Box<SearchKey>),
    /// A flag is set.
    Flag(Flag),
    /// A bare sequence-set: message numbers (or `$`).
    Numbers(SequenceSet),
    /// `UID set`
    Uids(SequenceSet),
    /// INTERNALDATE, disregarding time and zone; the date as days since 1970-01-01.
    InternalDate(When, i64),
    /// SENTBEFORE, SENTON, SENTSINCE: the Date field, disregarding time and zone; days.
    SentDate(When, i64),
    /// SAVEDBEFORE, SAVEDON, SAVEDSINCE (RFC 8514); days.
    SavedDate(When, i64),
    /// SAVEDATESUPPORTED: always true here.
    SaveDateSupported,
    /// `LARGER n`
    Larger(u64),
    /// `SMALLER n`
    Smaller(u64),
    /// `OLDER seconds` (RFC 5032)
    Older(u32),
    /// `YOUNGER seconds`
    Younger(u32),
    /// `MODSEQ n`: at least (RFC 7162)
    ModSeq(u64),
    /// `EMAILID id`: the stored number, or None for an id that the server never assigned.
    EmailId(Option<u64>),
    /// `THREADID id`
    ThreadId(Option<u64>),
    /// FROM, TO, CC, BCC, SUBJECT: substring.
    Field(Field, String),
    /// `HEADER name value`: substring; an empty value matches any field of that name.
    Header(Vec<u8>, String),
    /// `BODY string`: in the text of the message's parts.
    Body(String),
    /// `TEXT string`: in headers or text.
    Text(String),
}

/// Mailboxes that ESEARCH searches (RFC 7377 section 2.2). Names are decoded, the lists not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailboxFilter {
    /// `selected`
    Selected,
    /// `inboxes`: mailboxes that mail is delivered to.
    Inboxes,
    /// `personal`: all mailboxes of the personal namespaces.
    Personal,
    /// `subscribed`
    Subscribed,
    /// `subtree`: these, and all below.
    Subtree(Vec<String>),
    /// `subtree-one`: these, and those one level below.
    SubtreeOne(Vec<String>),
    /// `mailboxes`: these.
    Mailboxes(Vec<String>),
}

/// Key that SORT compares (RFC 5256 section 3, RFC 5957 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SortBy {
    /// `ARRIVAL`: INTERNALDATE.
    Arrival,
    /// `RELEVANCY`: the most relevant first (RFC 6203 section 6).
    Relevancy,
    /// `CC`: mailbox of the first address.
    Cc,
    /// `DATE`: sent date.
    Date,
    /// `DISPLAYFROM`: name of the first address, else the address.
    DisplayFrom,
    /// `DISPLAYTO`
    DisplayTo,
    /// `FROM`
    From,
    /// `SIZE`
    Size,
    /// `SUBJECT`: base subject.
    Subject,
    /// `TO`
    To,
}

/// ```abnf
/// sort-criterion = ["REVERSE" SP] sort-key
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortCriterion {
    /// The key.
    pub by: SortBy,
    /// Descending.
    pub reverse: bool,
}

/// Algorithm of THREAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadAlgorithm {
    /// `ORDEREDSUBJECT` (RFC 5256)
    OrderedSubject,
    /// `REFERENCES` (RFC 5256)
    References,
    /// `REFS` (draft-ietf-morg-inthread)
    Refs,
}
