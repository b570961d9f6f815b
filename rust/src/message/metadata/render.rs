//! ENVELOPE, BODY and BODYSTRUCTURE as written in a FETCH response (RFC 9051 sections 7.5.2 and 9).
//!
//! The result is sent to every client, with or without UTF8=ACCEPT: text with bytes above 127, CR
//! or LF becomes a literal.
use super::part_table::Kind;
use crate::message::header::address::{Address, addresses};
use crate::message::header::names::FieldName;
use crate::message::header::values::Headers;
use crate::message::limits::{ADDRESSES, ALL_ADDRESSES, COPIED_BYTES};
use crate::message::mime::{self, ContentType, Parameter};
use crate::wire::writer::quote;
use std::io::Write;

/// Bytes of a quoted string. A longer one becomes a literal, since many clients limit their lines.
const QUOTED_BYTES: usize = 1000;

fn number(to: &mut Vec<u8>, value: u64) {
    // Writing to memory cannot fail.
    let _ = write!(to, "{value}");
}

/// ```abnf
/// string = quoted / literal
/// ```
/// NUL is left out: neither form can contain it.
pub(crate) fn string(to: &mut Vec<u8>, text: &[u8]) {
    let text: &[u8] = if memchr::memchr(0, text).is_some() {
        &text
            .iter()
            .copied()
            .filter(|byte| *byte != 0)
            .collect::<Vec<u8>>()
    } else {
        text
    };
    let quotable = |byte: &u8| !matches!(byte, b'\r' | b'\n' | 0x80..);
    if text.len() <= QUOTED_BYTES && text.iter().all(quotable) {
        quote(to, text);
    } else {
        to.push(b'{');
        number(to, text.len() as u64);
        to.extend_from_slice(b"}\r\n");
        to.extend_from_slice(text);
    }
}

/// ```abnf
/// nstring = string / nil
/// ```
fn nstring(to: &mut Vec<u8>, text: Option<&[u8]>) {
    match text {
        Some(text) => string(to, text),
        None => to.extend_from_slice(b"NIL"),
    }
}

/// ```abnf
/// address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"
/// ```
/// A mailbox without a host gets an empty host, since NIL would start a group.
fn address(to: &mut Vec<u8>, address: &Address) {
    let nil = None;
    let fields = match address {
        Address::Mailbox {
            name,
            route,
            local,
            host,
        } => [
            name.as_deref(),
            route.as_deref(),
            Some(local.as_slice()),
            Some(host.as_slice()),
        ],
        Address::Group(name) => [nil, nil, Some(name.as_slice()), nil],
        Address::EndOfGroup => [nil; 4],
    };
    for (index, field) in fields.into_iter().enumerate() {
        to.push(if index == 0 { b'(' } else { b' ' });
        nstring(to, field);
    }
    to.push(b')');
}

/// ```abnf
/// "(" 1*address ")" / nil
/// ```
/// At most `left` addresses, which are then fewer.
fn address_list(value: Option<&[u8]>, left: &mut usize) -> Option<Vec<u8>> {
    let list = addresses(value?, (*left).min(ADDRESSES));
    *left = left.saturating_sub(list.len());
    if list.is_empty() {
        return None;
    }
    let mut to = vec![b'('];
    for one in &list {
        address(&mut to, one);
    }
    to.push(b')');
    Some(to)
}

/// Limits that the ENVELOPEs of one message share.
pub(crate) struct EnvelopeBudget {
    addresses: usize,
    /// Bytes of Sender and Reply-To that are copies of From.
    copied: usize,
}

impl Default for EnvelopeBudget {
    fn default() -> Self {
        Self {
            addresses: ALL_ADDRESSES,
            copied: COPIED_BYTES,
        }
    }
}

/// ```abnf
/// envelope = "(" env-date SP env-subject SP env-from SP env-sender SP env-reply-to SP env-to SP
///            env-cc SP env-bcc SP env-in-reply-to SP env-message-id ")"
/// ```
pub(crate) fn envelope(headers: &Headers, budget: &mut EnvelopeBudget) -> Vec<u8> {
    let mut list = |name| address_list(headers.get(name), &mut budget.addresses);
    let [from, sender, reply_to, to, cc, bcc] = [
        FieldName::From,
        FieldName::Sender,
        FieldName::ReplyTo,
        FieldName::To,
        FieldName::Cc,
        FieldName::Bcc,
    ]
    .map(&mut list);
    let mut copy_of_from = || {
        let copy = from.as_ref()?;
        budget.copied = budget.copied.checked_sub(copy.len())?;
        Some(copy.clone())
    };
    let sender = sender.or_else(&mut copy_of_from);
    let reply_to = reply_to.or_else(copy_of_from);
    let lists = [
        from.as_ref(),
        sender.as_ref(),
        reply_to.as_ref(),
        to.as_ref(),
        cc.as_ref(),
        bcc.as_ref(),
    ];
    let mut out = vec![b'('];
    nstring(&mut out, headers.get(FieldName::Date));
    out.push(b' ');
    nstring(&mut out, headers.get(FieldName::Subject));
    for list in lists {
        out.push(b' ');
        out.extend_from_slice(list.map_or(b"NIL", Vec::as_slice));
    }
    out.push(b' ');
    nstring(&mut out, headers.get(FieldName::InReplyTo));
    out.push(b' ');
    nstring(&mut out, headers.get(FieldName::MessageId));
    out.push(b')');
    out
}

