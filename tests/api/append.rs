//! Appending: IDs of all forms, fields of all kinds, batches.

use crate::ground::{error, id, kind, live, on_both, put, texts};
use std::time::Duration;
use streamlog::{
    AppendOptions, BatchOptions, EntryId, ErrorKind, NewEntries, NewId, Store, StreamOptions, Trim,
};

fn with(id: impl Into<NewId>) -> AppendOptions {
    AppendOptions::new().id(id)
}

const MAX: u64 = u64::MAX;

#[test]
fn a_generated_id_follows_the_clock_and_never_goes_back() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let mut last = EntryId::MIN;
        for n in 0..500u32 {
            let id = stream.append([("n", n.to_string())]).unwrap();
            assert!(id > last, "{id} after {last}");
            last = id;
        }
        assert!(last.ms > 1_700_000_000_000);
        // An ID far in the future: the clock is behind it, so numbers go on from it.
        stream.append_with([("a", "b")], with(EntryId::new(2_577_343_934_890, MAX))).unwrap();
        let next = stream.append([("a", "b")]).unwrap();
        assert_eq!(next, EntryId::new(2_577_343_934_891, 0));
        let next = stream.append([("a", "b")]).unwrap();
        assert_eq!(next, EntryId::new(2_577_343_934_891, 1));
    });
}

#[test]
fn a_generated_sequence_number_is_the_next_free_one_of_its_millisecond() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let auto = |ms| stream.append_with([("a", "b")], with(NewId::AutoSeq(ms)));
        assert_eq!(auto(0).unwrap(), id("0-1"));
        put(&stream, "123-456");
        assert_eq!(auto(123).unwrap(), id("123-457"));
        assert_eq!(auto(789).unwrap(), id("789-0"));
        let last = id("789-0");
        let given = EntryId::new(42, 0);
        let want = ErrorKind::IdNotGreater { index: None, given, last };
        assert_eq!(kind(auto(42)), want);
        stream.append_with([("a", "b")], with(EntryId::new(1000, MAX))).unwrap();
        assert!(matches!(kind(auto(1000)), ErrorKind::IdNotGreater { .. }));
        assert_eq!(stream.len().unwrap(), 5);
    });
}

#[test]
fn an_explicit_id_must_be_above_the_last_one_even_if_that_was_deleted() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        assert_eq!(put(&stream, "666-0"), id("666-0"));
        assert_eq!(stream.delete([id("666-0")]).unwrap(), 1);
        for text in ["665-0", "666-0"] {
            let result = stream.append_with([("a", "b")], with(id(text)));
            let want = ErrorKind::IdNotGreater { index: None, given: id(text), last: id("666-0") };
            assert_eq!(kind(result), want);
        }
        assert_eq!(put(&stream, "666-1"), id("666-1"));
        assert_eq!(live(&stream), ["666-1"]);
    });
}

#[test]
fn the_largest_id_is_the_last_one() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let top = EntryId::MAX;
        assert_eq!(stream.append_with([("a", "b")], with(top)).unwrap(), top);
        assert_eq!(kind(stream.append([("a", "b")])), ErrorKind::IdExhausted);
        let explicit = stream.append_with([("a", "b")], with(id("1-1")));
        assert_eq!(kind(explicit), ErrorKind::IdExhausted);
        assert_eq!(stream.len().unwrap(), 1);
        assert_eq!(stream.range(..).next_back().unwrap().unwrap().id(), top);
    });
}

#[test]
fn fields_keep_their_order_their_duplicates_and_their_empty_strings() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let fields: [(&[u8], &[u8]); 5] =
            [(b"b", b"1"), (b"a", b""), (b"", b"nothing"), (b"b", b"2"), (b"\0\xff", b"\r\n")];
        let id = stream.append(fields).unwrap();
        let entry = stream.get(id).unwrap().unwrap();
        assert_eq!(entry.id(), id);
        assert_eq!(entry.fields().collect::<Vec<_>>(), fields);
        assert_eq!(entry.get("b"), Some(&b"1"[..]));
        assert_eq!(entry.get("c"), None);
    });
}

#[test]
fn large_entries_come_back_whole() {
    on_both(|store| {
        let options = StreamOptions::new().segment_bytes(8 << 20);
        let stream = store.stream_with("s", options).unwrap();
        let value: Vec<u8> = (0..3_000_000u32).map(|n| n.to_le_bytes()[1]).collect();
        let first = stream.append([("small", "1")]).unwrap();
        let big = stream.append([("big", &value)]).unwrap();
        let many = (0..70_000u32).map(|n| (n.to_be_bytes(), [7u8]));
        let wide = stream.append(many).unwrap();
        assert_eq!(stream.get(big).unwrap().unwrap().get("big"), Some(&value[..]));
        assert_eq!(stream.get(wide).unwrap().unwrap().fields().len(), 70_000);
        let order: Vec<_> = stream.range(..).map(|entry| entry.unwrap().id()).collect();
        assert_eq!(order, [first, big, wide]);
    });
}

#[test]
fn a_batch_is_appended_whole_with_ids_of_all_forms() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let mut batch = NewEntries::new();
        batch.push_with(id("5-0"), [("a", "1")]).unwrap();
        batch.push_with(NewId::AutoSeq(5), [("a", "2")]).unwrap();
        batch.push_with(NewId::AutoSeq(9), [("a", "3")]).unwrap();
        let range = stream.append_batch(&batch).unwrap();
        assert_eq!(range, Some((id("5-0"), id("9-0"))));
        assert_eq!(live(&stream), ["5-0", "5-1", "9-0"]);
        batch.clear();
        assert_eq!(stream.append_batch(&batch).unwrap(), None);
        assert_eq!(stream.len().unwrap(), 3);
        batch.push([("a", "4")]).unwrap();
        batch.push([("a", "5")]).unwrap();
        let (first, last) = stream.append_batch(&batch).unwrap().unwrap();
        assert!(first > id("9-0") && last > first);
        assert_eq!(stream.info().unwrap().entries_added, 5);
    });
}

