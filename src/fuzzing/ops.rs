//! A list of calls, made on a store on the heap and on a model of it, which must agree all the time
//! and over every reopening.

use super::Input;
use super::disk::FixedDisk;
use super::recovery::store_options;
use crate::entry::NewEntries;
use crate::error::ErrorKind;
use crate::id::{EntryId, NewId};
use crate::options::{
    AppendOptions, ClaimOptions, Durability, GroupReadOptions, PendingFilter, Start, StreamOptions,
    Trim,
};
use crate::storage::disk::Disk;
use crate::store::{Store, StoreOptions};
use crate::stream::Stream;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

mod policies;

const GROUPS: [&str; 2] = ["g", "h"];
const CONSUMERS: [&str; 3] = ["a", "b", "c"];
/// In the place of a consumer's number.
const NOBODY: usize = usize::MAX;
/// No input makes more calls, so that each takes little time.
const MOST_CALLS: usize = 400;

type Value = Vec<u8>;

#[derive(Default)]
struct Group {
    cursor: EntryId,
    /// Whose it is, and how often it was delivered.
    pending: BTreeMap<EntryId, (usize, u64)>,
}

/// What the stream should hold.
#[derive(Default)]
struct Model {
    entries: BTreeMap<EntryId, Value>,
    last_id: EntryId,
    added: u64,
    groups: BTreeMap<usize, Group>,
}

struct Run {
    disk: Arc<FixedDisk>,
    options: StoreOptions,
    /// Gone for a moment while it is opened again.
    store: Option<Store>,
    model: Model,
}

/// Makes the calls that the input lists. Returns whether the stream held an entry in the end, or
/// lost one on the way.
pub fn ops(data: &[u8]) -> bool {
    let mut input = Input(data);
    let switches = input.byte();
    let stream = StreamOptions::new()
        .segment_bytes(4096 << (switches & 3))
        .max_entry_bytes(2000)
        .block_entries([100, 1, 3, 0][usize::from(switches >> 2 & 3)])
        .block_bytes([4096, 0][usize::from(switches >> 4 & 1)]);
    let level = match switches & 32 {
        0 => Durability::Manual,
        _ => Durability::Always,
    };
    let mut run = Run {
        disk: FixedDisk::new(),
        options: store_options().durability(level).stream_defaults(stream),
        store: None,
        model: Model::default(),
    };
    run.reopen();
    for _ in 0..MOST_CALLS {
        if input.is_empty() {
            break;
        }
        run.call(&mut input);
    }
    run.compare();
    run.reopen();
    run.compare();
    run.model.added > 0
}

impl Run {
    fn stream(&self) -> Stream {
        self.store.as_ref().unwrap().stream("s").unwrap()
    }

    fn reopen(&mut self) {
        if let Some(store) = self.store.take() {
            store.close().unwrap();
        }
        let disk = Arc::clone(&self.disk) as Arc<dyn Disk>;
        let store = Store::open_on(disk, Path::new("/store"), &self.options);
        self.store = Some(store.unwrap());
    }

    fn call(&mut self, input: &mut Input<'_>) {
        let store = self.store.as_ref().unwrap();
        match input.byte() % 25 {
            0..=3 => self.append(input),
            4 => self.append_exact(input),
            5 => self.batch(input),
            6 => self.delete(input),
            7 => self.trim_len(input),
            8 => self.trim_min(input),
            9 => self.approximate(input),
            10 => self.create_group(input),
            11 | 12 => self.read(input),
            13 => self.ack(input),
            14 => self.claim(input),
            15 => self.auto_claim(input),
            16 => store.step_sync().unwrap(),
            17 => store.step_prepare().unwrap(),
            18 => store.step_checkpoint().unwrap(),
            19 | 20 => self.nack(input),
            21 => self.ack_delete(input),
            22 => self.delete_with(input),
            23 => self.trim_with(input),
            _ => {
                self.compare();
                self.reopen();
                self.compare();
            }
        }
    }

