//! What producers have sent, where the process died or something is damaged.

use crate::copy::died;
use crate::files::{change, find, flip, open, open_skipping, segments};
use crate::ground::error;
use std::path::Path;
use streamlog::{AppendOptions, EntryId, Store, Stream, StreamOptions, Trim};

/// All IDs lie far in the future, so that nothing is too old.
const FIRST: u64 = 4_000_000_000_000;

/// Sends entries, and returns which of them were duplicates.
fn send(stream: &Stream, numbers: std::ops::Range<u64>) -> Vec<u64> {
    let mut duplicates = Vec::new();
    for n in numbers {
        let options = AppendOptions::new().idempotent("p", n.to_string());
        let last = stream.info().unwrap().last_id.ms;
        let options = options.id(EntryId::new(last.max(FIRST) + 1, 0));
        let fields = [("n", format!("entry {n:03}")), ("pad", "x".repeat(60))];
        if stream.append_outcome(fields, options).unwrap().duplicate {
            duplicates.push(n);
        }
    }
    duplicates
}

fn stream(store: &Store) -> Stream {
    store.stream_with("s", StreamOptions::new().segment_bytes(4096).block_entries(4)).unwrap()
}

fn again(store: &Store, upto: u64) -> Vec<u64> {
    let stream = store.get("s").unwrap().unwrap();
    let told = stream.info().unwrap().idempotency;
    assert_eq!(told.duplicates, 0, "{told:?}");
    send(&stream, 0..upto)
}

/// Fails if the journal alone, or the frames alone, tell what is known.
#[test]
fn a_process_that_died_leaves_what_its_producers_sent() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let stream = stream(&store);
    // One that is full and one that is not.
    send(&stream, 0..40);
    stream.trim(Trim::max_len(3)).unwrap();
    let copied = died(dir.path());
    assert_eq!(again(&open(copied.path()), 41), (0..40).collect::<Vec<_>>());
    // Behind a checkpoint, which tells of them up to there.
    store.close().unwrap();
    let store = open(dir.path());
    let stream = store.get("s").unwrap().unwrap();
    assert_eq!(send(&stream, 38..60), [38, 39]);
    let copied = died(dir.path());
    assert_eq!(again(&open(copied.path()), 61), (0..60).collect::<Vec<_>>());
    drop(store);
}

/// Fails if frames are looked at only where the journal says that some have keys.
#[test]
fn without_the_journal_the_frames_tell() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let sent = stream(&store);
    send(&sent, 0..80);
    // The last segment, which has no footer, has no key either.
    for _ in 0..80 {
        sent.append([("pad", "x".repeat(80))]).unwrap();
    }
    store.close().unwrap();
    assert!(segments(dir.path(), 1).len() > 2);
    for file in ["0", "1", "2"] {
        change(&dir.path().join("state").join(file), |bytes| bytes.fill(7));
    }
    let store = open_skipping(dir.path()).unwrap();
    assert_eq!(again(&store, 81), (0..80).collect::<Vec<_>>());
    store.close().unwrap();
    let store = open(dir.path());
    let stream = store.get("s").unwrap().unwrap();
    assert_eq!(send(&stream, 0..82), (0..81).collect::<Vec<_>>());
}

/// Fails if a lost entry's ID is given to who sends it again.
#[test]
fn an_entry_that_damage_has_swallowed_can_be_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    send(&stream(&store), 0..30);
    store.close().unwrap();
    let path: &Path = &segments(dir.path(), 1)[0];
    flip(path, find(path, "entry 017"));
    assert!(error(open(dir.path()).get("s")).is_corruption());
    let store = open_skipping(dir.path()).unwrap();
    let known = again(&store, 30);
    assert!(!known.contains(&17) && known.len() >= 26, "{known:?}");
    let stream = store.get("s").unwrap().unwrap();
    assert_eq!(send(&stream, 0..30), (0..30).collect::<Vec<_>>());
    store.close().unwrap();
    // And is known by its new ID from then on.
    let store = open_skipping(dir.path()).unwrap();
    let stream = store.get("s").unwrap().unwrap();
    assert_eq!(send(&stream, 0..30), (0..30).collect::<Vec<_>>());
}
