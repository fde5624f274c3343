//! `Store::verify` beside everything that changes files.

use crate::options::{Durability, Start, StreamOptions, Trim};
use crate::storage::disk::Disk;
use crate::storage::mem::MemDisk;
use crate::storage::real::RealDisk;
use crate::store::Store;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;

/// Ends the loops of the others, also when the thread that holds it panics.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Appends and trims over small segments, streams and groups that come and go, syncs, and one
/// checkpoint after the other; nothing of that is damage.
fn beside_writers(disk: Arc<dyn Disk>, dir: &Path) {
    let small = StreamOptions::new().segment_bytes(4096).max_entry_bytes(1000);
    let options = Store::options().durability(Durability::Manual).stream_defaults(small);
    let store = &Store::open_on(disk, dir, &options).unwrap();
    let over = &AtomicBool::new(false);
    scope(|scope| {
        let _done = Done(over);
        let repeat = |work: Box<dyn Fn(u64) + Send>| {
            scope.spawn(move || {
                (0..).take_while(|_| !over.load(Ordering::Relaxed)).for_each(work);
            });
        };
        let stream = store.stream("s").unwrap();
        repeat(Box::new(move |n| {
            stream.append([("n", n.to_string())]).unwrap();
            if n % 50 == 0 {
                stream.trim(Trim::max_len(200)).unwrap();
            }
        }));
        let stream = store.stream("t").unwrap();
        repeat(Box::new(move |n| {
            let name = format!("{n} {:0200}", 0);
            stream.create_group(&name, Start::Last).unwrap();
            assert!(stream.remove_group(&name).unwrap());
            if n % 20 == 0 {
                store.stream(&name).unwrap().append([("a", "b")]).unwrap();
                assert!(store.remove(&name).unwrap());
            }
        }));
        repeat(Box::new(move |_| store.step_checkpoint().unwrap()));
        repeat(Box::new(move |_| {
            store.step_sync().unwrap();
            store.step_prepare().unwrap();
        }));
        for _ in 0..200 {
            let found = store.verify().unwrap();
            assert!(found.is_whole(), "{found}");
        }
    });
}

/// Fails if `Journal::verify` lets checkpoints go on beside it.
#[test]
fn beside_writers_nothing_is_found() {
    let heap = Arc::new(MemDisk::new());
    beside_writers(heap, Path::new("/store"));
    let dir = tempfile::tempdir().unwrap();
    beside_writers(Arc::new(RealDisk::new()), dir.path());
}
