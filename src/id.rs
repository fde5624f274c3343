//! Entry IDs: the text form, the order, neighbours, and the rule that gives the next one.
//!
//! Pure values. Knows nothing of time, files or streams; the clock's reading is an argument.

use crate::error::{Error, ErrorKind};
use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::str::FromStr;

/// The ID of an entry: milliseconds since 1970 and a sequence number within the millisecond.
///
/// IDs order first by `ms`, then by `seq`, and strictly increase for the life of a stream, unless
/// [`Stream::set_id`](crate::Stream::set_id) takes the last one back over entries that are gone.
/// The text form is `ms-seq` in decimal, as in Redis. `0-0` is never the ID of an entry; the
/// smallest possible one is `0-1`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EntryId {
    /// Milliseconds since 1970-01-01T00:00:00Z, or whatever the caller counts.
    pub ms: u64,
    /// Position among the entries of the same millisecond.
    pub seq: u64,
}

impl EntryId {
    /// `0-0`: below every entry.
    pub const MIN: EntryId = EntryId { ms: 0, seq: 0 };
    /// The largest ID there is; a stream that reached it takes no more entries.
    pub const MAX: EntryId = EntryId { ms: u64::MAX, seq: u64::MAX };
    /// The longest text that is looked at when an ID is parsed, in bytes.
    const MAX_TEXT: usize = 127;

    /// Makes an ID of its two parts.
    #[must_use]
    pub const fn new(ms: u64, seq: u64) -> EntryId {
        EntryId { ms, seq }
    }

    /// The next ID in order, or `None` after [`EntryId::MAX`].
    #[must_use]
    pub const fn next(self) -> Option<EntryId> {
        if self.seq < u64::MAX {
            Some(EntryId { ms: self.ms, seq: self.seq + 1 })
        } else if self.ms < u64::MAX {
            Some(EntryId { ms: self.ms + 1, seq: 0 })
        } else {
            None
        }
    }

    /// The previous ID in order, or `None` before [`EntryId::MIN`].
    #[must_use]
    pub const fn prev(self) -> Option<EntryId> {
        if self.seq > 0 {
            Some(EntryId { ms: self.ms, seq: self.seq - 1 })
        } else if self.ms > 0 {
            Some(EntryId { ms: self.ms - 1, seq: u64::MAX })
        } else {
            None
        }
    }

    /// Parses the end of a range: as [`FromStr`], but a missing sequence number is the largest.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidId`] if the text is no ID.
    pub fn parse_end(text: &str) -> Result<EntryId, Error> {
        parse(text, u64::MAX)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Parses `ms-seq`, or `ms` alone with a sequence number of 0. Leading zeros are accepted;
/// signs, blanks and anything else are not.
impl FromStr for EntryId {
    type Err = Error;

    fn from_str(text: &str) -> Result<EntryId, Error> {
        parse(text, 0)
    }
}

impl From<(u64, u64)> for EntryId {
    fn from((ms, seq): (u64, u64)) -> EntryId {
        EntryId { ms, seq }
    }
}

fn parse(text: &str, missing_seq: u64) -> Result<EntryId, Error> {
    let bad = |reason: &'static str| {
        let shown: String = text.chars().take(EntryId::MAX_TEXT + 1).collect();
        Error::new(ErrorKind::InvalidId { text: shown, reason })
    };
    if text.len() > EntryId::MAX_TEXT {
        return Err(bad("longer than 127 bytes"));
    }
    match text.split_once('-') {
        None => Ok(EntryId { ms: decimal(text).map_err(bad)?, seq: missing_seq }),
        Some((ms, seq)) => {
            Ok(EntryId { ms: decimal(ms).map_err(bad)?, seq: decimal(seq).map_err(bad)? })
        }
    }
}

fn decimal(text: &str) -> Result<u64, &'static str> {
    if text.is_empty() {
        return Err("a part is empty");
    }
    let mut value = 0u64;
    for byte in text.bytes() {
        if !byte.is_ascii_digit() {
            return Err("a part is not a decimal number");
        }
        value = value
            .checked_mul(10)
            .and_then(|v| v.checked_add(u64::from(byte - b'0')))
            .ok_or("a part is larger than 18446744073709551615")?;
    }
    Ok(value)
}

/// How the ID of a new entry is found: Redis's `*`, `ms-*` and `ms-seq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum NewId {
    /// `*`: the current time, or the successor of the last ID if the clock is not ahead of it.
    #[default]
    Auto,
    /// `ms-*`: the next free sequence number in this millisecond.
    AutoSeq(u64),
    /// Exactly this ID; it must be greater than the last one.
    Exact(EntryId),
}

impl From<EntryId> for NewId {
    fn from(id: EntryId) -> NewId {
        NewId::Exact(id)
    }
}

/// Parses `*`, `ms-*`, `ms-seq` and `ms`.
impl FromStr for NewId {
    type Err = Error;

    fn from_str(text: &str) -> Result<NewId, Error> {
        if text == "*" {
            return Ok(NewId::Auto);
        }
        if let Some(ms) = text.strip_suffix("-*")
            && !ms.contains('-')
            && text.len() <= EntryId::MAX_TEXT
        {
            return Ok(NewId::AutoSeq(parse(ms, 0)?.ms));
        }
        text.parse().map(NewId::Exact)
    }
}

