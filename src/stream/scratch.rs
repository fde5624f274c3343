//! The place where a thread encodes field lists: outside all locks, and without an allocation for
//! each.

use crate::entry::encode_fields;
use crate::error::Result;
use crate::format::frame::MAX_BODY;
use crate::storage::log::Draft;
use std::cell::Cell;

thread_local! {
    /// Behind a pointer, which is taken out and put back in one step.
    static SCRATCH: Cell<Option<Box<Draft>>> = const { Cell::new(None) };
}

/// What takes more is not kept for the next list.
const KEPT: usize = 1 << 20;

/// A field list. The thread has its place back once this is dropped, so that what a call returns
/// need not be carried past that by hand.
pub(super) struct Encoded(Option<Box<Draft>>);

impl Encoded {
    /// Encodes a list. What the options of a call ask for has been looked at before.
    ///
    /// # Errors
    /// As [`encode_fields`].
    #[inline]
    pub(super) fn new<K, V>(fields: impl IntoIterator<Item = (K, V)>) -> Result<Encoded>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        // Taken out of its cell, so that fields which append themselves find an empty one.
        let mut encoded = Encoded(SCRATCH.try_with(Cell::take).ok().flatten());
        let draft = encoded.draft();
        // The writer knows the stream's own limit; no stream takes more than a frame.
        encode_fields(draft.begin(), fields, MAX_BODY - 4096)?;
        draft.complete();
        Ok(encoded)
    }

    #[inline]
    pub(super) fn draft(&mut self) -> &mut Draft {
        self.0.get_or_insert_default()
    }
}

impl Drop for Encoded {
    #[inline]
    fn drop(&mut self) {
        let draft = self.0.take().filter(|draft| draft.capacity() <= KEPT);
        // A thread that ends has no place for it any more.
        SCRATCH.try_with(|cell| cell.set(draft)).unwrap_or_default();
    }
}
