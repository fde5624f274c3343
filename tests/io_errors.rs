//! Every call that the store makes of the disk fails in turn, with every error that fits it.
//!
//! A script goes through the whole API on the disk of `invariants/disk.rs`. Its n-th call of the
//! seam fails, for every n, with each errno of the failure table: once and for ever, before and
//! after the call had its effect. What the store answers, what it stops, what it leaves behind and
//! what is there after the next opening are compared with the table and with what was acknowledged.
//!
//! * `STREAMLOG_IO_SLICE`: every how many-th case is run (23 in a debug build, 1 in release).
//! * `STREAMLOG_IO_CASE=level/call/errno/times/before`: one case only, as a failure prints it.
#![allow(dead_code, unused_imports, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

include!("ground/source.rs");

use std::process::ExitCode;

#[path = "invariants/disk.rs"]
mod disk;
#[path = "io_errors/found.rs"]
mod found;
#[path = "invariants/ground.rs"]
mod ground;
#[path = "io_errors/judge.rs"]
mod judge;
#[path = "io_errors/known.rs"]
mod known;
#[path = "io_errors/rest.rs"]
mod rest;
#[path = "io_errors/run.rs"]
mod run;
#[path = "io_errors/script.rs"]
mod script;
#[path = "io_errors/steps.rs"]
mod steps;
#[path = "io_errors/table.rs"]
mod table;
#[path = "io_errors/younger.rs"]
mod younger;

fn main() -> ExitCode {
    let filters: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let every = ("every_call_fails_in_turn", run::all as fn());
    let (mut passed, mut failed) = (0, 0);
    for (name, test) in found::TESTS.iter().chain(rest::TESTS).copied().chain([every]) {
        if !filters.is_empty() && !filters.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let went = std::panic::catch_unwind(test).is_ok();
        println!("test {name} ... {}", if went { "ok" } else { "FAILED" });
        passed += usize::from(went);
        failed += usize::from(!went);
    }
    println!("{passed} passed, {failed} failed");
    ExitCode::from(u8::from(failed > 0))
}
