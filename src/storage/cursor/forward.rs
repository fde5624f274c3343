//! The walk from a frame to the next one.

use super::reading::{Here, Reading};
use super::*;
use crate::format::frame::{Entries, Extras, Header, Kind, Plain, read_single};
use crate::storage::region::prefetch;
use crate::storage::scan::Hole;
use crate::storage::segment::{Marks, Sought};
use std::sync::atomic::Ordering;

/// No span has so many segments.
const NOWHERE: usize = usize::MAX;

/// Walks a span forward.
#[derive(Clone, Debug)]
pub(crate) struct Forward {
    pub(super) segment: usize,
    pub(super) offset: u64,
    /// Entries below this are passed over.
    from: EntryId,
    base: Option<EntryId>,
    ordinal: u32,
    /// What is left of a Batch frame: its offset, and how many of its entries were taken.
    pub(super) batch: Option<Batch>,
    /// Deleted entries are returned too.
    pub(crate) with_dead: bool,
    /// It has not come to `from` yet.
    seeks: bool,
    /// The entry that it came to last. Returned by value it would go through memory, in pieces that
    /// are other ones when they are read: a third of what a scan takes.
    pub(crate) place: Place,
}

/// The rest of a batch frame whose checksum was verified.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    /// Where its frame begins.
    at: u64,
    start: usize,
    end: usize,
    entries: Entries,
}

impl Forward {
    /// Which of the span's segments it is in.
    pub(crate) fn segment(&self) -> usize {
        self.segment
    }

    /// Begins with the first live entry at or above `id`.
    pub(crate) fn seek(span: &Span, id: EntryId) -> Forward {
        let segment = span.segment_of(id).max(span.first_segment());
        // Where in the segment, is found where the walk begins.
        let block = BlockStart { id: EntryId::MIN, offset: 0, ordinal: 0 };
        let walk = Forward::at(span, segment, &block);
        Forward { from: id.max(walk.from), seeks: true, ..walk }
    }

    /// The same walk in a later view, where its segment has this place, for entries from `from` on.
    pub(super) fn go_on(&mut self, span: &Span, segment: usize, from: EntryId) {
        match span.trimmed.next() {
            Some(left) => (self.segment, self.from) = (segment, from.max(left)),
            None => self.segment = NOWHERE,
        }
    }

    pub(super) fn at(span: &Span, segment: usize, block: &BlockStart) -> Forward {
        // Behind the largest ID there is nothing that could be left.
        let (segment, from) = match span.trimmed.next() {
            Some(left) => (segment, left),
            None => (NOWHERE, EntryId::MAX),
        };
        Forward {
            segment,
            offset: u64::from(block.offset),
            from,
            base: None,
            ordinal: block.ordinal,
            batch: None,
            with_dead: false,
            seeks: false,
            place: Place { id: EntryId::MIN, segment: 0, ordinal: 0, start: 0, len: 0 },
        }
    }

    /// The next entry; `None` at the end of the span.
    ///
    /// # Errors
    /// `Corrupt` where a frame fails its checks; the cursor stays there.
    pub(crate) fn next(&mut self, reading: &mut Reading<'_>) -> Result<Option<Place>> {
        Ok(self.advance(reading)?.then_some(self.place))
    }

    /// The same, with the entry in `place`; `false` at the end of the span.
    ///
    /// # Errors
    /// As [`Forward::next`].
    #[inline(always)]
    pub(crate) fn advance(&mut self, reading: &mut Reading<'_>) -> Result<bool> {
        let took = match self.batch {
            None => self.take_plain(reading).is_some(),
            Some(_) => self.take_batched(reading),
        };
        if took { Ok(true) } else { self.advance_by_any(reading) }
    }

    /// Goes on by one entry of the batch that it is in, and says whether that is alive and wanted.
    #[inline(always)]
    fn take_batched(&mut self, reading: &Reading<'_>) -> bool {
        let Some(here) = reading.known(self.segment) else {
            return false;
        };
        matches!(self.next_of_batch(here), Ok(true))
            && self.place.id >= self.from
            && (self.with_dead || !here.segment.is_deleted(self.place.ordinal))
    }

