//! Idempotent producers: what is sent twice is there once, within a window of time and number.

use crate::ground::{error, id, kind, live, on_both, put, put_range};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use streamlog::{
    AppendOptions, Appended, Durability, EntryId, ErrorKind, IdempotencyInfo, IdempotencyWindow,
    Result, Start, Store, Stream, StreamOptions, Trim,
};

fn once(producer: impl AsRef<[u8]>, iid: impl AsRef<[u8]>) -> AppendOptions {
    AppendOptions::new().idempotent(producer, iid)
}

/// Sends under an iid, and returns whether that was new.
fn send(stream: &Stream, producer: &str, iid: &str) -> Result<Appended> {
    stream.append_outcome([("iid", iid)], once(producer, iid))
}

fn is_new(stream: &Stream, producer: &str, iid: &str) -> bool {
    !send(stream, producer, iid).unwrap().duplicate
}

fn info(stream: &Stream) -> IdempotencyInfo {
    stream.info().unwrap().idempotency
}

/// Producers, iids, added, duplicates.
fn counts(stream: &Stream) -> [u64; 4] {
    let IdempotencyInfo { producers, iids, added, duplicates, .. } = info(stream);
    [producers, iids, added, duplicates]
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// Fails if the fields of the duplicate are looked at, or if it is appended after all.
#[test]
fn a_duplicate_gets_the_id_of_the_first_and_is_not_appended() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let first = stream.append_with([("a", "1")], once("p", "x")).unwrap();
        let again = stream.append_outcome([("other", "2")], once("p", "x")).unwrap();
        assert_eq!((again.id, again.duplicate), (first, true));
        assert_eq!(stream.len().unwrap(), 1);
        assert_eq!(stream.get(first).unwrap().unwrap().get("a"), Some(&b"1"[..]));
        let other = stream.append_outcome([("a", "1")], once("p", "y")).unwrap();
        assert!(other.id > first && !other.duplicate);
        assert_eq!(counts(&stream), [1, 2, 2, 1]);
        let plain = stream.append_outcome([("a", "1")], AppendOptions::new()).unwrap();
        assert!(!plain.duplicate);
    });
}

#[test]
fn the_first_is_answered_after_it_was_deleted_or_trimmed() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let deleted = send(&stream, "p", "x").unwrap().id;
        stream.delete([deleted]).unwrap();
        let trimmed = send(&stream, "p", "y").unwrap().id;
        stream.trim(Trim::max_len(0)).unwrap();
        assert_eq!(send(&stream, "p", "x").unwrap().id, deleted);
        assert_eq!(send(&stream, "p", "y").unwrap().id, trimmed);
        assert!(stream.is_empty().unwrap());
    });
}

#[test]
fn producers_do_not_see_each_other() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        for producer in ["p", "q", "P", "p\0", "\u{fc}"] {
            assert!(is_new(&stream, producer, "x"), "{producer:?}");
        }
        assert!(!is_new(&stream, "q", "x"));
        let other = store.stream("t").unwrap();
        assert!(is_new(&other, "p", "x"));
        assert_eq!(counts(&stream), [5, 5, 5, 1]);
    });
}

/// What a name and a value could be taken for by mistake, and what is long.
#[test]
fn any_bytes_are_an_iid() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let long = "x".repeat(64 << 10);
        let all = ["*", "+", "-", "$", "IDMP", "123-456", "a\0b", "a\0", "a", &long, &long[1..]];
        for iid in all {
            assert!(is_new(&stream, &long, iid));
        }
        for iid in all {
            assert!(!is_new(&stream, &long, iid));
        }
    });
}

#[test]
fn an_empty_or_a_huge_name_is_refused() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let huge = "x".repeat(1 << 20);
        for (producer, iid, argument) in
            [("", "x", "producer ID"), ("p", "", "idempotent ID"), ("p", &huge, "idempotent ID")]
        {
            let sent = send(&stream, producer, iid);
            assert!(
                matches!(kind(sent), ErrorKind::InvalidArgument { argument: a, .. } if a == argument)
            );
            let recorded = stream.record_idempotency(producer, iid, id("1-0"));
            assert!(matches!(
                kind(recorded),
                ErrorKind::InvalidArgument { argument: a, .. } if a == argument
            ));
        }
        let auto = AppendOptions::new().idempotent_auto("");
        assert!(stream.append_with([("a", "b")], auto).is_err());
        assert_eq!(counts(&stream), [0; 4]);
        assert!(stream.is_empty().unwrap());
    });
}

