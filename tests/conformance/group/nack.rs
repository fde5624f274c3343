//! `XNACK`: deliveries that are given back, what is counted for them, and who gets them next.

use super::reclaim::read;
use crate::client::{Client, Outcome};
use crate::env::Env;
use crate::registry::Numbered;
use std::time::Duration;

pub(super) const TESTS: &[Numbered] = &[
    // The original also asks a key of another type; there is none here.
    Numbered::new("g147", "XNACK argument and error validation", g147).since(8, 8),
    Numbered::new("g148", "XNACK SILENT mode delivery_count behavior", g148).since(8, 8),
    Numbered::new("g149", "XNACK FAIL mode keeps delivery_count unchanged", g149).since(8, 8),
    Numbered::new("g150", "XNACK FATAL mode sets delivery_count to max", g150).since(8, 8),
    Numbered::new("g151", "XNACK releases entries and removes from consumer PEL", g151).since(8, 8),
    Numbered::new("g152", "XNACK return count and edge cases", g152).since(8, 8),
    Numbered::new("g153", "XNACK on already-NACKed entry: idempotency and mode changes", g153)
        .since(8, 8),
    Numbered::new("g154", "XNACK ordering: NACKed entries at head of PEL with FIFO order", g154)
        .since(8, 8),
    Numbered::new("g155", "XNACKed entries persist after XDEL and XTRIM", g155).since(8, 8),
    Numbered::new("g156", "XNACK with more IDs than fit a small buffer", g156).since(8, 8),
    Numbered::new("g157", "XNACK RETRYCOUNT overrides delivery_count", g157).since(8, 8),
    Numbered::new("g158", "XNACK FORCE behavior", g158).since(8, 8),
    Numbered::new("g159", "XNACK FORCE + RETRYCOUNT combination", g159).since(8, 8),
    Numbered::new("g160", "XNACK flexible IDS position", g160).since(8, 8),
    Numbered::new("g161", "re-NACK moves entry to end of NACK zone", g161).since(8, 8),
    Numbered::new("g162", "NACKed entries claimable via XCLAIM, XAUTOCLAIM and CLAIM", g162)
        .since(8, 8),
    Numbered::new("g163", "XCLAIM/XAUTOCLAIM of deleted NACKed entries cleans PEL", g163)
        .since(8, 8),
    Numbered::new("g164", "XREADGROUP BLOCK CLAIM wakes up on NACKed entries", g164).since(8, 8),
    Numbered::new("g165", "XREADGROUP pending read excludes NACKed entries", g165).since(8, 8),
    Numbered::new("g166", "XNACK effect on consumer state and XINFO CONSUMERS", g166).since(8, 8),
    Numbered::new("g167", "XGROUP DESTROY cleans up NACKed entries", g167).since(8, 8),
    Numbered::new("g168", "XGROUP DELCONSUMER works when group PEL has NACKed entries", g168)
        .since(8, 8),
    Numbered::new("g169", "XINFO STREAM FULL nacked-count reflects nack zone size", g169)
        .since(8, 8),
];

