//! What the model learns of groups.

use super::super::call::{Answer, Call, Entries, GroupKey, GroupView, Name};
use super::super::model::{Appended, GroupLife, Model, StreamLife, broken};
use super::{Learned, Moment};
use crate::id::EntryId;
use std::collections::BTreeSet;

impl Model {
    pub(super) fn learn_group(&mut self, call: &Call, answer: &Answer, moment: &Moment) -> Learned {
        match (call, answer) {
            // As so many reads: what one group gives has nothing to do with the others.
            (Call::ReadMany { keys, consumer, count }, Answer::Many(many)) => {
                for key in keys {
                    let gave = many.iter().find(|(other, _)| other == key);
                    let gave = gave.map(|(_, entries)| entries.clone()).unwrap_or_default();
                    let (key, consumer, count) = (key.clone(), consumer.clone(), *count);
                    let read = Call::Read { key, consumer, count, no_ack: false };
                    self.learn_one_group(&read, &Answer::Entries(gave), moment)?;
                }
                Ok(())
            }
            _ => self.learn_one_group(call, answer, moment),
        }
    }

    fn learn_one_group(&mut self, call: &Call, answer: &Answer, moment: &Moment) -> Learned {
        let always = self.always;
        let Some(key) = call.group() else {
            return broken("call", format!("{call:?} answered {answer:?}"));
        };
        let Some(life) = self.stream_mut(&key.stream) else {
            return broken("call", "a group call to a stream that is not there");
        };
        // A call that found nothing to do has made nothing durable either.
        let was = life.group(&key.group).map(|group| group.seen.last().clone());
        let seen = moment.seen.get(key);
        let changed = was.as_ref() != seen;
        match (call, seen) {
            (Call::CreateGroup { start, .. }, Some(seen)) => {
                let start = start.unwrap_or(life.top);
                if seen.cursor != start && !life.uncertain {
                    let cursor = seen.cursor;
                    return broken("call", format!("a group at {start} begins at {cursor}"));
                }
                let mut groups = life.groups.last().clone();
                groups.insert(key.group.clone(), life.group_lives.len());
                life.group_lives.push(GroupLife::new(seen.clone()));
                life.groups.push(groups);
            }
            (Call::RemoveGroup(_), None) => {
                let mut groups = life.groups.last().clone();
                groups.remove(&key.group);
                life.groups.push(groups);
            }
            (_, Some(seen)) => life.group_answered(key, call, answer, seen)?,
            (_, None) if life.uncertain => {}
            (_, None) => return broken("call", format!("the group is gone after {call:?}")),
        }
        let lasting = !matches!(
            call,
            Call::Read { .. }
                | Call::ReadClaim { .. }
                | Call::History { .. }
                | Call::Claim { .. }
                | Call::AutoClaim { .. }
        );
        if always && lasting && changed {
            life.groups.settle();
            if let Some(group) = life.group_mut(&key.group) {
                group.settle();
            }
        }
        Ok(())
    }

    pub(super) fn group_may_have_changed(&mut self, call: &Call) {
        if let Call::ReadMany { keys, consumer, count } = call {
            for key in keys {
                let (key, consumer, count) = (key.clone(), consumer.clone(), *count);
                let read = Call::Read { key, consumer, count, no_ack: false };
                self.group_may_have_changed(&read);
            }
        }
        let Some(key) = call.group() else { return };
        let Some(life) = self.stream_mut(&key.stream) else {
            return;
        };
        life.uncertain = true;
        match call {
            Call::CreateGroup { start, .. } => {
                let cursor = start.unwrap_or(life.top);
                let empty = GroupView { cursor, ..GroupView::default() };
                let mut with = life.groups.last().clone();
                with.insert(key.group.clone(), life.group_lives.len());
                life.group_lives.push(GroupLife::new(empty));
                life.groups.push_unsure(with);
            }
            Call::RemoveGroup(_) => {
                let mut without = life.groups.last().clone();
                without.remove(&key.group);
                life.groups.push_unsure(without);
            }
            _ => {
                if let Some(group) = life.group_mut(&key.group) {
                    group.loose = true;
                    if let Call::Ack { ids, .. } = call {
                        let unsure = group.pending_of(ids);
                        group.acked_unsure.extend(unsure);
                    }
                    group.may_have_changed(call);
                }
            }
        }
    }
}

