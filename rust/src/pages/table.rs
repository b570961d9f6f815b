//! Lookup and iteration in one table.

use super::page::{Node, Page, is_less};
use super::{CORRUPT, DEPTH_MAX};
use crate::Corrupt;

/// Root of an empty table.
const NO_PAGE: u64 = u64::MAX;

/// Table in one snapshot.
#[derive(Clone, Copy)]
pub struct Table<'a> {
    file: &'a [u8],
    page_size: usize,
    root: u64,
}

impl<'a> Table<'a> {
    pub(super) fn new(file: &'a [u8], page_size: usize, root: u64) -> Self {
        Self {
            file,
            page_size,
            root,
        }
    }

    /// Return the value of a key.
    ///
    /// # Errors
    /// The file is corrupt.
    pub fn get(self, key: &[u8]) -> Result<Option<&'a [u8]>, Corrupt> {
        self.cursor().get(key)
    }

    /// Create a cursor without a position.
    #[must_use]
    pub fn cursor(self) -> TableCursor<'a> {
        TableCursor {
            table: self,
            path: Vec::new(),
            leaf: None,
            at: 0,
        }
    }

    /// Return the record of a table; `self` is the main table.
    pub(super) fn get_table(self, name: &[u8]) -> Result<Option<&'a [u8]>, Corrupt> {
        let mut cursor = self.cursor();
        match cursor.seek_node(name)? {
            Some(node) if node.key == name => node.table().map(Some).ok_or(CORRUPT),
            _ => Ok(None),
        }
    }

    fn page(self, number: u64) -> Result<Page<'a>, Corrupt> {
        Page::at(self.file, self.page_size, number).ok_or(CORRUPT)
    }

    fn entry(self, node: Node<'a>) -> Result<KeyValue<'a>, Corrupt> {
        let value = node.value(self.file, self.page_size);
        Ok((node.key, value.ok_or(CORRUPT)?))
    }
}

/// Key and value.
type KeyValue<'a> = (&'a [u8], &'a [u8]);

/// Position in a table. Looking up keys that ascend or lie close together is cheaper with one
/// cursor than one by one: most are on the current page.
pub struct TableCursor<'a> {
    table: Table<'a>,
    /// Branch pages from the root, each with the index of the child taken.
    path: Vec<(Page<'a>, usize)>,
    leaf: Option<Page<'a>>,
    /// Node of the leaf; may be one past the last.
    at: usize,
}

