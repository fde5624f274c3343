//! Trims entry by entry: those that have to do with what groups reference (DELREF, ACKED).

use super::*;

/// What such a trim does.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Picked {
    /// What goes from the front.
    pub(crate) front: TrimPlan,
    /// What goes behind the first entry that stays. Ascending.
    pub(crate) behind: Vec<EntryId>,
}

impl Live {
    /// The trim as if it were exact; an approximate one keeps its limit, which counts whole blocks.
    pub(crate) fn plan_entries(
        &mut self,
        span: &Span,
        tail: Tail,
        trim: &Trim,
        block_entries: u32,
        most: EntryId,
    ) -> Result<Option<TrimPlan>> {
        let exact = Trim { approximate: false, limit: None, ..*trim };
        let Some(plan) = self.plan(span, tail, &exact, None, block_entries, most)? else {
            return Ok(None);
        };
        let Some(limit) = limit(trim, block_entries).filter(|_| trim.approximate) else {
            return Ok(Some(plan));
        };
        let mut removed = 0;
        for (from, to) in blocks_from(span, self.first_ordinal, tail.ordinal) {
            if from >= plan.first_ordinal {
                break;
            }
            removed += to - from - deleted_from(span, from, to);
            if removed > limit {
                let last = last_of(span, self.first_ordinal, from)?;
                let plan = last.map(|last| self.drop_up_to(span, tail, tail, last)).transpose()?;
                return Ok(plan.filter(|plan| plan.removed > 0));
            }
        }
        Ok(Some(plan))
    }

    /// The trim that passes over what `keeps` says and goes on behind it, but takes nothing there
    /// that lies above `shown`. As in Redis it ends with the first block that could not go as a
    /// whole if nothing kept it. `None` if nothing goes.
    pub(crate) fn pick(
        &mut self,
        span: &Span,
        tail: Tail,
        trim: &Trim,
        block_entries: u32,
        shown: EntryId,
        keeps: &mut dyn FnMut(EntryId) -> bool,
    ) -> Result<Option<Picked>> {
        let limit = limit(trim, block_entries).filter(|_| trim.approximate);
        let mut length = self.len(tail);
        let mut picked = Picked { front: self.nothing(), behind: Vec::new() };
        let (mut kept, mut removed) = (false, 0);
        let first = self.first_id(span, tail)?.unwrap_or_default();
        let (mut forward, mut reading) = (Forward::seek(span, first), span.reading());
        let mut next = forward.next(&mut reading)?;
        'blocks: for (from, to) in blocks_from(span, self.first_ordinal, tail.ordinal) {
            let live = to - from - deleted_from(span, from, to);
            let whole = match trim.to {
                TrimTo::MaxLen(n) if length <= n => break,
                TrimTo::MaxLen(n) => length - live >= n,
                TrimTo::MinId(id) => last_of(span, from, to)?.is_none_or(|last| last < id),
            };
            if limit.is_some_and(|limit| removed + live > limit) {
                break;
            }
            while let Some(place) = next.filter(|place| ordinal_of(span, place) < to) {
                let done = match trim.to {
                    TrimTo::MaxLen(n) => length <= n,
                    TrimTo::MinId(id) => place.id >= id,
                };
                if done || kept && place.id > shown {
                    break 'blocks;
                }
                if keeps(place.id) {
                    kept = true;
                } else {
                    picked.take(kept, place.id, ordinal_of(span, &place));
                    (removed, length) = (removed + 1, length - 1);
                }
                next = forward.next(&mut reading)?;
            }
            if !whole {
                break;
            }
        }
        Ok(Some(picked).filter(|_| removed > 0))
    }
}

impl Picked {
    fn take(&mut self, kept: bool, id: EntryId, ordinal: u64) {
        if kept {
            self.behind.push(id);
            return;
        }
        let TrimPlan { removed, .. } = self.front;
        self.front = TrimPlan { trimmed: id, first_ordinal: ordinal + 1, removed: removed + 1 };
    }

    /// How many entries go.
    pub(crate) fn removed(&self) -> u64 {
        self.front.removed + self.behind.len() as u64
    }
}
