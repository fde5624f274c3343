//! C1 to C5: what an `Ok` stands for, which entries are there after a crash, and who sees them when.

use super::{left_by_a_cut, small_blocks, whole};
use crate::disk::{FaultDisk, LONG};
use crate::ground::{
    DIR, FIRST, at_once, deliver, die, error, id, open, options, put, seen, segment, try_put,
};
use crate::{
    AppendOptions, BatchOptions, Durability, EntryId, ErrorKind, GroupReadOptions, NewEntries,
    ReadOptions, Start,
};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// No background thread runs, and no timer of it: what is synced is what the calls sync.
const HOURLY: Duration = Duration::from_secs(3600);
const CAP: u64 = 2000;
const CAPPED: Durability = Durability::Interval { every: HOURLY, max_unsynced_bytes: CAP };

fn all(to: u64) -> Vec<u64> {
    (1..=to).collect()
}

fn batch(ids: RangeInclusive<u64>) -> NewEntries {
    let mut batch = NewEntries::new();
    for ms in ids {
        let value = ms.to_string().repeat(100 / ms.to_string().len());
        batch.push_with(id(ms), [("v", value)]).unwrap();
    }
    batch
}

/// What is there of the stream after a crash.
fn after(disk: &FaultDisk) -> Vec<u64> {
    let store = open(disk, Durability::Manual);
    let found = store.get("s").unwrap().map_or_else(Vec::new, |stream| whole(&stream));
    die(store);
    found
}

/// When a process is killed, every entry whose append returned is kept under every level.
/// Fails if `Writer::store` (src/storage/log/writer.rs) keeps the end of a frame to itself.
pub(crate) fn contract_c01_a_killed_process_loses_no_entry_at_any_level() {
    for level in [Durability::Always, CAPPED, Durability::default(), Durability::Manual] {
        let disk = FaultDisk::new();
        let store = open(&disk, level);
        let stream = store.stream("s").unwrap();
        for ms in 1..=150 {
            put(&stream, [ms]);
            if ms % 25 == 0 {
                assert_eq!(after(&disk.image()), all(ms), "{level:?}");
            }
        }
        stream.append_batch(&batch(151..=160)).unwrap();
        assert!(stream.info().unwrap().segments > 1);
        assert_eq!(after(&disk.image()), all(160), "{level:?}");
        die(store);
    }
}

/// When the power fails, `Always` and a durable append keep every entry that returned.
/// (Planted `segment_sync`.)
pub(crate) fn contract_c01_a_power_cut_takes_no_entry_that_was_to_be_durable() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Always);
    let stream = store.stream("s").unwrap();
    for ms in 1..=150 {
        put(&stream, [ms]);
        if ms % 10 == 0 {
            assert_eq!(after(&disk.power_cut()), all(ms));
        }
    }
    stream.append_batch(&batch(151..=160)).unwrap();
    assert_eq!(after(&disk.power_cut()), all(160));
    die(store);

    // Asked of one call, it is so under any level, for all entries before it too.
    for level in [CAPPED, Durability::Manual] {
        let disk = FaultDisk::new();
        let store = open(&disk, level);
        let stream = store.stream("s").unwrap();
        put(&stream, 1..5);
        let options = BatchOptions::new().durable();
        stream.append_batch_with(&batch(5..=6), options).unwrap();
        assert_eq!(after(&disk.power_cut()), all(6), "{level:?}");
        put(&stream, [7]);
        let fields = [("v", "8".repeat(100))];
        stream.append_with(fields, AppendOptions::new().id(id(8)).durable()).unwrap();
        assert_eq!(after(&disk.power_cut()), all(8), "{level:?}");
        die(store);
    }
}

