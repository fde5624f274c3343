//! How long what is known of producers lives: restarts, other names, other data bases, time.

use super::{Counters, has_len, tracks};
use crate::client::{Client, Outcome, ensure};
use crate::env::{Env, sleep_ms};
use crate::registry::Numbered;

pub(crate) const TESTS: &[Numbered] = &[
    Numbered::new("s34", "IDMP is saved", s34).since(8, 6),
    Numbered::new("s35", "IDMP is in the log", s35).since(8, 6),
    Numbered::new("s54", "IDMP survives a restart", s54).since(8, 6).own_server(),
    Numbered::new("s55", "IDs go on expiring after a restart", s55).since(8, 6).own_server(),
    Numbered::new("s56", "IDMP follows its stream through SWAPDB", s56).since(8, 6),
    Numbered::new("s57", "IDMP ends with FLUSHDB", s57).since(8, 6),
    Numbered::new("s58", "IDMP ends with DEL", s58).since(8, 6),
    Numbered::new("s59", "IDMP ends with FLUSHALL in each data base", s59).since(8, 6),
    Numbered::new("s60", "IDMP follows RENAME", s60).since(8, 6),
    Numbered::new("s61", "RENAME onto a stream ends what that one knew", s61).since(8, 6),
    Numbered::new("s62", "COPY copies IDMP", s62).since(8, 6),
    Numbered::new("s63", "COPY REPLACE ends what the target knew", s63).since(8, 6),
    Numbered::new("s64", "IDMP follows MOVE", s64).since(8, 6),
    Numbered::new("s91", "IDs expire", s91).since(8, 6),
    Numbered::new("s92", "the oldest ID makes room", s92).since(8, 6),
];

/// Two producers, one duplicate; the IDs of p1 r1, p1 r2, p2 r1.
fn produce(c: &mut Client) -> Result<[String; 3], String> {
    let ids = [
        c.text("XADD k IDMP p1 r1 * f 1")?,
        c.text("XADD k IDMP p1 r2 * f 2")?,
        c.text("XADD k IDMP p2 r1 * f 3")?,
    ];
    c.is("XADD k IDMP p1 r1 * f 1", &ids[0])?;
    Ok(ids)
}

/// All is known that `produce` told, and three more duplicates are counted.
fn still_known(c: &mut Client, key: &str, ids: &[String; 3]) -> Outcome {
    let known = |duplicates| Counters { pids: 2, iids: 3, added: 3, duplicates };
    tracks(c, key, known(1))?;
    for (producer, id) in ["p1 r1", "p1 r2", "p2 r1"].iter().zip(ids) {
        c.is(format!("XADD {key} IDMP {producer} * f again"), id)?;
    }
    has_len(c, key, 3)?;
    tracks(c, key, known(4))
}

/// A request that is not known any more adds an entry: this is the n-th.
fn is_new(c: &mut Client, key: &str, producer: &str, n: i64) -> Outcome {
    c.is(format!("XADD {key} IDMP {producer} * f new"), "@")?;
    has_len(c, key, n)
}

fn s34(env: &mut Env<'_>) -> Outcome {
    let ids = produce(&mut env.c)?;
    env.c.ok("SAVE")?;
    env.reload()?;
    still_known(&mut env.c, "k", &ids)?;
    is_new(&mut env.c, "k", "p1 r3", 4)
}

fn s35(env: &mut Env<'_>) -> Outcome {
    let ids = produce(&mut env.c)?;
    env.load_log()?;
    still_known(&mut env.c, "k", &ids)?;
    env.reload()?;
    env.c.is("XADD k IDMP p2 r1 * f 3", &ids[2])?;
    is_new(&mut env.c, "k", "p2 r2", 4)
}

fn s54(env: &mut Env<'_>) -> Outcome {
    let ids = produce(&mut env.c)?;
    env.c.ok("SAVE")?;
    env.restart()?;
    still_known(&mut env.c, "k", &ids)?;
    is_new(&mut env.c, "k", "p3 r1", 4)
}

fn s55(env: &mut Env<'_>) -> Outcome {
    env.c.is("XADD k * f init", "@")?;
    env.c.ok("XCFGSET k IDMP-DURATION 3")?;
    let id = env.c.text("XADD k IDMP p1 r1 * f v")?;
    env.c.ok("SAVE")?;
    env.restart()?;
    env.c.at("XINFO STREAM k", "idmp-duration", ":3")?;
    env.c.is("XADD k IDMP p1 r1 * f v", &id)?;
    sleep_ms(4500);
    env.c.fields("XINFO STREAM k", &[("pids-tracked", ":0"), ("iids-tracked", ":0")])?;
    is_new(&mut env.c, "k", "p1 r1", 3)
}

fn s56(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let ids = produce(c)?;
    c.ok("SWAPDB 0 1")?;
    c.is("EXISTS k", ":0")?;
    is_new(c, "k", "p1 r1", 1)?;
    c.ok("SELECT 1")?;
    still_known(c, "k", &ids)?;
    c.ok("SWAPDB 1 9")?;
    c.is("EXISTS k", ":0")?;
    c.ok("SELECT 9")?;
    c.is("XADD k IDMP p2 r1 * f v", &ids[2])
}

