//! The sequences of Redis's own tests (the numbers are those of `stream-cgroups.tcl`).

use super::*;
use crate::group::model::{Rig, id, restored};

const ZERO: EntryId = EntryId::MIN;

fn ids(numbers: &[u64]) -> Vec<EntryId> {
    numbers.iter().copied().map(id).collect()
}

#[test]
fn g77_a_group_of_an_empty_stream_has_no_lag() {
    let mut rig = Rig::with(0);
    rig.create("g", ZERO, None);
    assert_eq!(rig.counters("g"), (None, Some(0)));
    rig.log.add(id(1));
    rig.log.delete(id(1));
    assert_eq!(rig.counters("g"), (None, Some(0)));
}

#[test]
fn g78_the_counter_and_the_lag_follow_the_reads() {
    let mut rig = Rig::with(5);
    rig.create("g", ZERO, None);
    assert_eq!(rig.counters("g"), (None, Some(5)));
    rig.read("g", "c", 1);
    assert_eq!(rig.counters("g"), (Some(1), Some(4)));
    rig.read("g", "c", 0);
    assert_eq!(rig.counters("g"), (Some(5), Some(0)));
    rig.log.add(id(6));
    assert_eq!(rig.counters("g"), (Some(5), Some(1)));
}

#[test]
fn g79_a_deletion_in_the_middle_hides_the_counter_until_it_is_passed() {
    let mut rig = Rig::with(5);
    rig.log.delete(id(3));
    rig.create("g1", ZERO, None);
    rig.create("g2", ZERO, None);
    assert_eq!(rig.counters("g1"), (None, None));
    for n in [1, 2, 4] {
        assert_eq!(rig.read("g1", "c", 1), ids(&[n]));
        assert_eq!(rig.counters("g1"), (None, None), "after {n}");
    }
    rig.read("g1", "c", 1);
    assert_eq!(rig.counters("g1"), (Some(5), Some(0)));
    rig.log.add(id(6));
    assert_eq!(rig.counters("g1"), (Some(5), Some(1)));
    rig.log.trim_to(3);
    assert_eq!(rig.counters("g1"), (Some(5), Some(1)));
    assert_eq!(rig.counters("g2"), (None, Some(3)));
    rig.log.trim_to(2);
    assert_eq!(rig.counters("g1"), (Some(5), Some(1)));
    assert_eq!(rig.counters("g2"), (None, Some(2)));
}

#[test]
fn g80_a_tombstone_ahead_of_the_group_hides_its_lag() {
    let mut rig = Rig::with(0);
    rig.create("g", ZERO, None);
    rig.log.add(id(1));
    rig.read("g", "c", 0);
    rig.log.add(id(2));
    rig.log.add(id(3));
    rig.log.delete(id(2));
    assert_eq!(rig.counters("g"), (Some(1), None));
    rig.log.delete(id(1));
    assert_eq!(rig.counters("g"), (Some(1), Some(1)));
    rig.read("g", "c", 0);
    assert_eq!(rig.counters("g"), (Some(3), Some(0)));
}

#[test]
fn g81_trimming_does_not_hide_the_lag() {
    let mut rig = Rig::with(0);
    rig.create("g", ZERO, None);
    (1..=5).for_each(|n| rig.log.add(id(n)));
    rig.read("g", "c", 1);
    assert_eq!(rig.counters("g"), (Some(1), Some(4)));
    rig.log.trim_to(1);
    assert_eq!(rig.counters("g"), (Some(1), Some(1)));
    rig.read("g", "c", 0);
    assert_eq!(rig.counters("g"), (Some(5), Some(0)));
    rig.log.add(id(6));
    assert_eq!(rig.counters("g"), (Some(5), Some(1)));
    rig.log.trim_to(0);
    assert_eq!(rig.counters("g"), (Some(5), Some(0)));
}

#[test]
fn g96_g97_a_counter_above_the_entries_added_is_capped() {
    let mut rig = Rig::with(1);
    rig.create("g", id(1), Some(9999));
    assert_eq!(rig.counters("g"), (Some(1), Some(0)));
    rig.create("h", id(1), None);
    rig.set("h", id(1), Some(9999));
    assert_eq!(rig.counters("h"), (Some(1), Some(0)));
}

#[test]
fn g86_a_read_that_finds_nothing_leaves_the_counter() {
    let mut rig = Rig::with(1);
    rig.create("g", id(1), None);
    assert_eq!(rig.read("g", "c", 0), []);
    rig.log.add(id(2));
    rig.log.add(id(3));
    rig.read("g", "c", 1);
    rig.read("g", "c", 1);
    assert_eq!(rig.counters("g"), (Some(3), Some(0)));
}

#[test]
fn g180_g181_setting_the_entries_added_lowers_counters_and_never_raises_them() {
    let mut rig = Rig::with(10);
    rig.create("g", ZERO, None);
    rig.read("g", "c", 0);
    rig.log.trim_to(2);
    rig.log.added = 2;
    let mut events = Vec::new();
    rig.groups.set_log(id(10), 2, &mut events);
    rig.apply(events);
    assert_eq!(rig.counters("g"), (Some(2), Some(0)));
    assert_eq!(restored(&rig.groups), rig.groups);

    let mut rig = Rig::with(5);
    rig.create("g", ZERO, None);
    rig.read("g", "c", 3);
    rig.log.added = 100;
    let mut events = Vec::new();
    rig.groups.set_log(id(5), 100, &mut events);
    assert_eq!(events, []);
    assert_eq!(rig.counters("g"), (Some(3), Some(97)));
}