/// The records of group `g` are these: `ID consumer count`, those without a consumer with `-`.
pub(super) fn pending(c: &mut Client, rows: &[&str]) -> Outcome {
    let row = |row: &&str| {
        let words: Vec<_> = row.split(' ').collect();
        match words[1] {
            "-" => format!("[{} \"\" :-1 :{}]", words[0], words[2]),
            name => format!("[{} {name} :0..999999 :{}]", words[0], words[2]),
        }
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    c.is("XPENDING s g - + 100", format!("[{}]", rows.join(" ")))
}

fn nacked(c: &mut Client, n: u32) -> Outcome {
    c.at("XINFO STREAM s FULL", "groups.0.nacked-count", format!(":{n}"))
}

/// The order in which records without age limit are claimed, with the counts before.
fn claimed(c: &mut Client, consumer: &str, rows: &[(u32, i64)]) -> Outcome {
    let rows: Vec<_> =
        rows.iter().map(|(id, count)| format!("[{id}-0 [f {id}] * :{count}]")).collect();
    let claim = format!("XREADGROUP GROUP g {consumer} CLAIM 0 STREAMS s >");
    c.is(claim, format!("[[s [{}]]]", rows.join(" ")))
}

const MOST: i64 = i64::MAX;

fn g147(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let arity = "ERR wrong number of arguments for 'xnack' command";
    for command in ["XNACK", "XNACK s", "XNACK s g FAIL IDS", "XNACK s g FAIL IDS 1"] {
        c.err(command, arity)?;
    }
    let none = |group: &str| format!("NOGROUP No such key 's' or consumer group '{group}'");
    c.err("XNACK s g FAIL IDS 1 1-0", &none("g"))?;
    // The group is asked for before the words are looked at.
    c.err("XNACK s g FOO IDS x bad", &none("g"))?;
    c.is("EXISTS s", ":0")?;
    read(c, 3, false)?;
    c.err("XNACK s no FOO IDS 1 1-0", &none("no"))?;
    let mode = "ERR mode must be SILENT, FAIL, or FATAL";
    c.err("XNACK s g FOO IDS 1 1-0", mode)?;
    c.err("XNACK s g IDS 1 1-0 FAIL", mode)?;
    let positive = "ERR numids must be a positive integer";
    for n in ["0", "-1", "abc", "1.5", "2147483648", "9223372036854775808"] {
        c.err(format!("XNACK s g FAIL IDS {n} 1-0"), positive)?;
    }
    c.err("XNACK s g FAIL IDS 2 1-0", "ERR number of IDs doesn't match numids")?;
    c.err("XNACK s g FAIL IDS 2147483647 1-0 2-0", "ERR number of IDs doesn't match numids")?;
    c.err("XNACK s g FAIL IDS 1 1-0 RETRYCOUNT x", "ERR value is not an integer or out of range")?;
    c.err("XNACK s g FAIL IDS 1 1-0 RETRYCOUNT -1", "ERR Invalid RETRYCOUNT value, must be >= 0")?;
    for (words, word) in [
        ("FAIL IDS 1 1-0 FOO", "FOO"),
        ("FAIL IDS 1 1-0 2-0", "2-0"),
        ("FAIL FATAL IDS 1 1-0", "FATAL"),
        ("FAIL IDS 1 1-0 SILENT", "SILENT"),
        ("FAIL IDS 1 1-0 RETRYCOUNT", "RETRYCOUNT"),
        ("FAIL RETRYCOUNT 1 FORCE IDS", "IDS"),
    ] {
        c.err(format!("XNACK s g {words}"), &format!("ERR Unrecognized XNACK option '{word}'"))?;
    }
    let ids = "ERR syntax error, expected IDS keyword";
    c.err("XNACK s g FAIL RETRYCOUNT 1 FORCE", ids)?;
    let invalid = "ERR Invalid stream ID specified as stream command argument";
    for bad in ["bad", "-", "+", "1-", "\"\""] {
        c.err(format!("XNACK s g FAIL IDS 2 1-0 {bad}"), invalid)?;
    }
    // Nothing of all that has given anything back.
    pending(c, &["1-0 c1 1", "2-0 c1 1", "3-0 c1 1"])?;
    c.is("XNACK s g fail ids 1 1", ":1")?;
    pending(c, &["1-0 - 1", "2-0 c1 1", "3-0 c1 1"])
}

fn g148(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 2, false)?;
    // As if the delivery had never been.
    c.is("XNACK s g SILENT IDS 1 1-0", ":1")?;
    pending(c, &["1-0 - 0", "2-0 c1 1"])?;
    for n in 2..=4 {
        c.is(format!("XCLAIM s g c{n} 0 1-0"), "[[1-0 [f 1]]]")?;
    }
    pending(c, &["1-0 c4 3", "2-0 c1 1"])?;
    c.is("XNACK s g SILENT IDS 1 1-0", ":1")?;
    pending(c, &["1-0 - 2", "2-0 c1 1"])?;
    // Below nothing it does not go.
    c.is("XCLAIM s g c1 0 2-0 RETRYCOUNT 0", "[[2-0 [f 2]]]")?;
    c.is("XNACK s g SILENT IDS 1 2-0", ":1")?;
    pending(c, &["1-0 - 2", "2-0 - 0"])?;
    c.is("XCLAIM s g c1 0 1-0 RETRYCOUNT 9223372036854775807", "[[1-0 [f 1]]]")?;
    c.is("XNACK s g SILENT IDS 1 1-0", ":1")?;
    pending(c, &["1-0 - 9223372036854775806", "2-0 - 0"])
}

