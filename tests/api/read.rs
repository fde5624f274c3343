//! Reading on from a position: counts, byte caps, waiting, several streams, tails.

use crate::ground::{error, id, kind, on_both, put, put_all, put_range, texts, waiting};
use std::time::Duration;
use streamlog::{Batch, EntryId, ErrorKind, ReadOptions, Start, Store, Stream, Trim};

fn read(stream: &Stream, from: impl Into<Start>, options: ReadOptions) -> Vec<String> {
    texts(stream.read(from.into(), options).unwrap().ids())
}

fn now() -> ReadOptions {
    ReadOptions::new()
}

fn forever() -> ReadOptions {
    ReadOptions::new().block_forever()
}

#[test]
fn a_read_goes_on_behind_a_position() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        assert_eq!(read(&stream, Start::First, now()), [""; 0]);
        put_all(&stream, &["1-0", "1-18446744073709551615", "2-1"]);
        assert_eq!(read(&stream, Start::First, now()).len(), 3);
        assert_eq!(read(&stream, Start::Last, now()), [""; 0]);
        assert_eq!(read(&stream, EntryId::new(1, u64::MAX), now()), ["2-1"]);
        assert_eq!(read(&stream, id("1-5"), now()).len(), 2);
        assert_eq!(read(&stream, EntryId::MAX, now()), [""; 0]);
        let batch = stream.read(Start::First, now().count(2)).unwrap();
        assert_eq!((batch.len(), batch.is_empty()), (2, false));
        assert_eq!(batch.last_id(), Some(EntryId::new(1, u64::MAX)));
        assert_eq!(batch.iter().next().unwrap().get("id").unwrap(), b"1-0");
        let entries = batch.into_entries();
        assert_eq!(entries[0].get("id").unwrap(), b"1-0");
    });
}

#[test]
fn a_count_of_zero_is_no_limit() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, 10);
        assert_eq!(read(&stream, Start::First, now().count(0)).len(), 10);
        assert_eq!(read(&stream, Start::First, now().count(3)).len(), 3);
        assert_eq!(read(&stream, Start::First, now().count(usize::MAX)).len(), 10);
    });
}

#[test]
fn a_byte_cap_stops_behind_the_entry_that_passes_it() {
    on_both(|store| {
        let (a, b) = (store.stream("a").unwrap(), store.stream("b").unwrap());
        for stream in [&a, &b] {
            for _ in 0..10 {
                stream.append([("v", "x".repeat(100))]).unwrap();
            }
        }
        let count = |bytes| a.read(Start::First, now().bytes(bytes)).unwrap().len();
        assert_eq!(count(1), 1);
        assert_eq!(count(100), 1);
        assert_eq!(count(150), 2);
        assert_eq!(count(0), 10);
        // The cap is over all streams of the call: the second one is left out.
        let both = [(&a, Start::First), (&b, Start::First)];
        let found = store.read(&both, now().bytes(250)).unwrap();
        assert_eq!(sizes(&found), [("a".to_owned(), 3)]);
        let found = store.read(&both, now().bytes(1200)).unwrap();
        assert_eq!(sizes(&found), [("a".to_owned(), 10), ("b".to_owned(), 2)]);
    });
}

fn sizes(found: &[(Stream, Batch)]) -> Vec<(String, usize)> {
    let size = |(stream, batch): &(Stream, Batch)| {
        (String::from_utf8(stream.name()).unwrap(), batch.len())
    };
    found.iter().map(size).collect()
}

#[test]
fn several_streams_answer_in_the_order_of_the_call() {
    on_both(|store| {
        let names = ["a", "b", "c"];
        let [a, b, c] = names.map(|name| store.stream(name).unwrap());
        put_range(&a, 1, 4);
        put_range(&c, 1, 2);
        let from = [
            (&c, Start::First),
            (&b, Start::First),
            (&a, Start::After(id("1-0"))),
            (&c, Start::After(id("1-0"))),
        ];
        let found = store.read(&from, now().count(2)).unwrap();
        let want = [("c", 2), ("a", 2), ("c", 1)];
        assert_eq!(sizes(&found), want.map(|(name, n)| (name.to_owned(), n)));
        let none = store.read(&[(&b, Start::First)], now()).unwrap();
        assert!(none.is_empty());
        assert!(store.read(&[], now()).unwrap().is_empty());
    });
}

#[test]
fn every_waiting_reader_gets_the_same_entry() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put(&stream, "1-0");
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let stream = stream.clone();
                waiting(move || read(&stream, Start::Last, forever()))
            })
            .collect();
        put(&stream, "2-0");
        for reader in readers {
            assert_eq!(reader.join().unwrap(), ["2-0"]);
        }
    });
}

#[test]
fn a_reader_waits_until_an_id_above_its_position_comes() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let reader = {
            let stream = stream.clone();
            waiting(move || read(&stream, EntryId::new(1, u64::MAX), forever()))
        };
        put_all(&stream, &["1-1", "1-18446744073709551615", "2-1"]);
        assert_eq!(reader.join().unwrap(), ["2-1"]);
    });
}

#[test]
fn deleted_entries_satisfy_nobody() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put_all(&stream, &["666-0", "667-0"]);
        stream.delete([id("667-0")]).unwrap();
        let short = now().block(Duration::from_millis(20));
        assert_eq!(read(&stream, id("666-0"), short), [""; 0]);
        let reader = {
            let stream = stream.clone();
            waiting(move || read(&stream, id("666-0"), forever()))
        };
        stream.trim(Trim::max_len(0)).unwrap();
        put(&stream, "668-0");
        assert_eq!(reader.join().unwrap(), ["668-0"]);
    });
}

