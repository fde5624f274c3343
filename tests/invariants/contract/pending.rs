//! C8 to C12: a group loses no entry over a crash, whatever of its own records the crash takes.

use super::{left_by_a_cut, whole};
use crate::disk::{EIO, FaultDisk};
use crate::ground::{FIRST, JOURNAL, deliver, die, id, open, place, put};
use crate::{
    AppendOptions, Durability, EntryId, Group, GroupReadOptions, PendingFilter, Start, Store,
    Stream,
};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Duration;

/// What a group has after a crash.
struct Found {
    stream: Stream,
    group: Group,
    live: Vec<u64>,
    /// All pending IDs, in order.
    pending: Vec<u64>,
    cursor: EntryId,
}

impl Found {
    fn of(store: &Store) -> Found {
        let stream = store.get("s").unwrap().expect("the stream is gone");
        let group = stream.get_group("g").unwrap().expect("the group is gone");
        let pending = group.pending_range(.., PendingFilter::new()).unwrap();
        Found {
            live: whole(&stream),
            pending: pending.iter().map(|pending| pending.id.ms).collect(),
            cursor: group.info().unwrap().last_delivered_id,
            stream,
            group,
        }
    }

    /// Live entries that the group has behind it and does not call pending.
    fn done(&self) -> BTreeSet<u64> {
        let passed = self.live.iter().copied().filter(|ms| id(*ms) <= self.cursor);
        passed.filter(|ms| !self.pending.contains(ms)).collect()
    }
}

fn read(group: &Group, consumer: &str, count: usize) -> Vec<u64> {
    let options = GroupReadOptions::new().count(count);
    let delivery = group.consumer(consumer).unwrap().read(options).unwrap();
    delivery.ids().map(|id| id.ms).collect()
}

/// A change of a group or its stream, and the entries that it acknowledges.
type Step = (fn(&Group), &'static [u64]);

const STEPS: [Step; 9] = [
    (|group| assert_eq!(read(group, "b", 3), [5, 6, 7]), &[]),
    (|group| assert_eq!(group.ack([id(2), id(5)]).unwrap(), 2), &[2, 5]),
    (
        |group| {
            let claimed = group.consumer("b").unwrap().claim([id(3)], Duration::ZERO);
            assert_eq!(claimed.unwrap().len(), 1);
        },
        &[],
    ),
    (|group| put(group.stream(), 13..=18), &[]),
    (|group| assert_eq!(group.stream().delete([id(7), id(9)]).unwrap(), 2), &[]),
    (|group| assert_eq!(read(group, "a", 6), [8, 10, 11, 12, 13, 14]), &[]),
    (|group| assert_eq!(group.ack([id(8), id(14)]).unwrap(), 2), &[8, 14]),
    (|group| assert_eq!(group.remove_consumer("b").unwrap(), 3), &[3, 6, 7]),
    (
        |group| {
            let consumer = group.consumer("c").unwrap();
            let options = GroupReadOptions::new().count(2).no_ack();
            assert_eq!(consumer.read(options).unwrap().len(), 2);
        },
        &[15, 16],
    ),
];

/// Plays the steps on a stream of which entries 1 to 12 are durable, and a group that has 2 to 4
/// pending for `a` and has acknowledged 1. After each step it looks at everything that a crash may
/// leave: all that is said of it besides is what had been acknowledged by then.
fn after_every_step(check: impl Fn(&Store, &Found, &BTreeSet<u64>)) {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..=12);
    let group = stream.create_group("g", Start::First).unwrap();
    assert!(group.create_consumer("b").unwrap());
    assert_eq!(read(&group, "a", 4), [1, 2, 3, 4]);
    assert_eq!(group.ack([id(1)]).unwrap(), 1);
    store.sync().unwrap();
    let mut acked = BTreeSet::from([1]);
    for (change, acks) in STEPS {
        change(&group);
        acked.extend(acks);
        for left in left_by_a_cut(&disk, 72) {
            let again = open(&left, Durability::Manual);
            check(&again, &Found::of(&again), &acked);
            die(again);
        }
    }
    die(store);
}

/// After a crash every live entry that a group has behind it is pending, for one consumer at most,
/// or was acknowledged: none is lost to the group.
/// Fails if `GroupState::clamp` (src/group/recover.rs) drops what is pending below the end, too.
pub(crate) fn contract_c08_what_a_group_has_behind_it_is_pending_or_acknowledged() {
    after_every_step(|_, found, acked| {
        assert!(found.done().is_subset(acked), "{:?} of {acked:?}", found.done());
        let each: BTreeSet<_> = found.pending.iter().collect();
        assert_eq!(each.len(), found.pending.len(), "{:?}", found.pending);
        let mut owned = 0;
        for consumer in found.group.consumers().unwrap() {
            let filter = PendingFilter::new().consumer(&consumer.name);
            let own = found.group.pending_range(.., filter).unwrap();
            assert!(own.iter().all(|pending| pending.consumer == consumer.name));
            owned += own.len();
        }
        assert_eq!(owned, found.pending.len());
    });
}

