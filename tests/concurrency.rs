//! Many threads on one stream: appending, reading, trimming, deleting and working in groups at
//! once, over segments so small that they roll all the time.
//!
//! Relies on the public API only. What must hold is what one thread alone would see: IDs in order,
//! prefixes that grow, deliveries that are disjoint and complete. It finds races that happen in
//! practice; weak memory orders are loom's.
#![allow(clippy::unwrap_used)]

mod ground;
#[path = "concurrency/held.rs"]
mod held;

use ground::on_both_with;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::scope;
use std::time::Duration;
use streamlog::{
    AppendOptions, Durability, EntryId, GroupReadOptions, NewEntries, ReadOptions, Retention,
    Start, Store, Stream, StreamOptions, Trim,
};

const WRITERS: u64 = 4;
const EACH: u64 = 600;

fn small(store: &Store, segment: u64) -> Stream {
    let options = StreamOptions::new().segment_bytes(segment).max_entry_bytes(1000);
    store.stream_with("s", options).unwrap()
}

/// Ends the loops of the others, also when the thread that holds it panics.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn levels(scenario: impl Fn(&Store)) {
    let often =
        Durability::Interval { every: Duration::from_millis(1), max_unsynced_bytes: 64 << 10 };
    for level in [Durability::Manual, often] {
        on_both_with(&Store::options().durability(level), &scenario);
    }
}

/// Who appended an entry, and its number among that thread's.
fn stamp(who: u64, n: u64) -> [(&'static str, String); 2] {
    [("who", who.to_string()), ("n", n.to_string())]
}

fn number(value: Option<&[u8]>) -> u64 {
    std::str::from_utf8(value.unwrap()).unwrap().parse().unwrap()
}

/// Appends singly and in batches; what returned is found at once. Returns the IDs.
fn write(stream: &Stream, who: u64) -> Vec<EntryId> {
    let mut ids = Vec::new();
    let mut n = 0;
    while n < EACH {
        let first = if n % 50 == 0 {
            let mut batch = NewEntries::new();
            for k in n..n + 5 {
                batch.push(stamp(who, k)).unwrap();
            }
            n += 5;
            let (first, last) = stream.append_batch(&batch).unwrap().unwrap();
            let all = stream.range(first..=last).map(|entry| entry.unwrap().id());
            ids.extend(all);
            last
        } else {
            n += 1;
            let id = stream.append(stamp(who, n - 1)).unwrap();
            ids.push(id);
            id
        };
        let found = stream.get(first).unwrap().unwrap();
        assert_eq!(number(found.get("who")), who);
        assert_eq!(number(found.get("n")), n - 1);
    }
    ids
}

/// Checks that each thread's entries come in that thread's order; returns how many there were.
fn check_order<'a>(
    entries: impl Iterator<Item = streamlog::Result<streamlog::EntryRef<'a>>>,
) -> usize {
    let mut next: BTreeMap<u64, u64> = BTreeMap::new();
    let mut last = EntryId::MIN;
    let mut count = 0;
    for entry in entries {
        let entry = entry.unwrap();
        assert!(entry.id() > last, "{} after {last}", entry.id());
        last = entry.id();
        let who = next.entry(number(entry.get("who"))).or_default();
        assert_eq!(number(entry.get("n")), *who);
        *who += 1;
        count += 1;
    }
    count
}

#[test]
fn readers_see_a_prefix_that_only_grows() {
    levels(|store| {
        let stream = small(store, 8192);
        let done = AtomicBool::new(false);
        scope(|threads| {
            let end = Done(&done);
            let writers: Vec<_> = (0..WRITERS)
                .map(|who| {
                    threads.spawn({
                        let stream = &stream;
                        move || write(stream, who)
                    })
                })
                .collect();
            for _ in 0..2 {
                threads.spawn(|| {
                    let mut seen = 0;
                    while !done.load(Ordering::Acquire) {
                        let snapshot = stream.snapshot().unwrap();
                        let now = check_order(snapshot.range(..));
                        assert!(now >= seen, "{now} after {seen}");
                        assert_eq!(check_order(snapshot.range(..)), now);
                        assert_eq!(snapshot.range(..).rev().count(), now);
                        seen = now;
                    }
                });
            }
            let mut tail = stream.tail(Start::First).unwrap();
            threads.spawn(move || {
                let mut last = EntryId::MIN;
                for _ in 0..WRITERS * EACH {
                    let entry = tail.next().unwrap().unwrap();
                    assert!(entry.id() > last);
                    last = entry.id();
                }
            });
            let mut ids = Vec::new();
            for writer in writers {
                let one = writer.join().unwrap();
                assert!(one.is_sorted());
                assert_eq!(one.len() as u64, EACH);
                ids.extend(one);
            }
            drop(end);
            ids.sort_unstable();
            let all: Vec<_> = stream.range(..).map(|entry| entry.unwrap().id()).collect();
            assert_eq!(all, ids);
        });
        assert!(stream.info().unwrap().segments > 5);
        assert_eq!(stream.len().unwrap(), WRITERS * EACH);
        let snapshot = stream.snapshot().unwrap();
        assert_eq!(check_order(snapshot.range(..)) as u64, WRITERS * EACH);
    });
}

