//! Fewer operations that still break the same promise.

use super::call::Subject;
use super::plan::Plan;
use super::run::{Budget, run};
use super::stats::Found;
use std::time::{Duration, Instant};

/// Leaves out operations, first many at a time, as long as the clause stays broken.
pub fn shrink<S: Subject>(plan: &Plan, found: Found, limit: Duration) -> (Vec<usize>, Found) {
    let end = Instant::now() + limit;
    let budget = Budget { captures: 80, images: 24 };
    let mut kept: Vec<usize> = (0..plan.ops.len()).collect();
    let mut found = found;
    let mut part = kept.len().div_ceil(2).max(1);
    loop {
        let mut from = 0;
        while from < kept.len() && Instant::now() < end {
            let mut fewer = kept.clone();
            fewer.drain(from..(from + part).min(fewer.len()));
            match run::<S>(&plan.only(&fewer), budget, None) {
                Err(other) if other.violation.clause == found.violation.clause => {
                    kept = fewer;
                    found = *other;
                }
                _ => from += part,
            }
        }
        if part == 1 || Instant::now() >= end {
            return (kept, found);
        }
        part = part.div_ceil(2);
    }
}
