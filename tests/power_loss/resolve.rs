//! From an operation of the plan to a call: which stream, which IDs, which bytes.
//!
//! Where an operation makes no sense yet (an acknowledgement with nothing pending), the step that
//! it lacks is taken instead, so that plans stay short and every prefix of them is meaningful.

use super::call::WantId;
use super::call::{
    Call, ClaimHow, Content, GroupKey, Keep, Keeping, Layout, Name, Other, Trimming,
};
use super::model::{GroupLife, Model, StreamLife};
use super::plan::{Config, Level, Op, OpKind, Size};
use super::rng::Rng;
use crate::id::EntryId;
use crate::options::{NackMode, RefPolicy};

/// What an operation comes to.
#[derive(Clone, Debug)]
pub enum Action {
    Call(Call),
    /// Close and open at this level.
    Reopen(Level),
    Kill,
    Clock(i64),
    FailSync(u64),
    FailSpace(u64),
}

pub struct Resolver<'a> {
    pub config: &'a Config,
    pub model: &'a Model,
    pub now_ms: u64,
    /// Counts the entries of a run, so that no two have the same bytes.
    pub serial: &'a mut u64,
    /// Some bytes of what is on disk, for fields that look like frames.
    pub echo: &'a [u8],
}

fn name(prefix: char, number: u64) -> Name {
    Name(format!("{prefix}{number}").into_bytes())
}

