//! Bounds of what one message can make the scanner remember, and what happens past each.
//!
//! A message is kept whole whatever it looks like; these bound only what is *known* of it. Past a
//! bound the rest of a message counts as an opaque body of the last part, so that every answer
//! stays grammatical and every offset stays inside the message.

/// Bytes of one header field that are looked at, its name included; the rest of the field is
/// counted and not read. A `References` or `To` field beyond this is cut at the bound.
pub const FIELD_BYTES: usize = 64 * 1024;

/// Bytes of header fields that are kept for all entities of one message together. Past it the
/// values of fields are taken as absent, and no further part is opened.
pub const KEPT_BYTES: usize = 512 * 1024;

/// Fields of one header that can be named one by one. The rest of that header is one field
/// without a name: HEADER.FIELDS never picks it, HEADER.FIELDS.NOT always does.
pub const FIELDS: usize = 1_000;

/// The same for all headers of a message and the messages inside it together.
pub const ALL_FIELDS: usize = 4_000;

/// Bytes of a field's name; a longer one counts as a field without a name. RFC 5322 section 2.1.1
/// lets a line have 998.
pub const NAME_BYTES: usize = 127;

/// Entities of a message: leaves, multiparts, messages inside it. After the last one no
/// line is a delimiter any more.
pub const PARTS: usize = 1_000;

/// Multiparts and messages inside each other. One level deeper is `application/octet-stream`.
pub const DEPTH: usize = 64;

/// Bytes of a multipart's boundary. RFC 2046 section 5.1.1 allows 70; a longer one than this is
/// no boundary.
pub const BOUNDARY_BYTES: usize = 250;

/// Addresses of one list in an ENVELOPE, group markers included.
pub const ADDRESSES: usize = 1_000;

/// Parameters of one Content-Type or Content-Disposition, and languages of one Content-Language.
pub const PARAMETERS: usize = 64;

/// Message-IDs kept of References: the first one and those nearest to the message.
pub const REFERENCES: usize = 100;

/// Bytes of one Message-ID; a longer one is none.
pub const MESSAGE_ID_BYTES: usize = 998;

/// Bytes of a decoded header text kept for SEARCH without the message; see
/// [`MessageMetadata::folded_is_whole`](super::MessageMetadata::folded_is_whole).
pub const FOLDED_BYTES: usize = 16 * 1024;

/// Bytes of one header field that message metadata keeps word for word. A longer one is left in the message,
/// and so is what is asked together with it.
pub const CACHED_FIELD_BYTES: usize = 1024;

/// Bytes of all header fields that message metadata keeps word for word; mostly they are some 600, and
/// message metadata with them still has its place in one leaf page of the filepool.
pub const HEADER_CACHE_BYTES: usize = 4 * 1024;

/// Bytes of a sort key. Keys that differ only behind it count as equal.
pub const SORT_KEY_BYTES: usize = 512;

/// Characters of a preview (RFC 8970 section 3.1).
pub const PREVIEW_CHARS: usize = 200;

/// Bytes of a text part that are looked at for its preview. HTML may begin with long style sheets.
pub const PREVIEW_BYTES: usize = 64 * 1024;
