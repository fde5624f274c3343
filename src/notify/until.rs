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
use crate::sync::{AtomicBool, AtomicU64, Deadline, Mutex, Ordering, nap, planted};
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
const FEWEST: u64 = if cfg!(loom) { 1 } else { 8 };
const MOST: u64 = 1 << 16;

/// Whether the readers of one list should nap. Only advice, so nothing here orders anything.
pub(super) struct Pace {
    lively: AtomicBool,
    /// How many hasty calls make it lively.
    needed: AtomicU64,
    /// When the last call was, and how many were hasty since one was not.
    calls: Mutex<(Option<Instant>, u64)>,
}

impl Pace {
    pub(super) fn new() -> Pace {
        Pace {
            lively: AtomicBool::new(false),
            needed: AtomicU64::new(FEWEST),
            calls: Mutex::new((None, 0)),
        }
    }

    /// Plain readers are woken.
    pub(super) fn wakes(&self) {
        let now = Instant::now();
        let mut calls = self.calls.lock();
        let (last, hasty) = &mut *calls;
        let soon = |last: Instant| now.saturating_duration_since(last) < HASTY;
        // A model has no time.
        *hasty = if cfg!(loom) || last.is_some_and(soon) { *hasty + 1 } else { 0 };
        *last = Some(now);
        if *hasty >= self.needed.load(Ordering::Relaxed) {
            *hasty = 0;
            self.lively.store(true, Ordering::Relaxed);
        }
    }

    fn is_lively(&self) -> bool {
        self.lively.load(Ordering::Relaxed)
    }

    fn napped(&self, worth: bool) {
        if worth {
            if self.needed.load(Ordering::Relaxed) != FEWEST {
                self.needed.store(FEWEST, Ordering::Relaxed);
            }
        } else if self.lively.swap(false, Ordering::Relaxed) {
            let needed = self.needed.load(Ordering::Relaxed);
            self.needed.store((needed * 2).min(MOST), Ordering::Relaxed);
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
