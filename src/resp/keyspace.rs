//! What the server remembers of names: what was changed and is not on disk yet, who is to be told.
//!
//! All names here are the store's, with the database in them.

use super::expiry::Expiries;
use crate::planted;
use std::collections::{HashMap, HashSet};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Keyspace {
    /// Changes since the last save.
    pub(crate) dirty: u64,
    /// Names that blocked clients wait for, with how many do and how many of them want to hear of
    /// the end of a key.
    waited: HashMap<Vec<u8>, Waited>,
    /// Names that something has happened to, in that order, for the blocked clients.
    ready: Vec<(Vec<u8>, Event)>,
    /// The place of each name in `ready`.
    ready_at: HashMap<Vec<u8>, usize>,
    /// Who watches a name.
    watched: HashMap<Vec<u8>, Vec<usize>>,
    /// Whose transaction is broken.
    broken: Vec<usize>,
    /// Whether replies wait for the disk.
    pub(crate) strict: bool,
    /// What was changed since the last sync began.
    touched: HashSet<Vec<u8>>,
    /// Which sync will cover the last change of a name; those that are done are taken out.
    covered_by: HashMap<Vec<u8>, u64>,
    /// The number of the next sync that will begin.
    next_sync: u64,
    /// The last one that is done.
    synced: u64,
    /// The sync without which the present command's reply may not go out.
    needs: u64,
    /// Streams that have the node settings of CONFIG SET.
    laid_out: HashSet<Vec<u8>>,
    /// When names go.
    pub(crate) expiries: Expiries,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waited {
    pub(crate) clients: usize,
    pub(crate) on_no_key: usize,
}

/// What has happened to a name that clients are blocked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// There may be something to read.
    Ready,
    /// It is gone, or another stream has its place.
    Gone,
}

impl Keyspace {
    pub(crate) fn new() -> Keyspace {
        Keyspace { next_sync: 1, ..Keyspace::default() }
    }

    /// A command looks at a stream: its reply may not tell what a power cut can undo.
    pub(crate) fn note_read(&mut self, name: &[u8]) {
        if !self.covered_by.is_empty()
            && !planted::early_look()
            && let Some(sync) = self.covered_by.get(name)
        {
            self.needs = self.needs.max(*sync);
        }
    }

    /// A command looks at which streams there are.
    pub(crate) fn note_all(&mut self) {
        self.needs = self.covered_by.values().fold(self.needs, |most, sync| most.max(*sync));
    }

    /// A command has changed a stream.
    pub(crate) fn changed(&mut self, name: &[u8], n: u64) {
        if !self.watched.is_empty()
            && let Some(clients) = self.watched.remove(name)
        {
            self.broken.extend(clients);
        }
        self.kept_books(name, n);
    }

    /// A command has changed what a stream's groups know, which breaks no transaction.
    pub(crate) fn kept_books(&mut self, name: &[u8], n: u64) {
        self.dirty = self.dirty.saturating_add(n);
        if self.strict {
            self.needs = self.next_sync;
            if !self.touched.contains(name) {
                self.touched.insert(name.to_vec());
                self.covered_by.insert(name.to_vec(), self.next_sync);
            }
        }
    }

    /// There may be something for the clients that are blocked on a name.
    pub(crate) fn signal(&mut self, name: &[u8]) {
        self.push(name, Event::Ready);
    }

    /// A name stands for nothing any more.
    pub(crate) fn gone(&mut self, name: &[u8]) {
        self.laid_out.remove(name);
        self.expiries.set(name, None);
        self.push(name, Event::Gone);
    }

    fn push(&mut self, name: &[u8], event: Event) {
        if !self.is_waited(name) {
            return;
        }
        let at = self.ready_at.get(name);
        match at.and_then(|at| self.ready.get_mut(*at)) {
            // Another stream came in the place of one that went: that is for everybody.
            Some((_, known)) if event == Event::Ready => *known = event,
            Some(_) => {}
            None => {
                self.ready_at.insert(name.to_vec(), self.ready.len());
                self.ready.push((name.to_vec(), event));
            }
        }
    }

