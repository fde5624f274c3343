//! The commands, by what they are about.

pub(crate) mod stream;
pub(crate) mod table;
