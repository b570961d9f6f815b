//! THREAD: trees of messages (RFC 5256 section 3, and REFS of draft-ietf-morg-inthread).
//!
//! Nothing here recurses: a client chooses the depth of a thread.

use super::column::KeyKind;
use super::columns::Columns;
use super::forest::Forest;
use super::slots::{NONE, Slots, number};
use crate::index::Record;
use crate::wire::ast::ThreadAlgorithm;

/// Threads as a tree. Nodes below `messages` are indices of records, others are dummies, which
/// occur at the top only.
pub(super) struct Threads {
    /// Nodes without a parent, in order.
    pub top: Vec<u32>,
    /// Number of messages.
    pub messages: u32,
    /// Start of the children of each node, and the end of the last.
    starts: Vec<u32>,
    children: Vec<u32>,
}

impl Threads {
    /// Return the children of a node, in order.
    pub(super) fn children(&self, node: u32) -> &[u32] {
        let at = node as usize;
        let start = self.starts.get(at).map_or(0, |start| *start as usize);
        let end = self.starts.get(at + 1).map_or(0, |end| *end as usize);
        self.children.get(start..end).unwrap_or_default()
    }

    /// Build the tree from the parent of each node, with siblings in the order of `by_date`.
    fn new(parents: &Slots, by_date: &[u32], top: Vec<u32>) -> Self {
        let messages = number(by_date.len());
        let mut starts = vec![0; parents.len() + 1];
        for message in by_date {
            let parent = parents.get(*message);
            if let Some(count) = starts.get_mut((parent as usize).saturating_add(1)) {
                *count += 1;
            }
        }
        let mut total = 0;
        for start in &mut starts {
            total += *start;
            *start = total;
        }
        let mut next: Slots = starts.iter().copied().collect();
        let mut children = vec![0; total as usize];
        for message in by_date {
            let parent = parents.get(*message);
            let place = next.get(parent);
            if parent != NONE
                && let Some(child) = children.get_mut(place as usize)
            {
                *child = *message;
                next.set(parent, place + 1);
            }
        }
        Self {
            top,
            messages,
            starts,
            children,
        }
    }
}

/// Thread the records, which ascend.
pub(super) fn thread(records: &[Record], algorithm: ThreadAlgorithm, columns: &Columns) -> Threads {
    let sent = columns.sent(records);
    let mut by_date: Vec<u32> = (0..number(records.len())).collect();
    by_date.sort_by_key(|at| sent.get(*at as usize).copied());
    match algorithm {
        ThreadAlgorithm::OrderedSubject => ordered_subject(&by_date, columns),
        ThreadAlgorithm::References => {
            let mut trees = Trees::of_references(records, &by_date, columns);
            trees.merge_subjects(&by_date, columns);
            let top = trees.top(&by_date).into_iter().map(|(node, _)| node);
            Threads::new(&trees.parents, &by_date, top.collect())
        }
        ThreadAlgorithm::Refs => {
            let trees = Trees::of_references(records, &by_date, columns);
            let top = trees.top_by_arrival(records, &by_date);
            Threads::new(&trees.parents, &by_date, top)
        }
    }
}

/// The first message of a base subject is the parent of all others (ORDEREDSUBJECT).
fn ordered_subject(by_date: &[u32], columns: &Columns) -> Threads {
    let subjects: Slots = columns.ranks(Some(KeyKind::Subject)).collect();
    let mut first = Slots::new(columns.subject_ranks().0);
    let mut parents = Slots::new(by_date.len());
    let mut top = Vec::new();
    for message in by_date {
        let subject = subjects.get(*message);
        match first.get(subject) {
            NONE => {
                first.set(subject, *message);
                top.push(*message);
            }
            parent => parents.set(*message, parent),
        }
    }
    Threads::new(&parents, by_date, top)
}

/// Messages and dummies with their parents, without dummies below the top.
struct Trees {
    /// Parent of each message, then of each dummy.
    parents: Slots,
    messages: usize,
}

