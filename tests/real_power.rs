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

#[path = "real_power/cut.rs"]
mod cut;
mod mounts;
#[path = "power_loss/mod.rs"]
mod sim;
#[path = "real_power/work.rs"]
mod work;

pub use consumer::{AutoClaim, AutoClaimIds, Consumer, Deliveries, Delivery, Group};
pub use entry::{Entry, EntryRef, Fields, NewEntries};
pub use error::{Error, ErrorKind, Result};
pub use group::{
    ConsumerDetails, ConsumerInfo, GroupDetails, GroupInfo, Pending, PendingDetails, PendingSummary,
};
pub use id::{EntryId, NewId};
pub use journal::JournalRecovery;
pub use options::{
    AppendOptions, ClaimOptions, Durability, GroupReadOptions, OnDamage, PendingFilter, ReadFrom,
    ReadOptions, Start, StreamOptions, Trim,
};
pub use read::{Batch, BatchIter, OwnedRange, Range, Snapshot};
pub use storage::recover::{CutTail, Gap, StreamRecovery};
pub use store::{ClampedGroup, Health, RecoveryReport, Store, StoreOptions};
pub use stream::{Stream, StreamDetails, StreamInfo};
pub use wait::Tail;

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
