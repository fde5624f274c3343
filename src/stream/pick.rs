//! Trims that have to do with what groups reference: DELREF and ACKED.
//!
//! All that such a trim does is one record: a crash leaves all of it or nothing.

use super::change::hide;
use super::*;
use crate::format::event::MAX_IDS;
use crate::storage::live::Picked;

/// What a trim removes, and the events that say so.
fn plan(
    state: &mut StreamState,
    log: &Log,
    appender: &Appender<'_>,
    trim: &Trim,
) -> Result<Option<(Picked, Vec<Event>)>> {
    let (span, tail) = (log.written_span(), appender.tail());
    let block_entries = appender.options().block_entries;
    let acked = trim.policy == RefPolicy::Acked && state.groups.len() > 0;
    // What groups have not done with stays anyway where only acknowledged entries go.
    let most = if acked { EntryId::MAX } else { state.most_to_trim(&span)? };
    let StreamState { live: Some(live), groups, .. } = state else {
        return Ok(None);
    };
    live.refresh(&span, tail);
    let picked = if acked {
        // Lengths are those of what readers see: they leave out what is taken from the middle.
        let shown = log.tail().last_id;
        let referenced = groups.referenced();
        let mut keeps = |id| referenced.holds(id) && !planted::unacked_ignored();
        live.pick(&span, tail, trim, block_entries, shown, &mut keeps)?
    } else {
        let front = live.plan_entries(&span, tail, trim, block_entries, most)?;
        front.map(|front| Picked { front, behind: Vec::new() })
    };
    let Some(picked) = picked else {
        return Ok(None);
    };
    let mut events = Vec::new();
    let Picked { front, behind } = &picked;
    if front.trimmed > state.trimmed {
        if trim.policy == RefPolicy::DelRef && !planted::references_left() {
            let lives = &mut |id| span.find(id).map(|found| found.is_some());
            let (after, to) = (state.trimmed, front.trimmed);
            state.groups.release_trimmed(after, to, lives, &mut events)?;
        }
        events.push(Event::Trimmed { to: front.trimmed });
    }
    events.extend(behind.chunks(MAX_IDS).map(|ids| Event::TrimmedOut { ids: ids.to_vec() }));
    Ok(Some((picked, events)))
}

impl Stream {
    pub(super) fn trim_picking(&self, to: &Trim) -> Result<u64> {
        let (shared, log) = (self.shared(), self.log()?);
        let mut again = false;
        loop {
            self.inner.check_writable(shared)?;
            let appender = log.writer()?;
            let mut state = self.inner.lock_state()?;
            let Some((picked, events)) = plan(&mut state, log, &appender, to)? else {
                return Ok(0);
            };
            let tail = appender.tail();
            match self.inner.record_picked(shared, &mut state, log, tail, &picked, &events) {
                // It was held back, and came closer.
                Ok(_) if picked.removed() == 0 => again = false,
                Ok(position) => {
                    drop((state, appender));
                    shared.kick.care();
                    self.inner.settle(shared, position)?;
                    return Ok(picked.removed());
                }
                Err(Refused::Error(error)) => return Err(error),
                Err(Refused::Full) => {
                    drop((state, appender));
                    shared.make_room(again)?;
                    again = true;
                }
            }
        }
    }
}

impl StreamInner {
    /// Writes what one call has decided as one record: a crash leaves all of it or nothing.
    pub(super) fn record(
        &self,
        shared: &Shared,
        events: &[Event],
        grows: bool,
    ) -> Result<u64, Refused> {
        if planted::events_apart() {
            let each =
                events.chunks(1).map(|one| shared.journal.append(&[(self.number, one)], grows));
            return each.last().unwrap_or(Ok(0));
        }
        shared.journal.append(&[(self.number, events)], grows)
    }

    fn record_picked(
        &self,
        shared: &Shared,
        state: &mut StreamState,
        log: &Log,
        tail: Tail,
        picked: &Picked,
        events: &[Event],
    ) -> Result<u64, Refused> {
        let position = match planted::trim_unrecorded() {
            true => 0,
            false => self.record(shared, events, !picked.behind.is_empty())?,
        };
        events.iter().for_each(|event| state.apply(event));
        count_trim(state, log, tail, &picked.front);
        if let Some(live) = &mut state.live {
            hide(live, &log.written_span(), tail, Some(log), &picked.behind);
        }
        shared.kick.dirty();
        if self.is_limited_by_groups() {
            shared.kick.retention();
        }
        Ok(position)
    }
}
