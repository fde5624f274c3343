//! Lists that are of one item more often than of any other number.

use std::ops::Deref;

/// A list. A single item lies in it itself, so that who reads and acknowledges entries one by one
/// allocates nothing for them.
#[derive(Clone)]
pub(crate) enum Few<T> {
    One([T; 1]),
    /// Any number.
    Many(Vec<T>),
}

impl<T: Copy> Few<T> {
    /// An empty list with room for so many items.
    pub(crate) fn with_capacity(count: usize) -> Few<T> {
        // One needs no room, and for none there is none to take.
        Few::Many(if count > 1 { Vec::with_capacity(count) } else { Vec::new() })
    }

    #[inline]
    pub(crate) fn push(&mut self, item: T) {
        match self {
            Few::Many(items) if items.capacity() > 0 => items.push(item),
            Few::Many(_) => *self = Few::One([item]),
            Few::One([first]) => *self = Few::Many(vec![*first, item]),
        }
    }
}

impl<T> Default for Few<T> {
    fn default() -> Few<T> {
        Few::Many(Vec::new())
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match self {
            Few::One(one) => one,
            Few::Many(items) => items,
        }
    }
}

impl<T> From<Vec<T>> for Few<T> {
    fn from(items: Vec<T>) -> Few<T> {
        Few::Many(items)
    }
}

impl<T: Copy> FromIterator<T> for Few<T> {
    #[inline]
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Few<T> {
        let mut items = items.into_iter();
        let Some(first) = items.next() else {
            return Few::default();
        };
        match items.next() {
            None => Few::One([first]),
            Some(second) => Few::Many([first, second].into_iter().chain(items).collect()),
        }
    }
}

impl<T: PartialEq> PartialEq for Few<T> {
    fn eq(&self, other: &Few<T>) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for Few<T> {}

impl<T: std::fmt::Debug> std::fmt::Debug for Few<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails if the room that was asked for, or how a list was made, changes what it holds.
    #[test]
    fn a_list_holds_what_was_put_in_however_it_was_made() {
        for room in [0, 1, 2, 5] {
            let mut list = Few::with_capacity(room);
            for count in 0..6u32 {
                let same: Vec<u32> = (0..count).collect();
                assert_eq!(*list, *same, "{count} with room for {room}");
                assert_eq!(list, same.iter().copied().collect());
                assert_eq!(list, same.into());
                list.push(count);
            }
        }
        assert!(matches!([7].into_iter().collect(), Few::One([7])));
    }
}
