//! For tests: the commands done in the most naive way, with lists and linear scans, written from
//! the reference and sharing no code with the machine.

use super::model::{Auto, Log, Read};
use super::{ConsumerInfo, GroupInfo, Pending};
use crate::id::EntryId;
use crate::options::{ClaimOptions, ClaimTime, NackMode, NackOptions};
use std::time::Duration;

#[derive(Clone, Debug)]
pub(super) struct NaiveRecord {
    id: EntryId,
    owner: String,
    time: u64,
    count: u64,
    /// Grows with every record that comes to have a time.
    placed: u64,
}

#[derive(Clone, Debug)]
pub(super) struct NaiveConsumer {
    name: String,
    seen: u64,
    active: Option<u64>,
}

#[derive(Clone, Debug)]
pub(super) struct NaiveGroup {
    pub(super) name: String,
    last: EntryId,
    read: Option<u64>,
    consumers: Vec<NaiveConsumer>,
    records: Vec<NaiveRecord>,
    /// What was ever given back, in the order of the last time.
    nacked: Vec<EntryId>,
    placed: u64,
}

/// Every command again, without cleverness. An empty owner is no owner.
#[derive(Clone, Debug, Default)]
pub(super) struct Naive {
    pub(super) groups: Vec<NaiveGroup>,
}

fn naive_tombstone(log: &Log, start: EntryId) -> bool {
    !log.live.is_empty() && log.max_deleted != EntryId::MIN && start <= log.max_deleted
}

fn naive_distance(log: &Log, id: EntryId) -> Option<u64> {
    let first = log.live.first().copied().unwrap_or_default();
    let length = log.live.len() as u64;
    if log.added == 0 {
        Some(0)
    } else if length == 0 && id <= log.last_id {
        Some(log.added)
    } else if id != EntryId::MIN && id < log.max_deleted {
        None
    } else if id == log.last_id {
        Some(log.added)
    } else if id > log.last_id {
        None
    } else if (log.max_deleted == EntryId::MIN || log.max_deleted < first) && id < first {
        Some(log.added - length)
    } else if (log.max_deleted == EntryId::MIN || log.max_deleted < first) && id == first {
        Some(log.added - length + 1)
    } else {
        None
    }
}

impl Naive {
    pub(super) fn create(&mut self, log: &Log, name: &str, at: EntryId, read: Option<u64>) -> bool {
        if self.groups.iter().any(|group| group.name == name) {
            return false;
        }
        self.groups.push(NaiveGroup {
            name: name.to_owned(),
            last: at,
            read: read.map(|read| read.min(log.added)),
            consumers: Vec::new(),
            records: Vec::new(),
            nacked: Vec::new(),
            placed: 0,
        });
        true
    }

    pub(super) fn group(&mut self, name: &str) -> &mut NaiveGroup {
        self.groups.iter_mut().find(|group| group.name == name).unwrap()
    }
}

impl NaiveGroup {
    pub(super) fn set(&mut self, log: &Log, at: EntryId, read: Option<u64>) {
        self.last = at;
        self.read = read.map(|read| read.min(log.added));
    }

    pub(super) fn consumer(&mut self, name: &str, now: u64, attempt: bool) -> &mut NaiveConsumer {
        let found = self.consumers.iter().position(|consumer| consumer.name == name);
        let at = found.unwrap_or_else(|| {
            let name = name.to_owned();
            self.consumers.push(NaiveConsumer { name, seen: now, active: None });
            self.consumers.len() - 1
        });
        if attempt {
            self.consumers[at].seen = now;
        }
        &mut self.consumers[at]
    }

    pub(super) fn remove_consumer(&mut self, name: &str) -> Option<u64> {
        let at = self.consumers.iter().position(|consumer| consumer.name == name)?;
        self.consumers.remove(at);
        let before = self.records.len();
        self.records.retain(|record| record.owner != name);
        Some((before - self.records.len()) as u64)
    }

    pub(super) fn read(
        &mut self,
        log: &Log,
        who: &str,
        count: usize,
        no_ack: bool,
        claim: Option<u64>,
        now: u64,
    ) -> Vec<Read> {
        self.consumer(who, now, true);
        let mut read = match claim {
            Some(min_idle) => self.take_over(log, who, count, min_idle, now),
            None => Vec::new(),
        };
        if count > 0 && read.len() == count {
            return read;
        }
        let ids = log.after(self.last, if count == 0 { 0 } else { count - read.len() });
        let first = log.live.first().copied().unwrap_or_default();
        for id in &ids {
            if self.read.is_some() && self.last >= first && !naive_tombstone(log, self.last) {
                self.read = self.read.map(|read| read + 1);
            } else if log.added > 0 {
                self.read = naive_distance(log, *id);
            }
            self.last = *id;
            if !no_ack {
                self.records.retain(|record| record.id != *id);
                let owner = who.to_owned();
                self.placed += 1;
                let placed = self.placed;
                self.records.push(NaiveRecord { id: *id, owner, time: now, count: 1, placed });
                self.consumer(who, now, true).active = Some(now);
            }
        }
        read.extend(ids.into_iter().map(|id| (id, 0, 0)));
        read
    }

