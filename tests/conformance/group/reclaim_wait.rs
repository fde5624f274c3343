//! `XREADGROUP` with `CLAIM` and `BLOCK`: whoever waits is woken by data, by a record that grows
//! old enough, and by its own deadline.

use super::reclaim::{age, read};
use crate::client::{Outcome, ensure};
use crate::env::Env;
use crate::registry::Numbered;
use std::time::{Duration, Instant};

pub(super) const TESTS: &[Numbered] = &[
    Numbered::new("g125", "XREADGROUP CLAIM with BLOCK zero", g125).since(8, 4),
    Numbered::new("g126", "XREADGROUP CLAIM with two blocked clients", g126).since(8, 4),
    Numbered::new("g127", "XREADGROUP CLAIM messages become claimable during block", g127)
        .since(8, 4),
    Numbered::new("g128", "XREADGROUP CLAIM block times out with no claimable messages", g128)
        .since(8, 4),
    Numbered::new("g129", "XREADGROUP CLAIM block with multiple streams, mixed claimable", g129)
        .since(8, 4),
    Numbered::new("g130", "XREADGROUP CLAIM claims all pending immediately", g130).since(8, 4),
    Numbered::new("g131", "XREADGROUP CLAIM with BLOCK and NOACK", g131).since(8, 4),
    Numbered::new("g132", "XREADGROUP CLAIM BLOCK wakes on new message", g132).since(8, 4),
];

/// The time since `began` is within these bounds of milliseconds.
fn took(began: Instant, from: u64, to: u64) -> Outcome {
    let took = began.elapsed();
    let bounds = Duration::from_millis(from)..Duration::from_millis(to);
    ensure(bounds.contains(&took), format!("it took {took:?}, and not {from} to {to} ms"))
}

const ALL: &str = "[[s [[1-0 [f 1] * :1] [2-0 [f 2] * :1] [3-0 [f 3] * :1]]]]";

fn g125(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 3, false)?;
    // None is old enough within the time.
    let began = Instant::now();
    c.is("XREADGROUP GROUP g c2 BLOCK 100 CLAIM 60000 STREAMS s >", "nil*")?;
    took(began, 100, 5000)?;
    // All are old enough at once, so nobody waits, not even for ever.
    age(c, "c1", "1-0 2-0 3-0", 1000)?;
    let began = Instant::now();
    c.is("XREADGROUP GROUP g c2 BLOCK 0 CLAIM 500 STREAMS s >", ALL)?;
    took(began, 0, 5000)?;
    c.is("XACK s g 1-0 2-0", ":2")?;
    // For ever is until the one that is left is old enough.
    let began = Instant::now();
    c.is(
        "XREADGROUP GROUP g c3 BLOCK 0 CLAIM 400 STREAMS s >",
        "[[s [[3-0 [f 3] :400..60000 :2]]]]",
    )?;
    took(began, 100, 8000)?;
    env.wait_blocked(0)
}

fn g126(env: &mut Env<'_>) -> Outcome {
    env.c.ok("XGROUP CREATE s g 0 MKSTREAM")?;
    let mut first = env.blocked("XREADGROUP GROUP g c1 BLOCK 0 CLAIM 150 STREAMS s >", 1)?;
    let mut second = env.blocked("XREADGROUP GROUP g c2 BLOCK 0 CLAIM 150 STREAMS s >", 2)?;
    let began = Instant::now();
    env.c.entries("s", 1..=1)?;
    first.reads("[[s [[1-0 [f 1] :0 :0]]]]")?;
    // The second waits for the age of what the first has.
    second.reads("[[s [[1-0 [f 1] :150..60000 :1]]]]")?;
    took(began, 150, 8000)?;
    env.wait_blocked(0)?;
    env.c.is("XPENDING s g - + 10", "[[1-0 c2 :0..60000 :2]]")
}

fn g127(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 2, false)?;
    age(c, "c1", "1-0", 300)?;
    let began = Instant::now();
    let mut waiter = env.blocked("XREADGROUP GROUP g c2 BLOCK 9000 CLAIM 800 STREAMS s >", 1)?;
    // The older one in about half a second; the younger one is not old enough then.
    waiter.reads("[[s [[1-0 [f 1] :800..60000 :1]]]]")?;
    took(began, 300, 8000)?;
    env.wait_blocked(0)?;
    env.c.is("XPENDING s g", "[:2 1-0 2-0 [[c1 1] [c2 1]]]")
}

