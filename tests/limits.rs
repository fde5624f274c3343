//! Few descriptors, few maps, little address space, many segments and many streams, on the real
//! system.
//!
//! Each case is a child under a shell's `ulimit`. `STREAMLOG_LIMITS_MAPS=1` adds the one that
//! needs more segments than the kernel gives maps to a process (70,000; it takes a while).
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;
use streamlog::{
    Durability, EntryId, ErrorKind, GroupReadOptions, Result, Start, Store, StoreOptions, Stream,
    StreamOptions, Trim,
};

const CHILD: &str = "STREAMLOG_LIMITS_CHILD";
const DIR: &str = "STREAMLOG_LIMITS_DIR";

/// Name, limit, what the child does.
type Case = (&'static str, &'static str, fn(&Path));

const CASES: [Case; 6] = [
    ("two_thousand_segments_and_64_descriptors", "-n 64", many_segments),
    ("no_descriptor_for_the_next_segment", "-n 64", no_descriptor),
    ("a_thousand_streams_and_128_descriptors", "-n 128", many_streams),
    ("two_thousand_segments_and_1500_maps", "-n 1024", few_maps),
    ("more_bytes_of_segments_than_address_space", "-v 524288", little_address_space),
    ("more_segments_than_there_can_be_maps", "-n 1024", more_segments_than_maps),
];

fn main() -> ExitCode {
    if let Ok(name) = std::env::var(CHILD) {
        let (.., run) = CASES.into_iter().find(|(case, ..)| *case == name).unwrap();
        run(&std::path::PathBuf::from(std::env::var_os(DIR).unwrap()));
        return ExitCode::SUCCESS;
    }
    let filters: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (name, limit, _) in CASES {
        if !filters.is_empty() && !filters.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        if name.contains("there_can_be_maps") && std::env::var_os("STREAMLOG_LIMITS_MAPS").is_none()
        {
            println!("test {name} ... SKIPPED: STREAMLOG_LIMITS_MAPS is not set");
            skipped += 1;
            continue;
        }
        let memory = Path::new("/dev/shm");
        let under = if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
        let place = tempfile::tempdir_in(under).unwrap();
        let status = Command::new("sh")
            .args(["-c", &format!("ulimit {limit}; exec \"$0\"")])
            .arg(std::env::current_exe().unwrap())
            .env(CHILD, name)
            .env(DIR, place.path().join("store"))
            .status()
            .unwrap();
        println!("test {name} ... {}", if status.success() { "ok" } else { "FAILED" });
        passed += usize::from(status.success());
        failed += usize::from(!status.success());
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    ExitCode::from(u8::from(failed > 0))
}

fn options() -> StoreOptions {
    let small = StreamOptions::new().segment_bytes(4096).max_entry_bytes(3072);
    Store::options().durability(Durability::Manual).stream_defaults(small)
}

fn put(stream: &Stream, bytes: usize) -> streamlog::Result<EntryId> {
    stream.append([("v", vec![b'x'; bytes])])
}

/// How many maps of segments the process has, and how many descriptors.
fn held() -> (usize, usize) {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let maps = maps.lines().filter(|line| line.contains(".seg")).count();
    (maps, std::fs::read_dir("/proc/self/fd").unwrap().count())
}

/// Waits for the background to come by. It is not asked for a time, only whether it ever does.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..600 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{what} never happened: {:?}", held());
}

fn read_all(stream: &Stream) -> (usize, usize) {
    let forward = stream.range(..).map(Result::unwrap).count();
    (forward, stream.range(..).rev().map(Result::unwrap).count())
}

/// Fails if `Shared::rest` (src/store/rest.rs) does not come to the maps, as when its thread ended
/// by a panic.
fn many_segments(dir: &Path) {
    let store = options().open(dir).unwrap();
    let stream = store.stream("s").unwrap();
    for _ in 0..2_000 {
        put(&stream, 3_000).unwrap();
    }
    assert!(stream.info().unwrap().segments >= 2_000);
    store.sync().unwrap();
    assert_eq!(read_all(&stream), (2_000, 2_000));
    // 256 maps are kept, and those of the journal and of the readers come on top.
    until("giving up maps", || {
        put(&stream, 3_000).unwrap();
        store.sync().unwrap();
        held().0 < 400
    });
    let entries = stream.len().unwrap();
    store.close().unwrap();
    drop(stream);
    let store = options().open(dir).unwrap();
    let stream = store.stream("s").unwrap();
    assert_eq!(stream.len().unwrap(), entries);
    assert_eq!(read_all(&stream).0 as u64, entries);
    assert_eq!(stream.trim(Trim::max_len(10)).unwrap(), entries - 10);
    until("removing segments", || std::fs::read_dir(dir.join("streams/1")).unwrap().count() < 40);
    println!("  maps and descriptors at the end: {:?}", held());
    store.close().unwrap();
}

/// What a call answers that is made until there is a descriptor for it.
fn in_the_end<T>(mut call: impl FnMut() -> Result<T>) -> T {
    let mut answer = call();
    for _ in 0..1000 {
        match answer {
            Err(error) if *error.kind() == ErrorKind::TooManyFiles => {
                std::thread::sleep(Duration::from_millis(10));
                answer = call();
            }
            answer => return answer.unwrap(),
        }
    }
    answer.unwrap()
}

