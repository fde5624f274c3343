//! What is delivered, what stays pending, and what an acknowledgement takes away.

use crate::client::{Client, Outcome};
use crate::env::Env;
use crate::registry::Numbered;

pub(super) const TESTS: &[Numbered] = &[
    Numbered::new("g23", "XREADGROUP will return only new elements", g23),
    Numbered::new("g24", "XREADGROUP can read the history of the elements we own", g24),
    Numbered::new("g25", "XPENDING is able to return pending items", g25),
    Numbered::new("g26", "XPENDING can return single consumer items", g26),
    Numbered::new("g27", "XPENDING only group", g27),
    Numbered::new("g28", "XPENDING with IDLE", g28),
    Numbered::new("g29", "XPENDING with exclusive range intervals works as expected", g29),
    Numbered::new("g30", "XACK is able to remove items from the consumer/group PEL", g30),
    Numbered::new("g31", "XACK can't remove the same item multiple times", g31),
    Numbered::new("g32", "XACK is able to accept multiple arguments", g32),
    Numbered::new("g33", "XACK should fail if got at least one invalid ID", g33),
    Numbered::new("g34", "PEL NACK reassignment after XGROUP SETID event", g34),
    Numbered::new("g35", "XREADGROUP will not report data on empty history", g35),
    Numbered::new("g36", "XREADGROUP history reporting of deleted entries", g36),
];

/// Stream `s` with four entries, of which consumer `c1` has 1-0 and 2-0, `c2` has 3-0 and 4-0.
fn shared(c: &mut Client) -> Outcome {
    c.entries("s", 1..=4)?;
    c.is("XGROUP CREATE s g 0", "+OK")?;
    c.is("XREADGROUP GROUP g c1 COUNT 2 STREAMS s >", "[[s [[1-0 [f 1]] [2-0 [f 2]]]]]")?;
    c.is("XREADGROUP GROUP g c2 COUNT 2 STREAMS s >", "[[s [[3-0 [f 3]] [4-0 [f 4]]]]]")?;
    Ok(())
}

fn g23(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.entries("s", 1..=1)?;
    // Of a group that begins behind the first entry.
    c.is("XGROUP CREATE s g $", "+OK")?;
    c.is("XREADGROUP GROUP g c1 STREAMS s >", "nil*")?;
    c.is("XPENDING s g", "[:0 nil nil nil*]")?;
    c.entries("s", 2..=3)?;
    c.is("XREADGROUP GROUP g c1 STREAMS s >", "[[s [[2-0 [f 2]] [3-0 [f 3]]]]]")?;
    c.is("XREADGROUP GROUP g c1 STREAMS s >", "nil*")?;
    c.is("XREADGROUP GROUP g c2 STREAMS s >", "nil*")?;
    c.entries("s", 4..=6)?;
    c.is("XREADGROUP GROUP g c2 COUNT 1 STREAMS s >", "[[s [[4-0 [f 4]]]]]")?;
    c.is("XREADGROUP GROUP g c1 COUNT 10 STREAMS s >", "[[s [[5-0 [f 5]] [6-0 [f 6]]]]]")?;
    c.is("XPENDING s g", "[:5 2-0 6-0 [[c1 4] [c2 1]]]")?;
    Ok(())
}

fn g24(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    shared(c)?;
    c.is("XREADGROUP GROUP g c1 STREAMS s 0", "[[s [[1-0 [f 1]] [2-0 [f 2]]]]]")?;
    c.is("XREADGROUP GROUP g c2 STREAMS s 0", "[[s [[3-0 [f 3]] [4-0 [f 4]]]]]")?;
    c.is("XREADGROUP GROUP g c1 COUNT 1 STREAMS s 0", "[[s [[1-0 [f 1]]]]]")?;
    // The position itself is not part of it.
    c.is("XREADGROUP GROUP g c1 STREAMS s 1-0", "[[s [[2-0 [f 2]]]]]")?;
    c.is("XREADGROUP GROUP g c1 STREAMS s 2-0", "[[s []]]")?;
    c.is("XREADGROUP GROUP g c2 COUNT 1 STREAMS s 1-0", "[[s [[3-0 [f 3]]]]]")?;
    c.is("XREADGROUP GROUP g c3 STREAMS s 0", "[[s []]]")?;
    // The cursor has not moved, and each look counts as a delivery.
    c.counts("s", "g", ":4", ":0")?;
    c.is(
        "XPENDING s g - + 10",
        "[[1-0 c1 :0..60000 :3] [2-0 c1 :0..60000 :3] [3-0 c2 :0..60000 :3] [4-0 c2 :0..60000 :2]]",
    )?;
    Ok(())
}

