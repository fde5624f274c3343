//! The journal on the heap: what damage to its files does, and what is left where a process ends.

use super::{Journal, Loaded, Place, Sizes, Source, load};
use crate::error::{ErrorKind, Result};
use crate::format::event::{Event, Events, StoredOptions};
use crate::format::frame::{Header, Kind};
use crate::format::header::{FILE_HEADER, FileHeader};
use crate::format::packed::Packed;
use crate::id::EntryId;
use crate::options::{OnDamage, Start, StreamOptions};
use crate::storage::disk::{Disk, OpenMode};
use crate::storage::mem::MemDisk;
use crate::storage::real::RealDisk;
use crate::store::{Store, StoreOptions};
use std::path::Path;
use std::sync::Arc;

mod ahead;
mod room;
mod told;

fn open(disk: &Arc<MemDisk>, options: &StoreOptions) -> Store {
    let disk = Arc::clone(disk) as Arc<dyn Disk>;
    Store::open_on(disk, Path::new("/store"), options).unwrap()
}

/// Changes one byte of the record that gave a consumer this name, in every journal file.
fn damage(disk: &MemDisk, name: &[u8]) {
    let mut found = 0;
    for file in ["0", "1", "2"] {
        let path = Path::new("/store/state").join(file);
        let file = disk.open(&path, OpenMode::Write).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_at(&mut bytes, 0).unwrap();
        for at in 0..bytes.len() - name.len() {
            if bytes[at..].starts_with(name) {
                file.write_at(b"!", at as u64).unwrap();
                found += 1;
            }
        }
    }
    assert_eq!(found, 1, "the record is not where it was expected");
}

/// Fails if a checkpoint forgets that the state it writes is an old one: the second opening then
/// went on with it as if nothing had happened (found by the fuzz target `journal`).
#[test]
fn a_stream_whose_state_was_lost_stays_refused_until_told_otherwise() {
    let disk = Arc::new(MemDisk::new());
    let refuse = Store::options();
    let store = open(&disk, &refuse);
    let stream = store.stream("s").unwrap();
    let group = stream.create_group("g", Start::First).unwrap();
    for name in ["anna", "berta", "carla"] {
        group.create_consumer(name).unwrap();
        // Each record tells that the one before is durable, so a bad one is no torn tail.
        store.step_sync().unwrap();
    }
    // As a killed process leaves it.
    std::mem::forget((store, stream, group));
    let disk = copy(&disk);
    damage(&disk, b"berta");
    for _ in 0..3 {
        let store = open(&disk, &refuse);
        let error = store.stream("s").unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::GroupStateLost);
        store.close().unwrap();
    }
    let skip = Store::options().on_damage(OnDamage::Skip);
    for options in [&skip, &refuse] {
        let store = open(&disk, options);
        let stream = store.stream("s").unwrap();
        assert!(stream.append([("a", "b")]).unwrap() > EntryId::MIN);
        let group = stream.get_group("g").unwrap().unwrap();
        let names: Vec<_> = group.consumers().unwrap().into_iter().map(|c| c.name).collect();
        assert_eq!(names, [b"anna"]);
        store.close().unwrap();
    }
}

/// Fails if a checkpoint ends where it finds a frame that went bad under way: the journal then
/// filled up, and in the end no stream of the store took acknowledgements any more.
#[test]
fn one_damaged_stream_keeps_no_other_from_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Store::open_on(Arc::new(RealDisk::new()), dir.path(), &Store::options()).unwrap();
    let store = open();
    let (hurt, whole) = (store.stream("hurt").unwrap(), store.stream("whole").unwrap());
    for stream in [&hurt, &whole] {
        let ids: Vec<EntryId> = (0..4).map(|_| stream.append([("a", "b")]).unwrap()).collect();
        assert_eq!(stream.delete([ids[1]]).unwrap(), 1);
    }
    store.sync().unwrap();
    let segment = dir.path().join("streams/1/0000000000.0000.seg");
    let file = RealDisk::new().open(&segment, OpenMode::Write).unwrap();
    let mut bytes = vec![0; 4096];
    file.read_at(&mut bytes, 0).unwrap();
    let entry = bytes.windows(4).position(|four| four == b"\x01a\x01b").unwrap();
    file.write_at(b"x", entry as u64 + 1).unwrap();
    store.step_checkpoint().unwrap();
    drop((hurt, whole));
    store.close().unwrap();
    let store = open();
    assert_eq!(store.stream("whole").unwrap().len().unwrap(), 3);
    let refused = store.stream("hurt").unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::GroupStateLost);
}

/// The files of a store under a new lock.
fn copy(from: &MemDisk) -> Arc<MemDisk> {
    let to = Arc::new(MemDisk::new());
    copy_dir(from, &to, Path::new("/store"));
    to
}

