//! What a group should hold and what its commands do, kept as naively as the stream.

use std::cell::Cell;
use std::collections::BTreeSet;
use streamlog::{EntryId, NackMode};

use crate::naive::NaiveStream;
use crate::run::now_ms;

/// When a record was delivered, as coarsely as a test can tell: within the last minutes, or hours
/// ago because a claim said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    Fresh,
    Old,
}

thread_local! {
    /// When the operation began that is being played, in milliseconds.
    pub(crate) static BEGUN: Cell<u64> = const { Cell::new(0) };
}

/// In the place of an owner: nobody.
pub(crate) const NOBODY: &str = "";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) id: EntryId,
    pub(crate) owner: &'static str,
    pub(crate) age: Age,
    pub(crate) count: u64,
    /// Between which times it was delivered last, or said to have been so two hours before.
    pub(crate) placed: (u64, u64),
}

impl Record {
    fn new(id: EntryId, owner: &'static str, age: Age, count: u64) -> Record {
        Record { id, owner, age, count, placed: (BEGUN.get(), now_ms()) }
    }

    /// Whether somebody has it since a short time only.
    pub(crate) fn is_fresh(&self) -> bool {
        self.owner != NOBODY && self.age == Age::Fresh
    }

    /// Whether it comes in front of another one when both are claimed; `None` if nobody can tell.
    pub(crate) fn comes_before(&self, other: &Record) -> Option<bool> {
        match (self.age, other.age) {
            (Age::Old, Age::Fresh) => Some(true),
            (Age::Fresh, Age::Old) => Some(false),
            _ if self.placed.1 < other.placed.0 => Some(true),
            _ if other.placed.1 < self.placed.0 => Some(false),
            _ => None,
        }
    }
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
    /// What was ever given back, each ID where it came back last.
    zone: Vec<EntryId>,
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
                self.put(Record::new(*id, consumer, Age::Fresh, 1));
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
                *record = Record::new(record.id, consumer, Age::Fresh, more(record.count));
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
            let found = self.record(*id).map(|record| (record.count, record.is_fresh()));
            let count = match found {
                None if !claim.force => continue,
                None => 1,
                Some((_, true)) if claim.old_only => continue,
                Some((count, _)) => count,
            };
            let once_more = if claim.ids_only { count } else { more(count) };
            let count = claim.retry.unwrap_or(once_more);
            self.put(Record::new(*id, consumer, claim.age, count));
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
            } else if !old_only || !record.is_fresh() {
                let count = if ids_only { record.count } else { more(record.count) };
                self.put(Record::new(record.id, consumer, Age::Fresh, count));
                self.active.insert(consumer);
                answer.claimed.push(record.id);
            }
        }
        self.ack(&answer.deleted);
        answer
    }
    /// XNACK.
    pub(crate) fn nack(
        &mut self,
        stream: &NaiveStream,
        ids: &[EntryId],
        mode: NackMode,
        retry: Option<u64>,
        force: bool,
    ) -> u64 {
        let mut given_back = 0;
        for id in ids {
            let before = match self.record(*id) {
                Some(record) => record.count,
                None if force && stream.lives(*id) => 0,
                None => continue,
            };
            let count = match mode {
                NackMode::Silent => before.saturating_sub(1),
                NackMode::Fail => before,
                NackMode::Fatal => i64::MAX as u64,
            };
            self.put(Record::new(*id, NOBODY, Age::Fresh, retry.unwrap_or(count)));
            self.zone.retain(|other| other != id);
            self.zone.push(*id);
            given_back += 1;
        }
        given_back
    }

    /// What belongs to nobody and lives, in the order in which it came back.
    pub(crate) fn zone(&self, stream: &NaiveStream) -> Vec<Record> {
        let all = self.zone.iter().filter_map(|id| self.record(*id));
        all.filter(|record| record.owner == NOBODY && stream.lives(record.id)).cloned().collect()
    }

    /// What somebody owns and a read may claim.
    pub(crate) fn claimable(&self, stream: &NaiveStream, old_only: bool) -> Vec<Record> {
        let due = |r: &&Record| r.owner != NOBODY && (!old_only || r.age == Age::Old);
        let all = self.pending.iter().filter(due).filter(|record| stream.lives(record.id));
        all.cloned().collect()
    }

    /// A read has claimed these, in this order.
    pub(crate) fn take_over(&mut self, consumer: &'static str, records: &[Record]) {
        self.consumers.insert(consumer);
        for record in records {
            self.put(Record::new(record.id, consumer, Age::Fresh, more(record.count)));
            self.active.insert(consumer);
        }
    }

    pub(crate) fn unowned(&self) -> u64 {
        self.pending_of(NOBODY).len() as u64
    }
}

fn more(count: u64) -> u64 {
    count.saturating_add(1).min(i64::MAX as u64)
}
