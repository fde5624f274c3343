//! Small tests of features that no numbered test shows, or shows only beside others.

use crate::client::{Client, Outcome, ensure};
use crate::env::{Env, sleep_ms};
use crate::registry::Numbered;
use crate::stream::{add_numbered, holds};
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) const TESTS: &[Numbered] = &[
    Numbered::new("r1", "XADD with an explicit and an incomplete ID", r1),
    Numbered::new("r2", "KEEPREF leaves pending records behind", r2).since(8, 2),
    Numbered::new("r3", "XTRIM MINID ~ drops whole nodes", r3),
    Numbered::new("r4", "XRANGE between incomplete IDs", r4),
    Numbered::new("r5", "XREADGROUP makes its consumer", r5).since(7, 2),
    Numbered::new("r6", "XGROUP DELCONSUMER takes its records along", r6),
    Numbered::new("r7", "XCLAIM IDLE", r7),
    Numbered::new("r8", "XCLAIM TIME", r8),
    Numbered::new("r9", "XCLAIM RETRYCOUNT", r9),
    Numbered::new("r10", "XCLAIM FORCE", r10),
    Numbered::new("r11", "XCLAIM JUSTID", r11),
    Numbered::new("r12", "XCLAIM LASTID", r12),
    Numbered::new("r13", "XAUTOCLAIM JUSTID", r13),
    Numbered::new("r14", "XINFO STREAM, all fields", r14).since(8, 6),
    Numbered::new("r15", "XINFO STREAM FULL COUNT", r15),
    Numbered::new("r16", "XINFO GROUPS and CONSUMERS, all fields", r16).since(7, 2),
    Numbered::new("r17", "nodes end at stream-node-max-bytes", r17),
];

fn r1(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let smaller =
        "ERR The ID specified in XADD is equal or smaller than the target stream top item";
    let invalid = "ERR Invalid stream ID specified as stream command argument";
    c.is("XADD k 5 f v", "5-0")?;
    c.err("XADD k 5 f v", smaller)?;
    c.is("XADD k 5-1 f v", "5-1")?;
    c.is("XADD k 7-3 f v", "7-3")?;
    c.err("XADD k 7 f v", smaller)?;
    for bad in ["invalid-id", "123-", "-123", "--", "8-x", "-", "+", "$", "8-*x", "8-1-1"] {
        c.err(format!("XADD k {bad} f v"), invalid)?;
    }
    c.is("XRANGE k - +", "[[5-0 [f v]] [5-1 [f v]] [7-3 [f v]]]")
}

/// 1-0 to n-0, read by consumer `a` of group `g`.
fn delivered(c: &mut Client, n: u64) -> Outcome {
    add_numbered(c, "k", n)?;
    c.ok("XGROUP CREATE k g 0")?;
    c.is("XREADGROUP GROUP g a STREAMS k >", "[[k [* ...]]]")
}

fn r2(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    delivered(c, 4)?;
    c.is("XTRIM k MAXLEN 3 KEEPREF", ":1")?;
    c.is("XPENDING k g", "[:4 1-0 4-0 [[a 4]]]")?;
    c.is("XADD k KEEPREF MINID 4 5-0 f 5", "5-0")?;
    holds(c, "k", 4..=5)?;
    c.is("XPENDING k g", "[:4 1-0 4-0 [[a 4]]]")?;
    c.is("XREADGROUP GROUP g a COUNT 2 STREAMS k 2", "[[k [[3-0 nil*] [4-0 [f 4]]]]]")?;
    c.err("XTRIM k MAXLEN 3 KEEPREF DELREF", "ERR syntax error")
}

fn r3(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.ok("CONFIG SET stream-node-max-entries 10")?;
    add_numbered(c, "k", 100)?;
    c.is("XTRIM k MINID ~ 55", ":50")?;
    holds(c, "k", 51..=100)?;
    c.is("XTRIM k MINID ~ 61", ":10")?;
    c.is("XTRIM k MINID ~ 100 LIMIT 20", ":20")?;
    holds(c, "k", 81..=100)
}

