//! The groups of a stream at one moment, as the events that rebuild them.
//!
//! Taken while the stream stands still, so it is no more than lists of pointers: the events are
//! made when they are asked for.

use super::pending::PendingCopy;
use super::state::{GroupState, Groups};
use crate::format::event::{Event, GroupNumber};
use crate::id::EntryId;
use crate::planted;
use std::ops::Bound;

/// How many records one event of a checkpoint holds.
const CHUNK: usize = 4096;

impl Groups {
    /// The shortest events that rebuild this state in an empty one.
    pub(crate) fn dump(&mut self) -> impl Iterator<Item = Event> + use<> {
        // Last, because the events before raise the first two.
        let counters = (*self != Groups::default()).then_some(Event::GroupCounters {
            next_group: self.next,
            delivered: self.delivered,
            before: self.before,
        });
        let groups: Vec<(Vec<Event>, Chunks)> =
            self.by_number_mut().map(GroupState::freeze).collect();
        groups
            .into_iter()
            .flat_map(|(events, pending)| events.into_iter().chain(pending))
            .chain(counters)
    }
}

impl GroupState {
    fn freeze(&mut self) -> (Vec<Event>, Chunks) {
        let group = self.number;
        let mut events = vec![Event::GroupCreated {
            group,
            name: (&*self.name).into(),
            last_id: self.last_id,
            entries_read: self.entries_read,
            pinned: self.pinned,
        }];
        for consumer in &self.consumers {
            events.push(Event::ConsumerCreated {
                group,
                consumer: consumer.number,
                name: (&*consumer.name).into(),
                seen_ms: consumer.seen_ms,
                active_ms: consumer.active_ms,
            });
        }
        let implied = self.consumers.last().map_or(0, |last| last.number.saturating_add(1));
        if self.next_consumer != implied {
            events.push(Event::ConsumerCounter { group, next_consumer: self.next_consumer });
        }
        (events, Chunks { group, pending: self.pending.copy(), from: Bound::Unbounded })
    }
}

/// What is pending, some records at a time.
struct Chunks {
    group: GroupNumber,
    pending: PendingCopy,
    from: Bound<EntryId>,
}

impl Iterator for Chunks {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let mut records: Vec<_> = self.pending.from(self.from).take(CHUNK).collect();
        if planted::turns_forgotten() {
            let back = records.iter_mut().filter(|record| record.owner.is_none());
            back.for_each(|record| record.time_ms = 0);
        }
        self.from = Bound::Excluded(records.last()?.id);
        Some(Event::PendingSet { group: self.group, records, active_ms: None })
    }
}
