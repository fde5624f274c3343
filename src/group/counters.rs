//! `entries_read` and lag: Redis's rules for how far a group has come, to the letter.
//!
//! The values are hints for monitoring. `None` means that deletions in the middle of the stream,
//! or a cursor that was put anywhere, leave no way to know.

use crate::id::EntryId;

/// What the rules ask of the log. All as Redis names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogFacts {
    /// The highest ID ever given or set.
    pub(crate) last_id: EntryId,
    /// Entries that live.
    pub(crate) length: u64,
    /// Entries ever appended.
    pub(crate) entries_added: u64,
    /// The highest ID ever deleted (not trimmed); 0-0 if none.
    pub(crate) max_deleted_id: EntryId,
    /// The lowest ID that lives; 0-0 if none does.
    pub(crate) first_id: EntryId,
}

impl LogFacts {
    /// Whether an entry may have been deleted at or after this ID.
    fn deleted_from(&self, start: EntryId) -> bool {
        self.length > 0 && self.max_deleted_id != EntryId::MIN && start <= self.max_deleted_id
    }

    /// How many entries were ever added up to this ID, itself included, if that can be told.
    fn distance(&self, id: EntryId) -> Option<u64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        if self.length == 0 && id <= self.last_id {
            return Some(self.entries_added);
        }
        if id != EntryId::MIN && id < self.max_deleted_id {
            return None;
        }
        if id == self.last_id {
            return Some(self.entries_added);
        }
        if id > self.last_id {
            return None;
        }
        if self.max_deleted_id == EntryId::MIN || self.max_deleted_id < self.first_id {
            let before_first = self.entries_added.saturating_sub(self.length);
            if id < self.first_id {
                return Some(before_first);
            }
            if id == self.first_id {
                return Some(before_first.saturating_add(1));
            }
        }
        None
    }

    /// The counter of a group at `last_id` after these entries were delivered one by one.
    pub(crate) fn read_after(
        &self,
        mut entries_read: Option<u64>,
        mut last_id: EntryId,
        ids: &[EntryId],
    ) -> Option<u64> {
        for (delivered, id) in ids.iter().enumerate() {
            match entries_read {
                Some(read) if last_id >= self.first_id && !self.deleted_from(last_id) => {
                    // IDs ascend, so from here on this holds for each of them.
                    let rest = ids.len().saturating_sub(delivered) as u64;
                    return Some(read.saturating_add(rest));
                }
                _ if self.entries_added > 0 => entries_read = self.distance(*id),
                _ => {}
            }
            last_id = *id;
        }
        entries_read
    }

    /// How many entries a group has still to read.
    pub(crate) fn lag(&self, entries_read: Option<u64>, last_id: EntryId) -> Option<u64> {
        if self.entries_added == 0 || self.length == 0 {
            return Some(0);
        }
        if last_id < self.first_id && self.max_deleted_id < self.first_id {
            return Some(self.length);
        }
        let read = match entries_read {
            Some(read) if !self.deleted_from(last_id) => Some(read),
            _ => self.distance(last_id),
        };
        read.map(|read| self.entries_added.saturating_sub(read))
    }
}

#[cfg(test)]
mod tests;