#[test]
fn a_batch_is_seen_whole_or_not_at_all() {
    levels(|store| {
        let stream = small(store, 16384);
        let done = AtomicBool::new(false);
        scope(|threads| {
            let end = Done(&done);
            let writers: Vec<_> = (0..2)
                .map(|who| {
                    let stream = &stream;
                    threads.spawn(move || {
                        for round in 0..100u64 {
                            let mut batch = NewEntries::new();
                            for k in 0..20 {
                                batch.push(stamp(who, round * 20 + k)).unwrap();
                            }
                            stream.append_batch(&batch).unwrap();
                        }
                    })
                })
                .collect();
            threads.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    let seen = stream.range(..).map(Result::unwrap).count();
                    assert_eq!(seen % 20, 0);
                    let mut of: BTreeMap<u64, u64> = BTreeMap::new();
                    for entry in stream.range(..).rev().take(20) {
                        let who = number(entry.unwrap().get("who"));
                        *of.entry(who).or_default() += 1;
                    }
                    assert!(of.len() <= 1 && of.values().all(|n| *n == 20));
                }
            });
            writers.into_iter().for_each(|one| one.join().unwrap());
            drop(end);
        });
        assert_eq!(stream.len().unwrap(), 4000);
    });
}

#[test]
fn trims_and_deletions_take_only_what_they_name() {
    levels(|store| {
        let stream = small(store, 4096);
        let done = AtomicBool::new(false);
        let deleted = Mutex::new(BTreeSet::new());
        let removed = AtomicU64::new(0);
        scope(|threads| {
            let end = Done(&done);
            let writers: Vec<_> = (0..WRITERS)
                .map(|who| {
                    let stream = &stream;
                    threads.spawn(move || {
                        for n in 0..EACH {
                            stream.append(stamp(who, n)).unwrap();
                        }
                    })
                })
                .collect();
            threads.spawn(|| {
                let mut n = 0u64;
                while !done.load(Ordering::Acquire) {
                    n += 1;
                    let trim = if n.is_multiple_of(2) {
                        Trim::max_len(300)
                    } else {
                        Trim::max_len(300).approximate()
                    };
                    removed.fetch_add(stream.trim(trim).unwrap(), Ordering::Relaxed);
                }
            });
            threads.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    let newest: Vec<_> = stream
                        .range(..)
                        .rev()
                        .take(7)
                        .map(|entry| entry.unwrap().id())
                        .step_by(3)
                        .collect();
                    let before: Vec<_> = newest.clone();
                    let count = stream.delete(newest).unwrap();
                    assert!(count <= before.len() as u64);
                    removed.fetch_add(count, Ordering::Relaxed);
                    deleted.lock().unwrap().extend(before);
                }
            });
            threads.spawn(|| {
                let mut start = EntryId::MIN;
                while !done.load(Ordering::Acquire) {
                    let snapshot = stream.snapshot().unwrap();
                    let ids: Vec<_> = snapshot
                        .range(..)
                        .map(|entry| {
                            let entry = entry.unwrap();
                            assert!(number(entry.get("n")) < EACH);
                            entry.id()
                        })
                        .collect();
                    assert!(ids.is_sorted());
                    if let Some(first) = ids.first() {
                        assert!(*first >= start, "an entry came back: {first}");
                        start = *first;
                    }
                }
            });
            writers.into_iter().for_each(|one| one.join().unwrap());
            drop(end);
        });
        let total = WRITERS * EACH;
        let info = stream.info().unwrap();
        assert_eq!(info.entries_added, total);
        assert_eq!(info.length + removed.load(Ordering::Relaxed), total);
        let live: Vec<_> = stream.range(..).map(|entry| entry.unwrap().id()).collect();
        assert_eq!(live.len() as u64, info.length);
        let deleted = deleted.lock().unwrap();
        assert!(live.iter().all(|id| !deleted.contains(id)));
    });
}

