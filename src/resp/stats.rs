//! What INFO counts.

use super::commands::table::Table;
use std::collections::BTreeMap;
use std::time::Duration;

/// Counts since the start, or since CONFIG RESETSTAT.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub(crate) commands: u64,
    pub(crate) connections: u64,
    pub(crate) rejected_connections: u64,
    pub(crate) net_in: u64,
    pub(crate) net_out: u64,
    pub(crate) errors: u64,
    pub(crate) output_limits: u64,
    pub(crate) syncs: u64,
    /// By the first word of the error.
    pub(crate) by_code: BTreeMap<String, u64>,
    /// By the place in the table.
    pub(crate) calls: Vec<Calls>,
}

/// Those of one command.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Calls {
    pub(crate) calls: u64,
    pub(crate) time: Duration,
    pub(crate) rejected: u64,
    pub(crate) failed: u64,
}

/// As many codes as Redis counts.
const MOST_CODES: usize = 128;

impl Stats {
    pub(crate) fn new() -> Stats {
        let calls = vec![Calls::default(); Table::get().lines.len()];
        Stats { calls, ..Stats::default() }
    }

    pub(crate) fn reset(&mut self) {
        *self = Stats::new();
    }

    /// An error reply with this code.
    pub(crate) fn error(&mut self, code: &str) {
        self.errors += 1;
        if let Some(count) = self.by_code.get_mut(code) {
            *count += 1;
        } else if self.by_code.len() < MOST_CODES {
            self.by_code.insert(code.to_owned(), 1);
        }
    }

    pub(crate) fn of(&mut self, line: usize) -> Option<&mut Calls> {
        self.calls.get_mut(line)
    }
}
