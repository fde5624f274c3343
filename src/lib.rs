#![doc = include_str!("../README.md")]

mod commit;
mod consumer;
mod entry;
mod error;
mod few;
mod format;
#[cfg(fuzzing)]
pub mod fuzzing;
#[cfg(all(test, not(fuzzing)))]
mod fuzzing;
mod group;
mod id;
mod journal;
mod notify;
mod options;
mod planted;
mod read;
#[cfg(feature = "resp")]
pub mod resp;
mod state;
mod storage;
mod store;
mod stream;
mod sync;
mod wait;
mod worker;

pub use consumer::{AutoClaim, AutoClaimIds, Claimed, Consumer, Deliveries, Delivery, Group};
pub use entry::{Entry, EntryRef, Fields, NewEntries};
pub use error::{Error, ErrorKind, Result};
pub use group::{
    ConsumerDetails, ConsumerInfo, GroupDetails, GroupInfo, Pending, PendingDetails, PendingSummary,
};
pub use id::{EntryId, NewId};
pub use journal::JournalRecovery;
pub use options::{
    AppendOptions, BatchOptions, ClaimOptions, Deletion, Durability, GroupReadOptions,
    IdempotencyWindow, NackMode, NackOptions, OnDamage, PendingFilter, ReadFrom, ReadOptions,
    RefPolicy, ReplyFormat, Retention, Start, StreamOptions, Trim,
};
pub use read::{Batch, BatchIter, OwnedRange, Range, Snapshot};
pub use storage::recover::{CutTail, Gap, StreamRecovery};
pub use store::{
    ClampedGroup, Finding, Health, RecoveryReport, Store, StoreOptions, Verification,
    VerifiedStream,
};
pub use stream::{Appended, IdempotencyInfo, Stream, StreamDetails, StreamInfo, Ticket};
pub use wait::{Subscription, Tail};

/// Handles are made to be shared between threads.
const _: () = {
    const fn shared<T: Clone + Send + Sync>() {}
    shared::<Store>();
    shared::<Stream>();
    shared::<Group>();
    shared::<Consumer>();
    shared::<Snapshot>();
    shared::<Batch>();
    shared::<Delivery>();
    shared::<Error>();
};
