//! The groups and consumers of one stream, and how events change them.
//!
//! Invariants:
//! - Numbers of groups, and of consumers within a group, are never used again. The next ones are
//!   part of the state and of every checkpoint.
//! - `pinned <= last_id` in every group (see `recover.rs`).
//! - `delivered` is at or above every ID that was ever delivered or claimed, unless XSETID lowered
//!   it since; `before` is where it stood at the most when it did.
//! - Every owner in a pending entries list is a consumer of the group.
//!
//! Applying an event cannot fail. One that does not fit the state (which a journal that passed its
//! checks does not hold) changes nothing.

use super::counters::LogFacts;
use super::pending::PendingList;
use crate::error::{Error, ErrorKind, Result, check_name};
use crate::format::event::{ConsumerNumber, Event, GroupNumber, PendingRecord, Single};
use crate::id::EntryId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All groups of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Groups {
    /// Ascending by number: found by binary search, which is one or two steps as a rule, and
    /// costs nothing for numbers that are no longer used.
    groups: Vec<GroupState>,
    names: BTreeMap<Arc<[u8]>, GroupNumber>,
    pub(super) next: GroupNumber,
    pub(super) delivered: EntryId,
    pub(super) before: EntryId,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupState {
    pub(super) number: GroupNumber,
    pub(super) name: Arc<[u8]>,
    pub(super) last_id: EntryId,
    pub(super) entries_read: Option<u64>,
    pub(super) pinned: EntryId,
    pub(super) pending: PendingList,
    /// Ascending by number.
    pub(super) consumers: Vec<ConsumerState>,
    pub(super) consumer_names: BTreeMap<Arc<[u8]>, ConsumerNumber>,
    pub(super) next_consumer: ConsumerNumber,
}

/// One consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConsumerState {
    pub(super) number: ConsumerNumber,
    pub(super) name: Arc<[u8]>,
    /// When it last tried anything, in milliseconds since 1970.
    pub(super) seen_ms: u64,
    /// When it last obtained an entry; `None` if never.
    pub(super) active_ms: Option<u64>,
}

impl ConsumerState {
    #[inline]
    fn touch(&mut self, now: u64, obtained: bool) {
        self.seen_ms = now;
        if obtained {
            self.active_ms = Some(now);
        }
    }
}

fn no_number_left(argument: &'static str) -> Error {
    Error::new(ErrorKind::InvalidArgument {
        argument,
        reason: "no more of them can be made in this stream",
    })
}

