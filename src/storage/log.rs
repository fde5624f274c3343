//! One stream's segments as a log: append, publish, roll, sync, seal.
//!
//! Invariants:
//! * IDs and positions strictly increase over segments; a frame's position is its segment's position
//!   plus its offset, and segments follow each other without a gap in positions.
//! * Three marks, all only growing: `written` (complete frames), `durable` (in the commit; covered
//!   by a finished sync whose target was taken before it began), `published` (what readers see).
//!   Under `Always` published follows durable; otherwise it follows written.
//! * A roll waits for no sync; the sync takes segments in order, so an entry is durable only when
//!   all earlier segments are.
//! * A write that failed half-way ends its segment: no byte that is not zero is written over.
//! * Lock order: writer, then `unsynced`, then `segments`, then `view`; none is held over a sync.

use super::cursor::{Segments, Span};
use super::disk::DiskFile;
use super::region::{Region, RegionWriter};
use super::segment::{self, Home, Segment, SegmentParts, write_footer};
use crate::commit::{Commit, Mark};
use crate::error::{Error, ErrorKind, Result};
use crate::format::event::StoredOptions;
use crate::format::footer::{BlockStart, Footer};
use crate::format::frame::{
    BLOCK, BLOCK_HEADER, Begin, COMMIT, Extras, FrameBuilder, HEADER, Kind, chain, padded, write_id,
};
use crate::format::header::{FILE_HEADER, FileHeader};
use crate::format::name;
use crate::id::EntryId;
use parking_lot::{Mutex, MutexGuard, RwLock};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The smallest segment, in bytes; each one is twice as large as the one before, up to the option.
const FIRST_SEGMENT: u64 = 64 << 10;
/// What a Begin frame takes at most, name and padding included.
const BEGIN_ROOM: u64 = 448;

/// The end of the log as somebody sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Tail {
    pub(crate) last_id: EntryId,
    /// How many entries were appended over the stream's life.
    pub(crate) ordinal: u64,
}

/// What readers see.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct View {
    pub(crate) tail: Tail,
    /// Entries below this ID are gone.
    pub(crate) first: EntryId,
}

pub(crate) struct Log {
    pub(crate) home: Home,
    segments: RwLock<Segments>,
    writer: Mutex<Writer>,
    written: Mark,
    published: Mark,
    pub(crate) view: Mutex<View>,
    pub(crate) commit: Commit,
    /// Segments with bytes that may not be on disk, in order; the last one is being written.
    unsynced: Mutex<Vec<OpenSegment>>,
    /// Set with the first failed sync, so that appends need not ask the commit.
    poisoned: AtomicBool,
    /// Readers see entries only once they are durable, and writes go by `write_at`.
    pub(crate) always: bool,
    pub(crate) skip_damage: bool,
    /// The block that is being filled has no live entry left: begin another one, as Redis frees an
    /// empty node.
    pub(crate) restart_block: AtomicBool,
    /// The segment is half full, or another one was begun: there is something to prepare or seal.
    care: AtomicBool,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Log({})", self.home.dir.display())
    }
}

/// A segment and its file, which stays open until all of it is on disk.
type OpenSegment = (Arc<Segment>, Arc<dyn DiskFile>);

/// A segment that waits for its turn: complete, named, durable and empty.
#[derive(Debug)]
struct Prepared {
    header: FileHeader,
    file: Arc<dyn DiskFile>,
    region: Arc<Region>,
    size: u64,
}

impl Prepared {
    fn new(home: &Home, number: u64, size: u64) -> Result<Prepared> {
        let (header, file) = segment::create(home, number, size)?;
        let path = home
            .dir
            .join(name::segment(header.number, header.generation));
        let region = file
            .map(size, true)
            .map_err(|e| Error::io("map", &path, e))?;
        Ok(Prepared {
            header,
            file,
            region: Arc::new(region),
            size,
        })
    }
}

