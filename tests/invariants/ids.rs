//! Invariants 1 and 2: IDs only grow; written, durable and published.

use super::disk::{EIO, FaultDisk};
use super::ground::{
    FIRST, at_once, deliver, die, error, id, open, place, put, seen, segment, try_put,
};
use crate::{
    AppendOptions, Durability, EntryId, ErrorKind, NewId, ReadOptions, Start, Store, Stream,
    StreamOptions, Trim,
};
use std::path::Path;

fn refused(stream: &Stream, ms: u64, last: EntryId) {
    let kind = error(try_put(stream, ms)).kind().clone();
    assert!(
        matches!(kind, ErrorKind::IdNotGreater { last: found, .. } if found == last),
        "{ms}: {kind:?}"
    );
}

/// A disk on which the stream's last entries are lost and the journal's records of them are not:
/// what `change` does to entries 1 to 9 is durable, the entries themselves are not.
fn with_lost_entries(change: impl Fn(&Stream)) -> FaultDisk {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    store.sync().unwrap();
    put(&stream, 1..10);
    change(&stream);
    disk.fail("sync", FIRST, EIO);
    assert!(store.sync().is_err());
    die(store);
    disk.power_cut()
}

/// Fails if `StreamState::apply` (src/state.rs) does not raise the floor with `Deleted` or with
/// `Trimmed`, or if `StreamInner::known` (src/stream/recovery.rs) leaves the floor out.
pub(crate) fn invariant_01_ids_increase_over_deletions_and_trims_of_lost_entries() {
    let deleted = with_lost_entries(|stream| {
        stream.delete([id(7)]).unwrap();
    });
    let store = open(&deleted, Durability::Manual);
    let stream = store.stream("s").unwrap();
    assert!(seen(&stream).is_empty());
    refused(&stream, 7, id(7));
    put(&stream, [8]);

    let trimmed = with_lost_entries(|stream| {
        stream.trim(crate::Trim::min_id(id(6))).unwrap();
    });
    let store = open(&trimmed, Durability::Manual);
    let stream = store.stream("s").unwrap();
    assert!(seen(&stream).is_empty());
    refused(&stream, 5, EntryId::new(5, u64::MAX));
    put(&stream, [6]);
    assert_eq!(seen(&stream), [6]);
}

/// Fails if `Log::seal_one` (src/storage/log/seal.rs) puts into a footer what only a record trims:
/// the footer can be durable before the record is, and before the entries that the trim took.
pub(crate) fn invariant_06_a_footer_tells_no_trim_ahead_of_its_record() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    let second = (1..).find(|ms| {
        put(&stream, [*ms]);
        stream.info().unwrap().segments == 2
    });
    let second = second.unwrap();
    store.sync().unwrap();
    put(&stream, second + 1..second + 9);
    stream.trim(crate::Trim::min_id(id(second + 5))).unwrap();
    disk.fail("sync", "/streams/1/0000000001", EIO);
    assert!(store.step_prepare().is_err());
    die(store);
    let store = open(&disk.power_cut(), Durability::Manual);
    let stream = store.stream("s").unwrap();
    assert_eq!(seen(&stream), (1..=second).collect::<Vec<_>>());
    refused(&stream, second, id(second));
    put(&stream, [second + 1]);
    assert_eq!(deliver(&stream, "g").unwrap().len() as u64, second + 1);
}

/// Fails if `StreamInner::known` (src/stream/recovery.rs) leaves `max_delivered` out of the floor.
/// (Planted `floor_without_deliveries`.)
pub(crate) fn invariant_01_ids_increase_over_deliveries_of_lost_entries() {
    let disk = with_lost_entries(|stream| {
        assert_eq!(deliver(stream, "g").unwrap().len(), 9);
    });
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    assert!(seen(&stream).is_empty());
    refused(&stream, 9, id(9));
    put(&stream, [10]);
    // The group was taken back to where the stream ended, so that it skips nothing.
    assert_eq!(deliver(&stream, "g").unwrap(), [10]);
}

/// Fails if `Groups::apply` (src/group/state.rs) counts the position of `GroupCreated` as delivered.
pub(crate) fn invariant_01_positions_that_a_caller_set_are_no_ids() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, [5]);
    let far = Start::After(id(99));
    stream.create_group("created", far).unwrap();
    let set = stream.create_group("set", Start::First).unwrap();
    set.set_id(far).unwrap();
    store.sync().unwrap();
    die(store);
    let store = open(&disk.power_cut(), Durability::Manual);
    let stream = store.stream("s").unwrap();
    assert_eq!(stream.info().unwrap().last_id, id(5));
    put(&stream, [6]);
}

