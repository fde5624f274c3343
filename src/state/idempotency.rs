//! What a stream remembers of the entries that its producers have appended.
//!
//! Pure: the clock's reading and the end of what is durable are arguments.
//!
//! On disk a pair (iid, entry) is in the entry's own frame, and so it is there after a crash if and
//! only if the entry is. The journal tells the pairs again, for frames that go and so that not all
//! frames have to be read; it tells of nothing but durable frames, and up to which position it
//! tells of all (`covered`). Recovery takes what the journal says and then the frames above that.
//!
//! So that the journal can tell what there was at the end of what is durable, a pair that another
//! one has driven out stays, unseen, until that other one is durable.

use crate::format::event::{Event, IidPair, PairsEnd, ProducerPairs, Window};
use crate::id::EntryId;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// An event of a checkpoint or a record tells no more bytes of pairs than this, but one at least.
const EVENT_BYTES: usize = 16 << 10;
/// What a pair takes in the journal beside its iid, and a producer beside its ID, at most.
const OF_PAIR: usize = 40;

/// The table of one stream. A stream whose producers never said who they are has none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Idempotency {
    window: Window,
    producers: BTreeMap<Box<[u8]>, Producer>,
    counts: Counts,
    /// Frames up to here are told of in the journal.
    covered: u64,
    /// How many duplicates are told of there.
    told_duplicates: u64,
    /// When all producers were looked at last for what is too old.
    swept_ms: u64,
}

/// What is told of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// How many producers have an iid that is remembered.
    pub(crate) producers: u64,
    /// How many iids are remembered.
    pub(crate) iids: u64,
    /// How many were remembered, ever.
    pub(crate) added: u64,
    /// How many duplicates were refused, ever.
    pub(crate) duplicates: u64,
}

/// What one producer has appended: pairs are numbered in the order in which they came.
#[derive(Clone, Debug, Default)]
struct Producer {
    /// The number of the first pair that is kept.
    first: u64,
    /// Pairs with lower numbers are too old.
    fresh: u64,
    /// With positions that never go back.
    pairs: VecDeque<IidPair>,
    by_iid: HashMap<Arc<[u8]>, u64>,
}

impl Producer {
    fn end(&self) -> u64 {
        self.first + self.pairs.len() as u64
    }

    fn get(&self, number: u64) -> Option<&IidPair> {
        self.pairs.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// The number of the first pair that is remembered at a time when `end` pairs had come.
    fn remembered(&self, end: u64, most: u32) -> u64 {
        self.fresh.max(self.first).max(end.saturating_sub(u64::from(most)))
    }

    /// How many pairs had come when the frames ended at this position.
    fn end_at(&self, position: u64) -> u64 {
        let above = self.pairs.iter().rev().take_while(|pair| pair.position > position);
        self.end() - above.count() as u64
    }

    fn count(&self, most: u32) -> u64 {
        self.end().saturating_sub(self.remembered(self.end(), most))
    }

    fn find(&self, iid: &[u8], most: u32) -> Option<&IidPair> {
        let number = *self.by_iid.get(iid)?;
        self.get(number).filter(|_| number >= self.remembered(self.end(), most))
    }

    fn push(&mut self, pair: IidPair) {
        self.by_iid.insert(Arc::clone(&pair.iid), self.end());
        self.pairs.push_back(pair);
    }

    /// Forgets pairs from the oldest on, up to the first that is not too old.
    fn expire(&mut self, before_ms: u64) {
        // Those count that were driven out and are kept: they may be back after a crash.
        let mut number = self.fresh.max(self.first);
        while self.get(number).is_some_and(|pair| pair.id.ms <= before_ms) {
            number += 1;
        }
        self.fresh = number;
    }

    /// Gives up what nobody can come back to: neither it nor what drove it out can be lost.
    fn drop_forgotten(&mut self, durable: u64, most: u32) {
        while let Some(front) = self.pairs.front() {
            let driver = self.pairs.get(most as usize);
            let driven_out = driver.is_some_and(|driver| driver.position <= durable);
            let too_old = self.first < self.fresh && front.position <= durable;
            if !driven_out && !too_old {
                return;
            }
            // A later pair may have the same iid.
            if self.by_iid.get(&front.iid) == Some(&self.first) {
                self.by_iid.remove(&front.iid);
            }
            self.pairs.pop_front();
            self.first += 1;
        }
    }

    /// Keeps the pairs that are wanted.
    fn retain(&mut self, mut wanted: impl FnMut(&IidPair) -> bool) {
        let Producer { first, fresh, pairs, .. } = std::mem::take(self);
        for (number, pair) in (first..).zip(pairs) {
            if number >= fresh && wanted(&pair) {
                self.push(pair);
            }
        }
    }
}

impl Idempotency {
    /// The event that gives a new stream this window, if it is not the usual one.
    pub(crate) fn first(window: Window) -> Option<Event> {
        let table = Idempotency::default();
        (window != table.window).then(|| table.set(window, 0))
    }

    pub(crate) fn window(&self) -> Window {
        self.window
    }