#[test]
fn the_iid_that_follows_from_fields_does_not_depend_on_their_order() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let auto = || AppendOptions::new().idempotent_auto("p");
        let new = |fields: &[(&str, &str)]| {
            !stream.append_outcome(fields.iter().copied(), auto()).unwrap().duplicate
        };
        assert!(new(&[("a", "1"), ("b", "2")]));
        assert!(!new(&[("b", "2"), ("a", "1")]));
        assert!(new(&[("a", "2"), ("b", "1")]));
        assert!(new(&[("a", "1")]));
        assert!(new(&[("a", "")]));
        assert!(!new(&[("a", "")]));
        assert!(new(&[("A", "1")]));
        let long = "v".repeat(10_000);
        assert!(new(&[("a", &long)]));
        assert!(!new(&[("a", &long)]));
        // They share the table with those that are given.
        assert_eq!(counts(&stream), [1, 6, 6, 3]);
    });
}

#[test]
fn a_duplicate_trims_nothing() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, 5);
        let first = stream.append_with([("a", "b")], once("p", "x").trim(Trim::max_len(4)));
        assert_eq!(stream.len().unwrap(), 4);
        let again = stream.append_with([("a", "b")], once("p", "x").trim(Trim::max_len(1)));
        assert_eq!(again.unwrap(), first.unwrap());
        assert_eq!(stream.len().unwrap(), 4);
        let all = once("p", "y").trim(Trim::max_len(0));
        let gone = stream.append_outcome([("a", "b")], all.clone()).unwrap();
        assert_eq!(live(&stream), [""; 0]);
        assert_eq!(stream.append_with([("a", "b")], all).unwrap(), gone.id);
    });
}

/// Fails if a look keeps an iid, or if the wrong end goes.
#[test]
fn the_oldest_go_when_there_are_too_many() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        stream.set_idempotency(None, Some(3)).unwrap();
        for iid in ["1", "2", "3"] {
            assert!(is_new(&stream, "p", iid));
        }
        // It was asked for last, and goes first all the same.
        assert!(!is_new(&stream, "p", "1"));
        assert!(is_new(&stream, "p", "4"));
        assert_eq!(counts(&stream), [1, 3, 4, 1]);
        assert!(is_new(&stream, "p", "1"));
        assert!(is_new(&stream, "p", "2"));
        assert!(!is_new(&stream, "p", "4"));
        assert!(!is_new(&stream, "p", "1"));
        assert_eq!(stream.len().unwrap(), 6);
        // Another producer's window is its own.
        assert!(is_new(&stream, "q", "4"));
        assert!(!is_new(&stream, "p", "4"));
        assert_eq!(counts(&stream), [2, 4, 7, 4]);
    });
}

#[test]
fn of_a_hundred_the_last_eight_are_known_where_eight_are_remembered() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        stream.set_idempotency(None, Some(8)).unwrap();
        let iids: Vec<String> = (1..=100).map(|n| n.to_string()).collect();
        assert!(iids.iter().all(|iid| is_new(&stream, "p", iid)));
        assert!(iids[92..].iter().all(|iid| !is_new(&stream, "p", iid)));
        assert!(iids[..92].iter().all(|iid| is_new(&stream, "p", iid)));
        assert_eq!(stream.len().unwrap(), 192);
        assert_eq!(counts(&stream), [1, 8, 192, 8]);
    });
}

