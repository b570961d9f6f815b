//! A storage group's data file, and what is rendered straight from its pages.

use std::borrow::Cow;
use std::cell::RefCell;
use std::os::fd::RawFd;
use std::sync::Arc;

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMapping};

use super::buffer::{Mapped, Octets};
use super::index::PyBinarySlice;
use super::numbers::{PyUidMap, PyUidSet};
use super::wire::{PyFetchItems, PyResponseWriter};
use crate::Corrupt;
use crate::filepool::{Bodies, BodyError, Group, MetadataTable, Segments};
use crate::index::fetch::{self, Piece, Request, Source};
use crate::index::{Segment, columns, uid_map};
use crate::numbers::Runs;
use crate::pages::{META_BYTES, Snapshot, page_size};

const TOO_SMALL: Corrupt = Corrupt("the data file is too small");
/// A NUL cannot stand in a literal (RFC 9051 section 4.3.1).
const NUL: u8 = 0;
const NOT_NUL: u8 = 0x80;

impl From<BodyError> for PyErr {
    fn from(fault: BodyError) -> Self {
        match fault {
            BodyError::Gone => PyKeyError::new_err("the octets of this message have been removed"),
            BodyError::Corrupt(corrupt) => corrupt.into(),
        }
    }
}

/// `DataFile`
#[pyclass(frozen, name = "DataFile", module = "imapvm._core")]
pub(crate) struct PyDataFile {
    file: Arc<Mapped>,
    page_octets: usize,
}

#[pymethods]
impl PyDataFile {
    #[new]
    fn new(file: RawFd, map_size: usize) -> PyResult<Self> {
        let file = Mapped::new(file, map_size)?;
        let first: [u8; META_BYTES] = file.copy(0).ok_or(TOO_SMALL)?;
        let page_octets = page_size(&first).ok_or(Corrupt("it is no data file of LMDB"))?;
        Ok(Self {
            file: Arc::new(file),
            page_octets,
        })
    }

    fn newest(&self) -> PyResult<u64> {
        let metas = self.metas()?;
        Ok(Snapshot::newest([&metas[0], &metas[1]])?)
    }

    fn snapshot(&self, transaction: u64) -> PyResult<Option<PySnapshot>> {
        let metas = self.metas()?;
        // Twice the same: so nobody was writing there, and what was read belongs together.
        if metas != self.metas()? {
            return Ok(None);
        }
        let found = Snapshot::find([&metas[0], &metas[1]], transaction)?;
        Ok(found.map(|snapshot| PySnapshot {
            file: Arc::clone(&self.file),
            snapshot,
        }))
    }
}

impl PyDataFile {
    /// The beginnings of the two meta pages.
    fn metas(&self) -> Result<[[u8; META_BYTES]; 2], Corrupt> {
        let first = self.file.copy(0).ok_or(TOO_SMALL)?;
        let second = self.file.copy(self.page_octets).ok_or(TOO_SMALL)?;
        Ok([first, second])
    }
}

/// `Snapshot`
#[pyclass(frozen, name = "Snapshot", module = "imapvm._core")]
pub(crate) struct PySnapshot {
    file: Arc<Mapped>,
    snapshot: Snapshot,
}

impl PySnapshot {
    pub(crate) fn group(&self) -> Result<Group<'_>, Corrupt> {
        let octets = self.file.octets(self.snapshot.file_size());
        let octets = octets.ok_or(Corrupt("the data file is larger than its map"))?;
        Ok(Group::new(octets, self.snapshot))
    }
}