fn r4(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    for id in ["1-0", "1-5", "2-0", "2-9", "3-0"] {
        c.is(format!("XADD k {id} f v"), id)?;
    }
    let ids = |ids: &str| {
        let entries: Vec<String> = ids.split(' ').map(|id| format!("[{id} [f v]]")).collect();
        format!("[{}]", entries.join(" "))
    };
    c.is("XRANGE k 1 2", ids("1-0 1-5 2-0 2-9"))?;
    c.is("XRANGE k 2 2", ids("2-0 2-9"))?;
    c.is("XREVRANGE k 2 1", ids("2-9 2-0 1-5 1-0"))?;
    c.is("XREVRANGE k + 2", ids("3-0 2-9 2-0"))?;
    c.is("XRANGE k (1 (3", ids("1-5 2-0 2-9 3-0"))?;
    c.is("XRANGE k 4 +", "[]")
}

fn r5(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.ok("XGROUP CREATE k g $ MKSTREAM")?;
    c.is("XREADGROUP GROUP g empty STREAMS k >", "nil*")?;
    c.is("XREADGROUP GROUP g history STREAMS k 0", "[[k []]]")?;
    add_numbered(c, "k", 1)?;
    c.is("XREADGROUP GROUP g reads STREAMS k >", "[[k [[1-0 [f 1]]]]]")?;
    let names = "[{name empty pending :0 idle * inactive :-1} \
        {name history pending :0 idle * inactive :-1} \
        {name reads pending :1 idle * inactive :0..5000}]";
    c.is("XINFO CONSUMERS k g", names)?;
    c.is("XGROUP CREATECONSUMER k g reads", ":0")
}

fn r6(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    delivered(c, 3)?;
    c.is("XADD k 4-0 f 4", "4-0")?;
    c.is("XREADGROUP GROUP g b STREAMS k >", "[[k [[4-0 [f 4]]]]]")?;
    c.is("XGROUP DELCONSUMER k g a", ":3")?;
    c.is("XGROUP DELCONSUMER k g a", ":0")?;
    c.is("XPENDING k g", "[:1 4-0 4-0 [[b 1]]]")?;
    c.is("XCLAIM k g b 0 1-0", "[]")?;
    c.err("XGROUP DELCONSUMER k none a", NO_GROUP)?;
    c.at("XINFO GROUPS k", "0.consumers", ":1")
}

const NO_GROUP: &str = "NOGROUP No such consumer group 'none' for key name 'k'";

fn r7(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    delivered(c, 2)?;
    c.is("XCLAIM k g b 0 1-0 IDLE 60000", "[[1-0 [f 1]]]")?;
    c.is("XPENDING k g - + 10", "[[1-0 b :60000..70000 :2] [2-0 a :0..5000 :1]]")?;
    // Not idle enough, and idle enough.
    c.is("XCLAIM k g c 120000 1-0", "[]")?;
    c.is("XCLAIM k g c 50000 1-0 2-0", "[[1-0 [f 1]]]")?;
    c.is("XPENDING k g - + 10", "[[1-0 c :0..5000 :3] [2-0 a :0..5000 :1]]")?;
    c.err("XCLAIM k g c 0 1-0 IDLE x", "ERR Invalid IDLE option argument for XCLAIM")
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0))
}

fn r8(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    delivered(c, 2)?;
    let time = now_ms() - 90_000;
    c.is(format!("XCLAIM k g b 0 1-0 TIME {time}"), "[[1-0 [f 1]]]")?;
    c.is("XPENDING k g - + 1", "[[1-0 b :90000..99999 :2]]")?;
    let full = format!("[1-0 b :{time} :2]");
    c.at("XINFO STREAM k FULL", "groups.0.pending.0", full)?;
    // What lies ahead is now.
    let ahead = now_ms() + 1_000_000;
    c.is(format!("XCLAIM k g b 0 2-0 TIME {ahead}"), "[[2-0 [f 2]]]")?;
    c.is("XPENDING k g 2 2 1", "[[2-0 b :0..5000 :2]]")?;
    // Of IDLE and TIME the later word counts.
    c.is(format!("XCLAIM k g b 0 2-0 TIME {time} IDLE 7000"), "[[2-0 [f 2]]]")?;
    c.is("XPENDING k g 2 2 1", "[[2-0 b :7000..15000 :3]]")?;
    c.err("XCLAIM k g c 0 1-0 TIME x", "ERR Invalid TIME option argument for XCLAIM")
}

