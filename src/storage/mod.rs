//! Files.
pub(crate) mod disk;
pub(crate) mod mem;
pub(crate) mod real;
pub(crate) mod region;
