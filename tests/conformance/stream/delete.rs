//! XDEL and XDELEX.

use super::{Rng, add_numbered, holds};
use crate::client::{Client, Outcome, ensure};
use crate::env::Env;
use crate::registry::Numbered;
use std::collections::BTreeSet;

pub(crate) const TESTS: &[Numbered] = &[
    Numbered::new("s167", "XDEL takes one out of the middle", s167),
    Numbered::new("s168", "XDEL of several IDs, one unknown", s168),
    Numbered::new("s169", "XDEL in random order, over many nodes", s169),
    Numbered::new("s201", "deleting and trimming move the recorded first ID", s201),
    Numbered::new("s202", "the largest deleted ID does not go back", s202),
    Numbered::new("s206", "XDELEX DELREF is logged though only pending lists change", s206)
        .since(8, 10),
    Numbered::new("s209", "XDELEX with too few words", s209).since(8, 2),
    Numbered::new("s210", "XDELEX on a missing key", s210).since(8, 2),
    Numbered::new("s211", "XDELEX checks IDS and its number", s211).since(8, 2),
    Numbered::new("s212", "XDELEX takes one strategy", s212).since(8, 2),
    Numbered::new("s213", "XDELEX DELREF takes the ID off every group", s213).since(8, 10),
    Numbered::new("s215", "XDELEX ACKED waits for all groups", s215).since(8, 2),
    Numbered::new("s216", "XDELEX ACKED waits for a group that came later", s216).since(8, 2),
    Numbered::new("s217", "XDELEX KEEPREF leaves the pending lists", s217).since(8, 2),
];

const NO_PENDING: &str = "[:0 nil nil nil*]";

fn s167(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    add_numbered(c, "k", 3)?;
    c.is("XDEL k 2-0", ":1")?;
    c.is("XRANGE k - +", "[[1-0 [f 1]] [3-0 [f 3]]]")?;
    c.is("XDEL k 2-0", ":0")?;
    c.is("XDEL absent 2-0 not-an-id", ":0")?;
    c.err("XDEL k 1-0 x", "ERR Invalid stream ID specified as stream command argument")?;
    c.is("XDEL k 1 3", ":2")?;
    c.is("EXISTS k", ":1")?;
    c.is("XLEN k", ":0")
}

fn s168(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    for seq in 1..=5 {
        c.is(format!("XADD k 1-{seq} a {seq}"), format!("1-{seq}"))?;
    }
    c.is("XDEL k 1-1 1-4 1-5 2-1", ":3")?;
    c.is("XRANGE k - +", "[[1-2 [a 2]] [1-3 [a 3]]]")?;
    c.is("XDEL k 1-2 1-2", ":1")
}

fn s169(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let (mut live, mut n) = (BTreeSet::new(), 0u64);
    while c.ask("XINFO STREAM k")?.get("radix-tree-keys").and_then(|r| r.int()).unwrap_or(0) <= 20 {
        ensure(n < 100_000, "radix-tree-keys does not grow")?;
        let commands: Vec<String> =
            (n + 1..=n + 200).map(|i| format!("XADD k {i}-0 f {i}")).collect();
        c.many(&commands)?;
        live.extend(n + 1..=n + 200);
        n += 200;
    }
    let mut rng = Rng(42);
    let mut order: Vec<u64> = live.iter().copied().collect();
    for i in (1..order.len()).rev() {
        order.swap(i, rng.below(i as u64 + 1) as usize);
    }
    for (step, some) in order.chunks(40).enumerate() {
        for id in some {
            c.is(format!("XDEL k {id}-0"), ":1")?;
            live.remove(id);
        }
        if step % 8 == 0 || live.len() < 100 {
            holds(c, "k", live.iter().copied())?;
        }
        c.is("XLEN k", format!(":{}", live.len()))?;
    }
    c.fields("XINFO STREAM k", &[("radix-tree-keys", ":0"), ("length", ":0")])
}

fn first_is(c: &mut Client, id: &str) -> Outcome {
    c.at("XINFO STREAM k", "recorded-first-entry-id", id)
}

