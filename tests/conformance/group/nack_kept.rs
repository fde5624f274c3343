//! Deliveries that were given back with `XNACK`, after the log was saved, loaded and rewritten,
//! and in a copy of the stream.

use super::nack::pending;
use super::reclaim::read;
use crate::client::{Client, Outcome, ensure};
use crate::env::Env;
use crate::registry::Numbered;

pub(super) const TESTS: &[Numbered] = &[
    Numbered::new("g170", "RDB save and load preserves NACKed entries", g170).since(8, 8),
    Numbered::new("g172", "COPY preserves NACKed entries", g172).since(8, 8),
    Numbered::new("g173", "NACKed entries survive AOF rewrite", g173).since(8, 8),
    Numbered::new("g174", "AOF rewrite batch split: 65 NACKed entries with owned tail", g174)
        .since(8, 8),
    Numbered::new("g175", "AOF rewrite batch split: entire PEL is NACK zone", g175).since(8, 8),
    Numbered::new("g176", "AOF rewrite with mixed delivery_counts", g176).since(8, 8),
    Numbered::new("g177", "FORCE-created NACKed entries survive AOF rewrite", g177).since(8, 8),
];

/// Six records, four of them given back in an order that is neither theirs nor that of the IDs.
fn mixed(c: &mut Client) -> Outcome {
    read(c, 6, false)?;
    c.is("XCLAIM s g c2 0 5-0", "[[5-0 [f 5]]]")?;
    c.is("XNACK s g FAIL IDS 2 5-0 2-0", ":2")?;
    c.is("XNACK s g FATAL IDS 1 6-0", ":1")?;
    c.is("XNACK s g SILENT IDS 1 3-0", ":1")
}

/// What is to be found of it on stream `key`, and in which order it is claimed.
fn is_mixed(c: &mut Client, key: &str) -> Outcome {
    let most = i64::MAX;
    c.is(
        format!("XPENDING {key} g - + 10"),
        format!(
            "[[1-0 c1 * :1] [2-0 \"\" :-1 :1] [3-0 \"\" :-1 :0] [4-0 c1 * :1] [5-0 \"\" :-1 :2] \
             [6-0 \"\" :-1 :{most}]]"
        ),
    )?;
    c.is(format!("XPENDING {key} g"), "[:6 1-0 6-0 [[c1 2]]]")?;
    c.at(format!("XINFO STREAM {key} FULL"), "groups.0.nacked-count", ":4")?;
    c.each(&format!("XINFO CONSUMERS {key} g"), "name", "[c1 c2]")?;
    c.is(
        format!("XREADGROUP GROUP g c3 CLAIM 0 STREAMS {key} >"),
        format!(
            "[[{key} [[5-0 [f 5] * :2] [2-0 [f 2] * :1] [6-0 [f 6] * :{most}] [3-0 [f 3] * :0] \
             [1-0 [f 1] * :1] [4-0 [f 4] * :1]]]]"
        ),
    )
}

fn g170(env: &mut Env<'_>) -> Outcome {
    mixed(&mut env.c)?;
    // Also one whose entry is gone.
    env.c.is("XDEL s 2-0", ":1")?;
    env.c.ok("SAVE")?;
    env.reload()?;
    let c = &mut env.c;
    pending(
        c,
        &["1-0 c1 1", "2-0 - 1", "3-0 - 0", "4-0 c1 1", "5-0 - 2", "6-0 - 9223372036854775807"],
    )?;
    c.at("XINFO STREAM s FULL", "groups.0.nacked-count", ":4")?;
    c.is(
        "XREADGROUP GROUP g c3 COUNT 2 CLAIM 0 STREAMS s >",
        format!("[[s [[5-0 [f 5] * :2] [6-0 [f 6] * :{}]]]]", i64::MAX),
    )?;
    env.reload()?;
    let c = &mut env.c;
    c.at("XINFO STREAM s FULL", "groups.0.nacked-count", ":2")?;
    c.is("XREADGROUP GROUP g c3 COUNT 1 CLAIM 0 STREAMS s >", "[[s [[3-0 [f 3] * :0]]]]")
}

