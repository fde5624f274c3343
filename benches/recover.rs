//! How long does it take from nothing to the last entry, after a close and after a kill?
//!
//! Opening must not grow with the store, so two sizes are measured. A killed store is a copy of
//! the files of a store that is open and was synced; it is recovered once and thrown away.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on should stop")]

mod scratch;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use scratch::{directory, fill, open, settings};
use std::cell::LazyCell;
use std::fs::{self, File};
use std::path::Path;
use streamlog::{Durability, Store};
use tempfile::TempDir;

const PAYLOAD: [u8; 1024] = [b'x'; 1024];
const SIZES: [(&str, u64); 2] = [("16MiB", 16 << 10), ("128MiB", 128 << 10)];

/// Opens a store and reads its last entry.
fn reopen(dir: &Path, entries: u64) -> Store {
    let (store, stream) = open(dir, Durability::Manual);
    let last = stream.range(..).next_back().unwrap().unwrap();
    assert_eq!(last.fields().count(), 1);
    assert_eq!(stream.len().unwrap(), entries);
    store
}

fn closed(c: &mut Criterion) {
    let mut group = c.benchmark_group("reopen");
    group.throughput(Throughput::Elements(1));
    for (name, entries) in SIZES {
        let made = LazyCell::new(|| {
            let dir = directory();
            let (store, stream) = open(dir.path(), Durability::Manual);
            fill(&stream, entries, &PAYLOAD);
            drop(stream);
            store.close().unwrap();
            dir
        });
        group.bench_function(format!("manual/closed/{name}"), |b| {
            // Closing is part of it: the next one must find the same.
            b.iter(|| reopen(made.path(), entries).close().unwrap());
        });
    }
    group.finish();
}

fn killed(c: &mut Criterion) {
    let mut group = c.benchmark_group("reopen");
    group.throughput(Throughput::Elements(1));
    let (name, entries) = SIZES[0];
    let made = LazyCell::new(|| {
        let dir = directory();
        let (store, stream) = open(dir.path(), Durability::Manual);
        fill(&stream, entries, &PAYLOAD);
        store.sync().unwrap();
        let image = directory();
        copy(dir.path(), image.path());
        image
    });
    group.bench_function(format!("manual/killed/{name}"), |b| {
        let image = || -> TempDir {
            let dir = directory();
            copy(made.path(), dir.path());
            dir
        };
        let recover = |dir: TempDir| (reopen(dir.path(), entries), dir);
        b.iter_batched(image, recover, BatchSize::PerIteration);
    });
    group.finish();
}

/// Copies the files below a directory, and syncs them: what was synced before a kill is on disk.
fn copy(from: &Path, to: &Path) {
    for found in fs::read_dir(from).unwrap() {
        let (path, name) = (found.as_ref().unwrap().path(), found.unwrap().file_name());
        if path.is_dir() {
            fs::create_dir(to.join(&name)).unwrap();
            copy(&path, &to.join(&name));
        } else {
            fs::copy(&path, to.join(&name)).unwrap();
            File::open(to.join(&name)).unwrap().sync_all().unwrap();
        }
    }
}

criterion_group!(name = benches; config = settings(); targets = closed, killed);
criterion_main!(benches);
