//! The reference's rules: who is referenced, what is claimed in which order, how counters move.

use super::state::{Group, Id, MOST, Model, Record, shown};

impl Model {
    fn deleted_from(&self, start: Id) -> bool {
        !self.entries.is_empty() && self.max_deleted != (0, 0) && start <= self.max_deleted
    }

    /// How many entries there ever were up to this one, if that can be known.
    fn distance(&self, id: Id) -> Option<i64> {
        let length = self.entries.len() as i64;
        match () {
            () if self.added == 0 => Some(0),
            () if length == 0 && id <= self.last => Some(self.added),
            () if id != (0, 0) && id < self.max_deleted => None,
            () if id == self.last => Some(self.added),
            () if id > self.last => None,
            () if self.max_deleted != (0, 0) && self.max_deleted >= self.first() => None,
            () if id < self.first() => Some(self.added - length),
            () if id == self.first() => Some(self.added - length + 1),
            () => None,
        }
    }

    pub(super) fn lag(&self, group: &Group) -> Option<i64> {
        if self.added == 0 || self.entries.is_empty() {
            return Some(0);
        }
        if group.last < self.first() && self.max_deleted < self.first() {
            return Some(self.entries.len() as i64);
        }
        let known = group.read.filter(|_| !self.deleted_from(group.last));
        // Redis shows less than nothing where a counter was set too high; ours stops at nothing.
        known.or_else(|| self.distance(group.last)).map(|read| (self.added - read).max(0))
    }

    fn read_after(&self, group: &Group, id: Id) -> Option<i64> {
        match group.read {
            Some(read) if group.last >= self.first() && !self.deleted_from(group.last) => {
                Some(read + 1)
            }
            _ if self.added > 0 => self.distance(id),
            known => known,
        }
    }

    pub(super) fn is_referenced(&self, id: Id) -> bool {
        self.groups.values().any(|group| id > group.last || group.pending.contains_key(&id))
    }

    /// An entry is deleted; whether there was one.
    pub(super) fn delete(&mut self, id: Id) -> bool {
        let was = self.entries.remove(&id);
        if was {
            self.max_deleted = self.max_deleted.max(id);
        }
        was
    }

    /// No group has a record of it any more.
    pub(super) fn forget(&mut self, id: Id) {
        self.groups.values_mut().for_each(|group| _ = group.pending.remove(&id));
    }

    /// Records of which the oldest come first; those that were given back before all others.
    pub(super) fn rank(&self, group: &str, id: Id) -> (bool, u64) {
        let record = self.groups.get(group).and_then(|group| group.pending.get(&id));
        record.map_or((true, 0), |record| (record.owner.is_some(), MOST as u64 - record.age))
    }

    /// All that a read may claim, in order.
    pub(super) fn claimable(&self, group: &str) -> Vec<Id> {
        let Some(state) = self.groups.get(group) else { return Vec::new() };
        let lives = state.pending.iter().filter(|(id, _)| self.entries.contains(id));
        let mut all: Vec<_> =
            lives.map(|(id, record)| (self.rank(group, *id), record.turn, *id)).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, _, id)| id).collect()
    }

    /// A read claims these; gives what it tells of each.
    pub(super) fn claim(&mut self, group: &str, consumer: &str, ids: &[Id]) -> Vec<String> {
        let mut told = Vec::new();
        for id in ids {
            let turn = self.next_turn();
            let Some(state) = self.groups.get_mut(group) else { continue };
            let Some(record) = state.pending.get_mut(id) else { continue };
            let idle = match record.owner {
                // All the time since 1970.
                None => ":1000000000000..99999999999999".to_owned(),
                Some(_) => format!(":{}..{}", record.age, record.age + 900_000),
            };
            told.push(shown(*id, Some(&format!("{idle} :{}", record.count))));
            let count = record.count.saturating_add(1);
            *record = Record { owner: Some(consumer.to_owned()), count, age: 0, turn };
            state.consumers.insert(consumer.to_owned());
        }
        told
    }

    /// The next entries are delivered as new ones.
    pub(super) fn deliver(
        &mut self,
        group: &str,
        consumer: &str,
        most: usize,
        no_ack: bool,
    ) -> Vec<Id> {
        let mut given = Vec::new();
        while given.len() < most {
            let turn = self.next_turn();
            let Some(state) = self.groups.get(group) else { break };
            let Some(id) = self.entries.iter().copied().find(|id| *id > state.last) else { break };
            let read = self.read_after(state, id);
            let Some(state) = self.groups.get_mut(group) else { break };
            (state.read, state.last) = (read, id);
            if !no_ack {
                let owner = Some(consumer.to_owned());
                state.pending.insert(id, Record { owner, count: 1, age: 0, turn });
            }
            given.push(id);
        }
        if let Some(state) = self.groups.get_mut(group) {
            state.consumers.insert(consumer.to_owned());
        }
        given
    }
}
