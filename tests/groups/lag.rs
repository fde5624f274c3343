//! How far a group has read: the sequences that Redis's tests fix, each step on a store that was
//! closed and opened in between, so that the counters must have been kept.

use crate::ground::{id, put, put_range};
use streamlog::{Durability, EntryId, GroupReadOptions, Start, Store, Stream, Trim};

/// A store that is opened anew before each step.
struct Steps {
    dir: tempfile::TempDir,
    store: Option<Store>,
}

impl Steps {
    fn new() -> Steps {
        let dir = tempfile::tempdir().unwrap();
        let steps = Steps { dir, store: None };
        let mut steps = steps;
        steps.reopen();
        steps
    }

    fn reopen(&mut self) {
        if let Some(store) = self.store.take() {
            store.close().unwrap();
        }
        let options = Store::options().durability(Durability::Manual);
        self.store = Some(options.open(self.dir.path()).unwrap());
    }

    fn stream(&mut self) -> Stream {
        self.reopen();
        self.store.as_ref().unwrap().stream("s").unwrap()
    }

    fn put(&mut self, from: u64, to: u64) {
        put_range(&self.stream(), from, to);
    }

    fn delete(&mut self, text: &str) {
        assert_eq!(self.stream().delete([id(text)]).unwrap(), 1);
    }

    fn read(&mut self, group: &str, count: usize) -> usize {
        let group = self.stream().get_group(group).unwrap().unwrap();
        let consumer = group.consumer("c").unwrap();
        let options = GroupReadOptions::new().count(count);
        consumer.read(options).unwrap().len()
    }

    /// Entries read and lag; the same before and after a reopening.
    fn counters(&mut self, group: &str) -> (Option<u64>, Option<u64>) {
        let mut once = || {
            let stream = self.stream();
            let info = stream.get_group(group).unwrap().unwrap().info().unwrap();
            let listed = stream.groups().unwrap();
            assert_eq!(listed.iter().filter(|one| **one == info).count(), 1);
            (info.entries_read, info.lag)
        };
        let first = once();
        assert_eq!(once(), first);
        first
    }
}

#[test]
fn a_group_of_an_empty_stream_has_nothing_to_read() {
    let mut s = Steps::new();
    s.stream().create_group("g", Start::First).unwrap();
    assert_eq!(s.counters("g"), (None, Some(0)));
    s.put(1, 1);
    s.delete("1-0");
    assert_eq!(s.counters("g"), (None, Some(0)));
    let info = s.stream().info().unwrap();
    assert_eq!((info.entries_added, info.max_deleted_id), (1, id("1-0")));
}

#[test]
fn a_group_that_reads_from_the_beginning_counts_along() {
    let mut s = Steps::new();
    s.put(1, 5);
    s.stream().create_group("g", Start::First).unwrap();
    assert_eq!(s.counters("g"), (None, Some(5)));
    assert_eq!(s.read("g", 1), 1);
    assert_eq!(s.counters("g"), (Some(1), Some(4)));
    assert_eq!(s.read("g", 0), 4);
    assert_eq!(s.counters("g"), (Some(5), Some(0)));
    s.put(6, 6);
    assert_eq!(s.counters("g"), (Some(5), Some(1)));
}

#[test]
fn a_deletion_ahead_makes_the_lag_unknown_until_it_is_passed() {
    let mut s = Steps::new();
    s.put(1, 5);
    s.delete("3-0");
    for group in ["g1", "g2"] {
        s.stream().create_group(group, Start::First).unwrap();
        assert_eq!(s.counters(group), (None, None));
    }
    for _ in 0..3 {
        assert_eq!(s.read("g1", 1), 1);
        assert_eq!(s.counters("g1"), (None, None));
    }
    assert_eq!(s.read("g1", 1), 1);
    assert_eq!(s.counters("g1"), (Some(5), Some(0)));
    s.put(6, 6);
    assert_eq!(s.counters("g1"), (Some(5), Some(1)));
    s.stream().trim(Trim::min_id(id("3-0"))).unwrap();
    assert_eq!(s.counters("g1"), (Some(5), Some(1)));
    assert_eq!(s.counters("g2"), (None, Some(3)));
    s.stream().trim(Trim::min_id(id("5-0"))).unwrap();
    assert_eq!(s.counters("g1"), (Some(5), Some(1)));
    assert_eq!(s.counters("g2"), (None, Some(2)));
}

#[test]
fn a_deletion_behind_the_group_does_not_matter() {
    let mut s = Steps::new();
    s.stream().create_group("g", Start::Last).unwrap();
    s.put(1, 1);
    assert_eq!(s.read("g", 0), 1);
    s.put(2, 3);
    s.delete("2-0");
    assert_eq!(s.counters("g"), (Some(1), None));
    s.delete("1-0");
    assert_eq!(s.counters("g"), (Some(1), Some(1)));
    assert_eq!(s.read("g", 0), 1);
    assert_eq!(s.counters("g"), (Some(3), Some(0)));
}