/// After a crash no group is ahead of its stream, and what is pending has an owner and an entry; if
/// the entry was deleted, the next claim says so and it is pending no more.
/// (Planted `journal_first`, `pending_beyond`.)
pub(crate) fn contract_c09_a_group_names_only_what_its_stream_knows() {
    let (told, taken) = (Cell::new(false), Cell::new(false));
    after_every_step(|store, found, _| {
        // The log's own last ID: that of the stream accounts for what was delivered.
        let last = *found.live.last().unwrap();
        assert!(found.cursor <= id(last), "{} of {last}", found.cursor);
        assert!(found.pending.iter().all(|ms| id(*ms) <= found.cursor));
        let owners: Vec<_> =
            found.group.consumers().unwrap().into_iter().map(|one| one.name).collect();
        for pending in found.group.pending_range(.., PendingFilter::new()).unwrap() {
            assert!(owners.contains(&pending.consumer), "{pending:?}");
        }
        taken.set(taken.get() || !store.recovery().clamped.is_empty());
        let gone: Vec<_> =
            found.pending.iter().copied().filter(|ms| !found.live.contains(ms)).collect();
        told.set(told.get() || !gone.is_empty());
        let claimer = found.group.consumer("claimer").unwrap();
        let claimed = claimer.auto_claim(EntryId::MIN, Duration::ZERO, 100).unwrap();
        assert_eq!(claimed.deleted, gone.iter().map(|ms| id(*ms)).collect::<Vec<_>>());
        let left = found.group.pending_range(.., PendingFilter::new()).unwrap();
        assert!(left.iter().all(|pending| found.live.contains(&pending.id.ms)));
        assert_eq!(left.len() + gone.len(), found.pending.len());
    });
    assert!(told.get() && taken.get(), "the crashes left nothing to tell of");
}

/// A position that a caller has set is kept over a crash, beyond the end of the stream too.
/// Fails if `GroupState::clamp` (src/group/recover.rs) takes every group back to the last ID.
pub(crate) fn contract_c09_a_position_that_a_caller_set_is_kept() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..=3);
    let far = Start::After(id(1_000));
    stream.create_group("g", far).unwrap();
    stream.create_group("h", Start::First).unwrap().set_id(far).unwrap();
    store.sync().unwrap();
    die(store);
    let store = open(&disk.power_cut(), Durability::Manual);
    for group in store.stream("s").unwrap().groups().unwrap() {
        assert_eq!(group.last_delivered_id, id(1_000));
    }
    assert_eq!(store.recovery().clamped, []);
}

/// After a crash deliveries, acknowledgements and claims that were not durable may be forgotten,
/// but no entry is skipped, none counts as acknowledged for another, and no durable group, consumer
/// or acknowledgement is gone.
/// Fails if `GroupState::clamp` (src/group/recover.rs) moves each group to the end of the log.
pub(crate) fn contract_c10_a_crash_may_repeat_a_delivery_and_never_skips_one() {
    let repeated = Cell::new(false);
    after_every_step(|_, found, acked| {
        let done = found.done();
        assert!(done.contains(&1), "a durable acknowledgement is gone");
        assert!(done.is_subset(acked), "{done:?} of {acked:?}");
        let consumers = found.group.consumers().unwrap();
        assert!(consumers.iter().any(|consumer| consumer.name == b"a"));
        let anew = read(&found.group, "new", 100);
        let rest: Vec<_> = found.live.iter().copied().filter(|ms| id(*ms) > found.cursor).collect();
        assert_eq!(anew, rest);
        let served: BTreeSet<_> = found.pending.iter().chain(&anew).copied().collect();
        repeated.set(repeated.get() || acked.iter().any(|ms| served.contains(ms)));
        for ms in &found.live {
            assert!(acked.contains(ms) || served.contains(ms), "{ms} is skipped");
        }
    });
    assert!(repeated.get(), "the crashes took nothing");
}

/// Entries that come after a crash are delivered, even under the IDs of lost ones which a group had
/// been given.
/// (Planted `lazy_taking_back`.)
pub(crate) fn contract_c10_what_comes_after_a_crash_is_delivered() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..=3);
    stream.create_group("g", Start::First).unwrap();
    store.sync().unwrap();
    // A position that is set keeps no ID from being given again, as a delivery would.
    put(&stream, 4..=9);
    stream.get_group("g").unwrap().unwrap().set_id(Start::Last).unwrap();
    disk.fail("sync", FIRST, EIO);
    assert!(store.sync().is_err());
    die(store);

    let disk = disk.power_cut();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    assert_eq!(whole(&stream), [1, 2, 3]);
    let options = AppendOptions::new().id(id(4)).durable();
    stream.append_with([("v", "4".repeat(100))], options).unwrap();
    die(store);
    let store = open(&disk.power_cut(), Durability::Manual);
    let stream = store.stream("s").unwrap();
    assert_eq!(whole(&stream), [1, 2, 3, 4]);
    assert_eq!(deliver(&stream, "g").unwrap(), [4]);
}

