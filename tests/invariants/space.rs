//! Invariants 3 and 4: a full disk; how a log ends after a crash, and what damage is.

use super::disk::{ENOSPC, FaultDisk};
use super::ground::{
    FIRST, JOURNAL, deliver, die, error, id, is_full, open, open_with, options, put, seen, segment,
    try_put,
};
use crate::{
    ClaimOptions, Durability, EntryId, Error, ErrorKind, GroupReadOptions, NewEntries, OnDamage,
    PendingFilter, Start, Store, Stream, StreamOptions, Trim,
};
use std::path::Path;
use std::time::Duration;

/// Fails if `Log::poison_if_sync` (src/storage/log.rs) poisons for any error, or if
/// `Log::make_next` (src/storage/log/next.rs) ends the running segment before it has the new one.
pub(crate) fn invariant_03_on_a_full_disk_an_append_changes_nothing() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..10);
    assert_eq!(deliver(&stream, "g").unwrap().len(), 9);
    disk.fail("allocate", FIRST, ENOSPC);
    let full = (10..).find(|ms| try_put(&stream, *ms).is_err()).unwrap();
    let (before, files) = (stream.info().unwrap(), disk.list(Path::new("/store/streams/1")));
    assert!(is_full(try_put(&stream, full)));
    let mut batch = NewEntries::new();
    for ms in full..full + 30 {
        batch.push_with(id(ms), [("v", "x".repeat(100))]).unwrap();
    }
    assert!(is_full(stream.append_batch(&batch)));
    let after = stream.info().unwrap();
    assert_eq!(format!("{before:?}"), format!("{after:?}"));
    assert_eq!(disk.list(Path::new("/store/streams/1")), files);
    assert_eq!(seen(&stream), (1..full).collect::<Vec<_>>());
    // What is smaller than what is left of the segment still fits.
    let small = crate::AppendOptions::new().id(id(full));
    stream.append_with([("a", "b")], small).unwrap();
    // Nothing is poisoned: acknowledgements, trims and syncs go on, and appends when there is room.
    let group = stream.get_group("g").unwrap().unwrap();
    assert_eq!(group.ack([id(1), id(2)]).unwrap(), 2);
    assert_eq!(stream.trim(Trim::min_id(id(3))).unwrap(), 2);
    store.sync().unwrap();
    assert_eq!(store.health().poisoned_streams, []);
    disk.heal();
    put(&stream, full + 1..full + 100);
    store.sync().unwrap();
    die(store);
    let store = open(&disk.power_cut(), Durability::Manual);
    let stream = store.stream("s").unwrap();
    assert_eq!(seen(&stream), (3..full + 100).collect::<Vec<_>>());
}

/// Fails if `StreamInner::make_segment` or `hand_over` (src/stream/care.rs) hands a segment over
/// again that could not be made, behind which nothing makes room, if `Log::make_due`
/// (src/storage/log/next.rs) fails for one that nobody misses, or if `Shared::relieve`
/// (src/store/rest.rs) finds no room where there is some.
pub(crate) fn invariant_03_who_finds_no_room_leaves_it_to_who_makes_some() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    let (shared, inner) = (store.shared(), stream.inner());
    let due = || inner.open_log().unwrap().is_segment_due();
    let mut times = 1..;
    let mut put_until_due = || {
        while !due() {
            put(&stream, times.next());
        }
    };
    put_until_due();
    disk.fail("allocate", "/streams/1/", ENOSPC);
    assert!(is_full(inner.make_segment(shared).map(drop)));
    let (files, jobs) = crossbeam_channel::bounded(4);
    shared.kick.files_to(files);
    // However often: each failure asks for a pass over all streams.
    for _ in 0..3 {
        assert!(!inner.hand_over(shared, true), "it cannot make it, and was asked again");
        assert!(is_full(store.step_prepare()));
    }
    disk.heal();
    assert!(due());
    store.step_prepare().unwrap();
    assert!(!inner.hand_over(shared, false), "a slow one is handed over");
    assert!(inner.hand_over(shared, true), "it could be made again");
    assert!(inner.hand_over(shared, false), "it is handed over already");
    assert_eq!(jobs.len(), 1);
    while inner.make_segment(shared).unwrap() {}
    // As many puts as it takes until one is due although another one is ready.
    let spared = (0..1_000).any(|_| {
        put_until_due();
        disk.fail("allocate", "/streams/1/", ENOSPC);
        let made = inner.make_segment(shared);
        disk.heal();
        match made {
            Ok(more) => !more && !due(),
            Err(error) => {
                assert!(error.is_full(), "{error}");
                while inner.make_segment(shared).unwrap() {}
                false
            }
        }
    });
    assert!(spared, "it always failed");
    // What another log has ready beside its next one is room as well, but once.
    let several = (0..1_000).any(|_| {
        put_until_due();
        let before = disk.list(Path::new("/store/streams/1")).len();
        while inner.make_segment(shared).unwrap() {}
        disk.list(Path::new("/store/streams/1")).len() > before + 1
    });
    assert!(several, "it never had more than one ready");
    let full = Error::new(ErrorKind::StorageFull { needed: 1 });
    let files = disk.list(Path::new("/store/streams/1")).len();
    assert!(shared.relieve(&full));
    assert!(disk.list(Path::new("/store/streams/1")).len() < files);
    assert!(!shared.relieve(&full));
    store.close().unwrap();
}

