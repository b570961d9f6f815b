//! Replies of an LMTP server, and the reactions of a session.

use super::imap::excerpt;
use super::{Awaits, Completion, ConnectionError, Context, Session, Stage};
use crate::errors::ErrorKind;
use crate::response::reply;

impl Session {
    pub(super) fn lmtp_line(
        &mut self,
        line: &[u8],
        ctx: &mut Context<'_>,
    ) -> Result<(), ConnectionError> {
        let Some(reply) = reply(line) else {
            return Err(ConnectionError::new(ErrorKind::Garbage, excerpt(line)));
        };
        if !reply.is_last {
            return Ok(());
        }
        if self.stage == Stage::Greeting {
            return match reply.code {
                220 => {
                    self.greeted(false, ctx);
                    Ok(())
                }
                code => Err(ConnectionError::new(kind_of(code), excerpt(line))),
            };
        }
        let Some(sent) = self.sent_commands.front_mut() else {
            return match reply.code {
                421 => Err(ConnectionError::new(ErrorKind::Bye, excerpt(line))), // RFC 5321 section 3.8
                _ => Err(ConnectionError::new(ErrorKind::Unexpected, excerpt(line))),
            };
        };
        let mut is_good = reply.code < 300;
        match sent.awaits {
            Awaits::Continuation { next } if reply.code == 354 => {
                return self.send_data(next, line, ctx);
            }
            Awaits::Continuation { .. } if reply.code < 400 => {
                return Err(ConnectionError::new(ErrorKind::Unexpected, excerpt(line)));
            }
            Awaits::Replies { left, is_refused } => {
                if !is_good && !sent.may_fail {
                    let current_command = ctx.plan.labels.get(sent.label);
                    let example = || format!("{current_command} → {}", excerpt(line));
                    ctx.state.stats.error(kind_of(reply.code), 1, example);
                }
                let is_refused = is_refused || !is_good;
                sent.awaits = Awaits::Replies {
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
        let is_data = matches!(sent.awaits, Awaits::Replies { .. });
        let Some(sent) = self.sent_commands.pop_front() else {
            return Ok(());
        };
        if !is_good && !is_data && !sent.may_fail {
            let is_refused = self.stage == Stage::StartTls || self.opening_failed(ctx);
            if is_refused {
                self.sent_commands.push_front(sent);
                let kind = kind_of(reply.code);
                return Err(ConnectionError {
                    kind,
                    example: excerpt(line),
                    is_final: true,
                });
            }
            let name = sent.name(ctx.plan, self.stage);
            ctx.state.stats.error(kind_of(reply.code), 1, || {
                format!("{name} → {}", excerpt(line))
            });
        }
        match sent.completion {
            Completion::Mail | Completion::Data => self.recipients = 0,
            Completion::Rcpt => self.recipients += u32::from(is_good),
            _ => {}
        }
        let is_good = is_good || sent.may_fail;
        self.command_finished(&sent, is_good, ctx);
        match self.stage {
            Stage::StartTls => {
                // LHLO came first, with tag 1.
                self.starttls_answered(sent.tag > 1, ctx);
            }
            Stage::LoggingOut => self.logged_out(ctx),
            Stage::Login(_) if !is_good => self.fail_opening(ctx),
            _ => self.proceed(ctx),
        }
        Ok(())
    }

    fn send_data(
        &mut self,
        next: u16,
        line: &[u8],
        ctx: &mut Context<'_>,
    ) -> Result<(), ConnectionError> {
        let plan = ctx.plan;
        let recipients = self.recipients;
        if recipients == 0 {
            let example = format!("{}: without a recipient", excerpt(line));
            return Err(ConnectionError::new(ErrorKind::Unexpected, example));
        }
        if let Some(sent) = self.sent_commands.front_mut() {
            let pieces = plan.command(sent.command).map_or(&[][..], |c| &c.pieces);
            self.writer.write(plan, pieces, next, ctx.out);
            sent.awaits = Awaits::Replies {
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
