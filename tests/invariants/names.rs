//! Invariants 3 and 7 for streams as things with names: nothing is half there, and what was refused
//! is not there at all.

use super::disk::{ENOSPC, FaultDisk, LONG};
use super::ground::{DIR, JOURNAL, at_once, die, id, is_full, open, options, put, seen};
use crate::{Durability, ErrorKind, Retention, Start, Store, StreamOptions};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn names(disk: &FaultDisk) -> Vec<Vec<u8>> {
    open(disk, Durability::Manual).names()
}

/// Fails if `make_equal` (src/journal/next.rs) demands the length of the longest file of all files.
pub(crate) fn invariant_03_a_journal_of_which_one_file_grew_opens_on_a_full_disk() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..4);
    disk.fail("allocate", "/state/1$", ENOSPC);
    // Records that leave nothing behind, until the files are full and were to grow.
    let group = stream.create_group("g", Start::First).unwrap();
    let name = "n".repeat(250);
    let grown = |disk: &FaultDisk| {
        let len = |file| disk.bytes(&Path::new(DIR).join("state").join(file)).len();
        len("0") > len("1")
    };
    while !grown(&disk) {
        group.create_consumer(&name).unwrap();
        group.remove_consumer(&name).unwrap();
    }
    store.sync().unwrap();
    die(store);
    let disk = disk.image();
    disk.fail("allocate", JOURNAL, ENOSPC);
    for _ in 0..4 {
        let store = open(&disk, Durability::Manual);
        let stream = store.stream("s").unwrap();
        assert_eq!(seen(&stream), [1, 2, 3]);
        let group = stream.get_group("g").unwrap().unwrap();
        group.create_consumer(&name).unwrap();
        group.remove_consumer(&name).unwrap();
        // Nothing of an earlier turn lies behind what is in use now.
        assert_eq!(store.recovery().journal.cut, None);
        store.close().unwrap();
    }
}

/// Fails if `Shared::create` (src/store/table.rs) puts the stream into the table before its record
/// is written.
pub(crate) fn invariant_03_a_stream_for_whose_record_there_is_no_room_is_not_there() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    disk.fail("allocate", JOURNAL, ENOSPC);
    // The record is refused, and the checkpoint that was to make room for it is written.
    let full = (0..5_000).find_map(|n| store.stream(format!("{n:0250}")).err());
    assert!(is_full(full.map_or(Ok(()), Err)));
    let there = store.names();
    store.sync().unwrap();
    die(store);
    for found in [names(&disk.image()), names(&disk.power_cut())] {
        // Not printed: the names are long.
        assert!(found == there, "{} streams, not {}", found.len(), there.len());
    }
}

/// A store whose names are synced by its background thread alone.
fn with_threads(disk: &FaultDisk) -> Store {
    let every = Duration::from_millis(5);
    let level = Durability::Interval { every, max_unsynced_bytes: 1 << 20 };
    options(level).start(Arc::new(disk.clone()), Path::new(DIR), true).unwrap()
}