impl Groups {
    pub(crate) fn len(&self) -> usize {
        self.groups.len()
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<GroupNumber> {
        self.names.get(name).copied()
    }

    /// `None` if the group was removed.
    pub(crate) fn get(&self, number: GroupNumber) -> Option<&GroupState> {
        self.groups.get(self.slot(number)?)
    }

    fn get_mut(&mut self, number: GroupNumber) -> Option<&mut GroupState> {
        let slot = self.slot(number)?;
        self.groups.get_mut(slot)
    }

    fn slot(&self, number: GroupNumber) -> Option<usize> {
        self.groups.binary_search_by_key(&number, |group| group.number).ok()
    }

    /// The groups in the byte order of their names.
    pub(crate) fn by_name(&self) -> impl Iterator<Item = &GroupState> {
        self.names.values().filter_map(|number| self.get(*number))
    }

    pub(super) fn by_number(&self) -> impl Iterator<Item = &GroupState> {
        self.groups.iter()
    }

    pub(super) fn by_number_mut(&mut self) -> impl Iterator<Item = &mut GroupState> {
        self.groups.iter_mut()
    }

    /// The highest ID that was ever delivered or claimed, whatever became of its group: no new
    /// entry may get it. Positions that a caller set do not count.
    pub(crate) fn max_delivered(&self) -> EntryId {
        self.delivered
    }

    /// XGROUP CREATE.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`], [`ErrorKind::GroupExists`].
    pub(crate) fn create_group(
        &self,
        name: &[u8],
        last_id: EntryId,
        entries_read: Option<u64>,
        facts: &LogFacts,
    ) -> Result<Event> {
        check_name("group", name)?;
        if self.names.contains_key(name) {
            return Err(Error::new(ErrorKind::GroupExists { name: name.to_vec() }));
        }
        if self.next == GroupNumber::MAX {
            return Err(no_number_left("group"));
        }
        Ok(Event::GroupCreated {
            group: self.next,
            name: name.into(),
            last_id,
            entries_read: entries_read.map(|read| read.min(facts.entries_added)),
            pinned: pin(last_id, facts),
        })
    }

    /// Changes the state by one event. Events of the stream as a whole change nothing here.
    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::GroupCreated { group, name, last_id, entries_read, pinned } => {
                let state = GroupState::new(*group, name, *last_id, *entries_read, *pinned);
                self.insert(state);
            }
            Event::GroupRemoved { group } => self.remove(*group),
            Event::GroupCounters { next_group, delivered, before } => {
                self.next = *next_group;
                self.delivered = *delivered;
                self.before = *before;
            }
            Event::GroupSet { group, .. }
            | Event::ConsumerCreated { group, .. }
            | Event::ConsumerRemoved { group, .. }
            | Event::Seen { group, .. }
            | Event::ConsumerCounter { group, .. } => {
                if let Some(group) = self.get_mut(*group) {
                    group.apply(event);
                }
            }
            Event::Delivered { group, .. }
            | Event::Redelivered { group, .. }
            | Event::PendingSet { group, .. }
            | Event::PendingRemoved { group, .. } => self.apply_to_entries(*group, event),
            Event::StreamCreated { .. }
            | Event::StreamRemoved
            | Event::StreamRenamed { .. }
            | Event::OptionsSet { .. }
            | Event::ExpirySet { .. }
            | Event::Deleted { .. }
            | Event::Trimmed { .. }
            | Event::TrimmedOut { .. }
            | Event::SetBack { .. }
            | Event::Counters(_)
            | Event::Durable { .. }
            | Event::IdempotencySet { .. }
            | Event::IdempotencyPairs { .. }
            | Event::IdempotencyRecorded { .. } => {}
        }
    }

    fn apply_to_entries(&mut self, number: GroupNumber, event: &Event) {
        let highest = match event {
            Event::Delivered { ids, .. } => ids.last().copied(),
            Event::PendingSet { records, .. } => records.iter().map(|record| record.id).max(),
            _ => None,
        };
        self.delivered = self.delivered.max(highest.unwrap_or_default());
        if let Some(group) = self.get_mut(number) {
            group.apply_to_entries(event);
        }
    }

    /// The same for the most frequent ones.
    #[inline]
    pub(crate) fn apply_single(&mut self, event: &Single) {
        let number = match event {
            Single::Delivered { group, id, .. } => {
                self.delivered = self.delivered.max(*id);
                group
            }
            Single::PendingRemoved { group, .. } => group,
        };
        if let Some(group) = self.get_mut(*number) {
            group.apply_single(event);
        }
    }

    fn insert(&mut self, group: GroupState) {
        let Err(slot) = self.groups.binary_search_by_key(&group.number, |other| other.number)
        else {
            return;
        };
        if self.names.contains_key(&group.name) {
            return;
        }
        self.next = self.next.max(group.number.saturating_add(1));
        self.names.insert(Arc::clone(&group.name), group.number);
        self.groups.insert(slot, group);
    }

    fn remove(&mut self, number: GroupNumber) {
        if let Some(slot) = self.slot(number) {
            let group = self.groups.remove(slot);
            self.names.remove(&group.name);
        }
    }
}

/// A position beyond the end is where the caller wants it; one within the log is not, should the
/// log turn out to be shorter.
fn pin(last_id: EntryId, facts: &LogFacts) -> EntryId {
    if last_id > facts.last_id { last_id } else { EntryId::MIN }
}

