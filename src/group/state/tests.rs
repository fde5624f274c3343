//! The sequences of Redis's own tests. The numbers g57 and so on are those of the tests in Redis's
//! `stream-cgroups.tcl`.

use super::*;
use crate::format::event::MAX_IDS;
use crate::group::model::{Rig, id, restored};
use crate::options::{ClaimOptions, NackMode, NackOptions, PendingFilter};
use std::time::Duration;

const ZERO: EntryId = EntryId::MIN;

fn ids(numbers: &[u64]) -> Vec<EntryId> {
    numbers.iter().copied().map(id).collect()
}

fn claim(idle_ms: u64) -> ClaimOptions {
    ClaimOptions::new(Duration::from_millis(idle_ms))
}

#[test]
fn g34_a_cursor_set_back_delivers_again_with_a_count_of_one() {
    let mut rig = Rig::with(3);
    rig.create("g", ZERO, None);
    rig.read("g", "alice", 0);
    rig.history("g", "alice", ZERO, 0);
    assert_eq!(rig.pending("g")[0], (id(1), "alice".into(), 2));
    rig.set("g", ZERO, None);
    assert_eq!(rig.read("g", "bob", 2), ids(&[1, 2]));
    let (bob, alice) = (String::from("bob"), String::from("alice"));
    let expected = [(id(1), bob.clone(), 1), (id(2), bob, 1), (id(3), alice, 2)];
    assert_eq!(rig.pending("g"), expected);
    assert_eq!(rig.history("g", "alice", ZERO, 0), ids(&[3]));
}

/// Fails if the history ends where one event does.
#[test]
fn a_history_without_a_limit_is_as_long_as_the_list() {
    let many = MAX_IDS as u64 + 5;
    let mut rig = Rig::with(many);
    rig.create("g", ZERO, None);
    rig.read("g", "c", 0);
    assert_eq!(rig.history("g", "c", ZERO, 0).len() as u64, many);
    let group = rig.group("g");
    let counts = [1, MAX_IDS as u64 + 1, many].map(|n| group.pending.get(id(n)).unwrap().count);
    assert_eq!(counts, [2, 2, 2]);
}

#[test]
fn g36_the_record_of_a_deleted_entry_is_listed_and_left_alone() {
    let mut rig = Rig::with(3);
    rig.create("g", ZERO, None);
    rig.read("g", "c", 0);
    rig.log.delete(id(2));
    assert_eq!(rig.history("g", "c", ZERO, 2), ids(&[1, 2]));
    let counts: Vec<_> = rig.pending("g").into_iter().map(|(_, _, count)| count).collect();
    assert_eq!(counts, [2, 1, 1]);
}

#[test]
fn g31_g32_an_ack_counts_each_record_once() {
    let mut rig = Rig::with(3);
    rig.create("g", ZERO, None);
    rig.read("g", "c", 0);
    assert_eq!(rig.ack("g", &ids(&[2, 1, 2, 9])), 2);
    assert_eq!(rig.ack("g", &ids(&[2])), 0);
    assert_eq!(rig.ack("g", &ids(&[3])), 1);
}

#[test]
fn g73_a_read_without_acks_moves_the_cursor_and_leaves_no_record() {
    let mut rig = Rig::with(3);
    rig.create("g", ZERO, None);
    assert_eq!(rig.read_with("g", "c", 0, true, None).len(), 3);
    assert_eq!(rig.pending("g"), []);
    assert_eq!(rig.counters("g"), (Some(3), Some(0)));
    assert_eq!(rig.group("g").consumer_infos(rig.now)[0].inactive, None);
}

#[test]
fn g57_g59_a_claim_needs_an_idle_record_and_resets_its_time() {
    let mut rig = Rig::with(2);
    rig.create("g", ZERO, None);
    rig.read("g", "alice", 1);
    rig.now += 10;
    assert_eq!(rig.claim("g", "bob", &ids(&[1]), &claim(11), false), []);
    assert_eq!(rig.claim("g", "bob", &ids(&[1]), &claim(10), false), ids(&[1]));
    assert_eq!(rig.claim("g", "alice", &ids(&[1]), &claim(10), false), [], "idle again from 0");
    rig.now += 5;
    assert_eq!(rig.claim("g", "bob", &ids(&[1]), &claim(5), false), ids(&[1]), "from itself");
    assert_eq!(rig.pending("g"), [(id(1), "bob".into(), 3)]);
}

