//! Compares everything that can be read of a store with the model.

use std::time::Duration;
use streamlog::{
    ConsumerInfo, EntryId, GroupDetails, GroupInfo, Pending, PendingDetails, PendingFilter, Stream,
    StreamInfo,
};

use crate::groups::{Age, NOBODY, NaiveGroup, Record};
use crate::naive::{NaiveEntry, NaiveStream};
use crate::op::STREAMS;
use crate::reads::look_at;
use crate::run::{Checked, Run, good, holds, now_ms, plain, same};
use crate::streams::retention;

/// What tells deliveries of these minutes from those that were set back by two hours.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

fn check_idle(idle: Duration, age: Age) -> Checked {
    let fits = match age {
        Age::Fresh => idle < HOUR / 2,
        Age::Old => (HOUR..3 * HOUR).contains(&idle),
    };
    holds("idle", fits, (idle, age))
}

/// A list of pending entries as the model has it.
pub(crate) fn check_pending(found: &[Pending], wanted: &[Record]) -> Checked {
    let list = found.iter().map(|p| (p.id, p.consumer.clone(), p.deliveries));
    let model = wanted.iter().map(|r| (r.id, r.owner.as_bytes().to_vec(), r.count));
    same("pending entries", list.collect::<Vec<_>>(), model.collect::<Vec<_>>())?;
    let mut pairs = found.iter().zip(wanted);
    pairs.try_for_each(|(pending, record)| match record.owner {
        NOBODY => holds("given back", pending.unowned && pending.idle.is_zero(), pending),
        _ => check_idle(pending.idle, record.age)
            .and_then(|()| holds("owned", !pending.unowned, pending)),
    })
}

fn check_details(what: &str, found: &[PendingDetails], wanted: &[&Record], most: usize) -> Checked {
    let list = found.iter().map(|p| (p.id, p.consumer.clone(), p.deliveries));
    let wanted = &wanted[..wanted.len().min(most)];
    let model = wanted.iter().map(|r| (r.id, r.owner.as_bytes().to_vec(), r.count));
    same(what, list.collect::<Vec<_>>(), model.collect::<Vec<_>>())?;
    let since = |ms: u64| Duration::from_millis(now_ms().saturating_sub(ms));
    let mut pairs = found.iter().zip(wanted);
    pairs.try_for_each(|(pending, record)| match record.owner {
        NOBODY => same("delivered_ms of what was given back", pending.delivered_ms, 0),
        _ => check_idle(since(pending.delivered_ms), record.age),
    })
}

fn check_group_info(info: &GroupInfo, model: &NaiveStream, group: &NaiveGroup) -> Checked {
    same("consumers of a group", info.consumers, group.consumers.len())?;
    same("pending of a group", info.pending, group.pending.len() as u64)?;
    same("last_delivered_id", info.last_delivered_id, group.last)?;
    same("entries_read", info.entries_read, group.read)?;
    same("lag", info.lag, model.lag(group))
}

fn check_consumers(infos: &[ConsumerInfo], group: &NaiveGroup) -> Checked {
    let list = infos.iter().map(|c| (c.name.clone(), c.pending, c.inactive.is_some()));
    let model = group.consumers.iter().map(|name| {
        let pending = group.pending_of(name).len() as u64;
        (name.as_bytes().to_vec(), pending, group.active.contains(name))
    });
    same("consumers", list.collect::<Vec<_>>(), model.collect::<Vec<_>>())?;
    infos.iter().try_for_each(|info| {
        check_idle(info.idle, Age::Fresh)?;
        check_idle(info.inactive.unwrap_or_default(), Age::Fresh)
    })
}

fn check_summary(group: &streamlog::Group, model: &NaiveGroup) -> Checked {
    let found = good("pending", group.pending())?;
    same("pending, count", found.count, model.pending.len() as u64)?;
    same("pending, first", found.first, model.pending.first().map(|r| r.id))?;
    same("pending, last", found.last, model.pending.last().map(|r| r.id))?;
    let counts = model.consumers.iter().map(|name| (*name, model.pending_of(name).len() as u64));
    let counts = counts.filter(|(_, count)| *count > 0);
    let counts: Vec<_> = counts.map(|(name, n)| (name.as_bytes().to_vec(), n)).collect();
    same("pending, consumers", found.consumers, counts)
}

fn check_groups(handle: &Stream, model: &NaiveStream) -> Checked {
    let infos = good("groups", handle.groups())?;
    let names = infos.iter().map(|info| info.name.clone());
    let wanted = model.groups.keys().map(|name| name.as_bytes().to_vec());
    same("the names of groups", names.collect::<Vec<_>>(), wanted.collect::<Vec<_>>())?;
    for (info, (name, group)) in infos.iter().zip(&model.groups) {
        check_group_info(info, model, group)?;
        let found = good("get_group", handle.get_group(name))?.ok_or("a group is gone")?;
        same("info of a group", &good("info of a group", found.info())?, info)?;
        check_consumers(&good("consumers", found.consumers())?, group)?;
        check_summary(&found, group)?;
        let all = good("pending_range", found.pending_range(.., PendingFilter::new()))?;
        check_pending(&all, &group.pending)?;
    }
    Ok(())
}

