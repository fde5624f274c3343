//! XREAD: new data, old data, blocking and what wakes it, the last entry.

use super::add_numbered;
use crate::client::{Client, Outcome, ensure};
use crate::env::Env;
use crate::registry::Numbered;
use std::time::{Duration, Instant};

pub(crate) const TESTS: &[Numbered] = &[
    Numbered::new("s141", "XREAD of a stream with entries", s141),
    Numbered::new("s142", "XREAD of nothing does not wait", s142),
    Numbered::new("s143", "XREAD where only the second stream has entries", s143),
    Numbered::new("s144", "a blocked XREAD gets new entries", s144),
    Numbered::new("s145", "XREAD BLOCK gives old entries at once", s145),
    Numbered::new("s146", "a blocked XREAD never gets an empty array", s146),
    Numbered::new("s147", "a blocked XREAD on a stream that ran dry", s147),
    Numbered::new("s148", "XREAD + gives the last entry", s148).since(7, 4),
    Numbered::new("s149", "XREAD + of an empty stream gives nothing", s149).since(7, 4),
    Numbered::new("s150", "XREAD + blocks on an empty stream", s150).since(7, 4),
    Numbered::new("s151", "XREAD + does not block where there is an entry", s151).since(7, 4),
    Numbered::new("s152", "XREAD + of several streams", s152).since(7, 4),
    Numbered::new("s153", "XREAD + gives one entry, whatever COUNT says", s153).since(7, 4),
    Numbered::new("s162", "XREAD + after the last entry was deleted", s162).since(8, 0),
    Numbered::new("s163", "XADD and DEL in one transaction wake nobody", s163),
    Numbered::new("s165", "XREAD of the same stream several times", s165).since(7, 2),
    Numbered::new("s166", "several XADD of one transaction arrive together", s166),
    Numbered::new("s172", "XREAD behind a used up millisecond", s172),
    Numbered::new("s173", "a blocked XREAD behind a used up millisecond", s173),
];

const MAX: u64 = u64::MAX;
const SMALLER: &str =
    "ERR The ID specified in XADD is equal or smaller than the target stream top item";

fn s141(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    add_numbered(c, "k", 300)?;
    c.is("XREAD COUNT 1 STREAMS k 0-0", "[[k [[1-0 [f 1]]]]]")?;
    c.is("XREAD COUNT 2 STREAMS k 150", "[[k [[151-0 [f 151]] [152-0 [f 152]]]]]")?;
    let all = c.ask("XREAD STREAMS k 0")?;
    ensure(all.path(&[0, 1])?.items()?.len() == 300, "not all of them")?;
    c.is("XREAD STREAMS k 299-0", "[[k [[300-0 [f 300]]]]]")?;
    c.is("XREAD COUNT 0 STREAMS k 299", "[[k [[300-0 [f 300]]]]]")?;
    c.is("XREAD STREAMS k 300-0", "nil*")?;
    c.is("XREAD STREAMS k $", "nil*")?;
    c.hello3()?;
    c.is("XREAD COUNT 1 STREAMS k 0", "{k [[1-0 [f 1]]]}")?;
    ensure(matches!(c.ask("XREAD STREAMS k 0")?, crate::reply::Reply::Map(_)), "no map in RESP3")
}

fn s142(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XREAD STREAMS s1 s2 0-0 0-0", "nil*")?;
    c.ok("XGROUP CREATE s1 g 0 MKSTREAM")?;
    c.is("XREAD COUNT 1 STREAMS s1 s2 0-0 0-0", "nil*")?;
    c.is("XREAD STREAMS s1 $", "nil*")?;
    c.hello3()?;
    c.is("XREAD STREAMS s1 s2 0-0 0-0", "nil")?;
    c.is("EXISTS s1 s2", ":1")
}

fn s143(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.ok("MULTI")?;
    for n in 1..=3 {
        c.is(format!("XADD k {n}-0 item {n}"), "+QUEUED")?;
    }
    c.is("EXEC", "[1-0 2-0 3-0]")?;
    c.is("XREAD COUNT 1 STREAMS nostream k 0-0 0-0", "[[k [[1-0 [item 1]]]]]")?;
    c.is("XREAD STREAMS nostream k 0-0 2", "[[k [[3-0 [item 3]]]]]")
}