    /// Goes on by one entry where that lies in a [`Plain`] frame and is alive and wanted; elsewhere
    /// it does nothing.
    #[inline(always)]
    fn take_plain(&mut self, reading: &Reading<'_>) -> Option<Place> {
        let (here, base) = (reading.known(self.segment)?, self.base?);
        let is_wanted = self.with_dead || !here.segment.is_deleted(self.ordinal);
        if self.seeks || here.skip_damage || !is_wanted {
            return None;
        }
        look_ahead(here.bytes, self.offset);
        let plain = Plain::read(here.bytes, here.segment.seed, self.offset, base)?;
        if plain.id < self.from {
            return None;
        }
        self.offset = plain.next;
        Some(self.place_next(plain.id, plain.start, plain.len))
    }

    /// [`Forward::advance`] for who takes one entry with a [`Reading`] that has not begun. It is in
    /// `place`, too; from there it would be loaded in other pieces than it was stored in.
    ///
    /// # Errors
    /// As [`Forward::next`].
    #[inline]
    pub(crate) fn advance_once(&mut self, reading: &mut Reading<'_>) -> Result<Option<Place>> {
        // What is plain is looked for in the segment that is known.
        reading.here(self.segment)?;
        let took = match self.batch {
            None => self.take_plain(reading),
            Some(_) => self.take_batched(reading).then_some(self.place),
        };
        match took {
            Some(place) => Ok(Some(place)),
            None => Ok(self.advance_by_any(reading)?.then_some(self.place)),
        }
    }

    #[inline(never)]
    fn advance_by_any(&mut self, reading: &mut Reading<'_>) -> Result<bool> {
        loop {
            let Some(here) = reading.here(self.segment)? else {
                return Ok(false);
            };
            if self.seeks {
                self.pass_over(here);
            }
            if !self.next_here(here)? {
                if self.goes_on(reading) {
                    continue;
                }
                return Ok(false);
            }
            if self.place.id < self.from {
                continue;
            }
            if self.with_dead || !here.segment.is_deleted(self.place.ordinal) {
                return Ok(true);
            }
        }
    }

    /// The next entry of the segment that it is in, alive or not, wanted or not; `false` at the end
    /// of what may be read of it.
    #[inline(always)]
    pub(super) fn next_here(&mut self, here: &Here<'_>) -> Result<bool> {
        loop {
            let step = if self.batch.is_some() {
                self.next_of_batch(here)
            } else {
                if self.offset >= here.limit {
                    return Ok(false);
                }
                if here.skip_damage
                    && let Some(hole) = here.segment.known_hole(self.offset)
                {
                    self.go_behind(&hole);
                    continue;
                }
                self.frame(here)
            };
            match step {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(what) => self.step_over(here, what)?,
            }
        }
    }

    /// Goes to the last frame that may begin at or below `from`, by headers alone.
    ///
    /// What the bodies in between say is not checked, and need not be: IDs only grow, so where that
    /// last frame passes its checks, all in front of it are lower. One that does not is met by the
    /// walk, which begins with it.
    #[cold]
    fn pass_over(&mut self, here: &Here<'_>) {
        self.seeks = false;
        let sought = here.segment.seek_near(self.from, here.limit);
        (self.offset, self.ordinal) = (u64::from(sought.block.offset), sought.block.ordinal);
        match sought.marks.filter(|_| !here.skip_damage) {
            Some(marks) => self.pass_marks(here, &sought, marks),
            None => {
                fetch(here.bytes, self.offset, BLOCK);
                self.pass_frames(here, |_, _| ());
            }
        }
    }

