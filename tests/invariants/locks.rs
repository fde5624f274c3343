//! Invariants 10 and 11: what goes on while a sync takes its time; how a segment follows another.

use super::disk::{EIO, FaultDisk};
use super::ground::{
    FIRST, JOURNAL, at_once, deliver, die, id, open, place, put, seen, segment, try_put,
};
use crate::{
    AppendOptions, Durability, EntryId, GroupReadOptions, ReadOptions, Start, Store, Stream, Trim,
};
use std::time::Duration;

/// All sorts of calls, none of which needs anything to be durable.
fn all_calls(store: &Store, stream: &Stream, appends: bool) {
    let run = |what: &'static str, call: fn(&Store, &Stream)| {
        let (store, stream) = (store.clone(), stream.clone());
        at_once(what, move || call(&store, &stream));
    };
    if appends {
        run("append", |_, stream| {
            stream.append([("a", "b")]).unwrap();
        });
    }
    run("read", |_, stream| {
        stream.read(Start::First, ReadOptions::new()).unwrap();
    });
    run("range", |_, stream| {
        seen(stream);
    });
    run("info", |_, stream| {
        stream.info().unwrap();
        stream.durable_id().unwrap();
        stream.groups().unwrap();
    });
    run("group read", |_, stream| {
        deliver(stream, "g").unwrap();
    });
    run("ack and claim", |_, stream| {
        let group = stream.get_group("g").unwrap().unwrap();
        let other = group.consumer("other").unwrap();
        drop(other.claim([id(1), id(2)], Duration::ZERO).unwrap());
        group.ack([id(1)]).unwrap();
    });
    run("delete", |_, stream| {
        stream.delete([id(2)]).unwrap();
    });
    run("trim", |_, stream| {
        stream.trim(Trim::min_id(id(3))).unwrap();
    });
    run("new group", |_, stream| {
        stream.create_group("new", Start::Last).unwrap();
    });
    run("another stream", |store, _| {
        let other = store.get("other").unwrap().unwrap();
        other.append([("a", "b")]).unwrap();
        seen(&other);
    });
    run("names", |store, _| {
        store.rename("other", "another").unwrap();
        assert!(store.exists("another"));
        assert!(!store.health().closed);
    });
}

type Act = fn(&Store, &Stream);

/// Each place where a sync is waited for, as what to prepare, the call that stands still, and who
/// makes it.
const SYNCS: &[(&str, Act, (&str, &str), Act)] = &[
    ("segment", |_, _| (), ("sync", FIRST), |store, _| store.sync().unwrap()),
    ("journal", |_, _| (), ("sync", JOURNAL), |store, _| store.sync().unwrap()),
    (
        "checkpoint",
        |_, _| (),
        ("sync", JOURNAL),
        |store, _| {
            store.step_checkpoint().unwrap();
        },
    ),
    (
        "next segment",
        |_, _| (),
        ("sync", ".tmp$"),
        |store, _| {
            store.step_prepare().unwrap();
        },
    ),
    (
        "its name",
        |_, _| (),
        ("sync_dir", "/streams/1$"),
        |store, _| {
            store.step_prepare().unwrap();
        },
    ),
    (
        "footer",
        |store, stream| {
            put(stream, 60..80);
            store.sync().unwrap();
        },
        ("sync", FIRST),
        |store, _| store.step_prepare().unwrap(),
    ),
    (
        "unlinked names",
        |store, stream| {
            put(stream, 60..400);
            store.sync().unwrap();
            store.step_prepare().unwrap();
            stream.trim(Trim::max_len(1)).unwrap();
        },
        ("sync_dir", "/streams/1$"),
        |store, _| store.step_prepare().unwrap(),
    ),
    ("roll", |_, _| (), ("sync", ".tmp$"), |_, stream| put(stream, 60..400)),
];

/// Fails if `Commit::wait` (src/commit.rs) keeps its lock over the sync, `Journal::sync_file`
/// (src/journal.rs) or `write_checkpoint` (src/journal/checkpoint.rs) that of the records, or
/// `Log::prepare` (src/storage/log/next.rs) or `Writer::roll` (src/storage/log/writer.rs) that of
/// the writer.
pub(crate) fn invariant_10_no_lock_is_held_over_a_sync() {
    for (name, before, (call, path), act) in SYNCS {
        let disk = FaultDisk::new();
        let store = open(&disk, Durability::Manual);
        let stream = store.stream("s").unwrap();
        put(&store.stream("other").unwrap(), [1]);
        put(&stream, 1..50);
        deliver(&stream, "g").unwrap();
        before(&store, &stream);
        disk.hold(call, path);
        let syncing = {
            let (store, stream) = (store.clone(), stream.clone());
            std::thread::spawn(move || act(&store, &stream))
        };
        disk.wait_held();
        println!("  during the sync of: {name}");
        // Who appends needs the segment that is being made.
        all_calls(&store, &stream, *name != "roll");
        disk.let_go();
        syncing.join().unwrap();
    }
}

