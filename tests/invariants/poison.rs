//! Invariant 5: what a failed sync stops, and what it leaves alone.

use super::disk::{EIO, ENOSPC, ESTALE, FaultDisk, LONG, PANIC};
use super::ground::{
    DIR, FIRST, JOURNAL, at_once, deliver, error, id, is_poisoned, open, options, put, seen,
    try_put,
};
use crate::{
    AppendOptions, BatchOptions, Durability, EntryId, ErrorKind, GroupReadOptions, NewEntries,
    ReadFrom, ReadOptions, Result, Start, Store, Stream, StreamOptions,
};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// A store with two streams and a group each, all of it on disk, and then some more entries.
fn two_streams(disk: &FaultDisk) -> (Store, Stream, Stream) {
    let store = open(disk, Durability::Manual);
    let (a, b) = (store.stream("a").unwrap(), store.stream("b").unwrap());
    for stream in [&a, &b] {
        put(stream, 1..4);
        assert_eq!(deliver(stream, "g").unwrap(), [1, 2, 3]);
    }
    store.sync().unwrap();
    (store, a, b)
}

fn is_stopped(stream: &Stream) -> bool {
    let group = stream.get_group("g").unwrap().unwrap();
    let calls = [
        is_err(stream.append([("a", "b")])),
        is_err(deliver(stream, "g")),
        is_err(group.ack([id(1)])),
        is_err(stream.create_group("new", Start::First)),
        is_err(stream.delete([id(1)])),
        is_err(stream.trim(crate::Trim::max_len(1))),
        is_err(stream.set_id(id(1_000), None, None)),
    ];
    let refused = calls.iter().filter(|refused| **refused).count();
    assert!(refused == 0 || refused == calls.len(), "{calls:?}");
    // Whatever became of it, it can be read.
    assert!(group.pending().is_ok() && stream.range(..).all(|entry| entry.is_ok()));
    refused > 0
}

fn is_err<T>(result: Result<T>) -> bool {
    let poisoned = |error: &crate::Error| matches!(error.kind(), ErrorKind::Poisoned { .. });
    result.is_err_and(|error| {
        assert!(poisoned(&error), "{error}");
        true
    })
}

fn in_thread<T: Send + 'static>(
    stream: &Stream,
    call: impl FnOnce(&Stream) -> Result<T> + Send + 'static,
) -> JoinHandle<Result<T>> {
    let stream = stream.clone();
    std::thread::spawn(move || call(&stream))
}

fn poisoned_in_time<T: Send + 'static>(what: &str, thread: JoinHandle<Result<T>>) {
    let result = at_once(what, move || thread.join().unwrap());
    assert!(is_poisoned(result), "{what}");
}

/// A reader of the group and a plain one, which wait for another entry of the stream.
fn readers(stream: &Stream) -> [JoinHandle<Result<usize>>; 2] {
    let consumer = stream.get_group("g").unwrap().unwrap().consumer("c").unwrap();
    let of_group = in_thread(stream, move |_| {
        Ok(consumer.read(GroupReadOptions::new().block_forever())?.len())
    });
    let plain = in_thread(stream, |stream| Ok(wait_for_entries(stream)?.len()));
    // Whether they sleep by the time of the fault or come too late, they have to end.
    std::thread::sleep(Duration::from_millis(50));
    [of_group, plain]
}

fn wait_for_entries(stream: &Stream) -> Result<crate::Batch> {
    stream.read(Start::Last, ReadOptions::new().block_forever())
}

fn readers_end(readers: [JoinHandle<Result<usize>>; 2]) {
    let [of_group, plain] = readers;
    poisoned_in_time("who waits for entries as a consumer", of_group);
    poisoned_in_time("who waits for entries", plain);
}

/// Fails if `Log::sync_files` (src/storage/log.rs) does not set `poisoned`, if
/// `StreamInner::change` (src/stream.rs) does not ask `check_writable`, or if `is_loss`
/// (src/storage/watched.rs) takes EIO for the loss of the file system.
/// (Planted `sync_error`.)
pub(crate) fn invariant_05_a_failed_sync_of_a_segment_stops_that_stream_alone() {
    let disk = FaultDisk::new();
    let (store, a, b) = two_streams(&disk);
    put(&a, [4]);
    disk.fail("sync", FIRST, EIO);
    assert!(is_poisoned(a.sync()));
    assert!(is_stopped(&a));
    assert_eq!(seen(&a), [1, 2, 3, 4]);
    assert!(!is_stopped(&b));
    b.sync().unwrap();
    put(&store.stream("new").unwrap(), [1]);
    let health = store.health();
    assert_eq!(health.poisoned, None);
    assert_eq!(health.poisoned_streams[0].0, b"a");
    assert_eq!(a.durable_id().unwrap(), id(3));
}

