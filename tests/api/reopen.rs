//! What a store is after it was closed and opened again.

use crate::ground::{checked, id, kind, live, put, put_range};
use std::path::Path;
use streamlog::{
    AppendOptions, Durability, EntryId, ErrorKind, GroupReadOptions, NewEntries, Start, Store,
    StreamOptions, Trim,
};

fn open(dir: &Path) -> Store {
    Store::options().durability(Durability::Manual).open(dir).unwrap()
}

#[test]
fn entries_come_back_from_many_segments_and_the_log_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut want = Vec::new();
    for round in 0..4u64 {
        let store = open(dir.path());
        let options = StreamOptions::new().segment_bytes(4096).max_entry_bytes(1000);
        let stream = store.stream_with("s", options).unwrap();
        assert_eq!(live(&stream), want);
        put_range(&stream, round * 100 + 1, round * 100 + 90);
        want.extend((round * 100 + 1..=round * 100 + 90).map(|n| format!("{n}-0")));
        let mut batch = NewEntries::new();
        for n in 91..=100 {
            let id = EntryId::new(round * 100 + n, 0);
            batch.push_with(id, [("id", id.to_string())]).unwrap();
            want.push(id.to_string());
        }
        stream.append_batch(&batch).unwrap();
        assert_eq!(checked(stream.range(..)), want);
        store.close().unwrap();
    }
    let store = open(dir.path());
    let stream = store.get("s").unwrap().unwrap();
    assert!(stream.info().unwrap().segments > 2);
    assert_eq!(checked(stream.range(..)), want);
    let report = store.recovery();
    assert_eq!((report.streams.len(), report.adopted.len()), (1, 0));
    assert_eq!(report.streams[0].cut, None);
    assert_eq!(report.streams[0].rescued_bytes, 0);
}

#[test]
fn what_was_deleted_and_trimmed_stays_away() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let stream = store.stream("s").unwrap();
    put_range(&stream, 1, 20);
    stream.delete([id("9-0"), id("20-0")]).unwrap();
    stream.trim(Trim::max_len(15)).unwrap();
    let options = AppendOptions::new().trim(Trim::max_len(14));
    stream.append_with([("a", "b")], options.id(id("21-0"))).unwrap();
    let (before, info) = (live(&stream), stream.info().unwrap());
    store.close().unwrap();
    for _ in 0..2 {
        let store = open(dir.path());
        let stream = store.get("s").unwrap().unwrap();
        assert_eq!(live(&stream), before);
        let again = stream.info().unwrap();
        assert_eq!(again.length, info.length);
        assert_eq!(again.max_deleted_id, id("20-0"));
        assert_eq!(again.entries_added, 21);
        assert_eq!(again.first_id, info.first_id);
        assert_eq!(again.blocks, info.blocks);
        assert_eq!(stream.delete([id("9-0")]).unwrap(), 0);
        store.close().unwrap();
    }
}

#[test]
fn the_largest_id_stays_trimmed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let max = || AppendOptions::new().id(EntryId::MAX);
    for name in ["trim", "append"] {
        put_range(&store.stream(name).unwrap(), 1, 3);
    }
    let get = |name| store.get(name).unwrap().unwrap();
    get("trim").append_with([("a", "b")], max()).unwrap();
    get("trim").trim(Trim::max_len(0)).unwrap();
    get("append").append_with([("a", "b")], max().trim(Trim::max_len(0))).unwrap();
    store.close().unwrap();
    for _ in 0..2 {
        let store = open(dir.path());
        for name in ["trim", "append"] {
            let stream = store.get(name).unwrap().unwrap();
            let (left, info) = (live(&stream), stream.info().unwrap());
            assert_eq!((left.len(), info.length), (0, 0), "{name}: {left:?}");
            assert_eq!((info.last_id, info.entries_added), (EntryId::MAX, 4));
        }
        store.close().unwrap();
    }
}

#[test]
fn ids_go_on_above_what_was_deleted_trimmed_or_set() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for name in ["deleted", "trimmed", "set"] {
        put_range(&store.stream(name).unwrap(), 1, 9);
    }
    let get = |name| store.get(name).unwrap().unwrap();
    get("deleted").delete([id("9-0")]).unwrap();
    get("trimmed").trim(Trim::max_len(0)).unwrap();
    get("set").set_id(id("500-3"), None, None).unwrap();
    store.close().unwrap();
    let store = open(dir.path());
    for (name, last) in [("deleted", "9-0"), ("trimmed", "9-0"), ("set", "500-3")] {
        let stream = store.get(name).unwrap().unwrap();
        assert_eq!(stream.info().unwrap().last_id, id(last), "{name}");
        let low = stream.append_with([("a", "b")], AppendOptions::new().id(id(last)));
        assert!(matches!(kind(low), ErrorKind::IdNotGreater { .. }));
        put(&stream, &format!("{}-4", id(last).ms));
    }
}

