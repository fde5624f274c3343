//! Names of the simulated disk: what processes see, what is durable, and the changes between.
//!
//! A change of names is durable once its directory was synced. Until then a power cut may keep any
//! subset of the changes (all that POSIX promises) or a prefix of them (what a journal does). One
//! rename is one change, also across directories: it happens or it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path};

/// A file or a directory, whatever it is called.
pub type NodeId = u32;
/// The directory that is always there.
pub const ROOT: NodeId = 0;
/// A name in a directory.
pub type Key = (NodeId, OsString);
/// Which name stands for which node.
pub type Tree = BTreeMap<Key, NodeId>;

/// One change, as the names that it sets or takes away.
#[derive(Clone, Debug)]
pub struct NameOp {
    pub edits: Vec<(Key, Option<NodeId>)>,
    /// A directory sync that covered it failed: no later one makes it durable.
    given_up: bool,
}

pub fn apply(tree: &mut Tree, op: &NameOp) {
    for (key, node) in &op.edits {
        match node {
            Some(node) => tree.insert(key.clone(), *node),
            None => tree.remove(key),
        };
    }
}

#[derive(Clone, Debug, Default)]
pub struct Names {
    pub current: Tree,
    pub durable: Tree,
    /// From `durable` to `current`, oldest first.
    pub pending: Vec<NameOp>,
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Names {
    pub fn from_disk(tree: Tree) -> Names {
        Names { current: tree.clone(), durable: tree, pending: Vec::new() }
    }

    pub fn find(&self, path: &Path) -> io::Result<NodeId> {
        let mut node = ROOT;
        for part in path.components() {
            if let Component::Normal(name) = part {
                let key = (node, name.to_owned());
                node = *self.current.get(&key).ok_or_else(not_found)?;
            }
        }
        Ok(node)
    }

    /// The directory and the name that a path means; the name need not exist.
    pub fn key(&self, path: &Path) -> io::Result<Key> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(not_found());
        };
        Ok((self.find(parent)?, name.to_owned()))
    }

    pub fn list(&self, dir: NodeId) -> impl Iterator<Item = (&OsStr, NodeId)> {
        let from = (dir, OsString::new());
        let inside = self.current.range(from..);
        inside
            .take_while(move |((parent, _), _)| *parent == dir)
            .map(|((_, name), node)| (name.as_os_str(), *node))
    }

    pub fn change(&mut self, edits: Vec<(Key, Option<NodeId>)>) {
        let op = NameOp { edits, given_up: false };
        apply(&mut self.current, &op);
        self.pending.push(op);
    }

    /// Makes the changes in one directory durable, and those that they rest on: earlier changes of
    /// the same names in other directories.
    pub fn sync(&mut self, dir: NodeId) {
        let mut needed: BTreeSet<Key> = BTreeSet::new();
        let mut chosen = vec![false; self.pending.len()];
        for (index, op) in self.pending.iter().enumerate().rev() {
            let here = !op.given_up && op.edits.iter().any(|(key, _)| key.0 == dir);
            if here || op.edits.iter().any(|(key, _)| needed.contains(key)) {
                needed.extend(op.edits.iter().map(|(key, _)| key.clone()));
                chosen[index] = true;
            }
        }
        let mut chosen = chosen.into_iter();
        let durable = &mut self.durable;
        self.pending.retain(|op| {
            let done = chosen.next().unwrap();
            if done {
                apply(durable, op);
            }
            !done
        });
    }

    pub fn sync_all(&mut self) {
        self.pending.clear();
        self.durable.clone_from(&self.current);
    }

    pub fn fail_sync(&mut self, dir: NodeId) {
        for op in &mut self.pending {
            if op.edits.iter().any(|(key, _)| key.0 == dir) {
                op.given_up = true;
            }
        }
    }
}
