//! XREAD MAXCOUNT and MAXSIZE.

use crate::client::{Client, Outcome, ensure};
use crate::env::Env;
use crate::registry::Numbered;
use crate::reply::Reply;

pub(crate) const TESTS: &[Numbered] = &[
    Numbered::new("s154", "MAXCOUNT and MAXSIZE are checked", s154).since(8, 10),
    Numbered::new("s155", "MAXCOUNT bounds the sum over streams", s155).since(8, 10),
    Numbered::new("s156", "MAXCOUNT without COUNT", s156).since(8, 10),
    Numbered::new("s157", "MAXCOUNT as large as COUNT on one stream", s157).since(8, 10),
    Numbered::new("s158", "MAXSIZE bounds the reply over streams", s158).since(8, 10),
    Numbered::new("s159", "one entry larger than MAXSIZE still comes", s159).since(8, 10),
    Numbered::new("s160", "whichever of both is reached first", s160).since(8, 10),
    Numbered::new("s161", "MAXSIZE counts each command of a transaction", s161).since(8, 10),
];

fn s154(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    for option in ["MAXCOUNT", "MAXSIZE"] {
        let positive = format!("ERR {option} must be a positive integer");
        for bad in ["0", "-1", "-9223372036854775808"] {
            c.err(format!("XREAD {option} {bad} STREAMS k 0"), &positive)?;
        }
        for bad in ["abc", "1.5", "\"\"", "9223372036854775808"] {
            let not_integer = "ERR value is not an integer or out of range";
            c.err(format!("XREAD {option} {bad} STREAMS k 0"), not_integer)?;
        }
        c.err(format!("XREAD STREAMS k 0 {option}"), UNBALANCED)?;
        c.is(format!("XREAD {option} 1 STREAMS k 0"), "nil*")?;
    }
    let smaller = "ERR MAXCOUNT must be greater than or equal to COUNT";
    c.err("XREAD COUNT 10 MAXCOUNT 9 STREAMS k 0", smaller)?;
    c.err("XREAD MAXCOUNT 9 COUNT 10 STREAMS k 0", smaller)?;
    c.is("XREAD MAXCOUNT 9 COUNT 9 MAXSIZE 1 STREAMS k 0", "nil*")?;
    c.is("XREAD COUNT 0 MAXCOUNT 1 STREAMS k 0", "nil*")
}

const UNBALANCED: &str = "ERR Unbalanced 'xread' list of streams: \
    for each stream key an ID, '+', or '$' must be specified.";

/// Three streams of fifty entries, each with a value of this length.
fn fill(c: &mut Client, len: usize) -> Outcome {
    let value = "x".repeat(len);
    let mut commands = Vec::new();
    for key in ["s1", "s2", "s3"] {
        commands.extend((1..=50).map(|n| format!("XADD {key} {n}-0 f {value}")));
    }
    c.many(&commands).map(drop)
}

/// How many entries come of each stream; they are the first ones, in order.
fn counts(reply: &Reply) -> Result<Vec<(String, usize)>, String> {
    let mut found = Vec::new();
    for stream in reply.items()? {
        let entries = stream.at(1)?.items()?;
        for (n, entry) in (1..).zip(entries) {
            let id = entry.at(0)?.text()?;
            ensure(id == format!("{n}-0"), format!("{id} where {n}-0 is due"))?;
        }
        found.push((stream.at(0)?.text()?, entries.len()));
    }
    Ok(found)
}

fn gives(c: &mut Client, command: &str, expected: &[(&str, usize)]) -> Outcome {
    let got = counts(&c.ask(command)?)?;
    let same = got.iter().map(|(key, n)| (key.as_str(), *n)).eq(expected.iter().copied());
    ensure(same, format!("{command}: {got:?} instead of {expected:?}"))
}

const ALL: &str = "STREAMS s1 s2 s3 0 0 0";

