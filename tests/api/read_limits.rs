//! Limits of a read over all of its streams, and the last entry.

use crate::ground::{all, id, live, on_both, put, put_range, texts, waiting};
use std::time::Duration;
use streamlog::{
    Batch, Consumer, EntryId, GroupReadOptions, ReadFrom, ReadOptions, ReplyFormat, Start, Store,
    Stream,
};

fn streams(store: &Store, entries: u64) -> [Stream; 2] {
    ["one", "two"].map(|name| {
        let stream = store.stream(name).unwrap();
        put_range(&stream, 1, entries);
        stream
    })
}

/// How many entries each stream gave.
fn lens(found: &[(Stream, Batch)]) -> Vec<usize> {
    found.iter().map(|(_, batch)| batch.len()).collect()
}

fn read(streams: &[Stream; 2], store: &Store, options: ReadOptions) -> Vec<usize> {
    let [one, two] = streams;
    lens(&store.read(&[(one, Start::First), (two, Start::First)], options).unwrap())
}

#[test]
fn a_count_of_all_entries_is_over_all_streams() {
    on_both(|store| {
        let streams = streams(store, 10);
        let options = ReadOptions::new();
        assert_eq!(read(&streams, store, options.max_count(15)), [10, 5]);
        assert_eq!(read(&streams, store, options.max_count(7)), [7]);
        assert_eq!(read(&streams, store, options.count(4).max_count(6)), [4, 2]);
        assert_eq!(read(&streams, store, options.count(4).max_count(4)), [4]);
        assert_eq!(read(&streams, store, options.max_count(0)), [10, 10]);
    });
}

#[test]
fn a_size_of_the_reply_is_passed_by_one_entry_at_the_most() {
    on_both(|store| {
        let streams = streams(store, 10);
        // `*2`, the name, and of each entry `*2`, the ID, `*2`, a name and a value.
        let (head, entry) = (4 + 9, 4 + 9 + 4 + 8 + 9);
        let size = |bytes| ReadOptions::new().max_size(bytes);
        assert_eq!(read(&streams, store, size(1)), [1]);
        assert_eq!(read(&streams, store, size(entry)), [1], "the first alone");
        // The name goes out in front of the first entry, and is counted with it.
        assert_eq!(read(&streams, store, size(head + 2 * entry)), [2]);
        assert_eq!(read(&streams, store, size(head + 2 * entry + 1)), [3]);
        let tenth = entry + 2;
        let whole = head + 9 * entry + tenth + 5;
        assert_eq!(read(&streams, store, size(whole)), [10]);
        assert_eq!(read(&streams, store, size(whole + 1)), [10, 1]);
        let in_resp3 = |bytes| ReadOptions::new().max_size_in(bytes, ReplyFormat::resp3());
        assert_eq!(read(&streams, store, in_resp3(whole - 4)), [10]);
        assert_eq!(read(&streams, store, in_resp3(whole - 3)), [10, 1]);
        assert_eq!(read(&streams, store, size(1).max_count(5)), [1]);
        assert_eq!(read(&streams, store, size(10_000).max_count(5)), [5]);
    });
}

#[test]
fn an_entry_that_is_too_large_comes_alone() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        stream.append([("f", "x".repeat(10_000))]).unwrap();
        stream.append([("f", "x")]).unwrap();
        let read = stream.read(Start::First, ReadOptions::new().max_size(100)).unwrap();
        assert_eq!(read.len(), 1);
    });
}

fn consumers(store: &Store, entries: u64) -> [Consumer; 2] {
    streams(store, entries).map(|stream| {
        let group = stream.create_group("g", Start::First).unwrap();
        group.consumer("c").unwrap()
    })
}

fn read_group(
    store: &Store,
    consumers: &[Consumer; 2],
    from: ReadFrom,
    options: GroupReadOptions,
) -> Vec<Vec<String>> {
    let [one, two] = consumers;
    let found = store.read_group(&[(one, from), (two, from)], options).unwrap();
    found.iter().map(|(_, delivery)| texts(delivery.ids())).collect()
}

