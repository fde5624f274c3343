//! The parts of the byte sweep.

pub mod alloc;
mod fixture;
mod harm;
mod image;
mod judge;
mod look;
pub mod run;
