//! `Store::verify` names whatever was lost or is damaged, also where nothing in a segment shows it:
//! what is missing, what was set aside, what became of the STORE file and of the state journal.
//!
//! Each test fails if `verify` makes findings only of what the segments of a log show.

use crate::copy::died;
use crate::made::{
    HEADER, error, flip, frames, ids, manual, overwrite, put, segments, skipping, small, stream,
    used_segments,
};
use std::fs;
use std::path::{Path, PathBuf};
use streamlog::{EntryId, ErrorKind, Finding, Start, Store, Trim};

/// A closed store with a stream `s` of more than four segments and a group in it.
fn closed() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = manual().open(dir.path()).unwrap();
    let s = store.stream_with("s", small()).unwrap();
    put(&s, 1..=900);
    s.create_group("first", Start::First).unwrap();
    store.sync().unwrap();
    s.create_group("second", Start::First).unwrap();
    store.sync().unwrap();
    s.create_group("third", Start::First).unwrap();
    store.close().unwrap();
    assert!(used_segments(dir.path(), 1).len() > 4);
    dir
}

fn found(store: &Store) -> Vec<Finding> {
    let found = store.verify().unwrap();
    assert_eq!(found.is_whole(), found.findings.is_empty());
    found.findings
}

/// What is found where damage is skipped: by whoever only reads, and by whoever writes; the second
/// time, too, if the loss shows at each opening.
fn skipped(dir: &Path) -> Vec<Finding> {
    let reading = found(&Store::open_salvage(dir).unwrap());
    let writing = found(&skipping().open(dir).unwrap());
    let files = |list: &[Finding]| list.iter().map(|f| f.path.clone()).collect::<Vec<_>>();
    assert_eq!(files(&reading), files(&writing));
    writing
}

fn only(list: Vec<Finding>) -> Finding {
    let [one] = list.try_into().unwrap();
    one
}

fn names<'a>(list: &'a [Finding], path: &Path) -> Option<&'a Finding> {
    list.iter().find(|finding| finding.path.as_deref() == Some(path))
}

fn numbers(ids: Option<(EntryId, EntryId)>) -> (u64, u64) {
    let (from, to) = ids.unwrap();
    (from.ms, to.ms)
}

#[test]
fn a_whole_store_has_no_finding_however_it_was_left() {
    let dir = closed();
    for _ in 0..2 {
        assert_eq!(found(&Store::open_read_only(dir.path()).unwrap()), []);
        assert_eq!(found(&manual().open(dir.path()).unwrap()), []);
    }
    let store = manual().open(dir.path()).unwrap();
    let s = stream(&store, "s");
    put(&s, 901..=1000);
    s.trim(Trim::min_id(EntryId::new(200, 0))).unwrap();
    assert_eq!(found(&store), []);
    let killed = died(dir.path());
    // A tail that was torn is none, nor what recovery makes of it.
    let last = used_segments(killed.path(), 1).pop().unwrap();
    overwrite(&last, frames(&last).last().unwrap().end, &[0x5a; 20]);
    assert_eq!(skipped(killed.path()), []);
}

#[test]
fn missing_segments_are_found_wherever_they_were() {
    let dir = closed();
    let files = used_segments(dir.path(), 1);
    let first_of = |n: usize| {
        let store = Store::open_read_only(dir.path()).unwrap();
        let from = frames(&files[n]).iter().find(|frame| frame.block).unwrap().at as usize + 13;
        let bytes = fs::read(&files[n]).unwrap();
        let ms = u64::from_le_bytes(bytes[from..from + 8].try_into().unwrap());
        assert!(ids(&stream(&store, "s")).contains(&ms));
        ms
    };
    let (second, third, last) = (first_of(1), first_of(2), first_of(files.len() - 1));
    let in_copy =
        |copy: &Path, n: usize| copy.join("streams/1").join(files[n].file_name().unwrap());

    let copy = died(dir.path());
    fs::remove_file(in_copy(copy.path(), 0)).unwrap();
    let finding = only(skipped(copy.path()));
    assert_eq!(finding.stream.as_deref(), Some(&b"s"[..]));
    assert_eq!(finding.path, Some(in_copy(copy.path(), 1)), "{finding}");
    assert_eq!(numbers(finding.ids), (0, second), "{finding}");

    let copy = died(dir.path());
    fs::remove_file(in_copy(copy.path(), 1)).unwrap();
    let finding = only(skipped(copy.path()));
    assert_eq!(finding.path, Some(in_copy(copy.path(), 2)), "{finding}");
    assert_eq!(numbers(finding.ids), (second - 1, third), "{finding}");

    let copy = died(dir.path());
    fs::remove_file(in_copy(copy.path(), files.len() - 1)).unwrap();
    let finding = only(skipped(copy.path()));
    assert_eq!(finding.path, Some(in_copy(copy.path(), files.len() - 2)), "{finding}");
    assert!(finding.bytes.is_some(), "{finding}");
    assert_eq!(numbers(finding.ids), (last - 1, u64::MAX), "{finding}");

    let copy = died(dir.path());
    for file in segments(copy.path(), 1) {
        fs::remove_file(file).unwrap();
    }
    let finding = only(skipped(copy.path()));
    assert_eq!(finding.path, Some(copy.path().join("streams/1")), "{finding}");
    assert_eq!(numbers(finding.ids), (0, u64::MAX), "{finding}");
    assert!(finding.what.contains("segments are missing"), "{finding}");
}

