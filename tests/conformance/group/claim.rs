//! `XCLAIM` and `XAUTOCLAIM`: who may take a delivery over, and what is left of one whose entry is
//! gone.

use super::is_young;
use crate::client::{Client, Outcome, ensure};
use crate::env::{Env, sleep_ms};
use crate::registry::Numbered;

pub(super) const TESTS: &[Numbered] = &[
    Numbered::new("g57", "XCLAIM can claim PEL items from another consumer", g57),
    Numbered::new("g58", "XCLAIM without JUSTID increments delivery count", g58),
    Numbered::new("g59", "XCLAIM same consumer", g59),
    Numbered::new("g60", "XAUTOCLAIM can claim PEL items from another consumer", g60),
    Numbered::new("g61", "XAUTOCLAIM as an iterator", g61),
    Numbered::new("g62", "XAUTOCLAIM COUNT must be > 0", g62),
    Numbered::new("g63", "XCLAIM with XDEL", g63),
    Numbered::new("g64", "XCLAIM with trimming", g64),
    Numbered::new("g65", "XAUTOCLAIM with XDEL", g65),
    Numbered::new("g66", "XAUTOCLAIM with XDEL and count", g66),
    Numbered::new("g67", "XAUTOCLAIM with out of range count", g67),
    Numbered::new("g68", "XAUTOCLAIM with trimming", g68),
];

/// Stream `s` with the entries 1-0 to `n`-0, all of them with Alice in group `g`.
fn alice(c: &mut Client, n: u64) -> Outcome {
    c.entries("s", 1..=n)?;
    c.ok("XGROUP CREATE s g 0")?;
    c.at("XREADGROUP GROUP g Alice STREAMS s >", &format!("0.1.{}.0", n - 1), format!("{n}-0"))
}

