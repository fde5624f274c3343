//! What makes room for records: longer files, and checkpoints that are not written twice.

use super::*;
use crate::journal::Refused;

/// A journal whose files are full after some dozens of records.
fn short() -> (Arc<MemDisk>, Journal) {
    let disk = Arc::new(MemDisk::new());
    for dir in ["/store", "/store/state"] {
        disk.create_dir(Path::new(dir)).unwrap();
    }
    let sizes = Sizes { first: 8192, usual: 8192, most: 32 << 10, due: 4096, section: 512 };
    let place = Place { sizes, ..place(&disk) };
    let loaded = load(&place, false).unwrap();
    let nothing = Dumped { streams: 0, events: |_| Vec::new() };
    let journal = Journal::start(place, &loaded, &nothing).unwrap();
    (disk, journal)
}

fn fill(journal: &Journal) {
    let event = created(&"x".repeat(100));
    loop {
        match journal.append(&[(1, std::slice::from_ref(&event))], false) {
            Ok(_) => {}
            Err(Refused::Full) => return,
            Err(Refused::Error(error)) => panic!("{error}"),
        }
    }
}

fn lens(disk: &MemDisk) -> [usize; 3] {
    ["0", "1", "2"].map(|file| bytes_of(disk, file).len())
}

/// Fails if files stay so short that who writes has to wait for each checkpoint, or grow without an
/// end or without a need.
#[test]
fn files_grow_where_records_come_faster_than_a_checkpoint() {
    let (disk, journal) = short();
    journal.maintain(&STATE).unwrap();
    assert_eq!(lens(&disk), [8192; 3]);
    for size in [16 << 10, 32 << 10, 32 << 10] {
        fill(&journal);
        journal.make_room(&STATE, false).unwrap();
        journal.checkpoint(&STATE).unwrap();
        assert_eq!(lens(&disk), [size; 3]);
    }
    append(&journal, 1, &trimmed(5));
    assert_eq!(events_of(&found(&disk).events[&1]), [created("a"), trimmed(5)]);
}

/// Fails if who found no room writes one more checkpoint behind the one that has made room.
#[test]
fn a_checkpoint_that_has_ended_meanwhile_makes_room() {
    let (_disk, journal) = short();
    fill(&journal);
    let turn = journal.inner.lock().turn;
    for _ in 0..2 {
        journal.write_checkpoint(&STATE, Some(turn)).unwrap();
        assert_eq!(journal.inner.lock().turn, turn + 1);
        append(&journal, 1, &trimmed(5));
    }
}

/// Fails if something of an earlier turn is left in a file: where it was written to is known, and
/// what it was told lies behind that.
#[test]
fn nothing_of_an_earlier_turn_lies_behind_a_checkpoint() {
    let (disk, journal) = short();
    for turn in 0..7 {
        // Longer and shorter ones by turns.
        (0..turn % 3 * 15).for_each(|_| append(&journal, 1, &created(&"x".repeat(100))));
        journal.sync().unwrap();
        journal.checkpoint(&STATE).unwrap();
        let (slot, end) = {
            let inner = journal.inner.lock();
            (inner.slot, inner.end)
        };
        let bytes = bytes_of(&disk, ["0", "1", "2"][slot]);
        assert!(bytes[usize::try_from(end).unwrap()..].iter().all(|byte| *byte == 0), "{turn}");
    }
}
