//! A store: a directory of named streams, opened by one process for writing.
//!
//! [`Shared`] is what all handles and the background threads have in common. Lock order over the
//! crate: `names`, then a stream's writer, then its state, then the journal and the small leaf
//! locks of a log. None of them is held over a sync or over a caller's code.

use crate::commit::Commit;
use crate::error::{Error, ErrorKind, Result};
use crate::format::event::{Event, Events};
use crate::format::header::{STORE_FILE, StoreHeader};
use crate::format::name;
use crate::journal::{self, Journal, JournalRecovery, Source};
use crate::notify::WaitList;
use crate::options::{Durability, IdempotencyWindow, OnDamage, StreamOptions};
use crate::planted;
use crate::state::StreamState;
use crate::storage::disk::{Disk, DiskLock, OpenMode};
use crate::storage::log::Log;
use crate::storage::process::Process;
use crate::storage::recover::StreamRecovery;
use crate::storage::watched::Loss;
use crate::stream::{Frozen, StreamInner};
use crate::worker::{Task, Worker};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

mod adopt;
mod failure;
mod manage;
mod open;
mod options;
mod report;
mod rest;
mod table;
mod verify;
use open::{Taken, holder_in, make_dir, take_dir};
pub use options::StoreOptions;
pub use verify::{Finding, Verification, VerifiedStream};

/// An open store. Cloning gives another handle to the same store.
///
/// The store closes with its last handle (streams, groups and consumers count); [`Store::close`]
/// does it at once and tells what went wrong.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) handle: Arc<Handle>,
}

/// What every handle holds: the last one that goes closes the store.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
    worker: Mutex<Option<Worker>>,
}

impl Handle {
    fn close(&self) -> Result<()> {
        self.shared.check_process()?;
        // The threads first: nobody syncs or prepares behind the back of what follows.
        let worker = self.worker.lock().take();
        drop(worker);
        self.shared.close()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.shared.check_process().is_err() {
            // The threads are the parent's; waiting for their end here would last for ever.
            std::mem::forget(self.worker.get_mut().take());
            return;
        }
        // Nobody is left to tell; a caller who wants to know calls `Store::close`.
        drop(self.close());
    }
}

/// What recovery found and did when the store was opened, and since for streams used later.
/// Printed, it has a line for each of that:
///
/// ```
/// let store = streamlog::Store::options().open_in_memory()?;
/// assert_eq!(store.recovery().to_string(), "nothing was to be done");
/// # Ok::<(), streamlog::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// The state journal.
    pub journal: JournalRecovery,
    /// The streams that were recovered so far.
    pub streams: Vec<StreamRecovery>,
    /// Streams that were found in their directories only, because the record of their creation was
    /// lost with the end of the journal.
    pub adopted: Vec<Vec<u8>>,
    /// Streams of which records of the journal are missing, now or at an opening before that did
    /// not go on without: what is known of their groups, deletions and trims is not all.
    pub lost: Vec<Vec<u8>>,
    /// Streams of which records of the journal may be missing: some are, and nothing is left that
    /// says whose they were. If the opening goes on without, that is the end of it; otherwise the
    /// next ones count these among the lost.
    pub uncertain: Vec<Vec<u8>>,
    /// Groups whose position lay beyond the end of their stream: stream, group, the last-delivered
    /// ID before and after, pending entries dropped.
    pub clamped: Vec<ClampedGroup>,
    /// The STORE file could not be read, and which store this is was taken from this file.
    pub uuid_from: Option<PathBuf>,
    /// Names in the store's directory that are not the store's.
    pub strays: Vec<PathBuf>,
    /// How long the opening took, streams that were recovered later not counted.
    pub took: std::time::Duration,
}

/// A group that was ahead of its stream after a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClampedGroup {
    /// The stream.
    pub stream: Vec<u8>,
    /// The group.
    pub group: Vec<u8>,
    /// The last-delivered ID that the journal had.
    pub from: crate::EntryId,
    /// The one that it was lowered to.
    pub to: crate::EntryId,
    /// How many pending entries that do not exist were dropped.
    pub dropped: u64,
}

