//! FETCH.

use super::CommandText;
use super::searching::partial_range;
use crate::wire::ast::{FetchItem, Partial, Section, SectionText};
use crate::wire::command::Fetch;

pub(super) fn fetch(out: &mut CommandText, command: &Fetch) {
    out.put(if command.uid { "UID FETCH " } else { "FETCH " });
    out.set(&command.set);
    out.put(" (");
    let items = command.items.iter();
    let items = items.filter(|item| command.uid_asked || **item != FetchItem::Uid);
    for (place, item) in items.enumerate() {
        out.put(if place > 0 { " " } else { "" });
        fetch_item(out, item);
    }
    out.put(")");
    let mut modifiers = Vec::new();
    modifiers.extend(command.window.map(partial_range));
    modifiers.extend(
        command
            .changed_since
            .map(|since| format!("CHANGEDSINCE {since}")),
    );
    modifiers.extend(command.vanished.then(|| "VANISHED".to_owned()));
    if !modifiers.is_empty() {
        out.put(" (");
        out.words(&modifiers);
        out.put(")");
    }
}

/// Items in parentheses.
pub(super) fn item_list(out: &mut CommandText, items: &[FetchItem]) {
    out.put("(");
    for (place, item) in items.iter().enumerate() {
        out.put(if place > 0 { " " } else { "" });
        fetch_item(out, item);
    }
    out.put(")");
}

fn fetch_item(out: &mut CommandText, item: &FetchItem) {
    match item {
        FetchItem::Uid => out.put("UID"),
        FetchItem::Flags => out.put("FLAGS"),
        FetchItem::InternalDate => out.put("INTERNALDATE"),
        FetchItem::Rfc822Size => out.put("RFC822.SIZE"),
        FetchItem::Envelope => out.put("ENVELOPE"),
        FetchItem::Body => out.put("BODY"),
        FetchItem::BodyStructure => out.put("BODYSTRUCTURE"),
        FetchItem::ModSeq => out.put("MODSEQ"),
        FetchItem::SaveDate => out.put("SAVEDATE"),
        FetchItem::EmailId => out.put("EMAILID"),
        FetchItem::ThreadId => out.put("THREADID"),
        FetchItem::Preview => out.put("PREVIEW (LAZY)"),
        FetchItem::Rfc822 => out.put("RFC822"),
        FetchItem::Rfc822Header => out.put("RFC822.HEADER"),
        FetchItem::Rfc822Text => out.put("RFC822.TEXT"),
        FetchItem::Section {
            peek,
            section: of,
            partial: some,
        } => {
            out.put(if *peek { "BODY.PEEK[" } else { "BODY[" });
            section(out, of);
            out.put("]");
            partial(out, *some);
        }
        FetchItem::Binary {
            peek,
            part,
            partial: some,
        } => {
            out.put(if *peek { "BINARY.PEEK[" } else { "BINARY[" });
            out.put(&part_path(part));
            out.put("]");
            partial(out, *some);
        }
        FetchItem::BinarySize { part } => {
            out.put(&format!("BINARY.SIZE[{}]", part_path(part)));
        }
    }
}

fn part_path(part: &[u32]) -> String {
    part.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(".")
}

fn section(out: &mut CommandText, of: &Section) {
    out.put(&part_path(&of.part));
    if !of.part.is_empty() && of.text != SectionText::All {
        out.put(".");
    }
    let (name, fields) = match &of.text {
        SectionText::All => return,
        SectionText::Header => ("HEADER", None),
        SectionText::Text => ("TEXT", None),
        SectionText::Mime => ("MIME", None),
        SectionText::HeaderFields(fields) => ("HEADER.FIELDS (", Some(fields)),
        SectionText::HeaderFieldsNot(fields) => ("HEADER.FIELDS.NOT (", Some(fields)),
    };
    out.put(name);
    if let Some(fields) = fields {
        for (place, field) in fields.iter().enumerate() {
            out.put(if place > 0 { " " } else { "" });
            out.string(field);
        }
        out.put(")");
    }
}

fn partial(out: &mut CommandText, partial: Option<Partial>) {
    if let Some(Partial { start, count }) = partial {
        out.put(&format!("<{start}.{count}>"));
    }
}
