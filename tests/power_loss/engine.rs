//! The crate as the simulator's subject: each call of a plan as one call of the public API.
//!
//! The store runs without its background threads; what they do are steps of the plan.

use super::audit;
use super::call::{Answer, Call, ClaimHow, Content, Entries, Fail, GroupKey, GroupView, Keep};
use super::call::{
    Keeping, Layout, Name, Other, PendingView, Report, StreamView, Subject, Trimming, View, WantId,
};
use super::disk::SimDisk;
use super::plan::{Config, Level};
use super::sent::{MOST, Sent};
use crate::consumer::{Consumer, Group};
use crate::format::event::Event;
use crate::id::{EntryId, NewId};
use crate::journal::Sizes;
use crate::storage::disk::Disk;
use crate::store::{Store, StoreOptions};
use crate::stream::Stream;
use crate::{
    AppendOptions, BatchOptions, ClaimOptions, Durability, Error, ErrorKind, GroupReadOptions,
    IdempotencyWindow,
};
use crate::{
    NackOptions, NewEntries, OnDamage, PendingFilter, ReadFrom, Retention, Start, StreamOptions,
    Trim,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub struct Engine {
    store: Store,
    options: StreamOptions,
    /// Streams stay open from their first use on, as an application would keep them.
    streams: BTreeMap<Name, Stream>,
    /// The simulated disk, if it is on one.
    disk: Option<SimDisk>,
}

fn fail(error: Error) -> Fail {
    let text = error.to_string();
    match error.kind() {
        ErrorKind::StorageFull { .. } => Fail::Full,
        ErrorKind::Poisoned { .. } | ErrorKind::Io { .. } | ErrorKind::Open => Fail::Unsure(text),
        ErrorKind::Corrupt { .. }
        | ErrorKind::GroupStateLost
        | ErrorKind::TimedOut
        | ErrorKind::Closed
        | ErrorKind::Locked { .. } => Fail::Wrong(text),
        _ => Fail::Refused(text),
    }
}

fn contents<'a>(entries: impl IntoIterator<Item = crate::EntryRef<'a>>) -> Entries {
    let entries = entries.into_iter();
    entries.map(|entry| (entry.id(), Content::of(entry.fields()))).collect()
}

fn new_id(want: WantId) -> NewId {
    match want {
        WantId::Auto => NewId::Auto,
        WantId::AutoSeq(ms) => NewId::AutoSeq(ms),
        WantId::Exact(id) => NewId::Exact(id),
    }
}

fn trim_of(keep: Keep, approximate: bool) -> Trim {
    let trim = match keep {
        Keep::Newest(most) => Trim::max_len(most),
        Keep::From(first) => Trim::min_id(first),
    };
    if approximate { trim.approximate() } else { trim }
}

fn retention(keeping: &Keeping) -> Retention {
    let mut retention = Retention::new();
    if let Some(most) = keeping.most {
        retention = retention.max_len(most);
    }
    if let Some(from) = keeping.from {
        retention = retention.min_id(from);
    }
    if let Some(age) = keeping.age_ms {
        retention = retention.max_age(Duration::from_millis(age));
    }
    if let Some(bytes) = keeping.bytes {
        retention = retention.max_bytes(bytes);
    }
    if keeping.unacked { retention.keep_unacked() } else { retention }
}

fn keeping_of(retention: &Retention) -> Keeping {
    let Retention { max_len, min_id, max_age_ms, max_bytes, keep_unacked } = *retention;
    Keeping {
        most: max_len,
        from: min_id,
        age_ms: max_age_ms,
        bytes: max_bytes,
        unacked: keep_unacked,
    }
}

fn claim_options(how: &ClaimHow) -> ClaimOptions {
    let mut options = ClaimOptions::new(Duration::from_millis(how.min_idle_ms));
    if how.force {
        options = options.force();
    }
    if let Some(count) = how.retry_count {
        options = options.retry_count(count);
    }
    if let Some(id) = how.last_id {
        options = options.last_id(id);
    }
    if let Some(idle) = how.idle_ms {
        options = options.idle(Duration::from_millis(idle));
    }
    options
}

fn stream_options(layout: &Layout) -> StreamOptions {
    StreamOptions::new()
        .segment_bytes(layout.segment_bytes)
        .max_entry_bytes(layout.segment_bytes - 1024)
        .block_entries(layout.block_entries)
        .block_bytes(layout.block_bytes)
}

