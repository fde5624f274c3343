//! The store that the sweep damages, and all that is known of it: what was appended, what lives, and
//! where in the files each entry lies.

use super::image::{DIR, Image, SweepDisk, mix};
use super::look::{self, How, StreamLook};
use crate::storage::overlay::Overlay;
use crate::{
    AppendOptions, Durability, EntryId, GroupReadOptions, NewEntries, OnDamage, Start, Store,
    StoreOptions, Stream, StreamOptions, Trim,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Length of a file's header, in bytes.
pub const HEADER: usize = 128;

/// Where one frame lies, and which of the stream's entries it holds.
#[derive(Clone, Debug)]
pub struct Frame {
    pub bytes: Range<usize>,
    pub header: Range<usize>,
    pub kind: u8,
    pub begins_block: bool,
    /// Numbers of entries in order of appending.
    pub entries: Range<usize>,
}

/// Where things lie in a segment.
#[derive(Clone, Debug)]
pub struct SegmentMap {
    pub stream: Vec<u8>,
    pub frames: Vec<Frame>,
    /// Of a sealed segment.
    pub footer: Option<Range<usize>>,
    pub entries: Range<usize>,
}

/// One stream's history.
#[derive(Debug, Default)]
pub struct History {
    /// Every entry that was ever appended: ID and field list.
    pub entries: Vec<(EntryId, Vec<u8>)>,
    pub live: BTreeSet<usize>,
    /// What was acknowledged by each group.
    pub acked: BTreeMap<Vec<u8>, BTreeSet<EntryId>>,
}

#[derive(Debug)]
pub struct Fixture {
    pub image: Image,
    /// The same store some time before.
    pub older: Image,
    /// Another store with the same history, but for the bytes of the values.
    pub other: Image,
    pub streams: BTreeMap<Vec<u8>, History>,
    pub segments: BTreeMap<PathBuf, SegmentMap>,
    /// What an undamaged store shows.
    pub looks: BTreeMap<Vec<u8>, StreamLook>,
}

pub fn options(on_damage: OnDamage) -> StoreOptions {
    let stream = StreamOptions::new().segment_bytes(16384).max_entry_bytes(4000).block_entries(20);
    let options = Store::options().durability(Durability::Manual).stream_defaults(stream);
    options.on_damage(on_damage)
}

pub fn open(disk: &Arc<SweepDisk>, on_damage: OnDamage) -> crate::Result<Store> {
    Store::open_on(Arc::clone(disk) as Arc<_>, Path::new(DIR), &options(on_damage))
}

/// As `Store::open_salvage` does it.
pub fn open_salvage(disk: &Arc<SweepDisk>) -> crate::Result<Store> {
    let over = Arc::new(Overlay::new(Arc::clone(disk) as Arc<_>));
    let options = StoreOptions { read_only: true, salvage: true, ..options(OnDamage::Skip) };
    Store::open_on(over, Path::new(DIR), &options)
}

fn id(ms: u64) -> EntryId {
    EntryId::new(ms, 0)
}

/// As long in every store, so that frames lie in the same places, and of other bytes in each.
fn value(seed: u64, ms: u64) -> Vec<u8> {
    let len = mix(ms) % 150;
    (0..len).map(|n| (mix(ms ^ (n << 32) ^ (seed << 48)) >> 11) as u8).collect()
}

fn put(stream: &Stream, seed: u64, from: u64, to: u64) {
    for ms in from..to {
        let (number, value) = (ms.to_string(), value(seed, ms));
        let fields = [(&b"number"[..], number.as_bytes()), (b"", &value)];
        stream.append_with(fields, AppendOptions::new().id(id(ms))).unwrap();
    }
}

fn put_batch(stream: &Stream, seed: u64, from: u64, to: u64) {
    let mut batch = NewEntries::new();
    for ms in from..to {
        batch.push_with(id(ms), [("batch", value(seed, ms))]).unwrap();
    }
    stream.append_batch(&batch).unwrap();
}

type Acked = BTreeMap<(&'static str, &'static str), BTreeSet<EntryId>>;

/// A consumer reads and acknowledges every `step`th of what it got.
fn work(
    stream: &Stream,
    group: &'static str,
    who: &str,
    count: usize,
    step: usize,
) -> Vec<EntryId> {
    let group = stream.group(group, Start::First).unwrap();
    let consumer = group.consumer(who).unwrap();
    let got = consumer.read(GroupReadOptions::new().count(count)).unwrap();
    let acked: Vec<EntryId> = got.ids().step_by(step).collect();
    group.ack(acked.iter().copied()).unwrap();
    acked
}

fn first_life(store: &Store, seed: u64, acked: &mut Acked) {
    let orders = store.stream("orders").unwrap();
    put(&orders, seed, 1, 90);
    put_batch(&orders, seed, 90, 97);
    put(&orders, seed, 97, 130);
    let mut took = work(&orders, "workers", "ann", 60, 2);
    took.extend(work(&orders, "workers", "bob", 25, 5));
    acked.entry(("orders", "workers")).or_default().extend(took);
    let late = orders.create_group("late", Start::After(id(70))).unwrap();
    late.create_consumer("idle").unwrap();
    orders.delete([id(40), id(41), id(93), id(100)]).unwrap();
    let other = store.stream("other").unwrap();
    put(&other, seed, 1, 20);
    acked.entry(("other", "g")).or_default().extend(work(&other, "g", "c", 10, 3));
    store.step_sync().unwrap();
    store.step_prepare().unwrap();
}

fn second_life(store: &Store, seed: u64, acked: &mut Acked) {
    let orders = store.get("orders").unwrap().unwrap();
    put(&orders, seed, 130, 200);
    // Longer than a block.
    put_batch(&orders, seed, 200, 245);
    put(&orders, seed, 245, 380);
    store.step_sync().unwrap();
    store.step_prepare().unwrap();
    let took = work(&orders, "workers", "bob", 40, 3);
    acked.entry(("orders", "workers")).or_default().extend(took);
    store.step_checkpoint().unwrap();
    orders.trim(Trim::min_id(id(12))).unwrap();
    put(&orders, seed, 380, 520);
    let took = work(&orders, "late", "eve", 30, 4);
    acked.entry(("orders", "late")).or_default().extend(took);
    orders.delete([id(222), id(381), id(382), id(505)]).unwrap();
    put_batch(&orders, seed, 520, 524);
    put(&orders, seed, 524, 540);
    let other = store.get("other").unwrap().unwrap();
    put(&other, seed, 20, 45);
    other.delete([id(30)]).unwrap();
    acked.entry(("other", "g")).or_default().extend(work(&other, "g", "d", 12, 2));
    let history = other.get_group("g").unwrap().unwrap().consumer("c").unwrap();
    drop(history.history(EntryId::MIN, 2).unwrap());
    store.step_sync().unwrap();
    store.step_prepare().unwrap();
}

/// Both lives of a store: its files after each of them, what was acknowledged, what was appended.
fn lives(seed: u64) -> (Image, Image, Acked, BTreeMap<Vec<u8>, History>) {
    let disk = Arc::new(SweepDisk::new(seed));
    crate::storage::disk::Disk::create_dir(&*disk, Path::new("/store")).unwrap();
    let mut acked = Acked::new();
    let store = open(&disk, OnDamage::Refuse).unwrap();
    first_life(&store, seed, &mut acked);
    store.close().unwrap();
    let older = disk.image();
    let store = open(&disk, OnDamage::Refuse).unwrap();
    second_life(&store, seed, &mut acked);
    let streams = store.names().into_iter().map(|name| {
        let history = history(&store, seed, &name);
        (name, history)
    });
    let streams = streams.collect();
    store.close().unwrap();
    (disk.image(), older, acked, streams)
}

/// What lives, and in place of what does not what it was.
fn history(store: &Store, seed: u64, name: &[u8]) -> History {
    let stream = store.get(name).unwrap().unwrap();
    let snapshot = stream.snapshot().unwrap();
    let added = stream.info().unwrap().entries_added;
    let mut found: BTreeMap<EntryId, Vec<u8>> = BTreeMap::new();
    for entry in snapshot.range(..) {
        let entry = entry.unwrap();
        found.insert(entry.id(), entry.list().to_vec());
    }
    let mut history = History::default();
    // IDs count from 1-0 in both streams.
    for ms in 1..=added {
        if let Some(list) = found.remove(&id(ms)) {
            history.live.insert(history.entries.len());
            history.entries.push((id(ms), list));
        } else {
            history.entries.push((id(ms), dead_list(name, seed, ms)));
        }
    }
    assert!(found.is_empty(), "{found:?}");
    history
}

/// The field list of an entry that was deleted.
fn dead_list(name: &[u8], seed: u64, ms: u64) -> Vec<u8> {
    let mut list = Vec::new();
    let (number, value) = (ms.to_string(), value(seed, ms));
    let batched = name == b"orders" && [90..97, 200..245, 520..524].iter().any(|r| r.contains(&ms));
    let fields: Vec<(&[u8], &[u8])> = if batched {
        vec![(b"batch", &value)]
    } else {
        vec![(b"number", number.as_bytes()), (b"", &value)]
    };
    crate::entry::encode_fields(&mut list, fields, 10_000).unwrap();
    list
}

impl Fixture {
    pub fn new() -> Fixture {
        let (image, older, acked, mut streams) = lives(1);
        let (other, ..) = lives(1000);
        for ((stream, group), ids) in acked {
            let history = streams.get_mut(stream.as_bytes()).unwrap();
            history.acked.insert(group.as_bytes().to_vec(), ids);
        }
        let mut fixture = Fixture {
            image,
            older,
            other,
            streams,
            segments: BTreeMap::new(),
            looks: BTreeMap::new(),
        };
        fixture.map_segments();
        let disk = fixture.image.disk(7);
        let look = look::look(&fixture, &disk, How::Refuse, true).unwrap();
        assert!(look.told.is_empty() && look.opened, "{look:?}");
        for (name, stream) in &look.streams {
            let history = &fixture.streams[name];
            assert!(stream.entries.iter().eq(&history.live), "{stream:?}");
            assert!(!stream.groups.is_empty());
        }
        fixture.looks = look.streams;
        fixture
    }

    pub fn describe(&self) -> String {
        let bytes: usize = self.image.files.values().map(|file| file.len()).sum();
        let sealed = self.segments.values().filter(|map| map.footer.is_some()).count();
        let segments = self.segments.len();
        let files = self.image.files.len();
        format!("{files} files of {bytes} bytes, {segments} segments ({sealed} sealed)")
    }

    fn map_segments(&mut self) {
        let mut taken: BTreeMap<String, usize> = BTreeMap::new();
        for (path, bytes) in &self.image.files {
            let dir = path.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
            if path.extension().is_none_or(|end| end != "seg") {
                continue;
            }
            let stream = if dir == "1" { b"orders".to_vec() } else { b"other".to_vec() };
            let first = taken.entry(dir).or_default();
            let map = SegmentMap::read(stream, bytes, *first);
            *first = map.entries.end;
            self.segments.insert(path.clone(), map);
        }
        for (name, history) in &self.streams {
            let of = self.segments.values().filter(|map| map.stream == *name);
            assert_eq!(of.map(|map| map.entries.len()).sum::<usize>(), history.entries.len());
        }
        let sealed: Vec<bool> = self.segments.values().map(|map| map.footer.is_some()).collect();
        assert_eq!(sealed, [true, true, true, false, false], "the fixture has another shape");
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn varint(bytes: &[u8], at: &mut usize) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = bytes[*at];
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return value;
        }
    }
}

