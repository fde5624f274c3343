//! The writing end of a log: what only the appending thread touches, under the writer lock.

use super::ahead::Pace;
use super::rest::Parked;
use super::trims::Hidden;
use super::*;

/// The block that is being filled.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Block {
    pub(crate) base: EntryId,
    pub(crate) entries: u32,
    pub(crate) bytes: u64,
    pub(crate) open: bool,
}

/// What only the appending thread touches.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(super) active: Option<Active>,
    /// The log rests; this is what was active.
    pub(super) parked: Option<Parked>,
    pub(super) ready: Ready,
    pub(super) next_number: u64,
    pub(crate) name: Vec<u8>,
    pub(crate) options: StoredOptions,
    pub(super) last_id: EntryId,
    /// The highest ID that frames tell.
    pub(super) top: EntryId,
    pub(super) ordinal: u64,
    pub(super) chain: u64,
    /// The segment with which the log was restarted last; 0 if it never was.
    pub(super) restart: u64,
    /// The end of the log, as number of the last segment and offset in it.
    pub(super) previous: Option<(u64, u64)>,
    pub(super) position: u64,
    pub(super) block: Block,
    /// The durable position that the frames already tell.
    pub(super) durable_told: u64,
    pub(super) scratch: Vec<u8>,
    /// Under `Always`: what becomes visible once durable, by position.
    pub(super) hidden: VecDeque<Hidden>,
    /// How many of them trim.
    pub(super) hidden_trims: usize,
    pub(super) last_size: u64,
    pub(super) closed: bool,
    pub(super) pace: Pace,
    pub(super) blocks: Blocks,
}

/// The writer, locked.
pub(crate) struct Appender<'a> {
    pub(super) log: &'a Log,
    pub(super) writer: MutexGuard<'a, Writer>,
}

impl Appender<'_> {
    pub(crate) fn last_id(&self) -> EntryId {
        self.writer.last_id
    }

    pub(crate) fn tail(&self) -> Tail {
        Tail { last_id: self.writer.last_id, ordinal: self.writer.ordinal }
    }

    pub(crate) fn options(&self) -> StoredOptions {
        self.writer.options
    }

    pub(crate) fn set_options(&mut self, options: StoredOptions) {
        self.writer.options = options;
    }

    pub(crate) fn set_name(&mut self, name: &[u8]) {
        self.writer.name = name.to_vec();
    }

    /// Whether an entry of this size would go into the block that is being filled.
    pub(crate) fn joins_block(&self, len: usize, key: Option<&Key<'_>>) -> bool {
        let need = (HEADER + BLOCK_HEADER + 64 + len + room_of(key)) as u64;
        let fits = self.writer.active.as_ref().is_some_and(|a| a.size - a.end >= need);
        fits && self.writer.block_has_room(self.log, len)
    }

    /// Sets the last ID without an entry (XSETID), to no less than frames tell. Readers see it at
    /// once.
    pub(crate) fn set_last_id(&mut self, id: EntryId) {
        self.writer.last_id = id;
        let tail = self.tail();
        if self.log.is_strict() && !self.writer.hidden.is_empty() {
            let position = self.writer.position;
            self.writer.hidden.push_back(Hidden { position, tail, trim: None });
        } else {
            self.log.view.set_tail(tail);
        }
    }

    /// How many bytes [`Log::make_room`] has to make room for before this entry is appended, with
    /// the writer free; `None` if there is room.
    pub(crate) fn lacks_room(&self, len: usize, key: Option<&Key<'_>>) -> Option<u64> {
        let need = (HEADER + BLOCK_HEADER + 64 + len + room_of(key)) as u64;
        (!self.writer.has_room(need)).then_some(need)
    }

    /// The same for a batch; `None` also for one that is too large to be appended at all.
    pub(crate) fn batch_lacks_room(&self, entries: &[(EntryId, &[u8])]) -> Option<u64> {
        let (need, max) = self.batch_size(entries);
        (need <= max && !self.writer.has_room(need)).then_some(need)
    }

    /// The most that a batch can take, and the most that it may.
    fn batch_size(&self, entries: &[(EntryId, &[u8])]) -> (u64, u64) {
        // Every entry in a frame of its own, block start and all, is the most that it can take.
        let sizes = entries.iter().map(|(_, list)| padded(list.len() + 96));
        let largest = self.writer.options.segment_bytes;
        let max = largest.saturating_sub(FILE_HEADER as u64 + BEGIN_ROOM);
        (sizes.sum(), max)
    }

    /// Appends one entry whose ID is greater than the last one. Returns the position behind it.
    ///
    /// # Errors
    /// `StorageFull` and its kin when a new segment is needed; then nothing was appended.
    pub(crate) fn append(
        &mut self,
        id: EntryId,
        list: &[u8],
        trimmed: Option<EntryId>,
        key: Option<&Key<'_>>,
    ) -> Result<u64> {
        let need = (HEADER + BLOCK_HEADER + 64 + list.len() + room_of(key)) as u64;
        let (log, writer) = (self.log, &mut *self.writer);
        writer.make_room(log, need)?;
        let extras = writer.extras(log, trimmed);
        let flags = extras.flags_with(key);
        let block = writer.next_block(log, id, list.len());
        writer.append_copy(log, (id, list), flags, block, |out| extras.write_with(out, key))
    }

    /// Appends entries with strictly increasing IDs, all published at once.
    ///
    /// # Errors
    /// `BatchTooLarge` if they do not fit into one segment; `StorageFull` and its kin. Then nothing
    /// was appended.
    pub(crate) fn append_batch(&mut self, entries: &[(EntryId, &[u8])]) -> Result<u64> {
        let (need, max) = self.batch_size(entries);
        let (log, writer) = (self.log, &mut *self.writer);
        if need > max {
            return Err(Error::new(ErrorKind::BatchTooLarge { size: need, max }));
        }
        writer.make_room(log, need)?;
        let before = writer.batch_point();
        let mut rest = entries;
        while !rest.is_empty() {
            match writer.store_batch_frame(log, rest) {
                Ok(taken) => rest = rest.get(taken..).unwrap_or_default(),
                Err(error) => {
                    writer.undo(before);
                    return Err(error);
                }
            }
        }
        Ok(writer.finish(log))
    }
}

