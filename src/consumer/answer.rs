//! Answers to what was delivered that do other than to acknowledge: XACKDEL and XNACK.

use super::*;
use crate::options::{Deletion, NackMode, NackOptions, RefPolicy};
use crate::state::deletions;
use std::collections::BTreeSet;

impl Stream {
    /// As [`Group::ack`] by the group's name, for who has no handle; `None` without such a group.
    #[cfg(feature = "resp")]
    pub(crate) fn ack(
        &self,
        group: &[u8],
        ids: impl Iterator<Item = EntryId>,
    ) -> Result<Option<u64>> {
        let ids: Ids = ids.collect();
        let (shared, inner) = (self.shared(), self.inner());
        let ack = |state: &mut MutexGuard<'_, StreamState>, out: &mut Vec<Event>| {
            let groups = &state.groups;
            let found = groups.find(group).and_then(|number| groups.get(number));
            Ok(found.map(|group| group.ack(&ids, out)))
        };
        let (count, (), position) = inner.change_held(shared, false, ack)?;
        inner.settle(shared, position)?;
        Ok(count)
    }
}

impl Group {
    /// Acknowledges entries and removes them from the stream, in one step for crashes too, and
    /// tells of each ID what became of it (XACKDEL), in their order. An ID that is not pending in
    /// this group is left alone: [`Deletion::NotFound`], be the entry there or not. With
    /// [`RefPolicy::KeepRef`] an entry goes that is still pending in other groups, and stays so;
    /// with [`RefPolicy::DelRef`] it is pending nowhere afterwards; with [`RefPolicy::Acked`] it is
    /// acknowledged and goes only if no other group references it, else it is
    /// [`Deletion::Referenced`].
    ///
    /// # Errors
    /// As [`Group::ack`]; `Corrupt`, `StorageFull`.
    #[doc(alias = "XACKDEL")]
    pub fn ack_delete(
        &self,
        ids: impl IntoIterator<Item = EntryId>,
        policy: RefPolicy,
    ) -> Result<Vec<Deletion>> {
        let ids: Vec<EntryId> = ids.into_iter().collect();
        let told = self.change_durably(true, |locked, group| {
            let state = group.of(locked)?;
            let referenced = locked.state.groups.referenced();
            let mut told = Vec::with_capacity(ids.len());
            let (mut acked, mut gone) = (BTreeSet::new(), BTreeSet::new());
            for id in &ids {
                if !state.is_pending(*id) || !acked.insert(*id) {
                    told.push(Deletion::NotFound);
                } else if policy == RefPolicy::Acked
                    && referenced.holds_without(*id, group.of.number)
                {
                    told.push(Deletion::Referenced);
                } else {
                    if locked.span.find(*id)?.is_some() {
                        gone.insert(*id);
                    }
                    told.push(Deletion::Deleted);
                }
            }
            let mut events = Vec::new();
            let acked = Vec::from_iter(acked);
            match policy {
                RefPolicy::DelRef => locked.release(&acked, gone.len(), &mut events),
                _ => state.removed(acked.into(), &mut events),
            }
            events.extend(deletions(&Vec::from_iter(gone)));
            Ok((told, events))
        })?;
        let inner = self.stream().inner();
        inner.care(self.shared(), inner.log(self.shared())?);
        Ok(told)
    }
    /// What was given back, in the order in which it came back.
    #[cfg(any(test, fuzzing))]
    #[allow(dead_code, reason = "for the power-loss simulator")]
    pub(crate) fn given_back(&self) -> Result<Vec<EntryId>> {
        self.look(GroupState::given_back)
    }

    /// When a read that claims ([`GroupReadOptions::claim`]) will find something that was idle for
    /// `min_idle`, if nothing happens until then: in milliseconds since 1970. Where nothing is
    /// pending, `min_idle` from now.
    ///
    /// # Errors
    /// `Corrupt`, `NoGroup`, `NoStream`, `Closed`.
    pub fn claimable_at(&self, min_idle: Duration) -> Result<u64> {
        let now = self.shared().disk.now_ms();
        let locked = self.stream().inner().lock(self.shared())?;
        let mut exists = |id| Ok(locked.span.find(id)?.is_some());
        self.of(&locked)?.due_at(min_idle, now, &mut exists)
    }

    /// Gives deliveries back to the group without an acknowledgement (XNACK), whoever has them, and
    /// returns how many there were; an ID that is named again counts again. They are pending for
    /// nobody then: whoever claims next can have them, however short a time ago they were
    /// delivered, and [`GroupReadOptions::claim`] gives them out first, in the order in which they
    /// came back. Under [`Durability::Always`](crate::Durability::Always) it is durable on return.
    ///
    /// # Errors
    /// `NoGroup`, `Poisoned`, `StorageFull`, `Corrupt`, `NoStream`, `Closed`.
    #[doc(alias = "XNACK")]
    pub fn nack(&self, ids: impl IntoIterator<Item = EntryId>, mode: NackMode) -> Result<u64> {
        self.nack_with(ids, mode, NackOptions::new())
    }

    /// The same with all options of XNACK.
    ///
    /// # Errors
    /// As [`Group::nack`].
    #[doc(alias = "XNACK")]
    pub fn nack_with(
        &self,
        ids: impl IntoIterator<Item = EntryId>,
        mode: NackMode,
        options: NackOptions,
    ) -> Result<u64> {
        let ids: Vec<EntryId> = ids.into_iter().collect();
        let (count, position) = self.change(true, |locked, group| {
            let mut exists = |id| Ok(locked.span.find(id)?.is_some());
            let mut events = Vec::new();
            let state = group.of(locked)?;
            let count = state.nack(&ids, mode, options, &mut exists, &mut events)?;
            Ok((count, events))
        })?;
        let inner = self.stream().inner();
        if count > 0 {
            // Not only the first in the queue: it may be one that claims nothing.
            inner.waiters.wake_group(self.of.number);
        }
        inner.settle(self.shared(), position)?;
        Ok(count)
    }
}
