//! Reads entries out of mapped segments, in both directions, checking every frame on the way.
//!
//! A [`Span`] says which bytes may be read (up to what was published when it was made); a cursor
//! walks it. Nothing here takes a lock but that of a segment's index, a few times a block.

use super::segment::Segment;
use crate::error::{Error, ErrorKind, Result};
use crate::format::footer::BlockStart;
use crate::id::EntryId;
use std::sync::Arc;

mod backward;
mod forward;
mod keys;
mod reading;
mod resume;
pub(crate) use backward::Backward;
pub(crate) use forward::Forward;
pub(crate) use reading::Reading;
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) id: EntryId,
    /// Which of the span's segments.
    pub(crate) segment: u32,
    /// The entry's number within the segment.
    pub(crate) ordinal: u32,
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl Place {
    /// The bytes of the field list. `segments`: those of the span.
    #[inline]
    pub(crate) fn list(self, segments: &[Arc<Segment>]) -> &[u8] {
        let segment = segments.get(self.segment as usize);
        let region = segment.and_then(|s| s.region().ok());
        let (start, end) = (u64::from(self.start), u64::from(self.start) + u64::from(self.len));
        region.and_then(|r| r.slice(start, end)).unwrap_or_default()
    }
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
        place.list(&self.segments)
    }

    /// The live entry with this ID.
    pub(crate) fn find(&self, id: EntryId) -> Result<Option<Place>> {
        if id <= self.trimmed {
            return Ok(None);
        }
        // A dead entry ends the search like a live one: many may lie behind it.
        let mut forward = Forward::seek(self, id);
        forward.with_dead = true;
        let found = forward.next(&mut self.reading())?.filter(|place| place.id == id);
        Ok(found.filter(|place| {
            let segment = self.segments.get(place.segment as usize);
            segment.is_some_and(|segment| !segment.is_deleted(place.ordinal))
        }))
    }

    /// The ID in front of the last live entry; `None` if none lives.
    ///
    /// # Errors
    /// As [`Backward::next`].
    pub(crate) fn before_last(&self) -> Result<Option<EntryId>> {
        let last = Backward::seek(self, EntryId::MAX).next(&mut self.reading())?;
        Ok(last.and_then(|place| place.id.prev()))
    }

    /// A walk over all entries, dead ones too, from a block that holds this number on.
    pub(crate) fn walk_from(&self, segment: usize, ordinal: u32) -> Option<Forward> {
        let found = self.segments.get(segment)?;
        let mut forward = Forward::at(self, segment, &found.block_of(ordinal));
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
        Ok(forward.next(&mut span.reading())?.map(|place| place.ordinal))
    }

    /// The ID of the entry with this number within a segment.
    pub(crate) fn id_of(&self, segment: usize, ordinal: u32) -> Result<Option<EntryId>> {
        let Some(found) = self.segments.get(segment) else {
            return Ok(None);
        };
        let mut forward = Forward::at(self, segment, &found.block_of(ordinal));
        forward.with_dead = true;
        let mut reading = self.reading();
        while let Some(place) = forward.next(&mut reading)? {
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

fn damaged(segment: &Segment, offset: u64, what: &'static str) -> Error {
    let block = segment.block_before(offset + 1).map_or(segment.begin.last_id, |b| b.id);
    let after = segment.block_after(offset, u64::MAX).map_or(EntryId::MAX, |b| b.id);
    Error::new(ErrorKind::Corrupt { what, ids: Some((block, after)) })
        .at(&segment.path)
        .offset(offset)
}
