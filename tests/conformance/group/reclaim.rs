//! `XREADGROUP` with `CLAIM`: what comes back, to whom, in what form and order.

use crate::client::{Client, Outcome};
use crate::env::{Env, sleep_ms};
use crate::registry::Numbered;

pub(super) const TESTS: &[Numbered] = &[
    Numbered::new("g101", "XREADGROUP CLAIM field types are correct", g101).since(8, 4),
    Numbered::new("g102", "XREADGROUP CLAIM returns unacknowledged messages", g102).since(8, 4),
    Numbered::new("g103", "XREADGROUP CLAIM respects min-idle-time threshold", g103).since(8, 4),
    Numbered::new("g104", "XREADGROUP CLAIM with COUNT limit", g104).since(8, 4),
    Numbered::new("g105", "XREADGROUP CLAIM without messages", g105).since(8, 4),
    Numbered::new("g106", "XREADGROUP CLAIM without pending messages", g106).since(8, 4),
    Numbered::new("g107", "XREADGROUP CLAIM message response format", g107).since(8, 4),
    Numbered::new("g108", "XREADGROUP CLAIM delivery count", g108).since(8, 4),
    Numbered::new("g109", "XREADGROUP CLAIM idle time", g109).since(8, 4),
    Numbered::new("g110", "XREADGROUP CLAIM with NOACK", g110).since(8, 4),
    Numbered::new("g111", "XREADGROUP CLAIM with NOACK and pending messages", g111).since(8, 4),
    Numbered::new("g112", "XREADGROUP CLAIM with multiple streams", g112).since(8, 4),
    Numbered::new("g113", "XREADGROUP CLAIM with min-idle-time equal to zero", g113).since(8, 4),
    Numbered::new("g114", "XREADGROUP CLAIM with large min-idle-time", g114).since(8, 4),
    Numbered::new("g115", "XREADGROUP CLAIM with not integer for min-idle-time", g115).since(8, 4),
    Numbered::new("g116", "XREADGROUP CLAIM with negative integer", g116).since(8, 4),
    Numbered::new("g117", "XREADGROUP CLAIM with different position", g117).since(8, 4),
    Numbered::new("g118", "XREADGROUP CLAIM with specific ID", g118).since(8, 4),
    Numbered::new("g119", "XREADGROUP CLAIM on non-existing consumer group", g119).since(8, 4),
    Numbered::new("g120", "XREADGROUP CLAIM on non-existing consumer", g120).since(8, 4),
    Numbered::new("g121", "XREADGROUP CLAIM verify ownership transfer and delivery count", g121)
        .since(8, 4),
    Numbered::new("g122", "XREADGROUP CLAIM verify XACK removes messages from CLAIM pool", g122)
        .since(8, 4),
    Numbered::new("g123", "XREADGROUP CLAIM verify that XCLAIM updates delivery count", g123)
        .since(8, 4),
    Numbered::new("g124", "XREADGROUP CLAIM verify forced entries are claimable", g124).since(8, 4),
    Numbered::new("g133", "XREADGROUP CLAIM verify claiming order", g133).since(8, 4),
    Numbered::new("g146", "XREAD with CLAIM option", g146).since(8, 4),
];

/// Entries 1-0 to `n`-0 of stream `s`, pending with consumer `c1` of group `g`, and another one
/// that nobody has read if `new`.
pub(super) fn read(c: &mut Client, n: u64, new: bool) -> Outcome {
    c.entries("s", 1..=n)?;
    c.ok("XGROUP CREATE s g 0")?;
    c.at("XREADGROUP GROUP g c1 STREAMS s >", &format!("0.1.{}.0", n - 1), format!("{n}-0"))?;
    if new { c.entries("s", n + 1..=n + 1) } else { Ok(()) }
}

/// Makes the records of these IDs so old, without counting it as a delivery.
pub(super) fn age(c: &mut Client, consumer: &str, ids: &str, ms: u64) -> Outcome {
    let claim = format!("XCLAIM s g {consumer} 0 {ids} IDLE {ms} JUSTID");
    c.is(claim, format!("[{ids}]"))
}

