//! Calls that have to do with what groups reference, and deliveries that are given back.

use super::*;
use crate::options::{Deletion, NackMode, NackOptions, RefPolicy};

fn policy(input: &mut Input<'_>) -> RefPolicy {
    match input.byte() % 3 {
        0 => RefPolicy::KeepRef,
        1 => RefPolicy::DelRef,
        _ => RefPolicy::Acked,
    }
}

impl Model {
    fn is_referenced(&self, id: EntryId) -> bool {
        self.groups.values().any(|group| id > group.cursor || group.pending.contains_key(&id))
    }

    fn release(&mut self, id: EntryId) {
        self.groups.values_mut().for_each(|group| _ = group.pending.remove(&id));
    }
}

impl Run {
    pub(super) fn nack(&mut self, input: &mut Input<'_>) {
        let Some((group, _, handle)) = self.consumer(input) else {
            return;
        };
        let ids = self.some_pending(group, input);
        let force = input.byte().is_multiple_of(2);
        let (mode, less) = match input.byte() % 2 {
            0 => (NackMode::Silent, 1),
            _ => (NackMode::Fail, 0),
        };
        let options = NackOptions { retry_count: None, force };
        let count = handle.group().nack_with(ids.iter().copied(), mode, options).unwrap();
        let mut wanted = 0;
        let Model { groups, entries, .. } = &mut self.model;
        let of = groups.get_mut(&group).unwrap();
        for id in ids {
            let deliveries = match of.pending.get(&id) {
                Some((_, deliveries)) => deliveries.saturating_sub(less),
                None if force && entries.contains_key(&id) => 0,
                None => continue,
            };
            of.pending.insert(id, (NOBODY, deliveries));
            wanted += 1;
        }
        assert_eq!(count, wanted);
    }

    pub(super) fn ack_delete(&mut self, input: &mut Input<'_>) {
        let Some((group, _, handle)) = self.consumer(input) else {
            return;
        };
        let (ids, policy) = (self.some_pending(group, input), policy(input));
        let told = handle.group().ack_delete(ids.iter().copied(), policy).unwrap();
        for (id, told) in ids.iter().zip(told) {
            let of = self.model.groups.get_mut(&group).unwrap();
            if of.pending.remove(id).is_none() {
                assert_eq!(told, Deletion::NotFound);
                continue;
            }
            if policy == RefPolicy::Acked && self.model.is_referenced(*id) {
                assert_eq!(told, Deletion::Referenced);
                continue;
            }
            assert_eq!(told, Deletion::Deleted);
            self.model.entries.remove(id);
            if policy == RefPolicy::DelRef {
                self.model.release(*id);
            }
        }
    }

    pub(super) fn delete_with(&mut self, input: &mut Input<'_>) {
        let ids: Vec<EntryId> = (0..input.byte() % 5).filter_map(|_| self.some(input)).collect();
        let policy = policy(input);
        let told = self.stream().delete_with(ids.iter().copied(), policy).unwrap();
        for (id, told) in ids.iter().zip(told) {
            if policy == RefPolicy::Acked && self.model.is_referenced(*id) {
                assert_eq!(told, Deletion::Referenced);
                continue;
            }
            let there = self.model.entries.remove(id).is_some();
            assert_eq!(told, if there { Deletion::Deleted } else { Deletion::NotFound });
            if policy == RefPolicy::DelRef {
                self.model.release(*id);
            }
        }
    }

    /// To an ID: what goes then does not depend on blocks.
    pub(super) fn trim_with(&mut self, input: &mut Input<'_>) {
        let min = self.some(input).unwrap_or(EntryId::new(3, 3));
        let policy = policy(input);
        let removed = self.stream().trim(Trim::min_id(min).references(policy)).unwrap();
        let below: Vec<EntryId> = self.model.entries.range(..min).map(|(id, _)| *id).collect();
        let mut gone = 0;
        for id in below {
            if policy == RefPolicy::Acked && self.model.is_referenced(id) {
                continue;
            }
            self.model.entries.remove(&id);
            gone += 1;
            if policy == RefPolicy::DelRef {
                self.model.release(id);
            }
        }
        assert_eq!(removed, gone);
    }
}
