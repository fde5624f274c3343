//! Streams as things with names: made, found, listed, renamed, copied, removed.

use crate::ground::{id, kind, live, on_both, put, put_range, waiting};
use streamlog::{
    EntryId, ErrorKind, GroupReadOptions, ReadOptions, Retention, Start, Store, StreamOptions,
};

fn missing(name: &str) -> ErrorKind {
    ErrorKind::NoStream { name: name.as_bytes().to_vec() }
}

#[test]
fn a_stream_is_made_on_first_use_and_only_then() {
    on_both(|store| {
        assert!(store.get("s").unwrap().is_none());
        assert!(!store.exists("s"));
        assert_eq!(store.names(), [[0u8; 0]; 0]);
        let stream = store.stream("s").unwrap();
        assert_eq!(stream.name(), b"s");
        assert!(store.exists("s"));
        put(&stream, "1-0");
        let same = store.get("s").unwrap().unwrap();
        assert_eq!(live(&same), ["1-0"]);
        put(&store.stream("s").unwrap(), "2-0");
        assert_eq!(live(&stream), ["1-0", "2-0"]);
    });
}

#[test]
fn a_name_is_any_bytes() {
    on_both(|store| {
        let long = [0xffu8; 255];
        let names: [&[u8]; 6] = [b"", b"\0", b"a\0b", b"a/../b", "zürich".as_bytes(), &long];
        for (n, name) in names.iter().enumerate() {
            put(&store.stream(name).unwrap(), &format!("{}-0", n + 1));
        }
        assert_eq!(store.names(), names);
        for (n, name) in names.iter().enumerate() {
            let stream = store.get(name).unwrap().unwrap();
            assert_eq!(stream.name(), *name);
            assert_eq!(live(&stream), [format!("{}-0", n + 1)]);
            stream.create_group(name, Start::First).unwrap();
            let group = stream.get_group(name).unwrap().unwrap();
            let consumer = group.consumer(name).unwrap();
            assert_eq!(consumer.read(GroupReadOptions::new()).unwrap().len(), 1);
            assert_eq!((group.name(), consumer.name()), (*name, *name));
            assert_eq!(group.consumers().unwrap()[0].name, *name);
        }
    });
}

#[test]
fn the_options_of_a_stream_are_those_it_was_made_with() {
    on_both(|store| {
        let small = StreamOptions::new().block_entries(2);
        let stream = store.stream_with("s", small).unwrap();
        put_range(&stream, 1, 4);
        let again = store.stream_with("s", StreamOptions::new().block_entries(50));
        put_range(&again.unwrap(), 5, 8);
        assert_eq!(stream.info().unwrap().blocks, 4);
    });
}

#[test]
fn a_removed_stream_is_gone_for_every_handle() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put(&stream, "5-0");
        let group = stream.create_group("g", Start::First).unwrap();
        let consumer = group.consumer("c").unwrap();
        assert!(store.remove("s").unwrap());
        assert!(!store.remove("s").unwrap());
        assert!(!store.exists("s"));
        assert_eq!(kind(stream.append([("a", "b")])), missing("s"));
        assert_eq!(kind(stream.len()), missing("s"));
        assert_eq!(kind(stream.snapshot()), missing("s"));
        assert_eq!(kind(stream.delete([id("5-0")])), missing("s"));
        assert_eq!(kind(group.info()), missing("s"));
        assert_eq!(kind(group.ack([id("5-0")])), missing("s"));
        assert_eq!(kind(consumer.read(GroupReadOptions::new())), missing("s"));
        // A new life begins: small IDs again, no group, and the old handle does not come back.
        let second = store.stream("s").unwrap();
        assert_eq!(put(&second, "1-0"), id("1-0"));
        assert_eq!(second.groups().unwrap(), []);
        assert_eq!(kind(stream.len()), missing("s"));
    });
}

#[test]
fn a_renamed_stream_keeps_all_but_its_name() {
    on_both(|store| {
        let stream = store.stream("old").unwrap();
        put_range(&stream, 1, 3);
        let group = stream.create_group("g", Start::First).unwrap();
        let consumer = group.consumer("c").unwrap();
        assert_eq!(consumer.read(GroupReadOptions::new().count(2)).unwrap().len(), 2);
        store.rename("old", "new").unwrap();
        assert_eq!(store.names(), [b"new"]);
        assert_eq!(stream.name(), b"new");
        put(&stream, "4-0");
        assert_eq!(live(&store.get("new").unwrap().unwrap()).len(), 4);
        assert_eq!(group.pending().unwrap().count, 2);
        assert_eq!(kind(store.rename("old", "other")), missing("old"));
        store.rename("new", "new").unwrap();
        assert_eq!(live(&stream).len(), 4);
    });
}

#[test]
fn a_rename_replaces_what_has_the_name() {
    on_both(|store| {
        let (from, to) = (store.stream("from").unwrap(), store.stream("to").unwrap());
        put(&from, "1-0");
        put(&to, "9-0");
        let reader = {
            let to = to.clone();
            waiting(move || kind(to.read(Start::Last, ReadOptions::new().block_forever())))
        };
        store.rename("from", "to").unwrap();
        assert_eq!(store.names(), [b"to"]);
        assert_eq!(live(&store.get("to").unwrap().unwrap()), ["1-0"]);
        assert_eq!(kind(to.len()), missing("to"));
        assert_eq!(reader.join().unwrap(), missing("to"));
        assert_eq!(live(&from), ["1-0"]);
    });
}

