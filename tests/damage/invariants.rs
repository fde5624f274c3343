//! Invariants 1, 4, 7, 9 and 11 on real files: each says which change in the code makes it fail.
//!
//! The others, and these once more, are in `invariants` and `seam`, on disks made for them.

use crate::copy::died;
use crate::files::{change, find, open, options, segments, used};
use crate::ground::{all, checked, id, live, put, put_range};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use streamlog::{
    AppendOptions, Durability, GroupReadOptions, NewEntries, NewId, Start, Store, Stream, Trim,
};

fn stream(store: &Store) -> Stream {
    store.get("s").unwrap().unwrap()
}

/// The segments of the only stream.
fn only(dir: &Path) -> Vec<PathBuf> {
    let mut dirs = std::fs::read_dir(dir.join("streams")).unwrap();
    let name = dirs.next().unwrap().unwrap().file_name();
    segments(dir, name.to_str().unwrap().parse().unwrap())
}

fn cut_at(path: &Path, text: &str) {
    let from = find(path, text);
    change(path, |bytes| bytes[from..].fill(0));
}

/// Fails if `StreamInner::known` leaves what was delivered out of the floor.
#[test]
fn invariant_01_ids_stay_above_all_that_anyone_has_seen() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let s = store.stream("s").unwrap();
    let group = s.create_group("g", Start::First).unwrap();
    // A position that a caller sets is not an ID that somebody has seen.
    s.create_group("far", Start::After(id("999999-0"))).unwrap();
    put_range(&s, 1, 40);
    let consumer = group.consumer("c").unwrap();
    drop(consumer.read(GroupReadOptions::new().count(35)).unwrap());
    let last = |dir: &Path| {
        let store = open(dir);
        let last = stream(&store).info().unwrap().last_id;
        let next = stream(&store).append_with([("a", "b")], AppendOptions::new().id(last));
        assert!(next.is_err());
        last
    };
    // The log loses its end, and with it entries that were delivered.
    let torn = died(dir.path());
    let path = only(torn.path())[0].clone();
    cut_at(&path, "21-0");
    assert_eq!(last(torn.path()), id("35-0"));
    s.delete([id("38-0")]).unwrap();
    let torn = died(dir.path());
    let path = only(torn.path())[0].clone();
    cut_at(&path, "21-0");
    assert_eq!(last(torn.path()), id("38-0"));
    s.trim(Trim::min_id(id("40-0"))).unwrap();
    let torn = died(dir.path());
    let path = only(torn.path())[0].clone();
    cut_at(&path, "21-0");
    assert!(last(torn.path()) >= id("39-0"));
    store.close().unwrap();
    assert_eq!(last(dir.path()), id("40-0"));
}

/// Fails if `next_id` counts on from the last ID where the clock is ahead of it.
#[test]
fn invariant_01_generated_ids_are_at_least_now_after_an_unclean_open() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store.stream("s").unwrap(), "5-0");
    let copied = died(dir.path());
    let store = open(copied.path());
    let s = stream(&store);
    let explicit = AppendOptions::new().id(NewId::AutoSeq(5));
    assert_eq!(s.append_with([("a", "b")], explicit).unwrap(), id("5-1"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let generated = s.append([("a", "b")]).unwrap();
    assert!(u128::from(generated.ms) >= now.as_millis());
}

/// Fails if `Recovery::build` continues a segment with something behind its tail.
#[test]
fn invariant_04_a_torn_tail_never_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put_range(&store.stream("s").unwrap(), 1, 30);
    let copied = died(dir.path());
    let path = only(copied.path())[0].clone();
    let end = find(&path, "20-0");
    change(&path, |bytes| bytes[end] ^= 1);
    let before = std::fs::read(&path).unwrap();
    let mut want: Vec<_> = (1..20).map(|n| format!("{n}-0")).collect();
    for round in 0..4u64 {
        let store = open(copied.path());
        assert_eq!(checked(stream(&store).range(..)), want);
        // Entries of the same sizes as those that were cut: their ends would meet.
        let text = format!("{}-0", 50 + round);
        put(&stream(&store), &text);
        want.push(text);
        if round % 2 == 0 {
            store.close().unwrap();
        }
    }
    // No byte that is not zero is written over.
    let after = std::fs::read(&path).unwrap();
    let kept = before.iter().zip(&after).all(|(old, new)| *old == 0 || old == new);
    assert!(kept);
}

