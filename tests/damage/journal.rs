//! The state journal: its torn tail, its damage, and what that stops.

use crate::copy::died;
use crate::files::{change, open, open_skipping, segments, used};
use crate::ground::{all, error, kind, live, put, put_range};
use std::path::{Path, PathBuf};
use streamlog::{ErrorKind, GroupReadOptions, Start, Store, Stream, Trim};

fn stream(store: &Store, name: &str) -> Stream {
    store.get(name).unwrap().unwrap()
}

/// The journal file that is in use: the one that ends in the newest record.
fn current(dir: &Path, text: &[u8]) -> (PathBuf, usize) {
    for file in ["0", "1", "2"] {
        let path = dir.join("state").join(file);
        let bytes = std::fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(text.len()).rposition(|part| part == text) {
            return (path, at);
        }
    }
    panic!("no journal file holds the text");
}

#[test]
fn a_torn_journal_delivers_again_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let s = store.stream("s").unwrap();
    put_range(&s, 1, 10);
    let group = s.create_group("first", Start::First).unwrap();
    store.sync().unwrap();
    let consumer = group.consumer("the reader").unwrap();
    let delivery = consumer.read(GroupReadOptions::new().count(4)).unwrap();
    assert_eq!(delivery.len(), 4);
    let copied = died(dir.path());
    let (path, at) = current(copied.path(), b"the reader");
    change(&path, |bytes| bytes[at..].fill(0));
    let store = open(copied.path());
    assert!(store.recovery().journal.cut.is_some());
    let group = stream(&store, "s").get_group("first").unwrap().unwrap();
    let info = group.info().unwrap();
    assert_eq!((info.pending, info.lag), (0, Some(10)));
    let again = group.consumer("the reader").unwrap();
    assert_eq!(again.read(GroupReadOptions::new()).unwrap().len(), 10);
    assert_eq!(live(&stream(&store, "s")).len(), 10);
}

#[test]
fn a_stream_whose_creation_was_lost_is_found_in_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store.stream("kept").unwrap(), "1-0");
    store.sync().unwrap();
    put_range(&store.stream("lost in the journal").unwrap(), 1, 20);
    let copied = died(dir.path());
    let (path, at) = current(copied.path(), b"lost in the journal");
    change(&path, |bytes| bytes[at..].fill(0));
    let store = open(copied.path());
    assert_eq!(store.recovery().adopted, [b"lost in the journal"]);
    assert_eq!(store.names(), [&b"kept"[..], b"lost in the journal"]);
    assert_eq!(live(&stream(&store, "lost in the journal")).len(), 20);
    store.close().unwrap();
    let store = open(copied.path());
    assert_eq!(store.recovery().adopted, [[0u8; 0]; 0]);
    assert_eq!(live(&stream(&store, "lost in the journal")).len(), 20);
}

/// A store in whose journal a record of `a` lies between durable ones of `b`.
fn with_a_record_in_the_middle() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (a, b) = (store.stream("a").unwrap(), store.stream("b").unwrap());
    put_range(&a, 1, 5);
    put_range(&b, 1, 5);
    b.create_group("before", Start::First).unwrap();
    a.create_group("in the middle", Start::First).unwrap();
    b.create_group("behind", Start::First).unwrap();
    store.sync().unwrap();
    a.create_group("at the end", Start::First).unwrap();
    store.sync().unwrap();
    b.create_group("the last", Start::First).unwrap();
    (dir, store)
}

#[test]
fn a_damaged_record_stops_only_its_own_stream() {
    let (dir, _store) = with_a_record_in_the_middle();
    let copied = died(dir.path());
    let (path, at) = current(copied.path(), b"in the middle");
    change(&path, |bytes| bytes[at] ^= 1);
    let store = open(copied.path());
    let refused = error(store.get("a"));
    assert_eq!(*refused.kind(), ErrorKind::GroupStateLost);
    assert!(refused.is_corruption());
    let text = refused.to_string();
    assert!(text.contains("OnDamage::Skip") && text.contains("Store::open_salvage"), "{text}");
    assert_eq!(kind(store.stream("a")), ErrorKind::GroupStateLost);
    let gaps = store.recovery().journal.gaps;
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].0, path);
    let groups = stream(&store, "b").groups().unwrap();
    let names: Vec<_> = groups.into_iter().map(|group| group.name).collect();
    assert_eq!(names, [&b"before"[..], b"behind", b"the last"]);
}

