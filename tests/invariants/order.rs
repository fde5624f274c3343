//! Invariants 6 to 9: what is synced before what, what `Ok` promises, trims, deliveries.

use super::disk::{EIO, FaultDisk};
use super::ground::{
    DIR, FIRST, JOURNAL, deliver, die, id, open, options, place, put, seen, try_put,
};
use crate::{
    AppendOptions, ClaimOptions, Durability, EntryId, GroupReadOptions, NewEntries, PendingFilter,
    Start, Store, Stream, StreamOptions, Trim,
};
use std::path::Path;
use std::time::Duration;

/// Fails if `Shared::sync_journal` (src/store.rs) flushes the streams behind the journal's sync,
/// or if `Journal::write_checkpoint` (src/journal/checkpoint.rs) syncs the running file without
/// them.
/// (Planted `journal_first`.)
pub(crate) fn invariant_06_segments_are_synced_before_the_journal() {
    type Flush = fn(&Store, &Stream);
    let flushes: [(&str, Flush); 5] = [
        ("store.sync", |store, _| store.sync().unwrap()),
        ("stream.sync", |_, stream| {
            stream.sync().unwrap();
        }),
        ("checkpoint", |store, _| store.step_checkpoint().unwrap()),
        ("two checkpoints", |store, stream| {
            let shared = store.shared();
            shared.journal.checkpoint(&**shared).unwrap();
            put(stream, [50]);
            assert_eq!(deliver(stream, "g").unwrap(), [50]);
            shared.journal.checkpoint(&**shared).unwrap();
        }),
        ("another stream's group", |store, _| {
            let strict = StreamOptions::new().durability(Durability::Always);
            let strict = store.stream_with("strict", strict).unwrap();
            strict.create_group("g", Start::First).unwrap();
        }),
    ];
    for (name, flush) in flushes {
        let disk = FaultDisk::new();
        let store = open(&disk, Durability::Manual);
        let stream = store.stream("s").unwrap();
        store.sync().unwrap();
        put(&stream, 1..4);
        deliver(&stream, "g").unwrap();
        disk.take_calls();
        flush(&store, &stream);
        let calls = disk.take_calls();
        let segment = place(&calls, "sync", FIRST);
        assert!(segment.is_some(), "{name}: {calls:?}");
        let running = calls.iter().rposition(|call| call.contains(FIRST));
        let journal =
            calls.iter().rposition(|call| call.starts_with("sync ") && call.contains(JOURNAL));
        assert!(running < journal || name == "two checkpoints", "{name}: {calls:?}");
        if name == "two checkpoints" {
            // The first file that is synced after the second delivery is no journal.
            let first = calls.iter().filter(|call| call.starts_with("sync ")).nth(2);
            assert!(first.unwrap().contains(FIRST), "{calls:?}");
        }
    }
}

/// Fails if `Commit::lead` (src/commit.rs) takes the target of a sync when the sync is over.
/// (Planted `late_target`.)
pub(crate) fn invariant_06_the_journals_point_is_taken_before_the_segments_are_synced() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    let strict = StreamOptions::new().durability(Durability::Always);
    let strict = store.stream_with("strict", strict).unwrap();
    put(&stream, [1]);
    deliver(&stream, "g").unwrap();
    disk.hold("sync", FIRST);
    // It waits for its record in the journal, and for the segments ahead of that.
    let syncing = std::thread::spawn(move || strict.create_group("g", Start::First));
    disk.wait_held();
    put(&stream, [2]);
    assert_eq!(deliver(&stream, "g").unwrap(), [2]);
    disk.let_go();
    syncing.join().unwrap().unwrap();
    // That delivery is behind the point, so another sync has to do it all again.
    disk.take_calls();
    store.sync().unwrap();
    let calls = disk.take_calls();
    let (segment, journal) = (place(&calls, "sync", FIRST), place(&calls, "sync", JOURNAL));
    assert!(segment.is_some() && segment < journal, "{calls:?}");
}

/// Fails if `StreamInner::settle_state` (src/stream/recovery.rs) does not clamp the groups.
/// (Planted `journal_first`.)
pub(crate) fn invariant_06_a_group_never_points_past_the_log() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..4);
    store.sync().unwrap();
    put(&stream, 4..10);
    deliver(&stream, "g").unwrap();
    disk.fail("sync", FIRST, EIO);
    assert!(store.sync().is_err());
    die(store);
    let store = open(&disk.power_cut(), Durability::Manual);
    let stream = store.stream("s").unwrap();
    assert_eq!(seen(&stream), [1, 2, 3]);
    let info = &stream.groups().unwrap()[0];
    assert_eq!((info.last_delivered_id, info.pending), (id(3), 3));
    assert_eq!(store.recovery().clamped.len(), 1);
}