impl GroupState {
    fn new(
        number: GroupNumber,
        name: &[u8],
        last_id: EntryId,
        entries_read: Option<u64>,
        pinned: EntryId,
    ) -> GroupState {
        GroupState {
            number,
            name: name.into(),
            last_id,
            entries_read,
            pinned,
            pending: PendingList::default(),
            consumers: Vec::new(),
            consumer_names: BTreeMap::new(),
            next_consumer: 0,
        }
    }

    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// The last-delivered ID.
    pub(crate) fn last_id(&self) -> EntryId {
        self.last_id
    }

    pub(crate) fn find_consumer(&self, name: &[u8]) -> Option<ConsumerNumber> {
        self.consumer_names.get(name).copied()
    }

    /// `None` if the consumer was removed.
    pub(crate) fn consumer(&self, number: ConsumerNumber) -> Option<&ConsumerState> {
        self.consumers.get(self.slot(number)?)
    }

    pub(super) fn consumers_by_name(&self) -> impl Iterator<Item = &ConsumerState> {
        let numbers = self.consumer_names.values();
        numbers.filter_map(|number| self.consumer(*number))
    }

    fn slot(&self, number: ConsumerNumber) -> Option<usize> {
        self.consumers.binary_search_by_key(&number, |consumer| consumer.number).ok()
    }

    /// XGROUP SETID.
    pub(crate) fn set(
        &self,
        last_id: EntryId,
        entries_read: Option<u64>,
        facts: &LogFacts,
    ) -> Event {
        Event::GroupSet {
            group: self.number,
            last_id,
            entries_read: entries_read.map(|read| read.min(facts.entries_added)),
            pinned: pin(last_id, facts),
        }
    }

    /// LASTID of XCLAIM: raises the cursor, never lowers it, and leaves the counter.
    pub(super) fn raise(&self, last_id: EntryId, facts: &LogFacts) -> Option<Event> {
        (last_id > self.last_id).then(|| Event::GroupSet {
            group: self.number,
            last_id,
            entries_read: self.entries_read,
            pinned: pin(last_id, facts).max(self.pinned),
        })
    }

    /// XGROUP DESTROY.
    pub(crate) fn remove(&self) -> Event {
        Event::GroupRemoved { group: self.number }
    }

    /// XGROUP CREATECONSUMER; `None` if there is one of this name.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`].
    pub(crate) fn create_consumer(&self, name: &[u8], now: u64) -> Result<Option<Event>> {
        if self.consumer_names.contains_key(name) {
            return Ok(None);
        }
        check_name("consumer", name)?;
        if self.next_consumer == ConsumerNumber::MAX {
            return Err(no_number_left("consumer"));
        }
        Ok(Some(Event::ConsumerCreated {
            group: self.number,
            consumer: self.next_consumer,
            name: name.into(),
            seen_ms: now,
            active_ms: None,
        }))
    }

    /// A consumer tries something: it is made if there is none of this name, else it was seen.
    ///
    /// # Errors
    /// As [`GroupState::create_consumer`].
    pub(crate) fn attend(&self, name: &[u8], now: u64) -> Result<(ConsumerNumber, Event)> {
        if let Some(consumer) = self.find_consumer(name) {
            return Ok((consumer, self.seen(consumer, now)));
        }
        match self.create_consumer(name, now)? {
            Some(event) => Ok((self.next_consumer, event)),
            None => Err(no_number_left("consumer")),
        }
    }

    /// A consumer that is known by number tries something.
    pub(crate) fn seen(&self, consumer: ConsumerNumber, now: u64) -> Event {
        Event::Seen { group: self.number, consumer, time_ms: now }
    }

