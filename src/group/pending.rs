//! The pending entries list of one group: its records by ID, and the IDs of each owner.
//!
//! Everything outside speaks of [`PendingRecord`]s; how they are kept is known here only.
//!
//! Invariants: an ID has at most one record; `owned` holds exactly the IDs of the records that
//! have an owner, each under that owner. A list in it that has become empty stays for the next
//! entry, until its owner goes. `zone` holds exactly the IDs of the others, in the order of their
//! turns: it costs groups nothing that never had any.

use crate::format::event::{ConsumerNumber, Ids, PendingRecord};
use crate::id::EntryId;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

mod blocks;
mod order;
mod row;
use blocks::{Blocks, Frozen};
use order::Order;

/// The largest delivery count; counting further stays there, as in Redis.
pub(crate) const MAX_COUNT: u64 = i64::MAX as u64;

#[derive(Clone, Debug, Default)]
pub(crate) struct PendingList {
    records: Blocks<PendingRecord>,
    owned: Owned,
    /// What was given back, by turn.
    zone: BTreeSet<(u64, EntryId)>,
    order: Order,
}

impl PartialEq for PendingList {
    fn eq(&self, other: &PendingList) -> bool {
        // The rest follows from them, but for sets that are empty.
        self.records == other.records
    }
}

impl Eq for PendingList {}

/// The records as they were at one moment. What changes meanwhile is copied then, block by block.
pub(crate) struct PendingCopy(Frozen<PendingRecord>);

impl PendingCopy {
    /// The records from a bound on, ascending.
    pub(crate) fn from(&self, first: Bound<EntryId>) -> impl Iterator<Item = PendingRecord> {
        self.0.from(first)
    }
}

impl PendingList {
    pub(crate) fn len(&self) -> u64 {
        self.records.len() as u64
    }

    /// How many records a consumer owns.
    pub(crate) fn len_of(&self, owner: ConsumerNumber) -> u64 {
        self.owned.get(&owner).map_or(0, |ids| ids.len() as u64)
    }

    pub(crate) fn first_id(&self) -> Option<EntryId> {
        self.records.first().map(|record| record.id)
    }

    pub(crate) fn last_id(&self) -> Option<EntryId> {
        self.records.last().map(|record| record.id)
    }

    /// How many records nobody owns.
    pub(crate) fn len_of_nobody(&self) -> u64 {
        self.zone.len() as u64
    }

    /// What nobody owns, in the order in which it was given back.
    pub(crate) fn given_back(&self) -> impl Iterator<Item = PendingRecord> {
        self.zone.iter().filter_map(|(_, id)| self.records.get(*id))
    }

    /// What somebody owns and was delivered up to this time, the longest ago first.
    pub(crate) fn by_time(&self, upto: u64) -> impl Iterator<Item = PendingRecord> {
        self.records.by_time(upto, |id| self.order.rank(id))
    }

    /// The turn of what is given back next.
    pub(crate) fn next_turn(&self) -> u64 {
        self.zone.last().map_or(1, |(turn, _)| turn.saturating_add(1))
    }

    pub(crate) fn get(&self, id: EntryId) -> Option<PendingRecord> {
        self.records.get(id)
    }

    #[inline]
    pub(crate) fn contains(&self, id: EntryId) -> bool {
        self.records.contains(id)
    }

    /// The records from an ID on, ascending.
    pub(crate) fn from(&self, first: EntryId) -> impl Iterator<Item = PendingRecord> {
        self.records.from(Bound::Included(first))
    }

    /// A copy that costs a list of pointers.
    pub(crate) fn copy(&mut self) -> PendingCopy {
        PendingCopy(self.records.freeze())
    }

    /// The IDs of a consumer's records from a bound on, ascending.
    pub(crate) fn ids_of(
        &self,
        owner: ConsumerNumber,
        first: Bound<EntryId>,
    ) -> impl Iterator<Item = EntryId> {
        let ids = self.owned.get(&owner);
        ids.into_iter().flat_map(move |ids| ids.from(first))
    }

    /// Puts a record in that was claimed: it comes behind all with the same time.
    pub(crate) fn take_over(&mut self, record: PendingRecord) {
        self.put_in(record);
        self.order.come(record.time_ms, &[record.id]);
    }

    /// Puts a record in, in place of the one of the same ID if there is one.
    pub(crate) fn put(&mut self, record: PendingRecord) {
        self.put_in(record);
        if record.owner.is_some() {
            self.order.is_there(record.time_ms);
        }
    }

    fn put_in(&mut self, record: PendingRecord) {
        self.order.forget(&[record.id]);
        let before = self.records.put(record);
        if let Some(before) = before {
            match before.owner {
                None => _ = self.zone.remove(&(before.time_ms, before.id)),
                owner if owner == record.owner => return,
                owner => disown(&mut self.owned, owner, &[record.id]),
            }
        }
        match record.owner {
            None => _ = self.zone.insert((record.time_ms, record.id)),
            Some(owner) => _ = self.owned.entry(owner).or_default().put(record.id),
        }
    }

