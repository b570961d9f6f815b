//! Plan of the responses to one request; the names of items are rendered once.

use std::borrow::Cow;

use super::super::writing::put_astring;
use crate::message::CachedNames;
use crate::numbers::put_decimal;
use crate::wire::ast::{FetchItem, Partial, Section, SectionText};

/// Item of every response.
pub(super) struct PlannedItem<'a> {
    /// Name and a space.
    pub name: Cow<'static, [u8]>,
    pub value: ItemValue<'a>,
}

/// Source of the value of an item.
pub(super) enum ItemValue<'a> {
    Uid,
    Flags,
    InternalDate,
    Size,
    Envelope,
    Body,
    BodyStructure,
    ModSeq,
    SaveDate,
    EmailId,
    ThreadId,
    Preview,
    BodySection(BodySection<'a>),
    BinarySection(BinarySection<'a>),
}

/// `BODY[…]` and its older names.
pub(super) struct BodySection<'a> {
    pub part: &'a [u32],
    pub text: &'a SectionText,
    /// HEADER.FIELDS: true for the named fields, false for the others (`.NOT`).
    pub fields: Option<(bool, FieldNames)>,
    pub partial: Option<Partial>,
}

/// `BINARY[…]` and `BINARY.SIZE[…]`.
pub(super) struct BinarySection<'a> {
    pub part: &'a [u32],
    pub partial: Option<Partial>,
    pub size_only: bool,
}

/// Names of header fields, compared without regard to case.
pub(super) struct FieldNames {
    /// All names in lower case, ascending.
    lower: Vec<Vec<u8>>,
    /// Names whose fields are in the header cache.
    pub cached: CachedNames,
    /// The other names in lower case, ascending.
    others: Vec<Vec<u8>>,
}

impl FieldNames {
    fn new(names: &[Vec<u8>]) -> Self {
        let mut lower: Vec<_> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        lower.sort_unstable();
        lower.dedup();
        let mut cached = CachedNames::default();
        let mut others = lower.clone();
        others.retain(|name| match CachedNames::of(name) {
            Some(kept) => {
                cached = cached.and(kept);
                false
            }
            None => true,
        });
        Self {
            lower,
            cached,
            others,
        }
    }

    /// True if the name is in the set; `room` is a buffer.
    pub(super) fn contains(&self, name: &[u8], room: &mut Vec<u8>) -> bool {
        contains(&self.lower, name, room)
    }

    /// True if the header cache stores fields of all the names.
    pub(super) fn are_all_cached(&self) -> bool {
        self.others.is_empty()
    }

    /// True if none of `fields` is one of the names that the header cache does not store.
    pub(super) fn are_cached<'a>(&self, mut fields: impl Iterator<Item = &'a [u8]>) -> bool {
        let mut room = Vec::new();
        !fields.any(|name| contains(&self.others, name, &mut room))
    }
}

fn contains(names: &[Vec<u8>], name: &[u8], room: &mut Vec<u8>) -> bool {
    room.clear();
    room.extend(name.iter().map(u8::to_ascii_lowercase));
    names.binary_search(room).is_ok()
}

/// Items of every response.
pub(super) struct FetchPlan<'a> {
    pub items: Vec<PlannedItem<'a>>,
    pub has_flags: bool,
    pub needs_metadata: bool,
}

impl<'a> FetchPlan<'a> {
    pub(super) fn new(items: &'a [FetchItem]) -> Self {
        let items: Vec<PlannedItem<'a>> = items.iter().map(step).collect();
        let has_flags = items
            .iter()
            .any(|step| matches!(step.value, ItemValue::Flags));
        let needs_metadata = items.iter().any(|step| match &step.value {
            ItemValue::Envelope
            | ItemValue::Body
            | ItemValue::BodyStructure
            | ItemValue::Preview
            | ItemValue::BinarySection(_) => true,
            // The size of the whole message is in the index.
            ItemValue::BodySection(section) => !section.is_whole(),
            _ => false,
        });
        Self {
            items,
            has_flags,
            needs_metadata,
        }
    }
}

impl BodySection<'_> {
    /// `BODY[]`
    pub(super) fn is_whole(&self) -> bool {
        self.part.is_empty() && *self.text == SectionText::All
    }
}

