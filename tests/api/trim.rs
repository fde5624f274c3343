//! Deleting and trimming: the numbers that Redis's own tests fix, and what the counters say.

use crate::ground::{id, kind, live, on_both, put, put_all, put_range};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;
use streamlog::{AppendOptions, EntryId, ErrorKind, Store, Stream, StreamOptions, Trim};

/// A stream with blocks of so many entries.
fn blocks_of(store: &Store, entries: u32) -> Stream {
    let name = store.names().len().to_string();
    let options = StreamOptions::new().block_entries(entries).block_bytes(0);
    store.stream_with(name, options).unwrap()
}

fn len(stream: &Stream) -> u64 {
    let len = stream.len().unwrap();
    assert_eq!(live(stream).len() as u64, len);
    assert_eq!(stream.is_empty().unwrap(), len == 0);
    len
}

fn append(stream: &Stream, trim: Trim) {
    let options = AppendOptions::new().trim(trim);
    stream.append_with([("a", "b")], options).unwrap();
}

fn about(entries: u64) -> Trim {
    Trim::max_len(entries).approximate()
}

#[test]
fn approximate_appends_keep_at_most_one_block_more() {
    on_both(|store| {
        let stream = blocks_of(store, 100);
        for _ in 0..1000 {
            append(&stream, about(555));
        }
        assert_eq!(len(&stream), 600);
    });
}

#[test]
fn a_length_is_reached_exactly_or_by_whole_blocks() {
    on_both(|store| {
        let stream = blocks_of(store, 100);
        put_range(&stream, 1, 1000);
        assert_eq!(stream.trim(Trim::max_len(666)).unwrap(), 334);
        assert_eq!(len(&stream), 666);
        assert_eq!(stream.trim(Trim::max_len(555)).unwrap(), 111);
        assert_eq!(len(&stream), 555);
        assert_eq!(stream.trim(about(444)).unwrap(), 55);
        assert_eq!(len(&stream), 500);
        assert_eq!(stream.trim(about(400)).unwrap(), 100);
        assert_eq!(len(&stream), 400);
        assert_eq!(live(&stream)[0], "601-0");
        assert_eq!(stream.trim(Trim::max_len(401)).unwrap(), 0);
        assert_eq!(stream.trim(Trim::max_len(0)).unwrap(), 400);
        assert_eq!(len(&stream), 0);
        assert_eq!(stream.trim(Trim::max_len(0)).unwrap(), 0);
    });
}

#[test]
fn a_limit_stops_in_front_of_the_block_that_would_pass_it() {
    on_both(|store| {
        let stream = blocks_of(store, 10);
        put_range(&stream, 1, 100);
        append(&stream, about(55).limit(30));
        assert_eq!(len(&stream), 71);
        append(&stream, about(55).limit(30));
        assert_eq!(len(&stream), 62);
        let pairs = blocks_of(store, 2);
        put_range(&pairs, 1, 3);
        assert_eq!(pairs.trim(about(0).limit(1)).unwrap(), 0);
        assert_eq!(pairs.trim(about(0).limit(2)).unwrap(), 2);
        assert_eq!(live(&pairs), ["3-0"]);
        let wide = blocks_of(store, 100);
        put_range(&wide, 1, 3);
        append(&wide, about(0).limit(1));
        assert_eq!(len(&wide), 4);
    });
}

#[test]
fn the_default_limit_is_a_hundred_blocks() {
    on_both(|store| {
        let stream = blocks_of(store, 1);
        put_range(&stream, 1, 102);
        assert_eq!(stream.trim(about(1)).unwrap(), 100);
        assert_eq!(len(&stream), 2);
        assert_eq!(stream.trim(Trim::max_len(1)).unwrap(), 1);
        assert_eq!(len(&stream), 1);
        let limited = Trim::max_len(1).limit(30);
        assert!(matches!(kind(stream.trim(limited)), ErrorKind::InvalidTrim { .. }));
        let more = blocks_of(store, 1);
        put_range(&more, 1, 300);
        assert_eq!(more.trim(about(1).limit(0)).unwrap(), 299);
    });
}

