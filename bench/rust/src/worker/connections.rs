//! Connections of a worker and their events.

use rustix::event::epoll::{self, EventData, EventFlags};

use super::Worker;
use crate::clock;
use crate::errors::ErrorKind;
use crate::limits::{GONE_NS, READS_IN_A_ROW};
use crate::output::Output;
use crate::plan::{Purpose, Tls};
use crate::session::{Action, ConnectionError, Context, Session, Stage};
use crate::transport::{ReadOutcome, Transport, dial, io_error};

/// Connection, open or not.
#[derive(Debug)]
pub(super) struct Connection {
    pub session: Session,
    pub transport: Option<Transport>,
    pub out: Output,
    /// The socket is full until epoll reports room.
    is_blocked: bool,
    /// Counts as being opened.
    is_opening: bool,
}

impl Connection {
    pub fn new(session: Session) -> Self {
        Self {
            session,
            transport: None,
            out: Output::default(),
            is_blocked: false,
            is_opening: false,
        }
    }
}

impl Worker {
    /// Call the session of a connection, then perform its actions and write.
    pub(super) fn with(
        &mut self,
        place: usize,
        now: u64,
        act: impl FnOnce(&mut Session, &mut Context<'_>),
    ) {
        if let Some(connection) = self.connections.get_mut(place) {
            let plan = &self.config.plan;
            let mut ctx = Context {
                plan,
                state: &mut self.state,
                out: &mut connection.out,
                now,
            };
            act(&mut connection.session, &mut ctx);
            self.advance(place);
        }
    }

    /// Open the next connections for the first time.
    pub(super) fn open_more(&mut self, now: u64) {
        let share = self.config.plan.connects_at_once / self.config.plan.threads;
        while self.opening < share.max(1) as usize && self.next_opening < self.connections.len() {
            if self.state.is_draining || self.config.plan.reconnect {
                return;
            }
            let place = self.next_opening;
            self.next_opening += 1;
            self.opening += 1;
            if let Some(connection) = self.connections.get_mut(place) {
                connection.is_opening = true;
            }
            self.with(place, now, Session::connect);
        }
    }

    /// Count all connections as opened with `reconnect`: entries open them.
    pub(super) fn skip_opening(&mut self) {
        if self.config.plan.reconnect && self.config.purpose == Purpose::Load {
            let now = clock::now();
            for place in 0..self.connections.len() {
                self.with(place, now, Session::skip_opening);
            }
        }
    }

    /// Handle an epoll event.
    pub(super) fn event(&mut self, data: u64, flags: EventFlags) {
        let Ok(place) = usize::try_from(data) else {
            return;
        };
        let Some(connection) = self.connections.get_mut(place) else {
            return;
        };
        let Some(transport) = &mut connection.transport else {
            return;
        };
        if flags.contains(EventFlags::OUT) {
            connection.is_blocked = false;
        }
        if connection.session.stage() == Stage::Connecting {
            match transport.connected() {
                Ok(()) if !flags.intersects(EventFlags::OUT) => return,
                Ok(()) => connection.session.connected(clock::now()),
                Err(error) => return self.fail(place, &io_error(&error)),
            }
        }
        let may_have_ended =
            flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        if flags.contains(EventFlags::IN) || may_have_ended {
            self.read(place, may_have_ended);
        } else {
            self.advance(place);
        }
    }

    fn read(&mut self, place: usize, may_have_ended: bool) {
        for _ in 0..READS_IN_A_ROW {
            match self.read_once(place) {
                Err(why) => return self.fail(place, &why),
                Ok(ReadOutcome::Eof) => {
                    let why =
                        ConnectionError::new(ErrorKind::Closed, "the server closed the connection");
                    return self.fail(place, &why);
                }
                Ok(ReadOutcome::WouldBlock) => return self.advance(place),
                Ok(ReadOutcome::Partial) => {
                    self.advance(place);
                    // Edge-triggered: after a short read there is no more input. The end of the stream
                    // is reported with this event or with another one.
                    if !may_have_ended {
                        return;
                    }
                }
                Ok(ReadOutcome::Full) => self.advance(place),
            }
            if self
                .connections
                .get(place)
                .is_none_or(|connection| connection.transport.is_none())
            {
                return;
            }
        }
        if let Ok(place) = u32::try_from(place) {
            self.unread.push(place);
        }
    }

    fn read_once(&mut self, place: usize) -> Result<ReadOutcome, ConnectionError> {
        let Some(Connection {
            session,
            transport: Some(transport),
            out,
            ..
        }) = self.connections.get_mut(place)
        else {
            return Ok(ReadOutcome::WouldBlock);
        };
        let (plan, state, received_at) =
            (&self.config.plan, &mut self.state, &mut self.received_at);
        transport.read(&mut self.buffers, |bytes| {
            let now = clock::now();
            *received_at = now;
            state.stats.at(now);
            state.stats.bytes_in(bytes.len());
            if session.stage() == Stage::Connecting {
                session.connected(now);
            }
            session.receive(
                bytes,
                &mut Context {
                    plan,
                    state,
                    out,
                    now,
                },
            )
        })
    }

    /// Perform the actions of a session and write its output, until neither is left.
    pub(super) fn advance(&mut self, place: usize) {
        loop {
            let Some(connection) = self.connections.get_mut(place) else {
                return;
            };
            let result = match connection.session.take_action() {
                Action::Connect => self.dial(place),
                Action::StartTls => self.encrypt(place),
                Action::Close => {
                    self.close(place);
                    continue;
                }
                Action::Nothing => match self.flush(place) {
                    Ok(false) => break,
                    Ok(true) => continue,
                    Err(why) => Err(why),
                },
            };
            if let Err(why) = result {
                self.fail(place, &why);
            }
        }
        self.note_opening_finished(place);
    }

    /// Note that a connection is no longer being opened, so the next one may be.
    fn note_opening_finished(&mut self, place: usize) {
        if let Some(connection) = self.connections.get_mut(place)
            && connection.is_opening
            && connection.session.is_opening_finished()
        {
            connection.is_opening = false;
            self.opening = self.opening.saturating_sub(1);
        }
    }

    /// Write the output; true where the session has produced more.
    fn flush(&mut self, place: usize) -> Result<bool, ConnectionError> {
        let Some(connection) = self.connections.get_mut(place) else {
            return Ok(false);
        };
        let Some(transport) = &mut connection.transport else {
            return Ok(false);
        };
        if connection.session.stage() == Stage::Connecting {
            return Ok(false);
        }
        if connection.session.is_unwritten() {
            connection.session.stamp(clock::now());
        }
        if !connection.is_blocked {
            let (written, is_blocked) = transport.write(&mut connection.out)?;
            connection.is_blocked = is_blocked;
            self.state.stats.bytes_out(written);
        }
        if connection.session.stage() == Stage::Encrypting && !transport.is_handshaking() {
            let (plan, state) = (&self.config.plan, &mut self.state);
            let mut ctx = Context {
                plan,
                state,
                out: &mut connection.out,
                now: clock::now(),
            };
            connection.session.encrypted(&mut ctx);
            return Ok(true);
        }
        Ok(false)
    }

    fn dial(&mut self, place: usize) -> Result<(), ConnectionError> {
        let plan = &self.config.plan;
        let Some(connection) = self.connections.get_mut(place) else {
            return Ok(());
        };
        let number = connection.session.number() as usize;
        let source = number
            .checked_rem(plan.sources.len())
            .and_then(|at| plan.sources.get(at));
        let socket = dial(plan.address, source.copied()).map_err(|error| io_error(&error))?;
        let mut transport = Transport::new(socket);
        if plan.tls == Tls::Tls
            && let Some(encryption) = &self.config.encryption
        {
            transport.encrypt(encryption)?;
        }
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(
            &self.epoll,
            &transport,
            EventData::new_u64(place as u64),
            flags,
        )
        .map_err(|error| io_error(&error.into()))?;
        connection.transport = Some(transport);
        connection.is_blocked = true; // until it is connected
        Ok(())
    }

    fn encrypt(&mut self, place: usize) -> Result<(), ConnectionError> {
        match (
            self.connections
                .get_mut(place)
                .map(|connection| &mut connection.transport),
            &self.config.encryption,
        ) {
            (Some(Some(transport)), Some(encryption)) => transport.encrypt(encryption),
            _ => Ok(()),
        }
    }

    fn close(&mut self, place: usize) {
        let Some(connection) = self.connections.get_mut(place) else {
            return;
        };
        if let Some(mut transport) = connection.transport.take() {
            transport.send_close_notify();
        }
        connection.out.clear();
        let (plan, state) = (&self.config.plan, &mut self.state);
        let mut ctx = Context {
            plan,
            state,
            out: &mut connection.out,
            now: clock::now(),
        };
        connection.session.closed(&mut ctx);
    }

    /// Close a broken connection. Its session schedules the next attempt.
    pub(super) fn fail(&mut self, place: usize, why: &ConnectionError) {
        let Some(connection) = self.connections.get_mut(place) else {
            return;
        };
        connection.transport = None;
        let now = clock::now();
        let (plan, state) = (&self.config.plan, &mut self.state);
        let mut ctx = Context {
            plan,
            state,
            out: &mut connection.out,
            now,
        };
        connection.session.connection_lost(why, &mut ctx);
        let shared = &self.config.shared;
        let is_load = self.config.purpose == Purpose::Load;
        let no_connection_open = shared.open.load(std::sync::atomic::Ordering::Relaxed) == 0;
        if is_load && no_connection_open && shared.silent_for(now) > GONE_NS.min(plan.answer) {
            shared.end(now, format!("server stopped answering: {}", why.example));
        }
        self.note_opening_finished(place);
    }
}
