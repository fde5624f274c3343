//! XIDMPRECORD: an entry that is there gets an idempotent ID.

use super::{Counters, add_numbered, has_len, tracks};
use crate::client::{Client, Outcome};
use crate::env::Env;
use crate::registry::Numbered;

pub(crate) const TESTS: &[Numbered] = &[
    Numbered::new("s36", "XIDMPRECORD: what is refused (without another type)", s36).since(8, 6),
    Numbered::new("s37", "XIDMPRECORD: any bytes", s37).since(8, 6),
    Numbered::new("s38", "XIDMPRECORD: a very long ID", s38).since(8, 6),
    Numbered::new("s39", "XIDMPRECORD: letters beyond ASCII", s39).since(8, 6),
    Numbered::new("s40", "XIDMPRECORD: a very long producer", s40).since(8, 6),
    Numbered::new("s41", "XIDMPRECORD: signs that mean something elsewhere", s41).since(8, 6),
    Numbered::new("s42", "XIDMPRECORD: the entry must live", s42).since(8, 6),
    Numbered::new("s43", "XIDMPRECORD: XADD knows it then", s43).since(8, 6),
    Numbered::new("s44", "XIDMPRECORD: twice the same", s44).since(8, 6),
    Numbered::new("s45", "XIDMPRECORD: another entry under the same ID", s45).since(8, 6),
    Numbered::new("s46", "XIDMPRECORD: producers do not share IDs", s46).since(8, 6),
    Numbered::new("s47", "a rewritten log keeps what XADD IDMP knows", s47).since(8, 6),
    Numbered::new("s48", "a rewritten log keeps what XIDMPRECORD told", s48).since(8, 6),
];

