//! Checkpoints: written to the next file beside the running one, and what makes room for records.

use super::ahead::{MEANWHILE, REACH};
use super::*;
use crate::format::frame::{HEADER, Header};
use crate::format::record::Superseded;

impl Journal {
    /// Makes room after [`Refused::Full`]: by longer files while they are short, by themselves or
    /// for what the state takes, else by a checkpoint, which forgets what records have undone; if
    /// that was not enough (`again`), by longer files after all. A checkpoint that another thread
    /// ends meanwhile does as well.
    pub(crate) fn make_room(&self, source: &dyn Source, again: bool) -> Result<()> {
        let (size, turn, is_short) = {
            let mut inner = self.inner.lock();
            let is_short = inner.size < self.place.sizes.usual;
            inner.crowded = !is_short;
            (inner.size, inner.turn, is_short || inner.state_is_large())
        };
        if is_short && self.grow(size).is_ok() {
            return Ok(());
        }
        if again {
            return self.grow(size);
        }
        match self.poisoned_by(self.write_checkpoint(source, Some(turn))) {
            Err(e) if e.is_full() => {
                self.grow(size)?;
                self.checkpoint(source)
            }
            other => other,
        }
    }

    /// Whether [`Journal::maintain`] has something to do and nobody was told yet.
    pub(crate) fn asks_for_care(&self) -> bool {
        self.due.load(Ordering::Relaxed) && self.due.swap(false, Ordering::Relaxed)
    }

    /// What the background does from time to time: a checkpoint when records have outgrown the last
    /// one, or when the file is nearly full.
    pub(crate) fn maintain(&self, source: &dyn Source) -> Result<()> {
        let (due, size, is_short) = {
            let mut inner = self.inner.lock();
            let for_state = inner.state_bytes >= inner.due_for();
            let due = for_state || inner.end >= inner.due_at();
            if due {
                inner.pace.look(self.written.get(), self.place.disk.monotonic());
            }
            let is_short = inner.size < self.place.sizes.usual;
            (due, inner.size, is_short || (for_state && inner.state_is_large()))
        };
        self.poisoned_by(self.sync_told())?;
        if !due {
            return Ok(());
        }
        let grown = is_short && self.grow(size).is_ok();
        if !grown {
            self.checkpoint(source)?;
        }
        self.make_ready(REACH);
        Ok(())
    }

    /// Doubles the files, unless somebody else has done it. Fast records have those of the usual
    /// length at once.
    pub(super) fn grow(&self, from: u64) -> Result<()> {
        let _one = self.begin_checkpoint();
        let mut inner = self.inner.lock();
        if inner.size == from {
            let least = if inner.pace.fast { self.place.sizes.usual } else { 0 };
            self.lengthen(&mut inner, least.max(from * 2))?;
            self.place.disk.step("journal grown");
        }
        Ok(())
    }

    /// The same for who has begun a checkpoint.
    fn lengthen(&self, inner: &mut Inner, size: u64) -> Result<()> {
        self.files.allocate_all(&self.place, size, inner.slot)?;
        inner.outgrown = true;
        inner.region = self.files.map(&self.place, inner.slot, size)?;
        inner.outgrown = false;
        inner.size = size;
        inner.ask_when_due();
        inner.ready = 0;
        Ok(())
    }

    /// Doubles the files where records have filled the last one while its checkpoint was written,
    /// up to what files are for that at most, or are about to. On a full disk they stay as they
    /// are.
    fn widen(&self) {
        let mut inner = self.inner.lock();
        let (size, sizes) = (inner.size, self.place.sizes);
        let was_crowded = std::mem::take(&mut inner.crowded);
        let will_be = inner.pace.fast && size <= sizes.usual;
        let widens = (was_crowded || will_be) && size < sizes.most;
        if widens && self.lengthen(&mut inner, size * 2).is_ok() {
            self.place.disk.step("journal widened");
        }
    }

    /// Tells the file before, once everything up to `durable` is on disk, that the running one has
    /// taken over for good: whoever finds that there and not the running one has found damage.
    pub(super) fn tell(&self, durable: u64) {
        // Held over the write, so that the file is not taken into use again meanwhile.
        let mut inner = self.inner.lock();
        if durable < inner.switched_at {
            return;
        }
        let Some((slot, at, frame)) = inner.to_tell.take() else {
            return;
        };
        // Without it the file is what it was: nobody relies on what it says about the next one.
        let Some(file) = self.files.get(slot) else { return };
        let written = file.write_at(&frame, at);
        if written.is_ok() {
            inner.told = Some(slot);
        }
        // What was written, be it a part, lies behind what is known of it.
        match inner.take_left(slot) {
            Some(left) if written.is_ok() && left.at == at => {
                inner.set_left(slot, Some(Tail { at: at + frame.len() as u64, ..left }));
            }
            _ => {}
        }
    }

