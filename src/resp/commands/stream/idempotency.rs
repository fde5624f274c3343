//! XCFGSET and XIDMPRECORD: what a stream remembers of idempotent producers.

use super::args::{Parsed, id, int, is, refused};
use super::prelude::*;
use crate::error::{Error, ErrorKind};
use std::time::Duration;

const DURATION: &str = "ERR IDMP-DURATION must be between 1 and 86400 seconds";
const MAXSIZE: &str = "ERR IDMP-MAXSIZE must be between 1 and 10000 entries";

/// The value of an option that must not have been given before.
fn once(
    before: Option<u32>,
    twice: &'static str,
    value: &[u8],
    most: u32,
    range: &'static str,
) -> Parsed<Option<u32>> {
    if before.is_some() {
        return refused(twice);
    }
    match u32::try_from(int(value)?) {
        Ok(value) if (1..=most).contains(&value) => Ok(Some(value)),
        _ => refused(range),
    }
}

/// The words behind the key: seconds, and how many iids.
fn window(words: &[&[u8]]) -> Parsed<(Option<u32>, Option<u32>)> {
    let (mut seconds, mut most) = (None, None);
    let mut left = words;
    while !left.is_empty() {
        left = match left {
            [word, value, rest @ ..] if is(word, "IDMP-DURATION") => {
                let twice = "ERR IDMP-DURATION specified multiple times";
                seconds = once(seconds, twice, value, 86_400, DURATION)?;
                rest
            }
            [word, value, rest @ ..] if is(word, "IDMP-MAXSIZE") => {
                let twice = "ERR IDMP-MAXSIZE specified multiple times";
                most = once(most, twice, value, 10_000, MAXSIZE)?;
                rest
            }
            _ => return Err(Refusal::SYNTAX),
        };
    }
    match (seconds, most) {
        (None, None) => refused("ERR At least one parameter must be specified"),
        both => Ok(both),
    }
}

/// XCFGSET.
pub(crate) fn xcfgset(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, key, words @ ..] = args else {
        return Err(Refusal::arity("xcfgset"));
    };
    let Some(stream) = context.stream(key)? else {
        return Err(Refusal::NO_SUCH_KEY);
    };
    let (seconds, most) = window(words)?;
    let duration = seconds.map(|seconds| Duration::from_secs(seconds.into()));
    stream.set_idempotency(duration, most)?;
    context.changed_quietly(key, 1);
    out.ok();
    Ok(Done::Replied)
}

fn refusal(error: Error) -> Refusal {
    match error.kind() {
        ErrorKind::NoEntry { .. } => Refusal::of("ERR No such message in stream"),
        ErrorKind::IidTaken { .. } => {
            Refusal::of("ERR IID already exists for this producer with a different stream ID")
        }
        _ => error.into(),
    }
}

/// XIDMPRECORD.
pub(crate) fn xidmprecord(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, key, producer, iid, entry] = args else {
        return Err(Refusal::arity("xidmprecord"));
    };
    let entry = id(entry)?;
    if producer.is_empty() {
        return refused("ERR producer ID must be non-empty");
    }
    if iid.is_empty() {
        return refused("ERR idempotent ID must be non-empty");
    }
    let Some(stream) = context.stream(key)? else {
        return Err(Refusal::NO_SUCH_KEY);
    };
    stream.record_idempotency(producer, iid, entry).map_err(refusal)?;
    context.changed_quietly(key, 1);
    out.ok();
    Ok(Done::Replied)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<(Option<u32>, Option<u32>), String> {
        let words: Vec<&[u8]> = line.split_whitespace().map(str::as_bytes).collect();
        window(&words).map_err(|refusal| refusal.0.into_owned())
    }

    #[test]
    fn the_words_of_xcfgset() {
        assert_eq!(of("IDMP-DURATION 5"), Ok((Some(5), None)));
        assert_eq!(of("idmp-maxsize 10000 IDMP-DURATION 86400"), Ok((Some(86_400), Some(10_000))));
        assert_eq!(of("IDMP-DURATION 86401"), Err(DURATION.into()));
        assert_eq!(of("IDMP-MAXSIZE 0"), Err(MAXSIZE.into()));
        assert_eq!(of("IDMP-MAXSIZE"), Err("ERR syntax error".into()));
        assert_eq!(of("IDMP-MAXSIZE 5 X 1"), Err("ERR syntax error".into()));
        assert!(of("IDMP-MAXSIZE 5 IDMP-MAXSIZE 5").is_err_and(|e| e.contains("multiple times")));
        assert!(of("").is_err_and(|e| e.contains("At least one")));
    }
}
