//! Trivial compiled server to measure the engine itself.

mod dialogue;

use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::Timespec;

use crate::limits::{EVENTS_AT_ONCE, READ_BYTES, SLICES_AT_ONCE, TICK_NS};
use crate::output::Output;
use dialogue::{Dialogue, Next};

const LISTENER: u64 = u64::MAX;

/// A server on its own thread.
#[derive(Debug)]
pub struct Responder {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<io::Result<()>>>>,
}

impl Responder {
    /// Listen on 127.0.0.1. FETCH returns a literal of `literal` bytes.
    ///
    /// # Errors
    /// No port, descriptor or thread.
    pub fn new(literal: usize) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        // The standard library uses a backlog of 128; here thousands connect at once.
        rustix::net::listen(&listener, 65_535)?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let stop = Arc::new(AtomicBool::new(false));
        let server = Server {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            listener,
            clients: Vec::new(),
            unused: Vec::new(),
            literal: vec![b'x'; literal].into(),
            buffer: vec![0; READ_BYTES],
        };
        let flag = Arc::clone(&stop);
        let thread = Builder::new()
            .name("bench-responder".to_owned())
            .spawn(move || server.run(&flag))?;
        Ok(Self {
            port,
            stop,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Return the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Close all connections, and wait for the thread to end.
    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            let _its_end_is_all_that_matters = thread.join();
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.stop();
    }
}

#[derive(Debug)]
struct Client {
    socket: TcpStream,
    dialogue: Dialogue,
    out: Output,
    is_closing: bool,
}

struct Server {
    epoll: OwnedFd,
    listener: TcpListener,
    clients: Vec<Option<Client>>,
    unused: Vec<usize>,
    literal: Arc<[u8]>,
    buffer: Vec<u8>,
}

impl Server {
    fn run(mut self, stop: &AtomicBool) -> io::Result<()> {
        epoll::add(
            &self.epoll,
            &self.listener,
            EventData::new_u64(LISTENER),
            EventFlags::IN,
        )?;
        let mut events = [MaybeUninit::<Event>::uninit(); EVENTS_AT_ONCE];
        let tick = Timespec {
            tv_sec: 0,
            tv_nsec: i64::try_from(TICK_NS).unwrap_or(0),
        };
        while !stop.load(Relaxed) {
            let (ready, _) = match epoll::wait(&self.epoll, &mut events[..], Some(&tick)) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };
            for event in ready {
                match event.data.u64() {
                    LISTENER => self.accept(),
                    place => self.serve(usize::try_from(place).unwrap_or(usize::MAX), event.flags),
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self) {
        while let Ok((socket, _)) = self.listener.accept() {
            let _only_slower = socket.set_nodelay(true);
            if socket.set_nonblocking(true).is_err() {
                continue;
            }
            let place = self.unused.pop().unwrap_or(self.clients.len());
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
            if epoll::add(
                &self.epoll,
                &socket,
                EventData::new_u64(place as u64),
                flags,
            )
            .is_err()
            {
                continue;
            }
            let mut out = Output::default();
            out.push(b"* OK responder\r\n");
            let client = Some(Client {
                socket,
                dialogue: Dialogue::default(),
                out,
                is_closing: false,
            });
            match self.clients.get_mut(place) {
                Some(free) => *free = client,
                None => self.clients.push(client),
            }
        }
    }

    fn serve(&mut self, place: usize, flags: EventFlags) {
        let Some(Some(client)) = self.clients.get_mut(place) else {
            return;
        };
        let has_ended = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        let stays = serve(client, &mut self.buffer, &self.literal, has_ended);
        if !stays && let Some(client) = self.clients.get_mut(place) {
            *client = None;
            self.unused.push(place);
        }
    }
}

/// Read and answer until the socket has no more input; false where the connection is closed.
fn serve(client: &mut Client, buffer: &mut [u8], literal: &Arc<[u8]>, has_ended: bool) -> bool {
    loop {
        match write(&client.socket, &mut client.out) {
            Ok(true) if client.is_closing => return false,
            Ok(true) => {}
            // Edge-triggered: epoll reports when there is room again; reading goes on then.
            Ok(false) => return !has_ended,
            Err(_) => return false,
        }
        match (&client.socket).read(buffer) {
            Ok(0) => return false,
            Ok(count) => {
                let input = buffer.get(..count).unwrap_or_default();
                client.is_closing =
                    client.dialogue.receive(input, literal, &mut client.out) == Next::Close;
                if count < buffer.len() && !has_ended && !client.is_closing {
                    return write(&client.socket, &mut client.out).is_ok();
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
            Err(_) => return false,
        }
    }
}

/// Write the output; true where all of it was written.
fn write(mut socket: &TcpStream, out: &mut Output) -> io::Result<bool> {
    while !out.is_empty() {
        let written = if out.is_one_piece() {
            socket.write(out.first())
        } else {
            let mut slices = [IoSlice::new(&[]); SLICES_AT_ONCE];
            let count = out.slices(&mut slices);
            socket.write_vectored(slices.get(..count).unwrap_or_default())
        };
        match written {
            Ok(count) => out.advance(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
