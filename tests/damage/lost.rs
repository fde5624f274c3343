//! Records that the state journal lost: the streams that they changed are refused, and no others
//! but where nothing is left that tells.

use crate::copy::died;
use crate::made::{
    Frame, error, flip, frames, ids, manual, overwrite, put, skipping, stream, try_stream, upto,
};
use crate::records::{END, EVENTS, SECTION, journals, newest, of_kind};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use streamlog::{EntryId, ErrorKind, Start, Store};

const STREAMS: [&str; 3] = ["a", "b", "c"];

/// Each stream's consumers, by number.
type Consumers = BTreeMap<String, Vec<usize>>;

/// A store whose process died or closed it, and the records since its newest checkpoint.
struct Written {
    dir: tempfile::TempDir,
    file: PathBuf,
    records: Vec<Frame>,
    /// The stream of each record.
    script: Vec<String>,
    /// How many of them made a consumer, the one with the record's number.
    made: usize,
}

/// Consumers with long names, so that records are long.
fn consumer(number: usize) -> String {
    format!("{number:0200}")
}

/// A store in whose checkpoint there are all three streams. Each letter of the script is then one
/// record of that stream; the last one tells that those before it are durable.
fn written(script: &str, close: bool) -> Written {
    let dir = tempfile::tempdir().unwrap();
    let store = manual().open(dir.path()).unwrap();
    for name in STREAMS {
        put(&store.stream(name).unwrap(), 1..=5);
        stream(&store, name).create_group("g", Start::First).unwrap();
    }
    store.close().unwrap();
    let store = manual().open(dir.path()).unwrap();
    let mut script: Vec<String> = script.chars().map(String::from).collect();
    let made = script.len();
    for (number, name) in script.iter().enumerate() {
        let group = stream(&store, name).get_group("g").unwrap().unwrap();
        group.create_consumer(consumer(number)).unwrap();
        if number + 2 >= script.len() {
            store.sync().unwrap();
        }
    }
    let dir = if close {
        store.close().unwrap();
        // The close tells of each stream that was used how far it was durable.
        let used = STREAMS.into_iter().filter(|name| script.contains(&(*name).to_owned()));
        script.extend(used.map(str::to_owned).collect::<Vec<_>>());
        dir
    } else {
        died(dir.path())
    };
    let file = newest(dir.path());
    let records = of_kind(&file, EVENTS);
    assert_eq!(records.len(), script.len());
    Written { dir, file, records, script, made }
}

impl Written {
    /// Overwrites the records from one to another one, headers and all.
    fn wipe(&self, from: usize, to: usize) {
        let (from, to) = (self.records[from].at, self.records[to].end);
        overwrite(&self.file, from, &vec![0x5a; (to - from) as usize]);
    }

    /// What is to be there of each stream if it ends before the first of its records that is lost.
    fn expected(&self, lost: &[usize]) -> Consumers {
        let mut expected: Consumers =
            STREAMS.iter().map(|name| ((*name).to_owned(), Vec::new())).collect();
        for (name, found) in &mut expected {
            let of_stream = (0..self.made).filter(|n| self.script[*n] == *name);
            found.extend(of_stream.take_while(|n| !lost.contains(n)));
        }
        expected
    }
}

fn consumers(store: &Store, name: &str) -> Vec<usize> {
    let group = stream(store, name).get_group("g").unwrap().unwrap();
    let found = group.consumers().unwrap().into_iter();
    let number = |name: Vec<u8>| String::from_utf8(name).unwrap().parse().unwrap();
    let mut found: Vec<usize> = found.map(|consumer| number(consumer.name)).collect();
    found.sort_unstable();
    found
}

fn names(of: &[&str]) -> Vec<Vec<u8>> {
    of.iter().map(|name| name.as_bytes().to_vec()).collect()
}

fn refused(store: &Store, name: &str) {
    for call in [try_stream(store, name), store.stream(name)] {
        let error = error(call);
        assert_eq!(*error.kind(), ErrorKind::GroupStateLost, "{name}");
        assert!(error.is_corruption() && !error.is_retryable());
        assert!(error.to_string().contains("OnDamage::Skip"));
    }
}

