//! XCLAIM and XAUTOCLAIM.

use super::args::{Parsed, at_least_zero, id, int_or, is, range_start, refused, strict_id};
use super::prelude::*;
use super::reply;
use crate::consumer::{Consumer, Delivery};
use crate::id::EntryId;
use crate::options::ClaimOptions;
use std::time::Duration;

/// The options of XCLAIM.
#[derive(Debug, Default)]
struct ClaimWords {
    ids: Vec<EntryId>,
    /// When the entries count as delivered, in milliseconds since 1970; what lies before that or
    /// in the future is now.
    time: Option<i64>,
    retry_count: Option<u64>,
    force: bool,
    just_id: bool,
    last_id: Option<EntryId>,
}

impl ClaimWords {
    fn read(words: &[&[u8]], now_ms: u64) -> Parsed<ClaimWords> {
        let mut read = ClaimWords::default();
        let mut left = words;
        while let [word, rest @ ..] = left
            && let Some(id) = strict_id(word, 0)
        {
            read.ids.push(id);
            left = rest;
        }
        while !left.is_empty() {
            left = read.option(left, now_ms)?;
        }
        Ok(read)
    }

    fn option<'a>(&mut self, words: &'a [&'a [u8]], now_ms: u64) -> Parsed<&'a [&'a [u8]]> {
        match words {
            [word, rest @ ..] if is(word, "FORCE") => {
                self.force = true;
                Ok(rest)
            }
            [word, rest @ ..] if is(word, "JUSTID") => {
                self.just_id = true;
                Ok(rest)
            }
            [word, value, rest @ ..] if is(word, "IDLE") => {
                let idle = int_or(value, "ERR Invalid IDLE option argument for XCLAIM")?;
                self.time = i64::try_from(now_ms).ok().and_then(|now| now.checked_sub(idle));
                Ok(rest)
            }
            [word, value, rest @ ..] if is(word, "TIME") => {
                self.time = Some(int_or(value, "ERR Invalid TIME option argument for XCLAIM")?);
                Ok(rest)
            }
            [word, value, rest @ ..] if is(word, "RETRYCOUNT") => {
                let text = "ERR Invalid RETRYCOUNT option argument for XCLAIM";
                self.retry_count = u64::try_from(int_or(value, text)?).ok();
                Ok(rest)
            }
            [word, value, rest @ ..] if is(word, "LASTID") => {
                self.last_id = Some(id(value)?);
                Ok(rest)
            }
            [word, ..] => Err(Refusal::new(format!(
                "ERR Unrecognized XCLAIM option '{}'",
                crate::resp::refusal::shown(word)
            ))),
            [] => Ok(words),
        }
    }

    fn options(&self, min_idle: Duration) -> ClaimOptions {
        let mut options = ClaimOptions::new(min_idle);
        if let Some(time) = self.time.and_then(|time| u64::try_from(time).ok()) {
            options = options.time_ms(time);
        }
        if let Some(count) = self.retry_count {
            options = options.retry_count(count);
        }
        if let Some(id) = self.last_id {
            options = options.last_id(id);
        }
        if self.force { options.force() } else { options }
    }
}

fn min_idle(word: &[u8], text: &'static str) -> Parsed<Duration> {
    Ok(Duration::from_millis(at_least_zero(int_or(word, text)?)))
}

fn consumer_of(
    context: &mut Context<'_>,
    key: &[u8],
    group: &[u8],
    name: &[u8],
) -> Parsed<Consumer> {
    let stream = context.stream(key)?;
    let found = stream.map(|stream| stream.get_group(group)).transpose()?.flatten();
    match found {
        Some(found) => Ok(found.consumer(name)?),
        None => Err(Refusal::no_group(key, group)),
    }
}

fn entries(out: &mut Out, claimed: &Delivery) {
    out.array(claimed.len());
    for entry in claimed {
        reply::entry(out, entry);
    }
}

/// XCLAIM.
pub(crate) fn xclaim(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, key, group, name, idle, words @ ..] = args else {
        return Err(Refusal::arity("xclaim"));
    };
    let consumer = consumer_of(context, key, group, name)?;
    let min_idle = min_idle(idle, "ERR Invalid min-idle-time argument for XCLAIM")?;
    let words = ClaimWords::read(words, context.now_ms())?;
    let options = words.options(min_idle);
    let made = consumer.is_new()?;
    let raises = match words.last_id {
        Some(id) => id > consumer.group().info()?.last_delivered_id,
        None => false,
    };
    let (claimed, gone) = consumer.claim_and_count(&words.ids, &options, words.just_id)?;
    if words.just_id {
        reply::ids(out, &claimed.ids().collect::<Vec<_>>());
    } else {
        entries(out, &claimed);
    }
    // What is claimed tells of the new position, too; without that it is a change of its own.
    let changes = (claimed.len() as u64 + gone).max(u64::from(raises));
    context.group_changed(key, changes + u64::from(made));
    Ok(Done::Replied)
}

