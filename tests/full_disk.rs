//! Full disks for real: a small tmpfs, ext4 and ext2, filled by another file to the last byte, a
//! limit of the file size, a disk that is read-only, and disks that have less space than they say,
//! so that writing back fails long after the file system has taken the bytes.
//!
//! Fails by a bus error if `RealFile::allocate` (src/storage/real.rs) only sets the length.
//!
//! The work is done by a child, which a bus error would kill. Only root can mount; elsewhere the
//! test says that it is skipped. `STREAMLOG_FULL_ACKS` is the number of acknowledgements that each
//! file system takes with zero bytes free (20,000).
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod mounts;

use mounts::{Kind, Mounted};
use std::fs::File;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;
use streamlog::{
    Durability, EntryId, Error, ErrorKind, Group, GroupReadOptions, NewEntries, PendingFilter,
    Start, Store, Stream, StreamOptions, Trim,
};

const CHILD: &str = "STREAMLOG_FULL_CHILD";
const LIMITED: &str = "STREAMLOG_FULL_LIMITED";

/// Longer than anything here takes; what has not happened by then never does.
const LONG: std::time::Duration = std::time::Duration::from_secs(30);

fn main() -> ExitCode {
    if let Some(root) = std::env::var_os(CHILD) {
        match std::env::var_os(LIMITED) {
            Some(one) if one == "1" => limited(Path::new(&root)),
            Some(two) if two == "2" => unreadable(Path::new(&root)),
            Some(told) => failing(Path::new(&root), Path::new(&told)),
            None => full(Path::new(&root)),
        }
        return ExitCode::SUCCESS;
    }
    if let Some(code) = mounts::outside() {
        return code;
    }
    let cases = [
        ("tmpfs", Kind::Tmpfs, 4),
        ("ext4", Kind::Ext4, 16),
        ("ext4_without_a_journal", Kind::Ext4WithoutJournal, 16),
        ("ext2_which_cannot_allocate", Kind::Ext2, 16),
    ];
    let (mut passed, mut failed) = (0, 0);
    let mut judge = |name: &str, went: Result<(), String>| {
        println!("test {name} ... {}", went.as_ref().map_or_else(String::as_str, |()| "ok"));
        passed += usize::from(went.is_ok());
        failed += usize::from(went.is_err());
    };
    for (name, kind, megabytes) in cases {
        judge(&format!("a_full_{name}"), on(kind, megabytes));
    }
    judge("a_limit_of_the_file_size", with_a_limit());
    judge("a_disk_that_is_read_only", read_only());
    for (name, kind) in [("ext4", Kind::Ext4), ("ext4_without_a_journal", Kind::Ext4WithoutJournal)]
    {
        judge(&format!("an_{name}_that_cannot_write_back"), cannot_write_back(kind));
    }
    judge("a_disk_of_which_a_part_cannot_be_read", cannot_read());
    println!("{passed} passed, {failed} failed");
    ExitCode::from(u8::from(failed > 0))
}

fn on(kind: Kind, megabytes: u64) -> Result<(), String> {
    let mounted = Mounted::new(kind, megabytes)?;
    let mut child = Command::new(std::env::current_exe().unwrap());
    lived(child.env(CHILD, mounted.root()))
}

/// As a shell's `ulimit -f` does it. The signal is ignored, as its default would end any program.
fn with_a_limit() -> Result<(), String> {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut shell = Command::new("sh");
    // In blocks of 512 bytes: one MiB.
    shell.args(["-c", "trap '' XFSZ; ulimit -f 2048; exec \"$0\""]);
    lived(shell.arg(std::env::current_exe().unwrap()).env(CHILD, place.path()).env(LIMITED, "1"))
}

/// Fails if `Error::io` (src/error.rs) does not know a file system that is read-only.
fn read_only() -> Result<(), String> {
    let mounted = Mounted::new(Kind::Tmpfs, 16)?;
    let (dir, new) = (mounted.root().join("store"), mounted.root().join("new"));
    let store = options().open(&dir).unwrap();
    put(&store.stream("s").unwrap(), 10).unwrap();
    store.close().unwrap();
    mounted.forbid_writing()?;
    for path in [&dir, &new] {
        let error = Store::open(path).err().ok_or("FAILED: it was opened for writing")?;
        let names_it = error.location().is_some_and(|(at, _)| at.starts_with(path));
        let told = error.to_string();
        let is_right = *error.kind() == ErrorKind::PermissionDenied && names_it;
        if !is_right || !told.starts_with("permission denied: ") || !told.contains("os error 30") {
            return Err(format!("FAILED: {error:?}"));
        }
    }
    // To read it needs no more than that.
    let store = Store::open_read_only(&dir).map_err(|error| format!("FAILED: {error}"))?;
    assert_eq!(ids(&store.stream("s").unwrap()).len(), 1);
    Ok(())
}