fn g101(env: &mut Env<'_>) -> Outcome {
    let mut new = env.client()?;
    let c = &mut env.c;
    c.is("XADD mystream 1-0 f v1", "1-0")?;
    c.ok("XGROUP CREATE mystream mygroup 0")?;
    c.is("XREADGROUP GROUP mygroup c1 STREAMS mystream >", "[[mystream [[1-0 [f v1]]]]]")?;
    sleep_ms(60);
    // The age and the count are integers, all the rest as ever.
    c.is(
        "XREADGROUP GROUP mygroup c2 CLAIM 50 STREAMS mystream >",
        "[[mystream [[1-0 [f v1] :50..60000 :1]]]]",
    )?;
    new.hello3()?;
    new.is(
        "XREADGROUP GROUP mygroup c2 CLAIM 0 STREAMS mystream >",
        "{mystream [[1-0 [f v1] :0..60000 :2]]}",
    )
}

fn g102(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 3, false)?;
    sleep_ms(80);
    c.is(
        "XREADGROUP GROUP g c2 CLAIM 50 STREAMS s >",
        "[[s [[1-0 [f 1] :50..60000 :1] [2-0 [f 2] :50..60000 :1] [3-0 [f 3] :50..60000 :1]]]]",
    )?;
    c.is("XPENDING s g", "[:3 1-0 3-0 [[c2 3]]]")?;
    c.is("XREADGROUP GROUP g c1 STREAMS s 0", "[[s []]]")?;
    c.is("XREADGROUP GROUP g c2 STREAMS s 0", "[[s [[1-0 [f 1]] [2-0 [f 2]] [3-0 [f 3]]]]]")?;
    c.is("XREADGROUP GROUP g c2 CLAIM 60000 STREAMS s >", "nil*")
}

fn g103(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 3, false)?;
    c.is("XREADGROUP GROUP g c2 CLAIM 60000 STREAMS s >", "nil*")?;
    c.is("XPENDING s g", "[:3 1-0 3-0 [[c1 3]]]")?;
    age(c, "c1", "2-0", 200_000)?;
    age(c, "c1", "3-0", 100_000)?;
    c.is("XREADGROUP GROUP g c2 CLAIM 300000 STREAMS s >", "nil*")?;
    c.is("XREADGROUP GROUP g c2 CLAIM 150000 STREAMS s >", "[[s [[2-0 [f 2] * :1]]]]")?;
    // It is young now, and the next one is not.
    c.is("XREADGROUP GROUP g c3 CLAIM 60000 STREAMS s >", "[[s [[3-0 [f 3] * :1]]]]")?;
    c.is("XREADGROUP GROUP g c3 CLAIM 60000 STREAMS s >", "nil*")?;
    c.is("XPENDING s g", "[:3 1-0 3-0 [[c1 1] [c2 1] [c3 1]]]")
}

fn g104(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 5, true)?;
    let claim = "XREADGROUP GROUP g c2 COUNT 2 CLAIM 0 STREAMS s >";
    // As long as claims fill the count nothing new comes; what was claimed goes to the end.
    c.is(claim, "[[s [[1-0 [f 1] * :1] [2-0 [f 2] * :1]]]]")?;
    c.is("XPENDING s g", "[:5 1-0 5-0 [[c1 3] [c2 2]]]")?;
    c.is(claim, "[[s [[3-0 [f 3] * :1] [4-0 [f 4] * :1]]]]")?;
    c.is(claim, "[[s [[5-0 [f 5] * :1] [1-0 [f 1] * :2]]]]")?;
    c.at("XINFO GROUPS s", "0.last-delivered-id", "5-0")?;
    // The count is of both together.
    age(c, "c2", "1-0 2-0", 500_000)?;
    c.is(
        "XREADGROUP GROUP g c2 COUNT 3 CLAIM 400000 STREAMS s >",
        "[[s [[1-0 [f 1] * :3] [2-0 [f 2] * :2] [6-0 [f 6] :0 :0]]]]",
    )?;
    c.is("XPENDING s g", "[:6 1-0 6-0 [[c2 6]]]")?;
    // Zero is no limit.
    c.at("XREADGROUP GROUP g c3 COUNT 0 CLAIM 0 STREAMS s >", "0.1.5.2", ":0..60000")
}

fn g105(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.ok("XGROUP CREATE s g 0 MKSTREAM")?;
    c.is("XREADGROUP GROUP g c1 CLAIM 0 STREAMS s >", "nil*")?;
    c.is("XREADGROUP GROUP g c1 CLAIM 100 COUNT 5 STREAMS s >", "nil*")?;
    c.is("XPENDING s g", "[:0 nil nil nil*]")?;
    // Who asks is a consumer from then on.
    c.each("XINFO CONSUMERS s g", "name", "[c1]")?;
    c.each("XINFO CONSUMERS s g", "inactive", "[:-1]")?;
    c.counts("s", "g", "nil", ":0")
}