/// Fails if `Shared::change_names` (src/store/table.rs) does not wake the thread that syncs.
pub(crate) fn invariant_07_names_are_durable_after_the_interval() {
    type Change = fn(&Store);
    let changes: [(Change, &[&[u8]]); 4] = [
        (|store| drop(store.stream("b").unwrap()), &[b"a", b"b"]),
        (|store| store.rename("a", "c").unwrap(), &[b"b", b"c"]),
        (|store| assert!(store.copy("b", "d", false).unwrap()), &[b"b", b"c", b"d"]),
        (|store| assert!(store.remove("b").unwrap()), &[b"c", b"d"]),
    ];
    let disk = FaultDisk::new();
    let store = with_threads(&disk);
    store.stream("a").unwrap();
    store.sync().unwrap();
    for (change, then) in changes {
        change(&store);
        let start = Instant::now();
        while names(&disk.power_cut()) != then {
            assert!(start.elapsed() < LONG, "never synced: {:?}", store.names());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A stream of some segments, on disk.
fn source(disk: &FaultDisk) -> Store {
    let store = open(disk, Durability::Manual);
    let stream = store.stream("from").unwrap();
    put(&stream, 1..300);
    stream.create_group("g", Start::First).unwrap();
    store.sync().unwrap();
    store
}

const COPY: &str = "/streams/2/";

fn copied(disk: &FaultDisk) -> bool {
    let store = open(disk, Durability::Manual);
    // Whatever became of the copy, its directory is a stream or goes at the open.
    let dirs = disk.list(&Path::new(DIR).join("streams")).len();
    assert_eq!(dirs, store.names().len());
    let Some(copy) = store.get("to").unwrap() else {
        return false;
    };
    assert_eq!(seen(&copy), (1..300).collect::<Vec<_>>());
    assert_eq!(copy.groups().unwrap().len(), 1);
    true
}

/// Fails if `copy_to` (src/stream/copy.rs) does not mark the directory, or if `stream_name`
/// (src/store/adopt.rs) does not look for the mark.
pub(crate) fn invariant_07_a_copy_is_whole_or_not_there() {
    // Every call of a whole copy, by its number among those with the same name.
    let calls = {
        let disk = FaultDisk::new();
        let store = source(&disk);
        disk.take_calls();
        assert!(store.copy("from", "to", false).unwrap());
        assert!(copied(&disk.power_cut()), "a copy is on disk when it returns");
        disk.take_calls()
    };
    assert!(calls.iter().filter(|call| call.contains(COPY)).count() > 5, "{calls:?}");
    for (n, call) in calls.iter().enumerate() {
        let disk = FaultDisk::new();
        let store = source(&disk);
        disk.take_calls();
        disk.hold_after(n);
        let copying = std::thread::spawn({
            let store = store.clone();
            move || store.copy("from", "to", false)
        });
        disk.wait_held();
        let (killed, cut) = (disk.image(), disk.power_cut());
        disk.let_go();
        assert!(copying.join().unwrap().unwrap());
        die(store);
        // Twice: what is left of it must not be taken for a stream later either.
        assert_eq!(copied(&killed), copied(&killed), "killed in {call}");
        assert_eq!(copied(&cut), copied(&cut), "cut in {call}");
    }
}

/// Fails if `Store::copy` (src/store/manage.rs) leaves the directory of a copy that failed.
pub(crate) fn invariant_07_a_copy_that_failed_leaves_nothing() {
    let disk = FaultDisk::new();
    let store = source(&disk);
    disk.fail("allocate", COPY, ENOSPC);
    assert!(is_full(store.copy("from", "to", false)));
    assert_eq!(disk.list(&Path::new(DIR).join("streams")).len(), 1);
    assert!(!store.exists("to"));
    disk.heal();
    die(store);
    assert!(!copied(&disk.image()));
    let store = open(&disk.image(), Durability::Manual);
    assert!(store.copy("from", "to", false).unwrap());
    put(&store.stream("to").unwrap(), [300]);
    assert_eq!(store.stream("from").unwrap().info().unwrap().last_id, id(299));
}

/// Fails if `StreamInner::open` (src/stream/recovery.rs) takes the mark off a copy whose record is
/// not durable yet.
pub(crate) fn invariant_07_a_copy_that_is_used_at_once_is_whole_or_not_there() {
    let disk = FaultDisk::new();
    let store = source(&disk);
    disk.hold("sync", JOURNAL);
    let copying = std::thread::spawn({
        let store = store.clone();
        move || store.copy("from", "to", false)
    });
    disk.wait_held();
    let using = std::thread::spawn({
        let store = store.clone();
        move || drop(store.get("to").unwrap().unwrap())
    });
    std::thread::sleep(Duration::from_millis(50));
    assert!(!copied(&disk.power_cut()));
    disk.let_go();
    assert!(copying.join().unwrap().unwrap());
    using.join().unwrap();
    assert!(copied(&disk.power_cut()));
}

/// Fails if `StreamInner::lock_state` (src/stream.rs) does not ask whether the stream was removed,
/// and if `Combine::apply_part` (src/journal/combine.rs) does not ask either: then a stream without
/// a name is there.
pub(crate) fn invariant_07_nothing_is_recorded_of_a_stream_behind_its_removal() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Always);
    // Of a level at which its own changes wait for nothing.
    let level = StreamOptions::new().durability(Durability::Manual);
    let stream = store.stream_with("s", level).unwrap();
    put(&stream, [1]);
    store.sync().unwrap();
    disk.hold("sync", JOURNAL);
    let remover = {
        let store = store.clone();
        std::thread::spawn(move || store.remove("s"))
    };
    disk.wait_held();
    let late = at_once("a change", move || stream.set_retention(Retention::new().max_len(1)));
    let refused = late.is_err_and(|e| matches!(e.kind(), ErrorKind::NoStream { .. }));
    disk.let_go();
    assert!(remover.join().unwrap().unwrap());
    die(store);
    for image in [disk.image(), disk.power_cut()] {
        let store = open(&image, Durability::Manual);
        store.recover_all().unwrap();
        assert_eq!(store.names(), [[0u8; 0]; 0]);
    }
    assert!(refused);
}
