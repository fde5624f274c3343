//! C16 to C18: threads, processes, and what no bytes and no argument can do.

use super::whole;
use crate::alloc;
use crate::disk::{FaultDisk, LONG};
use crate::format::frame::{FrameBuilder, Header, Kind};
use crate::format::header::FILE_HEADER;
use crate::ground::{DIR, FIRST, at_once, deliver, die, error, id, open, options, put, seen};
use crate::storage::overlay::Overlay;
use crate::{
    AppendOptions, ClaimOptions, Durability, EntryId, ErrorKind, GroupReadOptions, NewEntries,
    OnDamage, PendingFilter, ReadOptions, Start, Store, StoreOptions, Stream, StreamOptions, Trim,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Of many threads that append, each sees at once what it appended, IDs follow the order in which
/// the calls came, and a reader sees a prefix that only grows.
/// Fails if `Writer::finish` (src/storage/log/writer.rs) shows some entries with the next one only.
pub(crate) fn contract_c16_appends_of_many_threads_have_one_order() {
    for level in [Durability::Manual, Durability::Always] {
        let disk = FaultDisk::new();
        let store = open(&disk, level);
        let stream = store.stream("s").unwrap();
        let done = AtomicBool::new(false);
        let ids: Vec<EntryId> = std::thread::scope(|threads| {
            let writers = [0, 1, 2, 3].map(|who| {
                let stream = &stream;
                threads.spawn(move || write(stream, who))
            });
            let readers = [0, 1].map(|_| threads.spawn(|| watch(&stream, &done)));
            let written = writers.map(|writer| writer.join());
            // Whatever became of the writers: the readers must not read for ever.
            done.store(true, Ordering::Release);
            readers.into_iter().for_each(|reader| reader.join().unwrap());
            written.into_iter().flat_map(Result::unwrap).collect()
        });
        let order: Vec<_> = stream.range(..).map(|entry| entry.unwrap().id()).collect();
        let mut sorted = ids;
        sorted.sort_unstable();
        assert_eq!(order, sorted);
        die(store);
        // The order of the file is that of the IDs, so recovery finds the same.
        let again = open(&disk.image(), level);
        let found = again.stream("s").unwrap();
        assert_eq!(found.range(..).map(|entry| entry.unwrap().id()).collect::<Vec<_>>(), order);
    }
}

fn write(stream: &Stream, who: u64) -> Vec<EntryId> {
    let mut ids = Vec::new();
    for n in 0..60 {
        // Whatever is there now has returned, or is about to: what comes is above it.
        let before = stream.info().unwrap().last_id;
        let given = stream.append([("who", who.to_string()), ("n", n.to_string())]).unwrap();
        assert!(given > before, "{given} after {before}");
        let entry = stream.get(given).unwrap().expect("an entry that returned is not seen");
        assert_eq!(entry.get("n"), Some(n.to_string().as_bytes()));
        ids.push(given);
    }
    ids
}

fn watch(stream: &Stream, done: &AtomicBool) {
    let mut last: Vec<EntryId> = Vec::new();
    while !done.load(Ordering::Acquire) {
        let now: Vec<_> = stream.range(..).map(|entry| entry.unwrap().id()).collect();
        assert!(now.starts_with(&last), "{last:?} became {now:?}");
        last = now;
    }
}

/// What a reader holds stays as it is through trims, deletions, rolls, the removal of the stream and
/// the end of the store.
/// Fails if `StreamInner::unlink` (src/stream/care.rs) clears a segment before it goes.
pub(crate) fn contract_c16_what_a_reader_holds_stays_valid() {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let small = StreamOptions::new().segment_bytes(8192);
    let options = Store::options().durability(Durability::Manual).stream_defaults(small);
    let store = options.open(place.path().join("store")).unwrap();
    let stream = store.stream("s").unwrap();
    put(&stream, 1..=200);
    let group = stream.create_group("g", Start::First).unwrap();
    let snapshot = stream.snapshot().unwrap();
    let borrowed: Vec<_> = snapshot.range(..).map(Result::unwrap).collect();
    let batch = stream.read(Start::First, ReadOptions::new()).unwrap();
    let delivery = group.consumer("c").unwrap().read(GroupReadOptions::new()).unwrap();
    let held = || {
        let of = |entry: crate::EntryRef<'_>| {
            let value = entry.get("v").unwrap();
            let ms = entry.id().ms.to_string();
            assert_eq!(value, ms.repeat(100 / ms.len()).as_bytes());
            entry.id().ms
        };
        let all: Vec<_> = (1..=200).collect();
        assert_eq!(borrowed.iter().map(|entry| of(*entry)).collect::<Vec<_>>(), all);
        assert_eq!(batch.iter().map(of).collect::<Vec<_>>(), all);
        assert_eq!(delivery.iter().map(of).collect::<Vec<_>>(), all);
    };
    held();
    assert_eq!(stream.delete([id(1), id(100)]).unwrap(), 2);
    held();
    assert_eq!(stream.trim(Trim::max_len(1)).unwrap(), 197);
    put(&stream, 201..=400);
    store.sync().unwrap();
    let files = || std::fs::read_dir(place.path().join("store/streams/1")).unwrap().count();
    // The background does it, and nobody else may: it would find files gone.
    let began = std::time::Instant::now();
    while files() > 5 {
        assert!(began.elapsed() < LONG, "the space was not given back");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    held();
    assert!(store.remove("s").unwrap());
    held();
    store.close().unwrap();
    held();
}

/// No reader waits for a sync or for a writer, and no writer for a reader.
/// Fails if `Stream::sync` (src/stream/durable.rs) keeps the writer locked over the sync.
pub(crate) fn contract_c16_nobody_waits_for_a_reader_or_reads_behind_a_sync() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..=5);
    let held = stream.snapshot().unwrap();
    let mut half_read = held.range(..);
    assert_eq!(half_read.next().unwrap().unwrap().id(), id(1));
    disk.hold("sync", ".seg$");
    let syncing = stream.clone();
    let syncer = std::thread::spawn(move || syncing.sync().unwrap());
    disk.wait_held();
    let other = stream.clone();
    at_once("reading and writing during a sync", move || {
        assert_eq!(seen(&other), [1, 2, 3, 4, 5]);
        put(&other, 6..=90);
        assert_eq!(deliver(&other, "g").unwrap().len(), 90);
        assert_eq!(other.trim(Trim::min_id(id(4))).unwrap(), 3);
        assert_eq!(seen(&other).len(), 87);
    });
    disk.let_go();
    assert_eq!(syncer.join().unwrap(), id(5));
    assert_eq!(half_read.map(|entry| entry.unwrap().id().ms).collect::<Vec<_>>(), [2, 3, 4, 5]);
}