/// Fills the state until no more of it fits into a journal that cannot grow.
fn fill_journal(disk: &FaultDisk, stream: &Stream) {
    let group = stream.get_group("g").unwrap().unwrap();
    disk.fail("allocate", JOURNAL, ENOSPC);
    // Long names first, then short ones, until not even a few bytes are left.
    for width in [250, 1] {
        let full = (1..5_000).find_map(|n| group.create_consumer(format!("{n:0width$}")).err());
        assert!(is_full(full.map_or(Ok(()), Err)));
    }
}

/// Fails if `Journal::append` (src/journal.rs) does not look whether a record that grows the state
/// leaves room (`tight`); then a checkpoint does not fit, and acks and trims fail.
pub(crate) fn invariant_03_with_a_full_journal_acks_trims_and_reads_still_work() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..3_000);
    assert_eq!(deliver(&stream, "g").unwrap().len(), 2_999);
    fill_journal(&disk, &stream);
    let group = stream.get_group("g").unwrap().unwrap();
    let mut most = 0;
    for ms in 1..2_999 {
        assert_eq!(group.ack([id(ms)]).unwrap(), 1, "{ms}");
        assert_eq!(stream.trim(Trim::min_id(id(ms + 1))).unwrap(), 1, "{ms}");
        most = most.max(disk.take_calls().len());
    }
    // All that did not fit behind the last checkpoint, so others were written.
    assert!(most > 3, "no checkpoint was written");
    assert_eq!(seen(&stream), [2_999]);
    assert_eq!(store.health().poisoned, None);
    store.sync().unwrap();
    die(store);
    let store = open(&disk.power_cut(), Durability::Manual);
    let group = store.stream("s").unwrap().get_group("g").unwrap().unwrap();
    assert_eq!(group.pending().unwrap().count, 1);
}

/// Fails if `Event::spare` (src/format/event.rs) sets nothing aside.
pub(crate) fn invariant_03_acks_that_tear_runs_apart_still_fit_into_a_checkpoint() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    let group = stream.create_group("g", Start::First).unwrap();
    // IDs that follow each other, which take next to nothing as long as all are pending.
    let ids = |from: u64| (from..from + 50).map(|seq| EntryId::new(1, seq));
    for part in 0..4_000 {
        let mut batch = NewEntries::new();
        for id in ids(part * 50 + 1) {
            batch.push_with(id, [("a", "b")]).unwrap();
        }
        stream.append_batch(&batch).unwrap();
    }
    let delivery = group.consumer("c").unwrap().read(GroupReadOptions::new()).unwrap();
    assert_eq!(delivery.len(), 200_000);
    drop(delivery);
    fill_journal(&disk, &stream);
    for part in 0..4_000 {
        assert_eq!(group.ack(ids(part * 50 + 1).step_by(3)).unwrap(), 17, "{part}");
    }
    store.step_checkpoint().unwrap();
    assert_eq!(group.pending().unwrap().count, 132_000);
}

