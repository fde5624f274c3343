//! What the page cache still says after a sync has failed, and the disk never heard of.

use super::Test;
use super::machine::{Cut, append, die, disk, ids, open};
use super::sim::disk::{Faults, SimDisk, World};
use super::sim::image::Mode;
use crate::{Durability, Store};

pub const TESTS: &[Test] = &[
    ("a_close_frame_may_not_be_on_disk_itself", a_close_frame_may_not_be_on_disk_itself),
    ("nothing_goes_for_a_removal_that_is_not_on_disk", nothing_goes_for_a_removal),
];

/// Disks that give up different pages when a sync fails.
fn disks() -> impl Iterator<Item = SimDisk> {
    let world = |seed| World { seed, write_back: 0, sync_all: false, now_ms: 1_700_000_000_000 };
    (0..8).map(move |seed| SimDisk::empty(world(seed)))
}

fn fail_next_sync(disk: &SimDisk) {
    disk.set_faults(Faults { sync_in: Some(0), space_in: None });
}

/// A Close frame says that all before it is durable. Its own sync failed, the next process found
/// it in the page cache and did not store it again, and a segment was begun that named its end.
fn a_close_frame_may_not_be_on_disk_itself() {
    for disk in disks() {
        let store = open(&disk, Durability::Always);
        let stream = store.stream("s").unwrap();
        let first = append(&stream, 2500);
        fail_next_sync(&disk);
        store.close().unwrap_err();
        drop(stream);
        let disk = disk.next_life();
        let store = open(&disk, Durability::Always);
        let stream = store.stream("s").unwrap();
        let second = append(&stream, 2500);
        die(&disk, (store, stream));
        let store = open(&Cut::late(&disk).boot(), Durability::Always);
        assert_eq!(ids(&store.stream("s").unwrap()), [first, second]);
    }
}

/// The record of a removal was in the page cache only. The next process cleared the directory away
/// before it had written down that the stream is gone.
fn nothing_goes_for_a_removal() {
    for disk in disks() {
        let store = open(&disk, Durability::Always);
        let stream = store.stream("s").unwrap();
        let id = append(&stream, 10);
        fail_next_sync(&disk);
        store.remove("s").unwrap_err();
        die(&disk, (store, stream));
        let disk = disk.next_life();
        disk.want_each("remove_dir");
        let store = open(&disk, Durability::Always);
        assert_eq!(store.names().len(), 0);
        let captures = disk.take_captures();
        assert_eq!(captures.len(), 1);
        for capture in captures {
            let store: Store = open(&Cut::of(capture, Mode::AllCurrent).boot(), Durability::Always);
            if let Some(stream) = store.get("s").unwrap() {
                assert_eq!(ids(&stream), [id]);
            }
        }
    }
}
