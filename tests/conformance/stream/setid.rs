//! XSETID, the counters that it sets, and the log rewritten.

use super::{add_numbered, has_len};
use crate::client::{Client, Outcome};
use crate::env::Env;
use crate::registry::Numbered;

pub(crate) const TESTS: &[Numbered] = &[
    Numbered::new("s190", "XADD MAXLEN 0 leaves an empty stream", s190),
    Numbered::new("s191", "XSETID sets the last ID and leaves the counter", s191),
    Numbered::new("s192", "XSETID not below the last entry", s192),
    Numbered::new("s193", "XSETID on a missing key", s193),
    Numbered::new("s194", "XSETID wants the name of what follows: a bare number", s194),
    Numbered::new("s195", "XSETID wants the name of what follows: a bare ID", s195),
    Numbered::new("s196", "XSETID with a negative counter", s196),
    Numbered::new("s197", "XSETID below the deleted ID that it gives", s197),
    Numbered::new("s198", "XSETID with a counter below the length", s198),
    Numbered::new("s199", "XSETID not below the largest deleted ID", s199).since(7, 2),
    Numbered::new("s200", "XADD counts, and records the first ID", s200),
    Numbered::new("s204", "an empty stream survives a rewrite of the log", s204),
    Numbered::new("s205", "so does one whose last entry was deleted", s205),
];

fn s190(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let id = c.text("XADD k MAXLEN 0 * a b")?;
    c.is("EXISTS k", ":1")?;
    has_len(c, "k", 0)?;
    let counters = [
        ("length", ":0"),
        ("entries-added", ":1"),
        ("last-generated-id", id.as_str()),
        ("recorded-first-entry-id", "0-0"),
        ("max-deleted-entry-id", "0-0"),
        ("first-entry", "nil"),
        ("last-entry", "nil"),
    ];
    c.fields("XINFO STREAM k", &counters)
}

fn s191(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.text("XADD k MAXLEN 0 * a b")?;
    c.ok("XSETID k 200-0")?;
    c.fields("XINFO STREAM k", &[("last-generated-id", "200-0"), ("entries-added", ":1")])?;
    c.is("XADD k 200-* a b", "200-1")
}

fn s192(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    add_numbered(c, "k", 2)?;
    let smaller = "ERR The ID specified in XSETID is smaller than the target stream top item";
    c.err("XSETID k 1-1", smaller)?;
    c.err("XSETID k 0-0 ENTRIESADDED 5 MAXDELETEDID 0-0", smaller)?;
    c.at("XINFO STREAM k", "last-generated-id", "2-0")?;
    c.ok("XSETID k 2-0")?;
    c.ok("XSETID k 3")?;
    c.at("XINFO STREAM k", "last-generated-id", "3-0")
}

fn s193(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.err("XSETID k 1-1", "ERR no such key")?;
    c.err("XSETID k 1-1 ENTRIESADDED 5 MAXDELETEDID 0-0", "ERR no such key")?;
    c.err("XSETID k 1-", "ERR Invalid stream ID specified as stream command argument")?;
    c.is("EXISTS k", ":0")
}

fn s194(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    add_numbered(c, "k", 1)?;
    c.err("XSETID k 2-1 0", "ERR syntax error")?;
    c.err("XSETID k 2-1 ENTRIESADDED", "ERR syntax error")?;
    c.err("XSETID absent 2-1 0", "ERR syntax error")?;
    c.at("XINFO STREAM k", "last-generated-id", "1-0")
}

fn s195(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    add_numbered(c, "k", 1)?;
    c.err("XSETID k 2-1 0-0", "ERR syntax error")?;
    c.err("XSETID k 2-1 MAXDELETEDID", "ERR syntax error")?;
    c.at("XINFO STREAM k", "last-generated-id", "1-0")
}

fn s196(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    add_numbered(c, "k", 1)?;
    let positive = "ERR entries_added must be positive";
    c.err("XSETID k 2-1 ENTRIESADDED -1 MAXDELETEDID 0-0", positive)?;
    c.err("XSETID absent 2-1 MAXDELETEDID 0-0 ENTRIESADDED -1", positive)?;
    c.fields("XINFO STREAM k", &[("last-generated-id", "1-0"), ("entries-added", ":1")])
}

fn s197(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD k 1-0 a b", "1-0")?;
    let error = "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id";
    c.err("XSETID k 1-0 ENTRIESADDED 1 MAXDELETEDID 2-0", error)?;
    c.fields("XINFO STREAM k", &[("max-deleted-entry-id", "0-0"), ("last-generated-id", "1-0")])?;
    c.ok("XSETID k 2-0 ENTRIESADDED 2 MAXDELETEDID 2-0")?;
    let set = [("max-deleted-entry-id", "2-0"), ("entries-added", ":2")];
    c.fields("XINFO STREAM k", &set)
}

