//! Reads that claim what is idle: which entries come, in which order, and what is told of them.

use crate::ground::{all, id, on_both, put, put_range, texts, waiting};
use std::time::{Duration, Instant};
use streamlog::{
    ClaimOptions, Consumer, Delivery, EntryId, Group, GroupReadOptions, NackMode, NackOptions,
    PendingFilter, ReadFrom, Start, Store, Stream,
};

const NOW: Duration = Duration::ZERO;
const HOUR: Duration = Duration::from_secs(3600);
const LONGEST: Duration = Duration::from_millis(i64::MAX as u64);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn claim(min_idle: Duration) -> GroupReadOptions {
    GroupReadOptions::new().claim(min_idle)
}

/// A stream whose entries are all pending for `a`; `b` is to claim them.
fn pending(store: &Store, name: &str, entries: u64) -> (Stream, Group, Consumer, Consumer) {
    let stream = store.stream(name).unwrap();
    put_range(&stream, 1, entries);
    let group = stream.create_group("g", Start::First).unwrap();
    let (a, b) = (group.consumer("a").unwrap(), group.consumer("b").unwrap());
    assert_eq!(a.read(GroupReadOptions::new()).unwrap().len() as u64, entries);
    (stream, group, a, b)
}

/// Makes entries pending since so many milliseconds.
fn idle(consumer: &Consumer, ids: &[&str], idle_ms: u64) {
    let options = ClaimOptions::new(NOW).idle(ms(idle_ms));
    assert_eq!(consumer.claim_ids(all(ids), options).unwrap().len(), ids.len());
}

/// Each entry's ID and how often it was delivered, a `+` in front of what is new.
fn told(delivery: &Delivery) -> Vec<String> {
    let claims = delivery.claims().unwrap();
    let one = |(n, id): (usize, EntryId)| match claims.get(n) {
        Some(claimed) => format!("{id} {}", claimed.deliveries),
        None => format!("+{id}"),
    };
    delivery.ids().enumerate().map(one).collect()
}

fn records(group: &Group) -> Vec<String> {
    let found = group.pending_range(.., PendingFilter::new()).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    found.into_iter().map(|p| format!("{} {} {}", p.id, text(p.consumer), p.deliveries)).collect()
}

#[test]
fn claimed_entries_come_first_and_then_new_ones() {
    on_both(|store| {
        let (stream, group, a, b) = pending(store, "s", 3);
        put_range(&stream, 4, 5);
        idle(&a, &["1-0", "3-0"], 5000);
        let read = b.read(claim(ms(1000))).unwrap();
        assert_eq!(told(&read), ["1-0 1", "3-0 1", "+4-0", "+5-0"]);
        let claims = read.claims().unwrap();
        assert!(claims.iter().all(|one| (ms(5000)..ms(60_000)).contains(&one.idle)));
        let want = ["1-0 b 2", "2-0 a 1", "3-0 b 2", "4-0 b 1", "5-0 b 1"];
        assert_eq!(records(&group), want);
        // They count as delivered now.
        assert!(b.read(claim(ms(1000))).unwrap().is_empty());
        // Without the option nothing is told of claims.
        assert!(b.read(GroupReadOptions::new()).unwrap().claims().is_none());
    });
}

#[test]
fn the_count_is_of_both_together() {
    on_both(|store| {
        let (stream, group, _, b) = pending(store, "s", 3);
        put_range(&stream, 4, 6);
        assert_eq!(told(&b.read(claim(NOW).count(2)).unwrap()), ["1-0 1", "2-0 1"]);
        assert_eq!(group.info().unwrap().last_delivered_id, id("3-0"));
        // The third was delivered before the other two, be it in the same millisecond.
        assert_eq!(told(&b.read(claim(NOW).count(1)).unwrap()), ["3-0 1"]);
        group.ack(all(&["1-0", "2-0"])).unwrap();
        assert_eq!(told(&b.read(claim(NOW).count(3)).unwrap()), ["3-0 2", "+4-0", "+5-0"]);
    });
}

