//! XRANGE and XREVRANGE: counts, pages, exclusive bounds, and both against a naive list.

use super::Rng;
use crate::client::{Client, Outcome, ensure};
use crate::env::Env;
use crate::registry::Numbered;
use crate::reply::Reply;

pub(crate) const TESTS: &[Numbered] = &[
    Numbered::new("s136", "XRANGE COUNT", s136),
    Numbered::new("s137", "XREVRANGE COUNT", s137),
    Numbered::new("s138", "XRANGE page by page gives the whole stream", s138),
    Numbered::new("s139", "XREVRANGE is the mirror of XRANGE", s139),
    Numbered::new("s140", "exclusive bounds", s140),
    Numbered::new("s170", "random ranges are those of a list", s170),
    Numbered::new("s171", "XREVRANGE over entries of changing fields", s171),
];

const MAX: u64 = u64::MAX;

/// Ten thousand entries, every tenth with a second field; `item` counts from 0.
fn fill(c: &mut Client) -> Outcome {
    let entry = |n: u32| match n % 10 {
        0 => format!("XADD k * item {n} otherfield foo"),
        _ => format!("XADD k * item {n}"),
    };
    c.many(&(0..10_000).map(entry).collect::<Vec<_>>()).map(drop)
}

/// The value of an entry's first field.
fn item(entry: &Reply) -> Result<u64, String> {
    let text = entry.path(&[1, 1])?.text()?;
    text.parse().map_err(|_| format!("{text} is no number"))
}

fn s136(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    fill(c)?;
    let ten = c.list("XRANGE k - + COUNT 10")?;
    ensure(ten.len() == 10, format!("{} entries", ten.len()))?;
    for (n, entry) in (0..).zip(&ten) {
        ensure(item(entry)? == n, format!("{entry} at {n}"))?;
    }
    c.is("XRANGE k - + COUNT 1 COUNT 2", "[[@ [item 0 otherfield foo]] [@ [item 1]]]")?;
    c.is("XRANGE k - + COUNT 0", "nil*")?;
    c.is("XRANGE absent - + COUNT 10", "[]")?;
    c.err("XRANGE k - + COUNT x", "ERR value is not an integer or out of range")?;
    c.err("XRANGE k - + LIMIT 1", "ERR syntax error")
}

fn s137(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    fill(c)?;
    let ten = c.list("XREVRANGE k + - COUNT 10")?;
    ensure(ten.len() == 10, format!("{} entries", ten.len()))?;
    for (n, entry) in (0..).zip(&ten) {
        ensure(item(entry)? == 9_999 - n, format!("{entry} at {n}"))?;
    }
    c.is("XREVRANGE k + - COUNT 1", "[[@ [item 9999]]]")?;
    c.is("XREVRANGE k - + COUNT 1", "[]")
}

fn s138(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    fill(c)?;
    let (mut start, mut expected) = ("-".to_owned(), 0);
    loop {
        let page = c.list(format!("XRANGE k {start} + COUNT 100"))?;
        let Some(last) = page.last() else { break };
        for entry in &page {
            ensure(item(entry)? == expected, format!("{entry} where {expected} is due"))?;
            let fields = entry.at(1)?.items()?.len();
            ensure(fields == if expected % 10 == 0 { 4 } else { 2 }, format!("{entry}"))?;
            expected += 1;
        }
        start = format!("({}", last.at(0)?.text()?);
    }
    ensure(expected == 10_000, format!("{expected} entries in all pages"))
}

fn s139(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    fill(c)?;
    let forth = c.list("XRANGE k - +")?;
    let mut back = c.list("XREVRANGE k + -")?;
    back.reverse();
    ensure(forth.len() == 10_000, format!("{} entries", forth.len()))?;
    ensure(forth == back, "one is not the reverse of the other")
}

