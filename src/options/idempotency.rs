//! How long, and how much, a stream remembers of what its producers have sent.

use super::invalid;
use crate::error::Result;
use std::time::Duration;

/// How long and how much a stream remembers of idempotent appends
/// ([`AppendOptions::idempotent`](crate::AppendOptions::idempotent)): both limits hold for each
/// producer of its own.
///
/// An iid is forgotten once the time in its entry's ID is `duration` or more in the past, and when
/// its producer has appended `max_iids` others since. Those that a producer appended first go
/// first; being asked for keeps none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IdempotencyWindow {
    /// How long an iid is remembered: whole seconds, from 1 to 86,400. 100 by default.
    pub duration: Duration,
    /// How many are remembered of each producer: from 1 to 10,000. 100 by default.
    pub max_iids: u32,
}

impl Default for IdempotencyWindow {
    fn default() -> IdempotencyWindow {
        IdempotencyWindow { duration: Duration::from_secs(100), max_iids: 100 }
    }
}

impl IdempotencyWindow {
    /// 100 seconds, 100 iids.
    #[must_use]
    pub fn new() -> IdempotencyWindow {
        IdempotencyWindow::default()
    }

    /// How long an iid is remembered (`stream-idmp-duration`).
    #[must_use]
    pub fn duration(mut self, time: Duration) -> IdempotencyWindow {
        self.duration = time;
        self
    }

    /// How many iids are remembered of each producer (`stream-idmp-maxsize`).
    #[must_use]
    pub fn max_iids(mut self, iids: u32) -> IdempotencyWindow {
        self.max_iids = iids;
        self
    }

    pub(crate) fn check(self) -> Result<()> {
        let whole = self.duration.subsec_nanos() == 0;
        if !whole || !(1..=86_400).contains(&self.duration.as_secs()) {
            let value = format!("{:?}", self.duration);
            return Err(invalid("idempotency duration", value, "1 to 86400 whole seconds"));
        }
        if !(1..=10_000).contains(&self.max_iids) {
            let value = self.max_iids.to_string();
            return Err(invalid("idempotency max_iids", value, "from 1 to 10000"));
        }
        Ok(())
    }
}
