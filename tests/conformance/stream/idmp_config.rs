//! XCFGSET: its arguments, and when it forgets what is known.

use super::{Counters, has_len, tracks};
use crate::client::{Client, Outcome, ensure};
use crate::env::Env;
use crate::registry::Numbered;

pub(crate) const TESTS: &[Numbered] = &[
    Numbered::new("s93", "XCFGSET IDMP-DURATION", s93).since(8, 6),
    Numbered::new("s94", "XCFGSET IDMP-MAXSIZE", s94).since(8, 6),
    Numbered::new("s95", "XCFGSET of both", s95).since(8, 6),
    Numbered::new("s96", "XINFO STREAM shows both", s96).since(8, 6),
    Numbered::new("s97", "both have defaults", s97).since(8, 6),
    Numbered::new("s98", "XCFGSET on a missing key", s98).since(8, 6),
    Numbered::new("s99", "the longest duration", s99).since(8, 6),
    Numbered::new("s100", "the shortest duration", s100).since(8, 6),
    Numbered::new("s101", "the largest number of IDs", s101).since(8, 6),
    Numbered::new("s102", "the smallest number of IDs", s102).since(8, 6),
    Numbered::new("s103", "XCFGSET: what is refused", s103).since(8, 6),
    Numbered::new("s104", "XCFGSET several times", s104).since(8, 6),
    Numbered::new("s105", "what XCFGSET set survives a restart", s105).since(8, 6).own_server(),
    Numbered::new("s106", "what XCFGSET set is in the log", s106).since(8, 6),
    Numbered::new("s107", "another duration forgets", s107).since(8, 6),
    Numbered::new("s108", "another number of IDs forgets", s108).since(8, 6),
    Numbered::new("s109", "what came after is known", s109).since(8, 6),
    Numbered::new("s110", "entries stay when IDs are forgotten", s110).since(8, 6),
    Numbered::new("s111", "the same duration forgets nothing", s111).since(8, 6),
    Numbered::new("s112", "the same number of IDs forgets nothing", s112).since(8, 6),
    Numbered::new("s113", "the same values again and again forget nothing", s113).since(8, 6),
    Numbered::new("s114", "another value after the same ones forgets", s114).since(8, 6),
    Numbered::new("s115", "the same values leave the counters", s115).since(8, 6),
];

const OUT_OF_RANGE: &str = "ERR value is not an integer or out of range";

fn configured(c: &mut Client, duration: u32, maxsize: u32) -> Outcome {
    let expected =
        [("idmp-duration", &*format!(":{duration}")), ("idmp-maxsize", &*format!(":{maxsize}"))];
    c.fields("XINFO STREAM k", &expected)
}

fn new_stream(c: &mut Client) -> Outcome {
    c.is("XADD k * f init", "@")
}

fn s93(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    new_stream(c)?;
    c.ok("XCFGSET k IDMP-DURATION 5")?;
    configured(c, 5, 100)?;
    c.ok("xcfgset k idmp-duration 6")?;
    configured(c, 6, 100)
}

fn s94(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    new_stream(c)?;
    c.ok("XCFGSET k IDMP-MAXSIZE 5")?;
    configured(c, 100, 5)?;
    c.ok("XCFGSET k Idmp-Maxsize 6")?;
    configured(c, 100, 6)
}

fn s95(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    new_stream(c)?;
    c.ok("XCFGSET k IDMP-DURATION 60 IDMP-MAXSIZE 7")?;
    configured(c, 60, 7)?;
    c.ok("XCFGSET k IDMP-MAXSIZE 8 IDMP-DURATION 61")?;
    configured(c, 61, 8)
}

fn s96(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    new_stream(c)?;
    c.ok("XCFGSET k IDMP-DURATION 10 IDMP-MAXSIZE 500")?;
    configured(c, 10, 500)?;
    let full = [("idmp-duration", ":10"), ("idmp-maxsize", ":500")];
    c.fields("XINFO STREAM k FULL", &full)?;
    c.hello3()?;
    configured(c, 10, 500)
}

fn s97(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    new_stream(c)?;
    configured(c, 100, 100)?;
    c.is("DEL k", ":1")?;
    c.ok("XGROUP CREATE k g $ MKSTREAM")?;
    configured(c, 100, 100)
}

fn s98(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.err("XCFGSET k IDMP-DURATION 5", "ERR no such key")?;
    c.err("XCFGSET k IDMP-DURATION 0", "ERR no such key")?;
    c.err("XCFGSET k", "ERR no such key")?;
    c.err("XCFGSET", "ERR wrong number of arguments for 'xcfgset' command")?;
    c.is("EXISTS k", ":0")
}

