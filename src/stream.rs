//! A stream: its log, its state, and the calls on it.
//!
//! Lock order: the store's `names`, then the log's writer, then `state`, then the journal and the
//! leaf locks of the log. Nothing here holds a lock over a sync or over a caller's code: fields are
//! encoded before any lock is taken.

use crate::entry::{Entry, EntryRef, NewEntries};
use crate::error::{Error, ErrorKind, Result};
use crate::few::Few;
use crate::format::event::{Counters, Event, Single, StoredOptions};
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
use crate::storage::cursor::{Segments, Span};
use crate::storage::live::{Live, TrimPlan};
use crate::storage::log::{Appender, Draft, Log, Restart, Tail};
use crate::storage::recover::{Gap, Known, recover};
use crate::storage::segment::{Home, Segment};
use crate::store::{ClampedGroup, Handle, Shared};
use crate::sync::Deadline;
use parking_lot::{Mutex, MutexGuard};
use std::ops::RangeBounds;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

mod api;
mod care;
mod change;
mod copy;
mod delete;
mod durable;
mod expiry;
mod idempotent;
mod info;
mod pick;
mod recovery;
mod scratch;
mod set_id;
mod ticket;
mod trim;
pub use api::Stream;
pub(crate) use change::Locked;
pub use idempotent::{Appended, IdempotencyInfo};
#[cfg(feature = "resp")]
pub(crate) use info::Stamp;
pub use info::{StreamDetails, StreamInfo};
pub(crate) use recovery::Frozen;
use scratch::Encoded;
pub use ticket::Ticket;
use trim::count_trim;

/// Whether the level has acknowledgements wait for the disk.
#[derive(Clone, Copy)]
enum Waits {
    /// There is no level yet.
    Unknown = 0,
    No = 1,
    Yes = 2,
}

/// What all handles of a stream share.
pub(crate) struct StreamInner {
    pub(crate) number: u64,
    pub(crate) state: Mutex<StreamState>,
    /// Behind a pointer: most streams of a store of many are not used, and take no room for one.
    log: OnceLock<Box<Log>>,
    opening: Mutex<()>,
    /// Which of the store's reports on streams is on this one.
    reported: OnceLock<usize>,
    pub(crate) waiters: Arc<WaitList>,
    gone: AtomicBool,
    /// The journal has a gap in this stream's records.
    lost: bool,
    /// `None` until the first handle is given out.
    level: Mutex<Option<Durability>>,
    /// The same, as far as acknowledgements ask for it: one of [`Waits`].
    waits: AtomicU8,
    /// Appends block while more bytes than this are not on disk.
    max_unsynced: AtomicU64,
    /// Behind the record without which entries that are appended now would not be found: that of
    /// the stream's creation, or of the restart of its log.
    rests_on: AtomicU64,
    /// The background was asked to prepare a segment.
    asked: AtomicBool,
    /// The thread that makes segments makes one for it, or will.
    making: AtomicBool,
    /// It could not.
    not_made: AtomicBool,
    /// The background was asked for a sync, whatever the level says.
    asked_sync: AtomicBool,
    /// Its retention has limits, and the stream is used; what its groups do counts besides.
    limited: AtomicBool,
    limited_by_groups: AtomicBool,
}

#[cold]
fn removed(state: &StreamState) -> Error {
    Error::new(ErrorKind::NoStream { name: state.name.clone() })
}

impl std::fmt::Debug for StreamInner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StreamInner({})", self.number)
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
            waits: AtomicU8::new(Waits::Unknown as u8),
            max_unsynced: AtomicU64::new(u64::MAX),
            rests_on: AtomicU64::new(0),
            asked: AtomicBool::new(false),
            making: AtomicBool::new(false),
            not_made: AtomicBool::new(false),
            asked_sync: AtomicBool::new(false),
            limited: AtomicBool::new(false),
            limited_by_groups: AtomicBool::new(false),
        }
    }

    #[inline]
    pub(crate) fn open_log(&self) -> Option<&Log> {
        self.log.get().map(Box::as_ref)
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
        self.rests_on.fetch_max(position, Ordering::AcqRel);
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
            return Ok(Batch::new(span.segments, Few::default()));
        };
        let mut one = budget.of_one();
        let batch = self.look_at(span, after, &mut one);
        budget.take_in(one);
        batch
    }

    fn look_at(&self, span: Span, after: EntryId, budget: &mut Budget) -> Result<Batch> {
        budget.begin_stream(|| self.state.lock().name.clone());
        let (places, _) = budget.take(&span, after)?;
        if !places.is_empty() {
            budget.end_stream(places.len());
        }
        Ok(Batch::new(span.segments, places))
    }

    /// The state of a stream that has not been removed: no record of it may follow that of its
    /// removal, which is written with this lock held.
    #[inline]
    fn lock_state(&self) -> Result<MutexGuard<'_, StreamState>> {
        let state = self.state.lock();
        if state.removed { Err(removed(&state)) } else { Ok(state) }
    }

    /// The state with a view of the log, for decisions on what readers see.
    pub(crate) fn lock(&self, shared: &Shared) -> Result<Locked<'_>> {
        self.enter(shared).map(change::Held::begin)
    }

    /// The state, and the log to be viewed with it.
    #[inline(always)]
    fn enter(&self, shared: &Shared) -> Result<(MutexGuard<'_, StreamState>, &Log)> {
        self.check(shared)?;
        let log = self.log(shared)?;
        Ok((self.lock_state()?, log))
    }

    /// Takes back the segments of a view that [`StreamInner::lock`] gave, for the next one. Returns
    /// what is to be dropped without the lock.
    #[inline]
    pub(crate) fn give_back(
        &self,
        state: &mut StreamState,
        segments: Segments,
    ) -> Option<Segments> {
        match self.open_log() {
            Some(log) => log.give_back(&mut state.segments, segments),
            None => Some(segments),
        }
    }

    /// What was given back keeps no segment alive from here on that is not in the list any more.
    fn forget_segments(&self) {
        let back = self.state.lock().segments.forget();
        drop(back);
    }

    /// A stream whose sync failed takes no changes of its groups either.
    #[inline]
    pub(crate) fn check_writable(&self, shared: &Shared) -> Result<()> {
        shared.check_writable()?;
        self.check_sound(shared)
    }

    /// How many entries there have been that can be seen; only good for comparing two moments.
    pub(crate) fn count(&self) -> u64 {
        self.log.get().map_or(0, |log| log.tail().ordinal)
    }

    /// Nothing more comes of a stream whose sync failed.
    #[inline]
    pub(crate) fn check_sound(&self, shared: &Shared) -> Result<()> {
        shared.check_sound()?;
        match self.log.get().filter(|log| log.is_poisoned()).and_then(|log| log.commit.poisoned()) {
            Some(cause) => Err(Error::poisoned(&cause).refused()),
            None => Ok(()),
        }
    }

    /// Waits, under `Always`, until a record is durable.
    #[inline]
    pub(crate) fn settle(&self, shared: &Shared, position: u64) -> Result<()> {
        let waits = match self.waits.load(Ordering::Relaxed) {
            waits if waits == Waits::Unknown as u8 => self.level(shared) == Durability::Always,
            waits => waits == Waits::Yes as u8,
        };
        if position > 0 && waits && !planted::lazy_records() {
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
        self.forget_segments();
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
        self.forget_segments();
        if let Some(log) = self.log.get() {
            let name = self.state.lock().name.clone();
            log.abandon(Error::new(ErrorKind::NoStream { name }));
        }
        self.waiters.wake_all();
    }
}
