//! The rows of a block: its own, or shared with copies of the list.
//!
//! Own ones are changed without asking whether somebody else has them, which takes a locked
//! instruction each time.

use super::super::row::Item;
use super::rows::Rows;
use crate::id::EntryId;
use std::ops::Deref;
use std::sync::Arc;

#[derive(Clone)]
pub(super) enum Held<T: Item> {
    Own(Rows<T>),
    Shared(Arc<Rows<T>>),
}

impl<T: Item> Held<T> {
    pub(super) fn new(rows: Rows<T>) -> Held<T> {
        Held::Own(rows)
    }

    /// The same rows for somebody else, too.
    pub(super) fn share(&mut self) -> Arc<Rows<T>> {
        match self {
            Held::Shared(rows) => Arc::clone(rows),
            Held::Own(rows) => {
                let rows = Arc::new(std::mem::take(rows));
                *self = Held::Shared(Arc::clone(&rows));
                rows
            }
        }
    }

    /// Takes out the first of own ones, if it has this ID.
    #[inline]
    pub(super) fn take_first(&mut self, id: EntryId) -> Option<T> {
        match self {
            Held::Own(rows) => rows.take_first(id),
            Held::Shared(_) => None,
        }
    }

    /// To change them: own ones from here on.
    #[inline]
    pub(super) fn change(&mut self) -> &mut Rows<T> {
        if let Held::Shared(rows) = self {
            *self = Held::Own(own(rows));
        }
        match self {
            Held::Own(rows) => rows,
            Held::Shared(rows) => Arc::make_mut(rows),
        }
    }
}

impl<T: Item> Deref for Held<T> {
    type Target = Rows<T>;

    #[inline]
    fn deref(&self) -> &Rows<T> {
        match self {
            Held::Own(rows) => rows,
            Held::Shared(rows) => rows,
        }
    }
}

/// Without a copy, where the others are gone.
#[cold]
fn own<T: Item>(rows: &mut Arc<Rows<T>>) -> Rows<T> {
    match Arc::get_mut(rows) {
        Some(rows) => std::mem::take(rows),
        None => Rows::clone(rows),
    }
}