const NO_COUNT: &str = "ERR COUNT must be > 0";

/// The options of XAUTOCLAIM: COUNT and JUSTID.
fn auto_options(words: &[&[u8]]) -> Parsed<(usize, bool)> {
    let (mut count, mut just_id) = (100, false);
    let mut left = words;
    while !left.is_empty() {
        match left {
            [word, value, rest @ ..] if is(word, "COUNT") => {
                // So many IDs could Redis not even count the bytes of.
                count = match int_or(value, NO_COUNT)? {
                    value @ 1.. if value <= i64::MAX / 16 => value,
                    _ => return refused(NO_COUNT),
                };
                left = rest;
            }
            [word, rest @ ..] if is(word, "JUSTID") => {
                just_id = true;
                left = rest;
            }
            _ => return Err(Refusal::SYNTAX),
        }
    }
    Ok((usize::try_from(count).unwrap_or(usize::MAX), just_id))
}

/// XAUTOCLAIM.
pub(crate) fn xautoclaim(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, key, group, name, idle, start, words @ ..] = args else {
        return Err(Refusal::arity("xautoclaim"));
    };
    let min_idle = min_idle(idle, "ERR Invalid min-idle-time argument for XAUTOCLAIM")?;
    let start = range_start(start)?;
    let (count, just_id) = auto_options(words)?;
    let consumer = consumer_of(context, key, group, name)?;
    let made = consumer.is_new()?;
    out.array(3);
    let (claimed, deleted) = if just_id {
        let found = consumer.auto_claim_ids(start, min_idle, count)?;
        out.id(found.next.unwrap_or(EntryId::MIN));
        reply::ids(out, &found.ids);
        (found.ids.len(), found.deleted)
    } else {
        let found = consumer.auto_claim(start, min_idle, count)?;
        out.id(found.next.unwrap_or(EntryId::MIN));
        entries(out, &found.delivery);
        (found.delivery.len(), found.deleted)
    };
    reply::ids(out, &deleted);
    context.group_changed(key, (claimed + deleted.len()) as u64 + u64::from(made));
    Ok(Done::Replied)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Parsed<ClaimWords> {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        ClaimWords::read(&words, 1000)
    }

    #[test]
    fn ids_come_first_and_then_options() {
        let words = read("1-1 2 TIME 5 IDLE 10 RETRYCOUNT -1 FORCE JUSTID LASTID 7").unwrap();
        assert_eq!(words.ids, [EntryId::new(1, 1), EntryId::new(2, 0)]);
        assert_eq!((words.time, words.retry_count), (Some(990), None));
        assert!(words.force && words.just_id);
        assert_eq!(words.last_id, Some(EntryId::new(7, 0)));
    }

    #[test]
    fn a_malformed_id_is_an_unknown_option() {
        let text = |line| read(line).unwrap_err().0;
        assert_eq!(text("1-1 1-x"), "ERR Unrecognized XCLAIM option '1-x'");
        assert_eq!(text("1-1 FORCE 2-1"), "ERR Unrecognized XCLAIM option '2-1'");
        assert_eq!(text("1-1 IDLE"), "ERR Unrecognized XCLAIM option 'IDLE'");
        assert_eq!(text("1-1 IDLE x"), "ERR Invalid IDLE option argument for XCLAIM");
        assert_eq!(text("1-1 TIME x"), "ERR Invalid TIME option argument for XCLAIM");
        assert_eq!(text("1-1 RETRYCOUNT x"), "ERR Invalid RETRYCOUNT option argument for XCLAIM");
        assert_eq!(text("1-1 LASTID +"), Refusal::INVALID_ID.0);
    }

    #[test]
    fn the_count_of_an_auto_claim_has_limits() {
        assert_eq!(auto_options(&[]).unwrap(), (100, false));
        assert_eq!(auto_options(&[b"justid", b"COUNT", b"5"]).unwrap(), (5, true));
        let most = (i64::MAX / 16).to_string();
        assert!(auto_options(&[b"COUNT", most.as_bytes()]).is_ok());
        let more = (i64::MAX / 16 + 1).to_string();
        for bad in ["0", "-1", "x", &more] {
            assert_eq!(auto_options(&[b"COUNT", bad.as_bytes()]).unwrap_err().0, NO_COUNT);
        }
        assert_eq!(auto_options(&[b"COUNT"]).unwrap_err(), Refusal::SYNTAX);
    }
}