#[test]
fn g58_a_claim_of_ids_alone_counts_no_delivery() {
    let mut rig = Rig::with(1);
    rig.create("g", ZERO, None);
    rig.read("g", "alice", 0);
    let mut counts = vec![rig.pending("g")[0].2];
    for just in [false, true] {
        rig.claim("g", "bob", &ids(&[1]), &claim(0), just);
        counts.push(rig.pending("g")[0].2);
    }
    assert_eq!(counts, [1, 2, 2]);
}

#[test]
fn g63_g64_a_claim_drops_records_without_an_entry() {
    let mut rig = Rig::with(3);
    rig.create("g", ZERO, None);
    rig.read("g", "alice", 0);
    rig.log.delete(id(2));
    rig.log.trim_to(1);
    let claimed = rig.claim("g", "bob", &ids(&[3, 2, 1]), &claim(1_000_000), false);
    assert_eq!(claimed, [], "too young, but the two without an entry are gone");
    assert_eq!(rig.pending("g"), [(id(3), "alice".into(), 1)]);
}

#[test]
fn g124_force_makes_records_for_live_entries_only() {
    let mut rig = Rig::with(3);
    rig.create("g", ZERO, None);
    rig.log.delete(id(2));
    let force = claim(1000).force();
    assert_eq!(rig.claim("g", "c", &ids(&[2, 3]), &claim(0), false), []);
    assert_eq!(rig.claim("g", "c", &ids(&[2, 3, 9]), &force, false), ids(&[3]));
    assert_eq!(rig.claim("g", "c", &ids(&[1]), &force, true), ids(&[1]));
    let c = String::from("c");
    assert_eq!(rig.pending("g"), [(id(1), c.clone(), 1), (id(3), c, 2)]);
    assert_eq!(rig.group("g").last_id(), ZERO, "the cursor does not move");
    assert_eq!(rig.groups.max_delivered(), id(3));
}

#[test]
fn claim_options_set_count_time_and_cursor() {
    let mut rig = Rig::with(2);
    rig.now = 10_000;
    rig.create("g", ZERO, Some(0));
    rig.read("g", "a", 1);
    let idle_after = |rig: &mut Rig, options: ClaimOptions| {
        rig.claim("g", "b", &ids(&[1]), &options, false);
        let all = PendingFilter::new();
        let found = rig.group("g").pending_range(ZERO, EntryId::MAX, &all, rig.now);
        (found[0].idle.as_millis(), found[0].deliveries)
    };
    let second = Duration::from_secs(1);
    assert_eq!(idle_after(&mut rig, claim(0).idle(second)), (1000, 2));
    assert_eq!(idle_after(&mut rig, claim(0).time_ms(9_990).retry_count(7)), (10, 7));
    assert_eq!(idle_after(&mut rig, claim(0).time_ms(10_001)), (0, 8), "the future is now");
    assert_eq!(idle_after(&mut rig, claim(0).idle(second * 11)), (0, 9), "before 1970 is now");
    let largest = i64::MAX as u64;
    assert_eq!(idle_after(&mut rig, claim(0).retry_count(u64::MAX)), (0, largest));
    assert_eq!(idle_after(&mut rig, claim(0)), (0, largest));

    rig.claim("g", "b", &[], &claim(0).last_id(id(2)), false);
    assert_eq!(rig.group("g").last_id(), id(2));
    rig.claim("g", "b", &[], &claim(0).last_id(id(1)), false);
    assert_eq!(rig.group("g").last_id(), id(2), "never lowered");
    assert_eq!(rig.counters("g").0, Some(1), "the counter stays");
}

#[test]
fn a_repeated_id_is_claimed_as_the_first_time_left_it() {
    let mut rig = Rig::with(1);
    rig.create("g", ZERO, None);
    rig.read("g", "a", 0);
    assert_eq!(rig.claim("g", "b", &ids(&[1, 1]), &claim(0), false), ids(&[1, 1]));
    assert_eq!(rig.pending("g"), [(id(1), "b".into(), 3)]);
    rig.now += 5;
    assert_eq!(rig.claim("g", "b", &ids(&[1, 1]), &claim(5), false), ids(&[1]));
}