/// What a key takes of a frame at most.
#[inline]
fn room_of(key: Option<&Key<'_>>) -> usize {
    key.map_or(0, |key| key.len() + 32)
}

/// What a failed batch goes back to.
#[derive(Clone, Copy)]
pub(super) struct BatchPoint {
    pub(super) last_id: EntryId,
    pub(super) top: EntryId,
    pub(super) ordinal: u64,
    pub(super) chain: u64,
}

impl Writer {
    pub(super) fn batch_point(&self) -> BatchPoint {
        let Writer { last_id, top, ordinal, chain, .. } = *self;
        BatchPoint { last_id, top, ordinal, chain }
    }

    /// Takes back frames that were written and not published. Their bytes stay, so the segment ends
    /// before them.
    pub(super) fn undo(&mut self, to: BatchPoint) {
        self.last_id = to.last_id;
        self.top = to.top;
        self.ordinal = to.ordinal;
        self.end_segment();
        self.chain = to.chain;
    }

    pub(super) fn end_segment(&mut self) {
        if let Some(active) = self.active.take() {
            self.last_size = active.size;
            self.previous = Some((active.segment.number(), active.segment.end()));
            self.position = active.segment.end_position();
        }
        self.block.open = false;
    }

    pub(super) fn next_size(&self, need: u64) -> u64 {
        let largest = self.options.segment_bytes;
        let last = self.ready.last().map_or(self.last_size, |last| last.size);
        let usual = (last * 2).clamp(FIRST_SEGMENT.min(largest), largest);
        let least = need + FILE_HEADER as u64 + BEGIN_ROOM;
        usual.max(least.next_multiple_of(4096))
    }

    /// Whether `need` more bytes fit into the segment that is written, or into one that is ready.
    pub(super) fn has_room(&self, need: u64) -> bool {
        let active = self.active.as_ref();
        let least = need + FILE_HEADER as u64 + BEGIN_ROOM;
        active.is_some_and(|active| active.size - active.end >= need) || self.ready.has_room(least)
    }

    /// Makes sure that `need` more bytes fit into the segment that is being written.
    #[inline]
    pub(super) fn make_room(&mut self, log: &Log, need: u64) -> Result<()> {
        match &self.active {
            Some(active) if active.size - active.end >= need => Ok(()),
            _ => self.roll(log, need),
        }
    }

