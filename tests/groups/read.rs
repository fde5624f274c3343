//! Reading as a consumer: what is new, what was delivered before, over several streams.

use crate::ground::{all, id, kind, live, on_both, put, put_range, texts};
use std::path::Path;
use std::time::Duration;
use streamlog::{
    Consumer, Delivery, Durability, EntryId, ErrorKind, Group, GroupReadOptions, NewEntries,
    PendingFilter, ReadFrom, Start, Store, Stream, Trim,
};

fn now() -> GroupReadOptions {
    GroupReadOptions::new()
}

fn grouped(store: &Store, name: &str, entries: u64) -> (Stream, Group) {
    let stream = store.stream(name).unwrap();
    put_range(&stream, 1, entries);
    let group = stream.create_group("g", Start::First).unwrap();
    (stream, group)
}

fn read(consumer: &Consumer, options: GroupReadOptions) -> Vec<String> {
    texts(consumer.read(options).unwrap().ids())
}

fn counts(group: &Group) -> Vec<(String, u64)> {
    let records = group.pending_range(.., PendingFilter::new()).unwrap();
    let one = |r: streamlog::Pending| (r.id.to_string(), r.deliveries);
    records.into_iter().map(one).collect()
}

#[test]
fn each_entry_goes_to_one_consumer_of_a_group_and_to_every_group() {
    on_both(|store| {
        let (stream, group) = grouped(store, "s", 5);
        let other = stream.create_group("h", Start::First).unwrap();
        let (a, b) = (group.consumer("a").unwrap(), group.consumer("b").unwrap());
        assert_eq!(read(&a, now().count(2)), ["1-0", "2-0"]);
        assert_eq!(read(&b, now().count(2)), ["3-0", "4-0"]);
        assert_eq!(read(&a, now()), ["5-0"]);
        assert_eq!(read(&b, now()), [""; 0]);
        assert_eq!(read(&other.consumer("a").unwrap(), now()).len(), 5);
        let delivery = other.consumer("z").unwrap().read(now()).unwrap();
        assert!(delivery.is_empty() && delivery.missing().is_empty());
        put(&stream, "6-0");
        let delivery = b.read(now()).unwrap();
        for entry in &delivery {
            assert_eq!(entry.get("id").unwrap(), b"6-0");
        }
        assert_eq!(texts(delivery.ids()), ["6-0"]);
    });
}

#[test]
fn limits_hold_back_what_they_do_not_deliver() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        for _ in 0..10 {
            stream.append([("v", "x".repeat(100))]).unwrap();
        }
        let group = stream.create_group("g", Start::First).unwrap();
        let consumer = group.consumer("c").unwrap();
        assert_eq!(read(&consumer, now().bytes(150)).len(), 2);
        assert_eq!(group.pending().unwrap().count, 2);
        assert_eq!(read(&consumer, now().bytes(1)).len(), 1);
        assert_eq!(read(&consumer, now().count(3).bytes(10_000)).len(), 3);
        assert_eq!(read(&consumer, now().count(0)).len(), 4);
    });
}

#[test]
fn entries_that_are_gone_are_not_delivered() {
    on_both(|store| {
        let (stream, group) = grouped(store, "s", 6);
        let consumer = group.consumer("c").unwrap();
        stream.delete(all(&["1-0", "3-0", "6-0"])).unwrap();
        assert_eq!(read(&consumer, now().count(2)), ["2-0", "4-0"]);
        stream.trim(Trim::max_len(0)).unwrap();
        assert_eq!(read(&consumer, now()), [""; 0]);
        put(&stream, "7-0");
        assert_eq!(read(&consumer, now()), ["7-0"]);
    });
}

#[test]
fn without_acknowledgement_nothing_is_pending_and_the_group_moves_on() {
    on_both(|store| {
        let (_, group) = grouped(store, "s", 3);
        let consumer = group.consumer("c").unwrap();
        assert_eq!(read(&consumer, now().no_ack().count(2)).len(), 2);
        assert_eq!(group.pending().unwrap().count, 0);
        let info = group.info().unwrap();
        assert_eq!(info.last_delivered_id, id("2-0"));
        assert_eq!((info.entries_read, info.lag), (Some(2), Some(1)));
        assert!(consumer.history(EntryId::MIN, 0).unwrap().is_empty());
        assert_eq!(read(&consumer, now()), ["3-0"]);
    });
}

