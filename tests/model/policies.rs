//! Plays what has to do with references: deletions, trims and acknowledgements by policy; and what
//! is given back and claimed by reads.

use std::time::Duration;
use streamlog::{
    AppendOptions, Deletion, EntryId, GroupReadOptions, NackMode, NackOptions, RefPolicy,
};

use crate::appends::{fields, refused_fields};
use crate::compare::HOUR;
use crate::groups::{Age, NOBODY, NaiveGroup, Record};
use crate::naive::NaiveStream;
use crate::op::{CONSUMERS, Cut, GROUPS, Pick, Shape, Then, To, Who};
use crate::run::{Checked, Run, answer, good, holds, same};

fn is_referenced(stream: &NaiveStream, id: EntryId) -> bool {
    stream.groups.values().any(|group| group.needs(id))
}

/// These are pending nowhere any more.
fn release(stream: &mut NaiveStream, ids: &[EntryId]) {
    stream.groups.values_mut().for_each(|group| _ = group.ack(ids));
}

impl Run {
    /// What is deleted disappears from snapshots, too.
    fn hide(&mut self, stream: usize, gone: &[EntryId]) {
        for kept in self.snapshots_of(stream) {
            let to = kept.shared_to;
            kept.entries.retain(|(id, _)| *id > to || !gone.contains(id));
        }
    }

    pub(crate) fn delete_with(
        &mut self,
        stream: usize,
        ids: &[Pick],
        policy: RefPolicy,
    ) -> Checked {
        let Some(handle) = self.stream(stream)? else {
            return Ok(());
        };
        let ids = self.picks(stream, ids);
        let told = good("delete_with", handle.delete_with(ids.iter().copied(), policy))?;
        let model = self.model(stream);
        let (mut wanted, mut gone) = (Vec::new(), Vec::new());
        for id in ids {
            if policy == RefPolicy::Acked && is_referenced(model, id) {
                wanted.push(Deletion::Referenced);
                continue;
            }
            if policy == RefPolicy::DelRef {
                release(model, &[id]);
            }
            let deleted = model.delete(&[id]);
            wanted.push(if deleted.is_empty() { Deletion::NotFound } else { Deletion::Deleted });
            gone.extend(deleted);
        }
        self.hide(stream, &gone);
        same("delete_with", told, wanted)
    }

    pub(crate) fn trim_with(&mut self, stream: usize, cut: Cut, policy: RefPolicy) -> Checked {
        let Some(handle) = self.stream(stream)? else {
            return Ok(());
        };
        let trim = self.cut(stream, cut).references(policy);
        let min_id = match cut.to {
            To::MinId(pick) => self.pick(stream, pick),
            To::MaxLen(_) => EntryId::MIN,
        };
        let got = answer(handle.trim(trim));
        if cut.limit.is_some() && !cut.approximate {
            return same("trim", got, Err("InvalidTrim".into()));
        }
        let removed = got.map_err(|class| format!("trim: {class}"))?;
        self.trimmed(stream, cut, policy, (min_id, removed))
    }

    /// What a trim that took so many entries means for the model.
    fn trimmed(
        &mut self,
        stream: usize,
        cut: Cut,
        policy: RefPolicy,
        (min_id, removed): (EntryId, u64),
    ) -> Checked {
        if policy == RefPolicy::Acked && !self.model(stream).groups.is_empty() {
            let goes = self.acked_of(stream, cut, min_id, removed)?;
            return self.take_out(stream, &goes);
        }
        let exactly = self.cut_removes(stream, cut, min_id);
        let before = self.model(stream).entries.clone();
        self.check_cut(stream, cut, exactly, removed)?;
        if policy == RefPolicy::DelRef {
            let gone: Vec<EntryId> =
                before.iter().take(removed as usize).map(|(id, _)| *id).collect();
            release(self.model(stream), &gone);
        }
        Ok(())
    }

