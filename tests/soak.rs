//! A soak: streams that roll and are trimmed, consumers that die, a process that is killed, for as
//! long as one likes; what it uses of the machine must stay bounded.
//!
//! `STREAMLOG_SOAK_MINUTES=30 cargo test --release --test soak`; without it a quarter of a minute.
//! The curve of memory, descriptors, maps and disk is printed every ten seconds. Each life ends with
//! a SIGKILL, and the next look at the store checks every byte and every number of every entry. The
//! last two thirds of the time are one life, as what a process leaks goes with it.
//!
//! Seen to fail within a minute where `append_for_ever` forgets 64 KiB every 97 entries.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use streamlog::{
    Durability, EntryId, EntryRef, GroupReadOptions, PendingFilter, Start, Store, StoreOptions,
    Stream, StreamOptions, Trim,
};

const CHILD: &str = "STREAMLOG_SOAK_CHILD";
/// The streams, and how durable each is.
const STREAMS: [(&str, Durability); 3] = [
    ("often", Durability::EVERY_SECOND),
    ("never", Durability::Manual),
    ("always", Durability::Always),
];
/// What a trim leaves of a stream.
const KEEP: u64 = 20_000;
/// So long a process lives at first.
const LIFE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    if let Some(dir) = std::env::var_os(CHILD) {
        work(Path::new(&dir));
    }
    let minutes = std::env::var("STREAMLOG_SOAK_MINUTES").ok().and_then(|text| text.parse().ok());
    let all = Duration::from_secs_f64(minutes.unwrap_or(0.25) * 60.0);
    match soak(all) {
        Ok(()) => println!("1 passed, 0 failed"),
        Err(what) => {
            println!("{what}\n0 passed, 1 failed");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn options(level: Durability) -> StreamOptions {
    StreamOptions::new().segment_bytes(256 << 10).durability(level)
}

fn store_options() -> StoreOptions {
    Store::options().stream_defaults(options(Durability::EVERY_SECOND))
}

/// xorshift64*.
fn next(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}

/// The bytes of the entry with this number.
fn value(number: u64) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let len = 20 + next(&mut state) % if number.is_multiple_of(50) { 8_000 } else { 300 };
    (0..len).map(|_| next(&mut state) as u8).collect()
}

fn number_of(entry: EntryRef<'_>) -> Result<u64, String> {
    let number = entry.get("n").and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
    let number = number.ok_or_else(|| format!("{} has no number", entry.id()))?;
    match entry.get("v") == Some(&value(number)[..]) {
        true => Ok(number),
        false => Err(format!("{} ({number}) has other bytes", entry.id())),
    }
}

/// What the child has been told, outside of the store: it survives the child.
fn witness(dir: &Path) -> PathBuf {
    dir.with_extension("witness")
}

// The child.

fn work(dir: &Path) -> ! {
    let store = store_options().open(dir).unwrap();
    let told = File::options().write(true).open(witness(dir)).unwrap();
    let streams = STREAMS.map(|(name, level)| store.stream_with(name, options(level)).unwrap());
    std::thread::scope(|scope| {
        for (place, stream) in streams.iter().enumerate() {
            let told = &told;
            scope.spawn(move || append_for_ever(stream, told, place as u64));
            scope.spawn(move || consume_for_ever(stream));
        }
    });
    unreachable!("the threads never end")
}

fn last_number(stream: &Stream) -> u64 {
    let last = stream.range(..).next_back().map(|entry| number_of(entry.unwrap().as_ref()));
    last.map_or(0, Result::unwrap)
}

fn append_for_ever(stream: &Stream, told: &File, place: u64) {
    for number in last_number(stream) + 1.. {
        let (n, v) = (number.to_le_bytes(), value(number));
        stream.append([("n", &n[..]), ("v", &v[..])]).unwrap();
        told.write_all_at(&n, place * 8).unwrap();
        if number.is_multiple_of(1_000) {
            stream.trim(Trim::max_len(KEEP).approximate()).unwrap();
        }
        if number.is_multiple_of(97) {
            // A real producer has something else to do, too.
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn consume_for_ever(stream: &Stream) {
    let group = stream.group("workers", Start::First).unwrap();
    let mut state = u64::from(std::process::id()) | 1;
    for life in 0u64.. {
        let name = format!("worker {}-{life}", std::process::id());
        let me = group.consumer(&name).unwrap();
        // Takes over what dead ones left, and what it was itself before the last kill.
        loop {
            let found = me.auto_claim(EntryId::MIN, Duration::from_millis(200), 500).unwrap();
            let done = found.delivery.is_empty();
            found.delivery.ack_all().unwrap();
            if done && found.next.is_none() {
                break;
            }
        }
        for consumer in group.consumers().unwrap() {
            if consumer.pending == 0 && consumer.name != name.as_bytes() {
                group.remove_consumer(&consumer.name).unwrap();
            }
        }
        for _ in 0..1 + next(&mut state) % 200 {
            let options = GroupReadOptions::new().count(64).block(Duration::from_millis(50));
            let delivery = me.read(options).unwrap();
            for entry in &delivery {
                number_of(entry).unwrap();
            }
            if next(&mut state).is_multiple_of(40) {
                // It dies with work in its hands.
                break;
            }
            delivery.ack_all().unwrap();
        }
    }
}

// The parent.

/// What a process uses, and its disk.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    /// With the pages of files that are mapped.
    memory_kib: u64,
    heap_kib: u64,
    descriptors: u64,
    maps: u64,
    disk_kib: u64,
}

fn used(child: &Child, dir: &Path) -> Used {
    let proc = PathBuf::from(format!("/proc/{}", child.id()));
    let status = std::fs::read_to_string(proc.join("status")).unwrap_or_default();
    let kib = |what| {
        let line = status.lines().find_map(|line| line.strip_prefix(what));
        line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
    };
    let maps = std::fs::read_to_string(proc.join("maps")).unwrap_or_default();
    Used {
        memory_kib: kib("VmRSS:"),
        heap_kib: kib("RssAnon:"),
        descriptors: std::fs::read_dir(proc.join("fd")).map_or(0, |names| names.count() as u64),
        maps: maps.lines().filter(|line| line.contains(".seg")).count() as u64,
        disk_kib: size_of(dir) >> 10,
    }
}

fn size_of(dir: &Path) -> u64 {
    let names = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let size = names.map(|name| match name.path().is_dir() {
        true => size_of(&name.path()),
        false => name.metadata().map_or(0, |found| found.len()),
    });
    size.sum()
}

/// Numbers follow each other, nothing that was told is lost, and the groups add up.
fn check(dir: &Path) -> Result<u64, String> {
    let text = |error: streamlog::Error| error.to_string();
    let told = std::fs::read(witness(dir)).map_err(|error| error.to_string())?;
    let store = store_options().open(dir).map_err(text)?;
    let mut entries = 0;
    for (place, (name, level)) in STREAMS.into_iter().enumerate() {
        let wanted = told[place * 8..place * 8 + 8].try_into().unwrap();
        let wanted = u64::from_le_bytes(wanted);
        let stream = store.stream_with(name, options(level)).map_err(text)?;
        let mut last = None;
        for entry in stream.range(..) {
            let number = number_of(entry.map_err(text)?.as_ref())?;
            if last.is_some_and(|last| number != last + 1) {
                return Err(format!("{name}: {number} follows {last:?}"));
            }
            last = Some(number);
            entries += 1;
        }
        if last.unwrap_or(0) < wanted {
            return Err(format!("{name} ends with {last:?}, and {wanted} was acknowledged"));
        }
        if let Some(group) = stream.get_group("workers").map_err(text)? {
            let pending = group.pending_range(.., PendingFilter::new()).map_err(text)?;
            let counted: u64 = group.consumers().map_err(text)?.iter().map(|c| c.pending).sum();
            if counted != pending.len() as u64 || counted > 50_000 {
                return Err(format!("{name}: {counted} are pending, {} listed", pending.len()));
            }
        }
    }
    let verified = store.verify().map_err(text)?;
    if !verified.is_whole() {
        return Err(format!("a verification finds:\n{verified}"));
    }
    store.close().map_err(text)?;
    Ok(entries)
}

fn soak(all: Duration) -> Result<(), String> {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let dir = place.path().join("store");
    std::fs::write(witness(&dir), vec![0; STREAMS.len() * 8]).unwrap();
    let began = Instant::now();
    let mut curve: Vec<(u64, Used)> = Vec::new();
    let mut lives = 0;
    let every = Duration::from_secs(10).min(all / 6);
    while began.elapsed() < all {
        let child = Command::new(std::env::current_exe().unwrap())
            .env(CHILD, &dir)
            .stdin(Stdio::null())
            .spawn();
        let mut child = child.map_err(|error| error.to_string())?;
        let end = match began.elapsed() {
            early if early < all / 3 => (early + LIFE).min(all / 3),
            _ => all,
        };
        while began.elapsed() < end {
            std::thread::sleep(every);
            if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
                return Err(format!("the child ended by itself: {status}"));
            }
            let now = used(&child, &dir);
            println!(
                "{:6.0} s: {:7} KiB of memory, {:6} of these no file's, {:4} descriptors, {:4} maps, \
                 {:7} KiB on disk",
                began.elapsed().as_secs_f64(),
                now.memory_kib,
                now.heap_kib,
                now.descriptors,
                now.maps,
                now.disk_kib
            );
            curve.push((lives, now));
        }
        child.kill().map_err(|error| error.to_string())?;
        child.wait().map_err(|error| error.to_string())?;
        lives += 1;
        let entries = check(&dir)?;
        println!("         life {lives} ended, {entries} entries are whole");
    }
    bounded(&curve)
}

/// Every quantity is, in the second half of the last life, about what it was in the first; the disk
/// over all lives.
fn bounded(curve: &[(u64, Used)]) -> Result<(), String> {
    let last = curve.last().map_or(0, |(life, _)| *life);
    let all: Vec<Used> = curve.iter().map(|(_, used)| *used).collect();
    let of_last = curve.iter().filter(|(life, _)| *life == last).map(|(_, used)| *used);
    let of_last: Vec<Used> = of_last.collect();
    steady("memory", &of_last, |used| used.memory_kib, 64 << 10)?;
    steady("memory that is no file's", &of_last, |used| used.heap_kib, 8 << 10)?;
    steady("descriptors", &of_last, |used| used.descriptors, 16)?;
    steady("maps", &of_last, |used| used.maps, 128)?;
    steady("disk", &all, |used| used.disk_kib, 48 << 10)
}

fn steady(
    name: &str,
    curve: &[Used],
    quantity: impl Fn(&Used) -> u64,
    slack: u64,
) -> Result<(), String> {
    // The beginning, where everything grows, does not count.
    let (first, second) = curve[curve.len() / 4..].split_at(curve.len() * 3 / 8);
    let most = |part: &[Used]| part.iter().map(&quantity).max().unwrap_or(0);
    let (before, after) = (most(first), most(second));
    println!("{name}: at most {before}, then at most {after}");
    match after > before + slack {
        true => Err(format!("{name} is not bounded: {before}, then {after}")),
        false => Ok(()),
    }
}
