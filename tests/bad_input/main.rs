//! Bad input: one test for each class, with the exact error and its text.
//!
//! Relies on the public API only. The other rows of the error contract are elsewhere: a handle for
//! reading only (`ReadOnly`) in `read_only.rs`, a disk that is read-only (`PermissionDenied`) or
//! full (`StorageFull`) in `full_disk.rs`, a failed sync (`Poisoned`) in `seam.rs`, a forked child
//! (`ForkedProcess`) in `fork.rs`.
//!
//! What cannot be, and why:
//! * `Reentrant`: no caller's code runs under a lock (`api/append.rs` has fields that append
//!   themselves).
//! * MAXLEN and MINID together cannot be written in Rust, nor can an odd list of fields.
//! * An unknown consumer is no error, as in Redis: one that reads or claims comes into being, one
//!   that is removed had 0 pending, one that is asked for has nothing
//!   (`calls::a_consumer_that_nobody_knows_is_no_error`).
#![allow(clippy::unwrap_used)]

#[path = "../ground/mod.rs"]
mod ground;

mod calls;
mod entries;
mod places;
