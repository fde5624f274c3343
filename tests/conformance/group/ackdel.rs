//! `XACKDEL`: acknowledging and deleting in one step, and who else may still need the entry.

use crate::client::{Client, Outcome};
use crate::env::Env;
use crate::registry::Numbered;

pub(super) const TESTS: &[Numbered] = &[
    Numbered::new("g89", "XACKDEL wrong number of args", g89).since(8, 2),
    Numbered::new("g90", "XACKDEL when the key or the group doesn't exist", g90).since(8, 2),
    Numbered::new("g91", "XACKDEL IDS parameter validation", g91).since(8, 2),
    Numbered::new("g92", "XACKDEL KEEPREF/DELREF/ACKED parameter validation", g92).since(8, 2),
    Numbered::new("g93", "XACKDEL with DELREF option", g93).since(8, 2),
    Numbered::new("g94", "XACKDEL with ACKED option", g94).since(8, 2),
    Numbered::new("g95", "XACKDEL with KEEPREF", g95).since(8, 2),
    Numbered::new("g98", "XACKDEL with more IDs than fit a small buffer", g98).since(8, 2),
];

const ARITY: &str = "ERR wrong number of arguments for 'xackdel' command";
const SYNTAX: &str = "ERR syntax error";

/// Entries 1-0 to `n`-0 of stream `s`, all of them pending in groups `g1` and `g2`.
fn both(c: &mut Client, n: u64) -> Outcome {
    c.entries("s", 1..=n)?;
    for group in ["g1", "g2"] {
        c.ok(format!("XGROUP CREATE s {group} 0"))?;
        let read = format!("XREADGROUP GROUP {group} c STREAMS s >");
        c.at(read, &format!("0.1.{}.0", n - 1), format!("{n}-0"))?;
    }
    Ok(())
}

fn g89(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    both(c, 1)?;
    for command in [
        "XACKDEL",
        "XACKDEL s",
        "XACKDEL s g1",
        "XACKDEL s g1 IDS",
        "XACKDEL s g1 IDS 1",
        "XACKDEL s g1 KEEPREF IDS",
    ] {
        c.err(command, ARITY)?;
    }
    c.is("XPENDING s g1", "[:1 1-0 1-0 [[c 1]]]")?;
    c.is("XACKDEL s g1 IDS 1 1-0", "[:1]")
}

fn g90(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XACKDEL s g IDS 1 1-0", "[:-1]")?;
    c.is("XACKDEL s g DELREF IDS 3 1-0 2-0 1-0", "[:-1 :-1 :-1]")?;
    // Nobody looks at IDs for which there is nothing to do.
    c.is("XACKDEL s g IDS 2 bad 1-0", "[:-1 :-1]")?;
    c.is("EXISTS s", ":0")?;
    c.entries("s", 1..=1)?;
    c.is("XACKDEL s g ACKED IDS 2 1-0 bad", "[:-1 :-1]")?;
    c.is("XLEN s", ":1")?;
    c.ok("XGROUP CREATE s g 0")?;
    let invalid = "ERR Invalid stream ID specified as stream command argument";
    c.err("XACKDEL s g IDS 2 1-0 bad", invalid)?;
    // The entry is there, but the group has nothing of it.
    c.is("XACKDEL s g IDS 1 1-0", "[:-1]")?;
    c.is("XLEN s", ":1")
}

fn g91(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    both(c, 3)?;
    let positive = "ERR Number of IDs must be a positive integer";
    for n in ["abc", "0", "-5", "1.5", "9223372036854775808"] {
        c.err(format!("XACKDEL s g1 IDS {n} 1-0"), positive)?;
    }
    let number = "ERR The `numids` parameter must match the number of arguments";
    c.err("XACKDEL s g1 IDS 2 1-0", number)?;
    c.err("XACKDEL s g1 IDS 9223372036854775807 1-0 2-0", number)?;
    c.err("XACKDEL s g1 IDS 1 1-0 2-0", SYNTAX)?;
    c.err("XACKDEL s g1 KEEPREF DELREF IDS 1 1-0", SYNTAX)?;
    c.err("XACKDEL s g1 KEEPREF KEEPREF KEEPREF", SYNTAX)?;
    c.err("XACKDEL s g1 ID 1 1-0", SYNTAX)?;
    c.err("XACKDEL s g1 1-0 2-0 3-0", SYNTAX)?;
    c.err("XACKDEL s g1 KEEPREF KEEPREF IDS", SYNTAX)?;
    // Half of the IDs wrong is all of them refused.
    let invalid = "ERR Invalid stream ID specified as stream command argument";
    c.err("XACKDEL s g1 IDS 2 1-0 invalid-id", invalid)?;
    c.is("XPENDING s g1", "[:3 1-0 3-0 [[c 3]]]")?;
    c.is("XLEN s", ":3")?;
    c.is("XACKDEL s g1 ids 2 1 2-0", "[:1 :1]")
}