/// ```abnf
/// body-fld-param = "(" string SP string *(SP string SP string) ")" / nil
/// ```
/// Names in upper case. The pieces of RFC 2231 are joined (RFC 9051 section 7.5.2). The value of a
/// name that ends in `*` keeps its charset and escapes, which clients decode: without them its
/// charset would be unknown to clients of `IMAP4rev1`.
fn parameters(to: &mut Vec<u8>, parameters: &[Parameter]) {
    for (index, (name, value)) in parameters.iter().enumerate() {
        to.push(if index == 0 { b'(' } else { b' ' });
        string(to, &name.to_ascii_uppercase());
        to.push(b' ');
        string(to, value);
    }
    to.extend_from_slice(if parameters.is_empty() { b"NIL" } else { b")" });
}

/// BODYSTRUCTURE of one entity, except what is known only at its end.
#[derive(Default)]
pub(crate) struct Description {
    /// `media-basic SP body-fields` up to the encoding; the subtype of a multipart.
    fields: Vec<u8>,
    /// Extension data after a space.
    extension: Vec<u8>,
}

impl Description {
    pub(crate) fn new(
        kind: Kind,
        content: &ContentType,
        encoding: &[u8],
        headers: &Headers,
    ) -> Self {
        let present = |name| headers.get(name).filter(|value| !value.is_empty());
        let mut fields = Vec::new();
        let mut extension = vec![b' '];
        let [media, subtype] = if kind == Kind::Leaf && content.is_message() {
            // Only an embedded message has an envelope and a structure of its own, and FETCH finds
            // none in one with a transfer encoding, which RFC 2046 section 5.2.1 forbids.
            ["application", "octet-stream"]
        } else {
            [&content.media, &content.subtype].map(String::as_str)
        };
        if kind == Kind::Multipart {
            string(&mut fields, subtype.to_ascii_uppercase().as_bytes());
            parameters(&mut extension, &content.parameters);
        } else {
            string(&mut fields, media.to_ascii_uppercase().as_bytes());
            fields.push(b' ');
            string(&mut fields, subtype.to_ascii_uppercase().as_bytes());
            fields.push(b' ');
            parameters(&mut fields, &content.parameters);
            for name in [FieldName::ContentId, FieldName::ContentDescription] {
                fields.push(b' ');
                nstring(&mut fields, present(name));
            }
            fields.push(b' ');
            string(&mut fields, encoding);
            nstring(&mut extension, present(FieldName::ContentMd5));
        }
        extension.push(b' ');
        match headers
            .get(FieldName::ContentDisposition)
            .and_then(mime::disposition)
        {
            Some((kind, list)) => {
                extension.push(b'(');
                string(&mut extension, &kind.to_ascii_uppercase());
                extension.push(b' ');
                parameters(&mut extension, &list);
                extension.push(b')');
            }
            None => extension.extend_from_slice(b"NIL"),
        }
        extension.push(b' ');
        languages(&mut extension, headers.get(FieldName::ContentLanguage));
        extension.push(b' ');
        nstring(&mut extension, present(FieldName::ContentLocation));
        Self { fields, extension }
    }
}

/// ```abnf
/// body-fld-lang = nstring / "(" string *(SP string) ")"
/// ```
fn languages(to: &mut Vec<u8>, value: Option<&[u8]>) {
    match mime::languages(value.unwrap_or_default()).as_slice() {
        [] => nstring(to, None),
        [single] => string(to, single),
        several => {
            for (index, tag) in several.iter().enumerate() {
                to.push(if index == 0 { b'(' } else { b' ' });
                string(to, tag);
            }
            to.push(b')');
        }
    }
}

/// Entity to render.
pub(crate) struct StructureNode<'a> {
    pub kind: Kind,
    pub depth: usize,
    pub description: &'a Description,
    /// ENVELOPE of the message whose body this is; otherwise empty.
    pub envelope: &'a [u8],
    pub media: &'a str,
    pub bytes: u64,
    pub lines: u64,
}

/// Render BODYSTRUCTURE, or BODY if not `extended`, from entities in message order.
///
/// ```abnf
/// body = "(" (body-type-1part / body-type-mpart) ")"
/// ```
pub(crate) fn structure<'a>(
    nodes: impl Iterator<Item = StructureNode<'a>>,
    extended: bool,
) -> Vec<u8> {
    let mut to = Vec::new();
    let mut open: Vec<StructureNode<'a>> = Vec::new();
    let close = |to: &mut Vec<u8>, node: StructureNode<'a>| {
        match node.kind {
            Kind::Multipart => {
                to.push(b' ');
                to.extend_from_slice(&node.description.fields);
            }
            Kind::Message => {
                to.push(b' ');
                number(to, node.lines);
            }
            Kind::Leaf => {}
        }
        if extended {
            to.extend_from_slice(&node.description.extension);
        }
        to.push(b')');
    };
    for node in nodes {
        while open.len() > node.depth
            && let Some(done) = open.pop()
        {
            close(&mut to, done);
        }
        if !node.envelope.is_empty() && node.depth > 0 {
            to.push(b' ');
            to.extend_from_slice(node.envelope);
            to.push(b' ');
        }
        to.push(b'(');
        if node.kind != Kind::Multipart {
            to.extend_from_slice(&node.description.fields);
            to.push(b' ');
            number(&mut to, node.bytes);
        }
        if node.kind == Kind::Leaf && node.media == "text" {
            to.push(b' ');
            number(&mut to, node.lines);
        }
        open.push(node);
    }
    while let Some(done) = open.pop() {
        close(&mut to, done);
    }
    to
}