    /// An append, and the trim that it brings: a step of its own behind it, but for KEEPREF.
    pub(crate) fn append_trim(
        &mut self,
        stream: usize,
        shape: Shape,
        cut: Cut,
        policy: RefPolicy,
    ) -> Checked {
        if cut.limit.is_some() && !cut.approximate {
            return Ok(());
        }
        let Some(handle) = self.stream(stream)? else {
            return Ok(());
        };
        let fields = fields(shape, self.serial());
        if refused_fields(&fields).is_some() || self.model(stream).is_limited() {
            return Ok(());
        }
        let last = self.model(stream).last;
        let min_id = match cut.to {
            To::MinId(pick) => self.pick(stream, pick),
            To::MaxLen(_) => EntryId::MIN,
        };
        let options = AppendOptions::new().trim(self.cut(stream, cut).references(policy));
        let Ok(id) = handle.append_with(fields.iter().map(|(n, v)| (n, v)), options) else {
            return holds("the append was refused", last.ms == u64::MAX, last);
        };
        let model = self.model(stream);
        model.push(id, fields);
        let removed = model.length() - good("len", handle.len())?;
        self.trimmed(stream, cut, policy, (min_id, removed))
    }

    /// Which entries a trim has taken that leaves what is referenced, if it may have taken so many.
    fn acked_of(
        &mut self,
        stream: usize,
        cut: Cut,
        min_id: EntryId,
        removed: u64,
    ) -> Checked<Vec<EntryId>> {
        let model = self.model(stream);
        let ids = model.entries.iter().map(|(id, _)| *id);
        let free = |id: &EntryId| !is_referenced(model, *id);
        let most = match cut.to {
            To::MaxLen(entries) => model.above_len(u64::from(entries)),
            To::MinId(_) => ids.clone().filter(|id| *id < min_id).filter(free).count() as u64,
        };
        let limit = cut.limit.filter(|limit| *limit > 0).map_or(u64::MAX, u64::from);
        holds("a trim took too many", removed <= most.min(limit), (removed, most))?;
        // Where all that is to go may go, nothing ends the trim before that.
        let all_free = ids.clone().take(most as usize).all(|id| free(&id));
        let by_id = matches!(cut.to, To::MinId(_));
        if !cut.approximate && (by_id || all_free) {
            same("removed by a trim of what is acknowledged", removed, most)?;
        }
        let goes: Vec<EntryId> = ids.filter(free).take(removed as usize).collect();
        same("what a trim can take", goes.len() as u64, removed)?;
        Ok(goes)
    }

    fn take_out(&mut self, stream: usize, goes: &[EntryId]) -> Checked {
        let model = self.model(stream);
        let front = model.entries.iter().zip(goes).take_while(|((id, _), goes)| id == *goes);
        let behind = goes[front.count()..].to_vec();
        model.entries.retain(|(id, _)| !goes.contains(id));
        model.gone.extend(goes);
        let left: Vec<EntryId> = model.entries.iter().map(|(id, _)| *id).collect();
        self.hide(stream, &behind);
        let handle = self.stream(stream)?.ok_or("the stream is gone")?;
        let there: Vec<EntryId> = handle.range(..).map(|entry| entry.unwrap().id()).collect();
        same("what a trim has left", there, left)
    }

    pub(crate) fn ack_delete(&mut self, who: Who, ids: &[Pick], policy: RefPolicy) -> Checked {
        let Some((group, _)) = self.consumer(who)? else {
            return Ok(());
        };
        let ids = self.picks(who.stream, ids);
        let told = good("ack_delete", group.ack_delete(ids.iter().copied(), policy))?;
        let model = self.model(who.stream);
        let (mut wanted, mut gone) = (Vec::new(), Vec::new());
        for id in ids {
            let own = model.groups.get_mut(GROUPS[who.group]).ok_or("no group")?;
            if own.ack(&[id]) == 0 {
                wanted.push(Deletion::NotFound);
                continue;
            }
            if policy == RefPolicy::Acked && is_referenced(model, id) {
                wanted.push(Deletion::Referenced);
                continue;
            }
            if policy == RefPolicy::DelRef {
                release(model, &[id]);
            }
            gone.extend(model.delete(&[id]));
            wanted.push(Deletion::Deleted);
        }
        self.hide(who.stream, &gone);
        same("ack_delete", told, wanted)
    }

