//! XNACK: deliveries given back to their group.

use super::args::{Parsed, ids, int, is, refused, strict_int};
use super::prelude::*;
use crate::options::{NackMode, NackOptions};
use crate::resp::refusal::shown;

const NO_NUMBER: &str = "ERR numids must be a positive integer";
const MISMATCH: &str = "ERR number of IDs doesn't match numids";
const NEGATIVE: &str = "ERR Invalid RETRYCOUNT value, must be >= 0";
const NO_IDS: &str = "ERR syntax error, expected IDS keyword";

fn mode(word: &[u8]) -> Parsed<NackMode> {
    let modes =
        [("SILENT", NackMode::Silent), ("FAIL", NackMode::Fail), ("FATAL", NackMode::Fatal)];
    let found = modes.into_iter().find(|(name, _)| is(word, name)).map(|(_, mode)| mode);
    found.ok_or(Refusal::of("ERR mode must be SILENT, FAIL, or FATAL"))
}

/// The words behind the mode: the IDs, not read yet, and the options.
fn options<'a>(words: &'a [&'a [u8]]) -> Parsed<(&'a [&'a [u8]], NackOptions)> {
    let (mut block, mut options) = (None, NackOptions::new());
    let mut left = words;
    while !left.is_empty() {
        match left {
            [word, number, rest @ ..] if is(word, "IDS") => {
                let number = strict_int(number).filter(|number| *number <= i64::from(i32::MAX));
                let number = number.and_then(|number| usize::try_from(number).ok());
                let Some(number) = number.filter(|number| *number > 0) else {
                    return refused(NO_NUMBER);
                };
                let Some((ids, rest)) = rest.split_at_checked(number) else {
                    return refused(MISMATCH);
                };
                block = Some(ids);
                left = rest;
            }
            [word, value, rest @ ..] if is(word, "RETRYCOUNT") => {
                let Ok(count) = u64::try_from(int(value)?) else {
                    return refused(NEGATIVE);
                };
                options = options.retry_count(count);
                left = rest;
            }
            [word, rest @ ..] if is(word, "FORCE") => {
                options = options.force();
                left = rest;
            }
            [word, ..] => {
                let text = format!("ERR Unrecognized XNACK option '{}'", shown(word));
                return Err(Refusal::new(text));
            }
            [] => break,
        }
    }
    match block {
        Some(ids) => Ok((ids, options)),
        None => refused(NO_IDS),
    }
}

/// XNACK.
pub(crate) fn xnack(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, key, group, word, words @ ..] = args else {
        return Err(Refusal::arity("xnack"));
    };
    let stream = context.stream(key)?;
    let found = stream.map(|stream| stream.get_group(group)).transpose()?.flatten();
    let Some(found) = found else {
        return Err(Refusal::no_group(key, group));
    };
    let mode = mode(word)?;
    let (words, options) = options(words)?;
    let released = found.nack_with(ids(words)?, mode, options)?;
    if released > 0 {
        // Those who wait with CLAIM may have them at once.
        context.group_changed(key, released);
        context.ready(key);
    }
    out.count(released);
    Ok(Done::Replied)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &str) -> String {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        options(&words).map_or_else(|refusal| refusal.0.into_owned(), |_| "fine".into())
    }

    #[test]
    fn options_stand_around_the_ids() {
        assert_eq!(text("FORCE IDS 2 1 2 RETRYCOUNT 3"), "fine");
        let words: [&[u8]; 5] = [b"retrycount", b"3", b"ids", b"1", b"1-1"];
        let (ids, options) = options(&words).unwrap();
        assert_eq!((ids, options), (&words[4..], NackOptions::new().retry_count(3)));
    }

    #[test]
    fn each_error_has_its_text() {
        for number in ["0", "-1", "x", "2147483648"] {
            assert_eq!(text(&format!("IDS {number} 1")), NO_NUMBER);
        }
        assert_eq!(text("IDS 3 1 2"), MISMATCH);
        assert_eq!(text("IDS 1 1 2-2"), "ERR Unrecognized XNACK option '2-2'");
        assert_eq!(text("FAIL IDS 1 1"), "ERR Unrecognized XNACK option 'FAIL'");
        assert_eq!(text("IDS"), "ERR Unrecognized XNACK option 'IDS'");
        assert_eq!(text("IDS 1 1 RETRYCOUNT"), "ERR Unrecognized XNACK option 'RETRYCOUNT'");
        assert_eq!(text("IDS 1 1 RETRYCOUNT x"), Refusal::NOT_AN_INTEGER.0);
        assert_eq!(text("IDS 1 1 RETRYCOUNT -1"), NEGATIVE);
        assert_eq!(text("FORCE"), NO_IDS);
        assert_eq!(mode(b"x").unwrap_err().0, "ERR mode must be SILENT, FAIL, or FATAL");
    }
}
