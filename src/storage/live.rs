//! Which entries of a log are alive: where it begins, what is deleted, how many are left.
//!
//! Lives under the stream's state lock. Lengths are differences of ordinals, so they cost nothing;
//! only finding the first live entry may have to walk, and the result is kept.

use super::cursor::{Forward, Place, Span};
use super::log::Tail;
use crate::error::Result;
use crate::id::EntryId;
use crate::options::{Retention, Trim, TrimTo};

mod pick;
pub(crate) use pick::Picked;

/// What a trim would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TrimPlan {
    /// Entries up to and including this ID go.
    pub(crate) trimmed: EntryId,
    /// The number of the first physical entry above it.
    pub(crate) first_ordinal: u64,
    /// How many live entries go.
    pub(crate) removed: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    /// Entries up to and including this ID are gone.
    trimmed: EntryId,
    /// The number of the first physical entry above it.
    first_ordinal: u64,
    /// How many entries from there on are deleted.
    deleted: u64,
    /// The first live entry, if it was looked for since it last changed.
    head: Option<(EntryId, u64)>,
    /// All entries with a lower number are dead, so that looking for the head begins here.
    dead_below: u64,
    /// How much damage was known when `deleted` was counted. What it swallowed counts as deleted.
    findings: u64,
    /// No entry above this ID is lost in damage.
    lost: EntryId,
}

impl TrimPlan {
    pub(crate) fn or_more(self, other: TrimPlan) -> TrimPlan {
        if other.trimmed > self.trimmed { other } else { self }
    }
}

/// How many entries retention walks over at a time, where it has to walk: nobody waits for more.
const RETAIN_STEP: u64 = 10_000;

/// How many blocks' worth an approximate trim without a limit removes, as in Redis.
const DEFAULT_LIMIT_BLOCKS: u64 = 100;

impl Live {
    /// `span` is all of the log, with the deletions marked in its segments.
    pub(crate) fn new(span: &Span, trimmed: EntryId, tail: Tail) -> Result<Live> {
        let mut live = Live { trimmed, ..Live::default() };
        live.first_ordinal = ordinal_above(span, trimmed, tail)?;
        live.count(span, tail);
        Ok(live)
    }

    #[cold]
    fn count(&mut self, span: &Span, tail: Tail) {
        self.findings = span.findings();
        self.lost = span.highest_lost(tail.last_id);
        self.deleted = deleted_from(span, self.first_ordinal, tail.ordinal);
    }

    /// Leaves out what readers have found damaged meanwhile.
    #[inline]
    pub(crate) fn refresh(&mut self, span: &Span, tail: Tail) {
        if self.findings != span.findings() {
            self.count(span, tail);
        }
    }

    /// No entry above this ID is lost in damage.
    pub(crate) fn lost(&self) -> EntryId {
        self.lost
    }

    /// Whether an entry lives at or below this ID, as far as is known without looking.
    #[inline]
    pub(crate) fn begins_by(&self, id: EntryId) -> bool {
        self.head.is_some_and(|(first, _)| first <= id)
    }

    /// The number of live entries of a log that ends at `tail`.
    pub(crate) fn len(&self, tail: Tail) -> u64 {
        tail.ordinal.saturating_sub(self.first_ordinal).saturating_sub(self.deleted)
    }

    /// The ID of the first live entry.
    pub(crate) fn first_id(&mut self, span: &Span, tail: Tail) -> Result<Option<EntryId>> {
        if self.len(tail) == 0 {
            return Ok(None);
        }
        if self.head.is_none() {
            self.dead_below = next_live(span, self.dead_below.max(self.first_ordinal));
            self.head = id_at(span, self.dead_below)?.map(|id| (id, self.dead_below));
        }
        if self.head.is_none() {
            // What is damaged and skipped has numbers and no entries.
            let found = Forward::seek(span, EntryId::MIN).next(&mut span.reading())?;
            self.head = found.map(|place| (place.id, ordinal_of(span, &place)));
        }
        Ok(self.head.map(|(id, _)| id))
    }

