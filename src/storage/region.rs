//! One mapped file (or the heap in its place): the only module with `unsafe`.
//!
//! A [`Region`] is a fixed run of memory with one *frozen* mark that only grows. Bytes below the
//! mark never change again and may be borrowed; bytes at or above it are only ever touched by
//! copying, under the region's lock or by the one [`RegionWriter`].
//!
//! Invariants on which every `unsafe` block rests:
//! * I1: `base..base+len` is valid memory for as long as the region lives, and is never unmapped,
//!   moved or (for files) shrunk before.
//! * I2: No reference to a byte at or above `frozen` exists, ever; copies go through raw pointers.
//! * I3: A byte below `frozen` is never written: every write checks its offset against the mark.
//! * I4: At most one [`RegionWriter`] exists for a region, and it takes `&mut self`; so bytes at or
//!   above the mark have one writer. Copying reads of such bytes take the same path through the
//!   writer, never through the shared handle.
//! * I5: The mark is stored with `Release` after the bytes below it, and loaded with `Acquire`.
//!
//! What the operating system does behind the map (another process that writes the file, a device
//! that fails) is outside these rules; the crate's lock keeps other writers out.

use crate::sync::{AtomicBool, AtomicU64, Ordering};
use std::fmt;
use std::io;
use std::sync::Arc;

/// Heap memory that several regions and a file of a heap disk can share.
pub(crate) struct HeapMem {
    base: *mut u8,
    len: usize,
}

// SAFETY: the memory belongs to no thread; all access goes through `Region`/`RegionWriter`/`HeapMem`
// methods, which keep I2..I5.
unsafe impl Send for HeapMem {}
// SAFETY: as above.
unsafe impl Sync for HeapMem {}