#[test]
fn a_wait_over_several_streams_ends_with_the_first_that_has_something() {
    on_both(|store| {
        let [a, b] = ["a", "b"].map(|name| store.stream(name).unwrap());
        put(&b, "1-0");
        let reader = {
            let (store, a, b) = (store.clone(), a.clone(), b.clone());
            waiting(move || {
                let from = [(&a, Start::Last), (&b, Start::Last)];
                sizes(&store.read(&from, forever()).unwrap())
            })
        };
        put(&b, "2-0");
        assert_eq!(reader.join().unwrap(), [("b".to_owned(), 1)]);
    });
}

#[test]
fn no_time_does_not_wait_and_unlimited_time_is_legal() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        assert_eq!(read(&stream, Start::First, now().block(Duration::ZERO)), [""; 0]);
        let reader = {
            let stream = stream.clone();
            waiting(move || read(&stream, Start::First, now().block(Duration::MAX)))
        };
        put(&stream, "1-0");
        assert_eq!(reader.join().unwrap(), ["1-0"]);
    });
}

#[test]
fn closing_the_store_ends_every_wait() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let reader = {
            let stream = stream.clone();
            waiting(move || kind(stream.read(Start::First, forever())))
        };
        let mut tail = stream.tail(Start::First).unwrap();
        let tailing = waiting(move || (kind(tail.next().unwrap()), tail.next().is_none()));
        let channel = stream.subscribe(Start::First, 1).unwrap();
        store.clone().close().unwrap();
        assert_eq!(reader.join().unwrap(), ErrorKind::Closed);
        assert_eq!(tailing.join().unwrap(), (ErrorKind::Closed, true));
        assert_eq!(kind(channel.recv().unwrap()), ErrorKind::Closed);
        assert!(channel.recv().is_err());
    });
}

#[test]
fn removing_the_stream_ends_every_wait_on_it() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let reader = {
            let stream = stream.clone();
            waiting(move || kind(stream.read(Start::First, forever())))
        };
        assert!(store.remove("s").unwrap());
        let name = b"s".to_vec();
        assert_eq!(reader.join().unwrap(), ErrorKind::NoStream { name });
    });
}

#[test]
fn a_tail_gives_what_there_is_and_then_what_comes() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, 600);
        let mut tail = stream.tail(Start::After(id("2-0"))).unwrap();
        for n in 3..=600 {
            let entry = tail.next().unwrap().unwrap();
            assert_eq!(entry.id(), EntryId::new(n, 0));
            assert_eq!(entry.get("id").unwrap(), format!("{n}-0").as_bytes());
        }
        assert_eq!(tail.try_next().unwrap(), None);
        let short = Duration::from_millis(5);
        assert_eq!(tail.next_timeout(short).unwrap(), None);
        let thread = waiting(move || (tail.next().unwrap().unwrap().id(), tail));
        put(&stream, "601-0");
        let (found, mut tail) = thread.join().unwrap();
        assert_eq!(found, id("601-0"));
        put_range(&stream, 602, 603);
        assert_eq!(tail.try_next().unwrap().unwrap().id(), id("602-0"));
        assert_eq!(tail.next_timeout(short).unwrap().unwrap().id(), id("603-0"));
        let mut late = stream.tail(Start::Last).unwrap();
        assert_eq!(late.try_next().unwrap(), None);
    });
}

#[test]
fn a_channel_gets_every_entry_in_order() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, 50);
        let channel = stream.subscribe(Start::First, 4).unwrap();
        put_range(&stream, 51, 100);
        for n in 1..=100 {
            let entry = channel.recv().unwrap().unwrap();
            assert_eq!(entry.id(), EntryId::new(n, 0));
        }
        store.remove("s").unwrap();
        let last = error(channel.recv().unwrap());
        assert!(matches!(last.kind(), ErrorKind::NoStream { .. }));
        assert!(channel.recv().is_err());
    });
}

/// Fails if the thread of a channel holds a handle of the store.
#[test]
fn a_channel_that_is_dropped_keeps_no_store_open() {
    let dir = tempfile::tempdir().unwrap();
    for entries in 0..3 {
        let stream = Store::open(dir.path()).unwrap().stream("s").unwrap();
        let channel = stream.subscribe(Start::Last, 1).unwrap();
        let mut other = stream.subscribe(Start::First, 1).unwrap();
        drop(stream);
        // A channel is a handle itself.
        assert!(matches!(error(Store::open(dir.path())).kind(), ErrorKind::Locked { .. }));
        for n in 1..=entries {
            assert_eq!(other.next().unwrap().unwrap().id(), EntryId::new(n, 0));
        }
        drop((channel, other));
        let stream = Store::open(dir.path()).unwrap().stream("s").unwrap();
        put(&stream, &format!("{}-0", entries + 1));
    }
}

#[test]
fn a_stream_of_another_store_can_be_waited_for_alone() {
    let store = Store::in_memory().unwrap();
    let other = Store::in_memory().unwrap();
    let stream = other.stream("s").unwrap();
    put(&stream, "1-0");
    let found = store.read(&[(&stream, Start::First)], now()).unwrap();
    assert_eq!(sizes(&found), [("s".to_owned(), 1)]);
}

#[test]
fn a_subscription_without_a_limit_is_one_with_a_large_channel() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, 3);
        let entries = stream.subscribe(Start::First, usize::MAX).unwrap();
        let ids: Vec<_> = entries.take(3).map(|entry| entry.unwrap().id()).collect();
        assert_eq!(texts(ids), ["1-0", "2-0", "3-0"]);
    });
}