#[test]
fn g60_auto_claim_takes_goes_on_and_tells_what_is_gone() {
    let mut rig = Rig::with(4);
    rig.create("g", ZERO, None);
    rig.read("g", "alice", 1);
    assert_eq!(rig.auto("g", "bob", 0, ZERO, 1, false), (ids(&[1]), vec![], None));
    rig.read("g", "alice", 0);
    rig.log.delete(id(2));
    let found = rig.auto("g", "bob", 0, ZERO, 3, false);
    assert_eq!(found, (ids(&[1, 3]), ids(&[2]), Some(id(4))));
    rig.log.delete(id(4));
    let found = rig.auto("g", "bob", 0, ZERO, 100, true);
    assert_eq!(found, (ids(&[1, 3]), ids(&[4]), None));
    let bob = String::from("bob");
    assert_eq!(rig.pending("g"), [(id(1), bob.clone(), 3), (id(3), bob, 2)]);
}

#[test]
fn g61_auto_claim_is_an_iterator() {
    let mut rig = Rig::with(5);
    rig.create("g", ZERO, None);
    rig.read("g", "alice", 0);
    assert_eq!(rig.auto("g", "bob", 0, ZERO, 2, false).2, Some(id(3)));
    assert_eq!(rig.auto("g", "bob", 0, id(3), 2, false).2, Some(id(5)));
    assert_eq!(rig.auto("g", "bob", 0, id(5), 1, false).2, None);
}

#[test]
fn g62_g67_a_count_outside_what_redis_takes_is_refused() {
    let mut rig = Rig::with(1);
    rig.create("g", ZERO, None);
    let exists = &mut |_| Ok(true);
    let idle = Duration::ZERO;
    for count in [0, i64::MAX as u64 / 16 + 1, u64::MAX] {
        let error = rig.group("g").auto_claim(b"c", idle, ZERO, count, false, 0, exists);
        assert!(matches!(error.unwrap_err().kind(), ErrorKind::InvalidArgument { .. }));
    }
    let most = i64::MAX as u64 / 16;
    assert!(rig.group("g").auto_claim(b"c", idle, ZERO, most, false, 0, exists).is_ok());
}

#[test]
fn g66_a_deleted_entry_uses_up_the_count() {
    let mut rig = Rig::with(3);
    rig.create("g", ZERO, None);
    rig.read("g", "alice", 0);
    rig.log.delete(id(1));
    rig.log.delete(id(2));
    let mut auto = |start| rig.auto("g", "bob", 0, start, 1, false);
    assert_eq!(auto(ZERO), (vec![], ids(&[1]), Some(id(2))));
    assert_eq!(auto(id(2)), (vec![], ids(&[2]), Some(id(3))));
    assert_eq!(auto(id(3)), (ids(&[3]), vec![], None));
}

#[test]
fn auto_claim_looks_at_ten_records_for_each_it_may_return() {
    let mut rig = Rig::with(25);
    rig.create("g", ZERO, None);
    rig.read("g", "alice", 0);
    let found = rig.auto("g", "bob", 1000, ZERO, 2, false);
    assert_eq!(found, (vec![], vec![], Some(id(21))));
    assert_eq!(rig.auto("g", "bob", 1000, id(21), 2, false).2, None);
}

#[test]
fn what_nobody_owns_is_shown_and_claimed_whatever_its_age() {
    let mut rig = Rig::with(2);
    rig.create("g", ZERO, None);
    rig.read("g", "alice", 0);
    rig.nack("g", &[id(1)], NackMode::Fail, NackOptions::new());
    assert_eq!(rig.pending("g")[0], (id(1), String::new(), 1));
    let old = PendingFilter::new().min_idle(Duration::from_secs(1_000_000));
    let found = rig.group("g").pending_range(ZERO, EntryId::MAX, &old, rig.now);
    assert_eq!(found.len(), 1);
    let summary = rig.group("g").pending_summary();
    assert_eq!((summary.count, summary.consumers), (2, vec![(b"alice".to_vec(), 1)]));
    assert_eq!(rig.history("g", "alice", ZERO, 0), ids(&[2]));
    assert_eq!(restored(&rig.groups), rig.groups);
    let found = rig.auto("g", "bob", u64::MAX, ZERO, 10, false);
    assert_eq!(found.0, ids(&[1]));
}

