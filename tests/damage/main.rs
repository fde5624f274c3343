//! Damage and torn tails on real files: copies of a store that is open (as after a kill, or worse),
//! with bytes cut, zeroed, flipped or made up, and what opening them gives.
//!
//! Relies on the public API and on file names only: `streams/<number>/<segment>.seg`, `state/0..2`.
#![allow(clippy::unwrap_used)]

#[path = "../ground/copy.rs"]
mod copy;
#[path = "../ground/mod.rs"]
mod ground;

mod files;
mod flipped;
mod gaps;
mod invariants;
mod journal;
mod lost;
mod made;
mod producers;
mod records;
mod restart;
mod segments;
mod store;
mod tail;
mod torn;
mod verify;
