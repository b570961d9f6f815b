//! Connections and the events that come to them.

use rustix::event::epoll::{self, EventData, EventFlags};

use super::Worker;
use crate::bounds::{GONE_NS, READS_IN_A_ROW};
use crate::clock;
use crate::errors::ErrorKind;
use crate::output::Output;
use crate::plan::{Purpose, Tls};
use crate::session::{Break, Session, Stage, Turn, Wish};
use crate::transport::{Found, Transport, broken, dial};

/// A connection, whether it is up or not.
#[derive(Debug)]
pub(super) struct Link {
    pub session: Session,
    pub transport: Option<Transport>,
    pub out: Output,
    /// The socket takes no more until epoll says so.
    is_blocked: bool,
    /// It counts as being opened.
    is_opening: bool,
}

impl Link {
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
    /// Let the session of a connection do something; then do what it wishes, and write.
    pub(super) fn with(
        &mut self,
        place: usize,
        now: u64,
        act: impl FnOnce(&mut Session, &mut Turn<'_>),
    ) {
        if let Some(link) = self.links.get_mut(place) {
            let plan = &self.common.plan;
            let mut turn = Turn {
                plan,
                desk: &mut self.desk,
                out: &mut link.out,
                now,
            };
            act(&mut link.session, &mut turn);
            self.grant(place);
        }
    }

    /// Open the next connections for the first time.
    pub(super) fn open_more(&mut self, now: u64) {
        let share = self.common.plan.connects_at_once / self.common.plan.threads;
        while self.opening < share.max(1) as usize && self.next_opening < self.links.len() {
            if self.desk.is_draining || self.common.plan.reconnect {
                return;
            }
            let place = self.next_opening;
            self.next_opening += 1;
            self.opening += 1;
            if let Some(link) = self.links.get_mut(place) {
                link.is_opening = true;
            }
            self.with(place, now, Session::connect);
        }
    }

    /// With `reconnect` nothing is opened beforehand.
    pub(super) fn settle_unopened(&mut self) {
        if self.common.plan.reconnect && self.common.purpose == Purpose::Load {
            let now = clock::now();
            for place in 0..self.links.len() {
                self.with(place, now, Session::settle_unopened);
            }
        }
    }

    /// Something has happened to a connection.
    pub(super) fn event(&mut self, data: u64, flags: EventFlags) {
        let Ok(place) = usize::try_from(data) else {
            return;
        };
        let Some(link) = self.links.get_mut(place) else {
            return;
        };
        let Some(transport) = &mut link.transport else {
            return;
        };
        if flags.contains(EventFlags::OUT) {
            link.is_blocked = false;
        }
        if link.session.stage() == Stage::Connecting {
            match transport.connected() {
                Ok(()) if !flags.intersects(EventFlags::OUT) => return,
                Ok(()) => link.session.connected(clock::now()),
                Err(error) => return self.fail(place, &broken(&error)),
            }
        }
        let may_have_ended =
            flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        if flags.contains(EventFlags::IN) || may_have_ended {
            self.read(place, may_have_ended);
        } else {
            self.grant(place);
        }
    }

    fn read(&mut self, place: usize, may_have_ended: bool) {
        for _ in 0..READS_IN_A_ROW {
            match self.read_once(place) {
                Err(why) => return self.fail(place, &why),
                Ok(Found::End) => {
                    let why = Break::new(ErrorKind::Closed, "the server closed the connection");
                    return self.fail(place, &why);
                }
                Ok(Found::Nothing) => return self.grant(place),
                Ok(Found::Some) => {
                    self.grant(place);
                    // Edge-triggered: after a short read there is nothing more, but for the end,
                    // which epoll has said with the same event or will say with another.
                    if !may_have_ended {
                        return;
                    }
                }
                Ok(Found::Much) => self.grant(place),
            }
            if self
                .links
                .get(place)
                .is_none_or(|link| link.transport.is_none())
            {
                return;
            }
        }
        if let Ok(place) = u32::try_from(place) {
            self.again.push(place);
        }
    }

    fn read_once(&mut self, place: usize) -> Result<Found, Break> {
        let Some(Link {
            session,
            transport: Some(transport),
            out,
            ..
        }) = self.links.get_mut(place)
        else {
            return Ok(Found::Nothing);
        };
        let (plan, desk, heard) = (&self.common.plan, &mut self.desk, &mut self.heard);
        transport.read(&mut self.buffers, |octets| {
            let now = clock::now();
            *heard = now;
            desk.tally.at(now);
            desk.tally.octets_in(octets.len());
            if session.stage() == Stage::Connecting {
                session.connected(now);
            }
            session.receive(
                octets,
                &mut Turn {
                    plan,
                    desk,
                    out,
                    now,
                },
            )
        })
    }

    /// Do what a session wishes, and write what it has said, until neither is left.
    pub(super) fn grant(&mut self, place: usize) {
        loop {
            let Some(link) = self.links.get_mut(place) else {
                return;
            };
            let result = match link.session.take_wish() {
                Wish::Connect => self.dial(place),
                Wish::StartTls => self.encrypt(place),
                Wish::Close => {
                    self.close(place);
                    continue;
                }
                Wish::Nothing => match self.flush(place) {
                    Ok(false) => break,
                    Ok(true) => continue,
                    Err(why) => Err(why),
                },
            };
            if let Err(why) = result {
                self.fail(place, &why);
            }
        }
        self.note_settled(place);
    }

    /// If it was being opened and is so no more, the next one may be.
    fn note_settled(&mut self, place: usize) {
        if let Some(link) = self.links.get_mut(place)
            && link.is_opening
            && link.session.is_settled()
        {
            link.is_opening = false;
            self.opening = self.opening.saturating_sub(1);
        }
    }

    /// Write what there is. True where that has made the session say more.
    fn flush(&mut self, place: usize) -> Result<bool, Break> {
        let Some(link) = self.links.get_mut(place) else {
            return Ok(false);
        };
        let Some(transport) = &mut link.transport else {
            return Ok(false);
        };
        if link.session.stage() == Stage::Connecting {
            return Ok(false);
        }
        if link.session.is_unwritten() {
            link.session.stamp(clock::now());
        }
        if !link.is_blocked {
            let (written, is_blocked) = transport.write(&mut link.out)?;
            link.is_blocked = is_blocked;
            self.desk.tally.octets_out(written);
        }
        if link.session.stage() == Stage::Encrypting && !transport.is_handshaking() {
            let (plan, desk) = (&self.common.plan, &mut self.desk);
            let mut turn = Turn {
                plan,
                desk,
                out: &mut link.out,
                now: clock::now(),
            };
            link.session.encrypted(&mut turn);
            return Ok(true);
        }
        Ok(false)
    }

    fn dial(&mut self, place: usize) -> Result<(), Break> {
        let plan = &self.common.plan;
        let Some(link) = self.links.get_mut(place) else {
            return Ok(());
        };
        let number = link.session.number() as usize;
        let source = number
            .checked_rem(plan.sources.len())
            .and_then(|at| plan.sources.get(at));
        let socket = dial(plan.address, source.copied()).map_err(|error| broken(&error))?;
        let mut transport = Transport::new(socket);
        if plan.tls == Tls::Tls
            && let Some(encryption) = &self.common.encryption
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
        .map_err(|error| broken(&error.into()))?;
        link.transport = Some(transport);
        link.is_blocked = true; // until it is connected
        Ok(())
    }

    fn encrypt(&mut self, place: usize) -> Result<(), Break> {
        match (
            self.links.get_mut(place).map(|link| &mut link.transport),
            &self.common.encryption,
        ) {
            (Some(Some(transport)), Some(encryption)) => transport.encrypt(encryption),
            _ => Ok(()),
        }
    }

    fn close(&mut self, place: usize) {
        let Some(link) = self.links.get_mut(place) else {
            return;
        };
        if let Some(mut transport) = link.transport.take() {
            transport.say_goodbye();
        }
        link.out.clear();
        let (plan, desk) = (&self.common.plan, &mut self.desk);
        let mut turn = Turn {
            plan,
            desk,
            out: &mut link.out,
            now: clock::now(),
        };
        link.session.closed(&mut turn);
    }

    /// A connection is of no use any more. Its session sees to what is next.
    pub(super) fn fail(&mut self, place: usize, why: &Break) {
        let Some(link) = self.links.get_mut(place) else {
            return;
        };
        link.transport = None;
        let now = clock::now();
        let (plan, desk) = (&self.common.plan, &mut self.desk);
        let mut turn = Turn {
            plan,
            desk,
            out: &mut link.out,
            now,
        };
        link.session.broken(why, &mut turn);
        let board = &self.common.board;
        let is_load = self.common.purpose == Purpose::Load;
        let is_nobody_there = board.open.load(std::sync::atomic::Ordering::Relaxed) == 0;
        if is_load && is_nobody_there && board.silent_for(now) > GONE_NS.min(plan.answer) {
            board.end(now, format!("server stopped answering: {}", why.example));
        }
        self.note_settled(place);
    }
}
