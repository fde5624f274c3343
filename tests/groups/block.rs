//! Waiting group readers: who is served, and what ends a wait.

use crate::ground::{id, kind, on_both, put, put_range, texts, waiting};
use std::thread::JoinHandle;
use std::time::Duration;
use streamlog::{
    Consumer, EntryId, ErrorKind, Group, GroupReadOptions, ReadFrom, ReadOptions, Result, Start,
    Store, Stream,
};

fn forever() -> GroupReadOptions {
    GroupReadOptions::new().block_forever()
}

fn grouped(store: &Store, name: &str) -> (Stream, Group) {
    let stream = store.stream(name).unwrap();
    let group = stream.create_group("g", Start::First).unwrap();
    (stream, group)
}

/// A consumer that waits in a thread of its own, and the IDs that it gets.
fn reads(group: &Group, name: &str, options: GroupReadOptions) -> JoinHandle<Result<Vec<String>>> {
    let consumer = group.consumer(name).unwrap();
    waiting(move || Ok(texts(consumer.read(options)?.ids())))
}

fn got(thread: JoinHandle<Result<Vec<String>>>) -> Vec<String> {
    thread.join().unwrap().unwrap()
}

#[test]
fn waiting_consumers_are_served_in_the_order_in_which_they_came() {
    on_both(|store| {
        let (stream, group) = grouped(store, "s");
        let one = forever().count(1);
        let threads: Vec<_> = (0..4).map(|n| reads(&group, &format!("c{n}"), one)).collect();
        for (n, thread) in threads.into_iter().enumerate() {
            let text = format!("{}-0", n + 1);
            put(&stream, &text);
            assert_eq!(got(thread), [text]);
        }
        let summary = group.pending().unwrap();
        let owners: Vec<_> = summary.consumers.iter().map(|(name, _)| &name[..]).collect();
        assert_eq!(owners, [b"c0", b"c1", b"c2", b"c3"]);
    });
}

#[test]
fn one_entry_serves_one_of_three_consumers() {
    on_both(|store| {
        let (stream, group) = grouped(store, "s");
        let threads: Vec<_> = (0..3).map(|n| reads(&group, &format!("c{n}"), forever())).collect();
        put(&stream, "1-0");
        let mut threads = threads.into_iter();
        assert_eq!(got(threads.next().unwrap()), ["1-0"]);
        assert_eq!(group.pending().unwrap().count, 1);
        put(&stream, "2-0");
        assert_eq!(got(threads.next().unwrap()), ["2-0"]);
        put(&stream, "3-0");
        assert_eq!(got(threads.next().unwrap()), ["3-0"]);
    });
}

#[test]
fn what_the_first_leaves_goes_to_the_next() {
    on_both(|store| {
        let (stream, group) = grouped(store, "s");
        let two = reads(&group, "a", forever().count(2));
        let rest = reads(&group, "b", forever());
        let mut batch = streamlog::NewEntries::new();
        for n in 1..=5 {
            batch.push_with(EntryId::new(n, 0), [("a", "b")]).unwrap();
        }
        stream.append_batch(&batch).unwrap();
        assert_eq!(got(two), ["1-0", "2-0"]);
        assert_eq!(got(rest), ["3-0", "4-0", "5-0"]);
    });
}

/// Fails if a reader that comes to a group of waiting ones queues up without a look
/// (`read_group`, src/consumer/read.rs).
#[test]
fn who_comes_after_the_position_was_set_back_is_served_before_those_who_wait() {
    on_both(|store| {
        let (stream, group) = grouped(store, "s");
        put_range(&stream, 1, 3);
        drop(group.consumer("a").unwrap().read(GroupReadOptions::new()).unwrap());
        let waits = reads(&group, "a", forever());
        group.set_id(Start::First).unwrap();
        let comes = reads(&group, "b", forever().count(2));
        // As in Redis, what it leaves waits for the next append, and so does who waited.
        put(&stream, "4-0");
        assert_eq!(got(waits), ["3-0", "4-0"]);
        stream.remove_group("g").unwrap();
        assert_eq!(got(comes), ["1-0", "2-0"]);
    });
}

#[test]
fn groups_and_plain_readers_do_not_take_from_each_other() {
    on_both(|store| {
        let (stream, group) = grouped(store, "s");
        let other = stream.create_group("h", Start::First).unwrap();
        let plain = {
            let stream = stream.clone();
            let options = ReadOptions::new().block_forever();
            waiting(move || texts(stream.read(Start::Last, options).unwrap().ids()))
        };
        let first = reads(&group, "c", forever());
        let second = reads(&other, "c", forever());
        put(&stream, "1-0");
        assert_eq!(plain.join().unwrap(), ["1-0"]);
        assert_eq!(got(first), ["1-0"]);
        assert_eq!(got(second), ["1-0"]);
    });
}

#[test]
fn a_consumer_that_waits_exists_also_behind_others() {
    on_both(|store| {
        let (stream, group) = grouped(store, "s");
        let threads: Vec<_> = ["a", "b"].map(|name| reads(&group, name, forever().count(1))).into();
        let infos = group.consumers().unwrap();
        let names: Vec<_> = infos.iter().map(|one| &one.name[..]).collect();
        assert_eq!(names, [b"a", b"b"]);
        put_range(&stream, 1, 2);
        threads.into_iter().for_each(|thread| drop(got(thread)));
    });
}