fn s201(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    add_numbered(c, "k", 5)?;
    first_is(c, "1-0")?;
    c.is("XDEL k 2-0", ":1")?;
    first_is(c, "1-0")?;
    c.is("XDEL k 1-0", ":1")?;
    first_is(c, "3-0")?;
    c.is("XTRIM k MAXLEN = 2", ":1")?;
    first_is(c, "4-0")?;
    c.is("XTRIM k MINID = 5-0", ":1")?;
    first_is(c, "5-0")?;
    c.is("XADD k MAXLEN = 1 6-0 f 6", "6-0")?;
    first_is(c, "6-0")?;
    c.is("XDEL k 6-0", ":1")?;
    first_is(c, "0-0")?;
    c.is("XADD k 7-0 f 7", "7-0")?;
    c.fields("XINFO STREAM k", &[("recorded-first-entry-id", "7-0"), ("entries-added", ":7")])
}

fn s202(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    add_numbered(c, "k", 3)?;
    c.at("XINFO STREAM k", "max-deleted-entry-id", "0-0")?;
    c.is("XDEL k 2-0", ":1")?;
    c.at("XINFO STREAM k", "max-deleted-entry-id", "2-0")?;
    c.is("XDEL k 1-0", ":1")?;
    c.at("XINFO STREAM k", "max-deleted-entry-id", "2-0")?;
    c.is("XDEL k 9-0", ":0")?;
    c.at("XINFO STREAM k", "max-deleted-entry-id", "2-0")?;
    c.is("XTRIM k MAXLEN 0", ":1")?;
    c.at("XINFO STREAM k", "max-deleted-entry-id", "2-0")
}

/// 1-0 to n-0, read by a consumer of each group.
fn delivered(c: &mut Client, n: u64, groups: &[&str]) -> Outcome {
    add_numbered(c, "k", n)?;
    for group in groups {
        c.ok(format!("XGROUP CREATE k {group} 0"))?;
        c.is(format!("XREADGROUP GROUP {group} a STREAMS k >"), "[[k [* ...]]]")?;
    }
    Ok(())
}

fn s206(env: &mut Env<'_>) -> Outcome {
    delivered(&mut env.c, 2, &["g"])?;
    env.c.is("XDEL k 1-0", ":1")?;
    env.c.is("XPENDING k g", "[:2 1-0 2-0 [[a 2]]]")?;
    let dirty = env.dirty(|env| env.c.is("XDELEX k DELREF IDS 1 1-0", "[:-1]"))?;
    ensure(dirty == 1, format!("{dirty} changes"))?;
    env.c.is("XPENDING k g", "[:1 2-0 2-0 [[a 1]]]")?;
    env.load_log()?;
    env.c.is("XPENDING k g", "[:1 2-0 2-0 [[a 1]]]")?;
    env.c.is("XRANGE k - +", "[[2-0 [f 2]]]")
}

fn s209(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let arity = "ERR wrong number of arguments for 'xdelex' command";
    for command in ["XDELEX", "XDELEX k", "XDELEX k IDS", "XDELEX k IDS 1"] {
        c.err(command, arity)?;
    }
    c.is("XDELEX k IDS 1 1-1", "[:-1]")
}

fn s210(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XDELEX k IDS 2 1-1 2-1", "[:-1 :-1]")?;
    c.is("XDELEX k ACKED IDS 1 no-id", "[:-1]")?;
    c.is("EXISTS k", ":0")
}

fn s211(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    add_numbered(c, "k", 2)?;
    let positive = "ERR Number of IDs must be a positive integer";
    for n in ["0", "-1", "abc", "9223372036854775808", "1.5"] {
        c.err(format!("XDELEX k IDS {n} 1-0"), positive)?;
    }
    let fewer = "ERR The `numids` parameter must match the number of arguments";
    c.err("XDELEX k IDS 3 1-0 2-0", fewer)?;
    c.err("XDELEX k KEEPREF IDS 2 1-0", fewer)?;
    for command in ["XDELEX k IDS 1 1-0 2-0", "XDELEX k IDX 1 1-0", "XDELEX k 1-0 DELREF IDS"] {
        c.err(command, "ERR syntax error")?;
    }
    let invalid = "ERR Invalid stream ID specified as stream command argument";
    c.err("XDELEX k IDS 2 1-0 x", invalid)?;
    holds(c, "k", 1..=2)
}