fn g149(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 2, false)?;
    c.is("XNACK s g FAIL IDS 1 1-0", ":1")?;
    pending(c, &["1-0 - 1", "2-0 c1 1"])?;
    c.is("XCLAIM s g c2 0 1-0 2-0 RETRYCOUNT 9", "[[1-0 [f 1]] [2-0 [f 2]]]")?;
    c.is("XNACK s g FAIL IDS 2 1-0 2-0", ":2")?;
    pending(c, &["1-0 - 9", "2-0 - 9"])?;
    claimed(c, "c3", &[(1, 9), (2, 9)])?;
    pending(c, &["1-0 c3 10", "2-0 c3 10"])
}

fn g150(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 2, false)?;
    c.is("XNACK s g FATAL IDS 1 1-0", ":1")?;
    pending(c, &["1-0 - 9223372036854775807", "2-0 c1 1"])?;
    // It cannot become more.
    claimed(c, "c2", &[(1, MOST), (2, 1)])?;
    pending(c, &["1-0 c2 9223372036854775807", "2-0 c2 2"])?;
    c.is("XCLAIM s g c3 0 1-0", "[[1-0 [f 1]]]")?;
    c.is("XNACK s g FAIL IDS 1 1-0", ":1")?;
    pending(c, &["1-0 - 9223372036854775807", "2-0 c2 2"])
}

fn g151(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 3, false)?;
    c.is("XNACK s g FAIL IDS 2 1-0 3-0", ":2")?;
    c.is("XREADGROUP GROUP g c1 STREAMS s 0", "[[s [[2-0 [f 2]]]]]")?;
    c.is("XPENDING s g - + 10 c1", "[[2-0 c1 :0..60000 :2]]")?;
    // They count for the group, and are nobody's.
    c.is("XPENDING s g", "[:3 1-0 3-0 [[c1 1]]]")?;
    pending(c, &["1-0 - 1", "2-0 c1 2", "3-0 - 1"])?;
    c.each("XINFO CONSUMERS s g", "pending", "[:1]")?;
    c.fields(
        "XINFO STREAM s FULL",
        &[
            ("groups.0.pel-count", ":3"),
            ("groups.0.nacked-count", ":2"),
            ("groups.0.pending", "[[1-0 \"\" :0 :1] [2-0 c1 * :2] [3-0 \"\" :0 :1]]"),
            ("groups.0.consumers.0.pel-count", ":1"),
            ("groups.0.consumers.0.pending", "[[2-0 * :2]]"),
        ],
    )?;
    // Every filter of age lets them pass.
    c.is(format!("XPENDING s g IDLE {MOST} - + 10"), "[[1-0 \"\" :-1 :1] [3-0 \"\" :-1 :1]]")?;
    c.is("XACK s g 1-0", ":1")?;
    c.is("XACKDEL s g IDS 1 3-0", "[:1]")?;
    pending(c, &["2-0 c1 2"])
}

