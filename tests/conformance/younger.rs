//! What the reference says of features younger than Redis 7.0 and no numbered test shows.

use crate::client::{Client, Outcome, ensure};
use crate::env::Env;
use crate::registry::Numbered;
use crate::stream::{add_numbered, holds};

pub(crate) const TESTS: &[Numbered] = &[
    Numbered::new("r18", "XADD takes one policy, and without a trim it means nothing", r18)
        .since(8, 2),
    Numbered::new("r19", "XTRIM ~ with a policy has the limit of ~", r19).since(8, 2),
    Numbered::new("r20", "ACKED without groups keeps nothing", r20).since(8, 2),
    Numbered::new("r21", "ACKED goes past what is kept", r21).since(8, 2),
    Numbered::new("r22", "DELREF cleans what trimming removed, and nothing else", r22).since(8, 2),
    Numbered::new("r23", "XIDMPRECORD drives the oldest ID out", r23).since(8, 6),
    Numbered::new("r24", "an ID expires by the time in its entry's ID", r24).since(8, 6),
    Numbered::new("r25", "IDMP is known before the stream is found to be full", r25).since(8, 6),
    Numbered::new("r26", "a blocked XREAD keeps to MAXCOUNT and MAXSIZE", r26).since(8, 10),
    Numbered::new("r27", "XREAD + and $ beside MAXCOUNT", r27).since(8, 10),
    Numbered::new("r28", "a duplicate wakes nobody", r28).since(8, 6),
    Numbered::new("r29", "XDELEX ACKED after the group moved", r29).since(8, 2),
    Numbered::new("r30", "errors of trimming words", r30),
];

const NO_PENDING: &str = "[:0 nil nil nil*]";

/// 1-0 to n-0, read by consumer `a` of these groups.
fn delivered(c: &mut Client, n: u64, groups: &[&str]) -> Outcome {
    add_numbered(c, "k", n)?;
    for group in groups {
        c.ok(format!("XGROUP CREATE k {group} 0"))?;
        c.is(format!("XREADGROUP GROUP {group} a STREAMS k >"), "[[k [* ...]]]")?;
    }
    Ok(())
}

fn r18(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let invalid = "ERR Invalid stream ID specified as stream command argument";
    for words in ["KEEPREF DELREF", "ACKED ACKED", "DELREF MAXLEN 5 KEEPREF"] {
        c.err(format!("XADD k {words} * f v"), invalid)?;
    }
    c.is("EXISTS k", ":0")?;
    delivered(c, 3, &["g"])?;
    c.is("XADD k DELREF 4-0 f 4", "4-0")?;
    c.is("XADD k acked 5-0 f 5", "5-0")?;
    c.is("XADD k NOMKSTREAM KeepRef 6-0 f 6", "6-0")?;
    holds(c, "k", 1..=6)?;
    c.is("XPENDING k g", "[:3 1-0 3-0 [[a 3]]]")?;
    // A policy that removes nothing cleans nothing.
    c.is("XTRIM k MAXLEN 6 DELREF", ":0")?;
    c.is("XPENDING k g", "[:3 1-0 3-0 [[a 3]]]")
}

fn r19(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.ok("CONFIG SET stream-node-max-entries 1")?;
    for (key, policy) in [("k", "DELREF"), ("l", "ACKED")] {
        add_numbered(c, key, 150)?;
        c.is(format!("XTRIM {key} MAXLEN ~ 0 {policy}"), ":100")?;
        holds(c, key, 101..=150)?;
        c.is(format!("XTRIM {key} MAXLEN ~ 0 LIMIT 20 {policy}"), ":20")?;
        c.is(format!("XTRIM {key} MAXLEN = 5 {policy}"), ":25")?;
        c.is(format!("XTRIM {key} MAXLEN ~ 0 LIMIT 0 {policy}"), ":5")?;
    }
    c.is("EXISTS k l", ":2")
}

fn r20(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    add_numbered(c, "k", 6)?;
    c.is("XTRIM k MAXLEN 4 ACKED", ":2")?;
    c.is("XADD k MINID 5 ACKED 7-0 f 7", "7-0")?;
    holds(c, "k", 5..=7)?;
    c.is("XDELEX k ACKED IDS 2 6-0 99-0", "[:1 :-1]")?;
    holds(c, "k", [5, 7])?;
    c.at("XINFO STREAM k", "max-deleted-entry-id", "6-0")
}

