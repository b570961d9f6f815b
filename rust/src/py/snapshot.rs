//! A storage group's data file, and responses rendered from its pages.

use std::borrow::Cow;
use std::cell::RefCell;
use std::os::fd::RawFd;
use std::sync::Arc;

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::buffer::{MappedFile, ReadBuffer};
use super::index::PyBinarySlice;
use super::numbers::{PyUidMap, PyUidSet};
use super::wire::{PyFetchItems, PyMessageUrl, PyResponseWriter};
use crate::Corrupt;
use crate::filepool::{self, Bodies, BodyError, Group, KeywordTable, MetadataTable, Segments};
use crate::index::fetch::{self, BodySlice, Piece, Request, Source};
use crate::index::{Segment, columns, uid_map};
use crate::message::MessageMetadata;
use crate::numbers::{Runs, UidSet};
use crate::pages::{META_BYTES, Snapshot, page_size};
use crate::wire::ast::system;

const TOO_SMALL: Corrupt = Corrupt("the data file is too small");
const NO_METADATA: Corrupt = Corrupt("message metadata is missing");
/// A literal cannot contain NUL (RFC 9051 section 4.3.1).
const NUL: u8 = 0;
const NOT_NUL: u8 = 0x80;

impl From<BodyError> for PyErr {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Gone => PyKeyError::new_err("the text of this message has been removed"),
            BodyError::Corrupt(corrupt) => corrupt.into(),
        }
    }
}

/// `DataFile`
#[pyclass(frozen, name = "DataFile", module = "imapvm._core")]
pub(crate) struct PyDataFile {
    file: Arc<MappedFile>,
    page_bytes: usize,
}

#[pymethods]
impl PyDataFile {
    #[new]
    fn new(file: RawFd, map_size: usize) -> PyResult<Self> {
        let file = MappedFile::new(file, map_size)?;
        let first: [u8; META_BYTES] = file.copy(0).ok_or(TOO_SMALL)?;
        let page_bytes = page_size(&first).ok_or(Corrupt("not a data file of LMDB"))?;
        Ok(Self {
            file: Arc::new(file),
            page_bytes,
        })
    }

    fn check_size(&self) -> PyResult<()> {
        Ok(self.file.check_length()?)
    }

    fn used_bytes(&self) -> PyResult<u64> {
        let metas = self.metas()?;
        let newest = Snapshot::newest([&metas[0], &metas[1]])?;
        let found = Snapshot::find([&metas[0], &metas[1]], newest)?;
        Ok(found.map_or(0, |snapshot| snapshot.file_size()))
    }

    fn latest_txn_id(&self) -> PyResult<u64> {
        let metas = self.metas()?;
        Ok(Snapshot::newest([&metas[0], &metas[1]])?)
    }

    fn snapshot(&self, txn_id: u64) -> PyResult<Option<PySnapshot>> {
        self.file.recheck_length()?;
        let metas = self.metas()?;
        // Equal copies: no process was writing, so the copy is consistent.
        if metas != self.metas()? {
            return Ok(None);
        }
        let found = Snapshot::find([&metas[0], &metas[1]], txn_id)?;
        Ok(found.map(|snapshot| PySnapshot {
            file: Arc::clone(&self.file),
            snapshot,
        }))
    }
}

impl PyDataFile {
    /// Return the start of both meta pages.
    fn metas(&self) -> Result<[[u8; META_BYTES]; 2], Corrupt> {
        let first = self.file.copy(0).ok_or(TOO_SMALL)?;
        let second = self.file.copy(self.page_bytes).ok_or(TOO_SMALL)?;
        Ok([first, second])
    }
}

/// `Snapshot`
#[pyclass(frozen, name = "Snapshot", module = "imapvm._core")]
pub(crate) struct PySnapshot {
    file: Arc<MappedFile>,
    snapshot: Snapshot,
}

