//! Invariants 2, 3, 5, 6, 7, 8, 10 and 11 against a disk that misbehaves on command.

use crate::faulty::{FaultyDisk, Plan};
use crate::format::u64_at;
use crate::journal::Source;
use crate::storage::disk::{Disk, OpenMode};
use crate::{
    AppendOptions, Durability, EntryId, ErrorKind, GroupReadOptions, OnDamage, Result, Start,
    Store, StoreOptions, Stream, StreamOptions, Trim,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread::spawn;
use std::time::Duration;

/// The tests by name.
pub const TESTS: &[(&str, fn())] = &[
    (
        "invariant_02_nobody_reads_what_a_power_cut_can_undo",
        invariant_02_nobody_reads_what_a_power_cut_can_undo,
    ),
    (
        "invariant_03_a_full_disk_changes_nothing_and_poisons_nothing",
        invariant_03_a_full_disk_changes_nothing_and_poisons_nothing,
    ),
    (
        "invariant_04_what_a_journal_file_is_told_is_durable_soon",
        invariant_04_what_a_journal_file_is_told_is_durable_soon,
    ),
    (
        "invariant_05_a_failed_sync_of_a_segment_stops_its_stream_only",
        invariant_05_a_failed_sync_of_a_segment_stops_its_stream_only,
    ),
    (
        "invariant_05_a_failed_sync_of_the_journal_stops_the_store",
        invariant_05_a_failed_sync_of_the_journal_stops_the_store,
    ),
    (
        "invariant_06_segments_are_synced_before_the_journal",
        invariant_06_segments_are_synced_before_the_journal,
    ),
    (
        "invariant_07_under_always_what_returned_is_synced",
        invariant_07_under_always_what_returned_is_synced,
    ),
    (
        "invariant_07_no_checkpoint_covers_a_change_that_is_not_in_it",
        invariant_07_no_checkpoint_covers_a_change_that_is_not_in_it,
    ),
    (
        "invariant_08_the_new_start_is_durable_before_a_segment_goes",
        invariant_08_the_new_start_is_durable_before_a_segment_goes,
    ),
    (
        "invariant_08_a_segment_goes_for_no_damage_that_was_just_met",
        invariant_08_a_segment_goes_for_no_damage_that_was_just_met,
    ),
    ("invariant_10_no_lock_is_held_over_a_sync", invariant_10_no_lock_is_held_over_a_sync),
    ("invariant_11_a_roll_waits_for_no_sync", invariant_11_a_roll_waits_for_no_sync),
];

fn open_with(level: Durability) -> (Arc<Plan>, Store) {
    let disk = Arc::new(FaultyDisk::new());
    let plan = Arc::clone(&disk.plan);
    let store = Store::open_on(disk, Path::new("/store"), &options(level)).unwrap();
    (plan, store)
}

fn options(level: Durability) -> StoreOptions {
    let stream = StreamOptions::new().segment_bytes(4096).max_entry_bytes(1000);
    Store::options().durability(level).stream_defaults(stream)
}

fn put(stream: &Stream, ms: u64) -> Result<EntryId> {
    let options = AppendOptions::new().id(EntryId::new(ms, 0));
    stream.append_with([("value", "x".repeat(100))], options)
}

fn ids(stream: &Stream) -> Vec<u64> {
    stream.range(..).map(|entry| entry.unwrap().id().ms).collect()
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("the call succeeded"),
        Err(error) => error.kind().clone(),
    }
}

/// Runs calls that must not wait for what is held; says so instead of hanging.
fn without_waiting(plan: &Plan, calls: impl FnOnce() + Send + 'static) {
    let (done, finished) = channel();
    let thread = spawn(move || {
        calls();
        done.send(()).unwrap();
    });
    let result = finished.recv_timeout(Duration::from_secs(20));
    // The others go on before this test fails, so that nothing hangs behind it.
    if result.is_err() {
        plan.hold(None);
    }
    let ended = thread.join();
    assert!(result.is_ok() && ended.is_ok(), "a call waited for the sync");
}

const SEGMENT: &str = ".seg";
const STATE: &str = "/state/";