fn r21(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    delivered(c, 6, &["g", "h"])?;
    c.is("XACK k g 1-0 2-0 4-0 5-0", ":4")?;
    c.is("XACK k h 2-0 3-0 5-0", ":3")?;
    // 2-0 and 5-0 alone are acknowledged by both.
    c.is("XTRIM k MINID 7 ACKED", ":2")?;
    holds(c, "k", [1, 3, 4, 6])?;
    let facts = [
        ("recorded-first-entry-id", "1-0"),
        ("max-deleted-entry-id", "0-0"),
        ("entries-added", ":6"),
    ];
    c.fields("XINFO STREAM k", &facts)?;
    c.is("XRANGE k 2 5", "[[3-0 [f 3]] [4-0 [f 4]]]")?;
    c.is("XGROUP DESTROY k h", ":1")?;
    c.is("XTRIM k MAXLEN 1 ACKED", ":2")?;
    holds(c, "k", [3, 6])?;
    env.reload()?;
    holds(&mut env.c, "k", [3, 6])?;
    env.c.at("XINFO STREAM k", "recorded-first-entry-id", "3-0")
}

fn r22(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    delivered(c, 5, &["g", "h"])?;
    // What was deleted before leaves ghosts that this trim does not meet.
    c.is("XDEL k 1-0", ":1")?;
    c.is("XTRIM k MINID = 4 DELREF", ":2")?;
    c.is("XPENDING k g", "[:3 1-0 5-0 [[a 3]]]")?;
    c.is("XPENDING k h", "[:3 1-0 5-0 [[a 3]]]")?;
    c.is("XADD k MAXLEN 1 DELREF 6-0 f 6", "6-0")?;
    c.is("XPENDING k g", "[:1 1-0 1-0 [[a 1]]]")?;
    c.is("XDELEX k DELREF IDS 1 1-0", "[:-1]")?;
    c.is("XPENDING k g", NO_PENDING)?;
    env.reload()?;
    env.c.is("XPENDING k h", NO_PENDING)?;
    holds(&mut env.c, "k", [6])
}

fn r23(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let ids = [c.text("XADD k * f 1")?, c.text("XADD k * f 2")?, c.text("XADD k * f 3")?];
    c.ok("XCFGSET k IDMP-MAXSIZE 2")?;
    for (n, id) in (1..).zip(&ids) {
        c.ok(format!("XIDMPRECORD k p r{n} {id}"))?;
    }
    c.fields("XINFO STREAM k", &[("iids-tracked", ":2"), ("iids-added", ":3")])?;
    c.is("XADD k IDMP p r2 * f v", &ids[1])?;
    c.is("XADD k IDMP p r3 * f v", &ids[2])?;
    c.is("XADD k IDMP p r1 * f v", "@")?;
    c.is("XLEN k", ":4")?;
    // r1 is back, and r2, the oldest, went for it.
    c.is("XADD k IDMP p r3 * f v", &ids[2])?;
    c.is("XADD k IDMP p r2 * f v", "@")?;
    c.is("XLEN k", ":5")
}

fn r24(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    // Behind an ID far ahead `*` counts on from there: what it remembers does not get old.
    let ahead = "9000000000000-0";
    c.is(format!("XADD k {ahead} f v"), ahead)?;
    c.ok("XCFGSET k IDMP-DURATION 1")?;
    let id = c.text("XADD k IDMP p r * f v")?;
    ensure(id == "9000000000000-1", format!("{id} does not follow {ahead}"))?;
    crate::env::sleep_ms(2500);
    c.is("XADD k IDMP p r * f v", &id)?;
    c.at("XINFO STREAM k", "iids-tracked", ":1")
}

fn r25(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let max = "18446744073709551615-18446744073709551615";
    let id = c.text("XADD k IDMP p r * f v")?;
    c.is(format!("XADD k {max} f v"), max)?;
    c.is("XADD k IDMP p r * f v", &id)?;
    let full = "ERR The stream has exhausted the last possible ID, unable to add more items";
    c.err("XADD k IDMP p s * f v", full)?;
    c.err("XADD k IDMP p s * f v", full)?;
    c.fields("XINFO STREAM k", &[("iids-tracked", ":1"), ("iids-added", ":1"), ("length", ":2")])
}