    /// The trim that takes nothing but dead entries: all in front of the first live one.
    pub(crate) fn dead(&mut self, span: &Span, tail: Tail) -> Result<TrimPlan> {
        let none = TrimPlan { trimmed: tail.last_id, first_ordinal: tail.ordinal, removed: 0 };
        self.first_id(span, tail)?;
        let head = self.head.filter(|_| self.len(tail) > 0);
        Ok(head.and_then(|(id, ordinal)| Some((id.prev()?, ordinal))).map_or(
            none,
            |(trimmed, first_ordinal)| TrimPlan { trimmed, first_ordinal, removed: 0 },
        ))
    }

    /// Whether the first segment holds no live entry any more, though others follow.
    pub(crate) fn first_segment_is_dead(&mut self, span: &Span) -> bool {
        let Some(second) = span.segments.get(1) else {
            return false;
        };
        self.dead_below = next_live(span, self.dead_below.max(self.first_ordinal));
        self.dead_below >= second.first_ordinal()
    }

    /// Marks an entry deleted. `false` if it is not alive.
    pub(crate) fn delete(&mut self, span: &Span, place: &Place) -> bool {
        let Some(segment) = span.segments.get(place.segment as usize) else {
            return false;
        };
        if !segment.delete(place.ordinal) {
            return false;
        }
        self.deleted += 1;
        if self.head.is_some_and(|(id, _)| id == place.id) {
            self.head = None;
        }
        true
    }

    /// Applies a trim that was planned.
    pub(crate) fn trim(&mut self, span: &Span, plan: &TrimPlan) {
        if plan.trimmed <= self.trimmed {
            return;
        }
        let gone = deleted_from(span, self.first_ordinal, plan.first_ordinal);
        self.deleted = self.deleted.saturating_sub(gone);
        self.trimmed = plan.trimmed;
        self.first_ordinal = plan.first_ordinal;
        if self.head.is_some_and(|(id, _)| id <= plan.trimmed) {
            self.head = None;
        }
    }

    /// Whether the last block has no live entry, though it has entries.
    pub(crate) fn last_block_is_dead(&self, span: &Span, tail: Tail) -> bool {
        let Some(segment) = span.segments.last() else {
            return false;
        };
        let Some(block) = segment.block_before(u64::MAX) else {
            return false;
        };
        let start = (segment.first_ordinal() + u64::from(block.ordinal)).max(self.first_ordinal);
        start >= tail.ordinal || deleted_from(span, start, tail.ordinal) >= tail.ordinal - start
    }

    /// The number of blocks that hold a live entry.
    pub(crate) fn blocks(&self, span: &Span) -> u64 {
        let from = |first: u64| {
            u32::try_from(self.first_ordinal.saturating_sub(first)).unwrap_or(u32::MAX)
        };
        span.segments.iter().map(|s| s.live_blocks(from(s.first_ordinal()))).sum()
    }

    /// What a trim would remove. `next`: the ID of an entry that is about to be appended and counts
    /// already, and whether it goes into the last block; it may be removed itself. Nothing above
    /// `most` goes. `None` if nothing goes at all.
    pub(crate) fn plan(
        &mut self,
        span: &Span,
        tail: Tail,
        trim: &Trim,
        next: Option<(EntryId, bool)>,
        block_entries: u32,
        most: EntryId,
    ) -> Result<Option<TrimPlan>> {
        let end = Tail {
            last_id: next.map_or(tail.last_id, |(id, _)| id),
            ordinal: tail.ordinal + u64::from(next.is_some()),
        };
        let length = self.len(tail) + u64::from(next.is_some());
        let plan = match (trim.to, trim.approximate) {
            (TrimTo::MaxLen(n), false) if length > n => {
                self.drop_oldest(span, tail, end, length - n)?
            }
            (TrimTo::MaxLen(_), false) => return Ok(None),
            (TrimTo::MinId(id), false) => self.drop_below(span, tail, end, id)?,
            (_, true) => {
                let joins = next.is_some_and(|(_, joins)| joins);
                let trim = Trim { limit: limit(trim, block_entries), ..*trim };
                self.drop_blocks(span, tail, end, &trim, joins, most)?
            }
        };
        let plan = self.bounded(span, tail, plan, most)?;
        let goes = plan.removed > 0 || self.comes_closer(&plan, end, most);
        Ok(Some(plan).filter(|_| goes))
    }

