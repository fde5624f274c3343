//! References: what the removal of entries means for the groups, and the other way round.

use crate::ground::{all, id, live, on_both, put_range, texts};
use streamlog::Deletion::{Deleted, NotFound, Referenced};
use streamlog::RefPolicy::{Acked, DelRef, KeepRef};
use streamlog::{
    AppendOptions, Deletion, EntryId, Group, GroupReadOptions, NewId, PendingFilter, RefPolicy,
    Start, Store, Stream, StreamOptions, Trim,
};

/// A stream with blocks of so many entries, of which there are so many.
fn stream(store: &Store, block: u32, entries: u64) -> Stream {
    let options = StreamOptions::new().block_entries(block).block_bytes(0);
    let stream = store.stream_with("s", options).unwrap();
    put_range(&stream, 1, entries);
    stream
}

/// A group whose consumer `c` was given so many entries; 0 is all.
fn group(stream: &Stream, name: &str, read: usize) -> Group {
    let group = stream.create_group(name, Start::First).unwrap();
    drop(group.consumer("c").unwrap().read(GroupReadOptions::new().count(read)).unwrap());
    group
}

fn pending(group: &Group) -> Vec<String> {
    let found = group.pending_range(.., PendingFilter::new()).unwrap();
    assert_eq!(group.pending().unwrap().count, found.len() as u64);
    texts(found.iter().map(|one| one.id))
}

fn delete(stream: &Stream, ids: &[&str], policy: RefPolicy) -> Vec<Deletion> {
    stream.delete_with(all(ids), policy).unwrap()
}

fn max_deleted(stream: &Stream) -> String {
    stream.info().unwrap().max_deleted_id.to_string()
}

/// What is done is seen when the store is opened again, out of records and out of checkpoints.
fn reopened(done: impl Fn(&Store), seen: impl Fn(&Store)) {
    let dir = tempfile::tempdir().unwrap();
    let open = || Store::open(dir.path()).unwrap();
    done(&open());
    for _ in 0..4 {
        seen(&open());
    }
}

fn append(stream: &Stream, trim: Trim) {
    stream.append_with([("f", "v")], AppendOptions::new().trim(trim)).unwrap();
}

#[test]
fn a_deletion_tells_of_each_id_what_became_of_it() {
    on_both(|store| {
        let stream = stream(store, 100, 3);
        let told = delete(&stream, &["2-0", "9-0", "2-0", "1-0"], KeepRef);
        assert_eq!(told, [Deleted, NotFound, NotFound, Deleted]);
        assert_eq!((live(&stream), &*max_deleted(&stream)), (vec!["3-0".to_owned()], "2-0"));
        assert_eq!(stream.info().unwrap().first_id, id("3-0"));
    });
}

#[test]
fn what_is_deleted_with_its_references_kept_stays_pending() {
    on_both(|store| {
        let stream = stream(store, 100, 2);
        let group = group(&stream, "g", 0);
        assert_eq!(delete(&stream, &["1-0"], KeepRef), [Deleted]);
        assert_eq!(pending(&group), ["1-0", "2-0"]);
    });
}

#[test]
fn what_is_deleted_with_its_references_is_pending_nowhere() {
    on_both(|store| {
        let stream = stream(store, 100, 3);
        let (one, two) = (group(&stream, "one", 0), group(&stream, "two", 2));
        assert_eq!(delete(&stream, &["2-0", "1-0", "2-0"], DelRef), [Deleted, Deleted, NotFound]);
        assert_eq!((pending(&one), pending(&two)), (vec!["3-0".to_owned()], vec![]));
        assert_eq!(one.consumers().unwrap()[0].pending, 1);
    });
}

#[test]
fn references_go_where_the_entry_is_gone_already() {
    on_both(|store| {
        let stream = stream(store, 100, 3);
        let group = group(&stream, "g", 0);
        stream.delete(all(&["1-0"])).unwrap();
        stream.trim(Trim::min_id(id("3-0"))).unwrap();
        assert_eq!(pending(&group), ["1-0", "2-0", "3-0"]);
        assert_eq!(delete(&stream, &["1-0", "2-0"], DelRef), [NotFound, NotFound]);
        assert_eq!(pending(&group), ["3-0"]);
        assert_eq!(max_deleted(&stream), "1-0");
    });
}