/// When the power fails, `Manual` keeps all from before the last `sync`, and `Interval` all but
/// what its number of bytes allows; the default is an interval of one second and 8 MiB.
/// (Planted `segment_sync`.)
pub(crate) fn contract_c01_a_power_cut_takes_no_more_than_the_level_allows() {
    let mib = Durability::Interval { every: Duration::from_secs(1), max_unsynced_bytes: 8 << 20 };
    assert_eq!(Durability::default(), mib);

    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    for n in 1..=6 {
        put(&stream, 30 * n - 29..=30 * n - 10);
        store.sync().unwrap();
        put(&stream, 30 * n - 9..=30 * n);
        assert!(after(&disk.power_cut()).len() as u64 >= 30 * n - 10);
    }
    die(store);

    let disk = FaultDisk::new();
    let store = open(&disk, CAPPED);
    let stream = store.stream("s").unwrap();
    store.sync().unwrap();
    let mut lost_any = false;
    for ms in 1..=150 {
        put(&stream, [ms]);
        let lost = ms - after(&disk.power_cut()).len() as u64;
        assert!(lost * 100 <= CAP, "{lost} of {ms} entries");
        lost_any |= lost > 0;
    }
    assert!(lost_any, "nothing was left to the interval");
    store.step_sync().unwrap();
    assert_eq!(after(&disk.power_cut()), all(150));
    die(store);
}

/// Under `Interval` a sync comes by itself, and what it covered outlasts a power cut.
/// Fails if `interval` (src/worker.rs) finds none.
pub(crate) fn contract_c01_an_interval_syncs_by_itself() {
    let disk = FaultDisk::new();
    let every = Duration::from_millis(1);
    let level = Durability::Interval { every, max_unsynced_bytes: 8 << 20 };
    let store = options(level).start(Arc::new(disk.clone()), Path::new(DIR), true).unwrap();
    let stream = store.stream("s").unwrap();
    put(&stream, 1..=20);
    let began = Instant::now();
    while stream.durable_id().unwrap() < id(20) {
        assert!(began.elapsed() < LONG, "no sync comes");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(after(&disk.power_cut()), all(20));
    store.close().unwrap();
}

/// After any crash the log is, byte for byte, the first so many entries in the order in which they
/// were appended, and at least those that the level keeps.
/// (Planted `hole`, `body_unchecked`.)
pub(crate) fn contract_c02_after_any_crash_the_log_is_a_prefix() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..=20);
    store.sync().unwrap();
    put(&stream, 21..=150);
    assert!(stream.info().unwrap().segments > 2);
    let (mut least, mut most) = (u64::MAX, 0);
    for left in left_by_a_cut(&disk, 200) {
        let found = after(&left);
        let count = found.len() as u64;
        assert_eq!(found, all(count));
        assert!((20..=150).contains(&count), "{count}");
        (least, most) = (least.min(count), most.max(count));
    }
    // Otherwise these were no cuts.
    assert_eq!((least, most), (20, 150));
    die(store);
}

/// What one opening gave, every later one gives, however soon the power fails again.
/// (Planted `recovery_sync`.)
pub(crate) fn contract_c03_what_an_opening_gave_stays() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..=20);
    store.sync().unwrap();
    put(&stream, 21..=110);
    die(store);
    // Killed, so that all of it is in memory still, and then cut from the power.
    let disk = disk.next_life();
    assert_eq!(after(&disk), all(110));
    let disk = disk.power_cut();
    assert_eq!(after(&disk), all(110));
    assert_eq!(after(&disk.power_cut()), all(110));
}

