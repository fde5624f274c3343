//! Files.
pub(crate) mod disk;
pub(crate) mod region;
