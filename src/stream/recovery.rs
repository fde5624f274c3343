//! Opening a stream's log on first use: recovery of its files, then of its state against them.

use super::idempotent::told_end_of;
use super::{ClampedGroup, Counters, EntryId, Error, ErrorKind, Event};
use super::{Home, Known, Live, Log, OnDamage, Refused, Result, Shared, Span, StoredOptions};
use super::{StreamInner, StreamState, deletions, recover};
use crate::format::event::Events;
use crate::format::record::LOST;
use crate::planted;
use crate::storage::cursor::{Forward, Place};
use crate::storage::log::Tail;
use crate::storage::recover::Recovered;
use std::sync::atomic::Ordering;

/// Where the stream with this number lies.
pub(super) fn home_of(shared: &Shared, number: u64) -> Home {
    Home::new(&shared.disk, shared.stream_dir(number), shared.uuid, number)
}

impl StreamInner {
    /// The log, recovered on first use.
    ///
    /// # Errors
    /// `Corrupt` and `GroupStateLost` for damage that is not to be skipped; `Io`.
    #[inline]
    pub(crate) fn log(&self, shared: &Shared) -> Result<&Log> {
        match self.log.get() {
            Some(log) => Ok(log),
            None => self.open_for_all(shared),
        }
    }

    /// Opens the log unless somebody else does so at the same time.
    #[cold]
    fn open_for_all(&self, shared: &Shared) -> Result<&Log> {
        let one = self.opening.lock();
        if let Some(log) = self.log.get() {
            return Ok(log);
        }
        if self.lost {
            return Err(Error::new(ErrorKind::GroupStateLost).at(&shared.dir));
        }
        shared.make_space();
        let log = match self.open(shared) {
            Err(error) if error.is_shortage() => {
                shared.rest_all_synced();
                self.open(shared)?
            }
            opened => opened?,
        };
        let log = self.log.get_or_init(|| Box::new(log));
        // Whoever stopped the store, if it is stopped, may not have seen this log.
        if let Err(cause) = shared.check_sound() {
            log.poison(cause);
        }
        drop(one);
        Ok(log)
    }

    /// The log for somebody who uses the stream and does not only look at it. From its first use on
    /// the stream keeps to its retention.
    pub(crate) fn log_to_use(&self, shared: &Shared) -> Result<&Log> {
        let log = self.log(shared)?;
        if !self.is_limited() {
            self.note_limits();
            if self.is_limited() && !planted::late_retention() {
                // What stands in the way now is told by the background, which tries again.
                drop(self.enforce(shared));
                self.ask_for_retention(shared);
            }
        }
        Ok(log)
    }

    /// Makes the stream's directory, durably: before the record of its creation.
    pub(crate) fn make_home(&self, shared: &Shared) -> Result<()> {
        let home = home_of(shared, self.number);
        let made = home.disk.create_dir(&home.dir);
        made.map_err(|e| Error::io("create directory", &home.dir, e))?;
        let synced = shared.sync_streams_dir();
        if synced.is_err() {
            drop(home.disk.remove_dir(&home.dir));
        }
        synced
    }

    fn open(&self, shared: &Shared) -> Result<Log> {
        // Recovery takes the mark off a copy, which without its record is no stream.
        let rests = shared.sync_journal(self.rests_on());
        // Where nothing is written any more, what is there can still be read.
        let stopped = shared.check_sound().is_err();
        if !stopped {
            rests?;
        }
        let home = home_of(shared, self.number);
        if let Err(e) = home.disk.read_dir(&home.dir)
            && e.kind() == std::io::ErrorKind::NotFound
        {
            if shared.options.on_damage == OnDamage::Refuse || stopped {
                let error = Error::corrupt("the stream's directory is missing");
                return Err(error.at(&home.dir));
            }
            self.make_home(shared)?;
        }
        let mut known = self.known(shared);
        known.read_only |= stopped;
        let mut recovered = recover(&home, &known)?;
        self.settle_state(shared, &mut recovered, stopped)?;
        let streams = &mut shared.report.lock().streams;
        let _only_once = self.reported.set(streams.len());
        streams.push(recovered.report);
        Ok(recovered.log)
    }

    fn known(&self, shared: &Shared) -> Known {
        let state = self.state.lock();
        let delivered = state.groups.max_delivered();
        Known {
            name: state.name.clone(),
            options: state.options.unwrap_or(StoredOptions::from(&shared.options.stream)),
            trimmed: state.trimmed,
            restart: state.restart,
            restarted_at: state.restarted_at,
            restart_unsure: state.restart_unsure,
            floor: match planted::floor_without_deliveries() {
                true => state.counters.floor,
                false => state.counters.floor.max(delivered),
            },
            durable: state.durable,
            skip_damage: shared.options.on_damage == OnDamage::Skip,
            read_only: shared.options.read_only,
        }
    }

