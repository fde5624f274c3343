//! The commands on streams, a file for each family.

use super::table::Command;

/// All of them, for the table.
pub(crate) const COMMANDS: &[Command] = &[];
