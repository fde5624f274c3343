//! Invariant 8 for what a stream keeps by itself: `keep_unacked` beats every other limit, the
//! acknowledgements that a drop rests on are synced first, and no more goes than was asked for.

use super::disk::FaultDisk;
use super::ground::{die, id, open_with, put, seen};
use crate::{
    AppendOptions, Durability, EntryId, GroupReadOptions, PendingFilter, Retention, Start, Store,
    Stream, StreamOptions, Trim,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

fn open(disk: &FaultDisk) -> Store {
    let small = StreamOptions::new().segment_bytes(4096).max_entry_bytes(1000).block_entries(7);
    let options = Store::options().durability(Durability::Manual).stream_defaults(small);
    open_with(disk, &options).unwrap()
}

fn read(stream: &Stream, group: &str, count: usize) -> Vec<u64> {
    let group = stream.get_group(group).unwrap().unwrap();
    let read = group.consumer("c").unwrap().read(GroupReadOptions::new().count(count)).unwrap();
    read.ids().map(|id| id.ms).collect()
}

fn ack(stream: &Stream, group: &str, ids: impl IntoIterator<Item = u64>) {
    let group = stream.get_group(group).unwrap().unwrap();
    group.ack(ids.into_iter().map(id)).unwrap();
}

/// Fails if `StreamState::most_to_trim` (src/state.rs) holds nothing back, if `Live::retain` does
/// not look at it for one of the limits, or `Live::plan` for one kind of trim
/// (src/storage/live.rs).
pub(crate) fn invariant_08_keep_unacked_beats_every_other_limit() {
    type Limit = (&'static str, fn(Retention) -> Retention);
    let limits: [Limit; 4] = [
        ("max_len", |keep| keep.max_len(1)),
        ("min_id", |keep| keep.min_id(EntryId::MAX)),
        ("max_age", |keep| keep.max_age(Duration::from_millis(1))),
        ("max_bytes", |keep| keep.max_bytes(1)),
    ];
    for (name, limit) in limits {
        let disk = FaultDisk::new();
        let store = open(&disk);
        let stream = store.stream("s").unwrap();
        put(&stream, 1..200);
        disk.set_clock(1_000_000);
        stream.create_group("slow", Start::First).unwrap();
        stream.create_group("fast", Start::First).unwrap();
        stream.set_retention(limit(Retention::new().keep_unacked())).unwrap();
        let enforce = || {
            stream.enforce_retention().unwrap();
            store.step_prepare().unwrap();
            let trims = [Trim::max_len(0), Trim::min_id(EntryId::MAX)];
            for trim in trims.into_iter().flat_map(|trim| [trim, trim.approximate().limit(0)]) {
                stream.trim(trim).unwrap();
            }
            seen(&stream).first().copied()
        };
        // One of them was given nothing yet.
        assert_eq!(read(&stream, "fast", 0).len(), 199);
        ack(&stream, "fast", 1..200);
        assert_eq!(enforce(), Some(1), "{name}");
        // All of it is pending there, then all but a few in the middle.
        assert_eq!(read(&stream, "slow", 190).len(), 190);
        assert_eq!(enforce(), Some(1), "{name}");
        ack(&stream, "slow", (1..100).chain(120..180));
        assert_eq!(enforce(), Some(100), "{name}");
        // What is pending and gone for another reason holds nothing back.
        stream.delete((100..115).map(id)).unwrap();
        assert_eq!(enforce(), Some(115), "{name}");
        ack(&stream, "slow", 115..191);
        assert_eq!(enforce(), Some(191), "{name}");
        let last = AppendOptions::new().id(id(200)).trim(Trim::max_len(0));
        stream.append_with([("a", "b")], last).unwrap();
        assert_eq!(seen(&stream).first(), Some(&191), "{name}");
        // A group that is gone keeps nothing.
        assert!(stream.remove_group("slow").unwrap());
        assert_eq!(enforce(), Some(200), "{name}");
    }
}

/// Acknowledges, drops, appends with a trim, syncs the segments alone, rolls, seals.
fn drop_what_is_acknowledged(store: &Store, stream: &Stream) {
    let mut next = 200;
    for first in [1, 51, 101, 150] {
        ack(stream, "g", first..first + 50);
        if first > 100 {
            let trim = AppendOptions::new().id(id(next)).trim(Trim::max_len(20));
            stream.append_with([("v", "x".repeat(100))], trim).unwrap();
        } else {
            stream.enforce_retention().unwrap();
            put(stream, next..next + 1);
        }
        put(stream, next + 1..next + 40);
        stream.wait_durable(id(next + 39)).unwrap();
        store.step_prepare().unwrap();
        next += 40;
    }
}

fn unacknowledged() -> (FaultDisk, Store, Stream) {
    let disk = FaultDisk::new();
    let store = open(&disk);
    let stream = store.stream("s").unwrap();
    stream.set_retention(Retention::new().max_len(20).keep_unacked()).unwrap();
    stream.create_group("g", Start::First).unwrap();
    put(&stream, 1..200);
    assert_eq!(read(&stream, "g", 0).len(), 199);
    store.sync().unwrap();
    disk.take_calls();
    (disk, store, stream)
}

/// Fails if `Log::durable_append_trim` (src/storage/log/trims.rs) lets footers tell of every trim, or
/// if `Stream::append_list` (src/stream/api.rs) puts a trim into a frame that rests on
/// acknowledgements.
pub(crate) fn invariant_08_acks_that_a_drop_rests_on_are_synced_first() {
    let (disk, store, stream) = unacknowledged();
    drop_what_is_acknowledged(&store, &stream);
    let calls = disk.take_calls();
    let mut gone = 0;
    for (n, call) in calls.iter().enumerate() {
        let (disk, store, stream) = unacknowledged();
        disk.hold_after(n);
        let working = std::thread::spawn({
            let (store, stream) = (store.clone(), stream.clone());
            move || drop_what_is_acknowledged(&store, &stream)
        });
        disk.wait_held();
        let cut = disk.power_cut();
        disk.let_go();
        working.join().unwrap();
        die(store);
        let store = open(&cut);
        let stream = store.stream("s").unwrap();
        let left: BTreeSet<u64> = seen(&stream).into_iter().collect();
        let group = stream.get_group("g").unwrap().unwrap();
        let pending = group.pending_range(.., PendingFilter::new()).unwrap();
        for record in pending {
            assert!(left.contains(&record.id.ms), "{} is pending and gone: {call}", record.id);
        }
        let given = group.info().unwrap().last_delivered_id;
        assert_eq!(given, id(199), "{call}");
        gone = gone.max(199 - left.range(..200).count());
    }
    assert!(gone > 100, "only {gone} of those that may go are ever gone");
}

/// Fails if `StreamInner::log` (src/stream/recovery.rs) enforces the retention, or if
/// `StreamInner::new` (src/stream.rs) takes a stream for limited that nobody uses yet.
pub(crate) fn invariant_08_verifying_removes_no_entry() {
    let disk = FaultDisk::new();
    let store = open(&disk);
    let stream = store.stream("s").unwrap();
    stream.set_retention(Retention::new().max_age(Duration::from_secs(1))).unwrap();
    put(&stream, 1_000..1_200);
    drop(stream);
    store.close().unwrap();
    disk.set_clock(1_000_000);
    let store = open(&disk);
    for _ in 0..2 {
        let found = store.verify().unwrap();
        assert!(found.is_whole(), "{found}");
        assert_eq!(found.streams[0].entries, 200);
        // The background's pass.
        store.step_prepare().unwrap();
    }
    assert_eq!(seen(&store.stream("s").unwrap()), [0; 0]);
    assert_eq!(store.verify().unwrap().streams[0].entries, 0);
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end.max(1)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// What a stream should hold, by counting.
#[derive(Default)]
struct Model {
    now: u64,
    last: u64,
    alive: BTreeSet<u64>,
    /// The last-delivered ID of each group, and what is pending.
    groups: BTreeMap<String, (u64, BTreeSet<u64>)>,
    max_len: Option<u64>,
    min_id: Option<u64>,
    max_age: Option<u64>,
    max_bytes: Option<u64>,
    keep: bool,
    /// Each segment's last ID and bytes.
    segments: Vec<(u64, u64)>,
}

impl Model {
    /// Whether all groups are done with the entries up to an ID.
    fn done(&self, upto: u64) -> bool {
        let done = |(given, pending): &(u64, BTreeSet<u64>)| {
            upto <= *given && pending.intersection(&self.alive).all(|id| *id > upto)
        };
        !self.keep || self.groups.values().all(done)
    }

    /// Removes entries one after the other from the oldest on, as long as they are beyond a limit.
    fn drop_while(&mut self, beyond: impl Fn(&Model, u64) -> bool) -> u64 {
        let mut removed = 0;
        while let Some(first) = self.alive.first().copied() {
            if !beyond(self, first) || !self.done(first) {
                break;
            }
            self.alive.remove(&first);
            removed += 1;
        }
        removed
    }

    fn enforce(&mut self) -> u64 {
        let mut removed = self.drop_while(|model, first| {
            model.max_len.is_some_and(|most| model.alive.len() as u64 > most)
                || model.min_id.is_some_and(|least| first < least)
                || model.max_age.is_some_and(|age| model.now.saturating_sub(first) > age)
        });
        let mut bytes: u64 = self.segments.iter().map(|(_, bytes)| bytes).sum();
        let sealed = self.segments.len().saturating_sub(1);
        for (last, size) in self.segments.clone().into_iter().take(sealed) {
            if self.max_bytes.is_none_or(|most| bytes <= most) || !self.done(last) {
                break;
            }
            bytes -= size;
            removed += self.drop_while(|_, first| first <= last);
        }
        removed
    }

    /// Takes over how large the segments are. Which entries lie in which is known from the appends.
    fn measure(&mut self, stream: &Stream) {
        let info = stream.info().unwrap();
        while self.segments.len() > info.segments {
            let (last, _) = self.segments.remove(0);
            assert!(self.alive.first().is_none_or(|first| *first > last), "unlinked while in use");
        }
        if self.segments.len() < info.segments {
            self.segments.push((self.last, 0));
        }
        assert_eq!(self.segments.len(), info.segments);
        let rest: u64 = self.segments.iter().rev().skip(1).map(|(_, bytes)| bytes).sum();
        if let Some(newest) = self.segments.last_mut() {
            *newest = (self.last, info.bytes - rest);
        }
    }

    fn retention(&self) -> Retention {
        let mut what = Retention::new();
        what = self.max_len.map_or(what, |most| what.max_len(most));
        what = self.min_id.map_or(what, |least| what.min_id(id(least)));
        what = self.max_age.map_or(what, |age| what.max_age(Duration::from_millis(age)));
        what = self.max_bytes.map_or(what, |most| what.max_bytes(most));
        if self.keep { what.keep_unacked() } else { what }
    }

    fn choose_retention(&mut self, random: &mut Random) {
        self.max_len = random.one_in(3).then(|| random.below(120));
        self.min_id = random.one_in(4).then(|| random.below(self.last + 10));
        self.max_age = random.one_in(3).then(|| 1 + random.below(300));
        // To the byte, as often as not.
        let newest = self.segments.iter().rev().take(1 + random.below(4) as usize);
        let bytes: u64 = newest.map(|(_, bytes)| bytes).sum();
        self.max_bytes = random.one_in(3).then(|| bytes + random.below(2) * random.below(5_000));
        self.keep = random.one_in(2);
    }
}

struct Rig {
    disk: FaultDisk,
    store: Store,
    stream: Stream,
    model: Model,
}

impl Rig {
    fn new() -> Rig {
        let disk = FaultDisk::new();
        let store = open(&disk);
        let stream = store.stream("s").unwrap();
        Rig { disk, store, stream, model: Model { now: 1_000, ..Model::default() } }
    }

    fn append(&mut self, random: &mut Random) {
        for _ in 0..1 + random.below(30) {
            self.model.measure(&self.stream);
            let next = self.model.now.max(self.model.last + 1);
            let trim = random.one_in(20).then(|| random.below(100));
            let mut options = AppendOptions::new().id(id(next));
            if let Some(most) = trim {
                options = options.trim(Trim::max_len(most));
            }
            let value = "x".repeat(50 + random.below(200) as usize);
            self.stream.append_with([("v", value)], options).unwrap();
            self.model.last = next;
            self.model.alive.insert(next);
            if let Some(most) = trim {
                self.model.drop_while(|model, _| model.alive.len() as u64 > most);
            }
            self.model.measure(&self.stream);
        }
    }

    fn change_groups(&mut self, random: &mut Random) {
        let name = format!("g{}", random.below(2));
        let Rig { stream, model, .. } = self;
        let Some((given, pending)) = model.groups.get_mut(&name) else {
            let (start, given) =
                if random.one_in(3) { (Start::Last, model.last) } else { (Start::First, 0) };
            stream.create_group(&name, start).unwrap();
            model.groups.insert(name, (given, BTreeSet::new()));
            return;
        };
        match random.below(20) {
            0 => {
                assert!(stream.remove_group(&name).unwrap());
                model.groups.remove(&name);
            }
            1 => {
                *given = random.below(model.last + 1);
                let group = stream.get_group(&name).unwrap().unwrap();
                group.set_id(Start::After(id(*given))).unwrap();
            }
            2..=9 => {
                let count = 1 + random.below(80) as usize;
                let got = read(stream, &name, count);
                let new = model.alive.range(*given + 1..).take(count);
                assert_eq!(got, new.copied().collect::<Vec<_>>());
                *given = got.last().copied().unwrap_or(*given);
                pending.extend(got);
            }
            _ => {
                let share = 1 + random.below(4);
                let some: Vec<u64> =
                    pending.iter().copied().filter(|_| !random.one_in(share * 10)).collect();
                ack(stream, &name, some.iter().copied());
                pending.retain(|id| !some.contains(id));
            }
        }
    }

    fn step(&mut self, random: &mut Random) {
        match random.below(24) {
            0..=7 => self.append(random),
            8..=13 => self.change_groups(random),
            14 => {
                let some: Vec<u64> = self.model.alive.iter().copied().take(60).collect();
                let some: Vec<u64> = some.into_iter().filter(|_| random.one_in(3)).collect();
                let count = self.stream.delete(some.iter().copied().map(id)).unwrap();
                assert_eq!(count, some.len() as u64);
                self.model.alive.retain(|id| !some.contains(id));
            }
            15 => {
                let most = random.below(150);
                let removed = self.stream.trim(Trim::max_len(most)).unwrap();
                let model = &mut self.model;
                assert_eq!(removed, model.drop_while(|model, _| model.alive.len() as u64 > most));
            }
            16 => {
                // Up to the IDs or beyond, so that some are just as old as they may be.
                self.model.now = self.model.now.max(self.model.last) + random.below(50);
                self.disk.set_clock(self.model.now);
            }
            17 | 18 => {
                self.model.choose_retention(random);
                self.stream.set_retention(self.model.retention()).unwrap();
            }
            19 | 20 => {
                let removed = self.stream.enforce_retention().unwrap();
                assert_eq!(removed, self.model.enforce());
            }
            21 => {
                self.store.step_prepare().unwrap();
                self.model.enforce();
            }
            22 => self.store.sync().unwrap(),
            _ => self.reopen(random),
        }
        self.model.measure(&self.stream);
        assert_eq!(seen(&self.stream), self.model.alive.iter().copied().collect::<Vec<_>>());
        assert_eq!(self.stream.len().unwrap(), self.model.alive.len() as u64);
    }

    /// Closed, or killed. What is beyond a limit goes with the first use.
    fn reopen(&mut self, random: &mut Random) {
        if random.one_in(2) {
            self.store.clone().close().unwrap();
        }
        let disk = self.disk.image();
        let store = open(&disk);
        let stream = store.stream("s").unwrap();
        // The Close frame counts, too.
        self.model.measure(&stream);
        self.model.enforce();
        die(std::mem::replace(&mut self.store, store));
        (self.disk, self.stream) = (disk, stream);
        assert_eq!(self.stream.retention().unwrap(), self.model.retention());
    }
}

/// Fails if `Live::retain` (src/storage/live.rs) removes one entry or segment more or less, if
/// `StreamInner::log` (src/stream/recovery.rs) or `Store::step_prepare` does not enforce, or if the
/// codec of events drops a limit.
pub(crate) fn invariant_08_retention_removes_what_a_naive_count_removes() {
    for seed in 1..40 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let mut rig = Rig::new();
        for _ in 0..150 {
            rig.step(&mut random);
        }
    }
}

/// Fails if `StreamInner::enforce` (src/stream/trim.rs) goes on until nothing is beyond the limit:
/// one entry more for each round, and it never ended.
pub(crate) fn invariant_08_retention_ends_however_fast_others_append() {
    const MOST: u64 = 1_000;
    let disk = FaultDisk::new();
    let store = open(&disk);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..200);
    stream.set_retention(Retention::new().max_len(10)).unwrap();
    let (busy, next) = (stream.clone(), AtomicU64::new(200));
    disk.meanwhile("record stored", move || {
        let ms = next.fetch_add(1, Ordering::Relaxed);
        if ms < MOST {
            put(&busy, ms..ms + 1);
        }
    });
    assert!(stream.enforce_retention().unwrap() >= 189);
    let seen = seen(&stream);
    assert!((10..15).contains(&seen.len()), "{} entries", seen.len());
    assert!(seen.last() < Some(&(MOST / 2)), "it ended with the appends");
}
