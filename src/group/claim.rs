//! Claims: XCLAIM and XAUTOCLAIM.

use super::counters::LogFacts;
use super::pending::{MAX_COUNT, more};
use super::read::for_each_chunk;
use super::state::GroupState;
use crate::error::{Error, ErrorKind, Result};
use crate::format::event::{ConsumerNumber, Event, PendingRecord};
use crate::id::EntryId;
use crate::options::{ClaimOptions, ClaimTime};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many records XAUTOCLAIM looks at for each one that it may return.
const ATTEMPTS: u64 = 10;
/// XAUTOCLAIM refuses counts above this, as Redis does.
const MAX_AUTO_CLAIM: u64 = i64::MAX as u64 / 16;

/// What XCLAIM decided. Once the events are applied, the claim is made.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ClaimOutcome {
    pub(crate) events: Vec<Event>,
    /// In the order in which they were asked for.
    pub(crate) claimed: Vec<EntryId>,
}

/// What XAUTOCLAIM decided.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct AutoClaimOutcome {
    pub(crate) events: Vec<Event>,
    /// Ascending.
    pub(crate) claimed: Vec<EntryId>,
    /// Pending IDs whose entries were gone. Ascending.
    pub(crate) deleted: Vec<EntryId>,
    /// The pending ID with which to go on; `None` at the end.
    pub(crate) next: Option<EntryId>,
}

/// What a claim has done so far to one pending record.
#[derive(Clone, Copy)]
enum Step {
    Removed,
    Claimed(PendingRecord),
}

/// A duration in whole milliseconds, as Redis counts.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Whether a record may be taken from whoever has it. What nobody owns may always.
fn is_idle(record: &PendingRecord, min_idle_ms: u64, now: u64) -> bool {
    record.owner.is_none() || now.saturating_sub(record.time_ms) >= min_idle_ms
}

fn delivery_time(time: Option<ClaimTime>, now: u64) -> u64 {
    let time = match time {
        None => Some(now),
        Some(ClaimTime::Idle(idle)) => now.checked_sub(millis(idle)),
        Some(ClaimTime::At(time)) => Some(time),
    };
    // A time before 1970 or in the future counts as now, as in Redis.
    time.filter(|time| *time <= now).unwrap_or(now)
}

impl GroupState {
    /// XCLAIM. `exists` tells whether an entry lives; `just_ids` is JUSTID.
    ///
    /// # Errors
    /// Whatever `exists` fails with; `InvalidName` for the name of a new consumer.
    #[allow(clippy::too_many_arguments)] // As many as the command has.
    pub(crate) fn claim(
        &self,
        consumer: &[u8],
        ids: &[EntryId],
        options: &ClaimOptions,
        just_ids: bool,
        now: u64,
        facts: &LogFacts,
        exists: &mut dyn FnMut(EntryId) -> Result<bool>,
    ) -> Result<ClaimOutcome> {
        let (consumer, attended) = self.attend(consumer, now)?;
        let mut outcome = ClaimOutcome::default();
        outcome.events.push(attended);
        if let Some(last_id) = options.last_id {
            outcome.events.extend(self.raise(last_id, facts));
        }
        // An ID that is asked for again finds what the first time left behind.
        let mut steps: BTreeMap<EntryId, Step> = BTreeMap::new();
        let mut records = Vec::with_capacity(ids.len());
        for id in ids.iter().copied() {
            let found = match steps.get(&id) {
                Some(Step::Removed) => None,
                Some(Step::Claimed(record)) => Some(*record),
                None => self.pending.get(id),
            };
            if found.is_none() && !options.force {
                continue;
            }
            if !exists(id)? {
                if found.is_some() {
                    steps.insert(id, Step::Removed);
                }
                continue;
            }
            // FORCE makes a record as if it had been delivered once, to nobody.
            let found = found.unwrap_or(PendingRecord { id, owner: None, time_ms: now, count: 1 });
            if !is_idle(&found, millis(options.min_idle), now) {
                continue;
            }
            let record = taken(found, consumer, options, just_ids, now);
            steps.insert(id, Step::Claimed(record));
            records.push(record);
            outcome.claimed.push(id);
        }
        let is_removed = |(id, step): (EntryId, Step)| matches!(step, Step::Removed).then_some(id);
        self.removed(steps.into_iter().filter_map(is_removed).collect(), &mut outcome.events);
        self.claimed(records, now, &mut outcome.events);
        Ok(outcome)
    }