/// By the ID's time and not by that of the call: the entries here say when they came.
#[test]
fn an_iid_is_forgotten_when_the_time_of_its_entry_is_too_long_ago() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let old = EntryId::new(now_ms() - 100_000, 0);
        stream.append_with([("a", "b")], once("p", "old").id(old)).unwrap();
        assert_eq!(counts(&stream), [0, 0, 1, 0]);
        let young = EntryId::new(now_ms() - 40_000, 0);
        stream.append_with([("a", "b")], once("p", "young").id(young)).unwrap();
        assert_eq!(counts(&stream), [1, 1, 2, 0]);
        assert!(!is_new(&stream, "p", "young"));
        assert!(is_new(&stream, "p", "old"));
        // Whether or not anybody has asked what there is.
        let other = store.stream("t").unwrap();
        for seq in 0..2 {
            let options = once("p", "x").id(EntryId::new(old.ms, seq));
            assert!(!other.append_outcome([("a", "b")], options).unwrap().duplicate);
        }
        // One that is too old stays as long as one stands in front of it that is not.
        stream.record_idempotency("q", "young", young).unwrap();
        stream.record_idempotency("q", "old", old).unwrap();
        assert_eq!(counts(&stream), [2, 4, 5, 1]);
        assert!(!is_new(&stream, "q", "old"));
    });
}

#[test]
fn time_passes_for_what_is_remembered() {
    let store = Store::in_memory().unwrap();
    let stream = store.stream("s").unwrap();
    stream.set_idempotency(Some(seconds(1)), None).unwrap();
    let first = send(&stream, "p", "x").unwrap().id;
    assert!(!is_new(&stream, "p", "x"));
    while now_ms() < first.ms + 1000 {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(counts(&stream), [0, 0, 1, 1]);
    assert!(is_new(&stream, "p", "x"));
    assert_eq!(counts(&stream), [1, 1, 2, 1]);
}

#[test]
fn a_window_that_changes_forgets_and_one_that_does_not_keeps() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let window = IdempotencyWindow::new();
        assert_eq!(stream.idempotency().unwrap(), window);
        assert_eq!((window.duration, window.max_iids), (seconds(100), 100));
        let same = || stream.set_idempotency(Some(seconds(100)), Some(100)).unwrap();
        same();
        for producer in ["p", "q"] {
            assert!(is_new(&stream, producer, "x"));
        }
        same();
        stream.set_idempotency(Some(seconds(100)), None).unwrap();
        stream.set_idempotency(None, Some(100)).unwrap();
        assert!(!is_new(&stream, "p", "x"));
        assert_eq!(counts(&stream), [2, 2, 2, 1]);
        stream.set_idempotency(Some(seconds(200)), Some(100)).unwrap();
        assert_eq!(counts(&stream), [0, 0, 2, 1]);
        assert_eq!(stream.len().unwrap(), 2);
        assert!(is_new(&stream, "p", "x"));
        assert!(!is_new(&stream, "p", "x"));
        stream.set_idempotency(None, Some(99)).unwrap();
        assert!(is_new(&stream, "p", "x"));
        assert_eq!(info(&stream).window, window.duration(seconds(200)).max_iids(99));
    });
}

#[test]
fn a_window_out_of_bounds_is_refused_and_changes_nothing() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        assert!(is_new(&stream, "p", "x"));
        for (duration, max) in [
            (Some(seconds(0)), None),
            (Some(seconds(86_401)), None),
            (Some(Duration::from_millis(1500)), None),
            (None, Some(0)),
            (None, Some(10_001)),
            (Some(seconds(5)), Some(0)),
        ] {
            let set = kind(stream.set_idempotency(duration, max));
            assert!(matches!(set, ErrorKind::InvalidConfig { .. }), "{duration:?} {max:?}");
        }
        assert!(matches!(
            kind(stream.set_idempotency(None, None)),
            ErrorKind::InvalidArgument { .. }
        ));
        assert!(!is_new(&stream, "p", "x"));
        for (duration, max) in [(seconds(1), 1), (seconds(86_400), 10_000)] {
            stream.set_idempotency(Some(duration), Some(max)).unwrap();
            let window = stream.idempotency().unwrap();
            assert_eq!((window.duration, window.max_iids), (duration, max));
        }
    });
}

