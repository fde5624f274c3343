//! `XREADGROUP` with `MAXCOUNT` and `MAXSIZE`: how much one call takes over all its streams.

use crate::client::{Client, Outcome};
use crate::env::Env;
use crate::registry::Numbered;

pub(super) const TESTS: &[Numbered] = &[
    Numbered::new("g18", "XREADGROUP MAXCOUNT/MAXSIZE parameter validation", g18).since(8, 10),
    Numbered::new("g19", "XREADGROUP MAXCOUNT caps new and history reads across streams", g19)
        .since(8, 10),
    Numbered::new("g20", "XREADGROUP MAXSIZE limits the reply size across streams", g20)
        .since(8, 10),
    Numbered::new("g21", "XREADGROUP MAXSIZE still returns a single oversized message", g21)
        .since(8, 10),
    Numbered::new("g22", "XREADGROUP MAXCOUNT honored after blocking unblock", g22).since(8, 10),
];

/// Streams `a` and `b` of `n` entries each, with fields of `len` bytes and a group that has read
/// nothing.
fn two_streams(c: &mut Client, n: u64, len: usize) -> Outcome {
    let value = "x".repeat(len);
    for key in ["a", "b"] {
        for i in 1..=n {
            c.is(format!("XADD {key} {i}-0 f {value}"), format!("{i}-0"))?;
        }
        c.is(format!("XGROUP CREATE {key} g 0"), "+OK")?;
    }
    Ok(())
}

/// What a reply of one stream may look like: its IDs `from..=to`.
fn part(key: &str, from: u64, to: u64, len: usize) -> String {
    let value = "x".repeat(len);
    let entries: Vec<_> = (from..=to).map(|i| format!("[{i}-0 [f {value}]]")).collect();
    format!("[{key} [{}]]", entries.join(" "))
}

fn g18(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    two_streams(c, 3, 1)?;
    for word in ["MAXCOUNT", "MAXSIZE"] {
        let positive = format!("-ERR {word} must be a positive integer");
        for (value, want) in [
            ("abc", "-ERR value is not an integer or out of range"),
            ("1.5", "-ERR value is not an integer or out of range"),
            ("+1", "-ERR value is not an integer or out of range"),
            ("9223372036854775808", "-ERR value is not an integer or out of range"),
            ("STREAMS", "-ERR value is not an integer or out of range"),
            ("0", &positive),
            ("-1", &positive),
        ] {
            c.is(format!("XREADGROUP GROUP g c {word} {value} STREAMS a >"), want)?;
        }
        c.is(format!("XREADGROUP GROUP g c COUNT 1 {word}"), "-ERR syntax error")?;
    }
    let less = "-ERR MAXCOUNT must be greater than or equal to COUNT";
    c.is("XREADGROUP GROUP g c COUNT 2 MAXCOUNT 1 STREAMS a >", less)?;
    c.is("XREADGROUP GROUP g c MAXCOUNT 1 COUNT 2 STREAMS a >", less)?;
    c.is("XREAD MAXCOUNT 0 STREAMS a 0", "-ERR MAXCOUNT must be a positive integer")?;
    // Nothing was delivered so far.
    c.is("XPENDING a g", "[:0 nil nil nil*]")?;
    c.is("XINFO CONSUMERS a g", "[]")?;
    // No COUNT at all is not greater, and equal is not either.
    c.is("XREADGROUP GROUP g c COUNT 0 MAXCOUNT 1 STREAMS a >", "[[a [[1-0 [f x]]]]]")?;
    c.is("XREADGROUP GROUP g c maxcount 1 COUNT 1 STREAMS a >", "[[a [[2-0 [f x]]]]]")?;
    c.is("XREADGROUP GROUP g c COUNT -1 maxsize 1 STREAMS a >", "[[a [[3-0 [f x]]]]]")?;
    Ok(())
}