/// What an opening cut off never comes back, not even if its bytes can be read again.
/// (Planted `nonzero_tail`.)
pub(crate) fn contract_c03_what_an_opening_cut_stays_away() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..=9);
    store.sync().unwrap();
    put(&stream, 21..=25);
    die(store);
    let file = segment(1, 0);
    let whole_file = disk.bytes(&file);
    let of = |ms: u64| {
        let text = ms.to_string().repeat(20);
        whole_file.windows(text.len()).position(|bytes| bytes == text.as_bytes()).unwrap()
    };
    for torn in [21, 23, 25] {
        let disk = disk.image();
        disk.scribble(&file, of(torn) as u64, &[0; 8]);
        let kept: Vec<_> = (1..=9).chain(21..torn).collect();
        assert_eq!(after(&disk), kept);
        let store = open(&disk, Durability::Manual);
        // As long as those that were cut, so that one frame could follow the other.
        put(&store.stream("s").unwrap(), 30..=31);
        store.sync().unwrap();
        die(store);
        let want: Vec<_> = kept.into_iter().chain([30, 31]).collect();
        let readable = disk.power_cut();
        readable.scribble(&file, of(torn) as u64, &torn.to_string().repeat(4).as_bytes()[..8]);
        for disk in [disk.power_cut(), readable] {
            assert_eq!(after(&disk), want, "{torn}");
            assert_eq!(after(&disk), want, "{torn}, once more");
        }
    }
}

/// A batch is there in full after a crash or not at all, wherever in it the crash comes.
/// (Planted `commit_ignored`, `commit_always`.)
pub(crate) fn contract_c04_after_any_crash_a_batch_is_whole_or_not_there() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream_with("s", small_blocks()).unwrap();
    put(&stream, 1..=4);
    store.sync().unwrap();
    stream.append_batch(&batch(5..=20)).unwrap();
    let mut counts = [0, 0];
    for left in left_by_a_cut(&disk, if cfg!(debug_assertions) { 32 } else { 8 }) {
        let found = after(&left);
        assert!(found == all(4) || found == all(20), "{found:?}");
        counts[usize::from(found.len() > 4)] += 1;
    }
    assert!(counts[0] > 50 && counts[1] > 0, "{counts:?}");
    die(store);
}

/// Readers see a batch in full or not at all.
/// Fails if `Appender::append_batch` (src/storage/log/writer.rs) publishes each of its frames.
pub(crate) fn contract_c04_readers_see_a_batch_whole_or_not_at_all() {
    for level in [Durability::Manual, Durability::Always] {
        let disk = FaultDisk::new();
        let store = open(&disk, level);
        let stream = store.stream_with("s", small_blocks()).unwrap();
        put(&stream, 1..=2);
        let looks = Arc::new(AtomicU64::new(0));
        // Looked at in the middle of the append, whenever it has stored something or shown it.
        for (n, step) in ["stored", "written"].into_iter().enumerate() {
            let (looks, reader) = (Arc::clone(&looks), stream.clone());
            disk.meanwhile(step, move || {
                let seen = whole(&reader);
                assert!(seen.len() % 16 == 2, "{seen:?}");
                looks.fetch_add(1, Ordering::Relaxed);
            });
            let first = 3 + 16 * n as u64;
            stream.append_batch(&batch(first..=first + 15)).unwrap();
        }
        disk.meanwhile("none", || ());
        assert!(looks.load(Ordering::Relaxed) >= 2);
        assert_eq!(whole(&stream), all(34));
        die(store);
    }
}

/// A batch lies in one segment; one that fits into none is refused, and nothing of it is there.
/// Fails if `Appender::batch_size` (src/storage/log/writer.rs) asks for the first entry alone.
pub(crate) fn contract_c04_a_batch_lies_in_one_segment() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream_with("s", small_blocks()).unwrap();
    // With an end of its own: what follows it in the file, a checksum perhaps, may look like a digit.
    let text = |ms: u64| format!("<{ms:0100}>");
    let numbered = |ids: RangeInclusive<u64>| {
        let mut batch = NewEntries::new();
        ids.for_each(|ms| batch.push_with(id(ms), [("v", text(ms))]).unwrap());
        batch
    };
    for first in (1..600).step_by(23) {
        stream.append_batch(&numbered(first..=first + 3)).unwrap();
        let ids = first + 4..=first + 22;
        stream.append_batch(&numbered(ids.clone())).unwrap();
        let files = disk.list(Path::new("/store/streams/1"));
        let holds_any = |path: &&PathBuf| {
            let bytes = disk.bytes(path);
            let all = String::from_utf8_lossy(&bytes);
            ids.clone().any(|ms| all.contains(&text(ms)))
        };
        assert_eq!(files.iter().filter(holds_any).count(), 1, "{ids:?}");
    }
    let info = stream.info().unwrap();
    assert!(info.segments > 5);
    let refused = error(stream.append_batch(&numbered(1_000..=1_100)));
    assert!(matches!(refused.kind(), ErrorKind::BatchTooLarge { max, .. } if *max <= 8192));
    assert_eq!(format!("{:?}", stream.info().unwrap()), format!("{info:?}"));
    put(&stream, [1_000]);
    assert_eq!(stream.len().unwrap(), info.length + 1);
}

