//! The rows of all blocks as they were at one moment, and nothing else of the blocks: the less
//! there is to copy, the shorter is the moment.

use super::super::row::Item;
use super::rows::Rows;
use crate::id::EntryId;
use std::ops::Bound;
use std::sync::Arc;

/// In the order of the blocks. The rows never change.
pub(in super::super) struct Frozen<T: Item>(Vec<Arc<Rows<T>>>);

impl<T: Item> Frozen<T> {
    pub(super) fn new(rows: impl Iterator<Item = Arc<Rows<T>>>) -> Frozen<T> {
        Frozen(rows.collect())
    }

    /// The items from a bound on, ascending.
    pub(in super::super) fn from(&self, first: Bound<EntryId>) -> impl Iterator<Item = T> {
        let (block, row) = match first {
            Bound::Unbounded => (0, 0),
            Bound::Included(id) => self.find(id, false),
            Bound::Excluded(id) => self.find(id, true),
        };
        self.0.iter().skip(block).enumerate().flat_map(move |(n, rows)| {
            let from = if n == 0 { row } else { 0 };
            (from..rows.len()).filter_map(move |at| rows.get(at))
        })
    }

    /// The block and the row of the first item at this ID, or behind it.
    fn find(&self, id: EntryId, behind: bool) -> (usize, usize) {
        let begins_by = |rows: &Arc<Rows<T>>| rows.get(0).is_some_and(|item| item.id() <= id);
        let block = self.0.partition_point(begins_by).saturating_sub(1);
        let (row, found) = self.0.get(block).map_or((0, false), |rows| rows.find(id));
        (block, row + usize::from(found && behind))
    }

    /// What is shared by now.
    #[cfg(test)]
    pub(super) fn rows(&self) -> &[Arc<Rows<T>>] {
        &self.0
    }
}
