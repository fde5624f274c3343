//! XREAD, and how a read waits.

use super::args::{Parsed, id, is_sign, refused};
use super::prelude::*;
use super::read_words::ReadWords;
use super::reply;
use crate::id::EntryId;
use crate::options::Start;
use crate::resp::out::Mark;
use crate::stream::Stream;
use std::ops::Bound;
use std::time::{Duration, Instant};

/// When a blocked call ends; the inner `None` is never. Set by its first execution.
pub(super) type Until = Option<Option<Instant>>;

/// Executes a whole command; `until` tells whether it is tried again.
pub(super) type Execute =
    fn(&mut Context<'_>, args: &[&[u8]], out: &mut Out, until: Until) -> Answer;

/// XREAD.
pub(crate) fn xread(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    execute(context, args, out, None)
}

fn execute(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out, until: Until) -> Answer {
    let words = read_words(context, args, false, until)?;
    let from = resolve(context, &words)?;
    if serve(&words, &from, out)? {
        return Ok(Done::Replied);
    }
    let Some(longest) = words.block.filter(|_| context.may_block) else {
        out.null_array();
        return Ok(Done::Replied);
    };
    let wanted = || {
        // What `$` stands for is found out once, or what comes meanwhile would be lost.
        let ids = args.len() - words.ids.len();
        let mut wanted: Vec<Vec<u8>> = args.iter().map(|word| word.to_vec()).collect();
        for (place, (_, after)) in wanted.iter_mut().skip(ids).zip(&from) {
            if let Some(after) = after.filter(|_| is_sign(place, b'$')) {
                *place = after.to_string().into_bytes();
            }
        }
        wanted
    };
    Ok(wait(wanted, &words, longest, until, None, execute))
}

pub(super) fn read_words<'a>(
    context: &Context<'_>,
    args: &'a [&'a [u8]],
    grouped: bool,
    until: Until,
) -> Parsed<ReadWords<'a>> {
    // A time that could be counted to at first is not looked at again.
    let now = if until.is_some() { 0 } else { context.now_ms() };
    ReadWords::read(args.get(1..).unwrap_or_default(), grouped, now)
}

/// A call that has found nothing. `wanted` are its words for the next time.
pub(super) fn wait(
    wanted: impl FnOnce() -> Vec<Vec<u8>>,
    words: &ReadWords<'_>,
    longest: u64,
    until: Until,
    again_at: Option<Instant>,
    execute: Execute,
) -> Done {
    let on_no_key = words.group.is_some();
    if let Some(until) = until {
        // Only the time counts: the server has the rest.
        let retry = Box::new(|_: &mut Context<'_>, _: &mut Out| Err(Refusal::SYNTAX));
        return Done::Blocked(Wait { keys: Vec::new(), until, again_at, on_no_key, retry });
    }
    let longest = (longest > 0).then(|| Duration::from_millis(longest));
    // An end that no clock will show is none.
    let until = longest.and_then(|longest| Instant::now().checked_add(longest));
    let wanted = wanted();
    let keys = words.keys.iter().map(|key| key.to_vec()).collect();
    let retry = Box::new(move |context: &mut Context<'_>, out: &mut Out| {
        let words: Vec<&[u8]> = wanted.iter().map(Vec::as_slice).collect();
        execute(context, &words, out, Some(until))
    });
    Done::Blocked(Wait { keys, until, again_at, on_no_key, retry })
}

/// The streams that there are, and the positions behind which they are read; no position for `+`
/// where nothing lives.
type From = Vec<(Option<Stream>, Option<EntryId>)>;

fn resolve(context: &mut Context<'_>, words: &ReadWords<'_>) -> Parsed<From> {
    let mut from = Vec::with_capacity(words.keys.len());
    for (key, word) in words.keys.iter().zip(words.ids) {
        let stream = context.stream(key)?;
        let after = if is_sign(word, b'$') {
            Some(stream.as_ref().map_or(Ok(EntryId::MIN), |stream| stream.resolve(Start::Last))?)
        } else if is_sign(word, b'+') {
            last_entry(stream.as_ref())?.and_then(EntryId::prev)
        } else if is_sign(word, b'>') {
            return refused(
                "ERR The > ID can be specified only when calling XREADGROUP using the GROUP \
                 <group> <consumer> option.",
            );
        } else {
            Some(id(word)?)
        };
        from.push((stream, after));
    }
    Ok(from)
}

fn last_entry(stream: Option<&Stream>) -> Parsed<Option<EntryId>> {
    let Some(stream) = stream else {
        return Ok(None);
    };
    let snapshot = stream.snapshot()?;
    let last = snapshot.range(..).next_back().transpose()?;
    Ok(last.map(|entry| entry.id()))
}

/// What is left of a call's limits over all of its streams.
struct Limits {
    count: u64,
    size: usize,
    given: u64,
    reply: Mark,
}

impl Limits {
    fn of(words: &ReadWords<'_>, out: &Out) -> Limits {
        let size = words.max_size.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        Limits {
            count: words.max_count.unwrap_or(u64::MAX),
            size: size.unwrap_or(usize::MAX),
            given: 0,
            reply: out.mark(),
        }
    }

    /// How many entries the next stream may have.
    fn most(&self, count: Option<u64>) -> u64 {
        count.unwrap_or(u64::MAX).min(self.count.saturating_sub(self.given))
    }

    /// Whether no further entry and no further stream may be written.
    fn is_spent(&self, out: &Out) -> bool {
        out.is_over()
            || self.given >= self.count
            || (self.given > 0 && out.since(self.reply) >= self.size)
    }

    fn give(&mut self, entries: u64) {
        self.given += entries;
    }

    /// Ends a reply that holds so many streams.
    fn close(&self, out: &mut Out, streams: usize) {
        match out.proto() {
            3 => out.close_map(self.reply, streams),
            _ => out.close_array(self.reply, streams),
        }
    }
}

/// What stands in front of a stream's entries.
pub(super) fn head(out: &mut Out, key: &[u8]) {
    if out.proto() == 2 {
        out.array(2);
    }
    out.bulk(key);
}

/// Writes what there is; `false` if that is nothing.
fn serve(words: &ReadWords<'_>, from: &From, out: &mut Out) -> Parsed<bool> {
    let mut limits = Limits::of(words, out);
    let mut streams = 0;
    for (key, place) in words.keys.iter().zip(from) {
        let (Some(stream), Some(after)) = place else {
            continue;
        };
        if limits.is_spent(out) {
            break;
        }
        let most = limits.most(words.count);
        let snapshot = stream.snapshot()?;
        let mut entries = snapshot.range((Bound::Excluded(*after), Bound::Unbounded));
        let Some(first) = entries.next().transpose()? else {
            continue;
        };
        head(out, key);
        let list = out.open_array();
        let mut written = 1;
        reply::entry(out, first);
        limits.give(1);
        while written < most && !limits.is_spent(out) {
            let Some(entry) = entries.next().transpose()? else {
                break;
            };
            reply::entry(out, entry);
            written += 1;
            limits.give(1);
        }
        out.close_array(list, usize::try_from(written).unwrap_or(usize::MAX));
        streams += 1;
    }
    if streams > 0 {
        limits.close(out, streams);
    }
    Ok(streams > 0)
}