    /// The entry that a producer has appended under this iid, as far as that is remembered, and the
    /// position behind its frame.
    pub(crate) fn find(
        &mut self,
        producer: &[u8],
        iid: &[u8],
        now_ms: u64,
    ) -> Option<(EntryId, u64)> {
        let most = self.window.most;
        let before_ms = self.too_old(now_ms);
        let found = self.producers.get_mut(producer)?;
        if let Some(before_ms) = before_ms {
            found.expire(before_ms);
        }
        found.find(iid, most).map(|pair| (pair.id, pair.position))
    }

    /// A duplicate was refused.
    pub(crate) fn note_duplicate(&mut self) {
        self.counts.duplicates += 1;
    }

    /// How many bytes more than now the journal may take once this pair is remembered.
    pub(crate) fn growth(&self, producer: &[u8], iid: &[u8]) -> u64 {
        let Some(known) = self.producers.get(producer) else {
            return (producer.len() + iid.len() + 2 * OF_PAIR) as u64;
        };
        let most = self.window.most;
        let oldest = known.get(known.remembered(known.end(), most));
        let goes = oldest.filter(|_| known.count(most) >= u64::from(most));
        let goes = goes.map_or(0, |pair| pair.iid.len() + OF_PAIR);
        (iid.len() + OF_PAIR).saturating_sub(goes) as u64
    }

    /// Remembers a pair. `position`: behind the entry's frame; no lower than that of any other.
    pub(crate) fn insert(
        &mut self,
        producer: &[u8],
        iid: &[u8],
        id: EntryId,
        position: u64,
        durable: u64,
    ) {
        let pair = IidPair { iid: iid.into(), id, position };
        self.take(producer, pair);
        self.counts.added += 1;
        if let Some(known) = self.producers.get_mut(producer) {
            known.drop_forgotten(durable, self.window.most);
        }
    }

    fn take(&mut self, producer: &[u8], pair: IidPair) {
        match self.producers.get_mut(producer) {
            Some(known) => known.push(pair),
            None => self.producers.entry(producer.into()).or_default().push(pair),
        }
    }

    /// The time of IDs that are too old now.
    fn too_old(&self, now_ms: u64) -> Option<u64> {
        now_ms.checked_sub(u64::from(self.window.seconds) * 1000)
    }

    /// The same from time to time: what others than those who come back have may be too old, too.
    pub(crate) fn sweep(&mut self, now_ms: u64, durable: u64) {
        let often = (u64::from(self.window.seconds) * 1000 / 8).max(1000);
        if now_ms.abs_diff(self.swept_ms) >= often {
            self.expire(now_ms);
            self.drop_forgotten(durable);
        }
    }

    /// Forgets what is too old.
    pub(crate) fn expire(&mut self, now_ms: u64) {
        self.swept_ms = now_ms;
        let Some(before_ms) = self.too_old(now_ms) else {
            return;
        };
        self.producers.values_mut().for_each(|producer| producer.expire(before_ms));
    }

    /// Gives up the memory of what is forgotten for good.
    pub(crate) fn drop_forgotten(&mut self, durable: u64) {
        let most = self.window.most;
        self.producers.retain(|_, producer| {
            producer.drop_forgotten(durable, most);
            !producer.pairs.is_empty()
        });
    }

    pub(crate) fn counts(&self) -> Counts {
        let counts = self.producers.values().map(|producer| producer.count(self.window.most));
        let (producers, iids) =
            counts.filter(|count| *count > 0).fold((0, 0), |(n, all), count| (n + 1, all + count));
        Counts { producers, iids, ..self.counts }
    }

    /// Whether all that is remembered lies in frames up to this position.
    pub(crate) fn is_durable(&self, durable: u64) -> bool {
        let mut last = self.producers.values().filter_map(|producer| producer.pairs.back());
        last.all(|pair| pair.position <= durable)
    }

    pub(crate) fn covered(&self) -> u64 {
        self.covered
    }

    /// Pairs of entries that are lost are forgotten; so are positions behind the end of the log.
    pub(crate) fn settle(&mut self, written: u64, is_lost: impl Fn(EntryId) -> bool) {
        self.covered = self.covered.min(written);
        for producer in self.producers.values_mut() {
            if producer.pairs.iter().any(|pair| is_lost(pair.id)) {
                producer.retain(|pair| !is_lost(pair.id));
            }
            producer.pairs.iter_mut().for_each(|pair| pair.position = pair.position.min(written));
        }
    }
}

// Events.
impl Idempotency {
    /// Changes the table by an event. `live`: its log is open, so that all pairs are there already,
    /// and counted.
    pub(crate) fn apply(&mut self, event: &Event, live: bool) {
        match event {
            Event::IdempotencySet { window, covered, added, duplicates } => {
                if self.window != *window {
                    self.producers.clear();
                }
                (self.window, self.covered) = (*window, *covered);
                self.told_duplicates = *duplicates;
                if !live {
                    (self.counts.added, self.counts.duplicates) = (*added, *duplicates);
                }
            }
            Event::IdempotencyPairs { end, producers } => {
                if !live {
                    for ProducerPairs { producer, pairs } in producers {
                        // Of a log that is empty nothing is known by its frames.
                        let above = self.covered;
                        let new = pairs.iter().filter(|p| above == 0 || p.position > above);
                        new.for_each(|pair| self.take(producer, pair.clone()));
                    }
                }
                let Some(PairsEnd { covered, added, duplicates }) = end else {
                    return;
                };
                self.covered = self.covered.max(*covered);
                self.told_duplicates = *duplicates;
                if !live {
                    (self.counts.added, self.counts.duplicates) = (*added, *duplicates);
                    self.drop_forgotten(self.covered);
                }
            }
            Event::IdempotencyRecorded { producer, iid, id } => {
                let position = self.covered.max(1);
                self.take(producer, IidPair { iid: iid[..].into(), id: *id, position });
                self.counts.added = self.counts.added.saturating_add(1);
            }
            _ => {}
        }
    }