/// Fails if `next_id` (src/id.rs) gives `now-0` for `*` although the clock is behind the last ID,
/// or if `build` (src/storage/recover.rs) leaves the frames' last ID out.
pub(crate) fn invariant_01_ids_increase_though_the_clock_goes_back() {
    let disk = FaultDisk::new();
    disk.set_clock(5_000);
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    let before = stream.append([("a", "b")]).unwrap();
    assert_eq!(before, id(5_000));
    die(store);
    let disk = disk.image();
    disk.set_clock(4_000);
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    let after = stream.append([("a", "b")]).unwrap();
    assert_eq!(after, EntryId::new(5_000, 1));
    // An explicit ID and `ms-*` are bound by the last ID alone, whatever the clock says.
    disk.set_clock(9_000);
    let named = AppendOptions::new().id(NewId::AutoSeq(6_000));
    assert_eq!(stream.append_with([("a", "b")], named).unwrap(), id(6_000));
    assert_eq!(stream.append([("a", "b")]).unwrap(), id(9_000));
    let lower = stream.set_id(id(8_000), None, None);
    let kind = error(lower).kind().clone();
    assert!(matches!(kind, ErrorKind::SetIdTooSmall { .. }), "{kind:?}");
}

/// Fails if `StreamState::apply` (src/state.rs) lets a removal change nothing.
pub(crate) fn invariant_01_a_stream_that_is_made_anew_begins_anew() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    put(&store.stream("s").unwrap(), 1..6);
    assert!(store.remove("s").unwrap());
    put(&store.stream("s").unwrap(), [1]);
    store.sync().unwrap();
    die(store);
    let store = open(&disk.power_cut(), Durability::Manual);
    assert_eq!(seen(&store.stream("s").unwrap()), [1]);
}

/// Fails if `Writer::finish` (src/storage/log/writer.rs) publishes under `Always`, as it does elsewhere.
/// (Planted `early_publish`.)
pub(crate) fn invariant_02_under_always_published_follows_durable() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Always);
    let stream = store.stream("s").unwrap();
    put(&stream, [1]);
    disk.hold("sync", FIRST);
    let appender = {
        let stream = stream.clone();
        std::thread::spawn(move || try_put(&stream, 2))
    };
    disk.wait_held();
    let reader = stream.clone();
    let (ids, len, batch) = at_once("a read", move || {
        let batch = reader.read(Start::First, ReadOptions::new()).unwrap();
        (seen(&reader), reader.len().unwrap(), batch.len())
    });
    assert_eq!((ids, len, batch), (vec![1], 1, 1));
    disk.let_go();
    appender.join().unwrap().unwrap();
    assert_eq!(seen(&stream), [1, 2]);
    let after = open(&disk.power_cut(), Durability::Always);
    assert_eq!(seen(&after.stream("s").unwrap()), [1, 2]);
}

/// Fails if `Writer::finish` (src/storage/log/writer.rs) leaves publishing to the sync at every level.
pub(crate) fn invariant_02_elsewhere_published_follows_written() {
    for level in [Durability::Manual, Durability::EVERY_SECOND] {
        let disk = FaultDisk::new();
        let store = open(&disk, level);
        let stream = store.stream("s").unwrap();
        disk.take_calls();
        put(&stream, [1, 2]);
        assert_eq!(seen(&stream), [1, 2]);
        assert_eq!(stream.durable_id().unwrap(), EntryId::MIN);
        store.sync().unwrap();
        assert_eq!(stream.durable_id().unwrap(), id(2));
    }
}

/// Fails if `Log::be_strict` (src/storage/log.rs) leaves the log as it is, or if `known_durable`
/// takes all that is published for durable from then on.
pub(crate) fn invariant_02_published_follows_durable_from_when_that_is_asked_for() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    store.sync().unwrap();
    put(&stream, [1, 2]);
    disk.hold("sync", FIRST);
    let asking = {
        let store = store.clone();
        let options = StreamOptions::new().durability(Durability::Always);
        std::thread::spawn(move || store.stream_with("s", options).map(drop))
    };
    disk.wait_held();
    let appender = {
        let stream = stream.clone();
        std::thread::spawn(move || try_put(&stream, 3))
    };
    let waits = {
        let stream = stream.clone();
        let options = ReadOptions::new().block_forever();
        std::thread::spawn(move || stream.read(Start::After(id(2)), options).map(|b| b.len()))
    };
    let reader = stream.clone();
    let (ids, durable) = at_once("a read", move || {
        while reader.inner().open_log().is_some_and(|log| log.written() == log.span().published) {
            std::thread::yield_now();
        }
        (seen(&reader), reader.durable_id().unwrap())
    });
    assert_eq!((ids, durable), (vec![1, 2], EntryId::MIN));
    disk.let_go();
    asking.join().unwrap().unwrap();
    assert!(stream.durable_id().unwrap() >= id(2));
    assert_eq!(appender.join().unwrap().unwrap(), id(3));
    assert_eq!((seen(&stream), stream.durable_id().unwrap()), (vec![1, 2, 3], id(3)));
    assert_eq!(at_once("who waits", move || waits.join().unwrap()).unwrap(), 1);
    let after = open(&disk.power_cut(), Durability::Always);
    assert_eq!(seen(&after.stream("s").unwrap()), [1, 2, 3]);
}

