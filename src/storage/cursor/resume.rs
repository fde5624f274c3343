//! A walk that goes on later: what was walked before is not walked again.
//!
//! Frames never change, so that a place between two of them stays one for as long as its segment is
//! in the log.

use super::{Forward, Span};
use crate::id::EntryId;

/// Where a walk can go on in a later view of the same log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resume {
    /// The last entry that it gave; none while it is under way, and before the first one.
    after: Option<EntryId>,
    /// The number of the segment that the walk is in.
    segment: u64,
    walk: Option<Forward>,
}

impl Resume {
    /// A walk over the entries from `from` on, the first ID behind `after`: the one of before, if
    /// it stands there and its segment is still in the log.
    pub(crate) fn walk(&mut self, span: &Span, after: EntryId, from: EntryId) -> &mut Forward {
        let stands = self.after.take() == Some(after);
        let known = self.walk.as_mut().filter(|_| stands);
        let goes_on = known.is_some_and(|walk| {
            let is_at = |n: usize| span.segments.get(n).is_some_and(|s| s.number() == self.segment);
            // Nearly always the list is the one of before.
            let segment = match is_at(walk.segment) {
                true => walk.segment,
                false => span.segments.partition_point(|s| s.number() < self.segment),
            };
            let is_there = is_at(segment);
            if is_there {
                walk.go_on(span, segment, from);
            }
            is_there
        });
        if !goes_on {
            self.walk = None;
        }
        self.walk.get_or_insert_with(|| Forward::seek(span, from))
    }

    /// The walk was taken as far as behind this entry.
    pub(crate) fn stands(&mut self, span: &Span, after: EntryId) {
        let walk = self.walk.as_ref();
        let segment = walk.and_then(|walk| span.segments.get(walk.segment));
        self.after = segment.map(|_| after);
        self.segment = segment.map_or(0, |segment| segment.number());
    }
}
