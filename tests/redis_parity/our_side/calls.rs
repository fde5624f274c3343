//! The calls on the store and on streams, and what they answer in the common form.

use super::expect_no_stream;
use crate::op::*;
use crate::reply::{Age, Class, FullGroup, FullRow, GroupRow, Item, PendingRow, Reply, StreamRow};
use std::ops::Bound;
use streamlog::{
    AppendOptions, Batch, ConsumerDetails, Entry, EntryId, EntryRef, ErrorKind, Fields as Pairs,
    GroupDetails, GroupInfo, NewEntries, NewId, PendingDetails, ReadOptions, Result, Start, Store,
    Stream, Trim,
};

pub(super) fn flag(yes: bool) -> Reply {
    Reply::Int(yes.into())
}

fn cut(cut: &Cut) -> Trim {
    let mut trim = match cut.to {
        CutTo::MaxLen(len) => Trim::max_len(len),
        CutTo::MinId(id) => Trim::min_id(id),
    };
    if cut.approximate {
        trim = trim.approximate();
    }
    match cut.limit {
        Some(limit) => trim.limit(limit),
        None => trim,
    }
}

fn new_id(id: AddId) -> Result<NewId> {
    match id {
        AddId::New(id) => Ok(id),
        AddId::Ms(ms) => ms.to_string().parse(),
    }
}