fn r9(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    delivered(c, 2)?;
    c.is("XCLAIM k g b 0 1-0 RETRYCOUNT 17", "[[1-0 [f 1]]]")?;
    c.is("XCLAIM k g b 0 2-0 RETRYCOUNT 0 JUSTID", "[2-0]")?;
    c.is("XPENDING k g - + 10", "[[1-0 b * :17] [2-0 b * :0]]")?;
    c.is("XCLAIM k g b 0 1-0", "[[1-0 [f 1]]]")?;
    c.is("XPENDING k g - + 1", "[[1-0 b * :18]]")?;
    let error = "ERR Invalid RETRYCOUNT option argument for XCLAIM";
    c.err("XCLAIM k g b 0 1-0 RETRYCOUNT x", error)?;
    // Below 0 it is as if it were not there.
    c.is("XCLAIM k g b 0 1-0 RETRYCOUNT -1", "[[1-0 [f 1]]]")?;
    c.is("XPENDING k g - + 1", "[[1-0 b * :19]]")
}

fn r10(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    add_numbered(c, "k", 3)?;
    c.ok("XGROUP CREATE k g 0")?;
    c.is("XCLAIM k g a 0 1-0", "[]")?;
    c.is("XCLAIM k g a 0 1-0 FORCE", "[[1-0 [f 1]]]")?;
    c.is("XCLAIM k g a 10000 2-0 FORCE JUSTID", "[2-0]")?;
    c.is("XPENDING k g - + 10", "[[1-0 a * :2] [2-0 a * :1]]")?;
    // The group's cursor stays where it is, and an entry that never was is not claimed.
    c.at("XINFO GROUPS k", "0.last-delivered-id", "0-0")?;
    c.is("XCLAIM k g a 0 9-0 FORCE", "[]")?;
    c.is("XPENDING k g", "[:2 1-0 2-0 [[a 2]]]")?;
    c.err("XCLAIM k g a 0 1-0 FORCED", "ERR Unrecognized XCLAIM option 'FORCED'")
}

fn r11(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    delivered(c, 3)?;
    c.is("XCLAIM k g b 0 3-0 1-0 JUSTID", "[3-0 1-0]")?;
    c.is("XPENDING k g - + 10", "[[1-0 b * :1] [2-0 a * :1] [3-0 b * :1]]")?;
    c.is("XDEL k 2-0", ":1")?;
    c.is("XCLAIM k g b 0 2-0 JUSTID", "[]")?;
    c.is("XPENDING k g", "[:2 1-0 3-0 [[b 2]]]")
}

fn r12(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    add_numbered(c, "k", 5)?;
    c.ok("XGROUP CREATE k g 0")?;
    c.is("XREADGROUP GROUP g a COUNT 2 STREAMS k >", "[[k [[1-0 [f 1]] [2-0 [f 2]]]]]")?;
    c.is("XCLAIM k g a 0 1-0 LASTID 4-0", "[[1-0 [f 1]]]")?;
    c.at("XINFO GROUPS k", "0.last-delivered-id", "4-0")?;
    c.is("XCLAIM k g a 0 1-0 LASTID 3", "[[1-0 [f 1]]]")?;
    c.at("XINFO GROUPS k", "0.last-delivered-id", "4-0")?;
    c.is("XREADGROUP GROUP g a STREAMS k >", "[[k [[5-0 [f 5]]]]]")?;
    let invalid = "ERR Invalid stream ID specified as stream command argument";
    c.err("XCLAIM k g a 0 1-0 LASTID x", invalid)
}

fn r13(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    delivered(c, 4)?;
    c.is("XDEL k 2-0", ":1")?;
    c.is("XAUTOCLAIM k g b 0 - COUNT 2 JUSTID", "[3-0 [1-0] [2-0]]")?;
    c.is("XAUTOCLAIM k g b 0 3-0 JUSTID", "[0-0 [3-0 4-0] []]")?;
    c.is("XPENDING k g - + 10", "[[1-0 b * :1] [3-0 b * :1] [4-0 b * :1]]")?;
    c.is("XAUTOCLAIM k g b 60000 0 JUSTID", "[0-0 [] []]")?;
    c.is("XAUTOCLAIM k g b 0 4", "[0-0 [[4-0 [f 4]]] []]")?;
    c.is("XPENDING k g 4 4 1", "[[4-0 b * :2]]")
}

