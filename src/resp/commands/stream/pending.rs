//! XPENDING.

use super::args::{Parsed, at_least_zero, int, is, range_end, range_start};
use super::prelude::*;
use crate::consumer::Group;
use crate::id::EntryId;
use crate::options::PendingFilter;
use std::time::Duration;

/// XPENDING with a range.
struct RangeWords<'a> {
    first: EntryId,
    last: EntryId,
    count: u64,
    min_idle: u64,
    consumer: Option<&'a [u8]>,
}

impl<'a> RangeWords<'a> {
    /// The words behind key and group; `None` for the summary.
    fn read(words: &'a [&'a [u8]]) -> Parsed<Option<RangeWords<'a>>> {
        if !matches!(words.len(), 0 | 3..=6) {
            return Err(Refusal::SYNTAX);
        }
        let (min_idle, words) = match words {
            [] => return Ok(None),
            [word, idle, rest @ ..] if is(word, "IDLE") => {
                let min_idle = int(idle)?;
                if rest.len() < 3 {
                    return Err(Refusal::SYNTAX);
                }
                (at_least_zero(min_idle), rest)
            }
            words => (0, words),
        };
        let [start, end, count, rest @ ..] = words else {
            return Err(Refusal::SYNTAX);
        };
        let count = at_least_zero(int(count)?);
        let (first, last) = (range_start(start)?, range_end(end)?);
        let consumer = rest.first().copied();
        Ok(Some(RangeWords { first, last, count, min_idle, consumer }))
    }
}

/// XPENDING.
pub(crate) fn xpending(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, key, group, words @ ..] = args else {
        return Err(Refusal::arity("xpending"));
    };
    let words = RangeWords::read(words)?;
    let stream = context.stream(key)?;
    let found = stream.map(|stream| stream.get_group(group)).transpose()?.flatten();
    let Some(found) = found else {
        return Err(Refusal::no_group(key, group));
    };
    match words {
        Some(words) => range(&found, &words, out),
        None => summary(&found, out),
    }
}

fn summary(group: &Group, out: &mut Out) -> Answer {
    let summary = group.pending()?;
    out.array(4);
    out.count(summary.count);
    let (Some(first), Some(last)) = (summary.first, summary.last) else {
        out.null();
        out.null();
        out.null_array();
        return Ok(Done::Replied);
    };
    out.id(first);
    out.id(last);
    out.array(summary.consumers.len());
    for (name, count) in &summary.consumers {
        out.array(2);
        out.bulk(name);
        out.bulk(count.to_string().as_bytes());
    }
    Ok(Done::Replied)
}

fn range(group: &Group, words: &RangeWords<'_>, out: &mut Out) -> Answer {
    let count = usize::try_from(words.count).unwrap_or(usize::MAX);
    let mut filter =
        PendingFilter::new().count(count).min_idle(Duration::from_millis(words.min_idle));
    if let Some(consumer) = words.consumer {
        filter = filter.consumer(consumer);
    }
    let pending = group.pending_range(words.first..=words.last, filter)?;
    out.array(pending.len());
    for one in &pending {
        out.array(4);
        out.id(one.id);
        out.bulk(&one.consumer);
        match one.unowned {
            true => out.int(-1),
            false => out.count(u64::try_from(one.idle.as_millis()).unwrap_or(u64::MAX)),
        }
        out.count(one.deliveries);
    }
    Ok(Done::Replied)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(line: &str) -> Refusal {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        RangeWords::read(&words).map(drop).unwrap_err()
    }

    #[test]
    fn words_are_looked_at_in_redis_order() {
        assert!(RangeWords::read(&[]).unwrap().is_none());
        assert_eq!(refusal("-"), Refusal::SYNTAX);
        assert_eq!(refusal("- +"), Refusal::SYNTAX);
        assert_eq!(refusal("1 2 3 4 5 6 7"), Refusal::SYNTAX);
        assert_eq!(refusal("IDLE x - +"), Refusal::NOT_AN_INTEGER);
        assert_eq!(refusal("IDLE 1 - +"), Refusal::SYNTAX);
        assert_eq!(refusal("bad + x"), Refusal::NOT_AN_INTEGER);
        assert_eq!(refusal("bad + 5"), Refusal::INVALID_ID);
    }

    #[test]
    fn the_consumer_comes_last() {
        let words: [&[u8]; 6] = [b"idle", b"7", b"-", b"+", b"-1", b"me"];
        let read = RangeWords::read(&words).unwrap().unwrap();
        assert_eq!((read.min_idle, read.count, read.consumer), (7, 0, Some(&b"me"[..])));
        let words: [&[u8]; 5] = [b"-", b"+", b"1", b"me", b"more"];
        assert_eq!(RangeWords::read(&words).unwrap().unwrap().consumer, Some(&b"me"[..]));
    }
}
