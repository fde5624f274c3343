//! Memory made ready ahead of records that come fast.
//!
//! The first store to a page of a map waits until the system has found the page and noted that it
//! changes: an eighth of what it takes to read entries and acknowledge them one by one. So whoever
//! writes checkpoints has that done for the records that come until the next one.
//!
//! What was made ready counts as changed, and a sync writes it and has it forgotten again, page by
//! page. So that is done behind the syncs that checkpoints make themselves, and only where records
//! come so fast that they have filled it before there is another one.

use super::*;
use crate::storage::region::{PAGE, Region};
use std::time::Duration;

/// As far as records come from one checkpoint to the next, as a rule.
pub(super) const REACH: u64 = 4 << 20;
/// The same for those that come while one is written.
pub(super) const MEANWHILE: u64 = 2 << 20;
/// How much at once: who writes is somewhere else by then.
const PIECE: u64 = 1 << 20;
/// What is not worth a call.
const LEAST: u64 = 32 << 10;

/// Records are fast that take no longer for so many bytes.
const STEP: u64 = 1 << 20;
const FAST: Duration = Duration::from_millis(25);

/// How fast records come.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Where they ended when that was looked at, and when it was.
    pub(super) written: u64,
    pub(super) looked: Duration,
    /// They were fast between the last two looks.
    pub(super) fast: bool,
}

impl Pace {
    /// Takes in that they end there by now.
    pub(super) fn look(&mut self, written: u64, now: Duration) {
        let bytes = written.saturating_sub(self.written);
        let time = now.saturating_sub(self.looked);
        (self.written, self.looked) = (written, now);
        self.fast =
            bytes > 0 && time.as_nanos() * u128::from(STEP) <= FAST.as_nanos() * u128::from(bytes);
    }
}

impl Inner {
    /// What to make ready next of the bytes up to `goal`, if that is worth it.
    fn next_fresh(&mut self, goal: u64) -> Option<(Arc<Region>, u64, u64)> {
        let (from, to) = (self.ready.max(self.end), goal.min(self.size));
        if self.closed || to < from + LEAST {
            return None;
        }
        let to = to.min(from + PIECE);
        self.ready = to;
        Some((Arc::clone(self.region.region()), from, to))
    }

    /// Before a sync: lets go what it would ask about page by page, but for the page to which the
    /// next record goes. Returns the bytes of the file of which that is to be done.
    pub(super) fn let_go(&mut self) -> [(u64, u64); 2] {
        let ready = std::mem::replace(&mut self.ready, self.end);
        [(0, self.end), (self.end + PAGE as u64, ready)]
    }
}

impl Journal {
    /// Makes memory ready for so many bytes of records, if they come fast. What the system refuses
    /// is left to who writes.
    pub(super) fn make_ready(&self, reach: u64) {
        let goal = {
            let inner = self.inner.lock();
            inner.pace.fast.then_some(inner.end + reach)
        };
        let next = || self.inner.lock().next_fresh(goal?);
        while let Some((region, from, to)) = next() {
            if region.touch(from, to).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_fast_by_what_came_since_the_last_look() {
        let mut pace = Pace::default();
        let mut look = |written, ms| {
            pace.look(written, Duration::from_millis(ms));
            pace.fast
        };
        assert!(!look(STEP, 26));
        assert!(look(2 * STEP, 51));
        assert!(look(6 * STEP, 151));
        assert!(!look(6 * STEP + STEP / 2, 165));
        assert!(look(7 * STEP, 170));
        assert!(!look(7 * STEP, 170), "nothing came");
    }
}