#[test]
fn g70_every_attempt_is_seen_and_only_what_is_obtained_makes_active() {
    let mut rig = Rig::with(0);
    rig.create("g", ZERO, None);
    let times = |rig: &Rig| {
        let infos = rig.group("g").consumer_infos(rig.now);
        (infos[0].idle.as_millis(), infos[0].inactive.map(|time| time.as_millis()))
    };
    rig.read("g", "alice", 0);
    rig.now += 100;
    assert_eq!(times(&rig), (100, None));
    rig.log.add(id(1));
    rig.read("g", "alice", 0);
    assert_eq!(times(&rig), (0, Some(0)));
    rig.now += 100;
    rig.read("g", "alice", 0);
    rig.history("g", "alice", ZERO, 0);
    assert_eq!(times(&rig), (0, Some(100)));
    rig.claim("g", "alice", &ids(&[1]), &claim(50), false);
    assert_eq!(times(&rig), (0, Some(100)), "the history read made it young");
    rig.claim("g", "alice", &ids(&[1]), &claim(0), true);
    assert_eq!(times(&rig), (0, Some(0)));
    rig.now = 0;
    assert_eq!(times(&rig), (0, Some(0)), "the clock went back");
}

#[test]
fn numbers_are_never_used_again() {
    let mut rig = Rig::with(1);
    rig.create("g", ZERO, None);
    rig.create("h", ZERO, None);
    let first = rig.groups.find(b"h").unwrap();
    let event = rig.group("h").remove();
    rig.apply(vec![event]);
    rig.read("g", "c", 0);
    let (event, owned) = rig.group("g").remove_consumer(b"c").unwrap();
    assert_eq!(owned, 1);
    rig.apply(vec![event]);
    assert_eq!(rig.pending("g"), []);
    rig.groups = restored(&rig.groups);
    assert_eq!(rig.groups.max_delivered(), id(1), "kept although nothing is pending");
    rig.create("h", ZERO, None);
    assert!(rig.groups.find(b"h").unwrap() > first);
    let (consumer, _) = rig.group("g").attend(b"c", 0).unwrap();
    assert_eq!(consumer, 1);
    assert!(!rig.create("h", ZERO, None), "the name is taken");
}

#[test]
fn names_are_in_byte_order_and_of_any_bytes() {
    let mut rig = Rig::with(0);
    for name in ["b", "", "a\0", "B"] {
        assert!(rig.create(name, ZERO, None));
        let event = rig.group("b").create_consumer(name.as_bytes(), 0).unwrap();
        rig.apply(event.into_iter().collect());
    }
    let names: Vec<_> = rig.groups.by_name().map(|group| group.name().to_vec()).collect();
    assert_eq!(names, [&b""[..], b"B", b"a\0", b"b"]);
    let infos = rig.group("b").consumer_infos(0);
    let names: Vec<_> = infos.into_iter().map(|consumer| consumer.name).collect();
    assert_eq!(names, [&b""[..], b"B", b"a\0", b"b"]);
    assert!(!rig.create(&"x".repeat(256), ZERO, None));
    assert!(rig.create(&"x".repeat(255), ZERO, None));
}

#[test]
fn a_long_pending_list_is_dumped_in_chunks() {
    let mut rig = Rig::with(10_000);
    rig.create("g", ZERO, None);
    rig.read("g", "c", 0);
    let mut sizes = Vec::new();
    rig.groups.dump().for_each(|event| {
        if let Event::PendingSet { records, .. } = event {
            sizes.push(records.len());
        }
    });
    assert_eq!(sizes, [4096, 4096, 1808]);
    assert_eq!(restored(&rig.groups), rig.groups);
}

#[test]
fn an_event_that_does_not_fit_changes_nothing() {
    let mut rig = Rig::with(3);
    rig.create("g", ZERO, None);
    rig.read("g", "c", 2);
    let before = rig.groups.clone();
    let record = PendingRecord { id: id(1), owner: Some(9), time_ms: 0, count: 5 };
    rig.apply(vec![
        Event::GroupRemoved { group: 9 },
        Event::PendingRemoved { group: 9, ids: ids(&[1]).into() },
        Event::PendingSet { group: 0, records: vec![record], active_ms: Some(1) },
        Event::Redelivered { group: 0, consumer: 9, time_ms: 5, ids: ids(&[1]) },
        Event::ConsumerRemoved { group: 0, consumer: 9 },
        Event::Deleted { ids: ids(&[1]) },
    ]);
    assert_eq!(rig.groups, before);
}