fn g106(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.entries("s", 1..=3)?;
    c.ok("XGROUP CREATE s g 0")?;
    c.is(
        "XREADGROUP GROUP g c1 CLAIM 100 COUNT 2 STREAMS s >",
        "[[s [[1-0 [f 1] :0 :0] [2-0 [f 2] :0 :0]]]]",
    )?;
    c.is("XACK s g 1-0 2-0", ":2")?;
    c.is("XREADGROUP GROUP g c1 CLAIM 0 STREAMS s >", "[[s [[3-0 [f 3] :0 :0]]]]")?;
    c.is("XACK s g 3-0", ":1")?;
    c.is("XREADGROUP GROUP g c1 CLAIM 0 STREAMS s >", "nil*")?;
    c.counts("s", "g", ":3", ":0")
}

fn g107(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD s 1-0 a 1 b 2 a 3", "1-0")?;
    c.is("XADD s 2-0 x y", "2-0")?;
    c.ok("XGROUP CREATE s g 0")?;
    c.is("XREADGROUP GROUP g c1 COUNT 1 STREAMS s >", "[[s [[1-0 [a 1 b 2 a 3]]]]]")?;
    age(c, "c1", "1-0", 70_000)?;
    // First what was claimed, then what is new; four parts each.
    c.is(
        "XREADGROUP GROUP g c2 CLAIM 60000 STREAMS s >",
        "[[s [[1-0 [a 1 b 2 a 3] :70000..140000 :1] [2-0 [x y] :0 :0]]]]",
    )?;
    // Without the word it is two.
    c.is("XADD s 3-0 x y", "3-0")?;
    c.is("XREADGROUP GROUP g c2 STREAMS s >", "[[s [[3-0 [x y]]]]]")?;
    c.is(
        "XPENDING s g - + 10",
        "[[1-0 c2 :0..60000 :2] [2-0 c2 :0..60000 :1] [3-0 c2 :0..60000 :1]]",
    )
}

fn g108(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 1, false)?;
    for count in 1..=5 {
        // As it was before this delivery.
        c.is(
            format!("XREADGROUP GROUP g c{count} CLAIM 0 STREAMS s >"),
            format!("[[s [[1-0 [f 1] :0..60000 :{count}]]]]"),
        )?;
        let after = count + 1;
        c.is("XPENDING s g - + 1", format!("[[1-0 c{count} :0..60000 :{after}]]"))?;
    }
    // A look at the history counts too.
    c.is("XREADGROUP GROUP g c5 STREAMS s 0", "[[s [[1-0 [f 1]]]]]")?;
    c.is("XREADGROUP GROUP g c5 CLAIM 0 STREAMS s >", "[[s [[1-0 [f 1] :0..60000 :7]]]]")
}

fn g109(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 1, false)?;
    sleep_ms(300);
    c.is("XREADGROUP GROUP g c2 CLAIM 200 STREAMS s >", "[[s [[1-0 [f 1] :300..60000 :1]]]]")?;
    c.is("XREADGROUP GROUP g c2 CLAIM 60000 STREAMS s >", "nil*")?;
    c.is("XREADGROUP GROUP g c2 CLAIM 0 STREAMS s >", "[[s [[1-0 [f 1] :0..290 :2]]]]")?;
    age(c, "c2", "1-0", 3_600_000)?;
    c.is(
        "XREADGROUP GROUP g c2 CLAIM 3600000 STREAMS s >",
        "[[s [[1-0 [f 1] :3600000..3660000 :3]]]]",
    )?;
    // Exactly so old is old enough, a little less is not.
    age(c, "c2", "1-0", 3_600_000)?;
    c.is("XREADGROUP GROUP g c2 CLAIM 3700000 STREAMS s >", "nil*")
}

