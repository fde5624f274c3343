//! Deliveries given back: what becomes of their records, and who gets them next.

use crate::ground::{all, id, on_both, put_range, texts};
use std::time::Duration;
use streamlog::NackMode::{Fail, Fatal, Silent};
use streamlog::{
    ClaimOptions, Consumer, EntryId, Group, GroupReadOptions, NackOptions, PendingFilter,
    RefPolicy, Start, Store, Stream, Trim,
};

const NOW: Duration = Duration::ZERO;
const HOUR: Duration = Duration::from_secs(3600);
const MOST: u64 = i64::MAX as u64;

/// A stream whose entries are all pending for `a`.
fn pending(store: &Store, entries: u64) -> (Stream, Group, Consumer, Consumer) {
    let stream = store.stream("s").unwrap();
    put_range(&stream, 1, entries);
    let group = stream.create_group("g", Start::First).unwrap();
    let (a, b) = (group.consumer("a").unwrap(), group.consumer("b").unwrap());
    assert_eq!(a.read(GroupReadOptions::new()).unwrap().len() as u64, entries);
    (stream, group, a, b)
}

/// ID, owner, deliveries of all that is pending; a `-` is nobody.
fn records(group: &Group) -> Vec<String> {
    let found = group.pending_range(.., PendingFilter::new()).unwrap();
    let told = found.into_iter().map(|one| {
        assert!(!one.unowned || one.consumer.is_empty() && one.idle.is_zero());
        let owner = if one.unowned { "-".into() } else { String::from_utf8(one.consumer).unwrap() };
        format!("{} {owner} {}", one.id, one.deliveries)
    });
    told.collect()
}

fn nack(group: &Group, ids: &[&str]) -> u64 {
    group.nack(all(ids), Fail).unwrap()
}

#[test]
fn the_mode_decides_on_the_count() {
    on_both(|store| {
        let (_, group, _, b) = pending(store, 3);
        assert_eq!(group.nack(all(&["1-0"]), Silent).unwrap(), 1);
        assert_eq!(group.nack(all(&["2-0"]), Fail).unwrap(), 1);
        assert_eq!(group.nack(all(&["3-0"]), Fatal).unwrap(), 1);
        assert_eq!(records(&group), ["1-0 - 0", "2-0 - 1", &format!("3-0 - {MOST}")]);
        // Not below 0, and with a fresh count three claims and one silent return make 2.
        group.nack(all(&["1-0"]), Silent).unwrap();
        assert_eq!(records(&group)[0], "1-0 - 0");
        (0..3).for_each(|_| drop(b.claim(all(&["1-0"]), NOW).unwrap()));
        group.nack(all(&["1-0"]), Silent).unwrap();
        assert_eq!(records(&group)[0], "1-0 - 2");
        // What is at the largest stays there.
        drop(b.claim(all(&["3-0"]), NOW).unwrap());
        assert_eq!(records(&group)[2], format!("3-0 b {MOST}"));
    });
}

#[test]
fn a_retry_count_is_set_whatever_the_mode() {
    on_both(|store| {
        let (_, group, ..) = pending(store, 3);
        let seven = NackOptions::new().retry_count(7);
        for (id, mode) in [("1-0", Silent), ("2-0", Fail), ("3-0", Fatal)] {
            assert_eq!(group.nack_with(all(&[id]), mode, seven).unwrap(), 1);
        }
        assert_eq!(records(&group), ["1-0 - 7", "2-0 - 7", "3-0 - 7"]);
        let most = NackOptions::new().retry_count(u64::MAX);
        group.nack_with(all(&["1-0"]), Fail, most).unwrap();
        assert_eq!(records(&group)[0], format!("1-0 - {MOST}"));
    });
}

