//! Trimming by XADD and XTRIM: exact, approximate, limited, and with references.

use super::{add_numbered, has_len, holds};
use crate::client::{Client, Outcome};
use crate::env::Env;
use crate::registry::Numbered;

pub(crate) const TESTS: &[Numbered] = &[
    Numbered::new("s11", "XADD MAXLEN keeps the newest", s11),
    Numbered::new("s12", "XADD MAXLEN = is the same", s12),
    Numbered::new("s13", "XADD MAXLEN ~ drops whole nodes", s13),
    Numbered::new("s15", "XADD MINID drops what is older", s15),
    Numbered::new("s16", "XADD MAXLEN ACKED keeps what a group still needs", s16).since(8, 2),
    Numbered::new("s17", "XADD ACKED knows the references after a reload", s17).since(8, 2),
    Numbered::new("s18", "XADD MAXLEN DELREF cleans the pending lists", s18).since(8, 2),
    Numbered::new("s130", "XTRIM MINID", s130),
    Numbered::new("s131", "XTRIM MINID with IDs far apart", s131),
    Numbered::new("s132", "XTRIM MINID frees a node with deleted entries only", s132).since(8, 10),
    Numbered::new("s135", "XADD LIMIT smaller than a node removes nothing", s135),
    Numbered::new("s175", "XTRIM MAXLEN exact and approximate", s175),
    Numbered::new("s176", "XADD LIMIT, several times", s176),
    Numbered::new("s177", "XTRIM ~ has a limit of its own", s177),
    Numbered::new("s178", "XTRIM without ~ has none", s178),
    Numbered::new("s179", "LIMIT needs ~", s179),
    Numbered::new("s180", "XTRIM LIMIT is never passed", s180),
    Numbered::new("s181", "XTRIM ~ ACKED looks at each entry", s181).since(8, 2),
    Numbered::new("s182", "XTRIM ~ DELREF cleans the pending lists", s182).since(8, 2),
];

const NO_PENDING: &str = "[:0 nil nil nil*]";

fn node_entries(c: &mut Client, n: u32) -> Outcome {
    c.ok(format!("CONFIG SET stream-node-max-entries {n}"))
}

fn last_five(env: &mut Env<'_>, option: &str) -> Outcome {
    let c = &mut env.c;
    let commands: Vec<String> =
        (1..=1000).map(|n| format!("XADD k {option} {n}-0 f {n}")).collect();
    c.many(&commands)?;
    has_len(c, "k", 5)?;
    holds(c, "k", 996..=1000)?;
    let counters = [
        ("entries-added", ":1000"),
        ("max-deleted-entry-id", "0-0"),
        ("recorded-first-entry-id", "996-0"),
    ];
    c.fields("XINFO STREAM k", &counters)
}

fn s11(env: &mut Env<'_>) -> Outcome {
    last_five(env, "MAXLEN 5")
}

fn s12(env: &mut Env<'_>) -> Outcome {
    last_five(env, "maxlen = 5")
}

fn s13(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    node_entries(c, 100)?;
    let commands: Vec<String> =
        (1..=1000).map(|n| format!("XADD k MAXLEN ~ 555 {n}-0 f {n}")).collect();
    c.many(&commands)?;
    has_len(c, "k", 600)?;
    holds(c, "k", 401..=1000)
}

fn s15(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let commands: Vec<String> =
        (1..=1000).map(|n: i64| format!("XADD k MINID {} {n} f {n}", (n - 5).max(0))).collect();
    c.many(&commands)?;
    holds(c, "k", 995..=1000)
}

fn s16(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    add_numbered(c, "k", 5)?;
    c.ok("XGROUP CREATE k g 0")?;
    c.is("XADD k MAXLEN = 1 ACKED 6-0 f 6", "6-0")?;
    holds(c, "k", 1..=6)?;
    c.is("XREADGROUP GROUP g a COUNT 1 STREAMS k >", "[[k [[1-0 [f 1]]]]]")?;
    c.is("XACK k g 1-0", ":1")?;
    c.is("XADD k MAXLEN = 1 ACKED 7-0 f 7", "7-0")?;
    holds(c, "k", 2..=7)?;
    c.is("XREADGROUP GROUP g a STREAMS k >", "[[k [* * * * * *]]]")?;
    c.is("XACK k g 2-0 3-0 4-0 5-0 6-0 7-0", ":6")?;
    c.is("XADD k MAXLEN = 1 ACKED 8-0 f 8", "8-0")?;
    holds(c, "k", [8])
}