impl PySnapshot {
    pub(crate) fn group(&self) -> Result<Group<'_>, Corrupt> {
        let bytes = self.file.bytes(self.snapshot.file_size());
        let bytes = bytes.ok_or(Corrupt("the data file is larger than its map"))?;
        Ok(Group::new(bytes, self.snapshot))
    }
}

#[pymethods]
impl PySnapshot {
    fn get<'py>(
        &self,
        py: Python<'py>,
        table: &str,
        key: ReadBuffer<'py>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let found = self.group()?.table(table)?.get(&key)?;
        Ok(found.map(|value| PyBytes::new(py, value)))
    }

    fn items<'py>(
        &self,
        py: Python<'py>,
        table: &str,
        start: ReadBuffer<'py>,
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

    fn item_at_or_before<'py>(
        &self,
        py: Python<'py>,
        table: &str,
        key: ReadBuffer<'py>,
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

    fn deleted_size(
        &self,
        mailbox: u64,
        start: u32,
        max_messages: usize,
    ) -> PyResult<(u64, Option<u32>)> {
        let wanted = UidSet::run(start, u32::MAX);
        let (mut bytes, mut messages) = (0, 0);
        for segment in Segments::new(self.group()?, mailbox, Some(&wanted))? {
            let segment = Segment::open(segment?)?;
            bytes += segment
                .iter()
                .filter(|record| record.uid() >= start && record.flags() & system::DELETED != 0)
                .map(|record| u64::from(record.size()))
                .sum::<u64>();
            messages += segment.len();
            if messages >= max_messages {
                return Ok((bytes, segment.last().and_then(|last| last.checked_add(1))));
            }
        }
        Ok((bytes, None))
    }

    fn modified(&self, mailbox: u64, since: u64) -> PyResult<PyUidSet> {
        let mut found = Runs::new();
        for segment in Segments::new(self.group()?, mailbox, None)? {
            columns::modified(segment?, since, &mut found)?;
        }
        Ok(found.finish().into())
    }

    fn highest_modseq(&self, mailbox: u64, uids: &PyUidSet) -> PyResult<u64> {
        let mut highest = 0;
        for segment in Segments::new(self.group()?, mailbox, Some(&uids.set))? {
            highest = highest.max(columns::highest_modseq(segment?, &uids.set)?);
        }
        Ok(highest)
    }

    fn changes(
        &self,
        mailbox: u64,
        since: u64,
        highest: u64,
        max_rows: usize,
        user: Option<u64>,
    ) -> PyResult<(u64, PyUidSet, PyUidSet, PyUidSet)> {
        let found = filepool::changes(self.group()?, mailbox, since, highest, max_rows, user)?;
        Ok((
            found.modseq,
            found.appended.into(),
            found.flagged.into(),
            found.expunged.into(),
        ))
    }

    fn metadata<'py>(&self, py: Python<'py>, body: u64) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let metadata = MetadataTable::new(self.group()?)?.get(body)?;
        Ok(metadata.map(|metadata| PyBytes::new(py, &metadata)))
    }

    fn body_layout(&self, body: u64) -> PyResult<(u64, usize, Option<String>)> {
        let layout = Bodies::new(self.group()?)?.layout(body)?;
        Ok((layout.size, layout.rows, layout.error))
    }

    fn body<'py>(
        &self,
        py: Python<'py>,
        body: u64,
        offset: u64,
        length: u64,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut bytes = Vec::new();
        Bodies::new(self.group()?)?.read(body, offset, length, &mut bytes)?;
        Ok(PyBytes::new(py, &bytes))
    }

    fn undecodable(
        &self,
        mailbox: u64,
        items: &PyFetchItems,
        wanted: &PyUidSet,
    ) -> PyResult<(PyUidSet, PyUidSet)> {
        let group = self.group()?;
        let segments = Segments::new(group, mailbox, Some(&wanted.set))?;
        let mut table = MetadataTable::new(group)?;
        let metadata = |body| table.get(body)?.ok_or(NO_METADATA);
        let (items, wanted) = (&items.items, &wanted.set);
        let (found, left) =
            fetch::undecodable(items, wanted, segments, metadata, fetch::STEP_COST)?;
        Ok((found.into(), left.into()))
    }

    fn keyword_names(
        &self,
        mailbox: u64,
        first: u32,
        last: u32,
        max_names: usize,
    ) -> PyResult<Vec<String>> {
        let mut table = KeywordTable::new(self.group()?, mailbox)?;
        let names = table.different_names(first, last, max_names)?;
        Ok(names.into_iter().map(keyword).collect())
    }

    fn section(&self, mailbox: u64, url: &PyMessageUrl) -> PyResult<Option<PySectionStream>> {
        let group = self.group()?;
        let (url, wanted) = (&url.url, UidSet::run(url.url.uid, url.url.uid));
        for segment in Segments::new(group, mailbox, Some(&wanted))? {
            let segment = Segment::open(segment?)?;
            let Some(record) = segment.iter().find(|record| record.uid() == url.uid) else {
                continue;
            };
            let stored = MetadataTable::new(group)?.get(record.body())?;
            let stored = stored.ok_or(NO_METADATA)?;
            let metadata = MessageMetadata::open_lazily(&stored)?;
            let found = fetch::section_bytes(&url.section, url.partial, record, &metadata);
            return Ok(found.map(|(pieces, length)| PySectionStream {
                pieces: pieces.into_iter(),
                next: None,
                read: 0,
                length,
            }));
        }
        Ok(None)
    }

    #[pyo3(signature = (
        out, mailbox, items, numbers, wanted, *, recent, flags_too, max_bytes, seen=None, id_bits=0
    ))]
    #[allow(clippy::too_many_arguments)] // named ones
    fn fetch(
        &self,
        out: &mut PyResponseWriter,
        mailbox: u64,
        items: &PyFetchItems,
        numbers: &PyUidMap,
        wanted: &PyUidSet,
        recent: Option<&PyUidSet>,
        flags_too: Option<&PyUidSet>,
        max_bytes: usize,
        seen: Option<&PyUidSet>,
        id_bits: u64,
    ) -> PyResult<(PyUidSet, bool, Option<PyFetchStream>)> {
        let group = self.group()?;
        let request = Request {
            items: &items.items,
            numbers: &numbers.map,
            wanted: &wanted.set,
            recent: recent.map(|recent| &recent.set),
            seen: seen.map(|seen| &seen.set),
            id_bits,
            flags_too: flags_too.map(|uids| &uids.set),
            uid_fetch: items.uid_fetch,
        };
        let segments = Segments::new(group, mailbox, Some(&wanted.set))?;
        let source = SnapshotSource {
            group,
            mailbox,
            keywords: RefCell::new(None),
            metadata: RefCell::new(MetadataTable::new(group)?),
        };
        let text = out.writer.waiting();
        let before = text.len();
        let limits = (max_bytes, fetch::STEP_COST);
        let rendered = fetch::render_some(&request, segments, &source, limits, text)?;
        let written = text.len() - before;
        out.writer.mark_unfinished(written, rendered.open);
        let mut answer = PyFetchStream {
            pieces: rendered.pieces.into_iter(),
            next: None,
            written: 0,
        };
        let whole = answer.write(out, self, max_bytes)?;
        Ok((
            rendered.remaining.into(),
            rendered.missing,
            (!whole).then_some(answer),
        ))
    }
}