fn g92(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    both(c, 6)?;
    for words in ["KEEPREF DELREF", "DELREF ACKED", "ACKED KEEPREF", "DELREF DELREF"] {
        c.err(format!("XACKDEL s g1 {words} IDS 1 1-0"), SYNTAX)?;
        let (one, other) = words.split_once(' ').unwrap_or_default();
        c.err(format!("XACKDEL s g1 {one} IDS 1 1-0 {other}"), SYNTAX)?;
        c.err(format!("XACKDEL s g1 IDS 1 1-0 {words}"), SYNTAX)?;
    }
    c.err("XACKDEL s g1 FOO IDS 1 1-0", SYNTAX)?;
    c.err("XACKDEL s g1 IDS 1 1-0 FOO", SYNTAX)?;
    c.is("XPENDING s g1", "[:6 1-0 6-0 [[c 6]]]")?;
    // One word, before or behind the IDs.
    c.is("XACKDEL s g1 KEEPREF IDS 1 1-0", "[:1]")?;
    c.is("XACKDEL s g1 delref IDS 1 2-0", "[:1]")?;
    c.is("XACKDEL s g1 ACKED IDS 1 3-0", "[:2]")?;
    c.is("XACKDEL s g1 IDS 1 4-0 KEEPREF", "[:1]")?;
    c.is("XACKDEL s g1 IDS 1 5-0 DELREF", "[:1]")?;
    c.is("XACKDEL s g1 IDS 1 6-0 Acked", "[:2]")?;
    c.is("XRANGE s - +", "[[3-0 [f 3]] [6-0 [f 6]]]")?;
    c.is("XPENDING s g1", "[:0 nil nil nil*]")?;
    c.is("XPENDING s g2", "[:4 1-0 6-0 [[c 4]]]")
}

fn g93(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    both(c, 4)?;
    c.is("XACKDEL s g1 DELREF IDS 2 1-0 2-0", "[:1 :1]")?;
    c.is("XLEN s", ":2")?;
    // Gone from both groups, also from the one that was not named.
    c.is("XPENDING s g1", "[:2 3-0 4-0 [[c 2]]]")?;
    c.is("XPENDING s g2", "[:2 3-0 4-0 [[c 2]]]")?;
    c.each("XINFO CONSUMERS s g2", "pending", "[:2]")?;
    c.is("XREADGROUP GROUP g2 c STREAMS s 0", "[[s [[3-0 [f 3]] [4-0 [f 4]]]]]")?;
    c.is("XACKDEL s g2 DELREF IDS 2 1-0 2-0", "[:-1 :-1]")?;
    c.at("XINFO STREAM s", "max-deleted-entry-id", "2-0")?;
    c.at("XINFO STREAM s", "recorded-first-entry-id", "3-0")?;
    // What this group does not have is not touched, whoever else has it.
    c.is("XACK s g1 3-0", ":1")?;
    c.is("XACKDEL s g1 DELREF IDS 1 3-0", "[:-1]")?;
    c.is("XPENDING s g2", "[:2 3-0 4-0 [[c 2]]]")?;
    // The entry is gone already: the records go all the same.
    c.is("XDEL s 4-0", ":1")?;
    c.is("XACKDEL s g1 DELREF IDS 2 4-0 4-0", "[:1 :-1]")?;
    c.is("XPENDING s g2", "[:1 3-0 3-0 [[c 1]]]")?;
    c.is("XRANGE s - +", "[[3-0 [f 3]]]")
}