fn g25(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    shared(c)?;
    c.is(
        "XPENDING s g - + 10",
        "[[1-0 c1 :0..60000 :1] [2-0 c1 :0..60000 :1] [3-0 c2 :0..60000 :1] [4-0 c2 :0..60000 :1]]",
    )?;
    c.is("XPENDING s g 2 3 10", "[[2-0 c1 :0..99999 :1] [3-0 c2 :0..99999 :1]]")?;
    c.is("XPENDING s g - + 2", "[[1-0 c1 :0..99999 :1] [2-0 c1 :0..99999 :1]]")?;
    c.is("XPENDING s g + - 10", "[]")?;
    c.is("XPENDING s g - + 0", "[]")?;
    c.is("XPENDING s g - + -1", "[]")?;
    c.is("XPENDING s none - + 10", "-NOGROUP No such key 's' or consumer group 'none'")?;
    c.is("XPENDING none g", "-NOGROUP No such key 'none' or consumer group 'g'")?;
    c.is("XPENDING s g - +", "-ERR syntax error")?;
    c.is("XPENDING s g -", "-ERR syntax error")?;
    c.is("XPENDING s g - + x", "-ERR value is not an integer or out of range")?;
    c.is("XPENDING s g bad + 10", "-ERR Invalid stream ID specified as stream command argument")?;
    c.is("XPENDING s", "-ERR wrong number of arguments for 'xpending' command")?;
    Ok(())
}

fn g26(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    shared(c)?;
    c.is("XPENDING s g - + 10 c1", "[[1-0 c1 :0..99999 :1] [2-0 c1 :0..99999 :1]]")?;
    c.is("XPENDING s g - + 10 c2", "[[3-0 c2 :0..99999 :1] [4-0 c2 :0..99999 :1]]")?;
    c.is("XPENDING s g - + 1 c2", "[[3-0 c2 :0..99999 :1]]")?;
    c.is("XPENDING s g 4 + 10 c2", "[[4-0 c2 :0..99999 :1]]")?;
    c.is("XPENDING s g - + 10 nobody", "[]")?;
    // One word more is not looked at, two are too many.
    c.is("XPENDING s g - + 10 c1 more", "[[1-0 c1 :0..99999 :1] [2-0 c1 :0..99999 :1]]")?;
    c.is("XPENDING s g - + 1 c1 more more", "[[1-0 c1 :0..99999 :1]]")?;
    c.is("XPENDING s g - + 1 c1 more more more", "-ERR syntax error")?;
    c.is("XACK s g 3-0", ":1")?;
    c.is("XPENDING s g - + 10 c2", "[[4-0 c2 :0..99999 :1]]")?;
    // Who asks is not made a consumer.
    c.each("XINFO CONSUMERS s g", "name", "[c1 c2]")?;
    Ok(())
}

fn g27(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    shared(c)?;
    c.is("XPENDING s g", "[:4 1-0 4-0 [[c1 2] [c2 2]]]")?;
    c.is("XACK s g 1-0 3-0 4-0", ":3")?;
    // A consumer without any is left out.
    c.is("XPENDING s g", "[:1 2-0 2-0 [[c1 1]]]")?;
    c.is("XACK s g 2-0", ":1")?;
    c.is("XPENDING s g", "[:0 nil nil nil*]")?;
    // By the order of the names.
    c.is("XADD s 5-0 f 5", "5-0")?;
    c.is("XADD s 6-0 f 6", "6-0")?;
    c.is("XREADGROUP GROUP g b COUNT 1 STREAMS s >", "[[s [[5-0 [f 5]]]]]")?;
    c.is("XREADGROUP GROUP g B COUNT 1 STREAMS s >", "[[s [[6-0 [f 6]]]]]")?;
    c.is("XPENDING s g", "[:2 5-0 6-0 [[B 1] [b 1]]]")?;
    Ok(())
}

fn g28(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    shared(c)?;
    // No need to wait for age: a claim may set it.
    c.is("XCLAIM s g c1 0 2-0 IDLE 600000 JUSTID", "[2-0]")?;
    c.is("XCLAIM s g c2 0 4-0 IDLE 300000 JUSTID", "[4-0]")?;
    c.is(
        "XPENDING s g IDLE 200000 - + 10",
        "[[2-0 c1 :600000..660000 :1] [4-0 c2 :300000..360000 :1]]",
    )?;
    c.is("XPENDING s g IDLE 500000 - + 10", "[[2-0 c1 :600000..660000 :1]]")?;
    c.is("XPENDING s g IDLE 200000 - + 10 c2", "[[4-0 c2 :300000..360000 :1]]")?;
    c.is("XPENDING s g IDLE 500000 - + 10 c2", "[]")?;
    c.is("XPENDING s g IDLE 99999999 - + 10 c1", "[]")?;
    // What is left out does not use up the count.
    c.is("XPENDING s g IDLE 200000 - + 1", "[[2-0 c1 * :1]]")?;
    c.is("XPENDING s g IDLE 200000 (2-0 + 1", "[[4-0 c2 * :1]]")?;
    c.is("XPENDING s g IDLE 0 - + 10", "[[1-0 ...] [2-0 ...] [3-0 ...] [4-0 ...]]")?;
    c.is("XPENDING s g IDLE 1 - +", "-ERR syntax error")?;
    c.is("XPENDING s g IDLE x - + 10", "-ERR value is not an integer or out of range")?;
    c.is("XPENDING s g FOO 1 - + 10", "-ERR value is not an integer or out of range")?;
    Ok(())
}