#[test]
fn the_longest_idle_come_first() {
    on_both(|store| {
        let (_, _, a, b) = pending(store, "s", 6);
        let times = [("6-0", 1000), ("3-0", 30_000), ("1-0", 50_000), ("5-0", 2000)];
        times.into_iter().for_each(|(id, time)| idle(&a, &[id], time));
        idle(&a, &["2-0"], 40_000);
        idle(&a, &["4-0"], 20_000);
        assert_eq!(texts(b.read(claim(ms(10_000))).unwrap().ids()), ["1-0", "2-0", "3-0", "4-0"]);
        assert_eq!(texts(b.read(claim(ms(1500))).unwrap().ids()), ["5-0"]);
        assert_eq!(texts(b.read(claim(ms(500))).unwrap().ids()), ["6-0"]);
    });
}

/// More than a block of them, in an order of time that is not that of their IDs.
#[test]
fn many_come_in_the_order_of_their_times() {
    on_both(|store| {
        let (_, group, a, b) = pending(store, "s", 2000);
        let mut order: Vec<u64> =
            (1..=2000).map(|n| n * 7919 % 2003).filter(|n| *n <= 2000).collect();
        order.sort_unstable();
        order.dedup();
        order.sort_by_key(|n| n * 1009 % 2003);
        for (n, id) in order.iter().enumerate() {
            let options = ClaimOptions::new(NOW).time_ms(1_000_000 + n as u64);
            a.claim_ids([EntryId::new(*id, 0)], options).unwrap();
        }
        let mut found = Vec::new();
        loop {
            let some = b.read(claim(HOUR).count(97)).unwrap();
            if some.is_empty() {
                break;
            }
            found.extend(some.ids().map(|id| id.ms));
        }
        assert_eq!(found, order);
        assert_eq!(group.pending().unwrap().count, 2000);
    });
}

#[test]
fn what_was_given_back_comes_first_in_the_order_in_which_it_came_back() {
    on_both(|store| {
        let (_, group, a, b) = pending(store, "s", 6);
        idle(&a, &["1-0"], 3_600_000);
        group.nack(all(&["5-0", "2-0"]), NackMode::Fail).unwrap();
        group.nack(all(&["4-0"]), NackMode::Silent).unwrap();
        // Again: to the end.
        group.nack(all(&["5-0"]), NackMode::Fail).unwrap();
        let read = b.read(claim(ms(60_000)).count(2)).unwrap();
        assert_eq!(told(&read), ["2-0 1", "4-0 0"]);
        // Idle for all the time there was.
        assert!(read.claims().unwrap()[0].idle > 40 * 365 * 24 * HOUR);
        assert_eq!(told(&b.read(claim(ms(60_000))).unwrap()), ["5-0 1", "1-0 1"]);
        group.nack(all(&["6-0"]), NackMode::Fatal).unwrap();
        let largest = [format!("6-0 {}", i64::MAX)];
        assert_eq!(told(&b.read(claim(HOUR)).unwrap()), largest);
        group.nack(all(&["6-0"]), NackMode::Fatal).unwrap();
        assert_eq!(told(&b.read(claim(HOUR)).unwrap()), largest);
    });
}

#[test]
fn zero_claims_everything_and_the_longest_time_nothing() {
    on_both(|store| {
        let (stream, group, _, b) = pending(store, "s", 3);
        assert_eq!(told(&b.read(claim(NOW)).unwrap()), ["1-0 1", "2-0 1", "3-0 1"]);
        // One's own, too.
        assert_eq!(told(&b.read(claim(NOW)).unwrap()), ["1-0 2", "2-0 2", "3-0 2"]);
        group.nack(all(&["2-0"]), NackMode::Fail).unwrap();
        put(&stream, "4-0");
        assert_eq!(told(&b.read(claim(LONGEST)).unwrap()), ["+4-0"]);
        assert!(b.read(claim(Duration::MAX)).unwrap().is_empty());
    });
}

#[test]
fn without_acknowledgements_what_is_claimed_is_pending_all_the_same() {
    on_both(|store| {
        let (stream, group, _, b) = pending(store, "s", 2);
        put(&stream, "3-0");
        let read = b.read(claim(NOW).no_ack()).unwrap();
        assert_eq!(told(&read), ["1-0 1", "2-0 1", "+3-0"]);
        assert_eq!(records(&group), ["1-0 b 2", "2-0 b 2"]);
    });
}