    fn value(input: &mut Input<'_>) -> Value {
        let first = input.byte();
        vec![first; usize::from(input.byte()) * 7]
    }

    /// An entry that lives, if there is one.
    fn some(&self, input: &mut Input<'_>) -> Option<EntryId> {
        let place = usize::from(input.byte()) % self.model.entries.len().max(1);
        self.model.entries.keys().nth(place).copied()
    }

    fn appended(&mut self, id: EntryId, value: Value) {
        assert!(id > self.model.last_id);
        self.model.entries.insert(id, value);
        self.model.last_id = id;
        self.model.added += 1;
    }

    fn append(&mut self, input: &mut Input<'_>) {
        let ms = self.model.last_id.ms.saturating_add(u64::from(input.byte()));
        let value = Self::value(input);
        let trim = input.byte();
        let mut options = AppendOptions::new().id(NewId::AutoSeq(ms));
        if trim < 16 {
            options = options.trim(Trim::max_len(u64::from(trim)));
        }
        match self.stream().append_with([("v", &value)], options) {
            Ok(id) => {
                self.appended(id, value);
                if trim < 16 {
                    self.keep(usize::from(trim));
                }
            }
            Err(error) => refused(&error, self.model.last_id),
        }
    }

    fn append_exact(&mut self, input: &mut Input<'_>) {
        let ms = u64::from(input.short()) << (input.byte() % 49);
        let id = EntryId::new(ms, u64::from(input.byte()));
        let value = Self::value(input);
        let options = AppendOptions::new().id(id);
        match self.stream().append_with([("v", &value)], options) {
            Ok(given) => {
                assert_eq!(given, id);
                self.appended(id, value);
            }
            Err(error) => {
                assert!(id <= self.model.last_id, "{error}");
                refused(&error, self.model.last_id);
            }
        }
    }

    fn batch(&mut self, input: &mut Input<'_>) {
        let mut batch = NewEntries::new();
        let mut values = Vec::new();
        for _ in 0..input.byte() % 12 {
            let value = vec![input.byte(); usize::from(input.byte())];
            let ms = self.model.last_id.ms.saturating_add(1);
            batch.push_with(NewId::AutoSeq(ms), [("v", &value)]).unwrap();
            values.push(value);
        }
        match self.stream().append_batch(&batch) {
            Ok(None) => assert!(values.is_empty()),
            Ok(Some((first, last))) => {
                for (n, value) in (0..).zip(values) {
                    self.appended(EntryId::new(first.ms, first.seq + n), value);
                }
                assert_eq!(last, self.model.last_id);
            }
            Err(error) => refused(&error, self.model.last_id),
        }
    }

    fn delete(&mut self, input: &mut Input<'_>) {
        let mut ids: Vec<EntryId> =
            (0..input.byte() % 5).filter_map(|_| self.some(input)).collect();
        ids.push(EntryId::new(u64::from(input.byte()), 0));
        let count = self.stream().delete(ids.iter().copied()).unwrap();
        let mut gone = 0;
        for id in ids {
            gone += u64::from(self.model.entries.remove(&id).is_some());
        }
        assert_eq!(count, gone);
    }

    fn keep(&mut self, len: usize) -> u64 {
        let before = self.model.entries.len();
        while self.model.entries.len() > len {
            self.model.entries.pop_first();
        }
        (before - self.model.entries.len()) as u64
    }

    fn trim_len(&mut self, input: &mut Input<'_>) {
        let len = input.byte();
        let removed = self.stream().trim(Trim::max_len(u64::from(len))).unwrap();
        assert_eq!(removed, self.keep(usize::from(len)));
    }

    fn trim_min(&mut self, input: &mut Input<'_>) {
        let min = self.some(input).unwrap_or(EntryId::new(3, 3));
        let removed = self.stream().trim(Trim::min_id(min)).unwrap();
        let kept = self.model.entries.split_off(&min);
        let gone = std::mem::replace(&mut self.model.entries, kept);
        assert_eq!(removed, gone.len() as u64);
    }

