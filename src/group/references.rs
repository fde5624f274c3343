//! Which entries the groups reference, and what it takes to let go of them: DELREF and ACKED.
//!
//! A group references what lies above its last-delivered ID and what is pending in it, owned or
//! not. It does not matter whether such an entry exists.

use super::state::{GroupState, Groups};
use crate::error::Result;
use crate::format::event::{Event, GroupNumber};
use crate::id::EntryId;

/// What the groups of a stream reference, at one moment.
pub(crate) struct Referenced<'a> {
    groups: &'a Groups,
    /// The lowest last-delivered ID; `None` without groups.
    read_by_all: Option<EntryId>,
}

impl Referenced<'_> {
    /// Whether a group references this ID.
    pub(crate) fn holds(&self, id: EntryId) -> bool {
        self.holds_but(id, |_| false)
    }

    /// The same, where this ID was just acknowledged in one of them.
    pub(crate) fn holds_without(&self, id: EntryId, acknowledged_in: GroupNumber) -> bool {
        self.holds_but(id, |group| group.number == acknowledged_in)
    }

    fn holds_but(&self, id: EntryId, but: impl Fn(&GroupState) -> bool) -> bool {
        let pending = |group: &GroupState| !but(group) && group.is_pending(id);
        match self.read_by_all {
            None => false,
            Some(read) => id > read || self.groups.by_number().any(pending),
        }
    }
}

impl Groups {
    pub(crate) fn referenced(&self) -> Referenced<'_> {
        let read_by_all = self.by_number().map(|group| group.last_id).min();
        Referenced { groups: self, read_by_all }
    }

    /// Whether this ID is pending in any of them.
    #[cfg(feature = "resp")]
    pub(crate) fn is_pending(&self, id: EntryId) -> bool {
        self.by_number().any(|group| group.is_pending(id))
    }

    /// The events after which these IDs are pending nowhere. Ascending.
    pub(crate) fn release(&self, ids: &[EntryId], out: &mut Vec<Event>) {
        for group in self.by_number() {
            group.removed(group.pending.among(ids), out);
        }
    }

    /// The same for all entries above `after` up to `to` that live: what is pending of others
    /// stays.
    pub(crate) fn release_trimmed(
        &self,
        after: EntryId,
        to: EntryId,
        lives: &mut dyn FnMut(EntryId) -> Result<bool>,
        out: &mut Vec<Event>,
    ) -> Result<()> {
        let Some(from) = after.next() else {
            return Ok(());
        };
        for group in self.by_number() {
            let mut ids = Vec::new();
            for record in group.pending.from(from).take_while(|record| record.id <= to) {
                if lives(record.id)? {
                    ids.push(record.id);
                }
            }
            group.removed(ids.into(), out);
        }
        Ok(())
    }
}

impl GroupState {
    /// Whether this ID is pending, for anyone or for nobody.
    pub(crate) fn is_pending(&self, id: EntryId) -> bool {
        self.pending.contains(id)
    }
}