/// Everything that a call may promise, one after the other, with what must be true afterwards.
struct Promise {
    name: &'static str,
    call: fn(&Store, &Stream),
    kept: fn(&Store) -> bool,
}

fn stream_of(store: &Store) -> Stream {
    store.get("s").unwrap().unwrap()
}

fn group_of(store: &Store) -> crate::Group {
    stream_of(store).get_group("g").unwrap().unwrap()
}

const PROMISES: &[Promise] = &[
    Promise {
        name: "append",
        call: |_, stream| put(stream, 1..6),
        kept: |store| seen(&stream_of(store)) == [1, 2, 3, 4, 5],
    },
    Promise {
        name: "batch",
        call: |_, stream| {
            let mut batch = NewEntries::new();
            batch.push_with(id(6), [("a", "b")]).unwrap();
            batch.push_with(id(7), [("a", "b")]).unwrap();
            stream.append_batch(&batch).unwrap();
        },
        kept: |store| seen(&stream_of(store)).ends_with(&[6, 7]),
    },
    Promise {
        name: "create a group",
        call: |_, stream| drop(stream.create_group("g", Start::First).unwrap()),
        kept: |store| stream_of(store).get_group("g").unwrap().is_some(),
    },
    Promise {
        name: "create a consumer",
        call: |store, _| assert!(group_of(store).create_consumer("d").unwrap()),
        kept: |store| group_of(store).consumers().unwrap().len() == 1,
    },
    Promise {
        name: "acknowledge",
        call: |store, stream| {
            assert_eq!(deliver(stream, "g").unwrap().len(), 7);
            assert_eq!(group_of(store).ack([id(1), id(2)]).unwrap(), 2);
        },
        kept: |store| group_of(store).pending().unwrap().count == 5,
    },
    Promise {
        name: "remove a consumer",
        call: |store, _| assert_eq!(group_of(store).remove_consumer("d").unwrap(), 0),
        kept: |store| group_of(store).consumers().unwrap().len() == 1,
    },
    Promise {
        name: "set a group",
        call: |store, _| group_of(store).set_id(Start::After(id(6))).unwrap(),
        kept: |store| group_of(store).info().unwrap().last_delivered_id == id(6),
    },
    Promise {
        name: "delete",
        call: |_, stream| assert_eq!(stream.delete([id(4)]).unwrap(), 1),
        kept: |store| !seen(&stream_of(store)).contains(&4),
    },
    Promise {
        name: "trim",
        call: |_, stream| assert_eq!(stream.trim(Trim::min_id(id(3))).unwrap(), 2),
        kept: |store| seen(&stream_of(store)) == [3, 5, 6, 7],
    },
    Promise {
        name: "append and trim",
        call: |_, stream| {
            let options = AppendOptions::new().id(id(8)).trim(Trim::max_len(2));
            stream.append_with([("a", "b")], options).unwrap();
        },
        kept: |store| seen(&stream_of(store)) == [7, 8],
    },
    Promise {
        name: "set the last ID",
        call: |_, stream| stream.set_id(id(20), None, None).unwrap(),
        kept: |store| stream_of(store).info().unwrap().last_id == id(20),
    },
    Promise {
        name: "copy",
        call: |store, _| assert!(store.copy("s", "copied", false).unwrap()),
        kept: |store| seen(&store.get("copied").unwrap().unwrap()) == [7, 8],
    },
    Promise {
        name: "rename",
        call: |store, _| store.rename("s", "t").unwrap(),
        kept: |store| !store.exists("s") && seen(&store.get("t").unwrap().unwrap()) == [7, 8],
    },
    Promise {
        name: "remove a group",
        call: |_, stream| assert!(stream.remove_group("g").unwrap()),
        kept: |store| store.get("t").unwrap().unwrap().groups().unwrap().is_empty(),
    },
    Promise {
        name: "remove",
        call: |store, _| assert!(store.remove("t").unwrap()),
        kept: |store| store.names() == [b"copied"],
    },
];

fn promise_all(store: &Store, stream: &Stream, after: impl Fn() -> FaultDisk) {
    for promise in PROMISES {
        (promise.call)(store, stream);
        let later = open(&after(), Durability::Manual);
        assert!((promise.kept)(&later), "{}", promise.name);
    }
}

