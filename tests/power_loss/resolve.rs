//! From an operation of the plan to a call: which stream, which IDs, which bytes.
//!
//! Where an operation makes no sense yet (an acknowledgement with nothing pending), the step that
//! it lacks is taken instead, so that plans stay short and every prefix of them is meaningful.

use super::call::{Call, Content, GroupKey, Keep, Name, WantId};
use super::model::{GroupLife, Model, StreamLife};
use super::plan::{Config, Op, OpKind, Size};
use super::rng::Rng;
use crate::id::EntryId;

/// What an operation comes to.
#[derive(Clone, Debug)]
pub enum Action {
    Call(Call),
    Reopen,
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
}

fn name(prefix: char, number: u64) -> Name {
    Name(format!("{prefix}{number}").into_bytes())
}

impl Resolver<'_> {
    pub fn action(&mut self, op: &Op) -> Action {
        let mut rng = Rng::of(&[op.dice]);
        match op.kind {
            OpKind::Reopen => Action::Reopen,
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
            OpKind::Copy => {
                let to = Name::from(rng.pick(&[&b"s0"[..], b"s1", b"c0"]));
                match to == stream {
                    true => Call::SyncStream(stream),
                    false => Call::Copy { from: stream, to },
                }
            }
            OpKind::SyncStream => Call::SyncStream(stream),
            OpKind::Delete => self.delete(stream, life, rng),
            OpKind::Trim { approximate } => trim(stream, life, approximate, rng),
            OpKind::Batch { entries, size } => {
                let contents = (0..entries).map(|_| self.content(size, rng));
                let contents = contents.collect();
                Call::Batch { stream, contents }
            }
            OpKind::Append { size } => self.append(stream, size, WantId::Auto, false, rng),
            OpKind::AppendDurable => self.append(stream, Size::Tiny, WantId::Auto, true, rng),
            OpKind::AppendExact => {
                let id = exact_id(life.top, self.now_ms, rng);
                self.append(stream, Size::Tiny, id, false, rng)
            }
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
        Call::Append { stream, content: self.content(size, rng), id, durable }
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

    fn group_call(&mut self, kind: OpKind, stream: Name, life: &StreamLife, rng: &mut Rng) -> Call {
        let key = GroupKey { stream: stream.clone(), group: name('g', rng.below(2)) };
        let consumer = name('c', rng.below(3));
        let Some(group) = life.group(&key.group) else {
            let start = rng.pick(&[Some(EntryId::MIN), Some(EntryId::MIN), None]);
            return Call::CreateGroup { key, start };
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
                Call::History { key, consumer, count }
            }
            OpKind::Ack if !pending.is_empty() => Call::Ack { ids: some_of(&pending, rng), key },
            OpKind::Claim if !pending.is_empty() => {
                Call::Claim { ids: some_of(&pending, rng), key, consumer }
            }
            OpKind::AutoClaim if !pending.is_empty() => Call::AutoClaim { key, consumer, count },
            _ if life.live().is_empty() && rng.percent(70) => {
                self.append(stream, Size::Tiny, WantId::Auto, false, rng)
            }
            kind => {
                Call::Read { key, consumer, count, no_ack: kind == OpKind::Read { no_ack: true } }
            }
        }
    }
}

fn exact_id(top: EntryId, now_ms: u64, rng: &mut Rng) -> WantId {
    let ms = top.ms.max(now_ms);
    match rng.below(4) {
        0 => WantId::AutoSeq(ms),
        1 => WantId::Exact(EntryId::new(ms + 1 + rng.below(10_000), rng.below(3))),
        2 => WantId::Exact(EntryId::new(top.ms, top.seq + 1 + rng.below(1_000))),
        _ => WantId::Exact(EntryId::new(top.ms, top.seq + 1)),
    }
}

fn trim(stream: Name, life: &StreamLife, approximate: bool, rng: &mut Rng) -> Call {
    let live = life.live();
    let keep = match live.get(rng.index(live.len() + 1)) {
        Some((id, _)) if rng.percent(50) => Keep::From(*id),
        _ => Keep::Newest(rng.below(live.len() as u64 + 1)),
    };
    Call::Trim { stream, keep, approximate }
}

fn set_to(life: &StreamLife, group: &GroupLife, rng: &mut Rng) -> EntryId {
    let live = life.live();
    match live.get(rng.index(live.len() + 1)) {
        Some((id, _)) => *id,
        None if rng.percent(50) => life.top,
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