/// A file system on a file in a tmpfs that is smaller than it: what it has promised to keep it
/// cannot write. Fails if `Log::sync_files` (src/storage/log.rs) does not tell a sync that failed,
/// or if the one after it tells that all is well.
fn cannot_write_back(kind: Kind) -> Result<(), String> {
    let below = Mounted::new(Kind::Tmpfs, 24)?;
    let mut mounted = Mounted::under(&below.root(), kind, 64)?;
    mounted.write_by_pages()?;
    let store = options().open(mounted.root().join("store")).unwrap();
    put(&store.stream("s").unwrap(), 10).unwrap();
    store.close().unwrap();
    run_sync();
    let ballast = below.root().join("ballast");
    let left = 2 << 20;
    let size = free_bytes(&below.root()).checked_sub(left).ok_or("the tmpfs is too small")?;
    std::fs::write(&ballast, vec![7; usize::try_from(size).unwrap()]).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    let told = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    lived(child.env(CHILD, mounted.root()).env(LIMITED, told.path()))?;
    // The disk has grown; what was not written is lost, as after a loss of power.
    mounted.unmount()?;
    std::fs::remove_file(ballast).unwrap();
    mounted.mount()?;
    let told = std::fs::read_to_string(told.path()).unwrap();
    let durable: usize = told.parse().unwrap();
    let store = options().open(mounted.root().join("store")).map_err(|e| format!("FAILED: {e}"))?;
    let stream = store.stream("s").unwrap();
    let there = ids(&stream).len();
    if there < durable || !store.verify().unwrap().is_whole() {
        return Err(format!("FAILED: {there} entries of {durable} durable ones"));
    }
    put(&stream, 500).unwrap();
    store.close().unwrap();
    println!("  a sync failed behind {durable} durable entries; {there} are there again");
    Ok(())
}

/// Fails if `Segment::verify` (src/storage/verify.rs) or a recovery reads through the map, where an
/// error of the disk is a signal.
fn cannot_read() -> Result<(), String> {
    let mut mounted = Mounted::new(Kind::Ext4WithoutJournal, 64)?;
    let store = options().durability(Durability::Manual).open(mounted.root().join("store"));
    let store = store.unwrap();
    let stream = store.stream("s").unwrap();
    for _ in 0..20_000 {
        put(&stream, 2_000).unwrap();
    }
    drop(stream);
    store.close().unwrap();
    // Nothing of it is in memory then.
    mounted.unmount()?;
    mounted.mount()?;
    mounted.lose_behind(24 << 20)?;
    let mut child = Command::new(std::env::current_exe().unwrap());
    lived(child.env(CHILD, mounted.root()).env(LIMITED, "2"))
}

fn unreadable(root: &Path) {
    let dir = root.join("store");
    let refused = |error: &Error| {
        let named = error.location().is_some_and(|(path, _)| path.starts_with(&dir));
        let io = matches!(error.kind(), ErrorKind::Io { .. });
        assert!(named && (io || error.is_corruption()), "{error}");
    };
    for salvage in [false, true] {
        let store = match salvage {
            true => Store::open_salvage(&dir),
            false => options().open(&dir),
        };
        let found = store.and_then(|store| store.verify());
        match found {
            Ok(found) => {
                println!("  verification: {} findings", found.findings.len());
                assert!(!found.is_whole());
            }
            Err(error) => {
                println!("  {error}");
                refused(&error);
            }
        }
    }
}

fn run_sync() {
    drop(Command::new("sync").status());
}

/// Appends and syncs until that fails, and then it fails for good. Tells how many entries were
/// durable.
fn failing(root: &Path, told: &Path) {
    let store = options().durability(Durability::Manual).open(root.join("store")).unwrap();
    let stream = store.stream("s").unwrap();
    let mut durable = ids(&stream);
    let mut known = durable.clone();
    // A new segment may be what fails first, or the file system that gives up.
    let mut appended = Ok(());
    while appended.is_ok() {
        assert!(known.len() < 50_000, "nothing fails");
        appended = (0..50).try_for_each(|_| put(&stream, 2_000).map(|id| known.push(id)));
        match store.sync() {
            Ok(()) => durable.clone_from(&known),
            Err(_) => break,
        }
    }
    let poisoned = |error: &Error| matches!(error.kind(), ErrorKind::Poisoned { .. });
    std::fs::write(told, durable.len().to_string()).unwrap();
    for _ in 0..3 {
        assert!(store.sync().is_err_and(|error| poisoned(&error)), "it is well again");
        assert!(put(&stream, 10).is_err());
    }
    assert_eq!(stream.durable_id().unwrap(), *durable.last().unwrap());
    // What is durable can be read.
    let there = stream.range(..).take(durable.len()).map(|entry| entry.unwrap().id());
    assert_eq!(there.collect::<Vec<_>>(), durable);
    assert!(store.close().is_err_and(|error| poisoned(&error)));
}

