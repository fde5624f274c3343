//! The atomics and locks of the production types, switched to loom's under `cfg(loom)`, so that
//! the models drive the types themselves and not copies.

#[cfg(not(loom))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
#[cfg(loom)]
pub(crate) use loom_sync::{Condvar, Mutex, MutexGuard};

/// How a mark is stored after the bytes that it covers.
pub(crate) const PUBLISH: Ordering = Ordering::Release;
