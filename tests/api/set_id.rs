//! XSETID: the last ID goes on, and back where nothing that lives or was deleted is in the way.

use crate::ground::{all, id, kind, live, on_both, put, put_all, put_range, try_put};
use std::path::Path;
use streamlog::{
    Durability, EntryId, ErrorKind, GroupReadOptions, NewEntries, NewId, PendingFilter,
    ReadOptions, Start, Store, Stream, StreamOptions, Trim,
};

fn open(dir: &Path) -> Store {
    Store::options().durability(Durability::Manual).open(dir).unwrap()
}

fn stream(store: &Store) -> Stream {
    // Small segments, so that there is more than one.
    let options = StreamOptions::new().segment_bytes(4096).max_entry_bytes(1000);
    store.stream_with("s", options).unwrap()
}

fn set(stream: &Stream, last: &str) {
    stream.set_id(id(last), None, None).unwrap();
    assert_eq!(stream.info().unwrap().last_id, id(last));
}

fn refused(stream: &Stream, last: &str) {
    let before = stream.info().unwrap();
    let refused = kind(stream.set_id(id(last), None, None));
    assert!(matches!(refused, ErrorKind::SetIdTooSmall { .. }), "{refused:?}");
    let after = stream.info().unwrap();
    assert_eq!(format!("{after:?}"), format!("{before:?}"));
}

#[test]
fn the_last_id_goes_back_over_what_was_trimmed() {
    on_both(|store| {
        let stream = stream(store);
        put_range(&stream, 1, 300);
        assert!(stream.info().unwrap().segments > 2);
        stream.trim(Trim::max_len(0)).unwrap();
        set(&stream, "200-0");
        let info = stream.info().unwrap();
        assert_eq!((info.length, info.entries_added, info.blocks), (0, 300, 0));
        assert!(try_put(&stream, "200-0").is_err());
        put_all(&stream, &["200-1", "250-0", "300-0", "301-0"]);
        assert_eq!(live(&stream), ["200-1", "250-0", "300-0", "301-0"]);
        let back: Vec<_> = stream.range(..).rev().map(|entry| entry.unwrap().id()).collect();
        assert_eq!(back, all(&["301-0", "300-0", "250-0", "200-1"]));
        assert_eq!(stream.get(id("250-0")).unwrap().unwrap().get("id").unwrap(), b"250-0");
        assert_eq!(stream.get(id("249-0")).unwrap(), None);
        assert_eq!(stream.info().unwrap().entries_added, 304);
        // And to the very beginning.
        stream.trim(Trim::max_len(0)).unwrap();
        set(&stream, "0-0");
        put(&stream, "0-1");
        assert_eq!(live(&stream), ["0-1"]);
    });
}

#[test]
fn what_lives_and_what_was_deleted_is_in_the_way() {
    on_both(|store| {
        let stream = stream(store);
        put_range(&stream, 1, 9);
        refused(&stream, "8-0");
        stream.delete([id("9-0")]).unwrap();
        refused(&stream, "8-0");
        stream.trim(Trim::max_len(0)).unwrap();
        refused(&stream, "8-0");
        set(&stream, "9-0");
        // Not even with a lower one in the same call; in the next one it is out of the way.
        let lower = Some(id("3-0"));
        assert!(stream.set_id(id("8-0"), None, lower).is_err());
        stream.set_id(id("9-0"), None, lower).unwrap();
        refused(&stream, "2-9");
        set(&stream, "3-0");
        put_range(&stream, 4, 9);
        assert_eq!(live(&stream), ["4-0", "5-0", "6-0", "7-0", "8-0", "9-0"]);
    });
}

#[test]
fn an_id_that_was_only_set_is_taken_back_and_what_lives_stays() {
    on_both(|store| {
        let stream = stream(store);
        set(&stream, "100-0");
        set(&stream, "7-0");
        put_all(&stream, &["8-0", "9-0"]);
        set(&stream, "100-0");
        set(&stream, "9-0");
        put(&stream, "10-0");
        set(&stream, "1000-0");
        // A segment that begins behind it tells of it.
        put_range(&stream, 1001, 1100);
        stream.trim(Trim::min_id(id("1100-0"))).unwrap();
        stream.trim(Trim::max_len(0)).unwrap();
        set(&stream, "10-0");
        put(&stream, "11-0");
        assert_eq!(live(&stream), ["11-0"]);
    });
}

/// Entries 1 to 5 live, 6 to 9 were deleted and the tombstones set aside; now IDs go on at 6.
fn with_a_dead_end(store: &Store) -> Stream {
    let stream = stream(store);
    put_range(&stream, 1, 3);
    // A batch that lives in part.
    let mut batch = NewEntries::new();
    for ms in 4..8 {
        batch.push_with(EntryId::new(ms, 0), [("id", format!("{ms}-0"))]).unwrap();
    }
    stream.append_batch(&batch).unwrap();
    put_range(&stream, 8, 150);
    stream.delete((6..=150).map(|ms| EntryId::new(ms, 0))).unwrap();
    stream.set_id(id("150-0"), None, Some(id("5-0"))).unwrap();
    set(&stream, "5-0");
    stream
}

