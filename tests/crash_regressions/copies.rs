//! Copies of streams.

use super::Test;
use super::machine::{Cut, append, die, disk, ids, open, open_with, options};
use super::sim::image::Mode;
use crate::journal::Sizes;
use crate::{AppendOptions, Durability, Start};

pub const TESTS: &[Test] = &[
    ("a_copy_that_was_being_written_is_no_stream", a_copy_that_was_being_written_is_no_stream),
    ("a_copy_has_all_when_its_record_finds_the_journal_full", a_copy_when_the_journal_is_full),
    ("what_is_durable_in_a_copy_has_a_stream", what_is_durable_in_a_copy_has_a_stream),
];

/// The directory of a copy that was not complete was taken for a stream whose record was lost: it
/// had some of the entries and no groups.
fn a_copy_that_was_being_written_is_no_stream() {
    let disk = disk();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    stream.create_group("g", Start::First).unwrap();
    append(&stream, 10);
    append(&stream, 10);
    store.sync().unwrap();
    disk.want_each("stored");
    assert!(store.copy("s", "copy", false).unwrap());
    let captures = disk.take_captures();
    assert_eq!(captures.len(), 3, "two entries and a Close");
    for capture in captures {
        let store = open(&Cut::of(capture, Mode::AllCurrent).boot(), Durability::Manual);
        assert_eq!(store.names(), [b"s"]);
        assert_eq!(store.recovery().adopted.len(), 0);
    }
}

/// What makes a stream of the copy was handed over at the first attempt to write it; the second
/// one, after room was made in the journal, wrote an empty record.
fn a_copy_when_the_journal_is_full() {
    let disk = disk();
    let mut options = options(Durability::Manual);
    options.journal = Sizes { first: 4096, usual: 4096, most: 4096, due: 4096, section: 512 };
    let store = open_with(&disk, &options);
    let stream = store.stream("s").unwrap();
    let group = stream.create_group("g", Start::First).unwrap();
    let id = append(&stream, 10);
    for number in 0..30 {
        group.create_consumer(format!("consumer {number}")).unwrap();
        assert!(store.copy("s", "copy", true).unwrap());
        let copy = store.get("copy").unwrap().unwrap();
        assert_eq!(ids(&copy), [id]);
        let consumers = copy.get_group("g").unwrap().unwrap().consumers().unwrap();
        assert_eq!(consumers.len(), number + 1);
    }
}

/// A durable append to a copy did not see to it that the record of the copy itself was durable.
fn what_is_durable_in_a_copy_has_a_stream() {
    let disk = disk();
    let store = open(&disk, Durability::Manual);
    store.stream("s").unwrap();
    assert!(store.copy("s", "copy", false).unwrap());
    let copy = store.get("copy").unwrap().unwrap();
    let id = copy.append_with([("v", "x")], AppendOptions::new().durable()).unwrap();
    die(&disk, (store, copy));
    let store = open(&Cut::early(&disk).boot(), Durability::Manual);
    assert_eq!(ids(&store.get("copy").unwrap().unwrap()), [id]);
}
