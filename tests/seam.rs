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

/// The crate's modules. (Inline, so that theirs are found in the folders beside them.)
#[path = "../src"]
mod source {
    pub mod commit;
    pub mod consumer;
    pub mod entry;
    pub mod error;
    pub mod format;
    pub mod group;
    pub mod id;
    pub mod journal;
    pub mod notify;
    pub mod options;
    pub mod planted;
    pub mod read;
    pub mod state;
    pub mod storage;
    pub mod store;
    pub mod stream;
    pub mod sync;
    pub mod wait;
    pub mod worker;
}

use source::{
    commit, consumer, entry, error, format, group, id, journal, notify, options, planted, read,
    state, storage, store, stream, sync, wait, worker,
};

use std::process::ExitCode;

#[path = "seam/disk.rs"]
mod faulty;
#[path = "seam/invariants.rs"]
mod invariants;

pub use consumer::{AutoClaim, AutoClaimIds, Consumer, Deliveries, Delivery, Group};
pub use entry::{Entry, EntryRef, Fields, NewEntries};
pub use error::{Error, ErrorKind, Result};
pub use group::{
    ConsumerDetails, ConsumerInfo, GroupDetails, GroupInfo, Pending, PendingDetails, PendingSummary,
};
pub use id::{EntryId, NewId};
pub use journal::JournalRecovery;
pub use options::{
    AppendOptions, BatchOptions, ClaimOptions, Durability, GroupReadOptions, OnDamage,
    PendingFilter, ReadFrom, ReadOptions, Retention, Start, StreamOptions, Trim,
};
pub use read::{Batch, BatchIter, OwnedRange, Range, Snapshot};
pub use storage::recover::{CutTail, Gap, StreamRecovery};
pub use store::{ClampedGroup, Health, RecoveryReport, Store, StoreOptions};
pub use stream::{Stream, StreamDetails, StreamInfo};

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
