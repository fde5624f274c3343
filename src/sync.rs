//! The locks and atomics of the types that threads share, and the orderings that they rest on.
//!
//! Normally these are parking_lot's and the standard library's. Under `cfg(loom)` they are loom's
//! behind the same signatures, so that the models in `tests/loom.rs` drive the production types
//! themselves and not copies of them. Only what both sides can do is offered here.
//!
//! Each ordering that a model has to defend stands here under a name. `--cfg planted="..."`
//! weakens one of them, and the model has to fail then; `tests/loom.rs` says how to run that. No
//! other build knows of it.

use std::time::{Duration, Instant};

#[cfg(not(all(target_os = "linux", not(loom))))]
pub(crate) use self::by_lock::Gate;
#[cfg(all(target_os = "linux", not(loom)))]
pub(crate) use self::by_word::Gate;
#[cfg(loom)]
pub(crate) use self::under_loom::{Condvar, Mutex, MutexGuard};
#[cfg(loom)]
use loom::sync::atomic::fence;
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
#[cfg(not(loom))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
#[cfg(not(loom))]
use std::sync::atomic::fence;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How a position becomes visible to other threads: after everything that it covers.
pub(crate) const PUBLISH: Ordering =
    if cfg!(planted = "weak_publish") { Ordering::Relaxed } else { Ordering::Release };

/// The same for a position that one thread alone moves.
pub(crate) const PUBLISH_ALONE: Ordering =
    if cfg!(planted = "weak_alone") { Ordering::Relaxed } else { Ordering::Release };

/// How a position is read by a thread that will look at what it covers.
pub(crate) const OBSERVE: Ordering =
    if cfg!(planted = "weak_observe") { Ordering::Relaxed } else { Ordering::Acquire };

/// How a turn ends: behind all that was stored in it.
pub(crate) const TURN_OVER: Ordering =
    if cfg!(planted = "weak_turn_end") { Ordering::Relaxed } else { Ordering::Release };

/// Keeps the stores behind this call from being seen without those in front of it.
#[inline]
pub(crate) fn before_stores() {
    if !cfg!(planted = "weak_turn_begin") {
        fence(Ordering::Release);
    }
}

/// Keeps the loads in front of this call from being answered after those behind it.
#[inline]
pub(crate) fn after_loads() {
    if !cfg!(planted = "weak_turn_look") {
        fence(Ordering::Acquire);
    }
}

/// What somebody does who waits for another one's turn to be over, the how-manieth time.
pub(crate) fn wait_a_turn(times: u32) {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(not(loom))]
    if times < 64 {
        std::hint::spin_loop();
    } else {
        // It may be one that has no processor to go on.
        std::thread::yield_now();
    }
    let _ = times;
}

/// Sleeps for this long, or somewhat longer. In a model it takes no time: a thread that yields goes
/// on only when others have done something, and what a nap in vain leads to would not be seen.
pub(crate) fn nap(time: Duration) {
    #[cfg(not(loom))]
    std::thread::sleep(time);
    let _ = time;
}

/// Faults that the models plant where no ordering and no wake-up is at stake. All of them are
/// `false` in every other build, and the branches on them are not compiled in.
pub(crate) mod planted {
    /// The leader of a sync takes its target after the sync instead of before it.
    pub(crate) const LATE_TARGET: bool = cfg!(planted = "late_target");
    /// A leader that returns early leaves the `syncing` flag set.
    pub(crate) const NO_GUARD: bool = cfg!(planted = "no_guard");
    /// A thread looks at its gate when it no longer has the lock under which it found it closed.
    pub(crate) const LATE_LOOK: bool = cfg!(planted = "late_look");
    /// The tasks that wait are forgotten when their round ends.
    pub(crate) const NO_TASKS: bool = cfg!(planted = "no_tasks");
    /// A mark that several threads move takes the position that comes last, not the highest.
    pub(crate) const NO_MAX: bool = cfg!(planted = "no_max");
    /// A group reader that is done does not wake the next one.
    pub(crate) const NO_BATON: bool = cfg!(planted = "no_baton");
    /// A log is restarted without the lock behind which it is trimmed.
    pub(crate) const NO_TRIM_LOCK: bool = cfg!(planted = "no_trim_lock");
    /// A plain reader that was woken does not go on the list again.
    pub(crate) const NO_LINE_UP: bool = cfg!(planted = "no_line_up");
    /// A plain reader that has looked behind a nap waits without another look.
    pub(crate) const NAP_IS_LOOK: bool = cfg!(planted = "nap_is_look");
    /// What is published while a group reader looks is forgotten when it has looked.
    pub(crate) const NO_DIRTY: bool = cfg!(planted = "no_dirty");
}