/// Fails if `Commit::lead` (src/commit.rs) takes the target of a sync when the sync is over.
/// (Planted `late_target`.)
pub(crate) fn invariant_02_a_sync_covers_what_was_written_before_it_began() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    // The record of the stream's creation is not to ask for a sync of its own below.
    store.sync().unwrap();
    put(&stream, [1]);
    disk.hold("sync", FIRST);
    let syncing = {
        let stream = stream.clone();
        std::thread::spawn(move || stream.wait_durable(id(1)))
    };
    disk.wait_held();
    let writer = stream.clone();
    at_once("an append", move || put(&writer, [2]));
    disk.let_go();
    syncing.join().unwrap().unwrap();
    assert_eq!(stream.durable_id().unwrap(), id(1));
    die(store);
    let after = open(&disk.power_cut(), Durability::Manual);
    assert_eq!(seen(&after.stream("s").unwrap()), [1]);
}

/// Fails if `write_footer` (src/storage/log/seal.rs) puts the footer below the end of the frames.
pub(crate) fn invariant_02_published_bytes_never_change() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..20);
    let before = disk.bytes(&segment(1, 0));
    let end = stream.info().unwrap().bytes as usize;
    put(&stream, 20..200);
    stream.delete([id(3)]).unwrap();
    stream.trim(crate::Trim::min_id(id(5))).unwrap();
    store.sync().unwrap();
    store.step_prepare().unwrap();
    assert!(stream.info().unwrap().segments > 2);
    let after = disk.bytes(&segment(1, 0));
    assert_eq!(before[..end], after[..end]);
}

/// Fails if what an append trims goes at once (`Appender::trims`, src/storage/log/writer.rs) and not
/// together with the moment when its entry can be seen.
pub(crate) fn invariant_02_under_always_a_trim_shows_with_the_entry_that_brought_it() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Always);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..4);
    disk.hold("sync", FIRST);
    let appending = std::thread::spawn({
        let stream = stream.clone();
        move || {
            let options = AppendOptions::new().id(id(4)).trim(Trim::max_len(1));
            stream.append_with([("a", "b")], options)
        }
    });
    disk.wait_held();
    assert_eq!((seen(&stream), stream.len().unwrap()), (vec![1, 2, 3], 3));
    disk.let_go();
    appending.join().unwrap().unwrap();
    assert_eq!((seen(&stream), stream.len().unwrap()), (vec![4], 1));
    assert_eq!(stream.info().unwrap().first_id, id(4));
}

/// Fails if a checkpoint takes in what an append trims before the append is on disk
/// (`StreamState::recorded`, src/state.rs): pages of the journal may be written before the log's.
pub(crate) fn invariant_06_a_trim_is_not_written_down_before_the_entry_that_brought_it() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..4);
    store.sync().unwrap();
    let options = AppendOptions::new().id(id(4)).trim(Trim::max_len(1));
    stream.append_with([("a", "b")], options).unwrap();
    disk.hold("sync", FIRST);
    let checkpoint = std::thread::spawn({
        let store = store.clone();
        move || store.step_checkpoint()
    });
    disk.wait_held();
    let cut = disk.power_cut();
    for path in disk.list(Path::new("/store/state")) {
        cut.scribble(&path, 0, &disk.bytes(&path));
    }
    disk.let_go();
    checkpoint.join().unwrap().unwrap();
    let store = open(&cut, Durability::Manual);
    assert_eq!(seen(&store.stream("s").unwrap()), [1, 2, 3]);
    let store = open(&disk.power_cut(), Durability::Manual);
    assert_eq!(seen(&store.stream("s").unwrap()), [4]);
}

/// Fails if `StreamInner::take_trimmed` (src/stream/care.rs) records the start before the entry that
/// brought it is on disk.
pub(crate) fn invariant_06_segments_go_by_a_trim_whose_entry_comes_before_its_record() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..151);
    store.sync().unwrap();
    store.step_prepare().unwrap();
    let options = AppendOptions::new().id(id(151)).trim(Trim::max_len(1));
    stream.append_with([("a", "b")], options).unwrap();
    disk.hold("sync", FIRST);
    let preparing = std::thread::spawn({
        let store = store.clone();
        move || store.step_prepare()
    });
    disk.wait_held();
    let cut = disk.power_cut();
    for path in disk.list(Path::new("/store/state")) {
        cut.scribble(&path, 0, &disk.bytes(&path));
    }
    disk.let_go();
    preparing.join().unwrap().unwrap();
    assert_eq!(stream.info().unwrap().segments, 1);
    let store = open(&cut, Durability::Manual);
    assert_eq!(seen(&store.stream("s").unwrap()).len(), 150);
}