impl Trees {
    /// Do steps 1 to 3 of REFERENCES.
    fn of_references(records: &[Record], by_date: &[u32], columns: &Columns) -> Self {
        let messages = records.len();
        let Some((links, entries)) = columns.links() else {
            return Self {
                parents: Slots::new(messages),
                messages,
            };
        };
        // A node for each id, and one for each message without an id of its own.
        let mut message_of = Slots::new(links.ids());
        let mut node_of = Slots::new(messages);
        for (message, entry) in (0..).zip(entries) {
            let mut node = links.own(*entry as usize);
            if node == NONE || message_of.get(node) != NONE {
                node = number(message_of.len());
                message_of.push(NONE);
            }
            message_of.set(node, message);
            node_of.set(message, node);
        }
        // Step 1.
        let mut forest = Forest::new(message_of.len());
        for (message, entry) in (0..).zip(entries) {
            let references = links.references(*entry as usize);
            for (parent, child) in references.iter().zip(references.iter().skip(1)) {
                if forest.parent(*child) == NONE {
                    forest.link(*child, *parent);
                }
            }
            let node = node_of.get(message);
            let last = references.last().copied().unwrap_or(NONE);
            if forest.parent(node) != last {
                forest.cut(node);
                if last != NONE {
                    forest.link(node, last);
                }
            }
        }
        // Steps 2 and 3: the parent of a message is the nearest node above it with a message. Without
        // one, the root of its tree is a dummy, which stays if it has several children.
        let above = Ancestors::new(&forest, &message_of);
        let mut parents = Slots::new(messages);
        let mut first_below = Slots::new(message_of.len());
        let mut dummy_of = Slots::new(message_of.len());
        for message in by_date {
            match above.of(node_of.get(*message), &forest) {
                Ancestor::Message(parent) => parents.set(*message, parent),
                Ancestor::Nothing => {}
                Ancestor::Dummy(root) => match (first_below.get(root), dummy_of.get(root)) {
                    (NONE, _) => first_below.set(root, *message),
                    (first, NONE) => {
                        let dummy = number(parents.len());
                        parents.push(NONE);
                        dummy_of.set(root, dummy);
                        parents.set(first, dummy);
                        parents.set(*message, dummy);
                    }
                    (_, dummy) => parents.set(*message, dummy),
                },
            }
        }
        Self { parents, messages }
    }

    fn is_dummy(&self, node: u32) -> bool {
        node as usize >= self.messages
    }

    /// Do step 4 of REFERENCES: return the nodes without a parent, by sent date, each with the
    /// message that has this date: itself, or the first child of a dummy.
    fn top(&self, by_date: &[u32]) -> Vec<(u32, u32)> {
        let mut seen = vec![false; self.parents.len()];
        let mut top = Vec::new();
        for message in by_date {
            match self.parents.get(*message) {
                NONE => top.push((*message, *message)),
                dummy if self.is_dummy(dummy) => {
                    if let Some(seen) = seen.get_mut(dummy as usize)
                        && !std::mem::replace(seen, true)
                    {
                        top.push((dummy, *message));
                    }
                }
                _ => {}
            }
        }
        top
    }

