//! XACK and its kin: answers to deliveries.

use super::args::ids;
use super::prelude::*;

/// XACK.
pub(crate) fn xack(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, key, group, words @ ..] = args else {
        return Err(Refusal::arity("xack"));
    };
    let stream = context.stream(key)?;
    let Some(group) = stream.map(|stream| stream.get_group(group)).transpose()?.flatten() else {
        out.int(0);
        return Ok(Done::Replied);
    };
    let acked = group.ack(ids(words)?)?;
    if acked > 0 {
        context.changed_quietly(key, acked);
    }
    out.count(acked);
    Ok(Done::Replied)
}
