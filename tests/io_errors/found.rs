//! What the cases found in the engine, one by one: each of these failed on the code of its time.

use crate::disk::FaultDisk;
use crate::ground::{at_once, deliver, die, error, is_poisoned, open, put, seen, segment, try_put};
use crate::table::{EBADF, EINTR, EIO, EMFILE, ENODEV, ENOMEM, ENOSPC, ESTALE};
use crate::{Durability, EntryId, ErrorKind, ReadOptions, Result, Start, Store, Stream};
use std::path::Path;
use std::time::Duration;

/// The tests by name.
pub(crate) const TESTS: &[(&str, fn())] = &[
    ("an_interrupted_call_is_made_again", an_interrupted_call_is_made_again),
    ("a_lost_file_system_stops_the_store", a_lost_file_system_stops_the_store),
    ("a_stream_opened_in_a_stopped_store_is_stopped", opened_in_a_stopped_store),
    ("a_directory_that_cannot_be_opened_is_no_failed_sync", no_descriptor_for_a_directory),
    ("what_fails_half_way_leaves_no_file_behind", what_fails_half_way_leaves_no_file_behind),
    ("a_blocked_read_ends_when_its_stream_is_stopped", a_blocked_read_ends),
    ("records_go_to_no_file_that_has_grown_behind_its_map", grown_behind_its_map),
    ("a_copy_that_waits_for_room_in_the_journal_is_whole", a_copy_that_waits_for_room),
    ("a_stream_that_is_removed_while_it_is_opened_is_made_anew", removed_while_it_is_opened),
];

/// A store with a stream that has entries, all of it on disk.
fn some(disk: &FaultDisk) -> (Store, Stream) {
    let store = open(disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..80);
    stream.create_group("g", Start::First).unwrap();
    store.sync().unwrap();
    (store, stream)
}

fn files(disk: &FaultDisk, dir: &str) -> Vec<std::path::PathBuf> {
    disk.list(Path::new(dir))
}

/// Fails if `Loss::call` (src/storage/watched.rs) passes an interruption on.
fn an_interrupted_call_is_made_again() {
    for call in ["create", "allocate", "sync", "rename", "sync_dir", "map"] {
        let disk = FaultDisk::new();
        let (store, stream) = some(&disk);
        // The first one behind a sync is written by a call that the others do not make.
        put(&stream, [99]);
        disk.count(None);
        put(&stream, 100..180);
        let at = disk.take_every().iter().position(|(made, _)| *made == call).unwrap();
        disk.count(Some(crate::disk::Fault { at, errno: EINTR, times: 2, after: false }));
        put(&stream, 200..280);
        assert_eq!(disk.hits().len(), 2, "{call}");
        store.sync().unwrap();
    }
}

/// Fails if `Shared::check_open` (src/store.rs) does not ask for the loss, or `Loss::call` keeps
/// none.
fn a_lost_file_system_stops_the_store() {
    let cases = [("open", ESTALE), ("map", EBADF), ("create", ENODEV), ("rename", ESTALE)];
    for (call, errno) in cases {
        let disk = FaultDisk::new();
        let (store, stream) = some(&disk);
        store.close().unwrap();
        drop(stream);
        let disk = disk.image();
        let store = open(&disk, Durability::Manual);
        let other = store.stream("other").unwrap();
        put(&other, [1]);
        disk.fail(call, "", errno);
        let failed = match call {
            "open" | "map" => store.stream("s").err(),
            _ => (100..300).find_map(|ms| try_put(&other, ms).err()),
        };
        let failed = failed.unwrap();
        assert!(matches!(failed.kind(), ErrorKind::Io { .. }), "{call}: {failed}");
        disk.heal();
        assert!(is_poisoned(try_put(&other, 2)), "{call}");
        assert!(is_poisoned(store.sync()), "{call}");
        assert!(store.health().poisoned.unwrap().contains(&format!("os error {errno}")));
        // What can be read is read.
        assert_eq!(seen(&other)[0], 1);
    }
}

