//! What of the running file was made ready, and for whom.

use super::*;
use crate::journal::ahead::{MEANWHILE, Pace, REACH};
use std::time::Duration;

/// Has records count as fast, or as slow, and those that come now at the next look as well.
pub(super) fn count(journal: &Journal, fast: bool) {
    let looked = if fast { Duration::MAX } else { Duration::ZERO };
    journal.inner.lock().pace = Pace { written: journal.written() - 1, looked, fast };
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
    // It looks at the clock itself.
    journal.inner.lock().pace.fast = false;
    journal.maintain(&STATE).unwrap();
    assert_eq!(ahead(&journal).0, REACH);
    journal.checkpoint(&STATE).unwrap();
    assert_eq!(ahead(&journal).0, 0, "another file");
    count(&journal, true);
    for reach in [MEANWHILE, REACH] {
        journal.make_ready(reach);
        assert_eq!(ahead(&journal).0, reach);
    }
}

/// Fails if fast records have to wait at each length that files grow by, or for the first
/// checkpoint that is too slow for them; or if slow ones get files that long.
#[test]
fn fast_records_have_long_files_at_once() {
    let size = |journal: &Journal| journal.inner.lock().size;
    for (fast, grown) in [(false, 512 << 10), (true, 8 << 20)] {
        let (_disk, journal) = alone();
        count(&journal, fast);
        journal.grow(256 << 10).unwrap();
        assert_eq!(size(&journal), grown);
    }
    for (fast, wide) in [(false, 8 << 20), (true, 16 << 20)] {
        let (_disk, journal) = alone();
        count(&journal, true);
        journal.grow(256 << 10).unwrap();
        count(&journal, fast);
        for _ in 0..2 {
            journal.checkpoint(&STATE).unwrap();
            assert_eq!(size(&journal), wide);
        }
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
