//! Commands of a plan, ready to be sent: adjacent texts joined, CRLF added, labels as numbers.

use super::PlanError;
use super::json::{AnswerJson, CommandJson, LiteralJson, PartJson, Protocol};
use crate::limits::MS;

/// One piece of a command.
#[derive(Debug, PartialEq, Eq)]
pub enum CommandPiece {
    /// Fixed bytes.
    Text(Box<[u8]>),
    /// The user's name.
    User,
    /// The user's password.
    Password,
    /// base64 of NUL user NUL password.
    Plain,
    /// Uniform random integer, both ends included.
    Random(u64, u64),
    /// Number of the last EXISTS.
    Exists,
    /// 1 to the last EXISTS.
    RandomMessage,
    /// This many consecutive messages, as `first:last`.
    RandomRange(u32),
    /// Counts up from 1.
    Counter,
    /// Number of the connection.
    Connection,
    /// A message as a non-synchronizing literal.
    NonSyncLiteral,
    /// A message as a synchronizing literal: sent after `+`.
    SyncLiteral,
    /// A dot-stuffed message with the final dot.
    Data,
}

/// How a command completes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// With a tagged response.
    Tagged,
    /// IDLE: `+`, then after the hold and DONE a tagged response.
    Idle {
        /// Nanoseconds before DONE.
        hold: u64,
    },
    /// With one LMTP reply.
    Reply,
    /// MAIL: with one reply; resets the recipients.
    Mail,
    /// RCPT: with one reply; 2xx adds a recipient.
    Rcpt,
    /// DATA: 354, then after the data one reply for each recipient.
    Data,
}

/// One command.
#[derive(Debug)]
pub struct PlannedCommand {
    /// Row of the report.
    pub label: u16,
    /// Pieces without the tag, with CRLF at the end.
    pub pieces: Box<[CommandPiece]>,
    /// How it completes.
    pub completion: Completion,
    /// NO is not an error.
    pub may_fail: bool,
}

/// Labels numbered in the order of their first use.
#[derive(Debug, Default)]
pub struct Names(Vec<String>);

impl Names {
    /// Return the number of a name, new or known; None when there are too many.
    pub(super) fn number(&mut self, name: &str) -> Option<u16> {
        let place = self
            .0
            .iter()
            .position(|known| known == name)
            .unwrap_or_else(|| {
                self.0.push(name.to_owned());
                self.0.len().saturating_sub(1)
            });
        u16::try_from(place).ok()
    }

    /// Return all names; the index of a name is its number.
    #[must_use]
    pub fn all(&self) -> &[String] {
        &self.0
    }

    /// Return a name by its number.
    #[must_use]
    pub fn get(&self, number: u16) -> &str {
        self.0.get(usize::from(number)).map_or("?", String::as_str)
    }
}

/// Fields of the plan that its parts depend on.
pub(super) struct PlanContents {
    pub protocol: Protocol,
    pub users: bool,
    pub messages: bool,
}

pub(super) fn command(
    text: &CommandJson,
    path: &str,
    contents: &PlanContents,
    labels: &mut Names,
) -> Result<PlannedCommand, PlanError> {
    let wrong = |field: &str, why: &str| PlanError::at(&format!("{path}{field}"), why);
    if text.label.is_empty() {
        return Err(wrong(".label", "is empty"));
    }
    if text.parts.is_empty() {
        return Err(wrong(".parts", "is empty"));
    }
    let mut pieces = Pieces::default();
    for (place, part) in text.parts.iter().enumerate() {
        let wrong = |why: &str| wrong(&format!(".parts[{place}]"), why);
        if matches!(pieces.0.last(), Some(CommandPiece::Data)) {
            return Err(wrong("nothing may follow the data"));
        }
        pieces.part(part, contents).map_err(wrong)?;
    }
    let has_data = matches!(pieces.0.last(), Some(CommandPiece::Data));
    if !has_data {
        pieces.text(b"\r\n");
    }
    let default = if contents.protocol == Protocol::Imap {
        AnswerJson::Tagged
    } else {
        AnswerJson::Lmtp
    };
    let answer = text.answer.unwrap_or(default);
    let completion = match (contents.protocol, answer) {
        (Protocol::Imap, AnswerJson::Tagged) => Completion::Tagged,
        (Protocol::Imap, AnswerJson::Idle) => Completion::Idle {
            hold: milliseconds(text.hold_ms).ok_or_else(|| wrong(".hold_ms", BAD_TIME))?,
        },
        (Protocol::Lmtp, AnswerJson::Lmtp) => lmtp_answers(&pieces.0),
        (Protocol::Imap, AnswerJson::Lmtp) => return Err(wrong(".answer", "\"lmtp\" in imap")),
        (Protocol::Lmtp, _) => return Err(wrong(".answer", "only \"lmtp\" in lmtp")),
    };
    if has_data != (completion == Completion::Data) {
        return Err(wrong(
            ".parts",
            "DATA and a part {\"data\": true} need each other",
        ));
    }
    let label = labels
        .number(&text.label)
        .ok_or_else(|| wrong(".label", "too many labels"))?;
    let pieces = pieces.0.into_boxed_slice();
    Ok(PlannedCommand {
        label,
        pieces,
        completion,
        may_fail: text.may_fail,
    })
}

