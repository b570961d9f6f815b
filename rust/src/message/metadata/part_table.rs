//! The table of parts: which bytes of the message are which part, and how parts are numbered.
//!
//! Entities stand in the order of the message, each with its depth. A message's own body is an
//! entity (the first one), and so is the body of each message inside it; the part specifiers of
//! RFC 9051 section 6.4.5.1 are worked out from that when asked.
use super::codec::{Decoder, Encoder};
use super::codes;

/// What an entity holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Bytes.
    Leaf,
    /// Entities one level deeper.
    Multipart,
    /// One message: the next entity, one level deeper, is its body.
    Message,
}

/// One entity, as stored. The body stands directly following the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entity<'a> {
    pub kind: Kind,
    pub depth: usize,
    /// Offset of the header: the MIME header of a part, the message's for a message's own body.
    pub header: u64,
    /// Bytes of the header, the empty line included.
    pub header_length: u64,
    /// Bytes of the empty line that ends the header; 0 where there is none.
    pub empty_line: u8,
    pub body_length: u64,
    /// Line ends in the body.
    pub lines: u64,
    /// Lower case.
    pub media: &'a str,
    /// Lower case.
    pub subtype: &'a str,
    /// Lower case; empty where none is named.
    pub charset: &'a str,
    /// Of [`Part::encoding`].
    pub encoding: i8,
}

impl Entity<'_> {
    pub(crate) fn body(&self) -> u64 {
        self.header.saturating_add(self.header_length)
    }

    /// Write following an entity whose header began at `previous`.
    pub(crate) fn write(&self, out: &mut Encoder, previous: u64) {
        let kind = match self.kind {
            Kind::Leaf => 0,
            Kind::Multipart => 1,
            Kind::Message => 2,
        };
        let encoding = match self.encoding {
            0..=2 => self.encoding.to_le_bytes()[0],
            _ => 3,
        };
        out.0.push(kind | encoding << 2 | self.empty_line << 4);
        out.count(self.depth);
        out.number(self.header.saturating_sub(previous));
        out.number(self.header_length);
        out.number(self.body_length);
        out.number(self.lines);
        if let Some(code) = codes::media_code(self.media, self.subtype) {
            out.0.push(code);
        } else {
            out.0.push(0);
            out.chunk(self.media.as_bytes());
            out.chunk(self.subtype.as_bytes());
        }
        out.chunk(self.charset.as_bytes());
    }
}

/// Reads entities one following the other.
#[derive(Clone)]
pub(crate) struct Entities<'a> {
    input: Decoder<'a>,
    previous: u64,
}

impl<'a> Entities<'a> {
    pub(crate) fn new(stored: &'a [u8]) -> Self {
        Self {
            input: Decoder(stored),
            previous: 0,
        }
    }

    fn read(&mut self) -> Option<Entity<'a>> {
        let input = &mut self.input;
        let flags = input.byte()?;
        let depth = input.count()?;
        let header = self.previous.checked_add(input.number()?)?;
        let header_length = input.number()?;
        let body_length = input.number()?;
        let lines = input.number()?;
        let (media, subtype) = match input.byte()? {
            0 => (
                str::from_utf8(input.chunk()?).ok()?,
                str::from_utf8(input.chunk()?).ok()?,
            ),
            code => codes::media_type(code)?,
        };
        let charset = str::from_utf8(input.chunk()?).ok()?;
        self.previous = header;
        Some(Entity {
            kind: match flags & 3 {
                0 => Kind::Leaf,
                1 => Kind::Multipart,
                2 => Kind::Message,
                _ => return None,
            },
            depth,
            header,
            header_length,
            empty_line: flags >> 4,
            body_length,
            lines,
            media,
            subtype,
            charset,
            encoding: match flags >> 2 & 3 {
                1 => 1,
                2 => 2,
                3 => -1,
                _ => 0,
            },
        })
    }
}

impl<'a> Iterator for Entities<'a> {
    type Item = Entity<'a>;

    fn next(&mut self) -> Option<Entity<'a>> {
        if self.input.is_empty() {
            None
        } else {
            self.read()
        }
    }
}

/// Where a walk through the table stands: an entity, what follows it, and how many entities
/// of kind Message came before it.
#[derive(Clone)]
pub(crate) struct PartCursor<'a> {
    pub entity: Entity<'a>,
    following: Entities<'a>,
    messages: usize,
}

