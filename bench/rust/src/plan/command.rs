//! Commands as they are sent: texts joined, the end of the line included, labels as numbers.

use super::PlanError;
use super::json::{AnswerJson, CommandJson, LiteralJson, PartJson, Protocol};
use crate::limits::MS;

/// One piece of a command.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Octets as they are.
    Text(Box<[u8]>),
    /// The user's name.
    User,
    /// The user's password.
    Password,
    /// base64 of NUL user NUL password.
    Plain,
    /// A uniform integer, both ends included.
    Random(u64, u64),
    /// The last EXISTS.
    Exists,
    /// 1 to the last EXISTS.
    RandomMessage,
    /// So many messages in a row, as `first:last`.
    RandomRange(u32),
    /// One more each time.
    Counter,
    /// Number of the connection.
    Connection,
    /// A message as a literal that the server takes unasked.
    NonSyncLiteral,
    /// A message as a literal that waits for `+`.
    SyncLiteral,
    /// A message, dot-stuffed, with the final dot.
    Data,
}

/// How a command is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// By a line with its tag.
    Tagged,
    /// By `+`, and after the hold and DONE by a line with its tag.
    Idle {
        /// Nanoseconds before DONE.
        hold: u64,
    },
    /// By one LMTP reply.
    Reply,
    /// MAIL: by one reply; forgets recipients.
    Mail,
    /// RCPT: by one reply; a recipient where that is 2xx.
    Rcpt,
    /// By 354 and, after the data, by a reply for each recipient.
    Data,
}

/// A command, ready to be put together.
#[derive(Debug)]
pub struct Command {
    /// Row of the report.
    pub label: u16,
    /// What it is made of, without the tag; ends with CRLF.
    pub pieces: Box<[Piece]>,
    /// How it is answered.
    pub completion: Completion,
    /// NO is no error.
    pub may_fail: bool,
}

/// Labels or names as small numbers, in the order of their first use.
#[derive(Debug, Default)]
pub struct Names(Vec<String>);

impl Names {
    /// The number of a name, new or known; None when there are too many.
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

    /// All names; a name's place is its number.
    #[must_use]
    pub fn all(&self) -> &[String] {
        &self.0
    }

    /// A name by its number.
    #[must_use]
    pub fn get(&self, number: u16) -> &str {
        self.0.get(usize::from(number)).map_or("?", String::as_str)
    }
}

/// What the parts of a plan need of it.
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
) -> Result<Command, PlanError> {
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
        if matches!(pieces.0.last(), Some(Piece::Data)) {
            return Err(wrong("nothing may follow the data"));
        }
        pieces.part(part, contents).map_err(wrong)?;
    }
    let has_data = matches!(pieces.0.last(), Some(Piece::Data));
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
    Ok(Command {
        label,
        pieces,
        completion,
        may_fail: text.may_fail,
    })
}

/// Why a time in milliseconds is refused.
pub(super) const BAD_TIME: &str = "must be from 0 to 86,400,000 milliseconds";

/// Milliseconds as nanoseconds; up to a day.
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
struct Pieces(Vec<Piece>);

impl Pieces {
    fn text(&mut self, bytes: &[u8]) {
        if let Some(Piece::Text(before)) = self.0.last_mut() {
            *before = [before, bytes].concat().into_boxed_slice();
        } else {
            self.0.push(Piece::Text(bytes.into()));
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
            PartJson::Random((first, last)) => Piece::Random(*first, *last),
            PartJson::User(_) => user(Piece::User)?,
            PartJson::Password(_) => user(Piece::Password)?,
            PartJson::Plain(_) => user(Piece::Plain)?,
            PartJson::Exists(_) => Piece::Exists,
            PartJson::RandomMessage(_) => Piece::RandomMessage,
            PartJson::RandomRange(0) => return Err("a range of no messages"),
            PartJson::RandomRange(count) => Piece::RandomRange(*count),
            PartJson::Counter(_) => Piece::Counter,
            PartJson::Connection(_) => Piece::Connection,
            PartJson::Message(LiteralJson::NonSync) => {
                message(Protocol::Imap, Piece::NonSyncLiteral)?
            }
            PartJson::Message(LiteralJson::Sync) => message(Protocol::Imap, Piece::SyncLiteral)?,
            PartJson::Data(_) => {
                let piece = message(Protocol::Lmtp, Piece::Data)?;
                self.text(b"\r\n"); // ends the line that says DATA
                piece
            }
        };
        self.0.push(piece);
        Ok(())
    }
}

fn lmtp_answers(pieces: &[Piece]) -> Completion {
    let Some(Piece::Text(text)) = pieces.first() else {
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
