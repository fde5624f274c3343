//! What a failure of the journal or of `streams/` does to the store.
//!
//! Whoever lets the journal sync a file, for whatever reason, goes through here: a failed sync
//! stops the store at once and not with the next call that happens to ask the journal.

use super::*;

impl Shared {
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
        self.disk.sync_dir(&dir).map_err(|e| {
            let error = Error::io("sync directory", &dir, e);
            self.poison(error.clone());
            error
        })
    }
}