    /// Makes durable what the file before was told.
    pub(super) fn sync_told(&self) -> Result<()> {
        let told = self.inner.lock().told.take();
        told.map_or(Ok(()), |slot| self.sync_slot(slot))
    }

    pub(super) fn begin_checkpoint(&self) -> Checkpointing<'_> {
        let mut running = self.checkpointing.lock();
        while *running {
            self.checkpointed.wait(&mut running);
        }
        *running = true;
        Checkpointing { journal: self }
    }

    /// Writes a checkpoint to the next file and goes on there. Records go on being appended
    /// meanwhile.
    ///
    /// A failed sync of a journal file poisons the journal, whichever file it is.
    pub(crate) fn checkpoint(&self, source: &dyn Source) -> Result<()> {
        self.poisoned_by(self.write_checkpoint(source, None))
    }

    fn poisoned_by(&self, result: Result<()>) -> Result<()> {
        if let Err(error) = &result
            && error.is_failed_sync()
        {
            self.commit.poison(error.clone());
        }
        result
    }

    /// `turn`: there is nothing to do if another file is the running one by now.
    pub(super) fn write_checkpoint(&self, source: &dyn Source, turn: Option<u64>) -> Result<()> {
        let _one = self.begin_checkpoint();
        if turn.is_some_and(|turn| turn != self.inner.lock().turn) {
            return Ok(());
        }
        self.widen();
        // The file that is overwritten holds the state before last. The last one must be durable
        // by now, or a power cut could leave none.
        if self.commit.durable() < self.inner.lock().switched_at && !planted::checkpoint_sync() {
            self.sync_after(self.written.get(), || source.sync_streams())?;
        }
        self.make_ready(MEANWHILE);
        let (slot, turn, size, used, mut copied, first_record) = {
            let mut inner = self.inner.lock();
            let slot = (inner.slot + 1) % 3;
            let used = inner.take_left(slot).map(|left| left.at);
            inner.reserved = 0;
            (slot, inner.turn + 1, inner.size, used, inner.end, inner.next_record)
        };
        let mut next = NextFile::begin(&self.place, &self.files, slot, turn, size, used)?;
        for stream in source.streams() {
            let covers = &mut || self.last_record(stream);
            if let Some((covers, events)) = source.dump(stream, covers)? {
                next.sections(stream, covers, events, self.place.sizes.section)?;
            }
        }
        let checkpoint_bytes = next.end;
        copied = self.catch_up(&mut next, copied)?;
        self.place.disk.step("checkpoint sync");
        planted::unless(planted::checkpoint_sync(), || next.sync())?;
        // What was appended during the sync, so that nobody has to wait while it is copied.
        copied = self.catch_up(&mut next, copied)?;
        let mut inner = self.inner.lock();
        while copied < inner.end {
            let bytes = inner.read_records(&self.place, copied, inner.end)?;
            let running = inner.running(&self.place, copied);
            match copy_frames(&mut next, &running, &bytes)? {
                0 => return Err(Error::corrupt("a record changed under way").at(&running.path)),
                more => copied += more,
            }
        }
        // Before the mark: once that is there, the file is the state.
        if next.end > size / 4 * 3 {
            return Err(Error::new(ErrorKind::StorageFull { needed: size }));
        }
        next.end_mark(first_record, inner.next_record, inner.next_stream)?;
        let switched_at = self.written.get() + 1;
        let left = inner.go_on_in(next, slot, turn, checkpoint_bytes, switched_at);
        self.written.advance_alone(switched_at);
        drop(inner);
        // To take a large map away takes as long as many records do.
        left.region().let_go(0, u64::MAX);
        drop(left);
        self.place.disk.step("checkpoint switched");
        Ok(())
    }

    /// Copies what was appended to the running file into the next one, until little is left: that
    /// comes so fast only if it is copied more slowly than it is appended.
    fn catch_up(&self, next: &mut NextFile, mut copied: u64) -> Result<u64> {
        const LITTLE: u64 = 4 << 10;
        const ROUNDS: usize = 50;
        for _ in 0..ROUNDS {
            let end = self.inner.lock().end;
            if end - copied < LITTLE {
                break;
            }
            copied = self.copy_records(next, copied, end)?;
        }
        Ok(copied)
    }

    /// Copies record frames of the running file into the next one. Nobody who has one to append
    /// waits for more than the copying of bytes.
    fn copy_records(&self, next: &mut NextFile, mut from: u64, to: u64) -> Result<u64> {
        const AT_ONCE: u64 = 16 << 10;
        let mut most = AT_ONCE;
        while from < to {
            let (bytes, running) = {
                let inner = self.inner.lock();
                let bytes = inner.read_records(&self.place, from, to.min(from + most))?;
                (bytes, inner.running(&self.place, from))
            };
            let copied = copy_frames(next, &running, &bytes)?;
            // A frame that is longer than that needs more at once.
            most = if copied == 0 { most * 2 } else { AT_ONCE };
            from += copied;
        }
        Ok(from)
    }
}

