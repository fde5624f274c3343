//! C13 to C15: what an opening tells, what becomes of damaged bytes, and what an error of the disk
//! stops.

use super::whole;
use crate::disk::{EIO, ENOSPC, Fault, FaultDisk};
use crate::format::frame::{Header, Kind};
use crate::format::header::{FILE_HEADER, FileHeader};
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

const STATE: &str = "/store/state";

/// The frames of a journal file.
fn frames(bytes: &[u8]) -> Vec<(usize, Kind)> {
    let seed = FileHeader::decode(bytes).unwrap().seed();
    let (mut frames, mut at) = (Vec::new(), FILE_HEADER);
    while let Some(header) = Header::decode(&bytes[at..], seed, at as u64) {
        frames.push((at, header.kind));
        at += header.frame_len() as usize;
    }
    frames
}

/// A closed store, each of whose journal files was in use.
fn turned() -> FaultDisk {
    let mut disk = closed();
    for n in 0..3 {
        let store = open(&disk, Durability::Manual);
        let stream = store.stream("s").unwrap();
        stream.create_group(n.to_string(), Start::First).unwrap();
        assert_eq!(stream.delete([id(20 + n)]).unwrap(), 1);
        store.close().unwrap();
        disk = disk.image();
    }
    disk
}

/// The bytes are in one of the journal's files, and nothing but zeros of them is written over.
fn keeps_journal(disk: &FaultDisk, damaged: &[u8]) {
    let same = |after: &[u8]| {
        let same = damaged.iter().zip(after).all(|(old, new)| *old == 0 || old == new);
        same && after.len() >= damaged.len()
    };
    let files = disk.list(Path::new(STATE));
    assert!(files.iter().any(|path| same(&disk.bytes(path))), "{files:?}");
}

/// A journal file in which anything is damaged is not written over, whichever of them it is and
/// whatever is to become of damage: when its turn comes it gets a name of its own, once, and the
/// report tells of it from then on.
/// (Planted `damage_written_over`.)
pub(crate) fn contract_c14_a_damaged_journal_file_is_kept() {
    let turned = turned();
    for path in turned.list(Path::new(STATE)) {
        let frames = frames(&turned.bytes(&path));
        // What is damaged behind all that says that it was durable may be a torn tail.
        let checked = frames.iter().take_while(|(_, kind)| *kind != Kind::Close);
        let places: Vec<usize> = checked.map(|(at, _)| at + 4).chain([20, 126]).collect();
        assert!(places.len() > 5, "{frames:?}");
        for (at, on_damage) in places
            .iter()
            .flat_map(|at| [OnDamage::Skip, OnDamage::Refuse].map(|on_damage| (*at, on_damage)))
        {
            let mut disk = turned.image();
            disk.scribble(&path, at as u64, &[disk.bytes(&path)[at] ^ 0x55]);
            let damaged = disk.bytes(&path);
            disk = disk.image();
            let options = options(Durability::Manual).on_damage(on_damage);
            for round in 0..6 {
                let store = open_with(&disk, &options).unwrap();
                if round == 4 {
                    // Its turn comes as well where the store stays open.
                    (0..3).for_each(|_| store.step_checkpoint().unwrap());
                }
                let told = store.recovery().journal.set_aside;
                match round % 2 {
                    0 => store.close().unwrap(),
                    _ => die(store),
                }
                disk = if round % 3 == 0 { disk.power_cut() } else { disk.image() };
                keeps_journal(&disk, &damaged);
                let mut files = disk.list(Path::new(STATE));
                files.retain(|path| path.to_string_lossy().contains("damaged"));
                assert_eq!(told, files, "{} at {at}, {round}", path.display());
                let name = path.with_extension("damaged-1");
                assert!(files.is_empty() && round < 3 || files == [name], "{files:?}");
            }
        }
    }
}