fn g110(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.entries("s", 1..=3)?;
    c.ok("XGROUP CREATE s g 0")?;
    c.is(
        "XREADGROUP GROUP g c1 NOACK CLAIM 0 COUNT 2 STREAMS s >",
        "[[s [[1-0 [f 1] :0 :0] [2-0 [f 2] :0 :0]]]]",
    )?;
    // They leave no record, so there is nothing to be claimed.
    c.is("XPENDING s g", "[:0 nil nil nil*]")?;
    c.is("XREADGROUP GROUP g c2 CLAIM 0 STREAMS s >", "[[s [[3-0 [f 3] :0 :0]]]]")?;
    c.is("XPENDING s g", "[:1 3-0 3-0 [[c2 1]]]")?;
    c.counts("s", "g", ":3", ":0")?;
    c.each("XINFO CONSUMERS s g", "inactive", "[:-1 :0..60000]")
}

fn g111(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 2, true)?;
    c.is(
        "XREADGROUP GROUP g c2 CLAIM 0 NOACK STREAMS s >",
        "[[s [[1-0 [f 1] :0..60000 :1] [2-0 [f 2] :0..60000 :1] [3-0 [f 3] :0 :0]]]]",
    )?;
    // What was pending stays so, under another name.
    c.is("XPENDING s g - + 10", "[[1-0 c2 :0..60000 :2] [2-0 c2 :0..60000 :2]]")?;
    c.at("XINFO GROUPS s", "0.last-delivered-id", "3-0")?;
    c.is("XACK s g 1-0 2-0 3-0", ":2")
}

fn g112(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    for key in ["a", "b", "d"] {
        c.entries(key, 1..=3)?;
        c.ok(format!("XGROUP CREATE {key} g 0"))?;
    }
    c.at("XREADGROUP GROUP g c1 COUNT 2 STREAMS a b > >", "1.1.1.0", "2-0")?;
    c.at("XREADGROUP GROUP g c1 STREAMS d >", "0.1.2.0", "3-0")?;
    c.is("XACK d g 1-0 2-0 3-0", ":3")?;
    // Of each stream what can be claimed, then what is new; a stream with neither is left out.
    c.is(
        "XREADGROUP GROUP g c2 CLAIM 0 STREAMS d a b > > >",
        "[[a [[1-0 [f 1] * :1] [2-0 [f 2] * :1] [3-0 [f 3] :0 :0]]] \
          [b [[1-0 [f 1] * :1] [2-0 [f 2] * :1] [3-0 [f 3] :0 :0]]]]",
    )?;
    // The count is of each.
    c.is(
        "XREADGROUP GROUP g c3 COUNT 1 CLAIM 0 STREAMS a b > >",
        "[[a [[1-0 [f 1] * :2]]] [b [[1-0 [f 1] * :2]]]]",
    )?;
    c.is("XPENDING b g", "[:3 1-0 3-0 [[c2 2] [c3 1]]]")?;
    c.is("XPENDING d g", "[:0 nil nil nil*]")
}

fn g113(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 3, true)?;
    c.is(
        "XREADGROUP GROUP g c1 CLAIM 0 STREAMS s >",
        "[[s [[1-0 [f 1] * :1] [2-0 [f 2] * :1] [3-0 [f 3] * :1] [4-0 [f 4] :0 :0]]]]",
    )?;
    // And again, from anybody, at once.
    c.is(
        "XREADGROUP GROUP g c2 CLAIM 0 STREAMS s >",
        "[[s [[1-0 [f 1] * :2] [2-0 [f 2] * :2] [3-0 [f 3] * :2] [4-0 [f 4] * :1]]]]",
    )?;
    c.is("XPENDING s g", "[:4 1-0 4-0 [[c2 4]]]")
}

fn g114(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let most = i64::MAX;
    let claim = format!("XREADGROUP GROUP g c2 CLAIM {most} STREAMS s >");
    read(c, 2, true)?;
    c.is(&claim, "[[s [[3-0 [f 3] :0 :0]]]]")?;
    c.is(&claim, "nil*")?;
    // Not even what was given back, which is as old as time itself, but no older.
    c.is("XNACK s g FAIL IDS 1 1-0", ":1")?;
    c.is(&claim, "nil*")?;
    c.is("XPENDING s g", "[:3 1-0 3-0 [[c1 1] [c2 1]]]")?;
    c.is("XREADGROUP GROUP g c2 CLAIM 9223372036854775808 STREAMS s >", NO_INT)
}

const NO_INT: &str = "-ERR min-idle-time is not an integer or out of range";

