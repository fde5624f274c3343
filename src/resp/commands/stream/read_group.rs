//! XREADGROUP.

use super::args::{Parsed, id, is_sign, refused};
use super::prelude::*;
use super::read::{Limits, Until, head, read_words, wait};
use super::read_words::ReadWords;
use super::reply;
use crate::consumer::{Consumer, Delivery};
use crate::id::EntryId;
use crate::options::{GroupReadOptions, ReadFrom};

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
    Ok(wait(wanted, &words, longest, until, None, execute))
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

/// Gives out what there is; `false` if that is nothing.
fn serve(
    context: &mut Context<'_>,
    words: &ReadWords<'_>,
    from: &From,
    out: &mut Out,
) -> Parsed<bool> {
    let mut limits = Limits::of(words, out);
    let mut streams = 0;
    let mut delivered = false;
    for (key, (consumer, what)) in words.keys.iter().zip(from) {
        if limits.is_spent(out) {
            break;
        }
        let most = limits.most(words.count);
        let is_new = consumer.is_new()?;
        let given = match what {
            ReadFrom::New => read_new(consumer, words, most),
            ReadFrom::History(after) => {
                let most = usize::try_from(most).unwrap_or(usize::MAX);
                consumer.history(*after, if most == usize::MAX { 0 } else { most })
            }
        };
        let given = match given {
            // What was delivered is in the journal: nobody else would get it.
            Err(_) if delivered => break,
            given => given?,
        };
        let history = *what != ReadFrom::New;
        let grown = !history && !given.is_empty();
        if is_new || grown {
            context.changed_quietly(key, u64::from(is_new) + u64::from(grown));
        }
        delivered |= grown;
        if history || grown {
            head(out, key);
            limits.give(write(out, &given));
            streams += 1;
        }
    }
    if streams > 0 {
        limits.close(out, streams);
    }
    Ok(streams > 0)
}

fn read_new(consumer: &Consumer, words: &ReadWords<'_>, most: u64) -> crate::Result<Delivery> {
    let mut options = GroupReadOptions::new();
    if most < u64::MAX {
        options = options.count(usize::try_from(most).unwrap_or(usize::MAX));
    }
    if words.no_ack {
        options = options.no_ack();
    }
    consumer.read(options)
}

/// Writes the entries, and in a history the IDs of those that are gone, all in order.
fn write(out: &mut Out, given: &Delivery) -> u64 {
    let count = given.len() + given.missing().len();
    out.array(count);
    let mut missing = given.missing().iter().copied().peekable();
    for entry in given {
        while let Some(id) = missing.next_if(|id| *id < entry.id()) {
            reply::gone(out, id);
        }
        reply::entry(out, entry);
    }
    missing.for_each(|id| reply::gone(out, id));
    count as u64
}