    /// Marks deletions in the log, counts what lives, and takes groups back that are ahead of it.
    /// `stopped`: there is no journal any more that would take that.
    fn settle_state(
        &self,
        shared: &Shared,
        recovered: &mut Recovered,
        stopped: bool,
    ) -> Result<()> {
        let mut again = false;
        // All that is decided here, over several tries: it is applied at once.
        let (mut clamped, mut events) = (Vec::new(), Vec::from_iter(recovered.set_back.take()));
        let unsure = self.state.lock().restart_unsure;
        events.iter().for_each(|event| self.state.lock().apply(event));
        let (log, log_last_id) = (&recovered.log, recovered.log_last_id);
        events.extend(self.recover_table(log, recovered.keyed, unsure)?);
        loop {
            let mut state = self.lock_state()?;
            let (span, tail) = log.look();
            let (mut missing, first_id) = count_live(&mut state, log, &span, tail)?;
            // What deliveries say does not count here: it is what is to be taken back.
            let end = Tail { last_id: log_last_id.max(state.counters.floor), ..tail };
            let facts = state.facts(end, first_id);
            let more = match planted::journal_first() {
                true => Vec::new(),
                false => state.groups.clamp(&facts),
            };
            events.extend(more.iter().flat_map(|group| group.events.iter().cloned()));
            clamped.extend(more);
            let mut position = 0;
            if !events.is_empty() && !stopped {
                match shared.journal.append(&[(self.number, &events)], false) {
                    Ok(end) => position = end,
                    Err(Refused::Error(error)) => return Err(error),
                    Err(Refused::Full) => {
                        drop(state);
                        shared.make_room(again)?;
                        again = true;
                        continue;
                    }
                }
            }
            // What damage has swallowed may be there again one day, and stays deleted then.
            let gaps = log.home.damage.gaps();
            missing.retain(|id| gaps.iter().any(|gap| gap.after < *id && *id < gap.before));
            state.deleted = missing;
            let mut report = shared.report.lock();
            report.clamped.extend(clamped.into_iter().map(|group| ClampedGroup {
                stream: state.name.clone(),
                group: group.group,
                from: group.from,
                to: group.to,
                dropped: group.dropped,
            }));
            drop((report, state));
            // The entries to come may take the IDs over which a group was taken back (a position
            // that a caller set keeps none from being given). Were this lost once they are there,
            // the group would pass them over.
            return planted::unless(planted::lazy_taking_back(), || shared.sync_journal(position));
        }
    }

    /// Copies the state for a checkpoint; `None` if there is none. `covers` is asked while nothing
    /// can change it: what writes records of names holds the lock on these, which the caller holds
    /// too, and everything else the state's.
    pub(crate) fn freeze(&self, covers: &mut dyn FnMut() -> u64) -> Option<Frozen> {
        let mut state = self.state.lock();
        if state.removed || state.options.is_none() {
            return None;
        }
        if let Some(log) = self.log.get() {
            state.recorded = state.recorded.max(log.durable_append_trim());
        }
        let position = self.durable_position(&state);
        let durable = (position > 0).then_some(Event::Durable { position });
        let told = self.told_end(&state);
        Some(Frozen {
            // A refusal outlives the checkpoint that forgets the damaged record.
            covers: if self.lost { LOST } else { covers() },
            events: Box::new(state.dump(told).chain(durable)),
            counters: state.counters,
            deleted: state.deleted.clone(),
            marked: match planted::deletions_dropped() {
                true => Vec::new(),
                false => self.marked_deletions(&state),
            },
        })
    }

    /// The end of the frames whose producers a checkpoint may tell: all that is durable, once the
    /// log is open and its frames are looked at.
    fn told_end(&self, state: &StreamState) -> u64 {
        let covered = state.idempotency.as_ref().map_or(0, |table| table.covered());
        self.log.get().map_or(covered, |log| told_end_of(log).max(covered))
    }

    fn durable_position(&self, state: &StreamState) -> u64 {
        let log = self.log.get().filter(|log| !log.is_poisoned());
        log.map_or(0, |log| log.commit.durable()).max(state.durable)
    }

    /// Tells the journal where the log ended, durably, when the store was closed. Frames that are
    /// lost at its end could not be missed otherwise. And what producers have appended, so that the
    /// next open need not look for it.
    pub(crate) fn note_end(&self, shared: &Shared) -> Result<()> {
        let mut again = false;
        loop {
            let mut state = self.state.lock();
            let position = self.durable_position(&state);
            if state.removed {
                return Ok(());
            }
            let told = (position > state.durable).then_some(Event::Durable { position });
            let mut events = Vec::from_iter(told);
            events.extend(self.mark(&state));
            if events.is_empty() {
                return Ok(());
            }
            match shared.journal.append(&[(self.number, &events)], false) {
                Ok(_) => {
                    events.iter().for_each(|event| state.apply(event));
                    return Ok(());
                }
                Err(Refused::Error(error)) => return Err(error),
                Err(Refused::Full) => {
                    drop(state);
                    shared.make_room(again)?;
                    again = true;
                }
            }
        }
    }