/// Fails if `create_group_with` (src/consumer.rs), or for a new consumer `look`, `look_back`
/// (src/consumer/read.rs), `claim_any` or `auto_claim_any` (src/consumer/claim.rs), say that they do
/// not grow the state.
pub(crate) fn invariant_03_with_a_full_journal_what_grows_the_state_changes_nothing() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..4);
    deliver(&stream, "g").unwrap();
    put(&stream, 4..12);
    fill_journal(&disk, &stream);
    let group = stream.get_group("g").unwrap().unwrap();
    let consumer = group.consumer("c").unwrap();
    let state = || {
        let pending = group.pending_range(.., PendingFilter::new().count(100)).unwrap();
        let ids: Vec<_> = pending.into_iter().map(|one| one.id).collect();
        (ids, group.info().unwrap().last_delivered_id, stream.groups().unwrap().len())
    };
    let before = state();
    // A long name, so that it is not the last few bytes that decide.
    let name = "n".repeat(250);
    assert!(is_full(stream.create_group(&name, Start::First)));
    let mut refused = 0;
    while !is_refused(consumer.read(GroupReadOptions::new().count(1))) {
        refused += 1;
        assert!(refused < 8, "deliveries find room without an end");
    }
    let before = if refused > 0 { state() } else { before };
    let force = ClaimOptions::new(Duration::ZERO).force();
    let other = group.consumer(&name).unwrap();
    assert!(is_full(other.claim_with([id(5)], force)));
    // Nothing is found, but the consumer itself would be new.
    assert!(is_full(other.claim([id(99)], Duration::ZERO)));
    assert!(is_full(other.auto_claim(id(99), Duration::ZERO, 1)));
    assert!(is_full(other.history(id(99), 0)));
    group.set_id(Start::Last).unwrap();
    assert!(is_full(other.read(GroupReadOptions::new())));
    group.set_id(Start::After(before.1)).unwrap();
    assert_eq!(state(), before);
    disk.heal();
    assert_eq!(consumer.read(GroupReadOptions::new()).unwrap().len(), 8 - refused);
    stream.create_group(&name, Start::First).unwrap();
}

fn is_refused(result: crate::Result<crate::Delivery>) -> bool {
    match result {
        Ok(delivery) => {
            assert_eq!(delivery.len(), 1);
            false
        }
        result => is_full(result),
    }
}

/// Where the value of an entry lies in its segment.
fn value_at(disk: &FaultDisk, path: &Path, ms: u64) -> u64 {
    let bytes = disk.bytes(path);
    let value = ms.to_string().repeat(20);
    let at = bytes.windows(value.len()).position(|w| w == value.as_bytes());
    at.unwrap() as u64
}

/// A stream with entries 11 to 19 on disk and 20 to 24 not, of a process that died.
fn unclean() -> FaultDisk {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    // Small blocks, because reading goes on with the next one behind a damaged frame.
    let blocks = StreamOptions::new().segment_bytes(8192).block_entries(4);
    let stream = store.stream_with("s", blocks).unwrap();
    put(&stream, 11..20);
    store.sync().unwrap();
    put(&stream, 20..25);
    die(store);
    disk.image()
}

/// Fails if `build` (src/storage/recover.rs) continues a segment with bytes behind its last frame
/// that are not zero, or if `end_as_recorded` believes frames behind the recorded end.
/// (Planted `nonzero_tail`.)
pub(crate) fn invariant_04_nothing_behind_a_torn_tail_comes_back() {
    // The last frame, and one with good frames behind it.
    for torn in [24, 22] {
        let disk = unclean();
        let path = segment(1, 0);
        let at = value_at(&disk, &path, torn);
        disk.scribble(&path, at, b"torn");
        let bytes = disk.bytes(&path);
        let store = open(&disk, Durability::Manual);
        let stream = store.stream("s").unwrap();
        assert_eq!(seen(&stream), (11..torn).collect::<Vec<_>>());
        let cut = store.recovery().streams[0].cut.clone().unwrap();
        assert!(cut.path == path && cut.offset < at && cut.bytes > 0);
        assert_eq!(cut.frames_behind, torn == 22);
        put(&stream, 30..35);
        store.sync().unwrap();
        // The torn bytes are where they were, and what came later is in another segment.
        assert_eq!(disk.bytes(&path), bytes);
        assert_eq!(stream.info().unwrap().segments, 2);
        let left: Vec<_> = (11..torn).chain(30..35).collect();
        // What could not be read once may be whole the next time.
        let healed = disk.power_cut();
        store.step_prepare().unwrap();
        die(store);
        let whole = torn.to_string().repeat(20);
        healed.scribble(&path, at, &whole.as_bytes()[..4]);
        for disk in [disk.power_cut(), healed] {
            let store = open(&disk, Durability::Manual);
            assert_eq!(seen(&store.stream("s").unwrap()), left);
            store.close().unwrap();
        }
    }
}

