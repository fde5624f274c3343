//! Items in the order of their times, without an index of these: a block knows the earliest time in
//! it at the least, and is looked into only when its turn has come.

use super::{Block, Blocks, Item};
use crate::id::EntryId;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The items of [`Blocks`] by their times, the earliest first, and of one time by their ranks and
/// IDs.
pub(in super::super) struct ByTime<'a, T: Item, R> {
    blocks: &'a Blocks<T>,
    /// Later times are left out.
    upto: u64,
    rank: R,
    /// Times, ranks and IDs of items; or the least that the block of this number may have.
    next: BinaryHeap<Reverse<(u64, u64, EntryId, usize)>>,
}

/// In the place of a block's number: it is an item.
const ITEM: usize = usize::MAX;

impl<T: Item> Blocks<T> {
    /// The items with times up to this one, by time.
    pub(in super::super) fn by_time<R>(&self, upto: u64, rank: R) -> ByTime<'_, T, R> {
        let earliest = |(n, block): (usize, &Block<T>)| {
            let time = block.earliest.get();
            (time <= upto).then_some(Reverse((time, 0, EntryId::MIN, n)))
        };
        let next = self.blocks.iter().enumerate().filter_map(earliest).collect();
        ByTime { blocks: self, upto, rank, next }
    }
}

impl<T: Item, R: Fn(EntryId) -> u64> Iterator for ByTime<'_, T, R> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        loop {
            let Reverse((.., id, n)) = self.next.pop()?;
            if n == ITEM {
                return self.blocks.get(id);
            }
            let Some(block) = self.blocks.blocks.get(n) else { continue };
            let mut earliest = u64::MAX;
            for item in (0..block.rows.len()).filter_map(|at| block.rows.get(at)) {
                let time = item.time();
                earliest = earliest.min(time);
                if time <= self.upto && time != u64::MAX {
                    let rank = (self.rank)(item.id());
                    self.next.push(Reverse((time, rank, item.id(), ITEM)));
                }
            }
            block.earliest.set(earliest);
        }
    }
}