fn g115(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 1, false)?;
    for idle in ["abc", "+10", "-0", "5.5", "5,5", "10e", "*10", "10/2", "\"\"", "007", "\" 5\""] {
        c.is(format!("XREADGROUP GROUP g c2 CLAIM {idle} STREAMS s >"), NO_INT)?;
    }
    c.each("XINFO CONSUMERS s g", "name", "[c1]")?;
    c.is("XPENDING s g - + 1", "[[1-0 c1 :0..60000 :1]]")
}

fn g116(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 1, false)?;
    for idle in ["-1", "-10", "-9223372036854775808"] {
        let claim = format!("XREADGROUP GROUP g c2 CLAIM {idle} STREAMS s >");
        c.err(claim, "ERR min-idle-time must be a positive integer")?;
    }
    c.is("XREADGROUP GROUP g c2 CLAIM -9223372036854775809 STREAMS s >", NO_INT)?;
    c.each("XINFO CONSUMERS s g", "name", "[c1]")?;
    c.is("XREADGROUP GROUP g c2 CLAIM 0 STREAMS s >", "[[s [[1-0 [f 1] :0..60000 :1]]]]")
}

fn g117(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 1, false)?;
    for (n, words) in [
        "CLAIM 0 GROUP g c2 STREAMS s >",
        "GROUP g c2 CLAIM 0 STREAMS s >",
        "COUNT 10 CLAIM 0 GROUP g c2 STREAMS s >",
        "GROUP g c2 COUNT 10 CLAIM 0 BLOCK 10 STREAMS s >",
        "GROUP g c2 BLOCK 10 claim 0 NOACK STREAMS s >",
        "CLAIM 99999999 GROUP g c2 CLAIM 0 STREAMS s >",
    ]
    .iter()
    .enumerate()
    {
        let expected = format!("[[s [[1-0 [f 1] :0..60000 :{}]]]]", n + 1);
        c.is(format!("XREADGROUP {words}"), expected)?;
    }
    let unbalanced = "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or \
                      '>' must be specified.";
    let no_int = "ERR min-idle-time is not an integer or out of range";
    let no_key =
        "NOGROUP No such key 'CLAIM' or consumer group 'g' in XREADGROUP with GROUP option";
    for (words, error) in [
        ("GROUP g CLAIM 50 c2 STREAMS s >", "ERR syntax error"),
        ("GROUP g c2 CLAIM 50 60 STREAMS s >", "ERR syntax error"),
        ("GROUP g c2 STREAMS s CLAIM 50 >", no_key),
        ("GROUP g c2 STREAMS s > CLAIM 50", INVALID_ID),
        ("GROUP g c2 STREAMS s CLAIM >", unbalanced),
        ("GROUP g c2 CLAIM STREAMS s >", no_int),
        ("GROUP g c2 CLAIM 10 CLAIM COUNT 1 STREAMS s >", no_int),
        ("GROUP g c2 COUNT 1 CLAIM", "ERR syntax error"),
    ] {
        c.err(format!("XREADGROUP {words}"), error)?;
    }
    c.is("XPENDING s g - + 1", "[[1-0 c2 :0..60000 :7]]")
}

const INVALID_ID: &str = "ERR Invalid stream ID specified as stream command argument";

fn g118(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 3, true)?;
    // The history is one's own, and in the usual form: nothing is claimed.
    c.is("XREADGROUP GROUP g c2 CLAIM 0 STREAMS s 0", "[[s []]]")?;
    c.is("XREADGROUP GROUP g c1 CLAIM 0 STREAMS s 1", "[[s [[2-0 [f 2]] [3-0 [f 3]]]]]")?;
    c.is("XREADGROUP GROUP g c2 CLAIM 0 BLOCK 0 NOACK STREAMS s 0", "[[s []]]")?;
    c.is("XPENDING s g", "[:3 1-0 3-0 [[c1 3]]]")?;
    c.at("XINFO GROUPS s", "0.last-delivered-id", "3-0")?;
    c.is(
        "XPENDING s g - + 10",
        "[[1-0 c1 :0..60000 :1] [2-0 c1 :0..60000 :2] [3-0 c1 :0..60000 :2]]",
    )?;
    // Behind a history nothing is claimed of the streams that follow, before it there is.
    c.entries("t", 1..=2)?;
    c.ok("XGROUP CREATE t g 0")?;
    c.is("XREADGROUP GROUP g c1 COUNT 1 STREAMS t >", "[[t [[1-0 [f 1]]]]]")?;
    c.is(
        "XREADGROUP GROUP g c2 COUNT 1 CLAIM 0 STREAMS t s > 0",
        "[[t [[1-0 [f 1] * :1]]] [s []]]",
    )?;
    c.is("XREADGROUP GROUP g c2 CLAIM 0 STREAMS s t 0 >", "[[s []] [t [[2-0 [f 2] ...]]]]")?;
    c.is("XPENDING t g - + 10", "[[1-0 c2 :0..60000 :2] [2-0 c2 :0..60000 :1]]")
}

