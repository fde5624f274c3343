//! What of the running file was made ready, and for whom.

use super::*;
use crate::journal::ahead::{MEANWHILE, Pace, REACH};
use std::time::Duration;

/// Has records count as fast, or as slow, once.
fn count(journal: &Journal, fast: bool) {
    let written = journal.written();
    journal.inner.lock().pace = match fast {
        true => Pace { written: written - 1, looked: Duration::MAX },
        false => Pace { written: written - 1, looked: Duration::ZERO },
    };
}

/// How much memory is ready ahead of the end of the records, and how much of the file there is.
fn ahead(journal: &Journal) -> (u64, u64) {
    let inner = journal.inner.lock();
    (inner.ready.saturating_sub(inner.end), inner.size - inner.end)
}

/// Less than a new file, and more than three quarters of it.
const LONG: u64 = 200 << 10;

fn long_records(journal: &Journal) {
    let event = created(&"x".repeat(LONG as usize / 4));
    (0..4).for_each(|_| append(journal, 1, &event));
}

/// Fails if a file that has grown, or one that is taken into use, counts as ready as far as the one
/// before, or if more of it is made ready than there is.
#[test]
fn fast_records_find_the_file_ready() {
    let (_disk, journal) = alone();
    long_records(&journal);
    assert_eq!(ahead(&journal).0, 0, "nothing was asked for yet");
    count(&journal, true);
    journal.make_ready(MEANWHILE);
    let (ready, room) = ahead(&journal);
    assert!(ready == room && room < LONG, "{ready} of {room}");
    // More than three quarters of the file are in use: it grows.
    append(&journal, 1, &created("b"));
    count(&journal, false);
    journal.maintain(&STATE).unwrap();
    let (ready, room) = ahead(&journal);
    assert!(ready == 0 && room > LONG, "{ready} of a map that nothing was asked of");
    long_records(&journal);
    count(&journal, true);
    journal.maintain(&STATE).unwrap();
    let (ready, room) = ahead(&journal);
    assert!(ready == room && room > 2 * LONG, "{ready} of {room}");
    journal.checkpoint(&STATE).unwrap();
    assert_eq!(ahead(&journal).0, 0, "another file");
    while ahead(&journal).1 < REACH {
        let size = journal.inner.lock().size;
        journal.grow(size).unwrap();
    }
    for reach in [MEANWHILE, REACH] {
        count(&journal, true);
        journal.make_ready(reach);
        assert_eq!(ahead(&journal).0, reach);
    }
}

/// Fails if a slow journal has the system write pages that nothing was stored to.
#[test]
fn slow_records_do_not() {
    let (_disk, journal) = alone();
    long_records(&journal);
    count(&journal, false);
    journal.make_ready(REACH);
    assert_eq!(ahead(&journal).0, 0);
}

/// Fails if what a sync has had forgotten still counts as ready.
#[test]
fn nothing_is_ready_behind_a_sync() {
    let (_disk, journal) = alone();
    long_records(&journal);
    count(&journal, true);
    journal.make_ready(REACH);
    journal.sync().unwrap();
    assert_eq!(ahead(&journal).0, 0);
    let mut inner = journal.inner.lock();
    let end = inner.end;
    // The page to which the next record goes stays.
    inner.ready = end + (1 << 20);
    let [behind, ahead] = inner.let_go();
    assert_eq!(behind, (0, end));
    assert!(ahead.0 > end && ahead.0 <= end + 4096 && ahead.1 == end + (1 << 20));
}
