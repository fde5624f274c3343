//! What the background does for a stream: the next segments, footers, and the files that go.

use super::*;

impl StreamInner {
    /// Seals, prepares the next segments, and drops segments that were trimmed away.
    pub(crate) fn maintain(self: &Arc<Self>, shared: &Shared) -> Result<()> {
        self.asked.store(false, Ordering::Release);
        self.look_after(shared, |log| self.maintain_log(shared, log))
    }

    /// Makes a segment if one is due. Returns whether there is another one to make.
    ///
    /// # Errors
    /// Those of the making; then the next pass of the background makes one itself, which can make
    /// room for it.
    pub(crate) fn make_segment(&self, shared: &Shared) -> Result<bool> {
        let made = self.look_after(shared, Log::make_due);
        self.not_made.store(made.is_err(), Ordering::Release);
        // Before the look: who comes behind it asks again.
        self.making.store(false, Ordering::Release);
        made.map(|()| self.log.get().is_some_and(|log| log.is_segment_due()))
    }

    /// Whether a segment is to be made by another thread.
    #[cfg(test)]
    pub(crate) fn is_making(&self) -> bool {
        self.making.load(Ordering::Acquire)
    }

    /// What the background does for a log that is open and well.
    fn look_after(&self, shared: &Shared, work: impl FnOnce(&Log) -> Result<()>) -> Result<()> {
        let Some(log) = self.log.get() else {
            return Ok(());
        };
        if self.gone.load(Ordering::Acquire) || log.is_poisoned() {
            return Ok(());
        }
        let done = work(log);
        if done.is_err() {
            self.failed(shared, log);
        }
        self.unless_gone(done)
    }

    /// Has a segment of a fast log made by the thread that does nothing else, if there is one.
    /// Returns whether that thread has one to make.
    pub(crate) fn hand_over(self: &Arc<Self>, shared: &Shared, fast: bool) -> bool {
        if self.making.load(Ordering::Acquire) {
            return true;
        }
        // Not before one could be made again: each failure asks for a pass over all streams, and
        // two of them would go on for ever.
        if !fast || self.not_made.load(Ordering::Acquire) {
            return false;
        }
        self.making.swap(true, Ordering::AcqRel) || {
            let taken = shared.kick.files(Arc::downgrade(self));
            if !taken {
                self.making.store(false, Ordering::Release);
            }
            taken
        }
    }

    /// Wakes the background if the log has something for it.
    #[inline]
    pub(crate) fn care(&self, shared: &Shared, log: &Log) {
        // A look first: a fast log wants care all the time, and to swap is dear.
        let asked =
            || self.asked.load(Ordering::Relaxed) || self.asked.swap(true, Ordering::AcqRel);
        if log.wants_care() && !asked() {
            shared.kick.care();
        }
    }

    /// None of it waits for the rest to go well: on a full disk, only what is removed makes room.
    fn maintain_log(self: &Arc<Self>, shared: &Shared, log: &Log) -> Result<()> {
        let mut given = false;
        let prepared = log.prepare(|fast| {
            given = self.hand_over(shared, fast);
            given
        });
        if !given && prepared.is_ok() {
            self.not_made.store(false, Ordering::Release);
        }
        // But for a failed sync, behind which nothing more is written.
        if log.is_poisoned() {
            return prepared;
        }
        let sealed = log.poison_if_sync(self.seal(shared, log));
        if log.is_poisoned() {
            return sealed;
        }
        let removed = self.remove_dead(shared, log);
        let marked = self.mark_now_and_then(shared, log);
        let short = prepared.as_ref().is_err_and(Error::is_full);
        let prepared = if short && matches!(removed, Ok(true)) { log.make_due() } else { prepared };
        prepared.and(sealed).and(removed.map(drop)).and(marked)
    }

    /// Removes the segments that are gone. Returns whether there were any.
    fn remove_dead(&self, shared: &Shared, log: &Log) -> Result<bool> {
        self.trim_dead(log)?;
        let retired = log.count_retired();
        if retired > 0 {
            // The restart that left them behind.
            shared.sync_journal(self.rests_on())?;
            self.unlink(shared, log, log.take_retired(retired))?;
        }
        let trimmed = self.take_trimmed(shared, log)?;
        let any = retired > 0 || !trimmed.is_empty();
        self.unlink(shared, log, trimmed)?;
        Ok(any)
    }

