//! What to say of each message, with names that are the same for all of them written once.

use std::borrow::Cow;

use super::super::writing::put_astring;
use crate::message::VerbatimNames;
use crate::numbers::put_decimal;
use crate::wire::ast::{FetchItem, Partial, Section, SectionText};

/// One item of every answer.
pub(super) struct Step<'a> {
    /// Its name and the space behind it.
    pub name: Cow<'static, [u8]>,
    pub say: Say<'a>,
}

/// Where the value comes from.
pub(super) enum Say<'a> {
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
    Octets(Octets<'a>),
    Binary(Binary<'a>),
}

/// `BODY[…]` and its older names.
pub(super) struct Octets<'a> {
    pub part: &'a [u32],
    pub text: &'a SectionText,
    /// HEADER.FIELDS: true for those that are named, false for the others (`.NOT`).
    pub fields: Option<(bool, FieldNames)>,
    pub partial: Option<Partial>,
}

/// `BINARY[…]` and `BINARY.SIZE[…]`.
pub(super) struct Binary<'a> {
    pub part: &'a [u32],
    pub partial: Option<Partial>,
    pub size_only: bool,
}

/// Names of header fields, found without regard to case.
pub(super) struct FieldNames {
    /// All of them, in lower case, ascending.
    lower: Vec<Vec<u8>>,
    /// Those whose fields a digest keeps.
    pub verbatim: VerbatimNames,
    /// The rest of them, in lower case, ascending.
    others: Vec<Vec<u8>>,
}

impl FieldNames {
    fn new(names: &[Vec<u8>]) -> Self {
        let mut lower: Vec<_> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        lower.sort_unstable();
        lower.dedup();
        let mut verbatim = VerbatimNames::default();
        let mut others = lower.clone();
        others.retain(|name| match VerbatimNames::of(name) {
            Some(kept) => {
                verbatim = verbatim.and(kept);
                false
            }
            None => true,
        });
        Self {
            lower,
            verbatim,
            others,
        }
    }

    /// Is it one of them? `room` is to work in.
    pub(super) fn contains(&self, name: &[u8], room: &mut Vec<u8>) -> bool {
        contains(&self.lower, name, room)
    }

    /// Do digests keep the fields of all of them?
    pub(super) fn are_all_kept(&self) -> bool {
        self.others.is_empty()
    }

    /// Is none of these names one of those whose fields a digest does not keep?
    pub(super) fn are_kept<'a>(&self, mut fields: impl Iterator<Item = &'a [u8]>) -> bool {
        let mut room = Vec::new();
        !fields.any(|name| contains(&self.others, name, &mut room))
    }
}

fn contains(names: &[Vec<u8>], name: &[u8], room: &mut Vec<u8>) -> bool {
    room.clear();
    room.extend(name.iter().map(u8::to_ascii_lowercase));
    names.binary_search(room).is_ok()
}

/// All items of every answer.
pub(super) struct Plan<'a> {
    pub steps: Vec<Step<'a>>,
    pub has_flags: bool,
    pub needs_digest: bool,
}

impl<'a> Plan<'a> {
    pub(super) fn new(items: &'a [FetchItem]) -> Self {
        let steps: Vec<Step<'a>> = items.iter().map(step).collect();
        let has_flags = steps.iter().any(|step| matches!(step.say, Say::Flags));
        let needs_digest = steps.iter().any(|step| match &step.say {
            Say::Envelope | Say::Body | Say::BodyStructure | Say::Preview | Say::Binary(_) => true,
            // The whole message is known by its size, which is in the index.
            Say::Octets(octets) => !octets.is_whole(),
            _ => false,
        });
        Self {
            steps,
            has_flags,
            needs_digest,
        }
    }
}

impl Octets<'_> {
    /// `BODY[]`
    pub(super) fn is_whole(&self) -> bool {
        self.part.is_empty() && *self.text == SectionText::All
    }
}

fn step(item: &FetchItem) -> Step<'_> {
    let (name, say): (&'static [u8], Say<'_>) = match item {
        FetchItem::Uid => (b"UID ", Say::Uid),
        FetchItem::Flags => (b"FLAGS ", Say::Flags),
        FetchItem::InternalDate => (b"INTERNALDATE ", Say::InternalDate),
        FetchItem::Rfc822Size => (b"RFC822.SIZE ", Say::Size),
        FetchItem::Envelope => (b"ENVELOPE ", Say::Envelope),
        FetchItem::Body => (b"BODY ", Say::Body),
        FetchItem::BodyStructure => (b"BODYSTRUCTURE ", Say::BodyStructure),
        FetchItem::ModSeq => (b"MODSEQ ", Say::ModSeq),
        FetchItem::SaveDate => (b"SAVEDATE ", Say::SaveDate),
        FetchItem::EmailId => (b"EMAILID ", Say::EmailId),
        FetchItem::ThreadId => (b"THREADID ", Say::ThreadId),
        FetchItem::Preview => (b"PREVIEW ", Say::Preview),
        FetchItem::Rfc822 => (b"RFC822 ", whole_message(&SectionText::All)),
        FetchItem::Rfc822Header => (b"RFC822.HEADER ", whole_message(&SectionText::Header)),
        FetchItem::Rfc822Text => (b"RFC822.TEXT ", whole_message(&SectionText::Text)),
        FetchItem::Section {
            peek: _,
            section,
            partial,
        } => {
            return Step {
                name: section_name(section, *partial).into(),
                say: Say::Octets(octets(&section.part, &section.text, *partial)),
            };
        }
        FetchItem::Binary {
            peek: _,
            part,
            partial,
        } => {
            return Step {
                name: binary_name(b"BINARY[", part, *partial).into(),
                say: Say::Binary(Binary {
                    part,
                    partial: *partial,
                    size_only: false,
                }),
            };
        }
        FetchItem::BinarySize { part } => {
            return Step {
                name: binary_name(b"BINARY.SIZE[", part, None).into(),
                say: Say::Binary(Binary {
                    part,
                    partial: None,
                    size_only: true,
                }),
            };
        }
    };
    Step {
        name: name.into(),
        say,
    }
}

fn whole_message(text: &'static SectionText) -> Say<'static> {
    Say::Octets(octets(&[], text, None))
}

fn octets<'a>(part: &'a [u32], text: &'a SectionText, partial: Option<Partial>) -> Octets<'a> {
    let fields = match text {
        SectionText::HeaderFields(names) => Some((true, FieldNames::new(names))),
        SectionText::HeaderFieldsNot(names) => Some((false, FieldNames::new(names))),
        _ => None,
    };
    Octets {
        part,
        text,
        fields,
        partial,
    }
}

/// `BODY[1.2.MIME]<0> `: the section as it was understood, and the origin of a partial.
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