impl Resolver<'_> {
    pub fn action(&mut self, op: &Op) -> Action {
        let mut rng = Rng::of(&[op.dice]);
        match op.kind {
            OpKind::Reopen => Action::Reopen(self.config.level),
            OpKind::ReopenOtherwise => {
                Action::Reopen(rng.pick(&[Level::Always, Level::Interval, Level::Manual]))
            }
            OpKind::Kill => Action::Kill,
            OpKind::ClockForward => Action::Clock(rng.pick(&[1, 20, 5_000, 4_000_000])),
            OpKind::ClockBack => Action::Clock(-rng.pick(&[1, 20, 5_000, 4_000_000])),
            OpKind::FailSync => Action::FailSync(rng.below(4)),
            OpKind::FailSpace => Action::FailSpace(rng.below(3)),
            OpKind::Sync => Action::Call(Call::Sync),
            OpKind::StepSync => Action::Call(Call::StepSync),
            OpKind::StepPrepare => Action::Call(Call::StepPrepare),
            OpKind::StepCheckpoint => Action::Call(Call::StepCheckpoint),
            kind => Action::Call(self.stream_call(kind, &mut rng)),
        }
    }

    fn stream_call(&mut self, kind: OpKind, rng: &mut Rng) -> Call {
        let there: Vec<&Name> = self.model.names.last().keys().collect();
        let mut stream = name('s', rng.below(self.config.streams as u64));
        if !there.is_empty() && rng.percent(50) {
            stream.clone_from(there[rng.index(there.len())]);
        }
        let Some(life) = self.model.stream(&stream) else {
            return Call::CreateStream(stream);
        };
        match kind {
            OpKind::CreateStream => {
                let other = name('s', rng.below(3));
                match self.model.stream(&other) {
                    None => Call::CreateStream(other),
                    Some(_) => Call::SyncStream(stream),
                }
            }
            OpKind::RemoveStream => Call::RemoveStream(stream),
            OpKind::Rename => {
                let to = Name::from(rng.pick(&[&b"s0"[..], b"s1", b"r0"]));
                match to == stream {
                    true => Call::SyncStream(stream),
                    false => Call::Rename { from: stream, to },
                }
            }
            OpKind::RenameAll => Call::RenameAll(exchange(rng)),
            OpKind::SyncFound => self.sync_found(stream, rng),
            OpKind::Copy => {
                let to = Name::from(rng.pick(&[&b"s0"[..], b"s1", b"r0"]));
                match to == stream {
                    true => Call::SyncStream(stream),
                    false => Call::Copy { from: stream, to, replace: rng.percent(60) },
                }
            }
            OpKind::SetOptions => {
                let segment_bytes = self.config.segment_bytes;
                let layout = Layout {
                    segment_bytes: rng.pick(&[segment_bytes, segment_bytes, 2 * segment_bytes]),
                    block_entries: rng.pick(&[100, 4, 1]),
                    block_bytes: rng.pick(&[4096, 512]),
                };
                Call::SetOptions { stream, layout }
            }
            OpKind::SyncStream => Call::SyncStream(stream),
            OpKind::WaitDurable => {
                let known = life.entries.iter().filter_map(|entry| entry.id);
                let known: Vec<EntryId> = known.collect();
                match known.is_empty() {
                    true => Call::SyncStream(stream),
                    false => Call::WaitDurable { id: known[rng.index(known.len())], stream },
                }
            }
            OpKind::Delete => self.delete(stream, life, rng),
            OpKind::Trim { approximate } => trim(stream, life, approximate, rng),
            OpKind::DeleteWith => match self.delete(stream, life, rng) {
                Call::Delete { stream, mut ids } => {
                    // What is gone may be pending all the same.
                    ids.extend(pending_of(life).into_iter().filter(|_| rng.percent(30)));
                    let keys = keys_of(&stream, life);
                    Call::DeleteWith { stream, ids, policy: policy(rng), keys }
                }
                append => append,
            },
            OpKind::TrimWith => {
                let Trimming { keep, approximate } = trimming(life, rng.percent(30), rng);
                let keys = keys_of(&stream, life);
                Call::TrimWith { stream, keep, approximate, policy: policy(rng), keys }
            }
            OpKind::Enforce if life.keeping.last().has_limit() => Call::Enforce(stream),
            OpKind::SetRetention | OpKind::Enforce => self.set_retention(stream, life, rng),
            OpKind::SetBack => set_back(stream, life, rng),
            OpKind::SetUp => Call::SetUp {
                to: above(life.top, rng),
                added: rng.percent(50).then(|| 1_000_000 + rng.below(1_000)),
                stream,
            },
            OpKind::Batch { entries, size } => {
                let entries = (0..entries).map(|_| (WantId::Auto, self.content(size, rng)));
                let entries = entries.collect();
                Call::Batch { entries, durable: rng.percent(20), stream }
            }
            OpKind::BatchExact => self.batch_exact(stream, life, rng),
            OpKind::Append { size } => self.append(stream, size, WantId::Auto, false, rng),
            OpKind::AppendDurable => self.append(stream, Size::Tiny, WantId::Auto, true, rng),
            OpKind::AppendExact => {
                let id = exact_id(life.top, self.now_ms, rng);
                self.append(stream, Size::Tiny, id, false, rng)
            }
            OpKind::AppendTrim => {
                let size = rng.pick(&[Size::Tiny, Size::Tiny, Size::Sector]);
                let id = match rng.percent(25) {
                    true => exact_id(life.top, self.now_ms, rng),
                    false => WantId::Auto,
                };
                let trim = Some(trimming(life, rng.percent(40), rng));
                let durable = rng.percent(20);
                let content = self.content(size, rng);
                Call::Append { stream, content, id, durable, trim, key: None }
            }
            OpKind::AppendOnce => self.append_once(stream, life, rng),
            OpKind::SetWindow => Call::SetWindow { stream, most: rng.pick(&[1, 2, 3, 3, 5]) },
            OpKind::Record => record(stream, life, rng),
            OpKind::ReadMany => self.read_many(stream, rng),
            OpKind::Meanwhile => self.meanwhile(stream, rng),
            _ => self.group_call(kind, stream, life, rng),
        }
    }

    fn append(
        &mut self,
        stream: Name,
        size: Size,
        id: WantId,
        durable: bool,
        rng: &mut Rng,
    ) -> Call {
        let content = self.content(size, rng);
        Call::Append { stream, content, id, durable, trim: None, key: None }
    }

    /// Under one of few iids, so that many come again.
    fn append_once(&mut self, stream: Name, life: &StreamLife, rng: &mut Rng) -> Call {
        let size = rng.pick(&[Size::Tiny, Size::Tiny, Size::Sector]);
        let id = match rng.percent(15) && life.top.ms > LONG_AGO {
            true => exact_id(life.top, self.now_ms, rng),
            false => WantId::Auto,
        };
        let trim = rng.percent(20).then(|| trimming(life, rng.percent(40), rng));
        let (durable, key) = (rng.percent(20), Some(some_key(rng)));
        Call::Append { stream, content: self.content(size, rng), id, durable, trim, key }
    }

    /// Something that syncs, and another thread that appends or looks.
    fn meanwhile(&mut self, stream: Name, rng: &mut Rng) -> Call {
        let always = self.model.always;
        let call = match rng.below(4) {
            0 if !always => Call::Sync,
            1 if !always => Call::SyncStream(stream.clone()),
            _ => self.append(stream.clone(), Size::Tiny, WantId::Auto, true, rng),
        };
        let other = match always {
            // An append would wait for the sync that it interrupts.
            true => Other::Look { stream },
            false => Other::Append { content: self.content(Size::Tiny, rng), stream },
        };
        Call::Meanwhile { call: Box::new(call), other: Box::new(other) }
    }

    /// Some streams that are found, and get other names or go before they are synced.
    fn sync_found(&mut self, stream: Name, rng: &mut Rng) -> Call {
        let others = self.model.names.last().keys().filter(|other| **other != stream);
        let mut streams: Vec<Name> = others.filter(|_| rng.percent(30)).cloned().collect();
        streams.push(stream.clone());
        let between = match rng.below(5) {
            0 => Some(Call::RenameAll(exchange(rng))),
            1 => Some(Call::RemoveStream(stream)),
            2 => Some(self.append(stream, Size::Tiny, WantId::Auto, false, rng)),
            _ => None,
        };
        Call::SyncFound { streams, between: between.map(Box::new) }
    }

    /// A batch with IDs of all forms.
    fn batch_exact(&mut self, stream: Name, life: &StreamLife, rng: &mut Rng) -> Call {
        let mut top = life.top;
        let mut entries = Vec::new();
        for _ in 0..1 + rng.below(5) {
            let want = match rng.percent(30) {
                true => WantId::Auto,
                false => exact_id(top, self.now_ms, rng),
            };
            top = want.given(top, self.now_ms);
            entries.push((want, self.content(Size::Tiny, rng)));
        }
        Call::Batch { stream, entries, durable: rng.percent(20) }
    }

    /// A read of a group in each of several streams, where there are such.
    fn read_many(&mut self, stream: Name, rng: &mut Rng) -> Call {
        let group = name('g', rng.below(2));
        let there = self.model.names.last().keys();
        let keys = there.map(|stream| GroupKey { stream: stream.clone(), group: group.clone() });
        let has_group = |key: &GroupKey| {
            self.model.stream(&key.stream).is_some_and(|life| life.group(&key.group).is_some())
        };
        let keys: Vec<GroupKey> = keys.filter(has_group).collect();
        if keys.is_empty() {
            let key = GroupKey { stream, group };
            return Call::CreateGroup { key, start: Some(EntryId::MIN), entries_read: None };
        }
        Call::ReadMany { keys, consumer: name('c', rng.below(3)), count: rng.pick(&[1, 3, 10]) }
    }

    /// Fields that no other entry of the run has.
    fn content(&mut self, size: Size, rng: &mut Rng) -> Content {
        *self.serial += 1;
        let serial = self.serial.to_string();
        let most = self.config.segment_bytes - 1400;
        let size = match size {
            Size::Tiny => rng.below(40),
            Size::Sector => 480 + rng.below(700),
            Size::Page => 3_900 + rng.below(500),
            Size::Segment => most * (60 + rng.below(41)) / 100,
            Size::Echo => return self.echo(&serial),
        };
        let mut value = vec![0; size.min(most) as usize];
        // Zeros are written, too, and look like nothing on disk.
        if rng.percent(85) {
            value.iter_mut().for_each(|byte| *byte = rng.next() as u8);
        }
        let mut fields = vec![(&b"n"[..], serial.as_bytes()), (b"v", &value)];
        if rng.percent(10) {
            fields.push((b"", b""));
        }
        Content::of(fields)
    }

    /// Frames where frames may lie: as an entry begins anywhere within eight bytes, so many times.
    fn echo(&self, serial: &str) -> Content {
        let room = (self.config.segment_bytes as usize - 1400) / 8 - 8;
        let bytes = &self.echo[..self.echo.len().min(room)];
        let mut value = Vec::new();
        for shift in 0..8 {
            value.resize(value.len().next_multiple_of(8) + shift, 0);
            value.extend_from_slice(bytes);
        }
        Content::of([(&b"n"[..], serial.as_bytes()), (b"v", &value)])
    }

    fn delete(&mut self, stream: Name, life: &StreamLife, rng: &mut Rng) -> Call {
        let live = life.live();
        if live.is_empty() {
            return self.append(stream, Size::Tiny, WantId::Auto, false, rng);
        }
        let count = 1 + rng.below(3);
        let mut ids: Vec<EntryId> = (0..count).map(|_| live[rng.index(live.len())].0).collect();
        if rng.percent(10) {
            ids.push(EntryId::new(1, 1));
        }
        ids.sort();
        ids.dedup();
        Call::Delete { stream, ids }
    }

    fn set_retention(&self, stream: Name, life: &StreamLife, rng: &mut Rng) -> Call {
        let live = life.live();
        let some = live.get(rng.index(live.len() + 1)).map(|(id, _)| *id);
        let keeping = Keeping {
            most: rng.percent(50).then(|| rng.below(live.len() as u64 + 3)),
            from: rng.percent(30).then(|| some.unwrap_or_else(|| above(life.top, rng))),
            age_ms: rng.percent(25).then(|| match some {
                Some(id) => self.now_ms.saturating_sub(id.ms).max(1),
                None => rng.pick(&[1, 5_000, 1_000_000]),
            }),
            bytes: rng.percent(25).then(|| self.config.segment_bytes * rng.below(4)),
            unacked: rng.percent(60),
        };
        Call::SetRetention { stream, keeping }
    }

    fn group_call(&mut self, kind: OpKind, stream: Name, life: &StreamLife, rng: &mut Rng) -> Call {
        let key = GroupKey { stream: stream.clone(), group: name('g', rng.below(2)) };
        let consumer = name('c', rng.below(3));
        let Some(group) = life.group(&key.group) else {
            let beyond = above(life.top, rng);
            let start = rng.pick(&[Some(EntryId::MIN), Some(EntryId::MIN), None, Some(beyond)]);
            let entries_read = Some(rng.below(4)).filter(|_| rng.percent(30));
            return Call::CreateGroup { key, start, entries_read };
        };
        let pending: Vec<EntryId> = group.seen.last().pending.iter().map(|(id, ..)| *id).collect();
        let count = rng.pick(&[1, 3, 10]);
        match kind {
            OpKind::RemoveGroup => Call::RemoveGroup(key),
            OpKind::SetGroup => Call::SetGroup { to: set_to(life, group, rng), key },
            OpKind::CreateConsumer => Call::CreateConsumer { key, consumer },
            OpKind::RemoveConsumer => match group.seen.last().consumers.contains(&consumer) {
                true => Call::RemoveConsumer { key, consumer },
                false => Call::CreateConsumer { key, consumer },
            },
            OpKind::History if group.seen.last().consumers.contains(&consumer) => {
                let after = rng.pick(&[EntryId::MIN, life.top]);
                Call::History { key, consumer, after, count }
            }
            OpKind::Ack if !pending.is_empty() => Call::Ack { ids: some_of(&pending, rng), key },
            OpKind::AckDelete if !pending.is_empty() => {
                let (ids, keys) = (some_of(&pending, rng), keys_of(&stream, life));
                Call::AckDelete { key, ids, policy: policy(rng), keys }
            }
            OpKind::Nack => {
                let mut ids = if pending.is_empty() { Vec::new() } else { some_of(&pending, rng) };
                let live = life.live();
                if !live.is_empty() && rng.percent(40) {
                    ids.push(live[rng.index(live.len())].0);
                }
                // In any order, as that is the order in which they come back.
                if rng.percent(50) {
                    ids.reverse();
                }
                let mode = rng.pick(&[NackMode::Silent, NackMode::Fail, NackMode::Fatal]);
                Call::Nack { key, ids, mode, force: rng.percent(30) }
            }
            OpKind::ReadClaim => {
                let min_idle_ms = rng.pick(&[0, 0, 100, 5_000]);
                Call::ReadClaim { key, consumer, count, min_idle_ms }
            }
            OpKind::Claim if !pending.is_empty() => {
                let how = ClaimHow::default();
                Call::Claim { ids: some_of(&pending, rng), key, consumer, how }
            }
            OpKind::ClaimWith => claim_with(key, consumer, life, &pending, rng),
            OpKind::AutoClaim if !pending.is_empty() => {
                let some = pending[rng.index(pending.len())];
                let from = rng.pick(&[EntryId::MIN, some]);
                let min_idle_ms = rng.pick(&[0, 0, 100]);
                let just_ids = rng.percent(30);
                Call::AutoClaim { key, consumer, from, min_idle_ms, count, just_ids }
            }
            _ if life.live().is_empty() && rng.percent(70) => {
                self.append(stream, Size::Tiny, WantId::Auto, false, rng)
            }
            kind => {
                Call::Read { key, consumer, count, no_ack: kind == OpKind::Read { no_ack: true } }
            }
        }
    }
}