#[test]
fn a_group_delivers_each_entry_to_exactly_one_of_many_consumers() {
    levels(|store| {
        let stream = small(store, 8192);
        let group = stream.create_group("g", Start::First).unwrap();
        let other = stream.create_group("h", Start::First).unwrap();
        let total = WRITERS * EACH;
        let left = AtomicU64::new(total);
        let seen = Mutex::new(Vec::new());
        scope(|threads| {
            for who in 0..WRITERS {
                let stream = &stream;
                threads.spawn(move || write(stream, who));
            }
            for n in 0..3 {
                let consumer = group.consumer(format!("c{n}")).unwrap();
                let (left, seen) = (&left, &seen);
                threads.spawn(move || {
                    let options = GroupReadOptions::new().count(7).block(Duration::from_millis(20));
                    while left.load(Ordering::Acquire) > 0 {
                        let delivery = consumer.read(options).unwrap();
                        let ids: Vec<_> = delivery.ids().collect();
                        assert_eq!(delivery.ack_all().unwrap(), ids.len() as u64);
                        left.fetch_sub(ids.len() as u64, Ordering::AcqRel);
                        seen.lock().unwrap().extend(ids);
                    }
                });
            }
            let alone = other.consumer("alone").unwrap();
            threads.spawn(move || {
                let mut last = EntryId::MIN;
                let mut count = 0;
                while count < total {
                    let options = GroupReadOptions::new().count(50).block_forever();
                    let delivery = alone.read(options).unwrap();
                    for entry in &delivery {
                        assert!(entry.id() > last);
                        last = entry.id();
                        count += 1;
                    }
                }
            });
        });
        let mut seen = seen.into_inner().unwrap();
        seen.sort_unstable();
        let all: Vec<_> = stream.range(..).map(|entry| entry.unwrap().id()).collect();
        assert_eq!(seen, all);
        assert_eq!(all.len() as u64, total);
        assert_eq!(group.pending().unwrap().count, 0);
        assert_eq!(other.pending().unwrap().count, total);
        assert_eq!(group.info().unwrap().lag, Some(0));
    });
}

#[test]
fn claims_and_acknowledgements_at_once_end_each_entry_once() {
    levels(|store| {
        let stream = small(store, 8192);
        let group = stream.create_group("g", Start::First).unwrap();
        for n in 0..1000 {
            stream.append(stamp(0, n)).unwrap();
        }
        let acked = AtomicU64::new(0);
        scope(|threads| {
            for n in 0..4 {
                let consumer = group.consumer(format!("c{n}")).unwrap();
                let (acked, group) = (&acked, &group);
                threads.spawn(move || {
                    while acked.load(Ordering::Acquire) < 1000 {
                        let new = consumer.read(GroupReadOptions::new().count(20)).unwrap();
                        // Half of what it reads it leaves to whoever claims it.
                        let half: Vec<_> = new.ids().step_by(2).collect();
                        let n = group.ack(half).unwrap();
                        acked.fetch_add(n, Ordering::AcqRel);
                        let found = consumer.auto_claim(EntryId::MIN, Duration::ZERO, 10).unwrap();
                        assert!(found.deleted.is_empty());
                        let n = found.delivery.ack_all().unwrap();
                        acked.fetch_add(n, Ordering::AcqRel);
                    }
                });
            }
        });
        assert_eq!(acked.into_inner(), 1000);
        assert_eq!(group.pending().unwrap().count, 0);
    });
}

#[test]
fn under_always_threads_share_syncs_and_nobody_reads_what_is_not_durable() {
    on_both_with(&Store::options().durability(Durability::Always), |store| {
        let stream = small(store, 65536);
        let done = AtomicBool::new(false);
        scope(|threads| {
            let end = Done(&done);
            let writers: Vec<_> = (0..8)
                .map(|who| {
                    let stream = &stream;
                    threads.spawn(move || {
                        for n in 0..40 {
                            let id = stream.append(stamp(who, n)).unwrap();
                            assert!(stream.durable_id().unwrap() >= id);
                            assert!(stream.get(id).unwrap().is_some());
                        }
                    })
                })
                .collect();
            threads.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    let options = ReadOptions::new();
                    let seen = stream.read(Start::First, options).unwrap().last_id();
                    let durable = stream.durable_id().unwrap();
                    assert!(seen <= Some(durable), "{seen:?} is read, {durable} durable");
                }
            });
            writers.into_iter().for_each(|one| one.join().unwrap());
            drop(end);
        });
        let snapshot = stream.snapshot().unwrap();
        assert_eq!(check_order(snapshot.range(..)), 320);
    });
}

