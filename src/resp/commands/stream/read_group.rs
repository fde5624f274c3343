//! XREADGROUP.

use super::args::{Parsed, id, is_sign, refused};
use super::prelude::*;
use super::read::{Until, head, read_words, wait};
use super::read_words::ReadWords;
use super::reply;
use crate::consumer::{Consumer, Delivery, read_now};
use crate::id::EntryId;
use crate::options::{GroupReadOptions, ReadFrom, ReplyFormat};
use crate::resp::keys;
use std::time::{Duration, Instant};

/// XREADGROUP.
pub(crate) fn xreadgroup(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    execute(context, args, out, None)
}

fn execute(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out, until: Until) -> Answer {
    let words = read_words(context, args, true, until)?;
    let from = resolve(context, &words)?;
    if serve(context, &words, &from, out)? {
        return Ok(Done::Replied);
    }
    let Some(longest) = words.block.filter(|_| context.may_block) else {
        out.null_array();
        return Ok(Done::Replied);
    };
    let wanted = || args.iter().map(|word| word.to_vec()).collect();
    let again_at = again_at(context, &words, &from)?;
    Ok(wait(wanted, &words, longest, until, again_at, execute))
}

type From = Vec<(Consumer, ReadFrom)>;

fn resolve(context: &mut Context<'_>, words: &ReadWords<'_>) -> Parsed<From> {
    let (group, consumer) = words.group.unwrap_or_default();
    let mut from = Vec::with_capacity(words.keys.len());
    for (key, word) in words.keys.iter().zip(words.ids) {
        let stream = context.stream(key)?;
        let found = stream.map(|stream| stream.get_group(group)).transpose()?.flatten();
        let Some(found) = found else {
            return Err(Refusal::no_group_to_read(key, group));
        };
        from.push((found.consumer(consumer)?, position(word)?));
    }
    Ok(from)
}

fn position(word: &[u8]) -> Parsed<ReadFrom> {
    if is_sign(word, b'>') {
        return Ok(ReadFrom::New);
    }
    if is_sign(word, b'$') {
        return refused(MEANINGLESS_END);
    }
    if is_sign(word, b'+') {
        return refused(MEANINGLESS_LAST);
    }
    Ok(match id(word)? {
        // Redis has no other way to note `>` itself.
        EntryId::MAX => ReadFrom::New,
        after => ReadFrom::History(after),
    })
}

const MEANINGLESS_END: &str = "ERR The $ ID is meaningless in the context of XREADGROUP: you want \
                              to read the history of this consumer by specifying a proper ID, or \
                              use the > ID to get new messages. The $ ID would just return an \
                              empty result set.";
const MEANINGLESS_LAST: &str = "ERR The + ID is meaningless in the context of XREADGROUP: you want \
                              to read the history of this consumer by specifying a proper ID, or \
                              use the > ID to get new messages. The + ID would just return an \
                              empty result set.";

fn options(words: &ReadWords<'_>, db: usize, out: &Out) -> GroupReadOptions {
    let limit = |limit: Option<u64>| {
        // 0 is none.
        limit.map_or(0, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
    };
    let format = if out.proto() == 3 { ReplyFormat::resp3() } else { ReplyFormat::resp2() };
    let format = format.name_prefix(keys::prefix_len(db));
    let mut options = GroupReadOptions::new()
        .count(limit(words.count))
        .max_count(limit(words.max_count))
        .max_size_in(limit(words.max_size), format);
    if let Some(idle) = words.claim {
        options = options.claim(Duration::from_millis(idle));
    }
    if words.no_ack { options.no_ack() } else { options }
}

/// Gives out what there is; `false` if that is nothing.
fn serve(
    context: &mut Context<'_>,
    words: &ReadWords<'_>,
    from: &From,
    out: &mut Out,
) -> Parsed<bool> {
    let options = options(words, context.db, out);
    // What nearly every call is: new entries of one stream.
    if let ([(consumer, ReadFrom::New)], [key]) = (from.as_slice(), words.keys) {
        let is_new = consumer.is_new()?;
        let given = consumer.read(options)?;
        let found = !given.is_empty();
        note(context, key, u64::from(is_new) + u64::from(found));
        if found {
            begin(out, 1);
            head(out, key);
            write(out, &given);
        }
        return Ok(found);
    }
    let from: Vec<(&Consumer, ReadFrom)> = from.iter().map(|(one, what)| (one, *what)).collect();
    let new = from.iter().map(|(consumer, _)| consumer.is_new());
    let new = new.collect::<crate::Result<Vec<bool>>>()?;
    let found = read_now(&from, options)?;
    let mut found_at = found.iter().peekable();
    for (n, key) in words.keys.iter().enumerate() {
        let given = found_at.next_if(|(at, _)| *at == n).map(|(_, given)| given);
        let is_new = new.get(n).copied().unwrap_or_default();
        let is_history = from.get(n).is_some_and(|(_, what)| *what != ReadFrom::New);
        note(context, key, u64::from(is_new) + u64::from(given.is_some() && !is_history));
        if is_history && given.is_some_and(|given| !given.is_empty()) {
            // Nothing that Redis would save; the entries count as delivered once more.
            context.group_changed(key, 0);
        }
    }
    if found.is_empty() {
        return Ok(false);
    }
    begin(out, found.len());
    for (n, given) in &found {
        head(out, words.keys.get(*n).copied().unwrap_or_default());
        write(out, given);
    }
    Ok(true)
}

/// So much has changed that would be saved.
fn note(context: &mut Context<'_>, key: &[u8], changes: u64) {
    if changes > 0 {
        context.group_changed(key, changes);
    }
}

/// A reply of so many streams begins.
fn begin(out: &mut Out, streams: usize) {
    match out.proto() {
        3 => out.map(streams),
        _ => out.array(streams),
    }
}

/// Writes the entries, and in a history the IDs of those that are gone, all in order.
fn write(out: &mut Out, given: &Delivery) {
    out.array(given.len() + given.missing().len());
    if let Some(claims) = given.claims() {
        let new = std::iter::repeat((0, 0));
        let claims = claims.iter().map(|one| (millis(one.idle), one.deliveries));
        for (entry, (idle, deliveries)) in given.into_iter().zip(claims.chain(new)) {
            out.array(4);
            reply::entry_parts(out, entry);
            out.count(idle);
            out.count(deliveries);
        }
        return;
    }
    let mut missing = given.missing().iter().copied().peekable();
    for entry in given {
        while let Some(id) = missing.next_if(|id| *id < entry.id()) {
            reply::gone(out, id);
        }
        reply::entry(out, entry);
    }
    missing.for_each(|id| reply::gone(out, id));
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// When a call that claims is to be tried again, though nothing has happened until then.
fn again_at(context: &Context<'_>, words: &ReadWords<'_>, from: &From) -> Parsed<Option<Instant>> {
    let Some(idle) = words.claim.map(Duration::from_millis) else {
        return Ok(None);
    };
    let mut first = u64::MAX;
    for (consumer, _) in from {
        first = first.min(consumer.group().claimable_at(idle)?);
    }
    // Strictly later, as in Redis.
    let wait = first.saturating_sub(context.now_ms()).saturating_add(1);
    Ok(Instant::now().checked_add(Duration::from_millis(wait)))
}
