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
    fill_by(journal, false);
}

fn fill_by(journal: &Journal, grows: bool) {
    let event = created(&"x".repeat(100));
    loop {
        match journal.append(&[(1, std::slice::from_ref(&event))], grows) {
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

/// Fails if the background is asked only once who writes finds no room for what may make the state
/// grow, or if it does not find a reason for a checkpoint then.
#[test]
fn a_checkpoint_tells_in_time_what_records_have_undone() {
    for grows in [false, true] {
        let (_disk, journal) = short();
        assert!(!journal.asks_for_care());
        let event = created(&"x".repeat(100));
        for _ in 0..18 {
            journal.append(&[(1, std::slice::from_ref(&event))], grows).unwrap();
        }
        let turn = journal.inner.lock().turn;
        assert_eq!(journal.asks_for_care(), grows);
        journal.maintain(&STATE).unwrap();
        let inner = journal.inner.lock();
        assert_eq!(inner.turn, turn + u64::from(grows));
        assert!(!grows || inner.state_bytes < inner.due_for());
    }
}

/// Fails if who writes waits for the checkpoint of a state that takes much of a file, or if files
/// grow without one for a small state.
#[test]
fn files_are_long_beside_what_the_state_takes() {
    let large = |_| vec![created(&"s".repeat(3 << 10))];
    let large = Dumped { streams: 1, events: large as fn(u64) -> Vec<Event> };
    for (state, is_large) in [(STATE, false), (large, true)] {
        let (disk, journal) = short();
        journal.checkpoint(&state).unwrap();
        let turn = journal.inner.lock().turn;
        fill_by(&journal, true);
        journal.make_room(&state, false).unwrap();
        assert_eq!(lens(&disk), [16 << 10; 3]);
        assert_eq!(journal.inner.lock().turn == turn, is_large);
        append(&journal, 1, &trimmed(5));
    }
}

/// Fails if the checkpoints of a large state, of which records leave nothing behind, follow each
/// other without an end: it needs longer files, and where there are none, some records in between.
#[test]
fn a_large_state_is_not_written_again_and_again() {
    let large = |_| vec![created(&"s".repeat(3500))];
    let large = Dumped { streams: 1, events: large as fn(u64) -> Vec<Event> };
    let (disk, journal) = short();
    journal.checkpoint(&large).unwrap();
    let turn = journal.inner.lock().turn;
    let event = created(&"x".repeat(100));
    let add = || journal.append(&[(1, std::slice::from_ref(&event))], true);
    let due = |journal: &Journal| {
        let inner = journal.inner.lock();
        assert!(inner.due_for() >= inner.state_then + inner.size / 32);
        inner.state_bytes >= inner.due_for()
    };
    while !due(&journal) {
        add().unwrap();
    }
    journal.maintain(&large).unwrap();
    let inner = journal.inner.lock();
    assert_eq!((inner.turn, inner.size), (turn, 16 << 10));
    assert!(inner.state_bytes < inner.due_for());
    drop(inner);
    assert_eq!(lens(&disk), [16 << 10; 3]);
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