/// Keeps a load behind this call from being answered before a store ahead of it is visible.
///
/// Release and Acquire do not give that (the store may still sit in the core's buffer), and two
/// threads that each store and then look for the other's store need it on both sides.
pub(crate) fn store_before_load() {
    fence(if cfg!(planted = "weak_fence") { Ordering::AcqRel } else { Ordering::SeqCst });
}

/// The end of a wait, fixed when the wait begins, so that waking in vain does not prolong it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// There is no end.
    pub(crate) const NEVER: Deadline = Deadline(None);

    /// So much from now. What the clock cannot express is for ever.
    pub(crate) fn after(time: Duration) -> Deadline {
        Deadline(Instant::now().checked_add(time))
    }

    /// The one that comes first.
    pub(crate) fn or_earlier(self, other: Deadline) -> Deadline {
        match (self.0, other.0) {
            (Some(one), Some(other)) => Deadline(Some(one.min(other))),
            (one, other) => Deadline(one.or(other)),
        }
    }

    /// Whether it comes before so much time is over.
    pub(crate) fn is_within(self, time: Duration) -> bool {
        self.0.is_some_and(|at| at.saturating_duration_since(Instant::now()) < time)
    }

    pub(crate) fn is_over(self) -> bool {
        self.0.is_some_and(|at| at <= Instant::now())
    }
}

/// Waits for a notification; `true` if the deadline came first, and then no notification was used
/// up by this wait.
pub(crate) fn wait_until<T>(
    condvar: &Condvar,
    guard: &mut MutexGuard<'_, T>,
    deadline: Deadline,
) -> bool {
    match deadline.0 {
        Some(at) => condvar.wait_until(guard, at).timed_out(),
        None => {
            condvar.wait(guard);
            false
        }
    }
}

/// Where threads wait without a lock that they would have to take again one after another when
/// they are all woken at once.
///
/// A gate has a number, which each opening changes. Who finds under some lock that he has to wait
/// looks at the number before he gives the lock up, and waits only as long as it is the same: so an
/// opening by somebody who had the lock behind him is not missed. A wait may end in vain.
#[cfg(all(target_os = "linux", not(loom)))]
mod by_word {
    use super::Deadline;
    use rustix::thread::futex::{Flags, Timespec, wait, wake};
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Instant;

    #[derive(Debug)]
    pub(crate) struct Gate {
        number: AtomicU32,
        /// How many have looked and do not go on yet. Who opens had the lock behind them, under
        /// which they have counted themselves, or they see what he has changed and do not wait.
        waiting: AtomicU32,
    }

    impl Gate {
        pub(crate) fn new() -> Gate {
            Gate { number: AtomicU32::new(0), waiting: AtomicU32::new(0) }
        }

        /// A wait has to follow.
        pub(crate) fn look(&self) -> u32 {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            self.number.load(Ordering::Acquire)
        }

        /// `true` if the deadline came first, and then no opening was used up by this wait.
        pub(crate) fn wait(&self, seen: u32, deadline: Deadline) -> bool {
            let left = deadline.0.map(|at| at.saturating_duration_since(Instant::now()));
            // A time that the system cannot express is for ever.
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            let waited = wait(&self.number, Flags::PRIVATE, seen, left.as_ref());
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            waited == Err(rustix::io::Errno::TIMEDOUT)
        }

