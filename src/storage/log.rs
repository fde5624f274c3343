//! One stream's segments as a log: append, publish, roll, sync, seal.
//!
//! Invariants:
//! * Positions strictly increase over segments, and so do IDs between two restarts. A frame's
//!   position is its segment's position plus its offset, and segments follow each other without a
//!   gap in positions, but for those that a restart leaves behind.
//! * Three marks, all only growing: `written` (complete frames), `durable` (in the commit; covered
//!   by a finished sync whose target was taken before it began), `published` (what readers see).
//!   Under `Always` published follows durable; otherwise it follows written.
//! * A roll waits for no sync; the sync takes segments in order, so an entry is durable only when
//!   all earlier segments are.
//! * A write that failed half-way ends its segment: no byte that is not zero is written over.
//! * IDs may start anew at a lower one in a new segment only (`log/restart.rs`).
//! * Lock order: writer, then `unsynced`, then `segments`, then the lock of `view`; none is held
//!   over a sync.

use super::blocks::Blocks;
use super::cursor::{Segments, Span};
use super::disk::DiskFile;
use super::live::TrimPlan;
use super::region::{Region, RegionWriter};
use super::segment::{self, Home, Segment, SegmentParts};
use crate::commit::{Commit, Mark};
use crate::error::{Error, ErrorKind, Result};
use crate::format::event::StoredOptions;
use crate::format::footer::BlockStart;
use crate::format::frame::{
    ALIGN, BLOCK_HEADER, Begin, COMMIT, Extras, FRONT, FrameBuilder, Front, HEADER, Key, Kind,
    MAX_BODY, PLAIN_ID, chain, padded, write_id,
};
use crate::format::header::{FILE_HEADER, FileHeader};
use crate::format::name;
use crate::id::EntryId;
use crate::planted;
use parking_lot::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

mod ahead;
mod begin;
mod draft;
mod list;
mod next;
mod rest;
mod restart;
mod seal;
#[cfg(test)]
mod test_log;
mod trims;
mod view;
mod writer;
use ahead::Pace;
use begin::{Active, Begun, Prepared};
pub(crate) use draft::Draft;
pub(crate) use list::Known;
use list::List;
use next::{Making, Ready};
pub(crate) use restart::Restart;
use trims::AppendTrims;
pub(crate) use view::{Seen, Tail, View};
use writer::Writer;
pub(crate) use writer::{Appender, Block};

/// The smallest segment, in bytes; each one is twice as large as the one before, up to the option.
/// A stream of few entries takes no more room than this and a directory.
const FIRST_SEGMENT: u64 = 32 << 10;
/// No position: readers see whatever is written.
const LAX: u64 = u64::MAX;
/// What a Begin frame takes at most, name and padding included.
const BEGIN_ROOM: u64 = 448;

pub(crate) struct Log {
    pub(crate) home: Home,
    segments: List,
    writer: Mutex<Writer>,
    written: Mark,
    pub(crate) view: View,
    pub(crate) commit: Commit,
    /// Segments with bytes that may not be on disk, in order; the last one is being written.
    unsynced: Mutex<Vec<OpenSegment>>,
    /// Set with the first failed sync, so that appends need not ask the commit.
    poisoned: AtomicBool,
    /// From this position on readers see entries only once they are durable, and writes go by
    /// `write_at`; [`LAX`] as long as nobody has asked for that.
    strict_from: AtomicU64,
    pub(crate) skip_damage: bool,
    /// The block that is being filled has no live entry left: begin another one, as Redis frees an
    /// empty node.
    pub(crate) restart_block: AtomicBool,
    /// The segment is half full, or another one was begun: there is something to prepare or seal.
    care: AtomicBool,
    append_trims: Mutex<AppendTrims>,
    making: Making,
    /// Somebody read or wrote since the background looked last.
    used: AtomicBool,
    /// When that was.
    idle_since: Mutex<Duration>,
    /// Segments of before a restart, which go once that is durable.
    retired: Mutex<Vec<Arc<Segment>>>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Log({})", self.home.dir.display())
    }
}

/// A segment and its file, which stays open until all of it is on disk.
type OpenSegment = (Arc<Segment>, Arc<dyn DiskFile>);