#[derive(Debug)]
struct Active {
    segment: Arc<Segment>,
    file: Arc<dyn DiskFile>,
    region: RegionWriter,
    end: u64,
    size: u64,
    entries: u64,
    trim_to: EntryId,
}

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
    active: Option<Active>,
    next: Option<Prepared>,
    next_number: u64,
    pub(crate) name: Vec<u8>,
    pub(crate) options: StoredOptions,
    last_id: EntryId,
    ordinal: u64,
    chain: u64,
    /// The end of the log, as number of the last segment and offset in it.
    previous: Option<(u64, u64)>,
    position: u64,
    block: Block,
    /// The durable position that the frames already tell.
    durable_told: u64,
    scratch: Vec<u8>,
    /// Under `Always`: the tails that become visible once durable, by position.
    hidden: VecDeque<(u64, Tail)>,
    last_size: u64,
    closed: bool,
}

/// What recovery (or creation) hands over.
#[derive(Debug)]
pub(crate) struct LogParts {
    pub(crate) segments: Vec<Arc<Segment>>,
    /// The last segment's file and length if it can be continued.
    pub(crate) active: Option<(Arc<dyn DiskFile>, u64)>,
    pub(crate) next_number: u64,
    pub(crate) name: Vec<u8>,
    pub(crate) options: StoredOptions,
    pub(crate) tail: Tail,
    pub(crate) first: EntryId,
    pub(crate) chain: u64,
    /// The last block of a segment that can be continued.
    pub(crate) block: Option<Block>,
    pub(crate) always: bool,
    pub(crate) skip_damage: bool,
}

impl Log {
    /// A log over segments that recovery has found good and synced.
    pub(crate) fn new(home: Home, parts: LogParts) -> Result<Log> {
        let position = parts.segments.last().map_or(0, |s| s.end_position());
        let previous = parts.segments.last().map(|s| (s.number(), s.end()));
        let mut active = None;
        let mut unsynced = Vec::new();
        if let (Some(segment), Some((file, size))) = (parts.segments.last(), &parts.active) {
            let mapped = file
                .map(*size, true)
                .map_err(|e| Error::io("map", &segment.path, e))?;
            let region = Arc::new(mapped.frozen_to(segment.end()));
            segment.set_region(Arc::clone(&region));
            let Some(region) = region.writer() else {
                return Err(Error::corrupt("the segment has a writer already").at(&segment.path));
            };
            let (segment, file) = (Arc::clone(segment), Arc::clone(file));
            unsynced.push((Arc::clone(&segment), Arc::clone(&file)));
            let (end, entries) = (segment.end(), segment.entries());
            let trim_to = EntryId::MIN;
            active = Some(Active {
                segment,
                file,
                region,
                end,
                size: *size,
                entries,
                trim_to,
            });
        }
        let last_size = active.as_ref().map_or(FIRST_SEGMENT / 2, |a| a.size);
        let writer = Writer {
            active,
            next: None,
            next_number: parts.next_number,
            name: parts.name,
            options: parts.options,
            last_id: parts.tail.last_id,
            ordinal: parts.tail.ordinal,
            chain: parts.chain,
            previous,
            position,
            block: parts.block.unwrap_or_default(),
            durable_told: 0,
            scratch: Vec::new(),
            hidden: VecDeque::new(),
            last_size,
            closed: false,
        };
        Ok(Log {
            home,
            segments: RwLock::new(Arc::new(parts.segments)),
            writer: Mutex::new(writer),
            written: Mark::new(position),
            published: Mark::new(position),
            view: Mutex::new(View {
                tail: parts.tail,
                first: parts.first,
            }),
            commit: Commit::new(position),
            unsynced: Mutex::new(unsynced),
            poisoned: AtomicBool::new(false),
            always: parts.always,
            skip_damage: parts.skip_damage,
            restart_block: AtomicBool::new(false),
            care: AtomicBool::new(false),
        })
    }

    pub(crate) fn segments(&self) -> Segments {
        Arc::clone(&self.segments.read())
    }

    pub(crate) fn written(&self) -> u64 {
        self.written.get()
    }

    /// What readers may see now.
    pub(crate) fn span(&self) -> Span {
        // The mark is read before the list: segments are added before the mark moves into them.
        let published = self.published.get();
        let first = self.view.lock().first;
        Span {
            published,
            segments: self.segments(),
            first,
            skip_damage: self.skip_damage,
        }
    }

