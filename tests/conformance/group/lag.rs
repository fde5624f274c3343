//! How much a group has read and how far it is behind, through deletes and trims.

use crate::client::{Client, Outcome};
use crate::env::Env;
use crate::registry::Numbered;

pub(super) const TESTS: &[Numbered] = &[
    Numbered::new("g77", "Consumer group read counter and lag in empty streams", g77),
    Numbered::new("g78", "Consumer group read counter and lag sanity", g78),
    Numbered::new("g79", "Consumer group lag with XDELs", g79),
    Numbered::new("g80", "Consumer Group Lag with XDELs and tombstone after the last_id", g80)
        .since(8, 0),
    Numbered::new("g81", "Consumer group lag with XTRIM", g81).since(8, 0),
    Numbered::new("g180", "XSETID ENTRIESADDED clamps group entries_read", g180).since(8, 10),
    Numbered::new("g181", "XSETID raising entries_added leaves entries_read untouched", g181)
        .since(8, 10),
];

/// The group reads its next entry, which is this one.
fn next(c: &mut Client, group: &str, id: u64) -> Outcome {
    let read = format!("XREADGROUP GROUP {group} c COUNT 1 STREAMS s >");
    c.is(read, format!("[[s [[{id}-0 [f {id}]]]]]"))
}

fn g77(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.ok("XGROUP CREATE s g 0 MKSTREAM")?;
    c.fields(
        "XINFO STREAM s FULL",
        &[
            ("max-deleted-entry-id", "0-0"),
            ("entries-added", ":0"),
            ("groups.0.entries-read", "nil"),
            ("groups.0.lag", ":0"),
        ],
    )?;
    c.entries("s", 1..=1)?;
    c.counts("s", "g", "nil", ":1")?;
    c.is("XDEL s 1-0", ":1")?;
    c.fields(
        "XINFO STREAM s FULL",
        &[
            ("max-deleted-entry-id", "1-0"),
            ("entries-added", ":1"),
            ("groups.0.entries-read", "nil"),
            ("groups.0.lag", ":0"),
        ],
    )
}

fn g78(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.entries("s", 1..=5)?;
    c.ok("XGROUP CREATE s g 0")?;
    c.counts("s", "g", "nil", ":5")?;
    next(c, "g", 1)?;
    c.counts("s", "g", ":1", ":4")?;
    c.at("XREADGROUP GROUP g c COUNT 10 STREAMS s >", "0.1.3.0", "5-0")?;
    c.counts("s", "g", ":5", ":0")?;
    c.entries("s", 6..=6)?;
    c.counts("s", "g", ":5", ":1")?;
    c.fields(
        "XINFO STREAM s FULL",
        &[("groups.0.entries-read", ":5"), ("groups.0.lag", ":1"), ("entries-added", ":6")],
    )
}

fn g79(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.entries("s", 1..=5)?;
    c.is("XDEL s 3-0", ":1")?;
    for group in ["g1", "g2"] {
        c.ok(format!("XGROUP CREATE s {group} 0"))?;
        c.counts("s", group, "nil", "nil")?;
    }
    // As long as the hole is before the group nobody knows how many there are.
    for id in [1, 2, 4] {
        next(c, "g1", id)?;
        c.counts("s", "g1", "nil", "nil")?;
    }
    next(c, "g1", 5)?;
    c.counts("s", "g1", ":5", ":0")?;
    c.entries("s", 6..=6)?;
    c.counts("s", "g1", ":5", ":1")?;
    c.counts("s", "g2", "nil", "nil")?;
    // With the head trimmed beyond the hole everybody knows again.
    c.is("XTRIM s MINID = 3-0", ":2")?;
    c.counts("s", "g1", ":5", ":1")?;
    c.counts("s", "g2", "nil", ":3")?;
    c.is("XTRIM s MINID = 5-0", ":1")?;
    c.counts("s", "g1", ":5", ":1")?;
    c.counts("s", "g2", "nil", ":2")
}

fn g80(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.ok("XGROUP CREATE s g $ MKSTREAM")?;
    c.entries("s", 1..=1)?;
    next(c, "g", 1)?;
    c.counts("s", "g", ":1", ":0")?;
    c.entries("s", 2..=3)?;
    c.counts("s", "g", ":1", ":2")?;
    c.is("XDEL s 2-0", ":1")?;
    c.at("XINFO STREAM s", "max-deleted-entry-id", "2-0")?;
    c.counts("s", "g", ":1", "nil")?;
    // Now the first entry is behind the hole, and the group before both.
    c.is("XDEL s 1-0", ":1")?;
    c.counts("s", "g", ":1", ":1")?;
    next(c, "g", 3)?;
    c.counts("s", "g", ":3", ":0")
}

fn g81(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.ok("XGROUP CREATE s g $ MKSTREAM")?;
    c.entries("s", 1..=5)?;
    next(c, "g", 1)?;
    c.counts("s", "g", ":1", ":4")?;
    c.is("XTRIM s MAXLEN 1", ":4")?;
    // Trimming is no deleting: it leaves no tombstone.
    c.at("XINFO STREAM s", "max-deleted-entry-id", "0-0")?;
    c.counts("s", "g", ":1", ":1")?;
    next(c, "g", 5)?;
    c.counts("s", "g", ":5", ":0")?;
    c.entries("s", 6..=6)?;
    c.counts("s", "g", ":5", ":1")?;
    c.is("XTRIM s MAXLEN 0", ":2")?;
    c.counts("s", "g", ":5", ":0")
}

fn g180(env: &mut Env<'_>) -> Outcome {
    env.c.entries("s", 1..=10)?;
    for (group, read) in [("all", 10), ("one", 1), ("none", 0)] {
        env.c.ok(format!("XGROUP CREATE s {group} 0"))?;
        for id in 1..=read {
            next(&mut env.c, group, id)?;
        }
    }
    env.c.is("XTRIM s MAXLEN 2", ":8")?;
    let less = "ERR The entries_added specified in XSETID is smaller than the target stream length";
    env.c.err("XSETID s 10-0 ENTRIESADDED 1", less)?;
    env.c.counts("s", "all", ":10", ":0")?;
    env.c.ok("XSETID s 10-0 ENTRIESADDED 2")?;
    for _ in 0..2 {
        env.c.at("XINFO STREAM s", "entries-added", ":2")?;
        env.c.counts("s", "all", ":2", ":0")?;
        env.c.counts("s", "one", ":1", ":2")?;
        env.c.counts("s", "none", "nil", ":2")?;
        env.c.is("XRANGE s - +", "[[9-0 [f 9]] [10-0 [f 10]]]")?;
        env.reload()?;
    }
    env.c.entries("s", 11..=11)?;
    next(&mut env.c, "all", 11)?;
    env.c.counts("s", "all", ":3", ":0")
}

fn g181(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.entries("s", 1..=5)?;
    c.ok("XGROUP CREATE s g 0")?;
    for id in 1..=3 {
        next(c, "g", id)?;
    }
    c.counts("s", "g", ":3", ":2")?;
    c.ok("XSETID s 5-0 ENTRIESADDED 100")?;
    c.at("XINFO STREAM s", "entries-added", ":100")?;
    c.counts("s", "g", ":3", ":97")?;
    next(c, "g", 4)?;
    c.counts("s", "g", ":4", ":96")?;
    // Without the option nothing of it changes.
    c.ok("XSETID s 7-0")?;
    c.counts("s", "g", ":4", ":96")
}
