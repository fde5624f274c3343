//! How fast are entries read, each verified: all of them in order, and ten from a random ID on?
//!
//! The stores were filled at `manual`, closed and opened again, and lie in memory.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on should stop")]

mod scratch;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use scratch::{FIELD, PAYLOAD, directory, fill, open, settings};
use std::cell::LazyCell;
use std::hint::black_box;
use streamlog::{Durability, EntryId, Store, Stream};
use tempfile::TempDir;

const ENTRIES: u64 = 200_000;
const SEEK_READS: u64 = 10;

fn filled() -> (Stream, Store, TempDir) {
    let dir = directory();
    let (store, stream) = open(dir.path(), Durability::Manual);
    fill(&stream, ENTRIES, &PAYLOAD);
    drop(stream);
    store.close().unwrap();
    let (store, stream) = open(dir.path(), Durability::Manual);
    (stream, store, dir)
}

fn scan(c: &mut Criterion) {
    let made = LazyCell::new(filled);
    let mut group = c.benchmark_group("scan");
    group.throughput(Throughput::Elements(ENTRIES));
    group.bench_function("manual/100B/borrowed", |b| {
        let (stream, ..) = &*made;
        b.iter(|| {
            let snapshot = stream.snapshot().unwrap();
            let mut entries = 0;
            for entry in snapshot.range(..) {
                black_box(entry.unwrap().get(FIELD).unwrap());
                entries += 1;
            }
            assert_eq!(entries, ENTRIES);
        });
    });
    group.bench_function("manual/100B/borrowed, backward", |b| {
        let (stream, ..) = &*made;
        b.iter(|| {
            let snapshot = stream.snapshot().unwrap();
            let mut entries = 0;
            for entry in snapshot.range(..).rev() {
                black_box(entry.unwrap().get(FIELD).unwrap());
                entries += 1;
            }
            assert_eq!(entries, ENTRIES);
        });
    });
    group.bench_function("manual/100B/owned", |b| {
        let (stream, ..) = &*made;
        b.iter(|| {
            let mut entries = 0;
            for entry in stream.range(..) {
                black_box(entry.unwrap());
                entries += 1;
            }
            assert_eq!(entries, ENTRIES);
        });
    });
    group.finish();
}

fn seek(c: &mut Criterion) {
    let made = LazyCell::new(|| {
        let (stream, store, dir) = filled();
        let ids = stream.range(..).map(|entry| entry.unwrap().id()).step_by(7);
        let mut ids: Vec<EntryId> = ids.collect();
        ids.truncate(ids.len() - SEEK_READS as usize);
        (stream, store, dir, ids)
    });
    let mut group = c.benchmark_group("seek");
    group.throughput(Throughput::Elements(1));
    group.bench_function(format!("manual/100B/next {SEEK_READS}"), |b| {
        let (stream, _, _, ids) = &*made;
        // A stride without a common factor with any length: each ID comes, none in order.
        let mut at = 0;
        b.iter(|| {
            at = (at + 7_368_787) % ids.len();
            let snapshot = stream.snapshot().unwrap();
            let found = snapshot.range(ids[at]..).take(SEEK_READS as usize);
            let read = found.map(|entry| black_box(entry.unwrap().get(FIELD)));
            assert_eq!(read.count() as u64, SEEK_READS);
        });
    });
    group.finish();
}

criterion_group!(name = benches; config = settings(); targets = scan, seek);
criterion_main!(benches);