fn s155(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    fill(c, 1)?;
    let read = |options: &str| format!("XREAD {options} {ALL}");
    gives(c, &read("COUNT 50"), &[("s1", 50), ("s2", 50), ("s3", 50)])?;
    gives(c, &read("COUNT 50 MAXCOUNT 80"), &[("s1", 50), ("s2", 30)])?;
    gives(c, &read("MAXCOUNT 80 COUNT 30"), &[("s1", 30), ("s2", 30), ("s3", 20)])?;
    gives(c, &read("COUNT 50 MAXCOUNT 1000"), &[("s1", 50), ("s2", 50), ("s3", 50)])
}

fn s156(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    fill(c, 1)?;
    gives(c, &format!("XREAD MAXCOUNT 7 {ALL}"), &[("s1", 7)])?;
    gives(c, &format!("XREAD MAXCOUNT 50 {ALL}"), &[("s1", 50)])?;
    gives(c, &format!("XREAD MAXCOUNT 51 {ALL}"), &[("s1", 50), ("s2", 1)])
}

fn s157(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    fill(c, 1)?;
    gives(c, "XREAD COUNT 10 MAXCOUNT 10 STREAMS s1 0", &[("s1", 10)])?;
    let limited = c.ask("XREAD COUNT 10 MAXCOUNT 10 STREAMS s1 0")?;
    c.is("XREAD COUNT 10 STREAMS s1 0", limited.to_string())
}

/// Each entry is about 1,030 bytes of the reply: two are below 2,500, three above.
fn s158(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    fill(c, 1000)?;
    gives(c, &format!("XREAD MAXSIZE 2500 {ALL}"), &[("s1", 3)])?;
    gives(c, &format!("XREAD COUNT 2 MAXSIZE 2500 {ALL}"), &[("s1", 2), ("s2", 1)])?;
    gives(c, &format!("XREAD COUNT 1 MAXSIZE 2500 {ALL}"), &[("s1", 1), ("s2", 1), ("s3", 1)])?;
    gives(c, &format!("XREAD COUNT 3 MAXSIZE 2500 {ALL}"), &[("s1", 3)])?;
    gives(c, &format!("XREAD MAXSIZE 1000000 {ALL}"), &[("s1", 50), ("s2", 50), ("s3", 50)])
}

fn s159(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let big = "y".repeat(20_000);
    c.is(format!("XADD k 1-0 f {big}"), "1-0")?;
    c.is("XADD k 2-0 f small", "2-0")?;
    c.is("XADD l 1-0 f small", "1-0")?;
    c.is("XREAD MAXSIZE 1 STREAMS k l 0 0", format!("[[k [[1-0 [f {big}]]]]]"))?;
    c.is("XREAD MAXSIZE 1000 STREAMS k l 0 0", format!("[[k [[1-0 [f {big}]]]]]"))?;
    c.is("XREAD MAXSIZE 1 STREAMS k l 1 0", "[[k [[2-0 [f small]]]]]")
}

fn s160(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    fill(c, 1000)?;
    gives(c, &format!("XREAD MAXCOUNT 2 MAXSIZE 100000 {ALL}"), &[("s1", 2)])?;
    gives(c, &format!("XREAD MAXSIZE 2500 MAXCOUNT 40 {ALL}"), &[("s1", 3)])?;
    gives(c, &format!("XREAD COUNT 2 MAXCOUNT 3 MAXSIZE 9000 {ALL}"), &[("s1", 2), ("s2", 1)])
}

fn s161(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    fill(c, 1000)?;
    c.ok("MULTI")?;
    for _ in 0..3 {
        c.is("XREAD MAXSIZE 1500 STREAMS s1 s2 0 0", "+QUEUED")?;
    }
    let replies = c.list("EXEC")?;
    ensure(replies.len() == 3, "not three replies")?;
    for reply in &replies {
        let got = counts(reply)?;
        ensure(got == [("s1".to_owned(), 2)], format!("{got:?} instead of two entries"))?;
    }
    Ok(())
}