fn s17(env: &mut Env<'_>) -> Outcome {
    env.c.is("XADD k 1-0 f 1", "1-0")?;
    env.c.ok("XGROUP CREATE k g 0")?;
    env.c.is("XREADGROUP GROUP g a STREAMS k >", "[[k [[1-0 [f 1]]]]]")?;
    env.reload()?;
    env.c.is("XADD k MAXLEN = 1 ACKED 2-0 f 2", "2-0")?;
    holds(&mut env.c, "k", 1..=2)?;
    env.c.is("XACK k g 1-0", ":1")?;
    env.reload()?;
    env.c.is("XADD k MAXLEN = 1 ACKED 3-0 f 3", "3-0")?;
    holds(&mut env.c, "k", 2..=3)
}

fn s18(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    add_numbered(c, "k", 5)?;
    c.ok("XGROUP CREATE k g 0")?;
    c.is("XREADGROUP GROUP g a COUNT 1 STREAMS k >", "[[k [[1-0 [f 1]]]]]")?;
    c.is("XPENDING k g", "[:1 1-0 1-0 [[a 1]]]")?;
    c.is("XADD k MAXLEN = 1 DELREF 6-0 f 6", "6-0")?;
    holds(c, "k", [6])?;
    c.is("XPENDING k g", NO_PENDING)?;
    c.at("XINFO CONSUMERS k g", "0.pending", ":0")
}

fn s130(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    add_numbered(c, "k", 5)?;
    c.is("XTRIM k MINID = 3-0", ":2")?;
    holds(c, "k", 3..=5)?;
    c.is("XTRIM k MINID 4", ":1")?;
    c.is("XTRIM k MINID 4-0", ":0")?;
    holds(c, "k", 4..=5)?;
    c.is("XTRIM k MINID 4-1", ":1")?;
    holds(c, "k", [5])?;
    c.is("XTRIM absent MINID 4-1", ":0")
}

fn s131(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    for id in ["1-1", "1641544570597-0", "1641544570597-1"] {
        c.is(format!("XADD k {id} f v"), id)?;
    }
    c.is("XTRIM k MINID 1641544570597-0", ":1")?;
    c.is("XRANGE k - +", "[[1641544570597-0 [f v]] [1641544570597-1 [f v]]]")?;
    c.is("XTRIM k MINID 1641544570597-1", ":1")?;
    has_len(c, "k", 1)
}

fn s132(env: &mut Env<'_>) -> Outcome {
    add_numbered(&mut env.c, "k", 2)?;
    env.c.is("XDEL k 2-0", ":1")?;
    env.c.at("XINFO STREAM k", "radix-tree-keys", ":1")?;
    env.c.is("XTRIM k MINID = 2-0", ":1")?;
    let empty = [
        ("length", ":0"),
        ("radix-tree-keys", ":0"),
        ("max-deleted-entry-id", "2-0"),
        ("last-generated-id", "2-0"),
        ("recorded-first-entry-id", "0-0"),
        ("entries-added", ":2"),
        ("first-entry", "nil"),
    ];
    env.c.fields("XINFO STREAM k", &empty)?;
    env.reload()?;
    env.c.fields("XINFO STREAM k", &empty)
}

fn s135(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    node_entries(c, 100)?;
    add_numbered(c, "k", 3)?;
    c.is("XADD k MAXLEN ~ 0 limit 1 4-0 f 4", "4-0")?;
    holds(c, "k", 1..=4)?;
    c.is("XADD k MAXLEN ~ 0 LIMIT 5 5-0 f 5", "5-0")?;
    has_len(c, "k", 0)
}

