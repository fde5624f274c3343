//! Bad input: one test for each class, with the exact error and its text.
//!
//! Relies on the public API only. The rows of the error contract that need what is not there yet
//! are left out: a read-only handle (`ReadOnly`). A failed sync (`Poisoned`) and a full disk
//! (`StorageFull`) need the private seam and are in `seam.rs`; `Reentrant` cannot happen, since no
//! caller's code runs under a lock (`api/append.rs` has fields that append themselves). MAXLEN and
//! MINID together cannot be written in Rust.
#![allow(clippy::unwrap_used)]

#[path = "../ground/mod.rs"]
mod ground;

mod calls;
mod entries;
mod places;
