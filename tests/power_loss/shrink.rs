//! Fewer and smaller operations that still break the same promise.

use super::call::Subject;
use super::plan::{Kept, Plan};
use super::run::{Budget, Replay, run};
use super::stats::{Found, Place};
use std::time::{Duration, Instant};

const BUDGET: Budget = Budget { captures: 80, images: 24 };
/// How long the choices of one image may be tried.
const CHOICES: Duration = Duration::from_secs(10);

/// Leaves out operations, first many at a time, then makes them smaller, then the choices of the
/// image, as long as the clause stays broken.
pub fn shrink<S: Subject>(plan: &Plan, found: Found, limit: Duration) -> (Vec<Kept>, Found) {
    let end = Instant::now() + limit;
    let all = (0..plan.ops.len()).map(|index| Kept { index, small: false });
    let mut best = Best { kept: all.collect(), found };
    best.leave_out::<S>(plan, end);
    for number in 0..best.kept.len() {
        let mut smaller = best.kept.clone();
        let op = plan.ops[smaller[number].index];
        smaller[number].small = true;
        if op.smaller().kind != op.kind && Instant::now() < end {
            best.try_these::<S>(plan, smaller);
        }
    }
    best.minimise::<S>(plan);
    (best.kept, best.found)
}

struct Best {
    kept: Vec<Kept>,
    found: Found,
}

impl Best {
    fn leave_out<S: Subject>(&mut self, plan: &Plan, end: Instant) {
        let mut part = self.kept.len().div_ceil(2).max(1);
        loop {
            let mut from = 0;
            while from < self.kept.len() && Instant::now() < end {
                let mut fewer = self.kept.clone();
                fewer.drain(from..(from + part).min(fewer.len()));
                if !self.try_these::<S>(plan, fewer) {
                    from += part;
                }
            }
            if part == 1 || Instant::now() >= end {
                return;
            }
            part = part.div_ceil(2);
        }
    }

    fn try_these<S: Subject>(&mut self, plan: &Plan, kept: Vec<Kept>) -> bool {
        match run::<S>(&plan.only(&kept), BUDGET, None) {
            Err(other) if other.violation.clause == self.found.violation.clause => {
                *self = Best { kept, found: *other };
                true
            }
            _ => false,
        }
    }

    fn minimise<S: Subject>(&mut self, plan: &Plan) {
        let Some(Place { step, image, .. }) = self.found.place else {
            return;
        };
        let replay = Replay { step, image, minimise: CHOICES };
        if let Err(found) = run::<S>(&plan.only(&self.kept), BUDGET, Some(replay)) {
            self.found = *found;
        }
    }
}
