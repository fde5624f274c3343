//! The wait of a plain reader: look, register, look again, wait; and naps instead of that where
//! entries come fast.
//!
//! To wake a thread is a call of the system, which the appender makes, and which takes ten times
//! what an append takes. While entries come so fast that it would have to be made all the time, a
//! reader that has read all does not go on the list: it naps for [`NAP`] and looks again, and the
//! appender finds nobody to wake. A nap is nothing to rely on. It stands in front of the
//! registration, and what comes behind it is as if there had been none, so nothing can be missed;
//! and it ends by itself, so that a close or a drop waits no longer for such a reader.
//!
//! Where entries do not come fast, there are no naps, and who waits is woken at once.

use super::{Class, Registration, WaitList, Waiter, Wake};
use crate::sync::{AtomicBool, Deadline, Mutex, Ordering, nap, planted};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What an entry waits at most for a reader that naps, but for what the system adds.
const NAP: Duration = Duration::from_micros(100);

/// A nap in which fewer entries came was not worth it: waking costs them less than it.
const WORTH: u64 = if cfg!(loom) { 1 } else { 4 };

/// Two calls that wake, with less than this between them, are hasty.
const HASTY: Duration = Duration::from_micros(100);

/// So many hasty ones in a row make a list lively. Each nap that was not worth it doubles that, so
/// that two who answer each other, which looks the same, hardly ever nap.
const FEWEST: u32 = if cfg!(loom) { 1 } else { 8 };
const MOST: u32 = 1 << 16;

/// Whether the readers of one list should nap. Only advice, so nothing here orders anything. Each
/// stream has one, so it is small.
pub(super) struct Pace {
    lively: AtomicBool,
    calls: Mutex<Calls>,
}

struct Calls {
    /// When readers were woken last.
    last: Option<Instant>,
    /// How many calls were hasty since one was not.
    hasty: u32,
    /// How many make the list lively.
    needed: u32,
}

impl Pace {
    pub(super) fn new() -> Pace {
        let calls = Calls { last: None, hasty: 0, needed: FEWEST };
        Pace { lively: AtomicBool::new(false), calls: Mutex::new(calls) }
    }

    /// Plain readers are woken.
    pub(super) fn wakes(&self) {
        self.wakes_at(Instant::now());
    }

    fn wakes_at(&self, now: Instant) {
        let mut calls = self.calls.lock();
        let soon = |last: Instant| now.saturating_duration_since(last) < HASTY;
        // A model has no time.
        let hasty = cfg!(loom) || calls.last.is_some_and(soon);
        calls.hasty = if hasty { calls.hasty + 1 } else { 0 };
        calls.last = Some(now);
        if calls.hasty >= calls.needed {
            calls.hasty = 0;
            self.lively.store(true, Ordering::Relaxed);
        }
    }

    fn is_lively(&self) -> bool {
        self.lively.load(Ordering::Relaxed)
    }

    /// A reader has napped, which was worth it or not.
    fn napped(&self, worth: bool) {
        if worth {
            self.calls.lock().needed = FEWEST;
        } else if self.lively.swap(false, Ordering::Relaxed) {
            let mut calls = self.calls.lock();
            calls.needed = (calls.needed * 2).min(MOST);
        }
    }
}

/// Waits on lists until a look finds something; `None` if the time is over. `count` says how many
/// entries there have been: only how many come between two calls matters. The caller has looked.
pub(crate) fn until<T, E>(
    lists: &[&Arc<WaitList>],
    waiter: &Waiter,
    deadline: Deadline,
    count: impl Fn() -> u64,
    look: impl Fn() -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    let mut napped = false;
    while lists.iter().any(|list| list.pace.is_lively()) && !deadline.is_within(NAP) {
        let before = count();
        nap(NAP);
        let worth = count().wrapping_sub(before) >= WORTH;
        lists.iter().for_each(|list| list.pace.napped(worth));
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        napped = true;
    }
    let register = |list: &&Arc<WaitList>| list.register(waiter, Class::Reader);
    let mut registered: Vec<Registration> = lists.iter().map(register).collect();
    let mut listed = true;
    // What comes between the last look and the registration wakes nobody.
    let mut has_looked = napped && planted::NAP_IS_LOOK;
    loop {
        if !std::mem::take(&mut has_looked)
            && let Some(found) = look()?
        {
            return Ok(Some(found));
        }
        // Who was woken hardly ever looks in vain, so the way back on the lists comes behind that.
        if !listed {
            registered.iter_mut().for_each(Registration::look);
            listed = true;
            continue;
        }
        if waiter.wait(deadline) == Wake::TimedOut {
            return Ok(None);
        }
        listed = false;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A pace, and the moment at which readers were woken last.
    struct Clock(Pace, Instant);

    impl Clock {
        fn new() -> Clock {
            Clock(Pace::new(), Instant::now())
        }

        /// Wakes so often, each time so long after the time before.
        fn wakes(&mut self, times: u32, after: Duration) {
            for _ in 0..times {
                self.1 += after;
                self.0.wakes_at(self.1);
            }
        }

        /// How many hasty calls it takes until readers nap, beginning with one that is not hasty.
        fn needed(&mut self) -> u32 {
            self.wakes(1, HASTY);
            assert!(!self.0.is_lively());
            let mut calls = 0;
            while !self.0.is_lively() && calls <= 2 * MOST {
                self.wakes(1, HASTY - Duration::from_nanos(1));
                calls += 1;
            }
            calls
        }
    }

    #[test]
    fn some_hasty_calls_in_a_row_make_a_list_lively_and_the_first_call_is_not_hasty() {
        let mut clock = Clock::new();
        clock.wakes(FEWEST, Duration::ZERO);
        assert!(!clock.0.is_lively());
        clock.wakes(1, Duration::ZERO);
        assert!(clock.0.is_lively());
    }

    #[test]
    fn calls_with_time_between_them_never_do_and_one_such_call_begins_the_count_anew() {
        let mut clock = Clock::new();
        clock.wakes(MOST, HASTY);
        assert!(!clock.0.is_lively());
        for _ in 0..100 {
            clock.wakes(FEWEST - 1, Duration::ZERO);
            clock.wakes(1, HASTY);
        }
        assert!(!clock.0.is_lively());
        assert_eq!(clock.needed(), FEWEST);
    }

    #[test]
    fn a_nap_in_vain_ends_that_and_doubles_what_is_needed_up_to_a_bound() {
        let (mut clock, mut needed) = (Clock::new(), FEWEST);
        while needed < MOST {
            assert_eq!(clock.needed(), needed);
            clock.0.napped(false);
            assert!(!clock.0.is_lively());
            needed *= 2;
        }
        for _ in 0..2 {
            assert_eq!(clock.needed(), MOST);
            clock.0.napped(false);
        }
    }

    #[test]
    fn two_who_nap_in_vain_at_once_double_it_once() {
        let mut clock = Clock::new();
        assert_eq!(clock.needed(), FEWEST);
        clock.0.napped(false);
        clock.0.napped(false);
        assert_eq!(clock.needed(), 2 * FEWEST);
    }

    #[test]
    fn a_nap_that_was_worth_it_goes_on_and_takes_all_doubling_back() {
        let mut clock = Clock::new();
        for _ in 0..3 {
            clock.needed();
            clock.0.napped(false);
        }
        assert_eq!(clock.needed(), 8 * FEWEST);
        clock.0.napped(true);
        assert!(clock.0.is_lively());
        clock.0.napped(false);
        assert_eq!(clock.needed(), 2 * FEWEST);
    }
}
