//! Ranges in both directions, snapshots, and what both go on showing while the stream changes.

use crate::ground::{checked, error, id, live, on_both, put, put_all, put_range, texts};
use std::ops::Bound::{Excluded, Included, Unbounded};
use streamlog::{EntryId, ErrorKind, Store, Stream, StreamOptions, Trim};

const MAX: &str = "18446744073709551615";

/// The seven entries of Redis's own test of exclusive ranges.
fn seven(store: &Store) -> (Stream, Vec<String>) {
    let stream = store.stream("s").unwrap();
    let below = "18446744073709551614";
    let all = vec![
        "0-1".to_owned(),
        format!("0-{MAX}"),
        "1-0".to_owned(),
        "42-0".to_owned(),
        "42-42".to_owned(),
        format!("{MAX}-{below}"),
        format!("{MAX}-{MAX}"),
    ];
    for text in &all {
        put(&stream, text);
    }
    (stream, all)
}

#[test]
fn every_kind_of_bound_takes_what_it_says() {
    on_both(|store| {
        let (stream, all) = seven(store);
        let first = id("0-1");
        let top = EntryId::MAX;
        assert_eq!(checked(stream.range(..)), all);
        assert_eq!(checked(stream.range(EntryId::MIN..=top)), all);
        assert_eq!(checked(stream.range((Excluded(first), Unbounded))), all[1..]);
        assert_eq!(checked(stream.range(..top)), all[..6]);
        assert_eq!(checked(stream.range((Excluded(first), Excluded(id("1-0"))))), all[1..2]);
        assert_eq!(checked(stream.range((Excluded(id("1-0")), Excluded(id("42-42"))))), all[3..4]);
        assert_eq!(checked(stream.range((Included(id("1-0")), Included(id("42-42"))))), all[2..5]);
        assert_eq!(checked(stream.range(..=id("0-5"))), all[..1]);
        assert_eq!(checked(stream.range(id("43-0")..)), all[5..]);
        assert_eq!(checked(stream.range(id("42-1")..id("42-42"))), [""; 0]);
        assert_eq!(checked(stream.range((Excluded(top), Unbounded))), [""; 0]);
        assert_eq!(checked(stream.range(..EntryId::MIN)), [""; 0]);
    });
}

#[test]
#[allow(clippy::reversed_empty_ranges)]
fn a_range_that_ends_before_it_begins_is_empty() {
    on_both(|store| {
        let (stream, _) = seven(store);
        assert_eq!(checked(stream.range(id("42-0")..id("1-0"))), [""; 0]);
        assert_eq!(checked(stream.range(id("42-0")..=id("1-0")).rev()), [""; 0]);
        assert_eq!(checked(stream.range(id("42-0")..id("42-0"))), [""; 0]);
        assert_eq!(checked(stream.range(id("42-0")..=id("42-0"))), ["42-0"]);
    });
}

#[test]
fn backwards_is_the_mirror_over_blocks_and_segments() {
    on_both(|store| {
        let options = StreamOptions::new().segment_bytes(4096).block_entries(3);
        let stream = store.stream_with("s", options.max_entry_bytes(1000)).unwrap();
        put_range(&stream, 1, 500);
        stream.delete([id("77-0"), id("78-0"), id("500-0")]).unwrap();
        assert!(stream.info().unwrap().segments > 2);
        for (from, to) in [(1, 500), (1, 1), (70, 80), (77, 78), (300, 900), (499, 500)] {
            let bounds = EntryId::new(from, 0)..=EntryId::new(to, 0);
            let forward = checked(stream.range(bounds.clone()));
            let mut backward = checked(stream.range(bounds).rev());
            backward.reverse();
            let gone = [77, 78, 500];
            let want: Vec<String> = (from..=to.min(500))
                .filter(|n| !gone.contains(n))
                .map(|n| format!("{n}-0"))
                .collect();
            assert_eq!(forward, want);
            assert_eq!(backward, want);
        }
    });
}

#[test]
fn both_ends_of_an_iterator_meet_in_the_middle() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, 9);
        let mut range = stream.range(..);
        let (mut front, mut back) = (Vec::new(), Vec::new());
        while let Some(entry) = range.next() {
            front.push(entry.unwrap().id().ms);
            for _ in 0..2 {
                back.extend(range.next_back().map(|entry| entry.unwrap().id().ms));
            }
        }
        assert_eq!(front, [1, 2, 3]);
        assert_eq!(back, [9, 8, 7, 6, 5, 4]);
        assert!(range.next().is_none() && range.next_back().is_none());
        let snapshot = stream.snapshot().unwrap();
        let mut range = snapshot.range(id("4-0")..id("6-0"));
        assert_eq!(range.next_back().unwrap().unwrap().id(), id("5-0"));
        assert_eq!(range.next().unwrap().unwrap().id(), id("4-0"));
        assert!(range.next().is_none() && range.next_back().is_none());
    });
}

