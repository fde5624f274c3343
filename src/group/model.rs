//! For tests: a log that is only a set of IDs, and groups driven over it.

use super::recover::Clamped;
use super::{Groups, LogFacts};
use crate::format::event::{Event, PendingRecord};
use crate::id::EntryId;
use crate::options::{ClaimOptions, NackMode, NackOptions, PendingFilter};
use std::collections::BTreeSet;
use std::time::Duration;

pub(super) fn id(ms: u64) -> EntryId {
    EntryId::new(ms, 0)
}

#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    pub(super) live: BTreeSet<EntryId>,
    pub(super) last_id: EntryId,
    pub(super) added: u64,
    pub(super) max_deleted: EntryId,
}

impl Log {
    pub(super) fn add(&mut self, id: EntryId) {
        assert!(id > self.last_id);
        self.live.insert(id);
        self.last_id = id;
        self.added += 1;
    }

    pub(super) fn delete(&mut self, id: EntryId) {
        if self.live.remove(&id) {
            self.max_deleted = self.max_deleted.max(id);
        }
    }

    pub(super) fn trim_to(&mut self, entries: usize) {
        while self.live.len() > entries {
            self.live.pop_first();
        }
    }

    pub(super) fn facts(&self) -> LogFacts {
        LogFacts {
            last_id: self.last_id,
            length: self.live.len() as u64,
            entries_added: self.added,
            max_deleted_id: self.max_deleted,
            first_id: self.live.first().copied().unwrap_or_default(),
        }
    }

    pub(super) fn after(&self, id: EntryId, count: usize) -> Vec<EntryId> {
        let most = if count == 0 { usize::MAX } else { count };
        let all = self.live.iter().copied();
        all.filter(|live| *live > id).take(most).collect()
    }
}

/// The machine over a log, as the engine drives it.
#[derive(Clone, Debug, Default)]
pub(super) struct Rig {
    pub(super) log: Log,
    pub(super) groups: Groups,
    pub(super) now: u64,
    pub(super) journal: Vec<Event>,
}

/// What XREADGROUP tells of an entry: its ID, how long it was idle, how often it was delivered.
pub(super) type Read = (EntryId, u64, u64);

/// What XAUTOCLAIM answers.
pub(super) type Auto = (Vec<EntryId>, Vec<EntryId>, Option<EntryId>);

impl Rig {
    pub(super) fn with(entries: u64) -> Rig {
        let mut rig = Rig { now: 1000, ..Rig::default() };
        (1..=entries).for_each(|n| rig.log.add(id(n)));
        rig
    }

    pub(super) fn apply(&mut self, events: Vec<Event>) {
        for event in events {
            // Through the bytes, so that what is not written is seen to be missing.
            let mut bytes = Vec::new();
            event.encode(&mut bytes);
            let event = Event::decode(&bytes).unwrap();
            self.groups.apply(&event);
            self.journal.push(event);
        }
    }

    pub(super) fn group(&self, name: &str) -> &super::GroupState {
        let number = self.groups.find(name.as_bytes()).unwrap();
        self.groups.get(number).unwrap()
    }

    pub(super) fn create(&mut self, name: &str, at: EntryId, read: Option<u64>) -> bool {
        let facts = self.log.facts();
        match self.groups.create_group(name.as_bytes(), at, read, &facts) {
            Ok(event) => self.apply(vec![event]),
            Err(_) => return false,
        }
        true
    }

    pub(super) fn set(&mut self, name: &str, at: EntryId, read: Option<u64>) {
        let event = self.group(name).set(at, read, &self.log.facts());
        self.apply(vec![event]);
    }

    fn attend(&mut self, group: &str, consumer: &str) -> u32 {
        let (number, event) = self.group(group).attend(consumer.as_bytes(), self.now).unwrap();
        self.apply(vec![event]);
        number
    }

    pub(super) fn read(&mut self, group: &str, who: &str, count: usize) -> Vec<EntryId> {
        let read = self.read_with(group, who, count, false, None);
        read.into_iter().map(|(id, ..)| id).collect()
    }

