//! What a group should hold and what its commands do, kept as naively as the stream.

use std::collections::BTreeSet;
use streamlog::EntryId;

use crate::naive::NaiveStream;

/// When a record was delivered, as coarsely as a test can tell: within the last minutes, or hours
/// ago because a claim said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    Fresh,
    Old,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) id: EntryId,
    pub(crate) owner: &'static str,
    pub(crate) age: Age,
    pub(crate) count: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct NaiveGroup {
    pub(crate) last: EntryId,
    pub(crate) read: Option<u64>,
    /// Ascending by ID.
    pub(crate) pending: Vec<Record>,
    pub(crate) consumers: BTreeSet<&'static str>,
    /// Those that have once obtained an entry.
    pub(crate) active: BTreeSet<&'static str>,
}

/// What XCLAIM is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) old_only: bool,
    pub(crate) age: Age,
    pub(crate) retry: Option<u64>,
    pub(crate) force: bool,
    pub(crate) last_id: Option<EntryId>,
    pub(crate) ids_only: bool,
}

/// What XAUTOCLAIM answers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct AutoClaimed {
    pub(crate) claimed: Vec<EntryId>,
    pub(crate) deleted: Vec<EntryId>,
    pub(crate) next: Option<EntryId>,
}

impl NaiveGroup {
    pub(crate) fn new(stream: &NaiveStream, last: EntryId, read: Option<u64>) -> NaiveGroup {
        let mut group = NaiveGroup::default();
        group.set(stream, last, read);
        group
    }

    pub(crate) fn set(&mut self, stream: &NaiveStream, last: EntryId, read: Option<u64>) {
        self.last = last;
        self.read = read.map(|read| read.min(stream.added));
    }

    /// Whether an entry has still to be delivered or acknowledged here.
    pub(crate) fn needs(&self, id: EntryId) -> bool {
        id > self.last || self.record(id).is_some()
    }

    pub(crate) fn record(&self, id: EntryId) -> Option<&Record> {
        self.pending.iter().find(|record| record.id == id)
    }

    pub(crate) fn pending_of(&self, consumer: &str) -> Vec<&Record> {
        self.pending.iter().filter(|record| record.owner == consumer).collect()
    }

    fn put(&mut self, record: Record) {
        self.pending.retain(|other| other.id != record.id);
        self.pending.push(record);
        self.pending.sort_by_key(|record| record.id);
    }

    pub(crate) fn ack(&mut self, ids: &[EntryId]) -> u64 {
        let before = self.pending.len();
        self.pending.retain(|record| !ids.contains(&record.id));
        (before - self.pending.len()) as u64
    }

    pub(crate) fn remove_consumer(&mut self, consumer: &str) -> u64 {
        self.consumers.remove(consumer);
        self.active.remove(consumer);
        let before = self.pending.len();
        self.pending.retain(|record| record.owner != consumer);
        (before - self.pending.len()) as u64
    }

    /// What the group has still to be given; a count of 0 is no limit.
    pub(crate) fn new_ones(&self, stream: &NaiveStream, count: usize) -> Vec<EntryId> {
        let above = stream.entries.iter().map(|(id, _)| *id).filter(|id| *id > self.last);
        above.take(if count == 0 { usize::MAX } else { count }).collect()
    }

    pub(crate) fn deliver(
        &mut self,
        stream: &NaiveStream,
        consumer: &'static str,
        ids: &[EntryId],
        no_ack: bool,
    ) {
        self.consumers.insert(consumer);
        for id in ids {
            self.read = stream.read_one(self.read, self.last, *id);
            self.last = *id;
            if !no_ack {
                self.put(Record { id: *id, owner: consumer, age: Age::Fresh, count: 1 });
                self.active.insert(consumer);
            }
        }
    }

    /// The consumer's own records above an ID: those whose entries live, and the others.
    pub(crate) fn history(
        &mut self,
        stream: &NaiveStream,
        consumer: &'static str,
        after: EntryId,
        count: usize,
    ) -> (Vec<EntryId>, Vec<EntryId>) {
        self.consumers.insert(consumer);
        let most = if count == 0 { usize::MAX } else { count };
        let own = self.pending.iter_mut().filter(|r| r.owner == consumer && r.id > after);
        let (mut live, mut missing) = (Vec::new(), Vec::new());
        for record in own.take(most) {
            if stream.lives(record.id) {
                record.count += 1;
                record.age = Age::Fresh;
                live.push(record.id);
            } else {
                missing.push(record.id);
            }
        }
        (live, missing)
    }

    pub(crate) fn claim(
        &mut self,
        stream: &NaiveStream,
        consumer: &'static str,
        ids: &[EntryId],
        claim: &Claim,
    ) -> Vec<EntryId> {
        self.consumers.insert(consumer);
        self.last = self.last.max(claim.last_id.unwrap_or(EntryId::MIN));
        let mut claimed = Vec::new();
        for id in ids {
            if !stream.lives(*id) {
                self.ack(&[*id]);
                continue;
            }
            let found = self.record(*id).map(|record| (record.count, record.age));
            let count = match found {
                None if !claim.force => continue,
                None => 1,
                Some((_, Age::Fresh)) if claim.old_only => continue,
                Some((count, _)) => count,
            };
            let once_more = count + u64::from(!claim.ids_only);
            let count = claim.retry.unwrap_or(once_more);
            self.put(Record { id: *id, owner: consumer, age: claim.age, count });
            self.active.insert(consumer);
            claimed.push(*id);
        }
        claimed
    }

    pub(crate) fn auto_claim(
        &mut self,
        stream: &NaiveStream,
        consumer: &'static str,
        from: EntryId,
        (old_only, ids_only): (bool, bool),
        count: usize,
    ) -> AutoClaimed {
        self.consumers.insert(consumer);
        let mut answer = AutoClaimed::default();
        let records = self.pending.clone().into_iter().filter(|record| record.id >= from);
        for (looked_at, record) in records.enumerate() {
            let done = answer.claimed.len() + answer.deleted.len();
            if done == count || looked_at == 10 * count {
                answer.next = Some(record.id);
                break;
            }
            if !stream.lives(record.id) {
                answer.deleted.push(record.id);
            } else if !old_only || record.age == Age::Old {
                let count = record.count + u64::from(!ids_only);
                self.put(Record { owner: consumer, age: Age::Fresh, count, ..record });
                self.active.insert(consumer);
                answer.claimed.push(record.id);
            }
        }
        self.ack(&answer.deleted);
        answer
    }
}
