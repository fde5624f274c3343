//! What XINFO STREAM counts of producers, the window of IDs, and the server's defaults.

use super::{Counters, has_len, tracks};
use crate::client::{Client, Outcome, ensure};
use crate::env::Env;
use crate::registry::Numbered;

pub(crate) const TESTS: &[Numbered] = &[
    Numbered::new("s116", "tracked and added", s116).since(8, 6),
    Numbered::new("s117", "added goes on counting when IDs make room", s117).since(8, 6),
    Numbered::new("s118", "duplicates are counted for life", s118).since(8, 6),
    Numbered::new("s119", "duplicates stay when their IDs make room", s119).since(8, 6),
    Numbered::new("s120", "duplicates of several producers", s120).since(8, 6),
    Numbered::new("s121", "counters after XCFGSET forgot", s121).since(8, 6),
    Numbered::new("s122", "added survives a restart", s122).since(8, 6).own_server(),
    Numbered::new("s123", "producers are counted", s123).since(8, 6),
    Numbered::new("s124", "XINFO STREAM FULL counts them too", s124).since(8, 6),
    Numbered::new("s125", "tracked is the sum over producers", s125).since(8, 6),
    Numbered::new("s126", "a new stream takes the server's settings", s126).since(8, 6),
    Numbered::new("s127", "the window holds the last IDs", s127).since(8, 6),
    Numbered::new("s128", "XCFGSET forgets those of all producers", s128).since(8, 6),
    Numbered::new("s129", "CONFIG SET checks the settings", s129).since(8, 6),
];

fn counts(c: &mut Client, pids: u32, iids: u32, added: u32, duplicates: u32) -> Outcome {
    tracks(c, "k", Counters { pids, iids, added, duplicates })
}

/// XADD IDMP by this producer of the IDs from-to.
fn produce(c: &mut Client, pid: &str, iids: std::ops::RangeInclusive<u32>) -> Outcome {
    let commands: Vec<String> = iids.map(|n| format!("XADD k IDMP {pid} r{n} * f {n}")).collect();
    let ids = c.many(&commands)?;
    ids.iter().try_for_each(|id| id.text().map(drop))
}

fn s116(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD k * f init", "@")?;
    counts(c, 0, 0, 0, 0)?;
    produce(c, "p1", 1..=3)?;
    counts(c, 1, 3, 3, 0)?;
    c.is("XADD k IDMPAUTO p1 * f v", "@")?;
    counts(c, 1, 4, 4, 0)?;
    c.is("XADD k * f v", "@")?;
    counts(c, 1, 4, 4, 0)
}

fn s117(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD k * f init", "@")?;
    c.ok("XCFGSET k IDMP-MAXSIZE 2")?;
    for n in 1..=5 {
        produce(c, "p1", n..=n)?;
        counts(c, 1, n.min(2), n, 0)?;
    }
    produce(c, "p1", 1..=1)?;
    counts(c, 1, 2, 6, 0)
}

fn s118(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    produce(c, "p1", 1..=2)?;
    for n in 1..=5 {
        produce(c, "p1", 1..=1)?;
        counts(c, 1, 2, 2, n)?;
    }
    produce(c, "p1", 2..=2)?;
    counts(c, 1, 2, 2, 6)?;
    has_len(c, "k", 2)
}

fn s119(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD k * f init", "@")?;
    c.ok("XCFGSET k IDMP-MAXSIZE 2")?;
    produce(c, "p1", 1..=2)?;
    produce(c, "p1", 1..=2)?;
    counts(c, 1, 2, 2, 2)?;
    produce(c, "p1", 3..=6)?;
    counts(c, 1, 2, 6, 2)?;
    produce(c, "p1", 6..=6)?;
    counts(c, 1, 2, 6, 3)
}

fn s120(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    for (n, pid) in (1..).zip(["p1", "p2", "p3"]) {
        produce(c, pid, 1..=2)?;
        for _ in 0..n {
            produce(c, pid, 2..=2)?;
        }
    }
    counts(c, 3, 6, 6, 6)?;
    has_len(c, "k", 6)
}

fn s121(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    produce(c, "p1", 1..=3)?;
    produce(c, "p1", 1..=2)?;
    counts(c, 1, 3, 3, 2)?;
    c.ok("XCFGSET k IDMP-DURATION 77")?;
    counts(c, 0, 0, 3, 2)?;
    produce(c, "p1", 1..=1)?;
    produce(c, "p1", 1..=1)?;
    counts(c, 1, 1, 4, 3)
}

fn s122(env: &mut Env<'_>) -> Outcome {
    env.c.is("XADD k * f init", "@")?;
    env.c.ok("XCFGSET k IDMP-MAXSIZE 3")?;
    produce(&mut env.c, "p1", 1..=5)?;
    produce(&mut env.c, "p1", 5..=5)?;
    counts(&mut env.c, 1, 3, 5, 1)?;
    env.c.ok("SAVE")?;
    env.restart()?;
    counts(&mut env.c, 1, 3, 5, 1)?;
    produce(&mut env.c, "p1", 6..=6)?;
    counts(&mut env.c, 1, 3, 6, 1)
}