#[test]
fn names_come_back_as_they_were_left() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for name in ["a", "b", "c", "d"] {
        put(&store.stream(name).unwrap(), "1-0");
    }
    store.rename("a", "z").unwrap();
    store.remove("b").unwrap();
    store.copy("c", "copy", false).unwrap();
    store.rename("d", "c").unwrap();
    put(&store.get("c").unwrap().unwrap(), "2-0");
    store.close().unwrap();
    let store = open(dir.path());
    assert_eq!(store.names(), [&b"c"[..], b"copy", b"z"]);
    let live_of = |name| live(&store.get(name).unwrap().unwrap());
    assert_eq!(live_of("c"), ["1-0", "2-0"]);
    assert_eq!(live_of("copy"), ["1-0"]);
    assert_eq!(live_of("z"), ["1-0"]);
    let dirs = std::fs::read_dir(dir.path().join("streams")).unwrap();
    assert_eq!(dirs.count(), 3);
}

#[test]
fn a_removed_and_remade_stream_has_nothing_of_its_former_life() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let first = store.stream("s").unwrap();
    put_range(&first, 1, 9);
    first.create_group("g", Start::First).unwrap();
    store.remove("s").unwrap();
    put(&store.stream("s").unwrap(), "3-0");
    store.close().unwrap();
    let store = open(dir.path());
    let stream = store.get("s").unwrap().unwrap();
    assert_eq!(live(&stream), ["3-0"]);
    assert_eq!(stream.groups().unwrap(), []);
    assert_eq!(stream.info().unwrap().entries_added, 1);
}

#[test]
fn stored_options_hold_over_a_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let options = StreamOptions::new().block_entries(3).max_entry_bytes(50);
    let stream = store.stream_with("s", options).unwrap();
    put_range(&stream, 1, 3);
    store.close().unwrap();
    let store = open(dir.path());
    let stream = store.stream("s").unwrap();
    put_range(&stream, 4, 9);
    assert_eq!(stream.info().unwrap().blocks, 3);
    let large = stream.append([("a", "x".repeat(60))]);
    assert!(matches!(kind(large), ErrorKind::EntryTooLarge { max: 50, .. }));
}

#[test]
fn a_store_without_a_close_keeps_what_returned() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let stream = store.stream("s").unwrap();
    put_range(&stream, 1, 50);
    let group = stream.create_group("g", Start::First).unwrap();
    let consumer = group.consumer("c").unwrap();
    assert_eq!(consumer.read(GroupReadOptions::new()).unwrap().len(), 50);
    drop((store, stream, group, consumer));
    let store = open(dir.path());
    let stream = store.get("s").unwrap().unwrap();
    assert_eq!(live(&stream).len(), 50);
    let group = stream.get_group("g").unwrap().unwrap();
    assert_eq!(group.pending().unwrap().count, 50);
}

#[test]
fn a_second_open_is_refused_until_the_last_handle_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let stream = store.stream("s").unwrap();
    drop(store);
    let refused = kind(Store::open(dir.path()));
    let ErrorKind::Locked { holder } = refused else {
        panic!("{refused:?}");
    };
    let pid = format!("process {}", std::process::id());
    assert!(holder.starts_with(&pid), "{holder}");
    put(&stream, "1-0");
    drop(stream);
    let store = open(dir.path());
    assert_eq!(live(&store.get("s").unwrap().unwrap()), ["1-0"]);
}

#[test]
fn an_open_store_recovers_streams_when_they_are_used() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for name in ["a", "b"] {
        put(&store.stream(name).unwrap(), "1-0");
    }
    store.close().unwrap();
    let store = open(dir.path());
    assert_eq!(store.health().open_streams, 0);
    assert_eq!(store.names(), [b"a", b"b"]);
    store.get("b").unwrap().unwrap();
    let recovered = |store: &Store| -> Vec<_> {
        let report = store.recovery();
        report.streams.into_iter().map(|one| one.name).collect()
    };
    assert_eq!(recovered(&store), [b"b"]);
    store.recover_all().unwrap();
    assert_eq!(recovered(&store), [b"b", b"a"]);
    assert_eq!(store.health().open_streams, 2);
}