/// Names that change places: two of them, or all three in turn.
fn exchange(rng: &mut Rng) -> Vec<(Name, Name)> {
    let names = [&b"s0"[..], b"s1", b"r0"].map(Name::from);
    let first = rng.index(names.len());
    let [a, b, c] = [first, first + 1, first + 2].map(|n| names[n % names.len()].clone());
    match rng.percent(70) {
        true => vec![(a.clone(), b.clone()), (b, a)],
        false => vec![(a.clone(), b.clone()), (b, c.clone()), (c, a)],
    }
}

/// What is older than this, the model does not follow being forgotten.
const LONG_AGO: u64 = 1_699_990_000_000;

/// A producer and an iid.
pub fn some_key(rng: &mut Rng) -> (Name, Name) {
    (name('p', rng.below(2)), name('i', rng.below(6)))
}

/// Attaches an iid to an entry, or once more to the one that has it.
fn record(stream: Name, life: &StreamLife, rng: &mut Rng) -> Call {
    let (live, key) = (life.live(), some_key(rng));
    let known = life.sending.now(&life.entries).and_then(|sent| sent.get(&key));
    let ids = live.iter().map(|(id, _)| *id).filter(|id| id.ms > LONG_AGO);
    let ids = ids.filter(|id| known.is_none_or(|known| known == *id));
    let ids: Vec<EntryId> = ids.collect();
    match ids.is_empty() || life.uncertain {
        true => Call::SyncStream(stream),
        false => Call::Record { id: ids[rng.index(ids.len())], stream, key },
    }
}

