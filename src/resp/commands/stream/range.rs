//! XLEN, XRANGE and XREVRANGE.

use super::args::{Parsed, int, is, range_end, range_start};
use super::prelude::*;
use super::reply;
use crate::id::EntryId;

/// XLEN.
pub(crate) fn xlen(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, key] = args else {
        return Err(Refusal::arity("xlen"));
    };
    let stream = context.stream(key)?;
    out.count(stream.map_or(Ok(0), |stream| stream.len())?);
    Ok(Done::Replied)
}

/// XRANGE.
pub(crate) fn xrange(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, key, start, end, options @ ..] = args else {
        return Err(Refusal::arity("xrange"));
    };
    let bounds = (range_start(start)?, range_end(end)?);
    range(context, key, bounds, count(options)?, false, out)
}

/// XREVRANGE.
pub(crate) fn xrevrange(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, key, end, start, options @ ..] = args else {
        return Err(Refusal::arity("xrevrange"));
    };
    let bounds = (range_start(start)?, range_end(end)?);
    range(context, key, bounds, count(options)?, true, out)
}

/// At most so many; `None` for all.
fn count(options: &[&[u8]]) -> Parsed<Option<i64>> {
    let mut count = None;
    let mut left = options;
    while !left.is_empty() {
        match left {
            [word, value, rest @ ..] if is(word, "COUNT") => {
                count = Some(int(value)?.max(0));
                left = rest;
            }
            _ => return Err(Refusal::SYNTAX),
        }
    }
    Ok(count)
}

fn range(
    context: &mut Context<'_>,
    key: &[u8],
    (first, last): (EntryId, EntryId),
    count: Option<i64>,
    backward: bool,
    out: &mut Out,
) -> Answer {
    let Some(stream) = context.stream(key)? else {
        out.array(0);
        return Ok(Done::Replied);
    };
    if count == Some(0) {
        out.null_array();
        return Ok(Done::Replied);
    }
    let most = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX);
    let snapshot = stream.snapshot()?;
    // Bounds in the wrong order are an empty range.
    let mut entries = snapshot.range(first..=last);
    let list = out.open_array();
    let mut written = 0;
    while written < most && !out.is_over() {
        let next = if backward { entries.next_back() } else { entries.next() };
        let Some(entry) = next else { break };
        reply::entry(out, entry?);
        written += 1;
    }
    out.close_array(list, written);
    Ok(Done::Replied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_count_wins() {
        assert_eq!(count(&[]).unwrap(), None);
        assert_eq!(count(&[b"COUNT", b"5", b"count", b"-3"]).unwrap(), Some(0));
        assert_eq!(count(&[b"COUNT"]).unwrap_err(), Refusal::SYNTAX);
        assert_eq!(count(&[b"COUNT", b"x"]).unwrap_err(), Refusal::NOT_AN_INTEGER);
        assert_eq!(count(&[b"COUNT", b"1", b"x"]).unwrap_err(), Refusal::SYNTAX);
    }
}
