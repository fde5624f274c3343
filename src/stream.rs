//! A stream: its log, its state, and the calls on it.
//!
//! Lock order: the store's `names`, then the log's writer, then `state`, then the journal and the
//! leaf locks of the log. Nothing here holds a lock over a sync or over a caller's code: fields are
//! encoded before any lock is taken.

use crate::entry::{Entry, EntryRef, NewEntries, encode_fields};
use crate::error::{Error, ErrorKind, Result};
use crate::format::event::{Counters, Event, StoredOptions};
use crate::id::{EntryId, NewId, next_id};
use crate::journal::Refused;
use crate::notify::WaitList;
use crate::options::{
    AppendOptions, BatchOptions, Deletion, Durability, OnDamage, ReadOptions, RefPolicy, Start,
    StreamOptions, Trim,
};
use crate::planted;
use crate::read::{Batch, Budget, OwnedRange, Snapshot};
use crate::state::{StreamState, deletions};
use crate::storage::cursor::Span;
use crate::storage::live::{Live, TrimPlan};
use crate::storage::log::{Appender, Log, Restart, Tail};
use crate::storage::recover::{Gap, Known, recover};
use crate::storage::segment::{Home, Segment};
use crate::store::{ClampedGroup, Handle, Shared};
use crate::sync::Deadline;
use parking_lot::{Mutex, MutexGuard};
use std::cell::Cell;
use std::ops::RangeBounds;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

mod api;
mod care;
mod copy;
mod delete;
mod durable;
mod info;
mod pick;
mod recovery;
mod set_id;
mod ticket;
mod trim;
pub use api::Stream;
pub use info::{StreamDetails, StreamInfo};
pub(crate) use recovery::Frozen;
pub use ticket::Ticket;
use trim::count_trim;

/// Behind a pointer, which is taken out and put back in one step.
#[derive(Default)]
struct Scratch(Vec<u8>);

thread_local! {
    /// Field lists are encoded here, outside all locks and without an allocation of their own.
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
    /// What a call decides, without an allocation of its own either.
    static EVENTS: Cell<Vec<Event>> = const { Cell::new(Vec::new()) };
}

/// What all handles of a stream share.
pub(crate) struct StreamInner {
    pub(crate) number: u64,
    pub(crate) state: Mutex<StreamState>,
    log: OnceLock<Log>,
    opening: Mutex<()>,
    /// Which of the store's reports on streams is on this one.
    reported: OnceLock<usize>,
    pub(crate) waiters: Arc<WaitList>,
    gone: AtomicBool,
    /// The journal has a gap in this stream's records.
    lost: bool,
    /// `None` until the first handle is given out.
    level: Mutex<Option<Durability>>,
    /// Appends block while more bytes than this are not on disk.
    max_unsynced: AtomicU64,
    /// Behind the record without which entries that are appended now would not be found: that of
    /// the stream's creation, or of the restart of its log.
    rests_on: AtomicU64,
    /// The background was asked to prepare a segment.
    asked: AtomicBool,
    /// The background was asked for a sync, whatever the level says.
    asked_sync: AtomicBool,
    /// Its retention has limits, and the stream is used; what its groups do counts besides.
    limited: AtomicBool,
    limited_by_groups: AtomicBool,
}

impl std::fmt::Debug for StreamInner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StreamInner({})", self.number)
    }
}

/// Whether these events are not recorded, because of a planted fault.
fn is_skipped(events: &[Event]) -> bool {
    events.iter().any(|event| match event {
        Event::PendingRemoved { .. } => planted::ack_skipped(),
        Event::OptionsSet { .. } => planted::retention_forgotten(),
        Event::PendingSet { .. } => planted::claim_skipped(),
        _ => false,
    })
}

/// The state together with all that a decision needs to know of the log.
pub(crate) struct Locked<'a> {
    pub(crate) state: MutexGuard<'a, StreamState>,
    pub(crate) span: Span,
    pub(crate) tail: Tail,
}