fn g19(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    two_streams(c, 5, 1)?;
    let read = |c: &mut Client, options: &str, ids: &str, want: &[String]| {
        let want = format!("[{}]", want.join(" "));
        c.is(format!("XREADGROUP GROUP g c {options} STREAMS a b {ids}"), &want)
    };
    // New ones: two of each by COUNT, three of both by MAXCOUNT.
    read(c, "COUNT 2 MAXCOUNT 3", "> >", &[part("a", 1, 2, 1), part("b", 1, 1, 1)])?;
    c.is("XPENDING a g", "[:2 1-0 2-0 [[c 2]]]")?;
    c.is("XPENDING b g", "[:1 1-0 1-0 [[c 1]]]")?;
    c.counts("b", "g", ":1", ":4")?;
    // The first takes all there is, and the second is not even named.
    read(c, "MAXCOUNT 3", "> >", &[part("a", 3, 5, 1)])?;
    c.is("XPENDING b g", "[:1 1-0 1-0 [[c 1]]]")?;
    read(c, "MAXCOUNT 3", "> >", &[part("b", 2, 4, 1)])?;
    read(c, "MAXCOUNT 100", "> >", &[part("b", 5, 5, 1)])?;
    c.is("XREADGROUP GROUP g c MAXCOUNT 100 STREAMS a b > >", "nil*")?;
    // The history of five and five.
    read(c, "MAXCOUNT 7", "0 0", &[part("a", 1, 5, 1), part("b", 1, 2, 1)])?;
    read(c, "COUNT 4 MAXCOUNT 7", "0 0", &[part("a", 1, 4, 1), part("b", 1, 3, 1)])?;
    read(c, "MAXCOUNT 5", "0 0", &[part("a", 1, 5, 1)])?;
    read(c, "MAXCOUNT 3", "3 4", &[part("a", 4, 5, 1), part("b", 5, 5, 1)])?;
    // Only what was shown was counted as delivered once more.
    c.is("XPENDING b g 4-0 5-0 10", "[[4-0 c :0..60000 :1] [5-0 c :0..60000 :2]]")?;
    Ok(())
}

fn g20(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    two_streams(c, 4, 200)?;
    // One entry takes some 230 bytes of reply. The limit is looked at before each next one.
    let read = |c: &mut Client, size: u32, ids: &str, want: &[String]| {
        let want = format!("[{}]", want.join(" "));
        c.is(format!("XREADGROUP GROUP g c MAXSIZE {size} STREAMS a b {ids}"), &want)
    };
    read(c, 500, "> >", &[part("a", 1, 3, 200)])?;
    // What was held back is not delivered: no record, no cursor.
    c.is("XPENDING a g", "[:3 1-0 3-0 [[c 3]]]")?;
    c.is("XPENDING b g", "[:0 nil nil nil*]")?;
    c.counts("a", "g", ":3", ":1")?;
    read(c, 500, "> >", &[part("a", 4, 4, 200), part("b", 1, 2, 200)])?;
    c.is("XPENDING b g", "[:2 1-0 2-0 [[c 2]]]")?;
    read(c, 1_000_000, "> >", &[part("b", 3, 4, 200)])?;
    // The same for the history, whose streams need not come at all behind the limit.
    read(c, 800, "0 0", &[part("a", 1, 4, 200)])?;
    read(c, 1000, "0 0", &[part("a", 1, 4, 200), part("b", 1, 1, 200)])?;
    // Whichever comes first.
    c.is(
        "XREADGROUP GROUP g c MAXSIZE 1000000 MAXCOUNT 2 STREAMS a b 0 0",
        format!("[{}]", part("a", 1, 2, 200)),
    )?;
    c.is(
        "XREADGROUP GROUP g c MAXCOUNT 4 MAXSIZE 300 STREAMS a b 0 0",
        format!("[{}]", part("a", 1, 2, 200)),
    )?;
    small_fields(c)
}

/// What counts is the reply, not what is in it: of small fields it is mostly lengths.
fn small_fields(c: &mut Client) -> Outcome {
    let fields = vec!["f v"; 20].join(" ");
    for n in 1..=6 {
        c.is(format!("XADD small {n}-0 {fields}"), format!("{n}-0"))?;
    }
    c.ok("XGROUP CREATE small g 0")?;
    // Each entry is 40 bytes, and about 300 on the wire.
    let two = format!("[[small [[1-0 [{fields}]] [2-0 [{fields}]]]]]");
    c.is("XREADGROUP GROUP g c MAXSIZE 400 STREAMS small >", &two)?;
    c.is("XREADGROUP GROUP g c MAXSIZE 400 STREAMS small 0", &two)?;
    c.is("XREAD MAXSIZE 400 STREAMS small 0", &two)?;
    c.counts("small", "g", ":2", ":4")?;
    long_name(c)
}