fn policy(rng: &mut Rng) -> RefPolicy {
    rng.pick(&[RefPolicy::DelRef, RefPolicy::DelRef, RefPolicy::Acked, RefPolicy::KeepRef])
}

fn keys_of(stream: &Name, life: &StreamLife) -> Vec<GroupKey> {
    let groups = life.groups.last().keys();
    groups.map(|group| GroupKey { stream: stream.clone(), group: group.clone() }).collect()
}

/// What is pending in any group.
fn pending_of(life: &StreamLife) -> Vec<EntryId> {
    let groups = life.groups.last().keys().filter_map(|group| life.group(group));
    groups.flat_map(|group| group.seen.last().pending.iter().map(|(id, ..)| *id)).collect()
}

/// A little above what the stream has, or there.
fn above(top: EntryId, rng: &mut Rng) -> EntryId {
    let (ms, seq) = (rng.below(3), rng.below(3));
    EntryId::new(top.ms.saturating_add(ms), top.seq.saturating_add(seq))
}

fn exact_id(top: EntryId, now_ms: u64, rng: &mut Rng) -> WantId {
    let ms = top.ms.max(now_ms);
    match rng.below(4) {
        0 => WantId::AutoSeq(ms),
        1 => {
            let ms = ms.saturating_add(1 + rng.below(10_000));
            WantId::Exact(EntryId::new(ms, rng.below(3)))
        }
        2 => WantId::Exact(EntryId::new(top.ms, top.seq.saturating_add(1 + rng.below(1_000)))),
        _ => WantId::Exact(EntryId::new(top.ms, top.seq.saturating_add(1))),
    }
}