const DURATION: &str = "ERR IDMP-DURATION must be between 1 and 86400 seconds";
const MAXSIZE: &str = "ERR IDMP-MAXSIZE must be between 1 and 10000 entries";

fn s99(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    new_stream(c)?;
    c.ok("XCFGSET k IDMP-DURATION 86400")?;
    c.err("XCFGSET k IDMP-DURATION 86401", DURATION)?;
    c.err("XCFGSET k IDMP-MAXSIZE 9 IDMP-DURATION 9223372036854775807", DURATION)?;
    c.err("XCFGSET k IDMP-DURATION 9223372036854775808", OUT_OF_RANGE)?;
    configured(c, 86_400, 100)
}

fn s100(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    new_stream(c)?;
    c.ok("XCFGSET k IDMP-DURATION 1")?;
    for bad in ["0", "-1", "-9223372036854775808"] {
        c.err(format!("XCFGSET k IDMP-DURATION {bad}"), DURATION)?;
    }
    configured(c, 1, 100)
}

fn s101(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    new_stream(c)?;
    c.ok("XCFGSET k IDMP-MAXSIZE 10000")?;
    c.err("XCFGSET k IDMP-MAXSIZE 10001", MAXSIZE)?;
    c.err("XCFGSET k IDMP-DURATION 9 IDMP-MAXSIZE 10001", MAXSIZE)?;
    configured(c, 100, 10_000)
}

fn s102(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    new_stream(c)?;
    c.ok("XCFGSET k IDMP-MAXSIZE 1")?;
    for bad in ["0", "-1", "-9223372036854775808"] {
        c.err(format!("XCFGSET k IDMP-MAXSIZE {bad}"), MAXSIZE)?;
    }
    configured(c, 100, 1)
}

fn s103(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    new_stream(c)?;
    let id = c.text("XADD k IDMP p r * f v")?;
    c.err("XCFGSET k", "ERR At least one parameter must be specified")?;
    for words in ["IDMP-DURATION", "IDMP-MAXSIZE", "FOO", "FOO 5", "5", "IDMP-DURATION 5 FOO"] {
        c.err(format!("XCFGSET k {words}"), "ERR syntax error")?;
    }
    c.err("XCFGSET k IDMP-DURATION 5 IDMP-MAXSIZE", "ERR syntax error")?;
    for option in ["IDMP-DURATION", "IDMP-MAXSIZE"] {
        let twice = format!("ERR {option} specified multiple times");
        c.err(format!("XCFGSET k {option} 5 {option} 5"), &twice)?;
        for bad in ["abc", "1.5", "+5", "007", "-0", "\" 5\"", "5e1", "\"\""] {
            c.err(format!("XCFGSET k {option} {bad}"), OUT_OF_RANGE)?;
        }
    }
    configured(c, 100, 100)?;
    // What was refused changed nothing.
    c.is("XADD k IDMP p r * f v", id)
}

fn s104(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    new_stream(c)?;
    for (duration, maxsize) in [(10, 20), (86_400, 10_000), (1, 1), (500, 20), (100, 100)] {
        c.ok(format!("XCFGSET k IDMP-DURATION {duration} IDMP-MAXSIZE {maxsize}"))?;
        configured(c, duration, maxsize)?;
    }
    c.ok("XCFGSET k IDMP-DURATION 7")?;
    c.ok("XCFGSET k IDMP-MAXSIZE 9")?;
    configured(c, 7, 9)
}

fn s105(env: &mut Env<'_>) -> Outcome {
    new_stream(&mut env.c)?;
    env.c.ok("XCFGSET k IDMP-DURATION 75 IDMP-MAXSIZE 7500")?;
    env.c.ok("SAVE")?;
    env.restart()?;
    configured(&mut env.c, 75, 7500)?;
    has_len(&mut env.c, "k", 1)
}

fn s106(env: &mut Env<'_>) -> Outcome {
    new_stream(&mut env.c)?;
    env.c.ok("XCFGSET k IDMP-DURATION 45 IDMP-MAXSIZE 4500")?;
    env.load_log()?;
    configured(&mut env.c, 45, 4500)?;
    env.rewrite()?;
    env.load_log()?;
    configured(&mut env.c, 45, 4500)?;
    env.reload()?;
    configured(&mut env.c, 45, 4500)
}