/// Fails if `StreamInner::log` (src/stream/recovery.rs) does not ask whether the store is stopped.
fn opened_in_a_stopped_store() {
    let disk = FaultDisk::new();
    let (store, stream) = some(&disk);
    store.close().unwrap();
    drop(stream);
    let disk = disk.image();
    let store = open(&disk, Durability::Manual);
    disk.fail("sync", "/state/", 5);
    assert!(store.step_checkpoint().is_err());
    disk.heal();
    let stream = store.get("s").unwrap().unwrap();
    assert!(is_poisoned(try_put(&stream, 100)));
    assert!(is_poisoned(stream.sync()));
    assert_eq!(seen(&stream).len(), 79);
}

/// Fails if `Error::io` (src/error.rs) takes every error of a directory's sync for a failed sync.
fn no_descriptor_for_a_directory() {
    let disk = FaultDisk::new();
    let (store, stream) = some(&disk);
    disk.fail("sync_dir", "", EMFILE);
    let failed = (100..300).find_map(|ms| try_put(&stream, ms).err()).unwrap();
    assert_eq!(*failed.kind(), ErrorKind::TooManyFiles);
    assert_eq!(*error(store.stream("new")).kind(), ErrorKind::TooManyFiles);
    let last = *seen(&stream).last().unwrap();
    disk.heal();
    put(&stream, last + 1..last + 100);
    put(&store.stream("new").unwrap(), [1]);
    store.sync().unwrap();
    assert_eq!(store.health().poisoned, None);
}

/// Fails if `Prepared::new` (src/storage/log/begin.rs), `segment::create`, `Shared::create`
/// (src/store/table.rs), `StreamInner::make_home` or `Store::copy` gives its error and no more.
fn what_fails_half_way_leaves_no_file_behind() {
    for (call, errno) in [("map", ENOMEM), ("sync_dir", EMFILE), ("create", ENOSPC)] {
        let disk = FaultDisk::new();
        let (_store, stream) = some(&disk);
        let before = files(&disk, "/store/streams/1");
        disk.fail(call, "/streams/", errno);
        let failed = (100..300).find_map(|ms| try_put(&stream, ms).err()).unwrap();
        assert!(failed.is_retryable(), "{call}: {failed}");
        assert_eq!(files(&disk, "/store/streams/1"), before, "{call}");
    }
    for (call, path, errno) in [
        ("sync_dir", "/streams$", EMFILE),
        ("map", "/streams/", ENOMEM),
        ("create", "/streams/", ENOSPC),
        ("read_dir", "/streams/2", EMFILE),
    ] {
        let disk = FaultDisk::new();
        let (store, stream) = some(&disk);
        disk.fail(call, path, errno);
        if let Ok(new) = store.stream("new") {
            assert!(try_put(&new, 1).is_err_and(|error| error.is_retryable()), "{call}");
            assert!(store.remove("new").unwrap());
        }
        disk.heal();
        let before = files(&disk, "/store/streams");
        disk.fail(call, path.trim_end_matches('2'), errno);
        assert!(error(store.copy("s", "copy", false)).is_retryable(), "{call}");
        assert_eq!(files(&disk, "/store/streams"), before, "{call}");
        disk.heal();
        assert_eq!(seen(&stream).len(), 79);
        assert!(store.copy("s", "copy", false).unwrap());
    }
}

/// Fails if `wait::read` (src/wait.rs) goes to sleep again without a look at the stream's poison.
fn a_blocked_read_ends() {
    let disk = FaultDisk::new();
    let (_store, stream) = some(&disk);
    let reader = {
        let stream = stream.clone();
        std::thread::spawn(move || stream.read(Start::Last, ReadOptions::new().block_forever()))
    };
    std::thread::sleep(Duration::from_millis(50));
    put(&stream, [100]);
    // The reader got that one, or came too late for it and waits.
    let first = stream.read(Start::Last, ReadOptions::new()).unwrap();
    assert!(first.is_empty());
    drop(reader);
    let waiting = {
        let stream = stream.clone();
        let after = Start::After(EntryId::new(1_000, 0));
        std::thread::spawn(move || stream.read(after, ReadOptions::new().block_forever()))
    };
    std::thread::sleep(Duration::from_millis(50));
    disk.fail("sync", "/streams/1/", 5);
    assert!(stream.sync().is_err());
    let ended = at_once("a blocked read of a stopped stream", move || waiting.join().unwrap());
    assert!(is_poisoned(ended));
    // It still says what there is, and does not wait for what cannot come.
    assert_eq!(seen(&stream).len(), 80);
    let again = stream.read(Start::Last, ReadOptions::new().block_forever());
    assert!(is_poisoned(again));
}

