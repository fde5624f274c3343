//! What the witness knows: every flight of the CSV and what the reports said of it.
//!
//! Pure bookkeeping without processes or files; the words are defined in `main.rs`. Invariant:
//! nothing in here comes from the store's own counters, and no report can make a row forget what
//! an earlier one said of it.

use crate::Outcome;
use crate::csv::Flights;
use crate::wire::{Group, How, Report};
use std::ops::Range;
use streamlog::EntryId;

/// Everything that was reported so far.
pub(crate) struct Tally<'a> {
    flights: &'a Flights,
    rows: Vec<Row>,
    /// A dozen at most, so that looking one up is a short walk.
    consumers: Vec<(Group, String, Consumer)>,
    last_appended: Option<usize>,
    /// The number of reports so far; it orders them.
    now: u64,
    /// How many reports of the present child told of progress on an entry.
    steps: u64,
    kills: u64,
    found_late: u64,
    done: u64,
    /// How many things were reported for the first time; if it stands still, so does the work.
    news: u64,
    cancelled: u64,
    drained: bool,
}

/// What is known of one flight.
#[derive(Clone, Default)]
struct Row {
    appended: bool,
    /// A confirmed append that was gone after a restart.
    gone: bool,
    id: Option<EntryId>,
    twice: bool,
    wrong: bool,
    seen: bool,
    shares: [Share; Group::ALL.len()],
}

/// What is known of one flight in one group.
#[derive(Clone, Default)]
struct Share {
    got: u64,
    finished: bool,
    acked_at: Option<u64>,
    /// A kill struck while the acknowledgement was under way, and the row did not come back.
    cut: bool,
    undone: bool,
}

/// What is known of one consumer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Consumer {
    /// Rows that the group had not been given before.
    pub(crate) delivered: u64,
    /// Rows that the group had been given before.
    pub(crate) redelivered: u64,
    /// How many of its deliveries were claims.
    pub(crate) claimed: u64,
    pub(crate) finished: u64,
    pub(crate) acked: u64,
    pub(crate) deaths: u64,
    asked_at: u64,
    working_on: Option<(u64, usize)>,
    acknowledging: Vec<usize>,
}

/// What a kill struck.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// The last entry that a worker had begun and not finished, with the worker; or the last one
    /// appended, if the kill was meant for an append or no worker was at work.
    pub(crate) row: Option<usize>,
    pub(crate) id: Option<EntryId>,
    pub(crate) worker: Option<String>,
    /// Entries that some consumer was working on or acknowledging.
    pub(crate) in_hand: usize,
}

/// One group's part of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) delivered: u64,
    pub(crate) redelivered: u64,
    pub(crate) acknowledged: u64,
    /// How many of these were acknowledgements whose answer a kill swallowed.
    pub(crate) cut: u64,
    pub(crate) pending: u64,
}

/// What became of all rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) rows: u64,
    pub(crate) appended: u64,
    /// How many of these had their confirmation swallowed by a kill.
    pub(crate) found_late: u64,
    pub(crate) sums: [Sums; Group::ALL.len()],
    pub(crate) lost: Vec<usize>,
    pub(crate) skipped: Vec<usize>,
    pub(crate) twice: Vec<usize>,
    pub(crate) undone: Vec<usize>,
    pub(crate) wrong: Vec<usize>,
    /// Cancelled flights of the day, by the reader and by the CSV.
    pub(crate) cancelled: (u64, u64),
}

impl Verdict {
    /// Whether nothing at all is amiss.
    pub(crate) fn is_clean(&self) -> bool {
        let faults = [&self.lost, &self.skipped, &self.twice, &self.undone, &self.wrong];
        faults.iter().all(|rows| rows.is_empty())
            && self.appended == self.rows
            && self.sums.iter().all(|sums| sums.pending == 0)
            && self.cancelled.0 == self.cancelled.1
    }
}

