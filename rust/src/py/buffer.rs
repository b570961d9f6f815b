//! Bytes borrowed from Python for one call, or from LMDB for one transaction.
//!
//! Beside `sigbus.rs` the only file with `unsafe`.
#![allow(unsafe_code)] // borrowed bytes stay unchanged by rules that the compiler cannot check

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::sigbus::Watch;
use crate::Corrupt;

/// A `Buffer` argument: `bytes`, or a read-only contiguous buffer such as an LMDB memoryview.
///
/// Derefs to `&[u8]` and holds the object (and its buffer export) until it is dropped. While the
/// slice is in use, run no Python code that could end the LMDB transaction it belongs to, and do
/// not detach from the interpreter.
///
/// # Errors
/// As an argument it raises `BufferError` for a writable buffer, which could change during the
/// call, and for one that is not contiguous.
pub(crate) struct ReadBuffer<'py>(Lender<'py>);

enum Lender<'py> {
    Bytes(Bound<'py, PyBytes>),
    Buffer(PyBuffer<u8>),
}

impl<'a, 'py> FromPyObject<'a, 'py> for ReadBuffer<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Self(Lender::Bytes(bytes.to_owned())));
        }
        let buffer = PyBuffer::<u8>::get(&object)?;
        if !buffer.readonly() {
            return Err(PyBufferError::new_err("the buffer must be read-only"));
        }
        if !buffer.is_c_contiguous() {
            return Err(PyBufferError::new_err("the buffer must be contiguous"));
        }
        Ok(Self(Lender::Buffer(buffer)))
    }
}

impl Deref for ReadBuffer<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Lender::Bytes(bytes) => bytes.as_bytes(),
            Lender::Buffer(buffer) if buffer.len_bytes() == 0 => &[], // its pointer may be null
            // SAFETY: the export is contiguous, of one-byte elements and read-only (checked in
            // `extract`), and lives as long as `buffer`, which outlives the slice. u8 has no
            // alignment or validity to break.
            Lender::Buffer(buffer) => unsafe {
                std::slice::from_raw_parts(buffer.buf_ptr().cast::<u8>(), buffer.len_bytes())
            },
        }
    }
}

const TRUNCATED: Corrupt = Corrupt("the data file is truncated");

/// Second, read-only map of an LMDB data file.
pub(crate) struct MappedFile {
    map: MmapRaw,
    watch: Watch,
    file: File,
    /// Lower bound of the file's length.
    length: AtomicU64,
    /// Time of the last check of the length.
    checked_at: AtomicU64,
}

impl MappedFile {
    /// Map `length` bytes of an open file. The file may be shorter: it grows into the map.
    pub fn new(file: RawFd, length: usize) -> io::Result<Self> {
        // SAFETY: the caller's descriptor is open during the call.
        let file = File::from(unsafe { BorrowedFd::borrow_raw(file) }.try_clone_to_owned()?);
        let found = file.metadata()?.len();
        Ok(Self {
            map: MmapOptions::new().len(length).map_raw_read_only(&file)?,
            watch: Watch::new(&file, found),
            file,
            length: AtomicU64::new(found),
            checked_at: AtomicU64::new(0),
        })
    }

    /// Check that the file is not shorter than it was.
    ///
    /// # Errors
    /// The file is truncated, also if it was at the last call.
    pub fn check_length(&self) -> Result<(), Corrupt> {
        let length = self.file.metadata().map_or(0, |found| found.len());
        if length < self.length.load(Ordering::Relaxed) {
            return Err(TRUNCATED);
        }
        self.set_length(length);
        Ok(())
    }

    /// Check the length, unless that was done in this tick of the kernel's clock, 1 to 4 ms.
    ///
    /// # Errors
    /// The file is truncated.
    pub fn recheck_length(&self) -> Result<(), Corrupt> {
        let now = clock_ticks();
        if self.checked_at.load(Ordering::Relaxed) != now {
            self.check_length()?;
            self.checked_at.store(now, Ordering::Relaxed);
        }
        Ok(())
    }

    fn set_length(&self, length: u64) {
        if length != self.length.swap(length, Ordering::Relaxed) {
            self.watch.set_length(length);
        }
    }

    /// Return the first `count` bytes; None if the file or the map is shorter.
    ///
    /// The caller reads only bytes that do not change meanwhile: pages of a snapshot on which an
    /// LMDB transaction is open.
    pub fn bytes(&self, count: u64) -> Option<&[u8]> {
        if count > self.length.load(Ordering::Relaxed) {
            self.check_length().ok()?;
            if count > self.length.load(Ordering::Relaxed) {
                return None; // reading there raises SIGBUS
            }
        }
        let count = usize::try_from(count).ok()?;
        if count > self.map.len() {
            return None;
        }
        // SAFETY: the map lives as long as `self`. The file never gets shorter, unless another program
        // truncates it, and then `sigbus` ends the process. LMDB writes pages before the meta page
        // that counts them, and does not write to pages that an open transaction can reach. u8 has no
        // alignment or validity to break.
        Some(unsafe { std::slice::from_raw_parts(self.map.as_ptr(), count) })
    }

    /// Copy bytes that another process may be writing: the copy can be torn. `start` and `N` are
    /// multiples of 8. None if the file is shorter.
    pub fn copy<const N: usize>(&self, start: usize) -> Option<[u8; N]> {
        let end = start.checked_add(N)?;
        let is_there = end as u64 <= self.length.load(Ordering::Relaxed) && end <= self.map.len();
        if !is_there || !(start | N).is_multiple_of(8) {
            return None;
        }
        let mut copied = [0; N];
        for (at, word) in copied.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            // SAFETY: inside the file and its map, which begins with a page, so the address is aligned for u64.
            // Volatile, since another process may be writing: the caller compares two copies.
            #[allow(clippy::cast_ptr_alignment)]
            let read = unsafe {
                let first = self.map.as_ptr().add(start).cast::<u64>();
                std::ptr::read_volatile(first.add(at))
            };
            *word = read.to_ne_bytes();
        }
        Some(copied)
    }
}

/// Return a time that changes with each tick of the kernel's clock. Costs about 5 ns.
fn clock_ticks() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a whole `timespec`.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut time) };
    (time.tv_sec.unsigned_abs() << 30) | time.tv_nsec.unsigned_abs()
}
