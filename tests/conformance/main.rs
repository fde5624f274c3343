//! Redis's own way of testing streams, over the wire: an equivalent of each numbered test of its
//! suite, run against `streamlog serve`.
//!
//! ```text
//! cargo test --features resp --test conformance                all in both protocols, and each against the stubs
//! cargo test --features resp --test conformance -- s17 g3      these (also s10..s20)
//! cargo test --features resp --test conformance -- --redis     those that Redis 7.0 knows, on it
//! cargo test --features resp --test conformance -- --resp3      in RESP3 only
//! cargo test --features resp --test conformance -- --count     how many pass, and what is missing
//! ```
//!
//! A test counts only if it fails against a server that answers OK to everything, and against one
//! that answers nil: both are part of each run (`--no-stubs` leaves them out).
//! `STREAMLOG_CONFORMANCE_FSYNC=always` has our server sync before it answers.
#![allow(clippy::print_stdout)]

#[cfg(unix)]
mod client;
#[cfg(unix)]
mod env;
#[cfg(unix)]
mod group;
#[cfg(unix)]
mod pattern;
#[cfg(unix)]
mod registry;
#[cfg(unix)]
mod reply;
#[cfg(unix)]
mod row_tests;
#[cfg(unix)]
mod rows;
#[cfg(unix)]
mod runner;
#[cfg(unix)]
mod server;
#[cfg(unix)]
mod stream;
#[cfg(unix)]
mod younger;

#[cfg(unix)]
mod report;

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    report::main()
}

#[cfg(not(unix))]
fn main() {
    println!("the tests talk over unix sockets: nothing was tested");
}