fn copy_dir(from: &MemDisk, to: &MemDisk, dir: &Path) {
    to.create_dir(dir).unwrap();
    for (name, kind) in from.read_dir(dir).unwrap() {
        let path = dir.join(name);
        if kind == crate::storage::disk::NameKind::Dir {
            copy_dir(from, to, &path);
            continue;
        }
        let file = from.open(&path, OpenMode::Read).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_at(&mut bytes, 0).unwrap();
        let copy = to.open(&path, OpenMode::CreateNew).unwrap();
        copy.allocate(bytes.len() as u64).unwrap();
        copy.write_at(&bytes, 0).unwrap();
    }
}

/// Streams 1 to `streams`, each dumped as what `events` says.
struct Dumped<F> {
    streams: u64,
    events: F,
}

impl<F: Fn(u64) -> Vec<Event>> Source for Dumped<F> {
    fn streams(&self) -> Vec<u64> {
        (1..=self.streams).collect()
    }

    fn dump(&self, stream: u64, covers: &mut dyn FnMut() -> u64) -> Result<Option<(u64, Events)>> {
        let covers = covers();
        Ok(Some((covers, Box::new((self.events)(stream).into_iter()))))
    }

    fn sync_streams(&self) {}
}

fn created(name: &str) -> Event {
    let options = StoredOptions::from(&StreamOptions::new());
    Event::StreamCreated { name: name.as_bytes().into(), options }
}

const STATE: Dumped<fn(u64) -> Vec<Event>> = Dumped { streams: 1, events: |_| vec![created("a")] };

fn events_of(packed: &Packed) -> Vec<Event> {
    packed.iter().collect()
}

fn trimmed(ms: u64) -> Event {
    Event::Trimmed { to: EntryId::new(ms, 0) }
}

fn append(journal: &Journal, stream: u64, event: &Event) {
    journal.append(&[(stream, std::slice::from_ref(event))], false).unwrap();
}

fn place(disk: &Arc<MemDisk>) -> Place {
    let disk = Arc::clone(disk) as Arc<dyn Disk>;
    Place { disk, dir: "/store/state".into(), uuid: [7; 16], sizes: Sizes::default() }
}

/// A journal without a store around it, and the disk that it lies on.
fn alone() -> (Arc<MemDisk>, Journal) {
    let disk = Arc::new(MemDisk::new());
    for dir in ["/store", "/store/state"] {
        disk.create_dir(Path::new(dir)).unwrap();
    }
    let nothing = Dumped { streams: 0, events: |_| Vec::new() };
    let loaded = load(&place(&disk), false).unwrap();
    let journal = Journal::start(place(&disk), &loaded, &nothing).unwrap();
    (disk, journal)
}

/// What a process finds that comes after the one that has the journal open.
fn found(disk: &MemDisk) -> Loaded {
    load(&place(&copy(disk)), false).unwrap()
}

/// Where the frames of a journal file begin, and what they are.
fn frames(disk: &MemDisk, file: &str) -> Vec<(u64, Kind)> {
    let (bytes, seed) = (bytes_of(disk, file), seed_of(disk, file));
    let mut frames = Vec::new();
    let mut at = FILE_HEADER as u64;
    while let Some(header) = Header::decode(&bytes[at as usize..], seed, at) {
        frames.push((at, header.kind));
        at += header.frame_len();
    }
    frames
}

fn seed_of(disk: &MemDisk, file: &str) -> u32 {
    FileHeader::decode(&bytes_of(disk, file)).unwrap().seed()
}

fn bytes_of(disk: &MemDisk, file: &str) -> Vec<u8> {
    let file = disk.open(&Path::new("/store/state").join(file), OpenMode::Read).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_at(&mut bytes, 0).unwrap();
    bytes
}

/// What a power cut leaves of a file whose bytes from `at` on never came to the disk.
fn never_written(disk: &MemDisk, file: &str, at: u64) {
    let len = bytes_of(disk, file).len();
    let file = disk.open(&Path::new("/store/state").join(file), OpenMode::Write).unwrap();
    file.write_at(&vec![0; len - usize::try_from(at).unwrap()], at).unwrap();
}

/// Fails if nobody is told that a checkpoint is due, or at every record from there on: who finds
/// the file full writes it himself then.
#[test]
fn the_background_is_asked_for_a_checkpoint_before_the_file_is_full() {
    let (_disk, journal) = alone();
    let short = Dumped { streams: 1, events: |_| vec![created("a")] };
    let event = created(&"x".repeat(200));
    for _ in 0..3 {
        let (mut asked, mut after) = (0, 0);
        while journal.append(&[(1, std::slice::from_ref(&event))], false).is_ok() {
            after += u32::from(asked > 0);
            asked += u32::from(journal.asks_for_care());
        }
        assert!((1..=4).contains(&asked), "asked {asked} times");
        assert!(after > 100, "asked {after} records before the end");
        // However fast they came: the files of fast ones are longer, and asked for more often.
        ahead::count(&journal, false);
        journal.maintain(&short).unwrap();
        assert!(!journal.asks_for_care());
    }
}

