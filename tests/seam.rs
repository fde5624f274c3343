//! The invariants that only the seam can show: failing and waiting syncs, full disks, the order of
//! syncs and removals.
//!
//! The crate's own sources are compiled in as modules, so that the seam stays private; a disk on
//! the heap stands in for the real one and does what a test tells it to. Each test is named after
//! the design's invariant and says which change in the code makes it fail.
//!
//! It has no harness, as that would run the unit tests of the modules once more. Arguments name the
//! tests to run.
#![allow(dead_code, unused_imports, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

include!("ground/source.rs");

use std::process::ExitCode;

#[path = "seam/disk.rs"]
mod faulty;
#[path = "seam/invariants.rs"]
mod invariants;

fn main() -> ExitCode {
    let filters: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let mut failed = 0;
    for (name, test) in invariants::TESTS {
        if !filters.is_empty() && !filters.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let passed = std::panic::catch_unwind(test).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += usize::from(!passed);
    }
    if failed > 0 {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
