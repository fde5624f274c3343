//! Bytes that were durable and are not what they were: refused by name, or skipped and reported.

use crate::copy::died;
use crate::files::{HEADER, change, find, flip, open, open_skipping, segments};
use crate::ground::{error, id, live, put, put_range};
use std::path::{Path, PathBuf};
use streamlog::{EntryId, ErrorKind, Store};

/// Two streams, `a` over several segments and `b`, closed cleanly.
fn closed() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put_range(&store.stream("a").unwrap(), 1, 500);
    put_range(&store.stream("b").unwrap(), 1, 5);
    store.close().unwrap();
    dir
}

fn of_a(dir: &Path) -> Vec<PathBuf> {
    segments(dir, numbers(dir)[0])
}

fn numbers(dir: &Path) -> Vec<u64> {
    let names = std::fs::read_dir(dir.join("streams")).unwrap();
    let mut found: Vec<u64> =
        names.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok()).collect();
    found.sort_unstable();
    found
}

/// The first error that reading the whole of `a` gives.
fn read_a(store: &Store) -> streamlog::Result<Vec<String>> {
    let stream = store.get("a")?.unwrap();
    let ids = stream.range(..).map(|entry| entry.map(|e| e.id().to_string()));
    ids.collect()
}

fn check_refused(dir: &Path, path: &Path, at: usize) {
    let store = open(dir);
    let refused = error(read_a(&store));
    assert!(matches!(refused.kind(), ErrorKind::Corrupt { .. }), "{refused}");
    assert!(refused.is_corruption() && !refused.is_retryable());
    let (file, offset) = refused.location().unwrap();
    assert_eq!(file, path);
    let offset = offset.unwrap() as usize;
    assert!(offset <= at && at < offset + 4200, "{offset} for {at}");
    let text = refused.to_string();
    assert!(text.contains("OnDamage::Skip"), "{text}");
    assert!(text.contains(&format!("{}", path.display())), "{text}");
    assert!(text.contains(&format!("at byte {offset}")), "{text}");
    // The other stream works.
    let other = store.get("b").unwrap().unwrap();
    assert_eq!(live(&other).len(), 5);
    put(&other, "6-0");
}

#[test]
fn a_flipped_bit_in_a_sealed_segment_is_refused_where_it_is() {
    let dir = closed();
    for text in ["1-0", "7-0", "50-0"] {
        let copied = died(dir.path());
        let path = of_a(copied.path())[0].clone();
        let at = find(&path, text);
        flip(&path, at);
        let before = std::fs::read(&path).unwrap();
        check_refused(copied.path(), &path, at);
        assert!(std::fs::read(&path).unwrap() == before);
    }
}

#[test]
fn a_flipped_bit_in_the_last_segment_is_refused_where_it_is() {
    let dir = closed();
    let copied = died(dir.path());
    let path = of_a(copied.path()).pop().unwrap();
    let at = find(&path, "499-0");
    flip(&path, at);
    let before = std::fs::read(&path).unwrap();
    check_refused(copied.path(), &path, at);
    assert!(std::fs::read(&path).unwrap() == before);
}

/// A seek passes over what lies in front of the entry by the headers of frames alone. Fails if what
/// it comes to is not checked, or not all that could have led it astray.
#[test]
fn a_seek_to_damage_gives_the_right_entry_or_none() {
    let dir = closed();
    let copied = died(dir.path());
    let path = of_a(copied.path())[0].clone();
    let good = std::fs::read(&path).unwrap();
    // The second block.
    let (from, to) = (find(&path, "11-0") - 60, find(&path, "21-0") - 60);
    let (mut right, mut refused) = (0, 0);
    for (at, mask) in (from..to).zip([1, 3, 0x10, 0x80].into_iter().cycle()).step_by(3) {
        change(&path, |bytes| bytes[at] ^= mask);
        let store = open(copied.path());
        let stream = store.get("a").unwrap().unwrap();
        for n in 9..23 {
            for (from, wanted) in [(EntryId::new(n, 0), n), (EntryId::new(n, 1), n + 1)] {
                match stream.range(from..).next().unwrap() {
                    Ok(entry) => assert_eq!(entry.id().ms, wanted, "byte {at} ^ {mask}"),
                    Err(error) => assert!(error.is_corruption(), "{error}"),
                }
            }
            match stream.get(EntryId::new(n, 0)) {
                Ok(entry) => {
                    assert_eq!(entry.unwrap().id().ms, n, "byte {at} ^ {mask}");
                    right += 1;
                }
                Err(error) => {
                    assert!(error.is_corruption(), "{error}");
                    refused += 1;
                }
            }
        }
        drop((stream, store));
        std::fs::write(&path, &good).unwrap();
    }
    assert!(right > refused && refused > (to - from) / 3, "{right} right, {refused} refused");
}