#[test]
fn destroying_the_group_ends_the_wait() {
    on_both(|store| {
        let (stream, group) = grouped(store, "s");
        let other = stream.create_group("h", Start::First).unwrap();
        let ended: Vec<_> = (0..2).map(|n| reads(&group, &format!("c{n}"), forever())).collect();
        let stays = reads(&other, "c", forever());
        assert!(stream.remove_group("g").unwrap());
        for thread in ended {
            let name = b"g".to_vec();
            assert_eq!(kind(thread.join().unwrap()), ErrorKind::NoGroup { name });
        }
        put(&stream, "1-0");
        assert_eq!(got(stays), ["1-0"]);
    });
}

#[test]
fn removing_the_stream_ends_the_wait() {
    on_both(|store| {
        let (_, group) = grouped(store, "s");
        let threads = ["a", "b"].map(|name| reads(&group, name, forever()));
        assert!(store.remove("s").unwrap());
        for thread in threads {
            let name = b"s".to_vec();
            assert_eq!(kind(thread.join().unwrap()), ErrorKind::NoStream { name });
        }
    });
}

#[test]
fn replacing_the_stream_by_a_rename_ends_the_wait() {
    on_both(|store| {
        let (_, group) = grouped(store, "s");
        store.stream("other").unwrap();
        let thread = reads(&group, "c", forever());
        store.rename("other", "s").unwrap();
        let name = b"s".to_vec();
        assert_eq!(kind(thread.join().unwrap()), ErrorKind::NoStream { name });
    });
}

#[test]
fn closing_the_store_ends_the_wait() {
    on_both(|store| {
        let (_, group) = grouped(store, "s");
        let threads = ["a", "b"].map(|name| reads(&group, name, forever()));
        let consumer = group.consumer("d").unwrap();
        let endless = waiting(move || consumer.deliveries(forever()).count());
        store.clone().close().unwrap();
        for thread in threads {
            assert_eq!(kind(thread.join().unwrap()), ErrorKind::Closed);
        }
        assert_eq!(endless.join().unwrap(), 0);
    });
}

#[test]
fn a_deleted_entry_satisfies_no_consumer() {
    on_both(|store| {
        let (stream, group) = grouped(store, "s");
        put_range(&stream, 1, 2);
        let consumer = group.consumer("c").unwrap();
        drop(consumer.read(GroupReadOptions::new().count(1)).unwrap());
        stream.delete([id("2-0")]).unwrap();
        let short = GroupReadOptions::new().block(Duration::from_millis(20));
        assert!(consumer.read(short).unwrap().is_empty());
        let thread = reads(&group, "c", forever());
        put(&stream, "3-0");
        assert_eq!(got(thread), ["3-0"]);
    });
}

#[test]
fn an_elapsed_wait_gives_an_empty_delivery_and_leaves_the_queue() {
    on_both(|store| {
        let (stream, group) = grouped(store, "s");
        let short = GroupReadOptions::new().block(Duration::from_millis(20));
        let consumer = group.consumer("short").unwrap();
        assert!(consumer.read(short).unwrap().is_empty());
        let thread = reads(&group, "long", forever());
        assert!(consumer.read(short).unwrap().is_empty());
        put(&stream, "1-0");
        assert_eq!(got(thread), ["1-0"]);
        let none = GroupReadOptions::new().block(Duration::ZERO);
        assert!(consumer.read(none).unwrap().is_empty());
    });
}

#[test]
fn a_wait_over_several_streams_is_served_by_any_of_them() {
    on_both(|store| {
        let (a, ga) = grouped(store, "a");
        let (b, gb) = grouped(store, "b");
        let both = |name: &str| {
            let pair: [Consumer; 2] = [&ga, &gb].map(|group| group.consumer(name).unwrap());
            let store = store.clone();
            waiting(move || {
                let from = [(&pair[0], ReadFrom::New), (&pair[1], ReadFrom::New)];
                let found = store.read_group(&from, forever()).unwrap();
                let one = found.iter().map(|(s, d)| (s.name(), texts(d.ids())));
                one.collect::<Vec<_>>()
            })
        };
        let (first, second) = (both("first"), both("second"));
        put(&b, "1-0");
        let want =
            |stream: &str, text: &str| vec![(stream.as_bytes().to_vec(), vec![text.to_owned()])];
        assert_eq!(first.join().unwrap(), want("b", "1-0"));
        put(&a, "2-0");
        assert_eq!(second.join().unwrap(), want("a", "2-0"));
    });
}

#[test]
fn a_history_among_several_streams_never_waits() {
    on_both(|store| {
        let (_, ga) = grouped(store, "a");
        let (_, gb) = grouped(store, "b");
        let (a, b) = (ga.consumer("c").unwrap(), gb.consumer("c").unwrap());
        let from = [(&a, ReadFrom::New), (&b, ReadFrom::History(EntryId::MIN))];
        let found = store.read_group(&from, forever()).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0.name(), b"b");
        assert!(found[0].1.is_empty());
    });
}