#[pymethods]
impl PySnapshot {
    fn get<'py>(
        &self,
        py: Python<'py>,
        table: &str,
        key: Octets<'py>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let found = self.group()?.table(table)?.get(&key)?;
        Ok(found.map(|value| PyBytes::new(py, value)))
    }

    fn items<'py>(
        &self,
        py: Python<'py>,
        table: &str,
        start: Octets<'py>,
        count: usize,
    ) -> PyResult<Vec<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>> {
        let mut cursor = self.group()?.table(table)?.cursor();
        let mut items = Vec::new();
        let mut entry = cursor.seek(&start)?;
        while let Some((key, value)) = entry
            && items.len() < count
        {
            items.push((PyBytes::new(py, key), PyBytes::new(py, value)));
            entry = cursor.next()?;
        }
        Ok(items)
    }

    fn item_back<'py>(
        &self,
        py: Python<'py>,
        table: &str,
        key: Octets<'py>,
    ) -> PyResult<Option<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>> {
        let found = self.group()?.table(table)?.cursor().seek_back(&key)?;
        Ok(found.map(|(key, value)| (PyBytes::new(py, key), PyBytes::new(py, value))))
    }

    #[pyo3(signature = (mailbox, uids=None))]
    fn segments<'py>(
        &self,
        py: Python<'py>,
        mailbox: u64,
        uids: Option<&PyUidSet>,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let segments = Segments::new(self.group()?, mailbox, uids.map(|uids| &uids.set))?;
        let copy = |segment: Result<&[u8], Corrupt>| Ok(PyBytes::new(py, segment?));
        segments.map(copy).collect()
    }

    fn uid_map(&self, mailbox: u64) -> PyResult<PyUidMap> {
        Ok(uid_map(Segments::new(self.group()?, mailbox, None)?)?.into())
    }

    fn first_with_flags(&self, mailbox: u64, mask: u8, value: u8) -> PyResult<Option<u32>> {
        for segment in Segments::new(self.group()?, mailbox, None)? {
            let mut records = Segment::open(segment?)?.iter();
            if let Some(record) = records.find(|record| record.flags() & mask == value) {
                return Ok(Some(record.uid()));
            }
        }
        Ok(None)
    }

    fn modified(&self, mailbox: u64, since: u64) -> PyResult<PyUidSet> {
        let mut found = Runs::new();
        for segment in Segments::new(self.group()?, mailbox, None)? {
            columns::modified(segment?, since, &mut found)?;
        }
        Ok(found.finish().into())
    }

    fn digest<'py>(&self, py: Python<'py>, body: u64) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let digest = MetadataTable::new(self.group()?)?.get(body)?;
        Ok(digest.map(|digest| PyBytes::new(py, &digest)))
    }

    fn body<'py>(
        &self,
        py: Python<'py>,
        body: u64,
        offset: u64,
        length: u64,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut octets = Vec::new();
        Bodies::new(self.group()?)?.read(body, offset, length, &mut octets)?;
        Ok(PyBytes::new(py, &octets))
    }

    fn body_size(&self, body: u64) -> PyResult<u64> {
        Ok(Bodies::new(self.group()?)?.size(body)?)
    }

    #[pyo3(signature = (
        out, mailbox, items, numbers, wanted, *, keywords, recent, flags_too, most
    ))]
    #[allow(clippy::too_many_arguments)] // named ones
    fn fetch(
        &self,
        out: &mut PyResponseWriter,
        mailbox: u64,
        items: &PyFetchItems,
        numbers: &PyUidMap,
        wanted: &PyUidSet,
        keywords: &Bound<'_, PyMapping>,
        recent: Option<&PyUidSet>,
        flags_too: Option<&PyUidSet>,
        most: usize,
    ) -> PyResult<(PyUidSet, bool, Option<PyFetchAnswer>)> {
        let group = self.group()?;
        let request = Request {
            items: &items.items,
            numbers: &numbers.map,
            wanted: &wanted.set,
            recent: recent.map(|recent| &recent.set),
            flags_too: flags_too.map(|uids| &uids.set),
        };
        let segments = Segments::new(group, mailbox, Some(&wanted.set))?;
        let source = SnapshotSource {
            keywords,
            digests: RefCell::new(MetadataTable::new(group)?),
        };
        let text = out.writer.waiting();
        let rendered = fetch::render_some(&request, segments, &source, most, text)?;
        let mut answer = PyFetchAnswer {
            pieces: rendered.pieces.into_iter(),
            next: None,
            written: 0,
        };
        let whole = !answer.refuses() && answer.write(out, self, most)?;
        Ok((
            rendered.remaining.into(),
            rendered.missing,
            (!whole).then_some(answer),
        ))
    }
}

