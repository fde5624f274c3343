//! Levels, syncs, and waiting for the disk.

use crate::ground::{kind, live, on_both, on_both_with, put, put_range};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use streamlog::{AppendOptions, Durability, EntryId, ErrorKind, NewEntries, Store, StreamOptions};

/// Longer than any sync takes; what is not durable by then never is.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn under_manual_only_a_sync_makes_durable() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        assert_eq!(stream.durable_id().unwrap(), EntryId::MIN);
        put_range(&stream, 1, 10);
        assert_eq!(stream.durable_id().unwrap(), EntryId::MIN);
        assert!(store.health().unsynced_bytes > 0);
        assert_eq!(stream.sync().unwrap(), EntryId::new(10, 0));
        assert_eq!(stream.durable_id().unwrap(), EntryId::new(10, 0));
        assert_eq!(store.health().unsynced_bytes, 0);
        put_range(&stream, 11, 12);
        assert_eq!(stream.durable_id().unwrap(), EntryId::new(10, 0));
        store.sync().unwrap();
        assert_eq!(stream.durable_id().unwrap(), EntryId::new(12, 0));
    });
}

#[test]
fn a_durable_append_makes_all_before_it_durable_too() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, 10);
        let options = AppendOptions::new().durable().id(EntryId::new(11, 0));
        stream.append_with([("a", "b")], options).unwrap();
        assert_eq!(stream.durable_id().unwrap(), EntryId::new(11, 0));
    });
}

/// Fails if `Stream::durable_id` (src/stream/durable.rs) takes the end of the log from a later
/// moment than the one when all of it was durable: in about every second run on a busy machine, as
/// two threads have to meet.
#[test]
fn no_entry_is_called_durable_before_its_sync_has_begun() {
    let store = Store::options().durability(Durability::Manual).open_in_memory().unwrap();
    let stream = store.stream("s").unwrap();
    let (begun, over) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for round in 1..=20_000 {
                put_range(&stream, round * 10 - 9, round * 10);
                begun.store(round * 10, Ordering::SeqCst);
                stream.sync().unwrap();
                // Long enough for the other thread to find all durable, and not always as long.
                (0..round % 997).for_each(|_| std::hint::spin_loop());
            }
            over.store(true, Ordering::SeqCst);
        });
        while !over.load(Ordering::SeqCst) {
            let durable = stream.durable_id().unwrap().ms;
            let begun = begun.load(Ordering::SeqCst);
            assert!(durable <= begun, "{durable} is durable, and {begun} is the last of a sync");
        }
    });
    assert_eq!(stream.durable_id().unwrap(), EntryId::new(200_000, 0));
}

#[test]
fn waiting_for_an_entry_syncs_it() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, 10);
        stream.wait_durable(EntryId::new(4, 0)).unwrap();
        assert!(stream.durable_id().unwrap() >= EntryId::new(4, 0));
        // An ID that nothing has yet: what there is becomes durable.
        stream.wait_durable(EntryId::MAX).unwrap();
        assert_eq!(stream.durable_id().unwrap(), EntryId::new(10, 0));
    });
}

#[test]
fn a_wait_with_a_time_limit_ends_with_it() {
    let never =
        Durability::Interval { every: Duration::from_secs(3600), max_unsynced_bytes: 1 << 30 };
    on_both_with(&Store::options().durability(never), |store| {
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, 3);
        stream.sync().unwrap();
        let short = Duration::from_millis(1);
        stream.wait_durable_timeout(EntryId::new(3, 0), short).unwrap();
        let long = Duration::from_secs(3600);
        put(&stream, "4-0");
        // The background thread is asked for a sync and does not wait for its interval.
        stream.wait_durable_timeout(EntryId::new(4, 0), long).unwrap();
        assert_eq!(stream.durable_id().unwrap(), EntryId::new(4, 0));
    });
}

