//! Names of the simulated disk: what processes see, what is durable, and the changes between.
//!
//! A change of names is durable once its directory was synced. Until then a power cut may keep any
//! subset of the changes (all that POSIX promises) or a prefix of them (what a journal does). One
//! rename is one change, also across directories: it happens or it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path};
use std::sync::Arc;

/// A file or a directory, whatever it is called.
pub type NodeId = u32;
/// The directory that is always there.
pub const ROOT: NodeId = 0;
/// A name in a directory.
pub type Key = (NodeId, OsString);

type Dir = BTreeMap<OsString, NodeId>;

/// Which name stands for which node. Directories are shared with the trees that this one was
/// cloned from until they change.
#[derive(Clone, Debug, Default)]
pub struct Tree(BTreeMap<NodeId, Arc<Dir>>);

impl Tree {
    pub fn get(&self, dir: NodeId, name: &OsStr) -> Option<NodeId> {
        self.0.get(&dir)?.get(name).copied()
    }

    /// The names in one directory, in byte order.
    pub fn list(&self, dir: NodeId) -> impl Iterator<Item = (&OsStr, NodeId)> {
        let names = self.0.get(&dir).into_iter();
        names.flat_map(|names| names.iter().map(|(name, node)| (name.as_os_str(), *node)))
    }

    /// All names, with their directories.
    pub fn all(&self) -> impl Iterator<Item = (NodeId, &OsStr, NodeId)> {
        let dirs = self.0.iter();
        dirs.flat_map(|(dir, names)| {
            names.iter().map(|(name, node)| (*dir, name.as_os_str(), *node))
        })
    }

    pub fn apply(&mut self, op: &NameOp) {
        for ((dir, name), node) in &op.edits {
            let names = Arc::make_mut(self.0.entry(*dir).or_default());
            match node {
                Some(node) => names.insert(name.clone(), *node),
                None => names.remove(name),
            };
        }
    }
}

/// One change, as the names that it sets or takes away.
#[derive(Clone, Debug)]
pub struct NameOp {
    pub edits: Vec<(Key, Option<NodeId>)>,
    /// A directory sync that covered it failed: no later one makes it durable.
    given_up: bool,
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
                node = self.current.get(node, name).ok_or_else(not_found)?;
            }
        }
        Ok(node)
    }

    /// The directory and the name that a path means; the name need not exist.
    pub fn place<'a>(&self, path: &'a Path) -> io::Result<(NodeId, &'a OsStr)> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(not_found());
        };
        Ok((self.find(parent)?, name))
    }

    /// Gives names to nodes, or takes them away, as one change.
    pub fn change(&mut self, edits: &[(NodeId, &OsStr, Option<NodeId>)]) {
        let edits = edits.iter().map(|(dir, name, node)| ((*dir, (*name).to_owned()), *node));
        let op = NameOp { edits: edits.collect(), given_up: false };
        self.current.apply(&op);
        self.pending.push(op);
    }

    /// Makes the changes in one directory durable, and those that they rest on: earlier changes of
    /// the same names in other directories.
    pub fn sync(&mut self, dir: NodeId) {
        self.sync_where(|(parent, _)| *parent == dir);
    }

    pub fn sync_all(&mut self) {
        self.sync_where(|_| true);
    }

    fn sync_where(&mut self, covered: impl Fn(&Key) -> bool) {
        if self.pending.is_empty() {
            return;
        }
        let mut needed: BTreeSet<Key> = BTreeSet::new();
        let mut chosen = vec![false; self.pending.len()];
        for (index, op) in self.pending.iter().enumerate().rev() {
            let here = !op.given_up && op.edits.iter().any(|(key, _)| covered(key));
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
                durable.apply(op);
            }
            !done
        });
    }

    pub fn fail_sync(&mut self, dir: NodeId) {
        for op in &mut self.pending {
            if op.edits.iter().any(|(key, _)| key.0 == dir) {
                op.given_up = true;
            }
        }
    }
}