#[test]
fn a_time_is_a_range_of_ids() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put_all(&stream, &["1000-0", "1999-5", "2000-0", "2000-7", "3000-0"]);
        let second = EntryId::new(2000, 0)..EntryId::new(3000, 0);
        assert_eq!(checked(stream.range(second)), ["2000-0", "2000-7"]);
        let end = EntryId::parse_end("2000").unwrap();
        assert_eq!(checked(stream.range(id("1999")..=end)), ["1999-5", "2000-0", "2000-7"]);
    });
}

#[test]
fn one_entry_is_found_by_its_id_and_by_no_other() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        assert_eq!(stream.get(id("1-0")).unwrap(), None);
        put_all(&stream, &["1-1", "1-3", "5-0"]);
        for text in ["1-1", "1-3", "5-0"] {
            let entry = stream.get(id(text)).unwrap().unwrap();
            assert_eq!(entry.get("id").unwrap(), text.as_bytes());
        }
        for text in ["0-0", "1-0", "1-2", "1-4", "4-9", "5-1"] {
            assert_eq!(stream.get(id(text)).unwrap(), None, "{text}");
        }
        assert_eq!(stream.get(EntryId::MAX).unwrap(), None);
        let snapshot = stream.snapshot().unwrap();
        assert_eq!(snapshot.get(id("1-3")).unwrap().unwrap().id(), id("1-3"));
        assert!(snapshot.get(id("1-2")).unwrap().is_none());
    });
}

/// A stream over several segments.
fn long(store: &Store) -> Stream {
    let options = StreamOptions::new().segment_bytes(4096).max_entry_bytes(1000);
    let stream = store.stream_with("s", options).unwrap();
    put_range(&stream, 1, 300);
    stream
}

fn borrowed(snapshot: &streamlog::Snapshot) -> Vec<String> {
    let ids = snapshot.range(..).map(|entry| {
        let entry = entry.unwrap();
        let text = entry.id().to_string();
        assert_eq!(entry.get("id").unwrap(), text.as_bytes());
        text
    });
    ids.collect()
}

#[test]
fn a_snapshot_holds_what_it_saw_over_appends_and_trims() {
    on_both(|store| {
        let stream = long(store);
        let snapshot = stream.snapshot().unwrap();
        let first = snapshot.range(..).next().unwrap().unwrap();
        let before = borrowed(&snapshot);
        assert_eq!(before.len(), 300);
        assert_eq!(stream.trim(Trim::max_len(5)).unwrap(), 295);
        put_range(&stream, 301, 700);
        assert_eq!(borrowed(&snapshot), before);
        assert_eq!(first.get("id").unwrap(), b"1-0");
        assert_eq!(live(&stream).len(), 405);
        assert_eq!(live(&stream)[0], "296-0");
    });
}

#[test]
fn a_deleted_entry_disappears_from_snapshots_but_not_from_hands() {
    on_both(|store| {
        let stream = long(store);
        let snapshot = stream.snapshot().unwrap();
        let held = snapshot.get(id("7-0")).unwrap().unwrap();
        assert_eq!(stream.delete([id("7-0"), id("300-0")]).unwrap(), 2);
        assert_eq!(held.get("id").unwrap(), b"7-0");
        let seen = borrowed(&snapshot);
        assert_eq!(seen.len(), 298);
        assert!(!seen.contains(&"7-0".to_owned()));
    });
}

#[test]
fn a_snapshot_survives_the_end_of_its_stream_and_of_its_store() {
    on_both(|store| {
        let stream = long(store);
        let snapshot = stream.snapshot().unwrap();
        let batch = stream.read(streamlog::Start::First, streamlog::ReadOptions::new()).unwrap();
        let owned = stream.range(..);
        assert!(store.remove("s").unwrap());
        assert_eq!(borrowed(&snapshot).len(), 300);
        assert_eq!(batch.iter().count(), 300);
        store.clone().close().unwrap();
        assert_eq!(borrowed(&snapshot).len(), 300);
        assert_eq!(texts(batch.ids()).len(), 300);
        assert_eq!(checked(owned).len(), 300);
        let mut refused = stream.range(..);
        let first = error(refused.next().unwrap());
        assert!(matches!(first.kind(), ErrorKind::Closed | ErrorKind::NoStream { .. }));
    });
}

#[test]
fn an_iterator_shows_the_stream_as_it_was_when_it_was_made() {
    on_both(|store| {
        let stream = long(store);
        let mut range = stream.range(id("299-0")..);
        put_range(&stream, 301, 310);
        assert_eq!(range.next().unwrap().unwrap().id(), id("299-0"));
        assert_eq!(range.next().unwrap().unwrap().id(), id("300-0"));
        assert!(range.next().is_none());
        assert_eq!(stream.range(id("299-0")..).count(), 12);
    });
}
