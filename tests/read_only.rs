//! Stores that are opened for reading only, what can be read of damaged ones, and how they are
//! verified.
//!
//! Relies on the public API only. What recovery makes of each kind of damage is tested in `damage`.
#![allow(clippy::unwrap_used)]

#[path = "ground/copy.rs"]
mod copy;

use copy::copy_dir;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use streamlog::{
    AppendOptions, BatchOptions, ClaimOptions, Durability, EntryId, ErrorKind, GroupReadOptions,
    NewEntries, ReadFrom, ReadOptions, Retention, Start, Store, StreamOptions, Trim,
};

fn id(ms: u64) -> EntryId {
    EntryId::new(ms, 0)
}

/// Every file below a directory with what is in it.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    found
}

/// A store of 300 entries over some segments, a deletion, a trim, and a group with five entries
/// pending.
fn fill(dir: &Path) -> Store {
    let small = StreamOptions::new().segment_bytes(8192);
    let options = Store::options().durability(Durability::Manual).stream_defaults(small);
    let store = options.open(dir).unwrap();
    let stream = store.stream("s").unwrap();
    for ms in 1..=300 {
        let fields = [("n", ms.to_string().repeat(20))];
        stream.append_with(fields, AppendOptions::new().id(id(ms))).unwrap();
    }
    assert_eq!(stream.delete([id(7)]).unwrap(), 1);
    assert_eq!(stream.trim(Trim::min_id(id(3))).unwrap(), 2);
    let group = stream.create_group("g", Start::First).unwrap();
    let consumer = group.consumer("c").unwrap();
    let delivery = consumer.read(GroupReadOptions::new().count(10)).unwrap();
    for id in delivery.ids().take(5).collect::<Vec<_>>() {
        assert_eq!(group.ack([id]).unwrap(), 1);
    }
    store
}

/// All that one can see of it, as text.
fn seen(store: &Store) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for name in store.names() {
        let stream = store.get(&name).unwrap().unwrap();
        writeln!(text, "{:?} {}", name, stream.len().unwrap()).unwrap();
        for entry in stream.range(..) {
            writeln!(text, "{:?}", entry.unwrap()).unwrap();
        }
        for group in stream.groups().unwrap() {
            let group = stream.get_group(&group.name).unwrap().unwrap();
            let info = group.info().unwrap();
            let (last, read) = (info.last_delivered_id, info.entries_read);
            writeln!(text, "{:?} {last} {read:?} {:?}", info.name, info.lag).unwrap();
            writeln!(text, "{:?}", group.pending().unwrap()).unwrap();
        }
    }
    text
}

/// Fails if opening for reading writes: to the journal (`Journal::start`), or what recovery mends
/// (`Recovery::make_durable`).
#[test]
fn reading_shows_what_a_writer_would_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (closed, killed) = (dir.path().join("closed"), dir.path().join("killed"));
    let store = fill(&closed);
    let before = seen(&store);
    // What a killed process leaves.
    copy_dir(&closed, &killed);
    store.close().unwrap();
    // A tail that was torn besides.
    let last = files(&killed.join("streams")).into_keys().next_back().unwrap();
    let mut bytes = std::fs::read(&last).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end + 9..end + 40].fill(0x5a);
    std::fs::write(&last, bytes).unwrap();
    for path in [&closed, &killed] {
        let bytes = files(path);
        let store = Store::open_read_only(path).unwrap();
        assert_eq!(seen(&store), before, "{}", path.display());
        assert_eq!(store.health().poisoned, None);
        store.close().unwrap();
        assert!(files(path) == bytes, "{} was changed", path.display());
        let store = Store::open(path).unwrap();
        assert_eq!(seen(&store), before);
    }
}

