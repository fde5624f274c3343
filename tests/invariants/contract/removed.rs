//! C6 and C7: IDs that are never given twice, and entries that stay away once they are gone.

use super::{left_by_a_cut, small_blocks, whole};
use crate::disk::{EIO, FaultDisk};
use crate::ground::{FIRST, deliver, die, error, id, open, put};
use crate::{AppendOptions, Durability, EntryId, ErrorKind, Start, Store, Stream, Trim};

fn stream_of(store: &Store) -> Stream {
    store.get("s").unwrap().unwrap()
}

/// IDs only grow for as long as a stream lives: over restarts, removals and crashes, whatever the
/// clock does.
/// Fails if `next_id` (src/id.rs) gives the time of the clock though the last ID is above it.
pub(crate) fn contract_c06_ids_only_grow_whatever_the_clock_does() {
    type Change = fn(&Stream, EntryId);
    let changes: [Change; 4] = [
        |_, _| (),
        |stream, last| assert_eq!(stream.delete([last]).unwrap(), 1),
        |stream, _| assert!(stream.trim(Trim::max_len(0)).unwrap() > 0),
        |stream, last| stream.set_id(EntryId::new(last.ms + 10, 3), None, None).unwrap(),
    ];
    let mut disk = FaultDisk::new();
    let (mut given, mut clocks) = (Vec::new(), [5_000, 4_000, 0, 5_001, 7_000, 1].iter().cycle());
    for change in changes {
        for crash in [FaultDisk::image, FaultDisk::power_cut] {
            for checkpoint in [false, true] {
                disk.set_clock(*clocks.next().unwrap());
                let store = open(&disk, Durability::Manual);
                let stream = store.stream("s").unwrap();
                let new: Vec<_> = (0..3).map(|_| stream.append([("a", "b")]).unwrap()).collect();
                let last = *new.last().unwrap();
                given.extend(new);
                let named = AppendOptions::new().id(last);
                let kind = error(stream.append_with([("a", "b")], named)).kind().clone();
                assert!(matches!(kind, ErrorKind::IdNotGreater { .. }), "{kind:?}");
                change(&stream, last);
                given.push(stream.info().unwrap().last_id);
                if checkpoint {
                    store.step_checkpoint().unwrap();
                }
                store.sync().unwrap();
                die(store);
                disk = crash(&disk);
            }
        }
    }
    given.dedup();
    assert!(given.is_sorted_by(|a, b| a < b), "{given:?}");
}

/// A generated ID is none that was given before a crash, not even to an entry that the crash took,
/// if the clock goes on, and none that anybody was told, if it does not.
/// Fails if `next_id` (src/id.rs) counts on from the last ID where the clock is ahead of it.
/// (Planted `floor_without_deliveries`.)
pub(crate) fn contract_c06_the_id_of_a_lost_entry_is_not_given_again() {
    let disk = FaultDisk::new();
    disk.set_clock(5_000);
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    stream.create_group("g", Start::First).unwrap();
    stream.append([("a", "b")]).unwrap();
    store.sync().unwrap();
    let lost: Vec<_> = (0..20).map(|_| stream.append([("a", "b")]).unwrap()).collect();
    for told in [false, true] {
        if told {
            // The group's record gets to the disk and the entries do not.
            assert_eq!(deliver(&stream, "g").unwrap().len(), 21);
            disk.fail("sync", FIRST, EIO);
            assert!(store.sync().is_err());
        }
        let left = disk.power_cut();
        left.set_clock(if told { 4_000 } else { 5_001 });
        let again = open(&left, Durability::Manual);
        let stream = stream_of(&again);
        assert_eq!(stream.len().unwrap(), 1);
        let next = stream.append([("a", "b")]).unwrap();
        assert!(lost.iter().all(|id| next > *id), "{next} after {lost:?}");
        die(again);
    }
    die(store);
}

/// Everything that takes entries 1 to 40 away in part, and what it leaves.
type Removal = (fn(&Stream), fn(u64) -> bool);