#[test]
fn a_damaged_record_can_be_skipped_and_the_entries_are_all_there() {
    let (dir, _store) = with_a_record_in_the_middle();
    let copied = died(dir.path());
    let (path, at) = current(copied.path(), b"in the middle");
    change(&path, |bytes| bytes[at] ^= 1);
    let store = open_skipping(copied.path()).unwrap();
    let a = stream(&store, "a");
    assert_eq!(live(&a).len(), 5);
    // The state is that before the gap.
    assert_eq!(a.groups().unwrap(), []);
    assert_eq!(stream(&store, "b").groups().unwrap().len(), 3);
    put(&a, "6-0");
    store.close().unwrap();
    let store = open(copied.path());
    assert_eq!(live(&stream(&store, "a")).len(), 6);
}

#[test]
fn a_refusal_outlives_a_second_opening() {
    let (dir, _store) = with_a_record_in_the_middle();
    let copied = died(dir.path());
    let (path, at) = current(copied.path(), b"in the middle");
    change(&path, |bytes| bytes[at] ^= 1);
    for _ in 0..3 {
        let store = open(copied.path());
        assert_eq!(kind(store.get("a")), ErrorKind::GroupStateLost);
        assert_eq!(stream(&store, "b").groups().unwrap().len(), 3);
        store.close().unwrap();
    }
    let store = open_skipping(copied.path()).unwrap();
    assert_eq!(live(&stream(&store, "a")).len(), 5);
}

#[test]
fn a_refused_stream_can_be_removed_for_good() {
    let (dir, _store) = with_a_record_in_the_middle();
    let copied = died(dir.path());
    let (path, at) = current(copied.path(), b"in the middle");
    change(&path, |bytes| bytes[at] ^= 1);
    let store = open(copied.path());
    assert_eq!(kind(store.get("a")), ErrorKind::GroupStateLost);
    assert!(store.remove("a").unwrap());
    assert_eq!(live(&store.stream("a").unwrap()), [""; 0]);
    let unclean = died(copied.path());
    store.close().unwrap();
    for dir in [copied.path(), unclean.path()] {
        let store = open(dir);
        assert_eq!(store.names(), [b"a", b"b"]);
        assert_eq!(live(&stream(&store, "a")), [""; 0]);
    }
}

#[test]
fn a_damaged_record_of_a_creation_deletes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put_range(&store.stream("made and damaged").unwrap(), 1, 30);
    store.sync().unwrap();
    put(&store.stream("later").unwrap(), "1-0");
    store.sync().unwrap();
    store.stream("the last").unwrap();
    let copied = died(dir.path());
    let (path, at) = current(copied.path(), b"made and damaged");
    change(&path, |bytes| bytes[at] ^= 1);
    let names = [&b"later"[..], b"made and damaged", b"the last"];
    for _ in 0..2 {
        let store = open(copied.path());
        assert_eq!(store.names(), names);
        let refused = kind(store.get("made and damaged"));
        assert_eq!(refused, ErrorKind::GroupStateLost);
        assert_eq!(live(&stream(&store, "later")).len(), 1);
        store.close().unwrap();
    }
    let store = open_skipping(copied.path()).unwrap();
    assert_eq!(live(&stream(&store, "made and damaged")).len(), 30);
    store.close().unwrap();
    let store = open(copied.path());
    assert_eq!(live(&stream(&store, "made and damaged")).len(), 30);
}

