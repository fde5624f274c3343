//! How many instructions do the calls take that are made most often?
//!
//! Counted by `valgrind --tool=callgrind`, which runs this program again for each of the rows: the
//! number hardly changes from run to run, however busy the machine is. Each row is compared with
//! `instructions/baseline.csv`; more than 5 % beside it, up or down, is a failure, so that no change
//! of cost goes unnoticed. `STREAMLOG_BLESS=1` writes the file anew. With another compiler or a
//! processor of another kind the numbers are others: then the table is printed and nothing fails.
//! `valgrind` knows no AVX-512, so these are the counts of a processor without it. Where there is no
//! `valgrind`, it says that it is skipped, unless `STREAMLOG_REQUIRE_VALGRIND` is set.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on should stop")]
#![allow(clippy::print_stdout)]

mod scratch;

use scratch::{FIELD, PAYLOAD, directory, fill, open};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use streamlog::{
    Consumer, Durability, EntryRef, GroupReadOptions, NewEntries, Result, Snapshot, Start, Store,
    Stream,
};
use tempfile::TempDir;

const CHILD: &str = "STREAMLOG_INSTRUCTIONS_CHILD";
/// How often a row's call is made, or how many entries it is made for.
const CALLS: u64 = 10_000;
/// How far a row may lie beside the baseline.
const BAND: f64 = 0.05;

/// A row: its name, and the work, in which a function called `counted_…` is what counts.
type Row = (&'static str, fn());

const ROWS: [Row; 11] = [
    ("append", append),
    ("append in batches of 100", append_batch),
    ("scan", scan),
    ("scan of batches of 100", scan_batches),
    ("scan backward", scan_back),
    ("seek", seek),
    ("read 1 and acknowledge it", || read_and_ack(1)),
    ("read 100 and acknowledge them", || read_and_ack(100)),
    ("acknowledge 100 of 10,000", ack),
    ("summary of 10,000 pending", summary),
    ("list 10 of 100,000 pending", list),
];

fn main() -> ExitCode {
    if let Ok(name) = std::env::var(CHILD) {
        let (_, work) = ROWS.iter().find(|(row, _)| *row == name).unwrap();
        work();
        return ExitCode::SUCCESS;
    }
    // `cargo bench -- --test` and a filter for another benchmark.
    if std::env::args().any(|arg| arg == "--test") {
        ROWS.iter().for_each(|(_, work)| work());
        return ExitCode::SUCCESS;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        let required = std::env::var_os("STREAMLOG_REQUIRE_VALGRIND").is_some();
        println!("instructions: SKIPPED, there is no valgrind");
        return ExitCode::from(u8::from(required));
    }
    let counts: Vec<(&str, u64)> = ROWS.iter().map(|(row, _)| (*row, instructions(row))).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions/baseline.csv");
    if std::env::var_os("STREAMLOG_BLESS").is_some() {
        let mut text = format!("made with,{}\nrow,instructions\n", made_with());
        counts.iter().for_each(|(row, count)| writeln!(text, "\"{row}\",{count}").unwrap());
        std::fs::write(&path, text).unwrap();
    }
    let known = baseline(&path);
    let comparable = std::fs::read_to_string(&path)
        .is_ok_and(|text| text.lines().next() == Some(&format!("made with,{}", made_with())));
    if !comparable {
        println!("the baseline is of another compiler or processor than {}", made_with());
    }
    let mut failed = false;
    println!("{:<32} {:>12} {:>12} {:>8}", "instructions", "now", "baseline", "");
    for (row, count) in counts {
        let base = known.get(row).copied().unwrap_or(0);
        let beside = count as f64 / base.max(1) as f64 - 1.0;
        let fits = beside.abs() <= BAND;
        let verdict = if fits { "" } else { "  beside the band" };
        println!("{row:<32} {count:>12} {base:>12} {:>7.1}%{verdict}", beside * 100.0);
        failed |= !fits;
    }
    ExitCode::from(u8::from(failed && comparable))
}

/// What the numbers depend on beside the code.
fn made_with() -> String {
    let rustc = Command::new("rustc").arg("-V").output().unwrap();
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = cpu.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let has = |flag: &&str| flags.split_whitespace().any(|other| other == *flag);
    let kinds = ["pclmulqdq", "sse4_1", "avx2", "avx512f", "erms"];
    let kinds: Vec<&str> = kinds.into_iter().filter(has).collect();
    format!("{} {}", String::from_utf8_lossy(&rustc.stdout).trim(), kinds.join(" "))
}

fn baseline(path: &Path) -> BTreeMap<String, u64> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let row = |line: &str| {
        let (name, count) = line.strip_prefix('"')?.rsplit_once("\",")?;
        Some((name.to_owned(), count.parse().ok()?))
    };
    text.lines().filter_map(row).collect()
}

/// Instructions of one call, or for one entry.
fn instructions(row: &str) -> u64 {
    let dir = directory();
    let out: PathBuf = dir.path().join("counts");
    let ran = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*counted_*"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, row)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let text = std::fs::read_to_string(&out).unwrap();
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap();
    total.split(' ').next().unwrap().parse::<u64>().unwrap() / CALLS
}

/// A store with a stream of so many entries.
fn filled(entries: u64) -> (TempDir, Store, Stream) {
    let dir = directory();
    let (store, stream) = open(dir.path(), Durability::Manual);
    fill(&stream, entries, &PAYLOAD);
    (dir, store, stream)
}

