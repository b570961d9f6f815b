//! Commands as values, one variant each, arguments not yet resolved.

use super::ast::{
    FetchItem, MailboxFilter, MessageUrl, SearchKey, SequenceSet, SortCriterion, ThreadAlgorithm,
    Window,
};
use super::syntax::flags::FlagList;

/// One command; without the messages of APPEND.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// As received.
    pub tag: Vec<u8>,
    /// Name and arguments.
    pub verb: Verb,
}

/// QRESYNC of SELECT (RFC 7162 section 3.2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qresync {
    /// UIDVALIDITY of the client's state.
    pub uid_validity: u32,
    /// MODSEQ of the client's state.
    pub modseq: u64,
    /// The `known-uids` of the client.
    pub known: Option<SequenceSet>,
    /// Message numbers and their UIDs.
    pub matches: Option<(SequenceSet, SequenceSet)>,
}

/// Change of flags by STORE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreMode {
    /// `FLAGS`
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

/// Commands. Mailbox names are decoded; case-insensitive words are in upper case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are documented in `_core.pyi`, class by class
pub enum Verb {
    Capability,
    Noop,
    Logout,
    StartTls,
    Namespace,
    Idle,
    Check,
    Close,
    Unselect,
    /// RFC 8437.
    Unauthenticate,
    /// COMPRESS DEFLATE, the only algorithm (RFC 4978).
    Compress,
    /// EXPUNGE; UID EXPUNGE if UIDs are given.
    Expunge {
        uids: Option<SequenceSet>,
    },
    Id {
        params: Vec<(String, Option<String>)>,
    },
    Authenticate {
        mechanism: String,
        initial: Option<Vec<u8>>,
    },
    Login {
        user: Vec<u8>,
        password: Vec<u8>,
    },
    Enable {
        names: Vec<String>,
    },
    /// Each as received.
    Language {
        ranges: Vec<String>,
    },
    /// Each as received.
    Comparator {
        orders: Vec<String>,
    },
    /// SELECT and EXAMINE.
    Select {
        mailbox: String,
        read_only: bool,
        condstore: bool,
        qresync: Option<Qresync>,
    },
    Create {
        mailbox: String,
        special_use: Vec<String>,
    },
    Delete {
        mailbox: String,
    },
    Rename {
        mailbox: String,
        to: String,
    },
    /// `rights` has the prefix `+` or `-`, if there is one (RFC 4314).
    SetAcl {
        mailbox: String,
        identifier: Vec<u8>,
        rights: Vec<u8>,
    },
    DeleteAcl {
        mailbox: String,
        identifier: Vec<u8>,
    },
    GetAcl {
        mailbox: String,
    },
    ListRights {
        mailbox: String,
        identifier: Vec<u8>,
    },
    MyRights {
        mailbox: String,
    },
    Subscribe {
        mailbox: String,
    },
    Unsubscribe {
        mailbox: String,
    },
    List(List),
    Lsub {
        reference: String,
        pattern: String,
    },
    Status {
        mailbox: String,
        items: Vec<&'static str>,
    },
    GetMetadata(GetMetadata),
    /// NOTIFY; None for NONE (RFC 5465).
    Notify(Option<Notify>),
    /// Names as received, and values; None removes an entry.
    SetMetadata {
        mailbox: String,
        values: Vec<(String, Option<Vec<u8>>)>,
    },
    Append {
        mailbox: String,
    },
    /// REPLACE and UID REPLACE, one message of `set` (RFC 8508).
    Replace {
        uid: bool,
        set: SequenceSet,
        mailbox: String,
    },
    GetQuota {
        root: String,
    },
    GetQuotaRoot {
        mailbox: String,
    },
    /// Resources in upper case, each with its limit.
    SetQuota {
        root: String,
        limits: Vec<(String, u64)>,
    },
    /// `program` is None for an unknown charset; `window` is that of PARTIAL; `update` is true with
    /// UPDATE.
    Search {
        uid: bool,
        returns: Option<Vec<&'static str>>,
        window: Option<Window>,
        update: Option<Update>,
        program: Option<SearchKey>,
    },
    /// `criteria` is not empty; `program` is None for a charset that cannot be used.
    Sort {
        uid: bool,
        returns: Option<Vec<&'static str>>,
        window: Option<Window>,
        update: Option<Update>,
        criteria: Vec<SortCriterion>,
        program: Option<SearchKey>,
    },
    /// `program` as in `Sort`.
    Thread {
        uid: bool,
        algorithm: ThreadAlgorithm,
        program: Option<SearchKey>,
    },
    /// ESEARCH; `sources` is None without IN, the others are as in `Search`.
    MultiSearch {
        sources: Option<Vec<MailboxFilter>>,
        returns: Option<Vec<&'static str>>,
        window: Option<Window>,
        update: Option<Update>,
        program: Option<SearchKey>,
    },
    /// UIDBATCHES; `batches` is the range of batch numbers, as the client wrote it.
    UidBatches {
        size: u32,
        batches: Option<(u32, u32)>,
    },
    /// CANCELUPDATE
    CancelUpdate {
        tags: Vec<Vec<u8>>,
    },
    Fetch(Fetch),
    Store(Store),
    Copy {
        uid: bool,
        set: SequenceSet,
        mailbox: String,
    },
    Move {
        uid: bool,
        set: SequenceSet,
        mailbox: String,
    },
}

