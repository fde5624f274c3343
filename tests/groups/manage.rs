//! Groups and consumers as things: made, moved, listed, removed.

use crate::ground::{all, id, kind, on_both, put, put_range, texts};
use std::time::Duration;
use streamlog::{
    EntryId, ErrorKind, GroupReadOptions, PendingDetails, PendingFilter, Start, Store, Stream, Trim,
};

fn now() -> GroupReadOptions {
    GroupReadOptions::new()
}

fn stream(store: &Store, entries: u64) -> Stream {
    let stream = store.stream("s").unwrap();
    put_range(&stream, 1, entries);
    stream
}

#[test]
fn a_group_begins_where_it_is_told_to() {
    on_both(|store| {
        let stream = stream(store, 4);
        let read = |name: &str, start| {
            let group = stream.create_group(name, start).unwrap();
            let consumer = group.consumer("c").unwrap();
            texts(consumer.read(now()).unwrap().ids())
        };
        assert_eq!(read("first", Start::First).len(), 4);
        assert_eq!(read("last", Start::Last), [""; 0]);
        assert_eq!(read("after", Start::After(id("2-0"))), ["3-0", "4-0"]);
        assert_eq!(read("beyond", Start::After(id("9-0"))), [""; 0]);
        put(&stream, "8-0");
        put(&stream, "10-0");
        let beyond = stream.get_group("beyond").unwrap().unwrap();
        let found = beyond.consumer("c").unwrap().read(now()).unwrap();
        assert_eq!(texts(found.ids()), ["10-0"]);
    });
}

#[test]
fn a_group_exists_once() {
    on_both(|store| {
        let stream = stream(store, 2);
        assert!(stream.get_group("g").unwrap().is_none());
        stream.create_group("g", Start::Last).unwrap();
        let name = b"g".to_vec();
        assert_eq!(kind(stream.create_group("g", Start::First)), ErrorKind::GroupExists { name });
        // Opening finds it where it stands.
        let same = stream.group("g", Start::First).unwrap();
        assert_eq!(same.info().unwrap().last_delivered_id, id("2-0"));
        let other = stream.group("h", Start::First).unwrap();
        assert_eq!(other.info().unwrap().last_delivered_id, EntryId::MIN);
        let names: Vec<_> = stream.groups().unwrap().into_iter().map(|g| g.name).collect();
        assert_eq!(names, [b"g", b"h"]);
        assert_eq!(stream.info().unwrap().groups, 2);
    });
}

#[test]
fn a_removed_group_takes_its_pending_entries_along() {
    on_both(|store| {
        let stream = stream(store, 3);
        let group = stream.create_group("g", Start::First).unwrap();
        let consumer = group.consumer("c").unwrap();
        let held = consumer.read(now()).unwrap();
        assert!(stream.remove_group("g").unwrap());
        assert!(!stream.remove_group("g").unwrap());
        let gone = ErrorKind::NoGroup { name: b"g".to_vec() };
        assert_eq!(kind(group.info()), gone);
        assert_eq!(kind(group.pending()), gone);
        assert_eq!(kind(consumer.read(now())), gone);
        assert_eq!(kind(consumer.history(EntryId::MIN, 0)), gone);
        assert_eq!(kind(consumer.claim(all(&["1-0"]), Duration::ZERO)), gone);
        assert_eq!(kind(held.clone().ack_all()), gone);
        assert_eq!(held.len(), 3);
        // A new group of that name is another one: the old handle stays without.
        let second = stream.create_group("g", Start::First).unwrap();
        assert_eq!(second.pending().unwrap().count, 0);
        assert_eq!(kind(group.info()), gone);
    });
}

#[test]
fn a_group_is_moved_both_ways_and_keeps_what_is_pending() {
    on_both(|store| {
        let stream = stream(store, 5);
        let group = stream.create_group("g", Start::First).unwrap();
        let consumer = group.consumer("c").unwrap();
        assert_eq!(consumer.read(now().count(2)).unwrap().len(), 2);
        group.set_id(Start::Last).unwrap();
        assert_eq!(consumer.read(now()).unwrap().len(), 0);
        assert_eq!(group.pending().unwrap().count, 2);
        group.set_id(Start::After(id("3-0"))).unwrap();
        assert_eq!(texts(consumer.read(now()).unwrap().ids()), ["4-0", "5-0"]);
        group.set_id(Start::First).unwrap();
        // What was pending already is delivered anew: its count begins again, its owner changes.
        let other = group.consumer("d").unwrap();
        assert_eq!(consumer.history(EntryId::MIN, 0).unwrap().len(), 4);
        assert_eq!(other.read(now()).unwrap().len(), 5);
        let pending = group.pending_range(.., PendingFilter::new()).unwrap();
        assert_eq!(pending.len(), 5);
        for record in pending {
            assert_eq!((record.deliveries, &record.consumer[..]), (1, &b"d"[..]));
        }
    });
}

