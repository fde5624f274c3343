//! The next segment of a log: made while nobody is held up.
//!
//! Making one takes two syncs. The background does it as soon as the last segment is half full; an
//! append that comes to the end before does it itself, with the writer free. One thread at a time
//! makes a segment, and the others that need it wait without a lock.

use super::*;
use parking_lot::Condvar;

/// Who makes the next segment.
#[derive(Default)]
pub(super) struct Making {
    running: Mutex<bool>,
    ended: Condvar,
}

/// The one who does; wakes the others when it goes, however it goes.
pub(crate) struct Maker<'a>(&'a Making);

impl Making {
    pub(super) fn begin(&self) -> Maker<'_> {
        let mut running = self.running.lock();
        while *running {
            self.ended.wait(&mut running);
        }
        *running = true;
        Maker(self)
    }
}

impl Drop for Maker<'_> {
    fn drop(&mut self) {
        *self.0.running.lock() = false;
        self.0.ended.notify_all();
    }
}

impl Log {
    /// Prepares what comes next: the segment if the last one is more than half full, and memory for
    /// a fast writer.
    pub(crate) fn prepare(&self) -> Result<()> {
        self.care.store(false, Ordering::Relaxed);
        // Before the syncs that a segment takes, and behind them on into that.
        self.make_ready();
        let made = self.make_next(|writer| {
            let due = writer.active.as_ref().is_some_and(|a| a.end > a.size / 2);
            (writer.next.is_none() && due).then_some(0)
        });
        self.make_ready();
        made
    }

    /// Makes the next segment for an append that finds no room for `need` bytes.
    ///
    /// # Errors
    /// `StorageFull` and its kin; then nothing was changed.
    pub(crate) fn make_room(&self, need: u64) -> Result<()> {
        self.make_next(|writer| (!writer.has_room(need)).then_some(need))
    }

    /// `wanted` says whether a segment is still wanted, and for how many bytes at least.
    fn make_next(&self, wanted: impl Fn(&Writer) -> Option<u64>) -> Result<()> {
        let _one = self.making.begin();
        let (number, size) = {
            let mut writer = self.writer.lock();
            let Some(need) = wanted(&writer).filter(|_| !writer.closed) else {
                return Ok(());
            };
            let number = writer.next_number;
            writer.next_number += 1;
            (number, writer.next_size(need))
        };
        let prepared = self.poison_if_sync(Prepared::new(&self.home, number, size))?;
        let mut writer = self.writer.lock();
        // Numbers grow along the log: a segment that was overtaken by another one is of no use.
        let of_use = !writer.closed && writer.next_number == number + 1;
        let spare = if of_use { writer.next.replace(prepared) } else { Some(prepared) };
        drop(writer);
        if let Some(spare) = spare {
            self.discard(&spare.header);
        }
        Ok(())
    }

    pub(super) fn discard(&self, header: &FileHeader) {
        let path = self.home.dir.join(name::segment(header.number, header.generation));
        // An empty segment that stays is removed by the next recovery.
        drop(self.home.disk.remove_file(&path));
    }
}
