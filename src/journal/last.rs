//! The last record of each stream: asked for and changed by every record.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// By the stream's number.
pub(crate) type LastRecords = HashMap<u64, u64, BuildHasherDefault<ByNumber>>;

/// Spreads numbers that this store has given itself, one after the other: nobody chooses them so
/// that they meet, and a hash that would stand that takes as long as all the rest of a record.
#[derive(Debug, Default)]
pub(crate) struct ByNumber(u64);

impl Hasher for ByNumber {
    fn write_u64(&mut self, number: u64) {
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }

    fn finish(&self) -> u64 {
        // Maps take a place from the lower bits, in which only the lower bits of a number are.
        self.0 ^ (self.0 >> 32)
    }
}