fn g57(env: &mut Env<'_>) -> Outcome {
    let young = is_young(env);
    let c = &mut env.c;
    c.entries("s", 1..=3)?;
    c.ok("XGROUP CREATE s g 0")?;
    // Too young: the record stays where it is, and the answer is empty.
    c.is("XREADGROUP GROUP g c1 COUNT 1 STREAMS s >", "[[s [[1-0 [f 1]]]]]")?;
    c.is("XCLAIM s g c2 100000 1-0", "[]")?;
    c.is("XPENDING s g - + 10", "[[1-0 c1 :0..99999 :1]]")?;
    sleep_ms(30);
    c.is("XCLAIM s g c2 20 1-0", "[[1-0 [f 1]]]")?;
    c.is("XPENDING s g - + 10", "[[1-0 c2 :0..15000 :2]]")?;
    // Its time begins anew, so a third who asks for age does not get it.
    c.is("XCLAIM s g c3 15000 1-0", "[]")?;
    c.is("XREADGROUP GROUP g c1 STREAMS s 0", "[[s []]]")?;
    // The entry is gone: no claim of it, and no record any more.
    c.is("XREADGROUP GROUP g c1 COUNT 2 STREAMS s >", "[[s [[2-0 [f 2]] [3-0 [f 3]]]]]")?;
    c.is("XDEL s 2-0", ":1")?;
    c.is("XCLAIM s g c2 0 2-0 3-0", "[[3-0 [f 3]]]")?;
    c.is("XPENDING s g", "[:2 1-0 3-0 [[c2 2]]]")?;
    c.is("XDEL s 3-0", ":1")?;
    // Nor if it is too young to be claimed.
    c.is("XCLAIM s g c1 100000 3-0", "[]")?;
    c.is("XPENDING s g", "[:1 1-0 1-0 [[c2 1]]]")?;
    // What nobody has is not claimed. Who asks is a consumer, since 7.2 also if he gets nothing.
    c.is("XCLAIM s g c4 0 9-0", "[]")?;
    let all = if young { "[c1 c2 c3 c4]" } else { "[c1 c2]" };
    c.each("XINFO CONSUMERS s g", "name", all)?;
    c.err("XCLAIM s none c 0 1-0", "NOGROUP No such key 's' or consumer group 'none'")?;
    c.err("XCLAIM s g c x 1-0", "ERR Invalid min-idle-time argument for XCLAIM")?;
    c.err("XCLAIM s g c 0 1-0 bad", "ERR Unrecognized XCLAIM option 'bad'")?;
    c.err("XCLAIM s g c 0 1-0 IDLE x", "ERR Invalid IDLE option argument for XCLAIM")?;
    c.err("XCLAIM s g c 0 1-0 TIME x", "ERR Invalid TIME option argument for XCLAIM")?;
    c.err("XCLAIM s g c 0 1-0 RETRYCOUNT x", "ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
    c.err("XCLAIM s g c 0", "ERR wrong number of arguments for 'xclaim' command")
}

fn g58(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    alice(c, 1)?;
    c.is("XPENDING s g - + 10", "[[1-0 Alice :0..99999 :1]]")?;
    c.is("XCLAIM s g Bob 0 1-0", "[[1-0 [f 1]]]")?;
    c.is("XPENDING s g - + 10", "[[1-0 Bob :0..99999 :2]]")?;
    // Only the ID: looking at it is no delivery.
    c.is("XCLAIM s g Carol 0 1-0 JUSTID", "[1-0]")?;
    c.is("XPENDING s g - + 10", "[[1-0 Carol :0..99999 :2]]")?;
    c.is("XCLAIM s g Bob 0 1-0 RETRYCOUNT 7", "[[1-0 [f 1]]]")?;
    c.is("XPENDING s g - + 10", "[[1-0 Bob :0..99999 :7]]")?;
    c.is("XCLAIM s g Bob 0 1-0 RETRYCOUNT 3 JUSTID", "[1-0]")?;
    c.is("XPENDING s g - + 10", "[[1-0 Bob :0..99999 :3]]")?;
    // A record that is made by force: delivered, or only named.
    c.entries("s", 2..=3)?;
    c.is("XCLAIM s g Bob 0 2-0", "[]")?;
    c.is("XCLAIM s g Bob 0 2-0 FORCE", "[[2-0 [f 2]]]")?;
    c.is("XCLAIM s g Bob 0 3-0 FORCE JUSTID", "[3-0]")?;
    c.is("XCLAIM s g Bob 0 4-0 FORCE", "[]")?;
    c.is("XPENDING s g 2 + 10", "[[2-0 Bob :0..99999 :2] [3-0 Bob :0..99999 :1]]")?;
    // The cursor moves by LASTID alone, and only forward.
    c.at("XINFO GROUPS s", "0.last-delivered-id", "1-0")?;
    c.is("XCLAIM s g Bob 0 9-0 LASTID 2-0", "[]")?;
    c.at("XINFO GROUPS s", "0.last-delivered-id", "2-0")?;
    c.is("XCLAIM s g Bob 0 9-0 LASTID 1-0", "[]")?;
    c.at("XINFO GROUPS s", "0.last-delivered-id", "2-0")
}

fn g59(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    alice(c, 2)?;
    c.is("XCLAIM s g Alice 0 1-0 2-0 IDLE 600000 JUSTID", "[1-0 2-0]")?;
    // Claiming what one has is no error: the time begins anew.
    c.is("XCLAIM s g Alice 500000 1-0", "[[1-0 [f 1]]]")?;
    c.is("XPENDING s g - + 10", "[[1-0 Alice :0..99999 :2] [2-0 Alice :600000..699999 :1]]")?;
    c.is("XPENDING s g", "[:2 1-0 2-0 [[Alice 2]]]")?;
    c.is("XCLAIM s g Alice 500000 1-0 2-0", "[[2-0 [f 2]]]")?;
    c.is("XREADGROUP GROUP g Alice STREAMS s 0", "[[s [[1-0 [f 1]] [2-0 [f 2]]]]]")?;
    c.each("XINFO CONSUMERS s g", "pending", "[:2]")?;
    // Of two times the later word counts; what lies before 1970 or in the future is now.
    for (words, idle) in [
        ("TIME 1000 IDLE 700000", ":700000..799999"),
        ("IDLE 700000 TIME 1000", ":1000000000000..9999999999999"),
        ("IDLE 9223372036854775807", ":0..99999"),
        ("TIME 9223372036854775807", ":0..99999"),
        ("TIME -1", ":0..99999"),
    ] {
        c.is(format!("XCLAIM s g Alice -5 1-0 {words} JUSTID"), "[1-0]")?;
        c.at("XPENDING s g - + 1", "0.2", idle)?;
    }
    Ok(())
}

fn g60(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.entries("s", 1..=4)?;
    c.ok("XGROUP CREATE s g 0")?;
    c.is("XREADGROUP GROUP g c1 COUNT 1 STREAMS s >", "[[s [[1-0 [f 1]]]]]")?;
    c.is("XAUTOCLAIM s g c2 100000 - COUNT 1", "[0-0 [] []]")?;
    c.is("XPENDING s g - + 10", "[[1-0 c1 :0..99999 :1]]")?;
    sleep_ms(30);
    // There is but one record, so the scan has come to its end.
    c.is("XAUTOCLAIM s g c2 20 - COUNT 1", "[0-0 [[1-0 [f 1]]] []]")?;
    c.is("XPENDING s g - + 10", "[[1-0 c2 :0..15000 :2]]")?;
    c.at("XREADGROUP GROUP g c1 COUNT 3 STREAMS s >", "0.1", "[[2-0 *] [3-0 *] [4-0 *]]")?;
    sleep_ms(30);
    c.is("XDEL s 2-0", ":1")?;
    c.is("XAUTOCLAIM s g c2 20 - COUNT 3", "[4-0 [[1-0 [f 1]] [3-0 [f 3]]] [2-0]]")?;
    c.is("XPENDING s g", "[:3 1-0 4-0 [[c1 1] [c2 2]]]")?;
    c.is("XDEL s 4-0", ":1")?;
    c.is("XAUTOCLAIM s g c2 0 - JUSTID", "[0-0 [1-0 3-0] [4-0]]")?;
    c.is("XPENDING s g - + 10", "[[1-0 c2 :0..99999 :3] [3-0 c2 :0..99999 :2]]")
}

fn g61(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    alice(c, 5)?;
    c.is("XAUTOCLAIM s g Bob 0 - COUNT 2", "[3-0 [[1-0 [f 1]] [2-0 [f 2]]] []]")?;
    c.is("XPENDING s g", "[:5 1-0 5-0 [[Alice 3] [Bob 2]]]")?;
    c.is("XAUTOCLAIM s g Bob 0 3-0 COUNT 2", "[5-0 [[3-0 [f 3]] [4-0 [f 4]]] []]")?;
    c.is("XAUTOCLAIM s g Bob 0 5-0 COUNT 1", "[0-0 [[5-0 [f 5]]] []]")?;
    c.is("XPENDING s g", "[:5 1-0 5-0 [[Bob 5]]]")?;
    // Without a count it is a hundred, and the start may leave its own place out.
    c.is("XAUTOCLAIM s g Eve 0 (4-0 JUSTID", "[0-0 [5-0] []]")?;
    c.is("XAUTOCLAIM s g Eve 0 + JUSTID", "[0-0 [] []]")?;
    // What is too young is passed over, and uses up no count.
    c.is("XCLAIM s g Bob 0 4-0 IDLE 600000 JUSTID", "[4-0]")?;
    c.is("XAUTOCLAIM s g Eve 500000 - COUNT 1 JUSTID", "[5-0 [4-0] []]")?;
    c.is("XAUTOCLAIM s g Eve 500000 5-0 COUNT 1 JUSTID", "[0-0 [] []]")?;
    c.each("XINFO CONSUMERS s g", "name", "[Alice Bob Eve]")?;
    // Ten records are looked at for each that is wanted, however young they are.
    c.entries("s", 6..=30)?;
    c.at("XREADGROUP GROUP g Alice STREAMS s >", "0.1.24.0", "30-0")?;
    c.is("XAUTOCLAIM s g Eve 500000 6-0 COUNT 1", "[16-0 [] []]")?;
    c.is("XAUTOCLAIM s g Eve 500000 6-0 COUNT 2", "[26-0 [] []]")?;
    c.is("XAUTOCLAIM s g Eve 500000 16-0 COUNT 2", "[0-0 [] []]")
}

fn g62(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    // Whether there is such a key is asked later.
    for count in ["0", "-1", "-9223372036854775808", "x", "1.5", "\"\"", "007"] {
        c.err(format!("XAUTOCLAIM key g c 1 1 COUNT {count}"), "ERR COUNT must be > 0")?;
    }
    c.err("XAUTOCLAIM key g c 1 1 COUNT", "ERR syntax error")?;
    c.err("XAUTOCLAIM key g c 1 1 FOO", "ERR syntax error")?;
    c.err("XAUTOCLAIM key g c x 1", "ERR Invalid min-idle-time argument for XAUTOCLAIM")?;
    c.err("XAUTOCLAIM key g c 1 x", "ERR Invalid stream ID specified as stream command argument")?;
    c.err("XAUTOCLAIM key g c 1 1", "NOGROUP No such key 'key' or consumer group 'g'")?;
    c.err("XAUTOCLAIM key g c 1", "ERR wrong number of arguments for 'xautoclaim' command")?;
    c.is("EXISTS key", ":0")
}

fn g63(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    alice(c, 3)?;
    c.is("XDEL s 2-0", ":1")?;
    c.is("XCLAIM s g Bob 0 1-0 2-0 3-0", "[[1-0 [f 1]] [3-0 [f 3]]]")?;
    c.is("XPENDING s g - + 10", "[[1-0 Bob :0..99999 :2] [3-0 Bob :0..99999 :2]]")?;
    c.is("XPENDING s g - + 10 Alice", "[]")?;
    c.is("XREADGROUP GROUP g Bob STREAMS s 0", "[[s [[1-0 [f 1]] [3-0 [f 3]]]]]")?;
    // Force makes no record of what is not there.
    c.is("XCLAIM s g Bob 0 2-0 FORCE JUSTID", "[]")?;
    c.is("XPENDING s g", "[:2 1-0 3-0 [[Bob 2]]]")
}

fn g64(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    // One entry in a node, so that ~ is exact.
    c.ok("CONFIG SET stream-node-max-entries 1")?;
    alice(c, 3)?;
    c.is("XTRIM s MAXLEN ~ 1", ":2")?;
    c.is("XPENDING s g", "[:3 1-0 3-0 [[Alice 3]]]")?;
    c.is("XCLAIM s g Bob 0 1-0 2-0 3-0", "[[3-0 [f 3]]]")?;
    c.is("XPENDING s g - + 10", "[[3-0 Bob :0..99999 :2]]")?;
    c.is("XPENDING s g - + 10 Alice", "[]")
}

fn g65(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    alice(c, 3)?;
    c.is("XDEL s 2-0", ":1")?;
    c.is("XAUTOCLAIM s g Bob 0 0", "[0-0 [[1-0 [f 1]] [3-0 [f 3]]] [2-0]]")?;
    c.is("XPENDING s g - + 10", "[[1-0 Bob :0..99999 :2] [3-0 Bob :0..99999 :2]]")?;
    c.is("XPENDING s g - + 10 Alice", "[]")?;
    // However young the record is of what is gone.
    c.is("XDEL s 1-0", ":1")?;
    c.is("XAUTOCLAIM s g Alice 100000 0", "[0-0 [] [1-0]]")?;
    c.is("XPENDING s g", "[:1 3-0 3-0 [[Bob 1]]]")
}

fn g66(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    alice(c, 3)?;
    c.is("XDEL s 1-0 2-0", ":2")?;
    c.is("XAUTOCLAIM s g Bob 0 0 COUNT 1", "[2-0 [] [1-0]]")?;
    c.is("XPENDING s g", "[:2 2-0 3-0 [[Alice 2]]]")?;
    c.is("XAUTOCLAIM s g Bob 0 2-0 COUNT 1", "[3-0 [] [2-0]]")?;
    c.is("XAUTOCLAIM s g Bob 0 3-0 COUNT 1", "[0-0 [[3-0 [f 3]]] []]")?;
    c.is("XPENDING s g - + 10", "[[3-0 Bob :0..99999 :2]]")?;
    c.is("XPENDING s g - + 10 Alice", "[]")
}

fn g67(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.entries("s", 1..=1)?;
    c.ok("XGROUP CREATE s g 0")?;
    for count in [i64::MAX as u64, i64::MAX as u64 + 1, i64::MAX as u64 / 16 + 1] {
        c.err(format!("XAUTOCLAIM s g c 0 0 COUNT {count}"), "ERR COUNT must be > 0")?;
    }
    c.err("XAUTOCLAIM nokey g c 0 0 COUNT 9223372036854775807", "ERR COUNT must be > 0")?;
    c.is("XINFO CONSUMERS s g", "[]")?;
    c.is("XAUTOCLAIM s g c 0 0 COUNT 1000", "[0-0 [] []]")
}

fn g68(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.ok("CONFIG SET stream-node-max-entries 1")?;
    alice(c, 3)?;
    c.is("XTRIM s MAXLEN 1", ":2")?;
    c.is("XAUTOCLAIM s g Bob 0 0", "[0-0 [[3-0 [f 3]]] [1-0 2-0]]")?;
    c.is("XPENDING s g - + 10", "[[3-0 Bob :0..99999 :2]]")?;
    c.is("XPENDING s g - + 10 Alice", "[]")?;
    let nothing = c.ask("XAUTOCLAIM s g Bob 0 (3-0")?.to_string();
    ensure(nothing == "[0-0 [] []]", nothing)
}
