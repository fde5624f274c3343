//! How often the calling thread allocates. Every number is of the whole, so that what grows now
//! and then (the sparse index, a list of pending entries) is in it.

use super::{Test, count, held};
use std::hint::black_box;
use streamlog::{
    AppendOptions, Durability, EntryId, GroupReadOptions, NewEntries, Start, Store, Stream,
};

pub(crate) const TESTS: &[Test] = &[
    ("an_append_does_not_allocate", an_append),
    ("a_durable_append_does_not_allocate", a_durable_append),
    ("a_scan_does_not_allocate", a_scan),
    ("a_seek_allocates_nothing_for_what_it_passes", a_seek),
    ("a_pending_entry_takes_32_bytes", a_pending_entry),
    ("a_group_allocates_by_the_call_and_not_by_the_entry", a_group),
];

const ENTRIES: u64 = 10_000;

fn made(level: Durability) -> (tempfile::TempDir, Store, Stream) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = Store::options().durability(level).open(dir.path()).unwrap();
    let stream = store.stream("s").unwrap();
    (dir, store, stream)
}

fn fill(stream: &Stream, entries: u64) {
    let mut batch = NewEntries::new();
    for _ in 0..entries {
        batch.push([("data", [b'x'; 100])]).unwrap();
    }
    stream.append_batch(&batch).unwrap();
}

fn an_append() -> bool {
    let (_dir, _store, stream) = made(Durability::Manual);
    // Segments have grown by then, so that hardly one rolls.
    (0..10).for_each(|_| fill(&stream, ENTRIES));
    let (count, ()) = count(|| {
        for _ in 0..ENTRIES {
            stream.append([("data", [b'x'; 100])]).unwrap();
        }
    });
    println!("  {count} allocations in {ENTRIES} appends");
    assert!(count < 100);
    true
}

fn a_durable_append() -> bool {
    let (_dir, _store, stream) = made(Durability::Manual);
    fill(&stream, 10);
    let (count, ()) = count(|| {
        for _ in 0..100 {
            stream.append_with([("data", [b'x'; 100])], AppendOptions::new().durable()).unwrap();
        }
    });
    println!("  {count} allocations in 100 durable appends");
    assert!(count < 10);
    true
}

fn a_scan() -> bool {
    let (_dir, _store, stream) = made(Durability::Manual);
    fill(&stream, ENTRIES);
    let snapshot = stream.snapshot().unwrap();
    let mut seen = 0;
    let (there, ()) = count(|| {
        for entry in snapshot.range(..) {
            black_box(entry.unwrap());
            seen += 1;
        }
    });
    let (back, ()) = count(|| {
        for entry in snapshot.range(..).rev() {
            black_box(entry.unwrap());
        }
    });
    println!("  {there} allocations in a scan of {seen} entries, {back} backwards");
    assert!(there < 10 && back < 20);
    true
}

fn a_seek() -> bool {
    let (_dir, _store, stream) = made(Durability::Manual);
    fill(&stream, ENTRIES);
    let ids: Vec<EntryId> = stream.range(..).map(|entry| entry.unwrap().id()).collect();
    let snapshot = stream.snapshot().unwrap();
    let (count, ()) = count(|| {
        for id in ids.iter().step_by(100) {
            black_box(snapshot.get(*id).unwrap().unwrap());
        }
    });
    println!("  {count} allocations in {} seeks", ids.len() / 100);
    assert!(count < 10);
    true
}

/// How much memory each of many pending entries takes: as they are delivered, in batches of 100 to
/// so many consumers in turn, and when the store is opened again.
fn pending_bytes(consumers: usize) -> (f64, f64) {
    const PENDING: u64 = 100_000;
    let (dir, store, stream) = made(Durability::Manual);
    (0..PENDING / ENTRIES).for_each(|_| fill(&stream, ENTRIES));
    let group = stream.create_group("g", Start::First).unwrap();
    let names = (0..consumers).map(|n| group.consumer(format!("c{n}")).unwrap());
    let names: Vec<_> = names.collect();
    let (live, ()) = held(|| {
        for name in names.iter().cycle().take(PENDING as usize / 100) {
            drop(name.read(GroupReadOptions::new().count(100)).unwrap());
        }
    });
    assert_eq!(group.pending().unwrap().count, PENDING);
    drop((names, group, stream));
    store.close().unwrap();
    let (again, store) = held(|| {
        let store = Store::open(dir.path()).unwrap();
        store.stream("s").unwrap();
        store
    });
    let group = store.stream("s").unwrap().get_group("g").unwrap().unwrap();
    assert_eq!(group.pending().unwrap().count, PENDING);
    (live as f64 / PENDING as f64, again as f64 / PENDING as f64)
}

fn a_pending_entry() -> bool {
    for consumers in [1, 10, 1_000] {
        let (live, again) = pending_bytes(consumers);
        println!("  {live:.1} bytes a pending entry of {consumers} consumers, {again:.1} reopened");
        // A consumer by itself takes more than its hundred entries in the last case.
        let most = if consumers < 1_000 { 32.0 } else { 48.0 };
        // The store that was opened is in the second number.
        assert!(live <= most && again <= most + 8.0);
    }
    true
}

fn a_group() -> bool {
    let (_dir, _store, stream) = made(Durability::Manual);
    fill(&stream, ENTRIES);
    let group = stream.create_group("g", Start::First).unwrap();
    let consumer = group.consumer("c").unwrap();
    let mut most = [0, 0];
    for (kind, entries) in [1, 100].into_iter().enumerate() {
        // What the first one makes stays: the consumer, its list, the buffers.
        consumer.read(GroupReadOptions::new().count(entries)).unwrap().ack_all().unwrap();
        for _ in 0..20 {
            let (count, acked) = count(|| {
                let read = consumer.read(GroupReadOptions::new().count(entries)).unwrap();
                for entry in &read {
                    black_box(entry);
                }
                read.ack_all().unwrap()
            });
            assert_eq!(acked, entries as u64);
            most[kind] = most[kind].max(count);
        }
    }
    println!("  {most:?} allocations at most in a read and its acknowledgement of 1 and of 100");
    assert!(most[0] <= 5 && most[1] <= 10);
    true
}