/// Wherever an opening fails or ends that has to set a file aside, its bytes are there, and the next
/// one goes on.
/// (Planted `damage_written_over`.)
pub(crate) fn contract_c14_a_damaged_journal_file_is_kept_whatever_fails() {
    let turned = turned();
    let turn_of = |path: &Path| FileHeader::decode(&turned.bytes(path)).unwrap().number;
    let files = turned.list(Path::new(STATE));
    let newest = files.iter().max_by_key(|path| turn_of(path)).unwrap();
    let hurt = || {
        let disk = turned.image();
        // So that nothing in it can be read, and the next checkpoint goes there.
        disk.scribble(newest, 0, &[0x5a; 4096]);
        disk.image()
    };
    let kept = newest.with_extension("damaged-1");
    let damaged = hurt().bytes(newest);
    let disk = hurt();
    disk.count(None);
    die(open_with(&disk, &skipping()).unwrap());
    let (calls, mut refused) = (disk.take_every(), 0);
    let of = |what| calls.iter().position(|(call, path)| *call == what && path.starts_with(STATE));
    assert!(of("rename") < of("create") && of("create").is_some(), "{calls:?}");
    for (at, after, errno) in
        (0..calls.len()).flat_map(|at| [(at, false, EIO), (at, true, EIO), (at, false, ENOSPC)])
    {
        let disk = hurt();
        disk.count(Some(Fault { at, after, errno, times: 1 }));
        match open_with(&disk, &skipping()) {
            Ok(store) => die(store),
            Err(_) => refused += 1,
        }
        for left in [disk.image(), disk.power_cut()] {
            keeps_journal(&left, &damaged);
            for _ in 0..3 {
                let left = left.next_life();
                let store = open_with(&left, &skipping()).unwrap();
                assert_eq!(
                    store.recovery().journal.set_aside,
                    std::slice::from_ref(&kept),
                    "{:?}",
                    calls[at]
                );
                assert_eq!(whole(&store.stream("t").unwrap()), [1, 2, 3, 4, 5]);
                store.close().unwrap();
                keeps_journal(&left, &damaged);
            }
        }
    }
    assert!(refused > 20, "{refused}");
}

/// The same while the store is open: a checkpoint that has to set a file aside and cannot is made up
/// for by a later one, and changes of the state go on meanwhile.
/// Fails if `Files::spare_damage` (src/journal/files.rs) forgets what it has done by then: it sets
/// the new file aside as well, or writes over the old one.
pub(crate) fn contract_c14_a_damaged_journal_file_is_kept_while_the_store_is_open() {
    let turned = turned();
    let mut files = turned.list(Path::new(STATE));
    files.sort_by_key(|path| FileHeader::decode(&turned.bytes(path)).unwrap().number);
    // The opening takes the oldest one, the next checkpoint that with the name behind it.
    assert!(files[0].ends_with("0") && files[2].ends_with("1"), "{files:?}");
    let (hurt, kept) = (&files[2], files[2].with_extension("damaged-1"));
    for (call, errno) in [("rename", EIO), ("create", ENOSPC), ("allocate", ENOSPC)] {
        let disk = turned.image();
        let at = frames(&disk.bytes(hurt))[0].0;
        disk.scribble(hurt, at as u64 + 4, b"####");
        let damaged = disk.bytes(hurt);
        let disk = disk.image();
        let store = open(&disk, Durability::Manual);
        disk.fail(call, STATE, errno);
        for n in 0..3 {
            let refused = error(store.step_checkpoint());
            let full = matches!(refused.kind(), ErrorKind::StorageFull { .. });
            assert!(full == (errno == ENOSPC), "{refused}");
            keeps_journal(&disk, &damaged);
            assert_eq!(store.stream("t").unwrap().delete([id(1 + n)]).unwrap(), 1);
        }
        disk.heal();
        for _ in 0..3 {
            store.step_checkpoint().unwrap();
            keeps_journal(&disk, &damaged);
        }
        assert_eq!(store.recovery().journal.set_aside, std::slice::from_ref(&kept), "{call}");
        store.sync().unwrap();
        die(store);
        let store = open(&disk.power_cut(), Durability::Manual);
        assert_eq!(whole(&store.stream("t").unwrap()), [4, 5]);
        assert_eq!(store.recovery().journal.set_aside, std::slice::from_ref(&kept), "{call}");
    }
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