fn g119(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let none = "NOGROUP No such key 's' or consumer group 'no' in XREADGROUP with GROUP option";
    c.err("XREADGROUP GROUP no c CLAIM 0 STREAMS s >", none)?;
    c.is("EXISTS s", ":0")?;
    read(c, 1, false)?;
    c.err("XREADGROUP GROUP no c CLAIM 0 STREAMS s >", none)?;
    c.err("XREADGROUP GROUP no c CLAIM 0 BLOCK 0 STREAMS s >", none)?;
    c.each("XINFO GROUPS s", "name", "[g]")?;
    c.is("XPENDING s g", "[:1 1-0 1-0 [[c1 1]]]")
}

fn g120(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 2, false)?;
    c.each("XINFO CONSUMERS s g", "name", "[c1]")?;
    c.is(
        "XREADGROUP GROUP g fresh CLAIM 0 STREAMS s >",
        "[[s [[1-0 [f 1] :0..60000 :1] [2-0 [f 2] :0..60000 :1]]]]",
    )?;
    c.is("XREADGROUP GROUP g idle CLAIM 60000 STREAMS s >", "nil*")?;
    c.each("XINFO CONSUMERS s g", "name", "[c1 fresh idle]")?;
    c.each("XINFO CONSUMERS s g", "pending", "[:0 :2 :0]")?;
    c.each("XINFO CONSUMERS s g", "inactive", "[:0..60000 :0..60000 :-1]")
}

fn g121(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 2, false)?;
    c.is("XPENDING s g - + 10", "[[1-0 c1 :0..60000 :1] [2-0 c1 :0..60000 :1]]")?;
    c.is("XREADGROUP GROUP g c2 CLAIM 0 COUNT 1 STREAMS s >", "[[s [[1-0 [f 1] * :1]]]]")?;
    c.is("XPENDING s g - + 10", "[[1-0 c2 :0..60000 :2] [2-0 c1 :0..60000 :1]]")?;
    c.is("XPENDING s g - + 10 c1", "[[2-0 c1 :0..60000 :1]]")?;
    c.is("XREADGROUP GROUP g c3 CLAIM 0 STREAMS s >", "[[s [[2-0 [f 2] * :1] [1-0 [f 1] * :2]]]]")?;
    c.is("XPENDING s g - + 10 c3", "[[1-0 c3 :0..60000 :3] [2-0 c3 :0..60000 :2]]")?;
    c.each("XINFO CONSUMERS s g", "pending", "[:0 :0 :2]")?;
    c.is("XREADGROUP GROUP g c1 STREAMS s 0", "[[s []]]")?;
    c.is("XREADGROUP GROUP g c2 STREAMS s 0", "[[s []]]")?;
    // Whoever acknowledges need not be the one who has it.
    c.is("XACK s g 1-0 2-0", ":2")?;
    c.is("XREADGROUP GROUP g c1 CLAIM 0 STREAMS s >", "nil*")
}

fn g122(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 3, false)?;
    c.is("XACK s g 2-0", ":1")?;
    c.is("XREADGROUP GROUP g c2 CLAIM 0 STREAMS s >", "[[s [[1-0 [f 1] * :1] [3-0 [f 3] * :1]]]]")?;
    c.is("XACK s g 1-0", ":1")?;
    c.is("XREADGROUP GROUP g c3 CLAIM 0 STREAMS s >", "[[s [[3-0 [f 3] * :2]]]]")?;
    c.is("XACK s g 3-0", ":1")?;
    c.is("XREADGROUP GROUP g c3 CLAIM 0 STREAMS s >", "nil*")?;
    c.is("XPENDING s g", "[:0 nil nil nil*]")
}