/// A claim with any of its options, of entries that are pending and of others.
fn claim_with(
    key: GroupKey,
    consumer: Name,
    life: &StreamLife,
    pending: &[EntryId],
    rng: &mut Rng,
) -> Call {
    let mut ids = if pending.is_empty() { Vec::new() } else { some_of(pending, rng) };
    let live = life.live();
    for _ in 0..rng.below(3) {
        if !live.is_empty() {
            ids.push(live[rng.index(live.len())].0);
        }
    }
    ids.push(EntryId::new(1, 1));
    let mut maybe = |value: u64| rng.percent(25).then_some(value);
    let (retry_count, idle_ms) = (maybe(3), maybe(1_000));
    let last_id = match live.get(rng.index(live.len() + 1)) {
        Some((id, _)) if rng.percent(20) => Some(*id),
        _ => None,
    };
    let how = ClaimHow {
        just_ids: rng.percent(30),
        force: rng.percent(60),
        min_idle_ms: rng.pick(&[0, 0, 0, 100]),
        retry_count,
        last_id,
        idle_ms,
    };
    Call::Claim { key, consumer, ids, how }
}

fn trimming(life: &StreamLife, approximate: bool, rng: &mut Rng) -> Trimming {
    let live = life.live();
    let keep = match live.get(rng.index(live.len() + 1)) {
        Some((id, _)) if rng.percent(50) => Keep::From(*id),
        _ => Keep::Newest(rng.below(live.len() as u64 + 1)),
    };
    Trimming { keep, approximate }
}

