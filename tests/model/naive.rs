//! What the store should hold, kept in the most naive way: lists that are searched from one end to
//! the other. Written from the documentation and the Redis reference, not from the crate.

use std::collections::BTreeMap;
use streamlog::{EntryId, NewId, StreamOptions};

use crate::groups::NaiveGroup;

/// Pairs of name and value.
pub(crate) type Fields = Vec<(Vec<u8>, Vec<u8>)>;
pub(crate) type NaiveEntry = (EntryId, Fields);

/// What a stream keeps by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keep {
    pub(crate) max_len: Option<u64>,
    pub(crate) min_id: Option<EntryId>,
    pub(crate) unacked: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct NaiveStream {
    /// Ascending by ID.
    pub(crate) entries: Vec<NaiveEntry>,
    pub(crate) last: EntryId,
    pub(crate) added: u64,
    pub(crate) max_deleted: EntryId,
    pub(crate) groups: BTreeMap<&'static str, NaiveGroup>,
    pub(crate) keep: Keep,
    pub(crate) options: StreamOptions,
    /// What was appended once: the producer and the iid, with the ID.
    pub(crate) sent: BTreeMap<(u8, u8), EntryId>,
    /// IDs that lived once, for operations to pick from.
    pub(crate) gone: Vec<EntryId>,
    /// Tells this stream from others that have had its name.
    pub(crate) number: u64,
}

pub(crate) fn after(id: EntryId) -> Option<EntryId> {
    match (id.ms, id.seq) {
        (u64::MAX, u64::MAX) => None,
        (ms, u64::MAX) => Some(EntryId { ms: ms + 1, seq: 0 }),
        (ms, seq) => Some(EntryId { ms, seq: seq + 1 }),
    }
}

/// Why an append is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Zero,
    NotGreater,
    Exhausted,
}

/// The ID that an append gets behind `last` at this time, by the table of XADD.
pub(crate) fn next_id(want: NewId, last: EntryId, now: u64) -> Result<EntryId, Refusal> {
    if want == NewId::Exact(EntryId { ms: 0, seq: 0 }) {
        return Err(Refusal::Zero);
    }
    let next = after(last).ok_or(Refusal::Exhausted)?;
    match want {
        NewId::Auto if now > last.ms => Ok(EntryId { ms: now, seq: 0 }),
        NewId::Auto => Ok(next),
        NewId::AutoSeq(ms) if ms < last.ms => Err(Refusal::NotGreater),
        NewId::AutoSeq(ms) if ms == last.ms && next.ms > ms => Err(Refusal::NotGreater),
        NewId::AutoSeq(ms) if ms == last.ms => Ok(next),
        NewId::AutoSeq(ms) => Ok(EntryId { ms, seq: 0 }),
        NewId::Exact(id) if id <= last => Err(Refusal::NotGreater),
        NewId::Exact(id) => Ok(id),
    }
}

impl NaiveStream {
    pub(crate) fn new(options: StreamOptions, number: u64) -> NaiveStream {
        NaiveStream {
            entries: Vec::new(),
            last: EntryId::MIN,
            added: 0,
            max_deleted: EntryId::MIN,
            groups: BTreeMap::new(),
            keep: Keep::default(),
            options,
            sent: BTreeMap::new(),
            gone: Vec::new(),
            number,
        }
    }

    pub(crate) fn length(&self) -> u64 {
        self.entries.len() as u64
    }

    /// 0-0 if nothing lives.
    pub(crate) fn first_id(&self) -> EntryId {
        self.entries.first().map_or(EntryId::MIN, |(id, _)| *id)
    }

    pub(crate) fn lives(&self, id: EntryId) -> bool {
        self.entries.iter().any(|(other, _)| *other == id)
    }

    pub(crate) fn push(&mut self, id: EntryId, fields: Fields) {
        self.entries.push((id, fields));
        self.last = id;
        self.added += 1;
    }

    /// Returns those that lived.
    pub(crate) fn delete(&mut self, ids: &[EntryId]) -> Vec<EntryId> {
        let mut deleted = Vec::new();
        for id in ids {
            if let Some(at) = self.entries.iter().position(|(other, _)| other == id) {
                self.entries.remove(at);
                self.gone.push(*id);
                self.max_deleted = self.max_deleted.max(*id);
                deleted.push(*id);
            }
        }
        deleted
    }