fn g152(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 3, true)?;
    // What is not pending is passed over: never read, acknowledged, never there.
    c.is("XACK s g 3-0", ":1")?;
    c.is("XNACK s g FAIL IDS 5 1-0 3-0 4-0 9-9 2-0", ":2")?;
    pending(c, &["1-0 - 1", "2-0 - 1"])?;
    c.is("XNACK s g FAIL IDS 2 3-0 9-9", ":0")?;
    // Twice in one call is twice.
    c.is("XCLAIM s g c1 0 1-0 RETRYCOUNT 5", "[[1-0 [f 1]]]")?;
    c.is("XNACK s g SILENT IDS 3 1-0 1-0 1-0", ":3")?;
    pending(c, &["1-0 - 2", "2-0 - 1"])?;
    // Whoever has it, whoever asks.
    c.is("XCLAIM s g c7 0 2-0", "[[2-0 [f 2]]]")?;
    c.is("XNACK s g FAIL IDS 1 2-0", ":1")?;
    pending(c, &["1-0 - 2", "2-0 - 2"])
}

fn g153(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 1, false)?;
    c.is("XCLAIM s g c1 0 1-0 RETRYCOUNT 3", "[[1-0 [f 1]]]")?;
    for (words, count) in [
        ("FAIL IDS 1 1-0", 3),
        ("FAIL IDS 1 1-0", 3),
        ("SILENT IDS 1 1-0", 2),
        ("SILENT IDS 1 1-0", 1),
        ("SILENT IDS 1 1-0", 0),
        ("SILENT IDS 1 1-0", 0),
        ("FATAL IDS 1 1-0", MOST),
        ("FAIL IDS 1 1-0", MOST),
        ("SILENT IDS 1 1-0", MOST - 1),
        ("FAIL IDS 1 1-0 RETRYCOUNT 4", 4),
        ("FATAL IDS 1 1-0", MOST),
    ] {
        c.is(format!("XNACK s g {words}"), ":1")?;
        pending(c, &[&format!("1-0 - {count}")])?;
        nacked(c, 1)?;
    }
    c.is("XPENDING s g", "[:1 1-0 1-0 *]")
}

fn g154(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 5, false)?;
    c.is("XNACK s g FAIL IDS 1 4-0", ":1")?;
    c.is("XNACK s g FAIL IDS 2 5-0 2-0", ":2")?;
    nacked(c, 3)?;
    // Shown by ID ...
    pending(c, &["1-0 c1 1", "2-0 - 1", "3-0 c1 1", "4-0 - 1", "5-0 - 1"])?;
    c.at(
        "XINFO STREAM s FULL",
        "groups.0.pending",
        "[[1-0 c1 * :1] [2-0 \"\" :0 :1] [3-0 c1 * :1] [4-0 \"\" :0 :1] [5-0 \"\" :0 :1]]",
    )?;
    // ... and claimed as they were given back, before all that somebody has.
    c.is(
        "XREADGROUP GROUP g c2 COUNT 2 CLAIM 1000 STREAMS s >",
        "[[s [[4-0 [f 4] * :1] [5-0 [f 5] * :1]]]]",
    )?;
    nacked(c, 1)?;
    claimed(c, "c3", &[(2, 1), (1, 1), (3, 1), (4, 2), (5, 2)])
}

fn g155(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 4, false)?;
    c.is("XNACK s g FAIL IDS 3 1-0 2-0 3-0", ":3")?;
    c.is("XDEL s 2-0", ":1")?;
    pending(c, &["1-0 - 1", "2-0 - 1", "3-0 - 1", "4-0 c1 1"])?;
    c.is("XTRIM s MAXLEN 1", ":2")?;
    pending(c, &["1-0 - 1", "2-0 - 1", "3-0 - 1", "4-0 c1 1"])?;
    nacked(c, 3)?;
    // There is nothing behind them to be read.
    claimed(c, "c2", &[(4, 1)])?;
    c.is("XNACK s g SILENT IDS 1 2-0", ":1")?;
    pending(c, &["1-0 - 1", "2-0 - 0", "3-0 - 1", "4-0 c2 2"])?;
    c.is("XACK s g 1-0 2-0 3-0", ":3")?;
    nacked(c, 0)
}