/// A place in the running file.
struct Running {
    path: PathBuf,
    seed: u32,
    at: u64,
}

/// Copies the frames of which these bytes are, as far as they are whole. Returns their length.
fn copy_frames(next: &mut NextFile, running: &Running, bytes: &[u8]) -> Result<u64> {
    let (seed, mut done) = (running.seed, 0);
    while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
        let at = running.at + done as u64;
        if rest.len() < HEADER {
            break;
        }
        let broken = || Error::corrupt("a record changed under way").at(&running.path).offset(at);
        let header = Header::decode(rest, seed, at).ok_or_else(broken)?;
        if header.frame_len() > rest.len() as u64 {
            break;
        }
        let body = header.body(rest, seed, at).ok_or_else(broken)?;
        let mut within = 0;
        Extras::read(header.flags, body, &mut within).ok_or_else(broken)?;
        let body = body.get(within..).unwrap_or_default();
        next.frame(Kind::Events, |out| out.extend_from_slice(body))?;
        done += usize::try_from(header.frame_len()).unwrap_or(0);
    }
    Ok(done as u64)
}

impl Inner {
    /// Makes the file with the new checkpoint the running one. Returns the map of the one before.
    fn go_on_in(
        &mut self,
        next: NextFile,
        slot: usize,
        turn: u64,
        bytes: u64,
        switched_at: u64,
    ) -> RegionWriter {
        self.leave_for(&next, slot, turn);
        self.slot = slot;
        self.turn = turn;
        self.seed = next.seed;
        let left = std::mem::replace(&mut self.region, next.region);
        self.outgrown = false;
        self.end = next.end;
        self.state_bytes = bytes + next.spare + self.reserved;
        self.state_then = self.state_bytes;
        self.checkpoint_bytes = bytes;
        self.events_bytes = 0;
        self.ask_when_due();
        self.ready = 0;
        self.switched_at = switched_at;
        self.durable_told = 0;
        left
    }

    /// Bytes of the running file.
    fn read_records(&self, place: &Place, from: u64, to: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(to - from).unwrap_or(0)];
        let io = |e| Error::io("read", &place.path(self.slot), e);
        self.region.read(from, &mut bytes).map_err(io)?;
        Ok(bytes)
    }

    fn running(&self, place: &Place, at: u64) -> Running {
        Running { path: place.path(self.slot), seed: self.seed, at }
    }

    fn take_left(&mut self, slot: usize) -> Option<Tail> {
        self.left.get_mut(slot).and_then(Option::take)
    }

    fn set_left(&mut self, slot: usize, tail: Option<Tail>) {
        if let Some(left) = self.left.get_mut(slot) {
            *left = tail;
        }
    }

    /// Prepares what the file that is left is told. The first file of a store has none before it.
    fn leave_for(&mut self, next: &NextFile, slot: usize, turn: u64) {
        let running = Tail { slot: self.slot, seed: self.seed, at: self.end };
        // The first file of this life is the one that `newest` names, or none.
        if self.seed != 0 {
            self.set_left(self.slot, Some(running));
        }
        let left = self.newest.take().unwrap_or(running);
        let told = Superseded {
            turn,
            slot: slot as u64,
            salt: next.salt,
            durable: next.end,
            next_record: self.next_record,
        };
        let mut frame = Vec::new();
        let builder = FrameBuilder::begin(&mut frame, Kind::Superseded, 0, None);
        told.write(&mut frame);
        builder.end(&mut frame, left.seed, left.at);
        let room = left.at + frame.len() as u64 <= self.size;
        self.to_tell = (left.slot != slot && room).then_some((left.slot, left.at, frame));
    }

    fn ask_when_due(&mut self) {
        (self.ask_at, self.ask_for) = (self.due_at(), self.due_for());
    }

    /// Whether the state takes so much of a file that its checkpoint takes long, and little is left
    /// for records that come meanwhile.
    fn state_is_large(&self) -> bool {
        self.state_then > self.size / 4
    }

    /// Where half of what the state may still grow by is used up, by records that may have undone
    /// each other: whoever finds none left waits for the checkpoint that tells. Not after a few
    /// records, however little is left: on a full disk there would be no end of checkpoints.
    pub(super) fn due_for(&self) -> u64 {
        let left = (self.size / 2).saturating_sub(self.state_then);
        self.state_then + (left / 2).max(self.size / 32)
    }

    /// Where the records have outgrown the checkpoint, or the file is nearly full.
    fn due_at(&self) -> u64 {
        let outgrown = self.end - self.events_bytes + self.due_bytes.max(2 * self.checkpoint_bytes);
        outgrown.min(self.size / 4 * 3)
    }
}

/// Held by the one checkpoint; wakes who waits when it goes, however it goes.
pub(super) struct Checkpointing<'a> {
    journal: &'a Journal,
}

impl Drop for Checkpointing<'_> {
    fn drop(&mut self) {
        *self.journal.checkpointing.lock() = false;
        self.journal.checkpointed.notify_all();
    }
}