fn g29(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    shared(c)?;
    c.is(
        "XPENDING s g (1-0 + 10",
        "[[2-0 c1 :0..99999 :1] [3-0 c2 :0..99999 :1] [4-0 c2 :0..99999 :1]]",
    )?;
    c.is(
        "XPENDING s g - (4-0 10",
        "[[1-0 c1 :0..99999 :1] [2-0 c1 :0..99999 :1] [3-0 c2 :0..99999 :1]]",
    )?;
    c.is("XPENDING s g (1-0 (4-0 10", "[[2-0 c1 :0..99999 :1] [3-0 c2 :0..99999 :1]]")?;
    c.is("XPENDING s g (1-0 (4-0 10 c2", "[[3-0 c2 :0..99999 :1]]")?;
    c.is("XPENDING s g (2-0 (3-0 10", "[]")?;
    c.is("XPENDING s g (1 2 10", "[[2-0 c1 :0..99999 :1]]")?;
    c.is("XPENDING s g (3 (4 10", "[[4-0 c2 :0..99999 :1]]")?;
    let max = u64::MAX;
    c.is(format!("XPENDING s g ({max}-{max} + 10"), "-ERR invalid start ID for the interval")?;
    c.is("XPENDING s g - (0-0 10", "-ERR invalid end ID for the interval")?;
    let invalid = "-ERR Invalid stream ID specified as stream command argument";
    c.is("XPENDING s g (- + 10", invalid)?;
    c.is("XPENDING s g - (+ 10", invalid)?;
    Ok(())
}

fn g30(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    shared(c)?;
    c.is("XACK s g 1-0", ":1")?;
    c.is("XREADGROUP GROUP g c1 STREAMS s 0", "[[s [[2-0 [f 2]]]]]")?;
    c.is("XPENDING s g", "[:3 2-0 4-0 [[c1 1] [c2 2]]]")?;
    c.is("XPENDING s g - + 10 c1", "[[2-0 c1 :0..99999 :2]]")?;
    // Whoever asks may acknowledge what anybody has.
    c.is("XACK s g 4-0", ":1")?;
    c.is("XPENDING s g", "[:2 2-0 3-0 [[c1 1] [c2 1]]]")?;
    c.is("XACK s none 2-0", ":0")?;
    c.is("XACK none g 2-0", ":0")?;
    c.is("XACK s g 9-9", ":0")?;
    // Half an ID is one, and the entries stay where they are.
    c.is("XACK s g 2", ":1")?;
    c.is("XLEN s", ":4")?;
    c.is("XACK s g", "-ERR wrong number of arguments for 'xack' command")?;
    Ok(())
}

fn g31(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    shared(c)?;
    c.is("XACK s g 1-0", ":1")?;
    c.is("XACK s g 1-0", ":0")?;
    c.is("XACK s g 2-0 2-0 2-0", ":1")?;
    c.is("XACK s g 2-0 1-0", ":0")?;
    c.is("XPENDING s g", "[:2 3-0 4-0 [[c2 2]]]")?;
    Ok(())
}

fn g32(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    shared(c)?;
    c.is("XACK s g 1-0 2-0 1-0 9-0 3-0", ":3")?;
    c.is("XPENDING s g", "[:1 4-0 4-0 [[c2 1]]]")?;
    c.is("XACK s g 1-0 2-0 3-0 4-0", ":1")?;
    c.is("XPENDING s g", "[:0 nil nil nil*]")?;
    c.is("XREADGROUP GROUP g c1 STREAMS s 0", "[[s []]]")?;
    c.is("XREADGROUP GROUP g c2 STREAMS s 0", "[[s []]]")?;
    Ok(())
}

fn g33(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    shared(c)?;
    let invalid = "-ERR Invalid stream ID specified as stream command argument";
    for bad in ["invalid-id", "-", "+", "$", ">", "\"\"", "1-0-0"] {
        c.is(format!("XACK s g 1-0 2-0 {bad}"), invalid)?;
        c.is(format!("XACK s g {bad} 3-0"), invalid)?;
    }
    // All or nothing.
    c.is("XPENDING s g", "[:4 1-0 4-0 [[c1 2] [c2 2]]]")?;
    // Where there is nothing to acknowledge nobody looks at the IDs.
    c.is("XACK none g invalid-id", ":0")?;
    c.is("XACK s none invalid-id", ":0")?;
    c.is("XACK s g 1-0 2-0", ":2")?;
    Ok(())
}

