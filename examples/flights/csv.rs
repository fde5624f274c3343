//! The flights: reads the CSV, puts it into the order of scheduled departure, and knows for each
//! row when it belongs, whether it was cancelled and what its entry must contain.
//!
//! Relies on nothing but the file. Invariant: a row's number is its place in the sorted file, so
//! parent and child, who read the same file, mean the same flight by the same number.
//!
//! Times are local New York times. They are counted as though the clock showed UTC: a fixed rule
//! that needs no time zone data and keeps each local day within 24 hours. In the night in which
//! the clocks go back it folds an hour onto itself, which does not matter to an order by the
//! clock.

use crate::Outcome;
use std::ops::Range;
use std::path::Path;

/// The day that comes with the crate.
const SLICE: &str = include_str!("../data/flights-2013-02-08.csv");
/// What the CSV writes where there is no value.
const MISSING: &str = "NA";
/// The field of an entry that holds the row's number.
pub(crate) const ROW: &str = "row";

/// All flights of a file.
pub(crate) struct Flights {
    text: String,
    columns: Columns,
    rows: Vec<Row>,
}

/// The columns' names, and where those are that the program looks at.
struct Columns {
    names: Vec<String>,
    /// Year, month, day and scheduled departure.
    time: [usize; 4],
    dep_time: usize,
    /// What names a flight: carrier, number, from, to.
    called: [usize; 4],
}

/// One flight.
struct Row {
    line: Range<usize>,
    ms: u64,
}

impl Flights {
    /// Reads a file, or the day that comes with the crate.
    pub(crate) fn load(path: Option<&Path>) -> Outcome<Flights> {
        match path {
            None => Flights::parse(SLICE.to_owned(), "the built-in day"),
            Some(path) => {
                let name = path.display().to_string();
                let text = std::fs::read_to_string(path)
                    .map_err(|error| format!("cannot read {name}: {error}"))?;
                Flights::parse(text, &name)
            }
        }
    }

    /// Reads a text; `name` stands for it in messages.
    pub(crate) fn parse(text: String, name: &str) -> Outcome<Flights> {
        let mut lines = lines_of(&text);
        let header = lines.next().and_then(|range| text.get(range));
        let header = header.ok_or_else(|| format!("{name}: the file is empty"))?;
        let bad = |line: usize, what: String| format!("{name}: line {line}: {what}");
        let columns = Columns::find(header).map_err(|what| bad(1, what))?;
        let mut rows = Vec::new();
        for (index, line) in lines.enumerate() {
            let cells = text.get(line.clone()).unwrap_or_default();
            let ms = columns.ms(cells).map_err(|what| bad(index + 2, what))?;
            rows.push(Row { line, ms });
        }
        if rows.is_empty() {
            return Err(format!("{name}: there are no flights in it").into());
        }
        // A stable sort: flights of the same minute keep the order of the file.
        rows.sort_by_key(|row| row.ms);
        Ok(Flights { text, columns, rows })
    }

    /// How many flights there are; rows are numbered from 0.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// When the flight was to leave, in milliseconds since 1970: the time part of its entry's ID.
    pub(crate) fn ms(&self, row: usize) -> Option<u64> {
        self.rows.get(row).map(|row| row.ms)
    }

    /// The fields of the row's entry: its number, then all columns.
    pub(crate) fn fields(&self, row: usize) -> impl Iterator<Item = (&str, String)> {
        let cells = self.line(row).split(',').map(str::to_owned);
        let columns = self.columns.names.iter().map(String::as_str);
        std::iter::once((ROW, row.to_string())).chain(columns.zip(cells))
    }

    /// What [`checksum`] gives for the row's entry if nothing in it was changed.
    pub(crate) fn checksum(&self, row: usize) -> u64 {
        checksum(self.fields(row))
    }

    /// Whether the flight never left.
    pub(crate) fn cancelled(&self, row: usize) -> bool {
        is_missing(self.cell(row, self.columns.dep_time))
    }

    /// The rows whose time lies in a range.
    pub(crate) fn within(&self, times: &Range<u64>) -> Range<usize> {
        let first = self.rows.partition_point(|row| row.ms < times.start);
        let end = self.rows.partition_point(|row| row.ms < times.end);
        first..end
    }

    /// The flight in a few words, for a person.
    pub(crate) fn describe(&self, row: usize) -> String {
        let when = self.ms(row).map(clock).unwrap_or_default();
        let [carrier, number, from, to] = self.columns.called.map(|place| self.cell(row, place));
        format!("{when}, {carrier} {number} {from}-{to}")
    }

    fn line(&self, row: usize) -> &str {
        self.rows.get(row).and_then(|row| self.text.get(row.line.clone())).unwrap_or_default()
    }