fn s140(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let ids = [(0, 1), (0, MAX), (1, 0), (42, 0), (42, 42), (MAX, MAX - 1), (MAX, MAX)];
    let ids = ids.map(|(ms, seq)| format!("{ms}-{seq}"));
    c.ok("MULTI")?;
    for id in &ids {
        c.is(format!("XADD k {id} f v"), "+QUEUED")?;
    }
    c.is("EXEC", "[@ @ @ @ @ @ @]")?;
    let mut gives = |start: &str, end: &str, from: usize, to: usize| {
        let entries = ids[from..to].iter().map(|id| format!("[{id} [f v]]"));
        let mut entries: Vec<String> = entries.collect();
        c.is(format!("XRANGE k {start} {end}"), format!("[{}]", entries.join(" ")))?;
        entries.reverse();
        c.is(format!("XREVRANGE k {end} {start}"), format!("[{}]", entries.join(" ")))
    };
    let max = format!("{MAX}-{MAX}");
    gives("-", "+", 0, 7)?;
    gives("(0-1", "+", 1, 7)?;
    gives("-", &format!("({max}"), 0, 6)?;
    gives("(0-1", "(1-0", 1, 2)?;
    gives("(1-0", "(42-42", 3, 4)?;
    gives("(0", "(1", 0, 3)?;
    gives("42", "42", 3, 5)?;
    gives("42-1", "(42", 4, 5)?;
    c.err(format!("XRANGE k ({max} +"), "ERR invalid start ID for the interval")?;
    c.err("XRANGE k - (0-0", "ERR invalid end ID for the interval")?;
    let invalid = "ERR Invalid stream ID specified as stream command argument";
    for bounds in ["(- +", "- (+", "( +", "- (", "x +"] {
        c.err(format!("XRANGE k {bounds}"), invalid)?;
    }
    Ok(())
}

fn s170(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let mut rng = Rng(77);
    let (mut ms, mut ids) = (1, Vec::new());
    let mut commands = Vec::new();
    for n in 0..2_000 {
        ms += rng.below(3);
        let seq = n;
        ids.push((ms, seq));
        let more = if rng.below(10) == 0 { " other foo" } else { "" };
        commands.push(format!("XADD k {ms}-{seq} item {n}{more}"));
    }
    c.many(&commands)?;
    for _ in 0..300 {
        let mut bound = || (rng.below(ms + 3), rng.below(2_002));
        let (from, to) = (bound(), bound());
        let within: Vec<String> = ids
            .iter()
            .filter(|id| from <= **id && **id <= to)
            .map(|(ms, seq)| format!("{ms}-{seq}"))
            .collect();
        let ((a, b), (x, y)) = (from, to);
        let mut compare = |command: String, expected: Vec<&String>| {
            let got = c.list(&command)?;
            let got: Result<Vec<String>, String> = got.iter().map(|e| e.at(0)?.text()).collect();
            ensure(got?.iter().eq(expected), format!("{command} is wrong"))
        };
        compare(format!("XRANGE k {a}-{b} {x}-{y}"), within.iter().collect())?;
        compare(format!("XREVRANGE k {x}-{y} {a}-{b}"), within.iter().rev().collect())?;
        let count = 1 + (a as usize % 7);
        let first = within.iter().take(count).collect();
        compare(format!("XRANGE k {a}-{b} {x}-{y} COUNT {count}"), first)?;
    }
    c.at("XINFO STREAM k", "length", ":2000")
}

fn s171(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    // The same fields as the entry before, others, more, fewer, and the first ones again.
    let shapes =
        ["a 1", "a 1", "a 1 b 2", "b 2", "a 1 b 2 c 3", "a 1", "\"\" \"\"", "a 12345 b 67"];
    let shapes = shapes.iter().cycle().take(40);
    let mut entries = Vec::new();
    for (n, fields) in (1..).zip(shapes) {
        c.is(format!("XADD k {n}-{n} {fields}"), format!("{n}-{n}"))?;
        entries.push(format!("[{n}-{n} [{fields}]]"));
    }
    c.is("XRANGE k - +", format!("[{}]", entries.join(" ")))?;
    entries.reverse();
    c.is("XREVRANGE k + -", format!("[{}]", entries.join(" ")))?;
    c.is("XDEL k 20-20 21-21", ":2")?;
    entries.retain(|entry| !entry.starts_with("[20-") && !entry.starts_with("[21-"));
    c.is("XREVRANGE k + -", format!("[{}]", entries.join(" ")))?;
    c.is("XREVRANGE k 22-22 19-19", format!("[{}]", entries[18..20].join(" ")))
}
