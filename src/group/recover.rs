//! What becomes of positions beyond the end of the recovered log.
//!
//! Entries and group state reach the disk on their own. Under the order "segments before journal"
//! a group is never ahead, but the system may write the journal's bytes early: a delivery may be
//! on disk and the entries that it gave out may not. A cursor left up there would skip the entries
//! appended from now on; a pending record up there would take an ack meant for another entry.
//! With `end` for the last ID that the log itself knows (its frames, deletions, trims and XSETID;
//! not deliveries):
//!
//! - A cursor above `end` is lowered to `end`, or to its `pinned` position if that is higher. It
//!   then stands where it would stand had the lost deliveries never happened.
//! - `pinned` is where a caller put the cursor *beyond the log as it was then* (create, SETID,
//!   LASTID): that was meant to skip entries still to come, and is kept. A position within the log
//!   of that time (`$` above all) is not pinned: if the log is shorter now it has lost entries,
//!   and what is appended in their stead was not meant to be skipped. XSETID to below a cursor
//!   pins that cursor, since Redis leaves it there.
//! - Deliveries move the cursor and never the pin; SETID forgets an older pin.
//! - Pending records above `end` are dropped, whoever made them: their entries do not exist. Where
//!   XSETID lowered the last ID, records of before that may lie up there; up to the highest ID that
//!   was delivered then none is dropped, as Redis drops none.
//! - `max_delivered` keeps the lost IDs, so that none of them is given again.
//!
//! The result is a list of events, already applied. They must go into the journal before anything
//! else does: an event that follows was decided on the lowered state.

use super::counters::LogFacts;
use super::state::{GroupState, Groups};
use crate::format::event::Event;
use crate::id::EntryId;
use crate::planted;

/// A group whose cursor or pending entries lay beyond the log, and what was done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Clamped {
    pub(crate) group: Vec<u8>,
    /// The last-delivered ID before and after.
    pub(crate) from: EntryId,
    pub(crate) to: EntryId,
    /// How many pending records were dropped.
    pub(crate) dropped: u64,
    pub(crate) events: Vec<Event>,
}

impl Groups {
    /// What XSETID means for the groups: no counter stays above the number of entries added, a
    /// cursor that is now beyond the end is there by the caller's will, and IDs above the new last
    /// one may be given again.
    pub(crate) fn set_log(&self, last_id: EntryId, entries_added: u64, out: &mut Vec<Event>) {
        for group in self.by_number() {
            let too_many = group.entries_read.is_some_and(|read| read > entries_added);
            let beyond = group.last_id > last_id && group.pinned < group.last_id;
            if too_many || beyond {
                out.push(Event::GroupSet {
                    group: group.number,
                    last_id: group.last_id,
                    entries_read: group.entries_read.map(|read| read.min(entries_added)),
                    pinned: if beyond { group.last_id } else { group.pinned },
                });
            }
        }
        if self.delivered > last_id {
            let before = self.before.max(self.delivered);
            out.push(Event::GroupCounters { next_group: self.next, delivered: last_id, before });
        }
    }

    /// Takes every group back behind the end of the log. `known.last_id` must not count
    /// deliveries; `known.entries_added` becomes the counter of a group that is put at the end.
    pub(crate) fn clamp(&mut self, known: &LogFacts) -> Vec<Clamped> {
        let clamped: Vec<Clamped> =
            self.by_number().filter_map(|group| group.clamp(known, self.before)).collect();
        for event in clamped.iter().flat_map(|group| &group.events) {
            self.apply(event);
        }
        clamped
    }
}

impl GroupState {
    fn clamp(&self, known: &LogFacts, before: EntryId) -> Option<Clamped> {
        let end = known.last_id;
        let to = self.last_id.min(end.max(self.pinned));
        let mut events = Vec::new();
        if to != self.last_id {
            events.push(Event::GroupSet {
                group: self.number,
                last_id: to,
                // At the end everything was read; beyond it Redis does not know either.
                entries_read: (to == end).then_some(known.entries_added),
                pinned: self.pinned,
            });
        }
        let end = if planted::pending_beyond() { EntryId::MAX } else { end };
        let lost = end.max(before).next().map_or_else(Vec::new, |first| {
            self.pending.from(first).map(|record| record.id).collect()
        });
        let dropped = lost.len() as u64;
        self.removed(lost.into(), &mut events);
        (!events.is_empty()).then(|| Clamped {
            group: self.name().to_vec(),
            from: self.last_id,
            to,
            dropped,
            events,
        })
    }
}

#[cfg(test)]
mod tests;
