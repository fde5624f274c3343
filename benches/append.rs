//! How fast are entries appended by one thread, one by one and in batches of 100, at each level?
//!
//! Under `always` each call waits for the disk; under `interval` the cap on bytes that are not yet
//! on disk makes a run as fast as the disk takes them; `manual` shows the log itself.
//!
//! And how fast durable appends are of which one thread has many in flight, by tickets?

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on should stop")]

mod scratch;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use scratch::{FIELD, PAYLOAD, directory, open, settings};
use std::cell::LazyCell;
use std::collections::VecDeque;
use streamlog::{Durability, NewEntries, Ticket};

const LEVELS: [(&str, Durability); 3] = [
    ("manual", Durability::Manual),
    ("interval", Durability::EVERY_SECOND),
    ("always", Durability::Always),
];
const BATCH: u64 = 100;
/// How many tickets are outstanding: some syncs' worth of appends.
const IN_FLIGHT: usize = 10_000;

fn single(c: &mut Criterion) {
    let mut group = c.benchmark_group("append");
    group.throughput(Throughput::Elements(1));
    for (name, level) in LEVELS {
        // Made when the benchmark is run: a filter on the command line may leave it out.
        let made = LazyCell::new(|| {
            let dir = directory();
            let (store, stream) = open(dir.path(), level);
            (stream, store, dir)
        });
        group.bench_function(format!("{name}/100B"), |b| {
            let (stream, ..) = &*made;
            b.iter(|| stream.append([(FIELD, &PAYLOAD)]).unwrap());
        });
    }
    group.finish();
}

fn batch(c: &mut Criterion) {
    let mut group = c.benchmark_group("append");
    group.throughput(Throughput::Elements(BATCH));
    for (name, level) in LEVELS {
        let made = LazyCell::new(|| {
            let dir = directory();
            let (store, stream) = open(dir.path(), level);
            (stream, store, dir)
        });
        group.bench_function(format!("{name}/100B/batch of {BATCH}"), |b| {
            let (stream, ..) = &*made;
            let mut batch = NewEntries::new();
            b.iter(|| {
                batch.clear();
                for _ in 0..BATCH {
                    batch.push([(FIELD, &PAYLOAD)]).unwrap();
                }
                stream.append_batch(&batch).unwrap()
            });
        });
    }
    group.finish();
}

/// Each append is durable by the time that the ones behind it have filled the queue.
fn in_flight(c: &mut Criterion) {
    let mut group = c.benchmark_group("append");
    group.throughput(Throughput::Elements(1));
    for (name, level) in LEVELS {
        let made = LazyCell::new(|| {
            let dir = directory();
            let (store, stream) = open(dir.path(), level);
            (stream, store, dir)
        });
        group.bench_function(format!("{name}/100B/{IN_FLIGHT} in flight"), |b| {
            let (stream, ..) = &*made;
            let mut tickets = VecDeque::new();
            b.iter(|| {
                if tickets.len() == IN_FLIGHT {
                    tickets.pop_front().map(|oldest: Ticket| oldest.wait()).transpose().unwrap();
                }
                tickets.push_back(stream.append_async([(FIELD, &PAYLOAD)]).unwrap());
            });
        });
    }
    group.finish();
}

criterion_group!(name = benches; config = settings(); targets = single, batch, in_flight);
criterion_main!(benches);
