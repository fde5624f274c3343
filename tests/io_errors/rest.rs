//! Streams at rest, and calls that find no descriptor or map left.

use crate::disk::FaultDisk;
use crate::ground::{deliver, die, error, id, open, put, seen, try_put};
use crate::table::{EMFILE, ENOMEM};
use crate::{Durability, ErrorKind, NewEntries, Store, Stream, StreamOptions, Trim};
use std::path::Path;
use std::time::Duration;

/// The tests by name.
pub(crate) const TESTS: &[(&str, fn())] = &[
    ("a_stream_at_rest_is_as_it_was", a_stream_at_rest_is_as_it_was),
    ("a_stream_at_rest_holds_no_descriptor_and_no_map", a_stream_at_rest_holds_nothing),
    ("what_is_not_on_disk_does_not_rest", what_is_not_on_disk_does_not_rest),
    ("readers_keep_what_they_hold_when_a_stream_rests", readers_keep_what_they_hold),
    ("where_no_map_is_left_small_segments_are_copied", where_no_map_is_left),
    ("where_no_descriptor_is_left_the_segment_goes_on", where_no_descriptor_is_left),
];

fn rest(store: &Store) {
    assert!(store.shared().rest_all());
}

fn awake(stream: &Stream) -> bool {
    stream.inner().open_log().is_some_and(|log| log.is_awake())
}

/// Fails if `Log::wake` (src/storage/log/rest.rs) begins at another place than where `Log::rest`
/// ended, or does not put the segment with the writer's map into the list.
fn a_stream_at_rest_is_as_it_was() {
    for level in [Durability::Always, Durability::Manual] {
        let disk = FaultDisk::new();
        let store = open(&disk, level);
        let stream = store.stream("s").unwrap();
        let mut known = Vec::new();
        for round in 0..60 {
            let first = round * 10 + 1;
            put(&stream, first..first + 3);
            let mut batch = NewEntries::new();
            for ms in first + 3..first + 6 {
                batch.push_with(id(ms), [("v", "x".repeat(200))]).unwrap();
            }
            stream.append_batch(&batch).unwrap();
            known.extend(first..first + 6);
            assert_eq!(seen(&stream), known, "{round}");
            assert_eq!(deliver(&stream, "g").unwrap().len(), 6);
            if round % 3 == 0 {
                store.sync().unwrap();
            }
            if round % 7 == 6 {
                assert_eq!(stream.trim(Trim::min_id(id(known[4]))).unwrap(), 4);
                known.drain(..4);
                store.step_prepare().unwrap();
            }
            rest(&store);
            assert_eq!(seen(&stream), known, "{round}");
        }
        let segments = stream.info().unwrap().segments;
        assert!(segments > 3, "{segments}");
        store.sync().unwrap();
        rest(&store);
        die(store);
        let store = open(&disk.power_cut(), level);
        assert_eq!(seen(&store.stream("s").unwrap()), known);
        assert_eq!(store.recovery().streams[0].cut, None);
    }
}

/// Fails if `Log::rest` (src/storage/log/rest.rs) keeps what is active.
fn a_stream_at_rest_holds_nothing() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..200);
    assert!(awake(&stream));
    store.sync().unwrap();
    rest(&store);
    assert!(!awake(&stream));
    let log = stream.inner().open_log().unwrap();
    assert_eq!(log.maps(), 0);
    // A read takes maps alone, an append the last segment.
    assert_eq!(seen(&stream).len(), 199);
    assert!(log.maps() > 1);
    rest(&store);
    put(&stream, [200]);
    assert_eq!(log.maps(), 1);
    // Closed, it ends with its mark as any other.
    rest(&store);
    store.close().unwrap();
    let store = open(&disk.image(), Durability::Manual);
    let stream = store.stream("s").unwrap();
    assert_eq!(seen(&stream).len(), 200);
    assert_eq!(store.recovery().streams[0].rescued_bytes, 0);
}