/// One process, and one store in it, writes: the second to open it is told at once who has it, and
/// so is a reader; it is free once the first has closed it.
/// Fails if `try_lock` (src/storage/real.rs) takes a lock that is held for free.
pub(crate) fn contract_c17_a_second_writer_is_refused_at_once() {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let dir = place.path().join("store");
    let store = Store::open(&dir).unwrap();
    put(&store.stream("s").unwrap(), 1..=3);
    let tries: [fn(&Path) -> crate::Result<Store>; 3] =
        [|dir| Store::open(dir), |dir| Store::open_read_only(dir), |dir| Store::open_salvage(dir)];
    for open in tries {
        let dir = dir.clone();
        let refused = at_once("a second opening", move || error(open(&dir)));
        let ErrorKind::Locked { holder } = refused.kind() else {
            panic!("{refused}");
        };
        assert!(holder.contains(&std::process::id().to_string()), "{holder}");
        assert!(refused.is_retryable());
    }
    put(&store.stream("s").unwrap(), [4]);
    store.close().unwrap();
    let readers = [Store::open_read_only(&dir).unwrap(), Store::open_read_only(&dir).unwrap()];
    for reader in &readers {
        assert_eq!(whole(&reader.stream("s").unwrap()), [1, 2, 3, 4]);
    }
    // A reader is in no writer's way, and is told.
    let store = at_once("a writer", move || Store::open(&dir)).unwrap();
    for reader in &readers {
        let refused = error(reader.stream("s").and_then(|stream| stream.len()));
        assert!(matches!(refused.kind(), ErrorKind::Locked { .. }), "{refused}");
    }
    store.close().unwrap();
}