fn g123(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 2, false)?;
    c.is("XCLAIM s g c2 0 1-0", "[[1-0 [f 1]]]")?;
    c.is("XCLAIM s g c3 0 1-0", "[[1-0 [f 1]]]")?;
    c.is("XREADGROUP GROUP g c4 CLAIM 0 STREAMS s >", "[[s [[2-0 [f 2] * :1] [1-0 [f 1] * :3]]]]")?;
    c.is("XCLAIM s g c2 0 1-0 RETRYCOUNT 10", "[[1-0 [f 1]]]")?;
    c.is("XCLAIM s g c2 0 2-0 JUSTID", "[2-0]")?;
    c.is(
        "XREADGROUP GROUP g c4 CLAIM 0 STREAMS s >",
        "[[s [[1-0 [f 1] * :10] [2-0 [f 2] * :2]]]]",
    )?;
    c.is("XAUTOCLAIM s g c5 0 0 COUNT 1", "[2-0 [[1-0 [f 1]]] []]")?;
    c.is("XPENDING s g - + 10", "[[1-0 c5 :0..60000 :12] [2-0 c4 :0..60000 :3]]")
}

fn g124(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.entries("s", 1..=3)?;
    c.ok("XGROUP CREATE s g 0")?;
    // Nobody has read them: the records are there by force.
    c.is("XCLAIM s g c1 0 1-0 2-0 FORCE JUSTID", "[1-0 2-0]")?;
    c.is("XCLAIM s g c1 0 3-0 FORCE", "[[3-0 [f 3]]]")?;
    c.at("XINFO GROUPS s", "0.last-delivered-id", "0-0")?;
    // They come as claimed, and once more as new, since the cursor has not moved.
    c.is(
        "XREADGROUP GROUP g c2 CLAIM 0 COUNT 3 STREAMS s >",
        "[[s [[1-0 [f 1] * :1] [2-0 [f 2] * :1] [3-0 [f 3] * :2]]]]",
    )?;
    c.is(
        "XPENDING s g - + 10",
        "[[1-0 c2 :0..60000 :2] [2-0 c2 :0..60000 :2] [3-0 c2 :0..60000 :3]]",
    )?;
    c.is("XREADGROUP GROUP g c3 COUNT 1 STREAMS s >", "[[s [[1-0 [f 1]]]]]")?;
    c.is("XPENDING s g - + 1", "[[1-0 c3 :0..60000 :1]]")
}

fn g133(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 6, false)?;
    let time = c.list("TIME")?;
    let seconds = time.first().map_or(Ok(String::new()), |first| first.text())?;
    let now = 1000 * seconds.parse::<u64>().map_err(|_| format!("TIME: {seconds}"))?;
    // Against the order of the IDs, so that the order of the times can be told from it.
    for (id, ago) in [(6, 1), (5, 50), (4, 300), (3, 2), (2, 400), (1, 500)] {
        let claim = format!("XCLAIM s g c1 0 {id}-0 TIME {} JUSTID", now - ago * 1000);
        c.is(claim, format!("[{id}-0]"))?;
    }
    c.is(
        "XREADGROUP GROUP g c2 CLAIM 200000 STREAMS s >",
        "[[s [[1-0 [f 1] * :1] [2-0 [f 2] * :1] [4-0 [f 4] * :1]]]]",
    )?;
    c.is("XREADGROUP GROUP g c2 CLAIM 40000 STREAMS s >", "[[s [[5-0 [f 5] * :1]]]]")?;
    // The rest by time, then those that were just claimed, in the order of that.
    c.is(
        "XREADGROUP GROUP g c3 CLAIM 0 STREAMS s >",
        "[[s [[3-0 [f 3] * :1] [6-0 [f 6] * :1] [1-0 [f 1] * :2] [2-0 [f 2] * :2] \
          [4-0 [f 4] * :2] [5-0 [f 5] * :2]]]]",
    )
}

fn g146(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.entries("s", 1..=1)?;
    let error = "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.";
    let claim = error.replace("GROUP option", "CLAIM option");
    c.err("XREAD CLAIM 0 STREAMS s 0", &claim)?;
    c.err("XREAD COUNT 1 CLAIM 10 STREAMS s 0", &claim)?;
    c.err("XREAD GROUP g c STREAMS s 0", error)?;
    c.err("XREAD NOACK STREAMS s 0", &error.replace("GROUP option", "NOACK option"))?;
    c.is("XREAD STREAMS s 0", "[[s [[1-0 [f 1]]]]]")
}
