//! A list of operations on a disk whose power fails at the moments that the input says. The body is
//! `crash_ops` of the power-loss simulator, tests/power_loss/fuzz.rs, which has the crate's sources
//! compiled in as modules: the seam that it stands behind is private.
#![no_main]
#![allow(dead_code, unused_imports, unreachable_pub)]

/// The crate's modules. (Inline, so that theirs are found in the folders beside them.)
#[path = "../../src"]
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
    commit, consumer, entry, error, format, group, id, journal, notify, options, planted, read, state,
    storage, store, stream, sync, wait, worker,
};

#[path = "../../tests/power_loss/mod.rs"]
mod sim;

pub use consumer::{AutoClaim, AutoClaimIds, Consumer, Deliveries, Delivery, Group};
pub use entry::{Entry, EntryRef, Fields, NewEntries};
pub use error::{Error, ErrorKind, Result};
pub use group::{
    ConsumerDetails, ConsumerInfo, GroupDetails, GroupInfo, Pending, PendingDetails, PendingSummary,
};
pub use id::{EntryId, NewId};
pub use journal::JournalRecovery;
pub use options::{
    AppendOptions, BatchOptions, ClaimOptions, Durability, GroupReadOptions, OnDamage, PendingFilter, ReadFrom,
    ReadOptions, Retention, Start, StreamOptions, Trim,
};
pub use read::{Batch, BatchIter, OwnedRange, Range, Snapshot};
pub use storage::recover::{CutTail, Gap, StreamRecovery};
pub use store::{ClampedGroup, Health, RecoveryReport, Store, StoreOptions};
pub use stream::{Stream, StreamDetails, StreamInfo};
pub use wait::Tail;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    sim::fuzz::crash_ops(data);
});
