//! What delivering, reading again and acknowledging mean for a group.

use super::counters::LogFacts;
use super::state::GroupState;
use crate::few::Few;
use crate::format::event::{ConsumerNumber, Event, Ids, MAX_IDS, Single};
use crate::id::EntryId;
use std::ops::Bound;

impl GroupState {
    /// XREADGROUP `>`: gives these entries to a consumer. They live, ascend, and lie above the
    /// group's last-delivered ID; `facts` are those of the log that holds them.
    ///
    /// One event, unless there are more entries than an event can name. Nothing for no entries.
    pub(crate) fn deliver(
        &self,
        consumer: ConsumerNumber,
        ids: Ids,
        no_ack: bool,
        now: u64,
        facts: &LogFacts,
        out: &mut Vec<Event>,
    ) {
        let (mut entries_read, mut last_id) = (self.entries_read, self.last_id);
        for_each_list(ids, |ids| {
            entries_read = facts.read_after(entries_read, last_id, &ids);
            last_id = ids.last().copied().unwrap_or(last_id);
            out.push(Event::Delivered {
                group: self.number,
                consumer,
                time_ms: now,
                no_ack,
                entries_read,
                ids,
            });
        });
    }

    /// The same for one entry; `entries_read`: the counter after it.
    #[inline]
    pub(crate) fn deliver_one(
        &self,
        consumer: ConsumerNumber,
        id: EntryId,
        no_ack: bool,
        now: u64,
        entries_read: Option<u64>,
    ) -> Single {
        let (group, time_ms) = (self.number, now);
        Single::Delivered { group, consumer, time_ms, no_ack, entries_read, id }
    }

    /// How many entries the group counts as having read.
    #[inline]
    pub(crate) fn entries_read(&self) -> Option<u64> {
        self.entries_read
    }

    /// XREADGROUP with an ID: a consumer's own pending IDs after that one; a `count` of 0 is no
    /// limit.
    pub(crate) fn history(
        &self,
        consumer: ConsumerNumber,
        after: EntryId,
        count: usize,
    ) -> Vec<EntryId> {
        let most = if count == 0 { usize::MAX } else { count };
        self.pending.ids_of(consumer, Bound::Excluded(after)).take(most).collect()
    }

    /// The step that goes with a history read: `live` are those of its IDs whose entries live.
    /// The records of the others stay as they are.
    pub(crate) fn redelivered(
        &self,
        consumer: ConsumerNumber,
        live: Vec<EntryId>,
        now: u64,
        out: &mut Vec<Event>,
    ) {
        for_each_chunk(live, |ids| {
            out.push(Event::Redelivered { group: self.number, consumer, time_ms: now, ids });
        });
    }

    /// XACK: how many of these IDs are pending, whoever owns them; repeats count once.
    pub(crate) fn ack(&self, ids: &[EntryId], out: &mut Vec<Event>) -> u64 {
        let found = if ids.is_sorted_by(|a, b| a < b) {
            self.pending.among(ids)
        } else {
            let mut sorted = ids.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            self.pending.among(&sorted)
        };
        let count = found.len() as u64;
        self.removed(found, out);
        count
    }

    /// The same for one ID; `None` if it is not pending.
    #[inline]
    pub(crate) fn ack_one(&self, id: EntryId) -> Option<Single> {
        self.is_pending(id).then_some(Single::PendingRemoved { group: self.number, id })
    }

    /// The events that remove these pending records. Ascending.
    pub(crate) fn removed(&self, ids: Ids, out: &mut Vec<Event>) {
        for_each_list(ids, |ids| {
            out.push(Event::PendingRemoved { group: self.number, ids });
        });
    }
}

/// The same for IDs.
fn for_each_list(ids: Ids, mut take: impl FnMut(Ids)) {
    match ids {
        Few::One(_) => take(ids),
        Few::Many(list) => for_each_chunk(list, |list| take(list.into())),
    }
}

/// Cuts a list to what one event can name. A list that fits is passed on as it is.
pub(super) fn for_each_chunk<T: Copy>(list: Vec<T>, mut take: impl FnMut(Vec<T>)) {
    if list.len() > MAX_IDS {
        list.chunks(MAX_IDS).for_each(|chunk| take(chunk.to_vec()));
    } else if !list.is_empty() {
        take(list);
    }
}
