//! The journal's records made durable. It relies on [`Commit`] for who does that, and on the
//! journal's lock for what is written.

use super::*;
use parking_lot::MutexGuard;

impl Journal {
    /// Makes every record that is appended by now durable. The caller has synced what they refer
    /// to.
    pub(crate) fn sync(&self) -> Result<()> {
        self.sync_to(self.written.get())
    }

    /// Makes every record up to a position durable.
    pub(super) fn sync_to(&self, upto: u64) -> Result<()> {
        self.sync_after(upto, || {})
    }

    /// The same; whoever does the sync calls `first` before it, and behind the point that the sync
    /// covers.
    pub(crate) fn sync_after(&self, upto: u64, first: impl FnOnce()) -> Result<()> {
        let sync = |_| {
            first();
            self.sync_file()
        };
        self.commit.wait(upto, || self.written.get(), sync, |durable| self.tell(durable))
    }

    fn sync_file(&self) -> Result<()> {
        let mut inner = self.inner.lock();
        let (slot, region) = (inner.slot, Arc::clone(inner.region.region()));
        let stale = inner.let_go();
        inner.plan_blocks(self.written.get().saturating_sub(self.commit.durable()));
        while inner.slot == slot && inner.write_ahead(&self.files) {
            MutexGuard::bump(&mut inner);
        }
        drop(inner);
        stale.into_iter().for_each(|(from, to)| region.let_go(from, to));
        self.sync_slot(slot)
    }

    pub(super) fn sync_slot(&self, slot: usize) -> Result<()> {
        let Some(file) = self.files.get(slot) else {
            return Ok(());
        };
        file.sync().map_err(|e| Error::io("sync", &self.place.path(slot), e))
    }
}

impl Inner {
    /// Before a sync of so many bytes: plans to have blocks of the running file written for those
    /// to come, if they are many.
    fn plan_blocks(&mut self, step: u64) {
        if let Some(blocks) = self.blocks.get_mut(self.slot) {
            blocks.plan(step, self.end, self.size);
        }
    }

    fn write_ahead(&mut self, files: &Files) -> bool {
        let (blocks, file) = (self.blocks.get_mut(self.slot), files.get(self.slot));
        // Behind its end a closed file holds what says so.
        !self.closed && blocks.zip(file).is_some_and(|(b, file)| b.write(&*file, self.end))
    }
}