#[test]
fn a_consumer_comes_into_being_by_its_first_call() {
    on_both(|store| {
        let stream = stream(store, 0);
        let group = stream.create_group("g", Start::First).unwrap();
        let names = || -> Vec<_> {
            let infos = group.consumers().unwrap();
            infos.into_iter().map(|one| one.name).collect()
        };
        let handle = group.consumer("handle").unwrap();
        assert_eq!(names(), [[0u8; 0]; 0]);
        assert!(group.create_consumer("made").unwrap());
        assert!(!group.create_consumer("made").unwrap());
        assert_eq!(handle.read(now()).unwrap().len(), 0);
        let history = group.consumer("history").unwrap();
        assert_eq!(history.history(EntryId::MIN, 0).unwrap().len(), 0);
        let claims = group.consumer("claims").unwrap();
        assert!(claims.claim(all(&["1-0"]), Duration::ZERO).unwrap().is_empty());
        let auto = group.consumer("auto").unwrap();
        drop(auto.auto_claim(EntryId::MIN, Duration::ZERO, 1).unwrap());
        let want = ["auto", "claims", "handle", "history", "made"];
        assert_eq!(names(), want.map(|name| name.as_bytes().to_vec()));
        for info in group.consumers().unwrap() {
            assert_eq!((info.pending, info.inactive), (0, None));
        }
        assert_eq!(group.info().unwrap().consumers, 5);
    });
}

#[test]
fn a_consumer_is_active_when_something_was_delivered() {
    on_both(|store| {
        let stream = stream(store, 2);
        let group = stream.create_group("g", Start::First).unwrap();
        let inactive = |n: usize| group.consumers().unwrap()[n].inactive;
        let (a, b) = (group.consumer("a").unwrap(), group.consumer("b").unwrap());
        drop(a.read(now().count(1)).unwrap());
        drop(b.read(now().no_ack()).unwrap());
        assert!(inactive(0).is_some());
        assert_eq!(inactive(1), None);
        drop(b.claim(all(&["1-0"]), Duration::ZERO).unwrap());
        assert!(inactive(1).is_some());
    });
}

#[test]
fn a_removed_consumer_loses_its_records_for_good() {
    on_both(|store| {
        let stream = stream(store, 4);
        let group = stream.create_group("g", Start::First).unwrap();
        let (a, b) = (group.consumer("a").unwrap(), group.consumer("b").unwrap());
        drop(a.read(now().count(3)).unwrap());
        drop(b.read(now()).unwrap());
        assert_eq!(group.remove_consumer("a").unwrap(), 3);
        assert_eq!(group.remove_consumer("a").unwrap(), 0);
        assert_eq!(group.remove_consumer("nobody").unwrap(), 0);
        let summary = group.pending().unwrap();
        assert_eq!(summary.count, 1);
        assert_eq!(summary.consumers, [(b"b".to_vec(), 1)]);
        let ids = all(&["1-0", "2-0", "3-0"]);
        assert!(b.claim(ids, Duration::ZERO).unwrap().is_empty());
        assert_eq!(group.ack(all(&["1-0"])).unwrap(), 0);
        // The handle makes a consumer of that name anew.
        assert_eq!(a.read(now()).unwrap().len(), 0);
        assert_eq!(group.consumers().unwrap().len(), 2);
    });
}

#[test]
fn pending_entries_are_summed_up_and_listed() {
    on_both(|store| {
        let stream = stream(store, 6);
        let group = stream.create_group("g", Start::First).unwrap();
        let empty = group.pending().unwrap();
        assert_eq!((empty.count, empty.first, empty.last), (0, None, None));
        assert_eq!(empty.consumers, []);
        let (a, b) = (group.consumer("a").unwrap(), group.consumer("b").unwrap());
        drop(b.read(now().count(2)).unwrap());
        drop(a.read(now().count(3)).unwrap());
        group.create_consumer("idle").unwrap();
        let summary = group.pending().unwrap();
        assert_eq!(summary.count, 5);
        assert_eq!(summary.first, Some(id("1-0")));
        assert_eq!(summary.last, Some(id("5-0")));
        assert_eq!(summary.consumers, [(b"a".to_vec(), 3), (b"b".to_vec(), 2)]);
        let list = |filter| -> Vec<_> {
            let found = group.pending_range(.., filter).unwrap();
            texts(found.into_iter().map(|record| record.id))
        };
        let filter = PendingFilter::new;
        assert_eq!(list(filter()).len(), 5);
        assert_eq!(list(filter().count(2)), ["1-0", "2-0"]);
        assert_eq!(list(filter().consumer("a")), ["3-0", "4-0", "5-0"]);
        assert_eq!(list(filter().consumer("a").count(1)), ["3-0"]);
        assert_eq!(list(filter().consumer("nobody")), [""; 0]);
        assert_eq!(list(filter().min_idle(Duration::from_secs(3600))), [""; 0]);
        let some = group.pending_range(id("2-0")..id("4-0"), filter()).unwrap();
        assert_eq!(texts(some.iter().map(|one| one.id)), ["2-0", "3-0"]);
        assert_eq!((&some[1].consumer[..], some[1].deliveries), (&b"a"[..], 1));
        // The entries themselves need not be there.
        stream.trim(Trim::max_len(0)).unwrap();
        assert_eq!(list(filter()).len(), 5);
    });
}

