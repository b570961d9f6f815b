//! Octets lent by Python for one call, or by LMDB for one transaction: the only file with `unsafe`.
#![allow(unsafe_code)] // what is lent stays as it is by promises that the compiler cannot check

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

/// A `Buffer` argument: `bytes`, or a read-only contiguous buffer such as an LMDB memoryview.
///
/// It reads as `&[u8]` and holds the object (and its buffer export) until it is dropped. Let no
/// Python code run that could end the LMDB transaction behind it, and do not detach from the
/// interpreter, while the slice is in use.
///
/// As an argument it raises `BufferError` for a writable buffer, which somebody could change in
/// the middle, and for one that is not contiguous.
pub(crate) struct Octets<'py>(Lent<'py>);

enum Lent<'py> {
    Bytes(Bound<'py, PyBytes>),
    Buffer(PyBuffer<u8>),
}

impl<'a, 'py> FromPyObject<'a, 'py> for Octets<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Self(Lent::Bytes(bytes.to_owned())));
        }
        let buffer = PyBuffer::<u8>::get(&object)?;
        if !buffer.readonly() {
            return Err(PyBufferError::new_err("a read-only buffer is needed"));
        }
        if !buffer.is_c_contiguous() {
            return Err(PyBufferError::new_err("a contiguous buffer is needed"));
        }
        Ok(Self(Lent::Buffer(buffer)))
    }
}

impl Deref for Octets<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Lent::Bytes(bytes) => bytes.as_bytes(),
            Lent::Buffer(buffer) if buffer.len_bytes() == 0 => &[], // its pointer may be null
            // SAFETY: the export is contiguous, of one-octet elements and read-only (checked in
            // `extract`), and lives as long as `buffer`, which outlives the slice. u8 has no
            // alignment or validity to break.
            Lent::Buffer(buffer) => unsafe {
                std::slice::from_raw_parts(buffer.buf_ptr().cast::<u8>(), buffer.len_bytes())
            },
        }
    }
}

/// A data file of LMDB, mapped for reading once more.
pub(crate) struct Mapped {
    map: MmapRaw,
    file: File,
    /// The file is at least so long.
    length: AtomicU64,
}

impl Mapped {
    /// Map so many octets of an open file, whether it is as long or not: it grows into the map.
    pub fn new(file: RawFd, octets: usize) -> io::Result<Self> {
        // SAFETY: the caller's descriptor is open during the call.
        let file = File::from(unsafe { BorrowedFd::borrow_raw(file) }.try_clone_to_owned()?);
        Ok(Self {
            map: MmapOptions::new().len(octets).map_raw_read_only(&file)?,
            length: AtomicU64::new(file.metadata()?.len()),
            file,
        })
    }

    /// The file's first octets; None where so many are not there, or not mapped.
    ///
    /// Promise to look only at what does not change meanwhile: pages of a snapshot on which a
    /// transaction of LMDB is open.
    pub fn octets(&self, count: u64) -> Option<&[u8]> {
        if count > self.length.load(Ordering::Relaxed) {
            let length = self.file.metadata().ok()?.len();
            self.length.store(length, Ordering::Relaxed);
            if count > length {
                return None; // looking there would be the end of the process
            }
        }
        let count = usize::try_from(count).ok()?;
        if count > self.map.len() {
            return None;
        }
        // SAFETY: the map lives as long as `self`, and the file never gets shorter. LMDB writes pages
        // before the meta page that counts them, and does not write to pages that an open
        // transaction can reach. u8 has no alignment or validity to break.
        Some(unsafe { std::slice::from_raw_parts(self.map.as_ptr(), count) })
    }

    /// Octets that somebody may be writing to, as they are now, or partly so; `start` and `N` are
    /// multiples of 8. None where the file does not have them.
    pub fn copy<const N: usize>(&self, start: usize) -> Option<[u8; N]> {
        let end = start.checked_add(N)?;
        let is_there = end as u64 <= self.length.load(Ordering::Relaxed) && end <= self.map.len();
        if !is_there || !(start | N).is_multiple_of(8) {
            return None;
        }
        let mut copied = [0; N];
        for (at, word) in copied.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            // SAFETY: inside the file and its map, which begins with a page, so the address is one of a u64.
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
