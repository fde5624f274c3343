//! XADD IDMP: arguments, duplicates, what it is combined with.

use super::{Counters, has_len, tracks};
use crate::client::{Outcome, ensure};
use crate::env::Env;
use crate::registry::Numbered;

pub(crate) const TESTS: &[Numbered] = &[
    Numbered::new("s19", "IDMP: what is refused", s19).since(8, 6),
    Numbered::new("s20", "IDMP: the first time it adds", s20).since(8, 6),
    Numbered::new("s21", "IDMP: a duplicate gives the first ID", s21).since(8, 6),
    Numbered::new("s22", "IDMP: other IDs are other entries", s22).since(8, 6),
    Numbered::new("s23", "IDMP: any bytes are an ID", s23).since(8, 6),
    Numbered::new("s24", "IDMP: a very long ID", s24).since(8, 6),
    Numbered::new("s25", "IDMP with MAXLEN", s25).since(8, 6),
    Numbered::new("s26", "IDMP with MINID", s26).since(8, 6),
    Numbered::new("s27", "IDMP with NOMKSTREAM", s27).since(8, 6),
    Numbered::new("s28", "IDMP with KEEPREF", s28).since(8, 6),
    Numbered::new("s29", "IDMP with several options", s29).since(8, 6),
    Numbered::new("s30", "IDMP at any place among the options", s30).since(8, 6),
    Numbered::new("s31", "IDMP: the same request by three connections", s31).since(8, 6),
    Numbered::new("s32", "IDMP in a pipeline and in a transaction", s32).since(8, 6),
    Numbered::new("s33", "IDMP: groups see one entry", s33).since(8, 6),
];

const INVALID: &str = "ERR Invalid stream ID specified as stream command argument";

