//! The IDs of rows that have none of their own: read from the clock for every entry, as streamlog
//! does for `*`.

use std::time::{SystemTime, UNIX_EPOCH};

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

    /// The next ID; always greater than the one before.
    #[inline]
    pub fn next(&mut self) -> (u64, u64) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_millis() as u64);
        self.last = if now > self.last.0 {
            (now, 0)
        } else {
            (self.last.0, self.last.1 + 1)
        };
        self.last
    }
}