    /// The event that sets the window, with all frames up to this position told of.
    pub(crate) fn set(&self, window: Window, covered: u64) -> Event {
        let Counts { added, duplicates, .. } = self.counts;
        Event::IdempotencySet { window, covered, added, duplicates }
    }

    /// The events that rebuild the table as it was when the log ended at this position, above which
    /// nothing may be told.
    pub(crate) fn dump(&self, durable: u64) -> Vec<Event> {
        let pairs = self.told(None, durable);
        let covered = if pairs.is_empty() { durable } else { 0 };
        let Counts { added, duplicates, .. } = self.counts_at(durable);
        let set = Event::IdempotencySet { window: self.window, covered, added, duplicates };
        let pairs = if pairs.is_empty() { Vec::new() } else { self.events(pairs, durable) };
        std::iter::once(set).chain(pairs).collect()
    }

    /// The events that tell, beyond what the journal has, of frames up to this position.
    pub(crate) fn mark(&self, durable: u64) -> Vec<Event> {
        if durable <= self.covered && self.counts.duplicates == self.told_duplicates {
            return Vec::new();
        }
        let upto = durable.max(self.covered);
        self.events(self.told(Some(self.covered), upto), upto)
    }

    /// The pairs that are remembered when the log ends at `upto`, but for those up to `above`.
    fn told(&self, above: Option<u64>, upto: u64) -> Vec<ProducerPairs> {
        let mut told = Vec::new();
        for (producer, known) in &self.producers {
            let end = known.end_at(upto);
            let numbers = known.remembered(end, self.window.most)..end;
            let pairs = numbers.filter_map(|number| known.get(number));
            let pairs = pairs.filter(|pair| above.is_none_or(|above| pair.position > above));
            let pairs: Vec<_> = pairs.cloned().collect();
            if !pairs.is_empty() {
                told.push(ProducerPairs { producer: producer.clone(), pairs });
            }
        }
        told
    }

    /// The lifetime counts when the log ended at this position.
    fn counts_at(&self, position: u64) -> Counts {
        let above = self.producers.values().map(|known| known.end() - known.end_at(position));
        Counts { added: self.counts.added.saturating_sub(above.sum()), ..self.counts }
    }

    /// Pairs as events of bounded length. The last one, which is always there, says that all frames
    /// up to `covered` are told of.
    fn events(&self, told: Vec<ProducerPairs>, covered: u64) -> Vec<Event> {
        let Counts { added, duplicates, .. } = self.counts_at(covered);
        let end = Some(PairsEnd { covered, added, duplicates });
        let event = |end, producers| Event::IdempotencyPairs { end, producers };
        let (mut events, mut now, mut bytes) = (Vec::new(), Vec::<ProducerPairs>::new(), 0);
        for ProducerPairs { producer, pairs } in told {
            for pair in pairs {
                let joins = now.last().is_some_and(|last| last.producer == producer);
                let more = pair.iid.len() + OF_PAIR + if joins { 0 } else { producer.len() };
                if bytes + more > EVENT_BYTES && !now.is_empty() {
                    events.push(event(None, std::mem::take(&mut now)));
                    bytes = 0;
                }
                bytes += more;
                match now.last_mut().filter(|last| last.producer == producer) {
                    Some(last) => last.pairs.push(pair),
                    None => {
                        now.push(ProducerPairs { producer: producer.clone(), pairs: vec![pair] })
                    }
                }
            }
        }
        events.push(event(end, now));
        events
    }
}

/// An event of a dump for a log that holds the same entries and ends at this position.
pub(crate) fn moved_to(event: Event, end: u64) -> Event {
    match event {
        // Of a dump with pairs, which say themselves what they cover.
        Event::IdempotencySet { window, covered, added, duplicates } => {
            let covered = if covered == 0 { 0 } else { end };
            Event::IdempotencySet { window, covered, added, duplicates }
        }
        Event::IdempotencyPairs { end: told, mut producers } => {
            let pairs = producers.iter_mut().flat_map(|producer| &mut producer.pairs);
            pairs.for_each(|pair| pair.position = end);
            let told = told.map(|told| PairsEnd { covered: end, ..told });
            Event::IdempotencyPairs { end: told, producers }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
