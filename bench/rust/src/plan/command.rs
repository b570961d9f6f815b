//! Commands as they are sent: texts joined, the end of the line included, labels as numbers.

use super::PlanError;
use super::text::{AnswerText, CommandText, LiteralText, PartText, Protocol};
use crate::bounds::MS;

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
    LiteralAtOnce,
    /// A message as a literal that waits for `+`.
    LiteralAsking,
    /// A message, dot-stuffed, with the final dot.
    Data,
}

/// How a command is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
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
    pub answers: Answers,
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
pub(super) struct Has {
    pub protocol: Protocol,
    pub users: bool,
    pub messages: bool,
}

pub(super) fn command(
    text: &CommandText,
    path: &str,
    has: &Has,
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
        pieces.part(part, has).map_err(wrong)?;
    }
    let has_data = matches!(pieces.0.last(), Some(Piece::Data));
    if !has_data {
        pieces.text(b"\r\n");
    }
    let default = if has.protocol == Protocol::Imap {
        AnswerText::Tagged
    } else {
        AnswerText::Lmtp
    };
    let answer = text.answer.unwrap_or(default);
    let answers = match (has.protocol, answer) {
        (Protocol::Imap, AnswerText::Tagged) => Answers::Tagged,
        (Protocol::Imap, AnswerText::Idle) => Answers::Idle {
            hold: milliseconds(text.hold_ms).ok_or_else(|| wrong(".hold_ms", BAD_TIME))?,
        },
        (Protocol::Lmtp, AnswerText::Lmtp) => lmtp_answers(&pieces.0),
        (Protocol::Imap, AnswerText::Lmtp) => return Err(wrong(".answer", "\"lmtp\" in imap")),
        (Protocol::Lmtp, _) => return Err(wrong(".answer", "only \"lmtp\" in lmtp")),
    };
    if has_data != (answers == Answers::Data) {
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
        answers,
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
    fn text(&mut self, octets: &[u8]) {
        if let Some(Piece::Text(before)) = self.0.last_mut() {
            *before = [before, octets].concat().into_boxed_slice();
        } else {
            self.0.push(Piece::Text(octets.into()));
        }
    }

    fn part(&mut self, part: &PartText, has: &Has) -> Result<(), &'static str> {
        let user = |piece| {
            if has.users {
                Ok(piece)
            } else {
                Err("there are no users")
            }
        };
        let message = |protocol, piece| match (has.protocol == protocol, has.messages) {
            (false, _) => Err("belongs to the other protocol"),
            (_, false) => Err("there are no messages"),
            (true, true) => Ok(piece),
        };
        let piece = match part {
            PartText::Text(text) if text.bytes().any(|b| matches!(b, b'\r' | b'\n' | 0)) => {
                return Err("a text may not hold CR, LF or NUL");
            }
            PartText::Text(text) => {
                self.text(text.as_bytes());
                return Ok(());
            }
            PartText::Random((first, last)) if first > last => return Err("first > last"),
            PartText::Random((first, last)) => Piece::Random(*first, *last),
            PartText::User(_) => user(Piece::User)?,
            PartText::Password(_) => user(Piece::Password)?,
            PartText::Plain(_) => user(Piece::Plain)?,
            PartText::Exists(_) => Piece::Exists,
            PartText::RandomMessage(_) => Piece::RandomMessage,
            PartText::RandomRange(0) => return Err("a range of no messages"),
            PartText::RandomRange(count) => Piece::RandomRange(*count),
            PartText::Counter(_) => Piece::Counter,
            PartText::Connection(_) => Piece::Connection,
            PartText::Message(LiteralText::AtOnce) => {
                message(Protocol::Imap, Piece::LiteralAtOnce)?
            }
            PartText::Message(LiteralText::Asking) => {
                message(Protocol::Imap, Piece::LiteralAsking)?
            }
            PartText::Data(_) => {
                let piece = message(Protocol::Lmtp, Piece::Data)?;
                self.text(b"\r\n"); // ends the line that says DATA
                piece
            }
        };
        self.0.push(piece);
        Ok(())
    }
}

fn lmtp_answers(pieces: &[Piece]) -> Answers {
    let Some(Piece::Text(text)) = pieces.first() else {
        return Answers::Reply;
    };
    let verb = text.get(..4).unwrap_or_default().to_ascii_uppercase();
    match verb.as_slice() {
        b"MAIL" => Answers::Mail,
        b"RCPT" => Answers::Rcpt,
        b"DATA" => Answers::Data,
        _ => Answers::Reply,
    }
}
