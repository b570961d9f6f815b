//! What an IMAP server says, and what follows from it.

use super::{Answers, Awaits, Break, NO_COMMAND, Session, Stage, Turn, Wish};
use crate::answer::{Answer, Status, classify};
use crate::errors::ErrorKind;
use crate::plan::Purpose;

impl Session {
    pub(super) fn imap_line(&mut self, line: &[u8], turn: &mut Turn<'_>) -> Result<(), Break> {
        let answer = classify(line);
        if self.stage == Stage::Greeting {
            return self.greeting(&answer, line, turn);
        }
        match answer {
            Answer::Tagged(tag, status, text) => self.tagged(tag, status, text, turn),
            Answer::Continue => self.go_ahead(turn),
            Answer::Exists(count) => {
                self.speaker.exists = count;
                if turn.desk.purpose == Purpose::Idle && self.is_open {
                    turn.desk.arrivals.push((self.number(), turn.now, count));
                }
                Ok(())
            }
            Answer::Data | Answer::Untagged(Status::Ok | Status::No | Status::PreAuth, _) => Ok(()),
            Answer::Untagged(Status::Bad, text) => {
                let doing = self.doing(turn.plan);
                turn.desk
                    .tally
                    .error(ErrorKind::Bad, 1, || format!("{doing} → * {}", said(text)));
                Ok(())
            }
            Answer::Untagged(Status::Bye, text) => match self.stage {
                Stage::Leaving => Ok(()),
                _ => Err(Break::new(ErrorKind::Bye, format!("* {}", said(text)))),
            },
            Answer::Garbage(line) => Err(Break::new(ErrorKind::Garbage, said(line))),
        }
    }

    fn greeting(
        &mut self,
        answer: &Answer<'_>,
        line: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<(), Break> {
        match answer {
            Answer::Untagged(Status::Ok, _) => self.greeted(false, turn),
            Answer::Untagged(Status::PreAuth, _) => self.greeted(true, turn),
            Answer::Untagged(Status::Bye, _) => return Err(Break::new(ErrorKind::Bye, said(line))),
            Answer::Garbage(_) => return Err(Break::new(ErrorKind::Garbage, said(line))),
            _ => return Err(Break::new(ErrorKind::Unexpected, said(line))),
        }
        Ok(())
    }

    fn tagged(
        &mut self,
        tag: u32,
        status: Status,
        text: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<(), Break> {
        let Some(place) = self.flights.iter().position(|flight| flight.tag == tag) else {
            return Err(Break::new(
                ErrorKind::Unexpected,
                format!("T{tag} {}: no such command", said(text)),
            ));
        };
        let Some(flight) = self.flights.remove(place).filter(|flight| flight.told > 0) else {
            return Err(Break::new(
                ErrorKind::Unexpected,
                "answered before it was sent",
            ));
        };
        let is_ok = status == Status::Ok;
        if is_ok && matches!(flight.awaits, Awaits::GoAhead { .. } | Awaits::IdleBegin) {
            self.flights.push_front(flight); // it is lost with the connection, and counted there
            return Err(Break::new(
                ErrorKind::Unexpected,
                format!("{} before +", said(text)),
            ));
        }
        if flight.awaits == Awaits::Hold {
            self.wake_at = 0; // the server has ended IDLE by itself
        }
        let is_good = is_ok || (status == Status::No && flight.may_fail);
        if !is_good {
            let kind = if status == Status::No {
                ErrorKind::No
            } else {
                ErrorKind::Bad
            };
            let name = flight.name(turn.plan, self.stage);
            let example = format!("{name} → {}", said(text));
            let is_refused = self.stage == Stage::StartTls || self.opening_failed(turn);
            if is_refused || (flight.command == NO_COMMAND && turn.desk.purpose == Purpose::Idle) {
                // The connection is counted as one error, by `broken`.
                self.flights.push_front(flight);
                return Err(Break {
                    kind,
                    example: said(text),
                    is_final: true,
                });
            }
            turn.desk.tally.error(kind, 1, || example);
        }
        self.landed(&flight, is_good, turn);
        match self.stage {
            Stage::StartTls => self.starttls_answered(true, turn),
            Stage::Leaving => self.left(turn),
            Stage::Login(_) if !is_good => self.fail_opening(turn),
            _ => self.proceed(turn),
        }
        Ok(())
    }

    fn go_ahead(&mut self, turn: &mut Turn<'_>) -> Result<(), Break> {
        let plan = turn.plan;
        let Some(flight) = self.flights.back_mut() else {
            return Err(Break::new(ErrorKind::Unexpected, "+ without a command"));
        };
        match (flight.awaits, flight.answers) {
            (Awaits::GoAhead { next }, _) => {
                let pieces = plan.command(flight.command).map_or(&[][..], |c| &c.pieces);
                flight.awaits = match self.speaker.say(plan, pieces, next, turn.out) {
                    Some(next) => Awaits::GoAhead { next },
                    None => Awaits::Answer,
                };
                if flight.awaits == Awaits::Answer {
                    self.proceed(turn);
                }
                Ok(())
            }
            (Awaits::IdleBegin, Answers::Idle { hold }) => {
                flight.awaits = Awaits::Hold;
                flight.told = turn.now;
                if turn.desk.purpose == Purpose::Idle {
                    self.mark_open(turn);
                }
                if turn.desk.is_draining {
                    self.drain(turn);
                } else {
                    self.set_wake(turn.now + hold, turn);
                }
                Ok(())
            }
            _ => Err(Break::new(
                ErrorKind::Unexpected,
                "+ that nothing asked for",
            )),
        }
    }

    /// LOGOUT or QUIT was answered.
    pub(super) fn left(&mut self, turn: &mut Turn<'_>) {
        if let Some(progress) = self.entries.front_mut() {
            progress.next = progress.end;
        }
        self.end_entries(turn);
        self.attempts = 0;
        self.wish = Wish::Close;
    }

    /// With `reconnect`, a log-in was refused: the entry has failed, and ends with LOGOUT.
    pub(super) fn fail_opening(&mut self, turn: &mut Turn<'_>) {
        if let Some(progress) = self.entries.front_mut() {
            progress.has_failed = true;
        }
        self.stage = Stage::Running;
        self.proceed(turn);
    }
}

/// What the server said, for an example.
pub(super) fn said(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets.get(..octets.len().min(400)).unwrap_or_default()).into_owned()
}