impl StreamLife {
    fn group_answered(
        &mut self,
        key: &GroupKey,
        call: &Call,
        answer: &Answer,
        seen: &GroupView,
    ) -> Learned {
        if let (Call::Read { count, .. }, Answer::Entries(entries)) = (call, answer) {
            self.check_read(key, *count, entries)?;
        }
        if let (Call::ReadClaim { count, .. }, Answer::Claimed(claimed, new)) = (call, answer) {
            self.check_read(key, count.saturating_sub(claimed.len()), new)?;
            self.check_handed_out(claimed)?;
            self.check_handed_out(new)?;
        }
        if let Answer::Entries(entries) = answer {
            self.check_handed_out(entries)?;
        }
        let uncertain = self.uncertain;
        let Some(group) = self.group_mut(&key.group) else {
            return broken("call", "an answer of a group that is not there");
        };
        if let (Call::Nack { ids, force, .. }, Answer::Count(count)) = (call, answer) {
            let known = ids.iter().filter(|id| group.is_pending(**id)).count() as u64;
            let right = if *force { known <= *count } else { known == *count };
            if !right && !uncertain {
                return broken("call", format!("{count} were given back, {known} were pending"));
            }
            group.given.extend(ids.iter().map(|id| (*id, Name(Vec::new()))));
        }
        if let (Call::ReadClaim { .. }, Answer::Claimed(claimed, _)) = (call, answer) {
            let stranger = claimed.iter().find(|(id, _)| !group.is_pending(*id));
            if let Some((id, _)) = stranger.filter(|_| !uncertain) {
                return broken("call", format!("{id} was claimed and not pending"));
            }
            // What was given back comes first, in that order, but for what is gone.
            let back = &group.seen.last().given_back;
            let places = claimed.iter().map(|(id, _)| back.iter().position(|one| one == id));
            if !places.is_sorted_by_key(|place| place.unwrap_or(usize::MAX)) && !uncertain {
                return broken("C10", format!("{claimed:?} were claimed, {back:?} came back"));
            }
        }
        if let (Call::Ack { ids, .. }, Answer::Count(count)) = (call, answer) {
            let known = group.pending_of(ids).len() as u64;
            if known != *count && !uncertain {
                return broken("call", format!("acknowledged {count}, {known} were pending"));
            }
        }
        check_seen(call, answer, seen)?;
        group.may_have_changed(call);
        if let (Some(consumer), Answer::Ids(ids)) = (call.consumer(), answer) {
            group.given.extend(ids.iter().map(|id| (*id, consumer.clone())));
        }
        if let (Some(consumer), Answer::Entries(entries)) = (call.consumer(), answer) {
            let handed_out = entries.iter().map(|(id, _)| (*id, consumer.clone()));
            group.given.extend(handed_out);
            if let Call::Read { no_ack: true, .. } = call {
                group.excused.extend(entries.iter().map(|(id, _)| *id));
            }
        }
        if let (Some(consumer), Answer::Claimed(claimed, new)) = (call.consumer(), answer) {
            let all = claimed.iter().chain(new);
            group.given.extend(all.map(|(id, _)| (*id, consumer.clone())));
        }
        group.seen.push(seen.clone());
        Ok(())
    }

    /// A group read hands out the next entries, none left out.
    fn check_read(&self, key: &GroupKey, count: usize, entries: &Entries) -> Learned {
        let Some(group) = self.group(&key.group) else {
            return Ok(());
        };
        if self.uncertain {
            return Ok(());
        }
        let cursor = group.seen.last().cursor;
        let live = self.live();
        let due = live.iter().map(|(id, _)| *id).filter(|id| *id > cursor);
        let due: Vec<EntryId> = due.take(count).collect();
        let got: Vec<EntryId> = entries.iter().map(|(id, _)| *id).collect();
        if due != got {
            return broken("C10", format!("a group read gave {got:?}, due were {due:?}"));
        }
        Ok(())
    }

    pub(super) fn check_handed_out(&self, entries: &Entries) -> Learned {
        for (id, content) in entries {
            let fits = |entry: &Appended| {
                entry.content == *content && entry.id.is_none_or(|known| known == *id)
            };
            if !self.entries.iter().any(fits) {
                return broken("C2", format!("{id} {content:?} was handed out, not appended"));
            }
        }
        Ok(())
    }
}