/// A store that is opened for reading only shows what a writer would find and changes nothing, so
/// that it works where nothing can be written and no byte is free.
/// Fails if `Overlay` (src/storage/overlay.rs) passes the sync of a directory on.
pub(crate) fn contract_c17_reading_only_writes_nothing() {
    const EROFS: i32 = 30;
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..=9);
    store.sync().unwrap();
    put(&stream, 21..=200);
    assert_eq!(deliver(&stream, "g").unwrap().len(), 189);
    die(store);
    // Killed, and a tail torn besides: there is enough to repair.
    let disk = disk.image();
    let last = disk.list(Path::new("/store/streams/1")).pop().unwrap();
    let end = disk.bytes(&last).iter().rposition(|byte| *byte != 0).unwrap();
    disk.scribble(&last, end as u64 - 3, b"torn");
    let writer = open(&disk.image(), Durability::Manual);
    let (want, report) = (whole(&writer.stream("s").unwrap()), writer.recovery());
    let group = writer.stream("s").unwrap().get_group("g").unwrap().unwrap();
    let pending = group.pending().unwrap();
    for errno in [EROFS, crate::disk::ENOSPC] {
        for call in ["create_dir", "create", "rename", "remove", "remove_dir", "sync", "sync_dir"] {
            disk.fail(call, "", errno);
        }
        for call in ["allocate", "write"] {
            disk.fail(call, "", errno);
        }
        disk.take_calls();
        let files: Vec<_> = all_files(&disk);
        let options = StoreOptions { read_only: true, ..options(Durability::Manual) };
        let over = Arc::new(Overlay::new(Arc::new(disk.clone())));
        let store = options.start(over, Path::new(DIR), false).unwrap();
        let stream = store.stream("s").unwrap();
        assert_eq!(whole(&stream), want);
        assert_eq!(store.recovery().streams[0].cut, report.streams[0].cut);
        let group = stream.get_group("g").unwrap().unwrap();
        assert_eq!(group.pending().unwrap(), pending);
        assert!(store.verify().is_ok());
        for refused in [
            error(stream.append([("a", "b")])),
            error(group.ack([id(1)])),
            error(group.consumer("c").unwrap().read(GroupReadOptions::new())),
            error(store.stream("new")),
        ] {
            assert_eq!(*refused.kind(), ErrorKind::ReadOnly, "{refused}");
        }
        store.close().unwrap();
        assert_eq!(disk.take_calls(), [""; 0]);
        assert!(all_files(&disk) == files);
        disk.heal();
    }
}

fn all_files(disk: &FaultDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = vec![PathBuf::from("/store/STORE")];
    files.extend(disk.list(Path::new("/store/state")));
    files.extend(disk.list(Path::new("/store/streams/1")));
    files.into_iter().map(|path| (path.clone(), disk.bytes(&path))).collect()
}

/// Everything that can be asked of a store that may be damaged; errors are answers too.
fn use_all(disk: &FaultDisk, on_damage: OnDamage) {
    let Ok(store) =
        crate::ground::open_with(disk, &options(Durability::Manual).on_damage(on_damage))
    else {
        return;
    };
    drop(store.recover_all());
    for name in store.names() {
        let Ok(Some(stream)) = store.get(&name) else {
            continue;
        };
        // A walk stays on its error for ever.
        let forward = stream.range(..).take(500).take_while(Result::is_ok).count();
        let back = stream.range(..).rev().take(500).take_while(Result::is_ok).count();
        assert!(forward < 500 && back < 500, "the log has no end");
        drop(stream.info_full(10));
        for group in stream.groups().unwrap_or_default() {
            if let Ok(Some(group)) = stream.get_group(&group.name) {
                drop((group.pending_range(.., PendingFilter::new()), group.consumers()));
                drop(group.consumer("c").map(|consumer| {
                    drop(consumer.read(GroupReadOptions::new()));
                    drop(consumer.auto_claim(EntryId::MIN, Duration::ZERO, 100));
                }));
            }
        }
        drop(stream.append([("a", "b")]));
        drop(stream.trim(Trim::max_len(3)));
    }
    drop(store.verify());
    drop(store.close());
}