/// Fails if `Writer::finish` publishes at once under `Always` as under the other levels.
fn invariant_02_nobody_reads_what_a_power_cut_can_undo() {
    let (plan, store) = open_with(Durability::Always);
    let stream = store.stream("s").unwrap();
    let group = stream.create_group("g", Start::First).unwrap();
    put(&stream, 1).unwrap();
    plan.hold(Some(SEGMENT));
    let writer = {
        let stream = stream.clone();
        spawn(move || put(&stream, 2).unwrap())
    };
    plan.until_held();
    let seen = (
        ids(&stream),
        stream.len().unwrap(),
        stream.get(EntryId::new(2, 0)).unwrap(),
        stream.durable_id().unwrap(),
        group.consumer("c").unwrap().read(GroupReadOptions::new()),
    );
    plan.hold(None);
    writer.join().unwrap();
    assert_eq!((seen.0, seen.1, seen.2), (vec![1], 1, None));
    assert_eq!(seen.3, EntryId::new(1, 0));
    assert_eq!(seen.4.unwrap().len(), 1);
    assert_eq!(ids(&stream), [1, 2]);
}

/// Fails if `Log::poison_if_sync` poisons for any error and not for failed syncs alone.
fn invariant_03_a_full_disk_changes_nothing_and_poisons_nothing() {
    let (plan, store) = open_with(Durability::Manual);
    let stream = store.stream("s").unwrap();
    let group = stream.create_group("g", Start::First).unwrap();
    let consumer = group.consumer("c").unwrap();
    for ms in 1..=5 {
        put(&stream, ms).unwrap();
    }
    drop(consumer.read(GroupReadOptions::new().count(3)).unwrap());
    plan.full(true);
    let mut last = 5;
    let refused = loop {
        match put(&stream, last + 1) {
            Ok(_) => last += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused.kind(), ErrorKind::StorageFull { .. }));
    assert!(refused.is_retryable() && !refused.is_indeterminate());
    drop(store.step_prepare());
    assert_eq!(ids(&stream), (1..=last).collect::<Vec<_>>());
    assert!(matches!(kind(put(&stream, last + 1)), ErrorKind::StorageFull { .. }));
    let health = store.health();
    assert_eq!((health.poisoned, health.poisoned_streams.len()), (None, 0));
    // The journal fills up with what makes the state grow.
    let refused = loop {
        let name = format!("{:0>200}", stream.groups().unwrap().len());
        if let Err(error) = stream.create_group(&name, Start::First) {
            break error;
        }
    };
    assert!(matches!(refused.kind(), ErrorKind::StorageFull { .. }));
    for n in 0u64.. {
        if group.create_consumer(n.to_string()).is_err() {
            break;
        }
    }
    let before = (group.info().unwrap(), group.pending().unwrap());
    let refused = consumer.read(GroupReadOptions::new());
    assert!(matches!(kind(refused), ErrorKind::StorageFull { .. }));
    assert_eq!((group.info().unwrap(), group.pending().unwrap()), before);
    assert_eq!(before.1.count, 3);
    // What shrinks the state works.
    assert_eq!(group.ack([EntryId::new(1, 0)]).unwrap(), 1);
    assert_eq!(stream.trim(Trim::max_len(last - 1)).unwrap(), 1);
    store.sync().unwrap();
    assert_eq!(ids(&stream), (2..=last).collect::<Vec<_>>());
    plan.full(false);
    put(&stream, last + 1).unwrap();
    stream.create_group("after", Start::First).unwrap();
    store.sync().unwrap();
    store.close().unwrap();
}

/// A journal file that has been left is told so once the next one is on disk. Until that is on disk
/// too, damage of the next one's beginning passes for a torn one.
///
/// Fails if the background does not sync it, and if the close does not.
fn invariant_04_what_a_journal_file_is_told_is_durable_soon() {
    let (plan, store) = open_with(Durability::Manual);
    store.stream("s").unwrap();
    store.step_checkpoint().unwrap();
    plan.take_log();
    store.step_prepare().unwrap();
    assert_eq!(plan.take_log(), ["sync /store/state/1"]);
    store.step_prepare().unwrap();
    assert_eq!(plan.take_log(), [""; 0]);
    store.step_checkpoint().unwrap();
    plan.take_log();
    store.close().unwrap();
    let log = plan.take_log();
    assert!(position(&log, "sync", "/state/2").is_some(), "{log:?}");
}

