//! The clean end of a journal: no record follows, and none is missing.

use super::*;

impl Journal {
    /// Takes no record any more. If all are durable, a Close frame says so and how many there are:
    /// without it damage of the last ones could be taken for a torn tail.
    pub(crate) fn close(&self) -> Result<()> {
        let mut inner = self.inner.lock();
        let done = std::mem::replace(&mut inner.closed, true);
        let all_durable = self.commit.durable() >= self.written.get() && !inner.outgrown;
        if done || self.commit.poisoned().is_some() || !all_durable {
            return Ok(());
        }
        let slot = inner.slot;
        let path = self.place.path(slot);
        inner.write_close().map_err(|e| Error::io("write", &path, e))?;
        drop(inner);
        self.sync_slot(slot)?;
        self.sync_told()
    }
}

impl Inner {
    fn write_close(&mut self) -> std::io::Result<()> {
        let next_record = self.next_record;
        let before = self.recent.list(next_record, |_| false, &self.last);
        // Where there is no room for the list there is some for the frame.
        for before in [before, Before::default()] {
            let extras = Extras { durable_distance: Some(0), ..Extras::default() };
            let out = &mut self.scratch;
            let frame = FrameBuilder::begin(out, Kind::Close, extras.flags(), None);
            extras.write(out);
            Close { next_record, before }.write(out);
            frame.end(out, self.seed, self.end);
            if self.end + out.len() as u64 + LAST_ROOM <= self.size {
                return self.region.write(self.end, out);
            }
        }
        Ok(())
    }
}