fn s175(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    node_entries(c, 100)?;
    add_numbered(c, "k", 1000)?;
    c.is("XTRIM k MAXLEN 666", ":334")?;
    has_len(c, "k", 666)?;
    c.is("XTRIM k MAXLEN = 555", ":111")?;
    has_len(c, "k", 555)?;
    c.is("XTRIM k MAXLEN ~ 444", ":55")?;
    has_len(c, "k", 500)?;
    c.is("XTRIM k MAXLEN ~ 400", ":100")?;
    holds(c, "k", 601..=1000)
}

fn s176(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    node_entries(c, 10)?;
    add_numbered(c, "k", 100)?;
    c.is("XADD k MAXLEN ~ 55 LIMIT 30 101-0 f 101", "101-0")?;
    holds(c, "k", 31..=101)?;
    c.is("XADD k MAXLEN ~ 55 LIMIT 30 102-0 f 102", "102-0")?;
    holds(c, "k", 41..=102)?;
    has_len(c, "k", 62)
}

fn s177(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    node_entries(c, 1)?;
    add_numbered(c, "k", 102)?;
    c.is("XTRIM k MAXLEN ~ 1", ":100")?;
    holds(c, "k", 101..=102)
}

fn s178(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    node_entries(c, 1)?;
    add_numbered(c, "k", 102)?;
    c.is("XTRIM k MAXLEN 1", ":101")?;
    holds(c, "k", [102])
}

fn s179(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    node_entries(c, 1)?;
    add_numbered(c, "k", 3)?;
    let error = "ERR syntax error, LIMIT cannot be used without the special ~ option";
    c.err("XTRIM k MAXLEN 1 LIMIT 30", error)?;
    c.err("XTRIM k MAXLEN = 1 LIMIT 0", error)?;
    c.err("XADD k MINID 1 LIMIT 30 * f v", error)?;
    let no_strategy =
        "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy";
    c.err("XADD k LIMIT 30 * f v", no_strategy)?;
    c.err("XTRIM k LIMIT 30 ~", "ERR syntax error")?;
    c.err("XTRIM k MAXLEN ~ 1 LIMIT -1", "ERR The LIMIT argument must be >= 0.")?;
    c.err("XTRIM k MAXLEN -1", "ERR The MAXLEN argument must be >= 0.")?;
    holds(c, "k", 1..=3)
}

fn s180(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    node_entries(c, 2)?;
    add_numbered(c, "k", 3)?;
    c.is("XTRIM k MAXLEN ~ 0 LIMIT 1", ":0")?;
    c.is("XTRIM k MAXLEN ~ 0 LIMIT 2", ":2")?;
    holds(c, "k", [3])
}

fn s181(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    node_entries(c, 2)?;
    add_numbered(c, "k", 5)?;
    c.ok("XGROUP CREATE k g 0")?;
    c.is("XREADGROUP GROUP g a STREAMS k >", "[[k [* * * * *]]]")?;
    c.is("XACK k g 1-0 2-0 4-0", ":3")?;
    c.is("XTRIM k MINID ~ 6-0 ACKED", ":3")?;
    c.is("XRANGE k - +", "[[3-0 [f 3]] [5-0 [f 5]]]")?;
    c.is("XPENDING k g", "[:2 3-0 5-0 [[a 2]]]")?;
    c.is("XACK k g 3-0 5-0", ":2")?;
    c.is("XTRIM k MINID ~ 6-0 ACKED", ":2")?;
    has_len(c, "k", 0)
}

fn s182(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    node_entries(c, 2)?;
    add_numbered(c, "k", 4)?;
    for group in ["g", "h"] {
        c.ok(format!("XGROUP CREATE k {group} 0"))?;
        c.is(format!("XREADGROUP GROUP {group} a STREAMS k >"), "[[k [* * * *]]]")?;
    }
    c.is("XTRIM k MINID ~ 5-0 DELREF", ":4")?;
    has_len(c, "k", 0)?;
    c.is("XPENDING k g", NO_PENDING)?;
    c.is("XPENDING k h", NO_PENDING)
}
