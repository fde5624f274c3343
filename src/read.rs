//! Reading: snapshots that borrow, iterators that own, batches that pin.
//!
//! A reader works on a [`Span`] that never changes: what was published when it was made. It takes
//! no lock of the stream afterwards, blocks no writer and is blocked by no sync. Every entry that
//! is handed out passed its checksum in that call.

use crate::entry::{Entry, EntryRef};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{EntryId, closed};
use crate::options::ReadOptions;
use crate::storage::cursor::{Backward, Forward, Place, Span};
use std::fmt;
use std::ops::RangeBounds;

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
        Range { span: &self.span, walk: Walk::new(&self.span, &ids) }
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
    failed: Option<Error>,
}

impl Walk {
    fn new(_span: &Span, ids: &impl RangeBounds<EntryId>) -> Walk {
        Walk { left: closed(ids), forward: None, backward: None, failed: None }
    }

    /// The segments that its ends are in.
    fn segments(&self) -> [Option<usize>; 2] {
        [self.forward.as_ref().map(Forward::segment), self.backward.as_ref().map(Backward::segment)]
    }

    fn next(&mut self, span: &Span) -> Option<Result<Place>> {
        if let Some(error) = &self.failed {
            return Some(Err(error.clone()));
        }
        let (first, last) = self.left?;
        let forward = self.forward.get_or_insert_with(|| Forward::seek(span, first));
        match forward.next(span) {
            Ok(Some(place)) if place.id <= last => {
                self.left = place.id.next().filter(|next| *next <= last).map(|next| (next, last));
                Some(Ok(place))
            }
            Ok(_) => {
                self.left = None;
                None
            }
            Err(error) => {
                self.failed = Some(error.clone());
                Some(Err(error))
            }
        }
    }

    fn next_back(&mut self, span: &Span) -> Option<Result<Place>> {
        if let Some(error) = &self.failed {
            return Some(Err(error.clone()));
        }
        let (first, last) = self.left?;
        let backward = self.backward.get_or_insert_with(|| Backward::seek(span, last));
        match backward.next(span) {
            Ok(Some(place)) if place.id >= first => {
                self.left = place.id.prev().filter(|prev| *prev >= first).map(|prev| (first, prev));
                Some(Ok(place))
            }
            Ok(_) => {
                self.left = None;
                None
            }
            Err(error) => {
                self.failed = Some(error.clone());
                Some(Err(error))
            }
        }
    }
}

/// Entries borrowed from a [`Snapshot`].
#[derive(Clone, Debug)]
pub struct Range<'a> {
    span: &'a Span,
    walk: Walk,
}

impl<'a> Range<'a> {
    fn entry(&self, place: &Place) -> EntryRef<'a> {
        EntryRef::new(place.id, self.span.list(place))
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = Result<EntryRef<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.walk.next(self.span)?;
        Some(found.map(|place| self.entry(&place)))
    }
}

impl DoubleEndedIterator for Range<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let found = self.walk.next_back(self.span)?;
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
        let inner = span.map(|span| (span.clone(), Walk::new(&span, ids)));
        OwnedRange { inner, at: [None; 2], apart: false }
    }

    fn step(
        &mut self,
        step: fn(&mut Walk, &Span) -> Option<Result<Place>>,
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
                let mut found = step(walk, span)?;
                if !self.apart
                    && let Err(error) = &found
                    && *error.kind() == ErrorKind::TooManyMappings
                {
                    // What it has passed is what takes them.
                    span.map_apart([None; 2]);
                    (self.apart, walk.failed) = (true, None);
                    found = step(walk, span)?;
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
    span: Span,
    places: Vec<Place>,
}

impl Batch {
    pub(crate) fn new(span: Span, places: Vec<Place>) -> Batch {
        Batch { span, places }
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
        BatchIter { span: &self.span, places: self.places.iter() }
    }

    /// The IDs in order.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = EntryId> + '_ {
        self.places.iter().map(|place| place.id)
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
    span: &'a Span,
    places: std::slice::Iter<'a, Place>,
}

impl<'a> Iterator for BatchIter<'a> {
    type Item = EntryRef<'a>;

    fn next(&mut self) -> Option<EntryRef<'a>> {
        let place = self.places.next()?;
        Some(EntryRef::new(place.id, self.span.list(place)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.places.size_hint()
    }
}

impl ExactSizeIterator for BatchIter<'_> {}

/// For so many entries there is room at once.
const MOST_EXPECTED: usize = 128;

/// What is left of a read's limits over all of its streams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) count: Option<usize>,
    pub(crate) bytes: Option<usize>,
    /// Bytes of field lists handed out so far.
    pub(crate) spent: usize,
}

impl Budget {
    pub(crate) fn of(options: &ReadOptions) -> Budget {
        Budget { count: options.count, bytes: options.bytes, spent: 0 }
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.bytes.is_some_and(|bytes| self.spent > 0 && self.spent >= bytes)
    }

    /// Reads live entries above `after`, as many as the limits allow. `true` besides if there is
    /// another one behind them.
    pub(crate) fn take(&mut self, span: &Span, after: EntryId) -> Result<(Vec<Place>, bool)> {
        match after.next() {
            Some(from) => self.take_on(span, &mut Forward::seek(span, from)),
            None => Ok((Vec::new(), false)),
        }
    }

    /// The same from where a walk is.
    pub(crate) fn take_on(
        &mut self,
        span: &Span,
        forward: &mut Forward,
    ) -> Result<(Vec<Place>, bool)> {
        // So many as a rule, if there is one at all.
        let mut places = Vec::with_capacity(self.count.unwrap_or(0).min(MOST_EXPECTED));
        loop {
            if self.count.is_some_and(|count| places.len() >= count) || self.is_spent() {
                return Ok((places, true));
            }
            let place = match forward.next(span) {
                Ok(Some(place)) => place,
                Ok(None) => return Ok((places, false)),
                // What lies in front of damage is given; the next look meets it.
                Err(_) if !places.is_empty() => return Ok((places, true)),
                Err(error) => return Err(error),
            };
            self.spent += place.len as usize;
            places.push(place);
        }
    }
}
