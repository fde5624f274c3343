//! XADD: arguments and IDs.

use crate::client::Outcome;
use crate::env::Env;
use crate::registry::Numbered;

pub(crate) const TESTS: &[Numbered] = &[
    Numbered::new("s1", "XADD with too few or an odd number of words", s1),
    Numbered::new("s6", "ms-* continues the sequence of the last ID", s6),
];

fn s1(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    let arity = "ERR wrong number of arguments for 'xadd' command";
    for command in ["XADD", "XADD k", "XADD k *", "XADD k * f", "XADD k * f v f2"] {
        c.err(command, arity)?;
    }
    c.is("EXISTS k", ":0")
}

fn s6(env: &mut Env<'_>) -> Outcome {
    let c = &mut env.c;
    c.is("XADD k 123-456 f v", "123-456")?;
    c.is("XADD k 123-* f v", "123-457")?;
    c.is("XRANGE k - +", "[[123-456 [f v]] [123-457 [f v]]]")
}
