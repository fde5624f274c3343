//! Group commit: how far a log is written and durable, and how many threads share one sync.
//!
//! There is one [`Commit`] for each stream and one for the state journal. A thread that needs a
//! position to be durable waits here. If no sync runs, it becomes the leader and does the sync
//! itself, for everyone who has written by then; otherwise it sleeps. A task never leads: it leaves
//! its waker and asks for a sync by somebody else.
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
//! - No closure but `written` runs under the lock, and no waker.
//! - Who was woken and is served does not take the lock: however many share a sync, they do not
//!   wait for one another.

use crate::error::{Error, ErrorKind, Result};
use crate::sync::{
    AtomicBool, AtomicU64, Deadline, Gate, Mutex, MutexGuard, OBSERVE, PUBLISH, PUBLISH_ALONE,
    planted,
};
use std::task::{Poll, Waker};

// With the path, as the models take this file in from another folder.
#[path = "commit/tasks.rs"]
mod tasks;
pub(crate) use tasks::Seat;
use tasks::Tasks;

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
    /// wakes, but only one of the other half, to lead; so hardly a thread wakes to sleep again.
    rounds: [Gate; 2],
    /// Set with the poison: whoever is about to write asks whether there is one.
    stopped: AtomicBool,
}

struct State {
    /// The number of the running sync or, if none runs, of the next one.
    round: u64,
    syncing: bool,
    /// What the running sync covers.
    target: u64,
    poison: Option<Error>,
    closed: Option<Error>,
    /// The tasks that wait for the end of round `n`, at `n % 2` as the threads do.
    tasks: [Tasks; 2],
}

impl State {
    /// Whether the sync that runs right now covers this position.
    fn covers(&self, upto: u64) -> bool {
        self.syncing && upto <= self.target
    }

    fn tasks(&mut self, round: u64) -> &mut Tasks {
        let [even, odd] = &mut self.tasks;
        if round.is_multiple_of(2) { even } else { odd }
    }
}