/// Fails if `Journal::append` (src/journal.rs) keeps the record to itself, or if `put`
/// (src/storage/log/writer.rs) keeps bytes of a frame.
pub(crate) fn invariant_07_what_returned_survives_the_process_at_every_level() {
    for level in [Durability::Manual, Durability::EVERY_SECOND, Durability::Always] {
        let disk = FaultDisk::new();
        let store = open(&disk, level);
        let stream = store.stream("s").unwrap();
        promise_all(&store, &stream, || disk.image());
    }
}

/// Fails if `StreamInner::settle` (src/stream.rs) or `Shared::finish_names` (src/store/table.rs)
/// returns without a sync, or `Stream::appended` (src/stream/api.rs) without that of the stream.
/// (Planted `lazy_records`, `lazy_names`, `segment_sync`.)
pub(crate) fn invariant_07_under_always_what_returned_survives_a_power_cut() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Always);
    let stream = store.stream("s").unwrap();
    promise_all(&store, &stream, || disk.power_cut());
}

/// Fails if `Shared::finish_names` (src/store/table.rs) asks the store's level and not the
/// stream's.
pub(crate) fn invariant_07_the_level_is_the_streams_own() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let strict = StreamOptions::new().durability(Durability::Always);
    let stream = store.stream_with("s", strict).unwrap();
    let after = || open(&disk.power_cut(), Durability::Manual);
    assert_eq!(after().names(), [b"s"]);
    put(&stream, [1]);
    assert_eq!(seen(&stream_of(&after())), [1]);
    store.rename("s", "t").unwrap();
    assert_eq!(after().names(), [b"t"]);
}

/// Fails if `Consumer::look` (src/consumer/read.rs) or `Consumer::claim_any`
/// (src/consumer/claim.rs) waits for its record.
pub(crate) fn invariant_07_deliveries_and_claims_wait_for_no_sync() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Always);
    let stream = store.stream("s").unwrap();
    let group = stream.create_group("g", Start::First).unwrap();
    put(&stream, 1..4);
    disk.take_calls();
    assert_eq!(deliver(&stream, "g").unwrap(), [1, 2, 3]);
    let other = group.consumer("other").unwrap();
    assert_eq!(other.claim([id(1)], Duration::ZERO).unwrap().len(), 1);
    let claimed = other.auto_claim(id(2), Duration::ZERO, 10).unwrap();
    assert_eq!(claimed.delivery.len(), 2);
    assert_eq!(other.history(EntryId::MIN, 0).unwrap().len(), 3);
    assert_eq!(place(&disk.take_calls(), "sync", ""), None);
}

/// A stream of many segments, all on disk and sealed.
fn long_stream(disk: &FaultDisk) -> (Store, Stream) {
    let store = open(disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..400);
    store.sync().unwrap();
    store.step_prepare().unwrap();
    assert!(stream.info().unwrap().segments > 3);
    (store, stream)
}

/// Fails if `StreamInner::maintain` (src/stream/care.rs) takes files away before it syncs the journal.
/// (Planted `early_unlink`.)
pub(crate) fn invariant_08_the_new_start_is_durable_before_a_segment_is_unlinked() {
    type Cut = fn(&Stream);
    let cuts: [Cut; 2] = [
        |stream| {
            stream.trim(Trim::min_id(id(390))).unwrap();
        },
        |stream| {
            let options = AppendOptions::new().id(id(400)).trim(Trim::max_len(3));
            stream.append_with([("a", "b")], options).unwrap();
        },
    ];
    for cut in cuts {
        let disk = FaultDisk::new();
        let (store, stream) = long_stream(&disk);
        cut(&stream);
        let left = seen(&stream);
        disk.take_calls();
        store.step_prepare().unwrap();
        let calls = disk.take_calls();
        let (journal, gone) = (place(&calls, "sync", JOURNAL), place(&calls, "remove", FIRST));
        assert!(journal.is_some() && journal < gone, "{calls:?}");
        die(store);
        let store = open(&disk.power_cut(), Durability::Manual);
        assert_eq!(seen(&stream_of(&store)).first(), left.first());
    }
}

/// Fails if `StreamInner::maintain_log` (src/stream/care.rs) takes away what is below the start of the
/// moment instead of the one that it made durable.
pub(crate) fn invariant_08_a_trim_that_comes_during_the_sync_unlinks_nothing_yet() {
    let disk = FaultDisk::new();
    let (store, stream) = long_stream(&disk);
    stream.trim(Trim::min_id(id(200))).unwrap();
    disk.hold("sync", JOURNAL);
    let preparing = std::thread::spawn({
        let store = store.clone();
        move || store.step_prepare()
    });
    disk.wait_held();
    stream.trim(Trim::min_id(id(390))).unwrap();
    disk.let_go();
    preparing.join().unwrap().unwrap();
    die(store);
    let store = open(&disk.power_cut(), Durability::Manual);
    assert_eq!(seen(&stream_of(&store)), (200..400).collect::<Vec<_>>());
}

