//! Invariants 3 and 7 for streams as things with names: nothing is half there, and what was refused
//! is not there at all.

use super::disk::{ENOSPC, FaultDisk};
use super::ground::{DIR, JOURNAL, die, open, put, seen};
use crate::{Durability, Start};
use std::path::Path;

/// Fails if `Journal::start` (src/journal.rs) demands the length of the longest file of all files.
pub(crate) fn invariant_03_a_journal_of_which_one_file_grew_opens_on_a_full_disk() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..4);
    disk.fail("allocate", "/state/1$", ENOSPC);
    // Records that leave nothing behind, until the files are full and were to grow.
    let group = stream.create_group("g", Start::First).unwrap();
    let name = "n".repeat(250);
    let grown = |disk: &FaultDisk| {
        let len = |file| disk.bytes(&Path::new(DIR).join("state").join(file)).len();
        len("0") > len("1")
    };
    while !grown(&disk) {
        group.create_consumer(&name).unwrap();
        group.remove_consumer(&name).unwrap();
    }
    store.sync().unwrap();
    die(store);
    let disk = disk.image();
    disk.fail("allocate", JOURNAL, ENOSPC);
    for _ in 0..4 {
        let store = open(&disk, Durability::Manual);
        let stream = store.stream("s").unwrap();
        assert_eq!(seen(&stream), [1, 2, 3]);
        let group = stream.get_group("g").unwrap().unwrap();
        group.create_consumer(&name).unwrap();
        group.remove_consumer(&name).unwrap();
        // Nothing of an earlier turn lies behind what is in use now.
        assert_eq!(store.recovery().journal.cut, None);
        store.close().unwrap();
    }
}
