//! The state journal: a damaged checkpoint falls back, a damaged record stops its stream.

use crate::copy::{copy_dir, died};
use crate::made::{
    Frame, assert_damage, end, error, flip, frames, ids, manual, overwrite, put, skipping, stream,
    try_stream, upto,
};
use std::fs;
use std::path::{Path, PathBuf};
use streamlog::{EntryId, ErrorKind, GroupReadOptions, PendingFilter, Start, Store};

pub(crate) const SECTION: u8 = 6;
pub(crate) const END: u8 = 7;
pub(crate) const EVENTS: u8 = 5;
const CLOSE: u8 = 4;
const SUPERSEDED: u8 = 8;

/// The journal files, oldest turn first.
pub(crate) fn journals(dir: &Path) -> Vec<PathBuf> {
    let turn = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap();
        u64::from_le_bytes(bytes[40..48].try_into().unwrap())
    };
    let mut files: Vec<_> = (0..3).map(|n| dir.join(format!("state/{n}"))).collect();
    files.sort_by_key(turn);
    files
}

pub(crate) fn newest(dir: &Path) -> PathBuf {
    journals(dir).pop().unwrap()
}

pub(crate) fn of_kind(path: &Path, kind: u8) -> Vec<Frame> {
    frames(path).into_iter().filter(|frame| frame.kind == kind).collect()
}

fn pending(store: &Store, name: &str) -> Vec<u64> {
    let group = stream(store, name).get_group("g").unwrap().unwrap();
    let found = group.pending_range(.., PendingFilter::new().count(1000)).unwrap();
    found.iter().map(|one| one.id.ms).collect()
}

/// Reads `count` entries for the group and acknowledges the first of them.
fn work(store: &Store, name: &str, count: usize) {
    let group = stream(store, name).group("g", Start::First).unwrap();
    let consumer = group.consumer("c").unwrap();
    let read = consumer.read(GroupReadOptions::new().count(count)).unwrap();
    assert_eq!(read.len(), count);
    assert_eq!(group.ack(read.ids().take(1)).unwrap(), 1);
}

/// A store that was opened three times, so that more than one journal file is in use; the last time
/// it died. Streams `a` and `b` have entries 1 to 20, of which groups took 5 and 8.
fn used() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = manual().open(dir.path()).unwrap();
    for name in ["a", "b"] {
        put(&store.stream(name).unwrap(), 1..=20);
        work(&store, name, 5);
    }
    store.close().unwrap();
    manual().open(dir.path()).unwrap().close().unwrap();
    let store = manual().open(dir.path()).unwrap();
    for name in ["a", "b"] {
        work(&store, name, 3);
    }
    store.sync().unwrap();
    stream(&store, "b").delete([EntryId::new(20, 0)]).unwrap();
    store.sync().unwrap();
    died(dir.path())
}

fn whole(store: &Store) {
    assert_eq!(ids(&stream(store, "a")), upto(20));
    assert_eq!(ids(&stream(store, "b")), upto(19));
    for name in ["a", "b"] {
        assert_eq!(pending(store, name), [2, 3, 4, 5, 7, 8]);
    }
}

/// Fails if `File::is_cut` looks for torn bytes only: what is missing is told by nothing else.
#[test]
fn a_journal_file_that_is_cut_between_two_records_is_told() {
    let dir = used();
    manual().open(dir.path()).unwrap().close().unwrap();
    let path = newest(dir.path());
    let bytes = fs::read(&path).unwrap();
    let records = frames(&path);
    for frame in records.iter().filter(|frame| [EVENTS, CLOSE].contains(&frame.kind)) {
        for more in [0, 63] {
            let copy = tempfile::tempdir().unwrap();
            copy_dir(dir.path(), copy.path());
            let path = newest(copy.path());
            let mut cut = bytes[..frame.at as usize].to_vec();
            cut.resize(cut.len() + more, 0);
            fs::write(&path, cut).unwrap();
            let store = manual().open(copy.path()).unwrap();
            assert_eq!(store.recovery().journal.cut, Some((path, frame.at, 0)), "{more}");
        }
    }
}