pub(super) fn pairs(fields: Pairs<'_>) -> Fields {
    fields.map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

/// Redis creates the stream within XADD; here that is a call of its own, to be undone if the
/// append fails.
pub(super) fn add(store: &Store, op: &Op) -> Result<Reply> {
    let (Op::Add { key, .. } | Op::AddBatch { key, .. }) = op else {
        unreachable!("not an append: {op:?}");
    };
    let (stream, made) = match store.get(key)? {
        Some(stream) => (stream, false),
        None if matches!(op, Op::Add { create: false, .. }) => return Ok(Reply::Nil),
        None => (store.stream(key)?, true),
    };
    let reply = append(&stream, op);
    if made && !matches!(reply, Ok(Reply::Ids(_))) {
        store.remove(key)?;
    }
    reply
}

fn append(stream: &Stream, op: &Op) -> Result<Reply> {
    match op {
        Op::Add { id: AddId::New(NewId::Auto), cut: None, fields, .. } => {
            let fields = fields.iter().map(|(name, value)| (name, value));
            Ok(Reply::Ids(vec![stream.append(fields)?]))
        }
        Op::Add { id, cut: trim, fields, .. } => {
            let mut options = AppendOptions::new().id(new_id(*id)?);
            if let Some(trim) = trim {
                options = options.trim(cut(trim));
            }
            let fields = fields.iter().map(|(name, value)| (name, value));
            Ok(Reply::Ids(vec![stream.append_with(fields, options)?]))
        }
        Op::AddBatch { entries, .. } => {
            let mut batch = NewEntries::new();
            for (id, fields) in entries {
                let fields = fields.iter().map(|(name, value)| (name, value));
                batch.push_with(new_id(*id)?, fields)?;
            }
            let ids = stream.append_batch(&batch)?;
            Ok(ids.map_or(Reply::Nil, |(first, last)| Reply::Ids(vec![first, last])))
        }
        _ => unreachable!("not an append: {op:?}"),
    }
}

pub(super) fn keys(store: &Store, op: &Op) -> Result<Reply> {
    let (Op::Remove { key: to } | Op::Rename { to, .. } | Op::Copy { to, .. }) = op else {
        unreachable!("not of the key space: {op:?}");
    };
    let replaced = store.get(to)?;
    let (reply, gone) = match op {
        Op::Remove { key } => {
            let removed = store.remove(key)?;
            (flag(removed), removed)
        }
        Op::Rename { from, to } => {
            let moved = store.get(from)?;
            store.rename(from, to)?;
            if moved.is_some_and(|stream| stream.name() != *to) {
                return Ok(Reply::Err(Class::Other("a handle kept the old name".into())));
            }
            (Reply::Ok, from != to)
        }
        Op::Copy { from, to, replace } => {
            let copied = store.copy(from, to, *replace)?;
            (flag(copied), copied && *replace)
        }
        _ => unreachable!("not of the key space: {op:?}"),
    };
    let wrong = match replaced {
        Some(stream) if gone => expect_no_stream("a handle of a removed stream", stream.len()),
        _ => None,
    };
    Ok(wrong.unwrap_or(reply))
}

pub(super) fn read(store: &Store, from: &[(Name, Start)], count: usize) -> Result<Reply> {
    let mut streams = Vec::new();
    for (key, start) in from {
        if let Some(stream) = store.get(key)? {
            streams.push((stream, *start));
        }
    }
    let options = ReadOptions::new().count(count);
    let entries = |batch: &Batch| -> Vec<Item> {
        batch.iter().map(|entry| (entry.id(), Some(pairs(entry.fields())))).collect()
    };
    let read: Vec<_> = match streams.as_slice() {
        [] => Vec::new(),
        [(stream, start)] => {
            let batch = stream.read(*start, options)?;
            if batch.is_empty() { Vec::new() } else { vec![(stream.name(), entries(&batch))] }
        }
        several => {
            let several: Vec<_> = several.iter().map(|(stream, start)| (stream, *start)).collect();
            let read = store.read(&several, options)?;
            read.iter().map(|(stream, batch)| (stream.name(), entries(batch))).collect()
        }
    };
    Ok(if read.is_empty() { Reply::Nil } else { Reply::Streams(read) })
}

/// The bounds of a range, its incomplete IDs completed as text.
pub(super) fn bounds(start: Edge, end: Edge) -> Result<(Bound<EntryId>, Bound<EntryId>)> {
    let start = match start {
        Edge::Lowest => Bound::Unbounded,
        Edge::Highest => Bound::Included(EntryId::MAX),
        Edge::Incl(id) => Bound::Included(id),
        Edge::Excl(id) => Bound::Excluded(id),
        Edge::InclMs(ms) => Bound::Included(ms.to_string().parse()?),
        Edge::ExclMs(ms) => Bound::Excluded(ms.to_string().parse()?),
    };
    let end = match end {
        Edge::Lowest => Bound::Included(EntryId::MIN),
        Edge::Highest => Bound::Unbounded,
        Edge::Incl(id) => Bound::Included(id),
        Edge::Excl(id) => Bound::Excluded(id),
        Edge::InclMs(ms) => Bound::Included(EntryId::parse_end(&ms.to_string())?),
        Edge::ExclMs(ms) => Bound::Excluded(EntryId::parse_end(&ms.to_string())?),
    };
    Ok((start, end))
}

fn range(stream: &Stream, op: &Op) -> Result<Reply> {
    let Op::Range { reverse, start, end, count, borrow, .. } = op else {
        unreachable!("not a range: {op:?}");
    };
    let bounds = bounds(*start, *end)?;
    let count = count.unwrap_or(usize::MAX);
    let found: Result<Vec<Item>> = if *borrow {
        let snapshot = stream.snapshot()?;
        let entries = snapshot.range(bounds);
        let item = |entry: Result<EntryRef<'_>>| {
            entry.map(|entry| (entry.id(), Some(pairs(entry.fields()))))
        };
        match reverse {
            true => entries.rev().take(count).map(item).collect(),
            false => entries.take(count).map(item).collect(),
        }
    } else {
        let entries = stream.range(bounds);
        let item = |entry: Result<Entry>| entry.map(entry_item);
        match reverse {
            true => entries.rev().take(count).map(item).collect(),
            false => entries.take(count).map(item).collect(),
        }
    };
    Ok(Reply::Items(found?))
}

fn entry_item(entry: Entry) -> Item {
    (entry.id(), Some(pairs(entry.fields())))
}

