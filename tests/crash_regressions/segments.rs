//! Which segments are the stream, and where it ends.

use super::Test;
use super::machine::{Cut, append, die, disk, ids, open};
use super::sim::image::Mode;
use crate::storage::disk::{Disk, OpenMode};
use crate::{AppendOptions, Durability, EntryId, ErrorKind, GroupReadOptions, Start, Trim};
use std::path::Path;

pub const TESTS: &[Test] = &[
    ("a_header_that_was_being_written_is_not_damage", a_header_that_was_being_written),
    ("a_trimmed_beginning_is_not_a_lost_one", a_trimmed_beginning_is_not_a_lost_one),
    ("a_log_goes_on_in_a_new_segment_in_front_of_later_ones", a_log_goes_on_in_a_new_segment),
    ("a_last_segment_that_is_gone_is_damage", a_last_segment_that_is_gone_is_damage),
    ("a_chain_that_never_began_is_set_aside", a_chain_that_never_began_is_set_aside),
    ("a_trim_brings_nothing_back_that_was_set_aside", a_trim_brings_nothing_back),
    ("a_trim_in_a_torn_end_excuses_no_missing_beginning", a_trim_in_a_torn_end),
];

/// The header of a journal file that was taken into use was torn, and the store refused to open.
fn a_header_that_was_being_written() {
    let disk = disk();
    let store = open(&disk, Durability::Always);
    let id = append(&store.stream("s").unwrap(), 10);
    disk.want_each("checkpoint sync");
    store.step_checkpoint().unwrap();
    let captures = disk.take_captures();
    assert_eq!(captures.len(), 1);
    for capture in captures {
        let disk = Cut::of(capture, Mode::AllCurrent).torn_beginning("/state/").boot();
        let store = open(&disk, Durability::Always);
        assert_eq!(ids(&store.stream("s").unwrap()), [id]);
        assert_eq!(store.recovery().journal.skipped.len(), 1);
    }
}

/// Nothing was synced since the first segments were trimmed away, so no frame told how far the log
/// was durable; the whole rest was taken for a chain that hangs in the air and set aside.
fn a_trimmed_beginning_is_not_a_lost_one() {
    let disk = disk();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    let last = [2500, 2500, 2500].map(|bytes| append(&stream, bytes))[2];
    stream.trim(Trim::max_len(1)).unwrap();
    store.step_prepare().unwrap();
    assert_eq!(stream.info().unwrap().segments, 1);
    die(&disk, (store, stream));
    let store = open(&Cut::late(&disk).boot(), Durability::Manual);
    assert_eq!(ids(&store.stream("s").unwrap()), [last]);
}

/// The segments that were set aside name the place where theirs went on. Once new frames had passed
/// it, the next recovery took them for damage.
fn a_log_goes_on_in_a_new_segment() {
    let disk = disk();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    let first = append(&stream, 600);
    store.sync().unwrap();
    append(&stream, 2000);
    append(&stream, 2500);
    die(&disk, (store, stream));
    let disk = Cut::late(&disk).old("0000000000.0000.seg").boot();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    assert_eq!(ids(&stream), [first]);
    let second = append(&stream, 2600);
    store.sync().unwrap();
    die(&disk, (store, stream));
    let store = open(&Cut::late(&disk).boot(), Durability::Manual);
    assert_eq!(ids(&store.stream("s").unwrap()), [first, second]);
}

/// Deliveries had given IDs out that the log had lost. A trim of all there was went up to these, and
/// the next recovery took a segment that was set aside, and began there, for the rest of the stream.
fn a_trim_brings_nothing_back() {
    let disk = disk();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    let group = stream.create_group("g", Start::After(EntryId::MIN)).unwrap();
    let first = append(&stream, 600);
    store.sync().unwrap();
    for bytes in [2000, 2500, 2500] {
        append(&stream, bytes);
    }
    // All but the last one, with which the third segment begins.
    let read = group.consumer("c").unwrap().read(GroupReadOptions::new().count(3)).unwrap();
    assert_eq!(read.len(), 3);
    die(&disk, (store, stream, group, read));
    let cut = Cut::late(&disk).old("0000000000.0000.seg").old("0000000001.0000.seg");
    let disk = cut.boot();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    assert_eq!(ids(&stream), [first]);
    assert_eq!(stream.trim(Trim::max_len(0)).unwrap(), 1);
    store.sync().unwrap();
    die(&disk, (store, stream));
    let store = open(&Cut::late(&disk).boot(), Durability::Manual);
    assert_eq!(ids(&store.stream("s").unwrap()), []);
}

/// A sealed segment proves that the one behind it was durable; a log that ended with one was
/// shorter and nobody said so.
fn a_last_segment_that_is_gone_is_damage() {
    let disk = disk();
    let store = open(&disk, Durability::Always);
    let stream = store.stream("s").unwrap();
    append(&stream, 2500);
    append(&stream, 2500);
    store.step_prepare().unwrap();
    die(&disk, (store, stream));
    let disk = Cut::late(&disk).boot();
    disk.remove_file(Path::new("/store/streams/1/0000000001.0000.seg")).unwrap();
    let error = open(&disk, Durability::Always).stream("s").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Corrupt { .. }), "{error}");
}

/// Two rolls without a sync between them, and the first sector of the first new segment is lost:
/// the second one names a predecessor that never began.
fn a_chain_that_never_began_is_set_aside() {
    let disk = disk();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    let first = append(&stream, 2500);
    store.sync().unwrap();
    append(&stream, 2500);
    append(&stream, 2500);
    die(&disk, (store, stream));
    let disk = Cut::late(&disk).old("0000000001.0000.seg").boot();
    let store = open(&disk, Durability::Manual);
    assert_eq!(ids(&store.stream("s").unwrap()), [first]);
}

/// The same, but the last frame trims everything away: so nothing seemed to be missing before the
/// chain, until that frame itself was cut.
fn a_trim_in_a_torn_end() {
    let disk = disk();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    append(&stream, 2500);
    append(&stream, 2500);
    append(&stream, 2500);
    let all = AppendOptions::new().trim(Trim::max_len(0));
    stream.append_with([("v", "trims")], all).unwrap();
    die(&disk, (store, stream));
    let cut = Cut::late(&disk).old("0000000000.0000.seg");
    let disk = cut.old_sectors("0000000001.0000.seg", 1024, 2048).boot();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    assert_eq!(ids(&stream), []);
    let id = append(&stream, 10);
    assert_eq!(ids(&stream), [id]);
}
