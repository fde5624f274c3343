//! What callers choose: plain values, checked once where they are used.

use crate::error::{Error, ErrorKind, Result};
use std::time::Duration;

mod append;
mod claim;
mod idempotency;
mod nack;
mod read;
mod references;
mod retention;
mod trim;
pub use append::{AppendOptions, BatchOptions};
pub(crate) use append::{Idempotent, Iid};
pub(crate) use claim::ClaimTime;
pub use claim::{ClaimOptions, PendingFilter};
pub use idempotency::IdempotencyWindow;
pub use nack::{NackMode, NackOptions};
pub(crate) use read::Block;
pub use read::{GroupReadOptions, ReadFrom, ReadOptions, ReplyFormat, Start};
pub use references::{Deletion, RefPolicy};
pub use retention::Retention;
pub use trim::Trim;
pub(crate) use trim::TrimTo;

/// What an `Ok` of an append stands for when the power fails.
///
/// Under every level an entry survives the death of the process once its append returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// Redis's `appendfsync always`: a call returns when its effect is on disk, and readers see an
    /// entry only then. Threads that wait at the same time share one sync.
    Always,
    /// Redis's `appendfsync everysec`: a background sync starts at least this often.
    Interval {
        /// The longest time between two syncs while there is something to sync.
        every: Duration,
        /// Appends block while more than this many bytes are not yet on disk.
        max_unsynced_bytes: u64,
    },
    /// Only [`Stream::sync`](crate::Stream::sync) and its kin write to disk.
    Manual,
}

impl Durability {
    /// A sync every second, at most 8 MiB not yet on disk.
    pub const EVERY_SECOND: Durability =
        Durability::Interval { every: Duration::from_secs(1), max_unsynced_bytes: 8 << 20 };

    /// What keeps the promises of both.
    pub(crate) fn stronger(self, other: Durability) -> Durability {
        match (self, other) {
            (Durability::Always, _) | (_, Durability::Always) => Durability::Always,
            (Durability::Manual, level) | (level, Durability::Manual) => level,
            (
                Durability::Interval { every, max_unsynced_bytes },
                Durability::Interval { every: often, max_unsynced_bytes: less },
            ) => Durability::Interval {
                every: every.min(often),
                max_unsynced_bytes: max_unsynced_bytes.min(less),
            },
        }
    }

    pub(crate) fn check(self) -> Result<()> {
        if let Durability::Interval { every, max_unsynced_bytes } = self {
            if every.is_zero() {
                return Err(invalid("interval", format!("{every:?}"), "longer than zero"));
            }
            if max_unsynced_bytes == 0 {
                return Err(invalid("max_unsynced_bytes", "0".into(), "at least 1"));
            }
        }
        Ok(())
    }
}

impl Default for Durability {
    fn default() -> Durability {
        Durability::EVERY_SECOND
    }
}

/// What to do about bytes that were durable and no longer pass their checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnDamage {
    /// The stream answers [`ErrorKind::Corrupt`]; other streams work.
    #[default]
    Refuse,
    /// What is damaged is left out, named in the recovery report, and never written to again.
    ///
    /// A damaged record costs itself only, and segments that are missing cost their own entries
    /// only. A record whose header is damaged costs the rest of its block (see
    /// [`StreamOptions::block_entries`]) if its segment has no index yet, as the last one.
    ///
    /// Each such stretch is a [`Gap`](crate::Gap) of [`Store::recovery`](crate::Store::recovery),
    /// with its file and the IDs on both sides: those in the last segment and segments that are
    /// missing when the stream is opened, others once a read has come by them. From then on the
    /// entries in it count as deleted: lengths and trims leave them out, ranges and groups pass
    /// over them, and claims take them for gone; `entries_added` counts them like other deleted
    /// ones. What was deleted in a gap stays deleted should its bytes be there again one day.
    ///
    /// A STORE file that cannot be read is done without: the other files say which store it is.
    ///
    /// The files of the state journal are used in turn. One that holds damage is set aside when its
    /// turn comes, whatever is to become of damage, and named from then on in
    /// [`JournalRecovery::set_aside`](crate::JournalRecovery::set_aside); that takes the space of
    /// another file. What may as well be the torn end that a crash has left is not damage there.
    ///
    /// The log goes on in a new segment, and the gap is told again at every opening for as long as
    /// its segments are not trimmed away. Damage that comes up in the segment that is being written
    /// is refused until the store is opened the next time.
    Skip,
}