    /// Goes on in a new segment. Waits for no sync of the old one, and for none at all where the
    /// caller has asked for room before; a log that nobody else knows (a copy's) makes it here.
    #[cold]
    pub(super) fn roll(&mut self, log: &Log, need: u64) -> Result<()> {
        let least = need + FILE_HEADER as u64 + BEGIN_ROOM;
        let prepared = match self.ready.take(log, least) {
            Some(prepared) => prepared,
            None => {
                let size = self.next_size(need);
                let made = Prepared::new(&log.home, self.next_number, size);
                let prepared = log.poison_if_sync(made)?;
                self.next_number += 1;
                prepared
            }
        };
        self.end_segment();
        let begin = Begin {
            previous: self.previous,
            position: self.position,
            last_id: self.last_id,
            ordinal: self.ordinal,
            chain: self.chain,
            restart: self.restart,
            name: self.name.clone(),
        };
        let begun = prepared.begin(log, begin)?;
        self.enter(&begun, log.home.disk.monotonic());
        log.add_segment(&begun);
        self.active = Some(begun.active());
        Ok(())
    }

    /// What follows from the Begin of a segment that the log goes on in.
    pub(super) fn enter(&mut self, begun: &Begun, now: Duration) {
        let begin = &begun.segment.begin;
        self.top = self.top.max(begin.last_id);
        self.chain = chain(begin.chain, begun.crc);
        self.durable_told = begun.durable;
        self.block.open = false;
        self.last_size = begun.size;
        self.position = begun.segment.end_position();
        self.blocks.change_file();
        self.ready.enter(now);
    }

    pub(super) fn extras(&mut self, log: &Log, trimmed: Option<EntryId>) -> Extras {
        let durable = log.commit.durable();
        let told = self.durable_told;
        self.durable_told = durable;
        let distance = (durable != told).then(|| self.position.saturating_sub(durable));
        Extras { durable_distance: distance, trimmed, keyed: false }
    }

    /// Opens a block for the entry if the last one is full; its header goes into the frame.
    pub(super) fn next_block(
        &mut self,
        log: &Log,
        id: EntryId,
        len: usize,
    ) -> Option<(EntryId, u64)> {
        if self.block_has_room(log, len) {
            return None;
        }
        log.restart_block.store(false, Ordering::Release);
        self.block = Block { base: id, entries: 0, bytes: 0, open: true };
        Some((id, self.ordinal))
    }

    /// Whether the block that is being filled takes one more entry.
    pub(super) fn block_has_room(&self, log: &Log, len: usize) -> bool {
        let (most, bytes) = (self.options.block_entries, u64::from(self.options.block_bytes));
        let block = &self.block;
        block.open
            && !log.restart_block.load(Ordering::Acquire)
            && (most == 0 || block.entries < most)
            && (bytes == 0 || block.bytes + (len as u64) < bytes)
    }

    /// Puts a frame at the end of the segment, complete but not published.
    pub(super) fn store(
        &mut self,
        log: &Log,
        frame: FrameBuilder,
        out: &mut Vec<u8>,
        entries: u64,
    ) -> Result<()> {
        let by_call = self.writes_by_call(log);
        let Some(active) = &mut self.active else {
            return Err(Error::new(ErrorKind::Closed));
        };
        let at = active.end;
        let crc = frame.end(out, active.segment.seed, at);
        if let Err(error) = put(&mut active.region, &*active.file, by_call, at, out) {
            return Err(self.failed(at, error));
        }
        if frame.begins_block() {
            active.segment.push_block(BlockStart {
                id: self.block.base,
                offset: at as u32,
                ordinal: active.entries as u32,
            });
        }
        self.stored(log, out.len() as u64, crc, entries);
        Ok(())
    }

    /// What was stored may be there in part, so the segment ends in front of it.
    #[cold]
    pub(super) fn failed(&mut self, at: u64, error: std::io::Error) -> Error {
        let path = self.active.as_ref().map(|active| active.segment.path.clone());
        self.end_segment();
        Error::io("write", &path.unwrap_or_default(), error).offset(at)
    }

    /// Takes in that a frame is at the end of the segment.
    #[inline(always)]
    pub(super) fn stored(&mut self, log: &Log, len: u64, crc: u32, entries: u64) {
        let Some(active) = &mut self.active else {
            return;
        };
        let (at, half) = (active.end, active.size / 2);
        if at < half && at + len >= half {
            log.care.store(true, Ordering::Relaxed);
        }
        active.end = at + len;
        active.entries += entries;
        self.position = active.segment.position() + active.end;
        self.chain = chain(self.chain, crc);
        if self.pace.is_due(self.position) {
            self.look_at_pace(log);
        }
    }

    /// What is synced alone is written alone: a store to the map would have its folio written.
    #[inline]
    pub(super) fn writes_by_call(&self, log: &Log) -> bool {
        log.is_strict() || log.commit.durable() == self.position
    }

    #[cold]
    fn look_at_pace(&mut self, log: &Log) {
        if self.pace.look(self.position, log.home.disk.monotonic()) {
            log.ask_for_care();
        }
    }