    /// The same in a block that gets no more entries: from the last mark that is not behind `from`,
    /// and it leaves marks.
    fn pass_marks(&mut self, here: &Here<'_>, sought: &Sought, marks: Marks) {
        let (block, mut mark) = (sought.block, sought.guess);
        while mark > 0 {
            let offset = marks.offset(u64::from(block.offset), mark);
            fetch(here.bytes, offset, NEAR);
            let frame = here.bytes.get(offset as usize..).unwrap_or_default();
            let id = Header::decode(frame, here.segment.seed, offset)
                .filter(|header| header.kind == Kind::Entry && header.block.is_none())
                .and_then(|header| header.unchecked_id(frame, block.id));
            if id.is_some_and(|id| id <= self.from) {
                (self.offset, self.base) = (offset, Some(block.id));
                self.ordinal = block.ordinal.saturating_add(mark * marks.step);
                break;
            }
            mark /= 2;
        }
        if mark == 0 {
            fetch(here.bytes, self.offset, if marks.known() == 0 { BLOCK } else { NEAR });
        }
        let (mut all, mut is_block) = (marks, true);
        self.pass_frames(here, |place: Passed, header| {
            // Who began behind the start of the block knows its base from the index.
            is_block &= place.base == Some(block.id)
                && header.block.is_none_or(|_| place.ordinal == block.ordinal);
            if is_block {
                all.pass(place.ordinal.saturating_sub(block.ordinal), place.offset);
            }
        });
        if all.known() > marks.known() {
            here.segment.mark(sought, all);
        }
    }

    /// Goes on to the last frame in a row that may begin at or below `from`.
    #[inline(always)]
    fn pass_frames(&mut self, here: &Here<'_>, mut passed: impl FnMut(Passed, &Header)) {
        let mut now = Passed { offset: self.offset, ordinal: self.ordinal, base: self.base };
        while !here.skip_damage && now.offset < here.limit {
            let frame = here.bytes.get(now.offset as usize..).unwrap_or_default();
            // Of other kinds only the body says how many entries they hold.
            let Some(header) = Header::decode(frame, here.segment.seed, now.offset)
                .filter(|header| header.kind == Kind::Entry)
            else {
                return;
            };
            if let Some((base, ordinal)) = header.block {
                now.ordinal = ordinal.saturating_sub(here.segment.first_ordinal()) as u32;
                now.base = Some(base);
            }
            let id = now.base.and_then(|base| header.unchecked_id(frame, base));
            if id.is_none_or(|id| id > self.from) {
                return;
            }
            passed(now, &header);
            (self.offset, self.ordinal, self.base) = (now.offset, now.ordinal, now.base);
            now.offset += header.frame_len();
            now.ordinal += 1;
        }
    }

    /// Goes on in the next segment; `false` at the end of the span.
    #[cold]
    fn goes_on(&mut self, reading: &Reading<'_>) -> bool {
        let Span { segments, published, .. } = reading.span;
        let ends = segments.get(self.segment).is_none_or(|s| *published <= s.end_position());
        let Some(next) = segments.get(self.segment.saturating_add(1)).filter(|_| !ends) else {
            return false;
        };
        self.segment += 1;
        self.offset = next.first_offset;
        self.base = None;
        self.ordinal = 0;
        true
    }

    /// Goes on behind the damage that was met, if the view steps over some.
    #[cold]
    fn step_over(&mut self, here: &Here<'_>, what: &'static str) -> Result<()> {
        let segment = here.segment;
        let at = self.batch.as_ref().map_or(self.offset, |batch| batch.at);
        // Where frames are still being written nobody can say how many are missing.
        let is_final = segment.sealed.load(Ordering::Acquire) || !here.is_last;
        let hole = if here.skip_damage && is_final { segment.hole_at(at)? } else { None };
        let Some(hole) = hole else {
            return Err(damaged(segment, at, what));
        };
        self.go_behind(&hole);
        Ok(())
    }

    fn go_behind(&mut self, hole: &Hole) {
        self.batch = None;
        self.offset = hole.to;
        self.base = hole.base;
        self.ordinal = hole.ordinals.1 as u32;
    }

