//! XADD IDMP by several producers, at once and of any name.

use super::{Counters, has_len, tracks};
use crate::client::{Outcome, ensure};
use crate::env::Env;
use crate::registry::Numbered;

pub(crate) const TESTS: &[Numbered] = &[
    Numbered::new("s49", "producers do not share IDs", s49).since(8, 6),
    Numbered::new("s50", "each producer has the whole number of IDs", s50).since(8, 6),
    Numbered::new("s51", "a producer's name is any bytes", s51).since(8, 6),
    Numbered::new("s52", "a producer's name beyond ASCII", s52).since(8, 6),
    Numbered::new("s53", "a producer's name may be long", s53).since(8, 6),
    Numbered::new("s66", "producers on connections of their own", s66).since(8, 6),
    Numbered::new("s67", "several producers in one transaction", s67).since(8, 6),
    Numbered::new("s68", "IDMP and IDMPAUTO in one stream", s68).since(8, 6),
    Numbered::new("s69", "fifty producers, many IDs, each sent twice", s69).since(8, 6),
];

/// The same ID by these producers makes an entry each, and is then known of each.
fn isolated(env: &mut Env<'_>, pids: &[&str]) -> Outcome {
    let c = &mut env.c;
    let mut ids = Vec::new();
    for pid in pids {
        ids.push(c.text(format!("XADD k IDMP {pid} same * f v"))?);
    }
    has_len(c, "k", pids.len() as i64)?;
    for (pid, id) in pids.iter().zip(&ids) {
        c.is(format!("XADD k IDMP {pid} same * f other"), id)?;
    }
    has_len(c, "k", pids.len() as i64)?;
    let n = pids.len() as u32;
    tracks(c, "k", Counters { pids: n, iids: n, added: n, duplicates: n })
}

fn s49(env: &mut Env<'_>) -> Outcome {
    isolated(env, &["p1", "p2", "p3", "P1", "p"])
}

fn s50(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD k * f init", "@")?;
    c.ok("XCFGSET k IDMP-MAXSIZE 2")?;
    let mut ids = Vec::new();
    for producer in ["p1 r1", "p1 r2", "p2 r1", "p2 r2"] {
        ids.push(c.text(format!("XADD k IDMP {producer} * f v"))?);
    }
    tracks(c, "k", Counters { pids: 2, iids: 4, added: 4, duplicates: 0 })?;
    // p1 loses its oldest, p2 nothing.
    c.is("XADD k IDMP p1 r3 * f v", "@")?;
    c.is("XADD k IDMP p2 r1 * f v", &ids[2])?;
    c.is("XADD k IDMP p2 r2 * f v", &ids[3])?;
    c.is("XADD k IDMP p1 r2 * f v", &ids[1])?;
    has_len(c, "k", 6)?;
    let again = c.text("XADD k IDMP p1 r1 * f v")?;
    ensure(again != ids[0], "p1 r1 is still known")?;
    tracks(c, "k", Counters { pids: 2, iids: 4, added: 6, duplicates: 3 })
}

fn s51(env: &mut Env<'_>) -> Outcome {
    isolated(env, &[r#""\x00""#, r#""\x00\x00""#, r#""p\x00q""#, r#""p\x00r""#, r#""\xff\r\n""#])
}

fn s52(env: &mut Env<'_>) -> Outcome {
    isolated(env, &["生産者", "производитель", "παραγωγός", "🚀", "é", "e\u{301}"])
}

fn s53(env: &mut Env<'_>) -> Outcome {
    let long = "p".repeat(10_000);
    isolated(env, &[&long, &format!("{long}a"), &format!("{long}b"), "p"])
}

fn s66(env: &mut Env<'_>) -> Outcome {
    let pids = ["p1", "p2", "p3"];
    // Two connections for each producer send the same.
    let mut clients = Vec::new();
    for pid in pids.iter().chain(&pids) {
        let mut client = env.client()?;
        client.send(format!("XADD k IDMP {pid} same * f {pid}"))?;
        clients.push(client);
    }
    let mut ids = Vec::new();
    for client in &mut clients {
        ids.push(client.read()?.text()?);
    }
    ensure(ids[..3] == ids[3..], format!("{ids:?}"))?;
    ensure(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], format!("{ids:?}"))?;
    has_len(&mut env.c, "k", 3)?;
    tracks(&mut env.c, "k", Counters { pids: 3, iids: 3, added: 3, duplicates: 3 })
}

fn s67(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.ok("MULTI")?;
    for producer in ["p1 r1", "p2 r1", "p1 r1", "p1 r2", "p2 r1"] {
        c.is(format!("XADD k IDMP {producer} * f v"), "+QUEUED")?;
    }
    let ids = c.list("EXEC")?;
    ensure(ids.len() == 5, "not five replies")?;
    ensure(ids[0] == ids[2] && ids[1] == ids[4], format!("{ids:?}"))?;
    ensure(ids[0] != ids[1] && ids[1] != ids[3] && ids[0] != ids[3], format!("{ids:?}"))?;
    let known = ids[3].text()?;
    c.is("XADD k IDMP p1 r2 * f v", known)?;
    has_len(c, "k", 3)?;
    tracks(c, "k", Counters { pids: 2, iids: 3, added: 3, duplicates: 3 })
}

fn s68(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let named = c.text("XADD k IDMP p1 r1 * f v")?;
    let automatic = c.text("XADD k IDMPAUTO p1 * f v")?;
    ensure(named != automatic, "IDMPAUTO knows an entry of IDMP")?;
    let other = c.text("XADD k IDMPAUTO p2 * f v")?;
    has_len(c, "k", 3)?;
    c.is("XADD k IDMP p1 r1 * f v", &named)?;
    c.is("XADD k IDMPAUTO p1 * f v", &automatic)?;
    c.is("XADD k IDMPAUTO p2 * f v", &other)?;
    c.is("XADD k IDMP p1 r1 * f changed", &named)?;
    c.is("XADD k IDMPAUTO p1 * f changed", "@")?;
    has_len(c, "k", 4)?;
    tracks(c, "k", Counters { pids: 2, iids: 4, added: 4, duplicates: 4 })
}

fn s69(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let requests: Vec<String> = (0..50)
        .flat_map(|p| (0..20).map(move |r| format!("XADD k IDMP p{p} r{r} * f {p}-{r}")))
        .collect();
    let first = c.many(&requests)?;
    has_len(c, "k", 1000)?;
    tracks(c, "k", Counters { pids: 50, iids: 1000, added: 1000, duplicates: 0 })?;
    let second = c.many(&requests)?;
    ensure(first == second, "a repeated request got another ID")?;
    has_len(c, "k", 1000)?;
    tracks(c, "k", Counters { pids: 50, iids: 1000, added: 1000, duplicates: 1000 })
}