fn g94(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    both(c, 3)?;
    // Acknowledged here, and still needed there.
    c.is("XACKDEL s g1 ACKED IDS 2 1-0 2-0", "[:2 :2]")?;
    c.is("XLEN s", ":3")?;
    c.is("XPENDING s g1", "[:1 3-0 3-0 [[c 1]]]")?;
    c.is("XPENDING s g2", "[:3 1-0 3-0 [[c 3]]]")?;
    // The last one who acknowledges deletes.
    c.is("XACKDEL s g2 ACKED IDS 2 1-0 2-0", "[:1 :1]")?;
    c.is("XRANGE s - +", "[[3-0 [f 3]]]")?;
    c.is("XPENDING s g2", "[:1 3-0 3-0 [[c 1]]]")?;
    c.is("XACKDEL s g1 ACKED IDS 1 1-0", "[:-1]")?;
    // A group that has not read it yet needs it too.
    c.ok("XGROUP CREATE s late 2-0")?;
    c.is("XACKDEL s g1 ACKED IDS 1 3-0", "[:2]")?;
    c.is("XACKDEL s g2 ACKED IDS 1 3-0", "[:2]")?;
    c.is("XREADGROUP GROUP late c STREAMS s >", "[[s [[3-0 [f 3]]]]]")?;
    c.is("XACKDEL s late ACKED IDS 1 3-0", "[:1]")?;
    c.is("XLEN s", ":0")?;
    // Gone already, and needed by another group or by none.
    c.entries("s", 4..=4)?;
    for group in ["g1", "g2", "late"] {
        c.is(format!("XREADGROUP GROUP {group} c STREAMS s >"), "[[s [[4-0 [f 4]]]]]")?;
    }
    c.is("XDEL s 4-0", ":1")?;
    c.is("XACKDEL s g1 ACKED IDS 1 4-0", "[:2]")?;
    c.is("XACKDEL s g2 ACKED IDS 1 4-0", "[:2]")?;
    c.is("XACKDEL s late ACKED IDS 1 4-0", "[:1]")
}

fn g95(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    both(c, 4)?;
    c.is("XACKDEL s g1 KEEPREF IDS 2 1-0 2-0", "[:1 :1]")?;
    c.is("XRANGE s - +", "[[3-0 [f 3]] [4-0 [f 4]]]")?;
    c.is("XPENDING s g1", "[:2 3-0 4-0 [[c 2]]]")?;
    // The other group still has the records, of entries that are gone.
    c.is("XPENDING s g2", "[:4 1-0 4-0 [[c 4]]]")?;
    c.is("XREADGROUP GROUP g2 c COUNT 2 STREAMS s 0", "[[s [[1-0 nil*] [2-0 nil*]]]]")?;
    c.is("XACKDEL s g2 KEEPREF IDS 2 1-0 2-0", "[:1 :1]")?;
    c.is("XPENDING s g2", "[:2 3-0 4-0 [[c 2]]]")?;
    // It is the default.
    c.is("XACKDEL s g1 IDS 1 3-0", "[:1]")?;
    c.is("XPENDING s g2", "[:2 3-0 4-0 [[c 2]]]")?;
    c.is("XRANGE s - +", "[[4-0 [f 4]]]")?;
    c.is("XACKDEL s g1 IDS 2 3-0 9-9", "[:-1 :-1]")?;
    c.at("XINFO STREAM s", "max-deleted-entry-id", "3-0")
}

fn g98(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    both(c, 60)?;
    let ids: Vec<_> = (1..=50).map(|n| format!("{n}-0")).collect();
    let want = format!("[{}]", [":1"; 50].join(" "));
    c.is(format!("XACKDEL s g1 IDS 50 {}", ids.join(" ")), &want)?;
    c.is("PING", "+PONG")?;
    c.is("XLEN s", ":10")?;
    c.is("XPENDING s g1", "[:10 51-0 60-0 [[c 10]]]")?;
    c.is("XPENDING s g2", "[:60 1-0 60-0 [[c 60]]]")?;
    let gone = format!("[{}]", [":-1"; 50].join(" "));
    c.is(format!("XACKDEL s g1 IDS 50 {}", ids.join(" ")), gone)?;
    // The last of so many is looked at before the first is done.
    let invalid = "ERR Invalid stream ID specified as stream command argument";
    c.err(format!("XACKDEL s g2 IDS 51 {} bad", ids.join(" ")), invalid)?;
    c.is("XPENDING s g2", "[:60 1-0 60-0 [[c 60]]]")?;
    c.is(format!("XACKDEL s g2 DELREF IDS 50 {}", ids.join(" ")), &want)?;
    c.is("XPENDING s g2", "[:10 51-0 60-0 [[c 10]]]")
}
