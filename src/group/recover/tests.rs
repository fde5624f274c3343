//! Logs that are shorter than what their groups remember.

use super::*;
use crate::group::model::{Rig, id, restored};
use crate::options::ClaimOptions;
use std::time::Duration;

const ZERO: EntryId = EntryId::MIN;

#[test]
fn a_cursor_moved_by_a_lost_delivery_is_taken_back() {
    let mut rig = Rig::with(10);
    rig.create("g", ZERO, None);
    rig.create("behind", ZERO, None);
    rig.read("g", "c", 0);
    rig.read("behind", "c", 7);
    let clamped = rig.clamp(id(7), 7);
    assert_eq!(clamped.len(), 1);
    let found = &clamped[0];
    assert_eq!((found.from, found.to, found.dropped), (id(10), id(7), 3));
    assert_eq!(rig.group("g").last_id(), id(7));
    assert_eq!(rig.group("g").pending_summary().last, Some(id(7)));
    assert_eq!(rig.groups.max_delivered(), id(10), "lost IDs are not given again");
    assert_eq!(rig.clamp(id(7), 7), [], "once is enough");
    // What the journal says afterwards is what is in memory.
    let mut replayed = Groups::default();
    let events = clamped.iter().flat_map(|group| &group.events);
    rig.journal.iter().chain(events).for_each(|event| replayed.apply(event));
    assert_eq!(replayed, rig.groups);
    assert_eq!(restored(&replayed), rig.groups);
}

#[test]
fn a_position_beyond_the_log_that_a_caller_wanted_is_kept() {
    let mut rig = Rig::with(3);
    rig.create("created", id(100), None);
    rig.create("set", ZERO, None);
    rig.set("set", id(100), None);
    rig.create("raised", ZERO, None);
    rig.claim("raised", "c", &[], &ClaimOptions::new(Duration::ZERO).last_id(id(100)), false);
    rig.groups = restored(&rig.groups);
    assert_eq!(rig.clamp(id(2), 2), []);
    assert_eq!(rig.group("raised").last_id(), id(100));

    // Deliveries beyond it are lost: back to where the caller wanted it.
    rig.log.add(id(101));
    rig.read("set", "c", 0);
    let clamped = rig.clamp(id(3), 3);
    assert_eq!((clamped[0].to, clamped[0].dropped, clamped.len()), (id(100), 1, 1));

    // And what is set within the log is not wanted beyond it.
    rig.set("set", id(3), None);
    assert_eq!(rig.clamp(id(1), 1)[0].to, id(1));
}

#[test]
fn a_group_made_at_the_end_of_a_log_that_lost_its_tail_sees_what_comes_instead() {
    let mut rig = Rig::with(5);
    rig.create("g", id(5), None);
    rig.clamp(id(3), 3);
    assert_eq!(rig.group("g").last_id(), id(3));
    assert_eq!(rig.group("g").info(&LogFacts::default()).entries_read, Some(3));
}

#[test]
fn a_cursor_that_xsetid_left_beyond_the_end_stays_there() {
    let mut rig = Rig::with(5);
    rig.create("g", ZERO, None);
    rig.read("g", "c", 0);
    rig.log.trim_to(0);
    let mut events = Vec::new();
    rig.groups.set_log(id(2), 5, &mut events);
    rig.apply(events);
    assert_eq!(rig.groups.max_delivered(), id(2));
    rig.groups = restored(&rig.groups);
    assert_eq!(rig.groups.max_delivered(), id(2), "although 5-0 is pending");
    assert_eq!(rig.clamp(id(2), 5), []);
    let pending = |rig: &Rig| rig.group("g").pending_summary().last;
    assert_eq!(pending(&rig), Some(id(5)), "what was pending stays, too");
    // A delivery beyond that, and the entry lost.
    rig.log.add(id(6));
    rig.read("g", "c", 0);
    let clamped = rig.clamp(id(2), 5);
    assert_eq!((clamped[0].to, clamped[0].dropped), (id(5), 1));
    assert_eq!(pending(&rig), Some(id(5)));
}
