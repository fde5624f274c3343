//! The same bytes for the most frequent events of a single entry, written in place.

use super::{DELIVERED, PENDING_REMOVED};
use crate::format::brief::{Brief, Numbers};
use crate::format::event::Single;

impl Single {
    /// Whether the ID is written as it is, as its distance from 0-0. What follows is of such ones.
    #[inline(always)]
    pub(crate) fn is_brief(&self) -> bool {
        let (Single::Delivered { id, .. } | Single::PendingRemoved { id, .. }) = self;
        id.ms != 0
    }

    /// The numbers that [`Event::encode`](super::Event::encode) begins with for the same event.
    #[inline(always)]
    pub(crate) fn head(&self) -> [u64; 3] {
        match *self {
            Single::Delivered { group, consumer, .. } => {
                [u64::from(DELIVERED), u64::from(group), u64::from(consumer)]
            }
            Single::PendingRemoved { group, .. } => {
                [u64::from(PENDING_REMOVED), u64::from(group), ONE_ID]
            }
        }
    }

    /// What it appends behind them.
    #[inline(always)]
    pub(crate) fn encode_rest(&self, out: &mut Brief<'_>, known: &mut Numbers) {
        match *self {
            Single::Delivered { time_ms, no_ack, entries_read, id, .. } => {
                let time_ms = known.time_ms.then(time_ms);
                out.number_and(time_ms, [u8::from(no_ack), u8::from(entries_read.is_some())]);
                match entries_read {
                    Some(read) => out.number_and(known.read.then(read), [ONE_ID as u8]),
                    None => out.byte(ONE_ID as u8),
                }
                out.pair(known.ms.then(id.ms), known.seq.then(id.seq));
            }
            Single::PendingRemoved { id, .. } => {
                out.pair(known.ms.then(id.ms), known.seq.then(id.seq))
            }
        }
    }
}

/// How many IDs follow.
const ONE_ID: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::few::Few;
    use crate::format::event::Event;
    use crate::format::frame::{FrameBuilder, Kind};
    use crate::format::record::{Before, Record};
    use crate::id::EntryId;
    use proptest::prelude::*;

    /// Of any length.
    fn number() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0..64u32).prop_map(|(number, shift)| number >> shift)
    }

    fn small() -> impl Strategy<Value = u32> {
        (any::<u32>(), 0..32u32).prop_map(|(number, shift)| number >> shift)
    }

    fn ids() -> impl Strategy<Value = Few<EntryId>> {
        let id = (number(), number()).prop_map(|(ms, seq)| EntryId { ms, seq });
        prop_oneof![
            9 => id.prop_map(|id| Few::One([id])),
            1 => Just(vec![EntryId::MIN].into()),
            1 => Just(vec![EntryId::new(1, 1), EntryId::new(2, 1)].into()),
        ]
    }

    fn event() -> impl Strategy<Value = Event> {
        let delivered = (small(), small(), number(), any::<bool>(), ids());
        let delivered = (delivered, proptest::option::of(number()));
        let delivered =
            delivered.prop_map(|((group, consumer, time_ms, no_ack, ids), entries_read)| {
                Event::Delivered { group, consumer, time_ms, no_ack, entries_read, ids }
            });
        let removed = (small(), ids());
        let removed = removed.prop_map(|(group, ids)| Event::PendingRemoved { group, ids });
        prop_oneof![delivered, removed, Just(Event::GroupRemoved { group: 1 })]
    }

    proptest! {
        /// Fails if a brief record has other bytes than the same one by the long way, or if an
        /// event is taken for a brief one that is not.
        #[test]
        fn a_brief_record_is_the_record(
            event in event(),
            (number, stream, back) in (number(), number(), number()),
        ) {
            let (number, stream) = (2 + number / 4, stream / 4);
            let previous = number - 1 - back % (number - 1);
            let mut words = [0; 16];
            let mut brief = Brief::new(&mut words);
            let single = Single::of(&event);
            let (Event::Delivered { ids, .. } | Event::PendingRemoved { ids, .. }) = &event else {
                prop_assert_eq!(single, None);
                return Ok(());
            };
            prop_assert_eq!(single.is_some(), ids.len() == 1);
            let Some(single) = single else { return Ok(()) };
            prop_assert_eq!(&single.event(), &event);
            prop_assert_eq!(single.spare(), event.spare());
            let (before, part) = (&mut Numbers::default(), (stream, previous));
            let is_brief = Record::write_brief(&mut brief, before, number, part, &single);
            prop_assert_eq!(is_brief, ids[0].ms != 0);
            if is_brief {
                let mut out = Vec::new();
                let frame = FrameBuilder::begin(&mut out, Kind::Events, 0, None);
                let events = [event];
                let parts = std::iter::once((stream, previous, &events[..]));
                let before = Before { reach: 1, changed: Vec::new() };
                Record::write(&mut out, number, &before, parts);
                frame.end(&mut out, 7, 64);
                // Numbers as large as they can be leave no room, and take the long way.
                if let Some(words) = brief.finish(Kind::Events, 7, 64) {
                    let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
                    prop_assert_eq!(bytes, out);
                } else {
                    prop_assert!(out.len() > 100);
                }
            }
        }
    }
}
