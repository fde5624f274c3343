//! `XINFO`, the times of consumers, and what counts as a change to be saved.

use super::is_young;
use crate::client::{Outcome, ensure};
use crate::env::{Env, sleep_ms};
use crate::registry::Numbered;
use crate::reply::Reply;
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) const TESTS: &[Numbered] = &[
    Numbered::new("g69", "XINFO FULL output", g69),
    // The original ends with DUMP and RESTORE; here the stream is saved and loaded.
    Numbered::new("g70", "Consumer seen-time and active-time", g70).since(7, 2),
    Numbered::new("g73", "XREADGROUP of multiple entries changes dirty by one", g73),
    Numbered::new("g74", "XREADGROUP from PEL does not change dirty", g74).since(7, 2),
    Numbered::new("g75", "XREADGROUP with NOACK creates consumer", g75),
    Numbered::new("g76", "Consumer without PEL is present in AOF after AOFRW", g76),
    Numbered::new("g88", "Empty stream with no lastid can be rewrite into AOF correctly", g88),
];

fn unix_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// A time of the last minute, in milliseconds since 1970.
fn is_recent(reply: &Reply) -> Outcome {
    let (at, now) = (reply.int()?, unix_ms());
    ensure((now - 60_000..=now + 1000).contains(&at), format!("{at} is no time of now, {now}"))
}

fn g69(env: &mut Env<'_>) -> Outcome {
    let young = is_young(env);
    let c = &mut env.c;
    c.entries("s", 100..=104)?;
    c.ok("XGROUP CREATE s g1 0")?;
    c.ok("XGROUP CREATE s g2 0")?;
    c.at("XREADGROUP GROUP g1 Alice COUNT 1 STREAMS s >", "0.1.0.0", "100-0")?;
    c.at("XREADGROUP GROUP g1 Bob COUNT 1 STREAMS s >", "0.1.0.0", "101-0")?;
    c.at("XREADGROUP GROUP g1 Bob NOACK COUNT 1 STREAMS s >", "0.1.0.0", "102-0")?;
    c.at("XREADGROUP GROUP g2 Charlie COUNT 4 STREAMS s >", "0.1.3.0", "103-0")?;
    c.is("XDEL s 103", ":1")?;
    let full = c.ask("XINFO STREAM s FULL")?;
    ensure(full.items()?.len() == if young { 30 } else { 18 }, format!("{full}"))?;
    let has = |path: &str, expected: &str| {
        let found = full.deep(path).and_then(|at| crate::pattern::expect(at, expected));
        found.map_err(|error| format!("XINFO STREAM s FULL: {path}: {error}"))
    };
    has("length", ":4")?;
    has("radix-tree-keys", ":1")?;
    has("last-generated-id", "104-0")?;
    has("max-deleted-entry-id", "103-0")?;
    has("entries-added", ":5")?;
    has("recorded-first-entry-id", "100-0")?;
    has("entries", "[[100-0 [f 100]] [101-0 [f 101]] [102-0 [f 102]] [104-0 [f 104]]]")?;
    for (path, expected) in [
        ("groups.0.name", "g1"),
        ("groups.0.last-delivered-id", "102-0"),
        ("groups.0.entries-read", ":3"),
        ("groups.0.pel-count", ":2"),
        ("groups.0.pending", "[[100-0 Alice * :1] [101-0 Bob * :1]]"),
        ("groups.0.consumers.0.name", "Alice"),
        ("groups.0.consumers.0.pel-count", ":1"),
        ("groups.0.consumers.0.pending", "[[100-0 * :1]]"),
        ("groups.0.consumers.1.name", "Bob"),
        ("groups.0.consumers.1.pending", "[[101-0 * :1]]"),
        ("groups.1.name", "g2"),
        ("groups.1.last-delivered-id", "103-0"),
        ("groups.1.entries-read", ":4"),
        ("groups.1.lag", "nil"),
        ("groups.1.pel-count", ":4"),
        ("groups.1.consumers.0.name", "Charlie"),
        ("groups.1.consumers.0.pel-count", ":4"),
        ("groups.1.consumers.0.pending", "[[100-0 ...] [101-0 ...] [102-0 ...] [103-0 ...]]"),
    ] {
        has(path, expected)?;
    }
    is_recent(full.deep("groups.0.pending.0.2")?)?;
    is_recent(full.deep("groups.0.consumers.0.seen-time")?)?;
    is_recent(full.deep("groups.0.consumers.0.pending.0.1")?)?;
    if young {
        has("groups.0.nacked-count", ":0")?;
        is_recent(full.deep("groups.0.consumers.1.active-time")?)?;
    }
    if young {
        let names = |path: &str, expected: &str| {
            let map = if path.is_empty() { Ok(&full) } else { full.deep(path) };
            let names = map.and_then(names_of)?;
            crate::pattern::expect(&names, expected).map_err(|error| format!("{path}: {error}"))
        };
        names(
            "",
            "[length radix-tree-keys radix-tree-nodes last-generated-id max-deleted-entry-id \
              entries-added recorded-first-entry-id idmp-duration idmp-maxsize pids-tracked \
              iids-tracked iids-added iids-duplicates entries groups]",
        )?;
        names("groups.0.consumers.0", "[name seen-time active-time pel-count pending]")?;
    }
    // With a hole before or at the cursor nobody knows the lag.
    has("groups.0.lag", "nil")?;
    counted(env)
}

