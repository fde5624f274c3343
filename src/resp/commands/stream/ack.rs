//! XACK and its kin: answers to deliveries.

use super::args::strict_id;
use super::policy::{IdsWords, deletions};
use super::prelude::*;
use crate::options::Deletion;

/// XACK.
pub(crate) fn xack(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, key, group, words @ ..] = args else {
        return Err(Refusal::arity("xack"));
    };
    let Some(stream) = context.stream(key)? else {
        out.int(0);
        return Ok(Done::Replied);
    };
    let mut all = words.iter().map(|word| strict_id(word, 0));
    if all.any(|id| id.is_none()) {
        // Without a group nobody looks at the IDs.
        return match stream.get_group(group)? {
            Some(_) => Err(Refusal::INVALID_ID),
            None => {
                out.int(0);
                Ok(Done::Replied)
            }
        };
    }
    let ids = words.iter().filter_map(|word| strict_id(word, 0));
    let acked = stream.ack(group, ids)?.unwrap_or(0);
    if acked > 0 {
        context.group_changed(key, acked);
    }
    out.count(acked);
    Ok(Done::Replied)
}

/// XACKDEL.
pub(crate) fn xackdel(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, key, group, words @ ..] = args else {
        return Err(Refusal::arity("xackdel"));
    };
    let words = IdsWords::read(words)?;
    let stream = context.stream(key)?;
    let Some(group) = stream.map(|stream| stream.get_group(group)).transpose()?.flatten() else {
        words.none(out);
        return Ok(Done::Replied);
    };
    let told = group.ack_delete(words.ids()?, words.policy)?;
    let acked = told.iter().filter(|one| **one != Deletion::NotFound).count() as u64;
    if told.contains(&Deletion::Deleted) {
        context.changed_quietly(key, acked);
    } else if acked > 0 {
        context.group_changed(key, acked);
    }
    deletions(out, &told);
    Ok(Done::Replied)
}