fn s198(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    add_numbered(c, "k", 2)?;
    let error =
        "ERR The entries_added specified in XSETID is smaller than the target stream length";
    c.err("XSETID k 3-0 ENTRIESADDED 0 MAXDELETEDID 0-0", error)?;
    c.err("XSETID k 3-0 ENTRIESADDED 1 MAXDELETEDID 0-0", error)?;
    c.fields("XINFO STREAM k", &[("entries-added", ":2"), ("last-generated-id", "2-0")])?;
    c.ok("XSETID k 3-0 ENTRIESADDED 2 MAXDELETEDID 0-0")
}

fn s199(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    add_numbered(c, "k", 3)?;
    c.is("XDEL k 2-0 3-0", ":2")?;
    c.at("XINFO STREAM k", "max-deleted-entry-id", "3-0")?;
    let error = "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id";
    c.err("XSETID k 2-0", error)?;
    c.err("XSETID k 2-5 ENTRIESADDED 7", error)?;
    c.ok("XSETID k 3-0")?;
    c.at("XINFO STREAM k", "entries-added", ":3")
}

fn s200(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let counted = |c: &mut Client, added: &str, first: &str| {
        let counters = [("entries-added", added), ("recorded-first-entry-id", first)];
        c.fields("XINFO STREAM k", &counters)
    };
    c.is("XADD k 1-0 data a", "1-0")?;
    counted(c, ":1", "1-0")?;
    c.is("XADD k 2-0 data b", "2-0")?;
    counted(c, ":2", "1-0")?;
    c.is("XDEL k 1-0", ":1")?;
    counted(c, ":2", "2-0")?;
    c.is("XADD k 3-0 data c", "3-0")?;
    counted(c, ":3", "2-0")
}

const KEPT: [&str; 7] = [
    "length",
    "last-generated-id",
    "max-deleted-entry-id",
    "entries-added",
    "recorded-first-entry-id",
    "first-entry",
    "last-entry",
];

/// What the log is to keep of a stream, as text.
fn kept(c: &mut Client) -> Result<Vec<String>, String> {
    let info = c.ask("XINFO STREAM k")?;
    KEPT.iter().map(|name| info.get(name).map(ToString::to_string)).collect()
}

fn survives_rewrite(env: &mut Env<'_>) -> Outcome {
    let before = kept(&mut env.c)?;
    let groups = env.c.ask("XINFO GROUPS k")?;
    env.rewrite()?;
    env.load_log()?;
    let after = kept(&mut env.c)?;
    crate::client::ensure(before == after, format!("{before:?} became {after:?}"))?;
    env.c.is("XINFO GROUPS k", groups.to_string())
}

fn s204(env: &mut Env<'_>) -> Outcome {
    env.c.is("XADD k MAXLEN 0 12-3 a b", "12-3")?;
    env.c.ok("XGROUP CREATE k g 5-0")?;
    env.c.ok("XSETID k 200-0 ENTRIESADDED 9 MAXDELETEDID 150-0")?;
    survives_rewrite(env)?;
    let counters = [
        ("length", ":0"),
        ("last-generated-id", "200-0"),
        ("entries-added", ":9"),
        ("max-deleted-entry-id", "150-0"),
    ];
    env.c.fields("XINFO STREAM k", &counters)?;
    env.c.at("XINFO GROUPS k", "0.last-delivered-id", "5-0")
}

fn s205(env: &mut Env<'_>) -> Outcome {
    add_numbered(&mut env.c, "k", 3)?;
    env.c.is("XDEL k 3-0", ":1")?;
    survives_rewrite(env)?;
    let counters = [
        ("length", ":2"),
        ("last-generated-id", "3-0"),
        ("entries-added", ":3"),
        ("max-deleted-entry-id", "3-0"),
        ("recorded-first-entry-id", "1-0"),
    ];
    env.c.fields("XINFO STREAM k", &counters)?;
    let smaller =
        "ERR The ID specified in XADD is equal or smaller than the target stream top item";
    env.c.err("XADD k 3-0 f v", smaller)?;
    // The same where nothing lives and the last ID went back to the beginning.
    env.c.is("XTRIM k MAXLEN 0", ":2")?;
    env.c.ok("XSETID k 3-0")?;
    survives_rewrite(env)?;
    env.c.at("XINFO STREAM k", "last-generated-id", "3-0")
}