fn no_descriptor(dir: &Path) {
    let store = options().open(dir).unwrap();
    let stream = store.stream("s").unwrap();
    put(&stream, 100).unwrap();
    store.sync().unwrap();
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    // What fits into the segment goes on; the next one cannot be made.
    let mut known = 1;
    let refused = loop {
        match put(&stream, 500) {
            Ok(_) => known += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(*refused.kind(), ErrorKind::TooManyFiles);
    assert!(refused.is_retryable() && refused.to_string().contains("raise the limit"), "{refused}");
    assert!(known > 3, "{known}");
    // The background may have the last descriptor for a moment, to try once more.
    let group = in_the_end(|| stream.group("g", Start::First));
    let consumer = group.consumer("c").unwrap();
    let delivery = in_the_end(|| consumer.read(GroupReadOptions::new()));
    assert_eq!(in_the_end(|| group.ack(delivery.ids())), known);
    assert_eq!(in_the_end(|| stream.range(..).collect::<Result<Vec<_>>>()).len() as u64, known);
    assert_eq!(store.health().poisoned, None);
    taken.clear();
    for _ in 0..100 {
        put(&stream, 500).unwrap();
    }
    store.sync().unwrap();
    assert_eq!(stream.len().unwrap(), known + 100);
    store.close().unwrap();
}

/// Fails without the bound that follows a shortage (`Loss::note_shortage`, src/storage/watched.rs):
/// then a read finds no descriptor when all other streams have something to sync.
fn many_streams(dir: &Path) {
    let store = options().open(dir).unwrap();
    let mut streams = Vec::new();
    for n in 0..1_000 {
        let stream = store.stream(format!("stream {n}")).unwrap();
        put(&stream, 50).unwrap();
        streams.push(stream);
    }
    // The handles go on working, whatever their streams have given up meanwhile.
    for (n, stream) in streams.iter().enumerate() {
        put(stream, 50).unwrap();
        let group = stream.create_group("g", Start::First).unwrap();
        let consumer = group.consumer("c").unwrap();
        let delivery = consumer.read(GroupReadOptions::new()).unwrap();
        assert_eq!(delivery.ack_all().unwrap(), 2, "{n}");
    }
    store.sync().unwrap();
    for stream in &streams {
        assert_eq!(read_all(stream), (2, 2));
    }
    until("giving up the maps of a thousand streams", || {
        put(&streams[0], 50).unwrap();
        store.sync().unwrap();
        held().0 < 400
    });
    println!("  maps and descriptors with 1,000 handles: {:?}", held());
    store.close().unwrap();
    drop(streams);
    let store = options().open(dir).unwrap();
    store.recover_all().unwrap();
    assert_eq!(store.names().len(), 1_000);
    for name in store.names() {
        let stream = store.get(&name).unwrap().unwrap();
        let (forward, backward) = read_all(&stream);
        assert!(forward >= 2 && forward == backward);
        assert_eq!(stream.len().unwrap(), forward as u64);
        put(&stream, 50).unwrap();
    }
    store.close().unwrap();
}

/// Fails if the crate takes the last maps there are, which the allocator needs, too: without the
/// bound that follows a shortage, the spare ones, or the look ahead (`Loss::note_shortage`,
/// src/storage/watched.rs).
fn few_maps(dir: &Path) {
    let most = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
    let most: usize = most.trim().parse().unwrap();
    // Neighbours that may not be the same in one are two maps.
    let mut others = Vec::new();
    for n in 0..most.saturating_sub(1500) {
        let map = memmap2::MmapMut::map_anon(4096).unwrap();
        match n % 2 {
            0 => others.push((Some(map), None)),
            _ => others.push((None, Some(map.make_read_only().unwrap()))),
        }
    }
    many_segments(dir);
    println!("  {} maps were of others", others.len());
}

/// 600 MiB of segments, in one view too, where a process may have 512 MiB of addresses. Fails if
/// `OwnedRange` (src/read.rs) keeps the maps of what it has passed.
fn little_address_space(dir: &Path) {
    let large = StreamOptions::new().segment_bytes(1 << 20).max_entry_bytes(1_000_000);
    let options = Store::options().durability(Durability::Manual).stream_defaults(large);
    let store = options.open(dir).unwrap();
    let stream = store.stream("s").unwrap();
    for _ in 0..600 {
        put(&stream, 900_000).unwrap();
    }
    store.sync().unwrap();
    assert_eq!(read_all(&stream), (600, 600));
    put(&stream, 900_000).unwrap();
    store.close().unwrap();
    drop(stream);
    let store = options.open(dir).unwrap();
    let stream = store.stream("s").unwrap();
    assert_eq!(read_all(&stream), (601, 601));
    assert_eq!(store.verify().unwrap().findings, []);
    store.close().unwrap();
}

/// One reader that has all of them in one view: those above the kernel's limit are copied.
fn more_segments_than_maps(dir: &Path) {
    let store = options().open(dir).unwrap();
    let stream = store.stream("s").unwrap();
    for _ in 0..70_000 {
        put(&stream, 3_000).unwrap();
    }
    store.sync().unwrap();
    assert_eq!(read_all(&stream), (70_000, 70_000));
    put(&stream, 3_000).unwrap();
    println!("  maps and descriptors at the end: {:?}", held());
    store.close().unwrap();
}
