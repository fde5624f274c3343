//! What a child tells the parent: one line of text per report, through the child's stdout.
//!
//! A report is written with one call and in the order in which things happened: whoever reports
//! holds stdout's lock, so a report that a thread makes *after* another thread's report returned
//! stands behind it in the pipe. Bytes in a pipe outlive the child that wrote them; a line that
//! the kill cut short has no end and is dropped by the reader.

use crate::Outcome;
use std::fmt;
use std::io::{self, Write};
use std::str::{FromStr, SplitAsciiWhitespace};
use streamlog::EntryId;

/// The two groups of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    /// Four workers that share the entries.
    Workers,
    /// One reader that sees them all.
    Analytics,
}

impl Group {
    /// Both, in the order of the table.
    pub(crate) const ALL: [Group; 2] = [Group::Workers, Group::Analytics];

    /// The group's name in the stream.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Group::Workers => "workers",
            Group::Analytics => "analytics",
        }
    }
}

/// By which call an entry came to a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// A read of new entries.
    New,
    /// A read of the consumer's own pending entries.
    History,
    /// A claim of what another consumer left.
    Claim,
}

impl How {
    fn word(self) -> &'static str {
        match self {
            How::New => "new",
            How::History => "history",
            How::Claim => "claim",
        }
    }
}

/// One report. Rows are numbers of [`Flights`](crate::csv::Flights).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report<'a> {
    /// The store is open; this is the last entry of the stream, if it has one.
    Last(Option<(usize, EntryId)>),
    /// The append of this row returned.
    Appended { row: usize, id: EntryId },
    /// A consumer is about to ask for entries.
    Ask { group: Group, consumer: &'a str },
    /// An entry came to a consumer.
    Got {
        group: Group,
        consumer: &'a str,
        how: How,
        row: usize,
        id: EntryId,
        /// [`checksum`](crate::csv::checksum) of the fields as they came out of the log.
        sum: u64,
    },
    /// A worker begins its work on an entry.
    Begin { consumer: &'a str, row: usize },
    /// The work is done; only the acknowledgement is still to be made.
    Finish { group: Group, consumer: &'a str, row: usize },
    /// The acknowledgement returned.
    Acked { group: Group, consumer: &'a str, row: usize },
    /// A worker stops in the middle of its work.
    Died { consumer: &'a str },
    /// The reader found this entry in the log.
    Seen { row: usize, id: EntryId, sum: u64, cancelled: bool },
    /// Nothing is left to do and the store was closed.
    Drained,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Report::Last(None) => write!(f, "last none"),
            Report::Last(Some((row, id))) => write!(f, "last {row} {id}"),
            Report::Appended { row, id } => write!(f, "appended {row} {id}"),
            Report::Ask { group, consumer } => write!(f, "ask {} {consumer}", group.name()),
            Report::Got { group, consumer, how, row, id, sum } => {
                let (group, how) = (group.name(), how.word());
                write!(f, "got {group} {consumer} {how} {row} {id} {sum}")
            }
            Report::Begin { consumer, row } => write!(f, "begin {consumer} {row}"),
            Report::Finish { group, consumer, row } => {
                write!(f, "finish {} {consumer} {row}", group.name())
            }
            Report::Acked { group, consumer, row } => {
                write!(f, "acked {} {consumer} {row}", group.name())
            }
            Report::Died { consumer } => write!(f, "died {consumer}"),
            Report::Seen { row, id, sum, cancelled } => {
                write!(f, "seen {row} {id} {sum} {cancelled}")
            }
            Report::Drained => write!(f, "drained"),
        }
    }
}

impl Report<'_> {
    /// Writes the report to the parent.
    pub(crate) fn send(&self) -> io::Result<()> {
        let line = format!("{self}\n");
        let mut out = io::stdout().lock();
        out.write_all(line.as_bytes())?;
        out.flush()
    }

    /// Reads a line without its end.
    pub(crate) fn parse(line: &str) -> Outcome<Report<'_>> {
        let mut words = line.split_ascii_whitespace();
        parse_words(&mut words)
            .filter(|_| words.next().is_none())
            .ok_or_else(|| format!("the child wrote a line that is no report: {line:?}").into())
    }
}

fn parse_words<'a>(words: &mut SplitAsciiWhitespace<'a>) -> Option<Report<'a>> {
    Some(match words.next()? {
        "last" => Report::Last(parse_last(words)?),
        "appended" => Report::Appended { row: parse(words)?, id: parse(words)? },
        "ask" => Report::Ask { group: parse_group(words)?, consumer: words.next()? },
        "got" => Report::Got {
            group: parse_group(words)?,
            consumer: words.next()?,
            how: parse_how(words)?,
            row: parse(words)?,
            id: parse(words)?,
            sum: parse(words)?,
        },
        "begin" => Report::Begin { consumer: words.next()?, row: parse(words)? },
        "finish" => Report::Finish {
            group: parse_group(words)?,
            consumer: words.next()?,
            row: parse(words)?,
        },
        "acked" => Report::Acked {
            group: parse_group(words)?,
            consumer: words.next()?,
            row: parse(words)?,
        },
        "died" => Report::Died { consumer: words.next()? },
        "seen" => Report::Seen {
            row: parse(words)?,
            id: parse(words)?,
            sum: parse(words)?,
            cancelled: parse(words)?,
        },
        "drained" => Report::Drained,
        _ => return None,
    })
}

fn parse_last(words: &mut SplitAsciiWhitespace<'_>) -> Option<Option<(usize, EntryId)>> {
    match words.next()? {
        "none" => Some(None),
        row => Some(Some((row.parse().ok()?, parse(words)?))),
    }
}

fn parse_group(words: &mut SplitAsciiWhitespace<'_>) -> Option<Group> {
    let name = words.next()?;
    Group::ALL.into_iter().find(|group| group.name() == name)
}

fn parse_how(words: &mut SplitAsciiWhitespace<'_>) -> Option<How> {
    let word = words.next()?;
    [How::New, How::History, How::Claim].into_iter().find(|how| how.word() == word)
}

fn parse<T: FromStr>(words: &mut SplitAsciiWhitespace<'_>) -> Option<T> {
    words.next()?.parse().ok()
}