fn g172(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    mixed(c)?;
    c.is("COPY s t", ":1")?;
    is_mixed(c, "t")?;
    // Two streams from then on.
    is_mixed(c, "s")?;
    c.is("XNACK s g FAIL IDS 1 1-0", ":1")?;
    c.at("XINFO STREAM t FULL", "groups.0.nacked-count", ":0")?;
    c.at("XINFO STREAM s FULL", "groups.0.nacked-count", ":1")?;
    c.is("COPY s t", ":0")?;
    c.is("COPY s t REPLACE", ":1")?;
    c.at("XINFO STREAM t FULL", "groups.0.nacked-count", ":1")
}

fn g173(env: &mut Env<'_>) -> Outcome {
    mixed(&mut env.c)?;
    env.rewrite()?;
    env.load_log()?;
    is_mixed(&mut env.c, "s")
}

/// `n` records without a consumer, given back from the last to the first, and `owned` ones that
/// consumer `c1` has. All of it is there after a rewrite, in the same order.
fn many(env: &mut Env<'_>, n: u64, owned: u64) -> Outcome {
    let c = &mut env.c;
    read(c, n + owned, false)?;
    let ids: Vec<_> = (1..=n).rev().map(|id| format!("{id}-0")).collect();
    c.is(format!("XNACK s g FAIL IDS {n} {}", ids.join(" ")), format!(":{n}"))?;
    env.rewrite()?;
    env.load_log()?;
    let c = &mut env.c;
    c.at("XINFO STREAM s FULL", "groups.0.nacked-count", format!(":{n}"))?;
    c.at("XINFO STREAM s FULL", "groups.0.pel-count", format!(":{}", n + owned))?;
    let order = (1..=n).rev().chain(n + 1..=n + owned);
    let entries: Vec<_> = order.map(|id| format!("[{id}-0 [f {id}] * :1]")).collect();
    let expected = format!("[[s [{}]]]", entries.join(" "));
    c.is("XREADGROUP GROUP g c2 CLAIM 0 STREAMS s >", expected)?;
    c.at("XINFO STREAM s FULL", "groups.0.nacked-count", ":0")
}

fn g174(env: &mut Env<'_>) -> Outcome {
    many(env, 65, 5)
}

fn g175(env: &mut Env<'_>) -> Outcome {
    many(env, 130, 0)?;
    env.c.is("XPENDING s g", "[:130 1-0 130-0 [[c2 130]]]")
}

fn g176(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 9, false)?;
    let counts = [3, 3, 0, 7, 7, 7, 3, i64::MAX];
    for (n, count) in counts.iter().enumerate() {
        let id = n + 1;
        c.is(format!("XNACK s g FAIL IDS 1 {id}-0 RETRYCOUNT {count}"), ":1")?;
    }
    env.rewrite()?;
    env.load_log()?;
    let mut rows: Vec<_> =
        counts.iter().enumerate().map(|(n, count)| format!("{}-0 - {count}", n + 1)).collect();
    rows.push("9-0 c1 1".to_owned());
    pending(&mut env.c, &rows.iter().map(String::as_str).collect::<Vec<_>>())?;
    let reply = env.c.ask("XREADGROUP GROUP g c2 CLAIM 0 STREAMS s >")?;
    for (n, count) in counts.iter().chain(&[1]).enumerate() {
        let entry = reply.path(&[0, 1, n])?;
        crate::pattern::expect(entry, &format!("[{0}-0 [f {0}] * :{count}]", n + 1))?;
    }
    let n = reply.path(&[0, 1])?.items()?.len();
    ensure(n == 9, format!("{n} were claimed"))
}

fn g177(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.entries("s", 1..=4)?;
    c.ok("XGROUP CREATE s g 0")?;
    c.is("XNACK s g FAIL IDS 2 4-0 2-0 FORCE", ":2")?;
    c.is("XNACK s g FAIL IDS 1 3-0 FORCE RETRYCOUNT 5", ":1")?;
    env.rewrite()?;
    env.load_log()?;
    let c = &mut env.c;
    pending(c, &["2-0 - 0", "3-0 - 5", "4-0 - 0"])?;
    c.at("XINFO GROUPS s", "0.last-delivered-id", "0-0")?;
    c.is(
        "XREADGROUP GROUP g c CLAIM 0 COUNT 3 STREAMS s >",
        "[[s [[4-0 [f 4] * :0] [2-0 [f 2] * :0] [3-0 [f 3] * :5]]]]",
    )
}
