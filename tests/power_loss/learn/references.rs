//! What the model learns of deletions, trims and acknowledgements that have to do with what groups
//! reference.

use super::super::call::{Answer, Call, GroupKey, Keep, Name};
use super::super::model::{Model, Released, StreamLife, broken};
use super::{Learned, Moment, trimmed};
use crate::id::EntryId;
use crate::options::{Deletion, RefPolicy};
use std::collections::BTreeSet;

impl Model {
    pub(super) fn learn_references(
        &mut self,
        call: &Call,
        answer: &Answer,
        moment: &Moment,
    ) -> Learned {
        let always = self.always;
        let Some((stream, keys)) = call.about() else {
            return broken("call", format!("{call:?} answered {answer:?}"));
        };
        let Some(life) = self.stream_mut(&stream) else {
            return broken("call", "a call to a stream that is not there");
        };
        let gone = match (call, answer) {
            (Call::DeleteWith { ids, policy, .. }, Answer::Told(told)) => {
                life.deleted_with(ids, *policy, told)?
            }
            (Call::AckDelete { key, ids, policy, .. }, Answer::Told(told)) => {
                life.acked_and_deleted(key, ids, *policy, told)?
            }
            (Call::TrimWith { keep, approximate, policy, .. }, Answer::Count(count)) => {
                life.trimmed_with(*keep, *approximate, *policy, *count)?
            }
            _ => return broken("call", format!("{call:?} answered {answer:?}")),
        };
        let names: Vec<(Name, usize)> =
            life.groups.last().iter().map(|(name, n)| (name.clone(), *n)).collect();
        let mut released = Released { deleted: gone.clone(), pending: Vec::new() };
        for (name, n) in &names {
            let key = GroupKey { stream: stream.clone(), group: name.clone() };
            let Some(seen) = moment.seen.get(&key).filter(|_| keys.contains(&key)) else {
                continue;
            };
            let group = &mut life.group_lives[*n];
            let was = group.seen.last().clone();
            let now: BTreeSet<EntryId> = seen.pending.iter().map(|(id, ..)| *id).collect();
            let left = was.pending.iter().map(|(id, ..)| *id).filter(|id| !now.contains(id));
            let left: Vec<EntryId> = left.collect();
            if call.policy() == Some(RefPolicy::DelRef)
                && let Some(id) = gone.iter().find(|id| now.contains(id))
            {
                return broken("DELREF", format!("{id} is gone, and pending in {name:?}"));
            }
            released.pending.extend(left.into_iter().map(|id| (*n, id)));
            group.seen.push(seen.clone());
            if always && was != *seen {
                group.settle();
            }
        }
        if !released.deleted.is_empty() && !released.pending.is_empty() {
            life.released.push(released);
        }
        if call.policy() == Some(RefPolicy::Acked) && !life.uncertain {
            names.iter().for_each(|(_, n)| life.group_lives[*n].settled.extend(&gone));
        }
        life.removed.extend(&gone);
        if always {
            life.removed_durable.extend(&gone);
            life.groups.settle();
        }
        Ok(())
    }

    /// It failed in such a way that all of it may have taken place.
    pub(super) fn references_may_have_changed(&mut self, call: &Call) {
        let Some((stream, keys)) = call.about() else { return };
        let Some(life) = self.stream_mut(&stream) else { return };
        let live: BTreeSet<EntryId> = life.live().iter().map(|(id, _)| *id).collect();
        let gone: Vec<EntryId> = match call {
            Call::DeleteWith { ids, .. } | Call::AckDelete { ids, .. } => {
                ids.iter().copied().filter(|id| live.contains(id)).collect()
            }
            _ => live.into_iter().collect(),
        };
        life.may_be_removed(gone);
        for key in keys {
            if let Some(group) = life.group_mut(&key.group) {
                group.loose = true;
                if let Call::AckDelete { key: own, ids, .. } = call
                    && own == key
                {
                    let acked = group.pending_of(ids);
                    group.acked_unsure.extend(acked.iter().copied());
                    group.acked.extend(acked);
                }
            }
        }
    }
}

impl StreamLife {
    fn references(&self, id: EntryId, but: Option<&Name>) -> bool {
        self.groups.last().iter().any(|(name, n)| {
            let group = self.group_lives[*n].seen.last();
            let pending = group.pending.iter().any(|(other, ..)| *other == id);
            id > group.cursor || pending && but != Some(name)
        })
    }

    fn is_live(&self, id: EntryId) -> bool {
        self.live().iter().any(|(live, _)| *live == id)
    }