fn g156(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 60, false)?;
    // From the last to the first, so that the order shows.
    let ids: Vec<_> = (1..=50).rev().map(|n| format!("{n}-0")).collect();
    c.is(format!("XNACK s g FAIL IDS 50 {}", ids.join(" ")), ":50")?;
    nacked(c, 50)?;
    c.is("XPENDING s g", "[:60 1-0 60-0 [[c1 10]]]")?;
    let invalid = "ERR Invalid stream ID specified as stream command argument";
    c.err(format!("XNACK s g FATAL IDS 51 {} bad", ids.join(" ")), invalid)?;
    let order: Vec<_> = (1..=50).rev().chain(51..=60).map(|n| (n, 1)).collect();
    claimed(c, "c2", &order)?;
    nacked(c, 0)
}

fn g157(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 3, false)?;
    c.is("XNACK s g FAIL IDS 1 1-0 RETRYCOUNT 5", ":1")?;
    c.is("XNACK s g SILENT IDS 1 2-0 RETRYCOUNT 0", ":1")?;
    c.is("XNACK s g FATAL IDS 1 3-0 RETRYCOUNT 7", ":1")?;
    pending(c, &["1-0 - 5", "2-0 - 0", "3-0 - 7"])?;
    c.is(format!("XNACK s g SILENT IDS 2 1-0 3-0 RETRYCOUNT {MOST}"), ":2")?;
    pending(c, &["1-0 - 9223372036854775807", "2-0 - 0", "3-0 - 9223372036854775807"])?;
    c.is("XNACK s g FAIL IDS 3 1-0 2-0 3-0 RETRYCOUNT 1 RETRYCOUNT 2", ":3")?;
    claimed(c, "c2", &[(1, 2), (2, 2), (3, 2)])?;
    pending(c, &["1-0 c2 3", "2-0 c2 3", "3-0 c2 3"])
}

fn g158(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.entries("s", 1..=5)?;
    c.ok("XGROUP CREATE s g 0")?;
    c.at("XREADGROUP GROUP g c1 COUNT 2 STREAMS s >", "0.1.1.0", "2-0")?;
    c.is("XACK s g 1-0", ":1")?;
    c.is("XNACK s g FAIL IDS 2 1-0 4-0", ":0")?;
    // A record for what has none: acknowledged long ago, or not read yet.
    c.is("XNACK s g FAIL IDS 2 1-0 4-0 FORCE", ":2")?;
    c.is("XNACK s g SILENT IDS 1 5-0 FORCE", ":1")?;
    c.is("XNACK s g FATAL IDS 1 3-0 FORCE", ":1")?;
    pending(c, &["1-0 - 0", "2-0 c1 1", "3-0 - 9223372036854775807", "4-0 - 0", "5-0 - 0"])?;
    nacked(c, 4)?;
    c.at("XINFO GROUPS s", "0.last-delivered-id", "2-0")?;
    // None for an entry that is not there; one that has a record keeps its count.
    c.is("XNACK s g FAIL IDS 3 9-0 2-0 6-6 FORCE", ":1")?;
    pending(c, &["1-0 - 0", "2-0 - 1", "3-0 - 9223372036854775807", "4-0 - 0", "5-0 - 0"])?;
    c.is("XDEL s 5-0", ":1")?;
    c.is("XACK s g 5-0", ":1")?;
    c.is("XNACK s g FAIL IDS 1 5-0 FORCE", ":0")?;
    // Claimed first, in their order; then what the cursor has not passed comes as new.
    c.is(
        "XREADGROUP GROUP g c2 COUNT 5 CLAIM 0 STREAMS s >",
        format!(
            "[[s [[1-0 [f 1] * :0] [4-0 [f 4] * :0] [3-0 [f 3] * :{MOST}] [2-0 [f 2] * :1] \
             [3-0 [f 3] :0 :0]]]]"
        ),
    )?;
    pending(c, &["1-0 c2 1", "2-0 c2 2", "3-0 c2 1", "4-0 c2 1"])
}

