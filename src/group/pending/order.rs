//! In which order records came that have the same time of delivery.
//!
//! Records are claimed by their times, and those of one millisecond in the order in which they came
//! to have it. Nearly always that is the order of their IDs; what came otherwise has a rank here.
//! Where the state is read back from a checkpoint, all of them are in the order of their IDs, as in
//! Redis.

use crate::id::EntryId;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    /// The latest time that a record came to have.
    latest: u64,
    /// The last ID that came with it.
    last: EntryId,
    /// Records with that time have ranks.
    ranked: bool,
    ranks: BTreeMap<EntryId, u64>,
    next: u64,
}

impl Order {
    /// Records come to have this time, in this order, which ascends.
    pub(super) fn come(&mut self, time: u64, ids: &[EntryId]) {
        let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return };
        if time > self.latest {
            (self.latest, self.ranked) = (time, false);
        } else if time < self.latest || self.ranked || *first <= self.last {
            self.ranked |= time == self.latest;
            for id in ids {
                self.next += 1;
                self.ranks.insert(*id, self.next);
            }
        }
        if time == self.latest {
            self.last = *last;
        }
    }

    /// A record is read back.
    pub(super) fn is_there(&mut self, time: u64) {
        if time >= self.latest {
            (self.latest, self.ranked) = (time, true);
        }
    }

    /// Records go, or come to have another time.
    pub(super) fn forget(&mut self, ids: &[EntryId]) {
        if !self.ranks.is_empty() {
            ids.iter().for_each(|id| _ = self.ranks.remove(id));
        }
    }

    /// Of records with the same time and rank the one with the lower ID comes first.
    pub(super) fn rank(&self, id: EntryId) -> u64 {
        self.ranks.get(&id).copied().unwrap_or(0)
    }
}