    /// All records in one list: what was given back, then the rest by time.
    fn take_over(
        &mut self,
        log: &Log,
        who: &str,
        count: usize,
        min_idle: u64,
        now: u64,
    ) -> Vec<Read> {
        let mut order = self.zone();
        self.records.sort_by_key(|record| (record.time, record.placed));
        let owned = self.records.iter().filter(|record| !record.owner.is_empty());
        order.extend(owned.map(|record| record.id));
        let mut read = Vec::new();
        for id in order {
            self.placed += 1;
            let record = self.records.iter_mut().find(|record| record.id == id).unwrap();
            let idle = now.saturating_sub(record.time);
            if idle < min_idle || (count > 0 && read.len() == count) {
                break;
            }
            if !log.live.contains(&id) {
                continue;
            }
            read.push((id, idle, record.count));
            who.clone_into(&mut record.owner);
            (record.time, record.placed) = (now, self.placed);
            record.count = record.count.saturating_add(1).min(i64::MAX as u64);
        }
        if !read.is_empty() {
            self.consumer(who, now, true).active = Some(now);
        }
        read
    }

    fn sorted(&mut self) -> &mut Vec<NaiveRecord> {
        self.records.sort_by_key(|record| record.id);
        &mut self.records
    }

    pub(super) fn history(
        &mut self,
        log: &Log,
        who: &str,
        after: EntryId,
        count: usize,
        now: u64,
    ) -> Vec<EntryId> {
        self.consumer(who, now, true);
        let mut found = Vec::new();
        let mut placed = self.placed;
        for record in self.sorted() {
            if record.owner == who && record.id > after && (count == 0 || found.len() < count) {
                found.push(record.id);
                if log.live.contains(&record.id) {
                    record.count = (record.count + 1).min(i64::MAX as u64);
                    record.time = now;
                    placed += 1;
                    record.placed = placed;
                }
            }
        }
        self.placed = placed;
        found
    }

    pub(super) fn ack(&mut self, ids: &[EntryId]) -> u64 {
        let before = self.records.len();
        self.records.retain(|record| !ids.contains(&record.id));
        (before - self.records.len()) as u64
    }

    pub(super) fn nack(
        &mut self,
        log: &Log,
        ids: &[EntryId],
        mode: NackMode,
        options: NackOptions,
    ) -> u64 {
        let mut count = 0;
        for id in ids {
            let found = self.records.iter().position(|record| record.id == *id);
            let before = match found {
                Some(at) => self.records.remove(at).count,
                None if options.force && log.live.contains(id) => 0,
                None => continue,
            };
            let after = match mode {
                NackMode::Silent if before > 0 => before - 1,
                NackMode::Fatal => i64::MAX as u64,
                _ => before,
            };
            let count_now = options.retry_count.unwrap_or(after).min(i64::MAX as u64);
            let owner = String::new();
            let (time, placed) = (0, 0);
            self.records.push(NaiveRecord { id: *id, owner, time, count: count_now, placed });
            self.nacked.retain(|other| other != id);
            self.nacked.push(*id);
            count += 1;
        }
        count
    }

    /// The IDs of what nobody owns, in the order in which it was given back.
    pub(super) fn zone(&self) -> Vec<EntryId> {
        let nobody = |id: &EntryId| self.records.iter().any(|r| r.id == *id && r.owner.is_empty());
        self.nacked.iter().copied().filter(nobody).collect()
    }

