//! Bugs of the recovery that the power-loss simulator has found, each as a scenario of a few calls.
//!
//! Every test says what was wrong; each was seen to fail with its fix taken out again. The crate's
//! own sources are compiled in as modules, so that the seam stays private. It has no harness, as
//! that would run the unit tests of the modules once more; arguments name the tests to run.
#![allow(dead_code, unused_imports, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

include!("ground/source.rs");

/// The simulated disk.
#[path = "power_loss"]
mod sim {
    pub mod disk;
    pub mod file;
    pub mod image;
    pub mod names;
    pub mod rng;
}

#[path = "crash_regressions/copies.rs"]
mod copies;
#[path = "crash_regressions/groups.rs"]
mod groups;
#[path = "crash_regressions/lies.rs"]
mod lies;
#[path = "crash_regressions/machine.rs"]
mod machine;
#[path = "crash_regressions/segments.rs"]
mod segments;

use std::process::ExitCode;

/// A scenario and its name.
type Test = (&'static str, fn());

fn main() -> ExitCode {
    let filters: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|part| name.contains(part));
    let all = [segments::TESTS, groups::TESTS, copies::TESTS, lies::TESTS];
    let mut failed = 0;
    for (name, test) in all.into_iter().flatten().filter(|(name, _)| wanted(name)) {
        let passed = std::panic::catch_unwind(test).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += usize::from(!passed);
    }
    if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