    pub(super) fn read_with(
        &mut self,
        group: &str,
        who: &str,
        count: usize,
        no_ack: bool,
        claim: Option<u64>,
    ) -> Vec<Read> {
        let consumer = self.attend(group, who);
        let most = if count == 0 { usize::MAX } else { count };
        let (mut events, facts) = (Vec::new(), self.log.facts());
        let group = self.group(group);
        let due = claim.map(|idle| group.due(Duration::from_millis(idle), self.now));
        let lives = |record: &PendingRecord| self.log.live.contains(&record.id);
        let claimed: Vec<_> = due.into_iter().flatten().filter(lives).take(most).collect();
        group.taken_over(consumer, &claimed, self.now, &mut events);
        let mut ids = Vec::new();
        if claimed.len() < most {
            let room = if count == 0 { 0 } else { most - claimed.len() };
            ids = self.log.after(group.last_id(), room);
        }
        group.deliver(consumer, ids.clone().into(), no_ack, self.now, &facts, &mut events);
        let idle = |record: &PendingRecord| self.now.saturating_sub(record.time_ms);
        let of_claimed = claimed.iter().map(|record| (record.id, idle(record), record.count));
        let read = of_claimed.chain(ids.into_iter().map(|id| (id, 0, 0))).collect();
        self.apply(events);
        read
    }

    pub(super) fn history(
        &mut self,
        group: &str,
        who: &str,
        after: EntryId,
        count: usize,
    ) -> Vec<EntryId> {
        let consumer = self.attend(group, who);
        let ids = self.group(group).history(consumer, after, count);
        let live: Vec<_> = ids.iter().copied().filter(|id| self.log.live.contains(id)).collect();
        let mut events = Vec::new();
        self.group(group).redelivered(consumer, live, self.now, &mut events);
        self.apply(events);
        ids
    }

    pub(super) fn ack(&mut self, group: &str, ids: &[EntryId]) -> u64 {
        let mut events = Vec::new();
        let count = self.group(group).ack(ids, &mut events);
        self.apply(events);
        count
    }

    pub(super) fn nack(
        &mut self,
        group: &str,
        ids: &[EntryId],
        mode: NackMode,
        options: NackOptions,
    ) -> u64 {
        let mut exists = |id| Ok(self.log.live.contains(&id));
        let mut events = Vec::new();
        let group = self.group(group);
        let count = group.nack(ids, mode, options, &mut exists, &mut events).unwrap();
        self.apply(events);
        count
    }

    pub(super) fn claim(
        &mut self,
        group: &str,
        who: &str,
        ids: &[EntryId],
        options: &ClaimOptions,
        just: bool,
    ) -> Vec<EntryId> {
        let mut exists = |id| Ok(self.log.live.contains(&id));
        let (facts, now) = (self.log.facts(), self.now);
        let group = self.group(group);
        let outcome = group.claim(who.as_bytes(), ids, options, just, now, &facts, &mut exists);
        let outcome = outcome.unwrap();
        self.apply(outcome.events);
        outcome.claimed
    }

    pub(super) fn auto(
        &mut self,
        group: &str,
        who: &str,
        min_idle: u64,
        start: EntryId,
        count: u64,
        just: bool,
    ) -> Auto {
        let mut exists = |id| Ok(self.log.live.contains(&id));
        let idle = Duration::from_millis(min_idle);
        let group = self.group(group);
        let outcome =
            group.auto_claim(who.as_bytes(), idle, start, count, just, self.now, &mut exists);
        let outcome = outcome.unwrap();
        self.apply(outcome.events);
        (outcome.claimed, outcome.deleted, outcome.next)
    }

    /// ID, consumer, delivery count.
    pub(super) fn pending(&self, group: &str) -> Vec<(EntryId, String, u64)> {
        let all = PendingFilter::new();
        let found = self.group(group).pending_range(EntryId::MIN, EntryId::MAX, &all, self.now);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        found.into_iter().map(|p| (p.id, text(p.consumer), p.deliveries)).collect()
    }

    /// `entries_read` and lag.
    pub(super) fn counters(&self, group: &str) -> (Option<u64>, Option<u64>) {
        let info = self.group(group).info(&self.log.facts());
        (info.entries_read, info.lag)
    }

    pub(super) fn clamp(&mut self, last_id: EntryId, entries_added: u64) -> Vec<Clamped> {
        let known = LogFacts { last_id, entries_added, ..LogFacts::default() };
        self.groups.clamp(&known)
    }
}

/// A state rebuilt from its checkpoint.
pub(super) fn restored(groups: &Groups) -> Groups {
    let mut copy = Groups::default();
    groups.clone().dump().for_each(|event| {
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        copy.apply(&Event::decode(&bytes).unwrap());
    });
    copy
}
