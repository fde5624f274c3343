//! How fast does one consumer of a group read entries and acknowledge them, one by one and in
//! batches of 100?
//!
//! The level is that of the stream: under `always` an acknowledgement waits for the disk, under
//! `manual` nothing does.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on should stop")]

mod scratch;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use scratch::{FIELD, PAYLOAD, directory, fill, open, settings};
use std::cell::LazyCell;
use std::hint::black_box;
use std::time::{Duration, Instant};
use streamlog::{Consumer, Durability, GroupReadOptions, Start, Store};
use tempfile::TempDir;

/// How many entries the group reads before it begins at the first one again, off the clock.
const ENTRIES: u64 = 100_000;

fn filled(level: Durability) -> (Consumer, Store, TempDir) {
    let dir = directory();
    let (store, stream) = open(dir.path(), level);
    fill(&stream, ENTRIES, &PAYLOAD);
    let group = stream.group("workers", Start::First).unwrap();
    (group.consumer("only").unwrap(), store, dir)
}

/// Reads and acknowledges `calls` times. There are entries for all of them.
fn read_and_ack(consumer: &Consumer, calls: u64, batch: u64) -> Duration {
    let options = GroupReadOptions::new().count(batch as usize);
    let start = Instant::now();
    for _ in 0..calls {
        let delivery = consumer.read(options).unwrap();
        for entry in &delivery {
            black_box(entry.get(FIELD).unwrap());
        }
        assert_eq!(delivery.ack_all().unwrap(), batch);
    }
    start.elapsed()
}

fn group(c: &mut Criterion) {
    let mut bench = c.benchmark_group("group read and ack");
    for (name, level) in [("manual", Durability::Manual), ("always", Durability::Always)] {
        let made = LazyCell::new(|| filled(level));
        for batch in [1, 100] {
            bench.throughput(Throughput::Elements(batch));
            bench.bench_function(format!("{name}/100B/batch of {batch}"), |b| {
                let (consumer, ..) = &*made;
                b.iter_custom(|mut calls| {
                    let mut time = Duration::ZERO;
                    while calls > 0 {
                        let some = calls.min(ENTRIES / batch);
                        consumer.group().set_id(Start::First).unwrap();
                        time += read_and_ack(consumer, some, batch);
                        calls -= some;
                    }
                    time
                });
            });
        }
    }
    bench.finish();
}

criterion_group!(name = benches; config = settings(); targets = group);
criterion_main!(benches);
