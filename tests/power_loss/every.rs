//! What chance leaves out: all lists of up to three operations, cut at every step, and every image
//! of each cut.
//!
//! Most bugs that a crash shows take few operations right before it; here none of these is missed.

use super::campaign::number;
use super::engine::Engine;
use super::explore::keep_panics;
use super::plan::{Config, Level, Op, OpKind, Plan, Size};
use super::run::{Budget, run_cut};
use super::series::describe;
use super::stats::Stats;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// What the lists are made of.
const KINDS: [OpKind; 12] = [
    OpKind::Append { size: Size::Tiny },
    OpKind::Append { size: Size::Segment },
    OpKind::Batch { entries: 3, size: Size::Tiny },
    OpKind::Delete,
    OpKind::Trim { approximate: false },
    OpKind::Read { no_ack: false },
    OpKind::Ack,
    OpKind::SetBack,
    OpKind::Copy,
    OpKind::Sync,
    OpKind::StepCheckpoint,
    OpKind::Reopen,
];
/// What there is before them: an entry that is pending, and one that is not.
const BEFORE: [OpKind; 5] = [
    OpKind::CreateStream,
    OpKind::Append { size: Size::Tiny },
    OpKind::CreateGroup,
    OpKind::Read { no_ack: false },
    OpKind::Append { size: Size::Tiny },
];
const LEVELS: [Level; 3] = [Level::Always, Level::Interval, Level::Manual];
const BUDGET: Budget = Budget { captures: usize::MAX, images: u64::MAX };

/// What fills some segments, has more than one made, and goes on into them.
fn with_segments_ready() -> Vec<OpKind> {
    let append = OpKind::Append { size: Size::Segment };
    let append = |times| std::iter::repeat_n(append, times);
    let prepare = || [OpKind::StepPrepare];
    let tiny = [OpKind::Append { size: Size::Tiny }];
    let filled = append(9).chain(prepare()).chain(append(3)).chain(prepare());
    let synced = filled.chain(tiny).chain([OpKind::StepSync]).chain(append(2));
    // Once more, and none of them is used any more.
    let again = append(5).chain(prepare()).chain([OpKind::SetBack]).chain(append(1));
    synced.chain([OpKind::Reopen]).chain(again).chain([OpKind::Reopen]).collect()
}

fn plan(level: Level, kinds: &[OpKind]) -> Plan {
    let config = Config {
        level,
        segment_bytes: 4096,
        block_entries: 100,
        block_bytes: 512,
        journal: (4096, 2, 4),
        streams: 1,
        sync_all: false,
        skip_damage: false,
        write_back: 0,
        planted: "",
    };
    let ops = BEFORE.iter().chain(kinds).map(|kind| Op { kind: *kind, dice: 0 });
    Plan { seed: 0, config, ops: ops.collect() }
}

fn lists() -> Vec<Vec<OpKind>> {
    let mut lists: Vec<Vec<OpKind>> = vec![Vec::new()];
    let mut longest = 0..1;
    for _ in 0..3 {
        for short in longest.clone() {
            for kind in KINDS {
                let list = lists[short].iter().copied().chain([kind]).collect();
                lists.push(list);
            }
        }
        longest = longest.end..lists.len();
    }
    lists.split_off(1)
}

/// The number of steps that come before those of the list, or a few more.
fn steps_before(level: Level) -> u64 {
    let steps = Cell::new(0);
    let none = |log: &[&'static str]| {
        steps.set(log.len() as u64);
        BTreeSet::new()
    };
    drop(run_cut::<Engine>(&plan(level, &[]), BUDGET, None, none));
    // All of it is looked at in the end.
    steps.get().saturating_sub(20)
}

/// `STREAMLOG_SIM_LISTS=1`: all; otherwise each list with this distance from the one before.
pub fn short_lists_keep_every_promise() {
    keep_panics();
    let every = number("STREAMLOG_SIM_LISTS", if cfg!(debug_assertions) { 997 } else { 97 });
    let lists = lists();
    assert_eq!(lists.len(), 12 + 144 + 1728);
    let before = LEVELS.map(steps_before);
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Stats::default()));
    let work = || {
        loop {
            let number = next.fetch_add(every as usize, Ordering::Relaxed);
            let Some(list) = lists.get(number / LEVELS.len()) else {
                return;
            };
            let level = number % LEVELS.len();
            let plan = plan(LEVELS[level], list);
            let behind = |log: &[&'static str]| (before[level] + 1..=log.len() as u64).collect();
            match run_cut::<Engine>(&plan, BUDGET, None, behind) {
                Ok(stats) => all.lock().unwrap().add(&stats),
                Err(found) => panic!("list {number}:\n{}", describe(&plan, &found)),
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let stats = all.into_inner().unwrap();
    let (runs, states, distinct) = (stats.runs, stats.states, stats.distinct());
    println!("  {runs} of {} lists, {states} states, {distinct} distinct", lists.len() * 3);
}

/// Fails if a power cut while several segments wait for their turn, or behind that, loses what was
/// promised.
pub fn segments_that_wait_keep_every_promise() {
    keep_panics();
    let images = number("STREAMLOG_SIM_IMAGES", if cfg!(debug_assertions) { 4 } else { 40 });
    let budget = Budget { captures: usize::MAX, images };
    for level in LEVELS {
        let plan = plan(level, &with_segments_ready());
        let ready = Cell::new(0);
        let behind = |log: &[&'static str]| {
            let is_ready = |(at, what): (usize, &&str)| {
                (*what == "another segment ready").then_some(at as u64 + 1)
            };
            let several: Vec<u64> = log.iter().enumerate().filter_map(is_ready).collect();
            ready.set(several.len());
            several
                .first()
                .map_or_else(BTreeSet::new, |first| (*first..=log.len() as u64).collect())
        };
        match run_cut::<Engine>(&plan, budget, None, behind) {
            Ok(stats) => println!("  {level:?}: {} times ready, {stats}", ready.get()),
            Err(found) => panic!("at {level:?}:\n{}", describe(&plan, &found)),
        }
        // Five are made before the store is opened again.
        assert!(ready.get() > 5, "{} more segments were ready at {level:?}", ready.get());
    }
}
