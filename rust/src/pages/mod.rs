//! Reader of LMDB data files without LMDB: format 1, as LMDB 0.9 writes it.
//!
//! Only committed pages are read, and only while a read transaction of LMDB is open on the same
//! file: it protects all pages of its snapshot, and of later ones, from reuse
//! (`docs/decisions/0002-direct-page-reads.md`). Every access is checked against the end of the file: a
//! corrupt file is an error, never a panic.
//!
//! | page | at 0 | at 8 | at 10 | at 12 | at 14 | from 16 |
//! |---|---|---|---|---|---|---|
//! | meta | number | – | flags | – | – | magic, version, address, size of the map, free list (48), main table (48), last page, transaction |
//! | branch, leaf | number | – | flags | lower | upper | offsets of the nodes, u16 each, up to `lower` |
//! | overflow | number | – | flags | pages (u32) | | bytes |
//!
//! A node consists of: low and high half of a size (leaf) or of a page number (branch, with the
//! flags as its highest part), flags, size of the key, u16 each; then key and value.

pub mod checks;
mod page;
mod table;

use self::page::{META, long, short, word};
pub use self::table::{Table, TableCursor};
use crate::Corrupt;

/// Offset of the record of the main table, which maps names of tables to their roots.
const MAIN: usize = 24 + 48;
const FREE: usize = 24;
const MAGIC: u32 = 0xBEEF_C0DE;
const VERSION: u32 = 1;
const PAGE_HEADER: usize = 16;
/// Smallest page size of LMDB.
const PAGE_SIZE_MIN: usize = 512;
const PAGE_SIZE_MAX: usize = 32 * 1024;
/// LMDB's own limit on the depth of a tree.
const DEPTH_MAX: usize = 32;

const CORRUPT: Corrupt = Corrupt("the data file is corrupt");

/// Bytes at the start of a meta page that are read.
pub const META_BYTES: usize = PAGE_HEADER + 136;

/// Committed state of an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    page_size: usize,
    pages: u64,
    main: u64,
}

impl Snapshot {
    /// Return the snapshot of a transaction, from the two meta pages.
    ///
    /// Call it after a read transaction with that number has started. None if the second next
    /// commit has overwritten its meta page: start another transaction.
    ///
    /// # Errors
    /// The file is not an LMDB file of this format.
    pub fn find(metas: [&[u8; META_BYTES]; 2], transaction: u64) -> Result<Option<Self>, Corrupt> {
        let [even, odd] = metas;
        let page_size = page_size(even).ok_or(CORRUPT)?;
        let contents = [meta(even).ok_or(CORRUPT)?, meta(odd).ok_or(CORRUPT)?];
        let [even, odd] = contents;
        let ours = if transaction & 1 == 0 { even } else { odd };
        if long(ours, 128) != Some(transaction) {
            return Ok(None);
        }
        read_meta(ours, page_size).map(Some).ok_or(CORRUPT)
    }

    /// Return the number of the last committed transaction, from the two meta pages. A commit in
    /// progress may be included. A read transaction that starts later is not older.
    ///
    /// # Errors
    /// The file is corrupt.
    pub fn newest(metas: [&[u8; META_BYTES]; 2]) -> Result<u64, Corrupt> {
        let [even, odd] = metas.map(|page| meta(page).and_then(|meta| long(meta, 128)));
        Ok(even.ok_or(CORRUPT)?.max(odd.ok_or(CORRUPT)?))
    }

    /// Return a snapshot of the smallest page size whose main table has its root on page `main`,
    /// without a meta page to check it against. For property tests.
    pub(crate) fn unchecked(main: u64) -> Self {
        Self {
            page_size: PAGE_SIZE_MIN,
            pages: u64::MAX,
            main,
        }
    }

    /// Bytes of the file that belong to the snapshot.
    #[must_use]
    pub fn file_size(&self) -> u64 {
        self.pages.saturating_mul(self.page_size as u64)
    }

    /// Return a table; None if there is no table of that name.
    ///
    /// # Errors
    /// The file is corrupt.
    pub fn table<'a>(&self, file: &'a [u8], name: &str) -> Result<Option<Table<'a>>, Corrupt> {
        let main = Table::new(file, self.page_size, self.main);
        let Some(row) = main.get_table(name.as_bytes())? else {
            return Ok(None);
        };
        let root = long(row, 40).ok_or(CORRUPT)?;
        Ok(Some(Table::new(file, self.page_size, root)))
    }
}

/// Return the page size from the first bytes of a file; None if it is not an LMDB file.
#[must_use]
pub fn page_size(file: &[u8]) -> Option<usize> {
    let bytes = word(file, PAGE_HEADER + FREE)?;
    let bytes = usize::try_from(bytes).ok()?;
    let fits = (PAGE_SIZE_MIN..=PAGE_SIZE_MAX).contains(&bytes) && bytes.is_power_of_two();
    fits.then_some(bytes)
}

/// Return the contents of a meta page.
fn meta(page: &[u8]) -> Option<&[u8]> {
    let meta = page.get(PAGE_HEADER..)?;
    (short(page, 10)? & META != 0 && word(meta, 0)? == MAGIC && word(meta, 4)? == VERSION)
        .then_some(meta)
}

fn read_meta(meta: &[u8], page_size: usize) -> Option<Snapshot> {
    // Our tables have no custom order and no duplicate keys.
    (short(meta, MAIN + 4)? == 0).then_some(Snapshot {
        page_size,
        pages: long(meta, 120)?.checked_add(1)?,
        main: long(meta, MAIN + 40)?,
    })
}