fn s144(env: &mut Env<'_>) -> Outcome {
    env.c.is("XADD s2 * old abcd1234", "@")?;
    let mut reader = env.blocked("XREAD BLOCK 20000 STREAMS s1 s2 s3 $ $ $", 1)?;
    reader.stays_silent(Duration::from_millis(30))?;
    let id = env.c.text("XADD s2 * new abcd1234")?;
    reader.reads(format!("[[s2 [[{id} [new abcd1234]]]]]"))?;
    env.wait_blocked(0)
}

fn s145(env: &mut Env<'_>) -> Outcome {
    let old = env.c.text("XADD s2 * old abcd1234")?;
    let new = env.c.text("XADD s2 * new abcd1234")?;
    let expected = format!("[[s2 [[{old} [old abcd1234]] [{new} [new abcd1234]]]]]");
    let mut reader = env.client()?;
    reader.is("XREAD BLOCK 20000 STREAMS s1 s2 s3 $ 0-0 $", expected)
}

fn s146(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD k 666 f v", "666-0")?;
    c.is("XADD k 667 f2 v2", "667-0")?;
    c.is("XDEL k 667", ":1")?;
    let begun = Instant::now();
    c.is("XREAD BLOCK 10 STREAMS k 666", "nil*")?;
    ensure(begun.elapsed() >= Duration::from_millis(10), "it did not wait")?;
    c.is("XREAD STREAMS k 665", "[[k [[666-0 [f v]]]]]")
}

fn s147(env: &mut Env<'_>) -> Outcome {
    env.c.is("XADD k 666 key value", "666-0")?;
    env.c.is("XDEL k 666", ":1")?;
    let mut reader = env.blocked("XREAD BLOCK 0 STREAMS k 665", 1)?;
    env.c.err("XADD k 665 key value", SMALLER)?;
    env.c.err("XADD k 666 key value", SMALLER)?;
    reader.stays_silent(Duration::from_millis(20))?;
    env.c.is("XADD k 667 key value", "667-0")?;
    reader.reads("[[k [[667-0 [key value]]]]]")
}

fn s148(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    add_numbered(c, "k", 3)?;
    c.is("XREAD STREAMS k +", "[[k [[3-0 [f 3]]]]]")?;
    c.is("XADD k 9-9 g h", "9-9")?;
    c.is("XREAD STREAMS k +", "[[k [[9-9 [g h]]]]]")
}

fn s149(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XREAD STREAMS k +", "nil*")?;
    add_numbered(c, "k", 1)?;
    c.is("XDEL k 1-0", ":1")?;
    c.is("XREAD STREAMS k +", "nil*")?;
    c.is("XREAD BLOCK 5 STREAMS k +", "nil*")?;
    c.is("XREAD STREAMS k k + 0", "nil*")
}

fn s150(env: &mut Env<'_>) -> Outcome {
    let mut reader = env.blocked("XREAD BLOCK 20000 STREAMS k +", 1)?;
    env.c.is("XADD k 1-0 f v", "1-0")?;
    reader.reads("[[k [[1-0 [f v]]]]]")?;
    // The last one when it is woken, not the first one that came.
    env.c.is("DEL k", ":1")?;
    reader.send("XREAD BLOCK 20000 STREAMS k +")?;
    env.wait_blocked(1)?;
    let add = [("MULTI", "+OK"), ("XADD k 1-0 f a", "+QUEUED"), ("XADD k 2-0 f b", "+QUEUED")];
    env.c.pipeline(&add)?;
    env.c.is("EXEC", "[1-0 2-0]")?;
    reader.reads("[[k [[2-0 [f b]]]]]")
}

fn s151(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    add_numbered(c, "k", 3)?;
    c.is("XREAD BLOCK 20000 STREAMS k +", "[[k [[3-0 [f 3]]]]]")?;
    c.is("XREAD BLOCK 0 STREAMS none k + +", "[[k [[3-0 [f 3]]]]]")
}

