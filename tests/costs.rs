//! What the calls cost that are made most often, in what can be counted: allocations, system calls
//! and bytes written. Times are for the benchmarks.
//!
//! Allocations are those of the calling thread. System calls are counted by `strace`, which runs
//! this program again for a part of it; without `strace` that is skipped, unless
//! `STREAMLOG_REQUIRE_STRACE` is set.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]
#![allow(unsafe_code, reason = "an allocator cannot be counted otherwise")]

#[path = "costs/allocations.rs"]
mod allocations;
#[path = "costs/calls.rs"]
mod calls;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::process::ExitCode;

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    /// Bytes that this thread has taken and not given back.
    static HELD: Cell<i64> = const { Cell::new(0) };
}

// SAFETY: all of it is the system's allocator; the counter needs no memory of its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ended = COUNT.try_with(|count| count.set(count.get() + 1));
        hold(layout.size(), 0);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        hold(0, layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let _ended = COUNT.try_with(|count| count.set(count.get() + 1));
        hold(size, layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.realloc(at, layout, size) }
    }
}

fn hold(taken: usize, given: usize) {
    let more = taken as i64 - given as i64;
    let _ended = HELD.try_with(|held| held.set(held.get() + more));
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often the work allocates on this thread.
fn count<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = COUNT.with(Cell::get);
    let done = work();
    (COUNT.with(Cell::get) - before, done)
}

/// How many more bytes this thread holds after the work.
fn held<T>(work: impl FnOnce() -> T) -> (i64, T) {
    let before = HELD.with(Cell::get);
    let done = work();
    (HELD.with(Cell::get) - before, done)
}

/// A test and its name.
type Test = (&'static str, fn() -> bool);

fn main() -> ExitCode {
    if calls::is_child() {
        calls::child();
        return ExitCode::SUCCESS;
    }
    let filters: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (name, test) in allocations::TESTS.iter().chain(calls::TESTS) {
        if !filters.is_empty() && !filters.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let went = std::panic::catch_unwind(test);
        println!(
            "test {name} ... {}",
            match went {
                Ok(true) => "ok",
                Ok(false) => "SKIPPED",
                Err(_) => "FAILED",
            }
        );
        passed += u32::from(matches!(went, Ok(true)));
        skipped += u32::from(matches!(went, Ok(false)));
        failed += u32::from(went.is_err());
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    ExitCode::from(u8::from(failed > 0))
}