    /// Gives new entries to a consumer: a record of count 1 for each, whatever was there before.
    pub(crate) fn deliver(&mut self, owner: ConsumerNumber, time_ms: u64, ids: &[EntryId]) {
        let record =
            |id: &EntryId| PendingRecord { id: *id, owner: Some(owner), time_ms, count: 1 };
        let Some(first) = ids.first() else { return };
        let behind = self.last_id().is_none_or(|last| last < *first);
        if !behind || !ids.is_sorted_by(|a, b| a < b) {
            // Where a cursor was set back.
            ids.iter().for_each(|id| self.take_over(record(id)));
            return;
        }
        self.order.come(time_ms, ids);
        let own = self.owned.entry(owner).or_default();
        self.records.append(ids.iter().map(record), time_ms);
        own.append(ids.iter().copied(), u64::MAX);
    }

    /// The same for one.
    #[inline]
    pub(crate) fn deliver_one(&mut self, owner: ConsumerNumber, time_ms: u64, id: EntryId) {
        let record = PendingRecord { id, owner: Some(owner), time_ms, count: 1 };
        if self.last_id().is_some_and(|last| last >= id) {
            return self.take_over(record);
        }
        self.order.come(time_ms, &[id]);
        self.records.push(record);
        match self.owned.get_mut(&owner) {
            Some(own) => own.push(id),
            None => _ = self.owned.entry(owner).or_default().put(id),
        }
    }

    /// Counts one more delivery of a record to its owner; nothing if it is another's.
    pub(crate) fn redeliver(&mut self, owner: ConsumerNumber, time_ms: u64, id: EntryId) {
        let mut came = false;
        self.records.update(id, |record| {
            if record.owner == Some(owner) {
                record.time_ms = time_ms;
                record.count = more(record.count);
                came = true;
            }
        });
        if came {
            self.order.forget(&[id]);
            self.order.come(time_ms, &[id]);
        }
    }

    /// Those of some ascending IDs that have records.
    pub(crate) fn among(&self, ids: &[EntryId]) -> Ids {
        if let [id] = ids {
            return self.records.get(*id).map(|record| record.id).into_iter().collect();
        }
        let mut found = Vec::with_capacity(ids.len());
        self.records.find_all(ids, |record| found.push(record.id));
        found.into()
    }

    /// Takes records out; IDs without one are passed over. Runs of neighbours go in one step.
    pub(crate) fn remove(&mut self, ids: &[EntryId]) {
        if let [id] = ids {
            return self.remove_one(*id);
        }
        let PendingList { records, owned, zone, order } = self;
        order.forget(ids);
        if !zone.is_empty() {
            records.find_all(ids, |record| {
                if record.owner.is_none() {
                    zone.remove(&(record.time_ms, record.id));
                }
            });
        }
        let (mut owner, mut start, mut at) = (None, 0, 0);
        records.remove_all(ids, |record| {
            while ids.get(at).is_some_and(|id| *id != record.id) {
                at += 1;
            }
            if record.owner != owner {
                disown(owned, owner, ids.get(start..at).unwrap_or_default());
                (owner, start) = (record.owner, at);
            }
            at += 1;
        });
        disown(owned, owner, ids.get(start..at).unwrap_or_default());
    }

    #[inline]
    pub(crate) fn remove_one(&mut self, id: EntryId) {
        self.order.forget(&[id]);
        match self.records.take(id) {
            Some(PendingRecord { owner: Some(owner), .. }) => {
                self.owned.get_mut(&owner).map(|own| own.take(id));
            }
            Some(record) => _ = self.zone.remove(&(record.time_ms, id)),
            None => {}
        }
    }

    /// Takes out all records of a consumer.
    pub(crate) fn remove_owner(&mut self, owner: ConsumerNumber) {
        if let Some(ids) = self.owned.remove(&owner) {
            let ids: Vec<EntryId> = ids.iter().collect();
            self.order.forget(&ids);
            self.records.remove_all(&ids, drop);
        }
    }
}

type Owned = BTreeMap<ConsumerNumber, Blocks<EntryId>>;

/// Takes those of some IDs out of an owner's list that are in it.
fn disown(owned: &mut Owned, owner: Option<ConsumerNumber>, ids: &[EntryId]) {
    if let Some(own) = owner.and_then(|owner| owned.get_mut(&owner)) {
        own.remove_all(ids, drop);
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
        list.ids_of(owner, Bound::Unbounded).map(|id| id.ms).collect()
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
    }

    #[test]
    fn removing_an_owner_leaves_what_nobody_owns() {
        let mut list = PendingList::default();
        list.deliver(1, 5, &[id(1), id(3)]);
        list.put(record(2, None));
        list.remove_owner(1);
        assert_eq!(list.from(EntryId::MIN).count(), 1);
        assert_eq!(list.len_of_nobody(), 1);
        list.remove(&[id(1), id(2), id(2)]);
        assert_eq!(list.len_of_nobody(), 0);
        assert_eq!(list, PendingList::default());
    }

    #[test]
    fn what_several_own_is_taken_out_at_once() {
        let mut list = PendingList::default();
        list.deliver(1, 5, &[id(1), id(2)]);
        list.deliver(2, 5, &[id(3), id(5)]);
        list.put(record(7, None));
        list.deliver(1, 5, &[id(8), id(9)]);
        assert_eq!(&*list.among(&[id(2), id(4), id(5), id(9)]), [id(2), id(5), id(9)]);
        list.remove(&[id(2), id(3), id(4), id(5), id(6), id(7), id(8)]);
        assert_eq!((of(&list, 1), of(&list, 2)), (vec![1, 9], vec![]));
        assert_eq!((list.len_of(1), list.len_of(2), list.len()), (2, 0, 2));
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
