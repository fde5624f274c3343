//! (crate page comes with the README)

mod entry;
mod error;
mod format;
mod id;
mod options;
mod storage;
mod sync;

pub use entry::{Entry, EntryRef, Fields, NewEntries};
pub use error::{Error, ErrorKind, Result};
pub use id::{EntryId, NewId};
pub use options::{
    AppendOptions, ClaimOptions, Durability, GroupReadOptions, OnDamage, PendingFilter, ReadFrom,
    ReadOptions, Start, StreamOptions, Trim,
};
