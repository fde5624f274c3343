//! What removals have to do with groups: which calls may have removed an entry, and whether they
//! leave it pending, take it from all groups, or go only where every group is done with it.

use super::Call;
use crate::report::Op;
use std::collections::{BTreeMap, BTreeSet};
use streamlog::{EntryId, RefPolicy};

/// What removals of one policy may have removed.
#[derive(Debug, Default)]
struct Reach {
    /// By name.
    ids: BTreeSet<EntryId>,
    /// Everything below this ID.
    below: EntryId,
}

impl Reach {
    fn holds(&self, id: EntryId) -> bool {
        id < self.below || self.ids.contains(&id)
    }
}

/// What the calls of a life may have removed from a stream.
#[derive(Debug, Default)]
pub(super) struct Removals {
    keep: Reach,
    release: Reach,
    acked: Reach,
    /// Pending nowhere, as some call has reported.
    pub(super) released: BTreeSet<EntryId>,
    /// What is gone and was there once, by calls alone that needed every group's acknowledgement.
    pub(super) by_acked: BTreeSet<EntryId>,
}

impl Removals {
    fn of(&mut self, policy: RefPolicy) -> &mut Reach {
        match policy {
            RefPolicy::KeepRef => &mut self.keep,
            RefPolicy::DelRef => &mut self.release,
            RefPolicy::Acked => &mut self.acked,
        }
    }

    /// `below`: what a trim removes at most.
    pub(super) fn add(&mut self, call: &Call, below: EntryId) {
        let policy = policy_of(&call.op);
        let reach = self.of(policy);
        reach.below = reach.below.max(below);
        reach.ids.extend(named(call));
        let Some((_, done)) = &call.done else { return };
        if policy == RefPolicy::DelRef {
            self.released.extend(&done.ids);
            // Whether it was there or not.
            self.released.extend(&done.gone);
        }
    }

    /// Takes in what was there once and is no more.
    pub(super) fn gone(&mut self, ids: impl Iterator<Item = EntryId>) {
        let by_acked = ids.filter(|id| {
            self.acked.holds(*id) && !self.keep.holds(*id) && !self.release.holds(*id)
        });
        self.by_acked = by_acked.collect();
    }

    pub(super) fn may_trim(&self, id: EntryId) -> bool {
        [&self.keep, &self.release, &self.acked].iter().any(|reach| id < reach.below)
    }

    pub(super) fn may_remove(&self, id: EntryId) -> bool {
        [&self.keep, &self.release, &self.acked].iter().any(|reach| reach.holds(id))
    }

    /// Whether some removal may have left it pending.
    pub(super) fn may_leave_pending(&self, id: EntryId) -> bool {
        self.keep.holds(id)
    }
}

fn policy_of(op: &Op) -> RefPolicy {
    match op {
        Op::DeleteWith { policy, .. }
        | Op::AckDelete { policy, .. }
        | Op::TrimRef { policy, .. } => *policy,
        _ => RefPolicy::KeepRef,
    }
}

/// What a call may have removed by name.
pub(super) fn named(call: &Call) -> &[EntryId] {
    match (&call.op, &call.done) {
        (Op::DeleteWith { .. } | Op::AckDelete { .. }, Some((_, done))) => &done.ids,
        (Op::Delete { ids, .. } | Op::DeleteWith { ids, .. } | Op::AckDelete { ids, .. }, _) => ids,
        _ => &[],
    }
}

/// Whether a call removes all that it names or nothing.
pub(super) fn is_all_or_nothing(op: &Op) -> bool {
    match op {
        Op::Delete { .. } => true,
        Op::DeleteWith { policy, .. } => *policy != RefPolicy::Acked,
        _ => false,
    }
}

/// What a reported call says is not there any more.
pub(super) fn is_back(call: &Call, entries: &BTreeMap<EntryId, u64>) -> Option<EntryId> {
    let (_, done) = call.done.as_ref()?;
    let there = |ids: &[EntryId]| ids.iter().find(|id| entries.contains_key(id)).copied();
    match &call.op {
        Op::Delete { ids, .. } => there(ids),
        Op::DeleteWith { .. } => there(&done.ids).or_else(|| there(&done.gone)),
        Op::AckDelete { .. } => there(&done.ids),
        Op::TrimMin { min, exact: true, .. }
        | Op::TrimRef { min, policy: RefPolicy::DelRef, .. } => {
            entries.range(..*min).next().map(|(id, _)| *id)
        }
        _ => None,
    }
}
