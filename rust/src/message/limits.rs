//! Limits on what the scanner keeps of one message.
//!
//! Every message is stored whole; these limits bound only its metadata. Past a limit, the rest of
//! the message counts as an opaque body of the last part, so that all responses stay grammatical
//! and all offsets stay inside the message.

/// Bytes of one header field that are read, its name and line ends included. Further bytes of the
/// field are counted but not read: ENVELOPE and SEARCH have the start of a longer `References` or
/// `To` field.
pub const FIELD_BYTES: usize = 1024 * 1024;

/// Bytes of header field values kept for all entities of one message together. The field that
/// exceeds it and the rest of its header are one field without a name, as past [`FIELDS`], and no
/// further part is opened.
pub const HEADER_VALUES_BYTES: usize = 1536 * 1024;

/// Named fields of one header. The rest of that header is one field without a name: ENVELOPE,
/// HEADER.FIELDS and SEARCH for a field never select it, HEADER.FIELDS.NOT always does. The
/// structure of the message is still read from it.
pub const FIELDS: usize = 10_000;

/// Named fields of all headers of a message, embedded messages included.
pub const ALL_FIELDS: usize = 20_000;

/// Bytes of a field name. A field with a longer name counts as a field without a name. RFC 5322
/// section 2.1.1 allows lines of 998.
pub const NAME_BYTES: usize = 127;

/// Entities of a message: leaves, multiparts and embedded messages. After the last one, no line is
/// a delimiter.
pub const PARTS: usize = 1_000;

/// Nesting of multiparts and embedded messages. One level deeper is `application/octet-stream`.
pub const DEPTH: usize = 64;

/// Bytes of a multipart boundary. RFC 2046 section 5.1.1 allows 70; a longer one is ignored.
pub const BOUNDARY_BYTES: usize = 250;

/// Addresses of one list in ENVELOPE, group markers included.
pub const ADDRESSES: usize = 10_000;

/// Addresses of all lists in the ENVELOPEs of a message, embedded messages included. Sender and
/// Reply-To that are copies of From do not count.
pub const ALL_ADDRESSES: usize = 20_000;

/// Bytes of these copies in the ENVELOPEs of a message. Past it, they are NIL: a large From would be
/// stored three times.
pub const COPIED_BYTES: usize = 256 * 1024;

/// Parameters of one Content-Type or Content-Disposition, and tags of one Content-Language.
pub const PARAMETERS: usize = 64;

/// Bytes of a parameter joined from pieces of which one has escapes (RFC 2231 section 4.1). A longer
/// one is left in pieces: the escapes of the other pieces would triple it.
pub const ESCAPED_PARAMETER_BYTES: usize = 16 * 1024;

/// Message-IDs kept of References: the first one, and the last ones, which are nearest to the
/// message.
pub const REFERENCES: usize = 100;

/// Bytes of one Message-ID. A longer one is ignored.
pub const MESSAGE_ID_BYTES: usize = 998;

/// Bytes of the decoded text of a From, To, Cc, Bcc or Subject field kept for SEARCH, if the header
/// cache does not have the field. SEARCH reads a longer one from the message.
pub const SEARCH_TEXT_BYTES: usize = 16 * 1024;

/// Bytes of one header field in the header cache. A longer field is not cached, and no field of the
/// same name is returned from the cache.
pub const CACHED_FIELD_BYTES: usize = 1024;

/// Bytes of all header fields in the header cache. Typical are 600; metadata with them fits into
/// one leaf page of the filepool.
pub const HEADER_CACHE_BYTES: usize = 4 * 1024;

/// Bytes of a sort key. Keys with this many equal bytes count as equal.
pub const SORT_KEY_BYTES: usize = 512;

/// Characters of a preview (RFC 8970 section 3.1).
pub const PREVIEW_CHARS: usize = 200;

/// Bytes of a text part read for its preview. HTML may begin with long style sheets.
pub const PREVIEW_BYTES: usize = 64 * 1024;

/// Words of one text of SEARCH FUZZY; further ones are ignored.
pub const FUZZY_WORDS: usize = 16;

/// Characters of a word of SEARCH FUZZY; further ones are ignored. Fits a machine word.
pub const FUZZY_WORD_CHARS: usize = 62;