fn check_info(info: &StreamInfo, model: &NaiveStream) -> Checked {
    same("length", info.length, model.length())?;
    same("last_id", info.last_id, model.last)?;
    same("max_deleted_id", info.max_deleted_id, model.max_deleted)?;
    same("entries_added", info.entries_added, model.added)?;
    same("first_id", info.first_id, model.first_id())?;
    same("the number of groups", info.groups, model.groups.len())?;
    same("first", info.first.as_ref().map(plain).as_ref(), model.entries.first())?;
    same("last", info.last.as_ref().map(plain).as_ref(), model.entries.last())?;
    holds("blocks", info.blocks <= info.length && (info.blocks > 0) == (info.length > 0), info)
}

fn check_full_group(found: &GroupDetails, model: &NaiveStream, most: usize) -> Checked {
    let name = std::str::from_utf8(&found.info.name).unwrap();
    let group = model.groups.get(name).ok_or("a group that is not there")?;
    check_group_info(&found.info, model, group)?;
    same("unowned", found.unowned, group.unowned())?;
    let all: Vec<&Record> = group.pending.iter().collect();
    check_details("pending, in full", &found.pending, &all, most)?;
    same("consumers, in full", found.consumers.len(), group.consumers.len())?;
    for (consumer, name) in found.consumers.iter().zip(&group.consumers) {
        let own = group.pending_of(name);
        same("a consumer, in full", &consumer.name[..], name.as_bytes())?;
        same("pending_count", consumer.pending_count, own.len() as u64)?;
        same("active_ms", consumer.active_ms.is_some(), group.active.contains(name))?;
        check_details("pending of a consumer, in full", &consumer.pending, &own, most)?;
    }
    Ok(())
}

impl Run {
    pub(crate) fn info(&mut self, stream: usize, count: usize) -> Checked {
        let Some(handle) = self.stream(stream)? else {
            return Ok(());
        };
        let model = self.model(stream);
        check_info(&good("info", handle.info())?, model)?;
        let full = good("info_full", handle.info_full(count))?;
        check_info(&full.info, model)?;
        let entries: Vec<NaiveEntry> = full.entries.iter().map(plain).collect();
        let wanted: Vec<NaiveEntry> = model.entries.iter().take(count).cloned().collect();
        same("entries, in full", entries, wanted)?;
        same("groups, in full", full.groups.len(), model.groups.len())?;
        full.groups.iter().try_for_each(|group| check_full_group(group, model, count))
    }

    /// What an operation may have changed, in short.
    pub(crate) fn glance(&self) -> Checked {
        for (name, model) in &self.streams {
            let handle = good("get", self.store().get(name))?.ok_or("a stream is gone")?;
            same("len", good("len", handle.len())?, model.length())?;
            same("is_empty", good("is_empty", handle.is_empty())?, model.entries.is_empty())?;
            check_info(&good("info", handle.info())?, model)?;
            for info in good("groups", handle.groups())? {
                let name = std::str::from_utf8(&info.name).unwrap();
                let group = model.groups.get(name).ok_or("a group that is not there")?;
                check_group_info(&info, model, group)?;
            }
        }
        Ok(())
    }

    /// Everything.
    pub(crate) fn compare(&mut self) -> Checked {
        let names = self.streams.keys().map(|name| name.as_bytes().to_vec());
        same("names", self.store().names(), names.collect())?;
        for (stream, name) in STREAMS.iter().enumerate() {
            same("exists", self.store().exists(name), self.streams.contains_key(name))?;
            let Some(handle) = self.stream(stream)? else {
                continue;
            };
            self.info(stream, usize::MAX)?;
            self.check_options(stream, &handle)?;
            let model = self.model(stream);
            let kept = good("retention", handle.retention())?;
            same("retention", kept, retention(&model.keep))?;
            let found: Vec<NaiveEntry> = handle.range(..).map(|e| plain(&e.unwrap())).collect();
            same("the entries", &found, &model.entries)?;
            let back: Vec<EntryId> = handle.range(..).rev().map(|e| e.unwrap().id()).collect();
            let wanted: Vec<EntryId> = model.entries.iter().rev().map(|(id, _)| *id).collect();
            same("the entries, backwards", back, wanted)?;
            for (id, fields) in &model.entries {
                let found = good("get", handle.get(*id))?.map(|entry| plain(&entry));
                same("get", found, Some((*id, fields.clone())))?;
            }
            check_groups(&handle, model)?;
        }
        self.snapshots.iter().try_for_each(look_at)
    }

    /// What `Store::verify` and `Store::health` say.
    pub(crate) fn sound(&self) -> Checked {
        let verified = good("verify", self.store().verify())?;
        holds("verify", verified.is_whole(), &verified)?;
        let entries: usize = verified.streams.len();
        same("verified streams", entries, self.streams.len())?;
        let health = self.store().health();
        let well = health.poisoned.is_none() && health.background.is_none();
        holds("health", well && health.poisoned_streams.is_empty(), &health)
    }
}