/// Checks that exactly these streams are refused, as often as the store is opened; that the option
/// goes on with what there is of them; and that it has to be given once.
fn check(written: &Written, hurt: &[usize], lost: &[&str], uncertain: &[&str]) {
    let (path, whole) = (written.dir.path(), written.expected(&[]));
    for round in 0..3 {
        let store = manual().open(path).unwrap();
        let report = store.recovery();
        let numbers = report.journal.missing.iter().flat_map(|run| run.clone());
        if round == 0 {
            assert_eq!(numbers.count(), hurt.len(), "{report:?}");
            assert_eq!(report.lost, names(lost), "{report:?}");
            assert_eq!(report.uncertain, names(uncertain), "{report:?}");
            assert_eq!(report.journal.gaps.len(), 1, "{report:?}");
        } else {
            // What was uncertain once is not distinguished any more.
            let mut all: Vec<_> = lost.iter().chain(uncertain).copied().collect();
            all.sort_unstable();
            assert_eq!((report.lost, report.uncertain), (names(&all), names(&[])));
        }
        assert_eq!(store.names(), names(&STREAMS));
        for name in STREAMS {
            if lost.contains(&name) || uncertain.contains(&name) {
                refused(&store, name);
            } else {
                assert_eq!(consumers(&store, name), whole[name], "{name}");
                assert_eq!(ids(&stream(&store, name)), upto(5));
            }
        }
        store.close().unwrap();
    }
    let left = written.expected(hurt);
    let store = skipping().open(path).unwrap();
    for name in STREAMS {
        assert_eq!(consumers(&store, name), left[name], "{name}");
        stream(&store, name).append([("n", "6")]).unwrap();
    }
    store.sync().unwrap();
    // As a dying process leaves it, and closed: nobody is asked again.
    let copy = died(path);
    store.close().unwrap();
    for path in [copy.path(), path] {
        for _ in 0..2 {
            let store = manual().open(path).unwrap();
            let report = store.recovery();
            assert_eq!((report.lost, report.uncertain), (names(&[]), names(&[])));
            for name in STREAMS {
                assert_eq!(consumers(&store, name), left[name], "{name}");
            }
            store.close().unwrap();
        }
    }
}

/// One record is lost: `hurt` of the script. Its body, or all of it.
fn one(script: &str, close: bool, hurt: usize) {
    for all in [false, true] {
        let written = written(script, close);
        if all {
            written.wipe(hurt, hurt);
        } else {
            flip(&written.file, written.records[hurt].body() + 5);
        }
        check(&written, &[hurt], &[&written.script[hurt]], &[]);
    }
}

/// Fails if `Recent::before` names no stream: the idle ones are uncertain then.
#[test]
fn the_first_record_is_lost() {
    one("abab", false, 0);
    one("abb", false, 0);
}

#[test]
fn a_record_in_the_middle_is_lost() {
    one("babb", false, 1);
    one("aabab", false, 2);
}

/// Fails if the Close frame does not tell of the records before it.
#[test]
fn the_last_record_is_lost() {
    one("aba", false, 1);
    one("ab", true, 1);
    one("ab", true, 2);
    one("ab", true, 3);
}

/// Nothing is left that tells of the first of them.
#[test]
fn of_two_records_in_a_row_the_first_may_have_been_anybodys() {
    let first = written("abbb", false);
    first.wipe(0, 1);
    check(&first, &[0, 1], &["b"], &["a", "c"]);
    // `b` has a later record, which follows the one before.
    let second = written("aaab", false);
    second.wipe(0, 1);
    check(&second, &[0, 1], &["a"], &["c"]);
}

/// Fails if `Recent::list` leaves out a stream that either interval has.
#[test]
fn a_clean_end_tells_of_many_records() {
    let first = written("abbb", true);
    first.wipe(0, 1);
    check(&first, &[0, 1], &["a", "b"], &[]);
    let last = written("abbb", true);
    last.wipe(4, 5);
    check(&last, &[4, 5], &["a", "b"], &[]);
}

/// A block of the medium holds many records: somewhere behind it there is a list. Fails if there is
/// none, and if it reaches back to the last one only, which the block may hold.
#[test]
fn a_lost_block_is_known_by_the_list_behind_it() {
    for begins in [10, 25, 30, 35, 40] {
        let script = "b".repeat(begins) + &"a".repeat(16) + &"b".repeat(80);
        let written = written(&script, false);
        let hurt: Vec<usize> = (begins..begins + 16).collect();
        assert!(written.records[hurt[15]].end - written.records[hurt[0]].at >= 3400);
        written.wipe(hurt[0], hurt[15]);
        check(&written, &hurt, &["a"], &[]);
    }
}