#[test]
fn a_trim_past_the_group_leaves_what_remains() {
    let mut s = Steps::new();
    s.stream().create_group("g", Start::Last).unwrap();
    s.put(1, 5);
    assert_eq!(s.read("g", 1), 1);
    assert_eq!(s.counters("g"), (Some(1), Some(4)));
    s.stream().trim(Trim::max_len(1)).unwrap();
    assert_eq!(s.counters("g"), (Some(1), Some(1)));
    assert_eq!(s.read("g", 0), 1);
    assert_eq!(s.counters("g"), (Some(5), Some(0)));
    s.put(6, 6);
    assert_eq!(s.counters("g"), (Some(5), Some(1)));
    s.stream().trim(Trim::max_len(0)).unwrap();
    assert_eq!(s.counters("g").1, Some(0));
}

#[test]
fn a_given_number_of_entries_read_is_cut_to_what_there_was() {
    let mut s = Steps::new();
    s.put(1, 1);
    s.stream().create_group_with("g", Start::Last, Some(9999)).unwrap();
    assert_eq!(s.counters("g"), (Some(1), Some(0)));
    s.stream().create_group("h", Start::First).unwrap();
    let group = s.stream().get_group("h").unwrap().unwrap();
    group.set_id_with(Start::Last, Some(9999)).unwrap();
    drop(group);
    assert_eq!(s.counters("h"), (Some(1), Some(0)));
    put(&s.stream(), "2-0");
    for (name, read) in [("x", 0), ("y", 2)] {
        s.stream().create_group_with(name, Start::Last, Some(read)).unwrap();
        assert_eq!(s.counters(name).0, Some(read));
    }
}

#[test]
fn a_group_made_at_the_end_learns_its_number_by_reading() {
    let mut s = Steps::new();
    s.put(1, 1);
    s.stream().create_group("g", Start::Last).unwrap();
    assert_eq!(s.read("g", 0), 0);
    s.put(2, 3);
    assert_eq!(s.read("g", 1), 1);
    assert_eq!(s.read("g", 1), 1);
    assert_eq!(s.counters("g"), (Some(3), Some(0)));
}

#[test]
fn lowering_the_entries_added_lowers_what_was_read() {
    let mut s = Steps::new();
    s.put(1, 10);
    s.stream().create_group("g", Start::First).unwrap();
    assert_eq!(s.read("g", 0), 10);
    s.stream().trim(Trim::max_len(2)).unwrap();
    s.stream().set_id(id("10-0"), Some(2), None).unwrap();
    assert_eq!(s.counters("g"), (Some(2), Some(0)));
}

#[test]
fn raising_the_entries_added_leaves_what_was_read() {
    let mut s = Steps::new();
    s.put(1, 5);
    s.stream().create_group("g", Start::First).unwrap();
    assert_eq!(s.read("g", 3), 3);
    s.stream().set_id(id("5-0"), Some(100), None).unwrap();
    assert_eq!(s.counters("g"), (Some(3), Some(97)));
}

/// A read of one entry counts by a shorter way. Fails if that forgets what was deleted, in front of
/// the group, behind it or between, before it reads or while it does.
#[test]
fn one_by_one_counts_as_at_once() {
    const ENTRIES: u64 = 5;
    // Which entries are deleted, which one while half was read, and what is trimmed then.
    for case in 0..(1 << ENTRIES) * 6u64 {
        let (deleted, rest) = (case % (1 << ENTRIES), case >> ENTRIES);
        let late = rest / 2;
        let store = Store::in_memory().unwrap();
        let stream = store.stream("s").unwrap();
        put_range(&stream, 1, ENTRIES);
        let gone = (1..=ENTRIES).filter(|n| deleted >> (n - 1) & 1 == 1);
        stream.delete(gone.map(|n| id(&format!("{n}-0")))).unwrap();
        // In front of all entries, but with a counter that says otherwise; and behind the first.
        let (start, read) = match rest % 2 {
            0 => (EntryId::MIN, Some(3)),
            _ => (id("1-0"), None),
        };
        let groups = ["singly", "at once"]
            .map(|name| stream.create_group_with(name, Start::After(start), read).unwrap());
        // What makes a consumer is no short way.
        groups.iter().for_each(|group| assert!(group.create_consumer("c").unwrap()));
        let consumers = groups.each_ref().map(|group| group.consumer("c").unwrap());
        let read = |n: usize, count| {
            consumers[n].read(GroupReadOptions::new().count(count)).unwrap().len()
        };
        let same = |when| {
            let [singly, at_once] = groups.each_ref().map(|group| group.info().unwrap());
            let of = |info: &streamlog::GroupInfo| (info.entries_read, info.lag, info.pending);
            assert_eq!(of(&singly), of(&at_once), "{when}, {deleted:b}, {late}");
        };
        for step in 0..2 {
            assert_eq!(read(0, 1) + read(0, 1), read(1, 2));
            same("read");
            if step == 0 && late == 1 {
                stream.delete([id("4-0")]).unwrap();
            } else if step == 0 && late == 2 {
                stream.trim(Trim::min_id(id("5-0"))).unwrap();
            }
            same("deleted");
            put(&stream, &format!("{}-0", ENTRIES + 1 + step));
        }
        while read(0, 1) > 0 {}
        while read(1, 9) > 0 {}
        same("at the end");
    }
}
