//! Stores to measure: in directories that go away again, with entries that are all alike.

#![allow(dead_code, reason = "no benchmark needs all of it")]

use std::path::Path;
use std::time::Duration;
use streamlog::{Durability, NewEntries, Store, Stream};
use tempfile::TempDir;

/// The one field of the entries.
pub(crate) const FIELD: &str = "data";
/// What most benchmarks append.
pub(crate) const PAYLOAD: [u8; 100] = [b'x'; 100];
/// How long one benchmark runs; see `settings`.
const MEASURE: Duration = Duration::from_millis(1500);

/// A new directory below the crate's target directory, and thus on a disk: the system's own place
/// for such things is memory on many machines.
pub(crate) fn directory() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Opens the store of a directory with default options but for the level, and its stream.
pub(crate) fn open(dir: &Path, level: Durability) -> (Store, Stream) {
    let store = Store::options().durability(level).open(dir).unwrap();
    let stream = store.stream("entries").unwrap();
    (store, stream)
}

/// Appends entries in batches of 100.
pub(crate) fn fill(stream: &Stream, entries: u64, payload: &[u8]) {
    let mut batch = NewEntries::new();
    for n in 1..=entries {
        batch.push([(FIELD, payload)]).unwrap();
        if n % 100 == 0 || n == entries {
            stream.append_batch(&batch).unwrap();
            batch.clear();
        }
    }
}

/// Short runs: what is worth knowing here is seen in a second or two, and all of them together
/// should take a few minutes.
pub(crate) fn settings() -> criterion::Criterion {
    criterion::Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(MEASURE)
        .sample_size(20)
        .without_plots()
}