/// A stream's name stands in front of its entries, and counts as much.
fn long_name(c: &mut Client) -> Outcome {
    let key = "k".repeat(200);
    c.entries(&key, 1..=5)?;
    c.ok(format!("XGROUP CREATE {key} g 0"))?;
    for (size, entries) in [(220, "[[1-0 [f 1]]]"), (300, "[[1-0 [f 1]] [2-0 [f 2]] [3-0 [f 3]]]")]
    {
        let want = format!("[[{key} {entries}]]");
        c.is(format!("XREAD MAXSIZE {size} STREAMS {key} 0"), &want)?;
        c.is(format!("XREADGROUP GROUP g c MAXSIZE {size} STREAMS {key} >"), &want)?;
        c.is(format!("XREADGROUP GROUP g c MAXSIZE {size} STREAMS {key} 0"), &want)?;
        c.is(format!("XREADGROUP GROUP g c MAXSIZE {size} CLAIM 0 STREAMS {key} >"), {
            let told = entries.replace("]] [", "] * *] [").replace("]]]", "] * *]]");
            format!("[[{key} {told}]]")
        })?;
        c.ok(format!("XGROUP SETID {key} g 0"))?;
    }
    Ok(())
}

fn g21(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    two_streams(c, 3, 10_000)?;
    for i in 1..=3 {
        let want = format!("[{}]", part("a", i, i, 10_000));
        c.is("XREADGROUP GROUP g c MAXSIZE 100 STREAMS a b > >", &want)?;
        c.is("XPENDING a g", format!("[:{i} 1-0 {i}-0 [[c {i}]]]"))?;
        c.is("XPENDING b g", "[:0 nil nil nil*]")?;
    }
    let want = format!("[{}]", part("b", 1, 1, 10_000));
    c.is("XREADGROUP GROUP g c MAXSIZE 1 STREAMS a b > >", &want)?;
    let want = format!("[{}]", part("a", 1, 1, 10_000));
    c.is("XREADGROUP GROUP g c MAXSIZE 1 STREAMS a b 0 0", &want)?;
    c.is("XREAD MAXSIZE 1 STREAMS a b 0 0", &want)?;
    Ok(())
}

fn g22(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XGROUP CREATE a g $ MKSTREAM", "+OK")?;
    c.is("XGROUP CREATE b g $ MKSTREAM", "+OK")?;
    let read = "XREADGROUP GROUP g c BLOCK 20000 MAXCOUNT 3 STREAMS a b > >";
    let mut waiter = env.blocked(read, 1)?;
    let c = &mut env.c;
    c.is("MULTI", "+OK")?;
    for i in 1..=2 {
        c.is(format!("XADD a {i}-0 f x"), "+QUEUED")?;
        c.is(format!("XADD b {i}-0 f x"), "+QUEUED")?;
    }
    c.is("EXEC", "[1-0 1-0 2-0 2-0]")?;
    waiter.reads(format!("[{} {}]", part("a", 1, 2, 1), part("b", 1, 1, 1)))?;
    c.is("XPENDING b g", "[:1 1-0 1-0 [[c 1]]]")?;
    // And with COUNT beside it, for a reader whose first stream stays empty.
    waiter.send("XREADGROUP GROUP g d BLOCK 20000 COUNT 2 MAXCOUNT 2 STREAMS a b > 0")?;
    waiter.reads("[[b []]]")?;
    c.is("XREADGROUP GROUP g c STREAMS b >", format!("[{}]", part("b", 2, 2, 1)))?;
    waiter.send("XREADGROUP GROUP g d BLOCK 20000 COUNT 2 MAXCOUNT 2 STREAMS a b > >")?;
    env.wait_blocked(1)?;
    let c = &mut env.c;
    c.is("MULTI", "+OK")?;
    for i in 3..=6 {
        c.is(format!("XADD b {i}-0 f x"), "+QUEUED")?;
    }
    c.is("EXEC", "[3-0 4-0 5-0 6-0]")?;
    waiter.reads(format!("[{}]", part("b", 3, 4, 1)))?;
    c.is("XPENDING b g - + 10 d", "[[3-0 d :0..60000 :1] [4-0 d :0..60000 :1]]")?;
    Ok(())
}
