//! Bytes and values: the form of everything on disk.
pub(crate) mod event;