    fn unlink(&self, shared: &Shared, log: &Log, gone: Vec<Arc<Segment>>) -> Result<()> {
        if gone.is_empty() {
            return Ok(());
        }
        self.forget_segments();
        for segment in gone {
            // A reader that has the segment may not have mapped it yet, and without its name it
            // could not any more. Nobody comes by it anew: it is out of the list.
            if segment.keep_for_readers().is_err() {
                continue;
            }
            // A file that cannot be removed now is below the start and harmless; the next open of
            // the stream tries again.
            drop(shared.disk.remove_file(&segment.path));
        }
        let dir = &log.home.dir;
        let synced = shared.disk.sync_dir(dir);
        log.poison_if_sync(synced.map_err(|e| Error::io("sync directory", dir, e)))
    }

    /// The segments that were trimmed away, once that is durable.
    fn take_trimmed(&self, shared: &Shared, log: &Log) -> Result<Vec<Arc<Segment>>> {
        let trimmed = log.view.trimmed();
        if !log.has_trimmed(trimmed) {
            return Ok(Vec::new());
        }
        // The start is durable before a segment goes: in the journal, whatever said it first. The
        // entries whose appends said it come before the record.
        let (to, restart) = {
            let state = self.state.lock();
            (state.trimmed, state.restart)
        };
        self.sync_written(shared)?;
        let (_, position) = self.change(shared, false, |locked| {
            let holds = locked.state.restart == restart;
            let position = log.commit.durable();
            let said = [Event::Trimmed { to }, Event::Durable { position }];
            // What the frames say that go.
            let mark = || self.mark(&locked.state);
            let mark = if planted::pairs_untold() { Vec::new() } else { mark() };
            let said = said.into_iter().chain(mark);
            Ok(((), said.filter(|_| holds).collect()))
        })?;
        planted::unless(planted::early_unlink(), || shared.sync_journal(position))?;
        // This start and no later one: a trim that came meanwhile may not be on disk. And none if
        // its IDs are other entries' by now.
        let state = self.state.lock();
        let holds = state.restart == restart;
        Ok(if holds { log.take_trimmed(to) } else { Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use crate::options::{Durability, GroupReadOptions, Start, StreamOptions, Trim};
    use crate::storage::disk::Disk;
    use crate::storage::mem::MemDisk;
    use crate::store::Store;
    use std::path::Path;
    use std::sync::Arc;

    /// Fails if what an acknowledgement has given back keeps the memory of a segment that is gone.
    #[test]
    fn nothing_that_was_given_back_outlives_its_segment() {
        let disk = Arc::new(MemDisk::new()) as Arc<dyn Disk>;
        let options = Store::options().durability(Durability::Manual);
        let store = Store::open_on(disk, Path::new("/store"), &options).unwrap();
        let small = StreamOptions::new().segment_bytes(64 << 10);
        let stream = store.stream_with("s", small).unwrap();
        (0..10).for_each(|_| _ = stream.append([("data", &[7; 10 << 10])]).unwrap());
        let consumer = stream.group("g", Start::First).unwrap().consumer("c").unwrap();
        let read_one = || {
            let one = consumer.read(GroupReadOptions::new().count(1)).unwrap();
            assert_eq!(one.ack_all().unwrap(), 1);
        };
        read_one();
        stream.trim(Trim::max_len(1)).unwrap();
        let first = Arc::downgrade(&stream.snapshot().unwrap().span.segments[0]);
        store.step_sync().unwrap();
        assert!(first.strong_count() > 0, "it goes before its trim is on disk");
        store.step_prepare().unwrap();
        assert_eq!(first.strong_count(), 0);
        // Given back after the list was looked at for the last time.
        read_one();
        let segment = {
            let segments = &stream.snapshot().unwrap().span.segments;
            assert_eq!(Arc::strong_count(segments), 3, "the log's, the one given back, this one");
            Arc::clone(&segments[0])
        };
        let inner = stream.inner();
        inner.unlink(store.shared(), inner.open_log().unwrap(), vec![segment]).unwrap();
        assert!(inner.state.lock().segments.forget().is_none());
    }
}
