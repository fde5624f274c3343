//! What the words of stream commands mean: integers, entry IDs, bounds of ranges, and the texts
//! with which Redis refuses what is none.
//!
//! Pure functions on bytes. Redis reads some words as C strings; where that shows, so do these.

use crate::id::{EntryId, NewId};
use crate::resp::refusal::Refusal;

/// What a parser of words gives.
pub(super) type Parsed<T> = Result<T, Refusal>;

const INVALID_START: &str = "ERR invalid start ID for the interval";
const INVALID_END: &str = "ERR invalid end ID for the interval";

pub(super) fn refused<T>(text: &'static str) -> Parsed<T> {
    Err(Refusal::of(text))
}

/// The part of a word in front of its first NUL byte, which is where a C string ends.
fn c_text(word: &[u8]) -> &[u8] {
    word.split(|byte| *byte == 0).next().unwrap_or(word)
}

/// Whether a word is this keyword.
pub(super) fn is(word: &[u8], keyword: &str) -> bool {
    match word.split_at_checked(keyword.len()) {
        Some((head, [])) | Some((head, [0, ..])) => head.eq_ignore_ascii_case(keyword.as_bytes()),
        _ => false,
    }
}

/// An integer as Redis wants it written: no sign but a minus, no zero in front, 64 bits.
pub(super) fn strict_int(word: &[u8]) -> Option<i64> {
    let (negative, digits) = match word {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut value = 0u64;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        // Nineteen digits fit.
        value = value * 10 + u64::from(byte - b'0');
    }
    if negative { 0i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
}

pub(super) fn int(word: &[u8]) -> Parsed<i64> {
    strict_int(word).ok_or(Refusal::NOT_AN_INTEGER)
}

/// An integer, refused with a text of the option's own.
pub(super) fn int_or(word: &[u8], text: &'static str) -> Parsed<i64> {
    strict_int(word).ok_or(Refusal::of(text))
}

/// A number of entries or milliseconds of which the negative ones count as 0.
pub(super) fn at_least_zero(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// One of the two parts of an ID. What the strict parser refuses, Redis gives to C's `strtoull`.
fn id_part(text: &[u8]) -> Option<u64> {
    if let Some(value) = strict_int(text) {
        return u64::try_from(value).ok();
    }
    let blanks = |byte: &&u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let text = text.get(text.iter().take_while(blanks).count()..)?;
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let value = digits.iter().try_fold(0u64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })?;
    Some(if negative { value.wrapping_neg() } else { value })
}

/// The two parts of an ID's text; the second is missing in an incomplete one.
fn id_parts(word: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    if word.len() > 127 {
        return None;
    }
    let text = c_text(word);
    Some(match text.iter().position(|byte| *byte == b'-') {
        Some(at) => (text.get(..at)?, text.get(at + 1..)),
        None => (text, None),
    })
}

/// An ID where `-` and `+` mean nothing.
pub(super) fn strict_id(word: &[u8], missing_seq: u64) -> Option<EntryId> {
    let (ms, seq) = id_parts(word)?;
    let ms = id_part(ms)?;
    Some(EntryId::new(ms, seq.map_or(Some(missing_seq), id_part)?))
}

/// An ID in a place that knows no other meaning of a word: incomplete ones get a 0.
pub(super) fn id(word: &[u8]) -> Parsed<EntryId> {
    strict_id(word, 0).ok_or(Refusal::INVALID_ID)
}

/// All of these words as IDs, or the error of the first that is none.
pub(super) fn ids(words: &[&[u8]]) -> Parsed<Vec<EntryId>> {
    words.iter().map(|word| id(word)).collect()
}

/// An ID or one of the two ends, `-` and `+`.
pub(super) fn id_or_end(word: &[u8], missing_seq: u64) -> Parsed<EntryId> {
    match c_text(word) {
        b"-" if word.len() <= 127 => Ok(EntryId::MIN),
        b"+" if word.len() <= 127 => Ok(EntryId::MAX),
        _ => strict_id(word, missing_seq).ok_or(Refusal::INVALID_ID),
    }
}

/// Whether a word is one of the signs that stand for an ID: `$`, `>`, `*`, `+`.
pub(super) fn is_sign(word: &[u8], sign: u8) -> bool {
    c_text(word) == [sign]
}

/// The lower bound of a range: `(` leaves the ID itself out.
pub(super) fn range_start(word: &[u8]) -> Parsed<EntryId> {
    match word {
        [b'(', rest @ ..] if !rest.is_empty() => id(rest)?.next().ok_or(Refusal::of(INVALID_START)),
        _ => id_or_end(word, 0),
    }
}

/// The upper bound of a range.
pub(super) fn range_end(word: &[u8]) -> Parsed<EntryId> {
    match word {
        [b'(', rest @ ..] if !rest.is_empty() => {
            let end = strict_id(rest, u64::MAX).ok_or(Refusal::INVALID_ID)?;
            end.prev().ok_or(Refusal::of(INVALID_END))
        }
        _ => id_or_end(word, u64::MAX),
    }
}

/// The ID of a new entry: `*`, `ms-*` or an ID.
pub(super) fn new_id(word: &[u8]) -> Parsed<NewId> {
    if is_sign(word, b'*') {
        return Ok(NewId::Auto);
    }
    match id_parts(word) {
        Some((ms, Some(b"*"))) => match id_part(ms) {
            Some(ms) => Ok(NewId::AutoSeq(ms)),
            None => Err(Refusal::INVALID_ID),
        },
        _ => id(word).map(NewId::Exact),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_strictly() {
        let max = i64::MAX.to_string();
        let min = i64::MIN.to_string();
        for (text, value) in [
            ("0", Some(0)),
            ("5", Some(5)),
            ("-5", Some(-5)),
            (&max, Some(i64::MAX)),
            (&min, Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("18446744073709551615", None),
            ("", None),
            ("-", None),
            ("-0", None),
            ("+5", None),
            ("007", None),
            ("000", None),
            (" 5", None),
            ("5 ", None),
            ("1.5", None),
            ("5e1", None),
            ("5\0", None),
        ] {
            assert_eq!(strict_int(text.as_bytes()), value, "{text:?}");
        }
    }

    #[test]
    fn keywords_know_no_case_and_end_at_a_nul() {
        assert!(is(b"MaxLen", "MAXLEN"));
        assert!(is(b"maxlen\0rest", "MAXLEN"));
        assert!(!is(b"maxle", "MAXLEN"));
        assert!(!is(b"maxlens", "MAXLEN"));
    }

    #[test]
    fn ids_are_read_as_redis_reads_them() {
        let id = |text: &str| strict_id(text.as_bytes(), 9).map(|id| (id.ms, id.seq));
        assert_eq!(id("5"), Some((5, 9)));
        assert_eq!(id("5-3"), Some((5, 3)));
        assert_eq!(id("007-01"), Some((7, 1)));
        assert_eq!(id("+5- 7"), Some((5, 7)));
        assert_eq!(id("5- -5"), Some((5, 18446744073709551611)));
        assert_eq!(id("5--05"), Some((5, 18446744073709551611)));
        assert_eq!(id("5-6\0junk"), Some((5, 6)));
        let top = u64::MAX;
        assert_eq!(id(&format!("{top}-{top}")), Some((top, top)));
        for bad in [
            "",
            "-",
            "+",
            "--",
            "1-",
            "-1",
            "123-",
            "-123",
            "123-abc",
            "abc-def",
            "bad",
            "5--5",
            "5-18446744073709551616",
            "$",
            ">",
            "*",
            "5-*",
            "1-2-3",
            "5-6 ",
            "5- ",
        ] {
            assert_eq!(id(bad), None, "{bad:?}");
        }
        let long = format!("{:0>120}-{:0>7}", 1, 2);
        assert_eq!(long.len(), 128);
        assert_eq!(id(&long), None);
        assert_eq!(id(&long[1..]), Some((1, 2)));
    }

    #[test]
    fn bounds_are_completed_and_moved() {
        let start = |text: &str| range_start(text.as_bytes()).map(|id| id.to_string());
        let end = |text: &str| range_end(text.as_bytes()).map(|id| id.to_string());
        let top = u64::MAX;
        assert_eq!(start("-").unwrap(), "0-0");
        assert_eq!(start("5").unwrap(), "5-0");
        assert_eq!(start("(5").unwrap(), "5-1");
        assert_eq!(end("5").unwrap(), format!("5-{top}"));
        assert_eq!(end("(5").unwrap(), format!("5-{}", top - 1));
        assert_eq!(end("(5-0").unwrap(), format!("4-{top}"));
        assert_eq!(end("+").unwrap(), format!("{top}-{top}"));
        let text = |bound: Parsed<String>| bound.unwrap_err().0;
        let invalid = Refusal::INVALID_ID.0;
        assert_eq!(text(start("(")), invalid);
        assert_eq!(text(start("(-")), invalid);
        assert_eq!(text(end("(+")), invalid);
        assert_eq!(text(start(&format!("({top}-{top}"))), INVALID_START);
        assert_eq!(text(end("(0-0")), INVALID_END);
    }

    #[test]
    fn new_ids_are_read() {
        let of = |text: &str| new_id(text.as_bytes()).ok();
        assert_eq!(of("*"), Some(NewId::Auto));
        assert_eq!(of("5-*"), Some(NewId::AutoSeq(5)));
        assert_eq!(of("5"), Some(NewId::Exact(EntryId::new(5, 0))));
        assert_eq!(of("-*"), None);
        assert_eq!(of("5-**"), None);
        assert_eq!(of("+"), None);
    }
}
