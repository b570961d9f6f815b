//! Responses of an IMAP server, and the reactions of a session.

use super::{Action, Awaits, Completion, ConnectionError, Context, NO_COMMAND, Session, Stage};
use crate::errors::ErrorKind;
use crate::plan::Purpose;
use crate::response::{Response, Status, classify};

impl Session {
    pub(super) fn imap_line(
        &mut self,
        line: &[u8],
        ctx: &mut Context<'_>,
    ) -> Result<(), ConnectionError> {
        let answer = classify(line);
        if self.stage == Stage::Greeting {
            return self.greeting(&answer, line, ctx);
        }
        match answer {
            Response::Tagged(tag, status, text) => self.tagged(tag, status, text, ctx),
            Response::Continue => self.continuation(ctx),
            Response::Exists(count) => {
                self.writer.exists = count;
                if ctx.state.purpose == Purpose::Idle && self.is_open {
                    ctx.state.arrivals.push((self.number(), ctx.now, count));
                }
                Ok(())
            }
            Response::Data | Response::Untagged(Status::Ok | Status::No | Status::PreAuth, _) => {
                Ok(())
            }
            Response::Untagged(Status::Bad, text) => {
                let current_command = self.current_command(ctx.plan);
                ctx.state.stats.error(ErrorKind::Bad, 1, || {
                    format!("{current_command} → * {}", excerpt(text))
                });
                Ok(())
            }
            Response::Untagged(Status::Bye, text) => match self.stage {
                Stage::LoggingOut => Ok(()),
                _ => Err(ConnectionError::new(
                    ErrorKind::Bye,
                    format!("* {}", excerpt(text)),
                )),
            },
            Response::Garbage(line) => Err(ConnectionError::new(ErrorKind::Garbage, excerpt(line))),
        }
    }

    fn greeting(
        &mut self,
        answer: &Response<'_>,
        line: &[u8],
        ctx: &mut Context<'_>,
    ) -> Result<(), ConnectionError> {
        match answer {
            Response::Untagged(Status::Ok, _) => self.greeted(false, ctx),
            Response::Untagged(Status::PreAuth, _) => self.greeted(true, ctx),
            Response::Untagged(Status::Bye, _) => {
                return Err(ConnectionError::new(ErrorKind::Bye, excerpt(line)));
            }
            Response::Garbage(_) => {
                return Err(ConnectionError::new(ErrorKind::Garbage, excerpt(line)));
            }
            _ => return Err(ConnectionError::new(ErrorKind::Unexpected, excerpt(line))),
        }
        Ok(())
    }

    fn tagged(
        &mut self,
        tag: u32,
        status: Status,
        text: &[u8],
        ctx: &mut Context<'_>,
    ) -> Result<(), ConnectionError> {
        let Some(place) = self.sent_commands.iter().position(|sent| sent.tag == tag) else {
            return Err(ConnectionError::new(
                ErrorKind::Unexpected,
                format!("T{tag} {}: no such command", excerpt(text)),
            ));
        };
        let Some(sent) = self
            .sent_commands
            .remove(place)
            .filter(|sent| sent.sent_at > 0)
        else {
            return Err(ConnectionError::new(
                ErrorKind::Unexpected,
                "answered before it was sent",
            ));
        };
        let is_ok = status == Status::Ok;
        if is_ok && matches!(sent.awaits, Awaits::Continuation { .. } | Awaits::IdleBegin) {
            self.sent_commands.push_front(sent); // counted by `connection_lost`
            return Err(ConnectionError::new(
                ErrorKind::Unexpected,
                format!("{} before +", excerpt(text)),
            ));
        }
        if sent.awaits == Awaits::Hold {
            self.wake_at = 0; // the server ended IDLE
        }
        let is_good = is_ok || (status == Status::No && sent.may_fail);
        if !is_good {
            let kind = if status == Status::No {
                ErrorKind::No
            } else {
                ErrorKind::Bad
            };
            let name = sent.name(ctx.plan, self.stage);
            let example = format!("{name} → {}", excerpt(text));
            let is_refused = self.stage == Stage::StartTls || self.opening_failed(ctx);
            if is_refused || (sent.command == NO_COMMAND && ctx.state.purpose == Purpose::Idle) {
                // `connection_lost` counts one error for the connection.
                self.sent_commands.push_front(sent);
                return Err(ConnectionError {
                    kind,
                    example: excerpt(text),
                    is_final: true,
                });
            }
            ctx.state.stats.error(kind, 1, || example);
        }
        self.command_finished(&sent, is_good, ctx);
        match self.stage {
            Stage::StartTls => self.starttls_answered(true, ctx),
            Stage::LoggingOut => self.logged_out(ctx),
            Stage::Login(_) if !is_good => self.fail_opening(ctx),
            _ => self.proceed(ctx),
        }
        Ok(())
    }

    fn continuation(&mut self, ctx: &mut Context<'_>) -> Result<(), ConnectionError> {
        let plan = ctx.plan;
        let Some(sent) = self.sent_commands.back_mut() else {
            return Err(ConnectionError::new(
                ErrorKind::Unexpected,
                "+ without a command",
            ));
        };
        match (sent.awaits, sent.completion) {
            (Awaits::Continuation { next }, _) => {
                let pieces = plan.command(sent.command).map_or(&[][..], |c| &c.pieces);
                sent.awaits = match self.writer.write(plan, pieces, next, ctx.out) {
                    Some(next) => Awaits::Continuation { next },
                    None => Awaits::Response,
                };
                if sent.awaits == Awaits::Response {
                    self.proceed(ctx);
                }
                Ok(())
            }
            (Awaits::IdleBegin, Completion::Idle { hold }) => {
                sent.awaits = Awaits::Hold;
                sent.sent_at = ctx.now;
                if ctx.state.purpose == Purpose::Idle {
                    self.mark_open(ctx);
                }
                if ctx.state.is_draining {
                    self.drain(ctx);
                } else {
                    self.set_wake(ctx.now + hold, ctx);
                }
                Ok(())
            }
            _ => Err(ConnectionError::new(ErrorKind::Unexpected, "unexpected +")),
        }
    }

    /// Handle the answer to LOGOUT or QUIT.
    pub(super) fn logged_out(&mut self, ctx: &mut Context<'_>) {
        if let Some(progress) = self.entries.front_mut() {
            progress.next = progress.end;
        }
        self.end_entries(ctx);
        self.attempts = 0;
        self.action = Action::Close;
    }

    /// Handle a refused log-in with `reconnect`: the entry has failed, and LOGOUT follows.
    pub(super) fn fail_opening(&mut self, ctx: &mut Context<'_>) {
        if let Some(progress) = self.entries.front_mut() {
            progress.has_failed = true;
        }
        self.stage = Stage::Running;
        self.proceed(ctx);
    }
}

/// Return the start of a response, for an example.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..bytes.len().min(400)).unwrap_or_default()).into_owned()
}
