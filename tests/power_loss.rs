//! The power-loss simulator: the crate on a disk whose power may fail at every call.
//!
//! `cargo test --test power_loss` judges 10,000 distinct states, with `--release` 100,000. A state
//! is one crash image; it is recovered twice, compared with all that was promised before the cut,
//! and appended to. The simulator first proves itself on a toy store into which bugs are planted.
//!
//! * `STREAMLOG_SIM_SEED`: the seed of the first run.
//! * `STREAMLOG_SIM_STATES`: how many distinct states.
//! * `STREAMLOG_SIM_REPORT=0`: no more of a violation than where it was found.
//! * `STREAMLOG_SIM_REPLAY=seed/step/image[/operations]`: one state only, as a violation prints it.
//!
//! Arguments name the tests to run, as with the usual harness. The crate's own sources are compiled
//! in as modules, so that the seam stays private.
#![allow(dead_code, unused_imports, unreachable_pub)]
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

include!("ground/source.rs");

#[path = "power_loss/mod.rs"]
mod sim;

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    sim::explore::keep_panics();
    let filters: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|part| name.contains(part));
    let (mut passed, mut failed) = (0, 0);
    for (name, test) in sim::selftest::TESTS {
        if !wanted(name) {
            continue;
        }
        let start = Instant::now();
        match catch_unwind(test) {
            Ok(()) => {
                passed += 1;
                println!("test {name} ... ok ({:.1} s)", start.elapsed().as_secs_f64());
            }
            Err(_) => {
                failed += 1;
                println!("test {name} ... FAILED ({})", sim::explore::last_panic());
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