#[test]
fn what_some_group_has_not_acknowledged_is_not_deleted() {
    on_both(|store| {
        let stream = stream(store, 100, 3);
        let (one, two) = (group(&stream, "one", 0), group(&stream, "two", 1));
        one.ack(all(&["1-0", "2-0"])).unwrap();
        // Pending in one of them; not read by one of them; an ID that never was, above a cursor.
        let told = delete(&stream, &["1-0", "2-0", "8-0", "0-5"], Acked);
        assert_eq!(told, [Referenced, Referenced, Referenced, NotFound]);
        two.ack(all(&["1-0"])).unwrap();
        assert_eq!(delete(&stream, &["1-0", "1-0"], Acked), [Deleted, NotFound]);
        // A group that comes later, at an older place.
        drop(two.consumer("c").unwrap().read(GroupReadOptions::new().no_ack()).unwrap());
        let late = stream.create_group("late", Start::After(id("1-0"))).unwrap();
        assert_eq!(delete(&stream, &["2-0"], Acked), [Referenced]);
        late.set_id(Start::After(id("2-0"))).unwrap();
        assert_eq!(delete(&stream, &["2-0"], Acked), [Deleted]);
        assert_eq!(live(&stream), ["3-0"]);
    });
}

#[test]
fn a_group_that_is_removed_references_nothing() {
    on_both(|store| {
        let stream = stream(store, 100, 2);
        group(&stream, "one", 0).ack(all(&["1-0", "2-0"])).unwrap();
        drop(group(&stream, "two", 1));
        assert_eq!(delete(&stream, &["1-0", "2-0"], Acked), [Referenced; 2]);
        stream.remove_group("two").unwrap();
        assert_eq!(delete(&stream, &["1-0"], Acked), [Deleted]);
        stream.remove_group("one").unwrap();
        assert_eq!(delete(&stream, &["2-0", "7-0"], Acked), [Deleted, NotFound]);
    });
}

#[test]
fn an_acknowledgement_with_deletion_is_of_one_groups_pending_entries() {
    on_both(|store| {
        let stream = stream(store, 100, 4);
        let (one, two) = (group(&stream, "one", 2), group(&stream, "two", 3));
        // Not pending in this group, whatever the stream holds.
        let told = one.ack_delete(all(&["3-0", "9-0", "1-0", "1-0"]), KeepRef).unwrap();
        assert_eq!(told, [NotFound, NotFound, Deleted, NotFound]);
        assert_eq!((pending(&one), pending(&two).len()), (vec!["2-0".to_owned()], 3));
        assert_eq!(live(&stream), ["2-0", "3-0", "4-0"]);
        // The other group can still do the same, though the entry is gone.
        assert_eq!(two.ack_delete(all(&["1-0"]), KeepRef).unwrap(), [Deleted]);
        assert_eq!(two.ack_delete(all(&["2-0"]), DelRef).unwrap(), [Deleted]);
        assert_eq!((pending(&one), pending(&two)), (vec![], vec!["3-0".to_owned()]));
        assert_eq!(max_deleted(&stream), "2-0");
        // What is gone and pending elsewhere goes there, too.
        two.consumer("c").unwrap().history(EntryId::MIN, 0).unwrap().ack_all().unwrap();
        assert_eq!(two.ack_delete(all(&["3-0"]), DelRef).unwrap(), [NotFound]);
        assert_eq!(live(&stream), ["3-0", "4-0"]);
    });
}

#[test]
fn an_acknowledged_entry_goes_with_the_last_group() {
    on_both(|store| {
        let stream = stream(store, 100, 2);
        let (one, two) = (group(&stream, "one", 0), group(&stream, "two", 0));
        assert_eq!(one.ack_delete(all(&["1-0", "2-0"]), Acked).unwrap(), [Referenced; 2]);
        assert_eq!((pending(&one).len(), live(&stream).len()), (0, 2));
        stream.delete(all(&["2-0"])).unwrap();
        assert_eq!(two.ack_delete(all(&["1-0", "2-0"]), Acked).unwrap(), [Deleted; 2]);
        assert!(live(&stream).is_empty());
    });
}

#[test]
fn a_trim_takes_its_entries_off_the_pending_lists() {
    on_both(|store| {
        let stream = stream(store, 100, 5);
        let (one, two) = (group(&stream, "one", 0), group(&stream, "two", 4));
        stream.delete(all(&["1-0"])).unwrap();
        assert_eq!(stream.trim(Trim::max_len(1).references(DelRef)).unwrap(), 3);
        // What was gone before is none of the trimmed ones.
        assert_eq!(pending(&one), ["1-0", "5-0"]);
        assert_eq!(pending(&two), ["1-0"]);
        assert_eq!((live(&stream), &*max_deleted(&stream)), (vec!["5-0".to_owned()], "1-0"));
    });
}

#[test]
fn an_append_trims_what_is_pending() {
    on_both(|store| {
        let stream = stream(store, 100, 5);
        let group = group(&stream, "g", 1);
        append(&stream, Trim::max_len(1).references(DelRef));
        assert_eq!((stream.len().unwrap(), pending(&group).len()), (1, 0));
        append(&stream, Trim::max_len(0).references(DelRef));
        assert_eq!(stream.info().unwrap().entries_added, 7);
        assert!(stream.is_empty().unwrap());
    });
}