/// `body_rows`
#[pyfunction]
pub(crate) fn body_rows(row0: ReadBuffer<'_>) -> PyResult<usize> {
    Ok(filepool::body_rows(&row0)?)
}

/// Names of keywords, as stored.
fn keyword(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// Metadata and keywords from the tables.
struct SnapshotSource<'a> {
    group: Group<'a>,
    mailbox: u64,
    /// Opened when the first message has keywords.
    keywords: RefCell<Option<KeywordTable<'a>>>,
    metadata: RefCell<MetadataTable<'a>>,
}

impl<'a> Source for SnapshotSource<'a> {
    type Error = PyErr;
    type Bytes = Cow<'a, [u8]>;

    fn keywords(&self, set: u32) -> PyResult<Self::Bytes> {
        let mut table = self.keywords.borrow_mut();
        let table = match &mut *table {
            Some(table) => table,
            none => none.insert(KeywordTable::new(self.group, self.mailbox)?),
        };
        Ok(Cow::Borrowed(table.get(set)?))
    }

    fn metadata(&self, body: u64) -> PyResult<Self::Bytes> {
        let metadata = self.metadata.borrow_mut().get(body)?;
        Ok(metadata.ok_or(NO_METADATA)?)
    }
}

/// `FetchStream`
#[pyclass(name = "FetchStream", module = "imapvm._core")]
pub(crate) struct PyFetchStream {
    pieces: std::vec::IntoIter<Piece>,
    /// The piece being written.
    next: Option<Piece>,
    /// Bytes of it that are written.
    written: u64,
}