/// The names of a map, in order.
fn names_of(map: &Reply) -> Result<Reply, String> {
    Ok(Reply::Array(match map {
        Reply::Map(pairs) => pairs.iter().map(|(name, _)| name.clone()).collect(),
        flat => flat.items()?.iter().step_by(2).cloned().collect(),
    }))
}

/// FULL with a COUNT, and its words.
fn counted(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.at("XINFO STREAM s FULL COUNT 1", "entries", "[[100-0 [f 100]]]")?;
    c.at("XINFO STREAM s FULL COUNT 1", "groups.1.pending", "[[100-0 Charlie * :1]]")?;
    c.at("XINFO STREAM s FULL COUNT 1", "groups.1.consumers.0.pending", "[[100-0 * :1]]")?;
    c.at("XINFO STREAM s FULL COUNT 1", "groups.1.pel-count", ":4")?;
    c.entries("s", 105..=120)?;
    let entries = |c: &mut crate::client::Client, count: &str| {
        c.ask(format!("XINFO STREAM s FULL{count}"))?.get("entries")?.items().map(<[Reply]>::len)
    };
    for (count, expected) in [("", 10), (" COUNT 0", 20), (" COUNT -3", 10), (" COUNT 15", 15)] {
        let got = entries(c, count)?;
        ensure(got == expected, format!("FULL{count} shows {got} entries"))?;
    }
    let words = "ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.";
    c.err("XINFO STREAM s FOO", words)?;
    c.err("XINFO STREAM s FULL COUNT", words)?;
    c.err("XINFO STREAM s FULL FOO 1", words)?;
    c.err("XINFO STREAM none FULL", "ERR no such key")
}

fn g70(env: &mut Env<'_>) -> Outcome {
    env.c.ok("XGROUP CREATE s g $ MKSTREAM")?;
    env.c.is("XREADGROUP GROUP g Alice COUNT 1 STREAMS s >", "nil*")?;
    sleep_ms(400);
    // It has tried once, and never had anything.
    env.c.fields("XINFO CONSUMERS s g", &[("0.idle", ":400..60000"), ("0.inactive", ":-1")])?;
    env.c.at("XINFO STREAM s FULL", "groups.0.consumers.0.active-time", ":-1")?;
    env.c.entries("s", 1..=1)?;
    env.c.is("XREADGROUP GROUP g Alice COUNT 1 STREAMS s >", "[[s [[1-0 [f 1]]]]]")?;
    env.c.fields("XINFO CONSUMERS s g", &[("0.idle", ":0..390"), ("0.inactive", ":0..390")])?;
    sleep_ms(400);
    env.c.is("XREADGROUP GROUP g Alice COUNT 1 STREAMS s >", "nil*")?;
    env.c.fields("XINFO CONSUMERS s g", &[("0.idle", ":0..390"), ("0.inactive", ":400..60000")])?;
    // Neither history nor a read without records is activity, a claim is.
    env.c.is("XREADGROUP GROUP g Alice STREAMS s 0", "[[s [[1-0 [f 1]]]]]")?;
    env.c.entries("s", 2..=2)?;
    env.c.is("XREADGROUP GROUP g Alice NOACK STREAMS s >", "[[s [[2-0 [f 2]]]]]")?;
    env.c.at("XINFO CONSUMERS s g", "0.inactive", ":400..60000")?;
    env.c.is("XCLAIM s g Bob 0 1-0 JUSTID", "[1-0]")?;
    env.c.is("XCLAIM s g Carol 60000 1-0 JUSTID", "[]")?;
    env.c.each("XINFO CONSUMERS s g", "inactive", "[:400..60000 :0..390 :-1]")?;
    // Both times survive.
    let times = |env: &mut Env<'_>| -> Result<String, String> {
        let full = env.c.ask("XINFO STREAM s FULL")?;
        let consumers = full.deep("groups.0.consumers")?.items()?;
        let both = consumers
            .iter()
            .map(|c| Ok(format!("{} {}", c.get("seen-time")?, c.get("active-time")?)));
        Ok(both.collect::<Result<Vec<_>, String>>()?.join(", "))
    };
    let before = times(env)?;
    env.reload()?;
    let after = times(env)?;
    ensure(before == after, format!("times were {before} and are {after}"))
}

