//! A walk that goes on later: what was walked before is not walked again.
//!
//! Frames never change, so that a place between two of them stays one for as long as its segment is
//! in the log.

use super::{Forward, Span};
use crate::id::EntryId;

/// Where a walk can go on in a later view of the same log, behind the last entry that it gave.
#[derive(Clone, Debug)]
pub(crate) struct Resume {
    after: EntryId,
    /// The number of the segment that the walk is in.
    segment: u64,
    walk: Forward,
}

impl Resume {
    pub(crate) fn new(span: &Span, walk: Forward, after: EntryId) -> Option<Resume> {
        let segment = span.segments.get(walk.segment)?.number();
        Some(Resume { after, segment, walk })
    }

    /// The walk, if it is one behind this entry and its segment is still there.
    pub(crate) fn walk(&self, span: &Span, after: EntryId) -> Option<Forward> {
        let from = after.next().filter(|_| after == self.after)?;
        let segment = span.segments.partition_point(|s| s.number() < self.segment);
        let is_there = span.segments.get(segment)?.number() == self.segment;
        is_there.then(|| self.walk.clone().again(span, segment, from))
    }
}