    pub(super) fn claim(
        &mut self,
        log: &Log,
        who: &str,
        ids: &[EntryId],
        options: &ClaimOptions,
        just: bool,
        now: u64,
    ) -> Vec<EntryId> {
        if let Some(last) = options.last_id.filter(|last| *last > self.last) {
            self.last = last;
        }
        self.consumer(who, now, true);
        let wanted = match options.time {
            None => now as i128,
            Some(ClaimTime::Idle(idle)) => now as i128 - idle.as_millis() as i128,
            Some(ClaimTime::At(time)) => time as i128,
        };
        let time = if wanted < 0 || wanted > now as i128 { now } else { wanted as u64 };
        let mut claimed = Vec::new();
        for id in ids {
            if !log.live.contains(id) {
                self.records.retain(|record| record.id != *id);
                continue;
            }
            let known = self.records.iter().any(|record| record.id == *id);
            if !known && options.force {
                let (owner, time, placed) = (String::new(), 0, 0);
                self.records.push(NaiveRecord { id: *id, owner, time, count: 1, placed });
            }
            for record in self.records.iter_mut().filter(|record| record.id == *id) {
                let idle = now.saturating_sub(record.time);
                if !record.owner.is_empty() && u128::from(idle) < options.min_idle.as_millis() {
                    continue;
                }
                who.clone_into(&mut record.owner);
                self.placed += 1;
                (record.time, record.placed) = (time, self.placed);
                match options.retry_count {
                    Some(count) => record.count = count.min(i64::MAX as u64),
                    None if !just => record.count = (record.count + 1).min(i64::MAX as u64),
                    None => {}
                }
                claimed.push(*id);
            }
        }
        if !claimed.is_empty() {
            self.consumer(who, now, true).active = Some(now);
        }
        claimed
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn auto(
        &mut self,
        log: &Log,
        who: &str,
        min_idle: u64,
        start: EntryId,
        count: u64,
        just: bool,
        now: u64,
    ) -> Auto {
        self.consumer(who, now, true);
        let (mut claimed, mut deleted, mut attempts) = (Vec::new(), Vec::new(), 0);
        let mut next = None;
        let mut placed = self.placed;
        for record in self.sorted().iter_mut().filter(|record| record.id >= start) {
            if (claimed.len() + deleted.len()) as u64 == count || attempts == 10 * count {
                next = Some(record.id);
                break;
            }
            attempts += 1;
            if !log.live.contains(&record.id) {
                deleted.push(record.id);
            } else if record.owner.is_empty() || now.saturating_sub(record.time) >= min_idle {
                who.clone_into(&mut record.owner);
                placed += 1;
                (record.time, record.placed) = (now, placed);
                if !just {
                    record.count = (record.count + 1).min(i64::MAX as u64);
                }
                claimed.push(record.id);
            }
        }
        self.placed = placed;
        self.ack(&deleted);
        if !claimed.is_empty() {
            self.consumer(who, now, true).active = Some(now);
        }
        (claimed, deleted, next)
    }

    fn lag(&self, log: &Log) -> Option<u64> {
        let first = log.live.first().copied().unwrap_or_default();
        if log.added == 0 || log.live.is_empty() {
            Some(0)
        } else if self.last < first && log.max_deleted < first {
            Some(log.live.len() as u64)
        } else if let Some(read) = self.read.filter(|_| !naive_tombstone(log, self.last)) {
            // Redis shows a negative number where a caller set the counter too high.
            Some(log.added.saturating_sub(read))
        } else {
            naive_distance(log, self.last).map(|read| log.added - read)
        }
    }

    pub(super) fn info(&self, log: &Log) -> GroupInfo {
        GroupInfo {
            name: self.name.clone().into_bytes(),
            consumers: self.consumers.len(),
            pending: self.records.len() as u64,
            last_delivered_id: self.last,
            entries_read: self.read,
            lag: self.lag(log),
        }
    }

    pub(super) fn consumer_infos(&mut self, now: u64) -> Vec<ConsumerInfo> {
        self.consumers.sort_by(|a, b| a.name.cmp(&b.name));
        let since = |time: u64| Duration::from_millis(now.saturating_sub(time));
        let owned = |name: &str| self.records.iter().filter(|r| r.owner == name).count() as u64;
        let info = |consumer: &NaiveConsumer| ConsumerInfo {
            name: consumer.name.clone().into_bytes(),
            pending: owned(&consumer.name),
            idle: since(consumer.seen),
            inactive: consumer.active.map(since),
        };
        self.consumers.iter().map(info).collect()
    }

    pub(super) fn pending(
        &mut self,
        first: EntryId,
        last: EntryId,
        count: usize,
        min_idle: u64,
        consumer: Option<&str>,
        now: u64,
    ) -> Vec<Pending> {
        let mut found = Vec::new();
        for record in self.sorted() {
            let nobody = record.owner.is_empty();
            let idle = if nobody { 0 } else { now.saturating_sub(record.time) };
            let passes = (first..=last).contains(&record.id)
                && (nobody || idle >= min_idle)
                && consumer.is_none_or(|name| name == record.owner);
            if passes && found.len() < count {
                found.push(Pending {
                    id: record.id,
                    consumer: record.owner.clone().into_bytes(),
                    idle: Duration::from_millis(idle),
                    deliveries: record.count,
                    unowned: nobody,
                });
            }
        }
        found
    }
}
