//! Answers to what was delivered that do more than to acknowledge: XACKDEL.

use super::*;
use crate::options::{Deletion, RefPolicy};
use crate::state::deletions;
use std::collections::BTreeSet;

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
                } else if policy == RefPolicy::Acked && referenced.holds_without(*id, group.number)
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
                _ => state.removed(acked, &mut events),
            }
            events.extend(deletions(&Vec::from_iter(gone)));
            Ok((told, events))
        })?;
        let inner = self.stream.inner();
        inner.care(self.shared(), inner.log(self.shared())?);
        Ok(told)
    }
}