#[test]
fn a_history_is_ones_own_and_counts_as_another_delivery() {
    on_both(|store| {
        let (_, group) = grouped(store, "s", 6);
        let (a, b) = (group.consumer("a").unwrap(), group.consumer("b").unwrap());
        read(&a, now().count(4));
        read(&b, now());
        let history = |consumer: &Consumer, after: &str, count| {
            texts(consumer.history(id(after), count).unwrap().ids())
        };
        assert_eq!(history(&a, "0-0", 0), ["1-0", "2-0", "3-0", "4-0"]);
        assert_eq!(history(&a, "2-0", 1), ["3-0"]);
        assert_eq!(history(&a, "4-0", 0), [""; 0]);
        assert_eq!(history(&b, "0-0", 1), ["5-0"]);
        let want = [("1-0", 2), ("2-0", 2), ("3-0", 3), ("4-0", 2), ("5-0", 2)];
        let mut want: Vec<_> = want.map(|(t, n)| (t.to_owned(), n)).into();
        want.push(("6-0".to_owned(), 1));
        assert_eq!(counts(&group), want);
        group.ack(all(&["1-0", "3-0"])).unwrap();
        assert_eq!(history(&a, "0-0", 0), ["2-0", "4-0"]);
        assert_eq!(group.info().unwrap().last_delivered_id, id("6-0"));
    });
}

#[test]
fn a_history_names_what_is_missing() {
    on_both(|store| {
        let (stream, group) = grouped(store, "s", 5);
        let consumer = group.consumer("c").unwrap();
        read(&consumer, now());
        stream.delete(all(&["2-0", "4-0"])).unwrap();
        stream.trim(Trim::min_id(id("2-0"))).unwrap();
        let check = |found: &Delivery| {
            assert_eq!(texts(found.ids()), ["3-0", "5-0"]);
            assert_eq!(found.missing(), all(&["1-0", "2-0", "4-0"]));
        };
        let found = consumer.history(EntryId::MIN, 0).unwrap();
        check(&found);
        // Missing ones use the count, and are not counted as delivered once more.
        let two = consumer.history(EntryId::MIN, 3).unwrap();
        assert_eq!((two.len(), two.missing().len()), (1, 2));
        let one: Vec<_> = counts(&group).into_iter().map(|(_, n)| n).collect();
        assert_eq!(one, [1, 1, 3, 1, 2]);
        assert_eq!(found.ack_all().unwrap(), 5);
        assert_eq!(group.pending().unwrap().count, 0);
    });
}

/// Fails if `look` (src/consumer/read.rs) does not check all groups first.
#[test]
fn a_read_of_several_streams_delivers_nothing_if_one_group_or_stream_is_missing() {
    on_both(|store| {
        let (_, ga) = grouped(store, "a", 3);
        let (b, gb) = grouped(store, "b", 3);
        let (_, gc) = grouped(store, "c", 3);
        let consumers = [&ga, &gb, &gc].map(|group| group.consumer("c").unwrap());
        let from = [0, 1, 2].map(|n| (&consumers[n], ReadFrom::New));
        b.remove_group("g").unwrap();
        let no_group = ErrorKind::NoGroup { name: b"g".to_vec() };
        assert_eq!(kind(store.read_group(&from, now())), no_group);
        assert_eq!(kind(store.read_group(&from, now().block_forever())), no_group);
        store.remove("c").unwrap();
        let no_stream = ErrorKind::NoStream { name: b"c".to_vec() };
        assert_eq!(kind(store.read_group(&[from[0], from[2]], now())), no_stream);
        assert_eq!(ga.pending().unwrap().count, 0);
        assert_eq!(ga.info().unwrap().last_delivered_id, EntryId::MIN);
        assert!(ga.consumers().unwrap().is_empty());
        assert_eq!(store.read_group(&from[..1], now()).unwrap()[0].1.len(), 3);
    });
}

#[test]
fn several_streams_are_read_in_one_call() {
    on_both(|store| {
        let (a, ga) = grouped(store, "a", 3);
        let (_, gb) = grouped(store, "b", 0);
        let (_, gc) = grouped(store, "c", 3);
        let consumer = |group: &Group| group.consumer("me").unwrap();
        let (ca, cb, cc) = (consumer(&ga), consumer(&gb), consumer(&gc));
        let new = ReadFrom::New;
        let sizes = |found: &[(Stream, Delivery)]| -> Vec<_> {
            let one = |(s, d): &(Stream, Delivery)| (s.name(), d.len());
            found.iter().map(one).collect()
        };
        let from = [(&cc, new), (&cb, new), (&ca, new)];
        let found = store.read_group(&from, now().count(2)).unwrap();
        assert_eq!(sizes(&found), [(b"c".to_vec(), 2), (b"a".to_vec(), 2)]);
        // A history answers even if it is empty.
        let from = [
            (&cb, ReadFrom::History(EntryId::MIN)),
            (&ca, ReadFrom::History(id("1-0"))),
            (&cc, new),
        ];
        let found = store.read_group(&from, now()).unwrap();
        let want = [(b"b".to_vec(), 0), (b"a".to_vec(), 1), (b"c".to_vec(), 1)];
        assert_eq!(sizes(&found), want);
        assert_eq!(gb.consumers().unwrap().len(), 1);
        put(&a, "4-0");
        let from = [(&ca, new), (&cb, new), (&cc, new)];
        let found = store.read_group(&from, now()).unwrap();
        assert_eq!(sizes(&found), [(b"a".to_vec(), 2)]);
        assert!(store.read_group(&from, now()).unwrap().is_empty());
        assert!(store.read_group(&[], now()).unwrap().is_empty());
    });
}