#[test]
fn what_a_limit_holds_back_is_not_delivered() {
    on_both(|store| {
        let both = consumers(store, 3);
        let options = GroupReadOptions::new();
        let read = read_group(store, &both, ReadFrom::New, options.max_count(4));
        assert_eq!(read, [texts(all(&["1-0", "2-0", "3-0"])), texts(all(&["1-0"]))]);
        let info = both[1].group().info().unwrap();
        assert_eq!((info.last_delivered_id, info.pending), (id("1-0"), 1));
        let read = read_group(store, &both, ReadFrom::New, options.max_size(1));
        assert_eq!(read, [["2-0"]]);
        let own = ReadFrom::History(EntryId::MIN);
        let read = read_group(store, &both, own, options.max_count(4));
        assert_eq!(read, [texts(all(&["1-0", "2-0", "3-0"])), texts(all(&["1-0"]))]);
        assert_eq!(read_group(store, &both, own, options.max_size(1)), [["1-0"]]);
    });
}

#[test]
fn what_is_claimed_and_what_is_gone_counts() {
    on_both(|store| {
        let both = consumers(store, 2);
        read_group(store, &both, ReadFrom::New, GroupReadOptions::new());
        let options = GroupReadOptions::new().claim(Duration::ZERO);
        let read = read_group(store, &both, ReadFrom::New, options.max_count(3));
        assert_eq!(read, [texts(all(&["1-0", "2-0"])), texts(all(&["1-0"]))]);
        let read = read_group(store, &both, ReadFrom::New, options.max_size(1));
        assert_eq!(read.len(), 1);
        both[0].group().stream().delete(all(&["1-0", "2-0"])).unwrap();
        let own = ReadFrom::History(EntryId::MIN);
        let read = read_group(store, &both, own, GroupReadOptions::new().max_count(3));
        assert_eq!(read, [texts([]), texts(all(&["1-0"]))]);
    });
}

#[test]
fn the_last_entry_comes_alone() {
    on_both(|store| {
        let [one, two] = streams(store, 3);
        let last = |stream: &Stream, options| stream.read(Start::LastEntry, options).unwrap();
        let options = ReadOptions::new();
        assert_eq!(texts(last(&one, options).ids()), ["3-0"]);
        assert_eq!(texts(last(&one, options.count(5).max_count(9)).ids()), ["3-0"]);
        // It is the last that lives.
        one.delete(all(&["3-0"])).unwrap();
        assert_eq!(texts(last(&one, options.block_forever()).ids()), ["2-0"]);
        let from = [(&one, Start::LastEntry), (&two, Start::First)];
        assert_eq!(lens(&store.read(&from, options).unwrap()), [1, 3]);
        assert_eq!(lens(&store.read(&from, options.max_count(2)).unwrap()), [1, 1]);
        one.delete(all(&["1-0", "2-0"])).unwrap();
        assert!(last(&one, options).is_empty());
        assert!(live(&one).is_empty());
    });
}

#[test]
fn who_waits_for_the_last_entry_gets_what_is_the_last_then() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put(&stream, "1-0");
        stream.delete(all(&["1-0"])).unwrap();
        let reader = stream.clone();
        let waits = waiting(move || {
            let options = ReadOptions::new().block_forever();
            texts(reader.read(Start::LastEntry, options).unwrap().ids())
        });
        put(&stream, "2-0");
        assert_eq!(waits.join().unwrap(), ["2-0"]);
        let mut batch = streamlog::NewEntries::new();
        batch.push_with(id("3-0"), [("a", "b")]).unwrap();
        batch.push_with(id("4-0"), [("a", "b")]).unwrap();
        let short = ReadOptions::new().block(Duration::from_millis(5));
        stream.delete(all(&["2-0"])).unwrap();
        assert!(stream.read(Start::LastEntry, short).unwrap().is_empty());
        stream.append_batch(&batch).unwrap();
        assert_eq!(texts(stream.read(Start::LastEntry, short).unwrap().ids()), ["4-0"]);
    });
}

#[test]
fn a_group_and_a_tail_begin_with_the_last_entry() {
    on_both(|store| {
        let [one, _] = streams(store, 3);
        let group = one.create_group("g", Start::LastEntry).unwrap();
        let read = group.consumer("c").unwrap().read(GroupReadOptions::new()).unwrap();
        assert_eq!(texts(read.ids()), ["3-0"]);
        let mut tail = one.tail(Start::LastEntry).unwrap();
        put(&one, "4-0");
        let next = || tail.try_next().unwrap().map(|entry| entry.id().to_string());
        let got: Vec<_> = std::iter::from_fn(next).collect();
        assert_eq!(got, ["3-0", "4-0"]);
    });
}
