//! Groups, claims, trims and waits: what is refused, and what is odd and legal.

use crate::ground::{all, error, id, kind, on_both, put, put_range, texts, waiting};
use std::ops::Bound;
use std::time::Duration;
use streamlog::{
    AppendOptions, ClaimOptions, EntryId, ErrorKind, GroupReadOptions, NewEntries, PendingFilter,
    ReadOptions, Result, Start, Trim,
};

fn text<T>(result: Result<T>) -> String {
    error(result).to_string()
}

#[test]
fn unknown_and_doubled_groups_are_named() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let group = stream.create_group("tab\t", Start::First).unwrap();
        let twice = error(stream.create_group("tab\t", Start::First));
        let name = b"tab\t".to_vec();
        assert_eq!(*twice.kind(), ErrorKind::GroupExists { name: name.clone() });
        assert_eq!(twice.to_string(), "there is already a group \"tab\\t\"");
        stream.remove_group("tab\t").unwrap();
        let gone = error(group.info());
        assert_eq!(*gone.kind(), ErrorKind::NoGroup { name });
        assert_eq!(gone.to_string(), "there is no group \"tab\\t\"");
        let gone = error(store.rename("nobody", "x"));
        assert_eq!(gone.to_string(), "there is no stream \"nobody\"");
    });
}

/// Redis, too, has no error for it in any command.
#[test]
fn a_consumer_that_nobody_knows_is_no_error() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, 3);
        let group = stream.create_group("g", Start::First).unwrap();
        let names = || group.consumers().unwrap().into_iter().map(|consumer| consumer.name);
        assert_eq!(group.remove_consumer("nobody").unwrap(), 0);
        let filter = PendingFilter::new().consumer("nobody");
        assert_eq!(group.pending_range(.., filter).unwrap(), []);
        let nobody = group.consumer("nobody").unwrap();
        assert_eq!(names().len(), 0);
        assert!(nobody.history(EntryId::MIN, 9).unwrap().is_empty());
        assert!(
            group.consumer("x").unwrap().claim(all(&["1-0"]), Duration::ZERO).unwrap().is_empty()
        );
        assert_eq!(names().collect::<Vec<_>>(), [b"nobody".to_vec(), b"x".to_vec()]);
        assert_eq!(group.remove_consumer("nobody").unwrap(), 0);
        // The handle goes on: it is a name.
        assert_eq!(nobody.read(GroupReadOptions::new()).unwrap().len(), 3);
    });
}

#[test]
fn a_position_beyond_the_end_is_legal_and_a_count_is_cut() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, 3);
        let beyond = Start::After(EntryId::MAX);
        let group = stream.create_group_with("g", beyond, Some(u64::MAX)).unwrap();
        let info = group.info().unwrap();
        assert_eq!(info.last_delivered_id, EntryId::MAX);
        assert_eq!(info.entries_read, Some(3));
        group.set_id_with(Start::First, Some(u64::MAX)).unwrap();
        assert_eq!(group.info().unwrap().entries_read, Some(3));
    });
}

#[test]
fn acknowledgements_and_claims_of_anything_are_counted_not_refused() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, 3);
        let group = stream.create_group("g", Start::First).unwrap();
        let consumer = group.consumer("c").unwrap();
        drop(consumer.read(GroupReadOptions::new().count(2)).unwrap());
        assert_eq!(group.ack([]).unwrap(), 0);
        assert_eq!(group.ack([EntryId::MIN, EntryId::MAX, id("3-0")]).unwrap(), 0);
        assert_eq!(group.ack(all(&["1-0", "1-0"])).unwrap(), 1);
        assert!(consumer.claim([], Duration::ZERO).unwrap().is_empty());
        // No idle time can be out of range: `Duration` holds more than the clock of a group, and
        // what is longer than that nothing has ever been idle for. (Redis's milliseconds are signed
        // and can overflow.)
        assert!(consumer.claim(all(&["2-0"]), Duration::MAX).unwrap().is_empty());
        let wild =
            ClaimOptions::new(Duration::ZERO).idle(Duration::MAX).retry_count(u64::MAX).force();
        let claimed = consumer.claim_with([id("2-0"), EntryId::MAX], wild).unwrap();
        assert_eq!(texts(claimed.ids()), ["2-0"]);
        // One more delivery does not overflow the count.
        drop(consumer.claim(all(&["2-0"]), Duration::ZERO).unwrap());
        let found = group.pending_range(.., PendingFilter::new()).unwrap();
        assert!(found[0].deliveries >= i64::MAX as u64);
        let filter = PendingFilter::new().min_idle(Duration::MAX).count(0);
        assert_eq!(group.pending_range(.., filter).unwrap(), []);
    });
}

#[test]
fn an_automatic_claim_needs_a_count_it_can_hold() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let group = stream.create_group("g", Start::First).unwrap();
        let consumer = group.consumer("c").unwrap();
        for count in [0, (1 << 59) + 1, usize::MAX] {
            let refused = error(consumer.auto_claim(EntryId::MIN, Duration::ZERO, count));
            let ErrorKind::InvalidArgument { argument, reason } = refused.kind() else {
                panic!("{refused:?}");
            };
            assert_eq!(*argument, "count");
            assert_eq!(refused.to_string(), format!("invalid count: {reason}"));
        }
        let found = consumer.auto_claim(EntryId::MAX, Duration::MAX, 1 << 58);
        assert_eq!(found.unwrap().next, None);
    });
}

