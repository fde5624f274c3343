//! XDEL and its kin: entries that go one by one.

use super::args::ids;
use super::policy::{IdsWords, deletions};
use super::prelude::*;
use crate::options::{Deletion, RefPolicy};

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

/// XDELEX.
pub(crate) fn xdelex(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, key, words @ ..] = args else {
        return Err(Refusal::arity("xdelex"));
    };
    let words = IdsWords::read(words)?;
    let Some(stream) = context.stream(key)? else {
        words.none(out);
        return Ok(Done::Replied);
    };
    let ids = words.ids()?;
    // An entry that is gone may be pending: that it is so no longer is a change, too.
    let ghosts = match words.policy {
        RefPolicy::DelRef => stream.pending_ghosts(&ids)?,
        _ => 0,
    };
    let told = stream.delete_with(ids, words.policy)?;
    let deleted = told.iter().filter(|one| **one == Deletion::Deleted).count() as u64;
    if deleted > 0 {
        context.changed_quietly(key, deleted + ghosts);
    } else if ghosts > 0 {
        context.group_changed(key, ghosts);
    }
    deletions(out, &told);
    Ok(Done::Replied)
}
