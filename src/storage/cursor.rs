//! Reads entries out of mapped segments, in both directions, checking every frame on the way.
//!
//! A [`Span`] says which bytes may be read (up to what was published when it was made); a cursor
//! walks it. Nothing here takes a lock but a segment's index, once a block.

use super::scan::Hole;
use super::segment::Segment;
use crate::error::{Error, ErrorKind, Result};
use crate::format::footer::BlockStart;
use crate::format::frame::{Entries, Extras, Header, Kind};
use crate::id::EntryId;
use std::sync::Arc;
use std::sync::atomic::Ordering;

mod resume;
pub(crate) use resume::Resume;

/// The segments of a stream, in order.
pub(crate) type Segments = Arc<Vec<Arc<Segment>>>;

/// A view of a stream's frames that never changes.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) segments: Segments,
    /// Positions below this are published.
    pub(crate) published: u64,
    /// Entries up to and including this ID are gone.
    pub(crate) trimmed: EntryId,
    /// Bad frames are stepped over instead of being refused.
    pub(crate) skip_damage: bool,
}

/// Where an entry's fields lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) id: EntryId,
    /// Which of the span's segments.
    pub(crate) segment: u32,
    /// The entry's number within the segment.
    pub(crate) ordinal: u32,
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl Span {
    /// The end of what may be read of a segment.
    fn limit(&self, segment: &Segment) -> u64 {
        self.published.saturating_sub(segment.position()).min(segment.end())
    }

    /// How much damage is known by now.
    pub(crate) fn findings(&self) -> u64 {
        self.segments.last().map_or(0, |segment| segment.damage.findings())
    }

    /// No entry above this ID is lost in damage, as far as is known.
    pub(crate) fn highest_lost(&self, last: EntryId) -> EntryId {
        self.segments.last().map_or(EntryId::MIN, |segment| segment.damage.highest(last))
    }

    /// The segment that would hold `id`: the last one that begins at or below it.
    fn segment_of(&self, id: EntryId) -> usize {
        self.segments.partition_point(|s| s.begin.last_id < id).saturating_sub(1)
    }

    /// The segment in which the first entry above the trimmed ones lies, unless a later one does.
    fn first_segment(&self) -> usize {
        self.segments.partition_point(|s| s.begin.last_id <= self.trimmed).saturating_sub(1)
    }

    /// The bytes of a place's field list.
    pub(crate) fn list(&self, place: &Place) -> &[u8] {
        let segment = self.segments.get(place.segment as usize);
        let region = segment.and_then(|s| s.region().ok());
        let (start, end) = (u64::from(place.start), u64::from(place.start) + u64::from(place.len));
        region.and_then(|r| r.slice(start, end)).unwrap_or_default()
    }

    /// The live entry with this ID.
    pub(crate) fn find(&self, id: EntryId) -> Result<Option<Place>> {
        if id <= self.trimmed {
            return Ok(None);
        }
        // A dead entry ends the search like a live one: many may lie behind it.
        let mut forward = Forward::seek(self, id);
        forward.with_dead = true;
        let found = forward.next(self)?.filter(|place| place.id == id);
        Ok(found.filter(|place| {
            let segment = self.segments.get(place.segment as usize);
            segment.is_some_and(|segment| !segment.is_deleted(place.ordinal))
        }))
    }

    /// A walk over all entries, dead ones too, from a block that holds this number on.
    pub(crate) fn walk_from(&self, segment: usize, ordinal: u32) -> Option<Forward> {
        let found = self.segments.get(segment)?;
        let mut forward = Forward::at(segment, &found.block_of(ordinal));
        forward.with_dead = true;
        Some(forward)
    }

    /// A position that covers the entry with this ID: the end of its block, or of its segment.
    /// `None` if the entry lies at the end of the span or behind it.
    pub(crate) fn end_of(&self, id: EntryId) -> Option<u64> {
        let segment = self.segments.get(self.segment_of(id))?;
        let limit = self.limit(segment);
        let block = segment.seek(id, limit);
        match segment.block_after(u64::from(block.offset), limit) {
            Some(next) => Some(segment.position() + u64::from(next.offset)),
            None if self.published > segment.end_position() => Some(segment.end_position()),
            None => None,
        }
    }

    /// The ID of the segment's last entry, alive or not.
    ///
    /// # Errors
    /// `Corrupt` where a frame fails its checks; `Io`.
    pub(crate) fn last_in(segment: &Arc<Segment>) -> Result<Option<EntryId>> {
        let segments = Arc::new(vec![Arc::clone(segment)]);
        let trimmed = EntryId::MIN;
        let span = Span { segments, published: u64::MAX, trimmed, skip_damage: false };
        let last = segment.entries().checked_sub(1).and_then(|last| u32::try_from(last).ok());
        last.map_or(Ok(None), |last| span.id_of(0, last))
    }

    /// The number of the segment's first entry above an ID, alive or not.
    ///
    /// # Errors
    /// `Corrupt` where a frame fails its checks; `Io`.
    pub(crate) fn first_above(
        segment: &Arc<Segment>,
        id: EntryId,
        skip_damage: bool,
    ) -> Result<Option<u32>> {
        let segments = Arc::new(vec![Arc::clone(segment)]);
        let span = Span { segments, published: u64::MAX, trimmed: id, skip_damage };
        let mut forward = Forward::seek(&span, EntryId::MIN);
        forward.with_dead = true;
        Ok(forward.next(&span)?.map(|place| place.ordinal))
    }

    /// The ID of the entry with this number within a segment.
    pub(crate) fn id_of(&self, segment: usize, ordinal: u32) -> Result<Option<EntryId>> {
        let Some(found) = self.segments.get(segment) else {
            return Ok(None);
        };
        let mut forward = Forward::at(segment, &found.block_of(ordinal));
        forward.with_dead = true;
        while let Some(place) = forward.next(self)? {
            if place.segment as usize != segment || place.ordinal > ordinal {
                break;
            }
            if place.ordinal == ordinal {
                return Ok(Some(place.id));
            }
        }
        Ok(None)
    }
}

