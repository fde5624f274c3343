//! What a durable append asks of the system.

use super::Test;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use streamlog::{AppendOptions, Durability, Store};

pub(crate) const TESTS: &[Test] =
    &[("a_durable_append_is_one_write_and_one_sync", a_durable_append)];

const CHILD: &str = "STREAMLOG_COSTS_CHILD";
const APPENDS: u64 = 200;
/// How the child tells `strace` where the part begins and ends that counts.
const MARK: &str = "/streamlog-costs-mark";

pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

fn bytes_written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap();
    let line = io.lines().find(|line| line.starts_with("write_bytes")).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

pub(crate) fn child() {
    let dir = std::env::var_os(CHILD).unwrap();
    let store = Store::options().durability(Durability::Manual).open(dir).unwrap();
    let stream = store.stream("s").unwrap();
    let put = || {
        stream.append_with([("data", [b'x'; 100])], AppendOptions::new().durable()).unwrap();
    };
    (0..20).for_each(|_| put());
    let before = bytes_written();
    let _nothing = std::fs::metadata(MARK);
    (0..APPENDS).for_each(|_| put());
    let _nothing = std::fs::metadata(MARK);
    println!("written {}", bytes_written() - before);
    store.close().unwrap();
}

/// A write of zeros, among the names of calls.
const ZEROS: &str = "pwrite64 of zeros";

/// The system calls between the marks, by name, of the thread that made these and of the others.
fn between_marks(trace: &str) -> [BTreeMap<String, u64>; 2] {
    let mut inside = None;
    let mut counts = [BTreeMap::new(), BTreeMap::new()];
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if call.contains(MARK) {
            inside = if inside.is_none() { Some(thread.to_owned()) } else { Some(String::new()) };
            continue;
        }
        let Some(caller) = inside.as_ref().filter(|caller| !caller.is_empty()) else { continue };
        let Some((name, said)) = call.split_once('(') else { continue };
        // What is written of a frame never begins so.
        let name = if said.contains(r#", "\0\0\0\0\0\0\0\0"#) { ZEROS } else { name };
        *counts[usize::from(thread != caller)].entry(name.to_owned()).or_default() += 1;
    }
    counts
}

fn a_durable_append() -> bool {
    if Command::new("strace").arg("-V").output().is_err() {
        assert!(std::env::var_os("STREAMLOG_REQUIRE_STRACE").is_none(), "there is no strace");
        return false;
    }
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let trace = dir.path().join("trace");
    let ran = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, dir.path().join("store"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&ran.stderr);
    if errors.contains("ptrace") && std::env::var_os("STREAMLOG_REQUIRE_STRACE").is_none() {
        // Nobody may be traced here.
        return false;
    }
    assert!(ran.status.success(), "{errors}");
    let [own, others] = between_marks(&read(&trace));
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    let written: u64 = text.trim().strip_prefix("written ").unwrap().parse().unwrap();
    println!("  {APPENDS} durable appends: {own:?}, in the background {others:?}");
    println!("  {} bytes written for each", written / APPENDS);
    assert_eq!(own.get("fdatasync"), Some(&APPENDS));
    // What is synced alone is written by a call, so that a page is written and not a folio.
    assert!(own.get("pwrite64").is_none_or(|calls| *calls <= APPENDS), "{own:?}");
    // Blocks are made ready for a hundred appends at a time.
    assert!(own.get(ZEROS).is_none_or(|calls| *calls <= APPENDS / 100), "{own:?}");
    let writes = ["pwrite64", ZEROS].iter().filter_map(|name| own.get(*name)).sum::<u64>();
    let more: u64 = own.values().sum::<u64>() - APPENDS - writes;
    assert!(more <= 4, "{own:?}");
    assert!(others.values().sum::<u64>() <= APPENDS / 2, "{others:?}");
    // A page and what the file system writes for it.
    assert!(written / APPENDS <= 3 * 4096, "{written}");
    true
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}