/// Fails if `StreamInner::maintain` (src/stream/care.rs) goes on although the journal's sync failed.
pub(crate) fn invariant_08_without_a_durable_start_no_segment_is_unlinked() {
    let disk = FaultDisk::new();
    let (store, stream) = long_stream(&disk);
    stream.trim(Trim::min_id(id(390))).unwrap();
    disk.fail("sync", JOURNAL, EIO);
    disk.take_calls();
    assert!(store.step_prepare().is_err());
    assert_eq!(place(&disk.take_calls(), "remove", FIRST), None);
    die(store);
    let store = open(&disk.power_cut(), Durability::Manual);
    assert_eq!(seen(&stream_of(&store)).len(), 399);
}

/// Fails if `StreamInner::maintain` (src/stream/care.rs) unlinks a segment that a reader has and that
/// is not mapped yet.
pub(crate) fn invariant_08_readers_pin_what_they_read() {
    let disk = FaultDisk::new();
    let (store, _) = long_stream(&disk);
    store.close().unwrap();
    let store = open(&disk.image(), Durability::Manual);
    let stream = stream_of(&store);
    let snapshot = stream.snapshot().unwrap();
    let mut begun = stream.range(..);
    assert_eq!(begun.next().unwrap().unwrap().id(), id(1));
    stream.trim(Trim::max_len(1)).unwrap();
    store.step_prepare().unwrap();
    assert_eq!(stream.info().unwrap().segments, 1);
    assert_eq!(snapshot.range(..).map(Result::unwrap).count(), 399);
    assert_eq!(begun.map(Result::unwrap).count(), 398);
    assert_eq!(seen(&stream), [399]);
}

/// Fails if `Live::drop_below` (src/storage/live.rs) goes to the start of a block, or
/// `Log::take_trimmed` (src/storage/log.rs) takes the segment that holds the first live entry.
pub(crate) fn invariant_08_exact_trims_move_the_first_entry_and_space_returns_by_segments() {
    let disk = FaultDisk::new();
    let (store, stream) = long_stream(&disk);
    let dir = Path::new(DIR).join("streams/1");
    let files = disk.list(&dir).len();
    for first in [2, 3, 50, 51, 200, 398] {
        stream.trim(Trim::min_id(id(first))).unwrap();
        assert_eq!(seen(&stream), (first..400).collect::<Vec<_>>());
        store.step_prepare().unwrap();
        assert_eq!(seen(&stream), (first..400).collect::<Vec<_>>());
        assert_eq!(disk.list(&dir).len() < files, first >= 200, "{first}");
    }
}

/// Fails if a footer that is written in a later life lacks what frames of an earlier one trim
/// (`AppendTrims::new`, src/storage/log/trims.rs): nothing else says it by then.
/// (Planted `frame_trims`.)
pub(crate) fn invariant_08_what_an_append_trimmed_stays_so_when_its_segment_is_sealed_later() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..10);
    let options = AppendOptions::new().id(id(10)).trim(Trim::max_len(3));
    stream.append_with([("a", "b")], options).unwrap();
    let last = (11..).find(|ms| {
        put(&stream, [*ms]);
        stream.info().unwrap().segments == 2
    });
    die(store);
    let disk = disk.image();
    let store = open(&disk, Durability::Manual);
    let stream = stream_of(&store);
    stream.sync().unwrap();
    store.step_prepare().unwrap();
    die(store);
    let store = open(&disk.image(), Durability::Manual);
    assert_eq!(seen(&stream_of(&store)), (8..=last.unwrap()).collect::<Vec<_>>());
    assert_eq!(stream_of(&store).len().unwrap(), last.unwrap() - 7);
}

