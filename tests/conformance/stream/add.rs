//! XADD: arguments, generated IDs and their limits, NOMKSTREAM.

use super::{add_numbered, has_len, parts};
use crate::client::{Outcome, ensure};
use crate::env::Env;
use crate::registry::Numbered;

pub(crate) const TESTS: &[Numbered] = &[
    Numbered::new("s1", "XADD with too few or an odd number of words", s1),
    Numbered::new("s2", "XRANGE gives back what XADD put in", s2),
    Numbered::new("s3", "generated IDs grow", s3),
    Numbered::new("s4", "IDs of one transaction share the millisecond and count on", s4)
        .since(7, 2),
    Numbered::new("s5", "behind the largest ID nothing can be added", s5),
    Numbered::new("s6", "ms-* continues the sequence of the last ID", s6),
    Numbered::new("s7", "ms-* of a later millisecond begins at 0", s7),
    Numbered::new("s8", "ms-* of an earlier millisecond is refused", s8),
    Numbered::new("s9", "ms-* is refused where the sequence is used up", s9).since(7, 2),
    Numbered::new("s10", "0-* on a new stream is 0-1", s10),
    Numbered::new("s14", "NOMKSTREAM adds to what exists only", s14),
    Numbered::new("s133", "ten thousand entries, and XLEN", s133),
    Numbered::new("s134", "0-0 is refused before the key is made", s134),
    Numbered::new("s174", "* behind a used up millisecond goes to the next one", s174),
    Numbered::new("s203", "an incomplete ID in a used up millisecond", s203).since(7, 2),
    Numbered::new("s207", "XGROUP HELP takes no words", s207),
    Numbered::new("s208", "XINFO HELP takes no words", s208),
];

const SMALLER: &str =
    "ERR The ID specified in XADD is equal or smaller than the target stream top item";
const EXHAUSTED: &str =
    "ERR The stream has exhausted the last possible ID, unable to add more items";
const MAX: u64 = u64::MAX;

fn s1(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let arity = "ERR wrong number of arguments for 'xadd' command";
    let few = ["XADD", "XADD k", "XADD k *", "XADD k * f", "xadd k * f v f2"];
    let options = ["XADD k MAXLEN 5 *", "XADD k NOMKSTREAM * f", "XADD k MAXLEN ~ 5 1-1 f v g"];
    for command in few.iter().chain(&options) {
        c.err(command, arity)?;
    }
    c.is("EXISTS k", ":0")?;
    c.is("XADD k 1-1 f v", "1-1")
}