#[test]
fn one_journal_file_of_three_can_be_lost() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=4u64 {
        let store = open(dir.path());
        let s = store.stream("s").unwrap();
        put_range(&s, round * 10, round * 10 + 1);
        let group = s.group("g", Start::First).unwrap();
        let consumer = group.consumer("c").unwrap();
        drop(consumer.read(GroupReadOptions::new()).unwrap());
        group.ack(all(&[&format!("{}-0", round * 10)])).unwrap();
        store.close().unwrap();
    }
    for file in ["0", "1", "2"] {
        let copied = died(dir.path());
        let path = copied.path().join("state").join(file);
        std::fs::remove_file(&path).unwrap();
        // The newest checkpoint may be the one that is gone; then the one before it, which every
        // later event follows, or a refusal. Never a store without its streams.
        match crate::files::options().open(copied.path()) {
            Ok(store) => {
                assert_eq!(store.names(), [b"s"]);
                let s = stream(&store, "s");
                assert_eq!(live(&s).len(), 8);
                let pending = s.get_group("g").unwrap().unwrap().pending().unwrap();
                assert!(pending.count >= 3, "{file}: {pending:?}");
            }
            Err(refused) => assert!(refused.is_corruption(), "{refused}"),
        }
    }
}

/// Fails if what is kept counts as a stray or is cleared away, or if an opening for reading tells of
/// a file that it has set aside on the heap only.
#[test]
fn a_damaged_journal_file_is_kept_beside_the_others() {
    let (dir, _store) = with_a_record_in_the_middle();
    let copied = died(dir.path());
    let (path, at) = current(copied.path(), b"in the middle");
    change(&path, |bytes| bytes[at] ^= 1);
    let damaged = std::fs::read(&path).unwrap();
    let kept = path.with_extension("damaged-1");
    let looked = || Store::open_read_only(copied.path()).unwrap().recovery().journal.set_aside;
    for _ in 0..4 {
        assert_eq!(looked(), if kept.exists() { vec![kept.clone()] } else { Vec::new() });
        open(copied.path()).close().unwrap();
    }
    let after = std::fs::read(&kept).unwrap();
    assert!(damaged.iter().zip(&after).all(|(old, new)| *old == 0 || old == new));
    for _ in 0..3 {
        let store = open(copied.path());
        assert_eq!(store.recovery().journal.set_aside, std::slice::from_ref(&kept));
        assert_eq!(store.recovery().strays, [""; 0].map(PathBuf::from));
        store.close().unwrap();
    }
    assert!(std::fs::read(&kept).unwrap() == after);
    // Whoever wants no more of it may remove it.
    std::fs::remove_file(&kept).unwrap();
    assert_eq!(open(copied.path()).recovery().journal.set_aside, [""; 0].map(PathBuf::from));
}

#[test]
fn a_journal_without_any_checkpoint_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store.stream("s").unwrap(), "1-0");
    store.close().unwrap();
    for file in ["0", "1", "2"] {
        let path = dir.path().join("state").join(file);
        if used(&path) > 0 {
            change(&path, |bytes| {
                let end = bytes.len().min(4096);
                bytes[..end].fill(0x77);
            });
        }
    }
    let refused = error(crate::files::options().open(dir.path()));
    assert!(refused.is_corruption(), "{refused}");
}

/// Its last segment does not say by itself that the log was durable up to there, and no other one
/// is left that could.
#[test]
fn a_trimmed_stream_that_loses_the_journal_keeps_its_entries_and_reports_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let s = store.stream("s").unwrap();
    put_range(&s, 1, 300);
    s.trim(Trim::max_len(5)).unwrap();
    store.sync().unwrap();
    // Until the background has nothing to do there any more.
    let files = || std::fs::read_dir(dir.path().join("streams/1")).unwrap().count();
    let mut before = 0;
    while segments(dir.path(), 1).len() > 1 || files() != before {
        before = files();
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let died = died(dir.path());
    for file in ["0", "1", "2"] {
        std::fs::remove_file(died.path().join("state").join(file)).unwrap();
    }
    let refused = error(crate::files::options().open(died.path()));
    assert!(refused.is_corruption(), "{refused}");
    for _ in 0..2 {
        let store = open_skipping(died.path()).unwrap();
        let s = stream(&store, "s");
        let live = live(&s);
        assert_eq!(live.last().map(String::as_str), Some("300-0"), "{live:?}");
        let gaps = store.recovery().streams[0].gaps.clone();
        assert!(!gaps.is_empty(), "what is missing in front is not reported");
    }
}