fn g34(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.entries("s", 1..=3)?;
    c.is("XGROUP CREATE s g 0", "+OK")?;
    let all = "[[s [[1-0 [f 1]] [2-0 [f 2]] [3-0 [f 3]]]]]";
    c.is("XREADGROUP GROUP g c1 STREAMS s >", all)?;
    c.is("XREADGROUP GROUP g c1 STREAMS s 0", all)?;
    c.is("XPENDING s g 1 1 1", "[[1-0 c1 :0..99999 :2]]")?;
    // Back to the beginning: whoever reads now gets the records, as if they were new.
    c.is("XGROUP SETID s g -", "+OK")?;
    c.is("XREADGROUP GROUP g c2 COUNT 2 STREAMS s >", "[[s [[1-0 [f 1]] [2-0 [f 2]]]]]")?;
    c.is("XPENDING s g", "[:3 1-0 3-0 [[c1 1] [c2 2]]]")?;
    c.is(
        "XPENDING s g - + 10",
        "[[1-0 c2 :0..60000 :1] [2-0 c2 :0..60000 :1] [3-0 c1 :0..60000 :2]]",
    )?;
    c.is("XREADGROUP GROUP g c2 STREAMS s >", "[[s [[3-0 [f 3]]]]]")?;
    c.is("XPENDING s g", "[:3 1-0 3-0 [[c2 3]]]")?;
    c.is("XREADGROUP GROUP g c1 STREAMS s 0", "[[s []]]")?;
    c.each("XINFO CONSUMERS s g", "pending", "[:0 :3]")?;
    // To the end: nothing is new, and nothing is forgotten.
    c.is("XGROUP SETID s g +", "+OK")?;
    c.is("XREADGROUP GROUP g c1 STREAMS s >", "nil*")?;
    c.is("XPENDING s g", "[:3 1-0 3-0 [[c2 3]]]")?;
    c.is("XGROUP SETID s g bad", "-ERR Invalid stream ID specified as stream command argument")?;
    Ok(())
}

fn g35(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.entries("s", 1..=2)?;
    c.is("XGROUP CREATE s g 0", "+OK")?;
    c.is("XREADGROUP GROUP g c STREAMS s 0", "[[s []]]")?;
    c.is("XREADGROUP GROUP g c COUNT 1 STREAMS s >", "[[s [[1-0 [f 1]]]]]")?;
    c.is("XREADGROUP GROUP g c STREAMS s 0", "[[s [[1-0 [f 1]]]]]")?;
    c.is("XACK s g 1-0", ":1")?;
    // Empty again: the stream is named, and nothing is in it.
    c.is("XREADGROUP GROUP g c STREAMS s 0", "[[s []]]")?;
    c.is("XREADGROUP GROUP g c BLOCK 0 STREAMS s 0", "[[s []]]")?;
    c.is("XREADGROUP GROUP g c STREAMS s 5-0", "[[s []]]")?;
    c.is("XREADGROUP GROUP g other STREAMS s 0", "[[s []]]")?;
    Ok(())
}

fn g36(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.entries("s", 1..=3)?;
    c.is("XGROUP CREATE s g 0", "+OK")?;
    c.is("XREADGROUP GROUP g c STREAMS s >", "[[s [[1-0 [f 1]] [2-0 [f 2]] [3-0 [f 3]]]]]")?;
    c.is("XDEL s 1-0", ":1")?;
    c.is("XREADGROUP GROUP g c STREAMS s 0", "[[s [[1-0 nil*] [2-0 [f 2]] [3-0 [f 3]]]]]")?;
    c.is("XDEL s 3-0", ":1")?;
    c.is("XREADGROUP GROUP g c STREAMS s 0-1", "[[s [[1-0 nil*] [2-0 [f 2]] [3-0 nil*]]]]")?;
    // It counts for COUNT, and its record stays as it was.
    c.is("XREADGROUP GROUP g c COUNT 1 STREAMS s 0", "[[s [[1-0 nil*]]]]")?;
    c.is(
        "XPENDING s g - + 10",
        "[[1-0 c :0..99999 :1] [2-0 c :0..99999 :3] [3-0 c :0..99999 :2]]",
    )?;
    c.is("XTRIM s MAXLEN 0", ":1")?;
    c.is("XREADGROUP GROUP g c STREAMS s 0", "[[s [[1-0 nil*] [2-0 nil*] [3-0 nil*]]]]")?;
    c.is("XACK s g 1-0 3-0", ":2")?;
    c.is("XREADGROUP GROUP g c STREAMS s 0", "[[s [[2-0 nil*]]]]")?;
    Ok(())
}