        /// Wakes all who wait; one call, however many they are, and none if there are none.
        pub(crate) fn open(&self) {
            self.number.fetch_add(1, Ordering::Release);
            self.wake(i32::MAX.unsigned_abs());
        }

        /// Wakes one who waits, and whoever has looked and does not wait yet.
        pub(crate) fn open_for_one(&self) {
            self.number.fetch_add(1, Ordering::Release);
            self.wake(1);
        }

        fn wake(&self, most: u32) {
            if self.waiting.load(Ordering::Relaxed) > 0 {
                // It fails only for what is no address of a word.
                let _woken = wake(&self.number, Flags::PRIVATE, most);
            }
        }
    }
}

/// The same where the system has no call for it, or nobody can model it.
#[cfg(not(all(target_os = "linux", not(loom))))]
mod by_lock {
    use super::{Condvar, Deadline, Mutex, wait_until};

    #[derive(Debug)]
    pub(crate) struct Gate {
        number: Mutex<u32>,
        opened: Condvar,
    }

    impl Gate {
        pub(crate) fn new() -> Gate {
            Gate { number: Mutex::new(0), opened: Condvar::new() }
        }

        pub(crate) fn look(&self) -> u32 {
            *self.number.lock()
        }

        pub(crate) fn wait(&self, seen: u32, deadline: Deadline) -> bool {
            let mut number = self.number.lock();
            *number == seen && wait_until(&self.opened, &mut number, deadline)
        }

        pub(crate) fn open(&self) {
            let mut number = self.number.lock();
            *number = number.wrapping_add(1);
            self.opened.notify_all();
        }

        pub(crate) fn open_for_one(&self) {
            let mut number = self.number.lock();
            *number = number.wrapping_add(1);
            self.opened.notify_one();
        }
    }
}

/// parking_lot's signatures over loom's types.
#[cfg(loom)]
mod under_loom {
    use std::ops::{Deref, DerefMut};
    use std::sync::PoisonError;
    use std::time::Instant;

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    #[derive(Debug)]
    pub(crate) struct MutexGuard<'a, T> {
        mutex: &'a Mutex<T>,
        /// Empty only within a wait: loom's condition variable takes the guard and gives it back.
        guard: Option<loom::sync::MutexGuard<'a, T>>,
    }

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Mutex<T> {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            MutexGuard { mutex: self, guard: Some(guard) }
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            match &self.guard {
                Some(guard) => guard,
                None => unreachable!("the guard is away only within a wait"),
            }
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            match &mut self.guard {
                Some(guard) => guard,
                None => unreachable!("the guard is away only within a wait"),
            }
        }
    }

    #[derive(Debug)]
    pub(crate) struct Condvar(loom::sync::Condvar);

    pub(crate) struct TimedOut;

    impl TimedOut {
        pub(crate) fn timed_out(&self) -> bool {
            true
        }
    }

    impl Condvar {
        pub(crate) fn new() -> Condvar {
            Condvar(loom::sync::Condvar::new())
        }

        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            if let Some(inner) = guard.guard.take() {
                let inner = self.0.wait(inner).unwrap_or_else(PoisonError::into_inner);
                guard.guard = Some(inner);
            }
        }

        /// In a model the time is always over at once. Whether what was waited for happens before
        /// or after that is left to the schedules: the lock is given up in between.
        pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, _: Instant) -> TimedOut {
            drop(guard.guard.take());
            guard.guard = guard.mutex.lock().guard.take();
            TimedOut
        }

        pub(crate) fn notify_one(&self) {
            if !cfg!(planted = "no_notify_one") {
                self.0.notify_one();
            }
        }

        pub(crate) fn notify_all(&self) {
            if !cfg!(planted = "no_notify_all") {
                self.0.notify_all();
            }
        }
    }
}