pub(crate) fn invalid(field: &'static str, value: String, allowed: &'static str) -> Error {
    Error::new(ErrorKind::InvalidConfig { field, value, allowed })
}

/// The settings of one stream. They are stored with the stream when it is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    pub(crate) durability: Option<Durability>,
    pub(crate) segment_bytes: u64,
    pub(crate) max_entry_bytes: Option<u64>,
    pub(crate) block_entries: u32,
    pub(crate) block_bytes: u32,
    pub(crate) retention: Option<Retention>,
}

impl Default for StreamOptions {
    fn default() -> StreamOptions {
        StreamOptions {
            durability: None,
            segment_bytes: 64 << 20,
            max_entry_bytes: None,
            block_entries: 100,
            block_bytes: 4096,
            retention: None,
        }
    }
}

impl StreamOptions {
    /// The defaults: the store's durability, segments up to 64 MiB, entries up to 16 MiB or what
    /// fits into a segment, blocks of 100 entries or 4 KiB.
    #[must_use]
    pub fn new() -> StreamOptions {
        StreamOptions::default()
    }

    /// The durability of this stream's appends instead of the store's. Not stored: it holds until
    /// the store is closed, unless somebody asks for a stronger one.
    #[must_use]
    pub fn durability(mut self, level: Durability) -> StreamOptions {
        self.durability = Some(level);
        self
    }

    /// The size that segments grow to, in bytes: a multiple of 4,096, at least 4,096 and at most
    /// 4 GiB - 4,096.
    ///
    /// Room on disk for the next one is taken before the last one is full. A stream that fills them
    /// in less than a quarter of a second has several ready: as many as it fills in that time, at
    /// most eight, and of several no more bytes than half of what it has written. They go when it
    /// slows down.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> StreamOptions {
        self.segment_bytes = bytes;
        self
    }

    /// The largest entry, in bytes of its encoded fields. It must fit into a segment.
    #[must_use]
    pub fn max_entry_bytes(mut self, bytes: u64) -> StreamOptions {
        self.max_entry_bytes = Some(bytes);
        self
    }

    /// How many entries a block takes: Redis's `stream-node-max-entries`. 0 is no limit.
    #[must_use]
    pub fn block_entries(mut self, entries: u32) -> StreamOptions {
        self.block_entries = entries;
        self
    }

    /// How many bytes a block takes: Redis's `stream-node-max-bytes`. 0 is no limit.
    #[must_use]
    pub fn block_bytes(mut self, bytes: u32) -> StreamOptions {
        self.block_bytes = bytes;
        self
    }

    /// What the stream keeps by itself. The default is everything.
    #[must_use]
    pub fn retention(mut self, what: Retention) -> StreamOptions {
        self.retention = Some(what);
        self
    }

    /// What a segment's own records take at most, beside entries.
    pub(crate) const SEGMENT_OVERHEAD: u64 = 1024;

    pub(crate) fn check(&self) -> Result<()> {
        if let Some(level) = self.durability {
            level.check()?;
        }
        self.retention.unwrap_or_default().check()?;
        let size = self.segment_bytes;
        if size < 4096 || !size.is_multiple_of(4096) || size > (4 << 30) - 4096 {
            return Err(invalid(
                "segment_bytes",
                size.to_string(),
                "a multiple of 4096 from 4096 to 4294963200",
            ));
        }
        let Some(entry) = self.max_entry_bytes else {
            return Ok(());
        };
        if entry == 0 || entry > Self::LARGEST_ENTRY || entry > size - Self::SEGMENT_OVERHEAD {
            return Err(invalid(
                "max_entry_bytes",
                entry.to_string(),
                "from 1 to 268431360 and at least 1024 less than segment_bytes",
            ));
        }
        Ok(())
    }

    /// A frame takes no more than this, in bytes.
    const LARGEST_ENTRY: u64 = (256 << 20) - 4096;

    /// The largest entry that a stream with these options takes.
    pub(crate) fn largest_entry(&self) -> u64 {
        let fits = self.segment_bytes.saturating_sub(Self::SEGMENT_OVERHEAD);
        self.max_entry_bytes.unwrap_or(fits.min(16 << 20))
    }
}
