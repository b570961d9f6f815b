//! Transport of one connection: a socket, with or without TLS.

mod dial;
mod encryption;

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

use rustls::ClientConnection;

pub use dial::dial;
pub use encryption::Encryption;

use crate::errors::ErrorKind;
use crate::limits::{READ_BYTES, SLICES_AT_ONCE};
use crate::output::Output;
use crate::session::ConnectionError;

/// Read buffers of a thread, shared by its connections: an idle connection has none.
#[derive(Debug)]
pub struct Buffers {
    socket: Box<[u8]>,
    plain: Box<[u8]>,
}

impl Default for Buffers {
    fn default() -> Self {
        let zeros = || vec![0; READ_BYTES].into_boxed_slice();
        Self {
            socket: zeros(),
            plain: zeros(),
        }
    }
}

/// Outcome of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// No input now.
    WouldBlock,
    /// End of the stream.
    Eof,
    /// Less than the buffer holds: no more input now, but perhaps the end of the stream.
    Partial,
    /// As much as the buffer holds.
    Full,
}

/// A connection.
#[derive(Debug)]
pub struct Transport {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

impl Transport {
    /// Wrap a socket that is connected or connecting.
    #[must_use]
    pub fn new(socket: TcpStream) -> Self {
        Self { socket, tls: None }
    }

    /// Return the result of connect.
    ///
    /// # Errors
    /// Connect failed.
    pub fn connected(&self) -> io::Result<()> {
        self.socket.take_error()?.map_or(Ok(()), Err)
    }

    /// Start TLS.
    ///
    /// # Errors
    /// Never in practice: rustls could not make a connection.
    pub fn encrypt(&mut self, encryption: &Encryption) -> Result<(), ConnectionError> {
        self.tls = Some(Box::new(
            encryption.connection().map_err(|error| tls(&error))?,
        ));
        Ok(())
    }

    /// Return whether the TLS handshake runs.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// Read once, and pass the input to `sink`: in one piece or, with TLS, in several.
    ///
    /// # Errors
    /// The connection is broken, or `sink` returned an error.
    pub fn read(
        &mut self,
        buffers: &mut Buffers,
        mut sink: impl FnMut(&[u8]) -> Result<(), ConnectionError>,
    ) -> Result<ReadOutcome, ConnectionError> {
        let into = if self.tls.is_some() {
            &mut buffers.socket
        } else {
            &mut buffers.plain
        };
        let room = into.len();
        let count = match (&self.socket).read(into) {
            Ok(0) => return Ok(ReadOutcome::Eof),
            Ok(count) => count,
            Err(error) if is_later(&error) => return Ok(ReadOutcome::WouldBlock),
            Err(error) => return Err(io_error(&error)),
        };
        if let Some(tls) = &mut self.tls {
            let mut bytes = buffers.socket.get(..count).unwrap_or_default();
            while !bytes.is_empty() {
                decrypt(tls, &mut bytes, &mut buffers.plain, &mut sink)?;
            }
        } else {
            sink(buffers.plain.get(..count).unwrap_or_default())?;
        }
        Ok(if count < room {
            ReadOutcome::Partial
        } else {
            ReadOutcome::Full
        })
    }

    /// Write as much of `out` as the socket takes. Return the number of bytes, and whether the rest
    /// has to wait.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn write(&mut self, out: &mut Output) -> Result<(usize, bool), ConnectionError> {
        let written = match &mut self.tls {
            None => write_plain(&self.socket, out),
            Some(tls) => write_encrypted(&self.socket, tls, out),
        };
        written.map_err(|error| io_error(&error))
    }

    /// Send `close_notify` with TLS. The socket is closed when the transport is dropped.
    pub fn send_close_notify(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            // A full socket does not matter: close follows.
            let _unsent = tls.write_tls(&mut &self.socket);
        }
    }
}

impl AsFd for Transport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn decrypt(
    connection: &mut ClientConnection,
    bytes: &mut &[u8],
    plain: &mut [u8],
    sink: &mut impl FnMut(&[u8]) -> Result<(), ConnectionError>,
) -> Result<(), ConnectionError> {
    connection
        .read_tls(bytes)
        .map_err(|error| io_error(&error))?;
    let state = connection
        .process_new_packets()
        .map_err(|error| tls(&error))?;
    let mut left = state.plaintext_bytes_to_read();
    while left > 0 {
        let count = connection
            .reader()
            .read(plain)
            .map_err(|error| io_error(&error))?;
        if count == 0 {
            break;
        }
        left = left.saturating_sub(count);
        sink(plain.get(..count).unwrap_or_default())?;
    }
    Ok(())
}

fn write_plain(mut socket: &TcpStream, out: &mut Output) -> io::Result<(usize, bool)> {
    let mut total = 0;
    while !out.is_empty() {
        let result = if out.is_one_piece() {
            socket.write(out.first())
        } else {
            let mut slices = [IoSlice::new(&[]); SLICES_AT_ONCE];
            let count = out.slices(&mut slices);
            socket.write_vectored(slices.get(..count).unwrap_or_default())
        };
        match result {
            Ok(count) => {
                out.advance(count);
                total += count;
            }
            Err(error) if is_later(&error) => return Ok((total, true)),
            Err(error) => return Err(error),
        }
    }
    Ok((total, false))
}

fn write_encrypted(
    mut socket: &TcpStream,
    tls: &mut ClientConnection,
    out: &mut Output,
) -> io::Result<(usize, bool)> {
    let mut total = 0;
    loop {
        while !out.is_empty() {
            let count = tls.writer().write(out.first())?;
            if count == 0 {
                break; // the TLS buffer is full
            }
            out.advance(count);
            total += count;
        }
        while tls.wants_write() {
            match tls.write_tls(&mut socket) {
                Ok(_) => {}
                Err(error) if is_later(&error) => return Ok((total, true)),
                Err(error) => return Err(error),
            }
        }
        if out.is_empty() {
            return Ok((total, false));
        }
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// Convert an error of the operating system.
#[must_use]
pub fn io_error(error: &io::Error) -> ConnectionError {
    ConnectionError::new(ErrorKind::of_io(error), error.to_string())
}

fn tls(error: &rustls::Error) -> ConnectionError {
    ConnectionError::new(ErrorKind::Tls, error.to_string())
}
