//! Many runs, until enough distinct images were judged or a promise is broken.
//!
//! Runs are spread over the processors in rounds of fixed size and added up in the order of their
//! seeds, so that the result does not depend on how many processors there are.

use super::call::Subject;
use super::explore::{guarded, keep_panics};
use super::model::Violation;
use super::plan::{Kept, Plan};
use super::run::{Budget, run};
use super::shrink::shrink;
use super::stats::{Found, Place, Stats};
use std::fmt::Write;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const ROUND: u64 = 16;

#[derive(Clone, Copy, Debug)]
pub struct Series {
    pub first_seed: u64,
    /// How many distinct images are wanted.
    pub states: u64,
    pub planted: &'static str,
    pub budget: Budget,
}

impl Series {
    fn plan<S: Subject>(&self, seed: u64) -> Plan {
        let mut plan = Plan::of(seed, S::TAKES_ALL);
        plan.config.planted = self.planted;
        plan
    }

    /// Runs seed after seed. On a violation: the statistics up to it, the plan, and what was found.
    pub fn run<S: Subject>(&self) -> Result<Stats, Box<(Stats, Plan, Found)>> {
        keep_panics();
        let mut stats = Stats::default();
        let mut seed = self.first_seed;
        while stats.distinct() < self.states {
            for (plan, outcome) in self.round::<S>(seed) {
                match outcome {
                    Ok(more) => stats.add(&more),
                    Err(found) => return Err(Box::new((stats, plan, *found))),
                }
            }
            seed += ROUND;
        }
        Ok(stats)
    }

    fn round<S: Subject>(&self, seed: u64) -> Vec<(Plan, Result<Stats, Box<Found>>)> {
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::new());
        let work = || {
            while let index @ 0..ROUND = next.fetch_add(1, Ordering::Relaxed) as u64 {
                let plan = self.plan::<S>(seed + index);
                let outcome = guarded(|| run::<S>(&plan, self.budget, None));
                // A panic of the simulator itself.
                let outcome = outcome.unwrap_or_else(|violation| Err(Box::new(violation.into())));
                done.lock().unwrap().push((index, plan, outcome));
            }
        };
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
                scope.spawn(work);
            }
        });
        let mut done = done.into_inner().unwrap();
        done.sort_by_key(|(index, ..)| *index);
        done.into_iter().map(|(_, plan, outcome)| (plan, outcome)).collect()
    }
}

/// All that a person needs to find the bug, after what does not matter was left out.
pub fn report<S: Subject>(plan: &Plan, found: Found) -> String {
    let (kept, found) = shrink::<S>(plan, found, Duration::from_secs(20));
    let place = found.place.as_ref();
    let (step, image) = place.map_or((0, 0), |place| (place.step, place.image));
    let ops: Vec<String> = kept.iter().map(Kept::to_string).collect();
    let (seed, ops) = (plan.seed, ops.join(","));
    let text = describe(plan, &found);
    format!("{text}again: STREAMLOG_SIM_REPLAY={seed}/{step}/{image}/{ops}")
}

/// The clause, the calls up to it, and the place of the power cut.
pub fn describe(plan: &Plan, found: &Found) -> String {
    let mut text = String::new();
    let mut line = |args: std::fmt::Arguments| writeln!(text, "{args}").unwrap();
    let Violation { clause, text: what } = &found.violation;
    line(format_args!("violation of {clause}: {what}"));
    line(format_args!("{:?}", plan.config));
    for (index, action) in found.history.iter().enumerate() {
        line(format_args!("  {index:3} {action}"));
    }
    match &found.place {
        Some(Place { step, what, image, choices, difference }) => {
            line(format_args!(
                "power cut at step {step} ({what}), in the last call; image {image}"
            ));
            for choice in choices.iter().chain(difference) {
                line(format_args!("  {choice}"));
            }
        }
        None => line(format_args!("without a power cut")),
    }
    text
}