/// What a stream remembers of its producers. There is no call that lists it.
fn sent_of(stream: &Stream) -> Sent {
    let state = stream.inner().state.lock();
    let table = state.idempotency.as_deref().cloned().unwrap_or_default();
    let (added, most) = (table.counts().added, table.window().most);
    let mut producers: BTreeMap<Name, Vec<(Name, EntryId)>> = BTreeMap::new();
    for event in table.dump(u64::MAX) {
        let Event::IdempotencyPairs { producers: told, .. } = event else { continue };
        for told in told {
            let pairs = told.pairs.iter().map(|pair| (Name::from(&pair.iid[..]), pair.id));
            producers.entry(Name::from(&told.producer[..])).or_default().extend(pairs);
        }
    }
    Sent { most, added, producers }
}

fn wrong<T>(text: String) -> Result<T, Fail> {
    Err(Fail::Wrong(text))
}

impl Engine {
    /// Opens a store in any place of any disk.
    pub fn open_at(disk: Arc<dyn Disk>, dir: &Path, config: &Config) -> Result<Engine, Fail> {
        let Config { segment_bytes, block_entries, block_bytes, .. } = *config;
        let options = stream_options(&Layout { segment_bytes, block_entries, block_bytes });
        let mut store = StoreOptions::default()
            .durability(match config.level {
                Level::Always => Durability::Always,
                Level::Interval => Durability::EVERY_SECOND,
                Level::Manual => Durability::Manual,
            })
            .on_damage(if config.skip_damage { OnDamage::Skip } else { OnDamage::Refuse })
            .idempotency(
                // No clock of a run goes so far.
                IdempotencyWindow::new().duration(Duration::from_secs(86_400)).max_iids(MOST),
            )
            .stream_defaults(options.clone());
        let (first, usual, most) = config.journal;
        store.journal =
            Sizes { first, usual: first * usual, most: first * most, due: first / 2, section: 512 };
        let store = Store::open_on(disk, dir, &store).map_err(fail)?;
        Ok(Engine { store, options, streams: BTreeMap::new(), disk: None })
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    fn stream(&mut self, name: &Name) -> Result<Stream, Fail> {
        if let Some(stream) = self.streams.get(name) {
            return Ok(stream.clone());
        }
        match self.store.get(&name.0).map_err(fail)? {
            Some(stream) => {
                self.streams.insert(name.clone(), stream.clone());
                Ok(stream)
            }
            None => Err(Fail::Refused("no such stream".to_owned())),
        }
    }

    fn find_group(&mut self, key: &GroupKey) -> Result<Group, Fail> {
        let group = self.stream(&key.stream)?.get_group(&key.group.0);
        let group = group.map_err(fail)?;
        group.ok_or_else(|| Fail::Refused("no such group".to_owned()))
    }

    fn consumer(&mut self, key: &GroupKey, name: &Name) -> Result<Consumer, Fail> {
        self.find_group(key)?.consumer(&name.0).map_err(fail)
    }

    fn append(
        &mut self,
        stream: &Name,
        content: &Content,
        id: WantId,
        durable: bool,
        trim: Option<Trimming>,
        key: Option<&(Name, Name)>,
    ) -> Result<Answer, Fail> {
        let mut options = AppendOptions::new().id(new_id(id));
        if durable {
            options = options.durable();
        }
        if let Some(Trimming { keep, approximate }) = trim {
            options = options.trim(trim_of(keep, approximate));
        }
        if let Some((producer, iid)) = key {
            options = options.idempotent(&producer.0, &iid.0);
        }
        let stream = self.stream(stream)?;
        // A ticket that was waited for promises the same. Some of the content goes this way.
        let (given, duplicate) = if durable && content.fields().len().is_multiple_of(2) {
            let ticket = stream.append_async_with(content.fields(), options).map_err(fail)?;
            ticket.wait().map_err(fail)?;
            (ticket.id(), ticket.is_duplicate())
        } else {
            let appended = stream.append_outcome(content.fields(), options).map_err(fail)?;
            (appended.id, appended.duplicate)
        };
        if duplicate {
            return Ok(Answer::Duplicate(given));
        }
        Ok(match trim {
            Some(_) => Answer::Trimmed(given, stream.len().map_err(fail)?),
            None => Answer::Id(given),
        })
    }

    fn batch(
        &mut self,
        stream: &Name,
        entries: &[(WantId, Content)],
        durable: bool,
    ) -> Result<Answer, Fail> {
        let mut batch = NewEntries::new();
        for (want, content) in entries {
            batch.push_with(new_id(*want), content.fields()).map_err(fail)?;
        }
        let stream = self.stream(stream)?;
        let options = BatchOptions::new();
        let options = if durable { options.durable() } else { options };
        let Some((first, last)) = stream.append_batch_with(&batch, options).map_err(fail)? else {
            return wrong("a batch answered that it was empty".to_owned());
        };
        let ids = stream.range(first..=last).map(|entry| Ok(entry.map_err(fail)?.id()));
        Ok(Answer::Ids(ids.collect::<Result<_, Fail>>()?))
    }

    fn copy(&mut self, from: &Name, to: &Name, replace: bool) -> Result<Answer, Fail> {
        let copied = self.store.copy(&from.0, &to.0, replace);
        if !copied.map_err(fail)? {
            return Ok(Answer::Flag(false));
        }
        self.streams.remove(to);
        let copy = self.stream(to)?;
        Ok(Answer::Copied(Box::new(Engine::view_of(&copy)?)))
    }

    /// One call, and another one from within its first sync.
    fn meanwhile(&mut self, call: &Call, other: &Other) -> Result<Answer, Fail> {
        let (Other::Append { stream, .. } | Other::Look { stream }) = other;
        let stream = self.stream(stream)?;
        // On a real disk nobody can tell when that is.
        let Some(disk) = self.disk.clone() else {
            return Ok(Answer::Both(Box::new(self.call(call)), None));
        };
        let (send, done) = std::sync::mpsc::channel();
        let what = other.clone();
        disk.meanwhile(move || {
            let did = match &what {
                Other::Append { content, .. } => {
                    let given = stream.append_with(content.fields(), AppendOptions::new());
                    given.map(Answer::Id).map_err(fail)
                }
                Other::Look { .. } => {
                    let entries = stream.range(..).map(|entry| {
                        let entry = entry.map_err(fail)?;
                        Ok((entry.id(), Content::of(entry.fields())))
                    });
                    entries.collect::<Result<Entries, Fail>>().map(Answer::Entries)
                }
            };
            drop(send.send(did));
        });
        let did = self.call(call);
        disk.no_meanwhile();
        Ok(Answer::Both(Box::new(did), done.try_recv().ok().map(Box::new)))
    }

    fn lengths(&mut self) -> Result<Answer, Fail> {
        let names = self.store.names().into_iter().map(Name);
        let lengths = names.map(|name| {
            let length = self.stream(&name)?.len().map_err(fail)?;
            Ok((name, length))
        });
        Ok(Answer::Lengths(lengths.collect::<Result<_, Fail>>()?))
    }

    fn read_many(&mut self, keys: &[GroupKey], name: &Name, count: usize) -> Result<Answer, Fail> {
        let consumers = keys.iter().map(|key| self.consumer(key, name));
        let consumers = consumers.collect::<Result<Vec<Consumer>, Fail>>()?;
        let from: Vec<_> = consumers.iter().map(|consumer| (consumer, ReadFrom::New)).collect();
        let options = GroupReadOptions::new().count(count);
        let read = self.store.read_group(&from, options).map_err(fail)?;
        let mut many = Vec::new();
        for (stream, delivery) in &read {
            let name = stream.name();
            let Some(key) = keys.iter().find(|key| key.stream.0 == name) else {
                return wrong(format!("a read gave entries of {}", name.escape_ascii()));
            };
            many.push((key.clone(), contents(delivery)));
        }
        Ok(Answer::Many(many))
    }

    fn claim(
        &mut self,
        key: &GroupKey,
        name: &Name,
        ids: &[EntryId],
        how: &ClaimHow,
    ) -> Result<Answer, Fail> {
        let consumer = self.consumer(key, name)?;
        let ids = ids.iter().copied();
        if how.just_ids {
            let claimed = consumer.claim_ids(ids, claim_options(how));
            return Ok(Answer::Ids(claimed.map_err(fail)?));
        }
        let claimed = consumer.claim_with(ids, claim_options(how));
        Ok(Answer::Entries(contents(&claimed.map_err(fail)?)))
    }

    fn group_call(&mut self, call: &Call) -> Result<Answer, Fail> {
        let done = |result: crate::Result<()>| result.map(|()| Answer::Done).map_err(fail);
        match call {
            Call::CreateGroup { key, start, entries_read } => {
                let start = start.map_or(Start::Last, Start::After);
                let stream = self.stream(&key.stream)?;
                done(stream.create_group_with(&key.group.0, start, *entries_read).map(drop))
            }
            Call::RemoveGroup(key) => {
                let removed = self.stream(&key.stream)?.remove_group(&key.group.0);
                match removed.map_err(fail)? {
                    true => Ok(Answer::Flag(true)),
                    false => wrong("there was no group to remove".to_owned()),
                }
            }
            Call::SetGroup { key, to } => done(self.find_group(key)?.set_id(Start::After(*to))),
            Call::CreateConsumer { key, consumer } => {
                let made = self.find_group(key)?.create_consumer(&consumer.0);
                Ok(Answer::Flag(made.map_err(fail)?))
            }
            Call::RemoveConsumer { key, consumer } => {
                let dropped = self.find_group(key)?.remove_consumer(&consumer.0);
                Ok(Answer::Count(dropped.map_err(fail)?))
            }
            Call::Read { key, consumer, count, no_ack } => {
                let mut options = GroupReadOptions::new().count(*count);
                if *no_ack {
                    options = options.no_ack();
                }
                let read = self.consumer(key, consumer)?.read(options);
                Ok(Answer::Entries(contents(&read.map_err(fail)?)))
            }
            Call::ReadMany { keys, consumer, count } => self.read_many(keys, consumer, *count),
            Call::History { key, consumer, after, count } => {
                let read = self.consumer(key, consumer)?.history(*after, *count);
                Ok(Answer::Entries(contents(&read.map_err(fail)?)))
            }
            Call::Ack { key, ids } => {
                let acked = self.find_group(key)?.ack(ids.iter().copied());
                Ok(Answer::Count(acked.map_err(fail)?))
            }
            Call::AckDelete { key, ids, policy, .. } => {
                let told = self.find_group(key)?.ack_delete(ids.iter().copied(), *policy);
                Ok(Answer::Told(told.map_err(fail)?))
            }
            Call::Nack { key, ids, mode, force } => {
                let options = NackOptions::new();
                let options = if *force { options.force() } else { options };
                let nacked = self.find_group(key)?.nack_with(ids.iter().copied(), *mode, options);
                Ok(Answer::Count(nacked.map_err(fail)?))
            }
            Call::ReadClaim { key, consumer, count, min_idle_ms } => {
                let min_idle = Duration::from_millis(*min_idle_ms);
                let options = GroupReadOptions::new().count(*count).claim(min_idle);
                let read = self.consumer(key, consumer)?.read(options).map_err(fail)?;
                let claims = read.claims().map_or(0, <[_]>::len);
                let mut claimed = contents(&read);
                let new = claimed.split_off(claims);
                Ok(Answer::Claimed(claimed, new))
            }
            Call::Claim { key, consumer, ids, how } => self.claim(key, consumer, ids, how),
            Call::AutoClaim { key, consumer, from, min_idle_ms, count, just_ids } => {
                let consumer = self.consumer(key, consumer)?;
                let min_idle = Duration::from_millis(*min_idle_ms);
                if *just_ids {
                    let claimed = consumer.auto_claim_ids(*from, min_idle, *count);
                    return Ok(Answer::Ids(claimed.map_err(fail)?.ids));
                }
                let claimed = consumer.auto_claim(*from, min_idle, *count);
                Ok(Answer::Entries(contents(&claimed.map_err(fail)?.delivery)))
            }
            _ => wrong(format!("{call:?} is no call to a group")),
        }
    }

    fn view_of(stream: &Stream) -> Result<StreamView, Fail> {
        let entries = stream.range(..).map(|entry| {
            let entry = entry.map_err(fail)?;
            Ok((entry.id(), Content::of(entry.fields())))
        });
        let entries = entries.collect::<Result<Entries, Fail>>()?;
        let backwards = stream.range(..).rev().map(|entry| Ok(entry.map_err(fail)?.id()));
        let backwards = backwards.collect::<Result<Vec<EntryId>, Fail>>()?;
        if !entries.iter().map(|(id, _)| id).eq(backwards.iter().rev()) {
            return wrong(format!("backwards the IDs are {backwards:?}"));
        }
        let info = stream.info().map_err(fail)?;
        let mut groups = BTreeMap::new();
        for group in stream.groups().map_err(fail)? {
            let name = Name(group.name);
            let found = stream.get_group(&name.0).map_err(fail)?;
            let Some(found) = found else {
                return wrong(format!("the group {name:?} is listed and not there"));
            };
            groups.insert(name, group_view(&found)?);
        }
        Ok(StreamView {
            entries,
            length: stream.len().map_err(fail)?,
            last_id: info.last_id,
            max_deleted: info.max_deleted_id,
            entries_added: info.entries_added,
            keeping: keeping_of(&stream.retention().map_err(fail)?),
            sent: sent_of(stream),
            groups,
        })
    }
}

/// What the four ways to ask for a group's state say, if they agree.
fn group_view(group: &Group) -> Result<GroupView, Fail> {
    let info = group.info().map_err(fail)?;
    let consumers = group.consumers().map_err(fail)?;
    let pending = group.pending_range(.., PendingFilter::new()).map_err(fail)?;
    let pending: Vec<PendingView> = pending
        .into_iter()
        .map(|pending| (pending.id, Name(pending.consumer), pending.deliveries))
        .collect();
    let summary = group.pending().map_err(fail)?;
    let mut by_consumer: BTreeMap<&[u8], u64> = BTreeMap::new();
    let given_back = group.given_back().map_err(fail)?;
    for (id, owner, _) in &pending {
        match owner.0.is_empty() {
            true if given_back.contains(id) => {}
            true => return wrong(format!("{id} is nobody's, and did not come back")),
            false => *by_consumer.entry(&owner.0).or_default() += 1,
        }
    }
    let summed = summary.consumers.iter();
    let count = pending.len() as u64;
    let agree = info.pending == count
        && given_back.len() as u64 + by_consumer.values().sum::<u64>() == count
        && summary.count == count
        && info.consumers == consumers.len()
        && by_consumer
            .iter()
            .map(|(name, count)| (*name, *count))
            .eq(summed.map(|(name, count)| (name.as_slice(), *count)));
    if !agree {
        return wrong(format!("{info:?}, {summary:?} and {pending:?} do not agree"));
    }
    let names: BTreeSet<Name> = consumers.into_iter().map(|info| Name(info.name)).collect();
    Ok(GroupView {
        cursor: info.last_delivered_id,
        entries_read: info.entries_read,
        consumers: names,
        pending,
        given_back,
    })
}

impl Subject for Engine {
    const TAKES_ALL: bool = true;

