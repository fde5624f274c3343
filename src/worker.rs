//! The background threads of a store: one syncs; one prepares segments, seals, drops what was
//! trimmed and writes checkpoints; and one makes the segments of fast logs, which takes syncs that
//! neither the memory ahead of such a log nor anything else should wait for.
//!
//! They sleep until somebody has something for them; a store whose streams rest has no timer
//! running. What fails here stops nothing by itself: a failed sync poisons through the commit,
//! anything else is tried again at the next occasion and shows in `Store::health`. A panic ends its
//! thread, and then nobody keeps the promises of `Interval` any more: it stops the whole store.

use crate::error::{Error, ErrorKind};
use crate::options::Durability;
use crate::store::Shared;
use crate::stream::StreamInner;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, TrySendError, bounded};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What the sync thread is told.
enum Job {
    /// Something was written: sync when the interval is over.
    Dirty,
    /// Somebody waits: sync what was asked for.
    Now,
    /// A stream has a level of its own: the interval may be shorter than it was.
    Level,
}

/// A stream that a segment is to be made for.
pub(crate) type Wanting = Weak<StreamInner>;

/// How the calls of a store wake its threads. Nothing here blocks.
#[derive(Default)]
pub(crate) struct Kick {
    sync: OnceLock<Sender<Job>>,
    care: OnceLock<Sender<()>>,
    files: OnceLock<Sender<Wanting>>,
    /// A `Dirty` is on its way, so that most appends do not touch the channel.
    dirty: AtomicBool,
    /// Some stream may be beyond a limit of its retention.
    retention: AtomicBool,
    /// There is something else to do in the background.
    wanted: AtomicBool,
}

impl std::fmt::Debug for Kick {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kick")
    }
}

impl Kick {
    pub(crate) fn new() -> Kick {
        Kick::default()
    }

    /// Something was written that is not on disk.
    #[inline]
    pub(crate) fn dirty(&self) {
        if !self.dirty.load(Ordering::Relaxed) {
            self.first_dirty();
        }
    }

    #[cold]
    fn first_dirty(&self) {
        if !self.dirty.swap(true, Ordering::AcqRel) {
            send(self.sync.get(), Job::Dirty);
        }
    }

    /// Whether there is a thread that syncs. One that has ended has left all behind it synced or
    /// stopped.
    pub(crate) fn can_sync(&self) -> bool {
        self.sync.get().is_some()
    }

    /// Somebody waits for a sync that he will not do himself.
    pub(crate) fn sync_now(&self) {
        send(self.sync.get(), Job::Now);
    }

    /// The shortest interval has to be found out again.
    pub(crate) fn level(&self) {
        send(self.sync.get(), Job::Level);
    }

    /// A stream with a retention has changed.
    #[inline]
    pub(crate) fn retention(&self) {
        if !self.retention.load(Ordering::Relaxed) && !self.retention.swap(true, Ordering::AcqRel) {
            send(self.care.get(), ());
        }
    }

    /// There is something to prepare, seal or drop.
    pub(crate) fn care(&self) {
        self.wanted.store(true, Ordering::Release);
        send(self.care.get(), ());
    }

    /// Segments are made by who reads there.
    #[allow(dead_code, reason = "the tests of the invariants use it")]
    pub(crate) fn files_to(&self, files: Sender<Wanting>) {
        drop(self.files.set(files));
    }

    /// Has a segment made for the stream. Returns whether there is a thread that will.
    pub(crate) fn files(&self, stream: Wanting) -> bool {
        self.files.get().is_some_and(|files| files.try_send(stream).is_ok())
    }
}

