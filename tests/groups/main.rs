//! Consumer groups by scenario: deliveries, history, claims, counters, waiting, and all of it
//! again after the store was closed and opened.
//!
//! Relies on the public API only. The figures are those that Redis's own tests fix.
#![allow(clippy::unwrap_used)]

#[path = "../ground/mod.rs"]
mod ground;

mod block;
mod claim;
mod claim_read;
mod lag;
mod manage;
mod nack;
mod read;
mod references;
mod resume;
