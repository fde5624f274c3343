//! XTRIM, and the options of trimming that XADD has too.

use super::args::{Parsed, id, int, is, is_sign, refused};
use super::policy::policy;
use super::prelude::*;
use crate::options::{RefPolicy, Trim, TrimTo};

const BOTH: &str = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible";
const NEGATIVE_LENGTH: &str = "ERR The MAXLEN argument must be >= 0.";
const NEGATIVE_LIMIT: &str = "ERR The LIMIT argument must be >= 0.";
const LIMIT_ALONE: &str =
    "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy";
const LIMIT_EXACT: &str = "ERR syntax error, LIMIT cannot be used without the special ~ option";
const NO_STRATEGY: &str = "ERR syntax error, XTRIM must be called with a trimming strategy";

/// What the words said of trimming so far.
#[derive(Debug, Default)]
pub(super) struct TrimWords {
    to: Option<TrimTo>,
    approximate: bool,
    limit: Option<u64>,
    policy: Option<RefPolicy>,
}

impl TrimWords {
    /// Reads the option at the head of these words. Returns how many of them it took; 0 if it is
    /// none of these options.
    pub(super) fn take(&mut self, words: &[&[u8]]) -> Parsed<usize> {
        let [option, rest @ ..] = words else {
            return Ok(0);
        };
        if rest.is_empty() {
            return Ok(self.take_policy(option));
        }
        if is(option, "MAXLEN") {
            let (value, taken) = self.threshold(rest)?;
            match u64::try_from(int(value)?) {
                Ok(length) => self.to = Some(TrimTo::MaxLen(length)),
                Err(_) => return refused(NEGATIVE_LENGTH),
            }
            return Ok(taken);
        }
        if is(option, "MINID") {
            let (value, taken) = self.threshold(rest)?;
            self.to = Some(TrimTo::MinId(id(value)?));
            return Ok(taken);
        }
        if is(option, "LIMIT") {
            match rest.first().map(|word| int(word)).transpose()?.map(u64::try_from) {
                Some(Ok(limit)) => self.limit = Some(limit),
                _ => return refused(NEGATIVE_LIMIT),
            }
            return Ok(2);
        }
        Ok(self.take_policy(option))
    }

    /// The word with the threshold, and how many words it took with the option's own.
    fn threshold<'a>(&mut self, rest: &[&'a [u8]]) -> Parsed<(&'a [u8], usize)> {
        if self.to.is_some() {
            return refused(BOTH);
        }
        match rest {
            [sign, value, ..] if is_sign(sign, b'~') => {
                self.approximate = true;
                Ok((value, 3))
            }
            [sign, value, ..] if is_sign(sign, b'=') => Ok((value, 3)),
            [value, ..] => Ok((value, 2)),
            [] => Err(Refusal::SYNTAX),
        }
    }

    fn take_policy(&mut self, word: &[u8]) -> usize {
        if self.policy.is_some() {
            return 0;
        }
        self.policy = policy(word);
        usize::from(self.policy.is_some())
    }

    /// What Redis looks at once all words are read. `alone` is XTRIM.
    pub(super) fn check(&self, alone: bool) -> Parsed<()> {
        if self.to.is_none() && self.limit.is_some_and(|limit| limit > 0) {
            return refused(LIMIT_ALONE);
        }
        if alone && self.to.is_none() {
            return refused(NO_STRATEGY);
        }
        if self.limit.is_some() && !self.approximate {
            return refused(LIMIT_EXACT);
        }
        Ok(())
    }

    pub(super) fn trim(&self) -> Option<Trim> {
        let mut trim = match self.to? {
            TrimTo::MaxLen(length) => Trim::max_len(length),
            TrimTo::MinId(id) => Trim::min_id(id),
        };
        if self.approximate {
            trim = trim.approximate();
        }
        if let Some(limit) = self.limit {
            trim = trim.limit(limit);
        }
        Some(trim.references(self.policy.unwrap_or_default()))
    }
}

/// XTRIM.
pub(crate) fn xtrim(context: &mut Context<'_>, args: &[&[u8]], out: &mut Out) -> Answer {
    let [_, key, words @ ..] = args else {
        return Err(Refusal::SYNTAX);
    };
    let mut trim = TrimWords::default();
    let mut left = words;
    while !left.is_empty() {
        let taken = trim.take(left)?;
        left = match left.get(taken..) {
            Some(rest) if taken > 0 => rest,
            _ => return Err(Refusal::SYNTAX),
        };
    }
    trim.check(true)?;
    let (Some(trim), Some(stream)) = (trim.trim(), context.stream(key)?) else {
        out.int(0);
        return Ok(Done::Replied);
    };
    let removed = stream.trim(trim)?;
    if removed > 0 {
        context.changed_quietly(key, removed);
    }
    out.count(removed);
    Ok(Done::Replied)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str, alone: bool) -> Parsed<Option<Trim>> {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let mut trim = TrimWords::default();
        let mut left = &words[..];
        while !left.is_empty() {
            let taken = trim.take(left)?;
            if taken == 0 {
                return Err(Refusal::SYNTAX);
            }
            left = &left[taken..];
        }
        trim.check(alone)?;
        Ok(trim.trim())
    }

    #[test]
    fn options_come_in_any_order() {
        let of = |line| read(line, true).unwrap().unwrap();
        assert_eq!(of("MAXLEN 5"), Trim::max_len(5));
        assert_eq!(of("maxlen = 5"), Trim::max_len(5));
        assert_eq!(of("LIMIT 3 MaxLen ~ 5"), Trim::max_len(5).approximate().limit(3));
        assert_eq!(of("ACKED MAXLEN 5"), Trim::max_len(5).references(RefPolicy::Acked));
        assert_eq!(of("MINID ~ 7 LIMIT 0"), Trim::min_id((7, 0).into()).approximate().limit(0));
        assert_eq!(read("LIMIT 0", false).unwrap_err().0, LIMIT_EXACT);
    }

    #[test]
    fn each_error_has_its_text() {
        let text = |line, alone| read(line, alone).unwrap_err().0;
        assert_eq!(text("MAXLEN 1 MAXLEN 1", true), BOTH);
        assert_eq!(text("MAXLEN 1 MINID 1", true), BOTH);
        assert_eq!(text("MAXLEN -1", true), NEGATIVE_LENGTH);
        assert_eq!(text("MAXLEN =", true), Refusal::NOT_AN_INTEGER.0);
        assert_eq!(text("MAXLEN ~", true), Refusal::NOT_AN_INTEGER.0);
        assert_eq!(text("MINID x", true), Refusal::INVALID_ID.0);
        assert_eq!(text("MAXLEN ~ 1 LIMIT -1", true), NEGATIVE_LIMIT);
        assert_eq!(text("LIMIT 1", true), LIMIT_ALONE);
        assert_eq!(text("LIMIT 0", true), NO_STRATEGY);
        assert_eq!(text("MAXLEN 1 LIMIT 1", true), LIMIT_EXACT);
        assert_eq!(text("MAXLEN", true), Refusal::SYNTAX.0);
        assert_eq!(text("MAXLEN 1 other", true), Refusal::SYNTAX.0);
        assert_eq!(text("MAXLEN 1 KEEPREF KEEPREF", true), Refusal::SYNTAX.0);
    }
}