fn g128(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 1, false)?;
    let began = Instant::now();
    let mut waiter = env.blocked("XREADGROUP GROUP g c2 BLOCK 200 CLAIM 30000 STREAMS s >", 1)?;
    waiter.reads("nil*")?;
    took(began, 200, 5000)?;
    env.wait_blocked(0)?;
    env.c.is("XPENDING s g - + 10", "[[1-0 c1 :200..60000 :1]]")?;
    // Nor is anything claimed by somebody whose time is over.
    env.c.is("XREADGROUP GROUP g c3 BLOCK 10 CLAIM 30000 STREAMS s >", "nil*")?;
    env.c.each("XINFO CONSUMERS s g", "name", "[c1 c2 c3]")
}

fn g129(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    for key in ["a", "s"] {
        c.entries(key, 1..=1)?;
        c.ok(format!("XGROUP CREATE {key} g 0"))?;
    }
    c.is("XREADGROUP GROUP g c1 STREAMS a s > >", "[[a [[1-0 [f 1]]]] [s [[1-0 [f 1]]]]]")?;
    age(c, "c1", "1-0", 70_000)?;
    // One stream has something old enough: it alone is in the answer, and at once.
    c.is(
        "XREADGROUP GROUP g c2 BLOCK 0 CLAIM 60000 STREAMS a s > >",
        "[[s [[1-0 [f 1] :70000..140000 :1]]]]",
    )?;
    // Now neither has, and the first that grows old enough ends the waiting.
    age(c, "c2", "1-0", 59_500)?;
    let began = Instant::now();
    let read = "XREADGROUP GROUP g c3 BLOCK 9000 CLAIM 60000 STREAMS a s > >";
    let mut waiter = env.blocked(read, 1)?;
    waiter.reads("[[s [[1-0 [f 1] :60000..69000 :2]]]]")?;
    took(began, 200, 8500)?;
    env.c.is("XPENDING a g", "[:1 1-0 1-0 [[c1 1]]]")?;
    env.c.is("XPENDING s g", "[:1 1-0 1-0 [[c3 1]]]")
}

fn g130(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 3, false)?;
    let began = Instant::now();
    c.is("XREADGROUP GROUP g c2 BLOCK 9000 CLAIM 0 STREAMS s >", ALL)?;
    took(began, 0, 5000)?;
    c.is("XPENDING s g", "[:3 1-0 3-0 [[c2 3]]]")?;
    c.is("XACK s g 1-0 2-0 3-0", ":3")?;
    // With no record at all one may wait for it, too.
    c.is("XREADGROUP GROUP g c2 BLOCK 30 CLAIM 0 STREAMS s >", "nil*")
}

fn g131(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 1, false)?;
    let mut waiter =
        env.blocked("XREADGROUP GROUP g c2 BLOCK 20000 CLAIM 60000 NOACK STREAMS s >", 1)?;
    env.c.entries("s", 2..=2)?;
    // What is new leaves no record.
    waiter.reads("[[s [[2-0 [f 2] :0 :0]]]]")?;
    env.c.is("XPENDING s g", "[:1 1-0 1-0 [[c1 1]]]")?;
    // What is claimed keeps its own.
    waiter.send("XREADGROUP GROUP g c2 BLOCK 20000 CLAIM 300 NOACK STREAMS s >")?;
    waiter.reads("[[s [[1-0 [f 1] :300..60000 :1]]]]")?;
    env.c.is("XPENDING s g - + 10", "[[1-0 c2 :0..60000 :2]]")
}

fn g132(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 1, false)?;
    let began = Instant::now();
    let mut waiter = env.blocked("XREADGROUP GROUP g c2 BLOCK 30000 CLAIM 20000 STREAMS s >", 1)?;
    env.c.entries("s", 2..=2)?;
    // Only what is new, long before the other one is old enough.
    waiter.reads("[[s [[2-0 [f 2] :0 :0]]]]")?;
    took(began, 0, 9000)?;
    env.wait_blocked(0)?;
    env.c.is("XPENDING s g - + 10", "[[1-0 c1 :0..60000 :1] [2-0 c2 :0..60000 :1]]")
}