    fn deleted_with(
        &mut self,
        ids: &[EntryId],
        policy: RefPolicy,
        told: &[Deletion],
    ) -> Result<BTreeSet<EntryId>, super::Violation> {
        let mut gone = BTreeSet::new();
        let mut due = Vec::new();
        for id in ids {
            let there = self.is_live(*id) && !gone.contains(id);
            due.push(match policy {
                RefPolicy::Acked if !gone.contains(id) && self.references(*id, None) => {
                    Deletion::Referenced
                }
                _ if there => Deletion::Deleted,
                _ => Deletion::NotFound,
            });
            if due.last() == Some(&Deletion::Deleted) {
                gone.insert(*id);
            }
        }
        self.agree(ids, &due, told)?;
        let last = gone.last().copied().unwrap_or_default();
        self.max_deleted = self.max_deleted.max(last);
        Ok(gone)
    }

    fn acked_and_deleted(
        &mut self,
        key: &GroupKey,
        ids: &[EntryId],
        policy: RefPolicy,
        told: &[Deletion],
    ) -> Result<BTreeSet<EntryId>, super::Violation> {
        let Some(group) = self.group(&key.group) else {
            return broken("call", "an answer of a group that is not there");
        };
        let pending = group.pending_of(ids);
        let (mut acked, mut gone, mut due) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for id in ids {
            if !pending.contains(id) || acked.contains(id) || gone.contains(id) {
                due.push(Deletion::NotFound);
            } else if policy == RefPolicy::Acked && self.references(*id, Some(&key.group)) {
                acked.insert(*id);
                due.push(Deletion::Referenced);
            } else {
                gone.insert(*id);
                due.push(Deletion::Deleted);
            }
        }
        self.agree(ids, &due, told)?;
        let uncertain = self.uncertain;
        // Of an entry that a trim took before only the acknowledgement is new. The trim may be lost.
        let live = |id: &EntryId| uncertain || self.is_live(*id);
        let (gone, taken): (BTreeSet<EntryId>, BTreeSet<EntryId>) =
            gone.into_iter().partition(live);
        let last = gone.last().copied().unwrap_or_default();
        self.max_deleted = self.max_deleted.max(last);
        if let Some(group) = self.group_mut(&key.group) {
            let cursor = group.seen.last().cursor;
            let (below, above): (Vec<_>, Vec<_>) = acked.into_iter().partition(|id| *id <= cursor);
            group.acked.extend(below);
            group.excused.extend(above.into_iter().chain(taken));
        }
        Ok(gone)
    }

    fn agree(&self, ids: &[EntryId], due: &[Deletion], told: &[Deletion]) -> Learned {
        match self.uncertain || due == told {
            true => Ok(()),
            false => broken("call", format!("of {ids:?} it told {told:?}, due was {due:?}")),
        }
    }

    fn trimmed_with(
        &mut self,
        keep: Keep,
        approximate: bool,
        policy: RefPolicy,
        count: u64,
    ) -> Result<BTreeSet<EntryId>, super::Violation> {
        if self.uncertain {
            self.may_be_removed(self.live().iter().map(|(id, _)| *id).collect());
            return Ok(BTreeSet::new());
        }
        let by_groups = policy == RefPolicy::Acked && !self.groups.last().is_empty();
        let (may_go, exact) = if by_groups {
            let live: Vec<EntryId> = self.live().iter().map(|(id, _)| *id).collect();
            let most = match keep {
                Keep::Newest(most) => live.len().saturating_sub(most as usize),
                Keep::From(_) => usize::MAX,
            };
            let below = |id: &EntryId| !matches!(keep, Keep::From(first) if *id >= first);
            let free = live.iter().copied().filter(below).filter(|id| !self.references(*id, None));
            // To a length it may end with a block that could not go as a whole.
            (free.take(most).collect(), matches!(keep, Keep::From(_)))
        } else {
            (trimmed(self, keep), true)
        };
        let right = match exact && !approximate {
            true => count == may_go.len() as u64,
            false => count <= may_go.len() as u64,
        };
        if !right {
            let most = may_go.len();
            let text = format!("a trim to {keep:?} by {policy:?} removed {count}, allowed {most}");
            return broken("C7", text);
        }
        let gone: Vec<EntryId> = may_go.into_iter().take(count as usize).collect();
        if !by_groups {
            self.went(&gone, false);
        }
        Ok(gone.into_iter().collect())
    }
}

impl Call {
    /// The stream, and the groups that are looked at afterwards.
    fn about(&self) -> Option<(Name, &[GroupKey])> {
        match self {
            Call::DeleteWith { stream, keys, .. } | Call::TrimWith { stream, keys, .. } => {
                Some((stream.clone(), keys))
            }
            Call::AckDelete { key, keys, .. } => Some((key.stream.clone(), keys)),
            _ => None,
        }
    }

    fn policy(&self) -> Option<RefPolicy> {
        match self {
            Call::DeleteWith { policy, .. }
            | Call::TrimWith { policy, .. }
            | Call::AckDelete { policy, .. } => Some(*policy),
            _ => None,
        }
    }
}
