//! What becomes of a group's readers and records when the group goes, and when a stream takes a
//! name over.

use super::is_young;
use crate::client::{Outcome, ensure};
use crate::env::Env;
use crate::registry::Numbered;
use std::time::Duration;

pub(super) const TESTS: &[Numbered] = &[
    Numbered::new("g52", "XGROUP DESTROY should unblock XREADGROUP with -NOGROUP", g52)
        .own_server(),
    Numbered::new("g53", "XGROUP DESTROY removes all consumer group references", g53).since(8, 2),
    Numbered::new("g54", "XGROUP DESTROY and the smallest cursor of the groups", g54).since(8, 2),
    Numbered::new("g55", "RENAME can unblock XREADGROUP with data", g55),
    Numbered::new("g56", "RENAME can unblock XREADGROUP with -NOGROUP", g56),
];

const NO_GROUP: &str =
    "-NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option";
const WAITED_FOR: &str = "-NOGROUP the consumer group this client was blocked on no longer exists";

fn g52(env: &mut Env<'_>) -> Outcome {
    let young = is_young(env);
    env.c.ok("CONFIG RESETSTAT")?;
    env.c.ok("XGROUP CREATE s g $ MKSTREAM")?;
    env.c.ok("XGROUP CREATE s other $")?;
    let mut waiter = env.blocked("XREADGROUP GROUP g Alice BLOCK 20000 STREAMS s >", 1)?;
    env.c.is("XGROUP DESTROY s g", ":1")?;
    waiter.reads(if young { NO_GROUP } else { WAITED_FOR })?;
    env.wait_blocked(0)?;
    let calls = env.info_text("commandstats", "cmdstat_xreadgroup")?;
    ensure(calls.starts_with("calls=1,"), &calls)?;
    ensure(calls.ends_with("rejected_calls=0,failed_calls=1"), &calls)?;
    let errors = env.info_text("errorstats", "errorstat_NOGROUP")?;
    ensure(errors == "count=1", &errors)?;
    let all = env.info_text("stats", "total_error_replies")?;
    ensure(all == "1", &all)?;
    // Whoever waits in another group goes on.
    let mut other = env.blocked("XREADGROUP GROUP other Bob BLOCK 20000 STREAMS s >", 1)?;
    env.c.ok("XGROUP CREATE s g $")?;
    env.c.is("XGROUP DESTROY s g", ":1")?;
    env.c.is("XGROUP DESTROY s g", ":0")?;
    other.stays_silent(Duration::from_millis(60))?;
    env.c.is("XADD s 1-0 f v", "1-0")?;
    other.reads("[[s [[1-0 [f v]]]]]")
}

fn g53(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.entries("s", 1..=5)?;
    for group in ["g1", "g2"] {
        c.ok(format!("XGROUP CREATE s {group} 0"))?;
        c.at(format!("XREADGROUP GROUP {group} c STREAMS s >"), "0.1.4.0", "5-0")?;
    }
    // Pending in both, in one, in none: only the last may go.
    c.is("XDELEX s ACKED IDS 2 1-0 2-0", "[:2 :2]")?;
    c.is("XACK s g1 1-0 2-0", ":2")?;
    c.is("XDELEX s ACKED IDS 2 1-0 2-0", "[:2 :2]")?;
    c.is("XACK s g2 1-0", ":1")?;
    c.is("XDELEX s ACKED IDS 2 1-0 2-0", "[:1 :2]")?;
    // With the group all it held goes, with all groups everything.
    c.is("XGROUP DESTROY s g2", ":1")?;
    c.is("XDELEX s ACKED IDS 3 2-0 3-0 4-0", "[:1 :2 :2]")?;
    c.is("XGROUP DESTROY s g1", ":1")?;
    c.is("XDELEX s ACKED IDS 3 3-0 4-0 5-0", "[:1 :1 :1]")?;
    c.is("XLEN s", ":0")?;
    // A group of the same name begins with nothing.
    c.ok("XGROUP CREATE s g1 0")?;
    c.is("XPENDING s g1", "[:0 nil nil nil*]")?;
    c.is("XINFO CONSUMERS s g1", "[]")
}

fn g54(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.entries("s", 1..=6)?;
    for (group, n) in [("g1", 1), ("g2", 3), ("g3", 6)] {
        c.ok(format!("XGROUP CREATE s {group} 0"))?;
        let read = format!("XREADGROUP GROUP {group} c COUNT {n} NOACK STREAMS s >");
        c.at(read, "0.0", "s")?;
    }
    // The slowest has read one.
    c.is("XDELEX s ACKED IDS 3 1-0 2-0 3-0", "[:1 :2 :2]")?;
    c.is("XGROUP DESTROY s g1", ":1")?;
    c.is("XDELEX s ACKED IDS 3 2-0 3-0 4-0", "[:1 :1 :2]")?;
    // Moved back or newly made, a cursor counts at once.
    c.ok("XGROUP CREATE s late 4-0")?;
    c.ok("XGROUP SETID s g2 5-0")?;
    c.is("XDELEX s ACKED IDS 2 4-0 5-0", "[:1 :2]")?;
    c.ok("XGROUP SETID s late 6-0")?;
    c.is("XDELEX s ACKED IDS 2 5-0 6-0", "[:1 :2]")?;
    c.is("XGROUP DESTROY s g2", ":1")?;
    c.is("XGROUP DESTROY s late", ":1")?;
    c.is("XDELEX s ACKED IDS 1 6-0", "[:1]")?;
    // An ID above the smallest cursor counts as needed, even if nothing has it.
    c.is("XDELEX s ACKED IDS 2 5-0 9-0", "[:-1 :2]")
}

fn g55(env: &mut Env<'_>) -> Outcome {
    env.c.ok("XGROUP CREATE s g $ MKSTREAM")?;
    let mut waiter = env.blocked("XREADGROUP GROUP g Alice BLOCK 20000 STREAMS s >", 1)?;
    env.c.ok("XGROUP CREATE s2 g $ MKSTREAM")?;
    env.c.is("XADD s2 100 f1 v1", "100-0")?;
    env.c.ok("RENAME s2 s")?;
    waiter.reads("[[s [[100-0 [f1 v1]]]]]")?;
    env.wait_blocked(0)?;
    env.c.is("EXISTS s2", ":0")?;
    env.c.is("XPENDING s g", "[:1 100-0 100-0 [[Alice 1]]]")
}

fn g56(env: &mut Env<'_>) -> Outcome {
    let young = is_young(env);
    env.c.ok("XGROUP CREATE s g $ MKSTREAM")?;
    let mut waiter = env.blocked("XREADGROUP GROUP g Alice BLOCK 20000 STREAMS s >", 1)?;
    env.c.is("XADD s2 100 f1 v1", "100-0")?;
    env.c.ok("XGROUP CREATE s2 another 0")?;
    env.c.ok("RENAME s2 s")?;
    waiter.reads(if young { NO_GROUP } else { WAITED_FOR })?;
    env.wait_blocked(0)?;
    env.c.is("XLEN s", ":1")?;
    env.c.each("XINFO GROUPS s", "name", "[another]")
}
