//! What a caller chooses for an append.

use super::*;
use crate::id::NewId;

/// Options of [`Stream::append_with`](crate::Stream::append_with).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppendOptions {
    pub(crate) id: NewId,
    pub(crate) trim: Option<Trim>,
    pub(crate) durable: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) idempotent: Option<Box<Idempotent>>,
}

/// Who sends an entry, and what tells it from the sender's others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Idempotent {
    pub(crate) producer: Box<[u8]>,
    pub(crate) iid: Iid,
}

/// What tells an entry from the others of its producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Iid {
    Given(Box<[u8]>),
    /// It follows from the fields.
    OfFields,
}

impl AppendOptions {
    /// A generated ID, no trim, the stream's durability.
    #[must_use]
    pub fn new() -> AppendOptions {
        AppendOptions::default()
    }

    /// Refuses what no append can do, whatever its fields are.
    pub(crate) fn check(&self) -> Result<()> {
        self.trim.as_ref().map_or(Ok(()), Trim::check)
    }

    /// Which ID the entry gets.
    #[must_use]
    pub fn id(mut self, id: impl Into<NewId>) -> AppendOptions {
        self.id = id.into();
        self
    }

    /// Trims in the same step; the new entry counts and may itself go.
    #[must_use]
    pub fn trim(mut self, trim: Trim) -> AppendOptions {
        self.trim = Some(trim);
        self
    }

    /// Waits until the entry is on disk, whatever the stream's durability. Readers may see it
    /// earlier.
    #[must_use]
    pub fn durable(mut self) -> AppendOptions {
        self.durable = true;
        self
    }

    /// How long to wait, under [`Durability::Interval`], while too many bytes are not yet on
    /// disk; then the call fails with [`ErrorKind::TimedOut`] and nothing is appended.
    #[must_use]
    pub fn timeout(mut self, longest: Duration) -> AppendOptions {
        self.timeout = Some(longest);
        self
    }

    /// Appends once (`IDMP`): if this producer has appended an entry under the same idempotent ID
    /// (*iid*) before, and the stream remembers it, nothing is appended and nothing trimmed, and
    /// the call gives the ID of that first entry, whatever the fields are now and whether or not it
    /// is still there. [`Stream::append_outcome`](crate::Stream::append_outcome) and
    /// [`Ticket::is_duplicate`](crate::Ticket::is_duplicate) tell.
    ///
    /// The iid is in the entry's own record on disk: after a crash either both are there or none,
    /// so a producer that repeats what was not confirmed to it neither doubles an entry nor is
    /// given the ID of one that is lost.
    ///
    /// What a stream remembers, see [`IdempotencyWindow`]. Both are at least 1 byte long and
    /// together at most 1 MiB; any bytes will do. With an ID of the caller's choice
    /// ([`AppendOptions::id`]) its milliseconds count as the time of the append; Redis refuses
    /// that.
    #[must_use]
    #[doc(alias = "IDMP")]
    pub fn idempotent(
        mut self,
        producer: impl AsRef<[u8]>,
        iid: impl AsRef<[u8]>,
    ) -> AppendOptions {
        let (producer, iid) = (producer.as_ref().into(), Iid::Given(iid.as_ref().into()));
        self.idempotent = Some(Box::new(Idempotent { producer, iid }));
        self
    }

    /// The same with an iid that follows from the fields (`IDMPAUTO`): entries with the same pairs
    /// of name and value, in any order, are the same one. It is a 128-bit hash, the one that Redis
    /// uses, which is not made to withstand somebody who looks for two alike.
    #[must_use]
    #[doc(alias = "IDMPAUTO")]
    pub fn idempotent_auto(mut self, producer: impl AsRef<[u8]>) -> AppendOptions {
        let producer = producer.as_ref().into();
        self.idempotent = Some(Box::new(Idempotent { producer, iid: Iid::OfFields }));
        self
    }
}

/// Options of [`Stream::append_batch_with`](crate::Stream::append_batch_with).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchOptions {
    pub(crate) durable: bool,
    pub(crate) timeout: Option<Duration>,
}

impl BatchOptions {
    /// The stream's durability.
    #[must_use]
    pub fn new() -> BatchOptions {
        BatchOptions::default()
    }

    /// Waits until the batch is on disk; see [`AppendOptions::durable`].
    #[must_use]
    pub fn durable(mut self) -> BatchOptions {
        self.durable = true;
        self
    }

    /// How long to wait while too many bytes are not yet on disk; see [`AppendOptions::timeout`].
    #[must_use]
    pub fn timeout(mut self, longest: Duration) -> BatchOptions {
        self.timeout = Some(longest);
        self
    }
}