fn s19(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let arity = "ERR wrong number of arguments for 'xadd' command";
    for command in ["XADD k IDMP", "XADD k IDMP p r", "XADD k IDMP p r *", "XADD k IDMP p r * f"] {
        c.err(command, arity)?;
    }
    c.err("XADD k IDMP p1 * f v", INVALID)?;
    let empty_pid = "ERR syntax error, IDMP requires a non-empty producer ID";
    c.err(r#"XADD k IDMP "" r1 * f v"#, empty_pid)?;
    let empty_iid = "ERR syntax error, IDMP requires a non-empty idempotent ID";
    c.err(r#"XADD k IDMP p1 "" * f v"#, empty_iid)?;
    let twice = "ERR syntax error, IDMP/IDMPAUTO specified multiple times";
    for words in ["IDMP p1 r1 IDMP p2 r2", "IDMP p1 r1 IDMPAUTO p1", "IDMPAUTO p1 IDMP p1 r1"] {
        c.err(format!("XADD k {words} * f v"), twice)?;
    }
    c.err(r#"XADD k IDMP p1 r1 IDMP "" "" * f v"#, twice)?;
    let auto = "ERR syntax error, IDMP/IDMPAUTO can be used only with auto-generated IDs";
    for id in ["1-1", "1-*", "5", "0-0"] {
        c.err(format!("XADD k IDMP p1 r1 {id} f v"), auto)?;
    }
    c.is("EXISTS k", ":0")?;
    c.is("XADD k idmp p1 r1 * f v", "@")
}

fn s20(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let id = c.text("XADD k IDMP p1 r1 * f v g w")?;
    c.is("XRANGE k - +", format!("[[{id} [f v g w]]]"))?;
    tracks(c, "k", Counters { pids: 1, iids: 1, added: 1, duplicates: 0 })?;
    // Anything that is not empty is an ID, also what looks like an option or an entry's ID.
    for (n, iid) in (2..).zip(["*", "+", "-", "$", "IDMP", "MAXLEN", "123-456"]) {
        let id = c.text(format!("XADD k IDMP p1 {iid} * f v"))?;
        c.is(format!("XADD k IDMP p1 {iid} * f v"), id)?;
        has_len(c, "k", n)?;
    }
    Ok(())
}

fn s21(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let id = c.text("XADD k IDMP p1 r1 * f v")?;
    c.is("XADD k IDMP p1 r1 * f v", &id)?;
    c.is("XADD k IDMP p1 r1 * other fields entirely different", &id)?;
    c.is("XRANGE k - +", format!("[[{id} [f v]]]"))?;
    tracks(c, "k", Counters { pids: 1, iids: 1, added: 1, duplicates: 2 })?;
    c.fields("XINFO STREAM k", &[("entries-added", ":1"), ("last-generated-id", &id)])
}

fn s22(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let mut ids = Vec::new();
    for iid in ["r1", "r2", "R1"] {
        ids.push(c.text(format!("XADD k IDMP p1 {iid} * f v"))?);
    }
    let entries = format!("[[{} [f v]] [{} [f v]] [{} [f v]]]", ids[0], ids[1], ids[2]);
    c.is("XRANGE k - +", entries)?;
    ensure(ids[0] != ids[1] && ids[1] != ids[2], "the same ID twice")?;
    tracks(c, "k", Counters { pids: 1, iids: 3, added: 3, duplicates: 0 })
}

fn s23(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let iids = [r#""\x00""#, r#""a\x00b""#, r#""a\x00c""#, r#""\xff\xfe\r\n""#, r#"" ""#];
    let mut ids = Vec::new();
    for iid in iids {
        ids.push(c.text(format!("XADD k IDMP p1 {iid} * f v"))?);
    }
    has_len(c, "k", 5)?;
    for (iid, id) in iids.iter().zip(&ids) {
        c.is(format!("XADD k IDMP p1 {iid} * f v"), id)?;
    }
    has_len(c, "k", 5)
}

fn s24(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let long = "r".repeat(65_536);
    let id = c.text(format!("XADD k IDMP p1 {long} * f v"))?;
    c.is(format!("XADD k IDMP p1 {long} * f v"), &id)?;
    has_len(c, "k", 1)?;
    let other = c.text(format!("XADD k IDMP p1 {long}x * f v"))?;
    ensure(id != other, "the last byte of a long ID does not count")?;
    has_len(c, "k", 2)
}

fn s25(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let mut ids = Vec::new();
    for n in 1..=5 {
        ids.push(c.text(format!("XADD k IDMP p1 r{n} MAXLEN 3 * f {n}"))?);
    }
    has_len(c, "k", 3)?;
    // The entry is gone, what is known of it is not.
    c.is("XADD k IDMP p1 r1 MAXLEN 3 * f again", &ids[0])?;
    c.is("XADD k IDMP p1 r5 MAXLEN = 3 * f again", &ids[4])?;
    has_len(c, "k", 3)?;
    // A duplicate does not trim.
    c.is("XADD k IDMP p1 r5 MAXLEN 1 * f again", &ids[4])?;
    c.is("XRANGE k - + COUNT 1", format!("[[{} [f 3]]]", ids[2]))?;
    tracks(c, "k", Counters { pids: 1, iids: 5, added: 5, duplicates: 3 })
}

fn s26(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD k 1-0 f old", "1-0")?;
    c.is("XADD k 2-0 f old", "2-0")?;
    let id = c.text("XADD k IDMP p1 r1 MINID 2 * f v")?;
    c.is("XRANGE k - +", format!("[[2-0 [f old]] [{id} [f v]]]"))?;
    c.is("XADD k IDMP p1 r1 MINID = 1000 * f v", &id)?;
    has_len(c, "k", 2)?;
    c.is("XADD k MINID 1000 IDMP p1 r2 * f w", "@")?;
    c.is("XRANGE k - + COUNT 1", format!("[[{id} [f v]]]"))
}

fn s27(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD k NOMKSTREAM IDMP p1 r1 * f v", "nil")?;
    c.is("XADD k IDMP p1 r1 NOMKSTREAM * f v", "nil")?;
    c.is("EXISTS k", ":0")?;
    c.is("XADD k 1-1 f v", "1-1")?;
    let id = c.text("XADD k NOMKSTREAM IDMP p1 r1 * f v")?;
    c.is("XADD k NOMKSTREAM IDMP p1 r1 * f v", id)?;
    has_len(c, "k", 2)?;
    tracks(c, "k", Counters { pids: 1, iids: 1, added: 1, duplicates: 1 })
}

fn s28(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let first = c.text("XADD k KEEPREF IDMP p1 r1 * f v")?;
    c.is("XADD k IDMP p1 r1 KEEPREF * f v", &first)?;
    c.ok("XGROUP CREATE k g 0")?;
    c.is("XREADGROUP GROUP g a STREAMS k >", "[[k [*]]]")?;
    let second = c.text("XADD k KEEPREF MAXLEN 1 IDMP p1 r2 * f w")?;
    c.is("XRANGE k - +", format!("[[{second} [f w]]]"))?;
    c.is("XPENDING k g", format!("[:1 {first} {first} [[a 1]]]"))
}

fn s29(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let whole = "XADD k NOMKSTREAM KEEPREF IDMP p1 r1 MAXLEN ~ 1000 LIMIT 100 * f v";
    c.is(whole, "nil")?;
    c.is("XADD k 1-1 f v", "1-1")?;
    let id = c.text(whole)?;
    c.is(whole, &id)?;
    c.is("XADD k DELREF MINID ~ 5 IDMP p1 r1 NOMKSTREAM * f v", &id)?;
    c.is("XADD k ACKED MAXLEN = 1 NOMKSTREAM IDMP p1 r2 * f w", "@")?;
    has_len(c, "k", 1)?;
    tracks(c, "k", Counters { pids: 1, iids: 2, added: 2, duplicates: 2 })
}

fn s30(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let id = c.text("XADD k IDMP p1 r1 MAXLEN 10 * f v")?;
    let orders = [
        "MAXLEN 10 IDMP p1 r1",
        "NOMKSTREAM IDMP p1 r1 MAXLEN 10",
        "KEEPREF MAXLEN ~ 10 LIMIT 5 IDMP p1 r1 NOMKSTREAM",
        "MAXLEN ~ 10 IDMP p1 r1 LIMIT 5",
        "idmp p1 r1 nomkstream",
    ];
    for options in orders {
        c.is(format!("XADD k {options} * f v"), &id)?;
    }
    has_len(c, "k", 1)?;
    c.err("XADD k * IDMP p1 r1 f v", "ERR wrong number of arguments for 'xadd' command")?;
    // Behind the ID they are fields.
    c.is("XADD k * IDMP p1", "@")?;
    tracks(c, "k", Counters { pids: 1, iids: 1, added: 1, duplicates: 5 })
}

fn s31(env: &mut Env<'_>) -> Outcome {
    let mut clients = [env.client()?, env.client()?, env.client()?];
    for client in &mut clients {
        client.send("XADD k IDMP p1 r1 * f v")?;
    }
    let mut ids = Vec::new();
    for client in &mut clients {
        ids.push(client.read()?.text()?);
    }
    ensure(ids.iter().all(|id| *id == ids[0]), format!("{ids:?}"))?;
    env.c.is("XRANGE k - +", format!("[[{} [f v]]]", ids[0]))?;
    tracks(&mut env.c, "k", Counters { pids: 1, iids: 1, added: 1, duplicates: 2 })
}

fn s32(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let request = |n: u32| format!("XADD k IDMP p1 r{n} * f {n}");
    let replies = c.many(&[request(1), request(1), request(2), request(1)])?;
    let ids: Result<Vec<String>, String> = replies.iter().map(|reply| reply.text()).collect();
    let ids = ids?;
    ensure(ids[0] == ids[1] && ids[0] == ids[3] && ids[0] != ids[2], format!("{ids:?}"))?;
    c.ok("MULTI")?;
    for n in [3, 3, 1, 4] {
        c.is(request(n), "+QUEUED")?;
    }
    let replies = c.list("EXEC")?;
    ensure(replies.len() == 4, "not four replies")?;
    ensure(replies[0] == replies[1] && replies[0] != replies[3], "of one transaction")?;
    ensure(replies[2].text()? == ids[0], "of the pipeline before")?;
    has_len(c, "k", 4)
}

fn s33(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let id = c.text("XADD k IDMP p1 r1 * f v")?;
    c.ok("XGROUP CREATE k g 0")?;
    c.is("XADD k IDMP p1 r1 * f v", &id)?;
    c.is("XREADGROUP GROUP g a STREAMS k >", format!("[[k [[{id} [f v]]]]]"))?;
    c.is("XADD k IDMP p1 r1 * f v", &id)?;
    c.is("XREADGROUP GROUP g a STREAMS k >", "nil*")?;
    c.is(format!("XACK k g {id}"), ":1")?;
    c.is(format!("XDEL k {id}"), ":1")?;
    c.is("XADD k IDMP p1 r1 * f v", &id)?;
    has_len(c, "k", 0)?;
    c.is("XREADGROUP GROUP g a STREAMS k >", "nil*")?;
    let next = c.text("XADD k IDMP p1 r2 * f w")?;
    c.is("XREADGROUP GROUP g a STREAMS k >", format!("[[k [[{next} [f w]]]]]"))
}
