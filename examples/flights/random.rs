//! Random choices that a seed repeats: the SplitMix64 generator.
//!
//! Not for secrets. The same seed gives the same choices on every machine; when a thread makes
//! them still depends on the operating system.

/// A generator; its whole state is one number.
pub(crate) struct Random(u64);

impl Random {
    /// A generator for one purpose. Parts that differ in any number give unrelated sequences, so
    /// that a thread's choices do not depend on how far another thread came.
    pub(crate) fn new(parts: &[u64]) -> Random {
        let mut random = Random(0);
        for part in parts {
            random.0 = random.next() ^ part;
        }
        random
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `end - 1`; 0 if `end` is 0. The bias of the remainder is far below what
    /// this program could show.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next().checked_rem(end).unwrap_or(0)
    }

    /// A number from `first` to `last`.
    pub(crate) fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last.saturating_sub(first).saturating_add(1))
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of several things.
    pub(crate) fn choose<'a, T, const N: usize>(&mut self, among: &'a [T; N]) -> &'a T {
        const { assert!(N > 0) };
        &among[self.below(N as u64) as usize]
    }
}