    fn holds_entries(file: &OsStr) -> bool {
        file.as_encoded_bytes().ends_with(b".seg")
    }

    fn open(disk: &SimDisk, config: &Config) -> Result<Engine, Fail> {
        let engine = Engine::open_at(Arc::new(disk.clone()), Path::new("/store"), config)?;
        Ok(Engine { disk: Some(disk.clone()), ..engine })
    }

    fn call(&mut self, call: &Call) -> Result<Answer, Fail> {
        match call {
            Call::CreateStream(name) => {
                let made = self.store.stream_with(&name.0, self.options.clone());
                self.streams.insert(name.clone(), made.map_err(fail)?);
            }
            Call::RemoveStream(name) => {
                self.streams.remove(name);
                return match self.store.remove(&name.0).map_err(fail)? {
                    true => Ok(Answer::Flag(true)),
                    false => Err(Fail::Refused("no such stream".to_owned())),
                };
            }
            Call::Rename { from, to } => {
                self.streams.remove(from);
                self.streams.remove(to);
                self.store.rename(&from.0, &to.0).map_err(fail)?;
            }
            Call::RenameAll(names) => {
                names.iter().for_each(|(from, _)| drop(self.streams.remove(from)));
                let to = |old: &[u8]| {
                    let found = names.iter().find(|(from, _)| from.0 == old);
                    found.map(|(_, to)| to.0.clone())
                };
                self.store.rename_all(to).map_err(fail)?;
            }
            Call::SyncFound { streams, between } => {
                let streams: Vec<Vec<u8>> = streams.iter().map(|name| name.0.clone()).collect();
                let found = self.store.found(&streams);
                let did = between.as_ref().map(|call| Box::new(self.call(call)));
                let synced = self.store.sync_found(found).map(|()| Answer::Done).map_err(fail);
                return Ok(Answer::Both(Box::new(synced), did));
            }
            Call::Copy { from, to, replace } => return self.copy(from, to, *replace),
            Call::SetOptions { stream, layout } => {
                let changed = self.stream(stream)?.set_options(&stream_options(layout));
                changed.map_err(fail)?;
            }
            Call::Append { stream, content, id, durable, trim, key } => {
                return self.append(stream, content, *id, *durable, *trim, key.as_ref());
            }
            Call::Batch { stream, entries, durable } => {
                return self.batch(stream, entries, *durable);
            }
            Call::Meanwhile { call, other } => return self.meanwhile(call, other),
            Call::Delete { stream, ids } => {
                let removed = self.stream(stream)?.delete(ids.iter().copied());
                return Ok(Answer::Count(removed.map_err(fail)?));
            }
            Call::DeleteWith { stream, ids, policy, .. } => {
                let told = self.stream(stream)?.delete_with(ids.iter().copied(), *policy);
                return Ok(Answer::Told(told.map_err(fail)?));
            }
            Call::TrimWith { stream, keep, approximate, policy, .. } => {
                let trim = trim_of(*keep, *approximate).references(*policy);
                let removed = self.stream(stream)?.trim(trim);
                return Ok(Answer::Count(removed.map_err(fail)?));
            }
            Call::Trim { stream, keep, approximate } => {
                let removed = self.stream(stream)?.trim(trim_of(*keep, *approximate));
                return Ok(Answer::Count(removed.map_err(fail)?));
            }
            Call::SetRetention { stream, keeping } => {
                let stream = self.stream(stream)?;
                stream.set_retention(retention(keeping)).map_err(fail)?;
            }
            Call::SetWindow { stream, most } => {
                let set = self.stream(stream)?.set_idempotency(None, Some(*most));
                set.map_err(fail)?;
            }
            Call::Record { stream, key: (producer, iid), id } => {
                let stream = self.stream(stream)?;
                stream.record_idempotency(&producer.0, &iid.0, *id).map_err(fail)?;
            }
            Call::Enforce(name) => {
                let removed = self.stream(name)?.enforce_retention();
                return Ok(Answer::Count(removed.map_err(fail)?));
            }
            Call::SetBack { stream, to, forget } => {
                let stream = self.stream(stream)?;
                if *forget {
                    let last = stream.info().map_err(fail)?.last_id;
                    stream.set_id(last, None, Some(*to)).map_err(fail)?;
                }
                stream.set_id(*to, None, None).map_err(fail)?;
            }
            Call::SetUp { stream, to, added } => {
                self.stream(stream)?.set_id(*to, *added, None).map_err(fail)?;
            }
            Call::SyncStream(name) => {
                let synced = self.stream(name)?.sync();
                return Ok(Answer::Id(synced.map_err(fail)?));
            }
            Call::WaitDurable { stream, id } => {
                self.stream(stream)?.wait_durable(*id).map_err(fail)?;
            }
            Call::Sync => self.store.sync().map_err(fail)?,
            Call::StepSync => self.store.step_sync().map_err(fail)?,
            Call::StepPrepare => {
                self.store.step_prepare().map_err(fail)?;
                return self.lengths();
            }
            Call::StepCheckpoint => self.store.step_checkpoint().map_err(fail)?,
            _ => return self.group_call(call),
        }
        Ok(Answer::Done)
    }

    fn group(&mut self, key: &GroupKey) -> Result<Option<GroupView>, Fail> {
        let group = self.stream(&key.stream)?.get_group(&key.group.0);
        group.map_err(fail)?.as_ref().map(group_view).transpose()
    }

    fn view(&mut self) -> Result<View, Fail> {
        let mut streams = BTreeMap::new();
        for name in self.store.names() {
            let name = Name(name);
            let stream = self.stream(&name)?;
            streams.insert(name, Engine::view_of(&stream)?);
        }
        Ok(View { streams })
    }

    fn report(&mut self, disk: &SimDisk) -> Result<Report, String> {
        audit::report(&self.store, disk)
    }

    fn close(self) -> Result<(), Fail> {
        let Engine { store, streams, .. } = self;
        let closed = store.close().map_err(fail);
        drop(streams);
        closed
    }
}
