//! The state of one stream beside its frames: name, counters, trims, deletions, groups.
//!
//! Pure but for the log that is passed in: `apply` is all there is, for live events and for replay.

use crate::error::Result;
use crate::format::event::{
    ANY_RESTART, Counters, Event, Events, GroupNumber, MAX_IDS, Single, StoredOptions,
};
use crate::group::{Groups, LogFacts};
use crate::id::EntryId;
use crate::options::{Retention, StreamOptions};
use crate::planted;
use crate::storage::cursor::{Resume, Span};
use crate::storage::live::Live;
use crate::storage::log::{Known, Tail};
use std::collections::BTreeMap;

mod idempotency;
pub(crate) use idempotency::{Counts, Idempotency, moved_to};

/// What the state journal says of one stream.
#[derive(Debug, Default)]
pub(crate) struct StreamState {
    pub(crate) name: Vec<u8>,
    pub(crate) options: Option<StoredOptions>,
    /// When it is to be removed, in milliseconds since 1970.
    pub(crate) expires_ms: Option<u64>,
    pub(crate) counters: Counters,
    /// Entries up to and including this ID are gone.
    pub(crate) trimmed: EntryId,
    /// The same as far as records or recovered frames say it; appends trim further.
    pub(crate) recorded: EntryId,
    /// The segment with which the log was restarted last; 0: none.
    pub(crate) restart: u64,
    /// The ID to which that set the log back.
    pub(crate) restarted_at: EntryId,
    /// A record is missing that may have named another one.
    pub(crate) restart_unsure: bool,
    /// Deletions that were not marked in the log yet, because it is not open.
    pub(crate) deleted: Vec<EntryId>,
    pub(crate) groups: Groups,
    /// Of producers that say who they are; `None` as long as there was none.
    pub(crate) idempotency: Option<Box<Idempotency>>,
    /// Which entries live; there once the log is open.
    pub(crate) live: Option<Live>,
    /// Where the groups' next reads begin, by their numbers: a hint.
    pub(crate) resume: BTreeMap<GroupNumber, Resume>,
    /// The log's segments, when a change of the state looked at them last.
    pub(crate) segments: Known,
    pub(crate) removed: bool,
    /// The log was durable up to this position once.
    pub(crate) durable: u64,
}

