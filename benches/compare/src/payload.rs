//! Payloads: printable, and of no use to a compressor. Random text is made once; the payloads are
//! windows of it, so that making one costs an addition and no copy.

/// A generator that needs no crate and gives the same numbers everywhere.
pub struct Random(u64);

impl Random {
    /// The numbers of one seed.
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number (xorshift64*).
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`, which is small beside 2^64.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}

/// Text for the windows. It repeats after 1 MiB, far behind what LZ4 looks back to, and is small
/// enough to stay in a core's cache, so that the source's own memory is not what is measured.
const TEXT: usize = 1 << 20;

/// A stream of payloads of one size.
pub struct Payloads {
    text: Vec<u8>,
    len: usize,
    at: usize,
}

impl Payloads {
    /// Payloads of `len` bytes; another `lane` gives others.
    pub fn new(len: usize, lane: usize) -> Payloads {
        const LETTERS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut random = Random::new(lane as u64 + 1);
        let letter = |bits: u64| LETTERS[(bits % 64) as usize];
        let text = (0..TEXT + len).map(|_| letter(random.next() >> 32)).collect();
        Payloads { text, len, at: 0 }
    }

    /// The next payload.
    pub fn next(&mut self) -> &[u8] {
        let at = self.advance();
        &self.text[at..at + self.len]
    }

    /// The next payloads, as many as `out` had room for.
    pub fn batch<'a>(&'a mut self, out: &mut Vec<&'a [u8]>, count: usize) {
        let from = self.at;
        for n in 0..count {
            let at = (from + n * self.len) % TEXT;
            out.push(&self.text[at..at + self.len]);
        }
        self.at = (from + count * self.len) % TEXT;
    }

    fn advance(&mut self) -> usize {
        let at = self.at;
        self.at = (at + self.len) % TEXT;
        at
    }
}