#[test]
fn a_copy_has_entries_groups_and_counters_and_a_life_of_its_own() {
    on_both(|store| {
        let stream = store.stream("a").unwrap();
        put_range(&stream, 1, 5);
        let group = stream.create_group("g", Start::First).unwrap();
        let consumer = group.consumer("c").unwrap();
        let read = consumer.read(GroupReadOptions::new().count(3)).unwrap();
        assert_eq!(read.len(), 3);
        group.ack([id("1-0")]).unwrap();
        stream.delete([id("5-0")]).unwrap();
        assert!(store.copy("a", "b", false).unwrap());
        let copy = store.get("b").unwrap().unwrap();
        assert_eq!(live(&copy), live(&stream));
        let (a, b) = (stream.info().unwrap(), copy.info().unwrap());
        assert_eq!(
            (a.last_id, a.max_deleted_id, a.entries_added, a.length),
            (b.last_id, b.max_deleted_id, b.entries_added, b.length)
        );
        assert_eq!(copy.groups().unwrap(), stream.groups().unwrap());
        let twin = copy.get_group("g").unwrap().unwrap();
        assert_eq!(twin.pending().unwrap(), group.pending().unwrap());
        put(&copy, "6-0");
        assert_eq!(twin.ack([id("2-0"), id("3-0")]).unwrap(), 2);
        assert_eq!(live(&stream), ["1-0", "2-0", "3-0", "4-0"]);
        assert_eq!(group.pending().unwrap().count, 2);
    });
}

#[test]
fn a_copy_replaces_only_if_told_to() {
    on_both(|store| {
        put(&store.stream("a").unwrap(), "1-0");
        put(&store.stream("b").unwrap(), "2-0");
        assert!(!store.copy("nobody", "c", true).unwrap());
        assert!(!store.exists("c"));
        assert!(!store.copy("a", "b", false).unwrap());
        assert_eq!(live(&store.get("b").unwrap().unwrap()), ["2-0"]);
        assert!(store.copy("a", "b", true).unwrap());
        assert_eq!(live(&store.get("b").unwrap().unwrap()), ["1-0"]);
        assert_eq!(store.names(), [b"a", b"b"]);
    });
}

#[test]
fn a_copy_for_whose_record_room_has_to_be_made_is_whole() {
    let store = Store::in_memory().unwrap();
    let stream = store.stream("a").unwrap();
    stream.create_group([b'g'; 250], Start::First).unwrap();
    // The state journal begins with 256 KiB.
    for _ in 0..600 {
        assert!(store.copy("a", "b", true).unwrap());
        let copy = store.get("b").unwrap().expect("the copy has no name");
        assert_eq!(copy.groups().unwrap().len(), 1);
    }
    assert_eq!(store.names(), [b"a", b"b"]);
}

#[test]
fn the_last_id_and_the_counters_can_be_set() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put(&stream, "1-0");
        stream.set_id(id("200-0"), Some(100), None).unwrap();
        let info = stream.info().unwrap();
        assert_eq!((info.last_id, info.entries_added), (id("200-0"), 100));
        stream.set_id(id("201-0"), None, Some(id("150-0"))).unwrap();
        let info = stream.info().unwrap();
        assert_eq!(info.entries_added, 100);
        assert_eq!(info.max_deleted_id, id("150-0"));
        put(&stream, "201-1");
        assert_eq!(live(&stream), ["1-0", "201-1"]);
        assert_eq!(stream.info().unwrap().entries_added, 101);
    });
}

#[test]
fn streams_of_one_store_do_not_see_each_other() {
    on_both(|store| {
        for n in 0..50u64 {
            let stream = store.stream(format!("s{n}")).unwrap();
            stream
                .append_with(
                    [("n", n.to_string())],
                    streamlog::AppendOptions::new().id(EntryId::new(n + 1, 0)),
                )
                .unwrap();
        }
        assert_eq!(store.names().len(), 50);
        for n in 0..50u64 {
            let stream = store.get(format!("s{n}")).unwrap().unwrap();
            assert_eq!(live(&stream), [format!("{}-0", n + 1)]);
        }
        assert_eq!(store.health().open_streams, 50);
    });
}

#[test]
fn handles_can_be_sent_and_shared() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    shared::<Store>();
    shared::<streamlog::Stream>();
    shared::<streamlog::Group>();
    shared::<streamlog::Consumer>();
    shared::<streamlog::Snapshot>();
    shared::<streamlog::Batch>();
    shared::<streamlog::Delivery>();
    shared::<streamlog::Error>();
}

/// Fails in some of 8,000 rounds if the background takes the missing files of a stream that was
/// removed while it worked on it for a failure.
#[test]
fn a_removal_in_the_middle_of_background_work_is_no_failure() {
    let store = Store::in_memory().unwrap();
    let retention = Retention::new().max_len(5);
    for round in 0..8000 {
        let options = StreamOptions::new().segment_bytes(4096);
        let options = if round % 2 == 0 { options } else { options.retention(retention) };
        let stream = store.stream_with("s", options).unwrap();
        for _ in 0..8 {
            stream.append([("v", vec![7; 1000])]).unwrap();
        }
        store.remove("s").unwrap();
        assert_eq!(store.health().background, None);
    }
}