/// Fails if `Lead::drop` or `Commit::poison` (src/commit.rs) replaces a poison that is there
/// (`insert` for `get_or_insert`), or if a later sync that succeeds takes it away.
pub(crate) fn invariant_05_the_first_cause_is_kept() {
    let disk = FaultDisk::new();
    let (store, a, _) = two_streams(&disk);
    put(&a, [4]);
    disk.fail("sync", FIRST, EIO);
    let first = error(a.sync()).to_string();
    assert!(first.contains("os error 5"), "{first}");
    disk.heal();
    assert_eq!(error(a.sync()).to_string(), first);
    assert_eq!(error(try_put(&a, 5)).to_string(), first);
    // The journal goes, too, but what stopped the stream is what stopped it first.
    disk.fail("sync", JOURNAL, ENOSPC);
    a.get_group("g").unwrap();
    store.stream("c").unwrap();
    assert!(store.sync().is_err());
    assert!(store.health().poisoned.unwrap().contains("os error 28"));
    let causes = store.health().poisoned_streams;
    let (_, cause) = causes.iter().find(|(name, _)| name == b"a").unwrap();
    assert!(cause.contains("os error 5"), "{cause}");
}

/// Fails if `Lead::drop` (src/commit.rs) replaces a poison that came while the sync ran.
pub(crate) fn invariant_05_the_first_cause_is_kept_though_a_sync_was_under_way() {
    let disk = FaultDisk::new();
    let (store, a, _) = two_streams(&disk);
    put(&a, [4]);
    disk.fail("sync", FIRST, EIO);
    disk.hold("sync", FIRST);
    let syncing = in_thread(&a, |a| a.sync());
    disk.wait_held();
    disk.fail("sync", JOURNAL, ENOSPC);
    assert!(store.step_checkpoint().is_err());
    disk.let_go();
    poisoned_in_time("the sync", syncing);
    let cause = error(try_put(&a, 5)).to_string();
    assert!(cause.contains("os error 28"), "{cause}");
}

/// Fails if `Lead::drop` (src/commit.rs) wakes nobody when there is a poison, or if
/// `StreamInner::sync_to` (src/stream.rs) does not wake the readers, or if `read` (src/wait.rs) does
/// not ask whether more can come.
pub(crate) fn invariant_05_whoever_waits_for_a_stopped_stream_is_woken() {
    let disk = FaultDisk::new();
    let (_store, a, _) = two_streams(&disk);
    put(&a, [4]);
    assert_eq!(deliver(&a, "g").unwrap(), [4]);
    let readers = readers(&a);
    disk.fail("sync", FIRST, EIO);
    disk.hold("sync", FIRST);
    let leader = in_thread(&a, |a| a.sync());
    disk.wait_held();
    let follower = in_thread(&a, |a| a.wait_durable(id(4)));
    let limited = in_thread(&a, |a| a.wait_durable_timeout(id(4), Duration::from_secs(3600)));
    std::thread::sleep(Duration::from_millis(50));
    disk.let_go();
    poisoned_in_time("the sync", leader);
    poisoned_in_time("who waits", follower);
    poisoned_in_time("who waits with a limit", limited);
    readers_end(readers);
    // Who comes later does not wait either, and reads what there is all the same.
    poisoned_in_time("who comes later", in_thread(&a, wait_for_entries));
    let there = a.read(Start::First, ReadOptions::new().block_forever());
    assert_eq!(there.unwrap().len(), 4);
    assert!(a.read(Start::Last, ReadOptions::new()).unwrap().is_empty());
}