/// Under `Always` an entry is seen only when it is durable: nobody, no group either, acts on what a
/// power cut can undo.
/// (Planted `early_publish`.)
pub(crate) fn contract_c05_under_always_nobody_sees_what_is_not_durable() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Always);
    let stream = store.stream("s").unwrap();
    put(&stream, [1]);
    assert_eq!(deliver(&stream, "g").unwrap(), [1]);
    disk.hold("sync", FIRST);
    let appending = stream.clone();
    let appender = std::thread::spawn(move || try_put(&appending, 2));
    disk.wait_held();
    let reader = stream.clone();
    at_once("reading", move || {
        assert_eq!(seen(&reader), [1]);
        assert_eq!(reader.get(id(2)).unwrap(), None);
        assert_eq!(reader.len().unwrap(), 1);
        let after = Start::After(id(1));
        assert!(reader.read(after, ReadOptions::new()).unwrap().is_empty());
        assert_eq!(deliver(&reader, "g").unwrap(), []);
        assert_eq!(reader.durable_id().unwrap(), id(1));
    });
    disk.let_go();
    appender.join().unwrap().unwrap();
    assert_eq!(deliver(&stream, "g").unwrap(), [2]);
    assert_eq!(stream.durable_id().unwrap(), id(2));
    assert_eq!(after(&disk.power_cut()), [1, 2]);
}

/// Under the other levels an entry is seen at once; `durable_id` tells how far a power cut takes
/// nothing, and `wait_durable` waits until that is so of an entry.
/// (Planted `segment_sync`.)
pub(crate) fn contract_c05_elsewhere_it_can_be_asked_what_is_durable() {
    for level in [CAPPED, Durability::Manual] {
        let disk = FaultDisk::new();
        let store = open(&disk, level);
        let stream = store.stream("s").unwrap();
        let group = stream.create_group("g", Start::First).unwrap();
        store.sync().unwrap();
        put(&stream, 1..=3);
        assert_eq!(stream.durable_id().unwrap(), EntryId::MIN);
        assert_eq!(seen(&stream), [1, 2, 3]);
        let delivery = group.consumer("c").unwrap().read(GroupReadOptions::new().count(1));
        assert_eq!(delivery.unwrap().len(), 1);
        stream.wait_durable(id(3)).unwrap();
        let safe = stream.durable_id().unwrap();
        assert_eq!(safe, id(3));
        put(&stream, 4..=5);
        assert_eq!(stream.durable_id().unwrap(), safe);
        assert_eq!(after(&disk.power_cut()), [1, 2, 3]);

        disk.hold("sync", FIRST);
        let (done, waiting) = (Arc::new(AtomicU64::new(0)), stream.clone());
        let waiter = std::thread::spawn({
            let done = Arc::clone(&done);
            move || {
                waiting.wait_durable(id(4)).unwrap();
                done.store(1, Ordering::Release);
            }
        });
        disk.wait_held();
        let reader = stream.clone();
        assert_eq!(at_once("reading", move || seen(&reader)), [1, 2, 3, 4, 5]);
        assert_eq!((stream.durable_id().unwrap(), done.load(Ordering::Acquire)), (safe, 0));
        disk.let_go();
        waiter.join().unwrap();
        assert!(stream.durable_id().unwrap() >= id(4));
        assert!(after(&disk.power_cut()).len() >= 4);
        die(store);
    }
}
