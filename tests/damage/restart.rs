//! Segments with a damaged beginning at a restart of the log: the one with which it was restarted
//! after XSETID had set the last ID back, and the one in front of that.

use crate::copy::died;
use crate::gaps::checked;
use crate::made::{
    error, flip, frames, manual, overwrite, put, skipping, small, stream, used_segments,
};
use std::fs;
use std::path::{Path, PathBuf};
use streamlog::{EntryId, Stream, Trim};

fn id(ms: u64) -> EntryId {
    EntryId::new(ms, 0)
}

/// What was done to a stream, in which 1 to 500 were appended first.
#[derive(Clone, Copy, Debug)]
struct Made {
    /// Up to here entries live.
    kept: u64,
    /// The last ID is set back to this.
    to: u64,
    /// The first entry and the last one behind the restart.
    first: u64,
    last: u64,
    /// The segments that the restart drops are still there.
    stay: bool,
    closed: bool,
    /// The log is restarted once more right behind the last entry.
    again: bool,
}

/// Sets the last ID back from one to another one, up to which `kept` entries live.
fn back(s: &Stream, from: u64, kept: u64, to: u64) {
    if kept == 0 {
        s.trim(Trim::max_len(0)).unwrap();
    } else {
        s.delete((kept + 1..=from).map(id)).unwrap();
    }
    s.set_id(id(from), None, Some(id(to))).unwrap();
    s.set_id(id(to), None, None).unwrap();
}

impl Made {
    fn live(self) -> Vec<u64> {
        (1..=self.kept).chain(self.first..=self.last).collect()
    }

    /// The store, and the files with frames.
    fn make(self) -> (tempfile::TempDir, Vec<PathBuf>) {
        let dir = tempfile::tempdir().unwrap();
        // Where damage is skipped nothing of before a restart is removed.
        let options = if self.stay { skipping() } else { manual() };
        let store = options.open(dir.path()).unwrap();
        let s = store.stream_with("s", small()).unwrap();
        put(&s, 1..=500);
        store.sync().unwrap();
        back(&s, 500, self.kept, self.to);
        // Frames behind a sync say that what lies before them is durable.
        put(&s, self.first..=self.first + 5);
        store.sync().unwrap();
        put(&s, self.first + 6..=self.last);
        store.sync().unwrap();
        if self.again {
            put(&s, self.last + 1..=self.last + 300);
            back(&s, self.last + 300, self.last, self.last);
        }
        let dir = if self.closed {
            // It goes back, and the log is not restarted.
            s.set_id(id(self.last + 9), None, None).unwrap();
            s.set_id(id(self.last + 5), None, None).unwrap();
            drop(s);
            store.close().unwrap();
            dir
        } else {
            put(&s, self.last + 1..=self.last + 1);
            s.delete([id(self.last + 1)]).unwrap();
            store.sync().unwrap();
            died(dir.path())
        };
        let dir = if self.stay {
            dir
        } else {
            // The next life removes what the last one left to it.
            let store = manual().open(dir.path()).unwrap();
            assert_eq!(checked(&stream(&store, "s")), self.live(), "{self:?}");
            let killed = died(dir.path());
            store.close().unwrap();
            if self.closed { dir } else { killed }
        };
        let files = used_segments(dir.path(), 1);
        (dir, files)
    }
}

/// The number of a segment file.
fn number(path: &Path) -> u64 {
    path.file_name().unwrap().to_str().unwrap()[..10].parse().unwrap()
}

/// The file of the restart: behind the four segments of before.
fn restart_of(files: &[PathBuf]) -> usize {
    files.iter().position(|path| number(path) >= 4).unwrap()
}

/// A stream that has all that lives but for `lost`, though a file is damaged at its beginning.
fn keeps(dir: &Path, file: &Path, made: Made, lost: &[u64]) {
    let refused = error(manual().open(dir).unwrap().get("s"));
    assert_eq!(refused.location().unwrap().0, file, "{refused}");
    let before = fs::read(file).unwrap();
    let mut want: Vec<u64> = made.live().into_iter().filter(|n| !lost.contains(n)).collect();
    let total = 500 + made.last - made.first + 1 + u64::from(!made.closed);
    let total = total + if made.again { 300 } else { 0 };
    for round in 0..3 {
        let store = skipping().open(dir).unwrap();
        let s = stream(&store, "s");
        assert_eq!(checked(&s), want, "round {round}: {made:?}");
        assert_eq!(s.info().unwrap().entries_added, total + round, "round {round}: {made:?}");
        let report = store.recovery();
        let found = &report.streams[0].gaps;
        assert!(!found.is_empty(), "round {round}: {made:?}");
        assert!(found.iter().all(|gap| gap.path == file && gap.from < 512), "{found:?}: {made:?}");
        let new = made.last + 10 + round;
        put(&s, new..=new);
        want.push(new);
        assert_eq!(checked(&s), want, "round {round}: {made:?}");
        store.close().unwrap();
        assert!(fs::read(file).unwrap() == before, "it was written to");
    }
}

