//! What an LMTP server says, and what follows from it.

use super::imap::said;
use super::{Answers, Awaits, Break, Session, Stage, Turn};
use crate::answer::reply;
use crate::errors::ErrorKind;

impl Session {
    pub(super) fn lmtp_line(&mut self, line: &[u8], turn: &mut Turn<'_>) -> Result<(), Break> {
        let Some(reply) = reply(line) else {
            return Err(Break::new(ErrorKind::Garbage, said(line)));
        };
        if !reply.is_last {
            return Ok(());
        }
        if self.stage == Stage::Greeting {
            return match reply.code {
                220 => {
                    self.greeted(false, turn);
                    Ok(())
                }
                code => Err(Break::new(kind_of(code), said(line))),
            };
        }
        let Some(flight) = self.flights.front_mut() else {
            return match reply.code {
                421 => Err(Break::new(ErrorKind::Bye, said(line))), // RFC 5321 section 3.8
                _ => Err(Break::new(ErrorKind::Unexpected, said(line))),
            };
        };
        let mut is_good = reply.code < 300;
        match flight.awaits {
            Awaits::GoAhead { next } if reply.code == 354 => {
                return self.send_data(next, line, turn);
            }
            Awaits::GoAhead { .. } if reply.code < 400 => {
                return Err(Break::new(ErrorKind::Unexpected, said(line)));
            }
            Awaits::Replies { left, is_refused } => {
                if !is_good && !flight.may_fail {
                    let doing = turn.plan.labels.get(flight.label);
                    let example = || format!("{doing} → {}", said(line));
                    turn.desk.tally.error(kind_of(reply.code), 1, example);
                }
                let is_refused = is_refused || !is_good;
                flight.awaits = Awaits::Replies {
                    left: left.saturating_sub(1),
                    is_refused,
                };
                if left > 1 {
                    return Ok(());
                }
                is_good = !is_refused;
            }
            _ => {}
        }
        let is_data = matches!(flight.awaits, Awaits::Replies { .. });
        let Some(flight) = self.flights.pop_front() else {
            return Ok(());
        };
        if !is_good && !is_data && !flight.may_fail {
            let is_refused = self.stage == Stage::StartTls || self.opening_failed(turn);
            if is_refused {
                self.flights.push_front(flight);
                let kind = kind_of(reply.code);
                return Err(Break {
                    kind,
                    example: said(line),
                    is_final: true,
                });
            }
            let name = flight.name(turn.plan, self.stage);
            turn.desk.tally.error(kind_of(reply.code), 1, || {
                format!("{name} → {}", said(line))
            });
        }
        match flight.answers {
            Answers::Mail | Answers::Data => self.recipients = 0,
            Answers::Rcpt => self.recipients += u32::from(is_good),
            _ => {}
        }
        let is_good = is_good || flight.may_fail;
        self.landed(&flight, is_good, turn);
        match self.stage {
            Stage::StartTls => {
                // LHLO came first, with tag 1.
                self.starttls_answered(flight.tag > 1, turn);
            }
            Stage::Leaving => self.left(turn),
            Stage::Login(_) if !is_good => self.fail_opening(turn),
            _ => self.proceed(turn),
        }
        Ok(())
    }

    fn send_data(&mut self, next: u16, line: &[u8], turn: &mut Turn<'_>) -> Result<(), Break> {
        let plan = turn.plan;
        let recipients = self.recipients;
        if recipients == 0 {
            let example = format!("{}: without a recipient", said(line));
            return Err(Break::new(ErrorKind::Unexpected, example));
        }
        if let Some(flight) = self.flights.front_mut() {
            let pieces = plan.command(flight.command).map_or(&[][..], |c| &c.pieces);
            self.speaker.say(plan, pieces, next, turn.out);
            flight.awaits = Awaits::Replies {
                left: recipients,
                is_refused: false,
            };
        }
        Ok(())
    }
}

fn kind_of(code: u16) -> ErrorKind {
    match code {
        400..500 => ErrorKind::Temporary,
        500.. => ErrorKind::Permanent,
        _ => ErrorKind::Unexpected,
    }
}
