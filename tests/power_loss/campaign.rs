//! The crate under the simulator: as many states as asked for, or one state again.

use super::call::Subject;
use super::engine::Engine;
use super::explore::keep_panics;
use super::plan::{CROWDED, Kept, Plan};
use super::run::{Budget, Replay, run};
use super::series::{Series, describe, report};
use super::stats::Stats;
use std::time::{Duration, Instant};

const BUDGET: Budget = Budget { captures: 24, images: 12 };

pub fn number(variable: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(variable) else {
        return default;
    };
    let Ok(number) = text.replace('_', "").parse() else {
        panic!("{variable}={text} is not a number");
    };
    number
}

pub fn the_store_keeps_its_promises() {
    if let Ok(place) = std::env::var("STREAMLOG_SIM_REPLAY") {
        return replay::<Engine>(&place);
    }
    let states = if cfg!(debug_assertions) { 10_000 } else { 100_000 };
    let first_seed = number("STREAMLOG_SIM_SEED", 1);
    judge(first_seed, number("STREAMLOG_SIM_STATES", states));
}

/// The same with journal files that are full all the time, so that they grow to hold a checkpoint
/// and are widened because one was not enough. (Who finds another thread at that makes do with its
/// checkpoint; here is no other thread, and the crate's own tests do it.)
pub fn a_crowded_journal_keeps_every_promise() {
    let stats = judge(CROWDED, if cfg!(debug_assertions) { 1_000 } else { 5_000 });
    let Stats { grown, widened, .. } = stats;
    println!("  journal files grew {grown} times and were widened {widened} times");
    assert!(grown > 0 && widened > 0, "the journal was not full");
}

fn judge(first_seed: u64, states: u64) -> Stats {
    let series = Series { first_seed, states, planted: "", budget: BUDGET };
    let start = Instant::now();
    match series.run::<Engine>() {
        Ok(stats) => {
            let per_second = stats.states as f64 / start.elapsed().as_secs_f64();
            println!("{stats}, {per_second:.0} states/s");
            stats
        }
        Err(found) => {
            let (stats, plan, found) = *found;
            let (clause, seed) = (found.violation.clause, plan.seed);
            let states = stats.states + found.states;
            println!("  found: {clause}, in run {seed} after {states} states");
            if number("STREAMLOG_SIM_REPORT", 1) > 0 {
                println!("{stats}");
                println!("{}", report::<Engine>(&plan, found));
            }
            panic!("a promise is broken");
        }
    }
}

/// `seed/step/image`, and after another slash the operations that shrinking left, by commas.
fn replay<S: Subject>(place: &str) {
    keep_panics();
    let parts: Vec<&str> = place.split('/').collect();
    let part = |index: usize| parts.get(index).and_then(|part| part.parse::<u64>().ok());
    let (Some(seed), Some(step), Some(image)) = (part(0), part(1), part(2)) else {
        panic!("STREAMLOG_SIM_REPLAY={place} is not seed/step/image");
    };
    let mut plan = Plan::of(seed, S::TAKES_ALL);
    if let Some(kept) = parts.get(3) {
        plan = plan.only(&kept.split(',').filter_map(Kept::parse).collect::<Vec<_>>());
    }
    match run::<S>(&plan, BUDGET, Some(Replay { step, image, minimise: Duration::from_secs(20) })) {
        Ok(stats) => println!("nothing is wrong there\n{stats}"),
        Err(found) => {
            println!("{}", describe(&plan, &found));
            panic!("a promise is broken");
        }
    }
}
