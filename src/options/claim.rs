//! What callers choose of claims and of lists of pending entries.

use crate::id::EntryId;
use std::time::Duration;

/// Options of [`Consumer::claim_with`](crate::Consumer::claim_with) (XCLAIM).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClaimOptions {
    pub(crate) min_idle: Duration,
    pub(crate) time: Option<ClaimTime>,
    pub(crate) retry_count: Option<u64>,
    pub(crate) force: bool,
    pub(crate) last_id: Option<EntryId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClaimTime {
    Idle(Duration),
    At(u64),
}

impl ClaimOptions {
    /// Claims whatever was delivered at least `min_idle` ago.
    #[must_use]
    pub fn new(min_idle: Duration) -> ClaimOptions {
        ClaimOptions { min_idle, ..ClaimOptions::default() }
    }

    /// `IDLE`: the entries count as delivered this long ago. The later of this and
    /// [`ClaimOptions::time_ms`] wins.
    #[must_use]
    pub fn idle(mut self, idle: Duration) -> ClaimOptions {
        self.time = Some(ClaimTime::Idle(idle));
        self
    }

    /// `TIME`: the entries count as delivered at this time, in milliseconds since 1970; a time in
    /// the future counts as now.
    #[must_use]
    pub fn time_ms(mut self, unix_ms: u64) -> ClaimOptions {
        self.time = Some(ClaimTime::At(unix_ms));
        self
    }

    /// `RETRYCOUNT`: sets the delivery count.
    #[must_use]
    pub fn retry_count(mut self, deliveries: u64) -> ClaimOptions {
        self.retry_count = Some(deliveries);
        self
    }

    /// `FORCE`: makes a pending record for entries that have none.
    #[must_use]
    pub fn force(mut self) -> ClaimOptions {
        self.force = true;
        self
    }

    /// `LASTID`: raises the group's last-delivered ID to this one.
    #[must_use]
    pub fn last_id(mut self, id: EntryId) -> ClaimOptions {
        self.last_id = Some(id);
        self
    }
}

/// Which pending entries [`Group::pending_range`](crate::Group::pending_range) lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PendingFilter {
    pub(crate) count: Option<usize>,
    pub(crate) min_idle: Duration,
    pub(crate) consumer: Option<Vec<u8>>,
}

impl PendingFilter {
    /// All of them.
    #[must_use]
    pub fn new() -> PendingFilter {
        PendingFilter::default()
    }

    /// At most this many.
    #[must_use]
    pub fn count(mut self, entries: usize) -> PendingFilter {
        self.count = Some(entries);
        self
    }

    /// `IDLE`: only those delivered at least this long ago.
    #[must_use]
    pub fn min_idle(mut self, idle: Duration) -> PendingFilter {
        self.min_idle = idle;
        self
    }

    /// Only those of this consumer.
    #[must_use]
    pub fn consumer(mut self, name: impl AsRef<[u8]>) -> PendingFilter {
        self.consumer = Some(name.as_ref().to_vec());
        self
    }
}
