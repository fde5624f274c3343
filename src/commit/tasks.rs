//! The tasks that wait for the end of a round of syncs: their wakers, all of which are taken at
//! once when it ends, however many they are, and called when the lock is free again.

use crate::sync::planted;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// The tasks of one round. 16 bytes for each.
#[derive(Default)]
pub(super) struct Tasks {
    wakers: Vec<Option<Waker>>,
    /// How often the tasks were taken: a seat of before is no seat any more.
    taken: u64,
}

/// Where a task waits. It is the task's until somebody has taken the tasks of its round.
#[derive(Debug)]
pub(crate) struct Seat {
    round: u64,
    taken: u64,
    index: usize,
}

impl Seat {
    /// The round whose end the task waits for.
    pub(super) fn round(&self) -> u64 {
        self.round
    }
}

impl Tasks {
    fn at(&mut self, seat: &Seat) -> Option<&mut Option<Waker>> {
        if seat.taken != self.taken {
            return None;
        }
        self.wakers.get_mut(seat.index)
    }

    /// Has the waker called when these tasks are. A task that waits already keeps its seat. Returns
    /// the waker that it had there.
    pub(super) fn sit(
        &mut self,
        seat: &mut Option<Seat>,
        round: u64,
        waker: Waker,
    ) -> Option<Waker> {
        let same = |seat: &&Seat| seat.round == round;
        if let Some(place) = seat.as_ref().filter(same).and_then(|seat| self.at(seat)) {
            return place.replace(waker);
        }
        *seat = Some(Seat { round, taken: self.taken, index: self.wakers.len() });
        self.wakers.push(Some(waker));
        None
    }

    /// The waker of a task that goes before its round ends.
    pub(super) fn rise(&mut self, seat: &Seat) -> Option<Waker> {
        self.at(seat)?.take()
    }

    /// All of them, which are none of these any more.
    pub(super) fn take(&mut self) -> Tasks {
        let wakers = std::mem::take(&mut self.wakers);
        self.taken += 1;
        let wakers = if planted::NO_TASKS { Vec::new() } else { wakers };
        Tasks { wakers, taken: 0 }
    }

    /// Calls the wakers. What one of them does in a panic is its owner's affair: the others have to
    /// be called all the same, and whoever calls them has a sync to finish.
    pub(super) fn wake(self) {
        for waker in self.wakers.into_iter().flatten() {
            drop(catch_unwind(AssertUnwindSafe(|| waker.wake())));
        }
    }
}