/// What recovery (or creation) hands over.
#[derive(Debug)]
pub(crate) struct LogParts {
    pub(crate) segments: Vec<Arc<Segment>>,
    /// Where the log goes on.
    pub(crate) position: u64,
    /// The last segment's file and length if it can be continued.
    pub(crate) active: Option<(Arc<dyn DiskFile>, u64)>,
    pub(crate) next_number: u64,
    pub(crate) name: Vec<u8>,
    pub(crate) options: StoredOptions,
    pub(crate) tail: Tail,
    /// The highest ID that frames tell.
    pub(crate) top: EntryId,
    pub(crate) trimmed: EntryId,
    /// The segment with which the log was restarted last; 0 if it never was.
    pub(crate) restart: u64,
    pub(crate) chain: u64,
    /// The last block of a segment that can be continued.
    pub(crate) block: Option<Block>,
    pub(crate) skip_damage: bool,
}

impl LogParts {
    /// The last segment, mapped anew for more.
    fn goes_on_in(&self) -> Result<Option<Active>> {
        let (Some(segment), Some((file, size))) = (self.segments.last(), &self.active) else {
            return Ok(None);
        };
        let mapped = file.map(*size, true).map_err(|e| Error::io("map", &segment.path, e))?;
        let region = Arc::new(mapped.frozen_to(segment.end()));
        segment.set_region(Arc::clone(&region));
        let Some(region) = region.writer() else {
            return Err(Error::corrupt("the segment has a writer already").at(&segment.path));
        };
        let (segment, file) = (Arc::clone(segment), Arc::clone(file));
        let (end, entries) = (segment.end(), segment.entries());
        Ok(Some(Active { segment, file, region, end, size: *size, entries }))
    }
}

impl Log {
    /// A log over segments that recovery has found good and synced.
    pub(crate) fn new(home: Home, parts: LogParts) -> Result<Log> {
        let position = parts.position;
        let previous = parts.segments.last().map(|s| (s.number(), s.end()));
        let active = parts.goes_on_in()?;
        let unsynced = active.iter().map(Active::open).collect();
        let last_size = active.as_ref().map_or(FIRST_SEGMENT / 2, |a| a.size);
        let writer = Writer {
            active,
            parked: None,
            ready: Ready::new(home.disk.monotonic()),
            next_number: parts.next_number,
            name: parts.name,
            options: parts.options,
            last_id: parts.tail.last_id,
            top: parts.top,
            ordinal: parts.tail.ordinal,
            chain: parts.chain,
            restart: parts.restart,
            previous,
            position,
            block: parts.block.unwrap_or_default(),
            durable_told: 0,
            scratch: Vec::new(),
            hidden: VecDeque::new(),
            hidden_trims: 0,
            last_size,
            closed: false,
            pace: Pace::new(position),
            blocks: Blocks::default(),
        };
        Ok(Log {
            home,
            segments: List::new(Arc::new(parts.segments)),
            writer: Mutex::new(writer),
            written: Mark::new(position),
            view: View::new(Seen { tail: parts.tail, published: position, trimmed: parts.trimmed }),
            commit: Commit::new(position),
            unsynced: Mutex::new(unsynced),
            poisoned: AtomicBool::new(false),
            strict_from: AtomicU64::new(LAX),
            skip_damage: parts.skip_damage,
            restart_block: AtomicBool::new(false),
            care: AtomicBool::new(false),
            append_trims: Mutex::new(AppendTrims::new(parts.trimmed)),
            making: Making::default(),
            used: AtomicBool::new(true),
            idle_since: Mutex::default(),
            retired: Mutex::default(),
        })
    }

    pub(crate) fn segments(&self) -> Segments {
        self.segments.get()
    }

    /// A segment that is written from now on.
    fn add_segment(&self, begun: &Begun) {
        self.unsynced.lock().push(begun.open());
        let mut segments = self.segments.write();
        let mut list = Vec::clone(&segments);
        list.push(Arc::clone(&begun.segment));
        *segments = Arc::new(list);
    }

    pub(crate) fn written(&self) -> u64 {
        self.written.get()
    }

    /// What readers may see now.
    pub(crate) fn span(&self) -> Span {
        self.look().0
    }

    /// What readers see, and its end: of the same moment.
    pub(crate) fn look(&self) -> (Span, Tail) {
        self.look_with(List::get)
    }

