//! What a stream keeps by itself.

use super::invalid;
use crate::error::Result;
use crate::id::EntryId;
use std::time::Duration;

/// What a stream keeps: its oldest entries go as soon as they are beyond one of these limits.
///
/// It is stored with the stream; see [`StreamOptions::retention`](crate::StreamOptions::retention)
/// and [`Stream::set_retention`](crate::Stream::set_retention).
///
/// It is enforced in the background, some tenths of a second after an append, and when a stream is
/// used for the first time after the store was opened; at once by
/// [`Stream::enforce_retention`](crate::Stream::enforce_retention). It never removes more than the
/// limits ask for, and an entry that it removed does not come back with a higher limit. A stream
/// that is not used is left alone, and so is a store that is open for reading only.
///
/// ```
/// use streamlog::{Retention, Store, StreamOptions};
/// use std::time::Duration;
///
/// let week = Duration::from_secs(7 * 24 * 3600);
/// let store = Store::in_memory()?;
/// let options = StreamOptions::new().retention(Retention::new().max_age(week).keep_unacked());
/// let jobs = store.stream_with("jobs", options)?;
/// jobs.set_retention(jobs.retention()?.max_len(1_000_000))?;
/// # Ok::<(), streamlog::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    pub(crate) max_len: Option<u64>,
    pub(crate) min_id: Option<EntryId>,
    pub(crate) max_age_ms: Option<u64>,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) keep_unacked: bool,
}

impl Retention {
    /// Everything is kept.
    #[must_use]
    pub fn new() -> Retention {
        Retention::default()
    }

    /// The newest `entries` are kept. Exact.
    #[must_use]
    pub fn max_len(mut self, entries: u64) -> Retention {
        self.max_len = Some(entries);
        self
    }

    /// Entries below this ID go. Exact.
    #[must_use]
    pub fn min_id(mut self, id: EntryId) -> Retention {
        self.min_id = Some(id);
        self
    }

    /// Entries that are older than this go, in whole milliseconds: by the milliseconds of their
    /// IDs and the clock of this machine. At least a millisecond. (Where power is lost right after
    /// that and the clock is set back besides, they may be there again for a while.)
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Retention {
        self.max_age_ms = Some(u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// While the segments have more bytes than this ([`StreamInfo::bytes`](crate::StreamInfo)), the
    /// oldest of them goes with all of its entries. The segment that is being written stays, so
    /// this is worth something only if it is some times as large as
    /// [`StreamOptions::segment_bytes`](crate::StreamOptions::segment_bytes).
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Retention {
        self.max_bytes = Some(bytes);
        self
    }

    /// No entry goes that a group has still to be given (it lies above the group's last-delivered
    /// ID) or that is pending there, whatever the limits say. Without groups nothing is held back.
    ///
    /// This bounds [`Stream::trim`](crate::Stream::trim) and the trims of
    /// [`Stream::append_with`](crate::Stream::append_with) too; such an append trims in a step of
    /// its own, a moment after the entry can be read. [`Stream::delete`](crate::Stream::delete) is
    /// not bound. An acknowledgement that an entry's going rests on is on disk first.
    ///
    /// A group that nobody reads keeps everything for ever: remove it, or set its position.
    #[must_use]
    pub fn keep_unacked(mut self) -> Retention {
        self.keep_unacked = true;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        match self.max_age_ms {
            Some(0) => Err(invalid("max_age", "0 ms".into(), "at least 1 ms")),
            _ => Ok(()),
        }
    }

    /// Whether there is anything that makes entries go.
    pub(crate) fn has_limit(&self) -> bool {
        let Retention { max_len, min_id, max_age_ms, max_bytes, keep_unacked: _ } = self;
        max_len.is_some() || min_id.is_some() || max_age_ms.is_some() || max_bytes.is_some()
    }

    /// Entries below this ID are beyond a limit at this time.
    pub(crate) fn threshold(&self, now_ms: u64) -> EntryId {
        let age = self.max_age_ms.and_then(|age| now_ms.checked_sub(age));
        let oldest = age.map_or(EntryId::MIN, |ms| EntryId::new(ms, 0));
        self.min_id.unwrap_or_default().max(oldest)
    }

    /// When an entry will be too old, in milliseconds since 1970.
    pub(crate) fn expires_ms(&self, id: EntryId) -> Option<u64> {
        self.max_age_ms.map(|age| id.ms.saturating_add(age).saturating_add(1))
    }
}