#[test]
fn what_was_given_back_is_nobodys() {
    on_both(|store| {
        let (_, group, a, _) = pending(store, 3);
        let before = group.consumers().unwrap()[0].clone();
        assert_eq!(nack(&group, &["1-0", "3-0"]), 2);
        assert_eq!(records(&group), ["1-0 - 1", "2-0 a 1", "3-0 - 1"]);
        // The consumer stays, has the rest, and neither acted nor obtained anything.
        let after = group.consumers().unwrap()[0].clone();
        assert_eq!((after.pending, before.pending), (1, 3));
        assert!(after.inactive >= before.inactive);
        assert_eq!(texts(a.history(EntryId::MIN, 0).unwrap().ids()), ["2-0"]);
        // It counts in the whole, and for no consumer.
        let whole = group.pending().unwrap();
        assert_eq!((whole.count, whole.consumers), (3, vec![(b"a".to_vec(), 1)]));
        assert_eq!((whole.first, whole.last), (Some(id("1-0")), Some(id("3-0"))));
        // It passes every filter of idleness, but not that of a consumer.
        let idle = PendingFilter::new().min_idle(HOUR);
        assert_eq!(group.pending_range(.., idle.clone()).unwrap().len(), 2);
        assert_eq!(group.pending_range(.., idle.count(1)).unwrap().len(), 1);
        assert!(group.pending_range(.., PendingFilter::new().consumer("")).unwrap().is_empty());
    });
}

#[test]
fn what_is_not_pending_is_passed_over_and_repeats_count() {
    on_both(|store| {
        let (stream, group, ..) = pending(store, 2);
        put_range(&stream, 3, 3);
        assert_eq!(nack(&group, &["3-0", "9-0"]), 0);
        assert_eq!(nack(&group, &["1-0", "1-0", "2-0", "1-0"]), 4);
        assert_eq!(group.nack(all(&["2-0", "2-0"]), Silent).unwrap(), 2);
        assert_eq!(records(&group), ["1-0 - 1", "2-0 - 0"]);
    });
}

#[test]
fn force_makes_records_of_entries_that_live() {
    on_both(|store| {
        let (stream, group, ..) = pending(store, 1);
        put_range(&stream, 2, 5);
        stream.delete(all(&["5-0"])).unwrap();
        let force = NackOptions::new().force();
        for (id, mode) in [("2-0", Silent), ("3-0", Fail), ("4-0", Fatal)] {
            assert_eq!(group.nack_with(all(&[id]), mode, force).unwrap(), 1);
        }
        assert_eq!(group.nack_with(all(&["5-0", "9-0"]), Fail, force).unwrap(), 0);
        assert_eq!(group.nack_with(all(&["1-0"]), Fatal, force.retry_count(3)).unwrap(), 1);
        let most = format!("4-0 - {MOST}");
        assert_eq!(records(&group), ["1-0 - 3", "2-0 - 0", "3-0 - 0", &most]);
        // The cursor stays, so that they are new entries, too.
        assert_eq!(group.info().unwrap().last_delivered_id, id("1-0"));
        let read = group.consumer("b").unwrap().read(GroupReadOptions::new()).unwrap();
        assert_eq!(texts(read.ids()), ["2-0", "3-0", "4-0"]);
        assert_eq!(records(&group), ["1-0 - 3", "2-0 b 1", "3-0 b 1", "4-0 b 1"]);
    });
}

#[test]
fn it_can_be_claimed_however_fresh_it_is() {
    on_both(|store| {
        let (_, group, _, b) = pending(store, 4);
        nack(&group, &["2-0", "3-0", "4-0"]);
        let claimed = b.claim(all(&["1-0", "2-0"]), HOUR).unwrap();
        assert_eq!(texts(claimed.ids()), ["2-0"]);
        let found = b.auto_claim(EntryId::MIN, HOUR, 10).unwrap();
        assert_eq!((texts(found.delivery.ids()), found.next), (all_of("3-0 4-0"), None));
        assert_eq!(records(&group), ["1-0 a 1", "2-0 b 2", "3-0 b 2", "4-0 b 2"]);
        let ids = b.claim_ids(all(&["1-0"]), ClaimOptions::new(HOUR)).unwrap();
        assert!(ids.is_empty());
    });
}

