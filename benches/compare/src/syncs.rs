//! Whether a sync really syncs: counts with strace the calls that bring data to the disk, for each
//! row that appends durably. Opening and closing sync too, so two runs are compared that differ
//! only in how many entries they append, one by one.

use crate::peer::{Outcome, ROWS, Row};
use crate::runner::{remove, told};
use crate::workload::{self, Workload};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Calls after which what was written before is on the disk. `sync_file_range` is none of them:
/// it writes no metadata and does not empty the disk's own cache.
const CALLS: [&str; 3] = ["fdatasync", "fsync", "msync"];
/// The workload whose level and payload are taken.
const WORKLOAD: &str = "W4";
const FEW: u64 = 100;
const MANY: u64 = 300;

/// Counts for all rows and writes the table; whether each row syncs at least once an append.
pub fn check(scratch: &Path, folder: &Path) -> Outcome<bool> {
    let workload = workload::find(WORKLOAD).ok_or("no such workload")?;
    let appends = MANY - FEW;
    let mut text = format!(
        "<!-- Made by `compare syncs`; do not edit. -->\n\
         # How often a durable append syncs\n\n\
         Calls in {appends} appends of {WORKLOAD}: those of a process that appends {MANY} entries \
         without those of one that appends {FEW}.\n\n\
         | row | {} | an append | |\n|---|---:|---:|---:|---:|---|\n",
        CALLS.join(" | ")
    );
    let mut all = true;
    for row in ROWS.iter().filter(|row| (row.serves)(&workload.task)) {
        if let Some(why) = (row.missing)() {
            eprintln!("{} is left out: {why}", row.name);
            continue;
        }
        let few = count(scratch, workload, row, FEW)?;
        let many = count(scratch, workload, row, MANY)?;
        let calls = [0, 1, 2].map(|n| many[n].saturating_sub(few[n]));
        let syncs: u64 = calls.iter().sum();
        let enough = syncs >= appends;
        all &= enough;
        let [data, file, map] = calls;
        writeln!(
            text,
            "| {} | {data} | {file} | {map} | {:.2} | {} |",
            row.name,
            syncs as f64 / appends as f64,
            if enough { "PASS" } else { "FAIL" }
        )?;
    }
    print!("{text}");
    fs::create_dir_all(folder)?;
    fs::write(folder.join("syncs.md"), text)?;
    Ok(all)
}

/// How often a process that appends so many entries, and those that it starts, make each call.
fn count(scratch: &Path, workload: &Workload, row: &Row, entries: u64) -> Outcome<[u64; 3]> {
    let dir = scratch.join("run");
    remove(&dir)?;
    fs::create_dir_all(&dir)?;
    let trace = dir.join("trace");
    let status = told(&mut Command::new("strace"), &dir)
        .args(["-f", "-qq", "-e", &format!("trace={}", CALLS.join(",")), "-o"])
        .arg(&trace)
        .arg(std::env::current_exe()?)
        .args(["child", &entries.to_string(), workload.id, row.name, "quick"])
        .arg(&dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("strace cannot be run: {error}"))?;
    if !status.success() {
        return Err(format!("{}: ended with {status}", row.name).into());
    }
    let trace = fs::read_to_string(&trace)?;
    remove(&dir)?;
    Ok(CALLS.map(|call| trace.lines().filter(|line| begins(line, call)).count() as u64))
}

/// Whether a line of strace is the beginning of this call: `pid call(..`. A call that another
/// thread's line cuts in two is told again as `pid <... call resumed>`, which is not counted.
fn begins(line: &str, call: &str) -> bool {
    let said = line.split_once(char::is_whitespace).map_or("", |(_, said)| said.trim_start());
    said.strip_prefix(call).is_some_and(|rest| rest.starts_with('('))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_is_counted_once() {
        let lines = [
            "12 fdatasync(3 <unfinished ...>",
            "13 fsync(4) = 0",
            "12 <... fdatasync resumed>) = 0",
            "12 +++ exited with 0 +++",
        ];
        let counted = |call| lines.iter().filter(|line| begins(line, call)).count();
        assert_eq!(CALLS.map(counted), [1, 1, 0]);
    }
}
