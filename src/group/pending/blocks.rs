//! Items in the order of their IDs, in blocks of some hundreds.
//!
//! A copy shares the rows of the blocks, and whoever changes some of them then copies those: so a
//! checkpoint costs the groups at work a list of pointers, however much is pending.
//!
//! Invariants: IDs strictly ascend over all blocks; a block's items lie at or above its `from` and
//! below that of the next one; no block is empty but an only one, which keeps its memory for the
//! next item; none holds more than [`MOST`] items.

use super::row::Item;
use crate::id::EntryId;
use std::cell::Cell;
use std::collections::VecDeque;
use std::ops::Bound;

mod by_time;
mod frozen;
mod held;
mod rows;
pub(super) use frozen::Frozen;
use held::Held;
use rows::Rows;

/// The most items of a block.
const MOST: usize = 512;

#[derive(Clone)]
struct Block<T: Item> {
    from: EntryId,
    /// No item has an earlier time. What asks for the times sets it anew.
    earliest: Cell<u64>,
    rows: Held<T>,
}

impl<T: Item> Block<T> {
    /// An item of this time comes in.
    fn comes(&self, time: u64) {
        self.earliest.set(self.earliest.get().min(time));
    }
}

#[derive(Clone)]
pub(super) struct Blocks<T: Item> {
    blocks: VecDeque<Block<T>>,
    len: usize,
}

impl<T: Item> Default for Blocks<T> {
    fn default() -> Blocks<T> {
        Blocks { blocks: VecDeque::new(), len: 0 }
    }
}

impl<T: Item> PartialEq for Blocks<T> {
    fn eq(&self, other: &Blocks<T>) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<T: Item + Eq> Eq for Blocks<T> {}

impl<T: Item + std::fmt::Debug> std::fmt::Debug for Blocks<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: Item> Blocks<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// A copy that shares the rows.
    pub(super) fn freeze(&mut self) -> Frozen<T> {
        Frozen::new(self.blocks.iter_mut().map(|block| block.rows.share()))
    }

    #[inline]
    pub(super) fn first(&self) -> Option<T> {
        self.blocks.front()?.rows.get(0)
    }

    pub(super) fn last(&self) -> Option<T> {
        self.blocks.back()?.rows.last()
    }

    /// Which block an ID belongs to.
    fn block_of(&self, id: EntryId) -> usize {
        match (self.blocks.get(1), self.blocks.back()) {
            (Some(second), Some(last)) if second.from <= id => match last.from <= id {
                true => self.blocks.len() - 1,
                false => self.blocks.partition_point(|block| block.from <= id) - 1,
            },
            _ => 0,
        }
    }

    pub(super) fn get(&self, id: EntryId) -> Option<T> {
        let block = self.blocks.get(self.block_of(id))?;
        let (at, found) = block.rows.find(id);
        if found { block.rows.get(at) } else { None }
    }

    #[inline]
    pub(super) fn contains(&self, id: EntryId) -> bool {
        self.blocks.get(self.block_of(id)).is_some_and(|block| block.rows.find(id).1)
    }

