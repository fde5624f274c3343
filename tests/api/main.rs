//! The public API by scenario: what one sees who uses streams, on disk and in memory alike.
//!
//! Relies on the public API only. Groups have scenarios of their own (`groups`), and so has input
//! that is refused (`bad_input`).
#![allow(clippy::unwrap_used)]

#[path = "../ground/mod.rs"]
mod ground;

mod append;
mod durable;
mod expiry;
mod idempotency;
mod names;
mod range;
mod read;
mod read_limits;
mod reopen;
mod retention;
mod set_id;
mod ticket;
mod trim;
