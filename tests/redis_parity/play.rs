//! Plays operations on both sides, compares replies and states, and makes a failure small.

use crate::generate::FUTURE_MS;
use crate::op::*;
use crate::reply::{Reply, Side};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::{Duration, Instant};
use streamlog::{EntryId, NewId};

/// How many operations lie between two comparisons of everything that can be seen.
const STATE_EVERY: usize = 50;
/// How many operations before the difference are shown.
const SHOWN: usize = 20;
/// How long shrinking may take, in seconds; `STREAMLOG_PARITY_SHRINK` allows more.
const SHRINK_FOR: u64 = 30;

/// The first operation whose replies differ.
pub(crate) struct Difference {
    /// Its position in the script; for a comparison of states, that of the operation before it.
    at: usize,
    op: Op,
    redis: Reply,
    ours: Reply,
}

/// What a play was good for.
#[derive(Default)]
pub(crate) struct Coverage {
    /// For each kind of operation how often it was played, and how often something came of it.
    pub(crate) kinds: BTreeMap<&'static str, (u64, u64)>,
    /// The classes of errors that were met.
    pub(crate) errors: BTreeSet<String>,
}

thread_local! {
    /// Set while a failure is made small: the panics of tries would bury what is reported.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Makes panics of a thread that is [`QUIET`] silent. Other threads, and this one later, are
/// heard as before.
fn hush(quiet: bool) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                hook(info);
            }
        }));
    });
    QUIET.set(quiet);
}

fn guarded(side: &mut dyn Side, op: &Op) -> Reply {
    catch_unwind(AssertUnwindSafe(|| side.run(op))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
        Reply::Panicked(text.unwrap_or_default())
    })
}

fn compare(
    redis: &mut dyn Side,
    ours: &mut dyn Side,
    at: usize,
    op: &Op,
) -> Result<Reply, Box<Difference>> {
    let theirs = guarded(redis, op);
    let our = guarded(ours, op);
    if theirs == our && !matches!(our, Reply::Panicked(_)) {
        return Ok(our);
    }
    Err(Box::new(Difference { at, op: op.clone(), redis: theirs, ours: our }))
}

/// Replaces `*` by `ms-*` unless the stream's last ID is in the future: only then the clock has
/// no part in the ID.
fn settle(redis: &mut dyn Side, op: &Op) -> Op {
    let mut op = redis.adapt(op);
    let (Op::Add { key, .. } | Op::AddBatch { key, .. }) = &op else {
        return op;
    };
    let last = match redis.run(&Op::Info { key }) {
        Reply::Info(row) => row.last_id,
        _ => EntryId::MIN,
    };
    let settle = |id: &mut AddId| {
        if *id == AddId::New(NewId::Auto) && last.ms < FUTURE_MS {
            *id = AddId::New(NewId::AutoSeq(last.ms));
        }
    };
    match &mut op {
        Op::Add { id, .. } => settle(id),
        Op::AddBatch { entries, .. } => entries.iter_mut().for_each(|(id, _)| settle(id)),
        _ => {}
    }
    op
}

/// All that can be seen of the three streams.
fn views() -> Vec<Op> {
    let mut views = vec![Op::Names];
    for key in KEYS {
        let (start, end) = (Edge::Lowest, Edge::Highest);
        views.push(Op::Info { key });
        views.push(Op::Len { key });
        views.push(Op::Range { key, reverse: false, start, end, count: None, borrow: false });
        views.push(Op::Groups { key });
        for group in GROUPS {
            let (min_idle, count, consumer) = (0, 100_000, None);
            views.push(Op::Consumers { key, group });
            views.push(Op::Pending { key, group });
            views.push(Op::PendingRange { key, group, min_idle, start, end, count, consumer });
        }
    }
    views
}

/// Plays a script from the beginning, on sides that were reset.
pub(crate) fn play(
    redis: &mut dyn Side,
    ours: &mut dyn Side,
    script: &[Op],
    state_every: usize,
) -> Result<Coverage, Box<Difference>> {
    let mut coverage = Coverage::default();
    let views = views();
    for (at, op) in script.iter().enumerate() {
        let op = settle(redis, op);
        let reply = compare(redis, ours, at, &op)?;
        let (played, fruitful) = coverage.kinds.entry(op.kind()).or_default();
        *played += 1;
        *fruitful += u64::from(reply.is_fruitful());
        if let Reply::Err(class) = reply {
            coverage.errors.insert(format!("{class:?}"));
        }
        if (at + 1).is_multiple_of(state_every) || at + 1 == script.len() {
            for view in &views {
                compare(redis, ours, at, view)?;
            }
        }
    }
    Ok(coverage)
}

/// Plays a script; where it fails, tries again and again with parts left out.
pub(crate) fn play_and_shrink(
    redis: &mut dyn Side,
    ours: &mut dyn Side,
    script: &[Op],
) -> Result<Coverage, Box<Failure>> {
    let first = match play(redis, ours, script, STATE_EVERY) {
        Ok(coverage) => return Ok(coverage),
        Err(difference) => difference,
    };
    hush(true);
    let mut small = script[..=first.at].to_vec();
    let mut last = None;
    let seconds = crate::number("STREAMLOG_PARITY_SHRINK", SHRINK_FOR);
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut part = small.len();
    while part > 0 && Instant::now() < until {
        let mut start = 0;
        while start < small.len() && Instant::now() < until {
            let mut fewer = small.clone();
            fewer.drain(start..(start + part).min(small.len()));
            redis.reset();
            ours.reset();
            let every = (fewer.len() / 100).clamp(1, STATE_EVERY);
            match play(redis, ours, &fewer, every) {
                Ok(_) => start += part,
                Err(difference) => {
                    fewer.truncate(difference.at + 1);
                    small = fewer;
                    last = Some(difference);
                }
            }
        }
        part /= 2;
    }
    hush(false);
    Err(Box::new(Failure { script: script.to_vec(), first, small, last }))
}

pub(crate) struct Failure {
    script: Vec<Op>,
    first: Box<Difference>,
    pub(crate) small: Vec<Op>,
    last: Option<Box<Difference>>,
}

impl Failure {
    /// All that is needed to find the cause, or to play it again.
    pub(crate) fn report(&self, seed: u64) -> String {
        let mut text = String::new();
        let ops = self.script.len();
        let at = self.first.at;
        let mut line = |text_of: String| writeln!(text, "{text_of}").unwrap();
        line(format!("Redis and streamlog differ at operation {at}, seed {seed}"));
        line(format!("  again: STREAMLOG_PARITY_SEED={seed} STREAMLOG_PARITY_OPS={ops}"));
        line(self.first.text());
        line(format!("the last operations, up to {SHOWN}:"));
        let from = (at + 1).saturating_sub(SHOWN);
        for (n, op) in self.script[from..=at].iter().enumerate() {
            line(format!("  {:>6}  {op}", from + n));
        }
        if let Some(last) = &self.last {
            line(format!(
                "the same, or another difference, after {} operations:",
                self.small.len()
            ));
            for op in &self.small {
                line(format!("  {op}"));
            }
            line(last.text());
        }
        text
    }
}

impl Difference {
    fn text(&self) -> String {
        let Difference { op, redis, ours, .. } = self;
        format!("  asked: {op}\n  redis: {redis:?}\n  ours:  {ours:?}\n  ({op:?})")
    }
}

impl std::fmt::Display for Coverage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (kind, (played, fruitful)) in &self.kinds {
            writeln!(f, "{kind:<24}{played:>8}{fruitful:>8}")?;
        }
        writeln!(f, "{:?}", self.errors)
    }
}
