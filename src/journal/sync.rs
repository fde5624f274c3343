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
        let (slot, region, end) = {
            let inner = self.inner.lock();
            (inner.slot, Arc::clone(inner.region.region()), inner.end)
        };
        self.ready_blocks(slot);
        // But for the last page, to which the next record goes.
        region.let_go(0, end);
        self.sync_slot(slot)
    }

    /// Before a sync: has blocks of the running file written for those to come, if they are many.
    fn ready_blocks(&self, slot: usize) {
        let Some(file) = self.files.get(slot) else {
            return;
        };
        let step = self.written.get().saturating_sub(self.commit.durable());
        let mut planned = None;
        loop {
            let mut inner = self.inner.lock();
            let running = inner.slot == slot && !inner.closed && !inner.outgrown;
            let Inner { end, size, blocks, .. } = &mut *inner;
            let Some(blocks) = blocks.get_mut(slot).filter(|_| running) else {
                return;
            };
            let Some(to) = planned.or_else(|| blocks.plan(step, *end, *size)) else {
                return;
            };
            if !blocks.write(&*file, *end, to) {
                return;
            }
            planned = Some(to);
            // Whoever waits to append has his turn.
            MutexGuard::unlock_fair(inner);
        }
    }

    pub(super) fn sync_slot(&self, slot: usize) -> Result<()> {
        let Some(file) = self.files.get(slot) else {
            return Ok(());
        };
        file.sync().map_err(|e| Error::io("sync", &self.place.path(slot), e))
    }
}
