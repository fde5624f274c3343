//! Group commit: how far a log is written and durable, and how many threads share one sync.
//!
//! There is one [`Commit`] for each stream and one for the state journal. A thread that needs a
//! position to be durable waits here. If no sync runs, it becomes the leader and does the sync
//! itself, for everyone who has written by then; otherwise it sleeps.
//!
//! What holds:
//! - The target of a sync is taken before the sync starts, so what is written meanwhile is never
//!   called durable by it.
//! - `durable` grows only after the leader's `done` has run: a caller who is told that an entry is
//!   durable also finds it published.
//! - Any failed sync poisons, whatever its error, because the kernel forgets what it could not
//!   write and says yes the next time. The first cause is kept. Nothing becomes durable after that.
//! - The `syncing` flag belongs to a guard. Success, error and unwinding clear it and wake whoever
//!   waits for it.
//! - No closure but `written` runs under the lock.

use crate::error::{Error, ErrorKind, Result};
use crate::sync::{
    AtomicU64, Condvar, Deadline, Mutex, MutexGuard, OBSERVE, PUBLISH, PUBLISH_ALONE, planted,
    wait_until,
};

/// A position that only grows. Who reads it sees everything that it covers.
pub(crate) struct Mark(AtomicU64);

impl Mark {
    pub(crate) fn new(position: u64) -> Mark {
        Mark(AtomicU64::new(position))
    }

    /// Moves the mark forward; a smaller position changes nothing.
    pub(crate) fn advance_to(&self, position: u64) {
        if planted::NO_MAX {
            return self.0.store(position, PUBLISH);
        }
        self.0.fetch_max(position, PUBLISH);
    }

    /// The same for a caller who is the only one to move this mark, as a lock sees to: a store is
    /// much cheaper than a maximum that others may raise meanwhile.
    pub(crate) fn advance_alone(&self, position: u64) {
        debug_assert!(self.get() <= position, "the mark goes forward");
        self.0.store(position, PUBLISH_ALONE);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(OBSERVE)
    }
}

/// The commit of one log.
pub(crate) struct Commit {
    durable: Mark,
    state: Mutex<State>,
    /// Where threads sleep for the end of round `n`: at `n % 2`. Only the running round and the one
    /// behind it ever have sleepers. At the end of a round everyone in its own half is covered and
    /// wakes, but only one of the other half, to lead; so no thread wakes just to sleep again.
    rounds: [Condvar; 2],
}

struct State {
    /// The number of the running sync or, if none runs, of the next one.
    round: u64,
    syncing: bool,
    /// What the running sync covers.
    target: u64,
    poison: Option<Error>,
    closed: Option<Error>,
}

impl State {
    /// Whether the sync that runs right now covers this position.
    fn covers(&self, upto: u64) -> bool {
        self.syncing && upto <= self.target
    }
}

/// What a thread that needs a position to be durable has to do next.
enum Next<'a> {
    Return(Result<()>),
    Lead,
    Sleep(&'a Condvar),
}

impl Commit {
    /// A log of which everything below `durable` is known to be on disk.
    pub(crate) fn new(durable: u64) -> Commit {
        Commit {
            durable: Mark::new(durable),
            state: Mutex::new(State {
                round: 0,
                syncing: false,
                target: durable,
                poison: None,
                closed: None,
            }),
            rounds: [Condvar::new(), Condvar::new()],
        }
    }

    /// The end of what is known to be on disk.
    pub(crate) fn durable(&self) -> u64 {
        self.durable.get()
    }

    /// Waits until everything below `upto` is durable, and does the sync if nobody else does.
    ///
    /// - `written` tells the end of what a sync that starts now would cover. It is called under the
    ///   lock, so it must be no more than the reading of a mark. What lies above it cannot be
    ///   waited for: `upto` is cut to it.
    /// - `sync` gets the target. It must not wait for this commit.
    /// - `done` gets the same target when the sync has succeeded: to publish and to notify. Only
    ///   then do other waiters hear of it.
    pub(crate) fn wait(
        &self,
        upto: u64,
        written: impl Fn() -> u64,
        sync: impl FnOnce(u64) -> Result<()>,
        done: impl FnOnce(u64),
    ) -> Result<()> {
        if self.durable.get() >= upto {
            return Ok(());
        }
        let upto = upto.min(written());
        let mut state = self.state.lock();
        loop {
            match self.next(&state, upto) {
                Next::Return(result) => return result,
                Next::Sleep(condvar) => condvar.wait(&mut state),
                Next::Lead => break,
            }
        }
        // Below the election and above the sync: whoever comes later is not covered by it.
        let target = written();
        state.syncing = true;
        state.target = target;
        drop(state);
        self.lead(target, written, sync, done)
    }

    /// Makes durable whatever is written now: [`Commit::wait`] for all of it.
    pub(crate) fn sync_now(
        &self,
        written: impl Fn() -> u64,
        sync: impl FnOnce(u64) -> Result<()>,
        done: impl FnOnce(u64),
    ) -> Result<()> {
        self.wait(written(), written, sync, done)
    }