/// UPDATE of SEARCH, SORT and ESEARCH (RFC 5267 section 4.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Of FETCH for new messages (RFC 5465 section 7).
    pub items: Vec<FetchItem>,
    /// UID is one of them.
    pub uid_asked: bool,
}

/// LIST, basic and extended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// The reference name.
    pub reference: String,
    /// One pattern, or those in parentheses.
    pub patterns: Vec<String>,
    /// Extended syntax is used.
    pub extended: bool,
    /// Selection options without duplicates.
    pub selection: Vec<&'static str>,
    /// Return options without STATUS and METADATA and without duplicates.
    pub returns: Vec<&'static str>,
    /// Items of RETURN (STATUS (…)).
    pub status: Option<Vec<&'static str>>,
    /// Entries of RETURN (METADATA (…)), as received.
    pub metadata: Option<Vec<String>>,
}

/// GETMETADATA (RFC 5464 section 4.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GetMetadata {
    /// Empty for the server.
    pub mailbox: String,
    /// Names as received; at least one.
    pub entries: Vec<String>,
    /// MAXSIZE.
    pub max_size: Option<u64>,
    /// DEPTH: `0`, `1` or `infinity`.
    pub depth: &'static str,
}

/// NOTIFY SET (RFC 5465 section 3.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// STATUS.
    pub status: bool,
    /// At least one.
    pub groups: Vec<EventGroup>,
}

/// Mailboxes, and events of which the client is notified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventGroup {
    /// `SELECTED`, `SELECTED-DELAYED`, `INBOXES`, `PERSONAL`, `SUBSCRIBED`, `SUBTREE`, `MAILBOXES`.
    pub filter: &'static str,
    /// Of SUBTREE and MAILBOXES: at least one.
    pub mailboxes: Vec<String>,
    /// In upper case; unknown ones too. Empty for NONE.
    pub events: Vec<String>,
    /// Items of `MessageNew`.
    pub items: Vec<FetchItem>,
    /// UID is one of them.
    pub uid_asked: bool,
}

/// FETCH and UID FETCH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// The set is of UIDs; `items` then has UID.
    pub uid: bool,
    /// Messages.
    pub set: SequenceSet,
    /// Data items.
    pub items: Vec<FetchItem>,
    /// UID is among the items that the client wrote.
    pub uid_asked: bool,
    /// CHANGEDSINCE (RFC 7162).
    pub changed_since: Option<u64>,
    /// VANISHED (RFC 7162).
    pub vanished: bool,
    /// PARTIAL (RFC 9394).
    pub window: Option<Window>,
}

/// STORE and UID STORE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The set is of UIDs.
    pub uid: bool,
    /// Messages.
    pub set: SequenceSet,
    /// How the flags change.
    pub mode: StoreMode,
    /// `.SILENT`
    pub silent: bool,
    /// The flags.
    pub flags: FlagList,
    /// UNCHANGEDSINCE (RFC 7162).
    pub unchanged_since: Option<u64>,
}

/// Input that is not a command, or is over a bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// None if no tag was found.
    pub tag: Option<Vec<u8>>,
    /// Expected syntax and place, or the bound; printable ASCII.
    pub message: String,
    /// Name of the command in upper case, if it was recognised.
    pub name: Option<&'static str>,
    /// A response code without brackets.
    pub code: Option<&'static str>,
    /// NO, not BAD: well-formed, but over a bound.
    pub is_no: bool,
    /// The stream cannot be followed any more.
    pub fatal: bool,
}

/// The head of one message of APPEND.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // each is a thing of its own
pub struct AppendMessage {
    /// Flags to set.
    pub flags: FlagList,
    /// INTERNALDATE: seconds since 1970 UTC, and the zone's minutes east.
    pub date: Option<(i64, i32)>,
    /// Bytes of the message.
    pub size: u64,
    /// The client waits for "+".
    pub waits: bool,
    /// `~{n}`: NUL is allowed.
    pub binary: bool,
    /// `UTF8 (~{n})`.
    pub utf8: bool,
    /// `CATENATE (`: no literal of its own, `size` is 0; its parts follow (RFC 4469).
    pub catenate: bool,
    /// Over `Limits::append`: it can only be refused.
    pub too_big: bool,
}

/// TEXT of CATENATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendText {
    /// Bytes of the part.
    pub size: u64,
    /// The client waits for "+".
    pub waits: bool,
    /// Over `Limits::append`: it can only be refused.
    pub too_big: bool,
}

/// URL of CATENATE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendUrl {
    /// As received.
    pub received: Vec<u8>,
    /// None if it is not the URL of a message on this server.
    pub target: Option<MessageUrl>,
}

/// One event of a connection's input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A command; of APPEND its beginning.
    Command(Command),
    /// No command.
    Malformed(Malformed),
    /// A synchronising literal of an ordinary command was accepted: send "+".
    LiteralWanted(u64),
    /// DONE after IDLE.
    IdleDone,
    /// A SASL response; None where the client cancelled.
    SaslResponse(Option<Vec<u8>>),
    /// A message of APPEND is announced.
    AppendMessage(AppendMessage),
    /// A TEXT of CATENATE is announced.
    AppendText(AppendText),
    /// A URL of CATENATE.
    AppendUrl(AppendUrl),
    /// Bytes of a message or TEXT.
    AppendData(Vec<u8>),
    /// All bytes or parts of a message were given.
    AppendMessageEnd,
    /// The line of APPEND ended.
    AppendEnd,
}