fn s212(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    add_numbered(c, "k", 4)?;
    for words in ["KEEPREF DELREF", "DELREF ACKED", "ACKED KEEPREF", "KEEPREF KEEPREF"] {
        c.err(format!("XDELEX k {words} IDS 1 1-0"), "ERR syntax error")?;
        let (first, second) = words.split_once(' ').unwrap_or_default();
        c.err(format!("XDELEX k {first} IDS 1 1-0 {second}"), "ERR syntax error")?;
    }
    c.err("XDELEX k KEEPREF ACKED x", "ERR syntax error")?;
    holds(c, "k", 1..=4)?;
    c.is("XDELEX k KEEPREF IDS 1 1-0", "[:1]")?;
    c.is("XDELEX k IDS 1 2-0 delref", "[:1]")?;
    c.is("XDELEX k acked ids 1 3-0", "[:1]")?;
    c.is("XDELEX k IDS 1 4-0", "[:1]")
}

fn s213(env: &mut Env<'_>) -> Outcome {
    delivered(&mut env.c, 3, &["g", "h"])?;
    // One change for each ID that did something, also where only pending lists had it.
    let dirty = env.dirty(|env| env.c.is("XDELEX k DELREF IDS 2 1-0 2-0", "[:1 :1]"))?;
    ensure(dirty == 2, format!("{dirty} changes"))?;
    for group in ["g", "h"] {
        env.c.is(format!("XPENDING k {group}"), "[:1 3-0 3-0 [[a 1]]]")?;
    }
    holds(&mut env.c, "k", [3])?;
    env.c.is("XDEL k 3-0", ":1")?;
    let dirty = env.dirty(|env| env.c.is("XDELEX k DELREF IDS 2 3-0 9-0", "[:-1 :-1]"))?;
    ensure(dirty == 1, format!("{dirty} changes"))?;
    for group in ["g", "h"] {
        env.c.is(format!("XPENDING k {group}"), NO_PENDING)?;
    }
    env.c.at("XINFO STREAM k", "max-deleted-entry-id", "3-0")
}

fn s215(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    delivered(c, 3, &["g", "h"])?;
    c.is("XADD k 4-0 f 4", "4-0")?;
    c.is("XDELEX k ACKED IDS 2 1-0 2-0", "[:2 :2]")?;
    c.is("XACK k g 1-0 2-0", ":2")?;
    c.is("XDELEX k ACKED IDS 2 1-0 2-0", "[:2 :2]")?;
    c.is("XACK k h 1-0", ":1")?;
    c.is("XDELEX k ACKED IDS 3 1-0 2-0 4-0", "[:1 :2 :2]")?;
    holds(c, "k", 2..=4)?;
    c.is("XACK k h 2-0", ":1")?;
    c.is("XDELEX k ACKED IDS 3 2-0 1-0 99-0", "[:1 :-1 :2]")?;
    holds(c, "k", 3..=4)?;
    c.is("XPENDING k g", "[:1 3-0 3-0 [[a 1]]]")
}

fn s216(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    delivered(c, 3, &["g"])?;
    c.is("XACK k g 1-0 2-0 3-0", ":3")?;
    c.is("XDELEX k ACKED IDS 1 1-0", "[:1]")?;
    c.ok("XGROUP CREATE k late 0")?;
    c.is("XDELEX k ACKED IDS 2 2-0 3-0", "[:2 :2]")?;
    holds(c, "k", 2..=3)?;
    c.ok("XGROUP SETID k late 2-0")?;
    c.is("XDELEX k ACKED IDS 2 2-0 3-0", "[:1 :2]")?;
    c.is("XGROUP DESTROY k late", ":1")?;
    c.is("XDELEX k ACKED IDS 1 3-0", "[:1]")?;
    c.is("XLEN k", ":0")
}

fn s217(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    delivered(c, 3, &["g", "h"])?;
    c.is("XDELEX k KEEPREF IDS 2 1-0 2-0", "[:1 :1]")?;
    holds(c, "k", [3])?;
    for group in ["g", "h"] {
        c.is(format!("XPENDING k {group}"), "[:3 1-0 3-0 [[a 3]]]")?;
        let history = "[[k [[1-0 nil*] [2-0 nil*] [3-0 [f 3]]]]]";
        c.is(format!("XREADGROUP GROUP {group} a STREAMS k 0"), history)?;
    }
    c.is("XACK k g 1-0 2-0 3-0", ":3")
}
