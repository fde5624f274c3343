//! The list of a log's segments, and how somebody who asks often gets it without its lock.
//!
//! Each change of the list changes a number before the lock is given up. Who finds the number that
//! he has seen has the list that is there, or the one of the moment at which he looked: as if he
//! had had the lock just then.

use crate::storage::cursor::Segments;
use crate::storage::segment::Segment;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

pub(super) struct List {
    segments: RwLock<Segments>,
    changes: AtomicU64,
}

/// The list that somebody saw last. It keeps no segment alive, but for what was given back.
#[derive(Debug, Default)]
pub(crate) struct Known {
    changes: u64,
    segments: Weak<Vec<Arc<Segment>>>,
    /// For who looks next: taking it over is cheaper than giving it up and asking for it again.
    back: Option<Segments>,
}

impl Known {
    /// Gives up what was given back, to drop it where no lock is held.
    pub(crate) fn forget(&mut self) -> Option<Segments> {
        self.back.take()
    }
}

/// The right to change the list.
pub(super) struct Changing<'a> {
    segments: RwLockWriteGuard<'a, Segments>,
    changes: &'a AtomicU64,
}

impl List {
    pub(super) fn new(segments: Segments) -> List {
        List { segments: RwLock::new(segments), changes: AtomicU64::new(0) }
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Segments> {
        self.segments.read()
    }

    pub(super) fn write(&self) -> Changing<'_> {
        Changing { segments: self.segments.write(), changes: &self.changes }
    }

    pub(super) fn get(&self) -> Segments {
        Arc::clone(&self.read())
    }

    /// The same for who has a list from before.
    #[inline]
    pub(super) fn get_again(&self, known: &mut Known) -> Segments {
        let back = known.back.take();
        if self.changes.load(Ordering::Acquire) == known.changes
            && let Some(segments) = back.or_else(|| known.segments.upgrade())
        {
            return segments;
        }
        self.learn(known)
    }

    /// Takes back what [`List::get_again`] gave, if it is still the list. Who takes segments out of
    /// the list has it forgotten then. Returns what is not taken.
    #[inline]
    pub(super) fn give_back(&self, known: &mut Known, segments: Segments) -> Option<Segments> {
        let same = Arc::as_ptr(&segments) == known.segments.as_ptr();
        match same && self.changes.load(Ordering::Acquire) == known.changes {
            true => known.back.replace(segments),
            false => Some(segments),
        }
    }

    #[cold]
    fn learn(&self, known: &mut Known) -> Segments {
        let segments = self.read();
        known.changes = self.changes.load(Ordering::Relaxed);
        known.segments = Arc::downgrade(&segments);
        Arc::clone(&segments)
    }
}

impl Deref for Changing<'_> {
    type Target = Segments;

    fn deref(&self) -> &Segments {
        &self.segments
    }
}

impl DerefMut for Changing<'_> {
    fn deref_mut(&mut self) -> &mut Segments {
        &mut self.segments
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.changes.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails if a change goes unnoticed, or if what was seen is kept.
    #[test]
    fn who_asks_again_gets_the_list_of_now_and_keeps_none() {
        let list = List::new(Arc::new(Vec::new()));
        let mut known = Known::default();
        let first = list.get_again(&mut known);
        assert!(Arc::ptr_eq(&first, &list.get_again(&mut known)));
        let second = Arc::new(Vec::new());
        *list.write() = Arc::clone(&second);
        assert!(Arc::ptr_eq(&second, &list.get_again(&mut known)));
        assert!(Arc::ptr_eq(&second, &list.get_again(&mut known)));
        assert_eq!(Arc::strong_count(&first), 1);
        drop(list);
        assert_eq!(Arc::strong_count(&second), 1);
    }

    /// Fails if what was given back is not handed on, is handed on when the list is another one, or
    /// is kept longer than that.
    #[test]
    fn what_is_given_back_is_for_the_next_one() {
        let list = List::new(Arc::new(Vec::new()));
        let mut known = Known::default();
        let first = list.get_again(&mut known);
        let copy = Arc::clone(&first);
        assert!(list.give_back(&mut known, first).is_none());
        assert_eq!(Arc::strong_count(&copy), 3, "the list's, the one given back, this one");
        let again = list.get_again(&mut known);
        assert!(Arc::ptr_eq(&again, &copy) && Arc::strong_count(&copy) == 3);
        // A second one has no place.
        assert!(list.give_back(&mut known, Arc::clone(&again)).is_none());
        assert!(list.give_back(&mut known, again).is_some());
        assert!(known.forget().is_some() && known.forget().is_none());
        // A list that is another one by now.
        let old = list.get_again(&mut known);
        *list.write() = Arc::new(Vec::new());
        assert!(list.give_back(&mut known, Arc::clone(&old)).is_some());
        assert!(!Arc::ptr_eq(&list.get_again(&mut known), &old));
        let now = list.get_again(&mut known);
        assert!(list.give_back(&mut known, old).is_some());
        assert!(list.give_back(&mut known, now).is_none());
        *list.write() = Arc::new(Vec::new());
        let before = Arc::downgrade(known.back.as_ref().unwrap());
        list.get_again(&mut known);
        assert_eq!(before.strong_count(), 0);
    }
}