fn step(item: &FetchItem) -> PlannedItem<'_> {
    let (name, value): (&'static [u8], ItemValue<'_>) = match item {
        FetchItem::Uid => (b"UID ", ItemValue::Uid),
        FetchItem::Flags => (b"FLAGS ", ItemValue::Flags),
        FetchItem::InternalDate => (b"INTERNALDATE ", ItemValue::InternalDate),
        FetchItem::Rfc822Size => (b"RFC822.SIZE ", ItemValue::Size),
        FetchItem::Envelope => (b"ENVELOPE ", ItemValue::Envelope),
        FetchItem::Body => (b"BODY ", ItemValue::Body),
        FetchItem::BodyStructure => (b"BODYSTRUCTURE ", ItemValue::BodyStructure),
        FetchItem::ModSeq => (b"MODSEQ ", ItemValue::ModSeq),
        FetchItem::SaveDate => (b"SAVEDATE ", ItemValue::SaveDate),
        FetchItem::EmailId => (b"EMAILID ", ItemValue::EmailId),
        FetchItem::ThreadId => (b"THREADID ", ItemValue::ThreadId),
        FetchItem::Preview => (b"PREVIEW ", ItemValue::Preview),
        FetchItem::Rfc822 => (b"RFC822 ", whole_message(&SectionText::All)),
        FetchItem::Rfc822Header => (b"RFC822.HEADER ", whole_message(&SectionText::Header)),
        FetchItem::Rfc822Text => (b"RFC822.TEXT ", whole_message(&SectionText::Text)),
        FetchItem::Section {
            peek: _,
            section,
            partial,
        } => {
            return PlannedItem {
                name: section_name(section, *partial).into(),
                value: ItemValue::BodySection(body_section(&section.part, &section.text, *partial)),
            };
        }
        FetchItem::Binary {
            peek: _,
            part,
            partial,
        } => {
            return PlannedItem {
                name: binary_name(b"BINARY[", part, *partial).into(),
                value: ItemValue::BinarySection(BinarySection {
                    part,
                    partial: *partial,
                    size_only: false,
                }),
            };
        }
        FetchItem::BinarySize { part } => {
            return PlannedItem {
                name: binary_name(b"BINARY.SIZE[", part, None).into(),
                value: ItemValue::BinarySection(BinarySection {
                    part,
                    partial: None,
                    size_only: true,
                }),
            };
        }
    };
    PlannedItem {
        name: name.into(),
        value,
    }
}

fn whole_message(text: &'static SectionText) -> ItemValue<'static> {
    ItemValue::BodySection(body_section(&[], text, None))
}

/// Plan one section.
pub(super) fn body_section<'a>(
    part: &'a [u32],
    text: &'a SectionText,
    partial: Option<Partial>,
) -> BodySection<'a> {
    let fields = match text {
        SectionText::HeaderFields(names) => Some((true, FieldNames::new(names))),
        SectionText::HeaderFieldsNot(names) => Some((false, FieldNames::new(names))),
        _ => None,
    };
    BodySection {
        part,
        text,
        fields,
        partial,
    }
}

/// Return `BODY[1.2.MIME]<0> `: the section as parsed, and the origin of a partial.
fn section_name(section: &Section, partial: Option<Partial>) -> Vec<u8> {
    let mut name = b"BODY[".to_vec();
    put_part(&mut name, &section.part);
    let (text, names): (&[u8], Option<&[Vec<u8>]>) = match &section.text {
        SectionText::All => (b"", None),
        SectionText::Header => (b"HEADER", None),
        SectionText::HeaderFields(names) => (b"HEADER.FIELDS", Some(names)),
        SectionText::HeaderFieldsNot(names) => (b"HEADER.FIELDS.NOT", Some(names)),
        SectionText::Text => (b"TEXT", None),
        SectionText::Mime => (b"MIME", None),
    };
    if !section.part.is_empty() && !text.is_empty() {
        name.push(b'.');
    }
    name.extend_from_slice(text);
    for (at, field) in names.unwrap_or_default().iter().enumerate() {
        name.extend_from_slice(if at == 0 { b" (" } else { b" " });
        put_astring(&mut name, field);
    }
    if names.is_some_and(|names| !names.is_empty()) {
        name.push(b')');
    }
    put_end(&mut name, partial);
    name
}

fn binary_name(name: &[u8], part: &[u32], partial: Option<Partial>) -> Vec<u8> {
    let mut name = name.to_vec();
    put_part(&mut name, part);
    put_end(&mut name, partial);
    name
}

fn put_part(name: &mut Vec<u8>, part: &[u32]) {
    for (at, number) in part.iter().enumerate() {
        if at > 0 {
            name.push(b'.');
        }
        put_decimal(name, u64::from(*number));
    }
}

fn put_end(name: &mut Vec<u8>, partial: Option<Partial>) {
    name.push(b']');
    if let Some(partial) = partial {
        name.push(b'<');
        put_decimal(name, partial.start);
        name.push(b'>');
    }
    name.push(b' ');
}