#[test]
fn a_delivery_survives_what_happens_to_its_entries() {
    on_both(|store| {
        let (stream, group) = grouped(store, "s", 300);
        let consumer = group.consumer("c").unwrap();
        let delivery = consumer.read(now()).unwrap();
        stream.trim(Trim::max_len(1)).unwrap();
        stream.delete([id("300-0")]).unwrap();
        for (n, entry) in delivery.iter().enumerate() {
            let text = format!("{}-0", n + 1);
            assert_eq!(entry.get("id").unwrap(), text.as_bytes());
        }
        assert_eq!(delivery.len(), 300);
        assert_eq!(delivery.ack_all().unwrap(), 300);
    });
}

#[test]
fn endless_deliveries_end_with_the_store() {
    on_both(|store| {
        let (_, group) = grouped(store, "s", 5);
        let consumer = group.consumer("c").unwrap();
        let mut deliveries = consumer.deliveries(now().count(2));
        let sizes: Vec<_> = (0..4).map(|_| deliveries.next().unwrap().unwrap().len()).collect();
        assert_eq!(sizes, [2, 2, 1, 0]);
        store.clone().close().unwrap();
        assert!(deliveries.next().is_none());
        assert!(deliveries.next().is_none());
    });
}

fn open(dir: &Path) -> Store {
    Store::options().durability(Durability::Manual).open(dir).unwrap()
}

#[test]
fn a_group_goes_on_where_it_was_when_the_store_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut done = Vec::new();
    for round in 0..6u64 {
        let store = open(dir.path());
        let stream = store.stream("s").unwrap();
        let group = stream.group("g", Start::First).unwrap();
        put_range(&stream, round * 10 + 1, round * 10 + 10);
        let (a, b) = (group.consumer("a").unwrap(), group.consumer("b").unwrap());
        // What was left over in the round before comes first, as history.
        let left = a.history(EntryId::MIN, 0).unwrap();
        assert_eq!(left.len(), if round == 0 { 0 } else { 3 });
        done.extend(texts(left.ids()));
        left.ack_all().unwrap();
        let first = a.read(now().count(3)).unwrap();
        assert_eq!(first.len(), 3);
        let rest = b.read(now()).unwrap();
        assert_eq!(rest.len(), 7);
        done.extend(texts(rest.ids()));
        assert_eq!(rest.ack_all().unwrap(), 7);
        let (pending, info) = (group.pending().unwrap(), group.info().unwrap());
        store.close().unwrap();
        let store = open(dir.path());
        let stream = store.get("s").unwrap().unwrap();
        let group = stream.get_group("g").unwrap().unwrap();
        assert_eq!(group.pending().unwrap(), pending);
        assert_eq!(group.info().unwrap(), info);
        assert_eq!(live(&stream).len() as u64, round * 10 + 10);
        store.close().unwrap();
    }
    done.sort_by_key(|text| id(text));
    let want: Vec<_> = (1..=60).filter(|n| *n < 51 || *n > 53).map(|n| format!("{n}-0")).collect();
    assert_eq!(done, want);
}

/// Takes for ever if each look for the first live entry, or for one that is gone, walks over all
/// that were deleted before (`Live::first_id`, `Span::find`).
#[test]
fn a_long_queue_whose_entries_are_deleted_when_they_are_done_goes_on_as_fast() {
    let store = Store::in_memory().unwrap();
    let stream = store.stream("s").unwrap();
    for part in 0..100 {
        let mut batch = NewEntries::new();
        for n in 0..100 {
            batch.push_with(EntryId::new(part + 1, n), [("a", "b")]).unwrap();
        }
        stream.append_batch(&batch).unwrap();
    }
    let consumer = stream.group("g", Start::First).unwrap().consumer("c").unwrap();
    let mut done = 0;
    loop {
        let delivery = consumer.read(GroupReadOptions::new().count(1)).unwrap();
        let Some(id) = delivery.last_id() else { break };
        assert_eq!(stream.delete([id]).unwrap(), 1);
        // Left pending: claims then look for entries that are gone.
        drop(delivery);
        done += 1;
    }
    assert_eq!((done, stream.len().unwrap()), (10_000, 0));
    let claimed = consumer.auto_claim(EntryId::MIN, Duration::ZERO, 10_000).unwrap();
    assert_eq!((claimed.deleted.len(), claimed.delivery.len()), (10_000, 0));
}