/// Fails if a checkpoint gets its end mark before it is clear that it leaves room for records: the
/// file that is not gone on in then hid all later records of the one that is.
#[test]
fn a_checkpoint_that_is_too_long_hides_no_record() {
    let (disk, journal) = alone();
    append(&journal, 1, &created("a"));
    // Between three quarters of the file and all of it.
    let long = |_| (0..1_100).map(|n| created(&format!("{n:0200}"))).collect();
    let refused = journal.checkpoint(&Dumped { streams: 1, events: long }).unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::StorageFull { .. }), "{refused}");
    append(&journal, 1, &trimmed(5));
    assert_eq!(events_of(&found(&disk).events[&1]), [created("a"), trimmed(5)]);
}

/// Fails if the records that a checkpoint copies are believed although it never became whole: the
/// records before them may not have reached the disk, which then looks like damage.
#[test]
fn copies_of_records_count_for_nothing_without_the_end_of_their_checkpoint() {
    let (disk, journal) = alone();
    append(&journal, 1, &created("a"));
    journal.sync().unwrap();
    append(&journal, 1, &trimmed(5));
    let dump = |_| {
        append(&journal, 1, &trimmed(6));
        vec![created("a"), trimmed(5)]
    };
    journal.checkpoint(&Dumped { streams: 1, events: dump }).unwrap();
    let (old, new) = (frames(&disk, "1"), frames(&disk, "2"));
    let kinds = |frames: &[(u64, Kind)]| frames.iter().map(|f| f.1).collect::<Vec<_>>();
    assert_eq!(kinds(&new), [Kind::Section, Kind::Events, Kind::CheckpointEnd]);
    let cut = copy(&disk);
    assert_eq!(kinds(&old)[2..], [Kind::Events, Kind::Events]);
    never_written(&cut, "1", old[2].0);
    never_written(&cut, "2", new[2].0);
    let loaded = found(&cut);
    assert_eq!(events_of(&loaded.events[&1]), [created("a")]);
    assert!(!loaded.has_lost(1) && !loaded.may_have_lost(1), "{loaded:?}");
}

/// Changes a byte of the frame at this place.
fn spoil(disk: &MemDisk, file: &str, at: u64) {
    let bytes = bytes_of(disk, file);
    let place = at + 20;
    let file = disk.open(&Path::new("/store/state").join(file), OpenMode::Write).unwrap();
    file.write_at(&[bytes[usize::try_from(place).unwrap()] ^ 1], place).unwrap();
}

fn of_kind(disk: &MemDisk, file: &str, kind: Kind) -> Vec<u64> {
    frames(disk, file).into_iter().filter(|frame| frame.1 == kind).map(|frame| frame.0).collect()
}

/// Streams 1 to 3, a checkpoint while which streams 1 and 2 change, and what follows.
fn with_copies(events: impl Fn(u64) -> Vec<Event>) -> (Arc<MemDisk>, Journal) {
    let (disk, journal) = alone();
    for stream in 1..=3 {
        append(&journal, stream, &created("x"));
    }
    let dump = |stream| {
        if stream == 3 {
            append(&journal, 1, &trimmed(4));
            append(&journal, 2, &trimmed(5));
        }
        events(stream)
    };
    journal.checkpoint(&Dumped { streams: 3, events: dump }).unwrap();
    append(&journal, 3, &trimmed(6));
    journal.sync().unwrap();
    append(&journal, 3, &trimmed(7));
    assert_eq!(of_kind(&disk, "2", Kind::Events).len(), 4);
    (disk, journal)
}

#[test]
fn a_damaged_copy_of_a_record_costs_its_stream_only_where_the_record_is_gone_too() {
    let (disk, _journal) = with_copies(|_| vec![created("x")]);
    spoil(&disk, "2", of_kind(&disk, "2", Kind::Events)[0]);
    let loaded = found(&disk);
    assert!((1..=3).all(|stream| !loaded.has_lost(stream) && !loaded.may_have_lost(stream)));
    assert_eq!(events_of(&loaded.events[&1]), [created("x"), trimmed(4)]);
    assert_eq!(events_of(&loaded.events[&3]), [created("x"), trimmed(6), trimmed(7)]);
    // The file before is no use either.
    spoil(&disk, "1", of_kind(&disk, "1", Kind::CheckpointEnd)[0]);
    let loaded = found(&disk);
    assert_eq!(loaded.report.missing, [4..=4]);
    assert!(loaded.has_lost(1));
    assert!((2..=3).all(|stream| !loaded.has_lost(stream) && !loaded.may_have_lost(stream)));
    assert_eq!(events_of(&loaded.events[&1]), [created("x")]);
    assert_eq!(events_of(&loaded.events[&2]), [created("x"), trimmed(5)]);
    assert_eq!(events_of(&loaded.events[&3]), [created("x"), trimmed(6), trimmed(7)]);
}