/// Fails if `load` does not ask whether the newest file breaks off: then the streams go on with what
/// the file before says of them.
#[test]
fn a_newest_journal_file_that_is_cut_in_its_checkpoint_stops_all_streams() {
    let dir = used();
    let path = newest(dir.path());
    let bytes = fs::read(&path).unwrap();
    let at = of_kind(&path, END)[0].at as usize;
    for len in [128, at - 1, at, at + 7] {
        fs::write(&path, &bytes[..len]).unwrap();
        let copy = died(dir.path());
        let store = manual().open(copy.path()).unwrap();
        for name in ["a", "b"] {
            let refused = error(try_stream(&store, name));
            assert_eq!(*refused.kind(), ErrorKind::GroupStateLost, "{len}");
        }
        let copy = died(dir.path());
        let store = skipping().open(copy.path()).unwrap();
        assert_eq!(ids(&stream(&store, "a")), upto(20));
        assert_eq!(store.recovery().uncertain.len(), 2, "{:?}", store.recovery());
    }
}

#[test]
fn an_undamaged_journal_is_what_the_others_start_from() {
    let copy = used();
    let store = manual().open(copy.path()).unwrap();
    whole(&store);
    let report = store.recovery().journal;
    assert_eq!((report.cut, report.skipped.len(), report.gaps.len()), (None, 0, 0));
}

#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before_and_its_records() {
    for kind in [SECTION, END] {
        let copy = used();
        let file = newest(copy.path());
        let hurt = of_kind(&file, kind)[0];
        flip(&file, hurt.body() + 1);
        let store = manual().open(copy.path()).unwrap();
        whole(&store);
        let report = store.recovery().journal;
        assert_eq!(report.skipped.len(), 1, "{kind}: {report:?}");
        assert_eq!(report.skipped[0].0, file);
        assert!(report.gaps.contains(&(file, hurt.at)), "{kind}: {report:?}");
        store.close().unwrap();
        // The checkpoint of that opening stands for all of it.
        let store = manual().open(copy.path()).unwrap();
        whole(&store);
        assert_eq!(store.recovery().journal.skipped, []);
    }
}

#[test]
fn a_journal_of_which_no_checkpoint_is_whole_is_refused() {
    let copy = used();
    for file in journals(copy.path()) {
        if let Some(end) = of_kind(&file, END).first() {
            flip(&file, end.body());
        }
    }
    let file = newest(copy.path());
    let before: Vec<_> = journals(copy.path()).iter().map(|f| fs::read(f).unwrap()).collect();
    for _ in 0..2 {
        let refused = error(manual().open(copy.path()));
        assert!(matches!(refused.kind(), ErrorKind::Corrupt { .. }), "{refused}");
        assert_eq!(refused.location().unwrap().0, file);
        assert!(refused.to_string().contains("OnDamage::Skip"));
        let after: Vec<_> = journals(copy.path()).iter().map(|f| fs::read(f).unwrap()).collect();
        assert!(after == before);
    }
    // Without the journal there are the streams, by the names that their segments tell.
    let store = skipping().open(copy.path()).unwrap();
    assert_eq!(store.recovery().adopted, [b"a", b"b"]);
    assert_eq!(ids(&stream(&store, "a")), upto(20));
    assert!(stream(&store, "a").groups().unwrap().is_empty());
}

#[test]
fn journal_files_that_are_lost_or_foreign_are_damage_and_no_new_store() {
    let other = used();
    type Harm = fn(&Path, &Path);
    let harms: [Harm; 4] = [
        |file, _| fs::remove_file(file).unwrap(),
        |file, _| flip(file, 70),
        |file, other| {
            fs::copy(other.join(file.file_name().unwrap()), file).unwrap();
        },
        |file, _| overwrite(file, 0, &[0; 4096]),
    ];
    for (n, harm) in harms.iter().enumerate() {
        let copy = used();
        for file in journals(copy.path()) {
            harm(&file, &other.path().join("state"));
        }
        for _ in 0..2 {
            let refused = error(manual().open(copy.path()));
            assert!(matches!(refused.kind(), ErrorKind::Corrupt { .. }), "{n}: {refused}");
            let (path, _) = refused.location().unwrap();
            assert!(path.starts_with(copy.path().join("state")), "{n}: {refused}");
        }
        let store = skipping().open(copy.path()).unwrap();
        assert_eq!(store.names(), [b"a", b"b"], "{n}");
        assert_eq!(ids(&stream(&store, "a")), upto(20), "{n}");
    }
}

