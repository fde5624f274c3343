//! Power cuts of a real kernel: ext4 on a file as a disk, shut down by its ioctl in the middle of
//! the work, mounted again, and judged by the simulator's own model.
//!
//! Fails within 100 cuts if `RealFile::sync` (src/storage/real.rs) does nothing.
//!
//! * `STREAMLOG_CUTS`: how many cuts (24).
//! * `STREAMLOG_CUTS_SEED`: the seed of the first one. What is done comes from the seed; the moment
//!   of the cut and what the kernel had written by then do not.
//!
//! Only root can mount; elsewhere the test says that it is skipped.
#![cfg(target_os = "linux")]
#![allow(dead_code, unused_imports, unreachable_pub)]
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

include!("ground/source.rs");

use std::process::ExitCode;

#[path = "real_power/cut.rs"]
mod cut;
mod mounts;
#[path = "power_loss/mod.rs"]
mod sim;
#[path = "real_power/work.rs"]
mod work;

fn main() -> ExitCode {
    if let Some(code) = mounts::outside() {
        return code;
    }
    match work::cuts() {
        Ok(()) => println!("1 passed, 0 failed"),
        Err(what) => {
            println!("{what}");
            println!("0 passed, 1 failed");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