/// A full channel has a wake-up in it already; a closed one has nobody to wake.
fn send<T>(channel: Option<&Sender<T>>, message: T) {
    if let Some(channel) = channel {
        match channel.try_send(message) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

/// The threads. Dropping it stops and joins them.
#[derive(Debug)]
pub(crate) struct Worker {
    stop: Vec<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Worker {
    pub(crate) fn start(shared: &Arc<Shared>) -> Worker {
        let (jobs, sync_jobs) = bounded(16);
        let (care, care_jobs) = bounded(1);
        let (files, file_jobs) = bounded(16);
        let (stop_sync, sync_stopped) = bounded(1);
        let (stop_care, care_stopped) = bounded(1);
        let (stop_files, files_stopped) = bounded(1);
        let stop = vec![stop_sync, stop_care, stop_files];
        let mut worker = Worker { stop, threads: Vec::new() };
        let sync = worker.spawn(("streamlog-sync", Task::Sync), shared, move |shared| {
            sync_loop(shared, &sync_jobs, &sync_stopped);
        });
        let cares = worker.spawn(("streamlog-care", Task::Prepare), shared, move |shared| {
            care_loop(shared, &care_jobs, &care_stopped);
        });
        let makes = worker.spawn(("streamlog-files", Task::Make), shared, move |shared| {
            files_loop(shared, &file_jobs, &files_stopped);
        });
        // Set last: without its threads a store works, and what they do is done by its callers.
        if sync && cares {
            let _taken = shared.kick.sync.set(jobs);
            let _taken = shared.kick.care.set(care);
        }
        if makes {
            let _taken = shared.kick.files.set(files);
        }
        worker
    }

    /// Returns whether the thread could be started.
    fn spawn(
        &mut self,
        (name, task): (&'static str, Task),
        shared: &Arc<Shared>,
        body: impl FnOnce(&Shared) + Send + 'static,
    ) -> bool {
        let own = Arc::clone(shared);
        let body = move || {
            // Nothing is left half done that anybody could see: what is shared is behind locks, and
            // nobody may write any more.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(&own))) {
                own.poison(panicked(name, &*panic));
            }
        };
        let started = std::thread::Builder::new().name(name.to_owned()).spawn(body);
        let there = started.is_ok();
        match started {
            Ok(thread) => self.threads.push(thread),
            Err(error) => {
                shared.background.lock().insert(task, format!("cannot start {name}: {error}"));
            }
        }
        there
    }
}

/// What stops a store of which a thread is gone.
fn panicked(thread: &str, panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
    let source = std::io::Error::other(format!("the thread {thread} panicked: {text}"));
    Error::new(ErrorKind::Io { op: "work in the background" }).because(source)
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.clear();
        for thread in self.threads.drain(..) {
            // The last handle may go in one of the threads' own callbacks; it cannot join itself.
            if thread.thread().id() != std::thread::current().id() {
                drop(thread.join());
            }
        }
    }
}

/// Waits for a message or for the stop, until a deadline if there is one.
fn next<T>(
    jobs: &Receiver<T>,
    stop: &Receiver<()>,
    deadline: Option<Instant>,
) -> Result<T, RecvTimeoutError> {
    let mut select = crossbeam_channel::Select::new();
    let job = select.recv(jobs);
    select.recv(stop);
    let ready = match deadline {
        Some(at) => select.select_deadline(at).map_err(|_| RecvTimeoutError::Timeout)?,
        None => select.select(),
    };
    if ready.index() == job {
        return ready.recv(jobs).map_err(|_| RecvTimeoutError::Disconnected);
    }
    // Nobody ever sends here: the stop is the end of the channel.
    let _ended = ready.recv(stop);
    Err(RecvTimeoutError::Disconnected)
}

fn sync_loop(shared: &Shared, jobs: &Receiver<Job>, stop: &Receiver<()>) {
    // When the first write came that no pass has covered. Where nothing is synced by time, it waits
    // for a level that is.
    let mut since: Option<Instant> = None;
    loop {
        let every = since.and_then(|_| interval(shared));
        let deadline = since.zip(every).and_then(|(since, every)| since.checked_add(every));
        match next(jobs, stop, deadline) {
            Ok(Job::Dirty) => _ = since.get_or_insert_with(Instant::now),
            Ok(Job::Now | Job::Level) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        // Whatever came, as a channel that was full of other jobs has not taken this one. Not what
        // else is dirty: who waits for one stream should not wait for the others.
        if shared.is_asked() {
            note(shared, Task::Sync, shared.sync_asked());
        }
        // Whatever came: where one question follows the other, the time would never be over.
        if !is_past(deadline) {
            continue;
        }
        since = None;
        // Before the pass: what is written during it asks for the next one.
        shared.kick.dirty.store(false, Ordering::Release);
        let upto = shared.journal.written();
        shared.flush_streams(|stream| stream.level(shared) != Durability::Manual);
        note(shared, Task::Sync, shared.sync_journal(upto));
    }
}

/// The shortest interval of the store and its streams. A store under `Always` has one too, for what
/// that level leaves lazy (deliveries, claims).
fn interval(shared: &Shared) -> Option<Duration> {
    let of = |level| match level {
        Durability::Interval { every, .. } => Some(every),
        Durability::Always => Some(Duration::from_secs(1)),
        Durability::Manual => None,
    };
    let streams = shared.all_streams();
    let levels = streams.iter().map(|stream| stream.level(shared));
    levels.chain([shared.options.durability]).filter_map(of).min()
}

/// Retention is not enforced more often than this: appends that go beyond a limit all the time
/// would keep the thread running.
const RETENTION_PAUSE: Duration = Duration::from_millis(100);
/// A clock may be set, so the time when an entry is too old is looked at again at least so often.
const RETENTION_LONGEST: Duration = Duration::from_secs(60);

fn care_loop(shared: &Shared, jobs: &Receiver<()>, stop: &Receiver<()>) {
    let (mut rest, mut retention) = (None, None);
    loop {
        // A timer runs only while there is a stream that may come to rest, or entries that may go.
        rest = rest.or_else(|| shared.next_rest().and_then(after));
        match next(jobs, stop, rest.into_iter().chain(retention).min()) {
            Ok(()) => {
                if shared.kick.wanted.swap(false, Ordering::AcqRel) {
                    note(shared, Task::Prepare, shared.prepare());
                }
            }
            Err(RecvTimeoutError::Timeout) if is_past(rest) => {
                rest = None;
                shared.rest();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        retention = retain(shared, retention);
    }
}

fn files_loop(shared: &Shared, jobs: &Receiver<Wanting>, stop: &Receiver<()>) {
    while let Ok(wanting) = next(jobs, stop, None) {
        let Some(stream) = wanting.upgrade() else {
            continue;
        };
        match stream.make_segment(shared) {
            // Behind the others that wait for one.
            Ok(true) => _ = stream.hand_over(shared, true),
            Ok(false) => {}
            Err(_) => shared.kick.care(),
        }
        // Asked for by itself: where a job is there, too, the channel takes either.
        if stop.try_recv() == Err(TryRecvError::Disconnected) {
            return;
        }
    }
}

/// Enforces retention if that is due. Returns when it is due next.
fn retain(shared: &Shared, mut due: Option<Instant>) -> Option<Instant> {
    if is_past(due) {
        // Before the pass: what is appended during it asks for the next one.
        shared.kick.retention.store(false, Ordering::Release);
        let (enforced, next) = shared.enforce_retention();
        note(shared, Task::Retain, enforced);
        note(shared, Task::Prepare, shared.prepare());
        let pause = next.map(Duration::from_millis);
        due = pause.and_then(|pause| after(pause.clamp(RETENTION_PAUSE, RETENTION_LONGEST)));
    }
    if shared.kick.retention.load(Ordering::Acquire) {
        due = due.into_iter().chain(after(RETENTION_PAUSE)).min();
    }
    due
}

fn after(pause: Duration) -> Option<Instant> {
    Instant::now().checked_add(pause)
}

fn is_past(time: Option<Instant>) -> bool {
    time.is_some_and(|time| time <= Instant::now())
}

/// What the threads do by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Task {
    Sync,
    Prepare,
    Make,
    Retain,
}

/// Keeps the last failure for `Store::health`; a later success at the same task clears it.
fn note(shared: &Shared, task: Task, result: crate::error::Result<()>) {
    let mut background = shared.background.lock();
    match result {
        Ok(()) => drop(background.remove(&task)),
        Err(error) => drop(background.insert(task, error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    /// Fails if a question is passed over that found the channel full of other jobs.
    #[test]
    fn a_sync_that_was_asked_for_needs_no_job_of_its_own() {
        let options = Store::options().durability(Durability::Manual);
        let store = options.open_in_memory().unwrap();
        let stream = store.stream("s").unwrap();
        let last = stream.append([("n", "1")]).unwrap();
        let shared = store.shared();
        shared.asked.lock().push(Arc::clone(stream.inner()));
        let (jobs, others) = bounded(1);
        let (stop, stopped) = bounded(1);
        jobs.send(Job::Level).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| sync_loop(shared, &others, &stopped));
            let tries = (0..6_000).map(|_| {
                std::thread::sleep(Duration::from_millis(10));
                stream.durable_id().unwrap() == last
            });
            let synced = tries.into_iter().any(|synced| synced);
            drop(stop);
            assert!(synced, "nobody has synced it");
        });
    }

    /// Fails if a task that went well clears what another one could not do: a full disk that keeps
    /// retention from its work then showed only until the next sync.
    #[test]
    fn a_failure_shows_until_its_own_task_goes_well() {
        let store = Store::in_memory().unwrap();
        let shared = store.shared();
        note(shared, Task::Retain, Err(Error::new(ErrorKind::StorageFull { needed: 7 })));
        note(shared, Task::Sync, Ok(()));
        note(shared, Task::Prepare, Ok(()));
        assert!(store.health().background.is_some_and(|told| told.contains('7')));
        note(shared, Task::Retain, Ok(()));
        assert_eq!(store.health().background, None);
    }

    /// Fails if a segment that was asked for is not made, or if one that was made keeps the next
    /// one from being asked for.
    #[test]
    fn segments_are_made_as_often_as_somebody_asks() {
        let store = Store::in_memory().unwrap();
        let stream = store.stream("s").unwrap();
        let (shared, inner) = (store.shared(), stream.inner());
        stream.append([("data", [7; 10 << 10])]).unwrap();
        for _ in 0..1_000 {
            stream.append([("data", [7; 1 << 10])]).unwrap();
            assert!(inner.hand_over(shared, true));
            let answered = (0..6_000).any(|n| {
                if n > 100 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                !inner.is_making() && !inner.open_log().unwrap().is_segment_due()
            });
            assert!(answered, "nobody has made it");
        }
    }

    #[test]
    fn without_threads_nothing_is_handed_over() {
        let disk = Arc::new(crate::storage::mem::MemDisk::new());
        let store = Store::open_on(disk, "/store".as_ref(), &Store::options()).unwrap();
        let stream = store.stream("s").unwrap();
        assert!(!stream.inner().hand_over(store.shared(), true));
        assert!(!stream.inner().is_making());
    }
}