/// Under `Always` an acknowledgement is durable when it returns; a delivery waits for no sync, and
/// a crash can only repeat it.
/// (Planted `ack_skipped`, `lazy_records`.)
pub(crate) fn contract_c11_under_always_an_acknowledgement_is_durable() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Always);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..=6);
    let group = stream.create_group("g", Start::First).unwrap();
    disk.take_calls();
    assert_eq!(deliver(&stream, "g").unwrap().len(), 6);
    assert_eq!(place(&disk.take_calls(), "sync", ""), None);
    let store_after = open(&disk.power_cut(), Durability::Always);
    let forgotten = deliver(&store_after.stream("s").unwrap(), "g").unwrap();
    assert_eq!(forgotten, [1, 2, 3, 4, 5, 6]);
    for ms in [2, 5, 1] {
        assert_eq!(group.ack([id(ms)]).unwrap(), 1);
        let again = open(&disk.power_cut(), Durability::Always);
        let found = Found::of(&again);
        let summary = group.pending().unwrap();
        assert_eq!(found.pending.len() as u64, summary.count);
        assert!(!found.pending.contains(&ms) && found.cursor == id(6));
        die(again);
    }
    die(store_after);
    die(store);
}

/// What is read without acknowledgements is delivered once; a crash may repeat it until a sync has
/// covered it.
/// Fails if `GroupState::apply_to_entries` (src/group/state.rs) makes pending records for these, too.
/// (Planted `segment_sync`.)
pub(crate) fn contract_c11_a_read_without_acknowledgement_is_delivered_once() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..=6);
    let group = stream.create_group("g", Start::First).unwrap();
    store.sync().unwrap();
    let read = |group: &Group, consumer: &str| -> Vec<u64> {
        let options = GroupReadOptions::new().count(3).no_ack();
        let delivery = group.consumer(consumer).unwrap().read(options).unwrap();
        delivery.ids().map(|id| id.ms).collect()
    };
    assert_eq!(read(&group, "a"), [1, 2, 3]);
    let again = open(&disk.power_cut(), Durability::Manual);
    assert_eq!(read(&Found::of(&again).group, "b"), [1, 2, 3]);
    store.sync().unwrap();
    assert_eq!(read(&group, "b"), [4, 5, 6]);
    assert_eq!(read(&group, "a"), []);
    let again = open(&disk.power_cut(), Durability::Manual);
    let found = Found::of(&again);
    assert_eq!((found.pending.as_slice(), found.cursor), (&[][..], id(3)));
    assert_eq!(read(&found.group, "c"), [4, 5, 6]);
}

/// A stream's entries are synced before the records of groups that speak of them; where a crash
/// took entries all the same, recovery takes the group back and says so.
/// (Planted `journal_first`.)
pub(crate) fn contract_c12_entries_are_synced_before_the_records_of_groups() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..=3);
    stream.create_group("g", Start::First).unwrap();
    store.sync().unwrap();
    put(&stream, 4..=9);
    assert_eq!(deliver(&stream, "g").unwrap().len(), 9);
    let syncs: [fn(&Store, &Stream); 3] = [
        |store, _| store.sync().unwrap(),
        |store, _| store.step_sync().unwrap(),
        |_, stream| assert!(stream.sync().is_ok()),
    ];
    for sync in syncs {
        let last = stream.info().unwrap().last_id.ms;
        put(&stream, last + 1..=last + 3);
        assert_eq!(deliver(&stream, "g").unwrap().len(), 3);
        disk.take_calls();
        sync(&store, &stream);
        let calls = disk.take_calls();
        let (entries, records) = (place(&calls, "sync", FIRST), place(&calls, "sync", JOURNAL));
        assert!(entries.is_some() && entries < records, "{calls:?}");
    }
    // A disk that forgets what it was given gets the records out first.
    put(&stream, 19..=21);
    assert_eq!(deliver(&stream, "g").unwrap(), [19, 20, 21]);
    disk.fail("sync", FIRST, EIO);
    assert!(store.sync().is_err());
    die(store);
    let store = open(&disk.power_cut(), Durability::Manual);
    let found = Found::of(&store);
    assert_eq!((found.cursor, found.live.len()), (id(18), 18));
    let report = store.recovery().clamped;
    let [line] = report.as_slice() else {
        panic!("{report:?}");
    };
    assert_eq!((line.stream.as_slice(), line.group.as_slice()), (&b"s"[..], &b"g"[..]));
    assert_eq!((line.from, line.to, line.dropped), (id(21), id(18), 3));
}
