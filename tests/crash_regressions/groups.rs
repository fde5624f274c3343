//! Groups whose state outlasts the entries that it speaks of.

use super::Test;
use super::machine::{Cut, append, die, disk, ids, open};
use crate::{AppendOptions, Durability, EntryId, Group, GroupReadOptions, Start, Trim};
use std::time::Duration;

pub const TESTS: &[Test] = &[
    ("a_begin_may_name_an_id_that_only_a_delivery_knows", a_begin_may_name_a_delivered_id),
    ("taking_a_group_back_is_durable_before_its_stream_is_used", taking_back_is_durable),
    ("a_delivery_tells_of_the_trim_that_an_append_brought", a_delivery_tells_of_the_trim),
    ("a_claim_tells_of_the_trim_that_an_append_brought", a_claim_tells_of_the_trim),
    ("a_last_id_that_is_set_hides_no_lost_entry", a_set_id_hides_nothing),
];

fn read(group: &Group) -> Vec<EntryId> {
    let read = group.consumer("c").unwrap().read(GroupReadOptions::new().count(100));
    read.unwrap().iter().map(|entry| entry.id()).collect()
}

/// The ID floor counts deliveries of entries that a crash took back; a segment that began after
/// such a recovery was taken for damage.
fn a_begin_may_name_a_delivered_id() {
    let disk = disk();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    let group = stream.create_group("g", Start::First).unwrap();
    let first = append(&stream, 2500);
    store.sync().unwrap();
    append(&stream, 10);
    assert_eq!(read(&group).len(), 2);
    die(&disk, (store, stream, group));
    let disk = Cut::late(&disk).old("/streams/").boot();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    assert_eq!(ids(&stream), [first]);
    let second = append(&stream, 2500);
    store.sync().unwrap();
    die(&disk, (store, stream));
    let store = open(&Cut::late(&disk).boot(), Durability::Manual);
    assert_eq!(ids(&store.stream("s").unwrap()), [first, second]);
}

/// A position that a caller set keeps no ID from being given. When an entry had got one over which
/// the group was taken back, and that was forgotten, the group passed the entry over.
fn taking_back_is_durable() {
    let disk = disk();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    let group = stream.create_group("g", Start::First).unwrap();
    let first = append(&stream, 10);
    store.sync().unwrap();
    let second = append(&stream, 600);
    group.set_id(Start::After(second)).unwrap();
    die(&disk, (store, stream, group));
    let disk = Cut::late(&disk).old("/streams/").boot();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    assert_eq!(ids(&stream), [first]);
    stream.append_with([("v", "again")], AppendOptions::new().id(second)).unwrap();
    stream.wait_durable(second).unwrap();
    die(&disk, (store, stream));
    let store = open(&Cut::early(&disk).boot(), Durability::Manual);
    let group = store.stream("s").unwrap().get_group("g").unwrap().unwrap();
    assert_eq!(read(&group), [second]);
}

/// The delivery was on disk and the append was not whose trim it had passed over: the trimmed
/// entries were back, behind the group's position.
fn a_delivery_tells_of_the_trim() {
    let disk = disk();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    let group = stream.create_group("g", Start::First).unwrap();
    append(&stream, 10);
    append(&stream, 10);
    store.sync().unwrap();
    let one = AppendOptions::new().trim(Trim::max_len(1));
    let third = stream.append_with([("v", "trims")], one).unwrap();
    assert_eq!(read(&group), [third]);
    die(&disk, (store, stream, group));
    let store = open(&Cut::late(&disk).old("/streams/").boot(), Durability::Manual);
    let stream = store.stream("s").unwrap();
    let group = stream.get_group("g").unwrap().unwrap();
    assert_eq!(read(&group), ids(&stream));
}

/// A claim had found a pending entry trimmed and dropped its record; the append whose trim that was
/// had not lasted, and the entry was pending with nobody.
fn a_claim_tells_of_the_trim() {
    for auto in [false, true] {
        let disk = disk();
        let store = open(&disk, Durability::Manual);
        let stream = store.stream("s").unwrap();
        let group = stream.create_group("g", Start::First).unwrap();
        let first = append(&stream, 10);
        assert_eq!(read(&group), [first]);
        store.sync().unwrap();
        let one = AppendOptions::new().trim(Trim::max_len(1));
        stream.append_with([("v", "trims")], one).unwrap();
        let other = group.consumer("other").unwrap();
        if auto {
            drop(other.auto_claim(EntryId::MIN, Duration::ZERO, 10).unwrap());
        } else {
            drop(other.claim([first], Duration::ZERO).unwrap());
        }
        assert_eq!(group.pending().unwrap().count, 0);
        die(&disk, (store, stream, group, other));
        let store = open(&Cut::late(&disk).old("/streams/").boot(), Durability::Manual);
        let stream = store.stream("s").unwrap();
        let pending = stream.get_group("g").unwrap().unwrap().pending().unwrap();
        assert_eq!(pending.count, stream.len().unwrap());
    }
}

/// The ID that XSETID had set was on disk, and the entry below it was not: it stayed pending, and
/// the report said nothing, as the log seemed to reach beyond it.
fn a_set_id_hides_nothing() {
    for raise in [0, 5] {
        let disk = disk();
        let store = open(&disk, Durability::Manual);
        let stream = store.stream("s").unwrap();
        let group = stream.create_group("g", Start::First).unwrap();
        let id = append(&stream, 600);
        stream.set_id(EntryId::new(id.ms + raise, id.seq), None, None).unwrap();
        assert_eq!(read(&group), [id]);
        die(&disk, (store, stream, group));
        let store = open(&Cut::late(&disk).old("/streams/").boot(), Durability::Manual);
        let stream = store.stream("s").unwrap();
        let pending = stream.get_group("g").unwrap().unwrap().pending().unwrap();
        assert_eq!(pending.count, ids(&stream).len() as u64, "raised by {raise}");
    }
}
