//! Claims: by ID and automatic, with all options.

use crate::ground::{all, id, on_both, put, put_range, texts};
use std::time::Duration;
use streamlog::{
    AutoClaim, ClaimOptions, Consumer, EntryId, Group, GroupReadOptions, PendingFilter, Start,
    Store, Stream, Trim,
};

const NOW: Duration = Duration::ZERO;
const HOUR: Duration = Duration::from_secs(3600);

/// A stream whose entries are all pending for `a`; `b` is to claim them.
fn pending(store: &Store, entries: u64) -> (Stream, Group, Consumer, Consumer) {
    let stream = store.stream("s").unwrap();
    put_range(&stream, 1, entries);
    let group = stream.create_group("g", Start::First).unwrap();
    let (a, b) = (group.consumer("a").unwrap(), group.consumer("b").unwrap());
    let delivery = a.read(GroupReadOptions::new()).unwrap();
    assert_eq!(delivery.len() as u64, entries);
    (stream, group, a, b)
}

/// ID, owner, deliveries of all that is pending.
fn records(group: &Group) -> Vec<(String, String, u64)> {
    let found = group.pending_range(.., PendingFilter::new()).unwrap();
    found
        .into_iter()
        .map(|one| {
            let owner = String::from_utf8(one.consumer).unwrap();
            (one.id.to_string(), owner, one.deliveries)
        })
        .collect()
}

fn record(id: &str, owner: &str, deliveries: u64) -> (String, String, u64) {
    (id.to_owned(), owner.to_owned(), deliveries)
}

#[test]
fn a_claim_changes_the_owner_and_counts_a_delivery() {
    on_both(|store| {
        let (_, group, a, b) = pending(store, 3);
        let claimed = b.claim(all(&["2-0", "1-0"]), NOW).unwrap();
        assert_eq!(texts(claimed.ids()), ["2-0", "1-0"]);
        assert_eq!(claimed.iter().next().unwrap().get("id").unwrap(), b"2-0");
        let want = [("1-0", "b", 2), ("2-0", "b", 2), ("3-0", "a", 1)];
        assert_eq!(records(&group), want.map(|(i, o, n)| record(i, o, n)));
        assert_eq!(texts(a.history(EntryId::MIN, 0).unwrap().ids()), ["3-0"]);
        // From oneself, and with IDs only: the count stays.
        assert_eq!(texts(b.claim(all(&["1-0"]), NOW).unwrap().ids()), ["1-0"]);
        let just = b.claim_ids(all(&["2-0"]), ClaimOptions::new(NOW)).unwrap();
        assert_eq!(just, all(&["2-0"]));
        let want = [("1-0", "b", 3), ("2-0", "b", 2), ("3-0", "a", 2)];
        assert_eq!(records(&group), want.map(|(i, o, n)| record(i, o, n)));
    });
}

#[test]
fn a_claim_passes_over_what_is_not_pending_or_not_idle() {
    on_both(|store| {
        let (stream, group, _, b) = pending(store, 3);
        put(&stream, "4-0");
        group.ack(all(&["1-0"])).unwrap();
        assert!(b.claim(all(&["2-0", "3-0"]), HOUR).unwrap().is_empty());
        let ids = all(&["1-0", "4-0", "9-9", "3-0", "3-0"]);
        assert_eq!(texts(b.claim(ids, NOW).unwrap().ids()), ["3-0", "3-0"]);
        assert!(b.claim([], NOW).unwrap().is_empty());
        let want = [("2-0", "a", 1), ("3-0", "b", 3)];
        assert_eq!(records(&group), want.map(|(i, o, n)| record(i, o, n)));
    });
}

#[test]
fn a_claim_of_an_entry_that_is_gone_ends_its_pending_record() {
    on_both(|store| {
        let (stream, group, _, b) = pending(store, 4);
        stream.delete([id("3-0")]).unwrap();
        stream.trim(Trim::min_id(id("2-0"))).unwrap();
        assert_eq!(records(&group).len(), 4);
        // Also if it is not idle enough.
        let ids = all(&["1-0", "2-0", "3-0"]);
        assert!(b.claim(ids, HOUR).unwrap().is_empty());
        let want = [("2-0", "a", 1), ("4-0", "a", 1)];
        assert_eq!(records(&group), want.map(|(i, o, n)| record(i, o, n)));
    });
}

#[test]
fn the_options_set_idle_time_and_count() {
    on_both(|store| {
        let (_, group, _, b) = pending(store, 3);
        let idle = ClaimOptions::new(NOW).idle(HOUR).retry_count(10);
        drop(b.claim_with(all(&["1-0"]), idle).unwrap());
        let long_ago = ClaimOptions::new(NOW).time_ms(1000);
        drop(b.claim_with(all(&["2-0"]), long_ago).unwrap());
        let future = ClaimOptions::new(NOW).time_ms(u64::MAX).retry_count(0);
        b.claim_ids(all(&["3-0"]), future).unwrap();
        let found = group.pending_range(.., PendingFilter::new()).unwrap();
        let counts: Vec<_> = found.iter().map(|one| one.deliveries).collect();
        assert_eq!(counts, [10, 2, 0]);
        let idle = group.pending_range(.., PendingFilter::new().min_idle(HOUR)).unwrap();
        assert_eq!(texts(idle.iter().map(|one| one.id)), ["1-0", "2-0"]);
        assert!(found[1].idle > Duration::from_secs(1_000_000_000));
        // A future time counts as now.
        assert!(found[2].idle < HOUR);
        assert_eq!(texts(b.claim(all(&["1-0", "3-0"]), HOUR).unwrap().ids()), ["1-0"]);
    });
}