/// Fails if `until` (src/wait.rs) waits while one of its streams is sound.
pub(crate) fn invariant_05_nobody_waits_for_several_streams_of_which_one_is_stopped() {
    let disk = FaultDisk::new();
    let (store, a, b) = two_streams(&disk);
    put(&a, [4]);
    disk.fail("sync", FIRST, EIO);
    assert!(is_poisoned(a.sync()));
    let read = {
        let (store, a, b) = (store.clone(), a.clone(), b.clone());
        move |from: Start, options: ReadOptions| {
            let found = store.read(&[(&a, Start::Last), (&b, from)], options)?;
            Ok(found.iter().map(|(_, batch)| batch.len()).sum::<usize>())
        }
    };
    assert_eq!(read(Start::Last, ReadOptions::new()).unwrap(), 0);
    assert_eq!(read(Start::First, ReadOptions::new().block_forever()).unwrap(), 3);
    let waits = move || read(Start::Last, ReadOptions::new().block_forever());
    assert!(is_poisoned(at_once("a read of both", waits)));
    // What a group delivers changes it, so a stopped stream answers whether it has something or not.
    put(&b, [5]);
    let consumers = [&a, &b].map(|s| s.get_group("g").unwrap().unwrap().consumer("c").unwrap());
    let of_group = move |order: [usize; 2]| {
        let from = order.map(|n| (&consumers[n], ReadFrom::New));
        let options = GroupReadOptions::new().block_forever();
        Ok(store.read_group(&from, options)?.len())
    };
    for order in [[0, 1], [1, 0]] {
        assert!(is_poisoned(at_once("a group's read of both", {
            let of_group = of_group.clone();
            move || of_group(order)
        })));
    }
    assert_eq!(deliver(&b, "g").unwrap(), [5]);
}

/// Fails if `Shared::sync_journal` (src/store.rs) does not poison the store, or if
/// `Shared::poison` does not wake the waiters of each stream.
pub(crate) fn invariant_05_a_failed_sync_of_the_journal_stops_the_store() {
    let disk = FaultDisk::new();
    let (store, a, b) = two_streams(&disk);
    let readers = readers(&b);
    disk.fail("sync", JOURNAL, EIO);
    a.create_group("more", Start::First).unwrap();
    assert!(is_poisoned(store.sync()));
    assert!(is_stopped(&a) && is_stopped(&b));
    assert!(is_err(store.stream("new")));
    assert!(is_err(store.remove("a")) && is_err(store.rename("a", "c")));
    readers_end(readers);
    disk.heal();
    assert!(is_poisoned(store.sync()));
    assert!(is_stopped(&a) && is_stopped(&b));
    assert!(store.health().poisoned.is_some());
}

/// Fails if `Shared::checkpoint`, `Shared::make_room` or `Shared::prepare` (src/store.rs) leaves a
/// failed sync of the journal's next file to whoever syncs next.
pub(crate) fn invariant_05_a_failed_sync_of_a_checkpoint_stops_the_store() {
    for errno in [EIO, ENOSPC] {
        let disk = FaultDisk::new();
        let (store, a, b) = two_streams(&disk);
        disk.fail("sync", JOURNAL, errno);
        assert!(store.step_checkpoint().is_err());
        disk.heal();
        assert!(is_stopped(&a) && is_stopped(&b));
        assert!(store.health().poisoned.is_some());
    }
}

/// Fails if `StreamInner::open` (src/stream/recovery.rs) asks of a stopped store that the record of
/// the stream's creation be durable, or `settle_state` that the journal take what it decides.
pub(crate) fn invariant_05_what_a_stopped_store_had_not_opened_yet_is_read() {
    let disk = FaultDisk::new();
    let (store, _, b) = two_streams(&disk);
    drop(b);
    store.close().unwrap();
    let store = open(&disk, Durability::Manual);
    put(&store.stream("a").unwrap(), 4..6);
    disk.fail("sync", JOURNAL, EIO);
    assert!(is_poisoned(store.copy("a", "c", false)));
    disk.heal();
    for (name, there) in [("b", 1..4), ("c", 1..6)] {
        let stream = store.get(name).unwrap().unwrap();
        assert_eq!(seen(&stream), Vec::from_iter(there), "{name}");
        assert!(is_stopped(&stream), "{name}");
    }
}

/// Fails if `StreamInner::open` (src/stream/recovery.rs) gives the error of the sync of `streams/`
/// and does nothing else.
pub(crate) fn invariant_05_a_failed_sync_of_the_streams_directory_stops_the_store() {
    let disk = FaultDisk::new();
    let (store, a, b) = two_streams(&disk);
    disk.fail("sync_dir", "/streams$", EIO);
    assert!(store.stream("new").is_err());
    disk.heal();
    assert!(is_stopped(&a) && is_stopped(&b));
    assert!(store.health().poisoned.is_some());
}