    /// Do step 5 of REFERENCES: merge threads with the same base subject.
    fn merge_subjects(&mut self, by_date: &[u32], columns: &Columns) {
        let Some((links, entries)) = columns.links() else {
            return;
        };
        let subjects: Slots = columns.ranks(Some(KeyKind::Subject)).collect();
        let (ranks, empty) = columns.subject_ranks();
        let is_reply = |message: u32| {
            let entry = entries.get(message as usize);
            entry.is_some_and(|entry| links.is_reply(*entry as usize))
        };
        let mut top = self.top(by_date);
        top.retain(|(_, first)| subjects.get(*first) != empty);
        // Step 5.B.
        let mut thread_of = Slots::new(ranks);
        for (node, first) in &top {
            let subject = subjects.get(*first);
            let before = thread_of.get(subject);
            let replaces = before == NONE
                || !self.is_dummy(before)
                    && (self.is_dummy(*node) || is_reply(before) && !is_reply(*node));
            if replaces {
                thread_of.set(subject, *node);
            }
        }
        // Step 5.C.
        let mut merged = Slots::new(self.parents.len());
        for (node, first) in &top {
            let subject = subjects.get(*first);
            let thread = thread_of.get(subject);
            if thread == *node || self.parents.get(*node) != NONE {
                continue;
            }
            match (self.is_dummy(thread), self.is_dummy(*node)) {
                (true, true) => merged.set(*node, thread),
                (true, false) => self.parents.set(*node, thread),
                (false, false) if is_reply(*node) && !is_reply(thread) => {
                    self.parents.set(*node, thread);
                }
                _ => {
                    let dummy = number(self.parents.len());
                    self.parents.push(NONE);
                    self.parents.set(*node, dummy);
                    self.parents.set(thread, dummy);
                    thread_of.set(subject, dummy);
                }
            }
        }
        for message in by_date {
            let thread = merged.get(self.parents.get(*message));
            if thread != NONE {
                self.parents.set(*message, thread);
            }
        }
    }

    /// Return the nodes without a parent by the latest INTERNALDATE of their threads (REFS).
    fn top_by_arrival(&self, records: &[Record], by_date: &[u32]) -> Vec<u32> {
        let arrival = |message: u32| records.get(message as usize).map(|record| record.date);
        let mut latest: Vec<_> = (0..number(self.parents.len()))
            .map(|node| (arrival(node), node))
            .collect();
        let mut roots = Roots(Slots::new(self.parents.len()));
        for message in by_date {
            let root = roots.of(*message, &self.parents);
            let own = (arrival(*message), *message);
            if let Some(latest) = latest.get_mut(root as usize) {
                *latest = own.max(*latest);
            }
        }
        let mut top: Vec<u32> = self
            .top(by_date)
            .into_iter()
            .map(|(node, _)| node)
            .collect();
        top.sort_by_key(|node| latest.get(*node as usize).copied());
        top
    }
}

/// Roots of nodes in a tree, found once for each node.
struct Roots(Slots);

impl Roots {
    fn of(&mut self, node: u32, parents: &Slots) -> u32 {
        let mut at = node;
        let root = loop {
            match (self.0.get(at), parents.get(at)) {
                (NONE, NONE) => break at,
                (NONE, parent) => at = parent,
                (root, _) => break root,
            }
        };
        let mut at = node;
        while at != root && self.0.get(at) == NONE {
            self.0.set(at, root);
            at = parents.get(at);
        }
        root
    }
}

/// First node of interest above another.
#[derive(Clone, Copy)]
enum Ancestor {
    /// The nearest message above.
    Message(u32),
    /// There is no message above; the root of the tree.
    Dummy(u32),
    /// There is no node above.
    Nothing,
}

/// For each node, the nearest message at it or above, else the root of its tree.
struct Ancestors {
    /// A message, or its number of nodes plus the number of the root.
    nearest: Slots,
    nodes: u32,
}

impl Ancestors {
    fn new(forest: &Forest, message_of: &Slots) -> Self {
        let nodes = number(message_of.len());
        let mut nearest = Slots::new(message_of.len());
        let mut way = Vec::new();
        for node in 0..nodes {
            let mut at = node;
            let found = loop {
                if nearest.get(at) != NONE {
                    break nearest.get(at);
                }
                way.push(at);
                if message_of.get(at) != NONE {
                    break message_of.get(at);
                }
                match forest.parent(at) {
                    NONE => break nodes.saturating_add(at),
                    parent => at = parent,
                }
            };
            for node in way.drain(..) {
                nearest.set(node, found);
            }
        }
        Self { nearest, nodes }
    }

    fn of(&self, node: u32, forest: &Forest) -> Ancestor {
        match forest.parent(node) {
            NONE => Ancestor::Nothing,
            parent => match self.nearest.get(parent) {
                message if message < self.nodes => Ancestor::Message(message),
                root => Ancestor::Dummy(root - self.nodes),
            },
        }
    }
}
