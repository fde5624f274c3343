//! Tails that were torn: cut where the last good frame ends, and never seen again.

use crate::copy::died;
use crate::files::{HEADER, change, flip, open, segments, used};
use crate::ground::{checked, id, put, put_range};
use std::path::Path;
use streamlog::{GroupReadOptions, NewEntries, Start, Store, Stream, StreamOptions};

fn stream(store: &Store) -> Stream {
    store.get("s").unwrap().unwrap()
}

fn numbers(stream: &Stream) -> Vec<u64> {
    let all = checked(stream.range(..));
    all.iter().map(|text| id(text).ms).collect()
}

/// A store that is left open, with so many entries of which none was ever synced.
fn unclean(entries: u64) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put_range(&store.stream("s").unwrap(), 1, entries);
    (dir, store)
}

#[test]
fn a_copy_of_an_open_store_has_every_entry() {
    for entries in [0, 1, 20, 500] {
        let (dir, store) = unclean(entries);
        let group = stream(&store).create_group("g", Start::First).unwrap();
        let consumer = group.consumer("c").unwrap();
        drop(consumer.read(GroupReadOptions::new().count(10)).unwrap());
        let copied = died(dir.path());
        let again = open(copied.path());
        let want: Vec<_> = (1..=entries).collect();
        assert_eq!(numbers(&stream(&again)), want);
        let report = again.recovery();
        assert_eq!((&report.streams[0].cut, report.clamped.len()), (&None, 0));
        let group = stream(&again).get_group("g").unwrap().unwrap();
        assert_eq!(group.pending().unwrap().count, entries.min(10));
        put(&stream(&again), "1000-0");
        again.close().unwrap();
        let again = open(copied.path());
        assert_eq!(stream(&again).len().unwrap(), entries + 1);
    }
}

/// Opens a damaged copy: the stream must be a prefix of `1..=entries` of at least `least`. Then goes
/// on with other entries, closes, opens, and looks for anything that came back.
fn goes_on(dir: &Path, entries: u64, least: u64) -> u64 {
    let store = open(dir);
    let found = numbers(&stream(&store));
    let kept = found.len() as u64;
    assert_eq!(found, (1..=kept).collect::<Vec<_>>());
    assert!((least..=entries).contains(&kept), "{kept} of {entries}");
    let cut = store.recovery().streams[0].cut.clone();
    let mut want = found;
    for round in 0..3u64 {
        let next = 1000 * (round + 1);
        put_range(&stream(&store), next, next + 2);
        want.extend(next..=next + 2);
        assert_eq!(numbers(&stream(&store)), want);
    }
    let unclean = died(dir);
    store.close().unwrap();
    for dir in [dir, unclean.path()] {
        let store = open(dir);
        assert_eq!(numbers(&stream(&store)), want, "{cut:?}");
        let report = store.recovery();
        assert_eq!(report.streams[0].cut, None);
        store.close().unwrap();
    }
    kept
}

#[test]
fn a_tail_cut_at_any_byte_leaves_a_prefix() {
    let (dir, _store) = unclean(30);
    let tail = used(&segments(dir.path(), first_stream(dir.path()))[0]);
    let mut kept_before = 0;
    for end in (HEADER + 1..=tail).step_by(37).chain([tail]) {
        let copied = died(dir.path());
        let path = &segments(copied.path(), first_stream(copied.path()))[0];
        change(path, |bytes| bytes[end..].fill(0));
        let kept = goes_on(copied.path(), 30, 0);
        assert!(kept >= kept_before, "{kept} of the longer, {kept_before} before");
        kept_before = kept;
    }
    assert_eq!(kept_before, 30);
}

