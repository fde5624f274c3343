//! Removing single entries with what groups reference in mind: XDELEX.

use super::*;
use std::collections::BTreeSet;

impl Stream {
    /// Removes single entries and tells of each what became of it, in the order of the IDs
    /// (XDELEX). With [`RefPolicy::DelRef`] the IDs are no longer pending anywhere, whether the
    /// entry was there or not; with [`RefPolicy::Acked`] what a group references stays. All of it
    /// is one step, for crashes too. Space comes back as after [`Stream::delete`].
    ///
    /// # Errors
    /// As [`Stream::delete`].
    #[doc(alias = "XDELEX")]
    pub fn delete_with(
        &self,
        ids: impl IntoIterator<Item = EntryId>,
        policy: RefPolicy,
    ) -> Result<Vec<Deletion>> {
        let ids: Vec<EntryId> = ids.into_iter().collect();
        let shared = self.shared();
        let (told, position) = self.inner.change(shared, true, |locked| {
            let referenced = locked.state.groups.referenced();
            let (mut told, mut gone) = (Vec::with_capacity(ids.len()), BTreeSet::new());
            for id in &ids {
                told.push(if gone.contains(id) {
                    Deletion::NotFound
                } else if policy == RefPolicy::Acked && referenced.holds(*id) {
                    Deletion::Referenced
                } else if locked.span.find(*id)?.is_some() {
                    gone.insert(*id);
                    Deletion::Deleted
                } else {
                    Deletion::NotFound
                });
            }
            let mut events = Vec::new();
            if policy == RefPolicy::DelRef {
                locked.release(&ids, gone.len(), &mut events);
            }
            events.extend(deletions(&Vec::from_iter(gone)));
            Ok((told, events))
        })?;
        self.inner.care(shared, self.log()?);
        self.inner.settle(shared, position)?;
        Ok(told)
    }

    /// How many of these IDs are pending in a group though their entries are gone.
    #[cfg(feature = "resp")]
    pub(crate) fn pending_ghosts(&self, ids: &[EntryId]) -> Result<u64> {
        let locked = self.inner.lock(self.shared())?;
        let mut ghosts = 0;
        for id in BTreeSet::from_iter(ids) {
            if locked.state.groups.is_pending(*id) && locked.span.find(*id)?.is_none() {
                ghosts += 1;
            }
        }
        Ok(ghosts)
    }
}

impl Locked<'_> {
    /// The events after which these IDs, of which so many live, are pending nowhere.
    pub(crate) fn release(&self, ids: &[EntryId], live: usize, events: &mut Vec<Event>) {
        if planted::references_left() {
            return;
        }
        let ids = Vec::from_iter(BTreeSet::from_iter(ids.iter().copied()));
        self.state.groups.release(&ids, events);
        if !events.is_empty() && live < ids.len() {
            self.keep_trim(events);
        }
    }
}