    /// The names that something has happened to since the last call.
    pub(crate) fn take_ready(&mut self) -> Vec<(Vec<u8>, Event)> {
        self.ready_at.clear();
        std::mem::take(&mut self.ready)
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether clients wait for a name.
    pub(crate) fn is_waited(&self, name: &[u8]) -> bool {
        self.waited.contains_key(name)
    }

    /// A client begins to wait for a name. Tells whether it is the first.
    pub(crate) fn begin_wait(&mut self, name: &[u8], on_no_key: bool) -> bool {
        let waited = self.waited.entry(name.to_vec()).or_default();
        waited.clients += 1;
        waited.on_no_key += usize::from(on_no_key);
        waited.clients == 1
    }

    /// Its end. Tells whether it was the last.
    pub(crate) fn end_wait(&mut self, name: &[u8], on_no_key: bool) -> bool {
        let Some(waited) = self.waited.get_mut(name) else { return false };
        waited.clients -= 1;
        waited.on_no_key -= usize::from(on_no_key);
        let last = waited.clients == 0;
        if last {
            self.waited.remove(name);
        }
        last
    }

    /// For INFO: names that clients wait for, and those where one of them waits for their end too.
    pub(crate) fn waited(&self) -> (usize, usize) {
        let on_no_key = self.waited.values().filter(|waited| waited.on_no_key > 0).count();
        (self.waited.len(), on_no_key)
    }

    pub(crate) fn watch(&mut self, name: &[u8], client: usize) {
        let clients = self.watched.entry(name.to_vec()).or_default();
        if !clients.contains(&client) {
            clients.push(client);
        }
    }

    pub(crate) fn unwatch(&mut self, name: &[u8], client: usize) {
        if let Some(clients) = self.watched.get_mut(name) {
            clients.retain(|other| *other != client);
            if clients.is_empty() {
                self.watched.remove(name);
            }
        }
    }

    /// Whose transactions were broken since the last call.
    pub(crate) fn take_broken(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.broken)
    }

    /// Before a command whose reply is looked at with [`Keyspace::needs`].
    pub(crate) fn begin_reply(&mut self) {
        self.needs = 0;
    }

    /// The sync without which the reply may not go out; `None` if there is nothing to wait for.
    pub(crate) fn needs(&self) -> Option<u64> {
        (self.needs > self.synced).then_some(self.needs)
    }

    /// Begins a sync: its number, and the names that it has to cover.
    pub(crate) fn begin_sync(&mut self) -> Option<(u64, Vec<Vec<u8>>)> {
        if self.touched.is_empty() {
            return None;
        }
        let number = self.next_sync;
        self.next_sync += 1;
        Some((number, self.touched.drain().collect()))
    }

    pub(crate) fn end_sync(&mut self, number: u64) {
        self.synced = self.synced.max(number);
        self.covered_by.retain(|_, sync| *sync > number);
    }

    /// Everything was made durable, whatever sync it waited for.
    pub(crate) fn end_all_syncs(&mut self) {
        self.touched.clear();
        self.end_sync(self.next_sync);
        self.next_sync += 1;
    }

    pub(crate) fn synced(&self) -> u64 {
        self.synced
    }

    /// Whether the node settings have to be given to a stream, which has them from now on.
    pub(crate) fn takes_nodes(&mut self, name: &[u8]) -> bool {
        !self.laid_out.contains(name) && self.laid_out.insert(name.to_vec())
    }

    /// The node settings were changed.
    pub(crate) fn forget_nodes(&mut self) {
        self.laid_out.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_in_the_place_of_what_went_is_for_everybody() {
        let mut space = Keyspace::new();
        space.begin_wait(b"k", false);
        space.gone(b"k");
        space.signal(b"k");
        space.gone(b"k");
        assert_eq!(space.take_ready(), [(b"k".to_vec(), Event::Ready)]);
        space.signal(b"other");
        assert!(!space.has_ready(), "nobody waits for it");
    }

    #[test]
    fn what_groups_know_breaks_no_transaction() {
        let mut space = Keyspace::new();
        space.watch(b"k", 7);
        space.kept_books(b"k", 2);
        assert!(space.take_broken().is_empty());
        space.changed(b"k", 1);
        assert_eq!((space.take_broken(), space.dirty), (vec![7], 3));
    }
}