#[test]
fn entries_that_are_gone_are_passed_over_and_stay_pending() {
    on_both(|store| {
        let (stream, group, _, b) = pending(store, "s", 4);
        stream.trim(streamlog::Trim::min_id(id("2-0"))).unwrap();
        stream.delete(all(&["3-0"])).unwrap();
        assert_eq!(told(&b.read(claim(NOW).count(2)).unwrap()), ["2-0 1", "4-0 1"]);
        assert_eq!(records(&group), ["1-0 a 1", "2-0 b 2", "3-0 a 1", "4-0 b 2"]);
    });
}

#[test]
fn a_position_that_is_moved_leaves_what_is_pending_to_be_claimed() {
    on_both(|store| {
        let (_, group, a, b) = pending(store, "s", 2);
        drop(a.claim(all(&["1-0", "2-0"]), NOW).unwrap());
        group.set_id(Start::First).unwrap();
        // Claimed, and then given once more as new ones, of which the count is 1 again.
        let read = b.read(claim(NOW)).unwrap();
        assert_eq!(told(&read), ["1-0 2", "2-0 2", "+1-0", "+2-0"]);
        assert_eq!(records(&group), ["1-0 b 1", "2-0 b 1"]);
        group.set_id(Start::After(id("9-0"))).unwrap();
        assert_eq!(told(&b.read(claim(NOW)).unwrap()), ["1-0 1", "2-0 1"]);
        group.remove_consumer("b").unwrap();
        assert!(a.read(claim(NOW)).unwrap().is_empty());
    });
}

#[test]
fn forced_records_can_be_claimed() {
    on_both(|store| {
        let (stream, group, a, b) = pending(store, "s", 1);
        put_range(&stream, 2, 3);
        a.claim_ids(all(&["2-0"]), ClaimOptions::new(NOW).force()).unwrap();
        group.nack_with(all(&["3-0"]), NackMode::Fail, NackOptions::new().force()).unwrap();
        let read = b.read(claim(NOW).count(3)).unwrap();
        let mut ids = texts(read.ids());
        ids.sort_unstable();
        assert_eq!((ids, told(&read)[0].as_str()), (texts(all(&["1-0", "2-0", "3-0"])), "3-0 0"));
    });
}

#[test]
fn a_consumer_that_claims_is_active() {
    on_both(|store| {
        let (_, group, _, b) = pending(store, "s", 1);
        assert!(b.read(claim(HOUR)).unwrap().is_empty());
        assert_eq!(group.consumers().unwrap()[1].inactive, None);
        assert_eq!(b.read(claim(NOW)).unwrap().len(), 1);
        assert!(group.consumers().unwrap()[1].inactive.is_some());
    });
}

#[test]
fn several_streams_are_claimed_from_until_a_history_comes() {
    on_both(|store| {
        let (one, _, _, b) = pending(store, "one", 1);
        let (_, _, _, c) = pending(store, "two", 2);
        let (_, third, _, d) = pending(store, "three", 1);
        put(&one, "2-0");
        let (new, own) = (ReadFrom::New, ReadFrom::History(EntryId::MIN));
        let both = store.read_group(&[(&b, new), (&c, new)], claim(NOW).count(2)).unwrap();
        assert_eq!(told(&both[0].1), ["1-0 1", "+2-0"]);
        assert_eq!(told(&both[1].1), ["1-0 1", "2-0 1"]);
        let mixed = [(&b, new), (&c, own), (&d, new)];
        let mixed = store.read_group(&mixed, claim(NOW)).unwrap();
        assert_eq!(mixed.len(), 2);
        assert_eq!(told(&mixed[0].1).len(), 2);
        assert!(mixed[1].1.claims().is_none());
        assert_eq!(third.consumers().unwrap()[0].pending, 1);
    });
}

#[test]
fn a_read_that_waits_gets_what_becomes_idle_enough() {
    on_both(|store| {
        let (_, _, _, b) = pending(store, "s", 2);
        let begin = Instant::now();
        let wait = |options: GroupReadOptions| {
            let reader = b.clone();
            waiting(move || told(&reader.read(options).unwrap()))
        };
        // Not within its time.
        assert!(wait(claim(HOUR).block(ms(50))).join().unwrap().is_empty());
        assert!(begin.elapsed() >= ms(50));
        let got = wait(claim(ms(300)).block_forever()).join().unwrap();
        assert_eq!(got, ["1-0 1", "2-0 1"]);
        assert!((ms(290)..ms(5000)).contains(&begin.elapsed()));
    });
}