    /// The deletions that are marked in the log, as ordinals of segments: copying them is all that
    /// has to be done while the stream stands still.
    fn marked_deletions(&self, state: &StreamState) -> Vec<(Span, usize, Vec<u32>)> {
        let Some(log) = self.log.get() else {
            return Vec::new();
        };
        if state.live.is_none() {
            return Vec::new();
        }
        let span = log.written_span();
        let mut marked = Vec::new();
        for (n, segment) in span.segments.iter().enumerate() {
            if segment.deleted_count() > 0 {
                marked.push((
                    Span { trimmed: EntryId::MIN, ..span.clone() },
                    n,
                    segment.deleted_ordinals(),
                ));
            }
        }
        marked
    }
}

/// The state of a stream at one moment, all in memory; what takes reading comes afterwards.
pub(crate) struct Frozen {
    covers: u64,
    events: Events,
    counters: Counters,
    deleted: Vec<EntryId>,
    marked: Vec<(Span, usize, Vec<u32>)>,
}

impl Frozen {
    /// The state as events, and the last record that they cover.
    pub(crate) fn events(self) -> Result<(u64, Events)> {
        let Frozen { mut covers, events, counters, mut deleted, marked } = self;
        deleted.sort_unstable();
        deleted.dedup();
        // What was deleted goes behind the counters, which already account for it.
        for (span, segment, ordinals) in marked {
            let (ids, whole) = ids_of(&span, segment, &ordinals)?;
            deleted.extend(ids);
            // Where a frame went bad under way, nobody can say any more what was deleted there. The
            // other streams' state must go on all the same, and nothing may come back unsaid.
            if !whole {
                covers = LOST;
            }
        }
        let mut more: Vec<Event> = deletions(&deleted).collect();
        // Last, as they stand for all that came before.
        more.push(Event::Counters(counters));
        Ok((covers, Box::new(events.chain(more))))
    }
}

/// The IDs of entries given by their numbers within a segment, ascending, and whether these are all
/// that matter: those in damage that is stepped over do not.
fn ids_of(span: &Span, segment: usize, ordinals: &[u32]) -> Result<(Vec<EntryId>, bool)> {
    let mut whole = true;
    let mut ids = Vec::with_capacity(ordinals.len());
    let mut walk: Option<Forward> = None;
    let mut place: Option<Place> = None;
    let mut reading = span.reading();
    for ordinal in ordinals {
        // Near ones are reached by walking on, far ones by the index.
        if place.is_none_or(|place| ordinal.saturating_sub(place.ordinal) > 128) {
            (walk, place) = (span.walk_from(segment, *ordinal), None);
        }
        while place.is_none_or(|place| place.ordinal < *ordinal) {
            place = match walk.as_mut().map_or(Ok(None), |walk| walk.next(&mut reading)) {
                Err(error) if error.is_corruption() => {
                    whole = false;
                    None
                }
                next => next?.filter(|place| place.segment as usize == segment),
            };
            if place.is_none() {
                break;
            }
        }
        ids.extend(place.filter(|place| place.ordinal == *ordinal).map(|place| place.id));
    }
    Ok((ids, whole))
}

/// Marks deletions in a log that was just recovered, and counts what lives. Returns what was to be
/// deleted and is not there, and the first live ID.
fn count_live(
    state: &mut StreamState,
    log: &Log,
    span: &Span,
    tail: Tail,
) -> Result<(Vec<EntryId>, Option<EntryId>)> {
    if !planted::floor_without_trims() {
        state.apply(&Event::Trimmed { to: span.trimmed });
    }
    let deleted = std::mem::take(&mut state.deleted);
    let marked = mark_deleted(span, &deleted);
    state.deleted = deleted;
    let missing = marked?;
    let mut live = Live::new(span, state.trimmed, tail)?;
    let first_id = live.first_id(span, tail)?;
    live.refresh(span, tail);
    if live.last_block_is_dead(span, tail) {
        log.restart_block.store(true, Ordering::Release);
    }
    state.live = Some(live);
    Ok((missing, first_id))
}

/// Marks deletions in a log that was just recovered. Returns those whose entries are not there.
fn mark_deleted(span: &Span, ids: &[EntryId]) -> Result<Vec<EntryId>> {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut missing = Vec::new();
    for id in sorted {
        if let Some(place) = span.find(id)?
            && let Some(segment) = span.segments.get(place.segment as usize)
        {
            segment.delete(place.ordinal);
        } else {
            missing.push(id);
        }
    }
    Ok(missing)
}