/// Three IDs of two producers are known; their entries' IDs.
fn produce(c: &mut Client) -> Result<Vec<String>, String> {
    let ids: Result<Vec<String>, String> = ["p1 r1", "p1 r2", "p2 r1"]
        .iter()
        .map(|producer| c.text(format!("XADD k IDMP {producer} * f v")))
        .collect();
    tracks(c, "k", Counters { pids: 2, iids: 3, added: 3, duplicates: 0 })?;
    ids
}

fn all_known(c: &mut Client, ids: &[String]) -> Outcome {
    for (producer, id) in ["p1 r1", "p1 r2", "p2 r1"].iter().zip(ids) {
        c.is(format!("XADD k IDMP {producer} * f v"), id)?;
    }
    has_len(c, "k", 3)
}

/// After this nothing is known, though everything was added.
fn forgets(c: &mut Client, setting: &str) -> Outcome {
    let ids = produce(c)?;
    c.ok(format!("XCFGSET k {setting}"))?;
    tracks(c, "k", Counters { pids: 0, iids: 0, added: 3, duplicates: 0 })?;
    for (producer, id) in ["p1 r1", "p1 r2", "p2 r1"].iter().zip(&ids) {
        let new = c.text(format!("XADD k IDMP {producer} * f v"))?;
        ensure(new != *id, format!("{producer} is still known"))?;
    }
    has_len(c, "k", 6)?;
    tracks(c, "k", Counters { pids: 2, iids: 3, added: 6, duplicates: 0 })
}

fn s107(env: &mut Env<'_>) -> Outcome {
    forgets(&mut env.c, "IDMP-DURATION 99")
}

fn s108(env: &mut Env<'_>) -> Outcome {
    forgets(&mut env.c, "IDMP-MAXSIZE 101")
}

fn s109(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    produce(c)?;
    c.ok("XCFGSET k IDMP-DURATION 50")?;
    let new = c.text("XADD k IDMP p1 r1 * f v")?;
    let other = c.text("XADD k IDMP p3 r1 * f v")?;
    c.is("XADD k IDMP p1 r1 * f v", &new)?;
    c.is("XADD k IDMP p3 r1 * f v", &other)?;
    has_len(c, "k", 5)?;
    tracks(c, "k", Counters { pids: 2, iids: 2, added: 5, duplicates: 2 })
}

fn s110(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let ids = produce(c)?;
    c.ok("XCFGSET k IDMP-MAXSIZE 50 IDMP-DURATION 50")?;
    let all = format!("[[{} [f v]] [{} [f v]] [{} [f v]]]", ids[0], ids[1], ids[2]);
    c.is("XRANGE k - +", all)?;
    c.fields("XINFO STREAM k", &[("entries-added", ":3"), ("last-generated-id", &ids[2])])?;
    tracks(c, "k", Counters { pids: 0, iids: 0, added: 3, duplicates: 0 })
}

fn s111(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let ids = produce(c)?;
    c.ok("XCFGSET k IDMP-DURATION 100")?;
    all_known(c, &ids)
}

fn s112(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let ids = produce(c)?;
    c.ok("XCFGSET k IDMP-MAXSIZE 100")?;
    all_known(c, &ids)
}

fn s113(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let ids = produce(c)?;
    for _ in 0..5 {
        c.ok("XCFGSET k IDMP-DURATION 100 IDMP-MAXSIZE 100")?;
        c.ok("XCFGSET k IDMP-MAXSIZE 100")?;
        all_known(c, &ids)?;
    }
    tracks(c, "k", Counters { pids: 2, iids: 3, added: 3, duplicates: 15 })
}

fn s114(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    new_stream(c)?;
    c.ok("XCFGSET k IDMP-DURATION 100")?;
    c.ok("XCFGSET k IDMP-DURATION 100 IDMP-MAXSIZE 100")?;
    c.is("DEL k", ":1")?;
    // One of both differs.
    forgets(c, "IDMP-DURATION 100 IDMP-MAXSIZE 99")
}

fn s115(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    produce(c)?;
    c.is("XADD k IDMP p1 r1 * f v", "@")?;
    let unchanged = || Counters { pids: 2, iids: 3, added: 3, duplicates: 1 };
    c.ok("XCFGSET k IDMP-DURATION 100")?;
    tracks(c, "k", unchanged())?;
    c.ok("XCFGSET k IDMP-MAXSIZE 100")?;
    tracks(c, "k", unchanged())?;
    c.ok("XCFGSET k IDMP-MAXSIZE 100 IDMP-DURATION 100")?;
    tracks(c, "k", unchanged())
}