    pub(super) fn iter(&self) -> Iter<'_, T> {
        Iter { blocks: self, block: 0, row: 0 }
    }

    /// The items from an ID on, ascending.
    pub(super) fn from(&self, first: Bound<EntryId>) -> Iter<'_, T> {
        let (id, skip) = match first {
            Bound::Included(id) => (id, false),
            Bound::Excluded(id) => (id, true),
            Bound::Unbounded => return self.iter(),
        };
        let block = self.block_of(id);
        let (row, found) = self.blocks.get(block).map_or((0, false), |block| block.rows.find(id));
        Iter { blocks: self, block, row: row + usize::from(found && skip) }
    }

    /// Puts an item in, in place of the one of the same ID if there is one, which is returned.
    pub(super) fn put(&mut self, item: T) -> Option<T> {
        let id = item.id();
        let n = self.block_of(id);
        let is_last = n + 1 >= self.blocks.len();
        let Some(block) = self.blocks.get_mut(n) else {
            self.push_block(item);
            return None;
        };
        let (at, found) = block.rows.find(id);
        block.comes(item.time());
        if found {
            let rows = block.rows.change();
            let before = rows.get(at);
            rows.set(at, item);
            return before;
        }
        let len = block.rows.len();
        if len < MOST {
            block.from = block.from.min(id);
            block.rows.change().insert(at, item);
            self.len += 1;
            return None;
        }
        if is_last && at == len {
            // Items come in order as a rule: full blocks stay full.
            self.push_block(item);
            return None;
        }
        self.split(n);
        self.put(item)
    }

    /// Puts items in that lie behind all that are there, and are all of one time.
    pub(super) fn append(&mut self, mut items: impl ExactSizeIterator<Item = T>, time: u64) {
        while items.len() > 0 {
            let last = self.blocks.back_mut().filter(|block| block.rows.len() < MOST);
            last.iter().for_each(|block| block.comes(time));
            match last {
                Some(block) if block.rows.len() == 0 => {
                    let Some(item) = items.next() else { return };
                    block.from = item.id();
                    block.rows.change().insert(0, item);
                    self.len += 1;
                }
                Some(block) => {
                    let count = items.len().min(MOST - block.rows.len());
                    block.rows.change().extend(items.by_ref().take(count));
                    self.len += count;
                }
                None => items.next().into_iter().for_each(|item| self.push_block(item)),
            }
        }
    }

    /// The same for one.
    #[inline]
    pub(super) fn push(&mut self, item: T) {
        match self.blocks.back_mut().filter(|block| block.rows.len() < MOST) {
            Some(block) => {
                if block.rows.len() == 0 {
                    block.from = item.id();
                }
                block.comes(item.time());
                block.rows.change().push(item);
                self.len += 1;
            }
            None => self.push_block(item),
        }
    }

    /// Takes out the item with this ID.
    #[inline]
    pub(super) fn take(&mut self, id: EntryId) -> Option<T> {
        // What came first is done first as a rule.
        let first = self.blocks.front_mut().and_then(|block| block.rows.take_first(id));
        if first.is_some() {
            self.len -= 1;
            self.tidy(0);
            return first;
        }
        self.take_within(id)
    }

    fn take_within(&mut self, id: EntryId) -> Option<T> {
        let n = self.block_of(id);
        let block = self.blocks.get_mut(n)?;
        let (at, found) = block.rows.find(id);
        let item = block.rows.get(at).filter(|_| found)?;
        block.rows.change().cut(at, at + 1);
        self.len -= 1;
        self.tidy(n);
        Some(item)
    }

    fn push_block(&mut self, item: T) {
        let earliest = Cell::new(item.time());
        self.blocks.push_back(Block {
            from: item.id(),
            earliest,
            rows: Held::new(Rows::new(item)),
        });
        self.len += 1;
    }

    fn split(&mut self, n: usize) {
        let Some(block) = self.blocks.get_mut(n) else { return };
        let rows = block.rows.change();
        let rest = rows.split_off(rows.len() / 2);
        if let Some(first) = rest.get(0) {
            let earliest = block.earliest.clone();
            self.blocks.insert(n + 1, Block { from: first.id(), earliest, rows: Held::new(rest) });
        }
    }

    /// Tells the items with these IDs, which ascend.
    pub(super) fn find_all(&self, mut ids: &[EntryId], mut found: impl FnMut(T)) {
        while let [id, rest @ ..] = ids {
            let Some(block) = self.blocks.get(self.block_of(*id)) else { return };
            ids = rest;
            let (at, is_there) = block.rows.find(*id);
            let Some(item) = block.rows.get(at).filter(|_| is_there) else { continue };
            found(item);
            let mut next = at + 1;
            while let ([id, rest @ ..], Some(item)) = (ids, block.rows.get(next))
                && item.id() == *id
            {
                found(item);
                (next, ids) = (next + 1, rest);
            }
        }
    }

    /// Takes out the items with these IDs, which ascend: each run of neighbours in one step.
    pub(super) fn remove_all(&mut self, mut ids: &[EntryId], mut gone: impl FnMut(T)) {
        while let [id, rest @ ..] = ids {
            let n = self.block_of(*id);
            let Some(block) = self.blocks.get_mut(n) else { return };
            let (from, found) = block.rows.find(*id);
            ids = rest;
            if !found {
                continue;
            }
            let rows = block.rows.change();
            rows.get(from).into_iter().for_each(&mut gone);
            let mut to = from + 1;
            while let ([next, rest @ ..], Some(item)) = (ids, rows.get(to))
                && item.id() == *next
            {
                gone(item);
                (to, ids) = (to + 1, rest);
            }
            rows.cut(from, to);
            self.len -= to - from;
            self.tidy(n);
        }
    }

    /// Drops a block that has become empty, and joins a small one with its neighbour.
    #[inline]
    fn tidy(&mut self, n: usize) {
        if self.blocks.len() > 1 {
            self.tidy_among_others(n);
        }
    }

    fn tidy_among_others(&mut self, n: usize) {
        let len_of = |n: usize| self.blocks.get(n).map_or(MOST, |block| block.rows.len());
        let len = len_of(n);
        if len == 0 {
            self.blocks.remove(n);
            return;
        }
        if len >= MOST / 4 {
            return;
        }
        let first = match n.checked_sub(1) {
            Some(before) if len_of(before) < len_of(n + 1) => before,
            _ => n,
        };
        if len_of(first) + len_of(first + 1) > MOST / 2 {
            return;
        }
        if let Some(second) = self.blocks.remove(first + 1)
            && let Some(block) = self.blocks.get_mut(first)
        {
            let mut items = block.rows.items();
            block.comes(second.earliest.get());
            items.extend(second.rows.items());
            block.rows = Held::new(Rows::of(items));
        }
    }

    /// Changes an item that is there, but not its ID.
    pub(super) fn update(&mut self, id: EntryId, change: impl FnOnce(&mut T)) {
        let n = self.block_of(id);
        let Some(block) = self.blocks.get_mut(n) else { return };
        let (at, found) = block.rows.find(id);
        if let Some(mut item) = block.rows.get(at).filter(|_| found) {
            change(&mut item);
            block.comes(item.time());
            block.rows.change().set(at, item);
        }
    }
}

/// The items of [`Blocks`], ascending.
pub(super) struct Iter<'a, T: Item> {
    blocks: &'a Blocks<T>,
    block: usize,
    row: usize,
}

impl<T: Item> Iterator for Iter<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        loop {
            let block = self.blocks.blocks.get(self.block)?;
            if let Some(item) = block.rows.get(self.row) {
                self.row += 1;
                return Some(item);
            }
            (self.block, self.row) = (self.block + 1, 0);
        }
    }
}

#[cfg(test)]
mod tests;