/// What is written over a part of a file, and where.
type Patch = (usize, Vec<u8>);

/// Values that are too large or too small for whatever they are taken for.
const WRONG: [&[u8]; 3] = [&[0xff; 8], &[0; 8], &[0xff, 0xff, 0xff, 0x7f]];

/// Damage of plain bytes: of the first ones in full, of the rest now and then.
fn wrong_bytes(bytes: &[u8]) -> Vec<Patch> {
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let places = (0..used.min(400)).step_by(9).chain((400..used).step_by(183));
    let of = |at: usize| WRONG.map(|wrong| (at, wrong[..wrong.len().min(used - at)].to_vec()));
    places.flat_map(of).collect()
}

/// Wrong values in the bodies of frames, under checksums that fit.
fn forged_frames(bytes: &[u8]) -> Vec<Patch> {
    let mut patches = Vec::new();
    let (mut at, mut count) = (FILE_HEADER, 0);
    while let Some(seed) = bytes.get(at..).and_then(|rest| Header::file_seed(rest, at as u64)) {
        let Some(header) = Header::decode(&bytes[at..], seed, at as u64) else {
            break;
        };
        let start = at + header.header_len();
        let body = &bytes[start..start + header.body_len];
        // Entries are many and all alike.
        let is_like_others = header.kind == Kind::Entry && count % 16 != 0;
        let places = if is_like_others { 0..0 } else { 0..body.len().min(28) };
        for (place, wrong) in places.flat_map(|n| [(n, WRONG[2]), (n, WRONG[n % 2])]) {
            let mut out = Vec::new();
            let frame = FrameBuilder::begin(&mut out, header.kind, header.flags, header.block);
            out.extend_from_slice(body);
            let from = out.len() - body.len() + place;
            let len = wrong.len().min(body.len() - place);
            out[from..from + len].copy_from_slice(&wrong[..len]);
            frame.end(&mut out, seed, at as u64);
            patches.push((at, out));
        }
        at += header.frame_len() as usize;
        count += 1;
    }
    patches
}

/// No bytes on disk make the crate panic, hang, or ask for much more memory at once than the
/// largest file takes, be their checksums right or wrong.
/// Fails if `Reader::ids` (src/format/event/codec.rs) makes room for as many IDs as a record says.
pub(crate) fn contract_c18_no_bytes_on_disk_cost_more_than_their_size() {
    let disk = FaultDisk::new();
    let store = open(&disk, Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..=40);
    assert_eq!(deliver(&stream, "g").unwrap().len(), 40);
    assert_eq!(stream.delete([id(7), id(9)]).unwrap(), 2);
    let mut batch = NewEntries::new();
    (41..=50).for_each(|ms| batch.push_with(id(ms), [("v", "x")]).unwrap());
    stream.append_batch(&batch).unwrap();
    store.step_prepare().unwrap();
    store.close().unwrap();
    let files = all_files(&disk);
    let largest = files.iter().map(|(_, bytes)| bytes.len()).max().unwrap();
    let mut cases = 0;
    for (path, bytes) in &files {
        let patches = wrong_bytes(bytes).into_iter().chain(forged_frames(bytes));
        // A slow build does with every fifth of them.
        for (at, with) in patches.step_by(if cfg!(debug_assertions) { 5 } else { 1 }) {
            let hurt = disk.image();
            hurt.scribble(path, at as u64, &with);
            // The second opening finds what the first has made of it.
            for on_damage in [OnDamage::Refuse, OnDamage::Skip] {
                alloc::reset();
                let used = catch_unwind(AssertUnwindSafe(|| use_all(&hurt, on_damage)));
                let most = alloc::largest();
                let place = format!("{} at {at}: {with:?}", path.display());
                assert!(used.is_ok(), "{place}");
                assert!(most <= largest + (1 << 20), "{place}: {most} bytes at once");
            }
            cases += 1;
        }
    }
    assert!(cases > 100, "{cases}");
}