    fn cell(&self, row: usize, place: usize) -> &str {
        self.line(row).split(',').nth(place).unwrap_or_default()
    }
}

impl Columns {
    fn find(header: &str) -> Result<Columns, String> {
        let names: Vec<String> = header.split(',').map(str::to_owned).collect();
        let place = |wanted: &str| {
            let found = names.iter().position(|name| name == wanted);
            found.ok_or_else(|| format!("there is no column `{wanted}`"))
        };
        Ok(Columns {
            time: [place("year")?, place("month")?, place("day")?, place("sched_dep_time")?],
            dep_time: place("dep_time")?,
            called: [place("carrier")?, place("flight")?, place("origin")?, place("dest")?],
            names,
        })
    }

    /// Checks a line of cells and finds out its time.
    fn ms(&self, line: &str) -> Result<u64, String> {
        if line.contains('"') {
            return Err("quoted values are not supported".to_owned());
        }
        let cells: Vec<&str> = line.split(',').collect();
        if cells.len() != self.names.len() {
            let (found, wanted) = (cells.len(), self.names.len());
            return Err(format!("{found} values instead of {wanted}"));
        }
        let mut time = [0; 4];
        for (value, place) in time.iter_mut().zip(self.time) {
            let cell = cells.get(place).copied().unwrap_or_default();
            *value = cell.parse().map_err(|_| {
                let column = self.names.get(place).map_or("", String::as_str);
                format!("`{column}` is `{cell}`, not a whole number")
            })?;
        }
        let [year, month, day, hhmm] = time;
        epoch_ms(year, month, day, hhmm).ok_or_else(|| "this is no date and time".to_owned())
    }
}

/// Whether a cell or field says that there is no value.
pub(crate) fn is_missing(value: impl AsRef<[u8]>) -> bool {
    let value = value.as_ref();
    value.is_empty() || value == MISSING.as_bytes()
}

/// FNV-1a over names and values with their lengths: enough to notice a mixed-up entry, and not
/// the store's own checksum.
pub(crate) fn checksum<K, V>(fields: impl IntoIterator<Item = (K, V)>) -> u64
where
    K: AsRef<[u8]>,
    V: AsRef<[u8]>,
{
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| {
        let length = (bytes.len() as u64).to_le_bytes();
        for byte in length.iter().chain(bytes) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for (name, value) in fields {
        add(name.as_ref());
        add(value.as_ref());
    }
    hash
}

/// The 24 hours of a day, as times of IDs.
pub(crate) fn day(year: u64, month: u64, day: u64) -> Option<Range<u64>> {
    let start = epoch_ms(year, month, day, 0)?;
    Some(start..start + 24 * 60 * 60 * 1000)
}

/// The lines of a text without their ends, as ranges of it; an empty last line does not count.
fn lines_of(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |line| {
        let range = start..start + line.trim_end_matches(['\n', '\r']).len();
        start += line.len();
        range
    })
}

/// Milliseconds since 1970 of a date from then on and a time written as `hhmm`.
fn epoch_ms(year: u64, month: u64, day: u64, hhmm: u64) -> Option<u64> {
    let (hour, minute) = (hhmm / 100, hhmm % 100);
    if !(1970..=9999).contains(&year) || hour > 23 || minute > 59 {
        return None;
    }
    let before = (1970..year).map(|year| if leap(year) { 366 } else { 365 }).sum::<u64>();
    let month_index = usize::try_from(month.checked_sub(1)?).ok()?;
    let lengths = month_lengths(year);
    if day == 0 || day > *lengths.get(month_index)? {
        return None;
    }
    let days = before + lengths.iter().take(month_index).sum::<u64>() + day - 1;
    Some(((days * 24 + hour) * 60 + minute) * 60_000)
}

fn leap(year: u64) -> bool {
    year.is_multiple_of(400) || (year.is_multiple_of(4) && !year.is_multiple_of(100))
}

fn month_lengths(year: u64) -> [u64; 12] {
    let february = if leap(year) { 29 } else { 28 };
    [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

/// The other way round: `2013-02-08 17:30`.
fn clock(ms: u64) -> String {
    let minutes = ms / 60_000;
    let (mut days, minute) = (minutes / (24 * 60), minutes % (24 * 60));
    let mut year = 1970;
    while days >= if leap(year) { 366 } else { 365 } {
        days -= if leap(year) { 366 } else { 365 };
        year += 1;
    }
    let mut month = 1;
    for length in month_lengths(year) {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute) = (minute / 60, minute % 60);
    format!("{year}-{month:02}-{:02} {hour:02}:{minute:02}", days + 1)
}