/// Fails if the guard of `Commit::lead` does not keep the error of a failed sync as the poison.
fn invariant_05_a_failed_sync_of_a_segment_stops_its_stream_only() {
    let (plan, store) = open_with(Durability::Manual);
    let (bad, good) = (store.stream("bad").unwrap(), store.stream("good").unwrap());
    let group = bad.create_group("g", Start::First).unwrap();
    let consumer = group.consumer("c").unwrap();
    put(&bad, 1).unwrap();
    store.sync().unwrap();
    put(&bad, 2).unwrap();
    drop(consumer.read(GroupReadOptions::new()).unwrap());
    plan.fail(Some(SEGMENT));
    let first = bad.sync().unwrap_err().to_string();
    plan.fail(None);
    let poisoned = |result: Result<()>| {
        let ErrorKind::Poisoned { cause } = kind(result) else {
            panic!("not poisoned");
        };
        assert!(cause.contains("cannot sync") && cause.contains(SEGMENT), "{cause}");
        assert!(first.contains("cannot sync"), "{first}");
    };
    // The disk is well again, and the first cause is kept all the same.
    poisoned(bad.sync().map(drop));
    poisoned(put(&bad, 3).map(drop));
    poisoned(bad.wait_durable(EntryId::new(2, 0)));
    poisoned(group.ack([EntryId::new(1, 0)]).map(drop));
    poisoned(bad.create_group("h", Start::First).map(drop));
    poisoned(bad.delete([EntryId::new(1, 0)]).map(drop));
    poisoned(consumer.read(GroupReadOptions::new()).map(drop));
    // Reads and other streams go on.
    assert_eq!(ids(&bad), [1, 2]);
    assert_eq!(group.pending().unwrap().count, 2);
    put(&good, 1).unwrap();
    good.create_group("g", Start::First).unwrap();
    assert_eq!(good.sync().unwrap(), EntryId::new(1, 0));
    let health = store.health();
    assert_eq!(health.poisoned, None);
    assert_eq!(health.poisoned_streams.len(), 1);
    assert_eq!(health.poisoned_streams[0].0, b"bad");
}

/// Fails with the same change.
fn invariant_05_a_failed_sync_of_the_journal_stops_the_store() {
    let (plan, store) = open_with(Durability::Manual);
    let stream = store.stream("s").unwrap();
    let group = stream.create_group("g", Start::First).unwrap();
    put(&stream, 1).unwrap();
    plan.fail(Some(STATE));
    assert!(store.sync().is_err());
    plan.fail(None);
    assert!(matches!(kind(store.sync()), ErrorKind::Poisoned { .. }));
    let refused = group.ack([EntryId::new(1, 0)]).map(drop);
    // Nothing to acknowledge is no change; a new group is one.
    assert!(refused.is_ok() || matches!(kind(refused), ErrorKind::Poisoned { .. }));
    assert!(matches!(kind(stream.create_group("h", Start::First)), ErrorKind::Poisoned { .. }));
    assert!(matches!(kind(store.stream("new")), ErrorKind::Poisoned { .. }));
    assert!(store.health().poisoned.is_some());
    assert_eq!(ids(&stream), [1]);
}

fn position(log: &[String], what: &str, part: &str) -> Option<usize> {
    log.iter().position(|line| line.starts_with(what) && line.contains(part))
}

/// Fails if `Shared::sync_journal` does not flush the streams first.
fn invariant_06_segments_are_synced_before_the_journal() {
    let (plan, store) = open_with(Durability::Always);
    store.stream("other").unwrap();
    let lax = StreamOptions::new().durability(Durability::Manual);
    let stream = store.stream_with("s", lax).unwrap();
    let group = stream.create_group("g", Start::First).unwrap();
    for ms in 1..=5 {
        put(&stream, ms).unwrap();
    }
    let consumer = group.consumer("c").unwrap();
    drop(consumer.read(GroupReadOptions::new()).unwrap());
    plan.take_log();
    // Another stream's business: its record lies behind the delivery in the journal.
    store.rename("other", "another").unwrap();
    let log = plan.take_log();
    let segment = position(&log, "sync", SEGMENT).expect("no segment was synced");
    let state = position(&log, "sync", STATE).expect("no journal was synced");
    assert!(segment < state, "{log:?}");
    assert_eq!(stream.durable_id().unwrap(), EntryId::new(5, 0));
}