impl Locked<'_> {
    pub(crate) fn facts(&mut self) -> Result<crate::group::LogFacts> {
        let first = match &mut self.state.live {
            Some(live) => {
                let first = live.first_id(&self.span, self.tail)?;
                live.refresh(&self.span, self.tail);
                first
            }
            None => None,
        };
        Ok(self.state.facts(self.tail, first))
    }

    /// Adds what appends have trimmed to events that pass such entries over for good: their record
    /// may outlast the frame that says so, and then the entries must not be there again behind it.
    pub(crate) fn keep_trim(&self, events: &mut Vec<Event>) {
        let to = self.state.trimmed;
        if self.state.recorded < to && !planted::trim_untold() {
            events.insert(0, Event::Trimmed { to });
        }
    }

    /// Changes the state by events that are in the journal, and hides what they delete.
    fn apply(&mut self, log: Option<&Log>, events: &[Event]) {
        for event in events {
            self.state.apply(event);
            if let (Event::Deleted { ids }, Some(live)) = (event, &mut self.state.live) {
                hide(live, &self.span, self.tail, log, ids);
            }
        }
    }
}

/// Marks entries deleted that were found alive a moment ago, under the same lock.
fn hide(live: &mut Live, span: &Span, tail: Tail, log: Option<&Log>, ids: &[EntryId]) {
    for id in ids {
        if let Ok(Some(place)) = span.find(*id) {
            live.delete(span, &place);
        }
    }
    let Some(log) = log else { return };
    if live.last_block_is_dead(span, tail) {
        log.restart_block.store(true, Ordering::Release);
    }
    if live.first_segment_is_dead(span) {
        log.ask_for_care();
    }
}

impl StreamInner {
    pub(crate) fn new(number: u64, state: StreamState, lost: bool) -> StreamInner {
        StreamInner {
            number,
            state: Mutex::new(state),
            log: OnceLock::new(),
            opening: Mutex::new(()),
            reported: OnceLock::new(),
            waiters: Arc::new(WaitList::new()),
            gone: AtomicBool::new(false),
            lost,
            level: Mutex::new(None),
            max_unsynced: AtomicU64::new(u64::MAX),
            rests_on: AtomicU64::new(0),
            asked: AtomicBool::new(false),
            asked_sync: AtomicBool::new(false),
            limited: AtomicBool::new(false),
            limited_by_groups: AtomicBool::new(false),
        }
    }

    pub(crate) fn open_log(&self) -> Option<&Log> {
        self.log.get()
    }

    /// The damage that is known by now, and which report it belongs to.
    pub(crate) fn damage(&self) -> Option<(usize, Vec<Gap>)> {
        let log = self.log.get()?;
        Some((*self.reported.get()?, log.home.damage.gaps()))
    }

    pub(crate) fn level(&self, shared: &Shared) -> Durability {
        self.level.lock().unwrap_or(shared.options.durability)
    }

    pub(crate) fn rests_on(&self) -> u64 {
        self.rests_on.load(Ordering::Acquire)
    }

    pub(crate) fn set_rests_on(&self, position: u64) {
        self.rests_on.store(position, Ordering::Release);
    }

    #[inline]
    fn check(&self, shared: &Shared) -> Result<()> {
        shared.check_open()?;
        if self.gone.load(Ordering::Acquire) { Err(self.no_stream()) } else { Ok(()) }
    }

    #[cold]
    fn no_stream(&self) -> Error {
        Error::new(ErrorKind::NoStream { name: self.state.lock().name.clone() })
    }

    /// One look for entries above `after`.
    pub(crate) fn look(
        &self,
        shared: &Shared,
        after: EntryId,
        budget: &mut Budget,
    ) -> Result<Batch> {
        self.check(shared)?;
        self.look_at(self.log(shared)?.span(), after, budget)
    }

    /// One look for the last entry.
    pub(crate) fn look_last(&self, shared: &Shared, budget: &mut Budget) -> Result<Batch> {
        self.check(shared)?;
        let span = self.log(shared)?.span();
        let Some(after) = span.before_last()? else {
            return Ok(Batch::new(span, Vec::new()));
        };
        let mut one = budget.of_one();
        let batch = self.look_at(span, after, &mut one);
        budget.take_in(one);
        batch
    }

    fn look_at(&self, span: Span, after: EntryId, budget: &mut Budget) -> Result<Batch> {
        let (places, _) = budget.take(&span, after)?;
        if !places.is_empty() {
            budget.spend_stream(places.len(), || self.state.lock().name.clone());
        }
        Ok(Batch::new(span, places))
    }