fn r14(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    delivered(c, 3)?;
    c.is("XDEL k 1-0", ":1")?;
    let all = "{length :2 radix-tree-keys :1 radix-tree-nodes * last-generated-id 3-0 \
        max-deleted-entry-id 1-0 entries-added :3 recorded-first-entry-id 2-0 \
        idmp-duration :100 idmp-maxsize :100 pids-tracked :0 iids-tracked :0 iids-added :0 \
        iids-duplicates :0 groups :1 first-entry [2-0 [f 2]] last-entry [3-0 [f 3]]}";
    c.is("XINFO STREAM k", all)?;
    c.err("XINFO STREAM none", "ERR no such key")?;
    c.hello3()?;
    c.is("XINFO STREAM k", all)?;
    ensure(matches!(c.ask("XINFO STREAM k")?, crate::reply::Reply::Map(_)), "no map in RESP3")
}

fn r15(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    delivered(c, 15)?;
    let lens = |c: &mut Client, command: &str, n: usize| {
        let full = c.ask(command)?;
        for path in ["entries", "groups.0.pending", "groups.0.consumers.0.pending"] {
            let len = full.deep(path)?.items()?.len();
            ensure(len == n, format!("{command}: {len} {path} instead of {n}"))?;
        }
        ensure(full.deep("groups.0.pel-count")?.int()? == 15, "pel-count is bounded")
    };
    lens(c, "XINFO STREAM k FULL", 10)?;
    lens(c, "XINFO STREAM k FULL COUNT 3", 3)?;
    lens(c, "XINFO STREAM k FULL COUNT 0", 15)?;
    lens(c, "XINFO STREAM k FULL COUNT -5", 10)?;
    lens(c, "XINFO STREAM k full count 20", 15)?;
    c.err("XINFO STREAM k FULL COUNT x", "ERR value is not an integer or out of range")?;
    let unknown = "ERR unknown subcommand or wrong number of arguments for 'STREAM'. \
        Try XINFO HELP.";
    for words in ["FULL COUNT", "COUNT 3", "FULL COUNT 3 4"] {
        c.err(format!("XINFO STREAM k {words}"), unknown)?;
    }
    Ok(())
}

fn r16(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    delivered(c, 3)?;
    c.ok("XGROUP CREATE k aaa 1 ENTRIESREAD 1")?;
    c.is("XGROUP CREATECONSUMER k g b", ":1")?;
    sleep_ms(20);
    let groups = "[{name aaa consumers :0 pending :0 last-delivered-id 1-0 entries-read :1 lag :2} \
        {name g consumers :2 pending :3 last-delivered-id 3-0 entries-read :3 lag :0}]";
    let consumers = "[{name a pending :3 idle :15..9999 inactive :15..9999} \
        {name b pending :0 idle :15..9999 inactive :-1}]";
    c.is("XINFO GROUPS k", groups)?;
    c.is("XINFO CONSUMERS k g", consumers)?;
    c.err("XINFO CONSUMERS k none", NO_GROUP)?;
    c.err("XINFO GROUPS none", "ERR no such key")?;
    c.hello3()?;
    c.is("XINFO GROUPS k", groups)?;
    c.is("XINFO CONSUMERS k g", consumers)
}

/// With values of 1,000 bytes a node of at most 4,096 takes three or four entries, whatever their
/// number may be; without bounds all are in one node, and `~` removes nothing.
fn r17(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let value = "x".repeat(1000);
    let fill = |c: &mut Client, key: &str| {
        let commands: Vec<String> =
            (1..=20).map(|n| format!("XADD {key} {n}-0 f {value}")).collect();
        c.many(&commands).map(drop)
    };
    fill(c, "k")?;
    let removed = c.int("XTRIM k MAXLEN ~ 5")?;
    ensure((9..=15).contains(&removed), format!("{removed} entries removed"))?;
    c.ok("CONFIG SET stream-node-max-bytes 0")?;
    c.ok("CONFIG SET stream-node-max-entries 0")?;
    c.is("CONFIG GET stream-node-max-bytes", "{stream-node-max-bytes 0}")?;
    fill(c, "l")?;
    c.is("XTRIM l MAXLEN ~ 5", ":0")?;
    c.at("XINFO STREAM l", "radix-tree-keys", ":1")
}