/// No argument makes the crate panic, overflow or ask for memory that it does not use.
/// Fails if `Budget::take` (src/read.rs) takes the count for a capacity.
pub(crate) fn contract_c18_no_argument_is_too_much() {
    let store = open(&FaultDisk::new(), Durability::Manual);
    let stream = store.stream("s").unwrap();
    put(&stream, 1..=20);
    let group = stream.create_group("g", Start::First).unwrap();
    let consumer = group.consumer("c").unwrap();
    alloc::reset();
    let all = ReadOptions::new().count(usize::MAX).bytes(usize::MAX);
    assert_eq!(stream.read(Start::First, all).unwrap().len(), 20);
    let all = GroupReadOptions::new().count(usize::MAX).bytes(usize::MAX);
    assert_eq!(consumer.read(all).unwrap().len(), 20);
    assert_eq!(consumer.history(EntryId::MIN, usize::MAX).unwrap().len(), 20);
    assert_eq!(consumer.history(EntryId::MAX, usize::MAX).unwrap().len(), 0);
    let filter = PendingFilter::new().count(usize::MAX).min_idle(Duration::MAX);
    assert_eq!(group.pending_range(.., filter).unwrap().len(), 0);
    assert_eq!(consumer.claim([EntryId::MAX], Duration::MAX).unwrap().len(), 0);
    let late = ClaimOptions::new(Duration::ZERO).idle(Duration::MAX).retry_count(u64::MAX);
    assert_eq!(consumer.claim_with([id(1)], late).unwrap().len(), 1);
    let refused = error(consumer.auto_claim(EntryId::MIN, Duration::ZERO, usize::MAX));
    assert!(matches!(refused.kind(), ErrorKind::InvalidArgument { .. }), "{refused}");
    let claimed = consumer.auto_claim(EntryId::MAX, Duration::MAX, 1_000).unwrap();
    assert_eq!(claimed.delivery.len(), 0);
    assert_eq!(stream.trim(Trim::max_len(u64::MAX)).unwrap(), 0);
    assert_eq!(stream.trim(Trim::min_id(id(2)).approximate().limit(u64::MAX)).unwrap(), 0);
    assert_eq!(stream.range(EntryId::MAX..).count(), 0);
    assert_eq!(stream.range(id(9)..id(3)).count(), 0);
    assert_eq!(stream.info_full(usize::MAX).unwrap().entries.len(), 20);
    group.set_id_with(Start::After(EntryId::MAX), Some(u64::MAX)).unwrap();
    assert_eq!(group.info().unwrap().last_delivered_id, EntryId::MAX);
    let long = vec![b'n'; 256];
    assert!(matches!(error(store.stream(&long)).kind(), ErrorKind::InvalidName { len: 256, .. }));
    let huge = vec![b'x'; 9_000];
    let refused = error(stream.append([("v", huge)]));
    assert!(matches!(refused.kind(), ErrorKind::EntryTooLarge { .. }), "{refused}");
    let last = AppendOptions::new().id(EntryId::MAX);
    assert_eq!(stream.append_with([("a", "b")], last).unwrap(), EntryId::MAX);
    assert_eq!(*error(stream.append([("a", "b")])).kind(), ErrorKind::IdExhausted);
    assert_eq!(stream.trim(Trim::min_id(EntryId::MAX)).unwrap(), 20);
    assert_eq!(stream.len().unwrap(), 1);
    assert!(alloc::largest() <= 1 << 20, "{} bytes at once", alloc::largest());
}