/// Fails if `build` (src/storage/recover.rs) continues no segment.
pub(crate) fn invariant_04_a_segment_with_nothing_behind_its_frames_is_continued() {
    let store = open(&unclean(), Durability::Manual);
    let stream = store.stream("s").unwrap();
    assert_eq!(store.recovery().streams[0].cut, None);
    put(&stream, [30]);
    assert_eq!(stream.info().unwrap().segments, 1);
    let left: Vec<_> = (11..25).chain([30]).collect();
    assert_eq!(seen(&stream), left);
}

/// Fails if `find_end` (src/storage/recover/end.rs) cuts at a bad frame below the durable position,
/// or if `build` continues a segment that has holes.
pub(crate) fn invariant_04_damage_is_refused_or_skipped_and_never_cut() {
    let disk = unclean();
    let path = segment(1, 0);
    let at = value_at(&disk, &path, 14);
    disk.scribble(&path, at, b"damage");
    let bytes = disk.bytes(&path);
    let store = open(&disk, Durability::Manual);
    let refused = error(store.stream("s"));
    assert!(refused.is_corruption() && !refused.is_retryable(), "{refused}");
    die(store);
    let skip = options(Durability::Manual).on_damage(OnDamage::Skip);
    let disk = disk.image();
    let store = open_with(&disk, &skip).unwrap();
    let stream = store.stream("s").unwrap();
    let gaps = &store.recovery().streams[0].gaps;
    assert!(gaps.len() == 1 && gaps[0].from < at && at < gaps[0].to, "{gaps:?}");
    let left = seen(&stream);
    assert!(left.starts_with(&[11, 12, 13]) && !left.contains(&14));
    assert!(left.ends_with(&[20, 21, 22, 23, 24]), "{left:?}");
    put(&stream, [30]);
    store.sync().unwrap();
    assert_eq!(stream.info().unwrap().segments, 2);
    assert_eq!(disk.bytes(&path), bytes);
}

/// Fails if the checksum of a frame's header does not cover the ID of the block that it begins.
/// (Planted `crc_without_id`.)
pub(crate) fn invariant_04_an_id_that_changed_is_damage() {
    let disk = unclean();
    let path = segment(1, 0);
    let block: Vec<u8> = [15u64, 0, 4].iter().flat_map(|number| number.to_le_bytes()).collect();
    let at = disk.bytes(&path).windows(block.len()).position(|bytes| bytes == block).unwrap();
    // Between the entries before it and behind it, so that nothing else tells.
    disk.scribble(&path, at as u64 + 8, &[7]);
    let store = open(&disk, Durability::Manual);
    assert!(error(store.stream("s")).is_corruption());
    die(store);
    let skip = options(Durability::Manual).on_damage(OnDamage::Skip);
    let store = open_with(&disk.image(), &skip).unwrap();
    assert!(!seen(&store.stream("s").unwrap()).contains(&15));
}

/// Fails if a frame that fails its checks tells how far the log was durable: what was torn then
/// counts as damage, and the store is refused after a mere loss of power.
/// (Planted `durable_from_bad_frame`.)
pub(crate) fn invariant_04_a_torn_frame_says_nothing_of_what_was_durable() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 11..15);
    // The record of the stream, so that the next sync is the log's alone.
    store.sync().unwrap();
    put(&stream, 15..20);
    let path = segment(1, 0);
    disk.hold("sync", ".seg$");
    let syncing = std::thread::spawn({
        let stream = stream.clone();
        move || stream.sync().unwrap()
    });
    disk.wait_held();
    // Not covered by that sync, of which the next one tells.
    put(&stream, [20]);
    disk.let_go();
    assert_eq!(syncing.join().unwrap(), id(19));
    put(&stream, [21]);
    die(store);
    let disk = disk.image();
    let torn = value_at(&disk, &path, 20);
    let behind = (torn + 100).next_multiple_of(8) + 13;
    assert!(disk.bytes(&path)[behind as usize] > 0, "it tells nothing");
    disk.scribble(&path, torn, b"torn");
    // So near that all in front of it was durable, the torn one too.
    disk.scribble(&path, behind, &[0]);
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    assert_eq!(seen(&stream), (11..20).collect::<Vec<_>>());
    assert_eq!(store.recovery().streams[0].gaps, []);
}
