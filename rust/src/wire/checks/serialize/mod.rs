//! Commands as a careful client writes them: the way back from the grammar, for tests.

mod fetching;
mod searching;

use super::super::ast::SequenceSet;
use super::super::command::{
    AppendMessage, Command, EventGroup, GetMetadata, List, Notify, Qresync, Store, StoreMode, Verb,
};
use super::super::names::encode_utf7;
use super::super::syntax::dates::civil_from_days;
use super::super::syntax::flags::{FlagList, SYSTEM_NAMES};
use fetching::{fetch, item_list};
use searching::{
    mailbox_filters, search_criteria, search_key, search_returns, sort_criteria, thread_algorithm,
};

/// A command with its line end. Of APPEND its head, up to the literal of `message`.
#[must_use]
pub fn written(command: &Command, message: Option<&AppendMessage>) -> Vec<u8> {
    let mut out = CommandText(command.tag.clone());
    out.put(" ");
    verb(&mut out, &command.verb);
    if let Some(message) = message {
        append_message(&mut out, message);
    }
    out.put("\r\n");
    out.0
}

/// Command as a client sends it.
struct CommandText(Vec<u8>);

impl CommandText {
    fn put(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    fn words<S: AsRef<str>>(&mut self, words: &[S]) {
        for (place, word) in words.iter().enumerate() {
            self.put(if place > 0 { " " } else { "" });
            self.put(word.as_ref());
        }
    }

    /// A literal that does not wait where quotes would not do.
    fn string(&mut self, bytes: &[u8]) {
        if bytes.iter().all(|byte| (b' '..=b'~').contains(byte)) {
            self.put("\"");
            for byte in bytes {
                if matches!(byte, b'"' | b'\\') {
                    self.put("\\");
                }
                self.0.push(*byte);
            }
            self.put("\"");
        } else {
            self.put(&format!("{{{}+}}\r\n", bytes.len()));
            self.0.extend_from_slice(bytes);
        }
    }

    /// As `string`, for bytes that may have NUL.
    fn string8(&mut self, bytes: &[u8]) {
        if bytes.contains(&0) {
            self.put("~");
        }
        self.string(bytes);
    }

    fn strings(&mut self, texts: &[String]) {
        for (place, text) in texts.iter().enumerate() {
            self.put(if place > 0 { " " } else { "" });
            self.string(text.as_bytes());
        }
    }

    fn mailbox(&mut self, name: &str) {
        self.string(&encode_utf7(name));
    }

    fn set(&mut self, set: &SequenceSet) {
        self.0.extend(set.to_imap());
    }

    fn flags(&mut self, flags: &FlagList) {
        let system = SYSTEM_NAMES
            .iter()
            .filter(|(_, bit)| flags.system & bit != 0);
        let names: Vec<&str> = system
            .map(|(name, _)| *name)
            .chain(flags.keywords.iter().map(String::as_str))
            .collect();
        self.put("(");
        self.words(&names);
        self.put(")");
    }
}

#[allow(clippy::too_many_lines)] // a table: one row a command
fn verb(out: &mut CommandText, verb: &Verb) {
    match verb {
        Verb::Capability => out.put("CAPABILITY"),
        Verb::Noop => out.put("NOOP"),
        Verb::Logout => out.put("LOGOUT"),
        Verb::StartTls => out.put("STARTTLS"),
        Verb::Namespace => out.put("NAMESPACE"),
        Verb::Idle => out.put("IDLE"),
        Verb::Check => out.put("CHECK"),
        Verb::Close => out.put("CLOSE"),
        Verb::Unselect => out.put("UNSELECT"),
        Verb::Unauthenticate => out.put("UNAUTHENTICATE"),
        Verb::Compress => out.put("COMPRESS DEFLATE"),
        Verb::Expunge { uids: None } => out.put("EXPUNGE"),
        Verb::Expunge { uids: Some(uids) } => {
            out.put("UID EXPUNGE ");
            out.set(uids);
        }
        Verb::Id { params } => {
            out.put("ID (");
            for (place, (name, value)) in params.iter().enumerate() {
                out.put(if place > 0 { " " } else { "" });
                out.string(name.as_bytes());
                out.put(" ");
                match value {
                    Some(value) => out.string(value.as_bytes()),
                    None => out.put("NIL"),
                }
            }
            out.put(")");
        }
        Verb::Authenticate { mechanism, initial } => {
            out.put(&format!("AUTHENTICATE {mechanism}"));
            match initial.as_deref() {
                None => {}
                Some([]) => out.put(" ="),
                Some(bytes) => out.put(&format!(" {}", base64(bytes))),
            }
        }
        Verb::Login { user, password } => {
            out.put("LOGIN ");
            out.string(user);
            out.put(" ");
            out.string(password);
        }
        Verb::Enable { names } => {
            out.put("ENABLE ");
            out.words(names);
        }
        Verb::Language { ranges: strings } | Verb::Comparator { orders: strings } => {
            out.put(if matches!(verb, Verb::Language { .. }) {
                "LANGUAGE"
            } else {
                "COMPARATOR"
            });
            for string in strings {
                out.put(" ");
                out.string(string.as_bytes());
            }
        }
        Verb::Select {
            mailbox,
            read_only,
            condstore,
            qresync,
        } => {
            out.put(if *read_only { "EXAMINE " } else { "SELECT " });
            out.mailbox(mailbox);
            select_params(out, *condstore, qresync.as_ref());
        }
        Verb::Create {
            mailbox,
            special_use,
        } => {
            out.put("CREATE ");
            out.mailbox(mailbox);
            out.put(" (USE (");
            out.words(special_use);
            out.put("))");
        }
        Verb::Delete { mailbox } => named(out, "DELETE ", mailbox),
        Verb::Subscribe { mailbox } => named(out, "SUBSCRIBE ", mailbox),
        Verb::SetAcl {
            mailbox,
            identifier,
            rights,
        } => {
            named(out, "SETACL ", mailbox);
            out.put(" ");
            out.string(identifier);
            out.put(" ");
            out.string(rights);
        }
        Verb::DeleteAcl {
            mailbox,
            identifier,
        } => {
            named(out, "DELETEACL ", mailbox);
            out.put(" ");
            out.string(identifier);
        }
        Verb::GetAcl { mailbox } => named(out, "GETACL ", mailbox),
        Verb::ListRights {
            mailbox,
            identifier,
        } => {
            named(out, "LISTRIGHTS ", mailbox);
            out.put(" ");
            out.string(identifier);
        }
        Verb::MyRights { mailbox } => named(out, "MYRIGHTS ", mailbox),
        Verb::Unsubscribe { mailbox } => named(out, "UNSUBSCRIBE ", mailbox),
        Verb::Append { mailbox } => named(out, "APPEND ", mailbox),
        Verb::GetQuota { root } => {
            out.put("GETQUOTA ");
            out.string(root.as_bytes());
        }
        Verb::GetQuotaRoot { mailbox } => named(out, "GETQUOTAROOT ", mailbox),
        Verb::SetQuota { root, limits } => {
            out.put("SETQUOTA ");
            out.string(root.as_bytes());
            let limits: Vec<String> = limits
                .iter()
                .map(|(resource, limit)| format!("{resource} {limit}"))
                .collect();
            out.put(" (");
            out.words(&limits);
            out.put(")");
        }
        Verb::Replace { uid, set, mailbox } => {
            out.put(if *uid { "UID REPLACE " } else { "REPLACE " });
            out.set(set);
            named(out, " ", mailbox);
        }
        Verb::Rename { mailbox, to } => {
            named(out, "RENAME ", mailbox);
            named(out, " ", to);
        }
        Verb::List(command) => list(out, command),
        Verb::Lsub { reference, pattern } => {
            named(out, "LSUB ", reference);
            named(out, " ", pattern);
        }
        Verb::Status { mailbox, items } => {
            named(out, "STATUS ", mailbox);
            out.put(" (");
            out.words(items);
            out.put(")");
        }
        Verb::GetMetadata(command) => get_metadata(out, command),
        Verb::Notify(None) => out.put("NOTIFY NONE"),
        Verb::Notify(Some(command)) => notify(out, command),
        Verb::SetMetadata { mailbox, values } => {
            named(out, "SETMETADATA ", mailbox);
            for (place, (entry, value)) in values.iter().enumerate() {
                out.put(if place > 0 { " " } else { " (" });
                out.string(entry.as_bytes());
                out.put(" ");
                match value {
                    Some(value) => out.string8(value),
                    None => out.put("NIL"),
                }
            }
            out.put(")");
        }
        Verb::Search {
            uid,
            returns,
            window,
            update,
            program,
        } => {
            out.put(if *uid { "UID SEARCH " } else { "SEARCH " });
            search_returns(out, returns.as_deref(), *window, update.as_ref());
            match program {
                Some(key) => search_key(out, key),
                None => out.put("CHARSET X-UNKNOWN ALL"),
            }
        }
        Verb::Sort {
            uid,
            returns,
            window,
            update,
            criteria,
            program,
        } => {
            out.put(if *uid { "UID SORT " } else { "SORT " });
            search_returns(out, returns.as_deref(), *window, update.as_ref());
            sort_criteria(out, criteria);
            search_criteria(out, program.as_ref());
        }
        Verb::Thread {
            uid,
            algorithm,
            program,
        } => {
            out.put(if *uid { "UID THREAD " } else { "THREAD " });
            thread_algorithm(out, *algorithm);
            search_criteria(out, program.as_ref());
        }
        Verb::MultiSearch {
            sources,
            returns,
            window,
            update,
            program,
        } => {
            out.put("ESEARCH ");
            if let Some(sources) = sources {
                mailbox_filters(out, sources);
            }
            search_returns(out, returns.as_deref(), *window, update.as_ref());
            match program {
                Some(key) => search_key(out, key),
                None => out.put("CHARSET X-UNKNOWN ALL"),
            }
        }
        Verb::CancelUpdate { tags } => {
            out.put("CANCELUPDATE");
            for tag in tags {
                out.put(" ");
                out.string(tag);
            }
        }
        Verb::UidBatches { size, batches } => {
            out.put(&format!("UIDBATCHES {size}"));
            if let Some((first, last)) = batches {
                out.put(&format!(" {first}:{last}"));
            }
        }
        Verb::Fetch(command) => fetch(out, command),
        Verb::Store(command) => store(out, command),
        Verb::Copy { uid, set, mailbox } => {
            out.put(if *uid { "UID COPY " } else { "COPY " });
            out.set(set);
            named(out, " ", mailbox);
        }
        Verb::Move { uid, set, mailbox } => {
            out.put(if *uid { "UID MOVE " } else { "MOVE " });
            out.set(set);
            named(out, " ", mailbox);
        }
    }
}

fn named(out: &mut CommandText, name: &str, mailbox: &str) {
    out.put(name);
    out.mailbox(mailbox);
}

fn select_params(out: &mut CommandText, condstore: bool, qresync: Option<&Qresync>) {
    if !condstore && qresync.is_none() {
        return;
    }
    out.put(if condstore { " (CONDSTORE" } else { " (" });
    if let Some(Qresync {
        uid_validity,
        modseq,
        known,
        matches,
    }) = qresync
    {
        out.put(if condstore { " " } else { "" });
        out.put(&format!("QRESYNC ({uid_validity} {modseq}"));
        if let Some(known) = known {
            out.put(" ");
            out.set(known);
        }
        if let Some((numbers, uids)) = matches {
            out.put(" (");
            out.set(numbers);
            out.put(" ");
            out.set(uids);
            out.put(")");
        }
        out.put(")");
    }
    out.put(")");
}

fn list(out: &mut CommandText, command: &List) {
    out.put("LIST ");
    if command.extended {
        out.put("(");
        out.words(&command.selection);
        out.put(") ");
    }
    out.mailbox(&command.reference);
    out.put(if command.extended { " (" } else { " " });
    for (place, pattern) in command.patterns.iter().enumerate() {
        out.put(if place > 0 { " " } else { "" });
        out.mailbox(pattern);
    }
    if command.extended {
        out.put(") RETURN (");
        out.words(&command.returns);
        if let Some(status) = &command.status {
            out.put(if command.returns.is_empty() {
                "STATUS ("
            } else {
                " STATUS ("
            });
            out.words(status);
            out.put(")");
        }
        if let Some(entries) = &command.metadata {
            let first = command.returns.is_empty() && command.status.is_none();
            out.put(if first { "METADATA (" } else { " METADATA (" });
            out.strings(entries);
            out.put(")");
        }
        out.put(")");
    }
}

fn notify(out: &mut CommandText, command: &Notify) {
    out.put(if command.status {
        "NOTIFY SET STATUS"
    } else {
        "NOTIFY SET"
    });
    for group in &command.groups {
        event_group(out, group);
    }
}

fn event_group(out: &mut CommandText, group: &EventGroup) {
    out.put(" (");
    out.put(group.filter);
    if !group.mailboxes.is_empty() {
        out.put(" (");
        for (place, name) in group.mailboxes.iter().enumerate() {
            out.put(if place > 0 { " " } else { "" });
            out.mailbox(name);
        }
        out.put(")");
    }
    if group.events.is_empty() {
        out.put(" NONE)");
        return;
    }
    let mut items = &group.items[..];
    for (place, event) in group.events.iter().enumerate() {
        out.put(if place > 0 { " " } else { " (" });
        out.put(event);
        if event == "MESSAGENEW" && !items.is_empty() {
            out.put(" ");
            item_list(out, items);
            items = &[];
        }
    }
    out.put("))");
}

fn get_metadata(out: &mut CommandText, command: &GetMetadata) {
    out.put("GETMETADATA (DEPTH ");
    out.put(command.depth);
    if let Some(size) = command.max_size {
        out.put(&format!(" MAXSIZE {size}"));
    }
    named(out, ") ", &command.mailbox);
    out.put(" (");
    out.strings(&command.entries);
    out.put(")");
}

fn store(out: &mut CommandText, command: &Store) {
    out.put(if command.uid { "UID STORE " } else { "STORE " });
    out.set(&command.set);
    if let Some(since) = command.unchanged_since {
        out.put(&format!(" (UNCHANGEDSINCE {since})"));
    }
    out.put(match command.mode {
        StoreMode::Replace => " FLAGS",
        StoreMode::Add => " +FLAGS",
        StoreMode::Remove => " -FLAGS",
    });
    out.put(if command.silent { ".SILENT " } else { " " });
    out.flags(&command.flags);
}

fn date(days: i64) -> String {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let (year, month, day) = civil_from_days(days);
    let at = (month as usize - 1) * 3;
    format!(
        "{day:02}-{}-{year:04}",
        MONTHS.get(at..at + 3).unwrap_or_default()
    )
}

fn append_message(out: &mut CommandText, message: &AppendMessage) {
    out.put(" ");
    out.flags(&message.flags);
    if let Some((seconds, zone)) = message.date {
        let local = seconds + i64::from(zone) * 60;
        let (days, time) = (local.div_euclid(86_400), local.rem_euclid(86_400));
        let sign = if zone < 0 { '-' } else { '+' };
        let (hours, minutes) = (zone.abs() / 60, zone.abs() % 60);
        out.put(&format!(
            " \"{} {:02}:{:02}:{:02} {sign}{hours:02}{minutes:02}\"",
            date(days),
            time / 3_600,
            time / 60 % 60,
            time % 60,
        ));
    }
    if message.catenate {
        out.put(" CATENATE (URL /a/;UID=1)");
        return;
    }
    out.put(if message.utf8 { " UTF8 (" } else { " " });
    out.put(if message.binary { "~{" } else { "{" });
    out.put(&format!(
        "{}{}",
        message.size,
        if message.waits { "}" } else { "+}" }
    ));
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, place| {
            bits << 8 | u32::from(three.get(place).copied().unwrap_or(0))
        });
        for place in 0..4 {
            let digit = ALPHABET.get((bits >> (18 - 6 * place)) as usize & 63);
            text.push(match digit {
                Some(digit) if place <= three.len() => char::from(*digit),
                _ => '=',
            });
        }
    }
    text
}