fn trim(stream: Name, life: &StreamLife, approximate: bool, rng: &mut Rng) -> Call {
    let Trimming { keep, approximate } = trimming(life, approximate, rng);
    Call::Trim { stream, keep, approximate }
}

fn set_back(stream: Name, life: &StreamLife, rng: &mut Rng) -> Call {
    if life.uncertain || life.top == EntryId::MIN {
        return Call::SyncStream(stream);
    }
    let live = life.live();
    if !live.is_empty() && rng.percent(60) {
        return Call::Trim { stream, keep: Keep::Newest(0), approximate: false };
    }
    let forget = rng.percent(50);
    // 0-0 as a max-deleted ID means that none is given.
    let least = live.last().map_or(EntryId::new(0, u64::from(forget)), |(id, _)| *id);
    let least = if forget { least } else { least.max(life.max_deleted) };
    // Somewhere among the entries that are gone, or in front of all of them.
    let gone: Vec<EntryId> = life.given.range(least..=life.top).copied().collect();
    let to = match gone.get(rng.index(gone.len() + 1)) {
        Some(id) => *id,
        None => least,
    };
    Call::SetBack { stream, to, forget }
}

fn set_to(life: &StreamLife, group: &GroupLife, rng: &mut Rng) -> EntryId {
    let live = life.live();
    match live.get(rng.index(live.len() + 1)) {
        Some((id, _)) => *id,
        None if rng.percent(40) => life.top,
        None if rng.percent(30) => above(life.top, rng),
        None => group.seen.last().cursor,
    }
}

/// One, some, or all of them.
fn some_of(ids: &[EntryId], rng: &mut Rng) -> Vec<EntryId> {
    let share = rng.pick(&[20, 50, 100]);
    let mut some: Vec<EntryId> = ids.iter().copied().filter(|_| rng.percent(share)).collect();
    if some.is_empty() {
        some.push(ids[rng.index(ids.len())]);
    }
    some
}