#[test]
fn an_approximate_trim_with_references_looks_at_entries() {
    on_both(|store| {
        let stream = stream(store, 2, 4);
        let group = group(&stream, "g", 0);
        let four = Trim::min_id(id("4-0")).approximate().references(DelRef);
        assert_eq!(stream.trim(four.limit(1)).unwrap(), 0);
        assert_eq!(stream.trim(four.limit(3)).unwrap(), 2);
        assert_eq!((live(&stream).len(), pending(&group).len()), (2, 2));
        assert_eq!(stream.trim(four).unwrap(), 1);
        assert_eq!((pending(&group), live(&stream)), (vec!["4-0".into()], vec!["4-0".into()]));
        let all = Trim::min_id(id("5-0")).approximate().references(DelRef);
        assert_eq!((stream.trim(all).unwrap(), pending(&group).len()), (1, 0));
    });
}

#[test]
fn a_trim_passes_over_what_is_not_acknowledged() {
    on_both(|store| {
        let stream = stream(store, 2, 5);
        let group = group(&stream, "g", 0);
        group.ack(all(&["1-0", "2-0", "4-0"])).unwrap();
        let below = Trim::min_id(id("6-0")).approximate().references(Acked);
        assert_eq!(stream.trim(below).unwrap(), 3);
        let reopened = |stream: &Stream| {
            assert_eq!(live(stream), ["3-0", "5-0"]);
            let info = stream.info().unwrap();
            assert_eq!((info.length, info.entries_added), (2, 5));
            assert_eq!((info.first_id, info.max_deleted_id), (id("3-0"), EntryId::MIN));
        };
        reopened(&stream);
        assert_eq!(group.info().unwrap().lag, Some(0));
    });
}

#[test]
fn an_append_keeps_what_is_not_read_or_not_acknowledged() {
    on_both(|store| {
        let stream = stream(store, 100, 5);
        let group = stream.create_group("g", Start::First).unwrap();
        let one = Trim::max_len(1).references(Acked);
        append(&stream, one);
        assert_eq!(stream.len().unwrap(), 6);
        let reader = group.consumer("c").unwrap();
        reader.read(GroupReadOptions::new().count(1)).unwrap().ack_all().unwrap();
        append(&stream, one);
        assert_eq!((stream.len().unwrap(), &*live(&stream)[0]), (6, "2-0"));
        reader.read(GroupReadOptions::new()).unwrap().ack_all().unwrap();
        append(&stream, one);
        assert_eq!(stream.len().unwrap(), 1);
    });
}

#[test]
fn a_trim_to_a_length_ends_with_the_first_block_that_cannot_go_as_a_whole() {
    on_both(|store| {
        let stream = stream(store, 2, 8);
        let group = group(&stream, "g", 0);
        group.ack(all(&["2-0", "3-0", "7-0", "8-0"])).unwrap();
        // Of the first two blocks one entry each, and of the third, without which five would not be
        // left, none can go. What lies behind it is not looked at.
        assert_eq!(stream.trim(Trim::max_len(5).references(Acked)).unwrap(), 2);
        assert_eq!(live(&stream), ["1-0", "4-0", "5-0", "6-0", "7-0", "8-0"]);
        assert_eq!(stream.trim(Trim::max_len(3).references(Acked)).unwrap(), 2);
        assert_eq!(live(&stream), ["1-0", "4-0", "5-0", "6-0"]);
    });
}

#[test]
fn all_of_it_is_there_after_a_reopening() {
    reopened(
        |store| {
            let stream = stream(store, 2, 9);
            let (one, two) = (group(&stream, "one", 0), group(&stream, "two", 8));
            one.ack(all(&["2-0", "4-0"])).unwrap();
            two.ack(all(&["1-0", "2-0", "4-0"])).unwrap();
            assert_eq!(stream.trim(Trim::min_id(id("6-0")).references(Acked)).unwrap(), 2);
            assert_eq!(one.ack_delete(all(&["5-0"]), DelRef).unwrap(), [Deleted]);
            assert_eq!(delete(&stream, &["8-0"], DelRef), [Deleted]);
            let early = NewId::from(id("20-0"));
            stream.append_with([("f", "v")], AppendOptions::new().id(early)).unwrap();
            assert_eq!(stream.trim(Trim::max_len(4).references(DelRef)).unwrap(), 2);
        },
        |store| {
            let stream = store.get("s").unwrap().unwrap();
            assert_eq!(live(&stream), ["6-0", "7-0", "9-0", "20-0"]);
            let group = |name: &str| stream.get_group(name).unwrap().unwrap();
            assert_eq!(pending(&group("one")), ["6-0", "7-0", "9-0"]);
            assert_eq!(pending(&group("two")), ["6-0", "7-0"]);
            let info = stream.info().unwrap();
            assert_eq!((info.entries_added, info.max_deleted_id), (10, id("8-0")));
        },
    );
}
