//! Deliveries given back: XNACK.
//!
//! What was given back belongs to nobody and has no time of delivery. In the place of that its
//! record has its *turn*: a number above those of all that were given back before it and not taken
//! since. So the records alone tell in which order they are to be delivered again.

use super::pending::MAX_COUNT;
use super::read::for_each_chunk;
use super::state::GroupState;
use crate::error::Result;
use crate::format::event::{Event, PendingRecord};
use crate::id::EntryId;
use crate::options::{NackMode, NackOptions};
use std::collections::BTreeMap;

impl GroupState {
    /// What belongs to nobody, in the order in which it came back.
    #[cfg(any(test, fuzzing))]
    #[allow(dead_code, reason = "for the power-loss simulator")]
    pub(crate) fn given_back(&self) -> Vec<EntryId> {
        self.pending.given_back().map(|record| record.id).collect()
    }

    /// XNACK: how many of these IDs were given back; one that is named again counts again.
    /// `exists` tells whether an entry lives.
    ///
    /// # Errors
    /// Whatever `exists` fails with.
    pub(crate) fn nack(
        &self,
        ids: &[EntryId],
        mode: NackMode,
        options: NackOptions,
        exists: &mut dyn FnMut(EntryId) -> Result<bool>,
        out: &mut Vec<Event>,
    ) -> Result<u64> {
        let mut turn = self.pending.next_turn();
        // What the first time made of an ID that is named again.
        let mut counts: BTreeMap<EntryId, u64> = BTreeMap::new();
        let mut records = Vec::with_capacity(ids.len());
        for id in ids.iter().copied() {
            let known = || self.pending.get(id).map(|record| record.count);
            let count = match counts.get(&id).copied().or_else(known) {
                Some(count) => count,
                None if options.force && exists(id)? => 0,
                None => continue,
            };
            let count = match (options.retry_count, mode) {
                (Some(count), _) => count.min(MAX_COUNT),
                (None, NackMode::Silent) => count.saturating_sub(1),
                (None, NackMode::Fail) => count,
                (None, NackMode::Fatal) => MAX_COUNT,
            };
            counts.insert(id, count);
            records.push(PendingRecord { id, owner: None, time_ms: turn, count });
            turn = turn.saturating_add(1);
        }
        let count = records.len() as u64;
        for_each_chunk(records, |records| {
            out.push(Event::PendingSet { group: self.number, records, active_ms: None });
        });
        Ok(count)
    }
}