fn info(stream: &Stream) -> Result<Reply> {
    let info = stream.info()?;
    Ok(Reply::Info(Box::new(StreamRow {
        length: info.length,
        blocks: info.blocks,
        last_id: info.last_id,
        max_deleted_id: info.max_deleted_id,
        entries_added: info.entries_added,
        first_id: info.first_id,
        groups: info.groups as u64,
        first: info.first.map(entry_item),
        last: info.last.map(entry_item),
    })))
}

fn full(stream: &Stream, count: usize) -> Result<Reply> {
    // In Redis nothing is no limit.
    let full = stream.info_full(if count == 0 { usize::MAX } else { count })?;
    let row = |row: PendingDetails| PendingRow {
        id: row.id,
        consumer: row.consumer,
        age: Age::since(row.delivered_ms),
        deliveries: row.deliveries,
    };
    let consumer = |one: ConsumerDetails| {
        (one.name, one.pending_count, one.pending.into_iter().map(row).collect())
    };
    let group = |group: GroupDetails| FullGroup {
        name: group.info.name,
        last_delivered: group.info.last_delivered_id,
        pending_count: group.info.pending,
        pending: group.pending.into_iter().map(row).collect(),
        consumers: group.consumers.into_iter().map(consumer).collect(),
    };
    let info = full.info;
    Ok(Reply::Full(Box::new(FullRow {
        counts: [info.length, info.blocks, info.entries_added],
        ids: [info.last_id, info.max_deleted_id, info.first_id],
        entries: full.entries.into_iter().map(entry_item).collect(),
        groups: full.groups.into_iter().map(group).collect(),
    })))
}

fn groups(stream: &Stream) -> Result<Reply> {
    let row = |group: GroupInfo| GroupRow {
        name: group.name,
        consumers: group.consumers as u64,
        pending: group.pending,
        last_delivered: group.last_delivered_id,
        entries_read: group.entries_read,
        lag: group.lag,
    };
    Ok(Reply::Groups(stream.groups()?.into_iter().map(row).collect()))
}

pub(super) fn on_stream(stream: &Stream, op: &Op) -> Result<Reply> {
    Ok(match op {
        Op::Len { .. } => Reply::Int(stream.len()?),
        Op::Get { id, .. } => Reply::Items(stream.get(*id)?.into_iter().map(entry_item).collect()),
        Op::Range { .. } => range(stream, op)?,
        Op::Delete { ids, .. } => Reply::Int(stream.delete(ids.iter().copied())?),
        Op::Trim { cut: to, .. } => Reply::Int(stream.trim(cut(to))?),
        Op::Info { .. } => info(stream)?,
        Op::Full { count, .. } => full(stream, *count)?,
        Op::Groups { .. } => groups(stream)?,
        Op::SetId { last, added, max_deleted, .. } => {
            stream.set_id(*last, *added, *max_deleted)?;
            Reply::Ok
        }
        Op::GroupCreate { group, start, entries_read, .. } => {
            match entries_read {
                None => stream.create_group(group, *start)?,
                some => stream.create_group_with(group, *start, *some)?,
            };
            Reply::Ok
        }
        Op::GroupOpen { group, start, .. } => {
            stream.group(group, *start)?;
            Reply::Ok
        }
        Op::GroupDestroy { group, .. } => destroy(stream, group)?,
        _ => unreachable!("not of a stream: {op:?}"),
    })
}

fn destroy(stream: &Stream, name: Name) -> Result<Reply> {
    let handle = stream.get_group(name)?;
    let removed = stream.remove_group(name)?;
    if let Some(handle) = handle {
        let answer = handle.pending();
        let right = matches!(&answer, Err(e) if matches!(e.kind(), ErrorKind::NoGroup { .. }));
        if !right {
            let text = format!("a handle of a removed group: {:?}", answer.map(|sum| sum.count));
            return Ok(Reply::Err(Class::Other(text)));
        }
    }
    Ok(flag(removed))
}
