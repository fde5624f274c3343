//! The rules for entries-read and lag, as 7.0.15 has them and as the reference has them.
//!
//! Redis is held to the first set, so that a difference between the two sets is known to be the
//! only one; what is expected of us is the second. Pure functions of what XINFO shows.

use streamlog::EntryId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rules {
    Redis70,
    Reference,
}

/// What XINFO STREAM says of a stream, as far as the counters depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) length: u64,
    pub(crate) blocks: u64,
    pub(crate) last_id: EntryId,
    pub(crate) max_deleted: EntryId,
    pub(crate) added: i64,
    pub(crate) first_id: EntryId,
    /// The youngest live entry.
    pub(crate) newest: Option<EntryId>,
}

impl Counts {
    fn tombstone_after(&self, rules: Rules, start: EntryId) -> bool {
        // 7.0.15 forgets tombstones below the first entry.
        let counts = rules == Rules::Reference || self.first_id <= self.max_deleted;
        let any = self.length > 0 && self.max_deleted != EntryId::MIN;
        any && counts && start <= self.max_deleted
    }

    /// How many entries were ever added up to and including this one, if that is known.
    fn distance(&self, rules: Rules, id: EntryId) -> Option<i64> {
        // 7.0.15 does not ask whether the ID itself lies below a tombstone.
        let asks = rules == Rules::Reference && id != EntryId::MIN;
        let below_tombstone = asks && id < self.max_deleted;
        let untouched = self.max_deleted == EntryId::MIN || self.max_deleted < self.first_id;
        if self.added == 0 {
            return Some(0);
        }
        if self.length == 0 && id <= self.last_id {
            return Some(self.added);
        }
        if below_tombstone || id > self.last_id {
            return None;
        }
        if id == self.last_id {
            return Some(self.added);
        }
        let trimmed = self.added - self.length as i64;
        match id.cmp(&self.first_id) {
            std::cmp::Ordering::Less if untouched => Some(trimmed),
            std::cmp::Ordering::Equal if untouched => Some(trimmed + 1),
            _ => None,
        }
    }

    /// The group's entries-read once `id` was delivered to a group whose cursor stood at `cursor`.
    pub(crate) fn after_delivery(
        &self,
        rules: Rules,
        cursor: EntryId,
        entries_read: Option<i64>,
        id: EntryId,
    ) -> Option<i64> {
        let counts_on = match rules {
            // 7.0.15 asks whether there is a tombstone after the entry that is delivered.
            Rules::Redis70 => !self.tombstone_after(rules, id),
            Rules::Reference => cursor >= self.first_id && !self.tombstone_after(rules, cursor),
        };
        match entries_read {
            Some(n) if counts_on => Some(n + 1),
            _ if self.added > 0 => self.distance(rules, id),
            other => other,
        }
    }

    /// The lag of a group; below 0 where entries-read was set too high.
    pub(crate) fn lag(
        &self,
        rules: Rules,
        cursor: EntryId,
        entries_read: Option<i64>,
    ) -> Option<i64> {
        if self.added == 0 {
            return Some(0);
        }
        if rules == Rules::Reference {
            if self.length == 0 {
                return Some(0);
            }
            if cursor < self.first_id && self.max_deleted < self.first_id {
                return Some(self.length as i64);
            }
        }
        match entries_read {
            Some(n) if !self.tombstone_after(rules, cursor) => Some(self.added - n),
            _ => self.distance(rules, cursor).map(|read| self.added - read),
        }
    }
}