fn fill(group: &crate::Group, names: std::ops::Range<u32>) -> Result<()> {
    for n in names {
        let name = format!("{n:0>240}");
        group.create_consumer(&name)?;
        group.remove_consumer(&name)?;
    }
    Ok(())
}

/// Fails if `Journal::grow` (src/journal/checkpoint.rs) lets records go on into the old map after
/// the file has grown and could not be mapped anew.
fn grown_behind_its_map() {
    for call in ["map", "allocate"] {
        let disk = FaultDisk::new();
        let (store, stream) = some(&disk);
        let group = stream.get_group("g").unwrap().unwrap();
        disk.fail(call, "/state/", if call == "map" { ENOMEM } else { ENOSPC });
        let filled = fill(&group, 0..1_100);
        assert!(filled.is_ok_and(|()| call == "allocate") || call == "map");
        // What is answered with Ok now has to be there later.
        let made = stream.create_group("late", Start::First).is_ok();
        disk.heal();
        let acked = deliver(&stream, "g").unwrap().len();
        store.sync().unwrap();
        die(store);
        let store = open(&disk.image(), Durability::Manual);
        let stream = store.stream("s").unwrap();
        assert_eq!(stream.get_group("late").unwrap().is_some(), made, "{call}");
        let group = stream.get_group("g").unwrap().unwrap();
        assert_eq!(group.pending().unwrap().count, acked as u64, "{call}");
    }
}

/// Fails if `Store::copy` (src/store/manage.rs) gives the contents of the record away with the
/// first attempt to write it.
fn a_copy_that_waits_for_room() {
    let disk = FaultDisk::new();
    let (store, stream) = some(&disk);
    // Groups with long names, so that the record of a copy is long and finds no room many times.
    for n in 0..40 {
        stream.create_group(format!("{n:0>250}"), Start::First).unwrap();
    }
    let group = stream.get_group("g").unwrap().unwrap();
    for n in 0..60 {
        fill(&group, n * 20..n * 20 + 20).unwrap();
        let name = format!("copy {n}");
        assert!(store.copy("s", &name, false).unwrap());
        assert!(store.exists(&name), "{name} is not there");
        let copy = store.get(&name).unwrap().unwrap();
        assert_eq!((seen(&copy).len(), copy.groups().unwrap().len()), (79, 41), "{name}");
        assert!(store.remove(&name).unwrap());
    }
    assert_eq!(files(&disk, "/store/streams"), [segment(1, 0).parent().unwrap()]);
}

/// Fails if `Store::open_or_make` or `Store::get` (src/store/manage.rs) gives the error of a stream
/// that is no more.
fn removed_while_it_is_opened() {
    let disk = FaultDisk::new();
    let (store, stream) = some(&disk);
    // What is not known to be on disk is synced when the stream is opened again.
    put(&stream, [100]);
    die(store);
    for make in [true, false] {
        let disk = disk.image();
        let store = open(&disk, Durability::Manual);
        disk.fail("sync", "/streams/1/", EIO);
        disk.hold("sync", "/streams/1/");
        let opening = std::thread::spawn({
            let store = store.clone();
            move || if make { store.stream("s").map(Some) } else { store.get("s") }
        });
        disk.wait_held();
        at_once("the removal", {
            let store = store.clone();
            move || assert!(store.remove("s").unwrap())
        });
        disk.let_go();
        let found = opening.join().unwrap().unwrap();
        assert_eq!(found.map(|new| seen(&new)), make.then(Vec::new));
        assert_eq!(store.names().len(), usize::from(make));
    }
}