    /// Waits until everything below `upto` is durable, but no longer than to the deadline.
    ///
    /// Such a caller never leads, because nobody can tell how long a sync takes. When no sync runs
    /// it calls `ask` instead, which must lead to a [`Commit::sync_now`] by another thread that
    /// begins after the call, and must not block. At the deadline: [`ErrorKind::TimedOut`].
    pub(crate) fn wait_timeout(
        &self,
        upto: u64,
        deadline: Deadline,
        written: impl Fn() -> u64,
        ask: impl Fn(),
    ) -> Result<()> {
        if self.durable.get() >= upto {
            return Ok(());
        }
        let upto = upto.min(written());
        let mut asked = None;
        let mut over = false;
        let mut state = self.state.lock();
        loop {
            let condvar = match self.next(&state, upto) {
                Next::Return(result) => return result,
                Next::Sleep(condvar) => condvar,
                // This thread may be the one that was woken to lead, so it asks even if its time
                // is over: others rely on it.
                Next::Lead if asked != Some(state.round) => {
                    asked = Some(state.round);
                    drop(state);
                    ask();
                    state = self.state.lock();
                    continue;
                }
                Next::Lead => self.sleepers(state.round),
            };
            if over {
                return Err(Error::new(ErrorKind::TimedOut));
            }
            over = wait_until(condvar, &mut state, deadline);
        }
    }

    /// Records that everything below `position` is on disk, known by other means than a sync that
    /// went through here (recovery; a sync of the whole file system).
    pub(crate) fn set_durable(&self, position: u64) {
        let state = self.state.lock();
        if state.poison.is_none() {
            self.durable.advance_to(position);
            self.wake_all(&state);
        }
    }

    /// Refuses everything that is not durable yet, for good. The first cause is kept.
    pub(crate) fn poison(&self, cause: Error) {
        let mut state = self.state.lock();
        state.poison.get_or_insert(cause);
        self.wake_all(&state);
    }

    /// The first failure, as it was reported.
    pub(crate) fn poisoned(&self) -> Option<Error> {
        self.state.lock().poison.clone()
    }

    /// Starts no sync any more. A wait that the running sync covers hears how that ends; every
    /// other one gets `reason`. Whoever closes has to sync before, as all that is written by then
    /// may be waited for.
    pub(crate) fn close(&self, reason: Error) {
        let mut state = self.state.lock();
        state.closed.get_or_insert(reason);
        self.wake_all(&state);
    }

    fn next(&self, state: &State, upto: u64) -> Next<'_> {
        if self.durable.get() >= upto {
            return Next::Return(Ok(()));
        }
        if let Some(cause) = &state.poison {
            return Next::Return(Err(Error::poisoned(cause)));
        }
        if state.covers(upto) {
            return Next::Sleep(self.sleepers(state.round));
        }
        if let Some(reason) = &state.closed {
            return Next::Return(Err(reason.clone()));
        }
        if state.syncing {
            return Next::Sleep(self.sleepers(state.round.wrapping_add(1)));
        }
        Next::Lead
    }

    fn lead(
        &self,
        target: u64,
        written: impl Fn() -> u64,
        sync: impl FnOnce(u64) -> Result<()>,
        done: impl FnOnce(u64),
    ) -> Result<()> {
        let mut lead = Lead { commit: self, outcome: Outcome::Abandoned };
        // Poisoned from outside meanwhile: the success of this sync may be a false one.
        let outcome = sync(target).and_then(|()| match self.poisoned() {
            Some(cause) => Err(cause),
            None => Ok(()),
        });
        match outcome {
            Ok(()) => {
                let target = if planted::LATE_TARGET { written() } else { target };
                done(target);
                lead.outcome = Outcome::Synced(target);
                Ok(())
            }
            Err(cause) => {
                if planted::NO_GUARD {
                    std::mem::forget(lead);
                    return Err(cause);
                }
                lead.outcome = Outcome::Failed(cause.clone());
                drop(lead);
                // Not `cause`: another failure may have been first, and a full disk is no reason
                // to try again here.
                Err(Error::poisoned(&self.poisoned().unwrap_or(cause)))
            }
        }
    }

    fn sleepers(&self, round: u64) -> &Condvar {
        let [even, odd] = &self.rounds;
        if round.is_multiple_of(2) { even } else { odd }
    }

    /// The lock is held so that no thread is between its look at the state and its sleep.
    fn wake_all(&self, _: &MutexGuard<'_, State>) {
        for condvar in &self.rounds {
            condvar.notify_all();
        }
    }
}

enum Outcome {
    Synced(u64),
    Failed(Error),
    /// The leader unwinds.
    Abandoned,
}

/// The leadership of one round; giving it up ends the round, whichever way it went.
struct Lead<'a> {
    commit: &'a Commit,
    outcome: Outcome,
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut state = self.commit.state.lock();
        match std::mem::replace(&mut self.outcome, Outcome::Abandoned) {
            Outcome::Synced(target) => self.commit.durable.advance_to(target),
            Outcome::Failed(cause) => {
                state.poison.get_or_insert(cause);
            }
            Outcome::Abandoned => {
                state.poison.get_or_insert_with(|| {
                    Error::new(ErrorKind::Io { op: "finish a sync: its thread panicked" })
                });
            }
        }
        let ended = state.round;
        state.round = ended.wrapping_add(1);
        state.syncing = false;
        if state.poison.is_some() || state.closed.is_some() {
            self.commit.wake_all(&state);
        } else {
            self.commit.sleepers(ended).notify_all();
            self.commit.sleepers(state.round).notify_one();
        }
    }
}

#[cfg(all(test, not(loom)))]
#[path = "commit/tests.rs"]
mod tests;