/// Fails if the background (`sync_loop`, src/worker.rs) passes over a stream under `Manual` for
/// which somebody waits, or takes the question for a write.
#[test]
fn under_manual_a_wait_with_a_time_limit_is_served_too() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let other = store.stream("other").unwrap();
        for n in 1..=20 {
            put(&stream, &format!("{n}-0"));
            put(&other, &format!("{n}-0"));
            stream.wait_durable_timeout(EntryId::new(n, 0), LONG).unwrap();
            assert_eq!(stream.durable_id().unwrap(), EntryId::new(n, 0));
        }
    });
}

#[test]
fn a_wait_with_no_time_tells_how_it_is() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put(&stream, "1-0");
        // The background is asked all the same, and may be fast.
        match stream.wait_durable_timeout(EntryId::new(1, 0), Duration::ZERO) {
            Ok(()) => assert_eq!(stream.durable_id().unwrap(), EntryId::new(1, 0)),
            Err(error) => assert_eq!(*error.kind(), ErrorKind::TimedOut),
        }
        stream.sync().unwrap();
        let result = stream.wait_durable_timeout(EntryId::new(1, 0), Duration::ZERO);
        assert!(result.is_ok());
    });
}

#[test]
fn under_always_what_returned_is_durable() {
    on_both_with(&Store::options().durability(Durability::Always), |store| {
        let stream = store.stream("s").unwrap();
        for n in 1..=5 {
            put(&stream, &format!("{n}-0"));
            assert_eq!(stream.durable_id().unwrap(), EntryId::new(n, 0));
        }
        let mut batch = NewEntries::new();
        for n in 6..=9 {
            batch.push_with(EntryId::new(n, 0), [("a", "b")]).unwrap();
        }
        stream.append_batch(&batch).unwrap();
        assert_eq!(stream.durable_id().unwrap(), EntryId::new(9, 0));
        assert_eq!(live(&stream).len(), 9);
        assert_eq!(store.health().unsynced_bytes, 0);
    });
}

#[test]
fn an_interval_syncs_by_itself() {
    let often =
        Durability::Interval { every: Duration::from_millis(1), max_unsynced_bytes: 1 << 20 };
    on_both_with(&Store::options().durability(often), |store| {
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, 10);
        while stream.durable_id().unwrap() < EntryId::new(10, 0) {
            std::thread::yield_now();
        }
    });
}

