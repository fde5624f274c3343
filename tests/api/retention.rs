//! What a stream keeps by itself.

use crate::ground::{id, live, on_both_with, put, put_range};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};
use streamlog::{
    AppendOptions, Durability, EntryId, GroupReadOptions, Retention, Start, Store, StoreOptions,
    Stream, StreamOptions, Trim,
};

/// Nothing in these scenarios is beyond a limit before they say so, whatever the background does.
fn options() -> StoreOptions {
    let small = StreamOptions::new().segment_bytes(4096).max_entry_bytes(1000).block_entries(10);
    Store::options().durability(Durability::Manual).stream_defaults(small)
}

fn on_both(scenario: impl Fn(&Store)) {
    on_both_with(&options(), scenario);
}

fn keep(stream: &Stream, retention: Retention) -> u64 {
    stream.set_retention(retention).unwrap();
    let before = stream.len().unwrap();
    let removed = stream.enforce_retention().unwrap();
    // The background may have been faster.
    assert!(removed <= before);
    assert_eq!(stream.enforce_retention().unwrap(), 0);
    before - stream.len().unwrap()
}

fn first_ms(stream: &Stream) -> u64 {
    stream.info().unwrap().first_id.ms
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

#[test]
fn lengths_and_ids_are_kept_to_exactly() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, 100);
        stream.delete([id("95-0")]).unwrap();
        assert_eq!(stream.enforce_retention().unwrap(), 0);
        keep(&stream, Retention::new().max_len(40));
        assert_eq!((first_ms(&stream), stream.len().unwrap()), (60, 40));
        keep(&stream, Retention::new().min_id(id("70-1")));
        assert_eq!((first_ms(&stream), stream.len().unwrap()), (71, 29));
        keep(&stream, Retention::new().min_id(id("72-0")).max_len(27));
        assert_eq!(live(&stream).first().unwrap(), "73-0");
        // What went does not come back.
        keep(&stream, Retention::new());
        assert_eq!(stream.len().unwrap(), 27);
        keep(&stream, Retention::new().max_len(0));
        assert!(stream.is_empty().unwrap());
        assert_eq!(put(&stream, "101-0"), id("101-0"));
        assert_eq!(stream.info().unwrap().entries_added, 101);
    });
}

#[test]
fn ages_are_those_of_the_ids() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let minutes = |minutes: u64| now_ms() - minutes * 60_000;
        for ago in [300, 200, 90, 20] {
            let id = AppendOptions::new().id(EntryId::new(minutes(ago), 0));
            stream.append_with([("minutes", ago.to_string())], id).unwrap();
        }
        let hours = |hours: u64| Retention::new().max_age(Duration::from_secs(hours * 3600));
        assert_eq!(keep(&stream, hours(24)), 0);
        keep(&stream, hours(4));
        assert_eq!(stream.len().unwrap(), 3);
        keep(&stream, hours(1));
        assert_eq!(stream.range(..).next().unwrap().unwrap().get("minutes"), Some(&b"20"[..]));
        assert_eq!(stream.len().unwrap(), 1);
    });
}

#[test]
fn bytes_are_kept_to_by_whole_segments() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, 1_000);
        let (before, most) = (stream.info().unwrap(), 10_000);
        assert!(before.bytes > 2 * most);
        keep(&stream, Retention::new().max_bytes(most));
        // The files go in the background.
        let start = Instant::now();
        while stream.info().unwrap().bytes > most {
            assert!(start.elapsed() < Duration::from_secs(60), "{:?}", stream.info());
            std::thread::sleep(Duration::from_millis(1));
        }
        let left = stream.len().unwrap();
        assert!(left > 0 && left < 1_000);
        // The segment that is written to stays, however large it is.
        keep(&stream, Retention::new().max_bytes(1));
        assert!(!stream.is_empty().unwrap());
    });
}

#[test]
fn the_background_keeps_to_it() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let group = stream.create_group("g", Start::First).unwrap();
        let until = |what: &str, there: &dyn Fn() -> bool| {
            let start = Instant::now();
            while !there() {
                assert!(start.elapsed() < Duration::from_secs(60), "never: {what}");
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        stream.set_retention(Retention::new().max_len(10)).unwrap();
        for _ in 0..2 {
            for _ in 0..50 {
                stream.append([("a", "b")]).unwrap();
            }
            until("length", &|| stream.len().unwrap() == 10);
        }
        // An acknowledgement lets go of what a limit had no say over.
        stream.set_retention(Retention::new().max_len(0).keep_unacked()).unwrap();
        let delivery = group.consumer("c").unwrap().read(GroupReadOptions::new()).unwrap();
        delivery.ack_all().unwrap();
        until("acknowledged", &|| stream.is_empty().unwrap());
        // Nobody calls anything while entries grow too old.
        let stream = store.stream("aging").unwrap();
        stream.set_retention(Retention::new().max_age(Duration::from_millis(150))).unwrap();
        stream.append([("a", "b")]).unwrap();
        until("age", &|| stream.is_empty().unwrap());
    });
}