#[inline(never)]
fn counted_append(stream: &Stream) {
    for _ in 0..CALLS {
        black_box(stream.append([(FIELD, &PAYLOAD)]).unwrap());
    }
}

fn append() {
    // Segments have grown by then, so that hardly one rolls.
    let (_dir, _store, stream) = filled(300_000);
    counted_append(&stream);
}

#[inline(never)]
fn counted_append_batch(stream: &Stream, batch: &NewEntries) {
    for _ in 0..CALLS / 100 {
        black_box(stream.append_batch(batch).unwrap());
    }
}

fn append_batch() {
    let (_dir, _store, stream) = filled(300_000);
    let mut batch = NewEntries::new();
    (0..100).for_each(|_| batch.push([(FIELD, &PAYLOAD)]).unwrap());
    counted_append_batch(&stream, &batch);
}

#[inline(never)]
fn counted_scan<'a>(entries: impl Iterator<Item = Result<EntryRef<'a>>>) {
    for entry in entries {
        black_box(entry.unwrap().get(FIELD).unwrap());
    }
}

fn scan() {
    let (_dir, _store, stream) = filled(0);
    put(&stream);
    counted_scan(stream.snapshot().unwrap().range(..));
}

fn scan_batches() {
    let (_dir, _store, stream) = filled(CALLS);
    counted_scan(stream.snapshot().unwrap().range(..));
}

fn scan_back() {
    let (_dir, _store, stream) = filled(0);
    put(&stream);
    counted_scan(stream.snapshot().unwrap().range(..).rev());
}

#[inline(never)]
fn counted_seek(snapshot: &Snapshot, ids: &[streamlog::EntryId]) {
    for id in ids {
        black_box(snapshot.range(*id..).next().unwrap().unwrap());
    }
}

/// Appends them one by one: a batch is one frame, of which all before an entry has to be passed.
fn put(stream: &Stream) {
    for _ in 0..CALLS {
        stream.append([(FIELD, &PAYLOAD)]).unwrap();
    }
}

fn seek() {
    let (_dir, _store, stream) = filled(0);
    put(&stream);
    let mut ids: Vec<_> = stream.range(..).map(|entry| entry.unwrap().id()).collect();
    // In an order that no cache of a last place helps.
    let mut n = 0;
    ids.sort_by_cached_key(|_| {
        n = (n * 5_003 + 1) % CALLS;
        n
    });
    counted_seek(&stream.snapshot().unwrap(), &ids);
}

#[inline(never)]
fn counted_read_and_ack(consumer: &Consumer, batch: u64) {
    let options = GroupReadOptions::new().count(batch as usize);
    for _ in 0..CALLS / batch {
        let delivery = consumer.read(options).unwrap();
        for entry in &delivery {
            black_box(entry.get(FIELD).unwrap());
        }
        assert_eq!(delivery.ack_all().unwrap(), batch);
    }
}

fn read_and_ack(batch: u64) {
    let (_dir, _store, stream) = filled(0);
    put(&stream);
    let group = stream.group("workers", Start::First).unwrap();
    counted_read_and_ack(&group.consumer("only").unwrap(), batch);
}

#[inline(never)]
fn counted_ack(group: &streamlog::Group, ids: &[streamlog::EntryId]) {
    for some in ids.chunks(100) {
        assert_eq!(group.ack(some.iter().copied()).unwrap(), 100);
    }
}

fn ack() {
    let (_dir, _store, stream) = filled(CALLS);
    let group = stream.group("workers", Start::First).unwrap();
    let options = GroupReadOptions::new().count(CALLS as usize);
    let read = group.consumer("only").unwrap().read(options).unwrap();
    let ids: Vec<_> = read.ids().collect();
    counted_ack(&group, &ids);
}

#[inline(never)]
fn counted_summary(group: &streamlog::Group) {
    for _ in 0..CALLS {
        black_box(group.pending().unwrap());
    }
}

fn summary() {
    let (_dir, _store, stream) = filled(CALLS);
    let group = stream.group("workers", Start::First).unwrap();
    let options = GroupReadOptions::new().count(CALLS as usize);
    drop(group.consumer("only").unwrap().read(options).unwrap());
    counted_summary(&group);
}

/// How much is pending where it should not matter how much is.
const MANY: u64 = 100_000;

fn much_pending() -> (TempDir, Store, streamlog::Group) {
    let (dir, store, stream) = filled(MANY);
    let group = stream.group("workers", Start::First).unwrap();
    let options = GroupReadOptions::new().count(MANY as usize);
    drop(group.consumer("first").unwrap().read(options).unwrap());
    (dir, store, group)
}

#[inline(never)]
fn counted_list(group: &streamlog::Group, middle: streamlog::EntryId) {
    let filter = streamlog::PendingFilter::new().count(10).consumer("first");
    for _ in 0..CALLS / 10 {
        assert_eq!(group.pending_range(middle.., filter.clone()).unwrap().len(), 10);
    }
}

fn list() {
    let (_dir, _store, group) = much_pending();
    let ids = group.stream().range(..).skip(MANY as usize / 2);
    let middle = ids.map(|entry| entry.unwrap().id()).next().unwrap();
    counted_list(&group, middle);
}