/// Fails if `Log::poison_if_sync` (src/storage/log.rs) leaves "sync directory" or "sync" out, or if
/// `Error::io` (src/error.rs) takes a sync that finds the disk full for an append that does.
pub(crate) fn invariant_05_a_failed_sync_of_a_new_segment_stops_that_stream_alone() {
    let cases =
        [("sync_dir", "/streams/1$", EIO), ("sync", ".tmp$", EIO), ("sync", ".tmp$", ENOSPC)];
    for (call, path, errno) in cases {
        let disk = FaultDisk::new();
        let (store, a, b) = two_streams(&disk);
        disk.fail(call, path, errno);
        let failed = (100..300).find_map(|ms| try_put(&a, ms).err());
        assert!(failed.is_some());
        disk.heal();
        assert!(is_stopped(&a), "{call}");
        assert!(!is_stopped(&b));
        assert_eq!(store.health().poisoned, None);
    }
}

/// Fails if `StreamInner::maintain` (src/stream/care.rs) only passes on the errors of the syncs that
/// seal a segment or that follow the removal of one.
pub(crate) fn invariant_05_a_failed_sync_of_the_background_stops_that_stream_alone() {
    for (call, path, trim) in [("sync", FIRST, false), ("sync_dir", "/streams/1$", true)] {
        let disk = FaultDisk::new();
        let (store, a, b) = two_streams(&disk);
        put(&a, 100..180);
        store.sync().unwrap();
        if trim {
            // What there is to prepare and to seal is done before.
            store.step_prepare().unwrap();
            a.trim(crate::Trim::max_len(1)).unwrap();
        }
        disk.fail(call, path, EIO);
        assert!(store.step_prepare().is_err(), "{call}");
        disk.heal();
        assert!(is_stopped(&a), "{call}");
        assert!(!is_stopped(&b));
        assert_eq!(store.health().poisoned, None);
    }
}

/// Fails if `Worker::spawn` (src/worker.rs) does not catch what its thread panics with, or does not
/// poison the store with it.
pub(crate) fn invariant_05_a_panic_in_the_background_stops_the_store() {
    type Provoke = fn(&Stream);
    let cases: [(&str, &str, Provoke); 2] = [
        ("streamlog-sync", "sync", |a| {
            let last = a.append([("a", "b")]).unwrap();
            drop(a.wait_durable_timeout(last, LONG));
        }),
        ("streamlog-care", "remove", |a| assert!(a.trim(crate::Trim::max_len(1)).unwrap() > 0)),
    ];
    for (thread, call, provoke) in cases {
        let disk = FaultDisk::new();
        let options = options(Durability::Manual);
        let store = options.start(Arc::new(disk.clone()), Path::new(DIR), true).unwrap();
        let (a, b) = (store.stream("a").unwrap(), store.stream("b").unwrap());
        put(&a, 1..300);
        assert_eq!(deliver(&a, "g").unwrap().len(), 299);
        assert!(deliver(&b, "g").unwrap().is_empty());
        store.sync().unwrap();
        let readers = readers(&b);
        disk.fail(call, FIRST, PANIC);
        provoke(&a);
        readers_end(readers);
        assert!(is_stopped(&a) && is_stopped(&b), "{thread}");
        let cause = store.health().poisoned.unwrap();
        for part in [thread, "panicked: a planted panic in"] {
            assert!(cause.contains(part), "{cause}");
        }
        disk.heal();
        assert!(is_poisoned(store.close()));
    }
}

/// Fails if `is_loss` (src/storage/watched.rs) does not know ESTALE, or if neither
/// `Shared::check_open` (src/store.rs) nor `StreamInner::failed` (src/stream.rs) asks whether it was
/// met.
pub(crate) fn invariant_05_a_lost_file_system_stops_the_store() {
    for path in [FIRST, ".tmp$"] {
        let disk = FaultDisk::new();
        let (store, a, b) = two_streams(&disk);
        disk.fail("sync", path, ESTALE);
        let failed = (100..300).find_map(|ms| try_put(&a, ms).err());
        assert!(failed.is_some() || store.sync().is_err());
        disk.heal();
        assert!(is_stopped(&a) && is_stopped(&b), "{path}");
        assert!(store.health().poisoned.is_some());
    }
}

