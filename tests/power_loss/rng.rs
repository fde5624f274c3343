//! Deterministic random numbers: the same path of numbers always gives the same sequence.
//!
//! Nothing here is good randomness; it is repeatable, cheap in a debug build, and each decision of
//! the simulator draws from a generator of its own, so that leaving one decision out (as replaying
//! and shrinking do) does not shift the others.

/// A splitmix64 sequence.
#[derive(Clone, Debug)]
pub struct Rng(u64);

/// Stirs one more number into a hash.
pub fn mix(hash: u64, more: u64) -> u64 {
    let mut z =
        (hash ^ more.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(0x1234_5678_9abc_def1);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Stirs bytes into a hash, eight at a time: a byte at a time is too slow without optimisation.
pub fn mix_bytes(hash: u64, bytes: &[u8]) -> u64 {
    let mut hash = mix(hash, bytes.len() as u64);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash = (hash ^ u64::from_le_bytes(*word)).wrapping_mul(0x2127_599b_f432_5c37);
        hash ^= hash >> 29;
    }
    for byte in rest {
        hash = mix(hash, u64::from(*byte));
    }
    mix(hash, 0)
}

impl Rng {
    /// The generator that belongs to a place: a seed, a step, an image...
    pub fn of(path: &[u64]) -> Rng {
        Rng(path.iter().fold(0x5eed, |hash, part| mix(hash, *part)))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0, 1)
    }

    /// A number below `n`, which is not 0.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// An index into something of this length, which is not 0.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }

    /// True `percent` times in a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }
}