/// Fails if `StreamInner::settle` does not wait under `Always`.
fn invariant_07_under_always_what_returned_is_synced() {
    let (plan, store) = open_with(Durability::Always);
    let synced = |what: &str, part: &str| {
        let log = plan.take_log();
        assert!(position(&log, "sync", part).is_some(), "{what}: {log:?}");
    };
    let stream = store.stream("s").unwrap();
    synced("creating a stream", STATE);
    for ms in 1..=9 {
        put(&stream, ms).unwrap();
        synced("append", SEGMENT);
    }
    let group = stream.create_group("g", Start::First).unwrap();
    synced("creating a group", STATE);
    assert!(group.create_consumer("c").unwrap());
    synced("creating a consumer", STATE);
    let consumer = group.consumer("c").unwrap();
    drop(consumer.read(GroupReadOptions::new()).unwrap());
    plan.take_log();
    assert_eq!(group.ack([EntryId::new(1, 0)]).unwrap(), 1);
    synced("ack", STATE);
    group.set_id(Start::First).unwrap();
    synced("set id", STATE);
    assert_eq!(stream.delete([EntryId::new(2, 0)]).unwrap(), 1);
    synced("delete", STATE);
    assert_eq!(stream.trim(Trim::max_len(5)).unwrap(), 3);
    synced("trim", STATE);
    stream.set_id(EntryId::new(20, 0), None, None).unwrap();
    synced("set the last ID", STATE);
    assert_eq!(group.remove_consumer("c").unwrap(), 8);
    synced("removing a consumer", STATE);
    assert!(stream.remove_group("g").unwrap());
    synced("removing a group", STATE);
    store.rename("s", "t").unwrap();
    synced("rename", STATE);
    assert!(store.copy("t", "u", false).unwrap());
    synced("copy", STATE);
    assert!(store.remove("t").unwrap());
    synced("remove", STATE);
}