#[test]
fn what_is_missing_is_no_finding_once_it_is_trimmed_away() {
    let dir = closed();
    fs::remove_file(&used_segments(dir.path(), 1)[0]).unwrap();
    let store = skipping().open(dir.path()).unwrap();
    assert_eq!(found(&store).len(), 1);
    let s = stream(&store, "s");
    let first = s.range(..).next().unwrap().unwrap().id();
    s.trim(Trim::min_id(EntryId::new(first.ms + 1, 0))).unwrap();
    assert_eq!(found(&store), []);
}

#[test]
fn a_segment_that_is_set_aside_for_damage_is_found() {
    let dir = closed();
    let files = used_segments(dir.path(), 1);
    // Another segment's bytes under the name of the last one.
    let last = files.last().unwrap();
    fs::copy(&files[0], last).unwrap();
    let found = skipped(dir.path());
    let finding = names(&found, last).unwrap();
    assert_eq!(finding.stream.as_deref(), Some(&b"s"[..]));
    assert!(finding.what.contains("set aside"), "{finding}");
    assert!(found.len() > 1, "the entries that are gone are another finding");
}

#[test]
fn a_segment_that_vanishes_under_way_is_found() {
    let dir = closed();
    let store = manual().open(dir.path()).unwrap();
    assert_eq!(found(&store), []);
    let files = used_segments(dir.path(), 1);
    fs::remove_file(&files[1]).unwrap();
    let finding = only(found(&store));
    assert_eq!(finding.path.as_ref(), Some(&files[1]));
    assert!(finding.what.contains("missing") && finding.ids.is_some(), "{finding}");
}

/// Behind a damaged first frame the others are looked at: those that are good are no finding, and a
/// second damaged place is one of its own.
#[test]
fn behind_a_damaged_first_frame_only_what_is_damaged_is_found() {
    for sealed in [true, false] {
        let dir = closed();
        let files = used_segments(dir.path(), 1);
        let path = &files[if sealed { 1 } else { files.len() - 1 }];
        let frames = frames(path);
        flip(path, HEADER + 20);
        let finding = only(skipped(dir.path()));
        let (from, to) = finding.bytes.unwrap();
        assert!(from <= HEADER && to <= frames[1].at, "{finding}");
        assert_eq!(finding.path.as_ref(), Some(path));
        assert!(finding.ids.is_some(), "{finding}");
        let bad = frames.iter().filter(|frame| frame.block).nth(1).unwrap();
        flip(path, bad.body());
        let found = skipped(dir.path());
        assert_eq!(found.len(), 2, "{found:?}");
        let (from, to) = found[1].bytes.unwrap();
        assert!(from <= bad.at && bad.at < to && to <= bad.end + 600, "{}", found[1]);
        assert!(found[1].ids.is_some());
    }
}

#[test]
fn a_store_file_that_cannot_be_read_is_found() {
    for missing in [true, false] {
        let dir = closed();
        let path = dir.path().join("STORE");
        match missing {
            true => fs::remove_file(&path).unwrap(),
            false => flip(&path, 20),
        }
        let finding = only(skipped(dir.path()));
        assert_eq!((finding.path.as_ref(), finding.bytes), (Some(&path), Some((0, 64))));
        assert!(finding.what.contains("taken from"), "{finding}");
    }
}

#[test]
fn what_becomes_of_the_store_file_under_way_is_found() {
    let (dir, other) = (closed(), closed());
    let path = dir.path().join("STORE");
    let good = fs::read(&path).unwrap();
    for open in [|dir: &Path| manual().open(dir), |dir: &Path| Store::open_read_only(dir)] {
        let store = open(dir.path()).unwrap();
        assert_eq!(found(&store), []);
        // In place, as the file is locked.
        flip(&path, 20);
        let finding = only(found(&store));
        assert_eq!((finding.path.as_ref(), finding.bytes), (Some(&path), Some((0, 64))));
        fs::copy(other.path().join("STORE"), &path).unwrap();
        assert!(only(found(&store)).what.contains("another store"));
        fs::remove_file(&path).unwrap();
        assert!(only(found(&store)).what.contains("missing"));
        fs::write(&path, &good).unwrap();
        assert_eq!(found(&store), []);
    }
}

/// The newest journal file: the one whose header has the highest number.
fn newest(dir: &Path) -> PathBuf {
    let files = ["0", "1", "2"].map(|file| dir.join("state").join(file));
    let turn = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap();
        bytes.get(40..48).map(|turn| u64::from_le_bytes(turn.try_into().unwrap()))
    };
    files.into_iter().max_by_key(turn).unwrap()
}