/// The numbers that are missing from `1..=500`: one run of them.
fn missing(found: &[String]) -> Vec<u64> {
    let all = (1..=500).filter(|n| !found.contains(&format!("{n}-0")));
    let all: Vec<u64> = all.collect();
    assert_eq!(all.len() + found.len(), 500);
    assert!(all.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{all:?}");
    all
}

#[test]
fn skipping_reads_the_rest_and_reports_the_gap() {
    let dir = closed();
    let copied = died(dir.path());
    let path = of_a(copied.path()).pop().unwrap();
    let at = find(&path, "484-0");
    flip(&path, at);
    let before = std::fs::read(&path).unwrap();
    let store = open_skipping(copied.path()).unwrap();
    let found = read_a(&store).unwrap();
    // The rest of its block goes with it.
    let lost = missing(&found);
    assert!(lost[0] == 484 && lost.len() <= 10, "{lost:?}");
    let gaps = store.recovery().streams[0].gaps.clone();
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].path, path);
    assert!(gaps[0].from as usize <= at && at < gaps[0].to as usize);
    assert_eq!(gaps[0].after, id("483-0"));
    assert_eq!(gaps[0].before.ms, lost[lost.len() - 1] + 1);
    let stream = store.get("a").unwrap().unwrap();
    let length = stream.len().unwrap();
    assert_eq!(length, found.len() as u64);
    put(&stream, "501-0");
    store.close().unwrap();
    // What is damaged is never written again.
    assert!(std::fs::read(&path).unwrap() == before);
    let store = open_skipping(copied.path()).unwrap();
    assert_eq!(read_a(&store).unwrap().len() as u64, length + 1);
    assert_eq!(store.recovery().streams[0].gaps.len(), 1);
    drop(store);
    let refused = error(read_a(&open(copied.path())));
    assert!(matches!(refused.kind(), ErrorKind::Corrupt { .. }));
}

#[test]
fn skipping_in_a_sealed_segment_loses_one_block_at_most() {
    let dir = closed();
    for n in [1u64, 45, 50] {
        let copied = died(dir.path());
        let path = of_a(copied.path())[0].clone();
        let at = find(&path, &format!("{n}-0"));
        flip(&path, at);
        let store = open_skipping(copied.path()).unwrap();
        let found = read_a(&store).unwrap();
        let lost = missing(&found);
        assert!(lost.contains(&n) && lost.len() <= 10, "{lost:?}");
        let stream = store.get("a").unwrap().unwrap();
        let backward: Vec<_> =
            stream.range(..).rev().map(|entry| entry.unwrap().id().to_string()).collect();
        assert!(backward.iter().rev().eq(found.iter()));
    }
}

#[test]
fn a_segment_that_is_missing_is_refused() {
    let dir = closed();
    for (n, what) in [(0, "the first"), (1, "one in the middle")] {
        let copied = died(dir.path());
        let path = of_a(copied.path())[n].clone();
        std::fs::remove_file(&path).unwrap();
        let store = open(copied.path());
        let refused = error(read_a(&store));
        assert!(refused.is_corruption(), "{what}: {refused}");
        assert!(refused.to_string().contains("OnDamage::Skip"));
        assert_eq!(live(&store.get("b").unwrap().unwrap()).len(), 5);
        drop(store);
        let store = open_skipping(copied.path()).unwrap();
        let found = read_a(&store).unwrap();
        assert!(found.contains(&"500-0".to_owned()), "{what}");
        assert!(found.len() < 500);
    }
}

#[test]
fn a_damaged_header_is_refused_and_can_be_skipped() {
    let dir = closed();
    let copied = died(dir.path());
    let path = of_a(copied.path())[0].clone();
    flip(&path, HEADER / 2);
    let store = open(copied.path());
    let refused = error(read_a(&store));
    assert!(refused.is_corruption());
    assert_eq!(refused.location().unwrap().0, path);
    drop(store);
    let store = open_skipping(copied.path()).unwrap();
    assert!(read_a(&store).unwrap().contains(&"500-0".to_owned()));
}

#[test]
fn a_segment_of_another_store_is_not_taken() {
    let (dir, other) = (closed(), closed());
    let path = of_a(dir.path())[0].clone();
    std::fs::copy(&of_a(other.path())[0], &path).unwrap();
    let refused = error(read_a(&open(dir.path())));
    assert!(refused.is_corruption());
    assert_eq!(refused.location().unwrap().0, path);
}

#[test]
fn strange_files_are_reported_and_left_alone() {
    let dir = closed();
    let root = dir.path();
    let number = numbers(root)[0].to_string();
    let strays = [
        root.join("notes.txt"),
        root.join("streams").join("backup"),
        root.join("streams").join(&number).join("old.seg.bak"),
    ];
    for path in &strays {
        std::fs::write(path, b"mine").unwrap();
    }
    // A number that no stream can have.
    let beyond = root.join("streams").join(u64::MAX.to_string());
    std::fs::create_dir(&beyond).unwrap();
    let store = open(root);
    assert_eq!(read_a(&store).unwrap().len(), 500);
    let report = store.recovery();
    assert_eq!(report.strays, [strays[0].clone(), beyond, strays[1].clone()]);
    assert_eq!(report.streams[0].strays, strays[2..]);
    put(&store.get("a").unwrap().unwrap(), "501-0");
    store.close().unwrap();
    for path in &strays {
        assert_eq!(std::fs::read(path).unwrap(), b"mine");
    }
}