fn s152(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    add_numbered(c, "a", 2)?;
    add_numbered(c, "b", 3)?;
    add_numbered(c, "d", 4)?;
    let last = "[[a [[2-0 [f 2]]]] [b [[3-0 [f 3]]]] [d [[4-0 [f 4]]]]]";
    c.is("XREAD STREAMS a b none d + + + +", last)?;
    c.is("XREAD STREAMS a b + 1", "[[a [[2-0 [f 2]]]] [b [[2-0 [f 2]] [3-0 [f 3]]]]]")
}

fn s153(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    add_numbered(c, "k", 3)?;
    for count in [0, 1, 3, 10] {
        c.is(format!("XREAD COUNT {count} STREAMS k +"), "[[k [[3-0 [f 3]]]]]")?;
    }
    Ok(())
}

fn s162(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    add_numbered(c, "k", 4)?;
    c.is("XDEL k 4-0", ":1")?;
    c.is("XREAD STREAMS k +", "[[k [[3-0 [f 3]]]]]")?;
    c.is("XDEL k 2-0 3-0", ":2")?;
    c.is("XREAD STREAMS k +", "[[k [[1-0 [f 1]]]]]")?;
    c.is("XDEL k 1-0", ":1")?;
    c.is("XREAD STREAMS k +", "nil*")
}

fn s163(env: &mut Env<'_>) -> Outcome {
    let mut reader = env.blocked("XREAD BLOCK 20000 STREAMS k $", 1)?;
    env.c.pipeline(&[("MULTI", "+OK"), ("XADD k * old 1", "+QUEUED"), ("DEL k", "+QUEUED")])?;
    env.c.is("EXEC", "[@ :1]")?;
    reader.stays_silent(Duration::from_millis(30))?;
    ensure(env.info("blocked_clients")? == 1, "the reader does not wait any more")?;
    let id = env.c.text("XADD k * new 2")?;
    reader.reads(format!("[[k [[{id} [new 2]]]]]"))
}

fn s165(env: &mut Env<'_>) -> Outcome {
    let mut reader = env.blocked("XREAD BLOCK 0 STREAMS k k k $ $ $", 1)?;
    let id = env.c.text("XADD k * old abcd")?;
    let one = format!("[k [[{id} [old abcd]]]]");
    reader.reads(format!("[{one} {one} {one}]"))?;
    env.c.is("XREAD STREAMS k k k 0 $ 0", format!("[{one} {one}]"))
}

fn s166(env: &mut Env<'_>) -> Outcome {
    let mut reader = env.blocked("XREAD BLOCK 20000 STREAMS k $", 1)?;
    env.c.ok("MULTI")?;
    for n in 1..=3 {
        env.c.is(format!("XADD k {n}-0 f {n}"), "+QUEUED")?;
        reader.stays_silent(Duration::from_millis(3))?;
    }
    env.c.is("EXEC", "[1-0 2-0 3-0]")?;
    reader.reads("[[k [[1-0 [f 1]] [2-0 [f 2]] [3-0 [f 3]]]]]")
}

/// 1-1, 1-max, 2-1.
fn add_edge(c: &mut Client) -> Outcome {
    for (n, id) in [(1, "1-1"), (2, &format!("1-{MAX}")), (3, "2-1")] {
        c.is(format!("XADD k {id} f {n}"), id)?;
    }
    Ok(())
}

fn s172(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    add_edge(c)?;
    c.is(format!("XREAD STREAMS k 1-{MAX}"), "[[k [[2-1 [f 3]]]]]")?;
    c.is("XREAD COUNT 1 STREAMS k 1-1", format!("[[k [[1-{MAX} [f 2]]]]]"))?;
    c.is(format!("XREAD STREAMS k {MAX}-{MAX}"), "nil*")
}

fn s173(env: &mut Env<'_>) -> Outcome {
    let mut reader = env.blocked(&format!("XREAD BLOCK 0 STREAMS k 1-{MAX}"), 1)?;
    add_edge(&mut env.c)?;
    reader.reads("[[k [[2-1 [f 3]]]]]")
}
