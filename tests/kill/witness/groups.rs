//! The groups of one stream after one life: no entry skipped, none acknowledged by nobody, none
//! pending for two.

use super::policies::Removals;
use super::{Call, GroupSeen, NOBODY, Outcome, StreamSeen, counts};
use crate::plan::GROUPS;
use crate::report::Op;
use std::collections::{BTreeMap, BTreeSet};
use streamlog::{EntryId, RefPolicy};

/// An entry came to a consumer, or back from it, between these lines.
struct Touch {
    consumer: u64,
    from: usize,
    to: usize,
}

struct Check<'a> {
    before: &'a GroupSeen,
    /// What was there before.
    entries: &'a BTreeMap<EntryId, u64>,
    gone: &'a Removals,
    /// The calls on this group.
    calls: Vec<&'a Call>,
    stream: &'a StreamSeen,
    seen: &'a GroupSeen,
    /// What reported calls gave to whom.
    touches: BTreeMap<EntryId, Vec<Touch>>,
    /// What reported calls acknowledged, in all lives.
    acked: BTreeSet<EntryId>,
    /// What calls that nobody reported may have acknowledged.
    maybe_acked: BTreeSet<EntryId>,
    /// The highest ID that was delivered.
    highest: EntryId,
}

/// The groups as they are, with what is known of acknowledgements from now on.
pub(super) fn check(
    before: &StreamSeen,
    calls: &[&Call],
    seen: &StreamSeen,
    gone: &Removals,
) -> Outcome<Vec<GroupSeen>> {
    let mut groups = Vec::new();
    for (number, name) in GROUPS.into_iter().enumerate() {
        let fresh = GroupSeen::default();
        let now = seen.groups.get(number).unwrap_or(&fresh);
        let mut check = Check {
            before: before.groups.get(number).unwrap_or(&fresh),
            entries: &before.entries,
            gone,
            calls: calls
                .iter()
                .copied()
                .filter(|call| group_of(&call.op) == Some(number))
                .collect(),
            stream: seen,
            seen: now,
            touches: BTreeMap::new(),
            acked: BTreeSet::new(),
            maybe_acked: BTreeSet::new(),
            highest: EntryId::MIN,
        };
        let checked = check.all();
        checked.map_err(|what| format!("{name}: {what}"))?;
        groups.push(GroupSeen { acked: check.acked_from_now(), ..now.clone() });
    }
    Ok(groups)
}

fn group_of(op: &Op) -> Option<usize> {
    match op {
        Op::Read { group, .. }
        | Op::ReadClaim { group, .. }
        | Op::History { group, .. }
        | Op::Ack { group, .. }
        | Op::AckDelete { group, .. }
        | Op::Nack { group, .. }
        | Op::Claim { group, .. }
        | Op::AutoClaim { group, .. } => Some(*group),
        _ => None,
    }
}

fn consumer_of(op: &Op) -> Option<u64> {
    match op {
        Op::Read { consumer, .. }
        | Op::ReadClaim { consumer, .. }
        | Op::History { consumer, .. }
        | Op::Claim { consumer, .. }
        | Op::AutoClaim { consumer, .. } => Some(*consumer),
        _ => None,
    }
}

/// Whether a call gives out new entries.
fn reads(call: &Call) -> bool {
    matches!(call.op, Op::Read { .. } | Op::ReadClaim { .. })
}

/// The new entries that a call gave out; what it took over comes before them.
fn new_ones(call: &Call) -> &[EntryId] {
    match (&call.op, &call.done) {
        (Op::Read { .. }, Some((_, done))) => &done.ids,
        (Op::ReadClaim { .. }, Some((_, done))) => {
            let claimed = usize::try_from(done.count).unwrap_or(usize::MAX);
            done.ids.get(claimed..).unwrap_or_default()
        }
        _ => &[],
    }
}

impl<'a> Check<'a> {
    fn all(&mut self) -> Outcome<()> {
        self.collect_reads()?;
        self.collect_acks();
        self.cursor()?;
        self.pending()?;
        self.references()?;
        self.nothing_skipped()?;
        self.unreported_acks()
    }