/// Fails if `Stream::append_with` (src/stream/api.rs) encodes the fields with the writer locked, or
/// if `delete`, `ack` or `claim` walks through its argument within `change`.
pub(crate) fn invariant_10_no_lock_is_held_over_the_callers_code() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..10);
    deliver(&stream, "g").unwrap();
    let nested = move |stream: &Stream| {
        stream.append([("nested", "entry")]).unwrap();
        stream.trim(Trim::max_len(1_000)).unwrap();
        deliver(stream, "g").unwrap();
        stream.delete([EntryId::MAX]).unwrap();
    };
    at_once("the caller's code", move || {
        let group = stream.get_group("g").unwrap().unwrap();
        let consumer = group.consumer("other").unwrap();
        let ids = || (1..3).map(id).inspect(|_| nested(&stream));
        let fields = || {
            ["a", "b"].into_iter().map(|name| {
                nested(&stream);
                (name, "value")
            })
        };
        stream.append(fields()).unwrap();
        stream.append_with(fields(), AppendOptions::new().durable()).unwrap();
        assert_eq!(consumer.claim(ids(), Duration::ZERO).unwrap().len(), 2);
        assert_eq!(group.ack(ids()).unwrap(), 2);
        assert_eq!(stream.delete(ids()).unwrap(), 2);
        for entry in stream.range(..) {
            entry.unwrap();
            nested(&stream);
        }
    });
}

/// Fails if the order of the locks is no longer written down in src/stream.rs.
pub(crate) fn invariant_10_the_order_of_the_locks_is_written_down() {
    let text = include_str!("../../src/stream.rs");
    assert!(text.lines().take(10).any(|line| line.starts_with("//! Lock order:")));
}

/// A stream whose first segment is nearly full and not on disk.
fn nearly_full(disk: &FaultDisk) -> (Store, Stream) {
    let store = open(disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    store.sync().unwrap();
    put(&stream, 1..50);
    assert_eq!(stream.info().unwrap().segments, 1);
    (store, stream)
}

/// Fails if `Writer::roll` (src/storage/log/writer.rs) syncs the old segment, or makes a new one
/// although one is prepared.
pub(crate) fn invariant_11_a_roll_waits_for_no_sync() {
    let disk = FaultDisk::new();
    let (store, stream) = nearly_full(&disk);
    store.step_prepare().unwrap();
    disk.hold("sync", FIRST);
    let syncing = {
        let store = store.clone();
        std::thread::spawn(move || store.sync())
    };
    disk.wait_held();
    disk.take_calls();
    let writer = stream.clone();
    at_once("the roll", move || put(&writer, 50..80));
    assert_eq!(stream.info().unwrap().segments, 2);
    assert_eq!(disk.take_calls(), [""; 0]);
    disk.let_go();
    syncing.join().unwrap().unwrap();
}

/// Fails if `segment::create` (src/storage/segment.rs) leaves out a step or changes their order.
/// (Planted `segment_name_sync`, `new_segment_sync`.)
pub(crate) fn invariant_11_the_next_segment_is_complete_named_and_synced_before_it_is_needed() {
    let disk = FaultDisk::new();
    let (store, stream) = nearly_full(&disk);
    disk.take_calls();
    store.step_prepare().unwrap();
    let calls = disk.take_calls();
    let steps: Vec<_> = calls.iter().map(|call| call.split(' ').next().unwrap()).collect();
    assert_eq!(steps, ["allocate", "write", "sync", "rename", "sync_dir"]);
    let ready = disk.bytes(&segment(1, 1));
    assert!(ready.len() == 8192 && ready[..128].iter().any(|byte| *byte != 0));
    put(&stream, 50..80);
    assert_eq!(disk.take_calls(), [""; 0]);
}

/// Fails if `Log::sync_files` (src/storage/log.rs) syncs the last segment first, or goes on after
/// an error.
pub(crate) fn invariant_11_an_entry_is_durable_only_when_all_earlier_segments_are() {
    let disk = FaultDisk::new();
    let (store, stream) = nearly_full(&disk);
    put(&stream, 50..200);
    assert!(stream.info().unwrap().segments > 2);
    disk.take_calls();
    disk.fail("sync", "0000000001.0000.seg", EIO);
    assert!(stream.sync().is_err());
    let calls = disk.take_calls();
    assert!(place(&calls, "sync", "0000000000.0000.seg").is_some());
    assert_eq!(place(&calls, "sync", "0000000002.0000.seg"), None);
    assert_eq!(stream.durable_id().unwrap(), EntryId::MIN);
    die(store);
    // The names of all segments are there, the bytes of the first one only.
    let store = open(&disk.power_cut(), Durability::Manual);
    let left = seen(&store.stream("s").unwrap());
    assert!(left.len() >= 49 && left == (1..=left.len() as u64).collect::<Vec<_>>());
}

/// Fails if `find_end` or `cut_here` (src/storage/recover/end.rs) keeps segments behind a cut, or
/// asks whether the bad frame is in the last one.
/// (Planted `hole`.)
pub(crate) fn invariant_11_recovery_cuts_at_the_first_bad_frame_and_sets_later_segments_aside() {
    let disk = FaultDisk::new();
    let (store, stream) = nearly_full(&disk);
    put(&stream, 50..200);
    die(store);
    let disk = disk.image();
    let value = 37.to_string().repeat(20);
    let bytes = disk.bytes(&segment(1, 0));
    let at = bytes.windows(40).position(|w| w == value.as_bytes()).unwrap();
    disk.scribble(&segment(1, 0), at as u64, b"torn");
    let aside = disk.bytes(&segment(1, 1));
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    assert_eq!(seen(&stream), (1..37).collect::<Vec<_>>());
    let report = store.recovery().streams[0].clone();
    assert_eq!(report.cut.unwrap().path, segment(1, 0));
    assert!(report.set_aside.contains(&segment(1, 1)));
    assert_eq!(disk.bytes(&segment(1, 1)), aside);
    put(&stream, 300..310);
    store.sync().unwrap();
    die(store);
    let store = open(&disk.power_cut(), Durability::Manual);
    let left: Vec<_> = (1..37).chain(300..310).collect();
    assert_eq!(seen(&store.stream("s").unwrap()), left);
}
