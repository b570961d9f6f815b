//! Writes the commands of a plan with the variables of one connection.

use std::sync::Arc;

use crate::output::Output;
use crate::plan::{CommandPiece, MessageOrder, Plan};
use crate::random::Random;

/// Separates the random choice of messages from the other random choices of a connection.
const MESSAGES: u64 = 0x006d_6573_7361_6765;

/// Variables of one connection.
#[derive(Debug)]
pub struct CommandWriter {
    /// Number of the connection.
    pub number: u32,
    /// Random numbers.
    pub random: Random,
    /// Number of the last EXISTS.
    pub exists: u32,
    counter: u64,
    messages_taken: usize,
}

impl CommandWriter {
    /// Make the variables of a new connection.
    #[must_use]
    pub fn new(plan: &Plan, number: u32) -> Self {
        let random = Random::new(plan.seed, u64::from(number));
        Self {
            number,
            random,
            exists: 0,
            counter: 0,
            messages_taken: 0,
        }
    }

    /// Append a command from piece number `from` on.
    ///
    /// Returns the number of the next piece where it waits for a continuation of the server.
    pub fn write(
        &mut self,
        plan: &Plan,
        pieces: &[CommandPiece],
        from: u16,
        out: &mut Output,
    ) -> Option<u16> {
        for (place, piece) in pieces.iter().enumerate().skip(usize::from(from)) {
            let is_resumed = place == usize::from(from) && from > 0;
            match piece {
                CommandPiece::SyncLiteral if !is_resumed => {
                    let message = self.peek_message(plan, &plan.messages);
                    literal_header(&message, b"}\r\n", out);
                    return u16::try_from(place).ok();
                }
                CommandPiece::Data if !is_resumed => return u16::try_from(place).ok(),
                CommandPiece::SyncLiteral => {
                    let message = self.peek_message(plan, &plan.messages);
                    out.push_message(&message);
                    self.messages_taken = self.messages_taken.wrapping_add(1);
                }
                CommandPiece::NonSyncLiteral => {
                    let message = self.peek_message(plan, &plan.messages);
                    literal_header(&message, b"+}\r\n", out);
                    out.push_message(&message);
                    self.messages_taken = self.messages_taken.wrapping_add(1);
                }
                CommandPiece::Data => {
                    let message = self.peek_message(plan, &plan.data);
                    out.push_message(&message);
                    self.messages_taken = self.messages_taken.wrapping_add(1);
                }
                _ => self.write_piece(plan, piece, out),
            }
        }
        None
    }

    fn write_piece(&mut self, plan: &Plan, piece: &CommandPiece, out: &mut Output) {
        let user = plan.user(self.number);
        match piece {
            CommandPiece::Text(text) => out.push(text),
            CommandPiece::User => out.push(user.map_or(b"", |user| user.name.as_bytes())),
            CommandPiece::Password => out.push(user.map_or(b"", |user| user.password.as_bytes())),
            CommandPiece::Plain => out.push(user.map_or(b"", |user| user.plain.as_bytes())),
            CommandPiece::Random(first, last) => {
                out.push_number(self.random.between(*first, *last));
            }
            CommandPiece::Exists => out.push_number(u64::from(self.exists)),
            CommandPiece::RandomMessage => {
                out.push_number(self.random.between(1, u64::from(self.exists.max(1))));
            }
            CommandPiece::RandomRange(count) => {
                let exists = u64::from(self.exists.max(1));
                let (first, last) = self.random.range(u64::from(*count), exists);
                out.push_number(first);
                out.push(b":");
                out.push_number(last);
            }
            CommandPiece::Counter => {
                self.counter = self.counter.wrapping_add(1);
                out.push_number(self.counter);
            }
            CommandPiece::Connection => out.push_number(u64::from(self.number)),
            CommandPiece::SyncLiteral | CommandPiece::NonSyncLiteral | CommandPiece::Data => {}
        }
    }

    /// Return the next message: the same one until `messages_taken` changes.
    fn peek_message(&self, plan: &Plan, messages: &[Arc<[u8]>]) -> Arc<[u8]> {
        let taken = self.messages_taken;
        let place = match plan.message_order {
            MessageOrder::Turn => taken.checked_rem(messages.len()).unwrap_or(0),
            MessageOrder::Random => {
                // Its own stream, so that two calls return the same message.
                let last = (messages.len() as u64).saturating_sub(1);
                let stream = (u64::from(self.number) << 32) ^ (taken as u64);
                let drawn = Random::new(plan.seed ^ MESSAGES, stream).between(0, last);
                usize::try_from(drawn).unwrap_or(0)
            }
        };
        messages
            .get(place)
            .map_or_else(|| Arc::from([]), Arc::clone)
    }
}

fn literal_header(message: &[u8], end: &[u8], out: &mut Output) {
    out.push(b"{");
    out.push_number(message.len() as u64);
    out.push(end);
}