fn g159(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.entries("s", 1..=3)?;
    c.ok("XGROUP CREATE s g 0")?;
    c.is("XNACK s g FAIL IDS 1 1-0 FORCE RETRYCOUNT 7", ":1")?;
    c.is("XNACK s g FATAL IDS 1 2-0 RETRYCOUNT 0 FORCE", ":1")?;
    c.is("XNACK s g SILENT IDS 2 3-0 4-0 RETRYCOUNT 2 FORCE", ":1")?;
    pending(c, &["1-0 - 7", "2-0 - 0", "3-0 - 2"])?;
    c.is("XNACK s g FAIL IDS 1 1-0 RETRYCOUNT 8 FORCE", ":1")?;
    pending(c, &["1-0 - 8", "2-0 - 0", "3-0 - 2"])?;
    c.is("XPENDING s g", "[:3 1-0 3-0 *]")?;
    c.each("XINFO GROUPS s", "consumers", "[:0]")?;
    c.is("XAUTOCLAIM s g c 1000 0", "[0-0 [[1-0 [f 1]] [2-0 [f 2]] [3-0 [f 3]]] []]")?;
    pending(c, &["1-0 c 9", "2-0 c 1", "3-0 c 3"])
}

fn g160(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 3, false)?;
    c.is("XNACK s g FAIL RETRYCOUNT 4 IDS 1 1-0", ":1")?;
    c.is("XNACK s g FAIL FORCE RETRYCOUNT 5 IDS 2 2-0 1-0", ":2")?;
    c.is("XNACK s g FAIL FORCE IDS 1 3-0 RETRYCOUNT 6", ":1")?;
    pending(c, &["1-0 - 5", "2-0 - 5", "3-0 - 6"])?;
    c.is("XNACK s g FATAL FORCE IDS 1 3-0", ":1")?;
    pending(c, &["1-0 - 5", "2-0 - 5", "3-0 - 9223372036854775807"])?;
    let unknown = "ERR Unrecognized XNACK option '2-0'";
    c.err("XNACK s g FAIL FORCE IDS 1 1-0 2-0 RETRYCOUNT 3", unknown)?;
    pending(c, &["1-0 - 5", "2-0 - 5", "3-0 - 9223372036854775807"])
}

fn g161(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 4, false)?;
    c.is("XNACK s g FAIL IDS 3 1-0 2-0 3-0", ":3")?;
    c.is("XNACK s g FAIL IDS 1 1-0", ":1")?;
    nacked(c, 3)?;
    c.is("XREADGROUP GROUP g c2 COUNT 1 CLAIM 0 STREAMS s >", "[[s [[2-0 [f 2] * :1]]]]")?;
    // Given back by the next one it stands behind those that wait longer.
    c.is("XNACK s g FAIL IDS 1 2-0", ":1")?;
    claimed(c, "c3", &[(3, 1), (1, 1), (2, 2), (4, 1)])
}