    #[inline(always)]
    fn take(&mut self, id: EntryId, start: usize, len: usize) -> Step {
        self.place_next(id, start, len);
        Ok(true)
    }

    #[inline(always)]
    fn place_next(&mut self, id: EntryId, start: usize, len: usize) -> Place {
        let (segment, ordinal) = (self.segment as u32, self.ordinal);
        self.ordinal += 1;
        let place = Place { id, segment, ordinal, start: start as u32, len: len as u32 };
        self.place = place;
        place
    }

    #[inline(always)]
    fn next_of_batch(&mut self, here: &Here<'_>) -> Step {
        let Some(batch) = &mut self.batch else {
            return Ok(false);
        };
        let body = here.bytes.get(batch.start..batch.end).unwrap_or_default();
        let Some((id, range)) = batch.entries.next(body) else {
            return Err("a batch is malformed");
        };
        let start = batch.start + range.start;
        if batch.entries.left() == 0 {
            self.batch = None;
        }
        self.take(id, start, range.len())
    }

    /// Takes in the frame at the offset: an entry of its own, or a batch whose entries follow.
    #[inline(always)]
    fn frame(&mut self, here: &Here<'_>) -> Step {
        let (at, seed) = (self.offset, here.segment.seed);
        look_ahead(here.bytes, at);
        let frame = here.bytes.get(at as usize..).unwrap_or_default();
        let Some(header) = Header::decode(frame, seed, at) else {
            return Err("the header of a frame fails its checksum");
        };
        let Some(body) = header.body(frame, seed, at) else {
            return Err("a frame fails its checksum");
        };
        if let Some((base, ordinal)) = header.block {
            self.base = Some(base);
            self.ordinal = ordinal.saturating_sub(here.segment.first_ordinal()) as u32;
        }
        let mut within = 0;
        if header.has_extras() && Extras::read(header.flags, body, &mut within).is_none() {
            return Err("a frame has an attribute that is not understood");
        }
        let (start, next) = (at as usize + header.header_len(), at + header.frame_len());
        match header.kind {
            Kind::Entry => {
                let Some(base) = self.base else {
                    return Err("an entry has no block");
                };
                let Some((id, list)) = read_single(&header, body, within, base) else {
                    return Err("an entry is malformed");
                };
                self.offset = next;
                self.take(id, start + list, body.len() - list)
            }
            Kind::Batch => {
                let Some(base) = self.base else {
                    return Err("a batch has no block");
                };
                let Some(entries) = Entries::new(&header, body, within, base) else {
                    return Err("a batch is malformed");
                };
                self.batch = Some(Batch { at, start, end: start + body.len(), entries });
                self.offset = next;
                Ok(false)
            }
            Kind::Close => {
                self.offset = next;
                Ok(false)
            }
            _ => Err("a frame is of a kind that does not belong here"),
        }
    }
}

/// The distance of two lines of memory.
const LINE: usize = 64;
/// How far ahead of a walk memory is asked for.
const AHEAD: usize = 16 * LINE;
/// As much as a block has by default.
const BLOCK: usize = 64 * LINE;

/// As much as a few entries after a mark have.
const NEAR: usize = 24 * LINE;

/// Small frames are two lines each; within large ones the processor sees what comes.
#[inline(always)]
fn look_ahead(bytes: &[u8], offset: u64) {
    prefetch(bytes, offset as usize + AHEAD);
    prefetch(bytes, offset as usize + AHEAD + LINE);
}

/// Has memory come all at once. Where the next frame lies stands in each frame, so a walk alone
/// would wait for one after the other.
fn fetch(bytes: &[u8], offset: u64, len: usize) {
    for line in 0..len / LINE {
        prefetch(bytes, offset as usize + line * LINE);
    }
}

/// A frame that a seek passes over: where it begins, and the number of its entry.
#[derive(Clone, Copy)]
struct Passed {
    offset: u64,
    ordinal: u32,
    base: Option<EntryId>,
}

/// Whether there is an entry now, or what is wrong with the frame.
type Step = std::result::Result<bool, &'static str>;
