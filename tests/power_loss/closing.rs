//! A close whose last sync fails: what it left in the page cache is not taken for what is on disk.

use super::disk::{Faults, SimDisk, World};
use super::image::Image;
use crate::{Durability, Result, Store, StoreOptions, StreamOptions};
use std::path::Path;
use std::sync::Arc;

fn open(disk: &SimDisk) -> Result<Store> {
    let small = StreamOptions::new().segment_bytes(4096).max_entry_bytes(1000);
    let options = StoreOptions::default().durability(Durability::Manual).stream_defaults(small);
    Store::open_on(Arc::new(disk.clone()), Path::new("/store"), &options)
}

fn append(store: &Store, entries: u64) {
    let stream = store.stream("s").unwrap();
    for _ in 0..entries {
        stream.append([("v", "x".repeat(600))]).unwrap();
    }
}

/// Fails if `Recovery::make_durable` (src/storage/recover/build.rs) stores nothing once more of a log
/// that ends with a Close frame: the kernel gave the page of that one up, and the frames behind it
/// say that all before them is durable.
pub fn a_close_whose_last_sync_failed_damages_nothing() {
    for (seed, sync) in (0..12).flat_map(|seed| (0..6).map(move |sync| (seed, sync))) {
        let world = World { seed, write_back: 0, sync_all: false, now_ms: 1_000 };
        let disk = SimDisk::empty(world);
        let store = open(&disk).unwrap();
        append(&store, 2);
        store.sync().unwrap();
        disk.set_faults(Faults { sync_in: Some(sync), space_in: None });
        drop(store.close());
        disk.set_faults(Faults::default());
        let disk = disk.next_life();
        let store = open(&disk).unwrap();
        // The next segment begins, and says how far the log is durable.
        append(&store, 6);
        let capture = disk.capture();
        for number in 0..20 {
            let image = Image::make(&capture, number, seed);
            let stream = open(&image.boot()).and_then(|store| store.stream("s"));
            let length = stream.and_then(|stream| stream.len());
            let length = length.unwrap_or_else(|error| panic!("{seed}/{sync}/{number}: {error}"));
            assert!((2..=8).contains(&length), "{seed}/{sync}/{number}: {length} entries");
        }
    }
}
