//! Reading: snapshots that borrow, iterators that own, batches that pin.
//!
//! A reader works on a [`Span`] that never changes: what was published when it was made. It takes
//! no lock of the stream afterwards, blocks no writer and is blocked by no sync. Every entry that
//! is handed out passed its checksum in that call.

use crate::entry::{Entry, EntryRef};
use crate::error::{Error, ErrorKind, Result};
use crate::few::Few;
use crate::id::{EntryId, closed};
use crate::storage::cursor::{Backward, Forward, Place, Reading, Segments, Span};
use crate::storage::segment::Segment;
use std::fmt;
use std::ops::RangeBounds;
use std::sync::Arc;

mod budget;
pub(crate) use budget::Budget;

/// A fixed view of a stream, from which entries can be borrowed without copying.
///
/// It shows what was published when it was taken, and pins the segments that it covers: their
/// space comes back only when it is dropped. Entries deleted meanwhile disappear from it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) span: Span,
}

impl Snapshot {
    /// The entries with IDs in a range, in both directions (XRANGE, and XREVRANGE by `rev()`).
    #[doc(alias = "XRANGE")]
    #[doc(alias = "XREVRANGE")]
    #[must_use]
    pub fn range(&self, ids: impl RangeBounds<EntryId>) -> Range<'_> {
        Range { reading: self.span.reading(), walk: Walk::new(&ids) }
    }

    /// The entry with this ID.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    #[doc(alias = "XRANGE")]
    pub fn get(&self, id: EntryId) -> Result<Option<EntryRef<'_>>> {
        let found = self.span.find(id)?;
        Ok(found.map(|place| EntryRef::new(place.id, self.span.list(&place))))
    }
}

/// Both ends of a walk over a range. After an error it stays on that error.
#[derive(Clone, Debug)]
struct Walk {
    /// What is not handed out yet; `None` when nothing can be.
    left: Option<(EntryId, EntryId)>,
    forward: Option<Forward>,
    backward: Option<Backward>,
    /// With what was left then.
    failed: Option<(Error, (EntryId, EntryId))>,
}

impl Walk {
    fn new(ids: &impl RangeBounds<EntryId>) -> Walk {
        Walk { left: closed(ids), forward: None, backward: None, failed: None }
    }

    #[cold]
    fn fail(&mut self, error: Error) -> Error {
        self.failed = self.left.take().map(|left| (error.clone(), left));
        error
    }

    #[cold]
    fn failure(&self) -> Option<Error> {
        self.failed.as_ref().map(|(error, _)| error.clone())
    }

    /// Goes on where it failed.
    fn try_again(&mut self) {
        if let Some((_, left)) = self.failed.take() {
            self.left = Some(left);
        }
    }

    /// The segments that its ends are in.
    fn segments(&self) -> [Option<usize>; 2] {
        [self.forward.as_ref().map(Forward::segment), self.backward.as_ref().map(Backward::segment)]
    }