fn all_of(ids: &str) -> Vec<String> {
    ids.split(' ').map(str::to_owned).collect()
}

#[test]
fn it_outlives_its_entry_until_somebody_claims_it() {
    on_both(|store| {
        let (stream, group, _, b) = pending(store, 4);
        nack(&group, &["1-0", "2-0", "3-0"]);
        stream.trim(Trim::min_id(id("2-0"))).unwrap();
        stream.delete(all(&["2-0", "3-0"])).unwrap();
        assert_eq!(records(&group), ["1-0 - 1", "2-0 - 1", "3-0 - 1", "4-0 a 1"]);
        assert_eq!(nack(&group, &["2-0"]), 1);
        assert!(b.claim(all(&["1-0"]), HOUR).unwrap().is_empty());
        let found = b.auto_claim(EntryId::MIN, HOUR, 10).unwrap();
        assert_eq!(found.deleted, all(&["2-0", "3-0"]));
        assert_eq!(records(&group), ["4-0 a 1"]);
    });
}

#[test]
fn what_else_ends_it() {
    on_both(|store| {
        let (stream, group, ..) = pending(store, 5);
        nack(&group, &["1-0", "2-0", "3-0", "4-0"]);
        assert_eq!(group.ack(all(&["1-0"])).unwrap(), 1);
        group.ack_delete(all(&["2-0"]), RefPolicy::KeepRef).unwrap();
        stream.delete_with(all(&["3-0"]), RefPolicy::DelRef).unwrap();
        assert_eq!(records(&group), ["4-0 - 1", "5-0 a 1"]);
        // A consumer that goes takes only what is its own along.
        assert_eq!(group.remove_consumer("a").unwrap(), 1);
        assert_eq!(records(&group), ["4-0 - 1"]);
        assert_eq!(stream.info_full(10).unwrap().groups[0].unowned, 1);
        assert!(stream.remove_group("g").unwrap());
        let anew = stream.create_group("g", Start::First).unwrap();
        assert!(records(&anew).is_empty());
    });
}

#[test]
fn it_is_told_in_full_with_neither_owner_nor_time() {
    on_both(|store| {
        let (stream, group, ..) = pending(store, 3);
        nack(&group, &["3-0", "1-0"]);
        let details = &stream.info_full(10).unwrap().groups[0];
        assert_eq!((details.unowned, details.info.pending), (2, 3));
        let told = details.pending.iter().map(|one| (one.id.to_string(), one.consumer.len()));
        let want = [("1-0", 0), ("2-0", 1), ("3-0", 0)].map(|(id, len)| (id.to_owned(), len));
        assert_eq!(told.collect::<Vec<_>>(), want);
        assert_eq!((details.pending[0].delivered_ms, details.pending[2].delivered_ms), (0, 0));
        assert!(details.pending[1].delivered_ms > 0);
        assert_eq!(details.consumers[0].pending_count, 1);
    });
}

#[test]
fn a_delivery_gives_back_what_it_holds() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, 2);
        let group = stream.create_group("g", Start::First).unwrap();
        let delivery = group.consumer("a").unwrap().read(GroupReadOptions::new()).unwrap();
        assert!(delivery.nack(id("1-0"), Fail).unwrap());
        assert_eq!(delivery.ack_all().unwrap(), 2);
    });
}

#[test]
fn it_is_there_after_a_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Store::open(dir.path()).unwrap();
    let (_, group, ..) = pending(&open(), 6);
    nack(&group, &["5-0", "2-0", "4-0"]);
    group.nack_with(all(&["3-0"]), Silent, NackOptions::new().retry_count(9)).unwrap();
    let before = records(&group);
    drop(group);
    for _ in 0..4 {
        let store = open();
        let group = store.stream("s").unwrap().group("g", Start::First).unwrap();
        assert_eq!(records(&group), before);
    }
    let store = open();
    store.copy("s", "copy", false).unwrap();
    let copy = store.stream("copy").unwrap().group("g", Start::First).unwrap();
    assert_eq!(records(&copy), before);
}