/// The file in use and the one before, which was told that the other has taken over.
fn newest_two(dir: &Path) -> (PathBuf, PathBuf) {
    let (file, before) = (newest(dir), journals(dir).swap_remove(1));
    assert_eq!(frames(&before).last().unwrap().kind, SUPERSEDED);
    (file, before)
}

/// Fails if the file before does not have the salt of the newest one, or not where that is.
#[test]
fn a_damaged_header_of_the_newest_journal_file_costs_nothing() {
    for at in [0, 12, 40, 60, 127] {
        let copy = used();
        let (file, _) = newest_two(copy.path());
        flip(&file, at);
        let store = manual().open(copy.path()).unwrap();
        whole(&store);
        let report = store.recovery().journal;
        assert_eq!((report.gaps, report.skipped), (vec![(file.clone(), 0)], vec![]));
        // As often as it is opened; the next checkpoint goes to another file.
        drop(store);
        let store = manual().open(copy.path()).unwrap();
        whole(&store);
        assert_eq!(store.recovery().journal.skipped, [(file, 0)]);
    }
}

/// Fails if a file is taken for one that was not in use yet, whatever the file before says.
#[test]
fn a_newest_journal_file_that_is_gone_is_damage() {
    let stale = |file: &Path| {
        let dir = used();
        fs::read(dir.path().join("state").join(file.file_name().unwrap())).unwrap()
    };
    type Harm<'a> = &'a dyn Fn(&Path);
    let harms: [Harm<'_>; 4] = [
        &|file| fs::remove_file(file).unwrap(),
        &|file| overwrite(file, 0, &[0x5a; 4096]),
        &|file| overwrite(file, 0, &[0; 4096]),
        &|file| fs::write(file, stale(file)).unwrap(),
    ];
    for (n, harm) in harms.iter().enumerate() {
        let copy = used();
        let (file, before) = newest_two(copy.path());
        harm(&file);
        let rest = fs::read(&before).unwrap();
        for _ in 0..2 {
            let refused = error(manual().open(copy.path()));
            assert_damage(&refused, &file, Some(0));
        }
        assert!(fs::read(&before).unwrap() == rest, "{n}");
        let store = skipping().open(copy.path()).unwrap();
        let report = store.recovery();
        assert_eq!(report.journal.skipped, [(file, 0)], "{n}");
        // Nobody knows what changed since.
        assert_eq!(report.uncertain, [b"a", b"b"], "{n}");
        for name in ["a", "b"] {
            assert_eq!(ids(&stream(&store, name)), upto(20), "{n}");
            assert_eq!(pending(&store, name), [2, 3, 4, 5], "{n}");
        }
        work(&store, "a", 3);
        store.close().unwrap();
        let store = manual().open(copy.path()).unwrap();
        let report = store.recovery();
        assert_eq!((report.lost.len(), report.uncertain.len()), (0, 0), "{n}");
        assert_eq!(pending(&store, "a"), [2, 3, 4, 5, 7, 8], "{n}");
    }
}

/// What a power cut leaves that hits the header of a file which is taken into use: the file before
/// was not told of it yet. The state is that one's, which repeats deliveries and skips none.
#[test]
fn a_torn_header_of_a_file_that_was_not_in_use_yet_is_left_out_and_named() {
    let copy = used();
    let (file, before) = newest_two(copy.path());
    let told = *frames(&before).last().unwrap();
    overwrite(&before, told.at, &vec![0; (told.end - told.at) as usize]);
    flip(&file, 70);
    let store = manual().open(copy.path()).unwrap();
    assert_eq!(store.recovery().journal.skipped, [(file, 0)]);
    assert_eq!(pending(&store, "a"), [2, 3, 4, 5]);
    assert_eq!(ids(&stream(&store, "b")), upto(20));
}

