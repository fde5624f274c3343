//! The last record of each stream: asked for and changed by every record.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// By the stream's number.
pub(crate) type LastRecords = HashMap<u64, u64, BuildHasherDefault<ByNumber>>;

/// The same for a journal that is written: records of one stream follow each other as a rule, and
/// then nothing is looked up.
#[derive(Debug, Default)]
pub(crate) struct Last {
    /// Of the stream that had the newest record.
    newest: Option<(u64, u64)>,
    /// Of all the others.
    others: LastRecords,
}

impl Last {
    pub(crate) fn new(known: LastRecords) -> Last {
        Last { newest: None, others: known }
    }

    /// 0 if there is none.
    #[inline]
    pub(crate) fn get(&self, stream: u64) -> u64 {
        match self.newest {
            Some((newest, record)) if newest == stream => record,
            _ => self.others.get(&stream).copied().unwrap_or(0),
        }
    }

    /// Returns the one before it, 0 if there was none.
    #[inline]
    pub(crate) fn set(&mut self, stream: u64, record: u64) -> u64 {
        if let Some((newest, before)) = &mut self.newest
            && *newest == stream
        {
            return std::mem::replace(before, record);
        }
        self.change_over(stream, record)
    }

    fn change_over(&mut self, stream: u64, record: u64) -> u64 {
        if let Some((before, record)) = self.newest.replace((stream, record)) {
            self.others.insert(before, record);
        }
        self.others.get(&stream).copied().unwrap_or(0)
    }
}

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