    /// Everything that is written, published or not: for trims, which count in order of appending.
    pub(crate) fn written_span(&self) -> Span {
        let published = self.written.get();
        let first = self.view.lock().first;
        Span {
            published,
            segments: self.segments(),
            first,
            skip_damage: self.skip_damage,
        }
    }

    pub(crate) fn tail(&self) -> Tail {
        self.view.lock().tail
    }

    /// The right to append. Fails when the log is poisoned or closed.
    pub(crate) fn writer(&self) -> Result<Appender<'_>> {
        let writer = self.writer.lock();
        if self.poisoned.load(Ordering::Acquire)
            && let Some(cause) = self.commit.poisoned()
        {
            return Err(poisoned(&cause));
        }
        if writer.closed {
            return Err(Error::new(ErrorKind::Closed));
        }
        Ok(Appender { log: self, writer })
    }

    /// Makes everything below `target` durable: the segments in order, each once.
    pub(crate) fn sync_files(&self, target: u64) -> Result<()> {
        let files: Vec<_> = self.unsynced.lock().clone();
        let durable = self.commit.durable();
        for (segment, file) in files {
            if segment.position() >= target || segment.end_position() <= durable {
                continue;
            }
            if let Err(e) = file.sync() {
                self.poisoned.store(true, Ordering::Release);
                return Err(Error::io("sync", &segment.path, e));
            }
        }
        Ok(())
    }

    /// What a finished sync up to `target` changes: publication under `Always`, and rolled segments
    /// whose files need not stay open.
    pub(crate) fn synced(&self, target: u64) {
        let mut unsynced = self.unsynced.lock();
        let keep = unsynced.len().saturating_sub(1);
        let done = unsynced
            .iter()
            .take(keep)
            .take_while(|(s, _)| s.end_position() <= target)
            .count();
        unsynced.drain(..done);
        drop(unsynced);
        if self.always {
            let mut writer = self.writer.lock();
            let mut tail = None;
            while let Some((position, found)) = writer.hidden.front().copied() {
                if position > target {
                    break;
                }
                tail = Some(found);
                writer.hidden.pop_front();
            }
            if let Some(tail) = tail {
                self.view.lock().tail = tail;
            }
            self.published.advance_to(target);
        }
    }

    /// Whether a sync of this log has failed.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    /// Whether the background has something to do here.
    pub(crate) fn wants_care(&self) -> bool {
        self.care.load(Ordering::Relaxed)
    }

    pub(crate) fn has_unsynced(&self) -> bool {
        self.written.get() > self.commit.durable()
    }

    /// Prepares the next segment if the last one is more than half full. The file is made without
    /// holding the writer up.
    pub(crate) fn prepare(&self) -> Result<()> {
        self.care.store(false, Ordering::Relaxed);
        let (number, size) = {
            let mut writer = self.writer.lock();
            let due = writer.active.as_ref().is_some_and(|a| a.end > a.size / 2);
            if writer.next.is_some() || !due || writer.closed {
                return Ok(());
            }
            let number = writer.next_number;
            writer.next_number += 1;
            (number, writer.next_size(0))
        };
        let prepared = self.poison_if_sync(Prepared::new(&self.home, number, size))?;
        let mut writer = self.writer.lock();
        // Numbers grow along the log: a segment that was overtaken by another one is of no use.
        if writer.next.is_some() || writer.closed || writer.next_number != number + 1 {
            drop(writer);
            self.discard(&prepared.header);
        } else {
            writer.next = Some(prepared);
        }
        Ok(())
    }

    /// A failed sync of a new segment or of the directory stops the stream like any other.
    fn poison_if_sync<T>(&self, made: Result<T>) -> Result<T> {
        if let Err(error) = &made
            && matches!(
                error.kind(),
                ErrorKind::Io {
                    op: "sync" | "sync directory"
                }
            )
        {
            self.poison(error.clone());
        }
        made
    }

    /// Refuses appends and syncs from now on, and wakes whoever waits for one.
    pub(crate) fn poison(&self, cause: Error) {
        self.poisoned.store(true, Ordering::Release);
        self.commit.poison(cause);
    }

    fn discard(&self, header: &FileHeader) {
        let path = self
            .home
            .dir
            .join(name::segment(header.number, header.generation));
        // An empty segment that stays is removed by the next recovery.
        drop(self.home.disk.remove_file(&path));
    }

    /// Gives footers to segments that have none and whose successor is known to be durable, so that
    /// a footer never lies behind frames that could still be cut.
    pub(crate) fn seal(&self) -> Result<()> {
        let segments = self.segments();
        let durable = self.commit.durable();
        for (n, segment) in segments.iter().enumerate() {
            let Some(next) = segments.get(n + 1) else {
                break;
            };
            if segment.sealed.load(Ordering::Acquire)
                || durable <= next.position() + FILE_HEADER as u64
            {
                continue;
            }
            self.seal_one(segment, next)?;
        }
        Ok(())
    }

    fn seal_one(&self, segment: &Segment, next: &Segment) -> Result<()> {
        let open = self
            .home
            .disk
            .open(&segment.path, super::disk::OpenMode::Write);
        let file = open.map_err(|e| Error::io("open", &segment.path, e))?;
        let mut window = super::scan::Window::new(&*file, &segment.path)?;
        let behind = window.nonzero_end(segment.end())?;
        let footer = Footer {
            end: segment.end(),
            entries: segment.entries(),
            last_id: next.begin.last_id,
            chain: next.begin.chain,
            trim_to: self.view.lock().first,
            index: segment.index_copy(),
        };
        write_footer(&*file, &segment.path, &footer, segment.seed, behind)?;
        segment.sealed.store(true, Ordering::Release);
        Ok(())
    }

    /// Takes the segments out of the list that hold only entries below `first`; the caller has made
    /// `first` durable. Readers that hold them keep them.
    pub(crate) fn take_trimmed(&self, first: EntryId) -> Vec<Arc<Segment>> {
        let durable = self.commit.durable();
        let mut segments = self.segments.write();
        let gone = segments
            .windows(2)
            .take_while(|pair| {
                pair.get(1).is_some_and(|next| {
                    next.begin.last_id < first && durable > next.position() + FILE_HEADER as u64
                })
            })
            .count();
        if gone == 0 {
            return Vec::new();
        }
        let taken = segments.iter().take(gone).cloned().collect();
        *segments = Arc::new(segments.iter().skip(gone).cloned().collect());
        taken
    }

    /// Whether [`Log::take_trimmed`] would find something.
    pub(crate) fn has_trimmed(&self, first: EntryId) -> bool {
        let segments = self.segments.read();
        segments
            .get(1)
            .is_some_and(|next| next.begin.last_id < first)
    }

    /// Takes no appends any more, makes everything durable and appends a Close frame that says so.
    /// `done` is told what became durable.
    pub(crate) fn close(&self, done: &dyn Fn()) -> Result<()> {
        {
            let mut writer = self.writer.lock();
            if writer.closed {
                return Ok(());
            }
            writer.closed = true;
        }
        let sync = || {
            let synced = |target| {
                self.synced(target);
                done();
            };
            self.commit
                .sync_now(|| self.written(), |target| self.sync_files(target), synced)
        };
        let mut result = sync();
        if result.is_ok() && self.append_close()? {
            result = sync();
        }
        self.commit.close(Error::new(ErrorKind::Closed));
        let prepared = self.writer.lock().next.take();
        if let Some(prepared) = prepared {
            self.discard(&prepared.header);
        }
        result
    }

    /// `false` if there is no segment with room for the frame; then the next open scans a little.
    fn append_close(&self) -> Result<bool> {
        let mut writer = self.writer.lock();
        if writer
            .active
            .as_ref()
            .is_none_or(|active| active.size - active.end < 32)
        {
            return Ok(false);
        }
        let extras = Extras {
            durable_distance: Some(0),
            trim_to: None,
        };
        let mut out = std::mem::take(&mut writer.scratch);
        let frame = FrameBuilder::begin(&mut out, Kind::Close, extras.flags(), None);
        extras.write(&mut out);
        let stored = writer.store(self, frame, &mut out, 0);
        writer.scratch = out;
        stored?;
        writer.finish(self);
        Ok(true)
    }

    /// Refuses appends from now on, without another byte on disk.
    pub(crate) fn abandon(&self, reason: Error) {
        self.writer.lock().closed = true;
        self.commit.close(reason);
    }
}

