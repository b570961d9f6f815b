//! Forest of Message-IDs while THREAD links them: parent of each node, and the test for loops.

use super::slots::{NONE, Slots};

/// Steps towards roots for each node, after which loops are found with [`PathTrees`] instead.
const WALK_STEPS: usize = 16;

/// Nodes with at most one parent each, without loops.
///
/// The test for a loop walks to the root. Messages in the usual order need few steps. A long chain
/// whose links are made in the worst order would need a number of steps that grows with the square
/// of the number of messages, so after [`WALK_STEPS`] for each node, the test uses trees in which
/// it takes logarithmic time.
pub(super) struct Forest {
    parents: Slots,
    /// Nodes that have had a child; another node cannot be above its new parent.
    had_child: Vec<bool>,
    /// Steps that are left.
    steps: usize,
    paths: Option<PathTrees>,
}

impl Forest {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            parents: Slots::new(nodes),
            had_child: vec![false; nodes],
            steps: nodes.saturating_mul(WALK_STEPS),
            paths: None,
        }
    }

    pub(super) fn parent(&self, node: u32) -> u32 {
        self.parents.get(node)
    }

    /// Make `parent` the parent of a node without a parent, unless that creates a loop.
    pub(super) fn link(&mut self, node: u32, parent: u32) {
        if self.root(node, parent) == node {
            return;
        }
        self.parents.set(node, parent);
        if let Some(had_child) = self.had_child.get_mut(parent as usize) {
            *had_child = true;
        }
        if let Some(paths) = &mut self.paths {
            paths.link(node, parent);
        }
    }

    /// Remove the link of a node to its parent.
    pub(super) fn cut(&mut self, node: u32) {
        if self.parents.get(node) != NONE {
            self.parents.set(node, NONE);
            if let Some(paths) = &mut self.paths {
                paths.cut(node);
            }
        }
    }

    /// Return `node` if it is at the root of `below`, else another node.
    fn root(&mut self, node: u32, below: u32) -> u32 {
        if node == below {
            return node;
        }
        if !self.had_child.get(node as usize).is_some_and(|had| *had) {
            return NONE;
        }
        if self.paths.is_none() {
            let mut at = below;
            while self.steps > 0 {
                self.steps -= 1;
                match self.parents.get(at) {
                    NONE => return at,
                    parent => at = parent,
                }
            }
        }
        let paths = self
            .paths
            .get_or_insert_with(|| PathTrees::new(&self.parents));
        paths.root(below)
    }
}

/// Link-cut trees (Sleator and Tarjan): find the root, link and cut in amortized logarithmic time.
///
/// Each path of the forest is a splay tree, ordered by depth. `up` is the parent in the splay tree,
/// or at its root the node above the path.
struct PathTrees {
    left: Slots,
    right: Slots,
    up: Slots,
}

impl PathTrees {
    /// Start with the links made so far, each node a path of its own.
    fn new(parents: &Slots) -> Self {
        Self {
            left: Slots::new(parents.len()),
            right: Slots::new(parents.len()),
            up: parents.clone(),
        }
    }

    /// True if `up` of a node is above its path.
    fn is_top(&self, node: u32) -> bool {
        let up = self.up.get(node);
        up == NONE || (self.left.get(up) != node && self.right.get(up) != node)
    }

    fn rotate(&mut self, node: u32) {
        let up = self.up.get(node);
        let above = self.up.get(up);
        let up_was_top = self.is_top(up);
        let moved = if self.left.get(up) == node {
            let moved = self.right.get(node);
            self.left.set(up, moved);
            self.right.set(node, up);
            moved
        } else {
            let moved = self.left.get(node);
            self.right.set(up, moved);
            self.left.set(node, up);
            moved
        };
        if moved != NONE {
            self.up.set(moved, up);
        }
        if !up_was_top {
            if self.left.get(above) == up {
                self.left.set(above, node);
            } else {
                self.right.set(above, node);
            }
        }
        self.up.set(up, node);
        self.up.set(node, above);
    }

    fn splay(&mut self, node: u32) {
        while !self.is_top(node) {
            let up = self.up.get(node);
            if !self.is_top(up) {
                let above = self.up.get(up);
                let same_side = (self.left.get(up) == node) == (self.left.get(above) == up);
                self.rotate(if same_side { up } else { node });
            }
            self.rotate(node);
        }
    }

    /// Make the path from the root to `node` one splay tree, with `node` at its top and end.
    fn expose(&mut self, node: u32) {
        let mut below = NONE;
        let mut at = node;
        while at != NONE {
            self.splay(at);
            self.right.set(at, below);
            below = at;
            at = self.up.get(at);
        }
        self.splay(node);
    }

    fn root(&mut self, node: u32) -> u32 {
        self.expose(node);
        let mut root = node;
        loop {
            match self.left.get(root) {
                NONE => break,
                left => root = left,
            }
        }
        self.splay(root); // pays for the way down
        root
    }

    fn link(&mut self, node: u32, parent: u32) {
        self.expose(node);
        self.up.set(node, parent);
    }

    fn cut(&mut self, node: u32) {
        self.expose(node);
        let above = self.left.get(node);
        self.left.set(node, NONE);
        if above != NONE {
            self.up.set(above, NONE);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Both tests for loops agree with a walk to the root.
        #[test]
        fn loops_are_found(
            steps in prop::collection::vec((0_u32..12, 0_u32..12, any::<bool>()), 0..80),
            walks in 0_usize..40,
        ) {
            let mut forest = Forest::new(12);
            forest.steps = walks;
            let mut model = [NONE; 12];
            for (node, parent, cut) in steps {
                if cut {
                    forest.cut(node);
                    model[node as usize] = NONE;
                } else if model[node as usize] == NONE {
                    forest.link(node, parent);
                    let mut at = parent;
                    while model[at as usize] != NONE {
                        at = model[at as usize];
                    }
                    if at != node {
                        model[node as usize] = parent;
                    }
                }
                prop_assert_eq!(forest.parents.as_slice(), &model[..]);
            }
        }
    }

    #[test]
    fn a_long_chain_in_the_worst_order_takes_little_time() {
        let nodes = 100_000;
        let mut forest = Forest::new(nodes as usize);
        for node in 1..nodes {
            forest.link(node - 1, node); // every test starts at a root
        }
        for node in (nodes / 2..nodes - 1).rev() {
            forest.cut(node);
            forest.link(node, 0); // a loop: 0 is below
            assert_eq!(forest.parent(node), NONE);
            forest.link(node, node + 1);
        }
        assert!(forest.paths.is_some());
        assert_eq!(forest.parent(0), 1);
    }
}