/// Message metadata from the table; names of keywords from Python, which keeps them decoded.
struct SnapshotSource<'a, 'p, 'py> {
    keywords: &'p Bound<'py, PyMapping>,
    digests: RefCell<MetadataTable<'a>>,
}

impl<'a> Source for SnapshotSource<'a, '_, '_> {
    type Error = PyErr;
    type Bytes = Cow<'a, [u8]>;

    fn keywords(&self, set: u32) -> PyResult<Self::Bytes> {
        let names: Octets<'_> = self.keywords.get_item(set)?.extract()?;
        Ok(Cow::Owned(names.to_vec()))
    }

    fn metadata(&self, body: u64) -> PyResult<Self::Bytes> {
        let digest = self.digests.borrow_mut().get(body)?;
        Ok(digest.ok_or(Corrupt("a digest is missing"))?)
    }
}

/// `FetchAnswer`
#[pyclass(name = "FetchAnswer", module = "imapvm._core")]
pub(crate) struct PyFetchAnswer {
    pieces: std::vec::IntoIter<Piece>,
    /// The piece that is being written.
    next: Option<Piece>,
    /// How much of it is.
    written: u64,
}

impl PyFetchAnswer {
    fn refuses(&self) -> bool {
        let unknown = |piece: &Piece| matches!(piece, Piece::Binary(slice) if slice.encoding < 0);
        self.next.iter().any(unknown) || self.pieces.as_slice().iter().any(unknown)
    }
}

#[pymethods]
impl PyFetchAnswer {
    #[getter]
    fn unknown_encoding(&self) -> bool {
        self.refuses()
    }

    fn write(
        &mut self,
        out: &mut PyResponseWriter,
        snapshot: &PySnapshot,
        most: usize,
    ) -> PyResult<bool> {
        let group = snapshot.group()?;
        let mut bodies: Option<Bodies<'_>> = None;
        loop {
            if self.next.is_none() {
                self.next = self.pieces.next();
                self.written = 0;
            }
            match &self.next {
                None => return Ok(true),
                Some(Piece::Text(text)) => out.writer.raw(text),
                Some(Piece::Binary(_)) => return Ok(false),
                Some(Piece::Body(slice)) => {
                    let bodies = match &mut bodies {
                        Some(bodies) => bodies,
                        None => bodies.insert(Bodies::new(group)?),
                    };
                    let waiting = out.writer.waiting();
                    let room = most.saturating_sub(waiting.len()) as u64;
                    if room == 0 {
                        return Ok(false);
                    }
                    let before = waiting.len();
                    let length = room.min(slice.length - self.written);
                    bodies.read(slice.body, slice.offset + self.written, length, waiting)?;
                    let octets = waiting.get_mut(before..).unwrap_or_default();
                    if octets.len() as u64 != length {
                        return Err(Corrupt("a message is shorter than its digest says").into());
                    }
                    hide_nul(octets);
                    self.written += length;
                    if self.written < slice.length {
                        return Ok(false);
                    }
                }
            }
            self.next = None;
        }
    }

    fn take_binary(&mut self) -> Option<PyBinarySlice> {
        match self.next {
            Some(Piece::Binary(slice)) => {
                self.next = None;
                Some(PyBinarySlice(slice))
            }
            _ => None,
        }
    }
}

/// Put something else in the place of NUL.
fn hide_nul(octets: &mut [u8]) {
    let mut from = 0;
    while let Some(at) = octets
        .get(from..)
        .and_then(|rest| memchr::memchr(NUL, rest))
    {
        if let Some(octet) = octets.get_mut(from + at) {
            *octet = NOT_NUL;
        }
        from += at + 1;
    }
}
