//! What is told of a stream's groups in full: XINFO STREAM FULL.

use super::counters::LogFacts;
use super::info::GroupInfo;
use super::state::{ConsumerState, GroupState, Groups};
use crate::format::event::PendingRecord;
use crate::id::EntryId;
use std::ops::Bound;

/// What XINFO STREAM FULL tells of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupDetails {
    /// What XINFO GROUPS tells.
    pub info: GroupInfo,
    /// How many pending entries were given back to the group and belong to no consumer
    /// (`nacked-count`).
    pub unowned: u64,
    /// The first pending entries, by ID.
    pub pending: Vec<PendingDetails>,
    /// All consumers, by name.
    pub consumers: Vec<ConsumerDetails>,
}

/// What XINFO STREAM FULL tells of one consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerDetails {
    /// The consumer's name.
    pub name: Vec<u8>,
    /// When it last tried to do anything, in milliseconds since 1970.
    pub seen_ms: u64,
    /// When it last obtained an entry, in milliseconds since 1970; `None` if it never did.
    pub active_ms: Option<u64>,
    /// How many entries are pending for it (`pel-count`).
    pub pending_count: u64,
    /// The first of these, by ID.
    pub pending: Vec<PendingDetails>,
}

/// What XINFO STREAM FULL tells of one pending entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingDetails {
    /// The entry's ID. The entry itself may be gone.
    pub id: EntryId,
    /// The consumer that has it; empty if it was given back to the group.
    pub consumer: Vec<u8>,
    /// When it was last delivered, in milliseconds since 1970; 0 if it was given back.
    pub delivered_ms: u64,
    /// How often it was delivered.
    pub deliveries: u64,
}

impl Groups {
    /// All groups, by name, with at most `most` records of each list.
    pub(crate) fn details(&self, facts: &LogFacts, most: usize) -> Vec<GroupDetails> {
        self.by_name().map(|group| group.details(facts, most)).collect()
    }
}

impl GroupState {
    fn details(&self, facts: &LogFacts, most: usize) -> GroupDetails {
        let first = self.pending.from(EntryId::MIN).take(most);
        GroupDetails {
            info: self.info(facts),
            unowned: self.pending.len_of_nobody(),
            pending: first.map(|record| self.record_details(&record)).collect(),
            consumers: self.consumers_by_name().map(|one| self.of_consumer(one, most)).collect(),
        }
    }

    fn of_consumer(&self, consumer: &ConsumerState, most: usize) -> ConsumerDetails {
        let own = self.pending.ids_of(consumer.number, Bound::Unbounded);
        let first = own.take(most).filter_map(|id| self.pending.get(id));
        ConsumerDetails {
            name: consumer.name.to_vec(),
            seen_ms: consumer.seen_ms,
            active_ms: consumer.active_ms,
            pending_count: self.pending.len_of(consumer.number),
            pending: first.map(|record| self.record_details(&record)).collect(),
        }
    }

    fn record_details(&self, record: &PendingRecord) -> PendingDetails {
        PendingDetails {
            id: record.id,
            consumer: self.owner_name(record),
            delivered_ms: record.owner.map_or(0, |_| record.time_ms),
            deliveries: record.count,
        }
    }
}
