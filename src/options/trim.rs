//! What callers choose of trims.

use super::RefPolicy;
use crate::error::{Error, ErrorKind, Result};
use crate::id::EntryId;

/// How a trim says which entries may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrimTo {
    MaxLen(u64),
    MinId(EntryId),
}

/// Which of the oldest entries to remove: XTRIM, and the MAXLEN and MINID options of XADD.
///
/// Exact unless [`Trim::approximate`] is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    pub(crate) to: TrimTo,
    pub(crate) approximate: bool,
    pub(crate) limit: Option<u64>,
    pub(crate) policy: RefPolicy,
}

impl Trim {
    /// `MAXLEN n`: keep the newest `n` entries.
    #[must_use]
    pub fn max_len(entries: u64) -> Trim {
        Trim::new(TrimTo::MaxLen(entries))
    }

    /// `MINID id`: remove the entries below this ID.
    #[must_use]
    pub fn min_id(id: EntryId) -> Trim {
        Trim::new(TrimTo::MinId(id))
    }

    fn new(to: TrimTo) -> Trim {
        Trim { to, approximate: false, limit: None, policy: RefPolicy::KeepRef }
    }

    /// `~`: remove whole blocks only, and never an entry that an exact trim would keep.
    #[must_use]
    pub fn approximate(mut self) -> Trim {
        self.approximate = true;
        self
    }

    /// `LIMIT n`: remove at most this many entries; 0 is no limit. Only with
    /// [`Trim::approximate`]. Without it an approximate trim removes at most 100 blocks' worth.
    #[must_use]
    pub fn limit(mut self, entries: u64) -> Trim {
        self.limit = Some(entries);
        self
    }

    /// `KEEPREF`, `DELREF` or `ACKED`. With the latter two an approximate trim looks at entries and
    /// not at whole blocks; only its limit stays. [`RefPolicy::Acked`] passes over what a group
    /// references and goes on behind it, so that more may be left than was asked for; it ends with
    /// the first block that could not go as a whole. The trim of an append is a step of its own
    /// then, a moment after the entry can be read.
    #[must_use]
    pub fn references(mut self, policy: RefPolicy) -> Trim {
        self.policy = policy;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.limit.is_some() && !self.approximate {
            return Err(Error::new(ErrorKind::InvalidTrim {
                reason: "a limit needs an approximate trim",
            }));
        }
        Ok(())
    }
}