#[test]
fn a_new_stream_takes_the_window_that_is_the_store_s() {
    let dir = tempfile::tempdir().unwrap();
    let window = IdempotencyWindow::new().duration(seconds(7)).max_iids(3);
    {
        let store = Store::open(dir.path()).unwrap();
        store.stream("before").unwrap();
        store.set_default_idempotency(window).unwrap();
        assert_eq!(store.default_idempotency(), window);
        store.stream("after").unwrap();
        let refused = store.set_default_idempotency(window.max_iids(0));
        assert!(matches!(kind(refused), ErrorKind::InvalidConfig { .. }));
        store.close().unwrap();
    }
    let options = Store::options().idempotency(window.max_iids(4));
    let store = options.open(dir.path()).unwrap();
    let of = |name: &str| store.stream(name).unwrap().idempotency().unwrap();
    assert_eq!(of("before"), IdempotencyWindow::new());
    assert_eq!(of("after"), window);
    assert_eq!(of("new"), window.max_iids(4));
    assert!(Store::options().idempotency(window.max_iids(0)).open_in_memory().is_err());
}

#[test]
fn an_iid_is_attached_to_an_entry_that_is_there() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let stamp = |n| EntryId::new(now_ms(), n);
        let first = stream.append_with([("a", "b")], AppendOptions::new().id(stamp(0))).unwrap();
        stream.record_idempotency("p", "x", first).unwrap();
        assert_eq!(counts(&stream), [1, 1, 1, 0]);
        assert_eq!(send(&stream, "p", "x").unwrap().id, first);
        // The same once more, and under other names.
        stream.record_idempotency("p", "x", first).unwrap();
        stream.record_idempotency("p", "y", first).unwrap();
        stream.record_idempotency("q", "x", first).unwrap();
        assert_eq!(counts(&stream), [2, 3, 3, 1]);
        let second = send(&stream, "p", "z").unwrap().id;
        let taken = error(stream.record_idempotency("p", "x", second));
        assert_eq!(*taken.kind(), ErrorKind::IidTaken { id: first });
        stream.delete([second]).unwrap();
        for gone in [second, id("1-0")] {
            let missing = kind(stream.record_idempotency("r", "x", gone));
            assert_eq!(missing, ErrorKind::NoEntry { id: gone });
        }
        // The oldest goes as with appends.
        stream.set_idempotency(None, Some(2)).unwrap();
        for iid in ["1", "2", "3"] {
            stream.record_idempotency("p", iid, first).unwrap();
        }
        assert!(!is_new(&stream, "p", "3"));
        assert!(!is_new(&stream, "p", "2"));
        assert!(is_new(&stream, "p", "1"));
    });
}

#[test]
fn a_ticket_stands_for_the_first_and_says_so() {
    for level in [Durability::Manual, Durability::Always] {
        let store = Store::options().durability(level).open_in_memory().unwrap();
        let stream = store.stream("s").unwrap();
        let first = stream.append_async_with([("a", "b")], once("p", "x")).unwrap();
        let again = stream.append_async_with([("a", "c")], once("p", "x")).unwrap();
        assert!(!first.is_duplicate() && again.is_duplicate());
        assert_eq!(first.id(), again.id());
        again.wait().unwrap();
        assert!(first.is_durable());
        assert_eq!(stream.len().unwrap(), 1);
    }
}

#[test]
fn names_come_and_go_with_the_stream() {
    on_both(|store| {
        let old = store.stream("old").unwrap();
        let first = send(&old, "p", "x").unwrap().id;
        store.rename("old", "new").unwrap();
        assert_eq!(send(&store.stream("new").unwrap(), "p", "x").unwrap().id, first);
        assert!(is_new(&store.stream("old").unwrap(), "p", "x"));
        // A copy has what there was, and each goes on by itself.
        assert!(is_new(&store.stream("copy").unwrap(), "p", "other"));
        assert!(store.copy("new", "copy", true).unwrap());
        let copy = store.stream("copy").unwrap();
        assert_eq!(counts(&copy), [1, 1, 1, 1]);
        assert_eq!(send(&copy, "p", "x").unwrap().id, first);
        assert!(is_new(&copy, "p", "other"));
        assert!(is_new(&store.stream("new").unwrap(), "p", "other"));
        assert!(store.remove("copy").unwrap());
        assert_eq!(counts(&store.stream("copy").unwrap()), [0; 4]);
        // What a stream is renamed onto is gone.
        store.rename("new", "old").unwrap();
        assert_eq!(counts(&store.stream("old").unwrap()), [1, 2, 2, 1]);
    });
}