fn g73(env: &mut Env<'_>) -> Outcome {
    env.c.entries("s", 1..=5)?;
    env.c.ok("XGROUP CREATE s g 0")?;
    env.c.is("XGROUP CREATECONSUMER s g c", ":1")?;
    env.c.entries("s2", 1..=3)?;
    env.c.ok("XGROUP CREATE s2 g 0")?;
    env.c.is("XGROUP CREATECONSUMER s2 g c", ":1")?;
    // Three entries are one change, and so are they without records.
    for (command, changes) in [
        ("XREADGROUP GROUP g c COUNT 3 STREAMS s >", 1),
        ("XREADGROUP GROUP g c NOACK COUNT 1 STREAMS s >", 1),
        ("XREADGROUP GROUP g c STREAMS s s2 > >", 2),
        ("XREADGROUP GROUP g c STREAMS s >", 0),
        ("XACK s g 1-0 2-0", 2),
        ("XACK s g 1-0", 0),
        ("XDEL s 1-0 9-0", 1),
        ("XPENDING s g", 0),
    ] {
        let dirty = env.dirty(|env| env.c.ask(command).map(drop))?;
        ensure(dirty == changes, format!("{command}: {dirty} changes"))?;
    }
    env.c.is("XPENDING s g", "[:2 3-0 5-0 [[c 2]]]")?;
    env.c.is("XPENDING s2 g", "[:3 1-0 3-0 [[c 3]]]")
}

fn g74(env: &mut Env<'_>) -> Outcome {
    env.c.entries("s", 1..=3)?;
    env.c.ok("XGROUP CREATE s g 0")?;
    env.c.is("XGROUP CREATECONSUMER s g c", ":1")?;
    env.c.at("XREADGROUP GROUP g c COUNT 2 STREAMS s >", "0.1.1.0", "2-0")?;
    for (command, changes) in [
        // A history, with and without something in it.
        ("XREADGROUP GROUP g c COUNT 2 STREAMS s 0", 0),
        ("XREADGROUP GROUP g c STREAMS s 2", 0),
        // Who is new is a change, whatever it reads.
        ("XREADGROUP GROUP g d STREAMS s 0", 1),
        ("XREADGROUP GROUP g d STREAMS s 0", 0),
        ("XREADGROUP GROUP g d STREAMS s >", 1),
        ("XREADGROUP GROUP g e STREAMS s >", 1),
        ("XREADGROUP GROUP g e STREAMS s >", 0),
    ] {
        let dirty = env.dirty(|env| env.c.ask(command).map(drop))?;
        ensure(dirty == changes, format!("{command}: {dirty} changes"))?;
    }
    env.c.is("XREADGROUP GROUP g c STREAMS s 0", "[[s [[1-0 [f 1]] [2-0 [f 2]]]]]")?;
    env.c.each("XINFO CONSUMERS s g", "name", "[c d e]")
}

fn g75(env: &mut Env<'_>) -> Outcome {
    env.c.ok("CONFIG SET appendfsync always")?;
    env.c.ok("XGROUP CREATE s g $ MKSTREAM")?;
    env.c.entries("s", 1..=1)?;
    env.c.is("XREADGROUP GROUP g Alice NOACK STREAMS s >", "[[s [[1-0 [f 1]]]]]")?;
    env.load_log()?;
    env.c.each("XINFO CONSUMERS s g", "name", "[Alice]")?;
    env.c.is("XPENDING s g", "[:0 nil nil nil*]")?;
    env.c.at("XINFO GROUPS s", "0.last-delivered-id", "1-0")?;
    env.c.is("XREADGROUP GROUP g Alice STREAMS s >", "nil*")?;
    env.c.ok("CONFIG SET appendfsync no")
}

fn g76(env: &mut Env<'_>) -> Outcome {
    env.c.ok("XGROUP CREATE s g $ MKSTREAM")?;
    env.c.entries("s", 1..=1)?;
    env.c.is("XREADGROUP GROUP g Alice NOACK STREAMS s >", "[[s [[1-0 [f 1]]]]]")?;
    env.c.is("XGROUP CREATECONSUMER s g Bob", ":1")?;
    env.c.entries("s", 2..=2)?;
    env.c.is("XREADGROUP GROUP g Carol STREAMS s >", "[[s [[2-0 [f 2]]]]]")?;
    env.rewrite()?;
    env.load_log()?;
    env.c.each("XINFO CONSUMERS s g", "name", "[Alice Bob Carol]")?;
    env.c.each("XINFO CONSUMERS s g", "pending", "[:0 :0 :1]")?;
    env.c.is("XPENDING s g - + 10", "[[2-0 Carol :0..99999 :1]]")?;
    env.c.at("XINFO GROUPS s", "0.last-delivered-id", "2-0")
}

fn g88(env: &mut Env<'_>) -> Outcome {
    env.c.ok("XGROUP CREATE s g $ MKSTREAM")?;
    let info = |env: &mut Env<'_>| env.c.ask("XINFO STREAM s FULL").map(|info| info.to_string());
    let before = info(env)?;
    env.rewrite()?;
    env.load_log()?;
    let after = info(env)?;
    ensure(before == after, format!("it was {before} and is {after}"))?;
    env.c.fields(
        "XINFO STREAM s",
        &[
            ("length", ":0"),
            ("last-generated-id", "0-0"),
            ("max-deleted-entry-id", "0-0"),
            ("entries-added", ":0"),
            ("groups", ":1"),
        ],
    )?;
    // It goes on as new.
    env.c.is("XADD s 0-1 f v", "0-1")?;
    env.c.is("XREADGROUP GROUP g c STREAMS s >", "[[s [[0-1 [f v]]]]]")
}