fn lived(child: &mut Command) -> Result<(), String> {
    let status = child.status().map_err(|error| error.to_string())?;
    match (status.signal(), status.success()) {
        (Some(signal), _) => Err(format!("FAILED: the child was killed by signal {signal}")),
        (None, false) => Err(format!("FAILED: the child ended with {status}")),
        (None, true) => Ok(()),
    }
}

fn free_bytes(root: &Path) -> u64 {
    let found = rustix::fs::statvfs(root).unwrap();
    found.f_bavail * found.f_frsize
}

/// Takes all the space there is.
fn fill(root: &Path) -> PathBuf {
    let path = root.join("ballast");
    let mut file = File::options().create(true).append(true).open(&path).unwrap();
    for size in [1 << 16, 1 << 12, 1 << 9, 1] {
        while file.write_all(&vec![7; size]).is_ok() {}
    }
    // What it took has to be taken for good, and not only be promised.
    drop(file.sync_all());
    while file.write_all(&[7; 512]).is_ok() {}
    assert_eq!(free_bytes(root), 0, "there is space left");
    path
}

fn is_full(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull { .. })
}

fn ids(stream: &Stream) -> Vec<EntryId> {
    stream.range(..).map(|entry| entry.unwrap().id()).collect()
}

fn put(stream: &Stream, bytes: usize) -> streamlog::Result<EntryId> {
    stream.append([("v", vec![b'x'; bytes])])
}

fn options() -> streamlog::StoreOptions {
    let small = StreamOptions::new().segment_bytes(64 << 10);
    Store::options().stream_defaults(small)
}

/// Appends until the disk is full; what was there and what was acknowledged stays.
fn appends_are_refused(stream: &Stream, level: &str) {
    let mut known = ids(stream);
    let refused = loop {
        match put(stream, 500) {
            Ok(id) => known.push(id),
            Err(error) => break error,
        }
    };
    assert!(is_full(&refused) && refused.is_retryable(), "{level}: {refused}");
    let mut batch = NewEntries::new();
    for _ in 0..50 {
        batch.push([("v", vec![b'y'; 500])]).unwrap();
    }
    assert!(stream.append_batch(&batch).is_err_and(|error| is_full(&error)), "{level}");
    assert_eq!(ids(stream), known, "{level}");
}

/// Acknowledgements with nothing free: what they free is delivered again. Returns how many reads
/// were refused.
fn acks(group: &Group, root: &Path, wanted: u64) -> u64 {
    let consumer = group.consumer("c").unwrap();
    let (mut acked, mut refused) = (0, 0);
    while acked < wanted {
        let pending = group.pending_range(.., PendingFilter::new().count(200)).unwrap();
        for one in pending {
            assert_eq!(group.ack([one.id]).unwrap(), 1);
            acked += 1;
        }
        group.set_id(Start::First).unwrap();
        let before = (group.info().unwrap(), group.pending().unwrap());
        match consumer.read(GroupReadOptions::new().count(200)) {
            Ok(delivery) => assert!(!delivery.is_empty()),
            Err(error) => {
                assert!(is_full(&error), "{error}");
                let after = (group.info().unwrap(), group.pending().unwrap());
                assert_eq!(before, after, "a refused delivery moved something");
                refused += 1;
                assert!(refused < 1_000, "nothing is delivered any more");
            }
        }
    }
    assert_eq!(free_bytes(root), 0, "space came from somewhere");
    refused
}

/// Fails if the background removes no segment where it cannot prepare one: the space that a trim
/// frees then never came back.
fn trims_make_room(stream: &Stream) {
    stream.trim(Trim::max_len(5)).unwrap();
    let began = Instant::now();
    for _ in 0..50 {
        while let Err(error) = put(stream, 500) {
            assert!(is_full(&error), "{error}");
            assert!(began.elapsed() < LONG, "a trim made no room");
            std::thread::yield_now();
        }
    }
}

