//! What the consumers do: workers that sometimes die in mid-work, and the analytics reader.
//!
//! Each of them first takes up what its own name left unfinished in an earlier life. Reports are
//! made before a call that asks for entries and after each call that returned (`wire.rs`).

use crate::Outcome;
use crate::csv;
use crate::hold::{Shared, row_of};
use crate::random::Random;
use crate::wire::{Group, How, Report};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use streamlog::{Consumer, Delivery, EntryId, GroupReadOptions, Start};

/// How long an entry must have been with a consumer before another one may claim it: longer than a
/// worker that is alive takes for what it reads at once.
const MIN_IDLE: Duration = Duration::from_millis(300);
/// How long a read waits for new entries.
const WAIT: Duration = Duration::from_millis(30);
/// The name of the one consumer of the analytics group.
const ANALYST: &str = "analyst";

/// Works until told to stop, which is `false`, or dead in mid-work, which is `true`.
pub(crate) fn work(shared: &Shared, name: &'static str, random: Random) -> Outcome<bool> {
    let group = shared.stream.group(Group::Workers.name(), Start::First)?;
    let rows = shared.flights.len() as u64;
    let mut worker = Worker {
        shared,
        consumer: group.consumer(name)?,
        name,
        random,
        pace: Pace::new(Duration::from_millis(1)),
        at_once: (rows / 10_000).clamp(4, 64),
        life_span: (rows / 15).max(60),
        cursor: EntryId::MIN,
    };
    let mut how = How::History;
    while !shared.stop.load(Ordering::Relaxed) {
        let delivery = worker.ask(how)?;
        if worker.take(how, &delivery)? {
            Report::Died { consumer: name }.send()?;
            return Ok(true);
        }
        // A worker that has nothing new to do looks for what others left; a busy one now and then.
        let claim = how == How::New && (delivery.is_empty() || worker.random.one_in(8));
        how = if claim { How::Claim } else { How::New };
    }
    Ok(false)
}

struct Worker<'a> {
    shared: &'a Shared,
    consumer: Consumer,
    name: &'static str,
    random: Random,
    pace: Pace,
    /// How many entries it reads at once, at most.
    at_once: u64,
    /// It dies about twice in so many entries.
    life_span: u64,
    /// Where its next claim begins.
    cursor: EntryId,
}

impl Worker<'_> {
    fn ask(&mut self, how: How) -> Outcome<Delivery> {
        Report::Ask { group: Group::Workers, consumer: self.name }.send()?;
        let count = self.random.between(1, self.at_once) as usize;
        let delivery = match how {
            How::New => {
                let options = GroupReadOptions::new().count(count).block(WAIT);
                self.consumer.read(options)?
            }
            How::History => self.consumer.history(EntryId::MIN, 0)?,
            How::Claim => {
                let claimed = self.consumer.auto_claim(self.cursor, MIN_IDLE, count)?;
                self.cursor = claimed.next.unwrap_or(EntryId::MIN);
                complete(&claimed.deleted)?;
                claimed.delivery
            }
        };
        complete(delivery.missing())?;
        Ok(delivery)
    }

    /// Works on what came; `true` if it died over it.
    fn take(&mut self, how: How, delivery: &Delivery) -> Outcome<bool> {
        for row in report_got(Group::Workers, self.name, how, delivery)? {
            let (row, id) = row;
            if self.work_on(row, id, delivery)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn work_on(&mut self, row: usize, id: EntryId, delivery: &Delivery) -> Outcome<bool> {
        let (group, consumer) = (Group::Workers, self.name);
        Report::Begin { consumer, row }.send()?;
        let fate = self.random.below(self.life_span);
        let half = self.shared.work / 2;
        self.pace.spend(half);
        if fate == 0 {
            return Ok(true);
        }
        self.pace.spend(half.mul_f64(self.random.below(201) as f64 / 100.0));
        Report::Finish { group, consumer, row }.send()?;
        if fate == 1 {
            return Ok(true);
        }
        let sabotage = self.shared.args.drop_ack == Some(row)
            && !self.shared.ack_dropped.swap(true, Ordering::Relaxed);
        // `false`: somebody else claimed the entry meanwhile and acknowledged it.
        if sabotage || delivery.ack(id)? {
            Report::Acked { group, consumer, row }.send()?;
        }
        Ok(false)
    }
}

/// Reads everything once, alone in its group.
pub(crate) fn analyse(shared: &Shared) -> Outcome<()> {
    let (group, consumer) = (Group::Analytics, ANALYST);
    let analyst = shared.stream.group(group.name(), Start::First)?.consumer(consumer)?;
    let mut how = How::History;
    while !shared.stop.load(Ordering::Relaxed) {
        Report::Ask { group, consumer }.send()?;
        let delivery = match how {
            How::History => analyst.history(EntryId::MIN, 0)?,
            _ => analyst.read(GroupReadOptions::new().count(32).block(WAIT))?,
        };
        complete(delivery.missing())?;
        let rows = report_got(group, consumer, how, &delivery)?;
        for &(row, _) in &rows {
            Report::Finish { group, consumer, row }.send()?;
        }
        let acked = delivery.ack_all()?;
        if acked != rows.len() as u64 {
            return Err(format!("{acked} of {} entries were acknowledged", rows.len()).into());
        }
        for (row, _) in rows {
            Report::Acked { group, consumer, row }.send()?;
        }
        how = How::New;
    }
    Ok(())
}

/// Tells of each entry of a delivery, and returns rows and IDs.
fn report_got(
    group: Group,
    consumer: &str,
    how: How,
    delivery: &Delivery,
) -> Outcome<Vec<(usize, EntryId)>> {
    let mut rows = Vec::with_capacity(delivery.len());
    for entry in delivery.iter() {
        let (row, id) = (row_of(entry)?, entry.id());
        Report::Got { group, consumer, how, row, id, sum: csv::checksum(entry.fields()) }.send()?;
        rows.push((row, id));
    }
    Ok(rows)
}

/// Nothing is deleted or trimmed here, so an entry that is gone is a fault.
fn complete(missing: &[EntryId]) -> Outcome<()> {
    match missing.first() {
        None => Ok(()),
        Some(id) => {
            Err(format!("{} pending entries are gone, the first {id}", missing.len()).into())
        }
    }
}

/// Spends time at a given rate, also where one step is far shorter than the shortest sleep.
pub(crate) struct Pace {
    least: Duration,
    debt: Duration,
}

impl Pace {
    /// Sleeps for at least this long, or not at all.
    pub(crate) fn new(least: Duration) -> Pace {
        let debt = Duration::ZERO;
        Pace { least, debt }
    }

    /// Sleeps for this long, now or together with the next steps.
    pub(crate) fn spend(&mut self, time: Duration) {
        self.debt += time;
        if self.debt >= self.least {
            let start = Instant::now();
            std::thread::sleep(self.debt);
            self.debt = self.debt.saturating_sub(start.elapsed());
        }
    }
}