/// The records behind it were never known to be durable, but the end mark was. Fails if a file that
/// another one tells of is read like any other.
#[test]
fn a_damaged_end_mark_is_damage_where_no_later_record_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let store = manual().open(dir.path()).unwrap();
    put(&store.stream("a").unwrap(), 1..=20);
    store.close().unwrap();
    let store = manual().open(dir.path()).unwrap();
    work(&store, "a", 5);
    let copy = died(dir.path());
    let (file, _) = newest_two(copy.path());
    let hurt = of_kind(&file, END)[0];
    assert!(of_kind(&file, EVENTS).len() > 1);
    flip(&file, hurt.body() + 1);
    let store = manual().open(copy.path()).unwrap();
    assert_eq!(pending(&store, "a"), [2, 3, 4, 5]);
    let report = store.recovery().journal;
    assert_eq!(report.gaps, [(file, hurt.at)]);
    assert_eq!(report.missing, []);
}

/// Fails if nobody looks behind a torn tail for what the file was told.
#[test]
fn a_file_with_a_torn_tail_is_told_of_the_next_one_too() {
    let copy = used();
    let before = newest(copy.path());
    let at = end(&before);
    overwrite(&before, at, &[0x77; 50]);
    drop(manual().open(copy.path()).unwrap());
    let file = newest(copy.path());
    assert_ne!(file, before);
    flip(&file, 70);
    let store = manual().open(copy.path()).unwrap();
    whole(&store);
    assert_eq!(store.recovery().journal.gaps, [(file.clone(), 0)]);
    drop(store);
    let file = newest(copy.path());
    fs::remove_file(&file).unwrap();
    assert_damage(&error(manual().open(copy.path())), &file, Some(0));
}

/// The same kind of store with one record to damage: stream `a`'s second acknowledgement. `c`
/// changes after it, `b` does not.
fn with_records() -> (tempfile::TempDir, PathBuf, Frame) {
    let dir = tempfile::tempdir().unwrap();
    let store = manual().open(dir.path()).unwrap();
    for name in ["a", "b", "c"] {
        put(&store.stream(name).unwrap(), 1..=20);
        work(&store, name, 5);
    }
    store.close().unwrap();
    let store = manual().open(dir.path()).unwrap();
    work(&store, "c", 3);
    let file = newest(dir.path());
    let group = stream(&store, "a").get_group("g").unwrap().unwrap();
    assert_eq!(group.ack([EntryId::new(2, 0)]).unwrap(), 1);
    let hurt = *frames(&file).last().unwrap();
    assert_eq!(hurt.kind, EVENTS);
    store.sync().unwrap();
    work(&store, "a", 3);
    work(&store, "c", 3);
    store.sync().unwrap();
    put(&stream(&store, "c"), 21..=21);
    stream(&store, "c").delete([EntryId::new(21, 0)]).unwrap();
    let copy = died(dir.path());
    (copy, file.file_name().unwrap().into(), hurt)
}