/// The number of the only stream.
fn first_stream(dir: &Path) -> u64 {
    let names = std::fs::read_dir(dir.join("streams")).unwrap();
    let numbers = names.map(|entry| entry.unwrap().file_name());
    let mut numbers: Vec<u64> = numbers.filter_map(|n| n.to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers[0]
}

#[test]
fn garbage_behind_the_tail_is_cut_and_stays_where_it_is() {
    let (dir, _store) = unclean(30);
    let number = first_stream(dir.path());
    let copied = died(dir.path());
    let path = segments(copied.path(), number)[0].clone();
    let end = used(&path).next_multiple_of(8);
    change(&path, |bytes| {
        let space = bytes.len() - end;
        bytes[end..end + space.min(100)].fill(0xa5);
    });
    let before = std::fs::read(&path).unwrap();
    let store = open(copied.path());
    assert_eq!(stream(&store).len().unwrap(), 30);
    let cut = store.recovery().streams[0].cut.clone().unwrap();
    assert_eq!((&cut.path, cut.offset, cut.bytes), (&path, end as u64, 100));
    assert!(!cut.frames_behind);
    put(&stream(&store), "31-0");
    store.close().unwrap();
    assert!(std::fs::read(&path).unwrap()[..end + 100] == before[..end + 100]);
    let store = open(copied.path());
    assert_eq!(numbers(&stream(&store)), (1..=31).collect::<Vec<_>>());
}

#[test]
fn a_bad_frame_that_was_never_synced_ends_the_log_and_hides_what_follows() {
    let (dir, _store) = unclean(30);
    let number = first_stream(dir.path());
    for (text, kept) in [("2-0", 1), ("15-0", 14), ("30-0", 29)] {
        let copied = died(dir.path());
        let path = segments(copied.path(), number)[0].clone();
        flip(&path, crate::files::find(&path, text));
        let store = open(copied.path());
        assert_eq!(stream(&store).len().unwrap(), kept);
        let cut = store.recovery().streams[0].cut.clone().unwrap();
        assert_eq!(cut.path, path);
        assert_eq!(cut.frames_behind, kept < 29);
        drop(store);
        // A second time: nothing is cut any more, and nothing came back.
        assert_eq!(goes_on(copied.path(), kept, kept), kept);
    }
}

#[test]
fn a_torn_tail_over_segments_sets_the_later_ones_aside() {
    let (dir, _store) = unclean(400);
    let number = first_stream(dir.path());
    let copied = died(dir.path());
    let files = segments(copied.path(), number);
    assert!(files.len() >= 3, "{files:?}");
    let path = files[files.len() - 1].clone();
    let end = used(&path);
    change(&path, |bytes| bytes[end - 40..end].fill(0));
    let kept = goes_on(copied.path(), 400, 300);
    assert!(kept < 400);
}

#[test]
fn a_batch_without_its_end_is_cut_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let large = StreamOptions::new().segment_bytes(65536);
    let s = store.stream_with("s", large).unwrap();
    put_range(&s, 1, 5);
    let mut batch = NewEntries::new();
    for ms in 6..=100 {
        let text = format!("{ms}-0");
        batch.push_with(id(&text), [("id", text)]).unwrap();
    }
    s.append_batch(&batch).unwrap();
    let number = first_stream(dir.path());
    let copied = died(dir.path());
    let path = segments(copied.path(), number).pop().unwrap();
    flip(&path, crate::files::find(&path, "90-0"));
    assert_eq!(goes_on(copied.path(), 100, 5), 5);
}

#[test]
fn what_was_synced_survives_whatever_happens_to_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let s = store.stream("s").unwrap();
    put_range(&s, 1, 40);
    s.sync().unwrap();
    put_range(&s, 41, 60);
    let number = first_stream(dir.path());
    for fill in [0u8, 0xff, 0x5a] {
        let copied = died(dir.path());
        let path = segments(copied.path(), number)[0].clone();
        let from = crate::files::find(&path, "41-0") - 12;
        change(&path, |bytes| {
            let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
            bytes[from..=end].fill(fill);
        });
        assert_eq!(goes_on(copied.path(), 60, 40), 40);
    }
}

#[test]
fn a_group_that_is_ahead_of_a_cut_stream_is_taken_back_and_said_so() {
    let (dir, store) = unclean(30);
    let group = stream(&store).create_group("g", Start::First).unwrap();
    let consumer = group.consumer("c").unwrap();
    drop(consumer.read(GroupReadOptions::new()).unwrap());
    let number = first_stream(dir.path());
    let copied = died(dir.path());
    let path = segments(copied.path(), number)[0].clone();
    flip(&path, crate::files::find(&path, "21-0"));
    let store = open(copied.path());
    let s = stream(&store);
    assert_eq!(s.len().unwrap(), 20);
    let clamped = store.recovery().clamped;
    assert_eq!(clamped.len(), 1);
    assert_eq!((&clamped[0].stream[..], &clamped[0].group[..]), (&b"s"[..], &b"g"[..]));
    assert_eq!((clamped[0].from, clamped[0].to), (id("30-0"), id("20-0")));
    assert_eq!(clamped[0].dropped, 10);
    // IDs that were delivered are not given to other content.
    assert_eq!(s.info().unwrap().last_id, id("30-0"));
    put(&s, "31-0");
    let group = s.get_group("g").unwrap().unwrap();
    let found = group.consumer("c").unwrap().read(GroupReadOptions::new());
    assert_eq!(found.unwrap().len(), 1);
    assert_eq!(group.pending().unwrap().count, 21);
}
