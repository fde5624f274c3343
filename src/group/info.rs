//! What is told of groups, consumers and pending entries: XINFO and XPENDING.

use super::claim::millis;
use super::counters::LogFacts;
use super::state::{ConsumerState, GroupState, Groups};
use crate::error::Result;
use crate::format::event::PendingRecord;
use crate::id::EntryId;
use crate::options::PendingFilter;
use std::ops::Bound;
use std::time::Duration;

/// Of so many pending records it is asked whether their entries are gone; the next one holds back
/// what lies behind, be its entry there or not.
const MOST_GONE: usize = 1_000;

/// What XINFO GROUPS tells of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupInfo {
    /// The group's name.
    pub name: Vec<u8>,
    /// How many consumers it has.
    pub consumers: usize,
    /// How many entries are pending.
    pub pending: u64,
    /// The last-delivered ID.
    pub last_delivered_id: EntryId,
    /// How many of the stream's entries the group has read, if that can be told.
    pub entries_read: Option<u64>,
    /// How many it has still to read, if that can be told.
    pub lag: Option<u64>,
}

/// What XINFO CONSUMERS tells of one consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerInfo {
    /// The consumer's name.
    pub name: Vec<u8>,
    /// How many entries are pending for it.
    pub pending: u64,
    /// The time since it last tried to do anything.
    pub idle: Duration,
    /// The time since it last obtained an entry; `None` if it never did.
    pub inactive: Option<Duration>,
}

/// What XPENDING tells of a group as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingSummary {
    /// How many entries are pending.
    pub count: u64,
    /// The lowest pending ID.
    pub first: Option<EntryId>,
    /// The highest pending ID.
    pub last: Option<EntryId>,
    /// The consumers that have any, by name, with how many each has. Entries that were given back
    /// belong to none of them.
    pub consumers: Vec<(Vec<u8>, u64)>,
}

/// What XPENDING tells of one pending entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pending {
    /// The entry's ID. The entry itself may be gone.
    pub id: EntryId,
    /// The consumer that has it; empty if it was given back to the group.
    pub consumer: Vec<u8>,
    /// The time since it was last delivered; zero if it was given back.
    pub idle: Duration,
    /// How often it was delivered.
    pub deliveries: u64,
    /// Whether it was given back and belongs to nobody: Redis shows an `idle` of -1 then.
    pub unowned: bool,
}

fn since(now: u64, time_ms: u64) -> Duration {
    Duration::from_millis(now.saturating_sub(time_ms))
}

impl Groups {
    /// Up to where every group was given all entries above `trimmed` and has acknowledged those
    /// that live; `None` without groups.
    pub(crate) fn settled(
        &self,
        trimmed: EntryId,
        lives: &mut dyn FnMut(EntryId) -> Result<bool>,
    ) -> Result<Option<EntryId>> {
        let mut least = None;
        for group in self.by_number() {
            least = [Some(group.settled(trimmed, lives)?), least].into_iter().flatten().min();
        }
        Ok(least)
    }

    /// XINFO GROUPS, by name.
    pub(crate) fn infos(&self, facts: &LogFacts) -> Vec<GroupInfo> {
        self.by_name().map(|group| group.info(facts)).collect()
    }
}

impl GroupState {
    fn settled(
        &self,
        trimmed: EntryId,
        lives: &mut dyn FnMut(EntryId) -> Result<bool>,
    ) -> Result<EntryId> {
        let above = self.pending.from(trimmed.next().unwrap_or(EntryId::MAX));
        for (n, record) in above.enumerate().take_while(|(_, record)| record.id <= self.last_id) {
            if n == MOST_GONE || lives(record.id)? {
                return Ok(record.id.prev().unwrap_or_default());
            }
        }
        Ok(self.last_id)
    }

    pub(crate) fn info(&self, facts: &LogFacts) -> GroupInfo {
        GroupInfo {
            name: self.name.to_vec(),
            consumers: self.consumers.len(),
            pending: self.pending.len(),
            last_delivered_id: self.last_id,
            entries_read: self.entries_read,
            lag: facts.lag(self.entries_read, self.last_id),
        }
    }

    /// XINFO CONSUMERS, by name.
    pub(crate) fn consumer_infos(&self, now: u64) -> Vec<ConsumerInfo> {
        let info = |consumer: &ConsumerState| ConsumerInfo {
            name: consumer.name.to_vec(),
            pending: self.pending.len_of(consumer.number),
            idle: since(now, consumer.seen_ms),
            inactive: consumer.active_ms.map(|active| since(now, active)),
        };
        self.consumers_by_name().map(info).collect()
    }

    /// XPENDING without a range.
    pub(crate) fn pending_summary(&self) -> PendingSummary {
        let of = |consumer: &ConsumerState| {
            let count = self.pending.len_of(consumer.number);
            (count > 0).then(|| (consumer.name.to_vec(), count))
        };
        PendingSummary {
            count: self.pending.len(),
            first: self.pending.first_id(),
            last: self.pending.last_id(),
            consumers: self.consumers_by_name().filter_map(of).collect(),
        }
    }

    /// XPENDING with a range of IDs, both ends included.
    pub(crate) fn pending_range(
        &self,
        first: EntryId,
        last: EntryId,
        filter: &PendingFilter,
        now: u64,
    ) -> Vec<Pending> {
        let min_idle = millis(filter.min_idle);
        let passes = |record: &PendingRecord| {
            record.owner.is_none() || now.saturating_sub(record.time_ms) >= min_idle
        };
        let most = filter.count.unwrap_or(usize::MAX);
        if first > last {
            return Vec::new();
        }
        let Some(name) = &filter.consumer else {
            let within = self.pending.from(first).take_while(|record| record.id <= last);
            let found = within.filter(passes).take(most);
            return found.map(|record| self.told(&record, now)).collect();
        };
        let Some(consumer) = self.find_consumer(name) else {
            return Vec::new();
        };
        let own = self.pending.ids_of(consumer, Bound::Included(first));
        let own = own.take_while(|id| *id <= last);
        let found = own.filter_map(|id| self.pending.get(id)).filter(passes);
        found.take(most).map(|record| self.told(&record, now)).collect()
    }

    pub(super) fn owner_name(&self, record: &PendingRecord) -> Vec<u8> {
        let owner = record.owner.and_then(|owner| self.consumer(owner));
        owner.map_or_else(Vec::new, |owner| owner.name.to_vec())
    }

    fn told(&self, record: &PendingRecord, now: u64) -> Pending {
        Pending {
            id: record.id,
            consumer: self.owner_name(record),
            idle: record.owner.map_or(Duration::ZERO, |_| since(now, record.time_ms)),
            deliveries: record.count,
            unowned: record.owner.is_none(),
        }
    }
}
