//! C13 to C15: what an opening tells, what becomes of damaged bytes, and what an error of the disk
//! stops.

use super::whole;
use crate::disk::{EIO, ENOSPC, FaultDisk};
use crate::ground::{
    DIR, FIRST, deliver, die, error, id, open, open_with, options, put, seen, segment, try_put,
};
use crate::storage::disk::{Disk, OpenMode};
use crate::{
    Durability, EntryId, ErrorKind, OnDamage, Result, Start, Store, StoreOptions, Stream,
    StreamRecovery, Trim,
};
use std::path::{Path, PathBuf};

const EMFILE: i32 = 24;

fn only(store: &Store) -> StreamRecovery {
    store.recover_all().unwrap();
    let [stream] = store.recovery().streams.try_into().unwrap();
    stream
}

/// A stream with entries 1 to 9 on disk and 21 to 25 not, in one segment.
fn unsynced() -> (FaultDisk, Store, Stream) {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..=9);
    store.sync().unwrap();
    put(&stream, 21..=25);
    (disk, store, stream)
}

/// Where an entry's value begins; its number is of two different digits that no other one has.
fn value_at(bytes: &[u8], ms: u64) -> u64 {
    let text = ms.to_string().repeat(20);
    bytes.windows(text.len()).position(|part| part == text.as_bytes()).unwrap() as u64
}

/// Nothing is repaired, cut, ignored or found without a line in the report, and where there is
/// nothing to tell the report is empty.
/// Fails if `Recovery::note_tail` (src/storage/recover/end.rs) notes no cut.
pub(crate) fn contract_c13_an_opening_tells_what_it_found_and_did() {
    let (disk, store, _) = unsynced();
    store.close().unwrap();
    let store = open(&disk, Durability::Manual);
    let mut report = only(&store);
    report.scanned_segments = 0;
    assert_eq!(report, StreamRecovery { name: b"s".to_vec(), ..StreamRecovery::default() });
    let mut report = store.recovery();
    (report.streams, report.took, report.journal.records) = Default::default();
    assert_eq!(report, crate::RecoveryReport::default());
    die(store);

    // What a killed process leaves is kept and said to have been in danger.
    let (disk, store, _) = unsynced();
    die(store);
    let again = open(&disk.next_life(), Durability::Manual);
    let report = only(&again);
    assert!(report.rescued_bytes >= 500 && report.cut.is_none(), "{report:?}");
    die(again);

    // A torn tail: its file and place, how much it is, and whether frames lie behind.
    let bytes = disk.bytes(&segment(1, 0));
    for torn in [23, 25] {
        let left = disk.image();
        left.scribble(&segment(1, 0), value_at(&bytes, torn), b"torn");
        let again = open(&left, Durability::Manual);
        let cut = only(&again).cut.unwrap();
        assert_eq!((cut.path, cut.frames_behind), (segment(1, 0), torn == 23));
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
        assert!(cut.offset + cut.bytes == end && cut.offset < value_at(&bytes, torn));
        assert!(cut.offset > value_at(&bytes, torn - 1));
        die(again);
    }

    // Names that are not the store's.
    let strays = ["/store/notes.txt", "/store/streams/1/notes.txt"].map(PathBuf::from);
    let left = disk.image();
    for path in &strays {
        drop(Disk::open(&left, path, OpenMode::CreateNew).unwrap());
    }
    let again = open(&left, Durability::Manual);
    assert_eq!(only(&again).strays, strays[1..]);
    assert_eq!(again.recovery().strays, strays[..1]);
    assert!(strays.iter().all(|path| Disk::open(&left, path, OpenMode::Read).is_ok()));
}