    pub(super) fn took(&mut self, id: EntryId, len: usize) {
        self.last_id = id;
        self.top = id;
        self.ordinal += 1;
        self.block.entries += 1;
        self.block.bytes += len as u64;
    }

    /// Makes what was stored readable (or, under `Always`, ready to be once it is durable).
    /// Returns the position behind it.
    #[inline]
    pub(super) fn finish(&mut self, log: &Log) -> u64 {
        let Some(active) = &mut self.active else {
            return self.position;
        };
        log.home.step("stored");
        active.region.freeze(active.end);
        active.segment.grew(active.end, active.entries);
        let tail = Tail { last_id: self.last_id, ordinal: self.ordinal };
        log.written.advance_alone(self.position);
        if log.is_strict() && !planted::early_publish() {
            self.hidden.push_back(Hidden { position: self.position, tail, trim: None });
        } else {
            log.view.publish(tail, self.position);
        }
        log.home.step("written");
        self.position
    }

    /// The end of what a finished sync up to `target` shows, and what that trims. However many
    /// appends share the sync: all others wait meanwhile.
    pub(super) fn shown_by(&mut self, target: u64) -> (Option<Tail>, Option<TrimPlan>) {
        let count = self.hidden.partition_point(|hidden| hidden.position <= target);
        let last = count.checked_sub(1).and_then(|last| self.hidden.get(last));
        let tail = last.map(|hidden| hidden.tail);
        let mut trim: Option<TrimPlan> = None;
        if self.hidden_trims > 0 {
            for plan in self.hidden.iter().take(count).filter_map(|hidden| hidden.trim) {
                // A later one may trim less: it was planned when the earlier one had no effect yet.
                trim = Some(trim.map_or(plan, |before| before.or_more(plan)));
                self.hidden_trims = self.hidden_trims.saturating_sub(1);
            }
        }
        self.hidden.drain(..count);
        (tail, trim)
    }

    /// Stores the next frame of a batch: as many entries as its block takes. Returns how many.
    pub(super) fn store_batch_frame(
        &mut self,
        log: &Log,
        entries: &[(EntryId, &[u8])],
    ) -> Result<usize> {
        let Some((first, list)) = entries.first() else {
            return Ok(0);
        };
        let extras = self.extras(log, None);
        let block = self.next_block(log, *first, list.len());
        let room = self.room_in_block(entries);
        let flags = extras.flags()
            | if room == entries.len() || planted::commit_always() { COMMIT } else { 0 };
        let mut out = std::mem::take(&mut self.scratch);
        let frame = FrameBuilder::begin(&mut out, Kind::Batch, flags, block);
        extras.write(&mut out);
        crate::entry::write_varint(&mut out, room as u64);
        let mut previous = self.block.base;
        for (n, (id, list)) in entries.iter().take(room).enumerate() {
            if n > 0 || block.is_none() {
                write_id(&mut out, previous, *id);
            }
            previous = *id;
            crate::entry::write_bytes(&mut out, list);
        }
        let stored = self.store(log, frame, &mut out, room as u64);
        self.scratch = out;
        stored?;
        for (id, list) in entries.iter().take(room) {
            self.took(*id, list.len());
        }
        Ok(room)
    }

    /// How many of the entries go into the open block and into one frame; at least one.
    pub(super) fn room_in_block(&self, entries: &[(EntryId, &[u8])]) -> usize {
        /// What a batch says of an entry besides its list, and of itself, at most.
        const OVERHEAD: usize = 64;
        let (most, bytes) = (self.options.block_entries, u64::from(self.options.block_bytes));
        let (mut count, mut size) = (self.block.entries, self.block.bytes);
        let (mut taken, mut body) = (0, OVERHEAD);
        for (_, list) in entries {
            body += OVERHEAD + list.len();
            let full = (most != 0 && count >= most)
                || (bytes != 0 && size + list.len() as u64 >= bytes)
                || body > MAX_BODY;
            if full && taken > 0 {
                break;
            }
            taken += 1;
            count += 1;
            size += list.len() as u64;
        }
        taken
    }
}

/// Stores bytes into a segment: through the map, or by a write call where an append may be synced
/// alone and a map would write back a whole folio for it.
pub(super) fn put(
    region: &mut RegionWriter,
    file: &dyn DiskFile,
    by_call: bool,
    at: u64,
    bytes: &[u8],
) -> std::io::Result<()> {
    if by_call { file.write_at(bytes, at) } else { region.write(at, bytes) }
}
