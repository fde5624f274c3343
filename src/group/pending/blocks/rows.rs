//! The items of one block: as narrow as they can be, for as long as all are near to the first.

use super::super::row::Item;
use super::{EntryId, MOST};
use std::collections::VecDeque;

/// A block this small may keep memory for more than it holds.
const SMALL: usize = 64;

/// The items of a block.
#[derive(Clone)]
pub(super) enum Rows<T: Item> {
    /// All are near to one that was the first.
    Near {
        base: T,
        rows: VecDeque<T::Near>,
    },
    Far(VecDeque<T>),
}

impl<T: Item> Default for Rows<T> {
    fn default() -> Rows<T> {
        Rows::Far(VecDeque::new())
    }
}

impl<T: Item> Rows<T> {
    pub(super) fn new(first: T) -> Rows<T> {
        Rows::of(std::iter::once(first).collect())
    }

    /// As narrow as they can be.
    pub(super) fn of(items: VecDeque<T>) -> Rows<T> {
        let Some(base) = items.front().copied() else {
            return Rows::Far(items);
        };
        let mut rows = VecDeque::with_capacity(items.len());
        for item in &items {
            match item.near(&base) {
                Some(near) => rows.push_back(near),
                None => return Rows::Far(items),
            }
        }
        Rows::Near { base, rows }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Rows::Near { rows, .. } => rows.len(),
            Rows::Far(rows) => rows.len(),
        }
    }

    #[inline]
    pub(super) fn get(&self, at: usize) -> Option<T> {
        match self {
            Rows::Near { base, rows } => rows.get(at).map(|near| T::at(*near, base)),
            Rows::Far(rows) => rows.get(at).copied(),
        }
    }

    pub(super) fn last(&self) -> Option<T> {
        self.get(self.len().checked_sub(1)?)
    }

    pub(super) fn items(&self) -> VecDeque<T> {
        (0..self.len()).filter_map(|at| self.get(at)).collect()
    }

    /// Where the first item lies that has this ID or a higher one, and whether it is this one.
    pub(super) fn find(&self, id: EntryId) -> (usize, bool) {
        // What is done came first, and what is new comes last.
        match self.get(0).map(|first| first.id()) {
            None => return (0, false),
            Some(first) if first == id => return (0, true),
            Some(_) => {}
        }
        let len = self.len();
        if self.last().is_none_or(|last| last.id() < id) {
            return (len, false);
        }
        let (mut low, mut high) = (0, len);
        let mut probe = 0;
        while low < high {
            match self.get(probe) {
                Some(item) if item.id() < id => low = probe + 1,
                Some(item) if item.id() == id => return (probe, true),
                _ => high = probe,
            }
            probe = low + (high - low) / 2;
        }
        (low, false)
    }

    pub(super) fn insert(&mut self, at: usize, item: T) {
        match self {
            Rows::Near { rows, base } => {
                if rows.is_empty() {
                    *base = item;
                }
                if let Some(near) = item.near(base) {
                    grow(rows, 1);
                    match at == rows.len() {
                        true => rows.push_back(near),
                        false => rows.insert(at, near),
                    }
                    return;
                }
            }
            Rows::Far(rows) if !rows.is_empty() => {
                grow(rows, 1);
                rows.insert(at, item);
                return;
            }
            Rows::Far(_) => {}
        }
        let mut items = self.items();
        items.insert(at, item);
        *self = Rows::of(items);
    }

    #[inline]
    pub(super) fn push(&mut self, item: T) {
        if let Rows::Near { rows, base } = self {
            if rows.is_empty() {
                *base = item;
            }
            if let Some(near) = item.near(base) {
                grow(rows, 1);
                return rows.push_back(near);
            }
        }
        self.insert(self.len(), item);
    }

    /// Puts items behind the last one.
    pub(super) fn extend(&mut self, items: impl ExactSizeIterator<Item = T>) {
        if let Rows::Near { rows, .. } = self {
            grow(rows, items.len());
        }
        for item in items {
            match self {
                Rows::Near { base, rows } if !rows.is_empty() => match item.near(base) {
                    Some(near) => rows.push_back(near),
                    None => self.insert(self.len(), item),
                },
                _ => self.insert(self.len(), item),
            }
        }
    }

    pub(super) fn set(&mut self, at: usize, item: T) {
        match self {
            Rows::Near { rows, base } => {
                if let (Some(near), Some(row)) = (item.near(base), rows.get_mut(at)) {
                    *row = near;
                    return;
                }
            }
            Rows::Far(rows) => {
                if let Some(row) = rows.get_mut(at) {
                    *row = item;
                }
                return;
            }
        }
        let mut items = self.items();
        if let Some(row) = items.get_mut(at) {
            *row = item;
        }
        *self = Rows::of(items);
    }

    /// Takes out the first item, if it has this ID.
    #[inline]
    pub(super) fn take_first(&mut self, id: EntryId) -> Option<T> {
        let Rows::Near { base, rows } = self else { return None };
        let first = T::at(*rows.front()?, base);
        if first.id() != id {
            return None;
        }
        rows.pop_front();
        shrink(rows);
        Some(first)
    }

    /// Takes out a run of items, in one step.
    pub(super) fn cut(&mut self, from: usize, to: usize) {
        match self {
            Rows::Near { rows, .. } => cut(rows, from, to),
            Rows::Far(rows) => cut(rows, from, to),
        }
    }

    pub(super) fn split_off(&mut self, at: usize) -> Rows<T> {
        let mut items = self.items();
        let rest = items.split_off(at);
        items.shrink_to_fit();
        *self = Rows::of(items);
        Rows::of(rest)
    }
}

/// Makes room for so many more, and for no more than a block ever holds.
fn grow<T>(rows: &mut VecDeque<T>, more: usize) {
    let (len, needed) = (rows.len(), rows.len() + more);
    if needed > rows.capacity() {
        rows.reserve_exact((2 * len).clamp(needed, MOST.max(needed)) - len);
    }
}

fn cut<T>(rows: &mut VecDeque<T>, from: usize, to: usize) {
    if (from, to) == (0, 1) {
        rows.pop_front();
    } else {
        rows.drain(from..to);
    }
    shrink(rows);
}

/// Gives back memory of which little is in use.
#[inline]
fn shrink<T>(rows: &mut VecDeque<T>) {
    if rows.capacity() > SMALL && rows.len() <= rows.capacity() / 4 {
        rows.shrink_to(2 * rows.len());
    }
}