fn r26(env: &mut Env<'_>) -> Outcome {
    let mut few = env.blocked("XREAD BLOCK 20000 MAXCOUNT 2 STREAMS k l $ $", 1)?;
    let mut small = env.blocked("XREAD BLOCK 20000 MAXSIZE 1 STREAMS l k $ $", 2)?;
    env.c.ok("MULTI")?;
    for command in ["XADD k 1-0 f 1", "XADD l 1-0 f 1", "XADD l 2-0 f 2", "XADD k 2-0 f 2"] {
        env.c.is(command, "+QUEUED")?;
    }
    env.c.is("EXEC", "[1-0 1-0 2-0 2-0]")?;
    few.reads("[[k [[1-0 [f 1]] [2-0 [f 2]]]]]")?;
    small.reads("[[l [[1-0 [f 1]]]]]")?;
    env.wait_blocked(0)
}

fn r27(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    for key in ["k", "l", "m"] {
        add_numbered(c, key, 3)?;
    }
    c.is("XREAD MAXCOUNT 2 STREAMS k l m + + +", "[[k [[3-0 [f 3]]]] [l [[3-0 [f 3]]]]]")?;
    c.is("XREAD MAXSIZE 1 STREAMS k l m $ + 0", "[[l [[3-0 [f 3]]]]]")?;
    c.is("XREAD MAXCOUNT 1 COUNT 1 STREAMS k l $ 1", "[[l [[2-0 [f 2]]]]]")?;
    // The last of an option counts.
    c.is("XREAD MAXCOUNT 1 MAXCOUNT 3 STREAMS k 0", "[[k [* * *]]]")
}

fn r28(env: &mut Env<'_>) -> Outcome {
    let id = env.c.text("XADD k IDMP p r * f v")?;
    let mut reader = env.blocked("XREAD BLOCK 20000 STREAMS k $", 1)?;
    env.c.is("XADD k IDMP p r * f v", &id)?;
    env.c.is("XADD k IDMP p r MAXLEN 0 * f v", &id)?;
    reader.stays_silent(std::time::Duration::from_millis(30))?;
    let next = env.c.text("XADD k IDMP p s * f w")?;
    reader.reads(format!("[[k [[{next} [f w]]]]]"))
}

fn r29(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    delivered(c, 4, &["g"])?;
    c.is("XACK k g 1-0 2-0 3-0 4-0", ":4")?;
    // The cursor goes back, and what lies above it is to be delivered again.
    c.ok("XGROUP SETID k g 2-0")?;
    c.is("XDELEX k ACKED IDS 4 1-0 2-0 3-0 4-0", "[:1 :1 :2 :2]")?;
    c.ok("XGROUP SETID k g $")?;
    c.is("XDELEX k IDS 2 3-0 4-0 ACKED", "[:1 :1]")?;
    c.is("XLEN k", ":0")
}

fn r30(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    add_numbered(c, "k", 3)?;
    let both = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible";
    for words in ["MAXLEN 1 MINID 1", "MINID 1 MAXLEN 1", "MAXLEN 1 MAXLEN 1", "MINID 1 MINID 2"] {
        c.err(format!("XTRIM k {words}"), both)?;
        c.err(format!("XADD k {words} * f v"), both)?;
    }
    let no_strategy =
        "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy";
    c.err("XTRIM k LIMIT 5 LIMIT 6", no_strategy)?;
    c.err("XTRIM k MAXLEN x", "ERR value is not an integer or out of range")?;
    let invalid = "ERR Invalid stream ID specified as stream command argument";
    c.err("XTRIM k MINID x", invalid)?;
    c.err("XTRIM k MINID -", invalid)?;
    c.err("XTRIM k MAXLEN 1 OTHER", "ERR syntax error")?;
    c.err("XTRIM absent MAXLEN -1", "ERR The MAXLEN argument must be >= 0.")?;
    c.is("XTRIM absent MAXLEN 1", ":0")?;
    c.err("XTRIM k MAXLEN", "ERR wrong number of arguments for 'xtrim' command")?;
    holds(c, "k", 1..=3)
}