/// Fails if `StreamInner::trim_dead` (src/stream.rs) does nothing, or takes what lives.
pub(crate) fn invariant_08_segments_without_a_live_entry_go_when_their_deletions_are_durable() {
    let disk = FaultDisk::new();
    let (store, stream) = long_stream(&disk);
    let dir = Path::new(DIR).join("streams/1");
    let files = disk.list(&dir).len();
    assert_eq!(stream.delete((1..300).filter(|ms| *ms != 5).map(id)).unwrap(), 298);
    store.step_prepare().unwrap();
    assert_eq!((disk.list(&dir).len(), seen(&stream)[0]), (files, 5));
    disk.take_calls();
    assert_eq!(stream.delete([id(5)]).unwrap(), 1);
    store.step_prepare().unwrap();
    let calls = disk.take_calls();
    let (journal, gone) = (place(&calls, "sync", JOURNAL), place(&calls, "remove", FIRST));
    assert!(journal.is_some() && journal < gone, "{calls:?}");
    assert!(disk.list(&dir).len() + 2 < files);
    let info = stream.info().unwrap();
    assert_eq!((info.length, info.first_id, info.max_deleted_id), (100, id(300), id(299)));
    die(store);
    let store = open(&disk.power_cut(), Durability::Manual);
    let stream = stream_of(&store);
    assert_eq!(seen(&stream), (300..400).collect::<Vec<_>>());
    assert_eq!(stream.info().unwrap().max_deleted_id, id(299));
    // Down to nothing.
    assert_eq!(stream.delete((300..400).map(id)).unwrap(), 100);
    put(&stream, [400]);
    assert_eq!(stream.delete([id(400)]).unwrap(), 1);
    store.step_prepare().unwrap();
    put(&stream, [401]);
    assert_eq!((seen(&stream), stream.len().unwrap()), (vec![401], 1));
}

/// Fails if `StreamInner::change` (src/stream.rs) appends each event as a record of its own, or if
/// `GroupState::deliver` (src/group/read.rs) leaves the cursor to another event.
pub(crate) fn invariant_09_a_delivery_is_one_event() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..8);
    stream.create_group("g", Start::First).unwrap();
    store.sync().unwrap();
    let before = disk.image();
    let consumer = group_of(&store).consumer("c").unwrap();
    assert_eq!(consumer.read(GroupReadOptions::new()).unwrap().len(), 7);
    let dir = Path::new(DIR).join("state");
    let changed = |path: &std::path::PathBuf| disk.bytes(path) != before.bytes(path);
    let journal = disk.list(&dir).into_iter().find(changed).unwrap();
    let (old, new) = (before.bytes(&journal), disk.bytes(&journal));
    let from = old.iter().zip(&new).position(|(a, b)| a != b).unwrap();
    let to = old.iter().zip(&new).rposition(|(a, b)| a != b).unwrap() + 1;
    let (mut none, mut all) = (0, 0);
    // The record is cut at each of its bytes.
    for cut in from..=to {
        let torn = disk.image();
        torn.scribble(&journal, cut as u64, &old[cut..to]);
        let store = open(&torn, Durability::Manual);
        let group = group_of(&store);
        let info = group.info().unwrap();
        match (info.last_delivered_id, info.pending, info.consumers) {
            (EntryId::MIN, 0, 0) => none += 1,
            (last, 7, 1) if last == id(7) => all += 1,
            other => panic!("cut at {cut}: {other:?}"),
        }
    }
    assert!(none > 8 && all == 1, "{none} {all}");
}

/// Fails if `Delivery` (src/consumer/delivery.rs) acknowledges in a `Drop`.
pub(crate) fn invariant_09_dropping_a_delivery_acknowledges_nothing() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..4);
    let group = stream.create_group("g", Start::First).unwrap();
    let consumer = group.consumer("c").unwrap();
    drop(consumer.read(GroupReadOptions::new()).unwrap());
    assert_eq!(group.pending().unwrap().count, 3);
    drop(consumer.history(EntryId::MIN, 0).unwrap().into_entries());
    assert_eq!(group.pending().unwrap().count, 3);
    drop((consumer, group, stream));
    store.close().unwrap();
    let store = open(&disk.image(), Durability::Manual);
    assert_eq!(group_of(&store).pending().unwrap().count, 3);
}

/// Fails if `Log::synced` (src/storage/log.rs) takes the last of the trims for all of them.
pub(crate) fn invariant_08_the_trims_of_appends_that_share_a_sync_all_take_effect() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Always);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..10);
    disk.hold("sync", FIRST);
    let append = |ms, len| {
        let options = AppendOptions::new().id(id(ms)).trim(Trim::max_len(len));
        let (stream, before) = (stream.clone(), store.health().unsynced_bytes);
        let appender = std::thread::spawn(move || stream.append_with([("a", "b")], options));
        while store.health().unsynced_bytes == before {
            std::thread::yield_now();
        }
        appender
    };
    // The sync that is held is the first one's; the next one is for the two others.
    let first = append(10, 100);
    disk.wait_held();
    let appenders = [first, append(11, 3), append(12, 8)];
    disk.let_go();
    for appender in appenders {
        appender.join().unwrap().unwrap();
    }
    assert_eq!(seen(&stream), [9, 10, 11, 12]);
    die(store);
    assert_eq!(
        seen(&open(&disk.power_cut(), Durability::Always).stream("s").unwrap()),
        [9, 10, 11, 12]
    );
}