impl StreamState {
    /// Changes the state by one event. What concerns entries is kept for the log to be marked with.
    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::StreamCreated { name, options } => {
                self.name = name.to_vec();
                self.options = Some(*options);
            }
            Event::StreamRemoved => self.removed = true,
            Event::StreamRenamed { name } => self.name = name.to_vec(),
            Event::OptionsSet { options } => self.options = Some(*options),
            Event::ExpirySet { at_ms } => self.expires_ms = *at_ms,
            Event::Deleted { ids } => {
                let last = ids.last().copied().unwrap_or_default();
                self.counters.max_deleted = self.counters.max_deleted.max(last);
                self.delete(ids);
            }
            // A trim never changes the highest deleted ID.
            Event::TrimmedOut { ids } => self.delete(ids),
            Event::Trimmed { to } => {
                self.recorded = self.recorded.max(*to);
                self.trim(*to);
            }
            Event::Counters(counters) => self.counters = *counters,
            Event::Durable { position } => self.durable = self.durable.max(*position),
            Event::SetBack { to, restart } => {
                self.restart_unsure = *restart == ANY_RESTART;
                // Without a restart the last ID may have been lowered again.
                if !self.restart_unsure && self.restart != *restart {
                    (self.restart, self.restarted_at) = (*restart, *to);
                }
                self.trimmed = self.trimmed.min(*to);
                self.recorded = self.recorded.min(*to);
                self.deleted.retain(|id| id <= to);
            }
            Event::IdempotencySet { .. }
            | Event::IdempotencyPairs { .. }
            | Event::IdempotencyRecorded { .. } => {
                let live = self.live.is_some();
                let table = self.idempotency.get_or_insert_default();
                table.apply(event, live);
                // A log that ends before has lost frames.
                self.durable = self.durable.max(table.covered());
            }
            // The groups keep what was delivered themselves: recovery has to tell the two apart.
            event => {
                if let Event::GroupRemoved { group } = event {
                    self.resume.remove(group);
                }
                self.groups.apply(event);
            }
        }
    }

    /// The same for the most frequent events.
    #[inline]
    pub(crate) fn apply_single(&mut self, event: &Single) {
        self.groups.apply_single(event);
    }

    /// Takes in a trim that its append's frame says and no record.
    pub(crate) fn trim(&mut self, to: EntryId) {
        self.trimmed = self.trimmed.max(to);
        self.raise_floor(to);
    }

    pub(crate) fn retention(&self) -> Retention {
        self.options.map_or(Retention::new(), |options| options.retention)
    }

    /// Nothing above this may be trimmed away from a log with these entries.
    pub(crate) fn most_to_trim(&self, span: &Span) -> Result<EntryId> {
        if !self.retention().keep_unacked || planted::unacked_ignored() {
            return Ok(EntryId::MAX);
        }
        let lives = &mut |id| span.find(id).map(|found| found.is_some());
        Ok(self.groups.settled(self.trimmed, lives)?.unwrap_or(EntryId::MAX))
    }

    fn delete(&mut self, ids: &[EntryId]) {
        self.raise_floor(ids.last().copied().unwrap_or_default());
        if self.live.is_none() {
            self.deleted.extend_from_slice(ids);
        }
    }

    fn raise_floor(&mut self, id: EntryId) {
        self.counters.floor = self.counters.floor.max(id);
    }

    /// What the rules of groups ask, for a log that ends at `tail`.
    pub(crate) fn facts(&self, tail: Tail, first_id: Option<EntryId>) -> LogFacts {
        LogFacts {
            last_id: tail.last_id,
            length: self.live.as_ref().map_or(0, |live| live.len(tail)),
            entries_added: self.entries_added(tail),
            // What damage has swallowed counts as deleted.
            max_deleted_id: self
                .live
                .as_ref()
                .map_or(EntryId::MIN, Live::lost)
                .max(self.counters.max_deleted),
            first_id: first_id.unwrap_or(EntryId::MIN),
        }
    }

    /// What [`LogFacts::read_after`] says of one entry behind `last_id`, where that takes no more
    /// than a look: no entry was ever deleted, and the first one lies in front.
    #[inline]
    pub(crate) fn read_one_after(&self, read: Option<u64>, last_id: EntryId) -> Option<u64> {
        let live = self.live.as_ref()?;
        let none_deleted = live.lost().max(self.counters.max_deleted) == EntryId::MIN;
        read.filter(|_| none_deleted && live.begins_by(last_id)).map(|read| read.saturating_add(1))
    }

    pub(crate) fn entries_added(&self, tail: Tail) -> u64 {
        tail.ordinal.wrapping_add(self.counters.added_offset).min(i64::MAX as u64)
    }

    /// The events that rebuild this state, but for deletions that are marked in the log and for the
    /// counters, which go last. All that is done at once is to copy pointers.
    ///
    /// `end`: of the part of the log that is told of; what lies above is in frames alone.
    pub(crate) fn dump(&mut self, end: u64) -> Events {
        let groups = self.groups.dump();
        self.dump_with(end, groups)
    }

    /// The same, by copies of all that is pending.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn dump_copied(&self, end: u64) -> Events {
        self.dump_with(end, self.groups.clone().dump())
    }

    fn dump_with(&self, end: u64, groups: impl Iterator<Item = Event> + 'static) -> Events {
        let mut events = Vec::new();
        if let Some(options) = self.options {
            events.push(Event::StreamCreated { name: self.name.clone().into(), options });
        }
        if self.expires_ms.is_some() {
            events.push(Event::ExpirySet { at_ms: self.expires_ms });
        }
        let unsure = self.restart_unsure.then_some((EntryId::MAX, ANY_RESTART));
        let known = Some((self.restarted_at, self.restart)).filter(|known| known.1 != 0);
        for (to, restart) in known.into_iter().chain(unsure) {
            events.push(Event::SetBack { to, restart });
        }
        if self.recorded > EntryId::MIN {
            events.push(Event::Trimmed { to: self.recorded });
        }
        if let Some(table) = &self.idempotency {
            events.extend(table.dump(end));
        }
        Box::new(events.into_iter().chain(groups))
    }
}

/// Deletions as events. They do not touch the counters, which a checkpoint has already.
pub(crate) fn deletions(ids: &[EntryId]) -> impl Iterator<Item = Event> + '_ {
    ids.chunks(MAX_IDS).map(|ids| Event::Deleted { ids: ids.to_vec() })
}

impl From<StoredOptions> for StreamOptions {
    fn from(stored: StoredOptions) -> StreamOptions {
        let unset = StreamOptions {
            segment_bytes: stored.segment_bytes,
            block_entries: stored.block_entries,
            block_bytes: stored.block_bytes,
            ..StreamOptions::new()
        };
        let (largest, retention) = (stored.max_entry_bytes, stored.retention);
        StreamOptions {
            max_entry_bytes: Some(largest).filter(|largest| *largest != unset.largest_entry()),
            retention: Some(retention).filter(|retention| *retention != Retention::new()),
            ..unset
        }
    }
}

impl From<&StreamOptions> for StoredOptions {
    fn from(options: &StreamOptions) -> StoredOptions {
        StoredOptions {
            segment_bytes: options.segment_bytes,
            max_entry_bytes: options.largest_entry(),
            block_entries: options.block_entries,
            block_bytes: options.block_bytes,
            retention: options.retention.unwrap_or_default(),
        }
    }
}