impl<'a> Tally<'a> {
    pub(crate) fn new(flights: &'a Flights) -> Tally<'a> {
        Tally {
            flights,
            rows: vec![Row::default(); flights.len()],
            consumers: Vec::new(),
            last_appended: None,
            now: 0,
            steps: 0,
            kills: 0,
            found_late: 0,
            done: 0,
            news: 0,
            cancelled: 0,
            drained: false,
        }
    }

    /// Takes note of a report.
    pub(crate) fn note(&mut self, report: &Report<'_>) -> Outcome<()> {
        self.now += 1;
        match *report {
            Report::Last(last) => self.note_last(last)?,
            Report::Appended { row, id } => self.note_appended(row, id)?,
            Report::Ask { group, consumer } => {
                let now = self.now;
                let state = self.consumer(group, consumer);
                state.rest();
                state.asked_at = now;
            }
            Report::Got { .. } => self.note_got(report)?,
            Report::Begin { consumer, row } => {
                let now = self.now;
                let state = self.consumer(Group::Workers, consumer);
                state.rest();
                state.working_on = Some((now, row));
                self.steps += 1;
            }
            Report::Finish { group, consumer, row } => self.note_finish(group, consumer, row)?,
            Report::Acked { group, consumer, row } => self.note_acked(group, consumer, row)?,
            Report::Died { consumer } => {
                let state = self.consumer(Group::Workers, consumer);
                state.rest();
                state.deaths += 1;
            }
            Report::Seen { row, id, sum, cancelled } => {
                self.check_entry(row, id, sum)?;
                let before = std::mem::replace(&mut self.row(row)?.seen, true);
                self.news += u64::from(!before);
                self.cancelled += u64::from(cancelled);
            }
            Report::Drained => self.drained = true,
        }
        Ok(())
    }

    /// A new child reads the log's last entry: everything up to it is there, and nothing behind.
    fn note_last(&mut self, last: Option<(usize, EntryId)>) -> Outcome<()> {
        let end = last.map_or(0, |(row, _)| row + 1);
        if let Some((row, id)) = last {
            self.check_id(row, id)?;
        }
        for (number, row) in self.rows.iter_mut().enumerate() {
            if number >= end {
                row.gone |= row.appended;
            } else if !row.appended {
                row.appended = true;
                self.found_late += 1;
            }
        }
        Ok(())
    }

    fn note_appended(&mut self, row: usize, id: EntryId) -> Outcome<()> {
        let state = self.row(row)?;
        // The child would not append it again if it had found it.
        state.gone |= state.appended;
        state.appended = true;
        self.news += 1;
        self.last_appended = Some(row);
        self.steps += 1;
        self.check_id(row, id)
    }

    fn note_got(&mut self, report: &Report<'_>) -> Outcome<()> {
        let &Report::Got { group, consumer, how, row, id, sum } = report else {
            return Ok(());
        };
        self.check_entry(row, id, sum)?;
        self.steps += 1;
        let asked_at = self.consumer(group, consumer).asked_at;
        let share = self.share(group, row)?;
        let again = share.got > 0;
        share.got += 1;
        share.cut = false;
        // An acknowledgement that was confirmed while the call was under way may have come second.
        share.undone |= share.acked_at.is_some_and(|acked_at| acked_at < asked_at);
        let state = self.consumer(group, consumer);
        state.delivered += u64::from(!again);
        state.redelivered += u64::from(again);
        state.claimed += u64::from(how == How::Claim);
        Ok(())
    }

    fn note_finish(&mut self, group: Group, consumer: &str, row: usize) -> Outcome<()> {
        let before = std::mem::replace(&mut self.share(group, row)?.finished, true);
        self.news += u64::from(!before);
        self.steps += 1;
        let state = self.consumer(group, consumer);
        state.working_on = None;
        state.finished += 1;
        state.acknowledging.push(row);
        Ok(())
    }

    fn note_acked(&mut self, group: Group, consumer: &str, row: usize) -> Outcome<()> {
        let now = self.now;
        let before = self.share(group, row)?.acked_at.replace(now);
        self.done += u64::from(group == Group::Workers && before.is_none());
        self.news += u64::from(before.is_none());
        self.steps += 1;
        let state = self.consumer(group, consumer);
        state.acked += 1;
        state.acknowledging.retain(|other| *other != row);
        Ok(())
    }

    /// The child was killed: whatever it had in hand stays as it is. Begins the next child.
    pub(crate) fn killed(&mut self, at_append: bool) -> Hit {
        let mut latest = None;
        let mut in_hand = 0;
        for (group, name, state) in &mut self.consumers {
            for row in &state.acknowledging {
                if let Some(row) = self.rows.get_mut(*row) {
                    row.shares[*group as usize].cut = true;
                }
            }
            in_hand += state.acknowledging.len() + usize::from(state.working_on.is_some());
            latest = latest.max(state.working_on.map(|(at, row)| (at, row, name.clone())));
            state.rest();
        }
        self.steps = 0;
        self.kills += 1;
        let (row, worker) = match latest {
            Some((_, row, worker)) if !at_append => (Some(row), Some(worker)),
            _ => (self.last_appended, None),
        };
        let id = row.and_then(|row| self.rows.get(row)).and_then(|row| row.id);
        Hit { row, id, worker, in_hand }
    }

    /// How much the present child has told of.
    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// Whether the last child came to its end.
    pub(crate) fn take_drained(&mut self) -> bool {
        std::mem::take(&mut self.drained)
    }

    /// Whether the acknowledgement of a row was confirmed to a worker.
    pub(crate) fn is_acked(&self, row: usize) -> bool {
        let share = self.rows.get(row).map(|row| &row.shares[Group::Workers as usize]);
        share.is_some_and(|share| share.acked_at.is_some())
    }

    /// How often something was reported for the first time.
    pub(crate) fn news(&self) -> u64 {
        self.news
    }

    /// How many children were killed.
    pub(crate) fn kills(&self) -> u64 {
        self.kills
    }

    /// How many rows the workers acknowledged.
    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    /// The consumers of a group by name.
    pub(crate) fn consumers(&self, group: Group) -> Vec<(&str, &Consumer)> {
        let of_group = self.consumers.iter().filter(|(of, ..)| *of == group);
        let mut found: Vec<_> = of_group.map(|(_, name, state)| (name.as_str(), state)).collect();
        found.sort_by_key(|(name, _)| *name);
        found
    }

    /// Counts everything; `day` are the times that the reader was asked for.
    pub(crate) fn verdict(&self, day: &Range<u64>) -> Verdict {
        let day = self.flights.within(day);
        let mut verdict = Verdict {
            rows: self.rows.len() as u64,
            found_late: self.found_late,
            ..Verdict::default()
        };
        for (number, row) in self.rows.iter().enumerate() {
            let in_day = day.contains(&number);
            let [workers, analytics] = &row.shares;
            let note = |list: &mut Vec<usize>, is: bool| {
                if is {
                    list.push(number);
                }
            };
            verdict.appended += u64::from(row.appended);
            note(&mut verdict.lost, row.gone || !workers.finished || (in_day && !row.seen));
            note(&mut verdict.skipped, workers.got == 0 || analytics.got == 0);
            note(&mut verdict.twice, row.twice);
            note(&mut verdict.undone, workers.undone || analytics.undone);
            note(&mut verdict.wrong, row.wrong);
            for (sums, share) in verdict.sums.iter_mut().zip(&row.shares) {
                sums.add(share);
            }
        }
        let by_csv = day.filter(|row| self.flights.cancelled(*row)).count();
        verdict.cancelled = (self.cancelled, by_csv as u64);
        verdict
    }

    /// Compares an entry that came out of the log with the CSV and with earlier reports.
    fn check_entry(&mut self, row: usize, id: EntryId, sum: u64) -> Outcome<()> {
        self.check_id(row, id)?;
        let wrong = self.flights.checksum(row) != sum;
        self.row(row)?.wrong |= wrong;
        Ok(())
    }

    fn check_id(&mut self, row: usize, id: EntryId) -> Outcome<()> {
        let wrong = self.flights.ms(row) != Some(id.ms);
        let state = self.row(row)?;
        state.wrong |= wrong;
        state.twice |= state.id.is_some_and(|other| other != id);
        state.id = Some(id);
        Ok(())
    }

    fn row(&mut self, row: usize) -> Outcome<&mut Row> {
        let found = self.rows.get_mut(row);
        found.ok_or_else(|| format!("the child told of row {row}, which the CSV has not").into())
    }

    fn share(&mut self, group: Group, row: usize) -> Outcome<&mut Share> {
        Ok(&mut self.row(row)?.shares[group as usize])
    }

    fn consumer(&mut self, group: Group, name: &str) -> &mut Consumer {
        let known = |(of, other, _): &(Group, String, Consumer)| *of == group && other == name;
        let place = self.consumers.iter().position(known).unwrap_or_else(|| {
            self.consumers.push((group, name.to_owned(), Consumer::default()));
            self.consumers.len() - 1
        });
        &mut self.consumers[place].2
    }
}

impl Consumer {
    /// Nothing is in its hands any more.
    fn rest(&mut self) {
        self.working_on = None;
        self.acknowledging.clear();
    }
}

impl Sums {
    fn add(&mut self, share: &Share) {
        let acknowledged = share.acked_at.is_some() || share.cut;
        self.delivered += u64::from(share.got > 0);
        self.redelivered += share.got.saturating_sub(1);
        self.acknowledged += u64::from(acknowledged);
        self.cut += u64::from(share.cut && share.acked_at.is_none());
        self.pending += u64::from(share.got > 0 && !acknowledged);
    }
}