fn g162(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 4, false)?;
    c.is("XNACK s g FAIL IDS 3 1-0 2-0 3-0", ":3")?;
    // However old it is to be: nobody has it.
    c.is(format!("XCLAIM s g c2 {MOST} 1-0 4-0"), "[[1-0 [f 1]]]")?;
    c.is(format!("XAUTOCLAIM s g c3 {MOST} 0 COUNT 1"), "[3-0 [[2-0 [f 2]]] []]")?;
    c.is(
        "XREADGROUP GROUP g c4 CLAIM 9000000 STREAMS s >",
        "[[s [[3-0 [f 3] :1000000000000..99999999999999 :1]]]]",
    )?;
    pending(c, &["1-0 c2 2", "2-0 c3 2", "3-0 c4 2", "4-0 c1 1"])?;
    nacked(c, 0)?;
    c.is("XNACK s g FAIL IDS 2 1-0 2-0", ":2")?;
    c.is(format!("XCLAIM s g c5 {MOST} 2-0 JUSTID"), "[2-0]")?;
    c.is(format!("XAUTOCLAIM s g c5 {MOST} 0 JUSTID"), "[0-0 [1-0] []]")?;
    pending(c, &["1-0 c5 2", "2-0 c5 2", "3-0 c4 2", "4-0 c1 1"])
}

fn g163(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 5, false)?;
    c.is("XNACK s g FAIL IDS 4 1-0 2-0 3-0 4-0", ":4")?;
    c.is("XDEL s 1-0 2-0 3-0", ":3")?;
    c.is("XCLAIM s g c2 0 1-0 4-0", "[[4-0 [f 4]]]")?;
    pending(c, &["2-0 - 1", "3-0 - 1", "4-0 c2 2", "5-0 c1 1"])?;
    c.is("XAUTOCLAIM s g c2 9000000 0", "[0-0 [] [2-0 3-0]]")?;
    pending(c, &["4-0 c2 2", "5-0 c1 1"])?;
    nacked(c, 0)?;
    c.is("XPENDING s g", "[:2 4-0 5-0 [[c1 1] [c2 1]]]")
}

fn g164(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 3, false)?;
    let wait = "XREADGROUP GROUP g c2 BLOCK 20000 CLAIM 15000 STREAMS s >";
    let mut waiter = env.blocked(wait, 1)?;
    let mut plain = env.blocked("XREADGROUP GROUP g c3 BLOCK 20000 STREAMS s >", 2)?;
    env.c.is("XNACK s g FAIL IDS 2 2-0 1-0", ":2")?;
    waiter.reads("[[s [[2-0 [f 2] * :1] [1-0 [f 1] * :1]]]]")?;
    // Who claims nothing goes on waiting.
    plain.stays_silent(Duration::from_millis(60))?;
    env.wait_blocked(1)?;
    pending(&mut env.c, &["1-0 c2 2", "2-0 c2 2", "3-0 c1 1"])?;
    // Nothing given back wakes nobody.
    waiter.send(wait)?;
    env.wait_blocked(2)?;
    env.c.is("XNACK s g FAIL IDS 1 9-9", ":0")?;
    waiter.stays_silent(Duration::from_millis(60))?;
    env.c.is("XNACK s g SILENT IDS 1 3-0", ":1")?;
    waiter.reads("[[s [[3-0 [f 3] * :0]]]]")?;
    env.c.entries("s", 4..=4)?;
    plain.reads("[[s [[4-0 [f 4]]]]]")
}

fn g165(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 3, false)?;
    c.is("XNACK s g FAIL IDS 1 2-0", ":1")?;
    c.is("XREADGROUP GROUP g c1 STREAMS s 0", "[[s [[1-0 [f 1]] [3-0 [f 3]]]]]")?;
    c.is("XREADGROUP GROUP g c2 STREAMS s 0", "[[s []]]")?;
    c.is("XREADGROUP GROUP g \"\" STREAMS s 0", "[[s []]]")?;
    pending(c, &["1-0 c1 2", "2-0 - 1", "3-0 c1 2"])?;
    c.is("XNACK s g FAIL IDS 2 1-0 3-0", ":2")?;
    c.is("XREADGROUP GROUP g c1 STREAMS s 0", "[[s []]]")?;
    // Once somebody has it again it is in his history.
    c.is("XCLAIM s g c2 0 2-0 JUSTID", "[2-0]")?;
    c.is("XREADGROUP GROUP g c2 STREAMS s 0", "[[s [[2-0 [f 2]]]]]")
}

