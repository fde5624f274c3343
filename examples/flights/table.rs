//! What a person sees: the progress bar, the lines about kills, the table at the end.

use crate::Outcome;
use crate::csv::Flights;
use crate::tally::{Consumer, Hit, Tally, Verdict};
use crate::wire::Group;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How many rows of a kind are named one by one.
const NAMED: usize = 3;

/// A line on stderr that is drawn over and over; on anything but a terminal, a line for each
/// tenth.
pub(crate) struct Bar {
    shown: bool,
    terminal: bool,
    total: u64,
    drawn: Instant,
    tenth: u64,
}

impl Bar {
    /// How wide the bar is, in characters.
    const WIDTH: u64 = 40;
    /// How often it is drawn, at most.
    const EVERY: Duration = Duration::from_millis(100);

    pub(crate) fn new(shown: bool, total: u64) -> Bar {
        Bar {
            shown,
            terminal: io::stderr().is_terminal(),
            total: total.max(1),
            drawn: Instant::now(),
            tenth: 0,
        }
    }

    /// Shows that so many rows are done.
    pub(crate) fn set(&mut self, done: u64) -> io::Result<()> {
        if !self.shown {
            return Ok(());
        }
        let (total, percent) = (self.total, done * 100 / self.total);
        if !self.terminal {
            if percent / 10 > self.tenth {
                self.tenth = percent / 10;
                writeln!(io::stderr(), "{percent:3} %  {done} of {total} acknowledged")?;
            }
            return Ok(());
        }
        if self.drawn.elapsed() < Bar::EVERY && done < total {
            return Ok(());
        }
        self.drawn = Instant::now();
        let full = (done * Bar::WIDTH / total).min(Bar::WIDTH) as usize;
        let (full, empty) = ("#".repeat(full), ".".repeat(Bar::WIDTH as usize - full));
        let mut out = io::stderr().lock();
        write!(out, "\r[{full}{empty}] {percent:3} %  {done} of {total} acknowledged")?;
        out.flush()
    }

    /// Wipes the bar, so that something else can be printed.
    pub(crate) fn clear(&self) -> io::Result<()> {
        if self.shown && self.terminal {
            write!(io::stderr(), "\r\x1b[K")?;
        }
        Ok(())
    }
}

/// One line about a kill.
pub(crate) fn print_kill(number: u64, steps: u64, hit: &Hit, flights: &Flights) -> Outcome<()> {
    let mut out = io::stdout().lock();
    write!(out, "kill {number}: after {steps} steps, ")?;
    match hit.row {
        None => write!(out, "before anything was appended")?,
        Some(row) => {
            let id = hit.id.map(|id| id.to_string()).unwrap_or_default();
            write!(out, "hit entry {id} (row {row}: {})", flights.describe(row))?;
        }
    }
    match &hit.worker {
        Some(worker) => write!(out, " under the hands of {worker}")?,
        None => write!(out, ", the last one appended")?,
    }
    writeln!(out, "; {} in hand", hit.in_hand)?;
    Ok(out.flush()?)
}

/// The table, and what is to be said about it.
pub(crate) fn print(verdict: &Verdict, tally: &Tally<'_>, day: &str) -> Outcome<()> {
    let mut out = io::stdout().lock();
    let [workers, analytics] = &verdict.sums;
    writeln!(out, "\n{:24}{:>10}{:>11}", "rows", "workers", "analytics")?;
    writeln!(out, "{:24}{:>10}", "appended", verdict.appended)?;
    for (label, of_workers, of_analytics) in [
        ("delivered", workers.delivered, analytics.delivered),
        ("redelivered", workers.redelivered, analytics.redelivered),
        ("acknowledged", workers.acknowledged, analytics.acknowledged),
        ("pending", workers.pending, analytics.pending),
    ] {
        writeln!(out, "{label:24}{of_workers:>10}{of_analytics:>11}")?;
    }
    for (label, rows) in faults(verdict) {
        writeln!(out, "{label:24}{:>10}", rows.len())?;
    }
    let deaths: u64 = tally.consumers(Group::Workers).iter().map(|(_, state)| state.deaths).sum();
    let (kills, acks) = (tally.kills(), workers.cut + analytics.cut);
    writeln!(out, "\n{kills} kills of the process, {deaths} deaths of workers")?;
    writeln!(
        out,
        "calls whose effect stayed and whose answer a kill swallowed: {} appends, {acks} \
         acknowledgements",
        verdict.found_late,
    )?;
    print_consumers(&mut out, tally)?;
    let (by_log, by_csv) = verdict.cancelled;
    writeln!(out, "\nFlights cancelled on {day}: {by_log} by the log, {by_csv} by the CSV")?;
    Ok(out.flush()?)
}

fn print_consumers(out: &mut impl Write, tally: &Tally<'_>) -> io::Result<()> {
    writeln!(
        out,
        "\n{:24}{:>10}{:>13}{:>9}{:>10}{:>14}{:>7}",
        "consumer", "delivered", "redelivered", "claimed", "finished", "acknowledged", "died"
    )?;
    for group in Group::ALL {
        for (name, consumer) in tally.consumers(group) {
            let Consumer { delivered, redelivered, claimed, finished, acked, deaths, .. } =
                consumer;
            let name = format!("{} / {name}", group.name());
            writeln!(
                out,
                "{name:24}{delivered:>10}{redelivered:>13}{claimed:>9}{finished:>10}{acked:>14}\
                 {deaths:>7}"
            )?;
        }
    }
    Ok(())
}

/// The last lines: whether all is well, and the first few rows with which it is not.
pub(crate) fn print_verdict(verdict: &Verdict, clean: bool, flights: &Flights) -> Outcome<()> {
    let mut out = io::stdout().lock();
    for (label, rows) in faults(verdict) {
        for row in rows.iter().take(NAMED) {
            writeln!(out, "{label}: row {row}, {}", flights.describe(*row))?;
        }
        if let Some(more) = rows.len().checked_sub(NAMED).filter(|more| *more > 0) {
            writeln!(out, "{label}: and {more} more")?;
        }
    }
    let words = match clean {
        true => "Nothing was lost, nothing was skipped, and the log's answer is right.",
        false => "FAULT: see the table.",
    };
    writeln!(out, "{words}")?;
    Ok(out.flush()?)
}

fn faults(verdict: &Verdict) -> [(&'static str, &Vec<usize>); 5] {
    [
        ("lost", &verdict.lost),
        ("skipped", &verdict.skipped),
        ("appended twice", &verdict.twice),
        ("undone acknowledgements", &verdict.undone),
        ("wrong", &verdict.wrong),
    ]
}