fn s36(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let arity = "ERR wrong number of arguments for 'xidmprecord' command";
    for command in ["", " k", " k p", " k p r", " k p r 1-0 x"] {
        c.err(format!("XIDMPRECORD{command}"), arity)?;
    }
    let invalid = "ERR Invalid stream ID specified as stream command argument";
    for id in ["invalid-id", "123-", "-123", "--", "1-x", "-", "+", "*", "$", r#""""#] {
        c.err(format!("XIDMPRECORD k p r {id}"), invalid)?;
    }
    let (no_pid, no_iid) =
        ("ERR producer ID must be non-empty", "ERR idempotent ID must be non-empty");
    c.err(r#"XIDMPRECORD k "" r bad"#, invalid)?;
    c.err(r#"XIDMPRECORD k "" "" 1-0"#, no_pid)?;
    c.err(r#"XIDMPRECORD k p "" 1-0"#, no_iid)?;
    c.err("XIDMPRECORD k p r 1-0", "ERR no such key")?;
    c.is("EXISTS k", ":0")?;
    add_numbered(c, "k", 1)?;
    c.err(r#"XIDMPRECORD k "" r 1-0"#, no_pid)?;
    tracks(c, "k", Counters { pids: 0, iids: 0, added: 0, duplicates: 0 })?;
    c.ok("XIDMPRECORD k p r 1")
}

/// Three entries. Their IDs are of now: one of long ago is forgotten at once.
fn three(c: &mut Client) -> Result<[String; 3], String> {
    Ok([c.text("XADD k * f 1")?, c.text("XADD k * f 2")?, c.text("XADD k * f 3")?])
}

/// One entry is known by this producer and ID, another one by an ID that differs in the last byte.
fn records(env: &mut Env<'_>, pid: &str, iid: &str, other: &str) -> Outcome {
    let c = &mut env.c;
    let [first, second, _] = three(c)?;
    c.ok(format!("XIDMPRECORD k {pid} {iid} {first}"))?;
    c.ok(format!("XIDMPRECORD k {pid} {other} {second}"))?;
    c.is(format!("XADD k IDMP {pid} {iid} * f v"), first)?;
    c.is(format!("XADD k IDMP {pid} {other} * f v"), second)?;
    has_len(c, "k", 3)?;
    tracks(c, "k", Counters { pids: 1, iids: 2, added: 2, duplicates: 2 })
}

fn s37(env: &mut Env<'_>) -> Outcome {
    records(env, r#""p\x00\r\n""#, r#""a\x00b""#, r#""a\x00c""#)
}

fn s38(env: &mut Env<'_>) -> Outcome {
    let long = "r".repeat(65_536);
    records(env, "p", &long, &format!("{long}x"))
}

fn s39(env: &mut Env<'_>) -> Outcome {
    records(env, "生産者-α", "żółć-🚀", "żółć-🚁")
}

fn s40(env: &mut Env<'_>) -> Outcome {
    let long = "p".repeat(10_000);
    records(env, &long, "r1", "r2")
}

fn s41(env: &mut Env<'_>) -> Outcome {
    records(env, "p:{1}|/", r#""!@#$%^&*() \"'`~""#, r#""!@#$%^&*() \"'`*""#)
}

fn s42(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let gone = "ERR No such message in stream";
    add_numbered(c, "k", 3)?;
    c.err("XIDMPRECORD k p r 9-0", gone)?;
    c.err("XIDMPRECORD k p r 1-1", gone)?;
    c.err("XIDMPRECORD k p r 0-0", gone)?;
    c.is("XDEL k 2-0", ":1")?;
    c.err("XIDMPRECORD k p r 2-0", gone)?;
    c.is("XTRIM k MAXLEN 1", ":1")?;
    c.err("XIDMPRECORD k p r 1-0", gone)?;
    tracks(c, "k", Counters { pids: 0, iids: 0, added: 0, duplicates: 0 })?;
    c.ok("XIDMPRECORD k p r 3-0")
}

fn s43(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let id = c.text("XADD k * f v")?;
    c.ok(format!("XIDMPRECORD k p r {id}"))?;
    tracks(c, "k", Counters { pids: 1, iids: 1, added: 1, duplicates: 0 })?;
    c.is("XADD k IDMP p r * other fields", &id)?;
    c.is("XRANGE k - +", format!("[[{id} [f v]]]"))?;
    tracks(c, "k", Counters { pids: 1, iids: 1, added: 1, duplicates: 1 })
}

fn s44(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let [first, ..] = three(c)?;
    for _ in 0..3 {
        c.ok(format!("XIDMPRECORD k p r {first}"))?;
    }
    tracks(c, "k", Counters { pids: 1, iids: 1, added: 1, duplicates: 0 })?;
    // The same for what XADD made known.
    let id = c.text("XADD k IDMP p s * f v")?;
    c.ok(format!("XIDMPRECORD k p s {id}"))?;
    tracks(c, "k", Counters { pids: 1, iids: 2, added: 2, duplicates: 0 })
}

fn s45(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let [first, second, _] = three(c)?;
    c.ok(format!("XIDMPRECORD k p r {first}"))?;
    let error = "ERR IID already exists for this producer with a different stream ID";
    c.err(format!("XIDMPRECORD k p r {second}"), error)?;
    c.is("XADD k IDMP p r * f v", &first)?;
    // One entry may well have several IDs.
    c.ok(format!("XIDMPRECORD k p s {first}"))?;
    c.is("XADD k IDMP p s * f v", &first)?;
    tracks(c, "k", Counters { pids: 1, iids: 2, added: 2, duplicates: 2 })
}

fn s46(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let ids = three(c)?;
    for (pid, id) in ["p1", "p2", "p3"].iter().zip(&ids) {
        c.ok(format!("XIDMPRECORD k {pid} r {id}"))?;
    }
    for (pid, id) in ["p1", "p2", "p3"].iter().zip(&ids) {
        c.is(format!("XADD k IDMP {pid} r * f v"), id)?;
    }
    tracks(c, "k", Counters { pids: 3, iids: 3, added: 3, duplicates: 3 })?;
    has_len(c, "k", 3)
}

fn s47(env: &mut Env<'_>) -> Outcome {
    let first = env.c.text("XADD k IDMP p1 r1 * f v")?;
    env.c.ok("XCFGSET k IDMP-DURATION 300 IDMP-MAXSIZE 50")?;
    let first_again = env.c.text("XADD k IDMP p1 r1 * f v")?;
    crate::client::ensure(first != first_again, "XCFGSET did not clear")?;
    let second = env.c.text("XADD k IDMP p2 r1 * f v")?;
    let third = env.c.text(r#"XADD k IDMP p2 "r\x00" * f v"#)?;
    env.rewrite()?;
    env.load_log()?;
    env.c.fields("XINFO STREAM k", &[("idmp-duration", ":300"), ("idmp-maxsize", ":50")])?;
    env.c.fields("XINFO STREAM k", &[("pids-tracked", ":2"), ("iids-tracked", ":3")])?;
    env.c.is("XADD k IDMP p1 r1 * f v", &first_again)?;
    env.c.is("XADD k IDMP p2 r1 * f v", &second)?;
    env.c.is(r#"XADD k IDMP p2 "r\x00" * f v"#, &third)?;
    env.reload()?;
    env.c.is("XADD k IDMP p2 r1 * f v", &second)?;
    has_len(&mut env.c, "k", 4)
}

fn s48(env: &mut Env<'_>) -> Outcome {
    let first = env.c.text("XADD k * f v")?;
    let second = env.c.text("XADD k * f w")?;
    env.c.ok(format!("XIDMPRECORD k p r1 {first}"))?;
    env.c.ok(format!("XIDMPRECORD k p r2 {second}"))?;
    env.rewrite()?;
    env.load_log()?;
    env.c.fields("XINFO STREAM k", &[("pids-tracked", ":1"), ("iids-tracked", ":2")])?;
    env.c.is("XADD k IDMP p r1 * f x", &first)?;
    env.c.is("XADD k IDMP p r2 * f x", &second)?;
    has_len(&mut env.c, "k", 2)
}