#[test]
fn what_groups_have_not_done_with_stays() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, 100);
        let group = stream.create_group("g", Start::First).unwrap();
        let consumer = group.consumer("c").unwrap();
        stream.set_retention(Retention::new().keep_unacked().max_len(20)).unwrap();
        assert_eq!(stream.enforce_retention().unwrap(), 0);
        assert_eq!(stream.trim(Trim::max_len(0)).unwrap(), 0);
        stream.set_retention(Retention::new().keep_unacked()).unwrap();
        let delivery = consumer.read(GroupReadOptions::new().count(50)).unwrap();
        assert_eq!(stream.trim(Trim::max_len(0)).unwrap(), 0);
        group.ack(delivery.ids().take(35)).unwrap();
        // By whole blocks, and none that is held back in part.
        let trim = Trim::min_id(EntryId::MAX).approximate();
        assert_eq!(stream.trim(trim).unwrap(), 30);
        assert_eq!(stream.trim(Trim::max_len(60)).unwrap(), 5);
        assert_eq!(first_ms(&stream), 36);
        let options = AppendOptions::new().trim(Trim::max_len(1));
        stream.append_with([("a", "b")], options).unwrap();
        assert_eq!((first_ms(&stream), stream.len().unwrap()), (36, 66));
        // A deletion is not held back, and no acknowledgement reaches further than it says.
        assert_eq!(stream.delete([id("36-0"), id("37-0")]).unwrap(), 2);
        group.ack([id("39-0")]).unwrap();
        assert_eq!(stream.trim(Trim::max_len(1)).unwrap(), 0);
        assert_eq!(first_ms(&stream), 38);
        group.ack(delivery.ids()).unwrap();
        stream.append_with([("a", "b")], AppendOptions::new().trim(Trim::max_len(1))).unwrap();
        assert_eq!(first_ms(&stream), 51);
        assert!(stream.remove_group("g").unwrap());
        stream.append_with([("a", "b")], AppendOptions::new().trim(Trim::max_len(1))).unwrap();
        assert_eq!(stream.len().unwrap(), 1);
    });
}

fn open(dir: &Path) -> Store {
    options().open(dir).unwrap()
}

#[test]
fn it_is_stored_with_the_stream() {
    let dir = tempfile::tempdir().unwrap();
    let all = Retention::new()
        .max_len(50)
        .min_id(id("3-7"))
        .max_age(Duration::from_secs(1 << 40))
        .max_bytes(1 << 30)
        .keep_unacked();
    let store = open(dir.path());
    let stream = store.stream_with("s", StreamOptions::new().retention(all)).unwrap();
    assert_eq!(stream.retention().unwrap(), all);
    assert_eq!(store.stream("other").unwrap().retention().unwrap(), Retention::new());
    stream.create_group("g", Start::First).unwrap();
    put_range(&stream, 1, 200);
    store.close().unwrap();
    for round in 0..3 {
        let store = open(dir.path());
        let stream = store.stream("s").unwrap();
        assert_eq!(stream.retention().unwrap(), all);
        // Other options leave it as it is.
        stream.set_options(&StreamOptions::new().segment_bytes(8192 << round)).unwrap();
        assert_eq!(stream.retention().unwrap(), all);
        assert_eq!(stream.len().unwrap(), 200);
        store.close().unwrap();
    }
    let store = open(dir.path());
    let stream = store.stream("s").unwrap();
    stream.set_options(&StreamOptions::new().retention(all.max_len(120))).unwrap();
    assert!(store.copy("s", "copy", false).unwrap());
    assert_eq!(store.get("copy").unwrap().unwrap().retention().unwrap(), all.max_len(120));
    assert!(stream.remove_group("g").unwrap());
    store.close().unwrap();
    // What is beyond it goes with the first use.
    let store = open(dir.path());
    let stream = store.stream("s").unwrap();
    assert_eq!((first_ms(&stream), stream.len().unwrap()), (81, 120));
    assert_eq!(store.get("copy").unwrap().unwrap().len().unwrap(), 200);
}

/// Fails if a trim that goes only over dead entries is dropped (`Live::comes_closer`,
/// src/storage/live.rs): it is asked of so many of them at a time.
#[test]
fn pending_entries_that_are_gone_hold_nothing_back() {
    on_both(|store| {
        for by_limit in [false, true] {
            let name = if by_limit { "limit" } else { "trim" };
            // One segment: one that is dead as a whole goes anyhow.
            let stream = store.stream_with(name, StreamOptions::new()).unwrap();
            let consumer = stream.create_group("g", Start::First).unwrap().consumer("c").unwrap();
            put_range(&stream, 1, 2_500);
            let gone = consumer.read(GroupReadOptions::new()).unwrap();
            let ids: Vec<_> = gone.iter().map(|entry| entry.id()).collect();
            assert_eq!(stream.delete(ids).unwrap(), 2_500);
            put_range(&stream, 3_001, 3_010);
            consumer.read(GroupReadOptions::new()).unwrap().ack_all().unwrap();
            put_range(&stream, 4_001, 4_002);
            let keep = Retention::new().keep_unacked();
            if by_limit {
                stream.set_retention(keep.max_len(0)).unwrap();
                stream.enforce_retention().unwrap();
            } else {
                stream.set_retention(keep).unwrap();
                assert_eq!(stream.trim(Trim::max_len(0)).unwrap(), 10);
            }
            let left: Vec<_> = stream.range(..).map(|entry| entry.unwrap().id().ms).collect();
            assert_eq!(left, [4_001, 4_002]);
        }
    });
}
