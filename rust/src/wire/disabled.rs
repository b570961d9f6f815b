//! Syntax that the server does not offer, or not to one client.
//!
//! The grammar looks up each command name and keyword that it recognises; a disabled one is treated as
//! unknown, so the response is the BAD of a server without the extension. The capabilities that the
//! entries belong to are listed in Python (`imapvm.session.syntax`).

use super::limits::LITERAL_MINUS_MAX;

/// Set of commands, of keywords in commands, and of kinds of literals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DisabledSyntax {
    /// Names as in `grammar`; one without UID includes its UID form.
    commands: Vec<String>,
    /// Command without UID, and keyword or symbol in it; in any command if it is empty.
    words: Vec<(String, String)>,
    /// Non-synchronizing literals over 4096 bytes.
    literal_plus: bool,
    /// All non-synchronizing literals.
    literal_minus: bool,
}

impl DisabledSyntax {
    /// Collect entries, as `new`; `is_command` decides about the names of commands.
    pub(super) fn collect<'a>(
        entries: impl IntoIterator<Item = &'a str>,
        is_command: impl Fn(&str) -> bool,
    ) -> Result<Self, &'a str> {
        let mut disabled = Self::default();
        for entry in entries {
            match entry.split_once(' ') {
                _ if is_command(entry) => disabled.commands.push(entry.to_owned()),
                Some((command, word)) if is_command(command) => {
                    disabled.words.push((command.to_owned(), word.to_owned()));
                }
                None if entry == "LITERAL+" => disabled.literal_plus = true,
                None if entry == "LITERAL-" => disabled.literal_minus = true,
                None if entry == "$" => disabled.words.push((String::new(), entry.to_owned())),
                _ => return Err(entry),
            }
        }
        Ok(disabled)
    }

    /// True if a command, in upper case, is disabled.
    pub(crate) fn has_command(&self, name: &str) -> bool {
        let base = base_name(name);
        self.commands
            .iter()
            .any(|command| command == name || command == base)
    }

    /// True if a non-synchronizing literal of this size is disabled (RFC 7888).
    pub(crate) fn has_literal(&self, size: u64) -> bool {
        self.literal_minus || (self.literal_plus && size > LITERAL_MINUS_MAX)
    }

    /// True if a keyword or symbol of `command` is disabled.
    pub(crate) fn has_word(&self, command: &str, word: &[u8]) -> bool {
        self.words.iter().any(|(within, disabled)| {
            (within.is_empty() || within == command)
                && disabled.as_bytes().eq_ignore_ascii_case(word)
        })
    }
}

/// Return the name of the command whose keywords `name` has: without UID; SELECT for EXAMINE, SEARCH for
/// ESEARCH.
pub(crate) fn base_name(name: &str) -> &str {
    match name {
        "EXAMINE" => "SELECT",
        "ESEARCH" => "SEARCH",
        _ => name.strip_prefix("UID ").unwrap_or(name),
    }
}

/// Properties of a connection that the grammar depends on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Dialect<'a> {
    /// Mailbox names are UTF-8, not modified UTF-7.
    pub utf8: bool,
    /// Syntax that is treated as unknown.
    pub disabled: Option<&'a DisabledSyntax>,
}
