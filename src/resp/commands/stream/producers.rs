//! XCFGSET and XIDMPRECORD: what a stream remembers of its producers.

use super::args::{Parsed, id, int, is, refused};
use super::prelude::*;
use std::time::Duration;

const DURATION_TWICE: &str = "ERR IDMP-DURATION specified multiple times";
const SIZE_TWICE: &str = "ERR IDMP-MAXSIZE specified multiple times";
const BAD_DURATION: &str = "ERR IDMP-DURATION must be between 1 and 86400 seconds";
const BAD_SIZE: &str = "ERR IDMP-MAXSIZE must be between 1 and 10000 entries";
const NOTHING: &str = "ERR At least one parameter must be specified";

/// The words of XCFGSET behind the key.
fn read(words: &[&[u8]]) -> Parsed<(Option<Duration>, Option<u32>)> {
    let (mut duration, mut size) = (None, None);
    let mut left = words;
    while !left.is_empty() {
        match left {
            [word, value, rest @ ..] if is(word, "IDMP-DURATION") => {
                if duration.is_some() {
                    return refused(DURATION_TWICE);
                }
                duration = match u64::try_from(int(value)?) {
                    Ok(seconds @ 1..=86_400) => Some(Duration::from_secs(seconds)),
                    _ => return refused(BAD_DURATION),
                };
                left = rest;
            }
            [word, value, rest @ ..] if is(word, "IDMP-MAXSIZE") => {
                if size.is_some() {
                    return refused(SIZE_TWICE);
                }
                size = match u32::try_from(int(value)?) {
                    Ok(size @ 1..=10_000) => Some(size),
                    _ => return refused(BAD_SIZE),
                };
                left = rest;
            }
            _ => return Err(Refusal::SYNTAX),
        }
    }
    if duration.is_none() && size.is_none() {
        return refused(NOTHING);
    }
    Ok((duration, size))
}

/// XCFGSET.
pub(crate) fn xcfgset(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, key, words @ ..] = args else {
        return Err(Refusal::arity("xcfgset"));
    };
    let stream = context.stream(key)?.ok_or(Refusal::NO_SUCH_KEY)?;
    let (duration, size) = read(words)?;
    stream.set_idempotency(duration, size)?;
    context.changed_quietly(key, 1);
    out.ok();
    Ok(Done::Replied)
}

/// XIDMPRECORD.
pub(crate) fn xidmprecord(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, key, producer, iid, word] = args else {
        return Err(Refusal::arity("xidmprecord"));
    };
    let id = id(word)?;
    if producer.is_empty() {
        return refused("ERR producer ID must be non-empty");
    }
    if iid.is_empty() {
        return refused("ERR idempotent ID must be non-empty");
    }
    let stream = context.stream(key)?.ok_or(Refusal::NO_SUCH_KEY)?;
    stream.record_idempotency(producer, iid, id)?;
    context.changed_quietly(key, 1);
    out.ok();
    Ok(Done::Replied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_its_text() {
        let text = |line: &str| {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            read(&words).unwrap_err().0
        };
        assert_eq!(text("IDMP-DURATION 1 IDMP-DURATION x"), DURATION_TWICE);
        assert_eq!(text("IDMP-MAXSIZE 1 IDMP-MAXSIZE 2"), SIZE_TWICE);
        assert_eq!(text("IDMP-DURATION 0"), BAD_DURATION);
        assert_eq!(text("IDMP-DURATION 86401"), BAD_DURATION);
        assert_eq!(text("IDMP-MAXSIZE -1"), BAD_SIZE);
        assert_eq!(text("IDMP-MAXSIZE 10001"), BAD_SIZE);
        assert_eq!(text("IDMP-MAXSIZE 1.5"), Refusal::NOT_AN_INTEGER.0);
        assert_eq!(text("IDMP-MAXSIZE"), Refusal::SYNTAX.0);
        assert_eq!(text("MAXSIZE 1"), Refusal::SYNTAX.0);
        assert_eq!(read(&[]).unwrap_err().0, NOTHING);
    }

    #[test]
    fn both_come_in_any_order() {
        let words: [&[u8]; 4] = [b"idmp-maxsize", b"5", b"IDMP-DURATION", b"7"];
        assert_eq!(read(&words).unwrap(), (Some(Duration::from_secs(7)), Some(5)));
    }
}
