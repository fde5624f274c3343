//! The IDs of rows that have none of their own: read from the clock for every entry, as streamlog
//! does for `*`.

use super::{Id, Outcome};
use rustix::time::{ClockId, clock_gettime};
use std::sync::{Mutex, PoisonError};

/// Milliseconds from the clock, and a number that counts within one millisecond.
#[derive(Default)]
pub struct IdClock {
    last: (u64, u64),
}

impl IdClock {
    /// A clock whose IDs are greater than this one.
    pub fn after(last: (u64, u64)) -> IdClock {
        IdClock { last }
    }

    /// Milliseconds since 1970. `SystemTime` has the same clock, and takes longer to make a
    /// number of it.
    #[inline]
    pub fn now(&self) -> u64 {
        let now = clock_gettime(ClockId::Realtime);
        now.tv_sec.unsigned_abs() * 1000 + now.tv_nsec.unsigned_abs() / 1_000_000
    }

    /// The next ID; always greater than the one before.
    #[inline]
    pub fn next(&mut self) -> (u64, u64) {
        let now = self.now();
        self.last = if now > self.last.0 { (now, 0) } else { (self.last.0, self.last.1 + 1) };
        self.last
    }

    /// The next ID of the same millisecond, for the entries of a batch.
    #[inline]
    pub fn follow(&mut self) -> (u64, u64) {
        self.last.1 += 1;
        self.last
    }
}

/// A clock that several threads share, for peers that take an entry's key from outside.
#[derive(Default)]
pub struct SharedClock(Mutex<IdClock>);

impl SharedClock {
    /// The next ID, as a key that sorts as it does.
    pub fn next(&self) -> Id {
        let mut clock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (ms, seq) = clock.next();
        Id(ms, seq)
    }
}

/// An ID as 16 bytes that sort as it does.
pub fn key(id: Id) -> [u8; 16] {
    ((u128::from(id.0) << 64) | u128::from(id.1)).to_be_bytes()
}

/// A record that begins with its ID, for peers that have no keys of this kind.
pub fn record(id: Id, payload: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(ID + payload.len());
    record.extend_from_slice(&key(id));
    record.extend_from_slice(payload);
    record
}

/// The payload of such a record.
pub fn payload(record: &[u8]) -> Outcome<&[u8]> {
    Ok(record.get(ID..).ok_or("a record without an ID")?)
}

/// ID bytes in front of a record's payload.
const ID: usize = 16;