impl SegmentMap {
    /// Reads what `src/format/FORMAT.md` describes, of an undamaged file.
    fn read(stream: Vec<u8>, bytes: &[u8], first: usize) -> SegmentMap {
        let mut frames = Vec::new();
        let (mut at, mut entries) = (HEADER, first);
        let footer = (&bytes[bytes.len() - 12..bytes.len() - 8] == b"seal").then(|| {
            let trailer = &bytes[bytes.len() - 32..];
            u64::from_le_bytes(trailer[..8].try_into().unwrap()) as usize..bytes.len()
        });
        let end = footer.as_ref().map_or(bytes.len(), |footer| footer.start);
        while at + 13 <= end && number(bytes, at + 8) != 0 {
            let size = number(bytes, at + 8);
            let (kind, len, flags) =
                ((size >> 28) as u8, (size & 0x0fff_ffff) as usize, bytes[at + 12]);
            let begins_block = flags & 1 != 0;
            let body = at + if begins_block { 37 } else { 13 };
            let count = match kind {
                2 => 1,
                3 => {
                    let mut within = body;
                    if flags & 4 != 0 {
                        varint(bytes, &mut within);
                    }
                    assert_eq!(flags & 8, 0, "no batch of the fixture trims");
                    varint(bytes, &mut within) as usize
                }
                _ => 0,
            };
            let next = (body + len).next_multiple_of(8);
            frames.push(Frame {
                bytes: at..next,
                header: at..body,
                kind,
                begins_block,
                entries: entries..entries + count,
            });
            entries += count;
            at = next;
        }
        SegmentMap { stream, frames, footer, entries: first..entries }
    }
}
