//! What a consumer holds in hand.

use super::*;
use crate::options::NackMode;

/// What a read tells of an entry that it claimed ([`GroupReadOptions::claim`]), as it was before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claimed {
    /// The time since it was last delivered; all the time since 1970 if it was given back.
    pub idle: Duration,
    /// How often it was delivered.
    pub deliveries: u64,
}

/// Entries that were delivered to a consumer and that it owes an answer for. Dropping it
/// acknowledges nothing.
#[derive(Clone)]
#[must_use = "entries stay pending until they are acknowledged"]
pub struct Delivery {
    batch: Batch,
    group: Group,
    beside: Option<Box<Beside>>,
}

/// What few deliveries have: the others are handed on in one line of memory.
#[derive(Clone, Default)]
struct Beside {
    missing: Vec<EntryId>,
    claims: Option<Vec<Claimed>>,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("entries", &self.batch)
            .field("missing", &self.missing())
            .finish()
    }
}

impl Delivery {
    #[inline]
    pub(super) fn new(group: &Group, segments: Segments, places: Few<Place>) -> Delivery {
        Delivery { batch: Batch::new(segments, places), group: group.clone(), beside: None }
    }

    pub(super) fn with_missing(self, missing: Vec<EntryId>) -> Delivery {
        match missing.is_empty() {
            true => self,
            false => Delivery { beside: Some(Box::new(Beside { missing, claims: None })), ..self },
        }
    }

    pub(super) fn with_claims(self, claims: Option<Vec<Claimed>>) -> Delivery {
        match claims {
            None => self,
            Some(_) => {
                Delivery { beside: Some(Box::new(Beside { missing: Vec::new(), claims })), ..self }
            }
        }
    }

    /// What there is to tell of the entries that were claimed, which come first; those behind them
    /// are new, and Redis shows 0 and 0 for them. `None` if the read did not claim
    /// ([`GroupReadOptions::claim`]).
    #[must_use]
    pub fn claims(&self) -> Option<&[Claimed]> {
        self.beside.as_ref()?.claims.as_deref()
    }

    /// Pending IDs whose entries are gone (deleted or trimmed); only a history has any. They are
    /// acknowledged like others.
    #[must_use]
    pub fn missing(&self) -> &[EntryId] {
        self.beside.as_ref().map_or(&[], |beside| &beside.missing)
    }

    /// Acknowledges one entry. `false` if it was not pending any more.
    ///
    /// # Errors
    /// As [`Group::ack`].
    #[doc(alias = "XACK")]
    pub fn ack(&self, id: EntryId) -> Result<bool> {
        self.group.ack_one(id, None)
    }

    /// Acknowledges all of them, missing ones included, and returns how many were pending.
    ///
    /// # Errors
    /// As [`Group::ack`].
    #[doc(alias = "XACK")]
    pub fn ack_all(self) -> Result<u64> {
        match (self.batch.one(), self.batch.is_empty(), self.missing().is_empty()) {
            (Some(id), _, true) => {
                let Delivery { batch, group, .. } = self;
                return group.ack_one(id, Some(batch.into_segments())).map(u64::from);
            }
            (_, true, true) => return Ok(0),
            _ => {}
        }
        self.group.ack(self.batch.ids().chain(self.missing().iter().copied()))
    }

    /// Gives one entry back to the group. `false` if it was not pending any more.
    ///
    /// # Errors
    /// As [`Group::nack`].
    #[doc(alias = "XNACK")]
    pub fn nack(&self, id: EntryId, mode: NackMode) -> Result<bool> {
        Ok(self.group.nack([id], mode)? > 0)
    }

    /// Copies of the entries, which pin nothing. They stay pending.
    #[must_use]
    pub fn into_entries(self) -> Vec<Entry> {
        self.batch.into_entries()
    }
}

impl Deref for Delivery {
    type Target = Batch;

    fn deref(&self) -> &Batch {
        &self.batch
    }
}

impl<'a> IntoIterator for &'a Delivery {
    type Item = crate::EntryRef<'a>;
    type IntoIter = crate::read::BatchIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.batch.iter()
    }
}