    pub(crate) fn nack(
        &mut self,
        who: Who,
        ids: &[Pick],
        mode: NackMode,
        retry: Option<u64>,
        force: bool,
    ) -> Checked {
        let Some((group, _)) = self.consumer(who)? else {
            return Ok(());
        };
        let ids = self.picks(who.stream, ids);
        let mut options = NackOptions::new();
        if let Some(retry) = retry {
            options = options.retry_count(retry);
        }
        if force {
            options = options.force();
        }
        let got = good("nack", group.nack_with(ids.iter().copied(), mode, options))?;
        let wanted = self.group(who, |stream, group| group.nack(stream, &ids, mode, retry, force));
        same("nack", got, wanted)
    }

    pub(crate) fn read_claim(
        &mut self,
        who: Who,
        (old_only, no_ack): (bool, bool),
        count: u8,
        then: Then,
    ) -> Checked {
        let Some((_, consumer)) = self.consumer(who)? else {
            return Ok(());
        };
        let count = usize::from(count);
        let min_idle = if old_only { HOUR } else { Duration::ZERO };
        let mut options = GroupReadOptions::new().count(count).claim(min_idle);
        if no_ack {
            options = options.no_ack();
        }
        let delivery = good("read with claims", consumer.read(options))?;
        let told = delivery.claims().ok_or("it tells of no claims")?.to_vec();
        let mut ids: Vec<EntryId> = delivery.ids().collect();
        let claimed: Vec<EntryId> = ids.drain(..told.len()).collect();
        let most = if count == 0 { usize::MAX } else { count };
        let check = |stream: &NaiveStream, group: &mut NaiveGroup| {
            check_claimed(stream, group, old_only, &claimed, most)
        };
        let records = self.group(who, check)?;
        for (record, told) in records.iter().zip(&told) {
            same("deliveries of what was claimed", told.deliveries, record.count)?;
            let ages = match (record.owner, record.age) {
                (NOBODY, _) => HOUR * 24 * 365 * 30..Duration::MAX,
                (_, Age::Fresh) => Duration::ZERO..HOUR,
                (_, Age::Old) => HOUR..3 * HOUR,
            };
            holds("idle of what was claimed", ages.contains(&told.idle), told)?;
        }
        let name = CONSUMERS[who.consumer];
        let left = most - claimed.len();
        let new = self.group(who, |stream, group| {
            group.take_over(name, &records);
            let new = if left == 0 { Vec::new() } else { group.new_ones(stream, left) };
            group.deliver(stream, name, &new, no_ack);
            new
        });
        let all: Vec<EntryId> = claimed.into_iter().chain(new).collect();
        self.check_delivery(who, &delivery, &all)?;
        self.then(who, then, delivery, &[])
    }
}

/// What was claimed is what had to be, in the right order as far as that can be told.
fn check_claimed(
    stream: &NaiveStream,
    group: &NaiveGroup,
    old_only: bool,
    claimed: &[EntryId],
    most: usize,
) -> Checked<Vec<Record>> {
    let zone = group.zone(stream);
    let rest = group.claimable(stream, old_only);
    same("how many were claimed", claimed.len(), most.min(zone.len() + rest.len()))?;
    let mut records = Vec::new();
    for (n, id) in claimed.iter().enumerate() {
        if let Some(record) = zone.get(n) {
            same("what was given back, in order", *id, record.id)?;
            records.push(record.clone());
            continue;
        }
        let record = rest.iter().find(|record| record.id == *id);
        let record = record.ok_or_else(|| format!("{id} was claimed, of {rest:?}"))?;
        let later = |other: &&Record| other.comes_before(record) == Some(true);
        let left = rest.iter().filter(|other| !claimed[..n].contains(&other.id));
        let passed: Vec<&Record> = left.filter(later).collect();
        holds("claimed ahead of others", passed.is_empty(), (record, passed))?;
        records.push(record.clone());
    }
    Ok(records)
}