    /// The state of a stream that has not been removed: no record of it may follow that of its
    /// removal, which is written with this lock held.
    fn lock_state(&self) -> Result<MutexGuard<'_, StreamState>> {
        let state = self.state.lock();
        if state.removed {
            return Err(Error::new(ErrorKind::NoStream { name: state.name.clone() }));
        }
        Ok(state)
    }

    /// The state with a view of the log, for decisions on what readers see.
    pub(crate) fn lock(&self, shared: &Shared) -> Result<Locked<'_>> {
        self.check(shared)?;
        let log = self.log(shared)?;
        let mut state = self.lock_state()?;
        let (span, tail) = log.look();
        if let Some(live) = &mut state.live {
            live.refresh(&span, tail);
        }
        Ok(Locked { state, span, tail })
    }

    /// Decides, writes the events and applies them, as one step. `decide` sees the state and gives
    /// events and a result; it is asked again if room has to be made first. Returns the result and
    /// the position behind the record, or 0 if there was nothing to record.
    pub(crate) fn change<T>(
        &self,
        shared: &Shared,
        grows: bool,
        mut decide: impl FnMut(&mut Locked<'_>) -> Result<(T, Vec<Event>)>,
    ) -> Result<(T, u64)> {
        self.change_by(shared, grows, |locked, out| {
            let (result, events) = decide(locked)?;
            *out = events;
            Ok(result)
        })
    }

    /// The same for a `decide` that puts its events into a list of the thread's, which is empty
    /// when it is asked.
    pub(crate) fn change_by<T>(
        &self,
        shared: &Shared,
        grows: bool,
        decide: impl FnMut(&mut Locked<'_>, &mut Vec<Event>) -> Result<T>,
    ) -> Result<(T, u64)> {
        // A thread that ends has no place for them any more.
        let mut events = EVENTS.try_with(Cell::take).unwrap_or_default();
        let changed = self.change_in(shared, grows, &mut events, decide);
        events.clear();
        EVENTS.try_with(|empty| empty.set(events)).unwrap_or_default();
        changed
    }

    fn change_in<T>(
        &self,
        shared: &Shared,
        grows: bool,
        events: &mut Vec<Event>,
        mut decide: impl FnMut(&mut Locked<'_>, &mut Vec<Event>) -> Result<T>,
    ) -> Result<(T, u64)> {
        let mut again = false;
        loop {
            let mut locked = self.lock(shared)?;
            self.check_writable(shared)?;
            events.clear();
            let result = decide(&mut locked, events)?;
            let only_seen = events.iter().all(|event| matches!(event, Event::Seen { .. }));
            let appended = if only_seen || is_skipped(events) {
                Ok(0)
            } else {
                self.record(shared, events, grows)
            };
            match appended {
                Ok(position) => {
                    locked.apply(self.log.get(), events);
                    if position > 0 {
                        shared.kick.dirty();
                        if self.is_limited_by_groups() {
                            shared.kick.retention();
                        }
                    }
                    if shared.journal.asks_for_care() {
                        shared.kick.care();
                    }
                    return Ok((result, position));
                }
                Err(Refused::Error(error)) => return Err(error),
                Err(Refused::Full) => {
                    drop(locked);
                    shared.make_room(again)?;
                    again = true;
                }
            }
        }
    }

    /// A stream whose sync failed takes no changes of its groups either.
    pub(crate) fn check_writable(&self, shared: &Shared) -> Result<()> {
        shared.check_writable()?;
        self.check_sound(shared)
    }

    /// Nothing more comes of a stream whose sync failed.
    pub(crate) fn check_sound(&self, shared: &Shared) -> Result<()> {
        shared.check_sound()?;
        match self.log.get().filter(|log| log.is_poisoned()).and_then(|log| log.commit.poisoned()) {
            Some(cause) => Err(Error::poisoned(&cause).refused()),
            None => Ok(()),
        }
    }

    /// Waits, under `Always`, until a record is durable.
    pub(crate) fn settle(&self, shared: &Shared, position: u64) -> Result<()> {
        let waits = self.level(shared) == Durability::Always && !planted::lazy_records();
        if position > 0 && waits {
            shared.sync_journal(position)?;
        }
        Ok(())
    }

    /// Makes everything that is written to the log durable.
    pub(crate) fn sync_written(&self, shared: &Shared) -> Result<u64> {
        let Some(log) = self.log.get() else {
            return Ok(0);
        };
        let written = log.written();
        self.sync_to(shared, log, written)?;
        Ok(written)
    }

    /// Makes the log durable up to a position; shares the sync with whoever waits besides.
    fn sync_to(&self, shared: &Shared, log: &Log, upto: u64) -> Result<()> {
        if log.commit.durable() >= upto {
            return Ok(());
        }
        shared.check_process()?;
        let done = |target| self.publish(log, target);
        let result = log.commit.wait(upto, || log.written(), |t| log.sync_files(t), done);
        if result.is_err() {
            self.failed(shared, log);
        }
        result
    }

    /// After a failure that may have been a sync's: stops what it stops, and wakes who waits. The
    /// log's writer must be free.
    fn failed(&self, shared: &Shared, log: &Log) {
        shared.check_loss();
        if log.commit.poisoned().is_some() {
            self.waiters.wake_all();
        }
    }

    /// The file system was synced as a whole after `target` was written.
    pub(crate) fn synced_otherwise(&self, target: u64) {
        // A sync that failed meanwhile may have had the error that the call did not get any more.
        let Some(log) = self.log.get().filter(|log| !log.is_poisoned()) else { return };
        self.publish(log, target);
        log.commit.set_durable(target);
    }

    /// A sync up to `target` has ended: under `Always` that is when entries can be seen.
    fn publish(&self, log: &Log, target: u64) {
        log.synced(target, |plan, tail| count_trim(&mut self.state.lock(), log, tail, plan));
        if log.is_strict() {
            self.waiters.notify();
        }
    }

    /// Waits for a sync by the background, which is asked for one, but not beyond the deadline.
    fn sync_by(
        self: &Arc<Self>,
        shared: &Shared,
        log: &Log,
        upto: u64,
        deadline: Deadline,
    ) -> Result<()> {
        shared.check_process()?;
        log.commit.wait_timeout(
            upto,
            deadline,
            || log.written(),
            || _ = self.ask_background(shared),
        )
    }

    /// Asks the background to sync this stream now, and what it rests on in the journal. Never
    /// blocks; `false` if there is no background.
    fn ask_background(self: &Arc<Self>, shared: &Shared) -> bool {
        let there = shared.kick.can_sync();
        // Whoever finds the question asked: it is answered after this.
        if there && !self.asked_sync.swap(true, Ordering::AcqRel) {
            shared.asked.lock().push(Arc::clone(self));
            shared.kick.sync_now();
        }
        there
    }

    /// The same, and does it at once where there is no background.
    fn ask_sync(self: &Arc<Self>, shared: &Shared) {
        if !self.ask_background(shared) {
            shared.asked.lock().push(Arc::clone(self));
            // A failure is in the commit, where everybody finds it.
            drop(shared.sync_asked());
        }
    }

    /// What is written from here on is asked for anew.
    pub(crate) fn take_asked_sync(&self) {
        self.asked_sync.swap(false, Ordering::AcqRel);
    }

    /// Gives footers to segments that can be sealed. One in front of a restart whose record is not
    /// durable may be the last one yet, and then nothing is missing behind it.
    fn seal(&self, shared: &Shared, log: &Log) -> Result<()> {
        match shared.journal.commit.durable() < self.rests_on() {
            true => Ok(()),
            false => log.seal(),
        }
    }

    pub(crate) fn close(&self, shared: &Shared) -> Result<()> {
        let Some(log) = self.log.get() else {
            return Ok(());
        };
        if log.is_poisoned() || self.gone.load(Ordering::Acquire) {
            log.abandon(Error::new(ErrorKind::Closed));
            return Ok(());
        }
        // A footer spares the next opening some work. Where there is no space for it, nothing is
        // missing.
        let sealed = self.seal(shared, log);
        let sealed = if sealed.as_ref().is_err_and(Error::is_full) { Ok(()) } else { sealed };
        log.close(&|| self.waiters.notify()).and(sealed)
    }

    /// The stream is no more: its handles answer `NoStream`, and those who wait find that out.
    pub(crate) fn remove(&self) {
        self.gone.store(true, Ordering::Release);
        if let Some(log) = self.log.get() {
            let name = self.state.lock().name.clone();
            log.abandon(Error::new(ErrorKind::NoStream { name }));
        }
        self.waiters.wake_all();
    }
}
