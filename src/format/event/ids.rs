//! The IDs that an event names: nearly always one or some hundreds.

use crate::id::EntryId;
use std::ops::Deref;

/// A list of IDs. A single one lies in the event itself, so that who reads and acknowledges entries
/// one by one allocates nothing for it.
#[derive(Clone)]
pub(crate) enum Ids {
    One([EntryId; 1]),
    /// Any number.
    Many(Vec<EntryId>),
}

impl Deref for Ids {
    type Target = [EntryId];

    #[inline]
    fn deref(&self) -> &[EntryId] {
        match self {
            Ids::One(one) => one,
            Ids::Many(ids) => ids,
        }
    }
}

impl From<EntryId> for Ids {
    fn from(id: EntryId) -> Ids {
        Ids::One([id])
    }
}

impl From<Vec<EntryId>> for Ids {
    fn from(ids: Vec<EntryId>) -> Ids {
        Ids::Many(ids)
    }
}

impl FromIterator<EntryId> for Ids {
    #[inline]
    fn from_iter<I: IntoIterator<Item = EntryId>>(ids: I) -> Ids {
        let mut ids = ids.into_iter();
        let Some(first) = ids.next() else {
            return Ids::Many(Vec::new());
        };
        match ids.next() {
            None => Ids::One([first]),
            Some(second) => Ids::Many([first, second].into_iter().chain(ids).collect()),
        }
    }
}

impl PartialEq for Ids {
    fn eq(&self, other: &Ids) -> bool {
        **self == **other
    }
}

impl Eq for Ids {}

impl std::fmt::Debug for Ids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
