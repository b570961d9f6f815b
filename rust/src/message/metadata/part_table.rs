//! Part table: extent and type of each entity, and the numbering of parts.
//!
//! Entities are in message order, each with its depth. The body of the message is the first entity;
//! the body of an embedded message is an entity as well. Part specifiers (RFC 9051 section 6.4.5.1)
//! are derived on request.
use super::codec::{Decoder, Encoder};
use super::media_types;

/// Kind of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A body without structure.
    Leaf,
    /// Entities one level deeper.
    Multipart,
    /// An embedded message: the next entity, one level deeper, is its body.
    Message,
}

/// Entity as stored. The body follows the header directly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entity<'a> {
    pub kind: Kind,
    pub depth: usize,
    /// Offset of the header: of the MIME header of a part, of the message header for the body of a
    /// message.
    pub header: u64,
    /// Bytes of the header, the empty line included.
    pub header_length: u64,
    /// Bytes of the empty line that ends the header; 0 if there is no empty line.
    pub empty_line: u8,
    pub body_length: u64,
    /// Line ends in the body.
    pub lines: u64,
    /// Lower case.
    pub media: &'a str,
    /// Lower case.
    pub subtype: &'a str,
    /// Lower case; empty if not given.
    pub charset: &'a str,
    /// As in [`Part::encoding`].
    pub encoding: i8,
}

impl Entity<'_> {
    pub(crate) fn body(&self) -> u64 {
        self.header.saturating_add(self.header_length)
    }

    /// Write the entity; `previous` is the header offset of the entity before it.
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
        if let Some(code) = media_types::media_code(self.media, self.subtype) {
            out.0.push(code);
        } else {
            out.0.push(0);
            out.chunk(self.media.as_bytes());
            out.chunk(self.subtype.as_bytes());
        }
        out.chunk(self.charset.as_bytes());
    }
}

/// Iterator over stored entities.
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
            code => media_types::media_type(code)?,
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

/// Position in the table: an entity, the entities after it, and the number of embedded messages
/// before it.
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

    /// Return the index of the field table of the message in this entity.
    pub(crate) fn fields_of_inner(&self) -> usize {
        self.messages + 1
    }

    /// Return the nth entity one level deeper, from 1.
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

    /// Return the body of the message in this entity.
    pub(crate) fn inner(&self) -> Option<Self> {
        if self.entity.kind == Kind::Message {
            self.child(1)
        } else {
            None
        }
    }

    /// Return a part of the message whose body this is (RFC 9051 section 6.4.5.1): the nth entity
    /// of a multipart; anything else is part 1 itself.
    fn part_of_message(self, number: u32) -> Option<Self> {
        if self.entity.kind == Kind::Multipart {
            self.child(number)
        } else if number == 1 {
            Some(self)
        } else {
            None
        }
    }

    /// Follow a part specifier from the body of the message; None if there is no such part.
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

/// Part of a message, for SEARCH and BINARY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Part specifier; empty for the whole message.
    pub path: Vec<u32>,
    /// Such as `text`, in lower case; empty for the whole message.
    pub media: &'a str,
    /// Such as `plain`, in lower case.
    pub subtype: &'a str,
    /// In lower case; empty if not given.
    pub charset: &'a str,
    /// 0: identity (7bit, 8bit, binary), 1: base64, 2: quoted-printable, -1: unknown. A
    /// `TransferDecoder` takes the same numbers.
    pub encoding: i8,
    /// Offset of the body.
    pub offset: u64,
    /// Bytes of the body as stored.
    pub length: u64,
    /// Line ends in the body.
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

/// Iterator over leaf parts; see
/// [`MessageMetadata::leaf_parts`](crate::message::MessageMetadata::leaf_parts).
#[derive(Clone)]
pub struct LeafParts<'a> {
    entities: Entities<'a>,
    /// Open entities, outermost first: kind, part specifier, number of children so far.
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
            // A multipart that is the body of a message has no number of its own: its parts
            // continue the number of the message.
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
