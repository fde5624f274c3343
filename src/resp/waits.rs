//! The clients that are blocked: for which names, in which order, until when.

use super::context::Wait;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

/// A blocked client.
pub(crate) struct Waiting {
    /// The names in the store that it waits for, each once.
    pub(crate) names: Vec<Vec<u8>>,
    /// The place in the table of its command.
    pub(crate) line: usize,
    pub(crate) wait: Wait,
}

/// See the module. Clients are named by their places.
#[derive(Default)]
pub(crate) struct Waits {
    /// Each with its turn in all of its queues.
    by_client: HashMap<usize, (u64, Waiting)>,
    /// Who waits for a name, by turn.
    queues: BTreeMap<Vec<u8>, BTreeMap<u64, usize>>,
    next_turn: u64,
    /// When something is to be done about a client.
    times: BTreeSet<(Instant, usize)>,
    changed: bool,
}

impl Waits {
    pub(crate) fn len(&self) -> usize {
        self.by_client.len()
    }

    /// Lines up at the end of the queues of all its names.
    pub(crate) fn add(&mut self, client: usize, waiting: Waiting) {
        self.changed = true;
        self.next_turn += 1;
        let turn = self.next_turn;
        for name in &waiting.names {
            match self.queues.get_mut(name) {
                Some(queue) => _ = queue.insert(turn, client),
                None => _ = self.queues.insert(name.clone(), BTreeMap::from([(turn, client)])),
            }
        }
        for time in times_of(&waiting) {
            self.times.insert((time, client));
        }
        self.by_client.insert(client, (turn, waiting));
    }

    pub(crate) fn remove(&mut self, client: usize) -> Option<Waiting> {
        let (turn, waiting) = self.by_client.remove(&client)?;
        self.changed = true;
        for name in &waiting.names {
            if let Some(queue) = self.queues.get_mut(name) {
                queue.remove(&turn);
                if queue.is_empty() {
                    self.queues.remove(name);
                }
            }
        }
        for time in times_of(&waiting) {
            self.times.remove(&(time, client));
        }
        Some(waiting)
    }

    /// Whether anybody has come or gone since the last call.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Who waits for a name, in order.
    pub(crate) fn queue(&self, name: &[u8]) -> Vec<usize> {
        self.queues.get(name).map(|queue| queue.values().copied().collect()).unwrap_or_default()
    }

    pub(crate) fn get(&self, client: usize) -> Option<&Waiting> {
        self.by_client.get(&client).map(|(_, waiting)| waiting)
    }

    /// When something is due next.
    pub(crate) fn next_time(&self) -> Option<Instant> {
        self.times.first().map(|(time, _)| *time)
    }

    /// The clients of which a time has come, in the order of the times.
    pub(crate) fn due(&self, now: Instant) -> Vec<usize> {
        let past = self.times.iter().take_while(|(time, _)| *time <= now);
        past.map(|(_, client)| *client).collect()
    }

    /// All names that somebody waits for.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.queues.keys()
    }
}

fn times_of(waiting: &Waiting) -> impl Iterator<Item = Instant> + use<> {
    [waiting.wait.until, waiting.wait.again_at].into_iter().flatten()
}