#[test]
fn the_newest_block_is_never_opened_for_an_approximate_trim() {
    on_both(|store| {
        let tens = blocks_of(store, 10);
        put_range(&tens, 1, 100);
        assert_eq!(tens.trim(about(85)).unwrap(), 10);
        assert_eq!(len(&tens), 90);
        let hundred = blocks_of(store, 100);
        put_range(&hundred, 1, 100);
        append(&hundred, about(100));
        assert_eq!(len(&hundred), 101);
        let by_id = blocks_of(store, 100);
        put_range(&by_id, 1, 100);
        append(&by_id, Trim::min_id(id("100-0")).approximate());
        assert_eq!(len(&by_id), 101);
        let limited = blocks_of(store, 10);
        put_range(&limited, 1, 100);
        append(&limited, Trim::min_id(id("55-0")).approximate().limit(30));
        assert_eq!(len(&limited), 71);
    });
}

#[test]
fn a_minimum_id_keeps_itself_and_what_is_above() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        for n in 1..=1000u64 {
            let least = EntryId::new(n.saturating_sub(5), 0);
            let options = AppendOptions::new().trim(Trim::min_id(least));
            stream.append_with([("a", "b")], options.id(EntryId::new(n, 0))).unwrap();
        }
        let want: Vec<_> = (995..=1000).map(|n| format!("{n}-0")).collect();
        assert_eq!(live(&stream), want);
        // Above the last ID: everything goes, and IDs go on.
        assert_eq!(stream.trim(Trim::min_id(EntryId::MAX)).unwrap(), 6);
        assert_eq!(len(&stream), 0);
        assert_eq!(stream.info().unwrap().last_id, id("1000-0"));
        put(&stream, "1000-1");
        assert_eq!(live(&stream), ["1000-1"]);
    });
}

#[test]
fn a_deletion_counts_once_and_only_what_was_there() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put_all(&stream, &["1-1", "1-2", "1-3", "1-4", "1-5"]);
        let ids = ["1-1", "1-4", "1-5", "2-1", "1-4", "0-0"].map(id);
        assert_eq!(stream.delete(ids).unwrap(), 3);
        assert_eq!(live(&stream), ["1-2", "1-3"]);
        assert_eq!(stream.delete(ids).unwrap(), 0);
        assert_eq!(stream.delete([]).unwrap(), 0);
        assert_eq!(stream.get(id("1-4")).unwrap(), None);
        assert_eq!(stream.info().unwrap().max_deleted_id, id("1-5"));
        assert_eq!(stream.delete([id("1-2")]).unwrap(), 1);
        let info = stream.info().unwrap();
        assert_eq!(info.max_deleted_id, id("1-5"));
        assert_eq!((info.first_id, info.length), (id("1-3"), 1));
        assert_eq!(info.entries_added, 5);
    });
}

#[test]
fn a_trimmed_entry_cannot_be_deleted_and_leaves_no_tombstone() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, 5);
        assert_eq!(stream.trim(Trim::max_len(2)).unwrap(), 3);
        assert_eq!(stream.delete([id("1-0"), id("3-0")]).unwrap(), 0);
        let info = stream.info().unwrap();
        assert_eq!(info.max_deleted_id, EntryId::MIN);
        assert_eq!(info.first_id, id("4-0"));
        assert_eq!(stream.delete([id("5-0")]).unwrap(), 1);
        assert_eq!(stream.trim(Trim::max_len(1)).unwrap(), 0);
        assert_eq!(live(&stream), ["4-0"]);
    });
}

#[test]
fn a_length_counts_living_entries_only() {
    on_both(|store| {
        let stream = blocks_of(store, 10);
        put_range(&stream, 1, 40);
        let gone: Vec<_> = (1..=15).map(|n| EntryId::new(n, 0)).collect();
        assert_eq!(stream.delete(gone).unwrap(), 15);
        // 0 + 5 + 10 + 10 live in the four blocks; 25 − 5 ≥ 20, 20 − 10 < 20.
        assert_eq!(stream.trim(about(20)).unwrap(), 5);
        assert_eq!(len(&stream), 20);
        assert_eq!(stream.trim(Trim::max_len(15)).unwrap(), 5);
        assert_eq!(live(&stream)[0], "26-0");
    });
}