/// Fails if `Store::stream` (`open_or_make`, src/store/manage.rs) does not try again when it was
/// overtaken by a creation and a removal.
#[test]
fn names_can_be_made_and_removed_by_many_threads() {
    on_both_with(&Store::options().durability(Durability::Manual), |store| {
        scope(|threads| {
            for who in 0..4u64 {
                threads.spawn(move || {
                    for n in 0..30u64 {
                        // All threads want the same stream; some remove it.
                        let stream = store.stream("shared").unwrap();
                        drop(stream.append(stamp(who, n)));
                        if n % 7 == who {
                            store.remove("shared").unwrap();
                        }
                        let own = store.stream(format!("own {who}")).unwrap();
                        own.append(stamp(who, n)).unwrap();
                    }
                });
            }
        });
        for who in 0..4u64 {
            let own = store.get(format!("own {who}")).unwrap().unwrap();
            assert_eq!(own.len().unwrap(), 30);
        }
        store.remove("shared").unwrap();
        assert_eq!(store.names().len(), 4);
    });
}

/// What is appended while everything before it is being deleted is neither dead nor counted twice:
/// what deletions leave behind at the beginning is trimmed away by the background.
#[test]
fn a_queue_that_is_drained_by_deletions_loses_nothing() {
    const ENTRIES: u64 = 5_000;
    levels(|store| {
        let stream = small(store, 4096);
        let done = AtomicBool::new(false);
        let kept = scope(|s| {
            s.spawn(|| {
                for n in 0..ENTRIES {
                    stream.append(stamp(0, n)).unwrap();
                }
            });
            // Deletes what it has itself appended a moment ago, so that little is ever alive.
            s.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    let id = stream.append([("own", "x")]).unwrap();
                    assert_eq!(stream.delete([id]).unwrap(), 1);
                }
            });
            let _done = Done(&done);
            let (mut after, mut seen, mut kept) = (EntryId::MIN, 0, Vec::new());
            while seen < ENTRIES {
                let batch = stream
                    .read(Start::After(after), ReadOptions::new().count(64).block_forever())
                    .unwrap();
                for entry in &batch {
                    after = entry.id();
                    let Some(n) = entry.get("n") else { continue };
                    assert_eq!(number(Some(n)), seen, "an entry is gone that nobody took away");
                    seen += 1;
                    match seen % 997 {
                        0 => kept.push(after),
                        _ => assert_eq!(stream.delete([after]).unwrap(), 1),
                    }
                }
            }
            kept
        });
        let left: Vec<_> = stream.range(..).map(|entry| entry.unwrap().id()).collect();
        assert_eq!(left, kept);
        assert_eq!(stream.len().unwrap(), kept.len() as u64);
    });
}

/// Limits that are enforced by several threads, and by appends between them, remove what they
/// should and not more.
#[test]
fn retention_and_trims_of_many_threads_agree() {
    levels(|store| {
        let stream = small(store, 4096);
        stream.set_retention(Retention::new().max_len(3)).unwrap();
        let done = AtomicBool::new(false);
        let removed = AtomicU64::new(0);
        scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    while !done.load(Ordering::Acquire) {
                        removed.fetch_add(stream.enforce_retention().unwrap(), Ordering::Relaxed);
                    }
                });
            }
            let _done = Done(&done);
            for n in 0..3 * EACH {
                let options = AppendOptions::new();
                let options = if n % 3 == 0 { options.trim(Trim::max_len(0)) } else { options };
                stream.append_with(stamp(0, n), options).unwrap();
            }
        });
        stream.enforce_retention().unwrap();
        let length = stream.len().unwrap();
        assert!(length <= 3 && removed.load(Ordering::Relaxed) <= 3 * EACH, "{length} {removed:?}");
        assert_eq!(stream.range(..).count() as u64, length);
    });
}
