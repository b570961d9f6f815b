//! Octets lent by Python for one call: the only file with `unsafe`.
#![allow(unsafe_code)] // the borrow of a Python buffer is a promise the compiler cannot check

use std::ops::Deref;

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