#[test]
fn a_batch_with_one_bad_id_leaves_nothing_behind() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put(&stream, "1-0");
        let mut batch = NewEntries::new();
        batch.push_with(id("2-0"), [("a", "1")]).unwrap();
        batch.push_with(id("3-0"), [("a", "2")]).unwrap();
        batch.push_with(id("3-0"), [("a", "3")]).unwrap();
        let want = ErrorKind::IdNotGreater { index: Some(2), given: id("3-0"), last: id("3-0") };
        assert_eq!(kind(stream.append_batch(&batch)), want);
        assert_eq!(live(&stream), ["1-0"]);
        let info = stream.info().unwrap();
        assert_eq!((info.last_id, info.entries_added), (id("1-0"), 1));
        assert_eq!(put(&stream, "2-0"), id("2-0"));
    });
}

/// Fails if `append_batch_with` does not hand on that the batch is to be durable.
#[test]
fn a_batch_may_wait_for_the_disk() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let mut batch = NewEntries::new();
        for n in 1..=3 {
            batch.push_with(EntryId::new(n, 0), [("a", "b")]).unwrap();
        }
        let options = BatchOptions::new().durable().timeout(Duration::from_secs(3600));
        let range = stream.append_batch_with(&batch, options).unwrap();
        assert_eq!(range, Some((EntryId::new(1, 0), EntryId::new(3, 0))));
        assert_eq!(stream.durable_id().unwrap(), EntryId::new(3, 0));
        assert_eq!(stream.append_batch_with(&NewEntries::new(), options).unwrap(), None);
    });
}

#[test]
fn a_batch_of_many_blocks_is_read_in_order() {
    on_both(|store| {
        let options = StreamOptions::new().block_entries(7).segment_bytes(1 << 20);
        let stream = store.stream_with("s", options).unwrap();
        let mut batch = NewEntries::new();
        for n in 1..=1000 {
            batch.push_with(EntryId::new(n, 0), [("n", n.to_string())]).unwrap();
        }
        stream.append_batch(&batch).unwrap();
        let found: Vec<u64> = stream.range(..).map(|entry| entry.unwrap().id().ms).collect();
        assert_eq!(found, (1..=1000).collect::<Vec<_>>());
        assert_eq!(stream.info().unwrap().blocks, 1000u64.div_ceil(7));
    });
}

#[test]
fn an_append_may_trim_and_take_itself_away() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let options = AppendOptions::new().trim(Trim::max_len(0)).id(id("1-0"));
        assert_eq!(stream.append_with([("a", "b")], options).unwrap(), id("1-0"));
        let info = stream.info().unwrap();
        assert_eq!((info.length, info.entries_added), (0, 1));
        assert_eq!(info.last_id, id("1-0"));
        assert_eq!((info.first, info.last), (None, None));
        for n in 2..=9 {
            let options = AppendOptions::new().trim(Trim::max_len(3));
            stream.append_with([("a", "b")], options.id(EntryId::new(n, 0))).unwrap();
        }
        assert_eq!(live(&stream), ["7-0", "8-0", "9-0"]);
    });
}

#[test]
fn entries_appended_by_the_fields_of_an_entry_come_before_it() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let inner = stream.clone();
        let fields = (0..2).map(|n| {
            let id = inner.append([("inner", "1")]).unwrap();
            (format!("f{n}"), id.to_string())
        });
        let outer = stream.append(fields).unwrap();
        let entry = stream.get(outer).unwrap().unwrap();
        let named: Vec<String> =
            entry.fields().map(|(_, v)| String::from_utf8(v.to_vec()).unwrap()).collect();
        let order = live(&stream);
        assert_eq!(order[..2], named[..]);
        assert_eq!(order[2], outer.to_string());
    });
}

#[test]
fn an_entry_that_is_refused_leaves_no_trace() {
    on_both(|store| {
        let options = StreamOptions::new().max_entry_bytes(100);
        let stream = store.stream_with("s", options).unwrap();
        put(&stream, "1-0");
        let none: [(&str, &str); 0] = [];
        assert_eq!(kind(stream.append(none)), ErrorKind::NoFields);
        let large = error(stream.append([("a", "x".repeat(100))]));
        assert!(matches!(large.kind(), ErrorKind::EntryTooLarge { max: 100, .. }));
        assert_eq!(texts(stream.range(..).map(|e| e.unwrap().id())), ["1-0"]);
        assert_eq!(stream.info().unwrap().entries_added, 1);
    });
}

/// Fails if a batch's frame may be longer than a frame can say: without limits for blocks all of it
/// would go into one.
#[test]
fn a_batch_longer_than_a_frame_can_be_is_read_back() {
    let store = Store::in_memory().unwrap();
    let options = StreamOptions::new().segment_bytes(512 << 20).block_entries(0).block_bytes(0);
    let stream = store.stream_with("s", options).unwrap();
    let value = vec![b'x'; 15 << 20];
    let mut batch = NewEntries::new();
    for _ in 0..18 {
        batch.push([("v", &value)]).unwrap();
    }
    stream.append_batch(&batch).unwrap();
    let snapshot = stream.snapshot().unwrap();
    let lengths = snapshot.range(..).map(|entry| entry.unwrap().get("v").unwrap().len());
    assert_eq!(lengths.collect::<Vec<_>>(), [15 << 20; 18]);
}
