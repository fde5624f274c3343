//! The thread that waits for the disk while the event loop goes on.
//!
//! Under `appendfsync always` the loop runs all commands that have come, and hands the streams
//! that they have changed over to this thread, one set at a time. Replies are held back until the
//! sync that began behind their command is done: so one sync is shared by all clients that have
//! written meanwhile, and no one learns of an entry that a power cut could undo.
//!
//! While syncs are quick, the loop does them itself: see [`Syncer::is_quick`].

use crate::error::{Error, ErrorKind, Result};
use crate::store::Store;
use crate::stream::StreamInner;
use crossbeam_channel::{Receiver, Sender, bounded};
use mio::Waker;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A sync that takes no longer than this holds nobody up who has nothing to do with it.
const QUICK: Duration = Duration::from_micros(500);

/// What is to be on disk.
struct Job {
    number: u64,
    streams: Vec<Arc<StreamInner>>,
    store: Store,
}

/// A sync that has ended: its number, how it went, how long it took.
type Done = (u64, Result<()>, Duration);

/// See the module.
pub(crate) struct Syncer {
    jobs: Option<Sender<Job>>,
    done: Receiver<Done>,
    thread: Option<JoinHandle<()>>,
    busy: bool,
    /// How long the last sync took.
    took: Duration,
}

impl Syncer {
    pub(crate) fn start(waker: Arc<Waker>) -> std::io::Result<Syncer> {
        let (jobs, todo) = bounded::<Job>(1);
        let (told, done) = bounded(1);
        let run = move || {
            for Job { number, streams, store } in todo {
                let begun = Instant::now();
                let synced = store.sync_found(streams);
                let took = begun.elapsed();
                // The store is closed by whoever has the last handle: not by this thread.
                drop(store);
                if told.send((number, synced, took)).is_err() || waker.wake().is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("streamlog-resp-sync".into()).spawn(run)?;
        Ok(Syncer { jobs: Some(jobs), done, thread: Some(thread), busy: false, took: QUICK })
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Begins a sync. Only while there is none.
    pub(crate) fn begin(&mut self, number: u64, names: &[Vec<u8>], store: Store) {
        // Found now: the loop may give them other names before the thread comes to them.
        let streams = store.found(names);
        let sent = self.jobs.as_ref().map(|jobs| jobs.send(Job { number, streams, store }));
        self.busy = matches!(sent, Some(Ok(())));
    }

    /// Whether the next sync may be expected to take less time than anybody would notice, because
    /// the last one did.
    pub(crate) fn is_quick(&self) -> bool {
        self.took < QUICK
    }

    /// Syncs in this thread.
    pub(crate) fn at_once(&mut self, names: &[Vec<u8>], store: &Store) -> Result<()> {
        let begun = Instant::now();
        let synced = store.sync_found(store.found(names));
        self.took = begun.elapsed();
        synced
    }

    /// The sync that has ended since, if one has.
    pub(crate) fn ended(&mut self) -> Option<(u64, Result<()>)> {
        let (number, synced, took) = self.done.try_recv().ok()?;
        (self.busy, self.took) = (false, took);
        Some((number, synced))
    }

    /// Waits for the sync that was begun.
    pub(crate) fn wait(&mut self) -> Option<(u64, Result<()>)> {
        if !self.busy {
            return None;
        }
        self.busy = false;
        Some(match self.done.recv() {
            Ok((number, synced, _)) => (number, synced),
            Err(_) => (u64::MAX, Err(Error::new(ErrorKind::Closed))),
        })
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // Its panic would be told by the thread itself.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::options::Durability;
    use crate::store::StoreOptions;

    /// The thread comes to a stream later than the loop, which may have renamed it meanwhile.
    #[test]
    fn a_stream_that_is_renamed_before_its_sync_is_synced() {
        let dir = tempfile::tempdir().unwrap();
        let store = StoreOptions::default().durability(Durability::Manual).open(dir.path());
        let store = store.unwrap();
        store.stream("s").unwrap().append([("f", "v")]).unwrap();
        let found = store.found(&[b"s".to_vec()]);
        store.rename("s", "t").unwrap();
        assert_ne!(store.health().unsynced_bytes, 0);
        store.sync_found(found).unwrap();
        assert_eq!(store.health().unsynced_bytes, 0);
    }
}