    /// The same for who has looked before.
    #[inline(always)]
    pub(crate) fn look_again(&self, known: &mut Known) -> (Span, Tail) {
        self.look_with(|list| list.get_again(known))
    }

    /// Takes back the segments of such a look.
    #[inline]
    pub(crate) fn give_back(&self, known: &mut Known, segments: Segments) -> Option<Segments> {
        self.segments.give_back(known, segments)
    }

    #[inline(always)]
    fn look_with(&self, segments: impl FnOnce(&List) -> Segments) -> (Span, Tail) {
        let Seen { tail, published, trimmed } = self.view.look();
        // After the mark: segments are added before the mark moves into them.
        let segments = segments(&self.segments);
        self.note_used();
        (Span { published, segments, trimmed, skip_damage: self.skip_damage }, tail)
    }

    /// Everything that is written, published or not: for trims, which count in order of appending.
    pub(crate) fn written_span(&self) -> Span {
        let published = self.written.get();
        let trimmed = self.view.trimmed();
        Span { published, segments: self.segments(), trimmed, skip_damage: self.skip_damage }
    }

    pub(crate) fn tail(&self) -> Tail {
        self.view.tail()
    }

    /// The end of what is written, published or not, and what `lock` gives. Where that is the
    /// stream's state, the end may go on while it is held, and never back.
    pub(crate) fn written_tail_with<T>(&self, lock: impl FnOnce() -> T) -> (Tail, T) {
        let writer = self.writer.lock();
        let locked = lock();
        (Tail { last_id: writer.last_id, ordinal: writer.ordinal }, locked)
    }