/// Walks a span forward.
#[derive(Clone, Debug)]
pub(crate) struct Forward {
    segment: usize,
    offset: u64,
    /// Entries below this are passed over.
    from: EntryId,
    base: Option<EntryId>,
    ordinal: u32,
    /// What is left of a Batch frame: its offset, and how many of its entries were taken.
    batch: Option<Batch>,
    /// Deleted entries are returned too.
    pub(crate) with_dead: bool,
}

/// The rest of a batch frame whose checksum was verified.
#[derive(Clone, Copy, Debug)]
struct Batch {
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
        let block = span
            .segments
            .get(segment)
            .map_or(BlockStart { id: EntryId::MIN, offset: 0, ordinal: 0 }, |s| {
                s.seek(id.max(span.trimmed), span.limit(s))
            });
        Forward { from: id, ..Forward::at(segment, &block) }
    }

    fn at(segment: usize, block: &BlockStart) -> Forward {
        Forward {
            segment,
            offset: u64::from(block.offset),
            from: EntryId::MIN,
            base: None,
            ordinal: block.ordinal,
            batch: None,
            with_dead: false,
        }
    }

    /// The next entry; `None` at the end of the span.
    ///
    /// # Errors
    /// `Corrupt` where a frame fails its checks; the cursor stays there.
    pub(crate) fn next(&mut self, span: &Span) -> Result<Option<Place>> {
        loop {
            let Some(place) = self.next_any(span)? else {
                return Ok(None);
            };
            if place.id < self.from || place.id <= span.trimmed {
                continue;
            }
            if self.with_dead {
                return Ok(Some(place));
            }
            let dead = span
                .segments
                .get(place.segment as usize)
                .is_none_or(|segment| segment.is_deleted(place.ordinal));
            if !dead {
                return Ok(Some(place));
            }
        }
    }

    fn next_any(&mut self, span: &Span) -> Result<Option<Place>> {
        loop {
            let Some(segment) = span.segments.get(self.segment) else {
                return Ok(None);
            };
            let limit = span.limit(segment);
            if self.batch.is_none() && self.offset >= limit {
                if span.published <= segment.end_position()
                    || self.segment + 1 >= span.segments.len()
                {
                    return Ok(None);
                }
                let next = self.segment + 1;
                let Some(found) = span.segments.get(next) else {
                    return Ok(None);
                };
                let first = found.first_offset;
                self.segment = next;
                self.offset = first;
                self.base = None;
                self.ordinal = 0;
                continue;
            }
            if span.skip_damage
                && self.batch.is_none()
                && let Some(hole) = segment.known_hole(self.offset)
            {
                self.go_behind(&hole);
                continue;
            }
            let region = segment.region()?;
            // Less than that is there only of a segment with damage, which is stepped over below.
            let bytes = region.slice(0, limit).or_else(|| region.slice(0, region.frozen()));
            let bytes = bytes.unwrap_or_default();
            let step = if self.batch.is_some() {
                self.next_of_batch(segment, bytes)
            } else {
                self.frame(segment, bytes)
            };
            match step {
                Ok(Some(place)) => return Ok(Some(place)),
                Ok(None) => {}
                Err(error) if span.skip_damage => self.step_over(span, segment, error)?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Goes on behind the damage that `error` tells of.
    fn step_over(&mut self, span: &Span, segment: &Segment, error: Error) -> Result<()> {
        // Where frames are still being written nobody can say how many are missing.
        let is_final =
            segment.sealed.load(Ordering::Acquire) || self.segment + 1 < span.segments.len();
        let at = self.batch.take().map_or(self.offset, |batch| batch.at);
        let hole = if is_final { segment.hole_at(at)? } else { None };
        let Some(hole) = hole else {
            return Err(error);
        };
        self.go_behind(&hole);
        Ok(())
    }

    fn go_behind(&mut self, hole: &Hole) {
        self.offset = hole.to;
        self.base = hole.base;
        self.ordinal = hole.ordinals.1 as u32;
    }

    fn place(&self, id: EntryId, start: usize, len: usize) -> Place {
        Place {
            id,
            segment: self.segment as u32,
            ordinal: self.ordinal,
            start: start as u32,
            len: len as u32,
        }
    }

    fn next_of_batch(&mut self, segment: &Segment, bytes: &[u8]) -> Result<Option<Place>> {
        let Some(batch) = &mut self.batch else {
            return Ok(None);
        };
        let body = bytes.get(batch.start..batch.end).unwrap_or_default();
        let Some((id, range)) = batch.entries.next(body) else {
            return Err(damaged(segment, batch.at, "a batch is malformed"));
        };
        let start = batch.start + range.start;
        if batch.entries.left() == 0 {
            self.batch = None;
        }
        let place = self.place(id, start, range.len());
        self.ordinal += 1;
        Ok(Some(place))
    }

    /// Takes in the frame at the offset: an entry of its own, or a batch whose entries follow.
    fn frame(&mut self, segment: &Segment, bytes: &[u8]) -> Result<Option<Place>> {
        let at = self.offset;
        let bad = |what| Err(damaged(segment, at, what));
        let frame = bytes.get(at as usize..).unwrap_or_default();
        let Some(header) = Header::decode(frame, segment.seed, at) else {
            return bad("the header of a frame fails its checksum");
        };
        let Some(body) = header.body(frame, segment.seed, at) else {
            return bad("a frame fails its checksum");
        };
        let next = at + header.frame_len();
        if let Some((base, ordinal)) = header.block {
            self.base = Some(base);
            self.ordinal = ordinal.saturating_sub(segment.first_ordinal()) as u32;
        }
        let mut within = 0;
        if Extras::read(header.flags, body, &mut within).is_none() {
            return bad("a frame has an attribute that is not understood");
        }
        let body_start = at as usize + header.header_len();
        match header.kind {
            Kind::Entry => {
                let Some(base) = self.base else {
                    return bad("an entry has no block");
                };
                let found =
                    Entries::new(&header, body, within, base).and_then(|mut e| e.next(body));
                let Some((id, range)) = found else {
                    return bad("an entry is malformed");
                };
                let place = self.place(id, body_start + range.start, range.len());
                self.ordinal += 1;
                self.offset = next;
                Ok(Some(place))
            }
            Kind::Batch => {
                let Some(base) = self.base else {
                    return bad("a batch has no block");
                };
                let Some(entries) = Entries::new(&header, body, within, base) else {
                    return bad("a batch is malformed");
                };
                let end = body_start + body.len();
                self.batch = Some(Batch { at, start: body_start, end, entries });
                self.offset = next;
                Ok(None)
            }
            Kind::Close => {
                self.offset = next;
                Ok(None)
            }
            _ => bad("a frame is of a kind that does not belong here"),
        }
    }
}

/// Walks a span backward, a block at a time.
#[derive(Clone, Debug)]
pub(crate) struct Backward {
    segment: usize,
    /// Frames below this are not walked yet; `None`: all that the span has of the segment.
    limit: Option<u64>,
    /// Entries above this are passed over.
    to: EntryId,
    /// The entries of the block that is being walked, the next one last.
    block: Vec<Place>,
    done: bool,
}

impl Backward {
    /// Which of the span's segments it is in.
    pub(crate) fn segment(&self) -> usize {
        self.segment
    }

    /// Begins with the last live entry at or below `id`.
    pub(crate) fn seek(span: &Span, id: EntryId) -> Backward {
        let segment = span.segment_of(id);
        let limit = span.segments.get(segment).and_then(|s| {
            let block = s.seek(id, span.limit(s));
            s.block_after(u64::from(block.offset), span.limit(s)).map(|b| u64::from(b.offset))
        });
        let done = span.segments.is_empty();
        Backward { segment, limit, to: id, block: Vec::new(), done }
    }

    /// The next entry towards the beginning; `None` at the first live one.
    ///
    /// # Errors
    /// `Corrupt` where a frame fails its checks; the cursor stays there.
    pub(crate) fn next(&mut self, span: &Span) -> Result<Option<Place>> {
        loop {
            while let Some(place) = self.block.pop() {
                if place.id <= span.trimmed {
                    self.block.clear();
                    self.done = true;
                    return Ok(None);
                }
                let segment = span.segments.get(place.segment as usize);
                if place.id <= self.to && segment.is_some_and(|s| !s.is_deleted(place.ordinal)) {
                    return Ok(Some(place));
                }
            }
            if self.done {
                return Ok(None);
            }
            self.load(span)?;
        }
    }

    /// Fills `block` with the block before the limit, or moves to the segment before.
    fn load(&mut self, span: &Span) -> Result<()> {
        let Some(segment) = span.segments.get(self.segment) else {
            self.done = true;
            return Ok(());
        };
        let limit = self.limit.unwrap_or_else(|| span.limit(segment)).min(span.limit(segment));
        let Some(block) = segment.block_before(limit) else {
            match self.segment.checked_sub(1) {
                Some(before) => {
                    self.segment = before;
                    self.limit = None;
                }
                None => self.done = true,
            }
            return Ok(());
        };
        let mut forward = Forward::at(self.segment, &block);
        while forward.segment == self.segment && (forward.batch.is_some() || forward.offset < limit)
        {
            match forward.next_any(span)? {
                Some(place) if place.segment as usize == self.segment => {
                    if u64::from(place.start) >= limit {
                        break;
                    }
                    self.block.push(place);
                }
                _ => break,
            }
        }
        self.limit = Some(u64::from(block.offset));
        Ok(())
    }
}

fn damaged(segment: &Segment, offset: u64, what: &'static str) -> Error {
    let block = segment.block_before(offset + 1).map_or(segment.begin.last_id, |b| b.id);
    let after = segment.block_after(offset, u64::MAX).map_or(EntryId::MAX, |b| b.id);
    Error::new(ErrorKind::Corrupt { what, ids: Some((block, after)) })
        .at(&segment.path)
        .offset(offset)
}