#[pymethods]
impl PyFetchStream {
    fn write(
        &mut self,
        out: &mut PyResponseWriter,
        snapshot: &PySnapshot,
        max_bytes: usize,
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
                Some(Piece::Text { bytes, open }) => {
                    out.writer.raw(bytes);
                    out.writer.mark_unfinished(bytes.len(), *open);
                }
                Some(Piece::Binary(_)) => return Ok(false),
                Some(Piece::Body(slice)) => {
                    let bodies = match &mut bodies {
                        Some(bodies) => bodies,
                        None => bodies.insert(Bodies::new(group)?),
                    };
                    let waiting = out.writer.waiting();
                    let room = max_bytes.saturating_sub(waiting.len()) as u64;
                    if room == 0 {
                        return Ok(false);
                    }
                    let before = waiting.len();
                    let length = room.min(slice.length - self.written);
                    bodies.read(slice.body, slice.offset + self.written, length, waiting)?;
                    let bytes = waiting.get_mut(before..).unwrap_or_default();
                    if bytes.len() as u64 != length {
                        return Err(Corrupt("a message is shorter than its metadata").into());
                    }
                    hide_nul(bytes);
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

/// `SectionStream`
#[pyclass(name = "SectionStream", module = "imapvm._core")]
pub(crate) struct PySectionStream {
    pieces: std::vec::IntoIter<Piece>,
    /// The piece being read.
    next: Option<BodySlice>,
    /// Bytes of it that are read.
    read: u64,
    length: u64,
}

#[pymethods]
impl PySectionStream {
    #[getter]
    fn length(&self) -> u64 {
        self.length
    }

    fn read<'py>(
        &mut self,
        py: Python<'py>,
        snapshot: &PySnapshot,
        max_bytes: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut bodies = Bodies::new(snapshot.group()?)?;
        let mut bytes = Vec::new();
        while bytes.len() < max_bytes {
            let Some(slice) = self.next else {
                match self.pieces.next() {
                    None => break,
                    Some(Piece::Text { bytes: text, .. }) => bytes.extend_from_slice(&text),
                    Some(Piece::Body(slice)) => (self.next, self.read) = (Some(slice), 0),
                    Some(Piece::Binary(_)) => {}
                }
                continue;
            };
            let before = bytes.len();
            let length = ((max_bytes - before) as u64).min(slice.length - self.read);
            bodies.read(slice.body, slice.offset + self.read, length, &mut bytes)?;
            if (bytes.len() - before) as u64 != length {
                return Err(Corrupt("a message is shorter than its metadata").into());
            }
            self.read += length;
            if self.read == slice.length {
                self.next = None;
            }
        }
        Ok(PyBytes::new(py, &bytes))
    }
}

/// Replace NUL by another byte.
fn hide_nul(bytes: &mut [u8]) {
    let mut from = 0;
    while let Some(at) = bytes.get(from..).and_then(|tail| memchr::memchr(NUL, tail)) {
        if let Some(byte) = bytes.get_mut(from + at) {
            *byte = NOT_NUL;
        }
        from += at + 1;
    }
}