    /// XGROUP DELCONSUMER, with the number of records that the consumer owned.
    pub(crate) fn remove_consumer(&self, name: &[u8]) -> Option<(Event, u64)> {
        let consumer = self.find_consumer(name)?;
        let event = Event::ConsumerRemoved { group: self.number, consumer };
        Some((event, self.pending.len_of(consumer)))
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::GroupSet { last_id, entries_read, pinned, .. } => {
                self.last_id = *last_id;
                self.entries_read = *entries_read;
                self.pinned = *pinned;
            }
            Event::ConsumerCreated { consumer, name, seen_ms, active_ms, .. } => {
                self.insert(ConsumerState {
                    number: *consumer,
                    name: Arc::from(&**name),
                    seen_ms: *seen_ms,
                    active_ms: *active_ms,
                });
            }
            Event::ConsumerRemoved { consumer, .. } => {
                if let Some(slot) = self.slot(*consumer) {
                    let consumer = self.consumers.remove(slot);
                    self.consumer_names.remove(&consumer.name);
                    self.pending.remove_owner(consumer.number);
                }
            }
            Event::Seen { consumer, time_ms, .. } => self.touch(*consumer, *time_ms, false),
            Event::ConsumerCounter { next_consumer, .. } => self.next_consumer = *next_consumer,
            _ => {}
        }
    }

    fn apply_to_entries(&mut self, event: &Event) {
        match event {
            Event::Delivered { consumer, time_ms, no_ack, entries_read, ids, .. } => {
                self.last_id = ids.last().copied().unwrap_or(self.last_id);
                self.entries_read = *entries_read;
                if self.slot(*consumer).is_some() && !*no_ack {
                    self.pending.deliver(*consumer, *time_ms, ids);
                }
                self.touch(*consumer, *time_ms, !*no_ack);
            }
            Event::Redelivered { consumer, time_ms, ids, .. } => {
                for id in ids {
                    self.pending.redeliver(*consumer, *time_ms, *id);
                }
                self.touch(*consumer, *time_ms, false);
            }
            Event::PendingSet { records, active_ms, .. } => self.put(records, *active_ms),
            Event::PendingRemoved { ids, .. } => self.pending.remove(ids),
            _ => {}
        }
    }

    #[inline]
    fn apply_single(&mut self, event: &Single) {
        match *event {
            Single::Delivered { consumer, time_ms, no_ack, entries_read, id, .. } => {
                self.last_id = id;
                self.entries_read = entries_read;
                let Some(slot) = self.slot(consumer) else { return };
                if !no_ack {
                    self.pending.deliver_one(consumer, time_ms, id);
                }
                if let Some(consumer) = self.consumers.get_mut(slot) {
                    consumer.touch(time_ms, !no_ack);
                }
            }
            Single::PendingRemoved { id, .. } => self.pending.remove_one(id),
        }
    }

    fn put(&mut self, records: &[PendingRecord], active_ms: Option<u64>) {
        for span in records.chunk_by(|a, b| a.owner == b.owner) {
            let Some(owner) = span.first().map(|record| record.owner) else {
                continue;
            };
            if let Some(owner) = owner {
                if self.slot(owner).is_none() {
                    continue;
                }
                if let Some(now) = active_ms {
                    self.touch(owner, now, true);
                }
            }
            // A checkpoint has no such time.
            if active_ms.is_some() {
                span.iter().for_each(|record| self.pending.take_over(*record));
            } else {
                span.iter().for_each(|record| self.pending.put(*record));
            }
        }
    }

    fn touch(&mut self, consumer: ConsumerNumber, now: u64, obtained: bool) {
        let slot = self.slot(consumer);
        if let Some(consumer) = slot.and_then(|slot| self.consumers.get_mut(slot)) {
            consumer.touch(now, obtained);
        }
    }

    fn insert(&mut self, consumer: ConsumerState) {
        let number = consumer.number;
        let Err(slot) = self.consumers.binary_search_by_key(&number, |other| other.number) else {
            return;
        };
        if self.consumer_names.contains_key(&consumer.name) {
            return;
        }
        self.next_consumer = self.next_consumer.max(number.saturating_add(1));
        self.consumer_names.insert(Arc::clone(&consumer.name), number);
        self.consumers.insert(slot, consumer);
    }
}

#[cfg(test)]
mod tests;