#[test]
fn of_those_who_send_the_same_at_once_one_appends() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let send_all = || {
            let sent = (0..50).map(|n| send(&stream, "p", &n.to_string()).unwrap());
            sent.filter(|sent| !sent.duplicate).count()
        };
        let new: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(send_all)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((new, stream.len().unwrap()), (50, 50));
        assert_eq!(counts(&stream), [1, 50, 50, 150]);
    });
}

/// Whoever wants it on disk gets that for what was sent before, too.
#[test]
fn a_duplicate_that_is_to_be_durable_waits_for_the_first() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        assert!(is_new(&stream, "p", "on disk"));
        store.sync().unwrap();
        let first = send(&stream, "p", "x").unwrap().id;
        assert!(!is_new(&stream, "p", "x"));
        assert!(stream.durable_id().unwrap() < first);
        stream.append_with([("a", "b")], once("p", "x").durable()).unwrap();
        assert_eq!(stream.durable_id().unwrap(), first);
    });
}

/// Readers under `Always` see the entry when it is durable, and so does who sends it again.
#[test]
fn a_duplicate_waits_for_the_first_under_always() {
    let options = Store::options().durability(Durability::Always);
    let store = options.open_in_memory().unwrap();
    let stream = store.stream("s").unwrap();
    let first = stream.append_async_with([("a", "b")], once("p", "x")).unwrap();
    let again = send(&stream, "p", "x").unwrap();
    assert!(again.duplicate && first.is_durable());
    assert_eq!(stream.read(Start::First, Default::default()).unwrap().len(), 1);
}

/// With small segments the frames of what is remembered are long gone.
#[test]
fn many_segments_come_and_go() {
    on_both(|store| {
        let options = StreamOptions::new().segment_bytes(4096);
        let stream = store.stream_with("s", options).unwrap();
        for n in 0..300 {
            let all = once("p", n.to_string()).trim(Trim::max_len(10));
            stream.append_with([("pad", "x".repeat(100))], all).unwrap();
        }
        assert!((200..300).all(|n| !is_new(&stream, "p", &n.to_string())));
        assert!(is_new(&stream, "p", "199"));
        put(&stream, "99999999999999-0");
    });
}

/// What is done between an opening and the closing behind it.
type Life<'a> = &'a dyn Fn(&Store, &Stream);