/// Fails if a call that changes something does not ask whether it may.
#[test]
fn whatever_would_change_something_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path()).close().unwrap();
    let bytes = files(dir.path());
    let store = Store::open_read_only(dir.path()).unwrap();
    let before = seen(&store);
    let stream = store.stream("s").unwrap();
    let group = stream.group("g", Start::First).unwrap();
    let consumer = group.consumer("c").unwrap();
    let mut batch = NewEntries::new();
    batch.push([("a", "b")]).unwrap();
    let (read, force) = (GroupReadOptions::new(), ClaimOptions::new(Duration::ZERO).force());
    let refused = [
        stream.append([("a", "b")]).err(),
        stream.append_with([("a", "b")], AppendOptions::new().id(id(900))).err(),
        stream.append_batch(&batch).err(),
        stream.append_batch_with(&batch, BatchOptions::new().durable()).err(),
        stream.delete([id(5)]).err(),
        stream.trim(Trim::max_len(1)).err(),
        stream.set_id(id(900), None, None).err(),
        stream.set_options(&StreamOptions::new()).err(),
        stream.set_retention(Retention::new().max_len(1)).err(),
        stream.enforce_retention().err(),
        stream.create_group("new", Start::First).err(),
        stream.create_group_with("new", Start::First, Some(1)).err(),
        stream.group("new", Start::First).err(),
        stream.remove_group("g").err(),
        group.set_id(Start::First).err(),
        group.set_id_with(Start::First, Some(1)).err(),
        group.create_consumer("new").err(),
        group.remove_consumer("c").err(),
        group.ack([id(9)]).err(),
        consumer.read(read).err(),
        consumer.read(read.block(Duration::from_secs(60))).err(),
        consumer.history(EntryId::MIN, 10).err(),
        consumer.deliveries(read).next().unwrap().err(),
        consumer.claim([id(9)], Duration::ZERO).err(),
        consumer.claim_with([id(9)], force).err(),
        consumer.claim_ids([id(9)], force).err(),
        consumer.auto_claim(EntryId::MIN, Duration::ZERO, 10).err(),
        consumer.auto_claim_ids(EntryId::MIN, Duration::ZERO, 10).err(),
        store.read_group(&[(&consumer, ReadFrom::New)], read).err(),
        store.read_group(&[(&consumer, ReadFrom::History(EntryId::MIN))], read).err(),
        store.stream("new").err(),
        store.stream_with("new", StreamOptions::new()).err(),
        store.remove("s").err(),
        store.rename("s", "t").err(),
        store.copy("s", "t", false).err(),
    ];
    for (n, error) in refused.into_iter().enumerate() {
        let error = error.unwrap_or_else(|| panic!("call {n} was not refused"));
        assert_eq!(*error.kind(), ErrorKind::ReadOnly, "call {n}");
    }
    // Nothing comes any more, so waiting ends with its time.
    let options = ReadOptions::new().block(Duration::from_millis(1));
    assert!(stream.read(Start::Last, options).unwrap().is_empty());
    store.sync().unwrap();
    assert_eq!(seen(&store), before);
    drop((stream, group, consumer, store));
    assert!(files(dir.path()) == bytes);
}

/// Fails if a reader and a writer do not notice each other, if a reader is in a writer's way, or if
/// a reader goes on after a writer that came and went.
#[test]
fn a_writer_goes_ahead_and_the_readers_notice() {
    let dir = tempfile::tempdir().unwrap();
    let writer = fill(dir.path());
    let locked = |error: streamlog::Error| matches!(error.kind(), ErrorKind::Locked { .. });
    assert!(locked(Store::open_read_only(dir.path()).unwrap_err()));
    writer.close().unwrap();
    let readers = [(); 2].map(|()| Store::open_read_only(dir.path()).unwrap());
    let stream = readers[0].stream("s").unwrap();
    let snapshot = stream.snapshot().unwrap();
    let writer = Store::open(dir.path()).unwrap();
    let theirs = writer.stream("s").unwrap();
    assert_eq!(theirs.trim(Trim::max_len(1)).unwrap(), 296);
    assert!(locked(stream.len().unwrap_err()));
    assert!(locked(readers[1].get("s").unwrap_err()));
    // What was taken before stays what it was.
    assert_eq!(snapshot.range(..).map(Result::unwrap).count(), 297);
    drop(theirs);
    writer.close().unwrap();
    assert!(locked(stream.len().unwrap_err()), "the store is not what it was");
    assert_eq!(Store::open_read_only(dir.path()).unwrap().stream("s").unwrap().len().unwrap(), 1);
}

#[test]
fn where_there_is_no_store_none_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let open = Store::open_read_only(&missing).unwrap_err();
    assert_eq!(*open.kind(), ErrorKind::Open, "{open}");
    assert!(!missing.exists());
    for open in [Store::open_read_only, Store::open_salvage] {
        let error = open(dir.path()).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::NotALog, "{error}");
    }
    assert_eq!(files(dir.path()), BTreeMap::new());
}