fn s123(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD k * f init", "@")?;
    counts(c, 0, 0, 0, 0)?;
    for n in 1..=4 {
        produce(c, &format!("p{n}"), 1..=2)?;
        counts(c, n, 2 * n, 2 * n, 0)?;
    }
    produce(c, "p1", 3..=3)?;
    counts(c, 4, 9, 9, 0)
}

fn s124(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    produce(c, "p1", 1..=2)?;
    produce(c, "p2", 1..=1)?;
    produce(c, "p2", 1..=1)?;
    let expected = [
        ("length", ":3"),
        ("pids-tracked", ":2"),
        ("iids-tracked", ":3"),
        ("iids-added", ":3"),
        ("iids-duplicates", ":1"),
    ];
    c.fields("XINFO STREAM k FULL", &expected)?;
    let names: Vec<String> =
        c.list("XINFO STREAM k FULL")?.chunks(2).map(|p| p[0].to_string()).collect();
    let order = "length radix-tree-keys radix-tree-nodes last-generated-id max-deleted-entry-id \
        entries-added recorded-first-entry-id idmp-duration idmp-maxsize pids-tracked \
        iids-tracked iids-added iids-duplicates entries groups";
    ensure(names.join(" ") == order, format!("{names:?}"))
}

fn s125(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    for (pid, n) in [("p1", 1), ("p2", 2), ("p3", 3), ("p4", 10)] {
        produce(c, pid, 1..=n)?;
    }
    counts(c, 4, 16, 16, 0)?;
    c.ok("XCFGSET k IDMP-MAXSIZE 2")?;
    for (pid, n) in [("p1", 1), ("p2", 2), ("p3", 3), ("p4", 10)] {
        produce(c, pid, 1..=n)?;
    }
    counts(c, 4, 7, 32, 0)
}

fn settings(c: &mut Client, key: &str, duration: &str, maxsize: &str) -> Outcome {
    let expected = [("idmp-duration", duration), ("idmp-maxsize", maxsize)];
    c.fields(format!("XINFO STREAM {key}"), &expected)?;
    c.fields(format!("XINFO STREAM {key} FULL"), &expected)
}

fn s126(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD old * f v", "@")?;
    settings(c, "old", ":100", ":100")?;
    c.ok("CONFIG SET stream-idmp-duration 250")?;
    c.ok("CONFIG SET stream-idmp-maxsize 300")?;
    c.is("XADD new * f v", "@")?;
    settings(c, "new", ":250", ":300")?;
    settings(c, "old", ":100", ":100")?;
    c.ok("XCFGSET new IDMP-DURATION 5")?;
    settings(c, "new", ":5", ":300")?;
    c.ok("XGROUP CREATE empty g $ MKSTREAM")?;
    settings(c, "empty", ":250", ":300")
}

fn s127(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD k * f init", "@")?;
    c.ok("XCFGSET k IDMP-MAXSIZE 8")?;
    produce(c, "p1", 1..=100)?;
    has_len(c, "k", 101)?;
    counts(c, 1, 8, 100, 0)?;
    produce(c, "p1", 93..=100)?;
    has_len(c, "k", 101)?;
    counts(c, 1, 8, 100, 8)?;
    produce(c, "p1", 1..=92)?;
    has_len(c, "k", 193)?;
    counts(c, 1, 8, 192, 8)
}

fn s128(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    for pid in ["p1", "p2", "p3"] {
        produce(c, pid, 1..=2)?;
    }
    counts(c, 3, 6, 6, 0)?;
    c.ok("XCFGSET k IDMP-MAXSIZE 55")?;
    counts(c, 0, 0, 6, 0)?;
    for pid in ["p1", "p2", "p3"] {
        produce(c, pid, 1..=2)?;
    }
    has_len(c, "k", 12)?;
    counts(c, 3, 6, 12, 0)
}

fn s129(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    for (name, most) in [("stream-idmp-duration", 86_400), ("stream-idmp-maxsize", 10_000)] {
        let error = format!(
            "ERR CONFIG SET failed (possibly related to argument '{name}') - \
             argument must be between 1 and {most} inclusive"
        );
        c.is(format!("CONFIG GET {name}"), format!("{{{name} 100}}"))?;
        for bad in [0, -1, most + 1] {
            c.err(format!("CONFIG SET {name} {bad}"), &error)?;
        }
        c.is(format!("CONFIG GET {name}"), format!("{{{name} 100}}"))?;
        for good in [1, most] {
            c.ok(format!("CONFIG SET {name} {good}"))?;
            c.is(format!("CONFIG GET {name}"), format!("{{{name} {good}}}"))?;
        }
    }
    Ok(())
}