fn full(root: &Path) {
    let began = Instant::now();
    let wanted = std::env::var("STREAMLOG_FULL_ACKS").ok().and_then(|text| text.parse().ok());
    let wanted = wanted.unwrap_or(20_000);
    let dir = root.join("store");
    let store = options().open(&dir).unwrap();
    let strict = StreamOptions::new().segment_bytes(64 << 10).durability(Durability::Always);
    let (lax, strict) =
        (store.stream("lax").unwrap(), store.stream_with("strict", strict).unwrap());
    for stream in [&lax, &strict] {
        for _ in 0..400 {
            put(stream, 50).unwrap();
        }
        let group = stream.create_group("g", Start::First).unwrap();
        let consumer = group.consumer("c").unwrap();
        drop(consumer.read(GroupReadOptions::new().count(200)).unwrap());
    }
    // Segments that a trim can take away.
    for _ in 0..2_000 {
        put(&lax, 50).unwrap();
    }
    store.sync().unwrap();
    let ballast = fill(root);
    appends_are_refused(&lax, "lax");
    appends_are_refused(&strict, "strict");
    // Where a name takes no space, the stream's first entry finds none.
    let new = store.stream("new").and_then(|new| put(&new, 10));
    assert!(new.is_err_and(|error| is_full(&error)));
    store.remove("new").unwrap();
    assert!(store.copy("lax", "copy", false).is_err_and(|error| is_full(&error)));
    assert_eq!(store.names().len(), 2);
    assert_eq!(std::fs::read_dir(dir.join("streams")).unwrap().count(), 2);
    let group = lax.get_group("g").unwrap().unwrap();
    let refused = acks(&group, root, wanted);
    let strict_group = strict.get_group("g").unwrap().unwrap();
    acks(&strict_group, root, wanted.min(500));
    // Trims and deletions of single entries work; what they free comes back by segments.
    let there = ids(&lax);
    assert_eq!(lax.trim(Trim::min_id(there[10])).unwrap(), 10);
    assert_eq!(lax.delete([there[11], there[20]]).unwrap(), 2);
    assert_eq!(ids(&lax).len(), there.len() - 12);
    store.sync().unwrap();
    assert_eq!(store.health().poisoned, None);
    // Opened on the full disk, all of it is there.
    let (was, pending) = (ids(&lax), group.pending().unwrap().count);
    let handles = (lax, strict, group, strict_group);
    store.close().unwrap();
    drop(handles);
    // Nor does the lock file have any space, and it gets none: fails if `RealDisk::lock`
    // (src/storage/real.rs) fails where it cannot say who holds the lock.
    File::options().write(true).open(dir.join("LOCK")).unwrap().set_len(0).unwrap();
    fill(root);
    let store = options().open(&dir).unwrap();
    let lax = store.stream("lax").unwrap();
    assert_eq!(ids(&lax), was);
    let group = lax.get_group("g").unwrap().unwrap();
    assert_eq!(group.pending().unwrap().count, pending);
    let again = refused + acks(&group, root, 1_000);
    trims_make_room(&lax);
    // Space comes back, and everything goes on without another opening.
    std::fs::remove_file(ballast).unwrap();
    let before = ids(&lax).len();
    for _ in 0..500 {
        put(&lax, 500).unwrap();
    }
    assert_eq!(ids(&lax).len(), before + 500);
    drop(store.stream("new").unwrap());
    assert!(store.copy("lax", "copy", false).unwrap());
    group.create_consumer("another").unwrap();
    store.sync().unwrap();
    assert_eq!(store.health().background, None);
    store.close().unwrap();
    println!(
        "  {wanted} acks with zero bytes free, {again} deliveries refused, {:.1} s",
        began.elapsed().as_secs_f64()
    );
}

/// A file must not be longer than one MiB: segments grow up to that and no further.
fn limited(root: &Path) {
    let store = Store::options().open(root.join("store")).unwrap();
    let stream = store.stream("s").unwrap();
    let group = stream.create_group("g", Start::First).unwrap();
    let mut known = Vec::new();
    let refused = loop {
        match put(&stream, 10_000) {
            Ok(id) => known.push(id),
            Err(error) => break error,
        }
    };
    assert!(is_full(&refused), "{refused}");
    assert!(refused.to_string().contains("os error 27"), "{refused}");
    assert_eq!(ids(&stream), known);
    let delivery = group.consumer("c").unwrap().read(GroupReadOptions::new().count(10)).unwrap();
    assert_eq!(delivery.ack_all().unwrap(), 10);
    assert_eq!(stream.trim(Trim::max_len(50)).unwrap(), known.len() as u64 - 50);
    store.sync().unwrap();
    assert_eq!(store.health().poisoned, None);
    // Segments of another size fit.
    stream.set_options(&StreamOptions::new().segment_bytes(512 << 10)).unwrap();
    for _ in 0..200 {
        put(&stream, 10_000).unwrap();
    }
    store.close().unwrap();
}
