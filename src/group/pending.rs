//! The pending entries list of one group: its records by ID, and the IDs of each owner.
//!
//! Everything outside speaks of [`PendingRecord`]s; how they are kept is known here only and may
//! become denser.
//!
//! Invariants: an ID has at most one record; `owned` holds exactly the IDs of the records that
//! have an owner, each under that owner; no set in `owned` is empty.

use crate::format::event::{ConsumerNumber, PendingRecord};
use crate::id::EntryId;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// The largest delivery count; counting further stays there, as in Redis.
pub(crate) const MAX_COUNT: u64 = i64::MAX as u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    time_ms: u64,
    count: u64,
    owner: Option<ConsumerNumber>,
}

impl Slot {
    fn record(self, id: EntryId) -> PendingRecord {
        PendingRecord { id, owner: self.owner, time_ms: self.time_ms, count: self.count }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PendingList {
    by_id: BTreeMap<EntryId, Slot>,
    owned: BTreeMap<ConsumerNumber, BTreeSet<EntryId>>,
}

impl PendingList {
    pub(crate) fn len(&self) -> u64 {
        self.by_id.len() as u64
    }

    /// How many records a consumer owns.
    pub(crate) fn len_of(&self, owner: ConsumerNumber) -> u64 {
        self.owned.get(&owner).map_or(0, |ids| ids.len() as u64)
    }

    pub(crate) fn first_id(&self) -> Option<EntryId> {
        self.by_id.first_key_value().map(|(id, _)| *id)
    }

    pub(crate) fn last_id(&self) -> Option<EntryId> {
        self.by_id.last_key_value().map(|(id, _)| *id)
    }

    pub(crate) fn get(&self, id: EntryId) -> Option<PendingRecord> {
        self.by_id.get(&id).map(|slot| slot.record(id))
    }

    pub(crate) fn contains(&self, id: EntryId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// The records from an ID on, ascending.
    pub(crate) fn from(&self, first: EntryId) -> impl Iterator<Item = PendingRecord> {
        self.by_id.range(first..).map(|(id, slot)| slot.record(*id))
    }

    /// The IDs of a consumer's records within these bounds, ascending.
    pub(crate) fn ids_of(
        &self,
        owner: ConsumerNumber,
        bounds: (Bound<EntryId>, Bound<EntryId>),
    ) -> impl Iterator<Item = EntryId> {
        let ids = self.owned.get(&owner);
        ids.into_iter().flat_map(move |ids| ids.range(bounds)).copied()
    }

    /// Puts a record in, in place of the one of the same ID if there is one.
    pub(crate) fn put(&mut self, record: PendingRecord) {
        let PendingRecord { id, owner, .. } = record;
        let slot = Slot { time_ms: record.time_ms, count: record.count, owner };
        let before = self.by_id.insert(id, slot);
        if let Some(before) = before {
            if before.owner == owner {
                return;
            }
            self.disown(id, before.owner);
        }
        if let Some(owner) = owner {
            self.owned.entry(owner).or_default().insert(id);
        }
    }

    /// Gives new entries to a consumer: a record of count 1 for each, whatever was there before.
    pub(crate) fn deliver(&mut self, owner: ConsumerNumber, time_ms: u64, ids: &[EntryId]) {
        if ids.is_empty() {
            return;
        }
        // Looked up once, not per entry; that is why the set is out of the map for a while.
        let mut own = self.owned.remove(&owner).unwrap_or_default();
        let slot = Slot { time_ms, count: 1, owner: Some(owner) };
        for id in ids {
            let before = self.by_id.insert(*id, slot);
            if let Some(before) = before.filter(|before| before.owner != slot.owner) {
                self.disown(*id, before.owner);
            }
            own.insert(*id);
        }
        self.owned.insert(owner, own);
    }

    /// Counts one more delivery of a record to its owner; nothing if it is another's.
    pub(crate) fn redeliver(&mut self, owner: ConsumerNumber, time_ms: u64, id: EntryId) {
        if let Some(slot) = self.by_id.get_mut(&id)
            && slot.owner == Some(owner)
        {
            slot.time_ms = time_ms;
            slot.count = more(slot.count);
        }
    }

    /// Takes a record out; false if there is none.
    pub(crate) fn remove(&mut self, id: EntryId) -> bool {
        let Some(slot) = self.by_id.remove(&id) else {
            return false;
        };
        self.disown(id, slot.owner);
        true
    }

    /// Takes out all records of a consumer.
    pub(crate) fn remove_owner(&mut self, owner: ConsumerNumber) {
        for id in self.owned.remove(&owner).unwrap_or_default() {
            self.by_id.remove(&id);
        }
    }

    fn disown(&mut self, id: EntryId, owner: Option<ConsumerNumber>) {
        let Some(owner) = owner else { return };
        if let Some(ids) = self.owned.get_mut(&owner) {
            ids.remove(&id);
            if ids.is_empty() {
                self.owned.remove(&owner);
            }
        }
    }
}

/// One delivery more.
pub(crate) fn more(count: u64) -> u64 {
    count.saturating_add(1).min(MAX_COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> EntryId {
        EntryId::new(n, 0)
    }

    fn record(n: u64, owner: Option<u32>) -> PendingRecord {
        PendingRecord { id: id(n), owner, time_ms: n, count: 1 }
    }

    fn of(list: &PendingList, owner: u32) -> Vec<u64> {
        let all = (Bound::Unbounded, Bound::Unbounded);
        list.ids_of(owner, all).map(|id| id.ms).collect()
    }

    #[test]
    fn a_record_that_changes_its_owner_leaves_the_old_one() {
        let mut list = PendingList::default();
        list.deliver(1, 5, &[id(1), id(2), id(3)]);
        list.put(record(2, Some(2)));
        list.put(record(3, None));
        assert_eq!((of(&list, 1), of(&list, 2)), (vec![1], vec![2]));
        list.deliver(3, 9, &[id(1), id(2), id(3)]);
        assert_eq!(of(&list, 3), [1, 2, 3]);
        assert_eq!((list.len_of(1), list.len_of(2), list.len()), (0, 0, 3));
        assert!(!list.owned.contains_key(&1), "empty sets are not kept");
    }

    #[test]
    fn removing_an_owner_leaves_what_nobody_owns() {
        let mut list = PendingList::default();
        list.deliver(1, 5, &[id(1), id(3)]);
        list.put(record(2, None));
        list.remove_owner(1);
        assert_eq!(list.from(EntryId::MIN).count(), 1);
        assert!(list.remove(id(2)) && !list.remove(id(2)));
        assert_eq!(list, PendingList::default());
    }

    #[test]
    fn counts_stay_at_the_largest() {
        let mut list = PendingList::default();
        list.put(PendingRecord { count: MAX_COUNT, ..record(1, Some(1)) });
        list.redeliver(1, 7, id(1));
        list.redeliver(2, 8, id(1));
        let found = list.get(id(1)).unwrap();
        assert_eq!((found.count, found.time_ms), (MAX_COUNT, 7));
    }
}