/// How a store is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// The failure that stopped the whole store, if there was one.
    pub poisoned: Option<String>,
    /// Streams that a failed sync has stopped, with its cause.
    pub poisoned_streams: Vec<(Vec<u8>, String)>,
    /// The last failure of the background work that stopped nothing (a full disk, for example).
    pub background: Option<String>,
    /// Bytes that are written and not known to be on disk.
    pub unsynced_bytes: u64,
    /// The number of open streams.
    pub open_streams: usize,
    /// Whether the store was closed.
    pub closed: bool,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) uuid: [u8; 16],
    pub(crate) options: StoreOptions,
    /// The streams by number, and their numbers by name.
    pub(crate) names: RwLock<Names>,
    pub(crate) journal: Journal,
    pub(crate) report: Mutex<RecoveryReport>,
    pub(crate) background: Mutex<BTreeMap<Task, String>>,
    closed: AtomicBool,
    /// Why nothing is written any more in the whole store.
    poisoned: OnceLock<Error>,
    process: Process,
    lock: Mutex<Vec<Box<dyn DiskLock>>>,
    /// The streams that somebody has asked the background to sync.
    pub(crate) asked: Mutex<Vec<Arc<StreamInner>>>,
    /// Wakes the background threads.
    pub(crate) kick: Arc<crate::worker::Kick>,
    /// Whether the file system is there.
    loss: Arc<Loss>,
    /// Who waits for another stream to get a name.
    pub(crate) changed_names: Arc<WaitList>,
    /// What streams remember that are made from now on.
    window: Mutex<IdempotencyWindow>,
}

#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) by_name: BTreeMap<Vec<u8>, u64>,
    pub(crate) streams: BTreeMap<u64, Arc<StreamInner>>,
    /// Removed, and not yet cleared away.
    gone: BTreeMap<u64, Arc<StreamInner>>,
}

/// The streams before there is a journal to take its source from them.
struct StreamSource<'a> {
    names: &'a RwLock<Names>,
}

impl Source for StreamSource<'_> {
    fn streams(&self) -> Vec<u64> {
        self.names.read().streams.keys().copied().collect()
    }

    fn dump(&self, stream: u64, covers: &mut dyn FnMut() -> u64) -> Result<Option<(u64, Events)>> {
        let frozen = {
            let names = self.names.read();
            names.streams.get(&stream).and_then(|inner| inner.freeze(covers))
        };
        frozen.map(Frozen::events).transpose()
    }

    /// None is open yet, and what is in their files was synced when it was written or will be when
    /// it is recovered.
    fn sync_streams(&self) {}
}

impl Source for Shared {
    fn streams(&self) -> Vec<u64> {
        StreamSource { names: &self.names }.streams()
    }

    fn dump(&self, stream: u64, covers: &mut dyn FnMut() -> u64) -> Result<Option<(u64, Events)>> {
        StreamSource { names: &self.names }.dump(stream, covers)
    }

    fn sync_streams(&self) {
        self.flush_streams(|_| true);
    }
}

impl Shared {
    fn open(disk: Arc<dyn Disk>, dir: &Path, options: &StoreOptions) -> Result<Shared> {
        let (disk, loss, kick) = failure::watch(disk);
        let begun = disk.monotonic();
        let Taken { strays, locks, uuid, uuid_from } = take_dir(&*disk, dir, options)?;
        for sub in [name::STATE, name::STREAMS] {
            make_dir(&*disk, &dir.join(sub))?;
        }
        disk.sync_dir(dir).map_err(|e| Error::io("sync directory", dir, e))?;
        let (sizes, journal_dir) = (options.journal, dir.join(name::STATE));
        let place = journal::Place { disk: Arc::clone(&disk), dir: journal_dir, uuid, sizes };
        let mut loaded = journal::load(&place, options.on_damage == OnDamage::Skip)?;
        let mut report = RecoveryReport {
            journal: loaded.report.clone(),
            uuid_from,
            strays,
            ..Default::default()
        };
        let refuse = options.on_damage == OnDamage::Refuse;
        let mut names = Names::of_journal(&mut loaded, refuse, &mut report);
        let gone = adopt::adopt(&disk, dir, uuid, options, &mut loaded, &mut names, &mut report)?;
        if planted::early_removal() {
            gone.iter().for_each(|dir| manage::remove_dir(&*disk, dir));
        }
        let names = RwLock::new(names);
        if options.read_only {
            // It is written over on the heap only.
            loaded.damaged.clear();
        }
        let journal = Journal::start(place, &loaded, &StreamSource { names: &names })?;
        // What was read may have been in the page cache only, after a sync that failed. What it
        // allows to be removed may go now that it is written again.
        gone.iter().for_each(|dir| manage::remove_dir(&*disk, dir));
        report.took = disk.monotonic().saturating_sub(begun);
        Ok(Shared {
            disk,
            dir: dir.to_owned(),
            uuid,
            options: options.clone(),
            names,
            journal,
            report: Mutex::new(report),
            background: Mutex::default(),
            closed: AtomicBool::new(false),
            poisoned: OnceLock::new(),
            process: Process::this(),
            lock: Mutex::new(locks),
            asked: Mutex::default(),
            kick,
            loss,
            changed_names: Arc::new(WaitList::new()),
            window: Mutex::new(options.idempotency),
        })
    }

