//! The words of XREAD and XREADGROUP, which are the same but for a few.

use super::args::{Parsed, int, int_or, is, refused};
use super::prelude::*;

const TIMEOUT: &str = "ERR timeout is not an integer or out of range";
const MIN_IDLE: &str = "ERR min-idle-time is not an integer or out of range";

/// What the words ask for.
#[derive(Debug, Default)]
pub(super) struct ReadWords<'a> {
    /// Entries of each stream; `None` for all.
    pub(super) count: Option<u64>,
    /// Entries of all streams together.
    pub(super) max_count: Option<u64>,
    /// Bytes of the reply.
    pub(super) max_size: Option<u64>,
    /// Milliseconds; 0 for ever.
    pub(super) block: Option<u64>,
    pub(super) group: Option<(&'a [u8], &'a [u8])>,
    pub(super) no_ack: bool,
    /// Milliseconds.
    pub(super) claim: Option<u64>,
    pub(super) keys: &'a [&'a [u8]],
    pub(super) ids: &'a [&'a [u8]],
}

impl<'a> ReadWords<'a> {
    /// Reads the words behind the command's name.
    pub(super) fn read(words: &'a [&'a [u8]], grouped: bool, now_ms: u64) -> Parsed<Self> {
        let mut read = ReadWords::default();
        let mut left = words;
        let mut streams = None;
        while !left.is_empty() {
            match left {
                [word, rest @ ..] if is(word, "STREAMS") && !rest.is_empty() => {
                    streams = Some(rest);
                    break;
                }
                _ => left = read.option(left, grouped, now_ms)?,
            }
        }
        let Some(streams) = streams else {
            return Err(Refusal::SYNTAX);
        };
        if !streams.len().is_multiple_of(2) {
            return refused(if grouped { UNBALANCED_GROUP } else { UNBALANCED });
        }
        (read.keys, read.ids) = streams.split_at(streams.len() / 2);
        if grouped && read.group.is_none() {
            return refused("ERR Missing GROUP option for XREADGROUP");
        }
        if let (Some(most), Some(count)) = (read.max_count, read.count)
            && most < count
        {
            return refused("ERR MAXCOUNT must be greater than or equal to COUNT");
        }
        Ok(read)
    }

    /// Reads the option at the head of these words, and returns those behind it.
    fn option(
        &mut self,
        words: &'a [&'a [u8]],
        grouped: bool,
        now_ms: u64,
    ) -> Parsed<&'a [&'a [u8]]> {
        match words {
            [word, value, rest @ ..] if is(word, "BLOCK") => {
                self.block = Some(timeout(value, now_ms)?);
                Ok(rest)
            }
            [word, value, rest @ ..] if is(word, "COUNT") => {
                self.count = u64::try_from(int(value)?).ok().filter(|count| *count > 0);
                Ok(rest)
            }
            [word, value, rest @ ..] if is(word, "MAXCOUNT") => {
                self.max_count = Some(positive(value, "ERR MAXCOUNT must be a positive integer")?);
                Ok(rest)
            }
            [word, value, rest @ ..] if is(word, "MAXSIZE") => {
                self.max_size = Some(positive(value, "ERR MAXSIZE must be a positive integer")?);
                Ok(rest)
            }
            [word, group, consumer, rest @ ..] if is(word, "GROUP") => {
                for_groups(grouped, GROUP_ONLY)?;
                self.group = Some((group, consumer));
                Ok(rest)
            }
            [word, rest @ ..] if is(word, "NOACK") => {
                for_groups(grouped, NOACK_ONLY)?;
                self.no_ack = true;
                Ok(rest)
            }
            [word, value, rest @ ..] if is(word, "CLAIM") => {
                for_groups(grouped, CLAIM_ONLY)?;
                let Ok(idle) = u64::try_from(int_or(value, MIN_IDLE)?) else {
                    return refused("ERR min-idle-time must be a positive integer");
                };
                self.claim = Some(idle);
                Ok(rest)
            }
            _ => Err(Refusal::SYNTAX),
        }
    }
}

const UNBALANCED: &str = "ERR Unbalanced 'xread' list of streams: for each stream key an ID, '+', \
                          or '$' must be specified.";
const UNBALANCED_GROUP: &str = "ERR Unbalanced 'xreadgroup' list of streams: for each stream key \
                                an ID or '>' must be specified.";
const GROUP_ONLY: &str =
    "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.";
const NOACK_ONLY: &str =
    "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.";