#[test]
fn behind_a_long_lost_run_the_idle_streams_are_uncertain() {
    let written = written(&("b".to_owned() + &"a".repeat(150) + "b"), false);
    written.wipe(1, 140);
    let hurt: Vec<usize> = (1..141).collect();
    check(&written, &hurt, &["a"], &["c"]);
}

/// A single damaged section is made good from the file before; where that is no use either, it costs
/// its own stream only. Fails if such a checkpoint counts for nothing, and, with no record behind
/// it, if its end mark does not tell that the sections were durable.
#[test]
fn a_damaged_section_costs_its_own_stream() {
    for (script, hurt) in [("ab", 0), ("ab", 1), ("ab", 2), ("", 0), ("", 2)] {
        let written = written(script, false);
        let dir = written.dir.path();
        let sections = of_kind(&written.file, SECTION);
        assert_eq!(sections.len(), 3);
        flip(&written.file, sections[hurt].body() + 20);
        let spare = died(dir);
        let whole = written.expected(&[]);
        let store = at(spare.path(), &manual());
        assert_eq!(store.recovery().journal.gaps.len(), 1);
        for name in STREAMS {
            assert_eq!(consumers(&store, name), whole[name]);
        }
        for file in journals(dir).iter().filter(|file| **file != written.file) {
            if let Some(end) = of_kind(file, END).first() {
                flip(file, end.body());
            }
        }
        one_section(dir, STREAMS[hurt], &whole);
    }
}

fn one_section(dir: &Path, name: &str, whole: &Consumers) {
    for _ in 0..2 {
        let store = at(dir, &manual());
        let report = store.recovery();
        assert_eq!((report.lost, report.uncertain), (names(&[name]), names(&[])));
        for other in STREAMS {
            if other == name {
                refused(&store, other);
            } else {
                assert_eq!(consumers(&store, other), whole[other]);
            }
        }
        store.close().unwrap();
    }
    let store = at(dir, &skipping());
    assert_eq!(ids(&stream(&store, name)), upto(5));
    assert!(stream(&store, name).groups().unwrap().is_empty());
    store.close().unwrap();
    let store = at(dir, &manual());
    assert_eq!(store.recovery().lost, names(&[]));
    assert_eq!(ids(&stream(&store, name)), upto(5));
}

/// Damages the record that ends a copy of the store's directory after the next change, and has one
/// more of another stream behind it.
fn without_the_record_of(change: impl Fn(&Store)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = manual().open(dir.path()).unwrap();
    for name in STREAMS {
        put(&store.stream(name).unwrap(), 1..=5);
    }
    store.sync().unwrap();
    change(&store);
    let file = newest(dir.path());
    let hurt = *frames(&file).last().unwrap();
    store.sync().unwrap();
    stream(&store, "c").delete([EntryId::new(5, 0)]).unwrap();
    let name = file.file_name().unwrap().to_owned();
    if !store.exists("a") {
        put(&store.stream("a").unwrap(), 7..=9);
    }
    let copy = died(dir.path());
    flip(&copy.path().join("state").join(name), hurt.body() + 2);
    copy
}

fn at(dir: &Path, options: &streamlog::StoreOptions) -> Store {
    options.open(dir).unwrap()
}

/// Fails if the stream that lost its new name keeps the old one from the stream that has it since.
#[test]
fn a_lost_renaming_takes_no_name_from_another_stream() {
    let dir = without_the_record_of(|store| store.rename("a", "z").unwrap());
    for options in [&manual(), &manual(), &skipping(), &manual()] {
        let store = at(dir.path(), options);
        assert_eq!(store.recovery().lost, names(&["a"]));
        assert_eq!(ids(&stream(&store, "a")), [7, 8, 9]);
        assert_eq!(ids(&stream(&store, "b")), upto(5));
        assert_eq!(ids(&stream(&store, "c")), upto(4));
        store.close().unwrap();
    }
}

#[test]
fn a_stream_whose_removal_was_lost_is_the_only_one_refused() {
    let dir = without_the_record_of(|store| {
        assert!(store.remove("b").unwrap());
    });
    for _ in 0..2 {
        let store = at(dir.path(), &manual());
        assert_eq!(store.recovery().lost, names(&["b"]));
        refused(&store, "b");
        assert_eq!(ids(&stream(&store, "a")), upto(5));
        assert_eq!(ids(&stream(&store, "c")), upto(4));
        store.close().unwrap();
    }
    let store = at(dir.path(), &skipping());
    assert!(stream(&store, "b").is_empty().unwrap());
    store.close().unwrap();
    assert!(stream(&at(dir.path(), &manual()), "b").is_empty().unwrap());
}