#[test]
fn what_lives_below_the_new_last_id_is_kept() {
    on_both(|store| {
        let stream = with_a_dead_end(store);
        assert_eq!(live(&stream), ["1-0", "2-0", "3-0", "4-0", "5-0"]);
        put_all(&stream, &["6-0", "7-7", "200-0"]);
        let want = ["1-0", "2-0", "3-0", "4-0", "5-0", "6-0", "7-7", "200-0"];
        assert_eq!(live(&stream), want);
        let info = stream.info().unwrap();
        assert_eq!((info.length, info.entries_added), (8, 153));
        assert_eq!(info.max_deleted_id, id("5-0"));
        // From either end, and from the middle.
        let back: Vec<_> = stream.range(..).rev().map(|entry| entry.unwrap().id()).collect();
        assert!(back.iter().rev().eq(all(&want).iter()));
        let some: Vec<_> = stream.range(id("5-0")..id("8-0")).map(|e| e.unwrap().id()).collect();
        assert_eq!(some, all(&["5-0", "6-0", "7-7"]));
        assert_eq!(stream.get(id("7-0")).unwrap(), None);
        // Deletions and trims find the new ones and not those that had their IDs before.
        assert_eq!(stream.delete([id("6-0"), id("8-0")]).unwrap(), 1);
        assert_eq!(stream.trim(Trim::max_len(2)).unwrap(), 5);
        assert_eq!(live(&stream), ["7-7", "200-0"]);
        put(&stream, "201-0");
        assert_eq!(stream.trim(Trim::max_len(1).approximate()).unwrap(), 0);
        assert_eq!(stream.trim(Trim::min_id(id("200-0"))).unwrap(), 1);
        assert_eq!(live(&stream), ["200-0", "201-0"]);
    });
}

#[test]
fn whole_blocks_are_trimmed_over_what_was_cut_off() {
    on_both(|store| {
        let options = StreamOptions::new().block_entries(4).block_bytes(0);
        let stream = store.stream_with("blocks", options).unwrap();
        put_range(&stream, 1, 10);
        stream.delete((7..=10).map(|ms| EntryId::new(ms, 0))).unwrap();
        stream.set_id(id("10-0"), None, Some(id("6-0"))).unwrap();
        set(&stream, "6-0");
        put_range(&stream, 7, 12);
        assert_eq!(stream.info().unwrap().blocks, 4);
        let about = |n| Trim::max_len(n).approximate();
        assert_eq!(stream.trim(about(8)).unwrap(), 4);
        // The block that was cut in the middle goes with what is left of it.
        assert_eq!(stream.trim(about(6)).unwrap(), 2);
        assert_eq!(live(&stream).len(), 6);
        assert_eq!(stream.trim(Trim::min_id(id("11-0")).approximate()).unwrap(), 4);
        assert_eq!(live(&stream), ["11-0", "12-0"]);
        assert_eq!(stream.info().unwrap().blocks, 1);
    });
}

#[test]
fn all_of_that_is_there_after_a_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let kept = with_a_dead_end(&store);
    put_all(&kept, &["6-0", "7-7", "8-0"]);
    kept.delete([id("8-0")]).unwrap();
    let gone = store.stream("gone").unwrap();
    put_range(&gone, 1, 100);
    gone.trim(Trim::max_len(0)).unwrap();
    set(&gone, "50-0");
    let only = store.stream("only set").unwrap();
    set(&only, "77-0");
    set(&only, "3-0");
    store.close().unwrap();
    for round in 0..3u64 {
        let store = open(dir.path());
        let get = |name: &str| store.get(name).unwrap().unwrap();
        let mut want = vec!["1-0", "2-0", "3-0", "4-0", "5-0", "6-0", "7-7"];
        let later = ["10-0", "11-0", "12-0"];
        want.extend(&later[..round as usize]);
        assert_eq!(live(&get("s")), want);
        let info = get("s").info().unwrap();
        assert_eq!((info.length, info.entries_added), (want.len() as u64, 153 + round));
        put(&get("s"), later[round as usize]);
        let info = get("gone").info().unwrap();
        assert_eq!((info.last_id, info.length), (EntryId::new(50 + round, 0), round));
        put(&get("gone"), &format!("{}-0", 51 + round));
        let info = get("only set").info().unwrap();
        assert_eq!((info.last_id, info.length), (EntryId::new(3 + round, 0), round));
        put(&get("only set"), &format!("{}-0", 4 + round));
        for report in store.recovery().streams {
            let set_aside = (&report.set_aside, &report.gaps, &report.cut);
            assert_eq!(set_aside, (&vec![], &vec![], &None));
        }
        store.close().unwrap();
    }
}