fn s57(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let ids = produce(c)?;
    c.ok("SELECT 1")?;
    c.is("XADD other * f v", "@")?;
    c.ok("FLUSHDB")?;
    c.ok("SELECT 0")?;
    still_known(c, "k", &ids)?;
    c.ok("FLUSHDB")?;
    is_new(c, "k", "p1 r1", 1)?;
    tracks(c, "k", Counters { pids: 1, iids: 1, added: 1, duplicates: 0 })
}

fn s58(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    produce(c)?;
    c.is("DEL k", ":1")?;
    is_new(c, "k", "p1 r1", 1)?;
    is_new(c, "k", "p2 r1", 2)?;
    tracks(c, "k", Counters { pids: 2, iids: 2, added: 2, duplicates: 0 })
}

fn s59(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    for db in [0, 5, 15] {
        c.ok(format!("SELECT {db}"))?;
        produce(c)?;
    }
    c.ok("FLUSHALL")?;
    for db in [0, 5, 15] {
        c.ok(format!("SELECT {db}"))?;
        c.is("DBSIZE", ":0")?;
        is_new(c, "k", "p1 r1", 1)?;
        tracks(c, "k", Counters { pids: 1, iids: 1, added: 1, duplicates: 0 })?;
    }
    Ok(())
}

fn s60(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let ids = produce(c)?;
    c.ok("XCFGSET k IDMP-DURATION 100")?;
    c.ok("RENAME k k2")?;
    still_known(c, "k2", &ids)?;
    c.is("EXISTS k", ":0")?;
    is_new(c, "k", "p1 r1", 1)
}

/// `other` knows p9 r9 of itself, and p1 r1 for another entry than `k`.
fn other(c: &mut Client) -> Outcome {
    c.is("XADD other IDMP p9 r9 * f v", "@")?;
    c.is("XADD other IDMP p1 r1 * f v", "@")?;
    c.ok("XCFGSET other IDMP-MAXSIZE 100")
}

fn s61(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let ids = produce(c)?;
    other(c)?;
    c.ok("RENAME k other")?;
    still_known(c, "other", &ids)?;
    is_new(c, "other", "p9 r9", 4)
}

fn s62(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let ids = produce(c)?;
    c.is("COPY k copy", ":1")?;
    still_known(c, "copy", &ids)?;
    still_known(c, "k", &ids)?;
    // From here on they are two.
    is_new(c, "copy", "p1 r3", 4)?;
    is_new(c, "k", "p1 r3", 4)?;
    c.is("COPY k k DB 3", ":1")?;
    c.ok("SELECT 3")?;
    c.is("XADD k IDMP p1 r1 * f v", &ids[0])
}

fn s63(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let ids = produce(c)?;
    other(c)?;
    c.is("COPY k other", ":0")?;
    tracks(c, "other", Counters { pids: 2, iids: 2, added: 2, duplicates: 0 })?;
    c.is("COPY k other REPLACE", ":1")?;
    still_known(c, "other", &ids)?;
    is_new(c, "other", "p9 r9", 4)?;
    still_known(c, "k", &ids)
}

fn s64(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let ids = produce(c)?;
    c.is("MOVE k 1", ":1")?;
    c.is("EXISTS k", ":0")?;
    c.ok("SELECT 1")?;
    still_known(c, "k", &ids)?;
    c.ok("SELECT 0")?;
    is_new(c, "k", "p1 r1", 1)
}

fn s91(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD k * f init", "@")?;
    c.ok("XCFGSET k IDMP-DURATION 1")?;
    let id = c.text("XADD k IDMP p1 r1 * f v")?;
    c.is("XADD k IDMP p1 r1 * f v", &id)?;
    sleep_ms(2500);
    c.fields("XINFO STREAM k", &[("pids-tracked", ":0"), ("iids-tracked", ":0")])?;
    let new = c.text("XADD k IDMP p1 r1 * f v")?;
    ensure(new != id, "it is still known")?;
    has_len(c, "k", 3)?;
    tracks(c, "k", Counters { pids: 1, iids: 1, added: 2, duplicates: 1 })
}

fn s92(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD k * f init", "@")?;
    c.ok("XCFGSET k IDMP-MAXSIZE 3")?;
    let mut ids = Vec::new();
    for n in 1..=4 {
        ids.push(c.text(format!("XADD k IDMP p1 req-{n} * f {n}"))?);
    }
    tracks(c, "k", Counters { pids: 1, iids: 3, added: 4, duplicates: 0 })?;
    c.is("XADD k IDMP p1 req-2 * f 2", &ids[1])?;
    // A look-up does not make it younger: req-2 goes next all the same.
    let again = c.text("XADD k IDMP p1 req-1 * f 1")?;
    ensure(again != ids[0], "req-1 is still known")?;
    c.is("XADD k IDMP p1 req-3 * f 3", &ids[2])?;
    c.is("XADD k IDMP p1 req-4 * f 4", &ids[3])?;
    c.is("XADD k IDMP p1 req-1 * f 1", &again)?;
    has_len(c, "k", 6)?;
    tracks(c, "k", Counters { pids: 1, iids: 3, added: 5, duplicates: 4 })
}