#[test]
fn a_damaged_record_stops_its_stream_until_told_otherwise() {
    let (copy, file, hurt) = with_records();
    let file = copy.path().join("state").join(file);
    flip(&file, hurt.body() + 2);
    // As often as it is opened: the damage is remembered when the journal file is long gone.
    for round in 0..5 {
        let store = manual().open(copy.path()).unwrap();
        let refused = error(store.get("a"));
        assert_eq!(*refused.kind(), ErrorKind::GroupStateLost, "round {round}");
        assert!(refused.is_corruption());
        assert!(refused.to_string().contains("OnDamage::Skip"));
        // The record behind it tells whose it was, so that `b`, which has none since, is whole.
        assert_eq!(pending(&store, "b"), [2, 3, 4, 5]);
        assert_eq!(ids(&stream(&store, "c")), upto(20), "round {round}");
        assert_eq!(pending(&store, "c"), [2, 3, 4, 5, 7, 8, 10, 11]);
        let report = store.recovery();
        assert_eq!(report.lost, [b"a"], "round {round}");
        if round == 0 {
            assert_eq!(report.journal.gaps, [(file.clone(), hurt.at)]);
        }
        if round % 2 == 0 {
            store.close().unwrap();
        }
    }
    let store = skipping().open(copy.path()).unwrap();
    assert_eq!(store.recovery().lost, [b"a"]);
    assert_eq!(ids(&stream(&store, "a")), upto(20));
    // The state before the record that is gone: the later reads are taken back with it.
    assert_eq!(pending(&store, "a"), [2, 3, 4, 5]);
    assert_eq!(pending(&store, "b"), [2, 3, 4, 5]);
    work(&store, "a", 3);
    store.close().unwrap();
    // Who has skipped it is not asked again.
    let store = manual().open(copy.path()).unwrap();
    assert_eq!(store.recovery().lost, Vec::<Vec<u8>>::new());
    assert_eq!(pending(&store, "a"), [2, 3, 4, 5, 7, 8]);
}

#[test]
fn a_stream_whose_creation_is_damaged_keeps_its_entries() {
    let dir = tempfile::tempdir().unwrap();
    let store = manual().open(dir.path()).unwrap();
    let file = newest(dir.path());
    put(&store.stream("a").unwrap(), 1..=10);
    let hurt = *frames(&file).last().unwrap();
    store.sync().unwrap();
    for name in ["b", "c"] {
        put(&store.stream(name).unwrap(), 1..=10);
        store.sync().unwrap();
    }
    let copy = died(dir.path());
    let file = copy.path().join("state").join(file.file_name().unwrap());
    assert!(hurt.end < end(&file));
    flip(&file, hurt.body());
    for _ in 0..2 {
        let store = manual().open(copy.path()).unwrap();
        assert_eq!(store.names(), [b"a", b"b", b"c"]);
        for call in [try_stream(&store, "a"), store.stream("a")] {
            assert_eq!(*error(call).kind(), ErrorKind::GroupStateLost);
        }
        assert_eq!(ids(&stream(&store, "c")), upto(10));
    }
    let spare = tempfile::tempdir().unwrap();
    copy_dir(copy.path(), spare.path());
    let store = skipping().open(copy.path()).unwrap();
    assert_eq!(ids(&stream(&store, "a")), upto(10));
    // Or it is given up.
    let store = manual().open(spare.path()).unwrap();
    assert!(store.remove("a").unwrap());
    put(&store.stream("a").unwrap(), 5..=5);
    store.close().unwrap();
    let store = manual().open(spare.path()).unwrap();
    assert_eq!(ids(&stream(&store, "a")), [5]);
}

#[test]
fn a_torn_end_of_the_journal_is_cut_and_named() {
    let copy = used();
    let file = newest(copy.path());
    let at = end(&file);
    overwrite(&file, at, &[0x77; 50]);
    let store = manual().open(copy.path()).unwrap();
    whole(&store);
    assert_eq!(store.recovery().journal.cut, Some((file, at, 50)));
}

#[test]
fn a_cleanly_closed_journal_has_no_end_to_be_torn() {
    let dir = tempfile::tempdir().unwrap();
    let store = manual().open(dir.path()).unwrap();
    for name in ["a", "b"] {
        put(&store.stream(name).unwrap(), 1..=20);
        work(&store, name, 5);
    }
    let file = newest(dir.path());
    let last = *of_kind(&file, EVENTS).last().unwrap();
    store.close().unwrap();
    flip(&file, last.body() + 2);
    let store = manual().open(dir.path()).unwrap();
    assert_eq!(*error(store.get("b")).kind(), ErrorKind::GroupStateLost);
    assert_eq!(pending(&store, "a"), [2, 3, 4, 5]);
}