    /// The next entry is the forward walk's `place` then; `false` if there is none.
    #[inline(always)]
    fn advance(&mut self, reading: &mut Reading<'_>) -> Result<bool> {
        let Some((first, last)) = &mut self.left else {
            return self.failure().map_or(Ok(false), Err);
        };
        let seek = || Forward::seek(reading.span, *first);
        let forward = self.forward.get_or_insert_with(seek);
        match forward.advance(reading) {
            Ok(true) if forward.place.id < *last => {
                *first = forward.place.id.next().unwrap_or(EntryId::MAX);
                Ok(true)
            }
            Ok(found) => {
                let is_last = found && forward.place.id == *last;
                self.left = None;
                Ok(is_last)
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    fn next(&mut self, reading: &mut Reading<'_>) -> Option<Result<Place>> {
        match self.advance(reading) {
            Ok(true) => self.forward.as_ref().map(|forward| Ok(forward.place)),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }

    fn next_back(&mut self, reading: &mut Reading<'_>) -> Option<Result<Place>> {
        let Some((first, last)) = &mut self.left else {
            return self.failure().map(Err);
        };
        let seek = || Backward::seek(reading.span, *last);
        match self.backward.get_or_insert_with(seek).next(reading) {
            Ok(Some(place)) if place.id > *first => {
                *last = place.id.prev().unwrap_or(EntryId::MIN);
                Some(Ok(place))
            }
            Ok(place) => {
                let found = place.filter(|place| place.id == *first);
                self.left = None;
                found.map(Ok)
            }
            Err(error) => Some(Err(self.fail(error))),
        }
    }
}

/// Entries borrowed from a [`Snapshot`].
#[derive(Clone, Debug)]
pub struct Range<'a> {
    reading: Reading<'a>,
    walk: Walk,
}

impl<'a> Range<'a> {
    #[inline]
    fn entry(&self, place: &Place) -> EntryRef<'a> {
        EntryRef::new(place.id, self.reading.list(place))
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = Result<EntryRef<'a>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.walk.advance(&mut self.reading) {
            Ok(true) => {
                let Place { id, .. } = self.walk.forward.as_ref()?.place;
                let list = self.reading.list(&self.walk.forward.as_ref()?.place);
                Some(Ok(EntryRef::new(id, list)))
            }
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl DoubleEndedIterator for Range<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let found = self.walk.next_back(&mut self.reading)?;
        Some(found.map(|place| self.entry(&place)))
    }
}

/// Entries that own their bytes, from [`Stream::range`](crate::Stream::range).
///
/// The view is that of the moment when the iterator was made. An error comes as its first item.
pub struct OwnedRange {
    inner: Result<(Span, Walk)>,
    /// The segments that it was in last.
    at: [Option<usize>; 2],
    /// It maps segments for itself alone, and only those that it is in.
    apart: bool,
}

impl OwnedRange {
    pub(crate) fn new(span: Result<Span>, ids: &impl RangeBounds<EntryId>) -> OwnedRange {
        let inner = span.map(|span| (span, Walk::new(ids)));
        OwnedRange { inner, at: [None; 2], apart: false }
    }

    fn step(
        &mut self,
        step: fn(&mut Walk, &mut Reading<'_>) -> Option<Result<Place>>,
    ) -> Option<Result<Entry>> {
        match &mut self.inner {
            Ok((span, walk)) => {
                let now = walk.segments();
                if now != self.at {
                    if self.apart {
                        let left = self.at.into_iter().filter(|at| !now.contains(at)).flatten();
                        left.for_each(|segment| span.drop_map(segment));
                    } else if span.is_short_of_maps() {
                        span.map_apart(now);
                        self.apart = true;
                    }
                    self.at = now;
                }
                let mut found = step(walk, &mut span.reading())?;
                if !self.apart
                    && let Err(error) = &found
                    && *error.kind() == ErrorKind::TooManyMappings
                {
                    // What it has passed is what takes them.
                    span.map_apart([None; 2]);
                    walk.try_again();
                    self.apart = true;
                    found = step(walk, &mut span.reading())?;
                }
                Some(found.map(|place| EntryRef::new(place.id, span.list(&place)).to_entry()))
            }
            Err(error) => Some(Err(error.clone())),
        }
    }
}

impl Iterator for OwnedRange {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step(Walk::next)
    }
}

impl DoubleEndedIterator for OwnedRange {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.step(Walk::next_back)
    }
}

impl fmt::Debug for OwnedRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnedRange")
    }
}

/// Entries that were read together. It pins the segments that they lie in; all of them passed
/// their checksums when it was made.
#[derive(Clone)]
pub struct Batch {
    segments: Segments,
    places: Few<Place>,
}

impl Batch {
    #[inline]
    pub(crate) fn new(segments: Segments, places: Few<Place>) -> Batch {
        Batch { segments, places }
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The entries in order.
    #[must_use]
    pub fn iter(&self) -> BatchIter<'_> {
        BatchIter { segments: &self.segments, places: self.places.iter() }
    }

    /// The IDs in order.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = EntryId> + '_ {
        self.places.iter().map(|place| place.id)
    }

    /// What it holds of the log.
    #[inline]
    pub(crate) fn into_segments(self) -> Segments {
        self.segments
    }

    /// The ID of the entry, if it is just one.
    #[inline]
    pub(crate) fn one(&self) -> Option<EntryId> {
        match *self.places {
            [place] => Some(place.id),
            _ => None,
        }
    }

    /// The ID of the last entry, from which to read on.
    #[must_use]
    pub fn last_id(&self) -> Option<EntryId> {
        self.places.last().map(|place| place.id)
    }

    /// Copies of the entries, which pin nothing.
    #[must_use]
    pub fn into_entries(self) -> Vec<Entry> {
        self.iter().map(|entry| entry.to_entry()).collect()
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = EntryRef<'a>;
    type IntoIter = BatchIter<'a>;

    fn into_iter(self) -> BatchIter<'a> {
        self.iter()
    }
}

/// The entries of a [`Batch`].
#[derive(Clone, Debug)]
pub struct BatchIter<'a> {
    segments: &'a [Arc<Segment>],
    places: std::slice::Iter<'a, Place>,
}

impl<'a> Iterator for BatchIter<'a> {
    type Item = EntryRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<EntryRef<'a>> {
        let place = self.places.next()?;
        Some(EntryRef::new(place.id, place.list(self.segments)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.places.size_hint()
    }
}

impl ExactSizeIterator for BatchIter<'_> {}