pub(crate) fn poisoned(cause: &Error) -> Error {
    match cause.kind() {
        ErrorKind::Poisoned { .. } => cause.clone(),
        _ => Error::new(ErrorKind::Poisoned {
            cause: cause.to_string(),
        }),
    }
}

/// The writer, locked.
pub(crate) struct Appender<'a> {
    log: &'a Log,
    writer: MutexGuard<'a, Writer>,
}

impl Appender<'_> {
    pub(crate) fn last_id(&self) -> EntryId {
        self.writer.last_id
    }

    pub(crate) fn tail(&self) -> Tail {
        Tail {
            last_id: self.writer.last_id,
            ordinal: self.writer.ordinal,
        }
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
    pub(crate) fn joins_block(&self, len: usize) -> bool {
        let need = (HEADER + BLOCK_HEADER + 64 + len) as u64;
        let fits = self
            .writer
            .active
            .as_ref()
            .is_some_and(|a| a.size - a.end >= need);
        fits && self.writer.block_has_room(self.log, len)
    }

    /// Raises the last ID without an entry (XSETID). Readers see it at once.
    pub(crate) fn set_last_id(&mut self, id: EntryId) {
        self.writer.last_id = id;
        let tail = self.tail();
        if self.log.always && !self.writer.hidden.is_empty() {
            let position = self.writer.position;
            self.writer.hidden.push_back((position, tail));
        } else {
            self.log.view.lock().tail = tail;
        }
    }

    /// Appends one entry whose ID is greater than the last one. Returns the position behind it.
    ///
    /// # Errors
    /// `StorageFull` and its kin when a new segment is needed; then nothing was appended.
    pub(crate) fn append(
        &mut self,
        id: EntryId,
        list: &[u8],
        trim_to: Option<EntryId>,
    ) -> Result<u64> {
        let need = (HEADER + BLOCK_HEADER + 64 + list.len()) as u64;
        let (log, writer) = (self.log, &mut *self.writer);
        writer.make_room(log, need)?;
        let extras = writer.extras(log, trim_to);
        let block = writer.next_block(log, id, list.len());
        let mut out = std::mem::take(&mut writer.scratch);
        let frame = FrameBuilder::begin(&mut out, Kind::Entry, extras.flags(), block);
        extras.write(&mut out);
        if block.is_none() {
            write_id(&mut out, writer.block.base, id);
        }
        out.extend_from_slice(list);
        let stored = writer.store(log, frame, &mut out, 1);
        writer.scratch = out;
        stored?;
        writer.took(id, list.len());
        if let (Some(trim), Some(active)) = (trim_to, &mut writer.active) {
            active.trim_to = active.trim_to.max(trim);
        }
        Ok(writer.finish(log))
    }

    /// Appends entries with strictly increasing IDs, all published at once. `trim_to` goes with the
    /// last of them.
    ///
    /// # Errors
    /// `BatchTooLarge` if they do not fit into one segment; `StorageFull` and its kin. Then nothing
    /// was appended.
    pub(crate) fn append_batch(&mut self, entries: &[(EntryId, &[u8])]) -> Result<u64> {
        let (log, writer) = (self.log, &mut *self.writer);
        // Every entry in a frame of its own, block start and all, is the most that it can take.
        let need: u64 = entries
            .iter()
            .map(|(_, list)| padded(list.len() + 96))
            .sum();
        let max = writer
            .options
            .segment_bytes
            .saturating_sub(FILE_HEADER as u64 + BEGIN_ROOM);
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

/// What a failed batch goes back to.
#[derive(Clone, Copy)]
struct BatchPoint {
    last_id: EntryId,
    ordinal: u64,
    chain: u64,
}

impl Writer {
    fn batch_point(&self) -> BatchPoint {
        BatchPoint {
            last_id: self.last_id,
            ordinal: self.ordinal,
            chain: self.chain,
        }
    }

    /// Takes back frames that were written and not published. Their bytes stay, so the segment ends
    /// before them.
    fn undo(&mut self, to: BatchPoint) {
        self.last_id = to.last_id;
        self.ordinal = to.ordinal;
        self.end_segment();
        self.chain = to.chain;
    }

    fn end_segment(&mut self) {
        if let Some(active) = self.active.take() {
            self.last_size = active.size;
            self.previous = Some((active.segment.number(), active.segment.end()));
            self.position = active.segment.end_position();
        }
        self.block.open = false;
    }

    fn next_size(&self, need: u64) -> u64 {
        let largest = self.options.segment_bytes;
        let usual = (self.last_size * 2).clamp(FIRST_SEGMENT.min(largest), largest);
        let least = need + FILE_HEADER as u64 + BEGIN_ROOM;
        usual.max(least.next_multiple_of(4096))
    }

    /// Makes sure that `need` more bytes fit into the segment that is being written.
    fn make_room(&mut self, log: &Log, need: u64) -> Result<()> {
        match &self.active {
            Some(active) if active.size - active.end >= need => Ok(()),
            _ => self.roll(log, need),
        }
    }

    /// Goes on in a new segment, prepared or made here. Waits for no sync of the old one.
    fn roll(&mut self, log: &Log, need: u64) -> Result<()> {
        let least = need + FILE_HEADER as u64 + BEGIN_ROOM;
        let prepared = match self.next.take() {
            Some(prepared) if prepared.size >= least => prepared,
            other => {
                if let Some(prepared) = other {
                    log.discard(&prepared.header);
                }
                let size = self.next_size(need);
                let made = Prepared::new(&log.home, self.next_number, size);
                let prepared = log.poison_if_sync(made)?;
                self.next_number += 1;
                prepared
            }
        };
        self.end_segment();
        self.begin_segment(log, prepared)
    }

    fn begin_segment(&mut self, log: &Log, prepared: Prepared) -> Result<()> {
        let Prepared {
            header,
            file,
            region,
            size,
        } = prepared;
        let begin = Begin {
            previous: self.previous,
            position: self.position,
            last_id: self.last_id,
            ordinal: self.ordinal,
            chain: self.chain,
            name: self.name.clone(),
        };
        let at = FILE_HEADER as u64;
        let path = log
            .home
            .dir
            .join(name::segment(header.number, header.generation));
        let Some(mut writer) = region.writer() else {
            return Err(Error::corrupt("the segment has a writer already").at(&path));
        };
        let durable = log.commit.durable();
        let extras = Extras {
            durable_distance: Some((begin.position + at).saturating_sub(durable)),
            trim_to: None,
        };
        let mut out = std::mem::take(&mut self.scratch);
        let frame = FrameBuilder::begin(&mut out, Kind::Begin, extras.flags(), None);
        extras.write(&mut out);
        begin.write(&mut out);
        let crc = frame.end(&mut out, header.seed(), at);
        let end = at + out.len() as u64;
        let stored = put(&mut writer, &*file, log.always, at, &out);
        self.scratch = out;
        stored.map_err(|e| Error::io("write", &path, e))?;
        writer.freeze(end);
        log.home.disk.step("begin written");
        let parts = SegmentParts {
            header,
            begin,
            first_offset: end,
            end,
            entries: 0,
            index: Vec::new(),
            sealed: false,
        };
        let segment = Arc::new(Segment::new(&log.home, parts));
        segment.set_region(region);
        self.chain = chain(self.chain, crc);
        self.durable_told = durable;
        self.block.open = false;
        self.last_size = size;
        log.unsynced
            .lock()
            .push((Arc::clone(&segment), Arc::clone(&file)));
        {
            let mut segments = log.segments.write();
            let mut list = Vec::clone(&segments);
            list.push(Arc::clone(&segment));
            *segments = Arc::new(list);
        }
        self.position = segment.end_position();
        let trim_to = EntryId::MIN;
        self.active = Some(Active {
            segment,
            file,
            region: writer,
            end,
            size,
            entries: 0,
            trim_to,
        });
        Ok(())
    }

    fn extras(&mut self, log: &Log, trim_to: Option<EntryId>) -> Extras {
        let durable = log.commit.durable();
        let told = self.durable_told;
        self.durable_told = durable;
        let distance = (durable != told).then(|| self.position.saturating_sub(durable));
        Extras {
            durable_distance: distance,
            trim_to,
        }
    }

    /// Opens a block for the entry if the last one is full; its header goes into the frame.
    fn next_block(&mut self, log: &Log, id: EntryId, len: usize) -> Option<(EntryId, u64)> {
        if self.block_has_room(log, len) {
            return None;
        }
        log.restart_block.store(false, Ordering::Release);
        self.block = Block {
            base: id,
            entries: 0,
            bytes: 0,
            open: true,
        };
        Some((id, self.ordinal))
    }

    /// Whether the block that is being filled takes one more entry.
    fn block_has_room(&self, log: &Log, len: usize) -> bool {
        let (most, bytes) = (
            self.options.block_entries,
            u64::from(self.options.block_bytes),
        );
        let block = &self.block;
        block.open
            && !log.restart_block.load(Ordering::Acquire)
            && (most == 0 || block.entries < most)
            && (bytes == 0 || block.bytes + (len as u64) < bytes)
    }

    /// Puts a frame at the end of the segment, complete but not published.
    fn store(
        &mut self,
        log: &Log,
        frame: FrameBuilder,
        out: &mut Vec<u8>,
        entries: u64,
    ) -> Result<()> {
        let Some(active) = &mut self.active else {
            return Err(Error::new(ErrorKind::Closed));
        };
        let at = active.end;
        let crc = frame.end(out, active.segment.seed, at);
        if let Err(e) = put(&mut active.region, &*active.file, log.always, at, out) {
            let error = Error::io("write", &active.segment.path, e).offset(at);
            self.end_segment();
            return Err(error);
        }
        if out.get(12).is_some_and(|flags| flags & BLOCK != 0) {
            active.segment.push_block(BlockStart {
                id: self.block.base,
                offset: at as u32,
                ordinal: active.entries as u32,
            });
        }
        let half = active.size / 2;
        if at < half && at + out.len() as u64 >= half {
            log.care.store(true, Ordering::Relaxed);
        }
        active.end = at + out.len() as u64;
        active.entries += entries;
        self.position = active.segment.position() + active.end;
        self.chain = chain(self.chain, crc);
        Ok(())
    }

    fn took(&mut self, id: EntryId, len: usize) {
        self.last_id = id;
        self.ordinal += 1;
        self.block.entries += 1;
        self.block.bytes += len as u64;
    }

    /// Makes what was stored readable (or, under `Always`, ready to be once it is durable).
    /// Returns the position behind it.
    fn finish(&mut self, log: &Log) -> u64 {
        let Some(active) = &mut self.active else {
            return self.position;
        };
        log.home.disk.step("stored");
        active.region.freeze(active.end);
        active.segment.grew(active.end, active.entries);
        let tail = Tail {
            last_id: self.last_id,
            ordinal: self.ordinal,
        };
        log.written.advance_to(self.position);
        if log.always {
            self.hidden.push_back((self.position, tail));
        } else {
            log.view.lock().tail = tail;
            log.published.advance_to(self.position);
        }
        log.home.disk.step("written");
        self.position
    }

    /// Stores the next frame of a batch: as many entries as its block takes. Returns how many.
    fn store_batch_frame(&mut self, log: &Log, entries: &[(EntryId, &[u8])]) -> Result<usize> {
        let Some((first, list)) = entries.first() else {
            return Ok(0);
        };
        let extras = self.extras(log, None);
        let block = self.next_block(log, *first, list.len());
        let room = self.room_in_block(entries);
        let flags = extras.flags() | if room == entries.len() { COMMIT } else { 0 };
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

    /// How many of the entries go into the open block; at least one.
    fn room_in_block(&self, entries: &[(EntryId, &[u8])]) -> usize {
        let (most, bytes) = (
            self.options.block_entries,
            u64::from(self.options.block_bytes),
        );
        let (mut count, mut size) = (self.block.entries, self.block.bytes);
        let mut taken = 0;
        for (_, list) in entries {
            let full =
                (most != 0 && count >= most) || (bytes != 0 && size + list.len() as u64 >= bytes);
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

/// Stores bytes into a segment: through the map, or by a write call where each append is synced
/// anyway and a map would write back whole folios.
fn put(
    region: &mut RegionWriter,
    file: &dyn DiskFile,
    by_call: bool,
    at: u64,
    bytes: &[u8],
) -> std::io::Result<()> {
    if by_call {
        file.write_at(bytes, at)
    } else {
        region.write(at, bytes)
    }
}
