// The crate's own sources as modules of a test program, for tests that stand behind the seam, which
// is private: `include!` this at the root of the program. `src/lib.rs` has the same lists.

/// Inline, so that the folders beside the modules are found.
#[path = "../../src"]
mod source {
    pub mod commit;
    pub mod consumer;
    pub mod entry;
    pub mod error;
    pub mod few;
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
    commit, consumer, entry, error, few, format, group, id, journal, notify, options, planted, read,
    state, storage, store, stream, sync, wait, worker,
};

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