fn g166(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 2, false)?;
    std::thread::sleep(Duration::from_millis(100));
    c.is("XNACK s g FAIL IDS 2 1-0 2-0", ":2")?;
    // It stays a consumer, and giving back is neither seen nor activity.
    c.each("XINFO CONSUMERS s g", "name", "[c1]")?;
    c.fields(
        "XINFO CONSUMERS s g",
        &[("0.pending", ":0"), ("0.idle", ":100..60000"), ("0.inactive", ":100..60000")],
    )?;
    c.at("XINFO GROUPS s", "0.pending", ":2")?;
    c.at("XINFO GROUPS s", "0.consumers", ":1")?;
    c.is("XPENDING s g", "[:2 1-0 2-0 *]")?;
    c.is("XPENDING s g - + 10 c1", "[]")?;
    c.is("XGROUP DELCONSUMER s g c1", ":0")?;
    pending(c, &["1-0 - 1", "2-0 - 1"])
}

fn g167(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 3, false)?;
    c.is("XNACK s g FAIL IDS 2 1-0 2-0", ":2")?;
    c.is("XDELEX s ACKED IDS 1 1-0", "[:2]")?;
    c.is("XGROUP DESTROY s g", ":1")?;
    // Nothing refers to the entries any more.
    c.is("XDELEX s ACKED IDS 1 1-0", "[:1]")?;
    c.ok("XGROUP CREATE s g 3-0")?;
    c.is("XPENDING s g", "[:0 nil nil nil*]")?;
    nacked(c, 0)?;
    c.is("XREADGROUP GROUP g c CLAIM 0 STREAMS s >", "nil*")?;
    c.is("XACK s g 2-0 3-0", ":0")
}

fn g168(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 4, false)?;
    c.is("XNACK s g FAIL IDS 2 2-0 1-0", ":2")?;
    c.is("XGROUP DELCONSUMER s g c1", ":2")?;
    pending(c, &["1-0 - 1", "2-0 - 1"])?;
    nacked(c, 2)?;
    claimed(c, "c2", &[(2, 1), (1, 1)])?;
    c.is("XGROUP DELCONSUMER s g c2", ":2")?;
    c.is("XPENDING s g", "[:0 nil nil nil*]")
}

fn g169(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    read(c, 6, false)?;
    nacked(c, 0)?;
    c.is("XNACK s g FAIL IDS 4 1-0 2-0 3-0 4-0", ":4")?;
    nacked(c, 4)?;
    // Whatever takes a record out of the zone lowers it.
    for (command, reply, left) in [
        ("XNACK s g FAIL IDS 1 4-0", ":1", 4),
        ("XCLAIM s g c2 0 1-0 JUSTID", "[1-0]", 3),
        ("XACK s g 2-0", ":1", 2),
        ("XACKDEL s g IDS 1 3-0", "[:1]", 1),
        ("XDELEX s DELREF IDS 1 4-0", "[:1]", 0),
        ("XNACK s g FAIL IDS 2 5-0 6-0", ":2", 2),
        ("XDEL s 5-0", ":1", 2),
        ("XAUTOCLAIM s g c2 9000000 0", "[0-0 [[6-0 [f 6]]] [5-0]]", 0),
    ] {
        c.is(command, reply)?;
        nacked(c, left)?;
    }
    // It stands between the two others, and not in XINFO GROUPS.
    let full = c.ask("XINFO STREAM s FULL")?;
    let names: Vec<_> = full.deep("groups.0")?.items()?.iter().step_by(2).cloned().collect();
    crate::pattern::expect(
        &crate::reply::Reply::Array(names),
        "[name last-delivered-id entries-read lag pel-count nacked-count pending consumers]",
    )?;
    c.is(
        "XINFO GROUPS s",
        "[[name g consumers :2 pending :2 last-delivered-id 6-0 entries-read * lag *]]",
    )
}