#[test]
fn a_journal_that_lost_records_or_its_checkpoint_is_found() {
    // A record: the second group.
    let dir = closed();
    let path = newest(dir.path());
    let bytes = fs::read(&path).unwrap();
    let text = b"second";
    let at = bytes.windows(text.len()).rposition(|part| part == text).unwrap() as u64;
    flip(&path, at);
    let list = skipped(dir.path());
    let finding = names(&list, &path).unwrap();
    assert!(finding.bytes.is_some_and(|(from, _)| from <= at && at - from < 200), "{finding}");
    assert!(list.iter().any(|finding| finding.what.contains("the records")), "{list:?}");
    assert!(list.iter().any(|finding| finding.stream.as_deref() == Some(b"s")), "{list:?}");
    // What is refused is one finding and not two.
    let dir = closed();
    flip(&newest(dir.path()), at);
    let list = found(&manual().open(dir.path()).unwrap());
    assert_eq!(list.iter().filter(|finding| finding.stream.is_some()).count(), 1, "{list:?}");

    // The header of the newest file.
    let dir = closed();
    let path = newest(dir.path());
    overwrite(&path, 0, &[0x5a; 128]);
    let list = skipped(dir.path());
    assert!(names(&list, &path).is_some(), "{list:?}");

    // All of it.
    let dir = closed();
    fs::remove_file(newest(dir.path())).unwrap();
    let list = skipped(dir.path());
    assert!(names(&list, &path.clone()).is_none() && !list.is_empty());
    let dir = closed();
    fs::remove_dir_all(dir.path().join("state")).unwrap();
    let list = skipped(dir.path());
    let finding = only(list);
    assert_eq!(finding.path, Some(dir.path().join("state")));
    assert_eq!(finding.stream.as_deref(), Some(&b"s"[..]));
}

/// A checkpoint that a crash cut short is skipped and no damage.
#[test]
fn an_unfinished_checkpoint_is_no_finding() {
    let dir = closed();
    manual().open(dir.path()).unwrap().close().unwrap();
    let path = newest(dir.path());
    let end = frames(&path).iter().find(|frame| frame.kind == 7).map(|frame| frame.at);
    let end = end.expect("the end of the checkpoint");
    let mut bytes = fs::read(&path).unwrap();
    bytes[end as usize..].fill(0);
    fs::write(&path, bytes).unwrap();
    // The file before was told that this one took over, which a crash would not have left.
    for file in ["0", "1", "2"] {
        let before = dir.path().join("state").join(file);
        if let Some(told) = frames(&before).iter().find(|frame| frame.kind == 8) {
            let mut bytes = fs::read(&before).unwrap();
            bytes[told.at as usize..told.end as usize].fill(0);
            fs::write(&before, bytes).unwrap();
        }
    }
    let store = Store::open_read_only(dir.path()).unwrap();
    let report = store.recovery().journal;
    assert_eq!(report.skipped.len(), 1, "{report:?}");
    assert_eq!(found(&store), []);
}

/// Fails if `Journal::verify` does not read the files again (or only their headers, or only the
/// running one), or if a reader does not.
#[test]
fn what_becomes_of_the_journal_under_way_is_found() {
    let dir = closed();
    manual().open(dir.path()).unwrap().close().unwrap();
    let store = Store::open_read_only(dir.path()).unwrap();
    let check = |store: &Store, path: &Path, at: u64| {
        assert_eq!(found(store), []);
        flip(path, at);
        let list = found(store);
        let finding = names(&list, path).unwrap_or_else(|| panic!("{at}: {list:?}"));
        let (from, to) = finding.bytes.unwrap();
        assert!(from <= at && (at < to || from == to), "{at}: {list:?}");
        flip(path, at);
    };
    let path = newest(dir.path());
    for at in [70, HEADER + 20, frames(&path).iter().rev().nth(1).unwrap().body()] {
        check(&store, &path, at);
    }
    drop(store);
    let store = manual().open(dir.path()).unwrap();
    let s = stream(&store, "s");
    // Until all three files are of this life; each that is left is told so by the sync.
    for n in 0..24 {
        for k in 0..2000 {
            let group = s.create_group(format!("{n}-{k}-{:0200}", 0), Start::Last).unwrap();
            drop(group);
            assert!(s.remove_group(format!("{n}-{k}-{:0200}", 0)).unwrap());
        }
        store.sync().unwrap();
    }
    let path = newest(dir.path());
    for file in ["0", "1", "2"] {
        let file = dir.path().join("state").join(file);
        let frames = frames(&file);
        let used = frames.last().unwrap().body();
        let middle = frames[frames.len() / 2].body();
        for at in [10, 70, HEADER + 4, middle, used] {
            check(&store, &file, at);
        }
    }
    fs::remove_file(&path).unwrap();
    let finding = only(found(&store));
    assert_eq!(finding.path, Some(path));
    let refused = error(Store::open_read_only(dir.path()));
    assert!(matches!(refused.kind(), ErrorKind::Locked { .. }));
}
