//! XDEL and its kin: entries that go one by one.

use super::args::ids;
use super::prelude::*;

/// XDEL.
pub(crate) fn xdel(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, key, words @ ..] = args else {
        return Err(Refusal::arity("xdel"));
    };
    let Some(stream) = context.stream(key)? else {
        out.int(0);
        return Ok(Done::Replied);
    };
    let deleted = stream.delete(ids(words)?)?;
    if deleted > 0 {
        context.changed_quietly(key, deleted);
    }
    out.count(deleted);
    Ok(Done::Replied)
}
