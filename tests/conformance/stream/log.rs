//! What the log gives back after trimming: exactly what was there, however large nodes are then.

use super::{add_numbered, holds};
use crate::client::Outcome;
use crate::env::Env;
use crate::registry::Numbered;

pub(crate) const TESTS: &[Numbered] = &[
    Numbered::new("s183", "XADD MAXLEN that trims nothing, from the log", s183),
    Numbered::new("s184", "XADD MINID behind the last ID, from the log", s184),
    Numbered::new("s185", "XADD MAXLEN ~, from the log", s185),
    Numbered::new("s186", "XADD MAXLEN ~ LIMIT, from the log", s186),
    Numbered::new("s187", "XADD MINID ~, from the log", s187),
    Numbered::new("s188", "XADD MINID ~ LIMIT, from the log", s188),
    Numbered::new("s189", "XTRIM MAXLEN ~, from the log", s189),
];

/// A hundred entries in nodes of this size, then the command, then the log with nodes of one
/// entry: these are left, before and after.
fn case(
    env: &mut Env<'_>,
    node: u32,
    command: &str,
    reply: &str,
    left: std::ops::RangeInclusive<u64>,
) -> Outcome {
    env.c.ok(format!("CONFIG SET stream-node-max-entries {node}"))?;
    add_numbered(&mut env.c, "k", 100)?;
    env.c.is(command, reply)?;
    holds(&mut env.c, "k", left.clone())?;
    env.c.ok("CONFIG SET stream-node-max-entries 1")?;
    env.load_log()?;
    holds(&mut env.c, "k", left.clone())?;
    env.c.at("XINFO STREAM k", "length", format!(":{}", left.count()))
}

fn s183(env: &mut Env<'_>) -> Outcome {
    case(env, 100, "XADD k MAXLEN 200 101-0 f 101", "101-0", 1..=101)
}

fn s184(env: &mut Env<'_>) -> Outcome {
    case(env, 100, "XADD k MINID 1 101-0 f 101", "101-0", 1..=101)?;
    // Behind the last ID, and not behind the one that it adds.
    env.c.is("XADD k MINID 102 200-0 f 200", "200-0")?;
    holds(&mut env.c, "k", [200])?;
    // Behind both: nothing is left.
    env.c.is("XADD k MINID 1000 300-0 f 300", "300-0")?;
    holds(&mut env.c, "k", [])?;
    env.load_log()?;
    holds(&mut env.c, "k", [])?;
    env.c.fields("XINFO STREAM k", &[("last-generated-id", "300-0"), ("entries-added", ":103")])
}

fn s185(env: &mut Env<'_>) -> Outcome {
    case(env, 100, "XADD k MAXLEN ~ 100 101-0 f 101", "101-0", 1..=101)
}

fn s186(env: &mut Env<'_>) -> Outcome {
    case(env, 10, "XADD k MAXLEN ~ 55 LIMIT 30 101-0 f 101", "101-0", 31..=101)
}

fn s187(env: &mut Env<'_>) -> Outcome {
    case(env, 100, "XADD k MINID ~ 100 101-0 f 101", "101-0", 1..=101)
}

fn s188(env: &mut Env<'_>) -> Outcome {
    case(env, 10, "XADD k MINID ~ 55 LIMIT 30 101-0 f 101", "101-0", 31..=101)
}

fn s189(env: &mut Env<'_>) -> Outcome {
    case(env, 10, "XTRIM k MAXLEN ~ 85", ":10", 11..=100)
}