/// Opens the store in a directory, uses a stream, and closes it, once for each step.
fn lives(options: &StreamOptions, steps: &[Life<'_>]) {
    let dir = tempfile::tempdir().unwrap();
    for step in steps {
        let store = Store::options().durability(Durability::Manual).open(dir.path()).unwrap();
        step(&store, &store.stream_with("s", options.clone()).unwrap());
        store.close().unwrap();
    }
}

#[test]
fn all_of_it_survives_a_restart() {
    lives(
        &StreamOptions::new(),
        &[
            &|_, stream| {
                stream.set_idempotency(Some(seconds(1000)), Some(3)).unwrap();
                for iid in ["1", "2", "3", "4"] {
                    assert!(is_new(stream, "p", iid));
                }
                assert!(!is_new(stream, "p", "4"));
                stream.append_with([("a", "b")], once("q", "x").trim(Trim::max_len(0))).unwrap();
                let auto = AppendOptions::new().idempotent_auto("auto");
                stream.append_with([("a", "b"), ("c", "d")], auto).unwrap();
            },
            &|_, stream| {
                assert_eq!(counts(stream), [3, 5, 6, 1]);
                assert_eq!(info(stream).window.duration, seconds(1000));
                assert!(!is_new(stream, "q", "x"));
                let auto = AppendOptions::new().idempotent_auto("auto");
                let again = stream.append_outcome([("c", "d"), ("a", "b")], auto).unwrap();
                assert!(again.duplicate);
                // The oldest goes next, as before.
                assert!(is_new(stream, "p", "5"));
                assert!(is_new(stream, "p", "2"));
                assert!(!is_new(stream, "p", "4"));
            },
            &|_, stream| assert_eq!(counts(stream), [3, 5, 8, 4]),
            &|_, stream| assert_eq!(counts(stream), [3, 5, 8, 4]),
        ],
    );
}

#[test]
fn what_is_remembered_goes_on_to_grow_old_over_a_restart() {
    let options = StreamOptions::new();
    lives(
        &options,
        &[
            &|_, stream| {
                stream.set_idempotency(Some(seconds(1)), None).unwrap();
                assert!(is_new(stream, "p", "x"));
            },
            &|_, stream| {
                std::thread::sleep(Duration::from_millis(1010));
                assert_eq!(counts(stream), [0, 0, 1, 0]);
                assert!(is_new(stream, "p", "x"));
            },
        ],
    );
}

/// The segments with the frames are gone, by a trim or because the last ID was set back.
#[test]
fn what_is_remembered_outlasts_the_segments() {
    let options = StreamOptions::new().segment_bytes(4096);
    let send_many = |stream: &Stream, from: u32| {
        for n in from..from + 100 {
            let fields = [("pad", "x".repeat(100))];
            let id = EntryId::new(5_000_000_000_000, 1 + u64::from(n));
            stream.append_with(fields, once("p", n.to_string()).id(id)).unwrap();
        }
    };
    let all_known = |stream: &Stream, from: u32| {
        (from..from + 100).all(|n| !is_new(stream, "p", &n.to_string()))
    };
    let drop_segments = |store: &Store, stream: &Stream| {
        store.sync().unwrap();
        // The background removes them some time.
        for _ in 0..500 {
            if stream.info().unwrap().segments <= 2 {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{:?}", stream.info().unwrap());
    };
    lives(
        &options,
        &[
            &|store, stream| {
                send_many(stream, 0);
                stream.trim(Trim::max_len(0)).unwrap();
                drop_segments(store, stream);
            },
            &|store, stream| {
                assert!(all_known(stream, 0));
                send_many(stream, 100);
                stream.trim(Trim::max_len(0)).unwrap();
                stream.set_id(EntryId::new(4_000_000_000_000, 0), None, None).unwrap();
                drop_segments(store, stream);
                assert!(all_known(stream, 100));
            },
            &|_, stream| {
                assert_eq!(counts(stream), [1, 100, 200, 200]);
                assert!(all_known(stream, 100));
                assert!(is_new(stream, "p", "99"));
                assert_eq!(live(stream).len(), 1);
                assert!(live(stream)[0].as_str() < "5");
            },
        ],
    );
}

#[test]
fn a_copy_and_another_name_survive_a_restart() {
    lives(
        &StreamOptions::new(),
        &[
            &|store, stream| {
                assert!(is_new(stream, "p", "x"));
                stream.record_idempotency("q", "y", stream.info().unwrap().last_id).unwrap();
                assert!(store.copy("s", "copy", false).unwrap());
                let copy = store.stream("copy").unwrap();
                assert!(is_new(&copy, "p", "z"));
                store.rename("s", "renamed").unwrap();
            },
            &|store, stream| {
                assert_eq!(counts(stream), [0; 4]);
                let (copy, renamed) =
                    (store.stream("copy").unwrap(), store.stream("renamed").unwrap());
                assert_eq!(counts(&copy), [2, 3, 3, 0]);
                assert!(["x", "z"].iter().all(|iid| !is_new(&copy, "p", iid)));
                assert!(!is_new(&copy, "q", "y"));
                assert_eq!(counts(&renamed), [2, 2, 2, 0]);
                assert!(!is_new(&renamed, "p", "x"));
            },
        ],
    );
}

#[test]
fn a_reader_sees_it_and_a_healthy_store_stays_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let stream = store.stream("s").unwrap();
    assert!(is_new(&stream, "p", "x"));
    assert!(!is_new(&stream, "p", "x"));
    store.close().unwrap();
    let reader = Store::open_read_only(dir.path()).unwrap();
    let stream = reader.stream("s").unwrap();
    assert_eq!(counts(&stream), [1, 1, 1, 1]);
    assert_eq!(kind(send(&stream, "p", "x")), ErrorKind::ReadOnly);
    assert_eq!(kind(stream.set_idempotency(None, Some(1))), ErrorKind::ReadOnly);
    assert_eq!(kind(stream.record_idempotency("p", "x", id("1-0"))), ErrorKind::ReadOnly);
    assert!(reader.verify().unwrap().is_whole());
}
