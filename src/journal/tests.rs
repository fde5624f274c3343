//! The journal as a store uses it, on the heap: what damage to its files does.

use crate::error::ErrorKind;
use crate::format::event::Event;
use crate::id::EntryId;
use crate::options::{OnDamage, Start};
use crate::storage::disk::{Disk, OpenMode};
use crate::storage::mem::MemDisk;
use crate::storage::real::RealDisk;
use crate::store::{Store, StoreOptions};
use std::path::Path;
use std::sync::Arc;

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

/// As many consumers as are wanted at the moment, of one group of stream 1.
struct Many(std::sync::atomic::AtomicU32);

impl super::Source for Many {
    fn streams(&self) -> Vec<u64> {
        vec![1]
    }

    fn dump(
        &self,
        _stream: u64,
        covers: &mut dyn FnMut() -> u64,
    ) -> crate::error::Result<Option<(u64, Vec<Event>)>> {
        let many = self.0.load(std::sync::atomic::Ordering::Relaxed);
        let covers = covers();
        Ok(Some((covers, (0..many).map(created).collect())))
    }

    fn sync_streams(&self) {}
}

fn created(consumer: u32) -> Event {
    let name = format!("{consumer:0200}").into_bytes().into();
    Event::ConsumerCreated { group: 0, consumer, name, seen_ms: 0, active_ms: None }
}

/// Fails if a checkpoint gets its end mark before it is clear that it leaves room for records: the
/// file that is not gone on in then hid all later records of the one that is.
#[test]
fn a_checkpoint_that_is_too_long_hides_no_record() {
    let disk = Arc::new(MemDisk::new());
    for dir in ["/store", "/store/state"] {
        disk.create_dir(Path::new(dir)).unwrap();
    }
    let dir = Path::new("/store/state").to_owned();
    let place = super::Place { disk: Arc::clone(&disk) as Arc<dyn Disk>, dir, uuid: [7; 16] };
    let loaded = super::load(&place, false).unwrap();
    let source = Many(1.into());
    let journal = super::Journal::start(place.clone(), &loaded, &source).unwrap();
    assert!(journal.append(&[(1, &[created(1)])], true).is_ok());
    // Between three quarters of the file and all of it.
    source.0.store(1_100, std::sync::atomic::Ordering::Relaxed);
    let refused = journal.checkpoint(&source).unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::StorageFull { .. }), "{refused}");
    assert!(journal.append(&[(1, &[created(2)])], true).is_ok());
    drop(journal);
    let loaded = super::load(&place, false).unwrap();
    assert_eq!(loaded.events[&1], [created(0), created(1), created(2)]);
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