/// Error message for a time in milliseconds.
pub(super) const BAD_TIME: &str = "must be from 0 to 86,400,000 milliseconds";

/// Convert milliseconds to nanoseconds; None above one day.
pub(super) fn milliseconds(value: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "in range"
    )]
    #[expect(clippy::cast_precision_loss, reason = "MS is exact")]
    (0.0..=86_400_000.0)
        .contains(&value)
        .then_some((value * MS as f64) as u64)
}

#[derive(Default)]
struct Pieces(Vec<CommandPiece>);

impl Pieces {
    fn text(&mut self, bytes: &[u8]) {
        if let Some(CommandPiece::Text(before)) = self.0.last_mut() {
            *before = [before, bytes].concat().into_boxed_slice();
        } else {
            self.0.push(CommandPiece::Text(bytes.into()));
        }
    }

    fn part(&mut self, part: &PartJson, contents: &PlanContents) -> Result<(), &'static str> {
        let user = |piece| {
            if contents.users {
                Ok(piece)
            } else {
                Err("there are no users")
            }
        };
        let message = |protocol, piece| match (contents.protocol == protocol, contents.messages) {
            (false, _) => Err("belongs to the other protocol"),
            (_, false) => Err("there are no messages"),
            (true, true) => Ok(piece),
        };
        let piece = match part {
            PartJson::Text(text) if text.bytes().any(|b| matches!(b, b'\r' | b'\n' | 0)) => {
                return Err("a text may not hold CR, LF or NUL");
            }
            PartJson::Text(text) => {
                self.text(text.as_bytes());
                return Ok(());
            }
            PartJson::Random((first, last)) if first > last => return Err("first > last"),
            PartJson::Random((first, last)) => CommandPiece::Random(*first, *last),
            PartJson::User(_) => user(CommandPiece::User)?,
            PartJson::Password(_) => user(CommandPiece::Password)?,
            PartJson::Plain(_) => user(CommandPiece::Plain)?,
            PartJson::Exists(_) => CommandPiece::Exists,
            PartJson::RandomMessage(_) => CommandPiece::RandomMessage,
            PartJson::RandomRange(0) => return Err("a range of no messages"),
            PartJson::RandomRange(count) => CommandPiece::RandomRange(*count),
            PartJson::Counter(_) => CommandPiece::Counter,
            PartJson::Connection(_) => CommandPiece::Connection,
            PartJson::Message(LiteralJson::NonSync) => {
                message(Protocol::Imap, CommandPiece::NonSyncLiteral)?
            }
            PartJson::Message(LiteralJson::Sync) => {
                message(Protocol::Imap, CommandPiece::SyncLiteral)?
            }
            PartJson::Data(_) => {
                let piece = message(Protocol::Lmtp, CommandPiece::Data)?;
                self.text(b"\r\n"); // ends the DATA line
                piece
            }
        };
        self.0.push(piece);
        Ok(())
    }
}

fn lmtp_answers(pieces: &[CommandPiece]) -> Completion {
    let Some(CommandPiece::Text(text)) = pieces.first() else {
        return Completion::Reply;
    };
    let verb = text.get(..4).unwrap_or_default().to_ascii_uppercase();
    match verb.as_slice() {
        b"MAIL" => Completion::Mail,
        b"RCPT" => Completion::Rcpt,
        b"DATA" => Completion::Data,
        _ => Completion::Reply,
    }
}
