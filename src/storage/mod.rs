//! Files: what lies on disk and how it is read back.

pub(crate) mod blocks;
mod clock;
pub(crate) mod cursor;
pub(crate) mod damage;
pub(crate) mod disk;
pub(crate) mod live;
pub(crate) mod log;
pub(crate) mod mem;
pub(crate) mod overlay;
pub(crate) mod process;
pub(crate) mod real;
pub(crate) mod recover;
pub(crate) mod region;
pub(crate) mod scan;
pub(crate) mod segment;
mod ticks;
pub(crate) mod verify;
pub(crate) mod watched;