    fn done(&self) -> impl Iterator<Item = &'a Call> + use<'a> {
        let done: Vec<_> = self.calls.iter().copied().filter(|c| !c.is_open()).collect();
        done.into_iter()
    }

    fn open(&self) -> impl Iterator<Item = &'a Call> + use<'a> {
        let open: Vec<_> = self.calls.iter().copied().filter(|c| c.is_open()).collect();
        open.into_iter()
    }

    /// New entries come once and in order; entries that are said to be gone are.
    fn collect_reads(&mut self) -> Outcome<()> {
        self.highest = self.before.cursor;
        let mut given = BTreeSet::new();
        for call in self.done() {
            let Some((line, done)) = &call.done else {
                continue;
            };
            if let Some(id) = done.gone.iter().find(|id| self.stream.entries.contains_key(id)) {
                return Err(format!("{id} was said to be gone and is there"));
            }
            for id in new_ones(call) {
                if *id <= self.before.cursor || !given.insert(*id) {
                    return Err(format!("{id} was delivered as new a second time"));
                }
                self.highest = self.highest.max(*id);
            }
            let (consumer, ids) = match (&call.op, consumer_of(&call.op)) {
                (Op::Nack { ids, .. }, _) => (NOBODY, ids),
                (_, Some(consumer)) => (consumer, &done.ids),
                (_, None) => continue,
            };
            for id in ids {
                self.touches.entry(*id).or_default().push(Touch {
                    consumer,
                    from: call.intent,
                    to: *line,
                });
            }
        }
        Ok(())
    }

    fn collect_acks(&mut self) {
        self.acked = self.before.acked.clone();
        for call in self.done() {
            match (&call.op, &call.done) {
                (Op::Ack { ids, .. }, _) => self.acked.extend(ids),
                (Op::AckDelete { .. }, Some((_, done))) => {
                    self.acked.extend(done.ids.iter().chain(&done.kept));
                }
                _ => {}
            }
        }
        for call in self.open() {
            // Other policies acknowledge in one step with the removal.
            if let Op::Ack { ids, .. } | Op::AckDelete { ids, policy: RefPolicy::Acked, .. } =
                &call.op
            {
                self.maybe_acked.extend(ids);
            }
        }
    }

    fn reads_open(&self) -> bool {
        self.open().any(reads)
    }

    fn cursor(&self) -> Outcome<()> {
        let cursor = self.seen.cursor;
        if cursor < self.highest || cursor > self.stream.last_id {
            return Err(format!(
                "the last delivered ID is {cursor}; {} was delivered and {} is the last",
                self.highest, self.stream.last_id
            ));
        }
        if cursor != self.highest && !self.reads_open() {
            return Err(format!(
                "the last delivered ID is {cursor}; nobody read beyond {}",
                self.highest
            ));
        }
        Ok(())
    }

    fn pending(&self) -> Outcome<()> {
        for (id, (owner, deliveries)) in &self.seen.pending {
            if self.acked.contains(id) {
                return Err(format!("{id} is pending and was acknowledged"));
            }
            let touched = self.touches.get(id).map_or(&[][..], Vec::as_slice);
            let known = self.before.pending.get(id);
            let unseen = self.reads_open() && *id > self.highest_before_open_reads();
            if known.is_none() && touched.is_empty() && !unseen {
                return Err(format!("{id} is pending and was delivered to nobody"));
            }
            if *id > self.seen.cursor {
                return Err(format!("{id} is pending beyond {}", self.seen.cursor));
            }
            if !self.may_own(*owner, *id) {
                return Err(format!("{id} is pending for c{owner}, who has lost it"));
            }
            let given = touched.iter().filter(|touch| touch.consumer != NOBODY);
            let last = given.clone().map(|touch| touch.to).max().unwrap_or(0);
            let told = known.map_or(0, |(_, times)| *times) + given.count() as u64;
            let open = self.open().filter(|c| consumer_of(&c.op).is_some()).count() as u64;
            let counts = counts::possible(*id, &self.calls, (told, open), last);
            let delivered = *deliveries > 0 || known.is_some() || !touched.is_empty();
            if !delivered || !counts.contains(deliveries) {
                return Err(format!("{id} was delivered {counts:?} times and says {deliveries}"));
            }
        }
        Ok(())
    }

