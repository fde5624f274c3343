//! Requests out of a client's bytes: Redis's protocol, and plain lines with Redis's quoting.
//!
//! Pure, and made for bytes that come in pieces: a parser keeps its place, so that no byte is
//! looked at twice, however many pieces there are. Words are places in the input; only those of a
//! plain line are copied, as quotes and escapes are taken out of them. Whatever comes in, all that
//! is kept is two numbers for each word that is there, within the limits.

use super::refusal::Refusal;

/// How large a request may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) words: usize,
    pub(crate) bulk: usize,
    /// Who sends it has not given the password: little is taken from such a client.
    pub(crate) stranger: bool,
}

/// What a stranger may send: Redis's numbers.
const STRANGER_WORDS: i64 = 10;
const STRANGER_BULK: i64 = 16 << 10;
/// The longest plain line, and the longest line that holds a number.
const LONGEST_LINE: usize = 64 << 10;

/// What is in the input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The rest of it is still to come.
    More,
    /// A request with at least one word.
    Request,
    /// Something that Redis passes over without a word: an empty line, an empty list.
    Nothing,
    /// The client does not speak the protocol; it is told why, and the connection ends.
    Bad(Refusal),
}

/// The place in one connection's input.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// How much of the input has been looked at.
    at: usize,
    /// How far the end of a line that holds a number has been looked for.
    seen: usize,
    /// How many words are missing, once the header was read.
    missing: Option<usize>,
    /// The length of the word that comes next, once it is known.
    bulk: Option<usize>,
    /// Begin and end of each word: in the input, or of a plain line in `line`.
    words: Vec<(usize, usize)>,
    line: Option<Vec<u8>>,
}

/// More words than this are not kept room for when a request is done.
const KEPT_WORDS: usize = 256;

impl Parser {
    /// Goes on with the request that `input` begins with. With the next call there is either the
    /// same input with more behind it, or, after [`Parser::done`], what follows the request.
    pub(crate) fn step(&mut self, input: &[u8], limits: &Limits) -> Step {
        if self.missing.is_none() {
            match input.first() {
                None => return Step::More,
                Some(b'*') => match self.header(input, limits) {
                    Ok(Some(0)) => return Step::Nothing,
                    Ok(Some(count)) => self.missing = Some(count),
                    Ok(None) => return Step::More,
                    Err(refusal) => return Step::Bad(refusal),
                },
                Some(_) => return self.plain_line(input).unwrap_or_else(Step::Bad),
            }
        }
        self.bulks(input, limits).unwrap_or_else(Step::Bad)
    }

    /// The number of words; 0 for a list that is empty or none at all.
    fn header(&mut self, input: &[u8], limits: &Limits) -> Result<Option<usize>, Refusal> {
        let Some((line, end)) = self.line_at(input, 1, "too big mbulk count string")? else {
            return Ok(None);
        };
        let count = integer(line).filter(|count| *count <= most(limits.words));
        let count = count.ok_or_else(|| bad("invalid multibulk length"))?;
        if limits.stranger && count > STRANGER_WORDS {
            return Err(bad("unauthenticated multibulk length"));
        }
        self.at = end;
        Ok(Some(usize::try_from(count).unwrap_or(0)))
    }

    fn bulks(&mut self, input: &[u8], limits: &Limits) -> Result<Step, Refusal> {
        while self.missing.is_some_and(|missing| missing > 0) {
            let len = match self.bulk {
                Some(len) => len,
                None => match self.bulk_header(input, limits)? {
                    Some(len) => len,
                    None => return Ok(Step::More),
                },
            };
            self.bulk = Some(len);
            let end = self.at + len;
            if input.len() < end + 2 {
                return Ok(Step::More);
            }
            self.words.push((self.at, end));
            self.at = end + 2;
            self.bulk = None;
            self.missing = self.missing.map(|missing| missing - 1);
        }
        Ok(Step::Request)
    }

    fn bulk_header(&mut self, input: &[u8], limits: &Limits) -> Result<Option<usize>, Refusal> {
        let Some(sign) = input.get(self.at) else { return Ok(None) };
        let line = self.line_at(input, self.at + 1, "too big bulk count string")?;
        let Some((line, end)) = line else { return Ok(None) };
        if *sign != b'$' {
            let sign = char::from(*sign);
            return Err(Refusal::new(format!("ERR Protocol error: expected '$', got '{sign}'")));
        }
        let len = integer(line).filter(|len| (0..=most(limits.bulk)).contains(len));
        let len = len.ok_or_else(|| bad("invalid bulk length"))?;
        if limits.stranger && len > STRANGER_BULK {
            return Err(bad("unauthenticated bulk length"));
        }
        self.at = end;
        Ok(usize::try_from(len).ok())
    }