#[test]
fn what_is_known_of_a_stream_follows_it() {
    on_both(|store| {
        let stream = blocks_of(store, 2);
        let info = stream.info().unwrap();
        assert_eq!((info.length, info.blocks, info.entries_added), (0, 0, 0));
        assert_eq!((info.last_id, info.first_id), (EntryId::MIN, EntryId::MIN));
        assert_eq!((info.first, info.last), (None, None));
        put_range(&stream, 1, 5);
        stream.create_group("g", streamlog::Start::First).unwrap();
        let info = stream.info().unwrap();
        assert_eq!((info.length, info.blocks, info.entries_added), (5, 3, 5));
        assert_eq!((info.last_id, info.first_id), (id("5-0"), id("1-0")));
        assert_eq!(info.first.unwrap().id(), id("1-0"));
        assert_eq!(info.last.unwrap().id(), id("5-0"));
        assert_eq!((info.groups, info.max_deleted_id), (1, EntryId::MIN));
        assert!(info.segments >= 1 && info.bytes > 0);
        stream.delete([id("3-0"), id("4-0"), id("5-0")]).unwrap();
        let info = stream.info().unwrap();
        assert_eq!((info.length, info.blocks), (2, 1));
        assert_eq!(info.last.unwrap().id(), id("2-0"));
        assert_eq!(info.last_id, id("5-0"));
    });
}

#[test]
fn the_largest_id_can_be_trimmed() {
    let max = EntryId::MAX;
    let trims = [Trim::max_len(0), about(0)];
    on_both(|store| {
        for (n, trim) in trims.iter().enumerate() {
            let stream = store.stream(n.to_string()).unwrap();
            put(&stream, "1-0");
            put(&stream, &max.to_string());
            assert_eq!(stream.trim(Trim::min_id(max)).unwrap(), 1);
            assert_eq!(live(&stream), [max.to_string()]);
            assert_eq!(stream.trim(*trim).unwrap(), 1);
            is_empty_at_the_end(&stream);
        }
        // In the same step as the append.
        for (n, trim) in trims.iter().enumerate() {
            let stream = store.stream(format!("with {n}")).unwrap();
            put(&stream, "1-0");
            let options = AppendOptions::new().id(max).trim(*trim);
            stream.append_with([("a", "b")], options).unwrap();
            is_empty_at_the_end(&stream);
        }
    });
}

fn is_empty_at_the_end(stream: &Stream) {
    assert_eq!(len(stream), 0);
    let info = stream.info().unwrap();
    assert_eq!((info.first, info.last, info.blocks), (None, None, 0));
    assert_eq!((info.first_id, info.last_id), (EntryId::MIN, EntryId::MAX));
    assert_eq!(info.entries_added, 2);
    assert_eq!(stream.get(EntryId::MAX).unwrap(), None);
    assert_eq!(stream.range(..).next_back().transpose().unwrap(), None);
    assert_eq!(stream.delete([EntryId::MAX]).unwrap(), 0);
}

#[test]
fn a_tombstone_at_the_end_goes_with_the_trim_in_front_of_it() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, 2);
        stream.delete([id("2-0")]).unwrap();
        assert_eq!(stream.trim(Trim::min_id(id("2-0"))).unwrap(), 1);
        let info = stream.info().unwrap();
        assert_eq!((info.length, info.blocks), (0, 0));
        assert_eq!(info.max_deleted_id, id("2-0"));
    });
}

/// Fails at one of some thousand looks if `Store::verify` takes the missing file of a segment that
/// is no longer the stream's for an error.
#[test]
fn a_verification_does_not_miss_what_is_trimmed_away_meanwhile() {
    on_both(|store| {
        let options = StreamOptions::new().segment_bytes(4096);
        let stream = store.stream_with("s", options).unwrap();
        let done = AtomicBool::new(false);
        scope(|threads| {
            threads.spawn(|| {
                let trim = AppendOptions::new().trim(Trim::max_len(9));
                for _ in 0..3000 {
                    stream.append_with([("v", vec![7; 1000])], trim.clone()).unwrap();
                }
                done.store(true, Ordering::Relaxed);
            });
            while !done.load(Ordering::Relaxed) {
                assert!(store.verify().unwrap().is_whole());
            }
        });
    });
}
