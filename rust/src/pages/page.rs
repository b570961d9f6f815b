//! Page of a data file, and its nodes.

use super::PAGE_HEADER;

const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const OVERFLOW: u16 = 0x04;
pub(super) const META: u16 = 0x08;
/// All kinds of pages, including those that our tables never have.
const KINDS: u16 = 0x7F;

const NODE_HEADER: usize = 8;
const BIG: u16 = 0x01;
const TABLE: u16 = 0x02;

pub(super) fn short(bytes: &[u8], at: usize) -> Option<u16> {
    let part = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*part))
}

pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let part = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*part))
}

pub(super) fn long(bytes: &[u8], at: usize) -> Option<u64> {
    let part = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*part))
}

/// Compare keys. The first eight bytes of our keys usually decide, and comparing them takes no
/// call.
#[inline]
pub(super) fn is_less(key: &[u8], other: &[u8]) -> bool {
    match (key.first_chunk(), other.first_chunk()) {
        (Some(first), Some(first_other)) if first != first_other => {
            u64::from_be_bytes(*first) < u64::from_be_bytes(*first_other)
        }
        _ => key < other,
    }
}

/// One page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    bytes: &'a [u8],
}

impl<'a> Page<'a> {
    /// Return a page; None outside of the file, or if the page has another number.
    pub fn at(file: &'a [u8], bytes: usize, number: u64) -> Option<Self> {
        let start = usize::try_from(number).ok()?.checked_mul(bytes)?;
        let page = Self {
            bytes: file.get(start..start.checked_add(bytes)?)?,
        };
        (long(page.bytes, 0)? == number).then_some(page)
    }

    fn kind(self) -> u16 {
        short(self.bytes, 10).unwrap_or(0) & KINDS & !0x10
    }

    pub fn is_branch(self) -> bool {
        self.kind() == BRANCH
    }

    pub fn is_leaf(self) -> bool {
        self.kind() == LEAF
    }

    /// Number of nodes.
    pub fn count(self) -> usize {
        let lower = usize::from(short(self.bytes, 12).unwrap_or(0));
        lower.saturating_sub(PAGE_HEADER) / 2
    }

    /// Return a node; None past the last, or if it is not inside the page.
    pub fn node(self, at: usize) -> Option<Node<'a>> {
        if at >= self.count() {
            return None;
        }
        let offset = short(self.bytes, PAGE_HEADER + 2 * at)?;
        let bytes = self.bytes.get(usize::from(offset)..)?;
        let (head, rest) = bytes.split_first_chunk::<NODE_HEADER>()?;
        let key_bytes = usize::from(short(head, 6)?);
        let (key, rest) = rest.split_at_checked(key_bytes)?;
        Some(Node {
            size: word(head, 0)?,
            flags: short(head, 4)?,
            key,
            rest,
        })
    }

    pub fn last(self) -> Option<Node<'a>> {
        self.node(self.count().checked_sub(1)?)
    }

    /// Return the index of the first node, from `from`, whose key is not below `key`.
    pub fn search(self, key: &[u8], from: usize) -> Option<usize> {
        let (mut low, mut high) = (from, self.count());
        while low < high {
            let middle = low.midpoint(high);
            if is_less(self.node(middle)?.key, key) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Some(low)
    }
}

/// Key with its value, or with the page of the keys from this one on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'a> {
    size: u32,
    flags: u16,
    pub key: &'a [u8],
    /// Bytes of the page after the key.
    rest: &'a [u8],
}

impl<'a> Node<'a> {
    /// Return the page number in a node of a branch page.
    pub fn child(self) -> u64 {
        u64::from(self.size) | u64::from(self.flags) << 32
    }

    /// Return the value in a node of a leaf page; it is on this page or on overflow pages.
    pub fn value(self, file: &'a [u8], page_size: usize) -> Option<&'a [u8]> {
        let size = usize::try_from(self.size).ok()?;
        match self.flags {
            0 => self.rest.get(..size),
            BIG => {
                let first = long(self.rest, 0)?;
                let page = Page::at(file, page_size, first)?;
                let pages = word(page.bytes, 12)?;
                let room = usize::try_from(pages).ok()?.checked_mul(page_size)?;
                if page.kind() != OVERFLOW || room < PAGE_HEADER.checked_add(size)? {
                    return None;
                }
                let start = usize::try_from(first).ok()?.checked_mul(page_size)? + PAGE_HEADER;
                file.get(start..start.checked_add(size)?)
            }
            _ => None,
        }
    }

    /// Return the table record in a leaf node of the main table.
    pub fn table(self) -> Option<&'a [u8]> {
        let size = usize::try_from(self.size).ok()?;
        (self.flags == TABLE)
            .then(|| self.rest.get(..size))
            .flatten()
    }
}
