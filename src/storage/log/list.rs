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

/// The list that somebody saw last. It keeps no segment alive.
#[derive(Debug, Default)]
pub(crate) struct Known {
    changes: u64,
    segments: Weak<Vec<Arc<Segment>>>,
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
        if self.changes.load(Ordering::Acquire) == known.changes
            && let Some(segments) = known.segments.upgrade()
        {
            return segments;
        }
        self.learn(known)
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
}