const REMOVALS: [Removal; 4] = [
    (|stream| assert_eq!(stream.delete([id(3), id(40)]).unwrap(), 2), |ms| ms != 3 && ms != 40),
    (|stream| assert_eq!(stream.trim(Trim::max_len(30)).unwrap(), 10), |ms| ms > 10),
    (|stream| assert_eq!(stream.trim(Trim::min_id(id(15))).unwrap(), 14), |ms| ms >= 15),
    (
        |stream| {
            let trim = AppendOptions::new().id(id(41)).trim(Trim::max_len(20));
            stream.append_with([("v", "41".repeat(50))], trim).unwrap();
        },
        |ms| ms > 21,
    ),
];

fn remaining(ms: &[u64], keeps: fn(u64) -> bool) -> Vec<u64> {
    ms.iter().copied().filter(|ms| keeps(*ms)).collect()
}

/// What is there after a crash, over several openings, checkpoints and seals, which must all give
/// the same.
fn stays(disk: &FaultDisk) -> Vec<u64> {
    let mut disk = disk.image();
    let mut found = None;
    for crash in [FaultDisk::power_cut, FaultDisk::image, FaultDisk::power_cut] {
        let store = open(&disk, Durability::Manual);
        let now = whole(&stream_of(&store));
        assert_eq!(found.get_or_insert_with(|| now.clone()), &now);
        store.step_checkpoint().unwrap();
        store.step_prepare().unwrap();
        die(store);
        disk = crash(&disk);
    }
    found.unwrap()
}

/// Under `Always` a deletion or a trim is durable when the call returns: nothing that it took comes
/// back.
/// (Planted `lazy_records`, `frame_trims`, `deletions_dropped`.)
pub(crate) fn contract_c07_under_always_what_was_removed_never_returns() {
    for (remove, keeps) in REMOVALS {
        let disk = FaultDisk::new();
        let store = open(&disk, Durability::Always);
        let stream = store.stream("s").unwrap();
        put(&stream, 1..=40);
        remove(&stream);
        let left = whole(&stream);
        assert_eq!(left, remaining(&left, keeps));
        assert_eq!(stays(&disk.power_cut()), left);
        die(store);
    }
}

/// Under the other levels what was removed is there again after a crash or is not, in one piece
/// with its call; once a sync has covered it, it stays away.
/// (Planted `trim_unrecorded`.)
pub(crate) fn contract_c07_elsewhere_what_was_removed_before_a_sync_never_returns() {
    for (remove, keeps) in REMOVALS {
        let disk = FaultDisk::new();
        let store = open(&disk, Durability::Manual);
        let stream = store.stream("s").unwrap();
        put(&stream, 1..=40);
        store.sync().unwrap();
        remove(&stream);
        let (before, after): (Vec<_>, _) = ((1..=40).collect(), whole(&stream));
        assert_eq!(after, remaining(&after, keeps));
        for left in left_by_a_cut(&disk, 40) {
            let found = stays(&left);
            assert!(found == before || found == after, "{found:?}");
        }
        store.sync().unwrap();
        assert_eq!(stays(&disk.power_cut()), after);
        die(store);
    }
}

/// A trim by approximation removes no entry that an exact one would keep.
/// Fails if `Live::drop_blocks` (src/storage/live.rs) takes the block in which an exact trim ends.
pub(crate) fn contract_c07_an_approximate_trim_removes_no_more_than_an_exact_one() {
    let mut removed = 0;
    for n in 0..=30 {
        let exact = [(Trim::max_len(n), 30 - n), (Trim::min_id(id(n)), n.saturating_sub(1))];
        for (trim, most) in exact {
            let store = open(&FaultDisk::new(), Durability::Manual);
            let stream = store.stream_with("s", small_blocks()).unwrap();
            put(&stream, 1..=30);
            let count = stream.trim(trim.approximate()).unwrap();
            let left = whole(&stream);
            assert_eq!(left, (count + 1..=30).collect::<Vec<_>>());
            assert!(count <= most, "{trim:?} left {left:?}");
            removed += count;
        }
    }
    assert!(removed > 0);
}
