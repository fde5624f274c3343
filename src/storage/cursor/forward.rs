//! The walk from a frame to the next one.

use super::*;
use crate::format::frame::{Entries, Extras, Header, Kind};
use crate::storage::scan::Hole;
use std::sync::atomic::Ordering;

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
        let block = span
            .segments
            .get(segment)
            .map_or(BlockStart { id: EntryId::MIN, offset: 0, ordinal: 0 }, |s| {
                s.seek(id.max(span.trimmed), span.limit(s))
            });
        Forward { from: id, ..Forward::at(segment, &block) }
    }

    /// The same walk where its segment has this place, for entries from `from` on.
    pub(super) fn again(self, segment: usize, from: EntryId) -> Forward {
        Forward { segment, from, ..self }
    }

    pub(super) fn at(segment: usize, block: &BlockStart) -> Forward {
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

    pub(super) fn next_any(&mut self, span: &Span) -> Result<Option<Place>> {
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