#[test]
fn several_times_back_is_back_to_the_last() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..6u64 {
        let store = open(dir.path());
        let stream = stream(&store);
        assert_eq!(live(&stream).len() as u64, round.min(1));
        for _ in 0..3 {
            stream.trim(Trim::max_len(0)).unwrap();
            set(&stream, "10-0");
            put_range(&stream, 11, 100);
            stream.trim(Trim::max_len(0)).unwrap();
            set(&stream, "5-0");
            put(&stream, "6-0");
        }
        assert_eq!(live(&stream), ["6-0"]);
        assert_eq!(stream.info().unwrap().entries_added, (round + 1) * 3 * 91);
        store.close().unwrap();
    }
    // The segments of before are gone.
    let dir = dir.path().join("streams/1");
    let files = std::fs::read_dir(dir).unwrap().count();
    assert!(files < 8, "{files} segments");
}

#[test]
fn groups_stay_where_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let stream = stream(&store);
    put_range(&stream, 1, 9);
    let group = stream.create_group("g", Start::First).unwrap();
    let consumer = group.consumer("c").unwrap();
    assert_eq!(consumer.read(GroupReadOptions::new()).unwrap().len(), 9);
    stream.create_group("behind", Start::After(id("4-0"))).unwrap();
    stream.trim(Trim::max_len(0)).unwrap();
    set(&stream, "2-0");
    put_range(&stream, 3, 5);
    store.close().unwrap();
    let store = open(dir.path());
    assert!(store.recovery().clamped.is_empty());
    let stream = store.get("s").unwrap().unwrap();
    let group = |name: &str| stream.get_group(name).unwrap().unwrap();
    assert_eq!(group("g").info().unwrap().last_delivered_id, id("9-0"));
    let pending = group("g").pending_range(.., PendingFilter::new()).unwrap();
    assert_eq!(pending.len(), 9);
    let read = |name: &str| {
        let consumer = group(name).consumer("c").unwrap();
        consumer.read(GroupReadOptions::new()).unwrap().ids().collect::<Vec<_>>()
    };
    // What lies above the cursor is delivered, and nothing else.
    assert_eq!(read("g"), []);
    assert_eq!(read("behind"), all(&["5-0"]));
    put_all(&stream, &["9-0", "10-0"]);
    assert_eq!(read("g"), all(&["10-0"]));
    assert_eq!(read("behind"), all(&["9-0", "10-0"]));
}

#[test]
fn readers_keep_what_they_had_and_see_what_comes() {
    on_both(|store| {
        let stream = stream(store);
        put_range(&stream, 1, 300);
        let snapshot = stream.snapshot().unwrap();
        let mut begun = stream.range(..);
        begun.next().unwrap().unwrap();
        stream.trim(Trim::max_len(0)).unwrap();
        set(&stream, "100-0");
        put_all(&stream, &["101-0", "150-5"]);
        assert_eq!(snapshot.range(..).map(Result::unwrap).count(), 300);
        assert_eq!(snapshot.range(..).rev().map(Result::unwrap).count(), 300);
        assert_eq!(begun.map(Result::unwrap).count(), 299);
        let read = stream.read(Start::After(id("100-0")), ReadOptions::new()).unwrap();
        assert_eq!(read.ids().collect::<Vec<_>>(), all(&["101-0", "150-5"]));
        assert!(stream.read(Start::After(id("150-5")), ReadOptions::new()).unwrap().is_empty());
    });
}

#[test]
fn generated_ids_go_on_above_the_new_last_one() {
    on_both(|store| {
        let stream = stream(store);
        put(&stream, "18446744073709551615-18446744073709551615");
        assert!(matches!(kind(stream.append([("a", "b")])), ErrorKind::IdExhausted));
        stream.trim(Trim::max_len(0)).unwrap();
        set(&stream, "5-3");
        let options = streamlog::AppendOptions::new().id(NewId::AutoSeq(5));
        assert_eq!(stream.append_with([("a", "b")], options).unwrap(), id("5-4"));
        assert!(stream.append([("a", "b")]).unwrap() > id("5-4"));
        assert_eq!(stream.len().unwrap(), 2);
    });
}

#[test]
fn a_copy_of_such_a_stream_is_one_of_its_own() {
    on_both(|store| {
        let stream = with_a_dead_end(store);
        put_all(&stream, &["6-0", "7-7"]);
        assert!(store.copy("s", "copy", false).unwrap());
        let copy = store.get("copy").unwrap().unwrap();
        assert_eq!(live(&copy), live(&stream));
        assert_eq!(copy.info().unwrap().entries_added, 152);
        copy.trim(Trim::max_len(0)).unwrap();
        set(&copy, "6-0");
        put(&copy, "6-1");
        assert_eq!(live(&copy), ["6-1"]);
    });
}