    /// The right to append. Fails when the log is poisoned or closed.
    #[inline]
    pub(crate) fn writer(&self) -> Result<Appender<'_>> {
        let writer = self.writer.lock();
        if self.poisoned.load(Ordering::Acquire) {
            self.check_poison()?;
        }
        if writer.closed {
            return Err(Error::new(ErrorKind::Closed));
        }
        self.note_used();
        Ok(Appender { log: self, writer })
    }

    #[cold]
    fn check_poison(&self) -> Result<()> {
        match self.commit.poisoned() {
            Some(cause) => Err(Error::poisoned(&cause).refused()),
            None => Ok(()),
        }
    }

    /// Makes everything below `target` durable: the segments in order, each once.
    pub(crate) fn sync_files(&self, target: u64) -> Result<()> {
        self.ready_blocks(target);
        let durable = self.commit.durable();
        let mut done = None;
        loop {
            // One by one, as nobody may wait for a sync to look at the list.
            let unsynced = self.unsynced.lock();
            let next = unsynced.iter().find(|(s, _)| done.is_none_or(|done| s.number() > done));
            let Some((segment, file)) = next.cloned() else {
                return Ok(());
            };
            drop(unsynced);
            done = Some(segment.number());
            if segment.position() >= target || segment.end_position() <= durable {
                continue;
            }
            if !self.is_strict() {
                segment.let_go(durable);
            }
            let synced = planted::unless(planted::segment_sync(), || file.sync());
            if let Err(e) = planted::unless(planted::sync_error(), || synced) {
                self.poisoned.store(true, Ordering::Release);
                return Err(Error::io("sync", &segment.path, e));
            }
        }
    }

    /// What a finished sync up to `target` changes: publication under `Always`, and rolled segments
    /// whose files need not stay open. `count` is told what the published entries trim, and the end
    /// of what is written, with the writer locked: no restart comes in between.
    pub(crate) fn synced(&self, target: u64, count: impl FnOnce(&TrimPlan, Tail)) {
        let mut unsynced = self.unsynced.lock();
        let keep = unsynced.len().saturating_sub(1);
        let done =
            unsynced.iter().take(keep).take_while(|(s, _)| s.end_position() <= target).count();
        unsynced.drain(..done);
        drop(unsynced);
        if self.is_strict() {
            let mut writer = self.writer.lock();
            let (tail, trim) = writer.shown_by(target);
            if let Some(tail) = tail {
                let published = target.max(self.view.published());
                match trim {
                    Some(plan) => self.view.publish_with_trim(tail, published, plan.trimmed),
                    None => self.view.publish(tail, published),
                }
            }
            if let Some(plan) = trim {
                count(&plan, Tail { last_id: writer.last_id, ordinal: writer.ordinal });
            }
        }
    }

    /// The end of what is known to be on disk. Under `Always` entries are published between the end
    /// of their sync and the moment when the commit says so: whoever sees one finds it durable.
    pub(crate) fn known_durable(&self) -> u64 {
        let strict_from = self.strict_from.load(Ordering::Acquire);
        let durable = self.commit.durable();
        // What was published before may not have been on disk.
        if strict_from <= durable { durable.max(self.view.published()) } else { durable }
    }

    /// Whether readers see entries only once they are durable.
    pub(crate) fn is_strict(&self) -> bool {
        self.strict_from.load(Ordering::Acquire) != LAX
    }

    /// From now on readers see entries only once they are durable. Returns up to where they may see
    /// some that are not.
    pub(crate) fn be_strict(&self) -> u64 {
        if !self.is_strict() {
            // Nobody appends meanwhile: each entry goes one way or the other.
            let _writer = self.writer.lock();
            if !self.is_strict() {
                self.strict_from.store(self.written(), Ordering::Release);
            }
        }
        self.strict_from.load(Ordering::Acquire)
    }

    /// Whether a sync of this log has failed.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    pub(crate) fn ask_for_care(&self) {
        self.care.store(true, Ordering::Relaxed);
    }

    /// Whether the background has something to do here.
    pub(crate) fn wants_care(&self) -> bool {
        self.care.load(Ordering::Relaxed)
    }

    /// Whether there is something to sync. A log whose sync has failed is never synced again.
    pub(crate) fn wants_sync(&self) -> bool {
        self.written.get() > self.commit.durable() && !self.is_poisoned()
    }

    /// A failed sync of a new segment or of the directory stops the stream like any other.
    pub(crate) fn poison_if_sync<T>(&self, made: Result<T>) -> Result<T> {
        if let Err(error) = &made
            && error.is_failed_sync()
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

    /// Takes the segments out of the list that hold only entries up to `trimmed`; the caller has
    /// made that durable. Readers that hold them keep them.
    pub(crate) fn take_trimmed(&self, trimmed: EntryId) -> Vec<Arc<Segment>> {
        let durable = self.commit.durable();
        let mut segments = self.segments.write();
        let gone = segments
            .windows(2)
            .take_while(|pair| {
                pair.get(1).is_some_and(|next| begins_behind(next, trimmed, durable))
            })
            .count();
        if gone == 0 {
            return Vec::new();
        }
        let taken = segments.iter().take(gone).cloned().collect();
        *segments = Arc::new(segments.iter().skip(gone).cloned().collect());
        taken
    }

    /// Whether [`Log::take_trimmed`] would find something if all were durable that is written.
    pub(crate) fn has_trimmed(&self, trimmed: EntryId) -> bool {
        let written = self.written();
        let segments = self.segments.read();
        segments.get(1).is_some_and(|next| begins_behind(next, trimmed, written))
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
                self.synced(target, |_, _| ());
                done();
            };
            self.commit.sync_now(|| self.written(), |target| self.sync_files(target), synced)
        };
        let mut result = planted::unless(planted::close_sync(), sync);
        if result.is_ok() && self.append_close()? {
            result = sync();
        }
        self.commit.close(Error::new(ErrorKind::Closed));
        let prepared = self.writer.lock().ready.take_all();
        self.discard_all(prepared);
        self.rest();
        result
    }

    /// `false` if there is no segment with room for the frame; then the next open scans a little.
    fn append_close(&self) -> Result<bool> {
        let mut writer = self.writer.lock();
        // Where there is no descriptor, the next open scans a little, too.
        drop(self.wake(&mut writer));
        if writer.active.as_ref().is_none_or(|active| active.size - active.end < 32) {
            return Ok(false);
        }
        let extras = Extras { durable_distance: Some(0), ..Extras::default() };
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
        let mut writer = self.writer.lock();
        writer.closed = true;
        let ready = writer.ready.take_all();
        drop(writer);
        // Their files go with the stream's, or with the next recovery.
        drop(ready);
        self.commit.close(reason);
    }
}

/// Whether all before this segment may go: it is trimmed, and that one begins behind it for good.
fn begins_behind(next: &Segment, trimmed: EntryId, durable: u64) -> bool {
    next.begin.last_id <= trimmed && durable > next.position() + FILE_HEADER as u64
}