    /// What a stream's retention removes. Nothing above `most` goes.
    pub(crate) fn retain(
        &self,
        span: &Span,
        tail: Tail,
        retention: &Retention,
        now_ms: u64,
        most: EntryId,
    ) -> Result<Option<TrimPlan>> {
        let mut plan = self.drop_below(span, tail, tail, retention.threshold(now_ms))?;
        let count = self.len(tail).saturating_sub(retention.max_len.unwrap_or(u64::MAX));
        if count > 0 {
            let step = if self.deleted > 0 { count.min(RETAIN_STEP) } else { count };
            plan = plan.or_more(self.drop_oldest(span, tail, tail, step)?);
        }
        plan = self.bounded(span, tail, plan, most)?;
        let mut goes = plan.removed > 0 || self.comes_closer(&plan, tail, most);
        // Segments go for their bytes, though nothing in them may live any more.
        let all = self.drop_segments(span, tail, retention.max_bytes.unwrap_or(u64::MAX), most)?;
        goes |= all.trimmed > self.trimmed;
        Ok(Some(plan.or_more(all)).filter(|_| goes))
    }

    /// Whether a trim that is held back moves on over dead entries. `most` is found by looking at
    /// so many of these and no more; once they are behind, at the next ones.
    fn comes_closer(&self, plan: &TrimPlan, end: Tail, most: EntryId) -> bool {
        most < end.last_id && plan.trimmed > self.trimmed
    }

    /// The trim that removes nothing.
    fn nothing(&self) -> TrimPlan {
        TrimPlan { trimmed: self.trimmed, first_ordinal: self.first_ordinal, removed: 0 }
    }

    /// The first `count` of what lives below `end`.
    fn drop_oldest(&self, span: &Span, tail: Tail, end: Tail, count: u64) -> Result<TrimPlan> {
        let plan = |trimmed, first_ordinal| TrimPlan { trimmed, first_ordinal, removed: count };
        let length = self.len(tail);
        if count >= length {
            let last = if count > length { end } else { tail };
            return Ok(plan(last.last_id, last.ordinal));
        }
        if self.deleted == 0 {
            // Without deletions the numbers tell where to go.
            let ordinal = self.first_ordinal + count;
            if let Some(last) = id_at(span, ordinal - 1)? {
                return Ok(plan(last, ordinal));
            }
        }
        let mut forward = Forward::seek(span, self.head.map_or(EntryId::MIN, |(id, _)| id));
        let (mut plan, mut reading) = (self.nothing(), span.reading());
        while plan.removed < count {
            let Some(place) = forward.next(&mut reading)? else {
                break;
            };
            plan.trimmed = place.id;
            plan.first_ordinal = ordinal_of(span, &place) + 1;
            plan.removed += 1;
        }
        Ok(plan)
    }

    fn drop_below(&self, span: &Span, tail: Tail, end: Tail, id: EntryId) -> Result<TrimPlan> {
        self.drop_up_to(span, tail, end, id.prev().unwrap_or(EntryId::MIN))
    }