/// Fails if a stream is taken as whole that lacks one of its sections, or if what is left of it has
/// a group.
#[test]
fn a_part_of_a_state_is_no_state() {
    let group = |group| Event::GroupRemoved { group };
    let many = |stream| {
        let long = (0..if stream == 2 { 700 } else { 1 }).map(|_| created(&"x".repeat(200)));
        [created("x")].into_iter().chain(long).chain([group(7)]).collect()
    };
    let (disk, _journal) = with_copies(many);
    spoil(&disk, "1", of_kind(&disk, "1", Kind::CheckpointEnd)[0]);
    let sections = of_kind(&disk, "2", Kind::Section);
    assert!(sections.len() > 4);
    for (n, at) in sections[1..sections.len() - 1].iter().enumerate() {
        let disk = copy(&disk);
        spoil(&disk, "2", *at);
        let loaded = found(&disk);
        assert!(loaded.has_lost(2), "section {n}");
        assert!(!events_of(&loaded.events[&2]).contains(&group(7)));
        for stream in [1, 3] {
            assert!(!loaded.has_lost(stream) && !loaded.may_have_lost(stream));
            assert!(events_of(&loaded.events[&stream]).contains(&group(7)));
        }
    }
}

/// Fails if records take the last bytes of a file, or the clean end those for what a file is told.
#[test]
fn there_is_always_room_for_the_clean_end() {
    for len in 0..8 {
        let (disk, journal) = alone();
        let event = created(&"x".repeat(len * 5));
        let mut stream = 0;
        while journal.append(&[(stream % 500, std::slice::from_ref(&event))], false).is_ok() {
            stream += 1;
        }
        journal.sync().unwrap();
        journal.close().unwrap();
        assert_eq!(frames(&disk, "1").last().unwrap().1, Kind::Close);
        assert_eq!(found(&disk).next_record, stream + 1);
        let nothing = Dumped { streams: 0, events: |_| Vec::new() };
        let loaded = load(&place(&disk), false).unwrap();
        drop(Journal::start(place(&disk), &loaded, &nothing).unwrap());
        assert_eq!(frames(&disk, "1").last().unwrap().1, Kind::Superseded);
    }
}

/// Fails if what the file before is to be told goes into the running one, where they are the same:
/// the first checkpoint of a store never became whole.
#[test]
fn a_file_that_is_begun_anew_is_told_nothing() {
    let (disk, journal) = alone();
    drop(journal);
    never_written(&disk, "1", of_kind(&disk, "1", Kind::CheckpointEnd)[0]);
    let file = disk.open(Path::new("/store/state/1"), OpenMode::Write).unwrap();
    file.write_at(b"torn", 5000).unwrap();
    let nothing = Dumped { streams: 0, events: |_| Vec::new() };
    let loaded = load(&place(&disk), false).unwrap();
    drop(Journal::start(place(&disk), &loaded, &nothing).unwrap());
    assert_eq!(frames(&disk, "1").len(), 1);
    assert_eq!(found(&disk).report.cut, None);
}

/// Fails if a stream that was removed is taken for one that lost its last record: the streams'
/// directories that are still there would come back.
#[test]
fn a_removed_stream_is_not_missed() {
    let (disk, journal) = alone();
    for stream in 1..=3 {
        append(&journal, stream, &created("x"));
    }
    append(&journal, 2, &trimmed(4));
    journal.sync().unwrap();
    append(&journal, 2, &Event::StreamRemoved);
    append(&journal, 1, &trimmed(5));
    // The chain to its removal is broken, and the record behind that tells of it.
    let hurt = copy(&disk);
    spoil(&hurt, "1", of_kind(&hurt, "1", Kind::Events)[3]);
    let loaded = found(&hurt);
    assert_eq!(loaded.report.missing, [4..=4]);
    assert!(!loaded.has_lost(2) && loaded.removed.contains(&2));
    assert!(!loaded.events.contains_key(&2));
    // Behind a checkpoint that has nothing of it there is a list that has.
    append(&journal, 3, &Event::StreamRemoved);
    journal.checkpoint(&Dumped { streams: 1, events: |_| vec![created("x")] }).unwrap();
    for n in 0..100 {
        append(&journal, 1, &created(&"y".repeat(100 + n)));
    }
    let loaded = found(&disk);
    assert_eq!((loaded.last[&1], loaded.next_stream), (107, 4));
    assert!((1..=3).all(|stream| !loaded.has_lost(stream)));
}