/// Fails if salvage needs the STORE file, the journal, or every segment.
#[test]
fn salvage_gives_all_that_can_be_proved() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    fill(&path).close().unwrap();
    let whole: Vec<EntryId> = {
        let store = Store::open_read_only(&path).unwrap();
        store.stream("s").unwrap().range(..).map(|entry| entry.unwrap().id()).collect()
    };
    std::fs::remove_file(path.join("STORE")).unwrap();
    std::fs::remove_dir_all(path.join("state")).unwrap();
    let segments: Vec<PathBuf> = files(&path.join("streams")).into_keys().collect();
    assert!(segments.len() > 2);
    let mut bytes = std::fs::read(&segments[1]).unwrap();
    bytes[3000] ^= 1;
    std::fs::write(&segments[1], bytes).unwrap();
    let before = files(&path);
    let refused = Store::open_read_only(&path).unwrap_err();
    assert_eq!(refused.location(), Some((&*path.join("STORE"), None)), "{refused}");
    assert!(refused.is_corruption() && refused.to_string().contains("Store::open_salvage"));
    let store = Store::open_salvage(&path).unwrap();
    assert_eq!(store.names(), [b"s"]);
    let stream = store.stream("s").unwrap();
    let ids: Vec<EntryId> = stream.range(..).map(|entry| entry.unwrap().id()).collect();
    // Without the journal nothing is known to be deleted or trimmed.
    assert!(ids.len() > whole.len() - 60, "{} of {}", ids.len(), whole.len());
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    let report = store.recovery();
    assert!(report.uuid_from.is_some() && report.adopted == [b"s"], "{report:?}");
    store.close().unwrap();
    assert!(files(&path) == before);
}

/// What is wrong with the store as a reader finds it.
fn findings(path: &Path) -> Vec<streamlog::Finding> {
    let before = files(path);
    let store = Store::open_read_only(path).unwrap();
    let found = store.verify().unwrap();
    assert_eq!(found.is_whole(), found.findings.is_empty());
    let text = found.to_string();
    for finding in &found.findings {
        assert!(text.contains(&finding.to_string()), "{text}");
    }
    store.close().unwrap();
    assert!(files(path) == before);
    found.findings
}

/// Fails if `Segment::verify` (src/storage/verify.rs) leaves out frames, footers or what binds
/// segments, or if damage is an error of the call.
#[test]
fn verification_names_every_damage_by_file_and_offset() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    fill(&path).close().unwrap();
    assert_eq!(findings(&path), []);
    let segments: Vec<PathBuf> = files(&path.join("streams")).into_keys().collect();
    let len = std::fs::metadata(&segments[0]).unwrap().len();
    let used = |path: &Path| {
        let bytes = std::fs::read(path).unwrap();
        bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at as u64)
    };
    // A file's header, its first frame, a frame in the middle; the middle segment; the last frame
    // of the last segment but one; the end of the footer.
    let places = [(0, 70), (0, 140), (0, 4000), (1, 3000), (1, 7000), (0, len - 20), (0, len - 1)];
    for (n, at) in places {
        let copied = dir.path().join(format!("{n}-{at}"));
        copy_dir(&path, &copied);
        let file = copied.join(segments[n].strip_prefix(&path).unwrap());
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[at as usize] ^= 0x10;
        std::fs::write(&file, bytes).unwrap();
        let found = findings(&copied);
        let named = found.iter().filter(|finding| finding.path.as_ref() == Some(&file));
        let around = named.filter(|f| f.bytes.is_none_or(|(a, b)| (a <= at && at < b) || a == b));
        assert!(around.count() > 0, "byte {at} of {}: {found:?}", file.display());
    }
    let journal = ["0", "1", "2"].map(|file| path.join("state").join(file));
    let newest = journal.into_iter().max_by_key(|path| used(path)).unwrap();
    let mut bytes = std::fs::read(&newest).unwrap();
    bytes[160] ^= 1;
    std::fs::write(&newest, bytes).unwrap();
    match Store::open_read_only(&path) {
        Ok(_) => assert!(!findings(&path).is_empty()),
        Err(error) => assert!(error.is_corruption(), "{error}"),
    }
}