/// The same of what concerns more than one file: segments behind a cut, groups ahead of their
/// stream, a torn journal, a stream without its record, a STORE file that is done without.
/// (Planted `hole`, `journal_first`.)
pub(crate) fn contract_c13_an_opening_tells_what_hangs_together_no_more() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    // None of it is on disk but the directory and the segment.
    put(&stream, 21..=29);
    let adopted = disk.power_cut();
    adopted.scribble(&segment(1, 0), 0, &disk.bytes(&segment(1, 0)));
    let again = open(&adopted, Durability::Manual);
    assert_eq!(
        (again.recovery().adopted, again.names()),
        (vec![b"s".to_vec()], vec![b"s".to_vec()])
    );
    die(again);

    store.sync().unwrap();
    put(&stream, 30..=200);
    assert!(stream.info().unwrap().segments > 2);
    assert_eq!(deliver(&stream, "g").unwrap().len(), 180);
    // The first segment loses its end, and with it the others; the group was given all of it.
    let left = disk.image();
    let bytes = disk.bytes(&segment(1, 0));
    left.scribble(&segment(1, 0), value_at(&bytes, 31), &[0; 40]);
    let again = open(&left, Durability::Manual);
    let report = only(&again);
    let others = disk.list(Path::new("/store/streams/1")).split_off(1);
    assert_eq!(report.set_aside, others);
    assert_eq!(report.cut.unwrap().path, segment(1, 0));
    let [clamped] = again.recovery().clamped.try_into().unwrap();
    assert_eq!((clamped.from, clamped.to, clamped.dropped), (id(200), id(30), 170));
    die(again);

    // The last record of the journal, torn.
    let (left, synced) = (disk.image(), disk.power_cut());
    let journals = disk.list(Path::new("/store/state"));
    let dirty = journals.iter().find(|path| disk.bytes(path) != synced.bytes(path)).unwrap();
    let last = disk.bytes(dirty).iter().rposition(|byte| *byte != 0).unwrap() as u64;
    left.scribble(dirty, last, &[0xee]);
    let again = open(&left, Durability::Manual);
    let (path, offset, torn) = again.recovery().journal.cut.unwrap();
    assert!(&path == dirty && offset < last && offset + torn > last, "{offset} {torn} {last}");
    die(again);

    let left = disk.image();
    left.scribble(Path::new("/store/STORE"), 20, &[0xee; 4]);
    assert!(error(open_with(&left, &options(Durability::Manual))).is_corruption());
    let again = open_with(&left.image(), &skipping()).unwrap();
    let from = again.recovery().uuid_from.unwrap();
    assert!(from.starts_with(DIR) && from != Path::new("/store/STORE"), "{from:?}");
}

fn skipping() -> StoreOptions {
    options(Durability::Manual).on_damage(OnDamage::Skip)
}

/// All files of the first stream.
fn files(disk: &FaultDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = disk.list(Path::new("/store/streams/1"));
    paths.into_iter().map(|path| (path.clone(), disk.bytes(&path))).collect()
}

/// No byte of these files was written over but with the same, and none is gone; what was zero may
/// have been filled.
fn keeps(disk: &FaultDisk, before: &[(PathBuf, Vec<u8>)], damaged: &Path) {
    let now = files(disk);
    for (path, bytes) in before {
        let (_, after) = now.iter().find(|(other, _)| other == path).unwrap();
        let kept = bytes.iter().zip(after).all(|(old, new)| *old == 0 || old == new);
        assert!(kept && after.len() >= bytes.len(), "{}", path.display());
        assert!(path != damaged || after == bytes, "{} is damaged and written", path.display());
    }
}

/// A closed store: stream `s` with entries 1 to 200 over some segments, and stream `t`.
fn closed() -> FaultDisk {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let blocks = crate::StreamOptions::new().segment_bytes(8192).block_entries(4);
    let stream = store.stream_with("s", blocks).unwrap();
    put(&stream, 1..=200);
    assert!(stream.info().unwrap().segments > 2);
    put(&store.stream("t").unwrap(), 1..=5);
    store.step_prepare().unwrap();
    store.close().unwrap();
    disk.image()
}

/// Damages the entry and says where.
fn damage(disk: &FaultDisk, ms: u64) -> (PathBuf, u64) {
    let digits = ms.to_string().repeat(33);
    let files = files(disk);
    let found = files.iter().find_map(|(path, bytes)| {
        let value = [&[digits.len() as u8], digits.as_bytes()].concat();
        let at = bytes.windows(value.len()).position(|part| part == value)?;
        Some((path.clone(), at as u64 + 20))
    });
    let (path, at) = found.unwrap();
    disk.scribble(&path, at, b"#");
    (path, at)
}

/// Damage is named with its file, its place and the entries that it concerns, when the stream is
/// opened or a read comes upon it; everything else works. Nobody writes over damaged bytes.
/// (Planted `body_unchecked`.)
pub(crate) fn contract_c14_damage_is_refused_with_its_place() {
    // In the last segment, which is looked at when the stream is opened.
    let disk = closed();
    let (path, at) = damage(&disk, 195);
    let before = files(&disk);
    let store = open(&disk, Durability::Manual);
    let refused = error(store.stream("s"));
    let ErrorKind::Corrupt { ids: Some((from, to)), .. } = refused.kind() else {
        panic!("{refused}");
    };
    assert!(*from <= id(195) && id(195) <= *to, "{refused}");
    let (file, offset) = refused.location().unwrap();
    assert!(file == path && offset.unwrap() <= at, "{refused} not {at}");
    assert!(refused.to_string().contains("OnDamage::Skip"));
    let other = store.stream("t").unwrap();
    put(&other, [6]);
    assert_eq!(whole(&other), [1, 2, 3, 4, 5, 6]);
    store.step_checkpoint().unwrap();
    store.close().unwrap();
    keeps(&disk, &before, &path);

    // In a segment that is sealed, which is looked at when it is read.
    let disk = closed();
    let (path, at) = damage(&disk, 123);
    let before = files(&disk);
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    // A walk stays on its error for ever.
    let read: Vec<_> = stream.range(..).take(500).collect();
    let refused = read.iter().find_map(|entry| entry.as_ref().err()).unwrap();
    let (file, offset) = refused.location().unwrap();
    assert!(file == path && offset.unwrap() <= at && refused.is_corruption(), "{refused}");
    let good: Vec<_> = read.iter().map_while(|entry| Some(entry.as_ref().ok()?.id().ms)).collect();
    assert!(good.len() > 100 && good == (1..=good.len() as u64).collect::<Vec<_>>(), "{good:?}");
    assert_eq!(stream.range(id(150)..).map(|entry| entry.unwrap().id().ms).next(), Some(150));
    put(&stream, 201..=290);
    let [finding] = store.verify().unwrap().findings.try_into().unwrap();
    let (from, to) = finding.bytes.unwrap();
    assert!(finding.path.as_deref() == Some(&*path) && from <= at && at < to, "{finding}");
    store.step_prepare().unwrap();
    store.close().unwrap();
    keeps(&disk, &before, &path);
}