    /// Refuses calls after the close, and all calls in a forked child. This comes before any lock,
    /// which a thread that the child does not have may have held at the fork, and which the end of
    /// a lost file system takes.
    #[inline]
    pub(crate) fn check_open(&self) -> Result<()> {
        self.check_process()?;
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Closed));
        }
        self.check_loss();
        if self.options.read_only { self.check_alone() } else { Ok(()) }
    }

    /// A reader has the store as it was; once a writer goes on with it, that is not so any more.
    #[cold]
    fn check_alone(&self) -> Result<()> {
        let path = self.dir.join(name::LOCK);
        match self.disk.last_writer(&path) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => {
                Err(Error::new(ErrorKind::Locked { holder: holder_in(&*self.disk, &path) })
                    .at(&self.dir))
            }
            Err(e) => Err(Error::io("lock", &path, e)),
        }
    }

    /// Refuses writes where the store is for reading only, and once a failed sync has stopped it.
    #[inline]
    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.options.read_only {
            return Err(Error::new(ErrorKind::ReadOnly));
        }
        self.check_sound()
    }

    /// Refuses to wait for what a failed sync has made impossible.
    #[inline]
    pub(crate) fn check_sound(&self) -> Result<()> {
        match self.poisoned.get() {
            Some(cause) => Err(Error::poisoned(cause).refused()),
            None => Ok(()),
        }
    }

    #[inline]
    pub(crate) fn check_process(&self) -> Result<()> {
        if !self.process.is_this() {
            return Err(Error::new(ErrorKind::ForkedProcess));
        }
        Ok(())
    }

    pub(crate) fn streams_dir(&self) -> PathBuf {
        self.dir.join(name::STREAMS)
    }

    pub(crate) fn stream_dir(&self, number: u64) -> PathBuf {
        self.streams_dir().join(name::stream_dir(number))
    }

    pub(crate) fn all_streams(&self) -> Vec<Arc<StreamInner>> {
        self.names.read().streams.values().cloned().collect()
    }

    /// Makes everything durable that is written by now: the streams' segments, then the journal.
    pub(crate) fn flush(&self) -> Result<()> {
        self.check_process()?;
        let upto = self.journal.written();
        self.flush_streams(|_| true);
        self.sync_journal(upto)?;
        self.first_poisoned()
    }

    /// Syncs the dirty streams that are chosen. A stream whose sync fails is poisoned by it.
    pub(crate) fn flush_streams(&self, choose: impl Fn(&StreamInner) -> bool) {
        self.flush_dirty(self.all_streams().into_iter().filter(|stream| choose(stream)));
    }

    fn flush_dirty(&self, streams: impl Iterator<Item = Arc<StreamInner>>) {
        let dirty: Vec<_> = streams.filter(|s| s.open_log().is_some_and(Log::wants_sync)).collect();
        if dirty.len() > MANY_FILES && self.flush_all_at_once(&dirty) {
            return;
        }
        self.flush_each(&dirty);
    }

    /// Whether somebody waits for a sync by somebody else.
    pub(crate) fn is_asked(&self) -> bool {
        !self.asked.lock().is_empty()
    }

    /// Syncs the streams that were asked for by now, and what of the journal they rest on.
    pub(crate) fn sync_asked(&self) -> Result<()> {
        let asked = std::mem::take(&mut *self.asked.lock());
        asked.iter().for_each(|stream| stream.take_asked_sync());
        let upto = asked.iter().map(|stream| stream.rests_on()).max().unwrap_or(0);
        self.flush_dirty(asked.into_iter());
        self.sync_journal(upto)
    }

    /// `true` if none failed. The errors stay in the streams as their poison.
    fn flush_each(&self, dirty: &[Arc<StreamInner>]) -> bool {
        let synced = dirty.iter().filter(|stream| stream.sync_written(self).is_ok());
        synced.count() == dirty.len()
    }

    /// One call for the whole file system; `false` if that did not work and each file has to be
    /// asked for itself.
    fn flush_all_at_once(&self, dirty: &[Arc<StreamInner>]) -> bool {
        let targets: Vec<u64> =
            dirty.iter().map(|s| s.open_log().map_or(0, |log| log.written())).collect();
        match self.disk.sync_all(&self.dir) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::Unsupported => return false,
            Err(e) => {
                // Each file is asked, to find the guilty ones; if none will say, all may be.
                if self.flush_each(dirty) {
                    self.poison(Error::io("sync all of", &self.dir, e));
                }
                return true;
            }
        }
        for (stream, target) in dirty.iter().zip(targets) {
            stream.synced_otherwise(target);
        }
        true
    }

    /// Makes the journal durable up to a position, and before that what its records refer to.
    pub(crate) fn sync_journal(&self, upto: u64) -> Result<()> {
        let commit: &Commit = &self.journal.commit;
        if commit.durable() >= upto {
            return Ok(());
        }
        self.check_process()?;
        let synced = self.journal.sync_after(upto, || {
            // Segments before the journal, so that no group points past its stream.
            if !planted::journal_first() {
                self.sync_streams();
            }
        });
        if synced.is_err()
            && let Some(cause) = self.journal.commit.poisoned()
        {
            self.poison(cause);
        }
        synced
    }

    fn first_poisoned(&self) -> Result<()> {
        for stream in self.all_streams() {
            if let Some(cause) = stream.open_log().and_then(|log| log.commit.poisoned()) {
                return Err(Error::poisoned(&cause));
            }
        }
        Ok(())
    }

    /// Removes from the open streams what is beyond their retention. Returns in how many
    /// milliseconds there is something to do again: the next entry will be too old, or what could
    /// not be done now (`u64::MAX`).
    pub(crate) fn enforce_retention(&self) -> (Result<()>, Option<u64>) {
        let (mut first, mut next) = (Ok(()), None);
        for stream in self.all_streams().iter().filter(|stream| stream.is_limited()) {
            if stream.open_log().is_none_or(|log| log.is_poisoned()) {
                continue;
            }
            let expires = stream.enforce(self).and_then(|_| stream.expires_in_ms(self));
            let due = expires.as_ref().map_or(Some(u64::MAX), |due| *due);
            next = next.into_iter().chain(due).min();
            first = first.and(stream.unless_gone(expires.map(drop)));
        }
        (first, next)
    }

    /// Seals, prepares, drops what was trimmed, and keeps the journal short.
    pub(crate) fn prepare(&self) -> Result<()> {
        self.check_loss();
        let (mut first, mut full) = (Ok(()), false);
        let mut note = |done: Result<()>| {
            full |= done.as_ref().is_err_and(Error::is_full);
            if first.is_ok() {
                first = done;
            }
        };
        for stream in self.all_streams() {
            note(stream.maintain(self));
        }
        self.rest();
        note(self.maintain_journal());
        if full {
            self.give_up_surplus();
        }
        first
    }

    fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let streams = self.all_streams();
        for stream in &streams {
            stream.waiters.wake_all();
        }
        if self.options.read_only {
            return Ok(());
        }
        let mut result = planted::unless(planted::close_sync(), || self.flush());
        for stream in &streams {
            let ended = stream.close(self).and_then(|()| stream.note_end(self));
            result = result.and(ended);
        }
        result = result.and(self.sync_journal(self.journal.written()));
        result = result.and(self.journal.close());
        self.lock.lock().clear();
        result
    }
}

/// From this many dirty files on, one sync of the whole file system is cheaper.
const MANY_FILES: usize = 64;