    /// The fewest segments, the oldest ones, without which the others have so many bytes at most.
    fn drop_segments(
        &self,
        span: &Span,
        tail: Tail,
        bytes: u64,
        most: EntryId,
    ) -> Result<TrimPlan> {
        let mut left: u64 = span.segments.iter().map(|segment| segment.end()).sum();
        let mut to = EntryId::MIN;
        for (segment, next) in span.segments.iter().zip(span.segments.iter().skip(1)) {
            if left <= bytes || next.begin.last_id > most.min(tail.last_id) {
                break;
            }
            left -= segment.end();
            to = next.begin.last_id;
        }
        self.drop_up_to(span, tail, tail, to)
    }

    /// The part of a plan that is not above an ID.
    fn bounded(&self, span: &Span, tail: Tail, plan: TrimPlan, most: EntryId) -> Result<TrimPlan> {
        if plan.trimmed <= most { Ok(plan) } else { self.drop_up_to(span, tail, tail, most) }
    }

    fn drop_up_to(&self, span: &Span, tail: Tail, end: Tail, to: EntryId) -> Result<TrimPlan> {
        // A threshold beyond the end removes everything and leaves the IDs to come alone.
        let trimmed = to.min(end.last_id).max(self.trimmed);
        let first_ordinal =
            if trimmed >= end.last_id { end.ordinal } else { ordinal_above(span, trimmed, tail)? };
        // What is trimmed already may reach beyond the end that is looked at.
        let first_ordinal = first_ordinal.max(self.first_ordinal);
        let dead = deleted_from(span, self.first_ordinal, first_ordinal.min(tail.ordinal));
        let removed = (first_ordinal - self.first_ordinal).saturating_sub(dead);
        Ok(TrimPlan { trimmed, first_ordinal, removed })
    }

    /// Whole blocks from the front, as long as that does not overshoot. An entry to come is in the
    /// last block (`joins`) or in one of its own behind it.
    fn drop_blocks(
        &self,
        span: &Span,
        tail: Tail,
        end: Tail,
        trim: &Trim,
        joins: bool,
        most: EntryId,
    ) -> Result<TrimPlan> {
        let mut length = self.len(tail) + (end.ordinal - tail.ordinal);
        let mut plan = self.nothing();
        let own = (!joins && end.ordinal > tail.ordinal).then_some((tail.ordinal, end.ordinal));
        for (from, to) in blocks_from(span, self.first_ordinal, tail.ordinal).chain(own) {
            let to = if joins && to == tail.ordinal { end.ordinal } else { to };
            let live = to - from - deleted_from(span, from, to.min(tail.ordinal));
            let whole = match trim.to {
                TrimTo::MaxLen(n) => length > n && length - live >= n,
                TrimTo::MinId(id) if to > tail.ordinal => end.last_id < id,
                TrimTo::MinId(id) => last_of(span, from, to)?.is_none_or(|last| last < id),
            };
            if !whole || trim.limit.is_some_and(|limit| plan.removed + live > limit) {
                break;
            }
            if most < end.last_id && last_of(span, from, to)?.is_some_and(|last| last > most) {
                break;
            }
            length -= live;
            plan.removed += live;
            plan.first_ordinal = to;
        }
        plan.trimmed = if plan.first_ordinal >= end.ordinal {
            end.last_id
        } else {
            // Of the last block that goes, or of one before it if all of that is lost.
            let last = last_of(span, self.first_ordinal, plan.first_ordinal)?;
            last.map_or(plan.trimmed, |id| id.max(plan.trimmed))
        };
        Ok(plan)
    }
}

/// How many entries an approximate trim removes at most.
fn limit(trim: &Trim, block_entries: u32) -> Option<u64> {
    match trim.limit {
        Some(0) => None,
        None if block_entries == 0 => Some(10_000),
        None => Some((DEFAULT_LIMIT_BLOCKS * u64::from(block_entries)).min(1_000_000)),
        given => given,
    }
}

fn ordinal_of(span: &Span, place: &Place) -> u64 {
    span.segments
        .get(place.segment as usize)
        .map_or(0, |segment| segment.first_ordinal() + u64::from(place.ordinal))
}