/// Fails if `Group::ack` applies its events without a record of them in the journal.
#[test]
fn invariant_07_what_returned_survives_the_process_under_every_level() {
    let interval =
        Durability::Interval { every: Duration::from_secs(3600), max_unsynced_bytes: 1 << 20 };
    for level in [Durability::Always, interval, Durability::Manual] {
        let dir = tempfile::tempdir().unwrap();
        let store = options().durability(level).open(dir.path()).unwrap();
        let s = store.stream("s").unwrap();
        put_range(&s, 1, 20);
        let mut batch = NewEntries::new();
        batch.push_with(id("21-0"), [("id", "21-0")]).unwrap();
        batch.push_with(id("22-0"), [("id", "22-0")]).unwrap();
        s.append_batch(&batch).unwrap();
        let group = s.create_group("g", Start::First).unwrap();
        let (a, b) = (group.consumer("a").unwrap(), group.consumer("b").unwrap());
        drop(a.read(GroupReadOptions::new().count(10)).unwrap());
        assert_eq!(group.ack(all(&["1-0", "2-0"])).unwrap(), 2);
        drop(b.claim(all(&["3-0"]), Duration::ZERO).unwrap());
        s.delete([id("22-0")]).unwrap();
        s.trim(Trim::max_len(15)).unwrap();
        store.stream("gone").unwrap();
        store.remove("gone").unwrap();
        store.stream("old").unwrap();
        store.rename("old", "new").unwrap();
        let (lives, info) = (live(&s), group.info().unwrap());
        let pending = group.pending().unwrap();
        // The process dies here: what the kernel has is all there is.
        let copied = died(dir.path());
        let again = open(copied.path());
        assert_eq!(live(&stream(&again)), lives, "{level:?}");
        assert_eq!(again.names(), [&b"new"[..], b"s"]);
        let group = stream(&again).get_group("g").unwrap().unwrap();
        assert_eq!(group.info().unwrap(), info);
        assert_eq!(group.pending().unwrap(), pending);
    }
}

/// Fails if `GroupState::deliver` moves the cursor and makes no pending records (`no_ack`).
#[test]
fn invariant_09_a_delivery_and_its_records_are_there_together_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let s = store.stream("s").unwrap();
    put_range(&s, 1, 20);
    let group = s.create_group("g", Start::First).unwrap();
    let consumer = group.consumer("the consumer").unwrap();
    for _ in 0..4 {
        // Dropping a delivery acknowledges nothing.
        drop(consumer.read(GroupReadOptions::new().count(5)).unwrap());
    }
    let journal = ["0", "1", "2"].map(|name| Path::new("state").join(name));
    let newest = journal
        .iter()
        .find(|path| find_in(&dir.path().join(path), b"the consumer").is_some())
        .unwrap();
    let path = dir.path().join(newest);
    let (from, to) = (find_in(&path, b"the consumer").unwrap(), used(&path));
    let mut seen = Vec::new();
    for end in (from..=to).step_by(11).chain([to]) {
        let torn = died(dir.path());
        change(&torn.path().join(newest), |bytes| bytes[end..].fill(0));
        let store = open(torn.path());
        let group = stream(&store).get_group("g").unwrap().unwrap();
        let (info, pending) = (group.info().unwrap(), group.pending().unwrap());
        assert_eq!(info.last_delivered_id.ms, pending.count, "cut at {end}");
        assert_eq!(info.entries_read.unwrap_or(0), pending.count);
        seen.push(pending.count);
        let next = group.consumer("c").unwrap().read(GroupReadOptions::new());
        assert_eq!(next.unwrap().len() as u64, 20 - pending.count);
    }
    seen.dedup();
    assert_eq!(seen, [0, 5, 10, 15, 20]);
}

fn find_in(path: &Path, text: &[u8]) -> Option<usize> {
    let bytes = std::fs::read(path).unwrap();
    bytes.windows(text.len()).position(|part| part == text)
}

/// Fails if `Recovery::find_end` goes on to the next segment behind a cut.
#[test]
fn invariant_11_recovery_cuts_at_the_first_bad_frame_whichever_segment_it_lies_in() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put_range(&store.stream("s").unwrap(), 1, 350);
    let files = only(dir.path());
    assert!(files.len() >= 3);
    let in_the_second = |n: &u64| {
        let text = format!("{n}-0");
        let value = [&[text.len() as u8], text.as_bytes()].concat();
        find_in(&files[1], &value).is_some()
    };
    let middle = (1..=350).filter(in_the_second).nth(20).unwrap();
    let torn = died(dir.path());
    let later = only(torn.path()).split_off(2);
    let path = only(torn.path())[1].clone();
    let at = find(&path, &format!("{middle}-0"));
    change(&path, |bytes| bytes[at] ^= 1);
    let before: Vec<_> = later.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let store = open(torn.path());
    let want: Vec<_> = (1..middle).map(|n| format!("{n}-0")).collect();
    assert_eq!(live(&stream(&store)), want);
    let report = store.recovery().streams[0].clone();
    assert_eq!(report.set_aside, later);
    assert_eq!(report.cut.unwrap().path, path);
    put(&stream(&store), "1000-0");
    store.close().unwrap();
    // What was set aside stays as it was, and outside.
    let after: Vec<_> = later.iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(before == after);
    let store = open(torn.path());
    assert_eq!(stream(&store).len().unwrap(), middle);
}