/// If the caller says so, reads pass over what is damaged: a gap tells of it, by its file and the
/// IDs on both sides, at each opening, and no entry is lost that is not in it.
/// (Planted `body_unchecked`.)
pub(crate) fn contract_c14_damage_can_be_skipped_and_is_told_of() {
    for ms in [123, 195] {
        let disk = closed();
        let (path, at) = damage(&disk, ms);
        // The damage is there to stay.
        let mut disk = disk.image();
        let before = files(&disk);
        for last in [200, 230, 260] {
            let store = open_with(&disk, &skipping()).unwrap();
            let stream = store.stream("s").unwrap();
            let found = whole(&stream);
            let [gap] = only_gaps(&store).try_into().unwrap();
            assert!(gap.path == path && gap.from <= at && at < gap.to, "{gap:?}");
            assert!(gap.after < id(ms) && id(ms) < gap.before, "{gap:?}");
            let (after, next) = (gap.after.ms, gap.before.ms.min(last + 1));
            assert_eq!(found, (1..=after).chain(next..=last).collect::<Vec<_>>());
            assert!(next - after <= 5 && gap.entries == next - after - 1, "{gap:?}");
            put(&stream, last + 1..=last + 30);
            store.step_prepare().unwrap();
            store.sync().unwrap();
            die(store);
            disk = disk.power_cut();
            keeps(&disk, &before, &path);
        }
    }
}

fn only_gaps(store: &Store) -> Vec<crate::Gap> {
    let streams = store.recovery().streams;
    streams.into_iter().flat_map(|stream| stream.gaps).collect()
}

/// Salvage is for reading only, and gives every entry that can be proved, whatever else is gone.
/// (Planted `body_unchecked`.)
pub(crate) fn contract_c14_salvage_gives_what_can_be_proved() {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let dir = place.path().join("store");
    let small = crate::StreamOptions::new().segment_bytes(8192).block_entries(4);
    let store = Store::options().stream_defaults(small).open(&dir).unwrap();
    put(&store.stream("s").unwrap(), 1..=200);
    store.close().unwrap();
    std::fs::remove_file(dir.join("STORE")).unwrap();
    std::fs::remove_dir_all(dir.join("state")).unwrap();
    let digits = "123".repeat(33);
    let mut damaged = false;
    let names =
        || std::fs::read_dir(dir.join("streams/1")).unwrap().map(|name| name.unwrap().path());
    for path in names() {
        let mut bytes = std::fs::read(&path).unwrap();
        let value = bytes.windows(99).position(|part| part == digits.as_bytes());
        // Another number's digits may come in the same order; its frame begins earlier or later.
        if let Some(at) = value {
            bytes[at + 40] = b'#';
            std::fs::write(&path, bytes).unwrap();
            damaged = true;
        }
    }
    assert!(damaged);
    let all = || -> Vec<_> { names().map(|path| std::fs::read(path).unwrap()).collect() };
    let before = all();
    assert!(error(Store::open(&dir)).is_corruption());
    let store = Store::open_salvage(&dir).unwrap();
    let [name] = store.names().try_into().unwrap();
    let stream = store.get(&name).unwrap().unwrap();
    let found = whole(&stream);
    assert!(found.len() >= 195 && !found.contains(&123), "{found:?}");
    assert!(!only_gaps(&store).is_empty());
    assert_eq!(*error(try_put(&stream, 300)).kind(), ErrorKind::ReadOnly);
    assert_eq!(*error(stream.delete([id(1)])).kind(), ErrorKind::ReadOnly);
    drop(stream);
    store.close().unwrap();
    assert_eq!(all(), before);
    assert!(!dir.join("STORE").exists() && !dir.join("state").exists());
}