#[test]
fn a_forced_claim_makes_records_for_living_entries_only() {
    on_both(|store| {
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, 4);
        stream.delete([id("3-0")]).unwrap();
        let group = stream.create_group("g", Start::First).unwrap();
        let b = group.consumer("b").unwrap();
        let force = ClaimOptions::new(HOUR).force();
        let ids = all(&["1-0", "3-0", "9-0"]);
        assert_eq!(texts(b.claim_with(ids, force).unwrap().ids()), ["1-0"]);
        assert_eq!(b.claim_ids(all(&["2-0"]), force).unwrap(), all(&["2-0"]));
        let want = [("1-0", "b", 2), ("2-0", "b", 1)];
        assert_eq!(records(&group), want.map(|(i, o, n)| record(i, o, n)));
        // The group's position does not move by it.
        assert_eq!(group.info().unwrap().last_delivered_id, EntryId::MIN);
        let read = b.read(GroupReadOptions::new()).unwrap();
        assert_eq!(texts(read.ids()), ["1-0", "2-0", "4-0"]);
        assert_eq!(records(&group)[0], record("1-0", "b", 1));
    });
}

#[test]
fn a_claim_raises_the_last_id_and_never_lowers_it() {
    on_both(|store| {
        let (stream, group, _, b) = pending(store, 3);
        put_range(&stream, 4, 6);
        let raise = |text| {
            let options = ClaimOptions::new(NOW).last_id(id(text));
            drop(b.claim_with(all(&["1-0"]), options).unwrap());
            group.info().unwrap().last_delivered_id
        };
        assert_eq!(raise("5-0"), id("5-0"));
        assert_eq!(raise("2-0"), id("5-0"));
        let read = b.read(GroupReadOptions::new()).unwrap();
        assert_eq!(texts(read.ids()), ["6-0"]);
    });
}

fn auto(consumer: &Consumer, from: &str, count: usize) -> (String, Vec<String>, Vec<String>) {
    let found: AutoClaim = consumer.auto_claim(id(from), NOW, count).unwrap();
    let next = found.next.map_or("end".to_owned(), |next| next.to_string());
    (next, texts(found.delivery.ids()), texts(found.deleted))
}

fn auto_want(next: &str, claimed: &[&str], deleted: &[&str]) -> (String, Vec<String>, Vec<String>) {
    let owned = |texts: &[&str]| texts.iter().map(|&t| t.to_owned()).collect();
    (next.to_owned(), owned(claimed), owned(deleted))
}

#[test]
fn an_automatic_claim_goes_on_from_its_cursor() {
    on_both(|store| {
        let (_, group, _, b) = pending(store, 5);
        assert_eq!(auto(&b, "0-0", 2), auto_want("3-0", &["1-0", "2-0"], &[]));
        assert_eq!(auto(&b, "3-0", 2), auto_want("5-0", &["3-0", "4-0"], &[]));
        assert_eq!(auto(&b, "5-0", 1), auto_want("end", &["5-0"], &[]));
        assert_eq!(auto(&b, "5-1", 1), auto_want("end", &[], &[]));
        assert!(records(&group).iter().all(|one| one.1 == "b" && one.2 == 2));
        let just = b.auto_claim_ids(id("2-0"), NOW, 2).unwrap();
        assert_eq!((just.next, just.ids), (Some(id("4-0")), all(&["2-0", "3-0"])));
        assert!(records(&group).iter().all(|one| one.2 == 2));
        let none = b.auto_claim(EntryId::MIN, HOUR, 10).unwrap();
        assert_eq!((none.next, none.delivery.len()), (None, 0));
    });
}

#[test]
fn an_automatic_claim_reports_what_is_gone_and_forgets_it() {
    on_both(|store| {
        let (stream, group, _, b) = pending(store, 3);
        stream.delete(all(&["1-0", "2-0"])).unwrap();
        assert_eq!(auto(&b, "0-0", 1), auto_want("2-0", &[], &["1-0"]));
        assert_eq!(auto(&b, "0-0", 1), auto_want("3-0", &[], &["2-0"]));
        assert_eq!(auto(&b, "0-0", 1), auto_want("end", &["3-0"], &[]));
        assert_eq!(records(&group), [record("3-0", "b", 2)]);
    });
}

#[test]
fn an_automatic_claim_after_a_trim_reports_the_trimmed_ones() {
    on_both(|store| {
        let (stream, group, _, b) = pending(store, 3);
        stream.trim(Trim::max_len(1)).unwrap();
        let just = b.auto_claim_ids(EntryId::MIN, NOW, 10).unwrap();
        assert_eq!((just.next, just.ids), (None, all(&["3-0"])));
        assert_eq!(just.deleted, all(&["1-0", "2-0"]));
        assert_eq!(group.pending().unwrap().count, 1);
    });
}

#[test]
fn an_automatic_claim_looks_at_ten_times_its_count() {
    on_both(|store| {
        let (_, _, a, b) = pending(store, 50);
        // Only the last one has been idle long enough.
        let idle = ClaimOptions::new(NOW).idle(HOUR);
        drop(a.claim_with([id("50-0")], idle).unwrap());
        let step = |from| {
            let found = b.auto_claim(from, HOUR, 2).unwrap();
            (found.next, texts(found.delivery.ids()))
        };
        assert_eq!(step(EntryId::MIN), (Some(id("21-0")), vec![]));
        assert_eq!(step(id("21-0")), (Some(id("41-0")), vec![]));
        assert_eq!(step(id("41-0")), (None, vec!["50-0".to_owned()]));
    });
}