/// Fails if the background keeps to the interval that it knew when the first write came, or
/// forgets that one came while nothing was synced by time (`sync_loop`, src/worker.rs).
#[test]
fn a_shorter_interval_holds_from_when_its_stream_is_opened() {
    let every = |every| Durability::Interval { every, max_unsynced_bytes: 1 << 20 };
    let never = every(Duration::from_secs(3600));
    for level in [never, Durability::Manual] {
        on_both_with(&Store::options().durability(level), |store| {
            put(&store.stream("lax").unwrap(), "1-0");
            // Long enough for the background to have seen that.
            std::thread::sleep(Duration::from_millis(20));
            let options = StreamOptions::new().durability(every(Duration::from_millis(1)));
            let stream = store.stream_with("strict", options).unwrap();
            for n in 1..=3 {
                let id = put(&stream, &format!("{n}-0"));
                let end = Instant::now() + LONG;
                while stream.durable_id().unwrap() < id {
                    assert!(Instant::now() < end, "nobody syncs {id}");
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
    }
}

#[test]
fn a_full_interval_makes_appends_wait_for_the_disk() {
    let slow = Durability::Interval { every: Duration::from_secs(3600), max_unsynced_bytes: 4096 };
    on_both_with(&Store::options().durability(slow), |store| {
        let stream = store.stream("s").unwrap();
        for n in 1..=200u64 {
            stream.append([("v", "x".repeat(100))]).unwrap();
            let unsynced = store.health().unsynced_bytes;
            assert!(unsynced <= 4096 + 256, "{unsynced} after {n}");
        }
        assert_eq!(live(&stream).len(), 200);
    });
}

#[test]
fn a_stream_may_have_a_level_of_its_own() {
    on_both(|store| {
        let options = StreamOptions::new().durability(Durability::Always);
        let strict = store.stream_with("strict", options).unwrap();
        let lax = store.stream("lax").unwrap();
        put(&lax, "1-0");
        put(&strict, "1-0");
        assert_eq!(strict.durable_id().unwrap(), EntryId::new(1, 0));
        assert_eq!(lax.durable_id().unwrap(), EntryId::MIN);
    });
}

/// Fails if `StreamInner::hand_out` (src/stream/durable.rs) keeps the level that a stream in use
/// has, or takes the one that was asked for last.
#[test]
fn of_the_levels_that_are_asked_for_the_strongest_holds() {
    let asking = |store: &Store, level| {
        store.stream_with("s", StreamOptions::new().durability(level)).unwrap()
    };
    let interval = |seconds, max_unsynced_bytes| Durability::Interval {
        every: Duration::from_secs(seconds),
        max_unsynced_bytes,
    };
    on_both_with(&Store::options().durability(interval(3600, 1 << 20)), |store| {
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, 3);
        asking(store, interval(7200, 4096));
        asking(store, Durability::Manual);
        for _ in 0..200 {
            stream.append([("v", "x".repeat(100))]).unwrap();
            assert!(store.health().unsynced_bytes <= 4096 + 256);
        }
        let last = stream.append([("a", "b")]).unwrap();
        asking(store, Durability::Always);
        // What was there before is durable too, and so is what any handle appends from now on.
        assert_eq!(stream.durable_id().unwrap(), last);
        for level in [Durability::Manual, interval(1, 1)] {
            asking(store, level);
            let last = stream.append([("a", "b")]).unwrap();
            assert_eq!(stream.durable_id().unwrap(), last);
            assert_eq!(store.health().unsynced_bytes, 0);
        }
    });
}

/// Fails if recovering a stream decides its level (`StreamInner::log`, src/stream/recovery.rs).
#[test]
fn a_stream_that_was_recovered_ahead_of_its_use_gets_the_level_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let open = |level| Store::options().durability(level).open(dir.path()).unwrap();
    let store = open(Durability::Manual);
    for name in ["always", "interval", "manual"] {
        put(&store.stream(name).unwrap(), "1-0");
    }
    store.close().unwrap();
    for level in [Durability::Manual, Durability::EVERY_SECOND, Durability::Always] {
        let store = open(level);
        store.recover_all().unwrap();
        let asked = |name: &str, level| {
            store.stream_with(name, StreamOptions::new().durability(level)).unwrap()
        };
        let always = asked("always", Durability::Always);
        let last = always.append([("a", "b")]).unwrap();
        assert_eq!(always.durable_id().unwrap(), last);
        let manual = asked("manual", Durability::Manual);
        let synced = manual.durable_id().unwrap();
        manual.append([("a", "b")]).unwrap();
        assert_eq!(manual.durable_id().unwrap(), synced);
        manual.sync().unwrap();
        let every = Duration::from_secs(3600);
        let level = Durability::Interval { every, max_unsynced_bytes: 4096 };
        let stream = asked("interval", level);
        for _ in 0..200 {
            stream.append([("v", "x".repeat(100))]).unwrap();
            assert!(store.health().unsynced_bytes <= 4096 + 256);
        }
        store.close().unwrap();
    }
}

#[test]
fn a_closed_store_refuses_and_says_so() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put(&stream, "1-0");
        assert!(!store.health().closed);
        store.clone().close().unwrap();
        assert!(store.health().closed);
        assert_eq!(kind(stream.append([("a", "b")])), ErrorKind::Closed);
        assert_eq!(kind(stream.sync()), ErrorKind::Closed);
        assert_eq!(kind(stream.len()), ErrorKind::Closed);
        assert_eq!(kind(store.stream("t")), ErrorKind::Closed);
        assert_eq!(kind(store.sync()), ErrorKind::Closed);
    });
}