    /// XAUTOCLAIM.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a count of 0 or one that is too large; as
    /// [`GroupState::claim`].
    #[allow(clippy::too_many_arguments)] // As many as the command has.
    pub(crate) fn auto_claim(
        &self,
        consumer: &[u8],
        min_idle: Duration,
        start: EntryId,
        count: u64,
        just_ids: bool,
        now: u64,
        exists: &mut dyn FnMut(EntryId) -> Result<bool>,
    ) -> Result<AutoClaimOutcome> {
        check_count(count)?;
        let (consumer, attended) = self.attend(consumer, now)?;
        let mut outcome = AutoClaimOutcome::default();
        outcome.events.push(attended);
        let min_idle_ms = millis(min_idle);
        let mut left = count;
        let mut attempts = count.saturating_mul(ATTEMPTS);
        let mut records = Vec::new();
        for found in self.pending.from(start) {
            if left == 0 || attempts == 0 {
                outcome.next = Some(found.id);
                break;
            }
            attempts -= 1;
            if !exists(found.id)? {
                outcome.deleted.push(found.id);
                left -= 1;
            } else if is_idle(&found, min_idle_ms, now) {
                records.push(auto_claimed(&found, consumer, just_ids, now));
                outcome.claimed.push(found.id);
                left -= 1;
            }
        }
        self.removed(outcome.deleted.clone().into(), &mut outcome.events);
        self.claimed(records, now, &mut outcome.events);
        Ok(outcome)
    }

    /// What a read may claim, in the order in which it does: what was given back, then the rest by
    /// when it was delivered. The time of what was given back is 0, as in Redis.
    pub(crate) fn due(&self, min_idle: Duration, now: u64) -> impl Iterator<Item = PendingRecord> {
        let min_idle_ms = millis(min_idle);
        let back = self.pending.given_back().filter(move |_| now >= min_idle_ms);
        let back = back.map(|record| PendingRecord { time_ms: 0, ..record });
        // Where the clock was set back, what was delivered in the future is idle for no time.
        let upto = if min_idle_ms == 0 { Some(u64::MAX) } else { now.checked_sub(min_idle_ms) };
        back.chain(upto.into_iter().flat_map(|upto| self.pending.by_time(upto)))
    }

    /// When the next pending entry that lives has been idle for so long.
    ///
    /// # Errors
    /// Whatever `exists` fails with.
    pub(crate) fn due_at(
        &self,
        min_idle: Duration,
        now: u64,
        exists: &mut dyn FnMut(EntryId) -> Result<bool>,
    ) -> Result<u64> {
        let all = self.due(Duration::ZERO, now);
        for record in all {
            if exists(record.id)? {
                return Ok(record.time_ms.saturating_add(millis(min_idle)));
            }
        }
        Ok(now.saturating_add(millis(min_idle)))
    }

    /// The step that goes with a read's claims: `found` as they were.
    pub(crate) fn taken_over(
        &self,
        consumer: ConsumerNumber,
        found: &[PendingRecord],
        now: u64,
        out: &mut Vec<Event>,
    ) {
        let taken = found.iter().map(|found| auto_claimed(found, consumer, false, now));
        self.claimed(taken.collect(), now, out);
    }

    fn claimed(&self, records: Vec<PendingRecord>, now: u64, out: &mut Vec<Event>) {
        for_each_chunk(records, |records| {
            out.push(Event::PendingSet { group: self.number, records, active_ms: Some(now) });
        });
    }
}

fn check_count(count: u64) -> Result<()> {
    let reason = match count {
        0 => "it must be greater than 0",
        1..=MAX_AUTO_CLAIM => return Ok(()),
        _ => "it is too large",
    };
    Err(Error::new(ErrorKind::InvalidArgument { argument: "count", reason }))
}

fn taken(
    found: PendingRecord,
    consumer: ConsumerNumber,
    options: &ClaimOptions,
    just_ids: bool,
    now: u64,
) -> PendingRecord {
    PendingRecord {
        id: found.id,
        owner: Some(consumer),
        time_ms: delivery_time(options.time, now),
        count: match options.retry_count {
            Some(count) => count.min(MAX_COUNT),
            None if just_ids => found.count,
            None => more(found.count),
        },
    }
}

fn auto_claimed(
    found: &PendingRecord,
    consumer: ConsumerNumber,
    just_ids: bool,
    now: u64,
) -> PendingRecord {
    PendingRecord {
        id: found.id,
        owner: Some(consumer),
        time_ms: now,
        count: if just_ids { found.count } else { more(found.count) },
    }
}