/// Whether the group shows what its call has answered.
fn check_seen(call: &Call, answer: &Answer, seen: &GroupView) -> Learned {
    let owner = |id: &EntryId| seen.pending.iter().find(|(other, ..)| other == id);
    let owned_by = |id: &EntryId, name: &Name| owner(id).is_some_and(|(_, owner, _)| owner == name);
    let shows = match (call, answer) {
        (Call::Read { no_ack: true, .. }, _) => true,
        (
            Call::Read { consumer, .. }
            | Call::Claim { consumer, .. }
            | Call::AutoClaim { consumer, .. },
            Answer::Entries(entries),
        ) => entries.iter().all(|(id, _)| owned_by(id, consumer)),
        (Call::Claim { consumer, .. } | Call::AutoClaim { consumer, .. }, Answer::Ids(ids)) => {
            ids.iter().all(|id| owned_by(id, consumer))
        }
        (Call::ReadClaim { consumer, .. }, Answer::Claimed(claimed, new)) => {
            claimed.iter().chain(new).all(|(id, _)| owned_by(id, consumer))
        }
        (Call::Nack { ids, .. }, _) => {
            let nobody = |id: &EntryId| owner(id).is_none_or(|(_, owner, _)| owner.0.is_empty());
            let mut last: Vec<EntryId> = Vec::new();
            for id in ids.iter().rev().filter(|id| owner(id).is_some()) {
                if !last.contains(id) {
                    last.insert(0, *id);
                }
            }
            ids.iter().all(nobody) && seen.given_back.ends_with(&last)
        }
        (Call::Ack { ids, .. }, _) => ids.iter().all(|id| owner(id).is_none()),
        (Call::SetGroup { to, .. }, _) => seen.cursor == *to,
        (Call::CreateConsumer { consumer, .. }, _) => seen.consumers.contains(consumer),
        (Call::RemoveConsumer { consumer, .. }, _) => {
            let mut owners = seen.pending.iter().map(|(_, owner, _)| owner);
            !seen.consumers.contains(consumer) && owners.all(|owner| owner != consumer)
        }
        _ => true,
    };
    match shows {
        true => Ok(()),
        false => broken("call", format!("{call:?} answered {answer:?}, the group is {seen:?}")),
    }
}

impl GroupLife {
    pub(super) fn is_pending(&self, id: EntryId) -> bool {
        self.seen.last().pending.iter().any(|(pending, ..)| *pending == id)
    }

    pub(super) fn pending_of(&self, ids: &[EntryId]) -> BTreeSet<EntryId> {
        let pending = self.seen.last().pending.iter();
        let pending = pending.map(|(id, ..)| *id);
        pending.filter(|id| ids.contains(id)).collect()
    }

    /// The excuses that a call gives, whether it took place or not.
    fn may_have_changed(&mut self, call: &Call) {
        match call {
            Call::Ack { ids, .. } => {
                // Above a cursor that was set back, what is acknowledged may come again.
                let cursor = self.seen.last().cursor;
                let acked = self.pending_of(ids).into_iter();
                let (below, above): (Vec<_>, Vec<_>) = acked.partition(|id| *id <= cursor);
                self.acked.extend(below);
                self.excused.extend(above);
            }
            Call::RemoveConsumer { consumer, .. } => {
                let pending = self.seen.last().pending.iter();
                let dropped = pending.filter(|(_, owner, _)| owner == consumer);
                let dropped: Vec<EntryId> = dropped.map(|(id, ..)| *id).collect();
                self.excused.extend(dropped);
            }
            Call::Nack { ids, force: true, .. } => self.may_come_again(|id| ids.contains(id)),
            Call::Claim { ids, how, .. } => {
                if how.force {
                    self.may_come_again(|id| ids.contains(id));
                }
                if let Some(to) = how.last_id {
                    let from = self.seen.last().cursor;
                    self.set_to.insert(to);
                    if to > from {
                        self.excused_ranges.push((from, to));
                    }
                }
            }
            Call::SetGroup { to, .. } => {
                let from = self.seen.last().cursor;
                self.set_to.insert(*to);
                if *to > from {
                    self.excused_ranges.push((from, *to));
                }
                // What lies above may be delivered once more, if it is still there.
                self.settled.retain(|id| id <= to);
                self.may_come_again(|id| id > to);
            }
            _ => {}
        }
    }

    /// Acknowledged entries may be pending once more, because the caller wanted it so.
    fn may_come_again(&mut self, which: impl Fn(&EntryId) -> bool) {
        let again: Vec<EntryId> = self.acked.iter().copied().filter(which).collect();
        for id in again {
            self.acked.remove(&id);
            self.acked_durable.remove(&id);
            self.excused.insert(id);
        }
    }
}

impl Call {
    fn consumer(&self) -> Option<&Name> {
        match self {
            Call::Read { consumer, .. }
            | Call::ReadClaim { consumer, .. }
            | Call::History { consumer, .. }
            | Call::Claim { consumer, .. }
            | Call::AutoClaim { consumer, .. } => Some(consumer),
            _ => None,
        }
    }
}