/// The rule of XADD: which ID a new entry gets after `last`, at clock reading `now_ms`.
///
/// # Errors
/// [`ErrorKind::IdExhausted`] after [`EntryId::MAX`], [`ErrorKind::IdZero`] for an explicit
/// `0-0`, [`ErrorKind::IdNotGreater`] for anything not above `last`.
pub(crate) fn next_id(want: NewId, last: EntryId, now_ms: u64) -> Result<EntryId, Error> {
    if want == NewId::Exact(EntryId::MIN) {
        return Err(Error::new(ErrorKind::IdZero));
    }
    let after_last = last.next().ok_or_else(|| Error::new(ErrorKind::IdExhausted))?;
    let not_greater = |given| Error::new(ErrorKind::IdNotGreater { index: None, given, last });
    match want {
        NewId::Auto if now_ms > last.ms => Ok(EntryId::new(now_ms, 0)),
        NewId::Auto => Ok(after_last),
        NewId::AutoSeq(ms) if ms > last.ms => Ok(EntryId::new(ms, 0)),
        NewId::AutoSeq(ms) if after_last.ms == ms => Ok(after_last),
        NewId::AutoSeq(ms) => Err(not_greater(EntryId::new(ms, 0))),
        NewId::Exact(id) if id > last => Ok(id),
        NewId::Exact(id) => Err(not_greater(id)),
    }
}

/// A closed range of IDs made of any bounds, or `None` if nothing can lie in it.
pub(crate) fn closed(bounds: &impl RangeBounds<EntryId>) -> Option<(EntryId, EntryId)> {
    let first = match bounds.start_bound() {
        Bound::Unbounded => EntryId::MIN,
        Bound::Included(id) => *id,
        Bound::Excluded(id) => id.next()?,
    };
    let last = match bounds.end_bound() {
        Bound::Unbounded => EntryId::MAX,
        Bound::Included(id) => *id,
        Bound::Excluded(id) => id.prev()?,
    };
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> EntryId {
        text.parse().unwrap()
    }

    #[test]
    fn the_text_form_goes_there_and_back() {
        for text in ["0-0", "5-1", "18446744073709551615-18446744073709551615"] {
            assert_eq!(id(text).to_string(), text);
        }
        assert_eq!(id("5"), EntryId::new(5, 0));
        assert_eq!(id("007-01"), EntryId::new(7, 1));
        assert_eq!(EntryId::parse_end("5").unwrap(), EntryId::new(5, u64::MAX));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let long = "1".repeat(130);
        for text in [
            "",
            "-",
            "8-",
            "-1",
            "9--1",
            "12-0x1",
            "1-18446744073709551616",
            "*",
            "$",
            ">",
            "+",
            "+5-1",
            " 6-1",
            "10-+2",
            "invalid-id",
            "123-abc",
            "--",
            &long,
        ] {
            let error = text.parse::<EntryId>().unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::InvalidId { .. }), "{text}: {error}");
        }
    }

    #[test]
    fn generated_ids_follow_redis() {
        let next = |want, last, now| next_id(want, last, now);
        let last = EntryId::new(123, 456);
        assert_eq!(next(NewId::Auto, last, 124).unwrap(), id("124-0"));
        assert_eq!(next(NewId::Auto, last, 123).unwrap(), id("123-457"));
        assert_eq!(next(NewId::Auto, last, 0).unwrap(), id("123-457"), "the clock went back");
        assert_eq!(next(NewId::AutoSeq(123), last, 0).unwrap(), id("123-457"));
        assert_eq!(next(NewId::AutoSeq(789), last, 0).unwrap(), id("789-0"));
        assert!(next(NewId::AutoSeq(42), last, 0).is_err());
        assert_eq!(next(NewId::AutoSeq(0), EntryId::MIN, 9).unwrap(), id("0-1"));
        assert!(next(NewId::AutoSeq(1), EntryId::new(1, u64::MAX), 0).is_err());
        let future = EntryId::new(2_577_343_934_890, u64::MAX);
        assert_eq!(next(NewId::Auto, future, 7).unwrap(), id("2577343934891-0"));
        let kind = |want, last| next_id(want, last, 0).unwrap_err();
        assert!(matches!(kind(NewId::Auto, EntryId::MAX).kind(), ErrorKind::IdExhausted));
        assert!(matches!(
            kind(EntryId::new(1, 1).into(), EntryId::MAX).kind(),
            ErrorKind::IdExhausted
        ));
        assert!(matches!(kind(EntryId::MIN.into(), last).kind(), ErrorKind::IdZero));
        assert!(matches!(kind(last.into(), last).kind(), ErrorKind::IdNotGreater { .. }));
    }

    #[test]
    fn neighbours_carry_over_the_millisecond() {
        assert_eq!(EntryId::new(5, u64::MAX).next(), Some(EntryId::new(6, 0)));
        assert_eq!(EntryId::new(6, 0).prev(), Some(EntryId::new(5, u64::MAX)));
        assert_eq!(EntryId::MAX.next(), None);
        assert_eq!(EntryId::MIN.prev(), None);
    }

    #[test]
    fn new_ids_are_parsed_as_xadd_does() {
        assert_eq!("*".parse::<NewId>().unwrap(), NewId::Auto);
        assert_eq!("5-*".parse::<NewId>().unwrap(), NewId::AutoSeq(5));
        assert_eq!("5-7".parse::<NewId>().unwrap(), NewId::Exact(EntryId::new(5, 7)));
        assert!("-*".parse::<NewId>().is_err());
        assert!("5-6-*".parse::<NewId>().is_err());
    }
}