impl<'a> TableCursor<'a> {
    /// Return the value of a key.
    ///
    /// # Errors
    /// The file is corrupt.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<&'a [u8]>, Corrupt> {
        match self.seek_node(key)? {
            Some(node) if node.key == key => Ok(Some(self.table.entry(node)?.1)),
            _ => Ok(None),
        }
    }

    /// Move to the first key that is not below `key`.
    ///
    /// # Errors
    /// The file is corrupt.
    pub fn seek(&mut self, key: &[u8]) -> Result<Option<KeyValue<'a>>, Corrupt> {
        let node = self.seek_node(key)?;
        node.map(|node| self.table.entry(node)).transpose()
    }

    /// Move to the last key that is not above `key`.
    ///
    /// # Errors
    /// The file is corrupt.
    pub fn seek_back(&mut self, key: &[u8]) -> Result<Option<KeyValue<'a>>, Corrupt> {
        self.descend(key)?;
        match self.leaf.and_then(|leaf| leaf.node(self.at)) {
            Some(node) if node.key == key => self.table.entry(node).map(Some),
            _ => self.previous(),
        }
    }

    /// Move to the next key.
    ///
    /// # Errors
    /// The file is corrupt.
    #[allow(clippy::should_implement_trait)] // it can fail
    pub fn next(&mut self) -> Result<Option<KeyValue<'a>>, Corrupt> {
        self.at += 1;
        let node = self.settle()?;
        node.map(|node| self.table.entry(node)).transpose()
    }

    fn previous(&mut self) -> Result<Option<KeyValue<'a>>, Corrupt> {
        let Some(leaf) = self.leaf else {
            return Ok(None);
        };
        if self.at > 0 {
            self.at -= 1;
            let node = leaf.node(self.at).ok_or(CORRUPT)?;
            return self.table.entry(node).map(Some);
        }
        while let Some((branch, taken)) = self.path.pop() {
            if taken > 0 {
                let mut page = self.child(branch, taken - 1)?;
                while page.is_branch() {
                    let last = page.count().saturating_sub(1);
                    page = self.child(page, last)?;
                }
                self.leaf = Some(page);
                self.at = page.count().checked_sub(1).ok_or(CORRUPT)?;
                let node = page.node(self.at).ok_or(CORRUPT)?;
                return self.table.entry(node).map(Some);
            }
        }
        self.leaf = None;
        Ok(None)
    }

    fn seek_node(&mut self, key: &[u8]) -> Result<Option<Node<'a>>, Corrupt> {
        self.descend(key)?;
        self.settle()
    }

    /// Move to the leaf of `key`, at the first node that is not below it.
    fn descend(&mut self, key: &[u8]) -> Result<(), Corrupt> {
        if let Some(at) = self.on_this_leaf(key) {
            self.at = at;
            return Ok(());
        }
        let mut page = match self.path.pop() {
            // Iteration needs the next leaf, or the one after it.
            Some((branch, taken)) if is_child(branch, taken + 1, key) => {
                self.child(branch, taken + 1)?
            }
            Some((branch, taken)) if is_below(branch, taken, key) => branch,
            _ => {
                self.path.clear();
                self.leaf = None;
                if self.table.root == NO_PAGE {
                    return Ok(());
                }
                self.table.page(self.table.root)?
            }
        };
        while page.is_branch() {
            // The first key of a branch page covers everything below the second.
            let upper = page.search(key, 1).ok_or(CORRUPT)?;
            let taken = match page.node(upper) {
                Some(node) if node.key == key => upper,
                _ => upper.saturating_sub(1),
            };
            page = self.child(page, taken)?;
        }
        if !page.is_leaf() {
            return Err(CORRUPT);
        }
        self.leaf = Some(page);
        self.at = page.search(key, 0).ok_or(CORRUPT)?;
        Ok(())
    }

    /// Return the index of the first node on the current leaf that is not below `key`; None if
    /// another page is needed to decide.
    fn on_this_leaf(&self, key: &[u8]) -> Option<usize> {
        let leaf = self.leaf?;
        // Most lookups are for the next key.
        if leaf.node(self.at + 1).is_some_and(|next| next.key == key) {
            return Some(self.at + 1);
        }
        let here = leaf.node(self.at);
        let from = match here {
            Some(node) if node.key <= key => self.at,
            _ => 0,
        };
        if leaf.last()?.key < key || (from == 0 && leaf.node(0)?.key > key) {
            return None;
        }
        leaf.search(key, from)
    }

    /// Follow a child of a branch page, and add it to the path.
    fn child(&mut self, branch: Page<'a>, taken: usize) -> Result<Page<'a>, Corrupt> {
        let node = branch.node(taken).ok_or(CORRUPT)?;
        let page = self.table.page(node.child())?;
        self.path.push((branch, taken));
        if self.path.len() > DEPTH_MAX || !(page.is_branch() || page.is_leaf()) {
            return Err(CORRUPT);
        }
        Ok(page)
    }

    /// Return the current node; past the last node of a leaf, move to the next leaf.
    fn settle(&mut self) -> Result<Option<Node<'a>>, Corrupt> {
        let Some(leaf) = self.leaf else {
            return Ok(None);
        };
        if self.at < leaf.count() {
            return leaf.node(self.at).ok_or(CORRUPT).map(Some);
        }
        while let Some((branch, taken)) = self.path.pop() {
            if taken + 1 < branch.count() {
                let mut page = self.child(branch, taken + 1)?;
                while page.is_branch() {
                    page = self.child(page, 0)?;
                }
                self.leaf = Some(page);
                self.at = 0;
                return page.node(0).ok_or(CORRUPT).map(Some);
            }
        }
        // After the last key of the table, a search starts at the root again.
        self.leaf = None;
        Ok(None)
    }
}

/// True if the key belongs below a branch page, which starts at or before child `taken`.
fn is_below(branch: Page<'_>, taken: usize, key: &[u8]) -> bool {
    // The first key of a branch page is not compared.
    let first = branch.node(taken.max(1));
    let last = branch.last();
    first.is_some_and(|first| first.key <= key) && last.is_some_and(|last| key < last.key)
}

/// True if the key belongs below a child that is neither the first nor the last.
fn is_child(branch: Page<'_>, at: usize, key: &[u8]) -> bool {
    let (this, next) = (branch.node(at), branch.node(at + 1));
    this.is_some_and(|this| !is_less(key, this.key))
        && next.is_some_and(|next| is_less(key, next.key))
}