fn s2(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let first = c.text("XADD k * item 1 value a")?;
    let second = c.text("XADD k * item 2 value b item 3")?;
    has_len(c, "k", 2)?;
    let both = format!("[[{first} [item 1 value a]] [{second} [item 2 value b item 3]]]");
    c.is("XRANGE k - +", both)?;
    c.is_words(&[b"XADD".as_slice(), b"bin", b"1-1", b"\0\r\n", b"", b"", b"\xff"], "1-1")?;
    c.is("XRANGE bin - +", r#"[[1-1 ["\x00\r\n" "" "" "\xff"]]]"#)
}

fn s3(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let mut ids = Vec::new();
    for n in 0..50 {
        ids.push(parts(&c.text(format!("XADD k * f {n}"))?)?);
    }
    ensure(ids.windows(2).all(|pair| pair[0] < pair[1]), format!("{ids:?} do not grow"))?;
    ensure(ids[0].0 > 1_600_000_000_000, "an ID does not begin with the time")?;
    has_len(c, "k", 50)
}

fn s4(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.ok("MULTI")?;
    // So many that they take longer than a millisecond.
    for n in 0..300 {
        c.is(format!("XADD k * f {n}"), "+QUEUED")?;
    }
    let ids = c.list("EXEC")?;
    ensure(ids.len() == 300, "not a reply for each")?;
    let (ms, seq) = parts(&ids[0].text()?)?;
    for (n, id) in (0..).zip(&ids) {
        let id = id.text()?;
        ensure(id == format!("{ms}-{}", seq + n), format!("{id} at {n} behind {ms}-{seq}"))?;
    }
    has_len(c, "k", 300)
}

fn s5(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is(format!("XADD k {MAX}-{MAX} a b"), format!("{MAX}-{MAX}"))?;
    c.err("XADD k * c d", EXHAUSTED)?;
    c.err(format!("XADD k {MAX}-* c d"), EXHAUSTED)?;
    c.err("XADD k 1-1 c d", EXHAUSTED)?;
    c.is("XRANGE k - +", format!("[[{MAX}-{MAX} [a b]]]"))
}

fn s6(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD k 123-456 f v", "123-456")?;
    c.is("XADD k 123-* f v", "123-457")?;
    c.is("XADD k 123-* f v", "123-458")?;
    c.is("XRANGE k - + COUNT 2", "[[123-456 [f v]] [123-457 [f v]]]")
}

fn s7(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD k 123-456 f v", "123-456")?;
    c.is("XADD k 789-* f v", "789-0")?;
    c.at("XINFO STREAM k", "last-generated-id", "789-0")
}

fn s8(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD k 123-456 f v", "123-456")?;
    c.err("XADD k 42-* f v", SMALLER)?;
    c.err("XADD k 123-456 f v", SMALLER)?;
    c.err("XADD k 123-455 f v", SMALLER)?;
    c.err("XADD k 42 f v", SMALLER)?;
    has_len(c, "k", 1)
}

fn s9(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is(format!("XADD k 1-{MAX} f v"), format!("1-{MAX}"))?;
    c.err("XADD k 1-* f v", SMALLER)?;
    has_len(c, "k", 1)?;
    c.is("XADD k 2-* f v", "2-0")
}

fn s10(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD k 0-* a b", "0-1")?;
    c.is("XADD k 0-* a b", "0-2")?;
    c.fields("XINFO STREAM k", &[("length", ":2"), ("recorded-first-entry-id", "0-1")])
}

fn s14(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD k NOMKSTREAM * item 1", "nil")?;
    c.is("XADD k NOMKSTREAM MAXLEN 5 1-1 item 1", "nil")?;
    c.is("EXISTS k", ":0")?;
    c.is("XADD k 1-1 item 1 value a", "1-1")?;
    c.is("XADD k NOMKSTREAM 1-2 item 2 value b", "1-2")?;
    c.is("XADD k nomkstream MAXLEN = 2 1-3 item 3", "1-3")?;
    c.is("XRANGE k - +", "[[1-2 [item 2 value b]] [1-3 [item 3]]]")
}

fn s133(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.ok("MULTI")?;
    let entry = |n: u32| match n % 10 {
        0 => format!("XADD k * item {n} otherfield foo"),
        _ => format!("XADD k * item {n}"),
    };
    let commands: Vec<String> = (0..10_000).map(entry).collect();
    let queued = c.many(&commands)?;
    ensure(queued.iter().all(|reply| reply.to_string() == "+QUEUED"), "not all are queued")?;
    let ids = c.list("EXEC")?;
    ensure(ids.len() == 10_000, format!("{} replies", ids.len()))?;
    has_len(c, "k", 10_000)?;
    let last = ids[9_999].text()?;
    c.is("XREVRANGE k + - COUNT 1", format!("[[{last} [item 9999]]]"))?;
    c.at("XINFO STREAM k", "entries-added", ":10000")
}

fn s134(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let error = "ERR The ID specified in XADD must be greater than 0-0";
    c.err("XADD k 0-0 f v", error)?;
    c.err("XADD k 0 f v", error)?;
    c.is("EXISTS k", ":0")?;
    c.is("XADD k 0-1 f v", "0-1")?;
    c.err("XADD k 0-0 f v", error)
}

fn s174(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is(format!("XADD k 2577343934890-{MAX} f v"), format!("2577343934890-{MAX}"))?;
    c.is("XADD k * f2 v2", "2577343934891-0")?;
    c.is("XADD k * f3 v3", "2577343934891-1")?;
    let all = format!(
        "[[2577343934890-{MAX} [f v]] [2577343934891-0 [f2 v2]] [2577343934891-1 [f3 v3]]]"
    );
    c.is("XRANGE k - +", all)
}

fn s203(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is(format!("XADD k 1-{MAX} f1 v1"), format!("1-{MAX}"))?;
    c.err("XADD k 1-* f2 v2", SMALLER)?;
    c.err("XADD k 1 f2 v2", SMALLER)?;
    c.is("XRANGE k - +", format!("[[1-{MAX} [f1 v1]]]"))
}

fn is_help(env: &mut Env<'_>, command: &str, arity: &str) -> Outcome {
    let c = &mut env.c;
    c.err(format!("{command} HELP xxx"), arity)?;
    let lines = c.list(format!("{command} HELP"))?;
    let simple = |line: &crate::reply::Reply| matches!(line, crate::reply::Reply::Simple(_));
    ensure(lines.len() > 5 && lines.iter().all(simple), "not a list of simple strings")?;
    let all: Vec<String> = lines.iter().map(ToString::to_string).collect();
    ensure(all[0].contains(command), "the first line does not name the command")
}

fn s207(env: &mut Env<'_>) -> Outcome {
    is_help(env, "XGROUP", "ERR wrong number of arguments for 'xgroup|help' command")
}

fn s208(env: &mut Env<'_>) -> Outcome {
    add_numbered(&mut env.c, "k", 1)?;
    is_help(env, "XINFO", "ERR wrong number of arguments for 'xinfo|help' command")
}