fn cause<T>(what: &str, result: Result<T>) -> String {
    match error(result).kind() {
        ErrorKind::Poisoned { cause } => cause.clone(),
        other => panic!("{what}: {other:?}"),
    }
}

/// After a failed sync the stream takes nothing more: each call that would change it names the
/// first cause, and so does `close`. What is durable can be read, and is there at the next opening.
/// (Planted `sync_error`.)
pub(crate) fn contract_c15_a_failed_sync_stops_the_stream_and_is_told_by_its_first_cause() {
    let (disk, store, stream) = unsynced();
    let other = store.stream("t").unwrap();
    assert_eq!(deliver(&stream, "g").unwrap().len(), 14);
    let group = stream.get_group("g").unwrap().unwrap();
    disk.fail("sync", FIRST, EIO);
    let first = cause("sync", stream.sync());
    assert!(first.contains("os error 5") && first.contains("0000000000.0000.seg"), "{first}");
    // A disk that works again changes nothing of it, as nobody knows what it has lost.
    disk.heal();
    let told = [
        cause("sync", stream.sync()),
        cause("append", try_put(&stream, 30)),
        cause("ack", group.ack([id(1)])),
        cause("trim", stream.trim(Trim::max_len(1))),
        cause("delete", stream.delete([id(1)])),
        cause("read as a group", deliver(&stream, "g")),
        cause("wait_durable", stream.wait_durable(id(25))),
    ];
    assert!(told.iter().all(|cause| *cause == first), "{first}: {told:?}");
    assert_eq!(store.health().poisoned_streams, [(b"s".to_vec(), first.clone())]);
    let readable = whole(&stream);
    assert!(readable.starts_with(&[1, 2, 3, 4, 5, 6, 7, 8, 9]), "{readable:?}");
    put(&other, 1..=3);
    other.sync().unwrap();
    let told = error(store.close()).to_string();
    assert!(told.contains("os error 5"), "{told}");
    for left in [disk.power_cut(), disk.image()] {
        let store = open(&left, Durability::Manual);
        let stream = store.stream("s").unwrap();
        let found = whole(&stream);
        let all: Vec<_> = (1..=9).chain(21..=25).collect();
        assert!(found.len() >= 9 && all.starts_with(&found), "{found:?}");
        put(&stream, [40]);
        store.sync().unwrap();
        assert_eq!(seen(&store.stream("t").unwrap()), [1, 2, 3]);
        die(store);
    }
}

/// A full disk and a lack of descriptors stop nothing: the call changed nothing, and succeeds once
/// there is what it lacked.
/// Fails if `Log::poison_if_sync` (src/storage/log.rs) stops a stream for any error.
pub(crate) fn contract_c15_a_full_disk_and_a_lack_of_descriptors_leave_no_trace() {
    for (call, errno) in [("allocate", ENOSPC), ("create", EMFILE), ("create", ENOSPC)] {
        let disk = FaultDisk::new();
        let store = open(&disk, Durability::Manual);
        let stream = store.stream("s").unwrap();
        put(&stream, 1..=9);
        stream.create_group("g", Start::First).unwrap();
        disk.fail(call, FIRST, errno);
        let full = (10..300).find(|ms| try_put(&stream, *ms).is_err()).unwrap();
        let state = |stream: &Stream| format!("{:?} {:?}", stream.info(), stream.groups());
        let (before, list) = (state(&stream), disk.list(Path::new("/store/streams/1")));
        for _ in 0..3 {
            let refused = error(try_put(&stream, full));
            let fits = match errno {
                ENOSPC => matches!(refused.kind(), ErrorKind::StorageFull { .. }),
                _ => *refused.kind() == ErrorKind::TooManyFiles,
            };
            assert!(fits && refused.is_retryable() && !refused.is_indeterminate(), "{refused}");
        }
        assert_eq!((state(&stream), disk.list(Path::new("/store/streams/1"))), (before, list));
        let health = store.health();
        assert_eq!((health.poisoned, health.poisoned_streams), (None, vec![]));
        let group = stream.get_group("g").unwrap().unwrap();
        assert_eq!(deliver(&stream, "g").unwrap().len() as u64, full - 1);
        assert_eq!(group.ack([id(1)]).unwrap(), 1);
        assert_eq!(stream.trim(Trim::min_id(id(2))).unwrap(), 1);
        store.sync().unwrap();
        disk.heal();
        put(&stream, full..=full + 90);
        store.sync().unwrap();
        die(store);
        let store = open(&disk.power_cut(), Durability::Manual);
        let stream = store.stream("s").unwrap();
        assert_eq!(whole(&stream), (2..=full + 90).collect::<Vec<_>>());
        assert_eq!(stream.info().unwrap().last_id, EntryId::new(full + 90, 0));
    }
}