    /// Removes some of the oldest, and never more than asked.
    fn approximate(&mut self, input: &mut Input<'_>) {
        let len = usize::from(input.byte());
        let trim = Trim::max_len(len as u64).approximate();
        let removed = self.stream().trim(trim).unwrap() as usize;
        assert!(removed <= self.model.entries.len().saturating_sub(len));
        self.keep(self.model.entries.len() - removed);
    }

    fn group(input: &mut Input<'_>) -> usize {
        usize::from(input.byte()) % GROUPS.len()
    }

    fn create_group(&mut self, input: &mut Input<'_>) {
        let group = Self::group(input);
        let (start, cursor) = match input.byte() % 3 {
            0 => (Start::First, EntryId::MIN),
            1 => (Start::Last, self.model.last_id),
            _ => {
                let id = self.some(input).unwrap_or_default();
                (Start::After(id), id)
            }
        };
        match self.stream().create_group(GROUPS[group], start) {
            Ok(_) => {
                let pending = BTreeMap::new();
                let new = Group { cursor, pending };
                assert!(self.model.groups.insert(group, new).is_none());
            }
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::GroupExists { .. }));
                assert!(self.model.groups.contains_key(&group));
            }
        }
    }

    /// A group and a consumer, if the group exists.
    fn consumer(&self, input: &mut Input<'_>) -> Option<(usize, usize, crate::Consumer)> {
        let group = Self::group(input);
        let consumer = usize::from(input.byte()) % CONSUMERS.len();
        let found = self.stream().get_group(GROUPS[group]).unwrap();
        assert_eq!(found.is_some(), self.model.groups.contains_key(&group));
        let handle = found?.consumer(CONSUMERS[consumer]).unwrap();
        Some((group, consumer, handle))
    }

    fn read(&mut self, input: &mut Input<'_>) {
        let Some((group, consumer, handle)) = self.consumer(input) else {
            return;
        };
        let count = usize::from(input.byte() % 10);
        let no_ack = input.byte().is_multiple_of(8);
        let mut options = GroupReadOptions::new().count(count);
        if no_ack {
            options = options.no_ack();
        }
        let read = handle.read(options).unwrap();
        let of = self.model.groups.get_mut(&group).unwrap();
        let above = (std::ops::Bound::Excluded(of.cursor), std::ops::Bound::Unbounded);
        let most = if count == 0 { usize::MAX } else { count };
        let wanted: Vec<_> = self.model.entries.range(above).take(most).collect();
        assert_eq!(read.len(), wanted.len());
        for (entry, (id, value)) in read.iter().zip(wanted) {
            assert_eq!((entry.id(), entry.get("v")), (*id, Some(&value[..])));
            of.cursor = *id;
            if !no_ack {
                of.pending.insert(*id, (consumer, 1));
            }
        }
    }

    /// Pending IDs of a group, and one that may be no pending one.
    fn some_pending(&self, group: usize, input: &mut Input<'_>) -> Vec<EntryId> {
        let pending = &self.model.groups[&group].pending;
        let from = usize::from(input.byte()) % pending.len().max(1);
        let count = usize::from(input.byte() % 6);
        let mut ids: Vec<EntryId> = pending.keys().skip(from).take(count).copied().collect();
        ids.extend(self.some(input));
        ids
    }

    fn ack(&mut self, input: &mut Input<'_>) {
        let Some((group, _, handle)) = self.consumer(input) else {
            return;
        };
        let ids = self.some_pending(group, input);
        let count = handle.group().ack(ids.iter().copied()).unwrap();
        let of = self.model.groups.get_mut(&group).unwrap();
        let mut gone = 0;
        for id in ids {
            gone += u64::from(of.pending.remove(&id).is_some());
        }
        assert_eq!(count, gone);
    }

    fn claim(&mut self, input: &mut Input<'_>) {
        let Some((group, consumer, handle)) = self.consumer(input) else {
            return;
        };
        let mut ids = self.some_pending(group, input);
        ids.sort_unstable();
        ids.dedup();
        let options = ClaimOptions::new(Duration::ZERO);
        let claimed = handle.claim_ids(ids.iter().copied(), options).unwrap();
        let of = self.model.groups.get_mut(&group).unwrap();
        let mut wanted = Vec::new();
        for id in ids {
            if !self.model.entries.contains_key(&id) {
                of.pending.remove(&id);
            } else if let Some((owner, _)) = of.pending.get_mut(&id) {
                *owner = consumer;
                wanted.push(id);
            }
        }
        assert_eq!(claimed, wanted);
    }

    fn auto_claim(&mut self, input: &mut Input<'_>) {
        let Some((group, consumer, handle)) = self.consumer(input) else {
            return;
        };
        let from = self.some(input).unwrap_or_default();
        let count = 1 + usize::from(input.byte() % 20);
        let found = handle.auto_claim(from, Duration::ZERO, count).unwrap();
        let of = self.model.groups.get_mut(&group).unwrap();
        for id in &found.deleted {
            assert!(!self.model.entries.contains_key(id));
            assert!(*id >= from && of.pending.remove(id).is_some());
        }
        assert!(found.delivery.len() <= count);
        for id in found.delivery.ids() {
            assert!(id >= from && self.model.entries.contains_key(&id));
            let (owner, deliveries) = of.pending.get_mut(&id).unwrap();
            (*owner, *deliveries) = (consumer, (*deliveries + 1).min(i64::MAX as u64));
        }
    }

    /// The store and the model hold the same.
    fn compare(&self) {
        let stream = self.stream();
        let there = stream.range(..).map(|entry| {
            let entry = entry.unwrap();
            (entry.id(), entry.get("v").unwrap().to_vec())
        });
        let there: Vec<_> = there.collect();
        let wanted = self.model.entries.iter();
        let wanted: Vec<_> = wanted.map(|(id, value)| (*id, value.clone())).collect();
        assert_eq!(there, wanted);
        let back = stream.range(..).rev().map(|entry| entry.unwrap().id());
        assert!(back.eq(self.model.entries.keys().rev().copied()));
        let info = stream.info().unwrap();
        let told = (info.length, info.last_id, info.entries_added);
        let (length, model) = (wanted.len() as u64, &self.model);
        assert_eq!(told, (length, model.last_id, model.added));
        assert_eq!(stream.groups().unwrap().len(), model.groups.len());
        for (number, group) in &model.groups {
            let handle = stream.get_group(GROUPS[*number]).unwrap().unwrap();
            let info = handle.info().unwrap();
            assert_eq!(info.last_delivered_id, group.cursor);
            let pending = handle.pending_range(.., PendingFilter::new()).unwrap();
            let there = pending.iter().map(|record| {
                let owner = CONSUMERS.iter().position(|c| c.as_bytes() == record.consumer);
                assert_eq!(owner.is_none(), record.unowned);
                (record.id, (owner.unwrap_or(NOBODY), record.deliveries))
            });
            let wanted = group.pending.iter().map(|(id, record)| (*id, *record));
            assert!(there.eq(wanted), "{pending:?}, not {:?}", group.pending);
        }
    }
}

/// The errors that a well-formed append may answer with; nothing was appended then.
fn refused(error: &crate::Error, last: EntryId) {
    match error.kind() {
        ErrorKind::IdNotGreater { last: told, .. } => assert_eq!(*told, last),
        ErrorKind::IdExhausted => assert_eq!(last, EntryId::MAX),
        ErrorKind::IdZero | ErrorKind::BatchTooLarge { .. } => {}
        _ => panic!("{error}"),
    }
}