    /// How many of the oldest entries are above a length.
    pub(crate) fn above_len(&self, most: u64) -> u64 {
        self.length().saturating_sub(most)
    }

    /// How many entries lie below an ID.
    pub(crate) fn below(&self, id: EntryId) -> u64 {
        self.entries.iter().filter(|(other, _)| *other < id).count() as u64
    }

    /// How many of the oldest no group needs any more, if that matters.
    pub(crate) fn free(&self) -> u64 {
        if !self.keep.unacked {
            return u64::MAX;
        }
        let needed = |id: EntryId| self.groups.values().any(|group| group.needs(id));
        let kept = self.entries.iter().position(|(id, _)| needed(*id));
        kept.map_or(u64::MAX, |at| at as u64)
    }

    /// Removes so many of the oldest.
    pub(crate) fn drop_oldest(&mut self, count: u64) -> u64 {
        let count = count.min(self.length());
        let dropped: Vec<EntryId> =
            self.entries.drain(..count as usize).map(|(id, _)| id).collect();
        self.gone.extend(dropped);
        count
    }

    /// How many are beyond the retention.
    pub(crate) fn beyond(&self) -> u64 {
        let by_len = self.keep.max_len.map_or(0, |most| self.above_len(most));
        let by_id = self.keep.min_id.map_or(0, |id| self.below(id));
        by_len.max(by_id).min(self.free())
    }

    pub(crate) fn is_limited(&self) -> bool {
        self.keep.max_len.is_some() || self.keep.min_id.is_some()
    }

    /// XSETID; `false` if it is refused.
    pub(crate) fn set_id(
        &mut self,
        last: EntryId,
        added: Option<u64>,
        max_deleted: Option<EntryId>,
    ) -> bool {
        let top = self.entries.last().map(|(id, _)| *id);
        let refused = max_deleted.is_some_and(|id| last < id)
            || last < self.max_deleted
            || top.is_some_and(|top| last < top)
            || top.is_some() && added.is_some_and(|added| added < self.length());
        if refused {
            return false;
        }
        self.last = last;
        if let Some(added) = added {
            self.added = added;
            for group in self.groups.values_mut() {
                group.read = group.read.map(|read| read.min(added));
            }
        }
        if let Some(id) = max_deleted.filter(|id| *id != EntryId::MIN) {
            self.max_deleted = id;
        }
        true
    }

    /// Whether something was deleted at or after this ID.
    fn tombstone_after(&self, start: EntryId) -> bool {
        self.length() > 0 && self.max_deleted != EntryId::MIN && start <= self.max_deleted
    }

    /// How many entries were ever added up to this one, if that can be told.
    fn distance(&self, id: EntryId) -> Option<u64> {
        let no_holes = self.max_deleted == EntryId::MIN || self.max_deleted < self.first_id();
        if self.added == 0 {
            Some(0)
        } else if self.length() == 0 && id <= self.last {
            Some(self.added)
        } else if id != EntryId::MIN && id < self.max_deleted {
            None
        } else if id == self.last {
            Some(self.added)
        } else if id > self.last {
            None
        } else if no_holes && id < self.first_id() {
            Some(self.added.saturating_sub(self.length()))
        } else if no_holes && id == self.first_id() {
            Some(self.added.saturating_sub(self.length()) + 1)
        } else {
            None
        }
    }

    /// A group's counter once one more entry is delivered, before its cursor moves.
    pub(crate) fn read_one(&self, read: Option<u64>, cursor: EntryId, id: EntryId) -> Option<u64> {
        match read {
            Some(read) if cursor >= self.first_id() && !self.tombstone_after(cursor) => {
                Some(read + 1)
            }
            _ if self.added > 0 => self.distance(id),
            read => read,
        }
    }

    pub(crate) fn lag(&self, group: &NaiveGroup) -> Option<u64> {
        let first = self.first_id();
        if self.added == 0 || self.length() == 0 {
            Some(0)
        } else if group.last < first && self.max_deleted < first {
            Some(self.length())
        } else {
            let told = group.read.filter(|_| !self.tombstone_after(group.last));
            let read = told.or_else(|| self.distance(group.last));
            // A counter that a caller set may be too high.
            read.map(|read| self.added.saturating_sub(read))
        }
    }
}