/// A checkpoint asks for the last record of a stream and copies the stream's state: whoever changes
/// both keeps it from doing so in between.
///
/// Fails if `Stream::trim` takes the lock on the state only to apply what it has recorded, and if a
/// checkpoint copies a state without the lock on the names.
fn invariant_07_no_checkpoint_covers_a_change_that_is_not_in_it() {
    let (plan, store) = open_with(Durability::Manual);
    let stream = store.stream("s").unwrap();
    for ms in 1..=20 {
        put(&stream, ms).unwrap();
    }
    let looked = Arc::new(AtomicUsize::new(0));
    let (state, seen) = (Arc::clone(stream.inner()), Arc::clone(&looked));
    plan.at_step("record stored", move || {
        assert!(state.state.try_lock().is_none(), "the state is free");
        seen.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(stream.trim(Trim::max_len(10)).unwrap(), 10);
    stream.delete([EntryId::new(15, 0)]).unwrap();
    stream.create_group("g", Start::First).unwrap();
    stream.set_id(EntryId::new(30, 0), None, None).unwrap();
    assert_eq!(looked.load(Ordering::Relaxed), 4);
    let shared = store.shared();
    let mut covers = || {
        assert!(shared.names.try_write().is_none(), "the names are free");
        7
    };
    let dumped = shared.dump(stream.inner().number, &mut covers).unwrap();
    assert_eq!(dumped.unwrap().0, 7);
}

/// Fails if `StreamInner::maintain` does not sync the journal before it takes segments.
fn invariant_08_the_new_start_is_durable_before_a_segment_goes() {
    let (plan, store) = open_with(Durability::Manual);
    let stream = store.stream("s").unwrap();
    for ms in 1..=200 {
        put(&stream, ms).unwrap();
        store.step_prepare().unwrap();
    }
    store.sync().unwrap();
    let snapshot = stream.snapshot().unwrap();
    let segments = stream.info().unwrap().segments;
    assert!(segments > 4);
    plan.take_log();
    assert_eq!(stream.trim(Trim::max_len(10)).unwrap(), 190);
    assert_eq!(plan.take_log(), [""; 0]);
    store.step_prepare().unwrap();
    let log = plan.take_log();
    let removed = position(&log, "remove", SEGMENT).expect("nothing was removed");
    let state = position(&log, "sync", STATE).expect("the start was not synced");
    assert!(state < removed, "{log:?}");
    assert!(stream.info().unwrap().segments < segments);
    // A reader keeps what it holds.
    let held: Vec<_> = snapshot.range(..).map(|entry| entry.unwrap().id().ms).collect();
    assert_eq!(held, (1..=200).collect::<Vec<_>>());
}

/// Lost entries count as deleted, and what deletions leave without a live entry is removed: not by
/// a pass of the background that comes between a reader's two steps.
///
/// Fails if `Body::hole_at` marks the entries before it notes the hole.
fn invariant_08_a_segment_goes_for_no_damage_that_was_just_met() {
    let disk = Arc::new(FaultyDisk::new());
    let plan = Arc::clone(&disk.plan);
    let (dir, options) = (Path::new("/store"), options(Durability::Manual));
    let store = Store::open_on(Arc::clone(&disk) as Arc<_>, dir, &options).unwrap();
    let stream = store.stream("s").unwrap();
    for ms in 1..=200 {
        put(&stream, ms).unwrap();
        store.step_prepare().unwrap();
    }
    store.close().unwrap();
    let second = dir.join("streams/1/0000000001.0000.seg");
    let old = disk.open(&second, OpenMode::Read).unwrap();
    let mut bytes = vec![0; old.len().unwrap() as usize];
    old.read_at(&mut bytes, 0).unwrap();
    let trailer = bytes.len() - 32;
    let footer = u64_at(&bytes, trailer) as usize;
    // From the first entry, behind the frame that is about the segment, to the last one.
    bytes[256..footer].fill(0x5a);
    disk.remove_file(&second).unwrap();
    let new = disk.open(&second, OpenMode::CreateNew).unwrap();
    new.allocate(bytes.len() as u64).unwrap();
    new.write_at(&bytes, 0).unwrap();
    let store = Store::open_on(disk, dir, &options.on_damage(OnDamage::Skip)).unwrap();
    let stream = store.get("s").unwrap().unwrap();
    let (passes, background) = (Arc::new(AtomicUsize::new(0)), store.clone());
    let counted = Arc::clone(&passes);
    let first: Vec<_> = (1..=29).map(|ms| EntryId::new(ms, 0)).collect();
    stream.delete(first).unwrap();
    plan.at_step("lost entries marked", move || {
        counted.fetch_add(1, Ordering::Relaxed);
        background.step_prepare().unwrap();
    });
    plan.take_log();
    let left = stream.range(..).rev().map(Result::unwrap).count();
    assert_eq!((left, passes.load(Ordering::Relaxed)), (142, 1));
    plan.at_step("", || {});
    store.step_prepare().unwrap();
    assert_eq!(position(&plan.take_log(), "remove", SEGMENT), None);
}

/// Fails if `Stream::sync` keeps the writer's lock over the sync.
fn invariant_10_no_lock_is_held_over_a_sync() {
    for held in [SEGMENT, STATE] {
        let (plan, store) = open_with(Durability::Manual);
        let stream = store.stream("s").unwrap();
        let group = stream.create_group("g", Start::First).unwrap();
        for ms in 1..=5 {
            put(&stream, ms).unwrap();
        }
        plan.hold(Some(held));
        let syncing = {
            let stream = stream.clone();
            spawn(move || stream.sync().unwrap())
        };
        plan.until_held();
        without_waiting(&plan, {
            let (store, stream) = (store.clone(), stream.clone());
            move || {
                put(&stream, 6).unwrap();
                assert_eq!(ids(&stream).len(), 6);
                let consumer = group.consumer("c").unwrap();
                let delivery = consumer.read(GroupReadOptions::new()).unwrap();
                assert_eq!(delivery.ack_all().unwrap(), 6);
                assert_eq!(stream.delete([EntryId::new(3, 0)]).unwrap(), 1);
                assert_eq!(stream.trim(Trim::max_len(3)).unwrap(), 2);
                assert_eq!(stream.info().unwrap().length, 3);
                assert_eq!(store.names().len(), 1);
                assert!(!store.health().closed);
            }
        });
        plan.hold(None);
        syncing.join().unwrap();
        assert_eq!(ids(&stream), [4, 5, 6]);
    }
}

/// Fails if `Writer::roll` syncs the segment that it leaves.
fn invariant_11_a_roll_waits_for_no_sync() {
    let (plan, store) = open_with(Durability::Manual);
    let stream = store.stream("s").unwrap();
    let mut last = 0;
    while stream.info().unwrap().bytes < 3000 {
        last += 1;
        put(&stream, last).unwrap();
    }
    // The next segment is made ahead.
    store.step_prepare().unwrap();
    plan.hold(Some(SEGMENT));
    let syncing = {
        let stream = stream.clone();
        spawn(move || stream.sync().unwrap())
    };
    plan.until_held();
    without_waiting(&plan, {
        let stream = stream.clone();
        move || {
            while stream.info().unwrap().segments < 2 {
                last += 1;
                put(&stream, last).unwrap();
            }
        }
    });
    let durable = stream.durable_id().unwrap();
    plan.hold(None);
    syncing.join().unwrap();
    assert_eq!(durable, EntryId::MIN);
    assert_eq!(stream.info().unwrap().segments, 2);
    assert!(stream.durable_id().unwrap() > EntryId::MIN);
}