    /// Whoever removes an entry leaves it pending, takes it from every group, or waits for them.
    fn references(&self) -> Outcome<()> {
        for id in self.seen.pending.keys() {
            if self.gone.released.contains(id) {
                return Err(format!("{id} is pending and was taken from all groups"));
            }
            let long = self.before.pending.contains_key(id) && !self.entries.contains_key(id);
            let there = self.stream.entries.contains_key(id);
            if !there && !long && !self.gone.may_leave_pending(*id) {
                return Err(format!("{id} is pending and was removed with its references"));
            }
        }
        for id in &self.gone.by_acked {
            let settled = self.acked.contains(id) || self.maybe_acked.contains(id);
            if *id > self.seen.cursor || !settled {
                return Err(format!("{id} was removed, and the group was not done with it"));
            }
        }
        Ok(())
    }

    /// What an unreported read was given lies above all that was delivered before it began.
    fn highest_before_open_reads(&self) -> EntryId {
        let open = self.open().filter(|call| reads(call));
        let begin = open.map(|call| call.intent).min().unwrap_or(0);
        let delivered = self.done().filter(|call| call.end() < begin);
        delivered.flat_map(new_ones).copied().max().unwrap_or(self.before.cursor)
    }

    /// Whether some order of the calls that overlap leaves the entry with this consumer.
    fn may_own(&self, owner: u64, id: EntryId) -> bool {
        let touched = self.touches.get(&id).map_or(&[][..], Vec::as_slice);
        let open = self.open().any(|call| {
            consumer_of(&call.op) == Some(owner)
                && match &call.op {
                    Op::Claim { ids, .. } => ids.contains(&id),
                    // Reading one's own history changes no owner.
                    op => !matches!(op, Op::History { .. }),
                }
        });
        let back = |call: &Call| matches!(&call.op, Op::Nack { ids, .. } if ids.contains(&id));
        if open || (owner == NOBODY && self.open().any(back)) {
            return true;
        }
        let last_of = |to: usize| touched.iter().all(|touch| touch.from <= to);
        let own = touched.iter().filter(|touch| touch.consumer == owner);
        let had = self.before.pending.get(&id).map(|(had, _)| *had);
        own.map(|touch| touch.to).any(last_of) || (had == Some(owner) && touched.is_empty())
    }

    /// Every entry that lives and that the group has passed is pending or was acknowledged.
    fn nothing_skipped(&self) -> Outcome<()> {
        for id in self.stream.entries.keys() {
            if *id > self.seen.cursor {
                break;
            }
            let settled = self.acked.contains(id) || self.maybe_acked.contains(id);
            if !settled && !self.seen.pending.contains_key(id) {
                return Err(format!("{id} is LOST to the group: not pending, not acknowledged"));
            }
        }
        Ok(())
    }

    /// Of an acknowledgement that nobody reported, all was done or nothing.
    fn unreported_acks(&self) -> Outcome<()> {
        for call in self.open() {
            let Op::Ack { ids, .. } = &call.op else {
                continue;
            };
            let pending = |id: &&EntryId| self.seen.pending.contains_key(id);
            let gone = |id: &&EntryId| {
                !pending(id)
                    && !self.acked.contains(id)
                    && self.stream.entries.contains_key(id)
                    && self.certain_ack(call, id)
            };
            if ids.iter().any(|id| pending(&id)) && ids.iter().any(|id| gone(&id)) {
                return Err(format!("half of {:?} was done", call.op));
            }
        }
        Ok(())
    }

    /// No other unreported call acknowledges this entry.
    fn certain_ack(&self, call: &Call, id: &EntryId) -> bool {
        self.open().all(|other| match &other.op {
            Op::Ack { ids, .. } | Op::AckDelete { ids, .. } => {
                std::ptr::eq(other, call) || !ids.contains(id)
            }
            _ => true,
        })
    }

    fn acked_from_now(&self) -> BTreeSet<EntryId> {
        let maybe = self.maybe_acked.iter().copied();
        let done = maybe.filter(|id| !self.seen.pending.contains_key(id));
        let all = self.acked.iter().copied().chain(done);
        // Entries that are gone need no acknowledgement any more.
        all.filter(|id| self.stream.entries.contains_key(id)).collect()
    }
}