impl<'a> PartCursor<'a> {
    pub(crate) fn root(stored: &'a [u8]) -> Option<Self> {
        let mut following = Entities::new(stored);
        let entity = following.next()?;
        Some(Self {
            entity,
            following,
            messages: 0,
        })
    }

    /// Which table of header fields belongs to the message in this entity.
    pub(crate) fn fields_of_inner(&self) -> usize {
        self.messages + 1
    }

    /// The nth entity directly below, from 1.
    fn child(&self, number: u32) -> Option<Self> {
        let mut walk = self.clone();
        let mut left = number;
        loop {
            if walk.entity.kind == Kind::Message {
                walk.messages += 1;
            }
            walk.entity = walk.following.next()?;
            if walk.entity.depth <= self.entity.depth {
                return None;
            }
            if walk.entity.depth == self.entity.depth + 1 {
                left = left.checked_sub(1)?;
                if left == 0 {
                    return Some(walk);
                }
            }
        }
    }

    /// The body of the message in this entity.
    pub(crate) fn inner(&self) -> Option<Self> {
        if self.entity.kind == Kind::Message {
            self.child(1)
        } else {
            None
        }
    }

    /// A part of a message, whose body stands here (RFC 9051 section 6.4.5.1): of a multipart its
    /// nth entity; anything else is part 1 itself.
    fn part_of_message(self, number: u32) -> Option<Self> {
        if self.entity.kind == Kind::Multipart {
            self.child(number)
        } else if number == 1 {
            Some(self)
        } else {
            None
        }
    }

    /// Follow a part specifier from the message's own body; None where there is no such part.
    pub(crate) fn resolve(self, path: &[u32]) -> Option<Self> {
        let (first, rest) = path.split_first()?;
        let mut at = self.part_of_message(*first)?;
        for number in rest {
            at = match at.entity.kind {
                Kind::Leaf => return None,
                Kind::Multipart => at.child(*number)?,
                Kind::Message => at.inner()?.part_of_message(*number)?,
            };
        }
        Some(at)
    }
}

/// A part of a message, as SEARCH and BINARY need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Its part specifier; empty for the whole message.
    pub path: Vec<u32>,
    /// `text`, in lower case; "" for the whole message.
    pub media: &'a str,
    /// `plain`, in lower case.
    pub subtype: &'a str,
    /// In lower case; empty where none is named.
    pub charset: &'a str,
    /// 0: identity (7bit, 8bit, binary), 1: base64, 2: quoted-printable, -1: unknown. The numbers
    /// that a `TransferDecoder` takes.
    pub encoding: i8,
    /// Offset of the part's body.
    pub offset: u64,
    /// Bytes of the body as it stands in the message.
    pub length: u64,
    /// Line ends in these.
    pub lines: u64,
}

impl<'a> Part<'a> {
    pub(crate) fn new(entity: &Entity<'a>, path: Vec<u32>) -> Self {
        Self {
            path,
            media: entity.media,
            subtype: entity.subtype,
            charset: entity.charset,
            encoding: entity.encoding,
            offset: entity.body(),
            length: entity.body_length,
            lines: entity.lines,
        }
    }
}

/// The leaves of a message in its order; see [`MessageMetadata::leaf_parts`](crate::message::MessageMetadata::leaf_parts).
#[derive(Clone)]
pub struct LeafParts<'a> {
    entities: Entities<'a>,
    /// The open entities, outermost first: what they are, their path, how many came in them.
    open: Vec<(Kind, Vec<u32>, u32)>,
}

impl<'a> LeafParts<'a> {
    pub(crate) fn new(stored: &'a [u8]) -> Self {
        Self {
            entities: Entities::new(stored),
            open: Vec::new(),
        }
    }
}

impl<'a> Iterator for LeafParts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        loop {
            let entity = self.entities.next()?;
            self.open.truncate(entity.depth);
            let (above, mut path, number) = match self.open.last_mut() {
                Some((kind, path, children)) => {
                    *children += 1;
                    (*kind, path.clone(), *children)
                }
                None => (Kind::Message, Vec::new(), 1),
            };
            // A multipart that is a message's body has no number of its own: its parts carry
            // the message's.
            if above == Kind::Multipart || entity.kind != Kind::Multipart {
                path.push(number);
            }
            if entity.kind == Kind::Leaf {
                return Some(Part::new(&entity, path));
            }
            self.open.push((entity.kind, path, 0));
        }
    }
}