/// The number of the first physical entry above an ID; of the next one to come if there is none.
fn ordinal_above(span: &Span, id: EntryId, tail: Tail) -> Result<u64> {
    if id == EntryId::MIN {
        return Ok(span.segments.first().map_or(tail.ordinal, |s| s.first_ordinal()));
    }
    if id >= tail.last_id {
        return Ok(tail.ordinal);
    }
    let above = Span { trimmed: id, ..span.clone() };
    let mut forward = Forward::seek(&above, EntryId::MIN);
    forward.with_dead = true;
    Ok(forward.next(&mut above.reading())?.map_or(tail.ordinal, |place| ordinal_of(span, &place)))
}

/// The number of the first entry from this one on that is not deleted.
fn next_live(span: &Span, from: u64) -> u64 {
    let mut next = from;
    for segment in span.segments.iter().skip(segment_at(span, from).unwrap_or(0)) {
        let first = segment.first_ordinal();
        let local = u32::try_from(next.saturating_sub(first)).unwrap_or(u32::MAX);
        match segment.next_live(local) {
            Ok(live) => return first + u64::from(live),
            // As many as were looked at: what came meanwhile may be alive.
            Err(entries) => next = next.max(first + u64::from(entries)),
        }
    }
    next
}

fn segment_at(span: &Span, ordinal: u64) -> Option<usize> {
    span.segments.partition_point(|s| s.first_ordinal() <= ordinal).checked_sub(1)
}

/// The ID of the entry with this number, alive or not.
fn id_at(span: &Span, ordinal: u64) -> Result<Option<EntryId>> {
    let Some(n) = segment_at(span, ordinal) else {
        return Ok(None);
    };
    let Some(segment) = span.segments.get(n) else {
        return Ok(None);
    };
    let Ok(local) = u32::try_from(ordinal - segment.first_ordinal()) else {
        return Ok(None);
    };
    let all = Span { trimmed: EntryId::MIN, ..span.clone() };
    all.id_of(n, local)
}

/// The ID of the last entry numbered `from..to`, alive or not; of those that can be read, where
/// damage is skipped.
fn last_of(span: &Span, from: u64, to: u64) -> Result<Option<EntryId>> {
    for ordinal in (from..to).rev() {
        if let Some(id) = id_at(span, ordinal)? {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// How many of the entries numbered `from..to` are deleted, or gone with a segment that is missing
/// or that a restart left behind.
fn deleted_from(span: &Span, from: u64, to: u64) -> u64 {
    let mut count = 0;
    let mut next = from;
    for segment in span.segments.iter() {
        let first = segment.first_ordinal();
        let last = first + segment.entries();
        count += first.min(to).saturating_sub(next);
        next = next.max(last);
        let (a, b) = (from.max(first), to.min(last));
        if a < b {
            let local = |ordinal: u64| u32::try_from(ordinal - first).unwrap_or(u32::MAX);
            count += segment.deleted_between(local(a), local(b));
        }
    }
    count
}

/// The blocks from an ordinal on, each as its first number (not below `from`) and its end; without
/// what a restart cut off.
fn blocks_from(span: &Span, from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
    let start = segment_at(span, from).unwrap_or(0);
    span.segments.iter().skip(start).flat_map(move |segment| {
        let first = segment.first_ordinal();
        let end = (first + segment.uncut_entries()).min(to);
        let mut next = from.max(first);
        std::iter::from_fn(move || {
            if next >= end {
                return None;
            }
            let local = u32::try_from(next - first).ok()?;
            let block = segment.block_of(local);
            let block_end = segment
                .block_after(u64::from(block.offset), u64::MAX)
                .map_or(end, |b| (first + u64::from(b.ordinal)).min(end));
            let found = (next, block_end.max(next + 1));
            next = found.1;
            Some(found)
        })
    })
}