const CLAIM_ONLY: &str =
    "ERR The CLAIM option is only supported by XREADGROUP. You called XREAD instead.";

fn for_groups(grouped: bool, text: &'static str) -> Parsed<()> {
    if grouped { Ok(()) } else { refused(text) }
}

fn positive(word: &[u8], text: &'static str) -> Parsed<u64> {
    match u64::try_from(int(word)?) {
        Ok(value) if value > 0 => Ok(value),
        _ => refused(text),
    }
}

/// Milliseconds; their end must be a time that Redis can count to.
fn timeout(word: &[u8], now_ms: u64) -> Parsed<u64> {
    let Ok(longest) = u64::try_from(int_or(word, TIMEOUT)?) else {
        return refused("ERR timeout is negative");
    };
    if longest > (i64::MAX as u64).saturating_sub(now_ms) {
        return refused("ERR timeout is out of range");
    }
    Ok(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &str, grouped: bool) -> String {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        ReadWords::read(&words, grouped, 1000).map_or_else(|e| e.0.into_owned(), |_| "fine".into())
    }

    #[test]
    fn options_come_in_any_order_and_the_last_one_wins() {
        let line = "CLAIM 9 COUNT 5 NOACK GROUP g c BLOCK 7 COUNT 0 STREAMS a b > 0";
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let read = ReadWords::read(&words, true, 0).unwrap();
        assert_eq!((read.count, read.block, read.claim), (None, Some(7), Some(9)));
        assert_eq!(read.group, Some((&b"g"[..], &b"c"[..])));
        assert!(read.no_ack);
        assert_eq!((read.keys, read.ids), (&words[13..15], &words[15..]));
    }

    #[test]
    fn each_error_of_xread_has_its_text() {
        let of = |line| text(line, false);
        assert_eq!(of("GROUP g c STREAMS k >"), GROUP_ONLY);
        assert_eq!(of("NOACK STREAMS k >"), NOACK_ONLY);
        assert_eq!(of("CLAIM 10 STREAMS k 0"), CLAIM_ONLY);
        assert_eq!(of("BLOCK STREAMS k >"), TIMEOUT);
        assert_eq!(of("BLOCK -1 STREAMS k 0"), "ERR timeout is negative");
        assert_eq!(of("BLOCK 9223372036854775807 STREAMS k 0"), "ERR timeout is out of range");
        assert_eq!(of("COUNT x STREAMS k 0"), Refusal::NOT_AN_INTEGER.0);
        assert_eq!(of("MAXCOUNT 0 STREAMS k 0"), "ERR MAXCOUNT must be a positive integer");
        assert_eq!(of("MAXSIZE -1 STREAMS k 0"), "ERR MAXSIZE must be a positive integer");
        assert_eq!(of("STREAMS a b 0"), UNBALANCED);
        assert_eq!(of("STREAMS"), Refusal::SYNTAX.0);
        assert_eq!(of("COUNT 5"), Refusal::SYNTAX.0);
        assert_eq!(
            of("COUNT 5 MAXCOUNT 4 STREAMS k 0"),
            "ERR MAXCOUNT must be greater than or equal to COUNT"
        );
        assert_eq!(of("COUNT 0 MAXCOUNT 4 STREAMS k 0"), "fine");
    }

    #[test]
    fn each_error_of_xreadgroup_has_its_text() {
        let of = |line| text(line, true);
        assert_eq!(of("GROUPS g c STREAMS k >"), Refusal::SYNTAX.0);
        assert_eq!(of("GROUP g c STREAM k >"), Refusal::SYNTAX.0);
        assert_eq!(of("GROUP g CLAIM 50 c STREAMS k >"), Refusal::SYNTAX.0);
        assert_eq!(of("GROUP g c STREAMS k CLAIM >"), UNBALANCED_GROUP);
        assert_eq!(of("GROUP g c CLAIM STREAMS k >"), MIN_IDLE);
        assert_eq!(of("GROUP g c CLAIM 10 CLAIM COUNT 3 STREAMS k >"), MIN_IDLE);
        assert_eq!(
            of("GROUP g c CLAIM -10 STREAMS k >"),
            "ERR min-idle-time must be a positive integer"
        );
        assert_eq!(of("COUNT 1 STREAMS k >"), "ERR Missing GROUP option for XREADGROUP");
        assert_eq!(of("GROUP g c CLAIM 9223372036854775807 STREAMS k >"), "fine");
    }
}
