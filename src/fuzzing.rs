//! What the fuzz targets do, and the test that replays their inputs on every toolchain.
//!
//! Each body takes bytes, checks everything that can be checked without knowing what they mean, and
//! returns whether it came past the checksums: a fuzzer that never does tests nothing but CRC-32.
//! So the inputs of the targets on files begin with a byte of switches, and one of them has all
//! checksums put right before the file is read. Only built for the fuzzers and for tests.
#![allow(clippy::unwrap_used)]
#![cfg_attr(not(fuzzing), allow(unreachable_pub))]

mod disk;
mod events;
mod frames;
mod ids;
mod image;
mod index;
mod manifest;
mod mutate;
mod ops;
mod recovery;
#[cfg(feature = "resp")]
mod resp;
mod resync;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod tests;

pub use events::{checkpoint, events};
pub use frames::frame;
pub use ids::id;
pub use index::index;
pub use manifest::manifest;
pub use mutate::{Form, mutate};
pub use ops::ops;
pub use recovery::{journal, segment};
#[cfg(feature = "resp")]
pub use resp::resp;
pub use resync::resync;

/// The number of the stream whose segments an input holds.
const STREAM: u64 = 1;

/// Takes values off the front of an input; what is missing is zero.
#[derive(Clone, Copy)]
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    fn short(&mut self) -> u16 {
        u16::from(self.byte()) | u16::from(self.byte()) << 8
    }
}
