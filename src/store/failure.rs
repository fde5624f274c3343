//! What stops the whole store: a failed sync of the journal or of `streams/`, a file system that is
//! gone.
//!
//! Whoever lets the journal sync a file, for whatever reason, goes through here: a failed sync
//! stops the store at once and not with the next call that happens to ask the journal. That the
//! file system is gone is seen below, under whatever locks; the next call that begins, or the
//! background, acts on it.

use super::*;
use crate::storage::watched::Watched;
use crate::worker::Kick;

/// Has the calls of a disk watched, and the background woken when the file system is lost.
pub(super) fn watch(disk: Arc<dyn Disk>) -> (Arc<dyn Disk>, Arc<Loss>, Arc<Kick>) {
    let kick = Arc::new(Kick::new());
    let loss = {
        let kick = Arc::clone(&kick);
        Arc::new(Loss::new(move || kick.care()))
    };
    (Arc::new(Watched::new(disk, Arc::clone(&loss))), loss, kick)
}

impl Shared {
    /// Stops all writing, for good. The first cause is kept; whoever waits is woken.
    pub(crate) fn poison(&self, cause: Error) {
        let _first_stays = self.poisoned.set(cause.clone());
        self.journal.commit.poison(cause.clone());
        for stream in self.all_streams() {
            if let Some(log) = stream.open_log() {
                log.poison(cause.clone());
            }
            stream.waiters.wake_all();
        }
    }

    /// Stops the store if its file system is gone. No lock may be held.
    #[inline]
    pub(crate) fn check_loss(&self) {
        if let Some(cause) = self.loss.cause() {
            self.stop(cause);
        }
    }

    #[cold]
    fn stop(&self, cause: &Error) {
        if self.poisoned.get().is_none() {
            self.poison(cause.clone());
        }
    }

    /// Passes a result of the journal on, and stops the store if the journal is poisoned.
    fn journaled<T>(&self, result: Result<T>) -> Result<T> {
        if result.is_err()
            && let Some(cause) = self.journal.commit.poisoned()
        {
            self.poison(cause);
        }
        result
    }

    /// Makes room for a record that the journal refused; `again` if that was done before. No lock
    /// may be held.
    pub(crate) fn make_room(&self, again: bool) -> Result<()> {
        self.journaled(self.journal.make_room(self, again))
    }

    /// Keeps the journal short.
    pub(super) fn maintain_journal(&self) -> Result<()> {
        self.journaled(self.journal.maintain(self))
    }

    pub(crate) fn checkpoint(&self) -> Result<()> {
        self.journaled(self.journal.checkpoint(self))?;
        self.sync_journal(self.journal.written())
    }

    /// Makes the names of the streams' directories durable.
    pub(crate) fn sync_streams_dir(&self) -> Result<()> {
        let dir = self.streams_dir();
        planted::unless(planted::stream_name_sync(), || self.disk.sync_dir(&dir)).map_err(|e| {
            let error = Error::io("sync directory", &dir, e);
            if error.is_failed_sync() {
                self.poison(error.clone());
            }
            error
        })
    }
}