    /// The line that begins at `from`, without its end, and what comes behind it.
    fn line_at<'a>(
        &mut self,
        input: &'a [u8],
        from: usize,
        too_long: &str,
    ) -> Result<Option<(&'a [u8], usize)>, Refusal> {
        let seen = self.seen.max(from).min(input.len());
        match input[seen..].iter().position(|byte| *byte == b'\r') {
            // As in Redis, whatever byte follows counts as the other half of the line's end.
            Some(end) if input.len() > seen + end + 1 => {
                self.seen = 0;
                Ok(Some((&input[from..seen + end], seen + end + 2)))
            }
            Some(_) => Ok(None),
            None if input.len() > from + LONGEST_LINE => Err(bad(too_long)),
            None => {
                self.seen = input.len();
                Ok(None)
            }
        }
    }

    fn plain_line(&mut self, input: &[u8]) -> Result<Step, Refusal> {
        // What has been looked at holds no end of a line.
        let Some(end) = input[self.at..].iter().position(|byte| *byte == b'\n') else {
            if input.len() > LONGEST_LINE {
                return Err(bad("too big inline request"));
            }
            self.at = input.len();
            return Ok(Step::More);
        };
        let end = self.at + end;
        self.at = end + 1;
        let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
        let mut text = self.line.take().unwrap_or_default();
        text.clear();
        let split = split_line(line, &mut text, &mut self.words);
        split.ok_or_else(|| bad("unbalanced quotes in request"))?;
        self.line = Some(text);
        Ok(if self.words.is_empty() { Step::Nothing } else { Step::Request })
    }

    /// The words of the request that was just found.
    pub(crate) fn words<'a>(&'a self, input: &'a [u8], into: &mut Vec<&'a [u8]>) {
        self.words_of(self.line.as_deref().unwrap_or(input), into);
    }

    /// The same if they are all in the input, which those of a plain line are not.
    pub(crate) fn input_words<'a>(&self, input: &'a [u8], into: &mut Vec<&'a [u8]>) -> bool {
        if self.line.is_none() {
            self.words_of(input, into);
        }
        self.line.is_none()
    }

    fn words_of<'a>(&self, text: &'a [u8], into: &mut Vec<&'a [u8]>) {
        into.extend(self.words.iter().map(|(begin, end)| &text[*begin..*end]));
    }

    /// Ends the request; returns how much of the input it took.
    pub(crate) fn done(&mut self) -> usize {
        let taken = std::mem::take(&mut self.at);
        self.seen = 0;
        self.missing = None;
        self.bulk = None;
        self.line = None;
        self.words.clear();
        if self.words.capacity() > KEPT_WORDS {
            self.words = Vec::new();
        }
        taken
    }
}

fn bad(what: &str) -> Refusal {
    Refusal::new(format!("ERR Protocol error: {what}"))
}

fn most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Redis's strict integers: an optional minus, no leading zeros, 64 bits.
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'0'] => return Some(0),
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let [b'1'..=b'9', ..] = digits else { return None };
    digits.iter().try_fold(0_i64, |value, byte| {
        let digit = i64::from(byte.wrapping_sub(b'0'));
        if digit > 9 {
            return None;
        }
        let value = value.checked_mul(10)?;
        // Downwards for the negative ones, of which there is one more.
        if negative { value.checked_sub(digit) } else { value.checked_add(digit) }
    })
}

/// Splits a plain line as Redis does; `None` for quotes that are not closed, or that something
/// other than a blank follows.
fn split_line(line: &[u8], text: &mut Vec<u8>, words: &mut Vec<(usize, usize)>) -> Option<()> {
    let mut rest = line;
    loop {
        while let [blank, tail @ ..] = rest
            && is_blank(*blank)
        {
            rest = tail;
        }
        if rest.is_empty() {
            return Some(());
        }
        let begin = text.len();
        rest = take_word(rest, text)?;
        words.push((begin, text.len()));
    }
}

/// What C's `isspace` says.
fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

/// Takes one word; quotes may begin within it. Returns what follows.
fn take_word<'a>(line: &'a [u8], text: &mut Vec<u8>) -> Option<&'a [u8]> {
    let mut rest = line;
    loop {
        match rest {
            [] | [0, ..] => return Some(&[]),
            [blank, tail @ ..] if is_blank(*blank) => return Some(tail),
            [b'"', tail @ ..] => return ended(take_quoted(tail, text)?),
            [b'\'', tail @ ..] => return ended(take_raw(tail, text)?),
            [byte, tail @ ..] => {
                text.push(*byte);
                rest = tail;
            }
        }
    }
}

/// A blank or nothing has to follow a closing quote.
fn ended(rest: &[u8]) -> Option<&[u8]> {
    rest.first().is_none_or(|byte| is_blank(*byte)).then_some(rest)
}

/// Between double quotes, with escapes.
fn take_quoted<'a>(line: &'a [u8], text: &mut Vec<u8>) -> Option<&'a [u8]> {
    let mut rest = line;
    loop {
        rest = match rest {
            [] => return None,
            [b'"', tail @ ..] => return Some(tail),
            [b'\\', b'x', high, low, tail @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                text.push(nibble(*high) << 4 | nibble(*low));
                tail
            }
            [b'\\', byte, tail @ ..] => {
                text.push(match byte {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                tail
            }
            [byte, tail @ ..] => {
                text.push(*byte);
                tail
            }
        };
    }
}

fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// Between single quotes, where only `\'` is an escape.
fn take_raw<'a>(line: &'a [u8], text: &mut Vec<u8>) -> Option<&'a [u8]> {
    let mut rest = line;
    loop {
        rest = match rest {
            [] => return None,
            [b'\'', tail @ ..] => return Some(tail),
            [b'\\', b'\'', tail @ ..] => {
                text.push(b'\'');
                tail
            }
            [byte, tail @ ..] => {
                text.push(*byte);
                tail
            }
        };
    }
}

#[cfg(test)]
#[path = "request/tests.rs"]
mod tests;
