//! The group calls of the toy.

use super::super::call::{Answer, Call, Entries, Fail, GroupKey, Name};
use super::state::{Change, Tag};
use super::{Toy, refused};
use crate::id::EntryId;

impl Toy {
    pub(super) fn call_group(&mut self, call: &Call) -> Result<Answer, Fail> {
        let Some(key) = call.group() else {
            return refused("no group");
        };
        let names = [&*key.stream, &*key.group];
        let change = |tag, texts: &[&[u8]], ids| vec![Change::new(tag, texts, ids, vec![])];
        match call {
            Call::CreateGroup { start, .. } => {
                let start = start.unwrap_or(self.stream(&key.stream)?.last);
                self.commit(change(Tag::GroupSet, &names, vec![start]), true)?;
            }
            Call::RemoveGroup(_) => self.commit(change(Tag::GroupGone, &names, vec![]), true)?,
            Call::SetGroup { to, .. } => {
                self.commit(change(Tag::GroupSet, &names, vec![*to]), true)?;
            }
            Call::CreateConsumer { consumer, .. } => {
                self.commit(
                    change(Tag::ConsumerMade, &[names[0], names[1], &**consumer], vec![]),
                    true,
                )?;
            }
            Call::RemoveConsumer { consumer, .. } => {
                self.commit(
                    change(Tag::ConsumerGone, &[names[0], names[1], &**consumer], vec![]),
                    true,
                )?;
            }
            Call::Ack { ids, .. } => {
                let (_, group) = self.find(key)?;
                let pending = |id: &EntryId| group.pending.contains_key(id);
                let ids: Vec<EntryId> = ids.iter().copied().filter(pending).collect();
                let count = ids.len() as u64;
                let lasting = self.config.planted != "no sync of an acknowledgement";
                self.commit(change(Tag::NotPending, &names, ids), lasting)?;
                return Ok(Answer::Count(count));
            }
            Call::Read { consumer, count, no_ack, .. } => {
                return self.read(key, consumer, *count, *no_ack);
            }
            _ => return self.hand_out_again(key, call),
        }
        Ok(Answer::Done)
    }

    fn read(
        &mut self,
        key: &GroupKey,
        consumer: &Name,
        count: usize,
        no_ack: bool,
    ) -> Result<Answer, Fail> {
        let (stream, group) = self.find(key)?;
        let new = stream.entries.iter().filter(|(id, _)| **id > group.cursor);
        let new: Entries = new.take(count).map(|(id, c)| (*id, c.clone())).collect();
        let ids: Vec<EntryId> = new.iter().map(|(id, _)| *id).collect();
        let texts = [&*key.stream, &*key.group, &**consumer];
        let mut changes = vec![Change::new(Tag::ConsumerMade, &texts, vec![], vec![])];
        if let Some(last) = ids.last() {
            let cursor = Change::new(Tag::GroupSet, &texts, vec![*last], vec![]);
            if self.config.planted == "cursor before the pending records" {
                self.commit(vec![cursor], false)?;
            } else {
                changes.push(cursor);
            }
            if !no_ack {
                let counts = vec![1; ids.len()];
                changes.push(Change::new(Tag::Pending, &texts, ids, counts));
            }
        }
        self.commit(changes, false)?;
        Ok(Answer::Entries(new))
    }

    fn hand_out_again(&mut self, key: &GroupKey, call: &Call) -> Result<Answer, Fail> {
        let (stream, group) = self.find(key)?;
        let pending = group.pending.iter();
        let (consumer, wanted): (&Name, Vec<EntryId>) = match call {
            Call::History { consumer, count, .. } => {
                let own = pending.filter(|(_, (owner, _))| owner == consumer);
                (consumer, own.take(*count).map(|(id, _)| *id).collect())
            }
            Call::Claim { consumer, ids, .. } => {
                let known = pending.filter(|(id, _)| ids.contains(id));
                (consumer, known.map(|(id, _)| *id).collect())
            }
            Call::AutoClaim { consumer, count, .. } => {
                (consumer, pending.take(*count).map(|(id, _)| *id).collect())
            }
            _ => return refused("not a call to a group"),
        };
        let (there, gone): (Vec<EntryId>, Vec<EntryId>) =
            wanted.into_iter().partition(|id| stream.entries.contains_key(id));
        let entries: Entries = there.iter().map(|id| (*id, stream.entries[id].clone())).collect();
        let counts = there.iter().map(|id| group.pending[id].1 + 1).collect();
        let texts = [&*key.stream, &*key.group, &**consumer];
        let mut changes = vec![Change::new(Tag::Pending, &texts, there, counts)];
        if !matches!(call, Call::History { .. }) {
            changes.push(Change::new(Tag::NotPending, &texts, gone, vec![]));
        }
        self.commit(changes, false)?;
        Ok(Answer::Entries(entries))
    }
}