/// With and without what the restart dropped, with segments behind it and without, and where its
/// first ID is not right above the one that was set.
fn each() -> Vec<Made> {
    let mut all = Vec::new();
    for (first, last) in [(6, 20), (6, 400), (40, 60), (40, 400)] {
        for (stay, closed) in [(true, true), (true, false), (false, true), (false, false)] {
            for kept in [0, 5] {
                all.push(Made { kept, to: 5, first, last, stay, closed, again: false });
            }
        }
    }
    all
}

/// Fails if `Headless::first_from` looks by position for what a restart was behind (then dropped
/// segments are in the log again, or those that are kept are not), or takes the ID in front of its
/// first entry for that to which it was set back; or if `StreamState` (src/state.rs) forgets that.
#[test]
fn a_damaged_beginning_of_a_restart_brings_back_nothing_and_loses_nothing() {
    for made in each() {
        for at in [60, 142] {
            let (dir, files) = made.make();
            let restart = restart_of(&files);
            if made.kept > 0 {
                assert_eq!(restart, if made.stay { 4 } else { 1 }, "{files:?}");
            } else if at == 60 {
                // Without a salt it takes a neighbour to tell whose it is.
                continue;
            }
            assert_eq!(made.last > 300, files.len() > restart + 1, "{files:?}");
            flip(&files[restart], at);
            keeps(dir.path(), &files[restart], made, &[]);
        }
    }
}

/// Fails like the test before.
#[test]
fn a_lost_first_sector_of_a_restart_costs_what_lay_in_it() {
    // Without a footer nothing tells the salt that was lost.
    for made in each().into_iter().filter(|made| made.last > 300 && made.closed) {
        let (dir, files) = made.make();
        let file = &files[restart_of(&files)];
        let entries = frames(file).into_iter().filter(|frame| frame.kind == 2);
        let hit = entries.filter(|frame| frame.at < 512).count() as u64;
        overwrite(file, 0, &[0x5a; 512]);
        let lost: Vec<u64> = (made.first..made.first + hit).collect();
        keeps(dir.path(), file, made, &lost);
    }
}

/// Fails if `Headless::first_from` takes the position and the number of entries of a segment from a
/// restart behind it: between the two lay what that dropped.
#[test]
fn a_damaged_beginning_in_front_of_a_restart_costs_no_entry() {
    for stay in [true, false] {
        for (kept, last) in [(200, 230), (200, 400), (5, 20), (5, 300)] {
            for at in [60, 142] {
                let first = kept + 1;
                let made = Made { kept, to: kept, first, last, stay, closed: true, again: false };
                let (dir, files) = made.make();
                let n = usize::from(kept > 100);
                assert!(number(&files[n]) == n as u64 && number(&files[n + 1]) > n as u64);
                flip(&files[n], at);
                keeps(dir.path(), &files[n], made, &[]);
            }
        }
    }
}

/// Fails if `Headless::restart` does not see that IDs go back, or if `Headless::first_from` takes the
/// number of entries or the segment in front from a position that is only the highest possible.
#[test]
fn a_damaged_restart_in_front_of_another_one_costs_no_entry() {
    for stay in [true, false] {
        for (kept, at) in [(0, 142), (5, 60), (5, 142)] {
            let (first, last, closed) = (6, 60, true);
            let made = Made { kept, to: 5, first, last, stay, closed, again: true };
            let (dir, files) = made.make();
            let restart = restart_of(&files);
            assert_eq!(stay, files.len() > restart + 2, "{files:?}");
            flip(&files[restart], at);
            keeps(dir.path(), &files[restart], made, &[]);
        }
    }
}

/// Fails if `Recovery::end_at_restart` leaves what the restart had cut off, or lets the log go on
/// right behind what is left; or if a new segment may take the number of the lost one.
#[test]
fn without_the_restart_nothing_comes_back_that_it_cut_off() {
    for made in each() {
        let (dir, files) = made.make();
        let lost = &files[restart_of(&files)..];
        lost.iter().for_each(|file| fs::remove_file(file).unwrap());
        let refused = error(manual().open(dir.path()).unwrap().get("s"));
        assert!(refused.is_corruption(), "{refused}: {made:?}");
        let mut want: Vec<u64> = (1..=made.kept).collect();
        for round in 0..3 {
            let store = skipping().open(dir.path()).unwrap();
            let s = stream(&store, "s");
            assert_eq!(checked(&s), want, "round {round}: {made:?}");
            // Where nothing from before it lived, nothing tells later that more was there.
            let told = !store.recovery().streams[0].gaps.is_empty();
            assert!(told || (round > 0 && made.kept == 0), "round {round}: {made:?}");
            let new = 1000 + round;
            put(&s, new..=new);
            want.push(new);
            assert_eq!(checked(&s), want, "round {round}: {made:?}");
            store.close().unwrap();
        }
    }
}