/// Fails if a refusal (`Log::writer`, src/storage/log.rs; `check_writable`) or a wait that comes
/// before the append (`wait_for_room`, src/stream/api.rs) is not told from a failure behind it.
pub(crate) fn invariant_05_only_what_may_have_been_written_is_indeterminate() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, [1]);
    disk.fail("sync", FIRST, EIO);
    let durable = AppendOptions::new().durable();
    let failed = error(stream.append_with([("a", "b")], durable.clone()));
    assert!(failed.is_indeterminate(), "{failed}");
    assert_eq!(stream.len().unwrap(), 2);
    disk.heal();
    let mut batch = NewEntries::new();
    batch.push([("a", "b")]).unwrap();
    for refused in [
        error(stream.append_with([("a", "b")], durable)),
        error(stream.append_batch(&batch)),
        error(stream.delete([id(1)])),
        error(stream.create_group("g", Start::First)),
    ] {
        assert!(matches!(refused.kind(), ErrorKind::Poisoned { .. }));
        assert!(!refused.is_indeterminate(), "{refused}");
    }
    assert_eq!(stream.len().unwrap(), 2);

    // Where too much is not on disk, the append comes after the sync, or not at all.
    let level = Durability::Interval { every: Duration::from_secs(1), max_unsynced_bytes: 1000 };
    let disk = FaultDisk::new();
    let store = open(&disk, level);
    let stream = store.stream("s").unwrap();
    store.sync().unwrap();
    put(&stream, 1..5);
    let (none, last) = (Duration::ZERO, stream.len().unwrap());
    let options = AppendOptions::new().timeout(none);
    let large = [("v", "x".repeat(900))];
    let mut batch = NewEntries::new();
    batch.push(large.clone()).unwrap();
    for late in [
        error(stream.append_with(large, options)),
        error(stream.append_batch_with(&batch, BatchOptions::new().timeout(none).durable())),
    ] {
        assert_eq!(*late.kind(), ErrorKind::TimedOut);
        assert!(!late.is_indeterminate() && late.is_retryable());
    }
    disk.fail("sync", FIRST, EIO);
    let failed = error(stream.append_batch(&batch));
    assert!(matches!(failed.kind(), ErrorKind::Poisoned { .. }));
    assert!(!failed.is_indeterminate(), "{failed}");
    assert_eq!(stream.len().unwrap(), last);
}

/// A store with more dirty files than are synced one by one.
fn many_streams(disk: &FaultDisk) -> (Store, Vec<Stream>) {
    let store = open(disk, Durability::Manual);
    let stream = |n: u32| store.stream(n.to_string()).unwrap();
    let streams: Vec<_> = (1..=70).map(stream).collect();
    for stream in &streams {
        put(stream, [1]);
        stream.create_group("g", Start::First).unwrap();
    }
    disk.heal();
    (store, streams)
}

/// Fails if `Shared::flush_all_at_once` (src/store.rs) takes the failure of the one call for the
/// failure of every stream, or of none.
pub(crate) fn invariant_05_when_one_sync_for_all_fails_the_guilty_file_is_found() {
    let disk = FaultDisk::new();
    let (store, streams) = many_streams(&disk);
    disk.fail("sync_all", "", EIO);
    disk.fail("sync", "/streams/3/", EIO);
    assert!(store.sync().is_err());
    let health = store.health();
    assert_eq!(health.poisoned, None);
    assert_eq!(health.poisoned_streams.len(), 1);
    assert_eq!(health.poisoned_streams[0].0, b"3");
    assert!(is_stopped(&streams[2]) && !is_stopped(&streams[3]));
}

/// Fails if `Shared::flush_all_at_once` (src/store.rs) is content when no file reports an error.
pub(crate) fn invariant_05_when_one_sync_for_all_fails_and_no_file_is_guilty_the_store_stops() {
    let disk = FaultDisk::new();
    let (store, streams) = many_streams(&disk);
    disk.fail("sync_all", "", EIO);
    assert!(store.sync().is_err());
    assert!(store.health().poisoned.is_some());
    assert!(is_stopped(&streams[0]));
}

/// Fails if `Shared::flush_streams` (src/store.rs) takes in streams whose sync has failed, and
/// `StreamInner::synced_otherwise` (src/stream.rs) believes what the one call says of them.
pub(crate) fn invariant_05_one_sync_for_all_publishes_nothing_of_a_stopped_stream() {
    let disk = FaultDisk::new();
    let (store, streams) = many_streams(&disk);
    store.sync().unwrap();
    let always = StreamOptions::new().segment_bytes(8192).durability(Durability::Always);
    let stopped = store.stream_with("stopped", always).unwrap();
    put(&stopped, [1]);
    disk.fail("sync", "/streams/71/", EIO);
    assert!(try_put(&stopped, 2).is_err());
    disk.heal();
    for stream in &streams {
        put(stream, [2]);
    }
    assert!(store.sync().is_err());
    assert_eq!(streams[0].durable_id().unwrap(), id(2));
    assert_eq!((seen(&stopped), stopped.durable_id().unwrap()), (vec![1], id(1)));
}