#[test]
fn a_limit_needs_an_approximate_trim() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, 5);
        let reason = "a limit needs an approximate trim";
        for trim in [Trim::max_len(1).limit(0), Trim::min_id(id("3-0")).limit(7)] {
            assert_eq!(kind(stream.trim(trim)), ErrorKind::InvalidTrim { reason });
            let options = AppendOptions::new().trim(trim);
            let refused = text(stream.append_with([("a", "b")], options));
            assert_eq!(refused, format!("invalid trim: {reason}"));
        }
        assert_eq!(stream.info().unwrap().entries_added, 5);
        assert_eq!(stream.trim(Trim::max_len(u64::MAX)).unwrap(), 0);
        assert_eq!(stream.trim(Trim::min_id(EntryId::MAX)).unwrap(), 5);
        put(&stream, "6-0");
    });
}

#[test]
fn the_last_id_cannot_be_set_below_what_there_is() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, 5);
        stream.delete(all(&["5-0"])).unwrap();
        let refused = |last: &str, added, max: Option<&str>, reason: &'static str| {
            let refused = error(stream.set_id(id(last), added, max.map(id)));
            assert_eq!(*refused.kind(), ErrorKind::SetIdTooSmall { reason });
            assert_eq!(refused.to_string(), format!("cannot set the last ID: {reason}"));
        };
        let given = "it is smaller than the given max-deleted ID";
        refused("6-0", None, Some("6-1"), given);
        let current = "it is smaller than the current max-deleted ID";
        refused("4-9", None, None, current);
        let length = "entries-added would be smaller than the length";
        refused("6-0", Some(3), None, length);
        let info = stream.info().unwrap();
        assert_eq!((info.last_id, info.entries_added), (id("5-0"), 5));
        put(&stream, "7-0");
        refused("6-0", None, None, "it is smaller than the top entry");
    });
}

/// Redis refuses an exclusive end that has no ID beyond it: `(` and the largest below, `(0-0` above.
/// As a range of Rust that is an empty one and no error, so there is no `InvalidRange`.
#[test]
fn an_excluded_end_with_nothing_beyond_it_is_an_empty_range() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, 3);
        put(&stream, &EntryId::MAX.to_string());
        let group = stream.create_group("g", Start::First).unwrap();
        drop(group.consumer("c").unwrap().read(GroupReadOptions::new()).unwrap());
        let behind = (Bound::Excluded(EntryId::MAX), Bound::Unbounded);
        for nothing in [behind, (Bound::Unbounded, Bound::Excluded(EntryId::MIN))] {
            assert_eq!(stream.range(nothing).count(), 0);
            assert_eq!(group.pending_range(nothing, PendingFilter::new()).unwrap(), []);
        }
    });
}

#[test]
#[allow(clippy::reversed_empty_ranges)]
fn ranges_and_counts_of_any_size_are_legal() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, 3);
        assert_eq!(stream.range(EntryId::MAX..EntryId::MIN).count(), 0);
        assert_eq!(stream.range(..EntryId::MIN).count(), 0);
        let options = ReadOptions::new().count(usize::MAX).bytes(usize::MAX);
        assert_eq!(stream.read(Start::First, options).unwrap().len(), 3);
        assert_eq!(stream.get(EntryId::MIN).unwrap(), None);
        let ids = [EntryId::MIN, EntryId::MAX];
        assert_eq!(stream.delete(ids).unwrap(), 0);
    });
}

#[test]
fn a_wait_of_any_length_is_legal_and_ends_with_the_store() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        let none = ReadOptions::new().block(Duration::ZERO);
        assert!(stream.read(Start::First, none).unwrap().is_empty());
        let reader = {
            let stream = stream.clone();
            let longest = ReadOptions::new().block(Duration::MAX);
            waiting(move || error(stream.read(Start::First, longest)))
        };
        store.clone().close().unwrap();
        let closed = reader.join().unwrap();
        assert_eq!(*closed.kind(), ErrorKind::Closed);
        assert_eq!(closed.to_string(), "the store is closed");
    });
}

#[test]
fn everything_on_a_closed_store_says_so() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put(&stream, "1-0");
        let group = stream.create_group("g", Start::First).unwrap();
        let consumer = group.consumer("c").unwrap();
        store.clone().close().unwrap();
        let none: [EntryId; 0] = [];
        let results: Vec<Result<()>> = vec![
            stream.append([("a", "b")]).map(drop),
            stream.append_batch(&NewEntries::new()).map(drop),
            stream.get(id("1-0")).map(drop),
            stream.snapshot().map(drop),
            stream.range(..).next().unwrap().map(drop),
            stream.read(Start::First, ReadOptions::new()).map(drop),
            stream.tail(Start::First).map(drop),
            stream.subscribe(Start::First, 1).map(drop),
            stream.delete(none).map(drop),
            stream.trim(Trim::max_len(0)).map(drop),
            stream.info().map(drop),
            stream.set_id(EntryId::MAX, None, None),
            stream.durable_id().map(drop),
            stream.wait_durable(id("1-0")),
            stream.group("g", Start::First).map(drop),
            stream.groups().map(drop),
            stream.remove_group("g").map(drop),
            group.info().map(drop),
            group.ack(none).map(drop),
            group.pending().map(drop),
            group.set_id(Start::First),
            group.create_consumer("d").map(drop),
            consumer.read(GroupReadOptions::new()).map(drop),
            consumer.history(EntryId::MIN, 0).map(drop),
            consumer.claim(none, Duration::ZERO).map(drop),
            consumer.auto_claim(EntryId::MIN, Duration::ZERO, 1).map(drop),
            store.stream("t").map(drop),
            store.get("s").map(drop),
            store.remove("s").map(drop),
            store.rename("s", "t"),
            store.copy("s", "t", false).map(drop),
            store.sync(),
            store.recover_all(),
        ];
        for (n, result) in results.into_iter().enumerate() {
            assert!(result.is_err(), "call {n}");
            assert_eq!(kind(result), ErrorKind::Closed, "call {n}");
        }
        store.clone().close().unwrap();
    });
}