#[test]
fn an_acknowledgement_counts_what_was_pending() {
    on_both(|store| {
        let stream = stream(store, 5);
        let group = stream.create_group("g", Start::First).unwrap();
        let consumer = group.consumer("c").unwrap();
        assert_eq!(group.ack(all(&["1-0"])).unwrap(), 0);
        let delivery = consumer.read(now().count(4)).unwrap();
        assert_eq!(group.ack(all(&["1-0", "1-0", "5-0", "9-9"])).unwrap(), 1);
        assert!(delivery.ack(id("2-0")).unwrap());
        assert!(!delivery.ack(id("2-0")).unwrap());
        assert_eq!(group.ack([]).unwrap(), 0);
        stream.delete([id("3-0")]).unwrap();
        assert_eq!(delivery.ack_all().unwrap(), 2);
        assert_eq!(group.pending().unwrap().count, 0);
        assert_eq!(stream.len().unwrap(), 4);
        assert_eq!(consumer.read(now()).unwrap().ack_all().unwrap(), 1);
        assert_eq!(consumer.read(now()).unwrap().ack_all().unwrap(), 0);
    });
}

#[test]
fn dropping_a_delivery_acknowledges_nothing() {
    on_both(|store| {
        let stream = stream(store, 2);
        let group = stream.create_group("g", Start::First).unwrap();
        let consumer = group.consumer("c").unwrap();
        drop(consumer.read(now()).unwrap());
        assert_eq!(group.pending().unwrap().count, 2);
        let entries = consumer.history(EntryId::MIN, 0).unwrap().into_entries();
        assert_eq!(entries.len(), 2);
        assert_eq!(group.pending().unwrap().count, 2);
    });
}

/// XINFO STREAM FULL [tests 69 and 70 of Redis's stream-cgroups].
#[test]
fn a_stream_is_told_in_full() {
    on_both(|store| {
        let stream = stream(store, 12);
        let group = stream.create_group("g", Start::First).unwrap();
        stream.create_group("idle", Start::Last).unwrap();
        let before = stream.info_full(0).unwrap().groups;
        assert!(before[0].consumers.is_empty() && before[0].unowned == 0);
        drop(group.consumer("bob").unwrap().read(now().count(3)).unwrap());
        drop(group.consumer("alice").unwrap().read(now().count(4)).unwrap());
        drop(group.consumer("alice").unwrap().read(now().no_ack().count(1)).unwrap());
        group.ack([id("2-0")]).unwrap();

        let full = stream.info_full(2).unwrap();
        assert_eq!((full.info.length, full.entries.len()), (12, 2));
        assert_eq!([full.entries[0].id(), full.entries[1].id()], [id("1-0"), id("2-0")]);
        let names: Vec<_> = full.groups.iter().map(|group| &group.info.name[..]).collect();
        assert_eq!(names, [&b"g"[..], b"idle"]);
        let told = &full.groups[0];
        assert_eq!(told.info, group.info().unwrap());
        assert_eq!((told.info.pending, told.info.lag, told.unowned), (6, Some(4), 0));
        let rows = |rows: &[PendingDetails]| -> Vec<(EntryId, Vec<u8>, u64)> {
            rows.iter().map(|row| (row.id, row.consumer.clone(), row.deliveries)).collect()
        };
        let bob = |n| (id(n), b"bob".to_vec(), 1);
        assert_eq!(rows(&told.pending), [bob("1-0"), bob("3-0")]);
        let consumers: Vec<_> =
            told.consumers.iter().map(|one| (&one.name[..], one.pending_count)).collect();
        assert_eq!(consumers, [(&b"alice"[..], 4), (b"bob", 2)]);
        let alice = |n| (id(n), b"alice".to_vec(), 1);
        assert_eq!(rows(&told.consumers[0].pending), [alice("4-0"), alice("5-0")]);

        let all = stream.info_full(usize::MAX).unwrap();
        assert_eq!((all.entries.len(), all.groups[0].pending.len()), (12, 6));
        // The read without records was an attempt; what alice obtained she obtained before.
        let alice = &all.groups[0].consumers[0];
        let delivered = alice.pending.iter().map(|row| row.delivered_ms).max().unwrap();
        assert_eq!(alice.active_ms, Some(delivered));
        assert!(alice.seen_ms >= delivered);
        assert!(delivered >= all.groups[0].consumers[1].active_ms.unwrap());
    });
}