#[test]
fn a_read_of_several_streams_waits_for_the_first_that_becomes_idle_enough() {
    on_both(|store| {
        let (_, _, a, b) = pending(store, "one", 1);
        let (_, group, _, c) = pending(store, "two", 1);
        // The one will be idle enough in an hour, the other in no time.
        idle(&a, &["1-0"], 1);
        let other = group.consumer("a").unwrap();
        idle(&other, &["1-0"], 3_600_000 - 200);
        let store = store.clone();
        let waits = waiting(move || {
            let from = [(&b, ReadFrom::New), (&c, ReadFrom::New)];
            let found = store.read_group(&from, claim(HOUR).no_ack().block_forever()).unwrap();
            found.iter().map(|(stream, read)| (stream.name(), told(read))).collect::<Vec<_>>()
        });
        assert_eq!(waits.join().unwrap(), [(b"two".to_vec(), vec!["1-0 1".to_owned()])]);
        assert_eq!(records(&group), ["1-0 b 2"]);
    });
}

#[test]
fn of_two_that_wait_the_second_claims_what_the_first_was_given() {
    on_both(|store| {
        let (stream, _, a, b) = pending(store, "s", 0);
        let wait = |reader: Consumer| {
            waiting(move || told(&reader.read(claim(ms(200)).block_forever()).unwrap()))
        };
        let (first, second) = (wait(a), wait(b));
        put(&stream, "1-0");
        assert_eq!(first.join().unwrap(), ["+1-0"]);
        assert_eq!(second.join().unwrap(), ["1-0 1"]);
    });
}

#[test]
fn a_new_entry_ends_the_wait_before_that() {
    on_both(|store| {
        let (stream, _, _, b) = pending(store, "s", 1);
        let reader = b.clone();
        let waits = waiting(move || told(&reader.read(claim(HOUR).block_forever()).unwrap()));
        put(&stream, "2-0");
        assert_eq!(waits.join().unwrap(), ["+2-0"]);
    });
}

#[test]
fn what_is_given_back_ends_the_wait_also_behind_one_who_does_not_claim() {
    on_both(|store| {
        let (stream, group, a, b) = pending(store, "s", 2);
        let plain = waiting(move || a.read(GroupReadOptions::new().block_forever()).unwrap().len());
        let waits = waiting(move || told(&b.read(claim(HOUR).block_forever()).unwrap()));
        group.nack(all(&["2-0", "1-0"]), NackMode::Fail).unwrap();
        assert_eq!(waits.join().unwrap(), ["2-0 1", "1-0 1"]);
        put(&stream, "3-0");
        assert_eq!(plain.join().unwrap(), 1);
    });
}

#[test]
fn it_can_be_known_when_something_will_be_idle_enough() {
    on_both(|store| {
        let (stream, group, a, _) = pending(store, "s", 2);
        a.claim_ids(all(&["1-0"]), ClaimOptions::new(NOW).time_ms(5_000)).unwrap();
        assert_eq!(group.claimable_at(ms(100)).unwrap(), 5_100);
        stream.delete(all(&["1-0"])).unwrap();
        let later = group.claimable_at(HOUR).unwrap();
        group.ack(all(&["2-0"])).unwrap();
        assert!(later > 3_600_000 && later <= group.claimable_at(HOUR).unwrap());
    });
}

#[test]
fn claims_are_there_after_a_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Store::open(dir.path()).unwrap();
    let (_, group, _, b) = pending(&open(), "s", 5);
    group.nack(all(&["4-0", "2-0", "5-0"]), NackMode::Fail).unwrap();
    assert_eq!(told(&b.read(claim(HOUR).count(1)).unwrap()), ["4-0 1"]);
    let before = records(&group);
    drop((group, b));
    for _ in 0..3 {
        let group = open().stream("s").unwrap().group("g", Start::First).unwrap();
        assert_eq!(records(&group), before);
    }
    let group = open().stream("s").unwrap().group("g", Start::First).unwrap();
    let read = group.consumer("c").unwrap().read(claim(HOUR)).unwrap();
    assert_eq!(told(&read), ["2-0 1", "5-0 1"]);
}