/// What a thread that needs a position to be durable has to do next.
enum Next {
    Return(Result<()>),
    Lead,
    /// Until the end of this round.
    Sleep(u64),
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
                tasks: [Tasks::default(), Tasks::default()],
            }),
            rounds: [Gate::new(), Gate::new()],
            stopped: AtomicBool::new(false),
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
        let target = loop {
            let mut state = self.state.lock();
            match self.next(&state, upto) {
                Next::Return(result) => return result,
                Next::Sleep(round) => _ = self.sleep(round, state, Deadline::NEVER),
                Next::Lead => {
                    // Whoever comes later is not covered by the sync.
                    let target = written();
                    state.syncing = true;
                    state.target = target;
                    break target;
                }
            }
            if self.durable.get() >= upto {
                return Ok(());
            }
        };
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
        loop {
            let state = self.state.lock();
            let round = match self.next(&state, upto) {
                Next::Return(result) => return result,
                Next::Sleep(round) => round,
                // This thread may be the one that was woken to lead, so it asks even if its time
                // is over: others rely on it.
                Next::Lead if asked != Some(state.round) => {
                    asked = Some(state.round);
                    drop(state);
                    ask();
                    continue;
                }
                Next::Lead => state.round,
            };
            if over {
                return Err(Error::new(ErrorKind::TimedOut));
            }
            over = self.sleep(round, state, deadline);
        }
    }

    /// Whether everything below `upto` is durable, for a task: if that is still to come, the waker
    /// is called once it is settled, or once the task should ask again. `seat` is where the task
    /// waits, to be kept for the next call and to be given back with [`Commit::leave`].
    ///
    /// `ask` is called unless a sync runs that covers the position, and is what it is for
    /// [`Commit::wait_timeout`].
    pub(crate) fn poll(
        &self,
        upto: u64,
        seat: &mut Option<Seat>,
        waker: &Waker,
        ask: impl FnOnce(),
    ) -> Poll<Result<()>> {
        if self.durable.get() >= upto {
            return Poll::Ready(Ok(()));
        }
        // A waker is its owner's: to clone or to drop it may run anything.
        let waker = waker.clone();
        let mut state = self.state.lock();
        let (round, covered) = match self.next(&state, upto) {
            Next::Return(result) => return Poll::Ready(result),
            Next::Sleep(round) => (round, state.covers(upto)),
            Next::Lead => (state.round, false),
        };
        let replaced = state.tasks(round).sit(seat, round, waker);
        drop(state);
        drop(replaced);
        if !covered {
            ask();
        }
        Poll::Pending
    }

    /// The task does not wait any more, and its waker is not called unless that is being done.
    pub(crate) fn leave(&self, seat: Seat) {
        let mut state = self.state.lock();
        let waker = state.tasks(seat.round()).rise(&seat);
        drop(state);
        drop(waker);
    }

    /// Records that everything below `position` is on disk, known by other means than a sync that
    /// went through here (recovery; a sync of the whole file system).
    pub(crate) fn set_durable(&self, position: u64) {
        let state = self.state.lock();
        if state.poison.is_none() {
            self.durable.advance_to(position);
            self.wake_all(state);
        }
    }

    /// Refuses everything that is not durable yet, for good. The first cause is kept.
    pub(crate) fn poison(&self, cause: Error) {
        let mut state = self.state.lock();
        state.poison.get_or_insert(cause);
        self.stopped.store(true, PUBLISH);
        self.wake_all(state);
    }

    /// The first failure, as it was reported. Takes no lock while there is none.
    #[inline]
    pub(crate) fn poisoned(&self) -> Option<Error> {
        if self.stopped.load(OBSERVE) { self.cause() } else { None }
    }

    #[cold]
    fn cause(&self) -> Option<Error> {
        self.state.lock().poison.clone()
    }

    /// Starts no sync any more. A wait that the running sync covers hears how that ends; every
    /// other one gets `reason`. Whoever closes has to sync before, as all that is written by then
    /// may be waited for.
    pub(crate) fn close(&self, reason: Error) {
        let mut state = self.state.lock();
        state.closed.get_or_insert(reason);
        self.wake_all(state);
    }

    fn next(&self, state: &State, upto: u64) -> Next {
        if self.durable.get() >= upto {
            return Next::Return(Ok(()));
        }
        if let Some(cause) = &state.poison {
            return Next::Return(Err(Error::poisoned(cause)));
        }
        if state.covers(upto) {
            return Next::Sleep(state.round);
        }
        if let Some(reason) = &state.closed {
            return Next::Return(Err(reason.clone()));
        }
        if state.syncing {
            return Next::Sleep(state.round.wrapping_add(1));
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
        let outcome = sync(target).and_then(|()| match self.cause() {
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
                Err(Error::poisoned(&self.cause().unwrap_or(cause)))
            }
        }
    }

    fn gate(&self, round: u64) -> &Gate {
        let [even, odd] = &self.rounds;
        if round.is_multiple_of(2) { even } else { odd }
    }

    /// Gives the lock up and sleeps until the end of a round, or until it should lead the next one;
    /// maybe not as long. `true` if the deadline came first.
    fn sleep(&self, round: u64, state: MutexGuard<'_, State>, deadline: Deadline) -> bool {
        let gate = self.gate(round);
        if planted::LATE_LOOK {
            drop(state);
            return gate.wait(gate.look(), deadline);
        }
        // With the lock: whoever changes the state from here on opens the gate behind that.
        let seen = gate.look();
        drop(state);
        gate.wait(seen, deadline)
    }

    /// Gives the lock up, now that the state says why, and wakes all who wait.
    fn wake_all(&self, mut state: MutexGuard<'_, State>) {
        let tasks = state.tasks.each_mut().map(Tasks::take);
        drop(state);
        for gate in &self.rounds {
            gate.open();
        }
        tasks.into_iter().for_each(Tasks::wake);
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
        if state.poison.is_some() {
            self.commit.stopped.store(true, PUBLISH);
        }
        let ended = state.round;
        state.round = ended.wrapping_add(1);
        state.syncing = false;
        if state.poison.is_some() || state.closed.is_some() {
            self.commit.wake_all(state);
        } else {
            let tasks = state.tasks(ended).take();
            drop(state);
            self.commit.gate(ended).open();
            self.commit.gate(ended.wrapping_add(1)).open_for_one();
            tasks.wake();
        }
    }
}

#[cfg(all(test, not(loom)))]
#[path = "commit/tests.rs"]
mod tests;