/// Fails if `Log::rest` does not compare what is written with what is durable.
fn what_is_not_on_disk_does_not_rest() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..10);
    rest(&store);
    assert!(awake(&stream));
    disk.take_calls();
    store.sync().unwrap();
    let calls = disk.take_calls();
    assert!(calls.iter().any(|call| call.starts_with("sync ") && call.contains("/streams/1/")));
}

/// Guards `Log::drop_maps_but` and `Segment::keep_for_readers` (src/storage/segment.rs).
fn readers_keep_what_they_hold() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..300);
    store.sync().unwrap();
    store.step_prepare().unwrap();
    rest(&store);
    // One reader has nothing mapped yet when the last segment is taken up again, the other one has
    // everything when the stream rests.
    let later = stream.snapshot().unwrap();
    put(&stream, 300..400);
    store.sync().unwrap();
    store.step_prepare().unwrap();
    let held = stream.snapshot().unwrap();
    let entries: Vec<_> = held.range(..).map(|entry| entry.unwrap()).collect();
    rest(&store);
    stream.trim(Trim::max_len(2)).unwrap();
    store.step_prepare().unwrap();
    assert_eq!(stream.info().unwrap().segments, 1);
    assert!(entries.iter().all(|entry| entry.get("v").is_some_and(|value| !value.is_empty())));
    assert_eq!(held.range(..).count(), 399);
    assert_eq!(later.range(..).filter(|entry| entry.is_ok()).count(), 299);
}

/// Fails if `Segment::region` (src/storage/segment.rs) gives the error of the map.
fn where_no_map_is_left() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..300);
    let large = StreamOptions::new().segment_bytes(4 << 20);
    let large = store.stream_with("large", large).unwrap();
    for _ in 0..60 {
        large.append([("v", "x".repeat(100_000))]).unwrap();
    }
    store.sync().unwrap();
    rest(&store);
    disk.fail("map", "", ENOMEM);
    assert_eq!(seen(&stream).len(), 299);
    // What is larger than that is refused, with its reason.
    let refused = large.range(..).find_map(Result::err).unwrap();
    assert_eq!(*refused.kind(), ErrorKind::TooManyMappings);
    assert!(refused.is_retryable() && refused.to_string().contains("max_map_count"), "{refused}");
    assert_eq!(*error(try_put(&stream, 400)).kind(), ErrorKind::TooManyMappings);
    disk.heal();
    put(&stream, [400]);
    assert_eq!((seen(&stream).len(), large.range(..).count()), (300, 60));
    store.sync().unwrap();
}

/// Fails if `Stream::with_room` (src/stream/api.rs) does not try again once others rest, or if a
/// failed roll ends the segment.
fn where_no_descriptor_is_left() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let (stream, other) = (store.stream("s").unwrap(), store.stream("other").unwrap());
    put(&stream, 1..20);
    put(&other, 1..20);
    // Nothing is synced: the other one can rest only once it is.
    disk.count(None);
    let used = |disk: &FaultDisk| disk.list(Path::new("/store/streams/1")).len();
    let before = used(&disk);
    disk.fail("create", "", EMFILE);
    let last = (20..300).find(|ms| try_put(&stream, *ms).is_err()).unwrap();
    assert!(!awake(&other));
    assert_eq!(*error(try_put(&stream, last)).kind(), ErrorKind::TooManyFiles);
    // What still fits into the segment goes on, and so do reads and acknowledgements.
    let small = crate::AppendOptions::new().id(id(last));
    stream.append_with([("a", "b")], small).unwrap();
    assert_eq!(seen(&stream).len() as u64, last);
    let group = stream.group("g", crate::Start::First).unwrap();
    let consumer = group.consumer("c").unwrap();
    let delivery = consumer.read(crate::GroupReadOptions::new()).unwrap();
    assert_eq!(delivery.ack_all().unwrap(), last);
    assert_eq!(used(&disk), before);
    disk.heal();
    put(&stream, last + 1..last + 100);
    put(&other, [20]);
    store.sync().unwrap();
    assert_eq!(store.health().poisoned, None);
    assert!(stream.wait_durable_timeout(id(last), Duration::from_secs(1)).is_ok());
}
